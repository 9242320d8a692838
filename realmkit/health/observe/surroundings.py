"""What everybody who looks is handed: manners, resolvers, time, the run's deadline; and a pool for slow probes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field, structs

from realmkit.clock import Clock
from realmkit.dns.asking import query
from realmkit.dns.asking.delegation import resolvers_of
from realmkit.dns.asking.iteration import Iterator, Ways
from realmkit.dns.asking.query import Options, Tally
from realmkit.dns.asking.resolving import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.asking.resolving import Finder
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

T = TypeVar("T")
R = TypeVar("R")
_THREADS = 16  # probes wait for the network; more at once would look like a scan


class Surroundings(Struct, frozen=True):
    """How to look.

    Attributes:
        clock: time.
        options: manners towards authoritative servers.
        resolvers: recursive resolvers by address (`192.0.2.1`, `192.0.2.1:5300`); empty for the system's.
        roots: the root's servers, likewise; empty where resolvers are to tell what stands outside of our zones.
        instead: whether resolvers are asked after all, once no server of the root tells anything.
        until: when the run has to end, as `clock.monotonic()`; None for no end.
        tally: counts what happens on the wire in all of a run, and remembers what servers showed of their ways: one
            that is down is asked no more.
        timeout: seconds that one probe of another kind (SIP, SMTP, TLS, HTTP) may take.
        ways: the delegations that were met on the way down from the root.
    """

    clock: Clock
    options: Options = Options()
    resolvers: tuple[str, ...] = ()
    until: float | None = None
    tally: Tally = field(default_factory=Tally)
    timeout: float = 4.0
    roots: tuple[str, ...] = ()
    instead: bool = False
    ways: Ways = field(default_factory=Ways)

    def left(self) -> float | None:
        """Seconds until the run has to end; 0 once it is over, None for no end."""
        return None if self.until is None else max(self.until - self.clock.monotonic(), 0.0)

    def manners(self, **changes: object) -> Options:
        """The options for `query.ask`, with what is left of the deadline and with these changes."""
        return structs.replace(self.options, **{"deadline": self.left(), **changes})

    def finder(self) -> Finder:
        """Who tells what stands outside of our zones.

        Raises:
            InputError: an address of a resolver or of a server of the root is none.
        """
        resolver = Resolver(resolvers_of(self.resolvers), self.manners)
        if not self.roots:
            return resolver
        return Iterator(self.roots, self.manners, self.ways, resolver if self.instead else None)

    def ask(self, questions: Iterable[tuple[Server, Name, Type]], **changes: object) -> Generator[Reply, None, None]:
        """Ask name servers, by `manners` with these changes."""
        return query.ask(questions, self.manners(**changes), self.tally)

    def each(self, items: Sequence[T], probe: Callable[[T], R], late: Callable[[T], R]) -> list[R]:
        """Probe all items, several at a time. A probe that keeps us waiting at the deadline is left to itself.

        Args:
            items: what to probe.
            probe: looks at one; what it raises is raised here, when all have ended.
            late: what to say of an item that was not done by the deadline.

        Returns:
            One result for each item, in their order.
        """
        left = iter(enumerate(items))  # next() of an enumeration is whole to threads
        found: dict[int, R] = {}
        bugs: list[Exception] = []

        def work() -> None:
            try:
                for place, item in left:
                    if self.left() == 0.0:
                        return
                    found[place] = probe(item)
            except Exception as error:  # raised again, where the run is
                bugs.append(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_THREADS, len(items)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.left())
        for bug in bugs:
            raise bug
        done = dict(found)
        return [done[place] if place in done else late(item) for place, item in enumerate(items)]
