"""One simulated phone on the network: its socket, and DNS, HTTP and SIP as the phone sees them."""

from __future__ import annotations

import http.client
import secrets
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from realmkit.errors import RealmkitError
from realmkit.sandbox import digest, sip
from realmkit.sandbox.location import Lookup, Target, locate
from realmkit.sandbox.loop import check_loopback
from realmkit.sandbox.phone import Behaviour, Event, Read, Registration, Result, SimPhone, State, What
from realmkit.sandbox.transaction import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from realmkit.clock import Clock
    from realmkit.sandbox.loop import Loop

T = TypeVar("T")
_HTTP_PATIENCE: Final = 3.0
_LARGEST_FILE: Final = 1 << 20
_SDP: Final = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class Seen(Struct, frozen=True):
    """A phone as it is at one moment.

    Attributes:
        name: as it was added.
        state: where it stands.
        realm: that it is configured for; "" without a configuration.
        registered_at: when its registration was last confirmed; None while it holds none.
        refreshes: registrations that repeated the one before.
        failures: failed attempts in a row.
        in_call: whether it is in a call.
        where: its own `address:port`.
        log: what happened to it.
    """

    name: str
    state: State
    realm: str
    registered_at: datetime | None
    refreshes: int
    failures: int
    in_call: bool
    where: str
    log: tuple[Event, ...]


class Place(Protocol):
    """What handsets share: a thread, others that wait, a clock and a resolver."""

    @property
    def loop(self) -> Loop:
        """Runs everything."""
        ...

    @property
    def clock(self) -> Clock:
        """The real one."""
        ...

    @property
    def patience(self) -> float:
        """Seconds to wait for a SIP response."""
        ...

    @property
    def workers(self) -> Executor:
        """Threads for DNS and HTTP."""
        ...

    @property
    def ask(self) -> Callable[[str, str], Sequence[str]]:
        """DNS: name and type to rdata as text."""
        ...

    def now(self) -> datetime:
        """The time now, UTC."""
        ...


class Handset:
    """One phone and its socket: the `World` that the phone sees. Everything runs in the loop's thread."""

    def __init__(
        self, place: Place, name: str, url: str, behaviour: Behaviour, read: Read, where: tuple[str, int]
    ) -> None:
        self._place = place
        self._url = url
        self._client = Client(place.loop, place.clock, where, self._requested, place.patience)
        self._phone = SimPhone(name, behaviour, self, read)
        self._timer = place.loop.after(0, lambda: None)
        self._cseq = 0
        self._token = secrets.token_hex(4)
        self._dialog = ""  # Call-ID of the call that it is in, if it came by SIP
        self._watch: Callable[[], None] = lambda: None

    def seen(self) -> Seen:
        """The phone as it is now."""
        phone = self._phone
        return Seen(
            name=phone.name,
            state=phone.state,
            realm=phone.line.realm if phone.line is not None else "",
            registered_at=phone.registered_at,
            refreshes=phone.refreshes,
            failures=phone.failures,
            in_call=phone.in_call,
            where=self._client.where,
            log=tuple(phone.log),
        )

    def acting(self, do: Callable[[SimPhone], T]) -> T:
        """Do something to the phone, and see when it wants to be called next."""
        result = do(self._phone)
        if not self._phone.up:
            self._client.forget()
        self._timer.cancel()
        if self._phone.due is not None:
            wait = (self._phone.due - self.now()).total_seconds()
            self._timer = self._place.loop.after(max(0.0, wait), lambda: self.acting(SimPhone.tick))
        self._watch()
        return result

    def measure(self, event: str, done: Future[float]) -> None:
        """Send the phone a NOTIFY and wait until it has registered afresh."""
        before, began = len(self._phone.log), self._place.clock.monotonic()
        if self._phone.state is not State.REGISTERED or self._phone.line is None:
            raise RealmkitError(f"phone {self._phone.name} is not registered")

        def watch() -> None:
            if any(one.what is What.REGISTERED for one in self._phone.log[before:]):
                self._watch = lambda: None
                done.set_result(self._place.clock.monotonic() - began)

        self._watch = watch
        who = f"<sip:{self._phone.line.username}@{self._phone.line.realm}>"
        fields = (
            ("from", f"{who};tag=measure"),
            ("to", who),
            ("call-id", secrets.token_hex(8)),
            ("cseq", "1 NOTIFY"),
            ("event", event),
            ("subscription-state", "active"),
        )
        host, port = self._client.address
        notify = sip.Request("NOTIFY", f"sip:{self._client.where}", fields)
        self._client.send(notify, (host, port), lambda _: None)

    # --- the phone's world ----------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """See `phone.World`, here and below."""
        return self._place.now()

    def fetch(self, then: Callable[[bytes | None], None]) -> None:
        """GET its file over HTTP."""
        self._elsewhere(partial(_fetch, self._url), then)

    def locate(self, realm: str, lookup: Lookup, then: Callable[[tuple[Target, ...]], None]) -> None:
        """Ask the resolver."""
        self._elsewhere(partial(_locate, realm, lookup, self._place.ask), then)

    def register(self, registration: Registration, then: Callable[[Result], None]) -> None:
        """REGISTER over UDP, twice where it is challenged."""
        self._register(registration, "", then)

    def _elsewhere(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Wait in another thread, go on in ours."""

        def run() -> None:
            result = work()
            self._place.loop.hand(lambda: self.acting(lambda _: then(result)))

        self._place.workers.submit(run)

    def _register(self, wish: Registration, proof: str, then: Callable[[Result], None]) -> None:
        self._cseq += 1
        who = f"<sip:{wish.line.username}@{wish.line.realm}>"
        headers = (
            ("max-forwards", "70"),
            ("from", f"{who};tag={secrets.token_hex(4)}"),
            ("to", who),
            ("call-id", f"{wish.call_id}-{self._token}"),
            ("cseq", f"{self._cseq} REGISTER"),
            ("contact", f"<sip:{wish.line.username}@{self._client.where}>"),
            ("expires", str(wish.expires)),
            ("user-agent", wish.user_agent),
            *((("authorization", proof),) if proof else ()),
        )
        request = sip.Request("REGISTER", f"sip:{wish.line.realm}", headers)
        target = (wish.target.address, wish.target.port)
        self._client.send(request, target, lambda response: self._registered(wish, bool(proof), then, response))

    def _registered(
        self, wish: Registration, proven: bool, then: Callable[[Result], None], response: sip.Response | None
    ) -> None:
        if response is None:
            self.acting(lambda _: then(Result(0)))
            return
        try:
            if response.status == 401 and not proven:
                self._register(wish, _proof(wish, response), then)
                return
            granted = _granted(response, f"sip:{wish.line.username}@{self._client.where}", wish.expires)
            result = Result(response.status, granted)
        except sip.SipError:  # a challenge that nobody can answer, Contacts that nobody can read
            result = Result(response.status if response.status >= 300 else 0)
        self.acting(lambda _: then(result))

    # --- what others want of the phone ------------------------------------------------------------------------------

    def _requested(self, request: sip.Request) -> sip.Response | None:
        if not self._phone.up:
            return None
        call_id = request.get("call-id")
        if not self._phone.in_call:
            self._dialog = ""
        inside = "tag" in sip.Address.read(request.get("to")).parameters
        if request.method == "ACK":
            return None
        if request.method == "INVITE" and (not inside or call_id == self._dialog):
            return self._invited(request, call_id)
        status = 405
        if request.method == "NOTIFY":
            status = self.acting(lambda phone: phone.notified(request.get("event")))
        elif inside and call_id != self._dialog:
            status = 481
        elif request.method == "OPTIONS":
            status = 200
        elif request.method == "BYE" and inside:
            self.acting(lambda phone: phone.hang_up())
            status = 200
        return sip.respond(request, status) if status else None

    def _invited(self, request: sip.Request, call_id: str) -> sip.Response:
        """Pick up at once; a repeated INVITE of the call that it is in is answered as the first was."""
        if call_id != self._dialog:
            if not self.acting(lambda phone: phone.call()):
                return sip.respond(request, 486)
            self._dialog = call_id
        headers = (("contact", f"<sip:{self._client.where}>"), ("content-type", "application/sdp"))
        return sip.respond(request, 200, *headers, body=_SDP.format(self._client.address[0]).encode())


def _proof(wish: Registration, response: sip.Response) -> str:
    return digest.answer(
        digest.read(response.get("www-authenticate")),
        method="REGISTER",
        uri=f"sip:{wish.line.realm}",
        username=wish.line.auth_id,
        password=wish.line.password,
        cnonce=secrets.token_hex(8),
    )


def _granted(response: sip.Response, contact: str, wished: int) -> int:
    """Seconds: for 423 what is the least, for 200 what our Contact got (RFC 3261, 10.2.4)."""
    if response.status == 423:
        return _seconds(response.get("min-expires"), 0)
    default = _seconds(response.get("expires"), wished)
    for value in response.all("contact"):
        address = sip.Address.read(value)
        if address.uri == contact:
            return _seconds(address.parameters.get("expires", ""), default)
    return default


def _seconds(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else default


def _fetch(url: str) -> bytes | None:
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_HTTP_PATIENCE)
    try:
        link.request("GET", parts.path or "/")
        response = link.getresponse()
        content = response.read(_LARGEST_FILE)
    except (OSError, http.client.HTTPException):
        return None
    else:
        return content if response.status == 200 else None
    finally:
        link.close()


def _locate(realm: str, lookup: Lookup, ask: Callable[[str, str], Sequence[str]]) -> tuple[Target, ...]:
    try:
        return locate(realm, lookup, ask)
    except (_NoAnswerError, ValueError):  # DNS is silent, or says what can't be read
        return ()


class _NoAnswerError(RealmkitError):
    """The resolver gave no answer, so nothing is known."""


def asker(resolver: str) -> Callable[[str, str], Sequence[str]]:
    """Asks that resolver and nobody else."""
    import dns.exception
    import dns.resolver

    host, _, port = resolver.partition(":")
    check_loopback(host)
    there = dns.resolver.Resolver(configure=False)
    there.nameservers, there.port, there.lifetime = [host], int(port or 53), 3.0

    def ask(name: str, kind: str) -> Sequence[str]:
        try:
            return [rdata.to_text() for rdata in there.resolve(name, kind, search=False)]
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return ()
        except dns.exception.DNSException as error:
            raise _NoAnswerError(f"{resolver} does not answer for {name} {kind}") from error

    return ask
