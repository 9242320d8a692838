"""One name server as the asking side sees it: its address, its sockets, what is in flight, and how it behaves."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns.exchange import Failure, Outcome, Server
from realmkit.dns.names import Name
from realmkit.dns.records import Type
from realmkit.dns.stream import Stream, sockaddr

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEAD_TRIES: Final = 3
_RECEIVE_BUFFER: Final = 4 << 20  # octets; the kernel may grant less


class Query(Struct, eq=False):
    """One question on its way.

    Attributes:
        server: whom to ask; several may share a line.
        line: the server's line.
        name: the name asked for.
        type: the type asked for.
        message: the query without its id.
        question: the part of it that an answer must echo.
        slots: for each UDP try, where its answer is waited for, by which id, and when it was sent.
        tries: how often it was sent.
        failure: the first error of its socket, met at try `failed_try`.
        junk: datagrams with its id that did not echo the question.
        flying: in flight, not waiting in a queue.
        done: its reply is given; whoever still holds it drops it.
        tcp: over TCP from now on, on `stream`.
    """

    server: Server
    line: Line
    name: Name
    type: Type
    message: bytes
    question: bytes
    slots: list[tuple[dict[bytes, Query], bytes, float]] = []
    tries: int = 0
    failure: Failure | None = None
    failed_try: int = 0
    junk: int = 0
    flying: bool = False
    done: bool = False
    tcp: bool = False
    stream: Stream | None = None

    def sent_at(self, ident: bytes) -> float:
        """When the UDP try with that id was sent."""
        slots = self.slots
        return slots[0][2] if len(slots) == 1 else next(sent for _, known, sent in slots if known == ident)

    def echoed_by(self, data: bytes) -> bool:
        """Whether `data` is a response to this question, octet for octet.

        A server that understood nothing, or wants nothing to do with us, may leave the question out; such an answer
        says nothing about records, so it is taken by its id alone.
        """
        if len(data) < 12 or data[2] & 0xF8 != 0x80:  # QR set, opcode QUERY
            return False
        if data[12 : 12 + len(self.question)] == self.question:
            return data[4:6] == b"\0\1"
        return data[4:6] == b"\0\0" and data[3] & 0xF in (1, 2, 4, 5)  # FORMERR, SERVFAIL, NOTIMP, REFUSED

    def release(self) -> None:
        """Wait no longer for an answer to any UDP try."""
        for pending, ident, _ in self.slots:
            pending.pop(ident, None)
        self.slots.clear()


class Health:
    """Counts dead tries in a row, each sent after the one before it had died and after the last sign of life.

    Two hundred questions lost in one hiccup are therefore one dead try, and a lost datagram among answers is none.

    Attributes:
        failure: set once the server is down.
    """

    __slots__ = ("_dead", "_reason", "_since", "failure")

    def __init__(self) -> None:
        self._dead = 0
        self._since = 0.0
        self._reason: Failure | None = None
        self.failure: Failure | None = None

    def alive(self, now: float) -> None:
        """Something came back."""
        self._dead = 0
        self._since = now
        self._reason = None

    def died(self, sent: float, now: float, reason: Failure) -> None:
        """Count a try that was sent at `sent` in vain. Of several reasons the one that says more is kept."""
        if sent <= self._since or self.failure is not None:
            return
        self._dead += 1
        self._since = now
        if self._reason is None or reason.outcome is not Outcome.TIMEOUT:
            self._reason = reason
        if self._dead >= _DEAD_TRIES:
            outcome, detail = self._reason
            self.failure = Failure(outcome, f"server marked down: {_DEAD_TRIES} dead tries in a row ({detail})")


class Idents:
    """Message ids of two random octets, from the kernel's generator."""

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool: list[bytes] = []

    def fresh(self, taken: Mapping[bytes, Query]) -> bytes:
        """An id that is not taken."""
        while True:
            if not self._pool:
                octets = os.urandom(2048)
                self._pool = [octets[i : i + 2] for i in range(0, len(octets), 2)]
            ident = self._pool.pop()
            if ident not in taken:
                return ident


class Channel:
    """A connected UDP socket on a port of the kernel's choice, and the ids that are waited for on it.

    Args:
        line: the server's.

    Raises:
        OSError: the server's address can't be reached from here, or is none.
    """

    __slots__ = ("line", "pending", "send", "socket")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.pending: dict[bytes, Query] = {}
        family, where = sockaddr(line.where, socket.SOCK_DGRAM)
        self.socket = socket.socket(family, socket.SOCK_DGRAM)  # noqa: TID251 - this is the place
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self.socket.setblocking(False)
            self.socket.connect(where)
        except OSError:
            self.socket.close()
            raise
        self.send = self.socket.send

    def waiting(self) -> list[Query]:
        """The questions that are in flight on this socket, each once."""
        return [query for query in dict.fromkeys(self.pending.values()) if query.flying]


class Line:
    """All that concerns one server address, however many labels it has.

    Args:
        where: address and port.
        burst: tokens to begin with.
        now: monotonic seconds.

    Attributes:
        queue: questions that wait to be sent over UDP. `tcp_queue`: likewise over TCP.
        flying: questions in flight over UDP. `streams`: over TCP.
        asleep: out of tokens; somebody will wake it.
    """

    __slots__ = (
        "asleep", "channels", "filled", "flying", "health", "queue", "streams", "tcp_health", "tcp_queue", "tokens",
        "turn", "where",
    )  # fmt: skip

    def __init__(self, where: tuple[str, int], burst: int, now: float) -> None:
        self.where = where
        self.queue: deque[Query] = deque()
        self.tcp_queue: deque[Query] = deque()
        self.flying = 0
        self.streams: dict[Query, None] = {}
        self.channels: list[Channel] = []
        self.turn = 0
        self.tokens = float(burst)
        self.filled = now
        self.asleep = False
        self.health, self.tcp_health = Health(), Health()

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight and nothing waits."""
        return not (self.flying or self.streams or self.queue or self.tcp_queue)

    def take_token(self, rate: float, burst: int, now: float) -> float:
        """Take one; 0 if there was one, else the seconds until there is."""
        self.tokens = min(float(burst), self.tokens + (now - self.filled) * rate)
        self.filled = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / rate

    def open_over_udp(self) -> list[Query]:
        """Every question that waits or is in flight over UDP."""
        flying = [query for channel in self.channels for query in channel.waiting()]
        return [query for query in dict.fromkeys([*flying, *self.queue]) if not query.tcp and not query.done]

    def open_over_tcp(self) -> list[Query]:
        """Every question that waits or is in flight over TCP."""
        return [*self.streams, *(query for query in self.tcp_queue if not query.done)]
