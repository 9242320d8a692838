"""One request over TCP and its answers, each checked: length, id, signature (RFC 7766, RFC 8945, RFC 5936).

This is for what needs a reliable way: zone transfers and updates. It blocks, and one deadline covers all of it.
Asking many names is `query.py`'s.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final, Self

from realmkit.clock import Clock, SystemClock
from realmkit.dns import wire
from realmkit.dns.asking.exchange import Server
from realmkit.dns.primary.tsig import Signing
from realmkit.errors import UnreachableError

if TYPE_CHECKING:
    from realmkit.dns.primary.tsig import Key

__all__ = ["Request", "Server"]

_CHUNK: Final = 262_144


class Request:
    """A TCP connection for one request; a context manager that connects and closes.

    Args:
        server: whom to ask; its address may be a host name.
        key: signs the request; then every answer must be signed too.
        timeout: seconds for all of it, from connecting to the last octet.
        clock: for the deadline and the signatures; None for the machine's.
    """

    def __init__(self, server: Server, key: Key | None, timeout: float, clock: Clock | None = None) -> None:
        self._server = server
        self._clock = clock or SystemClock()
        self._timeout = timeout
        self._deadline = self._clock.monotonic() + timeout
        self._signing = Signing(key, self._clock) if key else None
        self._buffer = b""
        self._at = 0
        self._id = b""

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            UnreachableError: it can't be done in time.
        """
        try:
            self._socket = socket.create_connection(  # noqa: TID251 - this is the place
                (self._server.address, self._server.port), timeout=self._left()
            )
        except (OSError, UnicodeError) as error:
            raise UnreachableError(f"can't connect to {self._server}: {_words(error)}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, request: bytes) -> None:
        """Send the one request.

        Args:
            request: without its id, which is drawn here.

        Raises:
            UnreachableError: it could not be sent whole, so the server can't have taken it.
        """
        self._id = os.urandom(2)
        message = self._id + request
        if self._signing:
            message = self._signing.sign(message)
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(len(message).to_bytes(2, "big") + message)
        except OSError as error:
            raise UnreachableError(f"can't send to {self._server}: {_words(error)}") from error

    def receive(self) -> wire.Message:
        """The next message of the answer: header, question and answer section, its signature checked.

        Raises:
            UnreachableError: none came in time, the connection was closed before its end, or it is no answer to the
                request.
            AuthError: its signature is missing or wrong (see `Signing.verify`).
        """
        octets = self._take(int.from_bytes(self._take(2), "big"))
        try:
            return self._checked(octets)
        except wire.BadMessageError as error:
            raise UnreachableError(f"{self._server} sent no usable answer: {error}") from error

    def finish(self) -> None:
        """The answer is complete: its last message must have been signed.

        Raises:
            AuthError: it was not.
        """
        if self._signing:
            self._signing.finish()

    def _checked(self, octets: bytes) -> wire.Message:
        message, offset = wire.read_answers(octets)
        if octets[:2] != self._id or not message.is_response:
            raise wire.BadMessageError("it is no answer to what was asked")
        if self._signing:
            self._signing.verify(octets, offset)
        return message

    def _take(self, size: int) -> bytes:
        """The next `size` octets of the stream."""
        end = self._at + size
        if len(self._buffer) < end:
            chunks = [self._buffer[self._at :]]
            missing = end - len(self._buffer)
            while missing > 0:
                chunks.append(self._receive())
                missing -= len(chunks[-1])
            self._buffer, self._at, end = b"".join(chunks), 0, size
        start, self._at = self._at, end
        return self._buffer[start:end]

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(self._left())
            chunk = self._socket.recv(_CHUNK)
        except TimeoutError as error:
            raise UnreachableError(f"{self._server} did not answer to the end within {self._timeout:g} s") from error
        except OSError as error:
            raise UnreachableError(f"the connection to {self._server} broke: {_words(error)}") from error
        if not chunk:
            raise UnreachableError(f"{self._server} closed the connection before its answer was complete")
        return chunk

    def _left(self) -> float:
        """Seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing within {self._timeout:g} s")
        return left


def _words(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no host name"
    return str(error.strerror or error) if error.errno is not None else str(error) or "timed out"
