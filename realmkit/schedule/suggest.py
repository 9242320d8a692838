"""What was probably meant: opening hours written as people write them, put into the syntax that is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_NAMES: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WORDS: Final = {
    "ph": "PH", "holiday": "PH", "holidays": "PH", "sh": "SH", "easter": "easter", "open": "open",
    "off": "off", "closed": "closed", "weekdays": "Mo-Fr", "weekend": "Sa-Su", "weekends": "Sa-Su",
    "daily": "Mo-Su", "always": "24/7", "to": "-", "until": "-", "till": "-", "through": "-", "and": ",",
}  # fmt: skip
_QUOTED: Final = re.compile(r'("[^"]*")')
_WORD: Final = re.compile(r"[^\W\d_]+")
_YEARS: Final = re.compile(r"(19|20|21)\d\d-(19|20|21)\d\d")
_RANGE: Final = re.compile(
    r"(?<![\d:.\[-])(\d{1,2})(?:[:.h]?(\d{2})|h)?(?:\s*(am|pm))?\s*-\s*(\d{1,2})(?:[:.h]?(\d{2})|h)?(?:\s*(am|pm))?(?![\d:\]])",
    re.IGNORECASE,
)


def mended(text: str, reads: Callable[[str], bool]) -> str | None:
    """The text with usual slips mended, if it can be read then; None otherwise.

    Args:
        text: what was written.
        reads: says whether a text can be read.
    """
    pieces = _QUOTED.split(text.strip().rstrip(";,").strip())
    found = "".join(piece if piece.startswith('"') else _mend(piece) for piece in pieces)
    return found if found != text and reads(found) else None


def _mend(text: str) -> str:
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text).replace("&", ",")
    text = re.sub(r"\b24\s*(?:h|hours|x\s*7)\b|\b24h?/7\b", "24/7", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(?:public|bank|legal)\s+(?=holidays?\b)", "", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d)\s*(?=(?:am|pm)\b)", "", text, flags=re.IGNORECASE)
    text = _WORD.sub(lambda match: _word(match.group()), text)
    text = re.sub(r"\s*-\s*(?!\d+ days?\b)", "-", text)
    text = re.sub(r"\s*,\s*", ",", text)
    text = _RANGE.sub(lambda match: _range(match, text), text)
    return re.sub(r"(?<=[a-z])\.?:?\s+(?=\d\d:)", " ", text)


def _word(word: str) -> str:
    lower = word.casefold()
    for names, full in ((DAY_NAMES, _DAYS), (MONTH_NAMES, _MONTHS)):
        least = len(names[0])
        for short, name in zip(names, full, strict=True):
            if len(lower) >= least and f"{name}s".startswith(lower):
                return short
    return _WORDS.get(lower, word)


def _range(match: re.Match[str], text: str) -> str:
    """`8-18` and `8am-6.30pm` as 08:00-18:00 and 08:00-18:30; days of a month stay what they are."""
    before = text[: match.start()].rstrip()
    if before.endswith(MONTH_NAMES) or _YEARS.fullmatch(match.group()):
        return match.group()
    start = _hours(match.group(1), match.group(3))
    end = _hours(match.group(4), match.group(6))
    if end <= start <= 12 and not any(match.group(2, 3, 5, 6)):
        end += 12  # nobody means 08:00-06:00 with `8-6`
    return f"{start:02}:{match.group(2) or '00'}-{end:02}:{match.group(5) or '00'}"


def _hours(text: str, half: str | None) -> int:
    hours = int(text)
    if not half:
        return hours
    return hours % 12 + (12 if half.casefold() == "pm" else 0)
