from __future__ import annotations

import difflib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names, plan, rdata
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.records import RRset, Zone
from realmkit.dns.zonefiles import zonefile, zonetext
from realmkit.errors import ConflictError, RefusedError, RejectedError, StateError
from tests.unit.make import rrset
from tests.unit.test_zonefile import big_zone
from tests.unit.zonetexts import HEAD, ZONE, by_dnspython, files, source, zone_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERIAL = 2026112202


def changes_of(zone: Zone, *after: RRset, gone: Sequence[tuple[str, str]] = ()) -> list[Change]:
    """Changes that make these RRsets, complete names, and take those away."""
    keys = [(names.absolute(owner), rr.type_from_text(kind)) for owner, kind in gone]
    return [
        *(Change(zone.rrsets.get(one.key), one) for one in after),
        *(Change(zone.rrsets[key], None) for key in keys),
    ]


def edited(
    text: str, *after: RRset, gone: Sequence[tuple[str, str]] = (), more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The files that change, by name."""
    parsed = zonefile.read_entries(source(text), ZONE, files(**(more or {})))
    changes = changes_of(zonefile.zone_of(parsed), *after, gone=gone)
    return zonetext.changed_files(parsed, zonetext.edit(parsed, changes, SERIAL))


def diff(text: str, *after: RRset, gone: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Lines taken away and added, the serial's own line left out."""
    new = edited(text, *after, gone=gone)["zone.db"]
    assert str(SERIAL) in new
    old = text.replace("2026112201", str(SERIAL))
    return [
        line for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="") if line[0] in "+-"
    ][2:]


def a(owner: str, *addresses: str, ttl: int = 3600) -> RRset:
    return rrset(f"{owner}.voice.example.com", "A", *addresses, ttl=ttl)


# --- TTLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("acme 3600 IN A 192.0.2.1", "acme 300 IN A 192.0.2.1"),
        ("acme IN 3600 A 192.0.2.1", "acme IN 300 A 192.0.2.1"),
        ("acme  IN  A  192.0.2.1 ; an hour", "acme  300 IN  A  192.0.2.1 ; an hour"),
        ("acme A 192.0.2.1", "acme 300 A 192.0.2.1"),
        ("acme\t1h\tIN A 192.0.2.1", "acme\t300\tIN A 192.0.2.1"),
        ("acme ( 3600 ; ttl\n  IN A\n 192.0.2.1 )", "acme ( 300 ; ttl\n  IN A\n 192.0.2.1 )"),
        ("acme ( ; 3600\n  IN A\n 192.0.2.1 )", "acme ( ; 3600\n  300 IN A\n 192.0.2.1 )"),
    ],
)
def test_only_the_ttl_changes(line: str, wanted: str) -> None:
    new = edited(f"{HEAD}{line}\nb A 192.0.2.2", a("acme", "192.0.2.1", ttl=300))["zone.db"]
    assert new == f"{HEAD}{wanted}\nb A 192.0.2.2".replace("2026112201", str(SERIAL))


def test_a_ttl_that_is_so_already_stays_as_it_is_spelt() -> None:
    text = HEAD + "acme 5m A 192.0.2.1\nacme 60 A 192.0.2.2\n"
    assert diff(text, a("acme", "192.0.2.1", "192.0.2.2", ttl=300)) == ["-acme 60 A 192.0.2.2", "+acme 300 A 192.0.2.2"]


def test_records_that_take_the_last_ttl_keep_theirs() -> None:
    text = (
        HEAD.replace("$TTL 3600\n@", "@ 3600")
        + "acme 3600 A 192.0.2.1\n MX 10 mx\nb A 192.0.2.2\nc 5 A 192.0.2.3\nd A 192.0.2.4\n"
    )
    assert diff(text, a("acme", "192.0.2.1", ttl=300), gone=[("c.voice.example.com", "A")]) == [
        "-acme 3600 A 192.0.2.1",
        "- MX 10 mx",
        "+acme 300 A 192.0.2.1",
        "+ 3600 MX 10 mx",
        "-c 5 A 192.0.2.3",
        "-d A 192.0.2.4",
        "+d 5 A 192.0.2.4",
    ]


# --- records ---------------------------------------------------------------------------------------------------------


def test_records_that_stay_keep_their_lines() -> None:
    text = HEAD + "acme  A  192.0.2.1 ; first\nacme  A  192.0.2.2 ; second\nother A 192.0.2.9\n"
    assert diff(text, a("acme", "192.0.2.2", "192.0.2.3", "192.0.2.4")) == [
        "-acme  A  192.0.2.1 ; first",
        "+acme  3600 IN A 192.0.2.3",
        "+acme  3600 IN A 192.0.2.4",
    ]


def test_new_lines_stand_where_the_last_of_the_set_stood() -> None:
    text = HEAD + "acme  A  192.0.2.1\n      MX 10 mx\n; comment\nother A 192.0.2.9\n"
    assert edited(text, a("acme", "192.0.2.7"))["zone.db"].endswith(
        "acme  3600 IN A 192.0.2.7\n      MX 10 mx\n; comment\nother A 192.0.2.9\n"
    )


def test_an_owner_is_handed_on() -> None:
    text = HEAD + "acme  A  192.0.2.1\n      MX 10 mx\n\n\tTXT x\nb A 192.0.2.2\n TXT y\n"
    assert diff(text, gone=[("acme.voice.example.com", "A"), ("b.voice.example.com", "A")]) == [
        "-acme  A  192.0.2.1",
        "-      MX 10 mx",
        "+acme  MX 10 mx",
        "-b A 192.0.2.2",
        "- TXT y",
        "+b TXT y",
    ]
    assert diff(text, gone=[("acme.voice.example.com", "A"), ("acme.voice.example.com", "MX")]) == [
        "-acme  A  192.0.2.1", "-      MX 10 mx", "-\tTXT x", "+acme\tTXT x",
    ]  # fmt: skip


def test_a_set_of_several_lines_goes_whole() -> None:
    text = HEAD + 'acme NAPTR 10 100 "S" ( ; why\n "SIP+D2U" ""\n\n _sip._udp ) ; end\n; stays\nlast A 192.0.2.1'
    assert diff(text, gone=[("acme.voice.example.com", "NAPTR")]) == [
        '-acme NAPTR 10 100 "S" ( ; why', '- "SIP+D2U" ""', "-", "- _sip._udp ) ; end",
    ]  # fmt: skip


def test_a_record_written_twice_goes_twice() -> None:
    text = HEAD + "acme A 192.0.2.1\nb A 192.0.2.1\nacme A 192.0.2.1\n"
    assert diff(text, gone=[("acme.voice.example.com", "A")]) == ["-acme A 192.0.2.1", "-acme A 192.0.2.1"]


# --- new names -------------------------------------------------------------------------------------------------------


def test_a_new_name_stands_below_its_group() -> None:
    text = HEAD + (
        "acme              A   192.0.2.1\n_sip._udp.acme    SRV 10 50 5060 edge ; udp\n; next\n\nbeta A 192.0.2.2\n"
    )
    assert diff(text, rrset("_sip._tcp.acme.voice.example.com", "SRV", "10 50 5060 edge.voice.example.com.")) == [
        "+_sip._tcp.acme    300 IN SRV 10 50 5060 edge"
    ]
    assert "; udp\n_sip._tcp.acme    300" in edited(
        text, rrset("_sip._tcp.acme.voice.example.com", "SRV", "10 50 5060 edge.voice.example.com.")
    )["zone.db"]  # fmt: skip


def test_new_groups_stand_together_at_the_end() -> None:
    created = [
        a("new"),
        a("newer", "192.0.2.4"),
        rrset("new.voice.example.com", "NAPTR", '10 100 "S" "SIP+D2U" "" _sip._udp.new.voice.example.com.'),
        rrset("_sip._udp.new.voice.example.com", "SRV", "10 50 5060 edge.example.net."),
    ]
    created[0] = a("new", "192.0.2.3", "192.0.2.2")
    assert diff(HEAD + "acme\tA\t192.0.2.1\n", *created) == [
        "+new\t3600\tIN\tA\t192.0.2.2",
        "+new\t3600\tIN\tA\t192.0.2.3",
        '+new\t300\tIN\tNAPTR\t10 100 "S" "SIP+D2U" "" _sip._udp.new',
        "+_sip._udp.new\t300\tIN\tSRV\t10 50 5060 edge.example.net.",
        "+newer\t3600\tIN\tA\t192.0.2.4",
    ]
    assert diff(HEAD, *created)[2] == '+new           300 IN NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.new'


def test_names_are_written_relative_to_the_origin_in_force() -> None:
    text = HEAD + "$ORIGIN acme\n@ A 192.0.2.1\n$ORIGIN example.net.\n"
    acme, beta = (rrset(f"{one}.voice.example.com", "MX", f"10 {one}.voice.example.com.") for one in ("acme", "beta"))
    assert diff(text, acme, beta) == [
        "+@ 300 IN MX 10 @",
        "+beta.voice.example.com. 300 IN MX 10 beta.voice.example.com.",
    ]


@pytest.mark.parametrize(
    "owner", ["$ttl", "in", "300", "a", "@", "*", 'q"', "semi;", "b\\", "(", "sp ace", "dot.ted", "\xe9"]
)
def test_odd_names_are_read_back(owner: str) -> None:
    name = bytes([len(owner)]) + owner.encode("latin-1") + ZONE
    for kind, wire in ((rr.CNAME, name), (rr.TXT, name[:-1])):
        one = RRset(name, kind, 60, frozenset({wire if kind == rr.CNAME else name[: 1 + len(owner)]}))
        new = edited(HEAD + "b A 192.0.2.1\n TXT after\n", one)["zone.db"]
        assert by_dnspython(new)[one.key] == one


# --- the file's own ways ---------------------------------------------------------------------------------------------


def test_line_ends_and_a_missing_last_one_stay() -> None:
    text = (HEAD + "acme A 192.0.2.1\nbeta A 192.0.2.2").replace("\n", "\r\n")
    new = edited(text, a("new", "192.0.2.3"))["zone.db"]
    assert new == text.replace("2026112201", str(SERIAL)) + "\r\nnew  3600 IN A 192.0.2.3"
    new = edited(text, gone=[("beta.voice.example.com", "A")])["zone.db"]
    assert new == (HEAD + "acme A 192.0.2.1").replace("\n", "\r\n").replace("2026112201", str(SERIAL))
    new = edited(text, a("beta", "192.0.2.3", ttl=5))["zone.db"]
    assert new.endswith("\r\nbeta 5 IN A 192.0.2.3")
    mixed = HEAD + "acme A 192.0.2.1\r\nbeta A 192.0.2.2"
    new = edited(mixed, gone=[("beta.voice.example.com", "A")])["zone.db"]
    assert new.endswith("acme A 192.0.2.1")


def test_octets_that_are_no_utf8_stay() -> None:
    text = HEAD + 'acme A 192.0.2.1 ; caf\xe9 \xff\nt TXT "\xe9"\n'
    assert diff(text, a("acme", "192.0.2.1", ttl=5)) == [
        "-acme A 192.0.2.1 ; caf\xe9 \xff", "+acme 5 A 192.0.2.1 ; caf\xe9 \xff",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "soa",
    [
        "@ IN SOA ns1 hostmaster 2026112201 7200 900 1209600 300",
        "@ 1h SOA ns1 hostmaster ( 2026112201 7200 900 1209600 300 ) ; 2026112201",
        "@ SOA ns1 (\n ; 2026112201\nhostmaster\n\t2026112201\t; serial\n 2h 15m 2w 5m )",
        "( @ SOA ns1.2026112201 2026112201 \\\n2026112201".replace(" \\\n", " ") + " 7200 900 1209600 300 )",
    ],
)
def test_the_serial_is_replaced_where_it_stands(soa: str) -> None:
    text = f"$TTL 5\n; 2026112201\n{soa}\n"
    after = edited(text, a("x", "192.0.2.1"))["zone.db"]
    assert zonefile.read(source(after), ZONE).serial == SERIAL
    assert len([1 for old, new in zip(text.split(), after.split(), strict=False) if old != new]) == 1


def test_a_generic_soa_is_refused() -> None:
    wire = rdata.from_text(rr.SOA, ". . 1 2 3 4 5")
    with pytest.raises(RefusedError, match=r"zone\.db:2: the SOA record is written in the generic form of RFC 3597"):
        edited(f"$TTL 5\n@ SOA \\# {len(wire)} {wire.hex()}\n", a("x", "192.0.2.1"))


# --- several files ---------------------------------------------------------------------------------------------------


def test_only_the_file_that_holds_the_records_and_the_serial_change() -> None:
    main = HEAD + "$INCLUDE one\n$INCLUDE two sub\n"
    more = {"one": "acme A 192.0.2.1\n", "two": "beta A 192.0.2.2"}
    new = edited(main, a("acme", "192.0.2.1", ttl=5), more=more)
    assert new == {"one": "acme 5 A 192.0.2.1\n", "zone.db": main.replace("2026112201", str(SERIAL))}
    assert list(new) == ["one", "zone.db"]
    new = edited(main, rrset("beta.sub.voice.example.com", "MX", "0 beta.sub.voice.example.com."), more=more)
    assert new["two"] == "beta A 192.0.2.2\nbeta 300 IN MX 0 beta"


def test_the_owner_that_an_included_file_starts_with_is_handed_on() -> None:
    main = HEAD + "acme A 192.0.2.1\n$INCLUDE one\n TXT after\n"
    new = edited(main, gone=[("acme.voice.example.com", "A")], more={"one": "  MX 10 mx\nfoo A 192.0.2.3\n"})
    assert new["one"] == "acme MX 10 mx\nfoo A 192.0.2.3\n"
    assert new["zone.db"].endswith("$INCLUDE one\nacme TXT after\n")


def test_a_ttl_that_runs_on_through_files_is_kept() -> None:
    main = "@ 50 SOA ns1 h 2026112201 2 3 4 5\n@ NS ns1\nacme 60 A 192.0.2.1\n$INCLUDE one\nlast A 192.0.2.4\n"
    new = edited(main, a("acme", "192.0.2.1", ttl=5), more={"one": "foo A 192.0.2.3\nbar 7 A 192.0.2.5\n"})
    assert new["one"] == "foo 60 A 192.0.2.3\nbar 7 A 192.0.2.5\n"
    assert new["zone.db"].endswith("acme 5 A 192.0.2.1\n$INCLUDE one\nlast A 192.0.2.4\n")


def test_a_file_that_is_included_twice_is_not_edited() -> None:
    main = HEAD + "$INCLUDE one a\n$INCLUDE one b\n"
    with pytest.raises(RefusedError, match=r"^one:1: x\.a\.voice\.example\.com\. A stands in a file .* more than once"):
        edited(main, a("x.a", "192.0.2.1", ttl=5), more={"one": "x A 192.0.2.1\n"})
    new = edited(main, rrset("x.a.voice.example.com", "MX", "0 ."), more={"one": "x A 192.0.2.1\n"})
    assert list(new) == ["zone.db"]


def test_a_checker_sees_the_changed_files() -> None:
    main = HEAD + '$INCLUDE one ; here\n  ; $INCLUDE one\n$INCLUDE "two" sub\n'
    more = {"one": "$INCLUDE three\n", "two": "b A 192.0.2.2\n", "three": "c A 192.0.2.3\n"}
    parsed = zonefile.read_entries(source(main), ZONE, files(**more))
    assert zonetext.includers(parsed, {"three"}) == {"three", "one", "zone.db"}
    moved = {path: f"/tmp/a b/{path}" if path == "three" else f"/tmp/{path}" for path in ("three", "one", "zone.db")}
    assert zonetext.redirected(parsed, moved) == {
        "three": "c A 192.0.2.3\n",
        "one": '$INCLUDE "/tmp/a b/three"\n',
        "zone.db": main.replace("one ; here", "/tmp/one ; here"),
    }


# --- what is refused -------------------------------------------------------------------------------------------------


def test_generated_records_are_not_edited() -> None:
    text = HEAD + "$GENERATE 1-3 h$ A 192.0.2.$\nh1 A 192.0.2.99\n"
    for owner in ("h1", "h2"):
        with pytest.raises(RefusedError, match=r"^zone.db:7: h.\.voice\.example\.com\. A comes from \$GENERATE"):
            edited(text, gone=[(f"{owner}.voice.example.com", "A")])
    assert diff(text, rrset("h1.voice.example.com", "MX", "0 .")) == ["+h1 300 IN MX 0 ."]


def test_generated_records_whose_ttl_would_follow_another_are_not_edited() -> None:
    text = "@ 50 SOA ns1 h 2026112201 2 3 4 5\nacme 60 A 192.0.2.1\n$GENERATE 1-2 h$ A 192.0.2.$\n"
    with pytest.raises(RefusedError, match="its TTL would follow that of a line that is to be changed"):
        edited(text, a("acme", "192.0.2.1", ttl=5))


def test_a_set_that_is_not_as_planned_is_a_conflict() -> None:
    parsed = zonefile.read_entries(source(HEAD + "acme A 192.0.2.1\n"), ZONE)
    for before in (None, a("acme", "192.0.2.2"), a("acme", "192.0.2.1", ttl=5)):
        with pytest.raises(ConflictError, match=r"acme\.voice\.example\.com\. A is no longer what it was"):
            zonetext.edit(parsed, [Change(before, a("acme", "192.0.2.3"))], SERIAL)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (rrset("acme.example.net", "A", "192.0.2.1"), r"zone\.db:9: acme\.example\.net\. is outside the zone"),
        (RRset(b"\1x" + ZONE, rr.A, 5, frozenset({b"abc"})), r"zone\.db:9: A: no generic rdata"),
        (rrset("acme.voice.example.com", "CNAME", "x."), r"^acme\.voice\.example\.com\. A would stand beside a CNAME"),
        (rrset("www.voice.example.com", "MX", "0 ."), r"^www\.voice\.example\.com\. MX would stand beside a CNAME"),
    ],
)
def test_what_no_zone_can_hold_is_rejected(one: RRset, message: str) -> None:
    with pytest.raises(RejectedError, match=message):
        edited(HEAD + "acme A 192.0.2.1\nwww CNAME acme\n", one)


def test_a_result_that_is_not_as_planned_is_never_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zonetext._Editor, "_write_ttl", lambda *_: None)
    with pytest.raises(
        StateError, match=r"does not read as planned at acme\.voice\.example\.com\. A; nothing was written"
    ):
        edited(HEAD + "acme A 192.0.2.1\n", a("acme", "192.0.2.1", ttl=5))


# --- laws ------------------------------------------------------------------------------------------------------------

NEW_NAMES = ["new", "_sip._udp.new", "_sip._tcp.acme", "*.b", "a", "b", "acme", r"dot\.ted", "@", "x.sub"]
NEW_RDATA = {
    rr.A: ["192.0.2.1", "192.0.2.2", "203.0.113.7"],
    rr.MX: ["10 mx", "0 .", "10 edge.example.net."],
    rr.NAPTR: ['10 100 "S" "SIP+D2U" "" _sip._udp.acme', '20 100 "U" "E2U+sip" "!^.*$!sip:a\\"b@x!" .'],
    rr.SRV: ["10 50 5060 ns1", "10 50 5061 edge.example.net."],
    rr.TXT: ['"a b" "c;d"', r'"\255\"(" "x"'],
}  # fmt: skip


HEADS = st.sampled_from([HEAD, HEAD.replace("$TTL 3600\n@", "@ 3600")])


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, list[Change]]:
    """A zone file and changes to it."""
    text = draw(zone_files(head=draw(HEADS)))
    return text, draw(some_changes(zonefile.read(source(text), ZONE)))


@st.composite
def some_changes(draw: st.DrawFn, zone: Zone) -> list[Change]:
    """Sets taken away, changed in TTL or records, and new ones."""
    after: dict[rr.Key, RRset | None] = {}
    old = [key for key in zone.rrsets if key[1] not in (rr.SOA, rr.NS)]
    for key in draw(st.lists(st.sampled_from(old), max_size=6, unique=True)):
        after[key] = draw(st.sampled_from([None, _lower(zone.rrsets[key])]))
    for owner in draw(st.lists(st.sampled_from(NEW_NAMES), max_size=4)):
        kind = draw(st.sampled_from(list(NEW_RDATA)))
        texts = draw(st.lists(st.sampled_from(NEW_RDATA[kind]), min_size=1, max_size=3))
        wires = {rdata.from_text(kind, one, ZONE) for one in texts}
        key = names.from_text(owner, ZONE), kind
        kept = zone.rrsets[key].rdata if key in zone.rrsets and draw(st.booleans()) else frozenset()
        after[key] = RRset(*key, draw(st.sampled_from([300, 3600])), frozenset(wires | kept))
    return [Change(zone.rrsets.get(key), one) for key, one in after.items()]


def _lower(one: RRset) -> RRset:
    return RRset(one.name, one.type, 77, one.rdata)


@given(edits())
def test_whatever_is_planned_is_what_dnspython_then_reads(case: tuple[str, list[Change]]) -> None:
    text, changes = case
    parsed = zonefile.read_entries(source(text), ZONE)
    new = zonetext.edit(parsed, changes, SERIAL).main.text
    wanted = plan.apply_to(zonefile.zone_of(parsed), changes)
    theirs = by_dnspython(new)
    assert {key: one for key, one in theirs.items() if key[1] != rr.SOA} == {
        key: one for key, one in wanted.rrsets.items() if key[1] != rr.SOA
    }
    (soa,) = theirs[ZONE, rr.SOA].rdata
    assert int.from_bytes(soa[-20:-16], "big") == SERIAL


WHOLE, PART = HEADS.flatmap(lambda head: zone_files(head=head)), zone_files(head="")


@given(WHOLE, PART, PART, st.sampled_from(["", " sub"]), st.data())
def test_it_holds_across_files(main: str, one: str, rest: str, origin: str, data: st.DataObject) -> None:
    text = f"{main}\n$INCLUDE one{origin}\n{rest}"
    parsed = zonefile.read_entries(source(text), ZONE, files(one=one))
    zone = zonefile.zone_of(parsed)
    changes = data.draw(some_changes(zone))
    after = zonetext.edit(parsed, changes, SERIAL)
    again = zonefile.read(source(after.main.text), ZONE, files(one=after.sources["one"].text))
    wanted = plan.apply_to(zone, changes).rrsets
    soa = ZONE, rr.SOA
    assert {**again.rrsets, soa: None} == {**wanted, soa: None}


@given(edits())
def test_comments_and_directives_stay_in_their_order(case: tuple[str, list[Change]]) -> None:
    text, changes = case
    new = zonetext.edit(zonefile.read_entries(source(text), ZONE), changes, SERIAL).main.text
    assert _landmarks(new) == _landmarks(text)
    assert new.endswith("\n") == text.endswith("\n")
    assert ("\r\n" in new) == ("\r\n" in text)


def _landmarks(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("$") or line.lstrip().startswith(";;")]


@given(edits())
def test_undoing_an_edit_gives_the_records_back(case: tuple[str, list[Change]]) -> None:
    text, changes = case
    parsed = zonefile.read_entries(source(text), ZONE)
    before = zonefile.zone_of(parsed)
    there = zonetext.edit(parsed, changes, SERIAL)
    back = zonefile.zone_of(zonetext.edit(there, [change.inverse() for change in changes], 2026112201))
    assert back.rrsets == before.rrsets


# --- serials ---------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
UNIX = 1795357800


@pytest.mark.parametrize(
    ("current", "following"),
    [
        (2026112101, 2026112201),
        (2026112200, 2026112201),
        (2026112201, 2026112202),
        (2026112299, 2026112300),
        (2026112300, 2026112301),
        (2027010101, 2027010102),
        (1999123199, 2026112201),
        (2026139901, 2026139902),
        (UNIX - 86400 * 365, UNIX),
        (UNIX, UNIX + 1),
        (UNIX + 5, UNIX + 6),
        (1, 2),
        (0, 1),
        (4711, 4712),
        (2**32 - 1, 1),
        (2**31, 2**31 + 1),
    ],
)
def test_the_next_serial_follows_the_files_own_scheme(current: int, following: int) -> None:
    assert int(NOW.timestamp()) == UNIX
    assert zonetext.next_serial(current, NOW) == following


@given(st.integers(0, 2**32 - 1), st.datetimes(datetime(2020, 1, 1), datetime(2105, 1, 1)))  # noqa: DTZ001 - made aware below
def test_the_next_serial_is_always_newer(current: int, now: datetime) -> None:
    following = zonetext.next_serial(current, now.replace(tzinfo=UTC))
    assert 0 <= following < 2**32
    assert rr.serial_newer(following, current)


# --- speed -----------------------------------------------------------------------------------------------------------


def test_ten_thousand_ttls_of_a_big_zone_are_lowered_in_seconds() -> None:
    text = big_zone(12500)
    start = time.process_time()
    parsed = zonefile.read_entries(source(text), ZONE)
    zone = zonefile.zone_of(parsed)
    keys = [key for key in zone.rrsets if key[1] in (rr.NAPTR, rr.SRV)][:10000]
    changes = [Change(zone.rrsets[key], RRset(*key, 300, zone.rrsets[key].rdata)) for key in keys]
    new = zonetext.edit(parsed, changes, SERIAL).main.text
    assert time.process_time() - start < 8
    assert new.count(" 300 IN ") == 10000
    assert len(new.splitlines()) == len(text.splitlines())
