"""What goes wrong on a platform, at a desk or at night: the move ends right, or stops and says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from realmkit.migrate.runner import Report
from realmkit.sandbox.cluster import Generation, Shown
from realmkit.sandbox.events import EventKind
from realmkit.sandbox.faults import Fault, Harm
from realmkit.sandbox.phone import State
from tests.unit.moves import NEW, NIGHT, OLD, Move, a_move, everybody, failed, moved, yealink

DESKS = ("Desk 1", "Desk 2", "Desk 3")
every = pytest.mark.parametrize("generation", Generation, ids=lambda one: one.value)


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    """The newer generation, with good phones."""
    with a_move(tmp_path / "project") as one:
        yield one


def at_stage(move: Move, stage: str, act: Callable[[], object]) -> Callable[[Report], None]:
    """Do something the moment a stage begins."""
    done: list[str] = []

    def tell(report: Report) -> None:
        if report.kind == "began" and report.place is not None and report.place.stage.id == stage and not done:
            done.append(stage)
            act()

    return tell


def is_untouched(move: Move, *names: str) -> bool:
    """Nobody has saved these devices, changed their files, or sent them anything since they registered."""
    devices = {move.devices[name] for name in names}
    harmless = (EventKind.REGISTERED, EventKind.RINGS)
    since = move.state.plan.made if move.state.plan else NIGHT
    return not [one for one in move.cluster.events() if one.subject in devices and one.at > since
                and one.kind not in harmless]  # fmt: skip


# --- the platform's moods ---------------------------------------------------------------------------------------------

HARMS = {
    "429": Fault(Harm.STATUS_BEFORE, status=429, times=6),
    "503": Fault(Harm.STATUS_BEFORE, status=503, times=6),
    "503 and done": Fault(Harm.STATUS_AFTER, status=503, times=2),
    "cut before": Fault(Harm.CUT_BEFORE, times=2),
    "cut after": Fault(Harm.CUT_AFTER, times=2),
}
REQUESTS = {
    "save a device": ("POST", "/accounts/*/devices/*"),
    "set the realm": ("PATCH", "/accounts/*"),
    "drop a registration": ("DELETE", "/accounts/*/registrations/*"),
    "notify": ("PUT", "/accounts/*/devices/*"),
    "look for registrations": ("GET", "/accounts/*/registrations"),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("harm", HARMS)
def test_a_platform_that_falters_delays_a_move_and_no_more(harm: str, request_name: str, tmp_path: Path) -> None:
    generation = list(Generation)[(len(harm) + len(request_name)) % 2]
    method, path = REQUESTS[request_name]
    fault = structs.replace(HARMS[harm], method=method, path=path)
    with a_move(tmp_path / "project", generation) as move:
        move.plan()
        move.cluster.faults.add(fault)
        assert move.run().why == "moved"
        assert fault.times == 0 or (request_name == "set the realm" and fault.times == 1)
        assert (moved(move), move.realm()) == (list(DESKS), NEW)
        assert move.pins() == dict.fromkeys(DESKS, None) | {"Softphone": OLD}


def test_a_platform_that_is_down_for_long_stops_the_move_and_run_goes_on_afterwards(move: Move) -> None:
    move.plan()
    down = Fault(Harm.STATUS_BEFORE, status=503, times=None)
    decision = move.run(at_stage(move, "account-realm", lambda: move.cluster.faults.add(down)))
    assert decision.kind == "stopped"
    assert "could not be told within 5 min" in decision.why
    move.cluster.faults.clear()
    assert move.again().why == "moved"
    assert (moved(move), move.realm()) == (list(DESKS), NEW)


def test_a_key_that_was_revoked_stops_the_move_and_run_goes_on_with_a_new_one(move: Move) -> None:
    move.plan()
    refused = Fault(Harm.STATUS_BEFORE, "POST", "/accounts/*/devices/*", times=None, status=403)
    move.cluster.faults.add(refused)
    decision = move.run()
    assert decision.kind == "stopped"
    assert "403" in decision.why
    move.cluster.faults.clear()
    assert move.again().why == "moved"
    assert moved(move) == list(DESKS)


def test_a_step_that_failed_before_its_intent_was_written_has_nothing_to_put_back(move: Move) -> None:
    """Found here: it was undone by what it had never noted, which ended in a traceback."""
    before = move.world()
    move.plan()
    refused = Fault(Harm.STATUS_BEFORE, "GET", "/accounts/*/registrations", status=403)

    def refuse(report: Report) -> None:
        if report.kind == "done" and report.place is not None and report.place.task.id == "config":
            move.cluster.faults.add(refused)
            move.clock.sleep(3)  # what was read before is old news

    decision = move.run(refuse)
    assert decision.kind == "stopped"
    assert failed(move)[0].startswith("Desk 1: pin: GET /accounts/")
    assert move.files() == before["files"]
    assert move.pins()["Desk 1"] is None
    move.cluster.faults.clear()
    refused.times = 0
    assert move.again().why == "moved"


def test_aggregates_are_off_the_canary_says_so_and_nobody_else_is_touched(move: Move) -> None:
    """The platform takes a device's own realm and lets nobody register there: only a trial tells."""
    move.cluster.switches.allow_aggregates = False
    before = move.world()
    move.plan()
    decision = move.run()
    assert decision.kind == "stopped"
    assert decision.why.startswith("Desk 1: registered at the new realm: not within 4 min: ")
    assert is_untouched(move, "Desk 2", "Desk 3", "Softphone")
    world = move.world()
    assert (world["devices"], world["files"]) == (before["devices"], before["files"])
    assert move.realm() == OLD
    # it went for the new realm, where it is refused, and no NOTIFY reaches it there: somebody has to restart it
    with move.acting("Desk 1") as phone:
        phone.power_off()
        phone.power_on()
    decision = move.again()
    assert decision.why.startswith("move phones, wave 1 of 3: 1 phone: 0% came over, 95% must; Desk 1: ")
    assert move.realms_of("Desk 1") == [OLD]
    assert is_untouched(move, "Desk 2", "Desk 3", "Softphone")
    # somebody switches aggregates on, and `migrate run` tries the canary again
    move.cluster.switches.allow_aggregates = True
    assert move.again().why == "moved"
    assert moved(move) == list(DESKS)


@every
def test_a_listing_that_merges_two_rows_shows_a_phone_at_old_when_it_is_at_new(
    generation: Generation, tmp_path: Path
) -> None:
    """`GET /registrations` shows one row for each Contact: who shows at OLD may be at NEW."""
    with a_move(tmp_path / "project", generation) as move:
        move.cluster.switches.merged_listing_shows = Shown.OLDEST
        move.plan()
        assert move.run().why == "moved"
        assert moved(move) == list(DESKS)
        move.settle()
        assert everybody(move, DESKS) == {name: [NEW] for name in DESKS}
        assert move.turn_back().why == "turned back"
        move.settle()
        assert everybody(move, DESKS) == {name: [OLD] for name in DESKS}


# --- other people -----------------------------------------------------------------------------------------------------


def test_another_account_takes_the_realm_while_the_phones_move(move: Move) -> None:
    move.plan()
    others: list[str] = []
    decision = move.run(at_stage(move, "move-2", lambda: others.append(move.cluster.add_account("Beta", NEW))))
    assert decision.kind == "stopped"
    assert decision.why.startswith(f"set the account's realm: the realm {NEW} belongs to the account Beta")
    assert move.realm() == OLD
    assert all(move.cluster.rings(move.devices[name]) for name in DESKS)
    with move.crossbar() as crossbar:
        crossbar.set_account_realm(others[0], "beta.example.net")
    assert move.again().why == "moved"


@every
def test_a_stranger_has_the_realm_and_crossbar_saves_what_it_refuses(generation: Generation, tmp_path: Path) -> None:
    """F7: a 400 that has saved. Two accounts with one realm take each other's phones, so the old one is put back."""
    with a_move(tmp_path / "project", generation) as move:
        move.plan()
        strangers: list[str] = []

        def hide() -> None:
            strangers.append(move.cluster.add_account("Stranger", NEW, parent=stranger_of))

        stranger_of = move.cluster.add_account("Other reseller", "other.example.net")
        move.cluster._account(stranger_of).private["parent"] = None  # no descendant of ours: we can't see below it
        decision = move.run(at_stage(move, "still-planned", hide))
        assert decision.kind == "stopped"
        assert "Account realm already in use" in decision.why
        assert ("was put back" in decision.why) == (generation is Generation.OLDER)
        assert move.realm() == OLD
        # nor can the way back reach the phones that are there, until the stranger has let go
        assert "Account realm already in use" in move.turn_back().why
        move.cluster.store.remove(move.cluster._account(strangers[0]))
        assert move.again().why == "turned back"
        assert move.realm() == OLD


def test_a_device_that_was_changed_since_the_plan_stops_it_before_anything_is_done(move: Move) -> None:
    before = move.world()
    move.plan()
    move.cluster.change_device(move.devices["Desk 2"], {"caller_id": {"internal": {"name": "Somebody"}}})
    decision = move.run()
    assert decision.why == (
        "nothing has changed since the plan: since the plan was made: Desk 2 was changed: plan again"
    )
    assert move.world()["records"] == before["records"]
    assert not move.state.begun


@pytest.mark.parametrize("change", ["added", "gone", "realm"])
def test_an_account_that_is_another_one_since_the_plan(change: str, move: Move) -> None:
    move.plan()
    with move.crossbar() as crossbar:
        if change == "added":
            move.cluster.add_device(move.account, yealink(9).document())
        elif change == "realm":
            crossbar.set_account_realm(move.account, "elsewhere.example.net")
        else:
            assert crossbar.account_id  # it logs in
            crossbar._to.write("DELETE", "accounts", move.account, "devices", move.devices["Desk 3"])
    decision = move.run()
    assert decision.kind == "stopped"
    words = {"added": "Desk 9 was added", "gone": "Desk 3 is gone", "realm": "realm is elsewhere.example.net, not"}
    assert words[change] in decision.why
    assert not move.state.begun


def test_a_device_that_is_changed_between_two_waves_is_left_alone_and_the_wave_stops(move: Move) -> None:
    move.plan()
    device = move.devices["Desk 2"]
    edit = {"caller_id": {"internal": {"name": "Somebody"}}}
    decision = move.run(at_stage(move, "move-1", lambda: move.cluster.change_device(device, edit)))
    assert decision.kind == "stopped"
    assert any("its device document was changed since the plan was made" in one for one in failed(move))
    document = move.cluster.document(device)
    assert document["caller_id"] == edit["caller_id"]
    assert "realm" not in document["sip"]
    assert move.realms_of("Desk 2") == [OLD]
    assert OLD.encode() in move.files()[move.file_of("Desk 2")]
    assert moved(move) == ["Desk 1"]


def test_an_old_document_that_the_platform_fills_in_when_it_is_saved_is_no_foreign_change(move: Move) -> None:
    """Crossbar writes its defaults into what we save: our own next save must not take that for a stranger's work."""
    one = yealink(7)
    move.cast[one.name] = one
    move.devices[one.name] = move.cluster.add_device(move.account, one.document(), defaults=False)
    configs_needed = move.directory / "published" / f"{one.mac}.cfg"
    configs_needed.write_bytes(move.files()[move.file_of("Desk 1")].replace(b"desk_1", b"desk_7"))
    from functools import partial

    from realmkit.phones import readback
    from tests.unit.moves import GOOD

    phone = move.fleet.add(configs_needed.name, GOOD, partial(readback.read, "yealink/t"))
    move.fleet.power_on()
    move.clock.sleep(60)
    assert phone.state is State.REGISTERED
    move.plan()
    before = move.cluster.document(move.devices[one.name])
    assert move.run().why == "moved"
    assert one.name in moved(move)
    assert move.cluster.document(move.devices[one.name]) != before
    assert move.turn_back().why == "turned back"
    assert move.realms_of(one.name)[0] == OLD
