"""What the coming days look like: open hours day by day, quiet windows, and the week as a grid of hours."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from realmkit.schedule.hours import Site, checked, day_of, open_spans
from realmkit.schedule.rules import Spans
from realmkit.schedule.spans import union
from realmkit.schedule.windows import Window, clock_changes, quiet_windows
from realmkit.schedule.zones import Transition, day_start, offset, transitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ONE_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_STEP: Final = timedelta(minutes=15)

Cell = Literal["open", "partly", "closed", "quiet", "unseen"]


class Settings(Struct, frozen=True):
    """What a window has to be: see `quiet_windows`."""

    pad: timedelta
    shortest: timedelta
    avoid_dst: timedelta


class SiteDay(Struct, frozen=True):
    """One calendar day of a site.

    Attributes:
        date: the local date.
        offset: what its clocks are ahead of UTC when the day begins.
        open: when it is open, in minutes of local time.
        holiday: the public holiday on that date, if any.
        day_off: whether the date is one of the site's days off.
        lost: what the evening before would have reached into the day, had not a later rule replaced or closed it.
        change: the change of its clocks on that day, if any.
    """

    date: date
    offset: timedelta
    open: Spans
    holiday: str | None
    day_off: bool
    lost: Spans
    change: Transition | None


class Outlook(Struct, frozen=True):
    """The days from `since` to `until` (UTC).

    Attributes:
        sites: the sites; windows and grid are shown in the zone of the first.
        since: the first instant.
        until: the first instant after it.
        days: for each site, its calendar days.
        windows: the quiet windows.
        changes: changes of clocks in or near the time, around which no window lies.
        grid: for each weekday from Monday, its 24 hours: `open` or `closed` in every week, `partly` open in some part
            or some week, `quiet` when it lies in a window in every week, `unseen` when the time does not reach it.
        settings: what the windows had to be.
    """

    sites: tuple[Site, ...]
    since: datetime
    until: datetime
    days: tuple[tuple[SiteDay, ...], ...]
    windows: tuple[Window, ...]
    changes: tuple[Transition, ...]
    grid: tuple[tuple[Cell, ...], ...]
    settings: Settings


def look(sites: Sequence[Site], since: datetime, until: datetime, settings: Settings) -> Outlook:
    """Look ahead. Raises as `quiet_windows` does."""
    since, until = checked(since), checked(until)
    windows = quiet_windows(
        sites, since, until, pad=settings.pad, shortest=settings.shortest, avoid_dst=settings.avoid_dst
    )
    changes = clock_changes(sites, since, until, settings.avoid_dst)
    days = tuple(tuple(_days(one, since, until)) for one in sites)
    grid = _grid(sites, since, until, windows)
    return Outlook(tuple(sites), since, until, days, tuple(windows), tuple(changes), grid, settings)


def _days(place: Site, since: datetime, until: datetime) -> Iterator[SiteDay]:
    day = since.astimezone(place.zone).date()
    while day_start(place.zone, day) < until:
        yield _site_day(place, day)
        day += _ONE_DAY


def _site_day(place: Site, day: date) -> SiteDay:
    begins, follows = day_start(place.zone, day), day_start(place.zone, day + _ONE_DAY)
    changes = transitions(place.zone, begins - _SECOND, follows - _SECOND)
    hours = day_of(place, day)
    # A name for the eye: hours without PH don't fail for want of a calendar.
    holiday = place.holiday(day) if place.holidays and place.holidays.covers(day.year) else None
    return SiteDay(
        day, offset(place.zone, begins), hours.open, holiday, day in place.days_off, hours.lost,
        changes[0] if changes else None,
    )  # fmt: skip


def _grid(
    sites: Sequence[Site], since: datetime, until: datetime, windows: Sequence[Window]
) -> tuple[tuple[Cell, ...], ...]:
    """Quarters of an hour, gathered by local weekday and hour; a quarter is quiet only if all of it is."""
    opened = union(span for one in sites for span in open_spans(one, since, until))
    quiet = [(one.start, one.end) for one in windows]
    seen: dict[tuple[int, int], set[Cell]] = {}
    now = since
    while now < until:
        end = min(now + _STEP, until)
        local = now.astimezone(sites[0].zone)
        state: Cell = "open" if _touches(opened, now, end) else "quiet" if _covers(quiet, now, end) else "closed"
        seen.setdefault((local.weekday(), local.hour), set()).add(state)
        now = end
    return tuple(tuple(_cell(seen.get((day, hour), set())) for hour in range(24)) for day in range(7))


def _cell(states: set[Cell]) -> Cell:
    if not states:
        return "unseen"
    if len(states) == 1:
        return next(iter(states))
    return "partly" if "open" in states else "closed"


def _touches(spans: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime) -> bool:
    before = bisect_right(spans, start, key=lambda one: one[0]) - 1
    return (before >= 0 and spans[before][1] > start) or (before + 1 < len(spans) and spans[before + 1][0] < end)


def _covers(spans: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime) -> bool:
    before = bisect_right(spans, start, key=lambda one: one[0]) - 1
    return before >= 0 and spans[before][1] >= end
