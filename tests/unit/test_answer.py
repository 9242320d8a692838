"""What a zone answers: the cases by hand, and the rules once more in their plainest form as an oracle.

tests/lab/test_answers.py compares the same function with named and knot.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.answer import ANY, DNAME, Answer, Kind, ZoneIndex, glue, lookup
from realmkit.dns.records import RRset, Zone, zone_of

APEX = names.absolute("s.example")


def name(text: str) -> bytes:
    return names.from_text(text, APEX)


def rrset(owner: str, kind: int, *rdata: bytes, ttl: int = 300) -> RRset:
    return RRset(name(owner), kind, ttl, frozenset(rdata or {b"\1\2\3\4"}))


ZONE = zone_of(
    APEX,
    [
        rrset("@", rr.SOA), rrset("@", rr.NS, name("ns1")),
        rrset("*", rr.A), rrset("*", rr.MX),
        rrset("_sip._udp.alpha", rr.SRV), rrset("_acme.beta", rr.TXT),
        rrset("edge", rr.A), rrset("alias", rr.CNAME, name("edge")),
        rrset("*.brand", rr.CNAME, name("edge")),
        rrset("cut", rr.NS, name("ns.cut"), name("edge"), names.absolute("ns.other")), rrset("cut", rr.DS),
        rrset("ns.cut", rr.A), rrset("ns.cut", rr.AAAA), rrset("hidden.cut", rr.MX),
        rrset("moved", DNAME, names.absolute("new.example")),
        rrset("moved", rr.A), rrset("below.moved", rr.A),
        rrset("inner.*.star", rr.A),
    ],
)  # fmt: skip
INDEX = ZoneIndex.of(ZONE)


def ask(owner: str, kind: int) -> Answer:
    return lookup(INDEX, name(owner), kind)


@pytest.mark.parametrize(
    ("owner", "kind", "expected", "source"),
    [
        ("edge", rr.A, Kind.FOUND, "edge"),
        ("edge", rr.MX, Kind.NODATA, "edge"),
        ("below.edge", rr.A, Kind.NXDOMAIN, "edge"),
        ("foo", rr.A, Kind.FOUND, "*"),
        ("foo", rr.SRV, Kind.NODATA, "*"),
        ("a.b.c", rr.MX, Kind.FOUND, "*"),
        ("*", rr.A, Kind.FOUND, "*"),
        ("x.*", rr.A, Kind.NXDOMAIN, "*"),
        ("alpha", rr.A, Kind.NODATA, "alpha"),
        ("_udp.alpha", rr.A, Kind.NODATA, "_udp.alpha"),
        ("_sip._tcp.alpha", rr.SRV, Kind.NXDOMAIN, "alpha"),
        ("beta", rr.A, Kind.NODATA, "beta"),
        ("x.beta", rr.A, Kind.NXDOMAIN, "beta"),
        ("alias", rr.A, Kind.CNAME, "alias"),
        ("alias", rr.CNAME, Kind.FOUND, "alias"),
        ("x.brand", rr.A, Kind.CNAME, "*.brand"),
        ("x.brand", rr.CNAME, Kind.FOUND, "*.brand"),
        ("brand", rr.A, Kind.NODATA, "brand"),
        ("cut", rr.A, Kind.DELEGATED, "cut"),
        ("cut", rr.NS, Kind.DELEGATED, "cut"),
        ("cut", rr.DS, Kind.FOUND, "cut"),
        ("x.hidden.cut", rr.DS, Kind.DELEGATED, "cut"),
        ("hidden.cut", rr.MX, Kind.DELEGATED, "cut"),
        ("moved", rr.A, Kind.FOUND, "moved"),
        ("below.moved", rr.A, Kind.DNAME, "moved"),
        ("x.star", rr.A, Kind.NODATA, "*.star"),
        ("inner.x.star", rr.A, Kind.NODATA, "*.star"),
        ("@", rr.NS, Kind.FOUND, "@"),
        ("@", rr.A, Kind.NODATA, "@"),
    ],
)
def test_the_rules(owner: str, kind: int, expected: Kind, source: str) -> None:
    answer = ask(owner, kind)
    assert (answer.kind, names.relative_text(answer.source, APEX)) == (expected, source)
    has_set = expected in (Kind.FOUND, Kind.CNAME, Kind.DNAME, Kind.DELEGATED)
    assert (answer.rrset is not None) == has_set
    if answer.rrset is not None:
        assert ZONE.rrsets[answer.rrset.key] is answer.rrset
        assert answer.rrset.name == answer.source


def test_foreign_names() -> None:
    for text in ("example", "s.example.org", "xs.example", "."):
        assert lookup(INDEX, names.absolute(text), rr.A).kind is Kind.OUTSIDE


def test_who_speaks() -> None:
    assert ask("foo", rr.A).by_wildcard
    assert ask("foo", rr.SRV).by_wildcard
    assert ask("x.brand", rr.A).by_wildcard
    assert not ask("*", rr.A).by_wildcard
    assert not ask("edge", rr.A).by_wildcard
    assert not ask("alpha", rr.A).by_wildcard


def test_targets() -> None:
    assert ask("alias", rr.A).target == name("edge")
    assert ask("a.b.moved", rr.A).target == names.absolute("a.b.new.example")
    assert ask("edge", rr.A).target is None
    long = names.absolute(".".join(["x" * 60] * 4))
    index = ZoneIndex.of(zone_of(APEX, [rrset("moved", DNAME, long)]))
    assert lookup(index, name("a.moved"), rr.A).target == b"\x01a" + long
    assert lookup(index, name("a.longer.moved"), rr.A).target == b"\x01a\x06longer" + long
    assert lookup(index, name("x.a.longer.moved"), rr.A).target is None


def test_any_gives_one_set() -> None:
    assert ask("cut", ANY).kind is Kind.DELEGATED
    assert ask("foo", ANY).rrset == ZONE.rrsets[name("*"), rr.A]
    assert ask("alpha", ANY).kind is Kind.NODATA


def test_glue() -> None:
    servers = ask("cut", rr.A).rrset
    assert servers is not None
    assert {one.key for one in glue(INDEX, servers)} == {
        (name("ns.cut"), rr.A), (name("ns.cut"), rr.AAAA), (name("edge"), rr.A),
    }  # fmt: skip


def test_empty_nonterminals() -> None:
    assert INDEX.is_empty_nonterminal(name("alpha"))
    assert INDEX.is_empty_nonterminal(name("_udp.alpha"))
    assert not INDEX.is_empty_nonterminal(name("edge"))
    assert not INDEX.is_empty_nonterminal(name("foo"))
    assert not INDEX.is_empty_nonterminal(APEX)


def test_hashes_and_foreign_names_are_no_nodes() -> None:
    hashed = rrset("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", rr.NSEC3)
    foreign = RRset(names.absolute("www.example.org"), rr.A, 60, frozenset({b"\1\2\3\4"}))
    index = ZoneIndex.of(zone_of(APEX, [*ZONE.rrsets.values(), hashed, foreign]))
    assert index.nodes == INDEX.nodes


# --- the oracle ----------------------------------------------------------------------------------------------


def plainly(zone: Zone, labels: tuple[str, ...], kind: int) -> tuple[Kind, tuple[str, ...]]:
    """RFC 1034 section 4.3.2 and RFC 4592, by brute force over tuples of labels below the apex."""
    owned: dict[tuple[str, ...], set[int]] = {}
    for owner, number in zone.rrsets:
        text = names.relative_text(owner, APEX)
        owned.setdefault(() if text == "@" else tuple(text.split(".")), set()).add(number)

    def exists(some: tuple[str, ...]) -> bool:
        return any(owner[len(owner) - len(some) :] == some for owner in owned if len(owner) >= len(some)) or not some

    suffixes = [labels[len(labels) - count :] for count in range(len(labels) + 1)]
    for suffix in suffixes[1:]:
        if rr.NS in owned.get(suffix, ()):
            return Kind.DELEGATED, suffix
    encloser = max((suffix for suffix in suffixes if exists(suffix)), key=len)
    source = encloser if encloser == labels else ("*", *encloser)
    if not exists(source):
        return Kind.NXDOMAIN, encloser
    types = owned.get(source, set())
    if kind in types:
        return Kind.FOUND, source
    return (Kind.CNAME if rr.CNAME in types else Kind.NODATA), source


LABELS = st.sampled_from(["a", "b", "*", "_sip"])
PATHS = st.lists(LABELS, min_size=1, max_size=4).map(tuple)
SETS = st.lists(st.tuples(PATHS, st.sampled_from([rr.A, rr.MX, rr.CNAME, rr.NS])), max_size=12)


@given(SETS, st.lists(st.tuples(PATHS, st.sampled_from([rr.A, rr.MX, rr.CNAME])), min_size=1, max_size=20))
def test_lookup_agrees_with_the_plain_rules(
    sets: list[tuple[tuple[str, ...], int]], questions: list[tuple[tuple[str, ...], int]]
) -> None:
    zone = zone_of(APEX, [rrset(".".join(path), kind, name("edge")) for path, kind in sets])
    index = ZoneIndex.of(zone)
    for path, kind in questions:
        answer = lookup(index, name(".".join(path)), kind)
        expected, source = plainly(zone, path, kind)
        shown = names.relative_text(answer.source, APEX)
        assert (answer.kind, () if shown == "@" else tuple(shown.split("."))) == (expected, source)
