"""Certificates as health sees them: of SIPS endpoints on OpenSSL and Kamailio, of portals; and who may issue them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns.asking.query import Options, Server
from realmkit.errors import InputError
from realmkit.health.checks.caa import caa
from realmkit.health.checks.certificates import portal, sips
from realmkit.health.observe import caa as caa_observer
from realmkit.health.observe import tls as observe
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.caa import CaaTask
from realmkit.health.seen.tls import TlsTask, tls_tasks
from tests.lab.servers import Knot, PowerDns
from tests.lab.tls import Authority, OpenSsl, Pair, Portals, SecureKamailio
from tests.lab.tree import Tree, plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.health.seen.tls import TlsSeen
    from tests.lab.topology import Lab

PARENT = names.absolute("s.example.net")
PATIENCE = Surroundings(SystemClock(), Options(timeouts=(0.3, 1.0), rate=None), timeout=2.0)
Verdict = set[tuple[str, str, str]]


class Ca(NamedTuple):
    """The authority that is trusted, and one that is not."""

    ours: Authority
    other: Authority


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    directory = tmp_path_factory.mktemp("ca")
    return Ca(Authority(directory), Authority(directory, "Other"))


def realm(label: str) -> bytes:
    return names.from_text(label, PARENT)


def verdict(seen: list[TlsSeen]) -> Verdict:
    """Id, level and subject of every finding."""
    return {(f.id, f.level, f.subject) for one in seen for check in (sips, portal) for f in check(one)}


def look_at(lab: Lab, ca: Ca, pair: Pair, *labels: str, options: tuple[str, ...] = ()) -> Verdict:
    """What is said of realms at an `openssl s_server` of their own."""
    there = lab.start(OpenSsl, pair=pair, options=options)
    tasks = tls_tasks([(realm(label), [(there.address, there.port)]) for label in labels])
    return verdict(observe.look(tasks, PATIENCE, ca.ours.root))


def test_a_certificate_that_names_the_realm_is_fine(own_lab: Lab, ca: Ca) -> None:
    """By DNS name or by sip: URI (RFC 5922 section 7.1); neither user parts nor other schemes count."""
    dns_name, uri = ca.ours.issue("other.example.net", "acme.s.example.net"), ca.ours.issue("sip:ACME.s.example.net")
    assert look_at(own_lab, ca, dns_name, "acme") == set()
    assert look_at(own_lab, ca, uri, "acme") == set()
    wrong = ca.ours.issue("sip:bob@acme.s.example.net", "sips:acme.s.example.net")
    assert look_at(own_lab, ca, wrong, "acme") == {("SIP07", "error", "acme.s.example.net.")}


def test_a_certificate_of_the_edges_host_name_is_not_the_realms(own_lab: Lab, ca: Ca) -> None:
    edge = ca.ours.issue("edge.example.net", common="acme.s.example.net")
    assert look_at(own_lab, ca, edge, "acme") == {("SIP07", "error", "acme.s.example.net.")}


def test_what_only_lenient_phones_accept_is_a_warning(own_lab: Lab, ca: Ca) -> None:
    expected = {("SIP07", "warning", "acme.s.example.net.")}
    wildcard = look_at(own_lab, ca, ca.ours.issue("*.s.example.net"), "acme", "beta")
    assert wildcard == {("SIP07", "warning", "*.s.example.net.")}, "once for all of them"
    assert look_at(own_lab, ca, ca.ours.issue(common="acme.s.example.net"), "acme") == expected
    overruled = ca.ours.issue("acme.s.example.net", "sip:other.example.net")
    assert look_at(own_lab, ca, overruled, "acme") == expected
    deeper = ca.ours.issue("*.example.net")
    assert look_at(own_lab, ca, deeper, "acme") == {("SIP07", "error", "acme.s.example.net.")}


def test_expired_untrusted_incomplete_and_old(own_lab: Lab, ca: Ca) -> None:
    name, subject = "acme.s.example.net", "acme.s.example.net. certificate"
    assert look_at(own_lab, ca, ca.ours.issue(name, end=-1), "acme") == {("SIP07", "error", f"{subject} end")}
    assert look_at(own_lab, ca, ca.ours.issue(name, end=20), "acme") == set(), "a quarter of 50 days is not yet gone"
    assert look_at(own_lab, ca, ca.ours.issue(name, begin=-70, end=20), "acme") == {
        ("SIP07", "warning", f"{subject} end")
    }
    chain = {("SIP07", "error", f"{subject} chain")}
    assert look_at(own_lab, ca, ca.ours.issue(name, begin=1), "acme") == chain
    assert look_at(own_lab, ca, ca.ours.issue(name, whole=False), "acme") == chain
    assert look_at(own_lab, ca, ca.other.issue(name), "acme") == chain
    assert look_at(own_lab, ca, ca.other.issue(name, end=-1), "acme") == chain | {("SIP07", "error", f"{subject} end")}
    old = ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert look_at(own_lab, ca, ca.ours.issue(name), "acme", options=old) == {
        ("SIP07", "warning", "acme.s.example.net. TLS version")
    }


def test_a_dead_endpoint_is_unknown_once(own_lab: Lab, ca: Ca) -> None:
    """Nobody there; somebody who takes connections and says nothing; and no time at all."""
    silent = own_lab.start(OpenSsl, pair=ca.ours.issue("a.example"))
    silent.freeze()
    hurried = structs.replace(PATIENCE, timeout=0.2)
    for place, words in (
        ((own_lab.address(), 5061), "Connection refused"),
        ((silent.address, 5061), "no answer in time"),
    ):
        tasks = tls_tasks([(realm(label), [place]) for label in ("acme", "beta", "gamma")])
        seen = observe.look(tasks, hurried, ca.ours.root)
        assert verdict(seen) == {("SIP07", "unknown", "acme.s.example.net.")}
        assert [one.state for one in seen] == ["unknown", "not looked at", "not looked at"]
        assert seen[0].detail == words
    (seen_late,) = observe.look(tasks[:1], structs.replace(PATIENCE, until=0.0), ca.ours.root)
    assert (seen_late.state, seen_late.detail) == ("unknown", "the run had to end")


def test_a_port_that_speaks_no_tls(pdns: PowerDns, ca: Ca) -> None:
    """PowerDNS's API over plain HTTP. For a portal it is the fault; of phones' ports another check tells."""
    name = realm("acme")
    portal_task = TlsTask(pdns.address, pdns.api_port, name, (name,), "portal")
    seen = observe.look([portal_task], PATIENCE, ca.ours.root)
    assert (seen[0].state, verdict(seen)) == ("no tls", {("SCR07", "error", "acme.s.example.net.")})
    seen = observe.look(tls_tasks([(name, [(pdns.address, pdns.api_port)])]), PATIENCE, ca.ours.root)
    assert verdict(seen) == {("SIP07", "unknown", "acme.s.example.net.")}


def test_kamailio_with_one_certificate_for_all_its_realms(own_lab: Lab, ca: Ca) -> None:
    pair = ca.ours.issue("edge.example.net", "acme.s.example.net", "beta.s.example.net")
    edge = own_lab.start(SecureKamailio, pair=pair)
    tasks = tls_tasks([(realm(label), [(edge.address, 5061)]) for label in ("acme", "beta", "gamma")])
    seen = observe.look(tasks, PATIENCE, ca.ours.root)
    assert verdict(seen) == {("SIP07", "error", "gamma.s.example.net.")}
    assert [one.reused for one in seen] == [False, True, False]
    assert {one.version for one in seen} == {"TLSv1.3"}


def test_a_certificate_by_server_name(own_lab: Lab, ca: Ca) -> None:
    """Each realm is asked for by its own name, and gets its own certificate; a name that is not known is refused."""
    acme, beta = ca.ours.issue("acme.s.example.net"), ca.ours.issue("beta.s.example.net", by_root=True)
    for options, gamma in (((), "seen"), (("-servername_fatal",), "rejected")):
        there = own_lab.start(OpenSsl, pair=acme, named=beta, name="beta.s.example.net", options=options)
        tasks = tls_tasks([(realm(label), [(there.address, 5061)]) for label in ("beta", "gamma")])
        seen = observe.look(tasks, PATIENCE, ca.ours.root)
        assert [one.state for one in seen] == ["seen", gamma]
        assert verdict(seen) == {("SIP07", "error", "gamma.s.example.net.")}


def test_many_realms_at_one_edge_share_handshakes_and_take_turns(own_lab: Lab, ca: Ca) -> None:
    address = own_lab.address()
    labels = [f"r{number:02}" for number in range(30)]
    shared = ca.ours.issue(*(f"{label}.s.example.net" for label in labels[:20]))
    own = {f"{label}.s.example.net": ca.ours.issue(f"{label}.s.example.net") for label in labels[20:]}
    pairs = dict.fromkeys((f"{label}.s.example.net" for label in labels[:20]), shared) | own
    tasks = tls_tasks([(realm(label), [(address, 5061)]) for label in labels])
    with Portals(address, pairs, 5061) as there:
        all_seen = observe.look(tasks, PATIENCE, ca.ours.root)
        assert verdict(all_seen) == set()
        assert len(there.asked) == 11
        there.asked.clear()
        rounds = [observe.look(tasks, PATIENCE, ca.ours.root, most=4, seed=seed) for seed in range(4)]
        assert len(there.asked) == 4 * 4
    left_out = [{one.task.server_name for one in seen if one.state == "not looked at"} for seen in rounds]
    assert [len(those) for those in left_out] == [7] * 4
    assert set.intersection(*left_out) == set(), "whoever was left out had a turn in another run"


def test_portals(own_lab: Lab, ca: Ca) -> None:
    """Each name by itself; wildcards are fine, the common name is not; a name that the server does not know."""
    pairs = {
        "portal.example.net": ca.ours.issue("portal.example.net"), "api.example.net": ca.ours.issue("*.example.net"),
        "old.example.net": ca.ours.issue(common="old.example.net"), "a.b.example.net": ca.ours.issue("*.example.net"),
        "end.example.net": ca.ours.issue("end.example.net", begin=-80, end=10),
        "gone.example.net": ca.ours.issue("gone.example.net", end=-2),
        "alien.example.net": ca.other.issue("alien.example.net"),
    }  # fmt: skip
    address = own_lab.address()
    hosts = [names.absolute(text) for text in (*pairs, "missing.example.net")]
    tasks = [TlsTask(address, 443, host, (host,), "portal") for host in hosts]
    with Portals(address, pairs):
        seen = observe.look(tasks, PATIENCE, ca.ours.root)
    assert verdict(seen) == {
        ("SCR07", "error", "old.example.net."), ("SCR07", "error", "a.b.example.net."),
        ("SCR07", "warning", "end.example.net. certificate end"),
        ("SCR07", "error", "gone.example.net. certificate end"),
        ("SCR07", "error", "alien.example.net. certificate chain"), ("SCR07", "error", "missing.example.net."),
    }  # fmt: skip


def test_a_file_of_roots_that_is_none_is_refused_and_the_systems_do_not_know_the_lab(own_lab: Lab, ca: Ca) -> None:
    there = own_lab.start(OpenSsl, pair=ca.ours.issue("acme.s.example.net"))
    tasks = tls_tasks([(realm("acme"), [(there.address, 5061)])])
    with pytest.raises(InputError, match="trusted roots"):
        observe.look(tasks, PATIENCE, ca.ours.root.parent / "nothing.pem")
    assert verdict(observe.look(tasks, PATIENCE)) == {("SIP07", "error", "acme.s.example.net. certificate chain")}


# --- who may issue -------------------------------------------------------------------------------------------


class Caa(NamedTuple):
    tree: Tree
    servers: tuple[Server, ...]
    surroundings: Surroundings

    def say(self, name: str, *issuers: str, **more: object) -> list[tuple[str, str, str]]:
        zone = names.absolute("z.example")
        task = CaaTask(names.absolute(name), issuers or ("letsencrypt.org",), zone=zone, servers=self.servers)
        (seen,) = caa_observer.look([structs.replace(task, **more)], self.surroundings)
        return [(one.id, one.level, one.seen) for one in caa(seen)]


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[Caa]:
    """`z.example`, with CAA at names, at the apex of a zone below it, above it, and along aliases."""
    with lab.namespace.inside(), lab.guest() as own:
        child = own.start(Knot)
        lines = (
            "z NS ns.z",
            f"ns.z A {child.address}",
            '@ CAA 0 issue "ca.example"',
            'target CAA 0 issue "letsencrypt.org"',
        )
        tree = plant(own, (*lines, "bare A 198.51.100.1"))
        soa = "$TTL 60\n@ SOA ns h 1 60 5 3600 5\n@ NS ns\n"
        records = [
            f"ns A {child.address}", 'none CAA 0 issue ";"', 'ok CAA 0 issue "LetsEncrypt.org; a=b"',
            'wild CAA 0 issue "letsencrypt.org"', 'wild CAA 0 issuewild "other.example"', "ok.sub A 198.51.100.1",
            'mail CAA 0 iodef "mailto:x@z.example"', 'odd CAA 128 tbs "x"', 'odd CAA 0 issue "letsencrypt.org"',
            "alias CNAME target.example.", "loop CNAME pool", "pool CNAME loop", "lost CNAME bare.example.",
        ]  # fmt: skip
        child.add_zone("z.example.", soa + "\n".join(records) + "\n")
        surroundings = structs.replace(PATIENCE, resolvers=(tree.resolver.where,))
        yield Caa(tree, (Server(child.address),), surroundings)


def test_a_ca_that_caa_names_may_issue(world: Caa) -> None:
    """At the name, above it in the zone, where an alias leads, by issuewild; a set that limits nothing; and no set."""
    assert world.say("ok.z.example") == []
    assert world.say("deep.ok.z.example") == []
    assert world.say("alias.z.example") == []
    assert world.say("wild.z.example", "other.example", wildcard=True) == []
    assert world.say("wild.z.example") == []
    assert world.say("mail.z.example", "any.example") == []
    assert world.say("x.example", "ca.example", zone=None) == []
    assert world.say("portal.test", zone=None) == []


def test_a_ca_that_caa_does_not_name_is_a_warning(world: Caa) -> None:
    """The nearest set counts alone: at the name, above the zone (asked of resolvers), where an alias leads."""
    assert world.say("none.z.example") == [("SEC04", "warning", 'none.z.example. has issue ";"')]
    above = [("SEC04", "warning", 'example. has issue "ca.example"')]
    assert world.say("acme.z.example") == above
    assert world.say("z.example") == above
    assert world.say("lost.z.example") == above, "an alias to a name without CAA: the names above the alias count"
    assert world.say("wild.z.example", wildcard=True)[0][1] == "warning"
    assert world.say("alias.z.example", "ca.example")[0][1] == "warning"
    assert world.say("odd.z.example")[0][1] == "warning"
    assert world.say("ok.z.example", "letsencrypt.org", "digicert.com")[0][1] == "warning"


def test_what_can_not_be_told_is_unknown(world: Caa) -> None:
    dead = (Server("127.0.0.61"),)
    assert world.say("ok.z.example", servers=dead) == [("SEC04", "unknown", "")]
    assert world.say("ok.z.example", servers=(*dead, *world.servers)) == []
    assert world.say("loop.z.example") == [("SEC04", "unknown", "")]
    assert world.say("ok.z.example", servers=(Server(world.tree.parent.address),)) == [("SEC04", "unknown", "")]
    lost = structs.replace(world.surroundings, resolvers=("127.0.0.61",))
    assert Caa(world.tree, world.servers, lost).say("ok.z.example") == []
    assert Caa(world.tree, world.servers, lost).say("acme.z.example") == [("SEC04", "unknown", "")]
