"""One HTTP connection to Crossbar: login, envelope, pacing; reads that are repeated, writes that never are.

The protocol is described in `applications/crossbar/doc/basics.md`, `api_authentication.md` and `rate_limiting.md` of
Kazoo. Neither the API key nor a token is ever part of a URL, an error or a repr.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from realmkit import retryafter
from realmkit.errors import AuthError, InputError, OutcomeUnknownError, ProviderError, UnreachableError
from realmkit.kazoo.access import base_url, checked_key, cleaner
from realmkit.kazoo.errors import PASSING, IncompleteError, StaleTokenError, refusal
from realmkit.kazoo.pacing import ATTEMPTS, Pacer

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from realmkit.clock import Clock

LOGIN_COST: Final = 35.0  # tokens of the bucket (crossbar/api_auth_tokens)
TOKEN_LIFE: Final = 3600.0  # seconds (crossbar.auth/token_auth_expiry_s)
TOKEN_MARGIN: Final = 60.0  # seconds before its end from which a token is not used any more
CONNECT_TIMEOUT: Final = 10.0  # seconds
ANSWER_TIMEOUT: Final = 60.0  # seconds for the next octets: creating an account takes long

T = TypeVar("T")

_WRONG_URL: Final = "does platform.kazoo.url name Crossbar's own address, as https://api.example.net:8443/v2?"


class Envelope(Struct, frozen=True):
    """What a successful answer carries.

    Attributes:
        data: the answer itself.
        metadata: what newer clusters say beside it.
        revision: the state of the document, where it is about one.
        next_start_key: where the next page starts; None on the last.
    """

    data: Any
    metadata: Mapping[str, Any]
    revision: str | None = None
    next_start_key: Any = None

    def __repr__(self) -> str:
        return f"Envelope(revision={self.revision!r})"  # data may hold passwords


class Connection:
    """An authenticated connection to one Crossbar. For one thread at a time.

    Args:
        url: the API's address, with or without `/v2`.
        api_key: 64 hexadecimal digits.
        clock: tells the time and sleeps.
        transport: stands in for the network.
        accept_charges: whether changes may cost money.
        jitter: see `Pacer`.

    Raises:
        InputError: the URL can't be one of Crossbar's.
        SecretError: the key is none. It is not repeated.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        clock: Clock,
        *,
        transport: httpx2.BaseTransport | None = None,
        accept_charges: bool = False,
        jitter: Callable[[], float] = random.random,  # no secret hangs on it
    ) -> None:
        self.base = base_url(url)
        self._key = checked_key(api_key)
        self._clock = clock
        self._transport = transport
        self._accept_charges = accept_charges
        self._pacer = Pacer(clock, jitter)
        self._client: httpx2.Client | None = None
        self._token: str | None = None
        self._token_ends = 0.0
        self._token_proved = False  # whether Crossbar has taken this token at least once
        self._account_id = ""

    def __repr__(self) -> str:
        return f"Connection({self.base!r})"

    def close(self) -> None:
        """Give the connection back. The next request opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def login(self) -> str:
        """Have a token that is good for a while.

        Returns:
            The id of the account that the key belongs to.

        Raises:
            AuthError: Crossbar does not know the key.
            UnreachableError, RateLimitedError, BusyError: no answer, or none that helps, in several tries.
        """
        if self._token is None or self._clock.monotonic() >= self._token_ends:
            self._token = None
            asked = self._clock.monotonic()
            self._account_id, self._token = self._repeated(self._authenticate)
            self._token_proved = False
            self._token_ends = asked + TOKEN_LIFE - TOKEN_MARGIN
        return self._account_id

    def read(self, *path: str, **params: str) -> Envelope:
        """GET, repeated while the fault may pass: that changes nothing.

        Args:
            path: the parts of the path below `/v2`, not yet quoted.
            params: the query.

        Raises:
            AuthError, NotFoundError, RejectedError: as Crossbar answered.
            UnreachableError, RateLimitedError, BusyError: no answer that helps in several tries; what was asked for is
                unknown.
            ProviderError: what answers is not Crossbar.
        """

        def ask() -> Envelope:
            self.login()
            return self._once("GET", path, params, None)

        return self._repeated(ask)

    def write(self, method: str, *path: str, data: Mapping[str, Any] | None = None, **params: str) -> Envelope:
        """One PUT, POST, PATCH or DELETE, once.

        Args:
            method: the HTTP method.
            path: as for `read`.
            data: what goes under `data` in the envelope.
            params: the query.

        Raises:
            UnreachableError: nothing was sent.
            OutcomeUnknownError: sent, and no whole answer came.
            ProviderError: Crossbar's refusal. It may have saved all the same: read again before believing it.
        """
        envelope: dict[str, Any] = {"data": data or {}}
        if self._accept_charges:
            envelope["accept_charges"] = True
        return self._once(method, path, params, envelope)

    def may_repeat(self, error: ProviderError, attempt: int) -> bool:
        """Whether a request that failed the `attempt`th time (from 1) may be tried again; waits when it may."""
        if attempt >= ATTEMPTS or not isinstance(error, PASSING) or not self._pacer.may_wait_after(error):
            return False
        if not isinstance(error, StaleTokenError):
            self._pacer.after(error, attempt)
        return True

    def wait_for(self, requests: int) -> float:
        """See `Pacer.wait_for`."""
        return self._pacer.wait_for(requests)

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._pacer.pause(seconds)

    def not_crossbar(self, what: str) -> ProviderError:
        """The error for an answer that is well formed and not what Crossbar says."""
        return ProviderError(f"{what}: the answer from {self.base} is not Crossbar's", hint=_WRONG_URL)

    def _repeated(self, ask: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return ask()
            except ProviderError as error:
                if not self.may_repeat(error, attempt):
                    raise
            attempt += 1

    def _authenticate(self) -> tuple[str, str]:
        """PUT /api_auth: the account's id and a token. Done twice it does no harm."""
        what = f"login at {self.base}"
        try:
            answer = self._exchange("PUT", ("api_auth",), {}, {"data": {"api_key": self._key}}, cost=LOGIN_COST)
        except OutcomeUnknownError as error:
            raise UnreachableError(error.message) from None
        if answer.status_code in (400, 401, 403):
            raise AuthError(
                f"{what}: Crossbar refused the API key (HTTP {answer.status_code})",
                hint="compare platform.kazoo.api_key with `GET /accounts/{ACCOUNT}/api_key`",
            )
        body = self._body(answer, what, IncompleteError)
        data = body.get("data")
        token, account = body.get("auth_token"), data.get("account_id") if isinstance(data, Mapping) else None
        if not isinstance(token, str) or not isinstance(account, str) or not token or not account:
            raise self.not_crossbar(what)
        return account, token

    def _once(
        self, method: str, path: tuple[str, ...], params: Mapping[str, str], envelope: Mapping[str, Any] | None
    ) -> Envelope:
        what = f"{method} /{'/'.join(path)}"
        lost = IncompleteError if method == "GET" else OutcomeUnknownError
        try:
            answer = self._exchange(method, path, params, envelope)
        except OutcomeUnknownError as error:
            raise lost(error.message) from None
        if answer.status_code == 401:
            self._token = None
            if self._token_proved:
                raise StaleTokenError(f"{what}: the login has run out", hint="run the same command again")
            raise AuthError(
                f"{what}: Crossbar refused a login that it had just granted",
                hint="is the account enabled, and does it ask for a second factor?",
            )
        self._token_proved = True
        body = self._body(answer, what, lost, envelope)
        metadata, revision = body.get("metadata"), body.get("revision")
        return Envelope(
            data=body.get("data"),
            metadata=metadata if isinstance(metadata, Mapping) else {},
            revision=revision if isinstance(revision, str) else None,
            next_start_key=body.get("next_start_key"),
        )

    def _exchange(
        self,
        method: str,
        path: tuple[str, ...],
        params: Mapping[str, str],
        envelope: Mapping[str, Any] | None,
        cost: float = 1.0,
    ) -> httpx2.Response:
        """Send one request and take its answer in whole, whatever it says.

        Raises:
            UnreachableError: nothing was sent.
            OutcomeUnknownError: sent, or a part of it, and the answer did not come whole.
        """
        import httpx2

        self._pacer.before(cost)
        what = f"{method} /{'/'.join(path)}"
        headers = {"X-Auth-Token": self._token} if self._token else {}
        content = None
        if envelope is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(envelope).encode("ascii")
        if not all(part.strip(".") for part in path):
            raise InputError(f"{what}: an empty name can't be part of an address")
        url = "/".join([self.base, *(quote(part, safe="") for part in path)])
        try:
            return self._http().request(method, url, params=params or None, content=content, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            raise UnreachableError(f"{what}: no connection to {self.base}: {_said(error)}") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise OutcomeUnknownError(f"{what}: sent to {self.base}, no answer: {_said(error)}") from None

    def _http(self) -> httpx2.Client:
        """The client. A redirect is not followed and no proxy of the environment used: tokens go to `url` alone."""
        import ssl

        import httpx2

        if self._client is None:
            secure = self.base.startswith("https:")
            self._client = httpx2.Client(
                verify=ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                headers={"Accept": "application/json", "User-Agent": "realmkit"},
                timeout=httpx2.Timeout(ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT),
                transport=self._transport,
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    def _body(
        self,
        answer: httpx2.Response,
        what: str,
        lost: type[ProviderError],
        envelope: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """The envelope of an answer that says success.

        Listings are streamed: where Crossbar fails in the middle, the JSON ends early or the `status` behind the rows
        is missing, though the HTTP status says 200. That is no short list.
        """
        body = _decoded(answer.content)
        if body is not None:
            self._learn(body)
        code = answer.status_code
        if 200 <= code < 300 and body is None:
            if answer.content.lstrip()[:1] not in (b"", b"{"):
                raise self.not_crossbar(what)
            raise lost(f"{what}: the answer was cut off after {len(answer.content)} octets")
        if 200 <= code < 300 and body is not None:
            if body.get("status") == "success":
                return body
            if "status" not in body:
                raise lost(f"{what}: the answer ends without its status, so it is not whole")
            code = _code(body)
        if code in (502, 504):  # a proxy's words; Crossbar may be at work still
            raise lost(f"{what}: HTTP {code}, no answer from Crossbar behind the proxy")
        if 300 <= code < 400:
            raise ProviderError(f"{what}: {self.base} sends us elsewhere (HTTP {code})", hint=_WRONG_URL)
        wait = retryafter.seconds(answer.headers.get("Retry-After", ""), self._clock.now())
        raise refusal(code, body or {}, what, wait, cleaner(envelope, self._key, self._token or ""))

    def _learn(self, body: Mapping[str, Any]) -> None:
        tokens = body.get("tokens")
        remaining = tokens.get("remaining") if isinstance(tokens, Mapping) else None
        if isinstance(remaining, int | float) and not isinstance(remaining, bool):
            self._pacer.learned(float(remaining))


def _decoded(content: bytes) -> Mapping[str, Any] | None:
    """The JSON object, or None for anything else, a part of one included."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _code(body: Mapping[str, Any]) -> int:
    """The envelope's own error code, which Crossbar writes as a string."""
    error = str(body.get("error", ""))
    return int(error) if re.fullmatch("[45][0-9][0-9]", error) else 500


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
