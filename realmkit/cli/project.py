"""Commands about the project as a whole: init, demo, doctor, schema, providers."""

from __future__ import annotations

from pathlib import Path

import click

from realmkit import errors
from realmkit.cli.app import App, common


@click.command(
    epilog="""\b
Examples:
  realmkit init acme-voice && cd acme-voice
  realmkit -C /srv/realms init
"""
)
@click.argument("directory", required=False)
@common
def init(app: App, directory: str | None) -> int:
    """Write a commented project to start from. Existing files are never overwritten."""
    from realmkit.start import write_project

    target = app.directory / (directory or "")
    written = write_project(target)
    body = {"directory": str(target), "written": [str(path) for path in written]}
    lines = [*(f"wrote {path}" for path in written), "next: edit realmkit.yml, then realmkit doctor"]
    app.emit("init", lambda: body, lambda: "\n".join(lines))
    return errors.OK


@click.command(
    epilog="""\b
Example:
  realmkit demo
"""
)
@click.option("--keep", type=click.Path(path_type=Path), help="Build the project in this directory and leave it there.")
@click.option("--generation", type=click.Choice(["2024", "2026"]), default="2026", help="Which kind of platform.")
@common
def demo(app: App, keep: Path | None, generation: str) -> int:
    """Show the whole story on this machine: a realm's DNS, twenty phones moved to it, a fault and the way back.

    Needs no account anywhere, and nothing but this machine's loopback.
    """
    from realmkit.cli.story import Story
    from realmkit.sandbox.demo import play

    return play(Story(quiet=app.as_json), keep, generation)


@click.command(
    epilog="""\b
Examples:
  realmkit doctor
  realmkit doctor --json | jq '.checks[] | select(.state != "ok")'
"""
)
@common
def doctor(app: App) -> int:
    """Check Python, extras, configuration, credentials, clock, name servers, the platform, and phones' files."""
    from realmkit.cli import show
    from realmkit.clock import SystemClock
    from realmkit.dns.doctor import checkup
    from realmkit.dns.doctor import project as checks

    found = list(checks.examine(app.directory, SystemClock(), app.desk))
    if not any(check.name == "configuration" and check.state != "ok" for check in found):
        from realmkit.migrate import readiness

        found += readiness.examine(app.desk())
    app.emit("doctor", lambda: {"checks": [check.to_json() for check in found]}, lambda: show.checks_text(found))
    return checkup.exit_code(found)


@click.command(
    epilog="""\b
Examples:
  realmkit schema config > realmkit.schema.json
  realmkit schema account > account.schema.json
  realmkit schema playbook > playbook.schema.json
  realmkit schema whitelabel > whitelabel.schema.json
  realmkit schema health > health.schema.json        (what `health check --json` prints)
"""
)
@click.argument("what", type=click.Choice(["config", "account", "playbook", "whitelabel", "health"]))
def schema(what: str) -> int:
    """Print the JSON Schema (draft 2020-12) of a file of the project, or of what `health check` reports."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(_schema(what)), indent=2).decode())
    return errors.OK


def _schema(what: str) -> dict[str, object]:
    if what == "config":
        from realmkit import config
        from realmkit.dns import registry

        return config.schema(registry.settings_schemas())
    if what == "account":
        from realmkit import accountfile

        return accountfile.schema()
    if what == "health":
        from realmkit.health.outputs import jsonfile

        return jsonfile.schema()
    if what == "whitelabel":
        from realmkit.whitelabel import brandfile

        return brandfile.schema()
    from realmkit.migrate import playbook

    return playbook.schema()


@click.command(
    epilog="""\b
Examples:
  realmkit providers
  realmkit providers route53                 (credentials, limits, settings, an example)
  realmkit providers --json
  realmkit providers --markdown > docs/providers.md
"""
)
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="Print the page of the documentation.")
@common
def providers(app: App, name: str | None, *, markdown: bool) -> int:
    """List the DNS providers that are installed and what each can do; or show all of one."""
    from realmkit.cli import show_providers
    from realmkit.dns import registry

    found = [one for one in registry.survey() if name in (None, one["name"])]
    if not found:
        raise click.UsageError(f"no provider {name!r}; installed are: {', '.join(sorted(registry.available()))}")
    if markdown:
        click.echo(show_providers.page(found), nl=False)
        return errors.OK
    shown = show_providers.list_text if name is None else lambda some: show_providers.detail_text(some[0])
    app.emit("providers", lambda: {"providers": found}, lambda: shown(found))
    return errors.OK
