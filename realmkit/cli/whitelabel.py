"""`realmkit whitelabel`: plan, apply, verify."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common, confirm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.findings import Finding
    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.desk import Desk
    from realmkit.whitelabel.plan import Plan
    from realmkit.whitelabel.platform import Platform
    from realmkit.whitelabel.verify import Site

_ALLOW = click.option(
    "--allow", multiple=True, metavar="GUARD", help="Lift one guard or check by its name; may be given several times."
)
_DNS_ONLY = click.option("--dns-only", is_flag=True, help="The records alone; the brand on the platform is left alone.")
_CHARGES = click.option("--accept-charges", is_flag=True, help="Let changes on the platform cost money.")


@click.group()
def whitelabel() -> None:
    """Put a domain and a brand of one's own on the platform, from whitelabel/DOMAIN.yml."""


@whitelabel.command(
    epilog="""\b
Examples:
  realmkit whitelabel plan voice.example.com
  realmkit whitelabel plan voice.example.com --check         (exit 1 when changes are pending, 2 when held)
  realmkit whitelabel plan voice.example.com --dns-only --out records.json
"""
)
@click.argument("domain")
@_ALLOW
@_DNS_ONLY
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan of the records to FILE.")
@click.option("--check", is_flag=True, help="Exit 1 when changes are pending, 2 when held.")
@common
def plan(app: App, domain: str, *, allow: tuple[str, ...], dns_only: bool, out: Path | None, check: bool) -> int:
    """Show the faults of the platform's record template, and what would change. Changes nothing.

    Exits 0 whatever the plan says; with --check 1 when changes are pending, 2 when something holds them back.
    """
    from realmkit.cli import show_whitelabel as show
    from realmkit.dns.work import guard, planfile
    from realmkit.whitelabel import plan as plans
    from realmkit.whitelabel.brandfile import open_brand

    guard.check_allowed(allow)
    file = open_brand(app.directory, domain)
    desk = _desk(app)
    with _platform(desk, file, leave_out=dns_only) as platform:
        made = plans.make(desk, file, platform, allow=allow, dns_only=dns_only)
    if out is not None and made.dns is not None:
        planfile.save(made.dns.file, out)
    app.emit("whitelabel-plan", lambda: show.plan_json(made), lambda: show.plan_text(made))
    if not check:
        return errors.OK
    return errors.CRITICAL if made.all_holds else errors.WARNING if made.pending else errors.OK


@whitelabel.command(
    epilog="""\b
Examples:
  realmkit whitelabel apply voice.example.com                (shows the plan and asks)
  realmkit whitelabel apply voice.example.com --code noreply@voice.example.com=1234
  realmkit whitelabel apply voice.example.com --yes --dns-only
"""
)
@click.argument("domain")
@_ALLOW
@_DNS_ONLY
@_CHARGES
@click.option("--code", "codes", multiple=True, metavar="ADDRESS=CODE", help="The code that a sender got by mail.")
@click.option("--send-keys", is_flag=True, help="Send the DKIM keys of verified senders too, after a change of key.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--deadline", type=float, metavar="SECONDS", help="How long to wait for all name servers.")
@common
def apply(
    app: App, domain: str, *, allow: tuple[str, ...], dns_only: bool, accept_charges: bool, codes: tuple[str, ...],
    send_keys: bool, yes: bool, deadline: float | None,
) -> int:  # fmt: skip
    """Publish the records, then save the brand, its files and senders; read everything back.

    What is there already is left alone, so a run that was cut off is gone on with by running it again. Exits 0 when
    every name server shows the records, 1 when a sender waits for its code.
    """
    from realmkit.cli import show_whitelabel as show
    from realmkit.dns.work import guard
    from realmkit.whitelabel import apply as onboarding
    from realmkit.whitelabel import plan as plans
    from realmkit.whitelabel.brandfile import open_brand
    from realmkit.whitelabel.senders import checked_code

    guard.check_allowed(allow)
    file = open_brand(app.directory, domain)
    by_email = dict(map(checked_code, codes))
    plans.check_codes(file, by_email)
    desk = _desk(app)
    with _platform(desk, file, leave_out=dns_only, accept_charges=accept_charges) as platform:
        made = plans.make(desk, file, platform, allow=allow, dns_only=dns_only)
        _reviewed(app, made, yes=yes or not made.pending)
        there = None if dns_only else platform
        done = onboarding.carry_out(
            desk, made, there, codes=by_email, send_keys=send_keys, allow=allow, deadline=deadline
        )
    app.emit("whitelabel-apply", lambda: show.done_json(done), lambda: show.done_text(done))
    return done.exit_code


@whitelabel.command(
    epilog="""\b
Examples:
  realmkit whitelabel verify voice.example.com
  realmkit whitelabel verify voice.example.com --json
"""
)
@click.argument("domain")
@_DNS_ONLY
@click.option("--all", "everything", is_flag=True, help="Show also what is right.")
@click.option("--deadline", type=float, default=0.0, metavar="SECONDS", help="How long to wait for all name servers.")
@common
def verify(app: App, domain: str, *, dns_only: bool, everything: bool, deadline: float) -> int:
    """Ask every name server, the platform's own test, the public brand, and portal and API for their certificates.

    Exits 0 when all is well, 1 for warnings, 2 for errors, 3 when something could not be told.
    """
    from realmkit.cli import show_whitelabel as show
    from realmkit.whitelabel import verify as verification
    from realmkit.whitelabel.brandfile import open_brand

    file = open_brand(app.directory, domain)
    desk = _desk(app)
    with _platform(desk, file, leave_out=dns_only) as platform:
        verdict = verification.verify(
            desk, file, platform, lambda sites: certificates(desk, sites), deadline=deadline, dns_only=dns_only
        )
    app.emit(
        "whitelabel-verify", lambda: show.verdict_json(verdict), lambda: show.verdict_text(verdict, right=everything)
    )
    return verdict.exit_code


def certificates(desk: Desk, sites: Sequence[Site]) -> list[Finding]:
    """Look at the certificates of sites, at every address of each, and judge them as `health check` does."""
    from realmkit.dns import names
    from realmkit.dns.findings import Finding
    from realmkit.dns.records import AAAA, A
    from realmkit.health.checks.certificates import portal
    from realmkit.health.observe import tls
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.tls import TlsTask

    found: list[Finding] = []
    tasks: list[TlsTask] = []
    for site in sites:
        subject = f"{names.to_text(site.host)} port {site.port}"
        there = desk.addresses(site.host)
        if there.unknown or not there.addresses:
            why = there.unknown or "it has no address"
            found.append(Finding("SCR07", "unknown", subject, f"its certificate could not be looked at: {why}"))
        tasks += [
            TlsTask(_address_text(kind, octets), site.port, site.host, (site.host,), "portal")
            for kind, octets in there.addresses
            if kind in (A, AAAA)
        ]
    health = desk.project.config.policy.health
    trust = None if health.trust_store is None else desk.project.directory / health.trust_store
    for seen in tls.look(tasks, Surroundings(desk.clock, desk.query_options(), desk.resolvers()), trust):
        found += portal(seen)
    return found


def _address_text(kind: int, octets: bytes) -> str:
    from realmkit.dns import rdata

    return rdata.to_text(kind, octets)


def _desk(app: App) -> Desk:
    """The project's desk with its brands."""
    from realmkit.whitelabel.desk import Desk

    plain = app.desk()
    return plain if isinstance(plain, Desk) else Desk(plain.project, plain.clock, plain.meter)


@contextmanager
def _platform(
    desk: Desk, file: BrandFile, *, leave_out: bool, accept_charges: bool = False
) -> Iterator[Platform | None]:
    """The brand's account on the platform; None where only the records are meant."""
    from realmkit.errors import InputError
    from realmkit.kazoo.brand import Branding
    from realmkit.kazoo.client import Crossbar
    from realmkit.whitelabel.brandfile import LIVE
    from realmkit.whitelabel.platform import Platform

    entry, project = desk.project.config.platform.kazoo, desk.project
    if leave_out and file.brand.template != LIVE:
        yield None
        return
    if entry is None:
        if leave_out:
            yield None
            return
        raise InputError(
            "platform.kazoo is missing in realmkit.yml, so there is no platform to put the brand on",
            hint="add its url and api_key, or say --dns-only with a saved template",
        )
    key = entry.api_key.reveal(project.directory)
    with Crossbar(entry.url, key, desk.clock, accept_charges=accept_charges) as crossbar:
        yield Platform(crossbar.find_account(file.brand.account), Branding(crossbar))


def _reviewed(app: App, made: Plan, *, yes: bool) -> None:
    """Show the plan and ask; one that is held back is refused and not asked about."""
    from realmkit.cli import show_whitelabel as show

    if not (yes and app.as_json):
        click.echo(show.plan_text(made), err=True)
    if not made.all_holds:
        confirm(f"Make {made.pending:,} {'change' if made.pending == 1 else 'changes'}?", yes=yes)
