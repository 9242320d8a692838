"""One name server as the asking side sees it: its address, its sockets, what is in flight, and whether it is alive."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from realmkit.dns.asking.conduct import Conduct, Pace
from realmkit.dns.asking.exchange import Failure, Options, Outcome, Place, Server
from realmkit.dns.asking.stream import Stream, sockaddr
from realmkit.dns.names import Name
from realmkit.dns.records import Type

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_DEAD_TRIES: Final = 3
_RECEIVE_BUFFER: Final = 4 << 20  # octets; the kernel may grant less
_CASE_BITS: Final = bytes(0x20 if chr(octet).isalpha() and octet < 0x80 else 0 for octet in range(256))
_BARE: Final = (1, 2, 4, 5)  # FORMERR, SERVFAIL, NOTIMP, REFUSED


class Query(Struct, eq=False, gc=False):
    """One question on its way.

    Python's collector does not look into it: what refers to it in a circle is emptied in the end by `Line.close`.

    Attributes:
        server: whom to ask; several may share a line.
        line: the server's line.
        name: the name asked for.
        type: the type asked for.
        question: what an answer must echo: name as it was sent, type, class.
        plain: asked without EDNS.
        pending: where the answer to the last try is waited for, by `ident`; it was sent at `sent`.
        older: likewise for the UDP tries before.
        tries: how many of its UDP tries are used up.
        sends: how often it was sent at all.
        failure: the first error of its socket, met at try `failed_try`.
        junk: datagrams with its id that did not echo the question.
        flying: in flight, not waiting in a queue.
        done: its reply is given; whoever still holds it drops it.
        tcp: over TCP from now on, on `stream`, and why. `cut`: the answer over UDP had TC. `silent`: there was none.
        slip: when the try was sent whose answer had TC and was empty, as from a server that limits its answers.
        silent: its tries with EDNS were in vain, and it is `plain` for that reason.
        resent: how often its connection broke through no fault of its own.
    """

    server: Server
    line: Line
    name: Name
    type: Type
    question: bytes
    plain: bool = False
    pending: dict[bytes, Query] | None = None
    ident: bytes = b""
    sent: float = 0.0
    older: list[tuple[dict[bytes, Query], bytes, float]] | None = None
    tries: int = 0
    sends: int = 0
    failure: Failure | None = None
    failed_try: int = 0
    junk: int = 0
    flying: bool = False
    done: bool = False
    tcp: Literal["", "asked", "cut", "silent"] = ""
    stream: Stream[Query] | None = None
    slip: float | None = None
    silent: bool = False
    resent: int = 0

    def expect(self, pending: dict[bytes, Query], ident: bytes, now: float) -> None:
        """Wait for the answer to a try that is sent now, and still for those to earlier ones."""
        if self.pending is not None:
            older = (self.pending, self.ident, self.sent)
            self.older = [older] if self.older is None else [*self.older, older]
        pending[ident] = self
        self.pending = pending
        self.ident = ident
        self.sent = now
        self.flying = True
        self.sends += 1

    def sent_at(self, ident: bytes) -> float:
        """When the try with that id was sent."""
        if ident != self.ident and self.older is not None:
            return next((sent for _, known, sent in self.older if known == ident), self.sent)
        return self.sent

    def echo(self, data: bytes) -> Literal["exact", "other case", "bare", ""]:
        """How `data` gives the question back; empty if it is no response to it.

        A server that understood nothing, or wants nothing to do with us, may leave the question out; such an answer
        says nothing about records, so it is taken by its id alone.
        """
        if len(data) < 12 or data[2] & 0xF8 != 0x80:  # QR set, opcode QUERY
            return ""
        if data[4:6] == b"\0\1":
            question = self.question
            back = data[12 : 12 + len(question)]
            if back == question:
                return "exact"
            same = back[:-4].lower() == question[:-4].lower() and back[-4:] == question[-4:]
            return "other case" if same else ""
        return "bare" if data[4:6] == b"\0\0" and data[3] & 0xF in _BARE else ""

    def release(self) -> None:
        """Wait no longer for an answer to any try."""
        if self.pending is not None:
            self.pending.pop(self.ident, None)
            self.pending = None
        if self.older is not None:
            for pending, ident, _ in self.older:
                pending.pop(ident, None)
            self.older = None


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

    def revive(self, now: float) -> None:
        """It is to be tried in another way before it is called down."""
        self.failure = None
        self.alive(now)

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


class Dice:
    """Random octets from the kernel's generator, drawn in large pieces, each used once."""

    __slots__ = ("_idents",)

    def __init__(self) -> None:
        self._idents: list[bytes] = []

    def ident(self, taken: Container[bytes]) -> bytes:
        """A message id of two random octets that is not taken."""
        pool = self._idents
        while True:
            if not pool:
                octets = os.urandom(2048)
                pool.extend([octets[at : at + 2] for at in range(0, len(octets), 2)])
            ident = pool.pop()
            if ident not in taken:
                return ident

    def mixed(self, names: Sequence[Name]) -> list[bytes]:
        """The names with each letter in a random case; octets of length are never letters.

        All at once: arithmetic on one large number costs half of that on many small ones.
        """
        whole = b"".join(names)
        size = len(whole)
        letters = int.from_bytes(whole.translate(_CASE_BITS), "big")
        number = int.from_bytes(whole, "big") ^ (letters & int.from_bytes(os.urandom(size), "big"))
        whole = number.to_bytes(size, "big")
        found = []
        at = 0
        for name in names:
            end = at + len(name)
            found.append(whole[at:end])
            at = end
        return found


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
        return [query for query in dict.fromkeys(self.pending.values()) if query.flying and not query.tcp]


class Line:
    """All that concerns one server address, however many labels it has.

    Args:
        where: address and port.
        options: manners.
        now: monotonic seconds.

    Attributes:
        queue: questions that wait to be sent over UDP. `tcp_queue`: likewise over TCP.
        flying: questions in flight over UDP. `streams`: open TCP connections.
        pace: how fast it is asked, over TCP too as long as `tcp_pace` is the same.
        single: the server takes one question a connection.
    """

    __slots__ = (
        "channels", "conduct", "flying", "health", "pace", "queue", "single", "streams", "tcp_health",
        "tcp_pace", "tcp_queue", "turn", "where",
    )  # fmt: skip

    def __init__(self, where: Place, options: Options, now: float) -> None:
        self.where = where
        self.queue: deque[Query] = deque()
        self.tcp_queue: deque[Query] = deque()
        self.flying = 0
        self.streams: list[Stream[Query]] = []
        self.single = False
        self.channels: list[Channel] = []
        self.turn = 0
        self.pace = self.tcp_pace = Pace(options.rate_of(where[0]), options.burst, now)
        self.conduct = Conduct(edns=options.payload is not None, mix_case=options.mix_case)
        self.health, self.tcp_health = Health(), Health()

    def open_over_udp(self) -> list[Query]:
        """Every question that waits or is in flight over UDP."""
        flying = [query for channel in self.channels for query in channel.waiting()]
        return [query for query in dict.fromkeys([*flying, *self.queue]) if not query.tcp and not query.done]

    def open_over_tcp(self) -> list[Query]:
        """Every question that waits or is in flight over TCP."""
        flying = [query for stream in self.streams for query in stream.pending.values()]
        return [query for query in dict.fromkeys([*flying, *self.tcp_queue]) if not query.done]

    def close(self) -> None:
        """Close all sockets and forget all questions."""
        for channel in self.channels:
            channel.pending.clear()
            channel.socket.close()
        for stream in self.streams:
            stream.pending.clear()
            stream.socket.close()
        self.queue.clear()
        self.tcp_queue.clear()
