"""What Cloudflare's API answers when it does not do what it was asked, as our errors.

Status and error codes are from developers.cloudflare.com and from issues of tools on the API, seen 2026-11-25, but for
those that say "from memory".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from realmkit import retryafter
from realmkit.errors import (
    AuthError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    import cloudflare
    import httpx

    from realmkit.dns.provider import Clock

T = TypeVar("T")

# Answers that say who asks is not known, or may not: 6003 with 6111 in its chain (400), 10000 "Authentication error",
# 9109 "Unauthorized to access requested resource" (403); 1000 "Invalid API Token", 9106 and 9103 from memory.
_AUTH_CODES: Final = frozenset({1000, 6003, 6111, 9103, 9106, 9109, 10000})
_THROTTLED: Final = frozenset({971, 10429})  # from memory
_RECORD_GONE: Final = frozenset({81044})  # "Record does not exist."
_PASSING: Final = frozenset({500, 502, 503, 504, *range(520, 531)})
_RIGHTS: Final = (
    "the token needs Zone:Read and DNS:Edit on this zone, and Zone:Edit for its account to make zones; see My Profile, "
    "API Tokens"
)
WRONG_URL: Final = "does base_url name Cloudflare's API, https://api.cloudflare.com/client/v4?"
READ_AGAIN: Final = "read the zone again"


class Said(Struct):
    """One error of an envelope, and what it was caused by."""

    code: int = 0
    message: str = ""
    error_chain: list[Said] | None = None

    def codes(self) -> set[int]:
        """Its code and those of its causes."""
        return {self.code}.union(*(cause.codes() for cause in self.error_chain or ()))

    def text(self) -> str:
        """`Record already exists. (81057)`, causes after a colon."""
        causes = ", ".join(cause.text() for cause in self.error_chain or ())
        return f"{self.message} ({self.code})" + (f": {causes}" if causes else "")


class PageInfo(Struct):
    """Where a page stands among all."""

    total_count: int | None = None
    total_pages: int | None = None


class Envelope(Struct, Generic[T]):
    """What every answer comes in."""

    success: bool
    result: T | None = None
    errors: list[Said] | None = None
    result_info: PageInfo | None = None

    def codes(self) -> set[int]:
        """The codes of all errors, causes included."""
        return set[int]().union(*(error.codes() for error in self.errors or ()))


class CutError(UnreachableError):
    """A reading that failed in a way that passes: asked once more, it may well be answered."""


class Answers:
    """Turns what an address answers into errors.

    Args:
        where: the service, as a person would call it.
        token: what must not be said.
        clock: the time, for dates in Retry-After.
    """

    def __init__(self, where: str, token: str, clock: Clock) -> None:
        self.where = where
        self._token = token
        self._clock = clock

    def lost(self, error: cloudflare.APIConnectionError, *, writes: bool) -> ProviderError:
        """No answer came. Whether anything was sent decides."""
        import httpx

        cause = error.__cause__
        said = self._tamed(str(cause) or type(cause).__name__)
        text = f"no answer from {self.where}: {said}"
        if isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return UnreachableError(text, hint=f"is there a way from here to it? {WRONG_URL}")
        if writes:
            return OutcomeUnknownError(f"sent, and {text}", hint=READ_AGAIN)
        kind = UnreachableError if isinstance(cause, httpx.TimeoutException) else CutError
        return kind(text, hint="try again; https://www.cloudflarestatus.com says when the API itself is ill")

    def refusal(self, response: httpx.Response, *, writes: bool) -> ProviderError:
        """The error that an answer stands for."""
        status, codes, text = response.status_code, *self._words(response)
        if status == 429 or codes & _THROTTLED:
            return self._throttled(response, text)
        if status >= 500 or status == 408:
            return self._failed(status, text, writes=writes)
        if status in (401, 403) or codes & _AUTH_CODES:
            return AuthError(f"{self.where} refused the API token: {text}", hint=_RIGHTS)
        if status == 404 and not codes & _RECORD_GONE:
            return NoZoneError(
                f"{self.where} has no such zone: {text}", hint="was it deleted, or moved to another account?"
            )
        if status >= 400 or status == 200:
            return RejectedError(f"{self.where} refused: {text}", hint=_hint(codes))
        return ProviderError(f"{self.where} answered {text} instead of its API", hint=WRONG_URL)

    def _throttled(self, response: httpx.Response, text: str) -> RateLimitedError:
        wait = retryafter.seconds(response.headers.get("Retry-After", ""), self._clock.now())
        return RateLimitedError(
            f"{self.where} answered {text}: more than 1200 requests of one user in five minutes are answered with five "
            "minutes of refusals",
            retry_after=wait,
        )

    def _failed(self, status: int, text: str, *, writes: bool) -> ProviderError:
        if writes:
            return OutcomeUnknownError(f"sent to {self.where}, which answered {text}", hint=READ_AGAIN)
        kind = CutError if status in _PASSING else UnreachableError
        return kind(f"{self.where} failed: {text}", hint="try again; see https://www.cloudflarestatus.com")

    def _words(self, response: httpx.Response) -> tuple[set[int], str]:
        """The codes of an answer, and its status with what it says."""
        try:
            envelope = msgspec.json.decode(response.content, type=Envelope[Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return set(), self._tamed(f"{response.status_code} {response.reason_phrase}".rstrip())
        said = "; ".join(error.text() for error in envelope.errors or ())
        return envelope.codes(), self._tamed(f"{response.status_code} {said or response.reason_phrase}".rstrip())

    def _tamed(self, text: str) -> str:
        """One printable line without the token."""
        text = text.replace(self._token, "(the token)")[:600]
        return "".join(char if char.isprintable() else " " for char in text)


def _hint(codes: set[int]) -> str:
    """How to mend what Cloudflare refused, by its code."""
    return next(
        (hint for code, hint in _HINTS.items() if code in codes),
        "the number in brackets is Cloudflare's own; its documentation and support go by it",
    )


# 81044, 81053, 81057, 81058, 83011 and 9000 to 9015: issues of ddns-go, certbot, octodns-cloudflare and manage.get.gov;
# 9313: issue 168 of cloudflare-tunnel-ingress-controller; 81045, 81056, 9021 and 1061 from memory.
_HINTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        81044: "the record was deleted in the meantime: make the plan anew",
        81045: "the plan of this zone allows no more records (200 on Free, 3,500 on others): ask Cloudflare for more",
        81053: "a CNAME stands alone: delete the other records of that name in the same plan",
        81056: "a delegation stands alone: delete the other records of that name in the same plan",
        81057: "it is there already: make the plan anew",
        81058: "it is there already: make the plan anew",
        83011: "all records of one name and type may hold 8,192 characters together",
        1061: "the zone exists, maybe in another account: `account` says which one is meant",
        9000: "Cloudflare takes letters, digits, hyphens and underscores in names, and a wildcard at the left",
        9005: "mend the record's content",
        9007: "mend the record's content",
        9015: "a record may be 4,096 octets long on the wire",
        9021: "Cloudflare takes TTLs from 60 (Enterprise: 30) to 86400 s",
        9313: "comments may be 100 characters long on the Free plan: a shorter `owner`, or `comments: false`",
    }
)
