"""A Route 53 without a name server behind it, and providers of its accounts, for unit tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.provider import Context, Secret
from realmkit.dns.records import RRset
from realmkit_providers.route53 import Route53, Route53Settings
from tests.standins.route53 import Route53StandIn
from tests.standins.route53_access import Key


class Movable(SystemClock):
    """The machine's clock, set forward; sleeping sets it on."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.slept = 0.0

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def context(clock: SystemClock | None = None, **secrets: str) -> Context:
    """A context whose secrets are those given, by the name behind `env:`."""
    return Context(Path(), "acme", lambda one: secrets[one.reference.removeprefix("env:")], clock or SystemClock())


def provider(cloud: Route53StandIn, key: Key | None = None, clock: SystemClock | None = None, **more: Any) -> Route53:
    """A provider of the stand-in, with a fresh key unless one is given."""
    key = key or cloud.key()
    usual: dict[str, Any] = {
        "access_key_id": Secret("env:ID"), "secret_access_key": Secret("env:SECRET"), "endpoint_url": cloud.url,
        "requests_per_second": 1e6, "attempts": 2,
    }  # fmt: skip
    if key.token:
        usual["session_token"] = Secret("env:TOKEN")
    secrets = {"ID": key.id, "SECRET": key.secret, "TOKEN": key.token}
    return Route53(Route53Settings(**{**usual, **more}), context(clock, **secrets))


def client(cloud: Route53StandIn, key: Key | None = None, service: str = "route53") -> Any:
    """boto3 and nothing of ours."""
    key = key or cloud.key()
    return boto3.session.Session(key.id, key.secret, key.token or None).client(
        service, region_name="us-east-1", endpoint_url=cloud.url
    )


def at_home(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Nothing of the machine's own AWS configuration."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(directory / name))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def a(name: str, address: str = "192.0.2.1", ttl: int = 300) -> RRset:
    """An A record."""
    return RRset(names.absolute(name), rr.A, ttl, frozenset({bytes(map(int, address.split(".")))}))
