"""Zones judged beside zonemaster-cli (Debian: zonemaster-cli): the same verdicts, and what they cost.

Both look at the zones of `tests.lab.zoneworld`, each of which is wrong in its own way. Where the verdicts differ, the
line says why; a difference without a known reason misses the target.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench import measure
from bench.cases import Row
from tests.lab.proxy import Fault
from tests.lab.topology import Lab
from tests.lab.zoneworld import World, edns_option, edns_version, over_tcp, planted, with_edns

PEER = "zonemaster-cli"
CASES = (
    "basic", *(f"delegation/delegation0{n}" for n in (1, 2, 4, 5, 6, 7)), "connectivity/connectivity01",
    "connectivity/connectivity02", "consistency", *(f"nameserver/nameserver{n}" for n in ("01", "02", "03", 10, 11)),
    *(f"zone/zone0{n}" for n in (2, 3, 4, 5)),
)  # fmt: skip
COMMON = ("DEL01", "DEL02", "DEL03", "DEL04", "DEL05", "DEL06", "CON01", "CON05", "SCR01", "SCR04", "SCR05")
ZONES = (
    "good", "four", "lame", "dead", "expired", "forsaken", "nowhere", "other", "torn", "renumbered", "glueless", "half",
    "odd", "single", "twins", "near", "behind", "orderless", "forked", "hasty", "open", "recursive",
)  # fmt: skip
FAULTS = {
    "without TCP": Fault("reset", when=over_tcp),
    "EDNS dropped": Fault("drop", when=with_edns),
    "EDNS refused": Fault("rcode", when=with_edns, rcode=1),
    "EDNS version dropped": Fault("drop", when=edns_version),
    "EDNS option refused": Fault("rcode", when=edns_option, rcode=1),
}
# Their message tags -> our check. Tags that only follow from another (UNEXPECTED_RCODE, NS_ERROR) are left out.
TAGS = {
    "NO_GLUE_PREVENTS_NAMESERVER_TESTS": "DEL01", "CHILD_ZONE_LAME": "DEL01", "NS_FAILED": "DEL02",
    "IS_NOT_AUTHORITATIVE": "DEL02", "CN01_NO_RESPONSE_UDP": "DEL02", "CN02_NO_RESPONSE_TCP": "DEL02",
    "CN01_UNEXPECTED_RCODE_SOA_QUERY_UDP": "DEL02", "CN02_NO_RESPONSE_SOA_QUERY_TCP": "DEL02",
    "EXTRA_NAME_PARENT": "DEL03", "EXTRA_NAME_CHILD": "DEL03", "TOTAL_NAME_MISMATCH": "DEL03",
    "MULTIPLE_NS_SET": "DEL03", "IN_BAILIWICK_ADDR_MISMATCH": "DEL04", "EXTRA_ADDRESS_CHILD": "DEL04",
    "NS_IS_CNAME": "DEL05", "NOT_ENOUGH_NS_DEL": "DEL06", "NOT_ENOUGH_NS_CHILD": "DEL06", "SAME_IP_ADDRESS": "DEL06",
    "NOT_ENOUGH_IPV6_NS_DEL": "DEL06", "MULTIPLE_SOA_SERIALS": "CON01", "MULTIPLE_SOA_RNAMES": "CON05",
    "MULTIPLE_SOA_MNAMES": "CON05", "MULTIPLE_SOA_TIME_PARAMETER_SET": "CON05", "REFRESH_MINIMUM_VALUE_LOWER": "CON05",
    "RETRY_MINIMUM_VALUE_LOWER": "CON05", "REFRESH_LOWER_THAN_RETRY": "CON05", "EXPIRE_MINIMUM_VALUE_LOWER": "CON05",
    "AXFR_AVAILABLE": "SCR01", "IS_A_RECURSOR": "SCR04", "NO_EDNS_SUPPORT": "SCR05", "BREAKS_ON_EDNS": "SCR05",
    "N10_NO_RESPONSE_EDNS1_QUERY": "SCR05", "N10_UNEXPECTED_RCODE": "SCR05", "N10_EDNS_RESPONSE_ERROR": "SCR05",
    "N11_NO_RESPONSE": "SCR05", "N11_UNEXPECTED_RCODE": "SCR05", "N11_NO_EDNS": "SCR05",
}  # fmt: skip
_APART = "addresses in one /24, where they compare AS numbers (not asked here)"
_UNTOLD = "nobody tells the zone's own NS set: they take it for empty, we for unknown"
# (zone or *, check, who alone says it) -> why
REASONS = {
    ("*", "DEL06", "ours"): _APART,
    ("forsaken", "DEL02", "ours"): "they stop at basic02; we name each server and what it answers",
    ("forsaken", "DEL03", "theirs"): _UNTOLD,
    ("forsaken", "DEL06", "theirs"): _UNTOLD,
    ("nowhere", "DEL03", "theirs"): "they compare the empty NS sets of a zone that is not delegated",
    ("nowhere", "DEL06", "theirs"): "they count the servers of a zone that is not delegated",
    ("other", "DEL04", "theirs"): "a server that the zone alone names has no glue: we say it once, as DEL03",
    ("torn", "DEL04", "theirs"): "as above",
    ("half", "DEL06", "theirs"): "one IPv6 server beside two of IPv4: they ask for two, we find it harmless",
}
CODE = """
import json, sys
from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns.asking.query import Options
from realmkit.health.checks import consistency, delegation, migration_zone, nameservers, security, zonewild
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.observe.zones import look
from realmkit.health.seen.zone import ZoneTask
checks = (delegation.delegated, delegation.lame, delegation.same_servers, delegation.glue, nameservers.server_names,
          nameservers.diversity, consistency.serials, consistency.soa, security.open_transfer,
          security.open_recursion, security.edns, migration_zone.ns_ttl)
tasks = [ZoneTask(names.absolute(text), allow_private=True) for text in sys.argv[2:]]
found = look(tasks, Surroundings(SystemClock(), Options(rate=None), (sys.argv[1],)))
print("FOUND", json.dumps({seen.title: [(one.id, one.level) for check in checks for one in check(seen)]
                           for seen in found}))
"""


class Verdict(NamedTuple):
    """What both say of one zone: ids of ours."""

    zone: str
    ours: frozenset[str]
    theirs: frozenset[str]

    def differences(self) -> list[tuple[str, str, str]]:
        """Check, who alone says it, and why; no reason where none is known."""
        sides = [(id_, "ours") for id_ in sorted(self.ours - self.theirs)]
        sides += [(id_, "theirs") for id_ in sorted(self.theirs - self.ours)]
        return [
            (id_, side, REASONS.get((self.zone, id_, side)) or REASONS.get(("*", id_, side), "")) for id_, side in sides
        ]


def zonemaster(lab: Lab, directory: Path) -> list[Row]:
    """One zone, and all of them, judged by both; the differences are printed."""
    if shutil.which(PEER) is None:
        raise measure.CommandFailedError(f"{PEER} is not installed")
    directory.mkdir()
    with planted(lab) as world:
        hints = directory / "hints"
        root = world.tree.root.address
        hints.write_text(f". 3600 IN NS ns.root.example.\nns.root.example. 3600 IN A {root}\n", encoding="ascii")
        rows = [_cost(world, hints, "one zone of four servers", ["four"], 5)]
        quick = [zone for zone in ZONES if zone not in ("dead", "forsaken")]
        rows.append(_cost(world, hints, f"{len(quick)} zones", quick, 1))
        verdicts = _verdicts(world, hints)
    print(_table(verdicts), file=sys.stderr)
    return [*rows, _agreement(verdicts)]


def _ours(world: World, zones: list[str]) -> list[str]:
    return [sys.executable, "-c", CODE, world.tree.resolver.where, *(f"{zone}.example" for zone in zones)]


def _theirs(hints: Path, zone: str) -> list[str]:
    cases = [word for case in CASES for word in ("--test", case)]
    words = ["--hints", str(hints), "--no-ipv6", "--level", "NOTICE", "--raw", "--show-testcase", "--no-progress"]
    return [PEER, *words, *cases, f"{zone}.example"]


def _cost(world: World, hints: Path, what: str, zones: list[str], rounds: int) -> Row:
    """CPU of whole processes: one of ours for all zones, one of theirs for each, as it takes one zone at a time."""
    commands = [(_ours(world, zones), None, "FOUND"), *((_theirs(hints, zone), None, None) for zone in zones)]
    mine, *peers = measure.least(commands, rounds)
    cpu, wall = sum(one.cpu for one in peers), sum(one.wall for one in peers)
    ratio = cpu / mine.cpu
    ours, theirs = f"{mine.cpu:.2f} s CPU, {mine.wall:.2f} s", f"{PEER} {cpu:.2f} s CPU, {wall:.2f} s"
    return Row(f"zone checks, {what}: CPU", ours, theirs, f"1/{ratio:.0f}", "≤ 1/20", ratio >= 20)


# --- verdicts ------------------------------------------------------------------------------------------------


def _verdicts(world: World, hints: Path) -> list[Verdict]:
    ours = _found(_ours(world, list(ZONES)))
    verdicts = [Verdict(zone, ours[f"{zone}.example."], _said(hints, zone)) for zone in ZONES]
    for word, fault in FAULTS.items():
        world.proxy.fault = fault
        mine = _found(_ours(world, ["proxied"]))["proxied.example."]
        verdicts.append(Verdict(word, mine, _said(hints, "proxied")))
    world.proxy.fault = None
    return verdicts


def _found(command: list[str]) -> dict[str, frozenset[str]]:
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(printed.removeprefix("FOUND"))
    return {
        zone: frozenset(id_ for id_, level in many if level != "unknown" and id_ in COMMON)
        for zone, many in found.items()
    }


def _said(hints: Path, zone: str) -> frozenset[str]:
    printed = subprocess.run(_theirs(hints, zone), capture_output=True, text=True, check=True).stdout
    tags = re.findall(r"(?:CRITICAL|ERROR|WARNING|NOTICE)\s+\S+\s+(\S+)", printed)
    return frozenset(TAGS[tag] for tag in tags if tag in TAGS)


def _table(verdicts: list[Verdict]) -> str:
    lines = ["| zone | both | difference | why |", "|---|---|---|---|"]
    for one in verdicts:
        both = " ".join(sorted(one.ours & one.theirs))
        lines += [
            f"| {one.zone} | {both} | {id_}: {side} alone | {why or '**no reason known**'} |"
            for id_, side, why in one.differences()
        ] or [f"| {one.zone} | {both} | | |"]
    return "\n".join(lines)


def _agreement(verdicts: list[Verdict]) -> Row:
    differences = [one for verdict in verdicts for one in verdict.differences()]
    blind = [one for one in differences if not one[2]]
    both = sum(len(one.ours & one.theirs) for one in verdicts)
    return Row(
        f"zone checks, {len(verdicts)} zones: verdicts that differ without a reason", f"{both} verdicts of both",
        f"{len(differences)} differ for a known reason" if not blind else f"{len(differences)} differ", str(len(blind)),
        "0", not blind,
    )  # fmt: skip
