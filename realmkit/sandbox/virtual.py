"""Virtual time, and simulated phones living in it: fourteen days of a hundred phones in a moment.

Nothing here waits. `VirtualClock.sleep` runs what falls due, in order, and moves on. The phones register at a real
`EmbeddedRegistrar` and behave as they do on the network, with one saving that changes nothing that can be observed:
while DNS, credentials and the edge stay as they are, the next REGISTER of a settled phone ends as its last one did, so
it is worked out when somebody looks instead of being played.
"""

from __future__ import annotations

import heapq
import itertools
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import structs

from realmkit.errors import InputError
from realmkit.sandbox.location import Lookup, Target, locate
from realmkit.sandbox.phone import Behaviour, Result, SimPhone, State
from realmkit.sandbox.registrar import CACHE, Contact, EmbeddedRegistrar, Register

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from realmkit.phones.model import Line
    from realmkit.sandbox.phone import Read, Registration

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SKIPPED: Final = (State.REGISTERED, State.FAILED)


class Handle:
    """Something that will happen; `cancel()` it if it must not."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not let it happen. Fine to call twice, or afterwards."""
        self.call = None


class VirtualClock:
    """A `realmkit.clock.Clock` whose time passes only in `sleep` and `run_until`.

    Args:
        now: where it begins; aware.
    """

    def __init__(self, now: datetime) -> None:
        self._start = self._now = now.astimezone(UTC)
        self._due: list[tuple[datetime, int, Handle]] = []
        self._numbers = itertools.count()
        self._watchers: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let that many seconds pass; a negative number lets happen what is due now."""
        self.run_until(self._now + timedelta(seconds=max(0.0, seconds)))

    def at(self, when: datetime, call: Callable[[], None]) -> Handle:
        """Let `call` happen then, or as soon as time moves if that is over. It may sleep and plan more itself."""
        handle = Handle(call)
        heapq.heappush(self._due, (when, next(self._numbers), handle))
        return handle

    def before_moving(self, call: Callable[[], None]) -> None:
        """Call this whenever time is about to move on, after all that happens at one instant."""
        self._watchers.append(call)

    def run_until(self, end: datetime) -> None:
        """Let everything happen that falls due until `end`, that instant included, in order; then it is `end`."""
        while True:
            for watcher in self._watchers:
                watcher()
            if not self._due or self._due[0][0] > end:
                break
            when, _, handle = heapq.heappop(self._due)
            if handle.call is not None:
                self._now = max(self._now, when)
                handle.call()
        self._now = max(self._now, end)


class _Registrar(EmbeddedRegistrar):
    """An `EmbeddedRegistrar` whose phones are brought up to date before anybody looks or changes anything."""

    def __init__(
        self,
        clock: VirtualClock,
        fleet: VirtualFleet,
        deliver: Callable[[Contact, str], None],
        minimum: int,
        maximum: int,
    ) -> None:
        super().__init__(clock, deliver, minimum=minimum, maximum=maximum)
        self._fleet = fleet

    @property
    def changes(self) -> int:
        self._fleet.catch_up()
        return super().changes

    def contacts(self) -> list[Contact]:
        self._fleet.catch_up()
        return super().contacts()

    def use(self, passwords: Mapping[tuple[str, str], str]) -> None:
        with self._fleet.changing():
            super().use(passwords)

    def flush(self, realm: str, username: str | None = None) -> None:
        with self._fleet.changing():
            super().flush(realm, username)

    def notify(self, username: str, realm: str, event: str) -> bool:
        self._fleet.catch_up()
        return super().notify(username, realm, event)

    def renew(self, line: Line, source: str, last: datetime, granted: int) -> None:
        """What that phone's REGISTER at `last` left behind; it had a row and a cached authorisation until then."""
        key = (line.username, line.realm.lower())
        self._changes += 1
        end = last + timedelta(seconds=granted)
        rows = self._rows[key]
        mine = next(row for row in rows if row.source == source)
        others = [row for row in rows if row is not mine] if len(rows) > 1 else []
        self._rows[key] = [*others, structs.replace(mine, registered_at=last, expires_at=end)]
        self._cached_until[key] = max(self._cached_until[key], last + CACHE)

    def renews(self, line: Line, source: str, due: datetime) -> bool:
        """Whether its REGISTER then will be accepted as the last was, by its row and its cached authorisation."""
        key = (line.username, line.realm.lower())
        if key in self.refused:
            return False
        mine = [row for row in self._rows.get(key, ()) if row.source == source]
        until = self._cached_until.get(key)
        return len(mine) == 1 and until is not None and due < min(until, mine[0].expires_at)


class _World:
    """What one phone sees."""

    def __init__(self, fleet: VirtualFleet, name: str, source: str) -> None:
        self._fleet = fleet
        self._name = name
        self.source = source

    def now(self) -> datetime:
        return self._fleet.clock.now()

    def fetch(self, then: Callable[[bytes | None], None]) -> None:
        then(self._fleet.configuration(self._name))

    def locate(self, realm: str, lookup: Lookup, then: Callable[[tuple[Target, ...]], None]) -> None:
        then(self._fleet.locate(realm, lookup))

    def register(self, registration: Registration, then: Callable[[Result], None]) -> None:
        line = registration.line
        if not self._fleet.is_edge(registration.target):
            then(Result(0))
            return
        request = Register(
            username=line.username,
            realm=line.realm,
            uri=f"sip:{line.username}@{self.source}",
            source=self.source,
            user_agent=registration.user_agent,
            call_id=registration.call_id,
            expires=registration.expires,
        )
        answer = self._fleet.registrar.register(request, None)
        if answer.status == 401:
            known = line.auth_id == line.username  # the digest is over the name that the registrar knows
            answer = self._fleet.registrar.register(request, lambda password: known and password == line.password)
        then(Result(answer.status, answer.expires))


class _Member:
    """A phone, its world, when it is due, and the clock's note of that unless its REGISTERs are worked out."""

    __slots__ = ("due", "handle", "phone", "world")

    def __init__(self, phone: SimPhone, world: _World) -> None:
        self.phone = phone
        self.world = world
        self.handle: Handle | None = None
        self.due = _NEVER


class VirtualFleet:
    """Simulated phones in virtual time.

    `dns` and `configurations` are asked again whenever something happens, but not while time merely passes: an answer
    that changes by itself at some moment (a cache that runs out) needs a `clock.at` for that moment, however empty.

    Args:
        clock: their time.
        dns: name (with its final dot) and type to rdata as zone files write it; nothing when there is none.
        configurations: a file as published now, by phone name; None when there is none.
        edges: where the registrar answers; None for everywhere.
        minimum: seconds, as of `EmbeddedRegistrar`.
        maximum: seconds, as of `EmbeddedRegistrar`.
        skip: False plays every single REGISTER; for the test that shows that it makes no difference.

    Attributes:
        clock: their time.
        registrar: where they register; hand it to the cluster.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        dns: Callable[[str, str], Sequence[str]],
        configurations: Callable[[str], bytes | None],
        edges: Collection[Target] | None = None,
        minimum: int = 300,
        maximum: int = 3600,
        skip: bool = True,
    ) -> None:
        self.clock = clock
        self.configuration = configurations
        self._dns = dns
        self._edges = edges
        self._skip = skip
        self._members: dict[str, _Member] = {}
        self._by_source: dict[str, _Member] = {}
        self._parked: dict[str, _Member] = {}
        self._next = _NEVER  # when the first of the parked registers next
        self._located: dict[tuple[str, Lookup], tuple[Target, ...]] = {}
        self._refused: set[tuple[str, str]] = set()
        self.registrar = _Registrar(clock, self, self._deliver, minimum, maximum)
        clock.before_moving(self._look)

    def add(self, name: str, behaviour: Behaviour, read: Read) -> SimPhone:
        """A phone that is still off; `name` is what `configurations` is asked for.

        Raises:
            InputError: there is one of that name.
        """
        if name in self._members:
            raise InputError(f"there is a phone {name!r} already")
        number = len(self._members) + 1
        world = _World(self, name, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:5060")
        member = _Member(SimPhone(name, behaviour, world, read), world)
        self._members[name] = self._by_source[world.source] = member
        return member.phone

    @property
    def phones(self) -> dict[str, SimPhone]:
        """Every phone as it is now, by name. To look only: what acts on them goes through `acting`."""
        self.catch_up()
        return {name: member.phone for name, member in self._members.items()}

    @contextmanager
    def acting(self, name: str) -> Iterator[SimPhone]:
        """The phone, to be plugged in, called, unplugged: `with fleet.acting(name) as phone: phone.call()`."""
        member = self._members[name]
        self.catch_up()
        self._parked.pop(name, None)
        yield member.phone
        self._settle(member)

    def power_on(self) -> None:
        """Plug in every phone that is off."""
        for name, member in self._members.items():
            if member.phone.state is State.OFF:
                with self.acting(name) as phone:
                    phone.power_on()

    def reaches(self, username: str, realm: str) -> list[str]:
        """The phones that a call to username@realm would ring: those behind its rows that are up."""
        key = (username, realm.lower())
        rows = (row for row in self.registrar.contacts() if (row.username, row.realm) == key)
        found = (self._by_source.get(row.source) for row in rows)
        return [member.phone.name for member in found if member is not None and member.phone.up]

    # --- the world of the phones -------------------------------------------------------------------------------------

    def locate(self, realm: str, lookup: Lookup) -> tuple[Target, ...]:
        """What DNS says of the edge now."""
        return locate(realm, lookup, self._dns)

    def is_edge(self, target: Target) -> bool:
        """Whether the registrar answers there."""
        return self._edges is None or target in self._edges

    def _deliver(self, contact: Contact, event: str) -> None:
        member = self._by_source.get(contact.source)
        if member is not None:
            with self.acting(member.phone.name) as phone:
                phone.notified(event)

    def _run(self, member: _Member) -> None:
        member.handle = None
        member.phone.tick()
        self._settle(member)

    # --- what is worked out instead of played ------------------------------------------------------------------------

    def _settle(self, member: _Member) -> None:
        """After something happened to a phone: leave it to be worked out, or note when it wants to do something."""
        if member.handle is not None:
            member.handle.cancel()
            member.handle = None
        phone = member.phone
        if phone.due is None:
            return
        member.due = phone.due
        if self._skip and phone.line is not None and self._repeats(member, phone.line):
            self._located[phone.line.realm, phone.lookup] = phone.located
            self._parked[phone.name] = member
            self._next = min(self._next, member.due)
        else:
            member.handle = self.clock.at(member.due, partial(self._run, member))

    def _repeats(self, member: _Member, line: Line) -> bool:
        """Whether its next attempt must end as the last one did, as long as nothing changes."""
        phone = member.phone
        if phone.last is None or phone.state not in _SKIPPED:
            return False
        place = (line.realm, phone.lookup)
        if not phone.located == self._located.get(place, phone.located) == self.locate(*place):
            return False
        if phone.state is State.FAILED:
            return True  # a refusal leaves nothing behind at the edge, and neither does silence
        return any(map(self.is_edge, phone.targets)) and self.registrar.renews(line, member.world.source, member.due)

    def catch_up(self) -> None:
        """Work out every REGISTER that came to pass until now."""
        now = self.clock.now()
        if now < self._next:
            return
        self._next = _NEVER
        for member in self._parked.values():
            if member.due <= now:
                self._work_out(member, now)
            self._next = min(self._next, member.due)

    def _work_out(self, member: _Member, now: datetime) -> None:
        phone = member.phone
        period = phone.period
        times = (now - member.due) // period + 1
        last = member.due + (times - 1) * period
        member.due = phone.refreshed(times, last)
        if phone.state is State.REGISTERED and phone.line is not None and phone.last is not None:
            self.registrar.renew(phone.line, member.world.source, last, phone.last.expires)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around a change of what the registrar holds: phones are up to date before it, and play for real after it."""
        self.catch_up()
        yield
        self._play(list(self._parked.values()))

    def _play(self, members: list[_Member]) -> None:
        for member in members:
            del self._parked[member.phone.name]
            member.handle = self.clock.at(member.due, partial(self._run, member))

    def _look(self) -> None:
        """Time is about to move: let those play for real whose DNS or edge is not what it was."""
        if not self._parked:
            self._located.clear()
            return
        moved = {place for place, before in self._located.items() if self.locate(*place) != before}
        refused = self._refused != self.registrar.refused
        if not moved and not refused:
            return
        self.catch_up()
        self._refused = set(self.registrar.refused)
        for place in moved:
            del self._located[place]
        everybody = list(self._parked.values())
        self._play([one for one in everybody if refused or _place(one.phone) in moved])


def _place(phone: SimPhone) -> tuple[str, Lookup]:
    return phone.line.realm if phone.line is not None else "", phone.lookup
