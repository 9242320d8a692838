"""What recursive resolvers remember of names that the authoritative servers serve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.dns.records import Key, RRset
from realmkit.health.seen.realm import RealmSeen, Sight


class ResolverTask(Struct, frozen=True):
    """What to ask resolvers of one zone.

    Attributes:
        zone: the apex.
        servers: its authoritative servers, as far as they told anything.
        published: the sets that all of these serve alike now. Nothing else is asked of a resolver: one that is asked
            for a name too early remembers that it does not exist (RFC 2308).
    """

    zone: Name
    servers: tuple[Server, ...]
    published: Mapping[Key, RRset]

    @property
    def nodes(self) -> tuple[Name, ...]:
        """The names directly above published SRV sets, such as `_udp.acme.example`: empty non-terminals mostly."""
        return tuple(sorted({names.parent(name) for name, kind in self.published if kind == rr.SRV}))


class Memory(Struct, frozen=True):
    """What a resolver answers.

    Attributes:
        state: the set is `present`; a CNAME stands in its place (`alias`); it is `absent`; the resolver `failed`
            (SERVFAIL); or it could not be told (`unknown`).
        rrset: the set or the CNAME; its TTL is what is left of it, in seconds.
        rcode: of the answer; 0 where there was none.
        left: for `absent`, the seconds that the resolver will go on saying so (RFC 2308 section 5); None if not told.
        extended: extended errors, code and text of each (RFC 8914).
        detail: why it is unknown, for a person.
    """

    state: Literal["present", "alias", "absent", "failed", "unknown"]
    rrset: RRset | None = None
    rcode: int = 0
    left: int | None = None
    extended: tuple[tuple[int, str], ...] = ()
    detail: str = ""


class PropagationSeen(Struct, frozen=True):
    """One zone as resolvers know it.

    Attributes:
        task: what was asked.
        resolvers: who was asked.
        memories: what each of them answered to each published key.
        nodes: what each authoritative server says of the names above SRV sets; asked for A.
    """

    task: ResolverTask
    resolvers: tuple[Server, ...]
    memories: Mapping[tuple[Server, Name, int], Memory]
    nodes: Mapping[tuple[Server, Name], Sight]

    def memory(self, resolver: Server, key: Key) -> Memory:
        """What a resolver answers to a key; unknown if it was not asked."""
        return self.memories.get((resolver, *key)) or Memory("unknown", detail="not asked")


def resolver_tasks(realms: Iterable[RealmSeen]) -> list[ResolverTask]:
    """What resolvers may be asked, zone by zone: what every authoritative server that told anything serves alike.

    A zone in which nothing is served yet gives no task.
    """
    servers: dict[Name, dict[Server, None]] = {}
    published: dict[Name, dict[Key, RRset]] = {}
    for realm in realms:
        for key in realm.keys:
            rrset = _agreed(realm, key)
            if rrset is not None:
                published.setdefault(realm.zone, {})[key] = rrset
                told = dict.fromkeys(one for one in realm.servers if realm.sight(one, key).state == "present")
                servers.setdefault(realm.zone, {}).update(told)
    return [ResolverTask(zone, tuple(servers[zone]), published[zone]) for zone in sorted(published)]


def _agreed(realm: RealmSeen, key: Key) -> RRset | None:
    """The set, where at least one server has it, and none that tells something says otherwise."""
    sights = [realm.sight(server, key) for server in realm.servers]
    told = [one for one in sights if one.state not in ("unknown", "lame")]
    sets = {one.rrset.rdata for one in told if one.state == "present" and one.rrset is not None}
    if len(sets) != 1 or any(one.state != "present" for one in told):
        return None
    return min((one.rrset for one in told if one.rrset is not None), key=lambda rrset: rrset.ttl)
