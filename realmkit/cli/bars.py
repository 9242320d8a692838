"""Progress bars on standard error, drawn by rich, which is loaded only when a bar is shown."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable

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
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        progress.start()
        atexit.register(progress.stop)
        _progress.append(progress)
    return _progress[0]
