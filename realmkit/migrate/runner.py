"""The runner: asks the machine what to do, does it, writes it down, and waits. The only loop there is.

One phone is taken as far as it goes before the next one begins, so that the time between the moment when calls are
sent to the new realm and the check-sync is one request, not a wave's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from realmkit.errors import UNKNOWN, RealmkitError, StateError
from realmkit.migrate import events as ev
from realmkit.migrate import expand, timetable
from realmkit.migrate.expand import AT_ONCE
from realmkit.migrate.kit import Job, Kit, Seen, Step, unknown
from realmkit.migrate.machine import Decision, Ready, chain_next, decide
from realmkit.migrate.plan import key_of
from realmkit.migrate.state import Place, State, replay
from realmkit.migrate.steps import step as step_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from realmkit.clock import Clock
    from realmkit.migrate.journal import Journal
    from realmkit.migrate.plan import Task

POLL: Final = 0.5  # seconds between looks at phones that are under way
POLL_SLOWEST: Final = 5.0  # the same when nothing has happened for a while
SLICE: Final = 600.0  # longest sleep at a time: a machine that was asleep itself notices then


class Report(NamedTuple):
    """Something that people may want to see.

    Attributes:
        kind: `began`, `done`, `failed`, `pending`, `missed` or `waits`.
        place: the task; None where it is about the migration.
        detail: what was seen.
        phone: the name of the phone that it is about, empty where it is about none.
        seconds: since the chain of tasks that it belongs to began.
        chain: how that chain stands.
    """

    kind: str
    place: Place | None
    detail: str
    phone: str = ""
    seconds: float = 0.0
    chain: str = ""


def quiet(_report: Report) -> None:
    """Tell nobody."""


class Runner:
    """Carries a migration on.

    Args:
        kit: the tools.
        journal: where every intent and outcome is written first.
        name: the migration.
        tell: is told what happens.
        at_once: phones under way at a time.

    Attributes:
        state: the migration as it stands.
    """

    def __init__(
        self, kit: Kit, journal: Journal, name: str, tell: Callable[[Report], None] = quiet, *, at_once: int = AT_ONCE
    ) -> None:
        self.state: State = replay(journal.events(name))
        self._kit = kit
        self._journal = journal
        self._name = name
        self._tell = tell
        self._at_once = at_once
        self._steps: dict[str, Step] = {}
        self._acted: set[str] = set()  # tasks whose effect this process made
        self._since: dict[str, datetime] = {}  # when this process first looked for an effect in vain
        self._poked: dict[str, tuple[str, ...]] = {}
        self._polled = -POLL
        self._progress = 0.0  # when something last began or ended

    def run(self, horizon: float) -> Decision:
        """Go on until all is done, somebody is needed, or nothing falls due within `horizon` seconds.

        Raises:
            StateError: the journal can't be written; nothing was done after that.
        """
        while True:
            now = self._kit.clock.now()
            decision = decide(self.state, now)
            if decision.kind == "missed":
                decision = self._reschedule(decision, now)
            if decision.kind == "turn":
                self.write(ev.TurnedBack(expand.way_back(self.state)))
            elif decision.kind == "work":
                self._work(decision)
            elif decision.kind == "wait" and decision.until and (decision.until - now).total_seconds() <= horizon:
                self._tell(Report("waits", None, decision.why))
                self._kit.clock.sleep(min(SLICE, (decision.until - now).total_seconds()))
            else:
                return decision

    @property
    def clock(self) -> Clock:
        """Time."""
        return self._kit.clock

    def write(self, what: ev.What) -> None:
        """Write an event down and take it in."""
        self.state.apply(self._journal.append(self._name, self._kit.clock.now(), what))
        self._progress = self._kit.clock.monotonic()
        if isinstance(what, ev.Retried):
            for key in what.tasks:
                self._acted.discard(key)
                self._since.pop(key, None)
                self._poked.pop(key, None)

    def _work(self, decision: Decision) -> None:
        """One round: look after what is under way, else begin one more, else wait for the next look.

        One more is begun only when the platform will take all the requests that it needs without delay: to wait for
        request tokens between a phone's steps would leave it dark meanwhile.
        """
        flying = [one for one in decision.ready if self._is_flying(one)]
        fresh = [one for one in decision.ready if one not in flying]
        now = self._kit.clock.monotonic()
        since, pause = now - self._polled, min(POLL_SLOWEST, max(POLL, (now - self._progress) / 20))
        if flying and since >= pause:
            self._kit.new_round()
            for one in flying:
                self._go_on(one)
            self._polled = self._kit.clock.monotonic()
        elif fresh and len(flying) < self._at_once:
            short = self._kit.crossbar.wait_for(len(fresh[0].place.chain.tasks) + len(flying))
            if short > 0:
                self._kit.clock.sleep(max(0.01, min(short, pause - since) if flying else short))
                return
            if since >= POLL:
                self._kit.new_round()
                self._polled = now
            self._go_on(fresh[0])
        else:
            self._kit.clock.sleep(max(0.01, pause - since))

    def _is_flying(self, ready: Ready) -> bool:
        """Whether a chain is under way, or could not even be begun when that was tried."""
        return ready.begun or ready.key in self._since or ready.place.task is not ready.place.chain.tasks[0]

    def _go_on(self, ready: Ready | None) -> None:
        """Take a chain as far as it goes."""
        while ready is not None and self._attempt(ready):
            ready = chain_next(self.state, ready.place)
            if ready is not None and ready.place.task.kind not in ("do", "undo"):
                return

    def _attempt(self, ready: Ready) -> bool:
        """Work on one task; whether it has ended."""
        task = ready.place.task
        if task.kind not in ("do", "undo"):
            return self._end(ready, Seen("done"))
        try:
            seen = self._undo(ready) if task.kind == "undo" else self._do(ready)
        except StateError:
            raise
        except RealmkitError as error:
            text = error.message if error.hint is None else f"{error.message} ({error.hint})"
            if error.exit_code != UNKNOWN:
                return self._end(ready, Seen("wrong", text))
            seen = unknown(text)
        if seen.state in ("done", "wrong"):
            return self._end(ready, seen)
        return self._overdue(ready, task, seen)

    def _do(self, ready: Ready) -> Seen:
        """Probe, act, look: the world is asked first whenever it may have the effect already."""
        step = self._step(ready.place.task.uses)
        if ready.key not in self.state.tasks:
            self._begin(ready, step.before(self._job(ready.place)))
        job = self._job(ready.place)
        acted = ready.key in self._acted
        if acted or not step.blind:
            seen = step.verify(job)
            if acted or seen.state != "pending" or type(step).do is Step.do:
                self._poke(step, job, seen)
                return seen
        said = step.do(job)
        self._acted.add(ready.key)
        if said is not None:
            return said
        self._kit.new_round()
        return step.verify(self._job(ready.place))

    def _undo(self, ready: Ready) -> Seen:
        """Put back what another task changed, if it was ever begun."""
        of = ready.place.task.of
        if of not in self.state.tasks or not self.state.tasks[of].intended:
            return Seen("done", "nothing to put back")
        place = self.state.place(of)
        step = self._step(place.task.uses)
        self._begin(ready, {})
        seen = step.undone(self._job(place))
        if seen.state == "pending" and ready.key not in self._acted:
            step.undo(self._job(place))
            self._acted.add(ready.key)
            self._kit.new_round()
            seen = step.undone(self._job(place))
        return seen

    def _begin(self, ready: Ready, before: dict[str, object]) -> None:
        """Write the intent down, once."""
        if ready.key not in self.state.tasks:
            self.write(ev.Began(ready.key, before))
            self._tell(self._report("began", ready.place, ""))

    def _end(self, ready: Ready, seen: Seen) -> bool:
        outcome: Literal["done", "failed"] = "done" if seen.state == "done" else "failed"
        self.write(ev.Ended(ready.key, outcome, seen.detail, dict(seen.result)))
        self._tell(self._report(outcome, ready.place, seen.detail))
        return True

    def _report(self, kind: str, place: Place, detail: str) -> Report:
        stage, chain, _ = place
        first = self.state.tasks.get(key_of(stage, chain, chain.tasks[0]))
        elapsed = (self._kit.clock.now() - first.began).total_seconds() if first else 0.0
        phone = self.state.phones[chain.subject].name if chain.subject else ""
        return Report(kind, place, detail, phone, elapsed, self.state.standing(stage, chain)[0])

    def _overdue(self, ready: Ready, task: Task, seen: Seen) -> bool:
        """Give a task up when its effect does not show in time; time counts from this process's own attempt."""
        now = self._kit.clock.now()
        since = self._since.setdefault(ready.key, now)
        if now - since < timedelta(seconds=task.timeout):
            self._tell(self._report("pending", ready.place, seen.detail))
            return False
        word = "could not be told" if seen.state == "unknown" else "not"
        text = f"{word} within {timetable.minutes(task.timeout)}: {seen.detail}"
        return self._end(ready, Seen("wrong", text))

    def _poke(self, step: Step, job: Job, seen: Seen) -> None:
        """Let a step do something about an effect that does not show."""
        key = job.key
        if seen.state == "pending" and key in self._since:
            word = step.poke(job, (job.now - self._since[key]).total_seconds())
            if word is not None:
                self._poked[key] = (*self._poked.get(key, ()), word)

    def _reschedule(self, decision: Decision, now: datetime) -> Decision:
        """A window was missed: never run late, but in the next one, and say so."""
        stage, plan = decision.stage, self.state.plan
        assert stage is not None  # noqa: S101 - the machine names it
        assert plan is not None  # noqa: S101 - nothing runs without one
        left = self.state.stages[self.state.stages.index(stage) :]
        try:
            table = timetable.assign(left, now, plan.windows, plan.deadline)
        except timetable.NoWindowError as error:
            return Decision("stopped", stage, why=f"{decision.why}. {error.message}")
        text = f"{decision.why}; goes on {table[stage.id].local}"
        self.write(ev.Rescheduled(table, text))
        self._tell(Report("missed", None, text))
        return decide(self.state, now)

    def _job(self, place: Place) -> Job:
        doing = self.state.tasks.get(place.key)
        before, poked = doing.before if doing else {}, self._poked.get(place.key, ())
        return Job(self._kit, self.state, place, before, self._kit.clock.now(), poked)

    def _step(self, name: str) -> Step:
        if name not in self._steps:
            self._steps[name] = step_named(name)
        return self._steps[name]
