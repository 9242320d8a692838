"""How long a service asks to be left alone: the Retry-After header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def seconds(value: str, now: datetime) -> float | None:
    """Seconds to wait, from a number or a date; None where the header is absent or says neither.

    Args:
        value: the header's text, empty where there is none.
        now: the time, for dates; aware.
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (then - now).total_seconds()) if then.tzinfo else None
