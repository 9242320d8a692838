"""A whole hosted-PBX platform on this machine's loopback, with customers and their phones, for the demo.

Name server, Crossbar, SIP edge, a web server from which phones fetch their configuration, and the phones themselves,
each speaking what it speaks in the world: DNS, HTTP and SIP over sockets.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.dns.zonefiles.zonefile import read as read_zone
from realmkit.errors import RealmkitError
from realmkit.phones import catalog, model, readback
from realmkit.phones.render import Renderer
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.sandbox.fleet import Fleet
from realmkit.sandbox.nameserver import NameServer, ZoneFile
from realmkit.sandbox.phone import Behaviour, Sync
from realmkit.sandbox.sipserver import SipServer
from realmkit.sandbox.webserver import WebServer
from realmkit.secrets import Password

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from types import TracebackType

    from realmkit.clock import Clock
    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone
    from realmkit.phones.model import Model

OLD_ZONE: Final = "s.example.center"  # the platform's own, with its generated realms
EDGE: Final = "us-east.example.net"
EXPIRES: Final = 30
_MODELS: Final = ("yealink/t54w", "grandstream/grp2614", "yealink/t46s", "grandstream/grp2602")
_AWAKE: Final = 20.0  # seconds in which every phone must have registered


class Customer(Struct, frozen=True):
    """An account with its phones.

    Attributes:
        name: the account's.
        realm: the generated realm that it has.
        account: its id.
        devices: of its phones, in order.
        files: the configuration file of each phone.
    """

    name: str
    realm: str
    account: str
    devices: tuple[str, ...]
    files: tuple[str, ...]


class Platform:
    """The platform, while the `with` block runs.

    Args:
        directory: its own files: the zones of others, what the web server serves.
        zone_file: the reseller's zone, which realmkit changes; `zone` is its apex.
        clock: time.
        generation: which kind of cluster.
        realms: the generated realms, for the platform's own zone.

    Attributes:
        cluster: Crossbar's inside.
        published: the directory from which phones fetch.
    """

    def __init__(
        self,
        directory: Path,
        zone: Name,
        zone_file: Path,
        clock: Clock,
        generation: Generation,
        realms: Collection[str],
    ) -> None:
        self._stack = ExitStack()
        self._clock = clock
        self._zone, self._zone_file = zone, zone_file
        self.published = directory / "published"
        self.published.mkdir(parents=True)
        self._sip = SipServer.embedded(clock, minimum=5)
        self.cluster = Cluster(clock, self._sip.registrar, generation)
        self._crossbar = CrossbarServer(self.cluster)
        self._web = WebServer(self.published, clock)
        others = [_zone(OLD_ZONE, _old_zone(realms, self._sip.port)), _zone("example.net", _EDGE_ZONE)]
        self._names = NameServer([*others, ZoneFile(zone_file, partial(_load, zone_file, zone))])
        self._fleet = Fleet(self._names.address, clock)
        self._catalog = catalog.load(None)
        self._renderer = Renderer(self._catalog)
        self.reseller = self.cluster.add_account("Reseller", f"reseller.{OLD_ZONE}")

    def __enter__(self) -> Self:
        for part in (self._names, self._sip, self._crossbar, self._web, self._fleet):
            self._stack.enter_context(part)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def api_url(self) -> str:
        """Where Crossbar answers."""
        return self._crossbar.url

    @property
    def name_server(self) -> str:
        """Where DNS answers."""
        return self._names.address

    @property
    def sip_port(self) -> int:
        """Where the edge answers, on 127.0.0.1."""
        return self._sip.port

    def add_customer(self, name: str, realm: str, phones: int, *, deaf: int = 0) -> Customer:
        """An account with so many phones, all registered when this returns; the last `deaf` ignore check-syncs.

        Raises:
            RealmkitError: they did not register.
        """
        account = self.cluster.add_account(name, realm)
        made = [
            self._add_phone(name, account, realm, number, deaf=number > phones - deaf)
            for number in range(1, phones + 1)
        ]
        self._fleet.power_on()
        missing = self._fleet.await_all(lambda seen: seen.registered_at is not None, _AWAKE)
        if missing:
            raise RealmkitError(f"{len(missing)} simulated phones did not register: is loopback usable here?")
        return Customer(name, realm, account, tuple(device for device, _ in made), tuple(file for _, file in made))

    def registered_at(self, realm: str) -> int:
        """How many phones hold a registration at a realm."""
        return len(self._fleet.registered(realm))

    def _add_phone(self, name: str, account: str, realm: str, number: int, *, deaf: bool) -> tuple[str, str]:
        kind = self._catalog.models[_MODELS[number % len(_MODELS)]]
        digits = int(account[:4], 16) % 256
        mac = f"805ec0{digits:02x}{number:04x}"
        user, password = f"{name.lower()}-{number}", f"demo-{name}-{number:03}"
        device = self.cluster.add_device(account, {
            "name": f"{name} {number}", "mac_address": mac, "device_type": "sip_device",
            "sip": {"username": user, "password": password, "expire_seconds": EXPIRES},
            "provision": {"endpoint_brand": kind.vendor, "endpoint_model": kind.name.partition("/")[2]},
        })  # fmt: skip
        line = model.Line(user, user, Password(password), realm, f"{name} {number}", EXPIRES)
        files = self._renderer.render(model.Phone(mac, kind, f"{name} {number}", (line,), retry=2))
        for file in files:
            (self.published / file.name).write_bytes(file.content)
        read = partial(readback.read, kind.path)
        self._fleet.add(mac, self._web.url_of(files[0].name), _behaviour(kind, number, deaf=deaf), read)
        return device, files[0].name


_EDGE_ZONE: Final = "us-east IN A 127.0.0.1\n"


def _old_zone(realms: Collection[str], port: int) -> str:
    """Generated realms as this platform has them: an address, and an SRV set for the port of its edge."""
    lines = [
        f"{realm.removesuffix('.' + OLD_ZONE)} IN A 127.0.0.1\n_sip._udp.{realm}. IN SRV 10 50 {port} {EDGE}.\n"
        for realm in realms
    ]
    return "".join(lines)


def _zone(apex: str, records: str) -> Zone:
    head = "$TTL 60\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 5\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"
    return read_zone(Source(apex, head + records), names.absolute(apex))


def _load(path: Path, apex: Name) -> Zone:
    return read_zone(Source(str(path), path.read_text("latin-1")), apex)


def _behaviour(kind: Model, number: int, *, deaf: bool) -> Behaviour:
    """Phones of different haste; the event that a model knows is the one that the catalogue sends it."""
    event = (kind.event or "check-sync").partition(";")[0]
    return Behaviour(
        boot=0.2 + number % 3 * 0.1, reload=0.2 + number % 4 * 0.15, sync=Sync.NOTHING if deaf else Sync.RELOAD,
        events=("check-sync",) if event == "check-sync" else ("check-sync", event), retry=2.0,
    )  # fmt: skip
