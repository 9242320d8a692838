"""Configurations, DNS and phones for the tests of the simulated phones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from realmkit.errors import InputError
from realmkit.phones.model import Line
from realmkit.sandbox.location import Target
from realmkit.secrets import Password

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EDGE = Target("127.0.0.20", 5070)


def configuration(username: str, realm: str, **more: object) -> bytes:
    """A file that `read_json` understands."""
    fields = {"username": username, "auth_id": username, "password": f"secret-of-{username}", "realm": realm}
    return json.dumps(fields | more).encode()


def read_json(content: bytes) -> tuple[Line, ...]:
    try:
        fields = json.loads(content)
    except ValueError as error:
        raise InputError("no configuration") from error
    return (Line(**fields | {"password": Password(fields["password"])}),)


@dataclass
class Dns:
    """What a resolver says, changed at will; counts what it is asked."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    asked: int = 0

    def __call__(self, name: str, kind: str) -> list[str]:
        self.asked += 1
        return self.records.get((name, kind), [])

    def add_realm(self, realm: str, edge: Target = EDGE) -> None:
        self.records[f"{realm}.", "NAPTR"] = [f'10 10 "S" "SIP+D2U" "" _sip._udp.{realm}.']
        self.records[f"_sip._udp.{realm}.", "SRV"] = [f"10 10 {edge.port} edge.{realm}."]
        self.records[f"edge.{realm}.", "A"] = [edge.address]
        self.records[f"{realm}.", "A"] = [edge.address]
