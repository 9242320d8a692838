"""The process dies, anywhere: the next one finishes, and the world ends as if nothing had happened."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from realmkit.clock import SystemClock
from realmkit.dns.work.desk import Desk
from realmkit.migrate import operations
from realmkit.migrate.journal import Journal
from realmkit.migrate.machine import Decision
from realmkit.migrate.operations import Request
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.sandbox.phone import Behaviour
from tests.unit.moves import ACCOUNT, ACME, API_URL, NEW, OLD, Move, a_move, everybody
from tests.unit.reaper import Death, Reaper

BOOKS = ("realm-migration", "realm-cutover")
COMBINATIONS = [(book, generation) for book in BOOKS for generation in Generation]
both = pytest.mark.parametrize(("book", "generation"), COMBINATIONS, ids=lambda one: getattr(one, "value", one))


HASTE = Behaviour(boot=0.5, reload=0.1, events=("check-sync", "resync"))


@contextmanager
def staged(generation: Generation) -> Iterator[Move]:
    """A platform in a directory of its own; there are many in one test."""
    with TemporaryDirectory(prefix="realmkit-test.") as place, a_move(Path(place) / "project", generation) as move:
        yield move


def survive(move: Move, act: Callable[[], Decision], pause: float) -> tuple[Decision, int]:
    """Start again and again, so many seconds after each death; how it ended, and how often it died."""
    deaths = 0
    while True:
        try:
            return act(), deaths
        except Death:
            deaths += 1
            move.clock.sleep(pause)


def ending(move: Move) -> dict[str, Any]:
    """The world when the dust has settled, and who is where."""
    move.settle()
    moved = [name for name, device in move.devices.items() if device in move.state.members("moved")]
    where = {name: move.realms_of(name) for name in moved}
    rings = {name: move.cluster.rings(device) for name, device in move.devices.items()}
    return {**move.world(), "where": where, "rings": rings}


@cache
def undisturbed(book: str, generation: Generation) -> tuple[dict[str, Any], list[str]]:
    """The end of a move to which nothing happens, and its moments."""
    with staged(generation) as move:
        move.plan(playbook=book)
        with Reaper(lambda _: False).at_work() as reaper:
            assert move.run().why == "moved"
        return ending(move), reaper.moments


@both
def test_an_undisturbed_move_ends_as_it_should(book: str, generation: Generation) -> None:
    end, moments = undisturbed(book, generation)
    pinned = OLD if book == "realm-migration" else None  # the cutover pins nobody
    assert end["account"]["realm"] == end["trunk"]["account"]["auth_realm"] == NEW
    assert end["where"] == {"Desk 1": [NEW], "Desk 2": [NEW], "Desk 3": [NEW]}
    own = {name: document["sip"].get("realm") for name, document in end["devices"].items()}
    assert own == {"Desk 1": None, "Desk 2": None, "Desk 3": None, "Softphone": pinned}
    assert all(NEW.encode() in content for content in end["files"].values())
    assert {ttl for (owner, _), (ttl, _) in end["records"].items() if b"acme" in owner} == {3600}
    assert end["box"]["custom_smtp_email_address"] == OLD
    assert end["rings"] == dict.fromkeys(end["rings"], True) | {"Softphone": book == "realm-migration"}
    assert len(moments) > 90  # there is something to disturb


@pytest.mark.parametrize(
    ("book", "generation", "pause"),
    [(*both_of, 7.0) for both_of in COMBINATIONS]
    + [("realm-migration", Generation.NEWER, 0.0), ("realm-migration", Generation.OLDER, 400.0)],
    ids=lambda one: getattr(one, "value", one),
)
def test_death_at_every_single_moment(book: str, generation: Generation, pause: float) -> None:
    """Before and after each line of the journal and after each effect, all in one move; and so on the way back."""
    end, moments = undisturbed(book, generation)
    with staged(generation) as move:
        before = move.world()
        move.plan(playbook=book)
        with Reaper(lambda _: True).at_work():
            decision, deaths = survive(move, move.run, pause)
            assert decision.why == "moved"
            assert deaths > 0.9 * len(moments)  # a phone that has come meanwhile is not asked to
            assert ending(move) == end
            decision, deaths = survive(move, move.turn_back, pause)
        assert decision.why == "turned back"
        assert deaths > 60
        assert move.world() == before


def sample(book: str, generation: Generation, count: int) -> list[int]:
    """Moments spread over a whole move, others for each combination."""
    _, moments = undisturbed(book, generation)
    dice = random.Random(f"{book} {generation.value}")
    stride = len(moments) / count
    return [int((place + dice.random()) * stride) for place in range(count)]


@both
def test_one_death_and_the_rest_by_another_process(book: str, generation: Generation) -> None:
    end, _ = undisturbed(book, generation)
    for moment in sample(book, generation, 4):
        with staged(generation) as move:
            move.plan(playbook=book)
            with Reaper(moment.__eq__).at_work() as reaper:
                decision, deaths = survive(move, move.run, 3.0)
            assert (decision.why, deaths) == ("moved", 1), reaper.moments[moment]
            assert ending(move) == end, reaper.moments[moment]


@both
def test_turned_back_at_any_moment_everything_is_as_before(book: str, generation: Generation) -> None:
    """The process dies, and Jane turns back instead of going on."""
    _, moments = undisturbed(book, generation)
    first = next(place for place, moment in enumerate(moments) if moment.startswith("after Began lower-ttl"))
    for moment in sorted({first, *(one for one in sample(book, generation, 6) if one > first)}):
        with staged(generation) as move:
            before = move.world()
            move.plan(playbook=book)
            with Reaper(moment.__eq__).at_work(), pytest.raises(Death) as died:
                move.run()
            decision = move.turn_back()
            assert decision.why == "turned back", (died.value, decision.why)
            assert move.world() == before, died.value
            move.settle()
            assert everybody(move) == {name: [OLD] for name in move.cast}, died.value
            assert all(move.cluster.rings(device) for device in move.devices.values()), died.value


# --- for real ---------------------------------------------------------------------------------------------------------


class RealTime:
    """The platform of a `Move` behind HTTP; its time passes as ours does, up to the moment of each request."""

    def __init__(self, move: Move) -> None:
        self._move = move
        self._ahead = move.clock.now() - SystemClock().now()
        self._handle = move.cluster.handle
        self._lock = threading.Lock()

    def handle(self, *request: Any) -> Any:
        with self._lock:
            self._move.clock.run_until(SystemClock().now() + self._ahead)
            return self._handle(*request)

    def skip(self, seconds: float) -> None:
        with self._lock:
            self._ahead += timedelta(seconds=seconds)
            self._move.clock.run_until(SystemClock().now() + self._ahead)


def quiet_now() -> str:
    """Opening hours that are half a day away."""
    opens = (SystemClock().now().hour + 12) % 24
    return f"Mo-Su {opens:02}:00-{opens + 1:02}:00"


def test_the_real_command_is_killed_again_and_again(tmp_path: Path) -> None:
    """Processes of their own, a journal on disk, HTTP, UDP and the machine's clock; kill -9 whenever it comes."""
    dice = random.Random(20261123)
    account = ACCOUNT.replace("Mo-Fr 08:00-18:00", quiet_now())
    with ExitStack() as stack:
        move = Move(
            tmp_path / "project", Generation.NEWER, (ACME[0], ACME[3]), stack, account=account, now=SystemClock().now()
        )
        zone = move.directory / "voice.example.com.zone"
        zone.write_text(zone.read_text().replace("1209600 300", "1209600 0"))
        server = stack.enter_context(CrossbarServer(move.cluster))
        policy = "policy: {ttl: 1, migration_ttl: 0}\n"
        move.write_config(lambda text: text.replace(API_URL, server.url) + policy)
        move.publish_old()
        move.people(desk_1=HASTE, softphone=HASTE)
        move.cluster.buckets.size, move.cluster.buckets.refill = 10_000, 10_000.0  # each login takes 35 request tokens
        real = RealTime(move)
        move.cluster.handle = real.handle  # type: ignore[assignment,method-assign] # the same
        before = move.world()
        inputs = {"waves": "100%", "bake": "0s", "watch": "0s"}
        with Journal.of(move.project.state_dir) as journal:
            plan = operations.make_plan(Desk(move.project, SystemClock()), Request("acme", inputs=inputs))
            operations.keep_plan(journal, plan)
            operations.approve(journal, "acme", "Jane", None, SystemClock().now())
            kills, said = 0, ""
            for command, count in ((["run"], 3), (["rollback", "--yes"], 1)):
                pauses = [dice.uniform(0.4, 0.9) for _ in range(count)]
                killed, output = stubborn(move.directory, [*command, "acme", "--as", "Jane"], pauses)
                kills, said = kills + killed, said + output
                real.skip(60)
                if command == ["run"]:
                    assert move.realm() == NEW
                    assert everybody(move) == {"Desk 1": [NEW], "Softphone": [OLD]}
                    assert move.pins() == {"Desk 1": None, "Softphone": OLD}
            assert kills >= 3
            assert "set the account's realm back" in said
            assert not [one for one in move.secrets() if one in said]
            assert move.world() == before
            assert everybody(move) == {name: [OLD] for name in move.cast}


def stubborn(directory: Path, arguments: list[str], pauses: list[float]) -> tuple[int, str]:
    """Run `realmkit migrate`, killed after each pause, the last one not; how many were killed, and what all said."""
    killed, said = 0, ""
    for pause in (*pauses, 60.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "realmkit", "migrate", *arguments], cwd=directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=pause)
        except subprocess.TimeoutExpired:
            process.kill()
            said += process.communicate()[0]
            killed += 1
            continue
        said += output
        assert process.returncode == 0, said
        break
    return killed, said
