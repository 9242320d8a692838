"""Playbooks: the order of a realm change as data. Reading and inputs; playbooklint.py finds what can't work.

A playbook is a list of steps that run in order. A step `uses` something (steps/ has what there is), `wait`s, or is a
block that does its own `steps` for `each` phone, in `waves`, and `else` for a phone that did not come over. The
`rollback` section is the way back, in the same language; `undo` puts back what a step changed.
"""

from __future__ import annotations

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from realmkit import yamlfile
from realmkit.config import Entry, decode
from realmkit.errors import InputError
from realmkit.migrate.plan import Class
from realmkit.yamlfile import Document

if TYPE_CHECKING:
    from collections.abc import Callable

Trail = tuple[str | int, ...]  # keys and positions that lead to a place of the document
Id = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,40}$")]

_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d|w)\Z")
_PERCENT: Final = re.compile(r"([0-9]{1,3})%\Z")
_COUNT: Final = re.compile(r"[0-9]{1,6}\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST: Final = 3650 * 86400  # ten years: more is a slip, and no date


class Input(Entry, frozen=True):
    """A value that `migrate plan --set NAME=VALUE` may change."""

    type: Literal["duration", "percent", "waves"]
    default: Any
    help: str


class Approval(Entry, frozen=True):
    """Somebody must say yes; for how long a yes holds."""

    expires: str


class Wait(Entry, frozen=True, rename={"for_": "for"}):
    """What to wait for: one of these.

    Attributes:
        approval: a person.
        for_: a time.
        ttl_of: until what resolvers may have cached before these steps has run out.
    """

    approval: Approval | None = None
    for_: str | None = None
    ttl_of: tuple[str, ...] = ()


class Step(Entry, frozen=True, rename={"with_": "with", "else_": "else", "if_": "if"}):
    """One step; exactly one of `uses`, `undo`, `wait` and `each` says what it is.

    Attributes:
        id: unique in the playbook.
        title: what people read.
        uses: the name of what to do.
        undo: the step whose effect is put back.
        wait: what to wait for.
        each: the phones to do `steps` for, side by side.
        if_: left out where there is no such phone.
        with_: arguments of `uses`.
        timeout: how long its effect may take to show.
        waves: shares of the phones that have been taken after each wave: `[1, 5%, 25%, 100%]`.
        within: `quiet`: begins only in a quiet window.
        gate: the share of a wave's phones that must have come over before anything goes on.
        bake: how long to watch after each wave.
        steps: what is done for each phone, in order.
        else_: what is done for a phone for which one of `steps` failed.
        irreversible: why the way back does not mention it.
    """

    id: Id | None = None
    title: str = ""
    uses: str | None = None
    undo: str | None = None
    wait: Wait | None = None
    each: Class | None = None
    if_: Class | None = None
    with_: dict[str, Any] = field(default_factory=dict)
    timeout: str | None = None
    waves: str | list[str | int] | None = None
    within: Literal["quiet"] | None = None
    gate: str | None = None
    bake: str | None = None
    steps: tuple[Step, ...] = ()
    else_: tuple[Step, ...] = ()
    irreversible: str | None = None

    @property
    def name(self) -> str:
        """Its id; an undo may go without one."""
        return self.id or f"undo-{self.undo}"


class Playbook(Entry, frozen=True):
    """The whole file."""

    version: Literal[1]
    name: Id
    title: str
    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    rollback: Annotated[tuple[Step, ...], Meta(min_length=1)]
    inputs: dict[str, Input] = field(default_factory=dict)


class PlaybookFile(Struct, frozen=True):
    """A playbook with the document that it was read from."""

    playbook: Playbook
    document: Document


def names() -> list[str]:
    """The playbooks of migrations that come with realmkit; those of health checks have no steps."""
    folder = resources.files("realmkit.playbooks")
    return sorted(
        one.name.removesuffix(".yml")
        for one in folder.iterdir()
        if one.name.endswith(".yml") and "\nsteps:" in one.read_text(encoding="utf-8")
    )


def find(name: str, directory: Path) -> PlaybookFile:
    """A playbook by path, from the project's own `playbooks/`, or one that comes with realmkit.

    Raises:
        InputError: there is none, or it can't be read.
    """
    for path in (directory / name, directory / "playbooks" / f"{name}.yml"):
        if path.is_file():
            return read(yamlfile.load(path))
    shipped = resources.files("realmkit.playbooks").joinpath(f"{name}.yml")
    if not re.match(r"[a-z][a-z0-9-]*\Z", name) or not shipped.is_file():
        near = difflib.get_close_matches(name, names(), n=1)
        raise InputError(
            f"no playbook {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint="`realmkit playbook list` shows what there is; your own go to playbooks/NAME.yml",
        )
    return read(yamlfile.loads(shipped.read_text(encoding="utf-8"), Path(f"{name}.yml")))


def read(document: Document) -> PlaybookFile:
    """Decode a playbook. Raises InputError with one line for each slip: file, line, path, what was expected."""
    return PlaybookFile(decode(document, document.data, Playbook, ()), document)


def walk(steps: tuple[Step, ...], path: Trail, block: Step | None = None) -> list[tuple[Trail, Step, Step | None]]:
    """Every step at and below `steps`, with its path and the block that it is in."""
    found = []
    for position, step in enumerate(steps):
        here = (*path, position)
        found.append((here, step, block))
        found += walk(step.steps, (*here, "steps"), step)
        found += walk(step.else_, (*here, "else"), step)
    return found


def seconds(text: object) -> float:
    """`15m` as seconds. Raises ValueError."""
    found = _DURATION.match(str(text))
    if found is None:
        raise ValueError(f"{text!r} is no duration: a number with s, m, h, d or w, as in 15m")
    length = float(int(found[1]) * _SECONDS[found[2]])
    if length > _LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return length


def percent(text: object) -> float:
    """`95%` as 0.95. Raises ValueError."""
    found = _PERCENT.match(str(text))
    if found is None or int(found[1]) > 100:
        raise ValueError(f"{text!r} is no share: 0% to 100%")
    return int(found[1]) / 100


def waves(value: object) -> tuple[str, ...]:
    """`1,5%,25%,100%`, or the same as a list: counts and shares that end with all. Raises ValueError."""
    parts = tuple(str(part).strip() for part in (value if isinstance(value, list | tuple) else str(value).split(",")))
    for part in parts:
        if not _COUNT.match(part):
            percent(part)
    if parts[-1:] != ("100%",):
        raise ValueError("the last wave must be 100%")
    return parts


READERS: Final[dict[str, Callable[[Any], Any]]] = {"duration": seconds, "percent": percent, "waves": waves}


def inputs(playbook: Playbook, given: dict[str, str]) -> dict[str, Any]:
    """The inputs of a playbook with what the user gave, checked; values as they are written.

    Raises:
        InputError: an unknown name, or a value of the wrong kind.
    """
    for name in given:
        if name not in playbook.inputs:
            near = difflib.get_close_matches(name, playbook.inputs, n=1)
            known = f"did you mean {near[0]!r}?" if near else "known are: " + ", ".join(playbook.inputs)
            raise InputError(f"the playbook {playbook.name} has no input {name!r}; {known}")
    values = {name: given.get(name, one.default) for name, one in playbook.inputs.items()}
    for name, value in values.items():
        try:
            READERS[playbook.inputs[name].type](value)
        except ValueError as error:
            raise InputError(f"--set {name}={value}: {error}") from error
    return values


def filled(value: Any, values: dict[str, Any]) -> Any:
    """A value of a step with `$name` replaced by that input."""
    return values[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def schema() -> dict[str, Any]:
    """The JSON Schema of a playbook (draft 2020-12)."""
    whole = msgspec.json.schema(Playbook)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole
