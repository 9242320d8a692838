"""The Cloudflare stand-in judged by others: the official SDK with all its types, and octodns-cloudflare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cloudflare
import pytest

from tests.standins.cloudflare import CloudflareStandIn, Zone
from tests.standins.cloudflare_words import Refusal
from tests.standins.published import Served


@pytest.fixture
def zone(service: CloudflareStandIn) -> Iterator[Zone]:
    yield service.new_zone("z.example", service.new_account("acme"))
    service.delete_zone("z.example")


@pytest.fixture
def client(service: CloudflareStandIn, zone: Zone) -> Iterator[cloudflare.Cloudflare]:
    token = service.new_token(zone.account)
    with cloudflare.Cloudflare(api_token=token, base_url=service.url, max_retries=0) as made:
        yield made


SRV = {"priority": 10, "weight": 50, "port": 5060, "target": "sip.example"}


def a(number: int, **more: Any) -> dict[str, Any]:
    return {"name": "a.z.example", "type": "A", "ttl": 300, "content": f"192.0.2.{number}", **more}


def code(error: cloudflare.APIStatusError) -> int:
    found = error.errors[0].code
    assert found is not None
    return int(found)


def test_the_sdk_reads_and_writes(client: cloudflare.Cloudflare, zone: Zone) -> None:
    (shown,) = client.zones.list(name="z.example")
    assert (shown.id, shown.plan.legacy_id, shown.account.name) == (zone.records.id, "free", "acme")
    made = client.dns.records.create(
        zone_id=shown.id, name="_sip._udp.z.example", type="SRV", ttl=300, data={"priority": 10.0, "weight": 50.0,
                                                                                "port": 5060.0, "target": "sip.example"}
    )  # fmt: skip
    assert made is not None
    assert made.type == "SRV"
    assert made.content == "50 5060 sip.example"
    (listed,) = client.dns.records.list(zone_id=shown.id)
    assert listed.id == made.id
    assert client.dns.records.get(made.id, zone_id=shown.id) is not None
    client.dns.records.delete(made.id, zone_id=shown.id)
    assert list(client.dns.records.list(zone_id=shown.id)) == []


def test_all_pages_are_had(client: cloudflare.Cloudflare, zone: Zone, service: CloudflareStandIn) -> None:
    service.load(zone, [Served(f"h{number}.z.example.", 300, "A", ("192.0.2.1",)) for number in range(250)])
    assert len({one.id for one in client.dns.records.list(zone_id=zone.records.id, per_page=100)}) == 250


def test_a_batch_runs_deletes_patches_puts_posts(zone: Zone) -> None:
    first = zone.records.batch({"posts": [a(1, comment="kept"), a(2, comment="lost"), a(3)]})["posts"]
    ids = [one["id"] for one in first]
    done = zone.records.batch(
        {"posts": [a(3)], "puts": [{"id": ids[1], **a(4)}], "patches": [{"id": ids[0], "ttl": 60}],
         "deletes": [{"id": ids[2]}]}
    )  # fmt: skip
    assert [one["id"] for one in done["deletes"]] == [ids[2]]
    assert done["patches"][0] | {"modified_on": ""} == first[0] | {"ttl": 60, "modified_on": ""}
    assert done["patches"][0]["modified_on"] > first[0]["modified_on"]
    assert done["puts"][0]["comment"] is None
    assert done["posts"][0]["id"] not in ids
    before = zone.records.records()
    with pytest.raises(Refusal, match="identical"):  # the patch runs before the put that would make room for it
        zone.records.batch({"puts": [{"id": ids[1], **a(5)}], "patches": [{"id": ids[0], "content": "192.0.2.4"}]})
    assert zone.records.records() == before


def test_one_error_undoes_all_of_a_batch(client: cloudflare.Cloudflare, zone: Zone) -> None:
    first = zone.records.batch({"posts": [a(1), a(2)]})["posts"]
    with pytest.raises(cloudflare.BadRequestError) as caught:
        client.post(
            f"/zones/{zone.records.id}/dns_records/batch", cast_to=object,
            body={"deletes": [{"id": first[0]["id"]}], "posts": [a(3), a(4), {**a(5), "content": "nonsense"}]},
        )  # fmt: skip
    assert code(caught.value) == 9005
    assert zone.records.records() == first


REFUSED: list[tuple[dict[str, Any], int]] = [
    (a(1), 81058),
    ({**a(9), "ttl": 59}, 1004),
    ({**a(9), "ttl": 86401}, 1004),
    ({**a(9), "ttl": 0}, 1004),
    ({**a(9), "content": "192.0.2.256"}, 9005),
    ({**a(9), "content": "2001:db8::1"}, 9005),
    ({**a(9), "type": "AAAA"}, 9007),
    ({**a(9), "name": "a..z.example"}, 1004),
    ({**a(9), "name": "dot\\.z.example"}, 1004),
    ({**a(9), "name": "x" * 64}, 1004),
    ({**a(9), "name": "a.*.z.example"}, 1004),
    ({**a(9), "comment": "x" * 101}, 9313),
    ({**a(9), "comment": "two\nlines"}, 9313),
    ({**a(9), "tags": ["a:b"]}, 1004),
    ({"name": "a", "type": "CNAME", "ttl": 300, "content": "x.example"}, 81053),
    ({"name": "alias", "type": "A", "ttl": 300, "content": "192.0.2.1"}, 81053),
    ({"name": "alias", "type": "CNAME", "ttl": 300, "content": "other.example"}, 81053),
    ({"name": "sub", "type": "A", "ttl": 300, "content": "192.0.2.1"}, 81056),
    ({"name": "b", "type": "DS", "ttl": 300, "data": {"key_tag": 1, "algorithm": 13, "digest_type": 2,
                                                     "digest": "ab" * 32}}, 1004),
    ({"name": "b", "type": "MX", "ttl": 300, "content": "mail.example"}, 9007),
    ({"name": "b", "type": "MX", "ttl": 300, "content": "mail.example", "priority": 70000}, 9007),
    ({"name": "b", "type": "SRV", "ttl": 300, "data": SRV, "proxied": True}, 9004),
    ({"name": "b", "type": "SRV", "ttl": 300, "data": SRV | {"port": 5060.5}}, 9007),
    ({"name": "b", "type": "SRV", "ttl": 300, "data": {"port": 5060}}, 9007),
    ({"name": "b", "type": "SRV", "ttl": 300, "content": "10 50 5060 sip.example"}, 9007),
    ({"name": "b", "type": "TXT", "ttl": 300, "content": '"half'}, 9007),
    ({"name": "b", "type": "TXT", "ttl": 300, "content": 'these" ones"'}, 9007),
    ({"name": "b", "type": "TXT", "ttl": 300, "content": '"' + "x" * 4100 + '"'}, 9015),
    ({"name": "long", "type": "TXT", "ttl": 300, "content": '"' + "y" * 3000 + '"'}, 83011),
    ({"name": "b", "type": "TYPE65400", "ttl": 300, "content": "x"}, 1004),
    ({"name": "b", "type": "A", "content": "192.0.2.1", "ttl": "soon"}, 1004),
]  # fmt: skip


@pytest.mark.parametrize(("body", "number"), REFUSED)
def test_what_is_refused(client: cloudflare.Cloudflare, zone: Zone, body: dict[str, Any], number: int) -> None:
    zone.records.batch({"posts": [
        a(1),
        {"name": "alias", "type": "CNAME", "ttl": 300, "content": "x.example"},
        {"name": "sub", "type": "NS", "ttl": 300, "content": "ns.example"},
        {"name": "long", "type": "TXT", "ttl": 300, "content": '"' + "x" * 3000 + '"'},
        {"name": "long", "type": "TXT", "ttl": 300, "content": '"' + "z" * 3000 + '"'},
    ]})  # fmt: skip
    before = zone.records.records()
    with pytest.raises(cloudflare.BadRequestError) as caught:
        client.post(f"/zones/{zone.records.id}/dns_records", cast_to=object, body=body)
    assert code(caught.value) == number
    assert zone.records.records() == before


@pytest.mark.parametrize(("plan", "most"), [("free", 200), ("pro", 3500), ("business", 3500), ("enterprise", 3500)])
def test_a_batch_is_bounded_by_the_plan(zone: Zone, plan: str, most: int) -> None:
    zone.records.plan = plan
    ids = [{"id": "0" * 32}] * most
    with pytest.raises(Refusal, match="does not exist"):
        zone.records.batch({"deletes": ids})
    with pytest.raises(Refusal, match=f"limit of {most}"):
        zone.records.batch({"deletes": ids, "posts": [a(1)]})


def test_the_quota_of_a_zone(zone: Zone) -> None:
    zone.records.quota = 2
    with pytest.raises(Refusal, match="quota"):
        zone.records.batch({"posts": [a(1), a(2), a(3)]})
    assert zone.records.records() == []


def test_names_are_completed(zone: Zone) -> None:
    made = zone.records.batch({"posts": [
        {**a(1), "name": name} for name in ("@", "B", "c.z.example.", "*.d", "elsewhere.example")
    ]})["posts"]  # fmt: skip
    assert [one["name"] for one in made] == [
        "z.example", "b.z.example", "c.z.example", "*.d.z.example", "elsewhere.example.z.example",
    ]  # fmt: skip


# --- who may what -------------------------------------------------------------------------------------------------


def test_tokens_and_accounts(service: CloudflareStandIn, zone: Zone) -> None:
    def ask(token: str, *, writes: bool = False) -> int:
        with cloudflare.Cloudflare(api_token=token, base_url=service.url, max_retries=0) as made:
            path = f"/zones/{zone.records.id}/dns_records"
            try:
                made.post(path, cast_to=object, body=a(1)) if writes else made.get(path, cast_to=object)
            except cloudflare.APIStatusError as error:
                return code(error)
        return 0

    assert ask("too short") == 6003
    assert ask("f" * 40) == 9109
    assert ask(service.new_token(service.new_account("stranger"))) == 7003
    reader = service.new_token(zone.account, writes=False)
    assert (ask(reader), ask(reader, writes=True)) == (0, 10000)
    assert ask(service.new_token(zone.account), writes=True) == 0
    old = cloudflare.Cloudflare(api_email="x@example.com", api_key="k", base_url=service.url, max_retries=0)
    with old, pytest.raises(cloudflare.BadRequestError):
        list(old.zones.list())


def test_what_is_served(zone: Zone) -> None:
    zone.records.batch({"posts": [
        a(1, proxied=True), {**a(2), "name": "b", "ttl": 1}, {**a(3), "name": "b", "ttl": 120},
        {"name": "@", "type": "CNAME", "ttl": 300, "content": "x.example"},
    ]})  # fmt: skip
    served = {(one.owner, one.kind): (one.ttl, one.texts) for one in zone.records.served()}
    assert served == {
        ("a.z.example.", "A"): (300, ("104.16.0.1",)), ("a.z.example.", "AAAA"): (300, ("2606:4700::6810:1",)),
        ("b.z.example.", "A"): (120, ("192.0.2.2", "192.0.2.3")),
        ("z.example.", "A"): (300, ("104.16.0.1",)), ("z.example.", "AAAA"): (300, ("2606:4700::6810:1",)),
    }  # fmt: skip


# --- another tool -------------------------------------------------------------------------------------------------


def test_octodns_converges(service: CloudflareStandIn, zone: Zone) -> None:
    from octodns.record import Record
    from octodns.zone import Zone as OctoZone
    from octodns_cloudflare import CloudflareProvider

    token = service.new_token(zone.account)

    def provider() -> Any:
        return CloudflareProvider("cf", token=token, api_url=service.url, records_per_page=2)

    def wanted(ttl: int, *addresses: str) -> Any:
        made = OctoZone("z.example.", [])
        naptr = {"order": 10, "preference": 100, "flags": "S", "service": "SIP+D2U", "regexp": "",
                 "replacement": "_sip._udp.acme.z.example."}  # fmt: skip
        srv = {"priority": 1, "weight": 2, "port": 5060, "target": "sip.example."}
        for name, kind, values in (
            ("acme", "A", list(addresses)), ("acme", "NAPTR", [naptr]), ("_sip._udp.acme", "SRV", [srv]),
            ("acme", "MX", [{"preference": 10, "exchange": "mx.example."}]), ("acme", "TXT", ["v=spf1 -all"]),
            ("acme", "CAA", [{"flags": 0, "tag": "issue", "value": "ca.example"}]),
        ):  # fmt: skip
            made.add_record(Record.new(made, name, {"type": kind, "ttl": ttl, "values": values}))
        return made

    for ttl, addresses in ((300, ("192.0.2.1", "192.0.2.2")), (600, ("192.0.2.2", "192.0.2.3"))):
        plan = provider().plan(wanted(ttl, *addresses))
        assert plan is not None
        provider().apply(plan)
        assert provider().plan(wanted(ttl, *addresses)) is None
    assert {one["ttl"] for one in zone.records.records()} == {600}
