"""Virtual time keeps order, and what is worked out is what would have happened."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.errors import InputError
from realmkit.sandbox.location import Target
from realmkit.sandbox.phone import Behaviour, Busy, State, Sync, What
from realmkit.sandbox.virtual import VirtualClock, VirtualFleet
from tests.unit.phonebook import EDGE, START, Dns, configuration, read_json

PLAIN = Behaviour()
OLD, NEW = "old.example", "new.example"


class Platform:
    """A fleet, its DNS, its published files and its credentials."""

    def __init__(self, count: int, behaviour: Behaviour = PLAIN, *, skip: bool = True) -> None:
        self.clock = VirtualClock(START)
        self.dns = Dns()
        self.files: dict[str, bytes] = {}
        self.passwords: dict[tuple[str, str], str] = {}
        self.fleet = VirtualFleet(
            self.clock, dns=self.dns, configurations=self.files.get, edges={EDGE, Target(EDGE.address, 5060)}, skip=skip
        )  # fmt: skip
        self.names = [f"p{number}" for number in range(count)]
        self.dns.add_realm(OLD)
        for name in self.names:
            self.files[name] = configuration(name, OLD)
            self.fleet.add(name, behaviour, read_json)
        self.allow(OLD)

    def allow(self, *realms: str) -> None:
        self.fleet.registrar.use({(name, realm): f"secret-of-{name}" for name in self.names for realm in realms})

    def rows(self) -> set[tuple[str, str]]:
        return {(one.username, one.realm) for one in self.fleet.registrar.contacts()}


# --- the clock -------------------------------------------------------------------------------------------------------


def test_everything_happens_in_order() -> None:
    clock = VirtualClock(START)
    seen: list[tuple[str, float]] = []

    def note(word: str) -> None:
        seen.append((word, clock.monotonic()))

    def nested() -> None:
        note("nested")
        clock.sleep(5)
        note("after nested")

    clock.at(START + timedelta(seconds=3), lambda: note("three"))
    clock.at(START + timedelta(seconds=1), nested)
    clock.at(START + timedelta(seconds=3), lambda: note("three again"))
    clock.at(START + timedelta(seconds=9), lambda: note("nine")).cancel()
    clock.at(START + timedelta(seconds=10), lambda: note("ten"))
    clock.at(START - timedelta(seconds=10), lambda: note("late"))
    clock.sleep(4)
    assert seen == [("late", 0), ("nested", 1), ("three", 3), ("three again", 3), ("after nested", 6)]
    assert clock.monotonic() == 6  # what happened took longer than the sleep
    clock.sleep(4)
    assert seen[5:] == [("ten", 10)]
    clock.sleep(-1)
    assert clock.now() == START + timedelta(seconds=10)


# --- the phones ------------------------------------------------------------------------------------------------------


def test_a_move_and_what_it_leaves_behind() -> None:
    """The rows at OLD live until they expire; the phones are at NEW a reload later."""
    there = Platform(3)
    there.fleet.power_on()
    there.clock.sleep(31)
    assert there.rows() == {(name, OLD) for name in there.names}
    there.dns.add_realm(NEW)
    there.allow(OLD, NEW)
    for name in there.names:
        there.files[name] = configuration(name, NEW)
        assert there.fleet.registrar.notify(name, OLD, "check-sync;reboot=false")
    assert not there.fleet.registrar.notify("p0", NEW, "check-sync")
    there.clock.sleep(1.9)
    assert there.rows() == {(name, OLD) for name in there.names}
    there.clock.sleep(0.2)
    assert there.rows() == {(name, realm) for name in there.names for realm in (OLD, NEW)}
    assert there.fleet.reaches("p1", NEW) == ["p1"]
    there.clock.sleep(300)
    assert there.rows() == {(name, NEW) for name in there.names}
    assert there.fleet.reaches("p1", OLD) == []


def test_the_cache_keeps_a_withdrawn_phone_alive_until_it_is_flushed() -> None:
    there = Platform(2)
    there.fleet.power_on()
    there.clock.sleep(40)
    there.fleet.registrar.use({})
    there.clock.sleep(14 * 86400)
    assert there.rows() == {("p0", OLD), ("p1", OLD)}
    there.fleet.registrar.flush(OLD, "p0")
    there.clock.sleep(3600)
    assert there.rows() == {("p1", OLD)}
    phone = there.fleet.phones["p0"]
    assert phone.state is State.FAILED
    assert phone.log[-1].detail == "401"
    assert phone.failures > 100
    there.allow(OLD)
    there.clock.sleep(31)
    assert there.rows() == {("p0", OLD), ("p1", OLD)}


def test_dns_that_goes_and_comes_back() -> None:
    there = Platform(1)
    there.fleet.power_on()
    there.clock.sleep(40)
    records = dict(there.dns.records)
    there.clock.at(START + timedelta(days=2), there.dns.records.clear)
    there.clock.at(START + timedelta(days=3), lambda: there.dns.records.update(records))
    there.clock.run_until(START + timedelta(days=2, minutes=10))
    assert there.rows() == set()
    assert there.fleet.phones["p0"].log[-1].detail == "no answer"
    there.clock.run_until(START + timedelta(days=3, minutes=1))
    assert there.rows() == {("p0", OLD)}


def test_a_wrong_address_is_as_good_as_none() -> None:
    there = Platform(1)
    there.dns.add_realm(OLD, Target("127.0.0.99", 5060))
    there.fleet.power_on()
    there.clock.sleep(86400)
    assert there.rows() == set()
    assert there.fleet.phones["p0"].state is State.FAILED


def test_a_phone_that_is_refused_and_then_is_not() -> None:
    there = Platform(1)
    there.fleet.power_on()
    there.clock.sleep(86400)
    there.fleet.registrar.refused.add(("p0", OLD))
    there.clock.sleep(600)
    assert there.rows() == set()
    assert there.fleet.phones["p0"].log[-1].detail == "403"
    there.fleet.registrar.refused.clear()
    there.clock.sleep(60)
    assert there.rows() == {("p0", OLD)}


def test_two_phones_of_one_name_are_refused() -> None:
    there = Platform(1)
    with pytest.raises(InputError, match="there is a phone 'p0' already"):
        there.fleet.add("p0", Behaviour(), read_json)


def test_a_hundred_phones_for_fourteen_days_cost_next_to_nothing() -> None:
    there = Platform(100)
    there.fleet.power_on()
    began, asked = time.process_time(), there.dns.asked
    there.clock.sleep(14 * 86400)
    assert len(there.rows()) == 100
    assert time.process_time() - began < 10  # eight hundred thousand refreshes, one by one, take longer
    assert there.dns.asked - asked < 1000
    phone = there.fleet.phones["p7"]
    assert phone.refreshes == (14 * 86400 - 30) // 150  # every one of them counted
    assert [one.what for one in phone.log] == [What.POWERED, What.CONFIGURED, What.REGISTERED]


# --- the law: working out is playing ---------------------------------------------------------------------------------

NAMES = ["p0", "p1", "p2"]
ONE = st.sampled_from(NAMES)
REALMS = st.sampled_from([OLD, NEW])
PAUSES = st.integers(1, 86400 * 7).map(lambda sevenths: sevenths / 7 + 0.01)  # never at the instant of a REGISTER
ACTIONS = st.one_of(
    st.tuples(st.just("publish"), ONE, REALMS),
    st.tuples(st.just("notify"), ONE, REALMS, st.sampled_from(["check-sync", "check-sync;reboot=true", "talk"])),
    st.tuples(st.just("flush"), REALMS, st.none() | ONE),
    st.tuples(st.just("allow"), st.lists(REALMS, max_size=2)),
    st.tuples(st.just("dns"), REALMS, st.sampled_from(["good", "wrong", "none"])),
    st.tuples(st.just("refuse"), ONE, REALMS, st.booleans()),
    st.tuples(st.just("power"), ONE, st.booleans()),
    st.tuples(st.just("call"), ONE, st.booleans()),
)
BEHAVIOURS = st.builds(
    Behaviour,
    boot=st.sampled_from([20.0, 95.5]),
    reload=st.sampled_from([1.5, 12.0]),
    sync=st.sampled_from(Sync),
    busy=st.sampled_from(Busy),
    lookup=st.sampled_from(["naptr", "srv", "a"]),
    refresh=st.sampled_from([0.5, 0.8]),
    retry=st.sampled_from([33.0, 301.0]),
)


def act(there: Platform, what: str, *arguments: object) -> None:
    fleet = there.fleet
    match what, *arguments:
        case "publish", str(name), str(realm):
            there.files[name] = configuration(name, realm)
        case "notify", str(name), str(realm), str(event):
            fleet.registrar.notify(name, realm, event)
        case "flush", str(realm), name:
            fleet.registrar.flush(realm, name if isinstance(name, str) else None)
        case "allow", list(realms):
            there.allow(*realms)
        case "dns", str(realm), "none":
            there.dns.records = {key: value for key, value in there.dns.records.items() if realm not in key[0]}
        case "dns", str(realm), how:
            there.dns.add_realm(realm, EDGE if how == "good" else Target("127.0.0.99", 5060))
        case "refuse", str(name), str(realm), add:
            (fleet.registrar.refused.add if add else fleet.registrar.refused.discard)((name, realm))
        case "power", str(name), on:
            with fleet.acting(name) as phone:
                phone.power_on() if on else phone.power_off()
        case "call", str(name), begin:
            with fleet.acting(name) as phone:
                phone.call() if begin else phone.hang_up()


@settings(max_examples=25, deadline=None)
@given(BEHAVIOURS, st.lists(st.tuples(PAUSES, ACTIONS), min_size=1, max_size=9))
def test_what_is_worked_out_is_what_would_have_happened(
    behaviour: Behaviour, story: list[tuple[float, tuple[object, ...]]]
) -> None:
    worked, played = Platform(3, behaviour), Platform(3, behaviour, skip=False)
    for there in (worked, played):
        there.fleet.power_on()
    for pause, (what, *arguments) in story:
        for there in (worked, played):
            there.clock.sleep(pause)
            act(there, str(what), *arguments)
        rows = [sorted(there.fleet.registrar.contacts(), key=repr) for there in (worked, played)]
        assert rows[0] == rows[1]
        for name in NAMES:
            one, other = worked.fleet.phones[name], played.fleet.phones[name]
            for field in ("state", "due", "line", "registered_at", "refreshes", "failures", "last", "in_call", "log"):
                assert (field, getattr(one, field)) == (field, getattr(other, field))
