"""Limits, ledgers and service plans as the sandbox's Crossbar keeps them: 402, 403, 409."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.store import gregorian
from realmkit.sandbox.switches import LedgerKey
from tests.unit.platforms import Platform


@pytest.fixture
def platform() -> Platform:
    return Platform()


def credit(key: str = "first", amount: float = 20, **more: Any) -> dict[str, Any]:
    return {
        "amount": amount,
        "description": "Start",
        "source": {"service": "adjustments", "id": key},
        "usage": {"type": "credit", "quantity": 0, "unit": "USD"},
        "metadata": {"ui_request": True},
        **more,
    }


@contextmanager
def as_account(platform: Platform) -> Iterator[httpx2.Client]:
    """A client with the account's own key, who is not its reseller."""
    key = platform.cluster.api_key(platform.account)
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        client.headers["X-Auth-Token"] = client.put("api_auth", json={"data": {"api_key": key}}).json()["auth_token"]
        yield client


# limits


def test_limits_that_were_never_saved_are_the_defaults(platform: Platform) -> None:
    assert platform.data("GET", "/limits") == {"allow_prepay": True, "authz_resource_types": [], "id": "limits"}


def test_limits_are_replaced_by_post_and_merged_by_patch(platform: Platform) -> None:
    platform.data("POST", "/limits", {"twoway_trunks": 2, "inbound_trunks": 1, "allow_prepay": False})
    platform.data("PATCH", "/limits", {"twoway_trunks": 3})
    assert platform.data("GET", "/limits")["inbound_trunks"] == 1
    saved = platform.data("POST", "/limits", {"twoway_trunks": 4})
    assert saved == {"twoway_trunks": 4, "allow_prepay": True, "authz_resource_types": [], "id": "limits"}


@pytest.mark.parametrize(("value", "rule"), [(-1, "minimum"), (1.5, "type"), ("many", "type"), (True, "type")])
def test_a_malformed_limit_is_refused(platform: Platform, value: object, rule: str) -> None:
    status, envelope = platform.ask("POST", f"/accounts/{platform.account}/limits", {"twoway_trunks": value})
    assert (status, list(envelope["data"]["twoway_trunks"])) == (400, [rule])
    assert "twoway_trunks" not in platform.data("GET", "/limits")


def test_only_the_reseller_sets_limits_gives_credit_and_assigns_plans(platform: Platform) -> None:
    path = f"accounts/{platform.account}"
    with as_account(platform) as client:
        assert client.get(f"{path}/limits").status_code == 200
        assert client.post(f"{path}/limits", json={"data": {"calls": 1}}).status_code == 403
        assert client.put(f"{path}/ledgers/credit", json={"data": credit()}).status_code == 403
        assert client.get(f"{path}/ledgers/total").json()["data"] == {"amount": 0.0}
        assert client.post(f"{path}/services", json={"data": {"add": []}}).status_code == 403


def test_more_trunks_are_402_until_the_charges_are_accepted(platform: Platform) -> None:
    platform.data("POST", "/limits", {"twoway_trunks": 2})
    platform.cluster.switches.limits_cost_money = True
    path = f"/accounts/{platform.account}/limits"
    wanted = {"twoway_trunks": 3}
    status, envelope = platform.ask("POST", path, wanted)
    assert (status, envelope["error"], envelope["message"]) == (402, "402", "accept charges")
    assert envelope["data"]["limits"]["twoway_trunks"]["quantity"] == 3
    assert platform.data("GET", "/limits")["twoway_trunks"] == 2
    body = json.dumps({"data": wanted, "accept_charges": True}).encode()
    status, _, _ = platform.cluster.handle("POST", f"/v2{path}", "", {"X-Auth-Token": platform.token}, body)
    assert status == 200
    assert platform.data("GET", "/limits")["twoway_trunks"] == 3
    assert platform.ask("POST", path, {"twoway_trunks": 1})[0] == 200  # fewer cost nothing


def test_switched_off_trunks_cost_nothing(platform: Platform) -> None:
    platform.cluster.switches.limits_cost_money = False
    assert platform.data("POST", "/limits", {"twoway_trunks": 99})["twoway_trunks"] == 99


# ledgers


def test_credit_and_debit_make_the_total(platform: Platform) -> None:
    made = platform.data("PUT", "/ledgers/credit", credit(amount=20.1))
    platform.data("PUT", "/ledgers/credit", credit("second", 20.2))
    platform.data("PUT", "/ledgers/debit", credit("third", 5))
    assert made["account"] == {"id": platform.account, "name": "Acme"}
    assert made["period"] == {"start": gregorian(platform.clock.now())}
    assert platform.data("GET", "/ledgers/total") == {"amount": 35.3}
    assert platform.data("GET", "/ledgers")["adjustments"]["amount"] == 35.3
    listed = platform.data("GET", "/ledgers/adjustments")
    assert [row["source"]["id"] for row in listed] == ["third", "second", "first"]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"amount": 0.5}, "amount"),
        ({"amount": -5}, "amount"),
        ({"source": {"service": "adjustments"}}, "source.id"),
        ({"usage": {"type": "credit", "unit": "USD"}}, "usage.quantity"),
    ],
)
def test_a_malformed_credit_is_refused_and_not_paid(platform: Platform, more: dict[str, Any], path: str) -> None:
    status, envelope = platform.ask("PUT", f"/accounts/{platform.account}/ledgers/credit", credit() | more)
    assert (status, list(envelope["data"])) == (400, [path])
    assert platform.data("GET", "/ledgers/total") == {"amount": 0.0}


@pytest.mark.parametrize(
    ("key", "later", "paid"),
    [
        (LedgerKey.MONTH, timedelta(), 20.0),
        (LedgerKey.MONTH, timedelta(days=3), 20.0),
        (LedgerKey.MONTH, timedelta(days=30), 40.0),
        (LedgerKey.START, timedelta(), 20.0),
        (LedgerKey.START, timedelta(seconds=1), 40.0),
    ],
)
def test_a_source_is_paid_once_in_each_period(
    platform: Platform, key: LedgerKey, later: timedelta, paid: float
) -> None:
    platform.cluster.switches.ledger_key = key
    platform.data("PUT", "/ledgers/credit", credit())
    platform.clock.sleep(later.total_seconds())
    status, envelope = platform.ask("PUT", f"/accounts/{platform.account}/ledgers/credit", credit())
    assert platform.data("GET", "/ledgers/total") == {"amount": paid}
    assert (status, envelope["message"] if status == 409 else "") == (
        (409, "datastore_conflict") if paid == 20.0 else (201, "")
    )


@pytest.mark.parametrize("key", LedgerKey)
def test_a_period_that_is_given_makes_a_credit_once_for_ever(platform: Platform, key: LedgerKey) -> None:
    platform.cluster.switches.ledger_key = key
    sent = credit(period={"start": gregorian(platform.clock.now())})
    platform.data("PUT", "/ledgers/credit", sent)
    platform.clock.sleep(40 * 86_400)
    assert platform.ask("PUT", f"/accounts/{platform.account}/ledgers/credit", sent)[0] == 409
    other = platform.cluster.add_account("Other", "other.voice.example")
    assert platform.ask("PUT", f"/accounts/{other}/ledgers/credit", sent)[0] == 201


def test_a_listing_without_dates_shows_31_days_and_with_dates_no_more(platform: Platform) -> None:
    platform.data("PUT", "/ledgers/credit", credit())
    begun = gregorian(platform.clock.now())
    platform.clock.sleep(32 * 86_400)
    assert platform.data("GET", "/ledgers/adjustments") == []
    days = f"created_from={begun}&created_to={begun + 86_400}"
    assert len(platform.data("GET", "/ledgers/adjustments", query=days)) == 1
    path = f"/accounts/{platform.account}/ledgers/adjustments"
    assert platform.ask("GET", path, query=f"created_from={begun}")[0] == 400


# service plans


def test_plans_are_assigned_and_taken_back(platform: Platform) -> None:
    first, second = [plan["id"] for plan in platform.data("GET", "/services/available")]
    assert set(platform.data("POST", "/services", {"add": [first]})) == {first}
    platform.data("POST", "/services", {"add": [second], "delete": [first]})
    assert set(platform.data("GET", "/services")["plans"]) == {second}


def test_an_unknown_plan_changes_nothing_and_is_not_told(platform: Platform) -> None:
    assert platform.data("POST", "/services", {"add": ["f" * 32], "delete": ["e" * 32]}) == {}


@pytest.mark.parametrize(("costs", "status"), [(True, 402), (False, 200)])
def test_a_new_plan_may_cost(platform: Platform, *, costs: bool, status: int) -> None:
    platform.cluster.switches.plans_cost_money = costs
    plan = next(iter(platform.cluster.catalogue.plans))
    path = f"/accounts/{platform.account}/services"
    assert platform.ask("POST", path, {"add": [plan]})[0] == status
    assert (plan in platform.data("GET", "/services")["plans"]) is not costs
