"""`realmkit account`: new, plan, apply, show, find."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from realmkit import errors
from realmkit.accounts.wizard import QUESTIONS
from realmkit.cli.app import App, common, confirm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realmkit.accounts.apply import Outcome
    from realmkit.accounts.office import Office
    from realmkit.accounts.survey import Planned
    from realmkit.accounts.wizard import Ground

_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_DEEP = click.option("--deep", is_flag=True, help="Read every account, not only where file or listing changed.")
_CHARGES = click.option("--accept-charges", is_flag=True, help="Let changes cost money (the platform asks: 402).")


@click.group()
def account() -> None:
    """Set up customers' accounts from files: one file holds all of the portal's wizard and account manager."""


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each question."""
    for question in reversed(QUESTIONS):
        text = question.ask.partition(":")[0]
        command = click.option(question.option, question.key, metavar=question.example, help=text)(command)
    return command


@account.command(
    epilog="""\b
Examples:
  realmkit account new                         (asks, with advice at each step)
  realmkit account new --name Acme --realm acme.voice.example.com --timezone America/Havana
  realmkit account new --name Acme --timezone America/Havana --admins "Ann Lee <ann@acme.example>" --deny international
"""
)
@click.option("--file", "file", metavar="NAME", help="Write accounts/NAME.yml. [default: after the account's name]")
@click.option("--yes", is_flag=True, help="Ask nothing: what no option answers is taken as the default.")
@_with_options
@common
def new(app: App, *, file: str | None, yes: bool, **options: str | None) -> int:
    """Write the file of a new account, asking what no option answers. Nothing is sent to the platform.

    The realm is asked with the project's first zone as a suggestion. A file that exists is never overwritten.
    """
    from realmkit import accountfile
    from realmkit.accounts import wizard
    from realmkit.yamlfile import loads

    ground = _ground(app)
    answers = _answers(ground, options, asks=not yes and not app.as_json and _is_asked())
    name = file or wizard.file_name(answers["name"])
    path = accountfile.path_of(app.directory, name)
    text = wizard.text(answers, name)
    accountfile.read(loads(text, path))
    _write_new(path, text)
    lines = [f"wrote {path}", f"next: look at it, then realmkit account plan {name}"]
    app.emit("account-new", lambda: {"file": str(path), "account": wizard.entry(answers)}, lambda: "\n".join(lines))
    return errors.OK


def _is_asked() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _ground(app: App) -> Ground:
    from realmkit.accounts.wizard import Ground
    from realmkit.config import FILE_NAME, open_project

    if not (app.directory / FILE_NAME).exists():
        return Ground()
    config = open_project(app.directory).config
    return Ground(tuple(zone.rstrip(".") for zone in config.zones), bool(config.whitelabel))


def _answers(ground: Ground, options: dict[str, str | None], *, asks: bool) -> dict[str, Any]:
    from realmkit.accounts.wizard import WHITE_LABEL, WHITE_LABEL_ADVICE

    if asks and not ground.branded and options["realm"] is None:
        _advise(WHITE_LABEL_ADVICE)
        if click.confirm(WHITE_LABEL, default=False, err=True):
            click.confirm("Go on all the same?", default=False, abort=True, err=True)
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        given = options[question.key]
        default = question.default(answers, ground) if question.default else None
        if given is None and asks:
            answers[question.key] = _asked(question, default, ground)
            continue
        if given is None and not default and question.key in ("name", "realm", "timezone"):
            raise click.UsageError(f"{question.option} is missing: {question.ask}")
        try:
            answers[question.key] = question.read(given if given is not None else default or "", ground)
        except errors.InputError as error:
            raise errors.InputError(f"{question.option}: {error.message}", hint=error.hint) from error
    return answers


def _asked(question: Any, default: str | None, ground: Ground) -> Any:
    """Ask until the answer can be used."""
    _advise(question.advice)
    while True:
        said = click.prompt(question.ask, default=default, err=True)
        try:
            return question.read(said, ground)
        except errors.InputError as error:
            click.echo(click.style(error.message, fg="red"), err=True)


def _advise(text: str) -> None:
    if text:
        click.echo("\n" + click.style(click.wrap_text(text, 78), fg="cyan"), err=True)


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise errors.InputError(f"{path} exists already", hint="edit it, or name another with --file") from error
    except OSError as error:
        raise errors.StateError(f"can't write {path}: {error.strerror}") from error


@account.command(
    epilog="""\b
Examples:
  realmkit account plan                        (every file in accounts/)
  realmkit account plan acme --json
  realmkit account plan --check                (cron, CI: exit 1 when an account is not as its file says)
  realmkit account plan --deep --check         (somebody may have changed accounts in the portal)
"""
)
@_NAMES
@_DEEP
@click.option("--check", is_flag=True, help="Exit 1 when changes are pending.")
@click.option("--all", "everything", is_flag=True, help="Show every account, however many.")
@click.option("--no-dns", is_flag=True, help="Don't look at the DNS of realms that are new.")
@common
def plan(
    app: App, names: tuple[str, ...], *, deep: bool, check: bool, everything: bool, no_dns: bool
) -> int:  # fmt: skip
    """Show what would change so that accounts are as their files say, section by section.

    An account is read if its file changed since it was applied, or its name or realm did on the platform. Exits 0
    whatever is pending (1 with --check), 2 when realmkit refuses, 64 when a file can't be used. The DNS of realms that
    are new is looked at too.
    """
    from realmkit.cli import accountdns, show_account

    with _office(app) as office:
        plans = [one.plan for one in office.plans(names, deep=deep)]
    dns = None if no_dns else accountdns.judged(app.desk(), plans)
    app.emit(
        "account-plan", lambda: show_account.plans_json(plans) | {"dns": accountdns.as_json(dns)},
        lambda: "\n".join(filter(None, [show_account.plans_text(plans, everything=everything), accountdns.text(dns)])),
    )  # fmt: skip
    return show_account.exit_code(plans, check=check)


@account.command(
    epilog="""\b
Examples:
  realmkit account apply acme
  realmkit account apply --yes
  realmkit account apply acme --accept-charges     (trunks and service plans that cost money)
"""
)
@_NAMES
@_DEEP
@_CHARGES
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
def apply(app: App, names: tuple[str, ...], *, deep: bool, accept_charges: bool, yes: bool) -> int:
    """Make accounts as their files say, then read everything back and compare.

    May be killed at any moment and run again: nothing is made or paid twice. A realm is never changed. Exits 0 when
    every account is as its file says, 2 when one is not, 64 when a file can't be used (nothing is sent then).
    """
    from realmkit.cli import show_account

    with _office(app, accept_charges=accept_charges) as office:
        planned = office.plans(names, deep=deep)
        plans = [one.plan for one in planned]
        code = show_account.exit_code(plans, check=False)
        pending = any(one.kind in ("create", "change") for one in plans)
        if code or not pending:
            app.emit(
                "account-plan", lambda: show_account.plans_json(plans),
                lambda: show_account.plans_text(plans, everything=False),
            )  # fmt: skip
            if code:
                raise errors.RefusedError("nothing was changed") if code == errors.CRITICAL else errors.InputError(
                    "nothing was changed", hint="mend the files that are named above, or name those to apply"
                )  # fmt: skip
            return code
        return _carry_out(app, office, planned, yes=yes)


def _carry_out(app: App, office: Office, planned: list[Planned], *, yes: bool) -> int:
    from realmkit.cli import show_account

    if not app.as_json:
        click.echo(show_account.plans_text([one.plan for one in planned], everything=False))
    confirm("Make these changes?", yes=yes)
    say = _say if app.verbose else lambda *_: None
    outcomes: list[Outcome] = []
    try:
        for outcome in office.apply(planned, say):
            outcomes.append(outcome)  # noqa: PERF402 - those before an error are told
    finally:
        app.emit(
            "account-apply", lambda: show_account.outcomes_json(outcomes),
            lambda: show_account.outcomes_text(outcomes),
        )  # fmt: skip
    return show_account.outcomes_code(outcomes)


def _say(name: str, section: str) -> None:
    click.echo(f"{name}: {section}", err=True)


@account.command(
    epilog="""\b
Examples:
  realmkit account show acme.voice.example.com
  realmkit account show "Acme Inc" > accounts/acme.yml     (applying that changes nothing)
"""
)
@click.argument("account_name", metavar="NAME|REALM|ID")
@common
def show(app: App, account_name: str) -> int:
    """Print an existing account as the file that would make it.

    What a file can't say is left out: passwords, payments, users who are no administrators.
    """
    from realmkit.accounts.show import as_file
    from realmkit.yamlfile import loads

    with _office(app) as office:
        text = as_file(office.platform, office.platform.setup.named(account_name))
    app.emit("account-show", lambda: {"account": loads(text, Path("account.yml")).data}, lambda: text.rstrip("\n"))
    return errors.OK


@account.command(
    epilog="""\b
Examples:
  realmkit account find 8dijd6.s.example.center    (whose realm is that?)
  realmkit account find "Acme Inc"
  realmkit account find acme --json | jq -r '.accounts[].id'
"""
)
@click.argument("text")
@common
def find(app: App, text: str) -> int:
    """Find the account that a realm, a name or an id belongs to, in the whole tree below the API key's account.

    Realms are compared without regard to case, names by their letters and digits. Three requests. Exits 1 for none.
    """
    from realmkit.cli import show_account

    with _office(app) as office:
        rows = office.platform.setup.find(text)
    app.emit("accounts", lambda: show_account.rows_json(rows), lambda: show_account.rows_text(rows))
    if not rows:
        click.echo(f"no account {text!r} among those that this API key may see", err=True)
    return errors.OK if rows else errors.WARNING


@contextmanager
def _office(app: App, *, accept_charges: bool = False) -> Iterator[Office]:
    from realmkit.accounts.office import open_office

    desk = app.desk()
    with open_office(desk.project, desk.clock, accept_charges=accept_charges) as office:
        yield office
