"""Progress bars on standard error, drawn by rich, which is loaded only when a bar is shown."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Task


class RateColumn(ProgressColumn):
    """Steps a second, where they come fast enough to be counted so."""

    def render(self, task: Task) -> Text:
        """`1,234/s`; nothing until it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if not speed or speed < 1 else f"{speed:,.0f}/s", style="progress.data.speed")


_progress: list[Progress] = []


def meter(label: str, total: int) -> Callable[[int], None]:
    """Start a bar and return what moves it on; it goes away when it is full."""
    progress = _shared()
    task = progress.add_task(label, total=total)

    def advance(steps: int) -> None:
        progress.advance(task, steps)
        if progress.tasks and all(one.finished for one in progress.tasks):
            progress.stop()
            _progress.clear()

    return advance


def _shared() -> Progress:
    if not _progress:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeElapsedColumn(),
        )  # fmt: skip
        progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        progress.start()
        atexit.register(progress.stop)
        _progress.append(progress)
    return _progress[0]
