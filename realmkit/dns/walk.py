"""Records and names out of the octets of a DNS message (RFC 1035 section 4.1, RFC 3597), in one flat walk.

Names are read in a loop, compression pointers must lead strictly backward, and no octet beyond a record's own length
is used for it. Rdata leaves here in canonical form: no compression, names in lower case.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import records as rr

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

IN: Final = 1  # the class
_RECORD: Final = struct.Struct("!HHIH")
_POINTED: Final = struct.Struct("!HHHIH")  # a record whose owner is a pointer
_unpack_record, _unpack_pointed = _RECORD.unpack_from, _POINTED.unpack_from
_MAX_HOPS: Final = 127  # a name has at most 127 labels, and a pointer is only worth having before one


class BadMessageError(ValueError):
    """The octets are no DNS message. Every kind of malformation is this one error."""


class Record(NamedTuple):
    """One record of class IN: owner and rdata canonical, TTL in seconds."""

    name: Name
    type: Type
    ttl: int
    rdata: bytes


def read_records(message: bytes, offset: int, count: int, cache: dict[int, Name]) -> tuple[list[Record], int]:
    """Read `count` records from `offset` on; `cache` holds the names met so far by their offset.

    This is the loop in which all the time goes: what looks unrolled is so on purpose.

    Returns:
        The records of class IN, and the offset after the last record of any class. A record of another class, from
        its class on, is left in `cache` under minus its type.

    Raises:
        BadMessageError, IndexError, struct.error: it is malformed or cut short.
    """
    found: list[Record] = []
    append, pointed, unpack, new, known = found.append, _unpack_pointed, _unpack_record, tuple.__new__, cache.get
    layout, size = _LAYOUTS.get, len(message)
    for _ in range(count):
        owner = None
        if message[offset] >= 0xC0:
            pointer, kind, class_, ttl, length = pointed(message, offset)
            owner = known(pointer & 0x3FFF)
            start = offset + 12
        if owner is None:
            owner, offset = read_name(message, offset, cache)
            kind, class_, ttl, length = unpack(message, offset)
            start = offset + 10
        offset = start + length
        if offset > size:
            raise BadMessageError(f"the rdata at octet {start} runs over the end")
        if class_ != IN:
            cache[-kind] = message[start - 8 : offset]
            continue
        how = layout(kind)
        if how is None or how == ~length:
            rdata = message[start:offset]
        elif isinstance(how, int):
            if how < 0:
                raise _misshapen(kind, start)
            name, end = read_name(message, start + how, cache)
            if end != offset:
                raise _misshapen(kind, start)
            rdata = message[start : start + how] + name
        else:
            rdata = how(message, start, offset, cache)
        append(new(Record, (owner, kind, ttl if ttl < 0x80000000 else 0, rdata)))  # RFC 2181 section 8
    return found, offset


def read_name(message: bytes, start: int, cache: dict[int, Name]) -> tuple[Name, int]:
    """Read the name at `start`, compressed or not, and put it into `cache`.

    Returns:
        The name in canonical form, and the offset after it.

    Raises:
        BadMessageError, IndexError: it is malformed or cut short.
    """
    offset = start
    while length := message[offset]:
        if length >= 0x40:
            tail = cache.get((length & 0x3F) << 8 | message[offset + 1]) if length >= 0xC0 else None
            if tail is None:
                return _read_new_pointer(message, start, cache)
            name = message[start:offset].lower() + tail
            offset += 2
            break
        offset += 1 + length
    else:
        offset += 1
        name = message[start:offset].lower()
    if len(name) > 255:
        raise BadMessageError(f"the name at octet {start} is longer than 255 octets")
    cache[start] = name
    return name, offset


def _read_new_pointer(message: bytes, start: int, cache: dict[int, Name]) -> tuple[Name, int]:
    """Read a name with a pointer to where no name was read yet. Returns and raises as `read_name`."""
    parts: list[bytes] = []
    jumps: list[tuple[int, int]] = []  # (offset, how many octets of the name stand before it)
    offset = run = limit = start
    after = before = 0
    while length := message[offset]:
        if length < 0x40:
            offset += 1 + length
            continue
        if length < 0xC0:
            raise BadMessageError(f"a label of unknown kind at octet {offset}")
        pointer = (length & 0x3F) << 8 | message[offset + 1]
        if not 12 <= pointer < limit or len(jumps) == _MAX_HOPS:
            raise BadMessageError(f"the compression pointer at octet {offset} does not lead backward")
        after = after or offset + 2
        parts.append(message[run:offset])
        before += offset - run
        if before > 255:
            break
        jumps.append((pointer, before))
        offset = run = limit = pointer
    parts.append(message[run : offset + 1])
    name = b"".join(parts).lower()
    if len(name) > 255:
        raise BadMessageError(f"the name at octet {start} is longer than 255 octets")
    cache[start] = name
    for pointer, skipped in jumps:
        cache[pointer] = name[skipped:]
    return name, after


def skip_name(message: bytes, offset: int) -> int:
    """The offset after the name at `offset`, without following pointers. Raises as `read_name`."""
    while length := message[offset]:
        if length >= 0xC0:
            return offset + 2
        if length >= 0x40:
            raise BadMessageError(f"a label of unknown kind at octet {offset}")
        offset += 1 + length
    return offset + 1


# --- rdata that has a layout ---------------------------------------------------------------------------------


def _misshapen(kind: Type, start: int) -> BadMessageError:
    return BadMessageError(f"the rdata at octet {start} is no {rr.type_to_text(kind)}")


def _strings(message: bytes, start: int, end: int, _cache: dict[int, Name]) -> bytes:
    offset = start
    while offset < end:
        offset += 1 + message[offset]
    if offset != end or start == end:
        raise _misshapen(rr.TXT, start)
    return message[start:end]


def _tagged(message: bytes, start: int, end: int, _cache: dict[int, Name]) -> bytes:
    if end - start < 3 or not message[start + 1] or start + 2 + message[start + 1] > end:
        raise _misshapen(rr.CAA, start)
    return message[start:end]


def _two_names(kind: Type, before: int, behind: int) -> _Decoder:
    """`before` octets, two names, and `behind` octets."""

    def decode(message: bytes, start: int, end: int, cache: dict[int, Name]) -> bytes:
        first, offset = read_name(message, start + before, cache)
        second, offset = read_name(message, offset, cache)
        if end - offset != behind:
            raise _misshapen(kind, start)
        return message[start : start + before] + first + second + message[offset:end]

    return decode


def _naptr(message: bytes, start: int, end: int, cache: dict[int, Name]) -> bytes:
    offset = start + 4
    offset += 1 + message[offset]
    offset += 1 + message[offset]
    offset += 1 + message[offset]
    if offset >= end:
        raise _misshapen(rr.NAPTR, start)
    name, after = read_name(message, offset, cache)
    if after != end:
        raise _misshapen(rr.NAPTR, start)
    return message[start:offset] + name


if TYPE_CHECKING:
    _Decoder = Callable[[bytes, int, int, dict[int, Name]], bytes]
    # Octets before the rdata's last and only name; or the complement of its length; or what reads it.
    _Layout = int | _Decoder

# Names may be compressed in the types of RFC 1035, and must be read so in the others listed here (RFC 3597 section 4).
_MD, _MF, _MB, _MG, _MR, _MINFO, _RP, _AFSDB, _RT, _PX, _KX, _DNAME = 3, 4, 7, 8, 9, 14, 17, 18, 21, 26, 36, 39
_LAYOUTS: Final[dict[Type, _Layout]] = {
    **dict.fromkeys((rr.NS, rr.CNAME, rr.PTR, _MD, _MF, _MB, _MG, _MR, _DNAME), 0),
    **dict.fromkeys((rr.MX, _AFSDB, _RT, _KX), 2),
    rr.SRV: 6,
    rr.A: ~4,
    rr.AAAA: ~16,
    rr.TXT: _strings,
    rr.CAA: _tagged,
    rr.NAPTR: _naptr,
    **{kind: _two_names(kind, 0, 0) for kind in (_MINFO, _RP)},
    rr.SOA: _two_names(rr.SOA, 0, 20),
    _PX: _two_names(_PX, 2, 0),
}
