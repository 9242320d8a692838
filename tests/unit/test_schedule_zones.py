"""Time zones: names, changes of clocks, and local times that do not exist or come twice."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from importlib.resources import files
from itertools import pairwise
from typing import Literal

import pytest

from realmkit.errors import InputError
from realmkit.schedule import zones
from realmkit.schedule.zones import LocalTimeError, day_start, local_instant, offset, transitions, zone

SECOND = timedelta(seconds=1)


def explicit(name: str) -> list[tuple[int, int, int]]:
    """Instant, offset before and offset after of every change that the zone's TZif file lists (RFC 8536 section 3)."""
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def counts(at: int) -> tuple[int, ...]:
        return struct.unpack(">20x6l", data[at : at + 44])

    utc, std, leaps, times, types, chars = counts(0)
    at = 44 + times * 5 + types * 6 + chars + leaps * 8 + std + utc  # the block of 32-bit times
    *_, times, types, chars = counts(at)
    at += 44
    instants = struct.unpack(f">{times}q", data[at : at + 8 * times])
    indices = data[at + 8 * times : at + 9 * times]
    at += 9 * times
    offsets = [struct.unpack(">l", data[at + 6 * one : at + 6 * one + 4])[0] for one in range(types)]
    after = [offsets[one] for one in indices]
    return [
        (instant, before, now)
        for instant, before, now in zip(instants, offsets[:1] + after, after, strict=False)
        if before != now
    ]


def test_no_zone_changes_its_clocks_twice_within_six_days() -> None:
    """What lets `transitions` ask once a day."""
    for name in zones.names():
        recent = [one[0] for one in explicit(name) if one[0] >= 0]
        assert all(later - earlier > 6 * 86400 for earlier, later in pairwise(recent)), name


def test_transitions_are_those_of_the_database() -> None:
    since, until = datetime(2000, 1, 1, tzinfo=UTC), datetime(2007, 1, 1, tzinfo=UTC)
    seen = 0
    for name in sorted(zones.names())[::2]:
        wanted = explicit(name)
        if not wanted or wanted[-1][0] < until.timestamp():
            continue  # its later changes are a rule, which the file does not list one by one
        place = zones._load(name)
        found = [
            (int(one.at.timestamp()), int(one.before.total_seconds()), int(one.after.total_seconds()))
            for one in transitions(place, since, until)
        ]
        assert found == [one for one in wanted if since.timestamp() < one[0] <= until.timestamp()], name
        seen += len(found)
    assert seen > 500


def test_transitions_of_the_coming_years_are_where_the_offset_changes() -> None:
    for name in sorted(zones.names()):
        place = zones._load(name)
        for one in transitions(place, datetime(2027, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)):
            assert (offset(place, one.at - SECOND), offset(place, one.at)) == (one.before, one.after)


def test_a_transition_belongs_to_the_span_that_ends_with_it() -> None:
    berlin, at = zone("Europe/Berlin"), datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert [one.at for one in transitions(berlin, at - SECOND, at)] == [at]
    assert transitions(berlin, at, at + 30 * SECOND) == ()
    assert transitions(berlin, at - 30 * SECOND, at - SECOND) == ()


@pytest.mark.parametrize(
    ("name", "day", "clock", "before", "after"),
    [
        ("Australia/Lord_Howe", "2027-10-03", "02:15", "2027-10-03 01:45", "2027-10-03 02:45"),
        ("America/Havana", "2025-03-09", "00:30", "2025-03-08 23:30", "2025-03-09 01:30"),
        ("Africa/Cairo", "2027-04-30", "00:30", "2027-04-29 23:30", "2027-04-30 01:30"),
        ("Asia/Beirut", "2027-03-28", "00:30", "2027-03-27 23:30", "2027-03-28 01:30"),
        ("America/Santiago", "2027-09-05", "00:00", "2027-09-04 23:00", "2027-09-05 01:00"),
        ("Antarctica/Troll", "2027-03-28", "02:30", "2027-03-28 00:30", "2027-03-28 04:30"),
        ("Europe/Berlin", "2027-03-28", "02:30", "2027-03-28 01:30", "2027-03-28 03:30"),
        ("Pacific/Apia", "2011-12-30", "12:00", "2011-12-29 12:00", "2011-12-31 12:00"),
    ],
)
def test_a_skipped_time_is_refused_with_two_suggestions(
    name: str, day: str, clock: str, before: str, after: str
) -> None:
    place = zone(name)
    folds: tuple[Literal[0, 1] | None, ...] = (None, 0, 1)
    for fold in folds:
        with pytest.raises(LocalTimeError, match="does not exist") as caught:
            local_instant(place, date.fromisoformat(day), time.fromisoformat(clock), fold)
    shown = [one.astimezone(place).strftime("%Y-%m-%d %H:%M") for one in caught.value.suggestions]
    assert shown == [before, after]
    for text in shown:
        assert (text.removeprefix(day).strip()) in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "day", "clock", "first", "second"),
    [
        ("Australia/Lord_Howe", "2027-04-04", "01:45", "2027-04-03 14:45", "2027-04-03 15:15"),
        ("America/Havana", "2025-11-02", "00:30", "2025-11-02 04:30", "2025-11-02 05:30"),
        ("Africa/Cairo", "2027-10-28", "23:30", "2027-10-28 20:30", "2027-10-28 21:30"),
        ("Asia/Beirut", "2027-10-30", "23:30", "2027-10-30 20:30", "2027-10-30 21:30"),
        ("America/Santiago", "2027-04-03", "23:30", "2027-04-04 02:30", "2027-04-04 03:30"),
        ("Antarctica/Troll", "2027-10-31", "01:30", "2027-10-30 23:30", "2027-10-31 01:30"),
        ("Europe/Berlin", "2027-10-31", "02:30", "2027-10-31 00:30", "2027-10-31 01:30"),
    ],
)
def test_a_repeated_time_wants_to_know_which(name: str, day: str, clock: str, first: str, second: str) -> None:
    place, at, clocks = zone(name), date.fromisoformat(day), time.fromisoformat(clock)
    with pytest.raises(LocalTimeError, match="comes twice") as caught:
        local_instant(place, at, clocks)
    passes = [local_instant(place, at, clocks, 0), local_instant(place, at, clocks, 1)]
    assert list(caught.value.suggestions) == passes
    assert [one.strftime("%Y-%m-%d %H:%M") for one in passes] == [first, second]


def test_any_other_time_is_one_instant() -> None:
    instant = local_instant(zone("America/Havana"), date(2025, 7, 1), time(8), 1)
    assert instant == datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("America/Havana", "2025-03-09", "2025-03-09 05:00"),  # midnight is skipped
        ("America/Havana", "2025-11-02", "2025-11-02 04:00"),  # midnight comes twice
        ("Africa/Cairo", "2027-04-30", "2027-04-29 22:00"),
        ("Europe/Berlin", "2027-03-28", "2027-03-27 23:00"),
        ("America/Toronto", "2010-03-14", "2010-03-14 05:00"),
    ],
)
def test_a_day_begins_with_its_first_instant(name: str, day: str, begins: str) -> None:
    place = zone(name)
    found = day_start(place, date.fromisoformat(day))
    assert found.strftime("%Y-%m-%d %H:%M") == begins
    assert found.astimezone(place).date() == date.fromisoformat(day)
    assert (found - SECOND).astimezone(place).date() < date.fromisoformat(day)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("America/Havanna", "America/Havana"),
        ("EST5EDT", "America/New_York"),
        ("CET", "Europe/Brussels"),
        ("UTC+2", "name a place"),
        ("+02:00", "name a place"),
        ("Etc/GMT+5", "name a place"),
        ("EST5EDT,M3.2.0,M11.1.0", "name a place"),
        ("<-05>5", "IANA's names"),
        ("Factory", "IANA's names"),
        ("../../etc/passwd", "IANA's names"),
        ("Mars/Phobos", "IANA's names"),
        ("", "IANA's names"),
    ],
)
def test_only_names_of_places_are_taken(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        zone(name)
    assert hint in (caught.value.hint or "")
    assert repr(name) in caught.value.message


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "America/Argentina/Buenos_Aires", "US/Pacific", "Cuba"])
def test_names_of_the_database_are_taken(name: str) -> None:
    assert zone(name).key == name
    assert zone(name) is zone(name)


def test_the_version_is_that_of_the_package() -> None:
    """The package's 2026.6 is IANA's 2026f."""
    year, letter = version("tzdata").split(".")[:2]
    assert zones.tzdata_version() == f"{year}{chr(ord('a') + int(letter) - 1)}"


def test_offsets_are_shown_as_clocks_show_them() -> None:
    shown = [zones.offset_text(timedelta(minutes=one)) for one in (0, 630, -150, 60)]
    assert shown == ["+00:00", "+10:30", "-02:30", "+01:00"]
