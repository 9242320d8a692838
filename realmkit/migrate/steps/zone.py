"""Steps about DNS: publish a realm, change its TTLs, see it whole on every server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.dns import names
from realmkit.dns.fields import negative_ttl
from realmkit.dns.records import SOA
from realmkit.dns.work import planfile, workflow
from realmkit.errors import OK, UNKNOWN, RefusedError
from realmkit.migrate.kit import Job, Seen, Step, done, pending, unknown

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset
    from realmkit.dns.work.planfile import PlanFile
    from realmkit.dns.work.verify import Report
    from realmkit.dns.work.workflow import Planned


class _PlannedChange(Step):
    """A change of DNS that is planned before it is begun: the journal holds the plan, and so its inverse."""

    def ttl(self, job: Job) -> int | None:
        """The TTL to plan with; None for the configured ones."""
        raise NotImplementedError

    def cached(self, job: Job, planned: Planned) -> int:
        """For how many seconds resolvers may go on with what was there before."""
        raise NotImplementedError

    def before(self, job: Job) -> dict[str, Any]:
        """The plan, sealed, and how long caches will lag behind."""
        desk = job.kit.desk
        chosen = _configured(job)
        if chosen is None:
            return {"plan": None, "ttl": 0}
        planned = workflow.make_plan(desk, only=frozenset({chosen}), ttl=self.ttl(job))
        if planned.holds:
            held = "; ".join(f"[{hold.guard}] {hold.subject}: {hold.message}" for hold in planned.holds)
            raise RefusedError(f"the change of {job.realm} is held back: {held}", hint=planned.holds[0].mend)
        return {"plan": planfile.to_json(planned.file), "ttl": self.cached(job, planned)}

    def verify(self, job: Job) -> Seen:
        """Whether every server shows what the plan changed."""
        if "plan" not in job.before:
            return pending("not planned yet")
        if job.before["plan"] is None:
            return done(f"{job.realm} is in none of our zones; left alone")
        file = _file(job)
        if not file.plan.zones:
            return done("nothing to change", ttl=job.before["ttl"])
        return _judged(
            workflow.verify_plan(job.kit.desk, file), f"{file.plan.size} RRsets changed", ttl=job.before["ttl"]
        )

    def do(self, job: Job) -> None:
        """Apply exactly the plan that was written down, or what is left of it."""
        workflow.apply_plan(job.kit.desk, _file(job), verify_deadline=0)

    def undo(self, job: Job) -> None:
        """Apply its inverse."""
        if job.before["plan"] is not None:
            workflow.apply_plan(job.kit.desk, planfile.inverse(_file(job)), allow=None, verify_deadline=0)

    def undone(self, job: Job) -> Seen:
        """Whether every server shows what was there before."""
        if job.before["plan"] is None or not (file := _file(job)).plan.zones:
            return done("nothing was changed")
        return _judged(workflow.verify_plan(job.kit.desk, planfile.inverse(file)), "as before")


class Publish(_PlannedChange):
    """Publish the realm's complete set with the migration TTL."""

    def ttl(self, job: Job) -> int | None:
        """The migration's."""
        return job.kit.desk.project.config.policy.migration_ttl

    def cached(self, job: Job, planned: Planned) -> int:
        """An absence is remembered for the lesser of the SOA's TTL and its minimum (RFC 2308 section 5)."""
        zones = [one.zone for one in planned.file.plan.zones]
        live = job.kit.desk.snapshots(zones)
        return max((_negative_ttl(live[zone].rrsets.get((zone, SOA))) for zone in zones), default=0)


class SetTtl(_PlannedChange):
    """Give the realm's records the migration's or the normal TTL; where they are not ours, leave them alone."""

    def ttl(self, job: Job) -> int | None:
        """As the argument says."""
        normal = job.place.task.arguments["ttl"] == "normal"
        return None if normal else job.kit.desk.project.config.policy.migration_ttl

    def cached(self, job: Job, planned: Planned) -> int:  # noqa: ARG002 - the plan says it all
        """The greatest TTL that is being replaced."""
        changes = [change for one in planned.file.plan.zones for change in one.changes]
        return max((change.before.ttl for change in changes if change.before), default=0)


class Verify(Step):
    """See the whole realm on every authoritative server."""

    def verify(self, job: Job) -> Seen:
        """What is wanted, with the migration's TTL."""
        desk = job.kit.desk
        chosen = _configured(job)
        if chosen is None:
            return unknown(f"{job.realm} is no realm of realmkit.yml any more")
        ttl = desk.project.config.policy.migration_ttl
        report = workflow.verify_wanted(desk, only=frozenset({chosen}), ttl=ttl)
        return _judged(report, f"{job.realm} is whole")


def _configured(job: Job) -> Name | None:
    """The realm, if it is one of `realmkit.yml`."""
    realm = names.absolute(job.realm)
    return realm if realm in job.kit.desk.wanted()[0].realms else None


def _file(job: Job) -> PlanFile:
    return planfile.from_json(f"the journal's plan of {job.key}", job.before["plan"])


def _negative_ttl(soa: RRset | None) -> int:
    if soa is None:
        return 0
    (octets,) = soa.rdata
    return negative_ttl(soa.ttl, octets)


def _judged(report: Report, right: str, **result: Any) -> Seen:
    """A report as a look at the world."""
    servers = len({one.server for one in report.standings})
    if report.exit_code == OK:
        return done(f"{right}, on {servers} server{'s' * (servers != 1)}", **result)
    if report.exit_code == UNKNOWN:
        texts = [*report.unasked, *(f"{one.server}: {one.detail}" for one in report.unknown)]
        return unknown("; ".join(texts[:3]))
    first = report.wrong[0]
    more = f" (and {len(report.wrong) - 1} more)" if len(report.wrong) > 1 else ""
    return pending(f"{first.server}: {names.to_text(first.expectation.name)}: {first.detail}{more}")
