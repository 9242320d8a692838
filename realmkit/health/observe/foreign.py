"""Realms in zones of others: which zone holds them, and who serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realmkit.dns import names
from realmkit.dns.asking import referral
from realmkit.dns.asking.delegation import delegations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.health.observe.surroundings import Surroundings


class Located(NamedTuple):
    """Where a name lies.

    Attributes:
        zone: the apex; the name itself where that could not be found out.
        servers: its authoritative servers.
        unknown: in words, why it could not be found out.
    """

    zone: Name
    servers: tuple[Server, ...]
    unknown: str = ""


def locate(some: Sequence[Name], surroundings: Surroundings) -> dict[Name, Located]:
    """Find the zones of names by walking down the delegations above them.

    What stands above a name is asked for first; the name itself only of the servers above it.

    Args:
        some: the names.
        surroundings: manners and resolvers.

    Raises:
        InputError: a configured address is none.
    """
    if not some:
        return {}
    finder = surroundings.finder()
    walks = referral.together(some, finder, surroundings.manners)
    apexes = [name for name in some if not walks[name].unknown]
    own = delegations(apexes, finder, surroundings.manners, ds=False) if apexes else {}
    found = {}
    for name in some:
        walk = walks[name]
        if name in own:
            servers = own[name].servers
            found[name] = Located(name, servers.found, "" if servers.found else "; ".join(servers.unknown))
        elif walk.denied:
            found[name] = Located(walk.referral.cut, walk.parents)
        else:
            found[name] = Located(name, (), "; ".join(walk.unknown) or f"{names.to_text(name)} lies in no known zone")
    return found
