"""What to look at: one realm, white-label host or pool, with what should be there and whom to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import Key, RRset

# What every SIP client may ask without having read a NAPTR record (RFC 3263 section 4.2).
CONVENTIONAL = (b"\x04_sip\x04_udp", b"\x04_sip\x04_tcp", b"\x05_sips\x04_tcp")
AT_REALM = (rr.NAPTR, rr.A, rr.AAAA, rr.MX)


class Task(Struct, frozen=True):
    """One name whose records belong together.

    Attributes:
        name: the realm, the host, or the parent of a pool.
        zone: the apex of the zone that holds it.
        kind: a `realm` is read as phones and fax mail servers would; of a `host` and a `pool` only what is wanted is
            asked for.
        wanted: what should be answered, by the key as it is asked; empty for a realm that is not ours to publish.
        pool: for a realm that a wildcard serves, where its pool's SRV sets stand.
        account: its account in the configuration.
    """

    name: Name
    zone: Name
    kind: Literal["realm", "host", "pool"]
    wanted: Mapping[Key, RRset]
    pool: Name | None = None
    account: str | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """What to ask of every server of the zone. Worked out each time: twenty thousand tasks wait together."""
        if self.kind != "realm":
            return tuple(self.wanted)
        return tuple(dict.fromkeys((*realm_keys(self.name), *self.wanted)))


def realm_keys(realm: Name) -> list[Key]:
    """The seven questions about a realm that need no answer first."""
    return [(realm, kind) for kind in AT_REALM] + [(labels + realm, rr.SRV) for labels in CONVENTIONAL]


def asked_for(wanted: Mapping[Key, RRset], wildcard: Name, name: Name) -> dict[Key, RRset]:
    """What a wildcard's sets look like when they are answered for `name` (RFC 4592 section 3.3.1)."""
    return {
        (name, kind): RRset(name, kind, rrset.ttl, rrset.rdata)
        for (owner, kind), rrset in wanted.items()
        if owner == wildcard
    }
