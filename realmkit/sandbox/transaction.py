"""A SIP user agent's side of UDP: requests with retransmission, and responses to what others ask (RFC 3261, 17)."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.sandbox import sip
from realmkit.sandbox.loop import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.clock import Clock
    from realmkit.sandbox.loop import Loop

    Then = Callable[[sip.Response | None], None]

T1: Final = 0.5  # seconds; RFC 3261, 17.1.1.1
T2: Final = 4.0
_REMEMBERED: Final = 256  # requests answered last, so that a repeated one is answered again and not done again


class _Open(Struct):
    """A request without a final response yet."""

    data: bytes
    target: tuple[str, int]
    end: float
    then: Then
    timer: Timer | None = None


class Client:
    """One UDP socket. Everything runs in the loop's thread.

    Args:
        loop: that runs it, and closes its socket at its own end.
        clock: for retransmission.
        where: loopback address and port; port 0 takes a free one.
        requested: answers a request; None for silence. A repeated request gets the same response without it.
        patience: seconds until a request without response is given up.

    Attributes:
        address: where it is.

    Raises:
        InputError: the address is not loopback, or is taken.
    """

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        where: tuple[str, int],
        requested: Callable[[sip.Request], sip.Response | None],
        patience: float = 64 * T1,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._requested = requested
        self._patience = patience
        self._socket = loop.udp(*where, self._receive)
        self.address: tuple[str, int] = (where[0], self._socket.getsockname()[1])
        self._open: dict[str, _Open] = {}
        self._answered: dict[tuple[str, str], bytes] = {}

    @property
    def where(self) -> str:
        """`127.0.0.1:40061`."""
        return f"{self.address[0]}:{self.address[1]}"

    def send(self, request: sip.Request, target: tuple[str, int], then: Then) -> None:
        """Send a request; `then` gets its final response, or None when none comes in time.

        Our Via is put above those that it has, which is none for a request of our own.
        """
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        vias = [f"SIP/2.0/UDP {self.where};branch={branch};rport", *request.all("via")]
        data = sip.encode(sip.with_vias(request, vias))
        self._open[branch] = _Open(data, target, self._clock.monotonic() + self._patience, then)
        self._transmit(branch, T1)

    def forget(self) -> None:
        """Drop every request that is under way, as pulling the plug does. Their `then` is not called."""
        for asked in self._open.values():
            if asked.timer is not None:
                asked.timer.cancel()
        self._open.clear()
        self._answered.clear()

    def _transmit(self, branch: str, pause: float) -> None:
        asked = self._open[branch]
        left = asked.end - self._clock.monotonic()
        if left <= 0:
            del self._open[branch]
            asked.then(None)
            return
        self.put(asked.data, asked.target)
        asked.timer = self._loop.after(min(pause, left), partial(self._transmit, branch, min(2 * pause, T2)))

    def put(self, data: bytes, target: tuple[str, int]) -> None:
        """Send a datagram as it is; what can't be sent is lost, as it may be on any network."""
        if not target[0].startswith("127."):
            return  # the sandbox sends nothing beyond loopback
        try:
            self._socket.sendto(data, target)
        except OSError:  # nobody listens there, or the queue is full
            return

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        try:
            message = sip.parse(data)
            if isinstance(message, sip.Response):
                self._respond_to(message)
            else:
                self._answer(sip.seen_from(message, source), source)
        except sip.SipError:
            return  # garbage gets no answer

    def _respond_to(self, response: sip.Response) -> None:
        if response.status < 200 or (asked := self._open.pop(response.branch, None)) is None:
            return
        if asked.timer is not None:
            asked.timer.cancel()
        asked.then(response)

    def _answer(self, request: sip.Request, source: tuple[str, int]) -> None:
        transaction = (request.branch, request.method)
        data = self._answered.get(transaction)
        if data is None:
            response = self._requested(request)
            if response is None:
                return
            data = sip.encode(response)
            self._answered[transaction] = data
            while len(self._answered) > _REMEMBERED:
                del self._answered[next(iter(self._answered))]
        self.put(data, source)
