"""Keeping to the pace that a backend allows: one bucket of tokens for each account, shared by all threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realmkit.clock import Clock


class Pace:
    """A token bucket. Threads that come to an empty one wait their turn, in the order in which they came.

    Args:
        rate: requests a second in the long run.
        burst: requests that may go out at once after a rest; at least 1.
        clock: tells the time and sleeps.
    """

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._as_of = clock.monotonic()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take one token, waiting until there is one."""
        with self._lock:
            now = self._clock.monotonic()
            self._left = min(self._burst, self._left + (now - self._as_of) * self._rate) - 1
            self._as_of = now
            wait = -self._left / self._rate  # below nought the bucket holds the turns already promised
        if wait > 0:
            self._clock.sleep(wait)


class Paces:
    """The buckets of one kind of backend, by account.

    Args:
        rate: as for `Pace`.
        burst: as for `Pace`.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._paces: dict[str, Pace] = {}
        self._lock = threading.Lock()

    def of(self, account: str, clock: Clock) -> Pace:
        """The bucket of an account: the same one for every provider of this process that asks with its name."""
        with self._lock:
            if account not in self._paces:
                self._paces[account] = Pace(self._rate, self._burst, clock)
            return self._paces[account]
