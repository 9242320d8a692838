"""The whole health check: one realm from a shell, twenty thousand against a server of our own, and the slope."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import data, measure
from bench.cases import REALMKIT, Row
from tests.lab.server import KEY, Authoritative
from tests.lab.servers import Knot
from tests.lab.topology import Lab

REALMS: Final = 20_000
SLOPE: Final = (100, 1_000, 10_000, 100_000)
QUESTIONS: Final = 7  # of each realm: NAPTR, A, AAAA, MX, and SRV of three transports
_QUIET: Final = ("--no-state", "--skip", "DEL06", "--skip", "SIP04")


def health(lab: Lab, directory: Path) -> list[Row]:
    """The rows about `realmkit health check`."""
    knot = lab.start(Knot)
    costs = {}
    for realms in sorted({*SLOPE, REALMS}):
        zone = f"h{realms}.bench.example"
        labels = data.labels(realms)
        knot.add_zone(f"{zone}.", "\n".join(zone_lines(zone, knot, labels)) + "\n")
        project(directory / zone, zone, knot, labels)
        rounds = 3 if realms <= REALMS else 1
        if realms == SLOPE[0]:
            one = [*REALMKIT, "-C", str(directory / zone), "health", "check", f"{labels[0]}.{zone}", *_QUIET]
            alone = measure.least([(one, None, "1 realm in 1 zone")], 5)[0]
        whole = [*REALMKIT, "-C", str(directory / zone), "health", "check", *_QUIET]
        costs[realms] = measure.least([(whole, None, f"{realms:,} realms in 1 zone")], rounds)[0]
        knot.drop_zone(f"{zone}.")
    mine = costs[REALMS]
    return [
        Row("health check of one realm, shell to verdict", f"{alone.wall:.2f} s", "", "", "≤ 0.6 s", alone.wall <= 0.6),
        Row(
            f"health check of {REALMS:,} realms ({REALMS * QUESTIONS:,} questions, chain, records, verdict)",
            f"{mine.wall:.1f} s, {mine.cpu:.1f} s CPU, {mine.memory:.0f} MiB", "", "", "≤ 8 s", mine.wall <= 8,
        ),
        _slope([(realms, costs[realms].wall) for realms in SLOPE], alone.wall),
    ]  # fmt: skip


def _slope(points: Sequence[tuple[int, float]], start: float) -> Row:
    """How the time grows, as the exponent of n between the last points: 1 is linear."""
    times = [(realms, max(seconds - start, 0.001)) for realms, seconds in points]
    exponent = math.log(times[-1][1] / times[-2][1]) / math.log(times[-1][0] / times[-2][0])
    shown = ", ".join(f"{realms:,}: {seconds:.2f} s" for realms, seconds in points)
    each = times[-1][1] / times[-1][0] * 1e6
    what = "health check, growth from 100 to 100,000 realms"
    return Row(what, shown, "", f"n^{exponent:.2f}, {each:.0f} µs a realm", "≤ n^1.1", exponent <= 1.1)


def project(directory: Path, zone: str, server: Authoritative, labels: Sequence[str]) -> None:
    """A project that wants these realms, with the edge in the same zone."""
    tsig = f'{{name: {KEY.name.rstrip(".")}, algorithm: {KEY.algorithm}, secret: "file:tsig.key"}}'
    lines = [
        "version: 1",
        "platform:",
        "  edge:",
        "    proxies:",
        f"      - {{host: east.edge.{zone}, addresses: [192.0.2.21], priority: 10}}",
        f"      - {{host: west.edge.{zone}, addresses: [192.0.2.22], priority: 20}}",
        "    transports: {udp: 5060, tcp: 5060}",
        f"    mail: [{{host: mx.edge.{zone}, preference: 10}}]",
        f'providers: {{ours: {{type: rfc2136, server: "{server.where}", tsig: {tsig}}}}}',
        f'zones: {{{zone}: {{provider: ours, nameservers: ["{server.where}"], rate_per_server: unlimited}}}}',
        "policy: {ttl: 300, allow_private_addresses: true}",
        "realms:",
        *(f"  {label}.{zone}: {{account: {label}}}" for label in labels),
    ]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "realmkit.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (directory / "tsig.key").write_text(KEY.secret, encoding="utf-8")


def zone_lines(zone: str, server: Authoritative, labels: Sequence[str]) -> Iterator[str]:
    """The zone that the project wants."""
    yield f"$ORIGIN {zone}."
    yield "$TTL 300"
    yield "@ SOA ns1 hostmaster 1 7200 900 1209600 300"
    yield f"@ NS ns1\nns1 A {server.address}\n@ NS ns2\nns2 A {server.address}"
    yield "east.edge A 192.0.2.21\nwest.edge A 192.0.2.22\nmx.edge A 192.0.2.23"
    for label in labels:
        yield f"{label} A 192.0.2.21\n{label} A 192.0.2.22\n{label} MX 10 mx.edge"
        for number, (service, labels_) in enumerate((("SIP+D2U", "_sip._udp"), ("SIP+D2T", "_sip._tcp")), start=1):
            yield f'{label} NAPTR {number}0 100 "S" "{service}" "" {labels_}.{label}'
            yield f"{labels_}.{label} SRV 10 50 5060 east.edge\n{labels_}.{label} SRV 20 50 5060 west.edge"
