"""What is wrong with a file before anything is sent: each slip one line with its place in the file.

A value that the platform has already is not judged: an account that was made elsewhere is shown and applied as it is.
"""

from __future__ import annotations

import difflib
import functools
from importlib import resources
from typing import TYPE_CHECKING, Final

from realmkit.accounts import plan, wanted
from realmkit.accounts.realmname import remarks
from realmkit.kazoo.values import mapping, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from realmkit.accountfile import AccountFile
    from realmkit.accounts.plan import Lists
    from realmkit.kazoo.documents import Account as Document

_SHORTEST_ZONE: Final = 5  # characters; schema `accounts`
_LONGEST_ZONE: Final = 32
_NAMELESS: Final = (
    "{!r} has no letter a to z and no digit: the platform tells names apart by those alone, and users log in with them"
)

_Slip = tuple[tuple["str | int", ...], str]


def slips(file: AccountFile, lists: Lists, now: Document | None) -> list[str]:
    """Everything in a file that can't be put in force, as lines `FILE:LINE:COLUMN: where: what`.

    Args:
        file: the file.
        lists: what the platform has to choose from.
        now: the account as it is; None for one that is to be made.
    """
    found = [*_of_account(file, now), *_of_lists(file, lists, now), *_of_admins(file), *_of_credit(file)]
    found.sort(key=lambda slip: file.document.place(slip[0]))
    return [file.document.error(*slip).message for slip in found]


def realm_slips(file: AccountFile, realm: str | None, zones: Collection[str]) -> tuple[list[str], list[str]]:
    """Errors and warnings about the realm that a new account is to get.

    Args:
        file: the file.
        realm: as the file or the project has it; None for none.
        zones: the zones of the project.
    """
    if realm is None:
        line = file.document.error(
            (), "the key 'realm' is missing: a new account gets its realm from here, or from `realms:` in realmkit.yml"
        )
        return [line.message], []
    errors, warnings = [], []
    for remark in remarks(realm, zones):
        said = f"{realm} {remark.text}: {remark.hint}"
        if remark.level == "error":
            errors.append(file.document.error(("realm",), said).message)
        else:
            warnings.append(said)
    return errors, warnings


@functools.cache
def timezones() -> frozenset[str]:
    """The names of IANA's time zones, as the tzdata package has them."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - {"Factory"}


def timezone_fault(zone: str) -> str | None:
    """What speaks against a time zone: that there is none of that name, or that the platform takes no such name."""
    if zone == "inherit":
        return None
    if zone not in timezones():
        near = difflib.get_close_matches(zone, timezones(), n=1, cutoff=0.6)
        return f"{zone!r} is no IANA time zone; " + (f"did you mean {near[0]!r}?" if near else "write America/Havana")
    if not _SHORTEST_ZONE <= len(zone) <= _LONGEST_ZONE:
        other = f"Etc/{zone}" if f"Etc/{zone}" in timezones() else "the place, such as America/Havana"
        return f"the platform takes names of {_SHORTEST_ZONE} to {_LONGEST_ZONE} characters; write {other}"
    return None


def nearest(word: str, known: Collection[str]) -> str:
    """What may be meant instead of a word, or what there is."""
    near = difflib.get_close_matches(word.lower(), {one.lower(): one for one in known}, n=1, cutoff=0.6)
    if near:
        return "did you mean " + repr(next(one for one in known if one.lower() == near[0])) + "?"
    return "known are: " + (", ".join(sorted(known)) or "none")


def _of_account(file: AccountFile, now: Document | None) -> Iterator[_Slip]:
    account = file.account
    if not wanted.plain(account.name) and (now is None or now.name != account.name):
        yield ("name",), _NAMELESS.format(account.name)
    zone = account.timezone
    if now is None or now.timezone != zone:
        wrong = timezone_fault(zone)
        if wrong is not None:
            yield ("timezone",), wrong


def _of_lists(file: AccountFile, lists: Lists, now: Document | None) -> Iterator[_Slip]:
    account = file.account
    there = mapping(now.data.get("call_restriction")) if now is not None else {}
    for name in account.restrictions or ():
        if name not in lists.classifiers and name not in there:
            yield ("restrictions", name), f"the platform has no such classifier; {nearest(name, lists.classifiers)}"
    names = set(lists.apps.values())
    for key in ("allow", "deny"):
        words = getattr(account.apps, key, ())
        for index, word in enumerate(words if words != "all" else ()):
            if plan.app_id(word, lists) is None:
                yield ("apps", key, index), f"the platform has no app {word!r}; {nearest(word, names)}"
    if now is None:  # which plans an account may have is known once it is there
        return
    for index, word in enumerate(account.service_plans or ()):
        if plan.plan_id(word, lists) is None:
            known = set(lists.plans.values())
            yield ("service_plans", index), f"this account may have no plan {word!r}; {nearest(word, known)}"


def _of_admins(file: AccountFile) -> Iterator[_Slip]:
    seen: dict[str, int] = {}
    for index, admin in enumerate(file.account.admins or ()):
        name = plan.username(admin).casefold()
        if name in seen:
            yield ("admins", index), f"the same user name as admins.{seen[name]}: {plan.username(admin)}"
        seen.setdefault(name, index)


def _of_credit(file: AccountFile) -> Iterator[_Slip]:
    for label, amount in plan.credits_of(file.account).items():
        if round(amount, 2) != amount:
            where = ("credit", label) if isinstance(file.account.credit, dict) else ("credit",)
            yield where, f"{text(amount)} has parts of a cent"
        if not label.strip():
            yield ("credit",), "a payment without a label"
