"""A run's lab: which servers are up, at which addresses, and how they follow one another."""

from __future__ import annotations

import itertools
import tempfile
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.lab.namespace import ADDRESSES
from tests.lab.server import Authoritative, Server, wait_for
from tests.lab.servers import Knot, Named, Nsd, PowerDns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.namespace import Namespace

S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Cluster:
    """A primary and its secondaries, which follow it by NOTIFY and transfer."""

    primary: Named
    secondaries: tuple[Authoritative, ...]

    @property
    def servers(self) -> tuple[Authoritative, ...]:
        return self.primary, *self.secondaries

    def add_zone(self, zone: str, text: str) -> None:
        """Serve a fresh zone on all of them; returns when each does."""
        self.primary.add_zone(zone, text, secondaries=self.secondaries)
        for one in self.secondaries:
            one.add_secondary(zone, self.primary)

    def await_serial(self, zone: str, timeout: float = 15.0) -> None:
        """Wait until every secondary has the primary's serial."""
        serial = self.primary.serial(zone)
        for one in self.secondaries:
            wait_for(f"{one} has {zone} {serial}", partial(_has, one, zone, serial), timeout)


def _has(server: Server, zone: str, serial: int | None) -> bool:
    return server.serial(zone) == serial


@dataclass
class Lab:
    """Starts servers inside a namespace, hands out addresses, directories and names, and stops what it started."""

    namespace: Namespace
    root: Path
    _servers: list[Server] = field(default_factory=list)
    _free: deque[int] = field(default_factory=lambda: deque(range(2, ADDRESSES + 1)))
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def address(self) -> str:
        """An address of lo that nobody else has."""
        assert self._free, "the lab is out of addresses: raise namespace.ADDRESSES"
        return f"127.0.0.{self._free.popleft()}"

    def zone_name(self, word: str = "z") -> str:
        """A zone name that nobody has yet, with its final dot."""
        return f"{word}{next(self._names)}.lab.example."

    def start(self, kind: type[S], **options: Any) -> S:
        """Start a server of that class on an address of its own; `options` go to its constructor."""
        address = self.address()
        server = kind(self.root / f"{kind.__name__.lower()}-{address}", address, **options)
        self._servers.append(server)
        with self.namespace.inside():
            server.start()
        return server

    def primary_with_secondaries(self) -> Cluster:
        """A named primary, and a knot, an nsd and a PowerDNS secondary."""
        return Cluster(self.start(Named), (self.start(Knot), self.start(Nsd), self.start(PowerDns)))

    @contextmanager
    def guest(self) -> Iterator[Lab]:
        """A lab in the same namespace whose servers are stopped, and whose addresses are free again, at the end."""
        guest = Lab(self.namespace, Path(tempfile.mkdtemp(dir=self.root)), _free=self._free, _names=self._names)
        try:
            yield guest
        finally:
            guest.stop()

    def stop(self) -> None:
        """Stop everything, last started first."""
        while self._servers:
            server = self._servers.pop()
            server.stop()
            self._free.append(int(server.address.rpartition(".")[2]))
