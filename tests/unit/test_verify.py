"""Verification: what is expected, what a reply means, and asking again until it is right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.answer import ZoneIndex
from realmkit.dns.asking.delegation import Servers
from realmkit.dns.asking.query import Options, Outcome, Reply, Server
from realmkit.dns.records import RRset, Zone, zone_of
from realmkit.dns.work.verify import Expectation, Observation, Report, Standing, expectations, judge, present, verify
from realmkit.sandbox.nameserver import Fault, NameServer
from realmkit.sandbox.responder import respond
from tests.unit.faulty import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.dns.records import Key

APEX = names.absolute("voice.example.net")
SERVER = Server("192.0.2.53", 53, "ns1.example.net")
FAST = Options(timeouts=(0.2, 0.2, 0.2), rate=None)


class ManualClock:
    """Time passes only while somebody sleeps; `on_sleep` is told each time."""

    def __init__(self, on_sleep: Callable[[float], None] = lambda _now: None) -> None:
        self._now = 0.0
        self._on_sleep = on_sleep

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now, UTC)

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
        self._on_sleep(self._now)


def name(text: str) -> bytes:
    return names.from_text(text, APEX)


def a(owner: str, *octets: int, ttl: int = 300) -> RRset:
    return RRset(name(owner), rr.A, ttl, frozenset(bytes((192, 0, 2, one)) for one in octets))


def alias(owner: str, target: str, ttl: int = 300) -> RRset:
    return RRset(name(owner), rr.CNAME, ttl, frozenset({name(target)}))


def soa(serial: int) -> RRset:
    timers = b"".join(number.to_bytes(4, "big") for number in (serial, 3600, 600, 86400, 60))
    return RRset(APEX, rr.SOA, 300, frozenset({name("ns1") + name("host") + timers}))


def zone(*rrsets: RRset, serial: int = 7) -> Zone:
    return zone_of(APEX, [soa(serial), RRset(APEX, rr.NS, 300, frozenset({name("ns1")})), *rrsets])


def reply(*answer: str, rcode: int = 0, aa: bool = True, authority: tuple[str, ...] = ()) -> Reply:
    """A server's reply to a question for A of `acme`, its message made by dnspython."""
    response = dns.message.make_response(dns.message.make_query("acme.voice.example.net.", "A"))
    response.set_rcode(dns.rcode.Rcode.make(rcode))
    response.flags = dns.flags.Flag(response.flags | (dns.flags.AA if aa else 0))
    for section, lines in ((response.answer, answer), (response.authority, authority)):
        for line in lines:
            owner, ttl, kind, text = line.split(None, 3)
            section.append(dns.rrset.from_text(f"{owner}.voice.example.net.", int(ttl), "IN", kind, *text.split("|")))
    return Reply(SERVER, name("acme"), rr.A, Outcome.ANSWER, wire.parse(response.to_wire()))


# --- judging -------------------------------------------------------------------------------------------------

TWO = present(a("acme", 1, 2))
NOTHING = Expectation(name("acme"), rr.A, None)
ALIAS = Expectation(name("acme"), rr.A, alias("acme", "edge"))
BY_WILDCARD = Expectation(name("acme"), rr.A, a("*", 9))


@pytest.mark.parametrize(
    ("expectation", "seen", "state", "detail"),
    [
        (TWO, reply("acme 300 A 192.0.2.1|192.0.2.2"), "right", ""),
        (TWO, reply("acme 300 A 192.0.2.2|192.0.2.1"), "right", ""),
        (TWO, reply("ACME 300 A 192.0.2.2|192.0.2.1"), "right", ""),
        (TWO, reply("acme 299 A 192.0.2.1|192.0.2.2"), "differs", "TTL 299 instead of 300"),
        (TWO, reply("acme 300 A 192.0.2.1"), "differs", ""),
        (TWO, reply("acme 300 A 192.0.2.1|192.0.2.2|192.0.2.3"), "differs", ""),
        (TWO, reply("acme 300 CNAME edge.voice.example.net.", "edge 300 A 192.0.2.1|192.0.2.2"), "differs", ""),
        (TWO, reply("edge 300 A 192.0.2.1|192.0.2.2"), "absent", "NOERROR"),
        (TWO, reply(), "absent", "NOERROR"),
        (TWO, reply(rcode=3), "absent", "NXDOMAIN"),
        (TWO, reply(rcode=2), "unknown", "SERVFAIL"),
        (TWO, reply(rcode=5), "lame", "REFUSED"),
        (TWO, reply(rcode=9), "lame", "NOTAUTH"),
        (TWO, reply("acme 300 A 192.0.2.1|192.0.2.2", aa=False), "lame", "without authority"),
        (TWO, reply(aa=False, authority=("x 300 NS ns1.example.org.",)), "lame", "without authority"),
        (NOTHING, reply(rcode=3), "right", ""),
        (NOTHING, reply(), "right", ""),
        (NOTHING, reply("acme 300 A 192.0.2.1"), "unexpected", "should be nothing"),
        (NOTHING, reply("acme 300 CNAME edge.voice.example.net.", rcode=3), "unexpected", "should be nothing"),
        (NOTHING, reply(rcode=5), "lame", "REFUSED"),
        (ALIAS, reply("acme 300 CNAME edge.voice.example.net.", "edge 60 A 192.0.2.1"), "right", ""),
        (ALIAS, reply("acme 300 CNAME other.voice.example.net."), "differs", ""),
        (ALIAS, reply("acme 300 A 192.0.2.1"), "differs", ""),
        (BY_WILDCARD, reply("acme 300 A 192.0.2.9"), "right", ""),
        (BY_WILDCARD, reply(rcode=3), "absent", "NXDOMAIN"),
    ],
)
def test_judging(expectation: Expectation, seen: Reply, state: str, detail: str) -> None:
    observation = judge(APEX, expectation, seen)
    assert (observation.state, observation.server) == (state, SERVER)
    assert detail in observation.detail
    assert bool(observation.detail) == bool(detail)


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.ANSWER])
def test_no_answer_is_unknown(outcome: Outcome) -> None:
    for expectation in (TWO, NOTHING):
        observation = judge(APEX, expectation, Reply(SERVER, name("acme"), rr.A, outcome, detail="why"))
        assert (observation.state, observation.seen) == ("unknown", ())
        assert observation.detail == f"{outcome.value}: why"


def test_what_is_shown() -> None:
    seen = judge(APEX, TWO, reply("acme 300 A 192.0.2.7|192.0.2.1"))
    assert (seen.expected, seen.seen) == (("192.0.2.1", "192.0.2.2"), ("192.0.2.1", "192.0.2.7"))
    seen = judge(APEX, TWO, reply("acme 300 CNAME edge.voice.example.net."))
    assert seen.seen == ("CNAME edge.voice.example.net.",)
    seen = judge(APEX, TWO, reply("acme 300 A 192.0.2.1|192.0.2.2"))
    assert seen.seen == seen.expected


def test_a_referral_proves_the_cut() -> None:
    cut = RRset(name("sub"), rr.NS, 300, frozenset({name("ns.sub"), names.absolute("ns.example.org")}))
    (expectation,) = expectations(zone(cut), [cut.key])
    assert expectation.rrset == cut
    right = reply(aa=False, authority=("sub 300 NS ns.sub.voice.example.net.|ns.example.org.",))
    assert judge(APEX, expectation, right).state == "right"
    other = reply(aa=False, authority=("sub 300 NS ns.sub.voice.example.net.",))
    assert judge(APEX, expectation, other).state == "differs"
    assert judge(APEX, expectation, reply(rcode=3)).state == "absent"


# --- what is expected ----------------------------------------------------------------------------------------


def test_a_deleted_name_below_a_wildcard_is_the_wildcards() -> None:
    after = zone(a("*", 9), alias("*.brand", "edge"), a("x.kept", 1))
    keys = [(name("gone"), rr.A), (name("gone"), rr.MX), (name("x.brand"), rr.A), (name("kept"), rr.A)]
    assert [one.rrset for one in expectations(after, keys)] == [
        after.rrsets[name("*"), rr.A], None, after.rrsets[name("*.brand"), rr.CNAME], None,
    ]  # fmt: skip


def test_what_is_below_a_cut_is_not_asked_here() -> None:
    cut = RRset(name("sub"), rr.NS, 300, frozenset({name("ns.sub")}))
    after = zone(cut, a("ns.sub", 1))
    assert expectations(after, [(name("ns.sub"), rr.A), (name("sub"), rr.A)]) == []


LABELS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3).map(".".join)
SETS = st.one_of(
    st.builds(a, LABELS, st.integers(1, 3), ttl=st.sampled_from([60, 61])),
    st.builds(alias, LABELS, st.sampled_from(["edge", "a.b"]), ttl=st.sampled_from([60, 61])),
)
ZONES = st.lists(SETS, max_size=8).map(lambda sets: zone(*sets))
KEYS = st.lists(st.tuples(LABELS.map(name), st.sampled_from([rr.A, rr.CNAME, rr.TXT])), max_size=12)


@given(ZONES, ZONES, KEYS)
def test_a_server_is_right_exactly_when_it_answers_as_the_zone_would(
    served: Zone, wanted: Zone, keys: list[Key]
) -> None:
    """The sandbox's server is the messenger: its messages are dnspython's, its zone may be another."""
    same = dict(zip(keys, expectations(served, keys), strict=True))
    for expectation in expectations(wanted, keys):
        kind = dns.rdatatype.RdataType.make(expectation.type)
        query = dns.message.make_query(dns.name.from_wire(expectation.name, 0)[0], kind)
        (message,) = respond(query.to_wire(), {APEX: ZoneIndex.of(served)}, tcp=True)
        asked = Reply(SERVER, expectation.name, expectation.type, Outcome.ANSWER, wire.parse(message))
        theirs = same[expectation.name, expectation.type].rrset
        ours = expectation.rrset
        alike = (theirs and (theirs.type, theirs.ttl, theirs.rdata)) == (ours and (ours.type, ours.ttl, ours.rdata))
        assert (judge(APEX, expectation, asked).state == "right") == alike


# --- asking, and asking again --------------------------------------------------------------------------------

BEFORE = zone(a("acme", 1), a("*", 9))
AFTER = zone(a("acme", 2), a("beta", 3), a("*", 9), serial=8)
WANTED = {APEX: expectations(AFTER, [(name("acme"), rr.A), (name("beta"), rr.A), (name("beta"), rr.MX)])}


def run(*servers: Server, deadline: float = 0, clock: ManualClock | None = None, **more: tuple[str, ...]) -> Report:
    return verify(WANTED, {APEX: Servers(servers, **more)}, FAST, clock or ManualClock(), deadline)


def test_all_is_right() -> None:
    steps: list[int] = []
    with NameServer([AFTER]) as one, NameServer([AFTER]) as two:
        servers = {APEX: Servers((one.server, two.server))}
        report = verify(WANTED, servers, FAST, ManualClock(), 0, steps.append)
    assert (report.exit_code, report.wrong, report.unknown, report.behind()) == (0, [], [], [])
    assert [observation.state for observation in report.observations] == ["right"] * 6
    assert sum(steps) == 6
    assert {standing.serial for standing in report.standings} == {8}


def test_one_server_is_an_hour_behind() -> None:
    with NameServer([AFTER]) as one, NameServer([BEFORE]) as two:
        report = run(one.server, two.server, deadline=60)
        assert report.exit_code == 2
        assert {(seen.server, seen.state) for seen in report.wrong} == {(two.server, "differs")}
        assert report.behind() == [(Standing(APEX, two.server, 7), 8)]
    acme, beta = sorted(report.wrong, key=lambda seen: seen.expectation.name)
    assert (acme.expected, acme.seen) == (("192.0.2.2",), ("192.0.2.1",))
    assert (beta.expected, beta.seen) == (("192.0.2.3",), ("192.0.2.9",))


@pytest.mark.parametrize(("fault", "state", "code"), [
    (Fault.DROP, "unknown", 3), (Fault.SERVFAIL, "unknown", 3), (Fault.LAME, "lame", 2),
])  # fmt: skip
def test_one_server_has_a_fault(fault: Fault, state: str, code: int) -> None:
    with NameServer([AFTER]) as one, NameServer([AFTER]) as two:
        two.fault = fault
        report = run(one.server, two.server)
    assert report.exit_code == code
    assert {(seen.server, seen.state) for seen in report.observations} == {(one.server, "right"), (two.server, state)}
    assert {(standing.server, standing.serial) for standing in report.standings} == {
        (one.server, 8),
        (two.server, None),
    }


def test_a_dead_server_is_unknown_and_says_why() -> None:
    with NameServer([AFTER]) as one:
        report = run(one.server, Server("127.0.0.1", free_port(), "ns2.example.net"))
    assert report.exit_code == 3
    assert len(report.unknown) == 3
    assert "connection refused" in report.unknown[0].detail


def test_what_is_certainly_wrong_outweighs_what_is_unknown() -> None:
    with NameServer([BEFORE]) as one, NameServer([AFTER]) as two:
        two.fault = Fault.DROP
        assert run(one.server, two.server).exit_code == 2


def test_a_server_that_catches_up_is_waited_for() -> None:
    with NameServer([AFTER]) as one, NameServer([BEFORE]) as two:
        clock = ManualClock(lambda now: two.replace(AFTER) if now > 9 else None)
        report = run(one.server, two.server, deadline=30, clock=clock)
    assert report.exit_code == 0
    assert 9 < clock.monotonic() < 15


def test_a_server_that_comes_back_is_waited_for() -> None:
    with NameServer([AFTER]) as one:
        one.fault = Fault.DROP

        def mend(now: float) -> None:
            one.fault = Fault.NONE if now > 2 else Fault.DROP

        assert run(one.server, deadline=10, clock=ManualClock(mend)).exit_code == 0


def test_the_deadline_is_used_up_and_kept() -> None:
    with NameServer([BEFORE]) as one:
        for deadline in (0.0, 0.1, 5.0, 60.0):
            clock = ManualClock()
            assert run(one.server, deadline=deadline, clock=clock).exit_code == 2
            assert clock.monotonic() == pytest.approx(deadline)
        clock = ManualClock(lambda now: one.replace(AFTER) if now >= 5 else None)
        assert run(one.server, deadline=5, clock=clock).exit_code == 0


def test_right_answers_are_not_asked_for_again() -> None:
    asked: list[int] = []
    with NameServer([AFTER]) as one, NameServer([BEFORE]) as two:
        servers = {APEX: Servers((one.server, two.server))}
        report = verify(WANTED, servers, FAST, ManualClock(), 3, asked.append)
    assert sum(asked) == 6
    assert len(report.observations) == 6
    assert len({(seen.server, seen.expectation) for seen in report.observations}) == 6


def test_no_server_is_no_proof() -> None:
    assert run().exit_code == 3
    assert run().unasked == ("no name server of voice.example.net. is known",)
    assert run(unknown=("ns1: timeout",)).unasked == ("ns1: timeout",)
    with NameServer([AFTER]) as one:
        assert run(one.server, unknown=("ns2: timeout",)).exit_code == 3


def test_nothing_expected() -> None:
    assert verify({}, {}, FAST, ManualClock(), 60).exit_code == 0


def test_zones_with_different_servers_at_once() -> None:
    other_apex = names.absolute("other.example.net")
    other = Zone(other_apex, {(other_apex, rr.A): RRset(other_apex, rr.A, 60, frozenset({b"\1\2\3\4"}))})
    wanted = {**WANTED, other_apex: expectations(other, [(other_apex, rr.A), (other_apex, rr.TXT)])}
    with NameServer([AFTER]) as one, NameServer([other]) as two:
        report = verify(
            wanted, {APEX: Servers((one.server,)), other_apex: Servers((two.server,))}, FAST, ManualClock(), 0
        )
    assert report.exit_code == 0
    assert {(seen.zone, seen.server) for seen in report.observations} == {(APEX, one.server), (other_apex, two.server)}


def test_serials_wrap_around() -> None:
    report = Report(
        (), (Standing(APEX, SERVER, 2**32 - 1), Standing(APEX, SERVER._replace(address="192.0.2.54"), 3),
             Standing(APEX, SERVER._replace(address="192.0.2.55"), None)), (),
    )  # fmt: skip
    assert report.behind() == [(Standing(APEX, SERVER, 2**32 - 1), 3)]


def test_an_observation_of_ttl_shows_both() -> None:
    seen = judge(APEX, TWO, reply("acme 60 A 192.0.2.1|192.0.2.2"))
    assert isinstance(seen, Observation)
    assert seen.detail == "TTL 60 instead of 300"
