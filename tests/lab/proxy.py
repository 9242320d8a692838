"""A proxy between a client and a real server that goes wrong on purpose.

One object listens on TCP and UDP and hands everything on until `fault` is set. A fault strikes the requests that its
`when` picks, for example only the PATCH after the GET, or only the UPDATE after the SOA query.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        kind: `drop` swallows the request; `delay` waits `seconds` first; `lose` hands the request on, waits until the
            server answers and keeps the answer; `cut` ends the answer after `octets`; `reset` closes the connection
            with RST before anything is handed on. For DNS over UDP also `rcode` (answers with that code itself),
            `truncate` (sets TC, no answer section) and `wrong-id`.
        when: picks the requests that it strikes, by their first octets on the wire (over TCP, DNS messages have their
            two octets of length first).
        seconds: for `delay`.
        octets: for `cut`.
        rcode: for `rcode`.
    """

    kind: Literal["drop", "delay", "lose", "cut", "reset", "rcode", "truncate", "wrong-id"]
    when: Callable[[bytes], bool] = lambda _request: True
    seconds: float = 0.0
    octets: int = 0
    rcode: int = 2


def http_method(method: str) -> Callable[[bytes], bool]:
    """Picks HTTP requests of that method."""
    return lambda request: request.startswith(method.encode() + b" ")


def dns_update(request: bytes) -> bool:
    """Picks DNS UPDATE messages over TCP (RFC 2136: opcode 5)."""
    return len(request) > 4 and (request[4] >> 3) & 15 == 5


class Proxy:
    """Listens on `address` (port 0: any free one) and talks to `upstream`; a context manager.

    Attributes:
        fault: what goes wrong from now on; None for nothing.
        hits: how often a fault struck.
        requests: every request that was seen, as the client sent it (over TCP, several on one connection are told
            apart by the answers between them).
    """

    def __init__(self, upstream: Address, address: str = "127.0.0.1", port: int = 0) -> None:
        self.upstream = upstream
        self.fault: Fault | None = None
        self.hits = 0
        self.requests: list[bytes] = []
        self._tcp = socket.create_server((address, port))
        self.address, self.port = self._tcp.getsockname()[:2]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        transport, _ = await self._loop.create_datagram_endpoint(lambda: _Udp(self), sock=self._udp)
        server = await asyncio.start_server(self._connection, sock=self._tcp)
        await self._stopping.wait()
        server.close()
        transport.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports finish closing

    def strikes(self, request: bytes) -> Fault | None:
        """The fault that strikes this request, counted; the request is noted."""
        self.requests.append(request)
        fault = self.fault
        if fault is None or not fault.when(request):
            return None
        self.hits += 1
        return fault

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            _reset(writer)
            return
        link = _Link(self, reader, writer, upstream_reader, upstream_writer)
        try:
            await link.run()
        finally:
            for end in (writer, upstream_writer):
                end.close()


class _Link:
    """One TCP connection through the proxy. The fault of the latest request decides what happens to its answer."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        self.proxy = proxy
        self.reader, self.writer = reader, writer
        self.upstream_reader, self.upstream_writer = upstream_reader, upstream_writer
        self.fault: Fault | None = None
        self.answered = True

    async def run(self) -> None:
        pumps = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(self) -> None:
        while data := await self.reader.read(65536):
            if self.answered:  # the first octets of a request; a large one comes in pieces
                self.answered = False
                self.fault = self.proxy.strikes(data)
            else:
                self.proxy.requests[-1] += data
            kind = self.fault.kind if self.fault else None
            if kind == "reset":
                _reset(self.writer)
                return
            if kind == "drop":
                continue
            if self.fault and kind == "delay":
                await asyncio.sleep(self.fault.seconds)
            self.upstream_writer.write(data)
            await self.upstream_writer.drain()

    async def _answers(self) -> None:
        left = None
        while data := await self.upstream_reader.read(65536):
            self.answered = True
            kind = self.fault.kind if self.fault else None
            if kind == "lose":
                return
            if self.fault and kind == "cut":
                left = self.fault.octets if left is None else left
                data, left = data[:left], left - len(data)
            self.writer.write(data)
            await self.writer.drain()
            if left is not None and left <= 0:
                return


class _Udp(asyncio.DatagramProtocol):
    """DNS over UDP: every datagram is a request of its own."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        task = asyncio.get_running_loop().create_task(self._relay(data, addr))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _relay(self, data: bytes, client: Address) -> None:
        fault = self.proxy.strikes(data)
        kind = fault.kind if fault else None
        if fault and kind == "delay":
            await asyncio.sleep(fault.seconds)
        if kind in ("drop", "reset"):
            return
        if fault and kind in ("rcode", "truncate"):
            self.transport.sendto(_bare_answer(data, fault), client)
            return
        answer = await _ask(data, self.proxy.upstream)
        if answer is None or kind == "lose":
            return
        if kind == "wrong-id":
            answer = struct.pack("!H", int.from_bytes(answer[:2], "big") ^ 0xFFFF) + answer[2:]
        if fault and kind == "cut":
            answer = answer[: fault.octets]
        self.transport.sendto(answer, client)


async def _ask(data: bytes, upstream: Address) -> bytes | None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect(upstream)
        try:
            await loop.sock_sendall(udp, data)
            return await asyncio.wait_for(loop.sock_recv(udp, 65535), 5)
        except (OSError, TimeoutError):
            return None


def _bare_answer(query: bytes, fault: Fault) -> bytes:
    """The query's header and question turned into an answer without records (RFC 1035 section 4.1.1)."""
    end = 12
    while query[end]:
        end += 1 + query[end]
    truncated = fault.kind == "truncate"
    flags = bytes((query[2] | 0x80 | (0x02 if truncated else 0), 0 if truncated else fault.rcode))
    return query[:2] + flags + b"\0\1" + b"\0" * 6 + query[12 : end + 5]


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: linger of zero seconds."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
