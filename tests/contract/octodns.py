"""Provider classes of octoDNS: PowerDNS through its API, BIND by dynamic update."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from realmkit.dns import records as rr
from realmkit_providers.octodns import OctoDns, OctoDnsSettings
from tests.contract.harness import Harness
from tests.contract.oracle import name_text, zone_lines
from tests.contract.powerdns import PowerDnsBench
from tests.contract.rfc2136 import Rfc2136Bench
from tests.lab.front import Answer
from tests.lab.server import KEY, base_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Provider, Secret
    from realmkit.dns.records import RRset

_REFUSES = {
    "life-SRV": "octoDNS takes SRV at names that begin with service labels only",
    "life-NAPTR": "octoDNS makes capitals of the flags, and takes S, A, U and P alone",
    "text-of-every-octet": "octoDNS's packages read backslashes and quotes in text unalike",
    "escaped-target": "octoDNS takes no octets beyond host names in a target",
}
_CANNOT = {"life-TXT": "its second step refuses: octoDNS joins strings (tests/lab/test_octodns.py shows it)"}


class OctoDnsPowerDnsBench(PowerDnsBench):
    """A zone of the lab's PowerDNS, seen through octodns-powerdns."""

    def _provider(self, key: Secret | None = None, url: str = "", timeout: float = 30.0) -> Provider:
        parts = urlsplit(url or self.server.api_url)
        arguments = {
            "host": parts.hostname, "port": parts.port, "scheme": parts.scheme, "timeout": timeout,
            "api_key": (key or self.good).reference,
        }  # fmt: skip
        return OctoDns(OctoDnsSettings("octodns_powerdns.PowerDnsProvider", arguments), self.context())


class OctoDnsNamedBench(Rfc2136Bench):
    """A zone of the lab's BIND, seen through octodns-bind."""

    def _provider(self, secret: Secret | None = None, server: str = "", timeout: float = 30.0) -> Provider:
        host, port = server.rsplit(":", 1) if server else (self.server.address, str(self.server.port))
        arguments = {
            "host": host, "port": port, "timeout": timeout, "key_name": KEY.name, "key_algorithm": KEY.algorithm,
            "key_secret": (secret or self.good).reference,
        }  # fmt: skip
        return OctoDns(OctoDnsSettings("octodns_bind.Rfc2136Provider", arguments), self.context())


class _OctoDnsHarness(Harness):
    provider = OctoDns
    shows = frozenset({rr.NS})
    without = frozenset({"TYPE65400", "TXT"})
    refuses = _REFUSES
    cannot = _CANNOT


class OctoDnsOnPowerDns(_OctoDnsHarness):
    """The octodns provider with octodns-powerdns on the lab's PowerDNS."""

    name = "octodns-on-pdns"
    features = frozenset({"network", "credentials", "http", "deletes-zones"})
    refuses = {**_REFUSES, "escaped-owner": "the API takes letters, digits and -_/*. in owner names (4.7.3)"}  # noqa: RUF012 - ClassVar in Harness
    plights = {  # noqa: RUF012 - ClassVar in Harness
        "unauthorized": Answer(401, b"Unauthorized"),
        "forbidden": Answer(403, b"Forbidden"),
        "throttled": Answer(429, b"slow down", {"Retry-After": "7"}),
        "throttled-vaguely": Answer(429, b"slow down"),
        "unavailable": Answer(503, b"Service Unavailable"),
        "expired": Answer(401, b"Unauthorized"),
    }

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> OctoDnsPowerDnsBench:
        server = self.fixture("pdns")
        server.add_zone(name_text(zone), base_zone(zone_lines(rrsets)))
        return OctoDnsPowerDnsBench(server, zone, self.directory)


class OctoDnsOnNamed(_OctoDnsHarness):
    """The octodns provider with octodns-bind on the lab's BIND."""

    name = "octodns-on-named"
    features = frozenset({"network", "credentials"})

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> OctoDnsNamedBench:
        server = self.fixture("named")
        server.add_zone(name_text(zone), base_zone(zone_lines(rrsets)))
        return OctoDnsNamedBench(server, zone, self.directory)
