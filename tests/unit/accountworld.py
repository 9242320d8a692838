"""A sandbox platform with a project directory, for tests of account files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from realmkit.accounts.apply import Outcome
from realmkit.accounts.office import Office
from realmkit.accounts.plan import AccountPlan
from realmkit.config import open_project
from realmkit.kazoo.client import Crossbar
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from tests.unit.platforms import Platform

PROJECT = """version: 1
platform:
  kazoo: {url: "http://crossbar.example/v2", api_key: "file:api.key"}
  edge: {proxies: [{host: east.example.net, addresses: [192.0.2.1]}]}
zones: {voice.example: {provider: files}}
providers: {files: {type: zonefile, file: zone}}
"""

BRAVO = """name: Bravo
realm: bravo.voice.example
timezone: America/Havana
language: en-US
address: {street: 1 Main St, street2: Suite 2, city: Miami, state: FL, zip: "01234", country: US}
contacts:
  billing: {name: Ann Lee, email: ann@bravo.example, phone: "+15551230000"}
  technical: {name: Bo Ray, email: bo@bravo.example, phone: "+15551230001"}
  sales: {name: Sal, user_id: 0123456789abcdef0123456789abcdef}
admins:
  - {first_name: Ann, last_name: Lee, email: ann@bravo.example, password: "file:ann.secret", send_email: false}
  - {first_name: Bo, last_name: Ray, email: bo@bravo.example, password: "file:ann.secret"}
restrictions: {international: deny, caribbean: deny}
limits: {twoway_trunks: 4, inbound_trunks: 1, outbound_trunks: 2, allow_prepay: false}
credit: 25.50
carrier: system
apps: {allow: [accounts, numbers, pbxs], deny: [numbers]}
service_plans: [Standard]
notes: {contract_ends: 2027-12-31}
"""

CHANGED = """name: Bravo Inc
realm: bravo.voice.example
timezone: America/New_York
language: fr-FR
address: {street: 2 Side St, street2: "", city: Tampa, state: FL, zip: "33601", country: US}
contacts:
  billing: {name: Cy Dee, email: cy@bravo.example, phone: "+15551230002"}
  technical: {name: Di Eff, email: di@bravo.example, phone: "+15551230003"}
  sales: {name: Tom, user_id: fedcba9876543210fedcba9876543210}
admins:
  - {first_name: Anna, last_name: Lee-Low, email: ann@bravo.example}
  - {first_name: Bo, last_name: Ray, email: bo@bravo.example}
  - {first_name: Cy, last_name: Dee, email: cy@bravo.example, username: cy, password: "file:ann.secret"}
restrictions: {toll_us: deny}
limits: {twoway_trunks: 8, inbound_trunks: 0, outbound_trunks: 3, allow_prepay: true}
credit: {opening: 25.50, "2027": 10}
topup: 5
permissions: {user: hide, billing: show, service_plan: show, transactions: show, minutes: hide, error_tracker: hide}
features: {e911: false, cnam: true}
carrier: partner
apps: {allow: all, deny: [callflows]}
service_plans: [Premium]
notes: {announcement: "Pays late: call first", contract_ends: 2028-06-30}
"""


class Killed(BaseException):
    """What a kill looks like from inside: nothing catches it."""


class Wire(httpx2.BaseTransport):
    """The sandbox, with a count of what was asked, and a place to be killed at."""

    def __init__(self, platform: Platform) -> None:
        self._inner = in_process(platform.cluster)
        self.asked: list[str] = []
        self.kill_after = -1

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(f"{request.method} {request.url.path.removeprefix('/v2')}")
        answer = self._inner.handle_request(request)
        if len(self.asked) - 1 == self.kill_after:
            raise Killed
        return answer


class World:
    """A project and its platform."""

    def __init__(self, directory: Path, generation: Generation = Generation.NEWER, *, charges: bool = True) -> None:
        self.directory, self.charges = directory, charges
        self.platform = Platform(generation)
        self.cluster = self.platform.cluster
        (directory / "accounts").mkdir(parents=True, exist_ok=True)
        self.write("realmkit.yml", PROJECT)
        self.write("api.key", self.cluster.api_key(self.platform.reseller))
        self.write("ann.secret", "correct horse\n")
        self.wire = Wire(self.platform)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")

    def file(self, text: str, name: str = "bravo") -> None:
        self.write(f"accounts/{name}.yml", text)

    def crossbar(self) -> Crossbar:
        return Crossbar(
            "http://crossbar.example/v2", self.cluster.api_key(self.platform.reseller), self.platform.clock,
            transport=self.wire, accept_charges=self.charges, jitter=lambda: 0.5,
        )  # fmt: skip

    def run(self, act: Callable[[Office], Any]) -> Any:
        """One command: a fresh login, a fresh look at the project."""
        with self.crossbar() as crossbar:
            return act(Office(open_project(self.directory), crossbar))

    def plans(self, *names: str, deep: bool = False) -> list[AccountPlan]:
        return [one.plan for one in self.run(lambda office: office.plans(names, deep=deep))]

    def plan(self, name: str = "bravo", *, deep: bool = False) -> AccountPlan:
        return self.plans(name, deep=deep)[0]

    def apply(self, *names: str, deep: bool = False) -> list[Outcome]:
        return list(
            self.run(lambda office: list(office.apply(office.plans(names, deep=deep), lambda *_: None)))
        )  # fmt: skip

    def ask(self, method: str, path: str | None, data: Any = None) -> Any:
        """A request of the portal's, which works: the data of the answer."""
        self.platform.clock.sleep(60)
        code, envelope = self.platform.ask(method, f"/accounts/{path}", data)
        assert code < 300, envelope
        return envelope["data"]

    def stored(self, kind: str) -> list[dict[str, Any]]:
        """Documents of a kind in the account called Bravo..., without their ids."""
        accounts = [one for one in self.cluster.store.all("account") if one.data["name"].startswith("Bravo")]
        return [one.data for account in accounts for one in self.cluster.store.all(kind, account.id)]

    def revisions(self) -> list[str]:
        return sorted(
            f"{kind} {one.id} {one.revision}"
            for kind in ("account", "user", "limits", "callflow", "services", "ledger", "apps")
            for one in self.cluster.store.all(kind)
        )
