from __future__ import annotations

from realmkit.dns import plan
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.plan import Change, ZonePlan
from realmkit.dns.provider import Capabilities
from realmkit.dns.records import Zone
from realmkit.dns.work import guard
from tests.unit.make import ZONE, rrset, soa, zone

CAN = Capabilities(atomic=True, cas="zone")
A1 = rrset("a.voice.example.com", "A", "192.0.2.1")
A2 = rrset("a.voice.example.com", "A", "192.0.2.2")
MX = rrset("a.voice.example.com", "MX", "10 mx.example.")
SRV = rrset("_sip._udp.a.voice.example.com", "SRV", "10 0 5060 e.example.")


def _holds(live: Zone, *changes: Change, owned: frozenset[rr.Key] = frozenset(), can: Capabilities = CAN) -> list[str]:
    return [hold.guard for hold in guard.holds(ZonePlan(ZONE, changes), live, owned, "us", can, [])]


def test_what_is_not_ours_is_never_touched() -> None:
    change = Change(A1, A2)
    assert _holds(zone(A1), change) == ["foreign"]
    assert _holds(zone(A1), change, owned=frozenset({A1.key})) == []
    assert guard.remaining(guard.holds(ZonePlan(ZONE, (change,)), zone(A1), set(), "us", CAN, []), ["foreign"]) != []


def test_the_providers_note_decides_over_the_ledger() -> None:
    owned = frozenset({A1.key})
    assert _holds(zone(A1, owners={A1.key: "them"}), Change(A1, A2), owned=owned) == ["foreign"]
    assert _holds(zone(A1, owners={A1.key: "us"}), Change(A1, A2)) == []
    assert guard.ours(zone(A1, MX, owners={A1.key: "them", MX.key: "us"}), owned, "us") == {MX.key}


def test_the_apex_is_never_touched() -> None:
    ns = rrset("voice.example.com", "NS", "ns1.example.")
    for before in (soa(), ns):
        found = guard.holds(ZonePlan(ZONE, (Change(before, None),)), zone(before, A1), {before.key}, "us", CAN, [])
        assert "apex" in [hold.guard for hold in found]
        assert guard.remaining(found, ["apex", "realm-removal"])
    outside = rrset("a.other.example", "A", "192.0.2.1")
    assert _holds(zone(), Change(None, outside)) == ["apex"]


def test_a_realm_that_would_vanish_is_held() -> None:
    live, owned = zone(A1, MX, SRV), frozenset({A1.key, MX.key, SRV.key})
    gone = [Change(one, None) for one in (A1, MX, SRV)]
    assert _holds(live, *gone, owned=owned) == ["realm-removal"]
    assert _holds(live, *gone[:2], owned=owned) == []  # its SRV set is left
    other = Change(None, rrset("a.voice.example.com", "CNAME", "x.example."))
    assert _holds(live, *gone, other, owned=owned) == []


def test_the_blast_radius_counts_what_existed() -> None:
    changes = ZonePlan(ZONE, (Change(A1, A2), Change(MX, None), Change(None, SRV)))
    assert guard.blast_radius([changes], 2) == []
    (hold,) = guard.blast_radius([changes], 1)
    assert hold.can_be_allowed
    assert guard.remaining([hold], ["blast-radius"]) == []
    assert guard.remaining([hold], ["realm-removal", "WLD01"]) == [hold]


def test_what_the_provider_can_not_do() -> None:
    can = Capabilities(atomic=True, cas="zone", min_ttl=60, types=frozenset({rr.A}))
    low = Change(None, rrset("b.voice.example.com", "A", "192.0.2.1", ttl=30))
    assert _holds(zone(), low, Change(None, MX), can=can) == ["provider", "provider"]


def test_lint_errors_hold_by_their_id_and_warnings_do_not() -> None:
    findings = [Finding("WLD01", "error", "a", "gone"), Finding("RLM01", "warning", "a", "long")]
    found = guard.holds(plan.ZonePlan(ZONE, ()), zone(), set(), "us", CAN, findings)
    assert [hold.guard for hold in found] == ["WLD01"]
    assert guard.remaining(found, ["WLD01"]) == []
    assert guard.remaining(found, ["SIP02"]) == found
