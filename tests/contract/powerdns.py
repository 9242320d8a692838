"""PowerDNS with SQLite, through its API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from realmkit_providers.powerdns import PowerDns, PowerDnsSettings
from realmkit_providers.powerdns_api import BODY_LIMIT
from tests.contract.harness import Bench, Harness
from tests.contract.oracle import name_text, texts, type_text, zone_lines
from tests.lab.front import Answer
from tests.lab.proxy import Proxy
from tests.lab.server import base_zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Provider, Secret
    from realmkit.dns.records import RRset
    from tests.lab.servers import PowerDns as PowerDnsServer


class PowerDnsBench(Bench):
    """A native zone of the lab's PowerDNS."""

    def __init__(self, server: PowerDnsServer, zone: Name, directory: Path) -> None:
        self.server: PowerDnsServer = server
        self.zone = zone
        self.directory = directory
        self.good, self.bad = self.secrets(server.api_key, "not-the-key")
        self.provider = self._provider()

    def _provider(self, key: Secret | None = None, url: str = "", timeout: float = 30.0) -> Provider:
        settings = PowerDnsSettings(key or self.good, url or self.server.api_url, timeout=timeout)
        return PowerDns(settings, self.context())

    def second_writer(self, change: Change) -> None:
        name, kind = change.key
        edit: dict[str, object] = {"name": name_text(name), "type": type_text(kind), "changetype": "DELETE"}
        if change.after is not None:
            records = [{"content": text, "disabled": False} for text in texts(change.after)]
            edit |= {"changetype": "REPLACE", "ttl": change.after.ttl, "records": records}
        self.server.api("PATCH", f"/zones/{name_text(self.zone)}", {"rrsets": [edit]})

    def with_bad_credentials(self) -> Provider:
        return self._provider(self.bad)

    def with_dead_server(self) -> Provider:
        return self._provider(url=f"http://{self.server.address}:1")

    @contextmanager
    def behind_proxy(self) -> Iterator[tuple[Provider, Proxy]]:
        with Proxy((self.server.address, self.server.api_port)) as proxy:
            yield self._provider(url=f"http://{proxy.address}:{proxy.port}", timeout=1.0), proxy

    @property
    def url(self) -> str:
        return self.server.api_url

    def at(self, url: str) -> Provider:
        return self._provider(url=url)

    def delete_zone(self) -> None:
        self.server.api("DELETE", f"/zones/{name_text(self.zone)}")

    def is_write(self, request: bytes) -> bool:
        return request.startswith(b"PATCH ")

    def spent(self, request: bytes) -> int:
        return len(request.partition(b"\r\n\r\n")[2])


class PowerDnsHarness(Harness):
    """The PowerDNS provider on the lab's PowerDNS."""

    name = "powerdns"
    provider = PowerDns
    features = frozenset({"network", "credentials", "http", "deletes-zones"})
    refuses = {"escaped-owner": "the API takes letters, digits and -_/*. in owner names (4.7.3, 2026-11-22)"}  # noqa: RUF012 - ClassVar in Harness
    hard_limit = BODY_LIMIT
    plights = {  # noqa: RUF012 - ClassVar in Harness
        "unauthorized": Answer(401, b"Unauthorized"),
        "forbidden": Answer(403, b"Forbidden"),
        "throttled": Answer(429, b"slow down", {"Retry-After": "7"}),  # of a proxy before it: it has no limit itself
        "throttled-vaguely": Answer(429, b"slow down"),
        "unavailable": Answer(503, b"Service Unavailable"),
        "expired": Answer(401, b"Unauthorized"),
    }

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> PowerDnsBench:
        server = self.fixture("pdns")
        server.add_zone(name_text(zone), base_zone(zone_lines(rrsets)))
        return PowerDnsBench(server, zone, self.directory)
