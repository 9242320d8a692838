"""A site's opening hours in its own time zone, with its public holidays and days off.

Hours are local, instants are UTC. Every instant has one local time, so asking "what do the clocks there show now" is
right in the hour that is skipped and in both passes of the hour that comes twice; the other direction is never taken.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from realmkit.errors import InputError
from realmkit.schedule.calendars import Holidays, public_holidays
from realmkit.schedule.parse import parse
from realmkit.schedule.rules import DAY, DateRange, Day, HoursError, Point, Rule, Rules
from realmkit.schedule.spans import union
from realmkit.schedule.zones import offset, transitions, zone

if TYPE_CHECKING:
    from realmkit.accountfile import SiteEntry

__all__ = ["HoursError", "Rules", "Site", "day_of", "is_open", "make_site", "open_spans", "parse", "site"]

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MINUTE: Final = timedelta(minutes=1)


class Site(Struct, frozen=True):
    """A place where people work.

    Attributes:
        name: what people call it.
        rules: when it is open; a rule at the end closes the days off.
        zone: where its clocks are.
        holidays: its public holidays; None where no country is given.
        text: its hours as they were written.
        days_off: further dates on which it is closed.
    """

    name: str
    rules: Rules
    zone: ZoneInfo
    holidays: Holidays | None
    text: str
    days_off: frozenset[date] = frozenset()

    def holiday(self, day: date) -> str | None:
        """The public holiday on that date, or None."""
        return self.holidays.name(day) if self.holidays else None

    def is_holiday(self, day: date) -> bool:
        """Whether that date is a public holiday."""
        return self.holiday(day) is not None


def site(entry: SiteEntry, default_timezone: str) -> Site:
    """The site that an entry of `accounts/NAME.yml` describes.

    Args:
        entry: the entry.
        default_timezone: the account's, for a site without its own.

    Raises:
        InputError: something in it can't be; HoursError where it is the hours.
    """
    try:
        return make_site(
            entry.name, entry.hours, entry.timezone or default_timezone,
            country=entry.country, days_off=entry.days_off,
        )  # fmt: skip
    except HoursError as error:
        raise HoursError(
            f"site {entry.name!r}: hours {entry.hours!r}: {error.message}", column=error.column, hint=error.hint
        ) from None
    except InputError as error:
        raise InputError(f"site {entry.name!r}: {error.message}", hint=error.hint) from None


def make_site(
    name: str, hours: str, timezone: str, *, country: str | None = None, days_off: tuple[str, ...] = ()
) -> Site:
    """A site from plain texts.

    Args:
        name: what people call it.
        hours: when it is open, in opening-hours syntax.
        timezone: an IANA name.
        country: ISO 3166-1 or 3166-2, which `PH` needs.
        days_off: further dates on which it is closed, `2026-12-24`.

    Raises:
        HoursError: the hours can't be read, or speak of public holidays without a country.
        InputError: the zone, the country or a date is unknown.
    """
    rules = parse(hours)
    asks = rules.holiday_rule
    if asks and not country:
        raise HoursError(
            f"column {asks.column}: this rule says PH, and no country says which days those are",
            column=asks.column,
            hint="add the country, ISO 3166: CU, DE-BY, US-TX",
        )
    calendar = public_holidays(country) if country else None
    closed = frozenset(map(_day_off, days_off))
    return Site(name, _without(rules, closed), zone(timezone), calendar, hours, closed)


def _without(rules: Rules, days: frozenset[date]) -> Rules:
    """The rules with one more at the end, as if `; DATE, DATE off` had been written."""
    if not days:
        return rules
    points = [(Point(one.month, one.day), one.year) for one in sorted(days)]
    dates = tuple(DateRange(point, point, (year, year)) for point, year in points)
    return Rules(rules.text, (*rules.rules, Rule(len(rules.text) + 1, opens=False, replaces=True, dates=dates)))


def _day_off(text: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InputError(f"days_off: {text!r} is no date", hint="write dates as 2026-12-24")


def day_of(place: Site, day: date) -> Day:
    """When the site is open on a calendar day, in minutes of local time.

    Raises:
        InputError: the rules say PH, and nothing is known about the public holidays of that year.
    """
    return place.rules.day(day, place.is_holiday)


def is_open(place: Site, instant: datetime) -> bool:
    """Whether the site is open at that instant.

    Args:
        place: the site.
        instant: aware; an opening time belongs to the hours, a closing time does not.
    """
    local = checked(instant).astimezone(place.zone)
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in day_of(place, local.date()).open)


def open_spans(place: Site, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """When the site is open in `[since, until)`, as UTC instants, disjoint and in order.

    Between two changes of its clocks local time is UTC and a constant. The spans of each such stretch are the hours of
    its local days, moved by that constant and clipped to the stretch: the same answer as asking `is_open` for every
    minute, at the cost of one look at each day.
    """
    since, until = checked(since), checked(until)
    edges = [since, *(one.at for one in transitions(place.zone, since, until)), until]
    found: list[tuple[datetime, datetime]] = []
    for left, right in pairwise(edges):
        ahead = offset(place.zone, left)
        midnight = (left + ahead).replace(hour=0, minute=0, second=0, microsecond=0)
        while midnight - ahead < right:
            found += [
                (max(left, midnight + start * _MINUTE - ahead), min(right, midnight + end * _MINUTE - ahead))
                for start, end in day_of(place, midnight.date()).open
            ]
            midnight += DAY * _MINUTE
    return union(found)


def checked(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: the instant is naive, so that nobody knows when it is.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.astimezone(UTC)
