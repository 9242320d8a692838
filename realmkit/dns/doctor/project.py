"""`realmkit doctor`: is everything at hand that an apply at night would need?

Each check is one line: what was looked at, how it stands, and what mends it. What could not be found out is
`unknown`, never fine.
"""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from realmkit.dns import registry
from realmkit.dns.doctor import zone as zone_checks
from realmkit.dns.doctor.checkup import Check, failure
from realmkit.errors import MissingExtraError, RealmkitError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realmkit.clock import Clock
    from realmkit.dns.work.desk import Desk

RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)  # no clock that is right shows an earlier time


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
        yield from zone_checks.examine(desk, zone)


def _extras() -> Iterator[Check]:
    """Which providers there are; that a zone's own is not installed is said with the zone."""
    for name, point in sorted(registry.available().items()):
        try:
            registry.load(point)
        except MissingExtraError as error:
            yield Check(f"provider {name}", "ok", f"not installed: {error.message}", error.hint or "")
        except StateError as error:
            yield failure(f"provider {name}", error)
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
