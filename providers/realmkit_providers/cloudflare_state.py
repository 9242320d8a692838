"""What a zone holds at Cloudflare, record by record with their ids, and what that is as a `Zone`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import Key, RRset, Zone
from realmkit.errors import InputError
from realmkit_providers.cloudflare_records import AUTOMATIC, AUTOMATIC_TTL, ApiRecord, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ADDRESSES: Final = (rr.A, rr.AAAA)
PROXIED: Final = "proxied, so Cloudflare's own addresses are served in its place"
FLATTENED: Final = "a CNAME that Cloudflare flattens: addresses are served in its place"
_MARK: Final = re.compile(r" ?\[realmkit ([^\]]+)\]\Z")


class Held(Struct, frozen=True):
    """One record, read.

    Attributes:
        record: as the API shows it.
        key: name and type; None where these can't be read.
        ttl: seconds, with the automatic TTL as what it stands for.
        wire: its rdata; None where what is served is something else, or can't be read.
        why: in words, why there is no `wire`.
        digest: of all that is served of it; `modified_on` and the comment are no part of that.
    """

    record: ApiRecord
    key: Key | None
    ttl: int
    wire: bytes | None
    why: str
    digest: int


class State(Struct, frozen=True):
    """All records of a zone at one moment.

    Attributes:
        zone: the apex.
        held: by id, in the order in which the API lists them.
        by_key: the records of each RRset.
        total: the sum of their digests.
    """

    zone: Name
    held: Mapping[str, Held]
    by_key: Mapping[Key, tuple[Held, ...]]
    total: int

    @property
    def token(self) -> str:
        """What a later `apply` compares on: a digest of the content, in any order."""
        return f"{self.total % 2**128:032x}"

    def rrset(self, key: Key) -> RRset | None:
        """The RRset under this key; None where there is none or a record of it can't be said."""
        members = self.by_key.get(key, ())
        wires = [one.wire for one in members if one.wire is not None]
        if not members or len(wires) != len(members):
            return None
        return RRset(*key, min(one.ttl for one in members), frozenset(wires))

    def mixed(self, key: Key) -> bool:
        """Whether the records of this RRset have differing TTLs."""
        return len({one.ttl for one in self.by_key.get(key, ())}) > 1

    def hidden(self, key: Key) -> str | None:
        """What is served in place of this RRset, or why it can't be read; None where it is as it seems."""
        name, kind = key
        why = next((one.why for one in self.by_key.get(key, ()) if one.wire is None), None)
        if why is None and kind in ADDRESSES:
            why = self.stand_in(name)
        return why

    def stand_in(self, name: Name) -> str | None:
        """Why the addresses that are served for this name are others than its records say; None where they are not."""
        members = (one for kind in (*ADDRESSES, rr.CNAME) for one in self.by_key.get((name, kind), ()))
        return next((one.why for one in members if one.why in (PROXIED, FLATTENED)), None)

    def opaque(self) -> dict[Key, str]:
        """What is there and can't be said as records, with what it is."""
        odd = {one.key: one.why for one in self.held.values() if one.wire is None and one.key is not None}
        found = dict(odd)
        for (name, _), why in odd.items():
            if why in (PROXIED, FLATTENED):
                found.update(((name, kind), why) for kind in ADDRESSES)
        return found

    def as_zone(self, words: Iterable[str] = ()) -> Zone:
        """What a snapshot says of it.

        Args:
            words: what is to be said of the zone as a whole.
        """
        opaque = self.opaque()
        shown = [key for key in self.by_key if key not in opaque]
        rrsets = {key: rrset for key in shown if (rrset := self.rrset(key)) is not None}
        owners = {key: owner for key in rrsets if (owner := owner_of(self.by_key[key]))}
        mixed = frozenset(key for key in rrsets if self.mixed(key))
        odd = (one for one in self.held.values() if one.wire is None)
        unread = (*words, *(f"{one.record.name} {one.record.type}: {one.why}" for one in odd))
        proxied = frozenset(name for (name, _), why in opaque.items() if why == PROXIED)
        return Zone(self.zone, rrsets, self.token, None, owners, mixed, unread, opaque, proxied)

    def after(self, gone: Iterable[str], records: Iterable[ApiRecord]) -> State:
        """The state when the records with the ids `gone` are away and `records` are as they are said to be."""
        held = dict(self.held)
        by_key = dict(self.by_key)
        total = self.total
        new = [hold(record, self.zone) for record in records]
        for id_ in (*gone, *(one.record.id for one in new)):
            old = held.pop(id_, None)
            if old is None:
                continue
            total -= old.digest
            if old.key is not None:
                by_key[old.key] = tuple(one for one in by_key[old.key] if one.record.id != id_)
                if not by_key[old.key]:
                    del by_key[old.key]
        for one in new:
            held[one.record.id] = one
            total += one.digest
            if one.key is not None:
                by_key[one.key] = (*by_key.get(one.key, ()), one)
        return State(self.zone, held, by_key, total)


def state_of(zone: Name, records: Iterable[ApiRecord]) -> State:
    """The records of a zone, read."""
    held: dict[str, Held] = {}
    by_key: dict[Key, list[Held]] = {}
    total = 0
    for record in records:
        one = hold(record, zone)
        held[record.id] = one
        total += one.digest
        if one.key is not None:
            by_key.setdefault(one.key, []).append(one)
    return State(zone, held, {key: tuple(members) for key, members in by_key.items()}, total)


def hold(record: ApiRecord, zone: Name) -> Held:
    """Read one record; what can't be read is told in `why`."""
    key: Key | None = None
    wire: bytes | None = None
    ttl = AUTOMATIC_TTL if record.ttl == AUTOMATIC else int(record.ttl)
    try:
        key = _key(record, zone)
        why = _stands_for_other(record, key, zone)
        wire = None if why else from_json(key[1], record)
    except InputError as error:
        why = error.message
    return Held(record, key, ttl, wire, why, _digest(record, key, ttl, wire))


def _key(record: ApiRecord, zone: Name) -> Key:
    """Name and type. Raises InputError where the record can't be one of a zone's."""
    key = names.absolute(record.name), rr.type_from_text(record.type)
    if not names.is_under(key[0], zone):
        raise InputError("it lies outside the zone")
    if not 0 <= record.ttl < 2**31:
        raise InputError(f"{record.ttl} is no TTL (RFC 2181 section 8)")
    return key


def _stands_for_other(record: ApiRecord, key: Key, zone: Name) -> str:
    """What is served in place of a record, in words; empty where the record itself is.

    A CNAME at the apex is flattened always, others where their settings say so (developers.cloudflare.com, "CNAME
    flattening"). That a whole zone is set to flatten all of them is not told with its records.
    """
    if record.proxied:
        return PROXIED
    flattened = key[0] == zone or bool((record.settings or {}).get("flatten_cname"))
    return FLATTENED if key[1] == rr.CNAME and flattened else ""


def _digest(record: ApiRecord, key: Key | None, ttl: int, wire: bytes | None) -> int:
    if key is not None and wire is not None:
        octets = b"%b%d %d %b" % (key[0], key[1], ttl, wire)
    else:
        seen = (record.name, record.type, record.ttl, record.content, record.data, record.priority, record.proxied)
        octets = b"?" + msgspec.json.encode((*seen, record.settings), order="deterministic")
    return int.from_bytes(blake2b(octets, digest_size=16).digest(), "big")


# --- ownership --------------------------------------------------------------------------------------------------


def owner_in(comment: str | None) -> str | None:
    """The owner whose mark ends a comment: `[realmkit OWNER]`."""
    match = _MARK.search(comment or "")
    return match[1] if match else None


def owners_of(members: Iterable[Held]) -> set[str]:
    """Who has marked records of an RRset."""
    return {owner for one in members if (owner := owner_in(one.record.comment))}


def owner_of(members: Iterable[Held]) -> str | None:
    """The owner of an RRset: it is enough that one record is marked. With several owners it is nobody's but theirs."""
    return " and ".join(sorted(owners_of(members))) or None


def marked(comment: str | None, owner: str | None) -> str:
    """A comment with this owner's mark at its end, or with None without a mark. What people wrote stays."""
    text = _MARK.sub("", comment or "")
    if owner is None:
        return text
    return f"{text} [realmkit {owner}]" if text else f"[realmkit {owner}]"


def targets(rrset: RRset) -> Iterable[Name]:
    """The hosts that SIP and mail are sent to by this RRset. An alias may well lead to a web page: it is left alone."""
    start: Callable[[bytes], int] | None = _TARGET_AT.get(rrset.type)
    return () if start is None else [wire[start(wire) :] for wire in rrset.rdata]


def _after_three_strings(wire: bytes) -> int:
    """Where a NAPTR's replacement begins (RFC 3403 section 4.1)."""
    at = 4
    for _ in range(3):
        at += 1 + wire[at]
    return at


_TARGET_AT: Final[Mapping[int, Callable[[bytes], int]]] = {
    rr.MX: lambda _: 2,
    rr.SRV: lambda _: 6,
    rr.NAPTR: _after_three_strings,
}
