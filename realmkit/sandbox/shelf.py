"""Published configurations in memory, for rehearsals: a `Store` that costs no disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realmkit.phones.publish import Store


class Shelf:
    """A `realmkit.phones.publish.Store` in memory. Folders are there as soon as something is in them."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        """As `Store.read`."""
        return self._files.get(path)

    def write(self, path: str, data: bytes, mode: int) -> None:  # noqa: ARG002 - nobody else looks here
        """As `Store.write`."""
        self._files[path] = data

    def mark(self, path: str) -> None:
        """As `Store.mark`."""
        self._files.setdefault(path, b"")

    def remove(self, path: str) -> None:
        """As `Store.remove`."""
        self._files.pop(path, None)

    def make_folder(self, path: str) -> None:
        """There is nothing to make."""

    def rename(self, path: str, to: str) -> None:
        """As `Store.rename`, for files and whole folders."""
        for name in [name for name in self._files if name == path or name.startswith(path + "/")]:
            self._files[to + name[len(path) :]] = self._files.pop(name)

    def names(self, path: str) -> list[str]:
        """As `Store.names`."""
        inside = path + "/" if path else ""
        return sorted({name[len(inside) :].partition("/")[0] for name in self._files if name.startswith(inside)})

    def remove_folder(self, path: str) -> None:
        """There is nothing to remove."""

    def sync(self, path: str) -> None:
        """There is nothing to sync."""

    def each(self, items: Iterable[str], work: Callable[[Store, str], None]) -> None:
        """As `Store.each`, one after the other."""
        for item in items:
            work(self, item)

    def close(self) -> None:
        """There is nothing to let go of."""
