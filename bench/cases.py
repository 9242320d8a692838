"""What is measured: plans beside octoDNS, a transfer beside kdig, messages beside their lower bound, start-up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import data, measure
from bench.measure import Cost
from tests.lab.server import KEY, Authoritative
from tests.lab.servers import Knot, Named, PowerDns
from tests.lab.topology import Lab

REALMKIT = [str(Path(sys.executable).with_name("realmkit"))]
OCTODNS = [str(Path(sys.executable).with_name("octodns-sync")), "--config-file"]
REALMS = 12_500
ZONES = 500
REALMS_IN_SMALL_ZONE = 5
AXFR_REALMS = 20_000
TTL_RRSETS = 10_000
MESSAGE = 65_535


class Row(NamedTuple):
    """One line of the table."""

    what: str
    ours: str
    peer: str
    ratio: str
    target: str
    met: bool


def plan_one_zone(lab: Lab, directory: Path) -> list[Row]:
    """A plan without changes over one zone of 50,000 records, from files and by AXFR."""
    labels = data.labels(REALMS)
    data.octodns_yaml(directory / "source", data.ZONE, labels)
    rows = _plan_rows("no-op plan, 50,000 records, files", *_file_pair(directory / "files", {data.ZONE: labels}))
    named = lab.start(Named)  # knot hangs up on a reader as slow as the peer
    named.add_zone(data.ZONE + ".", "\n".join(data.zone_lines(data.ZONE, labels)) + "\n")
    pair = _axfr_pair(directory / "axfr", directory / "source", labels, named)
    return rows + _plan_rows("no-op plan, 50,000 records, AXFR from named", *pair)


def plan_many_zones(_lab: Lab, directory: Path) -> list[Row]:
    """A plan without changes over 500 zones of 20 records."""
    labels = data.labels(REALMS_IN_SMALL_ZONE)
    pair = _file_pair(directory, {f"z{number}.bench.example": labels for number in range(ZONES)})
    return _plan_rows("no-op plan, 500 zones of 20 records, files", *pair)


def _file_pair(directory: Path, zones: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Realmkit on zone files, and octoDNS from YAML to YAML, over the same records."""
    data.project(directory / "project", zones, '{type: zonefile, file: "zones/{zone}.zone"}')
    for zone, labels in zones.items():
        data.zone_file(directory / "project" / "zones" / f"{zone}.zone", zone, labels)
        data.octodns_yaml(directory / "source", zone, labels)
    shutil.copytree(directory / "source", directory / "target")
    target = f"{{class: octodns.provider.yaml.YamlProvider, directory: {directory / 'target'}, enforce_order: false}}"
    data.octodns_config(directory / "octodns.yaml", directory / "source", target, zones)
    return plan_command(directory / "project"), [*OCTODNS, str(directory / "octodns.yaml")]


def _axfr_pair(directory: Path, source: Path, labels: list[str], server: Authoritative) -> tuple[list[str], list[str]]:
    """Both against the same server, read by AXFR with TSIG."""
    _rfc2136_project(directory / "project", labels, server)
    target = (
        f"{{class: octodns_bind.Rfc2136Provider, host: {server.address}, port: {server.port}, timeout: 300, "
        f"key_name: {KEY.name}, key_secret: {KEY.secret}, key_algorithm: {KEY.algorithm}}}"
    )
    data.octodns_config(directory / "octodns.yaml", source, target, [data.ZONE])
    return plan_command(directory / "project"), [*OCTODNS, str(directory / "octodns.yaml")]


def _rfc2136_project(directory: Path, labels: list[str], server: Authoritative) -> None:
    provider = (
        f'{{type: rfc2136, server: "{server.where}", '
        f'tsig: {{name: {KEY.name.rstrip(".")}, algorithm: {KEY.algorithm}, secret: "file:tsig.key"}}}}'
    )
    data.project(directory, {data.ZONE: labels}, provider, f', nameservers: ["{server.where}"]')
    (directory / "tsig.key").write_text(KEY.secret, encoding="utf-8")


def plan_command(project: Path) -> list[str]:
    """Our plan of a project."""
    return [*REALMKIT, "-C", str(project), "dns", "plan"]


def _plan_rows(what: str, ours: list[str], theirs: list[str]) -> list[Row]:
    """CPU and peak memory of both, ours the least of three runs, the peer's of one: it takes a minute."""
    mine = measure.least([(ours, None, "no changes")], 3)[0]
    peer = measure.cost(theirs, output="No changes were planned")
    return [ratio_row(f"{what}: CPU", mine, peer, "cpu", 40), ratio_row(f"{what}: memory", mine, peer, "memory", 4)]


def ratio_row(what: str, mine: Cost, peer: Cost, field: str, at_least: int) -> Row:
    """A line about one figure of both: met when ours is at most the peer's divided by `at_least`."""
    unit = "s" if field == "cpu" else "MiB"
    a, b = getattr(mine, field), getattr(peer, field)
    return Row(
        what,
        f"{a:.2f} {unit}",
        f"octoDNS {b:.1f} {unit}",
        f"1/{b / a:.{0 if b / a >= 10 else 1}f}",
        f"≤ 1/{at_least}",
        b / a >= at_least,
    )


def axfr(lab: Lab, directory: Path) -> list[Row]:
    """A transfer of 160,000 records from knot, beside kdig."""
    directory.mkdir()
    knot = lab.start(Knot)
    zone = "big.bench.example"
    knot.add_zone(zone + ".", "\n".join(_eight_each(zone, data.labels(AXFR_REALMS))) + "\n")
    kdig = ["kdig", f"@{knot.address}", "-y", f"{KEY.algorithm}:{KEY.name}:{KEY.secret}", zone, "AXFR"]
    code = (
        "from realmkit.dns import names\nfrom realmkit.dns.asking.query import Server\n"
        "from realmkit.dns.primary import transfer\nfrom realmkit.dns.primary.tsig import Key\n"
        f"key = Key.from_text({KEY.name!r}, {KEY.secret!r}, {KEY.algorithm!r})\n"
        f"source = transfer.Source(Server({knot.address!r}, {knot.port}), key)\n"
        f"zone = transfer.axfr(names.absolute({zone!r}), source)\n"
        "print(sum(len(one.rdata) for one in zone.rrsets.values()), 'records')\n"
    )
    ours: Sequence[str] = [sys.executable, "-c", code]
    records = AXFR_REALMS * 8 + 2
    mine, peer = measure.least([(ours, None, f"{records} records"), (kdig, None, "SOA")], 5)
    ratio = mine.wall / peer.wall
    took = (f"{mine.wall:.2f} s, {mine.memory:.0f} MiB", f"kdig {peer.wall:.2f} s")
    return [Row("AXFR of 160,000 records, whole process", *took, f"{ratio:.2f}", "≤ 2", ratio <= 2)]


def _eight_each(zone: str, labels: list[str]) -> list[str]:
    """Eight records a realm: A, MX, three SRV, three NAPTR."""
    lines = list(data.zone_lines(zone, ()))
    for label in labels:
        lines += [f"{label} A 192.0.2.21", f"{label} MX 10 mx1.bench.example."]
        for number, (service, owner, port) in enumerate(
            (("SIPS+D2T", "_sips._tcp", 5061), ("SIP+D2T", "_sip._tcp", 5060), ("SIP+D2U", "_sip._udp", 5060)), 1
        ):
            lines.append(f"{owner}.{label} SRV 10 50 {port} edge1.bench.example.")
            lines.append(f'{label} NAPTR {number}0 10 "s" "{service}" "" {owner}.{label}')
    return lines


def lower_ttls(lab: Lab, directory: Path) -> list[Row]:
    """The TTL of 10,000 RRsets lowered in one run: messages and requests counted by the server's own side."""
    labels = data.labels(TTL_RRSETS // 4)
    return [_ttl_rfc2136(lab, directory / "rfc2136", labels), _ttl_powerdns(lab, directory / "powerdns", labels)]


def _ttl_rfc2136(lab: Lab, directory: Path, labels: list[str]) -> Row:
    named = lab.start(Named)
    named.add_zone(data.ZONE + ".", "\n".join(data.zone_lines(data.ZONE, labels)) + "\n")
    _rfc2136_project(directory, labels, named)
    adopt(directory)
    batches = lower(directory)
    _check_ttls(named, labels)
    # the least: every record once, its owner compressed to its own labels and a pointer to the zone
    octets = sum(_compressed(line) for line in data.zone_lines(data.ZONE, labels) if " IN " in line and line[0] != "@")
    least = -(-octets // MESSAGE)
    ratio = batches / least
    return Row(
        "TTL of 10,000 RRsets, RFC 2136: messages", str(batches), f"{least} hold the records alone",
        f"{ratio:.2f}", "≤ 1.2", ratio <= 1.2,
    )  # fmt: skip


def _compressed(line: str) -> int:
    """Octets of one zone-file line's record in a message, with its owner compressed."""
    from realmkit.dns import names, rdata
    from realmkit.dns.records import type_from_text

    owner, _, kind, text = line.split(" ", 3)
    origin = names.absolute(data.ZONE)
    own_labels = len(names.from_text(owner, origin)) - len(origin)
    return own_labels + 2 + 10 + len(rdata.from_text(type_from_text(kind), text, origin))


def _ttl_powerdns(lab: Lab, directory: Path, labels: list[str]) -> Row:
    pdns = lab.start(PowerDns)
    pdns.add_zone(data.ZONE + ".", "\n".join(data.zone_lines(data.ZONE, labels)) + "\n")
    provider = f'{{type: powerdns, url: "{pdns.api_url}", api_key: "file:api.key"}}'
    data.project(directory, {data.ZONE: labels}, provider, f', nameservers: ["{pdns.where}"]')
    (directory / "api.key").write_text(pdns.api_key, encoding="utf-8")
    adopt(directory)
    batches = lower(directory)
    _check_ttls(pdns, labels)
    return Row("TTL of 10,000 RRsets, PowerDNS: PATCH requests", str(batches), "", "", "≤ 3", batches <= 3)


def adopt(project: Path) -> None:
    """Take over everything that is wanted and there."""
    _dns(project, "adopt", "--wanted", "--yes")


def lower(project: Path, rrsets: int = TTL_RRSETS) -> int:
    """Lower every TTL to 300, and return how many batches it took."""
    import json

    said = _dns(project, "apply", "--ttl", "300", "--yes", "--json", "--no-verify", "--allow", "blast-radius")
    (zone,) = json.loads(said)["zones"]
    if len(zone["applied"]) != rrsets:
        raise measure.CommandFailedError(f"{len(zone['applied'])} RRsets were changed, not {rrsets}")
    return int(zone["batches"])


def _dns(project: Path, *words: str) -> str:
    result = subprocess.run([*REALMKIT, "-C", str(project), "dns", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise measure.CommandFailedError(f"{words}: exit {result.returncode}\n{result.stderr[-2000:]}")
    return result.stdout


def _check_ttls(server: Authoritative, labels: list[str]) -> None:
    """Ask the server itself: every RRset has the new TTL."""
    import dns.name
    import dns.query
    import dns.tsigkeyring
    import dns.xfr
    import dns.zone

    zone = dns.zone.Zone(data.ZONE)
    keyring = dns.tsigkeyring.from_text({KEY.name: KEY.secret})
    query, _ = dns.xfr.make_query(
        zone, keyring=keyring, keyname=dns.name.from_text(KEY.name), keyalgorithm=KEY.algorithm
    )
    dns.query.inbound_xfr(server.address, zone, query, port=server.port, timeout=60, lifetime=300)
    lowered = sum(rdataset.ttl == 300 for _, rdataset in zone.iterate_rdatasets())
    if lowered != TTL_RRSETS:
        raise measure.CommandFailedError(f"{server}: {lowered} RRsets have the new TTL, not {TTL_RRSETS}")
    if len(labels) * 4 != TTL_RRSETS:
        raise measure.CommandFailedError("the zone is not what was asked for")


def start_up(_lab: Lab, directory: Path) -> list[Row]:
    """From shell to first word."""
    zones = {"small.bench.example": data.labels(3)}
    data.project(directory, zones, '{type: zonefile, file: "{zone}.zone"}')
    for zone, labels in zones.items():
        data.zone_file(directory / f"{zone}.zone", zone, labels)
    nothing, helped, planned = measure.least(
        [
            ([sys.executable, "-c", "pass"], None, None),
            ([*REALMKIT, "--help"], None, "Commands:"),
            (plan_command(directory), None, "no changes"),
        ],
        15,
    )
    return [
        _start("realmkit --help", helped, nothing, 8),
        _start("dns plan of one small zone file", planned, nothing, 25),
    ]


def _start(what: str, mine: Cost, nothing: Cost, most: int) -> Row:
    ratio = mine.wall / nothing.wall
    ours, peer = f"{mine.wall * 1000:.0f} ms", f"python -c pass {nothing.wall * 1000:.0f} ms"
    return Row(what, ours, peer, f"{ratio:.1f}", f"≤ {most}", ratio <= most)


def server_versions() -> str:
    """What the lab's servers say of themselves."""
    knot = subprocess.run(["knotd", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    named = subprocess.run(["named", "-v"], capture_output=True, text=True, check=True).stdout.split()
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${Version}, ", "dnsperf", "zonemaster-cli"],
        capture_output=True, text=True, check=False,
    ).stdout.rstrip(", ")  # fmt: skip
    return ", ".join(filter(None, [f"{knot.lower().replace(', version', '')}, named {named[1]}", shown]))
