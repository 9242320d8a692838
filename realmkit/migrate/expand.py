"""From a playbook to the stages of a plan, and from what has happened to the stages of the way back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from realmkit.migrate.plan import Chain, Phone, Stage, Task, key_of
from realmkit.migrate.playbook import Step, filled, percent, seconds, waves
from realmkit.migrate.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.migrate.state import State

_DEFAULT_TIMEOUT: Final = 300.0
AT_ONCE: Final = 10  # phones under way at a time, see runner.py


def stages(steps: Sequence[Step], inputs: dict[str, Any], phones: Sequence[Phone]) -> tuple[Stage, ...]:
    """The stages of the way there.

    Args:
        steps: of a linted playbook.
        inputs: its inputs.
        phones: all phones of the account.
    """
    found: list[Stage] = []
    for step in steps:
        if step.each is not None:
            found += _block(step, inputs, phones)
        else:
            found.append(_single(step, inputs))
    by_step = {chain.tasks[0].id: key_of(stage, chain, chain.tasks[0]) for stage in found for chain in stage.chains[:1]}
    return _estimated([_linked(stage, by_step) for stage in found], {phone.device: phone for phone in phones})


def way_back(state: State) -> tuple[Stage, ...]:
    """The stages of the way back from where a migration stands; what was never begun is not undone."""
    assert state.plan is not None  # noqa: S101 - asked by whoever turns back
    plan = state.plan
    steps = msgspec.convert(plan.rollback, tuple[Step, ...])
    begun: dict[tuple[str, str | None], str] = {}
    for key, doing in state.tasks.items():
        stage, chain, task = state.place(key)
        if doing.intended and task.kind == "do" and not stage.id.startswith("back."):
            begun[task.id, chain.subject] = key_of(stage, chain, task)
    found = []
    for step in steps:
        if step.if_ is not None and not state.members(step.if_):
            continue
        chains = tuple(
            Chain(subject, tasks)
            for subject in _subjects(step, state)
            if (tasks := tuple(_back_tasks(step, plan.inputs, subject, begun)))
        )
        if chains:
            found.append(Stage(f"back.{step.name}", step.title or step.name, chains, gate=_gate(step, plan.inputs)))
    return tuple(found)


def _subjects(step: Step, state: State) -> list[str | None]:
    """The phones of a block as the migration stands; for a single step the account."""
    if step.each is None or state.plan is None:
        return [None]
    group = state.members(step.each)
    return [phone.device for phone in state.plan.phones if phone.device in group]


def wave_sizes(parts: Sequence[str], phones: int) -> list[int]:
    """How many phones each wave takes: `1, 5%, 25%, 100%` of 40 is 1, 1, 8, 30.

    A share that adds nobody takes one all the same: few phones move one by one, not all at once in the last wave.
    """
    sizes, taken = [], 0
    for part in parts:
        upto = int(part) if part.isdecimal() else -(-int(part[:-1]) * phones // 100)
        size = max(0, min(upto, phones) - taken)
        if not size and part != "100%" and taken < phones:
            size = 1
        if size:
            sizes.append(size)
            taken += size
    return sizes


def _block(step: Step, inputs: dict[str, Any], phones: Sequence[Phone]) -> list[Stage]:
    """A block: one stage, or one for each wave, with its baking time after it."""
    chains = [Chain(phone.device, _tasks(step.steps, inputs), _tasks(step.else_, inputs)) for phone in phones]
    title = step.title or step.name
    only = None if step.each == "phones" else step.each
    quiet, gate = step.within == "quiet", _gate(step, inputs)
    if step.each == "phones":
        chains = [chain for chain, phone in zip(chains, phones, strict=True) if phone.moves != "never"]
    if step.waves is None:
        return [Stage(step.name, title, tuple(chains), only, quiet, gate)]
    found = []
    first = 0
    sizes = wave_sizes(waves(filled(step.waves, inputs)), len(chains))
    for number, size in enumerate(sizes, start=1):
        part = tuple(chains[first : first + size])
        first += size
        name = f"{title}, wave {number} of {len(sizes)}: {size} phone{'s' if size > 1 else ''}"
        found.append(Stage(f"{step.name}-{number}", name, part, only, quiet, gate))
        if step.bake is not None and (pause := seconds(filled(step.bake, inputs))):
            wait = Task("bake", f"watch after wave {number}", "delay", seconds=pause)
            found.append(Stage(f"{step.name}-{number}-bake", wait.title, (Chain(None, (wait,)),)))
    return found


def _single(step: Step, inputs: dict[str, Any]) -> Stage:
    title = step.title or step.name
    chain = Chain(None, (_wait(step, inputs) if step.wait else _task(step, inputs),))
    return Stage(step.name, title, (chain,), step.if_, step.within == "quiet")


def _wait(step: Step, inputs: dict[str, Any]) -> Task:
    assert step.wait is not None  # noqa: S101 - asked just before
    title, wait = step.title or step.name, step.wait
    if wait.approval is not None:
        return Task(step.name, title, "approval", seconds=seconds(filled(wait.approval.expires, inputs)))
    if wait.for_ is not None:
        return Task(step.name, title, "delay", seconds=seconds(filled(wait.for_, inputs)))
    return Task(step.name, title, "ttl", after=wait.ttl_of)


def _tasks(steps: Iterable[Step], inputs: dict[str, Any]) -> tuple[Task, ...]:
    return tuple(_task(step, inputs) for step in steps)


def _task(step: Step, inputs: dict[str, Any]) -> Task:
    timeout = _DEFAULT_TIMEOUT if step.timeout is None else seconds(filled(step.timeout, inputs))
    arguments = {name: str(filled(value, inputs)) for name, value in step.with_.items()}
    return Task(
        step.name,
        step.title or step.name,
        "undo" if step.undo else "do",
        step.uses or "",
        arguments,
        timeout,
        step.undo or "",
    )


def _gate(step: Step, inputs: dict[str, Any]) -> float:
    return 1.0 if step.gate is None else percent(filled(step.gate, inputs))


def _linked(stage: Stage, by_step: dict[str, str]) -> Stage:
    """Names of steps in `after` and in a rescue's `of` become keys of tasks, and an undo learns what it undoes."""
    return structs.replace(stage, chains=tuple(_linked_chain(stage, chain, by_step) for chain in stage.chains))


def _linked_chain(stage: Stage, chain: Chain, by_step: dict[str, str]) -> Chain:
    mine = {task.id: task for task in chain.tasks}
    tasks = tuple(structs.replace(task, after=tuple(by_step[one] for one in task.after)) for task in chain.tasks)
    rescue = tuple(
        structs.replace(task, of=key_of(stage, chain, mine[task.of]), uses=mine[task.of].uses) if task.of else task
        for task in chain.rescue
    )
    return Chain(chain.subject, tasks, rescue)


def _back_tasks(
    step: Step, inputs: dict[str, Any], subject: str | None, begun: dict[tuple[str, str | None], str]
) -> Iterable[Task]:
    for one in step.steps if step.each else (step,):
        task = _wait(one, inputs) if one.wait else _task(one, inputs)
        if one.undo is None:
            yield task
        elif (key := begun.get((one.undo, subject))) is not None:
            yield structs.replace(task, of=key)


def _estimated(found: list[Stage], phones: dict[str, Phone]) -> tuple[Stage, ...]:
    """Each quiet stage with what it and the stages that must follow it at once are expected to take."""
    own = [_estimate(stage, phones) for stage in found]
    result = []
    for position, stage in enumerate(found):
        total = own[position]
        for after, seconds_after in zip(found[position + 1 :], own[position + 1 :], strict=True):
            if after.quiet or _waits(after):
                break
            total += seconds_after
        result.append(structs.replace(stage, estimate=total if stage.quiet else own[position]))
    return tuple(result)


def _waits(stage: Stage) -> bool:
    return any(chain.tasks[0].kind != "do" for chain in stage.chains)


def _estimate(stage: Stage, phones: dict[str, Phone]) -> float:
    """Seconds for a stage: its phones, so many at a time, each with its own time to come back, twice for a rescue."""
    total = longest = 0.0
    for chain in stage.chains:
        own = sum(STEPS[task.uses].seconds for task in chain.tasks if task.kind == "do")
        if chain.subject and any(task.uses == "phone.await" for task in chain.tasks):
            own += phones[chain.subject].settle
        total += own
        longest = max(longest, own)
    return max(longest, total / AT_ONCE) * (2 if any(chain.rescue for chain in stage.chains) else 1)
