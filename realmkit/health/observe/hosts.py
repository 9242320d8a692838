"""The hosts that SRV and MX records lead to: each is asked for once a run, however many realms lead there.

Hosts in zones at hand are asked of those zones' authoritative servers. Hosts elsewhere are looked up as
`Surroundings.finder` does; such a host is meant to exist, so no resolver learns of an absence too early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import structs

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.health.observe.realms import ask_keys
from realmkit.health.seen.realm import HostSeen, Sight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings

_FAMILIES = (rr.A, rr.AAAA)
_MAX_ALIASES = 8


def look(
    hosts: Collection[Name], servers: Mapping[Name, Sequence[Server]], surroundings: Surroundings
) -> dict[Name, HostSeen]:
    """A and AAAA of each host; of an alias those of the host that it leads to.

    Args:
        hosts: each once.
        servers: the authoritative servers of the zones at hand.
        surroundings: manners, and who tells of other zones.
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
    return found | (_outside(outside, surroundings) if outside else {})


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


def _outside(hosts: Sequence[Name], surroundings: Surroundings) -> dict[Name, HostSeen]:
    answers = surroundings.finder().ask((host, kind) for host in hosts for kind in _FAMILIES)
    return {host: _told(host, {kind: answers[host, kind] for kind in _FAMILIES}) for host in hosts}


def _told(host: Name, answers: Mapping[Type, Message | str]) -> HostSeen:
    """What the answers about a host's two families come to; an alias may lead on without addresses."""
    addresses, alias, absent = set(), "", 0
    detail = ""
    for kind, answer in answers.items():
        if isinstance(answer, str):
            detail = answer
            continue
        aliases = [one.rdata for one in answer.answer if one.type == rr.CNAME and one.name == host]
        alias = alias or (names.to_text(aliases[0]) if aliases else "")
        some = {(one.type, one.rdata) for one in answer.answer if one.type == kind}
        addresses |= some
        absent += not some
    if alias:
        return HostSeen(host, "alias", tuple(sorted(addresses)), alias)
    if addresses:
        return HostSeen(host, "present", tuple(sorted(addresses)), detail)
    state: Literal["absent", "unknown"] = "absent" if absent == len(_FAMILIES) else "unknown"
    return HostSeen(host, state, detail=detail or "no such name, or no address")
