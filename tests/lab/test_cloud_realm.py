"""A realm at Route 53 and at Cloudflare by the command line: published, locked, lowered, rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.test_realm import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.servers import Knot
    from tests.lab.topology import Lab
    from tests.standins.cloudflare import CloudflareStandIn
    from tests.standins.route53 import Route53StandIn


@pytest.fixture
def at_aws(route53_cloud: Route53StandIn, knot: Knot, lab: Lab, tmp_path: Path) -> Project:
    zone, key = lab.zone_name("aws"), route53_cloud.key()
    route53_cloud.add_zone(zone)
    provider = (
        f'{{type: route53, endpoint_url: "{route53_cloud.url}", requests_per_second: 1000, '
        'access_key_id: "file:aws.id", secret_access_key: "file:aws.key"}'
    )
    project = Project(tmp_path / "p", zone, provider, [knot.where])
    (project.directory / "aws.id").write_text(key.id)
    (project.directory / "aws.key").write_text(key.secret)
    return project


@pytest.fixture
def at_cloudflare(cloudflare_api: CloudflareStandIn, knot: Knot, lab: Lab, tmp_path: Path) -> Project:
    zone, account = lab.zone_name("cf"), cloudflare_api.new_account("acme")
    cloudflare_api.new_zone(zone.rstrip("."), account)
    provider = f'{{type: cloudflare, base_url: "{cloudflare_api.url}", api_token: "file:token"}}'
    project = Project(tmp_path / "p", zone, provider, [knot.where])
    (project.directory / "token").write_text(cloudflare_api.new_token(account))
    return project


def test_a_change_is_waited_for_until_the_servers_have_it(
    at_aws: Project, route53_cloud: Route53StandIn, knot: Knot
) -> None:
    route53_cloud.polls = 2
    try:
        applied = at_aws.json("dns", "apply", "--yes")
    finally:
        route53_cloud.polls = 0
    assert applied["unsettled"] == []
    assert applied["verification"]["exit_code"] == 0
    assert at_aws.shown(knot)[f"{at_aws.realm} MX"] == {"10 mx1.example.net."}
    at_aws.run("dns", "rollback", "--yes")
    assert not any(at_aws.shown(knot).values())


def test_what_is_locked_is_not_changed_until_it_is_unlocked(at_aws: Project, knot: Knot) -> None:
    at_aws.run("dns", "apply", "--yes")
    before = at_aws.shown(knot)
    assert at_aws.run("dns", "lock", at_aws.realm, "NAPTR", "MX").splitlines() == [
        f"locked    {at_aws.realm}. MX", f"locked    {at_aws.realm}. NAPTR",
    ]  # fmt: skip
    refused = at_aws.run("dns", "apply", "--ttl", "60", "--yes", expect=2)
    assert "locked on Route 53" in refused
    assert f"realmkit dns unlock {at_aws.realm}" in refused
    assert at_aws.shown(knot) == before
    assert len(at_aws.json("dns", "lock", "--list", at_aws.zone)["locked"]) == 2
    assert len(at_aws.json("dns", "unlock", at_aws.realm)["changed"]) == 2
    at_aws.run("dns", "apply", "--ttl", "60", "--yes")
    assert at_aws.json("dns", "plan", "--ttl", "60")["changes"] == 0


def test_a_realm_comes_and_goes_at_cloudflare(at_cloudflare: Project, knot: Knot) -> None:
    project = at_cloudflare
    applied = project.json("dns", "apply", "--yes")
    assert applied["verification"]["exit_code"] == 0
    assert len(project.shown(knot)[f"{project.realm} NAPTR"]) == 3
    (project.directory / ".realmkit/ledger").joinpath(f"{project.zone}.jsonl").unlink()
    assert project.json("dns", "plan", "--ttl", "120")["holds"] == []  # the comments still say whose records they are
    assert project.json("dns", "apply", "--ttl", "120", "--yes")["verification"]["exit_code"] == 0
    assert "can't lock" in project.run("dns", "lock", project.realm, expect=2)
    project.run("dns", "rollback", "--yes")
    project.run("dns", "rollback", "--yes", _first(project))
    assert not any(project.shown(knot).values())


def _first(project: Project) -> str:
    """The run that published the realm."""
    return min(path.name for path in (project.directory / ".realmkit/runs").iterdir())
