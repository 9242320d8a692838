"""A path to a real name server on which things go wrong: loss, delay, forgers, and boxes that dislike EDNS or TCP."""

from __future__ import annotations

import heapq
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from realmkit.dns.asking.query import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TcpFault = Literal["none", "refused", "silent", "one a connection", "reset"]


class Sent(NamedTuple):
    """A datagram for the client.

    Attributes:
        data: its octets.
        after: seconds to wait before.
        source: the address that it comes from; empty for the one that was asked.
    """

    data: bytes
    after: float = 0.0
    source: str = ""


def keep(_request: bytes) -> bool:
    """Lets every request through."""
    return True


def as_it_is(_request: bytes, answer: bytes) -> Iterable[Sent]:
    """Hands every answer on."""
    return (Sent(answer),)


def pair() -> tuple[socket.socket, socket.socket]:
    """A listening TCP and a UDP socket on one port that is free for both."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp


class Path:
    """Listens on a port of 127.0.0.1 and talks to a real server; a context manager.

    Args:
        upstream: address and port of the real server.
        request: which datagrams get through to it.
        answer: what the client gets for each answer of it.
        tcp: what goes wrong with TCP.

    Attributes:
        asked: the datagrams that came. `connections`, `streamed`: TCP connections and messages likewise.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        request: Callable[[bytes], bool] = keep,
        answer: Callable[[bytes, bytes], Iterable[Sent]] = as_it_is,
        tcp: TcpFault = "none",
    ) -> None:
        self._upstream, self._request, self._answer, self._fault = upstream, request, answer, tcp
        self.asked: list[bytes] = []
        self.streamed: list[bytes] = []
        self.connections = 0
        tcp_socket, self._udp = pair()
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.server = Server(*self._udp.getsockname())
        self._tcp = tcp_socket if tcp != "refused" else None
        if tcp == "refused":
            tcp_socket.close()
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        self._threads[0].join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # all are sockets
        for one in (self._stop, *self._open):
            one.close()
        self._selector.close()

    def _serve(self) -> None:
        for one in (self._udp, self._stopped, *([self._tcp] if self._tcp else [])):
            self._selector.register(one, selectors.EVENT_READ, None)
        while True:
            pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _ in self._selector.select(pause):
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._tcp:
                    self._accept()
                elif key.fileobj is self._udp:
                    self._from_client()
                else:
                    self._from_server(key)
            while self._timers and self._timers[0][0] <= time.monotonic():
                _, _, data, client = heapq.heappop(self._timers)
                self._udp.sendto(data, client)

    def _from_client(self) -> None:
        with suppress(ConnectionRefusedError):  # a client that is gone
            data, client = self._udp.recvfrom(4096)
            self.asked.append(data)
            if self._request(data):
                link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                link.connect(self._upstream)
                link.send(data)
                self._selector.register(link, selectors.EVENT_READ, (data, client))

    def _from_server(self, key: selectors.SelectorKey) -> None:
        request, client = key.data
        link = key.fileobj
        assert isinstance(link, socket.socket)
        self._selector.unregister(link)
        with link:
            answer = link.recv(65535)
        for number, one in enumerate(self._answer(request, answer)):
            if one.source:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                    elsewhere.bind((one.source, 0))
                    elsewhere.sendto(one.data, client)
            else:
                due = time.monotonic() + one.after
                heapq.heappush(self._timers, (due, number + len(self.asked) * 100, one.data, client))

    def _accept(self) -> None:
        assert self._tcp is not None
        connection, _ = self._tcp.accept()
        self.connections += 1
        if self._fault == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            return
        self._open.append(connection)
        if self._fault != "silent":
            thread = threading.Thread(target=self._relay, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _relay(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError), socket.create_connection(self._upstream) as link:
            while True:
                request = _message(connection)
                self.streamed.append(request[2:])
                link.sendall(request)
                connection.sendall(_message(link))
                if self._fault == "one a connection":
                    connection.shutdown(socket.SHUT_RDWR)
                    return


def _message(connection: socket.socket) -> bytes:
    """One message with its length before it. Raises EOFError at the end."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        wanted = 2 if len(data) < 2 else 2 + int.from_bytes(data[:2], "big")
        chunk = connection.recv(wanted - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
