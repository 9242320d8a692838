"""Asking SIP endpoints by OPTIONS whether they live (RFC 3261 section 11), over UDP, TCP and TLS.

What comes back is from strangers: it is read strictly, within bounds of size, number and time, and whatever is not
the answer to the very request that was sent counts as none. Certificates are taken as they are; another look judges
them.
"""

from __future__ import annotations

import re
import secrets
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from msgspec import Struct, structs

from realmkit.dns import names
from realmkit.dns.asking.stream import sockaddr
from realmkit.health.seen.sip import EndpointSeen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence
    from socket import socket as Socket  # noqa: TID251, N812 - its type only

    from realmkit.clock import Clock
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.sip import SipTask

State = Literal["answered", "refused", "silent", "closed", "garbled", "unknown"]
_T1, _T2 = 0.5, 4.0  # seconds; RFC 3261 section 17.1.1.1 and 17.1.2.1
_MAX_HEAD: Final = 16384
_MAX_HEADERS: Final = 128
_MAX_STRAYS: Final = 32  # datagrams that are no answer, before one stops listening
_NEEDED: Final = frozenset({"via", "from", "to", "call-id", "cseq"})
_COMPACT: Final = {"v": "via", "f": "from", "t": "to", "i": "call-id"}  # RFC 3261 section 7.3.3
_WORD: Final = r"[A-Za-z0-9.!%*_+`'~-]+"
_STATUS: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) [^\r\n]*")
_HEADER: Final = re.compile(rf"({_WORD})[ \t]*:[ \t]*([^\r\n]*?)[ \t]*")
_BRANCH: Final = re.compile(rf";[ \t]*branch[ \t]*=[ \t]*({_WORD})", re.IGNORECASE)
# OpenSSL's words for bytes that are no TLS at all, by its versions; other refusals come from somebody who speaks it.
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TLS_REFUSED: Final = ("ALERT", "UNSUPPORTED_PROTOCOL", "DH_KEY_TOO_SMALL", "NO_SHARED_CIPHER")


class Question(NamedTuple):
    """A request, and what its answer must repeat."""

    data: bytes
    branch: str
    call_id: str


class Answer(NamedTuple):
    """A response: its status, and its Server or User-Agent."""

    status: int
    software: str


class _Outcome(Struct, frozen=True):
    """What came of one try."""

    state: State
    answer: Answer | None = None
    detail: str = ""
    connected: bool | None = None
    tls: bool | None = None


class _Moment:
    """A deadline.

    Args:
        clock: time.
        seconds: until then.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: there are none.
        """
        left = self._end - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def look(tasks: Sequence[SipTask], surroundings: Surroundings) -> list[EndpointSeen]:
    """Ask every endpoint, several at a time.

    Each try takes `surroundings.timeout` at most; TCP and TLS endpoints that do not answer as promised are tried a
    second time in the other way.

    Args:
        tasks: each endpoint once.
        surroundings: time, and how long to wait.

    Returns:
        What was seen of each, in their order.
    """
    late = "the time of the run was over"
    found = surroundings.each(
        tasks, partial(_probe, surroundings), lambda task: EndpointSeen(task, "unknown", detail=late)
    )
    alive = {one.task.address for one in found if one.state == "answered"}
    return [
        structs.replace(one, elsewhere=True) if one.state != "answered" and one.task.address in alive else one
        for one in found
    ]


def _probe(surroundings: Surroundings, task: SipTask) -> EndpointSeen:
    def moment() -> _Moment:
        left = surroundings.left()
        seconds = surroundings.timeout if left is None else min(surroundings.timeout, left)
        return _Moment(surroundings.clock, seconds)

    if task.transport == "udp":
        return _seen(task, _udp(task, moment()))
    first = _stream(task, moment(), secure=task.transport == "tls")
    if first.state == "answered" or first.connected is not True or first.tls:
        return _seen(task, first, plain=True if first.state == "answered" and task.transport == "tcp" else None)
    second = _stream(task, moment(), secure=task.transport == "tcp")
    if task.transport == "tcp":
        return _seen(task, first, plain=False, tls=second.tls)
    return _seen(task, first, plain=second.state == "answered")


def _seen(task: SipTask, one: _Outcome, *, plain: bool | None = None, tls: bool | None = None) -> EndpointSeen:
    status, software = one.answer or (0, "")
    return EndpointSeen(
        task, one.state, status, software, connected=one.connected, tls=one.tls if tls is None else tls, plain=plain,
        detail=one.detail,
    )  # fmt: skip


# --- the three transports --------------------------------------------------------------------------------------------


def _failed(error: OSError, connected: bool | None = None) -> _Outcome:
    """What an error of a socket comes to; whatever says nothing of the endpoint is unknown."""
    if isinstance(error, TimeoutError):
        return _Outcome("silent", None, "no TCP connection in time" if connected is False else "no answer", connected)
    if isinstance(error, ConnectionRefusedError):
        return _Outcome("refused", None, "connection refused", connected)
    if isinstance(error, ConnectionError):
        return _Outcome("closed", None, "the connection was reset", connected)
    return _Outcome("unknown", None, error.strerror or str(error), connected)


def _open(task: SipTask, kind: socket.SocketKind) -> tuple[Socket, tuple[object, ...]]:
    family, place = sockaddr((task.address, task.port), kind)
    return socket.socket(family, kind), place  # noqa: TID251 - this is the place


def _udp(task: SipTask, moment: _Moment) -> _Outcome:
    try:
        there, place = _open(task, socket.SOCK_DGRAM)
        with there:
            there.connect(place)
            question = request(task, "UDP", there.getsockname())
            return _exchange(there, question, moment)
    except OSError as error:
        return _failed(error)


def _exchange(there: Socket, question: Question, moment: _Moment) -> _Outcome:
    """Send the request and wait for its answer. Raises OSError."""
    strays = 0
    for data in _datagrams(there, question, moment):
        answer = read(data, question)
        if answer is not None:
            return _Outcome("answered", answer)
        strays += 1
        if strays == _MAX_STRAYS:
            break
    return _Outcome("garbled", None, "what came is no answer to OPTIONS") if strays else _failed(TimeoutError())


def _datagrams(there: Socket, question: Question, moment: _Moment) -> Iterator[bytes]:
    """What comes until the time is over; the request is repeated as RFC 3261 section 17.1.2.2 wants."""
    pause = _T1
    with suppress(TimeoutError):
        while moment.left():
            there.send(question.data)
            repeat = _Moment(moment.clock, pause)
            with suppress(TimeoutError):
                while True:
                    there.settimeout(min(moment.left(), repeat.left()))
                    yield there.recv(65535)
            pause = min(2 * pause, _T2)


def _stream(task: SipTask, moment: _Moment, *, secure: bool) -> _Outcome:
    """One connection, in the clear or with TLS, and one request on it."""
    connected, tls = False, None
    try:
        there, place = _open(task, socket.SOCK_STREAM)
        with there:
            there.settimeout(moment.left())
            there.connect(place)
            connected = True
            if not secure:
                return structs.replace(
                    _converse(there, request(task, "TCP", there.getsockname()), moment), connected=True
                )
            with _secured(there, task, moment) as channel:
                tls = True
                question = request(task, "TLS", channel.getsockname())
                return structs.replace(_converse(channel, question, moment), connected=True, tls=True)
    except (OSError, ValueError) as error:  # ValueError: a domain that can be no SNI
        return _of_tls(error, connected=connected, tls=tls)


def _of_tls(error: OSError | ValueError, *, connected: bool, tls: bool | None) -> _Outcome:
    """What an error of a connection comes to, which may have been one of TLS."""
    reason = getattr(error, "reason", None) or ""
    if not isinstance(reason, str) or not (reason or type(error).__name__.startswith("SSL")):
        if isinstance(error, ValueError):
            return _Outcome("unknown", None, str(error), connected, tls)
        return structs.replace(_failed(error, connected), tls=tls)
    if tls is None and any(word in reason for word in _TLS_REFUSED):
        tls = True
    elif tls is None and reason in _NO_TLS:
        tls = False
    said = reason.lower().replace("_", " ") or "the connection was closed"
    return _Outcome("closed", None, f"TLS: {said}", connected, tls)


def _secured(there: Socket, task: SipTask, moment: _Moment) -> ssl.SSLSocket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # what the certificate is worth is judged elsewhere; here a dialogue is wanted
    context.verify_mode = ssl.CERT_NONE
    there.settimeout(moment.left())
    return context.wrap_socket(there, server_hostname=names.to_text(task.domain)[:-1])


def _converse(channel: Socket, question: Question, moment: _Moment) -> _Outcome:
    """Send the request and read until the head of a message is complete. Raises OSError."""
    channel.settimeout(moment.left())
    channel.sendall(question.data)
    came = b""
    while b"\r\n\r\n" not in came:
        channel.settimeout(moment.left())
        chunk = channel.recv(4096)
        if not chunk:
            return _Outcome("closed", None, "the connection was closed without an answer")
        came = (came + chunk).lstrip(b"\r\n")  # keep-alives (RFC 5626 section 4.4.1, RFC 3261 section 7.5)
        if len(came) > _MAX_HEAD or not came.startswith(b"SIP/2.0 "[: len(came)]):
            return _Outcome("garbled", None, "what came is no SIP response")
    answer = read(came, question)
    if answer is None:
        return _Outcome("garbled", None, "what came is no answer to OPTIONS")
    return _Outcome("answered", answer)


# --- the message -----------------------------------------------------------------------------------------------------


def request(task: SipTask, transport: str, mine: Sequence[object]) -> Question:
    """An OPTIONS request (RFC 3261 section 11.1) from nobody (RFC 3323 section 4.1.1.3).

    Args:
        task: what is asked.
        transport: as Via names it: `UDP`, `TCP`, `TLS`.
        mine: this end of the socket: address and port first.
    """
    branch, call_id, tag = f"z9hG4bK{secrets.token_hex(12)}", secrets.token_hex(16), secrets.token_hex(8)
    address = str(mine[0]).partition("%")[0]
    here = f"[{address}]:{mine[1]}" if ":" in address else f"{address}:{mine[1]}"
    uri = f"sip:{names.to_text(task.domain)[:-1]}"
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {here};branch={branch};rport",  # rport: RFC 3581
        "Max-Forwards: 70",
        f"From: <sip:anonymous@anonymous.invalid>;tag={tag}",
        f"To: <{uri}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 OPTIONS",
        "Accept: application/sdp",
        "User-Agent: realmkit",
        "Content-Length: 0",
    )
    return Question("\r\n".join([*lines, "", ""]).encode("ascii", "replace"), branch, call_id)


def read(data: bytes, question: Question) -> Answer | None:
    """The answer to a request of ours, provisional or final; None for everything else.

    It must be a response with all the headers that every response has, and repeat the request's Call-ID, CSeq and
    topmost Via branch (RFC 3261 section 8.1.3.3, 8.2.6.2 and 17.1.3).
    """
    head, gap, _body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not gap or len(head) > _MAX_HEAD:
        return None
    with suppress(UnicodeDecodeError):
        first, *lines = re.sub(r"\r\n[ \t]+", " ", head.decode()).split("\r\n")
        status = _STATUS.fullmatch(first)
        headers = _headers(lines)
        if status and headers is not None and _is_ours(headers, question):
            software = headers.get("server") or headers.get("user-agent") or ""
            return Answer(int(status[1]), "".join(one for one in software if one.isascii() and one.isprintable())[:64])
    return None


def _headers(lines: Sequence[str]) -> dict[str, str] | None:
    """The first value of each header, by its long name in lower case; None if there is a line that is no header."""
    if len(lines) > _MAX_HEADERS:
        return None
    found: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None or "\0" in line:
            return None
        name = match[1].lower()
        found.setdefault(_COMPACT.get(name, name), match[2])
    return found


def _is_ours(headers: dict[str, str], question: Question) -> bool:
    if not headers.keys() >= _NEEDED or headers["call-id"] != question.call_id:
        return False
    branch = _BRANCH.search(headers["via"].partition(",")[0])
    return headers["cseq"].split() == ["1", "OPTIONS"] and branch is not None and branch[1] == question.branch
