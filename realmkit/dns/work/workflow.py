"""The operations behind `realmkit dns`: load, derive, observe, diff, review, apply, verify.

Each takes a `Desk` and returns data; nothing here prints or asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, structs

from realmkit.dns import names, plan, rdata, realm
from realmkit.dns.findings import Finding
from realmkit.dns.lint import lint, world_of
from realmkit.dns.names import Name
from realmkit.dns.plan import Plan, ZonePlan, group_of
from realmkit.dns.provider import limits_of
from realmkit.dns.records import Key, RRset, Zone, listing
from realmkit.dns.work import guard, runs, verify
from realmkit.dns.work.adoption import chosen
from realmkit.dns.work.apply import ZoneApplier, ZoneResult, check_unmoved
from realmkit.dns.work.guard import Hold
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.dns.work.runs import Run
from realmkit.dns.work.verify import Report
from realmkit.errors import InterruptedApplyError, RealmkitError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from realmkit.dns.realm import Realm
    from realmkit.dns.work.desk import Desk


class Linted(Struct, frozen=True):
    """What `lint` found.

    Attributes:
        findings: the worst first.
        rrsets: how many wanted RRsets were judged.
        blind: zones that were judged without a snapshot.
    """

    findings: list[Finding]
    rrsets: int
    blind: list[Name]


class Planned(Struct, frozen=True):
    """What `make_plan` worked out.

    Attributes:
        file: the plan, ready to be saved or applied.
        findings: about what the plan touches.
        holds: guards that hold it back, after `--allow`.
        unowned: RRsets that are as wanted but not ours; `dns adopt` takes them over.
        zones: how many zones were read.
        rrsets: how many RRsets are wanted.
        notes: what the plan does not show, in words.
    """

    file: PlanFile
    findings: list[Finding]
    holds: list[Hold]
    unowned: list[Key]
    zones: int
    rrsets: int
    notes: tuple[str, ...] = ()


class Applied(Struct, frozen=True):
    """What became of an apply.

    Attributes:
        run: its diary; None when there was nothing to do.
        results: by zone.
        unsettled: zones whose backend did not confirm in time.
        report: what the authoritative servers say; None if not asked.
    """

    run: Run | None
    results: list[ZoneResult]
    unsettled: list[Name]
    report: Report | None


def run_lint(desk: Desk, *, offline: bool, only: Collection[Name] | None = None) -> Linted:
    """Judge everything that is wanted, laid over the zones as they are.

    Args:
        desk: the project.
        offline: judge the wanted set alone, without reading the zones.
        only: realms, hosts or zones to judge; None for all.
    """
    wanted, _ = desk.wanted()
    zones = [zone for zone, rrsets in wanted.zones.items() if rrsets]
    live = {zone: Zone(zone, {}) for zone in zones} if offline else desk.snapshots(zones)
    after = [_laid_over(live[zone], wanted.zones[zone]) for zone in zones]
    scope = {zone: [key for key in wanted.zones[zone] if chosen(key, zone, only)] for zone in zones}
    realms = {name: one for name, one in wanted.realms.items() if only is None or name in only}
    world = world_of(after, allow_private=desk.project.config.policy.allow_private_addresses)
    return Linted(lint(world, scope, realms), sum(map(len, scope.values())), zones if offline else [])


def make_plan(
    desk: Desk, *, allow: Collection[str] = (), only: Collection[Name] | None = None, ttl: int | None = None
) -> Planned:
    """Work out what has to change.

    Args:
        desk: the project.
        allow: guards that the user lifts by name.
        only: realms, hosts or zones to plan for; None for all.
        ttl: plan this TTL, in seconds, instead of the configured ones (before and during a migration).
    """
    wanted, looked_up = desk.wanted()
    by_zone = {zone: _at_ttl(rrsets, ttl) for zone, rrsets in wanted.zones.items()}
    live = desk.snapshots([zone for zone in desk.zones_about(only) if by_zone[zone] or desk.ledger(zone).owned()])
    plans: list[ZonePlan] = []
    unowned: list[Key] = []
    for zone, snapshot in live.items():
        owned = desk.ours(snapshot)
        rrsets = by_zone[zone]
        plans.append(_narrowed(plan.diff(snapshot, rrsets, owned), only))
        unowned.extend(key for key in rrsets if key not in owned and snapshot.rrsets.get(key) == rrsets[key])
    whole = Plan(tuple(one for one in plans if one.changes))
    file = PlanFile(
        whole,
        {one.zone: _basis(desk, live[one.zone]) for one in whole.zones},
        tuple(sorted(allow)),
        desk.clock.now().isoformat(timespec="seconds"),
        {host: sorted(_address_texts(found)) for host, found in looked_up.items()},
    )
    findings, holds = review(desk, whole, live, wanted.realms, allow)
    return Planned(file, findings, holds, unowned, len(live), sum(map(len, by_zone.values())))


def review(
    desk: Desk, whole: Plan, live: Mapping[Name, Zone], realms: Mapping[Name, Realm], allow: Collection[str] | None
) -> tuple[list[Finding], list[Hold]]:
    """Lint what a plan touches, as it would be, and ask the guards.

    Returns:
        The findings, and the holds that `allow` does not lift; None lifts all that can be lifted.
    """
    if not whole.zones:
        return [], []
    changed = {one.zone: one for one in whole.zones}
    after = [plan.apply_to(zone, changed[name].changes) if name in changed else zone for name, zone in live.items()]
    scope = {one.zone: [change.key for change in one.changes] for one in whole.zones}
    groups = {group_of(key[0]) for keys in scope.values() for key in keys}
    touched = {name: one for name, one in realms.items() if name in groups or one.parent in groups}
    world = world_of(after, allow_private=desk.project.config.policy.allow_private_addresses)
    findings = lint(world, scope, touched)
    holds = guard.blast_radius(whole.zones, desk.project.config.policy.guards.blast_radius)
    for position, one in enumerate(whole.zones):
        zone, can = live[one.zone], limits_of(desk.provider(one.zone), one.zone)
        judged = findings if position == 0 else []
        holds.extend(guard.holds(one, zone, desk.ledger(one.zone).owned(), desk.owner, can, judged))
    return findings, guard.remaining(holds, allow)


def apply_plan(
    desk: Desk, file: PlanFile, *, allow: Collection[str] | None = (), verify_deadline: float | None = None
) -> Applied:
    """Carry out exactly this plan, or what is left of it, and verify it on every authoritative server.

    Args:
        desk: the project.
        file: the plan.
        allow: guards lifted now, beside those that the plan's maker lifted; None lifts all that can be lifted, as
            for going back to what was there.
        verify_deadline: seconds to wait for the servers; 0 leaves verification out, None takes the policy's.

    Raises:
        RefusedError: a guard holds, or the live state moved. StateError: the disk won't take the inverse. In both
            cases nothing was changed.
        InterruptedApplyError: it stopped half way, and says how far it came.
    """
    if not file.plan.zones:
        return Applied(None, [], [], None)
    with desk.locked():
        live = desk.snapshots([one.zone for one in file.plan.zones])
        left = [ZonePlan(one.zone, check_unmoved(one.changes, live[one.zone]).todo) for one in file.plan.zones]
        lifted = None if allow is None else {*file.allowed, *allow}
        refuse_if_held(review(desk, Plan(tuple(left)), live, _realms_of(desk), lifted)[1])
        run = runs.begin(desk.project.state_dir, file, desk.clock.now())
        results = _apply_zones(desk, file, live, run)
    unsettled = [result.zone for result in results if not _applier(desk, result.zone, run).await_settled(result)]
    report = _verify_after(desk, file.plan, verify_deadline)
    run.log(desk.clock.now(), "finished", verified=None if report is None else report.exit_code)
    return Applied(run, results, unsettled, report)


def verify_wanted(desk: Desk, *, only: Collection[Name] | None, deadline: float = 0, ttl: int | None = None) -> Report:
    """Ask every authoritative server for what is wanted; what is not right is asked again for `deadline` seconds.

    With `ttl` that TTL, in seconds, is expected instead of the configured ones.
    """
    wanted, _ = desk.wanted()
    expected = {
        zone: [rrset for key, rrset in rrsets.items() if chosen(key, zone, only)]
        for zone, rrsets in ((zone, _at_ttl(rrsets, ttl)) for zone, rrsets in wanted.zones.items())
    }
    return _ask_servers(
        desk,
        {zone: [verify.present(rrset) for rrset in rrsets] for zone, rrsets in expected.items() if rrsets},
        deadline,
    )


def verify_plan(desk: Desk, file: PlanFile) -> Report:
    """Ask every authoritative server, once, whether it shows what a plan changed."""
    return _ask_servers(desk, _expected_after(desk, file.plan), 0)


def _at_ttl(wanted: Mapping[Key, RRset], ttl: int | None) -> Mapping[Key, RRset]:
    return wanted if ttl is None else realm.with_ttl(wanted, ttl)


def _laid_over(live: Zone, wanted: Mapping[Key, RRset]) -> Zone:
    return structs.replace(live, rrsets={**live.rrsets, **wanted}, mixed=live.mixed - wanted.keys())


def _narrowed(whole: ZonePlan, only: Collection[Name] | None) -> ZonePlan:
    if only is None:
        return whole
    return ZonePlan(whole.zone, tuple(change for change in whole.changes if chosen(change.key, whole.zone, only)))


def _basis(desk: Desk, live: Zone) -> Basis:
    return Basis(desk.provider_name(live.name), live.token, live.serial)


def _address_texts(found: Iterable[tuple[int, bytes]]) -> list[str]:
    return [rdata.to_text(kind, octets) for kind, octets in found]


def refuse_if_held(holds: Sequence[Hold]) -> None:
    """Raise RefusedError, with what holds and what mends it, unless nothing does."""
    if holds:
        raise RefusedError(
            "refused: " + "; ".join(f"[{hold.guard}] {hold.subject}: {hold.message}" for hold in holds[:8])
            + (f"; and {len(holds) - 8} more" if len(holds) > 8 else ""),
            hint="; ".join(sorted({hold.mend for hold in holds[:8] if hold.mend})),
        )  # fmt: skip


def _realms_of(desk: Desk) -> Mapping[Name, Realm]:
    """The realms of the configuration, for lint; a plan may outlive the entry that it came from."""
    return desk.wanted()[0].realms


def _applier(desk: Desk, zone: Name, run: Run, total: int = 0) -> ZoneApplier:
    tick = desk.meter(f"applying to {names.to_text(zone)}", total) if total else lambda _steps: None
    return ZoneApplier(desk.provider(zone), run, desk.clock, tick)


def _apply_zones(desk: Desk, file: PlanFile, live: Mapping[Name, Zone], run: Run) -> list[ZoneResult]:
    why = f"apply {file.plan.digest[:12]}"
    results = [ZoneResult(one.zone) for one in file.plan.zones]
    for one in file.plan.zones:
        desk.ledger(one.zone).record(desk.clock.now(), why, take=_created(one))
    for position, (one, result) in enumerate(zip(file.plan.zones, results, strict=True)):
        try:
            _applier(desk, one.zone, run, len(one.changes)).apply(one, live[one.zone], result)
        except (RealmkitError, KeyboardInterrupt) as error:
            _release_claims(desk, file.plan.zones[position:], results[position:])
            raise _account(file.plan, position, run, error) from error
        gone = [change.key for change in one.changes if change.after is None]
        desk.ledger(one.zone).record(desk.clock.now(), why, drop=gone)
    return results


def _created(one: ZonePlan) -> list[Key]:
    return [change.key for change in one.changes if change.before is None]


def _release_claims(desk: Desk, plans: Iterable[ZonePlan], results: Iterable[ZoneResult]) -> None:
    """Give up what was claimed and certainly not created; where it is not certain the claim stays."""
    for one, result in zip(plans, results, strict=True):
        if result.known:
            made = {change.key for change in (*result.applied, *result.already)}
            left = [key for key in _created(one) if key not in made]
            desk.ledger(one.zone).record(desk.clock.now(), "not applied", drop=left)


def _account(
    whole: Plan, position: int, run: Run, error: RealmkitError | KeyboardInterrupt
) -> RealmkitError | KeyboardInterrupt:
    """The error that ended an apply, with what became of the other zones."""
    at = whole.zones[position]
    interrupted = isinstance(error, KeyboardInterrupt)
    if isinstance(error, KeyboardInterrupt):
        touched = listing([change.key for change in at.changes])
        text = f"interrupted while {names.to_text(at.zone)} was being changed ({touched})"
        onward = f"to go on: realmkit dns apply --plan {run.plan_path}"
        hint: str | None = f"{onward}; to go back: realmkit dns rollback {run.name}"
    else:
        text, hint = error.message, error.hint
    if len(whole.zones) == 1 and not interrupted:
        return error
    for word, zones in (
        ("Applied before that", whole.zones[:position]),
        ("Not begun", whole.zones[position + 1 :]),
    ):
        if zones:
            text += f". {word}: " + ", ".join(names.to_text(one.zone) for one in zones)
    return InterruptedApplyError(text, hint=hint)


def _verify_after(desk: Desk, whole: Plan, deadline: float | None) -> Report | None:
    """Look again: every changed RRset on every authoritative server, as the zone should now answer."""
    if deadline == 0:
        return None
    expected = _expected_after(desk, whole)
    return _ask_servers(desk, expected, desk.project.config.policy.verify_deadline if deadline is None else deadline)


def _expected_after(desk: Desk, whole: Plan) -> dict[Name, list[verify.Expectation]]:
    """What the servers should answer once a plan is in force."""
    now = desk.snapshots([one.zone for one in whole.zones])
    expected = {}
    for one in whole.zones:
        after = plan.apply_to(now[one.zone], one.changes)
        expected[one.zone] = verify.expectations(after, [change.key for change in one.changes])
    return expected


def _ask_servers(desk: Desk, expected: Mapping[Name, list[verify.Expectation]], deadline: float) -> Report:
    servers = {zone: desk.servers(zone) for zone in expected}
    advance = desk.meter(
        "asking name servers", sum(len(expected[zone]) * len(servers[zone].found) for zone in expected)
    )
    return verify.verify(expected, servers, desk.query_options(), desk.clock, deadline, advance)
