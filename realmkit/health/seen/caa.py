"""What was seen of the CAA records that say who may issue a certificate for a name."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.dns.records import RRset


class CaaTask(Struct, frozen=True):
    """A name that gets certificates.

    Attributes:
        name: the name; for a wildcard certificate the name below the asterisk.
        issuers: the domains by which the CAs that are used call themselves (`letsencrypt.org`), all of which must be
            allowed.
        wildcard: whether the certificates are for `*.name`.
        purpose: what the name is.
        zone: the apex of the zone of ours that holds it; None when none does, and all is asked of resolvers.
        servers: that zone's authoritative servers.
    """

    name: Name
    issuers: tuple[str, ...]
    wildcard: bool = False
    purpose: Literal["portal", "sips"] = "portal"
    zone: Name | None = None
    servers: tuple[Server, ...] = ()


class CaaSeen(Struct, frozen=True):
    """The CAA set that counts for a name (RFC 8659 section 3).

    Attributes:
        task: what was asked for.
        state: `present`; `absent`: neither the name nor anything above it has one, so that every CA may issue;
            `unknown`: a name on the way could not be told, so that it is not known which set counts.
        at: where the set stands, or which name could not be told.
        rrset: the set.
        detail: why it is unknown.
    """

    task: CaaTask
    state: Literal["present", "absent", "unknown"]
    at: Name
    rrset: RRset | None = None
    detail: str = ""
