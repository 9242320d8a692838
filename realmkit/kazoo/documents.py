"""The platform's documents as frozen types that keep every key they do not know.

A document holds the JSON object as it came, made immutable; what realmkit needs of it are properties. So a document
that is read, changed in one place and sent back loses nothing, whatever a later Kazoo or a user interface keeps there.
Passwords that a document holds are in no repr.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from msgspec import Struct

from realmkit.kazoo.activity import Cdr, Channel, Registration
from realmkit.kazoo.values import (
    NOTHING,
    canonical,
    freeze,
    from_gregorian,
    is_true,
    mapping,
    text,
    thaw,
    to_gregorian,
    whole,
)
from realmkit.secrets import Password

if TYPE_CHECKING:
    from datetime import datetime

DEFAULT_EXPIRES: Final = 300  # seconds; the default of sip.expire_seconds in the schema `devices`


class Document(Struct, frozen=True, eq=False):
    """A JSON object of the platform. Two are equal if their content is, whatever their revisions.

    Attributes:
        data: the object as it came, immutable all the way down.
        revision: what the platform calls this state of it; None for an object that was not read from there.
    """

    data: Mapping[str, Any]
    revision: str | None = None

    READ_ONLY: ClassVar[frozenset[str]] = frozenset()  # keys that the platform adds when asked and does not store

    @classmethod
    def from_json(cls, data: Mapping[str, Any], revision: str | None = None) -> Self:
        """Take over a decoded JSON object; later changes of `data` do not reach the document."""
        return cls(freeze(data), revision)

    def to_json(self) -> dict[str, Any]:
        """The whole document, as fresh dicts and lists."""
        whole: dict[str, Any] = thaw(self.data)
        return whole

    def to_body(self) -> dict[str, Any]:
        """The document as it may be sent back: without what only the platform writes."""
        return {key: value for key, value in self.to_json().items() if not self._is_volatile(key)}

    @property
    def id(self) -> str:
        """The document's id, 32 hexadecimal digits; empty for a document that has none yet."""
        return text(self.data.get("id")) or ""

    @property
    def name(self) -> str:
        """What people call it."""
        return text(self.data.get("name")) or ""

    def _is_volatile(self, key: str) -> bool:
        return key in _VOLATILE or key in self.READ_ONLY or key.startswith(("_", "pvt_"))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and canonical(other.to_body()) == canonical(self.to_body())

    def __hash__(self) -> int:
        return hash(canonical(self.to_body()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, name={self.name!r}, revision={self.revision!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What `rich` shows in place of the fields: no content, which may hold passwords."""
        return [("id", self.id), ("name", self.name), ("revision", self.revision)]


_VOLATILE: Final = frozenset({"revision", "metadata"})


class Account(Document, frozen=True, eq=False):
    """An account.

    Attributes:
        metadata: what newer clusters say about the account beside its document (`enabled`, `is_reseller` ...).
    """

    metadata: Mapping[str, Any] = NOTHING

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "api_key",
            "billing_mode",
            "created",
            "is_reseller",
            "notification_preference",
            "reseller_id",
            "superduper_admin",
            "trial_time_left",
            "wnm_allow_additions",
        }
    )

    @property
    def realm(self) -> str:
        """The account's SIP realm, in the case in which it is stored."""
        return text(self.data.get("realm")) or ""

    @property
    def timezone(self) -> str | None:
        """An IANA name, or `inherit`; None where none is set."""
        return text(self.data.get("timezone"))

    @property
    def enabled(self) -> bool:
        """Whether the account may use the platform."""
        return is_true(self._said("enabled"), default=True)

    @property
    def created(self) -> datetime | None:
        """When it was made, aware; None where the platform does not say."""
        seconds = whole(self._said("created"))
        return from_gregorian(seconds) if seconds is not None else None

    @property
    def is_reseller(self) -> bool:
        """Whether it has accounts of its own to bill."""
        return is_true(self._said("is_reseller"), default=False)

    @property
    def reseller_id(self) -> str | None:
        """The id of the account that bills this one; None where the platform does not say."""
        return text(self._said("reseller_id")) or None

    def with_data(self, data: Mapping[str, Any]) -> Account:
        """The same account, at the same revision, with another document."""
        return Account(freeze(data), self.revision, self.metadata)

    def _said(self, key: str) -> Any:
        """What only the platform writes: newer clusters say it beside the document, older ones in it."""
        return self.metadata.get(key, self.data.get(key))


class Device(Document, frozen=True, eq=False):
    """A phone or another endpoint with its SIP credentials."""

    @property
    def username(self) -> str:
        """The SIP user name, which is the authentication user name too."""
        return text(self._sip.get("username")) or ""

    @property
    def password(self) -> Password:
        """The SIP password."""
        return Password(text(self._sip.get("password")) or "")

    @property
    def realm(self) -> str | None:
        """The device's own realm, `sip.realm`; None registers at the account's."""
        return text(self._sip.get("realm")) or None

    @property
    def expires(self) -> int:
        """Seconds for which the phone should register."""
        return whole(self._sip.get("expire_seconds")) or DEFAULT_EXPIRES

    @property
    def mac(self) -> str | None:
        """The MAC address as twelve lower-case hexadecimal digits; None for a device without a usable one."""
        digits = re.sub(r"[^0-9a-f]", "", (text(self.data.get("mac_address")) or "").lower())
        return digits if len(digits) == 12 else None

    @property
    def brand(self) -> str | None:
        """`provision.endpoint_brand`, as `yealink`."""
        return text(self._provision.get("endpoint_brand")) or None

    @property
    def family(self) -> str | None:
        """`provision.endpoint_family`, as `t4x`."""
        return text(self._provision.get("endpoint_family")) or None

    @property
    def model(self) -> str | None:
        """`provision.endpoint_model`, as `t46s`."""
        return text(self._provision.get("endpoint_model")) or None

    @property
    def device_type(self) -> str | None:
        """`sip_device`, `softphone`, `ata`, `fax`, `cellphone` ...; None where none is set."""
        return text(self.data.get("device_type")) or None

    @property
    def owner_id(self) -> str | None:
        """The id of the user whose device it is."""
        return text(self.data.get("owner_id")) or None

    @property
    def enabled(self) -> bool:
        """Whether it may register."""
        return is_true(self.data.get("enabled"), default=True)

    @property
    def is_phone(self) -> bool:
        """Whether it registers with a user name and a password, as phones do and forwarding targets do not."""
        elsewhere = self.device_type in ("cellphone", "landline", "mobile", "sip_uri")
        by_password = (text(self._sip.get("method")) or "password").lower() == "password"
        return bool(self.username) and by_password and not elsewhere

    @property
    def _sip(self) -> Mapping[str, Any]:
        return mapping(self.data.get("sip"))

    @property
    def _provision(self) -> Mapping[str, Any]:
        return mapping(self.data.get("provision"))

    def with_realm(self, realm: str | None) -> Device:
        """The same device with its own realm, or with none: every other key and the revision stay."""
        sip = {key: value for key, value in self._sip.items() if key != "realm"}
        if realm is not None:
            sip["realm"] = realm
        if not sip and "sip" not in self.data:
            return self
        return Device.from_json({**self.data, "sip": sip}, self.revision)

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of what a device is, less `sip.realm`, `sip.password` and what the platform writes.

        It tells whether anybody else changed the device. Crossbar may fill in defaults when it saves, so compare it
        with a digest that was taken since our own last save.
        """
        body = self.to_body()
        kept = {key: value for key, value in self._sip.items() if key not in ("realm", "password")}
        body.pop("sip", None)
        if kept:
            body["sip"] = thaw(kept)
        return hashlib.sha256(canonical(body).encode("ascii")).hexdigest()


class Connectivity(Document, frozen=True, eq=False):
    """The trunks of an account: remote PBXs that register or are known by their addresses."""

    @property
    def realm(self) -> str | None:
        """`account.auth_realm`: the account's realm when the document was last saved; Crossbar writes it."""
        return text(mapping(self.data.get("account")).get("auth_realm")) or None


class FaxBox(Document, frozen=True, eq=False):
    """A fax box."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"smtp_email_address"})

    @property
    def custom_address(self) -> str | None:
        """The mail domain for which the box takes fax mail beside its own and the account realm."""
        return text(self.data.get("custom_smtp_email_address")) or None

    def with_custom_address(self, address: str | None) -> FaxBox:
        """The same box with another custom address, or with none."""
        data = {key: value for key, value in self.data.items() if key != "custom_smtp_email_address"}
        if address is not None:
            data["custom_smtp_email_address"] = address
        return FaxBox.from_json(data, self.revision)


__all__ = [
    "Account", "Cdr", "Channel", "Connectivity", "Device", "Document", "FaxBox", "Password", "Registration",
    "from_gregorian", "to_gregorian",
]  # fmt: skip
