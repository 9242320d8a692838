"""Which window each stage gets: the first that it fits into after what comes before it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from realmkit.errors import InputError
from realmkit.migrate.plan import latest_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.migrate.plan import Stage
    from realmkit.schedule.windows import Window


class NoWindowError(InputError):
    """A stage fits into no window before the deadline."""


def assign(
    stages: Sequence[Stage], since: datetime, windows: Sequence[Window], deadline: datetime
) -> dict[str, Window]:
    """Give each quiet stage the first window in which it can begin and end.

    Args:
        stages: the stages still to come, in order.
        since: when the first may begin.
        windows: quiet windows, in order.
        deadline: after this nothing may begin.

    Raises:
        NoWindowError: names the stage, how long it needs and the longest window there is.
    """
    found: dict[str, Window] = {}
    at = since
    for stage in stages:
        if stage.quiet:
            window = _first(stage, at, windows, deadline)
            found[stage.id] = window
            at = max(at, window.start)
        at += timedelta(seconds=_own_time(stage))
    return found


def _first(stage: Stage, at: datetime, windows: Sequence[Window], deadline: datetime) -> Window:
    for window in windows:
        begin = max(at, window.start)
        if begin < deadline and begin <= latest_start(window, stage.estimate):
            return window
    left = [window.end - max(at, window.start) for window in windows if window.end > at and window.start < deadline]
    if at >= deadline:
        raise NoWindowError(
            f"{stage.title}: nothing may begin after {deadline:%Y-%m-%d %H:%M} UTC", hint="a later --deadline"
        )
    if not left:
        raise NoWindowError(
            f"{stage.title}: there is no quiet window between {at:%Y-%m-%d %H:%M} and {deadline:%Y-%m-%d %H:%M} UTC",
            hint="a later --deadline",
        )
    raise NoWindowError(
        f"{stage.title}: no quiet window before {deadline:%Y-%m-%d %H:%M} UTC is long enough: it needs "
        f"{minutes(stage.estimate)}, the longest has {minutes(max(left).total_seconds())}",
        hint="a later --deadline, or smaller waves: --set waves=1,10%,50%,100%",
    )


def _own_time(stage: Stage) -> float:
    """What a stage takes by itself: its waiting, or the work of its slowest chain."""
    waits = [task.seconds for chain in stage.chains for task in chain.tasks if task.kind == "delay"]
    return max(waits, default=min(stage.estimate, 60.0))


def minutes(seconds: float) -> str:
    """`1 h 5 min`, `3 min`, `20 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole = round(seconds / 60)
    return f"{whole // 60} h {whole % 60} min" if whole >= 60 else f"{whole} min"
