"""Carrying out a plan: batch by batch, each compared and swapped, every doubt settled by reading again.

Nothing is written before the inverse is on disk. Whatever stops an apply, it ends by reading the zone and saying
exactly which RRsets are changed and which are not; the same plan applied again goes on from there, and its
inverse goes back.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NoReturn

from msgspec import Struct, field

from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.dns.plan import Change, ZonePlan
from realmkit.dns.provider import Receipt, limits_of
from realmkit.dns.records import listing
from realmkit.dns.work import batch
from realmkit.errors import (
    ConflictError,
    InterruptedApplyError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RealmkitError,
    RefusedError,
    StateError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realmkit.clock import Clock
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import Zone
    from realmkit.dns.work.runs import Run

TRIES: Final = 4
FIRST_PAUSE: Final = 1.0  # seconds; doubled at each further try
LONGEST_PAUSE: Final = 300.0  # a provider that asks for more is left for another run
SETTLE_DEADLINE: Final = 300.0
SETTLE_PAUSE: Final = 2.0


class Progress(Struct, frozen=True):
    """How far a plan has come in a zone.

    Attributes:
        done: changes whose result is there.
        todo: changes whose beginning is there.
        moved: changes whose RRset is neither: someone else changed it.
    """

    done: tuple[Change, ...]
    todo: tuple[Change, ...]
    moved: tuple[Change, ...]


class ZoneResult(Struct):
    """What became of one zone: filled in while it is being applied, and true also when that stops half way.

    Attributes:
        zone: the apex.
        applied: what this run changed.
        already: what was there before it began.
        receipts: of the batches.
        known: whether `applied` is all there is: False when a batch's outcome could not be found out.
        warnings: what a provider said of a batch that turned out to be in force, such as a reload that failed.
    """

    zone: Name
    applied: list[Change] = field(default_factory=list)
    already: list[Change] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    known: bool = True
    warnings: list[str] = field(default_factory=list)


def progress_of(changes: Iterable[Change], live: Zone) -> Progress:
    """Compare each change with what is there."""
    done, todo, moved = [], [], []
    for change in changes:
        there = live.rrsets.get(change.key)
        if there == change.after and change.key not in live.mixed:
            done.append(change)
        elif there == change.before:
            todo.append(change)
        else:
            moved.append(change)
    return Progress(tuple(done), tuple(todo), tuple(moved))


def check_unmoved(changes: Iterable[Change], live: Zone) -> Progress:
    """The progress of a plan, or a refusal that lists what someone else has changed since it was made.

    Raises:
        RefusedError: the live state moved.
    """
    progress = progress_of(changes, live)
    if progress.moved:
        raise RefusedError(
            f"{names.to_text(live.name)} moved since the plan was made: " + _listing(progress.moved),
            hint="make the plan anew and review it",
        )
    return progress


def _listing(changes: Iterable[Change]) -> str:
    return listing([change.key for change in changes])


class ZoneApplier:
    """Applies the changes of one zone through its provider.

    Args:
        provider: the zone's.
        run: where each step is written down.
        clock: for pauses.
        tick: called with the number of changes that have just been made.
    """

    def __init__(self, provider: Provider, run: Run, clock: Clock, tick: Callable[[int], None]) -> None:
        self._provider = provider
        self._run = run
        self._clock = clock
        self._tick = tick

    def apply(self, plan: ZonePlan, live: Zone, result: ZoneResult) -> None:
        """Apply what is not yet there.

        Args:
            plan: the zone's changes.
            live: a snapshot on which `check_unmoved` passed.
            result: filled in on the way.

        Raises:
            InterruptedApplyError: it stopped half way; the message says what is done and what is not.
            ProviderError, RefusedError: it stopped before anything was changed.
        """
        progress = check_unmoved(plan.changes, live)
        result.already.extend(progress.done)
        self._tick(len(progress.done))
        token = live.token
        limits = limits_of(self._provider, plan.zone)
        pending = list(batch.batches(progress.todo, limits, self._provider.weigh))
        for number, changes in enumerate(pending, start=1):
            try:
                self._log("batch", result, number=number, of=len(pending), changes=len(changes))
                result.known = False
                token = self._one_batch(plan.zone, changes, token, result)
                result.known = True
                result.applied.extend(changes)
                self._tick(len(changes))
                self._log("applied", result, number=number, token=token)
            except RealmkitError as error:
                self._stopped(plan, result, error)

    def await_settled(self, result: ZoneResult) -> bool:
        """Wait until the backend says that the last batch is in force. False when the deadline passes first."""
        if not result.receipts or not self._provider.capabilities.settles:
            return True
        deadline = self._clock.monotonic() + SETTLE_DEADLINE
        while not self._provider.settled(result.receipts[-1]):
            if self._clock.monotonic() >= deadline:
                return False
            self._clock.sleep(SETTLE_PAUSE)
        return True

    def _one_batch(self, zone: Name, changes: tuple[Change, ...], token: str, result: ZoneResult) -> str:
        """Apply one batch and return the token after it, with a bounded number of tries."""
        pause = FIRST_PAUSE
        said = ""
        for attempt in range(1, TRIES + 1):
            try:
                receipt = self._provider.apply(zone, changes, token)
            except (RateLimitedError, UnreachableError, ConflictError, OutcomeUnknownError) as error:
                self._log("failed", result, attempt=attempt, error=type(error).__name__, text=error.message)
                self._clock.sleep(self._pause_for(error, pause, attempt))
                pause *= 2
                if isinstance(error, ConflictError | OutcomeUnknownError):
                    live = self._read_again(zone, error)
                    token, said = live.token, error.message
                    if self._in_force(changes, live, error):
                        result.warnings.append(error.message)
                        return token
            else:
                result.receipts.append(receipt)
                return receipt.token
        raise UnreachableError(f"a batch was sent {TRIES} times and never took effect; the last answer: {said}")

    @staticmethod
    def _pause_for(error: ProviderError, pause: float, attempt: int) -> float:
        """How long to wait before trying again; re-raises what waiting won't mend."""
        wait = error.retry_after if isinstance(error, RateLimitedError) and error.retry_after else pause
        if isinstance(error, OutcomeUnknownError):
            return wait  # the world has to be read in any case, on the last try too
        if attempt == TRIES or wait > LONGEST_PAUSE:
            raise error
        return wait

    @staticmethod
    def _in_force(changes: tuple[Change, ...], live: Zone, error: ProviderError) -> bool:
        """After a conflict or a lost answer: whether the batch took effect. If not, it may be sent again.

        Sending again is safe even while the first one is still under way: the token is that of the new reading, and
        where a backend has none, writing the same RRset twice changes nothing.

        Raises:
            ConflictError: someone else changed what the batch is about.
            OutcomeUnknownError: the batch took effect in part.
        """
        progress = progress_of(changes, live)
        if progress.moved:
            raise ConflictError(
                f"someone else changed {_listing(progress.moved)} in the meantime", hint="make a new plan and review it"
            ) from error
        if progress.todo and progress.done:
            raise OutcomeUnknownError(f"the batch took effect in part ({error.message})") from error
        return not progress.todo

    def _read_again(self, zone: Name, error: ProviderError) -> Zone:
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return self._provider.snapshot(zone)
            except (UnreachableError, RateLimitedError):
                self._clock.sleep(pause)
                pause *= 2
        try:
            return self._provider.snapshot(zone)
        except ProviderError as second:
            raise OutcomeUnknownError(f"{error.message}; and reading it again failed: {second.message}") from error

    def _stopped(self, plan: ZonePlan, result: ZoneResult, error: RealmkitError) -> NoReturn:
        """End with an exact account of what is in force, by reading, not by memory."""
        with contextlib.suppress(StateError):  # the disk may be what stopped it
            self._log("stopped", result, error=type(error).__name__, text=error.message)
        try:
            progress = progress_of(plan.changes, self._provider.snapshot(plan.zone))
        except ProviderError as second:
            text = (
                f"{names.to_text(plan.zone)}: {error.message}. {len(result.applied)} of {len(plan.changes)} RRsets "
                f"were confirmed before; how the rest stands is unknown: the zone can't be read ({second.message})"
            )
            raise InterruptedApplyError(text, hint=self._way_on()) from error
        before = {change.key for change in result.already}
        result.applied = [change for change in progress.done if change.key not in before]
        result.known = True
        if not result.applied:
            raise error
        text = f"{names.to_text(plan.zone)}: {error.message}. Changed: {_listing(progress.done)}."
        if progress.todo:
            text += f" Not changed: {_listing(progress.todo)}."
        if progress.moved:
            text += f" Changed by someone else: {_listing(progress.moved)}."
        raise InterruptedApplyError(text, hint=self._way_on()) from error

    def _way_on(self) -> str:
        onward = f"to go on: realmkit dns apply --plan {self._run.plan_path}"
        return f"{onward}; to go back: realmkit dns rollback {self._run.name}"

    def _log(self, event: str, result: ZoneResult, **facts: object) -> None:
        self._run.log(self._clock.now(), event, zone=names.to_text(result.zone), **facts)
