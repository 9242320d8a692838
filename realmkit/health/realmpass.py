"""One pass over all realms: ask, judge what came, and keep what later stages want of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.fields import replacements, targets
from realmkit.dns.findings import Finding
from realmkit.dns.names import Name
from realmkit.health import liverecords
from realmkit.health.check import Check, catalog
from realmkit.health.observe import hosts, realms
from realmkit.health.seen.realm import Expected, HostSeen, RealmSeen
from realmkit.health.seen.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from realmkit.dns.records import Key, RRset
    from realmkit.health.observe.realms import Answered, Sights
    from realmkit.health.observe.surroundings import Surroundings

# Judged for each server; all else is judged once, by what most servers say: a server that lacks a record is the fault
# to mend, not the chain that is broken on it.
_EACH_SERVER: Final = frozenset({"CON02", "CON03", "CON04", "CON06", "DEL09"})
_MANY: Final = 8  # silent realms of one server that are told one by one


class Watch(Struct, frozen=True):
    """What the pass is about, and what further stages want to see.

    Attributes:
        servers: by zone.
        expected: what the configuration says of realms of ours.
        checks: ids to judge.
        registered: the realms that the platform knows; None where nobody asked it.
        keep: whether a realm's picture is wanted later on (for probes of its endpoints, for its TTLs).
    """

    servers: Mapping[Name, Sequence[Server]]
    expected: Expected
    checks: frozenset[str]
    registered: frozenset[Name] | None = None
    keep: Callable[[Task], bool] = lambda _task: False


class Passed(Struct):
    """What came of it.

    Attributes:
        findings: everything that is not as it should be.
        kept: the pictures that were asked for by `Watch.keep`, and one realm of each shape.
        hosts: every host that a record led to.
    """

    findings: list[Finding]
    kept: list[RealmSeen]
    hosts: dict[Name, HostSeen]


class RealmPass:
    """Asks about tasks and judges them.

    Args:
        watch: what it is about.
        surroundings: manners.
    """

    def __init__(self, watch: Watch, surroundings: Surroundings) -> None:
        self._watch = watch
        self._surroundings = surroundings
        on_realms = [one for one in catalog().values() if one.on is RealmSeen and one.id in watch.checks]
        self._each_server = [one for one in on_realms if one.id in _EACH_SERVER]
        self._once = [one for one in on_realms if one.id not in _EACH_SERVER]
        self._clean: dict[object, bool] = {}
        self._silent: dict[tuple[Name, Server], list[tuple[Name, str]]] = {}
        self._pools: dict[Name, tuple[Task, Sights]] = {}
        self._led_to: set[Name | None] = set()
        self._passed = Passed([], [], {})

    def run(self, tasks: Collection[Task], advance: Callable[[int], None]) -> Passed:
        """Ask about all tasks; pools first, because realms lead there.

        Args:
            tasks: what to look at.
            advance: called with the number of tasks that are done.
        """
        passed = self._passed
        passed.hosts |= self._look_at_hosts(host for task in tasks for host in _led_to(task.wanted.values()))
        self._led_to = {task.pool for task in tasks}  # not only pools: a realm's own sets may be its pool's as well
        first = [task for task in tasks if task.name in self._led_to]
        later: list[Answered] = []
        for some in (first, [task for task in tasks if task.name not in self._led_to]):
            for answered in realms.look(some, self._watch.servers, self._surroundings):
                if not self._settle(answered):
                    later.append(answered)
                advance(1)
        if later:
            self._settle_later(later)
        passed.findings = _gathered(passed.findings, self._zones_of(tasks))
        passed.findings.extend(self._silences())
        return passed

    @staticmethod
    def _zones_of(tasks: Collection[Task]) -> dict[str, Name]:
        return {names.to_text(task.name): task.zone for task in tasks}

    def _settle(self, answered: Answered) -> bool:
        """Judge a task; False where something has to be asked first: a host or an SRV set that nobody foresaw."""
        task = answered.task
        self._note_silence(answered)
        if task.name in self._led_to:
            self._pools[task.name] = task, answered.sights()
        if not _differs(answered) and task.wanted:
            self._judge_as_wanted(answered)
            return True
        seen = self._picture(answered)
        if any(self._unforeseen(seen)):
            return False
        self._judge(seen, task)
        return True

    def _settle_later(self, answered: Sequence[Answered]) -> None:
        """Ask for what the answers led to, all at once, and judge."""
        pictures = [(one.task, self._picture(one)) for one in answered]
        missing = {(server, *key) for _, seen in pictures for key in _led_on(seen) for server in seen.servers}
        sights = realms.ask_keys(sorted(missing), self._surroundings) if missing else {}
        pictures = [(task, _with(seen, sights)) for task, seen in pictures]
        unforeseen = {host for _, seen in pictures for host in self._unforeseen_hosts(seen)}
        self._passed.hosts |= self._look_at_hosts(unforeseen)
        for task, seen in pictures:
            self._judge(structs.replace(seen, hosts=self._passed.hosts), task)

    def _judge_as_wanted(self, answered: Answered) -> None:
        """A realm that is served just as wanted; of realms that look alike, one is judged for all if it is clean."""
        task = answered.task
        shape = _shape(task, self._registered(task))
        clean = self._clean.get(shape)
        if clean is None or not clean or self._watch.keep(task):
            seen = self._picture(answered)
            before = len(self._passed.findings)
            if clean is None or not clean:
                self._passed.findings.extend(self._findings(seen, task, odd=False))
            if clean is None or self._watch.keep(task):
                self._passed.kept.append(seen)
            self._clean.setdefault(shape, len(self._passed.findings) == before)

    def _judge(self, seen: RealmSeen, task: Task) -> None:
        self._passed.findings.extend(self._findings(seen, task, odd=True))
        self._passed.kept.append(seen)

    def _findings(self, seen: RealmSeen, task: Task, *, odd: bool) -> Iterator[Finding]:
        if odd:
            for check in self._each_server:
                yield from _judged(check, seen)
        if task.kind != "realm":
            return
        most = _as_most_say(seen)
        for check in self._once:
            yield from _judged(check, most)
        if odd:
            yield from (one for one in liverecords.judge(most) if one.id in self._watch.checks)

    def _picture(self, answered: Answered) -> RealmSeen:
        task = answered.task
        keys, sights, wanted = answered.keys, answered.sights(), task.wanted
        if task.pool is not None and task.pool in self._pools:
            pool, shared = self._pools[task.pool]
            keys, sights, wanted = (*keys, *pool.keys), sights | shared, {**wanted, **pool.wanted}
        return RealmSeen(
            task.name, task.zone, keys, tuple(answered.servers), sights, wanted, self._passed.hosts,
            self._watch.expected if task.wanted else Expected(allow_private=self._watch.expected.allow_private),
            self._registered(task), task.account,
        )  # fmt: skip

    def _registered(self, task: Task) -> bool | None:
        known = self._watch.registered
        return None if known is None or task.kind != "realm" else task.name in known

    # --- what nobody foresaw ------------------------------------------------------------------------------------

    def _unforeseen(self, seen: RealmSeen) -> Iterator[object]:
        yield from _led_on(seen)
        yield from self._unforeseen_hosts(seen)

    def _unforeseen_hosts(self, seen: RealmSeen) -> set[Name]:
        present = [one.rrset for one in seen.sights.values() if one.state == "present" and one.rrset is not None]
        return {host for host in _led_to(present) if host not in self._passed.hosts}

    def _look_at_hosts(self, some: Iterable[Name]) -> dict[Name, HostSeen]:
        wanted = list(dict.fromkeys(some))
        return hosts.look(wanted, self._watch.servers, self._surroundings) if wanted else {}

    # --- silence ------------------------------------------------------------------------------------------------

    def _note_silence(self, answered: Answered) -> None:
        task = answered.task
        if not answered.servers:
            self._passed.findings.append(_untold(task.name, "", "no name server of its zone is known"))
        told: set[Server] = set()
        for (server, _, _), sight in answered.odd.items():
            if sight.state in ("unknown", "lame") and server not in told:
                told.add(server)
                self._silent.setdefault((task.zone, server), []).append((task.name, sight.detail))

    def _silences(self) -> Iterator[Finding]:
        """One finding for a server that kept silent about many realms, rather than one for each."""
        for (zone, server), some in self._silent.items():
            if len(some) > _MANY:
                yield _untold(zone, str(server), some[0][1])
            else:
                yield from (_untold(name, str(server), detail) for name, detail in some)


def _gathered(findings: Iterable[Finding], zones: Mapping[str, Name]) -> list[Finding]:
    """One finding for what could not be told of many realms of a zone: all lead to one host, a resolver is dead.

    Args:
        findings: of all realms.
        zones: the zone of each realm, by the realm's text.
    """
    kept: list[Finding] = []
    vague: dict[tuple[str, Name, str], list[Finding]] = {}
    for one in findings:
        zone = zones.get(one.subject.partition(" ")[0]) if one.level == "unknown" else None
        if zone is None:
            kept.append(one)
        else:
            vague.setdefault((one.id, zone, one.server), []).append(one)
    for (_, zone, _), some in vague.items():
        whole = structs.replace(some[0], subject=names.to_text(zone), message=f"of many realms: {some[0].message}")
        kept.extend([whole] if len(some) > _MANY else some)
    return kept


def _untold(name: Name, server: str, detail: str) -> Finding:
    return Finding(
        "RUN01", "unknown", names.to_text(name), "what is served could not be told", seen=detail,
        mend="look why there is no answer, and run again", server=server,
    )  # fmt: skip


def _judged(check: Check, seen: RealmSeen) -> Iterator[Finding]:
    return check.judge(seen) if check.judge is not None else iter(())


def _differs(answered: Answered) -> bool:
    """Whether anything but silence keeps it from being as wanted: every key must be told by somebody."""
    if not answered.odd:
        return not answered.servers
    silent: dict[Key, int] = {}
    for (_, name, kind), sight in answered.odd.items():
        if sight.state not in ("unknown", "lame"):
            return True
        silent[name, kind] = silent.get((name, kind), 0) + 1
    return max(silent.values()) == len(answered.servers)


def _shape(task: Task, registered: bool | None) -> object:
    """What tells realms of one make from others: their records without their own name."""
    name, cut = task.name, -len(task.name)
    parts = []
    for (owner, kind), rrset in task.wanted.items():
        where = owner[:cut] if owner.endswith(name) else owner
        if kind == rr.NAPTR:
            rdata = frozenset([one[:cut] if one.endswith(name) else one for one in rrset.rdata])
        else:
            rdata = rrset.rdata
        parts.append((where, kind, rrset.ttl, rdata))
    return (task.kind, task.zone, task.pool, registered, *parts)


def _as_most_say(seen: RealmSeen) -> RealmSeen:
    """The same realm as the servers show it that say what most of them say."""
    views = seen.views()
    if len(views) < 2:
        return seen
    shown = [frozenset(view.server.split(", ")) for view in views]
    most = max(shown, key=len)
    return structs.replace(seen, servers=tuple(one for one in seen.servers if str(one) in most))


def _led_on(seen: RealmSeen) -> set[Key]:
    """SRV sets that NAPTR records lead to and that were not asked for."""
    found = [one.rrset for one in seen.sights.values() if one.state == "present" and one.rrset is not None]
    led = {(name, rr.SRV) for rrset in found if rrset.type == rr.NAPTR for name in replacements(rrset)}
    return {key for key in led if key not in seen.keys and names.is_under(key[0], seen.zone)}


def _led_to(rrsets: Iterable[RRset]) -> Iterator[Name]:
    for rrset in rrsets:
        yield from targets(rrset)


def _with(seen: RealmSeen, sights: Sights) -> RealmSeen:
    more = _led_on(seen)
    known = {(server, *key): sights[server, *key] for key in more for server in seen.servers}
    return structs.replace(seen, keys=(*seen.keys, *sorted(more)), sights=dict(seen.sights) | known)
