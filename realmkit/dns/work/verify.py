"""Looking again: does every authoritative server answer as it should?

What should be answered comes from a zone snapshot (`expectations`), so that a name that was deleted below a wildcard
is expected to be answered by the wildcard. Judging one reply is pure (`judge`); `verify` asks, and asks again until
all is right or the deadline passes. A server that gives no answer is unknown, never fine and never missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, structs

from realmkit import errors
from realmkit.dns import names, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.answer import Kind, ZoneIndex, lookup
from realmkit.dns.asking import query
from realmkit.dns.asking.query import Options, Outcome, Reply, Server
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Type
from realmkit.dns.wire import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from realmkit.clock import Clock
    from realmkit.dns.asking.delegation import Servers
    from realmkit.dns.records import Key, Zone
    from realmkit.dns.wire import Message

State = Literal["right", "differs", "absent", "unexpected", "lame", "unknown"]
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between rounds; the last one repeats


class Expectation(Struct, frozen=True):
    """What a server should answer to one question.

    Attributes:
        name: the name asked for.
        type: the type asked for.
        rrset: the answer's set, under whatever owner the zone holds it (a wildcard's, a CNAME); None for no data.
    """

    name: Name
    type: Type
    rrset: RRset | None


class Observation(Struct, frozen=True):
    """What one server answered to one question.

    Attributes:
        zone: the apex.
        server: who answered, or did not.
        expectation: what was asked and expected.
        state: `right`; `differs`, `absent` or `unexpected` records; `lame`: it answers, but not with authority;
            `unknown`: it could not be asked.
        came: the records that came instead, where they are not the expected ones.
        detail: why it is not right, for a person.
    """

    zone: Name
    server: Server
    expectation: Expectation
    state: State
    came: tuple[Record, ...] = ()
    detail: str = ""

    @property
    def expected(self) -> tuple[str, ...]:
        """The records that should have come, as text."""
        rrset = self.expectation.rrset
        return () if rrset is None else tuple(sorted(_text(self.expectation, rrset.type, one) for one in rrset.rdata))

    @property
    def seen(self) -> tuple[str, ...]:
        """The records that came, as text."""
        if self.state == "right":
            return self.expected
        return tuple(sorted(_text(self.expectation, one.type, one.rdata) for one in self.came))


class Standing(Struct, frozen=True):
    """How a server stands for a zone: the serial that it serves, None if it did not say."""

    zone: Name
    server: Server
    serial: int | None


class Report(Struct, frozen=True):
    """What all servers answered.

    Attributes:
        observations: one for each question and server.
        standings: one for each zone and server.
        unasked: servers that could not be found, and zones without any, in words.
    """

    observations: tuple[Observation, ...]
    standings: tuple[Standing, ...]
    unasked: tuple[str, ...]

    @property
    def wrong(self) -> list[Observation]:
        """What is certainly not as it should be."""
        return [one for one in self.observations if one.state not in ("right", "unknown")]

    @property
    def unknown(self) -> list[Observation]:
        """What could not be found out."""
        return [one for one in self.observations if one.state == "unknown"]

    @property
    def exit_code(self) -> int:
        """0 when all is right, 2 when something is wrong, 3 when nothing is wrong but not all could be asked."""
        if self.wrong:
            return errors.CRITICAL
        return errors.UNKNOWN if self.unknown or self.unasked else errors.OK

    def behind(self) -> list[tuple[Standing, int]]:
        """Servers whose serial is older than another's of the same zone, each with the newest serial there."""
        newest: dict[Name, int] = {}
        for one in self.standings:
            known = newest.get(one.zone)
            if one.serial is not None and (known is None or rr.serial_newer(one.serial, known)):
                newest[one.zone] = one.serial
        return [
            (one, newest[one.zone])
            for one in self.standings
            if one.serial is not None and rr.serial_newer(newest[one.zone], one.serial)
        ]


def present(rrset: RRset) -> Expectation:
    """The expectation that an RRset is served as it is."""
    return Expectation(rrset.name, rrset.type, rrset)


def expectations(after: Zone, keys: Iterable[Key]) -> list[Expectation]:
    """What a server with this zone answers for these names and types.

    Left out is what the zone's own servers can't be asked for: what lies below a zone cut (but the NS set of the cut
    itself is in their referrals) or below a DNAME.
    """
    index = ZoneIndex.of(after)
    found = []
    for name, kind in keys:
        answer = lookup(index, name, kind)
        cut = answer.kind is Kind.DELEGATED and answer.source == name and kind == rr.NS
        if cut or answer.kind in (Kind.FOUND, Kind.CNAME):
            found.append(Expectation(name, kind, answer.rrset))
        elif answer.kind in (Kind.NODATA, Kind.NXDOMAIN):
            found.append(Expectation(name, kind, None))
    return found


def judge(zone: Name, expectation: Expectation, reply: Reply) -> Observation:
    """What a reply means for what was expected."""
    message = reply.message
    if reply.outcome is not Outcome.ANSWER or message is None:
        detail = f"{reply.outcome.value}: {reply.detail}" if reply.detail else reply.outcome.value
        return Observation(zone, reply.server, expectation, "unknown", detail=detail)
    came = _came(expectation, message)
    unfit = None if came and came[0] in message.authority else _unfit(message)
    if unfit is not None:
        state, detail = unfit
        return Observation(zone, reply.server, expectation, state, detail=detail)
    state, detail = _compared(expectation.rrset, came)
    if state == "absent":
        detail = wire.rcode_to_text(message.rcode)
    return Observation(zone, reply.server, expectation, state, () if state == "right" else tuple(came), detail)


def _came(expectation: Expectation, message: Message) -> list[Record]:
    """The records of an answer that speak for what was asked: the set, an alias in its place, or a referral's NS."""
    kinds = {expectation.type, rr.CNAME}
    came = [one for one in message.answer if one.name == expectation.name and one.type in kinds]
    if not came and not message.aa and expectation.type == rr.NS:
        came = [one for one in message.authority if one.name == expectation.name and one.type == rr.NS]
    return came


def _unfit(message: Message) -> tuple[State, str] | None:
    """Why an answer says nothing about the zone, if so."""
    rcode = wire.rcode_to_text(message.rcode)
    if message.rcode in (wire.REFUSED, wire.NOTAUTH):
        return "lame", f"answers {rcode}: it does not serve the zone"
    if message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return "unknown", f"answers {rcode}"
    return None if message.aa else ("lame", "answers without authority")


def _compared(wanted: RRset | None, came: Sequence[Record]) -> tuple[State, str]:
    """The records that came beside those that should have come. An authoritative answer carries the whole TTL."""
    if wanted is None:
        return ("unexpected", "there should be nothing") if came else ("right", "")
    if not came:
        return "absent", ""
    if {one.type for one in came} != {wanted.type} or frozenset(one.rdata for one in came) != wanted.rdata:
        return "differs", ""
    ttls = sorted({one.ttl for one in came})
    if ttls != [wanted.ttl]:
        return "differs", f"TTL {', '.join(map(str, ttls))} instead of {wanted.ttl}"
    return "right", ""


def verify(
    expected: Mapping[Name, list[Expectation]],
    servers: Mapping[Name, Servers],
    options: Options,
    clock: Clock,
    deadline: float,
    advance: Callable[[int], None] = lambda _steps: None,
) -> Report:
    """Ask every server of each zone for everything that is expected there, until all is right.

    Args:
        expected: by zone.
        servers: by zone, at least those of `expected`.
        options: manners.
        clock: time.
        deadline: seconds after which what is not right yet stays so; every question is asked at least once.
        advance: called for each question that has come right, and at the end for the rest.
    """
    until = clock.monotonic() + deadline
    places = [(zone, server) for zone in expected for server in servers[zone].found]
    # Servers take turns, so that the rate of one does not hold up the others.
    pending = [
        _Question(zone, server, one)
        for zone, many in expected.items()
        for one in many
        for server in servers[zone].found
    ]
    done: list[Observation] = []
    last: list[Observation] = []
    for pause in _pauses():
        left = until - clock.monotonic()
        # one try each while there is time, so that a dead server does not hold up the others; then all tries
        final = left <= 0
        manners = options if final else structs.replace(options, timeouts=options.timeouts[:1], deadline=left)
        last = []
        for one in _round(pending, manners):
            if one.state == "right":
                done.append(one)
                advance(1)
            else:
                last.append(one)
        pending = [_Question(one.zone, one.server, one.expectation) for one in last]
        if final or not pending:
            break
        clock.sleep(min(pause, max(until - clock.monotonic(), 0.0)))
    advance(len(last))
    return Report((*done, *last), tuple(_standings(places, options)), tuple(_unasked(expected, servers)))


class _Question(Struct, frozen=True):
    zone: Name
    server: Server
    expectation: Expectation


def _pauses() -> Iterator[float]:
    yield from _PAUSES
    while True:
        yield _PAUSES[-1]


def _round(questions: list[_Question], options: Options) -> Iterator[Observation]:
    """Every question once; equal questions to a server are sent once and judged for each."""
    waiting: dict[tuple[Server, Name, Type], list[_Question]] = {}
    for one in questions:
        waiting.setdefault((one.server, one.expectation.name, one.expectation.type), []).append(one)
    for reply in query.ask(waiting, options):
        for one in waiting[reply.server, reply.name, reply.type]:
            yield judge(one.zone, one.expectation, reply)


def _standings(places: list[tuple[Name, Server]], options: Options) -> Iterator[Standing]:
    asked = {(server, zone, rr.SOA): None for zone, server in places}
    for reply in query.ask(asked, options):
        answers = reply.message.answer if reply.message is not None and reply.message.aa else []
        apex = (reply.name, rr.SOA)
        serials = [int.from_bytes(one.rdata[-20:-16], "big") for one in answers if (one.name, one.type) == apex]
        yield Standing(reply.name, reply.server, serials[0] if serials else None)


def _unasked(expected: Mapping[Name, list[Expectation]], servers: Mapping[Name, Servers]) -> Iterator[str]:
    for zone in expected:
        yield from servers[zone].unknown
        if not servers[zone].found and not servers[zone].unknown:
            yield f"no name server of {names.to_text(zone)} is known"


def _text(expectation: Expectation, kind: Type, octets: bytes) -> str:
    """Rdata as text; its type is said only where it is not the one that was asked for."""
    text = rdata.to_text(kind, octets)
    return text if kind == expectation.type else f"{rr.type_to_text(kind)} {text}"
