"""octoDNS's records as our RRsets and back, and what is lost on the way.

octoDNS keeps values as each record class sees fit, not as octets. `Record.to_rrset` and `Record.from_rrset` (1.22)
give and take zone file text; what follows was seen with them on 2026-11-25:

- TXT is one string: the borders between a record's strings are lost, and 255 octets make a new one. Whether a
  backslash in it is an escape is for each provider package to say, and they differ (octodns-powerdns keeps escapes,
  octodns-bind resolves them), so text with a backslash, a quote or anything beyond printable ASCII is not trusted.
- NAPTR flags come back in capitals, and none but S, A, U and P are taken. A regexp with a space in it is not.
- A record with `dynamic` or `geo` parts, of a type of one package (`Route53Provider/ALIAS`), or with settings of its
  own in `octodns` (a proxied address of Cloudflare) is more than records of DNS can say.
"""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.records import RRset, Zone, key_to_text
from realmkit.errors import InputError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type
    from realmkit_providers.octodns_errors import Words

_TEXTS: Final = ("TXT", "SPF")
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*\Z")  # printable ASCII without quote and backslash


class Reading(NamedTuple):
    """What a class showed of a zone.

    Attributes:
        zone: as ours.
        octo: as octoDNS's, an `octodns.zone.Zone`.
        records: octoDNS's records, those that `zone.rrsets` holds, by key.
    """

    zone: Zone
    octo: Any
    records: dict[Key, Any]


def reading_of(octo: Any, zone: Name, words: Words, blind: str) -> Reading:
    """What an octoDNS zone holds.

    Args:
        octo: an `octodns.zone.Zone`, populated.
        zone: the apex.
        words: tames the texts of others.
        blind: what every reading of this class can't see.
    """
    rrsets: dict[Key, RRset] = {}
    records: dict[Key, Any] = {}
    opaque: dict[Key, str] = {}
    unread: list[str] = []
    others: list[str] = []
    proxied: set[Name] = set()
    for record in sorted(octo.records, key=lambda one: (one.fqdn, one._type)):
        try:
            rrset = rrset_of(record, zone)
            rrsets[rrset.key], records[rrset.key] = rrset, record
        except InputError as error:
            others.append(repr(record))
            what = words.tamed(error.message)
            unread.append(f"{words.tamed(record.fqdn)} {record._type}: {what}")
            hidden = list(_hidden(record))
            opaque.update((key, f"{record._type}, {what}") for key in hidden)
            proxied.update(key[0] for key in hidden if _is_proxied(record))
    soa = rrsets.get((zone, rr.SOA))
    serial = int.from_bytes(min(soa.rdata)[-20:-16], "big") if soa else None  # RFC 1035 section 3.3.13
    token = _token(rrsets.values(), others)
    shown = Zone(
        zone, rrsets, token, serial, unread=tuple(unread), opaque=opaque, proxied=frozenset(proxied), blind=blind
    )
    return Reading(shown, octo, records)


def rrset_of(record: Any, zone: Name) -> RRset:
    """One octoDNS record as an RRset.

    Raises:
        InputError: it is more than an RRset can say, or can't be read; the text says why.
    """
    if (why := _unsayable(record)) is not None:
        raise InputError(why)
    name, kind = key_of(record)
    if not names.is_under(name, zone):
        raise InputError("it lies outside the zone")
    if not 0 <= record.ttl < 2**31:
        raise InputError(f"{record.ttl} is no TTL (RFC 2181 section 8)")
    try:
        plain = record._type not in _TEXTS or all(_PLAIN.match(str(one).replace(r"\;", ";")) for one in record.values)
        texts = record.to_rrset().rdatas
    except Exception as error:  # record and value classes of others
        raise InputError(f"octoDNS can't write it down: {type(error).__name__}: {error}") from None
    if not plain:
        raise InputError(
            "its text holds a quote, a backslash or more than ASCII, which octoDNS's packages read unalike"
        )
    return RRset(name, kind, record.ttl, frozenset([rdata.from_text(kind, text) for text in texts]))


def key_of(record: Any) -> Key:
    """Name and type. Raises InputError where the type is none of DNS."""
    return names.from_text(record.fqdn), rr.type_from_text(record._type)


def record_of(rrset: RRset, octo: Any, source: Any, words: Words) -> Any:
    """An RRset as an octoDNS record that says exactly the same.

    Args:
        rrset: what is to be written.
        octo: the `octodns.zone.Zone` that it is for.
        source: the provider, for octoDNS's logs.
        words: tames octoDNS's reasons.

    Raises:
        RejectedError: octoDNS refuses it, or would make something else of it.
    """
    from octodns.record import Record
    from octodns.record.rr import Rrset

    shown = key_to_text(rrset.key)
    texts = [rdata.to_text(rrset.type, wire) for wire in sorted(rrset.rdata)]
    grouped = Rrset(names.to_text(rrset.name), rr.type_to_text(rrset.type), rrset.ttl, texts)
    try:
        record = Record.from_rrset(octo, grouped, source=source)
        there = rrset_of(record, octo_name(octo))
    except InputError as error:
        raise RejectedError(f"{shown}: octoDNS can't carry it unchanged: {error.message}") from None
    except Exception as error:  # record classes of others; octoDNS's own raise several kinds
        raise RejectedError(f"{shown}: octoDNS refuses it: {words.tamed(str(error))}") from None
    if there != rrset:
        raise RejectedError(
            f"{shown}: octoDNS would write {said(there)} instead of {said(rrset)}",
            hint="write it in the form that octoDNS keeps, or use another provider for this zone",
        )
    return record


def octo_name(octo: Any) -> Name:
    """The apex of an octoDNS zone."""
    return names.absolute(octo.name)


def said(rrset: RRset | None) -> str:
    """TTL and rdata, for a message."""
    if rrset is None:
        return "nothing"
    return f"{rrset.ttl} " + ", ".join(sorted(rdata.to_text(rrset.type, one) for one in rrset.rdata))


def types_of(supports: Iterable[str]) -> dict[Type, str]:
    """The types of DNS among what a class says that it supports, by number, in the order of their names."""
    found: dict[Type, str] = {}
    for text in sorted(supports):
        with suppress(InputError):
            found[rr.type_from_text(text)] = text
    return found


def _unsayable(record: Any) -> str | None:
    """Why a record is more than an RRset can say; None where it is not."""
    if getattr(record, "dynamic", None) or getattr(record, "geo", None):
        return "its answers depend on who asks, or on health checks"
    if "/" in record._type or record._type == "ALIAS":
        return "no type of DNS; the service makes its answers up"
    own = {key: value for key, value in record.octodns.items() if key != "lenient"}
    return f"it has settings of its own at the service: {own}" if own else None


def _hidden(record: Any) -> Iterator[Key]:
    """The RRsets that such a record stands for."""
    kinds = [record._type]
    if "/" in record._type or record._type == "ALIAS":  # LUA records of PowerDNS name their type in each value
        values = getattr(record, "values", [])
        kinds = [one for one in (getattr(value, "_type", None) for value in values) if one] or ["A", "AAAA"]
    for kind in kinds:
        with suppress(InputError):
            yield names.from_text(record.fqdn), rr.type_from_text(kind)


def _is_proxied(record: Any) -> bool:
    """Whether a web proxy answers for it, as octodns-cloudflare says in the record's settings."""
    return any(isinstance(own, dict) and own.get("proxied") for own in record.octodns.values())


def _token(rrsets: Iterable[RRset], others: Iterable[str]) -> str:
    """A digest of a zone's content in any order. The SOA is left out, for its serial moves by itself."""
    total = sum(_digest(text.encode(errors="backslashreplace")) for text in others)
    for rrset in rrsets:
        if rrset.type != rr.SOA:
            head = b"%b%d %d %d " % (rrset.name, rrset.type, rrset.ttl, len(rrset.rdata))
            total += _digest(head + b"".join([b"%d:%b" % (len(wire), wire) for wire in sorted(rrset.rdata)]))
    return f"{total % 2**128:032x}"


def _digest(octets: bytes) -> int:
    return int.from_bytes(blake2b(octets, digest_size=16).digest(), "big")


def differing(before: Mapping[Key, RRset], after: Mapping[Key, RRset]) -> set[Key]:
    """The keys at which two readings differ, the SOA's apart."""
    return {key for key in {*before, *after} if before.get(key) != after.get(key) and key[1] != rr.SOA}
