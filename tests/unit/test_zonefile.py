from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.zonefiles import zonefile
from realmkit.dns.zonefiles.zoneentries import DEFAULT, EXPLICIT, GENERATED, PREVIOUS, Entry
from realmkit.errors import InputError
from tests.unit.make import rrset
from tests.unit.zonetexts import (
    APEX,
    HEAD,
    ZONE,
    broken_files,
    by_dnspython,
    by_named,
    files,
    lines_of,
    needs_named_compilezone,
    source,
    zone_files,
)  # fmt: skip

if TYPE_CHECKING:
    from pathlib import Path


def read(text: str, **more: str) -> rr.Zone:
    return zonefile.read(source(text), ZONE, files(**more))


def entries(text: str, *, plain: bool = True, **more: str) -> list[Entry]:
    found: list[Entry] = []
    emit = lambda *fields: found.append(Entry(*fields))  # noqa: E731
    zonefile._Reader(ZONE, files(**more), emit, plain=plain).run(source(text))
    return found


def records(text: str, **more: str) -> set[str]:
    """What the text adds to the usual head."""
    return lines_of(read(HEAD + text, **more).rrsets) - lines_of(read(HEAD).rrsets)


def complaint(text: str, **more: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text, **more)
    return caught.value.message


# --- laws ------------------------------------------------------------------------------------------------------------


@given(zone_files())
def test_the_fast_path_and_the_tokenizer_read_the_same(text: str) -> None:
    assert entries(text) == entries(text, plain=False)


@given(broken_files())
def test_whatever_is_wrong_both_say_the_same(text: str) -> None:
    outcomes = []
    for plain in (True, False):
        try:
            outcomes.append(str(entries(text, plain=plain)))
        except InputError as error:
            outcomes.append(error.message)
    assert outcomes[0] == outcomes[1]


@given(zone_files())
def test_dnspython_reads_the_same(text: str) -> None:
    assert read(text).rrsets == by_dnspython(text)


@given(zone_files())
def test_entries_make_the_same_zone_and_cover_the_file(text: str) -> None:
    parsed = zonefile.read_entries(source(text), ZONE)
    assert zonefile.zone_of(parsed) == read(text)
    last = 0
    for entry in parsed.entries:
        assert last <= entry.start < entry.end <= len(text)
        assert all(line.lstrip(" \t")[:1] in {"", ";", "$", "\r"} for line in text[last : entry.start].split("\n"))
        last = entry.end


@needs_named_compilezone
@settings(max_examples=40, deadline=None)
@given(text=zone_files())
def test_bind_reads_the_same(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("zone") / "zone.db"
    file.write_text(text + "\n", encoding="latin-1", newline="")  # BIND trips over a directive without a line end
    zone = read(text)
    ours = lines_of({key: value for key, value in zone.rrsets.items() if key not in zone.mixed})
    theirs = by_named(file)
    mixed = {f"{names.to_text(name)} " for name, _ in zone.mixed}
    assert ours <= theirs
    assert all(any(one.startswith(name) for name in mixed) for one in theirs - ours)


# --- what one line can be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "acme 300 IN A 192.0.2.1",
        "acme IN 300 A 192.0.2.1",
        "acme 300 A 192.0.2.1",
        "acme 5m in a 192.0.2.1 ; five minutes",
        "acme\t300\tCLASS1\tA\t192.0.2.1\t",
        "ACME.voice.EXAMPLE.com. 300 A 192.0.2.1",
        r"\097cme 300 A 192.0.2.1",
        "acme 300 (IN\n A ; the address\n\n 192.0.2.1)",
        "( acme 300 A 192.0.2.1 )",
        "acme 300 TYPE1 192.0.2.1",
        r"acme 300 A \# 4 C0 000201",
        r"acme 300 CLASS1 TYPE1 \# 4 C0000201",
        "$TTL 5m\nacme A 192.0.2.1",
        "$ORIGIN acme\n@ 300 A 192.0.2.1",
        "$ORIGIN example.com.\nacme.voice 300 A 192.0.2.1",
        "acme 300 A 192.0.2.1\nacme 300 A 192.0.2.1",
    ],
)
def test_one_record_in_many_spellings(line: str) -> None:
    assert records(line) == {"acme.voice.example.com. 300 A 192.0.2.1"}


def test_an_owner_left_out_is_the_one_before_whatever_stands_between() -> None:
    text = "acme A 192.0.2.1\n\n; a comment\n$ORIGIN sub\n  MX 10 mx\n\n\tTXT x\n"
    assert {key[0] for key in read(HEAD + text).rrsets} >= {names.absolute("acme." + APEX)}
    assert "acme.voice.example.com. 3600 MX 10 mx.sub.voice.example.com." in records(text)
    assert 'acme.voice.example.com. 3600 TXT "x"' in records(text)


def test_octets_beyond_ascii_are_taken_as_they_are() -> None:
    assert records('\xc3\xa9 TXT "\xe9" \xc3\xa9') == {r'\195\169.voice.example.com. 3600 TXT "\233" "\195\169"'}


def test_several_records_make_one_set_and_differing_ttls_are_told() -> None:
    zone = read(HEAD + "acme 300 A 192.0.2.1\nb A 192.0.2.9\nacme 60 A 192.0.2.2\nacme 300 A 192.0.2.3\n")
    wanted = rrset("acme.voice.example.com", "A", "192.0.2.1", "192.0.2.2", "192.0.2.3", ttl=60)
    assert zone.rrsets[wanted.key] == wanted
    assert zone.mixed == {wanted.key}
    assert zone.serial == 2026112201


# --- where a TTL comes from ------------------------------------------------------------------------------------------

SOA = "@ SOA ns1 hostmaster 1 2 3 4 55\n"
TTL_FILES = {
    "no TTL at all: the SOA minimum": (SOA + " NS ns.\na 70 A 192.0.2.1\nb A 192.0.2.2\n", [55, 55, 70, 55]),
    "the SOA has one: the last one written": (
        f"@ 99{SOA[1:]} NS ns.\na 70 A 192.0.2.1\nb A 192.0.2.2\n$TTL 5\nc A 192.0.2.3\nd 6 A 192.0.2.4\ne MX 0 .\n",
        [99, 99, 70, 70, 5, 6, 5],
    ),
    "$TTL above": ("$TTL 1h30m\n" + SOA + " 7 NS ns.\na A 192.0.2.1\n", [5400, 7, 5400]),
    "$TTL in an included file stays": (
        "$TTL 9\n" + SOA + " NS ns.\n$INCLUDE inc\nb A 192.0.2.2\n", [9, 9, 8, 8],
    ),
}  # fmt: skip
INCLUDED = "$TTL 8\na A 192.0.2.1\n"


@pytest.mark.parametrize("case", TTL_FILES)
def test_where_a_ttl_comes_from(case: str) -> None:
    text, wanted = TTL_FILES[case]
    assert [entry.ttl for entry in entries(text, inc=INCLUDED)] == wanted
    assert [entry.ttl for entry in entries(text, plain=False, inc=INCLUDED)] == wanted


@needs_named_compilezone
@pytest.mark.parametrize("case", TTL_FILES)
def test_bind_takes_ttls_from_the_same_places(case: str, tmp_path: Path) -> None:
    text, _ = TTL_FILES[case]
    (tmp_path / "zone.db").write_text(text)
    (tmp_path / "inc").write_text(INCLUDED)
    assert by_named(tmp_path / "zone.db") == lines_of(read(text, inc=INCLUDED).rrsets)


def test_an_entry_says_where_its_ttl_comes_from() -> None:
    text = "@ 99" + SOA[1:] + "@ NS ns.\n$TTL 5\nc A 192.0.2.3\n$GENERATE 1-1 g$ 7 A 192.0.2.$\n"
    assert [entry.how for entry in entries(text)] == [EXPLICIT, PREVIOUS, DEFAULT, EXPLICIT | GENERATED]
    assert [entry.scope.default_ttl for entry in entries(text)] == [None, None, 5, 5]


def test_no_ttl_to_be_had_is_an_error() -> None:
    assert complaint("@ NS ns.\n" + SOA) == (
        "zone.db:1: no TTL in this line, no $TTL above it and no record to take one from"
    )


# --- $INCLUDE --------------------------------------------------------------------------------------------------------


def test_an_included_file_has_its_own_origin_and_starts_with_the_owner_at_hand() -> None:
    main = 'acme A 192.0.2.1\n$INCLUDE one sub ; comment\n TXT after\n$INCLUDE "two"\nlast A 192.0.2.9\n'
    one = " TXT from-one\nfoo A 192.0.2.2\n$ORIGIN deep\nbar A 192.0.2.3\n"
    assert records(main, one=one, two="$INCLUDE three\n", three="x A 192.0.2.4") == {
        "acme.voice.example.com. 3600 A 192.0.2.1",
        'acme.voice.example.com. 3600 TXT "from-one"',
        'acme.voice.example.com. 3600 TXT "after"',
        "foo.sub.voice.example.com. 3600 A 192.0.2.2",
        "bar.deep.sub.voice.example.com. 3600 A 192.0.2.3",
        "x.voice.example.com. 3600 A 192.0.2.4",
        "last.voice.example.com. 3600 A 192.0.2.9",
    }


@needs_named_compilezone
def test_bind_includes_alike(tmp_path: Path) -> None:
    texts = {"one": " TXT from-one\nfoo A 192.0.2.2\n$ORIGIN deep\nbar A 192.0.2.3\n", "two": "x A 192.0.2.4\n"}
    main = HEAD + "acme A 192.0.2.1\n$INCLUDE one sub\n TXT after\n$INCLUDE two\n MX 0 .\n"
    for name, text in {**texts, "zone.db": main}.items():
        (tmp_path / name).write_text(text)
    assert by_named(tmp_path / "zone.db") == lines_of(read(main, **texts).rrsets)


def test_what_stands_in_which_file_is_kept() -> None:
    parsed = zonefile.read_entries(
        source(HEAD + "$INCLUDE one\n$INCLUDE one sub\n"), ZONE, files(one="a A 192.0.2.1\n")
    )
    assert list(parsed.sources) == ["zone.db", "one"]
    assert [one.path for one in parsed.inclusions] == ["one", "one"]
    assert [entry.scope.visit for entry in parsed.entries] == [0, 0, 0, 1, 2]
    assert parsed.entries[-1].place == "one:1"
    assert parsed.last.origin == ZONE
    first = parsed.inclusions[0]
    assert first.source.text[first.start : first.end] == "one"


def test_an_include_that_never_ends_is_an_error() -> None:
    assert complaint(HEAD + "$INCLUDE one", one="$INCLUDE two", two="\n$INCLUDE one") == (
        "two:2: $INCLUDE one: the file includes itself"
    )
    chain = {f"f{n}": f"$INCLUDE f{n + 1}" for n in range(40)}
    assert "nested deeper than 16 files" in complaint(HEAD + "$INCLUDE f0", **chain)


def test_an_include_that_is_not_there_is_an_error() -> None:
    assert complaint(HEAD + "\n$INCLUDE nowhere") == "zone.db:8: $INCLUDE nowhere: No such file or directory"
    with pytest.raises(InputError, match=r"zone.db:1: \$INCLUDE x: zone.db: \$INCLUDE x can't be followed here"):
        zonefile.read(source("$INCLUDE x\n"), ZONE)


# --- $GENERATE -------------------------------------------------------------------------------------------------------

GENERATED_LINES = [
    "$GENERATE 1-3 h$ A 192.0.2.$",
    "$GENERATE 1-9/4 h${10,3,d} 1h A 192.0.2.${1}",
    "$GENERATE 7-8 h${-7} IN 60 A 192.0.2.$",
    '$GENERATE 1-2 m$ MX "10 mx$.example.net."',
    '$GENERATE 1-2 k$ TXT "a $ \\"b c\\" ${5,4,x}"',
    r"$GENERATE 4-5 p\$$ TXT a$$b",
    "$GENERATE 255-257 x TXT ${0,5,x}-${0,0,X}-${0,4,o}",
    "$GENERATE 256-257 x TXT ${0,0,n}-${0,1,n}-${0,2,N}-${0,4,N}-${0,5,n}-${0,6,n}-${0,9,n}",
    "$GENERATE 10-11 ${0,7,N} PTR host$",
    "$GENERATE 5-6 @ PTR s$\n TXT after\n",
]


@needs_named_compilezone
def test_bind_generates_the_same(tmp_path: Path) -> None:
    text = HEAD + "\n".join(GENERATED_LINES) + "\n"
    (tmp_path / "zone.db").write_text(text)
    assert by_named(tmp_path / "zone.db") == lines_of(read(text).rrsets)


def test_generated_records_are_marked_and_share_their_place() -> None:
    text = HEAD + "$GENERATE 1-2 h$ A 192.0.2.$\n TXT y"
    first, second, after = entries(text)[3:]
    assert first.how & GENERATED
    assert second.how & GENERATED
    assert (first.start, first.end) == (second.start, second.end)
    assert after.name == ZONE.replace(b"\x05voice", b"\x03ns1\x05voice")
    assert not after.how & GENERATED


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("$GENERATE 1-3", "$GENERATE takes a range, an owner, a type and rdata"),
        ("$GENERATE 3-1 h$ A 192.0.2.$", "$GENERATE: no range: '3-1'; one looks like 1-100 or 0-10/2"),
        ("$GENERATE 1-2/0 h$ A 192.0.2.$", "$GENERATE: no range: '1-2/0'; one looks like 1-100 or 0-10/2"),
        (
            "$GENERATE 0-999999999 h$ A 192.0.2.1",
            "$GENERATE: 1000000000 records from one line; at most 100000 are read",
        ),
        ("$GENERATE 1-2 h$ MX 10 mx$", "$GENERATE takes rdata as one word; put several words in quotes"),
        ("$GENERATE 1-2 h${x} A 192.0.2.1", "$GENERATE: ${x}: expected ${offset,width,base} with a base of doxXnN"),
        ("$GENERATE 255-256 h$ A 192.0.2.$", "$GENERATE: A '192.0.2.256': '192.0.2.256' is no IPv4 address"),
        ("$GENERATE 1-2 h$ 9999999999 A 192.0.2.$", "$GENERATE: the TTL 9999999999 is above 2147483647"),
        ("$GENERATE 1-2 h$ FOO x", "$GENERATE: 'FOO' is no record type"),
    ],
)
def test_a_wrong_generate_is_an_error(line: str, message: str) -> None:
    assert complaint(HEAD + line) == f"zone.db:7: {message}"


# --- what is no zone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("acme A 192.0.2.256", "A '192.0.2.256': '192.0.2.256' is no IPv4 address"),
        ("acme A 192.0.2.1 192.0.2.2", "A takes an IPv4 address, found '192.0.2.1 192.0.2.2'"),
        ("acme MX mx", "MX takes a u16, a name, found 'mx'"),
        ("acme SRV 10 50 70000 edge", "SRV '10 50 70000 edge': 70000 does not fit: at most 65535"),
        ("acme IN 300 IN A 192.0.2.1", "'IN' is no record type"),
        ("acme 300 300 A 192.0.2.1", "'300' is no record type"),
        ("acme 1m30 A 192.0.2.1", "'1m30' is no TTL"),
        ("acme 4294967295 A 192.0.2.1", "the TTL 4294967295 is above 2147483647"),
        ("acme CH A 192.0.2.1", "the class CH; only IN is read here"),
        ("acme", "no record type in this line"),
        ("acme 300 IN", "no record type in this line"),
        ("acme NONSENSE x", "'NONSENSE' is no record type"),
        ("acme ANY x", "the class ANY; only IN is read here"),
        (r"acme TYPE255 \# 0", "ANY is no type that a zone can hold"),
        ('"acme" A 192.0.2.1', "an owner name in quotes"),
        ('acme TXT "never closed', "a quote that does not close on its line"),
        ("acme A ( 192.0.2.1\n\n", "a bracket that is never closed"),
        ("acme A 192.0.2.1 )", "a closing bracket that none opened"),
        ("acme TXT x\\", "a backslash with nothing to escape"),
        ("acme A 192.0.2.1\racme A 192.0.2.2", "a carriage return in the middle of a line"),
        ("a..b A 192.0.2.1", "'a..b': an empty label (two dots in a row, or nothing at all)"),
        ("acme.example.net. A 192.0.2.1", "acme.example.net. is outside the zone voice.example.com."),
        ("evilvoice.example.com. A 192.0.2.1", "evilvoice.example.com. is outside the zone voice.example.com."),
        ("sub SOA a b 1 2 3 4 5", "an SOA record at sub.voice.example.com., which is not the zone's apex"),
        ("@ SOA a b 1 2 3 4 5", "a second SOA record; the first is in zone.db:2"),
        ("$TTL", "$TTL takes one TTL"),
        ("$TTL x", "'x' is no TTL"),
        ("$ORIGIN a b", "$ORIGIN takes one name"),
        ("$INCLUDE", "$INCLUDE takes a file and perhaps an origin"),
        ("$INLCUDE x", "unknown directive $INLCUDE; $TTL, $ORIGIN, $INCLUDE and $GENERATE are known"),
        (" $TTL 300", "'$TTL' is no record type"),
    ],
)
def test_a_slip_is_named_with_file_and_line(line: str, message: str) -> None:
    assert (
        complaint(f"{HEAD}{line}\nlast A 192.0.2.1\n".replace("$TTL 3600", "$TTL 3600", 1)) == f"zone.db:7: {message}"
    )


def test_a_zone_has_exactly_one_soa() -> None:
    assert complaint("$TTL 5\nacme A 192.0.2.1\n") == "zone.db: no SOA record at voice.example.com."
    assert complaint("") == "zone.db: no SOA record at voice.example.com."


def test_the_first_record_needs_an_owner() -> None:
    assert complaint(" 300 A 192.0.2.1\n" + HEAD) == "zone.db:1: no owner name in this line, nor in one before it"


def test_a_slip_in_an_included_file_names_that_file() -> None:
    assert complaint(HEAD + "$INCLUDE one", one="\n\nacme A nonsense\n").startswith("one:3: A 'nonsense'")


# --- speed -----------------------------------------------------------------------------------------------------------


def big_zone(realms: int) -> str:
    """Four records per realm, as a platform has them."""
    lines = (
        f"r{n:05d} 3600 IN A 198.51.100.10\n"
        f"r{n:05d} 3600 IN MX 10 mx1.example.net.\n"
        f'r{n:05d} 3600 IN NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.r{n:05d}\n'
        f"_sip._udp.r{n:05d} 3600 IN SRV 10 50 5060 us-east.example.net.\n"
        for n in range(realms)
    )
    return HEAD + "".join(lines)


def test_a_big_zone_is_read_as_dnspython_reads_it() -> None:
    text = big_zone(1500)
    assert read(text).rrsets == by_dnspython(text)
