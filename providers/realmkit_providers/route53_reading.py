"""A hosted zone read page by page: plain RRsets as records, all else as what it is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.dns import names, records
from realmkit.dns.records import RRset, Zone
from realmkit.errors import InputError, ProviderError
from realmkit_providers.route53_rows import Row, Special, rows_of, summed_up
from realmkit_providers.route53_text import name_from_text, value_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit_providers.route53_api import Api

PAGE: Final = "300"  # the most that ListResourceRecordSets gives at once (API reference)


class Reading(NamedTuple):
    """A zone, and the words in which its records were read."""

    zone: Zone
    spelled: dict[Key, tuple[str, ...]]


def read_zone(api: Api, zone: Name, zone_id: str) -> Reading:
    """All of a hosted zone. A page that is missing is an error and never the end.

    Raises:
        ProviderError and its kin: as `Api.read` does; and where what came is no whole zone.
    """
    shown = names.to_text(zone)
    rows: list[Row] = []
    special: list[Special] = []
    for page in _pages(api, shown, zone_id):
        some, other = page
        rows += some
        special += other
    reading = _reading(zone, zone_id, rows, special)
    if (zone, records.SOA) not in reading.zone.rrsets:
        raise ProviderError(
            f"{shown}: Route 53 listed hosted zone {zone_id} without its SOA, so it is not the whole zone"
        )
    return reading


def _pages(api: Api, shown: str, zone_id: str) -> Iterator[tuple[list[Row], list[Special]]]:
    start: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    while True:
        page = api.read("list_resource_record_sets", shown, HostedZoneId=zone_id, MaxItems=PAGE, **start)
        try:
            yield rows_of(page)
            if not page["IsTruncated"]:
                return
            following = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
        except (KeyError, TypeError) as error:
            raise ProviderError(f"{shown}: Route 53 answered with half a page of records: {error!r}") from None
        if "NextRecordIdentifier" in page:
            following["StartRecordIdentifier"] = page["NextRecordIdentifier"]
        if (place := tuple(following.values())) in seen:
            raise ProviderError(f"{shown}: Route 53 gives the same pages of records again and again, from {place}")
        seen.add(place)
        start = following


def _reading(zone: Name, zone_id: str, rows: Iterable[Row], special: Iterable[Special]) -> Reading:
    # a platform's zone says the same few things of thousands of realms, and each name several times
    name_of, value_of = cache(name_from_text), cache(value_from_text)
    rrsets: dict[Key, RRset] = {}
    spelled: dict[Key, tuple[str, ...]] = {}
    unread: list[str] = []
    opaque: dict[Key, str] = {}
    for row in rows:
        try:
            name, kind = name_of(row.name), records.type_from_text(row.type)
            opaque[name, kind] = "a set that realmkit can't read"
            rrset = RRset(name, kind, _ttl(row.ttl), frozenset([value_of(kind, value) for value in row.values]))
        except InputError as error:
            unread.append(f"{row.name} {row.type}: {error.message}")
            continue
        del opaque[name, kind]
        rrsets[name, kind] = rrset
        spelled[name, kind] = row.values
    for (text, kind_text), what in summed_up(special).items():
        unread.append(f"{text} {kind_text}: {what}")
        opaque |= _opaque(text, kind_text, what, name_of)
    read = Zone(zone, rrsets, zone_id, _serial(zone, rrsets), unread=tuple(unread), opaque=opaque)
    return Reading(read, spelled)


def _opaque(text: str, kind_text: str, what: str, name_of: Callable[[str], Name]) -> dict[Key, str]:
    try:
        return {(name_of(text), records.type_from_text(kind_text)): f"{what}, answered by Route 53's own rules"}
    except InputError:
        return {}


def _ttl(seconds: int) -> int:
    if not 0 <= seconds < 2**31:
        raise InputError(f"{seconds} is no TTL (RFC 2181 section 8)")
    return seconds


def _serial(zone: Name, rrsets: Mapping[Key, Any]) -> int | None:
    """The first of the five numbers at the SOA's end (RFC 1035 section 3.3.13). Route 53 never moves it."""
    soa = rrsets.get((zone, records.SOA))
    return int.from_bytes(next(iter(soa.rdata))[-20:-16], "big") if soa else None
