"""The Cloudflare provider on its stand-in: what it reads, and names that are served as something else."""

from __future__ import annotations

import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.errors import ConflictError, NoZoneError, RejectedError
from tests.lab.front import Front
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.cloudflare_play import APEX, Play, bodies, key


def test_a_ttl_of_auto_is_read_as_what_it_is(play: Play) -> None:
    play.post(name="auto", type="A", content="192.0.2.1", ttl=1)
    seen = play.provider.snapshot(APEX)
    assert seen.rrsets[key("auto", rr.A)].ttl == 300
    play.patch(play.records()[0]["id"], ttl=300)
    assert play.provider.snapshot(APEX) == seen  # nothing that is served has changed


def test_auto_is_left_alone_where_300_is_wanted(play: Play) -> None:
    play.post(name="auto", type="A", content="192.0.2.1", ttl=1)
    before = play.rrset("auto", "A", 300, "192.0.2.1")
    play.apply(Change(before, play.rrset("auto", "A", 300, "192.0.2.1", "192.0.2.2")))
    assert sorted((one["content"], one["ttl"]) for one in play.records()) == [("192.0.2.1", 1), ("192.0.2.2", 300)]
    assert play.provider.snapshot(APEX).rrsets[before.key].ttl == 300


def test_differing_ttls_are_told_and_mended(play: Play) -> None:
    for number, ttl in ((1, 600), (2, 120), (3, 900)):
        play.post(name="m", type="A", content=f"192.0.2.{number}", ttl=ttl)
    seen = play.provider.snapshot(APEX)
    texts = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    before = play.rrset("m", "A", 120, *texts)
    assert seen.rrsets == {before.key: before}
    assert seen.mixed == {before.key}
    there = play.provider.apply(APEX, [Change(before, before)], seen.token)
    assert {one["ttl"] for one in play.records()} == {120}
    assert play.provider.snapshot(APEX).mixed == frozenset()
    assert play.provider.snapshot(APEX).token == there.token != seen.token


def test_numbers_that_come_as_floats(play: Play, service: CloudflareStandIn) -> None:
    rrset = play.has("_sip._udp", "SRV", 300, "10 50 5060 a.example.")
    service.floats = True
    try:
        assert play.provider.snapshot(APEX).rrsets == {rrset.key: rrset}
        play.apply(Change(rrset, play.rrset("_sip._udp", "SRV", 60, "10 50 5061 a.example.")))
    finally:
        service.floats = False


def test_what_can_not_be_said_is_told_and_counts(play: Play) -> None:
    play.has("loc", "LOC", 300, "31 58 52.1 S 115 49 11.7 E 20m 10m 10m 2m")
    row = next(iter(play.records()))
    row["content"] = "IN LOC as octodns shows it"  # the stand-in would not take it
    seen = play.provider.snapshot(APEX)
    assert seen.rrsets == {}
    assert seen.unread[0].startswith("loc.z.example LOC: ")
    assert seen.opaque.keys() == {key("loc", 29)}
    row["content"] = "IN LOC something else"
    with pytest.raises(ConflictError):
        play.provider.apply(APEX, [Change(None, play.rrset("a", "A", 300, "192.0.2.1"))], seen.token)


@pytest.mark.parametrize(("status", "word"), [("pending", "delegation"), ("moved", "elsewhere")])
def test_a_zone_that_is_not_active_says_so(play: Play, status: str, word: str) -> None:
    play.zone.status = status
    (said,) = play.provider.snapshot(APEX).unread
    assert status in said
    assert word in said


def test_the_active_zone_is_meant_where_there_are_several(play: Play, service: CloudflareStandIn) -> None:
    other = service.new_account("other")
    token = service.new_token(play.account, other)
    copy = service.new_zone("z.example", other, status="pending")
    play.has("a", "A", 300, "192.0.2.1")
    assert play.make(token=token).snapshot(APEX).rrsets.keys() == {key("a", rr.A)}
    play.zone.status = "moved"
    with pytest.raises(RejectedError) as caught:
        play.make(token=token).snapshot(APEX)
    assert "acme (moved), other (pending)" in caught.value.message
    assert "account" in (caught.value.hint or "")
    for account in ("other", other.id):
        assert "pending" in play.make(token=token, account=account).snapshot(APEX).unread[0]
    assert copy.records.records() == []


def test_a_zone_of_another_account_is_none(play: Play, service: CloudflareStandIn) -> None:
    token = service.new_token(service.new_account("stranger"))
    with pytest.raises(NoZoneError) as caught:
        play.make(token=token).snapshot(APEX)
    assert "account" in (caught.value.hint or "")
    assert "DNS:Edit" in (caught.value.hint or "")
    with pytest.raises(NoZoneError, match="'nobody'"):
        play.make(account="nobody").snapshot(APEX)


def test_a_zone_that_was_made_anew_is_found_again(play: Play, service: CloudflareStandIn) -> None:
    seen = play.provider.snapshot(APEX)
    service.delete_zone("z.example")
    service.new_zone("z.example", play.account)
    assert play.provider.snapshot(APEX) == seen


def test_a_secondary_is_not_written(play: Play) -> None:
    play.zone.kind = "secondary"
    with pytest.raises(RejectedError, match="secondary"):
        play.apply(Change(None, play.rrset("a", "A", 300, "192.0.2.1")))


# --- behind the proxy -------------------------------------------------------------------------------------------


def test_a_proxied_name_is_opaque(play: Play) -> None:
    play.post(name="web", type="A", content="192.0.2.1", proxied=True)
    play.post(name="alias", type="CNAME", content="web.z.example", proxied=True)
    play.post(name="web", type="MX", priority=10, content="mail.example")
    seen = play.provider.snapshot(APEX)
    assert seen.rrsets.keys() == {key("web", rr.MX)}
    assert seen.opaque.keys() == {
        key("web", rr.A), key("web", rr.AAAA), key("alias", rr.A), key("alias", rr.AAAA), key("alias", rr.CNAME),
    }  # fmt: skip
    assert all("Cloudflare's own addresses" in text for text in seen.opaque.values())
    assert seen.proxied == {names.prepend("web", APEX), names.prepend("alias", APEX)}
    assert [text.partition(":")[0] for text in seen.unread] == ["web.z.example A", "alias.z.example CNAME"]


def test_turning_the_cloud_changes_the_token(play: Play) -> None:
    one = play.post(name="web", type="A", content="192.0.2.1", ttl=1)
    before = play.provider.snapshot(APEX).token
    play.patch(one["id"], proxied=True)
    assert play.provider.snapshot(APEX).token != before


@pytest.mark.parametrize(
    ("name", "kind", "texts"),
    [
        ("web", "A", ["192.0.2.9"]),
        ("web", "AAAA", ["2001:db8::1"]),
        ("web", "CNAME", ["other.example."]),
        ("_sip._udp", "SRV", ["10 50 5060 sip.example.", "10 50 5060 web.z.example."]),
        ("@", "MX", ["10 web.z.example."]),
        ("@", "NAPTR", ['10 100 "A" "SIP+D2U" "" web.z.example.']),
    ],
)
def test_nothing_of_sip_or_mail_goes_to_a_proxied_name(play: Play, name: str, kind: str, texts: list[str]) -> None:
    play.post(name="web", type="A", content="192.0.2.1", proxied=True)
    before = play.records()
    with pytest.raises(RejectedError, match="SIP and mail do not pass Cloudflare's proxy") as caught:
        play.apply(Change(None, play.rrset(name, kind, 300, *texts)))
    assert "grey" in (caught.value.hint or "")
    assert "web.z.example." in (caught.value.hint or "")
    assert play.records() == before


def test_a_portal_s_alias_may_lead_to_a_web_page(play: Play) -> None:
    play.post(name="web", type="A", content="192.0.2.1", proxied=True)
    play.apply(Change(None, play.rrset("portal", "CNAME", 300, "web.z.example.")))
    assert key("portal", rr.CNAME) in play.provider.snapshot(APEX).rrsets


def test_proxied_false_is_said_aloud(play: Play) -> None:
    with Front(play.there.url) as front:
        provider = play.make(front.url + "/client/v4")
        made = [Change(None, play.rrset("a", "A", 300, "192.0.2.1")), Change(None, play.rrset("b", "CNAME", 300, "x."))]
        made.append(Change(None, play.rrset("c", "MX", 300, "10 x.")))
        provider.apply(APEX, made, provider.snapshot(APEX).token)
        (body,) = bodies(front)
    assert [one.get("proxied") for one in body["posts"]] == [False, False, None]


def test_a_cname_at_the_apex_or_set_to_be_flattened_is_opaque(play: Play) -> None:
    play.has("@", "CNAME", 300, "x.example.")
    flat = play.post(name="flat", type="CNAME", content="y.example", settings={"flatten_cname": True})
    seen = play.provider.snapshot(APEX)
    assert seen.rrsets == {}
    assert {where for where, kind in seen.opaque if kind == rr.A} == {APEX, names.prepend("flat", APEX)}
    with pytest.raises(RejectedError, match="flattens"):
        play.apply(Change(None, play.rrset("flat", "A", 300, "192.0.2.1")))
    play.patch(flat["id"], settings={})
    assert key("flat", rr.CNAME) in play.provider.snapshot(APEX).rrsets
    with pytest.raises(RejectedError, match="flattens"):
        play.apply(Change(None, play.rrset("@", "CNAME", 300, "z.example.")))
