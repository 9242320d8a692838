"""How plans, findings, guards and verdicts look: as text for people, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from realmkit.dns import names, rdata
from realmkit.dns.records import key_to_text, type_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.dns.asking.query import Server
    from realmkit.dns.doctor.checkup import Check
    from realmkit.dns.findings import Finding
    from realmkit.dns.plan import Change, Plan, ZonePlan
    from realmkit.dns.records import Key, Zone
    from realmkit.dns.work.adoption import Adopted
    from realmkit.dns.work.guard import Hold
    from realmkit.dns.work.verify import Observation, Report
    from realmkit.dns.work.workflow import Applied, Linted, Planned

LEVEL_COLOUR: Final = {
    "critical": "red", "error": "red", "unknown": "magenta", "warning": "yellow", "notice": "cyan",
}  # fmt: skip
_STATE_COLOUR: Final = {"ok": "green", "warning": "yellow", "failed": "red", "unknown": "magenta"}
_VERB_COLOUR: Final = {"create": "green", "delete": "red", "update": "yellow", "ttl": "yellow"}
_SIGN: Final = {"create": "+", "delete": "-", "update": "~", "ttl": "~"}
MOST_CHANGES: Final = 200


def count(number: int, noun: str, ending: str = "s") -> str:
    """`1 change`, `2 changes`."""
    return f"{number:,} {noun}{'' if number == 1 else ending}"


def findings_text(findings: Iterable[Finding]) -> str:
    """A paragraph for each finding."""
    return "\n".join(_finding_text(finding) for finding in findings)


def _finding_text(finding: Finding) -> str:
    head = click.style(f"{finding.level:8} {finding.id}", fg=LEVEL_COLOUR[finding.level])
    lines = [f"{head}  {finding.subject}: {finding.message}"]
    seen = f"expected {finding.expected}" if finding.expected else ""
    if finding.seen:
        seen += f"{', ' if seen else ''}seen {finding.seen}"
    lines += [f"          {text}" for text in (seen, f"mend: {finding.mend}" if finding.mend else "") if text]
    return "\n".join(lines)


def plan_text(plan: Plan, most: int = MOST_CHANGES) -> str:
    """The changes of a plan, zone by zone."""
    parts = []
    for zone in plan.zones:
        title = f"zone {names.to_text(zone.zone)}  {_summary(zone)}"
        parts.append(click.style(title, bold=True))
        parts.extend(_change_text(change, zone) for change in zone.changes[:most])
        if len(zone.changes) > most:
            parts.append(f"  ... and {count(len(zone.changes) - most, 'change')} more (--all shows them)")
    return "\n".join(parts)


def _summary(zone: ZonePlan) -> str:
    verbs = [change.verb for change in zone.changes]
    words = [f"{verbs.count(verb)} {verb}" for verb in ("create", "update", "ttl", "delete") if verb in verbs]
    return "(" + ", ".join(words) + ")"


def _change_text(change: Change, zone: ZonePlan) -> str:
    name, kind = change.key
    head = f"  {_SIGN[change.verb]} {names.relative_text(name, zone.zone):32} {type_to_text(kind):6}"
    colour = _VERB_COLOUR[change.verb]
    if change.verb == "ttl" and change.before and change.after:
        return click.style(f"{head} ttl {change.before.ttl} -> {change.after.ttl}", fg=colour)
    some = change.after or change.before
    lines = [click.style(f"{head} ttl {_ttl_text(change)}", fg=colour)]
    before = change.before.rdata if change.before else frozenset()
    after = change.after.rdata if change.after else frozenset()
    for one in sorted(before | after):
        sign = " " if one in before and one in after else "+" if one in after else "-"
        assert some is not None  # noqa: S101 - a change always has one side
        lines.append(f"      {sign} {rdata.to_text(kind, one)}")
    return "\n".join(lines)


def _ttl_text(change: Change) -> str:
    if change.before and change.after and change.before.ttl != change.after.ttl:
        return f"{change.before.ttl} -> {change.after.ttl}"
    some = change.after or change.before
    return str(some.ttl if some else "")


def holds_text(holds: Iterable[Hold]) -> str:
    """A paragraph for each guard that holds."""
    return "\n".join(
        click.style(f"held     {hold.guard}", fg="red")
        + f"  {hold.subject}: {hold.message}\n          mend: {hold.mend}"
        + (f"\n          or: --allow {hold.guard}" if hold.can_be_allowed else "")
        for hold in holds
    )


def linted_text(linted: Linted) -> str:
    """What `dns lint` prints."""
    ending = f"{count(linted.rrsets, 'wanted RRset')} judged"
    if linted.blind:
        ending += "; without reading " + ", ".join(map(names.to_text, linted.blind))
    if not linted.findings:
        return f"nothing found: {ending}"
    return f"{findings_text(linted.findings)}\n{count(len(linted.findings), 'finding')}; {ending}"


def linted_json(linted: Linted) -> dict[str, Any]:
    """What `dns lint --json` prints."""
    return {
        "findings": msgspec.to_builtins(linted.findings),
        "rrsets": linted.rrsets,
        "blind": [names.to_text(zone) for zone in linted.blind],
    }


def planned_text(planned: Planned, *, everything: bool) -> str:
    """What `dns plan` prints."""
    plan = planned.file.plan
    parts = [plan_text(plan, 10**9 if everything else MOST_CHANGES)] if plan.zones else []
    parts += [f"looked up: {host} is {', '.join(texts)}" for host, texts in planned.file.looked_up.items()]
    parts += planned.notes
    parts += [text for text in (findings_text(planned.findings), holds_text(planned.holds)) if text]
    if planned.unowned:
        parts.append(
            f"{count(len(planned.unowned), 'RRset')} {'is' if len(planned.unowned) == 1 else 'are'} as wanted but not "
            "ours; `realmkit dns adopt --wanted` takes over"
        )
    where = f"{count(planned.rrsets, 'wanted RRset')} in {count(planned.zones, 'zone')}"
    if not plan.zones:
        parts.append(f"no changes: {where}")
    else:
        parts.append(f"{count(plan.size, 'change')} to make; {where}; digest {plan.digest[:12]}")
    return "\n".join(parts)


def planned_json(planned: Planned) -> dict[str, Any]:
    """What `dns plan --json` prints."""
    from realmkit.dns.work import planfile

    return {
        "changes": planned.file.plan.size,
        "rrsets": planned.rrsets,
        "zones": planned.zones,
        "findings": msgspec.to_builtins(planned.findings),
        "holds": [msgspec.to_builtins(hold) | {"can_be_allowed": hold.can_be_allowed} for hold in planned.holds],
        "unowned": [key_to_text(key) for key in planned.unowned],
        "notes": list(planned.notes),
        "plan": planfile.to_json(planned.file),
    }


def applied_text(applied: Applied) -> str:
    """What `dns apply` and `dns rollback` print."""
    if applied.run is None:
        return "nothing to do"
    lines = []
    for result in applied.results:
        batches = count(len(result.receipts), "batch", "es")
        serial = next((one.serial for one in reversed(result.receipts) if one.serial is not None), None)
        already = f", {len(result.already)} were there already" if result.already else ""
        at = f", serial {serial}" if serial is not None else ""
        lines.append(
            f"{names.to_text(result.zone)}  {count(len(result.applied), 'RRset')} changed in {batches}{already}{at}"
        )
        lines += [click.style("warning ", fg="yellow") + f"  {text}" for text in result.warnings]
    lines += [f"{names.to_text(zone)}: the provider did not confirm in time" for zone in applied.unsettled]
    lines.append(f"run {applied.run.name}  (undo: realmkit dns rollback {applied.run.name})")
    if applied.report is not None:
        lines.append(report_text(applied.report, right=False))
    return "\n".join(lines)


def applied_json(applied: Applied) -> dict[str, Any]:
    """What `dns apply --json` prints."""
    return {
        "run": applied.run.name if applied.run else None,
        "zones": [
            {
                "zone": names.to_text(result.zone),
                "applied": [key_to_text(change.key) for change in result.applied],
                "already": [key_to_text(change.key) for change in result.already],
                "batches": len(result.receipts),
                "warnings": result.warnings,
                "receipts": [msgspec.to_builtins(receipt) for receipt in result.receipts],
            }
            for result in applied.results
        ],
        "unsettled": [names.to_text(zone) for zone in applied.unsettled],
        "verification": report_json(applied.report) if applied.report is not None else None,
    }


def adopted_text(adopted: Adopted) -> str:
    """What `dns adopt` prints."""
    lines = [f"adopted  {key_to_text(rrset.key)}" for rrset in adopted.taken]
    lines += [f"was ours {key_to_text(key)}" for key in adopted.already]
    return "\n".join(lines) or "nothing to adopt"


def adopted_json(adopted: Adopted) -> dict[str, Any]:
    """What `dns adopt --json` prints."""
    return {
        "adopted": [key_to_text(rrset.key) for rrset in adopted.taken],
        "already": [key_to_text(key) for key in adopted.already],
    }


def zone_json(zone: Zone) -> dict[str, Any]:
    """A zone as data."""
    return {
        "zone": names.to_text(zone.name),
        "serial": zone.serial,
        "unread": list(zone.unread),
        "rrsets": [
            {"name": names.to_text(one.name), "type": type_to_text(one.type), "ttl": one.ttl}
            | {"rdata": sorted(rdata.to_text(one.type, octets) for octets in one.rdata)}
            for one in zone.rrsets.values()
        ],
    }


def checks_text(checks: Iterable[Check]) -> str:
    """What `realmkit doctor` prints: a line for each check, and what mends it."""
    return "\n".join(
        click.style(f"{check.state:8}", fg=_STATE_COLOUR[check.state])
        + f" {check.name}: {check.detail}"
        + _mend_text(check)
        for check in checks
    )


def _mend_text(check: Check) -> str:
    parts = [f"at {check.place}" if check.place else "", check.mend]
    text = ": ".join(part for part in parts if part)
    return f"\n         mend: {text}" if text else ""


def report_text(report: Report, *, right: bool) -> str:
    """What `dns verify` prints: each record with what every server shows of it, then the servers.

    Args:
        report: the verdict.
        right: show also the records that are right everywhere.
    """
    by_record: dict[Key, list[Observation]] = {}
    for one in sorted(report.observations, key=_by_name):
        by_record.setdefault((one.expectation.name, one.expectation.type), []).append(one)
    lines = [_record_text(key, many) for key, many in by_record.items() if right or _faults(many)]
    lines += [click.style("unknown ", fg="magenta") + f"  {text}" for text in report.unasked]
    for standing in sorted(report.standings, key=lambda one: (one.zone, one.server)):
        serial = f"serial {standing.serial}" if standing.serial is not None else "no answer"
        lines.append(f"server    {standing.server}  {names.to_text(standing.zone)} {serial}")
    for standing, newest in report.behind():
        late = f"{standing.server} has serial {standing.serial}, others have {newest}"
        lines.append(click.style("behind  ", fg="yellow") + f"  {late}")
    fine = len(report.observations) - len(report.wrong) - len(report.unknown)
    asked = f"{count(len(by_record), 'record set')} on {count(len({one.server for one in report.standings}), 'server')}"
    lines.append(f"{asked}: {fine:,} right, {len(report.wrong):,} wrong, {len(report.unknown):,} unknown")
    return "\n".join(lines)


def _by_name(one: Observation) -> tuple[bytes, list[bytes], int, Server]:
    asked = one.expectation
    return one.zone, names.labels_of(asked.name)[::-1], asked.type, one.server


def _faults(many: list[Observation]) -> list[Observation]:
    return [one for one in many if one.state != "right"]


def _record_text(key: Key, many: list[Observation]) -> str:
    """One record set: a line where all servers agree with what is wanted, else a line for each that does not."""
    faults = _faults(many)
    ttl = many[0].expectation.rrset
    expected = (f"ttl {ttl.ttl}  " if ttl else "") + ("; ".join(many[0].expected) or "nothing")
    if not faults:
        return click.style("right   ", fg="green") + f"  {key_to_text(key)}  on {len(many)} of {len(many)}: {expected}"
    certain = any(one.state != "unknown" for one in faults)
    head = click.style("wrong   ", fg="red") if certain else click.style("unknown ", fg="magenta")
    lines = [f"{head}  {key_to_text(key)}  right on {len(many) - len(faults)} of {len(many)}; expected {expected}"]
    for one in faults:
        seen = "" if one.state == "unknown" else f"; seen {'; '.join(one.seen) or 'nothing'}"
        detail = f" ({one.detail})" if one.detail else ""
        lines.append(f"            {one.server}: {one.state}{detail}{seen}")
    return "\n".join(lines)


def report_json(report: Report) -> dict[str, Any]:
    """What `dns verify --json` prints."""
    return {
        "exit_code": report.exit_code,
        "wrong": len(report.wrong),
        "unknown": len(report.unknown) + len(report.unasked),
        "unasked": list(report.unasked),
        "servers": [
            {"zone": names.to_text(one.zone), "server": str(one.server), "serial": one.serial}
            for one in report.standings
        ],
        "records": [
            {
                "name": names.to_text(one.expectation.name),
                "type": type_to_text(one.expectation.type),
                "server": str(one.server),
                "state": one.state,
                "ttl": one.expectation.rrset.ttl if one.expectation.rrset else None,
                "expected": list(one.expected),
                "seen": list(one.seen),
                "detail": one.detail,
            }
            for one in sorted(report.observations, key=_by_name)
        ],
    }
