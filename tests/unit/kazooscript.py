"""A Crossbar that says what a test scripts, and checks every body it is sent against Kazoo's own JSON schemas.

The schemas are Kazoo's work and not part of this project: where they don't lie beside the checkout (or where
REALMKIT_KAZOO_SCHEMAS points), bodies are not checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import referencing
from referencing.jsonschema import DRAFT4

from realmkit.kazoo.client import Crossbar

SCHEMAS = Path(
    os.environ.get("REALMKIT_KAZOO_SCHEMAS", Path(__file__).resolve().parents[3] / "shared" / "kazoo" / "schemas")
)
KEY = "0123456789abcdef" * 4
TOKEN = "eyJhbGciOi.token.of-the-test"
ME = "a" * 32
ACME = "b" * 32
PHONE = "d" * 32
URL = "https://api.example.net:8443/v2"

Step = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class FakeClock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.at += timedelta(seconds=seconds)

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def ok(data: Any = None, status: int = 200, **more: Any) -> httpx2.Response:
    """A successful answer; `more` joins the envelope."""
    return httpx2.Response(status, json={"data": data, "status": "success", "request_id": "1", **more})


def fail(status: int, message: str = "", data: Any = None, headers: dict[str, str] | None = None) -> httpx2.Response:
    """An error as Crossbar words it: its code is text."""
    envelope = {"data": data or {}, "error": str(status), "message": message, "status": "error"}
    return httpx2.Response(status, json=envelope, headers=headers)


def invalid(path: str, rule: str, message: str, **more: Any) -> httpx2.Response:
    """A validation error."""
    return fail(400, "validation error", {path: {rule: {"message": message, **more}}})


def login(account: str = ME, token: str = TOKEN) -> httpx2.Response:
    return ok({"account_id": account}, 201, auth_token=token)


CUT = httpx2.RemoteProtocolError("Server disconnected without sending a response.")
LATE = httpx2.ReadTimeout("timed out")
REFUSED = httpx2.ConnectError("[Errno 111] Connection refused")


class Script(httpx2.BaseTransport):
    """Answers with `steps`, one for each request; logins are granted beside them unless `logins` says otherwise."""

    def __init__(self, *steps: Step, logins: list[Step] | None = None) -> None:
        self.steps: Iterator[Step] = iter(steps)
        self.logins = iter(logins) if logins is not None else None
        self.requests: list[httpx2.Request] = []
        self.seen: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        check_body(request)
        if request.url.path == "/v2/api_auth":
            step: Step = login() if self.logins is None else next(self.logins)
        else:
            self.seen.append(f"{request.method} {request.url.path.removeprefix('/v2/')}")
            step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx2.Response) else step(request)

    @property
    def unused(self) -> list[Step]:
        return list(self.steps)

    def body(self, index: int = -1) -> Any:
        """The `data` of a request's body."""
        return json.loads(self.requests[index].content)["data"]


def crossbar(
    script: httpx2.BaseTransport, clock: FakeClock | None = None, jitter: Callable[[], float] = lambda: 0.0, **more: Any
) -> Crossbar:
    return Crossbar(URL, KEY, clock or FakeClock(), transport=script, jitter=jitter, **more)


@cache
def validator(name: str) -> jsonschema.Draft4Validator:
    """A validator of one of Kazoo's schemas; a schema it refers to that is not there lets everything pass."""

    def find(uri: str) -> referencing.Resource[Any]:
        path = SCHEMAS / f"{uri}.json"
        return DRAFT4.create_resource(json.loads(path.read_text()) if path.exists() else {})

    registry: referencing.Registry[Any] = referencing.Registry(retrieve=find)  # type: ignore[call-arg] # attrs' own alias
    return jsonschema.Draft4Validator(json.loads((SCHEMAS / f"{name}.json").read_text()), registry=registry)


CHECKED = {
    ("PUT", "api_auth"): "api_auth",
    ("POST", "devices"): "devices",
    ("PUT", "devices"): "devices_notify",
    ("POST", "connectivity"): "connectivity",
    ("POST", "faxboxes"): "faxbox",
    ("PATCH", "accounts"): "accounts",
    ("PUT", "accounts"): "accounts",
    ("POST", "accounts"): "accounts",
    ("PUT", "users"): "users",
    ("POST", "users"): "users",
    ("POST", "limits"): "limits",
    ("PUT", "ledgers"): "ledgers",
    ("PUT", "callflows"): "callflows",
    ("POST", "callflows"): "callflows",
    ("PUT", "whitelabel"): "whitelabel",
    ("POST", "whitelabel"): "whitelabel",
}
NO_SCHEMA = ("sync", "services", "blacklist", "domains", "emails", "verify")  # Kazoo has none for these


def check_body(request: httpx2.Request) -> str | None:
    """Check what was sent; the schema that it was checked against."""
    if not SCHEMAS.is_dir() or not request.content or request.method == "DELETE":
        return None
    if request.headers["Content-Type"] != "application/json":
        return None
    parts = request.url.path.removeprefix("/v2/").split("/")
    if parts[-1] in NO_SCHEMA:
        return None
    name = CHECKED[request.method, parts[2] if len(parts) > 2 else parts[0]]
    data = json.loads(request.content)["data"]
    errors = list(validator(name).iter_errors(data))
    if request.method == "PATCH":  # the merged document must be whole, the patch need not
        errors = [error for error in errors if error.validator != "required"]
    assert not errors, errors
    return name
