"""Misconfigurations planted one by one: `realmkit doctor` finds each, and names the line that mends it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.dns import registry
from realmkit.dns.doctor import project
from realmkit.dns.work.desk import Desk
from tests.lab.server import KEY, base_zone
from tests.lab.servers import Named, PowerDns, Unbound
from tests.lab.tree import plant
from tests.standins.published import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realmkit.dns.doctor.checkup import Check
    from tests.lab.namespace import Namespace
    from tests.lab.topology import Lab
    from tests.standins.cloudflare import CloudflareStandIn
    from tests.standins.route53 import Route53StandIn

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
        named, pdns = own.start(Named), own.start(PowerDns)
        tree = plant(own, [
            "doctor NS ns.doctor", f"ns.doctor A {pdns.address}", "other NS ns.doctor",
            "moved NS elsewhere", f"elsewhere A {named.address}",
        ])  # fmt: skip
        here = base_zone(f"ns A {pdns.address}\nus-east A 198.51.100.10\nmx A 198.51.100.11")
        pdns.add_zone(f"{ZONE}.", here.replace("ns1.lab.example.", f"ns.{ZONE}."))
        pdns.add_zone("moved.example.", here.replace("ns1.lab.example.", f"ns.{ZONE}."))
        aliased = here.replace("us-east A 198.51.100.10", "acme ALIAS lb.example.net.")
        pdns.add_zone("aliased.example.", aliased.replace("ns1.lab.example.", f"ns.{ZONE}."))
        named.add_zone("other.example.", base_zone())
        yield World(named, pdns, tree.resolver)


def examined(world: World, directory: Path, text: str) -> list[Check]:
    (directory / "realmkit.yml").write_text(text)
    (directory / "api.key").write_text(world.pdns.api_key)
    (directory / "wrong.key").write_text("bm90IHRoZSBrZXkgYnV0IG9uZSBvZiB0aGUgc2FtZSBsZW5ndGg=")
    (directory / "tsig.key").write_text(KEY.secret)
    clock = SystemClock()
    return list(project.examine(directory, clock, lambda: Desk(open_project(directory), clock)))


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


def _without_boto3(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(registry, "find_spec", lambda name: None if name == "boto3" else importlib.util.find_spec(name))


PLANTED = {
    "an extra that is not installed": Planted(
        "type: powerdns\n    url", "type: route53\n    url", "type: route53", "pip install 'realmkit[route53]'",
        setup=_without_boto3),
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
        "  other.example:", "  moved.example:\n    provider: pdns\n  other.example:", "provider: pdns #moved",
        "the world is led to elsewhere.example, and the provider's servers are ns.doctor.example"),
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
    assert_line_named(found[0], text, planted.line)


def assert_line_named(check: Check, text: str, line: str) -> None:
    piece, _, mark = line.partition(" #")
    lines = text.splitlines()
    after = next(number for number, one in enumerate(lines, 1) if mark in one) if mark else 0
    number = next(n for n, one in enumerate(lines, 1) if piece in one and n > after)
    assert re.search(rf"realmkit\.yml:{number}\b", f"{check.place} {check.detail}"), (check, number)


# --- clouds -----------------------------------------------------------------------------------------------------------

CLOUDS = """\
version: 1
platform:
  edge:
    proxies:
      - {host: us-west.elsewhere.example, addresses: [203.0.113.10]}
      - {host: us-east.cf.example, addresses: [198.51.100.10]}
    transports: {udp: 5060}
providers:
  aws:
    type: route53
    endpoint_url: "AWS"
    access_key_id: "file:aws.id"
    secret_access_key: "file:aws.key"
    requests_per_second: 1000
  cf:
    type: cloudflare
    base_url: "CF"
    api_token: "file:cf.token"
zones:
  aws.example:
    provider: aws
    nameservers: ["SERVER"]
  cf.example:
    provider: cf
    nameservers: ["SERVER"]
realms:
  acme.aws.example: {}
policy:
  ttl: 3600
  migration_ttl: 300
"""


@dataclass(frozen=True)
class Clouds:
    """Both clouds, in order, and what else they hold."""

    aws: Route53StandIn
    cf: CloudflareStandIn
    secrets: dict[str, str]

    def config(self) -> str:
        assert self.aws.published is not None
        words = {"AWS": self.aws.url, "CF": self.cf.url, "SERVER": self.aws.published.server.where}
        text = CLOUDS
        for word, value in words.items():
            text = text.replace(f'"{word}"', f'"{value}"')
        return text

    def write(self, directory: Path) -> None:
        for name, value in self.secrets.items():
            (directory / name).write_text(value)


@pytest.fixture(scope="module")
def clouds(route53_cloud: Route53StandIn, cloudflare_api: CloudflareStandIn, namespace: Namespace) -> Clouds:
    aws, cf = route53_cloud, cloudflare_api
    with namespace.inside():
        aws.add_zone("aws.example.")
        aws.add_zone("private.example.", private=True)
        for _ in range(2):
            aws.add_zone("twice.example.")
        acme, other = cf.new_account("acme"), cf.new_account("other")
        cf.new_zone("cf.example", acme, rrsets=[Served("us-east.cf.example.", 300, "A", ("198.51.100.10",))])
        behind = cf.new_zone("behind.example", acme)
        cf.load(behind, [Served("us-east.behind.example.", 300, "A", ("198.51.100.10",))])
        for record in behind.records.records():
            record["proxied"] = True
    good, strange = aws.key(), aws.key(aws.new_account())
    return Clouds(aws, cf, {
        "aws.id": good.id, "aws.key": good.secret, "other.id": strange.id, "other.key": strange.secret,
        "wrong.id": "AKIAAAAAAAAAAAAAAAAA", "cf.token": cf.new_token(acme), "other.token": cf.new_token(other),
        "wrong.token": "x" * 40,
    })  # fmt: skip


IN_CLOUDS = {
    "a profile that does not exist": Planted(
        '    access_key_id: "file:aws.id"\n    secret_access_key: "file:aws.key"', '    profile: "no-such-profile"',
        "profile:", "no-such-profile"),
    "an access key that AWS does not know": Planted(
        '"file:aws.id"', '"file:wrong.id"', "file:wrong.id", "InvalidClientTokenId"),
    "an access key of another account": Planted(
        '    access_key_id: "file:aws.id"\n    secret_access_key: "file:aws.key"',
        '    access_key_id: "file:other.id"\n    secret_access_key: "file:other.key"', "provider: aws", "account"),
    "two hosted zones of one name": Planted(
        "  aws.example:\n", "  twice.example: {provider: aws}\n  aws.example:\n", "twice.example", "zone_ids"),
    "a hosted zone that is private": Planted(
        "  aws.example:\n", "  private.example: {provider: aws}\n  aws.example:\n", "private.example", "private"),
    "a token that Cloudflare does not know": Planted(
        '"file:cf.token"', '"file:wrong.token"', "file:wrong.token", "token"),
    "a token of another account": Planted('"file:cf.token"', '"file:other.token"', "provider: cf", "account"),
    "a TTL that the provider does not take": Planted(
        "migration_ttl: 300", "migration_ttl: 30", "migration_ttl: 30", "below the provider's lowest"),
    "a proxy host behind the web proxy": Planted(
        "us-east.cf.example, addresses", "us-east.behind.example, addresses", "us-east.behind.example",
        "behind a web proxy, which SIP and mail do not pass"),
}  # fmt: skip


def _examined(clouds: Clouds, directory: Path, text: str) -> list[Check]:
    clouds.write(directory)
    (directory / "realmkit.yml").write_text(text)
    clock = SystemClock()
    return bad(list(project.examine(directory, clock, lambda: Desk(open_project(directory), clock))))


def test_clouds_in_order_have_nothing_to_mend(clouds: Clouds, tmp_path: Path) -> None:
    assert _examined(clouds, tmp_path, clouds.config()) == []


@pytest.mark.parametrize("name", IN_CLOUDS)
def test_it_is_found_in_a_cloud_too(clouds: Clouds, tmp_path: Path, name: str) -> None:
    planted = IN_CLOUDS[name]
    text = clouds.config().replace(planted.old, planted.new, 1)
    if "behind" in planted.new:
        text = text.replace("zones:\n", '  # one more\nzones:\n  behind.example: {provider: cf, nameservers: ["S"]}\n')
        assert clouds.aws.published is not None
        text = text.replace('"S"', f'"{clouds.aws.published.server.where}"')
    assert text != clouds.config()
    found = _examined(clouds, tmp_path, text)
    (check,) = [one for one in found if planted.said in f"{one.detail} {one.mend}" and one.state == planted.state]
    assert_line_named(check, text, planted.line)
