"""Simulated phones on the network: a UDP socket for each, real DNS, real HTTP, real SIP, all on loopback.

One thread runs all phones; a few more wait for DNS and HTTP on their behalf. Nothing is sent beyond loopback, whatever
DNS or a Contact says.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from realmkit.errors import InputError, RealmkitError
from realmkit.sandbox.handset import Handset, Seen, asker
from realmkit.sandbox.loop import Loop, check_loopback
from realmkit.sandbox.phone import Behaviour, Read, SimPhone, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from realmkit.clock import Clock

T = TypeVar("T")


class Fleet:
    """Phones that live while the `with` block runs; they are added before it or in it, and are off at first.

    Args:
        resolver: the DNS resolver that they ask, `127.0.0.10:53`.
        clock: the real one.
        patience: seconds that a phone waits for a SIP response.
        workers: threads for DNS and HTTP.

    Raises:
        InputError: the resolver is not on loopback.
    """

    def __init__(self, resolver: str, clock: Clock, *, patience: float = 4.0, workers: int = 8) -> None:
        self.ask = asker(resolver)
        self.clock = clock
        self.loop = Loop("sandbox phones", clock)
        self.patience = patience
        self.workers = ThreadPoolExecutor(workers, "sandbox phones")
        self._handsets: dict[str, Handset] = {}
        self._start = (clock.now(), clock.monotonic())

    def add(
        self, name: str, url: str, behaviour: Behaviour, read: Read, *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        """A phone that is off.

        Args:
            name: the MAC address, say.
            url: where its configuration file is, `http://127.0.0.1:8080/001122334455.cfg`.
            behaviour: its kind.
            read: gets the lines out of its file.
            address: its own; loopback.
            port: its own; 0 takes a free one.

        Raises:
            InputError: a name that is there already, an address that is not loopback or taken, or another URL.
        """
        if name in self._handsets:
            raise InputError(f"there is a phone {name!r} already")
        try:
            parts = urlsplit(url)
            usable = parts.scheme == "http" and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InputError(f"phone {name!r}: {url!r} is no http URL")
        check_loopback(parts.hostname or "")
        self._handsets[name] = self._in_loop(lambda: Handset(self, name, url, behaviour, read, (address, port)))

    def __enter__(self) -> Self:
        self.loop.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.close()
        self.workers.shutdown(cancel_futures=True)

    def now(self) -> datetime:
        """The time now, UTC; it does not jump with the machine's clock."""
        return self._start[0] + timedelta(seconds=self.clock.monotonic() - self._start[1])

    # --- to look at them and to act on them, from any thread ------------------------------------------------------

    def phones(self) -> dict[str, Seen]:
        """Every phone as it is now, by name."""
        return self._in_loop(lambda: {name: node.seen() for name, node in self._handsets.items()})

    def registered(self, realm: str) -> list[str]:
        """The phones that hold a registration at that realm."""
        return [name for name, seen in self.phones().items() if seen.registered_at is not None and seen.realm == realm]

    def await_all(self, holds: Callable[[Seen], bool], timeout: float) -> Mapping[str, Seen]:
        """Wait until something holds of every phone; those of which it still does not after `timeout` seconds."""
        end = self.clock.monotonic() + timeout
        while True:
            missing = {name: seen for name, seen in self.phones().items() if not holds(seen)}
            if not missing or self.clock.monotonic() >= end:
                return missing
            self.clock.sleep(0.02)

    def power_on(self, *names: str) -> None:
        """Plug in these phones, or all that are off."""
        self._act(names, lambda phone: phone.power_on() if phone.state is State.OFF else None)

    def power_off(self, *names: str) -> None:
        """Pull the plug of these phones, or of all."""
        self._act(names, lambda phone: phone.power_off() if phone.state is not State.OFF else None)

    def call(self, name: str) -> bool:
        """Put a phone into a call; False when it can't be."""
        return self._in_loop(lambda: self._handsets[name].acting(lambda phone: phone.call()))

    def hang_up(self, name: str) -> None:
        """End its call."""
        self._act((name,), lambda phone: phone.hang_up())

    def measure(self, name: str, *, event: str = "check-sync", timeout: float = 60.0) -> float:
        """How long this phone alone takes from NOTIFY until it is registered again, in seconds.

        Raises:
            RealmkitError: it did not within `timeout`, or is not registered to begin with.
        """
        done: Future[float] = Future()
        self._in_loop(lambda: self._handsets[name].measure(event, done))
        try:
            return done.result(timeout)
        except TimeoutError:
            raise RealmkitError(f"phone {name} did not register again within {timeout:g} s of {event}") from None

    def _act(self, names: Sequence[str], do: Callable[[SimPhone], object]) -> None:
        def act() -> None:
            for name in names or list(self._handsets):
                self._handsets[name].acting(do)

        self._in_loop(act)

    def _in_loop(self, call: Callable[[], T]) -> T:
        if not self.loop.running:
            return call()
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(call())
            except BaseException as error:  # whoever waits gets it
                result.set_exception(error)

        self.loop.hand(run)
        return result.result(30)
