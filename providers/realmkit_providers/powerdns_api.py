"""The HTTP API of PowerDNS Authoritative Server: its JSON as types, its answers as our errors.

The server's manual describes the API under "Built-in Webserver and HTTP API"; limits and status codes below were
seen on pdns_server 4.7.3 on 2026-11-22.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from realmkit import retryafter
from realmkit.dns import names
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

    import httpx2

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Clock

BODY_LIMIT: Final = 2 * 1024 * 1024  # webserver-max-bodysize=2, the default: 2097000 octets pass, 2097300 do not
MARK: Final = "managed by realmkit"
_NO_COMMENTS: Final = "does not support editing comments"  # the LMDB backend says so with 422
_WRONG_URL: Final = "does url name the API's own address (webserver-port, 8081 by default)?"


class Record(Struct, gc=False, omit_defaults=True):
    """One record; a disabled one is kept and not served."""

    content: str
    disabled: bool = False


class Comment(Struct, gc=False):
    """A word kept with an RRset. Ours says `managed by realmkit`, and `account` is the owner."""

    content: str
    account: str = ""

    @property
    def ours(self) -> bool:
        """Whether realmkit wrote it."""
        return self.content == MARK and self.account != ""


class ApiRRset(Struct, gc=False):
    """An RRset as the API shows it. One without records holds comments alone."""

    name: str
    type: str
    ttl: int
    records: list[Record]
    comments: list[Comment] = []

    def disabled(self) -> list[Record]:
        """The records that are kept and not served."""
        return [record for record in self.records if record.disabled]

    def foreign_comments(self) -> list[Comment]:
        """The comments that others wrote."""
        return [comment for comment in self.comments if not comment.ours]


class ApiZone(Struct):
    """A zone as the API shows it. `edited_serial` is the serial as served, after SOA-EDIT."""

    kind: str
    serial: int
    edited_serial: int | None = None
    rrsets: list[ApiRRset] = []

    @property
    def served_serial(self) -> int:
        """The serial that the name server answers with."""
        return self.serial if self.edited_serial is None else self.edited_serial

    @property
    def is_copy(self) -> bool:
        """Whether the zone is transferred from elsewhere (words of 4.7 and of later versions)."""
        return self.kind.lower() in ("slave", "secondary", "consumer")


class Edit(Struct, omit_defaults=True):
    """One element of a PATCH. What is None is not sent and stays as it is; an empty list empties."""

    name: str
    type: str
    changetype: str
    ttl: int | None = None
    records: list[Record] | None = None
    comments: list[Comment] | None = None

    def encoded(self) -> bytes:
        """The octets that it takes in the body, less a comma."""
        return msgspec.json.encode(self)


class NewZone(Struct):
    """The body of a POST that creates a zone, native and with serials that move by themselves."""

    name: str
    nameservers: list[str]
    kind: str = "Native"
    soa_edit_api: str = "DEFAULT"


def body(edits: list[Edit]) -> bytes:
    """The body of a PATCH. What makes room stands first: each element is checked against those before it."""
    return msgspec.json.encode({"rrsets": sorted(edits, key=lambda edit: bool(edit.records))})


class _Failure(Struct):
    error: str


class Api:
    """One zone's resource."""

    def __init__(self, client: httpx2.Client, url: str, zone: Name, key: str, clock: Clock) -> None:
        self._client = client
        self._url = url
        self._key = key
        self._clock = clock
        self._zone = names.to_text(zone)
        self._where = "PowerDNS at " + "://".join(urlsplit(url)[:2])

    def read(self, *, rrsets: bool = True) -> ApiZone:
        """Read the zone, or with `rrsets=False` only what is said about it.

        Raises:
            UnreachableError: no answer, or the server failed.
            AuthError, RejectedError, RateLimitedError, ProviderError: as it answered.
        """
        import httpx2

        try:
            response = self._client.get(self._url, params={"rrsets": str(rrsets).lower()})
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            return msgspec.json.decode(response.content, type=ApiZone)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderError(
                f"{self._where} answered something that its API does not: {error}", hint=_WRONG_URL
            ) from None

    def patch(self, edits: list[Edit]) -> None:
        """Write all of it at once. After this returned, it is in force.

        Raises:
            UnreachableError: no connection; nothing was sent.
            OutcomeUnknownError: sent, or a part of it, and what became of it was not said.
            RejectedError, AuthError, RateLimitedError, ProviderError: as it answered; nothing was changed.
        """
        content = body(edits)
        if len(content) > BODY_LIMIT:
            raise RejectedError(f"{self._zone}: {len(content)} octets in one PATCH; PowerDNS takes {BODY_LIMIT}")
        self._write("PATCH", self._url, content)

    def create(self, zone: NewZone) -> None:
        """Create the zone. Raises as `patch` does."""
        self._write("POST", self._url.rpartition("/")[0], msgspec.json.encode(zone))

    def _write(self, method: str, url: str, content: bytes) -> None:
        import httpx2

        try:
            headers = {"Content-Type": "application/json"}
            response = self._client.request(method, url, content=content, headers=headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise self._unreachable(error) from None
        except httpx2.TransportError as error:
            raise OutcomeUnknownError(f"{self._zone}: sent to {self._where}, no answer: {_said(error)}") from None
        if response.status_code >= 500:
            raise OutcomeUnknownError(f"{self._zone}: sent to {self._where}, which answered {self._text(response)}")
        if response.status_code not in (200, 201, 204):
            raise self._refusal(response)

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(
            f"{self._zone}: no answer from {self._where}: {_said(error)}",
            hint="is pdns_server up with api=yes, and does webserver-allow-from hold this machine?",
        )

    def _refusal(self, response: httpx2.Response) -> ProviderError:
        """The error that an answer stands for which says that nothing was changed."""
        status, text = response.status_code, self._text(response)
        if status in (401, 403):
            return AuthError(
                f"{self._where} refused the API key: {text}", hint="compare api_key with api-key in pdns.conf"
            )
        if status == 404:
            return NoZoneError(
                f"{self._where} has no zone {self._zone}, or not under this server_id: {text}",
                hint="`pdnsutil list-all-zones` shows its zones; server_id is nearly always localhost",
            )
        if status == 429:
            wait = retryafter.seconds(response.headers.get("Retry-After", ""), self._clock.now())
            return RateLimitedError(f"{self._where} answered {text}", retry_after=wait)
        if status >= 500:
            return UnreachableError(f"{self._zone}: {self._where} failed: {text}")
        if status >= 400:
            hint = "write `comments: false` beside this provider's url" if _NO_COMMENTS in text else None
            return RejectedError(f"{self._zone}: {self._where} refused: {text}", hint=hint)
        return ProviderError(f"{self._where} answered {text} instead of its API", hint=_WRONG_URL)

    def _text(self, response: httpx2.Response) -> str:
        """The status, and the reason in the API's own words where it gave one."""
        try:
            reason = msgspec.json.decode(response.content, type=_Failure).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            reason = response.reason_phrase
        reason = "".join(char if char.isprintable() else " " for char in reason[:500])
        return f"{response.status_code} {reason}".replace(self._key, "(the key)").rstrip()


@contextmanager
def connect(base: str, zone: Name, key: str, timeout: float, clock: Clock) -> Iterator[Api]:
    """The API's resource of one zone, for a few requests.

    A redirect is not followed and no proxy of the environment is used: the key goes to the address that was
    configured and nowhere else. Each request has a connection of its own, as the server wants it, so that a PATCH
    never dies of one that had grown old.

    Args:
        base: the API's address with the server's id, `http://127.0.0.1:8081/api/v1/servers/localhost`.
        zone: the apex.
        key: what goes into X-API-Key.
        timeout: seconds for each of connecting, sending and waiting for the next octets.
        clock: the time, for dates in Retry-After.
    """
    import ssl

    import httpx2

    secure = base.startswith("https:")
    with httpx2.Client(
        verify=ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        headers={"X-API-Key": key, "Accept": "application/json"},
        timeout=timeout,
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield Api(client, f"{base}/zones/{_zone_id(zone)}", zone, key, clock)


def server_url(url: str, server_id: str) -> str:
    """The address of one server's part of the API."""
    return f"{url.rstrip('/')}/api/v1/servers/{quote(server_id, safe='')}"


def _zone_id(zone: Name) -> str:
    """The zone in a URL: PowerDNS writes what is no letter, digit, dot, hyphen or underscore as `=2F`."""
    text = names.to_text(zone)
    return "".join(char if char.isalnum() or char in ".-_" else f"={ord(char):02X}" for char in text)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
