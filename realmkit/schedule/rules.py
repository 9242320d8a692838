"""Opening hours as rules, and what they say about one calendar day.

The meaning is that of the OpenStreetMap specification of `opening_hours` (version 0.7): rules are read from left to
right, each says something about the days that it matches. After `;` an opening rule replaces what earlier rules say
about those calendar days, after `,` it adds to it. `off` takes away: the times that it names, else the whole day.
A range that runs past midnight belongs to the day on which it starts, its rest lies on the next calendar day, and is
replaced or taken away with that day.
"""

from __future__ import annotations

import functools
from calendar import monthrange
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from realmkit.errors import InputError
from realmkit.schedule.spans import subtract, union

if TYPE_CHECKING:
    from collections.abc import Callable

DAY: Final = 1440
_ONE_DAY: Final = timedelta(days=1)

Spans = tuple[tuple[int, int], ...]


class HoursError(InputError):
    """Opening hours that can't be read.

    Args:
        message: what is wrong, with its column.
        column: 1-based place in the text.
        hint: what to write instead.
    """

    def __init__(self, message: str, *, column: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.column = column


class Point(Struct, frozen=True):
    """A day of any year: a month and a day, or so many days from Easter Sunday."""

    month: int
    day: int
    easter: int | None = None

    def of(self, year: int) -> tuple[int, int]:
        """Month and day in that year. `Feb 29` stays what it is, and is no day in a common year."""
        if self.easter is None:
            return self.month, self.day
        found = easter_sunday(year) + timedelta(days=self.easter)
        return found.month, found.day


class DateRange(Struct, frozen=True):
    """Days of the year from `first` to `last`, which may lie in the next year (`Dec 24-Jan 02`).

    Attributes:
        first: the first day.
        last: the last day, included.
        years: the first and the last year in which the range may begin; None for every year.
        last_year: the year of `last`, where the text says so.
    """

    first: Point
    last: Point
    years: tuple[int, int] | None = None
    last_year: int | None = None

    def holds(self, day: date) -> bool:
        """Whether that day lies in the range."""
        here = (day.month, day.day)
        first, last = self.first.of(day.year), self.last.of(day.year)
        if self.years and self.last_year is not None:
            return (self.years[0], *self.first.of(self.years[0])) <= (day.year, *here) <= (
                self.last_year, *self.last.of(self.last_year),
            )  # fmt: skip
        if first <= last:
            return first <= here <= last and self._begins_in(day.year)
        return (here >= first and self._begins_in(day.year)) or (here <= last and self._begins_in(day.year - 1))

    def _begins_in(self, year: int) -> bool:
        return self.years is None or self.years[0] <= year <= self.years[1]


class Weekdays(Struct, frozen=True):
    """Weekdays from `first` to `last` (0 is Monday; `Fr-Mo` goes round), or only the nth of the month.

    Attributes:
        first: the first weekday.
        last: the last, included.
        nth: 1 to 5 counted from the month's beginning, -1 to -5 from its end; empty for all.
    """

    first: int
    last: int
    nth: tuple[int, ...] = ()

    def holds(self, day: date) -> bool:
        """Whether that day is one of them."""
        weekday = day.weekday()
        inside = (
            self.first <= weekday <= self.last
            if self.first <= self.last
            else weekday >= self.first or weekday <= self.last
        )
        if not inside or not self.nth:
            return inside
        from_end = monthrange(day.year, day.month)[1] - day.day
        return (day.day - 1) // 7 + 1 in self.nth or -(from_end // 7 + 1) in self.nth


class Rule(Struct, frozen=True):
    """One rule.

    Attributes:
        column: 1-based place in the text.
        opens: whether it opens or closes.
        replaces: whether it follows `;` (or comes first) rather than `,`.
        dates: days of the year, any of which will do; empty for all.
        days: weekdays, any of which will do; empty for all.
        holidays: `also` on public holidays beside `days`, `only` on those that are (also) one of `days`.
        times: minutes from the day's midnight, up to 2880; None for the whole day.
        comment: what stands in quotes.
    """

    column: int
    opens: bool
    replaces: bool
    dates: tuple[DateRange, ...] = ()
    days: tuple[Weekdays, ...] = ()
    holidays: Literal["no", "also", "only"] = "no"
    times: Spans | None = None
    comment: str = ""

    def matches(self, day: date, is_holiday: Callable[[date], bool]) -> bool:
        """Whether the rule says something about that day."""
        if self.dates and not any(one.holds(day) for one in self.dates):
            return False
        among = not self.days or any(one.holds(day) for one in self.days)
        if self.holidays == "no":
            return among
        if self.holidays == "only":
            return among and is_holiday(day)
        return among or is_holiday(day)

    @property
    def today(self) -> Spans:
        """Its minutes of the day itself."""
        if self.times is None:
            return ((0, DAY),)
        return tuple((start, min(end, DAY)) for start, end in self.times)

    @property
    def tomorrow(self) -> Spans:
        """What runs past midnight, as minutes of the next day."""
        return tuple((0, end - DAY) for _, end in self.times or () if end > DAY)


class Day(Struct, frozen=True):
    """What the rules say about one calendar day, as minutes of local time, disjoint and in order.

    Attributes:
        open: when it is open.
        lost: what the evening before would have reached into this day, had not a later rule replaced or closed it.
    """

    open: Spans
    lost: Spans


class Rules(Struct, frozen=True):
    """Opening hours: the rules in order, and the text that they were read from."""

    text: str
    rules: tuple[Rule, ...]

    @property
    def holiday_rule(self) -> Rule | None:
        """The first rule that speaks of public holidays."""
        return next((rule for rule in self.rules if rule.holidays != "no"), None)

    def day(self, day: date, is_holiday: Callable[[date], bool]) -> Day:
        """What the rules say about a calendar day.

        Args:
            day: the day.
            is_holiday: says whether a date is a public holiday; asked only where a rule says `PH`.
        """
        found: list[tuple[int, int]] = []
        reaching: list[tuple[int, int]] = []  # from the evening before
        cut: list[tuple[int, int]] = []
        for rule in self.rules:
            today = rule.matches(day, is_holiday)
            rest = rule.tomorrow if rule.tomorrow and rule.matches(day - _ONE_DAY, is_holiday) else ()
            spans = (*(rule.today if today else ()), *rest)
            if today and (rule.replaces if rule.opens else rule.times is None):
                cut, found = cut + reaching, []
            if rule.opens:
                reaching += rest
                found += spans
            elif spans:
                found = subtract(found, union(spans))
        opened = union(found)
        return Day(tuple(opened), tuple(subtract(union(cut), opened)))


@functools.lru_cache(maxsize=512)
def easter_sunday(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the anonymous algorithm that Meeus gives (1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    f = (b - (b + 8) // 25 + 1) // 3
    g = (19 * a + b - d - f + 15) % 30
    h, i = divmod(c, 4)
    j = (32 + 2 * e + 2 * h - g - i) % 7
    k = (a + 11 * g + 22 * j) // 451
    month, day = divmod(g + j - 7 * k + 114, 31)
    return date(year, month, day + 1)
