"""Every switch of the sandbox in both positions, by what a client sees of it."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.faults import Fault, Harm
from realmkit.sandbox.store import gregorian
from realmkit.sandbox.switches import LedgerKey, Shown, Switches
from tests.unit.platforms import NEW, OLD, Platform, device

CREDIT = {
    "amount": 20,
    "source": {"service": "adjustments", "id": "first"},
    "usage": {"type": "credit", "quantity": 0, "unit": "USD"},
}

Probe = Callable[[Platform], Any]


def rejected_update_saves(platform: Platform) -> tuple[int, str]:
    platform.cluster.add_account("Other", "other.voice.example")
    status, _ = platform.ask("PATCH", f"/accounts/{platform.account}", {"realm": "other.voice.example"})
    return status, platform.cluster.document(platform.account)["realm"]


def pinned_registers_at_new(platform: Platform) -> int:
    platform.phone(realm=NEW)
    return platform.register("user_1", NEW).status


def rings_with_two_rows(platform: Platform) -> bool:
    phone = platform.phone()
    platform.register("user_1", OLD)
    platform.pin(phone, NEW)
    platform.register("user_1", NEW)
    return platform.cluster.rings(phone)


def listed_realms(platform: Platform) -> list[str]:
    phone = platform.phone()
    platform.register("user_1", OLD, call_id="one")
    platform.clock.sleep(1)
    platform.pin(phone, NEW)
    platform.register("user_1", NEW, call_id="two")
    return platform.realms_listed()


def rows_of_a_page(platform: Platform) -> int:
    for number in range(8):
        platform.phone(f"user_{number}")
    return len(platform.data("GET", "/devices"))


def two_days_of_calls(platform: Platform) -> int:
    until = gregorian(platform.clock.now())
    days = f"created_from={until - 2 * 86_400}&created_to={until}"
    return platform.ask("GET", f"/accounts/{platform.account}/cdrs", query=days)[0]


def sent_by_flush(platform: Platform) -> list[str]:
    platform.phone()
    platform.register("user_1", OLD)
    platform.data("DELETE", "/registrations/user_1")
    return [event for _, event in platform.sent]


def made_realm(platform: Platform) -> str:
    return str(platform.ask("PUT", "/accounts", {"name": "No realm"})[1]["data"]["realm"]).partition(".")[2]


def address_of_a_fax_box(platform: Platform) -> str:
    box = platform.cluster.add_fax_box(platform.account, {"name": "Fax"})
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}/faxboxes/{box}")
    facts = envelope["data"] | envelope.get("metadata", {})
    return str(facts.get("smtp_email_address") or facts.get("custom_smtp_address")).partition(".")[2]


def saving_the_first_phone(platform: Platform) -> int:
    phone = platform.phone()
    if "the first" in platform.cluster.switches.refused_devices:
        platform.cluster.switches.refused_devices.add(phone)
    return platform.ask("POST", f"/accounts/{platform.account}/devices/{phone}", device())[0]


def sent_by(method: str, path: str, body: dict[str, Any]) -> Probe:
    """How many check-syncs reach a phone by a request about it."""

    def probe(platform: Platform) -> tuple[int, int]:
        phone = platform.phone()
        platform.register("user_1", OLD)
        status, _ = platform.ask(method, f"/accounts/{platform.account}/devices/{phone}{path}", body)
        return status, len(platform.sent)

    return probe


def where_enabled_is(platform: Platform) -> list[str]:
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    return [where for where in ("data", "metadata") if "enabled" in envelope.get(where, {})]


def read_only_in_rows(platform: Platform) -> bool:
    platform.phone()
    return "_read_only" in platform.data("GET", "/devices")[0]


def status_rows(platform: Platform) -> list[bool]:
    platform.phone()
    platform.phone("user_2")
    platform.register("user_1", OLD)
    return [row["registered"] for row in platform.data("GET", "/devices/status")]


def metadata_of_nothing(platform: Platform) -> bool:
    return "metadata" in platform.ask("GET", f"/accounts/{platform.account}/limits")[1]


def keys_of_parents(platform: Platform) -> list[str]:
    return sorted(platform.data("GET", "/parents")[0])


def paging_the_search(platform: Platform) -> list[str]:
    """By which key the next page is named, and the names of both pages."""
    platform.cluster.add_account("Acme West", "west.voice.example")
    query = "t=account&q=name&v=acme&page_size=1"
    _, first = platform.ask("GET", "/search", query=query)
    [key] = {"bookmark", "next_start_key"} & set(first)
    more = f"{query}&{'bookmark' if key == 'bookmark' else 'start_key'}={first[key]}"
    _, second = platform.ask("GET", "/search", query=more)
    return [key, *(row["name"] for row in first["data"] + second["data"])]


def status_beside_rows(platform: Platform) -> list[object]:
    platform.phone()
    platform.register("user_1", OLD)
    rows = platform.data("GET", "/devices", query="with_status=true") + platform.data("GET", "/devices")
    return [row.get("registered") for row in rows]


def senders(platform: Platform) -> int:
    return platform.ask("GET", f"/accounts/{platform.account}/whitelabel/emails")[0]


def deleting_oneself(platform: Platform) -> int:
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        answer = client.put("api_auth", json={"data": {"api_key": platform.cluster.api_key(platform.account)}})
        client.headers["X-Auth-Token"] = answer.json()["auth_token"]
        return client.delete(f"accounts/{platform.account}").status_code


def key_shown(platform: Platform) -> bool:
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    return "api_key" in envelope["data"] | envelope.get("metadata", {})


def asking_101_times(platform: Platform) -> set[int]:
    return {platform.ask("GET", f"/accounts/{platform.account}")[0] for _ in range(101)}


def more_trunks(platform: Platform) -> int:
    return platform.ask("POST", f"/accounts/{platform.account}/limits", {"calls": 1})[0]


def one_more_plan(platform: Platform) -> int:
    plans = list(platform.cluster.catalogue.plans)
    return platform.ask("POST", f"/accounts/{platform.account}/services", {"add": plans})[0]


def creating_an_account(platform: Platform) -> tuple[str, list[str]]:
    """What a client that waits for 30 seconds gets, and what is there."""
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/", timeout=30) as client:
        platform.data("GET", "")
        client.headers["X-Auth-Token"] = platform.token
        try:
            said = str(client.put("accounts", json={"data": {"name": "Beta"}}).status_code)
        except httpx2.ReadTimeout:
            said = "timed out"
    _, envelope = platform.ask("GET", f"/accounts/{platform.reseller}/children")
    return said, [row["name"] for row in envelope["data"]]


def credit_a_day_later(platform: Platform) -> list[int]:
    path = f"/accounts/{platform.account}/ledgers/credit"
    first = platform.ask("PUT", path, CREDIT)[0]
    platform.clock.sleep(86_400)
    return [first, platform.ask("PUT", path, CREDIT)[0]]


def apps_beside_the_denied(platform: Platform) -> int:
    denied = [app["id"] for app in platform.data("GET", "/apps_store")][:3]
    platform.data("POST", "/apps_store/blacklist", {"blacklist": denied})
    return len(platform.data("GET", "/apps_store"))


def a_number_as_text(platform: Platform) -> tuple[int, object]:
    status, _ = platform.ask("POST", f"/accounts/{platform.account}/limits", {"calls": "7"})
    return status, platform.data("GET", "/limits").get("calls")


def two_places(platform: Platform) -> list[str]:
    entry = {"mapping": ["{{domain}} {{domain}}"], "name": "x"}
    platform.cluster.catalogue.template = {"TXT": {"{{domain}}": entry}}
    found = platform.data("GET", "/whitelabel/domains", query="domain=x.example")
    return list(found["TXT"]["x.example"]["mapping"])


def uploading_ten_octets(platform: Platform) -> int:
    platform.data("PUT", "/whitelabel", {"domain": "voice.example"})
    headers = {"X-Auth-Token": platform.token, "Content-Type": "image/png"}
    path = f"/v2/accounts/{platform.account}/whitelabel/logo"
    return platform.cluster.handle("POST", path, "", headers, b"x" * 10)[0]


QUIRKS: dict[str, list[tuple[object, Probe, object]]] = {
    "rejected_update_saves": [
        (True, rejected_update_saves, (400, "other.voice.example")),
        (False, rejected_update_saves, (400, OLD)),
    ],
    "allow_aggregates": [(True, pinned_registers_at_new, 200), (False, pinned_registers_at_new, 401)],
    "use_aggregate": [(True, pinned_registers_at_new, 200), (False, pinned_registers_at_new, 401)],
    "dial_by_endpoint": [(True, rings_with_two_rows, False), (False, rings_with_two_rows, True)],
    "merged_listing_shows": [(Shown.NEWEST, listed_realms, [NEW]), (Shown.OLDEST, listed_realms, [OLD])],
    "page_size": [(50, rows_of_a_page, 8), (5, rows_of_a_page, 5)],
    "maximum_range": [(31, two_days_of_calls, 200), (1, two_days_of_calls, 400)],
    "check_sync_event": [("check-sync", sent_by_flush, ["check-sync"]), ("resync", sent_by_flush, ["resync"])],
    "account_realm_suffix": [("a.example", made_realm, "a.example"), ("b.example", made_realm, "b.example")],
    "default_smtp_domain": [
        ("a.example", address_of_a_fax_box, "a.example"),
        ("b.example", address_of_a_fax_box, "b.example"),
    ],
    "refused_devices": [({"the first"}, saving_the_first_phone, 400), (set(), saving_the_first_phone, 200)],
    "sync_sends": [(True, sent_by("POST", "/sync", {}), (202, 1)), (False, sent_by("POST", "/sync", {}), (202, 0))],
    "saves_always_sync": [
        (True, sent_by("POST", "", device()), (200, 1)),
        (False, sent_by("POST", "", device()), (200, 0)),
        # new credentials are flushed with a check-sync; the save's own then finds nobody
        (False, sent_by("POST", "", device(password="secret-2")), (200, 1)),
    ],
    "patch_syncs": [
        (True, sent_by("PATCH", "", {"name": "Desk"}), (200, 1)),
        (False, sent_by("PATCH", "", {"name": "Desk"}), (200, 0)),
    ],
    "facts_in_metadata": [(True, where_enabled_is, ["metadata"]), (False, where_enabled_is, ["data"])],
    "envelope_metadata": [(True, metadata_of_nothing, True), (False, metadata_of_nothing, False)],
    "parents_with_realm": [
        (True, keys_of_parents, ["flags", "id", "name", "realm"]),
        (False, keys_of_parents, ["id", "name"]),
    ],
    "search_by_bookmark": [
        (True, paging_the_search, ["bookmark", "Acme", "Acme West"]),
        (False, paging_the_search, ["next_start_key", "Acme", "Acme West"]),
    ],
    "status_in_rows": [(True, status_beside_rows, [True, None]), (False, status_beside_rows, [None, None])],
    "rows_read_only": [(True, read_only_in_rows, True), (False, read_only_in_rows, False)],
    "status_lists_all": [(True, status_rows, [True, False]), (False, status_rows, [True])],
    "senders": [(True, senders, 200), (False, senders, 404)],
    "own_account_deletable": [(True, deleting_oneself, 200), (False, deleting_oneself, 403)],
    "api_key_shown": [(True, key_shown, True), (False, key_shown, False)],
    "buckets": [(True, asking_101_times, {200, 429}), (False, asking_101_times, {200})],
    "limits_cost_money": [(True, more_trunks, 402), (False, more_trunks, 200)],
    "plans_cost_money": [(True, one_more_plan, 402), (False, one_more_plan, 200)],
    "account_creation_seconds": [
        (31.0, creating_an_account, ("timed out", ["Acme", "Beta"])),
        (29.0, creating_an_account, ("201", ["Acme", "Beta"])),
    ],
    "account_creation_fails": [
        (True, creating_an_account, ("500", ["Acme"])),
        (False, creating_an_account, ("201", ["Acme", "Beta"])),
    ],
    "ledger_key": [
        (LedgerKey.MONTH, credit_a_day_later, [201, 409]),
        (LedgerKey.START, credit_a_day_later, [201, 201]),
    ],
    "blacklisted_apps_listed": [(True, apps_beside_the_denied, 8), (False, apps_beside_the_denied, 5)],
    "strict_schemas": [(True, a_number_as_text, (400, None)), (False, a_number_as_text, (200, 7))],
    "substitutes_all": [
        (True, two_places, ["x.example x.example"]),
        (False, two_places, ["x.example {{domain}}"]),
    ],
    "max_upload_size": [(10, uploading_ten_octets, 200), (9, uploading_ten_octets, 400)],
}

# `patch_syncs` shows only where a save sends anything by itself.
BESIDE: dict[str, dict[str, object]] = {"patch_syncs": {"saves_always_sync": True}}


def test_every_switch_is_here_in_two_positions() -> None:
    assert set(QUIRKS) == {field.name for field in dataclasses.fields(Switches)}
    assert all(len({repr(position) for position, _, _ in tried}) > 1 for tried in QUIRKS.values())


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize(
    ("switch", "position", "probe", "seen"),
    [(switch, *one) for switch, tried in QUIRKS.items() for one in tried],
    ids=[f"{switch} {one[0]}" for switch, tried in QUIRKS.items() for one in tried],
)
def test_a_switch_decides_what_a_client_sees_whatever_the_generation(
    switch: str, position: object, probe: Probe, seen: object, generation: Generation
) -> None:
    platform = Platform(generation)
    platform.unheld()  # `strict_schemas` is one of them
    for name, value in {**BESIDE.get(switch, {}), switch: position}.items():
        setattr(platform.cluster.switches, name, value)
    assert probe(platform) == seen


GENERATIONS: dict[str, tuple[object, object]] = {
    "rejected_update_saves": (True, False),
    "sync_sends": (False, True),
    "saves_always_sync": (True, False),
    "facts_in_metadata": (False, True),
    "envelope_metadata": (False, True),
    "parents_with_realm": (False, True),
    "search_by_bookmark": (False, True),
    "status_in_rows": (False, True),
    "rows_read_only": (False, True),
    "status_lists_all": (False, True),
    "senders": (False, True),
    "own_account_deletable": (True, False),
    "api_key_shown": (False, True),
}


def test_the_generations_differ_in_these_switches_and_in_no_others() -> None:
    older, newer = (dataclasses.asdict(Switches.of(one)) for one in (Generation.OLDER, Generation.NEWER))
    assert {name: (older[name], newer[name]) for name in older if older[name] != newer[name]} == GENERATIONS


@pytest.mark.parametrize("generation", Generation)
def test_every_answer_of_2026_has_metadata(generation: Generation) -> None:
    platform = Platform(generation)
    for path in ("", "/devices", "/limits", "/users", "/ledgers/total"):
        _, envelope = platform.ask("GET", f"/accounts/{platform.account}{path}")
        assert ("metadata" in envelope) is (generation is Generation.NEWER)


# what is set elsewhere than in the switches


@pytest.mark.parametrize(("sticky", "status"), [(True, 200), (False, 401)])
def test_a_sticky_registrar_lets_a_phone_in_again_whatever_kazoo_says_by_now(*, sticky: bool, status: int) -> None:
    platform = Platform()
    platform.registrar.sticky = sticky
    platform.phone()
    platform.register("user_1", OLD)
    platform.data("PATCH", "", {"realm": NEW})
    assert platform.register("user_1", OLD, password=None).status == status


@pytest.mark.parametrize("path", ["/users", "/callflows", "/ledgers/adjustments", "/services/available"])
@pytest.mark.parametrize(("harm", "whole"), [(Harm.TRUNCATE, False), (None, True)])
def test_every_chunked_listing_can_be_cut_in_the_middle_of_its_json(
    path: str, harm: Harm | None, *, whole: bool
) -> None:
    platform = Platform()
    platform.data("PUT", "/users", {"first_name": "Ada", "last_name": "Byron"})
    if harm is not None:
        platform.cluster.faults.add(Fault(harm, "GET", f"*{path}"))
    headers = {"X-Auth-Token": platform.token}
    status, _, content = platform.cluster.handle("GET", f"/v2/accounts/{platform.account}{path}", "", headers, b"")
    assert status == 200
    assert content.rstrip().endswith(b"}") is whole


@pytest.mark.parametrize("facts", [True, False])
def test_read_only_facts_may_be_sent_back_wherever_they_came_from(*, facts: bool) -> None:
    platform = Platform()
    platform.cluster.switches.facts_in_metadata = facts
    before = platform.cluster.document(platform.account)
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    sent = envelope["data"] | envelope.get("metadata", {}) | {"_read_only": {}}
    platform.data("POST", "", sent)
    after = platform.cluster.document(platform.account)
    assert {key: value for key, value in after.items() if key in before} == before
    assert not set(after) & {"api_key", "billing_mode", "created", "is_reseller", "reseller_id", "_read_only"}


def test_a_slow_clock_is_the_clusters_own() -> None:
    platform = Platform()
    platform.cluster.switches.account_creation_seconds = 60.0
    begun = platform.clock.now()
    assert platform.ask("PUT", "/accounts", {"name": "Beta"})[0] == 201
    assert platform.clock.now() - begun == timedelta(seconds=60)
    assert platform.ask("GET", f"/accounts/{platform.account}")[0] == 200
    assert platform.clock.now() == begun + timedelta(seconds=60)
    assert begun == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
