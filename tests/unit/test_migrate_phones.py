"""Phones that do not do as they are told, calls that go on, and what else an account has: trunks and fax boxes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from realmkit.migrate import carry
from realmkit.migrate import events as ev
from realmkit.migrate.plan import Plan
from realmkit.migrate.runner import Report
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.events import Event, EventKind
from realmkit.sandbox.phone import Busy, Sync, What
from tests.unit.moves import (
    ACCOUNT,
    DEAF,
    GOOD,
    LENIENT,
    NEW,
    NIGHT,
    OLD,
    Move,
    a_move,
    everybody,
    failed,
    moved,
    yealink,
)

every = pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    """The newer generation, with good phones."""
    with a_move(tmp_path / "project") as one:
        yield one


# --- phones -----------------------------------------------------------------------------------------------------------


@every
def test_a_deaf_phone_stays_at_old_and_can_be_called_there(generation: Generation, tmp_path: Path) -> None:
    with a_move(tmp_path / "project", generation, behaviours={"desk_2": DEAF}) as move:
        before = move.world()
        move.plan(inputs=LENIENT | {"waves": "100%"})
        assert move.run().why == "moved"
        assert moved(move) == ["Desk 1", "Desk 3"]
        assert failed(move) == [f"Desk 2: arrive: not within 4 min: registered at {OLD}"]
        assert move.files()[move.file_of("Desk 2")] == before["files"][move.file_of("Desk 2")]
        move.settle()
        assert move.realm() == NEW
        assert move.pins() == {"Desk 1": None, "Desk 2": OLD, "Desk 3": None, "Softphone": OLD}
        assert everybody(move) == {"Desk 1": [NEW], "Desk 2": [OLD], "Desk 3": [NEW], "Softphone": [OLD]}
        assert all(move.cluster.rings(device) for device in move.devices.values())
        # and on the way back nobody waits for a phone that never left
        assert move.turn_back().why == "turned back"
        assert move.world() == before


@every
def test_a_phone_that_restarts_on_check_sync_comes_over_too(generation: Generation, tmp_path: Path) -> None:
    restarts = structs.replace(GOOD, sync=Sync.REBOOT, obeys_parameter=False, boot=45.0)
    with a_move(tmp_path / "project", generation, behaviours={"desk_2": restarts, "desk_3": restarts}) as move:

        def known(plan: Plan) -> Plan:
            phones = [structs.replace(one, reboots=one.name != "Desk 1") for one in plan.phones]
            return structs.replace(plan, phones=tuple(phones))

        move.plan(change=known)
        assert move.run().why == "moved"
        assert moved(move) == ["Desk 1", "Desk 2", "Desk 3"]
        move.settle()
        assert all(move.cluster.rings(device) for device in move.devices.values())
        boots = [event for event in move.fleet.phones[move.file_of("Desk 2")].log if event.what is What.REBOOTS]
        assert len(boots) <= (
            2 if generation is Generation.OLDER else 1
        )  # a save sends a check-sync of its own in 2024


def test_a_phone_in_a_call_is_waited_for_and_its_call_goes_on(tmp_path: Path) -> None:
    cuts = structs.replace(GOOD, busy=Busy.CUT)
    with a_move(tmp_path / "project", behaviours={"desk_1": cuts}) as move:
        move.plan()
        call(move, "Desk 1", NIGHT - timedelta(minutes=1), NIGHT + timedelta(minutes=10))
        assert move.run().why == "moved"
        assert moved(move) == ["Desk 1", "Desk 2", "Desk 3"]
        log = move.fleet.phones[move.file_of("Desk 1")].log
        assert not [event for event in log if event.what is What.CUT]
        came = next(event.at for event in log if event.what is What.REGISTERED and event.detail.endswith(NEW))
        assert came > NIGHT + timedelta(minutes=10)


def test_a_call_that_does_not_end_makes_its_phone_a_straggler_that_is_left_in_peace(tmp_path: Path) -> None:
    cuts = structs.replace(GOOD, busy=Busy.CUT)
    with a_move(tmp_path / "project", behaviours={"desk_1": cuts}) as move:
        move.plan(inputs=LENIENT | {"waves": "100%"})
        call(move, "Desk 1", NIGHT - timedelta(minutes=1), NIGHT + timedelta(hours=5))
        decision = move.run()
        # the account's own change waits for the call to end, and then gives up, too: nothing has been cut
        assert decision.why == "the account's own change may begin: not within 15 min: 1 calls are up"
        assert failed(move)[0] == "Desk 1: idle: not within 15 min: in a call"
        assert moved(move) == ["Desk 2", "Desk 3"]
        assert not sent_to(move, "Desk 1")
        assert not [one for one in move.fleet.phones[move.file_of("Desk 1")].log if one.what is What.CUT]
        move.clock.sleep(5 * 3600)
        assert move.again().why == "moved"
        assert move.pins()["Desk 1"] == OLD


def sent_to(move: Move, name: str) -> list[Event]:
    """The NOTIFYs that went to a phone."""
    sent = [one for one in move.cluster.events() if one.kind is EventKind.NOTIFY_SENT]
    return [one for one in sent if one.subject == move.devices[name]]


def call(move: Move, name: str, since: datetime, until: datetime) -> None:
    """A call that is up from then to then, on the platform and on the phone."""

    def begin() -> None:
        uuid = move.cluster.put_channel(move.devices[name])
        with move.acting(name) as phone:
            phone.call()
        move.clock.at(until, lambda: end(uuid))

    def end(uuid: str) -> None:
        move.cluster.end_channel(uuid)
        with move.acting(name) as phone:
            phone.hang_up()

    move.clock.at(since, begin)


def test_a_phone_that_dies_in_its_wave_stops_it_and_can_be_accepted(move: Move) -> None:
    move.plan()
    desk = move.devices["Desk 2"]

    def unplug(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.key.endswith(f"{desk}/pin"):
            with move.acting("Desk 2") as phone:
                phone.power_off()

    decision = move.run(unplug)
    assert decision.kind == "stopped"
    assert decision.why.startswith("Desk 2: registered at the new realm: not within 4 min: ")
    assert decision.stage is not None
    with move.runner() as runner:
        carry._settle(runner, carry.Order("Jane", accept=decision.stage.id))
        assert runner.run(float("inf")).why == "moved"
    assert moved(move) == ["Desk 1", "Desk 3"]
    with move.acting("Desk 2") as phone:  # somebody plugs it in again: it is where it was
        phone.power_on()
    move.settle()
    assert move.realms_of("Desk 2") == [OLD]
    assert move.cluster.rings(move.devices["Desk 2"])


def test_a_row_from_before_does_not_say_that_a_phone_is_back(move: Move) -> None:
    """A dead phone stays registered for minutes: what counts is a REGISTER since it was asked to come back."""
    desk = move.devices["Desk 1"]

    def unplug(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.key.endswith(f"{desk}/config"):
            with move.acting("Desk 1") as phone:
                phone.power_off()

    move.plan(inputs=LENIENT | {"arrive": "40s", "again": "30s"})
    decision = move.run(unplug)
    assert decision.kind == "stopped"
    assert [one.partition(": not within")[0] for one in failed(move)] == ["Desk 1: arrive", "Desk 1: keep-seen"]


def test_a_phone_that_died_is_waited_for_on_the_way_back_and_found_by_run_when_it_is_up(move: Move) -> None:
    """Found here: where nobody had come over, the way back refused to drop what was not even there."""
    before = move.world()
    move.plan()
    desk = move.devices["Desk 1"]

    def unplug(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.key.endswith(f"{desk}/pin"):
            with move.acting("Desk 1") as phone:
                phone.power_off()

    assert move.run(unplug).kind == "stopped"
    decision = move.turn_back()
    assert decision.why.startswith("Desk 1: registered at the old realm: not within 4 min: ")
    with move.acting("Desk 1") as phone:
        phone.power_on()
    assert move.again().why == "turned back"
    assert move.world() == before
    assert move.realms_of("Desk 1") == [OLD]


BY_HAND = ACCOUNT + "  Desk 2: {moves: by-hand}\n"


def test_a_phone_that_somebody_restarts_by_hand_comes_over(tmp_path: Path) -> None:
    with a_move(tmp_path / "project", account=BY_HAND) as move:
        plan = move.plan()
        opens = plan.timetable["move-2"].start

        def restart() -> None:
            with move.acting("Desk 2") as phone:
                phone.power_off()
                phone.power_on()

        move.clock.at(opens + timedelta(hours=1, minutes=2), restart)
        assert move.run().why == "moved"
        assert moved(move) == ["Desk 1", "Desk 2", "Desk 3"]
        sent = [one.at for one in sent_to(move, "Desk 2")]
        assert not sent or min(sent) > opens + timedelta(hours=1, minutes=2)  # it is over: its old row is dropped


def test_a_phone_that_nobody_restarts_stays(tmp_path: Path) -> None:
    with a_move(tmp_path / "project", account=BY_HAND) as move:
        before = move.files()
        move.plan(inputs=LENIENT | {"waves": "100%"})
        assert move.run().why == "moved"
        assert moved(move) == ["Desk 1", "Desk 3"]
        assert move.files()[move.file_of("Desk 2")] == before[move.file_of("Desk 2")]
        move.settle()
        assert move.realms_of("Desk 2") == [OLD]
        assert move.cluster.rings(move.devices["Desk 2"])


def test_no_more_phones_are_under_way_at_a_time_than_agreed(tmp_path: Path) -> None:
    slow = structs.replace(GOOD, reload=20.0)
    cast = [yealink(number) for number in range(1, 8)]
    behaviours = {f"desk_{number}": slow for number in range(1, 8)}
    with a_move(
        tmp_path / "project", cast=cast, behaviours=behaviours, account=ACCOUNT.partition("phones:")[0]
    ) as move:
        move.plan(inputs=LENIENT | {"waves": "100%"})
        with move.runner(at_once=3) as runner:
            assert runner.run(float("inf")).why == "moved"
        flying: set[str] = set()
        most = 0
        for event in move.journal.events("acme"):
            if isinstance(event.what, ev.Began | ev.Ended) and event.what.task.startswith("move-1/"):
                _, device, task = event.what.task.split("/")
                flying.add(device)
                most = max(most, len(flying))
                if isinstance(event.what, ev.Ended) and task == "drop":
                    flying.discard(device)
        assert (len(moved(move)), most, flying) == (7, 3, set())


def test_a_look_at_the_platform_serves_a_round_and_is_not_trusted_for_long(move: Move) -> None:
    """Found here: with a slow platform, the last phone of a round went by a list of calls that was seconds old."""
    with move.runner() as runner:
        kit = runner._kit
        assert kit.channels(move.account) == []
        move.cluster.put_channel(move.devices["Desk 1"])
        move.clock.sleep(1)
        assert kit.channels(move.account) == []
        move.clock.sleep(1.5)
        assert len(kit.channels(move.account)) == 1
        move.cluster.channels.clear()
        kit.new_round()
        assert kit.channels(move.account) == []


# --- account, trunks, fax ---------------------------------------------------------------------------------------------


def test_a_realm_in_capitals_is_put_back_as_it_was_written(tmp_path: Path) -> None:
    """Found here: plans have realms in lower case, and so had the account after its way back."""
    with a_move(tmp_path / "project", realm=OLD.title()) as move:
        before = move.world()
        move.plan()
        assert move.run().why == "moved"
        assert move.realm() == NEW
        assert move.turn_back().why == "turned back"
        assert move.realm() == OLD.title()
        assert move.world() == before


def test_fax_is_bridged_for_one_box_and_for_no_other(move: Move) -> None:
    other = move.cluster.add_fax_box(move.account, {"name": "Second"})
    assert any(note.startswith("2 fax boxes: mail to NUMBER@") for note in move.plan().notes)
    assert move.run().why == "moved"
    for box in (move.box, other):
        assert "custom_smtp_email_address" not in move.cluster.document(box)


def test_a_fax_box_with_an_address_of_its_own_keeps_it(move: Move) -> None:
    with move.crossbar() as crossbar:
        (box,) = crossbar.fax_boxes(move.account)
        crossbar.save_fax_box(move.account, box.with_custom_address("fax.example.net"))
    move.plan()
    assert move.run().why == "moved"
    assert move.cluster.document(move.box)["custom_smtp_email_address"] == "fax.example.net"
    assert move.turn_back().why == "turned back"
    assert move.cluster.document(move.box)["custom_smtp_email_address"] == "fax.example.net"


def test_accepting_what_is_not_in_the_way_is_refused(move: Move) -> None:
    from realmkit.errors import InputError, RefusedError

    move.plan()
    with move.runner() as runner:
        with pytest.raises(InputError, match=r"there is no stage 'nonsense'; there are: approval, as-planned"):
            carry._settle(runner, carry.Order("Jane", accept="nonsense"))
        with pytest.raises(RefusedError, match=r"the stage move-1 is not what holds this move up"):
            carry._settle(runner, carry.Order("Jane", accept="move-1"))
