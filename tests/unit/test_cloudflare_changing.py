"""The Cloudflare provider where a zone is read in pages, changes under its hands, or is written in many batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.errors import (
    ConflictError,
    OutcomeUnknownError,
    ProviderError,
    UnreachableError,
)
from realmkit_providers import cloudflare_api
from tests.lab.front import Answer, Front, Strike
from tests.standins.cloudflare_play import APEX, Play


def envelope(**more: Any) -> bytes:
    return json.dumps({"success": True, "errors": [], "messages": [], "result": None, **more}).encode()


def is_write(request: bytes) -> bool:
    return request.startswith(b"POST ")


def read(play: Play) -> None:
    play.provider.snapshot(APEX)


def failure(play: Play) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        read(play)
    assert caught.value.hint
    return caught.value


# --- pages ------------------------------------------------------------------------------------------------------


def fill(play: Play, count: int = 25) -> None:
    for number in range(count):
        play.has(f"h{number:03}", "A", 300, "192.0.2.1")


def pages(front: Front) -> list[bytes]:
    return [request for request in front.requests if b"/dns_records?" in request]


def test_pages_that_are_smaller_than_asked_for(play: Play, front: Front) -> None:
    fill(play)
    play.there.most_per_page = 10
    assert len(play.provider.snapshot(APEX).rrsets) == 25
    assert len(pages(front)) == 3
    assert b"per_page=5000" in pages(front)[0]


def page_of(play: Play, start: int, stop: int, info: dict[str, Any] | None) -> bytes:
    more = {"result_info": info} if info is not None else {}
    return envelope(result=play.records()[start:stop], **more)


def serve(front: Front, *answers: bytes) -> None:
    """These pages, one after the other, in place of the API's."""
    queue = list(answers)
    strike = Strike(Answer(500), lambda request: b"/dns_records?" in request)

    def turn() -> None:
        strike.answer = Answer(200, queue.pop(0))

    strike.first = turn
    front.strike = strike


def test_pages_without_a_count_go_on_until_an_empty_one(play: Play, front: Front) -> None:
    fill(play)
    serve(front, page_of(play, 0, 10, None), page_of(play, 10, 25, None), page_of(play, 0, 0, None))
    assert len(play.provider.snapshot(APEX).rrsets) == 25


def test_pages_that_are_counted_and_records_that_are_not(play: Play, front: Front) -> None:
    fill(play)
    info = {"total_pages": 2}
    serve(front, page_of(play, 0, 20, info), page_of(play, 20, 25, info))
    assert len(play.provider.snapshot(APEX).rrsets) == 25


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda play: page_of(play, 0, 0, {"total_count": 25}), id="empty"),
        pytest.param(lambda play: page_of(play, 10, 20, {"total_count": 25, "total_pages": 2}), id="short"),
        pytest.param(lambda play: envelope(result=None, result_info={"total_count": 25}), id="null"),
    ],
)
def test_a_page_that_is_missing_or_short_is_no_end(play: Play, front: Front, second: Callable[[Play], bytes]) -> None:
    fill(play)
    serve(front, page_of(play, 0, 10, {"total_count": 25, "total_pages": 2}), second(play))
    error = failure(play)
    assert type(error) is ProviderError


def test_a_zone_that_changes_while_it_is_read_is_read_again(play: Play, front: Front) -> None:
    fill(play)
    play.there.most_per_page = 10

    def one_more() -> None:
        play.has("new", "A", 300, "192.0.2.1")

    front.strike = Strike(None, lambda request: b"page=2" in request, times=1, first=one_more)
    assert len(play.provider.snapshot(APEX).rrsets) == 26
    assert len(pages(front)) == 2 + 3


def test_a_record_that_wanders_to_the_next_page_is_not_counted_twice(play: Play, front: Front) -> None:
    """One is made before and one deleted after: the count stays, the pages overlap."""
    fill(play)
    info = {"total_count": 25, "total_pages": 2}
    overlap = (page_of(play, 0, 15, info), page_of(play, 14, 24, info))
    serve(front, *overlap, page_of(play, 0, 15, info), page_of(play, 15, 25, info))
    assert len(play.provider.snapshot(APEX).rrsets) == 25


def test_a_zone_that_never_stands_still_is_given_up(play: Play, front: Front) -> None:
    fill(play)
    play.there.most_per_page = 10
    count = iter(range(100))

    def one_more() -> None:
        play.has(f"n{next(count)}", "A", 300, "192.0.2.1")

    front.strike = Strike(None, lambda request: b"page=2" in request, first=one_more)
    error = failure(play)
    assert type(error) is UnreachableError
    assert "3 times" in error.message


# --- the window between batches -----------------------------------------------------------------------------------


def batch(play: Play, number: int, token: str) -> str:
    change = Change(None, play.rrset(f"n{number}", "A", 300, "192.0.2.1"))
    return play.provider.apply(APEX, [change], token).token


def test_a_run_of_batches_is_listed_once(play: Play) -> None:
    token = play.provider.snapshot(APEX).token
    play.there.counts.clear()
    for number in range(10):
        token = batch(play, number, token)
        play.clock.seconds += 0.5
    assert play.there.counts == {"list": 1, "batch": 10}
    assert play.provider.snapshot(APEX).token == token


def test_a_long_run_is_listed_now_and_then(play: Play) -> None:
    token = play.provider.snapshot(APEX).token
    play.there.counts.clear()
    for number in range(20):
        token = batch(play, number, token)
        play.clock.seconds += 2.0
    assert play.there.counts == {"list": 3, "batch": 20}  # at 0, 16 and 32 seconds


@pytest.mark.parametrize(("seconds", "lists"), [(2.9, 0), (3.0, 1), (60.0, 1)])
def test_after_three_seconds_the_zone_is_listed_again(play: Play, seconds: float, lists: int) -> None:
    token = batch(play, 1, play.provider.snapshot(APEX).token)
    play.there.counts.clear()
    play.clock.seconds += seconds
    batch(play, 2, token)
    assert play.there.counts["list"] == lists


def test_a_snapshot_is_no_reading_for_a_batch(play: Play) -> None:
    """Between a snapshot and a batch lie reviews and hours; however short it was, the zone is listed."""
    token = play.provider.snapshot(APEX).token
    play.there.counts.clear()
    batch(play, 1, token)
    assert play.there.counts["list"] == 1


def test_another_token_than_the_last_receipts_is_compared_by_a_list(play: Play) -> None:
    first = play.provider.snapshot(APEX).token
    batch(play, 1, first)
    play.there.counts.clear()
    with pytest.raises(ConflictError):
        batch(play, 2, first)
    assert play.there.counts == {"list": 1}


def test_after_a_batch_that_failed_the_zone_is_listed(play: Play, front: Front) -> None:
    token = batch(play, 1, play.provider.snapshot(APEX).token)
    front.strike = Strike(Answer(503, b""), is_write, times=1)
    with pytest.raises(OutcomeUnknownError):
        batch(play, 2, token)
    play.there.counts.clear()
    batch(play, 2, token)
    assert play.there.counts["list"] == 1


def test_a_writer_within_the_window_is_noticed_where_it_matters(play: Play) -> None:
    """Within three seconds there is no list. What is changed by id is noticed; what is elsewhere by the next list."""
    rrset = play.rrset("n1", "A", 300, "192.0.2.1")
    token = batch(play, 1, play.provider.snapshot(APEX).token)
    play.drop("n1")
    with pytest.raises(ConflictError):
        play.provider.apply(APEX, [Change(rrset, None)], token)
    token = batch(play, 2, play.provider.snapshot(APEX).token)
    play.has("theirs", "A", 300, "192.0.2.66")
    token = batch(play, 3, token)
    play.clock.seconds += 10
    with pytest.raises(ConflictError):
        batch(play, 4, token)
    assert play.provider.snapshot(APEX).rrsets.keys() >= {(play.rrset("theirs", "A", 1, "192.0.2.1").name, rr.A)}


def test_a_ttl_that_someone_else_set_meanwhile_shows_in_the_answer(play: Play) -> None:
    """A patch of the TTL leaves their content, and the answer shows it: no success is reported for it."""
    rrset = play.rrset("n1", "A", 300, "192.0.2.1")
    token = batch(play, 1, play.provider.snapshot(APEX).token)
    play.patch(play.records()[0]["id"], content="192.0.2.66")
    with pytest.raises(OutcomeUnknownError):
        play.provider.apply(APEX, [Change(rrset, play.rrset("n1", "A", 60, "192.0.2.1"))], token)


# --- the pace -----------------------------------------------------------------------------------------------------


def test_the_pace_stays_below_1200_requests_in_five_minutes(play: Play) -> None:
    requests = 0
    while play.clock.seconds < 300:
        play.provider.snapshot(APEX)
        requests = play.there.counts["list"] + play.there.counts["zones"] if requests else 1
        if len(play.clock.slept) > 50:
            break
    rate = 1 / (sum(play.clock.slept[-40:]) / 40)
    assert 3.0 < rate <= 4.0
    assert cloudflare_api.BURST + rate * 300 <= 1200


def test_the_pace_is_shared_by_all_that_use_a_token(play: Play) -> None:
    others = [play.make() for _ in range(3)]
    for _ in range(40):
        for one in others:
            one.snapshot(APEX)
    assert play.clock.slept
