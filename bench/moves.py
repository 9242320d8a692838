"""What a planned move costs before anything moves: rehearsing it, and asking where it stands."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from bench import measure
from bench.cases import REALMKIT, Row
from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.dns import names
from realmkit.dns.work.desk import Desk
from realmkit.migrate import operations
from realmkit.migrate.journal import Journal
from realmkit.phones.model import Line
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.sandbox.nameserver import NameServer
from realmkit.sandbox.phone import Behaviour
from realmkit.sandbox.virtual import VirtualClock, VirtualFleet
from realmkit.secrets import Password

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.topology import Lab

PHONES = 100
OLD = "vru8a3q.s.example.center"
ZONE = """\
$TTL 3600
@ IN SOA ns1 hostmaster 1 7200 900 1209600 300
@ IN NS ns1
ns1 IN A 127.0.0.1
"""
CONFIG = """\
version: 1
platform:
  kazoo: {{url: "{api}", api_key: "file:api.key"}}
  edge:
    proxies: [{{host: us-east.example.net, addresses: [198.51.100.10]}}]
    transports: {{udp: 5060}}
    mail: [{{host: mx1.example.net, preference: 10}}]
providers: {{files: {{type: zonefile, file: "{{zone}}.zone"}}}}
zones: {{voice.example.com: {{provider: files, nameservers: ["{server}"]}}}}
realms: {{acme.voice.example.com: {{account: acme}}}}
phones: {{publish: {{type: directory, path: published}}}}
"""
ACCOUNT = """\
name: Acme
timezone: America/Bogota
sites: [{name: HQ, country: CO, hours: "Mo-Fr 08:00-18:00; PH off"}]
"""


def moves(_lab: Lab, directory: Path) -> list[Row]:
    """A move of a hundred phones over two weeks: planned, then rehearsed and asked after."""
    _planned(directory)
    nothing, told = measure.least(
        [
            ([sys.executable, "-c", "pass"], None, None),
            ([*REALMKIT, "-C", str(directory), "migrate", "status", "acme"], None, "nobody has approved"),
        ],
        15,
    )
    (rehearsed,) = measure.least(
        [([*REALMKIT, "-C", str(directory), "migrate", "rehearse", "acme"], None, "it would work")], 3
    )
    ratio = told.wall / nothing.wall
    status = f"{told.wall * 1000:.0f} ms", f"python -c pass {nothing.wall * 1000:.0f} ms"
    return [
        Row(
            "rehearsal of a 14-day move of 100 phones", f"{rehearsed.wall:.1f} s", "", "", "≤ 5 s", rehearsed.wall <= 5
        ),
        Row("migrate status of that move", *status, f"{ratio:.1f}", "≤ 60", ratio <= 60),
    ]


def _planned(directory: Path) -> None:
    """A project with a planned move; the platform that it was planned on is gone afterwards."""
    (directory / "accounts").mkdir(parents=True)
    (directory / "published").mkdir()
    zone_file = directory / "voice.example.com.zone"
    zone_file.write_text(ZONE)
    clock = VirtualClock(SystemClock().now())
    fleet = VirtualFleet(clock, dns=_anywhere, configurations=lambda _: b"-")
    cluster = Cluster(clock, fleet.registrar, Generation.NEWER)
    cluster.buckets.size = cluster.buckets.refill = 1_000_000  # its clock stands still while it is read
    reseller = cluster.add_account("Reseller", "reseller.s.example.center")
    account = cluster.add_account("Acme", OLD)
    for number in range(PHONES):
        _phone(cluster, fleet, account, number)
    fleet.power_on()
    clock.sleep(60)
    with NameServer.of_file(names.absolute("voice.example.com"), zone_file) as server, CrossbarServer(cluster) as api:
        (directory / "realmkit.yml").write_text(CONFIG.format(api=api.url, server=server.address))
        (directory / "api.key").write_text(cluster.api_key(reseller))
        (directory / "accounts" / "acme.yml").write_text(ACCOUNT)
        desk = Desk(open_project(directory), SystemClock())
        plan = operations.make_plan(desk, operations.Request("acme", inputs={"bake": "4d"}))
        with Journal.of(desk.project.state_dir) as journal:
            operations.keep_plan(journal, plan)


def _phone(cluster: Cluster, fleet: VirtualFleet, account: str, number: int) -> None:
    user, password = f"user{number}", f"password{number:03}"
    cluster.add_device(account, {
        "name": f"Desk {number}", "mac_address": f"805ec0{number:06x}",
        "sip": {"username": user, "password": password},
        "provision": {"endpoint_brand": "yealink", "endpoint_model": ("t54w", "t46s")[number % 2]},
    })  # fmt: skip
    fleet.add(user, Behaviour(boot=1.0), partial(_line, Line(user, user, Password(password), OLD)))


def _line(line: Line, _content: bytes) -> tuple[Line, ...]:
    return (line,)


def _anywhere(_name: str, kind: str) -> tuple[str, ...]:
    return ("192.0.2.1",) if kind == "A" else ()
