"""What would have to change so that an account is as its file says. Judges only: nothing here asks the platform."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from realmkit.accounts import wanted
from realmkit.kazoo.documents import Account as Document
from realmkit.kazoo.setupdocuments import Callflow, Limits, User
from realmkit.kazoo.values import canonical, mapping, text, thaw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realmkit.accountfile import Account, AdminEntry
    from realmkit.accounts.wanted import Leaves, Place

OPENING: Final = "opening"  # the label of a credit that is written as one amount
SECTIONS: Final = (
    "name", "realm", "timezone", "language", "parent", "address", "contacts", "restrictions", "topup", "permissions",
    "features", "notes", "apps", "limits", "carrier", "service_plans", "credit", "admins",
)  # fmt: skip
"""The sections of a file, in the order in which they are put in force."""

OF_DOCUMENT: Final = frozenset(SECTIONS[: SECTIONS.index("apps")])
"""Those that are in the account's own document, and so in force with one request."""

Kind = Literal["create", "change", "nothing", "refused", "broken"]
_FIRST_KEYS: Final = {
    "call_restriction": "restrictions", "topup": "topup", "ui_restrictions": "permissions", "announcement": "notes",
    "numbers_features": "features", "name": "name", "realm": "realm", "timezone": "timezone", "language": "language",
}  # fmt: skip


class Change(Struct, frozen=True):
    """One value that is not as the file says.

    Attributes:
        section: of the file.
        what: the value in the section; empty where the section is one value.
        before: what the platform has; None for nothing.
        after: what it is to have.
    """

    section: str
    what: str
    before: Any = None
    after: Any = None


class Seen(Struct, frozen=True):
    """What the platform has of an account; None for what was not looked at.

    Attributes:
        account: its document.
        users: all its users.
        limits: its trunk limits.
        no_match: the callflow that takes its calls to numbers outside; in a tuple, which is empty if it has none.
        denied: ids of the apps that its users may not have.
        plans: ids of its service plans.
        paid: labels of the file's credits that were paid.
    """

    account: Document
    users: tuple[User, ...] | None = None
    limits: Limits | None = None
    no_match: tuple[Callflow, ...] | None = None
    denied: frozenset[str] | None = None
    plans: frozenset[str] | None = None
    paid: frozenset[str] | None = None


class Lists(Struct, frozen=True):
    """What the platform has to choose from.

    Attributes:
        own: the id of the API key's account.
        classifiers: of numbers, by name.
        apps: names by id.
        plans: service plans that the account may have, names by id.
    """

    own: str
    classifiers: Mapping[str, str]
    apps: Mapping[str, str]
    plans: Mapping[str, str]


class AccountPlan(Struct, frozen=True):
    """What is to be done for one file.

    Attributes:
        name: the file's, without `.yml`.
        kind: `create`, `change` or `nothing` to do; `refused` by realmkit; `broken` where the file can't be used.
        id: the account's id; None for one that does not exist yet.
        title: the account's name.
        realm: its realm, or the one that it gets.
        changes: in the order in which they would be made.
        notices: what somebody should know.
        errors: why it is broken or refused; each says what to do.
        unread: whether nothing was read, because neither the file nor the listing changed since it was applied.
    """

    name: str
    kind: Kind
    id: str | None = None
    title: str = ""
    realm: str = ""
    changes: tuple[Change, ...] = ()
    notices: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    unread: bool = False

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections in which something changes, in order."""
        found = {change.section for change in self.changes}
        return tuple(section for section in SECTIONS if section in found)


def changes(account: Account, seen: Seen, lists: Lists) -> list[Change]:
    """Everything in which an account is not as its file says, of what was looked at, in order."""
    found = list(document_changes(account, seen.account, wanted.leaves(account, lists.classifiers, lists.own)))
    for part in (_app_changes, _limit_changes, _carrier_changes, _plan_changes, _credit_changes, _admin_changes):
        found += part(account, seen, lists)
    return sorted(found, key=lambda change: SECTIONS.index(change.section))


def for_new(account: Account, realm: str, lists: Lists) -> list[Change]:
    """Everything that a new account gets."""
    begin = wanted.for_new(account, lists.classifiers, lists.own, realm)
    found = [Change(*_name_of(place), None, _shown(account, place, value)) for place, value in begin.items()]
    limits = account.limits
    if limits is not None:
        said = [(key, getattr(limits, key)) for key in wanted.LIMITS]
        found += [Change("limits", key, None, value) for key, value in said if value is not None]
    if denied := denied_apps(account, lists):
        found += [Change("apps", lists.apps.get(one, one), "allowed", "denied") for one in sorted(denied)]
    found.append(Change("carrier", "", None, account.carrier or "system"))
    found += [Change("service_plans", one, None, "assigned") for one in account.service_plans or ()]
    found += [Change("credit", label, None, amount) for label, amount in credits_of(account).items()]
    found += [Change("admins", username(one), None, "made") for one in account.admins or ()]
    return sorted(found, key=lambda change: SECTIONS.index(change.section))


def credits_of(account: Account) -> dict[str, float]:
    """The payments that a file asks for, by label."""
    if account.credit is None:
        return {}
    return dict(account.credit) if isinstance(account.credit, dict) else {OPENING: account.credit}


def credit_key(account: str, label: str) -> str:
    """The name under which the platform keeps a payment, the same at each try: 32 hexadecimal digits."""
    return hashlib.sha256(f"realmkit credit {account} {label}".encode()).hexdigest()[:32]


def username(admin: AdminEntry) -> str:
    """What an admin logs in with."""
    return admin.username or admin.email


def kept_of(admin: AdminEntry) -> dict[str, str]:
    """What is kept as written of a user that is there."""
    return {
        "first_name": admin.first_name, "last_name": admin.last_name, "email": admin.email, "priv_level": "admin",
    }  # fmt: skip


def user_of(admin: AdminEntry, users: tuple[User, ...]) -> User | None:
    """The user that a file means: by user name, else by e-mail address, both without regard to case."""
    for key, value in (("username", username(admin)), ("email", admin.email)):
        for user in users:
            if (text(user.data.get(key)) or "").casefold() == value.casefold():
                return user
    return None


def denied_apps(account: Account, lists: Lists, now: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """The ids of the apps that the account's users may not have; None where the file does not say.

    Args:
        account: what the file says.
        lists: the apps that there are.
        now: what is denied already: of it, apps that nobody sees any more stay denied.
    """
    if account.apps is None:
        return None
    denied = {app_id(one, lists) for one in account.apps.deny}
    if account.apps.allow != "all":
        denied |= set(lists.apps) - {app_id(one, lists) for one in account.apps.allow}
    return frozenset(one for one in denied if one is not None) | (now - set(lists.apps))


def app_id(word: str, lists: Lists) -> str | None:
    """The id of an app by its id or name; None for none."""
    return _id_of(word, lists.apps)


def plan_id(word: str, lists: Lists) -> str | None:
    """The id of a service plan by its id or name; None for none."""
    return _id_of(word, lists.plans)


def flow_of(carrier: str, reseller: str) -> dict[str, Any]:
    """The callflow of calls to numbers outside, as the portal writes it.

    Args:
        carrier: `system`, `partner` or `own`.
        reseller: the id of the account's reseller.
    """
    if carrier == "system":
        return {"module": "offnet", "data": {}, "children": {}}
    data = {"hunt_account_id": reseller} if carrier == "partner" else {}
    return {"module": "resources", "data": data, "children": {}}


def carrier_of(flow: Callflow, account: Document) -> str:
    """Whose carriers a callflow leads to: `system`, `partner`, `own`, or in words what the portal does not write."""
    hunt = text(mapping(flow.flow.get("data")).get("hunt_account_id"))
    if flow.module == "offnet" and hunt is None:
        return "system"
    if flow.module != "resources":
        return f"a callflow that begins with {flow.module}" if flow.module else "an empty callflow"
    if hunt in (None, account.id):
        return "own"
    reseller = account.reseller_id
    return "partner" if reseller in (hunt, None) else f"the carriers of account {hunt}"


def at(data: Mapping[str, Any], place: Place) -> Any:
    """The value at a place of a document; None where there is none."""
    value: Any = data
    for key in place:
        value = mapping(value).get(key)
    return value


def amiss(account: Account, document: Document, want: Leaves) -> Leaves:
    """Those of the wanted values that the document does not have."""
    return {
        place: value
        for place, value in want.items()
        if not _same(account, place, _effective(document.data, place), value)
    }


def document_changes(account: Account, document: Document, want: Leaves) -> Iterator[Change]:
    """Those of the wanted values that the document does not have, as the file would have them."""
    for place, value in amiss(account, document, want).items():
        before = _effective(document.data, place)
        yield Change(*_name_of(place), _shown(account, place, before), _shown(account, place, value))


def _effective(data: Mapping[str, Any], place: Place) -> Any:
    """The value at a place, or what the platform and the portal take its absence for."""
    value = at(data, place)
    if value is not None:
        return thaw(value)
    if place[0] == "ui_restrictions":
        return True
    if place[0] == "call_restriction":
        return "inherit"
    if place[0] == "numbers_features":  # checked while the account has no such object; then what is not there is not
        return "numbers_features" not in data
    return "inherit" if place == ("timezone",) else None


def _same(account: Account, place: Place, before: Any, after: Any) -> bool:
    if place == wanted.END_DATE and isinstance(before, int) and isinstance(after, int):
        return wanted.day_of(before, account.timezone) == wanted.day_of(after, account.timezone)
    if isinstance(before, int | float) and isinstance(after, int | float):
        return before == after
    return canonical(before) == canonical(after)


def section_of(place: Place) -> str:
    """The section of a file that a place of the account's document belongs to."""
    return _name_of(place)[0]


def _name_of(place: Place) -> tuple[str, str]:
    """Section and value, as the file calls them."""
    if place[0] == "contract":
        return ("notes", "contract_ends") if place == wanted.END_DATE else ("contacts", f"sales.{place[-1]}")
    if place[0] == "contact":
        address = {key: name for name, key in wanted.ADDRESS.items()}
        if place[1] == "billing" and place[2] in address:
            return "address", address[place[2]]
        person = {key: name for name, key in wanted.CONTACT.items()}
        return "contacts", f"{place[1]}.{person[place[2]]}"
    section = _FIRST_KEYS[place[0]]
    return section, _word_in(section, place)


def _word_in(section: str, place: Place) -> str:
    if section == "restrictions":
        return place[1]
    if section == "permissions":
        return next(name for name, inside in wanted.PERMISSIONS.items() if inside == place[2:])
    if section == "features":
        return next(name for name, key in wanted.FEATURES.items() if key == place[1])
    return "announcement" if section == "notes" else ""


def _shown(account: Account, place: Place, value: Any) -> Any:
    """A value as the file would have it."""
    if place[0] == "ui_restrictions":
        return "show" if value else "hide"
    if place == wanted.END_DATE and isinstance(value, int):
        return wanted.day_of(value, account.timezone).isoformat()
    return value


def _app_changes(account: Account, seen: Seen, lists: Lists) -> Iterator[Change]:
    denied = denied_apps(account, lists, seen.denied or frozenset())
    if denied is None or seen.denied is None:
        return
    for one in sorted(denied ^ seen.denied, key=lambda one: lists.apps.get(one, one)):
        said = ("allowed", "denied") if one in denied else ("denied", "allowed")
        yield Change("apps", lists.apps.get(one, one), *said)


def _limit_changes(account: Account, seen: Seen, _: Lists) -> Iterator[Change]:
    if account.limits is None or seen.limits is None:
        return
    for key in wanted.LIMITS:
        value, before = getattr(account.limits, key), seen.limits.data.get(key)
        if value is not None and value != (before if before is not None else _no_limit(key)):
            yield Change("limits", key, before, value)


def _no_limit(key: str) -> bool | int:
    """What the platform takes the absence of a limit for (schema `limits`; without trunks there is none)."""
    return True if key == "allow_prepay" else 0


def _carrier_changes(account: Account, seen: Seen, _: Lists) -> Iterator[Change]:
    if seen.no_match is None:
        return
    before = carrier_of(seen.no_match[0], seen.account) if seen.no_match else None
    after = account.carrier or before or "system"  # without any, no call to a number outside would leave
    if before != after:
        yield Change("carrier", "", before, after)


def _plan_changes(account: Account, seen: Seen, lists: Lists) -> Iterator[Change]:
    if account.service_plans is None or seen.plans is None:
        return
    want = {plan_id(one, lists) or one for one in account.service_plans}
    for one in sorted(want - seen.plans):
        yield Change("service_plans", lists.plans.get(one, one), None, "assigned")
    for one in sorted(seen.plans - want):
        yield Change("service_plans", lists.plans.get(one, one), "assigned", None)


def _credit_changes(account: Account, seen: Seen, _: Lists) -> Iterator[Change]:
    for label, amount in credits_of(account).items():
        if seen.paid is not None and label not in seen.paid:
            yield Change("credit", label, None, amount)


def _admin_changes(account: Account, seen: Seen, _: Lists) -> Iterator[Change]:
    if seen.users is None:
        return
    for admin in account.admins or ():
        user = user_of(admin, seen.users)
        if user is None:
            yield Change("admins", username(admin), None, "made")
            continue
        for key, value in kept_of(admin).items():
            before = text(user.data.get(key)) or ""
            if before != value and not (key == "email" and before.casefold() == value.casefold()):
                yield Change("admins", f"{username(admin)}.{key}", before or None, value)


def _id_of(word: str, choices: Mapping[str, str]) -> str | None:
    if word in choices:
        return word
    tests: tuple[Callable[[str], bool], ...] = (
        lambda name: name == word,
        lambda name: wanted.plain(name) == wanted.plain(word) != "",
    )
    for test in tests:
        found = [one for one, name in choices.items() if test(name)]
        if len(found) == 1:
            return found[0]
    return None
