"""The pace towards a backend: a bucket, its queue, and one bucket for all threads of an account."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit import retryafter
from realmkit.clock import SystemClock
from realmkit.dns.pacing import Pace, Paces
from tests.unit.test_apply import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence


@given(st.floats(0.5, 100), st.integers(1, 20), st.lists(st.floats(0, 3), max_size=60))
def test_never_faster_than_the_rate(rate: float, burst: int, pauses: Sequence[float]) -> None:
    """In any stretch of time no more go out than the burst and what the rate allows."""
    clock = ManualClock()
    pace = Pace(rate, burst, clock)
    times = []
    for pause in pauses:
        clock.sleep(pause)
        pace.take()
        times.append(clock.monotonic())
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - begin) * rate + 1e-3


def test_who_rests_may_hurry_once() -> None:
    clock = ManualClock()
    pace = Pace(4, 3, clock)
    for _ in range(5):
        pace.take()
    assert clock.slept == [pytest.approx(0.25, abs=1e-3), pytest.approx(0.25, abs=1e-3)]


def test_threads_share_the_bucket_of_an_account() -> None:
    paces = Paces(200, 1)
    clock = SystemClock()
    began = clock.monotonic()

    def take_ten() -> None:
        for _ in range(10):
            paces.of("one", clock).take()

    threads = [threading.Thread(target=take_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() - began >= 39 / 200  # the first goes at once
    assert paces.of("one", clock) is not paces.of("two", clock)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0), (" 120 ", 120.0), ("0", 0.0), ("", None), ("soon", None), ("-1", None), ("1.5", None),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0), ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0), ("Wed, 99 Nov 2026", None),
    ],
)  # fmt: skip
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retryafter.seconds(value, datetime(2026, 11, 25, 12, tzinfo=UTC)) == seconds
