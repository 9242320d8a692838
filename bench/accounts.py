"""What account files cost in requests: a plan for twenty thousand of them, and finding one account."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec

from bench.cases import Row
from realmkit.accounts import memory
from realmkit.accounts.office import Office
from realmkit.config import open_project
from realmkit.kazoo.client import Crossbar
from realmkit.kazoo.paging import PAGE_SIZE
from realmkit.kazoo.setupdocuments import AccountRow
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.registrar import EmbeddedRegistrar

if TYPE_CHECKING:
    from tests.lab.topology import Lab

ACCOUNTS: Final = 20_000
CHANGED: Final = 20
PAGES: Final = math.ceil(ACCOUNTS / int(PAGE_SIZE))
CONFIG: Final = """\
version: 1
platform:
  kazoo: {url: "http://crossbar.example/v2", api_key: "env:UNUSED"}
  edge: {proxies: [{host: east.example.net, addresses: [192.0.2.1]}]}
providers: {files: {type: zonefile, file: zone}}
zones: {voice.example: {provider: files}}
"""
FILE: Final = """\
name: Customer {0}
realm: c{0}.voice.example
timezone: America/New_York
language: en-US
contacts: {{billing: {{name: Ann Lee, email: ann@c{0}.example}}}}
restrictions: {{international: deny}}
limits: {{twoway_trunks: 4}}
carrier: system
apps: {{allow: all, deny: [callflows]}}
"""


class _Clock:
    """Stands still but for sleeps, so that the platform's pace (10 requests a second) is not waited for."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class _Counted(httpx2.BaseTransport):
    def __init__(self, cluster: Cluster) -> None:
        self._inner, self.requests = in_process(cluster), 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        return self._inner.handle_request(request)


def accounts(_lab: Lab, directory: Path) -> list[Row]:
    """Plans over files that were applied before, and the search for an account."""
    clock = _Clock()
    cluster = Cluster(clock, EmbeddedRegistrar(clock, lambda *_: None), Generation.NEWER)
    reseller = cluster.add_account("Reseller", "reseller.voice.example")
    _project(directory)
    _applied(directory, cluster, clock, reseller)

    def measured(act: Callable[[Office], Any]) -> tuple[int, float, Any]:
        wire = _Counted(cluster)
        begun = time.perf_counter()
        with Crossbar("http://crossbar.example/v2", cluster.api_key(reseller), clock, transport=wire) as crossbar:
            found = act(Office(open_project(directory), crossbar))
        return wire.requests, time.perf_counter() - begun, found

    nothing, seconds, plans = measured(lambda office: office.plans())
    if {one.plan.kind for one in plans} != {"nothing"}:
        raise SystemExit("the bench's accounts are not as their files say")
    for number in range(CHANGED):
        path = directory / "accounts" / f"c{number}.yml"
        path.write_text(path.read_text(encoding="utf-8").replace("en-US", "fr-FR"), encoding="utf-8")
    some, _, plans = measured(lambda office: office.plans())
    if sum(one.plan.kind == "change" for one in plans) != CHANGED:
        raise SystemExit("the bench's changes were not seen")
    find, _, rows = measured(lambda office: office.platform.setup.find(f"C{ACCOUNTS - 1}.voice.example"))
    if len(rows) != 1:
        raise SystemExit("the bench's account was not found")
    lists = f"{PAGES} pages of the listing"
    return [
        Row(
            f"account plan of {ACCOUNTS:,} files, none changed", f"{nothing} requests, {seconds:.1f} s", lists,
            f"{nothing / PAGES:.2f}", "≤ 1.2", nothing <= 1.2 * PAGES,
        ),
        Row(
            f"account plan of {ACCOUNTS:,} files, {CHANGED} changed", f"{some} requests", lists,
            f"{(some - nothing) / CHANGED:.1f} a changed file", "≤ 8", some - nothing <= 8 * CHANGED,
        ),
        Row("account find", f"{find} requests", "", "", "≤ 3", find <= 3),
    ]  # fmt: skip


def _project(directory: Path) -> None:
    (directory / "accounts").mkdir(parents=True)
    (directory / "realmkit.yml").write_text(CONFIG, encoding="utf-8")
    for number in range(ACCOUNTS):
        (directory / "accounts" / f"c{number}.yml").write_text(FILE.format(number), encoding="utf-8")


def _applied(directory: Path, cluster: Cluster, clock: _Clock, reseller: str) -> None:
    """The accounts, and what an apply of all files would have noted; applying them one by one takes half an hour."""
    ids = [
        cluster.add_account(f"Customer {number}", f"c{number}.voice.example", "America/New_York")
        for number in range(ACCOUNTS)
    ]
    with Crossbar(
        "http://crossbar.example/v2", cluster.api_key(reseller), clock, transport=in_process(cluster)
    ) as crossbar:
        rows: dict[str, AccountRow] = {row.id: row for row in Office(open_project(directory), crossbar).platform.rows}
    lines = []
    for number, identity in enumerate(ids):
        row = rows[identity]
        content = FILE.format(number).encode()
        digest, seen = memory.digest(content, None), memory.row_digest(row)
        applied = memory.Applied(f"c{number}", digest, identity, seen, row.name, row.realm)
        lines.append(msgspec.json.encode(applied) + b"\n")
    (directory / ".realmkit").mkdir()
    (directory / ".realmkit" / memory.FILE).write_bytes(b"".join(lines))
