"""Dynamic update, on BIND and on Knot DNS."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from realmkit.clock import SystemClock
from realmkit_providers.rfc2136 import Rfc2136, Rfc2136Settings, TsigSettings
from tests.contract.harness import Bench, Harness
from tests.contract.oracle import name_text, texts, type_text, zone_lines
from tests.lab.proxy import Proxy, dns_update
from tests.lab.server import KEY, base_zone, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Provider, Secret
    from realmkit.dns.records import RRset
    from tests.lab.server import Authoritative


class WrongClock(SystemClock):
    """The machine's clock, so many seconds off."""

    def __init__(self, seconds: float) -> None:
        self._off = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._off


class Rfc2136Bench(Bench):
    """A zone of one of the lab's primaries; the second writer is nsupdate."""

    def __init__(self, server: Authoritative, zone: Name, directory: Path) -> None:
        self.server = self.authority = server
        self.zone = zone
        self.directory = directory
        self.good, self.bad = self.secrets(KEY.secret, "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXQ=")
        self.provider = self._provider()

    def _provider(self, secret: Secret | None = None, server: str = "", timeout: float = 30.0) -> Provider:
        tsig = TsigSettings(KEY.name, secret or self.good)
        return Rfc2136(Rfc2136Settings(server or self.server.where, tsig, timeout), self.context())

    def with_clock_off(self, seconds: float) -> Provider:
        context = structs.replace(self.context(), clock=WrongClock(seconds))
        return Rfc2136(Rfc2136Settings(self.server.where, TsigSettings(KEY.name, self.good)), context)

    def delete_zone(self) -> None:
        self.authority.drop_zone(name_text(self.zone))

    def second_writer(self, change: Change) -> None:
        name, kind = name_text(change.key[0]), type_text(change.key[1])
        lines = [f"update delete {name} {kind}"]
        if change.after is not None:
            lines += [f"update add {name} {change.after.ttl} {kind} {text}" for text in texts(change.after)]
        head = [f"server {self.server.address} {self.server.port}", f"zone {name_text(self.zone)}"]
        key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
        run("nsupdate", stdin="\n".join([*head, key, *lines, "send"]) + "\n")

    def with_bad_credentials(self) -> Provider:
        return self._provider(self.bad)

    def with_dead_server(self) -> Provider:
        return self._provider(server=f"{self.server.address}:1")

    @contextmanager
    def behind_proxy(self) -> Iterator[tuple[Provider, Proxy]]:
        with Proxy((self.server.address, self.server.port)) as proxy:
            yield self._provider(server=f"{proxy.address}:{proxy.port}", timeout=1.0), proxy

    def is_write(self, request: bytes) -> bool:
        return dns_update(request)

    def spent(self, request: bytes) -> int:
        return int.from_bytes(request[:2], "big")


class _OnServer(Harness):
    provider = Rfc2136
    features = frozenset({"network", "credentials", "signs", "deletes-zones"})
    hard_limit = 65535

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> Rfc2136Bench:
        server = self.fixture(self.name.rpartition("-")[2])
        server.add_zone(name_text(zone), base_zone(zone_lines(rrsets)))
        return Rfc2136Bench(server, zone, self.directory)


class OnNamed(_OnServer):
    """The rfc2136 provider on BIND."""

    name = "rfc2136-on-named"


class OnKnot(_OnServer):
    """The rfc2136 provider on Knot DNS."""

    name = "rfc2136-on-knot"


class OnPowerDns(_OnServer):
    """The rfc2136 provider on PowerDNS."""

    name = "rfc2136-on-pdns"
    cannot = {"escaped-owner": "PowerDNS 4.7.3 takes such an owner by UPDATE and answers SERVFAIL to queries for it"}  # noqa: RUF012 - ClassVar in Harness
