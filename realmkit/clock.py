"""The only place that reads the time or sleeps. Deciding code is handed a `now` or a `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, a monotonic counter and sleep, so that a test can let days pass in a second."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the place

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()  # noqa: TID251 - this is the place

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds; a negative number does not wait."""
        time.sleep(max(0.0, seconds))  # noqa: TID251 - this is the place
