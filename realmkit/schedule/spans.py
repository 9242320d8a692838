"""Arithmetic on half-open spans `[start, end)`: of minutes of a day, or of instants."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T", int, datetime)


def union(spans: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """The same set as disjoint spans in order, joined where they touch; empty spans vanish."""
    found: list[tuple[T, T]] = []
    for start, end in sorted(one for one in spans if one[0] < one[1]):
        if found and start <= found[-1][1]:
            if end > found[-1][1]:
                found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def gaps(spans: Sequence[tuple[T, T]], start: T, end: T) -> list[tuple[T, T]]:
    """What of `[start, end)` no span covers; the spans are disjoint and in order, as `union` gives them."""
    found = []
    for left, right in spans:
        if right <= start:
            continue
        if left >= end:
            break
        if left > start:
            found.append((start, left))
        start = right
    if start < end:
        found.append((start, end))
    return found


def subtract(spans: Iterable[tuple[T, T]], taken: Sequence[tuple[T, T]]) -> list[tuple[T, T]]:
    """What is left of each of `spans` without `taken`, which is disjoint and in order."""
    return [piece for start, end in spans for piece in gaps(taken, start, end)]
