"""What an authoritative name server sends back for a request: octets in, octets out, no socket.

What is true of the zone is `realmkit.dns.answer`'s to say. The messages are made by dnspython, so that realmkit's own
reading of messages meets somebody else's writing whenever it asks this server.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.answer import Answer, Kind, ZoneIndex, glue, lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset

_log = logging.getLogger(__name__)

PAYLOAD: Final = 1232  # the largest datagram, in octets
_LONGEST_CHAIN: Final = 16  # CNAMEs followed for one question
_AXFR_SETS: Final = 100  # RRsets in one message of a transfer
_AXFR, _IXFR = dns.rdatatype.AXFR, dns.rdatatype.IXFR


def respond(request: bytes, zones: Mapping[Name, ZoneIndex], *, tcp: bool) -> list[bytes]:
    """Answer one request, whatever it is.

    Args:
        request: the message, without TCP's length.
        zones: what is served, by apex.
        tcp: whether it came over TCP, where anything fits and zones are transferred.

    Returns:
        The messages to send back: none for what must not be answered, several for a transfer.
    """
    if len(request) < 12 or request[2] & 0x80:
        return []  # no header, or itself a response: answering those starts loops
    try:
        query = dns.message.from_wire(request)
    except (dns.exception.DNSException, ValueError):
        return [_bare(request, dns.rcode.FORMERR)]
    try:
        return list(_respond(query, zones, tcp=tcp))
    except Exception:  # a sandbox outlives any request; what it was stands in the log
        _log.exception("no answer to %s", request.hex())
        return [_bare(request, dns.rcode.SERVFAIL)]


def refuse(request: bytes, rcode: dns.rcode.Rcode) -> list[bytes]:
    """Answer a request with nothing but a response code."""
    return [_bare(request, rcode)] if len(request) >= 12 and not request[2] & 0x80 else []


def _bare(request: bytes, rcode: int) -> bytes:
    """A header in the request's name, without a question: for what could not be read, or shall not be answered."""
    return request[:2] + bytes((0x80 | request[2] & 0x79, rcode)) + bytes(8)


def _respond(query: dns.message.Message, zones: Mapping[Name, ZoneIndex], *, tcp: bool) -> Iterator[bytes]:
    response = dns.message.make_response(query, our_payload=PAYLOAD)
    rcode = _objection(query)
    if rcode is not None:
        response.set_rcode(rcode)
        yield response.to_wire()
        return
    question = query.question[0]
    name, kind = question.name.to_digestable(), int(question.rdtype)
    index = _zone_for(zones, name, kind)
    if index is None or (kind == _AXFR and index.zone.name != name):
        response.set_rcode(dns.rcode.REFUSED)
    elif kind in (_AXFR, _IXFR) and tcp:
        yield from _transfer(response, index)
        return
    elif kind == _AXFR:
        response.set_rcode(dns.rcode.FORMERR)  # RFC 5936 section 4.2: not over UDP
    elif kind == _IXFR:
        _fill(response, index, name, rr.SOA)  # RFC 1995 section 2: the SOA alone sends the client to TCP
    else:
        _fill(response, index, name, kind)
    yield _fitted(response, 65535 if tcp else PAYLOAD if query.edns >= 0 else 512, query)


def _objection(query: dns.message.Message) -> dns.rcode.Rcode | None:
    """Why a request can't be answered at all."""
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if query.edns > 0:
        return dns.rcode.BADVERS
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    if query.question[0].rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    return None


def _zone_for(zones: Mapping[Name, ZoneIndex], name: Name, kind: int) -> ZoneIndex | None:
    """The zone nearest to the name; a DS is looked for above its own apex (RFC 4035 section 3.1.4.1)."""
    above = name
    nearest = None
    while True:
        if above in zones:
            if kind != rr.DS or above != name:
                return zones[above]
            nearest = zones[above]
        if above == names.ROOT:
            return nearest
        above = names.parent(above)


def _fill(response: dns.message.Message, index: ZoneIndex, name: Name, kind: int) -> None:
    """Put the answer into the response, following CNAME and DNAME as long as they stay in the zone."""
    response.flags |= dns.flags.AA
    for _ in range(_LONGEST_CHAIN):
        answer = lookup(index, name, kind)
        if answer.kind in (Kind.FOUND, Kind.CNAME):
            assert answer.rrset is not None  # noqa: S101 - these kinds have one
            response.answer.append(_to_dnspython(answer.rrset, name))
        elif answer.kind is Kind.DNAME:
            _add_dname(response, answer)
        else:
            _conclude(response, index, answer)
            return
        target = answer.target
        if kind == rr.CNAME or target is None or any(target == rrset.name.to_digestable() for rrset in response.answer):
            return
        name = target


def _add_dname(response: dns.message.Message, answer: Answer) -> None:
    """The DNAME and the CNAME that it stands for here (RFC 6672 section 3.1)."""
    assert answer.rrset is not None  # noqa: S101 - a DNAME answer has one
    response.answer.append(_to_dnspython(answer.rrset, answer.source))
    if answer.target is None:
        response.set_rcode(dns.rcode.YXDOMAIN)
        return
    alias = rr.RRset(answer.name, rr.CNAME, answer.rrset.ttl, frozenset((answer.target,)))
    response.answer.append(_to_dnspython(alias, answer.name))


def _conclude(response: dns.message.Message, index: ZoneIndex, answer: Answer) -> None:
    """End an answer where the zone has no more to give: a referral, or a negative answer with its SOA."""
    if answer.kind is Kind.OUTSIDE:
        return
    if answer.kind is Kind.DELEGATED:
        assert answer.rrset is not None  # noqa: S101 - the NS set of the cut
        if not response.answer:
            response.flags &= ~dns.flags.AA
        response.authority.append(_to_dnspython(answer.rrset, answer.source))
        response.additional.extend(_to_dnspython(one, one.name) for one in glue(index, answer.rrset))
        return
    if answer.kind is Kind.NXDOMAIN:
        response.set_rcode(dns.rcode.NXDOMAIN)
    soa = index.zone.rrsets.get((index.zone.name, rr.SOA))
    if soa is not None:
        minimum = int.from_bytes(min(soa.rdata)[-4:], "big")
        response.authority.append(_to_dnspython(soa, soa.name, min(soa.ttl, minimum)))  # RFC 2308 section 3


def _fitted(response: dns.message.Message, limit: int, query: dns.message.Message) -> bytes:
    """The response in wire form, or a truncated one where it does not fit."""
    if query.edns >= 0:
        limit = min(limit, max(512, query.payload)) if limit == PAYLOAD else limit
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire()


def _transfer(response: dns.message.Message, index: ZoneIndex) -> Iterator[bytes]:
    """The whole zone, its SOA first and last (RFC 5936 section 2.2)."""
    zone = index.zone
    soa = zone.rrsets.get((zone.name, rr.SOA))
    response.flags |= dns.flags.AA
    if soa is None:
        response.set_rcode(dns.rcode.SERVFAIL)
        yield response.to_wire()
        return
    between = [zone.rrsets[key] for key in sorted(zone.rrsets) if zone.rrsets[key] is not soa]
    every = [soa, *between, soa]
    for start in range(0, len(every), _AXFR_SETS):
        response.answer = [_to_dnspython(one, one.name) for one in every[start : start + _AXFR_SETS]]
        yield response.to_wire()
        response.question = []  # RFC 5936 section 2.2.1: needed in the first message only


def _to_dnspython(rrset: RRset, owner: Name, ttl: int | None = None) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(
        dns.name.from_wire(owner, 0)[0],
        rrset.ttl if ttl is None else ttl,
        [_rdata(rrset.type, one) for one in _in_order(rrset.rdata)],
    )


def _in_order(rdata: Iterable[bytes]) -> list[bytes]:
    return sorted(rdata)


def _rdata(kind: int, wire: bytes) -> dns.rdata.Rdata:
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(kind), wire, 0, len(wire))
