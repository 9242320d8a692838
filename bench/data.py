"""The same records for realmkit and for its peers: realms of four RRsets each (A, MX, NAPTR, SRV)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ZONE: Final = "s.bench.example"
TTL: Final = 3600
ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def labels(count: int, seed: int = 7) -> list[str]:
    """Random first labels, as a platform generates them."""
    draw = random.Random(seed)  # noqa: S311 - test data, the same in each run
    found: dict[str, None] = {}
    while len(found) < count:
        found["r" + "".join(draw.choices(ALPHABET, k=6))] = None
    return list(found)


def project(directory: Path, zones: dict[str, list[str]], provider: str, nameservers: str = "") -> None:
    """A realmkit project that wants these realms."""
    lines = [
        "version: 1",
        "platform:",
        "  edge:",
        "    proxies:",
        "      - {host: edge1.bench.example, addresses: [192.0.2.21], priority: 10, weight: 50}",
        "    transports: {udp: 5060}",
        "    mail: [{host: mx1.bench.example, preference: 10}]",
        f"providers: {{target: {provider}}}",
        "zones:",
        *(f"  {zone}: {{provider: target{nameservers}}}" for zone in zones),
        "realms:",
        *(f"  {label}.{zone}: {{account: {label}}}" for zone, realms in zones.items() for label in realms),
    ]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "realmkit.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def zone_lines(zone: str, realms: Iterable[str], ttl: int = TTL) -> Iterator[str]:
    """A zone file with these realms' records, one line each."""
    yield f"$ORIGIN {zone}."
    yield f"$TTL {ttl}"
    yield "@ IN SOA ns1.bench.example. hostmaster.bench.example. 2026112200 7200 900 1209600 300"
    yield "@ IN NS ns1.bench.example."
    for label in realms:
        yield f"{label} IN A 192.0.2.21"
        yield f"{label} IN MX 10 mx1.bench.example."
        yield f'{label} IN NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.{label}.{zone}.'
        yield f"_sip._udp.{label} IN SRV 10 50 5060 edge1.bench.example."


def zone_file(path: Path, zone: str, realms: Iterable[str], ttl: int = TTL) -> None:
    """Write that zone file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(zone_lines(zone, realms, ttl)) + "\n", encoding="utf-8")


def octodns_yaml(directory: Path, zone: str, realms: Iterable[str], *, ttl: int = TTL, apex: bool = True) -> None:
    """The same records as octoDNS's YamlProvider reads them; without `apex` no NS set of the zone itself."""
    out = ["---", *(["'': {type: NS, ttl: 3600, values: [ns1.bench.example.]}"] if apex else [])]
    entries = []
    for label in realms:
        entries.append(
            f"{label}:\n- {{type: A, ttl: {ttl}, value: 192.0.2.21}}\n"
            f"- {{type: MX, ttl: {ttl}, values: [{{exchange: mx1.bench.example., preference: 10}}]}}\n"
            f"- {{type: NAPTR, ttl: {ttl}, values: [{{flags: S, order: 10, preference: 100, regexp: '', "
            f"replacement: _sip._udp.{label}.{zone}., service: SIP+D2U}}]}}"
        )
        entries.append(
            f"_sip._udp.{label}: {{type: SRV, ttl: {ttl}, "
            "values: [{port: 5060, priority: 10, target: edge1.bench.example., weight: 50}]}"
        )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{zone}.yaml").write_text("\n".join([*out, *entries]) + "\n", encoding="utf-8")


def octodns_config(path: Path, source: Path, target: str, zones: Iterable[str]) -> None:
    """OctoDNS's configuration: from YAML to `target`, which is a provider's YAML mapping."""
    path.write_text(
        f"providers:\n  config: {{class: octodns.provider.yaml.YamlProvider, directory: {source}, "
        f"default_ttl: 3600, enforce_order: false}}\n  target: {target}\nzones:\n"
        + "".join(f"  {zone}.: {{sources: [config], targets: [target]}}\n" for zone in zones),
        encoding="utf-8",
    )
