"""The examples for cron and systemd say what realmkit understands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from realmkit.cli.health import check

CRON = Path(__file__).parents[2] / "examples" / "cron"
COMMAND = re.compile(r"realmkit health check(?P<options>( +[^\s`()]+)*)")


@pytest.mark.parametrize("file", ["crontab", "realmkit-health.service"])
def test_the_commands_are_understood(file: str) -> None:
    lines = [line for line in (CRON / file).read_text().splitlines() if not line.startswith("#")]
    commands = [shlex.split(found["options"]) for line in lines for found in COMMAND.finditer(line)]
    assert commands
    for options in commands:
        assert "--cron" in options
        check.make_context("check", options)  # click ends with an error where it does not know an option


def test_the_crontab_has_five_times_and_a_command() -> None:
    lines = [line for line in (CRON / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    jobs = [line for line in lines if not re.match("[A-Z]+=", line)]
    assert len(jobs) == 2
    for job in jobs:
        assert re.match(r"([0-9*/,-]+\s+){5}cd /\S+ && realmkit ", job)
        assert "%" not in job  # cron would take it for a line's end


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for name in ("realmkit-health.service", "realmkit-health.timer"):
        text = (CRON / name).read_text().replace("ExecStart=realmkit", "ExecStart=/bin/true")
        (tmp_path / name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "realmkit" in line]
    assert (done.returncode, ours) == (0, [])
