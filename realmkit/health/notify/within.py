"""Work that must not take longer than it may, whatever the other side does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do it, and wait no longer than so many seconds.

    The libraries' own timeouts bound one read; a server that sends a byte now and then would hold a run for ever.

    Raises:
        TimeoutError: it takes longer; the work is left to end by itself, or with the process.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:  # it is raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"no end within {seconds:g} s")
    return done[0]
