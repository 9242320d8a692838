"""`make bench`: every figure of the README's table, measured beside its peer in this run.

python -m bench              all of it (eleven minutes on two cores)
python -m bench plan axfr    some of it: plan, zones, axfr, ttl, clouds, start, moves, engine, health, zonemaster,
                             accounts
"""

from __future__ import annotations

import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import accounts, cases, clouds, engine, health, moves, zonemaster
from bench.cases import Row
from tests.lab.namespace import Namespace
from tests.lab.topology import Lab

GROUPS = {
    "plan": cases.plan_one_zone,
    "zones": cases.plan_many_zones,
    "axfr": cases.axfr,
    "ttl": cases.lower_ttls,
    "clouds": clouds.clouds,
    "start": cases.start_up,
    "moves": moves.moves,
    "engine": engine.engine,
    "health": health.health,
    "zonemaster": zonemaster.zonemaster,
    "accounts": accounts.accounts,
}


def main(wanted: list[str]) -> int:
    """Run the groups that are asked for and print the table; a target that is missed says so in its line."""
    unknown = set(wanted) - set(GROUPS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known are: {', '.join(GROUPS)}", file=sys.stderr)
        return 64
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="realmkit-bench.") as directory:
        namespace = Namespace()
        lab = Lab(namespace, Path(directory) / "lab")
        try:
            with namespace.inside():
                for name in wanted or GROUPS:
                    print(f"measuring: {name}", file=sys.stderr, flush=True)
                    rows.extend(GROUPS[name](lab, Path(directory) / name))
        finally:
            lab.stop()
            namespace.close()
    print(table(rows))
    return 0


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with date and versions."""
    peers = ", ".join(
        f"{name} {version(name)}"
        for name in ("realmkit", "octodns", "octodns-bind", "octodns-route53", "octodns-cloudflare", "dnspython")
    )
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {peers}, {cases.server_versions()}",
        "",
        "| what | realmkit | peer | ratio | target | met |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.target} | {'yes' if row.met else '**no**'} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
