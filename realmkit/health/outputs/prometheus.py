"""A verdict as metrics, in the text format that node_exporter's textfile collector reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from realmkit import durable
from realmkit.dns.findings import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from realmkit.health.verdict import Verdict

    Sample = tuple[dict[str, str], float | int]

_NUMBER: Final = {level: len(LEVELS) - place for place, level in enumerate(LEVELS)}
_NUMBERS: Final = ", ".join(f"{number} {level}" for level, number in sorted(_NUMBER.items(), key=lambda item: item[1]))


def render(verdict: Verdict) -> str:
    """The whole file. Every metric is a gauge."""
    serials = {(zone, server): serial for zone, server, serial in verdict.serials if serial is not None}
    metrics: list[tuple[str, str, Iterable[Sample]]] = [
        ("check_status", f"Open findings: {_NUMBERS}.", _open(verdict)),
        ("findings", "Open findings by level.", [({"level": k}, v) for k, v in verdict.levels("open").items()]),
        ("findings_unconfirmed", "Findings that are not certain yet.", [({}, len(verdict.of("soft")))]),
        ("findings_accepted", "Accepted findings, and those of the baseline.",
         [({}, len(verdict.of("accepted", "known")))]),
        ("looked_at", "How much the last run looked at.",
         [({"what": name}, number) for name, number in structs.asdict(verdict.counts).items()]),
        ("soa_serial", "SOA serial by zone and server.",
         [({"zone": zone, "server": server}, serial) for (zone, server), serial in serials.items()]),
        ("exit_code", "Exit code of the last run: 0 in order, 1 warnings, 2 errors, 3 could not be told.",
         [({}, verdict.exit_code)]),
        ("run_duration_seconds", "How long the last run took.", [({}, round(verdict.seconds, 3))]),
        ("last_run_timestamp_seconds", "When the last run ended.",
         [({}, round(verdict.started.timestamp() + verdict.seconds, 3))]),
    ]  # fmt: skip
    return "".join(_metric(f"realmkit_{name}", text, samples) for name, text, samples in metrics)


def save(path: Path, verdict: Verdict) -> None:
    """Replace the file, whole or not at all: a scrape never sees half of it.

    Raises:
        StateError: it can't be written.
    """
    durable.write(path, render(verdict).encode())


def _open(verdict: Verdict) -> Iterable[Sample]:
    for entry in verdict.open:
        check, subject, server = entry.finding.key
        yield {"check": check, "subject": subject, "server": server}, _NUMBER[entry.finding.level]


def _metric(name: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {text}\n", f"# TYPE {name} gauge\n"]
    lines += [f"{name}{_labels(labels)} {value}\n" for labels, value in samples]
    return "".join(lines)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """A label's value. Lone surrogates, which UTF-8 can't carry, become question marks."""
    value = value.encode("utf-8", "replace").decode()
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
