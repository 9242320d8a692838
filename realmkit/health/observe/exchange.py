"""Single messages that `query.ask` does not send, and the first message that answers each.

The beginning of a transfer, an SOA over TCP, unknown EDNS: each has a socket of its own, and many are on their way at
once, in one thread.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from realmkit.dns.asking.stream import sockaddr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.health.observe.surroundings import Surroundings

_AT_ONCE: Final = 200  # well below the usual limit of 1,024 descriptors
_AT_ONE_SERVER: Final = 8
_DEAD: Final = 3  # that many in vain in a row, and no more is tried there


class Probe(NamedTuple):
    """A message, without its id, and where to send it."""

    server: Server
    message: bytes
    tcp: bool = False


class Said(NamedTuple):
    """How one probe ended.

    Attributes:
        how: an `answer`; the server kept `silent`; `closed` the connection without an answer; nothing listens on that
            port (`refused`); it is `unreachable` from here; or the run's deadline was first (`late`).
        octets: the answer, with its id.
        detail: why there is none, for a person.
    """

    how: Literal["answer", "silent", "closed", "refused", "unreachable", "late"]
    octets: bytes = b""
    detail: str = ""


def exchange(probes: Sequence[Probe], surroundings: Surroundings) -> list[Said]:
    """Send all probes and wait for the first message that answers each.

    Args:
        probes: any number.
        surroundings: manners (tries, waits, rate for each server address) and the deadline.

    Returns:
        One result for each, in their order.
    """
    run = _Run(probes, surroundings)
    try:
        return run.run()
    finally:
        run.close()


class _Flight:
    """One probe on its way."""

    def __init__(self, position: int, probe: Probe) -> None:
        self.position = position
        self.probe = probe
        self.tries = 0
        self.due = 0.0
        self.ident = os.urandom(2)
        self.buffer = b""
        self.sent = False
        kind = socket.SOCK_STREAM if probe.tcp else socket.SOCK_DGRAM
        family, place = sockaddr((probe.server.address, probe.server.port), kind)
        self.socket = socket.socket(family, kind)  # noqa: TID251 - this is the place
        self.socket.setblocking(False)
        code = self.socket.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(code, os.strerror(code))

    @property
    def message(self) -> bytes:
        whole = self.ident + self.probe.message
        return len(whole).to_bytes(2, "big") + whole if self.probe.tcp else whole

    def check(self) -> None:
        """Raise what went wrong while the socket connected."""
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def send(self) -> None:
        self.tries += 1
        self.sent = True
        self.socket.send(self.message)

    def receive(self) -> Said | None:
        """What has come; None while it is no answer to this probe."""
        chunk = self.socket.recv(65537)
        if not self.probe.tcp:
            return Said("answer", chunk) if self._fits(chunk) else None
        if not chunk:
            return Said("closed", detail="the server closed the TCP connection without an answer")
        self.buffer += chunk
        end = 2 + int.from_bytes(self.buffer[:2], "big")
        if len(self.buffer) < max(end, 14):
            return None
        octets = self.buffer[2:end]
        return Said("answer", octets) if self._fits(octets) else Said("closed", detail="what came is no answer")

    def _fits(self, octets: bytes) -> bool:
        """Whether it is a response with our id that echoes the question, or has none."""
        if len(octets) < 12 or octets[:2] != self.ident or not octets[2] & 0x80:
            return False
        end = _question_end(self.probe.message)
        return octets[4:6] == b"\0\0" or octets[12 : end + 2].lower() == self.probe.message[10:end].lower()


def _question_end(message: bytes) -> int:
    """Where the question of a message without id ends."""
    offset = 10
    while message[offset]:
        offset += 1 + message[offset]
    return offset + 5


class _Line:
    """What waits for one address over one transport, and how it behaves."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.flying = 0
        self.vain = 0
        self.last = Said("silent")

    @property
    def most(self) -> int:
        """How many may be on their way: where one was in vain, no more than one."""
        return 1 if self.vain else _AT_ONE_SERVER


class _Run:
    """One call of `exchange`."""

    def __init__(self, probes: Sequence[Probe], surroundings: Surroundings) -> None:
        self.probes = probes
        self.around = surroundings
        self.options = surroundings.options
        self.results: dict[int, Said] = {}
        self.lines: dict[tuple[str, int, bool], _Line] = {}
        self.flights: set[_Flight] = set()
        self.free: dict[str, float] = {}  # when the rate of an address lets the next message go, less the burst
        self.selector = selectors.DefaultSelector()
        for position, probe in enumerate(probes):
            self._line(probe).waiting.append(position)

    def run(self) -> list[Said]:
        while len(self.results) < len(self.probes):
            if self.around.left() == 0.0:
                late = Said("late", detail="the run's deadline passed")
                return [self.results.get(position, late) for position in range(len(self.probes))]
            pause = self._start()
            if self.flights or pause is not None:
                self._wait(pause)
        return [self.results[position] for position in range(len(self.probes))]

    def close(self) -> None:
        for flight in self.flights:
            flight.socket.close()
        self.selector.close()

    def _line(self, probe: Probe) -> _Line:
        where = (probe.server.address, probe.server.port, probe.tcp)
        return self.lines.setdefault(where, _Line())

    # --- sending -------------------------------------------------------------------------------------------------

    def _start(self) -> float | None:
        """Start whatever may start now; seconds until the rate lets more go, None if that is not what they wait for."""
        pauses = []
        for line in self.lines.values():
            while line.waiting and line.flying < line.most and len(self.flights) < _AT_ONCE:
                if line.vain >= _DEAD:
                    self.results[line.waiting.popleft()] = line.last
                    continue
                wait = self._pace(self.probes[line.waiting[0]].server.address)
                if wait:
                    pauses.append(wait)
                    break
                self._launch(line, line.waiting.popleft())
        return min(pauses, default=None)

    def _pace(self, address: str) -> float:
        """Take a token of an address; 0 if there was one, else the seconds until there is."""
        rate = self.options.rate_of(address)
        if rate is None:
            return 0.0
        now = self.around.clock.monotonic()
        free = self.free.get(address, now)
        wait = free - (self.options.burst - 1) / rate - now
        if wait > 0:
            return wait
        self.free[address] = max(free, now) + 1 / rate
        return 0.0

    def _launch(self, line: _Line, position: int) -> None:
        try:
            flight = _Flight(position, self.probes[position])
        except OSError as error:
            self.results[position] = _told(error)
            return
        line.flying += 1
        self.flights.add(flight)
        flight.due = self._due(flight)
        self.selector.register(flight.socket, selectors.EVENT_WRITE, flight)

    def _due(self, flight: _Flight) -> float:
        waits = self.options.timeouts
        wait = max(waits) if flight.probe.tcp else waits[min(flight.tries, len(waits) - 1)]
        return self.around.clock.monotonic() + wait

    # --- receiving -----------------------------------------------------------------------------------------------

    def _wait(self, pause: float | None) -> None:
        now = self.around.clock.monotonic()
        ends = [pause, self.around.left(), *(flight.due - now for flight in self.flights)]
        for key, _ in self.selector.select(max(0.0, min(end for end in ends if end is not None))):
            self._ready(key.data)
        now = self.around.clock.monotonic()
        for flight in [one for one in self.flights if one.due <= now]:
            self._expired(flight)

    def _ready(self, flight: _Flight) -> None:
        try:
            if not flight.sent:
                flight.check()
                flight.send()
                self.selector.modify(flight.socket, selectors.EVENT_READ, flight)
                return
            said = flight.receive()
        except BlockingIOError:
            return
        except OSError as error:
            said = _told(error)
        if said is not None:
            self._land(flight, said)

    def _expired(self, flight: _Flight) -> None:
        probe = flight.probe
        if not probe.tcp and flight.tries < len(self.options.timeouts):
            flight.due = self._due(flight)
            try:
                flight.send()
            except OSError as error:
                self._land(flight, _told(error))
            return
        words = f"no answer over TCP in {max(self.options.timeouts):g} s" if probe.tcp else "no answer"
        self._land(flight, Said("silent", detail=words))

    def _land(self, flight: _Flight, said: Said) -> None:
        line = self._line(flight.probe)
        line.flying -= 1
        line.vain = 0 if said.how in ("answer", "closed") else line.vain + 1
        line.last = said
        self.results[flight.position] = said
        self.flights.discard(flight)
        self.selector.unregister(flight.socket)
        flight.socket.close()


def _told(error: OSError) -> Said:
    if error.errno == errno.ECONNREFUSED:
        return Said("refused", detail="nothing listens on that port")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return Said("closed", detail="the server reset the TCP connection")
    return Said("unreachable", detail=(error.strerror or str(error)).lower())
