"""What the world looks like before and after a move, byte for byte, and what a move must not leave behind."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.query
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.zone

from realmkit.sandbox.location import Target, locate
from tests.lab.move.stage import SIP_PORT, Stage
from tests.lab.move.user import TTL
from tests.lab.server import KEY, Server

KINDS = ("A", "MX", "NAPTR", "SRV")


@dataclass(frozen=True)
class World:
    """Everything that a move may change, as text that can be compared.

    Attributes:
        dns: every record of the zones, by server; an SOA's serial is left out.
        documents: the account, its devices, trunk and fax box, and the neighbour's; by name.
        files: what phones would fetch, by name.
        rows: at which realms the edge holds each phone.
    """

    dns: dict[str, list[str]]
    documents: dict[str, str]
    files: dict[str, bytes]
    rows: dict[str, set[str]]

    def plain(self, stage: Stage) -> str:
        """The same of every stage with the same cast: zones and addresses have stand-ins."""
        text = repr((sorted(self.dns.values()), self.documents, self.files, sorted(self.rows.items())))
        for number, zone in enumerate(stage.zones):
            text = text.replace(zone.rstrip("."), f"zone-{number}")
        return text.replace(stage.kamailio.address, "edge-address")


def look(stage: Stage) -> World:
    """The world now."""
    for zone in stage.zones:
        stage.dns.await_serial(zone)
    there = stage.crossbar
    identities = stage.devices | {
        "account": stage.account, "trunk": stage.trunk, "fax box": stage.fax, "neighbour": stage.neighbour,
        "neighbour's phone": stage.foreign,
    }  # fmt: skip
    return World(
        {
            str(server): [line for zone in stage.zones for line in _records(server, zone)]
            for server in stage.dns.servers
        },
        {name: json.dumps(there.document(one), sort_keys=True) for name, one in identities.items()},
        {path.name: path.read_bytes() for path in stage.sshd.root.iterdir() if path.is_file()},
        stage.where(),
    )


def _records(server: Server, zone: str) -> list[str]:
    """A zone by transfer, sorted."""
    ring = dns.tsigkeyring.from_text({KEY.name: (dns.tsig.HMAC_SHA256, KEY.secret)})
    transfer = dns.query.xfr(server.address, zone, port=server.port, keyring=ring, keyname=KEY.name, relativize=False)
    found = dns.zone.from_xfr(transfer, relativize=False)
    lines = []
    for name, ttl, rdata in found.iterate_rdatas():
        shown = rdata.replace(serial=0) if rdata.rdtype == dns.rdatatype.SOA else rdata
        lines.append(f"{name} {ttl} {dns.rdatatype.to_text(rdata.rdtype)} {shown}")
    return sorted(lines)


def left_behind(stage: Stage, home: str, away: str, stay: frozenset[str] = frozenset()) -> list[str]:
    """What is there and should not be, or the other way round, once all phones but those that stay are at `home`.

    Args:
        stage: the lab.
        home: the realm where the account is now.
        away: the other one.
        stay: names of the phones that are pinned to `away`.
    """
    return [
        *_on_the_platform(stage, home, away, stay), *_at_the_edge(stage, home, away, stay), *_in_files(stage),
        *_running(stage),
    ]  # fmt: skip


def _on_the_platform(stage: Stage, home: str, away: str, stay: frozenset[str]) -> Iterator[str]:
    there = stage.crossbar
    if (realm := there.document(stage.account)["realm"]) != home:
        yield f"the account has the realm {realm}"
    if (realm := there.document(stage.trunk)["account"]["auth_realm"]) != home:
        yield f"the trunk carries {realm}"
    for name, device in stage.devices.items():
        pinned = there.document(device)["sip"].get("realm")
        if pinned != (away if name in stay else None):
            yield f"{name} has the realm {pinned}"
        if (device in there.aggregates) != (name in stay):
            yield f"{name}: {'a' if device in there.aggregates else 'no'} copy in sip_auth"
    if there.channels:
        yield f"{len(there.channels)} calls"


def _at_the_edge(stage: Stage, home: str, away: str, stay: frozenset[str]) -> Iterator[str]:
    for name, realms in stage.where().items():
        if realms != {away if name in stay else home}:
            yield f"{name} is registered at {sorted(realms)}"
    names = {device: name for name, device in stage.devices.items()}
    for row in stage.crossbar.ecallmgr.rows():
        name = names.get(row.authorised.authorizing_id, "")
        if row.contact.realm != (away if name in stay else home):
            yield f"the platform remembers {name} at {row.contact.realm}"
    unreached = set(stage.devices) - stage.reached()
    if unreached:
        yield f"no call reaches {sorted(unreached)}"


def _in_files(stage: Stage) -> Iterator[str]:
    """Temporary files, where phones fetch theirs and in the project."""
    known = {member.mac for member in stage.cast}
    for path in stage.sshd.root.iterdir():
        ours = path.name == ".realmkit" and [one.name for one in path.iterdir()] == ["previous"]
        if not ours and not (path.is_file() and any(mac in path.name for mac in known) and path.name[0] != "."):
            yield f"{path} lies about"
    for path in stage.sshd.root.rglob("*"):
        if "realmkit-new" in path.name:
            yield f"{path} lies about"
    for path in stage.user.directory.rglob("*"):
        if path.suffix in (".tmp", ".new", ".part") or path.name.endswith("~"):
            yield f"{path} lies about"


def _running(stage: Stage) -> Iterator[str]:
    for pid in stage.lab.namespace.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"realmkit" in command and str(stage.user.directory).encode() in command:
            yield f"process {pid} runs"
    if sessions := stage.sshd.sessions():
        yield f"{len(sessions)} SSH sessions"
    for where in (stage.sshd.where, stage.server.url.removeprefix("http://").partition("/")[0]):
        if number := _connections(where):
            yield f"{number} connections to {where}"


def _connections(where: str) -> int:
    """Established TCP connections to `127.0.0.1:80` in this network namespace."""
    address, _, port = where.partition(":")
    remote = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{int(port):04X}"
    lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    return sum(fields[2:4] == [remote, "01"] for fields in map(str.split, lines))


def dns_faults(stage: Stage, *realms: str) -> list[str]:
    """What is not right with the DNS of these realms, on each server by itself and through the phones' resolver."""
    found = []
    edge = Target(stage.kamailio.address, SIP_PORT)
    for realm in realms:
        for server in stage.dns.servers:
            for owner, kind in [(realm, "A"), (realm, "MX"), (realm, "NAPTR"), (f"_sip._udp.{realm}", "SRV")]:
                answer = server.query(f"{owner}.", kind).answer
                ttls = [rrset.ttl for rrset in answer if rrset.name.to_text() == f"{owner}."]
                if ttls != [TTL]:
                    found.append(f"{server}: {owner} {kind}: TTLs {ttls}")
        found += [
            f"{realm} by {how}: {there}"
            for how in ("naptr", "srv")
            if (there := locate(realm, how, stage.fleet.ask)) != (edge,)
        ]
    return found


def mail_faults(stage: Stage, *domains: str) -> list[str]:
    """The domains to which fax mail would be refused."""
    return [domain for domain in domains if stage.crossbar.fax_domain_accepted(domain) is None]
