"""Knocking at mail hosts: greeting, EHLO, STARTTLS, QUIT; never a sender, a recipient or a message. And mail policies.

Time and size are bounded: a host that drips octets, or that never stops talking, costs no more than the timeout.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from msgspec import structs

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.fields import targets
from realmkit.health.observe.realms import ask_keys
from realmkit.health.seen.mail import MailHostSeen, MailPolicySeen, SmtpTask
from realmkit.health.seen.realm import Sight

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.clock import Clock
    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.realm import HostSeen, RealmSeen

SMTP: Final = 25
_MOST: Final = 65536  # octets that a host may say in all
_LINES: Final = 100  # lines that one reply may have
_SHOWN: Final = 200  # characters of a greeting that are kept
_GOODBYE: Final = 0.5  # seconds to wait for the answer to QUIT
_BLOCKED: Final = "no connection; many networks block port 25 towards the outside, so this says little"


def smtp_tasks(realms: Iterable[RealmSeen]) -> list[SmtpTask]:
    """The addresses of all hosts that the realms' MX records lead to, each host address once.

    Addresses to which this machine has no route are left out where the same host has others: a machine without IPv6
    is no fault of the host.
    """
    hosts: dict[Name, HostSeen] = {}
    for realm in realms:
        for view in realm.views():
            exchanges = view.rrset(realm.name, rr.MX)
            names_ = targets(exchanges) if exchanges is not None else []
            hosts.update((host, realm.hosts[host]) for host in names_ if host in realm.hosts)
    return [SmtpTask(name, server) for name in sorted(hosts) for server in _routed(hosts[name])]


def _routed(host: HostSeen) -> list[Server]:
    servers = [query.Server(rdata.to_text(kind, octets), SMTP) for kind, octets in host.addresses]
    return [one for one in servers if query.has_route(one.address)] or servers


def look(tasks: Sequence[SmtpTask], surroundings: Surroundings) -> list[MailHostSeen]:
    """Knock at each address once, several at a time.

    Args:
        tasks: as `smtp_tasks` gives them. Hosts that share an address share one look at it.
        surroundings: clock, deadline, and the seconds that one probe may take.

    Returns:
        One for each task, in their order.
    """
    first: dict[Server, SmtpTask] = {}
    for task in tasks:
        first.setdefault(task.server, task)

    def probe(task: SmtpTask) -> MailHostSeen:
        left = surroundings.left()
        timeout = surroundings.timeout if left is None else max(min(surroundings.timeout, left), 0.01)
        return _probe(task, surroundings.clock, timeout)

    def late(task: SmtpTask) -> MailHostSeen:
        return MailHostSeen(task.host, task.server, "unknown", detail="the run ended before it was asked")

    found = dict(zip(first, surroundings.each(list(first.values()), probe, late), strict=True))
    return [structs.replace(found[task.server], host=task.host) for task in tasks]


class _Ended(Exception):  # noqa: N818 - it is no error, only how a conversation ended
    """The conversation is over: the host was `silent` too long, or `closed`, or talked `nonsense`.

    `lines` are those of the reply that it broke off, with their codes.
    """

    def __init__(self, how: Literal["silent", "closed", "nonsense"], lines: Sequence[str] = ()) -> None:
        self.how = how
        self.lines = lines


class _Reply(NamedTuple):
    """A reply code and its lines without the code (RFC 5321 section 4.2.1)."""

    code: int
    lines: tuple[str, ...]


class _Talk:
    """One conversation; its socket may become a TLS one. `until` is when it has to be over, by the clock."""

    def __init__(self, connection: socket.socket, clock: Clock, until: float) -> None:  # noqa: TID251 - the type
        self.socket = connection
        self._clock = clock
        self._until = until
        self._heard = b""
        self._left = _MOST

    def hurry(self, seconds: float) -> None:
        """Let it be over in so many seconds at the latest."""
        self._until = min(self._until, self._clock.monotonic() + seconds)

    def say(self, words: str) -> _Reply:
        """Say a command and hear the reply. Raises as `hear`."""
        try:
            self._limit()
            self.socket.sendall(words.encode("ascii") + b"\r\n")
        except TimeoutError:
            raise _Ended("silent") from None
        except OSError:
            raise _Ended("closed") from None
        return self.hear()

    def hear(self) -> _Reply:
        """The next reply.

        Raises:
            _Ended: there is none.
        """
        lines: list[str] = []
        while len(lines) < _LINES:
            line = self._line(lines)
            lines.append(line)
            code, mark = line[:3], line[3:4]
            if not (code.isascii() and code.isdecimal() and mark in ("", " ", "-")):
                raise _Ended("nonsense", [line])
            if mark != "-":
                return _Reply(int(code), tuple(one[4:] for one in lines))
        raise _Ended("nonsense", lines[:1])

    def encrypt(self, host: str) -> None:
        """TLS from here on; the certificate is not looked at, as nearly no sender does (RFC 3207 section 4.1).

        Raises:
            OSError, ValueError: no handshake came about; `ssl.SSLError` is an OSError.
        """
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self._heard:
            raise ValueError("it goes on talking in clear after it has agreed to TLS")
        self._limit()
        self.socket = context.wrap_socket(self.socket, server_hostname=host)

    def _line(self, before: Sequence[str]) -> str:
        while b"\n" not in self._heard:
            try:
                self._limit()
                more = self.socket.recv(4096)
            except TimeoutError:
                raise _Ended("silent", before) from None
            except OSError:
                raise _Ended("closed", before) from None
            self._left -= len(more)
            if not more:
                raise _Ended("closed", before)
            if self._left < 0:
                raise _Ended("nonsense", [_shown(self._heard), *before])
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return _shown(line)

    def _limit(self) -> None:
        self.socket.settimeout(max(self._until - self._clock.monotonic(), 0.01))


def _probe(task: SmtpTask, clock: Clock, timeout: float) -> MailHostSeen:
    until = clock.monotonic() + timeout
    where = (task.server.address, task.server.port)
    try:
        connection = socket.create_connection(where, timeout)  # noqa: TID251 - this is the place
    except ConnectionRefusedError:
        return MailHostSeen(task.host, task.server, "refused", detail="nothing listens there, or a firewall says so")
    except OSError:
        return MailHostSeen(task.host, task.server, "unknown", detail=_BLOCKED)
    talk = _Talk(connection, clock, until)
    try:
        return _greeted(task, talk)
    finally:
        _leave(talk)


def _greeted(task: SmtpTask, talk: _Talk) -> MailHostSeen:
    try:
        greeting = talk.hear()
    except _Ended as end:
        said = end.lines[0] if end.lines else ""
        if end.how == "silent" and said:
            detail = "it had not finished its greeting when time was up"
            return MailHostSeen(task.host, task.server, "greeted", int(said[:3]), said[4:_SHOWN], detail=detail)
        if end.how == "nonsense":
            return MailHostSeen(task.host, task.server, "greeted", 0, said[:_SHOWN], detail="what it says is no SMTP")
        return MailHostSeen(task.host, task.server, "silent" if end.how == "silent" else "closed")
    seen = MailHostSeen(task.host, task.server, "greeted", greeting.code, greeting.lines[0][:_SHOWN])
    if greeting.code != 220:
        return seen
    try:
        return _extended(seen, talk)
    except _Ended as end:
        return structs.replace(seen, detail=f"after its greeting it was {end.how}")


def _extended(seen: MailHostSeen, talk: _Talk) -> MailHostSeen:
    """What it offers. Raises `_Ended` where the conversation ends before that is known."""
    hello = talk.say(f"EHLO {_myself(talk.socket)}")
    if hello.code == 421:
        return structs.replace(seen, detail="it hangs up after EHLO (421)")
    if hello.code != 250:
        return structs.replace(seen, starttls="absent", detail=f"it answers EHLO with {hello.code}")
    if "STARTTLS" not in {line.strip().upper() for line in hello.lines[1:]}:
        return structs.replace(seen, starttls="absent")
    return _encrypted(seen, talk)


def _encrypted(seen: MailHostSeen, talk: _Talk) -> MailHostSeen:
    """Whether STARTTLS, which it offers, comes to something. Raises as `_extended`."""
    ready = talk.say("STARTTLS")
    if ready.code != 220:
        return structs.replace(seen, starttls="failed", detail=f"it answers STARTTLS with {ready.code}")
    try:
        talk.encrypt(names.to_text(seen.host)[:-1])
    except TimeoutError:
        return structs.replace(seen, detail="the TLS handshake had not ended when time was up")
    except (OSError, ValueError) as error:
        return structs.replace(seen, starttls="failed", detail=f"the TLS handshake fails: {str(error)[:_SHOWN]}")
    return structs.replace(seen, starttls="works")


def _leave(talk: _Talk) -> None:
    """Say QUIT, as RFC 5321 section 4.1.1.10 wants it even after a refusal, and hang up."""
    talk.hurry(_GOODBYE)
    with suppress(_Ended):
        talk.say("QUIT")
    talk.socket.close()


def _myself(connection: socket.socket) -> str:  # noqa: TID251 - the type
    """Our own address as the literal that EHLO takes of a client without a name (RFC 5321 section 4.1.3)."""
    address = connection.getsockname()[0]
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "replace").rstrip("\r")
    return "".join(char if char.isprintable() else "?" for char in text)


def policies(realms: Iterable[RealmSeen], surroundings: Surroundings) -> list[MailPolicySeen]:
    """SPF and DMARC of every realm that takes mail, or should; asked of the zone's authoritative servers.

    One server after the other is asked, until one tells: these records need not be compared among servers.
    """
    mailing = [realm for realm in realms if _takes_mail(realm)]
    asked = {realm.name: [(name, rr.TXT) for name in (realm.name, *_policy_names(realm))] for realm in mailing}
    told: dict[tuple[Name, Key], Sight] = {}
    for turn in range(max((len(realm.servers) for realm in mailing), default=0)):
        left = {
            (realm.servers[turn], key): realm.zone
            for realm in mailing
            for key in asked[realm.name]
            if turn < len(realm.servers) and told.get((realm.zone, key), _UNASKED).state in ("unknown", "lame")
        }
        sights = ask_keys(((server, *key) for server, key in left), surroundings)
        told |= {(left[server, key], key): sights[server, *key] for server, key in left}
    return [
        MailPolicySeen(
            realm.name,
            told.get((realm.zone, (realm.name, rr.TXT)), _UNASKED),
            {name: told.get((realm.zone, (name, rr.TXT)), _UNASKED) for name in _policy_names(realm)},
        )
        for realm in mailing
    ]


_UNASKED: Final = Sight("unknown", detail="no authoritative server was asked")


def _takes_mail(realm: RealmSeen) -> bool:
    wanted = (realm.name, rr.MX) in realm.wanted
    seen = (view.rrset(realm.name, rr.MX) for view in realm.views())
    return wanted or any(one is not None and targets(one) for one in seen)


def _policy_names(realm: RealmSeen) -> list[Name]:
    """`_dmarc` below the realm and below every name above it, up to the apex."""
    found = []
    name = realm.name
    while names.is_under(name, realm.zone):
        if len(name) + 7 <= 255:
            found.append(b"\x06_dmarc" + name)
        if name == names.ROOT:
            break
        name = names.parent(name)
    return found
