"""Running a whole command and reading what the kernel counted: CPU seconds, wall seconds, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_FINE = ("0", "75")  # 75: a migration that waits
CHILD = str(Path(__file__).with_name("child.py"))


class Cost(NamedTuple):
    """What one process cost: CPU and wall in seconds, peak resident memory in MiB."""

    cpu: float
    wall: float
    memory: float


class CommandFailedError(Exception):
    """A measured command did not succeed, so its figures mean nothing."""


def cost(command: Sequence[str], cwd: Path | None = None, *, output: str | None = None) -> Cost:
    """Run a command to its end.

    Args:
        command: program and arguments.
        cwd: where to run it.
        output: text that must appear in what it prints, as proof that it did the work.

    Raises:
        CommandFailedError: it ended with an error, or did not print that.
    """
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", CHILD, str(writing), *command], cwd=cwd, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=_environment(), pass_fds=[writing],
    ) as process:  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - asked for above
        os.close(writing)
        printed = process.stdout.read()
    with os.fdopen(reading) as counted:
        status, cpu, wall, memory = counted.read().split()
    if status not in _FINE or (output is not None and output not in printed):
        raise CommandFailedError(f"{' '.join(command)}: exit {status}\n{printed[-2000:]}")
    return Cost(float(cpu), float(wall), float(memory) / 1024)


def _environment() -> dict[str, str]:
    """As a user's: compiled modules may be kept, as those of installed peers are."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def least(commands: Sequence[tuple[Sequence[str], Path | None, str | None]], rounds: int) -> list[Cost]:
    """The least cost of each command over interleaved rounds, so that other load meets all of them alike."""
    found: list[list[Cost]] = [[] for _ in commands]
    for _ in range(rounds):
        for position, (command, cwd, output) in enumerate(commands):
            found[position].append(cost(command, cwd, output=output))
    return [Cost(*(min(one[field] for one in costs) for field in range(3))) for costs in found]
