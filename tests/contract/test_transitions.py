"""Every case of `cases.py` against every provider."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from realmkit.dns import plan
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.errors import RejectedError
from tests.contract.oracle import bind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, RRset
    from tests.contract.cases import Case
    from tests.contract.harness import Bench, Harness
    from tests.contract.oracle import Row


def rrsets_of(rows: Sequence[Row], zone: Name) -> dict[Key, RRset]:
    """The RRsets of rows, by key."""
    return {rrset.key: rrset for rrset in (bind(row, zone) for row in rows)}


def content_of(bench: Bench) -> dict[Key, RRset]:
    """All that the provider sees but SOA and NS of the apex."""
    seen = bench.provider.snapshot(bench.zone)
    assert {(bench.zone, kind) for kind in bench.shows} <= set(seen.rrsets)
    assert not seen.mixed
    assert not seen.opaque
    assert seen.unread == ()
    return {key: one for key, one in seen.rrsets.items() if key[0] != bench.zone}


def between(before: Mapping[Key, RRset], after: Mapping[Key, RRset]) -> list[Change]:
    """The changes that lead from one to the other, in no wise order: what exists goes last."""
    keys = [key for key in {**after, **before} if before.get(key) != after.get(key)]
    return [Change(before.get(key), after.get(key)) for key in keys]


def assert_served(bench: Bench, changes: Sequence[Change], foreign: Mapping[Key, RRset]) -> None:
    for change in changes:
        assert bench.served(*change.key) == change.after
    for key, rrset in foreign.items():
        assert bench.served(*key) == rrset


def test_transition(harness: Harness, zone: Name, case: Case) -> None:
    foreign = rrsets_of([row for row in case.foreign if row[1] not in harness.without], zone)
    states = [{**rrsets_of(rows, zone), **foreign} for rows in case.steps]
    bench = harness.bench(list(states[0].values()), zone)
    assert content_of(bench) == states[0]
    refused = case.id in harness.refuses
    for before, after in pairwise(states):
        changes = between(before, after)
        seen = bench.provider.snapshot(zone)
        if refused:
            with pytest.raises(RejectedError):
                bench.provider.apply(zone, changes, seen.token)
            assert bench.provider.snapshot(zone) == seen
            return
        receipt = bench.provider.apply(zone, changes, seen.token)
        bench.await_serial(receipt.serial)
        assert content_of(bench) == after
        assert_served(bench, changes, foreign)
        there = bench.provider.snapshot(zone)
        assert there.token == receipt.token
        if harness.provider.capabilities.serials:
            assert there.serial is not None
            assert seen.serial is not None
            assert rr.serial_newer(there.serial, seen.serial)
        assert plan.diff(there, after, set(after)).changes == ()
    assert not refused or len(states) == 1


def test_the_first_snapshot_is_the_whole_zone(harness: Harness, zone: Name) -> None:
    bench = harness.bench([], zone)
    seen = bench.provider.snapshot(zone)
    assert set(seen.rrsets) == {(zone, kind) for kind in bench.shows}
    assert seen.name == zone
    assert seen.token
    for key, rrset in seen.rrsets.items():
        assert bench.served(*key) == rrset


def test_reading_changes_nothing(harness: Harness, zone: Name) -> None:
    bench = harness.bench([bind(("a", "A", 300, ("192.0.2.1",)), zone)], zone)
    assert bench.provider.snapshot(zone) == bench.provider.snapshot(zone)


def test_batches_follow_on_one_another_by_their_receipts(harness: Harness, zone: Name) -> None:
    bench = harness.bench([], zone)
    token = bench.provider.snapshot(zone).token
    wanted = {}
    for number in range(5):
        rrset = bind((f"n{number}", "A", 300, (f"192.0.2.{number}",)), zone)
        receipt = bench.provider.apply(zone, [Change(None, rrset)], token)
        token = receipt.token
        wanted[rrset.key] = rrset
        bench.await_serial(receipt.serial)
        assert bench.provider.settled(receipt)
    assert content_of(bench) == wanted
    assert_served(bench, [Change(None, one) for one in wanted.values()], {})
