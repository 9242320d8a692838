"""The desk at which DNS work is done: a project with its providers, ledgers and snapshots at hand.

`workflow.py` has the operations; this file fetches what they need, once each.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from realmkit import durable
from realmkit.dns import names, registry
from realmkit.dns.asking.query import Options
from realmkit.dns.plan import group_of
from realmkit.dns.wanted import Addresses, Wanted, hosts_without_addresses, wanted, zone_names
from realmkit.dns.work import guard
from realmkit.dns.work.ledger import Ledger
from realmkit.errors import InputError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from realmkit.clock import Clock
    from realmkit.config import Project
    from realmkit.dns.asking.resolving import Addresses as Known
    from realmkit.dns.asking.resolving import Finder, Servers
    from realmkit.dns.names import Name
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import Key, Zone

    # Started with a label and a total, it returns what to call with each number of further steps.
    Meter = Callable[[str, int], Callable[[int], None]]

T = TypeVar("T")
R = TypeVar("R")
_SNAPSHOT_THREADS = 8  # reading a zone is waiting; providers take several zones at a time


def silent(_label: str, _total: int) -> Callable[[int], None]:
    """A meter that shows nothing."""
    return lambda _steps: None


class Desk:
    """A project at work.

    Args:
        project: its configuration.
        clock: time.
        meter: shows progress of long work.
        away: work in this provider, by its configured name, instead of the one that each zone has; nothing that is
            created there is marked as ours.
    """

    def __init__(self, project: Project, clock: Clock, meter: Meter = silent, *, away: str | None = None) -> None:
        self.project = project
        self.clock = clock
        self.meter = meter
        self._away = away
        self.zones = zone_names(project)
        self._providers: dict[str, Provider] = {}
        self._ledgers: dict[Name, Ledger] = {}
        self._wanted: tuple[Wanted, dict[str, Addresses]] | None = None

    def at(self, provider: str) -> Desk:
        """The same project, with its zones looked for at another of its providers.

        Raises:
            InputError: there is no such provider.
        """
        registry.build(self.project, provider, self.clock)  # a slip in the name is said at once
        return Desk(self.project, self.clock, self.meter, away=provider)

    @property
    def owner(self) -> str:
        """Our word in the notes of providers."""
        return self.project.config.owner

    def provider_name(self, zone: Name) -> str:
        """The configured name of a zone's provider."""
        if zone not in self.zones:
            known = ", ".join(self.zones.values()) or "none"
            raise InputError(f"{names.to_text(zone)} is no zone under zones: ({known})")
        return self._away or self.project.config.zones[self.zones[zone]].provider

    def provider(self, zone: Name) -> Provider:
        """A zone's provider; zones of one provider share it."""
        name = self.provider_name(zone)
        if name not in self._providers:
            if name not in self.project.config.providers:
                path = ("zones", self.zones[zone], "provider")
                known = ", ".join(self.project.config.providers) or "none"
                raise self.project.document.error(path, f"no provider {name!r} under providers: (known are: {known})")
            owner = "" if self._away else self.owner
            self._providers[name] = registry.build(self.project, name, self.clock, owner)
        return self._providers[name]

    def ledger(self, zone: Name) -> Ledger:
        """A zone's ledger."""
        if zone not in self._ledgers:
            self._ledgers[zone] = Ledger(self.project.state_dir, zone)
        return self._ledgers[zone]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes this project; ledgers are read anew, for another may just have written them.

        Raises:
            StateError: another realmkit is changing it.
        """
        with durable.locked(self.project.state_dir / "lock"):
            self._ledgers.clear()
            yield

    def ours(self, live: Zone) -> frozenset[Key]:
        """What belongs to this project in a zone, by the provider's notes and the ledger."""
        return guard.ours(live, self.ledger(live.name).owned(), self.owner)

    def snapshots(self, zones: Collection[Name]) -> dict[Name, Zone]:
        """Read zones, several at a time. Raises as `Provider.snapshot` does."""
        for zone in zones:
            self.provider(zone)  # mistakes in the configuration come first, and from this thread
        advance = self.meter("reading zones", len(zones))
        found = {}
        threads = 1 if all(self.provider(zone).capabilities.local for zone in zones) else _SNAPSHOT_THREADS
        lives = _at_once(threads, lambda one: self.provider(one).snapshot(one), zones)
        for zone, live in zip(zones, lives, strict=True):
            found[zone] = live
            advance(1)
        return found

    def wanted(self) -> tuple[Wanted, dict[str, Addresses]]:
        """What should be in DNS, and the proxies' addresses that were looked up for it.

        Raises:
            InputError: in the configuration. UnreachableError: an address could not be found out.
        """
        if self._wanted is None:
            looked_up = {host: self._look_up(host) for host in hosts_without_addresses(self.project)}
            self._wanted = wanted(self.project, looked_up), looked_up
        return self._wanted

    def servers(self, zone: Name) -> Servers:
        """The authoritative servers of a zone: as configured, else as its provider or its parent says."""
        from realmkit.dns.asking import delegation
        from realmkit.dns.provider import KnowsServers

        path = ("zones", self.zones[zone], "nameservers")
        texts = () if self._away else self.project.config.zones[self.zones[zone]].nameservers
        provider = self.provider(zone)
        if not texts and isinstance(provider, KnowsServers):
            texts = tuple(provider.nameservers(zone))
        try:
            if texts:
                return delegation.configured(texts, self.finder())
        except InputError as error:
            raise self.project.document.error(path, error.message, error.hint) from error
        return delegation.discover(zone, self.finder(), self.query_options())

    def https_names(self) -> dict[Name, tuple[int, ...]]:
        """Names of ours at which browsers and programs meet a certificate, with the ports."""
        return {
            names.from_text(label, names.absolute(domain)): entry.https
            for domain, hosts in self.project.config.whitelabel.items()
            for label, entry in hosts.items()
            if entry.https
        }

    def zones_about(self, only: Collection[Name] | None) -> list[Name]:
        """The zones that a narrowed command has to read: those of its names, and those of the hosts they lead to."""
        if only is None:
            return list(self.zones)
        edge = self.project.config.platform.edge
        hosts = [proxy.host for proxy in edge.proxies] + [mail.host for mail in edge.mail]
        about = (*only, *map(names.absolute, hosts))
        return [zone for zone in self.zones if any(names.is_under(one, zone) for one in about)]

    def resolvers(self) -> tuple[str, ...]:
        """The recursive resolvers to ask; empty for the system's."""
        return self.project.config.policy.resolvers

    def finder(self) -> Finder:
        """Who tells what stands outside of our zones: the configured root's servers lead there, else resolvers do.

        Raises:
            InputError: an address is none.
        """
        from realmkit.dns.asking.delegation import resolvers_of
        from realmkit.dns.asking.iteration import Iterator
        from realmkit.dns.asking.resolving import Resolver

        if roots := self.project.config.policy.roots:
            return Iterator(roots, self.query_options)
        return Resolver(resolvers_of(self.resolvers()), self.query_options)

    def addresses(self, host: Name) -> Known:
        """The addresses of a host that need not be ours."""
        return self.finder().addresses([host])[host]

    def query_options(self) -> Options:
        """How politely to ask."""
        return Options(rate=self.project.config.policy.health.rate_per_server)

    def select(self, texts: Iterable[str]) -> frozenset[Name] | None:
        """The realms, hosts or zones that a command is narrowed to; None for everything.

        Raises:
            InputError: a name lies in no configured zone.
        """
        found = frozenset(group_of(names.absolute(text)) for text in texts)
        for name in found:
            if names.closest(name, self.zones) is None:
                raise InputError(f"{names.to_text(name)} lies in no zone under zones:")
        return found or None

    def _look_up(self, host: str) -> Addresses:
        found = self.addresses(names.absolute(host))
        if found.unknown or not found.addresses:
            raise UnreachableError(
                f"the addresses of {host} could not be looked up: {found.unknown or 'it has none'}",
                hint="give its addresses under platform.edge.proxies, or policy.resolvers",
            )
        return found.addresses


def _at_once(threads: int, work: Callable[[T], R], items: Collection[T]) -> Iterator[R]:
    """The results in the order of the items, as they come."""
    if threads == 1 or len(items) < 2:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, items)
