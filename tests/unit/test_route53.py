"""The Route 53 provider where the contract suite does not look: zones of one name, what is no RRset, locks, making."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import KnowsServers, MakesZones, Protects, Provider, Secret
from realmkit.dns.records import RRset
from realmkit.errors import ConflictError, InputError, NoZoneError, OutcomeUnknownError, RejectedError
from realmkit_providers.route53 import Route53, Route53Settings
from tests.contract.oracle import live_rrset
from tests.lab.front import Answer, Front, Strike
from tests.lab.servers import Knot
from tests.standins.route53 import Route53StandIn
from tests.standins.route53_http import error_reply
from tests.standins.route53_zone import canonical_set
from tests.unit.route53_clouds import a, client, context, provider

APEX = names.absolute("z.example")
ALIAS = (
    "<AliasTarget><HostedZoneId>Z2FDTNDATAQYW2</HostedZoneId><DNSName>d1.cloudfront.example.</DNSName>"
    "<EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>"
)


def weighted(name: str, identifier: str, address: str = "192.0.2.9") -> Any:
    rest = f"<SetIdentifier>{identifier}</SetIdentifier><Weight>10</Weight>"
    return canonical_set(name, "A", 60, (address,), identifier, rest)


def test_it_is_all_that_it_says(cloud: Route53StandIn) -> None:
    there: Provider = provider(cloud)
    assert isinstance(there, KnowsServers)
    assert isinstance(there, MakesZones)
    assert isinstance(there, Protects)


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, realmkit_providers.route53; print([m for m in ('boto3', 'botocore', 'xml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- which hosted zone ---------------------------------------------------------------------------------------


def test_the_zone_is_the_one_of_exactly_this_name(cloud: Route53StandIn) -> None:
    for name in ("a.z.example", "z.example.com", "zz.example", "y.example", "example"):
        cloud.add_zone(name)
    with pytest.raises(NoZoneError, match=rf"no public hosted zone of this name in account {cloud.account} \(arn:"):
        provider(cloud).snapshot(APEX)
    wanted = cloud.add_zone("z.example")
    assert provider(cloud).snapshot(APEX).token == wanted


def test_odd_names_of_zones_are_octal(cloud: Route53StandIn) -> None:
    classless = cloud.add_zone(r"0/25.2.0.192.in-addr.arpa")
    there = provider(cloud)
    assert there.snapshot(names.absolute("0/25.2.0.192.in-addr.arpa")).token == classless
    assert r"0\05725.2.0.192.in-addr.arpa." in {zone.name for zone in cloud.zones.values()}


def test_two_public_zones_of_one_name_are_told_with_their_ids(cloud: Route53StandIn) -> None:
    one, two = cloud.add_zone("z.example", comment="served"), cloud.add_zone("z.example", comment="left over")
    with pytest.raises(RejectedError) as caught:
        provider(cloud).snapshot(APEX)
    for word in (one, two, "served", "left over"):
        assert word in caught.value.message
    assert "zone_ids" in (caught.value.hint or "")
    for wanted in (one, f"/hostedzone/{two}"):
        there = provider(cloud, zone_ids={"z.example": wanted})
        assert there.snapshot(APEX).token == wanted.rpartition("/")[2]


def test_more_zones_of_one_name_than_a_page_holds(cloud: Route53StandIn) -> None:
    for _ in range(120):
        cloud.add_zone("z.example", private=True)
    with pytest.raises(RejectedError, match="is the name of 120 private"):
        provider(cloud, private=True).snapshot(APEX)
    cloud.add_zone("z.example")
    provider(cloud).snapshot(APEX)


def test_public_and_private_zones_of_one_name(cloud: Route53StandIn) -> None:
    inside = cloud.add_zone("z.example", [("a.z.example", "A", 1, ("10.0.0.1",))], private=True, comment="office")
    with pytest.raises(NoZoneError, match=f"{inside} .private, office") as caught:
        provider(cloud).snapshot(APEX)
    assert "private: true" in (caught.value.hint or "")
    outside = cloud.add_zone("z.example")
    assert provider(cloud).snapshot(APEX).token == outside
    there = provider(cloud, private=True)
    seen = there.snapshot(APEX)
    assert seen.token == inside
    there.apply(APEX, [Change(seen.rrsets[names.absolute("a.z.example"), rr.A], None)], seen.token)
    assert there.nameservers(APEX) == ()
    assert len(cloud.zones[inside].sets) == 2


def test_an_id_that_is_not_the_zones(cloud: Route53StandIn) -> None:
    other, private = cloud.add_zone("other.example"), cloud.add_zone("z.example", private=True)
    for wrong in (other, private):
        with pytest.raises(RejectedError, match=f"zone_ids names {wrong}"):
            provider(cloud, zone_ids={"z.example": wrong}).snapshot(APEX)
    with pytest.raises(NoZoneError) as caught:
        provider(cloud, zone_ids={"z.example.": "ZNOSUCHZONE"}).snapshot(APEX)
    assert "zone_ids" in (caught.value.hint or "")


def test_a_zone_that_was_made_anew_is_another_one(cloud: Route53StandIn) -> None:
    first = cloud.add_zone("z.example")
    there = provider(cloud)
    seen = there.snapshot(APEX)
    cloud.delete_zone(first)
    second = cloud.add_zone("z.example")
    with pytest.raises(NoZoneError):
        there.apply(APEX, [Change(None, a("new.z.example"))], seen.token)
    with pytest.raises(ConflictError, match=f"{second} and no longer {first}"):
        there.apply(APEX, [Change(None, a("new.z.example"))], seen.token)
    assert there.snapshot(APEX).token == second
    cloud.delete_zone(second)
    third = cloud.add_zone("z.example")
    assert there.snapshot(APEX).token == third  # its id was known, and is looked for again


# --- what is no RRset ----------------------------------------------------------------------------------------


@pytest.fixture
def odd(cloud: Route53StandIn) -> str:
    """A zone with an alias at its apex, weighted answers, and an A of ours."""
    zone_id = cloud.add_zone("z.example", [("a.z.example", "A", 300, ("192.0.2.1",))])
    cloud.write(
        zone_id, canonical_set("z.example", "A", None, (), "", ALIAS), weighted("w.z.example", "one"),
        weighted("w.z.example", "two"),
    )  # fmt: skip
    return zone_id


def test_what_is_answered_by_rule_is_shown_and_is_no_rrset(cloud: Route53StandIn, odd: str) -> None:
    seen = provider(cloud).snapshot(APEX)
    assert set(seen.rrsets) == {(APEX, rr.SOA), (APEX, rr.NS), (names.absolute("a.z.example"), rr.A)}
    assert "alias of d1.cloudfront.example." in seen.opaque[APEX, rr.A]
    assert "weighted answers (2 sets)" in seen.opaque[names.absolute("w.z.example"), rr.A]
    assert len(seen.opaque) == len(seen.unread) == 2
    assert (APEX, rr.AAAA) not in seen.opaque


@pytest.mark.parametrize("name", ["z.example", "w.z.example"])
def test_what_is_answered_by_rule_is_never_written_over(cloud: Route53StandIn, odd: str, name: str) -> None:
    there = provider(cloud)
    seen = there.snapshot(APEX)
    before = dict(cloud.zones[odd].sets)
    mine = a("a.z.example")
    with pytest.raises(RejectedError, match="realmkit does not touch it") as caught:
        there.apply(APEX, [Change(mine, None), Change(None, a(name))], seen.token)
    assert not isinstance(caught.value, ConflictError)
    assert cloud.zones[odd].sets == before


def test_beside_an_alias_other_types_can_be_made(cloud: Route53StandIn, odd: str) -> None:
    there = provider(cloud)
    mail = RRset(APEX, rr.MX, 300, frozenset({b"\0\x0a" + names.absolute("mx.example")}))
    there.apply(APEX, [Change(None, mail)], there.snapshot(APEX).token)
    assert there.snapshot(APEX).rrsets[mail.key] == mail


def test_what_can_not_be_read_is_told_and_hidden(cloud: Route53StandIn) -> None:
    zone_id = cloud.add_zone(
        "z.example", [("a.z.example", "A", 300, ("no address",)), ("b.z.example", "NOVEL", 1, "?")]
    )
    there = provider(cloud)
    seen = there.snapshot(APEX)
    assert [text.partition(": ")[0] for text in seen.unread] == ["a.z.example. A", "b.z.example. NOVEL"]
    assert set(seen.opaque) == {(names.absolute("a.z.example"), rr.A)}
    with pytest.raises(RejectedError):
        there.apply(APEX, [Change(None, a("a.z.example"))], seen.token)
    assert len(cloud.zones[zone_id].sets) == 4


def test_records_are_deleted_in_the_words_in_which_they_were_read(cloud: Route53StandIn) -> None:
    """Values that others wrote need not look as ours would; the stand-in wants them back as they were."""
    wordy = "2001:0db8:0:0:0:0:0:1"
    zone_id = cloud.add_zone("z.example", [("a.z.example", "AAAA", 300, (wordy,)),
                                           ("t.z.example", "TXT", 300, (r'"\141\142"', '"c""d"')),
                                           ("m.z.example", "MX", 300, ("10 Mail.Example.com",))])  # fmt: skip
    there = provider(cloud)
    seen = there.snapshot(APEX)
    key = names.absolute("a.z.example"), rr.AAAA
    after = RRset(*key, 60, seen.rrsets[key].rdata)
    changes = [Change(one, None) for name, one in seen.rrsets.items() if name[0] != APEX and name != key]
    changes.append(Change(seen.rrsets[key], after))
    spent = len(wordy) + len("2001:db8::1") + len(r'"\141\142""c""d"') + len("10 Mail.Example.com")
    assert there.weigh(changes) == (5, spent)
    receipt = there.apply(APEX, changes, seen.token)
    there.apply(APEX, [Change(after, None)], receipt.token)  # and ours in ours
    assert len(cloud.zones[zone_id].sets) == 2


def test_a_lower_ttl_costs_what_is_there_twice(cloud: Route53StandIn) -> None:
    slow, fast = a("a.z.example"), a("a.z.example", ttl=60)
    assert provider(cloud).weigh([Change(slow, fast)]) == (2, 2 * len("192.0.2.1"))
    assert provider(cloud).weigh([Change(None, fast), Change(slow, None)]) == (2, 2 * len("192.0.2.1"))


@pytest.mark.parametrize("kind", [rr.SOA, rr.DNSKEY, 65400])
def test_a_type_that_is_not_ours_to_write(cloud: Route53StandIn, kind: int) -> None:
    cloud.add_zone("z.example")
    there = provider(cloud)
    before = cloud.counts["ChangeResourceRecordSets"]
    with pytest.raises(RejectedError):
        there.apply(APEX, [Change(None, RRset(APEX, kind, 1, frozenset({b"x"})))], there.snapshot(APEX).token)
    assert cloud.counts["ChangeResourceRecordSets"] == before


# --- in force, name servers, new zones -------------------------------------------------------------------------


def test_a_change_is_settled_when_it_is_insync(cloud: Route53StandIn) -> None:
    cloud.add_zone("z.example")
    cloud.polls = 2
    there = provider(cloud)
    receipt = there.apply(APEX, [Change(None, a("a.z.example"))], there.snapshot(APEX).token)
    assert [there.settled(receipt) for _ in range(4)] == [False, False, True, True]
    assert there.settled(there.apply(APEX, [], receipt.token))


@pytest.mark.lab
def test_the_servers_answer_when_it_is_insync_and_not_before(route53_cloud: Route53StandIn, knot: Knot) -> None:
    apex = names.absolute("pending.lab.example")
    route53_cloud.add_zone("pending.lab.example")
    there = provider(route53_cloud)
    new = a("*.pending.lab.example")
    token = there.snapshot(apex).token
    route53_cloud.polls = 2
    receipt = there.apply(apex, [Change(None, new)], token)
    route53_cloud.polls = 0
    served = [(there.settled(receipt), live_rrset(knot, *new.key) == new) for _ in range(3)]
    assert served == [(False, False), (False, False), (True, True)]
    assert there.snapshot(apex).rrsets[new.key] == new  # a listing shows it from the beginning


def test_the_name_servers_are_the_delegation_sets(cloud: Route53StandIn) -> None:
    cloud.add_zone("z.example")
    assert provider(cloud).nameservers(APEX) == (
        "ns-2048.awsdns-64.com.", "ns-2049.awsdns-65.net.", "ns-2050.awsdns-66.org.", "ns-2051.awsdns-67.co.uk.",
    )  # fmt: skip


def test_a_zone_is_made_once(cloud: Route53StandIn) -> None:
    there = provider(cloud)
    there.create_zone(APEX)
    seen = there.snapshot(APEX)
    assert set(seen.rrsets) == {(APEX, rr.SOA), (APEX, rr.NS)}
    with pytest.raises(RejectedError, match=f"there already: hosted zone {seen.token}"):
        there.create_zone(APEX)
    assert len(there._zones.named(APEX)) == 1


def test_a_zone_is_made_beside_a_private_one_but_no_private_one(cloud: Route53StandIn) -> None:
    cloud.add_zone("z.example", private=True)
    with pytest.raises(RejectedError, match="VPC"):
        provider(cloud, private=True).create_zone(APEX)
    provider(cloud).create_zone(APEX)
    assert len([one for one in cloud.zones.values() if one.account == cloud.account]) == 2


def test_a_zone_gets_the_servers_of_the_delegation_set(cloud: Route53StandIn) -> None:
    made = client(cloud).create_reusable_delegation_set(CallerReference="x")["DelegationSet"]["Id"]
    there = provider(cloud, delegation_set=made)
    there.create_zone(APEX)
    zone_id = there.snapshot(APEX).token
    assert cloud.backend(cloud.account).zones[zone_id].delegation_set.id == made.rpartition("/")[2]


def test_a_zone_that_may_have_been_made(cloud: Route53StandIn) -> None:
    with Front(cloud.url) as front:
        there = provider(cloud, endpoint_url=front.url)
        front.strike = Strike(Answer(503), lambda request: request.startswith(b"POST "), forward=True)
        with pytest.raises(OutcomeUnknownError):
            there.create_zone(APEX)
        assert front.hits == 1
        front.strike = None
        with pytest.raises(RejectedError, match="there already"):
            there.create_zone(APEX)


# --- locks -----------------------------------------------------------------------------------------------------


def test_locked_records_stay_as_they_are(cloud: Route53StandIn) -> None:
    old, new = a("a.z.example"), names.absolute(r"dot\.and.z.example")
    cloud.add_zone("z.example", [("a.z.example", "A", 300, ("192.0.2.1",))])
    there = provider(cloud)
    token = there.snapshot(APEX).token
    keys = [old.key, (new, rr.TXT)]
    assert there.protected(APEX) == frozenset()
    there.protect(APEX, [old.key])
    there.protect(APEX, keys)
    there.protect(APEX, keys)
    assert there.protected(APEX) == frozenset(keys)
    with pytest.raises(RejectedError, match=r"locked on Route 53: a\.z\.example\. A") as caught:
        there.apply(APEX, [Change(None, a("b.z.example")), Change(old, None)], token)
    assert caught.value.hint == "realmkit dns unlock a.z.example."
    there.release(APEX, [old.key])
    there.release(APEX, [old.key])
    assert there.protected(APEX) == {keys[1]}
    there.apply(APEX, [Change(old, None)], token)


def test_many_locks_take_several_requests_and_a_failure_among_them_is_said(cloud: Route53StandIn) -> None:
    cloud.add_zone("z.example")
    keys = [(names.absolute(f"h{number}.z.example"), rr.A) for number in range(350)]
    there = provider(cloud)
    there.protect(APEX, keys)
    assert there.protected(APEX) == frozenset(keys)  # more than a page of 300
    with Front(cloud.url) as front:
        refused = error_reply(400, "InvalidInput", "no").body
        front.strike = Strike(Answer(400, refused), lambda request: b"rrsetprotection/delete" in request, skip=1)
        with pytest.raises(OutcomeUnknownError, match="100 of 350 were done"):
            provider(cloud, endpoint_url=front.url).release(APEX, keys)
    assert len(there.protected(APEX)) == 250


def test_an_sdk_that_knows_of_no_locks(cloud: Route53StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.add_zone("z.example")
    there = provider(cloud)
    monkeypatch.setattr(there._api, "can", lambda operation: False)
    for call in (lambda: there.protected(APEX), lambda: there.protect(APEX, []), lambda: there.release(APEX, [])):
        with pytest.raises(RejectedError) as caught:
            call()
        assert caught.value.hint == "pip install -U boto3"
    with pytest.raises(RejectedError, match="CNAME"):  # and a refused batch is still explained
        there.apply(APEX, [Change(None, RRset(APEX, rr.CNAME, 1, frozenset({APEX})))], there.snapshot(APEX).token)


def test_what_the_sdk_can_is_asked_of_the_sdk(cloud: Route53StandIn) -> None:
    assert provider(cloud)._api.can("list_resource_record_set_protections")
    assert not provider(cloud)._api.can("fly")


# --- settings --------------------------------------------------------------------------------------------------

ID, SECRET = Secret("env:ID"), Secret("env:SECRET")


@pytest.mark.parametrize(
    "settings",
    [
        {"access_key_id": ID}, {"secret_access_key": SECRET}, {"session_token": SECRET},
        {"access_key_id": ID, "secret_access_key": SECRET, "profile": "dns"}, {"external_id": "x"},
        {"endpoint_url": "route53.amazonaws.com"}, {"endpoint_url": "https://u:hunter2@h/"},
        {"sts_endpoint_url": "http://h:0"}, {"zone_ids": {"a..b": "Z"}},
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        Route53(Route53Settings(**settings), context())
    assert "hunter2" not in str(caught.value)
