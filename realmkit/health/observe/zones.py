"""Looking at zones as a whole: their parents, and every one of their servers, all zones at once.

What is the same for all zones of a server (EDNS, recursion) is asked once. A server that keeps silent is not asked
for anything more but whether it is EDNS that it can't bear.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.delegation import configured, delegations
from realmkit.dns.asking.query import Outcome, Server
from realmkit.health.observe import hosts as observe_hosts
from realmkit.health.observe import strangers
from realmkit.health.observe.realms import sight_of
from realmkit.health.seen.realm import Sight
from realmkit.health.seen.zone import ServerSeen, ZoneSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realmkit.dns.asking.delegation import Delegation
    from realmkit.dns.asking.query import Reply
    from realmkit.dns.asking.resolving import Servers
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.realm import HostSeen
    from realmkit.health.seen.zone import ZoneTask

    Replies = dict[tuple[Server, Name, Type], Reply]

_ALWAYS: Final = (rr.SOA, rr.NS)


class _Place(NamedTuple):
    """A zone, what its parent says, the servers to ask, and the types to ask for beside SOA and NS."""

    task: ZoneTask
    parent: Delegation | None
    servers: Servers
    more: tuple[Type, ...]


def look(tasks: Sequence[ZoneTask], surroundings: Surroundings) -> list[ZoneSeen]:
    """Look at zones.

    Args:
        tasks: each zone once.
        surroundings: manners, resolvers and deadline.

    Returns:
        One for each task, in their order.

    Raises:
        InputError: a configured server or resolver is none.
    """
    places = _places(tasks, surroundings)
    replies = _ask(((place, server) for place in places for server in place.servers.found), surroundings)
    hosts = _hosts(places, replies, surroundings)
    more = [(place, server) for place in places for server in _named_by_the_zone_only(place, replies, hosts)]
    replies |= _ask(more, surroundings)
    hosts |= _hosts_behind(more, replies, hosts, places, surroundings)
    asked = [(place, server) for place in places for server in place.servers.found] + more
    probes = [(wild.name, wild.type) for task in tasks for wild in task.wildcards]
    random = {key: os.urandom(8).hex().encode() for key in probes}
    replies |= _wildcards([one for one in asked if _answers(replies, *one)], random, surroundings)
    strange = strangers.look([(server, place.task.apex, _reach(replies, place, server)) for place, server in asked],
                             surroundings)  # fmt: skip
    late = surroundings.left() == 0.0
    by_zone: dict[Name, list[ServerSeen]] = {task.apex: [] for task in tasks}
    for place, server in asked:
        seen = _server(place, server, replies, random)
        by_zone[place.task.apex].append(strange.added(place.task.apex, seen))
    return [
        ZoneSeen(
            place.task, place.parent, tuple(by_zone[place.task.apex]), place.servers.unknown,
            place.servers.passed_over, _of(place, by_zone[place.task.apex], hosts), late,
        )
        for place in places
    ]  # fmt: skip


def _places(tasks: Sequence[ZoneTask], surroundings: Surroundings) -> list[_Place]:
    """Whom to ask about each zone."""
    named: dict[tuple[str, ...], Servers] = {}
    for task in tasks:
        if task.nameservers and task.nameservers not in named:
            named[task.nameservers] = configured(task.nameservers, surroundings.finder())
    above = [task.apex for task in tasks if not task.nameservers]
    found = delegations(above, surroundings.finder(), surroundings.manners) if above else {}
    places = []
    for task in tasks:
        parent = None if task.nameservers else found[task.apex].delegation
        servers = named[task.nameservers] if task.nameservers else found[task.apex].servers
        places.append(_Place(task, parent, servers, apex_types(task)))
    return places


def apex_types(task: ZoneTask) -> tuple[Type, ...]:
    """The sets that the provider shows at the apex, beside SOA and NS, as far as they can be compared."""
    if task.snapshot is None:
        return ()
    shown = task.snapshot
    kinds = (kind for name, kind in shown.rrsets if name == task.apex and (name, kind) not in shown.opaque)
    hidden = {*_ALWAYS, *rr.SIGNING} | ({rr.A, rr.AAAA} if task.apex in shown.proxied else set())
    return tuple(sorted(kind for kind in kinds if kind not in hidden))


def _ask(places: Iterable[tuple[_Place, Server]], surroundings: Surroundings) -> Replies:
    """SOA, NS and the rest of the apex, of every zone at every server of it."""
    questions = {(server, place.task.apex, kind): None for place, server in places for kind in (*_ALWAYS, *place.more)}
    if not questions:
        return {}
    asked = surroundings.ask(questions)
    return {(reply.server, reply.name, reply.type): reply for reply in asked}


def _child_hosts(place: _Place, servers: Iterable[Server], replies: Replies) -> set[Name]:
    sights = (_sight(replies, server, (place.task.apex, rr.NS)) for server in servers)
    return {host for one in sights if one.state == "present" and one.rrset for host in one.rrset.rdata}


def _hosts(places: Sequence[_Place], replies: Replies, surroundings: Surroundings) -> dict[Name, HostSeen]:
    """The addresses of everybody who is named as a server."""
    wanted: dict[Name, None] = {}
    for place in places:
        above = place.parent.hosts if place.parent is not None else ()
        below = _child_hosts(place, place.servers.found, replies)
        wanted |= dict.fromkeys([*above, *sorted(below)])
    inside = {place.task.apex: place.servers.found for place in places}
    return observe_hosts.look(wanted, inside, surroundings) if wanted else {}


def _hosts_behind(
    more: Iterable[tuple[_Place, Server]], replies: Replies, known: Mapping[Name, HostSeen], places: Sequence[_Place],
    surroundings: Surroundings,
) -> dict[Name, HostSeen]:  # fmt: skip
    """The addresses of servers that are named by those alone whom the delegation does not name."""
    named = {host for place, server in more for host in _child_hosts(place, [server], replies)} - known.keys()
    inside = {place.task.apex: place.servers.found for place in places}
    return observe_hosts.look(sorted(named), inside, surroundings) if named else {}


def _named_by_the_zone_only(place: _Place, replies: Replies, hosts: Mapping[Name, HostSeen]) -> list[Server]:
    """Servers that the zone's own NS set names and the delegation does not: resolvers that trust the zone ask them."""
    if place.parent is None or place.parent.unknown:
        return []
    known = {(server.address, server.port) for server in place.servers.found}
    found = []
    for host in sorted(_child_hosts(place, place.servers.found, replies) - set(place.parent.hosts)):
        for kind, octets in hosts[host].addresses:
            address = rdata.to_text(kind, octets)
            if (address, 53) not in known and query.has_route(address):
                known.add((address, 53))
                found.append(Server(address, 53, names.to_text(host)[:-1]))
    return found


def _wildcards(
    places: Iterable[tuple[_Place, Server]], random: Mapping[Key, bytes], surroundings: Surroundings
) -> Replies:
    """A name that nobody has, below each wildcard, at every server."""
    questions = {
        (server, probe_name((wild.name, wild.type), random), wild.type): None
        for place, server in places
        for wild in place.task.wildcards
    }
    if not questions:
        return {}
    return {(one.server, one.name, one.type): one for one in surroundings.ask(questions)}


def probe_name(wildcard: Key, random: Mapping[Key, bytes]) -> Name:
    """The name that is asked for in place of a wildcard."""
    label = b"realmkit-" + random[wildcard]
    return bytes((len(label),)) + label + names.parent(wildcard[0])


def _answers(replies: Replies, place: _Place, server: Server) -> bool:
    return _reach(replies, place, server) == "answers"


def _reach(replies: Replies, place: _Place, server: Server) -> strangers.Reach:
    return _reached(replies[server, place.task.apex, rr.SOA])


def _reached(reply: Reply) -> strangers.Reach:
    if reply.outcome is Outcome.ANSWER:
        return "answers"
    return "unreachable" if reply.outcome is Outcome.UNREACHABLE else "silent"


def _sight(replies: Replies, server: Server, key: Key) -> Sight:
    reply = replies.get((server, *key))
    return Sight("unknown", detail="it was not asked") if reply is None else sight_of(reply)


def _server(place: _Place, server: Server, replies: Replies, random: Mapping[Key, bytes]) -> ServerSeen:
    task = place.task
    keys = [(wild.name, wild.type) for wild in task.wildcards]
    return ServerSeen(
        server,
        _reached(replies[server, task.apex, rr.SOA]),
        _sight(replies, server, (task.apex, rr.SOA)),
        ns=_sight(replies, server, (task.apex, rr.NS)),
        apex={kind: _sight(replies, server, (task.apex, kind)) for kind in place.more},
        wildcards={key: _sight(replies, server, (probe_name(key, random), key[1])) for key in keys},
    )


def _of(place: _Place, servers: Iterable[ServerSeen], hosts: Mapping[Name, HostSeen]) -> dict[Name, HostSeen]:
    """The hosts that concern one zone."""
    above = place.parent.hosts if place.parent is not None else ()
    below = {host for one in servers for host in one.hosts or ()}
    return {host: hosts[host] for host in {*above, *below} if host in hosts}
