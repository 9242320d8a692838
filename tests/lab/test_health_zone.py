"""Zones as a whole, looked at and judged: a real tree of zones on named, knot, nsd and PowerDNS, all seen in one look.

Every check fires on what is broken and keeps quiet on the zone beside it that is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns import names, wire
from realmkit.dns.asking import query
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.observe.zones import look
from realmkit.health.seen.zone import ZoneSeen, ZoneTask
from tests.lab.proxy import Fault, Proxy
from tests.lab.server import wait_for
from tests.lab.servers import Knot
from tests.lab.zoneworld import (
    OPTIONS,
    World,
    addresses,
    edns_option,
    edns_version,
    findings,
    name,
    over_tcp,
    planted,
    with_edns,
    zone_text,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name
    from tests.lab.topology import Lab


def ids(found: list[Finding]) -> set[str]:
    return {f"{one.id} {one.level}" for one in found}


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as own, planted(own) as there:
        yield there


@pytest.fixture(scope="module")
def seen(world: World, lab: Lab) -> dict[str, ZoneSeen]:
    """All zones but those behind the proxy, in one look."""
    with lab.namespace.inside():
        words = [word for word in world.tasks if word != "proxied"]
        found = look([world.tasks[word] for word in words], world.surroundings)
    return dict(zip(words, found, strict=True))


def keys(found: list[Finding], *wanted: str) -> set[tuple[str, str, str, str]]:
    """Level, id, subject and server's address of the findings of these checks."""
    return {(one.level, one.id, one.subject, one.server) for one in found if one.id in wanted}


def of(seen: dict[str, ZoneSeen], word: str, *wanted: str) -> set[tuple[str, str, str, str]]:
    return keys(findings(seen[word]), *wanted)


def at(word: str, host: str, address: str) -> str:
    return f"{host}.{word}.example ({address})"


def test_a_zone_that_is_right_gives_no_finding(seen: dict[str, ZoneSeen]) -> None:
    assert findings(seen["good"]) == []
    assert [one.transfer.state for one in seen["good"].servers] == ["refused"] * 2
    assert [one.tcp for one in seen["good"].servers] == ["answers"] * 2


def test_four_kinds_of_server_are_all_right(seen: dict[str, ZoneSeen]) -> None:
    found = findings(seen["four"])
    assert ids(found) == {"DEL06 warning"}  # the lab's addresses are in one /24
    assert [one.soa.state for one in seen["four"].servers] == ["present"] * 4
    assert [one.edns.version.rcode for one in seen["four"].servers] == [16] * 4


# --- DEL01, DEL02 --------------------------------------------------------------------------------------------


def test_a_zone_that_is_not_delegated_is_critical(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "nowhere", "DEL01") == {("critical", "DEL01", "nowhere.example.", "")}


def test_a_zone_that_nobody_serves_is_critical(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "forsaken", "DEL01") == {("critical", "DEL01", "forsaken.example.", "")}


def test_without_a_resolver_the_delegation_is_unknown(world: World) -> None:
    blind = Surroundings(SystemClock(), OPTIONS, (world.dead,))
    (found,) = look([world.tasks["good"]], blind)
    assert {one.level for one in findings(found)} == {"unknown"}
    assert {"DEL01", "DEL03", "DEL04", "DEL05", "DEL06", "DEL07", "MIG02"} <= {one.id for one in findings(found)}


def test_from_the_root_down_all_zones_look_the_same(seen: dict[str, ZoneSeen], world: World) -> None:
    around = structs.replace(world.surroundings, resolvers=(world.dead,), roots=(world.tree.root.where,))
    found = look([world.tasks[word] for word in seen], around)
    assert {one.key for zone in found for one in findings(zone)} == {
        one.key for zone in seen.values() for one in findings(zone)
    }


def test_a_parent_that_keeps_silent_is_unknown_and_not_critical(world: World) -> None:
    world.tree.parent.freeze()
    wait_for("it stands still", lambda: stopped(world.tree.parent.pid))
    try:
        (found,) = look([world.tasks["good"]], world.surroundings)
    finally:
        world.tree.parent.thaw()
    assert {one.level for one in findings(found) if one.id == "DEL01"} == {"unknown"}


def stopped(pid: int) -> bool:
    """Whether every thread of a process has stopped; the signal takes its time."""
    stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


def test_configured_servers_need_no_parent(seen: dict[str, ZoneSeen]) -> None:
    assert seen["hidden"].parent is None
    assert of(seen, "hidden", "DEL01", "DEL02", "DEL03", "DEL04", "DEL07") == set()


def test_the_only_server_keeps_silent_and_nobody_else_was_heard(seen: dict[str, ZoneSeen], world: World) -> None:
    """It may be this machine's own line."""
    assert of(seen, "hushed", "DEL01", "DEL02") == {
        ("unknown", "DEL01", "hushed.example.", ""), ("unknown", "DEL02", "hushed.example.", world.dead),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "words"),
    [("lame", "does not serve the zone: answers REFUSED"), ("dead", "keeps silent"), ("expired", "SERVFAIL")],
)
def test_a_lame_server_is_named(seen: dict[str, ZoneSeen], word: str, words: str) -> None:
    found = [one for one in findings(seen[word]) if one.id in ("DEL01", "DEL02")]
    (server,) = (one.server for one in seen[word].servers if one.server.label.startswith("ns2"))
    assert [(one.level, one.id, one.server) for one in found] == [("error", "DEL02", str(server))]
    assert words in found[0].message


def test_a_server_without_tcp_is_named(world: World) -> None:
    found = through(world, Fault("reset", when=over_tcp))
    server = at("proxied", "ns2", world.proxy.address)
    assert keys(found, "DEL02") == {("error", "DEL02", "proxied.example. over TCP", server)}
    assert keys(through(world, None), "DEL02", "SCR01", "SCR05") == set()


def through(world: World, fault: Fault | None) -> list[Finding]:
    """What is found of the zone whose second server stands behind the proxy."""
    world.proxy.fault = fault
    try:
        (found,) = look([world.tasks["proxied"]], world.surroundings)
    finally:
        world.proxy.fault = None
    return findings(found)


def test_eleven_zones_take_as_many_rounds_as_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    ask = query.ask

    def counted(questions: Iterable[tuple[Server, Name, int]], *more: Any) -> Generator[Reply, None, None]:
        questions = list(questions)
        rounds.append(len(questions))
        return ask(questions, *more)

    monkeypatch.setattr(query, "ask", counted)
    words = ("good", "four", "near", "twins", "assigned", "pending", "behind", "forked", "hasty", "open", "slow")
    look([world.tasks["good"]], world.surroundings)
    one = len(rounds)
    rounds.clear()
    look([world.tasks[word] for word in words], world.surroundings)
    assert len(rounds) == one < 12
    assert max(rounds) >= 3 * len(words)


def test_a_resolver_hears_of_name_servers_only(world: World) -> None:
    """It would remember that a realm is not there."""
    with Proxy((world.tree.resolver.address, 53), world.tree.resolver.address) as resolver:
        around = structs.replace(world.surroundings, resolvers=(f"{resolver.address}:{resolver.port}",))
        look([world.tasks[word] for word in ("good", "wild", "odd", "glueless", "nowhere")], around)
        asked = {wire.parse(request).question for request in resolver.requests}
    hosts = {"ns.example.", "ns2.glueless.example.", "alias.example.", "missing.example."}
    assert {names.to_text(one[0]) for one in asked if one} == {"example.", *hosts}


def test_what_the_parent_says(seen: dict[str, ZoneSeen], world: World) -> None:
    slow, good, nowhere = (seen[word].parent for word in ("slow", "good", "nowhere"))
    assert slow is not None
    assert good is not None
    for parent, word in ((slow, "slow"), (good, "good")):
        ns1, ns2 = name(f"ns1.{word}.example"), name(f"ns2.{word}.example")
        assert parent.hosts == (ns1, ns2)
        assert parent.glue == {ns1: addresses(world.named.address), ns2: addresses(world.far.address)}
        assert (parent.ttl, parent.ds_unknown) == (300, "")
    assert slow.ds is not None
    assert (slow.ds.ttl, good.ds) == (86400, None)
    assert nowhere is not None
    assert nowhere.denied


# --- DEL03 to DEL08 ------------------------------------------------------------------------------------------


def test_parent_and_zone_name_different_servers(seen: dict[str, ZoneSeen], world: World) -> None:
    assert of(seen, "other", "DEL03") == {("error", "DEL03", "other.example. NS", "")}
    assert {one.server.label for one in seen["other"].servers} == {f"ns{n}.other.example" for n in (1, 2, 3)}
    assert of(seen, "torn", "DEL03") == {("error", "DEL03", "torn.example. NS", at("torn", "ns2", world.far.address))}


def test_glue_that_is_wrong_absent_or_incomplete(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "renumbered", "DEL04") == {("error", "DEL04", "ns2.renumbered.example. glue", "")}
    assert of(seen, "glueless", "DEL04") == {("error", "DEL04", "ns2.glueless.example. glue", "")}
    assert of(seen, "half", "DEL04") == {("warning", "DEL04", "ns2.half.example. glue", "")}


def test_server_names_that_are_an_alias_or_nothing(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "odd", "DEL05") == {
        ("error", "DEL05", "alias.example. CNAME", ""), ("error", "DEL05", "missing.example.", ""),
    }  # fmt: skip


def test_private_addresses_unless_they_are_meant(world: World) -> None:
    (found,) = look([ZoneTask(name("good.example"))], world.surroundings)
    assert keys(findings(found), "DEL05") == {
        ("error", "DEL05", f"ns{n}.good.example. address", "") for n in (1, 2)
    }  # fmt: skip


def test_too_few_servers_or_all_in_one_place(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "single", "DEL06") == {("warning", "DEL06", "single.example. NS", "")}
    for word, words in (("twins", "the same address"), ("near", "one IPv4 /24")):
        (found,) = [one for one in findings(seen[word]) if one.id == "DEL06"]
        assert (found.level, found.subject) == ("warning", f"{word}.example. NS addresses")
        assert words in found.message


def test_the_providers_servers_are_not_the_delegated_ones(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "pending", "DEL07") == {("error", "DEL07", "pending.example. NS assigned", "")}
    assert of(seen, "silent-api", "DEL07") == {("unknown", "DEL07", "silent-api.example. NS assigned", "")}
    assert of(seen, "assigned", "DEL07") == set()


def test_a_vanity_name_that_was_left_behind(seen: dict[str, ZoneSeen]) -> None:
    """A host that is no name server of the zone is none of its business."""
    assert of(seen, "assigned", "DEL08") == {("warning", "DEL08", "ns1.assigned.example.", "")}


# --- CON01, CON05, CON07 -------------------------------------------------------------------------------------


def test_a_secondary_that_was_not_told_is_behind(seen: dict[str, ZoneSeen], world: World) -> None:
    server = at("behind", "ns2", world.knot.address)
    assert of(seen, "behind", "CON01") == {("warning", "CON01", "behind.example. serial", server)}
    assert len(of(seen, "orderless", "CON01")) == 2


def test_a_server_that_tells_no_serial_is_unknown(seen: dict[str, ZoneSeen], world: World) -> None:
    server = at("dead", "ns2", world.dead)
    for id_, subject in (("CON01", "dead.example. serial"), ("CON05", "dead.example. SOA")):
        assert of(seen, "dead", id_) == {("unknown", id_, subject, server)}


def test_the_soa_differs_or_makes_little_sense(seen: dict[str, ZoneSeen]) -> None:
    assert {one[:3] for one in of(seen, "forked", "CON05")} == {("notice", "CON05", "forked.example. SOA")}
    fields = {"refresh", "retry", "expire", "minimum"}
    found = {one.subject.rpartition(" ")[2] for one in findings(seen["hasty"]) if one.id == "CON05"}
    assert found == fields - {"minimum"}  # its TTL of 300 counts, being lower


def test_what_the_api_shows_and_nobody_serves(seen: dict[str, ZoneSeen]) -> None:
    assert {one[:3] for one in of(seen, "near", "CON07")} == {
        ("warning", "CON07", "near.example. published serial"), ("warning", "CON07", "near.example. published MX"),
    }  # fmt: skip
    assert len(of(seen, "near", "CON07")) == 4
    assert of(seen, "silent-api", "CON07") == {("unknown", "CON07", "silent-api.example. published", "")}
    assert of(seen, "good", "CON07") == set()


# --- SCR01, SCR04, SCR05, WLD05, MIG02 -----------------------------------------------------------------------


def test_an_open_transfer_is_found(seen: dict[str, ZoneSeen], world: World) -> None:
    server = at("open", "ns1", world.named.address)
    assert of(seen, "open", "SCR01") == {("error", "SCR01", "open.example. AXFR", server)}


def test_an_open_resolver_is_found(seen: dict[str, ZoneSeen], world: World) -> None:
    address = world.tree.resolver.address
    server = at("recursive", "ns2", address)
    assert of(seen, "recursive", "SCR04") == {("warning", "SCR04", "ns2.recursive.example. recursion", server)}


@pytest.mark.parametrize(
    ("fault", "subject"),
    [
        (Fault("drop", when=with_edns), "EDNS"),
        (Fault("rcode", when=with_edns, rcode=1), "EDNS"),
        (Fault("rcode", when=with_edns, rcode=0), "EDNS"),
        (Fault("drop", when=edns_version), "EDNS version"),
        (Fault("rcode", when=edns_version, rcode=0), "EDNS version"),
        (Fault("drop", when=edns_option), "EDNS option"),
        (Fault("rcode", when=edns_option, rcode=1), "EDNS option"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}-{value.rcode}",
)
def test_a_server_that_breaks_edns_is_named(world: World, fault: Fault, subject: str) -> None:
    server = at("proxied", "ns2", world.proxy.address)
    found = keys(through(world, fault), "SCR05")
    level = "notice" if (subject, fault.kind, fault.rcode) == ("EDNS", "rcode", 0) else "warning"
    assert found == {(level, "SCR05", f"ns2.proxied.example. {subject}", server)}


def test_a_wildcard_that_one_server_lacks(seen: dict[str, ZoneSeen], world: World) -> None:
    one, other = at("wild", "ns1", world.named.address), at("wild", "ns2", world.far.address)
    assert of(seen, "wild", "WLD05") == {
        ("warning", "WLD05", "*.s.wild.example. A", other), ("warning", "WLD05", "*.t.wild.example. A", one),
        ("warning", "WLD05", "*.t.wild.example. A", other),
    }  # fmt: skip


def test_an_ns_set_that_lives_long_before_a_move(seen: dict[str, ZoneSeen]) -> None:
    assert of(seen, "slow", "MIG02") == {
        ("error", "MIG02", "slow.example. NS TTL", ""), ("warning", "MIG02", "slow.example. DS TTL at the parent", ""),
    }  # fmt: skip
    assert of(seen, "good", "MIG02") == set()


def test_a_deadline_that_has_passed_makes_nothing_wrong(world: World) -> None:
    clock = SystemClock()
    over = Surroundings(clock, OPTIONS, (world.tree.resolver.where,), until=clock.monotonic())
    for found in look([world.tasks["good"], world.tasks["dead"], world.tasks["hushed"]], over):
        assert {one.level for one in findings(found)} <= {"unknown"}
        assert findings(found)


# --- IPv6 ----------------------------------------------------------------------------------------------------


class OnBoth(Knot):
    """Listens on ::1 too, and gives its zones to anybody."""

    def configure(self) -> None:
        super().configure()
        path = self.directory / "knot.conf"
        text = path.read_text()
        for old, new in (
            (f"listen: {self.address}@53", f"listen: [{self.address}@53, ::1@53]"),
            ("    acl: lab\n", "    acl: [lab, anybody]\n"),
            ("acl:\n  - id: lab", "acl:\n  - id: anybody\n    action: transfer\n  - id: lab"),
        ):
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)


def test_over_ipv6_a_server_shows_the_same(own_lab: Lab) -> None:
    """UDP, TCP, the transfer that it gives to strangers, and how it takes EDNS."""
    both = own_lab.start(OnBoth)
    apex = own_lab.zone_name("six")
    both.add_zone(apex, zone_text({"ns1": both.address}))
    around = Surroundings(SystemClock(), OPTIONS)
    tasks = [
        ZoneTask(names.absolute(apex), nameservers=(where,), allow_private=True) for where in (both.where, "[::1]:53")
    ]
    four, six = (look([task], around)[0] for task in tasks)
    (old,), (new,) = four.servers, six.servers
    assert (new.server.address, new.reach, new.tcp, new.transfer.state) == ("::1", "answers", "answers", "given")
    assert new.edns.version.rcode == 16
    assert new == structs.replace(old, server=new.server)
    assert {one.id for one in findings(six)} == {one.id for one in findings(four)} >= {"SCR01"}
