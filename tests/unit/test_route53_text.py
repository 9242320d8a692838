"""Route 53's octal words and ours: both ways, with dnspython and the stand-in's own reading as oracles."""

from __future__ import annotations

import re

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.names import BadNameError
from realmkit.dns.rdata import BadRdataError
from realmkit.errors import InputError
from realmkit_providers.route53_text import name_from_text, name_to_text, value_from_text, value_to_text
from tests.standins.route53_values import canonical, check, labels_of, route53_text, zone_file_text

LABELS = st.lists(st.binary(min_size=1, max_size=20).map(bytes.lower), min_size=1, max_size=5)
STRINGS = st.binary(max_size=60)


def wire(labels: list[bytes]) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def string(octets: bytes) -> bytes:
    return bytes((len(octets),)) + octets


@given(LABELS)
def test_a_name_is_read_by_the_stand_in_as_it_was_meant(labels: list[bytes]) -> None:
    text = name_to_text(wire(labels))
    assert labels_of(text) == labels
    assert re.fullmatch(r"(\*\.)?(?:[a-z0-9_.-]|\\[0-3][0-7]{2})*", text)


@given(LABELS)
def test_a_name_in_an_answer_is_read_as_it_was_meant(labels: list[bytes]) -> None:
    shown = canonical(name_to_text(wire(labels)))
    assert name_from_text(shown) == wire(labels)
    assert name_from_text(shown[:-1]) == wire(labels)


def test_an_escape_is_octal() -> None:
    assert name_from_text(r"\052.acme.example.") == names.from_text("*.acme.example.")
    assert name_from_text(r"a\056b.example.") == names.from_text(r"a\.b.example.")
    assert name_to_text(names.from_text(r"*.a\.b.*.example.")) == r"*.a\056b.\052.example."
    assert name_to_text(names.from_text("_sip._udp.acme.example.")) == "_sip._udp.acme.example."
    assert name_from_text(".") == names.ROOT == name_from_text(name_to_text(names.ROOT))


@pytest.mark.parametrize("text", [r"\9.example.", r"\08a.example.", r"\400.example.", r"a\5", "a\\"])
def test_an_escape_that_is_none(text: str) -> None:
    with pytest.raises(InputError):
        name_from_text(text)
    with pytest.raises((BadNameError, BadRdataError)):
        value_from_text(rr.CNAME, text)


@st.composite
def rdatas(draw: st.DrawFn) -> tuple[int, bytes]:
    """Rdata of every layout, of any octets."""
    name = wire(draw(LABELS))
    number = draw(st.integers(0, 65535)).to_bytes(2, "big")
    kind = draw(st.sampled_from([rr.A, rr.AAAA, rr.NS, rr.CNAME, rr.PTR, rr.MX, rr.TXT, rr.SRV, rr.NAPTR, rr.CAA, 99]))
    strings = b"".join(map(string, draw(st.lists(STRINGS, min_size=1, max_size=4))))
    three = b"".join(map(string, draw(st.tuples(STRINGS, STRINGS, STRINGS))))
    return kind, {
        rr.A: draw(st.binary(min_size=4, max_size=4)),
        rr.AAAA: draw(st.binary(min_size=16, max_size=16)),
        rr.MX: number + name,
        rr.SRV: number * 3 + name,
        rr.NAPTR: number * 2 + three + name,
        rr.TXT: strings,
        99: strings,
        rr.CAA: b"\x80" + string(b"issue") + draw(STRINGS),
    }.get(kind, name)


@given(rdatas())
def test_a_value_is_read_by_dnspython_as_it_was_meant(drawn: tuple[int, bytes]) -> None:
    kind, octets = drawn
    value = value_to_text(kind, octets)
    check(rr.type_to_text(kind), value)  # the stand-in takes it
    read = dns.rdata.from_text("IN", dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind)), zone_file_text(value))
    assert read.to_digestable(dns.name.root) == octets
    assert value.isascii()
    assert value.isprintable()


@given(rdatas())
def test_a_value_that_dnspython_wrote_is_read_as_it_was_meant(drawn: tuple[int, bytes]) -> None:
    kind, octets = drawn
    theirs = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind), octets, 0, len(octets))
    assert value_from_text(kind, route53_text(theirs.to_text())) == octets


@pytest.mark.parametrize(
    ("kind", "octets", "value"),
    [
        (rr.TXT, string(b"ex\xe4mple.com"), r'"ex\344mple.com"'),  # the guide's own example, its umlaut in Latin-1
        (rr.TXT, string(b'a "quoted" word'), r'"a \"quoted\" word"'),
        (rr.NAPTR, b"\0d\0\x32\1u\7E2U+sip" + string(rb"!^(\+441632960083)$!sip:\1@ex.com!") + b"\0",
         r'100 50 "u" "E2U+sip" "!^(\\+441632960083)$!sip:\\1@ex.com!" .'),
        (rr.SRV, b"\0\x0a\0\x32\x13\xc4" + names.from_text("host.example."), "10 50 5060 host.example."),
        (rr.CNAME, names.from_text(r"a\.b\(c.*.example."), r"a\056b\050c.*.example."),
        (rr.CAA, b"\0" + string(b"issue") + b"ca.example; a=1", '0 issue "ca.example; a=1"'),
        (65, b"\0\1\0\0\1\0\3\2h2", '1 . alpn="h2"'),
        (44, bytes.fromhex("01010123456789abcdef0123456789abcdef01234567"),
         "1 1 0123456789abcdef0123456789abcdef01234567"),
    ],
)  # fmt: skip
def test_what_is_written(kind: int, octets: bytes, value: str) -> None:
    assert value_to_text(kind, octets) == value
    assert value_from_text(kind, value) == octets


@pytest.mark.parametrize(
    ("kind", "value", "octets"),
    [
        (rr.CNAME, "www.Example.COM", names.from_text("www.example.com.")),  # the last dot is optional
        (rr.TXT, '"a""b"', b"\1a\1b"),
        (rr.AAAA, "2001:0db8:85a3:0:0:8a2e:0370:7334", bytes.fromhex("20010db885a3000000008a2e03707334")),
    ],
)
def test_what_others_wrote_is_read(kind: int, value: str, octets: bytes) -> None:
    assert value_from_text(kind, value) == octets


def test_there_is_no_generic_form() -> None:
    with pytest.raises(BadRdataError, match="no way to write"):
        value_to_text(rr.A, b"\1\2\3")
