"""Which servers are authoritative for a zone, and which addresses a host has: asked for, three-valued.

A zone's servers are those that its parent delegates to (RFC 1034 section 4.2.2), and the parent's own servers are
asked, so that the answer is what the world is referred to and not what a resolver still remembers. What a zone says
of its own NS set may differ; resolvers go by the parent.

A `Finder` is asked only for what stands above the zone and for host addresses; never for a realm, because a resolver
that is asked too early remembers that the realm does not exist. What could not be found out is said in words and
never taken for "there is none"; no exception is raised for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.exchange import server_from_text
from realmkit.dns.asking.query import DEFAULT, Options, Server
from realmkit.dns.asking.referral import Referral, Told, Walk, Wish, gather, grant, spread, together
from realmkit.dns.asking.resolving import Addresses, Finder, Gathered, Servers, is_address, shown
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from realmkit.dns.asking.query import Reply

__all__ = [
    "Addresses", "Delegation", "Found", "Servers", "configured", "delegated", "delegations",
    "discover", "resolvers_of", "system_resolvers",
]  # fmt: skip

RESOLV_CONF: Final = Path("/etc/resolv.conf")
_ASKED_FOR_DS: Final = 3  # of the parent's servers; the first that tells is believed


class Delegation(Struct, frozen=True):
    """What a zone's parent says of it.

    Attributes:
        hosts: the name servers that it names, sorted; empty when that could not be found out.
        ttl: of that NS set, in seconds; None when it could not be found out.
        parents: the parent's own servers.
        unknown: in words, why it could not be found out.
        denied: one of the parent's servers says, with authority, that the zone is not delegated; `unknown` has its
            words.
        glue: the addresses that came with the delegation, by host; hosts without any are not in it.
        ds: the DS set that the parent holds (RFC 4034 section 5); None where it has none, or was not asked.
        ds_unknown: in words, why the DS set could not be found out; `delegations` alone asks for it.
    """

    hosts: tuple[Name, ...]
    ttl: int | None
    parents: tuple[Server, ...]
    unknown: tuple[str, ...] = ()
    denied: bool = False
    glue: Mapping[Name, tuple[tuple[Type, bytes], ...]] = field(default_factory=dict)
    ds: RRset | None = None
    ds_unknown: str = ""


class Found(Struct, frozen=True):
    """A zone's delegation, and the servers that it leads to."""

    delegation: Delegation
    servers: Servers


def system_resolvers(text: str) -> tuple[str, ...]:
    """The name servers that a resolv.conf(5) names; the local machine if it names none, as the C library does."""
    lines = (line.split() for line in text.splitlines())
    found = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(text for text in found if is_address(text)) or ("127.0.0.1",)


def resolvers_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The resolvers to ask: those that are configured, else the system's."""
    return tuple(texts) or _of_the_system()


def configured(texts: Iterable[str], finder: Finder) -> Servers:
    """The servers that a configuration names; host names are looked up.

    Args:
        texts: `192.0.2.2:5300`, `[2001:db8::1]:53`, `ns1.example.net`.
        finder: knows hosts.

    Raises:
        InputError: a text is none of these.
    """
    servers = [server_from_text(text) for text in texts]
    hosts = {server.address: names.absolute(server.address) for server in servers if not is_address(server.address)}
    known = finder.addresses(list(hosts.values())) if hosts else {}
    gathered = Gathered()
    for server in servers:
        if server.address in hosts:
            gathered.add_host(hosts[server.address], known[hosts[server.address]], server.port)
        else:
            gathered.add(server)
    return gathered.servers()


def discover(zone: Name, finder: Finder, options: Options = DEFAULT) -> Servers:
    """The servers that the zone's parent delegates it to.

    Args:
        zone: the apex.
        finder: knows what stands above the zone, and hosts.
        options: manners.
    """
    found = delegations([zone], finder, lambda: options, ds=False)[zone]
    return found.servers


def delegated(zone: Name, finder: Finder, options: Options = DEFAULT) -> Delegation:
    """What the zone's parent says of it. Arguments as for `discover`."""
    return _delegation(together([zone], finder, lambda: options)[zone], None, "it was not asked for")


def delegations(
    zones: Collection[Name], finder: Finder, manners: Callable[[], Options], *, ds: bool = True
) -> dict[Name, Found]:
    """What their parents say of many zones, in as few round trips as for one.

    Args:
        zones: apexes.
        finder: as for `discover`.
        manners: the options to ask with, taken anew for each round, so that a deadline holds for all of them.
        ds: ask for the DS sets too.
    """
    walks = together(zones, finder, manners)
    there = [zone for zone in zones if not walks[zone].unknown]
    told = Told({}, {}, {})
    wishes = [Wish(hosts=_without_glue(walks[zone].referral)) for zone in there]
    if ds:
        wishes += [Wish(questions=_for_ds(zone, walks[zone])) for zone in there]
    grant(wishes, told, finder, manners)
    return {zone: _found(zone, walks[zone], told, ds=ds) for zone in zones}


def _without_glue(referral: Referral) -> tuple[Name, ...]:
    return tuple(host for host in referral.hosts if host not in referral.glue)


def _for_ds(zone: Name, walk: Walk) -> tuple[tuple[Server, Name, Type], ...]:
    return tuple((server, zone, rr.DS) for server in spread(zone, walk.parents)[:_ASKED_FOR_DS])


def _found(zone: Name, walk: Walk, told: Told, *, ds: bool) -> Found:
    if walk.unknown:
        return Found(_delegation(walk, None, "the delegation is not known"), Servers((), walk.unknown))
    rrset, unknown = None, "it was not asked for"
    if ds:
        rrset, unknown = _ds_of(zone, [told.replies[one] for one in _for_ds(zone, walk)])
    return Found(_delegation(walk, rrset, unknown), _gathered(walk.referral, told))


def _delegation(walk: Walk, ds: RRset | None, ds_unknown: str) -> Delegation:
    if walk.unknown:
        parents = walk.parents if walk.denied else ()
        return Delegation((), None, parents, walk.unknown, walk.denied, ds_unknown=ds_unknown)
    referral = walk.referral
    glue = {host: referral.glue[host] for host in referral.hosts if host in referral.glue}
    return Delegation(referral.hosts, referral.ttl, walk.parents, glue=glue, ds=ds, ds_unknown=ds_unknown)


def _gathered(referral: Referral, told: Told) -> Servers:
    steps = gather(referral)
    try:
        next(steps)
        steps.send(told)
    except StopIteration as end:
        servers: Servers = end.value
        return servers
    raise AssertionError("gathering wants one thing at most")


def _ds_of(zone: Name, replies: Sequence[Reply]) -> tuple[RRset | None, str]:
    """The DS set by the first parent that tells; else in words why none does."""
    refusals = []
    for reply in replies:
        answer = reply.message
        if answer is not None and answer.aa and answer.rcode in (wire.NOERROR, wire.NXDOMAIN):
            came = [one for one in answer.answer if (one.name, one.type) == (zone, rr.DS)]
            rdata = frozenset(one.rdata for one in came)
            return (RRset(zone, rr.DS, min(one.ttl for one in came), rdata) if came else None), ""
        why = reply.detail if answer is None else f"answers {wire.rcode_to_text(answer.rcode)} without authority"
        refusals.append(f"{reply.server}: {why}")
    return None, f"the parent does not tell the DS set of {shown(zone)}: {'; '.join(refusals)}"


def _of_the_system() -> tuple[str, ...]:
    try:
        return system_resolvers(RESOLV_CONF.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return system_resolvers("")
