"""How fast Crossbar may be asked, and how long to wait after it refused or did not answer.

Crossbar keeps a token bucket for each client address and account (`applications/crossbar/doc/rate_limiting.md`): 100
tokens, 10 a second, one for most requests, 35 for a login. Every answer says how many are left, so the client slows
down before it is told to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.clock import Clock

BUCKET: Final = 100.0  # tokens; an operator may have changed it, which the answers show
REFILL: Final = 10.0  # tokens a second
RESERVE: Final = 10.0  # tokens left to others who work on the account from this address
ATTEMPTS: Final = 5  # of one request, the first included
LONGEST_WAIT: Final = 60.0  # seconds; a longer Retry-After is passed on instead of waited for


class Pacer:
    """Keeps one connection within its bucket.

    Args:
        clock: tells the time and sleeps.
        jitter: a number from 0 to 1, anew each time, so that several clients do not come back together.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._left = BUCKET
        self._size = BUCKET
        self._as_of = clock.monotonic()

    def before(self, cost: float = 1.0) -> None:
        """Wait until the bucket holds `cost` tokens beside the reserve."""
        now = self._clock.monotonic()
        self._left = min(self._size, self._left + max(0.0, now - self._as_of) * REFILL)
        self._as_of = now
        short = min(cost + RESERVE, self._size) - self._left
        if short > 0:
            self._clock.sleep(short / REFILL)
            self._left += short
            self._as_of = self._clock.monotonic()
        self._left -= cost

    def wait_for(self, cost: float) -> float:
        """Seconds until the bucket holds `cost` tokens beside the reserve; 0.0 when it does. Nothing is taken."""
        passed = max(0.0, self._clock.monotonic() - self._as_of)
        left = min(self._size, self._left + passed * REFILL)
        return max(0.0, min(cost + RESERVE, self._size) - left) / REFILL

    def learned(self, remaining: float) -> None:
        """An answer said how many tokens are left."""
        self._left = max(0.0, remaining)
        self._size = max(self._size, self._left)
        self._as_of = self._clock.monotonic()

    def may_wait_after(self, error: Exception) -> bool:
        """Whether the wait that the error asks for is short enough to be waited for here."""
        return not isinstance(error, RateLimitedError) or (error.retry_after or 0.0) <= LONGEST_WAIT

    def after(self, error: Exception, attempt: int) -> None:
        """Wait after the `attempt`th try (from 1): what Retry-After says, or 0.5 s doubled each time; jitter on top."""
        seconds: float = 0.5 * 2 ** (attempt - 1)
        if isinstance(error, RateLimitedError):
            self._left, self._as_of = 0.0, self._clock.monotonic()
            seconds = max(1.0, seconds) if error.retry_after is None else error.retry_after
        self._clock.sleep(seconds + self._jitter() * max(0.5, seconds / 2))

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._clock.sleep(seconds)
