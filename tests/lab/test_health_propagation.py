"""What real resolvers remember, while a real zone changes beneath them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import dns.dnssec
import dns.name
import dns.zone
import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Server, Tally
from realmkit.dns.findings import Finding
from realmkit.dns.records import Key
from realmkit.health.checks import propagation
from realmkit.health.observe import resolvers
from realmkit.health.observe.realms import ask_keys
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.realm import RealmSeen
from realmkit.health.seen.resolvers import ResolverTask, resolver_tasks
from tests.lab.server import KEY, run
from tests.lab.servers import Named, PowerDns, Unbound
from tests.lab.topology import Lab

OPTIONS = Options(timeouts=(0.5, 2.0), rate=None)
NOBODY = "127.0.25.250"  # nobody listens there
CHECKS = (
    propagation.older_value, propagation.remembered_absence, propagation.resolver_fails,
    propagation.nonterminal_denied, propagation.rewritten, propagation.resolvers_differ,
)  # fmt: skip
ZONE = """$TTL 300
@ SOA ns1.lab.example. hostmaster.lab.example. 1 60 5 3600 90
@ NS ns1.lab.example.
acme A 198.51.100.10
acme A 198.51.100.11
_sip._udp.acme SRV 10 50 5060 edge.example.net.
half TXT "somebody"
"""


BOGUS = "bogus.lab.example."  # the resolvers believe that it is signed


class Talkative(Unbound):
    """Validates, and says why it fails (RFC 8914)."""

    def configure(self) -> None:
        super().configure()
        path = self.directory / "unbound.conf"
        text = path.read_text().replace('"iterator"', '"validator iterator"')
        anchor = f"{BOGUS} 3600 IN DS 12345 13 2 {'ab' * 32}"
        path.write_text(
            text.replace("server:\n", f'server:\n  ede: yes\n  val-log-level: 2\n  trust-anchor: "{anchor}"\n', 1)
        )

    def tell(self, *words: str) -> None:
        """Give it a command."""
        run(*self.control, *words)


class World(NamedTuple):
    """One authoritative server, and three resolvers that ask it."""

    named: Named
    resolvers: tuple[Talkative, Talkative, Talkative]


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as own:
        first, second, third = (own.start(Talkative) for _ in range(3))
        yield World(own.start(Named), (first, second, third))


class Zone(NamedTuple):
    """A fresh zone on the authoritative server, for which the resolvers ask there."""

    world: World
    apex: str

    def update(self, *lines: str) -> None:
        """Change the zone; `add` and `delete` lines with names relative to it."""
        lines = tuple(
            f"update {words[0]} {words[1]}.{self.apex} {words[2]}" for words in (x.split(" ", 2) for x in lines)
        )
        key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
        script = [f"server {self.world.named.address}", f"zone {self.apex}", key, *lines, "send"]
        run("nsupdate", stdin="\n".join(script) + "\n")

    def key(self, host: str, kind: int = rr.A) -> Key:
        return names.absolute(f"{host}.{self.apex}"), kind

    def see(self, *keys: Key) -> RealmSeen:
        """A realm, as the authoritative server tells of it."""
        server = Server(self.world.named.address)
        sights = ask_keys([(server, *key) for key in keys], Surroundings(SystemClock(), OPTIONS))
        return RealmSeen(keys[0][0], names.absolute(self.apex), keys, (server,), sights, {}, {})

    def judge(self, *keys: Key, asked: Sequence[str] | None = None) -> list[Finding]:
        """What resolvers' memories of these keys come to; all three resolvers are asked unless others are named."""
        where = [one.address for one in self.world.resolvers] if asked is None else asked
        return judge(resolver_tasks([self.see(*keys)]), where)


def judge(tasks: list[ResolverTask], asked: Sequence[str]) -> list[Finding]:
    around = Surroundings(SystemClock(), OPTIONS, tuple(asked))
    return [found for seen in resolvers.look(tasks, around) for check in CHECKS for found in check(seen)]


def brief(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.id, one.level, one.server) for one in found]


@pytest.fixture
def zone(world: World, lab: Lab) -> Zone:
    apex = lab.zone_name("memory")
    world.named.add_zone(apex, ZONE)
    for resolver in world.resolvers:
        resolver.add_stub(apex, world.named)
    return Zone(world, apex)


def test_resolvers_that_give_what_is_served_are_quiet(zone: Zone) -> None:
    keys = zone.key("acme"), zone.key("_sip._udp.acme", rr.SRV), zone.key("acme", rr.MX)
    (task,) = resolver_tasks([zone.see(*keys)])
    assert set(task.published) == set(keys[:2])
    assert zone.judge(*keys) == []


def test_a_stale_resolver_is_named_until_it_is_flushed(zone: Zone) -> None:
    stale = zone.world.resolvers[0]
    stale.query(f"acme.{zone.apex}", "A")
    zone.update("delete acme A", "add acme 300 A 203.0.113.77")
    (found,) = zone.judge(zone.key("acme"))
    assert (found.id, found.level, found.server) == ("PRO01", "warning", stale.address)
    assert found.message == "1 of 3 resolvers give another value, this one among them"
    assert found.expected == "203.0.113.77"
    values, _, left = found.seen.rpartition(", ")
    assert values == "198.51.100.10 | 198.51.100.11"
    assert 200 < int(left.split()[0]) <= 300
    stale.tell("flush", f"acme.{zone.apex}")
    assert zone.judge(zone.key("acme")) == []


def test_a_remembered_absence_is_named_with_its_end(zone: Zone) -> None:
    early, other = zone.world.resolvers[:2]
    early.query(f"fresh.{zone.apex}", "A")
    other.query(f"half.{zone.apex}", "A")
    zone.update("add fresh 300 A 203.0.113.1", "add half 300 A 203.0.113.2")
    found = zone.judge(zone.key("fresh"), zone.key("half"))
    assert brief(found) == [("PRO02", "warning", early.address), ("PRO02", "warning", other.address)]
    for one, words in zip(found, ("NXDOMAIN", "no such type"), strict=True):
        what, _, left = one.seen.rpartition(", ")
        assert what == words
        assert 60 < int(left.split()[0]) <= 90  # the SOA's MINIMUM, which is lower than its TTL


def test_a_name_that_is_not_served_yet_is_not_asked_for_and_so_not_remembered(zone: Zone) -> None:
    assert zone.judge(zone.key("soon")) == []
    zone.update("add soon 300 A 203.0.113.1")
    assert zone.judge(zone.key("soon")) == []


def test_a_resolver_that_cannot_reach_the_servers_fails(zone: Zone) -> None:
    failing = zone.world.resolvers[2]
    failing.tell("stub_add", zone.apex, NOBODY)
    (found,) = zone.judge(zone.key("acme"))
    assert (found.id, found.level, found.server) == ("PRO03", "error", failing.address)
    assert found.seen == "SERVFAIL"
    failing.add_stub(zone.apex, zone.world.named)
    failing.tell("flush_zone", zone.apex)
    assert zone.judge(zone.key("acme")) == []


def signed(apex: str, text: str) -> str:
    """The zone, signed with a key of its own."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    record = dns.dnssec.make_dnskey(key.public_key(), "ECDSAP256SHA256", flags=257)
    zone = dns.zone.from_text(text, dns.name.from_text(apex), relativize=False)
    with zone.writer() as change:
        dns.dnssec.sign_zone(zone, change, keys=[(key, record)], add_dnskey=True, dnskey_ttl=300, lifetime=3600)
    return zone.to_text(relativize=False)


def test_a_resolver_says_why_it_fails(world: World) -> None:
    """The resolvers hold another key for the one that signs the zone."""
    world.named.add_zone(BOGUS, signed(BOGUS, ZONE))
    for resolver in world.resolvers[:2]:
        resolver.add_stub(BOGUS, world.named)
    bogus = Zone(world, BOGUS)
    found = bogus.judge(bogus.key("acme"), asked=[one.address for one in world.resolvers[:2]])
    assert [one.id for one in found] == ["PRO03", "PRO03"]
    assert all(one.seen.startswith(("SERVFAIL (DNSSEC bogus", "SERVFAIL (DNSKEY missing")) for one in found), found


def test_an_inside_address_is_split_horizon(zone: Zone) -> None:
    office = zone.world.resolvers[1]
    office.tell("local_data", f"acme.{zone.apex} 300 IN A 10.9.8.7")
    (found,) = zone.judge(zone.key("acme"))
    assert (found.id, found.level, found.server, found.seen) == ("PRO05", "notice", office.address, "10.9.8.7")
    office.tell("local_data_remove", f"acme.{zone.apex}")
    office.tell("local_zone_remove", f"acme.{zone.apex}")
    assert zone.judge(zone.key("acme")) == []


def test_resolvers_that_disagree_about_more_than_old_and_new(zone: Zone) -> None:
    first, second, _ = zone.world.resolvers
    first.query(f"acme.{zone.apex}", "A")
    zone.update("delete acme A", "add acme 300 A 203.0.113.1")
    second.query(f"acme.{zone.apex}", "A")
    zone.update("delete acme A", "add acme 300 A 203.0.113.2")
    found = zone.judge(zone.key("acme"))
    stale = [("PRO01", "warning", first.address), ("PRO01", "warning", second.address)]
    assert brief(found) == [*stale, ("PRO06", "notice", "")]
    assert found[-1].seen == "198.51.100.10 | 198.51.100.11 / 203.0.113.1"


def test_who_gives_no_answer_or_is_no_resolver_is_unknown_once(zone: Zone) -> None:
    keys = zone.key("acme"), zone.key("_sip._udp.acme", rr.SRV)
    here = zone.world.resolvers[0].address
    found = zone.judge(*keys, asked=[NOBODY, zone.world.named.address, here])
    assert brief(found) == [("PRO01", "unknown", NOBODY), ("PRO01", "unknown", zone.world.named.address)]
    assert {one.subject for one in found} == {zone.apex}
    assert "offers no recursion" in found[1].seen


@contextmanager
def frozen(resolver: Unbound) -> Iterator[None]:
    resolver.freeze()
    try:
        yield
    finally:
        resolver.thaw()


def test_a_frozen_resolver_is_unknown_and_the_others_are_still_judged(zone: Zone) -> None:
    first, second, _ = zone.world.resolvers
    first.query(f"acme.{zone.apex}", "A")
    zone.update("delete acme A", "add acme 300 A 203.0.113.1")
    with frozen(second):
        found = zone.judge(zone.key("acme"))
    assert sorted(brief(found)) == [("PRO01", "unknown", second.address), ("PRO01", "warning", first.address)]


def test_each_key_is_asked_once_of_each_resolver(zone: Zone) -> None:
    tally = Tally()
    tasks = resolver_tasks([zone.see(zone.key("acme")), zone.see(zone.key("acme"), zone.key("half", rr.TXT))])
    here = tuple(one.address for one in zone.world.resolvers)
    resolvers.look(tasks, Surroundings(SystemClock(), OPTIONS, here, tally=tally))
    assert tally.sent == 6


def test_a_server_that_denies_empty_nonterminals_is_named(own_lab: Lab, named: Named) -> None:
    """PowerDNS keeps them as rows of their own; a database that is filled by hand lacks those."""
    pdns = own_lab.start(PowerDns)
    apex = own_lab.zone_name("ent")
    for server in (pdns, named):
        server.add_zone(apex, ZONE)
    both = Server(named.address), Server(pdns.address)
    keys = [(names.absolute(f"_sip._udp.acme.{apex}"), rr.SRV)]
    around = Surroundings(SystemClock(), OPTIONS, (NOBODY,))

    def denied() -> list[tuple[str, str, str]]:
        sights = ask_keys([(server, *key) for server in both for key in keys], around)
        seen = RealmSeen(names.absolute(f"acme.{apex}"), names.absolute(apex), tuple(keys), both, sights, {}, {})
        found = [one for one in judge(resolver_tasks([seen]), around.resolvers) if one.level != "unknown"]
        return [(one.id, one.subject, one.server) for one in found]

    assert denied() == []
    run("sqlite3", str(pdns.directory / "pdns.sqlite3"), "delete from records where type is null")
    assert denied() == [("PRO04", f"_udp.acme.{apex}", pdns.address)]
