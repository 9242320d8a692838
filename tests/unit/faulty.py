"""A small name server that does what a test tells it, over UDP and TCP, in a thread of its own."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from realmkit.dns.asking.query import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # Given the request and how many came before it, what to send back: octets, or seconds to wait before the next.
    Handler = Callable[[bytes, int], Iterable[bytes | float]]


def answer(request: bytes, *addresses: str, rcode: int = 0, aa: bool = True, tc: bool = False) -> bytes:
    """A well-formed answer, made by dnspython: A records if the question is for A."""
    query = dns.message.from_wire(request)
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.Rcode.make(rcode))
    response.flags |= (dns.flags.AA if aa else 0) | (dns.flags.TC if tc else 0)
    if addresses and not tc:
        response.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", *addresses))
    return response.to_wire()


def right(request: bytes, _number: int) -> Iterable[bytes]:
    """Answers every question with 192.0.2.1."""
    return (answer(request, "192.0.2.1"),)


def truncated(request: bytes, _number: int) -> Iterable[bytes]:
    """Sets TC on everything."""
    return (answer(request, tc=True),)


class Faulty:
    """A server on a free port of loopback.

    Args:
        handler: what it does over UDP.
        tcp: what it does over TCP, where the octets are sent as they are (with the length put before them), and
            after which the connection is closed; None does not listen.
        address: where it listens. `port`: likewise, 0 for any.

    Attributes:
        requests: every datagram it got, with its source port and when it came.
    """

    def __init__(self, handler: Handler, tcp: Handler | None = None, address: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._tcp_handler = tcp
        self.requests: list[tuple[bytes, int, float]] = []
        self.tcp_requests: list[bytes] = []
        self._udp, self._tcp = _pair(address, port)
        self.port = self._udp.getsockname()[1]
        if tcp is None:
            self._tcp.close()
        else:
            self._tcp.listen(64)
        self.server = Server(address, self.port)
        self._stop, self._stopped = socket.socketpair()
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        for thread in self._threads:
            thread.join()
        for one in (self._tcp, self._udp, self._stop, self._stopped):
            one.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._udp, self._stopped):
                selector.register(one, selectors.EVENT_READ)
            if self._tcp_handler is not None:
                selector.register(self._tcp, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._stopped:
                        return
                    if key.fileobj is self._udp:
                        self._answer_datagram()
                    else:
                        connection, _ = self._tcp.accept()
                        thread = threading.Thread(target=self._answer_stream, args=(connection,))
                        self._threads.append(thread)
                        thread.start()

    def _answer_datagram(self) -> None:
        request, source = self._udp.recvfrom(4096)
        self.requests.append((request, source[1], time.monotonic()))
        for part in self._handler(request, len(self.requests) - 1):
            if isinstance(part, bytes):
                self._udp.sendto(part, source)
            else:
                time.sleep(part)

    def _answer_stream(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # a client may leave at any moment
            connection.settimeout(5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = b""
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                chunk = connection.recv(4096)
                if not chunk:
                    return
                data += chunk
            self.tcp_requests.append(data[2:])
            assert self._tcp_handler is not None
            for part in self._tcp_handler(data[2:], len(self.tcp_requests) - 1):
                if isinstance(part, bytes):
                    connection.sendall(part)
                else:
                    time.sleep(part)


def _pair(address: str, port: int = 0) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket bound to the same port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        try:
            udp.bind((address, port))
            tcp.bind((address, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            if port:
                raise
        else:
            return udp, tcp


def framed(message: bytes) -> bytes:
    """A message with its two octets of length."""
    return len(message).to_bytes(2, "big") + message


def free_port() -> int:
    """A port on which nothing listens, for a moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
