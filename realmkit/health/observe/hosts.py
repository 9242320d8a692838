"""The hosts that SRV and MX records lead to: each is asked for once a run, however many realms lead there.

Hosts in zones at hand are asked of those zones' authoritative servers. For hosts elsewhere resolvers are asked, as
a phone does; such a host is meant to exist, so no resolver learns of an absence too early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import structs

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.exchange import server_from_text
from realmkit.health.observe.realms import ask_keys
from realmkit.health.seen.realm import HostSeen, Sight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.names import Name
    from realmkit.health.observe.surroundings import Surroundings

_FAMILIES = (rr.A, rr.AAAA)
_MAX_ALIASES = 8
_PUBLIC_RATE = 20.0  # questions a second that a public resolver takes without complaint


def look(
    hosts: Collection[Name], servers: Mapping[Name, Sequence[Server]], surroundings: Surroundings
) -> dict[Name, HostSeen]:
    """A and AAAA of each host; of an alias those of the host that it leads to.

    Args:
        hosts: each once.
        servers: the authoritative servers of the zones at hand.
        surroundings: manners and resolvers.
    """
    found: dict[Name, HostSeen] = {}
    left = list(dict.fromkeys(hosts))
    for _ in range(_MAX_ALIASES):
        found |= _asked(left, servers, surroundings)
        ends = {names.from_text(found[host].detail) for host in left if _leads_on(found[host])}
        left = [end for end in ends if end not in found]
        if not left:
            break
    return {host: _with_addresses(host, found) for host in hosts}


def _asked(
    hosts: Sequence[Name], servers: Mapping[Name, Sequence[Server]], surroundings: Surroundings
) -> dict[Name, HostSeen]:
    """Each host, where it lies; aliases within zones at hand are not followed."""
    at = {host: names.closest(host, servers) for host in hosts}
    inside = [
        (server, host, kind) for host, zone in at.items() if zone for server in servers[zone] for kind in _FAMILIES
    ]
    sights = ask_keys(inside, surroundings) if inside else {}
    by_host: dict[Name, list[Sight]] = {}
    for (_server, host, _kind), sight in sights.items():
        by_host.setdefault(host, []).append(sight)
    found = {host: _judged(host, some) for host, some in by_host.items()}
    outside = [host for host in hosts if host not in found or found[host].state == "unknown"]
    return found | (_through_resolvers(outside, surroundings) if outside else {})


def _leads_on(host: HostSeen) -> bool:
    return host.state == "alias" and not host.addresses


def _with_addresses(host: Name, found: Mapping[Name, HostSeen]) -> HostSeen:
    """An alias with the addresses at its end, as far as they are known."""
    seen = found[host]
    end, steps = seen, 0
    while _leads_on(end) and steps < _MAX_ALIASES:
        end, steps = found.get(names.from_text(end.detail), end), steps + 1
    return seen if end is seen else structs.replace(seen, addresses=end.addresses)


def _judged(host: Name, sights: Iterable[Sight]) -> HostSeen:
    """What the authoritative servers' answers about one host come to; a zone below (a referral) is asked elsewhere."""
    known = list(sights)
    alias = next((one.rrset for one in known if one.state == "alias" and one.rrset), None)
    if alias is not None:
        return HostSeen(host, "alias", detail=names.to_text(min(alias.rdata)))
    present = [one.rrset for one in known if one.state == "present" and one.rrset]
    addresses = {(rrset.type, octets) for rrset in present for octets in rrset.rdata}
    if addresses:
        return HostSeen(host, "present", tuple(sorted(addresses)))
    vague = [one for one in known if one.state != "absent"]
    if vague or not known:
        return HostSeen(host, "unknown", detail=vague[0].detail if vague else "not asked")
    return HostSeen(host, "absent", detail=wire.rcode_to_text(known[0].rcode))


def _through_resolvers(hosts: Sequence[Name], surroundings: Surroundings) -> dict[Name, HostSeen]:
    from realmkit.dns.asking.delegation import resolvers_of

    found = {host: HostSeen(host, "unknown", detail="no resolver was asked") for host in hosts}
    for text in resolvers_of(surroundings.resolvers):
        left = [host for host, one in found.items() if one.state == "unknown"]
        questions = [(server_from_text(text), host, kind) for host in left for kind in _FAMILIES]
        rate = min(surroundings.options.rate or _PUBLIC_RATE, _PUBLIC_RATE)
        replies: dict[Name, list[Reply]] = {}
        for reply in surroundings.ask(questions, rd=True, rate=rate):
            replies.setdefault(reply.name, []).append(reply)
        found |= {host: _resolved(host, some) for host, some in replies.items()}
    return found


def _resolved(host: Name, replies: Sequence[Reply]) -> HostSeen:
    """What one resolver's two answers about a host come to."""
    addresses, alias, absent = set(), "", 0
    detail = ""
    for reply in replies:
        message = reply.message
        if message is None or message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
            said = reply.detail if message is None else f"answers {wire.rcode_to_text(message.rcode)}"
            detail = f"the resolver {reply.server}: {said}"
            continue
        aliases = [one.rdata for one in message.answer if one.type == rr.CNAME and one.name == host]
        alias = alias or (names.to_text(aliases[0]) if aliases else "")
        some = {(one.type, one.rdata) for one in message.answer if one.type == reply.type}
        addresses |= some
        absent += not some
    if alias:
        return HostSeen(host, "alias", tuple(sorted(addresses)), alias)
    if addresses:
        return HostSeen(host, "present", tuple(sorted(addresses)), detail)
    state: Literal["absent", "unknown"] = "absent" if absent == len(_FAMILIES) else "unknown"
    return HostSeen(host, state, detail=detail or "no such name, or no address")
