"""The lab keeps its promises: real servers, a private network, nothing left over."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.zone
import pytest

from tests.lab.namespace import Namespace, current
from tests.lab.proxy import Fault, Proxy, http_method
from tests.lab.server import KEY, base_zone, run, wait_for
from tests.lab.servers import Knot, Named, Nsd, PowerDns, Unbound

if TYPE_CHECKING:
    from tests.lab.server import Authoritative
    from tests.lab.topology import Cluster, Lab

ROOT = Path(__file__).parents[2]


def nsupdate(server: Authoritative, zone: str, *lines: str) -> None:
    """Bind's own client, so that nothing of ours is in the loop."""
    key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
    script = [f"server {server.address} {server.port}", f"zone {zone}", key, *lines, "send"]
    run("nsupdate", stdin="\n".join(script) + "\n")


def test_an_update_reaches_every_secondary(cluster: Cluster, lab: Lab) -> None:
    zone = lab.zone_name()
    cluster.add_zone(zone, base_zone("old A 192.0.2.1"))
    assert [one.answer(f"old.{zone}", "A") for one in cluster.servers] == [{"192.0.2.1"}] * 4
    for number in range(3):
        nsupdate(cluster.primary, zone, f'update add n{number}.{zone} 60 NAPTR 10 100 S SIP+D2U "" _sip._udp.{zone}')
        cluster.await_serial(zone)
        expected = {f'10 100 "S" "SIP+D2U" "" _sip._udp.{zone}'}
        assert [one.answer(f"n{number}.{zone}", "NAPTR") for one in cluster.servers] == [expected] * 4


def test_knot_and_powerdns_take_updates_and_nsd_takes_files(knot: Knot, pdns: PowerDns, nsd: Nsd, lab: Lab) -> None:
    zone = lab.zone_name()
    for server in (knot, pdns):
        server.add_zone(zone, base_zone())
        nsupdate(server, zone, f"update add a.{zone} 60 A 192.0.2.7")
        assert server.answer(f"a.{zone}", "A") == {"192.0.2.7"}
    nsd.add_zone(zone, base_zone("a A 192.0.2.8"))
    assert nsd.answer(f"a.{zone}", "A") == {"192.0.2.8"}
    nsd.zone_file(zone).write_text(base_zone("a A 192.0.2.9", serial=2))
    run(*nsd.reload_command(zone))
    # Its old process may answer one more question after the new one has answered another.
    wait_for("nsd reads its file again", lambda: nsd.answer(f"a.{zone}", "A") == {"192.0.2.9"})
    wait_for("all of nsd knows it", lambda: nsd.serial(zone) == 2)


@pytest.mark.parametrize("server", ["named", "knot", "pdns", "nsd"])
def test_transfers_want_the_key(server: str, request: pytest.FixtureRequest, lab: Lab) -> None:
    there: Authoritative = request.getfixturevalue(server)
    zone = lab.zone_name()
    there.add_zone(zone, base_zone("a A 192.0.2.1"))
    ring = dns.tsigkeyring.from_text({KEY.name: KEY.secret})
    query = dns.message.make_query(zone, "AXFR")
    with pytest.raises(dns.exception.DNSException):
        dns.query.inbound_xfr(there.address, dns.zone.Zone(zone), query, timeout=5)
    query = dns.message.make_query(zone, "AXFR")
    query.use_tsig(ring, KEY.name, algorithm=KEY.algorithm)
    read = dns.zone.Zone(zone)
    dns.query.inbound_xfr(there.address, read, query, timeout=5)
    assert read.find_rdataset("a", "A").to_text() == "300 IN A 192.0.2.1"


def test_a_resolver_caches_what_it_asked(unbound: Unbound, named: Named, lab: Lab) -> None:
    zone = lab.zone_name()
    named.add_zone(zone, base_zone("a 600 A 192.0.2.1"))
    unbound.add_stub(zone, named)
    assert unbound.query(f"a.{zone}", "A").answer[0][0].address == "192.0.2.1"
    nsupdate(named, zone, f"update delete a.{zone}")
    assert named.answer(f"a.{zone}", "A") == set()
    assert unbound.query(f"a.{zone}", "A").answer[0][0].address == "192.0.2.1"


def test_a_resolver_finds_its_way_from_a_root_of_ours(own_lab: Lab) -> None:
    root, inner = own_lab.start(Named), own_lab.start(Knot)
    zone = own_lab.zone_name()
    inner.add_zone(zone, base_zone("a A 192.0.2.1"))
    glue = f"ns1.lab.example. A {root.address}\nns.{zone} A {inner.address}"
    root.add_zone(".", base_zone(f"{zone} NS ns.{zone}\n{glue}"))
    resolver = own_lab.start(Unbound, root=root)
    answer = resolver.query(f"a.{zone}", "A", timeout=5)
    assert answer.answer[0][0].address == "192.0.2.1"
    assert root.query(f"a.{zone}", "A").additional[0][0].address == inner.address


def test_a_frozen_server_is_silent_until_it_thaws(own_lab: Lab) -> None:
    server = own_lab.start(Nsd)
    zone = own_lab.zone_name()
    server.add_zone(zone, base_zone())
    server.freeze()
    with pytest.raises(dns.exception.Timeout):
        server.query(zone, "SOA", timeout=0.3)
    server.thaw()
    assert server.serial(zone) == 1


def test_servers_are_alone_in_their_network(namespace: Namespace, named: Named, lab: Lab) -> None:
    assert current() == namespace.identity
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 53), timeout=1)
    assert named.pid in namespace.processes()


def test_stopping_leaves_no_process(own_lab: Lab, namespace: Namespace) -> None:
    before = namespace.processes()
    servers = own_lab.primary_with_secondaries().servers
    unbound = own_lab.start(Unbound)
    assert len(namespace.processes() - before) >= 5
    own_lab.stop()
    assert not any(one.alive for one in (*servers, unbound))
    wait_for("all processes are gone", lambda: namespace.processes() <= before)


def test_servers_die_with_a_killed_test_run() -> None:
    script = """
        import pathlib, sys, tempfile, time
        from tests.lab.namespace import Namespace
        from tests.lab.servers import Unbound
        from tests.lab.topology import Lab
        with tempfile.TemporaryDirectory() as root:
            lab = Lab(Namespace(), pathlib.Path(root))
            lab.primary_with_secondaries(), lab.start(Unbound)
            print(*lab.namespace.processes(), flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as runner:
        assert runner.stdout is not None
        started = {int(word) for word in runner.stdout.readline().split()}
        assert len(started) >= 5
        runner.send_signal(signal.SIGKILL)
    wait_for("the kernel ended them", lambda: not any(_runs(pid) for pid in started))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_proxy_does_what_it_says(named: Named, lab: Lab) -> None:
    zone = lab.zone_name()
    named.add_zone(zone, base_zone())
    query = dns.message.make_query(zone, "SOA")

    def ask(fault: Fault | None, *, tcp: bool = False) -> dns.message.Message:
        proxy.fault = fault
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, proxy.address, timeout=0.5, port=proxy.port)

    with Proxy((named.address, named.port)) as proxy:
        for tcp in (False, True):
            assert ask(None, tcp=tcp).answer
            started = time.monotonic()
            assert ask(Fault("delay", seconds=0.2), tcp=tcp).answer
            assert time.monotonic() - started >= 0.2
            with pytest.raises(dns.exception.Timeout):
                ask(Fault("drop"), tcp=tcp)
        assert ask(Fault("rcode", rcode=dns.rcode.SERVFAIL)).rcode() == dns.rcode.SERVFAIL
        assert ask(Fault("truncate")).flags & dns.flags.TC
        with pytest.raises(dns.exception.Timeout):
            ask(Fault("lose"))
        proxy.fault = Fault("wrong-id")
        with pytest.raises(dns.query.BadResponse):
            dns.query.udp(query, proxy.address, timeout=0.5, port=proxy.port, ignore_unexpected=False)
        for kind in ("lose", "reset"):
            with pytest.raises((EOFError, OSError)):
                ask(Fault(kind), tcp=True)
        with pytest.raises((EOFError, ConnectionResetError)):
            ask(Fault("cut", octets=20), tcp=True)


def test_a_lost_answer_was_still_carried_out(pdns: PowerDns, lab: Lab) -> None:
    zone = lab.zone_name()
    pdns.add_zone(zone, base_zone())
    there = PowerDns(pdns.directory, pdns.address)
    with Proxy((pdns.address, pdns.api_port)) as proxy:
        there.address, there.api_port = proxy.address, proxy.port
        proxy.fault = Fault("lose", when=http_method("PATCH"))
        record = {"content": "192.0.2.1", "disabled": False}
        rrset = {"name": f"a.{zone}", "type": "A", "ttl": 60, "changetype": "REPLACE", "records": [record]}
        assert there.api("GET", f"/zones/{zone}")["name"] == zone
        with pytest.raises(http.client.RemoteDisconnected):
            there.api("PATCH", f"/zones/{zone}", {"rrsets": [rrset]})
        assert proxy.hits == 1
    assert pdns.answer(f"a.{zone}", "A") == {"192.0.2.1"}
