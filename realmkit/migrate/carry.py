"""Carry a migration on as a user or cron asks: lock it, record what was decided, run it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.accountfile import open_account
from realmkit.errors import InputError, RefusedError
from realmkit.migrate import events as ev
from realmkit.migrate import operations
from realmkit.migrate.journal import open_existing
from realmkit.migrate.machine import Decision, decide
from realmkit.migrate.runner import Runner, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realmkit.dns.work.desk import Desk
    from realmkit.migrate.journal import Journal
    from realmkit.migrate.runner import Report
    from realmkit.migrate.state import State

FOREVER: Final = float("inf")
TICK: Final = 20.0  # seconds that a run from cron waits for something to fall due


class Order(Struct, frozen=True):
    """What somebody wants of a migration.

    Attributes:
        who: wants it.
        accept: a stage that may pass although it did not succeed.
        retry: try again what failed.
        back: turn back, for this reason.
        horizon: leave when nothing falls due within so many seconds.
    """

    who: str
    accept: str | None = None
    retry: bool = False
    back: str | None = None
    horizon: float = TICK


def carry(desk: Desk, name: str, order: Order, tell: Callable[[Report], None] = quiet) -> tuple[State, Decision]:
    """Carry a migration on.

    Returns:
        How it stands then, and what it waits for.

    Raises:
        InputError: there is no such migration or stage. StateError: somebody else runs it, or the journal can't be
            written. RefusedError: it can't be turned back.
    """
    with open_existing(desk.project.state_dir) as journal, journal.only_runner(name):
        state = operations.stand(journal, name)
        if order.back is None and (decision := _nothing_to_do(desk, state, order)) is not None:
            return state, decision
        with _runner(desk, journal, name, tell) as runner:
            if order.back is not None and runner.state.halted is None:
                operations.check_turn(runner.state)
                runner.write(ev.Halted(order.who, order.back))
            _settle(runner, order)
            return runner.state, runner.run(order.horizon)


@contextmanager
def _runner(desk: Desk, journal: Journal, name: str, tell: Callable[[Report], None]) -> Iterator[Runner]:
    account = open_account(desk.project.directory, name).account
    with operations.open_kit(desk, account.timezone) as kit:
        yield Runner(kit, journal, name, tell)


def _nothing_to_do(desk: Desk, state: State, order: Order) -> Decision | None:
    """The decision, when it can be told without opening any tool: for cron, every few minutes, for days."""
    now = desk.clock.now()
    decision = decide(state, now)
    if decision.kind == "finished" or (decision.kind == "stopped" and not (order.retry or order.accept)):
        return decision
    if decision.kind != "wait" or order.accept:
        return None
    far = decision.until is None or (decision.until - now).total_seconds() > order.horizon
    return decision if far else None


def _settle(runner: Runner, order: Order) -> None:
    """Write down what the user decided about what stands still."""
    if order.accept is not None:
        if order.accept not in {stage.id for stage in runner.state.stages}:
            known = ", ".join(stage.id for stage in runner.state.stages)
            raise InputError(f"there is no stage {order.accept!r}; there are: {known}")
        decision = decide(runner.state, runner.clock.now())
        if decision.kind != "stopped" or decision.stage is None or decision.stage.id != order.accept:
            raise RefusedError(f"the stage {order.accept} is not what holds this move up: {decision.why}")
        runner.write(ev.Accepted(order.accept, order.who))
    elif order.retry and (stage := runner.state.current()) is not None:
        failed = runner.state.retriable(stage)
        if failed and decide(runner.state, runner.clock.now()).kind == "stopped":
            runner.write(ev.Retried(failed, order.who))
