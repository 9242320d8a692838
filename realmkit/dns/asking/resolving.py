"""Finding out what stands outside of the zones at hand: three-valued, aliases of hosts followed.

`delegation.py` says what may be asked about. Aliases of many hosts are followed side by side, so that a hundred hosts
take as many round trips as one.
"""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from realmkit.dns import names, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.exchange import server_from_text
from realmkit.dns.asking.query import Options, Outcome, Reply, Server
from realmkit.dns.records import Type
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit.dns.wire import Message

ADDRESS_TYPES: Final = (rr.A, rr.AAAA)
_RESOLVER_RATE: Final = 20.0  # questions a second that a public resolver takes without complaint
_MAX_ALIASES: Final = 8


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


class Gathered:
    """Collects servers, each address once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], Server] = {}
        self._unknown: list[str] = []
        self._passed_over: list[str] = []

    def add(self, server: Server) -> None:
        """Add one address, unless it is there."""
        self._found.setdefault((server.address, server.port), server)

    def add_host(self, host: Name, known: Addresses, port: int = 53) -> None:
        """Every address of a host to which there is a route; all of them if there is a route to none."""
        label = shown(host)
        texts = [rdata.to_text(kind, address) for kind, address in known.addresses]
        routed = [text for text in texts if query.has_route(text)] or texts
        self._passed_over += [f"{label} ({text}): no route from here" for text in texts if text not in routed]
        for text in routed:
            self.add(Server(text, port, label))
        if not texts or known.unknown:
            self._unknown.append(f"{label}: {known.unknown or 'it has no address'}")

    def servers(self) -> Servers:
        """All that was added."""
        return Servers(tuple(self._found.values()), tuple(self._unknown), tuple(self._passed_over))


class Finder(ABC):
    """Somebody who tells what stands in other people's zones."""

    @abstractmethod
    def ask(self, keys: Iterable[Key]) -> dict[Key, Message | str]:
        """The answer to each question, or in words why there is none.

        An answer may end at an alias that leads on.
        """

    def addresses(self, hosts: Sequence[Name]) -> dict[Name, Addresses]:
        """A and AAAA of each host, along its aliases."""
        chases = [_Chase(host, kind) for host in dict.fromkeys(hosts) for kind in ADDRESS_TYPES]
        for _ in range(_MAX_ALIASES):
            waiting = [chase for chase in chases if not chase.done]
            if not waiting:
                break
            answers = self.ask(chase.key for chase in waiting)
            for chase in waiting:
                chase.take(answers[chase.key])
        return {host: _joined([chase for chase in chases if chase.host == host]) for host in hosts}


class Resolver(Finder):
    """Recursive resolvers, asked one after the other until one has an answer.

    Args:
        texts: `address` or `address:port` of each.
        manners: the options to ask with, taken anew for each round; recursion is always asked for.

    Raises:
        InputError: a text is no address.
    """

    def __init__(self, texts: Sequence[str], manners: Callable[[], Options]) -> None:
        self._servers = [numeric(text, "the resolver") for text in texts]
        self._manners = manners

    def ask(self, keys: Iterable[Key]) -> dict[Key, Message | str]:
        """As `Finder.ask`."""
        found: dict[Key, Message | str] = dict.fromkeys(keys, "no resolver was asked")
        for server in self._servers:
            left = [(server, *key) for key, answer in found.items() if isinstance(answer, str)]
            if left:
                for reply in query.ask(left, self._options()):
                    found[reply.name, reply.type] = _usable(reply)
        return found

    def _options(self) -> Options:
        options = self._manners()
        rate = _RESOLVER_RATE if options.rate is None else min(options.rate, _RESOLVER_RATE)
        return structs.replace(options, rd=True, rate=rate)


class _Chase:
    """The way from a host through its aliases to its addresses of one type."""

    def __init__(self, host: Name, kind: Type) -> None:
        self.host = host
        self.key: Key = (host, kind)
        self.done = False
        self.addresses: frozenset[bytes] = frozenset()
        self.unknown = f"{shown(host)} leads through more than {_MAX_ALIASES} aliases, or round in a circle"

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
            self.key = (name, kind)  # the answer ends at an alias


def _joined(chases: Iterable[_Chase]) -> Addresses:
    chases = list(chases)
    found = sorted((chase.key[1], address) for chase in chases for address in chase.addresses)
    return Addresses(tuple(found), "; ".join(dict.fromkeys(chase.unknown for chase in chases if chase.unknown)))


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


def numeric(text: str, what: str) -> Server:
    """The server that a text names by its address; `what` it is, for the error.

    Raises:
        InputError: it is no address.
    """
    server = server_from_text(text)
    if not is_address(server.address):
        raise InputError(f"{what} {text!r} must be given by its address")
    return server


def is_address(text: str) -> bool:
    """Whether a text is a numeric address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def shown(name: Name) -> str:
    """A name without its final dot, as people write hosts."""
    return names.to_text(name)[:-1] or "."
