"""What one run leaves for the next: which findings are known since when, and what was told of them.

A file that can't be read is an error and never an empty file: a run that began anew would tell everything again,
and would tell of no recovery.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from realmkit import durable
from realmkit.dns.findings import Finding, Level
from realmkit.errors import LockedError, StateError, UnreadableStateError

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND: Final = "realmkit.health-state"
VERSION: Final = 1
LONGEST_MESSAGE: Final = 200
Time = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0)]
_HINT: Final = "mend or restore the file; `rm` it only if all open findings may be told once more, as new ones"


class Remembered(Struct, frozen=True, omit_defaults=True):
    """A finding from one run to the next.

    Attributes:
        id: as in `Finding`.
        subject: as in `Finding`.
        level: as it was seen last.
        message: as it was seen last, cut to `LONGEST_MESSAGE` characters.
        since: when it was seen first.
        server: as in `Finding`.
        looks: how many looks in a row saw it.
        hard: whether it was certain; it stays so until a whole run does not see it.
        told: when somebody was told of it last; None while it counts for nothing or nobody was told yet.
        told_level: its level at that time.
        gone: it was told, it is gone, and nobody was told that yet.
    """

    id: str
    subject: str
    level: Level
    message: str
    since: Time
    server: str = ""
    looks: Count = 1
    hard: bool = False
    told: Time | None = None
    told_level: Level | None = None
    gone: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """As `Finding.key`."""
        return self.id, self.subject, self.server

    def finding(self) -> Finding:
        """What is left of the finding."""
        return Finding(self.id, self.level, self.subject, self.message, server=self.server)


class Lowered(Struct, frozen=True):
    """Since when the TTLs of a realm are low.

    Attributes:
        ttl: the highest TTL of the realm's records, in seconds.
        before: what it was before, in seconds; resolvers may hold the old records that long after `since`.
        since: when the low ones were seen first.
    """

    ttl: Count
    before: Count
    since: Time


class Behind(Struct, frozen=True):
    """An old copy of a zone on one of its servers.

    Attributes:
        serial: of the copy.
        since: when it was first seen there beside a newer one.
    """

    serial: Count
    since: Time


class State(Struct, frozen=True, omit_defaults=True):
    """The whole file.

    Attributes:
        findings: what was not fine, by id, subject and server.
        serials: zone and server, as text, with the serial that was seen last.
        green: zone with the time (RFC 3339) when all of it was looked at and fine.
        turn: which part of a rotating sample was last.
        ttls: realm with since when its TTLs are low.
        behind: zone and server, as text, with the old copy that the server had when it was seen last.
        ds: zone with its DS set at the parent: `ttl` is 0 once it is gone, `before` what it was then.
    """

    findings: tuple[Remembered, ...] = ()
    serials: dict[str, dict[str, Count]] = field(default_factory=dict)
    green: dict[str, str] = field(default_factory=dict)
    turn: Count = 0
    ttls: dict[str, Lowered] = field(default_factory=dict)
    ds: dict[str, Lowered] = field(default_factory=dict)
    behind: dict[str, dict[str, Behind]] = field(default_factory=dict)


class _Head(Struct):
    kind: Literal["realmkit.health-state"]
    version: int


class _File(Struct):
    kind: str
    version: int
    state: State


def load(path: Path) -> State:
    """Read the file; without one nothing was remembered.

    Raises:
        UnreadableStateError: it is damaged, of another version, or can't be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise UnreadableStateError(f"can't read {path}: {error.strerror}", hint=_HINT) from error
    try:
        version = msgspec.json.decode(data, type=_Head).version
        if version != VERSION:
            raise UnreadableStateError(
                f"{path}: version {version}; this realmkit reads version {VERSION}",
                hint="run the realmkit that wrote it, or a newer one",
            )
        state = msgspec.json.decode(data, type=_File).state
    except msgspec.DecodeError as error:
        raise UnreadableStateError(f"{path}: damaged: {error}", hint=_HINT) from error
    if len({one.key for one in state.findings}) != len(state.findings):
        raise UnreadableStateError(f"{path}: damaged: a finding is there twice", hint=_HINT)
    return state


def save(path: Path, state: State) -> None:
    """Replace the file, whole or not at all.

    Raises:
        UnreadableStateError: it can't be written; the old file stands.
    """
    try:
        durable.write(path, msgspec.json.encode(_File(KIND, VERSION, state)) + b"\n")
    except StateError as error:
        raise UnreadableStateError(error.message, hint="what this run would tell is told by the next one") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other health checks away from the file while the block runs.

    Args:
        path: of the state; the lock is a file beside it.

    Raises:
        UnreadableStateError: another one is running, or the lock can't be made.
    """
    lock = path.with_name(path.name + ".lock")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(durable.locked(lock))
        except LockedError as error:
            raise UnreadableStateError(
                f"another health check of this project is running ({lock} is locked)",
                hint="wait until it has finished; let cron run it less often, or give it less time by --deadline",
            ) from error
        except StateError as error:
            raise UnreadableStateError(error.message, hint=error.hint) from error
        yield
