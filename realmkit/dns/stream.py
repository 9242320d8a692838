"""One DNS question over TCP without blocking (RFC 1035 section 4.2.2, RFC 7766), and socket addresses.

TCP is for the rare answer that does not fit a datagram, so each question gets its own connection: a server that
closes, resets or stalls one then spoils no other. The owner watches the socket and calls `advance` when it is ready.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any


class StreamError(Exception):
    """The connection could not be opened, broke, or ended before the answer; the text says how."""


def sockaddr(where: tuple[str, int], kind: socket.SocketKind) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Family and socket address of a numeric address, IPv4 or IPv6 (with its scope: `fe80::1%eth0`).

    Raises:
        OSError: it is no numeric address.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    family, _, _, _, found = socket.getaddrinfo(*where, type=kind, flags=flags)[0]
    return family, found


class Stream:
    """A connection being opened, then carrying one message there and one back.

    Args:
        where: numeric address and port of the server.
        message: the query, with its id.

    Raises:
        StreamError: there is no way to that address.
    """

    __slots__ = ("_in", "_out", "socket")

    def __init__(self, where: tuple[str, int], message: bytes) -> None:
        self._out = len(message).to_bytes(2, "big") + message
        self._in = bytearray()
        try:
            family, place = sockaddr(where, socket.SOCK_STREAM)
            self.socket = socket.socket(family, socket.SOCK_STREAM)  # noqa: TID251 - this is the place
        except OSError as error:
            raise _told(error) from error
        self.socket.setblocking(False)
        code = self.socket.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise _told(OSError(code, os.strerror(code)))

    @property
    def wants_to_write(self) -> bool:
        """Whether to watch for room to write (which is also how a connection tells that it is open)."""
        return bool(self._out)

    def advance(self) -> bytes | None:
        """Send and receive what is possible now; the answer once it is complete.

        Raises:
            StreamError: the connection failed, or ended before the answer was complete.
        """
        try:
            if self._out:
                self._out = self._out[self.socket.send(self._out) :]
            chunk = self.socket.recv(65537)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return None
            raise _told(error) from error
        if not chunk:
            raise StreamError("the server closed the TCP connection without an answer")
        self._in += chunk
        end = 2 + int.from_bytes(self._in[:2], "big")
        return bytes(self._in[2:end]) if 2 <= end <= len(self._in) and len(self._in) > 2 else None


def _told(error: OSError) -> StreamError:
    if error.errno == errno.ECONNREFUSED:
        return StreamError("TCP connection refused")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return StreamError("the server reset the TCP connection")
    return StreamError(f"over TCP: {error.strerror or error}")
