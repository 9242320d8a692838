"""The octodns provider with classes that do more, less or something else than they were asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from octodns.record import Record

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.lint import lint, world_of
from realmkit.dns.provider import Change, Context, KnowsLimits, Provider, Secret, limits_of
from realmkit.dns.records import RRset
from realmkit.errors import (
    AuthError,
    ConflictError,
    NoZoneError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnreachableError,
)
from realmkit_providers.octodns import OctoDns, OctoDnsSettings
from tests.contract.oracle import bind
from tests.unit.octodns_memory import STORES, Store

APEX = names.absolute("z.example")
HERE = "tests.unit.octodns_memory"


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a provider does not sleep, not even {seconds} s")


def provider(name: str = "Memory", arguments: dict[str, Any] | None = None, **settings: Any) -> OctoDns:
    context = Context(Path(), "acme", lambda secret: f"value of {secret.reference}", Noon())
    return OctoDns(OctoDnsSettings(f"{HERE}.{name}", {"store": "it", **(arguments or {})}, **settings), context)


@pytest.fixture
def store() -> Store:
    there = STORES["it"] = Store({
        ("z.example.", "NS"): (300, ("ns1.example.",)),
        ("a.z.example.", "A"): (300, ("192.0.2.1",)),
        ("foreign.z.example.", "A"): (77, ("192.0.2.200",)),
        ("foreign.z.example.", "TXT"): (78, ('"v=spf1; -all"',)),
    })  # fmt: skip
    return there


def rrset(name: str, kind: str, ttl: int, *texts: str) -> RRset:
    return bind((name, kind, ttl, texts), APEX)


OLD = rrset("a", "A", 300, "192.0.2.1")
NEW = rrset("a", "A", 60, "192.0.2.2", "192.0.2.3")
SRV = rrset("_sip._udp.acme", "SRV", 300, "10 50 5060 a.z.example.")
BATCH = [Change(OLD, NEW), Change(None, SRV)]


def apply(there: OctoDns, changes: list[Change]) -> Any:
    return there.apply(APEX, changes, there.snapshot(APEX).token)


def failure(there: OctoDns, changes: list[Change]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        apply(there, changes)
    assert "\n" not in caught.value.message
    return caught.value


# --- reading --------------------------------------------------------------------------------------------------


def test_it_is_a_provider_whose_limits_come_from_the_class_and_the_settings(store: Store) -> None:
    there: Provider = provider(max_changes=7, min_ttl=30)
    assert isinstance(there, KnowsLimits)
    can = limits_of(there, APEX)
    assert set(can.types or ()) == {rr.A, rr.AAAA, rr.CNAME, rr.MX, rr.NAPTR, rr.NS, rr.PTR, rr.SRV, rr.TXT}
    assert (can.max_changes, can.min_ttl, can.atomic, can.cas, can.serials) == (7, 30, False, "none", False)
    assert store.made == 0, "the class itself says which types it knows"
    assert set(limits_of(provider("ByInstance"), APEX).types or ()) == {rr.A, rr.TXT}


def test_each_reading_has_an_instance_of_its_own(store: Store) -> None:
    there = provider()
    first = there.snapshot(APEX)
    store.records["b.z.example.", "A"] = (300, ("192.0.2.9",))
    second = there.snapshot(APEX)
    assert rrset("b", "A", 300, "192.0.2.9") in second.rrsets.values()
    assert first.token != second.token
    assert store.read == [1, 2]
    there.apply(APEX, [Change(OLD, NEW)], second.token)
    assert store.read == [1, 2, 3, 4], "one to compare, plan and write with, one to look afterwards"


def test_what_it_can_never_see_is_a_notice_and_no_warning(store: Store) -> None:
    seen = provider().snapshot(APEX)
    assert seen.unread == ()
    assert "shows A, AAAA, CNAME, MX, NAPTR, NS, PTR, SRV, TXT only" in seen.blind
    found = [one for one in lint(world_of([seen], allow_private=True), {APEX: []}, {}) if one.id == "PRV01"]
    assert [one.level for one in found] == ["notice"]


def _odd(zone: Any) -> list[Any]:
    dynamic = {
        "type": "A", "ttl": 60, "value": "192.0.2.7",
        "dynamic": {"pools": {"one": {"values": [{"value": "192.0.2.8"}]}}, "rules": [{"pool": "one"}]},
    }  # fmt: skip
    proxied = {"type": "A", "ttl": 60, "value": "192.0.2.7", "octodns": {"cloudflare": {"proxied": True}}}
    text = {"type": "TXT", "ttl": 60, "values": [r"plain\; text", 'with "quotes"', "back\\slash", "\u00fcber"]}
    alias = {"type": "ALIAS", "ttl": 60, "value": "elsewhere.example."}
    made = [("dynamic", dynamic), ("proxied", proxied), ("text", text), ("", alias)]
    return [Record.new(zone, name, data, lenient=True) for name, data in made]


def test_what_octodns_can_not_say_as_rrsets_is_told_and_left_alone(store: Store) -> None:
    store.odd = _odd
    seen = provider().snapshot(APEX)
    hidden = {("dynamic", rr.A), ("proxied", rr.A), ("text", rr.TXT), ("@", rr.A), ("@", rr.AAAA)}
    keys = {(names.from_text(name, APEX), kind) for name, kind in hidden}
    assert set(seen.opaque) == keys
    assert not keys & set(seen.rrsets)
    assert [text.partition(":")[0] for text in seen.unread] == [
        "dynamic.z.example. A", "proxied.z.example. A", "text.z.example. TXT", "z.example. ALIAS",
    ]  # fmt: skip
    assert seen.proxied == {names.from_text("proxied", APEX)}
    for name in ("dynamic", "proxied"):
        error = failure(provider(), [Change(None, rrset(name, "A", 300, "192.0.2.9"))])
        assert isinstance(error, RejectedError)
    assert store.written == []
    apply(provider(), [Change(OLD, NEW)])
    assert store.written == ["Update a.z.example. A"]


def test_a_change_of_what_can_not_be_read_moves_the_token(store: Store) -> None:
    store.odd = lambda zone: [Record.new(zone, "t", {"type": "TXT", "ttl": 60, "value": r"a\\b"}, lenient=True)]
    seen = provider().snapshot(APEX)
    assert provider().snapshot(APEX).token == seen.token
    store.odd = lambda zone: [Record.new(zone, "t", {"type": "TXT", "ttl": 60, "value": r"a\\c"}, lenient=True)]
    with pytest.raises(ConflictError):
        provider().apply(APEX, [Change(OLD, NEW)], seen.token)
    assert store.written == []


@pytest.mark.parametrize(("answer", "empty"), [(False, False), (False, True), (None, True)])
def test_no_zone(store: Store, answer: bool | None, empty: bool) -> None:
    store.exists = answer
    if empty:
        store.records.clear()
    with pytest.raises(NoZoneError, match=r"has no zone z\.example\."):
        provider().snapshot(APEX)


def test_a_class_that_does_not_say_whether_there_is_a_zone(store: Store) -> None:
    store.exists = None
    apply(provider(), [Change(OLD, NEW)])
    assert store.records["a.z.example.", "A"] == (60, ("192.0.2.2", "192.0.2.3"))


# --- writing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Memory", "Forgetful", "NoRootNs"])
def test_a_batch_is_made_and_nothing_else(store: Store, name: str) -> None:
    foreign = {key: value for key, value in store.records.items() if key[0] != "a.z.example."}
    there = provider(name)
    receipt = apply(there, BATCH)
    assert sorted(store.written) == ["Create _sip._udp.acme.z.example. SRV", "Update a.z.example. A"]
    assert foreign.items() <= store.records.items()
    seen = there.snapshot(APEX)
    assert receipt.token == seen.token
    assert receipt.serial is None
    assert seen.rrsets[NEW.key] == NEW
    there.apply(APEX, [change.inverse() for change in BATCH], receipt.token)
    assert store.records == foreign | {("a.z.example.", "A"): (300, ("192.0.2.1",))}


def test_no_change_writes_nothing(store: Store) -> None:
    there = provider()
    seen = there.snapshot(APEX)
    assert there.apply(APEX, [], seen.token).token == seen.token
    assert store.written == []


def test_every_change_must_begin_with_what_is_there(store: Store) -> None:
    assert isinstance(failure(provider(), [Change(NEW, SRV)]), ConflictError)
    assert isinstance(failure(provider(), [Change(None, OLD)]), ConflictError)
    assert store.written == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change(None, rrset("t", "TXT", 300, '"two" "strings"')), '"twostrings" instead of 300 "two" "strings"'),
        (Change(None, rrset("t", "TXT", 300, r'"a \"quote\""')), "unchanged"),
        (Change(None, rrset("n", "NAPTR", 300, '1 1 "s" "SIP+D2U" "" x.example.')), '"S" "SIP'),
        (Change(None, rrset("n", "NAPTR", 300, '1 1 "U" "E2U+sip" "!a b!c!" .')), "refuses"),
        (Change(None, rrset("host", "SRV", 300, "1 1 5060 a.z.example.")), "invalid name for SRV record"),
        (Change(None, rrset("s", "SSHFP", 300, "1 1 " + "01" * 20)), "SSHFP records not supported"),
        (Change(None, rrset("a", "CNAME", 300, "x.example.")), r"CNAME beside other data \(A\)"),
        (Change(None, rrset("p", "PTR", 300, "x.example.", "y.example.")), "multi-value PTR"),
        (Change(None, rrset("u", "TYPE65400", 300, r"\# 1 00")), "Unknown record type"),
        (Change(None, RRset(names.absolute("outside.example"), rr.A, 300, OLD.rdata)), "refuses"),
        (Change(None, RRset(names.prepend("b", APEX), rr.A, 300, frozenset({b"\1\2"}))), "refuses"),
    ],
)  # fmt: skip
def test_what_octodns_can_not_carry_is_refused_before_anything_is_sent(store: Store, change: Change, said: str) -> None:
    error = failure(provider(), [Change(OLD, NEW), change])
    assert isinstance(error, RejectedError)
    with pytest.raises(RejectedError, match=said):
        raise error
    assert store.written == []


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ({"extra": ("foreign",)}, r"would delete foreign\.z\.example\. A"),
        ({"meta": {"plan": "premium"}}, "premium"),
        ({"min_ttl": 120}, r"would write 120 192\.0\.2\.2, 192\.0\.2\.3 instead of 60 192\.0\.2\.2"),
        ({"ignores": ("SRV",)}, r"leave out _sip\._udp\.acme\.z\.example\. SRV"),
        ({"ignores": ("SRV", "A")}, "leave out"),
    ],
)
def test_a_plan_that_is_not_ours_is_refused(store: Store, mood: dict[str, Any], said: str) -> None:
    for name, value in mood.items():
        setattr(store, name, value)
    before = dict(store.records)
    error = failure(provider(), BATCH)
    assert isinstance(error, RejectedError)
    assert error.hint
    with pytest.raises(RejectedError, match=said):
        raise error
    assert (store.written, store.records) == ([], before)


def test_a_clamp_that_meets_foreign_records_is_refused_too(store: Store) -> None:
    store.min_ttl = 78
    error = failure(provider(), [Change(None, SRV)])
    assert "update foreign.z.example. A" in error.message
    assert store.written == []


@pytest.mark.parametrize("key", [("a.z.example.", "A"), ("foreign.z.example.", "A"), ("new.z.example.", "A")])
def test_what_moves_between_reading_and_planning_is_a_conflict(store: Store, key: tuple[str, str]) -> None:
    def move(number: int) -> None:
        if number == 3:  # a snapshot, the comparison, the plan
            store.records[key] = (300, ("192.0.2.66",))

    store.before_read = move
    assert isinstance(failure(provider("Forgetful"), BATCH), ConflictError)
    assert store.written == []
    assert store.records[key] == (300, ("192.0.2.66",))


def test_a_zone_that_vanishes_before_the_plan_is_not_made_anew(store: Store) -> None:
    def vanish(number: int) -> None:
        store.exists = number < 3

    store.before_read = vanish
    assert isinstance(failure(provider("Forgetful"), BATCH), NoZoneError)
    assert store.written == []


def test_the_name_servers_of_the_apex_where_the_class_can_not_change_them(store: Store) -> None:
    ours = rrset("@", "NS", 300, "ns1.example.")
    error = failure(provider("NoRootNs"), [Change(ours, rrset("@", "NS", 300, "ns2.example."))])
    assert "leave out z.example. NS" in error.message
    assert store.written == []


def test_a_class_that_is_told_not_to_write(store: Store) -> None:
    error = failure(provider(arguments={"apply_disabled": True}), BATCH)
    assert isinstance(error, RejectedError)
    assert "apply_disabled" in error.message


def test_a_class_can_not_be_made_to_leave_out_with_a_warning(store: Store) -> None:
    there = provider(arguments={"strict_supports": False})
    error = failure(there, [Change(None, rrset("s", "SSHFP", 300, "1 1 " + "01" * 20))])
    assert isinstance(error, RejectedError)
    assert "SSHFP records not supported" in error.message


def test_strings_that_octodns_would_join_to_what_is_there_already(store: Store) -> None:
    store.records["t.z.example.", "TXT"] = (300, ('"twostrings"',))
    error = failure(
        provider(), [Change(rrset("t", "TXT", 300, '"twostrings"'), rrset("t", "TXT", 300, '"two" "strings"'))]
    )
    assert 'would write 300 "twostrings" instead of 300 "two" "strings"' in error.message


# --- failures: decided by reading -----------------------------------------------------------------------------


class Refusal(Exception):  # noqa: N818 - its name must say nothing
    """As an SDK raises it: a status, and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status_code = status


REFUSALS = {401: AuthError, 403: AuthError, 404: NoZoneError, 422: RejectedError, 429: RateLimitedError}


@pytest.mark.parametrize(("status", "kind"), REFUSALS.items())
def test_a_refusal_of_the_first_request_changed_nothing(store: Store, status: int, kind: type[ProviderError]) -> None:
    store.fail = lambda _: Refusal(status)
    assert type(failure(provider(), BATCH)) is kind
    assert store.written == []


def test_a_connection_that_was_refused_changed_nothing(store: Store) -> None:
    store.fail = lambda _: ConnectionRefusedError(111, "Connection refused")
    assert type(failure(provider(), BATCH)) is UnreachableError


@pytest.mark.parametrize("error", [*map(Refusal, (401, 422, 429, 500)), ConnectionResetError("by peer"), KeyError("x")])
def test_what_failed_half_way_is_unknown_and_told_exactly(store: Store, error: Exception) -> None:
    store.fail = lambda number: error if number == 1 else None
    said = failure(provider(), BATCH)
    assert type(said) is OutcomeUnknownError
    assert "in force is _sip._udp.acme.z.example. SRV; not to be seen is a.z.example. A" in said.message
    assert type(error).__name__ in said.message


@pytest.mark.parametrize("error", [Refusal(500), Refusal(408), TimeoutError("timed out"), KeyError("x"), Exception()])
def test_what_does_not_tell_is_unknown_though_nothing_is_there(store: Store, error: Exception) -> None:
    store.fail = lambda _: error
    said = failure(provider(), BATCH)
    assert type(said) is OutcomeUnknownError
    assert "in force" not in said.message


def test_a_write_that_can_not_be_read_back_is_unknown(store: Store) -> None:
    def lost(number: int) -> None:
        if number == 3:
            raise TimeoutError("timed out")

    store.before_read = lost
    store.fail = lambda _: Refusal(403)
    said = failure(provider(), BATCH)
    assert type(said) is OutcomeUnknownError
    assert "Refusal: no; and it can't be read again" in said.message


def test_success_that_is_not_to_be_seen_is_unknown(store: Store) -> None:
    store.deaf = True
    said = failure(provider(), BATCH)
    assert type(said) is OutcomeUnknownError
    assert "reported success; not to be seen is a.z.example. A" in said.message


def test_a_class_that_also_takes_something_foreign_away_is_found_out(store: Store) -> None:
    def take_away() -> None:
        del store.records["foreign.z.example.", "A"]

    store.besides = take_away
    said = failure(provider(), BATCH)
    assert type(said) is OutcomeUnknownError
    assert "changed also foreign.z.example. A" in said.message
    assert "not to be seen" not in said.message


def test_the_contexts_secret_is_asked_for_at_each_use(store: Store) -> None:
    asked: list[Secret] = []

    def reveal(secret: Secret) -> str:
        asked.append(secret)
        return "x"

    settings = OctoDnsSettings(f"{HERE}.Memory", {"store": "it", "password": "env:PASSWORD"})
    there = OctoDns(settings, Context(Path(), "acme", reveal, Noon()))
    assert asked == []
    there.snapshot(APEX)
    there.snapshot(APEX)
    assert asked == [Secret("env:PASSWORD")] * 2
