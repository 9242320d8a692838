"""What goes on in an account: registrations, calls that are up, and records of those that are over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.kazoo.values import GREGORIAN_EPOCH, UNIX_EPOCH, from_gregorian, is_true, mapping, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping


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
            start = UNIX_EPOCH + timedelta(microseconds=created)
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
