"""`realmkit doctor`: is everything at hand that an apply at night would need?

Each check is one line: what was looked at, how it stands, and what mends it. What could not be found out is
`unknown`, never fine.
"""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from realmkit import errors
from realmkit.dns import names, registry
from realmkit.errors import MissingExtraError, RealmkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realmkit.clock import Clock
    from realmkit.dns.desk import Desk
    from realmkit.dns.names import Name

State = Literal["ok", "warning", "failed", "unknown"]
_EXIT: Final = {"ok": errors.OK, "warning": errors.WARNING, "failed": errors.CRITICAL, "unknown": errors.UNKNOWN}
RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)  # no clock that is right shows an earlier time


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: State
    detail: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


def examine(directory: Path, clock: Clock, open_desk: Callable[[], Desk]) -> Iterator[Check]:
    """Look at everything, in the order in which it would be needed.

    Args:
        directory: of the project.
        clock: time.
        open_desk: opens the project; may raise InputError.
    """
    version = platform.python_version()
    yield Check("python", "ok" if sys.version_info >= (3, 11) else "failed", f"{version}, realmkit needs 3.11")
    yield from _extras()
    yield _clock(clock)
    try:
        desk = open_desk()
        desk.wanted()
    except RealmkitError as error:
        yield failure("configuration", error)
        return
    yield Check("configuration", "ok", str(directory / "realmkit.yml"))
    for zone in desk.zones:
        yield from _zone(desk, zone)


def exit_code(checks: list[Check]) -> int:
    """2 when something failed, else 3 when something is unknown, else 1 for a warning."""
    states = {check.state for check in checks}
    order: tuple[State, ...] = ("failed", "unknown", "warning", "ok")
    return next((_EXIT[state] for state in order if state in states), errors.OK)


def _extras() -> Iterator[Check]:
    for name, point in sorted(registry.available().items()):
        try:
            registry.load(point)
        except MissingExtraError as error:
            yield Check(f"provider {name}", "warning", error.message, error.hint or "")
        else:
            yield Check(f"provider {name}", "ok", "can be used")


def _clock(clock: Clock) -> Check:
    now = clock.now()
    if now < RELEASED:
        return Check("clock", "failed", f"shows {now:%Y-%m-%d %H:%M} UTC", "set it: signatures and serials need it")
    synchronised = _kernel_says_synchronised()
    if synchronised is None:
        return Check("clock", "ok", f"shows {now:%Y-%m-%d %H:%M} UTC; whether it is synchronised can't be seen here")
    if not synchronised:
        return Check("clock", "warning", "is not synchronised", "start chrony or systemd-timesyncd: TSIG allows 300 s")
    return Check("clock", "ok", f"shows {now:%Y-%m-%d %H:%M} UTC and is synchronised")


def _kernel_says_synchronised() -> bool | None:
    """What adjtimex(2) returns: TIME_ERROR (5) means that nobody disciplines the clock. None if it can't be asked."""
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = int(libc.adjtimex(ctypes.create_string_buffer(512)))  # struct timex, modes 0: only ask
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != 5


def _zone(desk: Desk, zone: Name) -> Iterator[Check]:
    title = names.to_text(zone)
    try:
        provider = desk.provider_name(zone)
        live = desk.provider(zone).snapshot(zone)
    except RealmkitError as error:
        yield failure(f"{title} through its provider", error)
    else:
        serial = f", serial {live.serial}" if live.serial is not None else ""
        yield Check(f"{title} through {provider}", "ok", f"{len(live.rrsets):,} RRsets{serial}")
        for word in live.unread:
            yield Check(f"{title} through {provider}", "warning", f"can't be read in whole: {word}")
    try:
        yield from _servers(desk, zone)
    except RealmkitError as error:
        yield failure(f"{title} name servers", error)


def _servers(desk: Desk, zone: Name) -> Iterator[Check]:
    """Does each authoritative server answer for the zone, with authority?"""
    from realmkit.dns import query
    from realmkit.dns import records as rr

    title = names.to_text(zone)
    servers = desk.servers(zone)
    for word in servers.unknown:
        yield Check(f"{title} name servers", "unknown", word, "name them under nameservers: in realmkit.yml")
    for word in servers.passed_over:
        yield Check(f"{title} name servers", "ok", f"passed over: {word}")
    if not servers.found and not servers.unknown:
        yield Check(f"{title} name servers", "failed", "none found", "delegate the zone, or name them in realmkit.yml")
    for reply in query.ask(((server, zone, rr.SOA) for server in servers.found), desk.query_options()):
        name = f"{title} at {reply.server}"
        message = reply.message
        if message is None:
            yield Check(name, "unknown", f"no answer: {reply.outcome.value} {reply.detail}".strip(), "is it up?")
        elif not message.aa or message.rcode != 0:
            yield Check(name, "failed", f"answers without authority (rcode {message.rcode}): lame", "load the zone")
        else:
            yield Check(name, "ok", f"answers in {reply.rtt * 1000:.0f} ms")


def failure(name: str, error: RealmkitError) -> Check:
    """A check that ended with an error: unknown where the error says that it could not be told."""
    state: State = "unknown" if error.exit_code == errors.UNKNOWN else "failed"
    return Check(name, state, error.message, error.hint or "")
