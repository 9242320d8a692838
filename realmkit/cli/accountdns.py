"""What `realmkit account plan` says of the DNS of realms that are about to be used: their shape, and their health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.errors import RealmkitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.accounts.plan import AccountPlan
    from realmkit.dns.work.desk import Desk
    from realmkit.health.verdict import Verdict

_MOST: Final = 20  # realms that are looked at beside a plan; more are a job for `health check`
_PATIENCE: Final = 20.0  # seconds


class Dns(NamedTuple):
    """What was found.

    Attributes:
        notes: what keeps realms from being looked at, in words.
        verdict: of those that were; None if none was.
    """

    notes: tuple[str, ...]
    verdict: Verdict | None = None


def judged(desk: Desk, plans: Iterable[AccountPlan]) -> Dns | None:
    """Look at the DNS of the realms of accounts that do not exist yet, as `health check` would.

    Args:
        desk: the project.
        plans: of accounts.

    Returns:
        None where there is no such account.
    """
    realms = [plan.realm for plan in plans if plan.kind == "create" and plan.realm]
    if not realms:
        return None
    try:
        notes, planned = _sorted_out(desk, realms)
        return Dns(tuple(notes), _checked(desk, planned) if planned else None)
    except RealmkitError as error:
        return Dns((f"the DNS of new realms could not be looked at: {error.message}",))


def _sorted_out(desk: Desk, realms: Sequence[str]) -> tuple[list[str], list[str]]:
    """What to say of realms that can't be looked at, and those that can."""
    from realmkit.dns import names

    known = desk.wanted()[0].realms
    notes, planned = [], []
    for realm in realms:
        name = names.absolute(realm)
        if names.closest(name, desk.zones) is None:
            continue  # the plan itself warns of that
        if name in known or names.wildcard_of(names.parent(name)) in known:
            planned.append(realm)
        else:
            notes.append(f"{realm} is not under realms: in realmkit.yml, so nobody publishes its records: add it")
    if len(planned) > _MOST:
        notes.append(f"{len(planned):,} new realms: `realmkit health check` looks at their DNS")
        planned = []
    return notes, planned


def _checked(desk: Desk, realms: Sequence[str]) -> Verdict:
    from realmkit.health import accepted, checkset, run
    from realmkit.health.check import catalog
    from realmkit.health.ground import Settings
    from realmkit.health.judge import Rules
    from realmkit.health.state import State

    settings = Settings(frozenset(catalog()) - checkset.ELSEWHERE, _PATIENCE)
    rules = Rules(confirm=1, count_soft=True, elsewhere=False)
    judgement = run.Judgement(accepted.Accepted(), accepted.Baseline(), rules, tell=False, second_look=False)
    return run.check(desk, realms, settings, State(), judgement)[1]


def text(dns: Dns | None) -> str:
    """As lines below the plan; empty where there is nothing to say."""
    if dns is None:
        return ""
    lines = [f"dns: {note}" for note in dns.notes]
    if dns.verdict is not None:
        from realmkit.cli import show_health
        from realmkit.health.check import catalog

        lines += ["dns of new realms:", show_health.health_text(dns.verdict, catalog(), everything=False)]
    return "\n".join(lines)


def as_json(dns: Dns | None) -> dict[str, Any] | None:
    """As plain data."""
    if dns is None:
        return None
    from realmkit.health.check import catalog
    from realmkit.health.outputs import jsonfile

    health = None if dns.verdict is None else jsonfile.body(dns.verdict, catalog())
    return {"notes": list(dns.notes), "health": health}
