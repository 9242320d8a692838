"""What a correct authoritative server answers from a zone, worked out from a snapshot without asking anybody.

The rules are RFC 1034 section 4.3.2 with the wildcards of RFC 4592: a wildcard speaks only for names whose closest
encloser is its parent. A name that merely lies above another one (an empty non-terminal) exists, and so ends the
wildcard for itself and for all that is below it. One SRV or ACME record under a realm is enough to do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Type, Zone

ANY: Final = 255
DNAME: Final = 39
# Kept by the signer; a hash that owns an NSEC3 record is no name that anybody can ask for (RFC 5155 section 7.2.8).
_UNSEEN: Final = frozenset({rr.NSEC3, rr.RRSIG})


class Kind(StrEnum):
    """The seven ways in which a server can answer from a zone."""

    FOUND = "found"
    CNAME = "cname"
    DNAME = "dname"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    DELEGATED = "delegated"
    OUTSIDE = "outside"


class Answer(Struct, frozen=True, gc=False):
    """What a zone says about one name and type.

    Attributes:
        kind: which of the seven.
        name: the name that was asked for.
        source: the node that the answer comes from: the name itself, the wildcard that speaks for it, the DNAME
            above it, the zone cut above it; for NXDOMAIN the closest encloser, for a foreign name the apex.
        rrset: the set as the zone holds it, owned by `source`: what was asked for, the CNAME or DNAME in its
            place, or the NS set of the cut. None where there is nothing.
    """

    kind: Kind
    name: Name
    source: Name
    rrset: RRset | None = None

    @property
    def by_wildcard(self) -> bool:
        """Whether a wildcard speaks for the name (with data, or by lacking the type)."""
        return self.source != self.name and self.kind in (Kind.FOUND, Kind.CNAME, Kind.NODATA)

    @property
    def target(self) -> Name | None:
        """Where a CNAME or DNAME leads; for a DNAME the name with its end replaced, None if that is too long."""
        if self.rrset is None or self.kind not in (Kind.CNAME, Kind.DNAME):
            return None
        target = min(self.rrset.rdata)
        if self.kind is Kind.DNAME:
            target = self.name[: len(self.name) - len(self.source)] + target
        return target if len(target) <= 255 else None


class ZoneIndex(Struct, frozen=True):
    """A zone with its names worked out, so that many questions can be answered.

    Attributes:
        zone: the snapshot.
        nodes: every name that exists, with the types it owns; an empty non-terminal owns none.
        cuts: names below the apex with an NS set, where the zone's authority ends.
        dnames: names with a DNAME, below which nothing else is seen.
    """

    zone: Zone
    nodes: Mapping[Name, tuple[Type, ...]]
    cuts: frozenset[Name]
    dnames: frozenset[Name]

    @classmethod
    def of(cls, zone: Zone) -> ZoneIndex:
        """Index a zone. What does not lie in it by its name is passed over."""
        apex = zone.name
        nodes: dict[Name, tuple[Type, ...]] = {apex: ()}
        for name, kind in zone.rrsets:
            types = nodes.get(name)
            if types is not None:
                nodes[name] = (*types, kind)
            elif kind not in _UNSEEN and names.is_under(name, apex):
                nodes[name] = (kind,)
                above = names.parent(name)
                while above not in nodes:
                    nodes[above] = ()
                    above = names.parent(above)
        cuts = frozenset(name for name, kind in zone.rrsets if kind == rr.NS and name != apex)
        return cls(zone, nodes, cuts, frozenset(name for name, kind in zone.rrsets if kind == DNAME))

    def is_empty_nonterminal(self, name: Name) -> bool:
        """Whether the name exists only because something lies below it (RFC 4592 section 2.2.2)."""
        return self.nodes.get(name) == () and name != self.zone.name

    def closest_encloser(self, name: Name) -> Name:
        """The longest existing name at or above `name`, which must lie in the zone (RFC 4592 section 3.3.1)."""
        while name not in self.nodes:
            name = names.parent(name)
        return name


def lookup(index: ZoneIndex, name: Name, kind: Type) -> Answer:
    """What a server authoritative for the zone answers; neither CNAME nor referral is followed.

    Args:
        index: the zone.
        name: the name asked for, canonical.
        kind: the RR type asked for. `ANY` gives one of the sets that are there (RFC 8482 section 4.1).
    """
    apex = index.zone.name
    if not names.is_under(name, apex):
        return Answer(Kind.OUTSIDE, name, apex)
    if index.cuts or index.dnames:
        barrier = _barrier(index, name, kind)
        if barrier is not None:
            return barrier
    if name in index.nodes:
        return _at(index, name, name, kind)
    encloser = index.closest_encloser(name)
    wildcard = names.wildcard_of(encloser)
    if wildcard in index.nodes:
        return _at(index, name, wildcard, kind)
    return Answer(Kind.NXDOMAIN, name, encloser)


def glue(index: ZoneIndex, servers: RRset) -> list[RRset]:
    """The address sets that the zone holds for the targets of an NS set, those hidden by the cut among them."""
    rrsets = index.zone.rrsets
    found = (rrsets.get((target, kind)) for target in sorted(servers.rdata) for kind in (rr.A, rr.AAAA))
    return [rrset for rrset in found if rrset is not None]


def _barrier(index: ZoneIndex, name: Name, kind: Type) -> Answer | None:
    """The topmost zone cut at or above the name, or DNAME above it, behind which the zone says nothing.

    The cut itself is the child's, except for its DS, which the parent holds (RFC 4035 section 3.1.4.1).
    """
    found = None
    above = name
    while above != index.zone.name:
        if above in index.cuts and not (above == name and kind == rr.DS):
            found = Answer(Kind.DELEGATED, name, above, index.zone.rrsets[above, rr.NS])
        elif above in index.dnames and above != name:
            found = Answer(Kind.DNAME, name, above, index.zone.rrsets[above, DNAME])
        above = names.parent(above)
    if above in index.dnames and above != name:
        found = Answer(Kind.DNAME, name, above, index.zone.rrsets[above, DNAME])
    return found


def _at(index: ZoneIndex, name: Name, source: Name, kind: Type) -> Answer:
    """The answer of one node for `name`: the node of that name, or the wildcard that speaks for it."""
    rrsets = index.zone.rrsets
    if kind == ANY and index.nodes[source]:
        kind = min(index.nodes[source])
    rrset = rrsets.get((source, kind))
    if rrset is not None:
        return Answer(Kind.FOUND, name, source, rrset)
    alias = rrsets.get((source, rr.CNAME))
    if alias is not None:
        return Answer(Kind.CNAME, name, source, alias)
    return Answer(Kind.NODATA, name, source)
