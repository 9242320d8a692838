"""Waves and windows: who moves when. Laws for every playbook's numbers, and the words when there is no time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.migrate import expand, playbook, timetable
from realmkit.migrate.plan import Chain, Stage, Task, latest_start
from realmkit.migrate.timetable import NoWindowError, assign
from tests.unit.plans import START, Moves, phone, window

DEADLINE = START + timedelta(days=14)
SHARES = st.one_of(st.integers(0, 300).map(str), st.integers(0, 100).map("{}%".format))
WAVES = st.lists(SHARES, max_size=6).map(lambda parts: (*parts, "100%"))
BOOK = playbook.find("realm-migration", Path("/nowhere")).playbook


def stage(name: str, *, quiet: bool = True, estimate: float = 600.0, pause: float = 0.0) -> Stage:
    task = Task("t", name, "delay" if pause else "do", "" if pause else "account.unchanged", seconds=pause)
    return Stage(name, name, (Chain(None, (task,)),), quiet=quiet, estimate=estimate)


# --- waves ------------------------------------------------------------------------------------------------------------


@given(WAVES, st.integers(0, 400))
def test_waves_take_everybody_and_none_is_empty(parts: tuple[str, ...], phones: int) -> None:
    sizes = expand.wave_sizes(parts, phones)
    assert sum(sizes) == phones
    assert all(size > 0 for size in sizes)
    assert len(sizes) <= len(parts)


@given(WAVES, st.integers(1, 400))
def test_after_a_wave_at_least_its_share_is_taken_and_never_much_more(parts: tuple[str, ...], phones: int) -> None:
    sizes = expand.wave_sizes(parts, phones)
    taken = forced = 0
    for size, part in zip(sizes, parts, strict=False):
        wanted = min(phones, int(part) if "%" not in part else -(-int(part[:-1]) * phones // 100))
        forced = max(wanted, min(forced + 1, phones))
        taken += size
        assert taken == forced


@pytest.mark.parametrize(
    ("parts", "phones", "sizes"),
    [
        ("1,5%,25%,100%", 40, [1, 1, 8, 30]),
        ("1,5%,25%,100%", 3, [1, 1, 1]),
        ("1,5%,25%,100%", 1, [1]),
        ("1,5%,25%,100%", 0, []),
        ("7%,100%", 100, [7, 93]),  # 0.07 * 100 is more than 7 for a computer
        ("50,10%,100%", 20, [20]),
        ("100%", 20, [20]),
    ],
)
def test_sizes_of_waves(parts: str, phones: int, sizes: list[int]) -> None:
    assert expand.wave_sizes(playbook.waves(parts), phones) == sizes


@given(WAVES, st.lists(st.sampled_from(get_args(Moves)), max_size=40))
def test_a_block_has_every_phone_that_moves_once_and_in_order(parts: tuple[str, ...], moves: list[Moves]) -> None:
    phones = [phone(number, moves=kind) for number, kind in enumerate(moves)]
    inputs = playbook.inputs(BOOK, {"waves": ",".join(parts)})
    stages = expand.stages(BOOK.steps, inputs, phones)
    told = [chain.subject for one in stages if one.id.startswith("move-") for chain in one.chains if chain.subject]
    assert told == [one.device for one in phones if one.moves != "never"]
    assert len({one.id for one in stages}) == len(stages)
    assert all(one.chains for one in stages if one.only is None)


def test_no_bake_means_no_stage_for_it() -> None:
    inputs = playbook.inputs(BOOK, {"bake": "0s"})
    assert not [one for one in expand.stages(BOOK.steps, inputs, [phone(1)]) if "bake" in one.id]


def test_a_wave_is_expected_to_take_as_long_as_its_phones_so_many_at_a_time_and_a_rescue() -> None:
    def wave(count: int, settle: float) -> float:
        phones = [phone(number, settle=settle) for number in range(count)]
        stages = expand.stages(BOOK.steps, playbook.inputs(BOOK, {"waves": "100%"}), phones)
        return next(one.estimate for one in stages if one.id == "move-1")

    assert wave(1, 60) >= 2 * 60
    assert wave(10, 60) == wave(1, 60)
    assert wave(40, 60) == pytest.approx(4 * wave(1, 60))
    assert wave(40, 120) - wave(40, 60) == pytest.approx(2 * 4 * 60)


def test_a_quiet_stage_has_time_for_those_that_must_follow_it_at_once() -> None:
    stages = {one.id: one for one in expand.stages(BOOK.steps, playbook.inputs(BOOK, {}), [phone(1)])}
    own = {"account-realm": 2.0, "stay": 1.0, "connectivity": 2.0}
    assert stages["account-realm"].estimate == sum(own.values())


# --- windows ----------------------------------------------------------------------------------------------------------

STAGES = st.lists(
    st.builds(
        lambda quiet, estimate, pause: (quiet, float(estimate), float(pause)),
        st.booleans(), st.integers(1, 5 * 3600), st.sampled_from([0, 0, 60, 86400]),
    ), max_size=8,
)  # fmt: skip
HOURS = st.lists(st.integers(1, 300), max_size=12, unique=True).map(sorted)


@given(STAGES, HOURS)
def test_windows_are_given_in_order_and_each_stage_fits(
    kinds: list[tuple[bool, float, float]], hours: list[int]
) -> None:
    stages = [
        stage(f"s{place}", quiet=quiet and not pause, estimate=estimate, pause=pause)
        for place, (quiet, estimate, pause) in enumerate(kinds)
    ]
    windows = [window(one, other) for one, other in zip(hours[::2], hours[1::2], strict=False)]
    try:
        table = assign(stages, START, windows, DEADLINE)
    except NoWindowError:
        return
    assert set(table) == {one.id for one in stages if one.quiet}
    given_windows = [(one, table[one.id]) for one in stages if one.quiet]
    for one, found in given_windows:
        assert found in windows
        assert found.start < DEADLINE
        assert found.start <= latest_start(found, one.estimate)
    assert all(earlier.start <= later.start for (_, earlier), (_, later) in pairwise(given_windows))
    at = START
    for one in stages:
        if one.quiet:
            at = max(at, table[one.id].start)
            assert at <= latest_start(table[one.id], one.estimate)
        at += timedelta(seconds=one.chains[0].tasks[0].seconds)  # what waits is over before the next one's window


@given(st.integers(1, 20), HOURS)
def test_the_first_window_that_fits_is_taken(length: int, hours: list[int]) -> None:
    windows = [window(one, other) for one, other in zip(hours[::2], hours[1::2], strict=False)]
    fitting = [one for one in windows if one.end - one.start >= timedelta(hours=length) and one.start < DEADLINE]
    wanted = stage("s", estimate=length * 3600.0)
    if not fitting:
        with pytest.raises(NoWindowError):
            assign([wanted], START, windows, DEADLINE)
    else:
        assert assign([wanted], START, windows, DEADLINE) == {"s": fitting[0]}


def test_a_window_that_is_open_already_is_used_if_there_is_time_left() -> None:
    windows = [window(-1, 1), window(15, 25)]
    assert assign([stage("s", estimate=3000)], START, windows, DEADLINE)["s"] is windows[0]
    assert assign([stage("s", estimate=3700)], START, windows, DEADLINE)["s"] is windows[1]


def test_a_pause_between_two_stages_moves_the_second_into_a_later_window() -> None:
    windows = [window(10, 20), window(34, 44)]
    stages = [stage("one"), stage("pause", quiet=False, pause=18 * 3600.0), stage("two")]
    assert assign(stages, START, windows, DEADLINE) == {"one": windows[0], "two": windows[1]}


def test_words_when_no_window_is_long_enough() -> None:
    with pytest.raises(NoWindowError) as caught:
        assign([stage("move phones", estimate=2 * 3600 + 300)], START, [window(1, 2), window(3, 4.5)], DEADLINE)
    assert caught.value.message == (
        "move phones: no quiet window before 2026-12-07 09:00 UTC is long enough: "
        "it needs 2 h 5 min, the longest has 1 h 30 min"
    )
    assert "--deadline" in str(caught.value.hint)


def test_words_when_there_is_no_window_left() -> None:
    with pytest.raises(NoWindowError) as caught:
        assign([stage("move phones")], START, [window(-9, -1)], DEADLINE)
    assert caught.value.message == (
        "move phones: there is no quiet window between 2026-11-23 09:00 and 2026-12-07 09:00 UTC"
    )


def test_words_when_the_deadline_has_passed() -> None:
    with pytest.raises(NoWindowError, match=r"^s: nothing may begin after 2026-12-07 09:00 UTC$"):
        assign([stage("s")], DEADLINE, [window(1, 10_000)], DEADLINE)


def test_nothing_is_planned_beyond_the_deadline() -> None:
    with pytest.raises(NoWindowError, match="no quiet window between"):
        assign([stage("s")], START, [window(14 * 24, 15 * 24)], DEADLINE)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_minutes(seconds: float, text: str) -> None:
    assert timetable.minutes(seconds) == text
