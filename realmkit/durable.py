"""Files that survive a power cut: written whole beside the old one, synced, renamed, or appended and synced."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
from typing import TYPE_CHECKING, Final

from realmkit.errors import LockedError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ABANDONED: Final = 3600  # seconds; nobody writes for so long


def write(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all.

    Raises:
        StateError: the disk is full, the directory can't be written, and so on; the old file stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sweep(path, temporary)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StateError(f"can't write {path}: {error.strerror}", hint="nothing was changed") from error


def _sweep(path: Path, mine: Path) -> None:
    """Remove what writers of `path` left that were killed; it is told by its age, on the file system's own clock."""
    with contextlib.suppress(OSError):
        now = mine.stat().st_mtime
        for other in path.parent.glob(f".{glob.escape(path.name)}.*"):
            if other.name.rpartition(".")[2].isdecimal() and now - other.stat().st_mtime > _ABANDONED:
                other.unlink()


def append(path: Path, line: bytes) -> None:
    """Add one line and sync it. What an earlier crash left of a torn last line is cut off first.

    Raises:
        StateError: the disk is full, and so on; a part of the line that got through is cut off again.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        # unbuffered: a buffer would try to write its rest once more when the file is closed
        with path.open("ab", buffering=0) as file:
            whole = _whole_length(path)
            os.ftruncate(file.fileno(), whole)
            try:
                left = memoryview(line + b"\n")
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), whole)
                raise
        if fresh:
            sync_directory(path.parent)
    except OSError as error:
        raise StateError(f"can't write {path}: {error.strerror}") from error


def lines(path: Path) -> list[bytes]:
    """The whole lines of a file that `append` keeps; none if there is no such file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(f"can't read {path}: {error.strerror}") from error
    return data[: data.rfind(b"\n") + 1].splitlines()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` for as long as the block runs; the kernel drops it when we die.

    Raises:
        LockedError: another process holds it. StateError: the file can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(f"can't open the lock {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockedError(
                f"another realmkit is changing this project ({path} is locked)", hint="wait until it has finished"
            ) from error
        yield
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` last."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _whole_length(path: Path) -> int:
    """The length of the file up to its last line feed."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
