"""Public holidays of countries and their subdivisions, from the holidays package, which is loaded when first asked."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from realmkit.errors import InputError

if TYPE_CHECKING:
    from datetime import date

    from holidays import HolidayBase

_CODE: Final = re.compile(r"[A-Z]{2}(-\S.*)?")


class Holidays:
    """The public holidays of one country or subdivision, year by year as they are asked for.

    Args:
        code: ISO 3166-1 alpha-2, or that with a subdivision as in ISO 3166-2: `CU`, `DE-BY`, `US-TX`.

    Raises:
        InputError: the code is unknown; the message names the nearest that are known.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self._calendar = _calendar(code)
        self._years: dict[int, dict[date, str]] = {}

    def __repr__(self) -> str:
        return f"Holidays({self.code!r})"

    def name(self, day: date) -> str | None:
        """What is celebrated on that day, in English where the calendar has it, or None.

        Raises:
            InputError: nothing is known about that year.
        """
        known = self._years.get(day.year)
        if known is None:
            known = self._years[day.year] = self._read(day.year)
        return known.get(day)

    def covers(self, year: int) -> bool:
        """Whether anything is known about that year."""
        return self._calendar.start_year <= year <= self._calendar.end_year

    def _read(self, year: int) -> dict[date, str]:
        if not self.covers(year):
            first, last = self._calendar.start_year, self._calendar.end_year
            raise InputError(
                f"the public holidays of {self.code} are known from {first} to {last}, not in {year}",
                hint="a newer holidays package may know more; or write the dates instead of PH",
            )
        languages = self._calendar.supported_languages
        language = "en_US" if "en_US" in languages else self._calendar.default_language
        subdivision = self.code.partition("-")[2] or None
        return dict(self._calendar(subdiv=subdivision, years=year, expand=False, language=language).items())


@functools.lru_cache(maxsize=4096)
def public_holidays(code: str) -> Holidays:
    """The calendar of a country or subdivision, made once for all sites that share it. Raises as `Holidays` does."""
    return Holidays(code)


def _calendar(code: str) -> type[HolidayBase]:
    """The class of the country's calendar, once the country and the subdivision are known to exist."""
    country, _, subdivision = code.partition("-")
    found = _country(country) if _CODE.fullmatch(code) else None
    if found is None:
        raise InputError(f"no public holidays are known for {code!r}", hint=_near_country(code))
    if subdivision and subdivision not in found.subdivisions:
        raise InputError(
            f"no public holidays are known for {subdivision!r} in {country}",
            hint=_near_subdivision(country, subdivision, found.subdivisions),
        )
    return found


def _country(code: str) -> type[HolidayBase] | None:
    import holidays

    try:
        return type(holidays.country_holidays(code))
    except NotImplementedError:
        return None


def _near_country(code: str) -> str:
    """The same code in ISO's letters: `de-by` is DE-BY, `USA` is US."""
    country, _, rest = code.strip().upper().replace("_", "-").partition("-")
    found = _country(country) if country.isalpha() else None
    if found is None:
        return "write ISO 3166 codes, such as CU, DE-BY or US-TX"
    return f"did you mean {found.country}-{rest}?" if rest else f"did you mean {found.country}?"


def _near_subdivision(country: str, wanted: str, known: tuple[str, ...]) -> str:
    import difflib

    if not known:
        return f"{country} has no regional calendars here: write {country}"
    by_case = {one.casefold(): one for one in known}
    near = [by_case[one] for one in difflib.get_close_matches(wanted.casefold(), by_case, 3, 0.5)]
    if near:
        return f"did you mean {' or '.join(f'{country}-{one}' for one in near)}?"
    return f"known are {', '.join(known)}"
