"""What `realmkit health check` does: gather what it is told, run, remember, write, tell."""

from __future__ import annotations

import contextlib
import gc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, convert

from realmkit.dns import names as dnsnames
from realmkit.dns.findings import Level
from realmkit.health import accepted, checkset, run, state
from realmkit.health.check import catalog
from realmkit.health.ground import Settings
from realmkit.health.judge import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from realmkit.cli.app import App
    from realmkit.dns.names import Name
    from realmkit.health.check import Check
    from realmkit.health.checkset import CheckSet

STATE: Final = "health.json"


class Choices(Struct, frozen=True):
    """The options of the command; each attribute is the option of that name."""

    cron: bool
    playbook: str | None
    thorough: bool
    show_all: bool
    only: tuple[str, ...]
    skip: tuple[str, ...]
    ready: bool
    confirm: int | None
    remind: str | None
    sample: int | None
    deadline: str | None
    fail_on: Level | None
    baseline: Path | None
    write_baseline: Path | None
    no_state: bool
    outputs: tuple[str, ...]
    shape: str

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Choices:
        """The options as click gives them."""
        return convert(options, cls, strict=False, dec_hook=lambda kind, value: kind(value))


def perform(app: App, names: tuple[str, ...], choices: Choices) -> int:
    """Run the checks, and say, write and send what comes of it.

    Args:
        app: the command's.
        names: realms, hosts and zones; empty for all.
        choices: the options.

    Returns:
        The exit code; where something could not be written that error's, once the verdict is said.
    """
    with _uncollected():
        return _performed(app, names, choices)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cycle collector.

    A run makes millions of records and no cycles; looking for some costs a fifth of its time, and more than its share
    where there are a hundred thousand realms.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _performed(app: App, names: tuple[str, ...], choices: Choices) -> int:
    from realmkit.cli import healthtell

    table = catalog()
    book = None if choices.playbook is None else checkset.find(choices.playbook, app.directory)
    writers = healthtell.writers(choices.outputs, table)
    settings = _settings(app, names, choices, book, table)
    desk = app.desk()
    telling = healthtell.Telling(desk.project) if choices.cron else healthtell.Silence()
    with telling.run(), _memory(app, choices) as (before, remember):
        after, verdict = run.check(desk, names, settings, before, _judgement(app, choices, book, table))
        found = [entry.finding for entry in verdict.entries if entry.seen]
        steps: list[Callable[[], None]] = []
        if choices.write_baseline is not None:
            steps.append(partial(accepted.save_baseline, choices.write_baseline, found))
        steps += [partial(write, verdict, settings.checks) for write in writers]
        failed = healthtell.failures(steps)
        healthtell.show(app, verdict, settings.checks, choices.shape, cron=choices.cron, everything=choices.show_all)
        telling.news(verdict)
        # Last, so that a run that is killed, or whose reader has gone, leaves its news to the next one.
        failed += healthtell.failures([partial(remember, after)])
        telling.ended(verdict, failed)
    return failed[0].exit_code if failed else verdict.exit_code


@contextlib.contextmanager
def _memory(app: App, choices: Choices) -> Iterator[tuple[state.State, Callable[[state.State], None]]]:
    """What earlier runs left, and what leaves something for the next; no other run comes between."""
    if choices.no_state:
        yield state.State(), lambda _after: None
        return
    path = app.desk().project.state_dir / STATE
    with state.locked(path):
        yield state.load(path), partial(state.save, path)


def _settings(
    app: App, names: tuple[str, ...], choices: Choices, book: CheckSet | None, table: Mapping[str, Check]
) -> Settings:
    deadline = choices.deadline or (book.deadline if book else None)
    policy = app.desk().project.config.policy.health
    sample = choices.sample or (book.sample if book else None)
    return Settings(
        _checks(choices, book, table),
        None if deadline is None else checkset.duration(deadline).total_seconds(),
        sample if sample is not None else policy.sample if choices.cron else 1,
        frozenset(map(dnsnames.absolute, names)) if choices.ready else frozenset(),
        tuple(_moves(app)),
    )


def _checks(choices: Choices, book: CheckSet | None, table: Mapping[str, Check]) -> frozenset[str]:
    """Which checks are made."""
    if choices.only:
        ids = checkset.chosen(table, choices.only)
    elif book is not None:
        ids = checkset.chosen(table, book.checks, book.without)
    else:
        ids = frozenset(table) if choices.thorough else frozenset(table) - checkset.ELSEWHERE
    return ids - checkset.chosen(table, choices.skip)


def _moves(app: App) -> Iterator[tuple[Name, Name]]:
    """Old and new realm of each migration on its way."""
    from realmkit.errors import InputError
    from realmkit.migrate import operations

    try:
        journal = app.existing_journal()
    except InputError:
        return  # nothing was planned yet
    with journal:
        for old, new in operations.under_way(journal):
            yield dnsnames.absolute(old), dnsnames.absolute(new)


def _judgement(app: App, choices: Choices, book: CheckSet | None, table: Mapping[str, Check]) -> run.Judgement:
    policy = app.desk().project.config.policy.health
    confirm = choices.confirm or (book.confirm if book else None) or policy.confirm
    remind = checkset.duration(choices.remind or (book.remind if book else None) or policy.remind)
    rules = Rules(
        confirm=confirm if choices.cron or choices.confirm else 1,
        remind=remind or None,
        fail_on=choices.fail_on or (book.fail_on if book else "warning"),
        count_soft=not choices.cron,
        elsewhere=choices.cron,
    )
    known = accepted.load_baseline(choices.baseline) if choices.baseline else accepted.Baseline()
    return run.Judgement(
        accepted.load(app.directory / accepted.FILE, table), known, rules, tell=choices.cron,
        second_look=rules.confirm > 1,
    )  # fmt: skip
