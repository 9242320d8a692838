"""What `account plan` says of the DNS of new realms."""

from __future__ import annotations

from pathlib import Path

import click

from realmkit.accounts.plan import AccountPlan
from realmkit.cli import accountdns
from realmkit.clock import SystemClock
from realmkit.config import open_project
from realmkit.dns.work.desk import Desk
from realmkit.sandbox.nameserver import NameServer
from tests.unit.make import ZONE
from tests.unit.test_health_cli import CONFIG, RECORDS


def desk(directory: Path, server: str) -> Desk:
    (directory / "realmkit.yml").write_text(CONFIG.replace("SERVER", server))
    return Desk(open_project(directory), SystemClock())


def plan(realm: str, kind: str = "create") -> AccountPlan:
    return AccountPlan("acme", kind, realm=realm)  # type: ignore[arg-type]


def test_the_dns_of_a_new_realm_is_judged(tmp_path: Path) -> None:
    zone_file = tmp_path / "zones/voice.example.com.zone"
    zone_file.parent.mkdir()
    zone_file.write_text(RECORDS.replace("acme MX 10 mx\n", ""))
    with NameServer.of_file(ZONE, zone_file) as server:
        there = desk(tmp_path, server.address)
        found = accountdns.judged(there, [plan("acme.voice.example.com")])
        shown = click.unstyle(accountdns.text(found))
        assert "CON06  acme.voice.example.com. MX" in shown
        data = accountdns.as_json(found)
        assert data is not None
        assert data["health"]["exit_code"] == 2
        zone_file.write_text(RECORDS)
        assert "CON06" not in accountdns.text(accountdns.judged(there, [plan("acme.voice.example.com")]))


def test_a_realm_that_nobody_publishes_is_said(tmp_path: Path) -> None:
    found = accountdns.judged(desk(tmp_path, "127.0.0.1:1"), [plan("other.voice.example.com")])
    assert found is not None
    assert found.verdict is None
    assert "other.voice.example.com is not under realms:" in accountdns.text(found)


def test_nothing_is_said_of_accounts_that_are_there_and_of_zones_of_others(tmp_path: Path) -> None:
    there = desk(tmp_path, "127.0.0.1:1")
    assert accountdns.judged(there, [plan("acme.voice.example.com", "change")]) is None
    assert accountdns.text(accountdns.judged(there, [plan("acme.example.org")])) == ""
