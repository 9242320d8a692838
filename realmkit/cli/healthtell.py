"""Where the verdict of a health check goes: the terminal, files, a webhook, mail, a ping."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from realmkit import durable
from realmkit.cli.app import say_error
from realmkit.errors import RealmkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from realmkit.cli.app import App
    from realmkit.config import Project
    from realmkit.health.check import Check
    from realmkit.health.verdict import Verdict

    Table = Mapping[str, Check]
    Render = Callable[[Verdict, Table, Collection[str]], bytes]


def _text(verdict: Verdict, table: Table, _judged: Collection[str]) -> bytes:
    from realmkit.cli import show_health

    return (click.unstyle(show_health.health_text(verdict, table, everything=True)) + "\n").encode()


def _json(verdict: Verdict, table: Table, _judged: Collection[str]) -> bytes:
    import msgspec

    from realmkit.health.outputs import jsonfile

    return msgspec.json.format(msgspec.json.encode(jsonfile.document(verdict, table)), indent=1) + b"\n"


def _jsonl(verdict: Verdict, table: Table, _judged: Collection[str]) -> bytes:
    from realmkit.health.outputs import jsonfile

    return jsonfile.lines(verdict, table)


def _junit(verdict: Verdict, table: Table, judged: Collection[str]) -> bytes:
    from realmkit.health.outputs import junit

    return junit.render(verdict, table, judged)


def _nagios(verdict: Verdict, _table: Table, _judged: Collection[str]) -> bytes:
    from realmkit.health.outputs import nagios

    return (nagios.render(verdict) + "\n").encode()


def _prometheus(verdict: Verdict, _table: Table, _judged: Collection[str]) -> bytes:
    from realmkit.health.outputs import prometheus

    return prometheus.render(verdict).encode()


def _html(verdict: Verdict, table: Table, judged: Collection[str]) -> bytes:
    from realmkit.health.outputs import html

    return html.render(verdict, table, judged)


FORMATS: Final[dict[str, Render]] = {
    "text": _text, "json": _json, "jsonl": _jsonl, "junit": _junit, "nagios": _nagios, "prometheus": _prometheus,
    "html": _html,
}  # fmt: skip


def writers(texts: Iterable[str], table: Table) -> list[Callable[[Verdict, Collection[str]], None]]:
    """What writes each `FORMAT=FILE`; a slip in one is said before anything is asked.

    Raises:
        click.UsageError: no such format, or no file.
    """
    return [_writer(text, table) for text in texts]


def _writer(text: str, table: Table) -> Callable[[Verdict, Collection[str]], None]:
    shape, _, file = text.partition("=")
    if shape not in FORMATS or not file:
        raise click.UsageError(f"-o {text!r}: write FORMAT=FILE; formats are {', '.join(FORMATS)}")

    def write(verdict: Verdict, judged: Collection[str]) -> None:
        durable.write(Path(file), FORMATS[shape](verdict, table, judged))

    return write


def show(
    app: App, verdict: Verdict, judged: Collection[str], shape: str, *, cron: bool, everything: bool
) -> None:  # fmt: skip
    """Print the verdict; under cron only what is new, and nothing where nothing is."""
    from realmkit.cli import show_health
    from realmkit.health.check import catalog
    from realmkit.health.outputs import jsonfile

    if shape != "text":
        click.echo(FORMATS[shape](verdict, catalog(), judged).decode(), nl=False)
        return
    app.emit(
        "health",
        lambda: jsonfile.body(verdict, catalog()),
        lambda: (
            show_health.cron_text(verdict, catalog())
            if cron
            else show_health.health_text(verdict, catalog(), everything=everything)
        ),
    )


def failures(steps: Iterable[Callable[[], None]]) -> list[RealmkitError]:
    """Take every step, whatever became of those before it; what went wrong is said on standard error.

    A verdict that was hard to come by is not thrown away because a disk is full.
    """
    found = []
    for step in steps:
        try:
            step()
        except RealmkitError as error:
            say_error(error)
            found.append(error)
    return found


class Silence:
    """Tells nobody but the terminal."""

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """A run, from its beginning to its end."""
        yield

    def news(self, verdict: Verdict) -> None:
        """The run has a verdict."""

    def ended(self, verdict: Verdict, failed: Sequence[RealmkitError]) -> None:
        """The run is over; `failed` is what could not be written."""


class Telling(Silence):
    """Tells others by `policy.health.notify`. What goes wrong with it is said on standard error and fails nothing.

    Args:
        project: with the configuration.
    """

    def __init__(self, project: Project) -> None:
        self._notify = project.config.policy.health.notify
        self._directory = project.directory

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """A ping that the run begins; and one that it failed, if it ends without a verdict."""
        from realmkit.health.notify import ping

        url = None if self._notify.ping is None else self._notify.ping.reveal(self._directory)
        if url is not None:
            self._say(ping.start(url))
        try:
            yield
        except RealmkitError as error:
            if url is not None:
                self._say(ping.fail(url, error.message))
            raise

    def news(self, verdict: Verdict) -> None:
        """Webhook and mail, where there is news."""
        if not verdict.news:
            return
        text = _told(verdict)
        if self._notify.webhook is not None:
            from realmkit.health.notify import webhook

            self._say(webhook.send(self._notify.webhook.reveal(self._directory), verdict, text))
        if self._notify.mail is not None:
            from realmkit.health.notify import mail

            password = self._notify.mail.password
            secret = None if password is None else password.reveal(self._directory)
            self._say(mail.send(self._notify.mail, secret, verdict, text))

    def ended(self, verdict: Verdict, failed: Sequence[RealmkitError]) -> None:
        """A ping with the outcome."""
        if self._notify.ping is None:
            return
        from realmkit.health.notify import ping

        url = self._notify.ping.reveal(self._directory)
        if failed:
            self._say(ping.fail(url, "; ".join(error.message for error in failed)))
        else:
            self._say(ping.end(url, verdict.exit_code, _told(verdict)))

    @staticmethod
    def _say(words: Any) -> None:
        if words:
            click.echo(f"notice: {words}", err=True)


def _told(verdict: Verdict) -> str:
    """The news as text without colours; empty where there is none."""
    from realmkit.cli import show_health
    from realmkit.health.check import catalog

    return click.unstyle(show_health.cron_text(verdict, catalog()))
