"""Proofs that something does not exist: NSEC (RFC 4034 section 4, RFC 4035 section 5.4) and NSEC3 (RFC 5155).

Only what a health check needs: that a name does not exist below the closest one that does (so that a wildcard may
answer), and that a delegation has no DS. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.health import signatures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import dns.name

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Record

_MOST_ITERATIONS: Final = 150  # RFC 9276 section 3.2: beyond it BIND and unbound take the zone for unsigned
_OPT_OUT: Final = 1


class _Nsec3(NamedTuple):
    """An NSEC3 record, read: its owner's hash, the next one, flags, parameters, types."""

    owner: bytes
    next: bytes
    flags: int
    iterations: int
    salt: bytes
    types: frozenset[Type]

    def hash(self, name: Name) -> bytes:
        """The hash of a name by this record's parameters."""
        import dns.dnssec

        text = dns.dnssec.nsec3_hash(_name(name), self.salt, self.iterations, 1)
        return text.encode().lower()

    def covers(self, name: Name) -> bool:
        """Whether the hash of `name` lies between this record and the next."""
        hashed = self.hash(name)
        if self.owner < self.next:
            return self.owner < hashed < self.next
        return hashed > self.owner or hashed < self.next  # the last one of the ring


class Proofs:
    """The verified NSEC and NSEC3 records of an answer's authority section.

    Args:
        records: the authority section.
        zone: the apex of the zone that answers.
        keys: its trusted DNSKEYs.
        now: Unix seconds.

    Attributes:
        wrong: in words, why one that is there does not verify; empty if all do.
        unsupported: in words, why one that is there can't be used; empty if all can.
    """

    def __init__(self, records: Sequence[Record], zone: Name, keys: signatures.Keys, now: int) -> None:
        self.wrong = self.unsupported = ""
        self._zone = zone
        self._nsec: dict[Name, tuple[Name, frozenset[Type]]] = {}
        self._nsec3: list[_Nsec3] = []
        for record in records:
            if record.type not in (rr.NSEC, rr.NSEC3) or not names.is_under(record.name, zone):
                continue
            verified = signatures.verify(records, record.name, record.type, zone, keys, now)
            if verified.state != "valid":
                self.wrong = verified.detail
            elif record.type == rr.NSEC:
                self._nsec[record.name] = _read_nsec(record.rdata)
            elif isinstance(read := _read_nsec3(record), _Nsec3):
                self._nsec3.append(read)
            else:
                self.unsupported = read

    def types_at(self, name: Name) -> frozenset[Type] | None:
        """The types that exist at `name`, where a record says so."""
        if name in self._nsec:
            return self._nsec[name][1]
        return next((one.types for one in self._nsec3 if one.owner == one.hash(name)), None)

    def denies(self, name: Name) -> bool:
        """Whether it is proven that `name` itself does not exist."""
        wanted = _name(name)
        for owner, (following, types) in self._nsec.items():
            first, last = _name(owner), _name(following)
            if not first < wanted or not (wanted < last or following == self._zone):
                continue
            cut = rr.NS in types and rr.SOA not in types and wanted.is_subdomain(first)
            return not cut and not last.is_subdomain(wanted)  # above a following name stands an empty non-terminal
        return any(one.covers(name) for one in self._nsec3)

    def opts_out(self, name: Name) -> bool:
        """Whether `name` lies in a span that may hold unsigned delegations (RFC 5155 section 6)."""
        closer = name
        while closer != self._zone:
            if any(one.flags & _OPT_OUT and one.covers(closer) for one in self._nsec3):
                return self.types_at(names.parent(closer)) is not None
            closer = names.parent(closer)
        return False


def no_ds(proofs: Proofs, name: Name) -> bool | None:
    """Whether a proof says that `name` is a delegation without DS.

    Returns:
        True: it is one (or may be one, by opt-out). False: it is no delegation. None: nothing is proven.
    """
    types = proofs.types_at(name)
    if types is not None:
        if rr.DS in types or rr.SOA in types:
            return None  # of the child's own side, or a DS was kept back
        return rr.NS in types
    if proofs.opts_out(name):
        return True
    return False if proofs.denies(name) else None


def _read_nsec(rdata: bytes) -> tuple[Name, frozenset[Type]]:
    offset = 0
    while rdata[offset]:
        offset += 1 + rdata[offset]
    return rdata[: offset + 1].lower(), _bitmap(rdata[offset + 1 :])


def _read_nsec3(record: Record) -> _Nsec3 | str:
    import base64

    data = record.rdata
    flags, iterations = data[1], int.from_bytes(data[2:4], "big")
    salt_end = 5 + data[4]
    next_end = salt_end + 1 + data[salt_end]
    if data[0] != 1 or iterations > _MOST_ITERATIONS:
        return f"NSEC3 of hash algorithm {data[0]} with {iterations} iterations"
    following = base64.b32hexencode(data[salt_end + 1 : next_end]).lower()
    owner = names.labels_of(record.name)[0]
    return _Nsec3(owner, following, flags, iterations, data[5:salt_end], _bitmap(data[next_end:]))


def _bitmap(octets: bytes) -> frozenset[Type]:
    """The types of a bitmap (RFC 4034 section 4.1.2)."""
    return frozenset(_bits(octets))


def _bits(octets: bytes) -> Iterable[Type]:
    offset = 0
    while offset + 2 <= len(octets):
        window, length = octets[offset], octets[offset + 1]
        for index, octet in enumerate(octets[offset + 2 : offset + 2 + length]):
            for bit in range(8):
                if octet & 0x80 >> bit:
                    yield window * 256 + index * 8 + bit
        offset += 2 + length


def _name(name: Name) -> dns.name.Name:
    import dns.name

    return dns.name.from_wire(name, 0)[0]
