"""Records read, written and asked for with dnspython alone, so that the suite does not lean on what it tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from realmkit.dns.records import RRset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from tests.lab.server import Server

Row = tuple[str, str, int, tuple[str, ...]]


def bind(row: Row, zone: Name) -> RRset:
    """A row of `cases.py`, its relative names completed with `zone`."""
    owner, kind, ttl, texts = row
    origin = dns.name.from_wire(zone, 0)[0]
    name = dns.name.from_text(owner, origin).canonicalize()
    number = dns.rdatatype.from_text(kind)
    rdatas = [dns.rdata.from_text("IN", number, text, origin, relativize=False) for text in texts]
    wires = frozenset(one.to_digestable() for one in rdatas)
    assert len(wires) == len(texts)
    return RRset(name.to_wire() or b"", int(number), ttl, wires)


def texts(rrset: RRset) -> list[str]:
    """Its rdata as zone file text, absolute names, sorted."""
    return sorted(
        dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrset.type), wire, 0, len(wire)).to_text()
        for wire in rrset.rdata
    )


def type_text(kind: Type) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))


def name_text(name: Name) -> str:
    return dns.name.from_wire(name, 0)[0].to_text()


def zone_lines(rrsets: Iterable[RRset]) -> str:
    """Lines of a zone file."""
    return "\n".join(
        f"{name_text(rrset.name)} {rrset.ttl} IN {type_text(rrset.type)} {text}"
        for rrset in rrsets
        for text in texts(rrset)
    )


def live_rrset(server: Server, name: Name, kind: Type) -> RRset | None:
    """What a server answers for a name and type; None for no data and no such name.

    Raises:
        AssertionError: it answered something else, or without authority.
    """
    message = server.query(name_text(name), type_text(kind))
    assert message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), dns.rcode.to_text(message.rcode())
    owner = dns.name.from_wire(name, 0)[0]
    for section in (message.answer, message.authority):  # NS below the apex stand in a referral
        for rrset in section:
            if (rrset.name, int(rrset.rdtype)) == (owner, kind):
                assert section is message.authority or message.flags & dns.flags.AA
                return RRset(name, kind, rrset.ttl, frozenset(rdata.to_digestable() for rdata in rrset))
    return None
