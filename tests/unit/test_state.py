"""The files that must never lie: ledger, runs, and the durable writes beneath them."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from realmkit import durable
from realmkit.dns.plan import Change, Plan, ZonePlan
from realmkit.dns.work import planfile, runs
from realmkit.dns.work.ledger import Ledger
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.errors import InputError, StateError
from tests.unit.make import ZONE, rrset

NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
A = rrset("a.voice.example.com", "A", "192.0.2.1")
MX = rrset("a.voice.example.com", "MX", "10 mx.example.")
ODD = rrset("x\\.y.voice.example.com", "TYPE65400", r"\# 1 00")


def test_the_ledger_remembers_across_processes(tmp_path: Path) -> None:
    Ledger(tmp_path, ZONE).record(NOW, "apply 1", take=[A.key, MX.key, ODD.key])
    Ledger(tmp_path, ZONE).record(NOW, "apply 2", drop=[MX.key])
    ledger = Ledger(tmp_path, ZONE)
    assert ledger.owned() == {A.key, ODD.key}
    first, second = (json.loads(line) for line in ledger.path.read_text().splitlines())
    assert first["why"] == "apply 1"
    assert "@" in first["by"]
    assert second["drop"] == {"a.voice.example.com.": ["MX"]}


def test_what_is_already_so_is_not_written_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ZONE)
    ledger.record(NOW, "x", take=[A.key])
    before = ledger.path.read_bytes()
    ledger.record(NOW, "x", take=[A.key], drop=[MX.key])
    assert ledger.path.read_bytes() == before


def test_a_torn_last_line_is_cut_off_and_nothing_else_is_lost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ZONE)
    ledger.record(NOW, "x", take=[A.key])
    with ledger.path.open("ab") as file:
        file.write(b'{"at":"2026-11-22","by":"x","why":"y","take":{"b.voice')
    assert Ledger(tmp_path, ZONE).owned() == {A.key}
    Ledger(tmp_path, ZONE).record(NOW, "y", take=[MX.key])
    assert Ledger(tmp_path, ZONE).owned() == {A.key, MX.key}


@pytest.mark.parametrize(
    "damage",
    [b"nonsense\n", b'{"at": 1}\n', b'{"at":"","by":"","why":"","take":{"a..b":["A"]}}\n'],
)
def test_a_damaged_ledger_is_an_error_not_a_guess(tmp_path: Path, damage: bytes) -> None:
    ledger = Ledger(tmp_path, ZONE)
    ledger.record(NOW, "x", take=[A.key])
    ledger.path.write_bytes(damage + ledger.path.read_bytes())
    with pytest.raises(StateError, match=":1: damaged"):
        Ledger(tmp_path, ZONE).owned()


def _file() -> PlanFile:
    whole = Plan((ZonePlan(ZONE, (Change(None, A), Change(MX, None))),))
    return PlanFile(whole, {ZONE: Basis("files", "t", 1)}, (), NOW.isoformat(), {})


def test_a_run_has_plan_and_inverse_before_anything_else(tmp_path: Path) -> None:
    run = runs.begin(tmp_path, _file(), NOW)
    assert planfile.read(run.plan_path).plan == _file().plan
    assert planfile.read(run.inverse_path).plan == _file().plan.inverse()
    run.log(NOW, "batch", number=1)
    assert [event["event"] for event in run.events()] == ["begun", "batch"]


def test_runs_are_found_by_name_digest_or_age(tmp_path: Path) -> None:
    first = runs.begin(tmp_path, _file(), NOW)
    second = runs.begin(tmp_path, _file(), NOW.replace(minute=5))
    assert runs.find(tmp_path, None) == second
    assert runs.find(tmp_path, first.name) == first
    with pytest.raises(InputError, match="2 runs"):
        runs.find(tmp_path, _file().plan.digest[:12])
    with pytest.raises(InputError, match="no run"):
        runs.find(tmp_path, "zzz")
    with pytest.raises(InputError, match="no run yet"):
        runs.find(tmp_path / "empty", None)


def _limited(code: str, tmp_path: Path, size: int) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose files can't grow beyond `size`: the kernel refuses, as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], preexec_fn=limit, capture_output=True, text=True, check=False
    )


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    code = (
        "import sys, pathlib; from realmkit import durable, errors\n"
        "try: durable.write(pathlib.Path(sys.argv[1]) / 'kept', b'n' * 5000)\n"
        "except errors.StateError as error: print(error.message)\n"
    )
    result = _limited(code, tmp_path, 1000)
    assert "can't write" in result.stdout
    assert (tmp_path / "kept").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_a_killed_writer_left_is_cleared_away_once_it_is_old(tmp_path: Path) -> None:
    """Others may be writing; other files are none of its business."""
    names = (".kept.4711", ".kept.4712", ".kept.old", ".other.4711", "kept.4711")
    for name in names:
        (tmp_path / name).write_bytes(b"torn")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".kept.4712").write_bytes(b"under way")
    durable.write(tmp_path / "kept", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"kept", *names} - {".kept.4711"}


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    durable.append(tmp_path / "log", b"first")
    code = (
        "import sys, pathlib; from realmkit import durable, errors\n"
        "try: durable.append(pathlib.Path(sys.argv[1]) / 'log', b'n' * 5000)\n"
        "except errors.StateError as error: print(error.message)\n"
    )
    result = _limited(code, tmp_path, 1000)
    assert "can't write" in result.stdout
    assert (tmp_path / "log").read_bytes() == b"first\n"


def test_only_one_realmkit_changes_a_project_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from realmkit import durable, errors\n"
        "try:\n  with durable.locked(pathlib.Path(sys.argv[1]) / 'lock'): print('in')\n"
        "except errors.StateError as error: print(error.message)\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    with durable.locked(tmp_path / "lock"):
        assert "another realmkit" in subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "in\n"


def test_long_files_are_appended_to_after_their_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\n" + b"t" * 200_000)
    durable.append(path, b"b")
    assert path.read_bytes() == b"a\nb\n"
    assert durable.lines(path) == [b"a", b"b"]
