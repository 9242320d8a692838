"""The words in which asking a name server is spoken of: server, options, reply, outcome, tally."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from msgspec import Struct, field

from realmkit.errors import InputError

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message


Place: TypeAlias = tuple[str, int]  # address and port


class Server(NamedTuple):
    """One address of a name server. `label` is its host name, where known; it is only shown."""

    address: str
    port: int = 53
    label: str = ""

    def __str__(self) -> str:
        """`ns1.example.net (192.0.2.1)`; the port is shown when it is not 53."""
        host = f"[{self.address}]" if ":" in self.address and self.port != 53 else self.address
        place = host if self.port == 53 else f"{host}:{self.port}"
        return f"{self.label} ({place})" if self.label else place

    @property
    def place(self) -> Place:
        """Address and port, by which a `Tally` names a server."""
        return self.address, self.port


class Outcome(StrEnum):
    """How asking ended. All but `ANSWER` leave unknown what the server holds."""

    ANSWER = "answer"
    TIMEOUT = "timeout"
    REFUSED = "connection refused"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    TCP_FAILED = "tcp failed"


class Failure(NamedTuple):
    """Why there is no answer: the outcome, and words for a person."""

    outcome: Outcome
    detail: str


class Options(Struct, frozen=True):
    """How to ask.

    Attributes:
        timeouts: seconds to wait for each try over UDP; their number is the number of tries, and the longest is
            also what TCP gets.
        rate: messages a second to one server address; None for no limit.
        burst: how many may go at once after a pause.
        window: how many questions may be in flight to one server.
        deadline: seconds for all of it; what is open then ends as a timeout. None for no limit.
        rd: ask for recursion (resolvers), or not (authoritative servers).
        payload: the EDNS payload size in octets (RFC 6891); None asks without EDNS.
        rates: messages a second by server address, where they differ from `rate`; None for no limit.
        mix_case: send the letters of a name in random case and want them back so, which makes an answer harder to
            forge. A server that does not give them back so is asked without.
        tcp: ask over TCP only.
        dnssec: ask for signatures too (the DO bit, RFC 3225); needs `payload`.
    """

    timeouts: tuple[float, ...] = (0.4, 1.2, 3.0)
    rate: float | None = 50.0
    burst: int = 20
    window: int = 200
    deadline: float | None = None
    rd: bool = False
    payload: int | None = 1232
    rates: Mapping[str, float | None] = field(default_factory=dict)
    mix_case: bool = True
    tcp: bool = False
    dnssec: bool = False

    def rate_of(self, address: str) -> float | None:
        """Messages a second to a server address; None for no limit."""
        return self.rates.get(address, self.rate)

    def fault(self) -> str | None:
        """Why these options make no sense, or None if they do."""
        if not self.timeouts or min(self.timeouts) <= 0:
            return "timeouts must be above 0, and at least one"
        if min(self.window, self.burst) < 1:
            return "window and burst must be at least 1"
        if any(rate is not None and not rate > 0 for rate in (self.rate, *self.rates.values())):
            return "a rate must be above 0, or None for no limit"
        if self.dnssec and self.payload is None:
            return "signatures are asked for by EDNS: dnssec needs a payload size"
        return None


DEFAULT: Final = Options()


class Reply(NamedTuple):
    """How one question ended.

    Attributes:
        server: whom we asked.
        name: what we asked for.
        type: what we asked for.
        outcome: whether there is an answer, and why not.
        message: the answer; None unless the outcome is `ANSWER`.
        rtt: seconds from the try that was answered to its answer; 0 without an answer.
        tries: how often the question was sent, over UDP and TCP.
        detail: why there is no answer, for a person.
    """

    server: Server
    name: Name
    type: Type
    outcome: Outcome
    message: Message | None = None
    rtt: float = 0.0
    tries: int = 0
    detail: str = ""


class Tally(Struct):
    """What happened on the wire, counted while `ask` runs, and what was learned of servers.

    The next `ask` that is given the same tally heeds what was learned.

    Attributes:
        sent: datagrams and TCP messages sent.
        received: datagrams and TCP messages received.
        retries: UDP tries after the first.
        truncated: answers with TC, asked again over TCP.
        late: datagrams whose id nobody waits for (any more).
        foreign: messages with a known id that do not echo the question.
        malformed: answers to a question of ours that can't be read.
        uncased: answers that gave the question back in other case than it was sent.
        caseless: servers that did so, by place.
        slowed: servers that limit the rate of answers (truncated answers without need, or silence to most of many
            questions), by place, and the least messages a second that they were slowed down to.
        no_edns: servers that only answer without EDNS, by place, and what they do with it: `FORMERR`, `NOTIMP`,
            `BADVERS` or `silence`.
        down: servers that were marked down, by place, with the reason; they are asked no more.
    """

    sent: int = 0
    received: int = 0
    retries: int = 0
    truncated: int = 0
    late: int = 0
    foreign: int = 0
    malformed: int = 0
    uncased: int = 0
    caseless: set[Place] = field(default_factory=set)
    slowed: dict[Place, float] = field(default_factory=dict)
    no_edns: dict[Place, str] = field(default_factory=dict)
    down: dict[Place, Failure] = field(default_factory=dict)


def server_from_text(text: str) -> Server:
    """Read `192.0.2.53`, `ns1.example.net:5353`, `2001:db8::53` or `[2001:db8::53]:5353`; the port is else 53.

    Raises:
        InputError: it is none of these.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        whole = bool(bracket) and colon in ("", ":")
    elif text.count(":") > 1:
        host, colon, port, whole = text, "", "", True
    else:
        host, colon, port = text.partition(":")
        whole = True
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
    if not whole or not host or any(c.isspace() for c in host) or (colon and not 0 < number < 65536):
        raise InputError(f"{text!r} is no name server; expected an address or a host name, and perhaps :port")
    return Server(host, number if colon else 53)
