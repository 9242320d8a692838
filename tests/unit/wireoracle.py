"""DNS messages as dnspython reads them, in the terms of `realmkit.dns.wire`: what our reader is held against."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import dns.message
import dns.rdataclass

from realmkit.dns import wire
from realmkit.dns.wire import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dns.rrset


def as_records(section: Sequence[dns.rrset.RRset]) -> list[Record]:
    return [
        Record(rrset.name.to_digestable(), int(rrset.rdtype), rrset.ttl, rdata.to_digestable())
        for rrset in section
        for rdata in rrset
        if rrset.rdclass == dns.rdataclass.IN
    ]


def read_by_dnspython(octets: bytes) -> wire.Message:
    message = dns.message.from_wire(octets, one_rr_per_rrset=True, continue_on_error=False)
    asked = message.question[0] if message.question else None
    question = (asked.name.to_digestable(), int(asked.rdtype)) if asked is not None and asked.rdclass == 1 else None
    flags = int(message.flags) | message.rcode() & 0xF | (message.rcode() & 0xFF0) << 12
    answer, authority, additional = (as_records(one) for one in (message.answer, message.authority, message.additional))
    return wire.Message(message.id, flags, question, answer, authority, additional, opt_of(message))


def opt_of(message: dns.message.Message) -> bytes | None:
    """The OPT record as dnspython read it, from its class on."""
    if message.edns < 0:
        return None
    options = b"".join(struct.pack("!HH", one.otype, len(one.to_wire())) + one.to_wire() for one in message.options)
    return struct.pack("!HIH", message.payload, message.ednsflags, len(options)) + options


# Where the two may differ, and why; everything else is a fault of one of them.
OLD_TYPES = "dnspython takes MD, MF, MB, MG, MR and MINFO for opaque, RFC 3597 section 4 wants their names read"
NEW_TYPES = "we leave names in types after RFC 3597 as they are sent, dnspython lowers those of RFC 4034 section 6.2"
OPTIONS = "dnspython keeps EDNS options as it understands them: an extended error loses its final null"
_OLD = {3, 4, 7, 8, 9, 14}
_READ = {1, 2, 5, 6, 12, 15, 16, 17, 18, 21, 26, 28, 33, 35, 36, 39, 257}  # those whose layout we know


def differences(ours: wire.Message, theirs: wire.Message) -> set[str]:
    """In what two readings of a message differ; the classes above, or else words with both readings."""
    found = set()
    if ours[:3] != theirs[:3]:
        found.add(f"{ours[:3]} against {theirs[:3]}")
    if ours.opt != theirs.opt:
        alike = ours.opt is not None and theirs.opt is not None and ours.opt[:6] == theirs.opt[:6]
        found.add(OPTIONS if alike and len(ours.opt or b"") > 8 else f"OPT {ours.opt!r} against {theirs.opt!r}")
    pairs = ((ours.answer, theirs.answer), (ours.authority, theirs.authority), (ours.additional, theirs.additional))
    for mine, other in pairs:
        if len(mine) != len(other):
            found.add(f"{len(mine)} records against {len(other)}")
        found.update(_difference(a, b) for a, b in zip(mine, other, strict=False) if a != b)
    return found


def _difference(ours: Record, theirs: Record) -> str:
    if ours[:3] == theirs[:3]:
        if ours.type in _OLD:
            return OLD_TYPES
        if ours.type not in _READ and ours.rdata.lower() == theirs.rdata.lower():
            return NEW_TYPES
    return f"{ours} against {theirs}"
