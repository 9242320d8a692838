"""A project whose realms are served by the lab's servers, for tests of `realmkit health check`."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realmkit import cli
from tests.lab.server import KEY, run

if TYPE_CHECKING:
    from tests.lab.server import Authoritative

CONFIG = """\
version: 1
platform:
  edge:
    proxies:
      - {{host: east.edge.{zone}, addresses: [127.0.0.201], priority: 10, weight: 50}}
      - {{host: west.edge.{zone}, addresses: [127.0.0.202], priority: 20, weight: 50}}
    transports: {{udp: 5060, tcp: 5060}}
    mail: [{{host: mx.edge.{zone}, preference: 10}}]
{platform}
providers:
  named: {provider}
zones:
  {zone}: {{provider: named, nameservers: [{servers}], rate_per_server: {rate}}}
realms:
{realms}
policy: {{ttl: 300, migration_ttl: 60, allow_private_addresses: {private}, resolvers: ["127.0.0.1"]{policy}}}
"""
BY_UPDATE = '{{type: rfc2136, server: "{where}", tsig: {{name: lab-key, secret: "file:tsig.key"}}}}'

# What the configuration wants of one realm, as a zone file says it.
REALM = """
{realm} A 127.0.0.201
{realm} A 127.0.0.202
{realm} MX 10 mx.edge
{realm} NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.{realm}
{realm} NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.{realm}
_sip._udp.{realm} SRV 10 50 5060 east.edge
_sip._udp.{realm} SRV 20 50 5060 west.edge
_sip._tcp.{realm} SRV 10 50 5060 east.edge
_sip._tcp.{realm} SRV 20 50 5060 west.edge
"""
EDGE = """
east.edge A 127.0.0.201
west.edge A 127.0.0.202
mx.edge A 127.0.0.203
"""


def zone_text(servers: Sequence[Authoritative], realms: Sequence[str], more: str = "", serial: int = 1) -> str:
    """A zone file with SOA, the NS set of these servers with their addresses, the edge and whole realms."""
    lines = ["$TTL 300", f"@ SOA ns1 hostmaster {serial} 7200 900 1209600 60"]
    for number, server in enumerate(servers, start=1):
        lines += [f"@ NS ns{number}", f"ns{number} A {server.address}"]
    return "\n".join([*lines, EDGE, *(REALM.format(realm=realm) for realm in realms), more, ""])


@dataclass
class HealthProject:
    """A project directory.

    Attributes:
        directory: where it is.
        zone: without final dot.
        servers: all authoritative servers; the first one takes updates.
        realms: first labels.
        policy: more of the configuration's `policy`, beginning with a comma.
        shared: names below the zone (`alpha.s`, `*.s`) that a pool's wildcard serves.
        provider: the zone's provider, as the configuration says it; by default updates and transfers at the first.
        platform: more of the configuration's `platform`, a line of YAML.
        private: whether private addresses are meant.
        rate: questions a second to each server.
        asked: the servers to ask, `127.0.0.2:53`, where they are not `servers`.
    """

    directory: Path
    zone: str
    servers: Sequence[Authoritative]
    realms: Sequence[str]
    policy: str = ""
    shared: Sequence[str] = ()
    provider: str = ""
    platform: str = ""
    private: bool = True
    rate: str = "unlimited"
    asked: Sequence[str] = ()

    def write(self) -> None:
        lines = [f"  {one}.{self.zone}: {{account: {one}}}" for one in self.realms]
        lines += [f'  "{one}.{self.zone}": {{shape: shared}}' for one in self.shared]
        text = CONFIG.format(
            zone=self.zone, realms="\n".join(lines) or "  {}", policy=self.policy, platform=self.platform,
            provider=self.provider or BY_UPDATE.format(where=self.servers[0].where), rate=self.rate,
            private=str(self.private).lower(),
            servers=", ".join(f'"{one}"' for one in self.asked or [one.where for one in self.servers]),
        )  # fmt: skip
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "realmkit.yml").write_text(text)
        (self.directory / "tsig.key").write_text(KEY.secret + "\n")

    def check(self, *args: str) -> tuple[int, str]:
        """`realmkit health check` with these arguments: exit code and what it prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = cli.run(["-C", str(self.directory), "health", "check", *args])
        return code, printed.getvalue()

    def found(self, *args: str) -> set[tuple[str, str, str]]:
        """Id, subject and server of everything that is found now, without regard to earlier runs."""
        return {(one["id"], one["subject"], one["server"]) for one in self.verdict("--no-state", *args)["findings"]}

    def verdict(self, *args: str) -> dict[str, Any]:
        """The JSON document of a run."""
        _code, printed = self.check("--json", *args)
        whole: dict[str, Any] = json.loads(printed)
        return whole


def update(server: Authoritative, zone: str, *lines: str) -> None:
    """Change the zone on one server by dynamic update."""
    key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
    script = [f"server {server.address} {server.port}", f"zone {zone}", key, *lines, "send"]
    run("nsupdate", stdin="\n".join(script) + "\n")
