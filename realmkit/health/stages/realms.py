"""The stages about realms: which there are, what every server says of each, and whether they may move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns.wanted import edge_of
from realmkit.health import chain, clients, sample
from realmkit.health.realmpass import RealmPass, Watch
from realmkit.health.seen.moving import MovingSeen, OverlapSeen
from realmkit.health.seen.realm import Expected
from realmkit.health.seen.task import Task
from realmkit.health.stages.judging import judged
from realmkit.health.stages.zonewide import serials_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Finding
    from realmkit.health.ground import Ground
    from realmkit.health.seen.realm import RealmSeen

_FEW: Final = 200  # realms of which everything is looked at: certificates and endpoints too


def platform(ground: Ground) -> Iterator[Finding]:
    """Ask the platform which realms its accounts have."""
    if not ground.settings.wants("SIP09", "WLD06") or ground.desk.project.config.platform.kazoo is None:
        return
    from realmkit.health.observe import accounts

    known = accounts.look(ground.desk, ground.scope)
    ground.registered = None if known.unknown else known.realms_on_platform
    yield from judged(ground, [known])


def realms(ground: Ground) -> Iterator[Finding]:
    """Ask every server about every realm, pool and host."""
    tasks = ground.looked_at = [*_chosen(ground), *_foreign(ground)]
    policy = ground.desk.project.config.policy
    edge = edge_of(ground.desk.project, ground.desk.wanted()[1])
    expected = Expected(edge, policy.migration_ttl, policy.allow_private_addresses)
    moving = ground.settings.ready | {name for pair in ground.settings.moves for name in pair}
    named = not ground.scope.whole or len(tasks) <= _FEW
    watch = Watch(
        ground.servers, expected, ground.settings.checks, ground.registered,
        keep=lambda task: named or task.kind != "realm" or task.name in moving,
    )  # fmt: skip
    advance = ground.desk.meter("asking about realms", len(tasks))
    ground.passed = RealmPass(watch, ground.surroundings).run(tasks, advance)
    yield from ground.passed.findings


def _foreign(ground: Ground) -> list[Task]:
    """Realms in zones of others: nothing is wanted there, so they are judged by themselves."""
    if not ground.scope.foreign:
        return []
    from realmkit.health.observe import foreign

    tasks = []
    servers = dict(ground.servers)
    for name, found in foreign.locate(ground.scope.foreign, ground.surroundings).items():
        tasks.append(Task(name, found.zone, "realm", {}))
        servers[found.zone] = found.servers
        if found.unknown:
            ground.notes.append(f"{names.to_text(name)}: {found.unknown}")
    ground.servers = servers
    return tasks


def _chosen(ground: Ground) -> list[Task]:
    """All tasks, but of zones that have not changed since they were in order only this run's sample."""
    if ground.settings.sample == 1:
        return list(ground.scope.tasks)
    configuration = sample.digest(ground.desk.project.document.text, ground.settings.checks)
    still = {
        seen.task.apex
        for seen in ground.zones
        if seen.task.serials and sample.is_unchanged(ground.state, seen.task.apex, serials_of(seen), configuration)
    }
    looked_at = [one for one in ground.scope.tasks if one.zone not in still]
    some = [one for one in ground.scope.tasks if one.zone in still]
    chosen = looked_at + sample.sample(some, ground.state.turn, ground.settings.sample)
    ground.skipped = len(ground.scope.tasks) - len(chosen)
    return chosen


def moving(ground: Ground) -> Iterator[Finding]:
    """Realms that are about to move, and old and new side by side of those on their way."""
    policy = ground.desk.project.config.policy
    pictures = {seen.name: seen for seen in ground.passed.kept}
    seen: list[object] = []
    for name in sorted(ground.settings.ready | {old for old, _ in ground.settings.moves}):
        if name in pictures:
            known = ground.state.ttls.get(names.to_text(name))
            before, since = (known.before, known.since) if known else (policy.ttl, None)
            seen.append(
                MovingSeen(
                    name,
                    longest_ttl(pictures[name], policy.migration_ttl),
                    policy.migration_ttl,
                    before,
                    since,
                    ground.now,
                )
            )
    for old, new in ground.settings.moves:
        if old in pictures and new in pictures:
            seen.append(_overlap(pictures[old], pictures[new]))
        elif old in pictures and ground.scope.whole:
            nothing: frozenset[str] = frozenset()
            seen.append(OverlapSeen(old, new, nothing, nothing, "the new realm is not in realmkit.yml"))
    yield from judged(ground, seen)


def _overlap(old: RealmSeen, new: RealmSeen) -> OverlapSeen:
    """Where both realms lead: addresses and ports of every way that a client of RFC 3263 has."""
    ends = []
    unknown: list[str] = []
    for seen in (old, new):
        views = seen.views()
        walked = [chain.walk(seen.name, view, seen.hosts, clients.FULL) for view in views]
        unknown += [word for one in walked for word in one.unknown]
        unknown += [] if views else [f"no server told anything of {names.to_text(seen.name)}"]
        ends.append(frozenset(address for one in walked for address in one.addresses))
    return OverlapSeen(old.name, new.name, ends[0], ends[1], "; ".join(dict.fromkeys(unknown)))


def longest_ttl(seen: RealmSeen, low: int) -> int | None:
    """The longest TTL that any server gave any set of a realm.

    Args:
        seen: the realm.
        low: what TTLs are lowered to.

    Returns:
        Seconds; None where nothing was told, or where what was told is low and a server told nothing: it may hold
        more.
    """
    ttls = [one.rrset.ttl for one in seen.sights.values() if one.rrset is not None and one.state == "present"]
    longest = max(ttls, default=None)
    silent = any(one.state in ("unknown", "lame") for one in seen.sights.values())
    return None if longest is None or (silent and longest <= low) else longest
