"""Which account is meant by a name, a realm or an id.

Kazoo's search (`applications/crossbar/doc/search.md`) compares beginnings, and only the letters and digits of them, so
what it finds are candidates that are compared here again. It sees the accounts below the key's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from realmkit.errors import InputError
from realmkit.kazoo.errors import NotFoundError
from realmkit.kazoo.values import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realmkit.kazoo.documents import Account
    from realmkit.kazoo.setupdocuments import AccountRow
    from realmkit.kazoo.transport import Connection

A = TypeVar("A", "Account", "AccountRow")


def candidates(
    connection: Connection, read: Callable[[str], Account], wanted: str, kinds: Iterable[str]
) -> Iterator[Account]:
    """Accounts that may be meant: the key's own first, then what the search finds.

    Args:
        connection: where to search.
        read: reads an account by its id.
        wanted: an id, a realm or a name.
        kinds: what it may be: `id`, `realm`, `name`.
    """
    found = [connection.login()]
    rows = searched(connection, dict.fromkeys(kinds, wanted))
    found += [text(row.get("id")) or "" for row in rows if _may_be(row, wanted)]
    for account in dict.fromkeys(filter(None, found)):
        try:
            yield read(account)
        except NotFoundError:  # deleted, and the search does not know yet
            continue


def searched(connection: Connection, wanted: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The rows of one search, each account's once; none for what has not one letter or digit.

    Args:
        connection: where to search.
        wanted: what is looked for by what it is: `id`, `realm`, `name`.

    Raises:
        ProviderError: the answer is not Crossbar's.
    """
    asked = {f"by_{kind}": value for kind, value in wanted.items() if bare(value)}  # nothing would find every account
    if not asked:
        return []
    answer = connection.read("search", "multi", t="account", **asked)
    listings = answer.data.values() if isinstance(answer.data, Mapping) else None
    if listings is None or not all(isinstance(listing, list) for listing in listings):
        raise connection.not_crossbar("GET /search/multi")
    rows = [row for listing in listings for row in listing]
    if not all(isinstance(row, Mapping) and text(row.get("id")) for row in rows):
        raise connection.not_crossbar("GET /search/multi")
    return list({text(row["id"]): row for row in rows}.values())


def pick(accounts: Iterable[A], wanted: str) -> A:
    """The one account that is called so: by id, else by realm, else by name, else by the name's letters and digits.

    Raises:
        InputError: there is none, or there are several.
    """
    ranked: list[tuple[int, A]] = [(_rank(one, wanted), one) for one in accounts]
    best = min((rank for rank, _ in ranked), default=_NOT)
    found = [one for rank, one in ranked if rank == best]
    if best == _NOT:
        raise InputError(
            f"no account {wanted!r} among those that this API key may see", hint="name its id, realm or whole name"
        )
    if len(found) > 1:
        several = ", ".join(f"{one.id} ({one.name}, {one.realm})" for one in found)
        raise InputError(f"{len(found)} accounts are called {wanted!r}: {several}", hint="name the id")
    return found[0]


def bare(name: str) -> str:
    """What Kazoo compares names by: the letters a to z, in lower case, and the digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_NOT = 4


def _rank(account: Account | AccountRow, wanted: str) -> int:
    if account.id == wanted.lower():
        return 0
    if account.realm.casefold() == wanted.casefold():
        return 1
    if account.name == wanted:
        return 2
    return 3 if bare(wanted) and bare(account.name) == bare(wanted) else _NOT


def _may_be(row: Mapping[str, Any], wanted: str) -> bool:
    """Whether the row of a search may be the account; the account itself decides."""
    said = [value for key in ("id", "realm", "name") if (value := text(row.get(key)))]
    return len(said) < 3 or any(bare(value) == bare(wanted) for value in said)
