"""SIP as the sandbox reads and writes it, digests against the RFCs' own examples, and hostile input."""

from __future__ import annotations

from hashlib import md5

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realmkit.sandbox import digest, sip
from realmkit.sandbox.location import Target, locate
from realmkit.sandbox.sip import Address, Request, Response, SipError, Uri, Via
from tests.unit.phonebook import Dns

# RFC 3261, 24.1, with compact names, a folded header and a list of Vias as 7.3 allows them.
REGISTER = b"""REGISTER sip:registrar.biloxi.com SIP/2.0\r
v: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7, SIP/2.0/UDP 192.0.2.1\r
Max-Forwards: 70\r
t: Bob <sip:bob@biloxi.com>\r
From: "Bob, \\"the\\" builder" <sip:bob@biloxi.com>;tag=456248\r
Call-ID: 843817637684230@998sdasdh09\r
CSeq: 1826 REGISTER\r
m: <sip:bob@192.0.2.4;transport=udp>;expires=60,\r
  <sip:bob@[2001:db8::1]:5070>\r
Expires: 7200\r
Content-Length: 0\r
\r
ignored"""


def changed(old: bytes, new: bytes) -> bytes:
    assert old in REGISTER
    return REGISTER.replace(old, new)


def test_a_request_is_read() -> None:
    request = sip.parse(REGISTER)
    assert isinstance(request, Request)
    assert (request.method, request.uri, request.body) == ("REGISTER", "sip:registrar.biloxi.com", b"")
    assert request.cseq == (1826, "REGISTER")
    assert request.branch == "z9hG4bKnashds7"
    assert len(request.all("via")) == 2
    sender = Address.read(request.get("from"))
    assert (sender.uri, sender.parameters) == ("sip:bob@biloxi.com", {"tag": "456248"})
    contacts = [Address.read(one) for one in request.all("contact")]
    assert [one.parameters.get("expires") for one in contacts] == ["60", None]
    assert [Uri.read(one.uri) for one in contacts] == [
        Uri("bob", "192.0.2.4", 0, {"transport": "udp"}),
        Uri("bob", "[2001:db8::1]", 5070, {}),
    ]


def test_addresses_with_and_without_brackets() -> None:
    """Without brackets, parameters are the header's own (RFC 3261, 20)."""
    assert Address.read("sip:a@b;tag=1") == Address("sip:a@b", {"tag": "1"})
    assert Address.read("<sip:a@b;tag=1>") == Address("sip:a@b;tag=1", {})
    assert Uri.read("sip:al%20ice:pw@B.Example:5061;lr").user == "al ice"
    for bad in ("", "<sip:a@b", "sip:a@b>", '"a" sip:a@b'):
        with pytest.raises(SipError):
            Address.read(bad)
    for bad in ("", "http://b", "sip:", "sip:a@", "sip:a@b:99999", "sip:a@b c", "sip:a@@b", "sip:a@-b\r\nx"):
        with pytest.raises(SipError):
            Uri.read(bad)


BAD = {
    "no empty line": REGISTER.split(b"\r\n\r\n")[0],
    "no Via": changed(b"v: SIP", b"x: SIP"),
    "no Call-ID": changed(b"Call-ID: 843817637684230@998sdasdh09\r\n", b""),
    "empty Call-ID": changed(b"843817637684230@998sdasdh09", b""),
    "two From": changed(b"t: Bob", b"f: <sip:a@b>\r\nt: Bob"),
    "CSeq of another method": changed(b"1826 REGISTER", b"1826 OPTIONS"),
    "CSeq too large": changed(b"1826 REGISTER", b"2147483648 REGISTER"),
    "body cut off": changed(b"Content-Length: 0", b"Content-Length: 8"),
    "Content-Length no number": changed(b"Content-Length: 0", b"Content-Length: -1"),
    "bare line feed": changed(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\n"),
    "NUL": changed(b"Max-Forwards: 70", b"Max-Forwards: 7\x000"),
    "no colon": changed(b"Max-Forwards: 70", b"Max-Forwards"),
    "not UTF-8": changed(b"Bob <", b"B\xffb <"),
    "another version": changed(b"SIP/2.0\r\nv", b"SIP/3.0\r\nv"),
    "Via that is none": changed(b"v: SIP/2.0/UDP", b"v: "),
    "Via list with a hole": changed(b", SIP/2.0/UDP 192.0.2.1", b",, "),
    "many headers": changed(b"Expires", b"X: y\r\n" * 200 + b"Expires"),
    "a long line": changed(b"Expires: 7200", b"Expires: " + b"7" * 9000),
    "a long message": REGISTER + b"x" * 70000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_not_sip_is_refused(data: bytes) -> None:
    with pytest.raises(SipError):
        sip.parse(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_messages_raise_one_kind_of_error(data: st.DataObject) -> None:
    """Whatever comes: either a message that can be looked at, or SipError."""
    damaged = bytearray(REGISTER)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(damaged)))
        end = min(len(damaged), start + data.draw(st.integers(0, 20)))
        damaged[start:end] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"\r\n", b'"', b"<", b";", b",", b"\\"])
        )
    try:
        message = sip.parse(bytes(damaged))
        assert message.cseq[0] >= 0
        for name in ("from", "to"):
            Address.read(message.get(name))
        for contact in message.all("contact"):
            Uri.read(Address.read(contact).uri)
        if isinstance(message, Request):
            sip.encode(sip.respond(sip.seen_from(message, ("127.0.0.1", 5060)), 200))
    except SipError:
        pass


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(TEXTS, st.binary(max_size=50), st.integers(100, 699))
@example("a:b;c,d<>\"'", b"\r\n\r\n", 200)
def test_what_is_written_is_read_again(text: str, body: bytes, status: int) -> None:
    headers = (
        ("via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport"),
        ("from", "<sip:a@b>;tag=1"),
        ("to", "<sip:a@b>"),
        ("call-id", text),
        ("cseq", "1 OPTIONS"),
        ("x-anything", text),
    )
    for message in (Request("OPTIONS", "sip:a@b", headers, body), Response(status, text, headers, body)):
        again = sip.parse(sip.encode(message))
        assert (again.headers[:-1], again.body) == (headers, body)
        assert again.headers[-1] == ("content-length", str(len(body)))


def test_nobody_smuggles_a_header() -> None:
    request = sip.parse(REGISTER)
    assert isinstance(request, Request)
    with pytest.raises(SipError, match="line end"):
        sip.encode(sip.respond(request, 200, ("x", "a\r\nContact: <sip:thief@example.com>")))


def test_a_response_goes_back_the_way_it_came() -> None:
    request = sip.parse(REGISTER)
    assert isinstance(request, Request)
    request = sip.seen_from(request, ("127.0.0.9", 4711))
    response = sip.respond(request, 200)
    top = Via.read(response.all("via")[0])
    assert (top.parameters["received"], top.parameters["rport"]) == ("127.0.0.9", "4711")
    assert sip.source_of(request) == ("127.0.0.9", 4711)
    assert len(response.all("via")) == 2
    assert "tag" in Address.read(response.get("to")).parameters
    assert sip.respond(request, 200).get("to") == response.get("to")  # the same tag for a repeated request
    assert "tag" not in Address.read(sip.respond(request, 100).get("to")).parameters


# --- digests ---------------------------------------------------------------------------------------------------------

# RFC 2617, 3.5 (HTTP, but the same sums), with qop "auth"
ASKED = digest.read(
    'Digest realm="testrealm@host.com", qop="auth,auth-int", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)


def test_the_example_of_rfc_2617() -> None:
    value = digest.answer(
        ASKED, method="GET", uri="/dir/index.html", username="Mufasa", password="Circle Of Life", cnonce="0a4f113b"
    )
    fields = digest.read(value)
    assert fields["response"] == "6629fae49393a05397450978507c4ef1"
    assert fields["opaque"] == ASKED["opaque"]
    proof = {"method": "GET", "username": "Mufasa", "realm": "testrealm@host.com", "password": "Circle Of Life"}
    assert digest.fits(fields, **proof)
    for name, value in (("method", "PUT"), ("username", "mufasa"), ("realm", "x"), ("password", "circle of life")):
        assert not digest.fits(fields, **(proof | {name: value}))
    for name in ("nonce", "cnonce", "nc", "uri", "response", "algorithm", "qop"):
        assert not digest.fits(fields | {name: "tampered"}, **proof)
    for name in ("nonce", "cnonce", "nc", "uri", "response", "username", "realm"):
        assert not digest.fits({key: value for key, value in fields.items() if key != name}, **proof)


def test_without_qop() -> None:
    """RFC 2069's sum, as older phones and Kamailio without qop do it."""
    asked = digest.read(digest.challenge("old.example", "abc", qop=False))
    value = digest.answer(asked, method="REGISTER", uri="sip:old.example", username="u", password='p"w\\', cnonce="x")
    fields = digest.read(value)
    assert "qop" not in fields
    secret, action = (md5(text.encode()).hexdigest() for text in ('u:old.example:p"w\\', "REGISTER:sip:old.example"))
    assert fields["response"] == md5(f"{secret}:abc:{action}".encode()).hexdigest()
    assert digest.fits(fields, method="REGISTER", username="u", realm="OLD.example", password='p"w\\')


def test_challenges_that_nobody_can_answer() -> None:
    for asked in ({"realm": "r"}, {"realm": "r", "nonce": "n", "algorithm": "SHA-256"},
                  {"realm": "r", "nonce": "n", "qop": "auth-int"}):  # fmt: skip
        with pytest.raises(SipError):
            digest.answer(asked, method="REGISTER", uri="sip:r", username="u", password="p", cnonce="x")
    for value in ("", "Basic abc", 'Digest realm="a', 'Digest realm="a" nonce="b"', 'Digest a="1", a="2"'):
        with pytest.raises(SipError):
            digest.read(value)


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_who_knows_the_password_is_let_in(user: str, realm: str, password: str, qop: bool) -> None:
    realm = realm.replace('"', "").replace("\\", "")
    asked = digest.read(digest.challenge(realm, "nonce", qop=qop))
    value = digest.answer(asked, method="REGISTER", uri="sip:x", username=user, password=password, cnonce="c")
    fields = digest.read(value)
    assert digest.fits(fields, method="REGISTER", username=user, realm=realm, password=password)
    assert not digest.fits(fields, method="REGISTER", username=user, realm=realm, password=password + "x")


# --- where a realm's edge is -----------------------------------------------------------------------------------------


def test_the_edge_is_found_step_by_step() -> None:
    dns = Dns()
    assert locate("old.example", "naptr", dns) == ()
    dns.records["old.example.", "A"] = ["127.0.0.9"]
    assert locate("old.example", "naptr", dns) == (Target("127.0.0.9", 5060),)
    dns.records["_sip._udp.old.example.", "SRV"] = [
        "20 0 5060 c.example.",
        "10 1 5061 b.example.",
        "10 9 5062 a.example.",
    ]
    dns.records |= {(f"{one}.example.", "A"): [f"127.0.0.{ord(one)}"] for one in "abc"}
    best = (Target("127.0.0.97", 5062), Target("127.0.0.98", 5061), Target("127.0.0.99", 5060))
    assert locate("old.example", "srv", dns) == locate("old.example.", "naptr", dns) == best
    assert locate("old.example", "a", dns) == (Target("127.0.0.9", 5060),)
    dns.records["old.example.", "NAPTR"] = [
        '10 10 "S" "SIPS+D2T" "" _sips._tcp.old.example.',
        '20 20 "s" "sip+d2u" "" far.example.',
        '20 10 "S" "SIP+D2U" "" near.example.',
    ]
    dns.records["near.example.", "SRV"] = ["1 1 5099 a.example."]
    assert locate("old.example", "naptr", dns) == (Target("127.0.0.97", 5099),)
    dns.records["near.example.", "SRV"] = ["0 0 0 ."]
    assert locate("old.example", "naptr", dns) == (Target("127.0.0.9", 5060),)
