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


class LedgerKey(Enum):
    """What makes two ledger entries one, beside account and source: which was read two ways.

    Attributes:
        START: the second at which its period starts, which is now where the client names none.
        MONTH: the month of that second, whose database holds it.
    """

    START = "start"
    MONTH = "month"


@dataclass
class Switches:
    """Settings of a cluster; all may be changed while it runs.

    Attributes:
        rejected_update_saves: an account update refused for a duplicate realm or name is saved all the same (F7).
        allow_aggregates: crossbar.devices/allow_aggregates: devices with a realm of their own go to sip_auth (F2).
        use_aggregate: registrar/use_aggregate: sip_auth is asked when a realm is no account's (F2).
        dial_by_endpoint: inbound calls look for the device's one row ("kz/..."), not for user@realm.
        merged_listing_shows: the platform leaves it unspecified.
        page_size: rows of a listing that is not told otherwise.
        maximum_range: days that one query of CDRs or ledgers may span.
        check_sync_event: the Event of a check-sync.
        account_realm_suffix: what a generated realm ends in.
        default_smtp_domain: what a fax box's own address ends in.
        refused_devices: ids of devices whose saves are refused with 400, as a new server-side check refuses old
            documents (13.3).
        sync_sends: POST /devices/{D}/sync sends what it says that it sent (F5).
        saves_always_sync: every save of a device but PATCH sends a check-sync, not only one of new credentials (F5).
        patch_syncs: PATCH of a device does what POST does (F6); whether it does anywhere is unread.
        facts_in_metadata: what the platform adds to accounts and fax boxes is in the envelope's `metadata`, not in
            `data` (13.3).
        envelope_metadata: every answer has `metadata`, be it empty (13.3).
        parents_with_realm: rows of /parents and /tree carry realm and flags (13.3).
        search_by_bookmark: /search pages by `bookmark` in place of `next_start_key` and `start_key` (13.3).
        status_in_rows: GET /devices?with_status=true tells of each device what /devices/status does (13.1, F3).
        rows_read_only: rows of listings carry `_read_only` (13.3).
        status_lists_all: GET /devices/status lists all devices, by the edge's rows at the account's realm (13.1, F3).
        senders: /whitelabel/emails is there (13.3), and not just another name under which the brand is shown.
        own_account_deletable: an account may delete itself (13.3).
        api_key_shown: the account's facts hold its API key.
        buckets: requests cost tokens, and none left is 429.
        limits_cost_money: more trunks than before are 402 until the charges are accepted.
        plans_cost_money: so is a service plan that was not assigned before.
        account_creation_seconds: how long the answer to an account's creation takes; the account is there meanwhile.
        account_creation_fails: the creation of an account fails on its way with 500, and is unrolled.
        ledger_key: see there.
        blacklisted_apps_listed: GET /apps_store of an account shows the apps that are denied to it.
        strict_schemas: a value of the wrong JSON type is refused; else what can be read as the right one is.
        substitutes_all: `{{domain}}` is replaced wherever it stands in a host or mapping, not once in each.
        max_upload_size: octets of an upload.
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
    sync_sends: bool = True
    saves_always_sync: bool = False
    patch_syncs: bool = False
    facts_in_metadata: bool = True
    envelope_metadata: bool = True
    parents_with_realm: bool = True
    search_by_bookmark: bool = True
    status_in_rows: bool = True
    rows_read_only: bool = True
    status_lists_all: bool = True
    senders: bool = True
    own_account_deletable: bool = False
    api_key_shown: bool = True
    buckets: bool = True
    limits_cost_money: bool = False
    plans_cost_money: bool = False
    account_creation_seconds: float = 0.0
    account_creation_fails: bool = False
    ledger_key: LedgerKey = LedgerKey.START
    blacklisted_apps_listed: bool = False
    strict_schemas: bool = False
    substitutes_all: bool = False
    max_upload_size: int = 8_000_000

    @classmethod
    def of(cls, generation: Generation) -> Switches:
        """The defaults of that generation. Whether F7 still holds in NEWER could not be read: it is off there."""
        if generation is Generation.NEWER:
            return cls()
        return cls(
            rejected_update_saves=True,
            sync_sends=False,
            saves_always_sync=True,
            facts_in_metadata=False,
            envelope_metadata=False,
            parents_with_realm=False,
            search_by_bookmark=False,
            status_in_rows=False,
            rows_read_only=False,
            status_lists_all=False,
            senders=False,
            own_account_deletable=True,
            api_key_shown=False,
        )
