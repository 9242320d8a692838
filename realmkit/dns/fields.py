"""The fields of canonical rdata that say where phones and mail go, and how long an absence is remembered."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.dns import records as rr

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset, Type

_TARGET_AT: Final[dict[Type, int]] = {rr.SRV: 6, rr.MX: 2}  # octets before the host


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403 section 4.1)."""

    order: int
    preference: int
    flags: bytes
    service: bytes
    regexp: bytes
    replacement: Name


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: Name


def naptr(one: bytes) -> Naptr:
    """The fields of a NAPTR record; its strings in the case in which they are written."""
    parts = []
    offset = 4
    for _ in range(3):
        end = offset + 1 + one[offset]
        parts.append(one[offset + 1 : end])
        offset = end
    order, preference = struct.unpack("!HH", one[:4])
    return Naptr(order, preference, parts[0], parts[1], parts[2], one[offset:])


def srv(one: bytes) -> Srv:
    """The fields of an SRV record."""
    priority, weight, port = struct.unpack("!HHH", one[:6])
    return Srv(priority, weight, port, one[6:])


def replacements(rrset: RRset) -> list[Name]:
    """Where the records of a NAPTR set lead, as far as they lead to a name."""
    return [name for one in rrset.rdata if (name := naptr(one).replacement) != names.ROOT]


def targets(rrset: RRset) -> list[Name]:
    """The hosts that an SRV or MX set leads to; `.` is none (RFC 2782, RFC 7505). Sets of other types lead to none."""
    at = _TARGET_AT.get(rrset.type)
    return [] if at is None else [one[at:] for one in rrset.rdata if one[at:] != names.ROOT]


def negative_ttl(ttl: int, soa: bytes) -> int:
    """Seconds that an absence may be remembered: the lower of the SOA's TTL and its MINIMUM (RFC 2308 section 5)."""
    return min(ttl, int.from_bytes(soa[-4:], "big"))
