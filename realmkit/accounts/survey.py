"""Plans for account files: one, or twenty thousand, with as few requests as will do.

The listing of accounts (a request for a hundred) tells which exist. An account is read only if its file changed since
it was applied, or its row in the listing did, or somebody asks for a deep look.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit import accountfile
from realmkit.accountfile import AccountFile
from realmkit.accounts import checks, memory, plan
from realmkit.accounts.hanging import hanging
from realmkit.accounts.match import Index
from realmkit.accounts.plan import AccountPlan
from realmkit.accounts.wanted import plain
from realmkit.errors import InputError, StateError
from realmkit.kazoo.setupdocuments import AccountRow
from realmkit.yamlfile import loads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from realmkit.accountfile import Account
    from realmkit.accounts.memory import Applied, Memory
    from realmkit.accounts.plan import Seen
    from realmkit.accounts.platform import Platform

FEW: Final = 5  # files for which searches cost less than a listing


class Job(Struct, frozen=True):
    """A file and what is known of its account before anything is read.

    Attributes:
        name: the file's, without `.yml`.
        digest: what tells whether it changed.
        file: the file; None where it is as it was when it was applied, so that nobody needs to read it.
        realm: that a new account would get.
        row: the account in the listing; None for one that does not exist.
    """

    name: str
    digest: str
    file: AccountFile | None
    realm: str | None
    row: AccountRow | None = None


class Planned(Struct, frozen=True):
    """A plan with what it was made from."""

    plan: AccountPlan
    job: Job | None = None


class Survey:
    """What the account files of a project would change.

    Args:
        platform: the platform.
        directory: the project.
        realms: the realm that `realmkit.yml` gives to an account, by the file's name.
        zones: the zones of the project.
        known: what was applied last.
    """

    def __init__(
        self, platform: Platform, directory: Path, realms: Mapping[str, str], zones: Collection[str], known: Memory
    ) -> None:
        self._platform, self._directory = platform, directory
        self._realms, self._zones, self._known = realms, zones, known

    def plans(self, names: Collection[str], *, deep: bool = False) -> list[Planned]:
        """A plan for each file, in order.

        Args:
            names: of the files.
            deep: read every account, changed or not.

        Raises:
            ProviderError: the platform can't be read.
        """
        jobs: list[Job | AccountPlan] = [self._job(name, deep=deep) for name in names]
        index = self._index([job for job in jobs if isinstance(job, Job)])
        placed = [self._placed(job, index) if isinstance(job, Job) else job for job in jobs]
        twice = self._twice([job for job in placed if isinstance(job, Job)])
        return [
            Planned(job) if isinstance(job, AccountPlan)
            else Planned(AccountPlan(job.name, "broken", errors=(twice[job.name],))) if job.name in twice
            else Planned(self._plan(job), job)
            for job in placed
        ]  # fmt: skip

    def _job(self, name: str, *, deep: bool) -> Job | AccountPlan:
        try:
            path = accountfile.path_of(self._directory, name)
            content = path.read_bytes()
            digest = memory.digest(content, self._realms.get(name))
            applied = self._known.get(name)
            if not deep and applied is not None and applied.digest == digest:
                return Job(name, digest, None, self._realms.get(name))
            file = accountfile.read(loads(content.decode(), path))
        except FileNotFoundError:
            return AccountPlan(name, "broken", errors=(f"{path}: no such file",))
        except (OSError, UnicodeDecodeError) as error:
            return AccountPlan(name, "broken", errors=(f"{path}: can't be read: {error}",))
        except InputError as error:
            return AccountPlan(name, "broken", errors=tuple(error.message.splitlines()))
        return Job(name, digest, file, file.account.realm or self._realms.get(name))

    def _index(self, jobs: list[Job]) -> Index:
        if len(jobs) > FEW:
            own = self._platform.own
            return Index([*self._platform.rows, AccountRow(own.id, own.name, own.realm, ())])
        words = [word for job in jobs for word in self._words(job)]
        return Index([row for word in words for row in self._platform.setup.find(word)])

    def _words(self, job: Job) -> list[str]:
        """What to search for, so that the account is found if it is there."""
        applied = self._known.get(job.name)
        words = [applied.id] if applied is not None else []
        if job.file is not None and job.file.account.id is not None:
            return [job.file.account.id]
        if job.file is not None:
            words += [job.realm] if job.realm else []
            words += [job.file.account.name] if plain(job.file.account.name) else []
        return words

    def _placed(self, job: Job, index: Index) -> Job | AccountPlan:
        """The job with its account, and with the file where that has to be read after all."""
        applied = self._known.get(job.name)
        if job.file is None:
            row = index.by_id.get(applied.id) if applied is not None else None
            if applied is not None and row is not None and memory.row_digest(row) == applied.row:
                return Job(job.name, job.digest, None, job.realm, row)
            again = self._job(job.name, deep=True)
            if isinstance(again, AccountPlan):
                return again
            job = again
        if job.file is None:
            raise AssertionError(job.name)
        try:
            row = index.meant(job.file, job.realm, applied.id if applied else None)
        except InputError as error:
            return AccountPlan(job.name, "broken", errors=(_with_hint(error),))
        return Job(job.name, job.digest, job.file, job.realm, row)

    def _twice(self, jobs: list[Job]) -> dict[str, str]:
        """Files that mean one account, or would make two that the platform could not tell apart, with what to say."""
        chosen = {job.name for job in jobs}
        claims: dict[tuple[str, str], list[str]] = {}
        for job in jobs:
            for claim in _claims(job, self._known):
                claims.setdefault(claim, []).append(job.name)
        for other in self._known.all():  # a copied file whose realm nobody changed would rename the other's account
            claim = ("account", other.id)
            if other.name not in chosen and claim in claims and self._is_there(other.name):
                claims[claim].append(other.name)
        return {
            name: f"{accountfile.DIRECTORY}/{name}.yml: the {what} is also that of "
            + ", ".join(f"{accountfile.DIRECTORY}/{other}.yml" for other in names if other != name)
            for (what, _), names in claims.items()
            if len(names) > 1
            for name in names
        }

    def _is_there(self, name: str) -> bool:
        return accountfile.path_of(self._directory, name).exists()

    def _plan(self, job: Job) -> AccountPlan:
        if job.file is None:
            row = job.row
            title, realm, identity = (row.name, row.realm, row.id) if row else ("", "", None)
            return AccountPlan(job.name, "nothing", identity, title, realm, unread=True)
        if job.row is None:
            return self._plan_new(job, job.file)
        return self._plan_old(job, job.file, job.row)

    def _plan_new(self, job: Job, file: AccountFile) -> AccountPlan:
        lists = self._platform.lists(file.account, None)
        wrong, warnings = checks.realm_slips(file, job.realm, self._zones)
        wrong += checks.slips(file, lists, None)
        notices = list(warnings)
        try:
            parent = self.parent(file)
        except InputError as error:
            wrong.append(_with_hint(error))
        else:
            notices.append(f"the account is made below {parent.name} ({parent.id})")
        applied = self._known.get(job.name)
        if applied is not None:
            notices.append(f"it was applied to account {applied.id}, which is gone or out of this API key's sight")
        head = AccountPlan(job.name, "broken", None, file.account.name, job.realm or "", errors=tuple(wrong))
        if wrong or job.realm is None:
            return head
        changes = plan.for_new(file.account, job.realm, lists)
        return AccountPlan(
            job.name, "create", None, file.account.name, job.realm, tuple(changes), tuple(notices)
        )  # fmt: skip

    def parent(self, file: AccountFile) -> AccountRow:
        """The account that a new one is made below.

        Raises:
            InputError: there is no such account, or there are several.
        """
        wanted = file.account.parent
        own = self._platform.own
        if wanted is None or wanted in (own.id, own.name, own.realm):
            return AccountRow(own.id, own.name, own.realm, ())
        found = self._platform.setup.find(wanted)
        if len(found) != 1:
            raise file.document.error(
                ("parent",), f"{len(found) or 'no'} accounts are called {wanted!r}", "name its id or realm"
            )
        return found[0]

    def _plan_old(self, job: Job, file: AccountFile, row: AccountRow) -> AccountPlan:
        lists = self._platform.lists(file.account, row.id)
        seen = self._platform.look(row.id, file.account, self._known.paid(job.name, row.id))
        wrong = checks.slips(file, lists, seen.account)
        if wrong:
            return AccountPlan(job.name, "broken", row.id, row.name, row.realm, errors=tuple(wrong))
        wish = file.account.realm
        if wish is not None and wish.casefold() != seen.account.realm.casefold():
            return AccountPlan(
                job.name, "refused", row.id, row.name, seen.account.realm,
                errors=(_other_realm(job.name, file, seen), *hanging(self._platform.crossbar, row.id)),
            )  # fmt: skip
        changes = tuple(plan.changes(file.account, seen, lists))
        if not changes:
            with contextlib.suppress(StateError):  # a plan needs no disk; it is read again next time
                self._known.put(applied(job, row, seen))
        kind: plan.Kind = "change" if changes else "nothing"
        notices = tuple(notices_of(file.account, row))
        return AccountPlan(job.name, kind, row.id, seen.account.name, seen.account.realm, changes, notices)


def applied(job: Job, row: AccountRow, seen: Seen) -> Applied:
    """What to remember of a file that is in force."""
    now = AccountRow(row.id, seen.account.name, seen.account.realm, row.tree)
    return memory.Applied(
        job.name, job.digest, row.id, memory.row_digest(now), now.name, now.realm, seen.account.revision,
        tuple(sorted(seen.paid or ())),
    )  # fmt: skip


def notices_of(account: Account, row: AccountRow) -> Iterable[str]:
    """What differs and is not changed from here."""
    if account.parent is not None and row.tree and _is_id(account.parent) and account.parent != row.tree[-1]:
        yield f"the account is below {row.tree[-1]}, not {account.parent}; only the platform's operator moves accounts"


def _is_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def _other_realm(name: str, file: AccountFile, seen: Seen) -> str:
    error = file.document.error(
        ("realm",),
        f"the account's realm is {seen.account.realm}, and phones register there: an apply does not change it; a move "
        f"does, which takes them along (`realmkit migrate plan {name}`)",
    )
    return error.message


def _with_hint(error: InputError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _claims(job: Job, known: Memory) -> list[tuple[str, str]]:
    title, realm = (job.file.account.name, job.realm) if job.file is not None else ("", None)
    applied = known.get(job.name)
    if job.file is None and applied is not None:
        title, realm = applied.title, applied.realm
    found = [("account", job.row.id)] if job.row is not None else []
    found += [("realm", realm.casefold())] if realm else []
    return found + ([("name", plain(title))] if plain(title) else [])
