"""Verification on real servers: a named primary with knot, nsd and PowerDNS secondaries, in good days and bad."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns.asking.delegation import Servers
from realmkit.dns.asking.query import Options, Outcome, Server, Tally, ask, has_route
from realmkit.dns.work.verify import expectations, present, verify
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read
from tests.lab.server import KEY, base_zone, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.records import Zone
    from realmkit.dns.work.verify import Report
    from tests.lab.server import Authoritative
    from tests.lab.servers import Knot, Named, Nsd
    from tests.lab.topology import Cluster, Lab

OPTIONS = Options(timeouts=(0.3, 0.6, 1.0), rate=None)
BIG = " ".join(f'"{number:02}{"x" * 250}"' for number in range(8))  # above any datagram, so it comes over TCP
REALM = f"""
acme 300 A 198.51.100.10
acme 300 A 203.0.113.10
acme 300 MX 10 mx1.example.net.
acme 300 NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.acme
acme 300 NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.acme
_sip._udp.acme 300 SRV 10 50 5060 us-east.example.net.
_sip._udp.acme 300 SRV 20 50 5060 us-west.example.net.
_sip._tcp.acme 300 SRV 10 50 5060 us-east.example.net.
* 300 A 198.51.100.99
* 300 MX 10 mx9.example.net.
alias 60 CNAME acme
big 60 TXT {BIG}
"""


def zone_from(apex: str, text: str) -> Zone:
    return read(Source("wanted", text), names.absolute(apex))


def where(*servers: Authoritative) -> Servers:
    return Servers(tuple(Server(one.address, one.port, type(one).__name__) for one in servers))


def check(zone: Zone, servers: Servers, deadline: float = 0, options: Options = OPTIONS) -> Report:
    """Everything in the zone but its SOA, whose serial each server may have its own way with."""
    wanted = [present(rrset) for rrset in zone.rrsets.values() if rrset.type != 6]
    return verify({zone.name: wanted}, {zone.name: servers}, options, SystemClock(), deadline)


def update(server: Authoritative, zone: str, *lines: str) -> None:
    key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
    script = [f"server {server.address} {server.port}", f"zone {zone}", key, *lines, "send"]
    run("nsupdate", stdin="\n".join(script) + "\n")


def test_all_four_are_right(cluster: Cluster, lab: Lab) -> None:
    apex = lab.zone_name()
    cluster.add_zone(apex, base_zone(REALM))
    zone = zone_from(apex, base_zone(REALM))
    report = check(zone, where(*cluster.servers))
    assert [one for one in report.observations if one.state != "right"] == []
    assert report.exit_code == 0
    assert len(report.observations) == 4 * (len(zone.rrsets) - 1)
    assert {one.serial for one in report.standings} == {1}


def test_an_update_is_waited_for_until_the_last_secondary_has_it(cluster: Cluster, lab: Lab) -> None:
    apex = lab.zone_name()
    cluster.add_zone(apex, base_zone(REALM))
    after_text = base_zone(REALM.replace("acme 300 A 203.0.113.10\n", "").replace("60 CNAME acme", "90 CNAME acme"))
    after = zone_from(apex, after_text + "beta 300 A 198.51.100.11\n")
    update(
        cluster.primary, apex, f"update delete acme.{apex} A 203.0.113.10", f"update delete alias.{apex} CNAME",
        f"update add alias.{apex} 90 CNAME acme.{apex}", f"update add beta.{apex} 300 A 198.51.100.11",
    )  # fmt: skip
    report = check(after, where(*cluster.servers), deadline=15)
    assert [one for one in report.observations if one.state != "right"] == []


def test_a_deleted_realm_below_a_wildcard_is_the_wildcards_again(cluster: Cluster, lab: Lab) -> None:
    apex = lab.zone_name()
    cluster.add_zone(apex, base_zone(REALM))
    before = zone_from(apex, base_zone(REALM))
    after = zone_from(apex, base_zone("\n".join(line for line in REALM.splitlines() if "acme" not in line)))
    keys = [key for key in before.rrsets if key not in after.rrsets]
    wanted = {after.name: expectations(after, keys)}
    servers = {after.name: where(*cluster.servers)}
    early = verify(wanted, servers, OPTIONS, SystemClock(), 0)
    assert {one.state for one in early.observations} == {"differs", "unexpected"}
    update(cluster.primary, apex, *{f"update delete {names.to_text(name)}" for name, _ in keys})
    late = verify(wanted, servers, OPTIONS, SystemClock(), 15)
    assert [one for one in late.observations if one.state != "right"] == []
    assert {one.seen for one in late.observations} == {("198.51.100.99",), ("10 mx9.example.net.",), ()}


def test_one_of_four_is_frozen(own_lab: Lab) -> None:
    cluster = own_lab.primary_with_secondaries()
    apex = own_lab.zone_name()
    cluster.add_zone(apex, base_zone(REALM))
    zone = zone_from(apex, base_zone(REALM))
    frozen = cluster.secondaries[0]
    frozen.freeze()
    report = check(zone, where(*cluster.servers), deadline=1)
    assert report.exit_code == 3
    assert report.wrong == []
    assert {one.server.address for one in report.unknown} == {frozen.address}
    assert [one.serial for one in report.standings if one.server.address == frozen.address] == [None]
    waker = threading.Timer(0.5, frozen.thaw)
    waker.start()
    assert check(zone, where(*cluster.servers), deadline=10).exit_code == 0
    waker.join()


def test_stopped_lame_and_behind(named: Named, knot: Knot, nsd: Nsd, own_lab: Lab, lab: Lab) -> None:
    """Each of these is told apart, and from what is right."""
    apex = lab.zone_name()
    stopped = own_lab.start(type(nsd))
    stopped.stop()
    named.add_zone(apex, base_zone(REALM, serial=2026112202))
    knot.add_zone(apex, base_zone(REALM.replace("5060 us-east", "5061 us-east"), serial=2026112201))
    zone = zone_from(apex, base_zone(REALM))
    report = check(zone, where(named, knot, nsd, stopped), deadline=0.5)
    states = {one: {seen.state for seen in report.observations if seen.server.address == one.address}
              for one in (named, knot, nsd, stopped)}  # fmt: skip
    assert states == {named: {"right"}, knot: {"right", "differs"}, nsd: {"lame"}, stopped: {"unknown"}}
    assert report.exit_code == 2
    assert [(one.server.address, one.serial, newest) for one, newest in report.behind()] == [
        (knot.address, 2026112201, 2026112202)
    ]
    assert "connection refused" in next(one for one in report.unknown if one.server.address == stopped.address).detail


def test_no_route(namespace: object) -> None:
    """In the lab's network there is nothing but loopback."""
    assert not has_route("192.0.2.1")
    (reply,) = ask([(Server("192.0.2.1"), b"\0", 6)], OPTIONS)
    assert (reply.outcome, reply.tries) == (Outcome.UNREACHABLE, 0)
    assert "no way to 192.0.2.1" in reply.detail


@pytest.fixture(scope="module")
def crowd(lab: Lab) -> Iterator[tuple[Knot, Zone]]:
    """Two thousand realms on a knot of their own."""
    from tests.lab.servers import Knot

    apex = lab.zone_name("crowd")
    lines = [
        f"r{number} A 198.51.100.10\nr{number} MX 10 mx\n"
        f'r{number} NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.r{number}\n_sip._udp.r{number} SRV 10 50 5060 edge'
        for number in range(2000)
    ]
    text = base_zone("\n".join(lines))
    with lab.namespace.inside(), lab.guest() as own:
        server = own.start(Knot)
        server.add_zone(apex, text)
        yield server, zone_from(apex, text)


def test_many_questions_come_back_right(crowd: tuple[Knot, Zone]) -> None:
    server, zone = crowd
    report = check(zone, where(server))
    assert report.exit_code == 0
    assert len(report.observations) == 8001


def test_the_rate_is_kept_towards_a_real_server(crowd: tuple[Knot, Zone]) -> None:
    server, zone = crowd
    tally = Tally()
    questions = [(Server(server.address), *key) for key in list(zone.rrsets)[:300]]
    started = time.monotonic()
    replies = list(ask(questions, Options(rate=250, burst=20), tally))
    assert 1.0 < time.monotonic() - started < 3
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}
    assert tally.sent == 300
