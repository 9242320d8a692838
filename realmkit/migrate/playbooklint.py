"""What is wrong with a playbook beyond its types: names, arguments, places, a way back, an order that can work."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.errors import InputError
from realmkit.migrate.playbook import READERS, walk
from realmkit.migrate.steps import EFFECTS, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.migrate.playbook import Playbook, PlaybookFile, Step, Trail, Wait

_KINDS: Final = ("uses", "undo", "wait", "each")
_KEYS: Final = {  # what stands beside what else
    "waves": ("each",), "gate": ("each",), "bake": ("each",), "steps": ("each",), "else_": ("each",),
    "with_": ("uses",), "timeout": ("uses", "undo"), "within": ("uses", "each"), "irreversible": ("uses",),
}  # fmt: skip
_ONLY_THERE: Final = ("waves", "bake", "else_", "within")  # the way back is gone at once, and by everybody


class Slip(NamedTuple):
    """What lint found: where, what, and the check that `--allow` lifts (empty: can't be lifted)."""

    path: Trail
    message: str
    check: str = ""


class _Placed(NamedTuple):
    """A step, where it stands, and the block that it is in."""

    path: Trail
    step: Step
    block: Step | None

    @property
    def is_back(self) -> bool:
        return self.path[0] == "rollback"

    @property
    def is_rescue(self) -> bool:
        return "else" in self.path


def check(file: PlaybookFile, allow: tuple[str, ...] = ()) -> None:
    """Lint, and refuse what it finds.

    Args:
        file: the playbook.
        allow: checks to lift by name.

    Raises:
        InputError: with one line for each slip.
    """
    slips = [slip for slip in lint(file.playbook) if not slip.check or slip.check not in allow]
    if slips:
        slips.sort(key=lambda slip: file.document.place(slip.path))
        lines = [file.document.error(slip.path, slip.message).message for slip in slips]
        liftable = sorted({slip.check for slip in slips if slip.check})
        hint = f"if you know better: --allow {' --allow '.join(liftable)}" if liftable else None
        raise InputError("\n".join(lines), hint=hint)


def lint(playbook: Playbook) -> list[Slip]:
    """Everything that is wrong with a playbook beyond its types."""
    slips = list(_lint_inputs(playbook))
    steps = _placed(playbook)
    for one in steps:
        slips += _lint_step(playbook, one)
    return [*slips, *_lint_ids(steps), *_lint_undo(steps), *_lint_order(steps)]


def _placed(playbook: Playbook) -> list[_Placed]:
    sections = (("steps", playbook.steps), ("rollback", playbook.rollback))
    return [_Placed(*found) for section, steps in sections for found in walk(steps, (section,))]


def _lint_inputs(playbook: Playbook) -> Iterator[Slip]:
    for name, one in playbook.inputs.items():
        try:
            READERS[one.type](one.default)
        except ValueError as error:
            yield Slip(("inputs", name, "default"), str(error))


def _lint_step(playbook: Playbook, one: _Placed) -> list[Slip]:
    path, step, block = one
    kinds = [kind for kind in _KINDS if getattr(step, kind) is not None]
    if len(kinds) != 1:
        return [Slip(path, f"says {' and '.join(kinds) or 'nothing'}; wants exactly one of {', '.join(_KINDS)}")]
    slips = list(_lint_keys(one, kinds[0]))
    if step.id is None and step.undo is None:
        slips.append(Slip(path, "the key 'id' is missing"))
    if block is not None and (step.each or step.wait):
        slips.append(Slip(path, "inside a block only `uses` and `undo` go"))
    if step.each is not None and not step.steps:
        slips.append(Slip(path, "a block wants `steps`"))
    if step.uses is not None:
        slips += _lint_uses(playbook, path, step, block)
    if step.wait is not None:
        slips += _lint_wait(playbook, one, step.wait)
    return [*slips, *_lint_values(playbook, path, step)]


def _lint_keys(one: _Placed, kind: str) -> Iterator[Slip]:
    """Keys that would be passed over where they stand."""
    path, step, block = one
    for key, beside in _KEYS.items():
        if not getattr(step, key):
            continue
        place = (*path, key.rstrip("_"))
        if kind not in beside:
            yield Slip(place, f"goes with {' and '.join(f'`{name}`' for name in beside)} only")
        elif one.is_back and key in _ONLY_THERE:
            yield Slip(place, "goes on the way there only: the way back is gone at once")
        elif block is not None and key == "within":
            yield Slip(place, "goes with the block, not with its steps")
    if step.bake and not step.waves:
        yield Slip((*path, "bake"), "goes with `waves` only")
    if step.if_ and (block is not None or (step.each and not one.is_back)):
        yield Slip((*path, "if"), "does not go here: `each` says whom a block is about")


def _lint_uses(playbook: Playbook, path: Trail, step: Step, block: Step | None) -> list[Slip]:
    assert step.uses is not None  # noqa: S101 - asked just before
    if step.uses not in STEPS:
        near = difflib.get_close_matches(step.uses, STEPS, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else "known are: " + ", ".join(STEPS)
        return [Slip((*path, "uses"), f"there is no {step.uses!r}; {mend}")]
    known = STEPS[step.uses]
    slips = []
    if known.per_phone and block is None:
        slips.append(Slip((*path, "uses"), f"{step.uses} is about one phone: put it into a block with `each`"))
    if not known.per_phone and not known.anywhere and block is not None:
        slips.append(Slip((*path, "uses"), f"{step.uses} is about the account: take it out of the block"))
    for key, value in step.with_.items():
        allowed = known.arguments.get(key)
        if allowed is None:
            slips.append(Slip((*path, "with", key), f"{step.uses} takes {', '.join(known.arguments) or 'nothing'}"))
        elif not _fits(playbook, value, allowed):
            slips.append(Slip((*path, "with", key), f"{value!r} is no {' or '.join(allowed)}"))
    missing = [key for key in known.arguments if key not in step.with_ and key not in known.optional]
    return slips + [Slip(path, f"{step.uses} wants `with: {{{key}: ...}}`") for key in missing]


def _fits(playbook: Playbook, value: Any, allowed: tuple[str, ...]) -> bool:
    """Whether an argument has one of the values, or is of the kind, that its step takes."""
    if value in allowed and value not in READERS:
        return True
    kinds = [kind for kind in allowed if kind in READERS]
    if isinstance(value, str) and value.startswith("$"):
        given = playbook.inputs.get(value[1:])
        return given is not None and given.type in kinds
    return any(_reads(kind, value) for kind in kinds)


def _reads(kind: str, value: Any) -> bool:
    try:
        READERS[kind](value)
    except ValueError:
        return False
    return True


def _lint_wait(playbook: Playbook, one: _Placed, wait: Wait) -> list[Slip]:
    path = (*one.path, "wait")
    if sum((wait.approval is not None, wait.for_ is not None, bool(wait.ttl_of))) != 1:
        return [Slip(path, "wants exactly one of approval, for and ttl_of")]
    if one.is_back and wait.ttl_of:
        return [Slip((*path, "ttl_of"), "goes on the way there only")]
    earlier = playbook.steps[: int(one.path[1])]
    known = {step.name for step in earlier if step.uses in STEPS and STEPS[step.uses].caches}
    return [
        Slip((*path, "ttl_of"), f"{name!r} is no earlier step that changes what resolvers may have cached")
        for name in wait.ttl_of
        if name not in known
    ]


def _lint_values(playbook: Playbook, path: Trail, step: Step) -> Iterator[Slip]:
    expires = step.wait.approval.expires if step.wait and step.wait.approval else None
    pause = step.wait.for_ if step.wait else None
    found: tuple[tuple[Any, Trail, str], ...] = (
        (step.timeout, ("timeout",), "duration"), (step.bake, ("bake",), "duration"), (step.gate, ("gate",), "percent"),
        (step.waves, ("waves",), "waves"), (expires, ("wait", "approval", "expires"), "duration"),
        (pause, ("wait", "for"), "duration"),
    )  # fmt: skip
    for value, key, kind in found:
        if value is None:
            continue
        if isinstance(value, str) and value.startswith("$"):
            given = playbook.inputs.get(value[1:])
            if given is None or given.type != kind:
                yield Slip((*path, *key), f"{value} is no input of type {kind}")
            continue
        try:
            READERS[kind](value)
        except ValueError as error:
            yield Slip((*path, *key), str(error))


def _lint_ids(steps: list[_Placed]) -> Iterator[Slip]:
    """Ids are unique; what has none is named by its undo, and unique in its block. Waves make names of their own."""
    seen: set[tuple[str, str]] = set()
    waves = [one.step.name for one in steps if one.step.waves]
    for path, step, block in steps:
        key = ("", step.id) if step.id else (block.name if block else "", step.name)
        if key in seen:
            yield Slip((*path, "id"), f"the id {step.name!r} appears twice")
        seen.add(key)
        for name in waves:
            if re.match(rf"{re.escape(name)}-[0-9]+(-bake)?\Z", step.name):
                yield Slip((*path, "id"), f"{step.name!r} is the name of a wave of {name!r}")


def _lint_undo(steps: list[_Placed]) -> Iterator[Slip]:
    """Each `undo` finds the step with an effect that it names; each effect has a way back, or says why not."""
    there = [one for one in steps if not one.is_back and not one.is_rescue]
    effects = {one.step.name: one for one in there if one.step.uses in EFFECTS}
    for one in steps:
        if one.step.undo is not None and (text := _lost(one, effects.get(one.step.undo))):
            yield Slip((*one.path, "undo"), text)
    back = [one.step for one in steps if one.is_back]
    undone = {step.undo for step in back} | {step.uses for step in back}
    for name, one in effects.items():
        if undone.isdisjoint({name, *STEPS[one.step.uses or ""].way_back}) and one.step.irreversible is None:
            text = f"has an effect, and `rollback` does not `undo: {name}`; or say why: irreversible"
            yield Slip(one.path, text)


def _lost(one: _Placed, effect: _Placed | None) -> str:
    """Why an `undo` would undo nothing; empty if it would."""
    name = one.step.undo
    if effect is None:
        return f"{name!r} is no step with an effect"
    if not one.is_back and not one.is_rescue:
        return "goes with `else` and `rollback` only"
    if one.is_rescue and effect.block is not one.block:
        return f"{name!r} is no step of this block"
    if (one.block is None) != (effect.block is None):
        return f"{name!r} is about {'the account' if effect.block is None else 'one phone'}, and this is not"
    return ""


def _lint_order(steps: list[_Placed]) -> Iterator[Slip]:
    """After the account's realm has changed the platform can't reach a phone at the old one (facts: F3).

    A check-sync is addressed to the account's realm as it is at that moment, so it must be sent before.
    """
    flipped = False
    for path, step, _ in (one for one in steps if not one.is_back):
        if step.uses == "account.set_realm":
            flipped = True
        elif step.uses == "phone.resync" and flipped and step.with_.get("realm") == "new":
            yield Slip(
                path, "sends a check-sync after the account's realm has changed: it is addressed to the new realm, and "
                "no phone is registered there yet", "resync-after-realm",
            )  # fmt: skip
