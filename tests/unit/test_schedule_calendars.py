"""Public holidays are those of the holidays package, and an unknown calendar is an error."""

from __future__ import annotations

from calendar import isleap
from datetime import date, timedelta

import holidays
import pytest

from realmkit.errors import InputError
from realmkit.schedule.calendars import Holidays, public_holidays
from realmkit.schedule.hours import is_open, make_site, open_spans
from realmkit.schedule.rules import HoursError
from realmkit.schedule.zones import day_start, zone


def codes() -> list[str]:
    """Every country, with the first and the last of its subdivisions."""
    found = []
    for country, parts in holidays.list_supported_countries(include_aliases=False).items():
        if len(country) == 2:
            found += [country, *(f"{country}-{part}" for part in sorted({*parts[:1], *parts[-1:]}))]
    return found


def test_every_country_has_the_days_that_the_package_gives_it() -> None:
    for code in codes():
        country, _, part = code.partition("-")
        last = min(2028, holidays.country_holidays(country).end_year)
        # Several years at once: a day that is observed in the year before is in both.
        theirs = holidays.country_holidays(country, subdiv=part or None, years=range(last - 2, last + 2))
        ours = Holidays(code)
        for year in (last - 1, last):
            days = [date(year, 1, 1) + timedelta(days=one) for one in range(365 + isleap(year))]
            assert [day for day in days if ours.name(day)] == [day for day in sorted(theirs) if day.year == year], code


def test_every_german_land_and_every_american_state() -> None:
    for country in ("DE", "US"):
        for part in holidays.country_holidays(country).subdivisions:
            theirs = holidays.country_holidays(country, subdiv=part, years=2027)
            ours = Holidays(f"{country}-{part}")
            days = [date(2027, 1, 1) + timedelta(days=one) for one in range(365)]
            assert [day for day in days if ours.name(day)] == sorted(day for day in theirs if day.year == 2027)


def test_epiphany_is_a_holiday_in_munich_and_none_in_hamburg() -> None:
    assert public_holidays("DE-BY").name(date(2027, 1, 6)) == "Epiphany"
    assert public_holidays("DE-HH").name(date(2027, 1, 6)) is None


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("de-by", "DE-BY"),
        ("DE_BY", "DE-BY"),
        ("USA", "US"),
        ("US-TEX", "US-TX"),
        ("CU-03", "write CU"),
        ("DE-", "DE"),
        ("ZZ", "ISO 3166"),
        ("DE-Q9Q", "known are BB, BE"),
        ("HolidayBase", "ISO 3166"),
        ("", "ISO 3166"),
    ],
)
def test_unknown_calendars_are_refused_with_near_ones(code: str, hint: str) -> None:
    with pytest.raises(InputError, match="no public holidays are known") as caught:
        Holidays(code)
    assert hint in (caught.value.hint or "")


def test_a_year_that_nobody_knows_is_an_error_not_a_year_without_holidays() -> None:
    site = make_site("HQ", "Mo-Fr 08:00-18:00; PH off", "Europe/Berlin", country="DE")
    with pytest.raises(InputError, match="not in 2101"):
        is_open(site, day_start(site.zone, date(2101, 1, 3)))


def test_ph_without_a_country_is_an_error() -> None:
    with pytest.raises(HoursError, match="column 20: this rule says PH") as caught:
        make_site("HQ", "Mo-Fr 08:00-18:00; PH off", "Europe/Berlin", days_off=("2026-12-24",))
    assert caught.value.column == 20


def test_ph_is_observed_where_people_work() -> None:
    """2027-07-05 is a Monday, on which 4 July is observed in the United States."""
    site = make_site("HQ", "Mo-Fr 08:00-18:00; PH off", "America/Chicago", country="US-TX")
    week = day_start(zone("America/Chicago"), date(2027, 7, 5)), day_start(zone("America/Chicago"), date(2027, 7, 10))
    assert [one[0].date().day for one in open_spans(site, *week)] == [6, 7, 8, 9]
