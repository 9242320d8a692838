"""Is a realm ready to move, and do old and new stand side by side: TTLs and edges as two real servers show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns.asking.query import Options
from realmkit.health import run, state
from realmkit.health.state import Lowered, State
from realmkit.migrate import events as ev
from realmkit.migrate.journal import Journal
from tests.lab.healthproject import REALM, HealthProject, update, zone_text
from tests.lab.servers import Knot, Named
from tests.lab.topology import Lab
from tests.unit.plans import book, phone, plan_of

REALMS = ("acme", "bell")
LOW = "$TTL 60"
Place = Callable[..., HealthProject]


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[tuple[Named, Knot]]:
    with lab.guest() as guest:
        yield guest.start(Named), guest.start(Knot)


@pytest.fixture
def place(lab: Lab, pair: tuple[Named, Knot], tmp_path: Path) -> Place:
    """Serves a zone with these realms in it, its two servers with TTLs of their own, and writes the project."""

    def served(
        first: str = LOW, second: str = "", published: Sequence[str] = REALMS, more: str = "", minimum: str = "60"
    ) -> HealthProject:
        zone = lab.zone_name("mig")
        for server, ttl in zip(pair, (first, second or first), strict=True):
            text = zone_text(pair, published, more).replace("$TTL 300", ttl).replace(" 60\n", f" {minimum}\n", 1)
            server.add_zone(zone, text)
        project = HealthProject(tmp_path / "project", zone.rstrip("."), pair, REALMS)
        project.write()
        return project

    return served


class Time:
    """The run's clock, which goes on as fast as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
        monkeypatch.setattr(SystemClock, "now", lambda _self: self.now)

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Options", partial(Options, timeouts=(0.15, 0.3)))


def moving(project: HealthProject, *args: str) -> list[dict[str, Any]]:
    """What is found of MIG01 and MIG04, remembering what was seen."""
    found = project.verdict("--only", "MIG01", "--only", "MIG04", *args)["findings"]
    return [one for one in found if one["id"] != "RUN01"]


def ready(project: HealthProject) -> list[tuple[str, str]]:
    """Level and words of what is found when one asks whether `acme` could move now."""
    found = moving(project, f"acme.{project.zone}", "--ready")
    assert all((one["id"], one["subject"]) == ("MIG01", f"acme.{project.zone}.") for one in found)
    return [(one["level"], one["message"]) for one in found]


TOO_LONG = ("error", "its TTLs are too long to move it")
TOO_NEW = ("error", "its TTLs are low, but resolvers may still remember the old ones")


# --- TTLs -------------------------------------------------------------------------------------------------------------


def test_long_ttls_are_told_where_a_move_is_asked_for(place: Place) -> None:
    project = place("$TTL 300")
    assert ready(project) == [TOO_LONG]
    assert moving(project, f"acme.{project.zone}") == []
    (found,) = moving(project, f"acme.{project.zone}", "--ready")
    assert (found["expected"], found["seen"]) == ("at most 60 s", "300 s")


def test_one_server_with_a_long_ttl_is_enough(place: Place) -> None:
    assert ready(place(LOW, "$TTL 300")) == [TOO_LONG]


def test_one_set_with_a_long_ttl_is_enough(place: Place) -> None:
    sips = "_sips._tcp.acme 120 SRV 10 50 5061 east.edge"
    assert ready(place(more=sips)) == [TOO_LONG]


def test_lowered_just_now_is_too_new_until_the_old_ttl_has_run_out(place: Place, time: Time) -> None:
    project = place()
    assert ready(project) == [TOO_NEW]
    time.passes(299)
    (found,) = moving(project, f"acme.{project.zone}", "--ready")
    assert found["mend"] == "wait until 2026-11-26 03:05:00Z"
    time.passes(1)
    assert ready(project) == []
    assert project.check(f"acme.{project.zone}", "--ready", "--only", "MIG01")[0] == 0


def test_raised_and_lowered_again_it_waits_anew(place: Place, time: Time, pair: tuple[Named, Knot]) -> None:
    project = place()
    ready(project)
    time.passes(301)
    assert ready(project) == []
    mx = f"acme.{project.zone}."
    for server in pair:
        update(server, project.zone, f"update delete {mx} MX", f"update add {mx} 300 MX 10 mx.edge.{project.zone}.")
    assert ready(project) == [TOO_LONG]
    for server in pair:
        update(server, project.zone, f"update delete {mx} MX", f"update add {mx} 60 MX 10 mx.edge.{project.zone}.")
    time.passes(10)
    assert ready(project) == [TOO_NEW]


@pytest.mark.parametrize(("ago", "found"), [(7201, []), (7199, [TOO_NEW])])
def test_how_long_is_in_the_state_file(place: Place, time: Time, ago: float, found: list[tuple[str, str]]) -> None:
    """What was in force before was two hours there, longer than the policy's."""
    project = place()
    since = time.now - timedelta(seconds=ago)
    known = State(ttls={f"acme.{project.zone}.": Lowered(60, 7200, since)})
    state.save(project.directory / ".realmkit/health.json", known)
    assert ready(project) == found


def test_a_run_without_memory_can_never_say_ready(place: Place, time: Time) -> None:
    project = place()
    ready(project)
    time.passes(1000)
    (found,) = project.verdict("--no-state", f"acme.{project.zone}", "--ready", "--only", "MIG01")["findings"]
    assert (found["level"], found["message"]) == TOO_NEW
    assert ready(project) == []


@pytest.mark.usefixtures("brisk")
def test_ttls_that_nobody_tells_are_unknown(place: Place, pair: tuple[Named, Knot]) -> None:
    project = place()
    project.provider = '{type: rfc2136, server: "127.0.0.1:9"}'
    project.write()
    for server in pair:
        server.freeze()
    try:
        found = ready(project)
    finally:
        for server in pair:
            server.thaw()
    assert found == [("unknown", "its TTLs could not be seen")]


@pytest.mark.usefixtures("brisk")
def test_a_silent_server_may_still_give_the_old_ttl(place: Place, time: Time, pair: tuple[Named, Knot]) -> None:
    """Nothing is known of it, so the realm is not ready, and the time does not begin to run."""
    project = place(LOW, "$TTL 300")
    pair[1].freeze()
    try:
        ready(project)
        time.passes(301)
        found = ready(project)
    finally:
        pair[1].thaw()
    assert [level for level, _ in found] == ["unknown"]


@pytest.mark.parametrize(
    ("ttl", "minimum", "told"), [("900", "900", True), ("900", "300", False), ("60", "900", False)]
)
def test_how_long_absences_are_remembered(place: Place, ttl: str, minimum: str, *, told: bool) -> None:
    """The lower of the SOA's TTL and its minimum counts."""
    project = place(f"$TTL {ttl}", minimum=minimum)
    found = project.found("--only", "MIG03")
    assert found == ({("MIG03", f"{project.zone}.", "")} if told else set())


# --- old and new ------------------------------------------------------------------------------------------------------


def plan(project: HealthProject, old: str = "acme", new: str = "bell") -> None:
    """Write down that a realm is to move."""
    made = plan_of(book("realm-migration"), [phone(1)])
    made = structs.replace(made, old=f"{old}.{project.zone}", new=f"{new}.{project.zone}")
    with Journal.of(project.directory / ".realmkit") as journal:
        journal.append(made.name, made.made, ev.Planned(made))


def overlap(project: HealthProject) -> list[tuple[str, str, str]]:
    """Level, subject and what is seen, of MIG04."""
    return [(one["level"], one["subject"], one["seen"]) for one in moving(project) if one["id"] == "MIG04"]


def test_old_and_new_lead_to_one_edge(place: Place, time: Time) -> None:
    """And the old one is judged as about to move, since that is planned."""
    project = place("$TTL 300")
    assert moving(project) == []
    plan(project)
    assert [(one["id"], one["subject"], one["level"]) for one in moving(project)] == [
        ("MIG01", f"acme.{project.zone}.", "error")
    ]


def test_a_new_realm_that_nobody_serves_yet(place: Place) -> None:
    project = place(published=("acme",))
    assert overlap(project) == []
    plan(project)
    assert overlap(project) == [("error", f"bell.{project.zone}. beside acme.{project.zone}.", "nothing")]


def test_a_new_realm_that_leads_elsewhere(place: Place) -> None:
    other = REALM.format(realm="bell").replace("west.edge", "far.edge").replace(".202", ".209")
    project = place(published=("acme",), more=f"{other}\nfar.edge A 127.0.0.209")
    plan(project)
    ((level, _subject, seen),) = overlap(project)
    assert level == "error"
    assert "127.0.0.209" in seen
    assert "127.0.0.202" not in seen


@pytest.mark.usefixtures("brisk")
def test_old_and_new_that_nobody_tells_of(place: Place, pair: tuple[Named, Knot]) -> None:
    project = place()
    project.provider = '{type: rfc2136, server: "127.0.0.1:9"}'
    project.write()
    plan(project)
    for server in pair:
        server.freeze()
    try:
        found = overlap(project)
    finally:
        for server in pair:
            server.thaw()
    ((level, _subject, seen),) = found
    assert level == "unknown"
    assert f"no server told anything of acme.{project.zone}." in seen
