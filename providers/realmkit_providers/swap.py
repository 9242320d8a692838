"""Replacing files so that a reader, or a crash at any moment, meets the old or the new one and never a torn one.

One file is replaced by rename. Several that belong together are first named in a log on disk: a run that is killed
between two renames leaves the log, and the next run finishes what it says.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Step(NamedTuple):
    """A file that is to take another's place.

    Attributes:
        temporary: the new content, complete and on disk, in the same directory.
        target: what it replaces; no symbolic link.
        old: SHA-256 of the target before, 64 hex digits.
        new: SHA-256 of the target after.
    """

    temporary: Path
    target: Path
    old: str
    new: str


class UnfinishedError(Exception):
    """A replacement of several files was cut short, and one of them was changed by someone else since.

    Args:
        target: the file that is neither as it was nor as it was to be.
    """

    def __init__(self, target: Path) -> None:
        super().__init__(str(target))
        self.target = target


def digest(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def hidden(target: Path, word: str) -> Path:
    """Where a file of ours stands that belongs to `target`."""
    return target.with_name(f".{target.name}.realmkit-{word}")


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold an exclusive lock on behalf of an existing file.

    The lock is a file beside it, of the same owner, so that everyone who may write the one may lock the other. It
    stays: removing it would let two in.

    Raises:
        BlockingIOError: another process, or another thread of this one, holds it.
    """
    descriptor = os.open(hidden(target, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid != target.stat().st_uid:
            with suppress(PermissionError):
                os.fchown(descriptor, target.stat().st_uid, target.stat().st_gid)
        yield
    finally:
        os.close(descriptor)


def write_beside(target: Path, word: str, data: bytes) -> Path:
    """Write a file into the directory of `target`, with its mode, owner and extended attributes, and onto the disk.

    Args:
        target: an existing file.
        word: becomes part of the hidden name, which is the same every time, so that leftovers don't pile up.
        data: the content.

    Returns:
        The path of the new file.

    Raises:
        OSError: it could not be written (and is not there), or can't be given the owner of `target`.
    """
    path = hidden(target, word)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        _look_like(target, descriptor)
        os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
    return path


def replace(steps: Sequence[Step], log: Path) -> None:
    """Put the new files in place, in order, and onto the disk.

    Raises:
        OSError: something failed. If `log` or no target's content has changed, nothing is lost: with the log there,
            `finish` goes on from where it stopped; without it, nothing was replaced.
    """
    if len(steps) > 1:
        _write_log(steps, log)
    _take(steps)
    log.unlink(missing_ok=True)


def finish(log: Path) -> bool:
    """Finish what a killed run began. Returns whether there was anything to finish.

    Raises:
        UnfinishedError: a file was changed since; nothing is done.
        OSError: it could not be finished.
    """
    try:
        text = log.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    steps = [Step(log.parent / temporary, Path(target), old, new) for temporary, target, old, new in json.loads(text)]
    left = [step for step in steps if digest(step.target.read_bytes()) != step.new]
    for step in left:
        if digest(step.target.read_bytes()) != step.old or not step.temporary.exists():
            raise UnfinishedError(step.target)
    _take(left)
    log.unlink()
    return True


def sync_directory(directory: Path) -> None:
    """Make renames in the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take(steps: Sequence[Step]) -> None:
    for step in steps:
        step.temporary.replace(step.target)
    for directory in {step.target.parent for step in steps}:
        sync_directory(directory)


def _write_log(steps: Sequence[Step], log: Path) -> None:
    rows = [(str(step.temporary), str(step.target), step.old, step.new) for step in steps]
    fresh = log.with_name(f"{log.name}-new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(rows, file)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(log)
    except BaseException:
        fresh.unlink()
        raise
    sync_directory(log.parent)


def _look_like(model: Path, descriptor: int) -> None:
    """Give an open file the owner, mode and extended attributes (access lists, SELinux label) of `model`."""
    wanted, there = model.stat(), os.fstat(descriptor)
    if (wanted.st_uid, wanted.st_gid) != (there.st_uid, there.st_gid):
        os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
    with suppress(OSError):  # a file system without them
        for name in os.listxattr(model):
            with suppress(OSError):  # those that only the kernel sets
                os.setxattr(descriptor, name, os.getxattr(model, name))
    os.fchmod(descriptor, wanted.st_mode & 0o7777)
