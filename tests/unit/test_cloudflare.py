"""The Cloudflare provider on its stand-in: what it writes, what it refuses to write, and within which limits."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns.plan import Change
from realmkit.dns.provider import KnowsLimits, KnowsServers, MakesZones, Notes, Provider
from realmkit.errors import InputError, RejectedError, SecretError
from realmkit_providers.cloudflare import Cloudflare
from realmkit_providers.cloudflare_batch import Notes as CommentNotes
from realmkit_providers.cloudflare_batch import batch_of, weigh
from tests.lab.front import Front
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.cloudflare_play import APEX, OWNER, Play, bodies


def test_it_is_all_that_it_can_be(play: Play) -> None:
    there: Provider = play.provider
    assert isinstance(there, Notes)
    assert isinstance(there, KnowsLimits)
    assert isinstance(there, KnowsServers)
    assert isinstance(there, MakesZones)
    assert play.token not in repr(there)


# --- operations -------------------------------------------------------------------------------------------------


def test_what_stays_is_not_sent(play: Play) -> None:
    before = play.has("a", "A", 300, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    after = play.rrset("a", "A", 300, "192.0.2.2", "192.0.2.3", "192.0.2.4")
    batch = batch_of(play.state(), [Change(before, after)], CommentNotes("acme", 100))
    (patch,) = batch.patches
    assert patch == {"id": play.records()[0]["id"], "name": "a.z.example", "type": "A", "ttl": 300,
                     "content": "192.0.2.4", "proxied": False}  # fmt: skip
    assert (batch.deletes, batch.posts) == ([], [])


def test_a_ttl_is_patched_by_id(play: Play) -> None:
    before = play.has("a", "SRV", 300, "1 1 5060 x.", "2 1 5060 y.")
    batch = batch_of(play.state(), [Change(before, play.rrset("a", "SRV", 60, "1 1 5060 x.", "2 1 5060 y."))],
                     CommentNotes("acme", 100))  # fmt: skip
    assert batch.body() == {"patches": [{"id": one["id"], "ttl": 60} for one in play.records()]}


def test_delegations_come_before_their_ds_and_go_after_it(play: Play) -> None:
    """The stand-in asks for the NS, as octodns-cloudflare 1.2.0 says that Cloudflare does."""
    ds = play.rrset("sub", "DS", 300, "1 13 2 " + "ab" * 32)
    ns = play.rrset("sub", "NS", 300, "ns.example.")
    token = play.apply(Change(None, ds), Change(None, ns))
    assert {one["type"] for one in play.records()} == {"DS", "NS"}
    with Front(play.there.url) as front:
        provider = play.make(front.url + "/client/v4")
        kinds = {one["id"]: one["type"] for one in play.records()}
        provider.apply(APEX, [Change(ns, None), Change(ds, None)], token)
        assert [kinds[one["id"]] for one in bodies(front)[0]["deletes"]] == ["DS", "NS"]
    assert play.records() == []


VALUES = st.sets(st.integers(1, 5), min_size=1, max_size=4)
SIDE = st.one_of(
    st.none(),
    st.tuples(st.just("A"), st.sampled_from([60, 300, 900]), VALUES),
    st.tuples(st.just("TXT"), st.sampled_from([60, 300, 900]), VALUES),
    st.tuples(st.just("CNAME"), st.sampled_from([60, 300]), VALUES.map(lambda found: {min(found)})),
)


def _rrsets(sides: list[tuple[str, int, set[int]] | None]) -> dict[Any, Any]:
    made = {}
    for number, side in enumerate(sides):
        if side is not None:
            kind, ttl, values = side
            texts = [{"A": f"192.0.2.{one}", "TXT": f'"{one}"', "CNAME": f"x{one}.example."}[kind] for one in values]
            rrset = Play.rrset(f"n{number}", kind, ttl, *texts)
            made[rrset.key] = rrset
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=5))
def test_from_anything_to_anything_in_one_batch(service: CloudflareStandIn, pairs: list[tuple[Any, Any]]) -> None:
    """Whatever the order of a batch, no step of it meets what it forbids; and no more is spent than was weighed."""
    play = Play(service, "pro")
    try:
        old, new = _rrsets([pair[0] for pair in pairs]), _rrsets([pair[1] for pair in pairs])
        play.apply(*(Change(None, rrset) for rrset in old.values()))
        changes = [Change(old.get(one), new.get(one)) for one in {**old, **new} if old.get(one) != new.get(one)]
        spent = len(batch_of(play.state(), changes, CommentNotes("acme", 500)))
        assert spent <= weigh(changes).elements
        assert spent > 0 or not changes
        play.apply(*changes)
        seen = play.provider.snapshot(APEX)
        assert seen.rrsets == new
        assert seen.owners == dict.fromkeys(new, "acme")
        assert len({one["id"] for one in play.records()}) == len(play.records())
    finally:
        service.delete_zone("z.example")


def test_the_receipt_bears_cloudflares_own_reference(play: Play) -> None:
    token = play.provider.snapshot(APEX).token
    receipt = play.provider.apply(APEX, [Change(None, play.rrset("a", "A", 300, "192.0.2.1"))], token)
    assert receipt.reference.endswith("-LAB")  # cf-ray
    assert play.provider.settled(receipt)


def test_no_change_sends_nothing(play: Play) -> None:
    play.there.counts.clear()
    token = play.provider.snapshot(APEX).token
    assert play.provider.apply(APEX, [], token).token == token
    assert play.there.counts["batch"] == 0


@pytest.mark.parametrize(
    ("name", "kind", "ttl", "text"),
    [
        ("a", "A", 1, "192.0.2.1"),  # it would be taken, and mean 300
        ("a", "A", 59, "192.0.2.1"),
        ("a", "A", 86401, "192.0.2.1"),
        ("a", "LOC", 300, "31 58 52.1 S 115 49 11.7 E 20m"),
        ("@", "NS", 300, "ns.example."),
        ("a", "NAPTR", 300, '1 1 "" "" "\\255" .'),
    ],
)
def test_what_would_mean_something_else_is_not_sent(play: Play, name: str, kind: str, ttl: int, text: str) -> None:
    play.there.counts.clear()
    with pytest.raises(RejectedError) as caught:
        play.apply(Change(None, play.rrset(name, kind, ttl, text)))
    assert caught.value.hint
    assert play.there.counts["batch"] == 0


def test_names_outside_the_zone_are_not_sent(play: Play) -> None:
    """Cloudflare would complete them with the zone's name."""
    from tests.contract.oracle import bind

    with pytest.raises(RejectedError, match="outside"):
        play.apply(Change(None, bind(("elsewhere", "A", 300, ("192.0.2.1",)), names.absolute("other.example"))))


def test_nothing_is_put_beside_a_cname(play: Play) -> None:
    alias = play.has("a", "CNAME", 300, "x.example.")
    text = Change(None, play.rrset("a", "TXT", 300, '"x"'))
    with pytest.raises(RejectedError, match="beside"):
        play.apply(text)
    play.apply(text, Change(alias, None))
    assert [one["type"] for one in play.records()] == ["TXT"]


# --- plans ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "changes", "ttl"), [("free", 200, 60), ("pro", 3500, 60), ("business", 3500, 60), ("enterprise", 3500, 30)]
)
def test_the_limits_are_those_of_the_zones_plan(play: Play, plan: str, changes: int, ttl: int) -> None:
    play.zone.records.plan = plan
    limits = play.provider.limits(APEX)
    assert (limits.max_changes, limits.min_ttl) == (changes, ttl)
    assert (Cloudflare.capabilities.max_changes, Cloudflare.capabilities.min_ttl) == (200, 60)
    play.there.counts.clear()
    play.provider.limits(APEX)
    assert play.there.counts == {}, "asked for once"
    play.zone.records.plan = "pro"
    assert play.make(plan="free").limits(APEX).max_changes == 200


def test_a_plan_of_no_known_name_is_taken_for_the_smallest(play: Play, service: CloudflareStandIn) -> None:
    shown = play.zone.shown
    play.zone.shown = lambda: shown() | {"plan": {"legacy_id": "novel"}}  # type: ignore[method-assign]
    assert play.provider.limits(APEX).max_changes == 200


def test_a_ttl_of_thirty_on_enterprise(play: Play) -> None:
    play.zone.records.plan = "enterprise"
    play.apply(Change(None, play.rrset("a", "A", 30, "192.0.2.1")))
    assert play.records()[0]["ttl"] == 30


def test_a_batch_over_the_limit_is_not_sent(play: Play) -> None:
    play.there.counts.clear()
    many = [Change(None, play.rrset(f"h{number}", "A", 300, "192.0.2.1")) for number in range(201)]
    with pytest.raises(RejectedError, match=r"201 operations.*takes 200"):
        play.apply(*many)
    assert play.there.counts["batch"] == 0


def test_a_limit_that_is_lower_than_thought_is_said_with_its_mend(play: Play) -> None:
    play.zone.records.plan = "pro"
    play.zone.records.batch_limit = 200
    many = [Change(None, play.rrset(f"h{number}", "A", 300, "192.0.2.1")) for number in range(201)]
    with pytest.raises(RejectedError, match="limit of 200") as caught:
        play.apply(*many)
    assert "plan: free" in (caught.value.hint or "")
    assert play.records() == []


# --- servers and zones ------------------------------------------------------------------------------------------


def test_the_servers_are_those_of_the_zone(play: Play) -> None:
    assert play.provider.nameservers(APEX) == ["ana.ns.cloudflare.com", "bob.ns.cloudflare.com"]
    play.zone.vanity = ["ns1.reseller.example"]
    assert play.make().nameservers(APEX) == ["ns1.reseller.example"]


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_zone_is_made_in_the_account_of_the_settings(play: Play, by: str) -> None:
    new = names.absolute("new.example")
    provider = play.make(account=getattr(play.account, by))
    provider.create_zone(new)
    try:
        assert "pending" in provider.snapshot(new).unread[0]
        with pytest.raises(RejectedError, match="1061"):
            provider.create_zone(new)
    finally:
        play.there.delete_zone("new.example")


def test_a_zone_is_made_in_no_account_by_guess(play: Play) -> None:
    with pytest.raises(RejectedError, match="none is named"):
        play.provider.create_zone(names.absolute("new.example"))
    with pytest.raises(RejectedError, match="0 accounts called 'nobody'"):
        play.make(account="nobody").create_zone(names.absolute("new.example"))


# --- settings and secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "api.cloudflare.com", "ftp://127.0.0.1", "https://", "https://h:0", "https://h:x", "https://h/?x", "https://[",
     "https://h/#x", "https://h\n", "http://api.cloudflare.com/client/v4", "https://user:hunter2@h"],
)  # fmt: skip
def test_a_base_url_that_is_none(play: Play, url: str) -> None:
    from pathlib import Path

    from realmkit.dns.provider import Context, Secret
    from realmkit_providers.cloudflare import CloudflareSettings

    context = Context(Path(), OWNER, lambda _: play.token, play.clock)
    with pytest.raises(InputError) as caught:
        Cloudflare(CloudflareSettings(Secret("env:X"), base_url=url), context)
    assert "hunter2" not in caught.value.message
    assert caught.value.hint


def test_the_global_key_is_refused(play: Play) -> None:
    global_key = "0123456789abcdef0123456789abcdef01234"
    with pytest.raises(SecretError, match="env:CF_TOKEN") as caught:
        play.make(token=global_key).snapshot(APEX)
    assert global_key not in caught.value.message
    assert "API token" in (caught.value.hint or "")


@pytest.mark.parametrize("token", ["two\nlines", "schl\u00fcssel", "with blank"])
def test_a_token_that_no_header_carries(play: Play, token: str) -> None:
    with pytest.raises(SecretError) as caught:
        play.make(token=token).snapshot(APEX)
    assert token not in str(caught.value)


def test_the_environment_is_not_asked(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes a token, a key, an address and headers from there, unless it is kept from it."""
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_USER_SERVICE_KEY"):
        monkeypatch.setenv(name, "x" * 40)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("CLOUDFLARE_CUSTOM_HEADERS", "Authorization: Bearer y\nX-Odd: z")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Front(play.there.url) as front:
        play.make(front.url + "/client/v4").snapshot(APEX)
        assert len(front.requests) == 2
        for request in front.requests:
            head = request.decode("latin-1").lower()
            assert f"authorization: bearer {play.token}" in head
            assert not any(word in head for word in ("x-auth", "x-odd", "xxxx", "x-stainless"))


def test_importing_it_is_cheap() -> None:
    heavy = ("cloudflare", "httpx", "pydantic", "ssl", "dns")
    code = f"import sys, realmkit_providers.cloudflare; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
