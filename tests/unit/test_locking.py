"""Records locked at the provider, from the command's operation and from a playbook's steps."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from realmkit.dns import records as rr
from realmkit.dns import registry
from realmkit.dns.work import locking
from realmkit.dns.work.desk import Desk
from realmkit.errors import InputError, RefusedError, RejectedError
from realmkit.migrate.steps import step
from tests.unit.make import ZONE, name, project, rrset
from tests.unit.test_apply import ManualClock, Memory

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit.migrate.kit import Job

OLD = "old.voice.example.com"
SETS = [
    rrset(OLD, "A", "192.0.2.1"),
    rrset(OLD, "MX", "10 mx.example."),
    rrset(f"_sip._udp.{OLD}", "SRV", "1 1 5060 e.example."),
    rrset("other.voice.example.com", "A", "192.0.2.2"),
]
KEYS = sorted(one.key for one in SETS[:3])


class Locking(Memory):
    """A zone in memory whose RRsets can be locked."""

    def __init__(self) -> None:
        super().__init__(*SETS)
        self.locks: set[Key] = set()
        self.able = True
        self.honest = True

    def _check(self) -> None:
        if not self.able:
            raise RejectedError("this SDK is too old")

    def protected(self, zone: Name) -> frozenset[Key]:
        assert zone == ZONE
        self._check()
        return frozenset(self.locks)

    def protect(self, zone: Name, keys: Collection[Key]) -> None:
        self._check()
        self.locks |= set(keys) if self.honest else set()

    def release(self, zone: Name, keys: Collection[Key]) -> None:
        self._check()
        self.locks -= set(keys) if self.honest else set()


@pytest.fixture
def memory() -> Locking:
    return Locking()


@pytest.fixture
def desk(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(registry, "build", lambda *_: memory)
    return Desk(project(directory=tmp_path), ManualClock())


def test_locked_looked_at_and_released(desk: Desk, memory: Locking) -> None:
    assert locking.lock(desk, KEYS) == locking.Locked(KEYS, KEYS)
    assert memory.locks == set(KEYS)
    assert locking.lock(desk, KEYS) == locking.Locked([], KEYS)
    assert locking.locked(desk, ZONE) == KEYS
    assert locking.release(desk, KEYS[:1]) == locking.Locked(KEYS[:1], KEYS[1:])


def test_what_is_not_there_can_t_be_locked(desk: Desk, memory: Locking) -> None:
    with pytest.raises(InputError, match="does not exist"):
        locking.lock(desk, [(name("gone.voice.example.com"), rr.A)])
    with pytest.raises(InputError, match="one zone"):
        locking.lock(desk, [(name("gone.example.net"), rr.A)])
    assert memory.locks == set()


def test_a_lock_that_did_not_take_is_found(desk: Desk, memory: Locking) -> None:
    memory.honest = False
    with pytest.raises(RefusedError, match="was to be locked, and is not"):
        locking.lock(desk, KEYS)


def test_a_provider_that_can_t(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "build", lambda *_: Memory(*SETS))
    with pytest.raises(RefusedError, match="'files' can't lock"):
        locking.lock(Desk(project(directory=tmp_path), ManualClock()), KEYS)


# --- the playbook's steps ---------------------------------------------------------------------------------------------


@dataclass
class Worked:
    """A job of one of the steps, about the old realm."""

    desk: Desk
    before: dict[str, Any]

    def job(self, realm: str = OLD) -> Job:
        kit = SimpleNamespace(desk=self.desk)
        return cast("Job", SimpleNamespace(kit=kit, before=self.before, realm=realm))


def test_the_steps_lock_and_unlock(desk: Desk, memory: Locking) -> None:
    memory.locks = {KEYS[0]}  # somebody's own: the way back leaves it
    lock, unlock = step("dns.lock"), step("dns.unlock")
    work = Worked(desk, {})
    assert lock.verify(work.job()).state == "pending"
    work.before = lock.before(work.job())
    assert lock.verify(work.job()).state == "pending"
    lock.do(work.job())
    assert lock.verify(work.job()).state == "done"
    assert memory.locks == set(KEYS)
    assert lock.undone(work.job()).state == "pending"
    lock.undo(work.job())
    assert lock.undone(work.job()).state == "done"
    assert memory.locks == {KEYS[0]}
    assert unlock.verify(work.job()).state == "pending"
    unlock.do(work.job())
    assert unlock.verify(work.job()).state == "done"
    assert memory.locks == set()


@pytest.mark.parametrize("why", ["elsewhere", "plain", "old-sdk", "shared"])
def test_where_nothing_can_be_locked_nothing_is_done(
    desk: Desk, memory: Locking, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm = {"elsewhere": "vru8a3q.s.example.center", "shared": "new.voice.example.com"}.get(why, OLD)
    if why == "plain":
        monkeypatch.setattr(registry, "build", lambda *_: Memory(*SETS))
        desk = Desk(desk.project, desk.clock)
    memory.able = why != "old-sdk"
    lock, unlock = step("dns.lock"), step("dns.unlock")
    work = Worked(desk, {})
    work.before = lock.before(work.job(realm))
    seen = lock.verify(work.job(realm))
    assert seen.state == "done"
    assert seen.detail.startswith("left alone: ")
    lock.undo(work.job(realm))
    assert lock.undone(work.job(realm)).state == "done"
    assert unlock.verify(work.job(realm)).state == "done"
    assert memory.locks == set()
