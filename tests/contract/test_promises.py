"""What a provider promises beyond writing: compare and swap, all or nothing, weights, errors."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from realmkit.dns import names, registry
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import Notes, Receipt
from realmkit.dns.records import RRset
from realmkit.errors import (
    AuthError,
    ConflictError,
    OutcomeUnknownError,
    ProviderError,
    RejectedError,
    UnreachableError,
)
from tests.contract.conftest import harnesses
from tests.contract.harness import OWNER
from tests.contract.oracle import bind
from tests.contract.test_transitions import assert_served, content_of
from tests.lab.proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Provider
    from realmkit.dns.records import Zone
    from tests.contract.harness import Bench, Harness
    from tests.lab.proxy import Proxy


def a_record(zone: Name, name: str = "a", address: str = "192.0.2.1", ttl: int = 300) -> RRset:
    return bind((name, "A", ttl, (address,)), zone)


@pytest.fixture
def start(zone: Name) -> RRset:
    return a_record(zone)


@pytest.fixture
def bench(harness: Harness, zone: Name, start: RRset) -> Bench:
    """A zone that holds `start`."""
    return harness.bench([start], zone)


def test_every_provider_of_realmkit_has_a_harness(request: pytest.FixtureRequest) -> None:
    tested = {one.provider for one in harnesses(request.config)}
    ours = [point for point in registry.available().values() if point.module.startswith("realmkit_providers.")]
    assert ours
    assert [point.name for point in ours if registry.load(point) not in tested] == []


# --- compare and swap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["update", "delete"])
def test_a_second_writer_to_the_same_rrset_is_a_conflict(bench: Bench, zone: Name, start: RRset, kind: str) -> None:
    seen = bench.provider.snapshot(zone)
    bench.second_writer(Change(start, a_record(zone, address="192.0.2.66") if kind == "update" else None))
    there = bench.provider.snapshot(zone)
    with pytest.raises(ConflictError):
        bench.provider.apply(zone, [Change(start, a_record(zone, address="192.0.2.2"))], seen.token)
    assert bench.provider.snapshot(zone) == there
    assert there.rrsets != seen.rrsets


@pytest.mark.needs("zone-cas")
@pytest.mark.parametrize(
    "theirs",
    [("elsewhere", "TXT", 300, ('"new"',)), ("a", "TXT", 300, ('"beside"',)), ("a", "A", 301, ("192.0.2.1",))],
    ids=["another-name", "another-type", "a-ttl"],
)
def test_a_second_writer_anywhere_in_the_zone_is_a_conflict(
    bench: Bench, zone: Name, theirs: tuple[str, str, int, tuple[str, ...]]
) -> None:
    seen = bench.provider.snapshot(zone)
    written = bind(theirs, zone)
    bench.second_writer(Change(seen.rrsets.get(written.key), written))
    there = bench.provider.snapshot(zone)
    with pytest.raises(ConflictError):
        bench.provider.apply(zone, [Change(None, a_record(zone, "new"))], seen.token)
    assert bench.provider.snapshot(zone) == there


@pytest.mark.needs("zone-cas")
def test_a_batch_is_not_applied_twice_on_one_token(bench: Bench, zone: Name, start: RRset) -> None:
    changes = [Change(start, a_record(zone, address="192.0.2.2")), Change(None, a_record(zone, "b"))]
    seen = bench.provider.snapshot(zone)
    bench.provider.apply(zone, changes, seen.token)
    with pytest.raises(ConflictError):
        bench.provider.apply(zone, changes, seen.token)
    assert content_of(bench) == {change.key: change.after for change in changes}


def test_the_same_batch_again_does_no_harm(bench: Bench, zone: Name, start: RRset) -> None:
    changes = [Change(start, a_record(zone, address="192.0.2.2")), Change(None, a_record(zone, "b"))]
    receipt = bench.provider.apply(zone, changes, bench.provider.snapshot(zone).token)
    with suppress(ConflictError):  # it compared `before`, which no longer holds: as good an answer
        bench.provider.apply(zone, changes, receipt.token)
    assert content_of(bench) == {change.key: change.after for change in changes}


def test_a_token_of_nowhere_writes_nothing(bench: Bench, zone: Name) -> None:
    seen = bench.provider.snapshot(zone)
    with pytest.raises(ProviderError):
        bench.provider.apply(zone, [Change(None, a_record(zone, "b"))], "no-token-of-anyones")
    assert bench.provider.snapshot(zone) == seen


# --- all or nothing ------------------------------------------------------------------------------------------


def _bad_changes(zone: Name, start: RRset) -> dict[str, Change]:
    outside = names.absolute("elsewhere.example")
    target = bind(("a", "CNAME", 300, ("x.example.",)), zone)
    return {
        "out-of-zone": Change(None, RRset(outside, rr.A, 300, start.rdata)),
        "cname-beside-data": Change(None, target),
        "broken-rdata": Change(None, RRset(names.prepend("broken", zone), rr.A, 300, frozenset({b"\1\2\3"}))),
    }


@pytest.mark.needs("atomic")
@pytest.mark.parametrize("order", [1, -1], ids=["bad-last", "bad-first"])
@pytest.mark.parametrize("kind", ["out-of-zone", "cname-beside-data", "broken-rdata"])
def test_one_bad_change_and_nothing_is_changed(bench: Bench, zone: Name, start: RRset, kind: str, order: int) -> None:
    good = [Change(start, a_record(zone, address="192.0.2.2")), Change(None, a_record(zone, "good"))]
    seen = bench.provider.snapshot(zone)
    with pytest.raises(RejectedError):
        bench.provider.apply(zone, [*good, _bad_changes(zone, start)[kind]][::order], seen.token)
    assert content_of(bench) == {start.key: start}
    assert bench.served(*start.key) == start


def test_a_zone_that_is_not_there_is_refused(bench: Bench) -> None:
    nowhere = names.absolute("nowhere.example")
    with pytest.raises(RejectedError):
        bench.provider.snapshot(nowhere)


# --- weights -------------------------------------------------------------------------------------------------


def _many(zone: Name, ttl: int = 300) -> Iterator[RRset]:
    """RRsets as a platform has them, without end."""
    for number in itertools.count():
        realm = f"realm{number:06d}"
        yield bind((realm, "A", ttl, ("198.51.100.10", "203.0.113.10")), zone)
        yield bind((realm, "MX", ttl, ("10 mx1.example.net.",)), zone)
        naptr = (f'10 100 "S" "SIP+D2U" "" _sip._udp.{realm}', f'20 100 "S" "SIP+D2T" "" _sip._tcp.{realm}')
        yield bind((realm, "NAPTR", ttl, naptr), zone)
        yield bind((f"_sip._udp.{realm}", "SRV", ttl, ("10 50 5060 us-east.example.net.",)), zone)


@pytest.mark.needs("max_bytes")
def test_a_batch_that_fills_the_limits_is_taken(bench: Bench, zone: Name) -> None:
    limits = bench.provider.capabilities
    seen = bench.provider.snapshot(zone)
    batch: list[Change] = []
    elements = size = 0
    for rrset in _many(zone):
        change = Change(None, rrset)
        weight = bench.provider.weigh([change])
        elements, size = elements + weight.elements, size + weight.size
        if size > (limits.max_bytes or 0) or elements > (limits.max_changes or elements):
            break
        batch.append(change)
    receipt = bench.provider.apply(zone, batch, seen.token)
    bench.await_serial(receipt.serial)
    there = content_of(bench)
    assert len(there) == len(batch) + 1
    assert all(there[change.key] == change.after for change in batch)
    assert_served(bench, batch[:: len(batch) // 50], {})


@pytest.mark.needs("network", "hard_limit", "max_bytes")
def test_a_weight_is_not_less_than_what_is_spent(harness: Harness, bench: Bench, zone: Name, start: RRset) -> None:
    room = (harness.hard_limit or 0) - (bench.provider.capabilities.max_bytes or 0)
    made = [Change(None, one) for one in itertools.islice(_many(zone), 80)]
    slower = [Change(a, b) for a, b in zip(_many(zone), itertools.islice(_many(zone, 60), 80), strict=False)]
    with bench.behind_proxy() as (provider, proxy):
        for changes in (made, slower, [change.inverse() for change in made], [Change(start, None)]):
            now = provider.snapshot(zone)
            current = [Change(now.rrsets.get(change.key), change.after) for change in changes]
            weighed = sum(provider.weigh([change]).size for change in current)
            proxy.requests.clear()
            provider.apply(zone, current, now.token)
            writes = [request for request in proxy.requests if bench.is_write(request)]
            assert len(writes) == 1
            assert bench.spent(writes[0]) <= weighed + room


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.needs("credentials")
def test_bad_credentials_are_said_to_be_bad(bench: Bench, zone: Name, start: RRset) -> None:
    seen = bench.provider.snapshot(zone)
    stranger = bench.with_bad_credentials()
    with pytest.raises(AuthError):
        stranger.snapshot(zone)
    with pytest.raises(AuthError):
        stranger.apply(zone, [Change(start, None)], seen.token)
    assert bench.provider.snapshot(zone) == seen


@pytest.mark.needs("signs")
@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_clocks_that_differ_are_said_to(bench: Bench, zone: Name, start: RRset, seconds: float) -> None:
    seen = bench.provider.snapshot(zone)
    lost_in_time = bench.with_clock_off(seconds)
    for attempt in (
        lambda: lost_in_time.snapshot(zone),
        lambda: lost_in_time.apply(zone, [Change(start, None)], seen.token),
    ):
        with pytest.raises(AuthError) as caught:
            attempt()
        assert "clock" in f"{caught.value.message} {caught.value.hint}"
    assert bench.provider.snapshot(zone) == seen


@pytest.mark.needs("deletes-zones")
def test_a_zone_that_is_deleted_meanwhile(bench: Bench, zone: Name, start: RRset) -> None:
    seen = bench.provider.snapshot(zone)
    bench.delete_zone()
    with pytest.raises(RejectedError):
        bench.provider.apply(zone, [Change(start, None)], seen.token)
    with pytest.raises(RejectedError):
        bench.provider.snapshot(zone)


@pytest.mark.needs("network")
def test_a_dead_server_is_unreachable(bench: Bench, zone: Name, start: RRset) -> None:
    seen = bench.provider.snapshot(zone)
    dead = bench.with_dead_server()
    with pytest.raises(UnreachableError):
        dead.snapshot(zone)
    with pytest.raises(UnreachableError):
        dead.apply(zone, [Change(start, None)], seen.token)
    assert bench.provider.snapshot(zone) == seen


@pytest.mark.needs("network")
@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_silent_server_is_unreachable(bench: Bench, zone: Name, kind: str) -> None:
    with bench.behind_proxy() as (provider, proxy):
        proxy.fault = Fault("drop" if kind == "drop" else "reset")
        with pytest.raises(UnreachableError):
            provider.snapshot(zone)


def _apply_with_fault(bench: Bench, change: Change, fault: Fault) -> tuple[Zone, Zone]:
    """Apply one change while the write is struck by a fault; the zone before and after."""
    seen = bench.provider.snapshot(bench.zone)
    with bench.behind_proxy() as (provider, proxy):
        _warm(provider, bench, proxy)
        proxy.fault = fault
        with pytest.raises(OutcomeUnknownError):
            provider.apply(bench.zone, [change], seen.token)
        assert proxy.hits > 0
    return seen, bench.provider.snapshot(bench.zone)


def _warm(provider: Provider, bench: Bench, proxy: Proxy) -> None:
    """A provider may need a reading of its own before it writes."""
    provider.snapshot(bench.zone)
    proxy.requests.clear()


@pytest.mark.needs("network")
def test_an_answer_that_was_lost_is_an_unknown_outcome(bench: Bench, zone: Name, start: RRset) -> None:
    after = a_record(zone, address="192.0.2.2")
    seen, there = _apply_with_fault(bench, Change(start, after), Fault("lose", when=bench.is_write))
    assert there.rrsets[start.key] == after == bench.served(*start.key)
    if bench.provider.capabilities.cas == "zone":
        assert there.token != seen.token


@pytest.mark.needs("network")
@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_write_that_was_lost_is_an_unknown_outcome_too(bench: Bench, zone: Name, start: RRset, kind: str) -> None:
    fault = Fault("drop" if kind == "drop" else "reset", when=bench.is_write)
    seen, there = _apply_with_fault(bench, Change(start, None), fault)
    assert there == seen


@pytest.mark.needs("network")
def test_an_answer_cut_short_is_no_success(bench: Bench, zone: Name, start: RRset) -> None:
    after = a_record(zone, address="192.0.2.2")
    _, there = _apply_with_fault(bench, Change(start, after), Fault("cut", octets=5, when=bench.is_write))
    assert there.rrsets[start.key] == after


@pytest.mark.needs("network")
def test_a_reading_cut_short_is_no_zone(bench: Bench, zone: Name) -> None:
    with bench.behind_proxy() as (provider, proxy):
        proxy.fault = Fault("cut", octets=60)
        with pytest.raises(ProviderError):
            provider.snapshot(zone)


# --- notes ---------------------------------------------------------------------------------------------------


@pytest.mark.needs("notes")
def test_what_is_created_is_marked_and_stays_so(bench: Bench, zone: Name, start: RRset) -> None:
    new = a_record(zone, "new")
    receipt = bench.provider.apply(zone, [Change(None, new)], bench.provider.snapshot(zone).token)
    assert bench.provider.snapshot(zone).owners == {new.key: OWNER}
    later = a_record(zone, "new", "192.0.2.9")
    receipt = bench.provider.apply(zone, [Change(new, later), Change(start, None)], receipt.token)
    assert bench.provider.snapshot(zone).owners == {new.key: OWNER}
    bench.provider.apply(zone, [Change(later, None)], receipt.token)
    assert bench.provider.snapshot(zone).owners == {}


@pytest.mark.needs("notes")
def test_marks_come_and_go_without_touching_records(bench: Bench, zone: Name, start: RRset) -> None:
    provider = bench.provider
    assert isinstance(provider, Notes)
    seen = bench.provider.snapshot(zone)
    receipt = provider.mark(zone, {start.key: "adopted"}, seen.token)
    assert isinstance(receipt, Receipt)
    there = bench.provider.snapshot(zone)
    assert there.owners == {start.key: "adopted"}
    assert there.rrsets.keys() == seen.rrsets.keys()
    assert there.rrsets[start.key] == start == bench.served(*start.key)
    assert there.token == receipt.token
    provider.mark(zone, {start.key: None}, receipt.token)
    assert bench.provider.snapshot(zone).owners == {}
    assert content_of(bench) == {start.key: start}


@pytest.mark.needs("notes", "zone-cas")
def test_marking_compares_too(bench: Bench, zone: Name, start: RRset) -> None:
    provider = bench.provider
    assert isinstance(provider, Notes)
    seen = bench.provider.snapshot(zone)
    bench.second_writer(Change(None, a_record(zone, "theirs")))
    with pytest.raises(ConflictError):
        provider.mark(zone, {start.key: "adopted"}, seen.token)
    assert bench.provider.snapshot(zone).owners == {}
