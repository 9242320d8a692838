"""Plans without a platform, for tests of what is decided and not of what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from realmkit.migrate import expand, playbook
from realmkit.migrate.plan import Phone, Plan
from realmkit.migrate.playbook import Playbook
from realmkit.migrate.timetable import assign
from realmkit.schedule.windows import Window

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday morning
Moves = Literal["resync", "by-hand", "never"]


def window(start: float, end: float) -> Window:
    """From so many hours after the beginning to so many."""
    return Window(START + timedelta(hours=start), START + timedelta(hours=end), "Etc/UTC", f"{start}-{end}", "2026a")


NIGHTS = tuple(window(24 * day + 9.5, 24 * day + 22.5) for day in range(14))


def phone(number: int, *, moves: Moves = "resync", settle: float = 60.0) -> Phone:
    """A phone as a plan has it."""
    return Phone(
        f"{number:032x}", f"Desk {number}", f"user{number}", "805ec0000000", "yealink/t54w", moves, "check-sync",
        settle, False, "digest", None, "old.example",
    )  # fmt: skip


def book(name: str) -> Playbook:
    """A playbook that is shipped."""
    return playbook.find(name, Path("/nowhere")).playbook


def plan_of(
    made_with: Playbook, phones: Sequence[Phone], inputs: Mapping[str, str] | None = None,
    windows: Sequence[Window] = NIGHTS,
) -> Plan:  # fmt: skip
    """A plan, as `operations.make_plan` puts it together from what it has found out."""
    values = playbook.inputs(made_with, dict(inputs or {}))
    stages = expand.stages(made_with.steps, values, phones)
    deadline = START + timedelta(days=14)
    return Plan(
        name="acme", account="a" * 32, account_name="Acme", old="old.example", new="new.example",
        playbook=made_with.name, inputs=values, made=START, deadline=deadline, phones=tuple(phones), stages=stages,
        rollback=tuple(msgspec.to_builtins(made_with.rollback)), windows=tuple(windows),
        timetable=assign(stages, START, windows, deadline),
    )  # fmt: skip
