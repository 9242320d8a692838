"""The verdict for other programs: each form is read by what reads it, hostile text and all."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import jsonschema
import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from realmkit.cli import show_health
from realmkit.errors import StateError
from realmkit.health.outputs import duration, jsonfile, junit, nagios, printable, prometheus
from realmkit.health.verdict import Verdict
from tests.unit.healthverdicts import HOSTILE, NOW, TABLE, bad, good, hostile

ALL = [good(), bad(), bad(7), bad(1_000), hostile()]
NAMES = ["good", "bad", "some", "very many", "hostile"]
each = pytest.mark.parametrize("verdict", ALL, ids=NAMES)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


# --- text ---


def plain(verdict: Verdict, **options: bool) -> str:
    return click.unstyle(show_health.health_text(verdict, TABLE, **options))


def test_the_text_says_what_is_wrong_where_since_when_and_how_to_mend_it() -> None:
    assert plain(bad()).splitlines()[:4] == [
        "critical SIP01  acme.voice.example.com.: no transport leads to an address",
        "          expected an SRV set, seen NXDOMAIN",
        "          mend: realmkit dns apply",
        "          open; since 26 Nov 2026 02:50 UTC (10 min)",
    ]


def test_the_text_ends_with_one_line_of_numbers() -> None:
    assert plain(bad()).splitlines()[-1] == (
        "1 critical, 1 unknown, 1 warning open; 1 not confirmed yet; 1 accepted; 1 in the baseline; 20,000 realms in 2 "
        "zones, 18,000 skipped in zones that have not changed, 100,123 questions, 6 endpoints in 3.2 s"
    )
    assert plain(good()).splitlines()[-1].startswith("nothing is wrong; 20,000 realms")


def test_the_phases_are_told_apart() -> None:
    text = plain(bad(), everything=True)
    assert "not confirmed yet: seen by 1 look" in text
    assert "accepted until 2026-12-31: ticket 4711; since" in text
    assert "in the baseline; since" in text
    assert "open, not seen this time and not certain to be gone; since 24 Nov" in text
    assert "recovered DEL02  example.net. at 192.0.2.99: answers without authority" in text
    assert "SIP08" not in plain(bad())  # what is accepted or known takes no room unless it is asked for


def test_many_findings_of_a_check_are_five_and_a_number() -> None:
    text = plain(bad(20_000))
    assert "error    WLD01  a name below the realm hides the wildcard: 20,000 subjects" in text
    assert len(re.findall("WLD01  r[0-9]{5}", text)) == 5
    assert "... and 19,995 more" in text
    assert len(re.findall("WLD01  r[0-9]{5}", plain(bad(7), everything=True))) == 7


def test_cron_is_told_the_news_alone() -> None:
    lines = click.unstyle(show_health.cron_text(bad(), TABLE)).splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads[:-1] == [
        "new: critical SIP01  acme.voice.example.com.: no transport leads to an address",
        "worse: warning CON01  voice.example.com. at 192.0.2.54: an older serial than the others",
        "recovered DEL02  example.net. at 192.0.2.99: answers without authority, after 9 h",
    ]


def test_cron_is_told_nothing_when_nothing_is_new() -> None:
    quiet = structs.replace(bad(), entries=tuple(structs.replace(one, news=None) for one in bad().entries))
    assert show_health.cron_text(quiet, TABLE) == ""
    assert show_health.cron_text(good(), TABLE) == ""


def test_cron_is_told_why_an_accepted_finding_is_back() -> None:
    assert "no longer accepted (until 2026-11-25: " in show_health.cron_text(hostile(), TABLE)


def test_cron_mail_stays_short_when_everything_breaks() -> None:
    assert len(show_health.cron_text(bad(20_000), TABLE)) < 4000


@each
def test_nothing_that_was_seen_steers_the_terminal(verdict: Verdict) -> None:
    for text in (plain(verdict, everything=True), show_health.cron_text(verdict, TABLE), nagios.render(verdict)):
        assert CONTROL.findall(click.unstyle(text)) == []


def test_control_characters_become_escapes() -> None:
    assert printable("a\x1b[2J\n\x9b\u202eb\ud800\u00e9") == r"a\x1b[2J\n\x9b\u202eb\ud800" + "\u00e9"


def test_a_time_is_said_in_its_largest_unit() -> None:
    ages = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86_400 * 3, "3 d"), (-5, "0 s")]
    for seconds, text in ages:
        assert duration(NOW, NOW.fromtimestamp(NOW.timestamp() + seconds, NOW.tzinfo)) == text


# --- JSON ---


@each
def test_json_is_as_its_schema_says(verdict: Verdict) -> None:
    schema = jsonfile.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(json.dumps(jsonfile.document(verdict, TABLE)))
    jsonschema.validate(document, schema)
    assert jsonfile.body(verdict, TABLE).keys() == document.keys() - {"kind", "version"}


def test_the_schema_refuses_what_is_no_verdict() -> None:
    document = jsonfile.document(bad(), TABLE)
    for broken in ({"exit_code": 7}, {"findings": [{"id": "SIP01"}]}, {"kind": "realmkit.plan"}, {"started": 3}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | broken, jsonfile.schema())


def test_json_has_all_of_a_finding() -> None:
    document = jsonfile.document(bad(), TABLE)
    assert document["findings"][0] == {
        "id": "SIP01", "title": "no transport leads to an address", "source": "RFC 3263 section 4", "level": "critical",
        "subject": "acme.voice.example.com.", "server": "", "message": "no transport leads to an address",
        "expected": "an SRV set", "seen": "NXDOMAIN", "mend": "realmkit dns apply", "phase": "open", "news": "new",
        "since": "2026-11-26T02:50:00Z", "looks": 2, "seen_now": True, "reason": "", "until": None,
    }  # fmt: skip
    assert document["open"] == {"critical": 1, "error": 0, "unknown": 1, "warning": 1, "notice": 0}
    assert document["serials"][1] == {"zone": "voice.example.com.", "server": "192.0.2.54", "serial": None}
    assert {one["phase"] for one in document["findings"]} == {"open", "soft", "accepted", "known", "recovered"}


@each
def test_json_lines_are_one_object_a_line_and_a_summary_at_the_end(verdict: Verdict) -> None:
    objects = [json.loads(line) for line in jsonfile.lines(verdict, TABLE).splitlines()]
    assert [one["kind"] for one in objects] == ["realmkit.health.finding"] * len(verdict.entries) + [
        "realmkit.health.summary"
    ]
    assert objects[-1]["exit_code"] == verdict.exit_code
    assert "findings" not in objects[-1]


# --- JUnit ---

SHAPE = {  # the common JUnit schema: parent, children, attributes that must and may be there
    "testsuites": ({"testsuite"}, {"tests", "failures", "errors"}, {"name", "time"}),
    "testsuite": ({"testcase"}, {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}, set()),
    "testcase": ({"failure", "error", "skipped", "system-out"}, {"name", "classname", "time"}, set()),
    "failure": (set(), {"message", "type"}, set()),
    "error": (set(), {"message", "type"}, set()),
    "skipped": (set(), {"message"}, set()),
    "system-out": (set(), set(), set()),
}


def check_shape(element: ET.Element) -> None:
    children, must, may = SHAPE[element.tag]
    assert must <= set(element.keys()) <= must | may
    for child in element:
        assert child.tag in children
        check_shape(child)
    if element.tag in ("testsuites", "testsuite"):
        found = Counter(child.tag for child in element.iter())
        numbers = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
        assert {name: int(element.get(name, "-1")) for name in numbers if name in must} == {
            name: found[tag] for name, tag in numbers.items() if name in must
        }
    if element.tag == "testcase":
        assert len(element) <= 1


@each
def test_junit_is_well_formed_and_of_the_common_shape(verdict: Verdict) -> None:
    root = ET.fromstring(junit.render(verdict, TABLE, TABLE))
    assert root.tag == "testsuites"
    check_shape(root)


def test_junit_says_what_failed_what_could_not_be_told_and_what_passed() -> None:
    root = ET.fromstring(junit.render(bad(), TABLE, TABLE))
    outcomes = {
        (str(case.get("classname")).split(".")[-1], case.get("name")): next((child.tag for child in case), "passed")
        for case in root.iter("testcase")
    }
    assert outcomes == {
        ("SIP01", "acme.voice.example.com."): "failure",
        ("CON01", "voice.example.com. at 192.0.2.54"): "failure",
        ("SIP06", "edge.example.net. UDP"): "error",
        ("MX01", "beta.voice.example.com."): "skipped",
        ("SIP08", "beta.voice.example.com."): "skipped",
        ("SIP08", "gamma.voice.example.com."): "skipped",
        ("DEL02", "a server is lame"): "passed",
        ("WLD01", "a name below the realm hides the wildcard"): "passed",
    }
    failure = root.find(".//failure")
    assert failure is not None
    assert "mend: " in "".join(one.text or "" for one in root.iter("failure"))


def test_junit_fails_only_what_is_bad_enough_and_passes_only_what_was_judged() -> None:
    root = ET.fromstring(junit.render(bad(), TABLE, {"SIP01", "CON01"}, fail_on="error"))
    assert [case.get("name") for case in root.iter("testcase") if case.find("system-out") is not None] == [
        "voice.example.com. at 192.0.2.54"
    ]
    assert not [case for case in root.iter("testcase") if "DEL02" in str(case.get("classname"))]


# --- Nagios ---

PERFORMANCE = re.compile(r"[a-z]+=[0-9.]+(s|B|%|c)?(;[0-9.]*){3}\Z")


@each
def test_a_monitoring_plugin_says_one_line_with_performance_data_first(verdict: Verdict) -> None:
    output = nagios.render(verdict)
    lines = output.splitlines()
    text, bar, data = lines[0].partition(" | ")
    words = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
    assert text.startswith(f"REALMKIT {words[verdict.exit_code]} - ")
    assert bar
    assert "|" not in data
    assert all(PERFORMANCE.match(one) for one in data.split(" "))
    assert all("|" not in line for line in lines[1:])
    assert len(output.encode()) < 8192


def test_the_first_line_names_the_worst() -> None:
    assert nagios.render(bad()).splitlines()[0] == (
        "REALMKIT CRITICAL - 1 critical, 1 unknown, 1 warning, 1 not confirmed yet: SIP01 acme.voice.example.com.: no "
        "transport leads to an address (and 3 more) | errors=1;;;0 warnings=1;;;0 unknown=1;;;0 notices=0;;;0 "
        "zones=2;;;0 realms=20000;;;0 questions=100123;;;0 seconds=3.250s;;;0"
    )


def test_a_certain_finding_is_named_before_one_that_is_not() -> None:
    lines = nagios.render(bad()).splitlines()
    assert lines[-1] == "error MX01 beta.voice.example.com.: the target is an alias (not confirmed yet)"


def test_a_plugin_that_found_nothing_says_what_it_looked_at() -> None:
    assert nagios.render(good()).startswith("REALMKIT OK - nothing found: 20,000 realms in 2 zones, ")


# --- Prometheus ---


def samples(verdict: Verdict) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = list(text_string_to_metric_families(prometheus.render(verdict)))
    assert all(one.type == "gauge" and one.documentation for one in families)
    assert len({one.name for one in families}) == len(families)
    return {one.name: [(sample.labels, sample.value) for sample in one.samples] for one in families}


def test_the_metrics_are_read_back() -> None:
    found = samples(bad())
    assert found["realmkit_check_status"] == [
        ({"check": "SIP01", "subject": "acme.voice.example.com.", "server": ""}, 5),
        ({"check": "SIP06", "subject": "edge.example.net. UDP", "server": ""}, 3),
        ({"check": "CON01", "subject": "voice.example.com.", "server": "192.0.2.54"}, 2),
    ]
    assert ({"level": "critical"}, 1) in found["realmkit_findings"]
    assert found["realmkit_soa_serial"] == [({"zone": "voice.example.com.", "server": "192.0.2.53"}, 2026112601)]
    assert found["realmkit_exit_code"] == [({}, 2)]
    assert found["realmkit_run_duration_seconds"] == [({}, 3.25)]
    assert found["realmkit_last_run_timestamp_seconds"] == [({}, NOW.timestamp() + 3.25)]
    assert ({"what": "realms"}, 20_000) in found["realmkit_looked_at"]


def test_labels_bring_any_text_through() -> None:
    found = samples(hostile())
    assert found["realmkit_check_status"] == [({"check": "SIP01", "subject": HOSTILE, "server": HOSTILE}, 4)]


def test_no_series_is_there_twice() -> None:
    twice = structs.replace(bad(), serials=(("z.", "s", 1), ("z.", "s", 2)))
    assert samples(twice)["realmkit_soa_serial"] == [({"zone": "z.", "server": "s"}, 2)]


@each
def test_metrics_of_any_verdict_can_be_read(verdict: Verdict) -> None:
    assert len(samples(verdict)["realmkit_check_status"]) == len(verdict.open)


def test_the_metrics_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "realmkit.prom"
    prometheus.save(path, bad())
    prometheus.save(path, good())
    assert path.read_text() == prometheus.render(good())
    assert [one.name for one in tmp_path.iterdir()] == ["realmkit.prom"]
    path.unlink()
    path.mkdir()
    with pytest.raises(StateError):
        prometheus.save(path, good())
