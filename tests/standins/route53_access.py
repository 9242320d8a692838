"""Who may ask the stand-in: Signature Version 4 as AWS's documents describe it, recomputed from the secret key.

The codes and texts of refusals are those that AWS gives; where no document shows the text it is from memory.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

SKEW = timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})\Z"
)


class DeniedError(Exception):
    """A request that is refused for who asks. `code` is AWS's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Key:
    """An access key.

    Attributes:
        id, secret, token: of the key; a token for temporary ones.
        account: whose it is.
        arn: who uses it.
        expired: it has run out.
        denied: operations that its policy does not allow.
    """

    id: str
    secret: str
    account: str
    arn: str
    token: str = ""
    expired: bool = False
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Request:
    """A request, as it came.

    Attributes:
        method, path, query, headers, body: as on the wire; header names in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Access:
    """Keys of several accounts."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self._keys: dict[str, Key] = {}
        self._lock = threading.Lock()

    def add(self, key: Key) -> None:
        """Let this key in."""
        with self._lock:
            self._keys[key.id] = key

    def forget(self, key: Key) -> None:
        """Let this key in no longer."""
        with self._lock:
            del self._keys[key.id]

    def check(self, request: Request, operation: str) -> Key:
        """Whose request it is, if its policy allows the operation.

        Raises:
            DeniedError: nobody's, or not now.
        """
        header = request.headers.get("authorization", "")
        match = _AUTHORIZATION.match(header)
        if match is None:  # "Common error types", MissingAuthenticationToken and IncompleteSignature
            code = "IncompleteSignature" if header else "MissingAuthenticationToken"
            raise DeniedError(code, "Request is missing Authentication Token")
        identity, day, region, service, signed, signature = match.groups()
        key = self._keys.get(identity)
        if key is None:
            raise DeniedError("InvalidClientTokenId", "The security token included in the request is invalid.")
        self._check_time(request)
        scope = f"{day}/{region}/{service}/aws4_request"
        if not hmac.compare_digest(_signature(request, key.secret, signed.split(";"), scope), signature):
            text = "The request signature we calculated does not match the signature you provided."
            raise DeniedError("SignatureDoesNotMatch", text)
        if key.token != request.headers.get("x-amz-security-token", ""):
            raise DeniedError("InvalidClientTokenId", "The security token included in the request is invalid.")
        if key.expired:
            raise DeniedError("ExpiredToken", "The security token included in the request is expired")
        if operation in key.denied:
            raise DeniedError("AccessDenied", f"User: {key.arn} is not authorized to perform: route53:{operation}")
        return key

    def _check_time(self, request: Request) -> None:
        text = request.headers.get("x-amz-date", "")
        then = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        now = self.now()
        edges = [f"{one:%Y%m%dT%H%M%SZ}" for one in (now - SKEW, now, now + SKEW)]
        if then < now - SKEW:
            told = f"Signature expired: {text} is now earlier than {edges[0]} ({edges[1]} - 5 min.)"
            raise DeniedError("SignatureDoesNotMatch", told)
        if then > now + SKEW:
            told = f"Signature not yet current: {text} is still later than {edges[2]} ({edges[1]} + 5 min.)"
            raise DeniedError("SignatureDoesNotMatch", told)


def _signature(request: Request, secret: str, signed: list[str], scope: str) -> str:
    """ "Create a signed AWS API request", tasks 1 to 3."""
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    query = "&".join(f"{key}={value}" for key, value in sorted(_pair(one) for one in request.query.split("&") if one))
    canonical = "\n".join([
        request.method, quote(request.path, safe="/~"), query, headers, ";".join(signed),
        hashlib.sha256(request.body).hexdigest(),
    ])  # fmt: skip
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", request.headers.get("x-amz-date", ""), scope, digest])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
