"""Where a migration stands, as its events tell it: every task, who has moved, who was touched. A replay, no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import Struct

from realmkit.migrate import events as ev
from realmkit.migrate.plan import Chain, Stage, Task, key_of
from realmkit.migrate.steps import EFFECTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realmkit.migrate.plan import Class, Phone, Plan
    from realmkit.schedule.windows import Window

Standing = Literal["waiting", "running", "done", "rescued", "failed", "left out"]


class Place(NamedTuple):
    """Where a task stands in its plan."""

    stage: Stage
    chain: Chain
    task: Task

    @property
    def key(self) -> str:
        """The task's key."""
        return key_of(self.stage, self.chain, self.task)


class Doing(Struct):
    """What has become of a task.

    Attributes:
        began: when.
        before: what its undo needs.
        intended: whether its intent was written down; one that failed before that has touched nothing.
        ended: when; None while it is under way.
        outcome: `done` or `failed`.
        detail: what was seen.
        result: facts for later tasks.
    """

    began: datetime
    before: dict[str, Any]
    intended: bool = True
    ended: datetime | None = None
    outcome: str = ""
    detail: str = ""
    result: dict[str, Any] = {}


class State:
    """A migration as its events tell it.

    Attributes:
        plan: the latest; None before there is one. `digest` is its digest, `phones` are its phones by device id.
        approval: the latest.
        stages: of the leg that is being gone.
        halted: who wants to turn back and why.
        back: the way back; None on the way there.
        tasks: by key, of both legs.
        timetable: window by stage.
        moved: phones seen at the new realm; touched: phones that were sent there and not put back.
        saved: by phone, the digests that its document had after saves of ours.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan
        self.digest = plan.digest if plan else ""
        self.phones: dict[str, Phone] = {phone.device: phone for phone in plan.phones} if plan else {}
        self.approval: ev.Approved | None = None
        self.stages: tuple[Stage, ...] = ()
        self.halted: ev.Halted | None = None
        self.back: ev.TurnedBack | None = None
        self.tasks: dict[str, Doing] = {}
        self.timetable: dict[str, Window] = {}
        self.moved: set[str] = set()
        self.touched: set[str] = set()
        self.saved: dict[str, set[str]] = {}
        self.accepted: set[str] = set()
        self._places: dict[str, Place] = {}
        self._passed = 0
        self._of_phone: dict[str, list[str]] = {}
        self._settled: dict[tuple[str, str | None], Standing] = {}  # chains that are over; a retry opens them again
        if plan is not None:
            self.timetable.update(plan.timetable)
            self._enter(plan.stages)

    @property
    def begun(self) -> bool:
        """Whether the world was touched."""
        return any(doing.intended and self._places[key].task.uses in EFFECTS for key, doing in self.tasks.items())

    def place(self, key: str) -> Place:
        """Where a task stands."""
        return self._places[key]

    def of_phone(self, device: str) -> list[str]:
        """The keys of the tasks that were begun for a phone, in order."""
        return [key for key in self._of_phone.get(device, ()) if key in self.tasks]

    def done_by(self, step: str) -> list[Doing]:
        """What became of the tasks of one step whose intent was written down, in order."""
        return [doing for key, doing in self.tasks.items() if doing.intended and self._places[key].task.uses == step]

    def apply(self, event: ev.Event) -> None:
        """Take in one event."""
        what = event.what
        assert not isinstance(what, ev.Planned)  # noqa: S101 - a plan begins a new state: see `replay`
        if isinstance(what, ev.Approved):
            self.approval = what
        elif isinstance(what, ev.Began):
            self.tasks[what.task] = Doing(event.at, what.before)
            self._note(what.task)
        elif isinstance(what, ev.Ended):
            self._end(event.at, what)
        elif isinstance(what, ev.Rescheduled):
            self.timetable.update(what.timetable)
        elif isinstance(what, ev.Accepted):
            self.accepted.add(what.stage)
        elif isinstance(what, ev.Retried):
            self._retry(what.tasks)
        elif isinstance(what, ev.Halted):
            self.halted = what
        else:
            self.back = what
            self._enter(what.stages)

    def members(self, group: Class) -> set[str]:
        """The phones of a class: `phones`, `moved`, `stragglers`, `touched`, `untouched`."""
        everyone = set(self.phones)
        return {
            "phones": everyone, "moved": self.moved, "stragglers": everyone - self.moved,
            "touched": self.touched, "untouched": everyone - self.touched,
        }[group]  # fmt: skip

    def chains(self, stage: Stage) -> list[Chain]:
        """The chains that a stage is really about, now."""
        if stage.only is None:
            return list(stage.chains)
        group = self.members(stage.only)
        return [chain for chain in stage.chains if (chain.subject in group if chain.subject else group)]

    def standing(self, stage: Stage, chain: Chain) -> tuple[Standing, Task | None]:
        """How far a chain is, and the task that is next in it."""
        settled = self._settled.get((stage.id, chain.subject))
        if settled is not None:
            return settled, None
        standing, task = self._look(stage, chain)
        if task is None:
            self._settled[stage.id, chain.subject] = standing
        return standing, task

    def _look(self, stage: Stage, chain: Chain) -> tuple[Standing, Task | None]:
        for task in chain.tasks:
            doing = self.tasks.get(key_of(stage, chain, task))
            if doing is None or not doing.outcome:
                begun = doing is not None or task is not chain.tasks[0]
                return ("running" if begun else "waiting"), task
            if doing.outcome == "failed":
                return self._rescue(stage, chain)
        return "done", None

    def current(self) -> Stage | None:
        """The first stage that has not passed; None when all have."""
        while self._passed < len(self.stages) and self._has_passed(self.stages[self._passed]):
            self._passed += 1
        return self.stages[self._passed] if self._passed < len(self.stages) else None

    def failures(self, stage: Stage, standing: Standing = "failed") -> list[tuple[str, Doing]]:
        """The failed tasks of a stage's chains that stand so (failed, or taken back), with their keys."""
        found = []
        for chain in self.chains(stage):
            if self.standing(stage, chain)[0] == standing:
                for task in (*chain.tasks, *chain.rescue):
                    doing = self.tasks.get(key := key_of(stage, chain, task))
                    if doing is not None and doing.outcome == "failed":
                        found.append((key, doing))
        return found

    def retriable(self, stage: Stage) -> tuple[str, ...]:
        """The keys of what is worth another try in a stage that stands still.

        What failed: the rescue, where one has failed. And if too few phones came over, all of those that were taken
        back safely, which then begin anew.
        """
        keys = []
        for chain in self.chains(stage):
            standing, _ = self.standing(stage, chain)
            if standing == "failed":
                rescue = self._ended(stage, chain, chain.rescue, "failed")
                keys += rescue or self._ended(stage, chain, chain.tasks, "failed")
            elif standing == "rescued" and self.share(stage) < stage.gate:
                keys += self._ended(stage, chain, (*chain.tasks, *chain.rescue), "done", "failed")
        return tuple(keys)

    def share(self, stage: Stage) -> float:
        """The share of a stage's chains that succeeded."""
        chains = self.chains(stage)
        done = sum(self.standing(stage, chain)[0] == "done" for chain in chains)
        return done / len(chains) if chains else 1.0

    def _enter(self, stages: tuple[Stage, ...]) -> None:
        self.stages = stages
        self._passed = 0
        for stage in stages:
            for chain in stage.chains:
                for task in (*chain.tasks, *chain.rescue):
                    self._places[key_of(stage, chain, task)] = Place(stage, chain, task)

    def _has_passed(self, stage: Stage) -> bool:
        if stage.id in self.accepted:
            return all(self.standing(stage, chain)[0] not in ("waiting", "running") for chain in self.chains(stage))
        standings = [self.standing(stage, chain)[0] for chain in self.chains(stage)]
        if any(one in ("waiting", "running") for one in standings):
            return False
        lost = "failed" in standings and (stage.gate == 1.0 or any(chain.rescue for chain in stage.chains))
        return not lost and self.share(stage) >= stage.gate

    def _ended(self, stage: Stage, chain: Chain, tasks: Iterable[Task], *outcomes: str) -> list[str]:
        """The keys of those of a chain's tasks that have ended so."""
        keys = [key_of(stage, chain, task) for task in tasks]
        return [key for key in keys if key in self.tasks and self.tasks[key].outcome in outcomes]

    def _rescue(self, stage: Stage, chain: Chain) -> tuple[Standing, Task | None]:
        if chain.subject in self.moved:
            return "failed", None  # it works where it is; taking it back could lose it
        if chain.rescue and not any(self._is_changed(stage, chain, task) for task in chain.tasks):
            return "rescued", None  # nothing was done to it: it may be in a call, and is left in peace
        for task in chain.rescue:
            doing = self.tasks.get(key_of(stage, chain, task))
            if doing is None or not doing.outcome:
                return "running", task
            if doing.outcome == "failed":
                return "failed", None
        return ("rescued" if chain.rescue else "failed"), None

    def _is_changed(self, stage: Stage, chain: Chain, task: Task) -> bool:
        """Whether a task may have changed the world."""
        doing = self.tasks.get(key_of(stage, chain, task))
        return doing is not None and doing.intended and task.uses in EFFECTS

    def _note(self, key: str) -> None:
        """Keep what a task that begins says about its phone."""
        _, chain, task = self._places[key]
        if chain.subject is None:
            return
        self._of_phone.setdefault(chain.subject, []).append(key)
        if self.back is None and _leaves(task):
            self.touched.add(chain.subject)

    def _end(self, at: datetime, what: ev.Ended) -> None:
        doing = self.tasks.setdefault(what.task, Doing(at, {}, intended=False))
        doing.ended, doing.outcome, doing.detail, doing.result = at, what.outcome, what.detail, what.result
        stage, chain, task = self._places[what.task]
        if chain.subject is not None and "digest" in what.result:
            self.saved.setdefault(chain.subject, set()).add(what.result["digest"])
        if self.back is not None or chain.subject is None:
            return
        if what.outcome == "done" and task.uses == "phone.await" and task.arguments.get("realm") == "new":
            self.moved.add(chain.subject)
        if self.standing(stage, chain)[0] == "rescued":
            self.touched.discard(chain.subject)

    def _retry(self, keys: Collection[str]) -> None:
        places = {key: self._places[key] for key in keys}
        rescued = {key for key, place in places.items() if self.standing(place.stage, place.chain)[0] == "rescued"}
        self._settled.clear()
        for key in keys:
            doing = self.tasks[key]
            if key in rescued or not doing.intended:
                del self.tasks[key]
            else:
                self.tasks[key] = Doing(doing.began, doing.before)


def _leaves(task: Task) -> bool:
    """Whether a task sends its phone away from the old realm; a pin to that very realm does not."""
    return task.kind == "do" and task.uses in EFFECTS and task.arguments.get("realm") != "old"


def replay(history: Iterable[ev.Event]) -> State:
    """The state that events lead to."""
    state = State()
    for event in history:
        if isinstance(event.what, ev.Planned):
            state = State(event.what.plan)
        else:
            state.apply(event)
    return state
