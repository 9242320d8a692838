"""The whole health check while things fail: what is not told is unknown, nothing that is there is called missing."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unicodedata
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dns.edns
import dns.message
import dns.rcode
import pytest

from realmkit.clock import SystemClock
from realmkit.dns.asking.query import Options
from realmkit.health import state
from tests.lab.dnsfaults import Path as Path53
from tests.lab.dnsfaults import Sent
from tests.lab.healthproject import HealthProject, update, zone_text
from tests.lab.server import run
from tests.lab.servers import Knot, Named, Unbound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.lab.server import Authoritative, Server
    from tests.lab.topology import Lab

REALMS = [f"r{number}" for number in range(60)]
QUIET = ("--skip", "DEL06")  # the lab lives in one network
WRONG = ("CON02", "CON03", "CON04", "CON06")  # what is served differs from what should be


class World:
    """A zone of sixty realms on three primaries; its tests change nothing in it."""

    def __init__(self, lab: Lab, servers: list[Authoritative], spare: Named) -> None:
        self.servers, self.spare = servers, spare
        self.zone = lab.zone_name("faults")
        for server in servers:
            server.add_zone(self.zone, zone_text(servers, REALMS))

    @property
    def where(self) -> list[str]:
        return [server.where for server in self.servers]

    def project(self, directory: Path, *asked: str) -> HealthProject:
        """A project that asks these servers, `127.0.0.2:53`."""
        made = HealthProject(directory, self.zone.rstrip("."), self.servers, REALMS, asked=asked)
        made.write()
        return made

    def third(self, directory: Path, where: str) -> Found:
        """What a run finds when the third server is another one."""
        return Found(self.project(directory, *self.where[:2], where))


class Found:
    """A run that leaves nothing behind, and what it found."""

    def __init__(self, project: HealthProject, *args: str) -> None:
        verdict = project.verdict("--no-state", *QUIET, *args)
        self.code = verdict["exit_code"]
        self.counts = verdict["counts"]
        self.all = [(one["id"], one["level"], one["subject"], one["server"]) for one in verdict["findings"]]

    def ids(self, level: str = "") -> set[str]:
        return {one[0] for one in self.all if not level or one[1] == level}

    def at(self, level: str) -> set[str]:
        """The servers of that level's findings."""
        return {one[3] for one in self.all if one[1] == level}


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as guest:
        servers: list[Authoritative] = [guest.start(Named), guest.start(Knot), guest.start(Knot)]
        yield World(lab, servers, guest.start(Named))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask with a tenth of the patience: how long a silence takes is not what these tests are about."""
    monkeypatch.setattr("realmkit.health.run.Options", partial(Options, timeouts=(0.1, 0.2, 0.3)))


class Way(Path53):
    """A path to a server."""

    def __init__(self, server: Server, **faults: Any) -> None:
        super().__init__((server.address, server.port), **faults)

    @property
    def where(self) -> str:
        return f"{self.server.address}:{self.server.port}"


# --- loss and delay ----------------------------------------------------------------------------------------------


class Loss:
    """Loses three datagrams in ten, each way; which ones depends on the question and on how often it came."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._came: Counter[tuple[str, bytes]] = Counter()
        self.lost = 0

    def request(self, request: bytes) -> bool:
        return not self._loses("there", request)

    def answer(self, request: bytes, answer: bytes) -> Iterator[Sent]:
        if not self._loses("back", request):
            yield Sent(answer)

    def _loses(self, where: str, request: bytes) -> bool:
        at = where, request[12:].lower()
        self._came[at] += 1
        lost = random.Random(f"{self._seed} {at} {self._came[at]}").random() < 0.3
        self.lost += lost
        return lost


def test_three_in_ten_datagrams_lost_both_ways_make_nothing_missing(world: World, tmp_path: Path, quick: None) -> None:
    losses = [Loss(seed) for seed in range(15, 18)]
    ways = [Way(server, request=loss.request, answer=loss.answer)
            for server, loss in zip(world.servers, losses, strict=True)]  # fmt: skip
    with ways[0], ways[1], ways[2]:
        # To SCR05 silence is a sign that EDNS is dropped, so it takes loss for that; cron looks twice.
        project = world.project(tmp_path, *(one.where for one in ways))
        project.rate = "1000"  # so much loss is taken for a limit; half of that is still fast
        project.write()
        found = Found(project, "--skip", "SCR05")
    assert all(loss.lost > 100 for loss in losses)
    assert {one[:2] for one in found.all if one[1] != "unknown"} <= {("RUN02", "notice")}
    assert found.code == (3 if found.ids("unknown") else 0)
    assert found.counts["realms"] == len(REALMS)


def test_a_server_that_answers_after_two_tries_is_well(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds and the usual patience, both cut to a quarter."""
    patience = tuple(one / 4 for one in Options().timeouts)
    monkeypatch.setattr("realmkit.health.run.Options", partial(Options, timeouts=patience))
    with Way(world.servers[2], answer=lambda _request, answer: [Sent(answer, after=0.5)]) as slow:
        found = Found(world.project(tmp_path, *world.where[:2], slow.where), "--skip", "SCR", "--skip", "SEC")
    assert (found.code, found.all) == (0, [])


# --- one of three is no good -------------------------------------------------------------------------------------


def is_told_apart(found: Found, server: str) -> None:
    """All that is found is that this one server tells nothing; DEL02 says that it is at fault."""
    assert found.at("unknown") == {server}
    assert ("RUN01", "unknown") in {one[:2] for one in found.all}
    assert not found.ids() & set(WRONG), found.all
    assert found.ids("error") <= {"DEL02"}
    assert found.code == (2 if found.ids("error") else 3)
    assert found.counts["realms"] == len(REALMS)


def test_a_frozen_server_is_unknown_and_the_others_are_judged(world: World, tmp_path: Path, quick: None) -> None:
    dead = world.servers[2]
    project = world.project(tmp_path, *world.where)
    dead.freeze()
    try:
        found = Found(project)
    finally:
        dead.thaw()
    is_told_apart(found, dead.address)
    assert ("DEL02", "error", world.zone, dead.address) in found.all


@pytest.mark.parametrize("where", ["127.0.0.1:5399", "198.51.100.9"])
def test_a_server_without_listener_or_route_is_unknown_and_the_others_are_judged(
    world: World, tmp_path: Path, where: str, quick: None
) -> None:
    is_told_apart(world.third(tmp_path, where), where)


def test_a_server_that_dies_half_way_is_unknown_and_no_realm_is_missing(
    world: World, tmp_path: Path, quick: None
) -> None:
    left = iter(range(200))
    with Way(world.servers[2], request=lambda _request: next(left, None) is not None, tcp="silent") as dying:
        found = Found(world.project(tmp_path, *world.where[:2], dying.where))
        is_told_apart(found, dying.where)
        assert next(left, None) is None


def test_a_fault_beside_a_dead_server_is_found(world: World, lab: Lab, tmp_path: Path, quick: None) -> None:
    zone = lab.zone_name("faults")
    for server in world.servers:
        server.add_zone(zone, zone_text(world.servers, ["acme", "bell"]))
    update(world.servers[1], zone, f"update delete bell.{zone} MX")
    asked = [*world.where[:2], "198.51.100.9"]
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"], asked=asked)
    project.write()
    found = Found(project, "--skip", "CON01", "--skip", "CON07")
    assert [one for one in found.all if one[1] != "unknown"] == [
        ("CON02", "error", f"bell.{zone} MX", world.servers[1].address)
    ]
    assert found.code == 2


# --- answers that say nothing ------------------------------------------------------------------------------------


def test_a_server_that_refuses_is_lame_and_no_realm_is_missing(world: World, tmp_path: Path) -> None:
    """A real one that does not have the zone."""
    found = world.third(tmp_path, world.spare.where)
    is_told_apart(found, world.spare.address)
    assert ("DEL02", "error", world.zone, world.spare.address) in found.all


def test_a_secondary_that_never_had_the_zone_fails_and_no_realm_is_missing(world: World, tmp_path: Path) -> None:
    """A real SERVFAIL."""
    spare = world.spare
    body = f'{{ type secondary; file "{spare.zone_file(world.zone)}"; primaries {{ 127.0.25.250; }}; }};'
    run(*spare.control, "addzone", world.zone, body)
    try:
        found = world.third(tmp_path, spare.where)
    finally:
        run(*spare.control, "delzone", "-clean", world.zone)
    is_told_apart(found, spare.address)
    assert ("DEL02", "error", world.zone, spare.address) in found.all


def test_a_resolver_among_the_servers_is_lame_and_no_realm_is_missing(
    world: World, own_lab: Lab, tmp_path: Path
) -> None:
    """It answers what is right, without authority."""
    resolver = own_lab.start(Unbound)
    resolver.add_stub(world.zone, world.servers[0])
    found = world.third(tmp_path, resolver.where)
    assert {"RUN01"} <= found.ids("unknown")
    assert not found.ids() & set(WRONG), found.all
    assert ("DEL02", "error", world.zone, resolver.address) in found.all


def cut(_request: bytes, answer: bytes) -> Iterator[Sent]:
    """TC and nothing else."""
    end = answer.index(b"\0", 12) + 5
    yield Sent(answer[:2] + bytes((answer[2] | 2, answer[3])) + b"\0\1" + b"\0" * 6 + answer[12:end])


def test_cut_answers_without_tcp_say_nothing_of_records(world: World, tmp_path: Path, quick: None) -> None:
    with Way(world.servers[2], answer=cut, tcp="refused") as short:
        found = world.third(tmp_path, short.where)
    is_told_apart(found, short.where)


def test_cut_answers_with_tcp_are_as_good_as_whole_ones(world: World, tmp_path: Path) -> None:
    with Way(world.servers[2], answer=cut) as short:
        found = world.third(tmp_path, short.where)
        assert len(short.streamed) > 7 * len(REALMS)
    assert not found.ids() - {"RUN02", "SCR05"}, found.all


def forged(_request: bytes, answer: bytes) -> Iterator[Sent]:
    """Lies of those who can't see the question, each before the true answer, and one after it."""
    nothing = bytes((answer[2], answer[3] & 0xF0 | 3)) + answer[4:6] + b"\0" * 6 + answer[12:]  # NXDOMAIN
    other_id = bytes((answer[0] ^ 0xFF, answer[1]))
    yield Sent(other_id + nothing)
    yield Sent(answer[:2] + nothing, source="127.0.25.66")
    yield Sent(answer[:2] + nothing[:10] + b"\5wrong\7example\0\0\1\0\1")
    yield Sent(answer)
    yield Sent(answer[:2] + nothing)


def test_forged_answers_beside_the_true_ones_change_nothing(world: World, tmp_path: Path) -> None:
    with Way(world.servers[2], answer=forged) as path:
        found = Found(world.project(tmp_path, *world.where[:2], path.where), "--skip", "SCR")
        assert len(path.asked) > 7 * len(REALMS)
    assert (found.code, found.all) == (0, [])


POINTS_AT_ITSELF = b"\xc0\x0c"
RECORD = b"\0\1\0\1\0\0\1\x2c\0\4\x7f\0\0\1"


class Junk:
    """Answers with id and question as they should be and then nonsense, another kind each time."""

    def __init__(self) -> None:
        self._dice = random.Random(7)
        self.told = 0

    def answer(self, _request: bytes, answer: bytes) -> Iterator[Sent]:
        end = answer.index(b"\0", 12) + 5
        question, at = answer[12:end], end.to_bytes(2, "big")
        loop = bytes((0xC0 | at[0], at[1]))
        ahead = bytes((0xC0, min(end + 30, 255)))
        nonsense = (
            loop + RECORD, ahead + RECORD, b"\xff" * 40, b"\x3fabc", b"", b"\xc0",
            b"\xc0\x0c\0\1\0\1\0\0\1\x2c\xff\xff\1", b"\x80" + RECORD, self._dice.randbytes(60),
            b"\xc0\x0c\0\x21\0\1\0\0\1\x2c\0\x08\0\1\0\1\x13\xc4" + loop,
        )  # fmt: skip
        head = answer[:2] + bytes((answer[2] & 0xFD | 4, 0)) + b"\0\1\0\3\0\0\0\0"
        self.told += 1
        yield Sent(head + question + nonsense[self.told % len(nonsense)])


def test_pointer_loops_and_garbage_are_no_answers_and_no_crash(world: World, tmp_path: Path) -> None:
    junk = Junk()
    with Way(world.servers[2], answer=junk.answer) as path:
        found = world.third(tmp_path, path.where)
    assert junk.told > 7 * len(REALMS)
    is_told_apart(found, path.where)


# --- old, slow, forgetful ----------------------------------------------------------------------------------------


def test_an_old_secondary_is_named_with_the_realm_that_it_lacks(world: World, lab: Lab, tmp_path: Path) -> None:
    zone = lab.zone_name("faults")
    for server, serial, realms in zip(
        world.servers, (9, 9, 4), (["acme", "bell"], ["acme", "bell"], ["acme"]), strict=True
    ):
        server.add_zone(zone, zone_text(world.servers, realms, serial=serial))
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"])
    project.write()
    found = Found(project)
    old = world.servers[2].address
    assert ("CON01", "warning", f"{zone} serial", old) in found.all
    lacking = [one for one in found.all if one[0] in WRONG]
    assert {subject.partition(" ")[0] for _, _, subject, _ in lacking} == {
        f"{owner}{zone}" for owner in ("bell.", "_sip._udp.bell.", "_sip._tcp.bell.")
    }
    assert {server for _, _, _, server in found.all} == {old}
    assert found.code == 2


def test_an_old_copy_is_an_error_once_it_has_outlived_its_refresh(world: World, lab: Lab, tmp_path: Path) -> None:
    """Counted from run to run for that very copy; a newer one that is old as well has its time again."""
    zone = lab.zone_name("stale")
    for server, serial in zip(world.servers, (9, 9, 4), strict=True):
        server.add_zone(zone, zone_text(world.servers, ["acme"], serial=serial).replace(" 7200 ", " 2 "))
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme"])
    project.write()

    def levels() -> dict[tuple[str, str], str]:
        found = project.verdict("--only", "CON01")["findings"]
        return {(one["subject"], one["server"]): one["level"] for one in found if one["phase"] != "recovered"}

    old = (f"{zone} serial", world.servers[2].address)
    assert levels() == {old: "warning"}
    time.sleep(2.1)
    assert levels() == {old: "error"}
    update(world.servers[2], zone, f"update add late.{zone} 60 TXT late")
    assert levels() == {old: "warning"}
    time.sleep(2.1)
    assert levels() == {old: "error"}
    for _ in range(2):
        update(world.servers[2], zone, f"update delete late.{zone} TXT", "send", f"update add late.{zone} 60 TXT late")
    assert levels() == {}


class LimitedNamed(Named):
    """Answers 5 times a second with the same; of what is over that, every second is a cut answer."""

    def configure(self) -> None:
        super().configure()
        path = self.directory / "named.conf"
        limit = "rate-limit { responses-per-second 5; window 5; slip 2; };"
        path.write_text(path.read_text().replace("recursion no;", f"recursion no; {limit}"))


def test_a_server_that_limits_its_answers_is_noticed_and_not_called_broken(
    world: World, own_lab: Lab, tmp_path: Path, quick: None
) -> None:
    limited = own_lab.start(LimitedNamed)
    limited.add_zone(world.zone, zone_text(world.servers, REALMS))
    project = world.project(tmp_path, *world.where[:2], limited.where)
    project.rate = "100"
    project.write()
    found = Found(project, "--skip", "SCR", *(f"{realm}.{world.zone}" for realm in REALMS[:12]))
    assert found.all == [("RUN02", "notice", world.zone, limited.address)]
    assert found.code == 0
    assert found.counts["realms"] == 12


def resolver_project(world: World, lab: Lab, directory: Path, resolver: Server, *realms: str) -> HealthProject:
    """A fresh zone on one server, for which a resolver asks there."""
    zone = lab.zone_name("faults")
    world.servers[0].add_zone(zone, zone_text(world.servers[:1], realms))
    if isinstance(resolver, Unbound):
        resolver.add_stub(zone, world.servers[0])
    policy = f', health: {{resolvers: ["{resolver.where}"]}}'
    made = HealthProject(directory, zone.rstrip("."), world.servers[:1], realms, policy)
    made.write()
    return made


def test_what_a_resolver_remembers_is_told_apart_from_what_is_served(
    world: World, own_lab: Lab, tmp_path: Path
) -> None:
    resolver = own_lab.start(Unbound)
    project = resolver_project(world, own_lab, tmp_path, resolver, "acme", "bell")
    zone = f"{project.zone}."
    update(world.servers[0], zone, f"update delete bell.{zone} MX", f"update add acme.{zone} 300 MX 5 east.edge.{zone}")
    for name in ("acme", "bell"):
        resolver.query(f"{name}.{zone}", "MX")
    update(
        world.servers[0], zone, f"update delete acme.{zone} MX", f"update add acme.{zone} 300 MX 10 mx.edge.{zone}",
        f"update add bell.{zone} 300 MX 10 mx.edge.{zone}",
    )  # fmt: skip
    found = Found(project, "--only", "PRO", "--only", "CON")
    stale = {(one[0], one[2]) for one in found.all if one[0].startswith("PRO0")}
    assert stale == {("PRO01", f"acme.{zone} MX"), ("PRO02", f"bell.{zone} MX")}
    assert {one[3] for one in found.all if one[0].startswith("PRO")} == {resolver.address}
    assert not found.ids() & set(WRONG), found.all


@pytest.mark.parametrize("kind", ["closed", "silent", "fails"])
def test_a_dead_resolver_makes_unknown_what_only_it_could_tell(
    world: World, own_lab: Lab, tmp_path: Path, kind: str, quick: None
) -> None:
    """The delegation and a mail host elsewhere are asked of it; the realms themselves are not."""
    with Way(world.servers[0], request=lambda _request: False, tcp="silent") as silent:
        where = {"closed": "127.0.0.1:5399", "silent": silent.where}.get(kind, "")
        if kind == "fails":
            broken = own_lab.start(Unbound)
            run(*broken.control, "stub_add", ".", "127.0.25.250")
            where = broken.where
        zone = own_lab.zone_name("faults")
        text = zone_text(world.servers, ["acme"]).replace("MX 10 mx.edge", "MX 10 mx.elsewhere.example.")
        for server in world.servers:
            server.add_zone(zone, text)
        project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme"])
        project.write()
        config = tmp_path / "realmkit.yml"
        config.write_text(
            config.read_text()
            .replace(f"mx.edge.{project.zone}", "mx.elsewhere.example")
            .replace('resolvers: ["127.0.0.1"]', f'resolvers: ["{where}"]')
        )
        found = Found(project)
    assert found.code == 3
    assert found.ids("unknown")
    assert {one[1] for one in found.all} == {"unknown"}, found.all


def test_a_provider_that_refuses_transfers_is_unknown_and_what_is_served_is_judged(
    world: World, lab: Lab, tmp_path: Path
) -> None:
    zone = lab.zone_name("faults")
    for server in world.servers:
        server.add_zone(zone, zone_text(world.servers, ["acme", "bell"]))
    update(world.servers[2], zone, f"update delete acme.{zone} MX")
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"],
                            provider=f'{{type: rfc2136, server: "{world.where[0]}"}}')  # fmt: skip
    project.write()
    found = Found(project, "--skip", "CON01")
    assert ("PRV01", "unknown", zone, "") in found.all
    assert ("CON02", "error", f"acme.{zone} MX", world.servers[2].address) in found.all
    assert found.ids("error") == {"CON02"}
    assert found.code == 2
    assert Found(project, "--skip", "CON01", "--skip", "CON02").code == 3


def test_a_deadline_ends_a_run_in_which_everything_is_dead(world: World, tmp_path: Path) -> None:
    ways = [Way(server, request=lambda _request: False, tcp="silent") for server in world.servers]
    with ways[0], ways[1], ways[2]:
        project = world.project(tmp_path, *(one.where for one in ways))
        config = tmp_path / "realmkit.yml"
        config.write_text(config.read_text().replace(f'server: "{world.where[0]}"', f'server: "{ways[0].where}"'))
        began = SystemClock().monotonic()
        found = Found(project, "--deadline", "2s")
        assert SystemClock().monotonic() - began < 20.0
    assert found.code == 3
    assert {one[1] for one in found.all} == {"unknown"}, found.all
    assert {one[3] for one in found.all if one[0] == "RUN01"} == {one.where for one in ways}


def test_a_deadline_in_the_middle_makes_unknown_what_was_not_reached(world: World, tmp_path: Path) -> None:
    project = world.project(tmp_path, *world.where)
    project.rate = "80"
    project.write()
    found = Found(project, "--deadline", "1s")
    assert found.code == 3
    assert {one[1] for one in found.all} == {"unknown"}, found.all
    assert {one[3] for one in found.all if one[0] == "RUN01"} == {one.address for one in world.servers}


def test_when_nobody_can_be_reached_nothing_is_broken_but_unknown(world: World, tmp_path: Path, quick: None) -> None:
    """The machine that looks is the one with the trouble."""
    found = Found(world.project(tmp_path, "198.51.100.7", "198.51.100.8", "198.51.100.9"))
    assert found.code == 3
    assert {one[1] for one in found.all} == {"unknown"}, found.all


# --- the clock ---------------------------------------------------------------------------------------------------


def test_a_clock_set_back_repeats_no_news_and_loses_no_reminder(
    world: World, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    zone = lab.zone_name("faults")
    for server in world.servers:
        server.add_zone(zone, zone_text(world.servers, ["acme", "bell"]))
    real = SystemClock().now()
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"],
                            provider='{type: zonefile, file: "live.zone"}')  # fmt: skip
    project.write()
    (tmp_path / "live.zone").write_text(f"$ORIGIN {zone}\n" + zone_text(world.servers, ["acme", "bell"]))

    def at(hours: float) -> tuple[int, int]:
        monkeypatch.setattr(SystemClock, "now", lambda _self: real + timedelta(hours=hours))
        code, told = project.check("--cron", *QUIET, "--skip", "CON01", "--skip", "CON07")
        return code, told.count("CON02")

    assert at(0) == (0, 0)
    update(world.servers[1], zone, f"update delete bell.{zone} MX")
    assert at(0.1) == (2, 1)
    assert [at(hours) for hours in (-30, -29, -7)] == [(2, 0)] * 3
    assert at(-5.9) == (2, 1)
    assert [at(hours) for hours in (-5.8, 1, 17)] == [(2, 0)] * 3
    assert at(18.2) == (2, 1)
    update(world.servers[1], zone, f"update add bell.{zone} 300 MX 10 mx.edge.{zone}")
    assert at(-100) == (0, 1)
    assert at(20) == (0, 0)


def test_a_zone_is_not_in_order_by_checks_that_were_not_made(
    world: World, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with few checks must not make the next whole one pass over realms."""
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    zone = lab.zone_name("faults")
    text = zone_text(world.servers, ["acme", "bell"])
    for server in world.servers:
        server.add_zone(zone, text.replace("bell MX 10 mx.edge", "") if server is world.servers[1] else text)
    project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"])
    project.write()
    assert project.check("--cron", "--only", "CON01") == (0, "")
    code, told = project.check("--cron", "--sample", "1000", *QUIET)
    assert (code, told.count("CON02")) == (2, 1)


def test_a_fault_is_not_called_mended_while_its_server_is_silent(
    world: World, lab: Lab, tmp_path: Path, quick: None
) -> None:
    zone, third = lab.zone_name("faults"), world.servers[2]
    for server in world.servers:
        server.add_zone(zone, zone_text(world.servers, ["acme", "bell"]))
    silent: set[str] = set()
    with Way(third, request=lambda _request: not silent) as path:
        asked = [*world.where[:2], path.where]
        project = HealthProject(tmp_path, zone.rstrip("."), world.servers, ["acme", "bell"], asked=asked)
        project.write()

        assert project.check("--cron", "--confirm", "1", "--only", "CON02") == (0, "")
        update(third, zone, f"update delete bell.{zone} MX")
        code, told = project.check("--cron", "--confirm", "1", "--only", "CON02")
        assert (code, told.count("CON02")) == (2, 1)
        silent.add("now")
        update(third, zone, f"update add bell.{zone} 300 MX 10 mx.edge.{zone}")
        code, told = project.check("--cron", "--confirm", "1", "--only", "CON02")
        assert (code, told.count("CON02"), told.count("recovered")) == (2, 0, 0)
        assert told.count("RUN01") == 2  # for each realm, as they are few
        silent.clear()
        code, told = project.check("--cron", "--confirm", "1", "--only", "CON02")
        assert (code, told.count("CON02"), told.count("recovered")) == (0, 1, 3)
        assert project.check("--cron", "--confirm", "1", "--only", "CON02") == (0, "")


# --- state -------------------------------------------------------------------------------------------------------


class Watched:
    """A project with a fault that cron has not told yet, and the state of a run that found all well."""

    def __init__(self, project: HealthProject, server: Authoritative) -> None:
        self.project = project
        self.path = project.directory / ".realmkit/health.json"
        assert self.cron() == (0, "")
        self.old = self.path.read_bytes()
        update(server, f"{project.zone}.", f"update delete bell.{project.zone}. MX")

    def cron(self, *args: str) -> tuple[int, str]:
        return self.project.check(*self.words(*args))

    @staticmethod
    def words(*args: str) -> tuple[str, ...]:
        return "--cron", *QUIET, "--skip", "CON01", "--skip", "CON07", *args

    def forget(self) -> None:
        """As it was before the fault was there."""
        self.path.write_bytes(self.old)

    def start(self, before: str, wrap: Sequence[str] = (), *args: str) -> subprocess.Popen[str]:
        """A process of its own that runs this code first, then the check."""
        code = f"""
import os, signal, sys
from pathlib import Path
from realmkit import cli, durable
from realmkit.cli import healthrun, healthtell
from realmkit.health import run
from realmkit.clock import SystemClock
run.SECOND_LOOK_AFTER = 0.0
def die(*_args, **_named):
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
{before}
cli.main({["-C", str(self.project.directory), "health", "check", *self.words(*args)]!r})
"""
        return subprocess.Popen(
            [*wrap, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip


@pytest.fixture
def watched(world: World, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    zone = lab.zone_name("faults")
    for server in world.servers:
        server.add_zone(zone, zone_text(world.servers, ["acme", "bell"]))
    project = HealthProject(tmp_path / "project", zone.rstrip("."), world.servers, ["acme", "bell"])
    project.write()
    return Watched(project, world.servers[1])


INSTANTS = {
    "before it asks": "run._examined = die",
    "between two looks": "SystemClock.sleep = die",
    "before it says anything": "healthtell.show = die",
    "once it has said it": "real = healthtell.show; healthtell.show = lambda *a, **n: (real(*a, **n), die())",
    "before the new file": "durable.write = die",
    "half of the new file": "os.fsync = lambda fd: (os.ftruncate(fd, os.fstat(fd).st_size // 2), die())",
    "before the new file takes its place": "Path.replace = die",
    "once it has": "durable.sync_directory = die",
}


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_run_that_is_killed_leaves_one_whole_state_and_its_news_to_the_next(watched: Watched, instant: str) -> None:
    killed = watched.start(INSTANTS[instant])
    said, errors = killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL, errors
    assert (watched.path.read_bytes() == watched.old) == (instant != "once it has")
    assert state.load(watched.path).turn == (2 if instant == "once it has" else 1)
    code, told = watched.cron()
    assert code == 2
    twice = instant != "once it has" and "CON02" in said  # rather twice than never
    assert said.count("CON02") + told.count("CON02") == (2 if twice else 1)
    assert watched.cron() == (2, "")


def test_of_two_runs_at_once_the_second_says_so_and_nothing_is_lost(
    watched: Watched, capfd: pytest.CaptureFixture[str]
) -> None:
    first = watched.start("SystemClock.sleep = lambda *_: (print('asleep', flush=True), sys.stdin.readline())")
    assert first.stdout is not None
    assert first.stdout.readline() == "asleep\n"
    capfd.readouterr()
    assert watched.cron() == (3, "")
    assert "another health check of this project is running" in capfd.readouterr().err
    assert watched.path.read_bytes() == watched.old
    said, errors = first.communicate("go on\n", timeout=30)
    assert (first.returncode, said.count("CON02"), errors) == (2, 1, "")
    assert watched.cron() == (2, "")


def test_a_full_disk_costs_the_memory_and_not_the_verdict(watched: Watched) -> None:
    """A file system of its own, too small for one more file."""
    directory, old = watched.path.parent, watched.project.directory / "old"
    script = (
        f"cp {watched.path} {old} && mount -t tmpfs -o size=16k none {directory} && cp {old} {watched.path} && "
        f'{{ cat /dev/zero >{directory}/rest 2>/dev/null; "$@"; code=$?; '
        f"cmp {old} {watched.path} && ls -A {directory} >&2; exit $code; }}"
    )
    full = watched.start("", ["unshare", "--mount", "sh", "-c", script, "sh"])
    said, errors = full.communicate(timeout=30)
    assert (full.returncode, said.count("CON02")) == (3, 1), errors
    assert "can't write" in errors
    assert "No space left" in errors
    assert sorted(errors.split()[-3:]) == ["health.json", "health.json.lock", "rest"], errors
    assert watched.cron()[1].count("CON02") == 1


# --- hostile texts -----------------------------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e evil"


@contextlib.contextmanager
def mail_host(address: str) -> Iterator[None]:
    """Greets whoever comes with a text that would steer a terminal."""
    with socket.create_server((address, 25)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listening.accept()[0] as one:
                        one.sendall(f"554 {EVIL}\r\n".encode())
                        one.settimeout(2)
                        one.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def explained(request: bytes, _answer: bytes) -> Iterator[Sent]:
    """A resolver that fails, and says why in such a text (RFC 8914)."""
    failure = dns.message.make_response(dns.message.from_wire(request))
    failure.set_rcode(dns.rcode.SERVFAIL)
    failure.use_edns(options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, EVIL)])
    yield Sent(failure.to_wire())


@pytest.mark.parametrize("shape", ["text", "cron", "nagios", "junit", "html", "prometheus"])
def test_what_mail_hosts_and_resolvers_say_never_steers_a_terminal(
    world: World, lab: Lab, tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    zone = lab.zone_name("faults")
    spf = r'acme TXT "v=spf1 \027[2J\007 evil ip4:192.0.2.1 -all"'
    world.servers[0].add_zone(zone, zone_text(world.servers[:1], ["acme"], more=spf))
    with mail_host("127.0.0.203"), Way(world.servers[0], answer=explained) as resolver:
        policy = f', health: {{resolvers: ["{resolver.where}"]}}'
        project = HealthProject(tmp_path, zone.rstrip("."), world.servers[:1], ["acme"], policy)
        project.write()
        shown = ("--cron",) if shape == "cron" else ("--no-state", "--format", shape)
        code, printed = project.check("--only", "MX03", "--only", "MX05", "--only", "PRO", *shown)
    assert code in (1, 2, 3)
    told = {"prometheus": 0, "nagios": 0}.get(shape, 2)
    assert printed.count("evil") >= told, printed
    assert not [one for one in printed if unicodedata.category(one) in ("Cc", "Cf") and one != "\n"]
