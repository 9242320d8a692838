"""Names that are mistaken for ours: which are thought of, and what is said of those that are registered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns.asking.query import Outcome, Reply, Server
from realmkit.health.checks.lookalikes import lookalike
from realmkit.health.confusables import MOST, Candidate, candidates
from realmkit.health.observe.dangling import _is_delegated, _is_owned
from realmkit.health.seen.dangling import LookalikesSeen

OURS = names.absolute("acmevoice.com")
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", fullmatch=True)


def texts(domain: str) -> dict[str, str]:
    return {names.to_text(one.name)[:-1]: one.how for one in candidates(names.absolute(domain))}


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("acmevoce.com", "left out"),
        ("acmvevoice.com", None),
        ("amcevoice.com", "swapped"),
        ("acmmevoice.com", "doubled"),
        ("acmevpice.com", "neighbouring key"),
        ("acrnevoice.com", "look alike"),
        ("acmev0ice.com", "look alike"),
        ("acme-voice.com", "hyphen"),
        ("acmevoice.net", "top-level"),
        ("acmevoice.com", None),
    ],
)
def test_each_kind_of_mistake_is_thought_of(text: str, how: str | None) -> None:
    found = texts("acmevoice.com").get(text)
    assert (found is None) == (how is None)
    assert how is None or how in str(found)


def test_letters_of_other_scripts_become_idna_names() -> None:
    cyrillic = names.to_text(names.absolute("\u0430cmevoice.com"))[:-1]
    assert cyrillic.startswith("xn--")
    assert texts("acmevoice.com")[cyrillic] == "a letter of another script"


def test_the_name_is_changed_and_not_the_countrys_suffix() -> None:
    assert all(text.endswith(".co.uk") or text.startswith("acme.") for text in texts("acme.co.uk"))
    assert "amce.co.uk" in texts("acme.co.uk")
    assert "amce.com" in texts("portal.acme.com")
    assert candidates(names.absolute("localhost")) == []


@given(LABEL, st.sampled_from(["com", "example", "co.uk", "com.mx"]))
def test_candidates_are_few_sound_and_never_the_name_itself(label: str, suffix: str) -> None:
    domain = names.absolute(f"{label}.{suffix}")
    found = candidates(domain)
    assert len(found) <= MOST
    assert found == candidates(domain)
    assert len({one.name for one in found}) == len(found)
    assert all(names.is_hostname(one.name) and one.name != domain for one in found)


def test_a_long_name_still_gets_some_of_every_kind() -> None:
    found = candidates(names.absolute("kwikmart-telecom-services-of-springfield.com"))
    assert len(found) == MOST
    assert len({one.how for one in found}) == 8


def test_what_is_ours_is_left_out() -> None:
    owned = {names.absolute("acmevoice.net"), names.absolute("portal.acmevoice.org")}
    assert [_is_owned(names.absolute(f"acmevoice.{top}"), owned) for top in ("net", "org", "info")] == [
        True,
        True,
        False,
    ]


def test_silence_does_not_say_whether_a_name_is_registered() -> None:
    reply = Reply(Server("192.0.2.1"), OURS, 2, Outcome.TIMEOUT, detail="no answer")
    assert _is_delegated(reply) == "the resolver 192.0.2.1: no answer"


def test_every_registered_lookalike_is_a_notice_of_its_own() -> None:
    some = tuple(Candidate(names.absolute(f"acmev{one}ice.com"), "two letters swapped") for one in "0p")
    found = list(lookalike(LookalikesSeen(OURS, 90, some)))
    assert [(one.id, one.level, one.subject) for one in found] == [
        ("SCR06", "notice", "acmev0ice.com."), ("SCR06", "notice", "acmevpice.com."),
    ]  # fmt: skip
    assert found[0].message == "it is registered and looks like acmevoice.com. (two letters swapped)"
    assert list(lookalike(LookalikesSeen(OURS, 90, ()))) == []


def test_what_nobody_told_is_one_unknown() -> None:
    (found,) = lookalike(LookalikesSeen(OURS, 90, (), 12, "no answer"))
    assert (found.level, found.subject, found.expected, found.seen) == (
        "unknown", "acmevoice.com.", "90 answers", "78: no answer",
    )  # fmt: skip
