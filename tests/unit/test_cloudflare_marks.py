"""Ownership in the comments of Cloudflare's records: beside what people wrote, and never lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.errors import OutcomeUnknownError, RejectedError
from tests.lab.front import Front
from tests.standins.cloudflare_play import APEX, OWNER, Play, key


def test_what_people_wrote_stays(play: Play) -> None:
    play.post(name="a", type="A", content="192.0.2.1", comment="ask Bob")
    play.post(name="a", type="A", content="192.0.2.2")
    where = key("a", rr.A)
    token = play.provider.mark(APEX, {where: "acme"}, play.provider.snapshot(APEX).token).token
    assert play.comments() == {"192.0.2.1": "ask Bob [realmkit acme]", "192.0.2.2": "[realmkit acme]"}
    assert play.provider.snapshot(APEX).owners == {where: "acme"}
    play.provider.mark(APEX, {where: "other"}, token)
    assert play.comments() == {"192.0.2.1": "ask Bob [realmkit other]", "192.0.2.2": "[realmkit other]"}
    play.provider.mark(APEX, {where: None}, token)
    assert play.comments() == {"192.0.2.1": "ask Bob", "192.0.2.2": None}


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60))
def test_a_mark_goes_as_it_came(text: str) -> None:
    from realmkit_providers.cloudflare_state import marked, owner_in

    if owner_in(text) is None:
        assert owner_in(marked(text, OWNER)) == OWNER
        assert marked(marked(text, OWNER), None) == text


def test_one_mark_is_enough_and_two_owners_are_nobodys(play: Play) -> None:
    play.post(name="a", type="A", content="192.0.2.1")
    play.post(name="a", type="A", content="192.0.2.2", comment="[realmkit acme]")
    play.post(name="b", type="A", content="192.0.2.1", comment="[realmkit other]")
    play.post(name="b", type="A", content="192.0.2.2", comment="x [realmkit acme]")
    owners = play.provider.snapshot(APEX).owners
    assert owners[key("a", rr.A)] == "acme"
    assert owners[key("b", rr.A)] not in ("acme", "other")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["192.0.2.1", "192.0.2.2"], ["192.0.2.2"]),  # the one that is marked goes
        (["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.3"]),
        (["192.0.2.1"], ["192.0.2.8", "192.0.2.9"]),
        (["192.0.2.1", "192.0.2.2"], ["192.0.2.9"]),
        (["192.0.2.2"], ["192.0.2.2", "192.0.2.9"]),
    ],
)
@pytest.mark.parametrize("ttl", [300, 60])
def test_an_update_never_loses_the_mark(play: Play, before: list[str], after: list[str], ttl: int) -> None:
    for text in before:
        mark = {"comment": "by Bob [realmkit acme]"} if text == before[0] else {}
        play.post(name="a", type="A", content=text, **mark)
    play.apply(Change(play.rrset("a", "A", 300, *before), play.rrset("a", "A", ttl, *after)))
    seen = play.provider.snapshot(APEX)
    assert seen.owners == {key("a", rr.A): "acme"}
    assert {one["content"] for one in play.records()} == set(after)


def test_what_was_said_of_the_marked_record_goes_to_its_heir(play: Play) -> None:
    play.post(name="a", type="A", content="192.0.2.1", comment="old")
    play.post(name="a", type="A", content="192.0.2.2", comment="by Bob [realmkit acme]")
    play.apply(Change(play.rrset("a", "A", 300, "192.0.2.1", "192.0.2.2"), play.rrset("a", "A", 300, "192.0.2.3")))
    assert play.comments() == {"192.0.2.3": "by Bob [realmkit acme]"}


def test_records_of_nobody_get_no_mark_by_an_update(play: Play) -> None:
    before = play.has("a", "A", 300, "192.0.2.1")
    play.apply(Change(before, play.rrset("a", "A", 300, "192.0.2.2", "192.0.2.3")))
    assert set(play.comments().values()) == {None}


@pytest.mark.parametrize("settings", [{"comments": False}, {"owner": ""}])
def test_comments_can_be_left_alone(play: Play, settings: dict[str, Any]) -> None:
    play.provider = play.make(**settings)
    play.apply(Change(None, play.rrset("a", "A", 300, "192.0.2.1")))
    assert play.comments() == {"192.0.2.1": None}


def test_a_mark_that_does_not_fit(play: Play) -> None:
    play.post(name="a", type="A", content="192.0.2.1", comment="x" * 95)
    with pytest.raises(RejectedError, match="100 characters") as caught:
        play.provider.mark(APEX, {key("a", rr.A): "acme"}, play.provider.snapshot(APEX).token)
    assert caught.value.hint
    play.provider = play.make(owner="o" * 120)
    play.apply(Change(None, play.rrset("b", "A", 300, "192.0.2.2")))
    assert play.comments() == {"192.0.2.1": "x" * 95, "192.0.2.2": None}
    play.zone.records.plan = "pro"
    roomy = play.make()
    roomy.mark(APEX, {key("a", rr.A): "acme"}, roomy.snapshot(APEX).token)
    assert play.comments()["192.0.2.1"] == "x" * 95 + " [realmkit acme]"


def test_marking_what_is_not_there(play: Play) -> None:
    with pytest.raises(RejectedError, match=r"nowhere\.z\.example\. A: there is no such RRset"):
        play.provider.mark(APEX, {key("nowhere", rr.A): "acme"}, play.provider.snapshot(APEX).token)


def test_many_marks_take_several_batches_and_a_failure_among_them_is_said(play: Play) -> None:
    made = [play.has(f"h{number}", "A", 300, "192.0.2.1") for number in range(250)]
    play.post(name="h0", type="A", content="192.0.2.2")
    keys = {one.key: "acme" for one in made}
    play.there.counts.clear()
    play.provider.mark(APEX, keys, play.provider.snapshot(APEX).token)
    assert play.there.counts["batch"] == 2
    assert len(play.provider.snapshot(APEX).owners) == 250
    play.zone.records.batch_limit = 200

    with Front(play.there.url) as front:
        from tests.lab.front import Answer, Strike

        front.strike = Strike(Answer(503, b"ill"), lambda request: request.startswith(b"POST "), skip=1)
        provider = play.make(front.url + "/client/v4")
        with pytest.raises(OutcomeUnknownError, match="in part"):
            provider.mark(APEX, dict.fromkeys(keys, "other"), provider.snapshot(APEX).token)
