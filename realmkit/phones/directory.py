"""A directory of this machine that phones fetch from."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from realmkit.errors import RefusedError, RejectedError
from realmkit.phones.publish import temporary_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from realmkit.phones.publish import Store


class Directory:
    """A `publish.Store` on the local file system.

    Files get the directory's group, where this user may give it, and 0640: a web server reads them through its group.

    Args:
        root: the directory; it must exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """As `Store.read`."""
        place = self._root / path
        with self._told(f"can't read {place}"):
            try:
                found = place.lstat()
            except FileNotFoundError:
                self.require_root()
                return None
            if not stat.S_ISREG(found.st_mode):
                raise _foreign(place)
            with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                return file.read()

    def write(self, path: str, data: bytes, mode: int) -> None:
        """As `Store.write`."""
        place = self._root / path
        temporary = self._root / temporary_name(path)
        with self._told(f"can't write {place}; the old one stands"):
            try:
                self._fill(temporary, data, mode)
                temporary.replace(place)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise

    def _fill(self, temporary: Path, data: bytes, mode: int) -> None:
        """Write a file that nobody else can read before it is finished."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, -1, self._root.stat().st_gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def mark(self, path: str) -> None:
        """As `Store.mark`."""
        place = self._root / path
        with self._told(f"can't write {place}"):
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))

    def remove(self, path: str) -> None:
        """As `Store.remove`."""
        with self._told(f"can't remove {self._root / path}"), contextlib.suppress(FileNotFoundError):
            (self._root / path).unlink()

    def make_folder(self, path: str) -> None:
        """As `Store.make_folder`."""
        self.require_root()
        place = self._root / path
        with self._told(f"can't make {place}"):
            try:
                place.mkdir(0o700)
            except FileExistsError:
                if place.is_symlink() or not place.is_dir():
                    raise _foreign(place) from None
                return
            _sync(place.parent)

    def rename(self, path: str, to: str) -> None:
        """As `Store.rename`."""
        with self._told(f"can't rename {self._root / path}"), contextlib.suppress(FileNotFoundError):
            (self._root / path).replace(self._root / to)

    def names(self, path: str) -> list[str]:
        """As `Store.names`."""
        try:
            return sorted(one.name for one in (self._root / path).iterdir())
        except FileNotFoundError:
            self.require_root()
            return []

    def remove_folder(self, path: str) -> None:
        """As `Store.remove_folder`."""
        with self._told(f"can't remove {self._root / path}"), contextlib.suppress(FileNotFoundError):
            (self._root / path).rmdir()

    def sync(self, path: str) -> None:
        """As `Store.sync`."""
        with self._told(f"can't sync {self._root / path}"), contextlib.suppress(FileNotFoundError):
            _sync(self._root / path)

    def each(self, items: Iterable[str], work: Callable[[Store, str], None]) -> None:
        """As `Store.each`: one after the other, for it is the disk that takes the time."""
        for item in items:
            work(self, item)

    def close(self) -> None:
        """There is nothing to let go of."""

    def require_root(self) -> None:
        """Refuse a directory that is not there. Raises RejectedError."""
        if not self._root.is_dir():
            raise RejectedError(
                f"{self._root} is no directory; nothing was changed",
                hint="make it, and give it the group of the web server",
            )

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the system says into an error for people."""
        try:
            yield
        except OSError as error:
            raise RejectedError(f"{what}: {error.strerror}") from error


def _foreign(place: Path) -> RefusedError:
    return RefusedError(f"{place} is no regular file, so it is not ours to replace", hint="move it away first")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
