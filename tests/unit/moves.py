"""A whole platform for tests of moves, in virtual time: project, zone, name server, Crossbar, phones.

Nothing of the move itself is made up: plans come from `operations.make_plan`, the real `Runner` carries them out with
the real client, publisher and DNS code. Only the clock, the platform and the phones are the sandbox's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from realmkit.config import Project, open_project
from realmkit.dns import names, rdata
from realmkit.dns.answer import lookup
from realmkit.dns.records import SOA, type_from_text
from realmkit.dns.work import workflow
from realmkit.dns.work.desk import Desk
from realmkit.kazoo.client import Crossbar
from realmkit.migrate import events as ev
from realmkit.migrate import operations
from realmkit.migrate.configs import Configs
from realmkit.migrate.journal import Journal
from realmkit.migrate.kit import Kit
from realmkit.migrate.machine import Decision
from realmkit.migrate.operations import Request
from realmkit.migrate.plan import Plan
from realmkit.migrate.runner import Report, Runner, quiet
from realmkit.migrate.state import State
from realmkit.phones import readback
from realmkit.phones.model import Line
from realmkit.phones.publish import open_publisher
from realmkit.phones.render import Renderer
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.sandbox.nameserver import NameServer
from realmkit.sandbox.phone import Behaviour, SimPhone, Sync
from realmkit.sandbox.virtual import VirtualClock, VirtualFleet
from realmkit.secrets import Password

OLD, NEW = "acme-old.voice.example.com", "acme.voice.example.com"
ZONE = names.absolute("voice.example.com")
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday morning: everybody works
NIGHT = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)  # when the first window opens
SECRET = "s3cret-of-{}-7fK2"
API_URL = "http://sandbox.invalid:8000/v2"
SHORT = {"bake": "1h", "watch": "5m"}  # inputs that make a move a matter of one night
LENIENT = SHORT | {"share": "60%"}  # and not every phone must come over

CONFIG = """\
version: 1
platform:
  kazoo: {{url: "{url}", api_key: "file:api.key"}}
  edge:
    proxies:
      - {{host: us-east.example.net, addresses: [198.51.100.10], priority: 10, weight: 50}}
      - {{host: us-west.example.net, addresses: [203.0.113.10], priority: 20, weight: 50}}
    transports: {{udp: 5060, tcp: 5060, tls: 5061}}
    mail: [{{host: mx1.example.net, preference: 10}}]
providers:
  files: {{type: zonefile, file: "{{zone}}.zone"}}
zones:
  voice.example.com: {{provider: files, nameservers: ["{server}"]}}
realms:
  acme-old.voice.example.com: {{}}
  acme.voice.example.com: {{account: acme}}
phones: {{publish: {{type: directory, path: published}}}}
"""

ZONE_TEXT = """\
$TTL 3600
@       IN SOA ns1 hostmaster ( 2026112200 7200 900 1209600 300 )
        IN NS  ns1
ns1     IN A   127.0.0.1
other   IN A   192.0.2.77 ; somebody else's, and nobody else's business
"""

ACCOUNT = """\
name: Acme
timezone: Etc/UTC
sites: [{name: HQ, hours: "Mo-Fr 08:00-18:00"}]
phones:
  Softphone: {moves: never}
"""


_CONFIGS: dict[str, Configs] = {}


def configs_of(project: Project) -> Configs:
    """What a project knows about phones; without templates of its own it is read once for all tests."""
    if (project.directory / "templates").exists():
        return Configs(project, "Etc/UTC")
    key = repr(project.config.phones)
    if key not in _CONFIGS:
        _CONFIGS[key] = Configs(project, "Etc/UTC")
    return _CONFIGS[key]


class Extension:
    """A phone of the account and its line, as people set it up."""

    def __init__(self, name: str, user_agent: str, brand: str | None, model: str | None, mac: str | None) -> None:
        self.name, self.user_agent, self.brand, self.model, self.mac = name, user_agent, brand, model, mac

    @property
    def username(self) -> str:
        return "user_" + self.name.lower().replace(" ", "_")

    @property
    def password(self) -> str:
        return SECRET.format(self.username)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": self.name,
            "device_type": "sip_device",
            "sip": {"username": self.username, "password": self.password},
            "x_unknown": {"kept": [1, 2]},
        }
        if self.mac:
            document["mac_address"] = self.mac
        if self.brand:
            document["provision"] = {"endpoint_brand": self.brand, "endpoint_model": self.model}
        return document


def yealink(number: int) -> Extension:
    mac = f"805ec0{number:06x}"
    return Extension(f"Desk {number}", f"Yealink SIP-T54W 96.86.0.23 {mac}", "yealink", "t54w", mac)


def grandstream(number: int) -> Extension:
    return Extension(f"Desk {number}", "Grandstream GRP2614 1.0.5.15", None, None, f"c074ad{number:06x}")


SOFTPHONE = Extension("Softphone", "Zoiper 5", None, None, None)
ACME = (yealink(1), yealink(2), grandstream(3), SOFTPHONE)


class Move:
    """One platform with one account whose phones are registered at OLD, and a journal for its move.

    Attributes:
        clock: virtual time.
        cluster: the platform.
        fleet: the phones, by the name of the file that they fetch.
        project: realmkit's project directory.
        journal: its journal of migrations.
    """

    def __init__(
        self, directory: Path, generation: Generation, cast: Iterable[Extension], stack: ExitStack, *,
        account: str = ACCOUNT, realm: str = OLD, now: datetime = START,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.cast = {one.name: one for one in cast}
        self._stack = stack
        self.clock = VirtualClock(now)
        (directory / "accounts").mkdir(parents=True)
        (directory / "published").mkdir()
        (directory / "accounts" / "acme.yml").write_text(account)
        (directory / "voice.example.com.zone").write_text(ZONE_TEXT)
        self.server = stack.enter_context(NameServer.of_file(ZONE, directory / "voice.example.com.zone"))
        self.write_config(lambda text: text)
        self.fleet = VirtualFleet(self.clock, dns=self._dns, configurations=self._published)
        self.cluster = Cluster(self.clock, self.fleet.registrar, generation)
        self.reseller = self.cluster.add_account("Reseller", "reseller.example.net")
        self.account = self.cluster.add_account("Acme", realm)
        (directory / "api.key").write_text(self.cluster.api_key(self.reseller) + "\n")
        (directory / "api.key").chmod(0o600)
        self.devices = {one.name: self.cluster.add_device(self.account, one.document()) for one in self.cast.values()}
        self.trunk = self.cluster.add_connectivity(self.account, TRUNK)
        self.box = self.cluster.add_fax_box(self.account, {"name": "Fax"})
        self.journal = stack.enter_context(Journal(None))
        self._looking: Desk | None = None

    # --- the project -------------------------------------------------------------------------------------------------

    def write_config(self, change: Callable[[str], str]) -> None:
        text = CONFIG.format(url=API_URL, server=self.server.address)
        (self.directory / "realmkit.yml").write_text(change(text))

    @property
    def project(self) -> Project:
        return open_project(self.directory)

    def desk(self) -> Desk:
        return Desk(self.project, self.clock)

    def publish_old(self) -> None:
        """OLD's records as realmkit publishes them, at their normal TTL."""
        desk = self.desk()
        planned = workflow.make_plan(desk, only=frozenset({names.absolute(OLD)}))
        workflow.apply_plan(desk, planned.file, verify_deadline=0)

    def crossbar(self) -> Crossbar:
        key = self.cluster.api_key(self.reseller)
        return Crossbar(API_URL, key, self.clock, transport=in_process(self.cluster), jitter=lambda: 0.5)

    # --- the phones --------------------------------------------------------------------------------------------------

    def file_of(self, name: str) -> str:
        """The name under which the fleet knows a phone: its configuration file."""
        one = self.cast[name]
        if one.mac is None:
            return one.name
        return f"{one.mac}.cfg" if one.brand == "yealink" else f"cfg{one.mac}.xml"

    def people(self, **behaviours: Behaviour) -> None:
        """Configure every phone for OLD, plug it in, and wait until all are registered.

        Args:
            behaviours: by the phone's name in lower case with underscores, where it is not a good phone.
        """
        configs = configs_of(self.project)
        renderer = Renderer(configs.catalog, None)
        for one in self.cast.values():
            read: Callable[[bytes], tuple[Line, ...]] = partial(_fixed, one)
            if one.mac is not None:
                model = configs.catalog.identify(
                    brand=one.brand, model=one.model, user_agent=one.user_agent, mac=one.mac
                )
                self._configure(one, model.name, renderer, configs)
                read = partial(readback.read, model.path)
            like = behaviours.get(one.name.lower().replace(" ", "_"), GOOD)
            like = Behaviour(
                **{field: getattr(like, field) for field in like.__struct_fields__} | {"user_agent": one.user_agent}
            )
            self.fleet.add(self.file_of(one.name), like, read)
        self.fleet.power_on()
        self.clock.sleep(60)
        assert {name: self.realms_of(name) for name in self.cast} == {
            name: [self.realm().lower()] for name in self.cast
        }

    def _configure(self, one: Extension, model: str, renderer: Renderer, configs: Configs) -> None:
        from realmkit.phones.model import Phone

        assert one.mac is not None
        line = Line(one.username, one.username, Password(one.password), self.realm(), display_name="before")
        phone = Phone(mac=one.mac, model=configs.catalog.models[model], name=one.name, lines=(line,))
        for file in renderer.render(phone):
            (self.directory / "published" / file.name).write_bytes(file.content)

    @contextmanager
    def acting(self, name: str) -> Iterator[SimPhone]:
        with self.fleet.acting(self.file_of(name)) as phone:
            yield phone

    def realms_of(self, name: str) -> list[str]:
        """The realms at which the edge holds a contact of that phone."""
        username = self.cast[name].username
        return sorted(one.realm for one in self.fleet.registrar.contacts() if one.username == username)

    def settle(self) -> None:
        """Let what nobody refreshes any more run out."""
        self.clock.sleep(3 * 3600)

    # --- the move ----------------------------------------------------------------------------------------------------

    def plan(
        self, *, approved: bool = True, change: Callable[[Plan], Plan] = lambda plan: plan, **more: Any
    ) -> Plan:  # fmt: skip
        """Plan, write it down and approve it."""
        given = {"name": "acme", "inputs": SHORT, "deadline": "14d"} | more
        if given.get("playbook") == "realm-cutover":
            given["inputs"] = {key: value for key, value in given["inputs"].items() if key != "bake"}
        with self.crossbar() as crossbar:
            made = change(operations.make_plan(self.desk(), Request(**given), crossbar))
        self.journal.append(made.name, self.clock.now(), ev.Planned(made))
        if approved:
            operations.approve(self.journal, made.name, "Jane", None, self.clock.now())
        return made

    @contextmanager
    def runner(self, tell: Callable[[Report], None] = quiet, **more: Any) -> Iterator[Runner]:
        """A new process, as it were."""
        project = self.project
        publisher = open_publisher(project) if project.config.phones else None
        try:
            with self.crossbar() as crossbar:
                kit = Kit(Desk(project, self.clock), crossbar, publisher, configs_of(project), self.clock)
                yield Runner(kit, self.journal, "acme", tell, **more)
        finally:
            if publisher is not None:
                publisher.close()

    def run(self, tell: Callable[[Report], None] = quiet, horizon: float = float("inf")) -> Decision:
        with self.runner(tell) as runner:
            return runner.run(horizon)

    def turn_back(self) -> Decision:
        """What `migrate rollback` does."""
        with self.runner() as runner:
            if runner.state.halted is None:
                operations.check_turn(runner.state)
                runner.write(ev.Halted("Jane", "test"))
            return runner.run(float("inf"))

    def again(self) -> Decision:
        """What `migrate run` does: failed tasks are tried again."""
        from realmkit.migrate import carry

        with self.runner() as runner:
            carry._settle(runner, carry.Order("Jane", retry=True))
            return runner.run(float("inf"))

    @property
    def state(self) -> State:
        return operations.stand(self.journal, "acme")

    def secrets(self) -> list[str]:
        """What nobody may find anywhere but where it belongs."""
        return [one.password for one in self.cast.values()] + [self.cluster.api_key(self.reseller)]

    # --- the world ---------------------------------------------------------------------------------------------------

    def realm(self) -> str:
        return str(self.cluster.document(self.account)["realm"])

    def pins(self) -> dict[str, str | None]:
        """The realm that each device has of its own."""
        return {name: self.cluster.document(one)["sip"].get("realm") for name, one in self.devices.items()}

    def files(self) -> dict[str, bytes]:
        """What phones can fetch."""
        folder = self.directory / "published"
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def records(self) -> dict[Any, Any]:
        """The zone without its SOA."""
        self._looking = self._looking or self.desk()
        rrsets = self._looking.snapshots([ZONE])[ZONE].rrsets
        return {key: (rrset.ttl, rrset.rdata) for key, rrset in rrsets.items() if key[1] != SOA}

    def world(self) -> dict[str, Any]:
        """Everything that a move may change."""
        return {
            "account": self.cluster.document(self.account),
            "devices": {name: self.cluster.document(one) for name, one in self.devices.items()},
            "trunk": self.cluster.document(self.trunk),
            "box": self.cluster.document(self.box),
            "files": self.files(),
            "records": self.records(),
        }

    def _published(self, name: str) -> bytes | None:
        path = self.directory / "published" / name
        return path.read_bytes() if path.is_file() else b"-"

    def _dns(self, name: str, kind: str) -> tuple[str, ...]:
        asked, number = names.absolute(name), type_from_text(kind)
        zones = self.server.zones()
        apex = names.closest(asked, zones)
        if apex is None:
            return ("198.51.100.10",) if kind == "A" else ()
        answer = lookup(zones[apex], asked, number)
        if answer.rrset is None or answer.rrset.type != number:
            return ()
        return tuple(rdata.to_text(number, octets) for octets in answer.rrset.rdata)


GOOD = Behaviour(boot=10.0, reload=2.0, events=("check-sync", "resync"))
DEAF = Behaviour(sync=Sync.NOTHING)
TRUNK = {
    "name": "Trunk", "account": {"credentials": {"prepay": "0.0"}, "trunks": 0, "inbound_trunks": 0, "auth_realm": OLD},
    "servers": [], "type": "sys_info", "billing_account_id": "",
}  # fmt: skip


@contextmanager
def a_move(directory: Path, generation: Generation = Generation.NEWER, **more: Any) -> Iterator[Move]:
    """A platform with its phones plugged in. `behaviours` are those of `Move.people`, `cast` who is there."""
    behaviours: Mapping[str, Behaviour] = more.pop("behaviours", {})
    cast = more.pop("cast", ACME)
    with ExitStack() as stack:
        move = Move(directory, generation, cast, stack, **more)
        move.publish_old()
        move.people(**behaviours)
        yield move
    shutil.rmtree(directory, ignore_errors=True)


def moved(move: Move) -> list[str]:
    """Who was seen at NEW, by name."""
    return [name for name, device in move.devices.items() if device in move.state.members("moved")]


def everybody(move: Move, names: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Where the edge holds contacts of whom."""
    return {name: move.realms_of(name) for name in names or move.cast}


def failed(move: Move) -> list[str]:
    """What failed, as people read it: phone, task, words."""
    names = {device: name for name, device in move.devices.items()}
    found = []
    for event in move.journal.events("acme"):
        if isinstance(event.what, ev.Ended) and event.what.outcome == "failed":
            parts = event.what.task.split("/")
            found.append(f"{names.get(parts[1], parts[0])}: {parts[-1]}: {event.what.detail}")
    return found


def _fixed(one: Extension, _content: bytes) -> tuple[Line, ...]:
    """The line of a phone that somebody configured by hand."""
    return (Line(one.username, one.username, Password(one.password), OLD),)
