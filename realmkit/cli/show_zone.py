"""How a zone that changes its provider, and locked records, look: as text for people, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realmkit.cli.show import count, report_json, report_text
from realmkit.dns.records import key_to_text, listing

if TYPE_CHECKING:
    from realmkit.dns.work.locking import Locked
    from realmkit.dns.work.zonecopy import Stage
    from realmkit.dns.work.zonemove import Arrival


def arrival_text(arrival: Arrival) -> str:
    """What `dns verify --at` prints: is the copy whole, and what remains to be done."""
    lines = []
    if arrival.differing:
        text = f"{count(len(arrival.differing), 'RRset')} differ between the providers: {listing(arrival.differing)}"
        lines.append(click.style("differs ", fg="red") + f"  {text}")
    lines.append(report_text(arrival.report, right=False))
    lines += [click.style("unknown ", fg="magenta") + f"  {text}" for text in arrival.parent.unknown]
    lines.append(_signing(arrival.parent.ds_ttl))
    if arrival.whole:
        lines.append("whole at the new provider; what remains to be done:")
        lines += [f"  {number}. {_stage_text(one)}" for number, one in enumerate(arrival.stages, start=1)]
    return "\n".join(lines)


def _signing(ds_ttl: int | None) -> str:
    if ds_ttl is None:
        return "DNSSEC    unknown: the parent could not be asked for a DS set"
    return f"DNSSEC    signed: the parent has a DS set, TTL {ds_ttl} s" if ds_ttl else "DNSSEC    not signed: no DS set"


def _stage_text(stage: Stage) -> str:
    if stage.wait == 0:
        return stage.text
    wait = "an unknown time" if stage.wait is None else f"{stage.wait} s ({_hours(stage.wait)})"
    return f"{stage.text}; then wait {wait}" + (f": {stage.why}" if stage.why else "")


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def arrival_json(arrival: Arrival) -> dict[str, Any]:
    """What `dns verify --at --json` prints."""
    parent = arrival.parent
    return {
        "exit_code": arrival.exit_code,
        "differing": [key_to_text(key) for key in arrival.differing],
        "verification": report_json(arrival.report),
        "parent": {
            "nameservers": list(parent.hosts), "ns_ttl": parent.ns_ttl, "ds_ttl": parent.ds_ttl,
            "unknown": list(parent.unknown),
        },
        "stages": [{"text": one.text, "wait": one.wait, "why": one.why} for one in arrival.stages],
    }  # fmt: skip


def locked_text(done: Locked, word: str) -> str:
    """What `dns lock` and `dns unlock` print."""
    lines = [f"{word:9} {key_to_text(key)}" for key in done.changed]
    others = [key for key in done.now if key not in done.changed]
    lines += [f"is locked {key_to_text(key)}" for key in others]
    return "\n".join(lines) or "nothing is locked"


def locked_json(done: Locked) -> dict[str, Any]:
    """What `dns lock --json` and `dns unlock --json` print."""
    return {"changed": [key_to_text(key) for key in done.changed], "locked": [key_to_text(key) for key in done.now]}
