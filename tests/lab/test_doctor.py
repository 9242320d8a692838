"""Misconfigurations planted one by one: `realmkit doctor` finds each, and names the line that mends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.dns import doctor, registry
from realmkit.dns.desk import Desk
from tests.lab.server import KEY, base_zone
from tests.lab.servers import Knot, Named, PowerDns, Unbound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realmkit.dns.checkup import Check
    from tests.lab.topology import Lab

ZONE = "doctor.example"
CONFIG = """\
version: 1
platform:
  edge:
    proxies:
      - {host: us-east.doctor.example, addresses: [198.51.100.10]}
    transports: {udp: 5060}
    mail:
      - {host: mx.doctor.example}
providers:
  pdns:
    type: powerdns
    url: "URL"
    api_key: "file:api.key"
    nameservers: [ns.doctor.example]
  ours:
    type: rfc2136
    server: "NAMED"
    tsig: {name: lab-key, secret: "file:tsig.key"}
zones:
  doctor.example:
    provider: pdns
  other.example:
    provider: ours
    nameservers: ["NAMED"]
realms:
  acme.doctor.example: {account: acme}
policy:
  ttl: 3600
  resolvers: ["RESOLVER"]
"""


@dataclass(frozen=True)
class World:
    """Servers that are in order, and a project that is."""

    named: Named
    pdns: PowerDns
    parent: Knot
    resolver: Unbound

    def config(self) -> str:
        words = {"URL": self.pdns.api_url, "NAMED": self.named.where, "RESOLVER": self.resolver.where}
        text = CONFIG
        for word, value in words.items():
            text = text.replace(word, value)
        return text


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as own:
        root, parent, named, pdns = own.start(Named), own.start(Knot), own.start(Named), own.start(PowerDns)
        root.add_zone(".", "\n".join([
            "$TTL 3600", "@ SOA ns.example. h.example. 1 60 5 3600 60", "@ NS ns.root.example.",
            f"ns.root.example. A {root.address}", "example. NS ns.example.", f"ns.example. A {parent.address}", "",
        ]))  # fmt: skip
        parent.add_zone("example.", "\n".join([
            "$TTL 3600", "@ SOA ns h 1 60 5 3600 60", "@ NS ns", f"ns A {parent.address}", f"ns.root A {root.address}",
            "doctor NS ns.doctor", f"ns.doctor A {pdns.address}", "other NS ns.doctor",
            "moved NS elsewhere", f"elsewhere A {named.address}", "",
        ]))  # fmt: skip
        here = base_zone(f"ns A {pdns.address}\nus-east A 198.51.100.10\nmx A 198.51.100.11")
        pdns.add_zone(f"{ZONE}.", here.replace("ns1.lab.example.", f"ns.{ZONE}."))
        pdns.add_zone("moved.example.", here.replace("ns1.lab.example.", f"ns.{ZONE}."))
        aliased = here.replace("us-east A 198.51.100.10", "acme ALIAS lb.example.net.")
        pdns.add_zone("aliased.example.", aliased.replace("ns1.lab.example.", f"ns.{ZONE}."))
        named.add_zone("other.example.", base_zone())
        yield World(named, pdns, parent, own.start(Unbound, root=root))


def examined(world: World, directory: Path, text: str) -> list[Check]:
    (directory / "realmkit.yml").write_text(text)
    (directory / "api.key").write_text(world.pdns.api_key)
    (directory / "wrong.key").write_text("bm90IHRoZSBrZXkgYnV0IG9uZSBvZiB0aGUgc2FtZSBsZW5ndGg=")
    (directory / "tsig.key").write_text(KEY.secret)
    clock = SystemClock()
    return list(doctor.examine(directory, clock, lambda: Desk(open_project(directory), clock)))


def bad(checks: list[Check]) -> list[Check]:
    """What is not fine, but for the clock of a container, which nobody synchronises."""
    return [check for check in checks if check.state != "ok" and check.name != "clock"]


@dataclass(frozen=True)
class Planted:
    """One misconfiguration.

    Attributes:
        old: what is replaced in the configuration,
        new: and by what.
        line: a piece of the line that is to be named, in the changed text.
        said: what must be said of it.
        state: how the check must stand.
        setup: what must be done beside.
    """

    old: str
    new: str
    line: str
    said: str
    state: str = "failed"
    setup: Callable[[pytest.MonkeyPatch], None] = field(default=lambda _patch: None)


def _without_httpx(patch: pytest.MonkeyPatch) -> None:
    there = registry.find_spec
    patch.setattr(registry, "find_spec", lambda name: None if name == "boto3" else there(name))


PLANTED = {
    "an extra that is not installed": Planted(
        "type: powerdns\n    url", "type: route53\n    url", "type: route53", "pip install 'realmkit[route53]'",
        setup=_without_httpx),
    "a type that does not exist": Planted("type: powerdns", "type: power-dns", "pdns:", "unknown provider type"),
    "a setting that does not exist": Planted("api_key:", "api_kee:", "api_kee", "did you mean 'api_key'?"),
    "a provider that is not configured": Planted(
        "provider: pdns", "provider: pdsn", "provider: pdsn", "known are: pdns, ours"),
    "a secret that is not set": Planted(
        '"file:api.key"', '"env:REALMKIT_NOT_SET"', "env:REALMKIT_NOT_SET", "is not set"),
    "a secret's file that is not there": Planted('"file:tsig.key"', '"file:gone.key"', "file:gone.key", "can't read"),
    "a wrong API key": Planted('"file:api.key"', '"file:wrong.key"', "file:wrong.key", "refused the API key"),
    "a wrong TSIG key": Planted('"file:tsig.key"', '"file:wrong.key"', "file:wrong.key", "lab-key"),
    "an API where nothing listens": Planted(":8081", ":1", ":1", "no answer", "unknown"),
    "a zone that the provider does not have": Planted(
        "  doctor.example:", "  sub.doctor.example:\n    provider: pdns\n  doctor.example:", "provider: pdns",
        "has no zone"),
    "a zone that the world finds elsewhere": Planted(
        "  other.example:\n    provider: ours", "  moved.example:\n    provider: pdns\n  other.example:\n    provider: ours",
        "provider: pdns #moved", "the world is led to elsewhere.example, and the provider's servers are ns.doctor.example"),
    "a server that does not know the zone": Planted(
        "    provider: pdns", '    provider: pdns\n    nameservers: ["NAMED"]', "doctor.example:", "lame"),
    "an alias where a realm is wanted": Planted(
        "realms:\n", "realms:\n  acme.aliased.example: {}\n", "acme.aliased.example", "stands ALIAS"),
    "a realm that lies in no zone": Planted(
        "  acme.doctor.example:", "  acme.nowhere.example:", "acme.nowhere.example", "lies in no zone"),
}  # fmt: skip


def test_a_project_in_order_has_nothing_to_mend(world: World, tmp_path: Path) -> None:
    assert bad(examined(world, tmp_path, world.config())) == []


@pytest.mark.parametrize("name", PLANTED)
def test_it_is_found_and_its_line_is_named(
    world: World, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = PLANTED[name]
    planted.setup(monkeypatch)
    text = world.config().replace(planted.old, planted.new.replace("NAMED", world.named.where), 1)
    if "aliased" in planted.new:
        text = text.replace("zones:\n", 'zones:\n  aliased.example: {provider: pdns, nameservers: ["PDNS"]}\n')
        text = text.replace("PDNS", world.pdns.where)
    assert text != world.config()
    found = [check for check in bad(examined(world, tmp_path, text)) if planted.said in f"{check.detail} {check.mend}"]
    assert [check.state for check in found] == [planted.state]
    piece, _, mark = planted.line.partition(" #")
    lines = text.splitlines()
    after = next(number for number, line in enumerate(lines, 1) if mark in line) if mark else 0
    number = next(n for n, line in enumerate(lines, 1) if piece in line and n > after)
    assert f"realmkit.yml:{number}" in f"{found[0].place} {found[0].detail}", (found, number)
