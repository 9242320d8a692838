"""Hosted zones of the stand-in: record sets, change batches taken whole or not at all, protections.

Where the words of an error were seen in public, the thread is named; `ours` marks words that only say what AWS would
mean. The rules are the API reference's, ChangeResourceRecordSets.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.standins.published import Served
from tests.standins.route53_values import TYPES, RefusedError, canonical, check, sort_key, zone_file_text

MOST_ELEMENTS = 1000
MOST_CHARACTERS = 32_000
SetKey = tuple[str, str, str]  # sort key of the name, type, set identifier


class RecordSet(NamedTuple):
    """A record set.

    Attributes:
        name: as answers show it.
        type: mnemonic.
        ttl: seconds; None for an alias.
        values: as they were written.
        identifier: of a set of a routing policy, else empty.
        rest: its other elements, as XML.
    """

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...]
    identifier: str = ""
    rest: str = ""

    @property
    def key(self) -> SetKey:
        return sort_key(self.name), self.type, self.identifier

    @property
    def shown(self) -> str:
        """As AWS names it in errors."""
        more = f", set-identifier='{self.identifier}'" if self.identifier else ""
        return f"[name='{self.name}', type='{self.type}'{more}]"

    @property
    def is_plain(self) -> bool:
        return not self.rest

    def xml(self) -> str:
        records = "".join(f"<ResourceRecord><Value>{escape(one)}</Value></ResourceRecord>" for one in self.values)
        ttl = "" if self.ttl is None else f"<TTL>{self.ttl}</TTL>"
        listed = f"<ResourceRecords>{records}</ResourceRecords>" if records else ""
        head = f"<Name>{escape(self.name)}</Name><Type>{self.type}</Type>"
        return f"<ResourceRecordSet>{head}{self.rest}{ttl}{listed}</ResourceRecordSet>"

    def same_as(self, other: RecordSet) -> bool:
        """Whether DELETE of this one fits: all the same values, TTL included, in any order.

        The reference says no more; that another spelling of a value is another value is the strict reading of it.
        """
        return (self.ttl, sorted(self.values), self.rest) == (other.ttl, sorted(other.values), other.rest)


class Edit(NamedTuple):
    """An element of a change batch."""

    action: str
    record_set: RecordSet


@dataclass
class HostedZone:
    """A hosted zone.

    Attributes:
        id, account: whose it is.
        name: as answers show it.
        sets: its record sets.
        protections: comment by name and type.
    """

    id: str
    account: str
    name: str
    private: bool = False
    sets: dict[SetKey, RecordSet] = field(default_factory=dict)
    protections: dict[tuple[str, str], str] = field(default_factory=dict)
    _order: list[SetKey] | None = None

    def put(self, record_set: RecordSet) -> None:
        """Write a set past all rules."""
        self.sets[record_set.key] = record_set
        self._order = None

    def drop(self, key: SetKey) -> None:
        """Take a set away past all rules."""
        self.sets.pop(key, None)
        self._order = None

    def page(self, start: SetKey, most: int) -> tuple[list[RecordSet], RecordSet | None]:
        """Sets from `start` on, and the one that the next page begins with."""
        if self._order is None:
            self._order = sorted(self.sets)
        first = bisect_left(self._order, start)
        keys = self._order[first : first + most + 1]
        found = [self.sets[key] for key in keys]
        return found[:most], found[most] if len(found) > most else None

    def served(self) -> list[Served]:
        """What the name servers answer: all plain sets but those of the apex that are the server's own."""
        return [
            Served(zone_file_text(one.name), one.ttl or 0, one.type, tuple(map(zone_file_text, one.values)))
            for one in self.sets.values()
            if one.is_plain and (one.name != self.name or one.type not in ("SOA", "NS"))
        ]

    def change(self, edits: list[Edit]) -> None:
        """Take a batch.

        Raises:
            RefusedError: nothing was changed.
        """
        _within_limits(edits)
        after = dict(self.sets)
        of_policies = {key for key in after if key[2]}
        refused = []
        for edit in edits:
            try:
                self._check(edit, after, of_policies)
            except RefusedError as error:
                refused.append(str(error))
                continue
            key = edit.record_set.key
            if edit.action == "DELETE":
                del after[key]
                of_policies.discard(key)
            else:
                after[key] = edit.record_set
                of_policies |= {key} if key[2] else set()
        if refused:  # several stand in brackets (kubernetes-sigs/external-dns#5939)
            raise RefusedError(f"[{', '.join(refused)}]" if len(refused) > 1 else refused[0])
        self.sets = after
        self._order = None

    def _check(self, edit: Edit, after: dict[SetKey, RecordSet], of_policies: set[SetKey]) -> None:
        action, one = edit
        if one.name != self.name and not one.name.endswith("." + self.name):  # kcp-dev/kcp-glbc#475
            raise RefusedError(f"RRSet with DNS name {one.name} is not permitted in zone {self.name}")
        comment = self.protections.get((one.name, one.type))
        if comment is not None:  # that name and comment are told is documented; the words are ours
            raise RefusedError(f"The resource record set {one.shown} is protected{f' ({comment})' if comment else ''}")
        there = after.get(one.key)
        if action == "DELETE":
            self._check_delete(one, there)
            return
        if action == "CREATE" and there is not None:  # kubernetes-sigs/external-dns#5939
            raise RefusedError(f"Tried to create resource record set {one.shown} but it already exists")
        _check_values(one)
        beside = [after[key] for kind in TYPES if (key := (one.key[0], kind, "")) in after]
        beside += [after[key] for key in of_policies if key[0] == one.key[0]]
        _check_beside(one, [other for other in beside if other.key != one.key], self.name)

    def _check_delete(self, one: RecordSet, there: RecordSet | None) -> None:
        tried = f"Tried to delete resource record set {one.shown}"
        if there is None:  # boto/boto#2887
            raise RefusedError(f"{tried} but it was not found")
        if not there.same_as(one):  # hashicorp/terraform#18509
            raise RefusedError(f"{tried} but the values provided do not match the current values")
        if one.name == self.name and one.type in ("SOA", "NS"):  # from memory
            raise RefusedError(f"A HostedZone must contain exactly one {one.type} record")


def _within_limits(edits: list[Edit]) -> None:
    """Developer Guide, "Quotas": elements and characters, an UPSERT's twice. Words of the first as moto gives them."""
    times = [(2 if edit.action == "UPSERT" else 1, edit.record_set.values) for edit in edits]
    if sum(factor * len(values) for factor, values in times) > MOST_ELEMENTS:
        raise RefusedError("Number of records limit of 1000 exceeded.")
    if sum(factor * len(value) for factor, values in times for value in values) > MOST_CHARACTERS:
        raise RefusedError("Number of characters limit of 32000 exceeded.")


def _check_values(one: RecordSet) -> None:
    if one.type not in TYPES:
        raise RefusedError(f"Invalid type {one.type}")
    if one.name.startswith("\\052.") and one.type == "NS":  # documented; the words are ours
        raise RefusedError("An NS record can't be a wildcard")
    if one.ttl is not None and not 0 <= one.ttl <= 2**31 - 1:
        raise RefusedError(f"Invalid TTL {one.ttl}")
    if len(set(one.values)) < len(one.values):  # from memory
        raise RefusedError(f"Duplicate Resource Record: '{one.values[0]}'")
    for value in one.values:
        check(one.type, value)


def _check_beside(one: RecordSet, beside: list[RecordSet], zone: str) -> None:
    """CNAME beside other data, and plain sets beside those of a routing policy."""
    if one.type == "CNAME" and one.name == zone:  # from memory
        raise RefusedError(f"RRSet of type CNAME with DNS name {one.name} is not permitted at apex in zone {zone}")
    for other in beside:
        if (one.type == "CNAME") != (other.type == "CNAME"):  # presslabs/zinc#178
            raise RefusedError(
                f"RRSet of type {one.type} with DNS name {one.name} is not permitted because a conflicting RRSet of "
                f"type {other.type} with the same DNS name already exists in zone {zone}"
            )
        if one.type == other.type and bool(one.identifier) != bool(
            other.identifier
        ):  # gympass/cdn-origin-controller#102
            raise RefusedError(
                f"RRSet with DNS name {one.name}, type {one.type} cannot be created as other RRSets exist with the "
                "same name and type."
            )


def canonical_set(
    name: str, kind: str, ttl: int | None, values: tuple[str, ...], identifier: str = "", rest: str = ""
) -> RecordSet:
    """A record set with its name as answers show it. Raises RefusedError."""
    return RecordSet(canonical(name), kind, ttl, values, identifier, rest)
