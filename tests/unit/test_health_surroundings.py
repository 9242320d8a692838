"""The pool for slow probes: in order, several at once, and over when the run's time is."""

from __future__ import annotations

import threading
import time

import pytest

from realmkit.clock import SystemClock
from realmkit.health.observe.surroundings import Surroundings

CLOCK = SystemClock()


def late(item: int) -> str:
    return f"{item} is late"


def test_results_come_in_the_order_of_the_items() -> None:
    many = range(200)
    assert Surroundings(CLOCK).each(many, str, late) == [str(item) for item in many]
    assert Surroundings(CLOCK).each([], lambda _item: "", late) == []


def test_several_are_probed_at_once_and_not_too_many() -> None:
    under_way, most = 0, 0
    lock = threading.Lock()

    def probe(item: int) -> str:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return str(item)

    Surroundings(CLOCK).each(range(64), probe, late)
    assert 1 < most <= 16


@pytest.mark.parametrize("hanging", [1, 40])
def test_what_hangs_at_the_deadline_is_left_to_itself(hanging: int) -> None:
    """It would never come back; the others are told as they are, and nothing is begun any more."""
    release, begun = threading.Event(), []

    def probe(item: int) -> str:
        begun.append(item)
        if item < hanging:
            release.wait(30)
        return str(item)

    began = CLOCK.monotonic()
    try:
        found = Surroundings(CLOCK, until=began + 0.3).each(range(50), probe, late)
    finally:
        release.set()
    assert 0.3 <= CLOCK.monotonic() - began < 5
    assert found == [str(item) if item in begun and item >= hanging else late(item) for item in range(50)]
    assert len(begun) == (50 if hanging == 1 else 16)


def test_after_the_deadline_nothing_is_begun() -> None:
    found = Surroundings(CLOCK, until=CLOCK.monotonic() - 1).each(range(3), lambda _item: pytest.fail("begun"), late)
    assert found == [late(0), late(1), late(2)]


def test_a_bug_is_raised_where_the_run_is() -> None:
    def probe(item: int) -> str:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        Surroundings(CLOCK).each([1], probe, late)
