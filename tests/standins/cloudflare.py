"""Cloudflare's API v4 for zones and DNS records, on loopback.

The official SDK, octodns-cloudflare and anything else that takes a base URL can talk to it::

    with CloudflareStandIn() as there:
        account = there.new_account("acme")
        there.new_zone("example.com", account)
        client = cloudflare.Cloudflare(api_token=there.new_token(account), base_url=there.url)

With a `Published` it serves every zone from a real name server. Without one it needs neither pytest nor a lab.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.standins import cloudflare_words as words
from tests.standins.cloudflare_words import Refusal
from tests.standins.cloudflare_zone import PLANS, ZoneRecords
from tests.standins.published import Published, Served

BASE = "/client/v4"
TOKEN = re.compile(r"Bearer [A-Za-z0-9_-]{40}\Z")  # of user and account tokens, from memory


@dataclass(frozen=True)
class Account:
    """A customer."""

    id: str
    name: str


@dataclass
class Zone:
    """A zone and what is said of it as a whole."""

    account: Account
    records: ZoneRecords
    status: str = "active"
    kind: str = "full"
    servers: list[str] = field(default_factory=lambda: ["ana.ns.cloudflare.com", "bob.ns.cloudflare.com"])
    vanity: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.records.id, "name": self.records.name, "status": self.status, "paused": False, "type": self.kind,
            "development_mode": 0, "name_servers": self.servers, "vanity_name_servers": self.vanity,
            "original_name_servers": None, "created_on": "2026-01-01T00:00:00Z", "modified_on": "2026-01-01T00:00:00Z",
            "account": {"id": self.account.id, "name": self.account.name}, "owner": {"id": None, "type": "user"},
            "plan": {"id": "0" * 32, "name": f"{self.records.plan} website", "legacy_id": self.records.plan},
            "meta": {}, "permissions": ["#dns_records:read", "#dns_records:edit", "#zone:read"],
        }  # fmt: skip


@dataclass(frozen=True)
class Access:
    """What a token may."""

    accounts: tuple[Account, ...]
    writes: bool = True


@dataclass(frozen=True)
class Request:
    """One request, opened."""

    access: Access
    method: str
    path: str
    query: dict[str, str]
    body: Any


class CloudflareStandIn:
    """The service; a context manager.

    Attributes:
        most_per_page: records on a page, whatever is asked for.
        floats: whether numbers in `data` come as floats, as the SDK's types declare them.
        counts: requests by kind: `zones`, `list`, `batch`, `single`, `refused` and others.
        failures: what went wrong in the stand-in itself; a test that leaves some behind has found a fault of it.
    """

    def __init__(self, published: Published | None = None) -> None:
        self.most_per_page = 5000
        self.floats = False
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._published = published
        self._zones: dict[str, Zone] = {}
        self._tokens: dict[str, Access] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """`http://127.0.0.1:40123/client/v4`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{BASE}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- what the owner of the service does ---------------------------------------------------------------------

    def new_account(self, name: str) -> Account:
        return Account(uuid.uuid4().hex, name)

    def new_token(self, *accounts: Account, writes: bool = True) -> str:
        token = secrets.token_hex(20)
        with self._lock:
            self._tokens[token] = Access(accounts, writes)
        return token

    def new_zone(
        self, name: str, account: Account, plan: str = "free", rrsets: Iterable[Served] = (), status: str = "active"
    ) -> Zone:
        """A zone that holds these RRsets (owners with their final dot)."""
        zone = Zone(account, ZoneRecords(name, plan), status)
        zone.records.load(rrsets)
        with self._lock:
            self._zones[zone.records.id] = zone
            if self._published is not None:
                self._published.add(name + ".")
            self._publish(zone)
        return zone

    def delete_zone(self, name: str) -> None:
        with self._lock:
            for id_ in [id_ for id_, zone in self._zones.items() if zone.records.name == name]:
                del self._zones[id_]

    def load(self, zone: Zone, rrsets: Iterable[Served]) -> None:
        """More records, past the API and unchecked: ten thousand take a second or two."""
        with self._lock:
            zone.records.load(rrsets)
            self._publish(zone)

    def _publish(self, zone: Zone) -> None:
        if self._published is not None:
            self._published.show(zone.records.name + ".", zone.records.served())

    # --- requests -------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> tuple[int, dict[str, Any]]:
        """Status and envelope."""
        with self._lock:
            try:
                return 200, self._answer(method, target, headers, content)
            except Refusal as refusal:
                self.counts["refused"] += 1
                return refusal.status, refusal.body()
            except Exception as error:
                self.failures.append(f"{method} {target}: {error!r}")
                return 500, Refusal(500, 0, f"the stand-in failed: {error!r}").body()

    def _answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> dict[str, Any]:
        parts = urlsplit(target)
        access = self._access(headers)
        if method != "GET" and not access.writes:
            raise words.no_right()
        query = {key: found[-1] for key, found in parse_qs(parts.query).items()}
        request = Request(access, method, parts.path.removeprefix(BASE), query, json.loads(content) if content else {})
        for pattern, kind, deal in _ROUTES:
            match = pattern.match(f"{method} {request.path}")
            if match:
                self.counts[kind] += 1
                return deal(self, request, *match.groups())
        raise words.no_such_object(request.path)

    def _access(self, headers: dict[str, str]) -> Access:
        value = headers.get("authorization", "")
        if {"x-auth-key", "x-auth-email"} & headers.keys() or not TOKEN.match(value):
            raise words.bad_header()
        access = self._tokens.get(value.removeprefix("Bearer "))
        if access is None:
            raise words.unknown_token()
        return access

    def _zone(self, request: Request, id_: str) -> Zone:
        zone = self._zones.get(id_)
        if zone is None or zone.account not in request.access.accounts:
            raise words.no_such_object(request.path)
        return zone

    def list_zones(self, request: Request) -> dict[str, Any]:
        wanted = request.query
        found = [zone for zone in self._zones.values() if zone.account in request.access.accounts]
        shown = [zone.shown() for zone in found]
        for key, value in wanted.items():
            first, _, second = key.partition(".")
            if key in ("name", "status", "account.id", "account.name"):
                shown = [zone for zone in shown if (zone[first][second] if second else zone[first]) == value]
        return self._page(request, shown, 50)

    def get_zone(self, request: Request, id_: str) -> dict[str, Any]:
        return _good(self._zone(request, id_).shown())

    def make_zone(self, request: Request) -> dict[str, Any]:
        name = str(request.body.get("name", "")).lower()
        wanted = (request.body.get("account") or {}).get("id")
        account = next((one for one in request.access.accounts if one.id == wanted), None)
        if account is None:
            raise words.no_right()
        if any(zone.records.name == name for zone in self._zones.values()):
            raise words.zone_there()
        return _good(self.new_zone(name, account, status="pending").shown())

    def drop_zone(self, request: Request, id_: str) -> dict[str, Any]:
        del self._zones[self._zone(request, id_).records.id]
        return _good({"id": id_})

    def list_accounts(self, request: Request) -> dict[str, Any]:
        name = request.query.get("name")
        found = [one for one in request.access.accounts if name in (None, one.name)]
        return self._page(request, [{"id": one.id, "name": one.name} for one in found], 50)

    def list_records(self, request: Request, id_: str) -> dict[str, Any]:
        found = self._zone(request, id_).records.records()
        for key in ("name", "type", "content"):
            value = request.query.get(key, request.query.get(f"{key}.exact"))
            found = [record for record in found if value is None or record[key] == value]
        page = self._page(request, found, self.most_per_page)
        page["result"] = [self._shown(record) for record in page["result"]]
        return page

    def single(self, request: Request, id_: str, record_id: str | None = None) -> dict[str, Any]:
        """The requests of one record, as older tools make them."""
        zone = self._zone(request, id_)
        if request.method == "GET":
            return _good(self._shown(zone.records.record(record_id or "")))
        kind = {"POST": "posts", "PATCH": "patches", "PUT": "puts", "DELETE": "deletes"}[request.method]
        done = zone.records.batch({kind: [{**request.body, **({"id": record_id} if record_id else {})}]})[kind][0]
        self._publish(zone)
        return _good({"id": record_id} if kind == "deletes" else self._shown(done))

    def batch(self, request: Request, id_: str) -> dict[str, Any]:
        zone = self._zone(request, id_)
        done = zone.records.batch(request.body)
        self._publish(zone)
        return _good({kind: [self._shown(record) for record in found] for kind, found in done.items()})

    def page_rules(self, request: Request, id_: str) -> dict[str, Any]:
        self._zone(request, id_)
        return _good([])

    def plans(self, request: Request, id_: str) -> dict[str, Any]:
        self._zone(request, id_)
        return _good([{"id": name, "legacy_id": name} for name in PLANS])

    def verify(self, _request: Request) -> dict[str, Any]:
        return _good({"id": "0" * 32, "status": "active"})

    def _page(self, request: Request, found: list[dict[str, Any]], most: int) -> dict[str, Any]:
        size = min(int(request.query.get("per_page", 100)), most)
        page = int(request.query.get("page", 1))
        shown = found[(page - 1) * size : page * size]
        info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(found),
                "total_pages": -(-len(found) // size)}  # fmt: skip
        return _good(shown) | {"result_info": info}

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        if not self.floats or "data" not in record:
            return record
        data = {key: float(one) if isinstance(one, int) else one for key, one in record["data"].items()}
        return record | {"data": data}


def _good(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


_ZONE = r"/zones/([0-9a-f]{32})"
_ROUTES: tuple[tuple[re.Pattern[str], str, Callable[..., dict[str, Any]]], ...] = (
    (re.compile(r"GET /zones\Z"), "zones", CloudflareStandIn.list_zones),
    (re.compile(r"POST /zones\Z"), "make-zone", CloudflareStandIn.make_zone),
    (re.compile(rf"GET {_ZONE}\Z"), "zone", CloudflareStandIn.get_zone),
    (re.compile(rf"DELETE {_ZONE}\Z"), "zone", CloudflareStandIn.drop_zone),
    (re.compile(r"GET /accounts\Z"), "accounts", CloudflareStandIn.list_accounts),
    (re.compile(r"GET /user/tokens/verify\Z"), "verify", CloudflareStandIn.verify),
    (re.compile(rf"GET {_ZONE}/dns_records\Z"), "list", CloudflareStandIn.list_records),
    (re.compile(rf"POST {_ZONE}/dns_records/batch\Z"), "batch", CloudflareStandIn.batch),
    (re.compile(rf"POST {_ZONE}/dns_records\Z"), "single", CloudflareStandIn.single),
    (re.compile(rf"(?:GET|PATCH|PUT|DELETE) {_ZONE}/dns_records/([0-9a-f]{{32}})\Z"), "single",
     CloudflareStandIn.single),
    (re.compile(rf"GET {_ZONE}/pagerules\Z"), "page-rules", CloudflareStandIn.page_rules),
    (re.compile(rf"GET {_ZONE}/available_plans\Z"), "plans", CloudflareStandIn.plans),
)  # fmt: skip


def _handler(there: CloudflareStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def deal(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, envelope = there.answer(self.command, self.path, headers, content)
            body = json.dumps(envelope).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("cf-ray", f"{uuid.uuid4().hex[:16]}-LAB")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = deal  # noqa: N815 - names that http.server looks for

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
