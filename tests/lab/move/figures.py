"""The figures of the moves in the lab: a table for people, JSON for the documents."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

FILE = "REALMKIT_MOVE_FIGURES"  # names the file for the JSON
TOLD = "told of a move"  # a property of a test's report, which comes from whatever process the test ran in
FACTOR, CONSTANT = 1.5, 1.0  # how much longer than alone a phone may be dark


class Darkness(Struct, frozen=True):
    """How long calls did not reach phones, in seconds.

    Attributes:
        own: what a phone needs alone, from being told to being registered again: the median.
        median: of dark times; `p95` nearest rank, `longest` the maximum, `whose` says of what kind of phone.
        ratio_p95: of dark time to the time allowed: 1.5 times the phone's own plus one second.
        ratio_max: the same of the worst.
    """

    own: float
    median: float
    p95: float
    longest: float
    whose: str
    ratio_p95: float
    ratio_max: float


class Figures(Struct, frozen=True):
    """One move.

    Attributes:
        story: which; `generation` of the platform.
        phones: how many there are, real ones included; `obeying`: so many of them can be moved.
        dark: of those that obey.
        calls: held by SIPp; `cut`: of these.
        seconds: the whole move, from the start of `migrate run` to its end.
        requests: to Crossbar, planning included.
        probes: to phones, from which dark times come.
        left: what is left behind.
    """

    story: str
    generation: str
    phones: int
    obeying: int
    dark: Darkness
    calls: int
    cut: int
    seconds: float
    requests: int
    probes: int
    left: tuple[str, ...] = ()


def darkness(dark: Mapping[str, float], own: Mapping[str, float], kinds: Mapping[str, str]) -> Darkness:
    """The figures about dark times.

    Args:
        dark: seconds by phone.
        own: seconds that each needs alone.
        kinds: what each is.
    """
    ratios = [seconds / (FACTOR * own[name] + CONSTANT) for name, seconds in dark.items()]
    worst = max(dark, key=lambda name: dark[name])
    return Darkness(
        median(own[name] for name in dark), median(dark.values()), p95(dark.values()), dark[worst], kinds[worst],
        p95(ratios), max(ratios),
    )  # fmt: skip


def p95(values: Collection[float]) -> float:
    """The nearest rank: of 42 the 40th."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def summary(told: Iterable[str]) -> list[str]:
    """What tests told (as `TOLD`, in JSON), for people; the figures also go to the file that the environment names."""
    things = [msgspec.json.decode(text, type=Figures | str) for text in told]
    measured = [one for one in things if isinstance(one, Figures)]
    if path := os.environ.get(FILE):
        Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
    return [*table(measured), *notes(measured), *(one for one in things if isinstance(one, str))]


def table(rows: Iterable[Figures]) -> list[str]:
    """The figures for people."""
    head = ("story", "kazoo", "phones", "alone", "dark: median", "p95", "max", "of allowed: p95", "max", "calls", "cut",
            "move", "requests", "left behind")  # fmt: skip
    lines = [head, *(_cells(one) for one in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _cells(one: Figures) -> tuple[str, ...]:
    dark = one.dark
    return (
        one.story, one.generation, f"{one.obeying} of {one.phones}", f"{dark.own:.2f} s", f"{dark.median:.2f} s",
        f"{dark.p95:.2f} s", f"{dark.longest:.2f} s", f"{dark.ratio_p95:.2f}", f"{dark.ratio_max:.2f}", str(one.calls),
        str(one.cut), f"{one.seconds:.1f} s", str(one.requests), "; ".join(one.left) or "nothing",
    )  # fmt: skip


def notes(rows: Iterable[Figures]) -> list[str]:
    """What the table has no room for."""
    return [f"{one.story} {one.generation}: longest dark: {one.dark.whose}" for one in rows]
