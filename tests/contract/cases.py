"""What a zone holds before, and after each batch: the data of the suite.

A row is (owner, type, TTL, rdata...), names relative to the zone of the test. SOA and NS of the apex are the
harness's and stand in no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.contract.oracle import Row


class Case(NamedTuple):
    """One course of events.

    Attributes:
        id: its name in test ids, and in `Harness.refuses`.
        steps: all rows of the zone after each batch; the first is what it starts with, written by the backend.
        foreign: rows beside them that no batch mentions and that must stay as they are.
    """

    id: str
    steps: tuple[tuple[Row, ...], ...]
    foreign: tuple[Row, ...] = ()


FOREIGN: tuple[Row, ...] = (
    ("foreign", "TYPE65400", 3600, (r"\# 5 0102030405",)),
    ("foreign", "TXT", 77, ('"left alone" "\\"quoted\\" \\\\ \\000\\255"',)),
    ("foreign", "A", 78, ("192.0.2.200", "192.0.2.201")),
    ("*.foreign", "MX", 79, ("5 foreign",)),
    ("_x._tcp.foreign", "SRV", 80, ("0 0 1 foreign",)),
    ("sshfp", "SSHFP", 81, ("1 1 0123456789abcdef0123456789abcdef01234567",)),
)

# For each type: rdata at first and rdata later, relative to the zone.
TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "A": (("192.0.2.1",), ("192.0.2.2", "192.0.2.3")),
    "NS": (("ns1.sub.example.",), ("ns1.sub.example.", "ns2.sub.example.")),
    "CNAME": (("www.target.example.",), ("other.target.example.",)),
    "PTR": (("host.example.",), ("host2.example.", "host3.example.")),
    "MX": (("10 mail.example.", "20 mail2.example."), ("10 mail.example.", "30 mail2.example.")),
    "TXT": (('"v=spf1 -all"',), ('"v=spf1 mx -all"', '"second" "in two strings"')),
    "AAAA": (("2001:db8::1",), ("2001:db8::1", "2001:db8::2:0:0:1")),
    "SRV": (("10 50 5060 a.example.", "10 50 5060 b.example."), ("10 60 5061 a.example.", "0 0 0 .")),
    "NAPTR": (
        ('10 100 "S" "SIP+D2U" "" _sip._udp', '20 100 "s" "SIP+D2T" "" _sip._tcp'),
        ('10 100 "U" "E2U+sip" "!^(.*)$!sip:\\\\1@example.com!" .', '65535 0 "" "" "" x.example.'),
    ),
    "CAA": (('0 issue "ca.example"',), ('128 issue ";"', '0 iodef "mailto:pki@example.com"')),
}


def _life_of(kind: str) -> Case:
    """An RRset is created, updated, its TTL changed, and deleted."""
    first, later = TYPES[kind]
    rows = [(), (("here", kind, 300, first),), (("here", kind, 300, later),), (("here", kind, 60, later),), ()]
    return Case(f"life-{kind}", tuple(rows), FOREIGN)


def _realm(word: str, port: int = 5060, ttl: int = 300) -> tuple[Row, ...]:
    """A realm as realmkit publishes it, made by hand."""
    addresses = (word, "A", ttl, ("198.51.100.10", "203.0.113.10"))
    mail = (word, "MX", ttl, ("10 mx1.example.net.",))
    naptr = (word, "NAPTR", ttl, tuple(
        f'{order} 100 "S" "{service}" "" {target}.{word}'
        for order, service, target in ((10, "SIP+D2U", "_sip._udp"), (20, "SIP+D2T", "_sip._tcp"),
                                       (30, "SIPS+D2T", "_sips._tcp"))
    ))  # fmt: skip
    targets = (f"10 50 {port} us-east.example.net.", f"20 50 {port} us-west.example.net.")
    services = ((f"{one}.{word}", "SRV", ttl, targets) for one in ("_sip._udp", "_sip._tcp", "_sips._tcp"))
    return addresses, mail, naptr, *services


_MANY = tuple((f"h{n}", "A", 300, (f"192.0.2.{n}",)) for n in range(100))
_ODD_OCTETS = "".join(f"\\{octet:03d}" for octet in range(256))
_LONG = "x" * 255

CASES: tuple[Case, ...] = (
    *(_life_of(kind) for kind in TYPES),
    Case("realm", ((), _realm("acme"), _realm("acme", 5070), _realm("acme", 5070, 60), ()), FOREIGN),
    Case("realm-beside-wildcard", (
        (("*", "A", 300, ("192.0.2.9",)), ("*", "MX", 300, ("10 mail.example.",))),
        (("*", "A", 300, ("192.0.2.9",)), ("*", "MX", 300, ("10 mail.example.",)), *_realm("beta")),
        _realm("beta"),
    ), FOREIGN),
    Case("wildcard-below", ((), (("*.deep.er", "TXT", 5, ('"w"',)),), ())),
    Case("cname-becomes-a", (
        (("swap", "CNAME", 300, ("x.example.",)),),
        (("swap", "A", 300, ("192.0.2.4",)), ("swap", "MX", 300, ("10 mail.example.",))),
        (("swap", "CNAME", 60, ("y.example.",)),),
    ), FOREIGN),
    Case("mx-with-its-host", (
        (),
        (("fax", "MX", 300, ("10 host.fax",)), ("host.fax", "A", 300, ("192.0.2.5",))),
        (),
    )),
    Case("srv-and-its-target-move", (
        (("_sip._udp", "SRV", 300, ("1 1 5060 one",)), ("one", "A", 300, ("192.0.2.6",))),
        (("_sip._udp", "SRV", 300, ("1 1 5060 two",)), ("two", "A", 300, ("192.0.2.6",))),
    )),
    Case("twenty-records", (
        (),
        (("many", "A", 300, tuple(f"192.0.2.{n}" for n in range(1, 21))),),
        (("many", "A", 300, tuple(f"192.0.2.{n}" for n in range(11, 31))),),
    )),
    Case("two-hundred-changes", (
        _MANY,
        tuple((name, kind, 60, rdata) for name, kind, _, rdata in _MANY[:50])
        + tuple((f"n{n}", "TXT", 300, (f'"number {n}"',)) for n in range(100)),
    ), FOREIGN),
    Case("text-of-every-octet", (
        (),
        (("odd", "TXT", 300, (f'"{_ODD_OCTETS[:1020]}" "{_ODD_OCTETS[1020:]}"', '""', '";(@)$ \\"" "" "\\\\"')),),
        (("odd", "TXT", 300, ('"plain"',)),),
    )),
    Case("text-beyond-255", (
        (),
        (("long", "TXT", 300, (f'"{_LONG}" "{_LONG}" "{_LONG}" "y"',)),),
        (),
    )),
    Case("escaped-target", ((), (("alias", "CNAME", 300, (r"dot\.and\032space\255.x.example.",)),), ())),
    Case("escaped-owner", (
        (),
        ((r"dot\.and\032space\255", "TXT", 300, ('"here"',)), (r"at\@sign\;\(x\)\"\$", "A", 300, ("192.0.2.7",))),
        (),
    ), FOREIGN),
    Case("ttl-of-nought-and-of-years", ((("t", "A", 300, ("192.0.2.8",)),), (("t", "A", 0, ("192.0.2.8",)),),
                                        (("t", "A", 2147483647, ("192.0.2.8",)),))),
    Case("longest-name", ((), ((".".join(["a" * 63] * 3), "A", 300, ("192.0.2.9",)),), ())),
)  # fmt: skip
