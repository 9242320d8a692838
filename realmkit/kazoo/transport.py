"""One HTTP connection to Crossbar: login, envelope, pacing; reads that are repeated, writes that never are.

The protocol is described in `applications/crossbar/doc/basics.md`, `api_authentication.md` and `rate_limiting.md` of
Kazoo. Neither the API key nor a token is ever part of a URL, an error or a repr.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from realmkit import retryafter
from realmkit.errors import AuthError, OutcomeUnknownError, ProviderError, UnreachableError
from realmkit.kazoo.access import base_url, checked_key, cleaner
from realmkit.kazoo.errors import PASSING, IncompleteError, StaleTokenError, refusal
from realmkit.kazoo.pacing import ATTEMPTS, Pacer
from realmkit.kazoo.request import Envelope, Request, decoded, error_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx2

    from realmkit.clock import Clock

LOGIN_COST: Final = 35.0  # tokens of the bucket (crossbar/api_auth_tokens)
TOKEN_LIFE: Final = 3600.0  # seconds (crossbar.auth/token_auth_expiry_s)
TOKEN_MARGIN: Final = 60.0  # seconds before its end from which a token is not used any more
CONNECT_TIMEOUT: Final = 10.0  # seconds
ANSWER_TIMEOUT: Final = 60.0  # seconds for the next octets: creating an account takes long

T = TypeVar("T")

_WRONG_URL: Final = "does platform.kazoo.url name Crossbar's own address, as https://api.example.net:8443/v2?"


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
        self._refused_once = ""  # the request for which a login was refused that had been good
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
        return self._repeated(lambda: self._signed(Request("GET", path, params)))

    def read_public(self, *path: str) -> Envelope:
        """GET what the platform shows to everybody, without a login; otherwise as `read`."""
        return self._repeated(lambda: self._once(Request("GET", path, signed=False)))

    def octets(self, *path: str, public: bool = False) -> bytes:
        """GET a file as it is; otherwise as `read`.

        Args:
            path: as for `read`.
            public: whether the platform shows it to everybody; it is asked for without a login.
        """
        request = Request("GET", path, accept="*/*", signed=not public)

        def ask() -> bytes:
            if request.signed:
                self.login()
            answer = self._answer(request)
            if not 200 <= answer.status_code < 300:
                self._body(answer, request)  # which raises
            return answer.content

        return self._repeated(ask)

    def examine(self, *path: str, **params: str) -> Envelope:
        """POST where that changes nothing, repeated and raising as `read`."""
        return self._repeated(lambda: self._signed(Request("POST", path, params, {"data": {}}), IncompleteError))

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
        return self._once(Request(method, path, params, envelope))

    def upload(self, *path: str, content_type: str, octets: bytes) -> Envelope:
        """POST one file, once; raises as `write`."""
        return self._once(Request("POST", path, octets=octets, content_type=content_type))

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

    def now(self) -> datetime:
        """The time, aware."""
        return self._clock.now()

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
        request = Request("PUT", ("api_auth",), envelope={"data": {"api_key": self._key}}, signed=False)
        try:
            answer = self._exchange(request, cost=LOGIN_COST)
        except OutcomeUnknownError as error:
            raise UnreachableError(error.message) from None
        if answer.status_code in (400, 401, 403):
            raise AuthError(
                f"{what}: Crossbar refused the API key (HTTP {answer.status_code})",
                hint="compare platform.kazoo.api_key with `GET /accounts/{ACCOUNT}/api_key`",
            )
        body = self._body(answer, request, IncompleteError, what)
        data = body.get("data")
        token, account = body.get("auth_token"), data.get("account_id") if isinstance(data, Mapping) else None
        if not isinstance(token, str) or not isinstance(account, str) or not token or not account:
            raise self.not_crossbar(what)
        return account, token

    def _signed(self, request: Request, lost: type[ProviderError] | None = None) -> Envelope:
        self.login()
        return self._once(request, lost)

    def _once(self, request: Request, lost: type[ProviderError] | None = None) -> Envelope:
        return Envelope.from_body(self._body(self._answer(request, lost), request, lost))

    def _answer(self, request: Request, lost: type[ProviderError] | None = None) -> httpx2.Response:
        """Any answer but that the token is no good."""
        try:
            answer = self._exchange(request)
        except OutcomeUnknownError as error:
            raise (lost or _lost(request))(error.message) from None
        if not request.signed:
            return answer
        if answer.status_code == 401:
            raise self._refused(request.what)
        self._token_proved = True
        if self._refused_once == request.what:
            self._refused_once = ""
        return answer

    def _refused(self, what: str) -> AuthError:
        """The error of a 401. A new login may help, once: each costs a third of the bucket."""
        self._token = None
        if self._token_proved and self._refused_once != what:
            self._refused_once = what
            return StaleTokenError(f"{what}: the login has run out", hint="run the same command again")
        return AuthError(
            f"{what}: Crossbar refused a login that it had just granted",
            hint="is the account enabled, does it ask for a second factor, and may this API key do that?",
        )

    def _exchange(self, request: Request, cost: float = 1.0) -> httpx2.Response:
        """Send one request and take its answer in whole, whatever it says.

        Raises:
            UnreachableError: nothing was sent.
            OutcomeUnknownError: sent, or a part of it, and the answer did not come whole.
        """
        import httpx2

        self._pacer.before(cost)
        url, body, what = request.url(self.base), request.body, request.what
        headers = {"Accept": request.accept}
        if request.signed and self._token:
            headers["X-Auth-Token"] = self._token
        if body is not None:
            headers["Content-Type"] = request.content_type
        params = dict(request.params) or None
        try:
            return self._http().request(request.method, url, params=params, content=body, headers=headers)
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
                headers={"User-Agent": "realmkit"},
                timeout=httpx2.Timeout(ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT),
                transport=self._transport,
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    def _body(
        self, answer: httpx2.Response, request: Request, lost: type[ProviderError] | None = None, what: str = ""
    ) -> Mapping[str, Any]:
        """The envelope of an answer that says success.

        Listings are streamed: where Crossbar fails in the middle, the JSON ends early or the `status` behind the rows
        is missing, though the HTTP status says 200. That is no short list.
        """
        lost, what = lost or _lost(request), what or request.what
        body = decoded(answer.content)
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
            code = error_code(body)
        if code in (502, 504):  # a proxy's words; Crossbar may be at work still
            raise lost(f"{what}: HTTP {code}, no answer from Crossbar behind the proxy")
        if 300 <= code < 400:
            raise ProviderError(f"{what}: {self.base} sends us elsewhere (HTTP {code})", hint=_WRONG_URL)
        if code == 404 and body is None:  # another server's words, which say nothing about what Crossbar has
            raise self.not_crossbar(what)
        wait = retryafter.seconds(answer.headers.get("Retry-After", ""), self._clock.now())
        clean = cleaner(request.envelope, self._key, self._token or "")
        raise refusal(code, body or {}, what, wait, clean)

    def _learn(self, body: Mapping[str, Any]) -> None:
        tokens = body.get("tokens")
        remaining = tokens.get("remaining") if isinstance(tokens, Mapping) else None
        if isinstance(remaining, int | float) and not isinstance(remaining, bool):
            self._pacer.learned(float(remaining))


def _lost(request: Request) -> type[ProviderError]:
    """What it means that no whole answer came: of a read that it is unknown, of a change whether it was made."""
    return IncompleteError if request.method == "GET" else OutcomeUnknownError


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
