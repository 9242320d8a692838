"""Every way in which the SDK fails, and the error of ours that it becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.exceptions as sdk
import pytest
from botocore.parsers import ResponseParserError

from realmkit.errors import (
    AuthError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)
from realmkit_providers import route53_errors
from realmkit_providers.route53_errors import Asked, CodedRejectedError, translate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATE = "Signature expired: 20261122T115000Z is now earlier than 20261122T120000Z"


def asked(*, write: bool) -> Asked:
    operation = "ChangeResourceRecordSets" if write else "ListResourceRecordSets"
    return Asked(
        operation, "z.example.", write, "profile 'dns'", lambda text: text.replace("hunter2", "***"), lambda: NOW
    )


def answered(code: str, status: int = 400, text: str = "why", **headers: str) -> sdk.ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return sdk.ClientError({"Error": {"Code": code, "Message": text}, "ResponseMetadata": metadata}, "X")


def of(error: Exception, *, write: bool = False) -> ProviderError:
    translated = translate(error, asked(write=write))
    assert "\n" not in translated.message
    assert "z.example." in translated.message or isinstance(translated, AuthError)
    return translated


ANSWERS: list[tuple[str, int, type[ProviderError]]] = [
    *((code, 400, RateLimitedError) for code in sorted(route53_errors.THROTTLED)),
    ("Throttling", 503, RateLimitedError),
    ("429", 429, RateLimitedError),
    *((code, 403, AuthError) for code in sorted(route53_errors.DENIED)),
    *((code, 400, AuthError) for code in sorted(route53_errors.EXPIRED)),
    *((code, 403, AuthError) for code in sorted(route53_errors.UNKNOWN_KEY)),
    *((code, 403, AuthError) for code in sorted(route53_errors.BAD_SIGNATURE)),
    ("RequestTimeTooSkewed", 403, AuthError),
    ("SomethingNew", 403, AuthError),
    ("401", 401, AuthError),
    ("NoSuchHostedZone", 404, NoZoneError),
    ("InvalidChangeBatch", 400, CodedRejectedError),
    ("InvalidInput", 400, CodedRejectedError),
    ("NoSuchChange", 404, CodedRejectedError),
    ("HostedZoneAlreadyExists", 409, CodedRejectedError),
    ("TooManyHostedZones", 400, CodedRejectedError),
    ("LimitsExceeded", 403, AuthError),
    ("301", 301, ProviderError),
    ("", 0, ProviderError),
]


@pytest.mark.parametrize(("code", "status", "kind"), ANSWERS)
def test_what_an_answer_means(code: str, status: int, kind: type[ProviderError]) -> None:
    error = of(answered(code, status))
    assert type(error) is kind
    if kind in (AuthError, RateLimitedError, NoZoneError):
        assert error.hint
    written = of(answered(code, status), write=True)
    assert type(written) is (OutcomeUnknownError if kind is ProviderError else kind)


@pytest.mark.parametrize(("code", "status"), [("InternalFailure", 500), ("ServiceUnavailable", 503), ("502", 502)])
def test_a_server_that_fails(code: str, status: int) -> None:
    assert type(of(answered(code, status))) is UnreachableError
    assert type(of(answered(code, status), write=True)) is OutcomeUnknownError


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        ("ExpiredToken", "expired", "renew"),
        ("AccessDenied", "no", "route53:ListResourceRecordSets; `realmkit providers route53`"),
        ("SignatureDoesNotMatch", LATE, "clock"),
        ("InvalidSignatureException", "Signature not yet current: 2026 is still later than 2025", "clock"),
        ("RequestTimeTooSkewed", "x", "timedatectl"),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", "secret key"),
        ("InvalidClientTokenId", "x", "does not know the access key"),
    ],
)
def test_each_refusal_has_its_own_hint(code: str, text: str, words: str) -> None:
    hint = of(answered(code, 403, text)).hint or ""
    assert words in hint
    assert "dns" in hint or "clock" in hint


@pytest.mark.parametrize(("header", "wait"), [("7", 7.0), ("", None), ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0)])
def test_how_long_to_wait(header: str, wait: float | None) -> None:
    error = of(answered("Throttling", 400, "slow down", **{"retry-after": header}))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == wait


URL = {"endpoint_url": "https://route53.amazonaws.com/"}
FAILURES: list[tuple[Exception, type[ProviderError], type[ProviderError]]] = [
    (sdk.EndpointConnectionError(**URL), UnreachableError, UnreachableError),
    (sdk.ConnectTimeoutError(**URL), UnreachableError, UnreachableError),
    (sdk.ProxyConnectionError(proxy_url="http://p"), UnreachableError, UnreachableError),
    (sdk.SSLError(**URL, error="CERTIFICATE_VERIFY_FAILED"), UnreachableError, UnreachableError),
    (sdk.SSLError(**URL, error="EOF occurred"), UnreachableError, OutcomeUnknownError),
    (sdk.ReadTimeoutError(**URL), UnreachableError, OutcomeUnknownError),
    (sdk.ConnectionClosedError(**URL), UnreachableError, OutcomeUnknownError),
    (sdk.HTTPClientError(error="?"), UnreachableError, OutcomeUnknownError),
    (sdk.ResponseStreamingError(error="?"), UnreachableError, OutcomeUnknownError),
    (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), UnreachableError, OutcomeUnknownError),
    (ConnectionResetError("reset"), UnreachableError, OutcomeUnknownError),
    (ResponseParserError("no XML"), ProviderError, OutcomeUnknownError),
    (AttributeError("botocore tripped"), ProviderError, OutcomeUnknownError),
    (sdk.ParamValidationError(report="x"), RejectedError, RejectedError),
    (sdk.NoCredentialsError(), AuthError, AuthError),
    (sdk.PartialCredentialsError(provider="env", cred_var="x"), AuthError, AuthError),
    (sdk.CredentialRetrievalError(provider="iam-role", error_msg="x"), AuthError, AuthError),
    (sdk.ProfileNotFound(profile="dns"), AuthError, AuthError),
    (sdk.ConfigParseError(path="~/.aws/config"), AuthError, AuthError),
    (sdk.SSOTokenLoadError(error_msg="x"), AuthError, AuthError),
    (sdk.UnauthorizedSSOTokenError(), AuthError, AuthError),
    (sdk.NoRegionError(), UnreachableError, UnreachableError),
]


@pytest.mark.parametrize(("error", "reading", "writing"), FAILURES, ids=lambda it: type(it).__name__)
def test_what_an_exception_means(error: Exception, reading: type[ProviderError], writing: type[ProviderError]) -> None:
    assert type(of(error)) is reading
    assert type(of(error, write=True)) is writing


def test_every_exception_of_the_sdk_is_an_error_of_ours() -> None:
    """Also those of a version to come: whatever it is, a write that may have been sent is not called harmless."""

    class New(sdk.BotoCoreError):  # type: ignore[misc] # botocore has no types
        fmt = "something new"

    assert type(of(New())) is ProviderError
    assert type(of(New(), write=True)) is OutcomeUnknownError


def test_what_aws_says_is_told_on_one_line_and_without_secrets() -> None:
    text = "does not match\x1b[31m hunter2 " + "x" * 900 + "\n\nThe Canonical String was 'x-amz-security-token:abc'"
    error = of(answered("SignatureDoesNotMatch", 403, text))
    assert "hunter2" not in error.message
    assert "Canonical" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 700


def test_a_code_is_kept() -> None:
    error: Any = of(answered("InvalidChangeBatch", 400, "[Tried to create x but it already exists]"), write=True)
    assert (error.code, error.words) == ("InvalidChangeBatch", "[Tried to create x but it already exists]")
