"""Domains and their registries: a small RDAP server on loopback, and what its answers come to."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.health.checks.registration import server_registration, zone_registration
from realmkit.health.observe import registration
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.registration import RegistrationSeen

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DOMAIN = names.absolute("reseller.example")


class Frozen(SystemClock):
    def now(self) -> datetime:
        return NOW


class Registry:
    """Serves IANA's list and domain objects.

    Attributes:
        answers: by path, a status and a body; what is not here is 404.
        asked: every path, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                code, body = registry.answers.get(self.path, (404, b"{}"))
                self.send_response(code)
                if code in (301, 302):
                    self.send_header("Location", body.decode())
                    body = b""
                self.send_header("Content-Type", "application/rdap+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.list("example", "test")

    def list(self, *tops: str) -> None:
        services = [[["unused"], ["https://unused.invalid/"]], [[*tops], ["ftp://x/", f"{self.url}/rdap/"]]]
        body = {"version": "1.0", "publication": "2026-11-01T00:00:00Z", "services": services}
        self.answers["/dns.json"] = (200, json.dumps(body).encode())

    def register(self, name: str, *status: str, days: float | None = 200, date: str = "") -> None:
        """RFC 9083 section 5.3, cut short."""
        events = [{"eventAction": "registration", "eventDate": "2019-01-01T00:00:00Z"}]
        if days is not None:
            events.append({"eventAction": "expiration", "eventDate": date or (NOW + timedelta(days=days)).isoformat()})
        body = {
            "objectClassName": "domain", "ldhName": name, "handle": "X-1", "status": ["active", *status],
            "events": events, "nameservers": [{"objectClassName": "nameserver", "ldhName": "ns1.example"}],
        }  # fmt: skip
        self.answers[f"/rdap/domain/{name}"] = (200, json.dumps(body).encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def registry() -> Iterator[Registry]:
    there = Registry()
    yield there
    there.close()


def look(
    registry: Registry, cache: Path, zones: list[str], hosts: tuple[str, ...] = (), *, until: float | None = None
) -> list[RegistrationSeen]:
    surroundings = Surroundings(Frozen(), timeout=2.0, until=until)
    apexes, servers = map(names.absolute, zones), map(names.absolute, hosts)
    kept, bootstrap = cache / "dns.json", f"{registry.url}/dns.json"
    return registration.look(apexes, servers, surroundings, cache=kept, bootstrap=bootstrap)


def verdicts(seen: list[RegistrationSeen]) -> list[tuple[str, str, str]]:
    found = [one for each in seen for check in (zone_registration, server_registration) for one in check(each)]
    return [(one.id, one.level, one.subject) for one in found]


def test_a_registered_domain_is_found_above_its_zones_and_is_quiet(registry: Registry, tmp_path: Path) -> None:
    registry.register("reseller.example")
    seen = look(registry, tmp_path, ["s.voice.reseller.example", "reseller.example"])
    assert [(one.domain, one.state, one.expires) for one in seen] == [(DOMAIN, "registered", NOW + timedelta(days=200))]
    assert seen[0].dependents == (DOMAIN, names.absolute("s.voice.reseller.example"))
    assert verdicts(seen) == []
    assert [path for path in registry.asked if path.endswith("/reseller.example")] == ["/rdap/domain/reseller.example"]


@pytest.mark.parametrize(
    ("status", "days", "level"),
    [
        ((), 29.9, "warning"),
        ((), -1, "error"),
        (("client hold",), 300, "error"),
        (("Server Hold",), 300, "error"),
        (("redemption period", "pending delete"), None, "error"),
        (("client transfer prohibited",), 31, None),
        ((), None, "unknown"),
    ],
)
def test_end_and_holds_are_judged(
    registry: Registry, tmp_path: Path, status: tuple[str, ...], days: float | None, level: str | None
) -> None:
    registry.register("reseller.example", *status, days=days)
    expected = [("DEL10", level, "reseller.example.")] if level else []
    assert verdicts(look(registry, tmp_path, ["reseller.example"])) == expected


def test_a_name_server_host_in_nobodys_domain_is_an_error(registry: Registry, tmp_path: Path) -> None:
    registry.register("reseller.example")
    registry.register("provider.test", days=5)
    hosts = ("ns1.reseller.example", "ns1.provider.test", "ns2.provider.test", "ns.gone.test")
    seen = look(registry, tmp_path, ["reseller.example"], hosts)
    assert verdicts(seen) == [("SCR03", "error", "ns.gone.test."), ("SCR03", "warning", "provider.test.")]
    assert registry.asked.count("/rdap/domain/provider.test") == 1
    assert "/rdap/domain/ns1.reseller.example" not in registry.asked
    (warned,) = (one for each in seen if each.state == "registered" for one in server_registration(each))
    assert "name servers: ns1.provider.test., ns2.provider.test." in warned.mend


def test_a_registry_that_is_tired_is_asked_no_more(registry: Registry, tmp_path: Path) -> None:
    registry.answers["/rdap/domain/a.example"] = (429, b"")
    seen = look(registry, tmp_path, ["a.example", "b.example"])
    assert [(one.state, one.detail) for one in seen] == [
        ("unknown", "127.0.0.1 wants to be asked less often (429)")
    ] * 2
    assert "/rdap/domain/b.example" not in registry.asked
    assert verdicts(seen) == [("DEL10", "unknown", "a.example."), ("DEL10", "unknown", "b.example.")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b""), "answers 500"),
        ((200, b"<html>"), "can't be read"),
        ((200, b'{"objectClassName": "entity"}'), "about no domain"),
        ((200, b'{"objectClassName": "domain", "status": 7}'), "can't be read"),
        ((200, b" " * 2_100_000), "too long"),
        ((302, b"/rdap/domain/reseller.example"), "no answer: TooManyRedirects"),
    ],
)
def test_what_is_no_answer_is_unknown(
    registry: Registry, tmp_path: Path, answer: tuple[int, bytes], words: str
) -> None:
    registry.answers["/rdap/domain/reseller.example"] = answer
    (seen,) = look(registry, tmp_path, ["reseller.example"])
    assert seen.state == "unknown"
    assert words in seen.detail


def test_a_redirect_is_followed(registry: Registry, tmp_path: Path) -> None:
    registry.register("elsewhere.example")
    registry.answers["/rdap/domain/reseller.example"] = (301, f"{registry.url}/rdap/domain/elsewhere.example".encode())
    assert look(registry, tmp_path, ["reseller.example"])[0].state == "registered"


def test_a_country_without_rdap_and_a_dead_list_are_unknown(registry: Registry, tmp_path: Path) -> None:
    (seen,) = look(registry, tmp_path, ["reseller.invalid"])
    assert (seen.state, seen.detail) == ("unknown", "the registry of .invalid offers no RDAP")
    registry.answers["/dns.json"] = (503, b"")
    (seen,) = look(registry, tmp_path / "nowhere", ["reseller.example"])
    assert seen.detail == "IANA's list of RDAP servers could not be had: answers 503"


def test_the_list_is_kept_a_week_and_an_old_one_is_better_than_none(registry: Registry, tmp_path: Path) -> None:
    registry.register("reseller.example")
    for _ in range(2):
        assert look(registry, tmp_path, ["reseller.example"])[0].state == "registered"
    assert registry.asked.count("/dns.json") == 1
    old = (NOW - timedelta(days=8)).timestamp()
    os.utime(tmp_path / "dns.json", (old, old))
    look(registry, tmp_path, ["reseller.example"])
    assert registry.asked.count("/dns.json") == 2
    os.utime(tmp_path / "dns.json", (old, old))
    registry.answers["/dns.json"] = (200, b"nonsense")
    assert look(registry, tmp_path, ["reseller.example"])[0].state == "registered"
    assert registry.asked.count("/dns.json") == 3


def test_after_the_deadline_nothing_is_asked(registry: Registry, tmp_path: Path) -> None:
    (seen,) = look(registry, tmp_path, ["reseller.example"], until=0.0)
    assert seen.state == "unknown"
    assert "the run ended" in seen.detail
    assert registry.asked == []


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T02:00:00.123+02:00", datetime(2026, 12, 1, 0, 0, 0, 123000, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("soon", None),
    ],
)
def test_times_are_read_as_registries_write_them(
    registry: Registry, tmp_path: Path, text: str, when: datetime | None
) -> None:
    registry.register("reseller.example", date=text)
    assert look(registry, tmp_path, ["reseller.example"])[0].expires == when
