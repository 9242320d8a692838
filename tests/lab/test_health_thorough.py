"""Everything at once: a whole world of real servers, every check that it can hold, and nothing found.

Root, parent, two children, resolver; a SIP edge with TLS, a mail host, a portal. Then one thing after the other is
taken from it, and just that is found.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from realmkit.health.check import catalog
from tests.lab.healthproject import HealthProject, update
from tests.lab.server import KEY, wait_for
from tests.lab.servers import Knot, Named, Unbound
from tests.lab.tls import Authority, OpenSsl, SecureKamailio
from tests.lab.topology import Lab
from tests.lab.tree import plant

ZONE = "voice.example"
REALM = f"acme.{ZONE}"
# The lab is one network below an unsigned root, and no registry knows its names.
NOT_HERE = ("SEC01", "SEC02", "SEC03", "DEL06", "DEL10", "SCR03", "SCR06", "SIP09")
CONFIG = f"""\
version: 1
platform:
  edge:
    proxies:
      - {{host: east.{ZONE}, addresses: [EAST], priority: 10}}
      - {{host: west.{ZONE}, addresses: [WEST], priority: 20}}
    transports: {{udp: 5060, tcp: 5060, tls: 5061}}
    mail: [{{host: mx.{ZONE}}}]
providers:
  named: {{type: rfc2136, server: "NAMED", tsig: {{name: lab-key, secret: "file:tsig.key"}}}}
zones:
  {ZONE}: {{provider: named, rate_per_server: unlimited}}
realms:
  {REALM}: {{account: acme}}
whitelabel:
  {ZONE}:
    portal: {{addresses: [PORTAL], https: [443]}}
    www: {{cname: portal.{ZONE}}}
policy:
  ttl: 300
  migration_ttl: 60
  allow_private_addresses: true
  resolvers: ["UNBOUND"]
  health: {{issuers: [ca.lab.example], trust_store: ca.pem}}
"""
RECORDS = """\
$TTL 300
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ NS ns2
@ TXT "v=spf1 -all"
_dmarc TXT "v=DMARC1; p=reject"
@ CAA 0 issue "ca.lab.example"
ns1 A NAMED
ns2 A KNOT
east A EAST
west A WEST
mx A MAIL
portal A PORTAL
www CNAME portal
acme A EAST
acme A WEST
acme MX 10 mx
acme TXT "v=spf1 -all"
acme NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.acme
acme NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.acme
acme NAPTR 30 100 "S" "SIPS+D2T" "" _sips._tcp.acme
_sip._udp.acme SRV 10 50 5060 east
_sip._udp.acme SRV 20 50 5060 west
_sip._tcp.acme SRV 10 50 5060 east
_sip._tcp.acme SRV 20 50 5060 west
_sips._tcp.acme SRV 10 50 5061 east
_sips._tcp.acme SRV 20 50 5061 west
"""


@dataclass
class World:
    """Servers, and the project that they are for."""

    named: Named
    knot: Knot
    root: Named
    resolver: Unbound
    west: SecureKamailio
    portal: OpenSsl
    project: HealthProject

    def found(self, *args: str) -> set[tuple[str, str, str]]:
        skipped = [word for check in NOT_HERE for word in ("--skip", check)]
        return self.project.found("--thorough", *skipped, *args)


@pytest.fixture(scope="module")
def world(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("thorough")
    with lab.guest() as guest, ExitStack() as stack, guest.namespace.inside():
        authority = Authority(directory)
        named, knot = guest.start(Named), guest.start(Knot)
        pair = authority.issue(REALM)
        east, west = (guest.start(SecureKamailio, pair=pair) for _ in range(2))
        portal = guest.start(OpenSsl, port=443, pair=authority.issue(f"portal.{ZONE}"))
        mail = guest.address()
        tree = plant(guest, [
            f"voice NS ns1.voice\nvoice NS ns2.voice\nns1.voice A {named.address}\nns2.voice A {knot.address}"
        ])  # fmt: skip
        words = {
            "NAMED": named.address, "KNOT": knot.address, "EAST": east.address, "WEST": west.address,
            "PORTAL": portal.address, "MAIL": mail, "UNBOUND": tree.resolver.where,
        }  # fmt: skip
        named.add_zone(f"{ZONE}.", _filled(RECORDS, words), secondaries=(knot,))
        knot.add_secondary(f"{ZONE}.", named)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.issue(f"mx.{ZONE}").path)
        controller = Controller(object(), hostname=mail, port=25, tls_context=context)
        controller.start()
        stack.callback(controller.stop)
        project = HealthProject(directory / "project", ZONE, [named, knot], ["acme"])
        project.directory.mkdir()
        (project.directory / "realmkit.yml").write_text(_filled(CONFIG, words))
        (project.directory / "tsig.key").write_text(KEY.secret + "\n")
        (project.directory / "ca.pem").write_bytes(authority.root.read_bytes())
        yield World(named, knot, tree.root, tree.resolver, west, portal, project)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    assert world.found() == set()


def test_from_the_root_down_nothing_is_found_either_and_no_resolver_is_asked(world: World) -> None:
    config = world.project.directory / "realmkit.yml"
    before = config.read_text()
    resolver = f'  resolvers: ["{world.resolver.where}"]\n'
    assert resolver in before
    config.write_text(before.replace(resolver, f'  roots: ["{world.root.where}"]\n'))
    world.resolver.freeze()
    try:
        assert world.found("--skip", "PRO") == set()
    finally:
        world.resolver.thaw()
        config.write_text(before)


def test_every_check_that_the_world_can_hold_was_made(world: World) -> None:
    _code, printed = world.project.check("--thorough", "--format", "junit", "--no-state")
    assert all(f'.{check}"' in printed for check in catalog() if not check.startswith("RUN")), printed[:2000]


def test_from_cron_too_nothing_is_said(world: World) -> None:
    skipped = [word for check in NOT_HERE for word in ("--skip", check)]
    for _ in range(2):
        assert world.project.check("--cron", "--playbook", "dns-health", *skipped) == (0, "")


def test_a_proxy_that_is_down_is_named_at_each_of_its_ports(world: World) -> None:
    world.west.stop()
    try:
        assert {one[0] for one in world.found()} == {"SIP06", "SIP07"}
    finally:
        world.west.start()


def test_a_record_that_is_taken_away_everywhere_is_missing_and_fax_mail_with_it(world: World) -> None:
    update(world.named, ZONE, f"update delete {REALM}. MX")
    try:
        found = world.found("--skip", "PRO", "--skip", "CON01", "--skip", "CON02", "--skip", "CON07")
        assert {(check, subject) for check, subject, _ in found} >= {("MX01", f"{REALM}. MX")}
        assert not {one[0] for one in found} & {"SIP01", "SIP02", "SIP06", "SCR07"}
    finally:
        update(world.named, ZONE, f"update add {REALM}. 300 MX 10 mx.{ZONE}.")


def test_what_the_resolver_remembers_is_told_with_its_name(world: World) -> None:
    wait_for("the resolver has it", lambda: "10 mx" in world.resolver.query(REALM, "MX").to_text())
    changed = world.named.serial(f"{ZONE}.")
    update(world.named, ZONE, f"update delete {REALM}. MX", f"update add {REALM}. 300 MX 20 mx.{ZONE}.")
    try:
        wait_for("the secondary follows", lambda: world.knot.serial(f"{ZONE}.") != changed)
        assert world.found("--only", "PRO01") == {("PRO01", f"{REALM}. MX", world.resolver.address)}
    finally:
        update(world.named, ZONE, f"update delete {REALM}. MX", f"update add {REALM}. 300 MX 10 mx.{ZONE}.")
