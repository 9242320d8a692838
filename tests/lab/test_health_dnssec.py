"""DNSSEC as health sees it: signed zones with every fault on real servers, and what unbound says of the same zones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Server
from realmkit.health.checks import dnssec as judge
from realmkit.health.observe import dnssec as observe
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.dnssec import SecTask
from tests.lab.servers import Knot, Named, Nsd, Unbound
from tests.lab.signing import Signed, SignedKnot, SignedNamed, Validator, ds_of, sign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realmkit.dns.findings import Finding
    from realmkit.health.seen.dnssec import SecSeen
    from tests.lab.server import Authoritative
    from tests.lab.topology import Lab

BODY = "acme A 198.51.100.10\n*.s A 198.51.100.20\nedge A 198.51.100.10\n"


def zone_file(*lines: str) -> str:
    return "\n".join(["$TTL 3600", "@ SOA ns1.example. h.example. 1 60 5 3600 60", "@ NS ns1.example.", *lines]) + "\n"


@dataclass(frozen=True)
class Tree:
    """An unsigned root, a signed `example.`, and its children; a resolver, and one that validates.

    Attributes:
        children: which servers serve each child.
        anchor: the DS rdata of `example.`.
    """

    children: dict[str, tuple[Authoritative, ...]]
    anchor: str
    parent: SignedKnot
    resolver: Unbound
    validator: Validator
    dead: str

    def task(self, label: str, **more: object) -> SecTask:
        zone = names.absolute(f"{label}.example")
        servers = tuple(Server(one.address) for one in self.children[label])
        wanted = ((names.from_text("acme", zone), rr.A), (names.from_text("x.y.s", zone), rr.A))
        return SecTask(zone, servers, wanted, **more)  # type: ignore[arg-type]

    def surroundings(self, **more: object) -> Surroundings:
        there = Surroundings(SystemClock(), Options(timeouts=(0.4, 2.0), rate=None), (self.resolver.where,))
        return structs.replace(there, **more)

    def look(self, *tasks: SecTask) -> list[SecSeen]:
        return observe.look(tasks, self.surroundings(), {names.absolute("example"): (self.anchor,)})


def findings(seen: SecSeen) -> list[Finding]:
    checks = (judge.chain, judge.expiry, judge.dangling_ds, judge.move_with_ds)
    return [finding for check in checks for finding in check(seen)]


def keys(seen: SecSeen) -> set[tuple[str, str, str]]:
    """Id, level and subject of every finding."""
    return {(one.id, one.level, one.subject) for one in findings(seen)}


@pytest.fixture(scope="module")
def tree(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    with lab.namespace.inside(), lab.guest() as own:
        yield plant(own, tmp_path_factory.mktemp("signing"))


def plant(own: Lab, directory: Path) -> Tree:
    nsd, knot, bind = own.start(Nsd), own.start(SignedKnot), own.start(SignedNamed)
    static = signed_by_hand(directory)
    ds = {label: one.ds for label, one in static.items()}
    other = own.start(Named)
    children: dict[str, tuple[Authoritative, ...]] = dict.fromkeys(static, (nsd,))
    plain = own.start(Knot)
    children["thin"] = (plain,)
    for label, one in static.items():
        children[label][0].add_zone(f"{label}.example.", one.text)
    root, parent = own.start(Named), own.start(SignedKnot, nsec3=True)
    below = ["deep NS ns1.example.", f"deep DS {static['deep.knot'].ds}", "open NS ns1.example."]
    nsd.add_zone("open.knot.example.", zone_file(BODY))
    children["open.knot"] = (nsd,)
    for label, server in {"knot": knot, "bind": bind, "inner": parent}.items():
        server.add_zone(f"{label}.example.", zone_file(BODY, *(below if label == "knot" else ())))
        ds[label], children[label] = ds_of(server, f"{label}.example."), (server,)
    for label in ("plain", "keyless", "nowhere", "a.b"):
        nsd.add_zone(f"{label}.example.", zone_file(BODY))
        children[label] = (nsd,)
    other.add_zone("halves.example.", static["expired"].text.replace("expired.example.", "halves.example."))
    twin = sign(directory / "twin", "torn.example.", zone_file(BODY))
    other.add_zone("torn.example.", twin.text)
    ds["torn"] += "\ntorn DS " + twin.ds
    children |= {"halves": (nsd, other), "torn": (nsd, other)}
    ds["wrong"] = ds["keyless"] = ds["good"]
    tag, algorithm, _, digest = ds["strange"].split()
    ds["strange"] = f"{tag} {algorithm} 3 {digest}"
    ds["double"] += "\ndouble DS " + ds["good"]
    ds["mixed"] += "\nmixed DS " + ds["good"].replace(" 13 2 ", " 8 2 ")
    hosts = {"ns1": nsd, "ns2": knot, "ns3": bind, "ns4": other, "ns5": plain, "ns": parent}
    lines = delegations(hosts, children, ds)
    glue = f"ns.root.example. A {root.address}\nexample. NS ns.example.\nns.example. A {parent.address}"
    root.add_zone(".", f"$TTL 3600\n@ SOA ns.example. h.example. 1 60 5 3600 60\n@ NS ns.root.example.\n{glue}\n")
    own_lines = ("@ NS ns", f"ns.root A {root.address}")
    parent.add_zone("example.", zone_file(*own_lines, *lines).replace("@ NS ns1.example.\n", ""))
    anchor = ds_of(parent, "example.")
    validator = own.start(Validator, root=root, anchors=[f"example. DS {anchor}"])
    return Tree(children, anchor, parent, own.start(Unbound, root=root), validator, own.address())


def delegations(
    hosts: dict[str, Authoritative], children: dict[str, tuple[Authoritative, ...]], ds: dict[str, str]
) -> list[str]:
    """What `example.` says of its children, but for those that lie deeper or that it leaves out."""
    lines = [f"{host} A {server.address}" for host, server in hosts.items()]
    for label in children.keys() - {"nowhere", "deep.knot", "open.knot"}:
        lines += [f"{label} NS {host}" for host, server in hosts.items() if server in children[label]]
    return lines + [f"{label} DS {text}" for label, text in ds.items() if label != "deep.knot"]


def signed_by_hand(directory: Path) -> dict[str, Signed]:
    """Zones signed by BIND's tools, by label; some are spoiled afterwards."""

    def make(label: str, **how: object) -> Signed:
        return sign(directory / label, f"{label}.example.", zone_file(BODY), **how)  # type: ignore[arg-type]

    made = {label: make(label) for label in ("wrong", "strange", "double", "mixed", "halves", "torn", "deep.knot")}
    made |= {
        "good": make("good", nsec3=True),
        "soon": make("soon", end="now+2d"),
        "early": make("early", start="now+6d"),
    }
    made["expired"] = make("expired", end="now-1d")
    spoiled = make("tampered")
    made["tampered"] = Signed(re.sub(r"(acme.*\sA\s+)198.51.100.10", r"\g<1>198.51.100.66", spoiled.text), spoiled.ds)
    for label in ("bare", "thin"):
        whole = make(label)
        lines = [line for line in whole.text.splitlines() if not re.search(r"\sNSEC\s", line)]
        made[label] = Signed("\n".join(lines) + "\n", whole.ds)
    return made


def told(tree: Tree, *labels: str) -> list[set[tuple[str, str, str]]]:
    return [keys(seen) for seen in tree.look(*map(tree.task, labels))]


def test_signed_and_unsigned_zones_are_fine(tree: Tree) -> None:
    """NSEC and NSEC3, signed by hand, by knot and by named; on the parent's own server, and below another zone."""
    signed = ("good", "knot", "bind", "double", "inner", "deep.knot")
    unsigned = {"plain": "insecure", "a.b": "insecure", "open.knot": "insecure", "nowhere": "undelegated"}
    seen = tree.look(*map(tree.task, [*signed, *unsigned]))
    assert [one.trust for one in seen] == ["secure"] * len(signed) + list(unsigned.values())
    assert [findings(one) for one in seen] == [[]] * len(seen)
    for one in seen[: len(signed)]:
        assert [there.state for there in one.sets] == ["valid"] * 4
        assert one.sets[0].expires > one.at  # type: ignore[operator]


def test_a_zone_on_the_way_that_is_none_of_ours_is_found_by_itself(tree: Tree) -> None:
    """`deep.knot.example` alone: the servers of `knot.example` are asked of its parent, and its keys of them."""
    deep, open_zone = tree.look(tree.task("deep.knot"), tree.task("open.knot"))
    assert (deep.trust, open_zone.trust) == ("secure", "insecure")
    assert [there.state for there in deep.sets] == ["valid"] * 4


def test_a_dead_server_of_a_zone_on_the_way_hides_nothing(tree: Tree) -> None:
    above = structs.replace(tree.task("knot"), servers=(Server(tree.dead), *tree.task("knot").servers))
    seen_above, deep = tree.look(above, tree.task("deep.knot"))
    assert (deep.trust, findings(deep)) == ("secure", [])
    assert {one.server for one in findings(seen_above)} == {tree.dead}


def test_a_wildcards_answer_needs_its_proof(tree: Tree) -> None:
    """From a zone whose NSEC records got lost, NSD and Knot answer with a signature and no proof."""
    for label in ("bare", "thin"):
        (seen,) = tree.look(tree.task(label))
        assert [one.state for one in seen.sets] == ["valid", "valid", "valid", "unproven"]
        assert keys(seen) == {("SEC01", "error", f"x.y.s.{label}.example. A")}
    good = tree.task("good")
    star = structs.replace(good, wanted=((names.absolute("*.s.good.example"), rr.A), good.wanted[1]))
    assert [one.state for one in tree.look(star)[0].sets] == ["valid"] * 4


def test_a_ds_without_its_key_breaks_the_chain(tree: Tree) -> None:
    for label, zone in (("wrong", "wrong.example."), ("keyless", "keyless.example.")):
        assert told(tree, label) == [{("SEC01", "error", f"{zone} DNSKEY"), ("SEC03", "error", zone)}]
    (broken,) = [one for one in findings(tree.look(tree.task("keyless"))[0]) if one.id == "SEC03"]
    assert (broken.seen, broken.server) == ("no DNSKEY", "")


def test_a_ds_of_an_algorithm_without_a_key_is_a_warning_and_a_second_ds_is_none(tree: Tree) -> None:
    assert told(tree, "mixed", "double") == [{("SEC03", "warning", "mixed.example.")}, set()]


def test_what_can_not_be_verified_is_unknown_and_not_broken(tree: Tree) -> None:
    assert told(tree, "strange") == [{("SEC01", "unknown", "strange.example. DNSKEY")}]


def test_signatures_that_end_soon_are_a_warning_and_those_that_ended_an_error(tree: Tree) -> None:
    soon, expired, early = told(tree, "soon", "expired", "early")
    assert soon == {("SEC02", "warning", "soon.example.")}
    assert expired == {("SEC01", "error", "expired.example. DNSKEY"), ("SEC02", "error", "expired.example.")}
    assert early == {("SEC01", "error", "early.example. DNSKEY")}


def test_an_answer_that_was_changed_after_signing_is_broken(tree: Tree) -> None:
    assert told(tree, "tampered") == [{("SEC01", "error", "acme.tampered.example. A")}]


def test_the_one_server_with_other_signatures_is_named(tree: Tree) -> None:
    found = findings(tree.look(tree.task("halves"))[0])
    assert {one.server for one in found} == {tree.children["halves"][1].address}
    assert {one.id for one in found} == {"SEC01", "SEC03"}


def test_two_signers_that_do_not_know_each_others_keys_are_named(tree: Tree) -> None:
    """Each is right by its own DS; a resolver that has the keys of one and an answer of the other fails."""
    found = findings(tree.look(tree.task("torn"))[0])
    addresses = {one.address for one in tree.children["torn"]}
    assert {(one.id, one.subject) for one in found} == {("SEC01", "torn.example. SOA")}
    assert {one.server for one in found} == addresses


def test_servers_that_keep_silent_are_unknown(tree: Tree) -> None:
    task = structs.replace(tree.task("good"), servers=(Server(tree.dead), tree.task("good").servers[0]))
    found = findings(tree.look(task)[0])
    assert {(one.id, one.level, one.server) for one in found} == {
        ("SEC01", "unknown", tree.dead), ("SEC03", "unknown", tree.dead),
    }  # fmt: skip


def test_a_way_down_that_can_not_be_walked_is_unknown(tree: Tree) -> None:
    """The servers of the zone above can't be found; and from the world's root the lab's root is not signed at all."""
    anchors = {names.absolute("example"): (tree.anchor,)}
    surroundings = tree.surroundings(resolvers=(tree.dead,))
    task = tree.task("good", move_planned=True)
    (seen,) = observe.look([task], surroundings, anchors)
    assert keys(seen) == {("SEC01", "unknown", "good.example."), ("MIG05", "unknown", "good.example.")}
    (seen,) = observe.look([tree.task("soon")], surroundings, anchors)
    assert keys(seen) == {("SEC01", "unknown", "soon.example."), ("SEC02", "warning", "soon.example.")}
    (seen,) = observe.look([task], tree.surroundings())
    assert seen.trust == "broken"
    assert "at the DNSKEY set of .: the DS set has no DNSKEY to match" in seen.words
    assert keys(seen) == {("SEC01", "error", "good.example."), ("MIG05", "unknown", "good.example.")}
    (seen,) = observe.look([task], tree.surroundings(until=0.0), anchors)
    assert ("SEC01", "unknown", "good.example.") in keys(seen)


def test_an_anchor_that_does_not_fit_breaks_all_below_it_and_one_at_the_zone_itself_counts(tree: Tree) -> None:
    key = next(iter(tree.parent.answer("example.", "DNSKEY")))
    task = tree.task("good")
    for anchors, trust in (
        ({"example": key}, "secure"),
        ({"example": "1 13 2 " + "00" * 32}, "broken"),
        ({"good.example": "1 13 2 " + "00" * 32, "example": tree.anchor}, "secure"),
    ):
        (seen,) = observe.look([task], tree.surroundings(), {names.absolute(zone): (a,) for zone, a in anchors.items()})
        assert seen.trust == trust
        assert bool(keys(seen)) == ("1 13 2" in str(anchors))


def test_a_zone_that_moves_has_no_ds_and_its_old_ds_is_forgotten(tree: Tree) -> None:
    planned = {"move_planned": True}
    now = int(SystemClock().now().timestamp())
    tasks = [
        tree.task("good", **planned), tree.task("good"), tree.task("plain", **planned),
        tree.task("plain", **planned, ds_gone_since=now - 3000, ds_ttl=3600),
        tree.task("plain", **planned, ds_gone_since=now - 4000, ds_ttl=3600),
        tree.task("plain", **planned, ds_gone_since=now - 4000),
    ]  # fmt: skip
    seen = tree.look(*tasks)
    assert seen[0].ds_ttl == 3600
    told = [[(one.id, one.level, one.subject) for one in findings(there)] for there in seen]
    warning = [("MIG05", "warning", "plain.example.")]
    assert told == [[("MIG05", "warning", "good.example.")], [], [], warning, [], warning]


def test_unbound_comes_to_the_same_verdict_on_every_zone(tree: Tree) -> None:
    """SERVFAIL where we say broken, AD where we say nothing of a signed zone, neither where it is not judged."""
    labels = [label for label in tree.children if label not in ("halves", "torn")]  # it depends on the server it takes
    seen = tree.look(*map(tree.task, labels))
    verdicts = {}
    for label, one in zip(labels, seen, strict=True):
        levels = {finding.level for finding in judge.chain(one)}
        ours = "bogus" if "error" in levels else "secure" if one.trust == "secure" and not levels else "insecure"
        verdicts[label] = (ours, unbounds_verdict(tree, one))
    assert {ours for ours, _ in verdicts.values()} == {"bogus", "secure", "insecure"}
    # It gives no AD to a wildcard's answer whose proof opts out (RFC 5155 section 9.2); that is not broken either.
    assert {label: pair for label, pair in verdicts.items() if len(set(pair)) > 1} == {"inner": ("secure", "insecure")}


def unbounds_verdict(tree: Tree, seen: SecSeen) -> str:
    """The worst that it says of the sets that were looked at."""
    found = set()
    for name, kind in ((seen.task.zone, rr.DNSKEY), (seen.task.zone, rr.SOA), *seen.task.wanted):
        question = dns.message.make_query(names.to_text(name), rr.type_to_text(kind), want_dnssec=True)
        answer = dns.query.udp_with_fallback(question, tree.validator.address, timeout=5)[0]
        secure = "secure" if answer.flags & dns.flags.AD else "insecure"
        found.add("bogus" if answer.rcode() == dns.rcode.SERVFAIL else secure)
    return min(found, key=("bogus", "insecure", "secure").index)
