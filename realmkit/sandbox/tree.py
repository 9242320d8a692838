"""The sandbox's accounts by what Kazoo's views find them by: realm, name, parent. Fast with many thousands of them."""

from __future__ import annotations

from bisect import bisect_left
from itertools import takewhile
from typing import TYPE_CHECKING

from realmkit.sandbox.rules import letters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.sandbox.store import Document


class Tree:
    """Every account, as long as the store keeps it up to date."""

    def __init__(self) -> None:
        self._realms: dict[str, list[Document]] = {}
        self._names: dict[str, list[Document]] = {}
        self._children: dict[str | None, dict[str, Document]] = {}
        self._filed: dict[str, tuple[str, str]] = {}
        self._age: dict[str, int] = {}
        self._sorted: dict[tuple[str, str], list[tuple[tuple[str, str], Document]]] = {}

    def put(self, account: Document) -> None:
        """File an account that is new, or was saved."""
        filed = account.data["realm"].lower(), letters(account.data["name"])
        if self._filed.get(account.id) == filed:
            return
        if account.id in self._filed:
            self._unfile(account)
        self._filed[account.id] = filed
        self._age.setdefault(account.id, len(self._age))
        self._realms.setdefault(filed[0], []).append(account)
        self._names.setdefault(filed[1], []).append(account)
        self._children.setdefault(account.private["parent"], {})[account.id] = account
        self._sorted.clear()

    def drop(self, account: Document) -> None:
        """Forget an account that was deleted."""
        self._unfile(account)
        for children in self._children.values():
            children.pop(account.id, None)

    def of_realm(self, realm: str) -> list[Document]:
        """The accounts of a realm, whatever its case, oldest first: one, or after F7 more."""
        return sorted(self._realms.get(realm.lower(), []), key=lambda one: self._age[one.id])

    def of_name(self, name: str) -> list[Document]:
        """The accounts of a name, by its letters and digits."""
        return list(self._names.get(letters(name), []))

    def children(self, account: str) -> list[Document]:
        """The accounts right below one, oldest first; not those that were moved elsewhere since they were made."""
        return [one for one in self._children.get(account, {}).values() if one.private["parent"] == account]

    def below(self, account: str) -> Iterator[Document]:
        """All accounts below one, whatever their depth."""
        waiting = [account]
        while waiting:
            found = self.children(waiting.pop())
            yield from found
            waiting += [one.id for one in found]

    def count_below(self, account: str) -> int:
        """How many they are."""
        return sum(1 for _ in self.below(account))

    def listed_below(self, account: str, by: str = "name") -> list[tuple[tuple[str, str], Document]]:
        """All accounts below one with their keys in a view, in its order.

        Args:
            account: the id of the one.
            by: what the view is by: `name`, as listings are, `realm` or `id`; by the letters and digits of it.
        """
        rows = self._sorted.get((account, by))
        if rows is None:
            keyed = (((letters(one.id if by == "id" else one.data[by]), one.id), one) for one in self.below(account))
            rows = self._sorted[account, by] = sorted(keyed, key=lambda row: row[0])
        return rows

    def beginning(self, account: str, by: str, prefix: str) -> list[Document]:
        """The accounts below one whose name, realm or id begins with these letters and digits, in a view's order."""
        rows = self.listed_below(account, by)
        first = bisect_left(rows, (prefix, ""), key=lambda row: row[0])
        after = takewhile(lambda index: rows[index][0][0].startswith(prefix), range(first, len(rows)))
        return [rows[index][1] for index in after]

    def _unfile(self, account: Document) -> None:
        realm, name = self._filed.pop(account.id)
        self._realms[realm].remove(account)
        self._names[name].remove(account)
        self._sorted.clear()
