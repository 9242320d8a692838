"""A TCP connection that carries many DNS questions without blocking (RFC 7766), and socket addresses.

Questions go out one behind the other, answers come back in any order, each with its length before it (RFC 1035
section 4.2.2). The owner watches the socket, calls `advance` when it is ready, and decides what a break means for
what was in flight.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
_CHUNK: Final = 65537  # octets read at once: the longest message and more


class StreamError(Exception):
    """The connection could not be opened; the text says why."""


def sockaddr(where: tuple[str, int], kind: socket.SocketKind) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Family and socket address of a numeric address, IPv4 or IPv6 (with its scope: `fe80::1%eth0`).

    Raises:
        OSError: it is no numeric address.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    family, _, _, _, found = socket.getaddrinfo(*where, type=kind, flags=flags)[0]
    return family, found


class Stream(Generic[T]):
    """A connection that is being opened or open.

    Args:
        where: numeric address and port of the server.
        now: monotonic seconds.

    Attributes:
        pending: who waits for an answer, by id.
        answered: how many answers came. `heard`: when the last one did, or when the connection was begun.
        depth: how many questions may be in flight: one until the server has shown that it reads on.
        broken: why it is of no use any more; empty while it is.
        watched: the events that the owner's selector watches for.

    Raises:
        StreamError: there is no way to that address.
    """

    __slots__ = ("_in", "_out", "answered", "broken", "depth", "heard", "pending", "socket", "watched")

    def __init__(self, where: tuple[str, int], now: float) -> None:
        self._out = bytearray()
        self._in = bytearray()
        self.pending: dict[bytes, T] = {}
        self.answered = 0
        self.heard = now
        self.depth = 1
        self.broken = ""
        self.watched = 0
        try:
            family, place = sockaddr(where, socket.SOCK_STREAM)
            self.socket = socket.socket(family, socket.SOCK_STREAM)  # noqa: TID251 - this is the place
        except OSError as error:
            raise StreamError(_words(error)) from error
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each small batch waits for the last ACK
        code = self.socket.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise StreamError(_words(OSError(code, os.strerror(code))))

    @property
    def wants_to_write(self) -> bool:
        """Whether to watch for room to write (which is also how a connection tells that it is open)."""
        return bool(self._out)

    def put(self, message: bytes) -> None:
        """Have a message sent, when `advance` or `flush` is called."""
        self._out += len(message).to_bytes(2, "big") + message

    def flush(self) -> None:
        """Send what can be sent now. A break is told by `broken`."""
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # being opened
                self.broken = self.broken or _words(error)

    def advance(self) -> list[bytes]:
        """Send and receive what is possible now; the messages that are complete. A break is told by `broken`."""
        self.flush()
        try:
            chunk = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self.broken = self.broken or _words(error)
            return []
        if not chunk:
            self.broken = self.broken or "the server closed the TCP connection without an answer"
            return []
        self.broken = ""  # what it sent before it broke off is still to be read; the next call tells
        self._in += chunk
        return self._take()

    def _take(self) -> list[bytes]:
        """Cut the complete messages out of what was received."""
        found = []
        start, buffer = 0, self._in
        while len(buffer) - start > 2:
            end = start + 2 + (buffer[start] << 8 | buffer[start + 1])
            if end > len(buffer):
                break
            found.append(bytes(buffer[start + 2 : end]))
            start = end
        del buffer[:start]
        return found


def _words(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return "TCP connection refused"
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "the server reset the TCP connection"
    return f"over TCP: {error.strerror or error}"
