"""A verdict as JSON, and as JSON lines: one finding a line, then a summary."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct, structs

from realmkit.dns.findings import Level
from realmkit.health.verdict import Counts, News, Phase

if TYPE_CHECKING:
    from realmkit.health.outputs import Table
    from realmkit.health.verdict import Entry, Verdict

KIND: Final = "realmkit.health"
VERSION: Final = 1
_Code = Literal[0, 1, 2, 3]


class Shown(Struct, frozen=True):
    """A finding as it is published.

    Attributes:
        id: of the check.
        title: of the check; empty if this realmkit has no such check.
        source: the rule that the check stands on.
        level: critical, error, unknown, warning or notice.
        subject: name and type, or whatever else it is about.
        server: which server showed it; empty if that is no matter.
        message: one sentence.
        expected: what should be there.
        seen: what is there.
        mend: a command or an edit.
        phase: soft (not certain yet), open, accepted, known (in the baseline) or recovered.
        news: why somebody is told now; null if there is nothing new.
        since: when it was seen first.
        looks: how many looks in a row saw it.
        seen_now: whether this run saw it, or remembers it only.
        reason: why it is accepted, or was.
        until: the last day of that; null without.
    """

    id: str
    title: str
    source: str
    level: Level
    subject: str
    server: str
    message: str
    expected: str
    seen: str
    mend: str
    phase: Phase
    news: News | None
    since: datetime
    looks: int
    seen_now: bool
    reason: str
    until: date | None


class Serial(Struct, frozen=True):
    """What serial a server gave for a zone; null if none."""

    zone: str
    server: str
    serial: int | None


class Document(Struct, frozen=True):
    """All of `realmkit health check --json`.

    Attributes:
        kind: what it is.
        version: of this form.
        started: when the run began.
        seconds: how long it took.
        exit_code: 0 in order, 1 warnings, 2 errors, 3 could not be told.
        counts: how much was looked at.
        open: the number of open findings by level.
        findings: the worst first.
        serials: by zone and server.
        slowed: servers that asked to be asked more slowly.
        notes: what else there is to know.
    """

    kind: Literal["realmkit.health"]
    version: Literal[1]
    started: datetime
    seconds: float
    exit_code: _Code
    counts: Counts
    open: dict[Level, int]
    findings: tuple[Shown, ...]
    serials: tuple[Serial, ...]
    slowed: tuple[str, ...]
    notes: tuple[str, ...]


def document(verdict: Verdict, table: Table) -> dict[str, Any]:
    """The document as plain data.

    Args:
        verdict: what to show.
        table: `realmkit.health.check.catalog()`.
    """
    whole = {
        "kind": KIND,
        "version": VERSION,
        "started": verdict.started,
        "seconds": round(verdict.seconds, 3),
        "exit_code": verdict.exit_code,
        "counts": verdict.counts,
        "open": verdict.levels("open"),
        "findings": [_shown(entry, table) for entry in verdict.entries],
        "serials": [Serial(*one) for one in verdict.serials],
        "slowed": verdict.slowed,
        "notes": verdict.notes,
    }
    found: dict[str, Any] = msgspec.to_builtins(whole)
    return found


def body(verdict: Verdict, table: Table) -> dict[str, Any]:
    """The document without kind and version, which `App.emit` adds. Arguments as for `document`."""
    return {key: value for key, value in document(verdict, table).items() if key not in ("kind", "version")}


def lines(verdict: Verdict, table: Table) -> bytes:
    """One JSON object a line: each finding, then the document without its findings. Arguments as for `document`."""
    whole = document(verdict, table)
    findings = [{"kind": f"{KIND}.finding", "version": VERSION} | one for one in whole.pop("findings")]
    return b"".join(msgspec.json.encode(one) + b"\n" for one in (*findings, whole | {"kind": f"{KIND}.summary"}))


def schema() -> dict[str, Any]:
    """The JSON Schema of the document (draft 2020-12)."""
    whole = msgspec.json.schema(Document)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole


def _shown(entry: Entry, table: Table) -> Shown:
    finding, check = entry.finding, table.get(entry.finding.id)
    return Shown(
        **{name: getattr(finding, name) for name in finding.__struct_fields__},
        **{key: value for key, value in structs.asdict(entry).items() if key not in ("finding", "seen")},
        title=check.title if check else "",
        source=check.source if check else "",
        seen_now=entry.seen,
    )
