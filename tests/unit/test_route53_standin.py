"""The stand-in for Route 53 is as strict as the documents, seen with boto3 and nothing of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.standins.route53 import Route53StandIn
from tests.unit.route53_clouds import client


@pytest.fixture
def sdk(cloud: Route53StandIn) -> Any:
    return client(cloud)


@pytest.fixture
def zone_id(cloud: Route53StandIn) -> str:
    return cloud.add_zone("z.example", [("a.z.example", "A", 300, ("192.0.2.1", "192.0.2.2")),
                                        ("c.z.example", "CNAME", 300, ("x.example.",))])  # fmt: skip


def change(action: str, name: str, kind: str, *values: str, ttl: int = 300) -> dict[str, Any]:
    records = [{"Value": value} for value in values]
    return {"Action": action, "ResourceRecordSet": {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": records}}


def send(sdk: Any, zone_id: str, *changes: dict[str, Any]) -> dict[str, Any]:
    answer = sdk.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": list(changes)})
    info: dict[str, Any] = answer["ChangeInfo"]
    return info


def code_of(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


GOOD = change("CREATE", "good.z.example", "A", "192.0.2.9")
TOO_LONG = '"' + '" "'.join("x" * 250 for _ in range(17)) + '"'
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "exists": (change("CREATE", "a.z.example", "A", "192.0.2.3"), "already exists"),
    "absent": (change("DELETE", "b.z.example", "A", "192.0.2.1"), "was not found"),
    "stale-value": (change("DELETE", "a.z.example", "A", "192.0.2.1"), "do not match the current values"),
    "stale-ttl": (change("DELETE", "a.z.example", "A", "192.0.2.1", "192.0.2.2", ttl=60), "do not match"),
    "cname-beside": (change("CREATE", "a.z.example", "CNAME", "x.example"), "conflicting RRSet"),
    "beside-cname": (change("CREATE", "c.z.example", "MX", "10 x.example"), "conflicting RRSet"),
    "cname-at-apex": (change("CREATE", "z.example", "CNAME", "x.example"), "at apex"),
    "out-of-zone": (change("CREATE", "a.zz.example", "A", "192.0.2.1"), "is not permitted in zone z.example."),
    "wildcard-ns": (change("CREATE", "*.z.example", "NS", "x.example"), "wildcard"),
    "the-soa": (change("DELETE", "z.example", "SOA", "ns-2048.awsdns-64.com. awsdns-hostmaster.amazon.com. 1 7200 900 "
                       "1209600 86400", ttl=900), "exactly one SOA"),
    "no-address": (change("CREATE", "b.z.example", "A", "not-an-ip"), "InvalidARDATA"),
    "port": (change("CREATE", "b.z.example", "SRV", "1 1 70000 x.example"), "InvalidSRVRDATA"),
    "bare-naptr": (change("CREATE", "b.z.example", "NAPTR", "10 100 S SIP+D2U  _sip._udp.z.example"), "NAPTR"),
    "bare-txt": (change("CREATE", "b.z.example", "TXT", "x"), "enclosed in quotation marks"),
    "long-string": (change("CREATE", "b.z.example", "TXT", '"' + "x" * 256 + '"'), "CharacterStringTooLong"),
    "long-value": (change("CREATE", "b.z.example", "TXT", TOO_LONG), "ValueTooLong"),
    "decimal-escape": (change("CREATE", "b.z.example", "TXT", r'"\195"'), "BadEscape"),
    "generic": (change("CREATE", "b.z.example", "A", r"\# 4 01020304"), "GenericForm"),
    "twice": (change("CREATE", "b.z.example", "A", "192.0.2.1", "192.0.2.1"), "Duplicate"),
    "type": (change("CREATE", "b.z.example", "DNAME", "x.example"), "Invalid type"),
}  # fmt: skip


@pytest.mark.parametrize("order", [1, -1], ids=["bad-last", "bad-first"])
@pytest.mark.parametrize("word", REFUSED)
def test_a_batch_is_taken_whole_or_not_at_all(
    cloud: Route53StandIn, sdk: Any, zone_id: str, word: str, order: int
) -> None:
    bad, words = REFUSED[word]
    before = dict(cloud.zones[zone_id].sets)
    code, text = code_of(lambda: send(sdk, zone_id, *[GOOD, bad][::order]))
    assert code == "InvalidChangeBatch"
    assert words in text
    assert cloud.zones[zone_id].sets == before


def test_elements_and_characters_are_counted_and_an_upsert_twice(sdk: Any, zone_id: str) -> None:
    many = [change("UPSERT", f"h{number}.z.example", "A", "192.0.2.1") for number in range(501)]
    assert "1000" in code_of(lambda: send(sdk, zone_id, *many))[1]
    send(sdk, zone_id, *many[:500])
    text = '"' + "x" * 248 + '"'
    long = [change("CREATE", f"t{number}.z.example", "TXT", text) for number in range(129)]
    assert "32000" in code_of(lambda: send(sdk, zone_id, *long))[1]
    send(sdk, zone_id, *long[:128])  # 32,000 to the character
    assert "32000" in code_of(lambda: send(sdk, zone_id, *(one | {"Action": "UPSERT"} for one in long[:65])))[1]


def test_one_name_has_one_spelling(sdk: Any, zone_id: str) -> None:
    send(sdk, zone_id, change("CREATE", "*.Z.example", "TXT", '"x"'))
    assert code_of(lambda: send(sdk, zone_id, change("CREATE", r"\052.z.example.", "TXT", '"x"')))[0]
    listed = sdk.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    assert r"\052.z.example." in {one["Name"] for one in listed}
    send(sdk, zone_id, change("DELETE", r"\052.z.example.", "TXT", '"x"'))


def test_a_cname_may_become_something_else_in_one_batch(sdk: Any, zone_id: str) -> None:
    goes = change("DELETE", "c.z.example", "CNAME", "x.example.")
    send(sdk, zone_id, goes, change("CREATE", "c.z.example", "A", "192.0.2.1"))


def test_changes_have_ids_of_their_own_and_arrive_after_a_while(cloud: Route53StandIn, sdk: Any, zone_id: str) -> None:
    cloud.polls = 2
    infos = [send(sdk, zone_id, change("UPSERT", "a.z.example", "A", f"192.0.2.{last}")) for last in (5, 6)]
    assert infos[0]["Id"] != infos[1]["Id"]
    assert {one["Status"] for one in infos} == {"PENDING"}
    seen = [sdk.get_change(Id=infos[0]["Id"])["ChangeInfo"]["Status"] for _ in range(3)]
    assert seen == ["PENDING", "PENDING", "INSYNC"]
    assert code_of(lambda: sdk.get_change(Id="CNONE"))[0] == "NoSuchChange"


def test_pages_follow_on_one_another(cloud: Route53StandIn, sdk: Any) -> None:
    rows = [(f"h{number}.z.example", kind, 300, ('"x"',)) for number in range(200) for kind in ("TXT", "SPF")]
    zone_id = cloud.add_zone("z.example", rows)
    pages = list(sdk.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id))
    sizes = [len(page["ResourceRecordSets"]) for page in pages]
    names = [(one["Name"], one["Type"]) for page in pages for one in page["ResourceRecordSets"]]
    assert sizes == [300, 102]
    assert len(set(names)) == 402
    assert names[:2] == [("z.example.", "NS"), ("z.example.", "SOA")]
    reversed_labels = [".".join(reversed(name.rstrip(".").split("."))) + "." for name, _ in names]
    assert reversed_labels == sorted(reversed_labels)


def test_accounts_are_apart(cloud: Route53StandIn, sdk: Any, zone_id: str) -> None:
    stranger = client(cloud, cloud.key(cloud.new_account()))
    assert stranger.list_hosted_zones_by_name()["HostedZones"] == []
    for call in (stranger.get_hosted_zone, stranger.delete_hosted_zone):
        assert code_of(lambda one=call: one(Id=zone_id))[0] == "NoSuchHostedZone"
    assert code_of(lambda: stranger.list_resource_record_sets(HostedZoneId=zone_id))[0] == "NoSuchHostedZone"
    assert code_of(lambda: send(stranger, zone_id, GOOD))[0] == "NoSuchHostedZone"
    assert client(cloud, cloud.key(), "sts").get_caller_identity()["Account"] == cloud.account
    assert [one["Id"] for one in sdk.list_hosted_zones()["HostedZones"]] == [f"/hostedzone/{zone_id}"]


def test_who_may_not_ask(cloud: Route53StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    key = cloud.key()
    wrong = type(key)(key.id, "x" * 40, key.account, key.arn)
    unknown = cloud.key()
    cloud.access.forget(unknown)
    for who, code in ((wrong, "SignatureDoesNotMatch"), (unknown, "InvalidClientTokenId")):
        assert code_of(client(cloud, who).list_hosted_zones)[0] == code
    assert code_of(client(cloud, cloud.key(expired=True)).list_hosted_zones)[0] == "ExpiredToken"
    for minutes, words in ((6, "Signature expired"), (-6, "not yet current")):
        monkeypatch.setattr(cloud.access, "now", lambda ahead=minutes: datetime.now(UTC) + timedelta(minutes=ahead))
        code, text = code_of(client(cloud, key).list_hosted_zones)
        assert (code, words in text) == ("SignatureDoesNotMatch", True)
    monkeypatch.setattr(cloud.access, "now", lambda: datetime.now(UTC) + timedelta(minutes=4))
    client(cloud, key).list_hosted_zones()


def test_hosted_zones_come_and_go(cloud: Route53StandIn, sdk: Any) -> None:
    made = sdk.create_hosted_zone(Name="n.example", CallerReference="once")
    assert made["DelegationSet"]["NameServers"][0] == "ns-2048.awsdns-64.com"
    zone_id = made["HostedZone"]["Id"]
    again = code_of(lambda: sdk.create_hosted_zone(Name="other.example", CallerReference="once"))
    assert again[0] == "HostedZoneAlreadyExists"
    send(sdk, zone_id, change("CREATE", "a.n.example", "A", "192.0.2.1"))
    assert code_of(lambda: sdk.delete_hosted_zone(Id=zone_id))[0] == "HostedZoneNotEmpty"
    send(sdk, zone_id, change("DELETE", "a.n.example", "A", "192.0.2.1"))
    locked = [{"RecordName": "a.n.example", "RecordType": "A"}]
    sdk.create_resource_record_set_protections(HostedZoneId=zone_id, Protections=locked)
    assert code_of(lambda: sdk.delete_hosted_zone(Id=zone_id))[0] == "InvalidInput"
    sdk.delete_resource_record_set_protections(HostedZoneId=zone_id, Protections=locked)
    sdk.delete_hosted_zone(Id=zone_id)
    assert code_of(lambda: sdk.get_hosted_zone(Id=zone_id))[0] == "NoSuchHostedZone"


def test_protections(sdk: Any, zone_id: str) -> None:
    one, two = ({"RecordName": name, "RecordType": "A"} for name in ("a.z.example", "new.z.example"))
    sdk.create_resource_record_set_protections(HostedZoneId=zone_id, Protections=[{**one, "Comment": "old realm"}])
    code, text = code_of(lambda: send(sdk, zone_id, GOOD, change("UPSERT", "a.z.example", "A", "192.0.2.9")))
    assert code == "InvalidChangeBatch"
    assert "old realm" in text
    create = sdk.create_resource_record_set_protections
    assert code_of(lambda: create(HostedZoneId=zone_id, Protections=[one]))[0] == "ProtectionAlreadyExists"
    both = code_of(lambda: create(HostedZoneId=zone_id, Protections=[one, two]))
    assert both[0] == "InvalidResourceRecordSetProtectionBatch"
    many = [{"RecordName": f"h{number}.z.example", "RecordType": "A"} for number in range(101)]
    assert code_of(lambda: create(HostedZoneId=zone_id, Protections=many))[0] == "InvalidInput"
    delete = sdk.delete_resource_record_set_protections
    absent = code_of(lambda: delete(HostedZoneId=zone_id, Protections=[one, two]))
    assert absent[0] == "InvalidResourceRecordSetProtectionBatch"
    listed = sdk.list_resource_record_set_protections(HostedZoneId=zone_id)["ResourceRecordSetProtections"]
    assert listed == [{"RecordName": "a.z.example.", "RecordType": "A", "Comment": "old realm"}]


def test_what_moto_leaves_out_is_there(sdk: Any) -> None:
    assert sdk.list_health_checks()["IsTruncated"] is False


def test_ten_thousand_record_sets_are_there_at_once(cloud: Route53StandIn) -> None:
    rows = [(f"h{number}.z.example", "A", 300, ("192.0.2.1",)) for number in range(10_000)]
    began = datetime.now(UTC)
    zone_id = cloud.add_zone("z.example", rows)
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert len(cloud.zones[zone_id].sets) == 10_002
