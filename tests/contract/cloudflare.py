"""Cloudflare's API by its stand-in, with a Knot DNS that serves what it took."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from realmkit_providers.cloudflare import Cloudflare, CloudflareSettings
from tests.contract.harness import Bench, Harness
from tests.contract.oracle import name_text, texts, type_text
from tests.lab.front import Answer
from tests.lab.proxy import Proxy
from tests.standins.cloudflare_values import from_text
from tests.standins.published import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Provider, Secret
    from realmkit.dns.records import RRset
    from tests.lab.servers import Knot
    from tests.standins.cloudflare import Account, CloudflareStandIn


def served(rrset: RRset) -> Served:
    """An RRset in the stand-in's words."""
    return Served(name_text(rrset.name), rrset.ttl, type_text(rrset.type), tuple(texts(rrset)))


class CloudflareBench(Bench):
    """A zone on the Free plan of an account of its own."""

    def __init__(self, there: CloudflareStandIn, server: Knot, account: Account, zone: Name, directory: Path) -> None:
        self.there = there
        self.server = server
        self.zone = zone
        self.directory = directory
        self.token = there.new_token(account)  # another one for each test: each has a pace of its own
        self.good, self.bad = self.secrets(self.token, "f" * 40)
        self.provider = self._provider()

    def _provider(self, token: Secret | None = None, url: str = "", timeout: float = 30.0) -> Provider:
        settings = CloudflareSettings(token or self.good, base_url=url or self.there.url, timeout=timeout)
        return Cloudflare(settings, self.context())

    def second_writer(self, change: Change) -> None:
        """Somebody with another tool: single requests, one for each record."""
        zone = self._api("GET", f"/zones?name={name_text(self.zone)[:-1]}")[0]["id"]
        name, kind = name_text(change.key[0])[:-1], type_text(change.key[1])
        for record in self._api("GET", f"/zones/{zone}/dns_records?name={name}&type={kind}&per_page=100"):
            self._api("DELETE", f"/zones/{zone}/dns_records/{record['id']}")
        if change.after is None:
            return
        for text in texts(change.after):
            body = {"name": name, "type": kind, "ttl": change.after.ttl, **from_text(kind, text).fields}
            self._api("POST", f"/zones/{zone}/dns_records", body)

    def _api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.there.url + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["result"]

    def with_bad_credentials(self) -> Provider:
        return self._provider(self.bad)

    def with_another_account(self) -> Provider:
        (self.directory / "stranger").write_text(self.there.new_token(self.there.new_account("stranger")) + "\n")
        return self._provider(type(self.good)("file:stranger"))

    def with_dead_server(self) -> Provider:
        return self._provider(url="http://127.0.0.1:1/client/v4")

    @contextmanager
    def behind_proxy(self) -> Iterator[tuple[Provider, Proxy]]:
        parts = urlsplit(self.there.url)
        with Proxy((parts.hostname or "", parts.port or 0)) as proxy:
            yield self._provider(url=f"http://{proxy.address}:{proxy.port}{parts.path}", timeout=1.0), proxy

    @property
    def url(self) -> str:
        return "://".join(urlsplit(self.there.url)[:2])

    def at(self, url: str) -> Provider:
        return self._provider(url=url + urlsplit(self.there.url).path)

    def delete_zone(self) -> None:
        self.there.delete_zone(name_text(self.zone)[:-1])

    def is_write(self, request: bytes) -> bool:
        return request.startswith(b"POST ")

    def spent(self, request: bytes) -> int:
        body = json.loads(request.partition(b"\r\n\r\n")[2])
        return sum(len(operations) for operations in body.values())


def _error(status: int, code: int, message: str, *, retry_after: str = "") -> Answer:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    headers = {"Content-Type": "application/json"} | ({"Retry-After": retry_after} if retry_after else {})
    return Answer(status, json.dumps(body).encode(), headers)


class CloudflareHarness(Harness):
    """The Cloudflare provider on the stand-in."""

    name = "cloudflare"
    provider = Cloudflare
    features = frozenset({"network", "credentials", "http", "accounts", "pages", "deletes-zones"})
    shows = frozenset()  # SOA and NS of the apex are not among the records
    without = frozenset({"TYPE65400"})  # the SDK has no such type
    refuses = {  # noqa: RUF012 - ClassVar in Harness
        "wildcard-below": "its TTL of 5 is below 60",
        "ttl-of-nought-and-of-years": "TTLs from 60 to 86400 are taken",
        "escaped-owner": "names are letters, digits, hyphens and underscores (9000; that nothing else passes: memory)",
        "escaped-target": "targets are host names (9007; from memory)",
    }
    plights = {  # noqa: RUF012 - ClassVar in Harness
        "unauthorized": _error(400, 6003, "Invalid request headers"),  # issue: ddns-go 916
        "forbidden": _error(403, 10000, "Authentication error"),  # from memory
        "expired": _error(403, 9109, "Invalid access token"),  # from memory
        "throttled": _error(429, 10429, "Rate limited", retry_after="7"),  # the code: from memory
        "throttled-vaguely": _error(429, 971, "Please wait and consider throttling your request speed"),  # from memory
        "unavailable": Answer(503, b"<html><body>503 Service Unavailable</body></html>", {"Content-Type": "text/html"}),
    }

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> CloudflareBench:
        there: CloudflareStandIn = self.fixture("cloudflare_api")
        account = there.new_account(name_text(zone))
        there.new_zone(name_text(zone)[:-1], account, rrsets=[served(one) for one in rrsets])
        return CloudflareBench(there, self.fixture("knot"), account, zone, self.directory)
