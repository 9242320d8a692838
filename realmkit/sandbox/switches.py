"""What differs between Kazoo clusters: by generation, by configuration, or by what the source leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Generation(Enum):
    """Which Kazoo the sandbox is: 2600hz/kazoo of March 2024, or the 5.x applications of May 2026."""

    OLDER = "2024"
    NEWER = "2026"


class Shown(Enum):
    """Which row `GET /registrations` shows of several with the same username and Contact."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass
class Switches:
    """Settings of a cluster; all may be changed while it runs.

    Attributes:
        rejected_update_saves: an account update refused for a duplicate realm or name is saved all the same.
        allow_aggregates: crossbar.devices/allow_aggregates: devices with a realm of their own go to sip_auth.
        use_aggregate: registrar/use_aggregate: sip_auth is asked when a realm is no account's.
        dial_by_endpoint: inbound calls look for the device's one row ("kz/..."), not for user@realm.
        merged_listing_shows: the platform leaves it unspecified.
        page_size: rows of a listing that is not told otherwise.
        maximum_range: days that one CDR query may span.
        check_sync_event: the Event of a check-sync.
        account_realm_suffix: what a generated realm ends in.
        default_smtp_domain: what a fax box's own address ends in.
        refused_devices: ids of devices whose saves are refused with 400, as a new server-side check refuses old
            documents (13.3).
    """

    rejected_update_saves: bool = False
    allow_aggregates: bool = True
    use_aggregate: bool = True
    dial_by_endpoint: bool = True
    merged_listing_shows: Shown = Shown.NEWEST
    page_size: int = 50
    maximum_range: int = 31
    check_sync_event: str = "check-sync"
    account_realm_suffix: str = "sip.sandbox.example"
    default_smtp_domain: str = "fax.sandbox.example"
    refused_devices: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, generation: Generation) -> Switches:
        """The defaults of that generation. Whether F7 still holds in NEWER could not be read: it is off there."""
        return cls(rejected_update_saves=generation is Generation.OLDER)
