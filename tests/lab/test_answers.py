"""What `answer.lookup` says a zone answers is what named and knot answer, and the sandbox's server answers the same.

The zones are made to be awkward: wildcards over and under other names, empty non-terminals, zone cuts with glue and
with data hidden below them, aliases everywhere. Every name that can be spelled with the zone's labels is asked.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.answer import DNAME, Kind, ZoneIndex, glue, lookup
from realmkit.dns.asking.query import Options, Outcome, Server, ask
from realmkit.dns.records import RRset, zone_of
from realmkit.sandbox.nameserver import NameServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realmkit.dns.answer import Answer
    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone
    from realmkit.dns.wire import Message, Record
    from tests.lab.server import Authoritative
    from tests.lab.servers import Knot, Named
    from tests.lab.topology import Lab

OPTIONS = Options(timeouts=(1.0, 2.0, 3.0), rate=None)
ASKED = (rr.A, rr.MX, rr.CNAME, rr.NS, rr.SRV, DNAME)


def build(apex: Name, lines: Iterable[str]) -> Zone:
    """A zone from lines of `owner ttl type rdata`, an RRset for each owner and type."""
    found: dict[tuple[Name, int], RRset] = {}
    base = [
        "@ 300 SOA ns1.lab.example. hostmaster.lab.example. 1 60 5 3600 60",
        "@ 300 NS ns1.lab.example.",
    ]
    for line in [*base, *lines]:
        owner, ttl, kind, text = line.split(None, 3)
        name, number = names.from_text(owner, apex), rr.type_from_text(kind)
        before = found.get((name, number))
        ttl_now = int(ttl) if before is None else before.ttl
        one = rdata.from_text(number, text, apex)
        found[name, number] = RRset(name, number, ttl_now, (before.rdata if before else frozenset()) | {one})
    return zone_of(apex, found.values())


def file_of(zone: Zone) -> str:
    """The zone as a file that named and knot read."""
    return "".join(
        f"{names.to_text(rrset.name)} {rrset.ttl} IN {rr.type_to_text(rrset.type)} {rdata.to_text(rrset.type, one)}\n"
        for rrset in sorted(zone.rrsets.values(), key=lambda rrset: rrset.type != rr.SOA)
        for one in sorted(rrset.rdata)
    )


def every_name(zone: Zone, depth: int) -> list[Name]:
    """Every name of up to `depth` labels of the zone's own labels, with one that it does not know."""
    apex = zone.name
    labels = {b"unknown"}
    for name in ZoneIndex.of(zone).nodes:
        labels.update(names.labels_of(name[: len(name) - len(apex)] + names.ROOT))
    prefixes = [bytes((len(label),)) + label for label in sorted(labels)]
    found = [apex]
    for count in range(1, depth + 1):
        found += [b"".join(some) + apex for some in itertools.product(prefixes, repeat=count)]
    return found


def ask_all(server: Server, questions: list[tuple[Name, int]]) -> dict[tuple[Name, int], Message]:
    replies = ask(((server, name, kind) for name, kind in questions), OPTIONS)
    found = {}
    for reply in replies:
        assert reply.outcome is Outcome.ANSWER, reply
        assert reply.message is not None
        found[reply.name, reply.type] = reply.message
    assert len(found) == len(questions)
    return found


class Seen(NamedTuple):
    """A message boiled down to what `lookup` says: the kind, where it comes from, and the set."""

    kind: Kind
    owner: Name | None
    ttl: int | None
    rdata: frozenset[bytes]


def seen_in(message: Message, name: Name, kind: int) -> Seen:
    def of(section: Iterable[Record], owner: Name | None, wanted: int) -> Iterator[Record]:
        return (one for one in section if one.type == wanted and owner in (None, one.name))

    def as_seen(how: Kind, some: list[Record]) -> Seen:
        assert len({one.ttl for one in some}) == 1
        return Seen(how, some[0].name, some[0].ttl, frozenset(one.rdata for one in some))

    if some := list(of(message.answer, None, DNAME)):
        direct = kind == DNAME and some[0].name == name
        return as_seen(Kind.FOUND if direct else Kind.DNAME, some[:1])
    if some := list(of(message.answer, name, kind)):
        return as_seen(Kind.FOUND, some)
    if some := list(of(message.answer, name, rr.CNAME)):
        return as_seen(Kind.CNAME, some)
    assert not message.answer
    if message.rcode == 3:
        return Seen(Kind.NXDOMAIN, None, None, frozenset())
    assert message.rcode == 0
    if not message.aa and (some := list(of(message.authority, None, rr.NS))):
        return as_seen(Kind.DELEGATED, some)
    assert message.aa
    return Seen(Kind.NODATA, None, None, frozenset())


def said_by(answer: Answer) -> Seen:
    rrset = answer.rrset
    if rrset is None:
        return Seen(answer.kind, None, None, frozenset())
    owner = answer.name if answer.kind in (Kind.FOUND, Kind.CNAME) else answer.source
    return Seen(answer.kind, owner, rrset.ttl, rrset.rdata)


def check(zone: Zone, servers: Iterable[Authoritative], depth: int = 3) -> int:
    """Compare `lookup` with what each server answers; how many questions were asked of each."""
    index = ZoneIndex.of(zone)
    questions = [(name, kind) for name in every_name(zone, depth) for kind in ASKED]
    for server in servers:
        for (name, kind), message in ask_all(Server(server.address, server.port), questions).items():
            answer = lookup(index, name, kind)
            where = (type(server).__name__, names.to_text(name), rr.type_to_text(kind))
            assert (where, seen_in(message, name, kind)) == (where, said_by(answer))
            if answer.kind is Kind.DELEGATED:
                assert answer.rrset is not None
                expected = {(one.name, one.type, one.rdata) for one in glue(index, answer.rrset)}
                assert {(one.name, one.type, frozenset((one.rdata,))) for one in message.additional} == expected
    return len(questions)


RFC_4592 = [  # after the example of RFC 4592 section 2.2.1
    "* 3600 TXT this-is-a-wildcard",
    "* 3600 MX 10 host1",
    "sub.* 3600 TXT this-is-not-a-wildcard",
    "host1 3600 A 192.0.2.1",
    "_ssh._tcp.host1 3600 SRV 0 0 22 host1",
    "_ssh._tcp.host2 3600 SRV 0 0 22 host1",
    "subdel 3600 NS ns.example.com.",
    "subdel 3600 NS ns.subdel",
    "ns.subdel 60 A 192.0.2.53",
    "hidden.subdel 60 A 192.0.2.54",
]
REALMS = [
    "* 300 A 198.51.100.10",
    "* 300 MX 10 fax",
    "* 300 SRV 10 50 5060 edge",
    "_sip._udp.alpha 300 SRV 10 50 5060 edge",
    "_acme-challenge.beta 300 TXT token",
    "_sips._tcp.* 300 SRV 10 50 5061 edge",
    "edge 60 A 198.51.100.10",
    "fax 60 A 198.51.100.25",
    "alias 120 CNAME edge",
    "away 120 CNAME edge.example.net.",
    "*.brand 90 CNAME edge",
    "*.deep.brand 90 A 198.51.100.11",
]


@pytest.fixture(params=["rfc4592", "realms"])
def known_zone(request: pytest.FixtureRequest, lab: Lab) -> Zone:
    apex = names.absolute(lab.zone_name())
    return build(apex, RFC_4592 if request.param == "rfc4592" else REALMS)


def test_the_known_traps(known_zone: Zone, named: Named, knot: Knot) -> None:
    for server in (named, knot):
        server.add_zone(names.to_text(known_zone.name), file_of(known_zone))
    assert check(known_zone, (named, knot)) > 1000


LABELS = st.sampled_from(["a", "b", "*", "_sip"])
OWNERS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
TTLS = st.sampled_from([60, 61, 62])
DATA = st.sampled_from([
    ("A", "192.0.2.1"), ("A", "192.0.2.2"), ("MX", "10 a"), ("SRV", "0 0 5060 b.a"), ("TXT", "x"),
    ("CNAME", "b"), ("CNAME", "a.b"), ("CNAME", "edge.example.net."), ("NS", "ns.a"), ("NS", "ns1.lab.example."),
])  # fmt: skip


@st.composite
def zones(draw: st.DrawFn) -> list[str]:
    """Lines of a zone that both servers load: aliases stand alone, and wildcards hold no NS (RFC 4592 section 4.2)."""
    chosen: dict[str, dict[str, tuple[int, str]]] = {}
    for owner, ttl, (kind, text) in draw(st.lists(st.tuples(OWNERS, TTLS, DATA), min_size=3, max_size=14)):
        there = chosen.setdefault(owner, {})
        alone = kind == "CNAME" or "CNAME" in there
        if not (there and alone) and not (kind == "NS" and owner.startswith("*")):
            there.setdefault(kind, (ttl, text))
    if draw(st.booleans()):
        chosen.setdefault("ns.a", {}).setdefault("A", (60, "192.0.2.53"))
        chosen["ns.a"].pop("CNAME", None)
    return [f"{owner} {ttl} {kind} {text}" for owner, sets in chosen.items() for kind, (ttl, text) in sets.items()]


@settings(
    max_examples=15, deadline=None, derandomize=True, phases=(Phase.generate,),
    suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow),
)  # fmt: skip
@given(zones())
def test_awkward_zones(named: Named, knot: Knot, lab: Lab, lines: list[str]) -> None:
    apex = lab.zone_name()
    zone = build(names.absolute(apex), lines)
    for server in (named, knot):
        server.add_zone(apex, file_of(zone))
    check(zone, (named, knot))


DNAMES = [
    "old 60 DNAME new",
    "old 60 A 192.0.2.9",
    "a.new 61 A 192.0.2.1",
    "*.b.new 62 A 192.0.2.2",
    "*.new 63 CNAME a.new",
    "gone 60 DNAME example.net.",
    "ring1 60 CNAME ring2",
    "ring2 60 CNAME ring3",
    "ring3 60 CNAME nowhere",
    "cut 60 NS ns.cut",
    "ns.cut 60 A 192.0.2.53",
    "ns.cut 60 AAAA 2001:db8::53",
    "tocut 60 CNAME deep.cut",
]


def test_dname(named: Named, knot: Knot, lab: Lab) -> None:
    apex = lab.zone_name()
    zone = build(names.absolute(apex), DNAMES)
    for server in (named, knot):
        server.add_zone(apex, file_of(zone))
    check(zone, (named, knot))


def told(message: Message) -> tuple[object, ...]:
    """What must be the same whoever answers; positive answers may carry more beside it."""
    decides = not message.answer or message.rcode or any(one.type == rr.SOA for one in message.authority)
    authority = {one for one in message.authority if one.type == rr.SOA or not message.aa} if decides else set()
    glued = set() if message.aa else set(message.additional)
    return message.rcode, message.aa, set(message.answer), authority, glued


@pytest.mark.parametrize("lines", [RFC_4592, REALMS, DNAMES])
def test_the_sandbox_answers_as_named_does(lines: list[str], named: Named, lab: Lab) -> None:
    apex = lab.zone_name()
    zone = build(names.absolute(apex), lines)
    named.add_zone(apex, file_of(zone))
    questions = [(name, kind) for name in every_name(zone, 2) for kind in (*ASKED, rr.TXT, rr.DS)]
    expected = ask_all(Server(named.address, named.port), questions)
    with NameServer([zone]) as sandbox:
        seen = ask_all(sandbox.server, questions)
    for question, message in expected.items():
        where = names.to_text(question[0]), rr.type_to_text(question[1])
        assert (where, told(seen[question])) == (where, told(message))
