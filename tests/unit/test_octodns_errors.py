"""What the exceptions of octoDNS's packages and of their SDKs are taken for, bare and as packages wrap them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions
import dns.exception
import dns.query
import dns.tsig
import octodns_bind
import pytest
import requests
from octodns.provider import SupportsException

from realmkit.errors import (
    AuthError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)
from realmkit_providers.octodns_errors import Words


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError


WORDS = Words("octodns_x.XProvider", ("sesame",), Noon())


def of_dns(kind: Any, *arguments: object, **named: object) -> Exception:
    """An exception of dnspython, whose constructors have no types."""
    error: Exception = kind(*arguments, **named)
    return error


def http(status: int, text: str = "", **headers: str) -> requests.HTTPError:
    """As `raise_for_status` raises it."""
    response = requests.Response()
    response.status_code = status
    response._content = text.encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return requests.HTTPError(f"{status} Client Error", response=response)


def wrapped(outer: Exception, inner: Exception, *, plainly: bool = True) -> Exception:
    """`outer` as it is when a package raises it from `inner`, or with `from None` while it deals with `inner`."""
    outer.__context__, outer.__cause__, outer.__suppress_context__ = inner, inner if plainly else None, True
    return outer


def aws(code: str, status: int = 400) -> Exception:
    answer: Any = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = botocore.exceptions.ClientError(answer, "ChangeResourceRecordSets")
    return error


def real_requests(call: Callable[[], object]) -> Exception:
    with pytest.raises(requests.RequestException) as caught:
        call()
    return caught.value


class CloudflareAuthenticationError(Exception):
    """Named as that of octodns-cloudflare 1.2.0, which keeps no status either."""


class CloudflareRateLimitError(Exception):
    """Likewise."""


class Cloudflare5xxError(Exception):
    """Likewise."""


def answer(text: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 200, text.encode()
    return response


def transfer_error(rcode: int) -> Exception:
    inner = of_dns(dns.query.TransferError, rcode)
    return wrapped(octodns_bind.AxfrSourceZoneTransferFailed(inner), inner, plainly=False)


CERTAIN: dict[str, tuple[Exception, type[ProviderError]]] = {
    "http-401": (http(401), AuthError),
    "http-403": (http(403), AuthError),
    "http-404": (http(404), NoZoneError),
    "http-409": (http(409), RejectedError),
    "http-422": (http(422), RejectedError),
    "http-429": (http(429), RateLimitedError),
    "powerdns-401": (wrapped(Exception("PowerDNS unauthorized host=x"), http(401)), AuthError),
    "last-answer-counts": (wrapped(http(422), http(404)), RejectedError),
    "aws-denied": (aws("AccessDenied", 403), AuthError),
    "aws-expired": (aws("ExpiredToken"), AuthError),
    "aws-throttled": (aws("Throttling"), RateLimitedError),
    "aws-busy": (aws("PriorRequestNotComplete"), RateLimitedError),
    "aws-no-zone": (aws("NoSuchHostedZone", 404), NoZoneError),
    "aws-batch": (aws("InvalidChangeBatch"), RejectedError),
    "aws-no-credentials": (botocore.exceptions.NoCredentialsError(), AuthError),
    "cloudflare-auth": (CloudflareAuthenticationError({"errors": []}), AuthError),
    "cloudflare-rate": (CloudflareRateLimitError({"errors": []}), RateLimitedError),
    "supports": (SupportsException("x: no"), RejectedError),
    "axfr-refused": (transfer_error(5), AuthError),
    "axfr-notauth": (transfer_error(9), NoZoneError),
    "update-refused": (octodns_bind.Rfc2136ProviderUpdateFailed("REFUSED"), AuthError),
    "update-notauth": (octodns_bind.Rfc2136ProviderUpdateFailed("NOTAUTH"), NoZoneError),
    "update-notzone": (octodns_bind.Rfc2136ProviderUpdateFailed("NOTZONE"), RejectedError),
    "too-big": (of_dns(dns.exception.TooBig), RejectedError),
    "tsig-key": (
        wrapped(octodns_bind.AxfrSourceZoneTransferFailed("x"), of_dns(dns.tsig.PeerBadKey), plainly=False), AuthError
    ),
    "tsig-time": (of_dns(dns.tsig.PeerBadTime), AuthError),
    "refused": (ConnectionRefusedError(111, "Connection refused"), UnreachableError),
    "requests-refused": (
        real_requests(lambda: requests.get("http://127.0.0.1:1/", timeout=1, proxies={"http": ""})), UnreachableError
    ),
}  # fmt: skip

# Of these a write may have been taken; a reading has failed in the way that is given.
OPEN: dict[str, tuple[Exception, type[ProviderError]]] = {
    "http-500": (http(500), UnreachableError),
    "http-503": (http(503), UnreachableError),
    "http-408": (http(408), UnreachableError),
    "http-502-after-404": (wrapped(http(502), http(404)), UnreachableError),
    "aws-500": (aws("InternalError", 500), ProviderError),
    "cloudflare-5xx": (Cloudflare5xxError("http 5xx"), ProviderError),
    "reset": (ConnectionResetError(104, "Connection reset by peer"), UnreachableError),
    "read-timeout": (requests.ReadTimeout("timed out"), UnreachableError),
    "dns-timeout": (of_dns(dns.exception.Timeout, timeout=1), UnreachableError),
    "cut": (EOFError(), UnreachableError),
    "nonsense": (real_requests(lambda: answer("<html>").json()), ProviderError),
    "servfail": (octodns_bind.Rfc2136ProviderUpdateFailed("SERVFAIL"), ProviderError),
    "bug": (KeyError("result"), ProviderError),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_is_certain_is_the_same_for_reading_and_writing(name: str) -> None:
    error, kind = CERTAIN[name]
    for said in (WORDS.reading(error, "z.example."), WORDS.writing(error, "z.example.")):
        assert type(said) is kind
        assert type(error).__name__ in said.message
        if kind in (AuthError, NoZoneError, UnreachableError):
            assert said.hint


@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_is_unknown_when_writing(name: str) -> None:
    error, kind = OPEN[name]
    assert type(WORDS.reading(error, "z.example.")) is kind
    assert type(WORDS.writing(error, "z.example.")) is OutcomeUnknownError


@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7.0), ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0), ("soon", None), (None, None)]
)
def test_how_long_to_wait(header: str | None, wait: float | None) -> None:
    said = WORDS.writing(http(429, **({"Retry_After": header} if header else {})), "z.example.")
    assert isinstance(said, RateLimitedError)
    assert said.retry_after == wait


def test_the_services_own_reason_is_told_and_tamed() -> None:
    said = WORDS.writing(http(422, '{"error": "Conflicts\x1b[31m with\n sesame"}' + "x" * 900), "z.example.")
    assert 'HTTPError: 422 Client Error: {"error": "Conflicts [31m with (secret)"}xxx' in said.message
    assert len(said.message) < 600


def test_a_refused_update_names_what_bind_may_mean() -> None:
    assert "MX" in (WORDS.writing(octodns_bind.Rfc2136ProviderUpdateFailed("REFUSED"), "z.example.").hint or "")


def test_a_circle_of_exceptions_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__ = other, one
    assert type(WORDS.reading(one, "z.example.")) is ProviderError
