"""Crossbar's two kinds of token: those that prove a login, and those that a bucket hands out against haste."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from realmkit.clock import Clock

API_AUTH_COST: Final = 35
"""crossbar/api_auth_tokens: what a login takes out of the bucket."""


class Taken(NamedTuple):
    """What a request took, as the envelope's `tokens` shows it."""

    consumed: int
    remaining: int
    granted: bool


class Buckets:
    """A bucket of tokens for each account (token_buckets: 100 at most, 10 a second come back).

    The platform keeps one for each client address and account; the sandbox has one client.
    """

    def __init__(self, clock: Clock) -> None:
        self.size = 100
        self.refill = 10.0
        self._clock = clock
        self._held: dict[str, tuple[float, float]] = {}

    def take(self, account: str, cost: int) -> Taken:
        """Take tokens; when there are too few, none is taken."""
        now = self._clock.monotonic()
        level, since = self._held.get(account, (float(self.size), now))
        level = min(float(self.size), level + (now - since) * self.refill)
        granted = level >= cost
        level -= cost if granted else 0
        self._held[account] = (level, now)
        return Taken(cost if granted else 0, int(level), granted)


class Sessions:
    """Logins: a token stands for an account until its time is over (crossbar.auth/token_auth_expiry_s: 3600)."""

    def __init__(self, clock: Clock) -> None:
        self.lifetime = timedelta(seconds=3600)
        self._clock = clock
        self._open: dict[str, tuple[str, datetime]] = {}
        self._issued = 0

    def open(self, account: str) -> str:
        """A new token for that account."""
        self._issued += 1
        token = "sandbox." + hashlib.sha256(f"{account}/{self._issued}".encode()).hexdigest()
        self._open[token] = (account, self._clock.now() + self.lifetime)
        return token

    def account(self, token: str) -> str | None:
        """Whose token it is; None when it is nobody's, or too old."""
        account, until = self._open.get(token, (None, None))
        return account if until is not None and self._clock.now() < until else None

    def end_all(self) -> None:
        """Forget every login, as a restart of the platform with another signing key does."""
        self._open.clear()
