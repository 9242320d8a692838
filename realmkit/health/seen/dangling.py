"""Aliases and where they end; and names that look like ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.health.confusables import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.dns.records import RRset


class AliasTask(Struct, frozen=True):
    """An alias of ours.

    Attributes:
        name: the owner of the CNAME.
        target: where it leads.
    """

    name: Name
    target: Name


class AliasSeen(Struct, frozen=True):
    """Where an alias ends.

    Attributes:
        task: the alias.
        state: its target `resolves` to addresses; is no name (`nxdomain`) or has neither A nor AAAA (`nodata`); or it
            is `unknown`.
        end: the last name of the chain that the target starts.
        detail: why it is unknown, for a person.
    """

    task: AliasTask
    state: Literal["resolves", "nxdomain", "nodata", "unknown"]
    end: Name
    detail: str = ""


class LookalikesSeen(Struct, frozen=True):
    """Which lookalikes of a domain are registered.

    Attributes:
        domain: ours.
        asked: how many were asked for.
        registered: those that are delegated, or may be but for a failing delegation.
        untold: how many of them nobody could tell of.
        detail: why, of one of these.
    """

    domain: Name
    asked: int
    registered: tuple[Candidate, ...]
    untold: int = 0
    detail: str = ""


def alias_tasks(rrsets: Iterable[RRset]) -> list[AliasTask]:
    """The aliases among RRsets, each once; sets of other types are passed over."""
    found = [AliasTask(one.name, target) for one in rrsets if one.type == rr.CNAME for target in sorted(one.rdata)]
    return list(dict.fromkeys(found))
