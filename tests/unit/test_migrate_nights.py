"""Windows that are missed, zones and disks that fail, and what nobody may find in any file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from realmkit.errors import StateError
from realmkit.migrate import events as ev
from realmkit.migrate.journal import FILE_NAME, Journal
from realmkit.migrate.runner import Report
from realmkit.sandbox.events import EventKind
from realmkit.sandbox.nameserver import Fault
from tests.unit.moves import DEAF, LENIENT, NEW, NIGHT, OLD, SECRET, Move, a_move, moved


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    """The newer generation, with good phones."""
    with a_move(tmp_path / "project") as one:
        yield one


# --- windows ----------------------------------------------------------------------------------------------------------


def test_a_machine_that_slept_through_a_window_never_runs_late(move: Move) -> None:
    move.plan()
    assert move.run(horizon=20).kind == "wait"
    move.clock.run_until(NIGHT + timedelta(hours=20))  # Tuesday afternoon: the window of the night is over
    reports: list[Report] = []
    assert move.run(reports.append).why == "moved"
    (missed,) = [one.detail for one in reports if one.kind == "missed"]
    assert "its window Mo 2026-11-23 18:30 - Tu 2026-11-24 07:30 +00:00 was missed" in missed
    assert missed.endswith("goes on Tu 2026-11-24 18:30 - We 2026-11-25 07:30 +00:00")
    began = [event.at for event in move.journal.events("acme")
             if isinstance(event.what, ev.Began) and event.what.task.startswith("move-")]  # fmt: skip
    assert min(began) == NIGHT + timedelta(days=1)


def test_a_machine_that_slept_between_the_waves_and_the_account_s_change(move: Move) -> None:
    """Found here: the account's own change, and a check-sync to everybody, would have come in the middle of a day."""
    move.plan()

    def asleep(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.task.id == "still-planned":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move.run(asleep)
    move.clock.run_until(NIGHT + timedelta(hours=16))
    assert move.run(horizon=20).kind == "wait"
    assert move.realm() == OLD
    assert move.run().why == "moved"
    (changed,) = [one.at for one in move.cluster.events() if one.kind is EventKind.REALM_CHANGED]
    assert changed == NIGHT + timedelta(days=1)


def test_no_window_before_the_deadline_stops_and_says_so(move: Move) -> None:
    move.plan(deadline="1d")
    assert move.run(horizon=20).kind == "wait"
    move.clock.run_until(NIGHT + timedelta(hours=20))
    decision = move.run()
    assert decision.kind == "stopped"
    assert "its window Mo 2026-11-23 18:30" in decision.why
    assert decision.why.endswith("move phones, wave 1 of 3: 1 phone: nothing may begin after 2026-11-24 09:01 UTC")
    assert moved(move) == []
    assert move.turn_back().why == "turned back"


def test_waves_are_spread_over_nights(move: Move) -> None:
    move.plan(inputs={"bake": "18h", "watch": "15m"})
    assert move.run().why == "moved"
    began = {event.what.task.split("/")[0]: event.at.day for event in reversed(move.journal.events("acme"))
             if isinstance(event.what, ev.Began)}  # fmt: skip
    assert [began[f"move-{number}"] for number in (1, 2, 3)] == [23, 24, 25]
    assert began["account-realm"] == 26


@pytest.mark.parametrize(("minimum", "wait", "after"), [(300, 3600, "lower-ttl"), (5400, 5400, "publish-new")])
def test_phones_wait_until_no_resolver_remembers_what_was_there(
    minimum: int, wait: int, after: str, move: Move
) -> None:
    """Records for as long as their TTL was; that NEW was absent for the lesser of the SOA's TTL and its minimum."""
    zone = move.directory / "voice.example.com.zone"
    zone.write_text(
        zone.read_text().replace("@       IN SOA", "@ 7200  IN SOA").replace("1209600 300", f"1209600 {minimum}")
    )
    move.plan()
    decision = move.run(horizon=20)
    ended = move.state.tasks[f"{after}/{after}"].ended
    assert ended is not None
    assert decision.until == ended + timedelta(seconds=wait)
    assert not move.state.touched


def test_tick_leaves_at_once_when_nothing_is_due_and_run_waits(move: Move) -> None:
    move.plan()
    before = move.clock.now()
    decision = move.run(horizon=20)
    assert (decision.kind, decision.until) == ("wait", decision.until)
    assert move.clock.now() - before < timedelta(minutes=1)
    assert decision.why == "what resolvers remember runs out"


# --- zones, disks -----------------------------------------------------------------------------------------------------


def test_a_name_server_that_is_away_stops_the_move_before_any_phone(move: Move) -> None:
    move.plan()
    move.server.fault = Fault.SERVFAIL
    decision = move.run()
    assert decision.kind == "stopped"
    assert "lower the old realm's TTLs: " in decision.why
    move.server.fault = Fault.NONE
    assert move.again().why == "moved"


def test_somebody_s_record_at_the_new_realm_holds_its_publication_back_until_it_is_gone(move: Move) -> None:
    """Found here: after the second attempt the journal had no plan to undo, and the run ended in a traceback."""
    move.plan()
    zone = move.directory / "voice.example.com.zone"
    original = zone.read_text()
    zone.write_text(original + "acme IN MX 5 mail.elsewhere.example.\n")
    decision = move.run()
    assert decision.kind == "stopped"
    assert decision.why.startswith(f"publish the new realm: the change of {NEW} is held back: ")
    zone.write_text(zone.read_text().replace("acme IN MX 5 mail.elsewhere.example.\n", ""))
    assert move.again().why == "moved"
    assert move.turn_back().why == "turned back"


def test_a_directory_that_is_gone_stops_the_wave_and_run_goes_on_when_it_is_back(move: Move) -> None:
    """Found here: the phone was to be put back to what had never been looked at, which ended in a traceback."""
    move.plan()
    published = move.directory / "published"
    published.rename(move.directory / "elsewhere")
    decision = move.run()
    assert decision.kind == "stopped"
    assert "is no directory" in decision.why
    assert move.pins()["Desk 1"] is None
    (move.directory / "elsewhere").rename(published)
    assert move.again().why == "moved"
    assert moved(move) == ["Desk 1", "Desk 2", "Desk 3"]


def test_a_disk_that_is_full_stops_everything_at_once(move: Move) -> None:
    """No line in the journal, no effect: what was begun is taken up when there is room again."""
    move.plan()
    requests: list[str] = []
    database = move.journal._database
    real = move.cluster.handle

    def fill(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.task.id == "config":
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")
            requests.clear()

    def watched(method: str, path: str, *more: object) -> object:
        requests.append(method)
        return real(method, path, *more)  # type: ignore[arg-type] # as given

    move.cluster.handle = watched  # type: ignore[method-assign, assignment] # listening in
    with pytest.raises(StateError, match=r"can't write the journal .*full"):
        move.run(fill)
    events = len(move.journal.events("acme"))
    for _ in range(3):
        requests.clear()
        with pytest.raises(StateError, match=r"full"):
            move.run()
        assert set(requests) <= {"GET", "PUT"}  # it looks, and asks for a login, and changes nothing
    assert len(move.journal.events("acme")) == events
    database.execute("PRAGMA max_page_count = 1000000")
    assert move.run().why == "moved"


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_journal_the_plan_the_reports_or_the_state_directory(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a whole move with a failure and the way back, the files are searched for what nobody may read there."""
    with a_move(tmp_path / "project", behaviours={"desk_2": DEAF}) as move:
        secrets = [*move.secrets(), SECRET.partition("{")[0]]
        with Journal.of(move.project.state_dir) as journal:
            move.journal = journal
            reports: list[str] = []
            made = move.plan(inputs=LENIENT)
            move.run(lambda report: reports.append(repr(report)))
            move.turn_back()
            events = repr(journal.events("acme")) + repr(made) + repr(move.state.tasks)
        shown = "".join(capfd.readouterr()) + "".join(reports) + events
        for secret in secrets:
            assert secret not in shown
        found = [path for path in move.project.state_dir.rglob("*") if path.is_file()]
        assert any(path.name == FILE_NAME for path in found)
        for path in found:
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path
        kept = [path for path in (move.directory / "published" / ".realmkit").rglob("*") if path.is_file()]
        assert kept  # here they are, as in the published files themselves, and for nobody else to read
        assert {path.stat().st_mode & 0o077 for path in kept} == {0}
