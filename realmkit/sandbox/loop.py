"""One thread that waits for datagrams and timers, and runs everything that it is handed, one thing after another."""

# ruff: noqa: TID251 - this file is a place for sockets

from __future__ import annotations

import heapq
import ipaddress
import itertools
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.clock import Clock

    Datagram = Callable[[bytes, tuple[str, int]], None]

_LARGEST: Final = 65535


class Timer:
    """Something that will run; `cancel()` it if it need not."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not run it. Fine to call twice, or when it has run."""
        self.call = None


class Loop:
    """A thread with UDP sockets and timers. Sockets that it was given are closed with it.

    Args:
        name: of the thread.
        clock: whose `monotonic()` timers go by.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._clock = clock
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._sockets: list[socket.socket] = []
        self._handed: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def running(self) -> bool:
        """Whether its thread is there to run what is handed to it."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; before this nothing runs."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the sockets. Fine to call on a loop that never started."""
        if self._thread.is_alive():
            self.hand(self._end)
            self._thread.join()
        else:
            self._close()

    def hand(self, call: Callable[[], None]) -> None:
        """Run this in the loop's thread, soon. Callable from every thread."""
        self._handed.append(call)
        with suppress(OSError):  # the loop has ended, or is awake a thousand times over
            self._wake.send(b"x")

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Run this in so many seconds. In the loop's thread only, or before it starts."""
        timer = Timer(call)
        heapq.heappush(self._timers, (self._clock.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def udp(self, address: str, port: int, receive: Datagram) -> socket.socket:
        """A UDP socket on loopback, whose datagrams go to `receive`. In the loop's thread only, or before it starts.

        Raises:
            InputError: the address is not loopback, or is taken.
        """
        check_loopback(address)
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            there.bind((address, port))
        except OSError as error:
            there.close()
            raise InputError(f"can't listen on {address} port {port}: {error.strerror}") from error
        there.setblocking(False)
        self._sockets.append(there)
        self._selector.register(there, selectors.EVENT_READ, (there, receive))
        return there

    def _run(self) -> None:
        try:
            while not self._ends:
                for key, _ in self._selector.select(self._patience()):
                    if key.fileobj is self._woken:
                        with suppress(BlockingIOError):
                            self._woken.recv(4096)
                    else:
                        self._receive(*key.data)
                while self._handed:
                    self._handed.popleft()()
                self._run_timers()
        finally:
            self._close()

    @staticmethod
    def _receive(there: socket.socket, receive: Datagram) -> None:
        for _ in range(64):  # then timers get a turn
            try:
                data, source = there.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # an earlier datagram of ours met a closed port
                continue
            receive(data, source)

    def _run_timers(self) -> None:
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                timer.call()

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self._clock.monotonic()) if self._timers else None

    def _end(self) -> None:
        self._ends = True

    def _close(self) -> None:
        for there in (*self._sockets, self._wake, self._woken):
            there.close()
        self._selector.close()


def check_loopback(address: str, who: str = "SIP speaks on IPv4", *, ipv6: bool = False) -> None:
    """Raises InputError, in which `who` is named, unless it is a loopback address, of IPv4 where not said otherwise."""
    try:
        found = ipaddress.ip_address(address)
        loopback = found.is_loopback and (ipv6 or found.version == 4)
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(f"the sandbox's {who} loopback only, not on {address!r}")
