"""The journal: append-only, sealed, whole or not at all, one runner at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realmkit.errors import InputError, StateError
from realmkit.migrate import events as ev
from realmkit.migrate import journal as journals
from realmkit.migrate.journal import FILE_NAME, Journal, open_existing
from tests.unit.zoneplace import FORK, in_child

NOW = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
EVENTS: list[ev.What] = [
    ev.Began("a/x", {"realm": "old.example", "rows": {"old.example": "stamp ü"}}),
    ev.Ended("a/x", "done", "seen", {"ttl": 300}),
    ev.Approved("Jane \U0001f44d", "abc", NOW + timedelta(days=1)),
    ev.Accepted("move-1", "Jane"),
    ev.Retried(("a/x",), "Jane"),
    ev.Halted("Jane", "no reason\nat all"),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".realmkit"


def written(state: Path, count: int = len(EVENTS)) -> Path:
    with Journal.of(state) as journal:
        for place, what in enumerate(EVENTS[:count]):
            journal.append("acme", NOW + timedelta(seconds=place), what)
    return state / FILE_NAME


def tampered(path: Path, *statements: str) -> None:
    """What somebody with the sqlite3 program and a reason can do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DROP TRIGGER event_stays")
        database.execute("DROP TRIGGER event_remains")
        for statement in statements:
            database.execute(statement)


def test_events_come_back_as_they_were_written(state: Path) -> None:
    written(state)
    with Journal.of(state) as journal:
        journal.append("beta", NOW, EVENTS[0])
        assert [one.what for one in journal.events("acme")] == EVENTS
        assert [one.at for one in journal.events("acme")] == [NOW + timedelta(seconds=n) for n in range(len(EVENTS))]
        assert [one.seq for one in journal.events("beta")] == [len(EVENTS) + 1]
        assert journal.migrations() == ["acme", "beta"]
        assert journal.events("nobody") == []


@pytest.mark.parametrize("statement", ["UPDATE event SET what = what", "DELETE FROM event WHERE seq = 1"])
def test_events_are_never_changed(state: Path, statement: str) -> None:
    path = written(state)
    with (
        closing(sqlite3.connect(path)) as database,
        pytest.raises(sqlite3.IntegrityError, match=r"events are never (changed|deleted)"),
    ):
        database.execute(statement)


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE event SET what = replace(what, 'Jane', 'John') WHERE seq = 4", 4),
        ("UPDATE event SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 2", 2),
        ("UPDATE event SET migration = 'beta' WHERE seq = 3", 3),
        ("UPDATE event SET seal = 'x' WHERE seq = 1", 1),
        ("DELETE FROM event WHERE seq = 1", 1),
        ("DELETE FROM event WHERE seq = 3", 3),
        ("DELETE FROM event WHERE seq = 6", 6),
        ("DELETE FROM event", 1),
        ("INSERT INTO event (migration, at, what, seal) SELECT migration, at, what, seal FROM event WHERE seq = 6", 7),
        ("UPDATE event SET seq = 99 WHERE seq = 6", 6),
    ],
)
def test_what_was_changed_behind_its_back_is_found(state: Path, statement: str, seq: int) -> None:
    path = written(state)
    tampered(path, statement)
    with Journal.of(state) as journal, pytest.raises(StateError, match=f"event {seq} is not what was written"):
        journal.events("acme")


def test_two_events_that_changed_places_are_found(state: Path) -> None:
    path = written(state)
    tampered(
        path, "UPDATE event SET seq = 99 WHERE seq = 2", "UPDATE event SET seq = 2 WHERE seq = 3",
        "UPDATE event SET seq = 3 WHERE seq = 99",
    )  # fmt: skip
    with Journal.of(state) as journal, pytest.raises(StateError, match=r"event 2 is not"):
        journal.events("acme")


def test_an_event_that_this_version_does_not_know_is_an_error_and_no_traceback(state: Path) -> None:
    path = written(state, 1)
    text = '{"type":"danced"}'
    with Journal.of(state) as journal, closing(sqlite3.connect(path, isolation_level=None)) as database:
        (last,) = database.execute("SELECT seal FROM event").fetchone()
        seal = journals._seal(last, "acme", NOW.isoformat(), text)
        row = ("acme", NOW.isoformat(), text, seal)
        database.execute("INSERT INTO event (migration, at, what, seal) VALUES (?, ?, ?, ?)", row)
        with pytest.raises(StateError, match=r"event 2 can't be read"):
            journal.events("acme")


def test_a_full_disk_leaves_nothing_half_written(state: Path) -> None:
    written(state)
    with Journal.of(state) as journal:
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        large = ev.Began("b/y", {"plan": "x" * 100_000})
        for _ in range(2):
            with pytest.raises(StateError, match=r"can't write the journal .*full") as caught:
                journal.append("acme", NOW, large)
            assert caught.value.hint == "nothing more was done"
        assert [one.what for one in journal.events("acme")] == EVENTS
        journal._database.execute("PRAGMA max_page_count = 1000000")
        assert journal.append("acme", NOW, large).seq == len(EVENTS) + 1
    with Journal.of(state) as journal:
        assert [one.what for one in journal.events("acme")] == [*EVENTS, large]


def test_an_interrupted_append_leaves_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: the transaction is not left open for the next one to be caught in."""
    written(state)

    def interrupted(*_: str) -> str:
        raise KeyboardInterrupt

    with Journal.of(state) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(journals, "_seal", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append("acme", NOW, EVENTS[0])
        assert not journal._database.in_transaction
        journal.append("acme", NOW, EVENTS[0])
        assert len(journal.events("acme")) == len(EVENTS) + 1


def test_a_journal_that_somebody_holds_is_an_error_and_not_a_wait_for_ever(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(state)
    monkeypatch.setattr(journals, "_BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, Journal.of(state) as journal:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match=r"can't write the journal .*locked"):
            journal.append("acme", NOW, EVENTS[0])
        assert len(journal.events("acme")) == len(EVENTS)  # reading goes on
        other.execute("ROLLBACK")
        journal.append("acme", NOW, EVENTS[0])


def test_many_writers_at_once_lose_nothing(state: Path) -> None:
    def write(name: str) -> None:
        with Journal.of(state) as journal:
            for number in range(20):
                journal.append(name, NOW, ev.Began(f"{name}/{number}", {}))

    workers = [FORK.Process(target=write, args=(name,)) for name in ("acme", "beta", "gamma")]
    for worker in workers:  # the file is made by whoever comes first
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Journal.of(state) as journal:
        for name in ("acme", "beta", "gamma"):
            assert [one.what for one in journal.events(name)] == [ev.Began(f"{name}/{n}", {}) for n in range(20)]


def test_what_was_appended_survives_a_kill(state: Path) -> None:
    def work() -> None:
        journal = Journal.of(state)
        for what in EVENTS[:3]:
            journal.append("acme", NOW, what)
        os.kill(os.getpid(), 9)

    assert in_child(work) == -9
    with Journal.of(state) as journal:
        assert [one.what for one in journal.events("acme")] == EVENTS[:3]


def test_a_torn_write_ahead_log_loses_the_torn_event_only(state: Path) -> None:
    """A power cut in the middle of a write to the log: what `append` had not returned for is gone, and nothing else."""
    path = state / FILE_NAME
    wal = path.with_name(FILE_NAME + "-wal")

    def work() -> None:
        journal = Journal.of(state)
        for what in EVENTS[:3]:
            journal.append("acme", NOW, what)
        whole = wal.stat().st_size
        journal.append("acme", NOW, EVENTS[3])
        os.truncate(wal, whole + (wal.stat().st_size - whole) // 2)
        os.kill(os.getpid(), 9)

    assert in_child(work) == -9
    with Journal.of(state) as journal:
        assert [one.what for one in journal.events("acme")] == EVENTS[:3]
        journal.append("acme", NOW, EVENTS[3])
        assert len(journal.events("acme")) == 4


def test_a_file_that_is_no_journal(state: Path) -> None:
    state.mkdir()
    (state / FILE_NAME).write_bytes(b"not a database, but long enough to look at\n" * 100)
    with pytest.raises(StateError, match=r"can't open the journal .*not a database"):
        Journal.of(state)
    assert (state / FILE_NAME).read_bytes().startswith(b"not a database")


def test_somebody_else_s_database_is_left_alone(state: Path) -> None:
    state.mkdir()
    with closing(sqlite3.connect(state / FILE_NAME)) as database:
        database.execute("CREATE TABLE music (title TEXT)")
    with pytest.raises(StateError, match=r"somebody else's database"):
        Journal.of(state)
    with closing(sqlite3.connect(state / FILE_NAME)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("music",)]


def test_a_journal_of_another_version(state: Path) -> None:
    path = written(state)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(StateError, match=r"written by another version of realmkit"):
        Journal.of(state)


def test_a_damaged_page_is_an_error_and_no_traceback(state: Path) -> None:
    path = written(state)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)  # all but the page that says what tables there are
    path.write_bytes(data)
    with Journal.of(state) as journal:
        with pytest.raises(StateError, match=r"can't read the journal"):
            journal.events("acme")
        with pytest.raises(StateError, match=r"can't read the journal"):
            journal.migrations()


def test_where_no_journal_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"can't open the journal"):
        Journal.of(tmp_path / "file")
    with pytest.raises(InputError, match=r"no migration was planned here yet"):
        open_existing(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_one_runner_for_each_migration(state: Path) -> None:
    written(state)
    with Journal.of(state) as one, Journal.of(state) as other, one.only_runner("acme"):
        with (
            pytest.raises(StateError, match=r"is at work on acme") as caught,
            other.only_runner("acme"),
        ):
            pass
        assert "Ctrl-C" in str(caught.value.hint)
        with other.only_runner("beta"):
            pass
    with Journal.of(state) as other, other.only_runner("acme"):
        pass


def test_the_lock_of_a_runner_that_was_killed_is_free(state: Path) -> None:
    ready = FORK.Event()

    def work() -> None:
        with Journal.of(state) as journal, journal.only_runner("acme"):
            ready.set()
            threading.Event().wait()

    worker = FORK.Process(target=work)
    worker.start()
    assert ready.wait(10)
    with Journal.of(state) as journal:
        with pytest.raises(StateError, match=r"another realmkit"), journal.only_runner("acme"):
            pass
        worker.kill()
        worker.join()
        with journal.only_runner("acme"):
            pass


def test_errors_of_whoever_holds_the_lock_pass_through(state: Path) -> None:
    with Journal.of(state) as journal, pytest.raises(StateError, match=r"^of my own$"), journal.only_runner("acme"):
        raise StateError("of my own")
