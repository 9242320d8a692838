"""Accounts, users, callflows and applications as the sandbox's Crossbar keeps them."""

import hashlib
from typing import Any

import httpx2
import pytest

from realmkit.errors import InputError
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from tests.unit.platforms import NEW, OLD, Platform

BOTH = pytest.mark.parametrize("generation", Generation)
USER = {
    "first_name": "Ada",
    "last_name": "Byron",
    "username": "Ada@Acme",
    "password": "Secret-123",
    "priv_level": "admin",
}
NO_MATCH = {"numbers": ["no_match"], "flow": {"module": "offnet", "data": {}, "children": {}}}


@pytest.fixture
def platform() -> Platform:
    return Platform()


def refused(answer: tuple[int, dict[str, Any]]) -> dict[str, list[str]]:
    """The rules that a 400 names, by path."""
    assert (answer[0], answer[1]["message"]) == (400, "validation error"), answer
    return {path: list(rules) for path, rules in answer[1]["data"].items()}


# accounts


def test_a_whole_account_is_stored_as_it_was_sent(platform: Platform) -> None:
    sent = {
        "name": "Beta Ltd",
        "realm": "beta.voice.example",
        "timezone": "Europe/Berlin",
        "language": "en-US",
        "call_restriction": {"international": {"action": "deny"}, "did_us": {"action": "inherit"}},
        "contact": {"billing": {"country": "DE"}, "technical": {"email": "it@beta.example"}},
        "contract": {"end_date": 63_900_000_000},
        "ui_restrictions": {"myaccount": {"billing": {"show_tab": False}}},
        "topup": {"threshold": 10.5},
    }
    _, envelope = platform.ask("PUT", f"/accounts/{platform.reseller}", sent)
    stored = platform.cluster.document(envelope["data"]["id"])
    assert {key: stored[key] for key in sent} == sent


def test_a_new_account_is_enabled_like_its_parent(platform: Platform) -> None:
    platform.data("PATCH", "", {"enabled": False})
    _, envelope = platform.ask("PUT", f"/accounts/{platform.account}", {"name": "Branch"})
    assert envelope["data"]["enabled"] is False


@pytest.mark.parametrize(
    ("sent", "rules"),
    [
        ({"name": "x" * 129}, {"name": ["maxLength"]}),
        ({"name": "Beta", "timezone": "UTC"}, {"timezone": ["minLength"]}),
        ({"name": "Beta", "realm": "a" * 254}, {"realm": ["maxLength"]}),
        ({"name": "Beta", "realm": "be/ta.example"}, {"realm": ["pattern"]}),
        (
            {"name": "Beta", "call_restriction": {"did_us": {"action": "allow"}}},
            {"call_restriction.did_us.action": ["enum"]},
        ),
        ({"name": "Beta", "topup": {"threshold": "much"}}, {"topup.threshold": ["type"]}),
        ({"name": "Beta", "preflow": {"never": "x"}}, {"preflow.never": ["additionalProperties"]}),
        ({"name": "ACME!", "realm": OLD.upper()}, {"realm": ["unique"], "name": ["unique"]}),
        ({"realm": "beta.voice.example"}, {"name": ["required"]}),
    ],
)
def test_a_malformed_account_is_refused_by_path_and_rule_and_leaves_nothing(
    platform: Platform, sent: dict[str, Any], rules: dict[str, list[str]]
) -> None:
    path = f"/accounts/{platform.reseller}"
    assert refused(platform.ask("PUT", path, sent)) == rules
    assert len(platform.ask("GET", f"{path}/descendants")[1]["data"]) == 1


def test_names_of_no_letters_collide(platform: Platform) -> None:
    assert platform.ask("PUT", "/accounts", {"name": "東京"})[0] == 201
    assert refused(platform.ask("PUT", "/accounts", {"name": "大阪"})) == {"name": ["unique"]}


def test_a_realm_loses_its_spaces_but_not_its_case(platform: Platform) -> None:
    platform.unheld()
    _, envelope = platform.ask("PUT", "/accounts", {"name": "Beta", "realm": "Be ta_.Voice.example"})
    assert envelope["data"]["realm"] == "Beta_.Voice.example"


def test_an_old_realm_and_name_are_free_again_after_a_change(platform: Platform) -> None:
    platform.data("PATCH", "", {"realm": NEW, "name": "Acme West"})
    assert platform.ask("PUT", "/accounts", {"name": "Acme", "realm": OLD})[0] == 201
    assert refused(platform.ask("PUT", "/accounts", {"name": "acmewest", "realm": NEW})) == {
        "name": ["unique"],
        "realm": ["unique"],
    }


def test_the_tree_around_an_account(platform: Platform) -> None:
    platform.cluster.add_account("Zeta", "zeta.voice.example")
    child = platform.cluster.add_account("Child", "child.voice.example", parent=platform.account)

    def names(path: str) -> list[str]:
        return [row["name"] for row in platform.ask("GET", f"/accounts/{path}")[1]["data"]]

    assert names(f"{platform.account}/siblings") == ["Acme", "Zeta"]
    assert names(f"{child}/parents") == names(f"{child}/tree") == ["Reseller", "Acme"]
    assert names(f"{platform.reseller}/siblings") == names(f"{platform.reseller}/parents") == []


@BOTH
def test_rows_of_parents_carry_the_realm_in_2026_only(generation: Generation) -> None:
    platform = Platform(generation)
    [row] = platform.data("GET", "/parents")
    assert row.get("realm") == ("reseller.voice.example" if generation is Generation.NEWER else None)


def test_thousands_of_descendants_come_whole_whatever_the_page_size(platform: Platform) -> None:
    for number in range(1200):
        platform.cluster.add_account(f"Customer {number:04}", f"c{number}.voice.example")
    seen, query, pages = [], "page_size=500", 0
    while True:
        _, envelope = platform.ask("GET", f"/accounts/{platform.reseller}/descendants", query=query)
        seen += [row["id"] for row in envelope["data"]]
        pages += 1
        if "next_start_key" not in envelope:
            break
        query = f"page_size=500&start_key={envelope['next_start_key']}"
    assert (pages, len(seen), len(set(seen))) == (3, 1201, 1201)


def test_what_is_searched_for_exactly_comes_before_all_that_begins_with_it(platform: Platform) -> None:
    for number in range(60):
        platform.cluster.add_account(f"Beta {number:02}", f"beta.voice.example.n{number:02}")
    exact = platform.cluster.add_account("Beta", "beta.voice.example")
    _, envelope = platform.ask("GET", "/search/multi", query="t=account&by_name=be.ta&by_realm=BETA.voice.example")
    assert {by: (len(rows), rows[0]["id"]) for by, rows in envelope["data"].items()} == {
        "name": (50, exact),
        "realm": (50, exact),
    }


def test_an_account_with_others_below_it_is_not_deleted(platform: Platform) -> None:
    child = platform.cluster.add_account("Child", "child.voice.example", parent=platform.account)
    phone = platform.cluster.add_device(child, {"name": "Phone", "sip": {"username": "user_1", "password": "secret-1"}})
    status, envelope = platform.ask("DELETE", f"/accounts/{platform.account}")
    assert (status, envelope["message"]) == (500, "account_has_descendants")
    assert platform.ask("DELETE", f"/accounts/{child}")[0] == 200
    assert platform.ask("GET", f"/accounts/{child}")[0] == 404
    with pytest.raises(InputError):
        platform.cluster.document(phone)
    assert platform.ask("DELETE", f"/accounts/{platform.account}")[0] == 200
    assert platform.ask("PUT", "/accounts", {"name": "Acme", "realm": OLD})[0] == 201


def test_an_account_below_a_promoted_one_is_that_resellers(platform: Platform) -> None:
    branch = platform.cluster.add_account("Branch", "branch.voice.example", parent=platform.account)
    platform.cluster.promote(platform.account)
    _, envelope = platform.ask("GET", f"/accounts/{branch}")
    assert envelope["data"]["reseller_id"] == platform.account
    assert platform.ask("POST", f"/accounts/{branch}/limits", {"twoway_trunks": 1})[0] == 403
    assert platform.ask("POST", f"/accounts/{platform.account}/limits", {"twoway_trunks": 1})[0] == 200


# users


def test_a_user_is_made_read_changed_listed_and_deleted(platform: Platform) -> None:
    made = platform.data("PUT", "/users", USER | {"x_notes": "kept"})
    assert (made["username"], made["priv_level"], made["x_notes"]) == ("ada@acme", "admin", "kept")
    changed = platform.data("POST", f"/users/{made['id']}", made | {"email": "ada@acme.example"})
    assert platform.data("GET", f"/users/{made['id']}") == changed == made | {"email": "ada@acme.example"}
    [row] = platform.data("GET", "/users", query="filter_username=ada@acme")
    assert (row["id"], row["email"], "enabled" in row) == (made["id"], "ada@acme.example", False)
    platform.data("DELETE", f"/users/{made['id']}")
    assert platform.data("GET", "/users") == []


def test_no_answer_holds_a_password(platform: Platform) -> None:
    made = platform.data("PUT", "/users", USER)
    answers = [made, platform.data("GET", f"/users/{made['id']}"), platform.data("GET", "/users")]
    assert "Secret-123" not in repr(answers)
    assert "password" not in repr(answers[0].keys() - {"require_password_update"})


def test_a_user_name_is_one_users_in_its_account_whatever_its_case(platform: Platform) -> None:
    platform.data("PUT", "/users", USER)
    path = f"/accounts/{platform.account}/users"
    assert refused(platform.ask("PUT", path, USER | {"username": "ADA@acme"})) == {"username": ["unique"]}
    other = platform.cluster.add_account("Other", "other.voice.example")
    assert platform.ask("PUT", f"/accounts/{other}/users", USER)[0] == 201


@pytest.mark.parametrize(
    ("more", "rules"),
    [
        ({"first_name": ""}, {"first_name": ["minLength"]}),
        ({"email": "nowhere"}, {"email": ["format"]}),
        ({"priv_level": "root"}, {"priv_level": ["enum"]}),
        ({"username": "a b"}, {"username": ["pattern"]}),
        ({"username": None}, {"username": ["type"]}),
    ],
)
def test_a_malformed_user_is_refused(platform: Platform, more: dict[str, Any], rules: dict[str, list[str]]) -> None:
    assert refused(platform.ask("PUT", f"/accounts/{platform.account}/users", USER | more)) == rules
    assert platform.data("GET", "/users") == []


def test_a_new_user_name_needs_the_password_again(platform: Platform) -> None:
    made = platform.data("PUT", "/users", USER)
    path = f"/accounts/{platform.account}/users/{made['id']}"
    assert refused(platform.ask("PATCH", path, {"username": "countess"})) == {"password": ["required"]}
    assert platform.ask("PATCH", path, {"username": "countess", "password": "Secret-124"})[0] == 200


def logged_in(platform: Platform, method: str, name: str, **where: str) -> int:
    proof = hashlib.new("md5" if method == "md5" else "sha1", f"{name}:Secret-123".encode()).hexdigest()
    platform.clock.sleep(10)  # a login costs 35 tokens
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        answer = client.put("user_auth", json={"data": {"credentials": proof, "method": method, **where}})
        return answer.status_code


@pytest.mark.parametrize("method", ["md5", "sha"])
def test_f10_a_login_by_realm_ends_with_the_realm_and_one_by_name_does_not(platform: Platform, method: str) -> None:
    platform.data("PUT", "/users", USER)
    assert logged_in(platform, method, "ada@acme", account_realm=OLD) == 201
    assert logged_in(platform, method, "somebody", account_realm=OLD) == 401
    platform.data("PATCH", "", {"realm": NEW})
    assert logged_in(platform, method, "ada@acme", account_realm=OLD) == 401
    assert logged_in(platform, method, "ada@acme", account_name="A.c.m.e") == 201


# callflows


def test_the_carrier_is_found_by_its_number(platform: Platform) -> None:
    platform.data("PUT", "/callflows", {"name": "Main", "numbers": ["+12125550100", "100"], "flow": NO_MATCH["flow"]})
    made = platform.data("PUT", "/callflows", NO_MATCH)
    [row] = platform.data("GET", "/callflows", query="filter_numbers=no_match")
    assert (row["id"], row["modules"], "flow" in row) == (made["id"], ["offnet"], False)
    assert platform.data("GET", "/callflows", query="filter_numbers=100")[0]["name"] == "Main"
    assert platform.data("GET", "/callflows", query="filter_numbers=10") == []


def test_a_callflow_comes_with_metadata_that_is_not_stored(platform: Platform) -> None:
    made = platform.data("PUT", "/callflows", NO_MATCH)
    assert made["metadata"] == {}
    own = NO_MATCH | {"flow": {"module": "resources", "data": {"hunt_account_id": platform.account}, "children": {}}}
    platform.data("POST", f"/callflows/{made['id']}", made | own)
    assert platform.cluster.document(made["id"]) == {**own, "patterns": [], "id": made["id"]}


def test_a_number_leads_into_one_callflow(platform: Platform) -> None:
    made = platform.data("PUT", "/callflows", NO_MATCH)
    path = f"/accounts/{platform.account}/callflows"
    assert refused(platform.ask("PUT", path, NO_MATCH)) == {"numbers": ["unique"]}
    assert platform.ask("POST", f"{path}/{made['id']}", NO_MATCH)[0] == 200
    platform.data("DELETE", f"/callflows/{made['id']}")
    assert platform.ask("PUT", path, NO_MATCH)[0] == 201


@pytest.mark.parametrize(
    ("sent", "rules"),
    [
        ({"flow": NO_MATCH["flow"]}, {"numbers": ["required"]}),
        ({"numbers": "no_match"}, {"numbers": ["type"]}),
        ({"numbers": ["1", "1"]}, {"numbers": ["uniqueItems"]}),
        ({"numbers": ["1"], "flow": {"module": "offnet"}}, {"flow.data": ["required"]}),
    ],
)
def test_a_malformed_callflow_is_refused(platform: Platform, sent: dict[str, Any], rules: dict[str, list[str]]) -> None:
    assert refused(platform.ask("PUT", f"/accounts/{platform.account}/callflows", sent)) == rules


# applications and classifiers


def test_denied_applications_are_set_whole(platform: Platform) -> None:
    first, second, *_ = [app["id"] for app in platform.data("GET", "/apps_store")]
    assert platform.data("GET", "/apps_store/blacklist") == {"blacklist": []}
    platform.data("POST", "/apps_store/blacklist", {"blacklist": [first]})
    assert platform.data("POST", "/apps_store/blacklist", {"blacklist": [second]}) == {"blacklist": [second]}
    assert platform.data("GET", "/apps_store/blacklist") == {"blacklist": [second]}


def test_only_the_reseller_denies_applications(platform: Platform) -> None:
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        key = platform.cluster.api_key(platform.account)
        token = client.put("api_auth", json={"data": {"api_key": key}}).json()["auth_token"]
        client.headers["X-Auth-Token"] = token
        path = f"accounts/{platform.account}/apps_store"
        assert client.get(path).status_code == 200
        assert client.get(f"{path}/blacklist").status_code == 403
        assert client.post(f"{path}/blacklist", json={"data": {"blacklist": []}}).status_code == 403


def test_the_seven_classifiers(platform: Platform) -> None:
    found = platform.data("GET", "/phone_numbers/classifiers")
    expected = ["caribbean", "did_us", "emergency", "international", "toll_us", "tollfree_us", "unknown"]
    assert sorted(found) == expected
    assert found["did_us"]["friendly_name"] == "US DID"
    assert platform.ask("GET", "/phone_numbers/classifiers")[1]["data"] == found
