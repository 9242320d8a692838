from __future__ import annotations

import gc
import struct
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.versioned
import dns.xfr
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.exchange import Server, server_from_text
from realmkit.dns.primary import transfer
from realmkit.dns.primary.transfer import Delta, OutOfStepError, Source
from realmkit.dns.primary.tsig import Key, UnverifiedError
from realmkit.dns.records import RRset, Zone
from realmkit.dns.wire import Record
from realmkit.errors import AuthError, InputError, RejectedError, UnreachableError
from tests.unit.scripted import Scripted, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APEX = names.absolute("acme.example")
KEY = Key.from_text("k", "c2VjcmV0")


def soa(serial: int) -> Record:
    rdata = names.absolute("ns.acme.example") + names.absolute("h.example") + struct.pack("!5I", serial, 1, 2, 3, 4)
    return Record(APEX, rr.SOA, 60, rdata)


def a(label: str, last: int, ttl: int = 300) -> Record:
    return Record(names.from_text(label, APEX), rr.A, ttl, bytes((192, 0, 2, last)))


def zone_of(serial: int, *records: Record) -> Zone:
    """A zone, built another way than by transfer.py."""
    rrsets: dict[tuple[bytes, int], RRset] = {}
    for record in (soa(serial), *records):
        before = rrsets.get(record[:2])
        rdata = before.rdata if before else frozenset[bytes]()
        rrsets[record[:2]] = RRset(record.name, record.type, record.ttl, rdata | {record.rdata})
    return Zone(APEX, rrsets, token=soa(serial).rdata.hex(), serial=serial)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as there:
        yield there


def source(server: Scripted, timeout: float = 5.0, key: Key | None = None) -> Source:
    return Source(server.where, key, timeout)


# --- AXFR ----------------------------------------------------------------------------------------------------


def test_a_zone_in_one_message_and_in_many(server: Scripted) -> None:
    records = [soa(7), a("a", 1), a("a", 2), a("*", 3), Record(APEX, 65400, 5, b""), a("a", 4), soa(7)]
    expected = zone_of(7, a("a", 1), a("a", 2), a("a", 4), a("*", 3), Record(APEX, 65400, 5, b""))
    for size in (7, 3, 2, 1):
        server.will([answer(APEX, records[at : at + size]) for at in range(0, 7, size)])
        found = transfer.axfr(APEX, source(server))
        assert found == expected
        assert (found.serial, transfer.soa_from_token(found.token)) == (7, soa(7).rdata)
    asked = dns.message.from_wire(server.requests[0])
    assert (asked.question[0].rdtype, asked.question[0].name.to_text()) == (dns.rdatatype.AXFR, "acme.example.")


def test_differing_ttls_in_one_set_are_told(server: Scripted) -> None:
    records = [soa(7), a("a", 1, 300), a("a", 2, 60), a("a", 3, 300), a("b", 1), a("b", 2), soa(7)]
    server.will([answer(APEX, records)])
    found = transfer.axfr(APEX, source(server))
    key = (names.from_text("a", APEX), rr.A)
    assert found.mixed == {key}
    assert found.rrsets[key].ttl == 60
    assert len(found.rrsets[key].rdata) == 3


def test_the_collector_is_left_as_it_was(server: Scripted) -> None:
    server.will([answer(APEX, [soa(1), soa(1)])], [answer(APEX, [soa(1)])])
    assert gc.isenabled()
    transfer.axfr(APEX, source(server))
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(UnreachableError):
            transfer.axfr(APEX, source(server))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([soa(7), a("a", 1), soa(8)], "did not end with the SOA"),
        ([soa(7), a("a", 1), soa(7), a("b", 1)], "did not end with the SOA"),
        ([soa(7), soa(7), soa(7)], "did not end with the SOA"),
    ],
)
def test_a_zone_that_changed_under_way_is_none(server: Scripted, records: list[Record], text: str) -> None:
    server.will([answer(APEX, records)])
    with pytest.raises(UnreachableError, match=text):
        transfer.axfr(APEX, source(server))


def test_an_answer_that_is_no_transfer(server: Scripted) -> None:
    other = Record(names.absolute("other.example"), *soa(1)[1:])
    for records in ([a("a", 1), soa(7)], [other, other], []):
        server.will([answer(APEX, records)])
        with pytest.raises(RejectedError):
            transfer.axfr(APEX, source(server))


def test_a_transfer_that_is_cut_is_no_zone(server: Scripted) -> None:
    first, second = answer(APEX, [soa(7), a("a", 1)]), answer(APEX, [a("b", 1), soa(7)])
    border, end = len(first) + 4, len(first) + len(second) + 8

    def until(cut: int) -> Callable[[bytes], list[bytes]]:
        def script(request: bytes) -> list[bytes]:
            return [b"".join((len(one) + 2).to_bytes(2, "big") + request[:2] + one for one in (first, second))[:cut]]

        return script

    for cut in (0, 1, 2, 13, border - 1, border, border + 1, border + 2, border + 20, end - 1):
        server.will(until(cut))
        with pytest.raises(UnreachableError, match="cut after 2 records" if cut >= border else "closed the connection"):
            transfer.axfr(APEX, source(server))
    server.will(until(end))
    assert transfer.axfr(APEX, source(server)) == zone_of(7, a("a", 1), a("b", 1))


def test_a_server_that_falls_silent(server: Scripted) -> None:
    def slow(request: bytes) -> Iterator[bytes]:
        first = answer(APEX, [soa(7), a("a", 1)])
        yield (len(first) + 2).to_bytes(2, "big") + request[:2] + first
        pause.wait(5)

    pause = threading.Event()
    server.will(slow)
    with pytest.raises(UnreachableError, match=r"cut after 2 records.*within 0\.2 s"):
        transfer.axfr(APEX, source(server, timeout=0.2))
    pause.set()


def test_a_server_that_drips_does_not_outlast_the_deadline(server: Scripted) -> None:
    def drip(request: bytes) -> Iterator[bytes]:
        first = answer(APEX, [soa(7), *(a(f"n{i}", 1) for i in range(200))])
        octets = (len(first) + 2).to_bytes(2, "big") + request[:2] + first
        try:
            for at in range(len(octets)):
                yield octets[at : at + 1]
                if pause.wait(0.02):
                    return
        except OSError:
            return

    pause = threading.Event()
    server.will(drip)
    with pytest.raises(UnreachableError, match=r"within 0\.3 s"):
        transfer.axfr(APEX, source(server, timeout=0.3))
    pause.set()


@pytest.mark.parametrize(
    ("rcode", "key", "error", "text"),
    [
        (wire.REFUSED, None, AuthError, r"REFUSED to the transfer of acme\.example\.$"),
        (wire.SERVFAIL, None, RejectedError, "SERVFAIL"),
        (wire.SERVFAIL, KEY, RejectedError, "SERVFAIL .* did not sign it"),
        (wire.REFUSED, KEY, AuthError, r"REFUSED .* did not sign it with the key k\."),
        (wire.NOERROR, KEY, UnverifiedError, "not signed"),
    ],
)
def test_refusals(server: Scripted, rcode: int, key: Key | None, error: type[Exception], text: str) -> None:
    server.will([answer(APEX, [soa(7), soa(7)], rcode=rcode)])
    with pytest.raises(error, match=text):
        transfer.axfr(APEX, source(server, key=key))


@pytest.mark.parametrize("key", [None, KEY])
def test_not_authoritative_is_looked_into(server: Scripted, key: Key | None) -> None:
    """Without a signature it is said of a zone that is not there, and by some of a key that is not good enough."""
    no = answer(APEX, [], rcode=wire.NOTAUTH)
    referral = answer(APEX, [], rr.SOA)
    served = answer(APEX, [soa(7)], rr.SOA)
    for there, error in (([served], AuthError), ([referral], RejectedError), ([no], RejectedError), ([], AuthError)):
        server.will([no], there)
        with pytest.raises(error, match="NOTAUTH"):
            transfer.axfr(APEX, source(server, key=key))
        question = dns.message.from_wire(server.requests[1])
        assert (question.question[0].rdtype, question.had_tsig) == (dns.rdatatype.SOA, False)


def test_a_refusal_in_the_middle(server: Scripted) -> None:
    server.will([answer(APEX, [soa(7), a("a", 1)]), answer(APEX, [], rcode=wire.SERVFAIL)])
    with pytest.raises(RejectedError, match="SERVFAIL"):
        transfer.axfr(APEX, source(server))


def test_answers_to_others(server: Scripted) -> None:
    good = answer(APEX, [soa(7), soa(7)])
    framed = (len(good) + 2).to_bytes(2, "big")
    server.will(lambda request: [framed + bytes((request[0] ^ 1, request[1])) + good])
    with pytest.raises(UnreachableError, match="no answer to what was asked"):
        transfer.axfr(APEX, source(server))
    server.will(lambda request: [len(request).to_bytes(2, "big") + request])
    with pytest.raises(UnreachableError, match="no answer to what was asked"):
        transfer.axfr(APEX, source(server))
    server.will(lambda _request: [b"\0\5hello"])
    with pytest.raises(UnreachableError, match="no usable answer"):
        transfer.axfr(APEX, source(server))


def test_nobody_there() -> None:
    with Scripted() as gone:
        where = gone.where
    with pytest.raises(UnreachableError, match=r"can't connect to .*refused"):
        transfer.axfr(APEX, Source(where))
    with pytest.raises(UnreachableError, match="can't connect"):
        transfer.axfr(APEX, Source(Server("a" * 70 + ".invalid")))


# --- IXFR: dnspython's own state machine is the oracle --------------------------------------------------------

RECORDS = st.builds(a, st.sampled_from(["a", "b", "c", "*.d"]), st.integers(1, 6), st.just(300))
STATES = st.frozensets(RECORDS, max_size=10)


def steps_of(states: list[frozenset[Record]], first: int) -> list[Record]:
    """The records of an IXFR answer that leads through the states (RFC 1995 section 4)."""
    last = first + len(states) - 1
    out = [soa(last)]
    for number, (before, after) in enumerate(pairwise(states), start=first):
        out += [soa(number), *sorted(before - after), soa(number + 1), *sorted(after - before)]
    return [*out, soa(last)]


def by_dnspython(base: frozenset[Record], first: int, messages: list[bytes]) -> Zone:
    """Apply the answer with dnspython and read its zone back."""
    there = dns.versioned.Zone("acme.example.", relativize=False)
    with there.writer() as writer:
        for record in (soa(first), *base):
            rdata = dns.rdata.from_wire("IN", rr.type_to_text(record.type), record.rdata, 0, len(record.rdata))
            writer.add(dns.name.from_wire(record.name, 0)[0], record.ttl, rdata)
    with dns.xfr.Inbound(there, dns.rdatatype.IXFR, first) as inbound:
        done = [
            inbound.process_message(dns.message.from_wire(b"\0\0" + one, xfr=True, one_rr_per_rrset=True))
            for one in messages
        ]
    assert done[-1] is True
    found = [
        Record(name.to_digestable(), int(rdata.rdtype), ttl, rdata.to_digestable())
        for name, ttl, rdata in there.iterate_rdatas()
    ]
    serial = next(transfer.serial_of(record.rdata) for record in found if record.type == rr.SOA)
    return zone_of(serial, *(record for record in found if record.type != rr.SOA))


@settings(max_examples=150, deadline=None)
@given(st.lists(STATES, min_size=2, max_size=5), st.integers(0, 2**31), st.integers(1, 9))
def test_steps_lead_where_dnspython_says(states: list[frozenset[Record]], first: int, size: int) -> None:
    stream = steps_of(states, first)
    messages = [answer(APEX, stream[at : at + size], wire.IXFR) for at in range(0, len(stream), size)]
    if size == 1:
        messages[:2] = [answer(APEX, stream[:2], wire.IXFR)]  # dnspython takes a lone SOA for the end
    base = zone_of(first, *states[0])
    with Scripted() as there:
        there.will(messages)
        found = transfer.ixfr(base, source(there))
    assert found == by_dnspython(states[0], first, messages) == zone_of(first + len(states) - 1, *states[-1])
    query = dns.message.from_wire(there.requests[0])
    assert (query.question[0].rdtype, query.authority[0][0].serial) == (dns.rdatatype.IXFR, first)


def test_each_step_is_told(server: Scripted) -> None:
    states = [frozenset({a("a", 1)}), frozenset({a("a", 1, 60)}), frozenset({a("b", 1)})]
    server.will([answer(APEX, steps_of(states, 7))])
    assert transfer.changes_since(zone_of(7, a("a", 1)), source(server)) == [
        Delta(soa(8), [a("a", 1)], [a("a", 1, 60)]),
        Delta(soa(9), [a("a", 1, 60)], [a("b", 1)]),
    ]


def test_the_snapshot_is_current(server: Scripted) -> None:
    base = zone_of(7, a("a", 1))
    server.will([answer(APEX, [soa(7)])])
    assert transfer.ixfr(base, source(server)) is base


def test_a_whole_zone_in_answer_to_ixfr(server: Scripted) -> None:
    base = zone_of(7, a("a", 1))
    for messages in ([[soa(9), a("b", 1), soa(9)]], [[soa(9)], [a("b", 1)], [soa(9)]]):
        server.will([answer(APEX, one, wire.IXFR) for one in messages])
        assert transfer.ixfr(base, source(server)) == zone_of(9, a("b", 1))
    server.will([answer(APEX, [soa(9), soa(9)], wire.IXFR)])
    assert transfer.ixfr(base, source(server)) == zone_of(9)


@pytest.mark.parametrize(
    "refusal",
    [
        answer(APEX, [], rcode=wire.NOTIMP),
        answer(APEX, [], rcode=wire.FORMERR),
        answer(APEX, [soa(6)]),  # an older serial: the server was set back
        answer(APEX, [Record(APEX, rr.SOA, 60, b"\0\0" + soa(7).rdata[-20:])]),  # our serial, another zone
        answer(APEX, [soa(9), soa(7), soa(8), soa(9), soa(9), soa(9)]),  # a gap between the steps
        answer(APEX, [soa(8), soa(7), a("x", 1), soa(8), soa(8)]),  # takes away what was never there
        answer(APEX, [soa(8), soa(7), soa(8), a("a", 1), soa(8)]),  # puts in what is there
    ],
)
def test_where_steps_do_not_fit_the_whole_zone_is_read(server: Scripted, refusal: bytes) -> None:
    server.will([refusal], [answer(APEX, [soa(9), a("b", 1), soa(9)])])
    assert transfer.ixfr(zone_of(7, a("a", 1)), source(server)) == zone_of(9, a("b", 1))
    assert [dns.message.from_wire(one).question[0].rdtype for one in server.requests] == [
        dns.rdatatype.IXFR,
        dns.rdatatype.AXFR,
    ]


def test_after_mixed_ttls_the_whole_zone_is_read(server: Scripted) -> None:
    server.will([answer(APEX, [soa(7), a("a", 1, 60), a("a", 2), soa(7)])], [answer(APEX, [soa(8), a("a", 1), soa(8)])])
    base = transfer.axfr(APEX, source(server))
    assert transfer.ixfr(base, source(server)) == zone_of(8, a("a", 1))


def test_steps_that_are_cut_are_no_zone(server: Scripted) -> None:
    server.will([answer(APEX, [soa(8), soa(7), a("a", 1), soa(8)])])
    with pytest.raises(UnreachableError, match="cut after 4 records"):
        transfer.ixfr(zone_of(7, a("a", 1)), source(server))


def test_steps_can_leave_mixed_ttls() -> None:
    base = zone_of(7, a("a", 1))
    found = transfer.replay(base, [Delta(soa(8), [], [a("a", 2, 60)])])
    assert found.mixed == {(names.from_text("a", APEX), rr.A)}
    with pytest.raises(OutOfStepError):
        transfer.replay(base, [Delta(soa(8), [a("a", 9)], [])])


@pytest.mark.parametrize("token", ["", "00", "zz", "ab" * 21])
def test_no_token(token: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        transfer.soa_from_token(token)


# --- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.53", "192.0.2.53", 53),
        ("192.0.2.53:5300", "192.0.2.53", 5300),
        ("ns1.example.net:5353", "ns1.example.net", 5353),
        ("2001:db8::53", "2001:db8::53", 53),
        ("[2001:db8::53]", "2001:db8::53", 53),
        ("[2001:db8::53]:5300", "2001:db8::53", 5300),
    ],
)
def test_servers_as_written(text: str, address: str, port: int) -> None:
    assert server_from_text(text) == Server(address, port)


@pytest.mark.parametrize(
    "text",
    ["", ":53", "a:", "a:0", "a:65536", "a:x", "a:-1", "[::1", "[::1]53", "[::1]:", "[]:53", "a b", "a:५३", "a:1e2"],
)
def test_no_server(text: str) -> None:
    with pytest.raises(InputError, match="no name server"):
        server_from_text(text)
