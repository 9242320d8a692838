from __future__ import annotations

import dns.exception
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns.names import BadNameError

LABEL = st.binary(min_size=1, max_size=20)
NAME = st.lists(LABEL, max_size=6).map(lambda labels: dns.name.Name([*labels, b""]))


@given(NAME)
def test_text_is_read_back_as_dnspython_reads_it(name: dns.name.Name) -> None:
    wire = name.to_digestable()
    assert names.from_text(name.to_text()) == wire
    assert names.from_text(names.to_text(wire)) == wire
    assert dns.name.from_text(names.to_text(wire)).to_digestable() == wire


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_clear_error(text: str) -> None:
    try:
        wire = names.from_text(text, names.ROOT)
    except BadNameError:
        return
    assert len(wire) <= 255
    assert names.from_text(names.to_text(wire)) == wire


@given(st.text(alphabet="aZ0-_.*\\", min_size=1, max_size=30))
def test_ascii_agrees_with_dnspython_about_what_is_a_name(text: str) -> None:
    try:
        expected = dns.name.from_text(text, dns.name.root).to_digestable()
    except dns.exception.DNSException:
        with pytest.raises(BadNameError):
            names.from_text(text)
        return
    assert names.from_text(text) == expected


def test_relative_names_are_completed() -> None:
    origin = names.absolute("voice.example.com")
    assert names.from_text("acme", origin) == names.absolute("acme.voice.example.com")
    assert names.from_text("@", origin) == origin
    assert names.from_text("acme.", origin) == names.absolute("acme")
    assert names.relative_text(names.absolute("_sip._udp.acme.voice.example.com"), origin) == "_sip._udp.acme"
    assert names.relative_text(names.absolute("other.example"), origin) == "other.example."
    assert names.relative_text(origin, origin) == "@"


def test_is_under_counts_labels_not_octets() -> None:
    zone = names.absolute("com")
    assert names.is_under(names.absolute("a.com"), zone)
    assert names.is_under(zone, zone)
    assert not names.is_under(names.from_text("x\\003com."), zone)  # one label that ends like the zone's wire
    assert not names.is_under(zone, names.absolute("a.com"))


def test_names_in_other_scripts() -> None:
    assert names.to_text(names.absolute("München.example")) == "xn--mnchen-3ya.example."
    assert names.absolute("BÜCHER。example") == names.absolute("xn--bcher-kva.example")
    with pytest.raises(BadNameError, match="IDNA"):
        names.absolute("a\u2028b.example")


@pytest.mark.parametrize(
    ("realm", "why"),
    [
        ("a" * 64 + ".example", "63 octets"),
        (".".join(["a" * 60] * 5), "at most 255|at most 253"),
        ("x_y.example", "letters, digits"),
        ("-a.example", "letters, digits"),
        ("a..example", "empty label"),
        ("acme", "two labels"),
        ("192.0.2.1", "not an address"),
        ("bad realm.example", "letters, digits"),
        ("", "two labels"),
        ("*.example.com", "letters, digits"),
    ],
)
def test_what_is_no_realm(realm: str, why: str) -> None:
    with pytest.raises(BadNameError, match=why):
        names.check_realm(realm)


def test_a_realm_of_253_characters_is_the_longest() -> None:
    longest = ".".join(["a" * 61, "b" * 63, "c" * 63, "d" * 63])
    assert len(longest) == 253
    assert names.text_length(names.check_realm(longest)) == 253
    with pytest.raises(BadNameError):
        names.check_realm("a" + longest)
