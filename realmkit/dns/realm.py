"""From a realm and the platform's edge to the RRsets that should be in DNS.

Two shapes. *Explicit*: the realm has its own complete set (A and AAAA, MX, NAPTR for every transport, an SRV set for
each). *Shared*: a wildcard with A, MX and NAPTR serves every realm below it, and the NAPTRs lead to one SRV set at
the wildcard's parent, so that a realm costs no record at all. (RFC 3263 section 4, RFC 2782, RFC 3403, RFC 4592.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realmkit.dns.records import Key

# transport -> NAPTR service (RFC 3263 section 4.1) and the service labels of its SRV set (section 4.2)
SERVICES: Final = {
    "udp": (b"SIP+D2U", "_sip._udp"),
    "tcp": (b"SIP+D2T", "_sip._tcp"),
    "tls": (b"SIPS+D2T", "_sips._tcp"),
}
_NAPTR_ORDER_STEP: Final = 10
_NAPTR_PREFERENCE: Final = 100


class Target(Struct, frozen=True):
    """A host that SRV records lead to.

    Attributes:
        host: its name.
        addresses: type and rdata of each address; empty when they are not known yet.
        priority: lower is tried first (RFC 2782).
        weight: share among targets of equal priority.
    """

    host: Name
    addresses: tuple[tuple[Type, bytes], ...]
    priority: int
    weight: int


class Edge(Struct, frozen=True):
    """Where a realm's records point.

    Attributes:
        targets: the proxies.
        transports: transport and port, in the order in which phones should prefer them.
        mail: preference and host of each mail host that takes fax mail.
    """

    targets: tuple[Target, ...]
    transports: tuple[tuple[str, int], ...]
    mail: tuple[tuple[int, Name], ...]


class Realm(Struct, frozen=True):
    """A realm as its records see it.

    Attributes:
        name: the realm, or for a shared pool the wildcard `*.parent`.
        shared: whether it is served by its parent's wildcard.
        ttl: seconds.
    """

    name: Name
    shared: bool
    ttl: int

    @property
    def parent(self) -> Name:
        """Where a shared realm's SRV set stands."""
        return names.parent(self.name)


class WhiteLabelHost(Struct, frozen=True):
    """One name of a white-label domain: any of an alias, addresses, mail, or a proxy behind NAPTR and SRV."""

    name: Name
    ttl: int
    cname: Name | None = None
    addresses: tuple[tuple[Type, bytes], ...] = ()
    mail: tuple[tuple[int, Name], ...] = ()
    transports: tuple[tuple[str, int], ...] = ()
    targets: tuple[Target, ...] = ()


class Shape:
    """What every realm of one edge has in common, worked out once; only the NAPTR set differs from realm to realm.

    Args:
        edge: where the records point.
    """

    def __init__(self, edge: Edge) -> None:
        addresses = {one for target in edge.targets for one in target.addresses}
        self._fixed = [*_addresses(names.ROOT, 0, addresses), *_mail(names.ROOT, 0, edge.mail)]
        self._services = _services(edge.transports, edge.targets)

    def derive(self, realm: Realm) -> list[RRset]:
        """The RRsets that `realm` needs; for a shared one those of its whole pool."""
        owner, base = (names.wildcard_of(realm.parent), realm.parent) if realm.shared else (realm.name,) * 2
        ttl = realm.ttl
        fixed = [RRset(owner, one.type, ttl, one.rdata) for one in self._fixed]
        return fixed + _service(owner, base, ttl, self._services)


def derive_host(host: WhiteLabelHost) -> list[RRset]:
    """The RRsets of one white-label name."""
    if host.cname is not None:
        return [RRset(host.name, rr.CNAME, host.ttl, frozenset({host.cname}))]
    return [
        *_addresses(host.name, host.ttl, set(host.addresses)),
        *_mail(host.name, host.ttl, host.mail),
        *_service(host.name, host.name, host.ttl, _services(host.transports, host.targets)),
    ]


def collect(rrsets: Iterable[RRset]) -> tuple[dict[Key, RRset], list[tuple[RRset, RRset]]]:
    """RRsets by key, and the pairs that claim one key with different content."""
    wanted: dict[Key, RRset] = {}
    clashes = []
    for rrset in rrsets:
        other = wanted.setdefault((rrset.name, rrset.type), rrset)
        if other is not rrset and other != rrset:
            clashes.append((other, rrset))
    return wanted, clashes


def with_ttl(wanted: Mapping[Key, RRset], ttl: int) -> dict[Key, RRset]:
    """The same RRsets with another TTL, as before and after a migration."""
    return {key: RRset(rrset.name, rrset.type, ttl, rrset.rdata) for key, rrset in wanted.items()}


def _addresses(owner: Name, ttl: int, addresses: set[tuple[Type, bytes]]) -> list[RRset]:
    return [
        RRset(owner, family, ttl, frozenset(found))
        for family in (rr.A, rr.AAAA)
        if (found := [octets for kind, octets in addresses if kind == family])
    ]


def _mail(owner: Name, ttl: int, mail: Iterable[tuple[int, Name]]) -> list[RRset]:
    exchanges = frozenset(preference.to_bytes(2, "big") + host for preference, host in mail)
    return [RRset(owner, rr.MX, ttl, exchanges)] if exchanges else []


class _Service(NamedTuple):
    """One transport: what its NAPTR says before the replacement, its SRV labels, and its SRV set's rdata."""

    naptr: bytes
    labels: bytes
    srv: frozenset[bytes]


def _services(transports: tuple[tuple[str, int], ...], targets: tuple[Target, ...]) -> list[_Service]:
    """NAPTR and SRV of each transport, preferred ones first.

    Preferred transports get a lower *order*, as in RFC 3263's example: clients that read only the first NAPTR
    (Kamailio did) and those that sort by order alone then agree with those that do it all.
    """
    if not targets:
        return []
    return [
        _Service(
            _naptr(position * _NAPTR_ORDER_STEP, SERVICES[transport][0]),
            names.from_text(SERVICES[transport][1], b""),
            frozenset(_srv(target, port) for target in targets),
        )
        for position, (transport, port) in enumerate(transports, start=1)
    ]


def _service(owner: Name, base: Name, ttl: int, services: list[_Service]) -> list[RRset]:
    """NAPTR at `owner`, and below `base` the SRV sets that it leads to."""
    if not services:
        return []
    pointers = frozenset([one.naptr + one.labels + base for one in services])
    sets = [RRset(one.labels + base, rr.SRV, ttl, one.srv) for one in services]
    return [RRset(owner, rr.NAPTR, ttl, pointers), *sets]


def _naptr(order: int, service: bytes) -> bytes:
    numbers = order.to_bytes(2, "big") + _NAPTR_PREFERENCE.to_bytes(2, "big")
    return numbers + b"\x01S" + rdata.character_string(service) + b"\0"


def _srv(target: Target, port: int) -> bytes:
    numbers = (target.priority, target.weight, port)
    return b"".join(number.to_bytes(2, "big") for number in numbers) + target.host
