"""A zone of 2,000 records moves from Route 53's stand-in to PowerDNS, and back into another account, unharmed."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lab.server import wait_for
from tests.lab.test_realm import Project
from tests.standins.route53_values import sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.servers import PowerDns
    from tests.lab.topology import Lab
    from tests.standins.route53 import Route53StandIn
    from tests.standins.route53_cloud import Row

ODD = (r'"every \"odd\" thing \\ \000\177\377 in it" "and a second string"',)
ONCE: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("odd", "TXT", 77, ODD),
    (r"\052.pool", "A", 60, ("192.0.2.1", "192.0.2.2")),
    (r"\052.pool", "MX", 61, ("10 mail.example.",)),
    ("child", "NS", 62, ("ns.child.example.", "ns2.child.example.")),
    ("child", "DS", 63, ("12345 13 2 " + "ab" * 32,)),
    ("caa", "CAA", 64, ('0 issue "ca.example"', '0 iodef "mailto:pki@example.com"')),
    ("tls", "TLSA", 65, ("3 1 1 " + "cd" * 32,)),
    ("ssh", "SSHFP", 66, ("1 1 0123456789abcdef0123456789abcdef01234567",)),
    ("web", "HTTPS", 67, ('1 . alpn="h2,h3"',)),
    ("enum", "NAPTR", 68, (r'10 100 "U" "E2U+sip" "!^(.*)$!sip:\\1@example.com!" .',)),
    ("here", "CNAME", 69, ("there.example.",)),
    ("v6", "AAAA", 70, ("2001:db8::1", "2001:db8::2:0:0:1")),
    ("ptr", "PTR", 71, ("host.example.",)),
)


def rows(zone: str, records: int) -> Iterator[Row]:
    """Rows with so many records in all, as a platform has them, and one of each other kind."""
    count = 0
    for owner, kind, ttl, values in ONCE:
        yield f"{owner}.{zone}", kind, ttl, values
        count += len(values)
    for number in itertools.count():
        realm = f"r{number:04}.{zone}"
        for owner, kind, values in (
            (realm, "A", ("198.51.100.10", "203.0.113.10")),
            (realm, "MX", ("10 mx1.example.net.",)),
            (
                realm,
                "NAPTR",
                (f'10 100 "S" "SIP+D2U" "" _sip._udp.{realm}', f'20 100 "S" "SIP+D2T" "" _sip._tcp.{realm}'),
            ),
            (f"_sip._udp.{realm}", "SRV", ("10 50 5060 us-east.example.net.", "20 50 5060 us-west.example.net.")),
        ):
            if count + len(values) > records:
                return
            count += len(values)
            yield owner, kind, 300 + number % 7, values


def kept(cloud: Route53StandIn, zone_id: str) -> dict[tuple[object, str], tuple[int | None, tuple[str, ...]]]:
    """All that the cloud keeps of a zone, but SOA and NS of the apex."""
    zone = cloud.zones[zone_id]
    return {
        (sort_key(one.name), one.type): (one.ttl, tuple(sorted(one.values)))
        for one in zone.sets.values()
        if not (one.name == zone.name and one.type in ("SOA", "NS"))
    }


@pytest.fixture
def project(route53_cloud: Route53StandIn, pdns: PowerDns, lab: Lab, tmp_path: Path) -> tuple[Project, str, str]:
    """The project, the zone's id, and the account that it is to end in."""
    cloud, zone = route53_cloud, lab.zone_name("cloud")
    zone_id = cloud.add_zone(zone, rows(zone, 2_000))
    assert cloud.published is not None
    old, new = cloud.key(), cloud.key(cloud.new_account())
    for name, value in (("old.id", old.id), ("old.key", old.secret), ("new.id", new.id), ("new.key", new.secret)):
        (tmp_path / name).write_text(value)
    entries = "".join(
        f'  {name}: {{type: route53, endpoint_url: "{cloud.url}", requests_per_second: 1000, '
        f'access_key_id: "file:../{key}.id", secret_access_key: "file:../{key}.key"}}\n'
        for name, key in (("aws", "old"), ("aws2", "new"))
    )
    entries += (
        f'  pdns: {{type: powerdns, url: "{pdns.api_url}", api_key: "file:api.key", nameservers: [ns.example]}}\n'
    )
    made = Project(tmp_path / "p", zone, "{type: zonefile, file: x}", [cloud.published.server.where])
    text = (made.directory / "realmkit.yml").read_text().replace("providers:\n", f"providers:\n{entries}")
    text = text.replace("provider: files", "provider: aws").partition("realms:")[0]
    (made.directory / "realmkit.yml").write_text(text + "policy: {health: {rate_per_server: 5000}}\n")
    return made, zone_id, new.account


def test_killed_in_the_middle_it_goes_on_from_there(
    project: tuple[Project, str, str], route53_cloud: Route53StandIn
) -> None:
    """The process dies while batches are on their way; what is in force is not made again."""
    there, zone_id, account = project
    cloud = route53_cloud
    cloud.counts.clear()
    command = [sys.executable, "-m", "realmkit", "-C", str(there.directory), "dns", "apply"]
    words = [there.zone, "--to", "aws2", "--yes"]
    with subprocess.Popen([*command, *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        wait_for("a batch is on its way", lambda: cloud.counts["ChangeResourceRecordSets"] >= 1)
        process.kill()
    (back,) = [one.id for one in cloud.zones.values() if one.account == account]
    done = len(kept(cloud, back))
    assert done < len(kept(cloud, zone_id))
    (run,) = (there.directory / ".realmkit/runs").iterdir()
    applied = there.json("dns", "apply", "--plan", str(run / "plan.json"))
    assert len(applied["zones"][0]["applied"]) + len(applied["zones"][0]["already"]) == len(kept(cloud, zone_id))
    assert len(applied["zones"][0]["already"]) >= done
    assert kept(cloud, back) == kept(cloud, zone_id)


def test_there_and_back_without_a_difference(
    project: tuple[Project, str, str], route53_cloud: Route53StandIn, pdns: PowerDns
) -> None:
    there, zone_id, account = project
    zone, cloud = there.zone, route53_cloud
    before = kept(cloud, zone_id)
    assert sum(len(values) for _, values in before.values()) == 2_000
    assert cloud.published is not None

    there.run("dns", "apply", zone, "--to", "pdns", "--yes")
    # nobody here knows the zone's parent: how long to wait is unknown, and that is said by the exit code
    arrived = there.json("dns", "verify", zone, "--at", "pdns", "--server", pdns.where, expect=3)
    assert arrived["differing"] == []
    assert len(arrived["verification"]["records"]) == len(before)
    assert arrived["verification"]["wrong"] == arrived["verification"]["unknown"] == 0

    config = there.directory / "realmkit.yml"
    text = config.read_text().replace(json.dumps([cloud.published.server.where]), json.dumps([pdns.where]))
    config.write_text(text.replace("provider: aws,", "provider: pdns,"))
    assert "will be created at 'aws2'" in there.run("dns", "plan", zone, "--to", "aws2")
    cloud.polls = 2  # a batch is PENDING for a while before its servers have it
    try:
        applied = there.json("dns", "apply", zone, "--to", "aws2", "--yes")
    finally:
        cloud.polls = 0
    assert applied["unsettled"] == []
    assert applied["zones"][0]["batches"] > 1
    (back,) = [one.id for one in cloud.zones.values() if one.account == account]
    assert kept(cloud, back) == before
    arrived = there.json("dns", "verify", zone, "--at", "aws2", "--server", cloud.published.server.where, expect=3)
    assert arrived["differing"] == []
    assert arrived["verification"]["wrong"] == arrived["verification"]["unknown"] == 0
