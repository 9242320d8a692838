"""Damaged answers: read as dnspython reads them, or refused, and never anything else.

The originals are real answers of named, knot, nsd, PowerDNS and unbound (answers.txt, made by the zone of
tests/lab/test_wire_servers.py), and one of every type with a layout, well compressed.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from functools import cache
from pathlib import Path

import dns.edns
import dns.exception
import dns.message
import dns.rrset
import pytest

from realmkit.dns import wire
from realmkit.dns.wire import BadMessageError
from tests.unit.wireoracle import NEW_TYPES, OLD_TYPES, OPTIONS, differences, read_by_dnspython

MUTATIONS = 64_000
PARTS = 4
REFUSED_SHOWN = 1_000  # in each part, of those that we refuse: dnspython takes a hundred times as long as we do
# Why we refuse what dnspython reads; by words of the error.
STRICTER = {
    "questions in one message": "dnspython reads any number, RFC 9619 allows one",
    "is no M": "types that dnspython takes for opaque",
    "a label of unknown kind": "likewise, in a name of such a type",
    "the message of": "likewise, a name that runs over the end",
    "the compression pointer": "likewise; and dnspython lets a pointer lead into the header",
}


@cache
def real() -> tuple[bytes, ...]:
    lines = Path(__file__).with_name("answers.txt").read_text().splitlines()
    return tuple(bytes.fromhex(line.split()[1]) for line in lines)


@cache
def made() -> tuple[bytes, ...]:
    """Messages with every type, well compressed."""
    texts = {
        "A": "192.0.2.1", "MX": "10 mx.acme.example.", "SRV": "1 2 5060 edge.acme.example.", "RP": "a.test. b.test.",
        "NAPTR": '10 20 "s" "SIP+D2U" "" _sip._udp.acme.example.', "SOA": "ns.example. host.example. 1 2 3 4 5",
        "TXT": '"one" "two"', "CAA": '0 issue "ca.example"', "CNAME": "acme.example.", "PX": "1 a.example. b.example.",
        "AAAA": "2001:db8::1", "NS": "ns.example.", "TYPE65400": "\\# 3 c00c00", "TYPE3": "\\# 3 014100",
    }  # fmt: skip
    found = []
    for kind, text in texts.items():
        query = dns.message.make_query("acme.example.", kind, use_edns=0)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text("acme.example.", 300, "IN", kind, text))
        answer.authority.append(dns.rrset.from_text("example.", 300, "IN", "NS", "ns.example."))
        answer.additional.append(dns.rrset.from_text("ns.example.", 300, "IN", "A", "192.0.2.2"))
        found.append(answer.to_wire())
    return tuple(found)


def mutated(rng: random.Random, octets: bytes) -> bytes:
    work = bytearray(octets)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(work))
        match rng.randrange(7):
            case 0:
                work[at] = rng.randrange(256)
            case 1:
                work[at] ^= 1 << rng.randrange(8)
            case 2:
                del work[at : at + rng.randint(1, 4)]
            case 3:
                work[at:at] = rng.randbytes(rng.randint(1, 4))
            case 4:
                work[at : at + 2] = struct.pack("!H", 0xC000 | rng.randrange(len(work) + 8))
            case 5:
                count = 4 + 2 * rng.randrange(4)
                work[count : count + 2] = rng.randrange(6).to_bytes(2, "big")
            case _:
                del work[at:]
        if len(work) < 2:
            break
    return bytes(work)


def theirs(octets: bytes) -> wire.Message | None:
    """What dnspython reads, or None where it refuses; its own reasons are of several kinds."""
    try:
        return read_by_dnspython(octets)
    except (dns.exception.DNSException, ValueError, struct.error):
        return None


def test_the_originals_are_read_alike() -> None:
    assert len(real()) >= 100
    for octets in (*real(), *made()):
        assert differences(wire.parse(octets), read_by_dnspython(octets)) <= {OLD_TYPES}


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_answers(part: int) -> None:
    rng = random.Random(f"RFC 1035, {part}")
    counted: Counter[str] = Counter()
    classes: set[str] = set()
    stricter: Counter[str] = Counter()
    for number in range(MUTATIONS // PARTS):
        octets = mutated(rng, rng.choice(real() if number % 3 else made()))
        try:
            ours = wire.parse(octets)
        except BadMessageError as error:
            counted["refused"] += 1
            if counted["refused"] <= REFUSED_SHOWN and theirs(octets) is not None:
                stricter[next((words for words in STRICTER if words in str(error)), str(error))] += 1
            continue
        counted["read"] += 1
        if (other := theirs(octets)) is not None:
            counted["compared"] += 1
            classes |= differences(ours, other)
        assert ours.question is None or wire.parse_answer(octets, *ours.question)[1:] == ours[1:]
        assert all(0 <= code < 65536 for code, _ in ours.ede)
    assert classes <= {OLD_TYPES, NEW_TYPES, OPTIONS}
    assert stricter.keys() <= STRICTER.keys()
    assert counted["compared"] > 2000
    assert counted["refused"] > 1000


def test_the_classes_of_difference_do_occur() -> None:
    """So that none of them stands there for nothing, and hides something one day."""
    seen: set[str] = set()
    for octets in made():
        seen |= differences(wire.parse(octets), read_by_dnspython(octets))
    query = dns.message.make_query("acme.example.", "A", use_edns=0)
    newer = dns.message.make_response(query)
    signature = f"A 13 2 300 20300101000000 20260101000000 1 Acme.Example. {'A' * 86}=="
    newer.answer.append(dns.rrset.from_text("acme.example.", 300, "IN", "RRSIG", signature))
    seen |= differences(wire.parse(newer.to_wire()), read_by_dnspython(newer.to_wire()))
    subnet = dns.message.make_response(query)
    subnet.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.EDE, b"\0\6gone\0")])
    seen |= differences(wire.parse(subnet.to_wire()), read_by_dnspython(subnet.to_wire()))
    assert seen == {OLD_TYPES, NEW_TYPES, OPTIONS}
