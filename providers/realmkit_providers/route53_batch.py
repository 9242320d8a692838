"""Changes as Route 53 takes them: for each RRset a DELETE of what it was and a CREATE of what it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from realmkit.dns import names, rdata, records
from realmkit.dns.provider import Weight
from realmkit.dns.records import key_to_text
from realmkit.errors import InputError, RejectedError
from realmkit_providers.route53_text import name_to_text, value_from_text, value_to_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Change
    from realmkit.dns.records import Key, RRset

    Spelled = Mapping[Key, tuple[str, ...]]

# RRType of the API's service model (botocore 1.44.8), less the SOA, which is the zone's own
TYPES: Final = frozenset({
    records.A, records.NS, records.CNAME, records.PTR, records.MX, records.TXT, records.AAAA, records.SRV,
    records.NAPTR, records.DS, records.CAA, 44, 52, 64, 65, 99,  # SSHFP, TLSA, SVCB, HTTPS, SPF
})  # fmt: skip


def batch(zone: Name, changes: Sequence[Change], spelled: Spelled) -> list[dict[str, Any]]:
    """The elements of a change batch, all DELETEs first: a name may stop being a CNAME and become an A in one batch.

    Args:
        zone: the apex.
        changes: what was and what is to be.
        spelled: the words in which records were read, by name and type.

    Raises:
        RejectedError: one of them can't be said in Route 53's words. Nothing was sent.
    """
    for change in changes:
        _check(zone, change)
    goes = [_element("DELETE", change.before, _deleted(change.before, spelled)) for change in changes if change.before]
    comes = [_element("CREATE", change.after, _values(change.after)) for change in changes if change.after]
    return goes + comes


def weigh(changes: Sequence[Change], spelled: Spelled) -> Weight:
    """ResourceRecord elements and characters of Value elements, before and after: what AWS counts of a batch."""
    values: list[str] = []
    for change in changes:
        if change.before:
            values += _deleted(change.before, spelled)
        if change.after:
            values += _values(change.after)
    return Weight(len(values), sum(map(len, values)))


def _check(zone: Name, change: Change) -> None:
    name, kind = change.key
    if kind not in TYPES:
        raise RejectedError(f"{key_to_text(change.key)}: Route 53 holds no such records, or keeps them itself")
    if not names.is_under(name, zone):
        raise RejectedError(f"{key_to_text(change.key)} lies outside of {names.to_text(zone)}")
    if change.after and not all(rdata.well_formed(kind, wire) for wire in change.after.rdata):
        raise RejectedError(f"{key_to_text(change.key)}: that is no rdata of its type")


def _element(action: str, rrset: RRset, values: Sequence[str]) -> dict[str, Any]:
    return {
        "Action": action,
        "ResourceRecordSet": {
            "Name": name_to_text(rrset.name),
            "Type": records.type_to_text(rrset.type),
            "TTL": rrset.ttl,
            "ResourceRecords": [{"Value": value} for value in values],
        },
    }


def _deleted(rrset: RRset, spelled: Spelled) -> Sequence[str]:
    """The values to delete, in the words in which they were read where those are known."""
    words = spelled.get(rrset.key)
    if words is not None:
        try:
            if frozenset(value_from_text(rrset.type, word) for word in words) == rrset.rdata:
                return words
        except InputError:
            pass
    return _values(rrset)


def _values(rrset: RRset) -> list[str]:
    try:
        return [value_to_text(rrset.type, wire) for wire in sorted(rrset.rdata)]
    except InputError as error:
        raise RejectedError(f"{key_to_text(rrset.key)}: {error.message}") from error
