"""Finding the way from the root: as unbound finds it, believing nobody beyond his zone, and never without an end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.iteration import ROOT_SERVERS, Iterator, Ways
from realmkit.dns.asking.query import Options
from realmkit.dns.asking.resolving import Addresses, Resolver
from realmkit.errors import InputError
from tests.lab.proxy import Proxy
from tests.lab.servers import Knot, Named, Unbound
from tests.lab.zoneworld import over_tcp
from tests.unit.faulty import Faulty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Iterator as Yields

    from realmkit.dns.wire import Message
    from tests.lab.topology import Lab

FAST = Options(timeouts=(0.4, 1.0), rate=None)
HINTS = Path("/usr/share/dns/root.hints")


class World(NamedTuple):
    """A root with `example.` and `test.`, zones below both, and a resolver that begins at the same root.

    Attributes:
        evil: address of the servers of `evil.example.` and what hangs on it, which a test brings along.
        dead: where nobody listens.
    """

    root: Named
    example: Knot
    test: Knot
    child: Named
    resolver: Unbound
    evil: str
    dead: str

    def finder(self, *roots: str, options: Options = FAST) -> Iterator:
        return Iterator(roots or [self.root.where], lambda: options)

    def address(self, host: str) -> Addresses:
        name = names.absolute(host)
        return self.finder().addresses([name])[name]


def zone(*lines: str, soa: str = "ns h") -> str:
    return "\n".join(["$TTL 3600", f"@ SOA {soa} 1 60 5 3600 60", *lines, ""])


@pytest.fixture(scope="module")
def world(lab: Lab) -> Yields[World]:
    with lab.namespace.inside(), lab.guest() as own:
        root, example, test, child = own.start(Named), own.start(Knot), own.start(Knot), own.start(Named)
        evil, dead = own.address(), own.address()
        root.add_zone(".", zone(
            "@ NS ns.root.example.", f"ns.root.example. A {root.address}", "example. NS ns.example.",
            f"ns.example. A {example.address}", "test. NS ns.test.", f"ns.test. A {test.address}",
            soa="ns.root.example. h.example.",
        ))  # fmt: skip
        example.add_zone("example.", zone(
            "@ NS ns", f"ns A {example.address}", f"ns.root A {root.address}", "host A 198.51.100.1",
            "host AAAA 2001:db8::1", "@ MX 10 host", "alias CNAME host", "over CNAME www.child.test.",
            "gone CNAME nowhere.child.test.", "*.wild A 198.51.100.2", "wild TXT x", "loop CNAME pool",
            "pool CNAME loop",
            # glue; without, in another tree; a dead one beside; the whole zone served by what needs itself
            "child NS ns.child", f"ns.child A {child.address}", "bare NS ns1.child.test.",
            "half NS dead", f"dead A {dead}", "half NS ns1.child.test.", "lame NS ns", "lame NS ns1.child.test.",
            "self NS ns.other.test.", "evil NS ns.evil", f"ns.evil A {evil}",
            "deep NS ns.child", "far NS ns1.far.test.",
        ))  # fmt: skip
        test.add_zone("test.", zone(
            "@ NS ns", f"ns A {test.address}", "child NS ns1.child", f"ns1.child A {child.address}",
            "other NS ns.self.example.", "far NS ns1.far", f"ns1.far A {child.address}",
        ))  # fmt: skip
        served = {
            "child.example.": ("@ NS ns", f"ns A {child.address}", "www A 198.51.100.3", "x.deep A 198.51.100.4"),
            "child.test.": ("@ NS ns1", f"ns1 A {child.address}", "www A 198.51.100.5", "www AAAA 2001:db8::5"),
            "far.test.": ("@ NS ns1", f"ns1 A {child.address}"),
            **{
                f"{one}.example.": ("@ NS ns1.child.test.", "www A 198.51.100.6", "@ MX 5 www")
                for one in ("bare", "half", "lame", "far")
            },
        }
        for apex, lines in served.items():
            child.add_zone(apex, zone(*lines, soa="ns1.child.test. h"))
        yield World(root, example, test, child, own.start(Unbound, root=root), evil, dead)


# --- as a resolver finds it --------------------------------------------------------------------------------------

QUESTIONS = [
    *((host, kind) for host in (
        "host.example", "alias.example", "over.example", "gone.example", "x.wild.example", "wild.example",
        "nowhere.example", "a.b.nowhere.example", "www.child.example", "x.deep.child.example", "nothing.child.example",
        "www.bare.example", "www.half.example", "www.far.example", "www.child.test",
        "ns.root.example", "nowhere", "a.nowhere",
    ) for kind in ("A", "AAAA")),
    *((apex, kind) for apex in ("example", "test", "child.example", "bare.example", "half.example", "child.test")
      for kind in ("SOA", "NS", "MX", "DS", "TXT")),
    (".", "NS"), (".", "SOA"), ("wild.example", "TXT"),
]  # fmt: skip


def told(message: Message | str) -> object:
    """What an answer says to whoever asked: code and answer, or that it is none."""
    if isinstance(message, str):
        return "none"
    return message.rcode, frozenset((one.name, one.type, one.rdata) for one in message.answer)


def followed(finder: Iterator, host: str, kind: int) -> object:
    """Along aliases, as a resolver goes on by itself."""
    name, found, code = names.absolute(host), set(), 0
    for _ in range(4):
        message = finder.ask([(name, kind)])[name, kind]
        if isinstance(message, str):
            return "none"
        code = message.rcode
        found |= {(one.name, one.type, one.rdata) for one in message.answer}
        aliases = {one.name: one.rdata for one in message.answer if one.type == rr.CNAME}
        end = name
        while end in aliases:
            end = aliases[end]
        if end == name or code or message.authority or any(one[:2] == (end, kind) for one in found):
            break
        name = end
    return code, frozenset(found)


@pytest.mark.parametrize(("host", "kind"), QUESTIONS)
def test_as_unbound_finds_it(world: World, host: str, kind: str) -> None:
    answer = world.resolver.query(dns.name.from_text(host).to_text(), kind)
    expected = {
        (names.from_text(rrset.name.to_text().lower()), int(rrset.rdtype), one.to_digestable())
        for rrset in answer.answer for one in rrset
    }  # fmt: skip
    number = int(dns.rdatatype.from_text(kind))
    assert followed(world.finder(), host, number) == (int(answer.rcode()), frozenset(expected))


def test_all_at_once_is_the_same_as_one_by_one(world: World) -> None:
    keys = [(names.absolute(host), int(dns.rdatatype.from_text(kind))) for host, kind in QUESTIONS if host != "."]
    together = world.finder().ask(keys)
    assert {key: told(answer) for key, answer in together.items()} == {
        key: told(world.finder().ask([key])[key]) for key in keys
    }


def test_dead_roots_are_passed_over(world: World) -> None:
    finder = world.finder(f"{world.dead}:53", "127.0.0.1:5399", world.root.where)
    assert told(finder.ask([(names.absolute("host.example"), rr.MX)])[names.absolute("host.example"), rr.MX]) == (
        0, frozenset()
    )  # fmt: skip


def test_where_no_root_answers_nothing_is_known(world: World) -> None:
    host = names.absolute("host.example")
    found = world.finder(f"{world.dead}:53", options=Options(timeouts=(0.1,), rate=None)).addresses([host])[host]
    assert found.addresses == ()
    assert "the servers of . give no delegation" in found.unknown
    nowhere = Iterator(["2001:db8::53"], lambda: FAST).addresses([host])[host]
    assert "there is no route to any of its servers" in nowhere.unknown


def test_once_no_root_is_heard_another_may_be_asked_instead(world: World) -> None:
    """The root is asked in vain once, not for every name."""
    host, other = names.absolute("host.example"), names.absolute("www.child.test")
    ways = Ways()
    resolver = Resolver([world.resolver.where], lambda: FAST)
    finder = Iterator([f"{world.dead}:53"], lambda: FAST, ways, resolver)
    assert [len(one.addresses) for one in finder.addresses([host]).values()] == [2]
    assert ways.rootless.startswith("no way down from the root: the servers of . give no delegation")
    sent = ways.tally.sent
    assert [len(one.addresses) for one in finder.addresses([other]).values()] == [2]
    assert ways.tally.sent == sent


def test_a_root_is_given_by_its_address() -> None:
    with pytest.raises(InputError, match="must be given by its address"):
        Iterator(["a.root-servers.net"], lambda: FAST)


def test_a_frozen_zone_is_unknown_and_never_missing(world: World) -> None:
    world.child.freeze()
    try:
        finder = world.finder(options=Options(timeouts=(0.1, 0.1), rate=None))
        found = finder.addresses([names.absolute("www.child.example"), names.absolute("host.example")])
    finally:
        world.child.thaw()
    assert found[names.absolute("www.child.example")].addresses == ()
    assert "no answer" in found[names.absolute("www.child.example")].unknown
    assert len(found[names.absolute("host.example")].addresses) == 2
    assert found[names.absolute("host.example")].unknown == ""


def test_a_lame_server_beside_a_good_one_is_passed_over(world: World) -> None:
    """`lame.example` is delegated to the server of `example` too, which does not serve it."""
    assert world.address("www.lame.example") == Addresses(((rr.A, bytes((198, 51, 100, 6))),))


def test_ways_are_remembered(world: World) -> None:
    """The second question about a zone goes to its servers at once."""
    ways = Ways()
    first, second = names.absolute("www.child.example"), names.absolute("x.deep.child.example")
    Iterator([world.root.where], lambda: FAST, ways).ask([(first, rr.A)])
    before = ways.tally.sent
    found = Iterator([f"{world.dead}:53"], lambda: FAST, ways).ask([(second, rr.A)])
    assert told(found[second, rr.A]) == (0, frozenset({(second, rr.A, bytes((198, 51, 100, 4)))}))
    assert ways.tally.sent == before + 1


def test_the_internets_root_is_debians() -> None:
    """Debian's dns-root-data is made from what IANA publishes."""
    if not HINTS.exists():
        pytest.skip("the package dns-root-data is not installed")
    lines = [line.split() for line in HINTS.read_text().splitlines() if not line.startswith(";")]
    assert sorted(ROOT_SERVERS) == sorted(words[3].lower() for words in lines if words[2] in ("A", "AAAA"))


def test_many_names_do_not_flood_the_root(world: World) -> None:
    """One asks the root and the zone below for all; at their own zone they are asked for together."""
    ways = Ways()
    many = [(names.absolute(f"n{number}.child.example"), rr.A) for number in range(300)]
    with Proxy((world.root.address, 53), world.root.address) as root:
        found = Iterator([f"{root.address}:{root.port}"], lambda: FAST, ways).ask(many)
        assert len(root.requests) == 1
    assert {told(answer) for answer in found.values()} == {(3, frozenset())}
    assert ways.tally.sent == 1 + 1 + 300


# --- with an end -------------------------------------------------------------------------------------------------


def test_name_servers_that_need_one_another_are_given_up(world: World) -> None:
    """`self.example` is served by a host of `other.test`, which a host of `self.example` serves."""
    found = world.address("www.self.example")
    assert found.addresses == ()
    assert "need one another to be found" in found.unknown


def test_aliases_in_a_circle_have_an_end(world: World) -> None:
    assert "round in a circle" in world.address("loop.example").unknown


class Evil(Faulty):
    """The server of `evil.example.`, on port 53; it fills in what it likes, and counts who asks what.

    Args:
        world: where it stands.
        fill: given the question and the answer to it.
    """

    def __init__(self, world: World, fill: Callable[[dns.name.Name, dns.message.Message], None]) -> None:
        self.asked: Counter[str] = Counter()
        self._fill = fill
        super().__init__(self._handle, address=world.evil, port=53)

    def _handle(self, request: bytes, _number: int) -> Iterable[bytes]:
        assert not over_tcp(request)
        query = dns.message.from_wire(request)
        self.asked[query.question[0].name.to_text().lower()] += 1
        response = dns.message.make_response(query)
        self._fill(query.question[0].name, response)
        return (response.to_wire(max_size=65535),)


def refers(response: dns.message.Message, cut: str, *hosts: str) -> None:
    response.authority.append(dns.rrset.from_text(cut, 60, "IN", "NS", *hosts))


def test_a_server_that_refers_upward_is_lame(world: World) -> None:
    with Evil(world, lambda _name, response: refers(response, "example.", "ns.example.")):
        found = world.address("www.evil.example")
    assert found.addresses == ()
    assert "not authoritative (lame)" in found.unknown


def test_referrals_without_end_have_one(world: World) -> None:
    """Each answer refers one label further down, to the same server."""
    depth = Counter[str]()

    def deeper(name: dns.name.Name, response: dns.message.Message) -> None:
        depth["cuts"] += 1
        labels = name.labels[-(3 + depth["cuts"]) :]
        cut = dns.name.Name(labels).to_text()
        refers(response, cut, f"ns.{cut}")
        response.additional.append(dns.rrset.from_text(f"ns.{cut}", 60, "IN", "A", world.evil))

    host = names.absolute(".".join("abcdefghijklmnop") + ".evil.example")
    with Evil(world, deeper) as evil:
        found = world.finder().ask([(host, rr.A)])[host, rr.A]
    assert isinstance(found, str)
    assert "leads through more than 8 referrals" in found
    assert evil.asked.total() < 30


def test_many_hosts_without_glue_are_not_all_looked_up(world: World) -> None:
    """A referral to a hundred hosts of a victim's: a handful of them is asked for."""

    def bomb(name: dns.name.Name, response: dns.message.Message) -> None:
        if name == dns.name.from_text("www.evil.example."):
            refers(response, "www.evil.example.", *(f"n{number}.victim.evil.example." for number in range(100)))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
            response.flags |= dns.flags.AA

    with Evil(world, bomb) as evil:
        found = world.address("www.evil.example")
    assert found.addresses == ()
    assert len(evil.asked) <= 4
    assert evil.asked.total() <= 10


# --- believed only as far as he may speak ------------------------------------------------------------------------


def lies(name: dns.name.Name, response: dns.message.Message) -> None:
    """An alias to a host of others, with an address for it; and glue for a host of others."""
    response.flags |= dns.flags.AA
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "host.example."))
    response.answer.append(dns.rrset.from_text("host.example.", 60, "IN", "A", "203.0.113.66"))
    response.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.evil.example."))
    response.additional.append(dns.rrset.from_text("ns.example.", 60, "IN", "A", "203.0.113.66"))
    response.set_rcode(dns.rcode.NXDOMAIN)


def test_what_a_server_says_of_others_is_not_believed(world: World) -> None:
    with Evil(world, lies):
        finder = world.finder()
        name = names.absolute("www.evil.example")
        answer = finder.ask([(name, rr.A)])[name, rr.A]
        found = finder.addresses([name])[name]
        again = finder.addresses([names.absolute("host.example")])[names.absolute("host.example")]
    assert not isinstance(answer, str)
    assert (answer.rcode, answer.authority, answer.additional) == (wire.NOERROR, [], [])
    assert [(one.name, one.type) for one in answer.answer] == [(name, rr.CNAME)]
    real = ((rr.A, bytes((198, 51, 100, 1))), (rr.AAAA, bytes.fromhex("20010db8" + "00" * 11 + "01")))
    assert found == again == Addresses(real)


def test_glue_for_others_is_not_believed(world: World) -> None:
    """`evil.example` refers below itself, to a host in another zone, and says where that is."""

    def misleads(name: dns.name.Name, response: dns.message.Message) -> None:
        refers(response, "www.evil.example.", "ns1.child.test.")
        response.additional.append(dns.rrset.from_text("ns1.child.test.", 60, "IN", "A", world.evil))

    with Evil(world, misleads) as evil:
        world.address("www.evil.example")
    assert evil.asked["www.evil.example."] <= 2  # A and AAAA, and no second time as the server of the zone below


def test_who_answers_in_the_roots_place_is_no_root(world: World) -> None:
    """A box on the way that answers every question itself does so without authority; so does a resolver."""

    def intercepts(name: dns.name.Name, response: dns.message.Message) -> None:
        response.flags |= dns.flags.RA
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.66"))

    host = names.absolute("host.example")
    with Evil(world, intercepts):
        found = world.finder(f"{world.evil}:53").addresses([host])[host]
    assert found.addresses == ()
    assert "no way down from the root" in found.unknown
    assert "not authoritative (lame)" in found.unknown
    assert world.finder(world.resolver.where).addresses([host])[host].addresses == ()
