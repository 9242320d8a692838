"""How accounts, their plans and what became of them look: as text for people, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from realmkit import errors
from realmkit.cli.show import count

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from realmkit.accounts.apply import Outcome
    from realmkit.accounts.plan import AccountPlan, Change
    from realmkit.kazoo.setupdocuments import AccountRow

_SIGN: Final = {"create": "+", "change": "~", "refused": "!", "broken": "!", "nothing": " "}
_COLOUR: Final = {"create": "green", "change": "yellow", "refused": "red", "broken": "red", "nothing": None}
MOST: Final = 50  # accounts that are shown in full


def plans_text(plans: Sequence[AccountPlan], *, everything: bool) -> str:
    """What `account plan` prints: each account with something to say, section by section, and a sum."""
    shown = [plan for plan in plans if plan.kind != "nothing" or plan.notices]
    lines = [_plan_text(plan) for plan in (shown if everything else shown[:MOST])]
    if len(shown) > len(lines):
        lines.append(f"... and {count(len(shown) - len(lines), 'more account')} (--all shows them)")
    return "\n".join([*lines, _sum(plans)])


def plans_json(plans: Sequence[AccountPlan]) -> dict[str, Any]:
    """What `account plan --json` prints."""
    return {"accounts": [_plan_json(plan) for plan in plans], "summary": _counts(plans)}


def exit_code(plans: Collection[AccountPlan], *, check: bool) -> int:
    """What a plan says of the world: broken files first, then refusals, then, if asked, pending changes."""
    kinds = {plan.kind for plan in plans}
    if "broken" in kinds:
        return errors.USAGE
    if "refused" in kinds:
        return errors.CRITICAL
    return errors.WARNING if check and kinds & {"create", "change"} else errors.OK


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """What `account apply` prints."""
    return "\n".join(_outcome_text(one) for one in outcomes) or "nothing to do"


def outcomes_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `account apply --json` prints."""
    return {
        "accounts": [
            {
                "name": one.name, "id": one.id, "created": one.created, "done": list(one.done), "whole": one.whole,
                "failed": [{"section": bad.section, "error": bad.error.message} for bad in one.failed],
                "left": [msgspec.structs.asdict(change) for change in one.left or ()],
            }
            for one in outcomes
        ]
    }  # fmt: skip


def outcomes_code(outcomes: Collection[Outcome]) -> int:
    """Fine when every account is as its file says."""
    failed = [bad.error.exit_code for one in outcomes for bad in one.failed]
    if failed:
        return max(failed, key=lambda code: (code == errors.CRITICAL, code))
    return errors.OK if all(one.whole for one in outcomes) else errors.CRITICAL


def rows_text(rows: Sequence[AccountRow]) -> str:
    """What `account find` prints: id, name, realm, and the accounts above, the nearest last."""
    lines = []
    for row in rows:
        above = f"  below {' > '.join(row.tree)}" if row.tree else ""
        lines.append(f"{row.id}  {click.style(row.name, bold=True)}  {row.realm}{above}")
    return "\n".join(lines)


def rows_json(rows: Sequence[AccountRow]) -> dict[str, Any]:
    """What `account find --json` prints."""
    return {
        "accounts": [
            {"id": row.id, "name": row.name, "realm": row.realm, "tree": list(row.tree)} for row in rows
        ]
    }  # fmt: skip


def _plan_text(plan: AccountPlan) -> str:
    head = f"{_SIGN[plan.kind]} {plan.name}"
    what = f"{plan.title or '?'}, {plan.realm or 'no realm'}, {plan.id or 'new'}" if plan.title else plan.kind
    lines = [click.style(head, fg=_COLOUR[plan.kind], bold=True) + f"  {what}"]
    lines += [click.style(f"    {text}", fg="red") for text in plan.errors]
    for section in plan.sections:
        lines += [_change_text(change) for change in plan.changes if change.section == section]
    return "\n".join(lines + [click.style(f"    note: {text}", fg="cyan") for text in plan.notices])


def _change_text(change: Change) -> str:
    place = f"{change.section}{'.' + change.what if change.what else ''}"
    if change.before is None:
        return f"    + {place}: {_value(change.after)}"
    if change.after is None:
        return f"    - {place}: {_value(change.before)}"
    return f"    ~ {place}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else str(value)


def _plan_json(plan: AccountPlan) -> dict[str, Any]:
    return {
        "name": plan.name, "kind": plan.kind, "id": plan.id, "title": plan.title, "realm": plan.realm,
        "changes": [msgspec.structs.asdict(change) for change in plan.changes], "notices": list(plan.notices),
        "errors": list(plan.errors), "read": not plan.unread,
    }  # fmt: skip


def _counts(plans: Collection[AccountPlan]) -> dict[str, int]:
    return {kind: sum(plan.kind == kind for plan in plans) for kind in _SIGN}


def _sum(plans: Collection[AccountPlan]) -> str:
    words = {
        "create": "to make", "change": "to change", "refused": "refused", "broken": "broken",
        "nothing": "as its file says",
    }  # fmt: skip
    found = _counts(plans)
    parts = [f"{found[kind]:,} {text}" for kind, text in words.items() if found[kind]]
    return f"{count(len(plans), 'account')}: {', '.join(parts)}"


def _outcome_text(outcome: Outcome) -> str:
    verb = "made" if outcome.created else "changed" if outcome.done else "unchanged"
    head = click.style(outcome.name, fg="green" if outcome.whole else "red", bold=True)
    what = f"{', with' if outcome.created else ':'} {', '.join(outcome.done)}" if outcome.done else ""
    lines = [f"{head}  {outcome.id}  {verb}{what}"]
    for bad in outcome.failed:
        lines.append(click.style(f"    {bad.section} failed: {bad.error.message}", fg="red"))
        if bad.error.hint:
            lines.append(click.style(f"      hint: {bad.error.hint}", fg="cyan"))
    lines += [click.style(f"    still not so:{_change_text(change)[3:]}", fg="red") for change in outcome.left or ()]
    return "\n".join(lines)
