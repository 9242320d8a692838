"""A health check from cron: silent while nothing changes, and every change told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from tests.lab.healthproject import HealthProject, update, zone_text
from tests.lab.servers import Knot, Named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.server import Authoritative
    from tests.lab.topology import Lab


@pytest.fixture(scope="module")
def three(lab: Lab) -> Iterator[list[Authoritative]]:
    """Three primaries of their own mind: a record can be taken from one of them alone."""
    with lab.guest() as guest:
        yield [guest.start(Named), guest.start(Knot), guest.start(Knot)]


@pytest.fixture
def project(lab: Lab, three: list[Authoritative], tmp_path: Path) -> HealthProject:
    zone = lab.zone_name("cron")
    for server in three:
        server.add_zone(zone, zone_text(three, ["acme", "bell"]))
    made = HealthProject(tmp_path / "project", zone.rstrip("."), three, ["acme", "bell"])
    made.write()
    return made


def cron(project: HealthProject, *more: str) -> tuple[int, str]:
    """A run from cron. The lab lives in one network, below no signed root; and serials tell, too,
    where servers were changed one by one."""
    return project.check("--cron", "--skip", "SEC", "--skip", "DEL06", "--skip", "CON01", *more)


def test_nothing_is_said_twice_and_what_went_is_said_once(project: HealthProject) -> None:
    zone, knot = project.zone, project.servers[1]
    assert cron(project) == (0, "")
    assert cron(project) == (0, "")

    update(knot, zone, f"update delete bell.{zone}. MX")
    code, told = cron(project)
    assert code == 2
    assert told.count(f"CON02  bell.{zone}. MX") == 1
    assert str(knot.address) in told
    assert cron(project) == (2, "")

    code, reminded = cron(project, "--remind", "1s")
    assert code == 2
    assert reminded.count("CON02") == 1
    assert cron(project) == (2, "")

    update(knot, zone, f"update add bell.{zone}. 300 MX 10 mx.edge.{zone}.")
    code, mended = cron(project)
    assert code == 0
    assert mended.count("CON02") == 1
    assert cron(project) == (0, "")


def test_what_only_the_first_look_sees_is_not_told(project: HealthProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is back before the second look: a reload, a transfer under way."""
    zone, knot = project.zone, project.servers[2]
    assert cron(project) == (0, "")
    update(knot, zone, f"update delete acme.{zone}. A")
    addresses = [f"update add acme.{zone}. 300 A 127.0.0.{last}" for last in (201, 202)]
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, _seconds: update(knot, zone, *addresses))
    assert cron(project) == (0, "")


def test_three_looks_take_two_runs(project: HealthProject) -> None:
    zone, knot = project.zone, project.servers[1]
    update(knot, zone, f"update delete acme.{zone}. MX")
    assert cron(project, "--confirm", "3") == (0, "")
    code, told = cron(project, "--confirm", "3")
    assert code == 2
    assert "CON02" in told, told
