"""BIND's $GENERATE: one line that stands for many records (BIND 9 Administrator Reference Manual, "$GENERATE")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import rdata
from realmkit.dns import records as rr
from realmkit.dns.zonefiles import zonewords
from realmkit.dns.zonefiles.zonewords import Misread
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.records import Type
    from realmkit.dns.zonefiles.zonewords import Word

_MOST: Final = 100_000
_RANGE: Final = re.compile(r"([0-9]{1,9})-([0-9]{1,9})(?:/([0-9]{1,9}))?\Z")
_MARK: Final = re.compile(r"(\\.)|(\$\$)|\$\{([^{}]*)\}|(\$)", re.DOTALL)
_MODIFIER: Final = re.compile(r"(-?[0-9]{1,9})(?:,([0-9]{1,3})(?:,([doxXnN]))?)?\Z")


class Generated(NamedTuple):
    """One record that a $GENERATE line stands for; owner and rdata are text, the TTL is None where none is written."""

    owner: str
    ttl: int | None
    kind: Type
    rdata: str


def expand(words: Sequence[Word]) -> Iterator[Generated]:
    """The records of one line.

    Args:
        words: of the whole line: `$GENERATE range owner [ttl] [class] type rdata`; rdata of several words is in quotes.

    Raises:
        Misread: it is no such line, or stands for more than 100,000 records.
    """
    if len(words) < 5:
        raise Misread(words[0].start, "$GENERATE takes a range, an owner, a type and rdata")
    numbers = _range(words[1])
    record = zonewords.record_of(words[2:], inherits=False)
    if record.owner is None or len(record.rdata) != 1:
        raise Misread(words[0].start, "$GENERATE takes rdata as one word; put several words in quotes")
    (body,) = record.rdata
    try:
        ttl = None if record.ttl is None else rdata.parse_ttl(record.ttl.text)
        kind = rr.type_from_text(record.kind.text)
    except (ValueError, InputError) as error:
        raise Misread(words[0].start, f"$GENERATE: {error}") from error
    right = body.text.replace(r"\"", '"') if body.quoted else body.text
    for number in numbers:
        yield Generated(_fill(record.owner.text, number, record.owner), ttl, kind, _fill(right, number, body))


def _range(word: Word) -> range:
    found = _RANGE.match(word.text)
    first, last, step = (int(part or 1) for part in found.groups()) if found else (1, 0, 1)
    if first > last or not step:
        raise Misread(word.start, f"$GENERATE: no range: {word.text!r}; one looks like 1-100 or 0-10/2")
    numbers = range(first, last + 1, step)
    if len(numbers) > _MOST:
        raise Misread(word.start, f"$GENERATE: {len(numbers)} records from one line; at most {_MOST} are read")
    return numbers


def _fill(template: str, number: int, word: Word) -> str:
    """The template with each `$` and `${offset,width,base}` replaced; `$$` is a dollar sign."""

    def fill(found: re.Match[str]) -> str:
        escaped, dollar, modifier, plain = found.groups()
        if escaped is not None:
            return escaped
        if dollar is not None:
            return "$"
        if plain is not None:
            return str(number)
        parts = _MODIFIER.match(modifier)
        if parts is None:
            raise Misread(
                word.start, f"$GENERATE: ${{{modifier}}}: expected ${{offset,width,base}} with a base of doxXnN"
            )
        return _number(number + int(parts[1]), int(parts[2] or 0), parts[3] or "d")

    return _MARK.sub(fill, template)


def _number(value: int, width: int, base: str) -> str:
    if base in "nN":
        return _nibbles(value, width, "0123456789ABCDEF" if base == "N" else "0123456789abcdef")
    return f"{value:0{width}{base}}"


def _nibbles(value: int, width: int, digits: str) -> str:
    """Hexadecimal digits, lowest first, each a label; `width` counts digits and dots, as BIND does."""
    text = digits[value & 15]
    value >>= 4
    while value > 0 or len(text) < width:
        text += "."
        if value > 0 or len(text) < width:
            text += digits[value & 15]
            value >>= 4
    return text
