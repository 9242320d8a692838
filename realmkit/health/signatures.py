"""Verifying signatures: RRSIG over an RRset, DNSKEY against DS, and the proof behind a wildcard's or a negative answer.

RFC 4034, RFC 4035 section 5 and RFC 5155 section 8. Pure: octets and a time go in, facts come out. The cryptography
is dnspython's, which is loaded only when something is verified.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.health.seen.dnssec import DsSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import dns.name
    import dns.rdata
    import dns.rrset
    from dns.rdtypes.ANY.RRSIG import RRSIG

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Record
    from realmkit.health.seen.dnssec import SetState

Keys = frozenset[bytes]  # DNSKEY rdata of one zone that is trusted
_ZONE_KEY: Final = 0x0100  # RFC 4034 section 2.1.1
_SHORTEST: Final = 4  # octets before the key, and before the digest (RFC 4034 sections 2.1 and 5.1)
_REVOKED: Final = 0x0080  # RFC 5011 section 7
_WORST_FIRST: Final = ("unsupported", "expired", "early", "invalid")


class Verified(NamedTuple):
    """What the signatures over one RRset are worth.

    Attributes:
        state: as in `SetSeen`.
        detail: likewise.
        expires: likewise.
        lifetime: likewise.
        key_tags: likewise.
        labels: of the signed owner (RFC 4034 section 3.1.3); fewer than the name has where a wildcard answered.
    """

    state: SetState
    detail: str = ""
    expires: int | None = None
    lifetime: int | None = None
    key_tags: tuple[int, ...] = ()
    labels: int = 0


def key_tag(rdata: bytes) -> int:
    """The tag of a DNSKEY's rdata (RFC 4034 appendix B; algorithm 1 is long gone)."""
    total = sum(octet << 8 if index % 2 == 0 else octet for index, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def records_of(records: Iterable[Record], name: Name, kind: Type) -> list[Record]:
    """The records of that owner and type."""
    return [one for one in records if one.name == name and one.type == kind]


def covering(records: Iterable[Record], name: Name, kind: Type) -> list[bytes]:
    """The rdata of the RRSIGs at `name` that cover `kind`."""
    wanted = kind.to_bytes(2, "big")
    return [one.rdata for one in records if one.name == name and one.type == rr.RRSIG and one.rdata[:2] == wanted]


def verify(records: Sequence[Record], name: Name, kind: Type, zone: Name, keys: Keys, now: int) -> Verified:
    """Verify the signatures over an RRset; one good signature is enough (RFC 4035 section 5.3.3).

    Args:
        records: a section of an answer, which holds the set and its RRSIGs.
        name: the owner.
        kind: RR type code.
        zone: the apex of the zone that must have signed.
        keys: its trusted DNSKEYs.
        now: Unix seconds.
    """
    members = records_of(records, name, kind)
    if not members:
        return Verified("absent", "there is no such set")
    signatures = covering(records, name, kind)
    if not signatures:
        return Verified("unsigned", "there is no signature over it")
    rrset = _rrset(members)
    if rrset is None:
        return Verified("invalid", "it can't be read")
    found = [_verify_one(rrset, rdata, zone, keys, now) for rdata in signatures]
    good = [one for one in found if one.state == "valid"]
    if good:
        last = max(good, key=lambda one: one.expires or 0)
        return last._replace(key_tags=tuple(sorted({tag for one in good for tag in one.key_tags})))
    return min(found, key=lambda one: (_WORST_FIRST.index(one.state), -(one.expires or 0)))


def _verify_one(rrset: dns.rrset.RRset, rdata: bytes, zone: Name, keys: Keys, now: int) -> Verified:
    import dns.exception

    try:
        signature: RRSIG = _rdata(rr.RRSIG, rdata)  # type: ignore[assignment]
    except dns.exception.DNSException:
        return Verified("invalid", "its signature can't be read")
    state, detail = _obstacle(signature, zone, keys, now) or _cryptography(rrset, signature, zone, keys, now)
    lifetime = (signature.expiration - signature.inception) % 2**32
    return Verified(state, detail, signature.expiration, lifetime, (signature.key_tag,), signature.labels)


def _obstacle(signature: RRSIG, zone: Name, keys: Keys, now: int) -> tuple[SetState, str] | None:
    """What makes a signature worthless before any cryptography (RFC 4035 section 5.3.1)."""
    tag = signature.key_tag
    if signature.signer != _dns_name(zone):
        return "invalid", f"its signature names {signature.signer} as the signer"
    if not any(key_tag(key) == tag and key[3] == signature.algorithm for key in keys):
        return "invalid", f"no trusted DNSKEY has the tag {tag} of its signature"
    if signature.expiration < now:
        return "expired", "its signature has expired"
    if signature.inception > now:
        return "early", "its signature is not valid yet"
    return None


def _cryptography(rrset: dns.rrset.RRset, signature: RRSIG, zone: Name, keys: Keys, now: int) -> tuple[SetState, str]:
    import dns.dnssec
    import dns.exception
    import dns.rdataset

    trusted = dns.rdataset.from_rdata_list(0, [_rdata(rr.DNSKEY, key) for key in sorted(keys)])
    algorithm = int(signature.algorithm)
    try:
        dns.dnssec.validate_rrsig(rrset, signature, {_dns_name(zone): trusted}, None, now)
    except dns.exception.UnsupportedAlgorithm:
        return "unsupported", f"algorithm {algorithm} can't be verified here"
    except (ValueError, IndexError, struct.error):
        return "invalid", f"the key with the tag {signature.key_tag} can't be read"
    except dns.exception.DNSException as error:
        if not _may_verify(trusted, signature.key_tag):
            return "unsupported", f"algorithm {algorithm} is not to be used any more"
        return "invalid", f"its signature does not verify ({error})"
    return "valid", ""


def _may_verify(trusted: Iterable[dns.rdata.Rdata], tag: int) -> bool:
    """Whether policy (RFC 9904) takes the algorithm of a key with that tag."""
    import dns.dnssec

    policy = dns.dnssec.default_policy
    return any(policy.ok_to_validate(key) for key in trusted if dns.dnssec.key_id(key) == tag)  # type: ignore[arg-type]


def _rrset(records: Sequence[Record]) -> dns.rrset.RRset | None:
    import dns.exception
    import dns.rrset

    with suppress(dns.exception.DNSException):
        return dns.rrset.from_rdata_list(
            _dns_name(records[0].name), 0, [_rdata(one.type, one.rdata) for one in records]
        )
    return None


def _dns_name(name: Name) -> dns.name.Name:
    import dns.name

    return dns.name.from_wire(name, 0)[0]


def _rdata(kind: Type, octets: bytes) -> dns.rdata.Rdata:
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind), octets, 0, len(octets))


# --- DS and anchors ------------------------------------------------------------------------------------------


class Matched(NamedTuple):
    """Which DNSKEYs a DS set (or a set of anchors) vouches for.

    Attributes:
        keys: those that match.
        unsupported: whether none matches but some DS is of a kind that can't be compared here.
    """

    keys: Keys
    unsupported: bool


def anchor(text: str) -> bytes:
    """Read a trust anchor: the rdata of a DS or DNSKEY as text.

    Returns:
        The type as one octet, 43 or 48, and the rdata.

    Raises:
        InputError: it is neither.
    """
    from realmkit.dns import rdata
    from realmkit.errors import InputError

    words = text.split()
    if words[1:2] == ["3"] and len(words) > 3 and words[0] in ("256", "257"):
        return bytes((rr.DNSKEY,)) + rdata.from_text(rr.DNSKEY, text)
    if len(words) > 3 and all(word.isdecimal() for word in words[:3]):
        return bytes((rr.DS,)) + rdata.from_text(rr.DS, text)
    raise InputError(f"{text!r} is no trust anchor; expected `20326 8 2 E06D…` (DS) or `257 3 8 AwEA…` (DNSKEY)")


def ds_seen(anchors: Iterable[bytes]) -> tuple[DsSeen, ...]:
    """Anchors as they are shown; in the form of `anchor`."""
    found = []
    for one in anchors:
        if one[0] == rr.DNSKEY:
            found.append(DsSeen(key_tag(one[1:]), one[4], 0))
        else:
            found.append(DsSeen(int.from_bytes(one[1:3], "big"), one[3], one[4]))
    return tuple(sorted(found, key=str))


def match(zone: Name, anchors: Iterable[bytes], keys: Iterable[bytes]) -> Matched:
    """Find the DNSKEYs that anchors vouch for (RFC 4035 section 5.2).

    Args:
        zone: the owner of the keys.
        anchors: DS and DNSKEY rdata in the form of `anchor`.
        keys: the DNSKEY set.
    """
    found, unsupported = set(), False
    usable = [key for key in keys if int.from_bytes(key[:2], "big") & (_ZONE_KEY | _REVOKED) == _ZONE_KEY]
    for one in anchors:
        for key in usable:
            answer = key == one[1:] if one[0] == rr.DNSKEY else _vouches(zone, one[1:], key)
            if answer:
                found.add(key)
            unsupported = unsupported or answer is None
    return Matched(frozenset(found), unsupported and not found)


def _vouches(zone: Name, ds: bytes, key: bytes) -> bool | None:
    """Whether a DS means that key; None where its digest can't be computed here."""
    import dns.dnssec
    import dns.exception

    if int.from_bytes(ds[:2], "big") != key_tag(key) or ds[2] != key[3]:
        return False
    try:
        made = dns.dnssec.make_ds(_dns_name(zone), _rdata(rr.DNSKEY, key), ds[3], validating=True)  # type: ignore[arg-type]
    except (dns.exception.DNSException, ValueError):
        return None
    return made.digest == ds[4:]


def keys_in(records: Iterable[Record], zone: Name) -> Keys:
    """The DNSKEYs of a zone, without those that are too short to be any."""
    return frozenset(one.rdata for one in records_of(records, zone, rr.DNSKEY) if len(one.rdata) > _SHORTEST)


def ds_in(records: Iterable[Record], zone: Name) -> tuple[bytes, ...]:
    """The DS set of a zone in the form of `anchor`, without those that are too short to be any."""
    found = (one.rdata for one in records_of(records, zone, rr.DS) if len(one.rdata) > _SHORTEST)
    return tuple(sorted(bytes((rr.DS,)) + one for one in found))


def verify_keys(records: Sequence[Record], zone: Name, anchors: Iterable[bytes], now: int) -> tuple[Verified, Keys]:
    """Verify a zone's DNSKEY set against its DS set or anchors.

    Args:
        records: the answer section.
        zone: the apex.
        anchors: DS and DNSKEY rdata in the form of `anchor`.
        now: Unix seconds.

    Returns:
        What its signatures are worth, and the keys that are now trusted (none unless `valid`).
    """
    keys = keys_in(records, zone)
    if not keys:
        return Verified("absent", "the DS set has no DNSKEY to match"), frozenset()
    anchors = list(anchors)
    matched = match(zone, anchors, keys)
    if not matched.keys:
        if matched.unsupported:
            return Verified("unsupported", "the digest of its DS can't be computed here"), frozenset()
        return Verified("unmatched", "no DNSKEY matches the DS"), frozenset()
    verified = verify(records, zone, rr.DNSKEY, zone, matched.keys, now)
    return verified, keys if verified.state == "valid" else frozenset()


def same_by_all(verified: Verified, keysets: Mapping[str, Keys]) -> list[str]:
    """Whose keys, of these, do not include one that made the signatures."""
    wanted = set(verified.key_tags)
    return sorted(whose for whose, keys in keysets.items() if not wanted & {key_tag(key) for key in keys})


def algorithms(keys: Iterable[bytes]) -> tuple[tuple[int, int], ...]:
    """Key tag and algorithm of each DNSKEY."""
    return tuple(sorted((key_tag(key), key[3]) for key in keys))


def next_closer(name: Name, labels: int) -> Name:
    """The name one label longer than what is left of `name` with its last `labels` labels (RFC 5155 section 1.3)."""
    while len(names.labels_of(name)) > labels + 1:
        name = names.parent(name)
    return name
