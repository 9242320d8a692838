"""The journal: an append-only table of events, synced before anything is done, each line sealed to the one before.

SQLite in the project's `.realmkit/migrations.sqlite3`. WAL with `synchronous=FULL`: an event that `append` returned
for survives a power cut. Triggers refuse UPDATE and DELETE; the chain of hashes shows what was changed around them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

import msgspec

from realmkit import durable
from realmkit.errors import InputError, LockedError, StateError
from realmkit.migrate.events import Event, What

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE_NAME: Final = "migrations.sqlite3"
_VERSION: Final = 1
_SCHEMA: Final = (
    """CREATE TABLE event (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, migration TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL,
      seal TEXT NOT NULL
    )""",
    "CREATE INDEX event_of ON event (migration, seq)",
    "CREATE TRIGGER event_stays BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER event_remains BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END",
)
_BUSY_SECONDS: Final = 10.0


class Journal:
    """The events of a project's migrations.

    Args:
        path: the database; made when it is not there. None keeps everything in memory, for rehearsals.

    Raises:
        StateError: it can't be opened, or was written by another version.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._encode = msgspec.json.Encoder().encode
        self._decode: Callable[[str], What] = msgspec.json.Decoder(What).decode
        with self._told("open"), ExitStack() as stack:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path is None or not path.exists()
            self._database = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None)
            stack.callback(self._database.close)
            self._prepare()
            if fresh and path is not None:
                durable.sync_directory(path.parent)
            stack.pop_all()

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """A project's journal."""
        return cls(state_dir / FILE_NAME)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def append(self, migration: str, at: datetime, what: What) -> Event:
        """Write one event down; when this returns it is on disk.

        Raises:
            StateError: the disk won't take it; then nothing of it is there.
        """
        row = (migration, at.isoformat(), self._encode(what).decode())
        with self._told("write"), self._transaction() as cursor:
            last = cursor.execute("SELECT seal FROM event ORDER BY seq DESC LIMIT 1").fetchone()
            seal = _seal(last[0] if last else "", *row)
            cursor.execute("INSERT INTO event (migration, at, what, seal) VALUES (?, ?, ?, ?)", (*row, seal))
            seq = cursor.lastrowid or 0
        return Event(seq, at, what)

    def events(self, migration: str) -> list[Event]:
        """A migration's events, oldest first.

        Raises:
            StateError: the journal can't be read, or an event was changed or taken out.
        """
        with self._told("read"), self._transaction("BEGIN") as cursor:
            rows = cursor.execute("SELECT seq, migration, at, what, seal FROM event ORDER BY seq").fetchall()
            counted = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        found, before = [], ""
        for place, (seq, of, at, text, seal) in enumerate(rows, start=1):
            if seq != place or seal != _seal(before, of, at, text):
                raise self._tampered(place)
            before = seal
            if of == migration:
                found.append(Event(seq, datetime.fromisoformat(at), self._read(seq, text)))
        if counted is not None and counted[0] != len(rows):
            raise self._tampered(len(rows) + 1)
        return found

    def migrations(self) -> list[str]:
        """The names of all migrations, in the order in which they were first planned."""
        with self._told("read"):
            rows = self._database.execute("SELECT migration FROM event GROUP BY migration ORDER BY min(seq)")
            return [name for (name,) in rows]

    @contextmanager
    def only_runner(self, migration: str) -> Iterator[None]:
        """Be the only one who runs a migration; the kernel drops the lock when we die.

        Raises:
            LockedError: another realmkit runs it.
        """
        assert self._path is not None  # noqa: S101 - a rehearsal has no second runner
        with ExitStack() as stack:
            try:
                stack.enter_context(durable.locked(self._path.with_name(f"migration-{migration}.lock")))
            except LockedError as error:
                hint = "stop it with Ctrl-C, which is safe at any moment, or wait until it has finished"
                raise LockedError(f"another realmkit is at work on {migration}: {error.message}", hint=hint) from error
            yield

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        if self._version() == 0:
            with self._transaction() as cursor:
                if self._version() == 0:  # still: another process may have been faster
                    self._make(cursor)
        if self._version() != _VERSION:
            raise StateError(f"the journal {self._path} was written by another version of realmkit")

    def _version(self) -> int:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _make(self, cursor: sqlite3.Cursor) -> None:
        (tables,) = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise StateError(f"{self._path} is somebody else's database, and no journal of realmkit")
        for statement in _SCHEMA:
            cursor.execute(statement)
        cursor.execute(f"PRAGMA user_version={_VERSION}")

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Cursor]:
        """All or nothing."""
        with closing(self._database.cursor()) as cursor:
            cursor.execute(begin)
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what SQLite and the system say into an error for people."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            hint = "nothing more was done" if doing == "write" else None
            raise StateError(f"can't {doing} the journal {self._path}: {error}", hint=hint) from error

    def _tampered(self, seq: int) -> StateError:
        return StateError(f"{self._path}: event {seq} is not what was written", hint="restore the file from a backup")

    def _read(self, seq: int, text: str) -> What:
        try:
            return self._decode(text)
        except msgspec.DecodeError as error:
            raise StateError(f"{self._path}: event {seq} can't be read: {error}") from error


def open_existing(state_dir: Path) -> Journal:
    """A project's journal, which must exist.

    Raises:
        InputError: nothing was planned yet.
    """
    if not (state_dir / FILE_NAME).exists():
        raise InputError("no migration was planned here yet", hint="realmkit migrate plan ACCOUNT")
    return Journal.of(state_dir)


def _seal(before: str, migration: str, at: str, what: str) -> str:
    """What seals an event to the one before it."""
    return hashlib.sha256("\n".join((before, migration, at, what)).encode()).hexdigest()
