"""Asking resolvers what they remember, politely, and only for names that the authoritative servers serve already."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from realmkit.dns import records as rr
from realmkit.dns import wire
from realmkit.dns.asking.delegation import resolvers_of
from realmkit.dns.asking.exchange import server_from_text
from realmkit.dns.asking.query import Outcome
from realmkit.dns.records import RRset
from realmkit.errors import InputError
from realmkit.health.observe.realms import ask_keys, negative_ttl
from realmkit.health.seen.resolvers import Memory, PropagationSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.realm import Sight
    from realmkit.health.seen.resolvers import ResolverTask

RATE: Final = 20.0  # questions a second that a public resolver takes without complaint


def resolver_servers(surroundings: Surroundings) -> tuple[Server, ...]:
    """The resolvers to ask: the configured ones, else the system's; each once.

    Raises:
        InputError: a text is no address.
    """
    servers = dict.fromkeys(server_from_text(text) for text in resolvers_of(surroundings.resolvers))
    for one in servers:
        try:
            ipaddress.ip_address(one.address)
        except ValueError:
            raise InputError(f"the resolver {one.address!r} must be given by its address") from None
    return tuple(servers)


def ask_resolvers(questions: Iterable[tuple[Server, Name, Type]], surroundings: Surroundings) -> Iterator[Reply]:
    """Ask with recursion desired, at most `RATE` questions a second to each resolver.

    Args:
        questions: resolver, name and type of each.
        surroundings: manners.
    """
    rate = min(surroundings.options.rate or RATE, RATE)
    yield from surroundings.ask(questions, rd=True, rate=rate)


def look(tasks: Sequence[ResolverTask], surroundings: Surroundings) -> list[PropagationSeen]:
    """Ask every resolver for everything that is published, and the authoritative servers for what lies above SRV sets.

    Args:
        tasks: as `seen.resolvers.resolver_tasks` gives them.
        surroundings: manners and resolvers.

    Raises:
        InputError: a resolver's text is no address.
    """
    resolvers = resolver_servers(surroundings)
    keys = dict.fromkeys(key for task in tasks for key in task.published)
    asked = ((resolver, *key) for key in keys for resolver in resolvers)
    memories = {(one.server, one.name, one.type): memory_of(one) for one in ask_resolvers(asked, surroundings)}
    nodes = _nodes(tasks, surroundings)
    return [
        PropagationSeen(
            task,
            resolvers,
            {(one, *key): memories[one, *key] for key in task.published for one in resolvers},
            {(one, name): nodes[one, name] for name in task.nodes for one in task.servers},
        )
        for task in tasks
    ]


def _nodes(tasks: Sequence[ResolverTask], surroundings: Surroundings) -> Mapping[tuple[Server, Name], Sight]:
    asked = dict.fromkeys((server, name, rr.A) for task in tasks for name in task.nodes for server in task.servers)
    sights = ask_keys(asked, surroundings)
    return {(server, name): sight for (server, name, _), sight in sights.items()}


def memory_of(reply: Reply) -> Memory:
    """What one reply of a resolver says."""
    message = reply.message
    if reply.outcome is not Outcome.ANSWER or message is None:
        return Memory("unknown", detail=reply.detail or reply.outcome.value)
    extended = message.ede
    if message.rcode == wire.SERVFAIL:
        return Memory("failed", rcode=wire.SERVFAIL, extended=extended)
    if message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        detail = f"answers {wire.rcode_to_text(message.rcode)}"
        return Memory("unknown", rcode=message.rcode, extended=extended, detail=detail)
    if not message.flags & wire.RA:
        return Memory("unknown", rcode=message.rcode, detail="it is no resolver: it offers no recursion")
    return _remembered(reply.name, reply.type, message, extended)


def _remembered(name: Name, kind: Type, message: Message, extended: tuple[tuple[int, str], ...]) -> Memory:
    for state, wanted in (("present", kind), ("alias", rr.CNAME)):
        came = [one for one in message.answer if (one.name, one.type) == (name, wanted)]
        if came:
            rrset = RRset(name, wanted, min(one.ttl for one in came), frozenset(one.rdata for one in came))
            return Memory("present" if state == "present" else "alias", rrset, message.rcode, extended=extended)
    return Memory("absent", rcode=message.rcode, left=negative_ttl(message), extended=extended)
