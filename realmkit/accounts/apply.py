"""Putting a file in force, call by call. Killed between any two, the next run goes on from what is there.

Every call looks before it makes anything, so there is no journal to lose. The account itself comes first, for all else
hangs on it. What fails after that (limits that only another reseller may set, say) does not keep the rest from being
done, as in the portal's wizard; a platform that no longer answers does. At the end all is read back and compared.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.accounts import plan, wanted
from realmkit.accounts.plan import OF_DOCUMENT, Change
from realmkit.accounts.survey import applied
from realmkit.errors import (
    ConflictError,
    InputError,
    OutcomeUnknownError,
    RateLimitedError,
    RealmkitError,
    RefusedError,
    RejectedError,
    UnreachableError,
)
from realmkit.kazoo.setupdocuments import AccountRow
from realmkit.kazoo.values import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from realmkit.accountfile import Account, AccountFile, AdminEntry
    from realmkit.accounts.memory import Memory
    from realmkit.accounts.plan import Lists, Seen
    from realmkit.accounts.platform import Platform
    from realmkit.accounts.survey import Job, Planned, Survey
    from realmkit.accounts.wanted import Leaves
    from realmkit.kazoo.documents import Account as Document

WHY: Final = "Credit added by administrator"  # what the portal's wizard writes beside it
_SHORTEST_PASSWORD: Final = 6  # that the platform takes
_MADE_UP: Final = 18  # octets of a password that nobody chose


class Failure(Struct, frozen=True):
    """A section that could not be put in force, and the error."""

    section: str
    error: RealmkitError


class Outcome(Struct, frozen=True):
    """What became of one file.

    Attributes:
        name: the file's.
        id: the account's; None where none could be made.
        created: whether the account was made now.
        done: sections in which something was changed, in order.
        failed: sections that could not be put in force.
        left: what is still not as the file says, when read back; None if it could not be.
    """

    name: str
    id: str | None = None
    created: bool = False
    done: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    left: tuple[Change, ...] | None = ()

    @property
    def whole(self) -> bool:
        """Whether the account is as the file says."""
        return not self.failed and self.left == ()


class Applier:
    """Puts planned files in force, one after the other.

    Args:
        platform: the platform.
        survey: what planned them.
        directory: the project, against which references to passwords are resolved.
        memory: where it is noted that a file is in force.
        say: told each section as it begins, with the file's name.
    """

    def __init__(
        self, platform: Platform, survey: Survey, directory: Path, memory: Memory, say: Callable[[str, str], None]
    ) -> None:
        self._platform, self._setup = platform, platform.setup
        self._survey, self._directory, self._memory, self._say = survey, directory, memory, say

    def passwords(self, planned: Iterable[Planned]) -> None:
        """Fetch every password that will be needed, so that a missing one stops all before anything is sent.

        Raises:
            SecretError: there is no such secret. InputError: it is too short for the platform.
        """
        for one in planned:
            wanted_names = {change.what for change in one.plan.changes if change.section == "admins"}
            for admin in (one.job.file.account.admins or ()) if one.job and one.job.file else ():
                if plan.username(admin) in wanted_names:
                    self._password(admin)

    def apply(self, planned: Planned) -> Outcome:
        """Put one file in force.

        Raises:
            ProviderError: the platform does not answer any more, or not this API key. Whatever was done is found by the
                next run.
        """
        job = planned.job
        if job is None or job.file is None:
            raise AssertionError(planned.plan.name)
        try:
            return self._apply(job, job.file)
        except (RejectedError, ConflictError, RefusedError, InputError) as error:  # of this account, not of the others
            identity = job.row.id if job.row is not None else None
            return Outcome(job.name, identity, failed=(Failure("account", error),), left=None)

    def _apply(self, job: Job, file: AccountFile) -> Outcome:
        row, created = (job.row, False) if job.row is not None else self._make(job, file)
        lists = self._platform.lists(file.account, row.id)
        want = wanted.leaves(file.account, lists.classifiers, lists.own)
        if created and job.realm is not None:
            want = wanted.for_new(file.account, lists.classifiers, lists.own, job.realm)
        seen = self._platform.look(row.id, file.account, self._memory.paid(job.name, row.id))
        done = self._save(job.name, file.account, seen.account, want)
        failed = []
        for section, act in _Parts(self._platform, file, seen, lists, self._password).to_do():
            self._say(job.name, section)
            try:
                act()
                done.append(section)
            except (UnreachableError, RateLimitedError, OutcomeUnknownError):
                raise
            except RealmkitError as error:
                failed.append(Failure(section, error))
        outcome = Outcome(job.name, row.id, created, tuple(done), tuple(failed))
        return self._read_back(job, file, row, want, outcome)

    def _make(self, job: Job, file: AccountFile) -> tuple[AccountRow, bool]:
        if job.realm is None:
            raise AssertionError(job.name)
        parent = self._survey.parent(file)
        lists = self._platform.lists(file.account, None)
        begin = wanted.for_new(file.account, lists.classifiers, lists.own, job.realm)
        self._say(job.name, "account")
        account, created = self._setup.create(parent.id, wanted.merged({}, begin))
        if account.realm.casefold() != job.realm.casefold():
            raise ConflictError(
                f"{account.id} ({account.name}) has come to be meanwhile, with the realm {account.realm}",
                hint="plan again",
            )
        return AccountRow(account.id, account.name, account.realm, (*parent.tree, parent.id)), created

    def _save(self, name: str, account: Account, now: Document, want: Leaves) -> list[str]:
        """Save the account's document where it is not as wanted; the sections that were not.

        A section is written whole, as the portal does: with `numbers_features` half there, what is absent is off.
        """
        sections = {plan.section_of(place) for place in plan.amiss(account, now, want)}
        if not sections:
            return []
        self._say(name, "account")
        whole = {place: value for place, value in want.items() if plan.section_of(place) in sections}
        self._setup.save(now.with_data(wanted.merged(now.to_json(), whole)))
        return [section for section in plan.SECTIONS if section in sections]

    def _read_back(
        self, job: Job, file: AccountFile, row: AccountRow, want: Leaves, outcome: Outcome
    ) -> Outcome:  # fmt: skip
        paid = self._memory.paid(job.name, row.id)
        if not any(failure.section == "credit" for failure in outcome.failed):
            paid |= set(plan.credits_of(file.account))
        seen = self._platform.look(row.id, file.account, paid)
        lists = self._platform.lists(file.account, row.id)
        left = plan.changes(file.account, seen, lists)
        left += [
            change for change in plan.document_changes(file.account, seen.account, want) if change not in left
        ]  # fmt: skip
        result = Outcome(outcome.name, row.id, outcome.created, outcome.done, outcome.failed, tuple(left))
        if result.whole:
            self._memory.put(applied(job, row, seen))
        return result

    def _password(self, admin: AdminEntry) -> str:
        """The admin's password, or one made up."""
        if admin.password is None:
            return secrets.token_urlsafe(_MADE_UP)
        found = admin.password.reveal(self._directory)
        if len(found) < _SHORTEST_PASSWORD:
            raise InputError(
                f"the password of {plan.username(admin)} ({admin.password.reference}) has {len(found)} characters",
                hint=f"the platform wants {_SHORTEST_PASSWORD} or more",
            )
        return found


class _Parts:
    """What is kept outside of the account's document, each with the call that puts it in force."""

    def __init__(
        self, platform: Platform, file: AccountFile, seen: Seen, lists: Lists, password: Callable[[AdminEntry], str]
    ) -> None:
        self._setup, self._document = platform.setup, file.document
        self._id = seen.account.id
        self._account, self._seen, self._lists, self._password = file.account, seen, lists, password

    def to_do(self) -> list[tuple[str, Callable[[], None]]]:
        """The sections in which something is to change, in order."""
        acts: dict[str, Callable[[], None]] = {
            "apps": self._apps, "limits": self._limits, "carrier": self._carrier, "service_plans": self._plans,
            "credit": self._credit, "admins": self._admins,
        }  # fmt: skip
        changed = {change.section for change in plan.changes(self._account, self._seen, self._lists)} - OF_DOCUMENT
        return [(section, act) for section, act in acts.items() if section in changed]

    def _apps(self) -> None:
        self._setup.save_blacklist(
            self._id, sorted(plan.denied_apps(self._account, self._lists, self._seen.denied or frozenset()) or ())
        )

    def _limits(self) -> None:
        limits = self._seen.limits
        if limits is None or self._account.limits is None:
            return
        said = {key: getattr(self._account.limits, key) for key in wanted.LIMITS}
        body = limits.to_json() | {key: value for key, value in said.items() if value is not None}
        self._setup.save_limits(self._id, type(limits).from_json(body, limits.revision))

    def _carrier(self) -> None:
        reseller = self._seen.account.reseller_id or ""
        carrier = self._account.carrier or "system"
        if carrier == "partner" and not reseller:
            raise InputError(
                "the platform does not say whose reseller this account is of", hint="carrier: own or system"
            )
        self._setup.save_no_match(self._id, plan.flow_of(carrier, reseller))

    def _plans(self) -> None:
        now = self._seen.plans or frozenset()
        for index, word in enumerate(self._account.service_plans or ()):  # a new account's could not be known before
            if plan.plan_id(word, self._lists) is None:
                known = ", ".join(sorted(self._lists.plans.values())) or "none"
                raise self._document.error(
                    ("service_plans", index), f"this account may have no plan {word!r}; it may have: {known}"
                )
        want = {plan.plan_id(one, self._lists) or one for one in self._account.service_plans or ()}
        self._setup.change_services(self._id, sorted(want - now), sorted(now - want))

    def _credit(self) -> None:
        for label, amount in plan.credits_of(self._account).items():
            if label not in (self._seen.paid or ()):
                key = plan.credit_key(self._id, label)
                self._setup.credit(self._id, Decimal(str(amount)), key=key, description=WHY)

    def _admins(self) -> None:
        for admin in self._account.admins or ():
            row = plan.user_of(admin, self._seen.users or ())
            if row is None:
                self._setup.create_user(self._id, user_body(admin, self._password(admin)))
            elif any(text(row.data.get(key)) != value for key, value in plan.kept_of(admin).items()):
                user = self._setup.user(self._id, row.id)
                self._setup.save_user(
                    self._id, type(user).from_json({**user.data, **plan.kept_of(admin)}, user.revision)
                )


def user_body(admin: AdminEntry, password: str) -> Mapping[str, Any]:
    """An admin as the portal's wizard makes one."""
    return {
        "first_name": admin.first_name, "last_name": admin.last_name, "username": plan.username(admin),
        "email": admin.email, "password": password, "priv_level": "admin",
        "send_email_on_creation": admin.send_email,
    }  # fmt: skip
