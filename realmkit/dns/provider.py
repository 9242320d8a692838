"""The provider contract: the only file that the author of a DNS provider reads.

A provider is an adapter between realmkit's records and one kind of backend. It reads a zone, writes one batch of
changes, and says when that batch is in force. Deciding, ordering, batching, retrying and verifying are the core's;
a provider never diffs, prints, sleeps or decides.

To make one: write a class with this module's `Provider` shape, give it a `Settings` struct, and register it under
the entry-point group `realmkit.providers`, with its extra in brackets if it needs one::

    [project.entry-points."realmkit.providers"]
    example = "realmkit_example:Example [example]"

`tests/contract/` runs against every provider that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from realmkit.clock import Clock
from realmkit.dns.names import Name
from realmkit.dns.plan import Change
from realmkit.dns.records import Key, Type, Zone
from realmkit.secrets import Secret

__all__ = [
    "Capabilities", "Change", "Clock", "Context", "Key", "KnowsServers", "Name", "Notes", "Provider",
    "Receipt", "Secret", "Settings", "Weight", "Zone",
]  # fmt: skip


class Settings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of a provider's settings: the keys beside `type` under `providers:`. Unknown keys are refused."""


class Capabilities(Struct, frozen=True):
    """What a backend can do; the core plans within it.

    Attributes:
        atomic: a batch takes effect as a whole or not at all.
        cas: what `apply` compares before it writes. `zone`: the whole zone is as the token says. `rrset`: each
            changed RRset is as its `before`. `none`: nothing; the core reads again just before.
        max_changes: elements in one batch (see `Provider.weigh`), None for no limit.
        max_bytes: bytes in one batch (see `Provider.weigh`), None for no limit.
        min_ttl: the lowest TTL that is taken, in seconds.
        types: the RR types that can be written; None for all.
        notes: the backend keeps a word of ours with each RRset, so ownership is visible there too (`Notes`).
        local: reading a zone is work of this process, not waiting for another; several at once gain nothing.
        settles: `settled` has meaning: after `apply`, servers follow in their own time and the API knows when.
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
        owner: the word that marks RRsets as this project's, where the backend keeps notes.
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
