"""RRsets and zones: what every other file of this room is about.

Rdata is kept in canonical wire form (RFC 4034 section 6.2: no compression, names in lower case), so that two RRsets
are equal exactly when a name server would serve the same thing. Types that realmkit does not know are carried
along unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field

from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Type: TypeAlias = int
Key: TypeAlias = tuple[Name, Type]

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, NAPTR, DS, RRSIG, NSEC, DNSKEY, NSEC3, CAA = (
    1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 46, 47, 48, 50, 257,
)  # fmt: skip
SIGNING: Final = frozenset({RRSIG, NSEC, DNSKEY, NSEC3, 51, 59, 60})  # kept by the signer, not by people
_MNEMONIC: Final = MappingProxyType({
    A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", TXT: "TXT", AAAA: "AAAA", SRV: "SRV",
    NAPTR: "NAPTR", DS: "DS", RRSIG: "RRSIG", NSEC: "NSEC", DNSKEY: "DNSKEY", NSEC3: "NSEC3", CAA: "CAA",
})  # fmt: skip
_NUMBER: Final = MappingProxyType({text: number for number, text in _MNEMONIC.items()})


class RRset(Struct, frozen=True, gc=False):
    """All records of one name and type (RFC 2181 section 5).

    Attributes:
        name: owner, canonical wire.
        type: RR type code; the class is always IN.
        ttl: seconds, the same for all records of the set.
        rdata: each record's rdata, canonical wire; never empty.
    """

    name: Name
    type: Type
    ttl: int
    rdata: frozenset[bytes]

    @property
    def key(self) -> Key:
        """Name and type, by which a zone holds it."""
        return self.name, self.type


class Zone(Struct, frozen=True):
    """What a zone held at one moment.

    Attributes:
        name: the apex.
        rrsets: everything in it, by name and type.
        token: opaque to all but the provider; a later `apply` with it fails if the zone has moved since.
        serial: the SOA serial, where there is one.
        owners: who the provider's own notes say each RRset belongs to.
        mixed: sets whose records had differing TTLs (RFC 2181 section 5.2 forbids it); `ttl` is the lowest.
        unread: what the provider could not read, in words; a plan over it would be blind there.
        opaque: sets that are there and can't be said as records (an alias that the backend expands when it answers, a
            proxied address, weighted answers), with what they are. Nothing is ever written over them.
        proxied: names whose addresses are a web proxy's: browsers get through, SIP and mail do not.
        blind: what this provider never shows, in words; empty where it shows everything.
    """

    name: Name
    rrsets: Mapping[Key, RRset]
    token: str = ""
    serial: int | None = None
    owners: Mapping[Key, str] = field(default_factory=dict)
    mixed: frozenset[Key] = frozenset()
    unread: tuple[str, ...] = ()
    opaque: Mapping[Key, str] = field(default_factory=dict)
    proxied: frozenset[Name] = frozenset()
    blind: str = ""


def zone_of(name: Name, rrsets: Iterable[RRset], **more: object) -> Zone:
    """A zone from its RRsets; `more` are further attributes of `Zone`."""
    return Zone(name, {rrset.key: rrset for rrset in rrsets}, **more)  # type: ignore[arg-type]


def type_to_text(number: Type) -> str:
    """`NAPTR`, or `TYPE65534` for what has no mnemonic (RFC 3597 section 5)."""
    if number in _MNEMONIC:
        return _MNEMONIC[number]
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def key_to_text(key: Key) -> str:
    """`acme.example. MX`."""
    return f"{names.to_text(key[0])} {type_to_text(key[1])}"


def listing(keys: Sequence[Key], most: int = 8) -> str:
    """Names and types, the first few."""
    more = len(keys) - most
    return ", ".join(map(key_to_text, keys[:most])) + (f" and {more} more" if more > 0 else "")


def type_from_text(text: str) -> Type:
    """The RR type code of a mnemonic or of `TYPEnnn`.

    Raises:
        InputError: no such type.
    """
    if (number := _NUMBER.get(text) or _NUMBER.get(text.upper())) is not None:
        return number
    import dns.rdatatype

    try:
        return int(dns.rdatatype.from_text(text))
    except (dns.rdatatype.UnknownRdatatype, ValueError) as error:
        raise InputError(f"{text!r} is no record type") from error


def serial_newer(a: int, b: int) -> bool:
    """Whether serial `a` is later than `b` (RFC 1982 section 3.2); opposite serials are not."""
    return a != b and (a - b) % 2**32 < 2**31
