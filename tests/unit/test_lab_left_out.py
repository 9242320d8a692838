"""Where there can be no lab: its tests are left out in one line, or fail where they are required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHOSEN = "tests/lab/test_lab.py::test_servers_are_alone_in_their_network"


def run_pytest(**more: str) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("LAB", "REALMKIT_LAB")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CHOSEN]
    done = subprocess.run(command, env=environment | more, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def left_out(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("left out:")]


@pytest.mark.parametrize(
    ("more", "reason"), [({"LAB": "no"}, "LAB=no"), ({"PATH": "/nowhere"}, "not installed: "),
                         ({"PATH": "/nowhere", "REALMKIT_LAB": "optional"}, "not installed: ")],
)  # fmt: skip
def test_one_line_says_what_was_left_out_and_how_to_have_it(more: dict[str, str], reason: str) -> None:
    if os.geteuid() != 0 and reason != "LAB=no":
        reason = "needs root"
    code, said = run_pytest(**more)
    (line,) = left_out(said)
    assert code == 0
    assert line.startswith("left out: 1 lab tests in tests/lab/test_lab.py (")
    assert reason in line
    assert "make test" in line
    assert "1 skipped" in said


@pytest.mark.parametrize("lab", ["", "no"])
def test_a_required_lab_that_is_not_there_is_a_failure(lab: str) -> None:
    code, said = run_pytest(PATH="/nowhere", REALMKIT_LAB="required", LAB=lab)
    assert code == 1
    assert "REALMKIT_LAB=required, but there is no lab" in said
    assert "skipped" not in said
