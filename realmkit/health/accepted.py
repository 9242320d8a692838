"""What people decided to live with: accepted findings with a reason and an end, and the baseline of an old stock.

Both are read strictly. A line that is misread would either wake somebody for nothing or hide what is broken.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct, field

from realmkit import durable, yamlfile
from realmkit.dns.findings import LEVELS, Finding, Level
from realmkit.errors import InputError, UnreadableStateError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

FILE: Final = "health-accepted.yml"
BASELINE_KIND: Final = "realmkit.health-baseline"
_HEADER: Final = """\
# Findings of `realmkit health check` that are accepted: each with a reason, and until when (that day included, UTC).
# Then it is told again. `realmkit health accept` adds to this file; subject "*" stands for all subjects of an id.
"""
_FIELDS: Final = ("id", "subject", "server", "reason", "until")
_ID: Final = re.compile(r"[A-Z]{2,4}[0-9]{2}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_Index = dict[tuple[str, str, str], "Acceptance"]


class Acceptance(Struct, frozen=True):
    """One accepted finding.

    Attributes:
        id: of the check.
        subject: as in the finding, the final dot may be left out; `*` for all.
        reason: why.
        until: the last day, in UTC.
        server: as in the finding; empty for every server.
    """

    id: str
    subject: str
    reason: str
    until: date
    server: str = ""


class Accepted(Struct, frozen=True):
    """All that is accepted.

    Attributes:
        entries: in the file's order.
    """

    entries: tuple[Acceptance, ...] = ()
    _index: _Index = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Acceptance]) -> Accepted:
        """Collect entries."""
        many = tuple(entries)
        return cls(many, {_key(one): one for one in many})

    def find(self, key: tuple[str, str, str], today: date) -> Acceptance | None:
        """What accepts a finding: one that holds today, else one that has ended, else None.

        Args:
            key: `Finding.key`.
            today: in UTC.
        """
        name, subject, server = key
        subject = _plain(subject)
        keys = ((name, one, where) for one in (subject, "*") for where in dict.fromkeys((server, "")))
        found = [self._index[one] for one in keys if one in self._index]
        return next((one for one in found if one.until >= today), found[0] if found else None)


class Known(Struct, frozen=True):
    """A finding of the baseline. Attributes as in `Finding`."""

    id: str
    subject: str
    level: Level
    server: str = ""


class Baseline(Struct, frozen=True):
    """The findings that were there when watching began; they fail nothing and are no news, unless they get worse.

    Attributes:
        levels: by `Finding.key`.
    """

    levels: dict[tuple[str, str, str], Level] = field(default_factory=dict)

    def covers(self, key: tuple[str, str, str], level: Level) -> bool:
        """Whether a finding was there, and was as bad."""
        known = self.levels.get(key)
        return known is not None and LEVELS.index(level) >= LEVELS.index(known)


def load(path: Path, known: Container[str] | None = None) -> Accepted:
    """Read `health-accepted.yml`; without one nothing is accepted.

    Args:
        path: of the file.
        known: ids of checks that there are; another id is an error. None takes any.

    Raises:
        UnreadableStateError: it can't be read, or an entry is incomplete, malformed or there twice; with its place.
    """
    if not path.exists():
        return Accepted()
    try:
        return Accepted.of(_read(yamlfile.load(path), known))
    except InputError as error:
        raise UnreadableStateError(error.message, hint=error.hint or _hint()) from error


def add(path: Path, entry: Acceptance) -> None:
    """Append an entry to the file as text, so that comments and order stay; make the file where there is none.

    Raises:
        InputError: the entry has no reason, or is there already. StateError: the file can't be written.
        UnreadableStateError: what is there can't be read, or nothing can be appended to it.
    """
    before = load(path).entries
    entry = msgspec.structs.replace(entry, reason=" ".join(entry.reason.split()))
    if not entry.reason.isprintable() or not entry.reason:
        raise InputError("an accepted finding needs a reason, of printable characters", hint="--reason 'ticket 4711'")
    if any(_key(one) == _key(entry) for one in before):
        raise InputError(f"{path}: {entry.id} {entry.subject} is there already", hint="change its `until` by hand")
    text = path.read_text(encoding="utf-8") if path.exists() else _HEADER
    text += ("" if text.endswith("\n") or not text else "\n") + _as_text(entry)
    try:
        fits = tuple(_read(yamlfile.loads(text, path), None)) == (*before, entry)
    except InputError:
        fits = False
    if not fits:
        raise UnreadableStateError(
            f"{path}: nothing can be appended to it", hint=f"add it by hand, as a plain list:\n{_as_text(entry)}"
        )
    durable.write(path, text.encode())


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        UnreadableStateError: there is none, it is damaged, or of another version.
    """
    try:
        read = msgspec.json.decode(path.read_bytes(), type=_BaselineFile)
    except OSError as error:
        raise UnreadableStateError(
            f"can't read the baseline {path}: {error.strerror}", hint="`--write-baseline FILE` makes one"
        ) from error
    except msgspec.DecodeError as error:
        raise UnreadableStateError(
            f"{path}: no baseline: {error}", hint="restore it, or make a new one with `--write-baseline FILE`"
        ) from error
    if read.version != 1:
        raise UnreadableStateError(f"{path}: version {read.version}; this realmkit reads version 1")
    levels: dict[tuple[str, str, str], Level] = {(one.id, one.subject, one.server): one.level for one in read.findings}
    if len(levels) != len(read.findings):
        raise UnreadableStateError(f"{path}: a finding is there twice", hint="make a new one with `--write-baseline`")
    return Baseline(levels)


def save_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Write a baseline. Raises StateError if the file can't be written."""
    worst: dict[tuple[str, str, str], Level] = {}
    for one in findings:
        worst[one.key] = min(one.level, worst.get(one.key, one.level), key=LEVELS.index)
    known = [Known(name, subject, worst[name, subject, server], server) for name, subject, server in sorted(worst)]
    data = msgspec.json.encode(_BaselineFile(BASELINE_KIND, 1, known))
    durable.write(path, msgspec.json.format(data, indent=1) + b"\n")


class _BaselineFile(Struct, forbid_unknown_fields=True):
    kind: Literal["realmkit.health-baseline"]
    version: int
    findings: list[Known]


def _hint() -> str:
    return "an entry is {" + ", ".join(_FIELDS) + "}; server may be left out, a subject * stands in quotes"


def _plain(subject: str) -> str:
    """A subject without what a person may leave out: capitals and the final dot of its name."""
    name, space, rest = subject.partition(" ")
    return name.lower().removesuffix(".") + space + rest


def _key(entry: Acceptance) -> tuple[str, str, str]:
    return entry.id, _plain(entry.subject), entry.server


def _read(document: yamlfile.Document, known: Container[str] | None) -> Iterable[Acceptance]:
    data = document.data if document.data is not None else []
    if not isinstance(data, list):
        raise document.error((), "must be a list of accepted findings", hint=_hint())
    places: dict[tuple[str, str, str], int] = {}
    for number, item in enumerate(data):
        entry = _entry(document, number, item, known)
        if _key(entry) in places:
            line = document.place((places[_key(entry)],)).line
            raise document.error((number,), f"{entry.id} {entry.subject} is accepted in line {line} already")
        places[_key(entry)] = number
        yield entry


def _entry(document: yamlfile.Document, number: int, item: Any, known: Container[str] | None) -> Acceptance:
    if not isinstance(item, dict):
        raise document.error((number,), "must be a mapping", hint=_hint())
    for key, value in item.items():
        if key not in _FIELDS:
            raise document.error((number, key), "there is no such field", hint=_hint())
        if not isinstance(value, str) or not value.strip():
            raise document.error((number, key), "must be text, and not empty", hint=_hint())
    for key in _FIELDS:
        if key not in item and key != "server":
            raise document.error((number,), f"{key} is missing", hint=_hint())
    if not _ID.match(item["id"]) or (known is not None and item["id"] not in known):
        raise document.error((number, "id"), f"{item['id']} is no check", hint="`realmkit health explain` lists them")
    try:
        until = date.fromisoformat(item["until"] if _DATE.match(item["until"]) else "")
    except ValueError:
        raise document.error((number, "until"), f"{item['until']} is no date", hint="2026-12-31") from None
    return Acceptance(item["id"], item["subject"], item["reason"], until, item.get("server", ""))


def _as_text(entry: Acceptance) -> str:
    values = {"id": entry.id, "subject": _quoted(entry.subject)}
    if entry.server:
        values["server"] = _quoted(entry.server)
    values |= {"reason": _quoted(entry.reason), "until": entry.until.isoformat()}
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in values.items()) + "\n"


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar; JSON's escapes are all YAML's too."""
    return msgspec.json.encode(text).decode()
