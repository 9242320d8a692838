"""The command line: one file per noun. A command parses, calls one operation, prints, and exits with a code.

Commands are imported when they are used, so that `realmkit --help` costs click and nothing else.
"""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from typing import Any, Final

import click

from realmkit import __version__, errors

COMMANDS: Final = {
    "init": ("realmkit.cli.project:init", "Write a commented project to start from."),
    "demo": ("realmkit.cli.project:demo", "Show the whole story on this machine, in a minute."),
    "doctor": ("realmkit.cli.project:doctor", "Check Python, configuration, credentials, clock and name servers."),
    "schema": ("realmkit.cli.project:schema", "Print JSON Schemas, for editors and checkers."),
    "providers": ("realmkit.cli.project:providers", "List the DNS providers that are installed."),
    "dns": ("realmkit.cli.dns:dns", "Plan, apply and verify the records of realms and white-label domains."),
    "health": ("realmkit.cli.health:health", "Check DNS as phones, fax mail and browsers meet it; made for cron."),
    "account": ("realmkit.cli.account:account", "Set up customers' accounts, each from one file; find and show them."),
    "whitelabel": (
        "realmkit.cli.whitelabel:whitelabel",
        "Put a domain and a brand of one's own on the platform.",
    ),
    "phones": ("realmkit.cli.phones:phones", "Render the configurations of phones, and see which phones are known."),
    "schedule": (
        "realmkit.cli.schedule:schedule",
        "Find the time in which nobody works: hours, holidays, quiet windows.",
    ),
    "migrate": ("realmkit.cli.migrate:migrate", "Move an account to another realm: planned, gated, reversible."),
    "playbook": ("realmkit.cli.playbook:playbook", "See and check the order in which things are done."),
}

EPILOG: Final = """\b
Examples:
  realmkit init acme-voice && cd acme-voice
  realmkit dns lint
  realmkit dns plan --out change.json
  realmkit dns apply --plan change.json
  realmkit migrate plan acme && realmkit migrate rehearse acme

\b
Exit codes: 0 fine, 1 warning or changes pending, 2 critical or refused, 3 could not tell,
64 bad usage or bad input, 75 not yet due.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-C", "directory", metavar="DIR", default=".", help="The project directory. [default: this one]")
@click.option("-v", "--verbose", is_flag=True, help="Write a log to standard error.")
@click.version_option(__version__, prog_name="realmkit")
@click.pass_context
def root(ctx: click.Context, directory: str, *, verbose: bool) -> None:
    """Move hosted-PBX accounts between SIP realms, publish their DNS, and keep watch over it."""
    ctx.obj = {"directory": directory, "verbose": verbose}


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: as from a shell, without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    gc.set_threshold(100_000, 20, 100)  # a short life of many small records: collecting often finds nothing
    try:
        return int(root.main(args, prog_name="realmkit", standalone_mode=False) or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone; Python would complain about it on the way out
        return errors.OK
    except (click.Abort, click.ClickException, errors.RealmkitError, KeyboardInterrupt) as error:
        return _failed(error, args if args is not None else sys.argv[1:])


def _failed(error: BaseException, args: list[str]) -> int:
    """Say what went wrong and give its exit code."""
    if isinstance(error, errors.RealmkitError):
        _show_error(error, args)
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return errors.USAGE
    if isinstance(error, click.Abort) and not isinstance(error.__cause__, KeyboardInterrupt):  # a question, not Ctrl-C
        click.echo("aborted; nothing was changed", err=True)
        return errors.CRITICAL
    click.echo("interrupted", err=True)
    return 128 + signal.SIGINT


def _show_error(error: errors.RealmkitError, args: list[str]) -> None:
    from realmkit.cli.app import say_error

    if "--json" in args:
        import json

        body: dict[str, Any] = {"kind": "realmkit.error", "version": 1, "error": type(error).__name__}
        click.echo(json.dumps(body | {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}))
    say_error(error)
