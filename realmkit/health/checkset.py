"""Which checks a run makes, and by what it is judged: from a playbook such as `dns-health`, or from options."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

from msgspec import Meta

from realmkit import yamlfile
from realmkit.config import Entry, decode
from realmkit.dns.findings import Level
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import timedelta

# What a run without a playbook leaves out: what talks to others than the zones' own name servers, and what every
# realm that takes nothing but fax mail would show.
ELSEWHERE: Final = frozenset({
    "DEL10", "MX03", "MX05", "PRO01", "PRO02", "PRO03", "PRO04", "PRO05", "PRO06", "SCR02", "SCR03", "SCR06", "SCR07",
    "SIP06", "SIP07", "SIP09", "SIP10",
})  # fmt: skip
_DURATION: Final = re.compile(r"(\d{1,6})\s*([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class CheckSet(Entry, frozen=True):
    """A playbook of health checks.

    Attributes:
        version: of this form.
        name: its own.
        title: what it is for, in a sentence.
        checks: ids (`SIP07`) or groups (`SIP`).
        without: ids or groups to leave out of these.
        confirm: how many looks must see a finding before it is told; the configuration's where not given.
        remind: after how long it is told again, likewise.
        sample: as `policy.health.sample`, likewise.
        deadline: how long the run may take.
        fail_on: the mildest level that makes the exit code differ from 0.
    """

    version: Literal[1]
    name: str
    title: str
    checks: Annotated[tuple[str, ...], Meta(min_length=1)]
    without: tuple[str, ...] = ()
    confirm: Annotated[int, Meta(ge=1, le=20)] | None = None
    remind: str | None = None
    sample: Annotated[int, Meta(ge=1, le=1000)] | None = None
    deadline: str | None = None
    fail_on: Level = "warning"


class CheckSetFile(NamedTuple):
    """A health playbook with the document that it was read from."""

    checkset: CheckSet
    document: yamlfile.Document


def chosen(known: Collection[str], texts: Iterable[str], without: Iterable[str] = ()) -> frozenset[str]:
    """The ids that ids and groups stand for.

    Args:
        known: every id that there is.
        texts: ids or groups, in any case.
        without: likewise, to leave out.

    Raises:
        InputError: one is neither.
    """
    return frozenset(_ids(known, texts)) - frozenset(_ids(known, without))


def _ids(known: Collection[str], texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        found = [one for one in known if text.upper() in (one, one.rstrip("0123456789"))]
        if not found:
            groups = ", ".join(dict.fromkeys(one.rstrip("0123456789") for one in known))
            raise InputError(f"no check {text!r}", hint=f"`realmkit health explain` lists them; groups are {groups}")
        yield from found


def duration(text: str) -> timedelta:
    """`90s`, `20m`, `24h` or `2d`.

    Raises:
        InputError: it is none of these.
    """
    from datetime import timedelta

    found = _DURATION.match(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no length of time", hint="write 90s, 20m, 24h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def names() -> list[str]:
    """The health playbooks that come with realmkit."""
    folder = resources.files("realmkit.playbooks")
    return sorted(
        one.name.removesuffix(".yml")
        for one in folder.iterdir()
        if one.name.endswith(".yml") and is_one(one.read_text(encoding="utf-8"))
    )


def is_one(text: str) -> bool:
    """Whether a playbook's text is one of health checks, and not of steps."""
    return re.search(r"^checks:", text, re.MULTILINE) is not None


def find(name: str, directory: Path) -> CheckSet:
    """A health playbook by path, from the project's own `playbooks/`, or one that comes with realmkit.

    Raises:
        InputError: there is none, or it can't be read.
    """
    document = _document(name, directory)
    if document is None:
        raise InputError(
            f"no health playbook {name!r}", hint=f"there are: {', '.join(names())}; your own go to playbooks/NAME.yml"
        )
    return _read(document)


def named(name: str, directory: Path) -> CheckSetFile | None:
    """Likewise, with its document; None where the name, or path, is not that of a health playbook."""
    document = _document(name, directory)
    return None if document is None or not is_one(document.text) else CheckSetFile(_read(document), document)


def _document(name: str, directory: Path) -> yamlfile.Document | None:
    """The project's own, else one that comes with realmkit."""
    for path in (directory / name, directory / "playbooks" / f"{name}.yml"):
        if path.is_file():
            return yamlfile.load(path)
    if name not in names():
        return None
    text = resources.files("realmkit.playbooks").joinpath(f"{name}.yml").read_text(encoding="utf-8")
    return yamlfile.loads(text, Path(f"{name}.yml"))


def _read(document: yamlfile.Document) -> CheckSet:
    found = decode(document, document.data, CheckSet, ())
    for key, text in (("remind", found.remind), ("deadline", found.deadline)):
        if text is not None:
            try:
                duration(text)
            except InputError as error:
                raise document.error((key,), error.message, error.hint) from error
    return found
