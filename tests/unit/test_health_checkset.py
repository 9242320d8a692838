"""Which checks a run makes: ids, groups, playbooks, lengths of time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from realmkit.errors import InputError
from realmkit.health import checkset
from realmkit.health.check import catalog

KNOWN = ("CON01", "CON02", "SIP01", "SIP07", "MX01")


def test_a_group_stands_for_all_of_its_checks() -> None:
    assert checkset.chosen(KNOWN, ["sip", "MX01"]) == {"SIP01", "SIP07", "MX01"}
    assert checkset.chosen(KNOWN, ["CON", "SIP"], ["con02"]) == {"CON01", "SIP01", "SIP07"}


@pytest.mark.parametrize("text", ["SIP99", "S", "", "SIP0", "CON1"])
def test_what_is_neither_check_nor_group_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        checkset.chosen(KNOWN, [text])
    assert "CON, SIP, MX" in (caught.value.hint or "")


def test_lengths_of_time() -> None:
    assert [checkset.duration(text) for text in ("90s", "20m", "24h", "2d", " 5 m ", "0s")] == [
        timedelta(seconds=90), timedelta(minutes=20), timedelta(hours=24), timedelta(days=2), timedelta(minutes=5),
        timedelta(0),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "24", "h", "-5m", "1w", "1.5h", "9999999s", "5m5s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        checkset.duration(text)


def test_the_nightly_playbook_is_shipped_and_names_checks_that_there_are() -> None:
    assert checkset.names() == ["dns-health"]
    book = checkset.find("dns-health", Path("/nowhere"))
    ids = checkset.chosen(catalog(), book.checks, book.without)
    assert {"SIP07", "PRO01", "SEC01", "DEL10"} <= ids
    assert not {"SCR06", "MX05"} & ids
    assert checkset.duration(book.deadline or "") == timedelta(minutes=20)


def test_what_a_plain_run_leaves_out_is_there_to_be_left_out() -> None:
    assert set(catalog()) > checkset.ELSEWHERE


def test_the_project_s_own_playbook_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    own = tmp_path / "playbooks/dns-health.yml"
    own.write_text("version: 1\nname: dns-health\ntitle: ours\nchecks: [SIP]\n")
    assert checkset.find("dns-health", tmp_path).checks == ("SIP",)


@pytest.mark.parametrize(
    ("line", "where"),
    [("remind: soon", ":5:"), ("confirm: 0", ":5:"), ("fail_on: bad", ":5:"), ("sampel: 3", ":5:")],
)
def test_a_slip_in_a_playbook_is_named_with_its_line(tmp_path: Path, line: str, where: str) -> None:
    (tmp_path / "own.yml").write_text(f"version: 1\nname: own\ntitle: ours\nchecks: [SIP]\n{line}\n")
    with pytest.raises(InputError) as caught:
        checkset.find("own.yml", tmp_path)
    assert f"own.yml{where}" in caught.value.message


def test_an_unknown_playbook_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        checkset.find("realm-migration", tmp_path)
    assert "dns-health" in (caught.value.hint or "")
