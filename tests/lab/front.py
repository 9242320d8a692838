"""A reverse proxy for HTTP that answers wrongly on purpose: before the server hears of a request, or after.

`tests.lab.proxy` breaks connections; this breaks answers. It stands before a real server or a stand-in, hands on
whatever no fault strikes, and notes every request.
"""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"})


@dataclass(frozen=True)
class Answer:
    """What is said instead of the server's word."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Strike:
    """What goes wrong.

    Attributes:
        answer: said instead of the server's answer; None leaves the server's.
        when: picks requests by their octets: request line, headers, empty line, body.
        forward: whether the server hears of the request all the same, before the answer is given.
        times: how often it strikes; None for always.
        keep: how much of the answer's body is kept, 1.0 for all. The length is said of what is left, so that it looks
            complete.
        alter: makes another body of the answer's.
        skip: how many fitting requests pass before the first is struck.
        first: called just before a struck request is dealt with.
    """

    answer: Answer | None = None
    when: Callable[[bytes], bool] = lambda _request: True
    forward: bool = False
    times: int | None = None
    keep: float = 1.0
    alter: Callable[[bytes], bytes] = lambda body: body
    skip: int = 0
    first: Callable[[], None] | None = None


class Front:
    """Listens on a free port of `address` and hands on to `upstream`, `http://host:port`; a context manager.

    Attributes:
        strike: what goes wrong from now on; None for nothing.
        hits: how often it struck.
        requests: every request, as octets.
    """

    def __init__(self, upstream: str, address: str = "127.0.0.1") -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self.strike: Strike | None = None
        self.hits = 0
        self.requests: list[bytes] = []
        self._lock = threading.Lock()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
                pass

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):
                    return lambda: front.deal_with(self)
                raise AttributeError(name)

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """`http://127.0.0.1:40123`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def deal_with(self, client: BaseHTTPRequestHandler) -> None:
        """One request: note it, strike it or hand it on."""
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        head = f"{client.command} {client.path} HTTP/1.1\r\n{client.headers}".encode("latin-1")
        struck = self._struck(head + body)
        if struck is not None and struck.first is not None:
            struck.first()
        answer = Answer(599)
        if struck is None or struck.forward or struck.answer is None:
            answer = self._ask(client, body)
        if struck is not None:
            answer = struck.answer or answer
            altered = struck.alter(answer.body[: int(len(answer.body) * struck.keep)])
            answer = Answer(answer.status, altered, answer.headers)
        _send(client, answer)

    def _struck(self, request: bytes) -> Strike | None:
        with self._lock:
            self.requests.append(request)
            strike = self.strike
            if strike is None or strike.times == 0 or not strike.when(request):
                return None
            if strike.skip > 0:
                strike.skip -= 1
                return None
            if strike.times is not None:
                strike.times -= 1
            self.hits += 1
            return strike

    def _ask(self, client: BaseHTTPRequestHandler, body: bytes) -> Answer:
        link = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            headers = {key: value for key, value in client.headers.items() if key.lower() not in HOP_BY_HOP}
            if body:
                headers["Content-Length"] = str(len(body))
            link.request(client.command, client.path, body or None, headers)
            response = link.getresponse()
            kept = {key: value for key, value in response.getheaders() if key.lower() not in HOP_BY_HOP}
            return Answer(response.status, response.read(), kept)
        finally:
            link.close()


def _send(client: BaseHTTPRequestHandler, answer: Answer) -> None:
    client.send_response_only(answer.status)
    for key, value in answer.headers.items():
        client.send_header(key, value)
    if answer.status not in (204, 304):
        client.send_header("Content-Length", str(len(answer.body)))
    client.end_headers()
    client.wfile.write(answer.body if answer.status not in (204, 304) else b"")
