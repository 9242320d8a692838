"""How a server's ways are told: pace, limits, EDNS, letter case. Time is given, never waited for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns.asking.conduct import Conduct, Pace
from realmkit.dns.asking.exchange import Failure, Outcome
from realmkit.dns.asking.peer import Dice, Health


def sent_within(pace: Pace, start: float, seconds: float, step: float = 0.001) -> int:
    """How many messages may go in that time, tried every `step` seconds."""
    return sum(pace.take(start + number * step) == 0 for number in range(int(seconds / step)))


# --- pace ------------------------------------------------------------------------------------------------------


@given(st.floats(1, 500), st.integers(1, 50))
def test_never_more_than_the_rate_and_one_burst(rate: float, burst: int) -> None:
    assert sent_within(Pace(rate, burst, 0.0), 0.0, 4.0) <= burst + rate * 4 + 1


def test_without_a_rate_everything_goes() -> None:
    assert sent_within(Pace(None, 1, 0.0), 0.0, 1.0) == 1000


def test_a_pause_is_as_long_as_it_must_be() -> None:
    pace = Pace(10.0, 1, 0.0)
    assert pace.take(0.0) == 0
    pause = pace.take(0.0)
    assert pause == pytest.approx(0.1)
    assert pace.take(pause) == 0


def test_a_complaint_halves_the_rate_once_for_all_that_was_sent_before() -> None:
    pace = Pace(40.0, 20, 0.0)
    assert [pace.slow(sent, 1.0) for sent in (0.1, 0.2, 0.9, 1.0)] == [True, False, False, False]
    assert pace.rate == 20
    assert pace.slow(1.5, 2.0)
    assert pace.rate == 10


def test_the_rate_has_a_floor() -> None:
    pace, slow_by_choice, free = Pace(40.0, 20, 0.0), Pace(0.5, 1, 0.0), Pace(None, 1, 0.0)
    for number in range(1, 20):
        for one in (pace, slow_by_choice, free):
            one.slow(number - 0.5, float(number))
    assert (pace.rate, slow_by_choice.rate, free.rate) == (2.0, 0.5, 2.0)


def test_a_slowed_server_gets_no_burst() -> None:
    pace = Pace(40.0, 20, 0.0)
    for number in (1.0, 2.0, 3.0, 4.0):
        pace.slow(number - 0.5, number)
    assert pace.rate == 2.5
    assert sent_within(pace, 8.0, 0.2) <= 3


@pytest.mark.parametrize(("rate", "end"), [(40.0, 40.0), (None, None)])
def test_time_without_complaint_makes_it_faster_up_to_what_it_was(rate: float | None, end: float | None) -> None:
    pace = Pace(rate, 20, 0.0)
    pace.slow(0.5, 1.0)
    seen = []
    for now in range(2, 200):
        pace.take(float(now))
        seen.append(pace.rate)
    assert seen[0] == (20 if rate else 50)
    assert seen[-1] == end
    numbers = [one for one in seen if one is not None]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 3  # by and by


def test_a_server_that_was_slowed_down_before_begins_there() -> None:
    pace, slower = Pace(40.0, 20, 0.0), Pace(3.0, 20, 0.0)
    pace.resume(5.0, 0.0)
    slower.resume(5.0, 0.0)
    assert (pace.rate, slower.rate) == (5.0, 3.0)
    assert sent_within(pace, 0.0, 1.0) <= 6


# --- limits ----------------------------------------------------------------------------------------------------


def conduct() -> Conduct:
    return Conduct(edns=True, mix_case=True)


def test_silence_to_most_of_many_is_a_limit() -> None:
    one = conduct()
    one.heard(5, 0.0)
    assert [one.died(0.0) for _ in range(195)].count(True) >= 1


def test_loss_of_a_third_is_none() -> None:
    one = conduct()
    told = False
    for number in range(2000):
        one.heard(2, float(number))
        told = told or one.died(float(number))
    assert not told


def test_an_outage_is_none() -> None:
    one = conduct()
    one.heard(500, 10.0)
    assert not any(one.died(11.0) for _ in range(200))  # nothing sent at that time or later was answered


def test_a_few_lost_ones_are_none() -> None:
    one = conduct()
    one.heard(1, 0.0)
    assert not any(one.died(0.0) for _ in range(15))


def test_a_server_that_truncates_everything_wants_tcp_if_it_answers_there() -> None:
    one, without_tcp, whole_before = conduct(), conduct(), conduct()
    one.tcp_heard = whole_before.tcp_heard = True
    whole_before.heard(1, 0.0)
    for each in (one, without_tcp, whole_before):
        for _ in range(3):
            each.truncated()
    assert (one.wants_tcp, without_tcp.wants_tcp, whole_before.wants_tcp) == (True, False, False)


def test_a_server_that_is_never_content_is_asked_over_tcp_if_it_answers_there() -> None:
    one, without_tcp = conduct(), conduct()
    one.tcp_heard = True
    for each in (one, without_tcp):
        each.slowed()
        each.slowed()
        assert not each.wants_tcp
        each.slowed()
    assert (one.wants_tcp, without_tcp.wants_tcp) == (True, False)


# --- EDNS ------------------------------------------------------------------------------------------------------


def test_a_refusal_is_certain_once_the_same_is_answered_without() -> None:
    one = conduct()
    one.refuses_edns("FORMERR")
    assert (one.edns, one.refusal) == (False, "")
    assert one.answers_without_edns(after_silence=False)
    assert one.refusal == "FORMERR"
    assert not one.answers_without_edns(after_silence=False)  # told already
    one.refuses_without_edns_too()
    assert not one.edns


def test_a_server_that_refuses_without_edns_too_is_asked_with_it_again() -> None:
    one = conduct()
    one.refuses_edns("FORMERR")
    one.refuses_without_edns_too()
    assert one.edns
    assert not one.answers_without_edns(after_silence=False)


def test_silence_blames_edns_only_by_three_witnesses() -> None:
    one = conduct()
    assert [one.answers_without_edns(after_silence=True) for _ in range(3)] == [False, False, True]
    assert (one.edns, one.refusal) == (False, "silence")


def test_silence_never_blames_edns_where_it_ever_worked() -> None:
    one = conduct()
    one.edns_heard = True
    assert not any(one.answers_without_edns(after_silence=True) for _ in range(10))
    assert one.edns


# --- health and dice -------------------------------------------------------------------------------------------


def health_after(*events: tuple[float, float, Failure] | float) -> Health:
    """The health after dead tries (when sent, when given up, why) and signs of life (when)."""
    health = Health()
    for event in events:
        if isinstance(event, float):
            health.alive(event)
        else:
            health.died(*event)
    return health


SILENT, CLOSED = Failure(Outcome.TIMEOUT, "no answer"), Failure(Outcome.REFUSED, "closed")


@pytest.mark.parametrize(
    "events",
    [
        ((1.0, 2.0, SILENT), (1.5, 2.0, SILENT), (1.6, 2.0, SILENT)),  # all sent before the first had died
        ((1.0, 2.0, SILENT), (2.5, 3.0, SILENT), 3.1, (4.0, 4.5, SILENT), (5.0, 5.5, SILENT)),
        ((1.0, 2.0, SILENT), (2.5, 3.0, SILENT), 3.1, (3.05, 4.0, SILENT)),  # sent before the sign of life
    ],
)
def test_a_server_is_not_called_down_too_early(events: tuple[tuple[float, float, Failure] | float, ...]) -> None:
    assert health_after(*events).failure is None


def test_three_dead_tries_one_after_the_other_mark_a_server_down() -> None:
    health = health_after((1.0, 2.0, SILENT), (2.5, 3.0, CLOSED), (3.5, 4.0, SILENT))
    assert health.failure == (Outcome.REFUSED, "server marked down: 3 dead tries in a row (closed)")
    health.revive(7.0)
    assert health.failure is None


NAME = names.from_text("_sip._udp.abc-123.Example\\200\\065.net.")


def test_case_is_mixed_in_letters_only_and_differently_each_time() -> None:
    dice = Dice()
    seen = Counter(dice.mixed([NAME] * 500))
    assert {one.lower() for one in seen} == {NAME}
    assert len(seen) > 450
    upper = Counter(position for one in seen for position in range(len(NAME)) if one[position] != NAME[position])
    letters = [position for position, octet in enumerate(NAME) if octet < 0x80 and chr(octet).isalpha()]
    assert sorted(upper) == letters
    assert all(150 < count < 350 for count in upper.values())


@given(st.lists(st.sampled_from(["a", "_sip._udp.b", "1", ".", "*.c-d", "x" * 63])))
def test_many_names_are_mixed_each_for_itself(texts: list[str]) -> None:
    many = [names.absolute(text) for text in texts]
    assert [one.lower() for one in Dice().mixed(many)] == many


def test_ids_never_run_out() -> None:
    dice = Dice()
    idents = Counter(dice.ident(()) for _ in range(5000))
    assert {len(ident) for ident in idents} == {2}
    assert len(idents) > 4500


def test_an_id_that_is_taken_is_not_drawn() -> None:
    dice = Dice()
    taken = {number.to_bytes(2, "big") for number in range(65536)} - {b"\x12\x34"}
    assert dice.ident(taken) == b"\x12\x34"
