"""The whole of a reseller's platform, in small and for real, with an account that is about to move.

named and knot hold the zones, unbound is what phones ask, Kamailio is the edge, sshd takes configurations that a web
server gives to phones, Crossbar answers over HTTP with its real request tokens. Phones are simulated ones with sockets
of their own and real baresips; SIPp calls them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.migrate.configs import Configs
from realmkit.phones import readback
from realmkit.phones.model import Line, Phone
from realmkit.phones.render import Renderer
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.sandbox.fleet import Fleet
from realmkit.sandbox.handset import Seen
from realmkit.sandbox.kamailio import KamailioRegistrar
from realmkit.sandbox.phone import What
from realmkit.sandbox.webserver import WebServer
from realmkit.secrets import Password
from tests.lab import topology
from tests.lab.move.cast import TAME, Kind, Member
from tests.lab.move.hands import Hands, replace
from tests.lab.move.prober import Prober
from tests.lab.move.user import EXPIRES, TTL, User
from tests.lab.server import wait_for
from tests.lab.servers import Unbound
from tests.lab.sipp import Sipp, Tally
from tests.lab.sipservers import Baresip, Kamailio
from tests.lab.sshd import Sshd
from tests.lab.topology import Lab

CLOCK = SystemClock()
REPEATS = 1.4  # a phone that restarts is away for longer than the edge repeats a NOTIFY: 45 s and 32 s, scaled alike
SIP_PORT = 15060  # stands in SRV records alone: who comes here has asked for them


class Crossbar(Cluster):
    """The platform, counting what it is asked."""

    def __init__(self, registrar: KamailioRegistrar, generation: Generation) -> None:
        super().__init__(CLOCK, registrar, generation)
        self.requests: Counter[str] = Counter()

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        answer = super().handle(method, path, query, headers, body)
        what = "/".join(part for part in path.split("/") if len(part) < 32)
        self.requests[f"{method} {what} {answer[0]}"] += 1
        return answer


class Stage:
    """One lab for one story.

    Args:
        lab: starts its servers.
        dns: the primary and secondary for its zones.
        unbound: the phones' resolver.
        directory: the user's project goes there.
        generation: of the platform.
        cast: the account's phones.
    """

    def __init__(
        self, lab: Lab, dns: topology.Cluster, unbound: Unbound, directory: Path, generation: Generation,
        cast: Sequence[Member],
    ) -> None:  # fmt: skip
        self.lab, self.dns, self.unbound, self.generation, self.cast = lab, dns, unbound, generation, tuple(cast)
        self.zones = [lab.zone_name(word) for word in ("old", "new", "plat")]
        old, new, self._ours = (zone.rstrip(".") for zone in self.zones)
        self.user = User(directory / "project", f"acme.{old}", f"acme.{new}")
        self.devices: dict[str, str] = {}  # by name of the phone
        self._stack = ExitStack()
        self._calls: list[tuple[Sipp, threading.Thread]] = []
        self._over = threading.Event()

    def __enter__(self) -> Self:
        with self._stack:
            self._start_servers()
            self._make_account()
            self._make_project()
            self._make_phones()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- building ---------------------------------------------------------------------------------------------------

    def _start_servers(self) -> None:
        self.kamailio = self.lab.start(Kamailio, port=SIP_PORT, minimum=5, maximum=EXPIRES, repeats=REPEATS)
        self.sshd = self.lab.start(Sshd)
        for zone in self.zones:
            soa = f"@ {TTL} SOA ns1.lab.example. hostmaster.lab.example. 1 60 5 3600 2"
            wild = f"* A {self.kamailio.address}\n* MX 10 mx1.{self.zones[2]}\n"
            more = f"edge A {self.kamailio.address}\nmx1 A {self.kamailio.address}\n" if zone == self.zones[2] else wild
            self.dns.add_zone(zone, f"$TTL {TTL}\n{soa}\n@ NS ns1.lab.example.\n{more}")
            self.unbound.add_stub(zone, *self.dns.servers)
        self.registrar = self._stack.enter_context(KamailioRegistrar(self.kamailio.rpc_url, CLOCK))
        self.crossbar = Crossbar(self.registrar, self.generation)
        self.server = self._stack.enter_context(CrossbarServer(self.crossbar))
        self.web = self._stack.enter_context(WebServer(self.sshd.root, CLOCK))
        self.fleet = self._stack.enter_context(Fleet(self.unbound.where, CLOCK))

    def _make_account(self) -> None:
        """A reseller with two customers: ours, and one whom nobody may touch."""
        there = self.crossbar
        self.reseller = there.add_account("Reseller", f"reseller.{self._ours}")
        self.account = there.add_account("Acme", self.user.old, "America/Bogota")
        for member in self.cast:
            self.devices[member.name] = there.add_device(self.account, member.document())
        trunk = {"auth": {"auth_method": "Password", "auth_user": "pbx_1", "auth_password": "trunk pass"}}
        self.trunk = there.add_connectivity(self.account, {"name": "PBX", "servers": [trunk | {"server_name": "PBX"}]})
        self.fax = there.add_fax_box(self.account, {"name": "Fax"})
        self.neighbour = there.add_account("Neighbour", f"neighbour.{self._ours}")
        sip = {"username": "user_1", "password": "another's"}
        self.foreign = there.add_device(self.neighbour, {"name": "Desk 1", "sip": sip})

    def _make_project(self) -> None:
        self.user.write_project(
            crossbar=self.server.url, api_key=self.crossbar.api_key(self.reseller), primary=self.dns.primary,
            servers=[one.where for one in self.dns.servers], sshd=self.sshd,
            edge=(f"edge.{self._ours}", self.kamailio.address, SIP_PORT), mail=f"mx1.{self._ours}",
        )  # fmt: skip
        self.user.write_account({one.name: one.kind.moves for one in self.cast if one.kind.moves})
        self.user.run("dns", "apply", self.user.old, "--yes")  # the account has been ours for long

    def _make_phones(self) -> None:
        """Each with a configuration that somebody else's system wrote, and that says the old realm."""
        configs = Configs(open_project(self.user.directory), "America/Bogota")
        renderer = Renderer(configs.catalog)
        for member in self.cast:
            model = configs.catalog.models[member.kind.model]
            line = Line(
                username=member.username, auth_id=member.username, password=Password(member.password),
                realm=self.user.old, display_name=member.name, expires=EXPIRES, transport="dns",
            )  # fmt: skip
            for file in renderer.render(Phone(member.mac, model, member.name, (line,))):
                mark = b"<!-- by hand, 2019 -->\n" if file.name.endswith(".xml") else b"# by hand, 2019\n"
                (self.sshd.root / file.name).write_bytes(file.content.replace(TAME, b"") + mark)
            first = model.files(member.mac)[0]
            if member.kind.behaviour is not None:
                read = partial(readback.read, model.path)
                self.fleet.add(member.name, self.web.url_of(first), member.kind.behaviour, read)

    def published(self, member: Member) -> Path:
        """The file that a phone's line comes from."""
        suffixes = {"yealink": "{}.cfg", "grandstream": "cfg{}.xml", "baresip": "{}.accounts"}
        return self.sshd.root / suffixes[member.kind.model.partition("/")[0]].format(member.mac)

    # --- phones -----------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """All phones come up and register at the old realm."""
        by_hand = []
        for member in self.cast:
            if member.real:
                published, mine = self.published(member), self.user.directory.with_name(member.username)
                mine.write_bytes(published.read_bytes())
                self.lab.start(Baresip, resolver=self.unbound.address, source=mine)
                by_hand.append((published, mine, member.username))
        self._stack.enter_context(Hands(by_hand, self.registrar))
        self.fleet.power_on()
        self.await_all(self.user.old)

    def await_all(self, realm: str) -> None:
        """Wait until every phone is registered there and a call would reach it."""

        def reached() -> bool:
            rows = {(one.username, one.realm) for one in self.registrar.contacts()}
            there = all((member.username, realm) in rows for member in self.cast)
            return there and all(self.crossbar.rings(device) for device in self.devices.values())

        wait_for(f"all phones are at {realm}", reached, 20, log=lambda: str(self.where()))

    def where(self) -> dict[str, set[str]]:
        """At which realms the edge holds each phone, by its name."""
        names = {member.username: member.name for member in self.cast}
        found: dict[str, set[str]] = {member.name: set() for member in self.cast}
        for row in self.registrar.contacts():
            found[names[row.username]].add(row.realm)
        return found

    def reached(self) -> set[str]:
        """The phones that a call reaches now: through the edge, at the address that the platform dials."""
        return {
            name for name, device in self.devices.items()
            if self.crossbar.rings(device) and self.kamailio.options(f"sip:{self.crossbar.dial(device)}") == 200
        }  # fmt: skip

    def await_reached(self) -> None:
        """Wait until a call reaches every phone, wherever it is."""
        wait_for(
            "every phone rings", lambda: self.reached() == set(self.devices), EXPIRES, log=lambda: str(self.where())
        )

    def seen(self) -> Mapping[str, Seen]:
        """Every simulated phone as it is now."""
        return self.fleet.phones()

    def measure(self, *, each: bool = False) -> dict[str, float]:
        """Own time of each phone: alone, from being told until it is registered again, in seconds.

        Args:
            each: measure every phone; else one of each kind, in the place of all of that kind.
        """
        by_kind: dict[Kind, float] = {}
        found: dict[str, float] = {}
        for member in self.cast:
            if each or member.kind not in by_kind:
                by_kind[member.kind] = self._measure(member)
            found[member.name] = by_kind[member.kind]
        return found

    def _measure(self, member: Member) -> float:
        if not member.real:
            obeys = member.kind.obeys
            return self.fleet.measure(member.name, event=member.kind.told(self.generation)) if obeys else 0.0
        before = self._call_ids(member)
        began = CLOCK.monotonic()
        replace(self.published(member), self.published(member).read_bytes() + b"# touched\n")
        wait_for(f"{member.name} is back", lambda: bool(self._call_ids(member) - before), 20)
        return CLOCK.monotonic() - began

    def _call_ids(self, member: Member) -> set[str]:
        return {one.call_id for one in self.registrar.contacts() if one.username == member.username}

    @contextmanager
    def probed(self) -> Iterator[Prober]:
        """Ask all the while whether a call would reach each phone."""
        names = {device: name for name, device in self.devices.items()}
        with Prober(self.crossbar, (self.kamailio.address, SIP_PORT), names) as prober:
            yield prober

    # --- calls ------------------------------------------------------------------------------------------------------

    def hold(self, names: Sequence[str], seconds: float) -> None:
        """SIPp calls these phones through Kamailio and holds the calls; the platform knows of each till it is over."""
        members = [member for member in self.cast if member.name in names]
        sipp = Sipp(self.user.directory.parent / f"sipp-{len(self._calls)}", self.lab.address())
        self._stack.callback(sipp.stop)
        channels = {member.name: self.crossbar.put_channel(self.devices[member.name]) for member in members}
        pings = max(2, round(seconds / 2))
        sipp.hold(self.kamailio, [f"{one.username}@{self.user.old}" for one in members], seconds=seconds, pings=pings)
        late = self.fleet.await_all(lambda phone: phone.in_call or phone.name not in channels, 5)
        assert not late, late
        watcher = threading.Thread(target=self._end_channels, args=(channels,), name="calls", daemon=True)
        watcher.start()
        self._stack.callback(watcher.join)
        self._stack.callback(self._over.set)
        self._calls.append((sipp, watcher))

    def _end_channels(self, channels: dict[str, str]) -> None:
        while channels and not self._over.wait(0.05):
            phones = self.fleet.phones()
            for name in [name for name in channels if not phones[name].in_call]:
                self.crossbar.end_channel(channels.pop(name))

    def calls(self) -> Tally:
        """How all held calls ended, once they have; phones that cut one themselves say so."""
        tallies = [sipp.result(90) for sipp, _ in self._calls]
        for _, watcher in self._calls:
            watcher.join(5)
        cut = sum(event.what is What.CUT for phone in self.seen().values() for event in phone.log)
        found = Tally(*(sum(getattr(one, name) for one in tallies) for name in ("begun", "whole", "cut")))
        assert found.cut == cut, f"SIPp saw {found.cut} calls cut, the phones {cut}"
        return found
