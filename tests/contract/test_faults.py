"""What goes wrong between a provider and its backend: said exactly, settled by reading again, resumable.

The backend is real or a stand-in; `tests.lab.front` puts the backend's own words of each plight in its place, before
a request reached it or after it took effect. Where the core's part matters (it decides whether to read again, to send
again, or to give up with an exact account), the plan goes through `ZoneApplier` as `dns apply` does it.
"""

from __future__ import annotations

import random
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns.plan import Change, Plan, ZonePlan
from realmkit.dns.provider import limits_of
from realmkit.dns.records import key_to_text
from realmkit.dns.work import runs
from realmkit.dns.work.apply import ZoneApplier, ZoneResult
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.errors import (
    AuthError,
    InterruptedApplyError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
)
from tests.contract.oracle import bind
from tests.contract.test_promises import a_record
from tests.contract.test_transitions import assert_served, content_of
from tests.lab.front import Front, Strike

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Capabilities, Provider, Receipt, Weight
    from realmkit.dns.records import RRset, Zone
    from tests.contract.harness import Bench, Harness

pytestmark = pytest.mark.needs("http")

# Each plight, the error that it must become, and the seconds to wait that must be passed on.
REFUSED: dict[str, tuple[type[ProviderError], float | None]] = {
    "unauthorized": (AuthError, None),
    "forbidden": (AuthError, None),
    "expired": (AuthError, None),
    "skewed": (AuthError, None),
    "throttled": (RateLimitedError, 7.0),
    "throttled-vaguely": (RateLimitedError, None),
}


MUTATIONS = 40


class QuickClock(SystemClock):
    """The machine's clock; who sleeps on it is only counted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class OneGroupABatch:
    """A provider with room for one change in a batch, so that a small plan takes several."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.capabilities = provider.capabilities

    def limits(self, zone: Name) -> Capabilities:
        return structs.replace(limits_of(self._provider, zone), max_changes=1)

    def weigh(self, changes: Sequence[Change]) -> Weight:
        return self._provider.weigh(changes)._replace(elements=1)

    def snapshot(self, zone: Name) -> Zone:
        return self._provider.snapshot(zone)

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        return self._provider.apply(zone, changes, token)

    def settled(self, receipt: Receipt) -> bool:
        return self._provider.settled(receipt)


@pytest.fixture
def start(zone: Name) -> RRset:
    return a_record(zone)


@pytest.fixture
def bench(harness: Harness, zone: Name, start: RRset) -> Bench:
    """A zone that holds `start`."""
    return harness.bench([start], zone)


@contextmanager
def fronted(bench: Bench) -> Iterator[tuple[Provider, Front]]:
    """The provider with a front between it and its backend."""
    with Front(bench.url) as front:
        yield bench.at(front.url), front


def through_the_core(provider: object, zone: Name, changes: Sequence[Change], directory: Path) -> ZoneResult:
    """Apply a plan as `dns apply` does, pauses left out."""
    clock = QuickClock()
    reader: Provider = provider  # type: ignore[assignment] # structurally one
    live = reader.snapshot(zone)
    plan = ZonePlan(zone, tuple(changes))
    file = PlanFile(Plan((plan,)), {zone: Basis("x", live.token, live.serial)}, (), "", {})
    result = ZoneResult(zone)
    ZoneApplier(reader, runs.begin(directory / "state", file, clock.now()), clock, lambda _: None).apply(
        plan, live, result
    )
    return result


# --- refusals: nothing was changed, and the error says why ------------------------------------------------------


def test_a_reading_that_is_refused(harness: Harness, bench: Bench, zone: Name, plight: str) -> None:
    kind, wait = REFUSED[plight]
    with fronted(bench) as (provider, front):
        front.strike = Strike(harness.plights[plight])
        with pytest.raises(kind) as caught:
            provider.snapshot(zone)
        assert front.hits > 0
    assert caught.value.hint
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after == wait


def test_a_write_that_is_refused(harness: Harness, bench: Bench, zone: Name, start: RRset, plight: str) -> None:
    kind, wait = REFUSED[plight]
    with fronted(bench) as (provider, front):
        seen = provider.snapshot(zone)
        front.strike = Strike(harness.plights[plight], bench.is_write)
        with pytest.raises((kind,) if harness.provider.capabilities.atomic else (kind, OutcomeUnknownError)) as caught:
            provider.apply(zone, [Change(start, a_record(zone, address="192.0.2.2"))], seen.token)
        assert front.hits == 1, "a write is never sent again without reading first"
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after == wait
    assert content_of(bench) == {start.key: start}


@pytest.mark.needs("accounts")
def test_another_account_does_not_have_the_zone(bench: Bench, zone: Name, start: RRset) -> None:
    stranger = bench.with_another_account()
    with pytest.raises(RejectedError) as caught:
        stranger.snapshot(zone)
    assert caught.value.hint
    assert "account" in caught.value.message + caught.value.hint
    with pytest.raises(ProviderError):
        stranger.apply(zone, [Change(start, None)], bench.provider.snapshot(zone).token)
    assert content_of(bench) == {start.key: start}


# --- readings that are not whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_half_an_answer_is_no_zone(bench: Bench, zone: Name, keep: float) -> None:
    with fronted(bench) as (provider, front):
        front.strike = Strike(keep=keep)
        with pytest.raises(ProviderError):
            provider.snapshot(zone)


def _mutated(body: bytes, seed: int) -> bytes:
    """The same octets with a few of them changed, taken out, doubled, or put elsewhere."""
    dice = random.Random(seed)  # the same in each run
    octets = bytearray(body)
    for _ in range(dice.choice((1, 1, 2, 8))):
        if not octets:
            break
        at, size = dice.randrange(len(octets)), dice.choice((1, 1, 4, 40))
        piece = bytes(octets[at : at + size])
        octets[at : at + size] = dice.choice((dice.randbytes(size), b"", piece * 2, b"null", b'"', b"<", b"\xff"))
    return bytes(octets)


def test_answers_that_were_tampered_with_are_errors_or_zones(bench: Bench, zone: Name, start: RRset) -> None:
    """Whatever comes, no reading ends in anything but a zone or one of our errors, and no writing either."""
    other = a_record(zone, address="192.0.2.2")
    changes = [Change(start, other)]
    outcomes: set[str] = set()
    with fronted(bench) as (provider, front):
        for seed in range(MUTATIONS):
            front.strike = Strike(alter=partial(_mutated, seed=seed))
            try:
                outcomes.add(type(provider.snapshot(zone)).__name__)
            except ProviderError:
                outcomes.add("error")
        assert "error" in outcomes
        for seed in range(MUTATIONS // 4):
            front.strike = None
            now = provider.snapshot(zone)
            front.strike = Strike(alter=partial(_mutated, seed=seed), when=bench.is_write)
            with suppress(ProviderError):
                provider.apply(zone, changes, now.token)
            there = content_of(bench)[start.key]
            changes = [Change(there, other if there == start else start)]


@pytest.mark.needs("pages")
def test_a_page_that_is_missing_is_no_end(harness: Harness, zone: Name) -> None:
    many = [bind((f"h{number:04}", "A", 300, (f"192.0.2.{number % 250}",)), zone) for number in range(1200)]
    bench = harness.bench(many, zone)
    with fronted(bench) as (provider, front):
        whole = provider.snapshot(zone)
        assert len(whole.rrsets) >= len(many)
        front.requests.clear()
        assert provider.snapshot(zone) == whole  # a provider may have learnt what it need not ask again
        for skip in range(1, len(front.requests)):
            front.strike = Strike(harness.plights["unavailable"], skip=skip)
            with pytest.raises(ProviderError):
                provider.snapshot(zone)
        front.strike = None
        assert provider.snapshot(zone) == whole


# --- the core settles every doubt by reading ------------------------------------------------------------------------


@pytest.mark.parametrize("forward", [False, True], ids=["before-it-took-effect", "after"])
def test_a_server_that_fails_around_a_write(
    harness: Harness, bench: Bench, zone: Name, start: RRset, forward: bool, tmp_path: Path
) -> None:
    changes = [Change(start, a_record(zone, address="192.0.2.2")), Change(None, a_record(zone, "b"))]
    with fronted(bench) as (provider, front):
        seen = provider.snapshot(zone)
        front.strike = Strike(harness.plights["unavailable"], bench.is_write, forward=forward)
        with pytest.raises(OutcomeUnknownError):
            provider.apply(zone, changes, seen.token)
        assert front.hits == 1, "a write is never sent again without reading first"
        if forward:
            changes = [change.inverse() for change in changes]
        front.strike = Strike(harness.plights["unavailable"], bench.is_write, forward=forward, times=1)
        result = through_the_core(provider, zone, changes, tmp_path)
    assert result.known
    assert len(result.applied) == 2
    assert content_of(bench) == {change.after.key: change.after for change in changes if change.after}
    assert_served(bench, changes, {})


def test_a_throttled_write_is_sent_again_later(
    harness: Harness, bench: Bench, zone: Name, start: RRset, tmp_path: Path
) -> None:
    with fronted(bench) as (provider, front):
        provider.snapshot(zone)
        front.strike = Strike(harness.plights["throttled"], bench.is_write, times=2)
        result = through_the_core(provider, zone, [Change(start, None)], tmp_path)
        assert front.hits == 2
    assert [change.key for change in result.applied] == [start.key]
    assert content_of(bench) == {}


def test_a_record_that_is_edited_in_the_last_moment(bench: Bench, zone: Name, start: RRset, tmp_path: Path) -> None:
    """Someone writes after the plan was checked and before the first batch: theirs stays, ours is not made."""
    theirs = a_record(zone, address="192.0.2.66")
    with fronted(bench) as (provider, _):
        live = provider.snapshot(zone)
        bench.second_writer(Change(start, theirs))
        file = PlanFile(Plan(), {}, (), "", {})
        applier = ZoneApplier(
            provider, runs.begin(tmp_path, file, SystemClock().now()), QuickClock(), lambda _steps: None
        )
        result = ZoneResult(zone)
        with pytest.raises(ProviderError, match="someone else changed"):
            applier.apply(ZonePlan(zone, (Change(start, a_record(zone, address="192.0.2.2")),)), live, result)
    assert result.applied == []
    assert content_of(bench) == {theirs.key: theirs}


def test_credentials_that_expire_in_mid_run(
    harness: Harness, bench: Bench, zone: Name, start: RRset, tmp_path: Path
) -> None:
    """The first batch is in force, the second is refused: both are said, and the same plan goes on from there."""
    changes = [Change(None, a_record(zone, name)) for name in ("one", "two", "three")]
    with fronted(bench) as (provider, front):
        provider.snapshot(zone)
        front.strike = Strike(harness.plights["expired"], bench.is_write, skip=1)
        with pytest.raises(InterruptedApplyError) as caught:
            through_the_core(OneGroupABatch(provider), zone, changes, tmp_path)
        made, *left = sorted(changes, key=lambda change: change.after != content_of(bench).get(change.key))
        done, todo = caught.value.message.split("Changed: ")[1].split("Not changed: ")
        assert key_to_text(made.key) in done
        assert all(key_to_text(change.key) in todo for change in left)
        front.strike = None
        result = through_the_core(OneGroupABatch(provider), zone, changes, tmp_path)
    assert len(result.already) == 1
    assert len(result.applied) == 2
    assert content_of(bench) == {start.key: start, **{change.key: change.after for change in changes}}
