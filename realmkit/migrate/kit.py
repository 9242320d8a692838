"""What steps work with: the tools at hand, the job in hand, and what a look at the world can say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, TypeVar

from realmkit.errors import RealmkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from realmkit.clock import Clock
    from realmkit.dns.work.desk import Desk
    from realmkit.kazoo.client import Crossbar
    from realmkit.kazoo.documents import Account, Channel, Device, Registration
    from realmkit.migrate.plan import Phone, Plan
    from realmkit.migrate.state import Place, State
    from realmkit.phones.model import File
    from realmkit.phones.publish import Publisher

T = TypeVar("T")

FRESH: Final = 2.0  # seconds for which a look at the platform may serve several phones


class Seen(NamedTuple):
    """What a look at the world says.

    Attributes:
        state: `done`: the effect is there; `pending`: not yet; `wrong`: it will not come; `unknown`: can't tell now.
        detail: what was seen.
        result: facts for later tasks and for people.
    """

    state: str
    detail: str = ""
    result: Mapping[str, Any] = {}


def done(detail: str = "", **result: Any) -> Seen:
    """The effect is there."""
    return Seen("done", detail, result)


def pending(detail: str) -> Seen:
    """The effect is not there yet."""
    return Seen("pending", detail)


def wrong(detail: str) -> Seen:
    """The effect will not come by waiting."""
    return Seen("wrong", detail)


def unknown(detail: str) -> Seen:
    """It can't be told at the moment."""
    return Seen("unknown", detail)


class Render(Protocol):
    """Makes a phone's configuration files."""

    def __call__(self, phone: Phone, device: Device, realm: str) -> tuple[File, ...]:
        """The files for a realm. Raises InputError when the device can't be rendered."""
        ...


@dataclass
class Kit:
    """The tools, and one look at the platform for all phones of a round.

    Attributes:
        desk: DNS.
        crossbar: the platform.
        publisher: where phones fetch their configurations; None where none is configured.
        render: makes them.
        clock: time.
    """

    desk: Desk
    crossbar: Crossbar
    publisher: Publisher | None
    render: Render
    clock: Clock
    _seen: dict[tuple[str, str], tuple[float, Any]] = field(default_factory=dict)

    def new_round(self) -> None:
        """Forget what was seen: look again."""
        self._seen.clear()

    def registrations(self, account: str) -> list[Registration]:
        """The account's registrations, read once a round."""
        return self._once(("registrations", account), lambda: self.crossbar.registrations(account))

    def rows_of(self, account: str, device: str) -> list[Registration]:
        """A device's registrations, of those that were read this round."""

        def by_device() -> dict[str | None, list[Registration]]:
            found: dict[str | None, list[Registration]] = {}
            for row in self.registrations(account):
                found.setdefault(row.device_id, []).append(row)
            return found

        return self._once(("by device", account), by_device).get(device, [])

    def channels(self, account: str) -> list[Channel]:
        """The account's calls, read once a round."""
        return self._once(("channels", account), lambda: self.crossbar.channels(account))

    def account(self, account: str) -> Account:
        """The account, read once a round."""
        return self._once(("account", account), lambda: self.crossbar.account(account))

    def device(self, account: str, device: str) -> Device:
        """A device, read once a round."""
        return self._once(("device", device), lambda: self.crossbar.device(account, device))

    def save_device(self, account: str, before: Device, after: Device) -> Device:
        """Save a device over the state that it was made from; as the platform holds it then."""
        try:
            saved = self.crossbar.save_device(account, after, before=before)
        except RealmkitError:
            self._seen.pop(("device", before.id), None)
            raise
        self._seen["device", before.id] = self.clock.monotonic(), saved
        return saved

    def _once(self, key: tuple[str, str], read: Callable[[], T]) -> T:
        """What was read in this round, unless the round has become so long that it would be old news."""
        now = self.clock.monotonic()
        if key not in self._seen or now - self._seen[key][0] > FRESH:
            self._seen[key] = now, read()
        found: T = self._seen[key][1]
        return found


@dataclass(frozen=True)
class Job:
    """One task to work on.

    Attributes:
        kit: the tools.
        state: of the migration.
        place: the task with its stage and chain.
        before: what was written down before the effect.
        now: the time.
        poked: what this process did because the effect did not show.
    """

    kit: Kit
    state: State
    place: Place
    before: Mapping[str, Any]
    now: datetime
    poked: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The plan."""
        assert self.state.plan is not None  # noqa: S101 - nothing runs without one
        return self.state.plan

    @property
    def phone(self) -> Phone:
        """The phone that it is about."""
        assert self.place.chain.subject is not None  # noqa: S101 - lint: such steps stand in blocks only
        return self.state.phones[self.place.chain.subject]

    @property
    def realm(self) -> str:
        """The realm that its arguments name."""
        return self.plan.new if self.place.task.arguments["realm"] == "new" else self.plan.old

    @property
    def key(self) -> str:
        """The task's key."""
        return self.place.key

    @property
    def began(self) -> datetime | None:
        """When the task was begun; None before its first attempt."""
        doing = self.state.tasks.get(self.key)
        return doing.began if doing else None

    @property
    def release(self) -> str:
        """The name under which this task keeps what it replaces."""
        return f"{self.plan.name}-{self.state.digest[:8]}.{self.key}".replace("/", ".")


class Step:
    """A step. By default it only looks: `verify` says how things are.

    A step with an effect says in `before` what its undo needs (never a secret), makes the effect in `do`, and can
    `undo` it. `verify` is asked before `do` (is it there already?), and after it until the effect shows.

    Attributes:
        blind: there is nothing to look for before the effect, and a repeat does no harm: it is made without asking.
    """

    blind: ClassVar[bool] = False

    def before(self, job: Job) -> dict[str, Any]:  # noqa: ARG002 - for those who need it
        """What must be on disk before the effect."""
        return {}

    def verify(self, job: Job) -> Seen:
        """Look whether the effect is there."""
        raise NotImplementedError

    def do(self, job: Job) -> Seen | None:  # noqa: ARG002 - for those who need it
        """Make the effect. What can't be looked at afterwards (a NOTIFY that was sent) says here that it is done."""
        return None

    def poke(self, job: Job, waited: float) -> str | None:  # noqa: ARG002 - for those who need it
        """Called while the effect does not show; what was done about it, in a word, which `job.poked` remembers.

        Args:
            job: the job.
            waited: seconds since this process first looked in vain.
        """
        return None

    def undo(self, job: Job) -> None:
        """Put back what was there; `job.before` is that of the step that is undone."""

    def undone(self, job: Job) -> Seen:  # noqa: ARG002 - for those who need it
        """Look whether what was there is back."""
        return done()
