"""White-label onboarding on real name servers: from a platform's broken template to a brand that verifies green."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from realmkit import errors
from realmkit.cli.whitelabel import whitelabel
from realmkit.errors import RefusedError
from realmkit.sandbox.catalogue import required_records
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import CrossbarServer
from tests.lab.healthproject import update
from tests.lab.namespace import Namespace
from tests.lab.server import KEY, Authoritative
from tests.lab.servers import PowerDns
from tests.lab.tls import Authority, Portals
from tests.lab.topology import Cluster, Lab
from tests.lab.tree import Tree, plant
from tests.unit.brands import MENDED, Place, png
from tests.unit.platforms import Platform as Sandbox

ORIGINAL = Path(__file__).parents[3] / "shared" / "kazoo" / "domains.default.fixture.json"
ZONES = ("green", "broken", "drift", "mail", "cert", "pdns", "same")
FAULTS = {
    ("SIP02", "proxy-central"), ("SIP02", "proxy-west"), ("SEM09", "us-east"), ("SEM09", "us-central"),
    ("SEM09", "us-west"), ("WL03", "api"), ("WL03", "portal"),
}  # fmt: skip
BRAND = """\
realm_suffix: s.{domain}
portal: https://portal.{domain}
api: https://api.{domain}
logo: logo.png
"""


class World:
    """A tree of names whose leaves are the zones of these tests, a web server for all brands, and who certifies it.

    Attributes:
        tree: root, `example.` and a resolver.
        zones: by the word that a test is about, without final dot.
        web: the address that portals and APIs lead to.
        ca: signs.
    """

    def __init__(self, lab: Lab, cluster: Cluster, pdns: PowerDns, directory: Path) -> None:
        self.cluster, self.pdns = cluster, pdns
        self.zones = {word: lab.zone_name(word).rstrip(".") for word in ZONES}
        self.web = lab.address()
        lines = [f"ui.host A {self.web}", f"api.host A {self.web}"]
        for word, zone in self.zones.items():
            for number, server in enumerate(self.servers(word), start=1):
                lines += [f"{zone}. NS ns{number}.{zone}.", f"ns{number}.{zone}. A {server.address}"]
        self.tree: Tree = plant(lab, lines)
        self.ca = Authority(directory)

    def servers(self, word: str) -> Sequence[Authoritative]:
        return (self.pdns,) if word == "pdns" else self.cluster.servers


@pytest.fixture(scope="module")
def world(
    namespace: Namespace, lab: Lab, cluster: Cluster, pdns: PowerDns, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with lab.guest() as guest, namespace.inside():
        yield World(guest, cluster, pdns, tmp_path_factory.mktemp("ca"))


class Onboarding(Place):
    """A project for one of the world's zones, with the command line over it; the platform is at `kazoo`."""

    def __init__(self, world: World, directory: Path, word: str, kazoo: str, sandbox: Any) -> None:
        self.world, self.word, self.kazoo = world, word, kazoo
        super().__init__(directory, domain=world.zones[word])
        self.sandbox = sandbox
        self.template = sandbox.cluster.catalogue.template
        (directory / "tsig.key").write_text(KEY.secret + "\n")
        (directory / "api.key").write_text(PowerDns.api_key + "\n")
        (directory / "kazoo.key").write_text(sandbox.cluster.api_key(sandbox.reseller) + "\n")
        self.put("logo.png", png(10, 4))
        servers = world.servers(word)
        text = ["$TTL 300", "@ SOA ns1 hostmaster 1 7200 900 1209600 60"]
        for number, server in enumerate(servers, start=1):
            text += [f"@ NS ns{number}", f"ns{number} A {server.address}"]
        zone = "\n".join([*text, ""])
        if word == "pdns":
            world.pdns.add_zone(self.domain + ".", zone)
            provider = f'{{type: powerdns, url: "{world.pdns.api_url}", api_key: "file:api.key"}}'
        else:
            world.cluster.add_zone(self.domain + ".", zone)
            first = world.cluster.primary.where
            provider = f'{{type: rfc2136, server: "{first}", tsig: {{name: lab-key, secret: "file:tsig.key"}}}}'
        self.write_project(
            provider=provider, servers=", ".join(f'"{one.where}"' for one in servers), private="true",
            policy=f', resolvers: ["{world.tree.resolver.where}"], health: {{trust_store: "{world.ca.root}"}}',
        )  # fmt: skip
        config = directory / "realmkit.yml"
        entry = f'platform:\n  kazoo: {{url: "{kazoo}", api_key: "file:kazoo.key"}}'
        config.write_text(config.read_text().replace("platform:", entry, 1))
        self.dress()

    def dress(self, more: str = "", base: str = MENDED) -> None:
        base = base.replace("ui.host.example.net", "ui.host.example").replace(
            "api.host.example.net", "api.host.example"
        )
        self.write((BRAND + more).format(domain=self.domain), base)

    def run(self, *args: str, capture: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """`realmkit whitelabel ... DOMAIN ...`: exit code and what it prints."""
        setting = {"directory": str(self.directory), "verbose": False}
        capture.readouterr()
        code = whitelabel.main([args[0], self.domain, *args[1:]], "realmkit", obj=setting, standalone_mode=False)
        return int(code or 0), capture.readouterr().out

    def json(self, *args: str, capture: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
        code, printed = self.run(*args, "--json", capture=capture)
        return code, json.loads(printed)

    def short(self, subject: str) -> str:
        return subject.partition(" ")[0].removesuffix(f".{self.domain}.")


@contextmanager
def onboarding(
    world: World, directory: Path, word: str, generation: Generation = Generation.NEWER
) -> Iterator[Onboarding]:
    """A project with its own platform over HTTP, whose own test asks a real name server."""
    sandbox = Sandbox(generation)
    sandbox.cluster.switches.buckets = False  # a login for each command costs a third of the bucket
    catalogue = sandbox.cluster.catalogue
    catalogue.template = json.loads(ORIGINAL.read_text()) if ORIGINAL.is_file() else required_records()
    server = world.servers(word)[0]
    catalogue.lookup = lambda host, kind: sorted(server.answer(host.rstrip(".") + ".", kind))
    with CrossbarServer(sandbox.cluster) as kazoo:
        yield Onboarding(world, directory, word, kazoo.url, sandbox)


@contextmanager
def website(world: World, *names: str, end: int = 60) -> Iterator[Portals]:
    with Portals(world.web, {name: world.ca.issue(name, end=end) for name in names}) as there:
        yield there


@pytest.mark.parametrize("generation", list(Generation))
def test_from_the_platforms_own_template_to_a_green_verify(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], generation: Generation
) -> None:
    word = "green" if generation is Generation.NEWER else "same"
    with (
        onboarding(world, tmp_path, word, generation) as place,
        website(world, f"portal.{place.domain}", f"api.{place.domain}"),
    ):
        code, plan = place.json("plan", "--check", capture=capsys)
        assert code == errors.WARNING
        assert {(one["id"], place.short(one["subject"])) for one in plan["faults"]} == FAULTS
        assert all(one["mended"] for one in plan["faults"])
        text = place.run("plan", capture=capsys)[1]
        assert text.index("7 faults in the platform's answer") < text.index("zone ") < text.index("brand of account")
        assert place.run("apply", "--yes", capture=capsys)[0] == errors.OK
        code, verdict = place.json("verify", "--deadline", "15", capture=capsys)
        assert [one for one in verdict["findings"] if one["level"] != "notice"] == []
        assert code == errors.OK
        servers = len(world.servers(word))
        assert len(verdict["verification"]["servers"]) == servers
        assert {one["state"] for one in verdict["verification"]["records"]} == {"right"}
        assert all(one["agrees"] for one in verdict["opinions"])
        assert len(verdict["certificates"]) == 2
        assert place.json("plan", "--check", capture=capsys)[0] == errors.OK
    for server in world.servers(word):
        assert server.answer(f"anybody.s.{place.domain}.", "A") == {"198.51.100.10"}
        assert f"10 10 7000 us-west.{place.domain}." in server.answer(f"_sip._udp.proxy-west.{place.domain}.", "SRV")
    assert place.brand()["realm_suffix"] == f"s.{place.domain}"


def test_the_broken_template_is_refused_before_anything_is_written(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with onboarding(world, tmp_path, "broken") as place:
        place.dress("derive_srv: false\n", "domain: {domain}\naccount: Acme\n")
        serial = world.cluster.primary.serial(place.domain)
        code, plan = place.json("plan", "--check", capture=capsys)
        assert code == errors.CRITICAL
        assert {(one["id"], place.short(one["subject"])) for one in plan["faults"]} == FAULTS
        assert not any(one["mended"] for one in plan["faults"] if one["id"] != "SEM09")  # 127.0.0.1 is meant in a lab
        with pytest.raises(RefusedError, match="SIP02"):
            place.run("apply", "--yes", capture=capsys)
        assert world.cluster.primary.serial(place.domain) == serial
        assert list(place.sandbox.cluster.store.all("whitelabel")) == []
        code, verdict = place.json("verify", capture=capsys)
        assert code == errors.CRITICAL
        assert {"SIP02", "WL03", "WL14", "WL17"} <= {one["id"] for one in verdict["findings"]}


def test_a_record_that_somebody_changed_is_seen_on_every_server(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with onboarding(world, tmp_path, "drift") as place:
        template = place.template
        template["MX"] = {"{{domain}}": {"mapping": ["10 mx1.host.example", "20 mx2.host.example."], "name": "Mail"}}
        template["TXT"] = {"_info.{{domain}}": {"mapping": ["one; two three"], "name": "Info"}}
        place.dress()
        text = place.file.document.file
        text.write_text(
            "\n".join(one for one in text.read_text().splitlines() if not one.startswith(("portal:", "api:")))
        )
        assert place.run("apply", "--yes", capture=capsys)[0] == errors.OK
        code, verdict = place.json("verify", "--deadline", "15", capture=capsys)
        assert (code, [one["id"] for one in verdict["findings"] if one["level"] != "notice"]) == (errors.OK, [])
        mail = next(one for one in verdict["opinions"] if one["record"].endswith(" MX"))
        assert (mail["agrees"], sorted(mail["seen"])) == (True, ["mx1.host.example", "mx2.host.example"])
        primary = world.cluster.primary
        update(
            primary, place.domain, f"update delete us-east.{place.domain} A",
            f"update add us-east.{place.domain} 300 A 198.51.100.99",
        )  # fmt: skip
        world.cluster.await_serial(place.domain)
        code, verdict = place.json("verify", capture=capsys)
        assert code == errors.CRITICAL
        wrong = [one for one in verdict["verification"]["records"] if one["state"] != "right"]
        assert {one["name"] for one in wrong} == {f"us-east.{place.domain}."}
        assert len(wrong) == len(world.cluster.servers)
        assert {one["id"] for one in verdict["findings"] if one["level"] == "warning"} == {"WL12"}


def test_senders_are_proved_and_their_key_is_looked_up_on_the_servers(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    with (
        onboarding(world, tmp_path, "mail") as place,
        website(world, f"portal.{place.domain}", f"api.{place.domain}"),
    ):
        sender = 'senders: [{{email: "info@{domain}", selector: s1%s}}]\n'
        mail = "spf: v=spf1 include:mail.host.example -all\ndmarc: v=DMARC1; p=none\n"
        place.dress(sender % "" + mail)
        with pytest.raises(RefusedError, match="WL07"):
            place.run("apply", "--yes", capture=capsys)
        assert list(place.sandbox.cluster.store.all("sender")) == []
        key = rsa.generate_private_key(65537, 2048).public_key()
        place.put("key.pem", key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        place.dress(sender % ", public_key: key.pem" + mail)
        code, done = place.json("apply", "--yes", capture=capsys)
        assert (code, done["waiting"]) == (errors.WARNING, [f"info@{place.domain}"])
        code, verdict = place.json("verify", "--deadline", "15", capture=capsys)
        assert (code, {one["id"] for one in verdict["findings"] if one["level"] != "notice"}) == (
            errors.WARNING,
            {"WL15"},
        )
        (number,) = place.sandbox.cluster.catalogue.codes.values()
        told = place.run("apply", "--yes", "--code", f"info@{place.domain}={number}", capture=capsys)
        assert told[0] == errors.OK
        assert place.run("verify", capture=capsys)[0] == errors.OK
    for server in world.servers("mail"):
        (record,) = server.answer(f"s1._domainkey.{place.domain}.", "TXT")
        assert record.startswith('"v=DKIM1; k=rsa; p=')
        assert server.answer(f"{place.domain}.", "TXT") == {'"v=spf1 include:mail.host.example -all"'}


def test_a_portal_with_another_names_certificate_is_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with onboarding(world, tmp_path, "cert") as place:
        place.run("apply", "--yes", capture=capsys)
        portal, api = f"portal.{place.domain}", f"api.{place.domain}"
        certificates = {portal: world.ca.issue(portal), api: world.ca.issue("ui.host.example")}
        with Portals(world.web, certificates):
            code, verdict = place.json("verify", "--deadline", "15", capture=capsys)
            wrong = {(one["id"], one["level"], one["subject"]) for one in verdict["findings"] if one["id"] == "SCR07"}
            assert (code, wrong) == (errors.CRITICAL, {("SCR07", "error", f"{api}.")})
        code, verdict = place.json("verify", capture=capsys)
        unseen = {(one["level"], one["subject"]) for one in verdict["findings"] if one["id"] == "SCR07"}
        assert (code, unseen) == (errors.UNKNOWN, {("unknown", f"{portal}."), ("unknown", f"{api}.")})


def test_powerdns_by_its_api_takes_a_brand_too(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        onboarding(world, tmp_path, "pdns") as place,
        website(world, f"portal.{place.domain}", f"api.{place.domain}"),
    ):
        assert place.run("apply", "--yes", capture=capsys)[0] == errors.OK
        assert place.run("verify", "--deadline", "15", capture=capsys)[0] == errors.OK
        assert place.json("plan", "--check", capture=capsys)[0] == errors.OK
