"""The stages about zones as a whole: copies judged offline, parents and servers, chains of trust, registration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.lint import lint, world_of
from realmkit.dns.plan import group_of
from realmkit.dns.provider import KnowsServers
from realmkit.errors import RealmkitError
from realmkit.health import liverecords
from realmkit.health.seen.dnssec import SecTask
from realmkit.health.seen.pool import PoolSeen
from realmkit.health.seen.zone import Stale, ZoneTask
from realmkit.health.stages.judging import judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import Key, Type, Zone
    from realmkit.dns.work.desk import Desk
    from realmkit.health.ground import Ground
    from realmkit.health.seen.zone import ZoneSeen

_LATE: Final = "the deadline of the run came first"


def copies(ground: Ground) -> Iterator[Finding]:
    """Read the zones through their providers, and judge offline what is in them."""
    desk = ground.desk
    for zone in ground.scope.zones:
        desk.provider(zone)  # slips in the configuration are said before anything is asked
    advance = desk.meter("reading zones", len(ground.scope.zones))

    def read(zone: Name) -> Zone | RealmkitError:
        try:
            return desk.provider(zone).snapshot(zone)
        except RealmkitError as error:
            return error
        finally:
            if ground.surroundings.left() != 0.0:
                advance(1)

    shown = ground.surroundings.each(ground.scope.zones, read, lambda _zone: RealmkitError(_LATE))
    for zone, found in zip(ground.scope.zones, shown, strict=True):
        if isinstance(found, RealmkitError):
            yield Finding(
                "PRV01", "unknown", names.to_text(zone), "its copy could not be read through its provider",
                seen=found.message, mend=found.hint or "realmkit doctor",
            )  # fmt: skip
        else:
            ground.copies[zone] = found
    yield from _linted(ground)


def _linted(ground: Ground) -> Iterator[Finding]:
    ours = {task.name for task in ground.scope.tasks}
    about = {zone: _about(live, ours) for zone, live in ground.copies.items()}
    realms = ground.desk.wanted()[0].realms
    some = {name: one for name, one in realms.items() if name in ours and names.closest(name, ground.copies)}
    allow_private = ground.desk.project.config.policy.allow_private_addresses
    yield from lint(world_of(ground.copies.values(), allow_private=allow_private), about, some)
    yield from liverecords.made_up(ground.copies, ground.desk.wanted()[0].zones, ours)


def _about(live: Zone, ours: set[Name]) -> list[Key]:
    """The records of a zone's copy that stand at or under names of ours, and the apex's."""
    return [key for key in live.rrsets if key[0] == live.name or group_of(key[0]) in ours]


def zones(ground: Ground) -> Iterator[Finding]:
    """Look at every zone as a whole: its parent, its servers, their serials and manners."""
    from realmkit.health.observe import zones as observe

    tasks = [_zone_task(ground, zone) for zone in ground.scope.zones]
    ground.zones = observe.look(tasks, ground.surroundings)
    ground.copies.clear()  # all that is wanted of them is known; of large zones they are large
    ground.servers = {seen.task.apex: tuple(one.server for one in seen.servers) for seen in ground.zones}
    _set_rates(ground)
    yield from folded(list(judged(ground, ground.zones)))


def folded(findings: Sequence[Finding]) -> Iterator[Finding]:
    """One finding for a server that could not be asked, instead of one for each check that wanted to ask it."""
    vague: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        if one.level == "unknown" and one.server:
            vague.setdefault((one.subject.partition(" ")[0], one.server), []).append(one)
        else:
            yield one
    for (zone, server), some in vague.items():
        if len(some) == 1 or not zone.endswith("."):
            yield from some
            continue
        ids = ", ".join(dict.fromkeys(one.id for one in some))
        yield Finding(
            "RUN01", "unknown", zone, f"what this server holds could not be told ({ids})", seen=some[0].seen,
            mend="look why there is no answer, and run again", server=server,
        )  # fmt: skip


def _zone_task(ground: Ground, zone: Name) -> ZoneTask:
    desk, policy = ground.desk, ground.desk.project.config.policy
    entry = desk.project.config.zones[desk.zones[zone]]
    provider = desk.provider(zone)
    assigned, unknown = (None, _LATE) if ground.surroundings.left() == 0.0 else _assigned(provider, zone)
    live = ground.copies.get(zone)
    unread = "" if live else "it could not be read through its provider"
    wildcards = tuple(ground.scope.wildcards.get(zone, {}).values())
    return ZoneTask(
        zone, entry.nameservers, assigned, unknown, live and _apex_of(live), unread,
        provider.capabilities.serials, _vanity(ground), wildcards,
        moving=zone in ground.settings.ready, transfers=_may_transfer(desk, zone),
        realms=any(task.kind != "host" for task in ground.scope.tasks if task.zone == zone),
        migration_ttl=policy.migration_ttl, allow_private=policy.allow_private_addresses, stale=_stale(ground, zone),
    )  # fmt: skip


def _stale(ground: Ground, zone: Name) -> dict[str, Stale]:
    """What earlier runs saw of old copies; a clock that was set back makes nothing older."""
    known = ground.state.behind.get(names.to_text(zone), {})
    return {server: Stale(one.serial, (ground.now - one.since).total_seconds()) for server, one in known.items()}


def _apex_of(live: Zone) -> Zone:
    """The zone without anything but its apex, which is all that is compared there."""
    return structs.replace(live, rrsets={key: one for key, one in live.rrsets.items() if key[0] == live.name})


def _may_transfer(desk: Desk, zone: Name) -> bool:
    """Whether the zone is read by transfers without a key: then this machine is one that may."""
    entry = desk.project.config.providers[desk.provider_name(zone)]
    return entry.get("type") == "rfc2136" and "tsig" not in entry


def _assigned(provider: Provider, zone: Name) -> tuple[tuple[str, ...] | None, str]:
    """The name servers that a provider gave the zone, or why it could not say."""
    if not isinstance(provider, KnowsServers):
        return None, ""
    try:
        return tuple(provider.nameservers(zone)), ""
    except RealmkitError as error:
        return None, error.message


def _vanity(ground: Ground) -> dict[Name, tuple[tuple[Type, bytes], ...]]:
    """Every host name with addresses that the configuration owns: any of them may be a zone's name server."""
    found: dict[Name, list[tuple[Type, bytes]]] = {}
    for task in ground.scope.tasks:
        for (name, kind), rrset in task.wanted.items():
            if task.kind == "host" and kind in (rr.A, rr.AAAA):
                found.setdefault(name, []).extend((kind, one) for one in sorted(rrset.rdata))
    return {name: tuple(some) for name, some in found.items()}


def _set_rates(ground: Ground) -> None:
    """Zones may have a rate of their own: for servers of ours, none at all."""
    config = ground.desk.project.config.zones
    rates: dict[str, float | None] = {}
    for zone, servers in ground.servers.items():
        rate = config[ground.desk.zones[zone]].rate_per_server
        if rate is not None:
            rates |= dict.fromkeys((one.address for one in servers), None if rate == "unlimited" else rate)
    options = structs.replace(ground.surroundings.options, rates=rates)
    ground.surroundings = structs.replace(ground.surroundings, options=options)


def serials_of(seen: ZoneSeen) -> dict[str, int | None]:
    """The serial that each server gives."""
    return {str(one.server): None if one.start is None else one.start.serial for one in seen.servers}


def slowed(ground: Ground) -> Iterator[Finding]:
    """Servers that limit the rate of their answers."""
    for zone, servers in ground.servers.items():
        for server in servers:
            if server.place in ground.surroundings.tally.slowed:
                yield Finding(
                    "RUN02", "notice", names.to_text(zone),
                    "it limits the rate of its answers and was asked more slowly",
                    mend="lower policy.health.rate_per_server, or have this machine exempted", server=str(server),
                )  # fmt: skip


def pools(ground: Ground) -> Iterator[Finding]:
    """Wildcards: whether a made-up name was answered is among what the zones showed."""
    seen = []
    for zone in ground.zones:
        for owner in {wild.name for wild in zone.task.wildcards}:
            sights = [one for server in zone.servers for key, one in server.wildcards.items() if key[0] == owner]
            told = [one.state == "present" for one in sights if one.state in ("present", "absent")]
            seen.append(PoolSeen(owner, any(told) if told else None, ground.registered is not None))
    yield from judged(ground, seen)


def dnssec(ground: Ground) -> Iterator[Finding]:
    """Chains of trust, from an anchor down to what realms are answered."""
    if not ground.settings.wants("SEC01", "SEC02", "SEC03") and not ground.settings.ready & set(ground.scope.zones):
        return
    from realmkit.health.observe import dnssec as observe

    texts = ground.desk.project.config.policy.health.trust_anchors
    anchors = {names.absolute(zone): some for zone, some in texts.items()} or None
    # A zone whose servers are configured may be hidden from the world: without an anchor of its own it has no chain.
    chosen = [
        seen.task.apex
        for seen in ground.zones
        if not seen.task.nameservers or (anchors and names.closest(seen.task.apex, anchors) is not None)
    ]
    seen = observe.look([_sec_task(ground, zone) for zone in chosen], ground.surroundings, anchors)
    told = [one for one in seen if one.ds_known and (one.ds_ttl is not None or not one.ds)]  # not by an anchor alone
    ground.ds = {one.task.zone: one.ds_ttl or 0 for one in told}
    yield from judged(ground, seen)


def _sec_task(ground: Ground, zone: Name) -> SecTask:
    known = ground.state.ds.get(names.to_text(zone))
    gone = known is not None and not known.ttl
    return SecTask(
        zone, tuple(ground.servers[zone]), _to_validate(ground, zone), move_planned=zone in ground.settings.ready,
        ds_gone_since=int(known.since.timestamp()) if known and gone else None,
        ds_ttl=known.before if known and gone else None,
    )  # fmt: skip


def _to_validate(ground: Ground, zone: Name) -> tuple[Key, ...]:
    """One set of a realm that stands by itself, and one that a wildcard answers."""
    found: dict[bool, Key] = {}
    for task in ground.looked_at:
        if task.zone == zone and task.wanted:
            found.setdefault(task.pool is not None, next(iter(task.wanted)))
    return tuple(found.values())


def registration(ground: Ground) -> Iterator[Finding]:
    """How long the domains of zones and name servers are registered."""
    if not ground.settings.wants("DEL10", "SCR03"):
        return
    from realmkit.health.observe import registration as observe

    hosts = {host for zone in ground.zones for host in zone.ns_hosts}
    cache = ground.desk.project.state_dir / "rdap.json"
    yield from judged(ground, observe.look(ground.scope.zones, sorted(hosts), ground.surroundings, cache=cache))
