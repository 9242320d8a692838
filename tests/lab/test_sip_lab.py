"""Real SIP: Kamailio as the edge, baresip and simulated phones, SIPp's calls, names through unbound and named.

What the sandbox says of itself is shown here against programs that are not ours.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from realmkit.clock import SystemClock
from realmkit.sandbox import digest, sip
from realmkit.sandbox.fleet import Fleet
from realmkit.sandbox.handset import Seen
from realmkit.sandbox.kamailio import KamailioError, KamailioRegistrar
from realmkit.sandbox.phone import Behaviour, Busy, Sync, What
from realmkit.sandbox.registrar import Registrar
from realmkit.sandbox.sipserver import SipServer
from realmkit.sandbox.webserver import WebServer
from tests.lab.server import base_zone, run, wait_for
from tests.lab.servers import Named, Unbound
from tests.lab.sipp import Sipp, Tally
from tests.lab.sipservers import Baresip, Kamailio, lines_of
from tests.lab.topology import Lab
from tests.unit.phonebook import configuration, read_json

CLOCK = SystemClock()
QUICK = Behaviour(boot=0.2, reload=0.1, retry=0.5)


@dataclass
class Platform:
    """An edge, DNS for an old and a new realm (the new one still empty), published files, phones."""

    lab: Lab
    kamailio: Kamailio
    registrar: KamailioRegistrar
    named: Named
    unbound: Unbound
    web: WebServer
    directory: Path
    fleet: Fleet
    old: str
    new: str

    def records(self) -> str:
        """NAPTR, SRV and A; the port stands in the SRV record alone, so whoever comes has asked for it."""
        return f"""@ NAPTR 10 10 "S" "SIP+D2U" "" _sip._udp
_sip._udp SRV 10 10 {self.kamailio.port} edge
edge A {self.kamailio.address}
"""

    def publish(self, realm: str, *names: str) -> None:
        for name in names:
            (self.directory / name).write_bytes(configuration(name, realm, expires=60))

    def allow(self, names: list[str], *realms: str) -> None:
        self.registrar.use({(name, realm): f"secret-of-{name}" for name in names for realm in realms})

    def account(self, name: str, realm: str) -> bytes:
        """A line of baresip's `accounts`."""
        who = f"<sip:{name}@{realm}>;auth_user={name};auth_pass=secret-of-{name};regint=60;answermode=auto;mwi=no"
        return f"{who};audio_source=aubridge,x;audio_player=aubridge,x\n".encode()

    def add(self, names: list[str], behaviour: Behaviour = QUICK) -> None:
        for name in names:
            self.fleet.add(name, self.web.url_of(name), behaviour, read_json)

    def rows(self, realm: str) -> set[str]:
        return {one.username for one in self.registrar.contacts() if one.realm == realm}

    def await_realm(self, realm: str) -> None:
        def there(seen: Seen) -> bool:
            return seen.registered_at is not None and seen.realm == realm

        assert self.fleet.await_all(there, 15) == {}


@pytest.fixture
def platform(own_lab: Lab, named: Named, unbound: Unbound, tmp_path: Path) -> Iterator[Platform]:
    old, new = (own_lab.zone_name(word) for word in ("old", "new"))
    kamailio = own_lab.start(Kamailio, port=15060)
    directory = tmp_path / "phones"
    directory.mkdir()
    with ExitStack() as stack:
        registrar = stack.enter_context(KamailioRegistrar(kamailio.rpc_url, CLOCK))
        web = stack.enter_context(WebServer(directory, CLOCK))
        fleet = stack.enter_context(Fleet(unbound.where, CLOCK))
        there = Platform(
            own_lab, kamailio, registrar, named, unbound, web, directory, fleet, old.rstrip("."), new.rstrip(".")
        )
        named.add_zone(old, base_zone(there.records()))
        named.add_zone(new, base_zone())
        for zone in (old, new):
            unbound.add_stub(zone, named)
        yield there


def test_a_realm_moves(platform: Platform, own_lab: Lab, tmp_path: Path) -> None:
    """Twenty simulated phones and a real one; the real one by hand, for no NOTIFY moves it."""
    old, new = platform.old, platform.new
    everybody = [f"u{number}" for number in range(20)]
    platform.publish(old, *everybody)
    platform.add(everybody)
    platform.allow([*everybody, "soft"], old)
    by_hand = tmp_path / "accounts"
    by_hand.write_bytes(platform.account("soft", old))
    baresip = own_lab.start(Baresip, resolver=platform.unbound.address, source=by_hand)
    platform.fleet.power_on()
    platform.await_realm(old)
    wait_for("baresip is at the old realm", lambda: platform.rows(old) == {*everybody, "soft"}, log=baresip.log_text)
    places = {seen.where for seen in platform.fleet.phones().values()}
    rows = {one.username: one for one in platform.registrar.contacts()}
    assert {rows[name].source for name in everybody} == places
    assert rows["soft"].source == baresip.where
    assert "baresip" in rows["soft"].user_agent
    assert platform.kamailio.options(f"sip:u7@{old}") == 200  # a call would reach it
    assert platform.kamailio.options(f"sip:u7@{new}") == 404

    zone = f"{new}."
    platform.named.zone_file(zone).write_text(base_zone(platform.records(), serial=2))
    run(*platform.named.control, "freeze", zone)
    run(*platform.named.control, "thaw", zone)
    wait_for("the new zone is served", lambda: platform.named.serial(zone) == 2)
    platform.allow([*everybody, "soft"], old, new)
    platform.publish(new, *everybody)
    began = CLOCK.monotonic()
    for name in everybody:
        assert platform.registrar.notify(name, old, "check-sync;reboot=false")
    platform.await_realm(new)
    assert CLOCK.monotonic() - began < 5
    by_hand.write_bytes(platform.account("soft", new))
    wait_for("baresip is at the new realm", lambda: "soft" in platform.rows(new), log=baresip.log_text)
    assert baresip.copies == 1
    assert platform.rows(new) == {*everybody, "soft"}
    assert platform.rows(old) >= set(everybody)  # two rows for one device until the old one goes
    platform.registrar.flush(old)
    assert platform.rows(old) == set()
    assert platform.rows(new) == {*everybody, "soft"}
    assert platform.kamailio.options(f"sip:u7@{old}") == 404
    assert platform.kamailio.options(f"sip:soft@{new}") == 200


def test_baresip_does_not_obey_notify(platform: Platform, own_lab: Lab, tmp_path: Path) -> None:
    by_hand = tmp_path / "accounts"
    by_hand.write_bytes(platform.account("soft", platform.old))
    platform.allow(["soft"], platform.old)
    baresip = own_lab.start(Baresip, resolver=platform.unbound.address, source=by_hand)
    wait_for("baresip is there", lambda: platform.rows(platform.old) == {"soft"}, log=baresip.log_text)
    before = platform.registrar.contacts()[0].registered_at
    assert platform.registrar.notify("soft", platform.old, "check-sync;reboot=false")
    wait_for("baresip answers", lambda: any(lines_of(baresip, "SIP/2.0 4")), log=baresip.log_text)
    assert platform.registrar.contacts()[0].registered_at == before
    assert not platform.registrar.notify("soft", platform.new, "check-sync")


# --- the sandbox's registrar has Kamailio's habits -------------------------------------------------------------------


class Caller:
    """Sends REGISTER from one socket; a new socket is a new source."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(3)
        self._cseq = itertools.count(1)
        self._id = os.urandom(6).hex()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, user: str, expires: int, proof: str = "") -> sip.Response:
        who = f"<sip:{user}@r.example>"
        mine = self._socket.getsockname()
        contact = "sip:{}@{}:{}".format(user, *mine)
        headers = (
            ("via", "SIP/2.0/UDP {}:{};branch=z9hG4bK{};rport".format(*mine, os.urandom(5).hex())),
            ("max-forwards", "70"),
            ("from", f"{who};tag=1"),
            ("to", who),
            ("call-id", self._id),
            ("cseq", f"{next(self._cseq)} REGISTER"),
            ("contact", f"<{contact}>"),
            ("expires", str(expires)),
            *((("authorization", proof),) if proof else ()),
        )
        self._socket.sendto(sip.encode(sip.Request("REGISTER", "sip:r.example", headers)), self._server)
        response = sip.parse(self._socket.recv(65535))
        assert isinstance(response, sip.Response)
        return response

    def register(self, user: str, password: str = "", expires: int = 60) -> list[int]:
        """The statuses: of the bare request, and where it was challenged of the one with a digest."""
        response = self.send(user, expires)
        if response.status != 401 or not password:
            return [response.status]
        asked = digest.read(response.get("www-authenticate"))
        assert asked["realm"] == "r.example"
        how = {"method": "REGISTER", "uri": "sip:r.example", "username": user, "password": password}
        return [401, self.send(user, expires, digest.answer(asked, **how, cnonce="c")).status]


def habits(registrar: Registrar, server: tuple[str, int]) -> list[object]:
    """What the edge says in a story of phones that come, come again, and are withdrawn."""
    told: list[object] = []
    allowed = {("a", "r.example"): "right", ("b", "R.Example"): 'odd "\\ pass:word'}

    def rows() -> list[tuple[str, str]]:
        return sorted((one.username, one.realm) for one in registrar.contacts())

    with Caller(server) as first, Caller(server) as second, Caller(server) as third:
        registrar.use(allowed)
        told += [first.register("nobody", "x"), first.register("a"), first.register("a", "wrong"), rows()]
        told += [first.register("a", "right", expires=3), rows()]  # too brief
        told += [first.register("a", "right"), second.register("b", 'odd "\\ pass:word'), rows()]
        told += [first.register("a"), second.register("a"), third.register("b", "wrong")]  # same source or not
        registrar.use({("b", "r.example"): "changed"})
        told += [first.register("a"), second.register("b"), third.register("a", "right"), rows()]  # sticky
        registrar.flush("r.exampl")
        registrar.flush("other.example", "a")
        registrar.flush("r.example", "nobody")
        told += [first.register("a"), rows()]
        registrar.flush("R.example", "a")
        told += [rows(), first.register("a", "right"), second.register("b"), rows()]
        told += [second.register("b", expires=0), rows(), second.register("b"), second.register("b", "changed")]
        registrar.flush("r.example")
        told += [rows(), second.register("b", "changed"), second.register("b"), rows()]
    return told


def test_the_embedded_registrar_has_kamailios_habits(own_lab: Lab) -> None:
    kamailio = own_lab.start(Kamailio, minimum=10)
    with KamailioRegistrar(kamailio.rpc_url, CLOCK) as registrar:
        real = habits(registrar, (kamailio.address, kamailio.port))
    with SipServer.embedded(CLOCK, minimum=10) as server:
        ours = habits(server.registrar, (server.address, server.port))
    assert ours == real
    assert [401, 200] in real
    assert [423] in real


def test_the_sticky_cache(platform: Platform) -> None:
    """A withdrawn phone goes on registering from the same source, until its row and its authorisation are flushed."""
    platform.publish(platform.old, "u1")
    platform.add(["u1"], Behaviour(boot=0.1, retry=0.3, refresh=0.005))  # it refreshes after 0.3 s
    platform.allow(["u1"], platform.old)
    platform.fleet.power_on()
    platform.await_realm(platform.old)
    platform.registrar.use({})
    before = platform.fleet.phones()["u1"].refreshes
    wait_for("it refreshes", lambda: platform.fleet.phones()["u1"].refreshes > before + 1)
    assert platform.rows(platform.old) == {"u1"}
    platform.registrar.flush(platform.old, "u1")
    wait_for("it is refused", lambda: platform.fleet.phones()["u1"].failures > 1)
    assert platform.fleet.phones()["u1"].log[-1].detail == "401"
    assert platform.rows(platform.old) == set()


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sipps(own_lab: Lab, tmp_path: Path) -> Iterator[tuple[Sipp, Sipp]]:
    """One that answers, and one that calls."""
    pair = tuple(Sipp(tmp_path / name, own_lab.address()) for name in ("uas", "uac"))
    yield pair[0], pair[1]
    for one in pair:
        one.stop()


def test_calls_are_held_through_kamailio(platform: Platform, sipps: tuple[Sipp, Sipp]) -> None:
    """While phones move, ten calls between others go on, and every one of them ends as it should."""
    answering, calling = sipps
    answering.answer()
    platform.kamailio.rpc("ul.add", "location", f"desk@{platform.old}", answering.contact, 600, "1.0", "", 0, 0, -1)
    calling.hold(platform.kamailio, [f"desk@{platform.old}"] * 10, seconds=1.5)
    everybody = [f"u{number}" for number in range(10)]
    platform.publish(platform.old, *everybody)
    platform.add(everybody)
    platform.allow(everybody, platform.old)
    platform.fleet.power_on()
    platform.await_realm(platform.old)
    platform.registrar.flush(platform.old)
    assert calling.result() == Tally(10, 10, 0)


def test_a_phone_that_reboots_in_a_call_cuts_it(platform: Platform, sipps: tuple[Sipp, Sipp]) -> None:
    """One waits for the end of its call, one reloads meanwhile, one does not care: SIPp sees one call cut of three."""
    calling = sipps[1]
    careful = Behaviour(boot=0.2, reload=0.1, sync=Sync.REBOOT, busy=Busy.LATER)
    names = ["waits", "reloads", "cuts"]
    platform.publish(platform.old, *names)
    platform.add(["waits"], careful)
    platform.add(["reloads"], Behaviour(boot=0.2, reload=0.1, busy=Busy.CUT))
    platform.add(["cuts"], Behaviour(boot=0.2, sync=Sync.REBOOT, busy=Busy.CUT))
    platform.allow(names, platform.old)
    platform.fleet.power_on()
    platform.await_realm(platform.old)
    calling.hold(platform.kamailio, [f"{name}@{platform.old}" for name in names], seconds=1.2)
    assert platform.fleet.await_all(lambda seen: seen.in_call, 5) == {}
    for name in names:
        assert platform.registrar.notify(name, platform.old, "check-sync")
    assert calling.result() == Tally(3, 2, 1)
    assert platform.fleet.await_all(lambda seen: not seen.in_call and seen.registered_at is not None, 5) == {}
    log = {name: [one.what for one in seen.log] for name, seen in platform.fleet.phones().items()}
    assert log["waits"].index(What.WAITS) < log["waits"].index(What.ENDED) < log["waits"].index(What.REBOOTS)
    assert What.CUT in log["cuts"]
    assert What.CUT not in log["reloads"]


# --- the lab's own parts ---------------------------------------------------------------------------------------------


def test_forty_phones_cost_few_calls(platform: Platform) -> None:
    names = [f"u{number}" for number in range(40)]
    platform.publish(platform.old, *names)
    platform.add(names)
    began = CLOCK.monotonic()
    platform.allow(names, platform.old, platform.new)
    platform.fleet.power_on()
    platform.await_realm(platform.old)
    assert len(platform.registrar.contacts()) == 40
    assert CLOCK.monotonic() - began < 5
    began = CLOCK.monotonic()
    for _ in range(10):
        platform.allow(names, platform.old, platform.new)  # nothing new, nothing sent
        assert len(platform.registrar.contacts()) == 40
    assert CLOCK.monotonic() - began < 2
    alone = [platform.fleet.measure(name) for name in names[:5]]
    assert max(alone) < 1


def test_kamailio_freezes_stops_and_leaves_nothing(own_lab: Lab) -> None:
    kamailio = own_lab.start(Kamailio)
    with KamailioRegistrar(kamailio.rpc_url, CLOCK) as registrar:
        registrar.use({("a", "r.example"): "x"})
        kamailio.freeze()
        assert kamailio.options(f"sip:{kamailio.where}", patience=0.3) == 0
        kamailio.thaw()
        wait_for("it is back", lambda: kamailio.options(f"sip:{kamailio.where}") == 200)
        inside = own_lab.namespace.processes()
        kamailio.stop()
        assert len(own_lab.namespace.processes()) < len(inside) - 3
        with pytest.raises(KamailioError, match=r"htable\.dump"):
            KamailioRegistrar(kamailio.rpc_url, CLOCK).use({})
        kamailio.start()  # the port is free again
        assert registrar.contacts() == []
        assert not registrar.notify("a", "r.example", "check-sync")
        registrar.use({("a", "r.example"): "x"})  # what the new one does not know
        assert kamailio.rpc("htable.get", "cred", "a@r.example")["item"]["value"] == "x"
