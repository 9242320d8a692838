"""What a run saw, what it covered, and what it concludes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from realmkit import errors
from realmkit.dns.findings import LEVELS, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable

Phase = Literal["soft", "open", "accepted", "known", "recovered"]
News = Literal["new", "worse", "reminder", "expired", "recovered"]
_EXIT: Final = {
    "critical": errors.CRITICAL, "error": errors.CRITICAL, "unknown": errors.UNKNOWN, "warning": errors.WARNING,
    "notice": errors.WARNING,
}  # fmt: skip


class Judged(Struct, frozen=True):
    """What a look covered; what it did not cover is neither missing nor mended.

    Attributes:
        checks: ids that were judged.
        names: realms, zones and hosts that were looked at, as text with final dot; None for all that there are.
        left_out: of those, what was left out after all: the realms of a sample that were not its turn.
        unjudged: id and name where single checks were left out: a certificate that was left to a later run.
    """

    checks: frozenset[str]
    names: frozenset[str] | None = None
    left_out: frozenset[str] = frozenset()
    unjudged: frozenset[tuple[str, str]] = frozenset()


class Look(Struct, frozen=True):
    """One look at the world.

    Attributes:
        findings: in any order.
        judged: what it covered.
    """

    findings: tuple[Finding, ...]
    judged: Judged


class Entry(Struct, frozen=True):
    """A finding with its history.

    Attributes:
        finding: as it was seen last. One that was not seen in this run has its message only.
        phase: `soft` until enough looks saw it, then `open`; `accepted` by `health-accepted.yml`; `known` from the
            baseline; `recovered` when it is gone.
        since: when it was seen first.
        looks: how many looks in a row saw it.
        news: why somebody should be told now; None if there is nothing new about it.
        seen: whether this run saw it. False for what was open and could not be told this time, for what was not
            looked at, and for what recovered.
        reason: why it is accepted, or was until the acceptance ended.
        until: the last day of that acceptance.
    """

    finding: Finding
    phase: Phase
    since: datetime
    looks: int
    news: News | None = None
    seen: bool = True
    reason: str = ""
    until: date | None = None


class Counts(Struct, frozen=True):
    """How much was looked at.

    Attributes:
        zones: that were looked at.
        realms: that were looked at.
        hosts: that records lead to.
        endpoints: SIP, SMTP, HTTPS servers that were spoken to.
        questions: that were put to name servers.
        skipped: realms that were left out because their zone has not changed since it was fine.
    """

    zones: int = 0
    realms: int = 0
    hosts: int = 0
    endpoints: int = 0
    questions: int = 0
    skipped: int = 0


class Verdict(Struct, frozen=True):
    """What a run concludes.

    Attributes:
        started: when the run began.
        entries: the worst first, then by id, subject and server.
        exit_code: by `exit_code`.
        seconds: how long it took.
        counts: how much was looked at.
        serials: zone and server as text with the serial that it gave; None where it gave none.
        slowed: servers that asked to be asked more slowly.
        notes: what the reader should know besides findings.
    """

    started: datetime
    entries: tuple[Entry, ...] = ()
    exit_code: int = errors.OK
    seconds: float = 0.0
    counts: Counts = Counts()
    serials: tuple[tuple[str, str, int | None], ...] = ()
    slowed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def news(self) -> tuple[Entry, ...]:
        """What somebody should be told now."""
        return tuple(entry for entry in self.entries if entry.news is not None)

    @property
    def open(self) -> tuple[Entry, ...]:
        """What is certain and counts."""
        return self.of("open")

    def of(self, *phases: Phase) -> tuple[Entry, ...]:
        """The entries of some phases."""
        return tuple(entry for entry in self.entries if entry.phase in phases)

    def levels(self, *phases: Phase) -> dict[Level, int]:
        """How many entries of some phases there are of each level, the worst level first."""
        found = dict.fromkeys(LEVELS, 0)
        for entry in self.of(*phases):
            found[entry.finding.level] += 1
        return found


def rank(entry: Entry) -> tuple[int, str, str, str]:
    """What entries are sorted by."""
    return LEVELS.index(entry.finding.level), *entry.finding.key


def exit_code(entries: Iterable[Entry], fail_on: Level, *, count_soft: bool) -> int:
    """What a run ends with: 2 for critical and error, 3 for unknown, 1 for warning (and notice), 0 for none.

    Args:
        entries: all of the verdict.
        fail_on: the mildest level that counts. `unknown` counts whatever it is: what could not be told may be as bad
            as anything, and a check that could not be made must not look like one that found nothing.
        count_soft: whether what is not certain yet counts.
    """
    least = LEVELS.index(fail_on)
    phases = ("open", "soft") if count_soft else ("open",)
    levels = {entry.finding.level for entry in entries if entry.phase in phases}
    for level in LEVELS:
        if level in levels and (level == "unknown" or LEVELS.index(level) <= least):
            return _EXIT[level]
    return errors.OK
