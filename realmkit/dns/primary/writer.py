"""Writing DNS messages: records after one another, names made short by pointers (RFC 1035 section 4.1.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.wire import IN, OPT, Record

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3
REACH: Final = 0x4000  # a pointer has fourteen bits
COMPRESSIBLE: Final = {rr.NS: 0, rr.CNAME: 0, rr.PTR: 0, rr.MX: 2}  # type -> octets before the name

_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")


class Writer:
    """Writes one message, sections in their order, names compressed against those before them.

    A pointer reaches the first 16,384 octets only; the question's name (in an UPDATE: the zone) is always in reach.
    Names inside rdata are compressed for the types of RFC 1035 alone, as RFC 3597 section 4 asks.

    Args:
        id: the message's id.
        flags: the 16 bits of the header.
    """

    def __init__(self, id: int, flags: int) -> None:  # noqa: A002 - RFC 1035's word
        self._head = (id, flags)
        self._counts = [0, 0, 0, 0]
        self._body = bytearray(12)
        self._names: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._body)

    def question(self, name: Name, type: Type, class_: int = IN) -> None:  # noqa: A002 - RFC 1035's word
        """Add the question; in an UPDATE, the zone (RFC 2136 section 2.3)."""
        self._counts[0] += 1
        self._name(name)
        self._body += struct.pack("!HH", type, class_)

    def record(self, section: int, record: Record, class_: int = IN) -> None:
        """Add a record to `ANSWER`, `AUTHORITY` or `ADDITIONAL`; sections must not go back.

        Raises:
            ValueError: a later section has been begun already.
        """
        if any(self._counts[section + 1 :]):
            raise ValueError("sections are written in their order")
        self._counts[section] += 1
        self._name(record.name)
        self._body += _RECORD.pack(record.type, class_, record.ttl, 0)
        start = len(self._body)
        before = COMPRESSIBLE.get(record.type)
        if before is None or not record.rdata:
            self._body += record.rdata
        else:
            self._body += record.rdata[:before]
            self._name(record.rdata[before:])
        self._body[start - 2 : start] = (len(self._body) - start).to_bytes(2, "big")

    def opt(self, payload: int, extended_rcode: int = 0) -> None:
        """Add an EDNS OPT record to the additional section (RFC 6891 section 6.1.2)."""
        self.record(ADDITIONAL, Record(names.ROOT, OPT, extended_rcode << 24, b""), payload)

    def to_bytes(self) -> bytes:
        """The message as it stands."""
        self._body[:12] = _HEADER.pack(*self._head, *self._counts)
        return bytes(self._body)

    def _name(self, name: Name) -> None:
        rest = name
        while rest != names.ROOT:
            target = self._names.get(rest)
            if target is not None:
                self._body += (0xC000 | target).to_bytes(2, "big")
                return
            if len(self._body) < REACH:
                self._names[rest] = len(self._body)
            cut = 1 + rest[0]
            self._body += rest[:cut]
            rest = rest[cut:]
        self._body += names.ROOT
