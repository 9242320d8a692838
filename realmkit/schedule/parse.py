"""Reads opening hours: the subset of OpenStreetMap's `opening_hours` syntax that docs/hours.md lists.

What lies outside the subset is refused by name, never guessed at and never ignored: a rule that is silently skipped
would turn working hours into a quiet window.
"""

from __future__ import annotations

import re
from calendar import isleap
from typing import Final, Literal, NamedTuple, NoReturn

from realmkit.schedule.rules import DAY, DateRange, HoursError, Point, Rule, Rules, Spans, Weekdays
from realmkit.schedule.suggest import DAY_NAMES, MONTH_NAMES, mended

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<always>24/7(?!\d))|(?P<time>\d+:\d+)|(?P<number>\d+)|(?P<word>[^\W\d_]+)"""
    r"""|(?P<comment>"[^"]*")|(?P<mark>\|\||[;,:\[\]+-])|(?P<other>.)"""
)
_WEEKDAYS: Final = {name: number for number, name in enumerate(DAY_NAMES)}
_MONTHS: Final = {name: number for number, name in enumerate(MONTH_NAMES, 1)}
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SUN: Final = "times that follow the sun are not read; write the times"
_REFUSED: Final = {
    "SH": "school holidays are not known here; write their dates, such as `Jul 01-Aug 31 off`",
    "week": "weeks of the year are not read; write dates",
    "unknown": "a site is open or closed; write `open` where it may be open",
    "sunrise": _SUN, "sunset": _SUN, "dawn": _SUN, "dusk": _SUN,
    "||": "fallback rules are not read; write the hours that hold",
    "/": "intervals and steps are not read; write every range",
}  # fmt: skip
_RULE_STARTS: Final = "a weekday (Mo-Fr), PH, a date (Dec 24), a time range (08:00-18:00) or 24/7"
_RULE_SAYS: Final = "a time range (08:00-18:00), or `open` or `off` for the whole day"
_EASTER: Final = range(-80, 251)  # keeps every offset within the year of its Easter

_Holidays = Literal["no", "also", "only"]


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse(text: str) -> Rules:
    """Read opening hours.

    Raises:
        HoursError: with the column, what was expected there, and as its hint the text that was probably meant.
    """
    try:
        return _Reader(text).rules()
    except HoursError as error:
        instead = mended(text, _reads)
        hint = f"did you mean `{instead}`?" if instead else "docs/hours.md shows what can be written"
        raise HoursError(error.message, column=error.column, hint=hint) from None


def _reads(text: str) -> bool:
    try:
        _Reader(text).rules()
    except HoursError:
        return False
    return True


class _Reader:
    """Recursive descent over the tokens; each method reads what its name says, or fails with a column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [
            _Token(str(one.lastgroup), one.group(), one.start() + 1)
            for one in _TOKEN.finditer(text)
            if one.lastgroup != "space"
        ]
        self._tokens += [_Token("end", "", len(text) + 1)] * 4  # as far as anything here looks ahead
        self._at = 0

    def rules(self) -> Rules:
        found = [self._rule(replaces=True)]
        while (token := self._peek()).kind != "end":
            if token.text not in {";", ","}:
                self._fail("`;` or `,` before another rule, or the end")
            self._at += 1
            found.append(self._rule(replaces=token.text == ";"))
        return Rules(self._text, tuple(found))

    def _rule(self, *, replaces: bool) -> Rule:
        start = self._peek()
        dates: tuple[DateRange, ...] = ()
        days: tuple[Weekdays, ...] = ()
        holidays: _Holidays = "no"
        times: Spans = ()
        if start.kind == "always":
            self._at += 1
        else:
            dates = self._dates()
            if dates:
                self._accept(":")
            days, holidays = self._days()
            times = self._times()
            if (days or holidays != "no") and (self._peek().text in _MONTHS or self._peek().text == "easter"):
                self._fail("dates before weekdays: `Dec 24-26 Mo-Fr`")
        opens = self._modifier()
        comment = self._take().text.strip('"') if self._peek().kind == "comment" else ""
        if opens is None and not times and start.kind != "always":  # `PH, Dec 24 off` must not open on PH
            self._at -= bool(comment)
            self._fail(_RULE_STARTS if self._peek() is start else _RULE_SAYS)
        return Rule(start.column, opens is not False, replaces, dates, days, holidays, times or None, comment)

    def _modifier(self) -> bool | None:
        word = self._peek().text
        if word in {"open", "off", "closed"}:
            self._at += 1
            return word == "open"
        return None

    # dates

    def _starts_date(self, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token.text in _MONTHS or token.text == "easter" or (token.kind == "number" and len(token.text) == 4)

    def _dates(self) -> tuple[DateRange, ...]:
        found: list[DateRange] = []
        while self._starts_date():
            found.append(self._date_range())
            while self._peek().text == "," and self._is_day(1) and self._peek(-1).kind == "number":
                self._at += 1
                found.append(self._same_month(found[-1]))
            if not (self._peek().text == "," and self._starts_date(1)):
                break
            self._at += 1
        return tuple(found)

    def _is_day(self, ahead: int) -> bool:
        token = self._peek(ahead)
        return token.kind == "number" and len(token.text) <= 2

    def _same_month(self, before: DateRange) -> DateRange:
        """The 26 and the 28-30 of `Dec 24,26,28-30`."""
        if before.last_year is not None or before.first.month != before.last.month:
            self._fail("a month before the day")
        first = self._day_of(before.first.month)
        last = self._day_of(before.first.month, first) if self._accept("-") else first
        return DateRange(first, last, before.years)

    def _date_range(self) -> DateRange:
        years = self._years()
        if years and not self._starts_date():
            if self._is_day(0):
                self._fail("a month before the day: `2027 Jan 06`")
            return DateRange(Point(1, 1), Point(12, 31), years)
        start = self._peek()
        first, whole = self._point(years)
        if not self._accept("-"):
            return DateRange(first, Point(first.month, 31) if whole else first, years)
        if self._is_day(0) and not whole and first.easter is None:
            return DateRange(first, self._day_of(first.month, first), years)
        last_year = self._last_year(years, start)
        last, last_whole = self._point(None)
        if whole != last_whole:
            self._fail("two months (`Jun-Aug`) or two days (`Jun 15-Aug 31`)", start)
        if last_year is not None and years and (last_year, *last.of(last_year)) < (years[0], *first.of(years[0])):
            self._fail("a range that ends after it begins", start)
        return DateRange(first, Point(last.month, 31) if whole else last, years, last_year)

    def _years(self) -> tuple[int, int] | None:
        if self._peek().kind != "number":
            return None
        start = self._take()
        first = last = self._year(start)
        if self._peek().text == "-" and self._peek(1).kind == "number":
            self._at += 1
            last = self._year(self._take())
        if last < first:
            self._fail("years in order", start)
        return first, last

    def _last_year(self, years: tuple[int, int] | None, start: _Token) -> int | None:
        """The 2027 of `2026 Dec 24-2027 Jan 02`."""
        if self._peek().kind != "number":
            return None
        year = self._year(self._take())
        if years is None or years[0] != years[1]:
            self._fail("one year at the beginning too: `2026 Dec 24-2027 Jan 02`", start)
        return year

    def _year(self, token: _Token) -> int:
        if token.kind != "number" or not 1970 <= int(token.text) <= 2199:
            self._fail("a year from 1970 to 2199", token)
        return int(token.text)

    def _point(self, years: tuple[int, int] | None) -> tuple[Point, bool]:
        """A day of the year, or the first day of a month; and whether the whole month is meant."""
        token = self._take()
        if token.text == "easter":
            return Point(0, 0, self._easter_offset()), False
        if token.text not in _MONTHS:
            self._fail("a month (Jan to Dec) or easter", token)
        month = _MONTHS[token.text]
        if not self._is_day(0):
            return Point(month, 1), True
        place = self._peek()
        point = self._day_of(month)
        if (month, point.day) == (2, 29) and years and not any(map(isleap, range(years[0], years[1] + 1))):
            self._fail("a day that exists in that year", place)
        return point, False

    def _easter_offset(self) -> int:
        sign = self._peek().text
        if sign not in {"+", "-"} or self._peek(1).kind != "number" or self._peek(2).text not in {"day", "days"}:
            return 0
        number = self._peek(1)
        self._at += 3
        found = int(number.text) * (1 if sign == "+" else -1)
        if found not in _EASTER:
            self._fail(f"from {-_EASTER.start} days before Easter to {_EASTER.stop - 1} days after it", number)
        return found

    def _day_of(self, month: int, after: Point | None = None) -> Point:
        token = self._take()
        longest = _LENGTHS[month - 1]
        if token.kind != "number" or not 1 <= int(token.text) <= longest:
            self._fail(f"a day of {MONTH_NAMES[month - 1]}, 01 to {longest}", token)
        if after and int(token.text) < after.day:
            self._fail("a day after the first, or a month before it", token)
        return Point(month, int(token.text))

    # weekdays and holidays

    def _days(self) -> tuple[tuple[Weekdays, ...], _Holidays]:
        days: list[Weekdays] = []
        holiday = False
        if self._peek().text == "PH" and self._peek(1).text in _WEEKDAYS:  # `PH Mo-Fr`: holidays on those weekdays
            self._at += 1
            return self._days()[0], "only"
        while self._peek().text in _WEEKDAYS or self._peek().text == "PH":
            if self._accept("PH"):
                holiday = True
            else:
                days.append(self._weekdays())
            if self._peek().text in {"+", "-"} and self._peek(1).kind == "number":
                self._fail("no offset: only easter takes one (`easter +1 day`)")
            if not (self._peek().text == "," and (self._peek(1).text in _WEEKDAYS or self._peek(1).text == "PH")):
                break
            self._at += 1
        return tuple(days), ("also" if days else "only") if holiday else "no"

    def _weekdays(self) -> Weekdays:
        first = _WEEKDAYS[self._take().text]
        if self._accept("["):
            return Weekdays(first, first, self._ordinals())
        if not self._accept("-"):
            return Weekdays(first, first)
        token = self._take()
        if token.text not in _WEEKDAYS:
            self._fail(f"a weekday ({' '.join(DAY_NAMES)})", token)
        return Weekdays(first, _WEEKDAYS[token.text])

    def _ordinals(self) -> tuple[int, ...]:
        found: list[int] = []
        while True:
            place = self._peek()
            first = last = self._ordinal()
            if first > 0 and self._accept("-"):
                last = self._ordinal()
            if last < first:
                self._fail("ordinals in order, such as [1-3]", place)
            found += range(first, last + 1)
            if self._accept("]"):
                return tuple(found)
            if not self._accept(","):
                self._fail("`,` or `]`")

    def _ordinal(self) -> int:
        sign = -1 if self._accept("-") else 1
        token = self._take()
        if token.text not in {"1", "2", "3", "4", "5"}:
            self._fail("1 to 5, or -1 to -5 from the month's end", token)
        return sign * int(token.text)

    # times

    def _times(self) -> Spans:
        found: list[tuple[int, int]] = []
        while self._peek().kind == "time":
            found.append(self._time_range())
            if not (self._peek().text == "," and self._peek(1).kind == "time"):
                break
            self._at += 1
        return tuple(found)

    def _time_range(self) -> tuple[int, int]:
        token = self._peek()
        start = self._minutes(24)
        if start == DAY:
            self._fail("a time before 24:00 to start at", token)
        if not self._accept("-"):
            self._fail("`-` and a closing time")
        end = self._minutes(48)
        if start == end:
            self._fail(f"two different times, or 00:00-24:00, or {_clock(start)}-{_clock(start + DAY)}", token)
        if self._peek().text == "+":
            self._fail("a closing time without `+`: how long an open end lasts nobody knows")
        return start, end if end > start else end + DAY

    def _minutes(self, most: int) -> int:
        token = self._take()
        hours, _, minutes = token.text.partition(":")
        if token.kind != "time" or len(hours) != 2 or len(minutes) != 2:
            self._fail("a time as hh:mm", token)
        found = int(hours) * 60 + int(minutes)
        if int(minutes) > 59 or found > most * 60:
            self._fail(f"a time from 00:00 to {most}:00", token)
        return found

    # tokens

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[self._at + ahead]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        if self._peek().text != text:
            return False
        self._at += 1
        return True

    def _fail(self, expected: str, token: _Token | None = None) -> NoReturn:
        token = token or self._peek(self._peek().text == "," and self._peek(1).text in _REFUSED)
        if token.text in _REFUSED:
            raise HoursError(f"column {token.column}: {token.text!r}: {_REFUSED[token.text]}", column=token.column)
        if token.text == '"':
            expected = 'a closing `"`'
        found = f"found {token.text!r}" if token.text else "the text ends"
        raise HoursError(f"column {token.column}: {found}, expected {expected}", column=token.column)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
