"""Amazon Route 53 on loopback, as strict as its documents, with a real name server behind it.

moto plays what surrounds the records: hosted zones, delegation sets, health checks, tags, STS. The records are not
moto's. It takes half of a refused batch, values of any kind, CREATE of what is there and DELETE of what is not, so
change batches, listings, changes in progress and protections are dealt with in `route53_zone.py`, and moto never sees
them; so is who may ask (`route53_access.py`). What is in force goes to a `Published` Knot DNS, if there is one.

It runs without pytest::

    with Route53StandIn() as cloud:
        zone_id = cloud.add_zone("example.com.", [("www.example.com.", "A", 300, ("192.0.2.1",))])
        key = cloud.key()
        client = boto3.client("route53", endpoint_url=cloud.url, aws_access_key_id=key.id,
                              aws_secret_access_key=key.secret, region_name="us-east-1")
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from tests.standins.route53_access import DeniedError, Key, Request
from tests.standins.route53_cloud import Cloud
from tests.standins.route53_http import Reply, answer, error_reply, operation_of
from tests.standins.route53_values import RefusedError

if TYPE_CHECKING:
    from tests.standins.published import Published

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Route53StandIn(Cloud):
    """The stand-in's server on a free port of loopback; a context manager. Its state is `Cloud`'s.

    Attributes:
        per_second: how many requests an account may send in a second before it is throttled; None for any number.
        url: where it listens, for Route 53 and for STS.
    """

    def __init__(self, published: Published | None = None) -> None:
        super().__init__(published)
        self.per_second: int | None = None
        self.url = ""
        self._recent: dict[str, deque[float]] = {}

    def start(self) -> Self:
        """Listen. The port belongs to the network namespace of the thread that calls."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
                pass

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        request = _request(environ)
        operation = operation_of(request)
        self.counts[operation] += 1
        reply = self._reply(request, operation, environ)
        headers = [*reply.headers, ("Content-Length", str(len(reply.body)))]
        start_response(f"{reply.status} {'OK' if reply.status < 300 else 'Error'}", headers)
        return [reply.body]

    def _reply(self, request: Request, operation: str, environ: Environ) -> Reply:
        try:
            key = self.access.check(request, operation)
        except DeniedError as error:
            return error_reply(403, error.code, str(error))
        if self._too_fast(key.account):
            return error_reply(400, "Throttling", "Rate exceeded")
        try:
            return answer(self, operation, request, key, lambda: self._ask_moto(environ, request, key))
        except RefusedError as error:
            return error_reply(400, "InvalidInput", str(error))

    def _too_fast(self, account: str) -> bool:
        """Whether the account has spent its requests of this second (Developer Guide, "Quotas": five)."""
        if self.per_second is None:
            return False
        with self.lock:
            now = time.monotonic()
            recent = self._recent.setdefault(account, deque())
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= self.per_second:
                return True
            recent.append(now)
            return False

    def _ask_moto(self, environ: Environ, request: Request, key: Key) -> Reply:
        """What moto answers, for the account of the key."""
        for_moto = {**environ, "HTTP_X_MOTO_ACCOUNT_ID": key.account, "wsgi.input": io.BytesIO(request.body)}
        seen: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
            seen.append((status, headers))
            return lambda _octets: None

        body = b"".join(self._moto(for_moto, start_response))
        status, headers = seen[-1]
        kept = tuple((name, value) for name, value in headers if name.lower() in ("content-type", "location"))
        return Reply(int(status.split()[0]), body, kept)


def _request(environ: Environ) -> Request:
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    path = unquote(raw.partition("?")[0])
    headers: Mapping[str, str] = {
        name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    size = int(environ.get("CONTENT_LENGTH") or 0)
    typed = {"content-type": environ.get("CONTENT_TYPE", ""), "content-length": str(size)}
    body = environ["wsgi.input"].read(size) if size else b""
    return Request(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), {**headers, **typed}, body)
