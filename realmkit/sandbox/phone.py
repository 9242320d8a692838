"""One simulated desk phone: a state machine without sockets, whose world is handed to it.

It boots, fetches its configuration, finds the edge of its realm, registers, refreshes and retries; it obeys check-sync
or does not, as its `Behaviour` says. The same phone runs on the network (`fleet`) and in virtual time (`virtual`):
whoever runs it calls `tick()` when `due` is reached, and hands it what arrives.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct, structs

from realmkit.errors import RealmkitError
from realmkit.phones.model import Line
from realmkit.sandbox.location import Lookup, Target

if TYPE_CHECKING:
    from collections.abc import Callable

Read: TypeAlias = "Callable[[bytes], tuple[Line, ...]]"


class Sync(Enum):
    """What check-sync makes it do."""

    RELOAD = "reload"
    REBOOT = "reboot"
    NOTHING = "nothing"


class Busy(Enum):
    """What check-sync makes it do while it is in a call: the same as ever, when the call ends, or never."""

    CUT = "cut"
    LATER = "later"
    NEVER = "never"


class Behaviour(Struct, frozen=True):
    """How a kind of phone behaves. Times are seconds.

    Attributes:
        boot: from power-on until it fetches its configuration; it is dead meanwhile.
        reload: from check-sync until it fetches its configuration; it stays registered and answers meanwhile.
        sync: what a plain `check-sync` makes it do.
        obeys_parameter: `check-sync;reboot=true` and `;reboot=false` go before `sync`, unless that is NOTHING.
        tamed_by: what in its configuration makes a plain check-sync a reload where it would restart otherwise, such as
            Yealink's `sip.notify_reboot_enable = 0`; b"" is nothing.
        busy: what becomes of check-sync during a call.
        events: the Events it knows; others are answered 489.
        lookup: how it finds the edge where its configuration leaves that to DNS; others fix address and port.
        refresh: the share of the granted time after which it registers again.
        retry: until it tries again after a failure.
        user_agent: what it calls itself.
    """

    boot: float = 30.0
    reload: float = 2.0
    sync: Sync = Sync.RELOAD
    obeys_parameter: bool = True
    tamed_by: bytes = b""
    busy: Busy = Busy.LATER
    events: tuple[str, ...] = ("check-sync",)
    lookup: Lookup = "naptr"
    refresh: float = 0.5
    retry: float = 30.0
    user_agent: str = "realmkit simulated phone"


class State(StrEnum):
    """Where it stands."""

    OFF = "off"
    BOOTING = "booting"
    RELOADING = "reloading"
    FETCHING = "fetching"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"


class What(StrEnum):
    """What happened, for the log."""

    POWERED = "powered on"
    OFF = "powered off"
    CONFIGURED = "configured"
    NO_CONFIGURATION = "no configuration"
    REGISTERED = "registered"
    FAILED = "failed"
    SYNC = "check-sync"
    WAITS = "waits for the call to end"
    IGNORED = "ignored"
    RELOADS = "reloads"
    REBOOTS = "reboots"
    CALL = "call"
    ENDED = "call ended"
    CUT = "call cut"


class Event(Struct, frozen=True):
    """One line of a phone's log. Refreshes and failures that say what the last one said are counted, not logged."""

    at: datetime
    what: What
    detail: str = ""


class Registration(Struct, frozen=True):
    """What a phone asks of the registrar.

    Attributes:
        line: who registers, with the password (its repr is a mask).
        target: where to.
        expires: seconds wished.
        call_id: one for each boot.
        user_agent: the header.
    """

    line: Line
    target: Target
    expires: int
    call_id: str
    user_agent: str


class Result(Struct, frozen=True):
    """How a registration ended.

    Attributes:
        status: of the final response; 0 when none came.
        expires: seconds granted with 200; Min-Expires with 423.
    """

    status: int
    expires: int = 0


class World(Protocol):
    """What a phone needs of the world.

    `then` may be called at once or later, once at most, in the thread that runs the phone.
    """

    def now(self) -> datetime:
        """The time now, UTC."""
        ...

    def fetch(self, then: Callable[[bytes | None], None]) -> None:
        """Get its configuration file as it is published now; None when there is none to be had."""
        ...

    def locate(self, realm: str, lookup: Lookup, then: Callable[[tuple[Target, ...]], None]) -> None:
        """Find the edge of a realm, best target first; nothing when DNS says none or does not answer."""
        ...

    def register(self, registration: Registration, then: Callable[[Result], None]) -> None:
        """REGISTER there, answering a challenge."""
        ...


class SimPhone:
    """One phone.

    Args:
        name: its MAC address, say.
        behaviour: its kind.
        world: where it lives.
        read: gets the lines out of a configuration file; a RealmkitError means that it can't be read.

    Attributes:
        state: where it stands.
        due: when `tick()` is to be called; None while it waits for something else.
        line: what it is configured as; None before its first configuration.
        registered_at: when its registration was last confirmed; None while it holds none.
        refreshes: registrations that only repeated the one before.
        failures: failed attempts in a row.
        last: how its last attempt ended.
        located: what DNS said of its realm's edge at that attempt.
        in_call: whether it is in a call.
        log: what happened.
    """

    def __init__(self, name: str, behaviour: Behaviour, world: World, read: Read) -> None:
        self.name = name
        self.behaviour = behaviour
        self.state = State.OFF
        self.due: datetime | None = None
        self.line: Line | None = None
        self.registered_at: datetime | None = None
        self.refreshes = 0
        self.failures = 0
        self.last: Result | None = None
        self.located: tuple[Target, ...] = ()
        self.in_call = False
        self.log: list[Event] = []
        self._world = world
        self._read = read
        self._tame = False
        self._owed: Sync | None = None  # what it will do when the call ends
        self._boots = 0
        self._turn = 0  # answers to what was asked before the last turn of events are not for us any more
        self._expires: int | None = None  # what the registrar insists on

    # --- what people and the network do to it -----------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether it answers at all."""
        return self.state not in (State.OFF, State.BOOTING)

    @property
    def period(self) -> timedelta:
        """Until its next REGISTER, as things stand."""
        if self.state is State.REGISTERED and self.last is not None:
            return timedelta(seconds=max(1.0, self.last.expires * self.behaviour.refresh))
        return timedelta(seconds=self.behaviour.retry)

    @property
    def lookup(self) -> Lookup:
        """With which kind of record it looks for the edge: an A where its line does not leave the transport to DNS."""
        return self.behaviour.lookup if self.line is not None and self.line.transport == "dns" else "a"

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where it registers: what DNS said, at the port that its configuration names, if it names one."""
        if self.line is None or self.line.transport == "dns":
            return self.located
        return tuple(structs.replace(one, port=self.line.port_used) for one in self.located)

    def power_on(self) -> None:
        """Plug it in."""
        self._note(What.POWERED)
        self._boot()

    def power_off(self) -> None:
        """Pull the plug. Nobody is told."""
        self._cut_call()
        self._note(What.OFF)
        self._become(State.OFF, None)
        self.registered_at = None
        self._owed = None

    def notified(self, event: str) -> int:
        """A NOTIFY with that Event arrived; the status of the response, 0 for none at all."""
        if not self.up:
            return 0
        name, _, parameters = event.partition(";")
        if name.strip() not in self.behaviour.events:
            return 489
        self._note(What.SYNC, event)
        self._sync(self._wanted(parameters))
        return 200

    def call(self) -> bool:
        """Begin a call; False when it can't be reached or is in one."""
        if not self.up or self.in_call:
            return False
        self.in_call = True
        self._note(What.CALL)
        return True

    def hang_up(self) -> None:
        """End the call; what waited for that is done now."""
        if not self.in_call:
            return
        self.in_call = False
        self._note(What.ENDED)
        owed, self._owed = self._owed, None
        if owed is not None:
            self._do(owed)

    def tick(self) -> None:
        """Do what is due; call when `due` is reached. Nothing happens before."""
        if self.due is None or self._world.now() < self.due:
            return
        self.due = None
        if self.state in (State.BOOTING, State.RELOADING) or self.line is None:
            self._fetch()
        else:
            self._locate(self.line)

    def refreshed(self, times: int, last: datetime) -> datetime:
        """As if it had registered again that often, the last time then, each time with the result that it had before.

        For whoever can show that nothing else could have happened (`virtual`).

        Returns:
            When it is due again.
        """
        if self.state is State.REGISTERED:
            self.refreshes += times
            self.registered_at = last
        else:
            self.failures += times
        self.due = last + self.period
        return self.due

    # --- what it does -------------------------------------------------------------------------------------------------

    def _wanted(self, parameters: str) -> Sync:
        sync = Sync.RELOAD if self._tame and self.behaviour.sync is Sync.REBOOT else self.behaviour.sync
        wish = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in parameters.split(";"))}
        if sync is Sync.NOTHING or not self.behaviour.obeys_parameter or wish.get("reboot") not in ("true", "false"):
            return sync
        return Sync.REBOOT if wish["reboot"] == "true" else Sync.RELOAD

    def _sync(self, sync: Sync) -> None:
        if sync is Sync.NOTHING or (self.in_call and self.behaviour.busy is Busy.NEVER):
            self._note(What.IGNORED)
        elif self.in_call and self.behaviour.busy is Busy.LATER:
            self._note(What.WAITS)
            self._owed = sync
        else:
            self._do(sync)

    def _do(self, sync: Sync) -> None:
        if sync is Sync.REBOOT:
            self._cut_call()
            self._note(What.REBOOTS)
            self._boot()
        else:
            self._note(What.RELOADS)
            self._become(State.RELOADING, timedelta(seconds=self.behaviour.reload))

    def _boot(self) -> None:
        self._boots += 1
        self._owed = None
        self.registered_at = None
        self._become(State.BOOTING, timedelta(seconds=self.behaviour.boot))

    def _cut_call(self) -> None:
        if self.in_call:
            self.in_call = False
            self._note(What.CUT)

    def _fetch(self) -> None:
        self._become(State.FETCHING, None)
        self._world.fetch(partial(self._fetched, self._turn))

    def _fetched(self, turn: int, content: bytes | None) -> None:
        if turn != self._turn:
            return
        try:
            line = self._read(content)[0] if content is not None else None
        except (RealmkitError, IndexError):
            line = None
        if line is None:
            self._note(What.NO_CONFIGURATION)
        elif line != self.line:
            self._tame = bool(self.behaviour.tamed_by) and self.behaviour.tamed_by in (content or b"")
            self.line = line
            self._expires = None
            self._note(What.CONFIGURED, line.realm)
        if self.line is None:
            self._fail(Result(0))
        else:
            self.registered_at = None  # it is not what it was until the registrar says so
            self.last = None
            self._locate(self.line)

    def _locate(self, line: Line) -> None:
        if self.state is not State.REGISTERED:
            self.state = State.REGISTERING
        self._world.locate(line.realm, self.lookup, partial(self._located, self._turn))

    def _located(self, turn: int, targets: tuple[Target, ...]) -> None:
        if turn == self._turn:
            self.located = targets
            self._register(self.targets)

    def _register(self, targets: tuple[Target, ...]) -> None:
        """Try the targets, best first; the next one only if there is no answer (RFC 3263, 4.3)."""
        if self.line is None or not targets or self.line.transport in ("tcp", "tls"):  # it speaks UDP only
            self._fail(Result(0))
            return
        wish = Registration(
            line=self.line,
            target=targets[0],
            expires=self._expires or self.line.expires,
            call_id=f"{self.name}-{self._boots}",
            user_agent=self.behaviour.user_agent,
        )
        self._world.register(wish, partial(self._answered, self._turn, targets, wish.line.realm))

    def _answered(self, turn: int, targets: tuple[Target, ...], realm: str, result: Result) -> None:
        if turn != self._turn:
            return
        if result.status == 200 and result.expires > 0:
            self._succeed(realm, result)
        elif result.status == 423 and result.expires > (self._expires or 0):
            self._expires = result.expires
            self._register(targets)
        elif result.status == 0 and len(targets) > 1:
            self._register(targets[1:])
        else:
            self._fail(result)

    def _succeed(self, realm: str, result: Result) -> None:
        if self.state is State.REGISTERED:
            self.refreshes += 1
        else:
            self._note(What.REGISTERED, realm)
        self.failures = 0
        self.last = result
        self.registered_at = self._world.now()
        self.state = State.REGISTERED
        self.due = self.registered_at + self.period

    def _fail(self, result: Result) -> None:
        if not self.failures or result != self.last:
            self._note(What.FAILED, str(result.status) if result.status else "no answer")
        self.failures += 1
        self.last = result
        self.registered_at = None
        self.state = State.FAILED
        self.due = self._world.now() + self.period

    def _become(self, state: State, wait: timedelta | None) -> None:
        """A turn of events: whatever was under way is void."""
        self._turn += 1
        self.state = state
        self.due = None if wait is None else self._world.now() + wait

    def _note(self, what: What, detail: str = "") -> None:
        self.log.append(Event(self._world.now(), what, detail))
