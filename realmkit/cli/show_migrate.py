"""How migrations look: plans, progress, standing; as text for people, as plain data for JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from realmkit import errors
from realmkit.cli.show import count
from realmkit.migrate.expand import way_back
from realmkit.migrate.machine import decide
from realmkit.migrate.plan import key_of
from realmkit.migrate.timetable import minutes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from realmkit.migrate.machine import Decision
    from realmkit.migrate.plan import Phone, Plan, Stage
    from realmkit.migrate.runner import Report
    from realmkit.migrate.state import Place, State
    from realmkit.sandbox.rehearsal import Played
    from realmkit.schedule.windows import Window

_COLOUR: Final = {"done": "green", "failed": "red", "missed": "yellow", "pending": "cyan"}
_WORD: Final = {"done": "ok", "failed": "FAILED"}
_MARK: Final = {"done": "ok", "rescued": "stays", "failed": "FAILED", "running": "...", "waiting": "", "left out": "-"}
_MOST_PHONES: Final = 40


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """`a=b` texts as a mapping. Raises click.UsageError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set {text}: wants INPUT=VALUE")
        found[name] = value
    return found


def plan_text(plan: Plan) -> str:
    """What `migrate plan` prints."""
    lines = [click.style(f"{plan.account_name}: {plan.old} -> {plan.new}", bold=True)]
    lines.append(
        f"playbook {plan.playbook}, {count(len(plan.phones), 'phone')}, nothing begins after {_utc(plan.deadline)}"
    )
    lines += ["", *_phone_lines(plan), "", *(_stage_line(stage, plan.timetable.get(stage.id)) for stage in plan.stages)]
    if plan.notes:
        lines += ["", "to know:", *(f"  - {note}" for note in plan.notes)]
    lines += ["", f"next: realmkit migrate rehearse {plan.name}, then realmkit migrate approve {plan.name} --as YOU"]
    return "\n".join(lines)


def plan_json(plan: Plan) -> dict[str, Any]:
    """What `migrate plan --json` prints."""
    body: dict[str, Any] = msgspec.to_builtins(plan)
    return body | {"digest": plan.digest}


def _phone_lines(plan: Plan) -> list[str]:
    wave_of = {
        chain.subject: stage.id for stage in plan.stages for chain in stage.chains
        if chain.subject and len(chain.tasks) > 1
    }  # fmt: skip
    lines = [_phone_line(phone, wave_of.get(phone.device)) for phone in plan.phones[:_MOST_PHONES]]
    if len(plan.phones) > _MOST_PHONES:
        lines.append(f"  ... and {len(plan.phones) - _MOST_PHONES} more (--json has them all)")
    return lines


def _phone_line(phone: Phone, wave: str | None) -> str:
    how = "stays at the old realm" if phone.moves == "never" else wave or "moves"
    hand = "" if phone.event or phone.moves == "never" else ", by hand"
    return f"  {phone.name:24} {phone.model or '-':24} {how}{hand}"


def _stage_line(stage: Stage, window: Window | None) -> str:
    tasks = {task.id: task for chain in stage.chains for task in chain.tasks}
    waits = [minutes(task.seconds) for task in tasks.values() if task.kind == "delay"]
    text = f"  {stage.id:16} {stage.title}" + (f" ({waits[0]})" if waits else "")
    if window is not None:
        text += click.style(f"\n{'':19}in {window.local}, about {minutes(stage.estimate)}", fg="cyan")
    return text


def status_text(state: State, now: datetime, *, whole: bool) -> str:
    """What `migrate status` prints for one migration."""
    plan = state.plan
    assert plan is not None  # noqa: S101 - only planned ones are shown
    decision = decide(state, now)
    head = f"{plan.name}: {plan.old} -> {plan.new}: {_headline(state, decision)}"
    if not whole:
        return head
    lines = [click.style(head, bold=True), _people_line(state)]
    lines += [_standing_line(state, stage) for stage in state.stages]
    if decision.kind != "finished":
        lines.append(decision_text(state, decision))
    return "\n".join(lines)


def status_json(state: State, now: datetime) -> dict[str, Any]:
    """One migration in `migrate status --json`."""
    plan = state.plan
    assert plan is not None  # noqa: S101 - only planned ones are shown
    decision = decide(state, now)
    return {
        "name": plan.name, "account": plan.account, "old": plan.old, "new": plan.new, "playbook": plan.playbook,
        "digest": state.digest, "standing": decision.kind, "why": decision.why, "until": decision.until,
        "leg": "back" if state.back else "there", "stage": decision.stage.id if decision.stage else None,
        "phones": {name: sorted(state.members(name)) for name in ("phones", "moved", "stragglers")},
        "stages": [
            {"id": stage.id, "title": stage.title, "window": state.timetable.get(stage.id)}
            | {"chains": _standings(state, stage)}
            for stage in state.stages
        ],
    }  # fmt: skip


def exit_code(state: State, now: datetime) -> int:
    """The exit code for how a migration stands."""
    kind = decide(state, now).kind
    if kind == "finished":
        return errors.OK
    return errors.CRITICAL if kind == "stopped" else errors.WAITING


def worst(codes: Iterable[int]) -> int:
    """One exit code for several: what needs somebody goes before what waits."""
    order = (errors.CRITICAL, errors.UNKNOWN, errors.USAGE, errors.WAITING)
    found = set(codes)
    return next((code for code in order if code in found), errors.OK)


def decision_text(state: State, decision: Decision) -> str:
    """What a migration waits for, or why it stands still, and what to do about it."""
    plan = state.plan
    assert plan is not None  # noqa: S101 - only planned ones are shown
    if decision.kind == "finished":
        return click.style(_headline(state, decision), fg="green", bold=True)
    if decision.kind == "wait":
        until = f" until {_utc(decision.until)}" if decision.until else ""
        return f"waits{until}: {decision.why}"
    if decision.kind == "stopped":
        run = f"realmkit migrate run {plan.name}"
        lines = [click.style(f"stopped: {decision.why}", fg="red"), f"   try again: {run}"]
        lines += [f"   go on all the same: {run} --accept {decision.stage.id}"] if decision.stage else []
        return "\n".join([*lines, f"   turn back: realmkit migrate rollback {plan.name}"])
    return f"under way: {decision.why}"


def way_back_text(state: State) -> str:
    """What a rollback would do, as things stand; phones under way are first brought to one side or the other."""
    assert state.plan is not None  # noqa: S101 - only planned ones are shown
    lines = [f"the way back to {state.plan.old}:"]
    return "\n".join(lines + [f"  {stage.title}{_about(stage)}" for stage in way_back(state)])


def rehearsal_text(played: Played) -> str:
    """What `migrate rehearse` prints."""
    lines = [f"{line.at:%a %Y-%m-%d %H:%M:%S} UTC  {line.text}" for line in played.lines]
    lines += ["", *played.figures]
    ending = "it would work" if played.finished else "it would not work"
    return "\n".join([*lines, click.style(f"{ending}: {played.ending}", bold=True)])


def rehearsal_json(played: Played) -> dict[str, Any]:
    """What `migrate rehearse --json` prints."""
    body: dict[str, Any] = msgspec.to_builtins(played)
    return body


class Teller:
    """Shows what happens while a migration runs: a bar on a terminal; elsewhere a line for each stage and phone.

    Args:
        meter: makes a bar; None prints lines.
        silent: print nothing.
        verbose: print a line for each task.

    Attributes:
        told: whether anything happened.
    """

    def __init__(
        self, meter: Callable[[str, int], Callable[[int], None]] | None, *, silent: bool, verbose: bool
    ) -> None:
        self._meter = meter
        self._silent = silent
        self._verbose = verbose
        self._bars: dict[str, Callable[[int], None]] = {}
        self._headed: set[str] = set()
        self._small: tuple[Stage | None, int] = (None, 0)
        self.told = False

    def __call__(self, report: Report) -> None:
        """Take in a report."""
        self.told = self.told or report.kind in ("done", "failed", "missed")
        if self._silent:
            return
        if report.place is None:
            if report.kind == "missed":
                click.echo(click.style(report.detail, fg=_COLOUR["missed"]))
            return
        self._sum_up(report.place.stage)
        if self._meter is not None:
            self._on_bar(report.place.stage, report)
        if (line := self._line(report.place, report)) is not None:
            self._head(report.place.stage)
            click.echo(line)

    def _on_bar(self, stage: Stage, report: Report) -> None:
        assert self._meter is not None  # noqa: S101 - asked by the caller
        if stage.id not in self._bars:
            self._bars[stage.id] = self._meter(stage.title, sum(len(chain.tasks) for chain in stage.chains))
        if report.kind in ("done", "failed"):
            self._bars[stage.id](1)

    def _sum_up(self, stage: Stage | None) -> None:
        """One line for a stage that did one thing for each phone, when the next stage begins."""
        before, phones = self._small
        if before is None or before is stage:
            self._small = stage, phones if before is stage else 0
            return
        self._small = stage, 0
        if phones and self._meter is None:
            click.echo(click.style(f"{'ok':7}", fg=_COLOUR["done"]) + f"{before.title}: {count(phones, 'phone')}")

    def close(self) -> None:
        """Say what is left to say."""
        if not self._silent:
            self._sum_up(None)

    def _head(self, stage: Stage) -> None:
        """The title of a stage, before the first line about one of its phones."""
        if stage.id not in self._headed and stage.chains[0].subject is not None:
            click.echo(click.style(f"{stage.title}:", bold=True))
        self._headed.add(stage.id)

    def _line(self, place: Place, report: Report) -> str | None:
        _, chain, task = place
        if report.kind not in ("done", "failed"):
            return None
        mark = click.style(f"{_WORD[report.kind]:7}", fg=_COLOUR[report.kind])
        seen = f": {report.detail}" if report.detail else ""
        if chain.subject is None:
            return f"{mark}{task.title}{seen}" if self._meter is None or report.kind == "failed" else None
        if self._verbose or report.kind == "failed":
            return f"{mark}  {report.phone}: {task.title}{seen}"
        if len(chain.tasks) == 1:
            self._small = place.stage, self._small[1] + 1
        elif self._meter is None and report.chain == "done":
            return f"{mark}  {report.phone} ({report.seconds:.1f} s)"
        if report.chain == "rescued":
            return f"{'stays':7}  {report.phone}: as it was before"
        return None


def _headline(state: State, decision: Decision) -> str:
    plan = state.plan
    assert plan is not None  # noqa: S101 - only planned ones are shown
    if decision.kind == "finished":
        stay = len(state.members("stragglers"))
        if state.back:
            return f"turned back: everything is as it was before, at {plan.old}"
        return f"moved to {plan.new}" + (f"; {count(stay, 'phone')} pinned to {plan.old}" if stay else "")
    leg = "turning back, " if state.halted else ""
    words = {"wait": "waits", "stopped": "stopped", "missed": "missed its window"}
    return leg + words.get(decision.kind, "under way")


def _people_line(state: State) -> str:
    moved, everyone = len(state.members("moved")), len(state.members("phones"))
    approval = (
        f"approved by {state.approval.by} until {_utc(state.approval.until)}" if state.approval else "not approved"
    )
    return f"{moved} of {count(everyone, 'phone')} at the new realm; {approval}"


def _standings(state: State, stage: Stage) -> dict[str, int]:
    return dict(Counter(state.standing(stage, chain)[0] for chain in state.chains(stage)))


def _standing_line(state: State, stage: Stage) -> str:
    standings = _standings(state, stage)
    if len(stage.chains) == 1 and stage.chains[0].subject is None:
        mark = _MARK[next(iter(standings), "left out")]
        doing = state.tasks.get(key_of(stage, stage.chains[0], stage.chains[0].tasks[0]))
        text = f"{stage.title}{': ' + doing.detail if doing and doing.detail else ''}"
    else:
        mark = "ok" if set(standings) <= {"done"} else ""
        text = f"{stage.title}: " + (
            ", ".join(f"{number} {name}" for name, number in sorted(standings.items())) or "none"
        )
    window = state.timetable.get(stage.id)
    when = f"  [{window.local}]" if window and mark != "ok" else ""
    return f"  {mark:7}{text}{when}"


def _about(stage: Stage) -> str:
    phones = sum(chain.subject is not None for chain in stage.chains)
    return f": {count(phones, 'phone')}" if phones else ""


def _utc(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC" if instant else "-"
