"""How the verdict of a health check looks: all of it for a person, the news alone for cron's mail."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from realmkit.cli.show import LEVEL_COLOUR, count
from realmkit.dns.findings import LEVELS
from realmkit.health.outputs import duration, looked_at, printable, tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.health.outputs import Table
    from realmkit.health.verdict import Entry, Phase, Verdict

_MANY: Final = 5  # findings of one check; of more the first few are shown
_NEWS: Final = ("new", "expired", "worse", "reminder", "recovered")
_INDENT: Final = " " * 10


def health_text(verdict: Verdict, table: Table | None = None, *, everything: bool = False) -> str:
    """What `health check` prints.

    Args:
        verdict: what to show.
        table: titles of the checks; None for `realmkit.health.check.catalog()`.
        everything: show every finding in full, the accepted and known ones too.
    """
    parts = [verdict.of("open", "soft")] + ([verdict.of("accepted", "known")] if everything else [])
    most = 10**9 if everything else _MANY
    lines: list[str] = []
    for entries in (*parts, verdict.of("recovered")):
        lines += _grouped(entries, table, most, lambda entry: _entry_text(entry, verdict))
    slow = click.style("slowed  ", fg="yellow")
    lines += [f"{slow}  {printable(server)} asked to be asked more slowly" for server in verdict.slowed]
    lines += [f"note      {printable(note)}" for note in verdict.notes]
    return "\n".join([*lines, _summary(verdict)])


def cron_text(verdict: Verdict, table: Table | None = None) -> str:
    """What `health check --cron` prints: the news, and nothing where there is none. Arguments as for `health_text`."""
    lines: list[str] = []
    for news in _NEWS:
        told = tuple(entry for entry in verdict.news if entry.news == news)
        lines += _grouped(told, table, _MANY, lambda entry: _news_text(entry, verdict))
    return "\n".join([*lines, _summary(verdict)]) if lines else ""


def _grouped(entries: tuple[Entry, ...], table: Table | None, most: int, show: Callable[[Entry], str]) -> list[str]:
    """Paragraphs, the worst first. Where one check found many the first few of it stand for the others."""
    lines: list[str] = []
    for (level, check), some in groupby(entries, key=lambda one: (one.finding.level, one.finding.id)):
        many = sorted(some, key=lambda one: one.phase == "soft")  # what is certain stands for what may not be
        if len(many) > most:
            title = _title(check, table)
            head = click.style(f"{level:8} {check}", fg=LEVEL_COLOUR[level])
            lines.append(f"{head}  {title}: {count(len(many), 'subject')}")
        lines += [show(entry) for entry in many[:most]]
        if len(many) > most:
            lines.append(f"{_INDENT}... and {len(many) - most:,} more (`-o json=FILE` writes all)")
    return lines


def _title(check: str, table: Table | None) -> str:
    if table is None:
        from realmkit.health.check import catalog

        table = catalog()
    return table[check].title if check in table else "the run ended before these were looked at"


def _entry_text(entry: Entry, verdict: Verdict) -> str:
    """A finding with what was expected, what was seen, how to mend it, and how it stands."""
    recovered = entry.phase == "recovered"
    word, colour = ("recovered", "green") if recovered else (entry.finding.level, LEVEL_COLOUR[entry.finding.level])
    lines = [_head(word, colour, entry)]
    if not recovered:
        lines += [f"{_INDENT}{text}" for text in _details(entry)]
    if entry.phase != "open" or entry.since < verdict.started or not entry.seen:  # else it says nothing
        lines.append(click.style(f"{_INDENT}{_standing(entry, verdict)}", dim=True))
    return "\n".join(lines)


def _news_text(entry: Entry, verdict: Verdict) -> str:
    """A finding that is news, with the word that says why."""
    words = {
        "new": "new", "worse": "worse", "reminder": "still", "recovered": "recovered",
        "expired": f"no longer accepted (until {entry.until}: {printable(entry.reason)})",
    }  # fmt: skip
    colour = "green" if entry.news == "recovered" else LEVEL_COLOUR[entry.finding.level]
    why = words[entry.news or "new"]
    lines = [_head(f"{why}: {entry.finding.level}", colour, entry)]
    if entry.news == "recovered":
        lines = [_head("recovered", colour, entry) + f", after {duration(entry.since, verdict.started)}"]
    else:
        lines += [f"{_INDENT}{text}" for text in _details(entry)]
        if entry.news != "new":
            lines.append(f"{_INDENT}{_standing(entry, verdict)}")
    return "\n".join(lines)


def _head(word: str, colour: str, entry: Entry) -> str:
    finding = entry.finding
    server = f" at {finding.server}" if finding.server else ""
    return click.style(f"{word:8} {finding.id}", fg=colour) + printable(
        f"  {finding.subject}{server}: {finding.message}"
    )


def _details(entry: Entry) -> list[str]:
    finding = entry.finding
    seen = [f"{word} {text}" for word, text in (("expected", finding.expected), ("seen", finding.seen)) if text]
    mend = [f"mend: {finding.mend}"] if finding.mend else []
    return [printable(text) for text in (*([", ".join(seen)] if seen else []), *mend)]


def _standing(entry: Entry, verdict: Verdict) -> str:
    """Since when, and how certain."""
    age = duration(entry.since, verdict.started)
    if entry.phase == "recovered":
        return f"it lasted {age}"
    if entry.phase == "soft":
        return f"not confirmed yet: seen by {count(entry.looks, 'look')}"
    words = {"open": "open", "known": "in the baseline", "accepted": f"accepted until {entry.until}"}[entry.phase]
    if entry.phase == "accepted":
        words += f": {printable(entry.reason)}"
    if not entry.seen:
        words += ", not seen this time and not certain to be gone"
    return f"{words}; since {entry.since:%d %b %Y %H:%M} UTC ({age})"


def _summary(verdict: Verdict) -> str:
    """One line: what is open, what else there is, and how much was looked at."""
    levels = verdict.levels("open")
    worst = next((level for level in LEVELS if levels[level]), None)
    head = f"{tally(levels)} open" if worst else "nothing is wrong" if not verdict.of("soft") else "nothing is certain"
    numbers: tuple[tuple[Phase, str], ...] = (
        ("soft", "not confirmed yet"),
        ("accepted", "accepted"),
        ("known", "in the baseline"),
    )
    parts = [click.style(head, fg=LEVEL_COLOUR[worst] if worst else "green", bold=True)]
    parts += [f"{len(verdict.of(phase)):,} {words}" for phase, words in numbers if verdict.of(phase)]
    return "; ".join([*parts, looked_at(verdict)])
