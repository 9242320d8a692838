"""A web server for one directory, on loopback only: the sandbox's phones fetch their configuration here.

It shows plain files by exact name and nothing else: no listings, no dotted names (where publishers keep what was there
before), nothing outside the directory, whatever the path or a symbolic link says.
"""

from __future__ import annotations

import mimetypes
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from realmkit.errors import InputError
from realmkit.sandbox.loop import check_loopback

if TYPE_CHECKING:
    from realmkit.clock import Clock

_PATIENCE: Final = 5.0  # seconds for a client to say what it wants


class Fetch(Struct, frozen=True):
    """One request that came.

    Attributes:
        path: as the client wrote it.
        client: the address it came from.
        at: when it came, UTC.
        status: what it was answered.
    """

    path: str
    client: str
    at: datetime
    status: int


class WebServer:
    """Serves `directory` while the `with` block runs.

    Args:
        directory: what to serve.
        clock: dates the log.
        address: an IPv4 loopback address.
        port: 0 takes a free one.

    Raises:
        InputError: the address is not loopback, or is taken.
    """

    def __init__(self, directory: Path, clock: Clock, *, address: str = "127.0.0.1", port: int = 0) -> None:
        check_loopback(address)
        self._log: list[Fetch] = []
        try:
            self._server = _Server((address, port), directory.resolve(), clock, self._log)
        except OSError as error:
            raise InputError(f"can't listen on {address} port {port}: {error.strerror}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox web server", daemon=True
        )

    @property
    def url(self) -> str:
        """`http://127.0.0.1:40080/`; a file's name is appended (`url_of` quotes it)."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def url_of(self, name: str) -> str:
        """Where the file of that name is."""
        return self.url + quote(name)

    @property
    def log(self) -> tuple[Fetch, ...]:
        """Every request so far, oldest first."""
        return tuple(self._log)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for requests that are being answered


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128  # forty phones fetch at the same moment

    def __init__(self, where: tuple[str, int], directory: Path, clock: Clock, log: list[Fetch]) -> None:
        self.directory = directory
        self.clock = clock
        self.log = log
        super().__init__(where, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # one request a connection, so that closing waits for nobody
    server_version = "realmkit-sandbox"
    sys_version = ""
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = find(self.server.directory, self.path)
        content = None
        if path is not None:
            try:
                content = path.read_bytes()
            except OSError:
                content = None  # taken away this moment
        status = 404 if content is None else 200
        self.server.log.append(Fetch(self.path, self.client_address[0], self.server.clock.now(), status))
        self.send_response(status)
        kind = mimetypes.guess_type(str(path))[0] if path is not None else None
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if with_body and content:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing on stderr: `WebServer.log` has it."""


def find(directory: Path, target: str) -> Path | None:
    """The file that a request's target names; None where it names none that may be shown.

    Args:
        directory: resolved.
        target: as it stands in the request line, `/001122334455.cfg?x=1`.
    """
    try:
        names = unquote(urlsplit(target).path, errors="strict").split("/")[1:]
        if not names or any(not name or name.startswith(".") or not name.isprintable() for name in names):
            return None
        if any("\\" in name for name in names):
            return None
        path = directory.joinpath(*names).resolve(strict=True)
        return path if path.is_relative_to(directory) and path.is_file() else None
    except (ValueError, OSError):  # no such file, a name that is too long, octets that are no text
        return None
