"""Setting up an account on the sandbox's platform, in both generations: what is asked, kept and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from realmkit.errors import AuthError, ConflictError, InputError, OutcomeUnknownError, RefusedError
from realmkit.kazoo.client import Crossbar
from realmkit.kazoo.errors import ChargesError, InvalidError, NotFoundError, NotKeptError
from realmkit.kazoo.paging import PAGE_SIZE
from realmkit.kazoo.setup import AccountSetup
from realmkit.kazoo.setupdocuments import User
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.faults import Fault, Harm
from realmkit.sandbox.switches import LedgerKey
from tests.unit.kazooscript import check_body
from tests.unit.platforms import OLD, Platform

URL = "http://sandbox.example:8000/v2"
OFFNET = {"module": "offnet", "data": {}, "children": {}}
OWN = {"module": "resources", "data": {}, "children": {}}
ANN = {"first_name": "Ann", "last_name": "Lee", "username": "Ann@acme.example", "email": "ann@acme.example",
       "password": "hush-hush-1", "priv_level": "admin"}  # fmt: skip


class Watched(httpx2.BaseTransport):
    """The sandbox; remembers what it was asked, and holds every body against Kazoo's schemas."""

    def __init__(self, platform: Platform) -> None:
        self._inner = in_process(platform.cluster)
        self.requests: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        check_body(request)
        self.requests.append(request)
        return self._inner.handle_request(request)

    @property
    def changes(self) -> list[str]:
        """What was asked beside readings and the login."""
        asked = ((one.method, one.url.path.removeprefix("/v2/")) for one in self.requests)
        return [
            f"{method} {path.removeprefix('accounts/')}"
            for method, path in asked
            if method != "GET" and "auth" not in path
        ]


@dataclass
class Desk:
    """One who works at the platform's API."""

    platform: Platform
    charges: bool = False
    login_of: str = ""
    wire: Watched = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Watched(self.platform)
        key = self.platform.cluster.api_key(self.login_of or self.platform.reseller)
        self.crossbar = Crossbar(
            URL, key, self.platform.clock, transport=self.wire, jitter=lambda: 0.5, accept_charges=self.charges
        )
        self.setup = AccountSetup(self.crossbar)

    @property
    def account(self) -> str:
        return self.platform.account

    def stored(self, kind: str, account: str | None = None) -> list[dict[str, Any]]:
        return [one.data for one in self.platform.cluster.store.all(kind, account or self.account)]


@pytest.fixture(params=Generation, ids=lambda generation: generation.value)
def platform(request: pytest.FixtureRequest) -> Platform:
    return Platform(request.param)


@pytest.fixture
def desk(platform: Platform) -> Iterator[Desk]:
    made = Desk(platform)
    with made.crossbar:
        yield made


# ---- finding


def test_rows_are_read_in_pages_and_no_document_is(desk: Desk) -> None:
    for number in range(250):
        desk.platform.cluster.add_account(f"Customer {number}", f"c{number}.voice.example")
    rows = desk.setup.rows()
    assert len({row.id for row in rows}) == len(rows) == 251
    assert {row.realm for row in rows} >= {OLD, "c0.voice.example", "c249.voice.example"}
    assert len(desk.wire.requests) == 1 + 3  # the login, and pages of a hundred
    assert {request.url.params.get("page_size") for request in desk.wire.requests[1:]} == {PAGE_SIZE}


def test_a_row_says_what_is_above_it(desk: Desk) -> None:
    below = desk.platform.cluster.add_account("Below", "below.voice.example", parent=desk.account)
    (row,) = desk.setup.rows(desk.account)
    assert (row.id, row.name, row.realm) == (below, "Below", "below.voice.example")
    assert row.tree[-1] == desk.account
    assert row.tree[-2] == desk.platform.reseller


def test_the_realms_of_all_accounts_are_those_of_the_rows_and_the_keys_own(desk: Desk) -> None:
    desk.platform.cluster.add_account("Below", "below.voice.example", parent=desk.account)
    rows = [row.realm for row in desk.setup.rows()]
    assert sorted(desk.crossbar.realms()) == sorted([*rows, "reseller.voice.example"])
    assert len(rows) == 2


@pytest.mark.parametrize("wanted", ["Acme", "a.c.m.e", OLD.upper(), " acme "])
def test_an_account_is_found_in_three_requests(desk: Desk, wanted: str) -> None:
    desk.platform.cluster.add_account("Acme Berlin", "acme-berlin.voice.example")
    assert [row.id for row in desk.setup.find(wanted)] == [desk.account]
    assert len(desk.wire.requests) <= 3


def test_an_account_is_found_by_its_id_and_the_keys_own_too(desk: Desk) -> None:
    assert [row.id for row in desk.setup.find(desk.account.upper())] == [desk.account]
    assert [row.id for row in desk.setup.find("reseller.voice.example")] == [desk.platform.reseller]
    assert desk.setup.find("acm") == []
    assert desk.setup.find("日本") == []
    with pytest.raises(InputError, match="empty"):
        desk.setup.find(" ")


# ---- accounts


def test_an_account_is_made_once(desk: Desk) -> None:
    data = {"name": "Brand New", "realm": "new.voice.example", "timezone": "Europe/Berlin", "x_ours": {"kept": [1]}}
    made, now = desk.setup.create(desk.platform.reseller, data)
    assert now
    assert (made.name, made.realm, made.timezone) == ("Brand New", "new.voice.example", "Europe/Berlin")
    assert made.data["x_ours"]["kept"] == (1,)
    again, now = desk.setup.create(desk.platform.reseller, {**data, "name": "brand-new"})
    assert (again.id, now) == (made.id, False)
    assert desk.wire.changes == [f"PUT {desk.platform.reseller}"]


def test_the_platform_may_make_up_the_realm(desk: Desk) -> None:
    made, _ = desk.setup.create(desk.platform.reseller, {"name": "Brand New"})
    assert made.realm.endswith(".sip.sandbox.example")
    assert desk.setup.create(desk.platform.reseller, {"name": "Brand New"}) == (made, False)


@pytest.mark.parametrize(
    ("name", "realm", "said"),
    [("Acme", "x.example", "the name 'Acme'"), ("Other", OLD.upper(), "the realm"), ("A-CME", "x.example", "name")],
)  # fmt: skip
def test_half_a_likeness_is_refused_before_anything_is_sent(desk: Desk, name: str, realm: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        desk.setup.create(desk.platform.reseller, {"name": name, "realm": realm})
    assert desk.account in str(caught.value)
    assert desk.wire.changes == []


def test_an_account_is_not_put_below_itself(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="above"):
        desk.setup.create(desk.platform.reseller, {"name": "Reseller"})
    assert desk.wire.changes == []


@pytest.mark.parametrize("name", ["", "日本", "---"])
def test_a_name_that_comes_to_nothing_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InputError, match="can't be an account's name"):
        desk.setup.create(desk.platform.reseller, {"name": name})
    assert desk.wire.requests == []


def test_what_a_stranger_has_is_refused_by_the_platform_in_its_words(platform: Platform) -> None:
    other = platform.cluster.add_account("Elsewhere", "elsewhere.example", parent=platform.account)
    platform.cluster.promote(other)
    desk = Desk(platform, login_of=other)
    with pytest.raises(InvalidError) as caught:
        desk.setup.create(other, {"name": "Acme", "realm": OLD})
    assert {slip.path for slip in caught.value.slips} == {"name", "realm"}
    assert "not in force" in str(caught.value)
    assert desk.wire.changes == [f"PUT {other}"]


def test_a_slow_creation_is_waited_for_and_not_repeated(desk: Desk) -> None:
    desk.platform.cluster.switches.account_creation_seconds = 75
    made, now = desk.setup.create(desk.platform.reseller, {"name": "Slow"})
    assert (made.name, now) == ("Slow", True)
    assert desk.wire.changes == [f"PUT {desk.platform.reseller}"]


def test_a_creation_that_was_lost_is_not_repeated_blindly(desk: Desk) -> None:
    desk.platform.cluster.faults.add(Fault(Harm.CUT_BEFORE, "PUT", "/accounts/*"))
    with pytest.raises(OutcomeUnknownError, match="not there yet") as caught:
        desk.setup.create(desk.platform.reseller, {"name": "Lost"})
    assert "run the same command again" in (caught.value.hint or "")
    assert desk.wire.changes == [f"PUT {desk.platform.reseller}"]
    assert desk.setup.create(desk.platform.reseller, {"name": "Lost"})[1]


def test_a_creation_that_failed_and_was_unrolled_is_repeated(desk: Desk) -> None:
    desk.platform.cluster.faults.add(Fault(Harm.STATUS_BEFORE, "PUT", "/accounts/*", status=503))
    assert desk.setup.create(desk.platform.reseller, {"name": "Second try"})[1]
    assert len(desk.wire.changes) == 2


def test_a_whole_account_is_saved_and_nothing_unknown_is_lost(desk: Desk) -> None:
    desk.platform.data("PATCH", "", {"x_portal": {"theme": "dark"}})
    account = desk.crossbar.account(desk.account)
    changed = account.with_data({**account.data, "timezone": "Europe/Berlin", "topup": {"threshold": 10}})
    saved = desk.setup.save(changed)
    assert (saved.timezone, saved.data["topup"]["threshold"]) == ("Europe/Berlin", 10)
    stored = desk.platform.cluster.document(desk.account)
    assert stored["x_portal"] == {"theme": "dark"}
    assert not {"is_reseller", "reseller_id", "superduper_admin", "api_key", "created"} & set(stored)


def test_what_only_the_platform_writes_is_read_from_data_and_metadata_alike(desk: Desk) -> None:
    account, own = desk.crossbar.account(desk.account), desk.crossbar.account(desk.platform.reseller)
    assert (account.enabled, account.is_reseller, own.is_reseller) == (True, False, True)
    assert account.reseller_id == desk.platform.reseller
    assert account.created == desk.platform.clock.time


def test_an_account_that_somebody_changed_is_not_overwritten(desk: Desk) -> None:
    account = desk.crossbar.account(desk.account)
    desk.platform.data("PATCH", "", {"timezone": "Asia/Tokyo"})
    with pytest.raises(ConflictError, match="no longer"):
        desk.setup.save(account.with_data({**account.data, "timezone": "Europe/Berlin"}))
    assert desk.wire.changes == []


def test_a_name_that_another_account_has_is_refused_before_anything_is_sent(desk: Desk) -> None:
    desk.platform.cluster.add_account("Taken", "taken.voice.example")
    account = desk.crossbar.account(desk.account)
    for change in ({"name": "taken"}, {"realm": "TAKEN.voice.example"}):
        with pytest.raises(RefusedError, match="Taken"):
            desk.setup.save(account.with_data({**account.data, **change}))
    assert desk.wire.changes == []


def stranger(platform: Platform) -> Desk:
    """A reseller who can't see the account Acme, with an account of his own."""
    other = platform.cluster.add_account("Elsewhere", "elsewhere.example", parent=platform.account)
    platform.cluster.promote(other)
    return Desk(platform, login_of=other)


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize("change", [{"name": "Acme"}, {"realm": OLD}])
def test_a_strangers_name_is_never_left_on_the_account(platform: Platform, saves: bool, change: dict[str, str]) -> None:
    platform.cluster.switches.rejected_update_saves = saves
    desk = stranger(platform)
    mine = platform.cluster.add_account("Mine", "mine.example", parent=desk.login_of)
    account = desk.crossbar.account(mine)
    with pytest.raises(InvalidError) as caught:
        desk.setup.save(account.with_data({**account.data, **change, "timezone": "Europe/Berlin"}))
    assert ("put back" in str(caught.value)) is saves
    stored = platform.cluster.document(mine)
    assert (stored["name"], stored["realm"], stored["timezone"]) == ("Mine", "mine.example", "Etc/UTC")


def test_an_account_that_cannot_be_put_back_is_an_alarm(platform: Platform) -> None:
    platform.cluster.switches.rejected_update_saves = True
    desk = stranger(platform)
    mine = platform.cluster.add_account("Mine", "mine.example", parent=desk.login_of)
    account = desk.crossbar.account(mine)
    platform.cluster.faults.add(Fault(Harm.STATUS_BEFORE, "POST", f"/accounts/{mine}", times=None, skip=1, status=403))
    with pytest.raises(OutcomeUnknownError, match="could not be put back") as caught:
        desk.setup.save(account.with_data({**account.data, "realm": OLD}))
    assert "mine.example" in (caught.value.hint or "")


# ---- users


def test_a_user_is_made_once(desk: Desk) -> None:
    made, now = desk.setup.create_user(desk.account, ANN)
    assert (made.username, made.email, made.name, made.is_admin, now) == (
        "ann@acme.example", "ann@acme.example", "Ann Lee", True, True
    )  # fmt: skip
    again, now = desk.setup.create_user(desk.account, {**ANN, "first_name": "Anne"})
    assert (again, now) == (made, False)
    assert desk.wire.changes == [f"PUT {desk.account}/users"]
    assert [user.id for user in desk.setup.users(desk.account)] == [made.id]


def test_a_user_without_a_user_name_is_found_by_his_mail(desk: Desk) -> None:
    data = {"first_name": "Bo", "last_name": "Li", "email": "bo@acme.example"}
    assert desk.setup.create_user(desk.account, data)[1]
    assert not desk.setup.create_user(desk.account, {**data, "email": "Bo@Acme.Example"})[1]
    with pytest.raises(InputError, match="neither"):
        desk.setup.create_user(desk.account, {"first_name": "Bo", "last_name": "Li"})


def test_a_user_is_changed_and_his_password_may_be_set(desk: Desk) -> None:
    made, _ = desk.setup.create_user(desk.account, ANN)
    wanted = User.from_json({**made.data, "first_name": "Anne", "password": "another-1"}, made.revision)
    assert desk.setup.save_user(desk.account, wanted).name == "Anne Lee"


# ---- money


def test_limits_have_defaults_and_are_saved_once(desk: Desk) -> None:
    before = desk.setup.limits(desk.account)
    assert (before.trunks("twoway"), before.allow_prepay) == (0, True)
    wanted = type(before).from_json({**before.data, "twoway_trunks": 4, "allow_prepay": False}, before.revision)
    saved = desk.setup.save_limits(desk.account, wanted)
    assert (saved.trunks("twoway"), saved.allow_prepay) == (4, False)
    assert desk.setup.save_limits(desk.account, saved) == saved
    assert desk.wire.changes == [f"POST {desk.account}/limits"]


def test_limits_that_cost_money_need_leave(platform: Platform) -> None:
    platform.cluster.switches.limits_cost_money = True
    poor, rich = Desk(platform), Desk(platform, charges=True)
    before = poor.setup.limits(platform.account)
    wanted = type(before).from_json({**before.data, "inbound_trunks": 2}, before.revision)
    with pytest.raises(ChargesError, match="costs money"):
        poor.setup.save_limits(platform.account, wanted)
    assert poor.setup.limits(platform.account).trunks("inbound") == 0
    assert rich.setup.save_limits(platform.account, wanted).trunks("inbound") == 2


def test_limits_are_the_resellers(platform: Platform) -> None:
    customer = Desk(platform, login_of=platform.account)
    before = customer.setup.limits(platform.account)
    with pytest.raises(AuthError, match="403"):
        customer.setup.save_limits(platform.account, type(before).from_json({**before.data, "twoway_trunks": 9}))


@pytest.mark.parametrize("by", LedgerKey)
def test_credit_is_paid_once_for_each_key(desk: Desk, by: LedgerKey) -> None:
    desk.platform.cluster.switches.ledger_key = by
    assert desk.setup.balance(desk.account) == 0
    assert desk.setup.credit(desk.account, Decimal("10.50"), key="first", description="welcome")
    assert desk.setup.balance(desk.account) == Decimal("10.5")
    assert not desk.setup.credit(desk.account, Decimal("10.50"), key="first", description="welcome")
    assert desk.setup.credit(desk.account, Decimal(5), key="second", description="more")
    assert desk.setup.balance(desk.account) == Decimal("15.5")
    assert desk.setup.paid(desk.account) == {"first", "second"}
    (first, _) = desk.stored("ledger")
    assert (first["source"], first["usage"]["type"], first["description"]) == (
        {"service": "adjustments", "id": "first"}, "credit", "welcome"
    )  # fmt: skip


@pytest.mark.parametrize("days", [1, 31, 100, 400])
def test_credit_of_another_month_is_not_paid_again(desk: Desk, days: int) -> None:
    assert desk.setup.credit(desk.account, Decimal(10), key="first", description="welcome")
    desk.platform.clock.time += timedelta(days=days)
    assert not desk.setup.credit(desk.account, Decimal(10), key="first", description="welcome")
    assert desk.setup.balance(desk.account) == 10
    ranges = [request.url.params for request in desk.wire.requests if "created_from" in request.url.params]
    assert all(int(one["created_to"]) - int(one["created_from"]) < 31 * 86_400 for one in ranges)


def test_the_platform_itself_refuses_the_same_credit_on_the_same_day(desk: Desk) -> None:
    assert desk.setup.credit(desk.account, Decimal(10), key="first", description="welcome")
    sent = next(request for request in desk.wire.requests if request.url.path.endswith("/ledgers/credit"))
    desk.platform.clock.time += timedelta(hours=5)
    path = f"/accounts/{desk.account}/ledgers/credit"
    assert desk.platform.ask("PUT", path, json.loads(sent.content)["data"])[0] == 409


@pytest.mark.parametrize("amount", ["0", "-5", "0.99", "NaN", "Infinity", "1.00001"])
def test_no_other_amounts_are_paid(desk: Desk, amount: str) -> None:
    with pytest.raises(InputError, match="can't be paid"):
        desk.setup.credit(desk.account, Decimal(amount), key="first", description="welcome")
    with pytest.raises(InputError, match="without a key"):
        desk.setup.credit(desk.account, Decimal(1), key="", description="welcome")
    assert desk.wire.requests == []


def test_service_plans_are_changed_as_far_as_they_differ(desk: Desk) -> None:
    standard, premium = desk.setup.available_services(desk.account)
    assert desk.setup.available_services(desk.account)[premium] == "Premium"
    desk.setup.change_services(desk.account, [standard], [])
    desk.setup.change_services(desk.account, [standard], [premium])
    desk.setup.change_services(desk.account, [premium], [standard])
    assert desk.setup.services(desk.account) == {premium}
    assert desk.wire.changes == [f"POST {desk.account}/services"] * 2


def test_a_plan_that_costs_money_needs_leave(platform: Platform) -> None:
    platform.cluster.switches.plans_cost_money = True
    poor, rich = Desk(platform), Desk(platform, charges=True)
    plan = next(iter(poor.setup.available_services(platform.account)))
    with pytest.raises(ChargesError):
        poor.setup.change_services(platform.account, [plan], [])
    assert poor.setup.services(platform.account) == frozenset()
    rich.setup.change_services(platform.account, [plan], [])
    assert poor.setup.services(platform.account) == {plan}


def test_a_plan_that_is_none_is_not_believed(desk: Desk) -> None:
    with pytest.raises((NotKeptError, NotFoundError)):
        desk.setup.change_services(desk.account, ["f" * 32], [])


# ---- apps, numbers, carrier


def test_the_blacklist_is_saved_as_far_as_it_differs(desk: Desk) -> None:
    port, voip = (one for one, name in desk.setup.apps(desk.account).items() if name in ("port", "voip"))
    desk.setup.save_blacklist(desk.account, [])
    desk.setup.save_blacklist(desk.account, [voip, port, port])
    desk.setup.save_blacklist(desk.account, {port, voip})
    assert desk.setup.blacklist(desk.account) == {port, voip}
    assert not {port, voip} & set(desk.setup.apps(desk.account))
    assert desk.wire.changes == [f"POST {desk.account}/apps_store/blacklist"]


def test_the_classifiers_are_the_seven(desk: Desk) -> None:
    assert set(desk.setup.classifiers(desk.account)) == {
        "tollfree_us", "toll_us", "emergency", "caribbean", "did_us", "international", "unknown"
    }  # fmt: skip
    assert desk.setup.classifiers(desk.account)["emergency"] == "Emergency Dispatcher"


def test_the_carrier_is_chosen_and_changed_in_one_callflow(desk: Desk) -> None:
    assert desk.setup.no_match(desk.account) is None
    made = desk.setup.save_no_match(desk.account, OFFNET)
    assert (made.numbers, made.module) == (("no_match",), "offnet")
    assert desk.setup.save_no_match(desk.account, OFFNET) == made
    changed = desk.setup.save_no_match(desk.account, OWN)
    assert (changed.id, changed.module) == (made.id, "resources")
    assert desk.wire.changes == [f"PUT {desk.account}/callflows", f"POST {desk.account}/callflows/{made.id}"]


def test_what_else_a_carrier_callflow_holds_stays(desk: Desk) -> None:
    desk.platform.data("PUT", "/callflows", {"numbers": ["no_match", "2600"], "flow": OFFNET, "x_portal": {"a": 1}})
    desk.platform.data("PUT", "/callflows", {"numbers": ["100"], "flow": OFFNET})
    flow = {"module": "resources", "data": {"hunt_account_id": desk.platform.reseller}, "children": {}}
    saved = desk.setup.save_no_match(desk.account, flow)
    assert saved.numbers == ("no_match", "2600")
    assert saved.data["x_portal"]["a"] == 1
    assert saved.flow["data"]["hunt_account_id"] == desk.platform.reseller
    assert len(desk.stored("callflow")) == 2
