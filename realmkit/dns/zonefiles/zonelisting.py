"""A zone as the text of a zone file, made anew: for people, for export, and for another server to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names, rdata
from realmkit.dns.records import SOA, type_to_text

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset, Zone


def zone_text(zone: Zone) -> str:
    """A zone as a zone file, its SOA first."""
    order = sorted(zone.rrsets, key=lambda key: (key != (zone.name, SOA), names.labels_of(key[0])[::-1], key[1]))
    head = [f"; {names.to_text(zone.name)} serial {zone.serial}", f"$ORIGIN {names.to_text(zone.name)}"]
    head += [f"; not shown: {text}" for text in zone.unread]
    return "\n".join(head + [line for key in order for line in _rrset_lines(zone.rrsets[key], zone.name)])


def _rrset_lines(rrset: RRset, zone: Name) -> list[str]:
    """An RRset as lines of a zone file."""
    owner = names.relative_text(rrset.name, zone)
    return sorted(
        f"{owner:32} {rrset.ttl:>7} IN {type_to_text(rrset.type):8} {rdata.to_text(rrset.type, one)}"
        for one in rrset.rdata
    )
