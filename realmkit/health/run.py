"""A whole run: look, look again at what was found, judge over time, remember."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, structs

from realmkit.dns import names
from realmkit.dns.asking.iteration import ROOT_SERVERS, Ways
from realmkit.dns.asking.query import Options, Tally
from realmkit.dns.plan import group_of
from realmkit.dns.records import serial_newer
from realmkit.health import judge, sample, stages
from realmkit.health.accepted import Accepted, Baseline
from realmkit.health.ground import Ground, Settings
from realmkit.health.judge import Rules
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.scope import Scope, scope
from realmkit.health.stages.realms import longest_ttl
from realmkit.health.stages.zonewide import serials_of
from realmkit.health.state import Behind, Lowered, State
from realmkit.health.verdict import Counts, Judged, Look

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name
    from realmkit.dns.work.desk import Desk
    from realmkit.health.verdict import Verdict

SECOND_LOOK_AFTER: Final = 2.0  # seconds: a lost packet, a reload or a transfer under way is over by then
_ALWAYS: Final = frozenset({"RUN01", "RUN02"})


class Judgement(Struct, frozen=True):
    """What a run is judged by.

    Attributes:
        accepted: what people accepted.
        baseline: what was there when watching began.
        rules: how findings become certain, and what counts.
        tell: whether somebody is told of the news.
        second_look: whether what was found is looked at again in this run.
    """

    accepted: Accepted
    baseline: Baseline
    rules: Rules
    tell: bool
    second_look: bool


def check(
    desk: Desk, texts: Collection[str], settings: Settings, state: State, judgement: Judgement
) -> tuple[State, Verdict]:
    """Look at everything, and judge it.

    Args:
        desk: the project.
        texts: realms, hosts or zones to look at; none for all that is configured.
        settings: what to look for, and how long.
        state: what the last run left.
        judgement: what it is judged by.

    Returns:
        What to leave for the next run, and the verdict.

    Raises:
        InputError: the configuration can't be. UnreachableError: the edge's addresses could not be looked up.
    """
    clock = desk.clock
    now, began = clock.now(), clock.monotonic()
    surroundings = Surroundings(
        clock, Options(rate=desk.project.config.policy.health.rate_per_server), desk.resolvers(),
        None if settings.deadline is None else began + settings.deadline, **_outside(desk),
    )  # fmt: skip
    wanted, _ = desk.wanted()
    inside, foreign = _sorted_out(desk, texts, settings)
    only = None if not texts else desk.select(inside) or frozenset()
    whole = scope(desk.project, wanted, only, desk.zones_about(only))
    whole = structs.replace(whole, foreign=foreign)
    first = _examined(Ground(desk, settings, state, whole, surroundings, now))
    looks = [_look(first)]
    certain = {one.key for one in state.findings if one.hard}
    fresh = [one for one in looks[0].findings if one.key not in certain]
    again = {name for one in fresh if (name := subject_name(one)) is not None}
    if judgement.second_look and again and surroundings.left() != 0.0:
        clock.sleep(min(SECOND_LOOK_AFTER, surroundings.left() or SECOND_LOOK_AFTER))
        narrowed = _narrowed(whole, again)
        ways = surroundings.ways if surroundings.ways.rootless else Ways()
        fresh_eyes = structs.replace(surroundings, tally=Tally(), ways=ways)  # who was down gets another chance
        second = _examined(
            Ground(desk, structs.replace(settings, sample=1), state, narrowed, fresh_eyes, now)
        )  # fmt: skip
        looks.append(_look(second))
    after, verdict = judge.judge(
        state, looks, judgement.accepted, judgement.baseline, judgement.rules, now, tell=judgement.tell
    )
    slowed = tuple(sorted(f"{address}:{port}" for address, port in surroundings.tally.slowed))
    verdict = structs.replace(
        verdict, seconds=clock.monotonic() - began, counts=_counts(first), serials=_serials(first),
        slowed=slowed, notes=(*first.notes, *_rootless(surroundings)),
    )  # fmt: skip
    return _remembered(after, first, verdict), verdict


def _outside(desk: Desk) -> dict[str, Any]:
    """How the way to everything outside is found: from a configured root, by configured resolvers, from the world's."""
    policy = desk.project.config.policy
    if policy.roots or policy.resolvers:
        return {"roots": policy.roots}
    return {"roots": ROOT_SERVERS, "instead": True}


def _rootless(surroundings: Surroundings) -> tuple[str, ...]:
    if not surroundings.ways.rootless:
        return ()
    then = "; resolvers were asked what stands outside of your zones" if surroundings.instead else ""
    return (f"{surroundings.ways.rootless}{then} (policy.resolvers names those to ask, policy.roots another root)",)


def _sorted_out(desk: Desk, texts: Collection[str], settings: Settings) -> tuple[list[str], tuple[Name, ...]]:
    """What lies in zones of ours, and what in those of others; old realms of moves are looked at with all."""
    inside = [text for text in texts if names.closest(names.absolute(text), desk.zones) is not None]
    outside = [names.absolute(text) for text in texts if text not in inside]
    if not texts:
        outside = [old for old, _ in settings.moves if names.closest(old, desk.zones) is None]
    return inside, tuple(dict.fromkeys(outside))


def _examined(ground: Ground) -> Ground:
    for stage in stages.ALL:
        ground.findings.extend(stage(ground))
    ground.findings = [one for one in ground.findings if one.id in ground.settings.checks | _ALWAYS]
    return ground


def _look(ground: Ground) -> Look:
    checks = ground.settings.checks | _ALWAYS
    unjudged = frozenset((check, names.to_text(name)) for check, name in ground.unjudged)
    if not ground.scope.whole:
        return Look(tuple(ground.findings), Judged(checks, _covered(ground), unjudged=unjudged))
    left_out = {task.name for task in ground.scope.tasks} - {task.name for task in ground.looked_at}
    return Look(tuple(ground.findings), Judged(checks, None, frozenset(map(names.to_text, left_out)), unjudged))


def _covered(ground: Ground) -> frozenset[str]:
    """The names that were looked at; a wildcard stands for its parent as well."""
    looked_at = {task.name for task in ground.looked_at} | set(ground.scope.zones)
    hosts = ground.passed.hosts.keys()
    stars = [names.wildcard_of(name) for name in looked_at if len(name) < 254]
    return frozenset(names.to_text(name) for name in (*looked_at, *hosts, *stars))


def subject_name(finding: Finding) -> Name | None:
    """The realm, host or zone that a finding is about; None where its subject names none."""
    text = finding.subject.partition(" ")[0]
    if not text.endswith("."):
        return None
    try:
        return group_of(names.from_text(text))
    except names.BadNameError:
        return None


def _narrowed(whole: Scope, some: Collection[Name]) -> Scope:
    """The part of a scope that is about some names."""
    pools = {task.pool for task in whole.tasks if task.name in some and task.pool is not None}
    tasks = tuple(task for task in whole.tasks if task.name in some or task.name in pools)
    zones = tuple(zone for zone in whole.zones if zone in some or any(task.zone == zone for task in tasks))
    foreign = tuple(name for name in whole.foreign if name in some)
    return structs.replace(whole, zones=zones, tasks=tasks, whole=False, foreign=foreign)


def _counts(ground: Ground) -> Counts:
    realms = sum(task.kind == "realm" for task in ground.looked_at)  # those of others among them
    return Counts(
        len(ground.scope.zones),
        realms,
        len(ground.passed.hosts),
        ground.endpoints,
        ground.surroundings.tally.sent + ground.surroundings.ways.tally.sent,
        ground.skipped,
    )


def _serials(ground: Ground) -> tuple[tuple[str, str, int | None], ...]:
    return tuple(
        (seen.title, server, serial)
        for seen in ground.zones
        for server, serial in serials_of(seen).items()
    )  # fmt: skip


# --- what is remembered ------------------------------------------------------------------------------------------


def _remembered(state: State, ground: Ground, verdict: Verdict) -> State:
    """What the next run wants to know besides findings."""
    configuration = sample.digest(ground.desk.project.document.text, ground.settings.checks)
    troubled = {names.closest(name, ground.scope.zones) for name in _troubled(verdict)}
    serials, green = dict(state.serials), dict(state.green)
    for seen in ground.zones:
        told = {server: serial for server, serial in serials_of(seen).items() if serial is not None}
        green.pop(seen.title, None)
        serials[seen.title] = told
        if ground.scope.whole and seen.task.apex not in troubled and len(told) == len(seen.servers) > 0:
            green[seen.title] = f"{ground.now:%Y-%m-%dT%H:%M:%SZ} {configuration}"
    return structs.replace(
        state,
        serials=serials,
        green=green,
        turn=(state.turn + 1) % 1_000_000,
        ttls=_ttls(state, ground),
        ds=_ds(state, ground),
        behind=_behind(state, ground),
    )


def _troubled(verdict: Verdict) -> Iterable[Name]:
    """What is not in order; a notice is no trouble."""
    for entry in verdict.entries:
        if entry.finding.level != "notice" and entry.phase != "recovered":
            name = subject_name(entry.finding)
            if name is not None:
                yield name


def _ttls(state: State, ground: Ground) -> dict[str, Lowered]:
    """Since when realms have low TTLs, as far as they were seen; of others what was known stays."""
    policy = ground.desk.project.config.policy
    found = dict(state.ttls)
    for seen in ground.passed.kept:
        text, ttl = names.to_text(seen.name), longest_ttl(seen, policy.migration_ttl)
        if ttl is None:
            continue
        if ttl > policy.migration_ttl:
            found.pop(text, None)
        elif policy.ttl > policy.migration_ttl and text not in found:
            found[text] = Lowered(ttl, policy.ttl, ground.now)
    return found


def _behind(state: State, ground: Ground) -> dict[str, dict[str, Behind]]:
    """Which servers have old copies, and since when; of one that told no serial, what was known stays."""
    found = dict(state.behind)
    for seen in ground.zones:
        known, newest = found.pop(seen.title, {}), seen.newest
        now: dict[str, Behind] = {}
        for server, serial in serials_of(seen).items():
            before = known.get(server)
            if before is not None and serial is None:
                now[server] = before
            elif serial is not None and newest is not None and serial_newer(newest, serial):
                now[server] = before if before is not None and before.serial == serial else Behind(serial, ground.now)
        if now:
            found[seen.title] = now
    return found


def _ds(state: State, ground: Ground) -> dict[str, Lowered]:
    """Which zones have a DS set, and since when those that had one have none."""
    found = dict(state.ds)
    for zone, ttl in ground.ds.items():
        text = names.to_text(zone)
        known = found.get(text)
        if ttl:
            found[text] = Lowered(ttl, ttl, ground.now)
        elif known is not None and known.ttl:
            found[text] = Lowered(0, known.before, ground.now)
    return found
