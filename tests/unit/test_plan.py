from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names, plan, rdata
from realmkit.dns import records as rr
from realmkit.dns.plan import Change, Plan, ZonePlan
from realmkit.dns.provider import Capabilities, Weight
from realmkit.dns.records import RRset, Zone
from realmkit.dns.work import batch, planfile
from realmkit.dns.work.planfile import Basis, PlanFile
from realmkit.errors import InputError, RefusedError
from tests.unit.make import ZONE, name, rrset, zone

OWNERS = [names.from_text(text, ZONE) for text in ("@", "a", "b", "_sip._udp.a", "_sip._tcp.a", "*.s", "_sip._udp.s")]
RDATA = {
    rr.A: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
    rr.MX: ["10 mx1.example.", "20 mx2.example."],
    rr.SRV: ["10 50 5060 e1.example.", "20 50 5060 e2.example."],
    rr.TXT: ['"x"', r'"\000\255 ;"'],
    65400: [r"\# 2 beef", r"\# 0"],
}


@st.composite
def _rrsets(draw: st.DrawFn) -> RRset:
    owner, kind = draw(st.sampled_from(OWNERS)), draw(st.sampled_from(sorted(RDATA)))
    texts = draw(st.lists(st.sampled_from(RDATA[kind]), min_size=1, unique=True))
    return RRset(owner, kind, draw(st.sampled_from([0, 300, 3600])), frozenset(rdata.from_text(kind, t) for t in texts))


ZONES = st.lists(_rrsets(), max_size=12).map(lambda rrsets: zone(*rrsets))


@given(ZONES, ZONES)
def test_applying_the_difference_gives_the_other(a: Zone, b: Zone) -> None:
    changes = plan.diff(a, b.rrsets, frozenset(a.rrsets)).changes
    assert plan.apply_to(a, changes).rrsets == b.rrsets


@given(ZONES)
def test_nothing_differs_from_itself(a: Zone) -> None:
    assert plan.diff(a, a.rrsets, frozenset(a.rrsets)).changes == ()


@given(ZONES, ZONES)
def test_an_inverse_undoes_and_undone_is_the_plan_again(a: Zone, b: Zone) -> None:
    zone_plan = plan.diff(a, b.rrsets, frozenset(a.rrsets))
    whole = Plan((zone_plan,))
    assert whole.inverse().inverse() == whole
    assert plan.apply_to(plan.apply_to(a, zone_plan.changes), zone_plan.inverse().changes).rrsets == a.rrsets
    assert whole.digest == whole.inverse().inverse().digest
    assert (whole.digest == whole.inverse().digest) == (whole == whole.inverse())


@given(ZONES, ZONES, st.sets(st.sampled_from(OWNERS)))
def test_what_is_not_ours_is_never_deleted(a: Zone, b: Zone, ours: set[bytes]) -> None:
    owned = frozenset(key for key in a.rrsets if key[0] in ours)
    for change in plan.diff(a, b.rrsets, owned).changes:
        assert change.after is not None or change.key in owned


@given(ZONES, ZONES)
def test_the_json_form_is_read_back(a: Zone, b: Zone) -> None:
    zone_plan = plan.diff(a, b.rrsets, frozenset(a.rrsets))
    assert plan.zone_plan_from_json(json.loads(json.dumps(plan.zone_plan_to_json(zone_plan)))) == zone_plan


@given(ZONES, ZONES)
def test_groups_stay_together_and_in_order(a: Zone, b: Zone) -> None:
    changes = plan.diff(a, b.rrsets, frozenset(a.rrsets)).changes
    groups = [plan.group_of(change.key[0]) for change in changes]
    runs = [group for position, group in enumerate(groups) if position == 0 or groups[position - 1] != group]
    assert len(runs) == len(set(runs))
    only_deleted = set(groups) - {plan.group_of(c.key[0]) for c in changes if c.after is not None}
    assert all(group in only_deleted for group in runs[len(runs) - len(only_deleted) :])


@given(ZONES, ZONES, st.integers(1, 6), st.integers(30, 200))
def test_batches_keep_groups_whole_and_within_the_limits(a: Zone, b: Zone, most: int, size: int) -> None:
    changes = plan.diff(a, b.rrsets, frozenset(a.rrsets)).changes
    can = Capabilities(atomic=True, cas="zone", max_changes=most, max_bytes=size)
    try:
        found = list(batch.batches(changes, can, lambda group: Weight(len(group), 20 * len(group))))
    except RefusedError:
        groups_alone = itertools.groupby(changes, key=lambda change: plan.group_of(change.key[0]))
        biggest = max(len(list(members)) for _, members in groups_alone)
        assert biggest > most or biggest * 20 > size
        return
    assert [change for one in found for change in one] == list(changes)
    groups = [{plan.group_of(change.key[0]) for change in one} for one in found]
    assert sum(map(len, groups)) == len(set().union(*groups)) if groups else True
    assert all(len(one) <= most and len(one) * 20 <= size for one in found)


def test_mixed_ttls_are_a_change_even_when_the_lowest_is_right() -> None:
    one = rrset("a.voice.example.com", "A", "192.0.2.1", "192.0.2.2")
    live = zone(one, mixed=frozenset({one.key}))
    assert plan.diff(live, {one.key: one}, set()).changes == (Change(one, one),)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("_sip._udp.acme.example", "acme.example"),
        ("*.s.example", "s.example"),
        ("_sip._udp.s.example", "s.example"),
        ("_443._tcp.*.s.example", "s.example"),
        ("acme.example", "acme.example"),
        ("x_y.example", "x_y.example"),
    ],
)
def test_the_group_of_a_name(text: str, group: str) -> None:
    assert plan.group_of(name(text)) == name(group)


def _file() -> PlanFile:
    before = rrset("a.voice.example.com", "A", "192.0.2.1")
    after = rrset("a.voice.example.com", "A", "192.0.2.2")
    whole = Plan((ZonePlan(ZONE, (Change(before, after),)),))
    return PlanFile(whole, {ZONE: Basis("files", "token", 7)}, ("blast-radius",), "2026-11-22T22:00:00+00:00", {})


def test_a_plan_file_is_read_back(tmp_path: Path) -> None:
    planfile.save(_file(), tmp_path / "plan.json")
    assert planfile.read(tmp_path / "plan.json") == _file()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("192.0.2.2", "192.0.2.99"),
        ("blast-radius", "realm-removal"),
        ('"token"', '"another"'),
        ('"ttl": 300', '"ttl": 30'),
        ("192.0.2.2", "not an address"),
        ('"rdata"', '"rdatum"'),
        ("a.voice.example.com.", "b.voice.example.com."),
        ('"serial": 7', '"serial": 8'),
    ],
)
def test_an_edited_plan_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "plan.json"
    planfile.save(_file(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=r"edited|no plan of realmkit"):
        planfile.read(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kind": "realmkit.plan", "version": 2}', "\x00\xff", "nul"])
def test_what_is_no_plan_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError):
        planfile.read(tmp_path / "plan.json")
    with pytest.raises(InputError):
        planfile.read(tmp_path / "missing.json")
