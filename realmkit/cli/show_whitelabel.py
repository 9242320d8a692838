"""How `realmkit whitelabel` looks: as text for people, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from realmkit.cli import show
from realmkit.dns import names
from realmkit.dns.records import key_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.whitelabel.apply import Done
    from realmkit.whitelabel.opinion import Opinion
    from realmkit.whitelabel.plan import Plan
    from realmkit.whitelabel.verify import Verdict

_SENDER = {
    "add": "will be added; the platform mails a code there",
    "code": "waits for the code that the platform mailed there: --code ADDRESS=CODE",
    "verified": "is verified",
    "elsewhere": "is not kept by this cluster",
}


def plan_text(plan: Plan) -> str:
    """What `whitelabel plan` prints: faults first, then the records, then the brand."""
    return "\n".join([*_fault_lines(plan), *_record_lines(plan), *_brand_lines(plan)])


def _fault_lines(plan: Plan) -> Iterator[str]:
    faults = plan.composed.faults
    if faults:
        yield click.style(f"{show.count(len(faults), 'fault')} in {plan.template.source}", bold=True)
        for fault in faults:
            yield show.findings_text([fault.finding])
            yield "          " + (
                click.style(f"mended here: {fault.mended}", fg="green")
                if fault.mended
                else click.style("not mended", fg="red")
            )
    said = {(fault.finding.id, fault.finding.subject) for fault in faults}
    others = [one for one in plan.findings if (one.id, one.subject) not in said]
    if others:
        yield show.findings_text(others)
    for hold in plan.holds:
        can = f"; --allow {hold.guard}" if hold.can_be_allowed else ""
        yield click.style(f"held     {hold.guard}", fg="red") + f"  {hold.subject}: {hold.message}{can}"


def _record_lines(plan: Plan) -> Iterator[str]:
    if plan.dns is None:
        yield "records: not planned, for the template can't be read whole"
    else:
        yield show.planned_text(plan.dns, everything=False)


def _brand_lines(plan: Plan) -> Iterator[str]:
    identity, name = plan.account
    if not identity:
        yield "the platform was left out"
        return
    yield click.style(f"brand of account {name} ({identity})", bold=True)
    for change in plan.changes:
        before = "" if change.before is None else f"{change.before} -> "
        yield f"  {_sign(new=not before)} {change.path}: {before}{change.after}"
    for upload in plan.uploads:
        size = f", {upload.width} x {upload.height}" if upload.width else ""
        yield f"  {_sign(new=True)} {upload.kind}: {upload.content_type}{size}, {len(upload.octets):,} octets"
    for step in plan.senders:
        yield f"  sender {step.email} {_SENDER[step.state]}"
    if not plan.changes and not plan.uploads:
        yield "  as wanted"


def _sign(*, new: bool) -> str:
    return click.style("+", fg="green") if new else click.style("~", fg="yellow")


def plan_json(plan: Plan) -> dict[str, Any]:
    """What `whitelabel plan --json` prints."""
    return {
        "domain": plan.file.text,
        "account": plan.account[0],
        "template": plan.template.source,
        "faults": [msgspec.to_builtins(one.finding) | {"mended": one.mended} for one in plan.composed.faults],
        "findings": msgspec.to_builtins(plan.findings),
        "holds": [msgspec.to_builtins(one) | {"can_be_allowed": one.can_be_allowed} for one in plan.holds],
        "derived": [key_to_text(key) for key in plan.composed.derived],
        "records": None if plan.dns is None else show.planned_json(plan.dns),
        "document": msgspec.to_builtins(plan.changes),
        "uploads": [
            {"kind": one.kind, "content_type": one.content_type, "octets": len(one.octets), "width": one.width,
             "height": one.height} for one in plan.uploads
        ],
        "senders": msgspec.to_builtins(plan.senders),
        "changes": plan.pending,
    }  # fmt: skip


def done_text(done: Done) -> str:
    """What `whitelabel apply` prints."""
    lines = [show.applied_text(done.dns)]
    lines.append(f"platform: {', '.join(done.platform)}" if done.platform else "platform: nothing to do")
    lines += [f"waiting for the code that was mailed to {email}: --code {email}=CODE" for email in done.waiting]
    return "\n".join(lines)


def done_json(done: Done) -> dict[str, Any]:
    """What `whitelabel apply --json` prints."""
    return {
        "records": show.applied_json(done.dns), "platform": done.platform, "waiting": done.waiting,
        "exit_code": done.exit_code,
    }  # fmt: skip


def verdict_text(verdict: Verdict, *, right: bool) -> str:
    """What `whitelabel verify` prints."""
    lines = [show.report_text(verdict.report, right=right)]
    if verdict.opinions is not None:
        agree = sum(one.agrees for one in verdict.opinions)
        lines.append(f"the platform's own test agrees on {agree} of {show.count(len(verdict.opinions), 'name')}")
    if verdict.sites:
        looked = ", ".join(f"{names.to_text(site.host)[:-1]}:{site.port}" for site in verdict.sites)
        lines.append(f"certificates looked at: {looked}")
    if verdict.findings:
        lines.append(show.findings_text(verdict.findings))
    return "\n".join(lines)


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """What `whitelabel verify --json` prints."""
    return {
        "exit_code": verdict.exit_code,
        "verification": show.report_json(verdict.report),
        "opinions": None if verdict.opinions is None else [_opinion_json(one) for one in verdict.opinions],
        "certificates": [f"{names.to_text(site.host)[:-1]}:{site.port}" for site in verdict.sites],
        "findings": msgspec.to_builtins(verdict.findings),
    }


def _opinion_json(one: Opinion) -> dict[str, Any]:
    return {
        "record": key_to_text(one.key), "agrees": one.agrees, "expects_ours": one.expects_ours,
        "wanted": list(one.wanted), "expected": list(one.expected), "seen": list(one.seen),
    }  # fmt: skip
