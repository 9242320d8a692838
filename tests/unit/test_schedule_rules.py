"""Opening-hours syntax: what it says about a day, and what is said about a slip."""

from __future__ import annotations

from datetime import date, timedelta
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.errors import USAGE
from realmkit.schedule.parse import parse
from realmkit.schedule.rules import HoursError, easter_sunday

HOLIDAYS = {date(2027, 1, 1), date(2027, 1, 6), date(2027, 3, 26), date(2027, 12, 25)}  # Fr, We, Fr, Sa


def on(text: str, day: str, *, lost: bool = False) -> str:
    found = parse(text).day(date.fromisoformat(day), HOLIDAYS.__contains__)
    spans = found.lost if lost else found.open
    return " ".join(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in spans)


@pytest.mark.parametrize(
    ("text", "day", "hours"),
    [
        # weekdays; 2027-01-04 is a Monday
        ("Mo-Fr 08:00-18:00", "2027-01-04", "08:00-18:00"),
        ("Mo-Fr 08:00-18:00", "2027-01-09", ""),
        ("Fr-Mo 08:00-18:00", "2027-01-04", "08:00-18:00"),
        ("Fr-Mo 08:00-18:00", "2027-01-10", "08:00-18:00"),
        ("Fr-Mo 08:00-18:00", "2027-01-05", ""),
        ("Mo,We,Fr-Sa 08:00-12:00", "2027-01-09", "08:00-12:00"),
        ("Mo,We,Fr-Sa 08:00-12:00", "2027-01-07", ""),
        ("08:00-18:00", "2027-01-10", "08:00-18:00"),
        # times
        ("Mo 13:00-17:00,08:00-12:00", "2027-01-04", "08:00-12:00 13:00-17:00"),
        ("Mo 08:00-12:00,12:00-17:00", "2027-01-04", "08:00-17:00"),
        ("Mo 22:00-06:00", "2027-01-04", "22:00-24:00"),
        ("Mo 22:00-06:00", "2027-01-05", "00:00-06:00"),
        ("Mo 18:00-26:00", "2027-01-05", "00:00-02:00"),
        ("Mo 20:00-48:00", "2027-01-05", "00:00-24:00"),
        ("Mo 20:00-24:00", "2027-01-05", ""),
        ("Mo 20:00-00:00", "2027-01-04", "20:00-24:00"),
        ("22:00-06:00", "2027-01-05", "00:00-06:00 22:00-24:00"),
        # the whole day
        ("24/7", "2027-01-10", "00:00-24:00"),
        ("open", "2027-01-10", "00:00-24:00"),
        ("Mo open", "2027-01-04", "00:00-24:00"),
        ("24/7; Su off", "2027-01-10", ""),
        ('24/7 closed "renovation"', "2027-01-04", ""),
        ("off", "2027-01-04", ""),
        # `;` replaces what is said of a day, `,` adds to it
        ("Mo-Fr 08:00-18:00; We 10:00-12:00", "2027-01-06", "10:00-12:00"),
        ("Mo-Fr 08:00-18:00; We 10:00-12:00", "2027-01-07", "08:00-18:00"),
        ("Mo-Fr 08:00-18:00, We 20:00-22:00", "2027-01-06", "08:00-18:00 20:00-22:00"),
        ("Mo-Fr 08:00-18:00; 20:00-21:00", "2027-01-06", "20:00-21:00"),
        ("Mo-Fr 08:00-18:00; We 12:00-13:00 off", "2027-01-06", "08:00-12:00 13:00-18:00"),
        ("Mo-Fr 08:00-18:00, We 12:00-13:00 closed", "2027-01-06", "08:00-12:00 13:00-18:00"),
        ("Mo-Fr 08:00-18:00; We off", "2027-01-06", ""),
        ("We off; Mo-Fr 08:00-18:00", "2027-01-06", "08:00-18:00"),
        ("Mo 22:00-06:00; Tu 08:00-12:00", "2027-01-05", "08:00-12:00"),
        ("Mo 22:00-06:00, Tu 08:00-12:00", "2027-01-05", "00:00-06:00 08:00-12:00"),
        ("Tu 08:00-12:00; Mo 22:00-06:00", "2027-01-05", "00:00-06:00 08:00-12:00"),
        # public holidays
        ("Mo-Fr 08:00-18:00; PH off", "2027-01-06", ""),
        ("Mo-Fr 08:00-18:00; PH off", "2027-01-07", "08:00-18:00"),
        ("Mo-Fr 08:00-18:00; PH 10:00-12:00", "2027-01-06", "10:00-12:00"),
        ("Su,PH 10:00-14:00", "2027-01-06", "10:00-14:00"),
        ("Su,PH 10:00-14:00", "2027-01-10", "10:00-14:00"),
        ("PH,Su 10:00-14:00", "2027-01-10", "10:00-14:00"),
        ("Su,PH 10:00-14:00", "2027-01-07", ""),
        ("24/7; PH Sa-Su off", "2027-12-25", ""),
        ("24/7; PH Sa-Su off", "2027-01-06", "00:00-24:00"),
        ("24/7; PH Sa-Su off", "2027-01-09", "00:00-24:00"),
        ("24/7; Jan PH off", "2027-01-06", ""),
        ("24/7; Jan PH off", "2027-12-25", "00:00-24:00"),
        ("Mo-Fr 18:00-03:00; PH off", "2027-01-06", ""),  # the night before is cut off too
        ("Mo-Fr 18:00-03:00; PH off", "2027-01-07", "00:00-03:00 18:00-24:00"),
        ("Mo-Fr 18:00-03:00; PH 03:00-27:00 off", "2027-01-06", "00:00-03:00"),  # only the holiday's own evening
        ("Mo-Fr 18:00-03:00; PH 03:00-27:00 off", "2027-01-07", "18:00-24:00"),
        # dates
        ("Dec 24 off, Dec 31 10:00-12:00", "2027-12-31", "10:00-12:00"),
        ("24/7; Dec 24-26 off", "2027-12-26", ""),
        ("24/7; Dec 24-26 off", "2027-12-27", "00:00-24:00"),
        ("24/7; Dec 24,26,28-30 off", "2027-12-25", "00:00-24:00"),
        ("24/7; Dec 24,26,28-30 off", "2027-12-29", ""),
        ("24/7; Dec 24,Jan 06 off", "2028-01-06", ""),
        ("24/7; Dec 24-Jan 02 off", "2027-01-02", ""),
        ("24/7; Dec 24-Jan 02 off", "2027-01-03", "00:00-24:00"),
        ("24/7; 2027 Jan 06 off", "2027-01-06", ""),
        ("24/7; 2027 Jan 06 off", "2028-01-06", "00:00-24:00"),
        ("24/7; 2027 Jan 06,2028 Mar 26 off", "2028-03-26", ""),
        ("24/7; 2027 Jan 06,2028 Mar 26 off", "2027-03-26", "00:00-24:00"),
        ("24/7; 2026 Dec 24-Jan 02 off", "2027-01-02", ""),
        ("24/7; 2026 Dec 24-Jan 02 off", "2027-12-24", "00:00-24:00"),
        ("24/7; 2026 Dec 24-Jan 02 off", "2026-01-02", "00:00-24:00"),
        ("24/7; 2026 Dec 24-2028 Jan 02 off", "2027-06-01", ""),
        ("24/7; 2026 Dec 24-2028 Jan 02 off", "2028-01-03", "00:00-24:00"),
        ("24/7; 2026-2027 Dec 24 off", "2027-12-24", ""),
        ("24/7; 2026-2027 Dec 24 off", "2028-12-24", "00:00-24:00"),
        ("24/7; 2027 off", "2027-07-01", ""),
        ("24/7; 2027 off", "2028-01-01", "00:00-24:00"),
        ("24/7; Feb 29 off", "2028-02-29", ""),
        ("24/7; Feb 29 off", "2027-02-28", "00:00-24:00"),
        ("24/7; Feb 29-Mar 02 off", "2027-03-01", ""),
        ("Dec 24: 10:00-12:00", "2027-12-24", "10:00-12:00"),
        # months
        ("Jun-Aug 10:00-12:00", "2027-08-31", "10:00-12:00"),
        ("Jun-Aug 10:00-12:00", "2027-09-01", ""),
        ("Nov-Feb 10:00-12:00", "2027-02-28", "10:00-12:00"),
        ("Nov-Feb 10:00-12:00", "2027-03-01", ""),
        ("Jan,Mar 10:00-12:00", "2027-03-31", "10:00-12:00"),
        ("2027 Jun-Aug 10:00-12:00", "2028-06-01", ""),
        ("Jun-Aug: Mo-Fr 10:00-12:00", "2027-08-30", "10:00-12:00"),
        ("Jun-Aug Mo-Fr 10:00-12:00", "2027-08-29", ""),
        # the nth weekday
        ("Mo[1] 10:00-12:00", "2027-02-01", "10:00-12:00"),
        ("Mo[1] 10:00-12:00", "2027-02-08", ""),
        ("Mo[-1] 10:00-12:00", "2027-02-22", "10:00-12:00"),
        ("Mo[-1] 10:00-12:00", "2027-03-22", ""),
        ("Mo[-1] 10:00-12:00", "2027-03-29", "10:00-12:00"),
        ("Mo[2,4] 10:00-12:00", "2027-02-22", "10:00-12:00"),
        ("Mo[1-3] 10:00-12:00", "2027-02-15", "10:00-12:00"),
        ("Mo[1-3] 10:00-12:00", "2027-02-22", ""),
        ("Mo[5] 10:00-12:00", "2027-03-29", "10:00-12:00"),
        ("Mar Su[-1] 10:00-12:00", "2027-03-28", "10:00-12:00"),
        # Easter Sunday is 2027-03-28
        ("24/7; easter off", "2027-03-28", ""),
        ("24/7; easter +1 day off", "2027-03-29", ""),
        ("24/7; easter -2 days off", "2027-03-26", ""),
        ("24/7; easter -2 days-easter +1 day off", "2027-03-27", ""),
        ("24/7; easter -2 days-easter +1 day off", "2027-03-30", "00:00-24:00"),
        ("easter-Oct 31 10:00-12:00", "2027-03-27", ""),
        ("easter-Oct 31 10:00-12:00", "2027-10-31", "10:00-12:00"),
        ("Nov 01-easter 10:00-12:00", "2027-03-28", "10:00-12:00"),
        ("Nov 01-easter 10:00-12:00", "2027-03-29", ""),
        ("2027 easter +49 days 10:00-12:00", "2027-05-16", "10:00-12:00"),
        ("2027 easter +49 days 10:00-12:00", "2028-06-04", ""),
        # comments and white space
        ('Mo-Fr 08:00-18:00 "reception; rings twice, then mobile"', "2027-01-04", "08:00-18:00"),
        ("  Mo - Fr   08:00 - 18:00 ;PH off ", "2027-01-04", "08:00-18:00"),
    ],
)
def test_what_rules_say_about_a_day(text: str, day: str, hours: str) -> None:
    assert on(text, day) == hours


@pytest.mark.parametrize(
    ("text", "day", "lost"),
    [
        ("Mo-Fr 18:00-03:00; PH off", "2027-01-06", "00:00-03:00"),
        ("Mo-Fr 18:00-03:00; PH off", "2027-01-07", ""),
        ("Mo 22:00-06:00; Tu 08:00-12:00", "2027-01-05", "00:00-06:00"),
        ("Mo 22:00-06:00; Tu 05:00-12:00", "2027-01-05", "00:00-05:00"),
        ("Mo 22:00-06:00, Tu 08:00-12:00", "2027-01-05", ""),
        ("Mo-Fr 22:00-02:00; Tu 22:00-02:00", "2027-01-05", "00:00-02:00"),
        ("Mo 22:00-06:00; Tu 01:00-02:00 off", "2027-01-05", ""),  # what is named is meant
    ],
)
def test_what_is_cut_off_the_evening_before_is_told(text: str, day: str, lost: str) -> None:
    assert on(text, day, lost=True) == lost


@pytest.mark.parametrize(
    ("text", "column", "expected", "instead"),
    [
        ("mo-fr 8-18", 1, "expected a weekday (Mo-Fr)", "Mo-Fr 08:00-18:00"),
        ("Mo-Fr 8-18", 7, "expected a time range", "Mo-Fr 08:00-18:00"),
        ("Mo-Fr 8-6", 7, "expected a time range", "Mo-Fr 08:00-18:00"),
        ("Mo-Fr 8:00-18:00", 7, "a time as hh:mm", "Mo-Fr 08:00-18:00"),
        ("Mo-Fr 0830-1700", 7, "expected a time range", "Mo-Fr 08:30-17:00"),
        ("Mo-Fr 08h00-18h30", 7, "expected a time range", "Mo-Fr 08:00-18:30"),
        ("Mo-Fr 9-12,13-17", 7, "expected a time range", "Mo-Fr 09:00-12:00,13:00-17:00"),
        ("Monday-Friday 8am-6:30 pm", 1, "expected a weekday", "Mo-Fr 08:00-18:30"),
        ("Mo-Fr 12am-12pm", 7, "expected a time range", "Mo-Fr 00:00-12:00"),
        ("Mo\u2013Fr 08.00\u201318.00", 3, "found '\u2013'", "Mo-Fr 08:00-18:00"),
        ("mon, wed and fri 9am-5pm; public holidays closed", 1, "", "Mo,We,Fr 09:00-17:00; PH closed"),
        ("weekdays 09:00 to 17:00", 1, "", "Mo-Fr 09:00-17:00"),
        ("Mo-Fr: 08:00-18:00", 6, "found ':'", "Mo-Fr 08:00-18:00"),
        ("Mo-Fr 08:00-18:00; ph off", 20, "found 'ph'", "Mo-Fr 08:00-18:00; PH off"),
        ("Mo-Fr 08:00-18:00;", 19, "the text ends", "Mo-Fr 08:00-18:00"),
        ("december 24 off", 1, "found 'december'", "Dec 24 off"),
        ("24h", 1, "found '24'", "24/7"),
        ("", 1, "the text ends, expected a weekday", None),
        ("Mo-Fr 08:00", 12, "`-` and a closing time", None),
        ("Mo-Fr", 6, "`open` or `off` for the whole day", None),
        ("PH,Dec 24 off", 3, "`open` or `off` for the whole day", None),  # would else open on PH
        ("PH, Mo-Fr, Dec 24 off", 10, "`open` or `off` for the whole day", None),
        ('Mo "by appointment"', 4, "`open` or `off`", None),
        ('"by appointment"', 1, "expected a weekday", None),
        ('Mo 08:00-12:00 "x', 16, 'a closing `"`', None),
        ("Mo-Fr 08:00-18:00 Sa 10:00-12:00", 19, "`;` or `,` before another rule", None),
        ("24/7 08:00-12:00", 6, "`;` or `,` before another rule", None),
        ("Mo-Dec 08:00-12:00", 4, "a weekday (Mo Tu We Th Fr Sa Su)", None),
        ("Mo Dec 24 08:00-12:00", 4, "dates before weekdays", None),
        ("08:00-18:00+", 12, "a closing time without `+`", None),
        ("08:00-08:00", 1, "08:00-32:00", None),
        ("24:00-26:00", 1, "a time before 24:00", None),
        ("08:00-48:01", 7, "from 00:00 to 48:00", None),
        ("08:60-09:00", 1, "from 00:00 to 24:00", None),
        ("Mo[0] 08:00-12:00", 4, "1 to 5", None),
        ("Mo[6] 08:00-12:00", 4, "1 to 5", None),
        ("Mo[3-1] 08:00-12:00", 4, "in order", None),
        ("Mo[1 08:00-12:00", 6, "`,` or `]`", None),
        ("Mo +1 day 08:00-12:00", 4, "only easter takes one", None),
        ("Feb 30 off", 5, "a day of Feb, 01 to 29", None),
        ("Dec 00 off", 5, "a day of Dec, 01 to 31", None),
        ("2027 Feb 29 off", 10, "a day that exists in that year", None),
        ("Dec 26-24 off", 8, "a day after the first", None),
        ("Jun 15-Aug off", 1, "two months", None),
        ("2027 Dec 24-2026 Jan 02 off", 6, "ends after it begins", None),
        ("2028-2027 off", 1, "years in order", None),
        ("1969 off", 1, "from 1970", None),
        ("2027 06 off", 6, "a month before the day", None),
        ("Dec 24-2027 Jan 02 off", 1, "one year at the beginning too", None),
        ("easter +300 days off", 9, "days after it", None),
    ],
)
def test_a_slip_names_its_column_and_what_was_expected(
    text: str, column: int, expected: str, instead: str | None
) -> None:
    with pytest.raises(HoursError) as caught:
        parse(text)
    assert caught.value.column == column
    assert f"column {column}: " in caught.value.message
    assert expected in caught.value.message
    assert caught.value.hint == (f"did you mean `{instead}`?" if instead else "docs/hours.md shows what can be written")
    assert caught.value.exit_code == USAGE


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("Mo-Fr 08:00-18:00; SH off", 20, "school holidays"),
        ("Mo,SH 08:00-18:00", 4, "school holidays"),
        ("week 10-20 Mo 08:00-18:00", 1, "weeks of the year"),
        ("Mo sunrise-sunset", 4, "follow the sun"),
        ("Mo 08:00-sunset", 10, "follow the sun"),
        ("Mo 08:00-18:00 unknown", 16, "open or closed"),
        ('Mo 08:00-18:00 || "call us"', 16, "fallback rules"),
        ("Mo 08:00-18:00/01:30", 15, "intervals and steps"),
    ],
)
def test_what_is_left_out_of_the_syntax_is_refused_by_name(text: str, column: int, why: str) -> None:
    with pytest.raises(HoursError, match=why) as caught:
        parse(text)
    assert caught.value.column == column


@given(st.text('MoTuFrPHDecJan easter+-,;:[]|0123456789/"off', max_size=30))
def test_no_text_makes_it_stumble(text: str) -> None:
    try:
        rules = parse(text)
    except HoursError as error:
        column = error.column
    else:
        column = rules.rules[0].column
        rules.day(date(2028, 2, 29), lambda _day: True)
    assert 1 <= column <= len(text) + 1


def test_easter() -> None:
    easter = import_module("dateutil.easter").easter
    assert [easter_sunday(year) for year in range(1970, 2200)] == [easter(year) for year in range(1970, 2200)]


def test_every_offset_from_easter_stays_in_its_year() -> None:
    for year in range(1970, 2200):
        days = {(easter_sunday(year) + timedelta(days=offset)).year for offset in (-80, 250)}
        assert days == {year}
