"""From what was seen to what is to be said: confirmed by a second look, told once, mended only when that is certain.

A finding is soft until enough looks in a row saw it, then open. It is mended when a whole run that looked did not see
it; while something there could not be told (a finding of level unknown), it stays what it was.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, structs

from realmkit.dns import names
from realmkit.dns.findings import LEVELS, Finding, Level
from realmkit.health.accepted import Acceptance, Accepted, Baseline
from realmkit.health.state import LONGEST_MESSAGE, Remembered, State
from realmkit.health.verdict import Entry, Judged, Look, News, Phase, Verdict, exit_code, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.dns.names import Name

RUN: Final = "RUN01"  # the run did not get to a name: nothing at all could be told there
Key = tuple[str, str, str]
Outcome = Literal["seen", "gone", "untold", "elsewhere"]


class Rules(Struct, frozen=True):
    """How to judge.

    Attributes:
        confirm: how many looks in a row must see a finding before it is certain.
        remind: how long after it was told an open finding is told again; None for never.
        fail_on: the mildest level that makes the exit code differ from 0.
        count_soft: whether what is not certain yet counts for the exit code.
        elsewhere: whether the verdict holds what is open at names, and of checks, that this run did not look at.
    """

    confirm: int = 2
    remind: timedelta | None = timedelta(hours=24)
    fail_on: Level = "warning"
    count_soft: bool = False
    elsewhere: bool = True


def judge(
    state: State,
    looks: Sequence[Look],
    accepted: Accepted,
    baseline: Baseline,
    rules: Rules,
    now: datetime,
    *,
    tell: bool,
) -> tuple[State, Verdict]:
    """Judge a run.

    Args:
        state: what the last run left.
        looks: what this run saw, the first look first; a second one covers what the first found.
        accepted: what people accepted.
        baseline: what was there when watching began.
        rules: how to judge.
        now: when the run began; earlier than times of the state if the clock was set back.
        tell: whether somebody is told of the news: it will not be news again.

    Returns:
        What to leave for the next run, and the verdict without what only the run knows (seconds, counts, serials).
    """
    now = now.astimezone(UTC)
    seen = [_Seen(look) for look in looks]
    before = {one.key: _not_later(one, now) for one in state.findings}
    kept: list[Remembered] = []
    entries: list[Entry] = []
    for key in sorted(before.keys() | {key for one in seen for key in one.findings}):
        outcomes = [one.outcome(key) for one in seen]
        finding = next((one.findings[key] for one in reversed(seen) if key in one.findings), None)
        after = _advance(before.get(key), finding, outcomes, rules.confirm, now)
        if after is None:
            continue
        after, entry = _classify(after, finding, outcomes, _Weights(accepted, baseline, rules, now))
        if entry is not None and (finding or rules.elsewhere or any(one.covers(key) for one in seen)):
            entries.append(entry)
            after = _told(after, entry, now) if tell else after
        if after is not None:
            kept.append(after)
    entries.sort(key=rank)
    code = exit_code(entries, rules.fail_on, count_soft=rules.count_soft)
    return structs.replace(state, findings=tuple(kept)), Verdict(now, tuple(entries), code)


class _Weights(Struct, frozen=True):
    """What besides the looks decides how a finding counts."""

    accepted: Accepted
    baseline: Baseline
    rules: Rules
    now: datetime

    @property
    def today(self) -> date:
        return self.now.date()


class _Seen:
    """A look, made ready to be asked for one finding after the other."""

    def __init__(self, look: Look) -> None:
        self.findings: dict[Key, Finding] = {}
        for finding in look.findings:
            other = self.findings.get(finding.key)
            if other is None or _heavier(finding) < _heavier(other):
                self.findings[finding.key] = finding
        self._judged = look.judged
        self._names = None if look.judged.names is None else {_name(one) for one in look.judged.names}
        self._left_out = {_name(one) for one in look.judged.left_out}
        self._unjudged = {(check, _name(one)) for check, one in look.judged.unjudged}
        self._shields: dict[tuple[str, Name | str], list[frozenset[str]]] = {}
        for finding in self.findings.values():
            if finding.level == "unknown":
                at = (finding.id, _name(finding.subject))
                self._shields.setdefault(at, []).append(_servers(finding.server))

    def outcome(self, key: Key) -> Outcome:
        """What the look tells of a finding."""
        if key in self.findings:
            return "seen"
        if self._shielded(key):
            return "untold"
        return "gone" if self.covers(key) else "elsewhere"

    def covers(self, key: Key) -> bool:
        """Whether the look was meant to see such a finding."""
        check, name = key[0], _name(key[1])
        judged: Judged = self._judged
        meant = (check in judged.checks or check == RUN) and (self._names is None or name in self._names)
        return meant and name not in self._left_out and (check, name) not in self._unjudged

    def _shielded(self, key: Key) -> bool:
        """Whether something there, or above it, could not be told."""
        check, subject, server = key
        servers = _servers(server)
        for name in _upwards(_name(subject)):
            for one in self._shields.get((check, name), []) + self._shields.get((RUN, name), []):
                if not one or not servers or one & servers:
                    return True
        return False


def _heavier(finding: Finding) -> tuple[int, str, str, str, str]:
    return LEVELS.index(finding.level), finding.message, finding.expected, finding.seen, finding.mend


def _servers(text: str) -> frozenset[str]:
    """The servers of a finding; several that show the same stand there together."""
    return frozenset(text.split(", ")) if text else frozenset()


def _name(subject: str) -> Name | str:
    """The name that a subject is about, without type and without `_sip._udp`; the subject itself if it has none."""
    text = subject.partition(" ")[0]
    if not text.endswith("."):
        return subject
    try:
        name = names.from_text(text)
    except names.BadNameError:
        return subject
    while name[1:2] == b"_":
        name = names.parent(name)
    return name


def _upwards(name: Name | str) -> Iterable[Name | str]:
    """The name and all above it."""
    yield name
    while isinstance(name, bytes) and name != names.ROOT:
        name = names.parent(name)
        yield name


def _not_later(one: Remembered, now: datetime) -> Remembered:
    """Times that are still to come were written before the clock was set back: they count as now."""
    told = min(one.told, now) if one.told is not None else None
    return structs.replace(one, since=min(one.since, now), told=told)


def _advance(
    before: Remembered | None, finding: Finding | None, outcomes: list[Outcome], confirm: int, now: datetime
) -> Remembered | None:
    """Count what the looks saw. None if there is nothing left to remember."""
    if finding is None:
        return _unseen(before, outcomes)
    old = before if before is not None and not before.gone else None
    looks = old.looks if old is not None else 0
    for outcome in outcomes:
        looks = looks + 1 if outcome == "seen" else 0 if outcome == "gone" else looks
    flaps = looks == 0
    was = before or Remembered(finding.id, finding.subject, finding.level, "", now, finding.server)
    return structs.replace(
        was,
        level=finding.level,
        message=finding.message[:LONGEST_MESSAGE],
        since=old.since if old is not None else now,
        looks=max(looks, 1),
        hard=(old is not None and old.hard) or (looks >= confirm and not flaps),
        gone=False,
    )


def _unseen(before: Remembered | None, outcomes: list[Outcome]) -> Remembered | None:
    if before is None or "gone" not in outcomes or outcomes[-1] == "untold":
        return before
    return structs.replace(before, gone=True, hard=False) if before.told is not None else None


def _classify(
    after: Remembered, finding: Finding | None, outcomes: list[Outcome], weights: _Weights
) -> tuple[Remembered, Entry | None]:
    """How a finding counts, and whether it is news. No entry for what is gone and could not be looked at again."""
    shown = finding or after.finding()
    if after.gone:
        sure = "gone" in outcomes and outcomes[-1] != "untold"
        return after, Entry(shown, "recovered", after.since, after.looks, "recovered", seen=False) if sure else None
    acceptance = weights.accepted.find(after.key, weights.today)
    phase = _phase(after, acceptance, weights)
    if phase in ("accepted", "known"):  # whoever accepts it knows of it; when that ends it is news
        after = structs.replace(after, told=None, told_level=None)
    news = _news(after, acceptance, weights) if phase == "open" else None
    entry = Entry(shown, phase, after.since, after.looks, news, seen=finding is not None)
    if acceptance is not None:
        entry = structs.replace(entry, reason=acceptance.reason, until=acceptance.until)
    return after, entry


def _phase(after: Remembered, acceptance: Acceptance | None, weights: _Weights) -> Phase:
    if acceptance is not None and acceptance.until >= weights.today:
        return "accepted"
    if weights.baseline.covers(after.key, after.level):
        return "known"
    return "open" if after.hard else "soft"


def _news(after: Remembered, acceptance: Acceptance | None, weights: _Weights) -> News | None:
    """Why to tell of an open finding."""
    if after.told is None or after.told_level is None:
        if acceptance is not None:
            return "expired"
        return "worse" if after.key in weights.baseline.levels else "new"
    if LEVELS.index(after.level) < LEVELS.index(after.told_level):
        return "worse"
    remind = weights.rules.remind
    return "reminder" if remind is not None and weights.now - after.told >= remind else None


def _told(after: Remembered, entry: Entry, now: datetime) -> Remembered | None:
    """What to remember once somebody was told."""
    if entry.news is None:
        return after
    return structs.replace(after, told=now, told_level=after.level) if entry.news != "recovered" else None
