"""What servers say of realms, held against the configuration and one another; silence is never taken for an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.findings import Finding
from realmkit.dns.names import Name
from realmkit.dns.records import Key, RRset
from realmkit.dns.wanted import wanted as wanted_of
from realmkit.health import liverecords, realmpass, sample
from realmkit.health.check import Check
from realmkit.health.checks import served
from realmkit.health.observe import hosts, realms
from realmkit.health.observe.realms import Answered
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.realmpass import Passed, RealmPass, Watch
from realmkit.health.scope import scope
from realmkit.health.seen.realm import Expected, HostSeen, RealmSeen, Sight
from realmkit.health.seen.task import Task
from realmkit.health.state import State
from tests.unit.make import PROJECT, ZONE, name, project, rrset, zone

R = "acme.voice.example.com"
REALM = name(R)
ONE, TWO, THREE = (Server(f"192.0.2.{number}") for number in (1, 2, 3))
A, MX, AAAA = (REALM, rr.A), (REALM, rr.MX), (REALM, rr.AAAA)
WANT_A = rrset(R, "A", "198.51.100.1", "198.51.100.2")
WANT_MX = rrset(R, "MX", "10 mx.example.net.")
WANTED = {A: WANT_A, MX: WANT_MX}
OTHER_A = rrset(R, "A", "203.0.113.9")
GONE, NO_NAME = Sight("absent"), Sight("absent", rcode=wire.NXDOMAIN)
SILENT, LAME = Sight("unknown", detail="timeout"), Sight("lame", rcode=wire.REFUSED, detail="answers REFUSED")
CHECKS = (served.served_differently, served.ttl_differs, served.rcode_differs, served.not_as_wanted)


def has(*texts: str, kind: str = "A", ttl: int = 300) -> Sight:
    return Sight("present", rrset(R, kind, *texts, ttl=ttl))


RIGHT = Sight("present", WANT_A)
WRONG = Sight("present", OTHER_A)
LONG = has("198.51.100.1", "198.51.100.2", ttl=900)
LOWERED = has("198.51.100.1", "198.51.100.2", ttl=60)
ALIAS = Sight("alias", rrset(R, "CNAME", "edge.example.net."))
CUT = Sight("referral", rrset(R, "NS", "ns.elsewhere.example."))


def look(*columns: Mapping[Key, Sight], wanted: Mapping[Key, RRset] = WANTED, **more: Any) -> RealmSeen:
    """A realm of which each server says this."""
    servers = (ONE, TWO, THREE)[: len(columns)]
    keys = tuple(dict.fromkeys([*wanted, *(key for column in columns for key in column)]))
    fine = {key: Sight("present", one) for key, one in wanted.items()}
    sights = {
        (server, *key): column.get(key, fine.get(key, GONE))
        for server, column in zip(servers, columns, strict=True)
        for key in keys
    }  # fmt: skip
    return RealmSeen(REALM, ZONE, keys, servers, sights, wanted, {}, Expected(migration_ttl=60), **more)


def judge(seen: RealmSeen) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(seen)]


def brief(findings: Iterable[Finding]) -> list[str]:
    return sorted(" ".join(filter(None, (one.id, one.level, one.subject, one.server))) for one in findings)


# --- served differently -----------------------------------------------------------------------------------------------


def test_servers_that_all_serve_what_is_wanted() -> None:
    assert judge(look({}, {}, {})) == []


def test_order_is_no_difference() -> None:
    assert judge(look({A: has("198.51.100.2", "198.51.100.1")}, {})) == []


@pytest.mark.parametrize(
    ("sight", "found"),
    [
        (GONE, "CON02 error"), (NO_NAME, "CON02 error"), (WRONG, "CON02 error"), (ALIAS, "CON02 error"),
        (LONG, "CON03 warning"), (LOWERED, "CON03 warning"),
    ],
    ids=["gone", "no name", "wrong", "alias", "long", "lowered"],
)  # fmt: skip
def test_one_of_three_differs(sight: Sight, found: str) -> None:
    for place in range(3):
        columns: list[dict[Key, Sight]] = [{}, {}, {}]
        columns[place][A] = sight
        assert brief(judge(look(*columns))) == [f"{found} {R}. A 192.0.2.{place + 1}"]


@pytest.mark.parametrize(
    ("sight", "found"),
    [
        (GONE, ["CON06 error"]), (NO_NAME, ["CON06 error"]), (WRONG, ["CON06 error"]), (ALIAS, ["CON06 error"]),
        (LONG, ["CON06 warning"]), (LOWERED, ["CON06 notice"]), (RIGHT, []), (SILENT, []), (LAME, []), (CUT, []),
    ],
    ids=["gone", "no name", "wrong", "alias", "long", "lowered", "right", "silent", "lame", "referral"],
)  # fmt: skip
def test_all_three_say_the_same(sight: Sight, found: list[str]) -> None:
    assert brief(judge(look(*[{A: sight}] * 3))) == [f"{one} {R}. A" for one in found]


def test_what_is_in_excess_is_a_warning_on_all_and_an_error_on_one() -> None:
    more = has("2001:db8::1", kind="AAAA")
    assert brief(judge(look(*[{AAAA: more}] * 3))) == [f"CON06 warning {R}. AAAA"]
    assert brief(judge(look({AAAA: more}, {}, {}))) == [f"CON02 error {R}. AAAA 192.0.2.1"]


def test_of_a_strangers_realm_most_servers_are_the_measure() -> None:
    seen = look({A: RIGHT}, {A: WRONG}, {A: RIGHT}, wanted={})
    assert brief(judge(seen)) == [f"CON02 error {R}. A 192.0.2.2"]
    assert judge(look(*[{A: WRONG}] * 3, wanted={})) == []


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("wanted", [WANTED, {}], ids=["ours", "a stranger's"])
def test_of_different_codes_the_rarer_is_told(place: int, wanted: dict[Key, RRset]) -> None:
    """Whichever server comes first."""
    columns = [{AAAA: GONE, MX: Sight("present", WANT_MX)} for _ in range(3)]
    columns[place][AAAA] = NO_NAME
    seen = look(*columns, wanted=wanted)
    assert brief(judge(seen)) == [f"CON04 error {R}. AAAA 192.0.2.{place + 1}"]


def test_a_referral_is_told_at_each_server_that_gives_it() -> None:
    seen = look({A: CUT}, {}, {A: CUT})
    assert brief(served.delegated_apart(seen)) == [f"DEL09 error {R}. A 192.0.2.1", f"DEL09 error {R}. A 192.0.2.3"]
    assert brief(served.delegated_apart(look({}, {}))) == []


SIGHTS = st.sampled_from([RIGHT, WRONG, LONG, LOWERED, GONE, NO_NAME, ALIAS, CUT, SILENT, LAME])
COLUMN = st.fixed_dictionaries({A: SIGHTS, AAAA: st.sampled_from([GONE, NO_NAME, SILENT, LAME])})
MINE = st.sampled_from([WANTED, {}])


@given(st.lists(COLUMN, min_size=1, max_size=2), st.sampled_from([SILENT, LAME]), MINE)
def test_a_silent_server_changes_nothing(
    columns: list[dict[Key, Sight]], silence: Sight, wanted: dict[Key, RRset]
) -> None:
    quiet = dict.fromkeys([A, AAAA, MX], silence)
    told = [column | {MX: Sight("present", WANT_MX)} for column in columns]
    assert judge(look(*told, quiet, wanted=wanted)) == judge(look(*told, wanted=wanted))


@given(st.lists(COLUMN, min_size=1, max_size=3))
def test_nothing_that_differs_from_what_is_wanted_goes_untold(columns: list[dict[Key, Sight]]) -> None:
    """And nothing is said of a server that gave what is wanted, or that gave nothing."""
    seen = look(*columns)
    found = judge(seen)
    everywhere = any(one.id == "CON06" and one.subject == f"{R}. A" for one in found)
    for server, column in zip(seen.servers, columns, strict=True):
        here = any(one.server == str(server) and one.subject == f"{R}. A" for one in found)
        if column[A].state in ("unknown", "lame", "referral") or column[A] == RIGHT:
            assert not here
        else:
            assert here or everywhere
    assert len({one.key for one in found}) == len(found)


# --- views ------------------------------------------------------------------------------------------------------------


def shown(seen: RealmSeen) -> list[str]:
    return [view.server for view in seen.views()]


def test_servers_that_agree_are_one_view_without_a_name() -> None:
    assert shown(look({}, {A: LONG}, {})) == [""]  # a TTL makes no other picture


def test_a_server_that_differs_has_a_view_of_its_own() -> None:
    assert shown(look({}, {A: WRONG}, {})) == ["192.0.2.1, 192.0.2.3", "192.0.2.2"]


def test_servers_that_told_nothing_have_no_view() -> None:
    assert shown(look({}, dict.fromkeys([A, MX], SILENT), dict.fromkeys([A, MX], LAME))) == [""]
    assert shown(look(dict.fromkeys([A, MX], SILENT))) == []


def test_what_one_server_left_out_another_adds() -> None:
    (view,) = look({A: SILENT}, {MX: SILENT}).views()
    assert view.rrset(*A) == WANT_A
    assert view.rrset(*MX) == WANT_MX


@given(st.lists(COLUMN, min_size=1, max_size=3))
def test_every_server_that_told_something_has_one_view_that_agrees_with_it(columns: list[dict[Key, Sight]]) -> None:
    seen = look(*columns)
    views = seen.views()
    for server in seen.servers:
        mine = [view for view in views if view.server == "" or str(server) in view.server.split(", ")]
        sights = {key: seen.sight(server, key) for key in seen.keys}
        if all(one.state in ("unknown", "lame") for one in sights.values()):
            assert mine == [] or views[0].server == ""
            continue
        (view,) = mine
        for key, sight in sights.items():
            assert sight.state == "unknown" or view.sights[key].state == sight.state


# --- records as they are served ---------------------------------------------------------------------------------------

UDP = f"_sip._udp.{R}"
SRV = (name(UDP), rr.SRV)
EDGE = name("edge.example.net")


def records(
    *rrsets: RRset, hosts: Mapping[Name, HostSeen] | None = None, silent: Iterable[Key] = (), private: bool = False
) -> list[str]:
    sets = {one.key: Sight("alias" if one.type == rr.CNAME else "present", one) for one in rrsets}
    seen = look(sets | dict.fromkeys(silent, SILENT), wanted={})
    seen = structs.replace(seen, hosts=hosts or {}, expected=Expected(allow_private=private))
    return brief(liverecords.judge(seen))


def test_records_in_order_are_quiet() -> None:
    fine = rrset(UDP, "SRV", "10 50 5060 edge.example.net.")
    assert records(WANT_A, WANT_MX, fine, rrset(R, "NAPTR", f'10 100 "S" "SIP+D2U" "" {UDP}.')) == []


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (rrset(UDP, "SRV", "10 50 5060 edge.example.net.", "0 0 0 ."), "SEM03 error"),
        (rrset(UDP, "SRV", "10 50 0 edge.example.net."), "SEM04 warning"),
        (rrset(UDP, "SRV", "10 50 5060 edge.voice.example.com.voice.example.com."), "SEM08 error"),
        (rrset(R, "SRV", "10 50 5060 edge.example.net."), "SEM10 warning"),
        (rrset(R, "A", "127.0.0.1"), "SEM09 error"),
        (rrset(R, "A", "10.0.0.1"), "SEM09 warning"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # a set's order differs from process to process
)  # fmt: skip
def test_a_slip_in_what_is_served_is_found(one: RRset, found: str) -> None:
    assert records(one) == [f"{found} {rr.key_to_text(one.key)}"]


def test_private_addresses_may_be_meant() -> None:
    assert records(rrset(R, "A", "10.0.0.1"), private=True) == []


def test_an_alias_beside_what_other_types_are_answered() -> None:
    assert records(rrset(R, "CNAME", "edge.example.net."), WANT_MX) == [
        f"SEM01 error {R}. CNAME",
        f"SEM01 error {R}. MX",
    ]


def test_a_target_is_an_alias_only_if_that_was_seen() -> None:
    leads = rrset(UDP, "SRV", "10 50 5060 edge.example.net.")
    for state, found in (("alias", [f"SEM02 error {UDP}. SRV"]), ("unknown", []), ("present", []), ("absent", [])):
        assert records(leads, hosts={EDGE: HostSeen(EDGE, state)}) == found  # type: ignore[arg-type]
    assert records(leads) == []


def test_checks_of_the_chain_and_of_mail_are_left_to_those_that_know_clients() -> None:
    """An SRV set without an address would be SIP03 and an MX to nowhere MX01 offline."""
    sets = (rrset(UDP, "SRV", "10 50 5060 edge.example.net."), rrset(R, "MX", "10 edge.example.net."))
    assert records(*sets, hosts={EDGE: HostSeen(EDGE, "absent")}, silent=[A]) == []


def test_what_a_provider_makes_up_is_told_where_records_of_ours_are_wanted() -> None:
    www = (name("www.voice.example.com"), rr.A)
    live = zone(WANT_MX, opaque={A: "ALIAS", www: "ALIAS"})
    found = list(liverecords.made_up({ZONE: live}, {ZONE: [A, MX]}, {REALM}))
    assert brief(found) == [f"PRV02 error {R}. A"]
    assert list(liverecords.made_up({ZONE: live}, {ZONE: [A, MX]}, {name("bell.voice.example.com")})) == []
    assert list(liverecords.made_up({}, {ZONE: [A, MX]}, {REALM})) == []


# --- one pass over many realms ----------------------------------------------------------------------------------------


class World:
    """Servers that serve what is wanted, but for what a test says of them; it counts who is judged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.odd: dict[Key, dict[Server, Sight]] = {}
        self.judged: list[str] = []
        self.bad: Callable[[RealmSeen], bool] = lambda _seen: False
        self.servers: tuple[Server, ...] = (ONE, TWO, THREE)
        self._patch = monkeypatch
        monkeypatch.setattr(realms, "look", self._look)
        monkeypatch.setattr(realms, "ask_keys", self._ask)
        monkeypatch.setattr(hosts, "look", self._hosts)

    def count(self) -> None:
        """Judge by one check only, that finds what `bad` says."""
        table = {"SIP01": Check("SIP01", "error", "counts", "-", "", RealmSeen, self._counted)}
        self._patch.setattr(realmpass, "catalog", lambda: table)

    def _counted(self, seen: RealmSeen) -> Iterator[Finding]:
        self.judged.append(names.to_text(seen.name).partition(".")[0])
        if self.bad(seen):
            yield Finding("SIP01", "error", names.to_text(seen.name), "is bad")

    def _look(self, tasks: Iterable[Task], *_: object) -> Iterator[Answered]:
        for task in tasks:
            answered = Answered(task, self.servers)
            for key in task.keys:
                for server, sight in self.odd.get(key, {}).items():
                    answered.odd[server, key[0], key[1]] = sight
            yield answered

    def _ask(self, questions: Iterable[tuple[Server, Name, int]], *_: object) -> dict[Any, Sight]:
        return dict.fromkeys(questions, GONE)

    def _hosts(self, some: Iterable[Name], *_: object) -> dict[Name, HostSeen]:
        address = rrset(R, "A", "198.51.100.1")
        return {host: HostSeen(host, "present", ((rr.A, min(address.rdata)),)) for host in some}

    def run(self, tasks: Collection[Task], **watch: Any) -> Passed:
        given: dict[str, Any] = {"checks": frozenset({"SIP01", "SIP02", "SIP04", "CON02", "CON06", "MX01"}), **watch}
        there = Watch({ZONE: self.servers}, Expected(), **given)
        return RealmPass(there, Surroundings(SystemClock())).run(tasks, lambda _steps: None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def tasks_of(*explicit: str, shared: Sequence[str] = (), ttl: int | None = None) -> list[Task]:
    """What there is to look at for these realms; the last one may have a TTL of its own."""
    lines = [f"  {one}.voice.example.com: {{account: {one}}}" for one in explicit]
    lines += [f"  {one}.s.voice.example.com: {{shape: shared}}" for one in shared]
    if ttl is not None:
        lines[-1] = lines[-1].replace("}", f", ttl: {ttl}}}")
    made = project(PROJECT.partition("realms:")[0] + "realms:\n" + "\n".join(lines) + "\n")
    return list(scope(made, wanted_of(made, {}), None, [ZONE]).tasks)


def test_of_realms_of_one_make_one_is_judged_for_all(world: World) -> None:
    world.count()
    passed = world.run(tasks_of("a", "b", "c"))
    assert world.judged == ["a"]
    assert [names.to_text(one.name)[0] for one in passed.kept] == ["a"]


def test_where_the_first_of_a_make_is_not_clean_all_are_judged(world: World) -> None:
    world.count()
    world.bad = lambda _seen: True
    passed = world.run(tasks_of("a", "b", "c"))
    assert world.judged == ["a", "b", "c"]
    assert len(passed.findings) == 3


def test_another_ttl_is_another_make(world: World) -> None:
    world.count()
    world.run(tasks_of("a", "b", "c", ttl=60))
    assert world.judged == ["a", "c"]


def test_whether_the_platform_knows_it_is_part_of_the_make(world: World) -> None:
    world.count()
    world.run(tasks_of("a", "b", "c"), registered=frozenset({name("b.voice.example.com")}))
    assert world.judged == ["a", "b"]


def test_shared_realms_are_another_make_than_explicit_ones(world: World) -> None:
    world.count()
    world.run(tasks_of("a", "b", shared=("x", "y")))
    assert sorted(world.judged) == ["a", "x"]


def test_pictures_that_are_wanted_are_kept_and_not_judged_for_that(world: World) -> None:
    world.count()
    passed = world.run(tasks_of("a", "b", "c"), keep=lambda _task: True)
    assert world.judged == ["a"]
    assert len(passed.kept) == 3


def test_what_differs_is_judged_by_itself(world: World) -> None:
    world.count()
    world.odd[name("b.voice.example.com"), rr.MX] = {TWO: GONE}
    world.run(tasks_of("a", "b", "c"))
    assert sorted(world.judged) == ["a", "b"]


def test_a_realm_of_which_one_server_is_silent_is_as_wanted(world: World) -> None:
    world.count()
    world.odd[name("b.voice.example.com"), rr.MX] = {TWO: SILENT}
    passed = world.run(tasks_of("a", "b"))
    assert world.judged == ["a"]
    assert brief(passed.findings) == ["RUN01 unknown b.voice.example.com. 192.0.2.2"]


@pytest.mark.parametrize(("many", "subject"), [(8, 8), (9, 1)])
def test_a_server_silent_about_many_is_told_once(world: World, many: int, subject: int) -> None:
    labels = [f"r{number}" for number in range(many)]
    for one in labels:
        world.odd[name(f"{one}.voice.example.com"), rr.A] = {THREE: SILENT}
    found = world.run(tasks_of(*labels), checks=frozenset({"CON02", "CON06"})).findings
    assert len(found) == subject
    assert {(one.id, one.level, one.server) for one in found} == {("RUN01", "unknown", "192.0.2.3")}
    if many > 8:
        assert found[0].subject == "voice.example.com."


def test_a_zone_without_a_server_is_told_for_each_realm(world: World) -> None:
    world.servers = ()
    assert brief(world.run(tasks_of("a", "b")).findings) == [
        "RUN01 unknown a.voice.example.com.", "RUN01 unknown b.voice.example.com."
    ]  # fmt: skip


def test_a_realm_of_a_pool_that_differs_says_nothing_of_the_pools_own_sets(world: World) -> None:
    """They are wanted, though not at the realm."""
    realm = name("x.s.voice.example.com")
    for kind in (rr.A, rr.MX, rr.NAPTR, rr.AAAA):
        world.odd[realm, kind] = dict.fromkeys((ONE, TWO, THREE), GONE)
    found = world.run(tasks_of(shared=("x", "y")), checks=frozenset({"CON02", "CON06"})).findings
    assert {one.subject for one in found} == {f"x.s.voice.example.com. {kind}" for kind in ("A", "AAAA", "MX", "NAPTR")}


def test_a_realm_whose_name_is_a_pools_too(world: World) -> None:
    """`s` is a realm, and its SRV sets are those of the pool below it."""
    tasks = tasks_of("s", shared=("x", "y"))
    assert [task.kind for task in tasks] == ["realm"] * 3
    assert world.run(tasks, checks=frozenset({"SIP01", "SIP02", "SIP03", "CON02", "CON06"})).findings == []


ODD = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "x.s"]), st.sampled_from([rr.A, rr.MX, rr.NAPTR])),
    st.dictionaries(st.sampled_from([ONE, TWO, THREE]), st.sampled_from([GONE, NO_NAME, SILENT, LAME]), min_size=1),
    max_size=4,
)  # fmt: skip


@given(odd=ODD)
def test_all_at_once_or_one_by_one_the_same_is_found(odd: dict[tuple[str, int], dict[Server, Sight]]) -> None:
    tasks = tasks_of("a", "b", "c", shared=("x", "y"))
    with pytest.MonkeyPatch.context() as patch:
        world = World(patch)
        world.odd = {(name(f"{label}.voice.example.com"), kind): some for (label, kind), some in odd.items()}
        whole = {one.key for one in world.run(tasks).findings}
        pools = [task for task in tasks if task.kind == "pool"]
        single = {one.key for task in tasks for one in world.run([*pools, task]).findings}
    assert whole == single


# --- which part of the realms -----------------------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(0, 1000))
def test_after_all_turns_every_realm_has_been_looked_at_once(parts: int, turn: int) -> None:
    tasks = tasks_of(*(f"r{number}" for number in range(9)), shared=("x", "y"))
    turns = [sample.sample(tasks, turn + step, parts) for step in range(parts)]
    looked_at = [task.name for some in turns for task in some if task.kind == "realm"]
    assert sorted(looked_at) == sorted(task.name for task in tasks if task.kind == "realm")
    assert all({task.name for task in tasks if task.kind != "realm"} <= {task.name for task in some} for some in turns)


SAME = {"192.0.2.1": 7, "192.0.2.2": 7}
KNOWN = State(serials={"voice.example.com.": SAME}, green={"voice.example.com.": "2026-11-26T03:00:00Z abc"})


@pytest.mark.parametrize(
    ("serials", "configuration", "unchanged"),
    [
        (SAME, "abc", True), (SAME, "abd", False), (SAME, "", False), ({"192.0.2.1": 8, "192.0.2.2": 8}, "abc", False),
        ({"192.0.2.1": 7}, "abc", False), ({"192.0.2.1": 7, "192.0.2.2": None}, "abc", False), ({}, "abc", False),
    ],
)  # fmt: skip
def test_a_zone_is_unchanged_if_every_server_says_so(
    serials: dict[str, int | None], configuration: str, *, unchanged: bool
) -> None:
    assert sample.is_unchanged(KNOWN, ZONE, serials, configuration) is unchanged


@pytest.mark.parametrize("state", [State(), State(serials={"voice.example.com.": SAME})])
def test_a_zone_that_was_never_in_order_is_looked_at(state: State) -> None:
    assert not sample.is_unchanged(state, ZONE, SAME, "abc")


def test_servers_that_differ_are_looked_at_though_nothing_moved() -> None:
    apart = {"192.0.2.1": 7, "192.0.2.2": 6}
    known = State(serials={"voice.example.com.": apart}, green=KNOWN.green)
    assert not sample.is_unchanged(known, ZONE, apart, "abc")
