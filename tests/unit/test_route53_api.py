"""How Route 53 is asked: with whose keys, how fast, how often; and what becomes of answers that are none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.parsers
import botocore.session
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import Secret
from realmkit.errors import (
    AuthError,
    ConflictError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)
from realmkit_providers import route53_api
from realmkit_providers.route53 import Route53, Route53Settings
from realmkit_providers.route53_rows import Row, rows_of, take_plain_sets
from tests.lab.front import Answer, Front, Strike
from tests.standins.route53 import Route53StandIn
from tests.standins.route53_http import error_reply
from tests.standins.route53_zone import canonical_set
from tests.unit.route53_clouds import Movable, a, client, context, provider

APEX = names.absolute("z.example")
ROLE = "arn:aws:iam::{}:role/dns"
XMLNS = 'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"'


@pytest.fixture
def zone_id(cloud: Route53StandIn) -> str:
    return cloud.add_zone("z.example", [("a.z.example", "A", 300, ("192.0.2.1",))])


@pytest.fixture
def front(cloud: Route53StandIn, zone_id: str) -> Iterator[Front]:
    with Front(cloud.url) as there:
        yield there


def is_write(request: bytes) -> bool:
    return request.startswith(b"POST ") and b"/rrset/" in request


def is_listing(request: bytes) -> bool:
    return b"/rrset?" in request.partition(b"\r\n")[0]


def refusal(call: Any, *words: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    for word in words:
        assert word in f"{caught.value.message} {caught.value.hint}"
    return caught.value


# --- whose keys -------------------------------------------------------------------------------------------------


def test_temporary_keys_need_their_token(cloud: Route53StandIn, zone_id: str) -> None:
    key = cloud.key(token="a-session-token")
    assert provider(cloud, key).snapshot(APEX).token == zone_id
    error = refusal(lambda: provider(cloud, key, session_token=None).snapshot(APEX), "env:ID")
    assert isinstance(error, AuthError)


def test_a_wrong_secret_and_an_expired_key_are_told_apart(cloud: Route53StandIn, zone_id: str) -> None:
    key = cloud.key()
    forged = type(key)(key.id, "x" * 40, key.account, key.arn)
    assert isinstance(refusal(lambda: provider(cloud, forged).snapshot(APEX), "secret key", "env:ID"), AuthError)
    expired = cloud.key(expired=True)
    assert isinstance(refusal(lambda: provider(cloud, expired).snapshot(APEX), "renew"), AuthError)


@pytest.mark.parametrize(
    ("operation", "told"), [("ListResourceRecordSets", "read"), ("ChangeResourceRecordSets", "write")]
)
def test_what_the_policy_does_not_allow_is_named(
    cloud: Route53StandIn, zone_id: str, operation: str, told: str
) -> None:
    there = provider(cloud, cloud.key(denied=frozenset({operation})))
    call: Any = lambda: there.snapshot(APEX)  # noqa: E731 - one of two calls
    if told == "write":
        token = there.snapshot(APEX).token
        call = lambda: there.apply(APEX, [Change(None, a("b.z.example"))], token)  # noqa: E731
    assert isinstance(refusal(call, f"needs route53:{operation}", "realmkit providers route53"), AuthError)


def test_keys_of_a_profile_and_of_the_environment(
    cloud: Route53StandIn, zone_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = cloud.key()
    lines = f"[dns]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text(lines)
    there = Route53(Route53Settings(profile="dns", endpoint_url=cloud.url), context())
    assert there.snapshot(APEX).token == zone_id
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
    assert Route53(Route53Settings(endpoint_url=cloud.url), context()).snapshot(APEX).token == zone_id


@pytest.mark.parametrize(
    ("settings", "word"), [({"profile": "nowhere"}, "profile 'nowhere'"), ({}, "the SDK's own chain")]
)
def test_no_keys_at_all(cloud: Route53StandIn, settings: dict[str, Any], word: str) -> None:
    there = Route53(Route53Settings(endpoint_url=cloud.url, **settings), context())
    assert isinstance(refusal(lambda: there.snapshot(APEX), word), AuthError)


def test_a_role_is_taken_late_and_taken_anew(cloud: Route53StandIn) -> None:
    account = cloud.new_account()
    role = ROLE.format(account)
    cloud.external_ids[role] = "reseller-7"
    zone_id = cloud.add_zone("z.example", account=account)
    clock = Movable()
    before = cloud.counts["AssumeRole"]
    there = provider(cloud, clock=clock, role_arn=role, external_id="reseller-7")
    assert cloud.counts["AssumeRole"] == before
    assert there.snapshot(APEX).token == zone_id
    there.snapshot(APEX)
    assert cloud.counts["AssumeRole"] == before + 1
    clock.ahead = timedelta(minutes=56)
    there.snapshot(APEX)
    assert cloud.counts["AssumeRole"] == before + 2
    assert account in there._api.whoami()


def test_a_role_that_is_not_given(cloud: Route53StandIn) -> None:
    role = ROLE.format(cloud.account)
    cloud.external_ids[role] = "reseller-7"
    there = provider(cloud, role_arn=role)
    error = refusal(lambda: there.snapshot(APEX), "AssumeRole", role, "needs sts:AssumeRole")
    assert isinstance(error, AuthError)


def test_secrets_are_in_no_error(cloud: Route53StandIn, front: Front) -> None:
    key = cloud.key(token="a-session-token")
    words = f"no match {key.secret} {key.token}\nThe Canonical String was\nx-amz-security-token:{key.token}"
    front.strike = Strike(Answer(403, error_reply(403, "SignatureDoesNotMatch", words).body))
    there = provider(cloud, key, endpoint_url=front.url)
    error = refusal(lambda: there.snapshot(APEX), "(secret)")
    said = f"{error!r} {error.message} {error.hint} {there!r} {there._api!r} {there._settings!r}"
    assert key.secret not in said
    assert key.token not in said
    assert error.__suppress_context__  # what the SDK raised is in no traceback


# --- how fast, how often ------------------------------------------------------------------------------------------


def test_no_second_sees_more_than_five_requests_of_an_account(cloud: Route53StandIn, zone_id: str) -> None:
    """Two providers of one key in four threads, against a stand-in that throttles above five in a second."""
    key = cloud.key()
    cloud.per_second = 5
    providers = [provider(cloud, key, attempts=1, requests_per_second=4.0) for _ in range(2)]
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda number: providers[number % 2].snapshot(APEX), range(9)))
    assert {one.token for one in seen} == {zone_id}
    assert time.monotonic() - began > 2  # eleven requests or more


def test_the_pace_is_kept_on_the_contexts_clock_and_by_account(cloud: Route53StandIn, zone_id: str) -> None:
    one, other = cloud.key(), cloud.key()
    clock = Movable()
    there = provider(cloud, one, clock, requests_per_second=0.5)
    there.snapshot(APEX)
    waited = clock.slept
    assert 1.5 < waited <= 2.0  # two requests, one every two seconds
    provider(cloud, one, clock, requests_per_second=0.5).snapshot(APEX)
    assert clock.slept > waited + 3
    waited = clock.slept
    provider(cloud, other, clock, requests_per_second=0.5).snapshot(APEX)
    assert clock.slept <= waited + 2


def test_a_reading_is_asked_for_again_and_a_write_is_not(cloud: Route53StandIn, front: Front) -> None:
    there = provider(cloud, endpoint_url=front.url)
    front.strike = Strike(Answer(503), is_listing, times=1)
    token = there.snapshot(APEX).token
    assert front.hits == 1
    front.strike = Strike(Answer(400, error_reply(400, "Throttling", "Rate exceeded").body), is_write)
    error = refusal(lambda: there.apply(APEX, [Change(None, a("b.z.example"))], token))
    assert isinstance(error, RateLimitedError)
    assert front.hits == 2


@pytest.mark.parametrize("mode", ["standard", "adaptive"])
def test_how_often_is_a_setting(cloud: Route53StandIn, front: Front, mode: str) -> None:
    front.strike = Strike(Answer(503), is_listing)
    with pytest.raises(UnreachableError):
        provider(cloud, endpoint_url=front.url, attempts=3, retries=mode).snapshot(APEX)
    assert front.hits == 3


def test_zones_are_read_in_several_threads_at_once(cloud: Route53StandIn) -> None:
    zones = [f"z{number}.example" for number in range(6)]
    rows = [(f"h{number}.{{}}", "A", 300, ("192.0.2.1",)) for number in range(350)]
    for zone in zones:
        cloud.add_zone(zone, [(row[0].format(zone), *row[1:]) for row in rows])
    there = provider(cloud)
    gate = threading.Barrier(len(zones))

    def read(zone: str) -> int:
        gate.wait()
        return len(there.snapshot(names.absolute(zone)).rrsets)

    with ThreadPoolExecutor(len(zones)) as pool:
        assert list(pool.map(read, zones)) == [352] * 6
    assert there._api._made is not None


# --- answers that are none ------------------------------------------------------------------------------------------


def page(inner: str) -> Answer:
    head = f"<ListResourceRecordSetsResponse {XMLNS}>{inner}</ListResourceRecordSetsResponse>"
    return Answer(200, head.encode(), {"Content-Type": "text/xml"})


SET = (
    "<ResourceRecordSet><Name>z.example.</Name><Type>SOA</Type><TTL>1</TTL><ResourceRecords><ResourceRecord><Value>"
    "a. b. 1 1 1 1 1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>"
)
MORE = "<IsTruncated>true</IsTruncated><NextRecordName>z.example.</NextRecordName><NextRecordType>A</NextRecordType>"
ODD: dict[str, Answer] = {
    "nothing": Answer(200),
    "html": Answer(200, b"<html><body>It works!</body></html>", {"Content-Type": "text/html"}),
    "no-xml": Answer(200, b"\xff\xfe{}"),
    "empty": page(""),
    "no-end": page(f"<ResourceRecordSets>{SET}</ResourceRecordSets>"),
    "no-next": page(f"<ResourceRecordSets>{SET}</ResourceRecordSets><IsTruncated>true</IsTruncated>"),
    "no-soa": page("<ResourceRecordSets/><IsTruncated>false</IsTruncated>"),
    "for-ever": page(f"<ResourceRecordSets>{SET}</ResourceRecordSets>{MORE}"),
    "no-ttl": page(
        f"<ResourceRecordSets>{SET.replace('>1<', '>one<')}</ResourceRecordSets><IsTruncated>false</IsTruncated>"
    ),
    "no-name": page(
        f"<ResourceRecordSets>{SET}<ResourceRecordSet/></ResourceRecordSets><IsTruncated>false</IsTruncated>"
    ),
    "redirect": Answer(302, b"", {"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("word", ODD)
def test_a_listing_that_is_none(cloud: Route53StandIn, front: Front, word: str) -> None:
    front.strike = Strike(ODD[word], is_listing)
    there = provider(cloud, endpoint_url=front.url, attempts=1)
    assert type(refusal(lambda: there.snapshot(APEX))) is ProviderError
    assert front.hits <= 2  # where the same page comes for ever


@pytest.mark.parametrize("word", ["nothing", "html", "no-xml", "redirect"])
def test_an_answer_that_is_none_to_each_other_question(cloud: Route53StandIn, front: Front, word: str) -> None:
    front.strike = Strike(ODD[word])
    there = provider(cloud, endpoint_url=front.url, attempts=1)
    assert type(refusal(lambda: there.snapshot(APEX))) is ProviderError
    front.strike = None
    receipt = there.apply(APEX, [Change(None, a("b.z.example"))], there.snapshot(APEX).token)
    front.strike = Strike(ODD[word])
    for call in (lambda: there.settled(receipt), lambda: there.nameservers(APEX), lambda: there.protected(APEX)):
        assert isinstance(refusal(call), ProviderError)


@pytest.mark.parametrize("word", ["nothing", "html", "no-xml", "redirect", "empty"])
def test_an_answer_that_is_none_to_a_write(cloud: Route53StandIn, front: Front, word: str) -> None:
    there = provider(cloud, endpoint_url=front.url)
    token = there.snapshot(APEX).token
    front.strike = Strike(ODD[word], is_write, forward=True)
    error = refusal(lambda: there.apply(APEX, [Change(None, a("b.z.example"))], token))
    assert type(error) is OutcomeUnknownError
    assert front.hits == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>no</body></html>", b"<Error>x</Error>", b"<ErrorResponse/>", b"<a><Error/></a>", b"{"]
)
@pytest.mark.parametrize(("status", "kind"), [(400, RejectedError), (403, AuthError), (500, UnreachableError)])
def test_an_error_in_no_form_of_awss(
    cloud: Route53StandIn, front: Front, status: int, kind: type[ProviderError], body: bytes
) -> None:
    front.strike = Strike(Answer(status, body))
    error = refusal(lambda: provider(cloud, endpoint_url=front.url, attempts=1).snapshot(APEX))
    assert isinstance(error, kind) or type(error) is ProviderError


def test_a_refused_batch_whose_zone_can_not_be_read_again(cloud: Route53StandIn, front: Front) -> None:
    there = provider(cloud, endpoint_url=front.url, attempts=1)
    token = there.snapshot(APEX).token
    front.strike = Strike(Answer(503), is_listing)
    error = refusal(lambda: there.apply(APEX, [Change(None, a("a.z.example"))], token), "already exists", "read again")
    assert isinstance(error, RejectedError)


def test_the_older_form_of_a_refused_batch_is_understood(cloud: Route53StandIn, front: Front) -> None:
    """The form that the API reference showed for long: no code, but the error's name as the root."""
    there = provider(cloud, endpoint_url=front.url)
    token = there.snapshot(APEX).token
    told = "<Messages><Message>Tried to create a.z.example., but it already exists</Message></Messages>"
    body = f"<InvalidChangeBatch {XMLNS}>{told}<RequestId>r</RequestId></InvalidChangeBatch>"
    front.strike = Strike(Answer(400, body.encode()), is_write)
    error = refusal(lambda: there.apply(APEX, [Change(None, a("a.z.example"))], token), "already exists")
    assert isinstance(error, ConflictError)


# --- the shorter way through a page -----------------------------------------------------------------------------------


def test_the_hook_reads_what_botocore_reads(cloud: Route53StandIn, zone_id: str) -> None:
    rest = "<SetIdentifier>one</SetIdentifier><Weight>1</Weight>"
    cloud.write(
        zone_id, canonical_set("w.z.example", "A", 60, ("192.0.2.9",), "one", rest),
        canonical_set("*.z.example", "TXT", 0, ('"a & b <c> \\"d\\""', '""')),
    )  # fmt: skip
    shape = botocore.session.get_session().get_service_model("route53").operation_model("ListResourceRecordSets")
    parser = botocore.parsers.create_parser("rest-xml")
    listed, _ = cloud.page(cloud.zones[zone_id], ("", "", ""), 300)
    body = page(f"<ResourceRecordSets>{''.join(one.xml() for one in listed)}</ResourceRecordSets>{MORE}").body
    plainly = parser.parse({"status_code": 200, "headers": {}, "body": body}, shape.output_shape)
    response, custom = {"status_code": 200, "headers": {}, "body": body}, dict[str, Any]()
    take_plain_sets(response, custom)
    quickly = parser.parse(response, shape.output_shape) | custom
    assert [sorted(part) for part in rows_of(plainly)] == [sorted(part) for part in rows_of(quickly)]
    assert len(quickly["ResourceRecordSets"]) == 1
    assert Row(r"\052.z.example.", "TXT", 0, ('"a & b <c> \\"d\\""', '""')) in rows_of(quickly)[0]
    assert {name: plainly[name] for name in ("IsTruncated", "NextRecordName", "NextRecordType")} == {
        name: quickly[name] for name in ("IsTruncated", "NextRecordName", "NextRecordType")
    }


def test_the_hook_is_called_and_is_not_needed(
    cloud: Route53StandIn, zone_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []

    def counted(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
        take_plain_sets(response_dict, customized_response_dict)
        called.append(len(customized_response_dict))

    monkeypatch.setattr(route53_api, "take_plain_sets", counted)
    with_it = provider(cloud).snapshot(APEX)
    assert called == [1]
    monkeypatch.setattr(route53_api, "EVENT", "before-parse.route-53.NothingOfTheKind")
    assert provider(cloud).snapshot(APEX) == with_it
    assert called == [1]
    assert with_it.rrsets[names.absolute("a.z.example"), rr.A] == a("a.z.example")


def test_a_missing_sdk_is_said_with_its_mend(cloud: Route53StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from realmkit.errors import MissingExtraError

    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(MissingExtraError) as caught:
        provider(cloud).snapshot(APEX)
    assert caught.value.hint == "pip install 'realmkit[route53]'"


def test_the_sdk_alone_sees_what_was_written(cloud: Route53StandIn, zone_id: str) -> None:
    """boto3 and nothing of ours reads the zone back."""
    there = provider(cloud)
    there.apply(APEX, [Change(None, a("*.z.example", ttl=60))], there.snapshot(APEX).token)
    sets = client(cloud).list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    wanted = {"Name": r"\052.z.example.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    assert wanted in sets
    assert Secret("env:ID") == there._settings.access_key_id
