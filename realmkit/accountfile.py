"""What the user writes in `accounts/NAME.yml`: a customer's account with its sites and the phones that need a word.

`realms:` in `realmkit.yml` names the file: `acme.voice.example.com: {account: acme}` is `accounts/acme.yml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from realmkit.config import Entry, decode
from realmkit.errors import InputError
from realmkit.yamlfile import Document, load


class SiteEntry(Entry, frozen=True):
    """A place where people work.

    Attributes:
        name: what people call it.
        hours: when it is open, in opening-hours syntax: `Mo-Fr 08:00-18:00; PH off`.
        timezone: an IANA name; None for the account's.
        country: ISO 3166-1 or 3166-2 (`US-TX`, `DE-BY`), which `PH` needs.
        days_off: further dates on which it is closed, `2026-12-24`.
        always_on: what there never has a quiet time (an emergency line); named in plans and notices.
    """

    name: str
    hours: str
    timezone: str | None = None
    country: str | None = None
    days_off: tuple[str, ...] = ()
    always_on: tuple[str, ...] = ()


class PhoneEntry(Entry, frozen=True):
    """What the platform does not know about a phone.

    Attributes:
        model: `yealink/t54w`, where neither the device document nor the phone's user agent says it.
        moves: `resync` obeys a check-sync; `by-hand` somebody reconfigures it; `never` stays at the old realm and is
            pinned there.
    """

    model: str | None = None
    moves: Literal["resync", "by-hand", "never"] = "resync"


class Account(Entry, frozen=True):
    """The whole file.

    Attributes:
        name: the account's name on the platform.
        timezone: an IANA name.
        id: the account's id on the platform; None looks it up by name.
        sites: where people work; without any there is no quiet time to find.
        phones: by device name, MAC address or device id.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    timezone: Annotated[str, Meta(min_length=1, max_length=32)]
    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    sites: tuple[SiteEntry, ...] = ()
    phones: dict[str, PhoneEntry] = field(default_factory=dict)


class AccountFile(Struct, frozen=True):
    """An account with the document that it was read from, which finds places for later errors."""

    account: Account
    document: Document


def open_account(directory: Path, name: str) -> AccountFile:
    """Read `accounts/NAME.yml` of the project in `directory`.

    Raises:
        InputError: the file is missing, is no YAML, or says something that can't be.
    """
    path = directory / "accounts" / f"{name}.yml"
    if not path.is_file():
        raise InputError(f"{path}: no such file", hint="it names the account, its time zone and its sites' hours")
    document = load(path)
    return AccountFile(decode(document, document.data, Account, ()), document)


def schema() -> dict[str, object]:
    """The JSON Schema of the file (draft 2020-12)."""
    whole = msgspec.json.schema(Account)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole
