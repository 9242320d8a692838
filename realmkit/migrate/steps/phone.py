"""Steps about a phone: its configuration, the request to fetch it, where it registers, what it leaves behind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from realmkit.errors import InputError, RefusedError
from realmkit.migrate.kit import Job, Seen, Step, done, pending
from realmkit.migrate.playbook import seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from realmkit.kazoo.documents import Registration
    from realmkit.migrate.plan import Task
    from realmkit.migrate.state import Doing
    from realmkit.phones.publish import Publisher


_ASKED: Final = "asked"
_DROPPED: Final = "dropped"
_AGAIN: Final = "1m"


class Publish(Step):
    """Render the phone's configuration for a realm, and publish it; what was there is kept beside it."""

    def before(self, job: Job) -> dict[str, Any]:
        """What is published now, by its hash: the files themselves hold passwords and stay where they are."""
        return {"sha256": {name: _hash(_publisher(job).fetch(name)) for name in _files(job)}}

    def verify(self, job: Job) -> Seen:
        """Whether what phones would fetch is what was rendered."""
        publisher = _publisher(job)
        for name, content in _files(job).items():
            if publisher.fetch(name) != content:
                return pending(f"{name} is not published yet")
        return done(", ".join(_files(job)))

    def do(self, job: Job) -> Seen:
        """Publish the files, and look: nothing has changed on the platform, so its device need not be read again."""
        _publisher(job).publish(_files(job), job.release)
        return self.verify(job)

    def undo(self, job: Job) -> None:
        """Put back the files that were there."""
        _publisher(job).restore(job.release, _names(job))

    def undone(self, job: Job) -> Seen:
        """Whether they are back, byte for byte."""
        for name, digest in job.before["sha256"].items():
            if _hash(_publisher(job).fetch(name)) != digest:
                return pending(f"{name} is not what it was")
        return done(", ".join(_names(job)))


class Resync(Step):
    """Tell the phone to fetch its configuration. Sent says nothing: `phone.await` sees whether it helped.

    The platform addresses it to the account's realm as it is at that moment, and reaches nobody who is registered
    elsewhere. A save of the device sends one on some clusters and none on others, so it is always sent.
    """

    blind = True

    def before(self, job: Job) -> dict[str, Any]:
        """Where it is registered: only a newer registration shows that it has come since."""
        return {"rows": stamps(job)}

    def do(self, job: Job) -> Seen:
        """Send the event that its model fetches its configuration on, unless it is at the new realm already."""
        if job.realm == job.plan.new and _at_realm(job):
            return done("is there already")
        if job.phone.event is None:
            return done("no NOTIFY makes this model fetch its configuration: by hand")
        job.kit.crossbar.notify(job.plan.account, job.phone.device, job.phone.event)
        return done(f"{job.phone.event} sent")


class Await(Step):
    """Wait until the phone is registered at a realm."""

    def verify(self, job: Job) -> Seen:
        """Ask for the account's registrations; a row from before the phone was asked proves nothing."""
        if job.phone.registered is None:
            return done("was registered nowhere when the move was planned")
        if rows := _at_realm(job):
            row = rows[0]
            hidden = {"hidden": True} if _DROPPED in job.poked else {}
            return done(f"registered at {row.realm}", contact=row.contact, agent=row.user_agent, **hidden)
        elsewhere = sorted({row.realm for row in _rows(job)})
        return pending(f"registered at {', '.join(elsewhere)}" if elsewhere else "not registered")

    def poke(self, job: Job, waited: float) -> str | None:
        """Ask it once more now and then; and once, drop what hides it.

        Some clusters list the two rows of one contact as one, and which one is unspecified. Then a phone that has
        arrived does not show until its other row is dropped, which also sends it a check-sync. A phone that did not
        arrive is away until its next REGISTER by that, so it is the last resort, unless this cluster has been seen to
        hide phones before; and one that waits for somebody's hand is spared it.
        """
        again = seconds(job.place.task.arguments.get("again", _AGAIN))
        patience = 2 * again if job.phone.event is not None else float("inf")
        if _hides(job):
            patience = min(again, job.phone.settle / 2)
        if waited >= patience and _DROPPED not in job.poked and _may_be_hidden(job):
            job.kit.crossbar.flush_registration(job.plan.account, job.phone.username)
            return _DROPPED
        if waited >= again * (1 + job.poked.count(_ASKED)) and job.phone.event is not None:
            job.kit.crossbar.notify(job.plan.account, job.phone.device, job.phone.event)
            return _ASKED
        return None


class DropRegistration(Step):
    """Drop what the phone left behind at a realm: while a device has two rows, calls to it may find none.

    Dropping also sends a check-sync to the old contact. A phone that restarts on those is spared it: its old row runs
    out by itself. Two rows of one contact are listed as one, so a list without the old row does not spare the dropping.
    """

    blind = True

    def verify(self, job: Job) -> Seen:
        """Whether the row is gone; an answer that does not have the phone at all says nothing about it."""
        rows = _rows(job)
        if any(row.realm.lower() == job.realm.lower() for row in rows):
            return pending(f"still has a row at {job.realm}")
        if not rows and job.phone.registered is not None:
            return pending("the platform lists no row of it at all")
        return done(f"nothing left at {job.realm}")

    def do(self, job: Job) -> Seen | None:
        """Ask the platform to drop it; it looks at the account's realm only. The next look is for all phones."""
        if job.phone.reboots:
            return None
        account = job.kit.account(job.plan.account)
        if account.realm.lower() != job.realm.lower():
            if not any(row.realm.lower() == job.realm.lower() for row in _rows(job)):
                return None
            raise RefusedError(f"the account's realm is {account.realm}: rows at {job.realm} are out of reach")
        job.kit.crossbar.flush_registration(job.plan.account, job.phone.username)
        return pending("dropped; not looked at yet")


class FlushRegistration(Step):
    """Drop the phone's registration at the account's realm, and the proxy's memory that it was let in once."""

    blind = True

    def do(self, job: Job) -> Seen:
        """Flush this one; a flush of the whole realm would hide phones that are at the new one."""
        job.kit.crossbar.flush_registration(job.plan.account, job.phone.username)
        return done("flushed")


def _rows(job: Job) -> list[Registration]:
    return job.kit.rows_of(job.plan.account, job.phone.device)


def _at_realm(job: Job) -> list[Registration]:
    """Its rows at the realm that are not the very ones of before it was asked to come there."""
    before = _rows_before(job)
    realm = job.realm.lower()
    return [row for row in _rows(job) if row.realm.lower() == realm and before.get(realm) != _stamp(row)]


def _hides(job: Job) -> bool:
    """Whether this cluster has been seen to hide a phone that had arrived."""
    return any(doing.result.get("hidden") for doing in job.state.tasks.values())


def _may_be_hidden(job: Job) -> bool:
    """Whether it shows at the other realm only, which is the account's, so that dropping can help."""
    if job.phone.reboots or not (rows := _rows(job)) or any(row.realm.lower() == job.realm.lower() for row in rows):
        return False
    account = job.kit.account(job.plan.account)
    return account.realm.lower() != job.realm.lower()


def _rows_before(job: Job) -> Mapping[str, str]:
    """The stamps of its rows from before it could come: as it was given the realm, or else as it was asked.

    Between those two a phone may have come already: somebody reconfigured it, or the platform's own check-sync at the
    save did. The platform's stamps are compared with one another, never with our clock.
    """
    asked = [doing for _, doing in _begun(job, "phone.resync")]
    latest = max(asked, key=lambda doing: doing.began, default=None)
    if latest is None:
        return {}
    realm = job.place.task.arguments["realm"]
    given = [
        doing
        for task, doing in _begun(job, "device.pin")
        if task.arguments["realm"] == realm and doing.began <= latest.began
    ]
    found: Mapping[str, str] = max(given, key=lambda doing: doing.began, default=latest).before.get("rows", {})
    return found


def _begun(job: Job, uses: str) -> Iterator[tuple[Task, Doing]]:
    """The tasks of that kind that this leg has begun for the phone."""
    for key in job.state.of_phone(job.phone.device):
        task = job.state.place(key).task
        if task.uses == uses and task.kind == "do" and key.startswith("back.") == job.key.startswith("back."):
            yield task, job.state.tasks[key]


def stamps(job: Job) -> dict[str, str]:
    """What the phone's rows look like now, by realm."""
    return {row.realm.lower(): _stamp(row) for row in _rows(job)}


def _stamp(row: Registration) -> str:
    """What changes whenever a phone registers again."""
    return f"{row.seen.isoformat()} {row.call_id} {row.contact}"


def _files(job: Job) -> dict[str, bytes]:
    device = job.kit.device(job.plan.account, job.phone.device)
    return {file.name: file.content for file in job.kit.render(job.phone, device, job.realm)}


def _names(job: Job) -> Collection[str]:
    names: Collection[str] = job.before["sha256"].keys()
    return names


def _publisher(job: Job) -> Publisher:
    if job.kit.publisher is None:
        raise InputError("nowhere to publish configurations", hint="add phones: {publish: ...} to realmkit.yml")
    return job.kit.publisher


def _hash(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
