"""`realmkit dns`: lint, plan, apply, verify, rollback, adopt, export, lock, unlock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common, confirm

if TYPE_CHECKING:
    from realmkit.dns.work.workflow import Applied, Planned

_ALLOW = click.option(
    "--allow", multiple=True, metavar="GUARD", help="Lift one guard by its name; may be given several times."
)
_NAMES = click.argument("names", nargs=-1)
_YES = click.option("--yes", is_flag=True, help="Don't ask.")
_DEADLINE = click.option(
    "--deadline", type=float, metavar="SECONDS", help="How long to wait for all servers. [default: policy's, 60]"
)
_TTL = click.option("--ttl", type=click.IntRange(0, 2**31 - 1), help="Plan this TTL instead of the configured ones.")
_MIGRATION = click.option(
    "--migration-ttl", "migration", is_flag=True, help="Plan policy.migration_ttl, the day before a move."
)
_TO = click.option("--to", metavar="PROVIDER", help="Copy one zone, as it is, to another provider.")
_AT = click.option("--at", metavar="PROVIDER", help="Look at another provider than the zone's own.")


@click.group()
def dns() -> None:
    """Plan, apply and verify the records of realms and white-label domains."""


@dns.command(
    epilog="""\b
Examples:
  realmkit dns lint
  realmkit dns lint --offline        (the wanted set alone; asks nobody)
  realmkit dns lint acme.voice.example.com
"""
)
@_NAMES
@click.option("--offline", is_flag=True, help="Judge the wanted set alone, without reading the zones.")
@common
def lint(app: App, names: tuple[str, ...], *, offline: bool) -> int:
    """Judge what is wanted, laid over the zones as they are. Changes nothing.

    Exits 0 when nothing is wrong, 1 for warnings, 2 for errors.
    """
    from realmkit.cli import show
    from realmkit.dns import findings
    from realmkit.dns.work import workflow

    desk = app.desk()
    linted = workflow.run_lint(desk, offline=offline, only=desk.select(names))
    app.emit("lint", lambda: show.linted_json(linted), lambda: show.linted_text(linted))
    return findings.exit_code(linted.findings)


@dns.command(
    epilog="""\b
Examples:
  realmkit dns plan
  realmkit dns plan acme.voice.example.com --out change.json
  realmkit dns plan --check                  (cron, CI: exit 1 when changes are pending)
  realmkit dns plan --migration-ttl --allow blast-radius --out lower-ttl.json
  realmkit dns plan voice.example.com --to pdns --out copy.json     (a zone moves to another provider)
"""
)
@_NAMES
@_ALLOW
@_TTL
@_MIGRATION
@_TO
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan to FILE.")
@click.option("--check", is_flag=True, help="Exit 1 when changes are pending, 2 when held.")
@click.option("--all", "everything", is_flag=True, help="Show every change, however many.")
@common
def plan(
    app: App, names: tuple[str, ...], *, allow: tuple[str, ...], ttl: int | None, migration: bool, to: str | None,
    out: Path | None, check: bool, everything: bool,
) -> int:  # fmt: skip
    """Show what would change. Changes nothing.

    Exits 0 whatever the plan says; with --check 1 when changes are pending, 2 when a guard holds them back.
    """
    from realmkit.cli import show
    from realmkit.dns.work import planfile

    planned = _planned(app, names, allow, ttl, migration=migration, to=to)
    if out is not None:
        planfile.save(planned.file, out)
    app.emit(
        "dns-plan",
        lambda: show.planned_json(planned),
        lambda: show.planned_text(planned, everything=everything),
    )
    if not check or not planned.file.plan.size:
        return errors.OK
    return errors.CRITICAL if planned.holds else errors.WARNING


@dns.command(
    epilog="""\b
Examples:
  realmkit dns apply                         (shows the plan and asks)
  realmkit dns apply --plan change.json      (exactly the reviewed plan, or nothing)
  realmkit dns apply --yes acme.voice.example.com
  realmkit dns apply voice.example.com --to pdns
"""
)
@_NAMES
@_ALLOW
@_TTL
@_MIGRATION
@_TO
@click.option("--plan", "plan_path", type=click.Path(dir_okay=False, path_type=Path), help="Apply this plan file.")
@_YES
@_DEADLINE
@click.option("--no-verify", is_flag=True, help="Don't ask the name servers afterwards.")
@common
def apply(
    app: App, names: tuple[str, ...], *, allow: tuple[str, ...], ttl: int | None, migration: bool, to: str | None,
    plan_path: Path | None, yes: bool, deadline: float | None, no_verify: bool,
) -> int:  # fmt: skip
    """Make the changes, then look again on every authoritative server.

    A plan file is applied as it stands, or refused because the live state moved. The inverse is on disk before the
    first record changes. Exits 0 when every server shows the result, 2 when one does not, 3 when one can't be asked.
    """
    from realmkit.dns.work import execution, guard, planfile

    guard.check_allowed(allow)
    if plan_path is not None:
        if names or ttl is not None or migration or to:
            raise click.UsageError("--plan FILE is applied as it stands: leave names, TTLs and --to out")
        file = planfile.read(plan_path)
    else:
        file = _reviewed(app, _planned(app, names, allow, ttl, migration=migration, to=to), yes=yes).file
    return _finish(
        app, execution.carry_out(app.desk(), file, allow=allow, verify_deadline=0 if no_verify else deadline)
    )


@dns.command(
    epilog="""\b
Examples:
  realmkit dns verify
  realmkit dns verify acme.voice.example.com --deadline 5
  realmkit dns verify voice.example.com --at pdns        (a copied zone, before its delegation changes)
"""
)
@_NAMES
@_AT
@click.option("--server", "servers", multiple=True, metavar="ADDRESS", help="With --at: a name server to ask.")
@click.option("--deadline", type=float, default=0, metavar="SECONDS", help="Ask again for so long. [default: once]")
@click.option("-q", "--quiet", is_flag=True, help="Leave out the records that are right everywhere.")
@common
def verify(
    app: App, names: tuple[str, ...], *, at: str | None, servers: tuple[str, ...], deadline: float, quiet: bool
) -> int:
    """Ask every authoritative server for everything that is wanted.

    Prints what each server should show of each record and what it shows. Exits 0 when all is as wanted, 2 when
    something is not, 3 when a server could not be asked.
    """
    from realmkit.cli import show
    from realmkit.dns.work import workflow

    if at is not None:
        return _arrival(app, _one_zone(names), at, servers, deadline)
    desk = app.desk()
    report = workflow.verify_wanted(desk, only=desk.select(names), deadline=deadline)
    app.emit("dns-verify", lambda: show.report_json(report), lambda: show.report_text(report, right=not quiet))
    return report.exit_code


@dns.command(
    epilog="""\b
Examples:
  realmkit dns rollback                      (the latest run; shows it and asks)
  realmkit dns rollback 1a2b3c4d5e6f --yes
"""
)
@click.argument("run", required=False)
@_YES
@_DEADLINE
@common
def rollback(app: App, run: str | None, *, yes: bool, deadline: float | None) -> int:
    """Undo a run: put back what was there before it. What others changed since stays, and stops it."""
    from realmkit.cli import show
    from realmkit.dns.work import execution, planfile, runs

    desk = app.desk()
    found = runs.find(desk.project.state_dir, run)
    if not yes:
        click.echo(show.plan_text(planfile.read(found.inverse_path).plan), err=True)
    confirm(f"Undo {found.name}?", yes=yes)
    return _finish(app, execution.roll_back(desk, found, verify_deadline=deadline))


@dns.command(
    epilog="""\b
Examples:
  realmkit dns adopt --wanted                      (all that is wanted, exists, and is not ours)
  realmkit dns adopt acme.voice.example.com        (all of a realm, its SRV sets included)
  realmkit dns adopt acme.voice.example.com A MX
"""
)
@click.argument("name", required=False)
@click.argument("types", nargs=-1)
@click.option("--wanted", is_flag=True, help="Everything that is wanted and exists.")
@_YES
@common
def adopt(app: App, name: str | None, types: tuple[str, ...], *, wanted: bool, yes: bool) -> int:
    """Take over records that exist. From then on the configuration decides about them."""
    from realmkit.cli import show
    from realmkit.dns import names
    from realmkit.dns.records import key_to_text
    from realmkit.dns.work import adoption

    if wanted == (name is not None):
        raise click.UsageError("say either a name, with or without types, or --wanted")
    desk = app.desk()
    keys = adoption.adoptable(desk) if name is None else adoption.find_keys(desk, names.absolute(name), types)
    if keys and not yes:
        click.echo("\n".join(key_to_text(key) for key in keys), err=True)
        confirm(f"Adopt {show.count(len(keys), 'RRset')}?", yes=yes)
    adopted = adoption.adopt(desk, keys)
    app.emit("dns-adopt", lambda: show.adopted_json(adopted), lambda: show.adopted_text(adopted))
    return errors.OK


@dns.command(
    epilog="""\b
Examples:
  realmkit dns export voice.example.com > voice.example.com.zone
  realmkit dns export voice.example.com --json
  realmkit dns export voice.example.com --at pdns
"""
)
@click.argument("zone")
@_AT
@common
def export(app: App, zone: str, *, at: str | None) -> int:
    """Print a zone as its provider has it, as a zone file."""
    from realmkit.cli import show
    from realmkit.dns import names
    from realmkit.dns.zonefiles.zonelisting import zone_text

    desk = app.desk() if at is None else app.desk().at(at)
    name = names.absolute(zone)
    live = desk.provider(name).snapshot(name)
    app.emit("zone", lambda: show.zone_json(live), lambda: zone_text(live))
    return errors.OK


@dns.command(
    epilog="""\b
Examples:
  realmkit dns lock acme.voice.example.com         (all of a realm, its SRV sets included)
  realmkit dns lock acme.voice.example.com A MX
  realmkit dns lock --list voice.example.com
"""
)
@click.argument("name")
@click.argument("types", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Show what is locked in the zone NAME; lock nothing.")
@common
def lock(app: App, name: str, types: tuple[str, ...], *, only_list: bool) -> int:
    """Have the provider refuse every change of these records, whoever asks, until they are unlocked (Route 53)."""
    from realmkit.cli import show_zone
    from realmkit.dns import names
    from realmkit.dns.work import adoption, locking

    desk = app.desk()
    if only_list:
        done = locking.Locked([], locking.locked(desk, names.absolute(name)))
    else:
        done = locking.lock(desk, adoption.find_keys(desk, names.absolute(name), types))
    app.emit("dns-lock", lambda: show_zone.locked_json(done), lambda: show_zone.locked_text(done, "locked"))
    return errors.OK


@dns.command(
    epilog="""\b
Examples:
  realmkit dns unlock acme.voice.example.com
"""
)
@click.argument("name")
@click.argument("types", nargs=-1)
@common
def unlock(app: App, name: str, types: tuple[str, ...]) -> int:
    """Let records be changed again that were locked."""
    from realmkit.cli import show_zone
    from realmkit.dns import names
    from realmkit.dns.work import adoption, locking

    desk = app.desk()
    done = locking.release(desk, adoption.find_keys(desk, names.absolute(name), types))
    app.emit("dns-unlock", lambda: show_zone.locked_json(done), lambda: show_zone.locked_text(done, "released"))
    return errors.OK


def _planned(
    app: App, names: tuple[str, ...], allow: tuple[str, ...], ttl: int | None, *, migration: bool, to: str | None
) -> Planned:
    from realmkit.dns.work import guard, workflow

    guard.check_allowed(allow)
    if to is not None:
        if ttl is not None or migration:
            raise click.UsageError("--to copies a zone as it is: leave TTLs out")
        return _planned_copy(app, names, to, allow)
    desk = app.desk()
    if migration and ttl is not None:
        raise click.UsageError("--ttl and --migration-ttl exclude each other")
    wanted_ttl = desk.project.config.policy.migration_ttl if migration else ttl
    return workflow.make_plan(desk, allow=allow, only=desk.select(names), ttl=wanted_ttl)


def _planned_copy(app: App, names: tuple[str, ...], to: str, allow: tuple[str, ...]) -> Planned:
    from realmkit.dns.names import absolute
    from realmkit.dns.work import zonemove

    return zonemove.plan_copy(app.desk(), absolute(_one_zone(names)), to, allow=allow)


def _one_zone(names: tuple[str, ...]) -> str:
    if len(names) != 1:
        raise click.UsageError("--to and --at are about one zone: name it")
    return names[0]


def _arrival(app: App, zone: str, provider: str, servers: tuple[str, ...], deadline: float) -> int:
    from realmkit.cli import show_zone
    from realmkit.dns import names
    from realmkit.dns.work import zonemove

    arrived = zonemove.arrival(app.desk(), names.absolute(zone), provider, servers, deadline)
    app.emit("dns-arrival", lambda: show_zone.arrival_json(arrived), lambda: show_zone.arrival_text(arrived))
    return arrived.exit_code


def _reviewed(app: App, planned: Planned, *, yes: bool) -> Planned:
    """Show the plan and ask; a plan that a guard holds back is refused by `apply_plan` and not asked about."""
    from realmkit.cli import show

    if planned.file.plan.zones and not planned.holds:
        if not (yes and app.as_json):
            click.echo(show.planned_text(planned, everything=False), err=True)
        confirm(f"Apply {show.count(planned.file.plan.size, 'change')}?", yes=yes)
    return planned


def _finish(app: App, applied: Applied) -> int:
    from realmkit.cli import show

    app.emit("dns-apply", lambda: show.applied_json(applied), lambda: show.applied_text(applied))
    if applied.unsettled:
        return errors.UNKNOWN
    return errors.OK if applied.report is None else applied.report.exit_code
