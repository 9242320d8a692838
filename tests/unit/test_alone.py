"""A test that is marked `alone` really is, in whatever process the others run."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.alone import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

SPAWN = multiprocessing.get_context("spawn")
STAY = 0.02  # seconds
VISITS = 300  # at most: six seconds


def visit(directory: Path, name: str, over: Event, *, alone: bool) -> None:
    """Come and go without a pause until it is over, and write down when one was inside."""
    machine = Machine(directory)
    with (directory / f"visits-{name}").open("w", buffering=1) as book:
        for _ in range(VISITS):
            with machine.taken(alone=alone):
                began = time.monotonic()
                time.sleep(STAY)
                book.write(f"{began} {time.monotonic()} {alone}\n")
            if over.is_set():
                break
    machine.close()


@contextmanager
def guests(directory: Path, over: Event, **alone: bool) -> Iterator[None]:
    """Processes that visit, by name, until the block ends; they are in when it begins."""
    with ExitStack() as stack:
        for name, by_himself in alone.items():
            guest = SPAWN.Process(target=visit, args=(directory, name, over), kwargs={"alone": by_himself})
            guest.start()
            stack.callback(guest.join, 30)
        stack.callback(over.set)
        while not all((directory / f"visits-{name}").exists() for name in alone):
            time.sleep(STAY)
        yield


def test_who_has_the_machine_alone_meets_nobody(tmp_path: Path) -> None:
    with guests(tmp_path, SPAWN.Event(), a=False, b=False, c=False, hermit=True):
        time.sleep(30 * STAY)
    visits = []
    for book in tmp_path.glob("visits-*"):
        for line in book.read_text().splitlines():
            began, ended, alone = line.split()
            visits.append((float(began), float(ended), alone == "True"))
    meetings = [
        (mine, other)
        for mine in visits for other in visits
        if mine is not other and mine[0] < other[1] and other[0] < mine[1]
    ]  # fmt: skip
    assert any(alone for _, _, alone in visits)
    assert meetings  # the others do meet
    assert not [pair for pair in meetings if pair[0][2] or pair[1][2]]


def test_who_waits_to_have_it_alone_is_let_in_before_those_who_come_later(tmp_path: Path) -> None:
    over = SPAWN.Event()
    machine = Machine(tmp_path)
    with guests(tmp_path, over, a=False, b=False, c=False), machine.taken(alone=True):
        books = [book.read_text().count("\n") for book in tmp_path.glob("visits-*")]
    machine.close()
    assert max(books) < VISITS / 3  # with no door it is most of them
