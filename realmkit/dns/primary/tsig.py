"""Transaction signatures (TSIG, RFC 8945): a request is signed, and every answer to it is checked.

A transfer of many messages is checked message by message with the standard library's HMAC. dnspython is the oracle of
the tests, in both directions and for every algorithm.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from realmkit.dns import names, wire
from realmkit.errors import AuthError, InputError, SecretError

if TYPE_CHECKING:
    from realmkit.clock import Clock
    from realmkit.dns.names import Name

Algorithm = Literal[
    "hmac-sha256", "hmac-sha1", "hmac-sha224", "hmac-sha384", "hmac-sha512", "hmac-sha256-128", "hmac-sha384-192",
    "hmac-sha512-256", "hmac-md5",
]  # fmt: skip
FUDGE: Final = 300  # seconds of clock difference that both sides take (RFC 8945 section 10)
MOST_UNSIGNED: Final = 99  # messages between two signed ones (RFC 8945 section 5.3.1)
MAX_SIZE: Final = 255 + 10 + 26 + 16 + 64  # octets that a signature adds to a request at most

_NAMES: Final = {"hmac-md5": "hmac-md5.sig-alg.reg.int"}  # on the wire, all others are called as they are written
_STATEMENT: Final = re.compile(r'\bsecret\s+"([^"]*)"\s*;')
_BADSIG, _BADKEY, _BADTIME = 16, 17, 18
_RECORD: Final = struct.Struct("!HHIH")
_TIMES: Final = struct.Struct("!HIH")  # 48 bits of seconds, and the fudge


class UnverifiedError(AuthError):
    """The answer can't be believed: its signature is missing or wrong. What it says may be forged."""


class UnsignedRefusalError(AuthError):
    """A signed request was answered with an rcode that is not NOERROR, and without a signature.

    Args:
        rcode: of the answer.
        key: the key's name.
    """

    def __init__(self, rcode: int, key: str) -> None:
        super().__init__(
            f"the server answered {wire.rcode_to_text(rcode)} and did not sign it",
            hint=f"does the server know the key {key}, and allow it this? Is this machine's clock right? Its log says "
            "why it refused",
        )
        self.rcode = rcode


class Key:
    """A TSIG key. Its secret shows in no repr.

    Args:
        name: of the key, as the server knows it.
        secret: the octets, decoded.
        algorithm: one of `Algorithm`.

    Raises:
        InputError: no such algorithm.
    """

    __slots__ = ("algorithm", "name", "secret")

    def __init__(self, name: Name, secret: bytes, algorithm: str = "hmac-sha256") -> None:
        if algorithm not in get_args(Algorithm):
            known = ", ".join(get_args(Algorithm))
            raise InputError(f"unknown TSIG algorithm {algorithm!r}; known are: {known}")
        try:
            hmac.digest(secret, b"", _hash_of(algorithm))
        except ValueError as error:
            raise InputError(f"this machine's policy forbids the TSIG algorithm {algorithm!r}") from error
        self.name = name
        self.secret = secret
        self.algorithm = algorithm

    @classmethod
    def from_text(cls, name: str, secret: str, algorithm: str = "hmac-sha256") -> Key:
        """Build a key from what a person has: a name, and the secret in base64 or in a file of `tsig-keygen`.

        Raises:
            SecretError: the secret is no base64. It is not repeated.
            BadNameError, InputError: no key name, no algorithm.
        """
        statements = _STATEMENT.findall(secret)
        text = statements[0] if len(statements) == 1 else secret
        try:
            octets = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            octets = b""
        if not octets:
            raise SecretError(
                f"the secret of the TSIG key {name!r} is no base64",
                hint="give the secret alone, or a file with the one key that tsig-keygen printed",
            )
        return cls(names.absolute(name), octets, algorithm)

    def __repr__(self) -> str:
        return f"Key({self.text!r}, {self.algorithm!r})"

    @property
    def text(self) -> str:
        """The name, for a person."""
        return names.to_text(self.name)


class Signature(NamedTuple):
    """A TSIG record, read (RFC 8945 section 4.2).

    Attributes:
        key: name of the key. `algorithm`: name of the algorithm.
        time: when it was made, in seconds since 1970; `fudge`: how much the receiver's clock may differ.
        mac: the signature. `id`: that of the message when it was signed.
        error: what the signer thinks of our own signature, an extended rcode; `other`: more about that.
    """

    key: Name
    algorithm: Name
    time: int
    fudge: int
    mac: bytes
    id: bytes
    error: int
    other: bytes


class Signing:
    """One signed request and the answers to it, in their order.

    Args:
        key: signs and checks.
        clock: the time that is signed, and that an answer's time is compared with.
    """

    def __init__(self, key: Key, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._algorithm = names.absolute(_NAMES.get(key.algorithm, key.algorithm))
        self._hash = _hash_of(key.algorithm)
        cut = key.algorithm.split("-")[2:]
        self._mac_size = int(cut[0]) // 8 if cut else None
        self._mac = b""
        self._unsigned: list[bytes] = []
        self._begun = False

    def sign(self, request: bytes) -> bytes:
        """The request with its signature, the last record of the additional section."""
        now = self._now()
        times = _TIMES.pack(now >> 32, now & 0xFFFFFFFF, FUDGE)
        self._mac = self._digest(request, self._variables(times, 0, b""))
        mac = len(self._mac).to_bytes(2, "big") + self._mac
        rdata = self._algorithm + times + mac + request[:2] + b"\0\0\0\0"
        count = (int.from_bytes(request[10:12], "big") + 1).to_bytes(2, "big")
        record = self._key.name + _RECORD.pack(wire.TSIG, wire.ANY, 0, len(rdata)) + rdata
        return request[:10] + count + request[12:] + record

    def verify(self, answer: bytes, offset: int) -> None:
        """Check one message of the answer.

        Args:
            answer: the message as it came.
            offset: where its authority section begins.

        Raises:
            UnsignedRefusalError: the server says without a signature that it refuses.
            AuthError: the server did not take our signature.
            UnverifiedError: it is not signed where it must be, or not by this key, algorithm or time.
            BadMessageError: the records after `offset` are damaged.
        """
        start = find(answer, offset)
        if start is None:
            self._unsigned_message(answer)
        else:
            self._signed_message(answer, start)

    def finish(self) -> None:
        """No more messages are expected: the last one must have been signed (RFC 8945 section 5.3.1).

        Raises:
            UnverifiedError: it was not.
        """
        if self._unsigned:
            raise UnverifiedError(f"the end of the answer is not signed with the key {self._key.text}")

    def _unsigned_message(self, answer: bytes) -> None:
        """An answer may leave messages after the first unsigned; the next signature covers them too."""
        if self._begun:
            self._unsigned.append(answer)
            if len(self._unsigned) > MOST_UNSIGNED:
                raise UnverifiedError(f"more than {MOST_UNSIGNED} messages in a row are not signed; they may be forged")
            return
        rcode = answer[3] & 0xF
        if rcode == wire.NOERROR:
            raise UnverifiedError(
                f"the answer is not signed with the key {self._key.text}; it may be forged",
                hint="does this server know TSIG? A proxy on the way may have taken the signature off",
            )
        raise UnsignedRefusalError(rcode, self._key.text)

    def _signed_message(self, answer: bytes, start: int) -> None:
        key = f"the TSIG key {self._key.text} ({self._key.algorithm})"
        signature = _read(answer, start)
        if signature.error:
            raise self._refusal(signature, key)
        if signature.key != self._key.name:
            raise UnverifiedError(f"the answer is signed with another key than {key}")
        if signature.algorithm != self._algorithm:
            raise UnverifiedError(f"the answer is signed with another algorithm than that of {key}")
        if not hmac.compare_digest(signature.mac, self._expected(answer, start, signature)):
            raise UnverifiedError(f"the answer's signature is not by {key}")
        if abs(signature.time - self._now()) > signature.fudge:
            raise UnverifiedError(self._clocks(signature))
        self._mac = signature.mac
        self._unsigned.clear()
        self._begun = True

    def _expected(self, answer: bytes, start: int, signature: Signature) -> bytes:
        """The signature that the message should have (RFC 8945 sections 4.3 and 5.3.1)."""
        count = (int.from_bytes(answer[10:12], "big") - 1).to_bytes(2, "big")
        bare = signature.id + answer[2:10] + count + answer[12:start]
        last = _TIMES.pack(signature.time >> 32, signature.time & 0xFFFFFFFF, signature.fudge)
        if not self._begun:
            last = self._variables(last, signature.error, signature.other)
        before = len(self._mac).to_bytes(2, "big") + self._mac
        return self._digest(before, *self._unsigned, bare, last)

    def _variables(self, times: bytes, error: int, other: bytes) -> bytes:
        tail = struct.pack("!HH", error, len(other)) + other
        return self._key.name + struct.pack("!HI", wire.ANY, 0) + self._algorithm + times + tail

    def _digest(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key.secret, b"".join(parts), self._hash)[: self._mac_size]

    def _refusal(self, signature: Signature, key: str) -> AuthError:
        """What the server says of our own signature, and what mends it."""
        text, hint = {
            _BADTIME: (self._clocks(signature), "set the clock that is wrong (timedatectl, chronyc tracking)"),
            _BADKEY: (
                f"the server does not know {key} (BADKEY)",
                "compare name and algorithm with the server's configuration; Knot says so of a key that its acl bars",
            ),
            _BADSIG: (f"the server knows {key} with another secret (BADSIG)", "compare the secret with the server's"),
        }.get(signature.error, (f"the server refuses our signature by {key} (TSIG error {signature.error})", None))
        return AuthError(text, hint=hint)

    def _clocks(self, signature: Signature) -> str:
        """BADTIME: a server tells its own time in `other`, else it is the time of its signature."""
        theirs = int.from_bytes(signature.other, "big") if len(signature.other) == 6 else signature.time
        return (
            f"the clocks differ: here it is {_shown(self._now())}, on the server {_shown(theirs)}; "
            f"TSIG takes {FUDGE} s at most"
        )

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _hash_of(algorithm: str) -> str:
    return algorithm.split("-")[1]


def _read(message: bytes, start: int) -> Signature:
    """Read the TSIG record at `start`.

    Raises:
        BadMessageError: it is none.
    """
    try:
        owner, offset = wire.read_name(message, start, {})
        _, class_, ttl, length = _RECORD.unpack_from(message, offset)
        end = offset + 10 + length
        algorithm, offset = wire.read_name(message, offset + 10, {})
        high, low, fudge = _TIMES.unpack_from(message, offset)
        mac, offset = _sized(message, offset + 8)
        ident, error = struct.unpack_from("!2sH", message, offset)
        other, offset = _sized(message, offset + 4)
    except (IndexError, struct.error):
        raise wire.BadMessageError(f"the TSIG record at octet {start} is cut short") from None
    if class_ != wire.ANY or ttl or not offset == end <= len(message):
        raise wire.BadMessageError(f"the record at octet {start} is no TSIG (RFC 8945 section 4.2)")
    return Signature(owner, algorithm, high << 32 | low, fudge, mac, ident, error, other)


def _sized(message: bytes, offset: int) -> tuple[bytes, int]:
    """Octets after their number, and the offset after them."""
    end = offset + 2 + (message[offset] << 8 | message[offset + 1])
    return message[offset + 2 : end], end


def find(message: bytes, offset: int) -> int | None:
    """Where the TSIG record of a message begins; None if there is none.

    Args:
        message: a whole message.
        offset: where its authority section begins.

    Raises:
        BadMessageError: the records from there on are damaged, or a TSIG record is not the last one.
    """
    found = None
    try:
        for _ in range(int.from_bytes(message[8:10], "big") + int.from_bytes(message[10:12], "big")):
            if found is not None:
                raise wire.BadMessageError("a record follows the TSIG record")
            start = offset
            offset = wire.skip_name(message, offset)
            kind, _, _, length = _RECORD.unpack_from(message, offset)
            offset += 10 + length
            if kind == wire.TSIG:
                found = start
    except (IndexError, struct.error):
        raise wire.BadMessageError(f"the message of {len(message)} octets is cut short") from None
    if offset != len(message):
        raise wire.BadMessageError("the message is cut short, or has octets left over")
    return found


def _shown(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"
