"""Dynamic update (RFC 2136): one message that changes a zone as a whole or not at all.

The message first names the SOA that the zone must have, which locks out a second writer; then come the steps.

What fits is a matter of names. A pointer reaches the first 16,384 octets only, so each name is written there once, by
the shortest of its steps, and every other step of it points there. How many octets a change takes is told in advance,
never too few and hardly too many: see `Load`.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.plan import group_of
from realmkit.dns.primary import tsig
from realmkit.dns.primary.writer import ANSWER, AUTHORITY, COMPRESSIBLE, REACH, Writer
from realmkit.dns.wire import Record
from realmkit.errors import OutcomeUnknownError, RejectedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.primary.transfer import Source
    from realmkit.dns.records import RRset

Step: TypeAlias = tuple[Record, int]
"""A record of the update section with its class."""

_FIXED: Final = 10  # type, class, TTL and length of a record
_POINTER: Final = 2
_LONGEST_SOA: Final = 255 + 255 + 20
_HEAD: Final = 12 + (255 + 4) + (_POINTER + _FIXED + _LONGEST_SOA)  # header, zone, prerequisite
FRAME: Final = _HEAD + tsig.MAX_SIZE
"""The most octets of a message that are not steps: header, zone, SOA prerequisite, signature."""

ROOM: Final = wire.MAX_MESSAGE - FRAME
"""The octets that steps may take in any case."""

_WITHIN_REACH: Final = (REACH - _HEAD) / ROOM  # the share of the room that pointers reach


def message(zone: Name, changes: Iterable[Change], soa: bytes) -> bytes:
    """The update without its id.

    Args:
        zone: the apex.
        changes: what is to be done; no SOA among it. None at all only asks whether the SOA is this one.
        soa: rdata of the SOA that the zone must have (a prerequisite by value, RFC 2136 section 2.4.2).

    Raises:
        RejectedError: it does not fit one message.
    """
    writer = Writer(0, wire.OPCODE_UPDATE)
    writer.question(zone, rr.SOA)
    writer.record(ANSWER, Record(zone, rr.SOA, 0, soa))
    for record, class_ in _in_order(zone, changes):
        writer.record(AUTHORITY, record, class_)
    if len(writer) + tsig.MAX_SIZE > wire.MAX_MESSAGE:
        raise RejectedError(f"the update takes {len(writer)} octets; a message has room for {wire.MAX_MESSAGE}")
    return writer.to_bytes()[2:]


def steps(change: Change, zone: Name) -> Iterator[Step]:
    """What is done for one change (RFC 2136 section 2.5).

    A set is always deleted and put in anew. To add its records alone would be enough for a new TTL by section 3.4.2.2,
    and is on BIND; but Knot passes over a record that is there already, and PowerDNS puts a NAPTR in twice.
    """
    before, after = change.before, change.after
    if change.key == (zone, rr.NS):
        yield from _steps_of_apex_ns(zone, before, after)
        return
    if before is not None:
        yield Record(before.name, before.type, 0, b""), wire.ANY
    if after is not None:
        for rdata in sorted(after.rdata):
            yield Record(after.name, after.type, after.ttl, rdata), wire.IN


class Load:
    """How many octets the changes of one group take, told change by change.

    A group's names end in the same labels. In the best case each name is written once, within reach of pointers, and
    the labels that all share are written once for all. The best case can be promised if those names claim no more of
    the octets within reach than the group's share: then all groups of a full message can have it. A group of short
    records and long names can't promise it. It is reckoned as if nothing was shared, or with as much weight as gives
    it the share that it needs, whichever is less.

    Args:
        base: the group (`plan.group_of`).
        zone: the apex, or a name above it: what is reckoned is then a little too much. The root if it is unknown.
    """

    def __init__(self, base: Name, zone: Name) -> None:
        self.base = base
        self._zone = zone
        self._shared = _name_size(base, zone) - _POINTER
        self._names: dict[Name, int] = {}  # octets of rdata in the shortest step of each name
        self._single = self._rest = self._prefixes = 0
        self._reckoned = 0

    @property
    def is_dense(self) -> bool:
        """Whether the best case holds: its names claim no more within reach than its share."""
        return self._dense <= self._single

    def add(self, change: Change) -> tuple[int, int]:
        """Take in a change.

        Returns:
            How many steps it has, and how many octets the group takes more because of it, at the most.
        """
        todo = self._steps(change)
        if not todo:
            return 0, 0  # a change to what is there already
        name = change.key[0]
        sizes = [_rdata_size(record, self._zone) for record, _ in todo]
        before = self._names.get(name)
        if before is None:
            self._prefixes += len(name) - len(self.base)
        self._names[name] = min(sizes if before is None else [before, *sizes])
        self._rest += sum(sizes) + len(sizes) * (_POINTER + _FIXED)
        self._single += sum(sizes) + len(sizes) * (_name_size(name, self._zone) + _FIXED)
        reckoned = max(self._reckoned, min(self._single, self._dense))
        more, self._reckoned = reckoned - self._reckoned, reckoned
        return len(todo), more

    @property
    def _dense(self) -> int:
        """Octets with every name written once; at least so many that the names are within reach."""
        written = self._shared + self._prefixes
        within_reach = written + sum(self._names.values()) + len(self._names) * (_POINTER + _FIXED)
        return max(written + self._rest, math.ceil(within_reach / _WITHIN_REACH))

    def _steps(self, change: Change) -> list[Step]:
        """The steps; of an NS set, which for all that is known may be the apex's, those of both ways."""
        todo = list(steps(change, self._zone))
        if change.key[1] == rr.NS and change.key[0] != self._zone:
            todo += steps(change, change.key[0])
        return todo


def _in_order(zone: Name, changes: Iterable[Change]) -> Iterator[Step]:
    """All steps: first the shortest step of each name, then what else is deleted, then what else is added.

    Groups for which `Load` promises the best case go first. A name that has anything to delete begins with that, so a
    CNAME is gone before what takes its place comes. Steps of the apex keep their order: its name is in reach anyhow.
    """
    loads: list[tuple[Load, list[Step]]] = []
    for base, members in groupby(changes, key=lambda change: group_of(change.key[0])):
        load = Load(base, zone)
        todo: list[Step] = []
        for change in members:
            load.add(change)
            todo += steps(change, zone)
        loads.append((load, todo))
    loads.sort(key=lambda pair: not pair[0].is_dense)
    ordered = [step for _, todo in loads for step in todo]
    first: dict[Name, int] = {}
    for number, (record, class_) in enumerate(ordered):
        if record.name != zone:
            best = first.setdefault(record.name, number)
            if (class_ == wire.IN, len(record.rdata)) < (ordered[best][1] == wire.IN, len(ordered[best][0].rdata)):
                first[record.name] = number
    names_first = sorted(first.values())
    taken = frozenset(names_first)
    rest = [step for number, step in enumerate(ordered) if number not in taken]
    rest.sort(key=lambda step: step[1] == wire.IN and step[0][:2] != (zone, rr.NS))
    yield from (ordered[number] for number in names_first)
    yield from rest


def _rdata_size(record: Record, zone: Name) -> int:
    before = COMPRESSIBLE.get(record.type)
    if before is None or not record.rdata:
        return len(record.rdata)
    return before + _name_size(record.rdata[before:], zone)


def _name_size(name: Name, zone: Name) -> int:
    """Its labels, as far as it does not share the zone's, and a pointer into the zone's name if it shares any."""
    while zone != names.ROOT:
        if names.is_under(name, zone):
            return len(name) - len(zone) + _POINTER
        zone = names.parent(zone)
    return len(name)


def send(request: bytes, source: Source) -> int:
    """Send an update and wait for its answer.

    Args:
        request: of `message`.
        source: the server, and how to speak with it.

    Returns:
        The answer's rcode. Unless it is NOERROR, nothing was changed.

    Raises:
        UnreachableError: it could not be sent.
        OutcomeUnknownError: it was sent, and no answer came that can be believed.
        AuthError: the server did not take the signature.
    """
    with source.request() as link:
        link.send(request)
        try:
            answer = link.receive()
            link.finish()
        except tsig.UnsignedRefusalError as error:
            if error.rcode in (wire.REFUSED, wire.NOTAUTH):
                raise
            return error.rcode
        except (UnreachableError, tsig.UnverifiedError) as error:
            raise OutcomeUnknownError(f"the update was sent, but: {error.message}", hint=error.hint) from error
        return answer.rcode


def _steps_of_apex_ns(zone: Name, before: RRset | None, after: RRset | None) -> Iterator[Step]:
    """The NS set of the apex can't be deleted whole, nor can its last record (RFC 2136 sections 3.4.2.3 and 3.4.2.4).

    So new ones come before old ones go. A new TTL is put on by adding what is there already. BIND and PowerDNS take it;
    Knot takes it only along with a new record. A record that goes and comes back would bring it about on Knot, but
    PowerDNS, which deletes these last, would be left without that record.
    """
    old = before.rdata if before else frozenset()
    new = after.rdata if after else frozenset()
    same_ttl = before is not None and after is not None and before.ttl == after.ttl
    for rdata in sorted(new - old if same_ttl else new):
        yield Record(zone, rr.NS, after.ttl if after else 0, rdata), wire.IN
    for rdata in sorted(old - new):
        yield Record(zone, rr.NS, 0, rdata), wire.NONE
