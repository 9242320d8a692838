"""Cutting a plan into batches that a backend takes: by elements and by bytes, and never through a realm."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns.plan import Change, group_of
from realmkit.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from realmkit.dns.provider import Capabilities, Weight


def batches(
    changes: Iterable[Change], can: Capabilities, weigh: Callable[[Sequence[Change]], Weight]
) -> Iterator[tuple[Change, ...]]:
    """Consecutive changes in as few batches as the limits allow; changes of one group stay in one.

    Args:
        changes: in the order in which they are to be made.
        can: the backend's limits.
        weigh: what the changes of one group cost of them.

    Raises:
        RefusedError: one group alone is more than a batch takes.
    """
    most_elements = can.max_changes or float("inf")
    most_bytes = can.max_bytes or float("inf")
    batch: list[Change] = []
    elements = size = 0
    for name, members in groupby(changes, key=lambda change: group_of(change.key[0])):
        group = list(members)
        more_elements, more_bytes = weigh(group)
        if more_elements > most_elements or more_bytes > most_bytes:
            raise RefusedError(
                f"{names.to_text(name)}: {len(group)} changes ({more_elements} elements, {more_bytes} bytes) don't "
                f"fit one batch of this provider ({most_elements} elements, {most_bytes} bytes), and a realm is never "
                "published in halves"
            )
        if batch and (elements + more_elements > most_elements or size + more_bytes > most_bytes):
            yield tuple(batch)
            batch, elements, size = [], 0, 0
        batch.extend(group)
        elements += more_elements
        size += more_bytes
    if batch:
        yield tuple(batch)
