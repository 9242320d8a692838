"""Runs: the diary of each apply. Plan and inverse are on disk, synced, before the first record changes.

`.realmkit/runs/20261122T220501Z-1a2b3c4d5e6f/` holds `plan.json` (apply it again to resume), `inverse.json` (what
`dns rollback` applies) and `log.jsonl`: a line before and after each batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from realmkit import durable
from realmkit.dns.work import planfile
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from realmkit.dns.work.planfile import PlanFile


class Run(Struct, frozen=True):
    """One apply's directory."""

    path: Path

    @property
    def name(self) -> str:
        """What `dns rollback` takes."""
        return self.path.name

    @property
    def plan_path(self) -> Path:
        """The plan as it was applied."""
        return self.path / "plan.json"

    @property
    def inverse_path(self) -> Path:
        """What undoes it."""
        return self.path / "inverse.json"

    def log(self, now: datetime, event: str, **facts: Any) -> None:
        """Add one event, synced. Raises StateError when the disk won't take it."""
        line: Mapping[str, Any] = {"at": now.isoformat(timespec="milliseconds"), "event": event} | facts
        durable.append(self.path / "log.jsonl", msgspec.json.encode(line))

    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        return [msgspec.json.decode(line) for line in durable.lines(self.path / "log.jsonl")]


def begin(state_dir: Path, file: PlanFile, now: datetime) -> Run:
    """Make a run's directory with plan and inverse in it, synced.

    Raises:
        StateError: the disk won't take it; then nothing may be applied.
    """
    run = Run(state_dir / "runs" / f"{now:%Y%m%dT%H%M%S%fZ}-{file.plan.digest[:12]}")
    planfile.save(file, run.plan_path)
    planfile.save(planfile.inverse(file), run.inverse_path)
    run.log(now, "begun", digest=file.plan.digest, changes=file.plan.size)
    durable.sync_directory(run.path.parent)
    return run


def find(state_dir: Path, name: str | None) -> Run:
    """A run by name or by the beginning of its name; without one, the latest.

    Raises:
        InputError: there is none, or more than one fits.
    """
    root = state_dir / "runs"
    there = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if name is None:
        if not there:
            raise InputError(f"no run yet under {root}")
        return Run(root / there[-1])
    fitting = [one for one in there if one.startswith(name) or one.partition("-")[2].startswith(name)]
    if len(fitting) != 1:
        word = "no run" if not fitting else f"{len(fitting)} runs"
        raise InputError(f"{word} under {root} fit {name!r}", hint="known are: " + (", ".join(there[-5:]) or "none"))
    return Run(root / fitting[0])
