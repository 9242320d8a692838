"""A verdict in the forms that other programs and people read; and the words that these forms share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from realmkit.dns.findings import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from realmkit.dns.findings import Level
    from realmkit.health.check import Check
    from realmkit.health.verdict import Entry, Verdict

    Table = Mapping[str, Check]

# C0 and C1 controls, and what turns the direction of text around: a banner or a TXT record may hold any of them
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_PLURAL: Final = {"critical": "critical", "unknown": "unknown"}
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def printable(text: str) -> str:
    """Text that came from the network, with what would steer a terminal or break a line shown as an escape."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def level_words(level: Level, number: int) -> str:
    """`2 errors`, `1 unknown`."""
    plural = _PLURAL.get(level, level + "s")
    return f"{number:,} {level if number == 1 else plural}"


def tally(levels: Mapping[Level, int]) -> str:
    """`2 errors, 1 warning`; empty where there is none."""
    return ", ".join(level_words(level, levels[level]) for level in LEVELS if levels.get(level))


def place(entry: Entry) -> str:
    """`SIP01 acme.voice.example.com. at 192.0.2.1`."""
    server = f" at {entry.finding.server}" if entry.finding.server else ""
    return printable(f"{entry.finding.id} {entry.finding.subject}{server}")


def sentence(entry: Entry) -> str:
    """Place and message in one line."""
    return f"{place(entry)}: {printable(entry.finding.message)}"


def looked_at(verdict: Verdict) -> str:
    """`20,000 realms in 3 zones, 100,000 questions, 12 endpoints in 3.2 s`."""
    counts = verdict.counts
    parts = [f"{counts.realms:,} {_noun('realm', counts.realms)} in {counts.zones:,} {_noun('zone', counts.zones)}"]
    if counts.skipped:
        parts.append(f"{counts.skipped:,} skipped in zones that have not changed")
    parts.append(f"{counts.questions:,} {_noun('question', counts.questions)}")
    if counts.endpoints:
        parts.append(f"{counts.endpoints:,} {_noun('endpoint', counts.endpoints)}")
    return ", ".join(parts) + f" in {verdict.seconds:.1f} s"


def duration(since: datetime, now: datetime) -> str:
    """`3 h`, `12 d`: the largest unit only."""
    seconds = max(int((now - since).total_seconds()), 0)
    name, size = next(((name, size) for name, size in _UNITS if seconds >= size), ("s", 1))
    return f"{seconds // size} {name}"


def _noun(noun: str, number: int) -> str:
    return noun if number == 1 else noun + "s"
