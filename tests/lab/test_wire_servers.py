"""What real servers answer to questions of every kind is read as dnspython reads it, section by section."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import dns.dnssec
import dns.dnssectypes
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from realmkit.dns import wire
from tests.lab.server import KEY, base_zone
from tests.lab.servers import Knot, Named, Nsd, PowerDns, Unbound
from tests.unit.wireoracle import differences, read_by_dnspython

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.server import Authoritative
    from tests.lab.topology import Lab

RECORDS = {
    "a": 'A 192.0.2.1\na A 192.0.2.2\na AAAA 2001:db8::\na MX 10 Mail\na MX 20 m.elsewhere.example.\na TXT "a b" "c"',
    "Mail": "A 192.0.2.25\nmail AAAA 2001:db8::25",
    "_sip._udp.a": "SRV 10 50 5060 EDGE\n_sip._udp.a SRV 20 50 5060 a",
    "edge": "A 198.51.100.1",
    "n": 'NAPTR 10 100 "s" "SIP+D2U" "" _sip._udp.a\nn NAPTR 20 100 "u" "E2U+sip" "!^.*$!sip:x@example.com!" .',
    "c": "CNAME a",
    "far": "CNAME a.b.elsewhere.example.",
    "tree": "DNAME other",
    "x.other": "A 192.0.2.9",
    "p": "PTR a",
    "caa": 'CAA 0 issue "ca.example"',
    "rp": "RP mbox txt",
    "afs": "AFSDB 1 a",
    "kx": "KX 5 a",
    "svc": "SVCB 1 Edge alpn=h2 port=5061 ipv4hint=192.0.2.1",
    "web": "HTTPS 0 a",
    "loc": "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "sshfp": "SSHFP 4 2 " + "ab" * 32,
    "tlsa": "TLSA 3 1 1 " + "cd" * 32,
    "uri": 'URI 10 1 "sip:a@example.com"',
    "hinfo": 'HINFO "PC" "Linux"',
    "odd": "TYPE65400 \\# 4 01020304",
    "big": "TXT " + " ".join(f'"{"y" * 250}"' for _ in range(12)),
    "many": "\n".join(["A 192.0.2.1", *(f"many A 10.0.{n // 250}.{n % 250}" for n in range(95))]),
    "*.wild": "A 192.0.2.77\n*.wild MX 10 a",
    "below.ent": "A 192.0.2.3",
    "cut": "NS ns.cut\ncut NS ns.elsewhere.example.\nns.cut A 192.0.2.53\nns.cut AAAA 2001:db8::53",
    "we\\.ird\\000": "A 192.0.2.4",
}
TYPES = [
    "A", "AAAA", "NS", "SOA", "MX", "TXT", "SRV", "NAPTR", "CNAME", "DNAME", "PTR", "CAA", "RP", "AFSDB", "KX", "SVCB",
    "HTTPS", "LOC", "SSHFP", "TLSA", "URI", "HINFO", "TYPE65400", "DS", "DNSKEY", "NSEC", "RRSIG", "ANY", "OPENPGPKEY",
]  # fmt: skip
NAMES = [
    *RECORDS, "@", "absent", "q.wild", "deep.q.wild", "ent", "x.tree", "y.tree", "www.cut", "ns.cut", "_sip._udp.q",
    "QUITE.Absent", "x" * 63 + "." + "y" * 63,
]  # fmt: skip


def signed(zone: str) -> str:
    """The zone with NSEC and RRSIG throughout."""
    text = base_zone("\n".join(f"{owner} {rest}" for owner, rest in RECORDS.items()))
    parsed = dns.zone.from_text(text, zone, relativize=False)
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
    with parsed.writer() as transaction:
        dns.dnssec.sign_zone(parsed, transaction, [(key, dnskey)], add_dnskey=True, dnskey_ttl=300, lifetime=86400)
    return parsed.to_text(relativize=False)


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[tuple[str, list[Authoritative], Unbound]]:
    """A rich zone, signed, at four servers; and a resolver before them."""
    zone = lab.zone_name()
    with lab.namespace.inside(), lab.guest() as own:
        servers: list[Authoritative] = [own.start(kind) for kind in (Named, Knot, Nsd, PowerDns)]
        text = signed(zone)
        for server in servers[:3]:
            server.add_zone(zone, text)
        servers[3].add_secondary(zone, servers[0])  # by its API it takes no odd names
        resolver = own.start(Unbound)
        resolver.add_stub(zone, servers[0])
        yield zone, servers, resolver


def ask(where: str, query: dns.message.Message, *, tcp: bool = False) -> bytes:
    """The octets of the answer; none if there is no answer at all."""
    octets = query.to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as link:
        link.settimeout(0.5)
        link.connect((where, 53))
        if not tcp:
            link.send(octets)
            with suppress(TimeoutError):
                return link.recv(65535)
            return b""
        link.sendall(len(octets).to_bytes(2, "big") + octets)
        with link.makefile("rb") as stream:
            return stream.read(int.from_bytes(stream.read(2), "big"))


def full(name: str, zone: str) -> str:
    return zone if name == "@" else f"{name}.{zone}"


def answers(where: str, zone: str, *, rd: bool = False) -> Iterator[bytes]:
    """Every name of interest by every type, some with EDNS, some with signatures; what is truncated by TCP too."""
    for number, name in enumerate(NAMES):
        for turn, kind in enumerate(TYPES, number):
            query = dns.message.make_query(full(name, zone), kind)
            if turn % 3:
                query.use_edns(0, dns.flags.DO if turn % 3 == 1 else 0, 1232)
            query.flags = dns.flags.Flag(dns.flags.RD if rd else 0)
            octets = ask(where, query)
            if octets:
                yield octets
            if not octets or octets[2] & 2:  # also where nsd limits its answers over UDP
                yield ask(where, query, tcp=True)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_every_answer_is_read_as_dnspython_reads_it(
    world: tuple[str, list[Authoritative], Unbound], number: int
) -> None:
    zone, servers, resolver = world
    server = [*servers, resolver][number]
    seen = 0
    kinds: set[int] = set()
    codes: set[int] = set()
    for octets in answers(server.address, zone, rd=server is resolver):
        ours = wire.parse(octets)
        assert differences(ours, read_by_dnspython(octets)) == set()
        if ours.question is not None:
            assert wire.parse_answer(octets, *ours.question) == ours
        kinds.update(record.type for record in (*ours.answer, *ours.authority, *ours.additional))
        codes.add(ours.rcode)
        seen += 1
    assert seen > len(NAMES) * len(TYPES)  # more, for what was truncated
    assert codes >= {wire.NOERROR, wire.NXDOMAIN}
    assert kinds >= {int(dns.rdatatype.from_text(one)) for one in TYPES[:-5] if one not in ("DS", "ANY")}


def test_refusals_updates_and_other_opcodes_are_read_alike(world: tuple[str, list[Authoritative], Unbound]) -> None:
    zone, servers, resolver = world
    codes = set()
    for server in (*servers, resolver):
        status = dns.message.make_query(zone, "SOA")
        status.set_opcode(dns.opcode.STATUS)
        notify = dns.message.make_query(zone, "SOA")
        notify.set_opcode(dns.opcode.NOTIFY)
        update = dns.update.UpdateMessage(zone)
        update.present("absent")
        update.add("new", 300, "A", "192.0.2.5")
        chaos = dns.message.make_query("version.bind", "TXT", "CH", use_edns=0)
        foreign = dns.message.make_query("www.example.org", "A", want_dnssec=True)
        unknown = dns.message.make_query(zone, "SOA", use_edns=7)
        for query in (status, notify, update, chaos, foreign, unknown):
            octets = ask(server.address, query)
            if not octets:  # some pass over what they do not serve
                continue
            ours = wire.parse(octets)
            assert differences(ours, read_by_dnspython(octets)) == set()
            codes.add(ours.rcode)
    assert codes >= {wire.NOERROR, wire.NOTIMP, wire.REFUSED, 16}


def test_answers_that_are_signed_by_a_key_are_read_as_far_as_they_concern_us(
    world: tuple[str, list[Authoritative], Unbound],
) -> None:
    zone, servers, _ = world
    ring = dns.tsigkeyring.from_text({KEY.name: KEY.secret})
    for server in servers:
        query = dns.message.make_query(f"a.{zone}", "MX")
        query.use_tsig(ring, KEY.name, algorithm=dns.tsig.HMAC_SHA256)
        answer = dns.query.udp(query, server.address, timeout=5)
        assert answer.had_tsig
        assert answer.wire is not None
        ours = wire.parse(answer.wire)
        assert {record.rdata for record in ours.answer} >= {rdata.to_digestable() for rdata in answer.answer[0]}
        assert all(record.type != wire.TSIG for record in ours.additional)
