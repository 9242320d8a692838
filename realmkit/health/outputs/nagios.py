"""A verdict as a monitoring plugin prints it: one line with performance data, then more lines.

By the Monitoring Plugins Development Guidelines: `TEXT | 'label'=value[UOM];warn;crit;min;max`, and the exit codes 0
OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN that realmkit has anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.health.outputs import looked_at, sentence, tally

if TYPE_CHECKING:
    from realmkit.health.verdict import Entry, Verdict

_WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_MOST_BYTES: Final = 8000  # what Nagios keeps of a plugin's output (MAX_PLUGIN_OUTPUT_LENGTH is 8192)
_MOST_TEXT: Final = 250


def render(verdict: Verdict) -> str:
    """What the plugin prints, without a line feed at its end."""
    told = sorted(verdict.of("open", "soft"), key=lambda entry: entry.phase)  # certain ones first, else as they stand
    text = f"REALMKIT {_WORDS[verdict.exit_code]} - {_headline(verdict, told)}"
    lines = [f"{_plain(text)} | {_performance(verdict)}"]
    left = _MOST_BYTES - len(lines[0].encode())
    for number, entry in enumerate(told):
        line = _plain(_line(entry))
        left -= len(line.encode()) + 1
        if left < 40:
            lines.append(f"... and {len(told) - number:,} more")
            break
        lines.append(line)
    return "\n".join(lines)


def _headline(verdict: Verdict, told: list[Entry]) -> str:
    number = tally(verdict.levels("open"))
    soft = len(verdict.of("soft"))
    not_yet = f"{soft:,} not confirmed yet" if soft else ""
    head = ", ".join(text for text in (number, not_yet) if text)
    if not told:
        return f"nothing found: {looked_at(verdict)}"
    first = sentence(told[0])
    first = first if len(first) <= _MOST_TEXT else first[: _MOST_TEXT - 3] + "..."
    return f"{head}: {first}" + (f" (and {len(told) - 1:,} more)" if len(told) > 1 else "")


def _line(entry: Entry) -> str:
    soft = " (not confirmed yet)" if entry.phase == "soft" else ""
    return f"{entry.finding.level} {sentence(entry)}{soft}"


def _performance(verdict: Verdict) -> str:
    levels = verdict.levels("open")
    numbers = {
        "errors": levels["critical"] + levels["error"],
        "warnings": levels["warning"],
        "unknown": levels["unknown"],
        "notices": levels["notice"],
        "zones": verdict.counts.zones,
        "realms": verdict.counts.realms,
        "questions": verdict.counts.questions,
    }
    return (
        " ".join(f"{label}={number};;;0" for label, number in numbers.items()) + f" seconds={verdict.seconds:.3f}s;;;0"
    )


def _plain(text: str) -> str:
    """Without the sign that would begin performance data."""
    return text.replace("|", "/")
