"""The platform's documents as frozen types that keep every key they do not know.

A document holds the JSON object as it came, made immutable; what realmkit needs of it are properties. So a document
that is read, changed in one place and sent back loses nothing, whatever a later Kazoo or a user interface keeps there.
Passwords that a document holds are in no repr.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Self

from msgspec import Struct

from realmkit.kazoo.values import NOTHING, canonical, freeze, is_true, mapping, text, thaw, whole
from realmkit.secrets import Password

GREGORIAN_EPOCH: Final = 62_167_219_200  # seconds from year 0, Kazoo's epoch, to 1970
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_EXPIRES: Final = 300  # seconds; the default of sip.expire_seconds in the schema `devices`


def to_gregorian(instant: datetime) -> int:
    """Gregorian seconds of an aware instant; a fraction of a second is dropped."""
    return (instant - _EPOCH) // timedelta(seconds=1) + GREGORIAN_EPOCH


def from_gregorian(seconds: int) -> datetime:
    """The instant, aware, in UTC, of Gregorian seconds."""
    return _EPOCH + timedelta(seconds=seconds - GREGORIAN_EPOCH)


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
        """Whether the account may use the platform; newer clusters say so in the metadata only."""
        return is_true(self.metadata.get("enabled", self.data.get("enabled")), default=True)


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


class Registration(Struct, frozen=True):
    """What the platform's call managers hold of one registered phone.

    Attributes:
        username: the user part of the address of record.
        realm: its host part: the realm at which the phone registers.
        account_realm: the account's realm when the phone last authenticated, which may be long ago.
        device_id: the device that it authenticated as; None where the platform does not say.
        contact: where calls are sent to, as a SIP URI or as it came.
        user_agent: what the phone calls itself.
        expires: seconds for which the registration holds.
        seen: when it was last renewed; 1970 where the platform does not say.
        call_id: of the REGISTER.
        source: `address:port` from which the phone sends.
    """

    username: str
    realm: str
    account_realm: str
    device_id: str | None
    contact: str
    user_agent: str
    expires: int
    seen: datetime
    call_id: str
    source: str

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Registration:
        """Read one row of `GET /accounts/{A}/registrations`."""
        said = {key: text(row.get(key)) or "" for key in _REGISTRATION_TEXTS}
        return cls(
            **said,
            device_id=text(row.get("authorizing_id")) or None,
            expires=whole(row.get("expires")) or 0,
            seen=from_gregorian(whole(row.get("event_timestamp")) or GREGORIAN_EPOCH),
            source=_source(row),
        )


_REGISTRATION_TEXTS: Final = ("username", "realm", "account_realm", "contact", "user_agent", "call_id")


class Channel(Struct, frozen=True):
    """One leg of a call that is up now.

    Attributes:
        uuid: the leg's id.
        device_id: the device it belongs to; None for a carrier's leg.
        answered: whether anybody has picked up.
        direction: `inbound` or `outbound`, as the media server sees it.
        destination: what was dialled.
    """

    uuid: str
    device_id: str | None
    answered: bool
    direction: str
    destination: str

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Channel:
        """Read one row of `GET /accounts/{A}/channels`."""
        return cls(
            uuid=text(row.get("uuid")) or "",
            device_id=text(row.get("authorizing_id")) or None,
            answered=is_true(row.get("answered"), default=False),
            direction=text(row.get("direction")) or "",
            destination=text(row.get("destination")) or "",
        )


class Cdr(Struct, frozen=True):
    """One leg of a call that is over.

    Attributes:
        start: when the leg was set up.
        seconds: how long it lasted, ringing included.
        device_id: the device it belongs to; None for a carrier's leg.
        from_: the caller, as `user@realm` or a number.
        to: the callee, likewise.
    """

    start: datetime
    seconds: int
    device_id: str | None = None
    from_: str = ""
    to: str = ""

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Cdr:
        """Read one row of `GET /accounts/{A}/cdrs`.

        Its `timestamp` says when the record was made, which is when the leg ended (schema `cdrs`); so without
        `channel_created_time` the start is that less the duration.

        Raises:
            ValueError: the row does not say when the call was.
        """
        seconds = max(0, whole(row.get("duration_seconds")) or 0)
        created, made = whole(row.get("channel_created_time")), whole(row.get("timestamp"))
        if created:
            start = _EPOCH + timedelta(microseconds=created)
        elif made is not None:
            start = from_gregorian(made - seconds)
        else:
            raise ValueError("a call record without a timestamp")
        variables = mapping(row.get("custom_channel_vars"))
        return cls(
            start=start,
            seconds=seconds,
            device_id=text(row.get("authorizing_id", variables.get("authorizing_id"))) or None,
            from_=text(row.get("from")) or "",
            to=text(row.get("to")) or "",
        )


def _source(row: Mapping[str, Any]) -> str:
    for kind in ("network", "contact"):
        address, port = text(row.get(f"{kind}_ip")), text(row.get(f"{kind}_port"))
        if address and port:
            return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return ""


__all__ = [
    "Account", "Cdr", "Channel", "Connectivity", "Device", "Document", "FaxBox", "Password", "Registration",
    "from_gregorian", "to_gregorian",
]  # fmt: skip
