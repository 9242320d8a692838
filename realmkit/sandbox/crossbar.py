"""Crossbar over HTTP: on loopback for any client, or inside this process for httpx2."""

# ruff: noqa: TID251 - this file is a place for sockets

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote

import httpx2

from realmkit.errors import InputError
from realmkit.sandbox.faults import ConnectionCutError
from realmkit.sandbox.loop import check_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.sandbox.cluster import Cluster

_LARGEST_BODY: Final = 16 * 1024 * 1024


class CrossbarServer:
    """Serves a cluster's Crossbar while the `with` block runs, each connection in a thread of its own.

    Args:
        cluster: whose.
        address: a loopback address.
        port: 0 takes a free one.

    Attributes:
        url: `http://127.0.0.1:40080/v2`, as `platform.kazoo.url` in the configuration takes it.

    Raises:
        InputError: the address is not loopback, or is taken.
    """

    def __init__(self, cluster: Cluster, address: str = "127.0.0.1", port: int = 0) -> None:
        check_loopback(address, "Crossbar listens on", ipv6=True)
        try:
            self._server = _Server(cluster, address, port)
        except OSError as error:
            raise InputError(f"can't listen on {address} port {port}: {error.strerror}") from error
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self._server.server_address[1]}/v2"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox Crossbar", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """The listening socket, and the connections that are open."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, cluster: Cluster, address: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.cluster = cluster
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__((address, port), _Handler)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that it can be ended when the server is."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """It ended by itself."""
        with self._lock:
            self._open.discard(connection)

    def end_connections(self) -> None:
        """Wake the threads that wait for a client's next request."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is no news; anything else is a fault of the sandbox and is printed."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # typeshed wants its own alias


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together, or a client's delayed ACK costs 40 ms
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        with suppress(OSError):
            super().finish()

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        try:
            answer = self.server.cluster.handle(self.command, unquote(path), query, dict(self.headers.items()), body)
        except ConnectionCutError as cut:
            self.close_connection = True
            if cut.answer is not None:
                self._send(*cut.answer, cut.partial)
            return
        self._send(*answer)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing: the cluster's events are the log."""


class _InProcess(httpx2.BaseTransport):
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer without a socket. A slow answer is late by the cluster's clock, which may be a virtual one."""
        begun = self._cluster.clock.monotonic()
        url = request.url
        partial = None
        try:
            status, headers, body = self._cluster.handle(
                request.method, url.path, url.query.decode(), dict(request.headers.items()), request.read()
            )
        except ConnectionCutError as cut:
            if cut.answer is None:
                raise httpx2.RemoteProtocolError("Server disconnected without sending a response.") from None
            (status, headers), body, partial = cut.answer, cut.partial, _Broken(cut.partial)
        timeout = request.extensions.get("timeout", {}).get("read")
        if timeout is not None and self._cluster.clock.monotonic() - begun > timeout:
            raise httpx2.ReadTimeout("timed out", request=request)
        if partial is not None:
            return httpx2.Response(status, headers=headers, stream=partial)
        return httpx2.Response(status, headers=headers, content=body)


class _Broken(httpx2.SyncByteStream):
    """A body that ends too soon."""

    def __init__(self, partial: bytes) -> None:
        self._partial = partial

    def __iter__(self) -> Iterator[bytes]:
        yield self._partial
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


def in_process(cluster: Cluster) -> httpx2.BaseTransport:
    """A transport for httpx2 clients that asks this cluster directly; any host will do, the path begins with `/v2`."""
    return _InProcess(cluster)
