"""Asking one name server a hundred thousand questions: the query engine beside dnsperf, dig and dnspython."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench import data
from bench.cases import Row
from bench.measure import CommandFailedError
from tests.lab.servers import Knot
from tests.lab.topology import Lab

ZONE: Final = "ask.bench.example"
REALMS: Final = 20_000
ROUNDS: Final = 5
DIG: Final = 20_000  # questions; dig and dnspython are slow, so they get fewer
DNSPYTHON: Final = 3_000
ASKING: Final = str(Path(__file__).with_name("asking.py"))


class Asked(NamedTuple):
    """What asking cost: questions a second; CPU seconds a question and MiB, where they were counted."""

    rate: float
    cpu: float = 0.0
    memory: float = 0.0


def engine(lab: Lab, directory: Path) -> list[Row]:
    """A, MX, NAPTR and two SRV sets of 20,000 realms from knot, in interleaved rounds, of which the best counts."""
    directory.mkdir()
    labels = data.labels(REALMS)
    knot = lab.start(Knot)
    knot.add_zone(ZONE + ".", "\n".join(zone_lines(labels)) + "\n")
    questions = list(_questions(labels))
    random.Random(7).shuffle(questions)  # noqa: S311 - the same order in each run
    everything = _file(directory / "all", questions)
    for_dig = _file(directory / "dig", [f"{line} +noall +answer" for line in questions[:DIG]])
    some = _file(directory / "some", questions[:DNSPYTHON])
    ours, perf, dig, dnspython = [], [], [], []
    for _ in range(ROUNDS):
        ours.append(_child("realmkit", knot.address, everything, len(questions)))
        perf.append(_dnsperf(knot.address, everything))
        dig.append(_dig(knot.address, for_dig))
        dnspython.append(_child("dnspython", knot.address, some, DNSPYTHON))
    return _rows(ours, perf, dig, dnspython)


def _rows(ours: list[Asked], perf: list[Asked], dig: list[Asked], dnspython: list[Asked]) -> list[Row]:
    what = f"{REALMS * 5:,} questions to knot, each answer read whole"
    mine = max(one.rate for one in ours)
    rows = []
    for peer, those, least in (("dnsperf", perf, 0.4), ("dig -f", dig, 3), ("dnspython resolver", dnspython, 30)):
        theirs = max(one.rate for one in those)
        ratio = mine / theirs
        shown = (f"{mine:,.0f}/s", f"{peer} {theirs:,.0f}/s", f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}")
        rows.append(Row(what, *shown, f"≥ {least}", ratio >= least))
    cpu, memory = min(one.cpu for one in ours) * 1e6, min(one.memory for one in ours)
    their_cpu = min(one.cpu for one in dnspython) * 1e6
    shown = (f"{cpu:.1f} µs", f"dnspython resolver {their_cpu:.0f} µs", f"1/{their_cpu / cpu:.0f}")
    rows.append(Row("CPU for each of them", *shown, "≤ 20 µs", cpu <= 20))
    rows.append(Row("peak memory, questions included", f"{memory:.0f} MiB", "", "", "≤ 60 MiB", memory <= 60))
    return rows


def zone_lines(labels: Sequence[str]) -> Iterator[str]:
    """Eight records a realm, on hosts of the same zone."""
    yield from data.zone_lines(ZONE, ())
    yield from ("mx1 A 192.0.2.10", "edge1 A 192.0.2.21", "edge1 AAAA 2001:db8::21")
    for label in labels:
        yield f"{label} A 192.0.2.21"
        yield f"{label} MX 10 mx1"
        for number, (service, owner, port) in enumerate(
            (("SIPS+D2T", "_sips._tcp", 5061), ("SIP+D2T", "_sip._tcp", 5060), ("SIP+D2U", "_sip._udp", 5060)), 1
        ):
            yield f"{owner}.{label} SRV 10 50 {port} edge1"
            yield f'{label} NAPTR {number}0 10 "s" "{service}" "" {owner}.{label}'


def _questions(labels: Sequence[str]) -> Iterator[str]:
    for label in labels:
        for kind in ("A", "MX", "NAPTR"):
            yield f"{label}.{ZONE}. {kind}"
        for owner in ("_sip._udp", "_sip._tcp"):
            yield f"{owner}.{label}.{ZONE}. SRV"


def _file(path: Path, lines: Sequence[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return str(path)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailedError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def _child(who: str, address: str, path: str, count: int) -> Asked:
    said = json.loads(_run([sys.executable, ASKING, who, address, path]))
    if said["answered"] != count:
        raise CommandFailedError(f"{who}: {said['answered']} of {count} questions were answered")
    return Asked(count / said["seconds"], said["cpu"] / count, said["memory"])


def _dnsperf(address: str, path: str) -> Asked:
    said = _run(["dnsperf", "-s", address, "-d", path, "-n", "2", "-c", "4", "-q", "200"])
    found = re.search(r"Queries per second:\s+([0-9.]+)", said)
    if found is None:
        raise CommandFailedError(f"dnsperf\n{said[-2000:]}")
    return Asked(float(found.group(1)))


def _dig(address: str, path: str) -> Asked:
    began = time.perf_counter()
    said = _run(["dig", f"@{address}", "-f", path])
    seconds = time.perf_counter() - began
    if said.count("\n") < DIG:
        raise CommandFailedError(f"dig printed {said.count(chr(10))} lines for {DIG} questions")
    return Asked(DIG / seconds)
