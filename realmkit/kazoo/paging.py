"""Listings, page by page, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from realmkit.kazoo.errors import IncompleteError
from realmkit.kazoo.values import text, to_gregorian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from realmkit.kazoo.transport import Connection

PAGE_SIZE: Final = "100"  # rows; 50 where nothing is said (crossbar/pagination_page_size)

LONGEST_RANGE: Final = timedelta(days=31)  # of one query (crossbar/maximum_range)


def rows(connection: Connection, *path: str, **params: str) -> Iterator[Any]:
    """Every row of a listing.

    Args:
        connection: where to ask.
        path: the listing, in parts.
        params: the query beside the paging.

    Raises:
        IncompleteError: a page did not come whole, or the pages go in a circle; the rows so far are not the listing.
        ProviderError: as `Connection.read`.
    """
    what = "GET /" + "/".join(path)
    start: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        page = connection.read(*path, **params, **start)
        if not isinstance(page.data, list):
            raise connection.not_crossbar(what)
        yield from page.data
        if page.next_start_key is None or page.next_start_key == "":
            return
        key = page.next_start_key if isinstance(page.next_start_key, str) else json.dumps(page.next_start_key)
        if key in seen:
            raise IncompleteError(f"{what}: the next page starts where an earlier one did, so the listing has no end")
        seen.add(key)
        start = {"start_key": key}


def rows_between(connection: Connection, since: datetime, until: datetime, *path: str) -> Iterator[Any]:
    """The rows of a listing that were made from `since` until just before `until`, both aware; oldest month first.

    Crossbar refuses a longer range than 31 days, so there may be several listings in a row.
    """
    start, end = to_gregorian(since), to_gregorian(until)
    step = int(LONGEST_RANGE.total_seconds())
    while start < end:
        last = min(start + step, end) - 1  # Crossbar's ranges include both ends
        params = {"created_from": str(start), "created_to": str(last), "page_size": PAGE_SIZE}
        yield from rows(connection, *path, **params)
        start = last + 1


def ids(connection: Connection, *path: str) -> list[str]:
    """The ids of a listing's documents, each once, sorted.

    Rows are summaries, or with some listings (`connectivity`) the ids themselves.

    Raises:
        ProviderError: as `rows`, and where a row has no id.
    """
    found = set()
    for row in rows(connection, *path, page_size=PAGE_SIZE):
        identity = text(row.get("id")) if isinstance(row, Mapping) else row
        if not isinstance(identity, str) or not identity:
            raise connection.not_crossbar("GET /" + "/".join(path))
        found.add(identity)
    return sorted(found)
