"""Registrations as a web server serves them: RDAP objects in files, behind Python's own `http.server`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.health.checks.registration import server_registration, zone_registration
from realmkit.health.observe import registration
from realmkit.health.observe.surroundings import Surroundings
from tests.lab.server import Server
from tests.lab.sipservers import SipProgram
from tests.lab.topology import Lab


class WebServer(SipProgram):
    """`python -m http.server` over a directory."""

    def command(self) -> Sequence[str]:
        return sys.executable, "-m", "http.server", "--bind", self.address, "--directory", str(self.directory), "80"

    def configure(self) -> None:
        domains = self.directory / "rdap/domain"
        domains.mkdir(parents=True, exist_ok=True)
        services = {"version": "1.0", "services": [[["example"], [f"http://{self.address}/rdap/"]]]}
        (self.directory / "dns.json").write_text(json.dumps(services))

    def _answers(self) -> bool:
        import socket

        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self.address, 80)) == 0 and self.alive

    def register(self, name: str, days: int, *status: str) -> None:
        """An RDAP object as RFC 9083 section 5.3 has it."""
        ends = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        body = {
            "objectClassName": "domain", "ldhName": name, "status": ["active", *status],
            "events": [{"eventAction": "expiration", "eventDate": ends}],
        }  # fmt: skip
        (self.directory / "rdap/domain" / name).write_text(json.dumps(body))


@pytest.fixture(scope="module")
def registry(lab: Lab) -> Iterator[WebServer]:
    with lab.guest() as guest:
        server: Server = guest.start(WebServer)
        assert isinstance(server, WebServer)
        yield server


def found(registry: WebServer, cache: Path, zone: str, host: str) -> set[tuple[str, str, str]]:
    seen = registration.look(
        [names.absolute(zone)], [names.absolute(host)], Surroundings(SystemClock(), timeout=2.0),
        cache=cache / "rdap.json", bootstrap=f"http://{registry.address}/dns.json",
    )  # fmt: skip
    judged = [one for each in seen for check in (zone_registration, server_registration) for one in check(each)]
    return {(one.id, one.level, one.subject) for one in judged}


def test_domains_that_are_registered_for_long_are_quiet(registry: WebServer, tmp_path: Path) -> None:
    registry.register("ours.example", 200)
    registry.register("theirs.example", 200)
    assert found(registry, tmp_path, "voice.ours.example", "ns1.theirs.example") == set()


def test_a_domain_that_ends_soon_or_is_held_is_named(registry: WebServer, tmp_path: Path) -> None:
    registry.register("short.example", 10)
    registry.register("held.example", 200, "client hold")
    assert {one[:2] for one in found(registry, tmp_path, "voice.short.example", "ns1.held.example")} == {
        ("DEL10", "warning"), ("SCR03", "error"),
    }  # fmt: skip


def test_a_name_server_under_a_domain_that_nobody_registered_is_named(registry: WebServer, tmp_path: Path) -> None:
    registry.register("ours.example", 200)
    assert {one[:2] for one in found(registry, tmp_path, "voice.ours.example", "ns1.gone.example")} == {
        ("SCR03", "error")
    }  # fmt: skip


def test_a_registry_that_is_down_is_unknown(registry: WebServer, tmp_path: Path) -> None:
    registry.stop()
    try:
        levels = {one[:2] for one in found(registry, tmp_path, "voice.ours.example", "ns1.theirs.example")}
        assert levels == {("DEL10", "unknown"), ("SCR03", "unknown")}
    finally:
        registry.start()
