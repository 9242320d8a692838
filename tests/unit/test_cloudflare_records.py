"""Records in Cloudflare's words and back, with dnspython as the oracle of what each means."""

from __future__ import annotations

import base64

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import records as rr
from realmkit.errors import InputError
from realmkit_providers.cloudflare_records import FIELDS, HTTPS, SSHFP, URI, ApiRecord, UnsaidError, from_json, to_json
from tests.standins import cloudflare_values

U8, U16 = st.integers(0, 255), st.integers(0, 65535)
LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?", fullmatch=True)
NAME = st.one_of(st.just("."), st.lists(LABEL, min_size=1, max_size=4).map(lambda labels: ".".join(labels) + "."))
HOST = NAME.filter(lambda name: name != ".")
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
QUOTED = TEXT.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
OCTETS = st.binary(min_size=0, max_size=600)
HEX = st.binary(min_size=1, max_size=40).map(bytes.hex)
KEY = st.binary(min_size=3, max_size=40).map(lambda octets: base64.b64encode(octets).decode())


def line(*parts: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda values: " ".join(map(str, values)))


# What a zone file says of each type that can be written.
LINES: dict[str, st.SearchStrategy[str]] = {
    "A": st.ip_addresses(v=4).map(str),
    "AAAA": st.ip_addresses(v=6).map(str),
    "NS": HOST,
    "CNAME": HOST,
    "PTR": HOST,
    "MX": line(U16, NAME),
    "SRV": line(U16, U16, U16, NAME),
    "NAPTR": line(U16, U16, QUOTED, QUOTED, QUOTED, NAME),
    "CAA": line(U8, st.sampled_from(["issue", "issuewild", "iodef"]), QUOTED),
    "SSHFP": line(U8, st.just(1), st.binary(min_size=20, max_size=20).map(bytes.hex)),
    "TLSA": line(U8, U8, U8, HEX),
    "SMIMEA": line(U8, U8, U8, HEX),
    "DS": line(U16, st.just(13), st.just(2), st.binary(min_size=32, max_size=32).map(bytes.hex)),
    "DNSKEY": line(st.just(257), st.just(3), st.just(13), KEY),
    "CERT": line(U16, U16, st.just(13), KEY),
    "OPENPGPKEY": KEY,
    "URI": line(U16, U16, TEXT.filter(bool).map(lambda text: '"' + text.replace("\\", "").replace('"', "") + 'x"')),
    "HTTPS": st.sampled_from(["0 svc.example.", '1 . alpn="h2,h3"', '16 Foo.example. port="53" ipv4hint="192.0.2.1"']),
    "SVCB": st.sampled_from(["0 svc.example.", '1 . alpn="h2,h3" no-default-alpn', '1 x.example. key667="hello"']),
}


def test_each_type_of_the_table_is_drawn_or_is_text() -> None:
    drawn = {int(dns.rdatatype.from_text(kind)) for kind in LINES}
    assert drawn | {rr.TXT} == set(FIELDS)


def record(kind: str, fields: dict[str, object]) -> ApiRecord:
    """As the API would answer it: through JSON."""
    body = {"id": "0" * 32, "name": "x.example", "type": kind, "ttl": 300, **fields}
    return msgspec.json.decode(msgspec.json.encode(body), type=ApiRecord)


@given(st.data(), st.sampled_from(sorted(LINES)))
def test_what_is_written_means_what_dnspython_reads(data: st.DataObject, kind: str) -> None:
    rdata = dns.rdata.from_text("IN", kind, data.draw(LINES[kind]))
    number, wire = int(rdata.rdtype), rdata.to_digestable()
    said = to_json(number, wire)
    there = cloudflare_values.value_of(kind, said)  # the stand-in reads it by its own table
    assert there.rdata.to_digestable() == wire
    assert from_json(number, record(kind, said)) == wire


@given(st.data(), st.sampled_from(sorted(LINES)))
def test_what_the_api_shows_is_read(data: st.DataObject, kind: str) -> None:
    value = cloudflare_values.from_text(kind, data.draw(LINES[kind]))
    number, wire = int(value.rdata.rdtype), value.rdata.to_digestable()
    assert from_json(number, record(kind, value.fields)) == wire
    floats = {key: float(one) if isinstance(one, int) else one for key, one in value.fields.get("data", {}).items()}
    assert from_json(number, record(kind, value.fields | ({"data": floats} if floats else {}))) == wire


@given(st.lists(OCTETS.map(lambda octets: octets[:255]), min_size=1, max_size=4))
def test_text_of_any_octets(strings: list[bytes]) -> None:
    wire = b"".join(bytes((len(string),)) + string for string in strings)
    said = to_json(rr.TXT, wire)
    assert said["content"].isascii()
    assert from_json(rr.TXT, record("TXT", said)) == wire
    parsed = dns.rdata.from_text("IN", "TXT", said["content"])
    assert parsed.to_wire() == wire


@pytest.mark.parametrize(
    ("content", "strings"),
    [
        ("v=spf1 -all", [b"v=spf1 -all"]),  # as records that were made without quotes are shown
        ('"one" "two"', [b"one", b"two"]),
        ('"' + "x" * 300 + '"', [b"x" * 255, b"x" * 45]),  # "automatically split"
        ("y" * 300, [b"y" * 255, b"y" * 45]),
        ('"a\\"b\\\\c\\255"', [b'a"b\\c\xff']),
        ("", [b""]),
        ('""', [b""]),
        ('say "hello"', [b'say "hello"']),
        ('"half', [b'"half']),
        ("v=DKIM1;k=rsa;p=A/b+c", [b"v=DKIM1;k=rsa;p=A/b+c"]),
        ("na\u00efve", ["na\u00efve".encode()]),
    ],
)
def test_text_with_and_without_quotes(content: str, strings: list[bytes]) -> None:
    expected = b"".join(bytes((len(string),)) + string for string in strings)
    assert from_json(rr.TXT, record("TXT", {"content": content})) == expected


SRV = {"priority": 10, "weight": 50, "port": 5060, "target": "sip.example.net"}


def srv(**fields: object) -> ApiRecord:
    return record("SRV", {"data": SRV | fields})


@pytest.mark.parametrize("port", [5060, 5060.0, "5060"])
def test_a_number_in_each_dress(port: object) -> None:
    assert (
        from_json(rr.SRV, srv(port=port))
        == dns.rdata.from_text("IN", "SRV", "10 50 5060 sip.example.net.").to_digestable()
    )


@pytest.mark.parametrize("port", [5060.5, 70000, -1, "many", True, None, [1]])
def test_a_number_that_is_none(port: object) -> None:
    with pytest.raises(UnsaidError, match="port"):
        from_json(rr.SRV, srv(port=port))


@pytest.mark.parametrize("target", ["sip.example.net", "sip.example.net.", "SIP.Example.NET"])
def test_a_name_with_and_without_its_final_dot(target: str) -> None:
    assert from_json(rr.SRV, srv(target=target)) == from_json(rr.SRV, srv())


def test_the_root_as_a_target() -> None:
    assert to_json(rr.SRV, bytes(6) + b"\0")["data"]["target"] == "."
    assert from_json(rr.SRV, srv(priority=0, weight=0, port=0, target=".")) == bytes(7)


def test_what_naptr_looks_like() -> None:
    """The shape of octodns-cloudflare's samples: `regex`, and a final dot at the replacement."""
    wire = dns.rdata.from_text("IN", "NAPTR", r'10 100 "U" "E2U+sip" "!^(.*)$!sip:\\1@x!" .').to_digestable()
    assert to_json(rr.NAPTR, wire) == {
        "data": {"order": 10, "preference": 100, "flags": "U", "service": "E2U+sip", "regex": r"!^(.*)$!sip:\1@x!",
                 "replacement": "."}
    }  # fmt: skip


def test_fields_beside_data_are_looked_for_in_both_places() -> None:
    """SDK 5.9.0: `priority` "is to be deprecated in favor of the priority field within the data map"."""
    mx = record("MX", {"content": "mail.example", "data": {"priority": 10}})
    assert from_json(rr.MX, mx) == from_json(rr.MX, record("MX", {"content": "mail.example", "priority": 10.0}))
    uri = {"weight": 1, "target": "sip:x"}
    assert from_json(URI, record("URI", {"data": uri | {"priority": 2}})) == b"\0\2\0\1sip:x"


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("SRV", {"content": "50 5060 sip.example.net", "priority": 10}, "10 50 5060 sip.example.net."),
        ("SRV", {"content": "10\t50\t5060\tsip.example.net"}, "10 50 5060 sip.example.net."),
        ("LOC", {"content": "31 58 52.1 S 115 49 11.7 E 20m 10m 10m 2m", "data": {"lat_degrees": 31}},
         "31 58 52.1 S 115 49 11.7 E 20m 10m 10m 2m"),
        ("CAA", {"content": '0 issue "ca.example"'}, '0 issue "ca.example"'),
        ("HTTPS", {"content": '1 . alpn="h2"'}, '1 . alpn="h2"'),
        ("SPF", {"content": '"v=spf1 -all"'}, '"v=spf1 -all"'),
    ],
)  # fmt: skip
def test_content_serves_where_there_is_no_data(kind: str, fields: dict[str, object], text: str) -> None:
    rdata = dns.rdata.from_text("IN", kind, text)
    assert from_json(int(rdata.rdtype), record(kind, fields)) == rdata.to_digestable()


@pytest.mark.parametrize("kind", ["LOC", "TYPE65400", "SRV"])
def test_what_can_not_be_read(kind: str) -> None:
    number = int(dns.rdatatype.from_text(kind))
    for content in ("IN LOC this and that", None, ""):
        with pytest.raises(InputError):
            from_json(number, record(kind, {"content": content}))


def test_data_and_content_that_differ_are_not_trusted() -> None:
    """Whether a backslash in `data` is one octet or an escape is told by `content`, if that can be read."""
    naptr = {"order": 1, "preference": 1, "flags": "u", "service": "x", "regex": r"!a!\\1!", "replacement": "."}
    one = record("NAPTR", {"data": naptr, "content": r'1 1 "u" "x" "!a!\\1!" .'})
    with pytest.raises(UnsaidError, match="different things"):
        from_json(rr.NAPTR, one)
    two = record("NAPTR", {"data": naptr, "content": r'1 1 "u" "x" "!a!\\\\1!" .'})
    assert rb"\\1" in from_json(rr.NAPTR, two)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [(rr.A, b"\1\2\3"), (rr.SRV, b"\0"), (rr.MX, b"\0\1\5ab"), (rr.TXT, b"\5a"), (rr.TXT, b""), (HTTPS, b"\0\1\0\0"),
     (rr.NAPTR, b"\0\1\0\1\1s\1x\5a"), (rr.A, bytes(5)), (SSHFP, b"\1"), (65400, b"x")],
)  # fmt: skip
def test_rdata_that_is_none(kind: int, wire: bytes) -> None:
    with pytest.raises(UnsaidError):
        to_json(kind, wire)


@pytest.mark.parametrize("octet", ["\\000", "\\009", "\\127", "\\255"])
def test_what_json_can_not_carry_is_refused(octet: str) -> None:
    for kind, text in (("NAPTR", f'1 1 "{octet}" "" "" .'), ("CAA", f'0 issue "{octet}"')):
        rdata = dns.rdata.from_text("IN", kind, text)
        with pytest.raises(UnsaidError, match="printable ASCII"):
            to_json(int(rdata.rdtype), rdata.to_digestable())
