"""Apply, with a provider in memory whose failures are scripted. Real servers are in tests/contract and tests/lab."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from realmkit import config, yamlfile
from realmkit.dns import plan
from realmkit.dns.names import Name
from realmkit.dns.plan import Change, Plan, ZonePlan
from realmkit.dns.provider import Capabilities, Provider, Receipt, Settings, Weight
from realmkit.dns.records import Key, RRset, Zone
from realmkit.dns.work import adoption, execution, planfile, runs, workflow
from realmkit.dns.work.apply import ZoneApplier, ZoneResult
from realmkit.dns.work.desk import Desk
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.errors import (
    AuthError,
    ConflictError,
    InterruptedApplyError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    RejectedError,
    StateError,
    UnreachableError,
)
from tests.unit.make import PROJECT, ZONE, name, rrset, soa, zone

REALMS = [f"r{number}.voice.example.com" for number in range(3)]
SETS = [rrset(realm, kind, text) for realm in REALMS for kind, text in (("A", "192.0.2.1"), ("MX", "10 mx.example."))]
Fault = Callable[["Memory", Sequence[Change]], None]


class ManualClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


class Memory:
    """A zone in memory. `faults` are met one after the other, each at the next `apply`."""

    Settings: ClassVar[type[Settings]] = Settings
    capabilities: ClassVar[Capabilities] = Capabilities(atomic=True, cas="zone", max_changes=2)

    def __init__(self, *rrsets: RRset) -> None:
        self.rrsets: dict[Key, RRset] = {one.key: one for one in (soa(), *rrsets)}
        self.version = 0
        self.faults: list[Fault] = []
        self.batches: list[tuple[Change, ...]] = []
        self.deaf = 0

    def snapshot(self, zone: Name) -> Zone:
        if self.deaf:
            self.deaf -= 1
            raise UnreachableError("no answer")
        return Zone(zone, dict(self.rrsets), token=str(self.version), serial=self.version)

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        assert zone == ZONE
        if self.faults:
            self.faults.pop(0)(self, changes)
        if token != str(self.version):
            raise ConflictError("the zone has moved")
        return self.take(changes)

    def take(self, changes: Sequence[Change]) -> Receipt:
        self.batches.append(tuple(changes))
        for change in changes:
            if change.after is None:
                del self.rrsets[change.key]
            else:
                self.rrsets[change.key] = change.after
        self.version += 1
        return Receipt(str(self.version), self.version)

    def edit(self, one: RRset) -> None:
        """Somebody else's change."""
        self.rrsets[one.key] = one
        self.version += 1

    def settled(self, receipt: Receipt) -> bool:
        return receipt.serial is not None

    def weigh(self, changes: Sequence[Change]) -> Weight:
        return Weight(len(changes), sum(len(change.key[0]) for change in changes))


class Roomy(Memory):
    """Takes everything in one batch."""

    capabilities = Capabilities(atomic=True, cas="zone")


class OneRealm(Memory):
    """Takes one realm a batch."""

    capabilities = Capabilities(atomic=True, cas="zone", max_changes=7)


def fails(error: ProviderError) -> Fault:
    def fault(_memory: Memory, _changes: Sequence[Change]) -> None:
        raise error

    return fault


def lost_after_write(memory: Memory, changes: Sequence[Change]) -> None:
    memory.take(changes)
    raise OutcomeUnknownError("the connection was cut after the request")


def lost_before_write(_memory: Memory, _changes: Sequence[Change]) -> None:
    raise OutcomeUnknownError("the connection was cut after the request")


def half_written(memory: Memory, changes: Sequence[Change]) -> None:
    memory.take(changes[:1])
    raise OutcomeUnknownError("HTTP 502")


def then(*steps: Callable[[Memory], None]) -> Fault:
    def fault(memory: Memory, _changes: Sequence[Change]) -> None:
        for step in steps:
            step(memory)

    return fault


CREATE = ZonePlan(ZONE, tuple(Change(None, one) for one in SETS))


def _apply(memory: Memory, tmp_path: Path, zone_plan: ZonePlan = CREATE) -> tuple[ZoneResult, ManualClock]:
    clock, result = ManualClock(), ZoneResult(ZONE)
    file = PlanFile(Plan((zone_plan,)), {ZONE: Basis("m", "", None)}, (), "", {})
    run = runs.begin(tmp_path, file, clock.now())
    try:
        ZoneApplier(memory, run, clock, lambda _steps: None).apply(zone_plan, memory.snapshot(ZONE), result)
    finally:
        (tmp_path / "result").write_bytes(msgspec.json.encode([result.known, len(result.applied)]))
    return result, clock


def _known(tmp_path: Path) -> list[Any]:
    data: list[Any] = msgspec.json.decode((tmp_path / "result").read_bytes())
    return data


def test_realms_are_never_split_over_batches(tmp_path: Path) -> None:
    memory = Memory()
    result, _ = _apply(memory, tmp_path)
    assert [len(one) for one in memory.batches] == [2, 2, 2]
    assert all(len({plan.group_of(change.key[0]) for change in one}) == 1 for one in memory.batches)
    assert len(result.applied) == 6
    assert all(memory.rrsets[one.key] == one for one in SETS)


@pytest.mark.parametrize(
    ("fault", "batches"),
    [
        (fails(UnreachableError("refused")), 3),
        (fails(RateLimitedError("slow down", retry_after=30)), 3),
        (lost_after_write, 3),
        (lost_before_write, 3),
        (then(lambda memory: memory.edit(rrset("other.voice.example.com", "TXT", '"x"'))), 3),
    ],
)
def test_passing_troubles_are_outlived(tmp_path: Path, fault: Fault, batches: int) -> None:
    memory = Memory()
    memory.faults = [fault]
    _, clock = _apply(memory, tmp_path)
    assert len(memory.batches) == batches
    assert all(memory.rrsets[one.key] == one for one in SETS)
    assert clock.slept


def test_a_lost_answer_is_settled_by_reading_even_when_reading_fails_at_first(tmp_path: Path) -> None:
    memory = Memory()

    def fault(memory: Memory, changes: Sequence[Change]) -> None:
        memory.deaf = 2
        lost_after_write(memory, changes)

    memory.faults = [fault]
    _apply(memory, tmp_path)
    assert len(memory.batches) == 3


@pytest.mark.parametrize(
    "error", [AuthError("HTTP 403"), RejectedError("422"), RateLimitedError("tomorrow", retry_after=86400)]
)
def test_what_waiting_will_not_mend_ends_at_once_with_nothing_changed(tmp_path: Path, error: ProviderError) -> None:
    memory = Memory()
    memory.faults = [fails(error)]
    with pytest.raises(type(error)):
        _apply(memory, tmp_path)
    assert memory.batches == []
    assert _known(tmp_path) == [True, 0]


def test_trying_is_bounded(tmp_path: Path) -> None:
    memory = Memory()
    memory.faults = [fails(UnreachableError("refused"))] * 10
    with pytest.raises(UnreachableError):
        _apply(memory, tmp_path)
    assert len(memory.faults) == 6


def test_an_apply_that_stops_half_way_says_what_is_done_and_what_is_not(tmp_path: Path) -> None:
    memory = Memory()
    memory.faults = [lambda *_: None, fails(RejectedError("quota exceeded"))]
    with pytest.raises(InterruptedApplyError) as caught:
        _apply(memory, tmp_path)
    assert "quota exceeded" in caught.value.message
    assert "Changed: r0.voice.example.com. A, r0.voice.example.com. MX." in caught.value.message
    assert "Not changed: r1.voice.example.com. A" in caught.value.message
    assert "rollback" in (caught.value.hint or "")
    assert _known(tmp_path) == [True, 2]


def test_a_batch_that_took_effect_in_part_is_said_and_can_be_resumed(tmp_path: Path) -> None:
    memory = Memory()
    memory.faults = [half_written]
    with pytest.raises(InterruptedApplyError, match="in part"):
        _apply(memory, tmp_path)
    result, _ = _apply(memory, tmp_path)
    assert len(result.already) == 1
    assert all(memory.rrsets[one.key] == one for one in SETS)


def test_when_nothing_can_be_read_the_outcome_stays_unknown(tmp_path: Path) -> None:
    memory = Memory()

    def fault(memory: Memory, _changes: Sequence[Change]) -> None:
        memory.deaf = 99
        raise OutcomeUnknownError("timeout")

    memory.faults = [fault]
    with pytest.raises(InterruptedApplyError, match="unknown: the zone can't be read"):
        _apply(memory, tmp_path)
    assert _known(tmp_path) == [False, 0]


def test_someone_elses_change_to_what_the_plan_touches_stops_it(tmp_path: Path) -> None:
    memory = Memory()
    theirs = rrset(REALMS[0], "A", "198.51.100.66")
    memory.faults = [then(lambda memory: memory.edit(theirs))]
    with pytest.raises(ConflictError, match=r"someone else changed r0.voice.example.com. A"):
        _apply(memory, tmp_path)
    assert memory.rrsets[theirs.key] == theirs
    assert memory.batches == []


def test_a_disk_that_fills_up_on_the_way_stops_with_an_exact_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    real, written = runs.Run.log, iter(range(100))

    def log(run: runs.Run, now: datetime, event: str, **facts: Any) -> None:
        if next(written) >= 3:  # begun, batch 1, applied 1: then the disk is full
            raise StateError("can't write log.jsonl: No space left on device")
        real(run, now, event, **facts)

    monkeypatch.setattr(runs.Run, "log", log)
    with pytest.raises(InterruptedApplyError, match=r"No space left.*Changed: r0.*Not changed: r1"):
        _apply(memory, tmp_path)
    assert _known(tmp_path) == [True, 2]


# --- the whole way through a desk ----------------------------------------------------------------------------


def _desk(tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch, text: str = PROJECT) -> Desk:
    from realmkit.dns import registry

    def build(*_: object) -> Memory:
        return memory

    monkeypatch.setattr(registry, "build", build)
    document = yamlfile.loads(text, tmp_path / "realmkit.yml")
    project = config.Project(tmp_path, config.decode(document, document.data, config.Config, ()), document)
    return Desk(project, ManualClock())


def test_plan_apply_change_and_roll_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Roomy()
    before = dict(memory.rrsets)
    desk = _desk(tmp_path, memory, monkeypatch)
    planned = workflow.make_plan(desk)
    assert planned.holds == []
    applied = workflow.apply_plan(desk, planned.file, verify_deadline=0)
    assert applied.run is not None
    assert workflow.make_plan(desk).file.plan == Plan()
    execution.roll_back(_desk(tmp_path, memory, monkeypatch), applied.run, verify_deadline=0)
    assert memory.rrsets == before
    assert desk.ledger(ZONE).path.exists()
    assert _desk(tmp_path, memory, monkeypatch).ledger(ZONE).owned() == frozenset()


def test_a_stale_plan_is_refused_and_a_moved_zone_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Roomy()
    desk = _desk(tmp_path, memory, monkeypatch)
    file = workflow.make_plan(desk).file
    memory.edit(rrset("other.voice.example.com", "TXT", '"x"'))
    memory.edit(rrset("acme.voice.example.com", "A", "192.0.2.66"))
    with pytest.raises(RefusedError, match=r"moved since the plan was made: acme\.voice\.example\.com\. A"):
        workflow.apply_plan(desk, file, verify_deadline=0)
    assert memory.batches == []
    del memory.rrsets[rrset("acme.voice.example.com", "A", "192.0.2.66").key]
    workflow.apply_plan(desk, file, verify_deadline=0)
    assert len(memory.batches) == 1


def test_foreign_records_are_held_until_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = rrset("acme.voice.example.com", "A", "192.0.2.66")
    memory = Roomy(theirs)
    desk = _desk(tmp_path, memory, monkeypatch)
    planned = workflow.make_plan(desk, allow=["foreign"])
    assert [hold.guard for hold in planned.holds] == ["foreign"]
    with pytest.raises(RefusedError, match="foreign"):
        workflow.apply_plan(desk, planned.file, allow=["foreign"], verify_deadline=0)
    assert memory.batches == []
    assert adoption.adoptable(desk) == [theirs.key]
    assert adoption.adopt(desk, [theirs.key]).taken == [theirs]
    workflow.apply_plan(desk, workflow.make_plan(desk).file, verify_deadline=0)
    assert memory.rrsets[theirs.key] != theirs


def test_a_realm_taken_out_of_the_configuration_is_removed_only_when_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Roomy()
    before = dict(memory.rrsets)
    desk = _desk(tmp_path, memory, monkeypatch)
    workflow.apply_plan(desk, workflow.make_plan(desk).file, verify_deadline=0)
    without = PROJECT.replace("realms:\n  acme.voice.example.com: {account: acme}", "realms: {}")
    desk = _desk(tmp_path, memory, monkeypatch, without)
    assert [hold.guard for hold in workflow.make_plan(desk).holds] == ["realm-removal"]
    allowed = workflow.make_plan(desk, allow=["realm-removal"])
    assert allowed.holds == []
    workflow.apply_plan(desk, allowed.file, verify_deadline=0)
    assert memory.rrsets == before


def test_a_full_disk_before_the_inverse_is_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Roomy()
    desk = _desk(tmp_path, memory, monkeypatch)
    file = workflow.make_plan(desk).file
    (tmp_path / ".realmkit").mkdir()
    (tmp_path / ".realmkit" / "runs").write_text("in the way")
    with pytest.raises(StateError, match="can't write"):
        workflow.apply_plan(desk, file, verify_deadline=0)
    assert memory.batches == []
    assert desk.ledger(ZONE).owned() == frozenset()


def test_claims_of_what_was_not_made_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Roomy()
    memory.faults = [fails(RejectedError("no"))]
    desk = _desk(tmp_path, memory, monkeypatch)
    with pytest.raises(RejectedError):
        workflow.apply_plan(desk, workflow.make_plan(desk).file, verify_deadline=0)
    assert desk.ledger(ZONE).owned() == frozenset()


def test_an_interrupted_run_is_resumed_from_its_own_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PROJECT + "  beta.voice.example.com: {}\n  gamma.voice.example.com: {}\n"
    memory = OneRealm()
    memory.faults = [lambda *_: None, fails(AuthError("HTTP 401"))]
    desk = _desk(tmp_path, memory, monkeypatch, text)
    with pytest.raises(InterruptedApplyError) as caught:
        workflow.apply_plan(desk, workflow.make_plan(desk).file, verify_deadline=0)
    assert "apply --plan" in (caught.value.hint or "")
    assert len(desk.ledger(ZONE).owned()) == 7
    run = runs.find(tmp_path / ".realmkit", None)
    applied = workflow.apply_plan(desk, planfile.read(run.plan_path), verify_deadline=0)
    assert [len(result.already) for result in applied.results] == [7]
    assert len(desk.ledger(ZONE).owned()) == 21
    assert workflow.make_plan(desk).file.plan == Plan()


def test_lowering_ttls_is_a_plan_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Roomy()
    desk = _desk(tmp_path, memory, monkeypatch)
    workflow.apply_plan(desk, workflow.make_plan(desk).file, verify_deadline=0)
    lowered = workflow.make_plan(desk, ttl=300)
    assert {change.verb for one in lowered.file.plan.zones for change in one.changes} == {"ttl"}
    assert lowered.holds == []


def test_a_plan_can_be_narrowed_to_a_realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PROJECT + "  beta.voice.example.com: {}\n"
    desk = _desk(tmp_path, Roomy(), monkeypatch, text)
    only = desk.select(["beta.voice.example.com"])
    changes = workflow.make_plan(desk, only=only).file.plan.zones[0].changes
    assert frozenset(plan.group_of(change.key[0]) for change in changes) == only


def test_a_narrowed_plan_reads_only_the_zones_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PROJECT.replace("zones:\n", "zones:\n  example.org: {provider: files}\n  example.net: {provider: files}\n")
    text += "  beta.example.org: {}\n"
    desk = _desk(tmp_path, Roomy(), monkeypatch, text)
    assert len(desk.zones_about(None)) == 3
    assert desk.zones_about(desk.select(["beta.example.org"])) == [name("example.org"), name("example.net")]
    assert desk.zones_about(desk.select(["voice.example.com"])) == [name("example.net"), ZONE]


def owners_of(zone_: Zone) -> Mapping[Key, str]:
    return zone_.owners


def test_the_memory_provider_keeps_the_contract() -> None:
    provider: Provider = Memory()
    assert owners_of(provider.snapshot(ZONE)) == {}
    assert zone().rrsets == {}
