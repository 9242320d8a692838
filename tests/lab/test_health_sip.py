"""The SIP chain on real servers: what knot and named serve, what Kamailio, SIPp and sshd answer, where baresip goes."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Server
from realmkit.dns.fields import replacements, targets
from realmkit.dns.findings import Finding
from realmkit.health.chain import tasks_of, walk
from realmkit.health.check import catalog
from realmkit.health.clients import FULL
from realmkit.health.observe import hosts as host_observer
from realmkit.health.observe import sip
from realmkit.health.observe.realms import ask_keys
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.realm import RealmSeen
from realmkit.health.seen.sip import EndpointSeen, SipTask
from realmkit.health.seen.task import realm_keys
from tests.lab.server import base_zone
from tests.lab.servers import Knot, Named, Unbound
from tests.lab.sipp import Sipp
from tests.lab.sipservers import Baresip, Kamailio
from tests.lab.topology import Lab

CLOCK = SystemClock()
AROUND = Surroundings(CLOCK, Options(timeouts=(0.3, 0.6, 1.0), rate=None), timeout=4)
BRIEF = Surroundings(CLOCK, timeout=0.7)  # where silence is the answer
LONGER = Surroundings(CLOCK, timeout=1.4)  # between the second request (0.5 s) and the third (1.5 s)
RECORDS = ("SIP01", "SIP02", "SIP03", "SIP04", "SIP05", "SIP08")
ENDPOINTS = ("SIP06", "SIP10")
TLS_PORT = 5061


class SecureKamailio(Kamailio):
    """Kamailio with TLS on 5061, and with UDP and TCP on ::1 too."""

    def configure(self) -> None:
        super().configure()
        pem = self.directory / "edge.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=edge.lab.example", "-keyout", str(pem), "-out", str(self.directory / "edge.crt")],
            check=True, capture_output=True,
        )  # fmt: skip
        path = self.directory / "kamailio.cfg"
        text = path.read_text().replace(
            "tcp_accept_no_cl=yes",
            f"listen=tls:{self.address}:{TLS_PORT}\nlisten=udp:[::1]:5060\nlisten=tcp:[::1]:5060\nenable_tls=yes\n"
            "tcp_accept_no_cl=yes",
        )
        text = text.replace(
            'loadmodule "tm.so"',
            'loadmodule "tls.so"\nmodparam("tls", "tls_method", "TLSv1.2+")\n'
            f'modparam("tls", "private_key", "{pem}")\n'
            f'modparam("tls", "certificate", "{self.directory / "edge.crt"}")\nloadmodule "tm.so"',
        )
        path.write_text(text)


UAS = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="options">
  <recv request="OPTIONS"/>
  <send><![CDATA[
SIP/2.0 486 Busy Here
[last_Via:]
[last_From:]
[last_To:];tag=[pid]t[call_number]
[last_Call-ID:]
[last_CSeq:]
User-Agent: sipp
Content-Length: 0

]]></send>
</scenario>
"""


class OptionsSipp(Sipp):
    """SIPp that answers OPTIONS with 486, over one transport (`u1` or `t1`)."""

    _kind = socket.SOCK_DGRAM

    def _listens(self) -> bool:
        with socket.socket(socket.AF_INET, self._kind) as probe:
            try:
                probe.bind((self.address, self.port))
            except OSError:
                return True
        return False

    def serve(self, transport: str) -> None:
        self._kind = socket.SOCK_DGRAM if transport == "u1" else socket.SOCK_STREAM
        scenario = self.directory / "options.xml"
        scenario.write_text(UAS)
        self._start("-sf", str(scenario), "-t", transport)


@contextmanager
def lent(lab: Lab, count: int = 1) -> Iterator[list[str]]:
    """Addresses of the lab that no server of it has, given back at the end."""
    found = [lab.address() for _ in range(count)]
    try:
        yield found
    finally:
        lab._free.extend(int(one.rpartition(".")[2]) for one in found)


class Place(NamedTuple):
    """A zone with many realms, the edge that they lead to, and an address where nobody is."""

    zone: str
    servers: tuple[Knot, Named]
    edge: SecureKamailio
    nobody: str


REALMS = """
e1 A FIRST
e2 A SECOND
twin A FIRST
edge A FIRST
edge A SECOND
*.s A FIRST
*.s A SECOND
*.s NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.s
_sip._udp.s SRV 1 1 5060 e1
_sip._udp.s SRV 1 1 5060 e2
nothing TXT x
refused NAPTR 1 1 "S" "SIP+D2U" "" _sip._udp.elsewhere.example.
nosrv A FIRST
nosrv A SECOND
nosrv NAPTR 1 1 "S" "SIP+D2T" "" _sip._tcp.nosrv
_sip._udp.nosrv SRV 1 1 5060 e1
_sip._udp.nosrv SRV 1 1 5060 e2
notarget A FIRST
notarget A SECOND
_sip._udp.notarget SRV 1 1 5060 e1
_sip._udp.notarget SRV 1 1 5060 e2
_sip._udp.notarget SRV 2 1 5060 gone
stranded A FIRST
_sip._udp.stranded SRV 1 1 5060 e1
_sip._udp.stranded SRV 1 1 5060 e2
crossed A FIRST
crossed A SECOND
crossed NAPTR 1 1 "S" "SIP+D2T" "" _sip._udp.crossed
_sip._udp.crossed SRV 1 1 5060 e1
_sip._udp.crossed SRV 1 1 5060 e2
oddport A FIRST
oddport A SECOND
_sip._tcp.oddport SRV 1 1 5061 e1
_sip._tcp.oddport SRV 2 1 5061 e2
lonely A FIRST
_sip._udp.lonely SRV 1 1 5060 e1
_sip._udp.lonely SRV 2 1 5060 twin
onehost A FIRST
onehost A SECOND
_sip._udp.onehost SRV 1 1 5060 edge
good A FIRST
good A SECOND
good NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.good
good NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.good
good NAPTR 30 100 "S" "SIPS+D2T" "" _sips._tcp.good
_sip._udp.good SRV 10 50 5060 e1
_sip._udp.good SRV 20 50 5060 e2
_sip._tcp.good SRV 10 50 5060 e1
_sip._tcp.good SRV 20 50 5060 e2
_sips._tcp.good SRV 10 50 5061 e1
_sips._tcp.good SRV 20 50 5061 e2
"""


def records(first: str, second: str) -> str:
    """Realms with one fault each, a pool and a whole one that have none, and the edge of all."""
    return REALMS.replace("FIRST", first).replace("SECOND", second)


@pytest.fixture(scope="module")
def place(lab: Lab, knot: Knot, named: Named) -> Iterator[Place]:
    """Kamailio on one address; nobody on the other."""
    with lab.guest() as guest, lab.namespace.inside(), lent(guest) as (nobody,):
        edge = guest.start(SecureKamailio)
        zone = guest.zone_name()
        for one in (knot, named):
            one.add_zone(zone, base_zone(records(edge.address, nobody)))
        yield Place(zone, (knot, named), edge, nobody)


def view_of(place: Place, realm: str) -> RealmSeen:
    """The realm as both servers tell of it, through the real observers."""
    servers = tuple(Server(one.address, one.port) for one in place.servers)
    return see(names.absolute(f"{realm}.{place.zone}"), names.absolute(place.zone), servers)


def see(realm: bytes, zone: bytes, servers: tuple[Server, ...]) -> RealmSeen:
    keys = realm_keys(realm)
    sights = ask_keys([(one, *key) for one in servers for key in keys], AROUND)
    naptrs = [one.rrset for one in sights.values() if one.rrset is not None and one.rrset.type == rr.NAPTR]
    more = list(
        dict.fromkeys((name, rr.SRV) for one in naptrs for name in replacements(one) if (name, rr.SRV) not in keys)
    )
    sights |= ask_keys([(one, *key) for one in servers for key in more], AROUND)
    sets = [one.rrset for one in sights.values() if one.rrset is not None and one.rrset.type == rr.SRV]
    hosts = host_observer.look({host for one in sets for host in targets(one)}, {zone: servers}, AROUND)
    return RealmSeen(realm, zone, (*keys, *more), servers, sights, {}, hosts)


def judge(seen: RealmSeen | EndpointSeen, ids: tuple[str, ...]) -> list[Finding]:
    table = catalog()
    return [finding for one in ids if (function := table[one].judge) is not None for finding in function(seen)]


def told(findings: list[Finding], zone: str) -> list[str]:
    return [f"{one.id} {one.level} {one.subject.replace('.' + zone, '')}" for one in findings]


# --- the records -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("realm", "expected"),
    [
        ("good", []),
        ("any.s", []),
        ("nothing", ["SIP01 critical nothing"]),
        ("absent", ["SIP01 critical absent"]),
        ("refused", ["SIP01 unknown refused", "SIP02 unknown refused NAPTR _sip._udp.elsewhere.example."]),
        ("nosrv", ["SIP02 error nosrv NAPTR _sip._tcp.nosrv", "SIP08 notice nosrv"]),
        ("notarget", ["SIP03 error _sip._udp.notarget SRV gone"]),
        ("stranded", ["SIP04 warning stranded"]),
        ("crossed", ["SIP05 error crossed NAPTR _sip._udp.crossed"]),
        ("oddport", ["SIP05 warning _sip._tcp.oddport SRV"]),
        ("lonely", ["SIP08 warning lonely"]),
        ("onehost", ["SIP08 notice onehost"]),
    ],
)
def test_each_fault_of_a_realm_is_named(place: Place, realm: str, expected: list[str]) -> None:
    found = judge(view_of(place, realm), RECORDS)
    assert told(found, place.zone) == expected
    assert {one.server for one in found} <= {""}  # both servers say the same


def test_a_server_with_another_picture_is_named(place: Place, lab: Lab) -> None:
    zone = lab.zone_name()
    knot, named = place.servers
    knot.add_zone(zone, base_zone(records(place.edge.address, place.nobody)))
    named.add_zone(
        zone, base_zone(records(place.edge.address, place.nobody).replace("_sip._tcp.good SRV", "other SRV"))
    )
    found = judge(view_of(place._replace(zone=zone), "good"), RECORDS)
    assert told(found, zone) == ["SIP02 error good NAPTR _sip._tcp.good"]
    assert found[0].server == named.address


def test_a_server_that_is_silent_proves_nothing(place: Place) -> None:
    """One of two servers is not there: what the other says is judged; if none is there, nothing is."""
    gone = Server(place.nobody, 53)
    zone = names.absolute(place.zone)
    good = names.absolute(f"good.{place.zone}")
    assert judge(see(good, zone, (Server(place.servers[0].address), gone)), RECORDS) == []
    assert see(good, zone, (gone,)).views() == []
    assert judge(see(good, zone, (gone,)), RECORDS) == []


# --- endpoints -------------------------------------------------------------------------------------------------------

DOMAIN = names.absolute("realm.lab.example")
HOST = names.absolute("edge.lab.example")


def probe(*places: tuple[str, str, int], around: Surroundings = AROUND) -> list[EndpointSeen]:
    tasks = [SipTask(transport, address, port, DOMAIN, HOST) for transport, address, port in places]  # type: ignore[arg-type]
    return sip.look(tasks, around)


def ids(seen: EndpointSeen) -> list[str]:
    return [f"{one.id} {one.level}" for one in judge(seen, ENDPOINTS)]


def test_kamailio_answers_over_all_transports(place: Place) -> None:
    """The endpoints of a good realm, as its records name them: what is up answers, what is down is refused."""
    tasks = tasks_of([view_of(place, "good")])
    assert len(tasks) == 6
    found = sip.look(tasks, AROUND)
    up = [one for one in found if one.task.address == place.edge.address]
    assert [(one.task.transport, one.state, one.status, one.software) for one in up] == [
        (transport, "answered", 200, "lab") for transport in ("tcp", "tls", "udp")
    ]
    assert [ids(one) for one in up] == [[], [], []]
    down = [one for one in found if one.task.address == place.nobody]
    assert [one.state for one in down] == ["refused"] * 3
    assert [ids(one) for one in down] == [["SIP06 warning"]] * 3


def test_endpoints_on_ipv6_are_asked(place: Place) -> None:
    found = probe(("udp", "::1", 5060), ("tcp", "::1", 5060), ("udp", "::1", 5999))
    assert [(one.state, one.status) for one in found] == [("answered", 200), ("answered", 200), ("refused", 0)]
    assert judge(found[2], ENDPOINTS)[0].subject == "edge.lab.example. udp/[::1]:5999"


def test_tls_where_none_is_promised_and_the_other_way(place: Place) -> None:
    wrong = probe(("tcp", place.edge.address, TLS_PORT), ("tls", place.edge.address, 5060), around=BRIEF)
    assert [(bool(one.tls), one.plain) for one in wrong] == [(True, False), (False, True)]
    assert [ids(one) for one in wrong] == [["SIP10 error"], ["SIP10 error"]]
    right = probe(("tls", place.edge.address, TLS_PORT), ("tcp", place.edge.address, 5060))
    assert [ids(one) for one in right] == [[], []]


@pytest.mark.parametrize(("transport", "how"), [("udp", "u1"), ("tcp", "t1")])
def test_any_response_is_a_sign_of_life(own_lab: Lab, tmp_path: Path, transport: str, how: str) -> None:
    with lent(own_lab) as (address,):
        sipp = OptionsSipp(tmp_path / "sipp", address)
        try:
            sipp.serve(how)
            (seen,) = probe((transport, sipp.address, sipp.port))
        finally:
            sipp.stop()
    assert (seen.state, seen.status, seen.software) == ("answered", 486, "sipp")
    assert ids(seen) == []


def test_a_frozen_edge_is_silent(own_lab: Lab) -> None:
    kamailio = own_lab.start(Kamailio)
    kamailio.freeze()
    found = probe(("udp", kamailio.address, 5060), ("tcp", kamailio.address, 5060), around=BRIEF)
    kamailio.thaw()
    assert [one.state for one in found] == ["silent", "silent"]
    assert ids(found[0]) == ["SIP06 warning"]
    assert ids(found[1]) == ["SIP06 warning", "SIP10 unknown"]
    assert found[1].connected is True


def test_silence_beside_a_live_port_is_a_notice(place: Place) -> None:
    """A filter that drops OPTIONS over UDP looks like this."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind((place.edge.address, 5999))
        found = probe(("udp", place.edge.address, 5999), ("tcp", place.edge.address, 5060), around=LONGER)
        assert len(_waiting(mute)) == 2  # at once and after T1
    assert [ids(one) for one in found] == [["SIP06 notice"], []]


def _waiting(one: socket.socket) -> list[bytes]:
    one.settimeout(0)
    came = []
    while select.select([one], [], [], 0)[0]:
        came.append(one.recv(65535))
    return came


@pytest.mark.parametrize(
    ("options", "state"),
    [
        (("-tls1_2", "-Verify", "1"), "closed"),  # the handshake ends in an alert
        (("-tls1_3", "-Verify", "1"), "closed"),  # and here the alert comes after it
        (("-tls1_3",), "silent"),
    ],
)
def test_who_does_a_tls_handshake_speaks_tls_whatever_comes_then(
    place: Place, options: tuple[str, ...], state: str
) -> None:
    """OpenSSL's own server: it wants a certificate of ours, or knows no SIP."""
    folder = place.edge.directory
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"{place.nobody}:{TLS_PORT}", *options, "-verify_return_error",
         "-key", str(folder / "edge.pem"), "-cert", str(folder / "edge.crt")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert b"ACCEPT" in (server.stdout.readline() + server.stdout.readline())
        (seen,) = probe(("tls", place.nobody, TLS_PORT), around=LONGER)
    finally:
        server.kill()
        server.communicate()
    assert (seen.state, seen.tls, seen.plain) == (state, True, None), seen
    assert ids(seen) == ["SIP06 warning"]


def test_a_domain_that_can_be_no_server_name_is_unknown(place: Place) -> None:
    (seen,) = sip.look([SipTask("tls", place.edge.address, TLS_PORT, names.ROOT, HOST)], AROUND)
    assert seen.state == "unknown"
    assert ids(seen) == ["SIP06 unknown", "SIP10 unknown"]


def test_no_way_there_is_unknown() -> None:
    (v4, v6) = probe(("udp", "198.51.100.1", 5060), ("tcp", "2001:db8::1", 5060))
    assert (v4.state, v6.state) == ("unknown", "unknown")
    assert ids(v4) == ["SIP06 unknown"]
    assert ids(v6) == ["SIP06 unknown", "SIP10 unknown"]


def test_a_run_that_is_over_asks_nobody(place: Place) -> None:
    over = Surroundings(CLOCK, until=CLOCK.monotonic() - 1)
    (seen,) = probe(("udp", place.edge.address, 5060), around=over)
    assert (seen.state, seen.detail) == ("unknown", "the time of the run was over")


def test_a_name_server_is_no_sip_server(knot: Knot) -> None:
    udp, tcp, tls = probe(*((transport, knot.address, 53) for transport in ("udp", "tcp", "tls")), around=BRIEF)
    assert "answered" not in {udp.state, tcp.state, tls.state}
    assert [one for one in (udp, tcp, tls) if "SIP06 warning" not in ids(one)] == []


# --- hostile answers -------------------------------------------------------------------------------------------------


@pytest.fixture
def rogue() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Listens on TCP and does to every connection what it is given; the port."""
    with ExitStack() as stack:

        def start(deed: Callable[[socket.socket], None]) -> int:
            there = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            worker = threading.Thread(target=serve, args=(there, deed), daemon=True)
            worker.start()
            stack.callback(worker.join, 5)
            stack.callback(there.shutdown, socket.SHUT_RDWR)
            return int(there.getsockname()[1])

        yield start


def serve(there: socket.socket, deed: Callable[[socket.socket], None]) -> None:
    """Each connection in a thread of its own, which ends when the other side hangs up."""
    workers = []
    with suppress(OSError):
        while True:
            link, _ = there.accept()
            workers.append(threading.Thread(target=do, args=(link, deed), daemon=True))
            workers[-1].start()
    for one in workers:
        one.join(5)


def do(link: socket.socket, deed: Callable[[socket.socket], None]) -> None:
    with link, suppress(OSError):
        deed(link)


def flood(link: socket.socket) -> None:
    link.recv(65535)
    while True:
        link.sendall(b"SIP/2.0 200 " + b"x" * 65536)


def trickle(link: socket.socket) -> None:
    for octet in b"SIP/2.0 200 OK\r\n" * 1000:
        link.sendall(bytes((octet,)))
        time.sleep(0.02)


def saying(data: bytes, *, at_once: bool = False) -> Callable[[socket.socket], None]:
    """Reads the request and says that; or greets with it, and reads then."""

    def deed(link: socket.socket) -> None:
        if not at_once:
            link.recv(65535)
        link.sendall(data)
        if at_once:
            link.recv(1)

    return deed


DEEDS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "hangs up": (socket.socket.close, "closed"),
    "hangs up after the request": (saying(b""), "closed"),
    "floods": (flood, "garbled"),
    "trickles": (trickle, "silent"),
    "speaks SSH": (saying(b"SSH-2.0-x\r\n", at_once=True), "garbled"),
    "speaks HTTP": (saying(b"HTTP/1.1 400 Bad\r\n\r\n"), "garbled"),
    "answers another": (saying(b"SIP/2.0 200 OK\r\nCall-ID: x\r\n\r\n"), "garbled"),
    "sends octets": (saying(bytes(range(256)) * 9), "garbled"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_hostile_stream_ends_in_a_state(deed: str, rogue: Callable[[Callable[[socket.socket], None]], int]) -> None:
    act, state = DEEDS[deed]
    tcp, tls = probe(("tcp", "127.0.0.1", port := rogue(act)), ("tls", "127.0.0.1", port), around=BRIEF)
    assert tcp.state == state
    assert tls.state == "closed"
    no_tls = None if deed.startswith("hangs up") else False  # who says nothing shows neither that nor the other
    assert (tcp.tls, tls.tls) == (no_tls, no_tls)
    assert ids(tls)[-1] == ("SIP10 unknown" if no_tls is None else "SIP10 error")
    assert "SIP06 warning" in ids(tcp)
    assert tcp.plain is False


def test_hostile_datagrams_are_passed_over_until_there_are_too_many() -> None:
    """Junk, then the true answer: it counts. Junk only: garbled, and the probe ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        port = int(there.getsockname()[1])
        for junk, state in ((5, "answered"), (60, "garbled")):
            worker = threading.Thread(target=_junk, args=(there, junk))
            worker.start()
            (seen,) = probe(("udp", "127.0.0.1", port))
            worker.join(5)
            assert seen.state == state
            _waiting(there)


def _junk(there: socket.socket, count: int) -> None:
    there.settimeout(3)
    data, peer = there.recvfrom(65535)
    for number in range(count):
        there.sendto(b"SIP/2.0 200 OK\r\n\r\n" + b"\xff" * number, peer)
    lines = data.decode().split("\r\n")
    kept = [one for one in lines if one.startswith(("Via", "From", "To", "Call-ID", "CSeq"))]
    there.sendto("\r\n".join(["SIP/2.0 404 Not Found", *kept, "", ""]).encode(), peer)


# --- baresip is the judge of the walk --------------------------------------------------------------------------------

WAYS = {
    "naptr by order": """@ NAPTR 20 1 "S" "SIP+D2U" "" _sip._udp.b
@ NAPTR 10 9 "S" "SIP+D2U" "" _sip._udp.a
_sip._udp.a SRV 1 1 15060 e3
_sip._udp.b SRV 1 1 15060 e2
_sip._udp SRV 1 1 15060 e1
@ A ONE
""",
    "naptr of tcp first": """@ NAPTR 10 1 "S" "SIP+D2T" "" _sip._tcp.x
@ NAPTR 20 1 "S" "SIP+D2U" "" _sip._udp.x
_sip._tcp.x SRV 1 1 15060 e2
_sip._udp.x SRV 1 1 15060 e1
""",
    "websocket and sctp are passed over": """@ NAPTR 1 1 "S" "SIP+D2S" "" _sip._sctp.x
@ NAPTR 2 1 "S" "SIP+D2U" "" _sip._udp.x
_sip._sctp.x SRV 1 1 15060 e1
_sip._udp.x SRV 1 1 15060 e2
""",
    "srv by priority": """@ NAPTR 1 1 "s" "sip+d2u" "" _sip._udp
_sip._udp SRV 30 99 15060 e1
_sip._udp SRV 10 0 15060 e3
_sip._udp SRV 20 99 15060 e2
""",
    "srv without naptr": """_sip._udp SRV 1 1 15060 e2
@ A ONE
""",
    "naptr without srv": """@ NAPTR 1 1 "S" "SIP+D2U" "" _sip._udp.none
_sip._udp SRV 1 1 15060 e2
@ A ONE
""",
    "addresses only": "@ A ONE\n",
    "other applications' naptr": """@ NAPTR 1 1 "U" "E2U+sip" "!^.*$!sip:x@y.example!" .
_sip._udp SRV 1 1 15060 e3
@ A ONE
""",
}


@pytest.fixture(scope="module")
def doors(lab: Lab) -> Iterator[dict[tuple[str, str, int], socket.socket]]:
    """Open ports on three addresses, over UDP and TCP: who knocks is heard, and nobody answers."""
    with lent(lab, 3) as addresses, ExitStack() as stack, lab.namespace.inside():
        found: dict[tuple[str, str, int], socket.socket] = {}
        for address in addresses:
            for port in (5060, 15060):
                for transport, kind in (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)):
                    there = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    there.bind((address, port))
                    if transport == "tcp":
                        there.listen()
                    found[transport, address, port] = there
        yield found


@pytest.mark.parametrize("way", WAYS)
def test_baresip_knocks_first_where_the_walk_says(
    way: str,
    own_lab: Lab,
    knot: Knot,
    unbound: Unbound,
    doors: dict[tuple[str, str, int], socket.socket],
    tmp_path: Path,
) -> None:
    addresses = list(dict.fromkeys(address for _, address, _ in doors))
    zone = own_lab.zone_name()
    hosts = "".join(f"e{number} A {address}\n" for number, address in enumerate(addresses, 1))
    knot.add_zone(zone, base_zone(hosts + WAYS[way].replace("ONE", addresses[0])))
    unbound.add_stub(zone, knot)
    realm = names.absolute(zone)
    seen = see(realm, realm, (Server(knot.address, knot.port),))
    (view,) = seen.views()
    first = walk(realm, view, seen.hosts, FULL).hops[0]

    account = tmp_path / "accounts"
    account.write_text(f"<sip:soft@{zone.rstrip('.')}>;auth_user=soft;auth_pass=x;regint=60\n")
    baresip = own_lab.start(Baresip, resolver=unbound.address, source=account)
    ready, _, _ = select.select(list(doors.values()), [], [], 10)
    os.killpg(baresip.pid, signal.SIGKILL)  # it would wait for an answer to its goodbye
    came = {key for key, one in doors.items() if one in ready}
    _sweep(doors.values())
    assert came == {(first.transport, first.address, first.port)}, baresip.log_text()[-2000:]


def _sweep(doors: Iterable[socket.socket]) -> None:
    """Take away what came, for the next test."""
    for one in doors:
        while select.select([one], [], [], 0)[0]:
            if one.type == socket.SOCK_STREAM:
                one.accept()[0].close()
            else:
                one.recv(65535)
