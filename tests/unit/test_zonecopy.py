"""What is copied when a zone changes its provider, what holds it, and the arithmetic of the delegation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from realmkit.dns import plan
from realmkit.dns import records as rr
from realmkit.dns.provider import Capabilities
from realmkit.dns.records import RRset
from realmkit.dns.work.zonecopy import Parent, content, copy_plan, differences, holds, stages
from tests.unit.make import ZONE, rrset, soa, zone

Z = "voice.example.com"
CAN = Capabilities(atomic=True, cas="zone")
APEX = [soa(), rrset(Z, "NS", "ns1.example.", ttl=600)]
_TEXTS: dict[str, tuple[str, str]] = {
    "A": ("192.0.2.1", "192.0.2.2"), "MX": ("1 a.example.", "2 a.example."), "TXT": ('"x"', '"y"'),
    "TYPE65400": (r"\# 1 00", r"\# 1 01"),
}  # fmt: skip
OWNERS = st.sampled_from([f"a.{Z}", f"b.{Z}", f"*.{Z}", Z])
SETS = st.builds(
    lambda owner, kind, number, ttl: rrset(owner, kind, *_TEXTS[kind][:number], ttl=ttl),
    OWNERS, st.sampled_from(["A", "MX", "TXT", "TYPE65400"]), st.integers(1, 2), st.integers(0, 9),
)  # fmt: skip


@given(st.lists(SETS), st.lists(SETS))
def test_after_the_copy_both_are_the_same(ours: list[RRset], theirs: list[RRset]) -> None:
    source, target = zone(*APEX, *ours), zone(soa(serial=9), rrset(Z, "NS", "new.example."), *theirs)
    after = plan.apply_to(target, copy_plan(source, target).changes)
    assert differences(source, after) == []
    assert content(after) == content(source)
    assert after.rrsets[ZONE, rr.NS] == target.rrsets[ZONE, rr.NS]
    assert copy_plan(source, after).changes == ()


def test_apex_and_signatures_stay_where_they_are() -> None:
    nsec = RRset(ZONE, rr.NSEC, 300, frozenset({b"\0\0\1\2"}))
    child = rrset(f"child.{Z}", "NS", "ns.child.example.")
    ds = RRset(child.name, rr.DS, 300, frozenset({b"\0\1\x0d\2" + bytes(32)}))
    source = zone(*APEX, nsec, child, ds)
    assert set(content(source)) == {child.key, ds.key}


def test_what_holds_a_copy() -> None:
    source = structs.replace(zone(*APEX, rrset(f"a.{Z}", "A", "192.0.2.1", ttl=30)), unread=("x ALIAS: made up",))
    target = zone(rrset(f"b.{Z}", "A", "192.0.2.9"))
    can = structs.replace(CAN, types=frozenset({rr.MX}), min_ttl=60)
    found = list(holds(copy_plan(source, target), source, can))
    assert [(one.guard, one.can_be_allowed) for one in found] == [
        ("copy-over", True), ("copy-blind", True), ("provider", False), ("provider", False),
    ]  # fmt: skip
    assert list(holds(copy_plan(zone(*APEX), zone()), zone(*APEX), can)) == []
    blind = structs.replace(zone(*APEX), blind="TXT strings are joined")
    assert [one.guard for one in holds(copy_plan(blind, zone()), blind, can)] == ["copy-blind"]


def _waits(parent: Parent) -> list[tuple[str, int | None]]:
    return [(one.text.split(":")[0].split(",")[0], one.wait) for one in stages(zone(*APEX), ("new.",), parent, "x:1")]


def test_the_wait_is_for_the_greater_ttl_and_ds_goes_first() -> None:
    """RFC 6781 section 4.3.5: signatures are wanted for as long as the DS set is remembered."""
    waits = _waits(Parent(("old.",), 86400, 3600))
    assert [wait for _, wait in waits] == [0, 3600, 86400, 0, 0, 0]
    assert waits[1][0] == "the zone is signed"
    assert [wait for _, wait in _waits(Parent(("old.",), 60, 0))] == [0, 600, 0, 0]


def test_what_is_unknown_is_not_waited_for_as_nought() -> None:
    waits = _waits(Parent((), None, None, ("no answer",)))
    assert [wait for _, wait in waits] == [0, None, None, 0, 0]
    assert "find out whether the parent has a DS set" in waits[1][0]
