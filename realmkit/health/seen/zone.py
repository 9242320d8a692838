"""What the parent, the authoritative servers and the provider say of one zone as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct, field

from realmkit.dns import names
from realmkit.dns.asking.delegation import Delegation
from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.dns.rdata import name_end
from realmkit.dns.records import Key, RRset, Type, Zone, serial_newer
from realmkit.health.seen.realm import HostSeen, Sight

NOT_ASKED = Sight("unknown", detail="it was not asked")


class Stale(NamedTuple):
    """An old copy of a zone on a server: its serial, and how many seconds ago a run saw it there first."""

    serial: int
    seconds: float


class ZoneTask(Struct, frozen=True):
    """A zone to look at, and what is known of it before anybody is asked.

    Attributes:
        apex: of the zone.
        nameservers: the servers that the configuration names (`192.0.2.1`, `ns1.example.net:5353`), where the zone is
            hidden or private; then its parent is not asked. Empty to go by the delegation.
        assigned: the servers that the provider says it serves the zone with; None where it has no such notion.
        assigned_unknown: why the provider could not say it, in words.
        snapshot: the zone as the provider's API shows it; None where it is not at hand.
        snapshot_unknown: why it could not be read, in words; empty where nobody tried.
        serials: the snapshot's serial moves with each change (`Capabilities.serials`).
        vanity: host names that the configuration owns (`ns1.reseller.example`), with the type and rdata of the
            addresses that they should have; those among them that turn out to be name servers are compared.
        wildcards: the wildcard sets that should be there.
        realms: the zone holds realms, so that a negative answer must not live long.
        moving: its NS set is about to change.
        migration_ttl: what TTLs are lowered to before that, in seconds.
        allow_private: private and loopback addresses are meant.
        transfers: this machine may transfer the zone without a key, so that a transfer proves nothing.
        stale: servers that earlier runs saw with an old copy, as text.
    """

    apex: Name
    nameservers: tuple[str, ...] = ()
    assigned: tuple[str, ...] | None = None
    assigned_unknown: str = ""
    snapshot: Zone | None = None
    snapshot_unknown: str = ""
    serials: bool = True
    vanity: Mapping[Name, tuple[tuple[Type, bytes], ...]] = field(default_factory=dict)
    wildcards: tuple[RRset, ...] = ()
    realms: bool = True
    moving: bool = False
    migration_ttl: int = 300
    allow_private: bool = False
    transfers: bool = False
    stale: Mapping[str, Stale] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The zone's name as a finding's subject."""
        return names.to_text(self.apex)


class Soa(NamedTuple):
    """An SOA, read (RFC 1035 section 3.3.13); times in seconds."""

    mname: Name
    rname: Name
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


class EdnsAnswer(Struct, frozen=True):
    """What one kind of EDNS query led to.

    Attributes:
        state: the server `answered`, or kept `silent`; `unknown` where it could not be asked.
        rcode: of the answer, with EDNS's upper bits.
        opt: whether the answer has an OPT record.
        echoed: whether the unknown option came back in it.
        detail: why it is unknown or silent, for a person.
    """

    state: Literal["answered", "silent", "unknown"] = "unknown"
    rcode: int = 0
    opt: bool = False
    echoed: bool = False
    detail: str = "it was not asked"


class EdnsSeen(Struct, frozen=True):
    """How a server takes EDNS (RFC 6891).

    Attributes:
        plain: a query without EDNS.
        basic: one with EDNS version 0.
        version: one of an EDNS version that does not exist.
        option: one with an option that does not exist.
    """

    plain: EdnsAnswer = EdnsAnswer()
    basic: EdnsAnswer = EdnsAnswer()
    version: EdnsAnswer = EdnsAnswer()
    option: EdnsAnswer = EdnsAnswer()


class Offer(Struct, frozen=True):
    """Whether a server gives what strangers should not get.

    Attributes:
        state: it was `given`, or `refused`, or it could not be told (`unknown`).
        detail: what came, or why it is unknown, for a person.
    """

    state: Literal["given", "refused", "unknown"] = "unknown"
    detail: str = "it was not asked"


class ServerSeen(Struct, frozen=True):
    """One authoritative server of the zone.

    Attributes:
        server: its address.
        reach: how asking for the SOA over UDP ended: it `answers` (whatever), or keeps `silent`; or there is no way
            to it from here (`unreachable`).
        soa: what it says over UDP.
        soa_tcp: what it says over TCP.
        tcp: whether it can be had over TCP, likewise.
        ns: its own NS set.
        apex: what it says of the other sets that the provider shows at the apex.
        transfer: whether it begins a zone transfer without a key.
        recursion: whether it resolves foreign names.
        edns: how it takes EDNS.
        wildcards: what it says of a random name below each wildcard, by the wildcard's own name and type.
    """

    server: Server
    reach: Literal["answers", "silent", "unreachable"] = "unreachable"
    soa: Sight = NOT_ASKED
    soa_tcp: Sight = NOT_ASKED
    tcp: Literal["answers", "silent", "unreachable"] = "unreachable"
    ns: Sight = NOT_ASKED
    apex: Mapping[Type, Sight] = field(default_factory=dict)
    transfer: Offer = Offer()
    recursion: Offer = Offer()
    edns: EdnsSeen = EdnsSeen()
    wildcards: Mapping[Key, Sight] = field(default_factory=dict)

    @property
    def start(self) -> Soa | None:
        """Its SOA, where it tells one."""
        return read_soa(self.soa)

    @property
    def hosts(self) -> tuple[Name, ...] | None:
        """Whom it names as the zone's servers, sorted; None where that is not known."""
        if self.ns.state == "absent":
            return ()
        return tuple(sorted(self.ns.rrset.rdata)) if self.ns.state == "present" and self.ns.rrset else None


class ZoneSeen(Struct, frozen=True):
    """A zone.

    Attributes:
        task: what was to be looked at.
        parent: what the zone above says; None where the configuration names the servers.
        servers: every server that the delegation, the configuration or the zone itself names.
        unknown: in words, servers that could not be found.
        passed_over: in words, addresses to which there is no route from here.
        hosts: every name server's name, of the delegation and of the zone itself, with its addresses as its own
            authoritative servers give them.
        cut_short: the run's deadline passed meanwhile, so that silence says nothing.
    """

    task: ZoneTask
    parent: Delegation | None
    servers: tuple[ServerSeen, ...]
    unknown: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    hosts: Mapping[Name, HostSeen] = field(default_factory=dict)
    cut_short: bool = False

    @property
    def title(self) -> str:
        """The zone's name as a finding's subject."""
        return self.task.title

    @property
    def newest(self) -> int | None:
        """The serial that no server's is newer than; None where none is told, or they have no such order (RFC 1982)."""
        told = [start.serial for one in self.servers if (start := one.start) is not None]
        return next((one for one in told if all(one == other or serial_newer(one, other) for other in told)), None)

    @property
    def child_hosts(self) -> tuple[Name, ...]:
        """Every name server that any of the zone's servers names, sorted."""
        return tuple(sorted({host for one in self.servers for host in one.hosts or ()}))

    @property
    def ns_hosts(self) -> tuple[Name, ...]:
        """Every name server that the parent or the zone names, sorted."""
        above = self.parent.hosts if self.parent is not None else ()
        return tuple(sorted({*above, *self.child_hosts}))

    def host(self, name: Name) -> HostSeen:
        """What is known of a host; unknown if nobody asked."""
        return self.hosts.get(name) or HostSeen(name, "unknown", detail="it was not asked for")

    @property
    def network_works(self) -> bool:
        """Whether somebody answered in this very look, so that the silence of another is its own."""
        return not self.cut_short and (
            any(one.reach == "answers" for one in self.servers) or bool(self.parent and self.parent.parents)
        )


def read_soa(sight: Sight) -> Soa | None:
    """The SOA in what a server says; None where there is none or it is not well formed."""
    if sight.state != "present" or sight.rrset is None:
        return None
    octets = min(sight.rrset.rdata)
    first = name_end(octets, 0)
    second = name_end(octets, first)
    if len(octets) != second + 20:
        return None
    numbers = [int.from_bytes(octets[at : at + 4], "big") for at in range(second, second + 20, 4)]
    return Soa(octets[:first], octets[first:second], *numbers)
