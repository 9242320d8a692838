"""A small sandbox platform for tests: a reseller, one account with phones, and a hand to turn the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.registrar import Answer, Contact, EmbeddedRegistrar, Register
from tests.unit.heldtoschemas import SCHEMAS, check_schema, unhold

__all__ = ["NEW", "OLD", "SCHEMAS", "ManualClock", "Platform", "check_schema", "device"]

OLD, NEW = "old.voice.example", "new.voice.example"


class ManualClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Platform:
    """A cluster over an embedded registrar; `sent` holds the NOTIFYs that reached a phone, as (user@realm, event)."""

    def __init__(self, generation: Generation = Generation.OLDER) -> None:
        self.clock = ManualClock()
        self.sent: list[tuple[str, str]] = []
        self.registrar = EmbeddedRegistrar(self.clock, self._deliver)
        self.cluster = Cluster(self.clock, self.registrar, generation)
        self.reseller = self.cluster.add_account("Reseller", "reseller.voice.example")
        self.account = self.cluster.add_account("Acme", OLD, "America/New_York")
        self.token = ""

    def unheld(self) -> None:
        """From now on bodies may break their schemas: the platform takes some that do."""
        unhold(self.cluster)

    def _deliver(self, contact: Contact, event: str) -> None:
        self.sent.append((f"{contact.username}@{contact.realm}", event))

    def phone(self, username: str = "user_1", **sip: Any) -> str:
        return self.cluster.add_device(self.account, device(username, **sip))

    def register(self, username: str, realm: str, **more: Any) -> Answer:
        """REGISTER with the right digest, unless `password` says otherwise."""
        password = more.pop("password", "secret-1")
        proof = None if password is None else lambda wanted: bool(wanted == password)
        asked = {"uri": f"sip:{username}@10.0.0.5:5060", "source": "10.0.0.5:5060", "expires": 300, **more}
        return self.registrar.register(Register(username=username, realm=realm, **asked), proof)

    def ask(self, method: str, path: str, data: Any = None, query: str = "") -> tuple[int, dict[str, Any]]:
        """A request of the reseller's, who is logged in when first needed."""
        if not self.token:
            key = self.cluster.api_key(self.reseller)
            self.token = self._send("PUT", "/api_auth", {"api_key": key}, "", {})[1]["auth_token"]
        status, envelope = self._send(method, path, data, query, {"X-Auth-Token": self.token})
        if status == 401:  # the login is an hour old
            self.token = ""
            return self.ask(method, path, data, query)
        return status, envelope

    def data(self, method: str, path: str, data: Any = None, query: str = "") -> Any:
        """What a request that must succeed gives."""
        status, envelope = self.ask(method, f"/accounts/{self.account}{path}", data, query)
        assert envelope["status"] == "success", (status, envelope)
        return envelope["data"]

    def _send(
        self, method: str, path: str, data: Any, query: str, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        body = b"" if data is None else json.dumps({"data": data}).encode()
        status, _, content = self.cluster.handle(method, f"/v2{path}", query, headers, body)
        return status, json.loads(content)

    def pin(self, device: str, realm: str | None) -> None:
        """GET, change sip.realm, POST."""
        document = self.data("GET", f"/devices/{device}")
        document["sip"].pop("realm", None)
        if realm is not None:
            document["sip"]["realm"] = realm
        self.data("POST", f"/devices/{device}", document)

    def realms_listed(self) -> list[str]:
        return sorted(row["realm"] for row in self.data("GET", "/registrations"))


def device(username: str = "user_1", **sip: Any) -> dict[str, Any]:
    return {
        "name": f"Phone {username}",
        "device_type": "sip_device",
        "sip": {"username": username, "password": "secret-1", **sip},
        "provision": {"endpoint_brand": "yealink", "endpoint_family": "t5x", "endpoint_model": "t54w"},
        "x_unknown": {"kept": [1, 2, 3]},
    }
