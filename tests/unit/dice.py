"""A world that is nothing but dice, and a memory of its own, to hold the machine against.

It carries a plan out: tasks succeed or fail, time passes or jumps, people approve, accept, retry and turn back, the
process dies at any moment. What may begin when is written down here once more, from the events alone.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Literal

import msgspec

from realmkit.migrate import events as ev
from realmkit.migrate import expand
from realmkit.migrate.machine import Decision, Ready, decide
from realmkit.migrate.plan import Chain, Plan, Stage, Task, key_of
from realmkit.migrate.playbook import Step
from realmkit.migrate.state import State, replay
from realmkit.migrate.steps import EFFECTS
from realmkit.migrate.timetable import NoWindowError, assign

Over = Literal["", "done", "rescued", "failed"]


class World:
    """Dice that carry a plan out.

    Args:
        plan: what is carried out.
        dice: decide what happens.
        luck: how likely a task succeeds.

    Attributes:
        history: every event; `state` is the machine's, brought up to date one event after another.
        wrong: what happened and may not happen.
    """

    def __init__(self, plan: Plan, dice: random.Random, luck: float = 0.9) -> None:
        self.plan, self.dice, self.luck = plan, dice, luck
        self.now = plan.made
        self.history: list[ev.Event] = []
        self.wrong: list[str] = []
        self.legs = [plan.stages]
        self.begun: set[str] = set()  # tasks whose intent was written down
        self.ended: dict[str, str] = {}
        self.at_new: set[str | None] = set()
        self.approval: ev.Approved | None = None
        self.accepted: set[str] = set()
        self.windows = dict(plan.timetable)
        self.halted = False
        self.state = State()
        self.write(ev.Planned(plan))

    # --- what happens -------------------------------------------------------------------------------------------------

    def write(self, what: ev.What) -> None:
        event = ev.Event(len(self.history) + 1, self.now, what)
        self.history.append(event)
        if isinstance(what, ev.Planned):
            self.state = State(what.plan)
        else:
            self.state.apply(event)

    def play(self, most: int = 600) -> Decision:
        """Until it is over, or so many decisions were made."""
        decision = decide(self.state, self.now)
        for _ in range(most):
            self._something_happens()
            decision = self.step()
            if decision.kind == "finished":
                break
            self.people(decision)
            if self.dice.random() < 0.02:
                self.check_replay()
            self.now += timedelta(seconds=self.dice.random() * 20)
        return decision

    def step(self) -> Decision:
        """One decision, and what the runner would do about it."""
        decision = decide(self.state, self.now)
        if decision.kind == "work":
            self._work(self.dice.choice(decision.ready))
        elif decision.kind == "missed":
            return self._reschedule(decision)
        elif decision.kind == "turn":
            back = expand.way_back(self.state)
            self._judge_way_back(back)
            self.legs.append(back)
            self.write(ev.TurnedBack(back))
        return decision

    def approve(self, digest: str | None = None, days: float = 21) -> None:
        self.approval = ev.Approved("Jane", digest or self.plan.digest, self.now + timedelta(days=days))
        self.write(self.approval)

    def halt(self) -> None:
        self.halted = True
        self.write(ev.Halted("Jane", "dice"))

    def accept(self, stage: Stage) -> None:
        self.accepted.add(stage.id)
        self.write(ev.Accepted(stage.id, "Jane"))

    def retry(self, stage: Stage) -> None:
        keys = self.state.retriable(stage)
        for chain in stage.chains:
            mine = {key_of(stage, chain, task) for task in (*chain.tasks, *chain.rescue)} & set(keys)
            if mine and self._over(stage, chain) == "rescued":
                self.begun -= mine  # it was taken back whole, and begins anew
            for key in mine:
                self.ended.pop(key, None)
        self.write(ev.Retried(keys, "Jane"))

    def _something_happens(self) -> None:
        fate = self.dice.random()
        if fate < 0.01:
            self.now += timedelta(hours=self.dice.random() * 40)  # the machine was asleep
        elif fate < 0.015:
            self.approve(digest="another plan's")
        elif fate < 0.02:
            self.approve(days=self.dice.random() / 10)
        elif fate < 0.022 and not self.halted and self.state.begun:
            self.halt()

    def people(self, decision: Decision) -> None:
        """What people do about a move that stands still."""
        fate = self.dice.random()
        if decision.kind == "wait" and decision.until is not None:
            self.now = max(self.now, decision.until) + timedelta(seconds=self.dice.choice([0, 0, 5, 3600, 40000]))
        elif decision.kind == "wait":
            self.approve()
        elif decision.kind == "stopped" and decision.stage is not None:
            if fate < 0.6 and self.state.retriable(decision.stage):
                self.retry(decision.stage)
            elif fate < 0.8 and self.state.failures(decision.stage):
                self.accept(decision.stage)
            elif not self.halted and self.state.begun:
                self.halt()
            elif self.halted and len(self.legs) > 1:
                self.accept(decision.stage)

    def _work(self, ready: Ready) -> None:
        key, place, begun = ready
        task, subject = place.task, place.chain.subject
        if key not in self.begun and key not in self.ended:
            self._judge_begin(place.stage, place.chain, task)
        if task.kind in ("do", "undo"):
            if not begun and self.dice.random() < 0.98:
                self.begun.add(key)
                self.write(ev.Began(key, {}))
            if self.dice.random() < 0.1:
                return  # the process dies here
        outcome: Literal["done", "failed"] = "done"
        if task.kind in ("do", "undo") and (key not in self.begun or self.dice.random() > self.luck):
            outcome = "failed"
        self.ended[key] = outcome
        if (outcome, task.uses, task.arguments.get("realm"), len(self.legs)) == ("done", "phone.await", "new", 1):
            self.at_new.add(subject)
        self.write(ev.Ended(key, outcome, "dice", {"ttl": 300}))

    def _reschedule(self, decision: Decision) -> Decision:
        assert decision.stage is not None
        left = self.plan.stages[self.plan.stages.index(decision.stage) :]
        try:
            table = assign(left, self.now, self.plan.windows, self.plan.deadline)
        except NoWindowError as error:
            return Decision("stopped", decision.stage, why=error.message)
        self.windows.update(table)
        self.write(ev.Rescheduled(table, decision.why))
        return decision

    # --- the rules ----------------------------------------------------------------------------------------------------

    def check_replay(self) -> None:
        """Whoever reads the journal knows what we know; also after it was on disk."""
        texts = [msgspec.json.encode(one) for one in self.history]
        again = replay(msgspec.json.decode(text, type=ev.Event) for text in texts)
        self._must(known(again, self) == known(self.state, self), "a replay knows something else")

    def _judge_begin(self, stage: Stage, chain: Chain, task: Task) -> None:
        key, leg, is_back = key_of(stage, chain, task), self.legs[-1], len(self.legs) > 1
        self._must(stage in leg, f"{stage.id} is of another leg")
        for before in leg[: leg.index(stage)]:
            self._must(self._passed(before), f"{key} begins before {before.id} has passed")
        if task in chain.tasks:
            for earlier in chain.tasks[: chain.tasks.index(task)]:
                is_done = self.ended.get(key_of(stage, chain, earlier)) == "done"
                self._must(is_done, f"{key} begins before {earlier.id} is done")
        else:
            self._judge_rescue(stage, chain, task)
        if task is chain.tasks[0] and not is_back:
            self._must(not self.halted, f"{key} begins although somebody wants to turn back")
            self._must(self.now <= self.plan.deadline or bool(self._effects()), f"{key} begins after the deadline")
            if stage.quiet:
                self._judge_time(stage)

    def _judge_rescue(self, stage: Stage, chain: Chain, task: Task) -> None:
        outcomes = [self.ended.get(key_of(stage, chain, one)) for one in chain.tasks]
        self._must("failed" in outcomes, f"{task.id} takes a phone back that did not fail")
        self._must(chain.subject not in self.at_new, f"{task.id} takes a phone back that has come over")
        self._must(self._is_changed(stage, chain), f"{task.id} takes a phone back to which nothing was done")
        for earlier in chain.rescue[: chain.rescue.index(task)]:
            is_done = self.ended.get(key_of(stage, chain, earlier)) == "done"
            self._must(is_done, f"{task.id} begins before {earlier.id} is done")

    def _judge_time(self, stage: Stage) -> None:
        window, given = self.windows.get(stage.id), self.approval
        self._must(window is not None and window.holds(self.now), f"{stage.id} begins outside of its window")
        self._must(self.now <= self.plan.deadline, f"{stage.id} begins after the deadline")
        self._must(given is not None, f"{stage.id} begins without an approval")
        if given is not None:
            self._must(given.digest == self.plan.digest, f"{stage.id} begins with an approval of another plan")
            self._must(given.until > self.now, f"{stage.id} begins with an approval that has expired")

    def _judge_way_back(self, back: tuple[Stage, ...]) -> None:
        """Nobody who was changed is forgotten, what was begun is undone, and nothing else."""
        undone = {task.of for stage in back for chain in stage.chains for task in chain.tasks if task.kind == "undo"}
        self._must(undone <= self.begun, f"{undone - self.begun} were never begun")
        steps = msgspec.convert(self.plan.rollback, tuple[Step, ...])
        named = {each.undo for step in steps for each in (step, *step.steps)}
        rescued = {
            key_of(stage, chain, task)
            for stage in self.plan.stages
            for chain in stage.chains
            for task in chain.tasks
            if self._over(stage, chain) == "rescued"
        }
        wanted = {key for key in self._effects() - rescued if key.rpartition("/")[2] in named}
        self._must(wanted <= undone, f"{wanted - undone} are not undone")

    def _must(self, holds: bool, text: str) -> None:
        if not holds:
            self.wrong.append(text)

    def _effects(self) -> set[str]:
        """What may have changed the world on the way there."""
        return {key for key in self.begun if not key.startswith("back.") and self._uses(key) in EFFECTS}

    def _uses(self, key: str) -> str:
        task = self.state.place(key).task
        return task.uses if task.kind == "do" else ""

    def _is_changed(self, stage: Stage, chain: Chain) -> bool:
        return any(task.uses in EFFECTS and key_of(stage, chain, task) in self.begun for task in chain.tasks)

    def _members(self, stage: Stage) -> list[Chain]:
        everyone: set[str | None] = {one.device for one in self.plan.phones}
        group = {"moved": self.at_new, "stragglers": everyone - self.at_new}.get(stage.only or "", everyone)
        return [chain for chain in stage.chains if stage.only is None or chain.subject in group]

    def _over(self, stage: Stage, chain: Chain) -> Over:
        """How a chain ended; nothing while it has not."""
        outcomes = [self.ended.get(key_of(stage, chain, task)) for task in chain.tasks]
        if "failed" not in outcomes:
            return "done" if all(outcomes) else ""
        if not chain.rescue or chain.subject in self.at_new:
            return "failed"
        if not self._is_changed(stage, chain):
            return "rescued"
        rescue = [self.ended.get(key_of(stage, chain, task)) for task in chain.rescue]
        return "failed" if "failed" in rescue else "rescued" if all(rescue) else ""

    def _passed(self, stage: Stage) -> bool:
        over = Counter(self._over(stage, chain) for chain in self._members(stage))
        if over[""] or stage.id in self.accepted:
            return not over[""]
        share = over["done"] / over.total() if over.total() else 1.0
        is_strict = stage.gate == 1.0 or any(chain.rescue for chain in stage.chains)
        return share >= stage.gate and not (is_strict and over["failed"])


def known(state: State, world: World) -> tuple[object, ...]:
    """All that anybody can ask a state."""
    groups = ("phones", "moved", "stragglers", "touched", "untouched")
    return (
        [(decide(state, world.now + timedelta(hours=hours))) for hours in (-30, 0, 1, 12, 400)],
        {group: state.members(group) for group in groups},  # type: ignore[arg-type] # the literals, one by one
        {key: msgspec.to_builtins(doing) for key, doing in state.tasks.items()},
        state.timetable, state.approval, state.accepted, state.digest, state.stages, state.saved,
        {one.device: state.of_phone(one.device) for one in world.plan.phones}, state.begun,
    )  # fmt: skip
