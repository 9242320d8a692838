"""What an account has: its phones, which of them can move and which stay, and what stands in the way.

Reading is one function; judging is another, on data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realmkit.accountfile import PhoneEntry
from realmkit.dns import names
from realmkit.errors import InputError
from realmkit.migrate.plan import Phone
from realmkit.phones.resync import resync

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realmkit.accountfile import AccountFile
    from realmkit.kazoo.client import Crossbar
    from realmkit.kazoo.documents import Account, Connectivity, Device, FaxBox, Registration
    from realmkit.migrate.configs import Configs

_LONG_REALM = 32  # the platform's user interface takes no more


class Inventory(NamedTuple):
    """What was read of an account.

    Attributes:
        account: its document.
        devices: its phones' documents.
        registrations: where they are registered.
        connectivity: its trunks; boxes: its fax boxes.
        owner: who has the new realm, as far as we may see.
    """

    account: Account
    devices: list[Device]
    registrations: list[Registration]
    connectivity: list[Connectivity]
    boxes: list[FaxBox]
    owner: Account | None


def account_of(crossbar: Crossbar, account_file: AccountFile) -> Account:
    """The account that a file is about. Raises as the client does; InputError when there is no such account."""
    wanted = account_file.account
    return crossbar.account(wanted.id) if wanted.id else crossbar.find_account(wanted.name)


def read(crossbar: Crossbar, account: Account, new: str) -> Inventory:
    """Read what belongs to an account. Raises as the client does."""
    devices = [device for device in crossbar.devices(account.id) if device.is_phone]
    devices.sort(key=lambda device: _natural(device.name))
    return Inventory(
        account, devices, crossbar.registrations(account.id), crossbar.connectivity(account.id),
        crossbar.fax_boxes(account.id), crossbar.realm_owner(new),
    )  # fmt: skip


def judge(
    found: Inventory, account_file: AccountFile, configs: Configs, new: str
) -> tuple[tuple[Phone, ...], list[str]]:
    """The phones as they go into a plan, and what its reader should know.

    Raises:
        InputError: with a line for everything that stands in the way.
    """
    faults = _realm_faults(found, new)
    entries = account_file.account.phones
    matched: set[str] = set()
    phones, notes = [], []
    for device in found.devices:
        key = next((key for key in (device.id, device.mac or "", device.name) if key in entries), None)
        matched |= {key} if key else set()
        try:
            phone, note = _phone(device, entries.get(key or "") or PhoneEntry(), found.registrations, configs, new)
        except InputError as error:
            faults.append(f"{device.name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
            continue
        phones.append(phone)
        notes += [f"{device.name}: {note}"] if note else []
    faults += [f"accounts file: phones: no device is called {key!r}" for key in entries if key not in matched]
    if not found.devices:
        faults.append(f"{found.account.name} has no phones: set its realm with the account, no move is needed")
    if faults:
        raise InputError("\n".join(faults), hint="nothing was changed; mend these and plan again")
    return tuple(phones), notes + _notes(found, new)


def _realm_faults(found: Inventory, new: str) -> list[str]:
    old = found.account.realm
    if old.lower() == new.lower():
        return [f"{found.account.name} has the realm {old} already"]
    if found.owner is not None and found.owner.id != found.account.id:
        return [f"the realm {new} belongs to the account {found.owner.name}"]
    return []


def _phone(
    device: Device, entry: PhoneEntry, registrations: Iterable[Registration], configs: Configs, new: str
) -> tuple[Phone, str]:
    """A phone, and why it stays if it does."""
    rows = [row for row in registrations if row.device_id == device.id]
    seen = max(rows, key=lambda row: row.seen, default=None)
    why = _why_it_stays(device, entry, seen, new)
    model = None if why else configs.model_of(device, entry.model, seen.user_agent if seen else None)
    if model is not None and device.mac is None:
        raise InputError("has no MAC address, which names its configuration file", hint="or `moves: never`")
    way = resync(model, entry.moves) if model else None
    phone = Phone(
        device=device.id, name=device.name, username=device.username, mac=device.mac,
        model=model.name if model else None, moves="never" if why else entry.moves,
        event=way.event if way else None, settle=float(way.settle) if way else 0.0,
        reboots=model.reboots if model else False, digest=device.digest(), realm=device.realm,
        registered=seen.realm if seen else None,
    )  # fmt: skip
    return phone, why


def _why_it_stays(device: Device, entry: PhoneEntry, seen: Registration | None, new: str) -> str:
    if device.realm is not None and device.realm.lower() != new.lower():
        return f"has a realm of its own, {device.realm}, and keeps it"
    if entry.moves == "never":
        return "stays at the old realm, as the account file says"
    if not device.enabled:
        return "is disabled; it stays at the old realm"
    if seen is None:
        return "is not registered, so nothing reaches it; it stays at the old realm until somebody looks after it"
    return ""


def _notes(found: Inventory, new: str) -> list[str]:
    """What will be different for people afterwards."""
    notes = []
    trunks = [one.name or one.id for one in found.connectivity]
    if trunks:
        notes.append(f"trunks that register by password must be given {new} by hand: {', '.join(trunks)}")
    if len(found.boxes) > 1:
        notes.append(
            f"{len(found.boxes)} fax boxes: mail to NUMBER@{found.account.realm} ends; tell people NUMBER@{new}"
        )
    if len(new) > _LONG_REALM:
        notes.append(f"{new} is longer than {_LONG_REALM} characters, which the platform's own pages can't edit")
    return notes


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `Desk 2` before `Desk 10`."""
    return [(int(part) if part.isdigit() else -1, part.lower()) for part in re.split(r"([0-9]+)", name)]


def same_realm(one: str, other: str) -> bool:
    """Whether two realms are one, however they are written."""
    return one.rstrip(".").lower() == other.rstrip(".").lower()


def checked_realm(text: str, realms: Mapping[bytes, object]) -> str:
    """A realm in the form in which it is used everywhere: lower case, no final dot, one of `realmkit.yml`.

    Raises:
        InputError: it is malformed, or not configured, so that its records are nobody's.
    """
    realm = names.check_realm(text)
    plain = names.to_text(realm).rstrip(".")
    if realm not in realms:
        raise InputError(
            f"{plain} is no realm of realmkit.yml",
            hint=f"add it, inside one of its zones, under realms:  {plain}: {{account: NAME}}",
        )
    return plain
