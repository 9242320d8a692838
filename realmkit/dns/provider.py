"""The provider contract: the only file that the author of a DNS provider reads.

A provider is an adapter between realmkit's records and one kind of backend. It reads a zone, writes one batch of
changes, and says when that batch is in force. Deciding, ordering, batching, retrying and verifying are the core's;
a provider never diffs, prints or decides, and waits only to keep the backend's pace (`realmkit.dns.pacing`).

To make one: write a class with this module's `Provider` shape, give it a `Settings` struct, and register it under
the entry-point group `realmkit.providers`, with its extra in brackets if it needs one::

    [project.entry-points."realmkit.providers"]
    example = "realmkit_example:Example [example]"

Beside the module stands a file of its name, `example.toml`: what the provider is, which rights its credentials need,
its limits with their sources, and an example (`realmkit.dns.about` describes it). Documentation, `realmkit providers`
and the capability matrix are made from it.

`tests/contract/` runs against every provider that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from realmkit.clock import Clock
from realmkit.dns.names import Name
from realmkit.dns.plan import Change
from realmkit.dns.records import Key, Type, Zone
from realmkit.secrets import Secret

__all__ = [
    "Capabilities", "Change", "Clock", "Context", "Key", "KnowsLimits", "KnowsServers", "MakesZones", "Name", "Notes",
    "Protects", "Provider", "Receipt", "Secret", "Settings", "Weight", "Zone", "limits_of",
]  # fmt: skip


class Settings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of a provider's settings: the keys beside `type` under `providers:`. Unknown keys are refused."""


class Capabilities(Struct, frozen=True):
    """What a backend can do; the core plans within it.

    Attributes:
        atomic: a batch takes effect as a whole or not at all.
        cas: what `apply` compares before it writes. `zone`: the whole zone is as the token says. `rrset`: each
            changed RRset is as its `before`. `none`: nothing that the backend itself would hold to; a provider of
            that kind reads again just before, and what happens in between is found by verification.
        max_changes: elements in one batch (see `Provider.weigh`), None for no limit.
        max_bytes: bytes in one batch (see `Provider.weigh`), None for no limit.
        min_ttl: the lowest TTL that is taken, in seconds.
        types: the RR types that can be written; None for all.
        notes: the backend keeps a word of ours with each RRset, so ownership is visible there too (`Notes`).
        local: reading a zone is work of this process, not waiting for another; several at once gain nothing.
        settles: `settled` has meaning: after `apply`, servers follow in their own time and the API knows when.
        serials: the SOA is among the records, and its serial moves with each batch.
    """

    atomic: bool
    cas: Literal["zone", "rrset", "none"]
    max_changes: int | None = None
    max_bytes: int | None = None
    min_ttl: int = 0
    types: frozenset[Type] | None = None
    notes: bool = False
    settles: bool = False
    local: bool = False

    serials: bool = True


class Weight(NamedTuple):
    """What changes cost of a batch: elements counted by `max_changes`, bytes counted by `max_bytes`."""

    elements: int
    size: int


class Receipt(Struct, frozen=True):
    """Proof of one applied batch.

    Attributes:
        token: the zone's token after the batch, on which the next batch compares and swaps.
        serial: the SOA serial after the batch, where known.
        reference: the backend's own id of the change, for `settled` and for support tickets.
    """

    token: str
    serial: int | None = None
    reference: str = ""


class Context(Struct, frozen=True):
    """What a provider gets beside its settings.

    Attributes:
        directory: the project directory; relative paths in settings start there.
        owner: the word that marks RRsets as this project's, where the backend keeps notes; empty for no mark.
        reveal: fetches the value of a `Secret`. Call it as late as possible, keep the result to yourself.
        clock: time, for signatures and timeouts.
    """

    directory: Path
    owner: str
    reveal: Callable[[Secret], str]
    clock: Clock


class Provider(Protocol):
    """One backend. The constructor takes `(settings: Settings, context: Context)` and does no I/O.

    `snapshot` may be called for several zones at once, from several threads.

    Every method may raise `ProviderError` and its kin (realmkit.errors). What they promise matters more than their
    text: all but `OutcomeUnknownError` say that nothing was changed.
    """

    Settings: ClassVar[type[Settings]]
    capabilities: ClassVar[Capabilities]

    def snapshot(self, zone: Name) -> Zone:
        """Everything that is in the zone, with a token to compare and swap on.

        Raises:
            UnreachableError: no answer. AuthError: not allowed. RejectedError: no such zone here.
        """
        ...

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """Write one batch, all of it or nothing where the backend can (`Capabilities.atomic`).

        Args:
            zone: the apex.
            changes: RRsets with what they were and what they become. An SOA is never among them.
            token: of the snapshot, or of the receipt of the batch before.

        Raises:
            ConflictError: the zone is not what the token says. RejectedError: the backend refuses the change.
            RateLimitedError, AuthError, UnreachableError: nothing was sent or taken.
            OutcomeUnknownError: it was sent and no answer came.
        """
        ...

    def settled(self, receipt: Receipt) -> bool:
        """Whether the batch is in force as far as the backend knows. True where it has no such notion."""
        ...

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """What these changes cost of a batch together; must not be less than what `apply` will spend on them.

        Args:
            changes: all changes of one realm or host (`plan.group_of`), which always go into one batch; their names
                may be compressed against one another. The weights of several groups add up.
        """
        ...


@runtime_checkable
class Notes(Protocol):
    """A provider that keeps a word with each RRset (`Capabilities.notes`).

    `snapshot` fills `Zone.owners`, `apply` marks what it creates with the context's owner.
    """

    def mark(self, zone: Name, owners: Mapping[Key, str | None], token: str) -> Receipt:
        """Set (or with None take away) the owner of RRsets without touching their records."""
        ...


@runtime_checkable
class KnowsServers(Protocol):
    """A provider that knows which name servers serve a zone, as an API may."""

    def nameservers(self, zone: Name) -> Sequence[str]:
        """Host names or `address:port` of the zone's authoritative servers."""
        ...


@runtime_checkable
class KnowsLimits(Protocol):
    """A provider whose limits depend on the zone (its plan) or on its settings, not on its class alone."""

    def limits(self, zone: Name) -> Capabilities:
        """What holds for this zone; `capabilities` says what holds at least. May ask the backend, once for a zone.

        Raises as `Provider.snapshot` does.
        """
        ...


@runtime_checkable
class MakesZones(Protocol):
    """A provider that can create a zone where there is none."""

    def create_zone(self, zone: Name) -> None:
        """Create an empty zone: SOA and NS as the backend makes them.

        Raises:
            RejectedError: there is one already, or the backend refuses. OutcomeUnknownError: no answer came.
        """
        ...


@runtime_checkable
class Protects(Protocol):
    """A provider whose backend can lock RRsets, so that nobody changes them until they are released."""

    def protected(self, zone: Name) -> frozenset[Key]:
        """The RRsets that are locked."""
        ...

    def protect(self, zone: Name, keys: Collection[Key]) -> None:
        """Lock RRsets; those that are locked stay so. Raises RejectedError where the backend or its SDK can't."""
        ...

    def release(self, zone: Name, keys: Collection[Key]) -> None:
        """Unlock RRsets; those that are not locked stay so."""
        ...


def limits_of(provider: Provider, zone: Name) -> Capabilities:
    """What a provider can do in a zone."""
    return provider.limits(zone) if isinstance(provider, KnowsLimits) else provider.capabilities
