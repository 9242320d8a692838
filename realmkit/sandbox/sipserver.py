"""The sandbox's SIP edge on the network: UDP on loopback before an `EmbeddedRegistrar`.

It registers with digest, relays OPTIONS to registered phones ("would a call reach this phone?"), and sends them NOTIFY.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from realmkit.errors import InputError
from realmkit.sandbox import digest, sip
from realmkit.sandbox.loop import Loop
from realmkit.sandbox.registrar import Contact, EmbeddedRegistrar, Register
from realmkit.sandbox.transaction import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realmkit.clock import Clock

_NONCE_LIFE: Final = 300  # seconds


class SipServer:
    """A registrar and proxy on UDP while the `with` block runs.

    Args:
        registrar: who decides.
        clock: for nonces and retransmission.
        address: an IPv4 loopback address.
        port: 0 takes a free one.

    Attributes:
        registrar: as given.
        address: where it listens, as given.
        port: where it listens.

    Raises:
        InputError: the address is not loopback, or is taken.
    """

    def __init__(
        self, registrar: EmbeddedRegistrar, clock: Clock, *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.registrar = registrar
        self.address = address
        self._clock = clock
        self._loop = Loop("sandbox SIP server", clock)
        try:
            self._peer = Client(self._loop, clock, (address, port), self._requested)
        except InputError:
            self._loop.close()
            raise
        self.port = self._peer.address[1]
        self._key = secrets.token_bytes(16)
        self._numbers = itertools.count(1)
        self._relayed: set[tuple[str, str]] = set()  # what phones have not answered yet: Call-ID and CSeq

    @classmethod
    def embedded(
        cls, clock: Clock, *, address: str = "127.0.0.1", port: int = 0, minimum: int = 300, maximum: int = 3600
    ) -> Self:
        """A server with a fresh registrar behind it, whose NOTIFYs it sends. Raises as the constructor does."""

        def deliver(contact: Contact, event: str) -> None:
            server.deliver(contact, event)

        registrar = EmbeddedRegistrar(clock, deliver, minimum=minimum, maximum=maximum)
        server = cls(registrar, clock, address=address, port=port)
        return server

    @property
    def where(self) -> str:
        """`127.0.0.1:40060`."""
        return self._peer.where

    def deliver(self, contact: Contact, event: str) -> None:
        """Send NOTIFY to the phone behind a row, again and again until it answers (RFC 3261, 17.1.2). Does not wait.

        Raises:
            SipError: the Event can't stand in a header.
        """
        request = self._notify(contact, event)
        sip.encode(request)  # what can't be written is told to the caller, not to the server's thread
        self._loop.hand(lambda: self._peer.send(request, _place(contact), lambda _: None))

    def __enter__(self) -> Self:
        self._loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    # --- everything below runs in the server's thread ------------------------------------------------------------

    def _requested(self, request: sip.Request) -> sip.Response | None:
        uri = sip.Uri.read(request.uri)
        if request.method == "ACK":
            return None
        if request.method == "REGISTER":
            return self._register(request)
        if request.method != "OPTIONS":
            return sip.respond(request, 405, ("allow", "REGISTER, OPTIONS"))
        if uri.user:
            return self._relay(request, uri)
        return sip.respond(request, 200, ("accept", "application/sdp"), ("allow", "REGISTER, OPTIONS"))

    def _register(self, request: sip.Request) -> sip.Response:
        user = sip.Uri.read(sip.Address.read(request.get("to")).uri)
        wish, proof = self._wish(request, user), self._proof(request, user)
        answer = self.registrar.register(wish, proof)
        if answer.status == 401:
            header = digest.challenge(
                user.host, self._nonce(), stale=proof is None and bool(request.get("authorization"))
            )
            return sip.respond(request, 401, ("www-authenticate", header))
        if answer.status == 423:
            return sip.respond(request, 423, ("min-expires", str(answer.expires)))
        if answer.status == 200 and answer.expires:
            return sip.respond(request, 200, ("contact", f"<{wish.uri}>;expires={answer.expires}"))
        return sip.respond(request, answer.status)

    @staticmethod
    def _wish(request: sip.Request, user: sip.Uri) -> Register:
        contacts = request.all("contact")
        contact = sip.Address.read(contacts[0]) if contacts else sip.Address("", {})
        if not contacts or not user.user or (contact.uri == "*" and request.get("expires") != "0"):
            raise sip.SipError("a REGISTER that says neither who nor where")
        expires = contact.parameters.get("expires") or request.get("expires")
        return Register(
            username=user.user,
            realm=user.host,
            uri=contact.uri,
            source="{}:{}".format(*sip.source_of(request)),
            user_agent=request.get("user-agent"),
            call_id=request.get("call-id"),
            expires=int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 11 else None,
        )

    def _proof(self, request: sip.Request, user: sip.Uri) -> Callable[[str], bool] | None:
        """None without credentials, or with ones that answer an old challenge."""
        fields: Mapping[str, str] = {}
        for value in (value for name, value in request.headers if name == "authorization"):
            fields = digest.read(value)
        if not self._is_nonce(fields.get("nonce", "")):
            return None

        def proof(password: str) -> bool:
            return digest.fits(fields, method="REGISTER", username=user.user, realm=user.host, password=password)

        return proof

    def _nonce(self) -> str:
        born = f"{int(self._clock.monotonic()):08x}"
        return born + self._seal(born)

    def _is_nonce(self, text: str) -> bool:
        born = text[:8]
        if not text.isascii() or not hmac.compare_digest(text[8:], self._seal(born)):
            return False
        return self._clock.monotonic() - int(born, 16) <= _NONCE_LIFE

    def _seal(self, born: str) -> str:
        return hmac.new(self._key, born.encode(), hashlib.sha256).hexdigest()[:24]

    def _relay(self, request: sip.Request, uri: sip.Uri) -> sip.Response | None:
        """Ask the phone behind the newest row, and hand back what it says (RFC 3261, 16)."""
        hops = request.get("max-forwards") or "70"
        if not (hops.isascii() and hops.isdigit()) or int(hops[:4]) == 0:
            return sip.respond(request, 483)
        rows = [row for row in self.registrar.contacts() if (row.username, row.realm) == (uri.user, uri.host)]
        if not rows:
            return sip.respond(request, 404)
        row = max(rows, key=lambda row: row.registered_at)
        asked = (request.get("call-id"), request.get("cseq"))
        if asked in self._relayed:
            return None
        self._relayed.add(asked)
        kept = [(name, value) for name, value in request.headers if name != "max-forwards"]
        headers = (*kept, ("max-forwards", str(int(hops[:4]) - 1)))
        onward = sip.Request(request.method, row.uri, headers, request.body)
        self._peer.send(onward, _place(row), partial(self._hand_back, request, asked))
        return None

    def _hand_back(self, request: sip.Request, asked: tuple[str, str], response: sip.Response | None) -> None:
        self._relayed.discard(asked)
        if response is None:
            back = sip.respond(request, 408)
        else:
            rest = tuple((name, value) for name, value in response.headers if name != "via")
            headers = (*(("via", via) for via in request.all("via")), *rest)
            back = sip.Response(response.status, response.reason, headers, response.body)
        self._peer.put(sip.encode(back), sip.source_of(request))

    def _notify(self, contact: Contact, event: str) -> sip.Request:
        aor = f"sip:{contact.username}@{contact.realm}"
        headers = (
            ("max-forwards", "70"),
            ("from", f"<{aor}>;tag={secrets.token_hex(6)}"),
            ("to", f"<{aor}>"),
            ("call-id", secrets.token_hex(12)),
            ("cseq", f"{next(self._numbers)} NOTIFY"),
            ("contact", f"<sip:{self.where}>"),
            ("event", event),
            ("subscription-state", "active"),
        )
        return sip.Request("NOTIFY", contact.uri, headers)


def _place(contact: Contact) -> tuple[str, int]:
    """Where a row's REGISTER came from, which is where its phone is reached, behind NAT or not."""
    host, _, port = contact.source.rpartition(":")
    return host, int(port)
