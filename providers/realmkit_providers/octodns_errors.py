"""What the exceptions of octoDNS's provider packages mean: each package raises its own, and whatever its SDK raises.

An exception is judged together with those behind it (`__cause__`, `__context__`), for packages often wrap an HTTP
error in a bare `Exception`. What is looked for, in this order: an HTTP status, the codes of AWS, a DNS answer, the
name of the class, and the errors of the operating system. Where nothing tells that a write was refused, it counts as
unknown.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit import retryafter
from realmkit.errors import (
    AuthError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from realmkit.dns.provider import Clock

LONGEST: Final = 500  # characters of a foreign text that are shown
_LOGIN: Final = "look at the credentials under `arguments:`, and at the rights that they have in this zone"
_NETWORK: Final = "look at host, port and url under `arguments:`, and whether the service is up"
_ZONE: Final = "create the zone there, or name the provider that holds it under zones:"
_AWS: Final = {
    "Throttling": RateLimitedError,
    "ThrottlingException": RateLimitedError,
    "PriorRequestNotComplete": RateLimitedError,
    "RequestLimitExceeded": RateLimitedError,
    "AccessDenied": AuthError,
    "AccessDeniedException": AuthError,
    "ExpiredToken": AuthError,
    "InvalidClientTokenId": AuthError,
    "RequestExpired": AuthError,
    "SignatureDoesNotMatch": AuthError,
    "UnrecognizedClientException": AuthError,
    "NoSuchHostedZone": NoZoneError,
}
# Classes of octoDNS's packages that keep no status with them are named by a custom of theirs, as
# DnsimpleClientUnauthorized and CloudflareRateLimitError are. Not every package was looked at.
_NAMES: Final = (
    (re.compile(r"Unauthori[sz]ed|Authentication|Forbidden|Credentials"), AuthError),
    (re.compile(r"RateLimit|TooManyRequests|Throttl"), RateLimitedError),
    (re.compile(r"(Zone|Domain)NotFound"), NoZoneError),
    (re.compile(r"SupportsException|ValidationError|BadRequest|Unprocessable|TooBig"), RejectedError),
    (re.compile(r"ConnectTimeout|NewConnection|ConnectError|NameResolution|EndpointConnection"), UnreachableError),
)
# octodns-bind says an rcode in words alone, at the end of its message.
_RCODE: Final = re.compile(r"\b(REFUSED|NOTAUTH|NOTZONE|NOTIMP|FORMERR|YXDOMAIN|YXRRSET|NXRRSET)$")


class Diagnosis(NamedTuple):
    """What an exception says for certain.

    Attributes:
        kind: our error.
        hint: how to mend it.
        retry_after: seconds to wait, for `RateLimitedError`.
        reason: the service's own words, where the exception does not repeat them.
    """

    kind: type[ProviderError]
    hint: str | None = None
    retry_after: float | None = None
    reason: str = ""


class Words:
    """Puts exceptions of one provider package into our words, without the secrets that it was given.

    Args:
        where: the class's dotted path.
        secrets: values that must not be shown.
        clock: the time, for dates in Retry-After.
    """

    def __init__(self, where: str, secrets: tuple[str, ...], clock: Clock) -> None:
        self._where = where
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._clock = clock

    def text(self, error: BaseException, reason: str = "") -> str:
        """One sentence: the class of the exception and what it says, tamed and cut."""
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return f"{self._where} raised {self.tamed(said + (f': {reason}' if reason else ''))}"

    def tamed(self, text: str) -> str:
        """Text of others, fit to be shown: one line, no secret, not too long."""
        for secret in self._secrets:
            for form in (secret, repr(secret)[1:-1]):
                text = text.replace(form, "(secret)")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= LONGEST else text[:LONGEST] + "..."

    def reading(self, error: Exception, zone: str) -> ProviderError:
        """The error for an exception before anything was sent to be written."""
        found = diagnose(error, self._clock.now())
        if found is None:
            found = Diagnosis(UnreachableError if any(map(_is_silence, _chain(error))) else ProviderError, _NETWORK)
        return self._error(error, found, zone)

    def writing(self, error: Exception, zone: str) -> ProviderError:
        """The error for an exception while writing, or `OutcomeUnknownError` where it does not tell."""
        found = diagnose(error, self._clock.now())
        return self._error(error, found or Diagnosis(OutcomeUnknownError), zone)

    def _error(self, error: Exception, found: Diagnosis, zone: str) -> ProviderError:
        text = f"{zone}: {self.text(error, found.reason)}"
        if issubclass(found.kind, RateLimitedError):
            return found.kind(text, retry_after=found.retry_after)
        return found.kind(text, hint=found.hint)


def diagnose(error: BaseException, now: datetime) -> Diagnosis | None:
    """What an exception says for certain; None where it leaves open whether anything was taken.

    Args:
        error: as it was raised.
        now: the time, for dates in Retry-After; aware.
    """
    for one in _chain(error):
        for look in (_by_aws, _by_status, _by_dns, _by_name):
            found = look(one, now)
            if found is not None:
                return found
        if _status(one) is not None:  # a failure of the server: what lies behind it tells no more
            return None
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those behind it, each once."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__]


def _is_silence(error: BaseException) -> bool:
    """Whether it says that no answer came, or none to the end; a ValueError of requests is an answer of nonsense."""
    if isinstance(error, OSError | EOFError):
        return not isinstance(error, ValueError)
    return "Timeout" in type(error).__name__


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, as requests, httpx, google, azure and others keep it."""
    response = getattr(error, "response", None)
    for holder in (response, error):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return int(value)
    return None


def _by_status(error: BaseException, now: datetime) -> Diagnosis | None:
    """RFC 9110 section 15.5: a 4xx says that the request was not carried out; 408 and 5xx leave it open."""
    status = _status(error)
    response = getattr(error, "response", None)
    reason = _body(response)
    if status in (401, 403):
        return Diagnosis(AuthError, _LOGIN, reason=reason)
    if status == 404:
        return Diagnosis(NoZoneError, _ZONE, reason=reason)
    if status == 429:
        value = getattr(response, "headers", None) or {}
        wait = retryafter.seconds(str(value.get("Retry-After", "")), now)
        return Diagnosis(RateLimitedError, retry_after=wait, reason=reason)
    if status is not None and status < 500 and status != 408:
        return Diagnosis(RejectedError, reason=reason)
    return None


def _body(response: Any) -> str:
    """The start of an answer's text: there, and not in the exception, stands what the service minds."""
    text = getattr(response, "text", "")
    return text[:LONGEST] if isinstance(text, str) else ""


def _by_aws(error: BaseException, _now: datetime) -> Diagnosis | None:
    """The service's code, which botocore keeps in `response["Error"]["Code"]`; its status is nearly always 400."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return None
    kind = _AWS.get(response.get("Error", {}).get("Code", ""))
    if kind is not None:
        return Diagnosis(kind, _hint(kind))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return Diagnosis(RejectedError) if isinstance(status, int) and 400 <= status < 500 else None


def _by_dns(error: BaseException, _now: datetime) -> Diagnosis | None:
    """The exceptions of dnspython, and rcodes that octodns-bind puts into words (RFC 2136 section 3.7, RFC 8945)."""
    import dns.query
    import dns.tsig

    if isinstance(error, dns.tsig.PeerError | dns.tsig.BadSignature | dns.tsig.BadKey | dns.tsig.BadTime):
        return Diagnosis(AuthError, _LOGIN)
    found = _RCODE.search(str(error))
    if found is None:
        return Diagnosis(UnreachableError, _NETWORK) if isinstance(error, dns.query.TransferError) else None
    if found[1] == "NOTAUTH":
        return Diagnosis(NoZoneError, _ZONE)
    if found[1] == "REFUSED":
        hint = f"{_LOGIN}; BIND refuses also an MX whose target has no address: its log says which it was"
        return Diagnosis(AuthError, hint)
    return Diagnosis(RejectedError)


def _by_name(error: BaseException, _now: datetime) -> Diagnosis | None:
    """By what the class is called; a connection that was refused, or a host without address, took nothing."""
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        return Diagnosis(UnreachableError, _NETWORK)
    name = type(error).__name__
    for pattern, kind in _NAMES:
        if pattern.search(name):
            return Diagnosis(kind, _hint(kind))
    return None


def _hint(kind: type[ProviderError]) -> str | None:
    return {AuthError: _LOGIN, NoZoneError: _ZONE, UnreachableError: _NETWORK}.get(kind)
