"""The operations behind `dns plan --to`: copy a zone to another provider, and see it whole there before it counts.

A copy is a plan like any other (reviewed, sealed, its inverse on disk, resumable), but nothing of it becomes ours by
it: the ledger goes on saying what it said, and where the new provider keeps notes only what was ours is marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from realmkit import errors
from realmkit.dns import names, registry
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.delegation import configured, delegated
from realmkit.dns.asking.query import Outcome
from realmkit.dns.plan import Plan, apply_to
from realmkit.dns.provider import KnowsServers, MakesZones, Notes, limits_of
from realmkit.dns.records import Key, Zone, listing
from realmkit.dns.work import guard, runs, verify
from realmkit.dns.work.apply import ZoneApplier, ZoneResult, check_unmoved
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.dns.work.verify import Report
from realmkit.dns.work.workflow import Applied, Planned, refuse_if_held
from realmkit.dns.work.zonecopy import Parent, Stage, content, copy_plan, differences, holds, stages
from realmkit.errors import InputError, NoZoneError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Capabilities
    from realmkit.dns.work.desk import Desk


class Arrival(Struct, frozen=True):
    """How a zone stands at a provider that it is being moved to.

    Attributes:
        differing: RRsets that are not the same at both providers.
        report: what the new servers answer.
        parent: what the zone's parent says of it.
        stages: what remains to be done.
    """

    differing: list[Key]
    report: Report
    parent: Parent
    stages: list[Stage]

    @property
    def exit_code(self) -> int:
        """2 when something differs or a server is wrong, 3 when something could not be found out, else 0."""
        if self.differing:
            return errors.CRITICAL
        return self.report.exit_code or (errors.UNKNOWN if self.parent.unknown else errors.OK)

    @property
    def whole(self) -> bool:
        """Whether all of the zone is at the new provider and on all of its servers."""
        return not self.differing and self.report.exit_code == errors.OK


def plan_copy(desk: Desk, zone: Name, provider: str, *, allow: Collection[str] = ()) -> Planned:
    """Work out what makes the zone at another provider hold what it holds now.

    Raises:
        InputError: there is no such zone or provider, or the zone is at home there.
        NoZoneError: it is not there, and that provider can't create it.
    """
    _check_away(desk, zone, provider)
    away = desk.at(provider)
    source = desk.provider(zone).snapshot(zone)
    target, makes = _target(away, zone)
    changes = copy_plan(source, target)
    can = _limits(away, zone, missing=makes)
    file = PlanFile(
        Plan((changes,)), {zone: Basis(provider, target.token, target.serial)}, tuple(sorted(allow)),
        desk.clock.now().isoformat(timespec="seconds"), {}, "copy",
    )  # fmt: skip
    found = guard.remaining(holds(changes, source, can), allow)
    return Planned(file, [], found, [], 2, len(content(source)), notes=_notes(source, provider, makes=makes))


def apply_copy(desk: Desk, file: PlanFile, *, allow: Collection[str] | None = ()) -> Applied:
    """Carry out a plan of `plan_copy`, or its inverse, or what is left of either.

    Raises:
        RefusedError: a guard holds, the zone changed at either provider, or it is at home at the new one by now. In all
            cases nothing was changed, and no zone was created.
        InterruptedApplyError: it stopped half way, and says how far it came.
    """
    (changes,) = file.plan.zones
    zone, provider = changes.zone, file.basis[changes.zone].provider
    _check_away(desk, zone, provider)
    away = desk.at(provider)
    with desk.locked():
        source = desk.provider(zone).snapshot(zone)
        live, missing = _target(away, zone)
        check_unmoved(changes.changes, live)
        if file.purpose == "copy":
            _check_source(source, apply_to(live, changes.changes), provider)
        lifted = None if allow is None else {*file.allowed, *allow}
        refuse_if_held(guard.remaining(holds(changes, source, _limits(away, zone, missing=missing)), lifted))
        run = runs.begin(desk.project.state_dir, file, desk.clock.now())
        if missing:
            live = _made(away, zone)
        result = ZoneResult(zone)
        tick = desk.meter(f"copying {names.to_text(zone)} to {provider}", len(changes.changes))
        applier = ZoneApplier(away.provider(zone), run, desk.clock, tick)
        applier.apply(changes, live, result)
        _mark_ours(desk, provider, source)
    settled = applier.await_settled(result)
    run.log(desk.clock.now(), "finished", verified=None)
    return Applied(run, [result], [] if settled else [zone], None)


def arrival(desk: Desk, zone: Name, provider: str, servers: Sequence[str] = (), deadline: float = 0) -> Arrival:
    """Compare the zone at both providers, ask the new one's servers for all of it, and say what remains to be done.

    Args:
        desk: the project.
        zone: the apex.
        provider: where it is being moved to.
        servers: that provider's name servers; empty to ask the provider, or the copy's own NS set.
        deadline: seconds to ask again for what is not right.
    """
    _check_away(desk, zone, provider)
    away = desk.at(provider)
    source, target = desk.provider(zone).snapshot(zone), away.provider(zone).snapshot(zone)
    hosts = tuple(servers) or _hosts(away, target)
    found = configured(hosts, desk.finder())
    expected = {zone: verify.expectations(source, content(source))}
    advance = desk.meter("asking the new servers", len(expected[zone]) * len(found.found))
    report = verify.verify(expected, {zone: found}, desk.query_options(), desk.clock, deadline, advance)
    entry = desk.project.document.place(("zones", desk.zones[zone], "provider"))
    where = f"{desk.project.document.file.name}:{entry.line}"
    parent = parent_of(desk, zone)
    return Arrival(differences(source, target), report, parent, stages(source, hosts, parent, where))


def parent_of(desk: Desk, zone: Name) -> Parent:
    """What the zone's parent says of it: NS and DS, with their TTLs."""
    found = delegated(zone, desk.finder(), desk.query_options())
    ds: int | None = None
    unknown = list(found.unknown)
    for reply in query.ask(((server, zone, rr.DS) for server in found.parents), desk.query_options()):
        if reply.outcome is Outcome.ANSWER and reply.message is not None and reply.message.aa:
            ttls = [one.ttl for one in reply.message.answer if (one.name, one.type) == (zone, rr.DS)]
            ds = max([*ttls, ds or 0])
    if ds is None and not unknown:
        unknown.append("no server of the parent says whether there is a DS set")
    return Parent(tuple(names.to_text(host) for host in found.hosts), found.ttl, ds, tuple(unknown))


def _notes(source: Zone, provider: str, *, makes: bool) -> tuple[str, ...]:
    """What the plan of a copy does not show."""
    zone = names.to_text(source.name)
    left = sorted({rr.type_to_text(key[1]) for key in source.rrsets.keys() - content(source).keys()})
    notes = [f"{zone} will be created at {provider!r}"] if makes else []
    if left:
        notes.append(f"not copied, because {provider!r} makes its own: {', '.join(left)}")
    return tuple(notes)


def _check_away(desk: Desk, zone: Name, provider: str) -> None:
    if desk.provider_name(zone) == provider:
        place = desk.project.document.place(("zones", desk.zones[zone], "provider"))
        raise RefusedError(
            f"{names.to_text(zone)} is at home at {provider!r} ({desk.project.document.file}:{place.line})",
            hint="a copy goes to, and is undone at, another provider than the one that the configuration names",
        )


def _check_source(source: Zone, copied: Zone, provider: str) -> None:
    """See that the copy would be what the zone is now, and not what it was when the plan was made."""
    if stale := differences(source, copied):
        raise RefusedError(
            f"{names.to_text(source.name)} was changed since the copy to {provider!r} was planned: {listing(stale)}",
            hint="make the plan anew",
        )


def _target(away: Desk, zone: Name) -> tuple[Zone, bool]:
    """The zone at the new provider, and whether it has to be made."""
    try:
        return away.provider(zone).snapshot(zone), False
    except NoZoneError:
        if not isinstance(away.provider(zone), MakesZones):
            raise
        return Zone(zone, {}), True


def _limits(away: Desk, zone: Name, *, missing: bool) -> Capabilities:
    """What holds for the zone at the new provider; for one that is not there yet what holds for all."""
    provider = away.provider(zone)
    return provider.capabilities if missing else limits_of(provider, zone)


def _made(away: Desk, zone: Name) -> Zone:
    """The zone at the new provider, just created there."""
    provider = away.provider(zone)
    assert isinstance(provider, MakesZones)  # noqa: S101 - `_target` looked
    provider.create_zone(zone)
    return provider.snapshot(zone)


def _mark_ours(desk: Desk, provider: str, source: Zone) -> None:
    """Put our notes on what is ours, where the new provider keeps any."""
    marker = registry.build(desk.project, provider, desk.clock)
    if not isinstance(marker, Notes):
        return
    live = marker.snapshot(source.name)
    ours = desk.ours(source) & live.rrsets.keys()
    missing = [key for key in ours if live.owners.get(key) != desk.owner]
    if missing:
        marker.mark(source.name, dict.fromkeys(missing, desk.owner), live.token)


def _hosts(away: Desk, target: Zone) -> tuple[str, ...]:
    """The new servers: as the provider's API says, else as the copy's own NS set does."""
    provider = away.provider(target.name)
    told = tuple(provider.nameservers(target.name)) if isinstance(provider, KnowsServers) else ()
    own = target.rrsets.get((target.name, rr.NS))
    hosts = told or (tuple(sorted(names.to_text(one).rstrip(".") for one in own.rdata)) if own else ())
    if not hosts:
        raise InputError(
            f"which servers serve {names.to_text(target.name)} at the new provider can't be told",
            hint="name them: --server 192.0.2.53, several times if there are several",
        )
    return hosts
