"""What the zone's servers give to strangers, and whether they speak EDNS as they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import wire
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import untold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Level
    from realmkit.health.seen.zone import EdnsAnswer, EdnsSeen, ServerSeen

_BADVERS = 16


@check(ZoneSeen, "SCR01", "error", "a server gives the whole zone to anybody", source="RFC 5936 section 5")
def open_transfer(seen: ZoneSeen) -> Iterator[Finding]:
    """No server begins a zone transfer (AXFR) without a key.

    A zone of realms is the list of your customers: every realm name, in order, in one request. Whoever guesses SIP
    passwords needs realms first, and a competitor needs only the list. It also makes the server send much for little.

    A transfer is begun without TSIG over TCP and given up after its first message.

    Mend: allow transfers by TSIG key alone: `allow-transfer { key ...; }` (BIND), an `acl` with `key` (Knot),
    `provide-xfr: ... KEY` (NSD), `TSIG-ALLOW-AXFR` and an empty `allow-axfr-ips` (PowerDNS).

    Can't see: what the server tells others. If this machine's address is on the server's list, the transfer is no
    proof; the zone's configuration can say so (`transfers`), and then nothing is judged here.
    """
    if seen.task.transfers:
        return
    for one in seen.servers:
        offer = one.transfer
        if offer.state == "unknown":
            yield untold("SCR01", f"{seen.title} AXFR", "whether it gives the zone away", offer.detail, one.server)
        elif offer.state == "given":
            text, mend = "the server gives the whole zone to anybody who asks", "allow transfers by TSIG key alone"
            yield Finding("SCR01", "error", f"{seen.title} AXFR", text, "refused", offer.detail, mend, str(one.server))


@check(
    ZoneSeen,
    "SCR04",
    "warning",
    "an authoritative server resolves foreign names for anybody",
    source="RFC 5358 section 4",
)
def open_recursion(seen: ZoneSeen) -> Iterator[Finding]:
    """Authoritative servers do not resolve other people's names.

    An open resolver is used to flood third parties with forged requests, its owner's line fills up, and blocklists
    follow. On an authoritative server a poisoned cache may be handed out next to your own zone.

    The server is asked for the root's NS set with recursion desired. RA and an answer count; RA alone does not.

    Mend: `recursion no;` (BIND), another program or address for resolving, an access list for your own networks.

    Can't see: a resolver that is open to others and closed to this machine, or the other way round: if this machine
    is one of those it is meant for, acknowledge the finding.
    """
    for one in seen.servers:
        offer, subject = one.recursion, f"{_subject(seen, one)} recursion"
        if offer.state == "unknown":
            yield untold("SCR04", subject, "whether it resolves foreign names", offer.detail, one.server)
        elif offer.state == "given":
            text, mend = (
                "the server resolves foreign names for anybody",
                "turn recursion off, or allow it to your networks",
            )
            yield Finding("SCR04", "warning", subject, text, "refused", offer.detail, mend, str(one.server))


@check(
    ZoneSeen,
    "SCR05",
    "warning, notice",
    "a server, or what stands before it, breaks EDNS",
    source="RFC 6891 sections 6 and 7",
)
def edns(seen: ZoneSeen) -> Iterator[Finding]:
    """Each server takes EDNS: plain version 0, a version that does not exist, and an option that does not exist.

    Resolvers ask with EDNS and no longer work around servers that swallow it (since the DNS flag day of 2019): the zone
    is then slow, or gone, for those behind such a resolver. Usually it is a firewall with old rules, not the server.

    Version 0 must be answered. FORMERR or an answer without OPT is an old server without EDNS: it works, but every
    larger answer goes over TCP. To an unknown version the answer is BADVERS; an unknown option is ignored and not
    sent back, since cookies and padding are such options to somebody.

    Mend: switch off "DNS inspection" in the firewall in front of it, or update the server.

    Can't see: what a firewall on another path does; how large an answer the path lets through.
    """
    for one in seen.servers:
        subject = _subject(seen, one)
        for what, level, words, detail in _edns_faults(one.edns):
            mend = "look for a firewall that inspects DNS in front of it, else update the server"
            if level == "unknown":
                yield untold("SCR05", f"{subject} {what}", words, detail, one.server)
            else:
                yield Finding("SCR05", level, f"{subject} {what}", words, "", detail, mend, str(one.server))


def _subject(seen: ZoneSeen, one: ServerSeen) -> str:
    """The server's own name where it is known: it is the same server for all zones, and should be told of once."""
    return f"{one.server.label}." if one.server.label else seen.title


def _edns_faults(seen: EdnsSeen) -> Iterator[tuple[str, Level, str, str]]:
    """What it concerns, how bad, in words, and what was seen."""
    if seen.plain.state != "answered":
        yield "EDNS", "unknown", "how it takes EDNS", seen.plain.detail
        return
    basic = seen.basic
    if basic.state == "unknown":
        yield "EDNS", "unknown", "how it takes EDNS", basic.detail
    elif basic.state == "silent":
        yield "EDNS", "warning", "the server keeps silent when it is asked with EDNS", "an answer to plain DNS alone"
    elif basic.rcode != seen.plain.rcode:  # a server that refuses plain DNS too is lame, which DEL02 says
        yield "EDNS", "warning", "the server can't bear EDNS", wire.rcode_to_text(basic.rcode)
    elif not basic.opt:
        yield "EDNS", "notice", "the server ignores EDNS", "an answer without OPT"
    else:
        yield from _finer_faults(seen.version, seen.option, basic.rcode)


def _finer_faults(version: EdnsAnswer, option: EdnsAnswer, rcode: int) -> Iterator[tuple[str, Level, str, str]]:
    if version.state != "answered" or version.rcode != _BADVERS or not version.opt:
        word = "how it takes an EDNS version that does not exist"
        level: Level = "unknown" if version.state == "unknown" else "warning"
        text = word if level == "unknown" else "an EDNS version that does not exist is not answered with BADVERS"
        yield "EDNS version", level, text, _came(version)
    if option.state != "answered" or option.rcode != rcode or not option.opt or option.echoed:
        level = "unknown" if option.state == "unknown" else "warning"
        text = "how it takes an unknown option" if level == "unknown" else "an unknown EDNS option is not ignored"
        yield "EDNS option", level, text, _came(option)


def _came(answer: EdnsAnswer) -> str:
    if answer.state != "answered":
        return answer.detail or answer.state
    code = wire.rcode_to_text(answer.rcode)
    if answer.echoed:
        return f"{code}, with the option sent back"
    return code if answer.opt else f"{code} without OPT"
