"""Open hours and quiet windows, minute by minute, against a brute-force oracle that shares no code with them.

The oracle evaluates rules that a test made (not the text's parse), one local minute at a time; it asks the standard
library's zoneinfo for the local time of every UTC minute.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.accountfile import SiteEntry
from realmkit.errors import InputError
from realmkit.schedule import zones
from realmkit.schedule.hours import HoursError, Site, is_open, make_site, open_spans, site
from realmkit.schedule.outlook import Settings, look
from realmkit.schedule.windows import Window, clock_changes, quiet_windows
from realmkit.schedule.zones import day_start, transitions, zone

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


class MadeRule(NamedTuple):
    """A rule as a test makes it: weekdays, times (None: the whole day), open or off, after `;` or `,`."""

    days: tuple[int, ...]
    times: tuple[tuple[int, int], ...] | None
    opens: bool
    replaces: bool

    def text(self) -> str:
        times = ",".join(f"{clock_text(a)}-{clock_text(b)}" for a, b in self.times or ())
        return f"{','.join(NAMES[day] for day in self.days)} {times} {'open' if self.opens else 'off'}"


Made = tuple[MadeRule, ...]


def clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def text_of(made: Made) -> str:
    return made[0].text() + "".join(f"{'; ' if one.replaces else ', '}{one.text()}" for one in made[1:])


def open_minute(made: Made, day: date, minute: int) -> bool:
    state = False
    for rule in made:
        today, yesterday = day.weekday() in rule.days, (day.weekday() - 1) % 7 in rule.days
        times = ((0, 1440),) if rule.times is None else rule.times
        inside = (today and any(a <= minute < b for a, b in times)) or (
            yesterday and any(a <= minute + 1440 < b for a, b in times)
        )
        if rule.opens:
            state = inside if today and rule.replaces else state or inside
        elif inside:
            state = False
    return state


@functools.lru_cache(maxsize=20000)
def minutes_of(made: Made, weekday: int) -> bytes:
    day = date(2027, 1, 4) + timedelta(days=weekday)
    return bytes(open_minute(made, day, minute) for minute in range(1440))


def oracle(made: Made, place: str, instant: datetime) -> bool:
    local = instant.astimezone(zone(place))
    return bool(minutes_of(made, local.weekday())[local.hour * 60 + local.minute])


def made_site(made: Made, place: str) -> Site:
    return make_site(place, text_of(made), place)


ALL = tuple(range(7))
HOURS: tuple[Made, ...] = (
    (MadeRule((0, 1, 2, 3, 4), ((480, 1080),), True, True), MadeRule((5, 6), ((75, 105), (1380, 1440)), True, True)),
    (MadeRule(ALL, ((1320, 1800),), True, True),),  # 22:00-30:00
    (MadeRule(ALL, ((15, 45), (90, 150), (165, 195)), True, True), MadeRule((6,), ((100, 120),), False, False)),
    (MadeRule(ALL, None, True, True), MadeRule((5, 6), ((0, 150),), False, True)),
)


def distinct_zones(since: datetime, until: datetime) -> dict[str, tuple[datetime, ...]]:
    """One zone for each distinct set of changes (instant, offsets) in that time, with the instants."""
    found: dict[object, tuple[str, tuple[datetime, ...]]] = {}
    for name in sorted(zones.names()):
        changes = transitions(zones._load(name), since, until)
        key = tuple((one.at, one.before, one.after) for one in changes)
        if key:
            found.setdefault(key, (name, tuple(one.at for one in changes)))
    return dict(found.values())


def covered(spans: Sequence[tuple[datetime, datetime]], instant: datetime) -> bool:
    return any(start <= instant < end for start, end in spans)


@pytest.mark.parametrize("since", [datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
def test_no_minute_is_wrong_around_any_change_of_any_clock(since: datetime) -> None:
    """Two years, every distinct set of changes in the database: each minute near it, every 29th farther off."""
    checked = wrong = 0
    for name, instants in distinct_zones(since, since + 730 * DAY).items():
        sites = [(made, made_site(made, name)) for made in HOURS]
        for at in instants:
            near = [at + one * MINUTE for one in (*range(-1500, -130, 29), *range(-130, 130), *range(130, 1500, 29))]
            for made, place in sites:
                spans = open_spans(place, near[0], near[-1] + MINUTE)
                assert all(one[1] < two[0] for one, two in pairwise(spans))
                wrong += sum(covered(spans, instant) != oracle(made, name, instant) for instant in near)
                wrong += sum(is_open(place, instant) != oracle(made, name, instant) for instant in near[::31])
                checked += len(near)
    assert wrong == 0
    assert checked > 60_000


TRICKY = {
    "Australia/Lord_Howe": "2027-04-02", "America/Havana": "2025-10-31", "Africa/Cairo": "2027-04-28",
    "Asia/Beirut": "2027-10-28", "America/Santiago": "2027-09-03", "Antarctica/Troll": "2027-10-29",
    "America/New_York": "2027-03-12", "Europe/Berlin": "2027-10-29", "UTC": "2027-10-29",
}  # fmt: skip

times = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).map(lambda one: (one[0], min(one[0] + one[1], 2880)))
made_rules = st.builds(
    MadeRule,
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(lambda one: tuple(sorted(one))),
    st.none() | st.lists(times, min_size=1, max_size=2).map(tuple),
    st.sampled_from((True, True, False)),
    st.booleans(),
)
made_hours = st.lists(made_rules, min_size=1, max_size=3).map(lambda one: (one[0]._replace(replaces=True), *one[1:]))


@settings(max_examples=30, deadline=None)
@given(made_hours, st.sampled_from(sorted(TRICKY)), st.integers(-90, 90))
def test_open_spans_are_the_open_minutes(made: Made, name: str, shift: int) -> None:
    since = datetime.fromisoformat(TRICKY[name]).replace(tzinfo=UTC) + 5 * HOUR + shift * MINUTE
    minutes = [since + one * MINUTE for one in range(3 * 1440)]
    spans = open_spans(made_site(made, name), since, minutes[-1] + MINUTE)
    found = [
        instant for start, end in spans for instant in (start + one * MINUTE for one in range((end - start) // MINUTE))
    ]
    assert found == [instant for instant in minutes if oracle(made, name, instant)]


def busy_minutes(made: Sequence[tuple[Made, str]], since: datetime, count: int, pad: int, avoid: int) -> Iterator[int]:
    for hours, name in made:
        for minute in range(-pad, count + pad):
            if oracle(hours, name, since + minute * MINUTE):
                yield from range(minute - pad, minute + pad + 1)
        place = zone(name)
        for minute in range(-avoid, count + avoid + 1):
            now = since + minute * MINUTE
            if now.astimezone(place).utcoffset() != (now - MINUTE).astimezone(place).utcoffset():
                yield from range(minute - avoid, minute + avoid)


def expected(
    made: Sequence[tuple[Made, str]], since: datetime, until: datetime, pad: int, shortest: int, avoid: int
) -> list[tuple[datetime, datetime]]:
    """Quiet windows by marking every minute."""
    busy = bytearray((until - since) // MINUTE)
    for minute in busy_minutes(made, since, len(busy), pad, avoid):
        if 0 <= minute < len(busy):
            busy[minute] = 1
    found, start = [], None
    for minute in range(len(busy) + 1):
        quiet = minute < len(busy) and not busy[minute]
        if quiet and start is None:
            start = minute
        elif not quiet and start is not None:
            if minute - start >= shortest:
                found.append((since + start * MINUTE, since + minute * MINUTE))
            start = None
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(made_hours, st.sampled_from(sorted(TRICKY))), min_size=1, max_size=2),
    st.integers(0, 20), st.integers(1, 300), st.integers(0, 240),
)  # fmt: skip
def test_quiet_windows_are_the_runs_of_quiet_minutes(
    made: list[tuple[Made, str]], pad: int, shortest: int, avoid: int
) -> None:
    since = datetime.fromisoformat(TRICKY[made[0][1]]).replace(tzinfo=UTC) + 7 * HOUR
    until = since + 2 * DAY
    windows = quiet_windows(
        [made_site(*one) for one in made], since, until,
        pad=pad * MINUTE, shortest=shortest * MINUTE, avoid_dst=avoid * MINUTE,
    )  # fmt: skip
    assert [(one.start, one.end) for one in windows] == expected(made, since, until, pad, shortest, avoid)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(made_hours, st.sampled_from(sorted(TRICKY))), min_size=1, max_size=4),
    st.integers(0, 90), st.integers(1, 600), st.integers(1, 300),
)  # fmt: skip
def test_the_laws_of_windows(made: list[tuple[Made, str]], pad: int, shortest: int, avoid: int) -> None:
    sites = [made_site(*one) for one in made]
    since = datetime(2027, 3, 1, 0, 17, tzinfo=UTC)
    until = since + 60 * DAY
    keep = pad * MINUTE, avoid * MINUTE
    windows = quiet_windows(sites, since, until, pad=keep[0], shortest=shortest * MINUTE, avoid_dst=keep[1])
    opened = [span for place in sites for span in open_spans(place, since - DAY, until + DAY)]
    changes = [one.at for one in clock_changes(sites, since, until, keep[1])]
    assert windows == sorted(windows, key=lambda one: one.start)
    assert all(one.end < two.start for one, two in pairwise(windows))
    for one in windows:
        assert since <= one.start < one.end <= until
        assert one.length >= shortest * MINUTE
        assert all(end + keep[0] <= one.start or start - keep[0] >= one.end for start, end in opened)
        assert all(at + keep[1] <= one.start or at - keep[1] >= one.end for at in changes)
    edges = {since, until, *(end + keep[0] for _, end in opened), *(start - keep[0] for start, _ in opened)}
    edges |= {edge for at in changes for edge in (at - keep[1], at + keep[1])}
    assert all({one.start, one.end} <= edges for one in windows)  # maximal: nothing else ends a window


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def office(name: str = "Europe/Berlin", text: str = "Mo-Fr 08:00-18:00") -> Site:
    return make_site("HQ", text, name)


def test_a_window_says_when_in_local_time_and_by_which_rules() -> None:
    (first, *_) = quiet_windows([office()], at("2027-01-04T12:00"), at("2027-01-06T12:00"), shortest=HOUR)
    assert first == Window(
        at("2027-01-04T17:30"), at("2027-01-05T06:30"), "Europe/Berlin",
        "Mo 2027-01-04 18:30 - Tu 2027-01-05 07:30 +01:00", zones.tzdata_version(),
    )  # fmt: skip
    assert first.holds(first.start)
    assert not first.holds(first.end)


def test_windows_stop_three_hours_before_the_clocks_change_and_go_on_three_hours_after() -> None:
    windows = quiet_windows([office()], at("2027-03-26T12:00"), at("2027-03-29T12:00"), shortest=HOUR)
    assert [one.local for one in windows] == [
        "Fr 2027-03-26 18:30 - Sa 2027-03-27 23:00 +01:00",
        "Su 2027-03-28 06:00 - Mo 2027-03-29 07:30 +02:00",
    ]
    across = quiet_windows(
        [office()], at("2027-03-26T12:00"), at("2027-03-29T12:00"), shortest=HOUR, avoid_dst=timedelta()
    )
    assert [one.local for one in across] == ["Fr 2027-03-26 18:30 +01:00 - Mo 2027-03-29 07:30 +02:00"]
    assert across[0].length == 60 * HOUR  # 61 hours by the clocks


def test_another_sites_clocks_cut_too() -> None:
    sites = [office(), office("America/New_York", "Mo[1] 08:00-18:00")]
    windows = quiet_windows(sites, at("2027-03-13T12:00"), at("2027-03-15T06:00"), shortest=HOUR)
    assert [one.local for one in windows] == [
        "Sa 2027-03-13 13:00 - Su 2027-03-14 05:00 +01:00",
        "Su 2027-03-14 11:00 - Mo 2027-03-15 07:00 +01:00",
    ]
    assert [one.zone for one in clock_changes(sites, at("2027-03-14T00:00"), at("2027-03-14T01:00"))] == []


def test_what_lies_just_outside_still_counts() -> None:
    """The margin before an opening, and around a change of clocks, that comes right after the end."""
    (window,) = quiet_windows([office()], at("2027-01-04T01:00"), at("2027-01-04T06:59"), shortest=HOUR)
    assert window.end == at("2027-01-04T06:30")
    (window,) = quiet_windows([office()], at("2027-03-27T18:00"), at("2027-03-28T00:30"), shortest=HOUR)
    assert window.end == at("2027-03-27T22:00")


def test_a_window_of_exactly_the_shortest_length_is_one() -> None:
    day = at("2027-01-04T00:00"), at("2027-01-05T00:00")
    place = office("UTC", "00:00-09:00,12:00-24:00")
    assert [one.length for one in quiet_windows([place], *day, shortest=2 * HOUR)] == [2 * HOUR]
    assert quiet_windows([place], *day, shortest=2 * HOUR + MINUTE) == []


def test_always_open_means_no_window() -> None:
    sites = [office(), office(text="24/7")]
    assert quiet_windows(sites, at("2027-01-04T00:00"), at("2027-02-04T00:00"), shortest=MINUTE) == []


def test_no_site_is_no_quiet_time() -> None:
    with pytest.raises(InputError, match="no site"):
        quiet_windows([], at("2027-01-04T00:00"), at("2027-02-04T00:00"), shortest=HOUR)


def test_naive_instants_and_senseless_lengths_are_programming_errors() -> None:
    naive, aware = datetime(2027, 1, 4), at("2027-01-04T00:00")  # noqa: DTZ001 - on purpose
    with pytest.raises(ValueError, match="no time zone"):
        is_open(office(), naive)
    with pytest.raises(ValueError, match="no time zone"):
        quiet_windows([office()], naive, aware, shortest=HOUR)
    for lengths in (
        {"shortest": timedelta()},
        {"shortest": HOUR, "pad": -HOUR},
        {"shortest": HOUR, "avoid_dst": -HOUR},
    ):
        with pytest.raises(ValueError, match="must be positive"):
            quiet_windows([office()], aware, aware, **lengths)


def test_a_range_inside_a_gap_opens_for_no_time_and_one_inside_a_fold_opens_twice() -> None:
    night = office(text="02:15-02:45")
    gap = day_start(night.zone, date(2027, 3, 28)), day_start(night.zone, date(2027, 3, 29))
    fold = day_start(night.zone, date(2027, 10, 31)), day_start(night.zone, date(2027, 11, 1))
    assert open_spans(night, *gap) == []
    assert [f"{a:%H:%M}-{b:%H:%M}" for a, b in open_spans(night, *fold)] == ["00:15-00:45", "01:15-01:45"]


def entry(**settings: object) -> SiteEntry:
    return SiteEntry(**({"name": "HQ", "hours": "Mo-Fr 08:00-18:00; PH off", "country": "DE-BY"} | settings))  # type: ignore[arg-type] # from keywords


def test_a_site_of_an_account() -> None:
    place = site(entry(days_off=("2027-01-07",)), "Europe/Berlin")
    days = [at(f"2027-01-0{day}T12:00") for day in (4, 5, 6, 7, 8, 9)]
    assert [is_open(place, one) for one in days] == [True, True, False, False, True, False]  # Epiphany, a day off
    assert site(entry(timezone="America/Havana"), "Europe/Berlin").zone.key == "America/Havana"


def test_a_day_off_is_closed_whatever_the_rules_say_and_only_in_its_year() -> None:
    place = site(entry(hours="24/7; PH 00:00-24:00", days_off=("2027-12-25", "2028-02-29")), "UTC")
    assert not is_open(place, at("2027-12-25T12:00"))
    assert not is_open(place, at("2028-02-29T23:59"))
    assert is_open(place, at("2028-12-25T12:00"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hours": "mo-fr 8-18"}, "site 'HQ': hours 'mo-fr 8-18': column 1: found 'mo'"),
        ({"country": None}, "site 'HQ': hours 'Mo-Fr 08:00-18:00; PH off': column 20: this rule says PH"),
        ({"country": "DE-XX"}, "site 'HQ': no public holidays are known for 'XX' in DE"),
        ({"timezone": "Berlin"}, "site 'HQ': 'Berlin' is no time zone"),
        ({"days_off": ("24.12.2027",)}, "site 'HQ': days_off: '24.12.2027' is no date"),
        ({"days_off": ("2027-02-29",)}, "site 'HQ': days_off: '2027-02-29' is no date"),
        ({"days_off": ("20271224",)}, "site 'HQ': days_off: '20271224' is no date"),
    ],
)
def test_a_slip_in_a_site_names_the_site(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        site(entry(**settings), "Europe/Berlin")
    assert caught.value.message.startswith(message)
    assert caught.value.hint
    assert isinstance(caught.value, HoursError) == ("hours " in message)


def test_the_grid_of_the_week_says_the_worst_that_each_hour_saw() -> None:
    place = make_site("HQ", "Mo-Fr 08:30-18:00; 2027 Jan 13 off", "Europe/Berlin")
    since = day_start(place.zone, date(2027, 1, 4))
    seen = look([place], since, since + 10 * DAY, Settings(30 * MINUTE, HOUR, 3 * HOUR))
    monday, wednesday, sunday = seen.grid[0], seen.grid[2], seen.grid[6]
    assert (monday[7], monday[8], monday[9], monday[17], monday[18]) == ("quiet", "partly", "open", "open", "closed")
    assert (wednesday[12], set(sunday)) == ("partly", {"quiet"})
    assert [len(one) for one in seen.days] == [10]
    short = look([place], since, since + 9 * HOUR, Settings(30 * MINUTE, HOUR, 3 * HOUR))
    assert (short.grid[0][8], short.grid[0][9], set(short.grid[1])) == ("partly", "unseen", {"unseen"})
