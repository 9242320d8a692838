"""Asking registries how domains stand: RDAP over HTTP (RFC 9082, RFC 9083), the servers by IANA's list (RFC 9224).

There is no list of public suffixes here: from a zone upward each name is asked for, and the first that its registry
knows is the registered domain. Answers are remembered for the run, and a registry that says 429 is asked no more.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from realmkit.dns import names
from realmkit.health.seen.registration import RegistrationSeen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import httpx2

    from realmkit.dns.names import Name
    from realmkit.health.observe.surroundings import Surroundings

BOOTSTRAP: Final = "https://data.iana.org/rdap/dns.json"
MAX_AGE: Final = timedelta(days=7)
_MOST: Final = 2_000_000  # octets of one answer; IANA's list has about a hundred thousand
_REDIRECTS: Final = 3  # RFC 7480 section 5.2: registries refer to one another


class _Event(Struct, frozen=True):
    """RFC 9083 section 4.5."""

    action: str = msgspec.field(name="eventAction", default="")
    date: str = msgspec.field(name="eventDate", default="")


class _Domain(Struct, frozen=True):
    """The part of a domain object that is of use here (RFC 9083 section 5.3)."""

    kind: str = msgspec.field(name="objectClassName", default="")
    status: tuple[str, ...] = ()
    events: tuple[_Event, ...] = ()


class _List(Struct, frozen=True):
    """IANA's list: top-level domains, and the addresses of those who serve them (RFC 9224 section 4)."""

    services: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


class _Answer(NamedTuple):
    """What a registry says of one name."""

    state: Literal["registered", "unregistered", "unknown"]
    domain: _Domain | None = None
    detail: str = ""
    source: str = ""


def look(
    zones: Iterable[Name], hosts: Iterable[Name], surroundings: Surroundings, *, cache: Path, bootstrap: str = BOOTSTRAP
) -> list[RegistrationSeen]:
    """The registrations on which zones and name server hosts hang, each domain once.

    Args:
        zones: apexes of zones of ours.
        hosts: the hosts of their NS sets; those under a domain of `zones` are not looked at twice.
        surroundings: clock, deadline, and the seconds that one answer may take.
        cache: a file that keeps IANA's list for `MAX_AGE`; it is written when the list was fetched.
        bootstrap: where the list is.
    """
    with _Rdap(surroundings, cache, bootstrap) as rdap:
        by_zone = _gathered("zone", zones, rdap, surroundings)
        ours = {one.domain for one in by_zone if one.state == "registered"}
        others = (host for host in hosts if names.closest(host, ours) is None)
        return [*by_zone, *_gathered("server", others, rdap, surroundings)]


def _gathered(
    role: Literal["zone", "server"], wanted: Iterable[Name], rdap: _Rdap, surroundings: Surroundings
) -> list[RegistrationSeen]:
    found: dict[Name, tuple[_Answer, list[Name]]] = {}
    for name in sorted(set(wanted), key=names.to_text):
        domain, answer = rdap.registered_above(name)
        found.setdefault(domain, (answer, []))[1].append(name)
    now = surroundings.clock.now()
    return [_seen(role, domain, tuple(many), answer, now) for domain, (answer, many) in found.items()]


def _seen(
    role: Literal["zone", "server"], domain: Name, dependents: tuple[Name, ...], answer: _Answer, now: datetime
) -> RegistrationSeen:
    known = answer.domain or _Domain()
    ends = [when for one in known.events if one.action.lower() == "expiration" and (when := _instant(one.date))]
    status = tuple(sorted({one.lower() for one in known.status}))
    end = min(ends, default=None)
    return RegistrationSeen(role, domain, dependents, answer.state, now, end, status, answer.detail, answer.source)


def _instant(text: str) -> datetime | None:
    """A time as RFC 3339 writes it; in UTC where it names no zone, as some registries do not."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


class _Rdap:
    """All registries, asked one question at a time; a context manager."""

    def __init__(self, surroundings: Surroundings, cache: Path, bootstrap: str) -> None:
        self._surroundings = surroundings
        self._cache = cache
        self._bootstrap = bootstrap
        self._client: httpx2.Client | None = None
        self._servers: dict[str, str] | str = {}
        self._known: dict[Name, _Answer] = {}
        self._tired: dict[str, str] = {}

    def __enter__(self) -> _Rdap:
        import httpx2

        self._client = httpx2.Client(
            headers={"Accept": "application/rdap+json, application/json", "User-Agent": "realmkit"},
            timeout=self._surroundings.timeout, follow_redirects=True, max_redirects=_REDIRECTS,
        )  # fmt: skip
        self._servers = self._read_list()
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def registered_above(self, name: Name) -> tuple[Name, _Answer]:
        """The nearest registered name at or above `name`, or the name itself and why there is none."""
        labels = names.labels_of(name)
        answer = _Answer("unknown", detail="a top-level domain is in no registry")
        for skipped in range(len(labels) - 1):
            above = b"".join(bytes((len(label),)) + label for label in labels[skipped:]) + names.ROOT
            answer = self._ask(above)
            if answer.state == "registered":
                return above, answer
            if answer.state == "unknown":
                break
        return name, answer

    def _ask(self, name: Name) -> _Answer:
        if name not in self._known:
            self._known[name] = self._asked(name)
        return self._known[name]

    def _asked(self, name: Name) -> _Answer:
        text = names.to_text(name)[:-1]
        base, why = self._base(text.rpartition(".")[2])
        if why:
            return _Answer("unknown", detail=why)
        source = urlsplit(base).hostname or base
        code, body = self._get(f"{base.rstrip('/')}/domain/{text}")
        if code == 200:
            return _domain(body, source)
        if code == 404:
            return _Answer("unregistered", source=source)
        why = f"{source}: {f'answers {code}' if code else str(body, 'utf-8')}"
        if code == 429:
            why = self._tired[base] = f"{source} wants to be asked less often (429)"
        return _Answer("unknown", detail=why)

    def _base(self, top: str) -> tuple[str, str]:
        """Where to ask for names below a top-level domain; or, as the second, why nowhere."""
        if isinstance(self._servers, str):
            return "", self._servers
        base = self._servers.get(top)
        if base is None:
            return "", f"the registry of .{top} offers no RDAP"
        return base, self._tired.get(base, "")

    def _get(self, url: str) -> tuple[int, bytes]:
        """Status and body; 0 and why, where there is no answer or one that is too long or too slow."""
        import httpx2

        clock = self._surroundings.clock
        left = self._surroundings.left()
        seconds = self._surroundings.timeout if left is None else min(left, self._surroundings.timeout)
        if seconds <= 0.0 or self._client is None:
            return 0, b"the run ended before it was asked"
        until = clock.monotonic() + seconds
        body = bytearray()
        try:
            with self._client.stream("GET", url, timeout=seconds) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > _MOST or clock.monotonic() > until:
                        return 0, b"its answer is too long, or too slow in coming"
                return response.status_code, bytes(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            return 0, f"no answer: {type(error).__name__} {error}"[:200].encode()

    def _read_list(self) -> dict[str, str] | str:
        """The RDAP server of each top-level domain, or in words why that is not known."""
        kept = self._kept()
        if kept is not None and kept[1] <= MAX_AGE:
            return kept[0]
        code, body = self._get(self._bootstrap)
        servers = _servers(body) if code == 200 else None
        if servers is None:
            why = f"answers {code}" if code else str(body, "utf-8")
            # An old list is better than none: registries move seldom.
            return kept[0] if kept is not None else f"IANA's list of RDAP servers could not be had: {why}"
        self._keep(body)
        return servers

    def _kept(self) -> tuple[dict[str, str], timedelta] | None:
        """The list in the file and its age; None if there is none to be read."""
        try:
            written = datetime.fromtimestamp(self._cache.stat().st_mtime, UTC)
            servers = _servers(self._cache.read_bytes())
        except OSError:
            return None
        return None if servers is None else (servers, abs(self._surroundings.clock.now() - written))

    def _keep(self, body: bytes) -> None:
        beside = self._cache.with_name(f"{self._cache.name}.new")
        now = self._surroundings.clock.now().timestamp()
        try:
            beside.write_bytes(body)
            os.utime(beside, (now, now))
            beside.replace(self._cache)
        except OSError:
            return  # then it is fetched again next time


def _servers(body: bytes) -> dict[str, str] | None:
    try:
        services = msgspec.json.decode(body, type=_List).services
    except msgspec.DecodeError:
        return None
    found = {}
    for tops, addresses in services:
        usable = [one for scheme in ("https://", "http://") for one in addresses if one.startswith(scheme)]
        found.update({top.lower(): usable[0] for top in tops if usable})
    return found


def _domain(body: bytes, source: str) -> _Answer:
    try:
        domain = msgspec.json.decode(body, type=_Domain)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer("unknown", detail=f"{source}: its answer can't be read")
    if domain.kind != "domain":
        return _Answer("unknown", detail=f"{source}: its answer is about no domain")
    return _Answer("registered", domain, source=source)
