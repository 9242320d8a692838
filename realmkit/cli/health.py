"""`realmkit health`: check, explain, accept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common
from realmkit.dns.findings import LEVELS

if TYPE_CHECKING:
    from datetime import datetime

_FORMATS = click.Choice(["text", "json", "jsonl", "junit", "nagios", "prometheus", "html"])


@click.group()
def health() -> None:
    """Judge the DNS of realms and white-label domains as phones, fax mail and browsers meet it."""


@health.command(
    epilog="""\b
Examples:
  realmkit health check
  realmkit health check acme.voice.example.com --ready      (could it move now?)
  realmkit health check --cron --playbook dns-health        (says only what is new)
  realmkit health check --thorough -o html=health.html -o junit=health.xml
  realmkit health check --only SIP --format nagios
"""
)
@click.argument("names", nargs=-1)
@click.option("--cron", is_flag=True, help="Say only what is new: certain by now, due again, or mended.")
@click.option("--playbook", metavar="NAME", help="Checks and rules of a playbook, such as dns-health.")
@click.option("--thorough", is_flag=True, help="All checks, those that talk to other servers too.")
@click.option("--all", "show_all", is_flag=True, help="Show every finding, the accepted ones too.")
@click.option("--only", multiple=True, metavar="ID", help="Only this check or group (SIP07, SIP); may be repeated.")
@click.option("--skip", multiple=True, metavar="ID", help="Not this check or group; may be repeated.")
@click.option("--ready", is_flag=True, help="Also judge whether the realms could be moved now.")
@click.option("--confirm", type=click.IntRange(1, 20), help="Looks that must agree. [default: policy's, 2]")
@click.option("--remind", metavar="TIME", help="Say open findings again after that. [default: policy's, 24h]")
@click.option("--sample", type=click.IntRange(1, 1000), help="Of unchanged zones look at one realm in N.")
@click.option("--deadline", metavar="TIME", help="End after that, whatever is left (90s, 20m).")
@click.option("--fail-on", type=click.Choice(LEVELS), help="The mildest level that fails. [default: warning]")
@click.option("--baseline", type=click.Path(dir_okay=False, path_type=Path), help="Findings that are known already.")
@click.option("--write-baseline", type=click.Path(dir_okay=False, path_type=Path), help="Write what is found there.")
@click.option("--no-state", is_flag=True, help="Neither read nor write what earlier runs saw.")
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="FORMAT=FILE", help="Also write FILE; may be repeated."
)
@click.option("--format", "shape", type=_FORMATS, default="text", help="What to print. [default: text]")
@common
def check(app: App, names: tuple[str, ...], **options: object) -> int:
    """Check everything, or the named realms, hosts and zones. Changes nothing.

    Exits 0 when all is well, 1 for warnings, 2 for errors, 3 when something could not be told.
    """
    from realmkit.cli import healthrun

    return healthrun.perform(app, names, healthrun.Choices.of(options))


@health.command(
    epilog="""\b
Examples:
  realmkit health explain                    (all checks)
  realmkit health explain SIP07
  realmkit health explain --markdown > docs/checks.md
"""
)
@click.argument("id", required=False)
@click.option("--markdown", is_flag=True, help="Print the page of the documentation.")
@common
def explain(app: App, id: str | None, *, markdown: bool) -> int:  # noqa: A002 - the argument's name
    """Explain a check: what it looks at, why it matters, how to mend what it finds."""
    from realmkit.cli import show_checks
    from realmkit.health import checkset
    from realmkit.health.check import catalog

    table = catalog()
    if markdown:
        click.echo(show_checks.page(table), nl=False)
        return errors.OK
    some = list(table) if id is None else sorted(checkset.chosen(table, [id]))
    shown = show_checks.list_text if len(some) > 1 else show_checks.one_text
    app.emit("checks", lambda: show_checks.as_json(table, some), lambda: shown(table, some))
    return errors.OK


@health.command(
    epilog="""\b
Examples:
  realmkit health accept SIP08 acme.voice.example.com --reason "one proxy until March" --until 2027-03-31
  realmkit health accept WLD06 '*' --reason "that is how our pool works" --until 2027-11-30
"""
)
@click.argument("id")
@click.argument("subject")
@click.option("--reason", required=True, help="Why; it is shown with the finding.")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The last day, YYYY-MM-DD.")
@click.option("--server", default="", help="Only as this server shows it.")
@common
def accept(app: App, id: str, subject: str, *, reason: str, until: datetime, server: str) -> int:  # noqa: A002
    """Accept a finding for a while: it is shown, but fails nothing. Kept in health-accepted.yml, for git."""
    from realmkit.health import accepted
    from realmkit.health.check import catalog
    from realmkit.health.checkset import chosen

    (known,) = chosen(catalog(), [id.upper()]) if id[-1:].isdigit() else ("",)
    if not known:
        raise click.UsageError(f"{id!r} is a group; accept single checks")
    entry = accepted.Acceptance(known, subject, reason, until.date(), server)
    path = app.directory / accepted.FILE
    if entry.until < app.now().date():
        raise click.UsageError(f"--until {entry.until} is over already")
    accepted.add(path, entry)
    body = {"id": known, "subject": subject, "until": entry.until.isoformat(), "file": str(path)}
    app.emit("health-accepted", lambda: body, lambda: f"accepted until {entry.until}: {known} {subject} ({path})")
    return errors.OK
