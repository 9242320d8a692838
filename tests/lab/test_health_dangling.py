"""Aliases that lead nowhere and lookalikes that are registered, in a small world with a root and a resolver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Server
from realmkit.dns.names import Name
from realmkit.dns.records import RRset
from realmkit.health.checks.dangling import dangling_alias
from realmkit.health.checks.lookalikes import lookalike
from realmkit.health.observe import dangling
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.dangling import AliasSeen, alias_tasks
from tests.lab.server import base_zone, run
from tests.lab.servers import Named
from tests.lab.topology import Lab
from tests.lab.tree import Tree, plant

OPTIONS = Options(timeouts=(0.5, 2.0), rate=None)
NOBODY = "127.0.25.251"  # nobody listens there
OURS = names.absolute("white.example")
# ours; what is left out here (`fresh`) is not served yet
ALIASES = """
good CNAME host.cloud.example.
v6 CNAME six.cloud.example.
chain CNAME first
first CNAME second.cloud.example.
gone CNAME nowhere.cloud.example.
empty CNAME mail.cloud.example.
far CNAME broken.cloud.example.
lame CNAME x.dead.example.
round CNAME circle.example.
inner CNAME portal
portal A 198.51.100.9
lost CNAME missing
deep CNAME x.sub
"""


class World(NamedTuple):
    """The tree, and the server of our zone."""

    tree: Tree
    named: Named

    def around(self, *resolvers: str) -> Surroundings:
        return Surroundings(SystemClock(), OPTIONS, resolvers or (self.tree.resolver.address,))

    def see(self, *hosts: str, resolver: str = "") -> dict[str, AliasSeen]:
        """Where our aliases end; for a `resolver` of that address."""
        lines = dict(line.split(" CNAME ") for line in ALIASES.splitlines() if " CNAME " in line)
        sets = [alias(names.from_text(host, OURS), names.from_text(lines[host], OURS)) for host in hosts]
        return self.follow(sets, {OURS: (Server(self.named.address),)}, resolver)

    def follow(
        self, sets: list[RRset], servers: Mapping[Name, Sequence[Server]], resolver: str = ""
    ) -> dict[str, AliasSeen]:
        around = self.around(*filter(None, [resolver]))
        found = dangling.look(alias_tasks(sets), servers, around)
        return {names.relative_text(one.task.name, OURS): one for one in found}


def alias(name: Name, target: Name) -> RRset:
    return RRset(name, rr.CNAME, 60, frozenset({rdata.from_text(rr.CNAME, names.to_text(target))}))


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as own:
        named = own.start(Named)
        lines = [
            f"n A {named.address}\ncircle CNAME round.white",
            f"dead NS n.dead\nn.dead A {NOBODY}",
            f"whitw NS n.whitw\nn.whitw A {NOBODY}",
        ]
        lines += [f"{child} NS n" for child in ("white", "cloud", "whte", "wihte", "xn--whit-8fe")]
        tree = plant(own, lines)
        named.add_zone("white.example.", base_zone(ALIASES + f"sub NS n.sub\nn.sub A {named.address}\n"))
        named.add_zone("sub.white.example.", base_zone("x A 198.51.100.30"))
        named.add_zone("cloud.example.", base_zone("""
host A 198.51.100.20
six AAAA 2001:db8::20
second CNAME host
mail MX 10 host
broken CNAME nowhere
"""))  # fmt: skip
        for child in ("whte", "wihte"):
            named.add_zone(f"{child}.example.", base_zone())
        yield World(tree, named)


def ids(seen: AliasSeen) -> list[tuple[str, str]]:
    return [(one.id, one.level) for one in dangling_alias(seen)]


def test_aliases_that_lead_somewhere_are_quiet(world: World) -> None:
    seen = world.see("good", "v6", "chain", "inner", "deep")
    assert {host: one.state for host, one in seen.items()} == dict.fromkeys(seen, "resolves")
    assert seen["chain"].end == names.absolute("host.cloud.example")
    assert [found for one in seen.values() for found in ids(one)] == []


def test_aliases_that_lead_nowhere_are_errors(world: World) -> None:
    seen = world.see("gone", "empty", "far", "lost")
    assert {host: (one.state, names.to_text(one.end)) for host, one in seen.items()} == {
        "gone": ("nxdomain", "nowhere.cloud.example."),
        "empty": ("nodata", "mail.cloud.example."),
        "far": ("nxdomain", "nowhere.cloud.example."),
        "lost": ("nxdomain", "missing.white.example."),
    }
    assert [ids(one) for one in seen.values()] == [[("SCR02", "error")]] * 4


def test_what_fails_or_goes_round_in_a_circle_is_unknown(world: World) -> None:
    (lame,) = world.see("lame").values()
    assert ids(lame) == [("SCR02", "unknown")]
    assert "SERVFAIL" in lame.detail
    both = {OURS: (Server(world.named.address),), names.absolute("example"): (Server(world.tree.parent.address),)}
    target = names.absolute("circle.example")
    (endless,) = world.follow([alias(names.absolute("round.white.example"), target)], both).values()
    assert ids(endless) == [("SCR02", "unknown")]
    assert "round in a circle" in endless.detail


def test_without_a_resolver_or_a_server_it_is_unknown(world: World) -> None:
    assert world.see("good", resolver=NOBODY)["good"].state == "unknown"
    lost = alias(names.absolute("lost.white.example"), names.absolute("missing.white.example"))
    (nobody,) = world.follow([lost], {OURS: ()}).values()
    assert (nobody.state, nobody.detail) == ("unknown", "its zone has no server that is known")


def test_a_target_of_ours_is_never_asked_of_a_resolver(world: World) -> None:
    """It would remember that the target does not exist, and go on saying so after it is published."""
    resolver = world.tree.resolver
    assert {one.state for one in world.see("lost", "inner", "good").values()} == {"nxdomain", "resolves"}
    known = run(*resolver.control, "dump_cache")
    assert "host.cloud.example." in known
    assert "missing.white.example." not in known
    assert "portal.white.example." not in known


def test_registered_lookalikes_are_named_unless_they_are_ours(world: World) -> None:
    owned = {OURS, names.absolute("whte.example")}
    (seen,) = dangling.lookalikes([OURS], owned, world.around())
    assert [(names.to_text(one.name), one.how) for one in seen.registered] == [
        ("wihte.example.", "two letters swapped")
    ]
    assert seen.untold == 1
    found = list(lookalike(seen))
    assert [(one.id, one.level, one.subject) for one in found] == [
        ("SCR06", "notice", "wihte.example."), ("SCR06", "unknown", "white.example."),
    ]  # fmt: skip
    assert "SERVFAIL" in found[1].seen
