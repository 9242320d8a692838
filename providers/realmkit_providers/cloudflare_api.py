"""Cloudflare's API v4 through its official SDK: requests kept to the allowed pace, answers as our errors.

The SDK is asked for the bare HTTP response: decoding what is needed of it by msgspec takes a fraction of what the
SDK's models take. Nothing is sent twice by the SDK (`max_retries=0`); a reading that the other side cut is asked for
once more here, a write never is. Of the environment nothing is used, neither its tokens nor its proxies.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from realmkit.dns.pacing import Paces
from realmkit.errors import OutcomeUnknownError, ProviderError, UnreachableError
from realmkit_providers.cloudflare_answers import READ_AGAIN, WRONG_URL, Answers, CutError, Envelope, PageInfo
from realmkit_providers.cloudflare_records import ApiRecord

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    import cloudflare
    import httpx

    from realmkit.dns.pacing import Pace
    from realmkit.dns.provider import Clock

T = TypeVar("T")

# 1200 requests in five minutes for each user, all tokens and the dashboard together; then five minutes of 429
# (developers.cloudflare.com, "Rate limits", 2026-11-25). A burst of 100 and 1100 more in five minutes stay within.
BURST: Final = 100
PACES: Final = Paces(rate=1100 / 300, burst=BURST)
PER_PAGE: Final = 5000  # [the most that the API takes is not verified; a smaller page than this is coped with]
READINGS: Final = 3  # of a zone that changes while it is read in pages
_OWN_HEADERS: Final = frozenset({
    "host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type",
})  # fmt: skip


class ApiAccount(Struct):
    """The account that a zone belongs to."""

    id: str = ""
    name: str = ""


class ApiPlan(Struct):
    """What was bought for a zone."""

    legacy_id: str | None = None
    name: str | None = None


class ApiZone(Struct):
    """A zone as `GET /zones` shows it.

    Attributes:
        status: `active`, `pending` (its delegation has not been seen), `moved` (it has gone away), `initializing`.
        type: `full`, `secondary` (transferred from elsewhere), `partial` (others are authoritative), `internal`.
    """

    id: str
    name: str
    status: str = "active"
    type: str = "full"
    account: ApiAccount = msgspec.field(default_factory=ApiAccount)
    plan: ApiPlan = msgspec.field(default_factory=ApiPlan)
    name_servers: list[str] | None = None
    vanity_name_servers: list[str] | None = None


class BatchResult(Struct):
    """The records of a batch as they are after it; those of `deletes` as they were."""

    deletes: list[ApiRecord] | None = None
    patches: list[ApiRecord] | None = None
    puts: list[ApiRecord] | None = None
    posts: list[ApiRecord] | None = None


class Api:
    """Cloudflare's API for one holder of a token."""

    def __init__(self, client: cloudflare.Cloudflare, token: str, pace: Pace, clock: Clock) -> None:
        self._client = client
        self._pace = pace
        self._answers = Answers("Cloudflare at " + "://".join(urlsplit(str(client.base_url))[:2]), token, clock)

    def zones(self, params: Mapping[str, str]) -> list[ApiZone]:
        """The zones that fit, of those that the token can see. Raises as `_get` does."""
        envelope = self._get("/zones", {**params, "per_page": 50}, Envelope[list[ApiZone]])
        return envelope.result or []

    def accounts(self, name: str) -> list[ApiAccount]:
        """The accounts of that name that the token can see. Raises as `_get` does."""
        return self._get("/accounts", {"name": name, "per_page": 50}, Envelope[list[ApiAccount]]).result or []

    def records(self, zone_id: str) -> list[ApiRecord]:
        """All records of a zone, or an error: a part of them is never taken for the whole.

        Raises:
            NoZoneError: there is no such zone any more.
            ProviderError: pages are missing. Others as `_get` raises them.
        """
        for _ in range(READINGS):
            found = self._pages(zone_id)
            if found is not None:
                return found
        raise UnreachableError(
            f"the zone changed on {self._answers.where} {READINGS} times while it was read",
            hint="try again in a quieter moment",
        )

    def batch(self, zone_id: str, body: Mapping[str, object]) -> tuple[BatchResult, str]:
        """Send one batch; what was answered, and Cloudflare's own id of the request.

        Raises:
            OutcomeUnknownError: sent, or a part of it, and what became of it was not said.
            RejectedError, AuthError, RateLimitedError, UnreachableError: nothing was changed.
        """
        path = f"/zones/{quote(zone_id, safe='')}/dns_records/batch"
        envelope, reference = self._post(path, body, Envelope[BatchResult])
        return envelope.result or BatchResult(), reference

    def create_zone(self, name: str, account_id: str) -> None:
        """Make a zone of which Cloudflare is authoritative. Raises as `batch` does."""
        self._post("/zones", {"name": name, "account": {"id": account_id}, "type": "full"}, Envelope[ApiZone])

    def _pages(self, zone_id: str) -> list[ApiRecord] | None:
        """Every page, or None where the zone changed on the way."""
        found: dict[str, ApiRecord] = {}
        path = f"/zones/{quote(zone_id, safe='')}/dns_records"
        total: int | None = None
        page = 0
        while True:
            page += 1
            envelope = self._get(path, {"page": page, "per_page": PER_PAGE}, Envelope[list[ApiRecord]])
            if envelope.result is None:
                raise ProviderError(f"{self._answers.where} answered without a list of records", hint=WRONG_URL)
            records, info = envelope.result, envelope.result_info or PageInfo()
            if page > 1 and info.total_count != total:
                return None
            total = info.total_count
            known = len(found)
            found.update((record.id, record) for record in records)
            if len(found) < known + len(records) or (total is not None and len(found) > total):
                return None  # a record that was on a page before has moved to this one
            if total is not None and len(found) == total:
                return list(found.values())
            if total is None and (not records or page == info.total_pages):
                return list(found.values())
            if not records or page == info.total_pages:
                raise ProviderError(
                    f"{self._answers.where} says that the zone has {total} records and shows {len(found)}",
                    hint="try again",
                )

    def _get(self, path: str, params: Mapping[str, object], kind: type[Envelope[T]]) -> Envelope[T]:
        """One reading.

        Raises:
            UnreachableError: no answer, or the service failed, twice.
            AuthError, RejectedError, RateLimitedError, ProviderError: as it answered.
        """
        import httpx

        def send() -> httpx.Response:
            return self._client.get(path, cast_to=httpx.Response, options={"params": dict(params)})

        try:
            response = self._ask(send, writes=False)
        except CutError:
            response = self._ask(send, writes=False)
        return self._opened(response, kind, writes=False)

    def _post(self, path: str, body: object, kind: type[Envelope[T]]) -> tuple[Envelope[T], str]:
        import httpx

        response = self._ask(lambda: self._client.post(path, cast_to=httpx.Response, body=body), writes=True)
        return self._opened(response, kind, writes=True), response.headers.get("cf-ray", "")

    def _ask(self, send: Callable[[], httpx.Response], *, writes: bool) -> httpx.Response:
        import cloudflare

        self._pace.take()
        try:
            return send()
        except cloudflare.APIStatusError as error:
            failed = self._answers.refusal(error.response, writes=writes)
        except cloudflare.APIConnectionError as error:
            failed = self._answers.lost(error, writes=writes)
        raise failed  # here, so that it does not carry the SDK's error along, with all that the service said

    def _opened(self, response: httpx.Response, kind: type[Envelope[T]], *, writes: bool) -> Envelope[T]:
        """The envelope of an answer with a good status."""
        try:
            envelope = msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if writes:
                raise OutcomeUnknownError(
                    f"sent to {self._answers.where}, and the answer can't be read: {error}", hint=READ_AGAIN
                ) from None
            raise ProviderError(
                f"{self._answers.where} answered something that its API does not: {error}", hint=WRONG_URL
            ) from None
        if not envelope.success:
            raise self._answers.refusal(response, writes=writes)
        return envelope


@contextmanager
def connect(base_url: str, token: str, timeout: float, clock: Clock) -> Iterator[Api]:
    """The API, for a few requests on one connection.

    Args:
        base_url: where it is.
        token: an API token.
        timeout: seconds for each of connecting, sending and waiting for the next octets.
        clock: the time, for dates in Retry-After and for the pace.
    """
    import cloudflare
    import httpx

    def only_ours(request: httpx.Request) -> None:
        """Send this token, and nothing that the SDK took from the environment."""
        kept = {name: value for name, value in request.headers.items() if name.lower() in _OWN_HEADERS}
        request.headers = httpx.Headers(kept | {"Authorization": f"Bearer {token}"})

    http = cloudflare.DefaultHttpxClient(
        verify=_trust(secure=base_url.startswith("https:")),
        follow_redirects=False,
        trust_env=False,
        timeout=timeout,
        event_hooks={"request": [only_ours]},
    )
    with cloudflare.Cloudflare(
        api_token=token, base_url=base_url, timeout=timeout, max_retries=0, http_client=http
    ) as client:
        account = blake2b(f"{base_url} {token}".encode(), digest_size=16).hexdigest()
        yield Api(client, token, PACES.of(account, clock), clock)


@cache
def _trust(*, secure: bool) -> ssl.SSLContext:
    """The certificates of this machine; none where no TLS is spoken, for reading them takes a while."""
    import ssl

    return ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
