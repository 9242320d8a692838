"""JSON values as Kazoo writes them: made immutable, compared, and read with tolerance for older documents' types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
GREGORIAN_EPOCH: Final = 62_167_219_200  # seconds from year 0, Kazoo's epoch, to 1970
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def freeze(value: Any) -> Any:
    """A JSON value with its objects and arrays made immutable."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """The inverse of `freeze`."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [thaw(item) for item in value]
    return value


def canonical(value: Any) -> str:
    """One ASCII text for each JSON value: keys sorted, no blanks."""
    return json.dumps(thaw(value), sort_keys=True, separators=(",", ":"))


def text(value: Any) -> str | None:
    """A string; a number as one, for older clusters did not hold to the schema; None for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    """An integer, also from a string of digits or a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def is_true(value: Any, *, default: bool) -> bool:
    """A JSON boolean, also written as a string; `default` for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower(), default) if isinstance(value, str) else default


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else NOTHING


def to_gregorian(instant: datetime) -> int:
    """Gregorian seconds of an aware instant; a fraction of a second is dropped."""
    return (instant - UNIX_EPOCH) // timedelta(seconds=1) + GREGORIAN_EPOCH


def from_gregorian(seconds: int) -> datetime:
    """The instant, aware, in UTC, of Gregorian seconds."""
    return UNIX_EPOCH + timedelta(seconds=seconds - GREGORIAN_EPOCH)
