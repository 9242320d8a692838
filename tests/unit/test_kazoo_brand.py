"""Putting a brand on the sandbox's platform, in both generations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from realmkit.errors import ConflictError, InputError, ProviderError, RejectedError
from realmkit.kazoo.brand import CONTENT_TYPES, Branding, Kind, merged
from realmkit.kazoo.errors import InvalidError, NotFoundError, NotKeptError
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.faults import Fault, Harm
from tests.unit.kazooscript import ACME, Script, crossbar, fail, ok
from tests.unit.platforms import Platform
from tests.unit.test_kazoo_setup import Desk

DOMAIN = "acme.example"
BRAND = {
    "company_name": "Acme",
    "domain": DOMAIN,
    "realm_suffix": "s.acme.example",
    "nav": {"help": "https://h.example"},
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
NEWER_ONLY = pytest.mark.parametrize("platform", [Generation.NEWER], indirect=True, ids=["2026"])


@pytest.fixture(params=Generation, ids=lambda generation: generation.value)
def platform(request: pytest.FixtureRequest) -> Platform:
    return Platform(request.param)


@pytest.fixture
def desk(platform: Platform) -> Iterator[Desk]:
    made = Desk(platform)
    with made.crossbar:
        yield made


@pytest.fixture
def brand(desk: Desk) -> Branding:
    return Branding(desk.crossbar)


# ---- the document


def test_a_brand_is_made_once_and_found_by_everybody(desk: Desk, brand: Branding) -> None:
    assert brand.document(desk.account) is None
    assert brand.public(DOMAIN) is None
    made = brand.save(desk.account, BRAND)
    assert (made.domain, made.company, made.realm_suffix) == (DOMAIN, "Acme", "s.acme.example")
    assert brand.save(desk.account, BRAND) == made
    assert desk.wire.changes == [f"PUT {desk.account}/whitelabel"]
    shown = brand.public(DOMAIN.upper())
    assert shown is not None
    assert shown["company_name"] == "Acme"


def test_the_public_brand_is_asked_for_as_a_browser_does(desk: Desk, brand: Branding) -> None:
    brand.save(desk.account, BRAND)
    before = len(desk.wire.requests)
    brand.public(DOMAIN)
    (probe,) = desk.wire.requests[before:]
    assert probe.url.path == f"/v2/whitelabel/{DOMAIN}"
    assert "X-Auth-Token" not in probe.headers


def test_a_change_keeps_what_nobody_spoke_of(desk: Desk, brand: Branding) -> None:
    brand.save(desk.account, {**BRAND, "carrier": {"choices": ["useReseller"]}, "nav": {"help": "https://h.example"}})
    changed = brand.save(desk.account, {"nav": {"learn_more": "https://l.example"}, "company_name": None})
    assert changed.data["nav"] == {"help": "https://h.example", "learn_more": "https://l.example"}
    assert changed.data["carrier"]["choices"] == ("useReseller",)
    assert "company_name" not in changed.data
    assert changed.domain == DOMAIN


def test_a_domain_of_another_account_is_refused_in_the_platforms_words(desk: Desk, brand: Branding) -> None:
    other = desk.platform.cluster.add_account("Other", "other.voice.example")
    brand.save(other, BRAND)
    with pytest.raises(InvalidError, match=r"domain: .*already in use \(unique\)"):
        brand.save(desk.account, {**BRAND, "domain": "ACME.example"})
    assert brand.document(desk.account) is None
    brand.save(desk.account, {"domain": "fresh.example"})
    with pytest.raises(InvalidError, match="already in use"):
        brand.save(desk.account, {"domain": DOMAIN})
    assert brand.public("fresh.example") is not None


def test_the_owner_of_a_domain_is_found_where_he_can_be_seen(desk: Desk, brand: Branding) -> None:
    assert brand.owner_of(DOMAIN) is None
    brand.save(desk.account, BRAND)
    brand.save(desk.platform.reseller, {"domain": "reseller.example"})
    owners = [brand.owner_of(domain) for domain in (DOMAIN.upper(), "reseller.example", "nobody.example")]
    assert [owner.id if owner else None for owner in owners] == [desk.account, desk.platform.reseller, None]
    assert brand.owner_of(DOMAIN, within=1) is None
    assert brand.public(DOMAIN) is not None


def test_a_stranger_sees_that_a_domain_is_taken_and_not_by_whom(desk: Desk, brand: Branding) -> None:
    brand.save(desk.platform.reseller, BRAND)
    stranger = Branding(Desk(desk.platform, login_of=desk.account).crossbar)
    assert stranger.owner_of(DOMAIN) is None
    assert stranger.public(DOMAIN) is not None


def test_a_brand_that_somebody_changed_meanwhile_is_not_overwritten() -> None:
    here = {"domain": DOMAIN, "id": "whitelabel"}
    script = Script(
        ok(here, revision="1-a"), fail(409, "datastore_conflict"), ok({**here, "x": 1}, revision="2-b"),
    )  # fmt: skip
    with pytest.raises(ConflictError, match="somebody else changed it"):
        Branding(crossbar(script)).save(ACME, {"company_name": "Acme"})


def test_objects_are_merged_key_by_key() -> None:
    old = {"a": 1, "b": {"c": 2, "d": 3}, "l": [1, 2], "g": 1}
    new = {"b": {"c": None, "e": {"f": 4}}, "l": [3], "g": None, "h": {"i": None}}
    assert merged(old, new) == {"a": 1, "b": {"d": 3, "e": {"f": 4}}, "l": [3], "h": {}}
    assert old["b"] == {"c": 2, "d": 3}


# ---- files


@pytest.mark.parametrize(
    ("kind", "content_type", "octets"),
    [("logo", "image/png", PNG), ("icon", "image/x-icon", b"\0\0\1\0"), ("welcome", "text/html", b"<p>Hello</p>\r\n")],
)
def test_a_file_is_uploaded_once_and_comes_back_as_it_was(
    desk: Desk, brand: Branding, kind: Kind, content_type: str, octets: bytes
) -> None:
    brand.save(desk.account, BRAND)
    assert brand.download(desk.account, kind) is None
    assert brand.public_file(DOMAIN, kind) is None
    brand.upload(desk.account, kind, content_type, octets)
    brand.upload(desk.account, kind, content_type, octets)
    assert brand.download(desk.account, kind) == brand.public_file(DOMAIN, kind) == octets
    uploads = [request for request in desk.wire.requests if request.method == "POST"]
    assert [(one.headers["Content-Type"], one.content) for one in uploads] == [(content_type, octets)]
    brand.upload(desk.account, kind, content_type, octets[:-1])
    assert brand.download(desk.account, kind) == octets[:-1]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("logo", "image/x-icon"), ("logo", "text/html"), ("logo", "image/svg+xml"), ("logo", "application/base64"),
     ("icon", "application/pdf"), ("welcome", "image/png"), ("welcome", "text/plain"), ("logo", "")],
)  # fmt: skip
def test_a_type_that_the_platform_does_not_take_is_not_sent(
    desk: Desk, brand: Branding, kind: Kind, content_type: str
) -> None:
    with pytest.raises(InputError, match=f"can't be a {kind}"):
        brand.upload(desk.account, kind, content_type, PNG)
    with pytest.raises(InputError, match="empty"):
        brand.upload(desk.account, kind, min(CONTENT_TYPES[kind]), b"")
    assert desk.wire.requests == []


def test_a_logo_without_a_brand_has_no_place(desk: Desk, brand: Branding) -> None:
    with pytest.raises(NotFoundError):
        brand.upload(desk.account, "logo", "image/png", PNG)


def test_a_file_that_is_too_large_is_refused_in_the_platforms_words(desk: Desk, brand: Branding) -> None:
    desk.platform.cluster.switches.max_upload_size = 1000
    brand.save(desk.account, BRAND)
    with pytest.raises(RejectedError, match="1000 bytes"):
        brand.upload(desk.account, "logo", "image/png", PNG)
    assert brand.download(desk.account, "logo") is None


@pytest.mark.parametrize("harm", [Harm.CUT_BEFORE, Harm.CUT_MIDWAY])
def test_a_file_that_was_cut_off_is_asked_for_again(desk: Desk, brand: Branding, harm: Harm) -> None:
    brand.save(desk.account, BRAND)
    brand.upload(desk.account, "logo", "image/png", PNG)
    desk.platform.cluster.faults.add(Fault(harm, "GET", "*/logo"))
    assert brand.download(desk.account, "logo") == PNG


def test_an_upload_that_was_kept_as_something_else_is_not_believed() -> None:
    other = httpx2.Response(200, content=PNG[:-1])
    script = Script(fail(404, "bad_identifier"), ok({}), other, other)
    with pytest.raises(NotKeptError):
        Branding(crossbar(script)).upload(ACME, "logo", "image/png", PNG)


# ---- the domain


def test_the_platform_says_which_records_it_wants(desk: Desk, brand: Branding) -> None:
    wanted = brand.required(desk.account, DOMAIN)
    assert wanted["CNAME"][f"portal.{DOMAIN}"]["mapping"] == ["ui.yourcompany.net"]
    assert set(wanted) >= {"A", "CNAME", "MX", "NAPTR", "SRV", "TXT"}
    wanted["A"].clear()
    assert brand.required(desk.account, DOMAIN)["A"]


def test_the_platform_says_what_it_finds(desk: Desk, brand: Branding) -> None:
    asked = []

    def lookup(name: str, kind: str) -> list[str]:
        asked.append((name, kind))
        return ["ui.yourcompany.net."] if kind == "CNAME" and name.startswith("portal.") else []

    desk.platform.cluster.catalogue.lookup = lookup
    found = brand.test(desk.account, DOMAIN)
    portal = found["CNAME"][f"portal.{DOMAIN}"]
    assert portal["expected"] == ["ui.yourcompany.net"]
    assert [text.rstrip(".") for text in portal["actual"]] == ["ui.yourcompany.net"]
    assert found["CNAME"][f"api.{DOMAIN}"]["actual"] == []
    assert asked


@pytest.mark.parametrize("harm", [Harm.CUT_BEFORE, Harm.CUT_AFTER, Harm.TRUNCATE, Harm.STATUS_BEFORE])
def test_the_platforms_test_changes_nothing_and_is_repeated(desk: Desk, brand: Branding, harm: Harm) -> None:
    desk.platform.cluster.faults.add(Fault(harm, "POST", "*/whitelabel/domains"))
    assert "CNAME" in brand.test(desk.account, DOMAIN)


@pytest.mark.parametrize("data", [None, [], "text"])
@pytest.mark.parametrize("ask", [Branding.required, Branding.test])
def test_records_of_another_shape_are_none(data: Any, ask: Callable[[Branding, str, str], dict[str, Any]]) -> None:
    with pytest.raises(ProviderError, match="not Crossbar's"):
        ask(Branding(crossbar(Script(ok(data)))), ACME, DOMAIN)


@pytest.mark.parametrize("data", [None, [], "text"])
@pytest.mark.parametrize("ask", [Branding.public, Branding.document])
def test_a_brand_of_another_shape_is_no_brand(data: Any, ask: Callable[[Branding, str], object]) -> None:
    with pytest.raises(ProviderError, match="not Crossbar's"):
        ask(Branding(crossbar(Script(ok(data)))), DOMAIN)


# ---- senders


@pytest.mark.parametrize("platform", [Generation.OLDER], indirect=True, ids=["2024"])
def test_clusters_of_2024_have_no_senders(desk: Desk, brand: Branding) -> None:
    brand.save(desk.account, BRAND)
    with pytest.raises(NotFoundError):
        brand.emails(desk.account)
    with pytest.raises(NotFoundError):
        brand.add_email(desk.account, "hello@acme.example", "k1")


def test_a_cluster_that_shows_its_brand_for_the_senders_has_none() -> None:
    with pytest.raises(NotFoundError, match="no sender addresses"):
        Branding(crossbar(Script(ok({"id": "whitelabel", "domain": DOMAIN})))).emails(ACME)


@NEWER_ONLY
def test_a_sender_is_added_once_and_verified(desk: Desk, brand: Branding) -> None:
    brand.save(desk.account, BRAND)
    added = brand.add_email(desk.account, "hello@acme.example", "k1")
    assert (added.email, added.selector, added.verified) == ("hello@acme.example", "k1", False)
    assert brand.add_email(desk.account, "Hello@ACME.example", "k2").id == added.id
    code = desk.platform.cluster.catalogue.codes[added.id]
    assert brand.verify_email(desk.account, added.id, code).verified
    assert brand.verify_email(desk.account, added.id, "0000").verified  # nothing is left to prove
    assert [one.verified for one in brand.emails(desk.account)] == [True]
    assert [change.rpartition("/")[2] for change in desk.wire.changes] == ["whitelabel", "emails", "verify"]


@NEWER_ONLY
def test_a_wrong_code_proves_nothing(desk: Desk, brand: Branding) -> None:
    added = brand.add_email(desk.account, "hello@acme.example", "k1")
    wrong = f"{(int(desk.platform.cluster.catalogue.codes[added.id]) + 1) % 10_000:04d}"
    with pytest.raises(RejectedError):
        brand.verify_email(desk.account, added.id, wrong)
    assert not brand.email(desk.account, added.id).verified


@NEWER_ONLY
def test_a_signing_key_goes_up_and_never_comes_down(desk: Desk, brand: Branding) -> None:
    added = brand.add_email(desk.account, "hello@acme.example", "k1")
    pem = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    brand.upload_key(desk.account, added.id, pem)
    (stored,) = desk.platform.cluster.store.all("sender", desk.account)
    assert stored.private["key"] == pem
    assert "PRIVATE" not in repr(brand.email(desk.account, added.id).to_json())
