"""How opening hours and quiet windows look: as text for people, as plain data for JSON."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from realmkit.schedule.suggest import DAY_NAMES
from realmkit.schedule.windows import local_text, moment_text
from realmkit.schedule.zones import offset_text, tzdata_version

if TYPE_CHECKING:
    from datetime import timedelta

    from realmkit.schedule.hours import Site
    from realmkit.schedule.outlook import Cell, Outlook, SiteDay
    from realmkit.schedule.rules import Spans
    from realmkit.schedule.zones import Transition

_BLOCKS: Final[dict[Cell, str]] = {"open": "█", "partly": "▒", "closed": "·", "quiet": " ", "unseen": "?"}
_PLAIN: Final[dict[Cell, str]] = {"open": "#", "partly": "+", "closed": ".", "quiet": " ", "unseen": "?"}
_MEANING: Final[dict[Cell, str]] = {
    "open": "open", "partly": "open in part or in some weeks", "closed": "closed, but in no window",
    "quiet": "quiet window", "unseen": "not looked at, or skipped by the clocks",
}  # fmt: skip


def outlook_text(seen: Outlook) -> str:
    """What `schedule hours` prints."""
    parts: list[str] = []
    for place, days in zip(seen.sites, seen.days, strict=True):
        parts.append(click.style(_title(place), bold=True))
        parts += [_day_text(day) for day in days]
        parts.append("")
    zone = seen.sites[0].zone
    parts.append(click.style(f"quiet windows, {zone.key} (tzdata {tzdata_version()}), {_settings(seen)}", bold=True))
    parts += [f"  {one.local}  {length_text(one.length)}" for one in seen.windows] or [f"  none: {_why_none(seen)}"]
    parts += [_change_text(one, seen) for one in seen.changes]
    return "\n".join([*parts, "", *_picture(seen)])


def _title(place: Site) -> str:
    where = f"{place.zone.key}, {place.holidays.code}" if place.holidays else place.zone.key
    return f"{place.name}  {place.text}  ({where})"


def _day_text(day: SiteDay) -> str:
    notes = [f"public holiday: {day.holiday}"] if day.holiday else []
    notes += ["day off"] if day.day_off else []
    if day.change:
        notes.append(_clocks(day.change))
    if day.lost:
        notes.append(f"{_spans_text(day.lost)} of the evening before is cut off by a later rule")
    hours = _spans_text(day.open) or click.style("closed", dim=True)
    ending = "  " + click.style("; ".join(notes), fg="cyan") if notes else ""
    return f"  {DAY_NAMES[day.date.weekday()]} {day.date} {offset_text(day.offset)}  {hours}{ending}"


def _spans_text(spans: Spans) -> str:
    return ", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _clocks(change: Transition) -> str:
    way = "forward" if change.after > change.before else "back"
    return f"clocks go {way} {length_text(abs(change.after - change.before))}, {_offsets(change)}"


def _offsets(change: Transition) -> str:
    return f"from {offset_text(change.before)} to {offset_text(change.after)}"


def _settings(seen: Outlook) -> str:
    asked = seen.settings
    return (
        f"{length_text(asked.shortest)} or longer, {length_text(asked.pad)} from open hours, "
        f"{length_text(asked.avoid_dst)} from clock changes"
    )


def _why_none(seen: Outlook) -> str:
    if all(one in {"open", "unseen"} for row in seen.grid for one in row):
        return "always open; move such an account phone by phone, each when it is in no call"
    return "what is closed is too short; try a smaller --shortest or --pad, or a longer --next"


def _change_text(change: Transition, seen: Outlook) -> str:
    zone, keep = seen.sites[0].zone, seen.settings.avoid_dst
    kept = f"kept clear {local_text(zone, change.at - keep, change.at + keep)}" if keep else "windows may run across it"
    head = click.style("  clock change", fg="yellow")
    return f"{head} in {change.zone}, {_offsets(change)}, {moment_text(zone, change.at)}: {kept}"


def _picture(seen: Outlook) -> list[str]:
    """The week, a row for each day and a column for each hour."""
    signs = _BLOCKS if _can_draw() else _PLAIN
    width = "".join(f"{hour:<6}" for hour in range(0, 24, 6)).rstrip()
    rows = [f"  {DAY_NAMES[day]} |{''.join(signs[cell] for cell in row)}|" for day, row in enumerate(seen.grid)]
    used = {cell for row in seen.grid for cell in row}
    legend = ", ".join(f"[{sign}] {_MEANING[cell]}" for cell, sign in signs.items() if cell in used)
    return [f"      {width}  hour, {seen.sites[0].zone.key}", *rows, f"      {legend}"]


def _can_draw() -> bool:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding == "utf8" and not os.environ.get("NO_COLOR")


def length_text(length: timedelta) -> str:
    """`13 h`, `45 min`, `2 d 15 h 30 min`."""
    minutes = int(length.total_seconds()) // 60
    parts = (minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def outlook_json(seen: Outlook) -> dict[str, Any]:
    """What `schedule hours --json` prints; instants are UTC, `seconds` elapsed time."""
    return {
        "since": seen.since.isoformat(),
        "until": seen.until.isoformat(),
        "tzdata": tzdata_version(),
        "sites": [
            {"name": place.name, "hours": place.text, "timezone": place.zone.key}
            | {"country": place.holidays.code if place.holidays else None, "days": list(map(_day_json, days))}
            for place, days in zip(seen.sites, seen.days, strict=True)
        ],
        "windows": [
            {"start": one.start.isoformat(), "end": one.end.isoformat(), "seconds": int(one.length.total_seconds())}
            | {"zone": one.zone, "local": one.local, "tzdata": one.tzdata}
            for one in seen.windows
        ],
        "clock_changes": [
            {"at": one.at.isoformat(), "zone": one.zone}
            | {"before": offset_text(one.before), "after": offset_text(one.after)}
            for one in seen.changes
        ],
        "week": {DAY_NAMES[number]: list(row) for number, row in enumerate(seen.grid)},
    }


def _day_json(day: SiteDay) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "offset": offset_text(day.offset),
        "open": [[_clock(start), _clock(end)] for start, end in day.open],
        "holiday": day.holiday,
        "day_off": day.day_off,
        "lost": [[_clock(start), _clock(end)] for start, end in day.lost],
    }
