"""Which servers are authoritative for a zone, and which addresses a host has: asked for, three-valued.

A zone's servers are those that its parent delegates to (RFC 1034 section 4.2.2), and the parent's own servers are
asked, so that the answer is what the world is referred to and not what a resolver still remembers. What a zone says
of its own NS set may differ; resolvers go by the parent.

Resolvers are asked only for what stands above the zone and for host addresses; never for a realm, because a resolver
that is asked too early remembers that the realm does not exist. What could not be found out is said in words and
never taken for "there is none"; no exception is raised for it.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct, structs

from realmkit.dns import names, query, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.query import DEFAULT, Options, Outcome, Reply, Server
from realmkit.dns.records import Type
from realmkit.dns.request import server_from_text
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realmkit.dns.records import Key
    from realmkit.dns.wire import Message, Record

RESOLV_CONF: Final = Path("/etc/resolv.conf")
_RESOLVER_RATE: Final = 20.0  # questions a second that a public resolver takes without complaint
_MAX_ALIASES: Final = 8
_MAX_REFERRALS: Final = 8
_ADDRESS_TYPES: Final = (rr.A, rr.AAAA)


class Addresses(Struct, frozen=True):
    """The addresses of a host.

    Attributes:
        addresses: type (A or AAAA) and rdata of each, sorted.
        unknown: in words, why they may not be all of them; empty when they are.
    """

    addresses: tuple[tuple[Type, bytes], ...]
    unknown: str = ""


class Servers(Struct, frozen=True):
    """The authoritative servers of a zone.

    Attributes:
        found: every address to ask.
        unknown: in words, what could not be found out: a host without a known address, or the delegation itself.
        passed_over: in words, addresses that are left out because this machine has no route to them, while the same
            host has another address. A machine without IPv6 is no fault of the zone.
    """

    found: tuple[Server, ...]
    unknown: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()


class Delegation(Struct, frozen=True):
    """What a zone's parent says of it.

    Attributes:
        hosts: the name servers that it names, sorted; empty when that could not be found out.
        ttl: of that NS set, in seconds; None when it could not be found out.
        parents: the parent's own servers.
        unknown: in words, why it could not be found out.
    """

    hosts: tuple[Name, ...]
    ttl: int | None
    parents: tuple[Server, ...]
    unknown: tuple[str, ...] = ()


def system_resolvers(text: str) -> tuple[str, ...]:
    """The name servers that a resolv.conf(5) names; the local machine if it names none, as the C library does."""
    lines = (line.split() for line in text.splitlines())
    found = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(text for text in found if _is_address(text)) or ("127.0.0.1",)


def addresses_of(host: Name, resolvers: Sequence[str], options: Options = DEFAULT) -> Addresses:
    """Look up A and AAAA of a host through a resolver, following aliases.

    Args:
        host: canonical name.
        resolvers: `address` or `address:port`, asked in that order until one knows; empty for the system's.
        options: manners; recursion is always asked for.

    Raises:
        InputError: a resolver's text is no address.
    """
    return _Resolver(resolvers, options).addresses([host])[host]


def configured(texts: Iterable[str], resolvers: Sequence[str], options: Options = DEFAULT) -> Servers:
    """The servers that a configuration names; host names are looked up.

    Args:
        texts: `192.0.2.2:5300`, `[2001:db8::1]:53`, `ns1.example.net`.
        resolvers: as for `addresses_of`.
        options: manners.

    Raises:
        InputError: a text is none of these.
    """
    servers = [server_from_text(text) for text in texts]
    hosts = {server.address: names.absolute(server.address) for server in servers if not _is_address(server.address)}
    known = _Resolver(resolvers, options).addresses(list(hosts.values())) if hosts else {}
    gathered = _Gathered()
    for server in servers:
        if server.address in hosts:
            gathered.add_host(hosts[server.address], known[hosts[server.address]], server.port)
        else:
            gathered.add(server)
    return gathered.servers()


def discover(zone: Name, resolvers: Sequence[str], options: Options = DEFAULT) -> Servers:
    """The servers that the zone's parent delegates it to.

    Args:
        zone: the apex.
        resolvers: as for `addresses_of`.
        options: manners.

    Raises:
        InputError: a resolver's text is no address.
    """
    discovery = _Discovery(zone, _Resolver(resolvers, options), options)
    found = discovery.walk()
    return Servers((), found.unknown) if found.unknown else discovery.gather(found.referral)


def delegated(zone: Name, resolvers: Sequence[str], options: Options = DEFAULT) -> Delegation:
    """What the zone's parent says of it. Arguments and errors as for `discover`."""
    found = _Discovery(zone, _Resolver(resolvers, options), options).walk()
    if found.unknown:
        return Delegation((), None, (), found.unknown)
    return Delegation(found.referral.hosts, found.referral.ttl, found.parents, ())


class _Gathered:
    """Collects servers, each address once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], Server] = {}
        self._unknown: list[str] = []
        self._passed_over: list[str] = []

    def add(self, server: Server) -> None:
        self._found.setdefault((server.address, server.port), server)

    def add_host(self, host: Name, known: Addresses, port: int = 53) -> None:
        """Every address of a host to which there is a route; all of them if there is a route to none."""
        label = _shown(host)
        texts = [rdata.to_text(kind, address) for kind, address in known.addresses]
        routed = [text for text in texts if query.has_route(text)] or texts
        self._passed_over += [f"{label} ({text}): no route from here" for text in texts if text not in routed]
        for text in routed:
            self.add(Server(text, port, label))
        if not texts or known.unknown:
            self._unknown.append(f"{label}: {known.unknown or 'it has no address'}")

    def servers(self) -> Servers:
        return Servers(tuple(self._found.values()), tuple(self._unknown), tuple(self._passed_over))


class _Resolver:
    """Recursive resolvers, asked one after the other until one has an answer."""

    def __init__(self, texts: Sequence[str], options: Options) -> None:
        self._servers = [_numeric(text) for text in texts or _of_the_system()]
        rate = _RESOLVER_RATE if options.rate is None else min(options.rate, _RESOLVER_RATE)
        self._options = structs.replace(options, rd=True, rate=rate)

    def ask(self, keys: Iterable[Key]) -> dict[Key, Message | str]:
        """The answer to each question, or in words why there is none."""
        found: dict[Key, Message | str] = dict.fromkeys(keys, "no resolver was asked")
        for server in self._servers:
            left = [(server, *key) for key, answer in found.items() if isinstance(answer, str)]
            for reply in query.ask(left, self._options):
                found[reply.name, reply.type] = _usable(reply)
        return found

    def addresses(self, hosts: Sequence[Name]) -> dict[Name, Addresses]:
        """A and AAAA of each host."""
        chases = [_Chase(host, kind) for host in dict.fromkeys(hosts) for kind in _ADDRESS_TYPES]
        for _ in range(_MAX_ALIASES):
            waiting = [chase for chase in chases if not chase.done]
            answers = self.ask(chase.key for chase in waiting)
            for chase in waiting:
                chase.take(answers[chase.key])
        return {host: _joined([chase for chase in chases if chase.host == host]) for host in hosts}


class _Chase:
    """The way from a host through its aliases to its addresses of one type."""

    def __init__(self, host: Name, kind: Type) -> None:
        self.host = host
        self.key: Key = (host, kind)
        self.done = False
        self.addresses: frozenset[bytes] = frozenset()
        self.unknown = f"{_shown(host)} leads through more than {_MAX_ALIASES} aliases, or round in a circle"

    def take(self, answer: Message | str) -> None:
        """Go on with an answer to `key`, or end there."""
        if isinstance(answer, str):
            self.done, self.unknown = True, answer
            return
        name, kind = self.key
        aliases = {record.name: record.rdata for record in answer.answer if record.type == rr.CNAME}
        for _ in range(len(aliases)):
            name = aliases.get(name, name)
        if name in aliases:
            self.done = True  # a circle, as `unknown` already says
            return
        self.addresses = frozenset(one.rdata for one in answer.answer if (one.name, one.type) == (name, kind))
        ended = answer.rcode == wire.NXDOMAIN or any(one.type == rr.SOA for one in answer.authority)
        if self.addresses or ended or name == self.key[0]:
            self.done, self.unknown = True, ""
        else:
            self.key = (name, kind)  # the resolver stopped at an alias


def _joined(chases: Iterable[_Chase]) -> Addresses:
    chases = list(chases)
    found = sorted((chase.key[1], address) for chase in chases for address in chase.addresses)
    return Addresses(tuple(found), "; ".join(dict.fromkeys(chase.unknown for chase in chases if chase.unknown)))


class _Referral(NamedTuple):
    """Where a server says that the zone's, or a nearer zone's, servers are."""

    cut: Name
    hosts: tuple[Name, ...]
    glue: Mapping[Name, tuple[tuple[Type, bytes], ...]]
    ttl: int | None = None


class _Walk(NamedTuple):
    """How far the walk came: the last referral with the servers that gave it, or in words why it ended."""

    referral: _Referral
    parents: tuple[Server, ...]
    unknown: tuple[str, ...] = ()


class _Discovery:
    """Walks from the zone above down to the delegation."""

    def __init__(self, zone: Name, resolver: _Resolver, options: Options) -> None:
        self._zone = zone
        self._resolver = resolver
        self._options = structs.replace(options, rd=False)

    def walk(self) -> _Walk:
        """From the enclosing zone down to the referral to the zone itself."""
        above = self._enclosing_zone()
        hosts = above if isinstance(above, str) else self._servers_by_resolver(above)
        referral = _Referral(names.ROOT, (), {})
        if isinstance(above, str) or isinstance(hosts, str):
            return _Walk(referral, (), (str(hosts),))
        referral = _Referral(above, hosts, {})
        for _ in range(_MAX_REFERRALS):
            servers = self.gather(referral)
            nearer = self._refer(servers, referral.cut)
            if isinstance(nearer, str):
                return _Walk(referral, (), (nearer, *servers.unknown))
            referral = nearer
            if referral.cut == self._zone:
                return _Walk(referral, servers.found)
        too_far = f"the way to {_shown(self._zone)} leads through more than {_MAX_REFERRALS} referrals"
        return _Walk(referral, (), (too_far,))

    def _enclosing_zone(self) -> Name | str:
        """The apex of the zone that the parent name lies in, as its SOA tells."""
        name = names.parent(self._zone)
        while True:
            answer = self._resolver.ask([(name, rr.SOA)])[name, rr.SOA]
            if isinstance(answer, str):
                return f"the zone above {_shown(self._zone)} could not be found: {answer}"
            for record in (*answer.answer, *answer.authority):
                if record.type == rr.SOA and names.is_under(name, record.name):
                    return record.name
            if name == names.ROOT:
                return f"the zone above {_shown(self._zone)} could not be found: no SOA up to the root"
            name = names.parent(name)  # an alias, say

    def _servers_by_resolver(self, above: Name) -> tuple[Name, ...] | str:
        answer = self._resolver.ask([(above, rr.NS)])[above, rr.NS]
        if isinstance(answer, str):
            return f"the servers of {_shown(above)} could not be found: {answer}"
        return _targets(answer.answer, above) or f"the resolver says that {_shown(above)} has no name servers"

    def gather(self, referral: _Referral) -> Servers:
        """The addresses of a referral's hosts: by glue where the referring zone may give it, else looked up."""
        without = [host for host in referral.hosts if host not in referral.glue]
        looked_up = self._resolver.addresses(without) if without else {}
        gathered = _Gathered()
        for host in referral.hosts:
            gathered.add_host(host, looked_up[host] if host in looked_up else Addresses(referral.glue[host]))
        return gathered.servers()

    def _refer(self, servers: Servers, cut: Name) -> _Referral | str:
        """What the servers of `cut` say about the zone; the first usable word counts."""
        questions = [(server, self._zone, rr.NS) for server in servers.found]
        replies = {reply.server: reply for reply in query.ask(questions, self._options)}
        refusals = []
        for server in servers.found:
            referral = self._referral_in(replies[server], cut)
            if isinstance(referral, _Referral):
                return referral
            refusals.append(f"{server}: {referral}")
        why = "; ".join(refusals) or "none of them is known by address"
        return f"the servers of {_shown(cut)} give no delegation of {_shown(self._zone)}: {why}"

    def _referral_in(self, reply: Reply, cut: Name) -> _Referral | str:
        answer = reply.message
        if answer is None:
            return reply.detail
        if answer.rcode not in (wire.NOERROR, wire.NXDOMAIN):
            return f"answers {wire.rcode_to_text(answer.rcode)}"
        if answer.aa and (hosts := _targets(answer.answer, self._zone)):
            return _Referral(
                self._zone, hosts, _glue(answer, cut), _ttl(answer.answer, self._zone)
            )  # it serves parent and child alike
        owners = {one.name for one in answer.authority if one.type == rr.NS}
        nearer = [one for one in owners if names.is_under(self._zone, one) and names.is_under(one, cut) and one != cut]
        if not answer.aa and nearer:
            hosts, ttl = _targets(answer.authority, nearer[0]), _ttl(answer.authority, nearer[0])
            return _Referral(nearer[0], hosts, _glue(answer, cut), ttl)
        return f"{_shown(self._zone)} is not delegated" if answer.aa else "not authoritative (lame)"


def _targets(records: Iterable[Record], owner: Name) -> tuple[Name, ...]:
    return tuple(sorted(one.rdata for one in records if one.type == rr.NS and one.name == owner))


def _ttl(records: Iterable[Record], owner: Name) -> int | None:
    return max((one.ttl for one in records if one.type == rr.NS and one.name == owner), default=None)


def _glue(answer: Message, cut: Name) -> dict[Name, tuple[tuple[Type, bytes], ...]]:
    """The addresses in the additional section of hosts for which the servers of `cut` may speak."""
    found: dict[Name, tuple[tuple[Type, bytes], ...]] = {}
    for one in answer.additional:
        if one.type in _ADDRESS_TYPES and names.is_under(one.name, cut):
            found[one.name] = tuple(sorted({*found.get(one.name, ()), (one.type, one.rdata)}))
    return found


def _usable(reply: Reply) -> Message | str:
    """A resolver's answer, or in words why it is none."""
    message = reply.message
    if reply.outcome is not Outcome.ANSWER or message is None:
        return f"the resolver {reply.server}: {reply.detail}"
    if message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return f"the resolver {reply.server} answers {wire.rcode_to_text(message.rcode)}"
    if not (message.aa or message.flags & wire.RA):
        return f"{reply.server} is no resolver: it offers no recursion"
    return message


def _of_the_system() -> tuple[str, ...]:
    try:
        return system_resolvers(RESOLV_CONF.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return system_resolvers("")


def _numeric(text: str) -> Server:
    server = server_from_text(text)
    if not _is_address(server.address):
        raise InputError(f"the resolver {text!r} must be given by its address")
    return server


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _shown(name: Name) -> str:
    """A name without its final dot, as people write hosts."""
    return names.to_text(name)[:-1] or "."
