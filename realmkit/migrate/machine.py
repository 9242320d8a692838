"""The machine: from a plan, what has happened and the time, what to do next. No I/O, no clock.

Order of a task: `Began` is written, the world is asked whether the effect is there already, else it is made, then the
world is asked again, and `Ended` is written. So after a crash a task that began without ending is in doubt, and is
taken up where the world stands, never repeated blindly.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from realmkit.migrate.plan import Stage, Task, key_of, latest_start
from realmkit.migrate.state import Place, State
from realmkit.migrate.steps import EFFECTS

if TYPE_CHECKING:
    from realmkit.migrate.state import Doing
    from realmkit.schedule.windows import Window


class Ready(NamedTuple):
    """A task that may be worked on now; `begun` when it has been begun before."""

    key: str
    place: Place
    begun: bool


class Decision(Struct, frozen=True):
    """What to do next.

    Attributes:
        kind: `work` on `ready`; `wait` until `until` (or for a person, when None); `missed`: the window of `stage` is
            over; `turn`: nothing is under way any more, the way back can be worked out; `stopped`: somebody must
            decide; `finished`.
        stage: what it is about.
        ready: tasks to work on, those already begun first.
        until: when something falls due next.
        why: for people.
    """

    kind: Literal["work", "wait", "missed", "turn", "stopped", "finished"]
    stage: Stage | None
    ready: tuple[Ready, ...] = ()
    until: datetime | None = None
    why: str = ""


def decide(state: State, now: datetime) -> Decision:
    """What to do next."""
    stage = state.current()
    if state.halted is not None and state.back is None:
        ready = _under_way(state, stage) if stage else ()
        return Decision("work" if ready else "turn", stage, ready, why="bring what is under way to one side")
    if state.plan is None or stage is None:
        return Decision("finished", None, why="turned back" if state.back else "moved")
    if now > state.plan.deadline and not state.begun:
        return Decision(
            "stopped", stage, why=f"nothing may begin after {state.plan.deadline:%Y-%m-%d %H:%M} UTC: plan again"
        )
    return _decide_stage(state, stage, now)


def _under_way(state: State, stage: Stage) -> tuple[Ready, ...]:
    """What has begun in a stage and would be neither here nor there if it were left."""
    found = []
    for chain in state.chains(stage):
        standing, task = state.standing(stage, chain)
        if standing != "running" or task is None:
            continue
        place = Place(stage, chain, task)
        touched = chain.subject in state.touched if chain.subject else task.uses in EFFECTS
        if touched and task.kind in ("do", "undo"):
            found.append(Ready(place.key, place, place.key in state.tasks))
    return tuple(found)


def _decide_stage(state: State, stage: Stage, now: datetime) -> Decision:
    """What to do next in a stage."""
    ready, waits = [], []
    gate: Decision | None = None
    for chain in state.chains(stage):
        standing, task = state.standing(stage, chain)
        if task is None:
            continue
        place = Place(stage, chain, task)
        if standing == "waiting":
            gate = gate or _may_begin(state, stage, now)
            if gate.kind != "work":
                waits.append(gate)
                continue
        due = _due(state, stage, task, now)
        if due.kind == "work":
            ready.append(Ready(place.key, place, place.key in state.tasks))
        else:
            waits.append(due)
    if ready:
        return Decision("work", stage, tuple(sorted(ready, key=lambda one: not one.begun)), why=stage.title)
    if waits:
        return waits[0]
    return _stopped(state, stage)


def chain_next(state: State, place: Place) -> Ready | None:
    """The next task of a chain, to go on with at once; None at its end."""
    _, task = state.standing(place.stage, place.chain)
    if task is None:
        return None
    key = key_of(place.stage, place.chain, task)
    return Ready(key, Place(place.stage, place.chain, task), key in state.tasks)


def _may_begin(state: State, stage: Stage, now: datetime) -> Decision:
    """Whether something new may begin in a stage."""
    assert state.plan is not None  # noqa: S101 - asked by `decide`
    if state.back is not None or not stage.quiet:
        return Decision("work", stage)
    if (unapproved := _approval(state, stage, now)).kind != "work":
        return unapproved
    window = state.timetable.get(stage.id)
    if window is None or now > latest_start(window, stage.estimate * _left(state, stage)):
        return Decision("missed", stage, why=_missed_text(window, stage))
    if now < window.start:
        return Decision("wait", stage, until=window.start, why=f"waits for its window: {window.local}")
    return Decision("work", stage)


def _left(state: State, stage: Stage) -> float:
    """The share of a stage that has not begun: so much of its estimate must still fit into the window."""
    standings = [state.standing(stage, chain)[0] for chain in state.chains(stage)]
    return standings.count("waiting") / len(standings)


def _missed_text(window: Window | None, stage: Stage) -> str:
    if window is None:
        return f"{stage.title}: has no window"
    return f"{stage.title}: its window {window.local} was missed"


def _due(state: State, stage: Stage, task: Task, now: datetime) -> Decision:
    """Whether a task may be worked on, or what it waits for."""
    if task.kind == "approval":
        return _approval(state, stage, now)
    if task.kind == "delay":
        until = _last_end(state) + timedelta(seconds=task.seconds)
    elif task.kind == "ttl":
        until = max((_runs_out(state, key) for key in task.after), default=now)
    else:
        return Decision("work", stage)
    return Decision("work", stage) if now >= until else Decision("wait", stage, until=until, why=task.title)


def _approval(state: State, stage: Stage, now: datetime) -> Decision:
    assert state.plan is not None  # noqa: S101 - asked by `decide`
    given, plan = state.approval, state.plan
    if given is None:
        why = "nobody has approved this plan"
    elif given.digest != state.digest:
        why = f"{given.by} approved another plan than this one"
    elif given.until <= now:
        why = f"the approval by {given.by} expired on {given.until:%Y-%m-%d %H:%M} UTC"
    else:
        return Decision("work", stage)
    return Decision("wait", stage, why=f"{why}: realmkit migrate approve {plan.name} --as YOU")


def _runs_out(state: State, key: str) -> datetime:
    """When nobody can have what a task replaced in a cache any more."""
    doing = state.tasks[key]
    assert doing.ended is not None  # noqa: S101 - stages run in order
    return doing.ended + timedelta(seconds=float(doing.result.get("ttl", 0)))


def _last_end(state: State) -> datetime:
    """When something last ended; before anything has, when the plan was made."""
    assert state.plan is not None  # noqa: S101 - asked by `decide`
    return max((doing.ended for doing in state.tasks.values() if doing.ended), default=state.plan.made)


def _stopped(state: State, stage: Stage) -> Decision:
    if failures := state.failures(stage):
        return Decision("stopped", stage, why=_told(state, failures))
    text = f"{stage.title}: {state.share(stage):.0%} came over, {stage.gate:.0%} must"
    if failures := state.failures(stage, "rescued"):
        text += f"; {_told(state, failures)}"
    return Decision("stopped", stage, why=text)


def _told(state: State, failures: list[tuple[str, Doing]]) -> str:
    """The first failure in full, and how many more there are."""
    key, doing = failures[0]
    _, chain, task = state.place(key)
    who = f"{state.phones[chain.subject].name}: " if chain.subject else ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"{who}{task.title or task.id}: {doing.detail}{more}"
