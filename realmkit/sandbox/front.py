"""Crossbar's front: routes, logins, request tokens, the envelope around every answer, paging, and faults on the way."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from realmkit.sandbox.faults import ConnectionCutError, Fault, Harm
from realmkit.sandbox.handling import File, Handler, Page, Request, Success, ancestors
from realmkit.sandbox.routes import LOGINS, PUBLIC, ROUTES
from realmkit.sandbox.rules import Errors, Refusal, bad_identifier, forbidden
from realmkit.sandbox.switches import Generation
from realmkit.sandbox.tokens import API_AUTH_COST, Taken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.sandbox.cluster import Cluster
    from realmkit.sandbox.store import Document, Json

Response = tuple[int, dict[str, str], bytes]

_ERROR_MESSAGES: Final = {401: "invalid_credentials", 429: "too_many_requests", 500: "unspecified_fault"}


class _Made(NamedTuple):
    """An envelope, before it is sent, or a file."""

    status: int
    envelope: Json
    headers: dict[str, str]
    file: File | None = None


class _TooManyError(Refusal):
    """The 429."""

    def __init__(self, taken: Taken) -> None:
        super().__init__(429, "too_many_requests", {"message": "too many requests"})
        self.taken = taken


class Front:
    """Answers requests on behalf of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._count = 0

    def respond(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, fault: Fault | None
    ) -> Response:
        """Answer one request. Raises ConnectionCutError where the fault wants that."""
        self._count += 1
        harm = fault.harm if fault is not None else None
        if harm is Harm.CUT_BEFORE:
            raise ConnectionCutError
        if fault is not None and harm is Harm.STATUS_BEFORE:
            return self._send(self._broken(fault.status))
        made = self._answer(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)
        if harm is Harm.CUT_AFTER:
            raise ConnectionCutError
        if fault is not None and harm is Harm.STATUS_AFTER:
            made = self._broken(fault.status)
        status, sent, content = self._send(made)
        half = content[: len(content) // 2]
        if harm is Harm.CUT_MIDWAY:
            raise ConnectionCutError((status, sent | {"Content-Length": str(len(content))}), half)
        return status, sent, half if harm is Harm.TRUNCATE else content

    def _answer(self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes) -> _Made:
        """Route, let in, do, wrap."""
        taken: Taken | None = None
        token = headers.get("x-auth-token", "")
        try:
            handler, arguments, allowed = _route(method, path)
            if handler is None:
                refused = Refusal(405, "invalid_method", {"message": "method not allowed"})
                return self._error(refused, None, "", {"Allow": ", ".join(allowed)})
            request = Request(self._cluster, method, query, arguments, File(_media_type(headers), body))
            if handler not in PUBLIC:
                request.login = self._login(token)
                request.account = self._within(request.login, arguments.get("account"))
            taken = self._take(request, API_AUTH_COST if handler in LOGINS else 1)
            if method in ("PUT", "POST", "PATCH"):
                _read(request)
            success = handler(request)
        except _TooManyError as refused:
            return self._error(refused, refused.taken, token, {})
        except Refusal as refused:
            return self._error(refused, taken, token, {})
        return self._success(success, taken, success.auth_token or token)

    def _take(self, request: Request, cost: int) -> Taken | None:
        """Pay for a request out of the bucket of whom it is about. Raises the 429."""
        if not self._cluster.switches.buckets:
            return None
        whose = request.account or request.login
        taken = self._cluster.buckets.take(whose.id if whose is not None else "", cost)
        if not taken.granted:
            raise _TooManyError(taken)
        return taken

    def _login(self, token: str) -> Document:
        account = self._cluster.store.get(self._cluster.sessions.account(token) or "", "account")
        if account is None:
            raise Refusal(401, "invalid_credentials", {"message": "invalid credentials"})
        return account

    def _within(self, login: Document, wanted: str | None) -> Document | None:
        """The account that the path names, if the login may: its own or one below it."""
        if wanted is None:
            return None
        account = self._cluster.store.get(wanted, "account")
        if account is None:
            raise bad_identifier(wanted)
        if account is not login and login not in ancestors(self._cluster, account):
            raise forbidden()
        return account

    # --- envelopes --------------------------------------------------------------------------------------------------

    def _success(self, success: Success, taken: Taken | None, token: str) -> _Made:
        if success.file is not None:
            return _Made(success.status, {}, {"Content-Type": success.file.content_type}, success.file)
        envelope: Json = {"data": success.data, "status": "success"}
        if success.message:
            envelope["message"] = success.message
        if success.page is not None:
            envelope |= _page_keys(success.page)
        # Listings have no revision of their own; the entity tag is a hash of what was sent.
        revision = success.revision or hashlib.sha256(msgspec.json.encode(success.data)).hexdigest()[:32]
        envelope["revision"] = revision
        if success.metadata or self._cluster.switches.envelope_metadata:
            envelope["metadata"] = success.metadata
        return _Made(success.status, self._wrapped(envelope, taken, token), {"ETag": f'"{revision}"'})

    def _error(self, refused: Refusal, taken: Taken | None, token: str, headers: dict[str, str]) -> _Made:
        envelope = {
            "data": refused.data,
            "error": str(refused.status),  # text, not a number
            "message": refused.message,
            "status": "fatal" if refused.status in (500, 503) else "error",
        }
        return _Made(refused.status, self._wrapped(envelope, taken, token), headers)

    def _broken(self, status: int) -> _Made:
        message = _ERROR_MESSAGES.get(status, "datastore_unreachable" if status == 503 else "error")
        return self._error(Refusal(status, message, {"message": message}), None, "", {})

    def _wrapped(self, envelope: Json, taken: Taken | None, token: str) -> Json:
        if token:
            envelope["auth_token"] = token
        if taken is not None:
            envelope["tokens"] = {"consumed": taken.consumed, "remaining": taken.remaining}
        envelope["request_id"] = hashlib.sha256(f"request {self._count}".encode()).hexdigest()[:32]
        envelope["node"] = "sandbox"
        envelope["version"] = "4.3.140" if self._cluster.generation is Generation.OLDER else "5.4.0"
        envelope["timestamp"] = f"{self._cluster.clock.now():%Y-%m-%dT%H:%M:%S}"
        return envelope

    def _send(self, made: _Made) -> Response:
        content = msgspec.json.encode(made.envelope) if made.file is None else made.file.octets
        return made.status, {"Content-Type": "application/json", **made.headers}, content


def _page_keys(page: Page) -> Json:
    keys: Json = {"page_size": page.size, "start_key": page.start}
    if page.following is not None:
        keys[page.key] = base64.urlsafe_b64encode(json.dumps(page.following).encode()).decode()
    return keys


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _read(request: Request) -> None:
    """Take the envelope out of the body, but not where the body says that it is none."""
    if request.file.content_type not in ("", "application/json"):
        return
    try:
        envelope = json.loads(request.file.octets or b"{}")
    except ValueError as error:
        raise Refusal(400, "parse_error", {"message": "failed to parse request body"}) from error
    data = envelope.get("data", {}) if isinstance(envelope, dict) else None
    if not isinstance(data, dict):
        errors = Errors()
        errors.add("data", "type", "Value did not match type(s): object", target="object")
        raise errors.refusal()
    request.data = data
    request.accepts_charges = envelope.get("accept_charges") is True


def _route(method: str, path: str) -> tuple[Handler | None, dict[str, str], list[str]]:
    """The handler of a path and method, with the path's parts; or the methods that it does have. Raises the 404."""
    parts = path.strip("/").split("/")
    if parts[0] != "v2":
        raise Refusal(404, "not_found", {"message": "unknown path"})
    for pattern, methods in ROUTES:
        arguments = _match(pattern.split("/"), parts[1:])
        if arguments is not None:
            return methods.get(method), arguments, sorted(methods)
    raise Refusal(404, "bad_identifier", {"message": "bad identifier", "cause": path})


def _match(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    arguments = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            arguments[expected[1:-1]] = part
        elif expected != part:
            return None
    return arguments
