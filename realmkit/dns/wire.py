"""DNS messages: bytes to records (RFC 1035 section 4, RFC 3597, RFC 6891), without a class per record.

A check of twenty thousand realms reads a hundred thousand answers, and a zone transfer as many records, so reading
is a flat walk over the octets: five to ten microseconds a message, where a full object model takes a hundred or more.
Rdata leaves here in the canonical form that the rest of realmkit compares: no compression, names in lower case.

Whatever is wrong with a message, and whoever sent it, the one error is `BadMessageError`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns.walk import IN, BadMessageError, Record, read_name, read_records, skip_name

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

__all__ = [
    "parse", "parse_answer", "read_answers", "read_name", "read_records", "skip_name", "query", "rcode_to_text",
    "Message", "Record", "BadMessageError", "IN", "NONE", "ANY", "QR", "AA", "TC", "RD", "RA", "AD", "OPT", "TSIG",
    "IXFR", "AXFR", "EDE", "MAX_MESSAGE", "OPCODE_UPDATE", "RCODES", "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
    "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
]  # fmt: skip

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, YXRRSET, NXRRSET, NOTAUTH, NOTZONE = range(11)
RCODES: Final = dict(enumerate((
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", "DSOTYPENI",
))) | {16: "BADVERS", 23: "BADCOOKIE"}  # fmt: skip
QR, AA, TC, RD, RA, AD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020
OPCODE_UPDATE: Final = 0x2800
NONE, ANY = 254, 255  # classes
OPT, TSIG, IXFR, AXFR = 41, 250, 251, 252
MAX_MESSAGE: Final = 65535
EDE: Final = 15  # the EDNS option of extended errors (RFC 8914 section 2)

_HEADER: Final = struct.Struct("!HHHHHH")
_unpack_header = _HEADER.unpack_from
_new_tuple: Final = tuple.__new__  # half the cost of a NamedTuple's own constructor


class Message(NamedTuple):
    """A message, read.

    Attributes:
        id: as sent.
        flags: the 16 bits of the header; above them, the upper bits of an EDNS extended rcode.
        question: name (in lower case) and type; None if there is none or it is of a class other than IN.
        answer: records of class IN; in an UPDATE (RFC 2136) the prerequisites.
        authority: likewise; in an UPDATE the updates.
        additional: likewise. OPT and TSIG are of other classes and so not here.
        opt: the OPT record from its class on, as it was sent (RFC 6891 section 6.1.2); None without EDNS.
    """

    id: int
    flags: int
    question: tuple[Name, Type] | None
    answer: list[Record]
    authority: list[Record]
    additional: list[Record]
    opt: bytes | None = None

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

    @property
    def ad(self) -> bool:
        """Whether a resolver says that it has validated all of it (RFC 4035 section 3.2.3)."""
        return self.flags & AD != 0

    @property
    def do(self) -> bool:
        """Whether signatures were asked for, as an answer repeats it (RFC 3225)."""
        return self.opt is not None and self.opt[4] & 0x80 != 0

    @property
    def ede(self) -> tuple[tuple[int, str], ...]:
        """Extended errors: code and text of each (RFC 8914); what is no text in them is replaced."""
        return tuple(
            (int.from_bytes(value[:2], "big"), value[2:].rstrip(b"\0").decode("utf-8", "replace"))
            for code, value in _options(self.opt or b"")
            if code == EDE and len(value) >= 2
        )


def _options(opt: bytes) -> list[tuple[int, bytes]]:
    """Code and value of each EDNS option, as far as they can be read."""
    found = []
    offset = 8  # after class, TTL and length
    while offset + 4 <= len(opt):
        code, length = opt[offset] << 8 | opt[offset + 1], opt[offset + 2] << 8 | opt[offset + 3]
        offset += 4 + length
        if offset > len(opt):
            break
        found.append((code, opt[offset - length : offset]))
    return found


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
        cache: dict[int, Name] = {}
        question, offset = _question(message, message[4] << 8 | message[5], cache)
        return _rest(message, question, offset, cache)
    except (IndexError, struct.error):
        raise BadMessageError(f"the message of {len(message)} octets is cut short") from None


def parse_answer(message: bytes, name: Name, kind: Type) -> Message:
    """Read a whole message that is known to hold the question for a (canonical) name and type, in whatever case.

    Raises:
        BadMessageError: as `parse`.
    """
    if message[4:6] != b"\0\1":
        raise BadMessageError("it says that it holds no question, or several")
    try:
        return _rest(message, (name, kind), 16 + len(name), {12: name})
    except (IndexError, struct.error):
        raise BadMessageError(f"the message of {len(message)} octets is cut short") from None


def _rest(message: bytes, question: tuple[Name, Type] | None, offset: int, cache: dict[int, Name]) -> Message:
    """Read what follows the question: all sections in one go, for the start of a walk costs as much as a record.

    Raises:
        BadMessageError, IndexError, struct.error: it is malformed or cut short.
    """
    ident, flags, _, answers, authorities, additionals = _unpack_header(message)
    total, end, opt = answers + authorities + additionals, len(message), None
    if additionals and message[end - 11 : end - 8] == b"\0\0\x29" and message[-2:] == b"\0\0":  # bare OPT, as usual
        total -= 1
        end -= 11
        opt = message[end + 3 :]
    start = offset
    found, offset = read_records(message, offset, total, cache)
    if offset != end or len(found) != total:
        return _by_sections(message, question, start, cache)
    if opt is not None:
        flags |= opt[2] << 16
    behind = answers + authorities
    if behind == total:
        if not authorities:
            return _new_tuple(Message, (ident, flags, question, found, [], [], opt))
        return _new_tuple(Message, (ident, flags, question, found[:answers], found[answers:], [], opt))
    sections = found[:answers], found[answers:behind], found[behind:]
    return _new_tuple(Message, (ident, flags, question, *sections, opt))


def _by_sections(message: bytes, question: tuple[Name, Type] | None, offset: int, cache: dict[int, Name]) -> Message:
    """Read section by section, where records of other classes are among them. Raises as `_rest`."""
    ident, flags, _, answers, authorities, additionals = _unpack_header(message)
    answer, offset = read_records(message, offset, answers, cache)
    authority, offset = read_records(message, offset, authorities, cache)
    cache.pop(-OPT, None)
    additional, offset = read_records(message, offset, additionals, cache)
    if offset != len(message):
        raise BadMessageError(f"{len(message) - offset} octets are left over after the last record")
    opt = cache.get(-OPT)
    if opt is not None:
        flags |= opt[2] << 16
    return Message(ident, flags, question, answer, authority, additional, opt)


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


def _question(message: bytes, count: int, cache: dict[int, Name]) -> tuple[tuple[Name, Type] | None, int]:
    if not count:
        return None, 12
    if count > 1:
        raise BadMessageError(f"{count} questions in one message (RFC 9619 allows one)")
    name, offset = read_name(message, 12, cache)
    kind, class_ = message[offset] << 8 | message[offset + 1], message[offset + 2] << 8 | message[offset + 3]
    return ((name, kind) if class_ == IN else None), offset + 4


# --- asking --------------------------------------------------------------------------------------------------


def query(
    name: Name,
    type: Type,  # noqa: A002 - RFC 1035's word
    *,
    payload: int | None = 1232,
    rd: bool = False,
    dnssec: bool = False,
) -> bytes:
    """A query without its id: the caller puts two random octets before it.

    Args:
        name: what is asked about; its case is sent as it is.
        type: RR type code.
        payload: the largest answer that is taken over UDP, told by EDNS (RFC 6891); None sends no EDNS.
        rd: ask for recursion. An authoritative server is asked without.
        dnssec: ask for signatures too; nothing without EDNS.
    """
    head = b"\1\0" if rd else b"\0\0"
    if payload is None:
        return b"%b\0\1\0\0\0\0\0\0%b%b\0\1" % (head, name, type.to_bytes(2, "big"))
    opt = b"\0\0\x29%b\0\0%b\0\0\0" % (payload.to_bytes(2, "big"), b"\x80" if dnssec else b"\0")
    return b"%b\0\1\0\0\0\0\0\1%b%b\0\1%b" % (head, name, type.to_bytes(2, "big"), opt)
