"""Some tests have the machine to themselves: while one of them runs, the run's other processes wait.

What is measured in seconds says little about a move when another test wants the same processor. A test that is marked
`alone` begins when the tests under way elsewhere have ended, and no other begins before it is over.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Machine:
    """What the processes of one test run share, as two locked files.

    Who wants it alone waits in the door, so that nobody slips in before him; everybody passes the door to come in.

    Args:
        directory: the run's own, the same in all of its processes.
    """

    def __init__(self, directory: Path) -> None:
        self._door = (directory / "machine.door").open("w")
        self._inside = (directory / "machine.inside").open("w")

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Wait for it, then have it: together with others, or alone."""
        with _held(self._door, fcntl.LOCK_EX):
            fcntl.flock(self._inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._inside, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of it for good."""
        self._door.close()
        self._inside.close()


@contextmanager
def _held(file: IO[str], how: int) -> Iterator[None]:
    fcntl.flock(file, how)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
