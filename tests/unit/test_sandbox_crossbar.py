"""Crossbar's protocol as the sandbox speaks it: envelope, errors, tokens, paging, faults, over HTTP and in process."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from realmkit.clock import SystemClock
from realmkit.errors import InputError
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer, in_process
from realmkit.sandbox.faults import Fault, Harm
from realmkit.sandbox.registrar import EmbeddedRegistrar
from realmkit.sandbox.store import gregorian
from tests.unit.platforms import NEW, OLD, Platform, check_schema, device

BOTH = pytest.mark.parametrize("generation", Generation)


@pytest.fixture
def platform() -> Platform:
    return Platform()


def log_in(client: httpx2.Client, key: str) -> str:
    answer = client.put("api_auth", json={"data": {"api_key": key}})
    assert answer.status_code == 201
    return str(answer.json()["auth_token"])


class Over:
    """A platform and a logged-in httpx2 client of it."""

    def __init__(self, platform: Platform, client: httpx2.Client) -> None:
        self.platform = platform
        self.client = client
        client.headers["X-Auth-Token"] = log_in(client, platform.cluster.api_key(platform.reseller))
        self.account = f"accounts/{platform.account}"


@pytest.fixture(params=["HTTP", "in process"])
def over(request: pytest.FixtureRequest, platform: Platform) -> Iterator[Over]:
    """The same tests over a socket and without."""
    if request.param == "HTTP":
        with (
            CrossbarServer(platform.cluster) as server,
            httpx2.Client(base_url=server.url + "/", timeout=5) as client,
        ):
            yield Over(platform, client)
    else:
        with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
            yield Over(platform, client)


# the front


def test_a_client_reads_and_writes(over: Over) -> None:
    phone = over.platform.phone()
    document = over.client.get(f"{over.account}/devices/{phone}").json()
    document["data"]["sip"]["realm"] = NEW
    saved = over.client.post(f"{over.account}/devices/{phone}", json={"data": document["data"]})
    assert saved.status_code == 200
    assert saved.json()["data"]["sip"]["realm"] == NEW
    assert saved.headers["ETag"] == f'"{saved.json()["revision"]}"'
    assert saved.json()["revision"] != document["revision"]


def test_a_connection_is_used_again(over: Over) -> None:
    for _ in range(30):
        assert over.client.get(over.account).status_code == 200


def test_percent_encoded_paths_and_queries_arrive(over: Over) -> None:
    over.platform.cluster.add_device(over.platform.account, device("us er"))
    over.platform.register("us er", OLD)
    assert over.client.delete(f"{over.account}/registrations/us%20er").status_code == 200
    assert over.platform.registrar.contacts() == []
    found = over.client.get("search", params={"t": "account", "q": "name", "v": "ac me"}).json()
    assert [row["name"] for row in found["data"]] == ["Acme"]


@pytest.mark.parametrize("harm", [Harm.CUT_BEFORE, Harm.CUT_AFTER])
def test_a_cut_connection_before_or_after_the_effect(over: Over, harm: Harm) -> None:
    over.platform.cluster.faults.add(Fault(harm, "PATCH", "/accounts/*"))
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        over.client.patch(over.account, json={"data": {"realm": NEW}})
    saved = over.client.get(over.account).json()["data"]["realm"]
    assert saved == (NEW if harm is Harm.CUT_AFTER else OLD)


@pytest.mark.parametrize("harm", [Harm.STATUS_BEFORE, Harm.STATUS_AFTER])
def test_an_error_before_or_after_the_effect(over: Over, harm: Harm) -> None:
    over.platform.cluster.faults.add(Fault(harm, "PATCH", "/accounts/*", status=500))
    answer = over.client.patch(over.account, json={"data": {"realm": NEW}})
    assert (answer.status_code, answer.json()["error"], answer.json()["status"]) == (500, "500", "fatal")
    saved = over.client.get(over.account).json()["data"]["realm"]
    assert saved == (NEW if harm is Harm.STATUS_AFTER else OLD)


def test_a_listing_cut_midway(over: Over) -> None:
    over.platform.phone()
    over.platform.cluster.faults.add(Fault(Harm.CUT_MIDWAY, "GET", "*/devices"))
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        over.client.get(f"{over.account}/devices")
    assert over.client.get(f"{over.account}/devices").status_code == 200


def test_a_chunked_listing_that_fails_ends_in_the_middle_of_its_json(over: Over) -> None:
    over.platform.phone()
    over.platform.cluster.faults.add(Fault(Harm.TRUNCATE, "GET", "*/devices"))
    answer = over.client.get(f"{over.account}/devices")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|Invalid"):
        answer.json()


def test_faults_count_skip_and_clear(over: Over) -> None:
    faults = over.platform.cluster.faults
    faults.add(Fault(Harm.STATUS_BEFORE, "GET", "/accounts/*", times=2, skip=1))
    statuses = [over.client.get(over.account).status_code for _ in range(5)]
    assert statuses == [200, 503, 503, 200, 200]
    faults.add(Fault(Harm.STATUS_BEFORE, times=None, status=429))
    assert [over.client.get(over.account).status_code for _ in range(3)] == [429, 429, 429]
    faults.clear()
    assert over.client.get(over.account).status_code == 200


def test_slow_by_a_virtual_clock_times_out_after_the_effect(platform: Platform) -> None:
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/", timeout=30) as client:
        over = Over(platform, client)
        platform.cluster.faults.add(Fault(Harm.SLOW, "PATCH", seconds=31))
        with pytest.raises(httpx2.ReadTimeout):
            client.patch(over.account, json={"data": {"realm": NEW}})
        platform.cluster.faults.add(Fault(Harm.SLOW, "GET", seconds=29))
        assert client.get(over.account).json()["data"]["realm"] == NEW


def test_slow_over_http_holds_nobody_else_up() -> None:
    clock = SystemClock()
    cluster = Cluster(clock, EmbeddedRegistrar(clock, lambda _contact, _event: None))
    reseller = cluster.add_account("Reseller", "reseller.example")
    with CrossbarServer(cluster) as server, httpx2.Client(base_url=server.url + "/", timeout=0.3) as client:
        client.headers["X-Auth-Token"] = log_in(client, cluster.api_key(reseller))
        cluster.faults.add(Fault(Harm.SLOW, "GET", seconds=1))
        with pytest.raises(httpx2.ReadTimeout):
            client.get(f"accounts/{reseller}")
        assert client.get(f"accounts/{reseller}").status_code == 200


def test_many_clients_at_once(platform: Platform) -> None:
    phones = [platform.phone(f"user_{number}") for number in range(20)]
    failed: list[object] = []

    def pin(some: list[str], url: str, token: str) -> None:
        with httpx2.Client(base_url=url + "/", headers={"X-Auth-Token": token}, timeout=10) as client:
            for phone in some:
                path = f"accounts/{platform.account}/devices/{phone}"
                answer = client.patch(path, json={"data": {"sip": {"realm": NEW}}})
                if answer.status_code != 200:
                    failed.append(answer.json())

    with CrossbarServer(platform.cluster) as server, httpx2.Client(base_url=server.url + "/") as client:
        token = log_in(client, platform.cluster.api_key(platform.reseller))
        threads = [threading.Thread(target=pin, args=(phones[first::4], server.url, token)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert {platform.cluster.dial(phone).partition("@")[2] for phone in phones} == {NEW}


def test_the_server_listens_on_loopback_only_and_says_when_a_port_is_taken(platform: Platform) -> None:
    with pytest.raises(InputError, match="loopback only"):
        CrossbarServer(platform.cluster, "0.0.0.0")
    with CrossbarServer(platform.cluster) as server:
        port = int(server.url.rpartition(":")[2].removesuffix("/v2"))
        with pytest.raises(InputError, match=f"port {port}"):
            CrossbarServer(platform.cluster, port=port)


def test_the_server_ends_with_a_client_still_connected(platform: Platform) -> None:
    with httpx2.Client() as client:
        with CrossbarServer(platform.cluster) as server:
            client.put(server.url + "/api_auth", json={})
        with pytest.raises(httpx2.TransportError):
            client.put(server.url + "/api_auth", json={})


# logins and tokens


@BOTH
def test_a_login_costs_35_of_100_tokens_and_ten_come_back_each_second(generation: Generation) -> None:
    platform = Platform(generation)
    body = {"api_key": platform.cluster.api_key(platform.reseller)}
    check_schema("api_auth", body)
    seen = [platform.ask("PUT", "/api_auth", body) for _ in range(2)]  # the first logged in twice
    assert [envelope.get("tokens") for _, envelope in seen] == [
        {"consumed": 35, "remaining": 30},
        {"consumed": 0, "remaining": 30},
    ]
    assert (seen[1][0], seen[1][1]["error"], seen[1][1]["message"]) == (429, "429", "too_many_requests")
    platform.clock.sleep(0.5)
    status, envelope = platform.ask("PUT", "/api_auth", body)
    assert (status, envelope["data"]["account_id"]) == (201, platform.reseller)


def test_an_account_has_100_tokens_of_its_own(platform: Platform) -> None:
    path = f"/accounts/{platform.account}"
    statuses = [platform.ask("GET", path)[0] for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    assert platform.ask("GET", f"/accounts/{platform.reseller}")[0] == 200
    platform.clock.sleep(2)
    _, envelope = platform.ask("GET", path)
    assert envelope["tokens"] == {"consumed": 1, "remaining": 19}


def test_a_wrong_key_a_wrong_token_and_an_old_token_are_401(platform: Platform) -> None:
    cluster = platform.cluster
    with httpx2.Client(transport=in_process(cluster), base_url="http://sandbox/v2/") as client:
        assert client.put("api_auth", json={"data": {"api_key": "0" * 64}}).status_code == 401
        assert client.put("api_auth", json={"data": {"api_key": "short"}}).status_code == 400
        assert client.get(f"accounts/{platform.account}").status_code == 401
        platform.clock.sleep(10)  # three logins cost 105 tokens
        client.headers["X-Auth-Token"] = log_in(client, cluster.api_key(platform.reseller))
        platform.clock.sleep(3599)
        assert client.get(f"accounts/{platform.account}").status_code == 200
        platform.clock.sleep(1)
        answer = client.get(f"accounts/{platform.account}")
        assert (answer.status_code, answer.json()["message"]) == (401, "invalid_credentials")
        client.headers["X-Auth-Token"] = log_in(client, cluster.api_key(platform.reseller))
        cluster.sessions.end_all()
        assert client.get(f"accounts/{platform.account}").status_code == 401


def test_only_accounts_below_the_login_are_open_to_it(platform: Platform) -> None:
    other = platform.cluster.add_account("Other", "other.voice.example")
    child = platform.cluster.add_account("Child", "child.voice.example", parent=platform.account)
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        client.headers["X-Auth-Token"] = log_in(client, platform.cluster.api_key(platform.account))
        assert client.get(f"accounts/{platform.account}").status_code == 200
        assert client.get(f"accounts/{child}").status_code == 200
        for forbidden in (other, platform.reseller):
            answer = client.get(f"accounts/{forbidden}")
            assert (answer.status_code, answer.json()["error"]) == (403, "403")


# the envelope


@BOTH
def test_the_envelope(generation: Generation) -> None:
    platform = Platform(generation)
    status, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    assert status == 200
    assert envelope["status"] == "success"
    assert {"data", "revision", "auth_token", "tokens", "request_id", "node", "version", "timestamp"} <= set(envelope)
    assert envelope["timestamp"] == "2026-11-22T03:00:00"
    facts = {"enabled", "created", "billing_mode", "is_reseller", "reseller_id", "superduper_admin"}
    if generation is Generation.NEWER:
        assert facts <= set(envelope["metadata"])
        assert not facts & set(envelope["data"])
    else:
        assert facts <= set(envelope["data"])
        assert "metadata" not in envelope
    check_schema("accounts", envelope["data"])


def test_unknown_paths_ids_and_methods(platform: Platform) -> None:
    status, envelope = platform.ask("GET", f"/accounts/{platform.account}/devices/none")
    assert (status, envelope["error"], envelope["message"]) == (404, "404", "bad_identifier")
    assert envelope["data"]["cause"] == "none"
    assert platform.ask("GET", "/accounts/none")[0] == 404
    assert platform.ask("GET", "/nonsense")[0] == 404
    assert platform.ask("DELETE", f"/accounts/{platform.account}/channels")[0] == 405
    assert platform.ask("DELETE", f"/accounts/{platform.account}/registrations/nobody")[0] == 404
    other = platform.cluster.add_account("Other", "other.voice.example")
    theirs = platform.cluster.add_device(other, device())
    assert platform.ask("GET", f"/accounts/{platform.account}/devices/{theirs}")[0] == 404


def test_bad_json_and_data_that_is_no_object(platform: Platform) -> None:
    with httpx2.Client(transport=in_process(platform.cluster), base_url="http://sandbox/v2/") as client:
        over = Over(platform, client)
        answer = client.patch(over.account, content=b'{"data": ')
        assert (answer.status_code, answer.json()["message"]) == (400, "parse_error")
        answer = client.patch(over.account, json={"data": [1]})
        assert (answer.status_code, answer.json()["message"]) == (400, "validation error")


def test_validation_errors_are_shown_by_dotted_path_and_rule(platform: Platform) -> None:
    status, envelope = platform.ask(
        "PUT", f"/accounts/{platform.account}/devices", {"sip": {"password": "abc", "realm": "x", "method": "guess"}}
    )
    assert (status, envelope["message"]) == (400, "validation error")
    assert {path: list(rules) for path, rules in envelope["data"].items()} == {
        "name": ["required"],
        "sip.password": ["minLength"],
        "sip.realm": ["minLength"],
        "sip.method": ["enum"],
    }


def test_patch_merges_and_null_deletes(platform: Platform) -> None:
    phone = platform.phone()
    patched = platform.data("PATCH", f"/devices/{phone}", {"provision": {"id": "x", "endpoint_family": None}})
    assert patched["provision"] == {"endpoint_brand": "yealink", "endpoint_model": "t54w", "id": "x"}


# listings


def test_listings_come_in_pages_of_50(platform: Platform) -> None:
    phones = {platform.phone(f"user_{number:03}") for number in range(120)}
    path, query, pages = f"/accounts/{platform.account}/devices", "", []
    while True:
        _, envelope = platform.ask("GET", path, query=query)
        pages.append(envelope["data"])
        assert envelope["page_size"] == len(envelope["data"])
        if "next_start_key" not in envelope:
            break
        query = f"start_key={envelope['next_start_key']}"
    assert [len(page) for page in pages] == [50, 50, 20]
    assert {row["id"] for page in pages for row in page} == phones
    assert len(platform.data("GET", "/devices", query="paginate=false")) == 120
    assert len(platform.data("GET", "/devices", query="page_size=7")) == 7
    assert platform.ask("GET", path, query="start_key=nonsense")[0] == 400
    assert platform.ask("GET", path, query="start_key=WzEsMl0=")[0] == 400  # [1,2], of another listing
    assert platform.ask("GET", path, query="page_size=many")[0] == 400


@BOTH
def test_device_rows_are_not_documents_and_filters_look_into_documents(generation: Generation) -> None:
    platform = Platform(generation)
    phone = platform.phone()
    platform.phone("user_2", realm=NEW)
    [row] = platform.data("GET", "/devices", query="filter_sip.username=user_1&filter_enabled=true")
    assert row["id"] == phone
    assert "sip" not in row
    assert ("_read_only" in row) == (generation is Generation.NEWER)


def test_children_and_descendants(platform: Platform) -> None:
    child = platform.cluster.add_account("Child", "child.voice.example", parent=platform.account)
    root = f"/accounts/{platform.reseller}"
    assert [row["id"] for row in platform.ask("GET", f"{root}/children")[1]["data"]] == [platform.account]
    rows = platform.ask("GET", f"{root}/descendants")[1]["data"]
    assert [(row["id"], row["realm"], row["descendants_count"]) for row in rows] == [
        (platform.account, OLD, 1),
        (child, "child.voice.example", 0),
    ]
    assert rows[1]["tree"] == [platform.reseller, platform.account]


def test_search_gives_candidates_by_letters_and_digits_from_the_beginning(platform: Platform) -> None:
    platform.cluster.add_account("Acme West", "acme-west.voice.example")
    found = {
        query: [row["name"] for row in platform.ask("GET", "/search", query=f"t=account&{query}")[1]["data"]]
        for query in ("q=name&v=A.C-m_e", "q=realm&v=OLD.voice.example", "q=realm&v=oldv", "q=name&v=cme")
    }
    assert found == {
        "q=name&v=A.C-m_e": ["Acme", "Acme West"],
        "q=realm&v=OLD.voice.example": ["Acme"],
        "q=realm&v=oldv": ["Acme"],
        "q=name&v=cme": [],
    }
    assert platform.ask("GET", "/search", query="t=account&q=colour&v=x")[0] == 400
    _, multi = platform.ask("GET", "/search/multi", query="t=account&by_name=acme&by_realm=acmewest")
    assert {by: len(rows) for by, rows in multi["data"].items()} == {"name": 2, "realm": 1}


def test_accounts_are_created_below_and_refused_whole(platform: Platform) -> None:
    path = f"/accounts/{platform.account}"
    status, envelope = platform.ask("PUT", path, {"name": "Branch", "realm": "branch.voice.example"})
    assert status == 201
    branch = envelope["data"]["id"]
    assert platform.ask("PUT", path, {"name": "Second", "realm": "BRANCH.voice.example"})[0] == 400
    assert [row["id"] for row in platform.ask("GET", f"{path}/children")[1]["data"]] == [branch]
    _, envelope = platform.ask("PUT", "/accounts", {"name": "No realm"})
    assert envelope["data"]["realm"].endswith(".sip.sandbox.example")


def test_read_only_keys_of_an_account_may_be_sent_back(platform: Platform) -> None:
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}")
    envelope["data"]["x_notes"] = "kept"
    saved = platform.data("POST", "", envelope["data"])
    assert saved == envelope["data"]


# what goes on


def test_a_registration_as_crossbar_shows_it(platform: Platform) -> None:
    phone = platform.cluster.add_device(platform.account, device() | {"owner_id": "a" * 32})
    platform.register("user_1", OLD, user_agent="Yealink SIP-T54W 96.86.0.100", call_id="abc@10.0.0.5")
    [row] = platform.data("GET", "/registrations")
    assert row["authorizing_id"] == phone
    assert row["owner_id"] == "a" * 32
    assert (row["contact"], row["contact_ip"], row["contact_port"]) == ("sip:user_1@10.0.0.5:5060", "10.0.0.5", 5060)
    assert (row["expires"], row["event_timestamp"]) == (300, gregorian(platform.clock.now()))
    assert gregorian(datetime(1970, 1, 1, tzinfo=UTC)) == 62167219200
    assert row["user_agent"] == "Yealink SIP-T54W 96.86.0.100"
    assert "account_id" not in row


def test_channels_of_an_account_and_of_a_device(platform: Platform) -> None:
    phone, other = platform.phone(), platform.phone("user_2")
    uuid = platform.cluster.put_channel(phone, answered=False, destination="2600")
    platform.cluster.put_channel(other)
    [row] = platform.data("GET", f"/devices/{phone}/channels")
    assert (row["uuid"], row["answered"], row["authorizing_id"], row["destination"]) == (uuid, False, phone, "2600")
    assert len(platform.data("GET", "/channels")) == 2
    platform.cluster.end_channel(uuid)
    assert [row["authorizing_id"] for row in platform.data("GET", "/channels")] == [other]
    with pytest.raises(InputError, match="no call"):
        platform.cluster.end_channel(uuid)


def test_cdrs_come_newest_first_within_31_days(platform: Platform) -> None:
    now = platform.clock.now()
    for day in range(60):
        platform.cluster.add_cdr(
            platform.account, now - timedelta(days=day, seconds=90), 60, caller="200", callee="201"
        )
    until, since = gregorian(now), gregorian(now - timedelta(days=31))
    rows = platform.data("GET", "/cdrs", query=f"created_from={since}&created_to={until}&page_size=100")
    assert len(rows) == 31
    assert rows[0]["timestamp"] == until - 30
    assert rows[0]["duration_seconds"] == 60
    added = {"id", "authorizing_id", "direction", "unix_timestamp"}  # by cb_cdrs, to the document of the schema
    check_schema("cdrs", {key: value for key, value in rows[0].items() if key not in added})
    path = f"/accounts/{platform.account}/cdrs"
    status, envelope = platform.ask("GET", path, query=f"created_from={since - 1}&created_to={until}")
    assert (status, "date_range" in envelope["data"]["created_to"]) == (400, True)


def test_connectivity_is_listed_by_ids_alone(platform: Platform) -> None:
    trunk = platform.cluster.add_connectivity(platform.account, {"name": "PBX", "servers": []})
    assert platform.data("GET", "/connectivity") == [trunk]


@BOTH
def test_a_fax_box_shows_its_own_address_by_generation(generation: Generation) -> None:
    platform = Platform(generation)
    box = platform.cluster.add_fax_box(platform.account, {"name": "Fax"})
    _, envelope = platform.ask("GET", f"/accounts/{platform.account}/faxboxes/{box}")
    where, key = (
        ("data", "smtp_email_address") if generation is Generation.OLDER else ("metadata", "custom_smtp_address")
    )
    address = envelope[where][key]
    assert address.endswith(".fax.sandbox.example")
    assert platform.cluster.fax_domain_accepted(address) == box


# Kazoo's own schemas


@BOTH
def test_what_is_accepted_and_returned_fits_kazoos_own_schemas(generation: Generation) -> None:
    platform = Platform(generation)
    sent: dict[str, Any] = device() | {"mac_address": "001565aabbcc", "owner_id": "0" * 32}
    check_schema("devices", sent)
    made = platform.data("PUT", "/devices", sent)
    platform.pin(made["id"], NEW)
    check_schema("devices", platform.data("GET", f"/devices/{made['id']}"))
    notify = {"action": "notify", "data": {"event": "check-sync"}}
    check_schema("devices_notify", notify)
    platform.data("PUT", f"/devices/{made['id']}", notify)
    server = {"auth": {"auth_method": "password", "auth_user": "pbx", "auth_password": "trunk-secret"}}
    trunk = {"name": "PBX", "servers": [server]}
    check_schema("connectivity", trunk)
    check_schema("connectivity", platform.data("PUT", "/connectivity", trunk))
    box = {"name": "Fax", "custom_smtp_email_address": OLD}
    check_schema("faxbox", box)
    check_schema("faxbox", platform.data("PUT", "/faxboxes", box))
    check_schema("accounts", {"name": "Branch", "realm": "branch.voice.example", "timezone": "Europe/Berlin"})
    check_schema("accounts", platform.data("PATCH", "", {"realm": NEW}))


@pytest.mark.parametrize(
    ("schema", "path", "data"),
    [
        ("devices", "/devices", {"name": ""}),
        ("devices", "/devices", device(realm="a b.example")),
        ("devices", "/devices", device(username="u")),
        ("devices", "/devices", device(password="x" * 33)),
        ("faxbox", "/faxboxes", {}),
        ("connectivity", "/connectivity", {"servers": [{"name": "PBX"}]}),
        ("accounts", "", {"name": "Branch", "realm": "abc"}),
        ("accounts", "", {"name": "Branch", "realm": "branch/voice"}),
        ("accounts", "", {"realm": "branch.voice.example"}),
    ],
)
def test_what_kazoos_schemas_refuse_is_refused(
    platform: Platform, schema: str, path: str, data: dict[str, Any]
) -> None:
    assert platform.ask("PUT", f"/accounts/{platform.account}{path}", data)[0] == 400
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        check_schema(schema, data)
