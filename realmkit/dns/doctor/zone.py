"""`realmkit doctor`, the part about one zone: its provider, its delegation, its servers, and what is wanted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.delegation import delegated
from realmkit.dns.doctor import blame
from realmkit.dns.doctor.checkup import Check, failure
from realmkit.dns.fields import targets
from realmkit.dns.plan import group_of
from realmkit.dns.provider import KnowsServers, limits_of
from realmkit.dns.records import type_to_text
from realmkit.errors import InputError, RealmkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realmkit.dns.doctor.blame import Path_
    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone
    from realmkit.dns.work.desk import Desk


def examine(desk: Desk, zone: Name) -> Iterator[Check]:
    """Everything about one zone that an apply would need.

    Args:
        desk: the project.
        zone: the apex.
    """
    title = names.to_text(zone)
    said = ""
    try:
        live = desk.provider(zone).snapshot(zone)
    except RealmkitError as error:
        yield failure(f"{title} through its provider", error, _place(desk, zone, error))
        if isinstance(error, InputError):  # there is no provider that could say who serves the zone
            return
        said = error.message
    else:
        yield from _reading(desk, live)
        yield from _fitness(desk, live)
        yield from _delegation(desk, zone)
    try:
        yield from _servers(desk, zone)
    except RealmkitError as error:
        if error.message != said:  # the provider was to say who serves the zone
            yield failure(f"{title} name servers", error, _line(desk, ("zones", desk.zones[zone])))


def _place(desk: Desk, zone: Name, error: RealmkitError) -> str:
    """Where the error can be mended; nothing where it says so itself (a slip in the configuration does)."""
    document = desk.project.document
    if str(document.file) in error.message:
        return ""
    name = desk.provider_name(zone)
    entry = desk.project.config.providers.get(name, {})
    return blame.line_of(document, blame.path_of(error, desk.zones[zone], name, entry))


def _line(desk: Desk, path: Path_) -> str:
    return blame.line_of(desk.project.document, path)


def _reading(desk: Desk, live: Zone) -> Iterator[Check]:
    name = f"{names.to_text(live.name)} through {desk.provider_name(live.name)}"
    serial = f", serial {live.serial}" if live.serial is not None else ""
    yield Check(name, "ok", f"{len(live.rrsets):,} RRsets{serial}{f'; {live.blind}' if live.blind else ''}")
    for word in live.unread:
        yield Check(name, "warning", f"can't be read in whole: {word}")


def _fitness(desk: Desk, live: Zone) -> Iterator[Check]:
    """Could the provider hold what is wanted, and does nothing stand in its way?"""
    name = f"{names.to_text(live.name)}: what is wanted"
    can = limits_of(desk.provider(live.name), live.name)
    wanted = desk.wanted()[0].zones[live.name]
    policy = desk.project.config.policy
    for word, ttl in (("ttl", policy.ttl), ("migration_ttl", policy.migration_ttl)):
        if ttl < can.min_ttl:
            mend = f"raise it to {can.min_ttl}"
            yield Check(
                name, "failed", f"the TTL {ttl} is below the provider's lowest", mend, _line(desk, ("policy", word))
            )
    lacking = sorted({key[1] for key in wanted} - (can.types or {key[1] for key in wanted}))
    if lacking:
        what = f"the provider can't hold {', '.join(map(type_to_text, lacking))} records"
        place = _line(desk, ("zones", desk.zones[live.name], "provider"))
        yield Check(name, "failed", what, "use another provider for this zone", place)
    for key in sorted(wanted.keys() & live.opaque.keys()):
        mend = "take it away by hand, or choose another name"
        yield Check(
            name, "failed", f"at {rr.key_to_text(key)} stands {live.opaque[key]}", mend, _entry_line(desk, key[0])
        )
    for host in sorted(_targets(desk, live) & live.proxied):
        what = f"{names.to_text(host)} is behind a web proxy, which SIP and mail do not pass"
        yield Check(name, "failed", what, "at the DNS provider, turn the proxy off for it", _host_line(desk, host))


def _targets(desk: Desk, live: Zone) -> set[Name]:
    """The hosts that SRV and MX records of ours lead to."""
    wanted = desk.wanted()[0].zones
    hosts = {host for rrsets in wanted.values() for one in rrsets.values() for host in targets(one)}
    return {host for host in hosts if names.is_under(host, live.name)}


def _entry_line(desk: Desk, name: Name) -> str:
    """The line of the realm or white-label host that wants something at a name."""
    group = group_of(name)
    config = desk.project.config
    for text in config.realms:
        if group_of(names.absolute(text)) == group:
            return _line(desk, ("realms", text))
    for domain, hosts in config.whitelabel.items():
        for label in hosts:
            if names.from_text(label, names.absolute(domain)) == name:
                return _line(desk, ("whitelabel", domain, label))
    return _host_line(desk, name)


def _host_line(desk: Desk, host: Name) -> str:
    """The line of the edge's proxy or mail host of that name."""
    edge = desk.project.config.platform.edge
    named = [("proxies", i, one.host) for i, one in enumerate(edge.proxies)]
    named += [("mail", i, one.host) for i, one in enumerate(edge.mail)]
    for part, position, text in named:
        if names.absolute(text) == host:
            return _line(desk, ("platform", "edge", part, position))
    return _line(desk, ("platform", "edge"))


def _delegation(desk: Desk, zone: Name) -> Iterator[Check]:
    """Is the zone that the provider shows the one that the world is led to?"""
    provider = desk.provider(zone)
    if desk.project.config.zones[desk.zones[zone]].nameservers or not isinstance(provider, KnowsServers):
        return
    name = f"{names.to_text(zone)} delegation"
    theirs = {names.absolute(host) for host in provider.nameservers(zone) if ":" not in host}
    found = delegated(zone, desk.finder(), desk.query_options())
    if found.unknown or not theirs:
        for text in found.unknown:
            yield Check(name, "unknown", text, "name the zone's servers", _line(desk, ("zones", desk.zones[zone])))
        return
    if theirs.isdisjoint(found.hosts):
        what = f"the world is led to {_listing(found.hosts)}, and the provider's servers are {_listing(theirs)}"
        mend = "is it the right account or zone? Else change the delegation at the registrar"
        yield Check(name, "failed", what, mend, _line(desk, ("zones", desk.zones[zone], "provider")))
    elif theirs != set(found.hosts):
        what = f"delegated to {_listing(found.hosts)}; the provider's servers are {_listing(theirs)}"
        yield Check(name, "warning", what, "have both name the same servers")
    else:
        yield Check(name, "ok", f"leads to {_listing(theirs)}")


def _listing(hosts: Iterable[Name]) -> str:
    return ", ".join(names.to_text(host)[:-1] for host in sorted(hosts))


def _servers(desk: Desk, zone: Name) -> Iterator[Check]:
    """Does each authoritative server answer for the zone, with authority?"""
    title = names.to_text(zone)
    servers = desk.servers(zone)
    place = _line(desk, ("zones", desk.zones[zone]))
    for word in servers.unknown:
        yield Check(f"{title} name servers", "unknown", word, "name them under nameservers:", place)
    for word in servers.passed_over:
        yield Check(f"{title} name servers", "ok", f"passed over: {word}")
    if not servers.found and not servers.unknown:
        yield Check(f"{title} name servers", "failed", "none found", "delegate the zone, or name them", place)
    for reply in query.ask(((server, zone, rr.SOA) for server in servers.found), desk.query_options()):
        name = f"{title} at {reply.server}"
        message = reply.message
        if message is None:
            text = f"no answer: {reply.outcome.value} {reply.detail}".strip()
            yield Check(name, "unknown", text, "is it up?", place)
        elif not message.aa or message.rcode != 0:
            text = f"answers without authority (rcode {message.rcode}): lame"
            yield Check(name, "failed", text, "load the zone there, or name other servers", place)
        else:
            yield Check(name, "ok", f"answers in {reply.rtt * 1000:.0f} ms")
