"""From a realm to the addresses where a SIP client would knock: NAPTR, SRV, A and AAAA (RFC 3263 section 4).

Pure: it walks what was seen. What could not be told on the way is said apart from what is certainly not there, for
a server that kept silent proves nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from realmkit.dns import fields, names, rdata
from realmkit.dns import records as rr
from realmkit.dns.lint_records import NAPTR_SERVICES
from realmkit.dns.names import Name
from realmkit.dns.records import key_to_text
from realmkit.health.clients import FULL, Transport
from realmkit.health.seen.sip import SipTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.dns.fields import Naptr, Srv
    from realmkit.dns.records import RRset, Type
    from realmkit.health.clients import Profile
    from realmkit.health.seen.realm import HostSeen, RealmSeen, Sight, View

DEFAULT_PORT: Final[dict[Transport, int]] = {
    "udp": 5060,
    "tcp": 5060,
    "tls": 5061,
}  # RFC 3261 section 19.1.2
LABELS: Final[dict[Transport, Name]] = {
    "udp": b"\x04_sip\x04_udp", "tcp": b"\x04_sip\x04_tcp", "tls": b"\x05_sips\x04_tcp",
}  # fmt: skip
_SERVICE: Final[dict[bytes, Transport]] = {b"SIP+D2U": "udp", b"SIP+D2T": "tcp", b"SIPS+D2T": "tls"}


class Hop(NamedTuple):
    """Where a client would knock.

    Attributes:
        transport: udp, tcp or tls.
        address: numeric.
        port: of UDP or TCP.
        host: who has the address.
        through: the SRV set that led there; the realm itself where its own addresses were taken.
    """

    transport: Transport
    address: str
    port: int
    host: Name
    through: Name


class Landing(Struct, frozen=True):
    """Where the clients of one profile end.

    Attributes:
        profile: its id.
        hops: in the order in which they are tried. Targets of equal priority are chosen by weight and chance
            (RFC 2782): here the heaviest come first. IPv4 comes before IPv6, though clients may prefer IPv6.
        unknown: what could not be told on the way.
        dead: where the way certainly ends.
        declined: whether an SRV set with the target `.` says that a service is not offered (RFC 2782).
        hosts: whose addresses were taken; of several with one address only the first has a hop.
    """

    profile: str
    hops: tuple[Hop, ...]
    unknown: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    declined: bool = False
    hosts: frozenset[Name] = frozenset()

    @property
    def addresses(self) -> frozenset[str]:
        """All addresses of it."""
        return frozenset([hop.address for hop in self.hops])


@lru_cache(65536)
def read_naptr(one: bytes) -> Naptr:
    """The fields of a NAPTR record, from its rdata in canonical wire form; flags and service in upper case."""
    found = fields.naptr(one)
    return found._replace(flags=found.flags.upper(), service=found.service.upper())


@lru_cache(4096)
def read_srv(rdatas: frozenset[bytes]) -> tuple[Srv, ...]:
    """The records of an SRV set: lower priority first, then the heavier, then by target."""
    found = [fields.srv(one) for one in rdatas]
    return tuple(sorted(found, key=lambda one: (one.priority, -one.weight, one.target, one.port)))


def naptr_records(rrset: RRset | None) -> list[Naptr]:
    """The records of a NAPTR set in the order in which they count."""
    return sorted(map(read_naptr, rrset.rdata)) if rrset is not None else []


@lru_cache(4096)
def _address(kind: Type, octets: bytes) -> str:
    return rdata.to_text(kind, octets)


def walk(realm: Name, view: View, hosts: Mapping[Name, HostSeen], profile: Profile) -> Landing:
    """Go the way of one kind of client.

    RFC 3263 section 4.1 lets a client take the most preferred NAPTR whose transport it has; the SRV set behind it
    leads on, and where there is none the realm's own addresses at that transport's port (section 4.2). Without any
    SIP NAPTR the SRV sets of the transports are asked for, and without those A and AAAA. NAPTR records of WebSocket
    (RFC 7118) and SCTP (RFC 4168) are passed over: no profile has them.

    Args:
        realm: where it begins.
        view: what one server says, or several that say the same.
        hosts: what SRV targets are.
        profile: the client's.
    """
    way = _Way(realm, view, hosts)
    by_naptr = profile.naptr != "none" and way.by_naptr(profile)
    if not by_naptr and not (profile.srv and way.by_srv(profile)):
        way.at_realm(profile.fallback)
    return Landing(
        profile.id, tuple(way.hops), tuple(dict.fromkeys(way.unknown)), tuple(dict.fromkeys(way.dead)), way.declined,
        frozenset(way.hosts_met),
    )  # fmt: skip


class _Way:
    """A walk under way. Hops that come up twice count once, where they came first."""

    def __init__(self, realm: Name, view: View, hosts: Mapping[Name, HostSeen]) -> None:
        self.realm = realm
        self.view = view
        self.hosts = hosts
        self.hops: list[Hop] = []
        self.unknown: list[str] = []
        self.dead: list[str] = []
        self.declined = False
        self.hosts_met: set[Name] = set()
        self._known: set[tuple[Transport, str, int]] = set()

    def by_naptr(self, profile: Profile) -> bool:
        """Follow NAPTR records; whether they decided where to go."""
        sight = self._sight(self.realm, rr.NAPTR)
        if sight is None or sight.rrset is None:
            return False
        usable = [one for one in naptr_records(sight.rrset) if self._is_usable(one, profile)]
        for one in usable[:1] if profile.naptr == "first" else usable:
            transport = _SERVICE[one.service]
            if not self._srv(transport, one.replacement):
                self.dead.append(f"{one.service.decode()} leads to {names.to_text(one.replacement)}, which has no SRV")
                self.at_realm(transport)
        return bool(usable)

    def _is_usable(self, one: Naptr, profile: Profile) -> bool:
        if _SERVICE.get(one.service) not in profile.transports:
            return False
        if one.flags == b"S" and not one.regexp and one.replacement != names.ROOT:
            return True
        self.dead.append(f"a NAPTR of {one.service.decode()} is no pointer to SRV (RFC 3263 section 4.1)")
        return False

    def by_srv(self, profile: Profile) -> bool:
        """Ask for the SRV set of each transport; whether there was any, or whether that is not known."""
        found = [self._srv(transport, LABELS[transport] + self.realm) for transport in profile.transports]
        return any(found)

    def _srv(self, transport: Transport, owner: Name) -> bool:
        """Follow an SRV set; False if it is certainly not there."""
        sight = self._sight(owner, rr.SRV)
        if sight is None:
            return True
        if sight.rrset is None:
            return False
        for one in read_srv(sight.rrset.rdata):
            if one.target == names.ROOT:
                self.declined = True
                self.dead.append(f"{names.to_text(owner)} says that the service is not offered (RFC 2782)")
            else:
                self._knock(transport, one.port, one.target, owner)
        return True

    def at_realm(self, transport: Transport) -> None:
        """Take the realm's own addresses, at the transport's port."""
        self._knock(transport, DEFAULT_PORT[transport], self.realm, self.realm)

    def _knock(self, transport: Transport, port: int, host: Name, through: Name) -> None:
        for address in self._addresses(host):
            self.hosts_met.add(host)
            if (transport, address, port) not in self._known:
                self._known.add((transport, address, port))
                self.hops.append(Hop(transport, address, port, host, through))

    def _addresses(self, host: Name) -> Iterator[str]:
        if (host, rr.A) in self.view.sights or host not in self.hosts:
            yield from self._own_addresses(host)
        else:
            yield from self._host_addresses(self.hosts[host])

    def _host_addresses(self, host: HostSeen) -> Iterator[str]:
        if host.addresses:
            yield from [_address(*one) for one in host.addresses]
        elif host.state == "absent":
            self.dead.append(f"{names.to_text(host.name)} has no address")
        else:
            said = f"an alias to {host.detail} whose addresses were not seen" if host.state == "alias" else host.detail
            self.unknown.append(f"{names.to_text(host.name)}: {said}")

    def _own_addresses(self, host: Name) -> Iterator[str]:
        """Addresses of a name that the view itself tells of: the realm, mostly."""
        sights = [(kind, self.view.sights.get((host, kind))) for kind in (rr.A, rr.AAAA)]
        alias = next((one.rrset for _, one in sights if one is not None and one.state == "alias"), None)
        if alias is not None and (target := self.hosts.get(min(alias.rdata))) is not None:
            yield from self._host_addresses(target)
            return
        told = [self._sight(host, kind) for kind, _ in sights]
        present = [one.rrset for one in told if one is not None and one.rrset is not None]
        for rrset in present:
            yield from [_address(rrset.type, octets) for octets in sorted(rrset.rdata)]
        if not present and None not in told:
            self.dead.append(f"{names.to_text(host)} has no address")

    def _sight(self, name: Name, kind: Type) -> Sight | None:
        """What is said of a key: present or absent; None, with a word in `unknown`, for everything else."""
        sight = self.view.sights.get((name, kind))
        if sight is not None and sight.state in ("present", "absent"):
            return sight
        self.unknown.append(f"{key_to_text((name, kind))}: {why(sight)}")
        return None


def why(sight: Sight | None) -> str:
    """Why a sight does not tell whether a set is there."""
    if sight is None:
        return "not asked"
    if sight.state in ("alias", "referral") and sight.rrset is not None:
        where = names.to_text(min(sight.rrset.rdata)) if sight.state == "alias" else names.to_text(sight.rrset.name)
        return f"an alias to {where}" if sight.state == "alias" else f"delegated away with {where}"
    return sight.detail or sight.state


def transport_of(owner: Name) -> Transport | None:
    """The transport that an SRV set's labels speak of (RFC 3263 section 4.2); None for any other name."""
    return next((transport for transport, labels in LABELS.items() if owner.startswith(labels)), None)


def labels_of_service(service: bytes) -> tuple[bytes, ...] | None:
    """The labels that the SRV set of a NAPTR service has; None for what is no SIP service."""
    return NAPTR_SERVICES.get(service)


def tasks_of(realms: Iterable[RealmSeen]) -> list[SipTask]:
    """The endpoints that realms lead to, each once, whichever and however many realms lead there.

    Endpoints are what SRV sets name; of a realm without any SRV set, where RFC 3263 sends a client without one.

    Args:
        realms: as they were seen; one realm of each shape is enough.
    """
    found: dict[tuple[Transport, str, int], SipTask] = {}
    done: set[tuple[Transport, frozenset[bytes]]] = set()
    for seen in realms:
        sets = [(transport_of(one.name), one) for one in _srv_sets(seen)]
        for transport, rrset in sets:
            if transport is not None and (transport, rrset.rdata) not in done:
                done.add((transport, rrset.rdata))
                _enter(found, _endpoints(seen, transport, rrset))
        if not sets:
            hops = [hop for view in seen.views() for hop in walk(seen.name, view, seen.hosts, FULL).hops]
            _enter(found, [SipTask(hop.transport, hop.address, hop.port, seen.name, hop.host) for hop in hops])
    return [found[key] for key in sorted(found)]


def _srv_sets(seen: RealmSeen) -> list[RRset]:
    sights = seen.sights.items()
    return [one.rrset for (_, _, kind), one in sights if kind == rr.SRV and one.state == "present" and one.rrset]


def _endpoints(seen: RealmSeen, transport: Transport, rrset: RRset) -> Iterator[SipTask]:
    for one in read_srv(rrset.rdata):
        host = seen.hosts.get(one.target)
        for kind, octets in host.addresses if host is not None else ():
            yield SipTask(transport, _address(kind, octets), one.port, seen.name, one.target)


def _enter(found: dict[tuple[Transport, str, int], SipTask], tasks: Iterable[SipTask]) -> None:
    """Of hosts at one address the first by name stands for it, so that findings keep their subject."""
    for task in tasks:
        key = (task.transport, task.address, task.port)
        other = found.get(key)
        if other is None or task.host < other.host:
            found[key] = task
