"""What a server has shown of its ways, and how it is asked therefore: how fast, with EDNS or without, in which case.

Everything here is a guess from what came back and what did not, so nothing of it ever decides what a server holds: it
only decides how the next question is put.
"""

from __future__ import annotations

from typing import Final

_LEAST: Final = 2.0  # messages a second; slower than that no check of a realm would end
_FIRST: Final = 50.0  # messages a second, for a server without a limit of ours that turns out to have one itself
_RECOVERY: Final = 5.0  # seconds without a complaint after which a server is asked a little faster again
_FASTER: Final = 1.25
_NO_LIMIT: Final = 1000.0  # messages a second from which on a server without a limit of ours has none again
_SILENCES: Final = 16  # unanswered tries among answered ones: fewer may be plain loss
_WITNESSES: Final = 3  # questions that were answered only without EDNS: fewer may be plain loss
_COMPLAINTS: Final = 3  # slow-downs after which a server that answers over TCP is asked there only
_TRUNCATIONS: Final = 3  # in a row and from the start: the server wants TCP for everything


class Pace:
    """A token bucket that a server's complaints make slower, and time faster again.

    Args:
        rate: messages a second; None for no limit.
        burst: tokens to begin with, and at most.
        now: monotonic seconds.

    Attributes:
        rate: messages a second, at present.
        asleep: out of tokens; somebody will wake it.
    """

    __slots__ = ("_burst", "_changed", "_filled", "_tokens", "_usual", "asleep", "rate")

    def __init__(self, rate: float | None, burst: int, now: float) -> None:
        self.rate = self._usual = rate
        self._burst = self._tokens = float(burst)
        self._filled = now
        self._changed = float("-inf")
        self.asleep = False

    def take(self, now: float) -> float:
        """Take a token; 0 if there was one, else the seconds until there is."""
        rate = self.rate
        if rate is None:
            return 0.0
        if rate != self._usual and now - self._changed > _RECOVERY:
            rate = self._faster(rate, now)
        burst = self._burst if rate == self._usual else min(self._burst, max(rate, 1.0))
        self._tokens = min(burst, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / rate

    def _faster(self, rate: float, now: float) -> float:
        rate *= _FASTER
        self._changed = now
        if self._usual is not None:
            self.rate = rate = min(rate, self._usual)
        else:
            self.rate = rate if rate < _NO_LIMIT else None
        return rate

    def resume(self, rate: float, now: float) -> None:
        """Begin at the rate that the server was slowed down to before."""
        self.rate = rate if self._usual is None else min(rate, self._usual)
        self._tokens = 1.0
        self._changed = now

    def slow(self, sent: float, now: float) -> bool:
        """Halve the rate, unless what the server complains of was sent before the rate last changed.

        Args:
            sent: when that was sent, in monotonic seconds.
            now: likewise.

        Returns:
            Whether it was halved.
        """
        if sent <= self._changed:
            return False
        least = _LEAST if self._usual is None else min(_LEAST, self._usual)
        self.rate = max(least, _FIRST if self.rate is None else self.rate / 2)
        self._tokens = min(self._tokens, 1.0)
        self._filled = self._changed = now
        return True


class Conduct:
    """How one server behaves.

    Args:
        edns: whether it is asked with EDNS to begin with.
        mix_case: whether names are sent to it in random case.

    Attributes:
        edns: whether it is asked with EDNS. `mix_case`: likewise.
        edns_heard: whether it ever answered a question with EDNS.
        refusal: what it does with EDNS, once that is certain; else empty.
        answered: whether anything came back over UDP that says that it is alive.
        limited: whether it limits the rate of its answers, so that silence is no sign of death.
        tcp_heard: whether it ever answered over TCP.
        wants_tcp: whether UDP is of no use there. `silent`: because it became silent there.
    """

    __slots__ = (
        "_died", "_doubt", "_heard", "_latest", "_slowed", "_truncated", "_whole", "_witnesses", "answered", "edns",
        "edns_heard", "limited", "mix_case", "refusal", "silent", "tcp_heard", "wants_tcp",
    )  # fmt: skip

    def __init__(self, *, edns: bool, mix_case: bool) -> None:
        self.edns = edns
        self.mix_case = mix_case
        self.edns_heard = False
        self.refusal = ""
        self.answered = False
        self.limited = False
        self.tcp_heard = self.wants_tcp = self.silent = False
        self._doubt = ""
        self._witnesses = 0
        self._whole = False
        self._truncated = 0
        self._died = self._heard = self._slowed = 0
        self._latest = float("-inf")

    # --- silence and truncation: is it limiting us? ----------------------------------------------------------------

    def heard(self, count: int, sent: float) -> None:
        """Whole answers came over UDP, the last of them to a try of `sent` (monotonic seconds)."""
        self.answered = self._whole = True
        self._heard += count
        self._latest = max(self._latest, sent)

    def died(self, sent: float) -> bool:
        """A try over UDP was in vain; whether so many were, while others of that time were answered, that it is meant.

        Loss hits the minority, an outage hits all of one time; a limit hits the majority beside answered ones.
        """
        if sent > self._latest:
            return False
        self._died += 1
        if self._died + self._heard > 20 * _SILENCES:  # what was long ago counts less
            self._died //= 2
            self._heard //= 2
        if self._died < _SILENCES or self._died <= self._heard:
            return False
        self._died = self._heard = 0
        return True

    def slowed(self) -> None:
        """It was slowed down once more; TCP, where nobody limits answers, is for those that are never content."""
        self._slowed += 1
        self.wants_tcp = self.wants_tcp or (self.tcp_heard and self._slowed >= _COMPLAINTS)

    def truncated(self) -> None:
        """An answer had TC set."""
        self.answered = True
        if not self._whole:
            self._truncated += 1
            self.wants_tcp = self.tcp_heard and self._truncated >= _TRUNCATIONS

    # --- EDNS -------------------------------------------------------------------------------------------------------

    def refuses_edns(self, how: str) -> None:
        """It answered a question with EDNS by `how`, which may be meant for EDNS: ask without."""
        self.edns = False
        self._doubt = how

    def refuses_without_edns_too(self) -> None:
        """So EDNS was not the fault."""
        if not self.refusal and self._doubt:
            self.edns = True
            self._doubt = ""

    def answers_without_edns(self, *, after_silence: bool) -> bool:
        """It answered a question without EDNS; whether it is now certain, and was not before, that it must be so.

        Args:
            after_silence: that very question got no answer with EDNS.
        """
        if self.refusal:
            return False
        if not self._doubt and after_silence and not self.edns_heard:
            self._witnesses += 1
            self.edns = False
            if self._witnesses >= _WITNESSES:
                self.refusal = "silence"
        elif self._doubt:
            self.refusal = self._doubt
        return bool(self.refusal)
