"""The name servers themselves: their names, their addresses, how many, and whether they are the provider's."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import addresses_text, hosts_text, untold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.records import Type
    from realmkit.health.seen.realm import HostSeen

_PREFIX = {rr.A: 3, rr.AAAA: 6}  # octets of the prefix that two servers should not share: /24 and /48
_FAMILY = {rr.A: "IPv4", rr.AAAA: "IPv6"}


@check(ZoneSeen, "DEL05", "error", "a name server's name is an alias, has no address, or a private one",
       source="RFC 2181 section 10.3, RFC 1918, RFC 6890")  # fmt: skip
def server_names(seen: ZoneSeen) -> Iterator[Finding]:
    """The name in each NS record is a host with public addresses of its own, and no alias.

    Resolvers do not follow a CNAME there: some ignore that server, some the whole zone. A name without address is a
    server that is never asked. A private or loopback address leads every resolver to a machine in its own network.

    Names in zones at hand are asked of those zones' servers, others from the root down. Where private addresses are
    meant (a lab, an internal zone) they are not judged.

    Mend: put A and AAAA records where the alias stands, or name the alias's target in the NS records.

    Can't see: a name that resolves differently elsewhere (split horizon).
    """
    if not seen.ns_hosts:
        yield untold("DEL05", f"{seen.title} NS", "the NS set", "neither the parent nor a server told it")
    for host in seen.ns_hosts:
        known = seen.host(host)
        subject = names.to_text(host)
        if known.state == "unknown":
            yield untold("DEL05", subject, "its addresses", known.detail)
        elif known.state == "alias":
            text, mend = f"the name server of {seen.title} is an alias", "give the name its own A and AAAA records"
            yield Finding("DEL05", "error", f"{subject} CNAME", text, "addresses", f"CNAME {known.detail}", mend)
        elif known.state == "absent":
            text, mend = (
                f"the name server of {seen.title} has no address",
                "add its A record, or take it out of the NS set",
            )
            yield Finding("DEL05", "error", subject, text, "an address", known.detail or "none", mend)
        if not seen.task.allow_private:
            yield from _private(seen, known)


def _private(seen: ZoneSeen, host: HostSeen) -> Iterator[Finding]:
    bad = [one for one in host.addresses if not ipaddress.ip_address(one[1]).is_global]
    if bad:
        text = f"the name server of {seen.title} has an address that is not public"
        mend = "give it its public address, or take it out of the NS set"
        subject = f"{names.to_text(host.name)} address"
        yield Finding("DEL05", "error", subject, text, "public addresses", addresses_text(bad), mend)


@check(ZoneSeen, "DEL06", "warning", "too few name servers, or all of them in one place",
       source="RFC 1034 section 4.1, RFC 2182 section 3.1")  # fmt: skip
def diversity(seen: ZoneSeen) -> Iterator[Finding]:
    """The zone has two name servers at least, with different addresses in different prefixes.

    With one server, or all behind one router, the outage of that place takes every realm along, while the SIP proxies
    elsewhere are well. Two names for one address are one server.

    Looked at for each family: are all its addresses in one /24 (IPv4) or one /48 (IPv6)? One address of a family
    beside several of the other is fine.

    Mend: add a secondary at another provider or in another data centre.

    Can't see: autonomous systems and routes, which can't be told from here without asking somebody; two prefixes
    may still hang on one line. Nor anycast, where one address is many machines: then acknowledge the finding.
    """
    hosts = seen.ns_hosts
    if not hosts:
        yield untold("DEL06", f"{seen.title} NS", "the NS set", "neither the parent nor a server told it")
        return
    mend = "add a name server in another network"
    if len(hosts) == 1:
        text = "the zone has a single name server"
        yield Finding("DEL06", "warning", f"{seen.title} NS", text, "2 or more", hosts_text(hosts), mend)
        return
    vague = [host for host in hosts if seen.host(host).state == "unknown"]
    addresses = {one for host in hosts for one in seen.host(host).addresses}
    near = _together(addresses)
    if near and vague:
        why = f"the addresses of {hosts_text(vague)} are not known"
        yield untold("DEL06", f"{seen.title} NS addresses", "whether the servers are apart", why)
    elif near:
        yield Finding("DEL06", "warning", f"{seen.title} NS addresses", near, "different networks",
                      addresses_text(addresses), mend)  # fmt: skip


def _together(addresses: set[tuple[Type, bytes]]) -> str:
    """In words, how all servers are in one place; empty if they are not."""
    if len(addresses) < 2:
        return "all name servers have the same address" if addresses else ""
    for kind, octets in _PREFIX.items():
        some = [one for family, one in addresses if family == kind]
        if len(some) > 1 and len({one[:octets] for one in some}) == 1:
            return f"all name servers are in one {_FAMILY[kind]} /{octets * 8}"
    return ""


@check(ZoneSeen, "DEL07", "error", "the zone is not delegated to the servers that the provider serves it with",
       source="the provider's API; RFC 1034 section 4.2.2")  # fmt: skip
def assigned(seen: ZoneSeen) -> Iterator[Finding]:
    """The servers that the provider's API assigns to the zone are those that the parent delegates it to.

    A Route 53 zone that was deleted and made again gets four other servers; a Cloudflare zone stays pending until the
    registrar names its two. Everything that is then changed by the API succeeds, and nobody ever sees it: the world
    is still led to the old zone.

    Mend: set the provider's servers at the registrar. If none of them is delegated to, look first whether the
    project's credentials lead to the right account and the right one of two zones of that name.

    Can't see: providers whose API names no servers (a plain zone file, RFC 2136); zones with `nameservers` in the
    configuration, which need no delegation.
    """
    task, parent = seen.task, seen.parent
    subject = f"{seen.title} NS assigned"
    if parent is None:
        return
    if task.assigned_unknown:
        yield untold("DEL07", subject, "the provider's servers", task.assigned_unknown)
        return
    theirs = {names.absolute(text) for text in task.assigned or () if _is_host(text)}
    if not theirs or parent.denied:
        return
    if parent.unknown:
        yield untold("DEL07", subject, "the delegation", parent.unknown[0])
    elif theirs != set(parent.hosts):
        apart = theirs.isdisjoint(parent.hosts)
        text = (
            "the world is led to other servers than the provider's"
            if apart
            else "the provider serves it with other servers"
        )
        mend = "is it the right account and zone? Else set the provider's servers at the registrar"
        yield Finding("DEL07", "error", subject, text, hosts_text(sorted(theirs)), hosts_text(parent.hosts), mend)


def _is_host(text: str) -> bool:
    """Whether the provider names a host, not an address."""
    try:
        rdata.address(text.rpartition(":")[0] if text.count(":") == 1 else text.strip("[]"))
    except ValueError:
        return ":" not in text
    return False


@check(ZoneSeen, "DEL08", "warning", "a white-label name server has other addresses than it should",
       source="RFC 1034 section 4.2.1")  # fmt: skip
def vanity(seen: ZoneSeen) -> Iterator[Finding]:
    """A reseller's own name server names (`ns1.reseller.example`) have the addresses of the servers behind them.

    Such names are copies of somebody else's addresses. When the DNS host renumbers, its own names follow and the
    copies do not, and every zone that is delegated to them slowly goes dark.

    Asked of the authoritative servers of the name's zone where that is at hand, else looked up from the root.

    Mend: edit the A and AAAA records of the name, and its glue at the registrar (DEL04 compares that).

    Can't see: names that the configuration does not list.
    """
    for host in seen.ns_hosts:
        wanted = seen.task.vanity.get(host)
        if wanted is None:
            continue
        known = seen.host(host)
        if known.state == "unknown":
            yield untold("DEL08", names.to_text(host), "its addresses", known.detail)
        elif set(known.addresses) != set(wanted):
            text, mend = (
                "it has other addresses than the configuration says",
                "edit its A and AAAA records, and its glue",
            )
            seen_text = addresses_text(known.addresses)
            yield Finding("DEL08", "warning", names.to_text(host), text, addresses_text(wanted), seen_text, mend)
