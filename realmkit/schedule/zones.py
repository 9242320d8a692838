"""Time zones by their IANA names, from the tzdata package, so that the version of the rules is known and recorded.

Local time is a poor key: an hour is missing on one night of the year and comes twice on another. Everything that
decides here works on UTC instants and asks for the local time of each; the other way round, `local_instant`, refuses
what does not exist and asks which is meant where there are two.
"""

from __future__ import annotations

import functools
import importlib
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from realmkit.errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_ONE_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
# Refused: an offset names no place, and its summer time is anybody's guess. The places are those that IANA's own
# `backward` file gives these names to since release 2024b.
_POSIX: Final = re.compile(r"(Etc/)?(GMT|UTC|UCT|Z)?[+-]?[0-9:]+|[A-Z]{3,4}[+-]?[0-9]+([A-Z]{3,4})?.*")
_ABBREVIATIONS: Final = {
    "EST": "America/Panama", "MST": "America/Phoenix", "HST": "Pacific/Honolulu",
    "EST5EDT": "America/New_York", "CST6CDT": "America/Chicago", "MST7MDT": "America/Denver",
    "PST8PDT": "America/Los_Angeles", "CET": "Europe/Brussels", "MET": "Europe/Brussels",
    "EET": "Europe/Athens", "WET": "Europe/Lisbon",
}  # fmt: skip


class LocalTimeError(InputError):
    """A local time that does not exist, or exists twice.

    Args:
        message: what is wrong.
        hint: what to write instead.
        suggestions: the instants (UTC) that may be meant: for a gap the same clock reading taken with the offset
            before and with the offset after it, for a fold the first and the second pass.
    """

    def __init__(self, message: str, *, hint: str, suggestions: tuple[datetime, datetime]) -> None:
        super().__init__(message, hint=hint)
        self.suggestions = suggestions


class Transition(Struct, frozen=True):
    """An instant at which the clocks of a zone are changed.

    Attributes:
        at: the first instant (UTC) of the new offset.
        before: offset from UTC until then.
        after: offset from UTC from then on.
        zone: the zone's IANA name.
    """

    at: datetime
    before: timedelta
    after: timedelta
    zone: str


def tzdata_version() -> str:
    """The release of the IANA database in use, as `2026f`."""
    return str(importlib.import_module("tzdata").IANA_VERSION)


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        InputError: the name is not IANA's, or stands for an offset rather than for a place.
    """
    if name in _ABBREVIATIONS or (_POSIX.fullmatch(name) and name != "UTC"):
        place = _ABBREVIATIONS.get(name)
        raise InputError(
            f"{name!r} is an offset or an abbreviation, which does not say when its clocks change",
            hint=f"name a place: did you mean {place}?" if place else "name a place, such as Europe/Berlin, or UTC",
        )
    if name not in names():
        near = near_names(name)
        raise InputError(
            f"{name!r} is no time zone of the IANA database ({tzdata_version()})",
            hint=f"did you mean {' or '.join(near)}?" if near else "IANA's names look like America/Havana",
        )
    return _load(name)


@functools.lru_cache(maxsize=1024)
def _load(name: str) -> ZoneInfo:
    """From the package, not from the machine's own files, whose version nobody knows."""
    with _package().joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@functools.lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every name of the IANA database, old names included."""
    return frozenset(_package().joinpath("zones").read_text(encoding="ascii").split()) - {"Factory"}


def _package() -> Traversable:
    from importlib.resources import files

    return files("tzdata")


def near_names(name: str) -> list[str]:
    """Names that may be meant: the same in other letters, the same city, or a similar spelling; three at most."""
    import difflib

    wanted = name.strip().replace(" ", "_").casefold()
    known = {one.casefold(): one for one in sorted(names())}
    if wanted in known:
        return [known[wanted]]
    city = wanted.rpartition("/")[2]
    same = [one for key, one in known.items() if key.rpartition("/")[2] == city]
    if same:
        return sorted(same, key=lambda one: (len(one), one))[:3]
    cities = {key.rpartition("/")[2]: one for key, one in known.items()}
    found = [known[key] for key in difflib.get_close_matches(wanted, known, 3, 0.75)]
    return found or [cities[key] for key in difflib.get_close_matches(city, cities, 3, 0.75)]


def offset(place: ZoneInfo, instant: datetime) -> timedelta:
    """What the clocks there are ahead of UTC at that instant (aware)."""
    found = instant.astimezone(place).utcoffset()
    assert found is not None  # noqa: S101 - a ZoneInfo always knows
    return found


@functools.lru_cache(maxsize=4096)
def transitions(place: ZoneInfo, since: datetime, until: datetime) -> tuple[Transition, ...]:
    """Every change of the clocks in `since < at <= until` (aware UTC), in order.

    The zone is asked once a day and the change is then found by halving. That misses none: since 1970 no zone has
    changed its clocks twice within six days. A change of name alone (the same offset) is none.
    """
    found = []
    left, before = since, offset(place, since)
    while left < until:
        right = min(left + _ONE_DAY, until)
        after = offset(place, right)
        if after != before:
            found.append(Transition(_halve(place, left, right, before), before, after, place.key))
        left, before = right, after
    return tuple(found)


def _halve(place: ZoneInfo, left: datetime, right: datetime, before: timedelta) -> datetime:
    while right - left > _SECOND:
        middle = left + (right - left) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle <= left:
            middle = left + _SECOND
        if offset(place, middle) == before:
            left = middle
        else:
            right = middle
    return right.replace(microsecond=0)


def local_instant(place: ZoneInfo, day: date, clock: time, fold: Literal[0, 1] | None = None) -> datetime:
    """The instant (UTC) at which the clocks there show that time of that day.

    Args:
        place: the zone.
        day: the local date.
        clock: the local time of day, naive.
        fold: for a time that comes twice: 0 the first pass, 1 the second.

    Raises:
        LocalTimeError: the time is skipped that day, or comes twice and `fold` does not say which is meant.
    """
    wall = datetime.combine(day, clock.replace(tzinfo=None, fold=0))
    first, second = (wall.replace(tzinfo=place, fold=one).astimezone(UTC) for one in (0, 1))
    if first == second:
        return first
    if first.astimezone(place).replace(tzinfo=None) != wall:
        raise _skipped(place, wall, (second, first))
    if fold is None:
        raise _repeated(place, wall, (first, second))
    return second if fold else first


def _skipped(place: ZoneInfo, wall: datetime, near: tuple[datetime, datetime]) -> LocalTimeError:
    texts = " or ".join(_wall_text(place, instant, wall.date()) for instant in near)
    return LocalTimeError(
        f"{wall:%H:%M} does not exist in {place.key} on {wall:%Y-%m-%d}: the clocks skip it",
        hint=f"say {texts}",
        suggestions=near,
    )


def _repeated(place: ZoneInfo, wall: datetime, passes: tuple[datetime, datetime]) -> LocalTimeError:
    texts = [offset_text(offset(place, instant)) for instant in passes]
    return LocalTimeError(
        f"{wall:%H:%M} comes twice in {place.key} on {wall:%Y-%m-%d}: at {texts[0]} and again at {texts[1]}",
        hint=f"say which: fold 0 is the first ({texts[0]}), fold 1 the second ({texts[1]})",
        suggestions=passes,
    )


def _wall_text(place: ZoneInfo, instant: datetime, day: date) -> str:
    local = instant.astimezone(place)
    text = local.strftime("%H:%M" if local.date() == day else "%Y-%m-%d %H:%M")
    return f"{text} ({offset_text(offset(place, instant))})"


def day_start(place: ZoneInfo, day: date) -> datetime:
    """The first instant (UTC) of that local date, even where midnight is skipped or comes twice."""
    try:
        return local_instant(place, day, time(), 0)
    except LocalTimeError as error:
        around = error.suggestions
        inside = transitions(place, around[0] - _ONE_DAY, around[1] + _ONE_DAY)
        return next(one.at for one in inside if around[0] <= one.at <= around[1])


def offset_text(ahead: timedelta) -> str:
    """An offset as `+02:00`."""
    return datetime(2000, 1, 1, tzinfo=timezone(ahead)).isoformat()[19:]
