"""The sandbox's name server, asked by dnspython's client, so that nothing of ours stands on both sides."""

from __future__ import annotations

import os
import random
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.answer import ZoneIndex
from realmkit.dns.records import RRset, Zone
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read
from realmkit.errors import InputError
from realmkit.sandbox.nameserver import Fault, NameServer, ZoneFile
from realmkit.sandbox.responder import respond

if TYPE_CHECKING:
    from collections.abc import Iterator

APEX = names.absolute("voice.example.net")
TEXT = """$TTL 300
@ SOA ns1 hostmaster 7 3600 600 86400 60
@ NS ns1
@ NS ns2.example.org.
ns1 A 127.0.0.1
acme A 192.0.2.1
acme A 192.0.2.2
acme MX 10 fax
acme NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.acme
_sip._udp.acme SRV 10 50 5060 edge
* A 192.0.2.9
big TXT {big}
alias CNAME other
other CNAME acme
out CNAME www.example.org.
loop1 CNAME loop2
loop2 CNAME loop1
sub NS ns.sub
ns.sub A 192.0.2.53
""".replace("{big}", " ".join(f'"{"x" * 200}{number}"' for number in range(10)))


def zone(text: str = TEXT) -> Zone:
    return read(Source("test.zone", text), APEX)


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with NameServer([zone()]) as there:
        yield there


def ask(
    server: NameServer, name: str, kind: str, *, tcp: bool = False, edns: bool = True, payload: int = 1232
) -> dns.message.Message:
    query = dns.message.make_query(f"{name}.voice.example.net." if name != "@" else "voice.example.net.", kind)
    query.flags = dns.flags.Flag(0)
    if edns:
        query.use_edns(0, payload=payload)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, server.server.address, port=server.server.port, timeout=3)


def texts(message: dns.message.Message) -> set[str]:
    return {line for rrset in message.answer for line in rrset.to_text().splitlines()}


@pytest.mark.parametrize("tcp", [False, True])
def test_answers(server: NameServer, tcp: bool) -> None:
    message = ask(server, "acme", "A", tcp=tcp)
    assert message.flags & dns.flags.AA
    assert texts(message) == {
        "acme.voice.example.net. 300 IN A 192.0.2.1", "acme.voice.example.net. 300 IN A 192.0.2.2",
    }  # fmt: skip
    assert texts(ask(server, "foo", "A", tcp=tcp)) == {"foo.voice.example.net. 300 IN A 192.0.2.9"}
    assert texts(ask(server, "FOO", "A", tcp=tcp)) == {"FOO.voice.example.net. 300 IN A 192.0.2.9"}


def test_negative_answers_carry_the_soa_with_the_negative_ttl(server: NameServer) -> None:
    for name, rcode in (("foo", dns.rcode.NOERROR), ("x.acme", dns.rcode.NXDOMAIN), ("_udp.acme", dns.rcode.NOERROR)):
        message = ask(server, name, "TXT")
        assert (message.rcode(), message.answer) == (rcode, [])
        assert message.authority[0].rdtype == dns.rdatatype.SOA
        assert message.authority[0].ttl == 60


def test_aliases_are_followed_inside_the_zone(server: NameServer) -> None:
    assert [rrset.rdtype for rrset in ask(server, "alias", "A").answer] == [5, 5, 1]
    assert [rrset.rdtype for rrset in ask(server, "out", "A").answer] == [5]
    assert [rrset.rdtype for rrset in ask(server, "loop1", "A").answer] == [5, 5]
    message = ask(server, "alias", "TXT")
    assert (len(message.answer), message.authority[0].rdtype) == (2, dns.rdatatype.SOA)


def test_a_referral(server: NameServer) -> None:
    message = ask(server, "deep.sub", "A")
    assert not message.flags & dns.flags.AA
    assert message.authority[0].to_text() == "sub.voice.example.net. 300 IN NS ns.sub.voice.example.net."
    assert message.additional[0].to_text() == "ns.sub.voice.example.net. 300 IN A 192.0.2.53"


def test_truncation(server: NameServer) -> None:
    for edns, payload in ((True, 1232), (True, 4096), (False, 0), (True, 100)):
        message = ask(server, "big", "TXT", edns=edns, payload=payload)
        assert message.flags & dns.flags.TC
        assert not message.answer
    assert len(ask(server, "big", "TXT", tcp=True).answer[0][0].strings) == 10
    assert not ask(server, "acme", "A", edns=False).flags & dns.flags.TC


def test_foreign_zones_are_refused(server: NameServer) -> None:
    query = dns.message.make_query("www.example.org.", "A")
    assert dns.query.udp(query, "127.0.0.1", port=server.server.port, timeout=3).rcode() == dns.rcode.REFUSED


def test_transfer(server: NameServer) -> None:
    read_back = dns.zone.Zone("voice.example.net.")
    dns.query.inbound_xfr("127.0.0.1", read_back, port=server.server.port, timeout=5)
    assert read_back == dns.zone.from_text(TEXT, "voice.example.net.", relativize=True)


def test_a_transfer_of_many_messages() -> None:
    hosts = "".join(f"h{number} A 192.0.2.1\n" for number in range(3000))
    with NameServer([zone(TEXT + hosts)]) as there:
        read_back = dns.zone.Zone("voice.example.net.")
        dns.query.inbound_xfr("127.0.0.1", read_back, port=there.server.port, timeout=10)
    assert sum(1 for name in read_back.nodes if str(name).startswith("h")) == 3000


def test_a_transfer_over_udp_is_refused(server: NameServer) -> None:
    assert ask(server, "@", "AXFR").rcode() == dns.rcode.FORMERR
    assert ask(server, "@", "IXFR").answer[0].rdtype == dns.rdatatype.SOA


def test_the_nearest_zone_answers() -> None:
    parent = read(Source("p", "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\nsub NS ns.sub\nsub DS 1 8 2 " + "ab" * 32), APEX)
    below = names.from_text("sub", APEX)
    child = read(Source("c", "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1"), below)
    with NameServer([parent, child]) as there:
        assert ask(there, "ns.sub", "A").flags & dns.flags.AA
        assert texts(ask(there, "sub", "DS")) == {f"sub.voice.example.net. 60 IN DS 1 8 2 {'ab' * 32}"}


# --- files ---------------------------------------------------------------------------------------------------


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "zone"
    path.write_text(TEXT)
    with NameServer.of_file(APEX, path) as there:
        assert "192.0.2.1" in str(texts(ask(there, "acme", "A")))
        path.write_text(TEXT.replace("192.0.2.1", "192.0.2.7"))
        assert "192.0.2.7" in str(texts(ask(there, "acme", "A")))
        fresh = tmp_path / "fresh"
        fresh.write_text(TEXT.replace("192.0.2.1", "192.0.2.8"))
        os.utime(fresh, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
        fresh.replace(path)  # same size, same time, another file
        assert "192.0.2.8" in str(texts(ask(there, "acme", "A")))


def test_a_broken_file_leaves_the_zone_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "zone"
    path.write_text(TEXT)
    with NameServer.of_file(APEX, path) as there:
        path.write_text(TEXT + "acme A 192.0.2.300\n")
        assert "192.0.2.1" in str(texts(ask(there, "acme", "A")))
        assert "192.0.2.300" in there.problems[APEX]
        path.unlink()
        assert ask(there, "acme", "A").answer
        path.write_text(TEXT.replace("192.0.2.1", "192.0.2.7"))
        assert "192.0.2.7" in str(texts(ask(there, "acme", "A")))
        assert there.problems == {}


def test_a_file_that_can_not_be_read_at_first(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        NameServer.of_file(APEX, tmp_path / "missing")
    path = tmp_path / "zone"
    path.write_text("nonsense")
    with pytest.raises(InputError):
        NameServer([ZoneFile(path, lambda: read(Source(str(path), path.read_text()), APEX))])


# --- faults --------------------------------------------------------------------------------------------------


def test_faults_come_and_go() -> None:
    with NameServer([zone()]) as there:
        there.fault = Fault.SERVFAIL
        assert ask(there, "acme", "A").rcode() == dns.rcode.SERVFAIL
        there.fault = Fault.LAME
        refused = ask(there, "acme", "A", tcp=True)
        assert (refused.rcode(), refused.flags & dns.flags.AA) == (dns.rcode.REFUSED, 0)
        there.fault = Fault.DROP
        query = dns.message.make_query("acme.voice.example.net.", "A")
        for send in (dns.query.udp, dns.query.tcp):
            with pytest.raises(dns.exception.Timeout):
                send(query, "127.0.0.1", port=there.server.port, timeout=0.2)
        there.fault = Fault.NONE
        assert ask(there, "acme", "A").answer


def test_a_frozen_server_serves_what_it_had() -> None:
    newer = zone(TEXT.replace("192.0.2.1", "192.0.2.7"))
    with NameServer([zone()]) as there:
        there.fault = Fault.FROZEN
        there.replace(newer)
        assert "192.0.2.1" in str(texts(ask(there, "acme", "A")))
        there.fault = Fault.NONE
        assert "192.0.2.7" in str(texts(ask(there, "acme", "A")))


def test_a_zone_can_be_added() -> None:
    with NameServer([]) as there:
        assert ask(there, "acme", "A").rcode() == dns.rcode.REFUSED
        there.replace(zone())
        assert ask(there, "acme", "A").answer


# --- where it listens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "localhost", ""])
def test_nothing_but_loopback(address: str) -> None:
    with pytest.raises(InputError, match="loopback only"):
        NameServer([zone()], address=address)


def test_ipv6() -> None:
    with NameServer([zone()], address="::1") as there:
        assert there.address == f"[::1]:{there.server.port}"
        assert ask(there, "acme", "A").answer
        assert ask(there, "acme", "A", tcp=True).answer


def test_a_port_that_is_taken(server: NameServer) -> None:
    with pytest.raises(InputError, match=r"can't listen on 127\.0\.0\.1 port"):
        NameServer([zone()], port=server.server.port)


# --- hostile packets -----------------------------------------------------------------------------------------

ZONES = {APEX: ZoneIndex.of(zone())}


def test_what_is_answered_with_a_code_alone() -> None:
    def rcode(query: dns.message.Message) -> dns.rcode.Rcode:
        (message,) = respond(query.to_wire(), ZONES, tcp=False)
        return dns.message.from_wire(message).rcode()

    assert rcode(dns.message.make_query("voice.example.net.", "SOA", rdclass="CH")) == dns.rcode.REFUSED
    update = dns.message.make_query("voice.example.net.", "SOA")
    update.set_opcode(dns.opcode.NOTIFY)
    assert rcode(update) == dns.rcode.NOTIMP
    versioned = dns.message.make_query("voice.example.net.", "SOA")
    versioned.use_edns(1)
    assert rcode(versioned) == dns.rcode.BADVERS
    doubled = dns.message.make_query("voice.example.net.", "SOA")
    doubled.question.append(doubled.question[0])
    assert rcode(doubled) == dns.rcode.FORMERR


def test_responses_and_scraps_are_not_answered() -> None:
    query = dns.message.make_query("voice.example.net.", "SOA")
    assert respond(dns.message.make_response(query).to_wire(), ZONES, tcp=False) == []
    assert respond(query.to_wire()[:11], ZONES, tcp=False) == []
    assert respond(b"", ZONES, tcp=True) == []


@settings(max_examples=400)
@given(st.data())
def test_no_request_can_break_it(data: st.DataObject) -> None:
    """Noise, and good queries with a few octets changed: a readable response of the same id, or none."""
    names_ = st.sampled_from(["acme", "alias", "deep.sub", "loop1", "big", "nowhere"])
    kind = data.draw(st.sampled_from(["A", "MX", "SRV", "NAPTR", "SOA", "ANY", "AXFR"]))
    query = dns.message.make_query(f"{data.draw(names_)}.voice.example.net.", kind, use_edns=0)
    request = bytearray(query.to_wire())
    for position in data.draw(st.lists(st.integers(0, len(request) - 1), max_size=4)):
        request[position] = data.draw(st.integers(0, 255))
    wire = bytes(request) if data.draw(st.integers(0, 9)) else data.draw(st.binary(max_size=80))
    for message in respond(wire, ZONES, tcp=data.draw(st.booleans())):
        back = dns.message.from_wire(message, one_rr_per_rrset=True)
        assert (back.id, back.flags & dns.flags.QR) == (int.from_bytes(wire[:2], "big"), dns.flags.QR)


def test_a_zone_with_rdata_that_is_none_gives_servfail() -> None:
    """Opaque octets in a snapshot, which dnspython can't write: one answer is lost, not the server."""
    bad = RRset(names.from_text("bad", APEX), rr.MX, 60, frozenset({b"\1"}))
    with NameServer([Zone(APEX, {**zone().rrsets, bad.key: bad})]) as there:
        assert ask(there, "bad", "MX").rcode() == dns.rcode.SERVFAIL
        assert ask(there, "acme", "A").answer


def test_noise_on_both_sockets(server: NameServer) -> None:
    noise = random.Random(1)
    where = ("127.0.0.1", server.server.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(300):
            udp.sendto(noise.randbytes(noise.randrange(80)), where)
    for _ in range(100):  # more than it keeps open
        with socket.create_connection(where) as tcp:
            tcp.sendall(struct.pack("!H", noise.randrange(65536)) + noise.randbytes(30))
    assert patiently(server).answer
    assert ask(server, "acme", "A", tcp=True).answer


def patiently(server: NameServer) -> dns.message.Message:
    """Ask as resolvers do: the noise may have filled the socket's buffer, and what does not fit is dropped."""
    for _ in range(3):
        with suppress(dns.exception.Timeout):
            return ask(server, "acme", "A")
    raise AssertionError("no answer to any of three questions")
