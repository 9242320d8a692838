from __future__ import annotations

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import rdata
from realmkit.dns import records as rr
from realmkit.dns.rdata import BadRdataError
from realmkit.errors import InputError

U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
NAME = st.lists(st.binary(min_size=1, max_size=12), max_size=4).map(lambda labels: dns.name.Name([*labels, b""]))
STRING = st.binary(max_size=40)
TTL = st.integers(0, 2**31 - 1)


def _wire(*parts: bytes | int | tuple[int, int] | dns.name.Name) -> bytes:
    out = b""
    for part in parts:
        if isinstance(part, tuple):
            out += part[0].to_bytes(part[1], "big")
        elif isinstance(part, dns.name.Name):
            out += part.to_wire() or b""
        else:
            assert isinstance(part, bytes)
            out += part
    return out


def _string(octets: bytes) -> bytes:
    return bytes((len(octets),)) + octets


WIRES = {
    rr.A: st.binary(min_size=4, max_size=4),
    rr.AAAA: st.binary(min_size=16, max_size=16),
    rr.NS: NAME.map(_wire),
    rr.CNAME: NAME.map(_wire),
    rr.PTR: NAME.map(_wire),
    rr.MX: st.tuples(U16, NAME).map(lambda t: _wire((t[0], 2), t[1])),
    rr.SRV: st.tuples(U16, U16, U16, NAME).map(lambda t: _wire((t[0], 2), (t[1], 2), (t[2], 2), t[3])),
    rr.NAPTR: st.tuples(U16, U16, STRING, STRING, STRING, NAME).map(
        lambda t: _wire((t[0], 2), (t[1], 2), _string(t[2]), _string(t[3]), _string(t[4]), t[5])
    ),
    rr.TXT: st.lists(STRING, min_size=1, max_size=4).map(lambda parts: b"".join(map(_string, parts))),
    rr.CAA: st.tuples(U8, st.from_regex(rb"\A[a-z0-9]{1,15}\Z"), STRING).map(
        lambda t: _wire((t[0], 1), _string(t[1]), t[2])
    ),
    rr.SOA: st.tuples(NAME, NAME, U32, TTL, TTL, TTL, TTL).map(
        lambda t: _wire(t[0], t[1], *((number, 4) for number in t[2:]))
    ),
}


def test_the_strategies_cover_every_layout() -> None:
    assert set(WIRES) == set(rdata.LAYOUTS)


@pytest.mark.parametrize("kind", sorted(rdata.LAYOUTS))
def test_text_and_wire_round_trip_as_with_dnspython(kind: int) -> None:
    @given(WIRES[kind])
    def law(wire: bytes) -> None:
        theirs = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(kind), wire, 0, len(wire))
        canonical = theirs.to_digestable()
        assert rdata.from_text(kind, theirs.to_text()) == canonical
        ours = rdata.to_text(kind, canonical)
        assert rdata.from_text(kind, ours) == canonical
        back = dns.rdata.from_text("IN", rr.type_to_text(kind), ours, origin=dns.name.root, relativize=False)
        assert back.to_digestable() == canonical

    law()


@given(st.sampled_from(sorted(rdata.LAYOUTS)), st.binary(max_size=60))
def test_damaged_rdata_is_shown_generically_and_never_raises(kind: int, wire: bytes) -> None:
    text = rdata.to_text(kind, wire)
    if text.startswith("\\#"):
        assert not rdata.well_formed(kind, wire)
        with pytest.raises(BadRdataError):
            rdata.from_text(kind, text)
    else:
        assert rdata.well_formed(kind, wire)


@given(st.sampled_from(sorted(rdata.LAYOUTS)), st.text(max_size=40))
def test_any_text_is_rdata_or_a_clear_error(kind: int, text: str) -> None:
    try:
        wire = rdata.from_text(kind, text)
    except InputError:
        return
    assert rdata.well_formed(kind, wire)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("SSHFP", "1 1 " + "ab" * 20),
        ("TLSA", "3 1 1 " + "cd" * 32),
        ("HTTPS", '1 . alpn="h2,h3"'),
        ("DS", "12345 13 2 " + "ef" * 32),
        ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m"),
        ("TYPE65400", r"\# 4 0a000001"),
        ("A", r"\# 4 0a000001"),
    ],
)
def test_other_types_are_carried_along(kind: str, text: str) -> None:
    number = rr.type_from_text(kind)
    wire = rdata.from_text(number, text)
    assert rdata.from_text(number, rdata.to_text(number, wire)) == wire
    theirs = dns.rdata.from_text("IN", kind, text, origin=dns.name.root, relativize=False)
    assert wire == theirs.to_digestable()


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("A", "192.0.2.300", "no IPv4 address"),
        ("A", "192.0.2.01", "no IPv4 address"),
        ("A", "192.0.2.²", "no IPv4 address"),
        ("AAAA", "2001:db8::g", "no IPv6 address"),
        ("SRV", "10 50 70000 edge.example.", "at most 65535"),
        ("SRV", "10 50 edge.example.", "takes a u16, a u16, a u16, a name"),
        ("MX", "-1 mx.example.", "no number"),
        ("NAPTR", '10 100 "S" "SIP+D2U" _sip._udp.x.', "takes"),
        ("TXT", '"' + "a" * 256 + '"', "at most 255"),
        ("CAA", '0 "is sue" "x"', "letters and digits"),
        ("TYPE65400", r"\# 5 0a000001", "generic"),
        ("A", r"\# 3 0a0000", "generic"),
        ("SSHFP", "1 1 nothex", "SSHFP"),
    ],
)
def test_bad_rdata_is_said_clearly(kind: str, text: str, why: str) -> None:
    with pytest.raises(BadRdataError, match=why):
        rdata.from_text(rr.type_from_text(kind), text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("3600", 3600), ("1h30m", 5400), ("1W2D", 777600), ("2147483647", 2**31 - 1)]
)
def test_ttls(text: str, seconds: int) -> None:
    assert rdata.parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1y", "2147483648", "1h30", "-1", "\u0661"])
def test_no_ttls(text: str) -> None:
    with pytest.raises(ValueError, match="TTL"):
        rdata.parse_ttl(text)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_serials_go_forward_by_rfc_1982(serial: int, step: int) -> None:
    later = (serial + step) % 2**32
    assert rr.serial_newer(later, serial)
    assert not rr.serial_newer(serial, later)
    assert not rr.serial_newer(serial, serial)
