"""The white label as the sandbox's Crossbar keeps it: document, uploads, required records and their test, senders."""

import base64
import json
from typing import Any

import httpx2
import pytest

from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import CrossbarServer
from tests.unit.platforms import Platform

DOMAIN = "voice.example"
PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def branded(platform: Platform) -> Platform:
    platform.data("PUT", "/whitelabel", {"domain": DOMAIN, "company_name": "Voice", "realm_suffix": "s.voice.example"})
    return platform


def send(
    platform: Platform, method: str, path: str, octets: bytes, kind: str = "", *, public: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """A request with a body that is no envelope, or of somebody who is not logged in."""
    if not platform.token:
        platform.data("GET", "")
    headers = {} if public else {"X-Auth-Token": platform.token}
    return platform.cluster.handle(method, f"/v2{path}", "", headers | ({"Content-Type": kind} if kind else {}), octets)


def upload(platform: Platform, what: str, octets: bytes, kind: str) -> tuple[int, dict[str, Any]]:
    status, _, content = send(platform, "POST", f"/accounts/{platform.account}/whitelabel/{what}", octets, kind)
    return status, json.loads(content)


# the document


def test_a_brand_is_made_once_and_keeps_what_no_schema_knows(branded: Platform) -> None:
    path = f"/accounts/{branded.account}/whitelabel"
    status, envelope = branded.ask("PUT", path, {"domain": DOMAIN})
    assert (status, envelope["message"]) == (409, "datastore_conflict")
    found = branded.data("GET", "/whitelabel")
    assert (found["id"], found["realm_suffix"], found["hide_powered"]) == ("whitelabel", "s.voice.example", False)
    saved = branded.data("POST", "/whitelabel", found | {"company_name": "Voice Ltd"})
    assert saved == found | {"company_name": "Voice Ltd"} == branded.data("GET", "/whitelabel")
    branded.data("DELETE", "/whitelabel")
    assert branded.ask("GET", path)[0] == branded.ask("POST", path, {"domain": DOMAIN})[0] == 404
    assert branded.ask("PUT", path, {"domain": DOMAIN})[0] == 201


def test_a_domain_is_one_accounts_whatever_its_case(branded: Platform) -> None:
    other = branded.cluster.add_account("Other", "other.voice.example")
    status, envelope = branded.ask("PUT", f"/accounts/{other}/whitelabel", {"domain": DOMAIN.upper()})
    assert (status, list(envelope["data"]["domain"])) == (400, ["unique"])
    assert branded.ask("GET", f"/accounts/{other}/whitelabel")[0] == 404
    assert branded.ask("PUT", f"/accounts/{other}/whitelabel", {"domain": "other.example"})[0] == 201
    assert branded.ask("PATCH", f"/accounts/{other}/whitelabel", {"domain": DOMAIN})[0] == 400


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"nav": {"help": []}}, "nav.help"),
        ({"port": {"support_email": "nobody"}}, "port.support_email"),
        ({"hide_credits": "perhaps"}, "hide_credits"),
    ],
)
def test_a_malformed_brand_is_refused(branded: Platform, more: dict[str, Any], path: str) -> None:
    status, envelope = branded.ask("PATCH", f"/accounts/{branded.account}/whitelabel", more)
    assert (status, list(envelope["data"])) == (400, [path])


def test_anybody_sees_a_brand_by_its_domain_and_only_sees_it(branded: Platform) -> None:
    for domain in (DOMAIN, DOMAIN.upper()):
        status, _, content = send(branded, "GET", f"/whitelabel/{domain}", b"", public=True)
        envelope = json.loads(content)
        assert (status, envelope["data"]["company_name"]) == (200, "Voice")
        assert "auth_token" not in envelope
    assert send(branded, "GET", "/whitelabel/other.example", b"", public=True)[0] == 404
    assert send(branded, "GET", f"/accounts/{branded.account}/whitelabel", b"", public=True)[0] == 401
    for method in ("POST", "PUT", "DELETE"):
        assert send(branded, method, f"/whitelabel/{DOMAIN}", b"{}", public=True)[0] == 405
        assert send(branded, method, f"/whitelabel/{DOMAIN}/logo", PNG, "image/png", public=True)[0] == 405


# uploads


def test_an_upload_comes_back_to_the_account_and_to_anybody(branded: Platform) -> None:
    before = branded.ask("GET", f"/accounts/{branded.account}/whitelabel")[1]["revision"]
    status, envelope = upload(branded, "logo", PNG, "image/png; charset=x")
    assert (status, envelope["data"]["domain"]) == (200, DOMAIN)
    assert envelope["revision"] != before
    own = send(branded, "GET", f"/accounts/{branded.account}/whitelabel/logo", b"")
    anybodys = send(branded, "GET", f"/whitelabel/{DOMAIN}/logo", b"", public=True)
    assert own == anybodys
    assert (own[0], own[1]["Content-Type"], own[2]) == (200, "image/png", PNG)
    assert send(branded, "GET", f"/whitelabel/{DOMAIN}/icon", b"", public=True)[0] == 404


def test_uploads_need_the_document_first(platform: Platform) -> None:
    assert upload(platform, "logo", PNG, "image/png")[0] == 404
    platform.data("PUT", "/whitelabel", {"domain": DOMAIN})
    assert upload(platform, "logo", PNG, "image/png")[0] == 200
    assert upload(platform, "banner", PNG, "image/png")[0] == 405


@pytest.mark.parametrize(
    ("what", "kind", "status"),
    [
        ("logo", "image/jpeg", 200),
        ("logo", "image/gif", 200),
        ("logo", "image/svg+xml", 415),
        ("logo", "image/x-icon", 415),
        ("icon", "image/x-icon", 200),
        ("icon", "image/vnd.microsoft.icon", 200),
        ("icon", "text/html", 415),
        ("welcome", "text/html", 200),
        ("welcome", "image/png", 415),
        ("welcome", "application/json", 415),
    ],
)
def test_each_upload_has_its_media_types(branded: Platform, what: str, kind: str, status: int) -> None:
    assert upload(branded, what, b"{}", kind)[0] == status


def test_base64_is_decoded_and_may_say_what_it_is(branded: Platform) -> None:
    data = base64.b64encode(PNG)
    upload(branded, "icon", b"data:image/png;base64," + data, "application/base64")
    sent = send(branded, "GET", f"/whitelabel/{DOMAIN}/icon", b"", public=True)
    assert (sent[1]["Content-Type"], sent[2]) == ("image/png", PNG)
    upload(branded, "icon", data, "application/x-base64")
    assert send(branded, "GET", f"/whitelabel/{DOMAIN}/icon", b"", public=True)[2] == PNG
    assert upload(branded, "icon", b"!!!", "application/base64")[0] == 400


def test_an_upload_is_neither_empty_nor_too_long(branded: Platform) -> None:
    assert list(upload(branded, "logo", b"", "image/png")[1]["data"]["file"]) == ["required"]
    branded.cluster.switches.max_upload_size = 10
    assert list(upload(branded, "logo", b"x" * 11, "image/png")[1]["data"]["file"]) == ["maxLength"]
    assert upload(branded, "logo", b"x" * 10, "image/png")[0] == 200


def test_uploads_and_downloads_go_over_http_as_they_are(branded: Platform) -> None:
    octets = bytes(range(256)) * 40
    branded.data("GET", "")
    with (
        CrossbarServer(branded.cluster) as server,
        httpx2.Client(base_url=server.url + "/", timeout=5) as client,
    ):
        path = f"accounts/{branded.account}/whitelabel/logo"
        headers = {"X-Auth-Token": branded.token, "Content-Type": "image/png"}
        assert client.post(path, content=octets, headers=headers).status_code == 200
        got = client.get(f"whitelabel/{DOMAIN}/logo")
        assert (got.headers["Content-Type"], got.content) == ("image/png", octets)


# required records


def test_the_required_records_are_those_of_the_brands_domain_or_of_one_asked_for(branded: Platform) -> None:
    own = branded.data("GET", "/whitelabel/domains")
    assert own["CNAME"][f"portal.{DOMAIN}"]["mapping"] == ["ui.yourcompany.net"]
    assert own["SRV"][f"_sip._udp.proxy-east.{DOMAIN}"]["mapping"][1] == f"15 15 7000 us-central.{DOMAIN}"
    other = branded.data("GET", "/whitelabel/domains", query="domain=other.example")
    assert "us-east.other.example" in other["A"]


def test_without_any_domain_the_required_records_are_refused(platform: Platform) -> None:
    for method in ("GET", "POST"):
        status, envelope = platform.ask(method, f"/accounts/{platform.account}/whitelabel/domains")
        assert (status, list(envelope["data"]["domain"])) == (400, ["required"])


def test_the_template_that_a_platform_ships_has_its_faults(branded: Platform) -> None:
    own = branded.data("GET", "/whitelabel/domains")
    assert {address for entry in own["A"].values() for address in entry["mapping"]} == {"127.0.0.1"}
    pointed = {entry["mapping"][0].rpartition(" ")[2] for entry in own["NAPTR"].values()}
    dangling = {f"_sip._udp.proxy-{side}.{DOMAIN}" for side in ("central", "west")}
    assert pointed - set(own["SRV"]) == dangling


def test_an_operators_own_template_is_used_and_only_he_saves_one(branded: Platform) -> None:
    branded.cluster.catalogue.template = {"CNAM": {"api.{{domain}}": {"mapping": ["api.x."], "name": "API"}}}
    assert branded.data("GET", "/whitelabel/domains") == {
        "CNAM": {f"api.{DOMAIN}": {"mapping": ["api.x."], "name": "API"}}
    }
    assert branded.ask("POST", "/whitelabel/domains", {"A": {}})[0] == 403
    assert "api.{{domain}}" in branded.ask("GET", "/whitelabel/domains")[1]["data"]["CNAM"]


@pytest.mark.parametrize(
    ("everywhere", "mapping"),
    [(False, "10 mx.voice.example mx2.{{domain}}"), (True, "10 mx.voice.example mx2.voice.example")],
)
def test_the_domain_is_put_into_the_first_place_only(branded: Platform, *, everywhere: bool, mapping: str) -> None:
    branded.cluster.switches.substitutes_all = everywhere
    entry = {"mapping": ["10 mx.{{domain}} mx2.{{domain}}"], "name": "Mail"}
    branded.cluster.catalogue.template = {"MX": {"{{domain}}": entry}}
    assert branded.data("GET", "/whitelabel/domains")["MX"] == {DOMAIN: {"mapping": [mapping], "name": "Mail"}}


def test_the_platforms_test_shows_what_is_there_in_its_own_words(branded: Platform) -> None:
    there = {
        "A": ["192.0.2.1"],
        "CNAME": ["ui.yourcompany.net."],
        "MX": ["5 mx.voice.example."],
        "SRV": ["10 10 7000 us-east.voice.example."],
        "NAPTR": ['10 100 "s" "sip+d2u" "" _sip._udp.proxy-east.voice.example.'],
        "TXT": ['"v=spf1 " "-all"'],
    }
    template = {kind: {"x .{{domain}}": {"mapping": ["expected."], "name": kind}} for kind in there}
    branded.cluster.catalogue.template = template
    asked: list[str] = []

    def lookup(name: str, kind: str) -> list[str]:
        asked.append(name)
        return there[kind]

    branded.cluster.catalogue.lookup = lookup
    tested = branded.data("POST", "/whitelabel/domains")
    assert {kind: hosts[f"x .{DOMAIN}"]["actual"] for kind, hosts in tested.items()} == {
        "A": ["192.0.2.1"],
        "CNAME": ["ui.yourcompany.net"],
        "MX": ["mx.voice.example"],
        "SRV": ["10 10 7000 us-east.voice.example"],
        "NAPTR": ['10 100 "S" "SIP+D2U" "" _sip._udp.proxy-east.voice.example'],
        "TXT": ["v=spf1 -all"],
    }
    assert tested["MX"][f"x .{DOMAIN}"] == {"expected": ["expected."], "actual": ["mx.voice.example"], "name": "MX"}
    assert set(asked) == {f"x.{DOMAIN}"}  # blanks are taken out of a name before it is asked for


def test_without_a_name_server_nothing_is_there(branded: Platform) -> None:
    tested = branded.data("POST", "/whitelabel/domains")
    assert [entry["actual"] for hosts in tested.values() for entry in hosts.values()] == [[]] * 9


# sender addresses


def test_a_sender_is_verified_with_the_code_that_was_mailed() -> None:
    platform = Platform(Generation.NEWER)
    path = f"/accounts/{platform.account}/whitelabel/emails"
    status, envelope = platform.ask("PUT", path, {"email": "no-reply@voice.example", "dkim_selector": "k1"})
    made = envelope["data"]
    assert (status, envelope["metadata"]) == (201, {"verified": False})
    assert platform.ask("PUT", path, {"email": "No-Reply@voice.example", "dkim_selector": "k2"})[0] == 400
    code = platform.cluster.catalogue.codes[made["id"]]
    assert code.isdecimal()
    assert len(code) == 4
    wrong = {"code": f"{(int(code) + 1) % 10_000:04}"}
    assert list(platform.ask("POST", f"{path}/{made['id']}/verify", wrong)[1]["data"]["code"]) == ["invalid"]
    assert platform.ask("GET", f"{path}/{made['id']}")[1]["metadata"] == {"verified": False}
    assert platform.ask("POST", f"{path}/{made['id']}/verify", {"code": code})[1]["metadata"] == {"verified": True}
    [row] = platform.data("GET", "/whitelabel/emails")
    assert (row["email"], row["dkim_selector"], row["_read_only"]) == (
        "no-reply@voice.example",
        "k1",
        {"verified": True},
    )
    platform.data("DELETE", f"/whitelabel/emails/{made['id']}")
    assert platform.data("GET", "/whitelabel/emails") == []


def test_a_private_key_is_taken_and_never_given_back() -> None:
    platform = Platform(Generation.NEWER)
    made = platform.data("PUT", "/whitelabel/emails", {"email": "a@voice.example", "dkim_selector": "k1"})
    path = f"/accounts/{platform.account}/whitelabel/emails/{made['id']}"
    pem = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    assert send(platform, "POST", path, pem, "application/x-pem-file")[0] == 200
    assert send(platform, "POST", path, b"nothing", "application/x-pem-file")[0] == 400
    saved = platform.data("POST", f"/whitelabel/emails/{made['id']}", made | {"dkim_selector": "k2"})
    assert saved == made | {"dkim_selector": "k2"}
    assert b"AAAA" not in send(platform, "GET", path, b"")[2]


@pytest.mark.parametrize("there", [True, False])
def test_an_older_cluster_takes_emails_for_a_domain_and_shows_the_brand(branded: Platform, *, there: bool) -> None:
    branded.cluster.switches.senders = there
    path = f"/accounts/{branded.account}/whitelabel"
    brand = branded.data("GET", "/whitelabel")
    assert branded.data("GET", "/whitelabel/emails") == ([] if there else brand)
    assert branded.data("GET", "/whitelabel/anything") == brand
    made = branded.ask("PUT", f"{path}/emails", {"email": "a@voice.example", "dkim_selector": "k1"})
    identity = made[1]["data"].get("id", "0" * 32)
    said = [
        made[0],
        branded.ask("GET", f"{path}/emails/{identity}")[0],
        branded.ask("POST", f"{path}/emails/{identity}", {"dkim_selector": "k2"})[0],
        branded.ask("POST", f"{path}/emails/{identity}/verify", {"code": "x"})[0],
        branded.ask("DELETE", f"{path}/emails/{identity}")[0],
    ]
    assert said == ([201, 200, 200, 400, 200] if there else [405, 404, 405, 404, 405])
