"""Strict YAML: YAML 1.2 scalars, no duplicate keys, and every value's place in the file at hand for errors.

PyYAML's own constructor follows YAML 1.1 (`NO` is false, `08:30` is a number in base sixty) and lets a key
appear twice. This reader walks libyaml's events once and builds plain data: two scalars per realm for twelve
thousand realms cost a quarter of a second, and no node objects are kept. Where a value came from is found by a
second walk, which only an error pays for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_MAX_DEPTH = 40
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")

Path_ = tuple["str | int", ...]


class Place(NamedTuple):
    """Where a value stands: 1-based line and column."""

    line: int
    column: int


class Document(NamedTuple):
    """Data read from a YAML file, with its text, so that a place can be found again."""

    file: Path
    data: Any
    text: str

    def place(self, path: Sequence[str | int]) -> Place:
        """The place of the key or item at `path`, or of the nearest enclosing one that exists."""
        found: dict[Path_, Place] = {}
        _Reader(self.file, self.text, found.__setitem__).document()
        wanted = tuple(path)
        while wanted and wanted not in found:
            wanted = wanted[:-1]
        return found.get(wanted, Place(1, 1))

    def error(self, path: Sequence[str | int], message: str, hint: str | None = None) -> InputError:
        """An error that names file, line, path and what is wrong there."""
        line, column = self.place(path)
        where = ".".join(str(part) for part in path)
        text = f"{self.file}:{line}:{column}: {where}: {message}" if where else f"{self.file}: {message}"
        return InputError(text, hint=hint)


def load(file: Path) -> Document:
    """Read one YAML document.

    Raises:
        InputError: the file can't be read, is no YAML, or holds a duplicate key, a tag or a merge key.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{file}: no such file", hint="`realmkit init` writes a commented one; -C DIR chooses the project"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: can't be read: {error}") from error
    return loads(text, file)


def loads(text: str, file: Path) -> Document:
    """Read one YAML document from `text`; `file` is only named in errors. Raises as `load` does."""
    try:
        return Document(file, _Reader(file, text, None).document(), text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InputError(f"{file}{at}: no valid YAML: {getattr(error, 'problem', None) or error}") from error


class _Reader:
    """One walk over the events of a document, which builds plain data."""

    def __init__(self, file: Path, text: str, note: Callable[[Path_, Place], None] | None) -> None:
        self._file = file
        self._parser = _Parser(text)
        self._next = self._parser.get_event
        self._note = note
        self._anchors: dict[str, Any] = {}
        self._open_anchors = 0

    def document(self) -> Any:
        self._next()  # stream start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        data = self._value(self._next(), ())
        self._next()  # document end
        if not isinstance(self._next(), yaml.StreamEndEvent):
            raise InputError(f"{self._file}: holds more than one YAML document")
        return data

    def _value(self, event: Any, path: Path_) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise self._fault(event, f"unknown alias *{event.anchor}")
            if self._open_anchors:  # nested aliases make a file of a few lines a structure without end
                raise self._fault(event, f"alias *{event.anchor} inside an anchored value")
            return self._anchors[event.anchor]
        if event.tag is not None:
            raise self._fault(event, f"tags such as {event.tag} are not used here")
        if kind is yaml.ScalarEvent:
            value = _scalar(event.value) if event.implicit[0] else event.value
        elif len(path) >= _MAX_DEPTH:
            raise self._fault(event, f"nested deeper than {_MAX_DEPTH} levels")
        else:
            self._open_anchors += event.anchor is not None
            value = self._mapping(path) if kind is yaml.MappingStartEvent else self._sequence(path)
            self._open_anchors -= event.anchor is not None
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent:
                raise self._fault(event, "a key must be a plain word")
            key = event.value
            if key in result:
                raise self._fault(event, f"the key {key!r} appears twice")
            if key == "<<":
                raise self._fault(event, "merge keys (<<) are not used here")
            where = (*path, key)
            self._place(where, event)
            result[key] = self._value(self._next(), where)
        return result

    def _sequence(self, path: Path_) -> list[Any]:
        result: list[Any] = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            where = (*path, len(result))
            self._place(where, event)
            result.append(self._value(event, where))
        return result

    def _place(self, path: Path_, event: Any) -> None:
        """Note where a key or an item begins."""
        if self._note is not None:
            self._note(path, Place(event.start_mark.line + 1, event.start_mark.column + 1))

    def _fault(self, event: Any, message: str) -> InputError:
        mark = event.start_mark
        return InputError(f"{self._file}:{mark.line + 1}:{mark.column + 1}: {message}")


def _scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2 (section 10.3.2), without octal and hexadecimal."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    return text
