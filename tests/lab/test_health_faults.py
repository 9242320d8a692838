"""The whole health check while things fail: what is not told is unknown, nothing that is there is called missing."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from realmkit.dns.query import Options
from tests.lab.dnsfaults import Path as Path53
from tests.lab.dnsfaults import Sent
from tests.lab.healthproject import HealthProject, update, zone_text
from tests.lab.server import run
from tests.lab.servers import Knot, Named, Unbound

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """A path to a server. A port that is free for UDP may be taken for TCP, so it tries several."""

    def __init__(self, server: Server, **faults: Any) -> None:
        for left in reversed(range(50)):
            try:
                super().__init__((server.address, server.port), **faults)
            except OSError:
                self._udp.close()
                if not left:
                    raise
            else:
                return

    @property
    def where(self) -> str:
        return f"{self.server.address}:{self.server.port}"


# --- loss and delay ----------------------------------------------------------------------------------------------


class Loss:
    """Loses three datagrams in ten, each way, by dice that fall the same in every run."""

    def __init__(self, seed: int) -> None:
        self._there, self._back = random.Random(seed), random.Random(seed + 1000)
        self.lost = 0

    def request(self, _request: bytes) -> bool:
        return not self._loses(self._there)

    def answer(self, _request: bytes, answer: bytes) -> Iterator[Sent]:
        if not self._loses(self._back):
            yield Sent(answer)

    def _loses(self, dice: random.Random) -> bool:
        lost = dice.random() < 0.3
        self.lost += lost
        return lost


def test_three_in_ten_datagrams_lost_both_ways_make_nothing_missing(world: World, tmp_path: Path, quick: None) -> None:
    losses = [Loss(seed) for seed in range(3)]
    ways = [Way(server, request=loss.request, answer=loss.answer)
            for server, loss in zip(world.servers, losses, strict=True)]  # fmt: skip
    with ways[0], ways[1], ways[2]:
        found = Found(world.project(tmp_path, *(one.where for one in ways)))
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
