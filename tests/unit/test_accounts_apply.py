"""Account files against the sandbox: what is stored, that it stays, and that a kill at any call costs nothing."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from realmkit.accounts import show
from realmkit.accounts.office import Office
from realmkit.accounts.plan import credit_key
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer
from tests.unit.accountworld import BRAVO, CHANGED, Killed, World
from tests.unit.platforms import Platform, check_schema

SEVEN = ("tollfree_us", "toll_us", "emergency", "caribbean", "did_us", "international", "unknown")


@pytest.fixture(params=list(Generation), ids=lambda one: one.value)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    found = World(tmp_path, request.param)
    found.file(BRAVO)
    return found


# ---- what the portal would have sent


def _account(reseller: str, *, denied: tuple[str, ...] = ("international", "caribbean")) -> dict[str, Any]:
    """The PUT of the portal's wizard for BRAVO (wizardSubmitGetFormattedAccount)."""
    shown = {"show_tab": True}
    return {
        "call_restriction": {name: {"action": "deny" if name in denied else "inherit"} for name in SEVEN},
        "contact": {
            "billing": {
                "country": "US", "region": "FL", "locality": "Miami", "postal_code": "01234",
                "street_address": "1 Main St", "street_address_extra": "Suite 2", "email": "ann@bravo.example",
                "name": "Ann Lee", "number": "+15551230000",
            },
            "technical": {"email": "bo@bravo.example", "name": "Bo Ray", "number": "+15551230001"},
        },
        "language": "en-US",
        "name": "Bravo",
        "timezone": "America/Havana",
        "ui_restrictions": {
            "myaccount": {
                "user": shown, "account": shown, "billing": {"show_tab": False},
                "balance": {"show_tab": True, "show_credit": True, "show_minutes": True},
                "service_plan": {"show_tab": False}, "transactions": {"show_tab": False},
                "inbound": shown, "outbound": shown, "twoway": shown, "errorTracker": shown,
            }
        },
        "realm": "bravo.voice.example",
        "contract": {
            "end_date": 63997448400,  # 2027-12-31 00:00 in Havana, which is 05:00 UTC
            "representative": {
                "account_id": reseller, "user_id": "0123456789abcdef0123456789abcdef", "name": "Sal",
            },
        },
    }  # fmt: skip


def _user(first: str, last: str, email: str, *, send: bool, name: str | None = None) -> dict[str, Any]:
    return {
        "first_name": first, "last_name": last, "username": name or email, "email": email,
        "password": "correct horse", "priv_level": "admin", "send_email_on_creation": send,
    }  # fmt: skip


def _credit(account: str, label: str, amount: float) -> dict[str, Any]:
    return {
        "amount": amount, "description": "Credit added by administrator",
        "metadata": {"automatic_description": True, "ui_request": True},
        "source": {"id": credit_key(account, label), "service": "adjustments"},
        "usage": {"quantity": 0, "type": "credit", "unit": "USD"},
    }  # fmt: skip


def _ids(names: dict[str, str], *wanted: str) -> list[str]:
    return sorted(identity for identity, name in names.items() if name in wanted)


class Portal:
    """The portal's wizard, then its account manager, by hand."""

    def __init__(self, generation: Generation) -> None:
        self.platform = Platform(generation)
        self.catalogue = self.platform.cluster.catalogue

    def wizard(self) -> None:
        platform, apps = self.platform, self.catalogue.apps
        body = _account(platform.reseller)
        check_schema("accounts", body)
        self._status(*platform.ask("PUT", f"/accounts/{platform.reseller}", body))
        self._furnish(
            denied=sorted(set(apps) - set(_ids(apps, "accounts", "pbxs"))),
            limits={"inbound_trunks": 1, "outbound_trunks": 2, "twoway_trunks": 4, "allow_prepay": False},
        )
        flow = {"module": "offnet", "data": {}, "children": {}}
        self._ask("PUT", "/callflows", {"numbers": ["no_match"], "flow": flow}, schema="callflows")
        self._ask("POST", "/services", {"add": _ids(self.catalogue.plans, "Standard")})
        self._ask("PUT", "/ledgers/credit", _credit(self.account, "opening", 25.5), schema="ledgers")
        self._ask("PUT", "/users", _user("Ann", "Lee", "ann@bravo.example", send=False), schema="users")
        self._ask("PUT", "/users", _user("Bo", "Ray", "bo@bravo.example", send=True), schema="users")

    def manager(self) -> None:
        """Every section changed, as CHANGED has it."""
        self._overview()
        self._furnish(
            denied=_ids(self.catalogue.apps, "callflows"),
            limits={"inbound_trunks": 0, "outbound_trunks": 3, "twoway_trunks": 8, "allow_prepay": True},
        )
        callflow = self._ask("GET", "/callflows", query="filter_numbers=no_match")[0]["id"]
        body = self._ask("GET", f"/callflows/{callflow}") | {
            "flow": {"module": "resources", "data": {"hunt_account_id": self.platform.reseller}, "children": {}}
        }
        self._ask("POST", f"/callflows/{callflow}", body)
        plans = self.catalogue.plans
        self._ask("POST", "/services", {"add": _ids(plans, "Premium"), "delete": _ids(plans, "Standard")})
        self._ask("PUT", "/ledgers/credit", _credit(self.account, "2027", 10))
        ann = next(row["id"] for row in self._ask("GET", "/users") if row["username"] == "ann@bravo.example")
        named = {"first_name": "Anna", "last_name": "Lee-Low"}
        self._ask("POST", f"/users/{ann}", self._ask("GET", f"/users/{ann}") | named)
        self._ask("PUT", "/users", _user("Cy", "Dee", "cy@bravo.example", send=True, name="cy"))

    def _overview(self) -> None:
        body = self._ask("GET", "")
        for key in ("created", "reseller_id", "is_reseller", "enabled", "billing_mode", "superduper_admin", "id"):
            body.pop(key, None)
        mine = body["ui_restrictions"]["myaccount"]
        for name in ("billing", "service_plan", "transactions"):
            mine[name]["show_tab"] = True
        for name in ("user", "errorTracker"):
            mine[name]["show_tab"] = False
        mine["balance"]["show_minutes"] = False
        body["contact"]["billing"] = {
            "country": "US", "region": "FL", "locality": "Tampa", "postal_code": "33601", "street_address": "2 Side St",
            "email": "cy@bravo.example", "name": "Cy Dee", "number": "+15551230002",
        }  # fmt: skip
        body["contact"]["technical"] = {"email": "di@bravo.example", "name": "Di Eff", "number": "+15551230003"}
        body["call_restriction"] = {name: {"action": "deny" if name == "toll_us" else "inherit"} for name in SEVEN}
        body["contract"] = {
            "end_date": 64013169600,  # 2028-06-30 00:00 in New York, which is 04:00 UTC
            "representative": {
                "account_id": self.platform.reseller, "user_id": "fedcba9876543210fedcba9876543210", "name": "Tom",
            },
        }  # fmt: skip
        body |= {
            "name": "Bravo Inc", "timezone": "America/New_York", "language": "fr-FR", "topup": {"threshold": 5},
            "numbers_features": {"e911_enabled": False, "cnam_enabled": True}, "announcement": "Pays late: call first",
        }  # fmt: skip
        check_schema("accounts", body)
        self._ask("POST", "", body)

    def _furnish(self, denied: list[str], limits: dict[str, Any]) -> None:
        self._ask("POST", "/apps_store/blacklist", {"blacklist": denied})
        self._ask("POST", "/limits", self._ask("GET", "/limits") | limits, schema="limits")

    @property
    def account(self) -> str:
        found = self.platform.cluster.store.all("account")
        return next(one.id for one in found if one.data["name"].startswith("Bravo"))

    def _ask(self, method: str, path: str, data: Any = None, query: str = "", schema: str = "") -> Any:
        if schema:
            check_schema(schema, data)
        self.platform.cluster.switches.limits_cost_money = self.platform.cluster.switches.plans_cost_money = False
        return self._status(*self.platform.ask(method, f"/accounts/{self.account}{path}", data, query))

    def _status(self, code: int, envelope: dict[str, Any]) -> Any:
        assert code < 300, envelope
        return envelope["data"]


def _stored(cluster: Cluster) -> dict[str, list[dict[str, Any]]]:
    """Every document of the account, by kind, without what depends on when it was made."""
    accounts = [one.id for one in cluster.store.all("account") if one.data["name"].startswith("Bravo")]
    assert len(accounts) == 1
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in ("account", "user", "limits", "callflow", "services", "ledger", "apps"):
        documents = [copy.deepcopy(one.data) for one in cluster.store.all(kind, accounts[0])]
        for data in documents:
            data.pop("period", None)
        found[kind] = sorted(documents, key=lambda data: json.dumps(data, sort_keys=True))
    return found


def test_what_is_stored_is_what_the_portal_would_have_stored(world: World) -> None:
    portal = Portal(world.cluster.generation)
    portal.wizard()
    (outcome,) = world.apply("bravo")
    assert outcome.whole
    assert outcome.created
    assert _stored(world.cluster) == _stored(portal.platform.cluster)

    portal.manager()
    world.file(CHANGED)
    plan = world.plan()
    assert plan.kind == "change"
    assert set(plan.sections) == {
        "name", "timezone", "language", "address", "contacts", "admins", "restrictions", "limits", "credit", "topup",
        "permissions", "features", "carrier", "apps", "service_plans", "notes",
    }  # fmt: skip
    (outcome,) = world.apply("bravo")
    assert outcome.whole
    assert _stored(world.cluster) == _stored(portal.platform.cluster)


def as_file(office: Office, text: str) -> str:
    """What `account show` prints."""
    return show.as_file(office.platform, office.platform.setup.named(text))


def test_what_is_shown_of_an_account_changes_nothing_when_applied(world: World) -> None:
    for text in (BRAVO, CHANGED):
        world.file(text)
        world.apply("bravo")
        before = world.revisions()
        shown = world.run(lambda office: as_file(office, "BRAVO.voice.example"))
        assert "correct horse" not in shown
        world.file(shown)
        plan = world.plan()
        assert (plan.kind, plan.changes, plan.errors, plan.unread) == ("nothing", (), (), False)
        assert world.apply() == []
        assert world.revisions() == before


def test_an_account_made_elsewhere_is_shown_and_applied_as_it_is(world: World) -> None:
    odd = {
        "name": "Zoë & Söhne: #1", "realm": "Odd_Realm.example", "timezone": "EST5EDT",
        "announcement": "two\nlines\u2028😀",
        "contact": {"billing": {"name": "no: body", "email": "", "x": 1}},
        "contract": {"representative": {"name": "1"}, "end_date": 63997448400 + 43210},
        "numbers_features": {"e911_enabled": True}, "call_restriction": {"closed_groups": {"action": "deny"}},
        "ui_restrictions": {"myaccount": {"balance": {"show_credit": False}}}, "topup": {"threshold": 7.25},
    }  # fmt: skip
    identity = world.ask("PUT", world.platform.reseller, odd)["id"]
    world.cluster.catalogue.apps["ffff"] = "yes"
    flow = {"numbers": ["no_match"], "flow": {"module": "offnet", "data": {}, "children": {}}}
    world.ask("PUT", f"{identity}/callflows", flow)
    world.ask("POST", f"{identity}/apps_store/blacklist", {"blacklist": ["ffff", "gone"]})
    shown = world.run(lambda office: as_file(office, identity))
    world.file(shown, "odd")
    before = world.revisions()
    plan = world.plan("odd")
    assert (plan.kind, plan.changes, plan.errors) == ("nothing", (), ())
    assert world.revisions() == before


def test_a_file_that_says_little_gets_the_wizards_defaults_and_later_touches_nothing_else(world: World) -> None:
    world.file("name: Bravo\nrealm: bravo.voice.example\ntimezone: America/Havana\n")
    (outcome,) = world.apply()
    assert outcome.whole
    (account,) = world.stored("account")
    assert account["ui_restrictions"]["myaccount"]["billing"] == {"show_tab": False}
    assert account["call_restriction"]["international"] == {"action": "inherit"}
    (flow,) = world.stored("callflow")
    assert flow["flow"]["module"] == "offnet"
    assert world.stored("user") == world.stored("ledger") == world.stored("limits") == []
    identity = outcome.id
    data = world.ask("GET", identity)
    data["ui_restrictions"]["myaccount"]["billing"] = {"show_tab": True}
    world.ask("POST", identity, data)
    assert world.plan(deep=True).kind == "nothing"


def test_a_password_that_nobody_chose_is_made_up_and_nowhere_kept(world: World) -> None:
    world.file(BRAVO.replace(', password: "file:ann.secret"', ""))
    (outcome,) = world.apply()
    assert outcome.whole
    assert len(world.stored("user")) == 2
    kept = (world.directory / ".realmkit" / "accounts.jsonl").read_text()
    assert "password" not in kept


def test_nothing_is_lost_that_a_file_does_not_speak_of(world: World) -> None:
    world.apply()
    identity = world.plan().id
    data = world.ask("GET", identity)
    data["x_theirs"] = {"deep": [1, {"a": None}]}
    data["contact"]["billing"]["fax"] = "+1555"
    world.ask("POST", identity, data)
    world.file(CHANGED)
    assert world.apply()[0].whole
    (account,) = world.stored("account")
    assert account["x_theirs"]["deep"][0] == 1
    assert account["contact"]["billing"]["fax"] == "+1555"


def test_a_credit_is_paid_once_for_each_label_even_when_state_and_month_are_gone(world: World) -> None:
    world.apply()
    for _ in range(3):
        (world.directory / ".realmkit" / "accounts.jsonl").unlink()
        world.platform.clock.sleep(40 * 86400)
        assert world.plan().kind == "nothing"
        assert world.apply() == []
    world.file(BRAVO.replace("credit: 25.50", "credit: 99"))
    assert world.plan().kind == "nothing"  # `opening` was paid
    world.file(BRAVO.replace("credit: 25.50", "credit: {opening: 25.50, extra: 7}"))
    assert world.apply()[0].whole
    assert sorted(one["amount"] for one in world.stored("ledger")) == [7, 25.5]


# ---- killed


@pytest.mark.parametrize("generation", list(Generation), ids=lambda one: one.value)
def test_a_kill_at_any_call_costs_nothing(tmp_path: Path, generation: Generation) -> None:
    whole = World(tmp_path / "whole", generation)
    whole.file(BRAVO)
    whole.apply()
    assert len(whole.wire.asked) > 30
    for number in range(len(whole.wire.asked)):
        world = World(tmp_path / str(number), generation)
        world.file(BRAVO)
        world.wire.kill_after = number
        with pytest.raises(Killed):
            world.apply()
        assert all(one.whole for one in world.apply()), number
        assert world.plan(deep=True).kind == "nothing"
        assert _stored(world.cluster) == _stored(whole.cluster), number


def test_a_kill_at_any_call_of_a_change_costs_nothing(tmp_path: Path) -> None:
    def changed(directory: Path, kill: int) -> World:
        world = World(directory)
        world.file(BRAVO)
        world.apply()
        world.file(CHANGED)
        world.wire.asked.clear()
        world.wire.kill_after = kill
        return world

    whole = changed(tmp_path / "whole", -1)
    whole.apply()
    for number in range(len(whole.wire.asked)):
        world = changed(tmp_path / str(number), number)
        with pytest.raises(Killed):
            world.apply()
        world.apply()
        assert world.plan(deep=True).kind == "nothing"
        assert _stored(world.cluster) == _stored(whole.cluster), number


class Reaper:
    """Kills a process as soon as the platform is asked for the so-and-so-manieth time, before it is answered."""

    def __init__(self, world: World, at: int) -> None:
        self.pid, self.left, self._handle = 0, at, world.cluster.handle
        world.cluster.handle = self.handle  # type: ignore[method-assign, assignment]

    def handle(self, *arguments: Any) -> Any:
        if self.left == 0 and self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.left -= 1
        return self._handle(*arguments)


def test_a_process_that_is_killed_goes_on_when_it_is_run_again(tmp_path: Path) -> None:
    code = "from realmkit.cli.account import account; account(obj={'directory': '.', 'verbose': False})"
    for at in (6, 14, 25, 36):
        world = World(tmp_path / str(at))
        world.file(BRAVO)
        world.cluster.switches.limits_cost_money = world.cluster.switches.plans_cost_money = False
        reaper = Reaper(world, at)
        with CrossbarServer(world.cluster) as server:
            project = (world.directory / "realmkit.yml").read_text()
            world.write("realmkit.yml", project.replace("http://crossbar.example/v2", server.url))
            command = [sys.executable, "-c", code, "apply", "--yes"]
            process = subprocess.Popen(
                command, cwd=world.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            reaper.pid = process.pid
            assert process.wait(30) == -signal.SIGKILL, at
            reaper.pid = 0
            done = subprocess.run(command, cwd=world.directory, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == 0, done
        stored = _stored(world.cluster)
        assert {kind: len(some) for kind, some in stored.items()} == {
            "account": 1, "user": 2, "limits": 1, "callflow": 1, "services": 1, "ledger": 1, "apps": 1,
        }  # fmt: skip
