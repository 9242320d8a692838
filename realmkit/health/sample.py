"""Which realms to look at in a zone that has not changed since it was in order. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

from realmkit.dns import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.health.seen.task import Task
    from realmkit.health.state import State


def digest(text: str, checks: Iterable[str]) -> str:
    """A short digest of the configuration and of the checks that are made: a zone in order is so by these alone."""
    return blake2b("\0".join((text, *sorted(checks))).encode(), digest_size=8).hexdigest()


def is_unchanged(state: State, zone: Name, serials: Mapping[str, int | None], configuration: str) -> bool:
    """Whether all servers give the serials that they gave when the zone was last found in order.

    Args:
        state: what earlier runs left.
        zone: the apex.
        serials: what each server, as text, gives now; None where it could not be told.
        configuration: the configuration's `digest`.
    """
    text = names.to_text(zone)
    was_green = state.green.get(text, "").endswith(f" {configuration}")
    return was_green and bool(serials) and state.serials.get(text) == dict(serials) and len(set(serials.values())) == 1


def sample(tasks: Sequence[Task], turn: int, parts: int) -> list[Task]:
    """One part of the realms; each run has another, so that all have had their turn after `parts` runs.

    Pools and hosts are always looked at: everything leads there.
    """
    return [one for one in tasks if one.kind != "realm" or crc32(one.name) % parts == turn % parts]
