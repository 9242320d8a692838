"""Route 53 and Cloudflare, through their stand-ins: a plan beside octoDNS, and every TTL of a zone lowered.

The stand-ins run in this process, so what they cost counts for nobody. What they count are requests.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import data, measure
from bench.cases import OCTODNS, Row, adopt, lower, plan_command, ratio_row
from tests.lab.topology import Lab
from tests.standins.cloudflare import Account, CloudflareStandIn
from tests.standins.published import Served
from tests.standins.route53 import Route53StandIn

RRSETS = 10_000
PEER_RRSETS = 1_000  # the peer sends a request for each: enough to see it
LOWERED = 300


def clouds(_lab: Lab, directory: Path) -> list[Row]:
    """Both clouds."""
    return [*_route53(directory / "route53"), *_cloudflare(directory / "cloudflare")]


def _records(labels: list[str]) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    """The records of `bench.data`, as the stand-ins take them."""
    zone = f"{data.ZONE}."
    for label in labels:
        yield f"{label}.{zone}", "A", data.TTL, ("192.0.2.21",)
        yield f"{label}.{zone}", "MX", data.TTL, ("10 mx1.bench.example.",)
        yield f"{label}.{zone}", "NAPTR", data.TTL, (f'10 100 "S" "SIP+D2U" "" _sip._udp.{label}.{zone}',)
        yield f"_sip._udp.{label}.{zone}", "SRV", data.TTL, ("10 50 5060 edge1.bench.example.",)


@contextmanager
def _peer(directory: Path, target: str, labels: list[str], ttl: int = data.TTL) -> Iterator[list[str]]:
    """The peer's command for a plan of these realms."""
    data.octodns_yaml(directory / "source", data.ZONE, labels, ttl=ttl, apex=False)
    data.octodns_config(directory / "octodns.yaml", directory / "source", target, [data.ZONE])
    yield [*OCTODNS, str(directory / "octodns.yaml")]


def _plan_row(what: str, project: Path, directory: Path, target: str, labels: list[str]) -> Row:
    mine = measure.least([(plan_command(project), None, "no changes")], 3)[0]
    with _peer(directory / "peer", target, labels) as command:
        theirs = measure.cost(command, output="No changes were planned")
    return ratio_row(f"no-op plan, 10,000 records, {what}: CPU", mine, theirs, "cpu", 10)


# --- Route 53 ---------------------------------------------------------------------------------------------------------


def _route53(directory: Path) -> list[Row]:
    labels = data.labels(RRSETS // 4)
    with Route53StandIn() as cloud:
        zone_id = cloud.add_zone(f"{data.ZONE}.", _records(labels))
        key = cloud.key()
        os.environ |= {
            "AWS_ENDPOINT_URL_ROUTE_53": cloud.url, "AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        project = directory / "project"
        provider = f'{{type: route53, endpoint_url: "{cloud.url}", requests_per_second: 1000}}'
        data.project(project, {data.ZONE: labels}, provider, ', nameservers: ["127.0.0.1:1"]')
        target = "{class: octodns_route53.Route53Provider}"
        rows = [_plan_row("Route 53", project, directory, target, labels)]
        rows.append(_route53_ttl(cloud, zone_id, project, directory, target, labels))
        return rows


def _route53_ttl(
    cloud: Route53StandIn, zone_id: str, project: Path, directory: Path, target: str, labels: list[str]
) -> Row:
    """Ours against the least that the two limits allow; the peer against the same zone, before."""
    with _peer(directory / "lower", target, labels, LOWERED) as command:
        rejected = _sync(command)
    adopt(project)
    cloud.counts.clear()
    batches = lower(project, RRSETS)
    sent = cloud.counts["ChangeResourceRecordSets"]
    characters = 2 * sum(len(value) for _, _, _, values in _records(labels) for value in values)
    least = max(-(-2 * RRSETS // 1000), -(-characters // 32_000))
    _check("Route 53", sum(one.ttl == LOWERED for one in cloud.zones[zone_id].sets.values()))
    return Row(
        "TTL of 10,000 RRsets, Route 53: batches", f"{batches} ({sent} requests)",
        f"{least} hold them by both limits; octoDNS: {rejected}", f"{batches / least:.2f}", "≤ 1.1",
        batches == sent and batches / least <= 1.1,
    )  # fmt: skip


def _sync(command: list[str]) -> str:
    """The peer's run for real: done, or the error that ended it."""
    done = subprocess.run([*command, "--doit", "--force"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "done"
    last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-1]
    return f"fails, {last.rpartition('operation: ')[2][:60]}"


# --- Cloudflare -------------------------------------------------------------------------------------------------------


def _cloudflare(directory: Path) -> list[Row]:
    labels = data.labels(RRSETS // 4)
    with CloudflareStandIn() as cloud:
        account = cloud.new_account("bench")
        zone = cloud.new_zone(data.ZONE, account, plan="free")
        cloud.load(zone, _served(labels))
        token = cloud.new_token(account)
        project = directory / "project"
        provider = f'{{type: cloudflare, base_url: "{cloud.url}", api_token: "file:token"}}'
        data.project(project, {data.ZONE: labels}, provider, ', nameservers: ["127.0.0.1:1"]')
        (project / "token").write_text(token, encoding="utf-8")
        target = (
            f"{{class: octodns_cloudflare.CloudflareProvider, api_url: '{cloud.url}', token: {token}, min_ttl: 60}}"
        )
        row = _plan_row("Cloudflare", project, directory, target, labels)
        adopt(project)
        cloud.counts.clear()
        batches = lower(project, RRSETS)
        calls, pages = cloud.counts["batch"], cloud.counts["list"]
        _check("Cloudflare", sum(one["ttl"] == LOWERED for one in zone.records.records()))
        theirs = _cloudflare_peer(cloud, account, directory)
        fits = -(-RRSETS // 200)
        return [row, Row(
            "TTL of 10,000 RRsets, Cloudflare (free): batch calls", f"{calls} (and {pages} list pages)", theirs,
            f"{calls / fits:.2f}", f"⌈n/200⌉ = {fits}", calls == batches == fits,
        )]  # fmt: skip


def _cloudflare_peer(cloud: CloudflareStandIn, account: Account, directory: Path) -> str:
    """The peer's requests for a tenth of it."""
    labels = data.labels(PEER_RRSETS // 4)
    cloud.delete_zone(data.ZONE)
    cloud.load(cloud.new_zone(data.ZONE, account, plan="free"), _served(labels))
    token = cloud.new_token(account)
    target = f"{{class: octodns_cloudflare.CloudflareProvider, api_url: '{cloud.url}', token: {token}, min_ttl: 60}}"
    cloud.counts.clear()
    with _peer(directory / "lower", target, labels, LOWERED) as command:
        said = _sync(command)
    return f"octoDNS: {sum(cloud.counts.values())} requests for {PEER_RRSETS:,} RRsets ({said})"


def _served(labels: list[str]) -> Iterator[Served]:
    return (Served(name, ttl, kind, values) for name, kind, ttl, values in _records(labels))


def _check(what: str, lowered: int) -> None:
    if lowered != RRSETS:
        raise measure.CommandFailedError(f"{what}: {lowered} RRsets have the new TTL, not {RRSETS}")
