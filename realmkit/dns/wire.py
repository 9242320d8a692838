"""DNS messages: bytes to records (RFC 1035 section 4, RFC 3597, RFC 6891), without a class per record.

A check of twenty thousand realms reads a hundred thousand answers, and a zone transfer as many records, so reading
is a flat walk over the octets: five to ten microseconds a message, where a full object model takes a hundred or more.
Rdata leaves here in the canonical form that the rest of realmkit compares: no compression, names in lower case.

Whatever is wrong with a message, and whoever sent it, the one error is `BadMessageError`. Names are read in a
loop, compression pointers must lead strictly backward, and no octet beyond a record's own length is used for it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import records as rr

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE = range(11)
RCODES: Final = dict(enumerate((
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", "DSOTYPENI",
))) | {16: "BADVERS", 23: "BADCOOKIE"}  # fmt: skip
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
OPCODE_UPDATE: Final = 0x2800
IN, NONE, ANY = 1, 254, 255  # classes
OPT, TSIG, IXFR, AXFR = 41, 250, 251, 252
MAX_MESSAGE: Final = 65535

_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_unpack_header, _unpack_record = _HEADER.unpack_from, _RECORD.unpack_from
_MAX_HOPS: Final = 127  # a name has at most 127 labels, and a pointer is only worth having before one


class BadMessageError(ValueError):
    """The octets are no DNS message. Every kind of malformation is this one error."""


class Record(NamedTuple):
    """One record of class IN: owner and rdata canonical, TTL in seconds."""

    name: Name
    type: Type
    ttl: int
    rdata: bytes


class Message(NamedTuple):
    """A message, read.

    Attributes:
        id: as sent.
        flags: the 16 bits of the header; above them, the upper bits of an EDNS extended rcode.
        question: name (in lower case) and type; None if there is none or it is of a class other than IN.
        answer: records of class IN; in an UPDATE (RFC 2136) the prerequisites.
        authority: likewise; in an UPDATE the updates.
        additional: likewise. OPT and TSIG are of other classes and so not here.
    """

    id: int
    flags: int
    question: tuple[Name, Type] | None
    answer: list[Record]
    authority: list[Record]
    additional: list[Record]

    @property
    def rcode(self) -> int:
        """The response code, with EDNS's upper bits where the message has them (RFC 6891 section 6.1.3)."""
        return self.flags & 0xF | self.flags >> 12 & 0xFF0

    @property
    def aa(self) -> bool:
        """Whether the answer is authoritative."""
        return self.flags & AA != 0

    @property
    def tc(self) -> bool:
        """Whether the message was cut to fit its datagram."""
        return self.flags & TC != 0

    @property
    def is_response(self) -> bool:
        """Whether it is an answer rather than a request."""
        return self.flags & QR != 0


def rcode_to_text(rcode: int) -> str:
    """`REFUSED`, or `RCODE17` for what has no name here."""
    return RCODES.get(rcode, f"RCODE{rcode}")


# --- reading -------------------------------------------------------------------------------------------------


def parse(message: bytes) -> Message:
    """Read a whole message.

    Records of a class other than IN are stepped over: they count in the header's numbers and are checked for their
    length, nothing more. The rdata of a known type must have exactly its type's layout.

    Raises:
        BadMessageError: it is cut short, has octets left over, more than one question, a pointer that does not lead
            backward, a label or name that is too long, or rdata that is not of its type.
    """
    try:
        ident, flags, questions, answers, authorities, additionals = _unpack_header(message)
        cache: dict[int, Name] = {}
        question, offset = _question(message, questions, cache)
        answer, offset = read_records(message, offset, answers, cache)
        authority, offset = read_records(message, offset, authorities, cache)
        start = offset
        additional, offset = read_records(message, offset, additionals, cache)
        if len(additional) != additionals:
            flags |= _extended_rcode(message, start, additionals) << 16
    except (IndexError, struct.error):
        raise BadMessageError(f"the message of {len(message)} octets is cut short") from None
    if offset != len(message):
        raise BadMessageError(f"{len(message) - offset} octets are left over after the last record")
    return Message(ident, flags, question, answer, authority, additional)


def read_answers(message: bytes) -> tuple[Message, int]:
    """Read header, question and answer section only, as a zone transfer wants it.

    Returns:
        The message with empty authority and additional sections, and the offset at which the authority section
        begins, so that a signature can be looked for there.

    Raises:
        BadMessageError: as `parse`, for the part that is read.
    """
    try:
        ident, flags, questions, answers, _, _ = _unpack_header(message)
        cache: dict[int, Name] = {}
        question, offset = _question(message, questions, cache)
        answer, offset = read_records(message, offset, answers, cache)
    except (IndexError, struct.error):
        raise BadMessageError(f"the message of {len(message)} octets is cut short") from None
    return Message(ident, flags, question, answer, [], []), offset


def read_records(message: bytes, offset: int, count: int, cache: dict[int, Name]) -> tuple[list[Record], int]:
    """Read `count` records from `offset` on; `cache` holds the names met so far by their offset.

    This is the loop in which all the time goes: what looks unrolled is so on purpose.

    Returns:
        The records of class IN, and the offset after the last record of any class.

    Raises:
        BadMessageError, IndexError, struct.error: it is malformed or cut short.
    """
    found: list[Record] = []
    if not count:
        return found, offset
    append, unpack, new, known = found.append, _unpack_record, tuple.__new__, cache.get
    name_at, decoder, size = _NAME_AT.get, _DECODERS.get, len(message)
    for _ in range(count):
        owner = known((message[offset] & 0x3F) << 8 | message[offset + 1]) if message[offset] >= 0xC0 else None
        if owner is None:
            owner, offset = read_name(message, offset, cache)
        else:
            offset += 2
        kind, class_, ttl, length = unpack(message, offset)
        start = offset + 10
        offset = start + length
        if offset > size:
            raise BadMessageError(f"the rdata at octet {start} runs over the end")
        if class_ != IN:
            continue
        if ttl > 0x7FFFFFFF:
            ttl = 0  # RFC 2181 section 8
        if (before := name_at(kind)) is not None:
            name, end = read_name(message, start + before, cache)
            if end != offset:
                raise _misshapen(kind, start)
            rdata = message[start : start + before] + name
        elif (decode := decoder(kind)) is not None:
            rdata = decode(message, start, offset, cache)
        else:
            rdata = message[start:offset]
        append(new(Record, (owner, kind, ttl, rdata)))
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


def _question(message: bytes, count: int, cache: dict[int, Name]) -> tuple[tuple[Name, Type] | None, int]:
    if not count:
        return None, 12
    if count > 1:
        raise BadMessageError(f"{count} questions in one message (RFC 9619 allows one)")
    name, offset = read_name(message, 12, cache)
    kind, class_ = message[offset] << 8 | message[offset + 1], message[offset + 2] << 8 | message[offset + 3]
    return ((name, kind) if class_ == IN else None), offset + 4


def _extended_rcode(message: bytes, offset: int, count: int) -> int:
    """The upper eight bits of the rcode, from the OPT record if there is one."""
    for _ in range(count):
        offset = skip_name(message, offset)
        kind, _, ttl, length = _unpack_record(message, offset)
        if kind == OPT:
            return int(ttl) >> 24
        offset += 10 + length
    return 0


# --- rdata that has a layout ---------------------------------------------------------------------------------


def _misshapen(kind: Type, start: int) -> BadMessageError:
    return BadMessageError(f"the rdata at octet {start} is no {rr.type_to_text(kind)}")


def _fixed(kind: Type, size: int) -> _Decoder:
    def decode(message: bytes, start: int, end: int, _cache: dict[int, Name]) -> bytes:
        if end - start != size:
            raise _misshapen(kind, start)
        return message[start:end]

    return decode


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

# Names may be compressed in the types of RFC 1035, and must be read so in the others listed here (RFC 3597 section 4).
_MD, _MF, _MB, _MG, _MR, _MINFO, _RP, _AFSDB, _RT, _PX, _KX, _DNAME = 3, 4, 7, 8, 9, 14, 17, 18, 21, 26, 36, 39
_NAME_AT: Final[dict[Type, int]] = {  # rdata that ends with its only name -> octets before the name
    **dict.fromkeys((rr.NS, rr.CNAME, rr.PTR, _MD, _MF, _MB, _MG, _MR, _DNAME), 0),
    **dict.fromkeys((rr.MX, _AFSDB, _RT, _KX), 2),
    rr.SRV: 6,
}
_DECODERS: Final[dict[Type, _Decoder]] = {
    rr.A: _fixed(rr.A, 4),
    rr.AAAA: _fixed(rr.AAAA, 16),
    rr.TXT: _strings,
    rr.CAA: _tagged,
    rr.NAPTR: _naptr,
    **{kind: _two_names(kind, 0, 0) for kind in (_MINFO, _RP)},
    rr.SOA: _two_names(rr.SOA, 0, 20),
    _PX: _two_names(_PX, 2, 0),
}


# --- asking --------------------------------------------------------------------------------------------------


def query(name: Name, type: Type, *, payload: int | None = 1232, rd: bool = False) -> bytes:  # noqa: A002 - RFC 1035's word
    """A query without its id: the caller puts two random octets before it.

    Args:
        name: what is asked about; its case is sent as it is.
        type: RR type code.
        payload: the largest answer that is taken over UDP, told by EDNS (RFC 6891); None sends no EDNS.
        rd: ask for recursion. An authoritative server is asked without.
    """
    head = b"\1\0" if rd else b"\0\0"
    if payload is None:
        return b"%b\0\1\0\0\0\0\0\0%b%b\0\1" % (head, name, type.to_bytes(2, "big"))
    opt = b"\0\0\x29%b\0\0\0\0\0\0" % payload.to_bytes(2, "big")
    return b"%b\0\1\0\0\0\0\0\1%b%b\0\1%b" % (head, name, type.to_bytes(2, "big"), opt)
