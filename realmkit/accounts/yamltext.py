"""Plain data as YAML that people like to read and that comes back as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = re.compile(r"[A-Za-z]([A-Za-z0-9 ._@/+-]*[A-Za-z0-9._@/+-])?", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})  # YAML 1.1's among them
_WIDTH: Final = 100
_FLOW: Final = 6  # entries of a mapping that may stand in one line


def dump(data: Mapping[str, Any]) -> str:
    """A mapping of plain data (mappings, lists, texts, numbers, booleans, dates, None) as a YAML document."""
    return "\n".join(_entries(data, "")) + "\n"


def _entries(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        head = f"{indent}{_scalar(key)}:"
        if not isinstance(value, Mapping | list | tuple):
            yield f"{head} {_scalar(value)}"
        elif _fits(value, len(head)):
            yield f"{head} {_flow(value)}"
        elif isinstance(value, Mapping):
            yield head
            yield from _entries(value, indent + "  ")
        else:
            yield head
            for item in value:
                yield from _item(item, indent + "  ")


def _item(value: Any, indent: str) -> Iterator[str]:
    if not isinstance(value, Mapping) or _fits(value, len(indent) + 2):
        yield f"{indent}- {_flow(value)}"
        return
    lines = list(_entries(value, indent + "  "))
    yield f"{indent}- {lines[0][len(indent) + 2 :]}"
    yield from lines[1:]


def _fits(value: Any, used: int) -> bool:
    items = list(value.values()) if isinstance(value, Mapping) else list(value)
    nested = any(isinstance(item, Mapping | list | tuple) and item for item in items)
    return not items or (not nested and len(items) <= _FLOW and used + len(_flow(value)) < _WIDTH)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    text = value.isoformat() if isinstance(value, date) else str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in json.dumps(text, ensure_ascii=False))


def _escaped(one: str) -> str:
    code = ord(one)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
