"""What the suite needs of a backend: zones to play in, a look through the real server, and ways to make it fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.provider import Context, Secret
from realmkit.dns.records import Type
from tests.contract.oracle import live_rrset
from tests.lab.server import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pytest

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import RRset
    from tests.lab.front import Answer
    from tests.lab.proxy import Proxy
    from tests.lab.server import Server

OWNER = "contract"
GOOD = "file:good-secret"
BAD = "file:bad-secret"


class Bench(ABC):
    """One zone on a real backend, with the provider under test beside it.

    Attributes:
        zone: the apex.
        provider: the provider under test, with everything right.
        server: the name server whose answers count.
        directory: a directory of its own, from which secrets are read.
        shows: as of its `Harness`, which fills it in.
    """

    zone: Name
    provider: Provider
    server: Server
    directory: Path
    shows: frozenset[Type] = frozenset({rr.SOA, rr.NS})

    @abstractmethod
    def second_writer(self, change: Change) -> None:
        """Make this change past the provider, as somebody else would."""

    def with_bad_credentials(self) -> Provider:
        """The provider with a key that the backend does not know. Feature `credentials`."""
        raise NotImplementedError

    def with_dead_server(self) -> Provider:
        """The provider, pointed at an address where nothing listens. Feature `network`."""
        raise NotImplementedError

    def behind_proxy(self) -> AbstractContextManager[tuple[Provider, Proxy]]:
        """The provider, with a proxy between it and the backend, and a timeout of a second. Feature `network`."""
        raise NotImplementedError

    def is_write(self, request: bytes) -> bool:
        """Whether these are the first octets of a request that writes. Feature `network`."""
        raise NotImplementedError

    def spent(self, request: bytes) -> int:
        """How many octets of `request` the backend counts against its limit. Feature `network`."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where the backend's API listens, `http://host:port`. Feature `http`."""
        raise NotImplementedError

    def at(self, url: str) -> Provider:
        """The provider, with everything right, pointed at this URL. Feature `http`."""
        raise NotImplementedError

    def with_clock_off(self, seconds: float) -> Provider:
        """The provider with everything right, on a machine whose clock is wrong. Feature `signs`."""
        raise NotImplementedError

    def with_another_account(self) -> Provider:
        """The provider with credentials that are good for an account that has no such zone. Feature `accounts`."""
        raise NotImplementedError

    def delete_zone(self) -> None:
        """Take the zone away past the provider. Feature `deletes-zones`."""
        raise NotImplementedError

    def served(self, name: Name, kind: Type) -> RRset | None:
        """What the real server answers for exactly this name and type."""
        return live_rrset(self.server, name, kind)

    def await_serial(self, serial: int | None) -> None:
        """Wait until the server serves what was written, where that takes a moment (a reload)."""
        zone = names.to_text(self.zone)
        if serial is not None:
            wait_for(f"{self.server} serves {zone} {serial}", lambda: self.server.serial(zone) == serial)

    def context(self) -> Context:
        """A context whose secrets lie in `directory`."""
        return Context(self.directory, OWNER, lambda secret: secret.reveal(self.directory), SystemClock())

    def secrets(self, good: str, bad: str) -> tuple[Secret, Secret]:
        """References to a right and a wrong secret, both written down."""
        for reference, value in ((GOOD, good), (BAD, bad)):
            (self.directory / reference.partition(":")[2]).write_text(value + "\n")
        return Secret(GOOD), Secret(BAD)


class Harness(ABC):
    """One kind of backend. Built once for each test that uses it.

    Attributes:
        name: shown in test ids.
        lab: it needs the lab of real servers (root, namespaces).
        provider: the class under test; its `capabilities` pick the tests.
        features: of `network` (it talks to a server), `credentials` (it proves who it is), `http` (over HTTP, so that
            `tests.lab.front` can stand between), `accounts` (one API, several customers), `pages` (a zone is read in
            several requests), `signs` (requests are signed with the time), `deletes-zones` (`Bench.delete_zone` works).
        shows: types of the apex that a snapshot shows beside what the cases write.
        without: types whose foreign records the backend can't hold, or the provider can't see; cases go without them.
        plights: the backend's own words for each plight of `tests.contract.test_faults`. Feature `http`.
        refuses: cases of `cases.py` that this backend can't hold, with the reason. The provider must then refuse
            with RejectedError and leave everything as it was.
        cannot: cases that are not played, because the backend takes them and does not serve them; with the reason.
        hard_limit: octets at which the backend really stops, where `max_bytes` keeps a distance.
    """

    name: ClassVar[str]
    lab: ClassVar[bool] = True
    provider: ClassVar[type[Provider]]
    features: ClassVar[frozenset[str]] = frozenset()
    refuses: ClassVar[Mapping[str, str]] = {}
    cannot: ClassVar[Mapping[str, str]] = {}
    hard_limit: ClassVar[int | None] = None
    shows: ClassVar[frozenset[Type]] = frozenset({rr.SOA, rr.NS})
    without: ClassVar[frozenset[str]] = frozenset()
    plights: ClassVar[Mapping[str, Answer]] = {}

    def __init__(self, fixture: Callable[[str], Any], directory: Path) -> None:
        self.fixture = fixture
        self.directory = directory

    def zone_name(self, number: int) -> str:
        """A zone that `new_zone` can make; `number` is another one for each test of a run."""
        return f"contract{number}.lab.example."

    def bench(self, rrsets: Sequence[RRset], zone: Name) -> Bench:
        """A fresh zone that holds an SOA, one NS, and `rrsets`, ready for a test."""
        bench = self.new_zone(rrsets, zone)
        bench.shows = self.shows
        return bench

    @abstractmethod
    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> Bench:
        """What `bench` gives, less what this class knows by itself."""

    @classmethod
    def make(cls, request: pytest.FixtureRequest, directory: Path) -> Harness:
        """Build it for one test; `fixture("named")` gives the lab's servers."""
        return cls(request.getfixturevalue, directory)
