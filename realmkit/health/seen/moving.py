"""What was seen of realms that are about to move, or on their way."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from realmkit.dns.names import Name


class MovingSeen(Struct, frozen=True):
    """How long resolvers may remember a realm that is to move.

    Attributes:
        name: the realm.
        ttl: the longest TTL of its RRsets on any server, in seconds; None where none was told.
        wanted: what TTLs are to be lowered to.
        before: the TTL that was in force before, in seconds.
        since: since when all of them have been seen low; None where this run is the first to see it.
        now: the time of this run.
    """

    name: Name
    ttl: int | None
    wanted: int
    before: int
    since: datetime | None
    now: datetime


class OverlapSeen(Struct, frozen=True):
    """The old and the new realm of a migration, side by side.

    Attributes:
        old: the realm that phones leave.
        new: the realm that they go to.
        old_edge: addresses, as text, that a client lands on from the old one.
        new_edge: likewise from the new one.
        unknown: why that could not be told, if so.
    """

    old: Name
    new: Name
    old_edge: frozenset[str]
    new_edge: frozenset[str]
    unknown: str = ""
