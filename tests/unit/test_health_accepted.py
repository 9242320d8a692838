"""Accepted findings and the baseline: read strictly, written without touching what people wrote."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realmkit.dns.findings import Finding
from realmkit.errors import UNKNOWN, InputError, UnreadableStateError
from realmkit.health import accepted
from realmkit.health.accepted import Acceptance, Accepted

TODAY = date(2026, 11, 26)
TEXT = """\
# ours

- id: SIP08            # one edge only
  subject: acme.voice.example.com.
  reason: "one site: ticket #4711"
  until: 2026-12-31
- {id: SEC04, subject: "*", reason: no CAA yet, until: "2027-01-31", server: 192.0.2.1}
"""


TWICE = b"""{"kind": "realmkit.health-baseline", "version": 1, "findings": [
    {"id": "A", "subject": "a.", "level": "error"}, {"id": "A", "subject": "a.", "level": "notice"}]}"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / accepted.FILE


def test_without_a_file_nothing_is_accepted(path: Path) -> None:
    assert accepted.load(path) == Accepted()


def test_a_file_of_comments_accepts_nothing(path: Path) -> None:
    path.write_text("# nothing yet\n")
    assert accepted.load(path).entries == ()


def test_the_file_is_read(path: Path) -> None:
    path.write_text(TEXT)
    assert accepted.load(path, known={"SIP08", "SEC04"}).entries == (
        Acceptance("SIP08", "acme.voice.example.com.", "one site: ticket #4711", date(2026, 12, 31)),
        Acceptance("SEC04", "*", "no CAA yet", date(2027, 1, 31), "192.0.2.1"),
    )


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (("SIP08", "acme.voice.example.com.", ""), True),
        (("SIP08", "acme.voice.example.com.", "192.0.2.7"), True),  # no server in the entry: all of them
        (("SIP08", "acme.voice.example.com. SRV", ""), False),
        (("SIP08", "x.acme.voice.example.com.", ""), False),
        (("SIP07", "acme.voice.example.com.", ""), False),
        (("SEC04", "anything", "192.0.2.1"), True),
        (("SEC04", "anything", "192.0.2.2"), False),
    ],
)
def test_what_an_entry_accepts(path: Path, key: tuple[str, str, str], found: bool) -> None:
    path.write_text(TEXT)
    assert (accepted.load(path).find(key, TODAY) is not None) == found


def test_the_final_dot_and_capitals_may_differ() -> None:
    some = Accepted.of([Acceptance("SIP02", "Acme.example.com SRV", "x", TODAY)])
    assert some.find(("SIP02", "acme.example.com. SRV", ""), TODAY) is not None


def test_an_entry_that_holds_wins_over_one_that_has_ended() -> None:
    ended = Acceptance("SIP02", "acme.example.", "old", date(2026, 1, 1))
    holds = Acceptance("SIP02", "*", "new", TODAY)
    assert Accepted.of([ended, holds]).find(("SIP02", "acme.example.", "s"), TODAY) is holds
    assert Accepted.of([ended]).find(("SIP02", "acme.example.", "s"), TODAY) is ended


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("id: SIP08\n", "", "must be a list"),
        ("- SIP08\n", ":1:3:", "must be a mapping"),
        ("- {id: SIP08, subject: a., until: 2026-12-31}\n", ":1:3:", "reason is missing"),
        ("- {id: SIP08, subject: a., reason: x}\n", ":1:3:", "until is missing"),
        ("- {subject: a., reason: x, until: 2026-12-31}\n", ":1:3:", "id is missing"),
        ("- {id: SIP08, reason: x, until: 2026-12-31}\n", ":1:3:", "subject is missing"),
        ("\n- id: SIP08\n  subject: a.\n  reason: ''\n  until: 2026-12-31\n", ":4:3:", "not empty"),
        ("- id: SIP08\n  subject: a.\n  reason: x\n  until: 31.12.2026\n", ":4:3:", "no date"),
        ("- id: SIP08\n  subject: a.\n  reason: x\n  until: 2026-02-30\n", ":4:3:", "no date"),
        ("- id: SIP08\n  subject: a.\n  reason: x\n  until: 2026-W05-1\n", ":4:3:", "no date"),
        ("- id: SIP08\n  subject: a.\n  reason: 12\n  until: 2026-12-31\n", ":3:3:", "must be text"),
        ("- id: SIP99\n  subject: a.\n  reason: x\n  until: 2026-12-31\n", ":1:3:", "no check"),
        ("- id: sip08\n  subject: a.\n  reason: x\n  until: 2026-12-31\n", ":1:3:", "no check"),
        ("- id: SIP08\n  subject: a.\n  reasons: x\n  until: 2026-12-31\n", ":3:3:", "no such field"),
        ("- {id: SIP08, id: SEC04}\n", ":1:", "appears twice"),
        ("- [\n", "", "no valid YAML"),
        (TEXT + "- {id: SIP08, subject: acme.voice.example.com, reason: again, until: 2027-12-31}\n", ":8:3:",
         "accepted in line 3 already"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_with_its_place(path: Path, text: str, place: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(UnreadableStateError) as caught:
        accepted.load(path, known={"SIP08", "SEC04"})
    assert message in caught.value.message
    assert f"{path}{place}" in caught.value.message
    assert caught.value.exit_code == UNKNOWN
    assert caught.value.hint


def test_adding_keeps_what_people_wrote(path: Path) -> None:
    path.write_text(TEXT.rstrip("\n"))
    accepted.add(path, Acceptance("SIP06", "edge.example.net. UDP", 'they "never"\nanswer', TODAY, "192.0.2.1"))
    text = path.read_text()
    assert text.startswith(TEXT)
    assert accepted.load(path).entries[2] == Acceptance(
        "SIP06", "edge.example.net. UDP", 'they "never" answer', TODAY, "192.0.2.1"
    )


def test_the_first_entry_makes_a_file_that_explains_itself(path: Path) -> None:
    entry = Acceptance("SIP06", "*", "firewall", TODAY)
    accepted.add(path, entry)
    assert accepted.load(path).entries == (entry,)
    assert path.read_text().startswith("# ")


def test_the_same_finding_is_not_accepted_twice(path: Path) -> None:
    path.write_text(TEXT)
    with pytest.raises(InputError, match="already"):
        accepted.add(path, Acceptance("SIP08", "acme.voice.example.com", "again", TODAY))
    assert path.read_text() == TEXT


@pytest.mark.parametrize("reason", ["", " \n", "bell \a", "\x7f"])
def test_nothing_is_accepted_without_a_readable_reason(path: Path, reason: str) -> None:
    with pytest.raises(InputError, match="reason"):
        accepted.add(path, Acceptance("SIP08", "a.", reason, TODAY))
    assert not path.exists()


@pytest.mark.parametrize(
    "text", ["[{id: SIP08, subject: a., reason: x, until: 2026-12-31}]\n", "[]\n", "--- []\n...\n"]
)
def test_a_file_that_can_not_be_appended_to_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(UnreadableStateError, match="nothing can be appended") as caught:
        accepted.add(path, Acceptance("SIP06", "b.", "x", TODAY))
    assert "by hand" in str(caught.value.hint)
    assert "- id: SIP06" in str(caught.value.hint)
    assert path.read_text() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
    reason=st.text(min_size=1),
)
def test_whatever_is_added_is_read_back_or_refused(path: Path, subject: str, reason: str) -> None:
    path.unlink(missing_ok=True)
    try:
        accepted.add(path, Acceptance("SIP06", subject, reason, TODAY))
    except (InputError, UnreadableStateError):
        assert not path.exists()
    else:
        assert accepted.load(path).entries == (Acceptance("SIP06", subject, " ".join(reason.split()), TODAY),)


def test_a_baseline_comes_back_with_the_worst_level_of_each_finding(path: Path) -> None:
    findings = [
        Finding("SIP08", "notice", "a.", "x"), Finding("SIP08", "warning", "a.", "y"),
        Finding("SIP08", "notice", "a.", "z", server="192.0.2.1"),
    ]  # fmt: skip
    accepted.save_baseline(path, findings)
    found = accepted.load_baseline(path)
    assert found.levels == {("SIP08", "a.", ""): "warning", ("SIP08", "a.", "192.0.2.1"): "notice"}
    assert found.covers(("SIP08", "a.", ""), "notice")
    assert not found.covers(("SIP08", "a.", ""), "error")
    assert not found.covers(("SIP08", "b.", ""), "notice")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no baseline"), (b"{}", "no baseline"), (b'{"kind": "realmkit.plan", "version": 1}', "no baseline"),
        (b'{"kind": "realmkit.health-baseline", "version": 2, "findings": []}', "version 2"),
        (b'{"kind": "realmkit.health-baseline", "version": 1, "findings": [{"id": "SIP08"}]}', "no baseline"),
        (TWICE, "twice"),
        (None, "can't read"),
    ],
)  # fmt: skip
def test_a_malformed_baseline_could_not_tell(path: Path, data: bytes | None, message: str) -> None:
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UnreadableStateError, match=message) as caught:
        accepted.load_baseline(path)
    assert caught.value.exit_code == UNKNOWN
