"""Configurations published where phones fetch them: each file whole or not at all, what was there before kept.

What a release finds is kept under `.realmkit/previous/RELEASE/` in the published directory, before anything changes,
so that `restore` can put it back byte for byte. A repeat never overwrites what was kept first: after a crash the same
call is simply made again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from realmkit.errors import InputError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from realmkit.config import Project, PublishEntry

PUBLISHED_MODE: Final = 0o640
KEPT_MODE: Final = 0o600
PREVIOUS: Final = ".realmkit/previous"
_ABSENT: Final = ".absent."
_FORGOTTEN: Final = ".forgotten."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class Publisher(Protocol):
    """Where phones fetch their configurations. All names are plain file names: no folders, no leading dot.

    Every method may raise: InputError (a name that is none), AuthError, UnreachableError and RefusedError (the
    server could not be asked, nothing changed), RejectedError (refused or no space; the old file stands),
    OutcomeUnknownError (cut off while changing: fetch decides, and the same call may be made again).
    """

    def fetch(self, name: str) -> bytes | None:
        """What a phone would get now; None where there is no such file."""
        ...

    def publish(self, files: Mapping[str, bytes], release: str) -> None:
        """Replace whole files, atomically each, and read them back. What was there before is kept under `release`."""
        ...

    def restore(self, release: str, names: Collection[str]) -> tuple[str, ...]:
        """Put back what was there before that release; files that were absent are removed.

        Returns:
            The names that the release had kept. It never touched the others, and so they are left alone.
        """
        ...

    def forget(self, release: str) -> None:
        """Drop what was kept. It can't be restored afterwards."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Store(Protocol):
    """A directory, here or on a server, by paths relative to it. Errors as for `Publisher`."""

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None where there is nothing. Refuses anything but a regular file."""
        ...

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Replace a file, whole or not at all; on return its content is safe, its name only after `sync`."""
        ...

    def mark(self, path: str) -> None:
        """Make an empty file for this user alone; fine where there is one."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; fine where there is none."""
        ...

    def make_folder(self, path: str) -> None:
        """Make a folder for this user alone; fine where there is one."""
        ...

    def rename(self, path: str, to: str) -> None:
        """Rename within a folder; fine where `path` is not there."""
        ...

    def names(self, path: str) -> list[str]:
        """Everything in a folder, dotted names too; none where there is no folder."""
        ...

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder; fine where there is none."""
        ...

    def sync(self, path: str) -> None:
        """Make the names in a folder last, where that can be asked for."""
        ...

    def each(self, items: Iterable[str], work: Callable[[Store, str], None]) -> None:
        """Do something for every item, perhaps several at a time, each with a store of its own."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class KeepingPublisher:
    """The `Publisher` on top of any `Store`. See the module's text for how it stays safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(self, name: str) -> bytes | None:
        """As `Publisher.fetch`."""
        return self._store.read(_checked(name))

    def publish(self, files: Mapping[str, bytes], release: str) -> None:
        """As `Publisher.publish`: keep everything first, then replace, then look again."""
        folder = _folder(release)
        names = [_checked(name) for name in files]
        if not names:
            return
        parts = folder.split("/")
        for depth in range(1, len(parts) + 1):
            self._store.make_folder("/".join(parts[:depth]))
        before: dict[str, bytes | None] = {}
        kept = frozenset(self._store.names(folder))
        self._store.each(names, lambda store, name: _keep(store, folder, kept, name, before))
        self._store.sync(folder)
        self._store.each(names, lambda store, name: _replace(store, name, files[name], before.get(name)))
        self._store.sync("")
        self._store.each(names, lambda store, name: _look_again(store, name, files[name]))

    def restore(self, release: str, names: Collection[str]) -> tuple[str, ...]:
        """As `Publisher.restore`."""
        folder = _folder(release)
        kept = set(self._store.names(folder))
        touched = [name for name in map(_checked, names) if kept & {name, _ABSENT + name}]
        self._store.each(touched, lambda store, name: _put_back(store, folder, name))
        self._store.sync("")
        return tuple(touched)

    def forget(self, release: str) -> None:
        """As `Publisher.forget`: out of the way by one rename first, or a crash would leave half of it to restore."""
        folder = _folder(release)
        gone = f"{PREVIOUS}/{_FORGOTTEN}{release}"
        self._sweep(gone)
        self._store.rename(folder, gone)
        self._store.sync(PREVIOUS)
        self._sweep(gone)

    def _sweep(self, folder: str) -> None:
        self._store.each(self._store.names(folder), lambda store, name: store.remove(f"{folder}/{name}"))
        self._store.remove_folder(folder)

    def close(self) -> None:
        """As `Publisher.close`."""
        self._store.close()


def open_publisher(project: Project) -> Publisher:
    """The publisher that `phones.publish` in `realmkit.yml` names.

    Raises:
        InputError: there is no such section, or it leaves out what its type needs.
    """
    if project.config.phones is None:
        raise project.document.error(
            ("phones",), "where phones fetch their files is not said", "phones: {publish: {type: directory, path: ...}}"
        )
    entry = project.config.phones.publish
    if entry.type == "directory":
        from realmkit.phones.directory import Directory

        return KeepingPublisher(Directory(project.directory / entry.path))
    return KeepingPublisher(_sftp(project, entry))


def _sftp(project: Project, entry: PublishEntry) -> Store:
    from realmkit.phones.sftp import Sftp
    from realmkit.phones.ssh import Account

    for key in ("host", "user"):
        if not getattr(entry, key):
            raise project.document.error(("phones", "publish"), f"type sftp needs the key {key!r}")
    base = project.directory
    return Sftp(
        Account(
            host=entry.host or "",
            port=entry.port,
            user=entry.user or "",
            path=entry.path,
            known_hosts=base / entry.known_hosts,
            key_file=base / entry.key_file if entry.key_file else None,
            passphrase=entry.passphrase.reveal(base) if entry.passphrase else None,
        )
    )


def temporary_name(path: str) -> str:
    """Beside `path`, dotted, and always the same: what a crash leaves there is overwritten by the next attempt."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.realmkit-new"


def _checked(name: str) -> str:
    """A name that stays within the published directory.

    Raises:
        InputError: it does not.
    """
    if not _NAME.match(name):
        raise InputError(f"{name!r} is no name for a published file: letters, digits, dots, dashes, no leading dot")
    return name


def _folder(release: str) -> str:
    if not _NAME.match(release):
        raise InputError(f"{release!r} is no name for a release: letters, digits, dots, dashes, no leading dot")
    return f"{PREVIOUS}/{release}"


def _keep(store: Store, folder: str, kept: Collection[str], name: str, found: dict[str, bytes | None]) -> None:
    """Note what is there now, and keep it, unless this release kept something already."""
    before = found[name] = store.read(name)
    if name in kept or _ABSENT + name in kept:
        return
    if before is None:
        store.mark(f"{folder}/{_ABSENT}{name}")
    else:
        store.write(f"{folder}/{name}", before, KEPT_MODE)


def _replace(store: Store, name: str, data: bytes, before: bytes | None) -> None:
    if before != data:
        store.write(name, data, PUBLISHED_MODE)


def _look_again(store: Store, name: str, data: bytes) -> None:
    if store.read(name) != data:
        raise OutcomeUnknownError(
            f"{name} was written, but reading it again shows something else",
            hint="somebody else writes there too; fetch it, then publish again",
        )


def _put_back(store: Store, folder: str, name: str) -> None:
    before = store.read(f"{folder}/{name}")
    if before is None:
        store.remove(name)
    else:
        _replace(store, name, before, store.read(name))
    store.remove(temporary_name(name))  # of a publish that was killed; it holds passwords
    if store.read(name) != before:
        raise OutcomeUnknownError(f"{name} was put back, but reading it again shows something else")
