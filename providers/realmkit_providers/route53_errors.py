"""What the SDK raises, as our errors: what happened, whether anything was sent, and how to mend it.

Codes are those of the API reference ("Common errors", and each action's own) and of the service model of botocore
1.44.8; those that only AWS's front end gives (RequestTimeTooSkewed, InvalidClientTokenId, ...) are documented under
"Common error types" of the AWS general reference.
"""

from __future__ import annotations

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
    from collections.abc import Callable
    from datetime import datetime

    from botocore.exceptions import ClientError

THROTTLED: Final = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "TooManyRequestsException", "SlowDown", "PriorRequestNotComplete",
})  # fmt: skip
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
DENIED: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation", "UnauthorizedException",
})  # fmt: skip
UNKNOWN_KEY: Final = frozenset({
    "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "InvalidSecurity",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotSignedUp", "OptInRequired",
})  # fmt: skip
BAD_SIGNATURE: Final = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_SKEWED_WORDS: Final = ("signature expired", "is now earlier than", "is now later than", "signature not yet current")
_NO_ZONE: Final = frozenset({"NoSuchHostedZone", "HostedZoneNotFound"})
# exceptions of botocore, by name, for versions differ in which they have
_NO_CREDENTIALS: Final = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound", "ConfigNotFound",
    "ConfigParseError", "InvalidConfigError", "InfiniteLoopConfigError", "RefreshWithMFAUnsupportedError",
    "TokenRetrievalError", "UnknownTokenProviderError", "NoAuthTokenError", "SSOError", "SSOTokenLoadError",
    "UnauthorizedSSOTokenError", "UnknownCredentialError", "MetadataRetrievalError", "LoginError",
    "LoginRefreshRequired", "LoginInsufficientPermissions", "LoginTokenLoadError", "LoginAuthorizationCodeError",
    "MissingDependencyException",
})  # fmt: skip
_NOTHING_SENT: Final = frozenset({
    "EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "NoRegionError", "InvalidRegionError",
    "UnknownEndpointError", "EndpointResolutionError", "EndpointProviderError", "InvalidProxiesConfigError",
    "InvalidHostLabelError",
})  # fmt: skip
_WRONG_PLACE: Final = "does endpoint_url (or AWS_ENDPOINT_URL) name Route 53's API, and is no proxy in between?"
_LONGEST: Final = 500


class Asked(NamedTuple):
    """A request that failed.

    Attributes:
        operation: as AWS names it: `ChangeResourceRecordSets`.
        about: the zone or what else it was about, for people.
        write: whether it changes something.
        source: where the credentials come from, for people.
        hide: takes secrets out of a text.
        now: the time, for dates in Retry-After.
    """

    operation: str
    about: str
    write: bool
    source: str
    hide: Callable[[str], str]
    now: Callable[[], datetime]

    @property
    def action(self) -> str:
        """As a policy names it: `route53:ChangeResourceRecordSets`."""
        return f"{'sts' if self.operation == 'AssumeRole' else 'route53'}:{self.operation}"


class CodedRejectedError(RejectedError):
    """The API refused, with a code of its own.

    Attributes:
        code: `InvalidChangeBatch`, ...
        words: AWS's own.
    """

    def __init__(self, message: str, code: str, words: str) -> None:
        super().__init__(message)
        self.code = code
        self.words = words


def translate(error: Exception, asked: Asked) -> ProviderError:
    """The error of ours that an exception of the SDK stands for."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _answered(error, asked)
    name, text = type(error).__name__, _tame(str(error), asked)
    if name in _NO_CREDENTIALS:
        return AuthError(
            f"no credentials for Route 53 from {asked.source}: {text}",
            hint="`aws sts get-caller-identity` with the same profile or environment shows what the SDK finds",
        )
    if name == "ParamValidationError":
        return RejectedError(f"{asked.about}: the SDK refuses to send {asked.operation}: {text}")
    if name in _NOTHING_SENT or "CERTIFICATE_VERIFY_FAILED" in text:
        return UnreachableError(f"{asked.about}: Route 53 can't be reached: {text}", hint=_WRONG_PLACE)
    return _lost(asked, text) if _is_of_the_network(error) else senseless(asked, text)


def _lost(asked: Asked, text: str) -> ProviderError:
    """A connection that failed, and something may have been sent over it."""
    if asked.write:
        return OutcomeUnknownError(f"{asked.about}: {asked.operation} was sent to Route 53, no answer: {text}")
    return UnreachableError(f"{asked.about}: no answer from Route 53 to {asked.operation}: {text}")


def senseless(asked: Asked, text: str) -> ProviderError:
    """An answer that is none of Route 53's: after a write, nobody knows what became of it."""
    said = f"{asked.about}: Route 53 answered {asked.operation} with something that its API does not: {text}"
    return OutcomeUnknownError(said) if asked.write else ProviderError(said, hint=_WRONG_PLACE)


def _is_of_the_network(error: Exception) -> bool:
    """Whether the connection failed, rather than the sense of the answer."""
    from botocore.exceptions import ConnectionError as NoConnectionError
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    return isinstance(error, HTTPClientError | NoConnectionError | IncompleteReadError | OSError)


def _answered(error: ClientError, asked: Asked) -> ProviderError:
    """What an answer with an error in it means."""
    about: dict[str, Any] = error.response.get("Error", {})
    metadata: dict[str, Any] = error.response.get("ResponseMetadata", {})
    code, status = str(about.get("Code") or ""), int(metadata.get("HTTPStatusCode") or 0)
    said_of_batch = error.response.get("Messages")  # an older form: <InvalidChangeBatch><Messages>, without a code
    code = code or ("InvalidChangeBatch" if said_of_batch else "")
    words = _tame(str(about.get("Message") or error.response.get("message") or said_of_batch or ""), asked)
    said = f"{asked.about}: Route 53 answered {asked.operation} with {code or status}: {words}".rstrip(": ")
    if code in THROTTLED or status == 429:
        header = metadata.get("HTTPHeaders", {}).get("retry-after", "")
        return RateLimitedError(said, retry_after=retryafter.seconds(header, asked.now()))
    if status >= 500:
        return OutcomeUnknownError(said) if asked.write else UnreachableError(said, hint="wait, and run it again")
    if refused := _unauthorised(code, status, words, asked):
        return AuthError(said, hint=refused)
    if code in _NO_ZONE:
        return NoZoneError(
            said, hint="the hosted zone was deleted; `aws route53 list-hosted-zones-by-name` lists what is there"
        )
    if 400 <= status < 500:
        return CodedRejectedError(said, code, words)
    return senseless(asked, f"{status} {code}")


def _unauthorised(code: str, status: int, words: str, asked: Asked) -> str | None:
    """How to mend credentials that were refused; None where something else is wrong."""
    source = asked.source
    low = words.lower()
    if code in _SKEWED or (code in BAD_SIGNATURE and any(text in low for text in _SKEWED_WORDS)):
        clock = "this machine's clock is wrong, and AWS wants it right to 5 minutes"
        return f"{clock}: `timedatectl set-ntp true`, or `chronyc makestep`"
    hints = (
        (EXPIRED, f"the temporary credentials from {source} have run out: renew them, then run it again"),
        (DENIED, f"{source} needs {asked.action}; `realmkit providers route53` shows a policy that will do"),
        (
            BAD_SIGNATURE,
            f"the secret key from {source} is not that of its access key id: compare both, to the last letter",
        ),
        (
            UNKNOWN_KEY,
            f"AWS does not know the access key from {source}: was it deleted, or is it of another partition?",
        ),
    )
    whose = f"`aws sts get-caller-identity` shows whose the credentials from {source} are"
    return next((hint for codes, hint in hints if code in codes), whose if status in (401, 403) else None)


def _tame(text: str, asked: Asked) -> str:
    """One line, not too long, without secrets. A refused signature is answered with all that was signed."""
    line = asked.hide(text.split("\n", 1)[0].strip())[:_LONGEST]
    return "".join(char if char.isprintable() else " " for char in line)
