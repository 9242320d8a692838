"""Steps about a device's document: a realm of its own for the time of the move, and none afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.errors import RefusedError
from realmkit.migrate.kit import Job, Seen, Step, done, pending
from realmkit.migrate.steps.phone import stamps

if TYPE_CHECKING:
    from realmkit.kazoo.documents import Device


class Pin(Step):
    """Give the device a realm of its own: it may then register there, and calls to it are sent there.

    The platform drops a realm that equals the account's; the device then simply follows the account.
    """

    def before(self, job: Job) -> dict[str, Any]:
        """The realm that the document has, and where the phone is registered: what comes later has come since."""
        return {"realm": _device(job).realm, "rows": stamps(job)}

    def verify(self, job: Job) -> Seen:
        """Whether calls to it are sent to that realm."""
        return _rings(job, _device(job))

    def do(self, job: Job) -> Seen:
        """Save the document with that realm."""
        return _rings(job, _save(job, job.realm))

    def undo(self, job: Job) -> None:
        """Save it with the realm it had."""
        _save(job, job.before["realm"])

    def undone(self, job: Job) -> Seen:
        """Whether it has the realm it had."""
        return _has(_device(job), job.before["realm"])


class Unpin(Step):
    """Let the device have the realm that it had when the move was planned: as a rule none of its own."""

    def verify(self, job: Job) -> Seen:
        """Whether the document is as it was planned."""
        return _has(_device(job), job.phone.realm)

    def do(self, job: Job) -> Seen:
        """Save it so."""
        return _has(_save(job, job.phone.realm), job.phone.realm)


def _device(job: Job) -> Device:
    return job.kit.device(job.plan.account, job.phone.device)


def _rings(job: Job, device: Device) -> Seen:
    """Whether calls to the device are sent to the realm."""
    there = device.realm or job.kit.account(job.plan.account).realm
    if not _same(there, job.realm):
        return pending(f"rings at {there}")
    return done(f"rings at {there}", digest=device.digest())


def _save(job: Job, realm: str | None) -> Device:
    """Save the device with that realm, if it is otherwise still what the plan saw; as the platform holds it then.

    Raises:
        RefusedError: somebody else changed it since.
    """
    device = _device(job)
    if device.digest() not in _digests(job):
        raise RefusedError(
            f"{job.phone.name}: its device document was changed since the plan was made",
            hint="look at the change, then plan again",
        )
    return job.kit.save_device(job.plan.account, device, device.with_realm(realm))


def _digests(job: Job) -> set[str]:
    """What the document's digest may be: as planned, or as it was after a save of ours, which may fill in defaults."""
    return {job.phone.digest} | job.state.saved.get(job.phone.device, set())


def _has(device: Device, realm: str | None) -> Seen:
    if _same(device.realm, realm):
        text = f"its own realm is {realm}" if realm else "follows the account's realm"
        return done(text, digest=device.digest())
    return pending(f"its own realm is {device.realm}" if device.realm else "has no realm of its own")


def _same(one: str | None, other: str | None) -> bool:
    """Realms are domain names: case does not matter."""
    return (one or "").lower() == (other or "").lower()
