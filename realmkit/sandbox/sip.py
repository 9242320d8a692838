"""SIP messages (RFC 3261) as the sandbox speaks them, read strictly and written canonically.

Only what REGISTER, OPTIONS, NOTIFY and a plain call over UDP need. What can't be read raises `SipError` and nothing
else, so that whoever listens on a socket has one thing to catch.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from realmkit.errors import RealmkitError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MESSAGE: Final = 65535
MAX_HEADERS: Final = 128
MAX_LINE: Final = 8192

REASONS: Final = {
    100: "Trying", 180: "Ringing", 200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 423: "Interval Too Brief",
    481: "Call/Transaction Does Not Exist", 483: "Too Many Hops", 486: "Busy Here", 489: "Bad Event",
}  # fmt: skip

_COMPACT: Final = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length", "c": "content-type", "f": "from",
    "s": "subject", "k": "supported", "t": "to", "v": "via", "o": "event", "u": "allow-events", "r": "refer-to",
    "b": "referred-by",
}  # fmt: skip
_SHOWN: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "mime-version": "MIME-Version",
}
_NEEDED: Final = ("via", "from", "to", "call-id", "cseq")
_SINGLE: Final = frozenset({"from", "to", "call-id", "cseq", "content-length", "max-forwards", "expires", "event"})
_WORD: Final = r"[A-Za-z0-9!%*_+`'~.-]+"
_HEADER: Final = re.compile(rf"({_WORD})[ \t]*:(.*)", re.DOTALL)
_REQUEST: Final = re.compile(rf"({_WORD}) (\S+) SIP/2\.0")
_RESPONSE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) (.*)")
_CSEQ: Final = re.compile(rf"([0-9]{{1,10}})[ \t]+({_WORD})")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOST: Final = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?"
_URI: Final = re.compile(
    rf"(sips?):(?:([^@\s<>]+)@)?({_HOST})(?::([0-9]{{1,5}}))?((?:;[^\s?<>]*)?)(?:\?[^\s<>]*)?", re.IGNORECASE
)
_VIA: Final = re.compile(rf"SIP/2\.0/({_WORD})[ \t]+({_HOST})(?::([0-9]{{1,5}}))?[ \t]*((?:;.*)?)", re.IGNORECASE)
_NAMED: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^"<>]*)\s*<([^<>]+)>\s*((?:;.*)?)', re.DOTALL)


class SipError(RealmkitError):
    """What came is not SIP, or not such SIP as we take. The message never repeats more than its kind."""


Headers: TypeAlias = tuple[tuple[str, str], ...]


class _Message:
    """What requests and responses have in common."""

    __slots__ = ()
    headers: Headers

    def get(self, name: str) -> str:
        """The first header of that (lower-case, long) name; "" where there is none."""
        return next((value for known, value in self.headers if known == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of that header, lists split (Via, Contact, Route ...)."""
        return [one for known, value in self.headers if known == name for one in split(value, ",")]

    @property
    def cseq(self) -> tuple[int, str]:
        """The number and the method."""
        match = _CSEQ.fullmatch(self.get("cseq"))
        if match is None:
            raise SipError("CSeq is no number and method")
        return int(match[1]), match[2]

    @property
    def branch(self) -> str:
        """The branch of the topmost Via, which names the transaction; "" where it has none."""
        return Via.read(self.all("via")[0]).parameters.get("branch", "")


class Request(_Message, Struct, frozen=True):
    """A request. Header names are lower-case and long; values without the blanks around them."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""


class Response(_Message, Struct, frozen=True):
    """A response. Header names are lower-case and long; values without the blanks around them."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


# --- reading and writing ---------------------------------------------------------------------------------------------


def parse(data: bytes) -> Request | Response:
    """Read one datagram.

    Folded header lines are joined (RFC 3261, 7.3.1); octets after Content-Length are dropped, as 18.3 wants for UDP.

    Raises:
        SipError: it is none, lacks a header that every message has, or is larger than we care for.
    """
    if len(data) > MAX_MESSAGE:
        raise SipError(f"a message of {len(data)} octets is too large")
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        raise SipError("the empty line after the headers is missing")
    try:
        lines = _unfold(head.decode("utf-8").split("\r\n"))
    except UnicodeDecodeError as error:
        raise SipError("the headers are not UTF-8") from error
    headers = tuple(_header(line) for line in lines[1:])
    _check(headers)
    body = _cut(headers, body)
    if match := _RESPONSE.fullmatch(lines[0]):
        return Response(status=int(match[1]), reason=match[2], headers=headers, body=body)
    if match := _REQUEST.fullmatch(lines[0]):
        request = Request(method=match[1], uri=match[2], headers=headers, body=body)
        if request.cseq[1] != request.method:
            raise SipError("CSeq names another method")
        return request
    raise SipError("the first line is neither a request's nor a response's")


def encode(message: Request | Response) -> bytes:
    """Write a message; Content-Length is put there for it.

    Raises:
        SipError: a header holds a control character, which would smuggle in another header.
    """
    if isinstance(message, Request):
        first = f"{message.method} {message.uri} SIP/2.0"
    else:
        first = f"SIP/2.0 {message.status} {message.reason}"
    lines = [first, *(f"{_shown(name)}: {value}" for name, value in message.headers if name != "content-length")]
    if any(_CONTROL.search(line) for line in lines):
        raise SipError("a header must not hold a line end or another control character")
    lines.append(f"Content-Length: {len(message.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + message.body


def _unfold(lines: list[str]) -> list[str]:
    if len(lines) > 2 * MAX_HEADERS or max(map(len, lines)) > MAX_LINE:
        raise SipError("too many or too long header lines")
    joined: list[str] = []
    for line in lines:
        if _CONTROL.search(line):
            raise SipError("a control character in the headers")
        if line[:1] in (" ", "\t") and len(joined) > 1:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    return joined


def _header(line: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise SipError("a header line has no name and colon")
    name = match[1].lower()
    return _COMPACT.get(name, name), match[2].strip()


def _check(headers: Headers) -> None:
    if len(headers) > MAX_HEADERS:
        raise SipError("too many headers")
    names = [name for name, _ in headers]
    for name in _NEEDED:
        if name not in names:
            raise SipError(f"{_shown(name)} is missing")
    if twice := {name for name in names if name in _SINGLE and names.count(name) > 1}:
        raise SipError(f"{_shown(min(twice))} stands twice")
    values = dict(headers)
    match = _CSEQ.fullmatch(values["cseq"])
    if match is None or int(match[1]) >= 2**31:
        raise SipError("CSeq is no number and method")
    if not values["call-id"]:
        raise SipError("Call-ID is empty")
    via = next(value for name, value in headers if name == "via")
    Via.read(split(via, ",")[0])


def _cut(headers: Headers, body: bytes) -> bytes:
    given = dict(headers).get("content-length")
    if given is None:
        return body
    if not re.fullmatch(r"[0-9]{1,5}", given) or int(given) > len(body):
        raise SipError("Content-Length does not fit the body")
    return body[: int(given)]


def _shown(name: str) -> str:
    return _SHOWN.get(name) or "-".join(part.capitalize() for part in name.split("-"))


def split(value: str, separator: str) -> list[str]:
    """Split a list outside quotes and angle brackets, blanks removed.

    Raises:
        SipError: a quote or bracket does not close, or an element is empty.
    """
    parts, start, quoted, angled, escaped = [], 0, False, False, False
    for position, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            quoted, escaped = char != '"', char == "\\"
        elif char == '"':
            quoted = True
        elif char in "<>":
            angled = char == "<"
        elif char == separator and not angled:
            parts.append(value[start:position].strip())
            start = position + 1
    parts.append(value[start:].strip())
    if quoted or angled or not all(parts):
        raise SipError("a list in a header can't be read")
    return parts


def _parameters(text: str) -> dict[str, str]:
    """`;a=b;c` as {"a": "b", "c": ""}; names lower-case, quotes removed."""
    found: dict[str, str] = {}
    for part in split(text.strip()[1:], ";") if text.strip() else []:
        name, _, value = part.partition("=")
        found[name.strip().lower()] = value.strip().strip('"')
    return found


# --- what headers hold -----------------------------------------------------------------------------------------------


class Uri(Struct, frozen=True):
    """A SIP URI. `user` is unescaped, `host` lower-case, `port` 0 when none is named."""

    user: str
    host: str
    port: int
    parameters: dict[str, str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `sip:user@host:port;parameters`. Raises SipError."""
        match = _URI.fullmatch(text)
        if match is None or int(match[4] or 0) > 65535:
            raise SipError("that is no SIP URI")
        user = unquote((match[2] or "").partition(":")[0])
        return cls(user, match[3].lower(), int(match[4] or 0), _parameters(match[5]))


class Address(Struct, frozen=True):
    """A name-addr or addr-spec (From, To, Contact): the URI as text, and the header's own parameters."""

    uri: str
    parameters: dict[str, str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `"Name" <uri>;tag=x` or `uri;tag=x`. Raises SipError."""
        if match := _NAMED.fullmatch(text):
            return cls(match[1].strip(), _parameters(match[2]))
        uri, semicolon, rest = text.partition(";")  # without brackets, parameters belong to the header (RFC 3261, 20)
        if not uri.strip() or any(char in text for char in '<>"'):
            raise SipError("that is no address")
        return cls(uri.strip(), _parameters(semicolon + rest))


class Via(Struct, frozen=True):
    """One Via: where it was sent by, and its parameters."""

    host: str
    port: int
    parameters: dict[str, str]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `SIP/2.0/UDP host:port;branch=z9hG4bK1`. Raises SipError."""
        match = _VIA.fullmatch(text)
        if match is None or int(match[3] or 0) > 65535:
            raise SipError("Via can't be read")
        return cls(match[2], int(match[3] or 5060), _parameters(match[4]))


def seen_from(request: Request, source: tuple[str, int]) -> Request:
    """The request with its topmost Via telling where it really came from (RFC 3581, 4)."""
    vias = request.all("via")
    kept = [part for part in split(vias[0], ";") if part.partition("=")[0].strip().lower() not in ("received", "rport")]
    top = ";".join([*kept, f"received={source[0]}", f"rport={source[1]}"])
    return with_vias(request, [top, *vias[1:]])


def source_of(request: Request) -> tuple[str, int]:
    """Where a request came from, which `seen_from` has written down."""
    parameters = Via.read(request.all("via")[0]).parameters
    return parameters["received"], int(parameters["rport"])


def with_vias(request: Request, vias: Iterable[str]) -> Request:
    """The request with these Vias in place of its own."""
    rest = tuple((name, value) for name, value in request.headers if name != "via")
    return Request(request.method, request.uri, (*(("via", via) for via in vias), *rest), request.body)


def respond(
    request: Request, status: int, *headers: tuple[str, str], tag: str = "", reason: str = "", body: bytes = b""
) -> Response:
    """A response (RFC 3261, 8.2.6): Via, From, To (with `tag`, unless it has one), Call-ID and CSeq are the request's.

    Args:
        request: what is answered.
        status: its code.
        headers: further headers, lower-case long names.
        tag: of our side of the dialog; a stateless one is made of the Call-ID where none is given.
        reason: the phrase; the usual one if left out.
        body: what it carries.
    """
    to = request.get("to")
    if status > 100 and "tag" not in Address.read(to).parameters:
        to += ";tag=" + (tag or hashlib.sha256(request.get("call-id").encode()).hexdigest()[:12])
    routes = tuple(one for one in request.headers if one[0] == "record-route") if status < 300 else ()
    kept = (
        *(("via", value) for value in request.all("via")),
        ("from", request.get("from")),
        ("to", to),
        ("call-id", request.get("call-id")),
        ("cseq", request.get("cseq")),
    )
    return Response(status, reason or REASONS.get(status, "Unknown"), (*kept, *routes, *headers), body)
