"""Finding a zone's servers in a real tree: a root on named, a parent on knot, children on both, unbound as resolver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.delegation import Addresses, configured, discover
from realmkit.dns.asking.iteration import Iterator
from realmkit.dns.asking.query import Options, Server
from realmkit.dns.asking.resolving import Finder, Resolver
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read
from realmkit.sandbox.nameserver import NameServer
from tests.lab.server import run, wait_for
from tests.lab.servers import Knot, Named, Unbound

if TYPE_CHECKING:
    from collections.abc import Iterator as Yields

    from realmkit.dns.asking.delegation import Servers
    from tests.lab.topology import Lab

OPTIONS = Options(timeouts=(0.4, 2.0), rate=None)


@dataclass(frozen=True)
class Tree:
    """A root, `example.` below it, children below that, `provider.test.` beside, and a resolver.

    Attributes:
        dead: an address where nobody listens.
    """

    root: Named
    parent: Knot
    child: Named
    other: Knot
    resolver: Unbound
    dead: str


class Way:
    """How what lies outside is found out: through a resolver, or from the root down.

    Args:
        tree: the servers.
        through: which.
    """

    def __init__(self, tree: Tree, through: str) -> None:
        self.tree = tree
        self.through = through

    def finder(self, options: Options = OPTIONS) -> Finder:
        if self.through == "root":
            return Iterator([f"{self.tree.dead}:53", self.tree.root.where], lambda: options)
        return Resolver([f"{self.tree.dead}:53", self.tree.resolver.where], lambda: options)

    def discover(self, zone: str) -> Servers:
        return discover(names.absolute(zone), self.finder(), OPTIONS)


def zone_file(*lines: str) -> str:
    return "\n".join(["$TTL 3600", "@ SOA ns.example. h.example. 1 60 5 3600 60", *lines]) + "\n"


def parent_zone(root: str, parent: str, child: str) -> str:
    return zone_file(
        "@ NS ns", f"ns A {parent}", f"ns.root A {root}",
        "voice NS ns1.voice", "voice NS ns.provider.test.", f"ns1.voice A {child}",
        "inner NS ns", "half NS ns1.voice", "half NS gone", "moving NS ns1.voice",
        "edge A 198.51.100.10", "edge AAAA 2001:db8::10", "alias CNAME edge", "away CNAME host.provider.test.",
    )  # fmt: skip


@pytest.fixture(scope="module")
def tree(lab: Lab) -> Yields[Tree]:
    with lab.namespace.inside(), lab.guest() as own:
        root, parent, child, other = own.start(Named), own.start(Knot), own.start(Named), own.start(Knot)
        root.add_zone(".", zone_file(
            "@ NS ns.root.example.", f"ns.root.example. A {root.address}",
            "example. NS ns.example.", f"ns.example. A {parent.address}",
            "provider.test. NS ns.provider.test.", f"ns.provider.test. A {other.address}",
        ))  # fmt: skip
        parent.add_zone("example.", parent_zone(root.address, parent.address, child.address))
        parent.add_zone("inner.example.", zone_file("@ NS ns.example."))
        other.add_zone("provider.test.", zone_file("@ NS ns", f"ns A {other.address}", "host A 198.51.100.20"))
        voice = zone_file("@ NS ns1", f"ns1 A {child.address}", "deep NS ns.deep", f"ns.deep A {other.address}")
        for server in (child, other):
            server.add_zone("voice.example.", voice)
        child.add_zone("moving.example.", zone_file("@ NS ns1.voice.example."))
        other.add_zone("deep.voice.example.", zone_file("@ NS ns", f"ns A {other.address}"))
        yield Tree(root, parent, child, other, own.start(Unbound, root=root), own.address())


@pytest.fixture(params=["resolver", "root"])
def way(tree: Tree, request: pytest.FixtureRequest) -> Way:
    return Way(tree, request.param)


def test_what_the_parent_says(tree: Tree, way: Way) -> None:
    """By glue where the parent has it, looked up where the host lies elsewhere, on one server or another."""
    child, other = Server(tree.child.address, 53, "ns1.voice.example"), tree.other.address
    voice = way.discover("voice.example")
    assert set(voice.found) == {child, Server(other, 53, "ns.provider.test")}
    assert voice.unknown == ()
    assert way.discover("deep.voice.example").found == (Server(other, 53, "ns.deep.voice.example"),)
    assert way.discover("example").found == (Server(tree.parent.address, 53, "ns.example"),)
    inner = way.discover("inner.example")
    assert inner.found == (Server(tree.parent.address, 53, "ns.example"),)
    assert inner.unknown == ()


def test_what_the_parent_does_not_say(tree: Tree, way: Way) -> None:
    nowhere = way.discover("nowhere.example")
    assert nowhere.found == ()
    assert "give no delegation of nowhere.example" in nowhere.unknown[0]
    assert "nowhere.example is not delegated" in nowhere.unknown[0]
    below = way.discover("a.b.nowhere.example")
    assert "a.b.nowhere.example is not delegated" in below.unknown[0]
    half = way.discover("half.example")
    assert half.found == (Server(tree.child.address, 53, "ns1.voice.example"),)
    assert half.unknown == ("gone.example: it has no address",)


def test_the_parent_is_asked_and_not_a_resolvers_memory(tree: Tree) -> None:
    ways = [Way(tree, "resolver"), Way(tree, "root")]
    for way in ways:
        assert way.discover("moving.example").found == (Server(tree.child.address, 53, "ns1.voice.example"),)
    assert len(tree.resolver.query("moving.example.", "NS").answer[0]) == 1  # remembered for an hour
    moved = parent_zone(tree.root.address, tree.parent.address, tree.child.address)
    moved = moved.replace("moving NS ns1.voice\n", "moving NS ns.provider.test.\n").replace(" 1 60 5", " 2 60 5")
    tree.parent.zone_file("example.").write_text(moved)
    run(*tree.parent.reload_command("example."))
    wait_for("the parent has moved it", lambda: tree.parent.serial("example.") == 2)
    for way in ways:
        assert way.discover("moving.example").found == (Server(tree.other.address, 53, "ns.provider.test"),)


def test_dead_and_lame_parents(tree: Tree) -> None:
    """A resolver that knows three servers of the parent; the sandbox's server plays it."""
    hosts = {"dead": tree.dead, "lame": tree.root.address, "ns": tree.parent.address}
    lines = [line for host, address in hosts.items() for line in (f"@ NS {host}", f"{host} A {address}")]
    known = read(Source("known", zone_file(*lines)), names.absolute("example"))
    zone = names.absolute("voice.example")
    with NameServer([known]) as resolver:
        finder = Resolver([resolver.address], lambda: OPTIONS)
        assert len(discover(zone, finder, OPTIONS).found) == 1
        tree.parent.freeze()
        found = discover(zone, finder, Options(timeouts=(0.2,), rate=None))
        tree.parent.thaw()
    assert found.found == ()
    for words in ("dead.example (", "nothing listens", "not authoritative (lame)", "no answer in 1 tries"):
        assert words in found.unknown[0]


def test_addresses(tree: Tree, way: Way) -> None:
    v4, v6 = bytes((198, 51, 100, 10)), bytes.fromhex("20010db8" + "00" * 11 + "10")
    both = Addresses(((rr.A, v4), (rr.AAAA, v6)))

    def of(host: str, options: Options = OPTIONS) -> Addresses:
        return way.finder(options).addresses([names.absolute(host)])[names.absolute(host)]

    assert of("edge.example") == both
    assert of("alias.example") == both
    assert of("away.example") == Addresses(((rr.A, bytes((198, 51, 100, 20))),))
    assert of("nowhere.example") == Addresses(())
    tree.other.freeze()
    unknown = of("new.provider.test", Options(timeouts=(0.3,), rate=None)).unknown
    tree.other.thaw()
    assert "SERVFAIL" in unknown or "no answer" in unknown


def test_configured_hosts(tree: Tree, way: Way) -> None:
    texts = ["ns1.voice.example:5353", tree.other.where, "nowhere.example"]
    found = configured(texts, way.finder())
    assert found.found == (Server(tree.child.address, 5353, "ns1.voice.example"), Server(tree.other.address, 53))
    assert found.unknown == ("nowhere.example: it has no address",)
