"""`realmkit schedule hours` as a user meets it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from realmkit import cli
from realmkit.cli import show_schedule

ACCOUNT = """\
name: Acme
timezone: America/New_York
sites:
  - {name: HQ, hours: "Mo-Fr 08:00-18:00; PH off", country: US-NY, days_off: [2026-11-27]}
  - {name: Munich, hours: "Mo-Fr 08:00-18:00, Fr 20:00-26:00; PH off", timezone: Europe/Berlin, country: DE-BY}
"""

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `realmkit schedule hours` in a project, and gives all that it printed."""
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "acme.yml").write_text(ACCOUNT)
    monkeypatch.setitem(cli.COMMANDS, "schedule", ("realmkit.cli.schedule:schedule", "as registered"))
    monkeypatch.delenv("NO_COLOR", raising=False)

    def call(*args: str, expect: int = 0) -> str:
        code = cli.run(["-C", str(tmp_path), "schedule", "hours", *args])
        shown = capsys.readouterr()
        assert code == expect, shown
        return shown.out + shown.err

    return call


def test_hours_in_words(run: Run) -> None:
    text = run(
        "Mo-Fr 08:00-18:00; PH off",
        "--tz",
        "Europe/Berlin",
        "--country",
        "DE-BY",
        "--from",
        "2027-03-25",
        "--next",
        "7d",
    )
    lines = text.splitlines()
    assert lines[0] == "HOURS  Mo-Fr 08:00-18:00; PH off  (Europe/Berlin, DE-BY)"
    assert "  Th 2027-03-25 +01:00  08:00-18:00" in lines
    assert "  Fr 2027-03-26 +01:00  closed  public holiday: Good Friday" in lines
    assert "  Su 2027-03-28 +01:00  closed  clocks go forward 1 h, from +01:00 to +02:00" in lines
    assert "  We 2027-03-31 +02:00  08:00-18:00" in lines
    assert "  Th 2027-04-01 +02:00  08:00-18:00" not in lines
    assert "  Th 2027-03-25 18:30 - Sa 2027-03-27 23:00 +01:00  2 d 4 h 30 min" in lines
    assert "  Su 2027-03-28 06:00 - Tu 2027-03-30 07:30 +02:00  2 d 1 h 30 min" in lines
    assert "kept clear Sa 2027-03-27 23:00 +01:00 - Su 2027-03-28 06:00 +02:00" in text
    assert "  We |       ·██████████·     |" in lines
    assert "[█] open, [·] closed, but in no window" in text


def test_what_is_cut_off_at_midnight_is_told(run: Run) -> None:
    text = run("Mo-Fr 18:00-03:00; We off", "--tz", "UTC", "--from", "2027-01-04", "--next", "3d")
    assert "We 2027-01-06 +00:00  closed  00:00-03:00 of the evening before is cut off by a later rule" in text


def test_an_account_with_two_sites(run: Run) -> None:
    text = run("--account", "acme", "--from", "2026-11-25", "--next", "4d")
    assert "HQ  Mo-Fr 08:00-18:00; PH off  (America/New_York, US-NY)" in text
    assert "Th 2026-11-26 -05:00  closed  public holiday: Thanksgiving Day" in text
    assert "Fr 2026-11-27 -05:00  closed  day off" in text
    assert "Munich  Mo-Fr 08:00-18:00, Fr 20:00-26:00; PH off  (Europe/Berlin, DE-BY)" in text
    assert "Sa 2026-11-28 +01:00  00:00-02:00" in text
    assert "  We 2026-11-25 18:30 - Th 2026-11-26 01:30 -05:00  7 h" in text
    assert "  Fr 2026-11-27 20:30 - Su 2026-11-29 00:00 -05:00  1 d 3 h 30 min" in text


def test_json_says_the_same(run: Run) -> None:
    body = json.loads(
        run("Mo-Fr 08:00-18:00; PH off", "--tz", "Europe/Berlin", "--country", "DE-BY", "--from", "2027-03-25",
            "--next", "7d", "--json")
    )  # fmt: skip
    assert (body["kind"], body["version"]) == ("realmkit.hours", 1)
    assert (body["since"], body["until"]) == ("2027-03-24T23:00:00+00:00", "2027-03-31T22:00:00+00:00")
    assert body["sites"][0]["days"][1] == {
        "date": "2027-03-26", "offset": "+01:00", "open": [], "holiday": "Good Friday", "day_off": False, "lost": [],
    }  # fmt: skip
    assert body["windows"][1] == {
        "start": "2027-03-25T17:30:00+00:00", "end": "2027-03-27T22:00:00+00:00", "seconds": 189000,
        "zone": "Europe/Berlin", "local": "Th 2027-03-25 18:30 - Sa 2027-03-27 23:00 +01:00", "tzdata": body["tzdata"],
    }  # fmt: skip
    assert body["clock_changes"] == [
        {"at": "2027-03-28T01:00:00+00:00", "zone": "Europe/Berlin", "before": "+01:00", "after": "+02:00"}
    ]
    assert body["week"]["We"][8] == "open"


def test_settings(run: Run) -> None:
    some = ("08:00-18:00", "--tz", "Europe/Berlin", "--from", "2027-03-27", "--next", "2d")
    assert "none: what is closed is too short" in run(*some, "--shortest", "2d")
    assert "Sa 2027-03-27 18:00 +01:00 - Su 2027-03-28 08:00 +02:00  13 h" in run(
        *some, "--pad", "0m", "--avoid-dst", "0m"
    )
    assert "windows may run across it" in run(*some, "--avoid-dst", "0m")
    assert "none: always open" in run("24/7", "--tz", "UTC", "--from", "2027-01-04", "--next", "7d")
    assert "Su 2027-03-28" in run(*some)


def test_it_begins_now(run: Run) -> None:
    body = json.loads(run("24/7", "--tz", "UTC", "--next", "90m", "--json"))
    assert body["since"].endswith(":00+00:00")
    assert len(body["sites"][0]["days"]) in (1, 2)


def test_plain_letters_where_blocks_can_not_be_drawn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    some = ("08:00-18:00", "--tz", "UTC", "--from", "2027-01-04", "--next", "7d")
    monkeypatch.setenv("NO_COLOR", "1")
    text = run(*some)
    assert "  Mo |       .##########.     |" in text
    assert text.isascii()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert not show_schedule._can_draw()


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (["mo-fr 8-18", "--tz", "UTC"], "did you mean `Mo-Fr 08:00-18:00`?"),
        (["PH off", "--tz", "UTC"], "no country says which days those are"),
        (["24/7", "--tz", "EST5EDT"], "did you mean America/New_York?"),
        (["PH off", "--tz", "UTC", "--country", "de-by"], "did you mean DE-BY?"),
        (["24/7"], "HOURS need --tz"),
        ([], "say either HOURS with --tz, or --account NAME"),
        (["24/7", "--account", "acme"], "leave the others out"),
        (["--account", "nobody"], "nobody.yml: no such file"),
        (["24/7", "--tz", "UTC", "--next", "3y"], "no length of time"),
        (["24/7", "--tz", "UTC", "--next", "9000d"], "is not between"),
        (["24/7", "--tz", "UTC", "--shortest", "0m"], "is not between"),
        (["24/7", "--tz", "UTC", "--from", "24.12.2026"], "24.12.2026"),
    ],
)
def test_what_can_not_be_is_bad_usage(run: Run, args: list[str], what: str) -> None:
    assert what in run(*args, expect=64)


def test_a_slip_in_the_account_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "accounts" / "acme.yml"
    file.write_text(ACCOUNT.replace("Fr 20:00-26:00", "Fr 20-26"))
    text = run("--account", "acme", expect=64)
    assert "acme.yml:5:5: sites.1: site 'Munich': hours " in text
    assert "column 23: found '20'" in text
    file.write_text(ACCOUNT.partition("sites")[0])
    assert "no sites" in run("--account", "acme", expect=64)


def test_hours_without_ph_load_no_calendar() -> None:
    code = (
        "import sys\nfrom realmkit import cli\n"
        "cli.COMMANDS['schedule'] = ('realmkit.cli.schedule:schedule', '')\n"
        "cli.run(['schedule', 'hours', '24/7', '--tz', 'UTC'])\n"
        "print(sorted({'holidays', 'dateutil', 'dns', 'httpx2', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout
