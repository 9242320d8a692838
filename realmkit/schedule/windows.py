"""Quiet windows: when every site is closed, with a margin, and no clock is about to be changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.errors import InputError
from realmkit.schedule.hours import Site, checked, open_spans
from realmkit.schedule.spans import gaps, union
from realmkit.schedule.suggest import DAY_NAMES
from realmkit.schedule.zones import Transition, offset, offset_text, transitions, tzdata_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

PAD: Final = timedelta(minutes=30)
AVOID_DST: Final = timedelta(hours=3)
_NOTHING: Final = timedelta()


class Window(Struct, frozen=True):
    """A time in which nobody works.

    Attributes:
        start: the first instant, UTC.
        end: the first instant after it, UTC.
        zone: the IANA name of the zone in which it is shown.
        local: the window in that zone's local time, with its offset from UTC.
        tzdata: the release of the IANA database that it was computed with; with another one, compute it again.
    """

    start: datetime
    end: datetime
    zone: str
    local: str
    tzdata: str

    @property
    def length(self) -> timedelta:
        """Elapsed time from start to end."""
        return self.end - self.start

    def holds(self, instant: datetime) -> bool:
        """Whether that instant (aware) lies in the window."""
        return self.start <= checked(instant) < self.end


def quiet_windows(
    sites: Sequence[Site],
    since: datetime,
    until: datetime,
    *,
    pad: timedelta = PAD,
    shortest: timedelta,
    avoid_dst: timedelta = AVOID_DST,
) -> list[Window]:
    """The windows in `[since, until)` in which every site is closed, longest possible, disjoint and in order.

    Args:
        sites: at least one; windows are shown in the zone of the first.
        since: aware.
        until: aware.
        pad: the margin kept before each opening and after each closing.
        shortest: windows that are shorter (in elapsed time) are left out.
        avoid_dst: the time kept clear before and after each change of any site's clocks: a window ends before it and
            the next one begins after it. Zero lets windows run across changes.

    Raises:
        InputError: there is no site, or nothing is known about the public holidays of a year.
        ValueError: an instant is naive, or a length is negative or (for `shortest`) zero.
    """
    if not sites:
        raise InputError("no site, hence no opening hours and no quiet time", hint="list the account's `sites:`")
    if shortest <= _NOTHING or pad < _NOTHING or avoid_dst < _NOTHING:
        raise ValueError("pad and avoid_dst can't be negative, shortest must be positive")
    since, until = checked(since), checked(until)
    busy = [(start - pad, end + pad) for one in sites for start, end in open_spans(one, since - pad, until + pad)]
    busy += [(one.at - avoid_dst, one.at + avoid_dst) for one in clock_changes(sites, since, until, avoid_dst)]
    return [
        Window(start, end, sites[0].zone.key, local_text(sites[0].zone, start, end), tzdata_version())
        for start, end in gaps(union(busy), since, until)
        if end - start >= shortest
    ]


def clock_changes(
    sites: Sequence[Site], since: datetime, until: datetime, within: timedelta = AVOID_DST
) -> list[Transition]:
    """The changes of any site's clocks that are less than `within` away from `[since, until)`; each zone's once."""
    zones = {one.zone.key: one.zone for one in sites}.values()
    found = {change for zone in zones for change in transitions(zone, checked(since) - within, checked(until) + within)}
    return sorted(found, key=lambda one: (one.at, one.zone))


def local_text(zone: ZoneInfo, start: datetime, end: datetime) -> str:
    """A span in local time: `Tu 2026-11-24 18:30 - We 2026-11-25 07:30 +01:00`, both offsets where they differ."""
    first, last = offset_text(offset(zone, start)), offset_text(offset(zone, end))
    return f"{moment_text(zone, start)}{'' if first == last else f' {first}'} - {moment_text(zone, end)} {last}"


def moment_text(zone: ZoneInfo, instant: datetime) -> str:
    """An instant as `Tu 2026-11-24 18:30`, local."""
    local = instant.astimezone(zone)
    return f"{DAY_NAMES[local.weekday()]} {local:%Y-%m-%d %H:%M}"
