"""Amazon Route 53, through its stand-in with a real Knot DNS behind it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.dom import minidom

from realmkit.dns.provider import Secret
from realmkit_providers.route53 import Route53, Route53Settings
from tests.contract.harness import Bench, Harness
from tests.contract.oracle import name_text, texts, type_text
from tests.lab.front import Answer
from tests.lab.proxy import Proxy
from tests.standins.route53_http import error_reply
from tests.standins.route53_values import route53_text
from tests.standins.route53_zone import canonical_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import RRset
    from tests.standins.route53 import Route53StandIn
    from tests.standins.route53_access import Key
    from tests.standins.route53_cloud import Row

TOO_LATE = "Signature expired: 20261122T120000Z is now earlier than 20261122T121500Z (20261122T122000Z - 5 min.)"


def row(rrset: RRset) -> Row:
    """An RRset in Route 53's words, by dnspython and the stand-in alone."""
    values = tuple(route53_text(text) for text in texts(rrset))
    return route53_text(name_text(rrset.name)), type_text(rrset.type), rrset.ttl, values


class Route53Bench(Bench):
    """A public hosted zone of the stand-in."""

    def __init__(self, cloud: Route53StandIn, zone_id: str, zone: Name, directory: Path) -> None:
        assert cloud.published is not None
        self.cloud = cloud
        self.zone_id = zone_id
        self.zone = zone
        self.directory = directory
        self.server = cloud.published.server
        self.key = cloud.key()
        self.provider = self._provider()

    def _provider(self, key: Key | None = None, **settings: Any) -> Provider:
        key = key or self.key
        usual: dict[str, Any] = {"endpoint_url": self.cloud.url, "requests_per_second": 1e6, "attempts": 2}
        for name, value in (("access_key_id", key.id), ("secret_access_key", key.secret)):
            (self.directory / f"{name}-{key.id}").write_text(value)
            usual[name] = Secret(f"file:{name}-{key.id}")
        return Route53(Route53Settings(**{**usual, **settings}), self.context())

    def second_writer(self, change: Change) -> None:
        if change.after is not None:
            name, kind, ttl, values = row(change.after)
            self.cloud.write(self.zone_id, canonical_set(name, kind, ttl, tuple(values)))
            return
        self.cloud.erase(self.zone_id, route53_text(name_text(change.key[0])), type_text(change.key[1]))

    def with_bad_credentials(self) -> Provider:
        stranger = self.cloud.key()
        self.cloud.access.forget(stranger)
        return self._provider(stranger)

    def with_another_account(self) -> Provider:
        return self._provider(self.cloud.key(self.cloud.new_account()))

    def with_dead_server(self) -> Provider:
        return self._provider(endpoint_url="http://127.0.0.1:1", attempts=1)

    @contextmanager
    def behind_proxy(self) -> Iterator[tuple[Provider, Proxy]]:
        host, port = self.cloud.url.removeprefix("http://").split(":")
        with Proxy((host, int(port))) as proxy:
            yield self._provider(endpoint_url=f"http://{proxy.address}:{proxy.port}", timeout=1.0, attempts=1), proxy

    @property
    def url(self) -> str:
        return self.cloud.url

    def at(self, url: str) -> Provider:
        return self._provider(endpoint_url=url)

    def delete_zone(self) -> None:
        self.cloud.delete_zone(self.zone_id)

    def is_write(self, request: bytes) -> bool:
        line = request.partition(b"\r\n")[0]
        return line.startswith(b"POST ") and b"/rrset" in line

    def spent(self, request: bytes) -> int:
        document = minidom.parseString(request.partition(b"\r\n\r\n")[2])
        values = document.getElementsByTagName("Value")
        return sum(len(child.nodeValue or "") for value in values for child in value.childNodes)


def _error(status: int, code: str, text: str = "", **headers: str) -> Answer:
    return Answer(status, error_reply(status, code, text).body, {"Content-Type": "text/xml", **headers})


class Route53Harness(Harness):
    """The Route 53 provider on the stand-in."""

    name = "route53"
    provider = Route53
    features = frozenset({"network", "credentials", "http", "accounts", "pages", "deletes-zones"})
    without = frozenset({"TYPE65400"})  # RRType of the service model
    hard_limit = 32_000
    plights = {  # noqa: RUF012 - ClassVar in Harness
        "unauthorized": _error(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
        "forbidden": _error(403, "AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: route53:Y"),
        "expired": _error(403, "ExpiredToken", "The security token included in the request is expired"),
        "skewed": _error(403, "SignatureDoesNotMatch", TOO_LATE),
        "throttled": Answer(429, b"slow down", {"Retry-After": "7"}),  # of a proxy before it; AWS names no time
        "throttled-vaguely": _error(400, "Throttling", "Rate exceeded"),
        "unavailable": _error(503, "ServiceUnavailable", "Please try again"),
    }

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> Route53Bench:
        cloud: Route53StandIn = self.fixture("route53_cloud")
        zone_id = cloud.add_zone(name_text(zone), map(row, rrsets))
        return Route53Bench(cloud, zone_id, zone, self.directory)
