"""Zone transfers: the whole zone (AXFR, RFC 5936), or what changed since a snapshot (IXFR, RFC 1995).

A zone comes complete or not at all: what is cut short, ends with another SOA than it began with, or does not fit the
snapshot that it continues, is an error and never half a zone.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.primary.request import Request, Server
from realmkit.dns.primary.tsig import UnsignedRefusalError
from realmkit.dns.primary.writer import AUTHORITY, Writer
from realmkit.dns.records import RRset, Zone
from realmkit.dns.wire import Record
from realmkit.errors import AuthError, NoZoneError, ProviderError, RejectedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.clock import Clock
    from realmkit.dns.names import Name
    from realmkit.dns.primary.tsig import Key as TsigKey
    from realmkit.dns.records import Key

TIMEOUT: Final = 30.0


class Source(NamedTuple):
    """Where a zone is read from, and how.

    Attributes:
        server: its address.
        key: signs the request and checks the answer; None for an unsigned transfer.
        timeout: seconds for a whole transfer, from connecting to the last octet.
        clock: for the deadline and the signatures; None for the machine's.
    """

    server: Server
    key: TsigKey | None = None
    timeout: float = TIMEOUT
    clock: Clock | None = None

    def request(self) -> Request:
        """A connection for one request."""
        return Request(self.server, self.key, self.timeout, self.clock)


class Delta(NamedTuple):
    """One step of a zone from a serial to the next (RFC 1995 section 4).

    Attributes:
        soa: the zone's SOA after the step.
        removed: records that are taken away, all of them before
        added: is put in. A changed TTL is a record removed and added again. SOA records are in neither.
    """

    soa: Record
    removed: list[Record]
    added: list[Record]


class OutOfStepError(ProviderError):
    """The steps do not continue the snapshot. The whole zone has to be read."""


def axfr(zone: Name, source: Source) -> Zone:
    """Read a whole zone.

    Args:
        zone: the apex.
        source: whom to ask.

    Returns:
        The zone; its token is the SOA's rdata in hex, to be used as a lock on exactly this state.

    Raises:
        AuthError: the server refuses, or a signature is missing or wrong.
        RejectedError: the server does not have the zone.
        UnreachableError: no answer, or one that was cut short.
    """
    with source.request() as request:
        request.send(wire.query(zone, wire.AXFR, payload=None))
        found = _whole(zone, _answers(request, zone, source))
        request.finish()
        return found


def ixfr(base: Zone, source: Source) -> Zone:
    """Bring a snapshot up to date, by its changes alone where the server tells them.

    Args:
        base: an earlier result of this function or of `axfr`.
        source: whom to ask.

    Raises:
        AuthError, RejectedError, UnreachableError: as `axfr`.
    """
    found = changes_since(base, source)
    if isinstance(found, Zone):
        return found
    try:
        return replay(base, found)
    except OutOfStepError:
        return axfr(base.name, source)


def changes_since(base: Zone, source: Source) -> list[Delta] | Zone:
    """What happened to a zone since a snapshot.

    Returns:
        The steps, oldest first, none if the snapshot is current; or the whole zone, where the server has no steps
        to tell or they would not fit the snapshot.

    Raises:
        AuthError, RejectedError, UnreachableError: as `axfr`.
    """
    if base.mixed:  # which record has which TTL is not known, so steps could not be followed
        return axfr(base.name, source)
    try:
        with source.request() as request:
            request.send(_ixfr_query(base))
            found = _steps_or_whole(base, _answers(request, base.name, source))
            request.finish()
            return found
    except (OutOfStepError, RejectedError):
        return axfr(base.name, source)  # says what is wrong, if it is more than a server without IXFR


def replay(base: Zone, deltas: Sequence[Delta]) -> Zone:
    """The zone after the steps.

    Raises:
        OutOfStepError: a step removes what is not there, or adds what is.
    """
    if not deltas:
        return base
    touched: dict[Key, dict[bytes, int]] = {}
    for delta in deltas:
        for record in delta.removed:
            if _held(touched, base, record).pop(record.rdata, None) is None:
                raise OutOfStepError(f"{names.to_text(record.name)}: a record is removed that was not there")
        for record in delta.added:
            held = _held(touched, base, record)
            if record.rdata in held:
                raise OutOfStepError(f"{names.to_text(record.name)}: a record is added that was there")
            held[record.rdata] = record.ttl
    soa = deltas[-1].soa
    touched[soa.name, rr.SOA] = {soa.rdata: soa.ttl}
    rrsets = dict(base.rrsets)
    for key, records in touched.items():
        if records:
            rrsets[key] = RRset(*key, min(records.values()), frozenset(records))
        else:
            rrsets.pop(key, None)
    mixed = frozenset(key for key, records in touched.items() if len(set(records.values())) > 1)
    return _zone(base.name, rrsets, soa.rdata, mixed)


def soa_from_token(token: str) -> bytes:
    """The SOA rdata that a zone's token stands for.

    Raises:
        ValueError: it is no token of a zone that was transferred.
    """
    soa = bytes.fromhex(token)
    if len(soa) < 22:
        raise ValueError("too short for an SOA")
    return soa


def serial_of(soa: bytes) -> int:
    """The serial in the rdata of an SOA."""
    return int.from_bytes(soa[-20:-16], "big")


# --- the messages of a transfer ------------------------------------------------------------------------------


def _answers(request: Request, zone: Name, source: Source) -> Iterator[list[Record]]:
    """The records of each message. It never ends of itself: the receiver knows when the zone is complete."""
    received = 0
    while True:
        try:
            message = request.receive()
        except UnreachableError as error:
            if not received:
                raise
            text = f"the transfer of {names.to_text(zone)} was cut after {received} records: {error.message}"
            raise UnreachableError(text, hint=error.hint) from error
        except UnsignedRefusalError as error:
            raise _refusal(error.rcode, zone, source, signed=False) from error
        if message.rcode != wire.NOERROR:
            raise _refusal(message.rcode, zone, source, signed=source.key is not None)
        if not message.answer:
            raise RejectedError(f"{source.server} answered the transfer of {names.to_text(zone)} with no record")
        received += len(message.answer)
        yield message.answer


def _refusal(rcode: int, zone: Name, source: Source, *, signed: bool) -> ProviderError:
    said = f"{source.server} answered {wire.rcode_to_text(rcode)} to the transfer of {names.to_text(zone)}"
    if source.key and not signed:
        said += f" and did not sign it with the key {source.key.text}"
    # Without a signature, NOTAUTH says that the zone is not here, or that the key is not good enough (Knot, PowerDNS)
    if rcode == wire.REFUSED or (rcode == wire.NOTAUTH and not signed and serves(zone, source)):
        who = f"the key {source.key.text}" if source.key else "this address, or give a TSIG key"
        hint = f"allow the transfer to {who} (BIND: allow-transfer; Knot: acl with transfer)"
        if rcode == wire.NOTAUTH:  # PowerDNS says no more to a signature whose time is off
            hint += "; is this machine's clock right?"
        return AuthError(said, hint=hint)
    if rcode == wire.NOTAUTH:
        return NoZoneError(said, hint="is the zone's name right, and has this server the zone?")
    return RejectedError(said)


def serves(zone: Name, source: Source) -> bool:
    """Whether the server is authoritative for the zone, as it tells everyone; true if it does not tell."""
    try:
        with source._replace(key=None).request() as request:
            request.send(wire.query(zone, rr.SOA, payload=None))
            message = request.receive()
    except ProviderError:
        return True
    return message.aa and any(record.name == zone and record.type == rr.SOA for record in message.answer)


def _ixfr_query(base: Zone) -> bytes:
    writer = Writer(0, 0)
    writer.question(base.name, wire.IXFR)
    (soa,) = base.rrsets[base.name, rr.SOA].rdata
    writer.record(AUTHORITY, Record(base.name, rr.SOA, 0, soa))
    return writer.to_bytes()[2:]


# --- a whole zone --------------------------------------------------------------------------------------------


def _whole(apex: Name, answers: Iterator[list[Record]]) -> Zone:
    """Gather a zone that begins and ends with its SOA."""
    sets: dict[Key, list[Any]] = {}
    mixed: set[Key] = set()
    with _collector_off():
        records = next(answers)
        first = _first_soa(apex, records)
        _gather(sets, mixed, records)
        soas = sets[apex, rr.SOA]
        while len(soas) < 3:
            records = next(answers)
            _gather(sets, mixed, records)
        if len(soas) != 3 or soas[1] != soas[2] or records[-1].type != rr.SOA:
            raise UnreachableError(f"the transfer of {names.to_text(apex)} did not end with the SOA that it began with")
        del soas[2]
        return _zone(apex, _built(sets), first.rdata, frozenset(mixed))


def _gather(sets: dict[Key, list[Any]], mixed: set[Key], records: list[Record]) -> None:
    """Sort records into sets: name and type -> the lowest TTL, then rdata after rdata."""
    get = sets.get
    for owner, kind, ttl, rdata in records:
        held = get((owner, kind))
        if held is None:
            sets[owner, kind] = [ttl, rdata]
            continue
        held.append(rdata)
        if held[0] != ttl:
            mixed.add((owner, kind))
            held[0] = min(held[0], ttl)


def _built(sets: dict[Key, list[Any]]) -> dict[Key, RRset]:
    """RRsets of what was gathered.

    Each list gives way to its RRset at once, so that memory never holds all of both; and realms that point to the
    same proxy share one set of rdata.
    """
    rrsets = cast("dict[Key, RRset]", sets)
    singles: dict[bytes, frozenset[bytes]] = {}
    for key, held in sets.items():
        rdata = singles.get(held[1]) if len(held) == 2 else frozenset(held[1:])
        if rdata is None:
            rdata = singles[held[1]] = frozenset(held[1:])
        rrsets[key] = RRset(key[0], key[1], held[0], rdata)
    return rrsets


def _zone(apex: Name, rrsets: dict[Key, RRset], soa: bytes, mixed: frozenset[Key]) -> Zone:
    return Zone(apex, rrsets, token=soa.hex(), serial=serial_of(soa), mixed=mixed)


def _first_soa(apex: Name, records: list[Record]) -> Record:
    first = records[0]
    if first.type != rr.SOA or first.name != apex:
        raise RejectedError(f"the answer to the transfer of {names.to_text(apex)} does not begin with its SOA")
    return first


@contextmanager
def _collector_off() -> Iterator[None]:
    """Without the cycle collector: it would walk a hundred thousand lists again and again and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# --- steps ---------------------------------------------------------------------------------------------------


def _held(touched: dict[Key, dict[bytes, int]], base: Zone, record: Record) -> dict[bytes, int]:
    """The set that the record belongs to, as far as the steps have come: rdata -> TTL."""
    key = (record.name, record.type)
    if key not in touched:
        rrset = base.rrsets.get(key)
        touched[key] = dict.fromkeys(rrset.rdata, rrset.ttl) if rrset else {}
    return touched[key]


def _steps_or_whole(base: Zone, answers: Iterator[list[Record]]) -> list[Delta] | Zone:
    """Tell apart the three forms of an answer to IXFR (RFC 1995 section 4)."""
    records = next(answers)
    final = _first_soa(base.name, records)
    if len(records) == 1:
        if final.rdata.hex() == base.token:
            return []
        if not rr.serial_newer(serial_of(final.rdata), base.serial or 0):
            raise OutOfStepError("the server's serial is not newer than the snapshot's, and yet the SOA differs")
        records += next(answers)
    second = records[1]
    if second.type == rr.SOA and serial_of(second.rdata) == base.serial:
        return _steps(base.serial, final, chain([records[1:]], answers))
    return _whole(base.name, chain([records], answers))


def _steps(serial: int, final: Record, answers: Iterator[list[Record]]) -> list[Delta]:
    """Cut the records into steps: SOA before, removed, SOA after, added; and the final SOA behind the last step."""
    deltas: list[Delta] = []
    bucket: list[Record] = []
    begins = True
    for records in answers:
        for record in records:
            if record.type != rr.SOA:
                bucket.append(record)
            elif not begins:
                deltas.append(Delta(record, bucket, []))
                bucket, serial, begins = deltas[-1].added, serial_of(record.rdata), True
            elif deltas and deltas[-1].soa.rdata == final.rdata == record.rdata and record is records[-1]:
                return deltas
            elif serial_of(record.rdata) != serial:
                raise OutOfStepError(f"a step begins at serial {serial_of(record.rdata)}, not at {serial}")
            else:
                bucket, begins = [], False
    raise AssertionError("answers end by raising")
