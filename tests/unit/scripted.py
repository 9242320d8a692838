"""A name server on loopback that sends, octet for octet, what a test writes down for it."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, BinaryIO, Self

from realmkit.dns import wire
from realmkit.dns.asking.exchange import Server
from realmkit.dns.primary.writer import ANSWER, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.wire import Record

Script = list[bytes]  # messages without their ids


def answer(zone: Name, records: Iterable[Record], kind: int = wire.AXFR, rcode: int = 0) -> bytes:
    """One message of an answer, without its id."""
    writer = Writer(0, wire.QR | wire.AA | rcode)
    writer.question(zone, kind)
    for record in records:
        writer.record(ANSWER, record)
    return writer.to_bytes()[2:]


class Scripted:
    """Answers each TCP connection's one request from the next script, then closes; a context manager.

    Attributes:
        requests: what was asked, message by message.
        where: its address.
    """

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._scripts: list[Callable[[bytes], Iterable[bytes]]] = []
        self._failed: Exception | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = Server(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._serve)

    def will(self, *scripts: Script | Callable[[bytes], Iterable[bytes]]) -> None:
        """Take these scripts for the next connections: messages without ids, or a function of the request that gives
        octets as they go over the wire."""
        self._scripts = [one if callable(one) else _framed(one) for one in scripts]
        self.requests.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        if self._failed:
            raise self._failed

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            try:
                with link, link.makefile("rb") as stream:
                    self._answer(link, stream)
            except Exception as error:  # kept for the test that caused it
                self._failed = error

    def _answer(self, link: socket.socket, stream: BinaryIO) -> None:
        (size,) = struct.unpack("!H", stream.read(2))
        request = stream.read(size)
        self.requests.append(request)
        for octets in self._scripts.pop(0)(request):
            link.sendall(octets)


def _framed(messages: Script) -> Callable[[bytes], Iterable[bytes]]:
    return lambda request: [(len(one) + 2).to_bytes(2, "big") + request[:2] + one for one in messages]
