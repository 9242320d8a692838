from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.primary.writer import ADDITIONAL, ANSWER, AUTHORITY, Writer
from realmkit.dns.wire import BadMessageError, Record
from tests.unit.wireoracle import as_records, read_by_dnspython

if TYPE_CHECKING:
    pass

# --- dnspython is the oracle: it builds and compresses messages, and reads ours ------------------------------

LABELS = st.sampled_from(
    ["acme", "ACME", "_sip", "_udp", "*", "s", "Bench", "test", "x" * 63, "a-b", "\\000\\255.", "9"]
)
NAMES = st.builds(
    lambda labels: ".".join([*labels, "Example."]), st.lists(LABELS.filter(lambda x: x[-1] != "."), max_size=3)
)
U16 = st.integers(0, 65535)
QUOTED = st.sampled_from(['""', '"s"', '"SIP+D2U"', '"a\\"b\\000"', '"!^.*$!sip:info@example.com!"'])
TEXT_OF = {
    "A": st.sampled_from(["192.0.2.1", "203.0.113.255"]),
    "AAAA": st.sampled_from(["2001:db8::1", "::"]),
    "CAA": st.builds("{} {} {}".format, st.integers(0, 255), st.sampled_from(["issue", "iodef"]), QUOTED),
    "TXT": st.builds(" ".join, st.lists(QUOTED, min_size=1, max_size=5)),
    "SOA": st.builds("{} {} {} 1 2 3 4".format, NAMES, NAMES, st.integers(0, 2**32 - 1)),
    "SRV": st.builds("{} {} {} {}".format, U16, U16, U16, NAMES),
    "NAPTR": st.builds("{} {} {} {} {} {}".format, U16, U16, QUOTED, QUOTED, QUOTED, NAMES),
    "PX": st.builds("{} {} {}".format, U16, NAMES, NAMES),
    "SVCB": st.builds("1 {} alpn=h2 port=5061".format, NAMES),
    "DS": st.just("1 8 2 " + "ab" * 32),
    "TYPE65400": st.binary(max_size=20).map(lambda octets: f"\\# {len(octets)} {octets.hex()}"),
    **dict.fromkeys(["NS", "CNAME", "PTR", "DNAME"], NAMES),
    **dict.fromkeys(["MX", "AFSDB", "RT", "KX"], st.builds("{} {}".format, U16, NAMES)),
    "RP": st.builds("{} {}".format, NAMES, NAMES),
}


@st.composite
def rrsets(draw: st.DrawFn) -> dns.rrset.RRset:
    kind = draw(st.sampled_from(sorted(TEXT_OF)))
    texts = draw(st.lists(TEXT_OF[kind], min_size=1, max_size=3))
    return dns.rrset.from_text_list(draw(NAMES), draw(st.integers(0, 2**31 - 1)), "IN", kind, texts)


@st.composite
def messages(draw: st.DrawFn) -> dns.message.Message:
    query = dns.message.make_query(draw(NAMES), draw(st.sampled_from(sorted(TEXT_OF))))
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.Rcode(draw(st.sampled_from([0, 2, 3, 5]))))
    for section in (message.answer, message.authority, message.additional):
        section.extend(draw(st.lists(rrsets(), max_size=4)))
    if draw(st.booleans()):
        errors = st.builds(
            dns.edns.EDEOption,
            st.integers(0, 30),
            st.sampled_from([None, "no key", "\N{LATIN SMALL LETTER E WITH ACUTE}"]),
        )
        cookie = st.just(dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"))
        options: list[dns.edns.Option] = draw(st.lists(errors | cookie, max_size=3))
        message.use_edns(0, draw(st.sampled_from([0, 0x8000])), 1232, options=options)
    message.flags |= draw(st.sampled_from([0, dns.flags.AD]))
    return message


@given(messages())
def test_what_dnspython_writes_is_read_as_dnspython_reads_it(message: dns.message.Message) -> None:
    octets = message.to_wire(max_size=65535)
    read = wire.parse(octets)
    assert read == read_by_dnspython(octets)
    assert wire.read_answers(octets)[0].answer == read.answer
    assert read.rcode == message.rcode()
    assert read.is_response
    assert (read.ad, read.do) == (bool(message.flags & dns.flags.AD), bool(message.ednsflags & dns.flags.DO))
    assert read.ede == tuple((int(one.code), one.text or "") for one in message.extended_errors())
    asked = read.question
    assert asked is not None
    assert wire.parse_answer(octets, *asked) == read


@given(messages())
def test_names_come_out_in_canonical_form_and_are_names(message: dns.message.Message) -> None:
    read = wire.parse(message.to_wire(max_size=65535))
    for record in [*read.answer, *read.authority, *read.additional]:
        assert record.name == names.from_text(names.to_text(record.name))


@st.composite
def own_records(draw: st.DrawFn) -> Record:
    return draw(st.sampled_from(as_records([draw(rrsets())])))


@given(st.lists(own_records(), max_size=8), st.lists(own_records(), max_size=3), st.sampled_from([None, 1232]))
def test_what_we_write_dnspython_reads(answer: list[Record], additional: list[Record], payload: int | None) -> None:
    writer = Writer(7, wire.QR | wire.AA)
    writer.question(names.absolute("acme.example"), rr.A)
    for record in answer:
        writer.record(ANSWER, record)
    for record in additional:
        writer.record(ADDITIONAL, record)
    if payload:
        writer.opt(payload, extended_rcode=1)
    octets = writer.to_bytes()
    assert len(writer) == len(octets)
    theirs, ours = read_by_dnspython(octets), wire.parse(octets)
    assert theirs == ours
    assert (ours.id, ours.answer, ours.additional) == (7, answer, additional)
    assert ours.rcode == (16 if payload else 0)


def test_names_beyond_the_reach_of_pointers() -> None:
    records = [
        Record(names.absolute(f"n{i}.acme.example"), rr.MX, 60, b"\0\1" + names.absolute(f"n{i}.example"))
        for i in range(2300)
    ]
    writer = Writer(1, wire.QR)
    writer.question(names.absolute("acme.example"), rr.MX)
    for record in records:
        writer.record(ANSWER, record)
    octets = writer.to_bytes()
    assert 0x8000 < len(octets) < 65536
    assert wire.parse(octets).answer == records == read_by_dnspython(octets).answer


@pytest.mark.parametrize("payload", [None, 512, 1232, 4096])
@pytest.mark.parametrize("rd", [True, False])
@pytest.mark.parametrize("dnssec", [True, False])
def test_a_query_is_what_dnspython_would_ask(payload: int | None, rd: bool, dnssec: bool) -> None:
    theirs = dns.message.make_query("_sip._udp.acme.example.", "NAPTR")
    if payload is not None:
        theirs.use_edns(0, 0x8000 if dnssec else 0, payload)
    theirs.flags = dns.flags.RD if rd else dns.flags.Flag(0)
    name = names.absolute("_sip._udp.acme.example")
    ours = wire.query(name, rr.NAPTR, payload=payload, rd=rd, dnssec=dnssec)
    assert ours == theirs.to_wire()[2:]


# --- rdata compressed where dnspython would not, but a server may (RFC 3597 section 4) ------------------------


def response(answer: bytes, count: int = 1, question: bytes = b"\4Acme\7example\0\0\1\0\1") -> bytes:
    return struct.pack("!HHHHHH", 1, 0x8400, 1, count, 0, 0) + question + answer


@pytest.mark.parametrize(
    ("kind", "rdata", "expected"),
    [
        (rr.SRV, b"\0\1\0\2\x13\xc4\4EDGE\xc0\x11", b"\0\1\0\2\x13\xc4\4edge\7example\0"),
        (rr.NAPTR, b"\0\1\0\2\1S\7SIP+D2U\0\4_sip\xc0\x0c", b"\0\1\0\2\1S\7SIP+D2U\0\4_sip\4acme\7example\0"),
        (rr.MX, b"\0\1\xc0\x0c", b"\0\1\4acme\7example\0"),
        (17, b"\xc0\x0c\xc0\x11", b"\4acme\7example\0\7example\0"),
        (26, b"\0\7\xc0\x0c\xc0\x11", b"\0\7\4acme\7example\0\7example\0"),
        (39, b"\xc0\x11", b"\7example\0"),
        *((kind, b"\1X\xc0\x11", b"\1x\7example\0") for kind in (3, 4, 7, 8, 9)),
        (14, b"\xc0\x0c\1X\xc0\x11", b"\4acme\7example\0\1x\7example\0"),
        (rr.SOA, b"\2NS\xc0\x11\1h\xc0\x0c" + bytes(20), b"\2ns\7example\0\1h\4acme\7example\0" + bytes(20)),
        (65400, b"\xc0\x0cABC", b"\xc0\x0cABC"),
    ],
)
def test_compressed_names_in_rdata(kind: int, rdata: bytes, expected: bytes) -> None:
    octets = response(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 300, len(rdata)) + rdata)
    assert wire.parse(octets).answer == [Record(b"\4acme\7example\0", kind, 300, expected)]


@pytest.mark.parametrize(
    ("kind", "rdata"),
    [
        (rr.A, b"\1\2\3"), (rr.A, bytes(5)), (rr.A, b""), (rr.AAAA, bytes(15)), (rr.TXT, b""), (rr.TXT, b"\2a"),
        (rr.TXT, b"\1a\2b"), (rr.CAA, b"\0\5issu"), (rr.CAA, b"\0\0abc"), (rr.CAA, b"\0"), (rr.NS, b""),
        (rr.NS, b"\0\0"), (rr.NS, b"\2ab"), (rr.MX, b"\0"), (rr.MX, b"\0\1"), (rr.MX, b"\0\1\0\0"),
        (rr.SRV, b"\0\1\0\2\0\3"), (rr.SRV, b"\0\1\0\2\0\3\1a"), (rr.NAPTR, b"\0\1\0\2\1S\7SIP+D2U\0"),
        (rr.NAPTR, b"\0\1\0\2\1S\7SIP+D2U\0\0\0"), (rr.NAPTR, b"\0\1\0\2\xff"), (rr.SOA, b"\0\0" + bytes(19)),
        (rr.SOA, b"\0\0" + bytes(21)), (rr.SOA, b"\0"), (17, b"\0"), (26, b"\0\1\0"), (rr.CNAME, b"\xc0"),
    ],
)  # fmt: skip
def test_rdata_that_is_not_of_its_type(kind: int, rdata: bytes) -> None:
    record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 300, len(rdata)) + rdata
    follow = b"\xc0\x0c" + struct.pack("!HHIH", rr.A, 1, 300, 4) + bytes(4)
    for octets in (response(record), response(record + follow, count=2)):
        with pytest.raises(BadMessageError):
            wire.parse(octets)


# --- headers, classes, EDNS ----------------------------------------------------------------------------------


def test_flags() -> None:
    message = wire.parse(struct.pack("!HHHHHH", 5, 0x8603, 0, 0, 0, 0))
    assert (message.aa, message.tc, message.is_response, message.rcode, message.question) == (True, True, True, 3, None)
    request = wire.parse(struct.pack("!HHHHHH", 5, 0x0100, 0, 0, 0, 0))
    assert (request.aa, request.tc, request.is_response, request.rcode) == (False, False, False, 0)


def test_an_extended_rcode_is_not_taken_for_success() -> None:
    answer = dns.message.make_response(dns.message.make_query("acme.example.", "A", use_edns=0))
    answer.set_rcode(dns.rcode.BADVERS)
    read = wire.parse(answer.to_wire())
    assert (read.rcode, wire.rcode_to_text(read.rcode)) == (16, "BADVERS")
    assert wire.rcode_to_text(99) == "RCODE99"


def with_opt(options: bytes) -> bytes:
    opt = b"\0\0\x29\x04\xd0\0\0\0\0" + struct.pack("!H", len(options)) + options
    return struct.pack("!HHHHH", 1, 0x8000, 0, 0, 0) + b"\0\1" + opt


@pytest.mark.parametrize(
    ("options", "ede"),
    [
        (b"", ()),
        (b"\0\x0f\0\2\0\x09", ((9, ""),)),
        (b"\0\x0f\0\5\0\x06bad\0\x0f\0\2\0\x16", ((6, "bad"), (22, ""))),
        (b"\0\x0f\0\5\0\x06b\xff\0", ((6, "b\N{REPLACEMENT CHARACTER}"),)),  # ended by a null, as some do
        (b"\0\x0f\0\1\0\0\x0f\0\2\0\1", ((1, ""),)),  # one octet is no code
        (b"\0\x0f\0\2\0\1\0\x0f\0\x63\0\2", ((1, ""),)),  # runs over the end
        (b"\0\x0f\0", ()),
    ],
)
def test_extended_errors_are_read_as_far_as_they_can_be(options: bytes, ede: tuple[tuple[int, str], ...]) -> None:
    read = wire.parse(with_opt(options))
    assert (read.ede, read.rcode, read.do) == (ede, 0, False)
    assert wire.parse(with_opt(options)[:10] + b"\0\0").ede == ()


def test_other_classes_are_stepped_over() -> None:
    chaos = b"\xc0\x0c" + struct.pack("!HHIH", rr.TXT, 3, 0, 2) + b"\1x"
    good = b"\xc0\x0c" + struct.pack("!HHIH", rr.A, 1, 60, 4) + b"\1\2\3\4"
    read = wire.parse(response(chaos + good + chaos, count=3))
    assert read.answer == [Record(b"\4acme\7example\0", rr.A, 60, b"\1\2\3\4")]
    asked = wire.parse(response(b"", count=0, question=b"\7version\4bind\0\0\x10\0\3"))
    assert asked.question is None


def test_a_ttl_with_its_top_bit_set_is_zero() -> None:
    record = b"\xc0\x0c" + struct.pack("!HHIH", rr.A, 1, 2**31, 4) + bytes(4)
    assert wire.parse(response(record)).answer[0].ttl == 0


def test_sections_are_written_in_order() -> None:
    writer = Writer(1, 0)
    record = Record(names.ROOT, rr.A, 0, bytes(4))
    writer.record(AUTHORITY, record)
    with pytest.raises(ValueError, match="order"):
        writer.record(ANSWER, record)


# --- malformed -----------------------------------------------------------------------------------------------


def named_at(octets: bytes) -> bytes:
    """A message whose answer is owned by the name in `octets`, which begins at octet 12."""
    return struct.pack("!HHHHHH", 1, 0x8000, 0, 1, 0, 0) + octets + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4)


@pytest.mark.parametrize(
    "octets",
    [
        b"\xc0\x0c",  # itself
        b"\1a\xc0\x0c",  # its own beginning
        b"\xc0\x0e\xc0\x0c",  # forward
        b"\xc0\x00",  # into the header
        b"\xc0\x0b",
        b"\xff\xff",
        b"\x40" + b"a" * 64 + b"\0",  # label types of RFC 2673 and none
        b"\x80a\0",
        b"\1a" * 127 + b"\1a\0",  # 257 octets
        b"\x3f" + b"a" * 63,  # no end
    ],
)
def test_names_that_are_none(octets: bytes) -> None:
    with pytest.raises(BadMessageError):
        wire.parse(named_at(octets))


def test_a_name_of_255_octets_is_one_and_by_pointer_too() -> None:
    longest = b"\1a" * 127 + b"\0"
    assert wire.parse(named_at(longest)).answer[0].name == longest
    second = b"\1b\xc0\x0e" + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4)
    two = named_at(longest)[:6] + b"\0\2" + named_at(longest)[8:] + second
    assert wire.parse(two).answer[1].name == b"\1b" + b"\1a" * 126 + b"\0"
    longer = b"\1b\xc0\x0c" + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4)
    with pytest.raises(BadMessageError, match="255"):
        wire.parse(two[: -len(second)] + longer)


def ladder(rungs: int) -> bytes:
    """Two records: the first holds a root label and a row of pointers, the second is owned by the last of them."""
    root = 23
    places = [root, *(root + 1 + 2 * rung for rung in range(rungs))]
    pointers = b"".join(struct.pack("!H", 0xC000 | place) for place in places)
    held = b"\0" + pointers[:-2]
    first = b"\0" + struct.pack("!HHIH", 65400, 1, 0, len(held)) + held
    second = pointers[-2:] + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4)
    return struct.pack("!HHHHHH", 1, 0x8000, 0, 2, 0, 0) + first + second


def test_chains_of_pointers_end() -> None:
    assert wire.parse(ladder(100)).answer[1].name == names.ROOT
    with pytest.raises(BadMessageError):
        wire.parse(ladder(4000))


@pytest.mark.parametrize("cut", range(45))
def test_every_cut_is_noticed(cut: int) -> None:
    whole = response(b"\xc0\x0c" + struct.pack("!HHIH", rr.A, 1, 0, 4) + bytes(4))
    assert len(whole) == 46
    assert wire.parse(whole)
    with pytest.raises(BadMessageError):
        wire.parse(whole[:cut])


def test_leftovers_and_two_questions() -> None:
    whole = response(b"", count=0)
    with pytest.raises(BadMessageError, match="1 octets are left over"):
        wire.parse(whole + b"\0")
    two = whole[:4] + b"\0\2" + whole[6:] + whole[12:]
    with pytest.raises(BadMessageError, match="2 questions"):
        wire.parse(two)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_noise(octets: bytes) -> None:
    with suppress(BadMessageError):
        wire.parse(octets)
