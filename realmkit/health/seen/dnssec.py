"""What was seen of a zone's signatures, and of the chain of trust that leads to it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.dns.records import Key

# The root zone's key signing keys of 2017 and 2024, as https://data.iana.org/root-anchors/root-anchors.xml has them.
ROOT_ANCHORS: Final = (
    "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    "38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
)

SetState = Literal[
    "valid", "expired", "early", "invalid", "unsigned", "unproven", "unmatched", "split", "absent", "unsupported",
    "unknown",
]  # fmt: skip
Trust = Literal["secure", "insecure", "undelegated", "broken", "unsupported", "unknown"]


class SecTask(Struct, frozen=True):
    """What to look at in one zone.

    Attributes:
        zone: the apex.
        servers: all its authoritative servers; none leaves the zone unknown.
        wanted: further sets that every server should sign: one of a realm is enough, and a name that a wildcard
            answers for where the zone has one (its proof is then looked at too).
        move_planned: whether the zone is about to move to another provider.
        ds_gone_since: when the DS set was first seen to be gone, in Unix seconds; None when it never was there, or
            nobody knows.
        ds_ttl: the TTL that it had then, in seconds; None when that is not known.
    """

    zone: Name
    servers: tuple[Server, ...]
    wanted: tuple[Key, ...] = ()
    move_planned: bool = False
    ds_gone_since: int | None = None
    ds_ttl: int | None = None


class SetSeen(Struct, frozen=True):
    """What one server's signatures over one RRset are worth.

    Attributes:
        key: name and type, as they were asked.
        server: whose answer it is.
        state: `valid`; `expired`, `early` (not valid yet) or `invalid` (no signature verifies); `unsigned`;
            `unproven`: a wildcard answered, without proof that the name itself does not exist; `unmatched`: no DNSKEY
            matches the DS set; `split`: valid by this server's keys, not by those of another server of the zone;
            `absent`: no such set there; `unsupported`: of an algorithm that can't be verified here; `unknown`.
        detail: in words, what is wrong or why it is unknown; nothing in it changes from run to run.
        expires: when the last signature that counts ends (or ended, when `expired`), in Unix seconds.
        lifetime: how long that signature was made for, in seconds.
        key_tags: of the DNSKEYs that made the signatures.
    """

    key: Key
    server: Server
    state: SetState
    detail: str = ""
    expires: int | None = None
    lifetime: int | None = None
    key_tags: tuple[int, ...] = ()


class DsSeen(Struct, frozen=True):
    """One DS record, or a trust anchor.

    Attributes:
        key_tag: of the key that it means.
        algorithm: of that key (RFC 8624's numbers).
        digest_type: of the digest; 0 for an anchor that is a whole DNSKEY.
    """

    key_tag: int
    algorithm: int
    digest_type: int

    def __str__(self) -> str:
        """`20326 8 2`."""
        return f"{self.key_tag} {self.algorithm} {self.digest_type}"


class SecSeen(Struct, frozen=True):
    """A zone's signatures on every server, and the way from a trust anchor to it.

    Attributes:
        task: what was asked for.
        trust: of the way down to the zone's DS set: `secure`: signed all along; `insecure`: a parent proves that there
            is no DS, or is unsigned itself; `undelegated`: the parent says that there is no such zone; `broken`;
            `unsupported`: of algorithms that can't be verified here; `unknown`.
        at: when, in Unix seconds.
        words: for `broken`, `unsupported` and `unknown`, where and why.
        ds: the DS set at the parent, or the trust anchors of the zone itself.
        ds_ttl: its TTL in seconds; None where there is none or anchors stand for it.
        ds_known: whether it could be told if there is a DS set.
        tags: key tag and algorithm of every DNSKEY that a server publishes.
        sets: DNSKEY, SOA and the wanted sets, of every server.
    """

    task: SecTask
    trust: Trust
    at: int
    words: str = ""
    ds: tuple[DsSeen, ...] = ()
    ds_ttl: int | None = None
    ds_known: bool = True
    tags: tuple[tuple[Server, tuple[tuple[int, int], ...]], ...] = ()
    sets: tuple[SetSeen, ...] = ()
