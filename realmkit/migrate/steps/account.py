"""Steps about the account: is it still what was planned for, its realm, its trunks and its fax boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.errors import RefusedError
from realmkit.migrate.inventory import same_realm
from realmkit.migrate.kit import Job, Seen, Step, done, pending, wrong
from realmkit.migrate.playbook import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.kazoo.documents import FaxBox


class Unchanged(Step):
    """Nobody changed the account or a device since the plan was made, and none was added."""

    def verify(self, job: Job) -> Seen:
        """Read it all again and compare."""
        account = job.kit.crossbar.account(job.plan.account)
        if account.realm.lower() != job.plan.old.lower():
            return wrong(f"the account's realm is {account.realm}, not {job.plan.old}: plan again")
        planned = {phone.device: phone for phone in job.plan.phones}
        there = {device.id: device for device in job.kit.crossbar.devices(account.id) if device.is_phone}
        told = [f"{there[one].name} was added" for one in there.keys() - planned.keys()]
        told += [f"{planned[one].name} is gone" for one in planned.keys() - there.keys()]
        told += [
            f"{there[one].name} was changed" for one in sorted(there.keys() & planned.keys())
            if there[one].digest() != planned[one].digest
        ]  # fmt: skip
        if told:
            return wrong("since the plan was made: " + "; ".join(told[:5]) + ": plan again")
        return done(f"{len(there)} phones as planned")


class SetRealm(Step):
    """Set the account's realm. From then on the platform reaches phones at that realm only.

    A realm that the account had before us is set as it was written then: plans have realms in lower case.
    """

    def before(self, job: Job) -> dict[str, Any]:
        """The realm it has."""
        return {"realm": job.kit.crossbar.account(job.plan.account).realm}

    def verify(self, job: Job) -> Seen:
        """Read it back."""
        return _account_has(job, job.realm)

    def do(self, job: Job) -> None:
        """Set it, unless somebody else has it: a refused change may have been saved all the same."""
        had = [str(doing.before["realm"]) for doing in job.state.done_by("account.set_realm")]
        self._set(job, next((realm for realm in had if same_realm(realm, job.realm)), job.realm))

    def undo(self, job: Job) -> None:
        """Set it to what it was."""
        self._set(job, job.before["realm"])

    def undone(self, job: Job) -> Seen:
        """Read it back."""
        return _account_has(job, job.before["realm"])

    @staticmethod
    def _set(job: Job, realm: str) -> None:
        owner = job.kit.crossbar.realm_owner(realm)
        if owner is not None and owner.id != job.plan.account:
            raise RefusedError(f"the realm {realm} belongs to the account {owner.name}")
        job.kit.crossbar.set_account_realm(job.plan.account, realm)


class Flush(Step):
    """Drop every registration of the account, right before its realm changes and all phones register anew.

    What is left at the old realm is out of the platform's reach after the change: a phone that stays would go on there,
    looking registered while no call reaches it, and for one that comes over calls would find two rows until the old
    one has run out. Not for a move phone by phone: a phone that is at the new realm already would be lost meanwhile.
    """

    blind = True

    def do(self, job: Job) -> Seen:
        """Flush them, with one request."""
        job.kit.crossbar.flush_registrations(job.plan.account)
        return done("flushed")


class Registered(Step):
    """A share of the phones that moved is registered at the new realm."""

    def verify(self, job: Job) -> Seen:
        """Count them among the account's registrations."""
        new = job.plan.new.lower()
        there = {row.device_id for row in job.kit.registrations(job.plan.account) if row.realm.lower() == new}
        moved = job.state.moved
        share = len(moved & there) / len(moved) if moved else 1.0
        text = f"{len(moved & there)} of {len(moved)} registered at {job.plan.new}"
        return done(text) if share >= percent(job.place.task.arguments["share"]) else pending(text)


class ResaveConnectivity(Step):
    """Save every trunk document again: the account's realm is copied into it when it is saved, and only then."""

    def before(self, job: Job) -> dict[str, Any]:
        """The realm that each carries."""
        return {"realms": {one.id: one.realm for one in job.kit.crossbar.connectivity(job.plan.account)}}

    def verify(self, job: Job) -> Seen:
        """Whether each carries the account's realm."""
        stale, documents, realm = _stale(job)
        if stale:
            return pending(f"{len(stale)} trunk documents carry another realm")
        return done(f"{documents} trunk documents carry {realm}" if documents else "no trunks")

    def do(self, job: Job) -> None:
        """Save those that do not."""
        for document in _stale(job)[0]:
            job.kit.crossbar.save_connectivity(job.plan.account, document)

    def undo(self, job: Job) -> None:
        """The same again: by now the account has its old realm."""
        self.do(job)

    def undone(self, job: Job) -> Seen:
        """Whether each carries the account's realm."""
        return self.verify(job)


class BridgeFax(Step):
    """Let the fax box take mail to the old realm as well.

    The platform finds a box by its own address first, and only one box may have an address: with several boxes there
    is no bridge, and people are told instead.
    """

    def before(self, job: Job) -> dict[str, Any]:
        """The address that each box has of its own."""
        return {"addresses": {box.id: box.custom_address for box in job.kit.crossbar.fax_boxes(job.plan.account)}}

    def verify(self, job: Job) -> Seen:
        """Whether the one box has the old realm as its address."""
        boxes = job.kit.crossbar.fax_boxes(job.plan.account)
        if not boxes:
            return done("no fax box")
        if len(boxes) > 1:
            return done(f"{len(boxes)} fax boxes: no bridge; mail to {job.plan.old} ends with the account's change")
        (box,) = boxes
        if box.custom_address is not None:
            return done(f"{box.name} takes mail to {box.custom_address}")
        return pending(f"{box.name} takes no mail to {job.plan.old} yet")

    def do(self, job: Job) -> None:
        """Give it that address."""
        for box in job.kit.crossbar.fax_boxes(job.plan.account):
            job.kit.crossbar.save_fax_box(job.plan.account, box.with_custom_address(job.plan.old))

    def undo(self, job: Job) -> None:
        """Give each box back what it had."""
        for box, address in _differing(job):
            job.kit.crossbar.save_fax_box(job.plan.account, box.with_custom_address(address))

    def undone(self, job: Job) -> Seen:
        """Whether each has what it had."""
        return pending("a fax box has another address") if _differing(job) else done("as before")


def _account_has(job: Job, realm: str) -> Seen:
    account = job.kit.crossbar.account(job.plan.account)
    text = f"the account's realm is {account.realm}"
    return done(text) if account.realm.lower() == realm.lower() else pending(text)


def _stale(job: Job) -> tuple[list[Any], int, str]:
    """Trunk documents with another realm than the account's, how many there are, and that realm."""
    documents = job.kit.crossbar.connectivity(job.plan.account)
    realm = job.kit.crossbar.account(job.plan.account).realm
    return [one for one in documents if (one.realm or "").lower() != realm.lower()], len(documents), realm


def _differing(job: Job) -> list[tuple[FaxBox, str | None]]:
    before: Mapping[str, str | None] = job.before["addresses"]
    boxes = job.kit.crossbar.fax_boxes(job.plan.account)
    return [(box, before[box.id]) for box in boxes if box.id in before and box.custom_address != before[box.id]]
