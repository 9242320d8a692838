"""Simulated phones: what each kind does when, by itself, and on real sockets with the sandbox's own servers."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read as read_zone
from realmkit.errors import InputError, RealmkitError
from realmkit.sandbox.fleet import Fleet
from realmkit.sandbox.handset import Seen
from realmkit.sandbox.location import Lookup, Target
from realmkit.sandbox.nameserver import NameServer
from realmkit.sandbox.phone import Behaviour, Busy, Registration, Result, SimPhone, State, Sync, What
from realmkit.sandbox.sip import SipError
from realmkit.sandbox.sipserver import SipServer
from realmkit.sandbox.webserver import WebServer, find
from tests.unit.phonebook import EDGE, START, configuration, read_json

# --- one phone, in a world of our making -----------------------------------------------------------------------------


@dataclass
class Scripted:
    """A world that answers when it is told to, so that a test can put anything between question and answer."""

    time: datetime = START
    file: bytes | None = configuration("u1", "old.example")
    targets: tuple[Target, ...] = (EDGE,)
    result: Result = field(default_factory=lambda: Result(200, 300))
    silent: bool = False
    asked: list[Registration] = field(default_factory=list)
    held: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def _answer(self, call: Callable[[], None]) -> None:
        if self.silent:
            self.held.append(call)
        else:
            call()

    def fetch(self, then: Callable[[bytes | None], None]) -> None:
        content = self.file
        self._answer(lambda: then(content))

    def locate(self, realm: str, lookup: Lookup, then: Callable[[tuple[Target, ...]], None]) -> None:
        self._answer(lambda: then(self.targets))

    def register(self, registration: Registration, then: Callable[[Result], None]) -> None:
        self.asked.append(registration)
        result = self.result
        self._answer(lambda: then(result))

    def pass_time(self, phone: SimPhone, seconds: float) -> None:
        end = self.time + timedelta(seconds=seconds)
        while phone.due is not None and phone.due <= end:
            self.time = max(self.time, phone.due)
            phone.tick()
        self.time = end


def booted(world: Scripted, **behaviour: Any) -> SimPhone:
    phone = SimPhone("p1", Behaviour(boot=30, reload=2, **behaviour), world, read_json)
    phone.power_on()
    world.pass_time(phone, 30)
    return phone


def last(phone: SimPhone) -> What:
    return phone.log[-1].what


def status(phone: SimPhone) -> tuple[State, bool, bool]:
    """Its state, whether it is up, whether it holds a registration."""
    return phone.state, phone.up, phone.registered_at is not None


def happened(phone: SimPhone) -> list[tuple[float, What]]:
    return [((one.at - START).total_seconds(), one.what) for one in phone.log]


def test_a_day_in_the_life() -> None:
    world = Scripted()
    phone = booted(world)
    assert status(phone) == (State.REGISTERED, True, True)
    assert world.asked[0].target == EDGE
    world.pass_time(phone, 300)
    assert (phone.refreshes, len(world.asked)) == (2, 3)
    assert phone.registered_at == START + timedelta(seconds=330)
    world.file = configuration("u1", "new.example")
    assert phone.notified("check-sync;reboot=false") == 200
    world.pass_time(phone, 1.9)
    assert status(phone) == (State.RELOADING, True, True)
    world.pass_time(phone, 0.1)
    assert world.asked[-1].line.realm == "new.example"
    assert world.asked[-1].call_id == world.asked[0].call_id  # a reload is no reboot
    assert phone.notified("check-sync;reboot=true") == 200
    assert status(phone) == (State.BOOTING, False, False)
    assert phone.notified("check-sync") == 0
    world.pass_time(phone, 30)
    assert world.asked[-1].call_id != world.asked[0].call_id
    phone.power_off()
    world.pass_time(phone, 86400)
    assert happened(phone) == [
        (0, What.POWERED), (30, What.CONFIGURED), (30, What.REGISTERED), (330, What.SYNC), (330, What.RELOADS),
        (332, What.CONFIGURED), (332, What.REGISTERED), (332, What.SYNC), (332, What.REBOOTS), (362, What.REGISTERED),
        (362, What.OFF),
    ]  # fmt: skip


def test_what_check_sync_does_is_the_phones_affair() -> None:
    def reaction(event: str, **behaviour: Any) -> tuple[int, What]:
        phone = booted(Scripted(), **behaviour)
        return phone.notified(event), phone.log[-1].what

    assert reaction("check-sync") == (200, What.RELOADS)
    assert reaction("check-sync", sync=Sync.REBOOT) == (200, What.REBOOTS)
    assert reaction("check-sync;reboot=true") == (200, What.REBOOTS)
    assert reaction("check-sync; reboot=true", obeys_parameter=False) == (200, What.RELOADS)
    assert reaction("check-sync;reboot=true", sync=Sync.NOTHING) == (200, What.IGNORED)
    assert reaction("resync")[0] == 489
    assert reaction("resync", events=("resync",)) == (200, What.RELOADS)


def test_check_sync_during_a_call() -> None:
    world = Scripted()
    phone = booted(world, busy=Busy.LATER)
    assert phone.call()
    assert not phone.call()
    assert phone.notified("check-sync") == 200
    world.pass_time(phone, 1000)
    assert last(phone) is What.WAITS
    assert phone.refreshes > 0  # it goes on registering meanwhile
    phone.hang_up()
    assert last(phone) is What.RELOADS
    world.pass_time(phone, 2)
    assert phone.state is State.REGISTERED

    never = booted(Scripted(), busy=Busy.NEVER)
    assert never.call()
    never.notified("check-sync")
    never.hang_up()
    assert [one.what for one in never.log[-3:]] == [What.SYNC, What.IGNORED, What.ENDED]

    careless = booted(Scripted(), busy=Busy.CUT)
    assert careless.call()
    careless.notified("check-sync;reboot=false")
    assert last(careless) is What.RELOADS  # which leaves the call alone
    careless.notified("check-sync;reboot=true")
    careless.hang_up()  # there is none any more
    assert [one.what for one in careless.log[-3:]] == [What.SYNC, What.CUT, What.REBOOTS]


def test_failures_are_counted_and_retried_by_its_own_timer() -> None:
    world = Scripted(result=Result(401))
    phone = booted(world, retry=20)
    world.pass_time(phone, 200)
    assert (phone.state, phone.failures) == (State.FAILED, 11)
    world.result = Result(0)
    world.pass_time(phone, 20)
    world.targets = ()
    world.pass_time(phone, 40)
    assert [one.detail for one in phone.log if one.what is What.FAILED] == ["401", "no answer"]
    world.targets, world.result = (EDGE,), Result(200, 60)
    world.pass_time(phone, 20)
    assert (phone.state, phone.failures) == (State.REGISTERED, 0)
    world.pass_time(phone, 30)
    assert phone.refreshes == 1


def test_a_longer_interval_is_taken_as_the_registrar_wants_it() -> None:
    world = Scripted(file=configuration("u1", "old.example", expires=60), result=Result(423, 300))
    phone = booted(world)
    assert [one.expires for one in world.asked] == [60, 300]
    assert phone.state is State.FAILED  # it insists a second time: no endless loop
    world.result = Result(200, 300)
    world.pass_time(phone, 30)
    assert world.asked[-1].expires == 300


def test_the_next_target_is_tried_when_one_is_silent() -> None:
    other = Target("127.0.0.21", 5060)
    world = Scripted(targets=(EDGE, other), result=Result(0))
    booted(world)
    assert [one.target for one in world.asked] == [EDGE, other]
    refused = Scripted(targets=(EDGE, other), result=Result(403))
    booted(refused)
    assert [one.target for one in refused.asked] == [EDGE]


def test_lines_that_fix_transport_and_port() -> None:
    world = Scripted(file=configuration("u1", "old.example", transport="udp", port=5099))
    booted(world)
    assert world.asked[0].target == Target(EDGE.address, 5099)
    tls = Scripted(file=configuration("u1", "old.example", transport="tls"))
    assert booted(tls).state is State.FAILED  # simulated phones speak UDP
    assert tls.asked == []


@pytest.mark.parametrize("file", [None, b"not a configuration", b""])
def test_without_a_configuration_it_keeps_the_one_it_has(file: bytes | None) -> None:
    world = Scripted()
    phone = booted(world)
    world.file = file
    phone.notified("check-sync")
    world.pass_time(phone, 2)
    assert phone.state is State.REGISTERED
    assert What.NO_CONFIGURATION in [one.what for one in phone.log]
    fresh_world = Scripted(file=file)
    fresh = booted(fresh_world)
    assert (fresh.state, fresh.line) == (State.FAILED, None)
    fresh_world.file = configuration("u1", "old.example")
    fresh_world.pass_time(fresh, 30)
    assert fresh.state is State.REGISTERED


def test_an_answer_that_comes_too_late_is_for_nobody() -> None:
    """A reboot in the middle of a REGISTER: the old answer must not make the dead phone registered."""
    world = Scripted()
    phone = booted(world)
    world.silent = True
    world.pass_time(phone, 150)
    assert len(world.held) == 1
    phone.notified("check-sync;reboot=true")
    while world.held:
        world.held.pop()()
    assert status(phone) == (State.BOOTING, False, False)
    world.pass_time(phone, 30)
    assert status(phone)[0] is State.FETCHING
    phone.power_off()
    while world.held:
        world.held.pop()()
    assert status(phone)[0] is State.OFF


def test_a_password_is_shown_nowhere() -> None:
    world = Scripted()
    phone = booted(world)
    assert "secret-of" not in repr((world.asked, phone.log, phone.line))


# --- the web server --------------------------------------------------------------------------------------------------


def get(url: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(url.split("/")[2], timeout=5)) as link:
        link.putrequest(method, path, skip_host=False)
        link.endheaders()
        response = link.getresponse()
        return response.status, response.read()


HIDDEN = (
    "/", "/sub", "/sub/", "/none", "/.kept/old.cfg", "/..odd", "/../secret", "/%2e%2e/secret", "/link", "//etc/passwd",
    "/sub/../a%20b.cfg", "/sub%2f..%2f..%2fsecret", "/a%20b.cfg%00", "/%ff", "/a%20b.cfg/", "/" + "x" * 5000,
)  # fmt: skip


def test_only_plain_files_of_the_directory_are_served(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / ".kept").mkdir()
    for name in ("a b.cfg", "sub/c.xml", ".kept/old.cfg", "..odd"):
        (root / name).write_text(name)
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    with WebServer(root, SystemClock()) as server:
        assert server.url_of("a b.cfg").endswith("/a%20b.cfg")
        assert get(server.url, "/a%20b.cfg") == (200, b"a b.cfg")
        assert get(server.url, "/sub/c.xml?x=1", "HEAD") == (200, b"")
        for path in HIDDEN:
            assert (path, get(server.url, path)[0]) == (path, 404)
        assert get(server.url, "/a%20b.cfg", "POST")[0] == 501
        log = server.log
    assert (log[0].path, log[0].client, log[0].status) == ("/a%20b.cfg", "127.0.0.1", 200)
    assert {one.status for one in log[2:]} == {404}
    assert find(root, "relative") is None
    assert find(root, "http://[x/") is None
    for address, port in (("192.0.2.1", 0), ("0.0.0.0", 0), ("localhost", 0)):
        with pytest.raises(InputError, match="loopback"):
            WebServer(root, SystemClock(), address=address, port=port)


# --- on real sockets -------------------------------------------------------------------------------------------------

QUICK = Behaviour(boot=0.05, reload=0.05, retry=0.2)
ZONE = """$TTL 60
@ SOA ns h 1 60 60 600 60
@ NS ns
ns A 127.0.0.1
@ NAPTR 10 10 "S" "SIP+D2U" "" _sip._udp
_sip._udp SRV 10 10 {port} edge
edge A 127.0.0.1
"""


@dataclass
class Network:
    server: SipServer
    fleet: Fleet
    web: WebServer
    directory: Path

    def publish(self, realm: str, *usernames: str) -> None:
        for name in usernames:
            (self.directory / name).write_bytes(configuration(name, realm))

    def allow(self, *pairs: tuple[str, str]) -> None:
        self.server.registrar.use({(name, realm): f"secret-of-{name}" for name, realm in pairs})

    def await_realm(self, realm: str, *names: str) -> None:
        def there(seen: Seen) -> bool:
            return seen.name not in names or (seen.registered_at is not None and seen.realm == realm)

        assert self.fleet.await_all(there, 10) == {}

    def ask(self, message: str, *, patience: float = 3.0) -> str:
        """Send a datagram to the server as it is; the first line of the answer, "" for none."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.settimeout(patience)
            there.sendto(message.encode(), ("127.0.0.1", self.server.port))
            try:
                return there.recv(65535).decode().partition("\r\n")[0]
            except TimeoutError:
                return ""

    def options(self, who: str, **more: Any) -> str:
        return self.ask(message("OPTIONS", f"sip:{who}"), **more)


def message(method: str, uri: str, *lines: str) -> str:
    number = threading.get_ident() + next(COUNT)
    return "\r\n".join([
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{number};rport",
        "From: <sip:t@t>;tag=1", f"To: <{uri}>", f"Call-ID: t{number}", f"CSeq: 1 {method}", *lines, "", "",
    ])  # fmt: skip


COUNT = iter(range(10**9))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    clock = SystemClock()
    with ExitStack() as stack:
        server = stack.enter_context(SipServer.embedded(clock, minimum=1))
        text = ZONE.format(port=server.port)
        zones = [read_zone(Source("zone", text), names.absolute(one)) for one in ("old.example", "new.example")]
        resolver = stack.enter_context(NameServer(zones))
        web = stack.enter_context(WebServer(tmp_path, clock))
        fleet = stack.enter_context(Fleet(resolver.address, clock, patience=1.0))
        yield Network(server, fleet, web, tmp_path)


def test_twenty_phones_move_on_real_sockets(network: Network) -> None:
    everybody = [f"u{number}" for number in range(20)]
    network.allow(*((name, "old.example") for name in everybody))
    network.publish("old.example", *everybody)
    for name in everybody:
        network.fleet.add(name, network.web.url_of(name), QUICK, read_json)
    network.fleet.power_on()
    network.await_realm("old.example", *everybody)
    rows = network.server.registrar.contacts()
    assert {(row.username, row.realm) for row in rows} == {(name, "old.example") for name in everybody}
    assert {row.source for row in rows} == {seen.where for seen in network.fleet.phones().values()}
    assert network.options("u3@old.example") == "SIP/2.0 200 OK"
    assert network.options("nobody@old.example") == "SIP/2.0 404 Not Found"
    network.allow(*((name, realm) for name in everybody for realm in ("old.example", "new.example")))
    network.publish("new.example", *everybody)
    for name in everybody:
        assert network.server.registrar.notify(name, "old.example", "check-sync;reboot=false")
    network.await_realm("new.example", *everybody)
    assert len(network.server.registrar.contacts()) == 40
    assert 0.05 < network.fleet.measure("u5") < 2
    assert sorted(network.fleet.registered("new.example")) == sorted(everybody)


def test_a_dead_phone_answers_nobody(network: Network) -> None:
    network.allow(("u1", "old.example"))
    network.publish("old.example", "u1")
    network.fleet.add("u1", network.web.url_of("u1"), QUICK, read_json)
    network.fleet.power_on("u1")
    network.await_realm("old.example", "u1")
    network.fleet.power_off("u1")
    assert network.options("u1@old.example", patience=0.7) == ""  # the row is there, the phone is not
    with pytest.raises(RealmkitError, match="u1 is not registered"):
        network.fleet.measure("u1")


def test_a_lost_notify_is_sent_again(network: Network) -> None:
    """The phone is silent at first (booting); the server repeats NOTIFY until it answers (RFC 3261, 17.1.2.2)."""
    network.allow(("u1", "old.example"))
    network.publish("old.example", "u1")
    network.fleet.add("u1", network.web.url_of("u1"), QUICK, read_json)
    network.fleet.power_on("u1")
    network.await_realm("old.example", "u1")
    network.fleet.power_off("u1")
    assert network.server.registrar.notify("u1", "old.example", "check-sync")
    with pytest.raises(SipError, match="line end"):
        network.server.registrar.notify("u1", "old.example", "check-sync\r\nX: y")
    threading.Event().wait(0.2)
    network.fleet.power_on("u1")

    def synced(seen: Seen) -> bool:
        return sum(one.what is What.SYNC for one in seen.log) == 1

    assert network.fleet.await_all(synced, 5) == {}


def test_a_call_by_sip(network: Network) -> None:
    network.allow(("u1", "old.example"))
    network.publish("old.example", "u1")
    network.fleet.add("u1", network.web.url_of("u1"), QUICK, read_json)
    network.fleet.power_on("u1")
    network.await_realm("old.example", "u1")
    host, port = network.fleet.phones()["u1"].where.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(3)

        def ask(method: str, call: str, tag: str = "") -> str:
            text = re.sub(r"Call-ID: \w+", f"Call-ID: {call}", message(method, "sip:u1@old.example"))
            text = text.replace("To: <sip:u1@old.example>", f"To: <sip:u1@old.example>{tag}")
            peer.sendto(text.encode(), (host, int(port)))
            return peer.recv(65535).decode()

        invited = ask("INVITE", "call-1")
        assert invited.startswith("SIP/2.0 200")
        assert "m=audio" in invited
        assert network.fleet.phones()["u1"].in_call
        assert ask("INVITE", "call-2").startswith("SIP/2.0 486")
        assert ask("OPTIONS", "call-1", ";tag=x").startswith("SIP/2.0 200")
        assert ask("OPTIONS", "call-9", ";tag=x").startswith("SIP/2.0 481")
        assert ask("BYE", "call-1", ";tag=x").startswith("SIP/2.0 200")
        assert not network.fleet.phones()["u1"].in_call
        assert ask("BYE", "call-1", ";tag=x").startswith("SIP/2.0 481")


def test_the_server_takes_no_nonsense(network: Network) -> None:
    assert network.ask("garbage\r\n\r\n", patience=0.2) == ""
    assert network.ask("\r\n\r\n", patience=0.2) == ""
    assert network.ask(message("REGISTER", "sip:u1@old.example"), patience=0.2) == ""  # no Contact
    assert network.ask(message("INVITE", "sip:u1@old.example")) == "SIP/2.0 405 Method Not Allowed"
    assert network.ask(message("OPTIONS", "sip:old.example")) == "SIP/2.0 200 OK"
    assert network.ask(message("OPTIONS", "sip:u1@old.example", "Max-Forwards: 0")) == "SIP/2.0 483 Too Many Hops"
    contact = "Contact: <sip:u1@127.0.0.1:9>"
    assert network.ask(message("REGISTER", "sip:u1@old.example", contact)) == "SIP/2.0 401 Unauthorized"
    forged = 'Authorization: Digest username="u1", realm="old.example", nonce="0000000000", uri="sip:x", response="0"'
    assert network.ask(message("REGISTER", "sip:u1@old.example", contact, forged)) == "SIP/2.0 401 Unauthorized"
    assert network.server.registrar.contacts() == []
    assert network.options("u1@old.example") == "SIP/2.0 404 Not Found"


def test_only_loopback() -> None:
    clock = SystemClock()
    for make in (
        lambda: SipServer.embedded(clock, address="192.0.2.1"),
        lambda: SipServer.embedded(clock, address="::1"),
        lambda: Fleet("192.0.2.53:53", clock),
    ):
        with pytest.raises(InputError, match="loopback"):
            make()
    with Fleet("127.0.0.1:9", clock) as fleet:
        for url in ("http://192.0.2.1/x", "https://127.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1:99999/"):
            with pytest.raises(InputError):
                fleet.add("u1", url, QUICK, read_json)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(InputError, match="can't listen"):
                fleet.add("u1", "http://127.0.0.1:9/x", QUICK, read_json, port=taken.getsockname()[1])


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    clock = SystemClock()
    with SipServer.embedded(clock) as server, WebServer(tmp_path, clock), Fleet("127.0.0.1:9", clock) as fleet:
        fleet.add("u1", "http://127.0.0.1:9/x", QUICK, read_json)
        fleet.power_on()
        assert fleet.await_all(lambda seen: seen.failures > 0, 5) == {}
        port = server.port
    assert threading.active_count() == before
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
