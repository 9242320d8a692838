"""Is the zone delegated, do its servers serve it, and do parent and zone say the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names, wire
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import addresses_text, hosts_text, untold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Level
    from realmkit.dns.names import Name
    from realmkit.health.seen.zone import ServerSeen


@check(ZoneSeen, "DEL01", "critical", "the zone is not delegated, or nobody serves it", source="RFC 1034 section 4.2.2")
def delegated(seen: ZoneSeen) -> Iterator[Finding]:
    """The parent delegates the zone, and at least one of its servers answers for it with authority.

    If not, the whole zone is gone for everybody whose resolver has forgotten it: phones can't register (they go on
    until their registration or their cached SRV runs out), fax mail bounces or waits, portals don't open.

    The parent's own servers are asked, not a resolver's memory. Silence of all servers is critical only if the
    parent was heard in the same run; else it may be this machine's own line, and the finding is `unknown`.

    Mend: set the NS records at the registrar, renew the domain (DEL10), or load the zone on the servers (DEL02 says
    what each of them answers).

    Can't see: whether the registrar has put the domain on hold for others than the parent's servers; DEL10 looks.
    """
    parent = seen.parent
    if parent is not None and parent.unknown:
        why = parent.unknown[0]
        if parent.denied:
            mend = "set the zone's NS records at the registrar"
            yield Finding("DEL01", "critical", seen.title, "it is not delegated", "a delegation", why, mend)
        else:
            yield untold("DEL01", seen.title, "its delegation", why)
        return
    if any(one.soa.state == "present" for one in seen.servers):
        return
    faults = [(one, _fault(one, network_works=seen.network_works)) for one in seen.servers]
    words = [f"{one.server}: {fault[1]}" for one, fault in faults if fault] + list(seen.unknown)
    certain = all(fault is not None and fault[0] == "error" for _, fault in faults)
    if (
        certain
        and (parent is not None or not seen.unknown)
        and all(seen.host(host).state == "absent" for host in _without_server(seen))
    ):
        text = "none of its name servers answers for it"
        mend = "load the zone on the servers that it is delegated to, or delegate it to those that have it"
        yield Finding("DEL01", "critical", seen.title, text, "one server at least", "; ".join(words), mend)
    else:
        yield untold("DEL01", seen.title, "whether anybody serves it", "; ".join(words) or "no server is known")


@check(ZoneSeen, "DEL02", "error", "a server does not answer for the zone (lame)",
       source="RFC 1912 section 2.8, RFC 7766 section 5")  # fmt: skip
def lame(seen: ZoneSeen) -> Iterator[Finding]:
    """Every name server answers for the zone with authority, over UDP and over TCP.

    Resolvers choose among the servers as they like. One that refuses, has lost the zone (SERVFAIL: it expired, or the
    file has an error) or is dead costs some lookups seconds each, and a phone that waits for SRV records gives up
    sooner than a resolver does. TCP is not for transfers alone: an answer that does not fit a datagram (NAPTR sets,
    DNSSEC, rate limiting) comes with TC and is asked for again over TCP.

    Silence is an error only if somebody else was heard in the same run. An address without a route from here (IPv6 on
    a machine without it) is passed over or `unknown`.

    Mend: load the zone there, open port 53 for TCP in the firewall, or take the server out of the NS records, at
    the registrar and in the zone.

    Can't see: servers of an anycast address other than the nearest.
    """
    for one in seen.servers:
        fault = _fault(one, network_works=seen.network_works)
        if fault is not None:
            mend = "load the zone there, or take the server out of the NS records of parent and zone"
            yield _of_server("DEL02", seen.title, one, fault, "an answer with authority", mend)
            continue
        fault = _fault_over_tcp(one)
        if fault is not None:
            mend = "let TCP to port 53 through, and check the server's limit of TCP clients"
            yield _of_server("DEL02", f"{seen.title} over TCP", one, fault, "the same answer as over UDP", mend)


@check(ZoneSeen, "DEL03", "error", "parent and zone name different servers", source="RFC 1034 section 4.2.2")
def same_servers(seen: ZoneSeen) -> Iterator[Finding]:
    """The NS set at the parent is the NS set in the zone itself.

    Resolvers start with the parent's set, and many (Unbound, BIND) go on with the zone's own. A server that only one
    of the two names is used by some and not by others: a change that misses it is right for you and wrong for a part
    of your phones. After a move to another DNS provider a forgotten old server goes on answering with old addresses.

    Mend: make both alike: the registrar's form for the parent, the zone's own NS records for the other. Lower the
    zone's NS TTL first if the set is about to change (MIG02).

    Can't see: parents whose own servers disagree with one another; the first that answers is believed.
    """
    if seen.parent is None:
        return
    if seen.parent.unknown:
        yield untold("DEL03", f"{seen.title} NS", "the parent's NS set", seen.parent.unknown[0])
        return
    above = seen.parent.hosts
    told = {hosts for one in seen.servers if (hosts := one.hosts) is not None}
    differing = told - {above}
    alike = len(told) == 1
    if alike and differing:
        yield _mismatch(seen, above, differing.pop(), "")
    for one in seen.servers:
        hosts = one.hosts
        if hosts is None:
            yield untold("DEL03", f"{seen.title} NS", "the zone's NS set", one.ns.detail, one.server)
        elif hosts != above and not alike:
            yield _mismatch(seen, above, hosts, str(one.server))


@check(ZoneSeen, "DEL04", "error, warning", "glue differs from the server's addresses", source="RFC 1034 section 4.2.1")
def glue(seen: ZoneSeen) -> Iterator[Finding]:
    """The addresses that the parent hands out for name servers (glue) are those that the servers' own zone has.

    A resolver that knows nothing yet goes where the glue leads. A server that got a new address, with the glue left
    as it was, is dead for every cold resolver, and the zone seems fine to whoever has it in memory. A name server
    below the zone itself without any glue can't be found at all.

    Wrong or absent glue is an error; glue that only lacks some of the addresses (often IPv6) a warning, and so is
    wrong glue of a server in another zone, which most resolvers check before they use it.

    Mend: registrars call it host objects, child name servers or glue records; they are edited apart from the NS
    set, and only by the registrar of the domain that the server's name is in.

    Can't see: glue of a server whose own addresses could not be found out; that is `unknown`.
    """
    if seen.parent is None:
        return
    if seen.parent.unknown:
        yield untold("DEL04", f"{seen.title} glue", "the parent's glue", seen.parent.unknown[0])
        return
    for host in seen.parent.hosts:
        yield from _glue_of(seen, host)


def _glue_of(seen: ZoneSeen, host: Name) -> Iterator[Finding]:
    parent = seen.parent
    given = set(parent.glue.get(host, ())) if parent else set()
    inside = names.is_under(host, seen.task.apex)
    if not given and not inside:
        return
    known = seen.host(host)
    subject = f"{names.to_text(host)} glue"
    if known.state == "unknown" or (known.state == "alias" and not known.addresses):
        yield untold("DEL04", subject, "the server's own addresses", known.detail)
        return
    right = set(known.addresses)
    if given == right:
        return
    level: Level = "error" if inside and (not given or given - right) else "warning"
    text = "the parent's glue is not what the server's own zone says" if given else "the parent has no glue for it"
    mend = "edit the host object (glue record) at the registrar"
    yield Finding("DEL04", level, subject, text, addresses_text(right), addresses_text(given), mend)


def _without_server(seen: ZoneSeen) -> list[Name]:
    """The name servers of the delegation that lead to no address that was asked."""
    labels = {one.server.label for one in seen.servers}
    above = seen.parent.hosts if seen.parent is not None else ()
    return [host for host in above if names.to_text(host)[:-1] not in labels]


def _mismatch(seen: ZoneSeen, above: tuple[Name, ...], below: tuple[Name, ...], server: str) -> Finding:
    more = [*sorted(set(above) - set(below)), *sorted(set(below) - set(above))]
    text = f"parent and zone name different servers ({hosts_text(more)})"
    mend = "set both alike: at the registrar, and the zone's own NS records"
    subject = f"{seen.title} NS"
    return Finding(
        "DEL03", "error", subject, text, f"parent: {hosts_text(above)}", f"zone: {hosts_text(below)}", mend, server
    )


def _of_server(
    id: str, subject: str, one: ServerSeen, fault: tuple[Level, str], expected: str, mend: str  # noqa: A002
) -> Finding:  # fmt: skip
    level, words = fault
    if level == "unknown":
        return untold(id, subject, "what the server says", words, one.server)
    return Finding(id, level, subject, f"the server {words}", expected, words, mend, str(one.server))


def _fault(one: ServerSeen, *, network_works: bool) -> tuple[Level, str] | None:
    """What is wrong with a server's SOA over UDP, and how certain that is."""
    sight = one.soa
    if sight.state == "present":
        return None
    if one.reach == "unreachable":
        return "unknown", sight.detail
    if one.reach == "silent":
        return ("error" if network_works else "unknown"), f"keeps silent: {sight.detail}"
    if sight.rcode == wire.SERVFAIL:
        return "error", "answers SERVFAIL: the zone expired there, or could not be loaded"
    words = {"referral": "refers to others: it does not serve the zone", "absent": "has no SOA at the zone's name",
             "alias": "has an alias at the zone's name"}  # fmt: skip
    return "error", words.get(sight.state, f"does not serve the zone: {sight.detail}")


def _fault_over_tcp(one: ServerSeen) -> tuple[Level, str] | None:
    sight = one.soa_tcp
    if sight.state == "present":
        return None
    if one.tcp == "unreachable":
        return "unknown", sight.detail
    return "error", f"does not answer over TCP: {sight.detail}"
