"""What the user writes in `accounts/NAME.yml`: a customer's account, all of it, with its sites and phones.

`realms:` in `realmkit.yml` names the file: `acme.voice.example.com: {account: acme}` is `accounts/acme.yml`. A section
that is left out is not touched on an account that exists; what a new account gets then stands with each.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from realmkit.config import Entry, decode, schema_of_special
from realmkit.errors import InputError
from realmkit.secrets import Secret
from realmkit.yamlfile import Document, load

DIRECTORY: Final = "accounts"

Text = Annotated[str, Meta(max_length=256)]
MAIL_PATTERN: Final = r"^[^@\s]+@[^@\s]+$"

Mail = Annotated[str, Meta(pattern=MAIL_PATTERN, max_length=254, description="an e-mail address")]
Trunks = Annotated[int, Meta(ge=0, le=100_000)]
Money = Annotated[float, Meta(ge=1, le=1_000_000, description="in the platform's currency")]
Seen = Literal["show", "hide"]
Carrier = Literal["system", "partner", "own"]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


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


class AddressEntry(Entry, frozen=True):
    """Where the customer is; the platform keeps it with the billing contact. `""` removes a value."""

    street: Text | None = None
    street2: Text | None = None
    city: Text | None = None
    state: Text | None = None
    zip: Text | None = None
    country: Text | None = None


class ContactEntry(Entry, frozen=True):
    """Somebody at the customer's. `""` removes a value."""

    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None


class SalesEntry(Entry, frozen=True):
    """Who sold it: a user of the reseller's account. `""` removes a value.

    Attributes:
        name: what people call the user.
        user_id: the user's id.
        account_id: the reseller's; None for the API key's own account.
    """

    name: Text
    user_id: Annotated[str, Meta(pattern="^([0-9a-f]{32})?$")] | None = None
    account_id: Annotated[str, Meta(pattern="^([0-9a-f]{32})?$")] | None = None


class ContactsEntry(Entry, frozen=True):
    """Whom to call about bills and about trouble, and who sold it."""

    billing: ContactEntry | None = None
    technical: ContactEntry | None = None
    sales: SalesEntry | None = None


class AdminEntry(Entry, frozen=True):
    """A user of the customer's who manages the account, found by user name, else by e-mail address.

    One that is missing is made; of one that is there names, address and level are kept as written. None is deleted.

    Attributes:
        first_name: the user's.
        last_name: the user's.
        email: the user's.
        username: what the user logs in with; None for the e-mail address.
        password: of a user that is made, as a reference; None makes one up, which only the platform's mail to the user
            tells. Nobody's password is changed.
        send_email: whether the platform writes to the new user.
    """

    first_name: Annotated[str, Meta(min_length=1, max_length=128)]
    last_name: Annotated[str, Meta(min_length=1, max_length=128)]
    email: Mail
    username: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    password: Secret | None = None
    send_email: bool = True


class LimitsEntry(Entry, frozen=True):
    """How many calls at a time, by direction, and whether calls may be paid by the minute. None leaves one alone."""

    twoway_trunks: Trunks | None = None
    inbound_trunks: Trunks | None = None
    outbound_trunks: Trunks | None = None
    allow_prepay: bool | None = None


class PermissionsEntry(Entry, frozen=True):
    """What the customer sees of his account. Prices and payments are the reseller's business, so they are hidden."""

    user: Seen = "show"
    account: Seen = "show"
    billing: Seen = "hide"
    balance: Seen = "show"
    credit: Seen = "show"
    minutes: Seen = "show"
    service_plan: Seen = "hide"
    transactions: Seen = "hide"
    inbound: Seen = "show"
    outbound: Seen = "show"
    twoway: Seen = "show"
    error_tracker: Seen = "show"


class FeaturesEntry(Entry, frozen=True):
    """Whether the customer manages emergency addresses and caller names of his numbers."""

    e911: bool = True
    cnam: bool = True


class AppsEntry(Entry, frozen=True):
    """Which apps the account's users may have, by name or id: those allowed, less those denied."""

    allow: Literal["all"] | tuple[str, ...] = "all"
    deny: tuple[str, ...] = ()


class NotesEntry(Entry, frozen=True):
    """What the reseller notes about the account.

    Attributes:
        announcement: shown in the account manager; `""` removes it.
        contract_ends: the day.
    """

    announcement: str | None = None
    contract_ends: date | None = None


class Account(Entry, frozen=True):
    """The whole file.

    Attributes:
        name: the account's name on the platform.
        timezone: an IANA name.
        id: the account's id on the platform; None looks it up by realm, else by name.
        realm: its SIP realm; None for the one that `realmkit.yml` gives to this account. Never changed by `account
            apply`.
        language: `en-US`.
        parent: the account above, by name, realm or id; None for the API key's own.
        address: where the customer is.
        contacts: whom to call.
        admins: users who manage the account.
        restrictions: by classifier, which calls are denied; one that is not named is not. A new account: none.
        limits: trunks and calls by the minute.
        credit: paid into the account once; or several payments, each once, by a label of yours. The label of a
            single amount is `opening`.
        topup: the balance below which the platform tops up.
        permissions: what the customer sees.
        features: what the customer manages of his numbers.
        carrier: whose carriers take the account's calls. A new account: the system's.
        apps: which apps its users may have.
        service_plans: by name or id; others that the account has are taken away.
        notes: what the reseller notes.
        sites: where people work; without any there is no quiet time to find.
        phones: by device name, MAC address or device id.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    timezone: Annotated[str, Meta(min_length=1, max_length=32)]
    id: Id | None = None
    realm: str | None = None
    language: Annotated[str, Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$|^auto$")] | None = None
    parent: Annotated[str, Meta(min_length=1)] | None = None
    address: AddressEntry | None = None
    contacts: ContactsEntry | None = None
    admins: tuple[AdminEntry, ...] | None = None
    restrictions: dict[str, Literal["inherit", "deny"]] | None = None
    limits: LimitsEntry | None = None
    credit: Money | dict[str, Money] | None = None
    topup: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    permissions: PermissionsEntry | None = None
    features: FeaturesEntry | None = None
    carrier: Carrier | None = None
    apps: AppsEntry | None = None
    service_plans: tuple[str, ...] | None = None
    notes: NotesEntry | None = None
    sites: tuple[SiteEntry, ...] = ()
    phones: dict[str, PhoneEntry] = field(default_factory=dict)


class AccountFile(Struct, frozen=True):
    """An account with the document that it was read from, which finds places for later errors."""

    account: Account
    document: Document


def names(directory: Path) -> list[str]:
    """The names of all account files of the project in `directory`, sorted."""
    return sorted(path.stem for path in (directory / DIRECTORY).glob("*.yml"))


def path_of(directory: Path, name: str) -> Path:
    """Where the file of that name lives.

    Raises:
        InputError: the name leads elsewhere.
    """
    if name != Path(name).name or not name:
        raise InputError(f"{name!r} is no name of a file in {directory / DIRECTORY}")
    return directory / DIRECTORY / f"{name}.yml"


def open_account(directory: Path, name: str) -> AccountFile:
    """Read `accounts/NAME.yml` of the project in `directory`.

    Raises:
        InputError: the file is missing, is no YAML, or says something that can't be.
    """
    path = path_of(directory, name)
    if not path.is_file():
        raise InputError(f"{path}: no such file", hint="it names the account, its time zone and its sites' hours")
    return read(load(path))


def read(document: Document) -> AccountFile:
    """The account that a document describes. Raises InputError when it says something that can't be."""
    return AccountFile(decode(document, document.data, Account, ()), document)


def schema() -> dict[str, Any]:
    """The JSON Schema of the file (draft 2020-12)."""
    whole = msgspec.json.schema(Account, schema_hook=schema_of_special)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole
