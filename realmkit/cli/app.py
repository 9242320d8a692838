"""What the commands share: the project at hand, the common options, progress bars, JSON."""

from __future__ import annotations

import functools
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from realmkit.config import STATE_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from realmkit.dns.work.desk import Desk, Meter
    from realmkit.errors import RealmkitError
    from realmkit.migrate.journal import Journal

F = TypeVar("F", bound="Callable[..., Any]")


class App:
    """What a command gets: where the project is, how to show things.

    Args:
        directory: the project directory.
        as_json: print JSON instead of text.
        verbose: log to standard error.
    """

    def __init__(self, directory: str, *, as_json: bool, verbose: bool) -> None:
        self.directory = Path(directory)
        self.as_json = as_json
        self.verbose = verbose
        self._desk: Desk | None = None
        if verbose:
            logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")

    def desk(self) -> Desk:
        """The project, opened once for a command. Raises InputError when its configuration can't be."""
        if self._desk is None:
            from realmkit.clock import SystemClock
            from realmkit.config import open_project
            from realmkit.dns.work.desk import Desk, silent

            meter = self._meter if show_progress() else silent
            kind = Desk
            if (self.directory / "whitelabel").is_dir():  # brands: their records are wanted too, by every command
                from realmkit.whitelabel.desk import Desk as BrandsDesk

                kind = BrandsDesk
            self._desk = kind(open_project(self.directory), SystemClock(), meter)
        return self._desk

    def journal(self) -> Journal:
        """The project's journal of migrations, made when it is not there."""
        from realmkit.migrate.journal import Journal

        return Journal.of(self.desk().project.state_dir)

    def existing_journal(self) -> Journal:
        """The project's journal. Raises InputError when nothing was planned yet."""
        from realmkit.migrate.journal import open_existing

        return open_existing(self.directory / STATE_DIRECTORY)

    @staticmethod
    def now() -> datetime:
        """The time."""
        from realmkit.clock import SystemClock

        return SystemClock().now()

    def progress(self) -> Meter | None:
        """What makes progress bars; None where they make no sense."""
        return self._meter if show_progress() else None

    def emit(self, kind: str, body: Callable[[], dict[str, Any]], text: Callable[[], str]) -> None:
        """Print one result: `body` as JSON of that kind, or `text`; only the one that is wanted is made."""
        if self.as_json:
            import msgspec

            data = msgspec.json.encode({"kind": f"realmkit.{kind}", "version": 1} | body(), enc_hook=str)
            click.echo(msgspec.json.format(data, indent=1).decode())
        elif shown := text():
            click.echo(shown)

    @staticmethod
    def _meter(label: str, total: int) -> Callable[[int], None]:
        from realmkit.cli.bars import meter

        return meter(label, total)


def common(command: F) -> F:
    """Give a command `--json` and an `App` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON (stable, versioned).")
    @functools.wraps(command)
    def wrapper(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        settings = click.get_current_context().find_root().obj
        app = App(settings["directory"], as_json=as_json, verbose=settings["verbose"])
        return command(app, *args, **kwargs)

    return cast("F", wrapper)


def say_error(error: RealmkitError) -> None:
    """What went wrong and how to mend it, on standard error."""
    click.echo(click.style("error: ", fg="red", bold=True) + error.message, err=True)
    if error.hint:
        click.echo(click.style(" hint: ", fg="cyan") + error.hint, err=True)


def show_progress() -> bool:
    """Whether progress bars make sense: only on a terminal that can draw them."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; without one only `--yes` will do.

    Raises:
        click.Abort: the answer was no. click.UsageError: there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: say --yes, or apply a reviewed plan with --plan FILE")
    click.confirm(question, abort=True, err=True)
