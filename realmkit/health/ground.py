"""What all stages of a run stand on: the project, what there is to look at, who serves it, how to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from realmkit.dns.asking.query import Server
from realmkit.dns.findings import Finding
from realmkit.dns.names import Name
from realmkit.dns.records import Zone
from realmkit.dns.work.desk import Desk
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.realmpass import Passed
from realmkit.health.scope import Scope
from realmkit.health.seen.task import Task
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.state import State


class Settings(Struct, frozen=True):
    """What a run is told beside the configuration.

    Attributes:
        checks: ids to judge.
        deadline: seconds for the whole run; None for no end.
        sample: of a zone that has not changed since it was in order, one realm in so many is looked at; 1 for all.
        ready: realms to be judged as about to move.
        moves: old and new realm of each migration on its way.
    """

    checks: frozenset[str]
    deadline: float | None = None
    sample: int = 1
    ready: frozenset[Name] = frozenset()
    moves: tuple[tuple[Name, Name], ...] = ()

    def wants(self, *ids: str) -> bool:
        """Whether any of these checks, or groups of checks (`SEC`), is to be judged."""
        return any(one.startswith(ids) for one in self.checks)


class Ground(Struct):
    """The run so far; each stage reads what earlier ones left.

    Attributes:
        desk: the project.
        settings: what the run was told.
        state: what earlier runs left.
        scope: what to look at.
        surroundings: how to look.
        now: when the run began.
        copies: zones as their providers show them.
        zones: zones as the world meets them.
        servers: the authoritative servers of each zone.
        passed: what the realms showed.
        registered: realms that the platform knows; None where nobody asked.
        looked_at: the tasks that were asked about.
        skipped: tasks that were left out because their zone has not changed.
        unjudged: id of a check and a name where it was left to a later run.
        ds: the DS set's TTL at the parent of each signed zone, 0 where it is gone; of zones that told.
        endpoints: how many servers other than name servers were spoken to.
        notes: what the reader should know.
    """

    desk: Desk
    settings: Settings
    state: State
    scope: Scope
    surroundings: Surroundings
    now: datetime
    copies: dict[Name, Zone] = field(default_factory=dict)
    zones: Sequence[ZoneSeen] = ()
    servers: Mapping[Name, Sequence[Server]] = field(default_factory=dict)
    passed: Passed = field(default_factory=lambda: Passed([], [], {}))
    registered: frozenset[Name] | None = None
    looked_at: Sequence[Task] = ()
    skipped: int = 0
    unjudged: set[tuple[str, Name]] = field(default_factory=set)
    ds: dict[Name, int] = field(default_factory=dict)
    endpoints: int = 0
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
