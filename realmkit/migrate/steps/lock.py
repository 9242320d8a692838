"""Locking a realm's records at the DNS provider while two realms are in use, where the provider can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.dns import names
from realmkit.dns.provider import Protects
from realmkit.dns.records import type_from_text, type_to_text
from realmkit.dns.work import adoption, locking
from realmkit.errors import RejectedError
from realmkit.migrate.kit import Job, Seen, Step, done, pending

if TYPE_CHECKING:
    from collections.abc import Collection

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key


class Lock(Step):
    """Have the provider refuse every change of the realm's records. Where nothing can be locked, nothing is done."""

    def before(self, job: Job) -> dict[str, Any]:
        """The RRsets that will be locked by this step: those that are not locked yet."""
        zone = names.closest(names.absolute(job.realm), job.kit.desk.zones)
        if zone is None:
            return _nothing(f"{job.realm} is in none of our zones")
        provider = job.kit.desk.provider(zone)
        if not isinstance(provider, Protects):
            return _nothing("the provider can't lock records")
        try:
            already = provider.protected(zone)
        except RejectedError as error:
            return _nothing(error.message)
        keys = [key for key in _of_realm(job, zone) if key not in already]
        if not keys:
            return _nothing("nothing of its own to lock")
        return {"keys": [[names.to_text(name), type_to_text(kind)] for name, kind in keys], "why": ""}

    def verify(self, job: Job) -> Seen:
        """Whether all of them are locked."""
        if "keys" not in job.before:
            return pending("not looked at yet")
        keys = _keys(job)
        if not keys:
            return done(f"left alone: {job.before['why']}")
        missing = set(keys) - set(_locked(job, keys))
        return pending(f"{len(missing)} RRsets are not locked") if missing else done(f"{len(keys)} RRsets locked")

    def do(self, job: Job) -> None:
        """Lock them."""
        locking.lock(job.kit.desk, _keys(job))

    def undo(self, job: Job) -> None:
        """Let them be changed again."""
        if keys := _keys(job):
            locking.release(job.kit.desk, keys)

    def undone(self, job: Job) -> Seen:
        """Whether none of them is locked."""
        keys = _keys(job)
        left = set(keys) & set(_locked(job, keys)) if keys else set()
        return pending(f"{len(left)} RRsets are still locked") if left else done("unlocked" if keys else "as before")


class Unlock(Step):
    """Let the realm's records be changed again.

    Whoever locked them: had they been locked before the move, its own change of their TTLs would have been refused.
    """

    def verify(self, job: Job) -> Seen:
        """Whether none of them is locked."""
        zone = names.closest(names.absolute(job.realm), job.kit.desk.zones)
        if zone is None or not isinstance(provider := job.kit.desk.provider(zone), Protects):
            return done("nothing can be locked there")
        try:
            left = provider.protected(zone) & set(_of_realm(job, zone))
        except RejectedError as error:
            return done(f"nothing is locked: {error.message}")
        return pending(f"{len(left)} RRsets are locked") if left else done("none is locked")

    def do(self, job: Job) -> None:
        """Unlock them."""
        zone = names.closest(names.absolute(job.realm), job.kit.desk.zones)
        assert zone is not None  # noqa: S101 - `verify` looked
        locking.release(job.kit.desk, _of_realm(job, zone))


def _of_realm(job: Job, zone: Name) -> list[Key]:
    """What the realm has in a zone; at an apex only its service names, for much there is others'."""
    return [key for key in adoption.find_keys(job.kit.desk, names.absolute(job.realm), ()) if key[0] != zone]


def _nothing(why: str) -> dict[str, Any]:
    return {"keys": [], "why": why}


def _keys(job: Job) -> list[Key]:
    return [(names.absolute(name), type_from_text(kind)) for name, kind in job.before.get("keys", ())]


def _locked(job: Job, keys: Collection[Key]) -> list[Key]:
    zone = names.closest(next(iter(keys))[0], job.kit.desk.zones)
    assert zone is not None  # noqa: S101 - looked at when the keys were written down
    return locking.locked(job.kit.desk, zone)
