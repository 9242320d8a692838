"""An account's realm moves for real: DNS on named and knot, configurations by SFTP, phones through Kamailio.

Stories whose figures are worth knowing have the machine to themselves; the others run on both kinds of platform at
once, each on a stage of its own.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import NamedTuple

import pytest
from msgspec import structs

from realmkit.migrate.events import Event
from realmkit.migrate.journal import open_existing
from realmkit.sandbox.cluster import Generation
from tests.lab.move import figures
from tests.lab.move.cast import DEAF, FORTY, QUICK, REAL, SLOW, STAYS, STEADY, TAMED, TWELVE, WILD, Kind, company
from tests.lab.move.conftest import Build, Tell
from tests.lab.move.figures import Figures
from tests.lab.move.prober import Spell
from tests.lab.move.stage import Stage
from tests.lab.move.world import World, dns_faults, left_behind, look, mail_faults
from tests.lab.server import wait_for
from tests.lab.sipp import Tally

FULL = os.environ.get("REALMKIT_LAB_MOVE") == "full"  # as `make lab-move` does: nothing is left out to save time
FORTY_ON = list(Generation) if FULL else [Generation.NEWER]
KILLS = 10
CUTOVER = "realm-cutover"


def on_both(story: Callable[[Stage], object], build: Build, *cast_and_more: object) -> None:
    """Play a story on both kinds of platform at once."""
    stages = [build(generation, *cast_and_more) for generation in Generation]
    with ThreadPoolExecutor(len(stages)) as pool:
        list(pool.map(story, stages))


def names_of(stage: Stage, *kinds: Kind) -> list[str]:
    return [member.name for member in stage.cast if member.kind in kinds]


# --- what must be true in the end ------------------------------------------------------------------------------------


def assert_moved(stage: Stage, before: World, stay: Sequence[str] = ()) -> World:
    """Everybody but those who stay is at the new realm, nothing is left behind, and nothing else was touched."""
    old, new = stage.user.old, stage.user.new
    assert left_behind(stage, new, old, frozenset(stay)) == []
    assert dns_faults(stage, old, new) == []
    assert mail_faults(stage, old, new) == []
    assert "0 wrong, 0 unknown" in stage.user.run("dns", "verify")
    after = look(stage)
    for name in ("neighbour", "neighbour's phone"):
        assert after.documents[name] == before.documents[name]
    for member in stage.cast:
        file = stage.published(member).name
        if member.name in stay:
            assert after.files[file] == before.files[file]
        else:
            assert after.documents[member.name] == before.documents[member.name]
            assert new.encode() in after.files[file]
            assert old.encode() not in after.files[file]
    for server, lines in before.dns.items():
        assert [line for line in after.dns[server] if new not in line] == lines
    return after


def assert_as_before(stage: Stage, before: World) -> None:
    """Byte for byte; and every phone rings at the old realm and is nowhere else."""
    old, new = stage.user.old, stage.user.new
    stage.await_all(old)
    after = look(stage)
    assert after.dns == before.dns
    assert after.documents == before.documents
    assert after.files == before.files
    assert left_behind(stage, old, new) == []
    assert mail_faults(stage, old) == []


# --- how a move is watched -------------------------------------------------------------------------------------------


def shown(spells: Mapping[str, Sequence[Spell]]) -> str:
    return "\n".join(f"{name}: {'; '.join(map(str, one))}" for name, one in spells.items() if one)


def run_and_watch(
    stage: Stage, story: str, own: Mapping[str, float], *, playbook: str = "realm-migration",
    calls: Mapping[float, Sequence[str]] | None = None, **inputs: str,
) -> tuple[Figures, str]:  # fmt: skip
    """Plan, approve and run a move under the prober's eyes, with calls held for so many seconds; what was measured."""
    stage.crossbar.requests.clear()
    with stage.probed() as prober:
        for seconds, names in (calls or {}).items():
            stage.hold(names, seconds)
        stage.user.plan(playbook, **inputs)
        began = time.monotonic()
        stage.user.run("migrate", "run", "acme")
        took = time.monotonic() - began
        tally = stage.calls() if calls else Tally(0, 0, 0)
    assert prober.believes() == {device: stage.crossbar.rings(device) for device in stage.devices.values()}
    spells = prober.spells()
    obeying = {member.name: member.kind.name for member in stage.cast if member.kind.obeys}
    dark = {name: sum(spell.seconds for spell in spells[name]) for name in obeying}
    found = Figures(
        story=story, generation=stage.generation.value, phones=len(stage.cast), obeying=len(obeying),
        calls=tally.begun, cut=tally.begun - tally.whole, seconds=took, requests=stage.crossbar.requests.total(),
        probes=prober.probes, dark=figures.darkness(dark, own, obeying),
    )  # fmt: skip
    return found, shown(spells)


def judged(stage: Stage, found: Figures, before: World, tell: Tell, stay: Sequence[str] = ()) -> World:
    """Tell the figures, then hold the world against what must be true."""
    left = left_behind(stage, stage.user.new, stage.user.old, frozenset(stay))
    tell(structs.replace(found, left=tuple(left)))
    return assert_moved(stage, before, stay)


# --- phone by phone --------------------------------------------------------------------------------------------------


@pytest.mark.alone
@pytest.mark.parametrize("generation", FORTY_ON, ids=lambda one: one.value)
def test_forty_phones_roll_over(build: Build, tell: Tell, generation: Generation) -> None:
    """Forty phones and two real ones, eight of them in calls: nobody is cut off, nobody is dark for long."""
    stage = build(generation, FORTY)
    own = stage.measure(each=FULL)
    before = look(stage)
    quick = names_of(stage, QUICK, STEADY)
    calls = {12.0: [*names_of(stage, WILD), *quick[:4]], 35.0: quick[-2:]}
    found, spells = run_and_watch(stage, "rolling", own, calls=calls)
    judged(stage, found, before, tell)
    assert (found.calls, found.cut) == (8, 0)
    assert found.dark.ratio_p95 <= 1, spells
    assert found.seconds <= 60


class Quiet(NamedTuple):
    """A move that nothing disturbed: how the world looked in the end, and how many events it took."""

    end: str
    events: int


QUIET: list[Quiet] = []


@pytest.mark.alone
@pytest.mark.parametrize("generation", list(Generation) if FULL else [Generation.OLDER], ids=lambda one: one.value)
def test_twelve_phones_roll_over(build: Build, tell: Tell, generation: Generation) -> None:
    stage = build(generation, TWELVE)
    own = stage.measure()
    before = look(stage)
    found, spells = run_and_watch(stage, "rolling", own)
    QUIET.append(Quiet(judged(stage, found, before, tell).plain(stage), len(journaled(stage))))
    assert found.dark.ratio_max <= 1, spells


def test_who_does_not_obey_stays_and_rings(build: Build, tell: Tell) -> None:
    """Two deaf phones and one that may not move end up pinned to the old realm; calls reach them all the same."""

    def story(stage: Stage) -> None:
        own = stage.measure()
        before = look(stage)
        found, _ = run_and_watch(stage, "stragglers", own, arrive="8s", again="3s", share="60%", waves="1, 100%")
        stay = names_of(stage, DEAF, STAYS)
        stage.await_reached()  # who stays was flushed, and comes back with its next REGISTER
        judged(stage, found, before, tell, stay)
        status = stage.user.status()
        assert status["standing"] == "finished"
        assert set(status["phones"]["stragglers"]) == {stage.devices[name] for name in stay}

    on_both(story, build, company((QUICK, 2), (STEADY, 2), (SLOW, 1), (TAMED, 1), (DEAF, 2), (STAYS, 1), (REAL, 1)))


# --- all at once -----------------------------------------------------------------------------------------------------


def refuse_own_realms(stage: Stage) -> None:
    """A platform on which a device's own realm lets nobody in: the case for the cutover."""
    stage.crossbar.switches.allow_aggregates = False


def test_all_phones_at_once(build: Build, tell: Tell) -> None:
    def story(stage: Stage) -> None:
        refuse_own_realms(stage)
        own = stage.measure()
        before = look(stage)
        found, spells = run_and_watch(stage, "cutover", own, playbook=CUTOVER)
        judged(stage, found, before, tell)
        assert found.dark.ratio_p95 <= 1, spells

    on_both(story, build, TWELVE)


def test_the_lab_knows_the_wrong_order(build: Build) -> None:
    """With "send check-sync" after "set account realm" no phone comes over, and calls reach nobody."""

    def story(stage: Stage) -> None:
        refuse_own_realms(stage)
        book = stage.user.directory / "playbooks" / f"{CUTOVER}.yml"
        book.parent.mkdir()
        book.write_text(exchanged(resources.files("realmkit.playbooks").joinpath(f"{CUTOVER}.yml").read_text("utf-8")))
        said = stage.user.run("playbook", "lint", str(book), expect=64)
        assert "--allow resync-after-realm" in said
        stage.user.plan(CUTOVER, "--allow", "resync-after-realm", arrive="5s", again="2s")
        with stage.probed() as prober:
            said = stage.user.run("migrate", "run", "acme", expect=2)
        assert "registered at the new realm: not within 5 s" in said
        by_hand = set(names_of(stage, REAL))  # their owners need no NOTIFY
        assert {name for name, realms in stage.where().items() if stage.user.new in realms} <= by_hand
        assert stage.reached() <= by_hand
        dark = {name: sum(spell.seconds for spell in spells) for name, spells in prober.spells().items()}
        assert min(seconds for name, seconds in dark.items() if name not in by_hand) > 5

    on_both(story, build, TWELVE)


def exchanged(text: str) -> str:
    """The cutover, in which phones are told after the account's realm has been set."""
    head, tell, rest = text.partition("  - id: tell\n")
    telling, flush, rest = rest.partition("  # What a phone leaves")
    setting, arrive, rest = rest.partition("  - id: arrive\n")
    assert tell
    assert flush
    assert "account.set_realm" in setting
    assert arrive
    return head + flush + setting + tell + telling + arrive + rest


# --- turning back, and being killed ----------------------------------------------------------------------------------


def test_turning_back_in_the_middle_of_a_wave(build: Build) -> None:
    """DNS, documents, configurations and the realm are what they were, byte for byte, and every phone rings there."""

    def story(stage: Stage) -> None:
        before = look(stage)
        stage.user.plan()
        process = stage.user.start("migrate", "run", "acme")
        wait_for("six phones have moved", lambda: moved(stage) >= 6, 40)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 130, said
        assert "it goes on from here" in said
        middle = look(stage)
        assert middle.dns != before.dns
        assert middle.documents != before.documents
        assert middle.files != before.files
        assert 0 < len(stage.user.status(expect=75)["phones"]["moved"]) < len(stage.cast)
        stage.user.run("migrate", "rollback", "acme", "--why", "the lab wants it", "--yes")
        assert stage.user.status()["leg"] == "back"
        assert_as_before(stage, before)

    on_both(story, build, TWELVE)


def moved(stage: Stage) -> int:
    return sum(stage.user.new in realms for realms in stage.where().values())


def test_ten_kills(build: Build, tell: Tell) -> None:
    """`kill -9` at ten random instants: each time the same command goes on, and the end is that of a quiet move.

    The instants are places in the journal, somewhere between the first and the last event of a quiet move, and some
    milliseconds: after a kill the next login waits for request tokens, where seconds would all fall into that wait.
    """
    if not QUIET:
        test_twelve_phones_roll_over(build, tell, Generation.OLDER)
    quiet = QUIET[0]
    seed = os.environ.get("REALMKIT_LAB_SEED", "20261123")

    def story(stage: Stage) -> None:
        before = look(stage)
        stage.user.plan()
        dice = random.Random(f"{seed} {stage.generation.value}")
        places = sorted(dice.sample(range(3, quiet.events - KILLS), KILLS))  # after planned and approved
        instants = [kill_at(stage, place, dice.uniform(0, 0.3)) for place in places]
        tell(f"kills {stage.generation.value}, seed {seed}: {'; '.join(instants)}")
        stage.user.run("migrate", "run", "acme")
        assert assert_moved(stage, before).plain(stage) == quiet.end

    on_both(story, build, TWELVE)


def kill_at(stage: Stage, place: int, seconds: float) -> str:
    """Run the move until that many events are written down, one more at least, and so many seconds; what it was about.

    A run that is killed has got on: it is never killed again at the same place.
    """
    place = max(place, len(journaled(stage)) + 1)
    process = stage.user.start("migrate", "run", "acme")
    wait_for(f"event {place}", lambda: len(journaled(stage)) >= place or process.poll() is not None, 60)
    try:
        said = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    else:
        pytest.fail(f"it ended by itself with {process.returncode}: {said}")
    events = journaled(stage)
    what = events[-1].what
    task = re.sub("[0-9a-f]{26}", "", getattr(what, "task", ""))
    return f"event {len(events)}, {type(what).__name__.lower()} {task}"


def journaled(stage: Stage) -> list[Event]:
    with open_existing(stage.user.directory / ".realmkit") as journal:
        return journal.events("acme")
