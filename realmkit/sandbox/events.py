"""What happened on the sandbox's platform, and from it: how long a phone could not be called."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class EventKind(Enum):
    """What kind of thing happened.

    Attributes:
        DEVICE_SAVED: a device was created or saved; the detail is where it is dialled from now on.
        REALM_CHANGED: an account's realm was changed; the detail is `old -> new`.
        NOTIFY_SENT: a NOTIFY went to a phone; the detail is `event to user@realm`.
        NOTIFY_UNDELIVERABLE: nobody was registered where it was addressed, so it went nowhere.
        REGISTERED: a REGISTER made a row, or came from a phone that started anew. Plain refreshes are not recorded.
        UNREGISTERED: a phone took its registration back.
        EXPIRED: the edge forgot a row because its time was over.
        FLUSHED: a row was flushed at Crossbar's request, from ecallmgr's view; the detail is `user@realm`.
        DARK: an inbound call would no longer reach the device.
        RINGS: an inbound call would reach the device again, or for the first time.
        CALL_STARTED: a call began on the device.
        CALL_ENDED: it ended.
    """

    DEVICE_SAVED = "device saved"
    REALM_CHANGED = "realm changed"
    NOTIFY_SENT = "notify sent"
    NOTIFY_UNDELIVERABLE = "notify undeliverable"
    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    FLUSHED = "flushed"
    DARK = "dark"
    RINGS = "rings"
    CALL_STARTED = "call started"
    CALL_ENDED = "call ended"


class Event(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        at: when, UTC.
        kind: what.
        account: the account's id.
        subject: the id of the device or account that it happened to.
        detail: the rest, in a few words; never a password.
    """

    at: datetime
    kind: EventKind
    account: str
    subject: str
    detail: str = ""


def dark_time(events: Iterable[Event], device: str, since: datetime, until: datetime) -> timedelta:
    """How long within `since`..`until` no inbound call would have reached the device.

    A device counts as dark before its first `RINGS`.

    Args:
        events: in the order in which they were recorded.
        device: its id.
        since: from when, UTC.
        until: to when, UTC.
    """
    total = timedelta()
    dark_from: datetime | None = since
    for event in events:
        if event.subject != device or event.kind not in (EventKind.DARK, EventKind.RINGS) or event.at > until:
            continue
        if event.kind is EventKind.DARK:
            dark_from = max(event.at, since) if dark_from is None else dark_from
        elif dark_from is not None:
            total += max(timedelta(), event.at - dark_from)
            dark_from = None
    return total if dark_from is None else total + max(timedelta(), until - dark_from)
