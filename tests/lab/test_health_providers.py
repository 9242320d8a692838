"""What only a provider can show, or hide; and which realms the platform itself knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realmkit.clock import SystemClock
from realmkit.sandbox.cluster import Cluster, Generation
from realmkit.sandbox.crossbar import CrossbarServer
from realmkit.sandbox.registrar import EmbeddedRegistrar
from tests.lab.healthproject import HealthProject, zone_text
from tests.lab.servers import Knot, PowerDns
from tests.lab.test_health_records import POOL
from tests.lab.topology import Lab
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.published import Published, Served
from tests.standins.route53 import Route53StandIn
from tests.standins.route53_zone import canonical_set

PROVIDERS = ("PRV01", "PRV02", "PRV03")


def told(project: HealthProject, *ids: str) -> set[tuple[str, str]]:
    """Id with level, and subject without the zone."""
    words = [word for one in ids or PROVIDERS for word in ("--only", one)]
    found = project.verdict("--no-state", *words)["findings"]
    end = f".{project.zone}."
    return {(f"{one['id']} {one['level']}", one["subject"].replace(end, "")) for one in found}


@pytest.fixture(scope="module")
def sound(lab: Lab) -> Iterator[Knot]:
    with lab.guest() as guest:
        yield guest.start(Knot)


@pytest.fixture(scope="module")
def api(lab: Lab) -> Iterator[PowerDns]:
    with lab.guest() as guest:
        yield guest.start(PowerDns)


# The stage that reads the copies has yet to hand them to `liverecords.made_up`.


# --- PowerDNS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def there(lab: Lab, sound: Knot, api: PowerDns, tmp_path: Path) -> HealthProject:
    """A zone that PowerDNS holds and Knot serves, whole on both."""
    zone = lab.zone_name("prv")
    text = zone_text([sound], ("acme",))
    sound.add_zone(zone, text)
    api.add_zone(zone, text.replace("_udp.acme\n", f"_udp.acme.{zone}\n").replace("_tcp.acme\n", f"_tcp.acme.{zone}\n"))
    provider = f'{{type: powerdns, url: "{api.api_url}", api_key: "file:api.key", timeout: 2}}'
    project = HealthProject(tmp_path / "project", zone.rstrip("."), [sound], ("acme",), provider=provider)
    project.write()
    (project.directory / "api.key").write_text(api.api_key)
    return project


def put(api: PowerDns, project: HealthProject, name: str, kind: str, *contents: str, **record: Any) -> None:
    records = [{"content": one, "disabled": False} | record for one in contents]
    edit = {"name": f"{name}.{project.zone}.", "type": kind, "ttl": 300, "changetype": "REPLACE", "records": records}
    api.api("PATCH", f"/zones/{project.zone}.", {"rrsets": [edit]})


def test_a_provider_that_shows_everything(there: HealthProject) -> None:
    assert told(there, *PROVIDERS, "CON06", "RUN01") == set()


def test_what_is_disabled_is_told(there: HealthProject, api: PowerDns) -> None:
    put(api, there, "old", "A", "127.0.0.7", disabled=True)
    assert told(there) == {("PRV01 warning", f"{there.zone}.")}


def test_a_provider_that_does_not_answer_is_unknown_and_what_is_served_is_judged(there: HealthProject) -> None:
    there.provider = '{type: powerdns, url: "http://127.0.0.1:9", api_key: "file:api.key", timeout: 1}'
    there.write()
    verdict = there.verdict("--no-state", *(word for one in (*PROVIDERS, "CON06") for word in ("--only", one)))
    (found,) = verdict["findings"]
    assert (found["id"], found["level"], found["subject"]) == ("PRV01", "unknown", f"{there.zone}.")
    assert verdict["exit_code"] == 3
    assert verdict["counts"]["questions"] > 0


def test_a_provider_that_refuses_the_key_is_unknown(there: HealthProject) -> None:
    (there.directory / "api.key").write_text("another")
    assert told(there) == {("PRV01 unknown", f"{there.zone}.")}


def test_an_alias_of_the_provider_where_a_realms_address_belongs(there: HealthProject, api: PowerDns) -> None:
    api.api("PATCH", f"/zones/{there.zone}.", {"rrsets": [
        {"name": f"acme.{there.zone}.", "type": "A", "changetype": "DELETE"},
    ]})  # fmt: skip
    put(api, there, "acme", "ALIAS", f"east.edge.{there.zone}.")
    put(api, there, "www", "ALIAS", f"east.edge.{there.zone}.")  # nothing of ours
    assert ("PRV02 error", "acme A") in told(there)
    assert not any(one[0].startswith("PRV02") and one[1] != "acme A" for one in told(there))


# --- clouds -----------------------------------------------------------------------------------------------------------


def rows(zone: str) -> list[Served]:
    """The realm `acme` and its edge, as a cloud holds them."""
    name = f"acme.{zone}"
    udp, tcp = f"_sip._udp.{name}", f"_sip._tcp.{name}"
    targets = (f"10 50 5060 east.edge.{zone}", f"20 50 5060 west.edge.{zone}")
    return [
        Served(name, 300, "A", ("127.0.0.201", "127.0.0.202")),
        Served(name, 300, "MX", (f"10 mx.edge.{zone}",)),
        Served(name, 300, "NAPTR", (f'10 100 "S" "SIP+D2U" "" {udp}', f'20 100 "S" "SIP+D2T" "" {tcp}')),
        Served(udp, 300, "SRV", targets),
        Served(tcp, 300, "SRV", targets),
        Served(f"west.edge.{zone}", 300, "A", ("127.0.0.202",)),
        Served(f"mx.edge.{zone}", 300, "A", ("127.0.0.203",)),
    ]


EAST = "east.edge"


@pytest.fixture
def cloudflare(sound: Knot) -> Iterator[CloudflareStandIn]:
    with CloudflareStandIn(Published(sound)) as there:
        yield there
        assert there.failures == []


@pytest.mark.parametrize("proxied", [False, True])
def test_a_proxy_before_an_srv_target(
    cloudflare: CloudflareStandIn, sound: Knot, lab: Lab, tmp_path: Path, *, proxied: bool
) -> None:
    zone, account = lab.zone_name("cf"), cloudflare.new_account("acme")
    cloud = cloudflare.new_zone(zone.rstrip("."), account, rrsets=rows(zone))
    post = {"name": f"{EAST}.{zone}".rstrip("."), "type": "A", "content": "203.0.113.7", "ttl": 300}
    cloud.records.batch({"posts": [post | {"proxied": proxied} | ({"ttl": 1} if proxied else {})]})
    cloudflare.load(cloud, [])
    provider = f'{{type: cloudflare, base_url: "{cloudflare.url}", api_token: "file:token"}}'
    project = HealthProject(tmp_path / "project", zone.rstrip("."), [sound], ("acme",), provider=provider)
    project.write()
    (project.directory / "token").write_text(cloudflare.new_token(account))
    found = told(project)
    sets = {("PRV03 error", f"{labels}.acme SRV") for labels in ("_sip._udp", "_sip._tcp")}
    assert {one for one in found if one[0].startswith("PRV03")} == (sets if proxied else set())
    assert not any(one[0] == "PRV01 unknown" for one in found)


@pytest.mark.parametrize("weighted", [False, True])
def test_answers_by_weight_where_plain_records_belong(
    namespace: Any, sound: Knot, lab: Lab, tmp_path: Path, *, weighted: bool
) -> None:
    with Route53StandIn(Published(sound)) as cloud:
        zone, key = lab.zone_name("aws"), cloud.key()
        plain = [
            (one.owner, one.kind, one.ttl, one.texts)
            for one in rows(zone)
            if (one.owner[:4], one.kind) != ("acme", "A")
        ]
        id_ = cloud.add_zone(zone, [*plain, (f"{EAST}.{zone}", "A", 300, ("127.0.0.201",))])
        values = ("127.0.0.201", "127.0.0.202")
        by_weight = ("half", "<SetIdentifier>half</SetIdentifier><Weight>10</Weight>") if weighted else ("", "")
        cloud.write(id_, canonical_set(f"acme.{zone}", "A", 300, values, *by_weight))
        provider = (
            f'{{type: route53, endpoint_url: "{cloud.url}", requests_per_second: 1000, '
            'access_key_id: "file:aws.id", secret_access_key: "file:aws.key"}'
        )
        project = HealthProject(tmp_path / "project", zone.rstrip("."), [sound], ("acme",), provider=provider)
        project.write()
        (project.directory / "aws.id").write_text(key.id)
        (project.directory / "aws.key").write_text(key.secret)
        found = told(project)
    assert ({one for one in found if one[0].startswith("PRV02")} == {("PRV02 error", "acme A")}) is weighted
    assert not any(one[0] == "PRV01 unknown" for one in found)


# --- the platform -----------------------------------------------------------------------------------------------------


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[tuple[Cluster, str, str]]:
    """A cluster, its API over HTTP, and the reseller's account."""
    clock = SystemClock()
    cluster = Cluster(clock, EmbeddedRegistrar(clock, lambda _contact, _event: None), Generation.NEWER)
    reseller = cluster.add_account("Reseller", "reseller.elsewhere.example")
    with CrossbarServer(cluster) as server:
        yield cluster, server.url, reseller


def on_platform(project: HealthProject, platform: tuple[Cluster, str, str], *realms: str) -> HealthProject:
    """The project with that platform, which has these realms."""
    cluster, url, reseller = platform
    for one in realms:
        cluster.add_account(one, f"{one}.{project.zone}")
    project.platform = f'  kazoo: {{url: "{url}", api_key: "file:kazoo.key"}}'
    project.write()
    (project.directory / "kazoo.key").write_text(cluster.api_key(reseller))
    return project


def served(lab: Lab, sound: Knot, directory: Path, **given: Any) -> HealthProject:
    zone = lab.zone_name("plat")
    sound.add_zone(zone, zone_text([sound], given.get("realms", ()), POOL))
    project = HealthProject(directory / "project", zone.rstrip("."), [sound], **{"realms": (), **given})
    project.write()
    return project


def test_the_platform_and_the_configuration_know_the_same(
    platform: tuple[Cluster, str, str], lab: Lab, sound: Knot, tmp_path: Path
) -> None:
    """Accounts in zones that are none of ours do not matter."""
    project = served(lab, sound, tmp_path, realms=("acme", "bell"), shared=("alpha.s",))
    on_platform(project, platform, "acme", "bell", "alpha.s")
    assert told(project, "SIP09", "WLD06") == set()


def test_realms_that_one_side_has_alone(
    platform: tuple[Cluster, str, str], lab: Lab, sound: Knot, tmp_path: Path
) -> None:
    project = served(lab, sound, tmp_path, realms=("acme", "bell"), shared=("alpha.s",))
    on_platform(project, platform, "acme", "stranger", "zeta.s")
    assert told(project, "SIP09") == {
        ("SIP09 warning", "bell"), ("SIP09 warning", "alpha.s"), ("SIP09 warning", "stranger"),
        ("SIP09 warning", "zeta.s"),
    }  # fmt: skip


def test_a_pool_as_a_whole_has_all_realms_below_it(
    platform: tuple[Cluster, str, str], lab: Lab, sound: Knot, tmp_path: Path
) -> None:
    """`*.s` is configured, so a realm that the wildcard serves is known; one beside it is not."""
    project = on_platform(served(lab, sound, tmp_path, shared=("*.s",)), platform, "alpha.s", "deep.beta.s", "acme")
    assert told(project, "SIP09") == {("SIP09 warning", "acme")}


def test_one_realm_alone_is_compared_alone(
    platform: tuple[Cluster, str, str], lab: Lab, sound: Knot, tmp_path: Path
) -> None:
    project = on_platform(served(lab, sound, tmp_path, realms=("acme", "bell")), platform, "stranger")
    found = project.found("--only", "SIP09", f"acme.{project.zone}")
    assert found == {("SIP09", f"acme.{project.zone}.", "")}


@pytest.mark.parametrize("fault", ["key", "silent"])
def test_a_platform_that_tells_nothing_is_unknown(
    platform: tuple[Cluster, str, str], lab: Lab, sound: Knot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:  # fmt: skip
    """And then there is no list to compare a pool with."""
    project = on_platform(served(lab, sound, tmp_path, shared=("alpha.s",)), platform, "alpha.s")
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, _seconds: None)  # between tries
    if fault == "key":
        (project.directory / "kazoo.key").write_text("0" * 64)
    else:
        project.platform = '  kazoo: {url: "http://127.0.0.1:9/v2", api_key: "file:kazoo.key"}'
        project.write()
    assert told(project, "SIP09", "WLD06") == {("SIP09 unknown", ". accounts"), ("WLD06 notice", "*.s")}


def test_without_a_platform_nothing_is_compared(lab: Lab, sound: Knot, tmp_path: Path) -> None:
    assert told(served(lab, sound, tmp_path, realms=("acme",)), "SIP09") == set()
