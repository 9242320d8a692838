"""What a server gives to a stranger: an answer over TCP, a whole zone, other people's names; and how it takes EDNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from msgspec import structs

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Outcome, Reply
from realmkit.health.observe.exchange import Probe, Said, exchange
from realmkit.health.observe.realms import sight_of
from realmkit.health.seen.realm import Sight
from realmkit.health.seen.zone import EdnsAnswer, EdnsSeen, Offer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.zone import ServerSeen

Reach: TypeAlias = Literal["answers", "silent", "unreachable"]
Where: TypeAlias = tuple[str, int]
_OPTION: Final = 100  # no option has that number
_PAYLOAD: Final = 1232
_OPT_FIXED: Final = 10  # octets of an OPT record after its owner, before its options


class Strange(NamedTuple):
    """What all servers gave.

    Attributes:
        soa: the SOA over TCP, by zone and server.
        tcp: how TCP ended, likewise.
        transfer: likewise.
        recursion: by address and port.
        edns: by address and port.
    """

    soa: dict[tuple[Name, Server], Sight]
    tcp: dict[tuple[Name, Server], Reach]
    transfer: dict[tuple[Name, Server], Offer]
    recursion: dict[Where, Offer]
    edns: dict[Where, EdnsSeen]

    def added(self, apex: Name, seen: ServerSeen) -> ServerSeen:
        """A server with all this added to what is known of it."""
        at = (apex, seen.server)
        where = seen.server.address, seen.server.port
        silent = Sight("unknown", detail="it was not asked, for it keeps silent over UDP")
        return structs.replace(
            seen,
            soa_tcp=self.soa.get(at, silent),
            tcp=self.tcp.get(at, "unreachable"),
            transfer=self.transfer.get(at, Offer(detail=silent.detail)),
            recursion=self.recursion.get(where, Offer(detail=silent.detail)),
            edns=self.edns.get(where, EdnsSeen()),
        )


def look(asked: Sequence[tuple[Server, Name, Reach]], surroundings: Surroundings) -> Strange:
    """Ask as a stranger would.

    Args:
        asked: server and zone, and whether the server answers at all over UDP.
        surroundings: manners.
    """
    alive = [(server, apex) for server, apex, reach in asked if reach == "answers"]
    first = {(one.address, one.port): (one, apex) for one, apex, reach in reversed(asked) if reach != "unreachable"}
    tcp = [Probe(server, wire.query(apex, rr.SOA, payload=None), tcp=True) for server, apex in alive]
    axfr = [Probe(server, wire.query(apex, wire.AXFR, payload=None), tcp=True) for server, apex in alive]
    edns = [Probe(server, message) for server, apex in first.values() for message in _edns_queries(apex)]
    said = exchange([*tcp, *axfr, *edns], surroundings)
    over_tcp, transfers, takes = said[: len(tcp)], said[len(tcp) : 2 * len(tcp)], said[2 * len(tcp) :]
    places = [(apex, server) for server, apex in alive]
    fours = [takes[at : at + 4] for at in range(0, len(takes), 4)]
    return Strange(
        {at: _soa(at, one) for at, one in zip(places, over_tcp, strict=True)},
        {at: _reach(one) for at, one in zip(places, over_tcp, strict=True)},
        {at: _transfer(at[0], one) for at, one in zip(places, transfers, strict=True)},
        _recursion([server for server, _ in alive], surroundings),
        {where: EdnsSeen(*map(_edns, four)) for where, four in zip(first, fours, strict=True)},
    )


def _read(said: Said) -> Message | None:
    try:
        return wire.parse(said.octets) if said.how == "answer" else None
    except wire.BadMessageError:
        return None


def _soa(at: tuple[Name, Server], said: Said) -> Sight:
    message = _read(said)
    if message is None:
        return Sight("unknown", detail=said.detail or "an answer that can't be read")
    return sight_of(Reply(at[1], at[0], rr.SOA, Outcome.ANSWER, message))


def _reach(said: Said) -> Reach:
    if said.how in ("late", "unreachable"):
        return "unreachable"
    return "answers" if said.how == "answer" else "silent"


def _transfer(apex: Name, said: Said) -> Offer:
    """Whether the first message of a transfer carries the zone (RFC 5936 section 2.2)."""
    if said.how == "closed":
        return Offer("refused", said.detail)
    if said.how != "answer":
        return Offer("unknown", said.detail)
    try:
        message, _ = wire.read_answers(said.octets)
    except wire.BadMessageError as error:
        return Offer("unknown", f"an answer that can't be read: {error}")
    begins = message.answer[:1]
    if message.rcode == wire.NOERROR and begins and (begins[0].name, begins[0].type) == (apex, rr.SOA):
        return Offer("given", f"{len(message.answer)} records in the first message")
    return Offer("refused", f"answers {wire.rcode_to_text(message.rcode)}")


def _recursion(servers: Sequence[Server], surroundings: Surroundings) -> dict[Where, Offer]:
    """Ask for the root's servers, which every resolver knows, and recursion (RFC 1034 section 4.3.1)."""
    once = {(server.address, server.port): server for server in servers}
    replies = surroundings.ask([(server, names.ROOT, rr.NS) for server in once.values()], rd=True)
    return {(one.server.address, one.server.port): _recursed(one) for one in replies}


def _recursed(reply: Reply) -> Offer:
    message = reply.message
    if message is None:
        return Offer("unknown", reply.detail)
    if not message.flags & wire.RA or message.aa:
        return Offer("refused", f"answers {wire.rcode_to_text(message.rcode)}")
    if message.rcode == wire.NOERROR and message.answer:
        return Offer("given", f"it resolves . NS to {len(message.answer)} records")
    if message.rcode == wire.SERVFAIL:
        return Offer("unknown", "it says that it recurses, and answers SERVFAIL")
    return Offer("refused", f"answers {wire.rcode_to_text(message.rcode)}")


# --- EDNS ----------------------------------------------------------------------------------------------------


def _edns_queries(apex: Name) -> tuple[bytes, bytes, bytes, bytes]:
    """The four queries of `EdnsSeen`, in the order of its fields."""
    plain = wire.query(apex, rr.SOA, payload=None)
    head, question = plain[:8] + b"\0\1", plain[10:]
    opt = b"\0" + wire.OPT.to_bytes(2, "big") + _PAYLOAD.to_bytes(2, "big")
    option = _OPTION.to_bytes(2, "big") + b"\0\0"
    return (
        plain,
        head + question + opt + bytes(6),
        head + question + opt + b"\0\1\0\0" + bytes(2),
        head + question + opt + bytes(4) + len(option).to_bytes(2, "big") + option,
    )


def _edns(said: Said) -> EdnsAnswer:
    if said.how in ("late", "unreachable"):
        return EdnsAnswer("unknown", detail=said.detail)
    if said.how != "answer":
        return EdnsAnswer("silent", detail=said.detail)
    try:
        message = wire.parse(said.octets)
        options = _options(said.octets)
    except (wire.BadMessageError, IndexError):
        return EdnsAnswer("unknown", detail="an answer that can't be read")
    opt, echoed = options is not None, _OPTION in (options or ())
    return EdnsAnswer("answered", message.rcode, opt, echoed, "")


def _options(octets: bytes) -> list[int] | None:
    """The numbers of the options in a well-formed message's OPT record; None where it has none."""
    counts = [int.from_bytes(octets[at : at + 2], "big") for at in (4, 6, 8, 10)]
    offset = 12
    for _ in range(counts[0]):
        offset = wire.skip_name(octets, offset) + 4
    for _ in range(sum(counts[1:])):
        offset = wire.skip_name(octets, offset)
        kind = int.from_bytes(octets[offset : offset + 2], "big")
        end = offset + _OPT_FIXED + int.from_bytes(octets[offset + 8 : offset + 10], "big")
        if kind == wire.OPT:
            return _numbers(octets[offset + _OPT_FIXED : end])
        offset = end
    return None


def _numbers(options: bytes) -> list[int]:
    found = []
    offset = 0
    while offset + 4 <= len(options):
        found.append(int.from_bytes(options[offset : offset + 2], "big"))
        offset += 4 + int.from_bytes(options[offset + 2 : offset + 4], "big")
    return found
