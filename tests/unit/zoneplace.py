"""A project directory with zone files in it, and processes that die."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns.plan import Change
from realmkit.dns.provider import Context, Receipt
from realmkit.dns.records import RRset, Zone
from realmkit.errors import RealmkitError, RejectedError
from realmkit_providers.zonefile import ZoneFile, ZoneFileSettings
from tests.unit.make import ZONE, rrset
from tests.unit.zonetexts import HEAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
TEXT = HEAD + "acme  A  192.0.2.1 ; the first customer\n\n; the end\n"
NAME = "voice.example.com.zone"
FORK = multiprocessing.get_context("fork")


class NoonClock(SystemClock):
    """Always the same day, so that serials can be foretold."""

    def now(self) -> datetime:
        return NOW


class Place:
    """A project directory with zone files, and providers on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / NAME
        self.file.write_text(TEXT)

    def include(self) -> Place:
        """Spread the zone over several files; the record of `acme` is in an included one."""
        self.file.write_text(HEAD + '$INCLUDE customers.inc\n$INCLUDE "other file" sub\n')
        (self.directory / "customers.inc").write_text("$INCLUDE more.inc\nbeta MX 0 .\n")
        (self.directory / "more.inc").write_text("acme A 192.0.2.1\n")
        (self.directory / "other file").write_text("gamma A 192.0.2.3\n")
        return self

    def provider(self, **settings: object) -> ZoneFile:
        context = Context(self.directory, "realmkit", lambda secret: secret.reveal(self.directory), NoonClock())
        return ZoneFile(structs.replace(ZoneFileSettings(file="{zone}.zone"), **settings), context)

    def lower_ttl(self, **settings: object) -> Receipt:
        """Read the zone and lower one TTL in it."""
        provider = self.provider(**settings)
        zone = provider.snapshot(ZONE)
        return provider.apply(ZONE, lowering(zone), zone.token)

    def files(self) -> dict[str, bytes]:
        """What is in the directory, the lock left out."""
        return {path.name: path.read_bytes() for path in self.directory.iterdir() if not path.name.endswith("-lock")}


def acme(*addresses: str, ttl: int = 3600) -> RRset:
    return rrset("acme.voice.example.com", "A", *addresses, ttl=ttl)


def lowering(zone: Zone) -> list[Change]:
    before = zone.rrsets[acme("192.0.2.1").key]
    return [Change(before, RRset(before.name, before.type, 60, before.rdata))]


def lowered(text: str) -> str:
    return text.replace("acme  A", "acme  60 A").replace("acme A", "acme 60 A").replace("2026112201", "2026112202")


def refusal(place: Place, kind: type[RealmkitError] = RejectedError, **settings: object) -> RealmkitError:
    before = place.files()
    with pytest.raises(kind) as caught:
        place.lower_ttl(**settings)
    assert place.files() == before
    return caught.value


def in_child(work: Callable[[], object]) -> int:
    """Run something in a process of its own; the exit code, or minus the signal that ended it."""
    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
