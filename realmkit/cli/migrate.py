"""`realmkit migrate`: plan, rehearse, approve, run, tick, status, rollback."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common, confirm

if TYPE_CHECKING:
    from realmkit.migrate.carry import Order
    from realmkit.migrate.machine import Decision

_NAME = click.argument("name")
_WHO = click.option("--as", "who", metavar="NAME", default=getpass.getuser, help="Who you are. [default: your login]")
_SET = click.option("--set", "inputs", multiple=True, metavar="INPUT=VALUE", help="An input of the playbook.")
_TO = click.option("--to", "new", metavar="REALM", help="The new realm. [default: the one realmkit.yml names]")
_PLAYBOOK = click.option("--playbook", default="realm-migration", show_default=True, help="A name or a file.")
_DEADLINE = click.option("--deadline", default="60d", show_default=True, help="14d, or a date: nothing begins later.")
_ALLOW = click.option("--allow", multiple=True, metavar="CHECK", help="Lift one check of the playbook by its name.")
_INTERRUPTED = 130  # as shells have it: 128 and the signal's number


@click.group()
def migrate() -> None:
    """Move an account to another realm: over days, in quiet hours, resumable and reversible."""


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate plan acme
  realmkit migrate plan acme --to acme.voice.example.com --set bake=1d --deadline 14d
  realmkit migrate plan acme --playbook realm-cutover
"""
)
@_NAME
@_TO
@_PLAYBOOK
@_SET
@_DEADLINE
@_ALLOW
@common
def plan(
    app: App, name: str, *, new: str | None, playbook: str, inputs: tuple[str, ...], deadline: str,
    allow: tuple[str, ...],
) -> int:  # fmt: skip
    """Work out the move of accounts/NAME.yml: which phones, in which waves, in which windows. Changes nothing."""
    from realmkit.cli import show_migrate
    from realmkit.migrate import operations

    request = operations.Request(name, new, playbook, show_migrate.pairs(inputs), deadline, allow)
    made = operations.make_plan(app.desk(), request)
    with app.journal() as journal:
        operations.keep_plan(journal, made)
    app.emit("migrate-plan", lambda: show_migrate.plan_json(made), lambda: show_migrate.plan_text(made))
    return errors.OK


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate rehearse acme
  realmkit migrate rehearse acme --generation 2026 --deaf 2 --busy 1
  realmkit migrate rehearse acme --fail "POST /devices" --rollback
"""
)
@_NAME
@click.option("--generation", type=click.Choice(["2024", "2026"]), default="2026", help="Which kind of cluster.")
@click.option("--deaf", default=0, metavar="N", help="So many phones ignore every check-sync.")
@click.option("--busy", default=0, metavar="N", help="So many phones are in a call for an hour.")
@click.option("--rollback", "back", is_flag=True, help="Turn back in the middle of the waves.")
@common
def rehearse(app: App, name: str, *, generation: str, deaf: int, busy: int, back: bool) -> int:
    """Play the planned move through on a made-up platform, in made-up time: days pass in seconds.

    The playbook, the journal, the client and the DNS code are the real ones; the platform, its phones and the name
    server are made up from the plan, on this machine. Nothing outside is touched.
    """
    from realmkit.cli import show_migrate
    from realmkit.migrate import operations
    from realmkit.sandbox import rehearsal

    with app.existing_journal() as journal:
        state = operations.stand(journal, name)
    played = rehearsal.play(app.desk(), state, rehearsal.Cast(generation, deaf, busy), back=back)
    app.emit("rehearsal", lambda: show_migrate.rehearsal_json(played), lambda: show_migrate.rehearsal_text(played))
    return errors.OK if played.finished else errors.CRITICAL


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate approve acme --as "Jane Doe"
  realmkit migrate approve acme --as "Jane Doe" --for 7d
"""
)
@_NAME
@_WHO
@click.option("--for", "lasting", metavar="DURATION", help="How long the approval holds. [default: the playbook's]")
@common
def approve(app: App, name: str, *, who: str, lasting: str | None) -> int:
    """Approve the latest plan, exactly as it is. Another plan needs another approval."""
    from realmkit.migrate import operations

    with app.existing_journal() as journal:
        given = operations.approve(journal, name, who, lasting, app.now())
    app.emit(
        "approval",
        lambda: {"by": given.by, "digest": given.digest, "until": given.until},
        lambda: f"approved by {given.by} until {given.until:%Y-%m-%d %H:%M} UTC: realmkit migrate run {name}",
    )
    return errors.OK


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate run acme                      (until it is over or somebody is needed; Ctrl-C is safe)
  realmkit migrate run acme --accept move-2      (go on although that wave's gate did not hold)
"""
)
@_NAME
@_WHO
@click.option("--accept", metavar="STAGE", help="Let a stage pass that did not succeed.")
@click.option("--wait/--no-wait", default=True, help="Sleep until windows open and TTLs run out, or leave with 75.")
@common
def run(app: App, name: str, *, who: str, accept: str | None, wait: bool) -> int:
    """Carry the move on, from wherever it stands; what failed is tried again."""
    from realmkit.migrate import carry

    horizon = carry.FOREVER if wait else carry.TICK
    return _carried(app, name, carry.Order(who, accept=accept, retry=True, horizon=horizon))


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate tick                (from cron or a timer, every few minutes)
  realmkit migrate tick acme
"""
)
@click.argument("name", required=False)
@common
def tick(app: App, name: str | None) -> int:
    """Do what is due and leave: for cron. Silent when nothing was due.

    Exits 0 when all moves are over, 75 when one waits, 2 when one needs somebody.
    """
    from realmkit.cli import show_migrate
    from realmkit.migrate import carry

    with app.existing_journal() as journal:
        names = [name] if name else journal.migrations()
    return show_migrate.worst(_ticked(app, one, carry.Order("tick", horizon=carry.TICK)) for one in names)


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate status
  realmkit migrate status acme --json
"""
)
@click.argument("name", required=False)
@common
def status(app: App, name: str | None) -> int:
    """Show where a move stands, and when it goes on. Without a name: a line for each.

    Exits 0 when it is over, 75 when it waits or runs, 2 when it needs somebody.
    """
    from realmkit.cli import show_migrate
    from realmkit.migrate import operations

    with app.existing_journal() as journal:
        states = [operations.stand(journal, one) for one in ([name] if name else journal.migrations())]
    now = app.now()
    app.emit(
        "migrate-status",
        lambda: {"migrations": [show_migrate.status_json(state, now) for state in states]},
        lambda: "\n".join(show_migrate.status_text(state, now, whole=name is not None) for state in states),
    )
    return show_migrate.worst(show_migrate.exit_code(state, now) for state in states)


@migrate.command(
    epilog="""\b
Examples:
  realmkit migrate rollback acme               (shows the way back and asks)
  realmkit migrate rollback acme --why "carrier outage" --yes
"""
)
@_NAME
@_WHO
@click.option("--why", default="asked for", help="For the journal.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
def rollback(app: App, name: str, *, who: str, why: str, yes: bool) -> int:
    """Turn back: phones, documents, configurations, realm and DNS as they were. At once, whatever the hour."""
    from realmkit.cli import show_migrate
    from realmkit.migrate import carry, operations

    with app.existing_journal() as journal:
        state = operations.stand(journal, name)
    if state.halted is None:
        operations.check_turn(state)
        if not yes:
            click.echo(show_migrate.way_back_text(state), err=True)
        confirm(f"Turn {name} back?", yes=yes)
    return _carried(app, name, carry.Order(who, back=why, retry=True, horizon=carry.FOREVER))


def _ticked(app: App, name: str, order: Order) -> int:
    """One migration's turn; what goes wrong with it keeps no other waiting, and who runs it already needs no help."""
    try:
        return _carried(app, name, order, cron=True)
    except errors.LockedError:
        return errors.WAITING
    except errors.RealmkitError as error:
        click.echo(f"{name}: {error.message}", err=True)
        return error.exit_code


def _carried(app: App, name: str, order: Order, *, cron: bool = False) -> int:
    """Carry a migration on, show what happens meanwhile and how it stands then."""
    from realmkit.cli import show_migrate
    from realmkit.migrate import carry

    teller = show_migrate.Teller(app.progress(), silent=app.as_json, verbose=app.verbose)
    try:
        state, decision = carry.carry(app.desk(), name, order, teller)
    except KeyboardInterrupt:
        click.echo(f"interrupted; it goes on from here: realmkit migrate run {name} (or rollback {name})", err=True)
        return _INTERRUPTED
    finally:
        teller.close()
    quiet = cron and not teller.told and decision.kind == "wait"
    if not quiet or app.as_json:
        app.emit(
            "migrate-run",
            lambda: show_migrate.status_json(state, app.now()),
            lambda: show_migrate.decision_text(state, decision),
        )
    return _code(decision)


def _code(decision: Decision) -> int:
    if decision.kind == "finished":
        return errors.OK
    return errors.WAITING if decision.kind == "wait" else errors.CRITICAL
