"""The platform's record template: read, judged as it came, mended by the brand's file, and read back from its test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.errors import InputError
from realmkit.sandbox.catalogue import required_records
from realmkit.whitelabel import domains
from realmkit.whitelabel.brandfile import open_brand
from realmkit.whitelabel.compose import Composed, compose
from realmkit.whitelabel.domains import Template, parse, read, txt, txt_value
from realmkit.whitelabel.opinion import opinions
from tests.unit.brands import DOMAIN, MENDED, label

APEX = names.absolute(DOMAIN)
ORIGINAL = Path(__file__).parents[3] / "shared" / "kazoo" / "domains.default.fixture.json"


def one(kind: str, host: str, *mapping: str) -> Template:
    return parse({kind: {host: {"mapping": list(mapping), "name": "x"}}}, APEX, "test")


def texts(template: Template) -> dict[str, list[str]]:
    found = read(template, 300)
    assert found.findings == []
    return {
        rr.key_to_text(key): sorted(rdata.to_text(key[1], octets) for octets in rrset.rdata)
        for key, rrset in found.rrsets.items()
    }


def made(tmp_path: Path, text: str, template: Any = None) -> Composed:
    path = tmp_path / "whitelabel" / f"{DOMAIN}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(domain=DOMAIN))
    whole = parse(required_records() if template is None else template, APEX, "the template")
    return compose(open_brand(tmp_path, DOMAIN), whole, 300, allow_private=False)


def faults(composed: Composed) -> dict[tuple[str, str], str]:
    short = f".{DOMAIN}."
    return {(f.finding.id, f.finding.subject.replace(short, "")): f.mended for f in composed.faults}


@pytest.mark.parametrize("mark", ["{{domain}}", "{{ domain }}"])
def test_every_occurrence_of_the_mark_is_replaced(mark: str) -> None:
    template = one("SRV", f"_sip._udp.{mark}", f"10 10 7000 a.{mark}", f"20 10 7000 {mark}")
    assert texts(template) == {f"_sip._udp.{DOMAIN}. SRV": [f"10 10 7000 a.{DOMAIN}.", f"20 10 7000 {DOMAIN}."]}
    twice = parse({"TXT": {mark: {"mapping": [f"v=spf1 include:{mark} a:mail.{mark} -all"], "name": ""}}}, APEX, "t")
    assert twice.rows[0].mapping == (f"v=spf1 include:{DOMAIN} a:mail.{DOMAIN} -all",)


@pytest.mark.parametrize("kind", ["CNAME", "CNAM", "cname"])
def test_both_spellings_of_cname_are_read(kind: str) -> None:
    assert texts(one(kind, "api.{{domain}}", "api.host.example.net")) == {
        f"api.{DOMAIN}. CNAME": ["api.host.example.net."]
    }


def test_every_type_of_the_schema_is_read_with_blanks_and_final_dots_forgiven() -> None:
    rows: dict[str, tuple[str, list[str]]] = {
        "A": (" us-east.{{domain}} ", ["198.51.100.1", "198.51.100.2"]),
        "CNAME": ("portal.{{domain}}", ["ui.host.example.net."]),
        "MX": ("{{domain}}", ["10 mx1.host.example.net", "20 MX2.host.example.net."]),
        "NAPTR": ("proxy.{{domain}}", ['10 100 "S" "SIP+D2U" "" _sip._udp.proxy.{{domain}}.']),
        "SRV": ("_sip._udp.proxy.{{domain}}", ["10 10 7000 us-east.{{domain}}"]),
        "TXT": ("_x.{{domain}}", ['"one" "two"']),
    }
    data = {kind: {host: {"mapping": mapping, "name": "x", "zone": "z"}} for kind, (host, mapping) in rows.items()}
    assert texts(parse({"status": "success", "data": data}, APEX, "saved")) == {
        f"us-east.{DOMAIN}. A": ["198.51.100.1", "198.51.100.2"],
        f"portal.{DOMAIN}. CNAME": ["ui.host.example.net."],
        f"{DOMAIN}. MX": ["10 mx1.host.example.net.", "20 mx2.host.example.net."],
        f"proxy.{DOMAIN}. NAPTR": [f'10 100 "S" "SIP+D2U" "" _sip._udp.proxy.{DOMAIN}.'],
        f"_sip._udp.proxy.{DOMAIN}. SRV": [f"10 10 7000 us-east.{DOMAIN}."],
        f"_x.{DOMAIN}. TXT": ['"one" "two"'],
    }


def test_a_txt_without_quotes_is_one_value_whatever_is_in_it() -> None:
    value = "v=DKIM1; k=rsa; p=" + "A" * 400
    (rrset,) = read(one("TXT", "s._domainkey.{{domain}}", value), 300).rrsets.values()
    (octets,) = rrset.rdata
    assert octets[0] == 255
    assert txt_value(octets) == value
    assert txt_value(txt("")) == ""


@pytest.mark.parametrize(
    ("kind", "mapping", "words"),
    [
        ("A", ["300.1.1.1"], "no IPv4 address"),
        ("MX", ["mx.host.example.net"], "MX takes"),
        ("CNAME", ["a.example.net", "b.example.net"], "leads to one name"),
        ("SRV", ["10 10 us-east.{{domain}}"], "SRV takes"),
        ("NAPTR", ['10 100 "S" "SIP+D2U _sip._udp'], "can't read"),
    ],
)
def test_what_is_no_record_is_a_finding_and_not_left_out_in_silence(kind: str, mapping: list[str], words: str) -> None:
    found = read(one(kind, "x.{{domain}}", *mapping), 300)
    assert found.rrsets == {}
    (finding,) = found.findings
    assert (finding.id, finding.level, finding.subject) == ("WL01", "error", f"x.{DOMAIN}. {kind}")
    assert words in finding.message


def test_a_name_outside_the_domain_is_said_and_not_published() -> None:
    found = read(one("A", "portal.host.example.net", "198.51.100.1"), 300)
    assert found.rrsets == {}
    assert [finding.id for finding in found.findings] == ["WL02"]


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {"A": []}, {"A": {"x.{{domain}}": {}}}, {"A": {"x": {"mapping": []}}}, {"XX": {}},
     {"A": {"x": {"mapping": [1]}}}],
)  # fmt: skip
def test_another_shape_is_one_clear_error(data: Any) -> None:
    with pytest.raises(InputError):
        parse(data, APEX, "saved.json")
    with pytest.raises(InputError, match="no valid JSON"):
        domains.decode(b'{"A": ', APEX, "saved.json")


def test_a_kept_template_reads_back_the_same() -> None:
    template = parse(required_records(), APEX, "live")
    again = domains.decode(domains.encode(template), APEX, "kept")
    assert again.rows == template.rows


def test_the_faults_of_the_platforms_own_template_are_said() -> None:
    template = parse(required_records(), APEX, "live")
    assert {finding.subject for finding in read(template, 300).findings} == {
        f"api.{DOMAIN}. CNAME", f"portal.{DOMAIN}. CNAME"
    }  # fmt: skip


def test_an_unmended_template_shows_its_broken_pointers_and_placeholders(tmp_path: Path) -> None:
    text = "domain: {domain}\naccount: Acme\nderive_srv: false\n"
    assert faults(made(tmp_path, text)) == {
        ("SIP02", "proxy-central NAPTR"): "", ("SIP02", "proxy-west NAPTR"): "",
        ("SEM09", "us-central A"): "", ("SEM09", "us-east A"): "", ("SEM09", "us-west A"): "",
        ("WL03", "api CNAME"): "", ("WL03", "portal CNAME"): "",
    }  # fmt: skip


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="no copy of Kazoo's fixture beside the project")
def test_kazoos_own_fixture_has_just_these_faults(tmp_path: Path) -> None:
    text = "domain: {domain}\naccount: Acme\nderive_srv: false\n"
    found = faults(made(tmp_path, text, json.loads(ORIGINAL.read_text())))
    assert sorted({identity for identity, _ in found}) == ["SEM09", "SIP02", "WL03"]
    assert len(found) == 7


def test_overrides_and_derived_sets_mend_it_whole(tmp_path: Path) -> None:
    composed = made(tmp_path, MENDED)
    found = faults(composed)
    assert len(found) == 7
    assert composed.unmended == []
    assert found["SIP02", "proxy-west NAPTR"] == f"_sip._udp.proxy-west.{DOMAIN}. SRV is made"
    assert found["SEM09", "us-west A"] == found["WL03", "api CNAME"] == "overrides"


def test_a_derived_set_leads_to_its_own_host_first_with_the_patterns_places(tmp_path: Path) -> None:
    composed = made(tmp_path, MENDED)
    assert sorted(composed.derived) == sorted(
        [(label("_sip._udp.proxy-central"), rr.SRV), (label("_sip._udp.proxy-west"), rr.SRV)]
    )
    west = composed.rrsets[label("_sip._udp.proxy-west"), rr.SRV]
    assert sorted(rdata.to_text(rr.SRV, octets) for octets in west.rdata) == [
        f"10 10 7000 us-west.{DOMAIN}.", f"15 15 7000 us-east.{DOMAIN}.", f"20 20 7000 us-central.{DOMAIN}."
    ]  # fmt: skip


def test_where_no_host_is_named_after_it_nothing_is_made_up(tmp_path: Path) -> None:
    template = required_records()
    pointer = '10 100 "S" "SIP+D2U" "" _sip._udp.proxy-north.{{domain}}'
    template["NAPTR"]["proxy-north.{{domain}}"] = {"mapping": [pointer], "name": "North"}
    composed = made(tmp_path, MENDED, template)
    assert [(one.id, one.subject) for one in composed.unmended] == [("SIP02", f"proxy-north.{DOMAIN}. NAPTR")]


def test_a_name_can_be_taken_out_whole_or_by_type(tmp_path: Path) -> None:
    more = "  proxy-west:\n  proxy-central: {{NAPTR: []}}\n"
    composed = made(tmp_path, MENDED + more)
    assert composed.derived == []
    assert {key for key in composed.rrsets if key[1] == rr.NAPTR} == {(label("proxy-east"), rr.NAPTR)}
    assert composed.unmended == []


def test_an_alias_beside_other_records_is_a_fault(tmp_path: Path) -> None:
    template = required_records()
    template["TXT"]["api.{{domain}}"] = {"mapping": ["x"], "name": "x"}
    found = made(tmp_path, MENDED, template).unmended
    assert {one.id for one in found} == {"SEM01"}


def test_an_override_mends_what_can_not_be_read(tmp_path: Path) -> None:
    template = required_records()
    template["MX"]["{{domain}}"] = {"mapping": ["mx.host.example.net"], "name": "x"}
    assert [one.id for one in made(tmp_path, MENDED, template).unmended] == ["WL01"]
    mended = made(tmp_path, MENDED + '  "@": {{MX: ["10 mx.host.example.net"]}}\n', template)
    assert mended.unmended == []
    assert (APEX, rr.MX) in mended.rrsets


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  us-east: {{A: [1.2.3]}}", "overrides.us-east.A: "),
        ("  x: {{A: [198.51.100.300]}}", "overrides.x.A: "),
        ("  other.example.net.: {{A: [198.51.100.1]}}", "lies outside"),
        ("  x: {{NOTYPE: [y]}}", "no record type"),
        ("  a..b: {{A: [198.51.100.1]}}", "empty label"),
    ],
)
def test_an_override_that_can_not_be_names_its_line(tmp_path: Path, line: str, words: str) -> None:
    base = "domain: {domain}\naccount: Acme\noverrides:\n"
    with pytest.raises(InputError, match=r"voice\.example\.com\.yml:4:[0-9]+: ") as caught:
        made(tmp_path, base + line + "\n")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("domain: other.example\naccount: a\n", "named after"),
        ("domain: {domain}\naccount: a\nportal: portal.example.com\n", "no address"),
        ("domain: {domain}\naccount: a\nsenders: [{{email: nobody, selector: s}}]\n", "no e-mail address"),
        ("domain: {domain}\naccount: a\nsenders: [{{email: a@b.example, selector: '-'}}]\n", "senders"),
        ("domain: {domain}\naccount: a\nrealm_suffix: 12.34\n", "realm_suffix"),
        ("domain: {domain}\naccount: a\ndocument: {{domain: x}}\n", "own place"),
        ("domain: {domain}\naccount: a\nlogos: x\n", "did you mean 'logo'"),
        ("domain: {domain}\n", "'account' is missing"),
    ],
)
def test_a_brand_file_that_can_not_be_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        made(tmp_path, text)
    assert words in caught.value.message
    assert f"{DOMAIN}.yml:" in caught.value.message


_WORDS = st.text(st.sampled_from('abc.{}domain "\\;()0123456789-_*@é\0\n'), max_size=30)
_ROW = st.fixed_dictionaries({"mapping": st.lists(_WORDS, min_size=1, max_size=3), "name": _WORDS})
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS, lambda inner: st.lists(inner) | st.dictionaries(_WORDS, inner)
)


@given(
    st.dictionaries(st.sampled_from(["A", "CNAM", "MX", "NAPTR", "SRV", "TXT", "AAAA"]), st.dictionaries(_WORDS, _ROW))
)
def test_whatever_stands_in_a_template_is_a_record_or_a_finding(data: Any) -> None:
    try:
        template = parse(data, APEX, "any")
    except InputError:
        return
    found = read(template, 300)
    unreadable = [one for one in found.findings if one.id in ("WL01", "WL02")]
    assert len(template.rows) == len(found.rrsets) + len(unreadable)
    assert all(rdata.well_formed(kind, one) for (_, kind), rrset in found.rrsets.items() for one in rrset.rdata)


@given(_JSON | st.dictionaries(st.sampled_from(["A", "MX", "data", "status"]), _JSON))
def test_no_json_ends_in_another_error(data: Any) -> None:
    try:
        parse(data, APEX, "any")
    except InputError as error:
        assert error.message  # noqa: PT017 - either outcome is right


# --- the platform's own test ----------------------------------------------------------------------------------------


def told(kind: str, host: str, expected: list[str], actual: list[Any]) -> dict[str, Any]:
    return {kind: {host: {"expected": expected, "actual": actual, "name": "x"}}}


@pytest.mark.parametrize(
    ("kind", "wanted", "seen"),
    [
        ("MX", ["10 mx1.host.example.", "20 mx2.host.example."], ["mx2.host.example", "MX1.host.example"]),
        ("CNAME", ["ui.host.example.net."], ["ui.host.example.net"]),
        ("SRV", ["10 10 7000 a.host.example.net."], ["10 10 7000 a.host.example.net"]),
        ("NAPTR", ['10 100 "s" "sip+d2u" "" _sip._udp.x.example.'], ['10 100 "S" "SIP+D2U" "" _sip._udp.x.example']),
        ("TXT", ["v=spf1 include:a.example -all"], [["v=spf1 inclu", "de:a.example -all"]]),
        ("A", ["198.51.100.1"], ["198.51.100.1"]),
    ],
)  # fmt: skip
def test_what_the_platform_drops_is_no_difference(kind: str, wanted: list[str], seen: list[Any]) -> None:
    ours = read(one(kind, "x.{{domain}}", *wanted), 300).rrsets
    (opinion,) = opinions(told(kind, f"x.{DOMAIN}", wanted, seen), ours)
    assert opinion.agrees
    assert list(opinion.findings()) == []


def test_what_differs_is_said_with_both_sides() -> None:
    ours = read(one("A", "x.{{domain}}", "198.51.100.1"), 300).rrsets
    (opinion,) = opinions(told("A", f"x.{DOMAIN}", ["127.0.0.1"], []), ours)
    assert {finding.id for finding in opinion.findings()} == {"WL12", "WL13"}
    (seen, expects) = opinion.findings()
    assert (seen.level, seen.expected, seen.seen) == ("warning", "198.51.100.1", "nothing")
    assert (expects.level, expects.seen) == ("notice", "127.0.0.1")


def test_what_the_platform_expects_and_we_left_out_is_no_disagreement() -> None:
    (opinion,) = opinions(told("A", f"x.{DOMAIN}", ["127.0.0.1"], []), {})
    assert opinion.agrees
    assert [finding.id for finding in opinion.findings()] == ["WL13"]


@pytest.mark.parametrize("answer", [{"A": 1}, {"A": {"x.example": 1}}, {"NOTYPE": {}}])
def test_an_answer_that_is_no_test_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        opinions(answer, {})
