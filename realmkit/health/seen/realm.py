"""What the authoritative servers say of one realm, and of the hosts that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.dns.realm import Edge
from realmkit.dns.records import Key, RRset, Type

State = Literal["present", "absent", "alias", "referral", "lame", "unknown"]


class Sight(Struct, frozen=True):
    """What one server says of one name and type.

    Attributes:
        state: the set is `present`; `absent` by a trustworthy answer; an `alias` stands in its place; the name is
            delegated away (`referral`); the server answers without authority or refuses (`lame`); or it could not be
            told (`unknown`: no answer, an unreadable one, SERVFAIL).
        rrset: the set; for an alias its CNAME; for a referral the NS set. Owner and TTL as they were answered.
        rcode: of the answer; 0 where there was none.
        negative: for `absent`, the seconds that resolvers may remember it (RFC 2308 section 5); None if not told.
        detail: why it is lame or unknown, for a person.
    """

    state: State
    rrset: RRset | None = None
    rcode: int = 0
    negative: int | None = None
    detail: str = ""


class HostSeen(Struct, frozen=True):
    """A host that a record leads to.

    Attributes:
        name: the host.
        state: `present`: it has addresses; `absent`: it certainly has none; `alias`: it is a CNAME (addresses are
            what it leads to); `unknown`.
        addresses: type (A or AAAA) and rdata of each, sorted.
        detail: why it is unknown, or where an alias leads.
    """

    name: Name
    state: Literal["present", "absent", "alias", "unknown"]
    addresses: tuple[tuple[Type, bytes], ...] = ()
    detail: str = ""


class Expected(Struct, frozen=True):
    """What the configuration says about every realm.

    Attributes:
        edge: where realms should lead; None where the configuration says nothing of the realm (a host's own realm).
        migration_ttl: what TTLs are lowered to before a move, in seconds.
        allow_private: whether private addresses are meant.
    """

    edge: Edge | None = None
    migration_ttl: int = 300
    allow_private: bool = False


class View(NamedTuple):
    """What one server says, or several that say the same.

    Attributes:
        sights: by name and type.
        server: whose view it is, for a finding's `server`; empty when all servers agree.
    """

    sights: Mapping[Key, Sight]
    server: str = ""

    def rrset(self, name: Name, kind: Type) -> RRset | None:
        """The set, where it is present."""
        sight = self.sights.get((name, kind))
        return sight.rrset if sight is not None and sight.state == "present" else None


class RealmSeen(Struct, frozen=True):
    """A realm as all authoritative servers of its zone tell of it.

    Attributes:
        name: the realm; of a pool of shared realms a name that its wildcard answers for.
        zone: the apex of the zone that holds it.
        keys: what was asked of every server: NAPTR, A, AAAA, MX at the realm, the three conventional SRV sets, and
            whatever else its NAPTR records lead to.
        servers: all that were asked.
        sights: what each said of each key.
        wanted: what should be there, by the key as it was asked; empty for a realm that is not ours to publish.
        hosts: every target of SRV and MX.
        expected: what the configuration says.
        registered: whether the platform knows the realm; None where nobody asked it.
        account: the account's name in the configuration.
    """

    name: Name
    zone: Name
    keys: tuple[Key, ...]
    servers: tuple[Server, ...]
    sights: Mapping[tuple[Server, Name, Type], Sight]
    wanted: Mapping[Key, RRset]
    hosts: Mapping[Name, HostSeen]
    expected: Expected = Expected()
    registered: bool | None = None
    account: str | None = None

    def sight(self, server: Server, key: Key) -> Sight:
        """What a server said of a key; unknown if it was not asked."""
        return self.sights.get((server, *key)) or Sight("unknown", detail="not asked")

    def views(self) -> list[View]:
        """What the servers say, each different picture once; servers that told nothing at all are left out.

        Two servers are of one view when they agree in everything that both of them told. A server that told
        something, but not all, has `unknown` sights in its view.
        """
        found: list[tuple[dict[Key, Sight], list[Server]]] = []
        for server in self.servers:
            sights = {key: self.sight(server, key) for key in self.keys}
            if all(one.state in ("unknown", "lame") for one in sights.values()):
                continue
            for known, those in found:
                if all(_alike(known[key], sights[key]) for key in self.keys):
                    those.append(server)
                    known.update({key: one for key, one in sights.items() if known[key].state == "unknown"})
                    break
            else:
                found.append((sights, [server]))
        if len(found) == 1:
            return [View(found[0][0])]
        return [View(sights, ", ".join(map(str, those))) for sights, those in found]


def _alike(one: Sight, other: Sight) -> bool:
    if "unknown" in (one.state, other.state):
        return True
    same = one.state == other.state
    if not same or one.rrset is None or other.rrset is None:
        return same and one.rrset is other.rrset
    return one.rrset.rdata == other.rrset.rdata
