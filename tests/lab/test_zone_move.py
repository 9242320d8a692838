"""A zone changes its provider: copied, compared, asked for on the new servers, and the arithmetic of its delegation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.lab.server import KEY, base_zone, run
from tests.lab.servers import Named, PowerDns, Unbound
from tests.lab.test_realm import Project
from tests.lab.tree import plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.topology import Lab

FOREIGN = r"""
www 77 A 192.0.2.80
odd 78 TXT "left \"alone\"" "\000\255"
old 79 SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
raw 80 TYPE65400 \# 3 010203
*.pool 81 MX 5 mail
child 82 NS ns.child
ns.child 83 A 192.0.2.81
"""


@dataclass(frozen=True)
class World:
    """The old and the new home of zones below `example.`, and a resolver that knows their delegation."""

    old: Named
    new: PowerDns
    resolver: Unbound


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    with lab.namespace.inside(), lab.guest() as own:
        old, new = own.start(Named), own.start(PowerDns)
        tree = plant(own, [
            f"old A {old.address}", f"new A {new.address}",
            *(f"{zone} 7200 NS old" for zone in ("plain", "signed", "busy", "undone", "odd", "stale")),
            f"signed 900 DS 12345 13 2 {'00' * 32}",
        ])  # fmt: skip
        yield World(old, new, tree.resolver)


def project_of(world: World, zone: str, directory: Path, *, more: str = FOREIGN) -> Project:
    """A project whose zone is at home on named, with a realm of ours in it and PowerDNS as another provider."""
    world.old.add_zone(f"{zone}.", base_zone(more).replace("ns1.lab.example.", "old.example."))
    tsig = f'tsig: {{name: {KEY.name.rstrip(".")}, secret: "file:tsig.key"}}'
    project = Project(
        directory / "p", zone, f'{{type: rfc2136, server: "{world.old.where}", {tsig}}}', [world.old.where]
    )
    config = project.directory / "realmkit.yml"
    away = (
        f'  pdns: {{type: powerdns, url: "{world.new.api_url}", api_key: "file:api.key", nameservers: [new.example]}}\n'
    )
    text = config.read_text().replace("providers:\n", f"providers:\n{away}")
    assert away in text
    policy = f"policy:\n  resolvers: [{world.resolver.where}]\n"
    config.write_text(text.replace("policy:\n", policy) if "policy:\n" in text else text + policy)
    project.run("dns", "apply", "--yes")
    return project


def test_a_zone_moves_whole_and_is_asked_for_before_it_counts(world: World, tmp_path: Path) -> None:
    project = project_of(world, "plain.example", tmp_path)
    ledger = (project.directory / ".realmkit/ledger/plain.example.jsonl").read_text()
    plan = project.run("dns", "plan", "plain.example", "--to", "pdns", "--out", str(tmp_path / "copy.json"))
    assert "plain.example. will be created at 'pdns'" in plan
    assert "not copied, because 'pdns' makes its own: NS, SOA" in plan
    project.run("dns", "verify", "plain.example", "--at", "pdns", expect=2)  # it is not there yet
    applied = project.json("dns", "apply", "--plan", str(tmp_path / "copy.json"))
    assert len(applied["zones"][0]["applied"]) == 7 + 7
    arrived = project.json("dns", "verify", "plain.example", "--at", "pdns")
    assert arrived["differing"] == []
    assert arrived["verification"]["wrong"] == arrived["verification"]["unknown"] == 0
    assert {one["server"] for one in arrived["verification"]["servers"]} == {f"new.example ({world.new.address})"}
    assert arrived["parent"] == {"nameservers": ["old.example."], "ns_ttl": 7200, "ds_ttl": 0, "unknown": []}
    (delegate,) = [one for one in arrived["stages"] if "delegate plain.example. to new.example" in one["text"]]
    assert delegate["wait"] == 7200  # the parent's is greater than the zone's own 300
    (home,) = [one for one in arrived["stages"] if "name the new provider" in one["text"]]
    line = int(home["text"].partition("realmkit.yml:")[2].split(",")[0])
    assert "plain.example" in (project.directory / "realmkit.yml").read_text().splitlines()[line - 1]
    # nothing became ours by being copied, and what is ours is marked at the new home too
    assert (project.directory / ".realmkit/ledger/plain.example.jsonl").read_text() == ledger
    there = world.new.api("GET", "/zones/plain.example.")
    marked = {(one["name"], one["type"]) for one in there["rrsets"] if one["comments"]}
    assert {name for name, _ in marked} == {
        f"{labels}acme.plain.example." for labels in ("", "_sip._udp.", "_sip._tcp.", "_sips._tcp.")
    }
    assert len(marked) == 7
    # once it is at home there, plans go on as before, and the copy can't be undone
    config = project.directory / "realmkit.yml"
    config.write_text(config.read_text().replace("provider: files", "provider: pdns").replace(
        json.dumps([world.old.where]), json.dumps([world.new.where])))  # fmt: skip
    assert project.json("dns", "plan")["changes"] == 0
    assert "is at home at 'pdns'" in project.run("dns", "rollback", "--yes", expect=2)


def test_a_copy_is_undone_by_its_run(world: World, tmp_path: Path) -> None:
    project = project_of(world, "undone.example", tmp_path)
    project.run("dns", "apply", "undone.example", "--to", "pdns", "--yes")
    before = project.run("dns", "export", "undone.example")
    project.run("dns", "rollback", "--yes")
    left = world.new.api("GET", "/zones/undone.example.")["rrsets"]
    assert {one["type"] for one in left} == {"SOA", "NS"}
    assert project.run("dns", "export", "undone.example") == before


def test_a_signed_zone_loses_its_ds_first(world: World, tmp_path: Path) -> None:
    project = project_of(world, "signed.example", tmp_path, more="")
    project.run("dns", "apply", "signed.example", "--to", "pdns", "--yes")
    text = project.run("dns", "verify", "signed.example", "--at", "pdns")
    assert "signed: the parent has a DS set, TTL 900 s" in text
    lines = text.splitlines()
    ds, ns = (
        next(i for i, line in enumerate(lines) if word in line) for word in ("take its DS set", "at the registrar, del")
    )
    assert ds < ns
    assert "then wait 900 s" in lines[ds]


def test_what_is_there_already_is_not_overwritten_unasked(world: World, tmp_path: Path) -> None:
    world.new.add_zone("busy.example.", base_zone("www A 203.0.113.99\nonly-here A 203.0.113.98"))
    project = project_of(world, "busy.example", tmp_path)
    refused = project.run("dns", "apply", "busy.example", "--to", "pdns", "--yes", expect=2)
    assert "copy-over" in refused
    assert world.new.answer("www.busy.example.", "A") == {"203.0.113.99"}
    allowed = ("--allow", "copy-over")
    project.run("dns", "apply", "busy.example", "--to", "pdns", "--yes", *allowed)
    assert world.new.answer("www.busy.example.", "A") == {"192.0.2.80"}
    assert project.json("dns", "verify", "busy.example", "--at", "pdns")["differing"] == []
    project.run("dns", "rollback", "--yes")
    assert world.new.answer("www.busy.example.", "A") == {"203.0.113.99"}
    assert world.new.answer("only-here.busy.example.", "A") == {"203.0.113.98"}


def test_a_record_that_changes_at_the_old_home_is_found(world: World, tmp_path: Path) -> None:
    project = project_of(world, "odd.example", tmp_path)
    project.run("dns", "apply", "odd.example", "--to", "pdns", "--yes")
    world.new.api("PATCH", "/zones/odd.example.", {"rrsets": [{
        "name": "www.odd.example.", "type": "A", "changetype": "REPLACE", "ttl": 77,
        "records": [{"content": "203.0.113.1", "disabled": False}],
    }]})  # fmt: skip
    arrived = project.json("dns", "verify", "odd.example", "--at", "pdns", expect=2)
    assert arrived["differing"] == ["www.odd.example. A"]
    assert arrived["verification"]["wrong"] == 1


def test_a_plan_that_the_zone_has_outlived_is_refused(world: World, tmp_path: Path) -> None:
    project = project_of(world, "stale.example", tmp_path)
    project.run("dns", "plan", "stale.example", "--to", "pdns", "--out", str(tmp_path / "copy.json"))
    run("nsupdate", stdin="\n".join([
        f"server {world.old.address}", "zone stale.example", f"key {KEY.algorithm}:{KEY.name} {KEY.secret}",
        "update add new.stale.example 60 A 192.0.2.99", "send", "",
    ]))  # fmt: skip
    refused = project.run("dns", "apply", "--plan", str(tmp_path / "copy.json"), expect=2)
    assert "was changed since the copy to 'pdns' was planned: new.stale.example. A" in refused
    assert world.new.serial("stale.example.") is None  # not even an empty zone was made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "plain.example", "--to", "nowhere"), "no provider 'nowhere'"),
        (("plan", "--to", "pdns"), "name it"),
        (("plan", "plain.example", "--to", "pdns", "--ttl", "60"), "leave TTLs out"),
        (("plan", "else.example", "--to", "pdns"), "is no zone under zones:"),
    ],
)
def test_slips(world: World, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    project = Project(tmp_path / "p", "plain.example", '{type: zonefile, file: "x"}', [world.old.where])
    config = project.directory / "realmkit.yml"
    config.write_text(config.read_text().replace(
        "providers:\n", 'providers:\n  pdns: {type: powerdns, api_key: "file:api.key"}\n'))  # fmt: skip
    assert said in project.run("dns", *words, expect=64)
