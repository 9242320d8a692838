"""What a file wants of the account's document on the platform, as one value for each place that the file speaks of.

The places are those that the portal's wizard and account manager write (2600hz/monster-ui-accounts). Much of it is in
no schema of the platform, which keeps what it does not know.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from realmkit.accountfile import ContactEntry, PermissionsEntry
from realmkit.kazoo.documents import from_gregorian, to_gregorian

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.accountfile import Account, AddressEntry, ContactsEntry

Place = tuple[str, ...]
Leaves = dict[Place, Any]

END_DATE: Final = ("contract", "end_date")
ADDRESS: Final = {
    "street": "street_address",
    "street2": "street_address_extra",
    "city": "locality",
    "state": "region",
    "zip": "postal_code",
    "country": "country",
}
CONTACT: Final = {"name": "name", "email": "email", "phone": "number"}
PERMISSIONS: Final[dict[str, Place]] = {
    "user": ("user", "show_tab"),
    "account": ("account", "show_tab"),
    "billing": ("billing", "show_tab"),
    "balance": ("balance", "show_tab"),
    "credit": ("balance", "show_credit"),
    "minutes": ("balance", "show_minutes"),
    "service_plan": ("service_plan", "show_tab"),
    "transactions": ("transactions", "show_tab"),
    "inbound": ("inbound", "show_tab"),
    "outbound": ("outbound", "show_tab"),
    "twoway": ("twoway", "show_tab"),
    "error_tracker": ("errorTracker", "show_tab"),
}
FEATURES: Final = {"e911": "e911_enabled", "cnam": "cnam_enabled"}
LIMITS: Final = ("twoway_trunks", "inbound_trunks", "outbound_trunks", "allow_prepay")
_SALES: Final = {"name": "name", "user_id": "user_id", "account_id": "account_id"}


def leaves(account: Account, classifiers: Iterable[str], own: str) -> Leaves:
    """What the file wants, by place in the account's document; None where a value is to go.

    The realm is not among it: `account apply` sets it once, when the account is made.

    Args:
        account: what the file says.
        classifiers: all that the platform has.
        own: the id of the API key's account, whose users sell.
    """
    found: Leaves = {("name",): account.name, ("timezone",): account.timezone}
    if account.language is not None:
        found["language",] = account.language
    if account.address is not None:
        found |= _address(account.address)
    if account.contacts is not None:
        found |= _contacts(account.contacts, own)
    if account.restrictions is not None:
        found |= restrictions(account.restrictions, classifiers)
    if account.topup is not None:
        found["topup", "threshold"] = int(account.topup) if account.topup.is_integer() else account.topup
    if account.permissions is not None:
        found |= permissions(account.permissions)
    if account.features is not None:
        found |= {("numbers_features", key): getattr(account.features, name) for name, key in FEATURES.items()}
    if account.notes is not None:
        found |= dict(_notes(account))
    return found


def for_new(account: Account, classifiers: Iterable[str], own: str, realm: str) -> Leaves:
    """What a new account begins with: what the file wants, and what the wizard sends where the file is silent."""
    begin: Leaves = {("realm",): realm}
    if account.restrictions is None:
        begin |= restrictions({}, classifiers)
    if account.permissions is None:
        begin |= permissions(PermissionsEntry())
    return begin | {place: value for place, value in leaves(account, classifiers, own).items() if value is not None}


def restrictions(said: Mapping[str, str], classifiers: Iterable[str]) -> Leaves:
    """Every classifier that the platform has, or that is spoken of: as said, else not denied."""
    names = dict.fromkeys((*classifiers, *said))
    return {("call_restriction", name, "action"): said.get(name, "inherit") for name in names}


def permissions(entry: PermissionsEntry) -> Leaves:
    """What the portal shows and hides."""
    return {
        ("ui_restrictions", "myaccount", *place): getattr(entry, name) == "show"
        for name, place in PERMISSIONS.items()
    }  # fmt: skip


def merged(body: Mapping[str, Any], wanted: Leaves) -> dict[str, Any]:
    """A copy of a document with each wanted value at its place; all else stays."""
    result: dict[str, Any] = _copied(body)
    for place, value in wanted.items():
        inside = result
        for key in place[:-1]:
            deeper = inside.get(key)
            if not isinstance(deeper, dict):
                deeper = inside[key] = {}
            inside = deeper
        if value is None:
            inside.pop(place[-1], None)
        else:
            inside[place[-1]] = value
    return result


def end_of_contract(day: date, timezone: str) -> int:
    """The first second of a day where the account is, in Gregorian seconds."""
    return to_gregorian(datetime.combine(day, time(), _zone(timezone)))


def day_of(seconds: int, timezone: str) -> date:
    """The day, where the account is, of Gregorian seconds."""
    return from_gregorian(seconds).astimezone(_zone(timezone)).date()


def plain(name: str) -> str:
    """What the platform tells account names apart by: the letters a to z, in lower case, and the digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _address(entry: AddressEntry) -> Leaves:
    return {("contact", "billing", key): value for key, value in _said(entry, ADDRESS)}


def _contacts(entry: ContactsEntry, own: str) -> Leaves:
    found: Leaves = {}
    for kind in ("billing", "technical"):
        person: ContactEntry | None = getattr(entry, kind)
        if person is not None:
            found |= {("contact", kind, key): value for key, value in _said(person, CONTACT)}
    if entry.sales is not None:
        found |= {("contract", "representative", key): value for key, value in _said(entry.sales, _SALES)}
        if entry.sales.account_id is None:
            found["contract", "representative", "account_id"] = own
    return found


def _notes(account: Account) -> Iterator[tuple[Place, Any]]:
    notes = account.notes
    if notes is None:
        return
    if notes.announcement is not None:
        yield ("announcement",), notes.announcement or None
    if notes.contract_ends is not None:
        yield END_DATE, end_of_contract(notes.contract_ends, account.timezone)


def _said(entry: object, keys: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """What an entry says, by the platform's key; None for a value that is to go."""
    for name, key in keys.items():
        value = getattr(entry, name)
        if value is not None:
            yield key, value or None


def _zone(timezone: str) -> tzinfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value
