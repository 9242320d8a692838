"""The output formats: what each can carry, how it is written strictly, and how it is read back.

A format has one encoder, which every value of every template passes (Jinja's `finalize`), and one parser, which
accepts well-formed output only. A value that a format can't carry is refused, never bent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from msgspec import Struct

from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Pair = tuple[str, str]
ADDRESS: Final = "<>"
"""What `Format.parse` calls the address at the head of a baresip account; its value is `name NUL address`."""

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_BROKEN: Final = r"\ud800-\udfff\ufffe\uffff"
_NOT_IN_A_LINE = re.compile(f"[{_CONTROL}{_BROKEN}]")
_NOT_IN_XML = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f{_BROKEN}]")  # XML 1.0 section 2.2
_NOT_IN_QUOTES = re.compile(rf'["\\{_CONTROL}{_BROKEN}]')
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"})
_CLEARED = "%NULL%"
_KV_HEADER = re.compile(r"#!version:[0-9.]+\s*\Z")
_RANGE = re.compile(r"\{(\d+)-(\d+)\}")
_BARESIP_ACCOUNT = re.compile(r'(?:"(?P<name>[^"\\]*)"\s*)?<(?P<uri>[^>]+)>(?P<parameters>.*)\Z')
_BARESIP_PARAMETER = re.compile(r';([a-z0-9_]+)(?:=(?:"([^"\\]*)"|([^";\s]+)))?')


class UncarriableError(ValueError):
    """A format can't carry a value; the message says what of it, and never repeats the value."""


class MalformedError(InputError):
    """A configuration is not what its format asks for; the message says where."""


class Format(Struct, frozen=True):
    """How values are written and files are read.

    Attributes:
        name: as `models.toml` names it.
        encode: a value as it stands in a file. Raises UncarriableError.
        parse: every parameter with its value, in the order of the file. Raises MalformedError.
        once: whether a parameter may stand in a file only once.
    """

    name: str
    encode: Callable[[str], str]
    parse: Callable[[bytes], list[Pair]]
    once: bool = True


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        InputError: there is none.
    """
    if name not in FORMATS:
        raise InputError(f"no output format is called {name!r}; known are {', '.join(FORMATS)}")
    return FORMATS[name]


def known_names(lines: Iterable[str]) -> frozenset[str]:
    """The parameter names that the lines of a `params.txt` stand for: `account.{1-16}.label  # comment`."""
    bare = (line.partition("#")[0].strip() for line in lines)
    return frozenset(name for line in bare if line for name in _expanded(line))


def check(output: Format, content: bytes, known: frozenset[str], where: str) -> list[Pair]:
    """Parse a file and compare its parameters with those that are known.

    Args:
        output: the file's format.
        content: the file.
        known: names from `params.txt`.
        where: how errors call the file.

    Returns:
        Its parameters.

    Raises:
        MalformedError: it is not well-formed, says something twice, or names an unknown parameter.
    """
    try:
        pairs = output.parse(content)
    except MalformedError as error:
        raise MalformedError(f"{where}: {error.message}", hint=error.hint) from error
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in known and name != ADDRESS:
            raise MalformedError(
                f"{where}: {name!r} is no parameter that this family is known to have",
                hint="correct the template, or add the name to the project's own params.txt",
            )
        if output.once and name in seen:
            raise MalformedError(f"{where}: {name!r} stands there twice")
        seen.add(name)
    return pairs


def _expanded(pattern: str) -> Iterator[str]:
    """`P{4-5}01` is `P401` and `P501`."""
    found = _RANGE.search(pattern)
    if found is None:
        yield pattern
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        yield from _expanded(f"{pattern[: found.start()]}{number}{pattern[found.end() :]}")


def _refuse(found: re.Match[str]) -> UncarriableError:
    character = found[0]
    if character in "\r\n\u0085\u2028\u2029":
        return UncarriableError("holds a line break")
    if character in '"\\':
        return UncarriableError(f"holds {character}, for which there is no escape")
    return UncarriableError(f"holds the character U+{ord(character):04X}")


# --- key = value (Yealink) -------------------------------------------------------------------------------------------


def _encode_kv(value: str) -> str:
    """There is no escape: what the line can't hold is refused. Empty is written as `%NULL%`, which clears."""
    if not value:
        return _CLEARED
    if found := _NOT_IN_A_LINE.search(value):
        raise _refuse(found)
    if value != value.strip():
        raise UncarriableError("begins or ends with a blank, which would be lost")
    if value == _CLEARED:
        raise UncarriableError(f"is {_CLEARED}, which means no value")
    return value


def _parse_kv(content: bytes) -> list[Pair]:
    lines = _text(content).split("\n")
    if not _KV_HEADER.match(lines[0]):
        raise MalformedError("line 1 is not #!version:1.0.0.1, without which a phone ignores the file")
    pairs = []
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in bare.partition("="))
        if not equals or not name or " " in name:
            raise MalformedError(f"line {number} is no `name = value`")
        pairs.append((name, "" if value == _CLEARED else value))
    return pairs


# --- XML with a P value an element (Grandstream) ---------------------------------------------------------------------


def _encode_xml(value: str) -> str:
    """Escaped for text and attributes alike; a carriage return as a reference, or reading would lose it."""
    if found := _NOT_IN_XML.search(value):
        raise _refuse(found)
    return value.translate(_XML_ESCAPES)


class _XmlReader:
    """Collects the leaves of `<gs_provision><config>`. A document type, and with it any entity, is refused."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        self._parser.StartDoctypeDeclHandler = self._doctype

    def read(self, content: bytes) -> list[Pair]:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            raise MalformedError(f"no well-formed XML: {error}") from error
        return self.pairs

    def _start(self, tag: str, _: dict[str, str]) -> None:
        frame = [*self._path, tag]
        if frame[:1] != ["gs_provision"] or (len(frame) == 2 and tag not in ("mac", "config")) or len(frame) > 3:
            raise self._fault(f"<{tag}> has no place there")
        self._path = frame
        self._text.clear()

    def _end(self, tag: str) -> None:
        text = "".join(self._text)
        if len(self._path) == 3:
            self.pairs.append((tag, text))
        elif tag != "mac" and text.strip():
            raise self._fault("text outside of a P value")
        self._text.clear()
        self._path = self._path[:-1]

    def _doctype(self, *_: object) -> None:
        raise self._fault("a document type is not allowed")

    def _fault(self, message: str) -> MalformedError:
        return MalformedError(f"line {self._parser.CurrentLineNumber}: {message}")


# --- baresip ---------------------------------------------------------------------------------------------------------


def _encode_baresip(value: str) -> str:
    """A value inside quotes. baresip takes backslashes for escapes and keeps them, so there is no way to say either."""
    if found := _NOT_IN_QUOTES.search(value):
        raise _refuse(found)
    return value


def _parse_baresip(content: bytes) -> list[Pair]:
    """Accounts as a pair (`ADDRESS`, name and address) before the pairs of its parameters; configuration as pairs."""
    pairs: list[Pair] = []
    for number, line in enumerate(_text(content).split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in '"<':
            pairs += _baresip_account(line, number)
            continue
        name, _, value = line.partition(" ")
        if not value.strip():
            raise MalformedError(f"line {number} is no `key value`")
        pairs.append((name, value.strip()))
    return pairs


def _baresip_account(line: str, number: int) -> Iterator[Pair]:
    found = _BARESIP_ACCOUNT.match(line)
    if found is None:
        raise MalformedError(f'line {number} is no `"name" <sip:user@host>;parameter=value`')
    yield ADDRESS, f"{found['name'] or ''}\0{found['uri']}"
    at, rest = 0, found["parameters"]
    while at < len(rest):
        parameter = _BARESIP_PARAMETER.match(rest, at)
        if parameter is None:
            raise MalformedError(f"line {number}: no parameter at column {found.start('parameters') + at + 1}")
        yield parameter[1], parameter[2] if parameter[2] is not None else parameter[3] or ""
        at = parameter.end()


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"no UTF-8 at octet {error.start}") from error


FORMATS: Final[dict[str, Format]] = {
    "kv": Format("kv", _encode_kv, _parse_kv),
    "xml": Format("xml", _encode_xml, lambda content: _XmlReader().read(content)),
    "baresip": Format("baresip", _encode_baresip, _parse_baresip, once=False),
}
