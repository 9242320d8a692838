"""The machine: whatever happens and in whichever order, nothing begins that may not, and nothing is forgotten."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.migrate import events as ev
from realmkit.migrate import expand
from realmkit.migrate.machine import chain_next, decide
from realmkit.migrate.plan import Stage
from realmkit.migrate.state import replay
from tests.unit.dice import World
from tests.unit.plans import NIGHTS, START, book, phone, plan_of, window

BOOKS = {name: book(name) for name in ("realm-migration", "realm-cutover")}


def world(
    seed: int, name: str = "realm-migration", luck: float = 0.9, phones: int = 4, bake: str = "", share: str = ""
) -> World:
    dice = random.Random(seed)
    people = [phone(number, moves="never" if number == 3 else "resync") for number in range(phones)]
    inputs = {"share": share or dice.choice(["0%", "40%", "95%", "100%"])}
    if name == "realm-migration":
        inputs["bake"] = bake or dice.choice(["0s", "1h", "18h"])
    return World(plan_of(BOOKS[name], people, inputs), dice, luck)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from(sorted(BOOKS)), st.sampled_from([0.6, 0.9, 0.98, 1.0]), st.integers(1, 6)
)  # fmt: skip
def test_whatever_happens_the_rules_hold(seed: int, name: str, luck: float, phones: int) -> None:
    one = world(seed, name, luck, phones)
    decision = one.play()
    one.check_replay()
    assert one.wrong == []
    if decision.kind == "finished":
        for hours in (0, 1, 24, 10_000):
            assert decide(one.state, one.now + timedelta(hours=hours)).kind == "finished"


def test_the_dice_reach_every_corner() -> None:
    """A test that never gets to a wave shows nothing about waves: every kind of event and of ending is seen."""
    kinds: set[str] = set()
    endings: set[str] = set()
    for seed in range(60):
        one = world(seed, sorted(BOOKS)[seed % 2], [0.7, 0.95, 1.0][seed % 3])
        decision = one.play()
        kinds |= {type(event.what).__name__ for event in one.history}
        endings |= {decision.why if decision.kind == "finished" else decision.kind}
        kinds |= {f"rescue {event.what.outcome}" for event in one.history
                  if isinstance(event.what, ev.Ended) and "keep-" in event.what.task}  # fmt: skip
    assert kinds >= {
        "Planned", "Approved", "Began", "Ended", "Rescheduled", "Accepted", "Retried", "Halted", "TurnedBack",
        "rescue done", "rescue failed",
    }  # fmt: skip
    assert {"moved", "turned back"} <= endings


@pytest.mark.parametrize("name", BOOKS)
def test_with_luck_all_is_done_once_and_in_order(name: str) -> None:
    one = world(1, name, luck=1.0)
    one.dice.random = lambda: 0.5  # type: ignore[method-assign] # nothing unforeseen
    assert one.play().why == "moved"
    done = [event.what.task for event in one.history if isinstance(event.what, ev.Ended)]
    assert len(done) == len(set(done))
    order = {stage.id: place for place, stage in enumerate(one.plan.stages)}
    places = [order[key.split("/")[0]] for key in done]
    assert places == sorted(places)


def at(one: World, stage: str) -> World:
    """The dice at the beginning of a stage, with everything done before it."""
    one.dice.random = lambda: 0.5  # type: ignore[method-assign] # nothing unforeseen
    for _ in range(500):
        current = one.state.current()
        if current is not None and current.id == stage:
            return one
        one.people(one.step())
    raise AssertionError(stage)


def lucky() -> World:
    return world(7, luck=1.0, bake="18h", share="95%")


def one_wave(phones: int, share: str = "95%") -> World:
    """Before a wave of so many phones."""
    plan = plan_of(
        BOOKS["realm-migration"], [phone(number) for number in range(phones)], {"waves": "100%", "share": share}
    )
    return at(World(plan, random.Random(7), 1.0), "move-1")


# --- approvals, windows, deadline -------------------------------------------------------------------------------------


def test_without_an_approval_it_waits_for_a_person() -> None:
    one = lucky()
    decision = decide(one.state, START)
    assert (decision.kind, decision.until) == ("wait", None)
    assert decision.why == "nobody has approved this plan: realmkit migrate approve acme --as YOU"


def test_an_approval_of_another_plan_or_an_old_one_is_none() -> None:
    one = lucky()
    one.approve(digest="other")
    assert decide(one.state, START).why.startswith("Jane approved another plan than this one")
    one.approve(days=1)
    later = decide(one.state, START + timedelta(days=1))
    assert later.why.startswith("the approval by Jane expired on 2026-11-24 09:00 UTC")
    assert decide(one.state, START + timedelta(hours=23)).kind == "work"


def test_an_approval_that_expires_between_two_waves_holds_the_second() -> None:
    one = at(lucky(), "move-2")
    one.now = max(one.now, one.windows["move-2"].start)
    one.approve(days=0.01)
    assert decide(one.state, one.now).kind == "work"
    one.now += timedelta(minutes=15)
    decision = decide(one.state, one.now)
    assert (decision.kind, decision.until) == ("wait", None)
    assert "expired" in decision.why
    one.approve()
    assert decide(one.state, one.now).kind == "work"


def test_a_window_is_waited_for_and_never_entered_late() -> None:
    one = at(lucky(), "move-1")
    opens, stage = one.windows["move-1"], one.state.current()
    assert stage is not None
    early = decide(one.state, opens.start - timedelta(seconds=1))
    assert (early.kind, early.until) == ("wait", opens.start)
    assert opens.local in early.why
    last = opens.end - timedelta(seconds=stage.estimate)
    assert decide(one.state, opens.start).kind == decide(one.state, last).kind == "work"
    late = decide(one.state, last + timedelta(seconds=1))
    assert late.kind == "missed"
    assert late.why == f"{stage.title}: its window {opens.local} was missed"


def test_a_wave_that_has_begun_is_not_torn_because_the_rest_of_it_takes_less_time() -> None:
    """Found here: with a window just long enough, the second phone of a wave was put off to the next night."""
    one = one_wave(phones=8)
    stage = current(one)
    one.now = one.windows["move-1"].end - timedelta(seconds=stage.estimate)
    for number in range(8):
        decision = decide(one.state, one.now)
        fresh = [ready for ready in decision.ready if not ready.begun and ready.place.task.id == "idle"]
        assert len(fresh) == 8 - number
        one.write(ev.Began(fresh[0].key, {}))
        one.now += timedelta(seconds=1)
    assert len(decide(one.state, one.now).ready) == 8


def test_in_the_middle_of_a_wave_nobody_else_begins_when_the_time_is_up() -> None:
    one = one_wave(phones=9)
    one.now = one.windows["move-1"].start
    first = decide(one.state, one.now).ready[0]
    one.write(ev.Began(first.key, {}))
    ends = one.windows["move-1"].end
    decision = decide(one.state, ends)
    assert [ready.key for ready in decision.ready] == [first.key]  # it is brought to its end, and nobody else begins
    for task in first.place.chain.tasks:
        one.write(ev.Ended(f"move-1/{first.place.chain.subject}/{task.id}", "done"))
    assert decide(one.state, ends).kind == "missed"


def test_after_the_deadline_nothing_begins() -> None:
    one = lucky()
    one.now = one.plan.deadline + timedelta(seconds=1)
    one.approve()
    decision = decide(one.state, one.now)
    assert decision.kind == "stopped"
    assert decision.why == "nothing may begin after 2026-12-07 09:00 UTC: plan again"
    assert decide(one.state, one.plan.deadline).kind == "work"


def test_a_pause_at_the_very_beginning_counts_from_the_plan() -> None:
    """Found here: it counted from now, and so was never over."""
    from msgspec import structs

    from realmkit.migrate.playbook import Step, Wait

    first = Step(id="pause", wait=Wait(for_="1h"))
    changed = structs.replace(BOOKS["realm-migration"], steps=(first, *BOOKS["realm-migration"].steps))
    one = World(plan_of(changed, [phone(1)]), random.Random(1), 1.0)
    assert decide(one.state, START + timedelta(minutes=59)).until == START + timedelta(hours=1)
    assert decide(one.state, START + timedelta(hours=1)).kind == "work"


def test_caches_are_waited_for_as_long_as_the_slower_one_takes() -> None:
    one = at(lucky(), "lower-ttl")
    for name, ttl in (("lower-ttl", 3600), ("publish-new", 86400)):
        one.write(ev.Began(f"{name}/{name}", {}))
        one.write(ev.Ended(f"{name}/{name}", "done", "", {"ttl": ttl}))
    assert decide(one.state, one.now).until == one.now + timedelta(days=1)


# --- gates, rescue, accept, retry -------------------------------------------------------------------------------------


def fail(one: World, stage: Stage, task: str, *, rescue: Literal["done", "failed"] = "done", chains: int = 99) -> None:
    """So many phones of a wave fail at that task, and are taken back, or not even that."""
    for chain in stage.chains[:chains]:
        for each in chain.tasks:
            key = f"{stage.id}/{chain.subject}/{each.id}"
            one.write(ev.Began(key, {}))
            one.write(ev.Ended(key, "failed" if each.id == task else "done", "as told"))
            if each.id == task:
                break
        place = one.state.place(f"{stage.id}/{chain.subject}/{task}")
        while ready := chain_next(one.state, place):
            one.write(ev.Began(ready.key, {}))
            one.write(ev.Ended(ready.key, rescue, "as told"))


def current(one: World) -> Stage:
    stage = one.state.current()
    assert stage is not None
    return stage


def test_a_wave_whose_phone_was_taken_back_stops_at_its_gate() -> None:
    one = at(lucky(), "move-1")
    one.now = one.windows["move-1"].start
    stage = current(one)
    fail(one, stage, "arrive")
    assert one.state.standing(stage, stage.chains[0])[0] == "rescued"
    decision = decide(one.state, one.now)
    assert (decision.kind, decision.why) == (
        "stopped",
        "move phones, wave 1 of 3: 1 phone: 0% came over, 95% must; Desk 0: registered at the new realm: as told",
    )
    assert one.state.members("touched") == one.state.members("moved") == set()


def test_a_phone_that_could_not_even_be_taken_back_stops_a_wave_whatever_its_gate() -> None:
    one = one_wave(phones=4, share="40%")
    stage = current(one)
    for chain in stage.chains[1:]:
        for task in chain.tasks:
            one.write(ev.Ended(f"move-1/{chain.subject}/{task.id}", "done"))
    fail(one, stage, "arrive", rescue="failed", chains=1)
    decision = decide(one.state, one.now)
    assert (decision.kind, decision.why) == ("stopped", "Desk 0: registered at the new realm: as told (and 1 more)")


def test_accepted_it_goes_on() -> None:
    one = at(lucky(), "move-1")
    fail(one, current(one), "arrive")
    one.write(ev.Accepted("move-1", "Jane"))
    assert current(one).id == "move-1-bake"
    assert len(one.state.members("stragglers")) == 4


def test_tried_again_a_phone_that_was_taken_back_begins_anew_in_a_window() -> None:
    """Found here: `migrate run` said that it tried again, and did nothing."""
    one = at(lucky(), "move-1")
    stage = current(one)
    fail(one, stage, "arrive")
    keys = one.state.retriable(stage)
    assert len(keys) == 5 + 4
    one.write(ev.Retried(keys, "Jane"))
    opens = one.windows["move-1"]
    assert decide(one.state, opens.end).kind == "missed"
    decision = decide(one.state, opens.start)
    assert [(ready.place.task.id, ready.begun) for ready in decision.ready] == [("idle", False)]
    one.now = opens.start
    one.play()
    assert one.wrong == []


def test_tried_again_a_rescue_that_failed_is_gone_on_with() -> None:
    one = at(lucky(), "move-1")
    stage = current(one)
    fail(one, stage, "arrive", rescue="failed")
    assert decide(one.state, one.now).why == "Desk 0: registered at the new realm: as told (and 1 more)"
    keys = one.state.retriable(stage)
    assert [key.split("/")[2] for key in keys] == ["keep-pin"]
    one.write(ev.Retried(keys, "Jane"))
    assert [ready.key for ready in decide(one.state, one.now).ready] == list(keys)


def test_a_phone_in_a_call_is_left_in_peace() -> None:
    """Found here: one that was in a call all the time was sent a check-sync, to put back what was never changed."""
    one = at(lucky(), "move-1")
    stage = current(one)
    fail(one, stage, "idle")
    assert one.state.standing(stage, stage.chains[0])[0] == "rescued"
    assert decide(one.state, one.windows["move-1"].start).kind == "stopped"


def test_a_phone_that_has_come_over_is_never_taken_back() -> None:
    one = at(lucky(), "move-1")
    stage = current(one)
    fail(one, stage, "drop")
    assert one.state.standing(stage, stage.chains[0]) == ("failed", None)
    assert len(one.state.members("moved")) == 1
    assert [key.split("/")[2] for key in one.state.retriable(stage)] == ["drop"]


def test_a_task_that_failed_before_its_intent_was_written_is_begun_properly_when_tried_again() -> None:
    """Found here: it was taken up without what its undo needs."""
    one = at(lucky(), "lower-ttl")
    one.write(ev.Ended("lower-ttl/lower-ttl", "failed", "refused"))
    assert not one.state.begun
    one.write(ev.Retried(one.state.retriable(current(one)), "Jane"))
    (ready,) = decide(one.state, one.now).ready
    assert (ready.key, ready.begun) == ("lower-ttl/lower-ttl", False)


# --- turning back -----------------------------------------------------------------------------------------------------


def test_halted_what_is_under_way_is_ended_and_nobody_else_begins() -> None:
    one = one_wave(phones=9)
    one.now = one.windows["move-1"].start
    stage = current(one)
    for chain, task in zip(stage.chains, ("config", "idle"), strict=False):
        for each in chain.tasks:
            one.write(ev.Began(f"move-1/{chain.subject}/{each.id}", {}))
            if each.id == task:
                break
            one.write(ev.Ended(f"move-1/{chain.subject}/{each.id}", "done"))
    one.write(ev.Halted("Jane", "no"))
    # the one whose configuration may be out is brought to its end; the one that merely waits for its call is not
    assert [ready.key for ready in decide(one.state, one.now).ready] == [f"move-1/{stage.chains[0].subject}/config"]


def test_halted_while_something_is_only_watched_it_turns_at_once() -> None:
    """Found here: turning back waited until a check had timed out."""
    one = at(lucky(), "verify-new")
    one.write(ev.Began("verify-new/verify-new", {}))
    one.write(ev.Halted("Jane", "no"))
    assert decide(one.state, one.now).kind == "turn"


def test_halted_while_dns_is_being_changed_it_is_brought_to_one_side() -> None:
    one = at(lucky(), "publish-new")
    one.write(ev.Began("publish-new/publish-new", {}))
    one.write(ev.Halted("Jane", "no"))
    assert [ready.key for ready in decide(one.state, one.now).ready] == ["publish-new/publish-new"]


def test_a_finished_move_can_be_turned_back() -> None:
    one = lucky()
    at(one, "ttl-old")
    one.play()
    assert decide(one.state, one.now).why == "moved"
    one.halt()
    assert one.play().why == "turned back"
    assert one.wrong == []


def test_the_way_back_undoes_what_was_begun_in_reverse_and_nothing_else() -> None:
    one = at(lucky(), "move-1")
    assert [stage.id for stage in expand.way_back(one.state)] == [
        "back.return-realm", "back.release", "back.undo-publish-new", "back.undo-lock-old", "back.undo-lower-ttl",
    ]  # fmt: skip
    at(one, "still-planned")
    assert [stage.id for stage in expand.way_back(one.state)][:3] == ["back.carry", "back.hold", "back.return"]


def test_a_new_plan_forgets_the_old_one() -> None:
    one = at(lucky(), "verify-new")
    other = plan_of(BOOKS["realm-cutover"], [phone(1)])
    history = [*one.history, ev.Event(99, one.now, ev.Planned(other))]
    state = replay(history)
    assert (state.digest, state.approval, state.tasks, state.moved) == (other.digest, None, {}, set())


def test_a_plan_s_digest_is_the_same_after_a_journey_through_json() -> None:
    import msgspec

    plan = lucky().plan
    again = msgspec.json.decode(msgspec.json.encode(plan), type=type(plan))
    assert again.digest == plan.digest
    assert (again.stages, again.phones, again.timetable) == (plan.stages, plan.phones, plan.timetable)
    assert plan_of(BOOKS["realm-migration"], [phone(1)], windows=NIGHTS).digest != plan.digest
    assert plan_of(BOOKS["realm-migration"], [phone(1)], windows=[window(1, 20), *NIGHTS[1:]]).digest != plan.digest
