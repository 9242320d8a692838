"""Cloudflare DNS, through the official SDK: one batch of records a call, ownership in the records' comments.

What Cloudflare's documentation says (developers.cloudflare.com, seen 2026-11-25; SDK 5.9.0), and what follows:

- A batch is one database transaction: all of it or nothing. How it spreads to the edge is not atomic; verification
  on the name servers shows when it has.
- The API has no precondition. So the token is a digest of the zone's content, and `apply` lists the zone and compares
  just before it writes. In a run of batches the list is left out while the state that the batch before answered is
  less than three seconds old and the last list less than fifteen. A writer that fits into that window is noticed by a
  batch that touches the same records by id, by the list that follows, and by verification, but not by the zone's token.
- Records are named by id, so what others add beside ours is never overwritten.
- What is served of a proxied record is Cloudflare's own address. Such sets are `opaque`, are never written over, and
  nothing is written that sends SIP or mail to them. `proxied: true` is never written.
- The SOA and the NS of the apex are not among the records; a TTL of 1 means 300 s.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple

from msgspec import Meta, structs

from realmkit.dns import names, provider
from realmkit.dns.apiurl import check_url
from realmkit.dns.provider import Capabilities, Change, Context, Key, Receipt, Secret, Weight, Zone
from realmkit.errors import (
    ConflictError,
    InputError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    SecretError,
)
from realmkit_providers import cloudflare_guard as guard
from realmkit_providers import cloudflare_zones as zones
from realmkit_providers.cloudflare_answers import READ_AGAIN
from realmkit_providers.cloudflare_api import connect
from realmkit_providers.cloudflare_batch import Notes, batch_of, marks, weigh
from realmkit_providers.cloudflare_records import FIELDS
from realmkit_providers.cloudflare_state import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit_providers.cloudflare_api import Api, ApiZone
    from realmkit_providers.cloudflare_batch import Batch, Operation
    from realmkit_providers.cloudflare_state import State

FRESH: Final = 3.0  # seconds for which the state after our own batch is taken as a reading
LISTED: Final = 15.0  # seconds after which the zone is listed all the same
_GLOBAL_KEY: Final = re.compile(r"[0-9a-f]{37}\Z")  # the form of the key that may do everything [from memory]


class CloudflareSettings(provider.Settings, frozen=True):
    """The keys beside `type` under `providers:`.

    Attributes:
        api_token: an API token with Zone:Read and DNS:Edit on the zones. The global key is not taken.
        account: id or name of the account that holds the zones, where the token sees several; its id, or a name that
            the token can look up, is needed to make zones.
        base_url: where the API is.
        timeout: seconds to wait for each answer.
        plan: the plan by which a zone's limits are taken; asked for where it is left out.
        comments: keep the owner in the comment of each record that is created.
    """

    api_token: Secret
    account: str = ""
    base_url: str = "https://api.cloudflare.com/client/v4"
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for each answer")] = 30.0
    plan: Literal["free", "pro", "business", "enterprise"] | None = None
    comments: bool = True


class _Recent(NamedTuple):
    """A zone as our own batch left it: when that was answered, and when the zone was last listed."""

    state: State
    answered: float
    listed: float


class Cloudflare:
    """Cloudflare DNS, through API v4 with an API token.

    A batch is all or nothing in Cloudflare's database; to the edge it spreads record by record, within seconds.
    """

    Settings: ClassVar[type[provider.Settings]] = CloudflareSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        atomic=True,
        cas="zone",
        max_changes=zones.FREE.changes,
        min_ttl=zones.FREE.min_ttl,
        types=frozenset(FIELDS),
        notes=True,
        serials=False,
    )

    def __init__(self, settings: CloudflareSettings, context: Context) -> None:
        check_url(settings.base_url, "cloudflare: base_url", "leave it out", in_the_clear=False)
        self._settings = settings
        self._context = context
        self._owner = context.owner if settings.comments and context.owner else None
        self._lock = threading.Lock()
        self._zones: dict[Name, ApiZone] = {}
        self._recent: dict[Name, _Recent] = {}

    def snapshot(self, zone: Name) -> Zone:
        """All records of the zone.

        `unread` tells of a zone that is not active, of proxied and flattened names (also in `opaque`), and of records
        that can't be read. `owners` comes from the comments.
        """
        with self._api() as api:
            place, state = self._read(api, zone)
        return state.as_zone(zones.words(place))

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """One batch, after the zone was found as the token says."""
        with self._api() as api:
            place, state, listed = self._current(api, zone, token)
            limits, room = self._limits(place)
            guard.check(state, changes, limits)
            try:
                batch = batch_of(state, changes, Notes(self._owner, room))
            except InputError as error:
                raise RejectedError(error.message, hint="Cloudflare's API can't say it; mend the plan") from error
            if not len(batch):
                return Receipt(state.token)
            _check_size(batch, limits)
            after, reference = self._send(api, place, state, batch, changes)
            self._remember(zone, after, listed)
            return Receipt(after.token, reference=reference)

    def mark(self, zone: Name, owners: Mapping[Key, str | None], token: str) -> Receipt:
        """Put our mark at the end of the comments of each record, or take it away; what people wrote there stays.

        Many records take several batches. With `comments: false` nothing is written.

        Raises:
            OutcomeUnknownError: some were marked and then a batch failed; marking again is harmless.
        """
        with self._api() as api:
            place, state = self._read(api, zone)
            zones.compare(place, state, token)
            limits, room = self._limits(place)
            wanted = owners if self._settings.comments else {}
            notes = Notes(self._owner, room)
            patches = [one for key, owner in wanted.items() for one in marks(state, key, owner, notes)]
            with self._lock:
                self._recent.pop(zone, None)  # it holds the comments as they were
            for start in range(0, len(patches), limits.max_changes or 1):
                part = patches[start : start + (limits.max_changes or 1)]
                try:
                    _mark(api, place, part)
                except ProviderError as error:
                    if start == 0:
                        raise
                    raise OutcomeUnknownError(f"marked in part only: {error.message}", hint=error.hint) from error
        return Receipt(state.token)

    def settled(self, receipt: Receipt) -> bool:  # noqa: ARG002 - the contract's signature
        """True: the API tells of no propagation. Each record reaches the edge by itself, mostly within seconds."""
        return True

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """Operations on records, in the worst case; octets do not count."""
        return weigh(changes)

    def limits(self, zone: Name) -> Capabilities:
        """What the zone's plan allows, asked for once."""
        with self._api() as api:
            return self._limits(self._place(api, zone))[0]

    def nameservers(self, zone: Name) -> Sequence[str]:
        """The servers that Cloudflare has assigned to the zone, or its own (vanity) ones where it has some."""
        with self._api() as api:
            place = self._place(api, zone)
        return place.vanity_name_servers or place.name_servers or []

    def create_zone(self, zone: Name) -> None:
        """Make an empty zone of which Cloudflare is authoritative, in the account of the settings."""
        with self._api() as api:
            api.create_zone(names.to_text(zone)[:-1], zones.account_id(api, self._settings.account))

    @contextmanager
    def _api(self) -> Iterator[Api]:
        settings = self._settings
        reference = settings.api_token.reference
        token = self._context.reveal(settings.api_token)
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise SecretError(f"{reference}: no HTTP header can carry this API token")
        if _GLOBAL_KEY.match(token):
            raise SecretError(
                f"{reference} has the form of Cloudflare's global API key, which may do everything",
                hint="make an API token with Zone:Read and DNS:Edit on these zones and use that",
            )
        with connect(settings.base_url, token, settings.timeout, self._context.clock) as api:
            yield api

    def _read(self, api: Api, zone: Name) -> tuple[ApiZone, State]:
        """The zone and all its records. A zone that was made anew has another id: it is looked up once more."""
        known = zone in self._zones
        place = self._place(api, zone)
        try:
            records = api.records(place.id)
        except NoZoneError:
            self._forget(zone)
            if not known:
                raise
            place = self._place(api, zone)
            records = api.records(place.id)
        return place, state_of(zone, records)

    def _current(self, api: Api, zone: Name, token: str) -> tuple[ApiZone, State, float]:
        """The zone as it is, found as the token says; and when it was listed."""
        now = self._context.clock.monotonic()
        with self._lock:
            recent = self._recent.pop(zone, None)
        fresh = recent is not None and now - recent.answered < FRESH and now - recent.listed < LISTED
        if recent is not None and fresh and recent.state.token == token:
            return self._place(api, zone), recent.state, recent.listed
        place, state = self._read(api, zone)
        zones.compare(place, state, token)
        return place, state, now

    def _send(
        self, api: Api, place: ApiZone, state: State, batch: Batch, changes: Sequence[Change]
    ) -> tuple[State, str]:
        """Send a batch, and the state after it as the answer shows it."""
        try:
            result, reference = api.batch(place.id, batch.body())
        except RejectedError as error:
            self._why_refused(api, place, state.zone, changes, error)
            if len(batch) > zones.FREE.changes and re.search("limit|quota|exceed|maximum|too many", error.message):
                hint = "if Cloudflare allows this zone fewer operations than its plan is known for, write `plan: free`"
                raise RejectedError(error.message, hint=hint) from error
            raise
        shown = [*(result.patches or ()), *(result.posts or ())]
        after = state.after((one["id"] for one in batch.deletes), shown)
        whole = len(result.posts or ()) == len(batch.posts)
        whole = whole and (result.deletes is None or len(result.deletes) == len(batch.deletes))
        if not whole or any(after.rrset(one.key) != one.after or after.mixed(one.key) for one in changes):
            raise OutcomeUnknownError(
                f"{place.name}: Cloudflare took the batch, and its answer does not show what was asked for",
                hint=READ_AGAIN,
            )
        return after, reference

    def _why_refused(
        self, api: Api, place: ApiZone, zone: Name, changes: Sequence[Change], error: RejectedError
    ) -> None:
        """After a refusal: raise ConflictError where someone else has changed what was to be changed."""
        try:
            now = state_of(zone, api.records(place.id))
        except NoZoneError:
            self._forget(zone)
            return
        except ProviderError:
            return  # nothing was changed; why can't be found out
        if guard.changed_under(now, changes):
            raise ConflictError(
                f"{place.name} was changed at Cloudflare just now ({error.message})",
                hint="make the plan anew and review it",
            ) from error

    def _remember(self, zone: Name, state: State, listed: float) -> None:
        with self._lock:
            self._recent[zone] = _Recent(state, self._context.clock.monotonic(), listed)

    def _forget(self, zone: Name) -> None:
        with self._lock:
            self._zones.pop(zone, None)
            self._recent.pop(zone, None)

    def _place(self, api: Api, zone: Name) -> ApiZone:
        """The zone's own object, looked up once."""
        with self._lock:
            known = self._zones.get(zone)
        if known is not None:
            return known
        found = zones.find(api, zone, self._settings.account)
        with self._lock:
            self._zones[zone] = found
        return found

    def _limits(self, place: ApiZone) -> tuple[Capabilities, int]:
        """What holds for a zone, and the characters of a comment."""
        plan = zones.plan_of(place, self._settings.plan)
        return structs.replace(self.capabilities, max_changes=plan.changes, min_ttl=plan.min_ttl), plan.comment


def _mark(api: Api, place: ApiZone, patches: list[Operation]) -> None:
    """Write comments. Raises OutcomeUnknownError where the answer does not show them."""
    result, _ = api.batch(place.id, {"patches": patches})
    seen = {one.id: one.comment or "" for one in result.patches or ()}
    if any(seen.get(one["id"]) != one["comment"] for one in patches):
        raise OutcomeUnknownError(f"{place.name}: the answer does not show all marks", hint=READ_AGAIN)


def _check_size(batch: Batch, limits: Capabilities) -> None:
    if limits.max_changes is not None and len(batch) > limits.max_changes:
        raise RejectedError(
            f"{len(batch)} operations in one batch; Cloudflare takes {limits.max_changes} on this zone's plan",
            hint="apply fewer changes at a time",
        )
