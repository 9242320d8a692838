"""The main job on real servers by the command line: plan, apply, verify, roll back; and what goes wrong on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.proxy import Fault, Proxy, dns_update, http_method
from tests.lab.server import KEY, Server, base_zone
from tests.lab.servers import Knot, Named, PowerDns
from tests.lab.topology import Cluster, Lab
from tests.unit.make import PROJECT

WILD = "* A 198.51.100.10\n* MX 10 mx1.example.net."


class Project:
    """A project directory and its command line."""

    def __init__(self, directory: Path, zone: str, provider: str, servers: Sequence[str]) -> None:
        self.directory = directory
        self.zone = zone.rstrip(".")
        self.realm = f"acme.{self.zone}"
        text = PROJECT.replace("voice.example.com", self.zone)
        text = text.replace('files: {type: zonefile, file: "zones/{zone}.zone"}', f"files: {provider}")
        text = text.replace('["127.0.0.1:5300"]', json.dumps(list(servers)))
        directory.mkdir(exist_ok=True)
        (directory / "realmkit.yml").write_text(text)
        (directory / "tsig.key").write_text(KEY.secret)
        (directory / "api.key").write_text(PowerDns.api_key)

    def run(self, *args: str, expect: int = 0) -> str:
        """One command; its exit code must be as expected."""
        result = subprocess.run(
            [sys.executable, "-m", "realmkit", "-C", str(self.directory), *args],
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert result.returncode == expect, f"{args}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        return result.stdout + result.stderr

    def json(self, *args: str, expect: int = 0) -> Any:
        """One command's JSON."""
        return json.loads(self.run(*args, "--json", expect=expect).partition("\nerror:")[0])

    def shown(self, server: Server) -> dict[str, set[str]]:
        """What a server answers for the realm's own names."""
        asked = [(self.realm, kind) for kind in ("A", "AAAA", "MX", "NAPTR")]
        asked += [(f"{labels}.{self.realm}", "SRV") for labels in ("_sip._udp", "_sip._tcp", "_sips._tcp")]
        return {f"{name} {kind}": server.answer(name, kind) for name, kind in asked}


def _once(when: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Strikes the first request that `when` picks, and no other."""
    struck: list[bytes] = []

    def strikes(request: bytes) -> bool:
        if struck or not when(request):
            return False
        struck.append(request)
        return True

    return strikes


def _rfc2136(where: str) -> str:
    return f'{{type: rfc2136, server: "{where}", tsig: {{name: {KEY.name.rstrip(".")}, secret: "file:tsig.key"}}}}'


def _powerdns(url: str) -> str:
    return f'{{type: powerdns, url: "{url}", api_key: "file:api.key", timeout: 5}}'


@pytest.fixture
def zone(cluster: Cluster, lab: Lab) -> str:
    name = lab.zone_name("voice")
    cluster.add_zone(name, base_zone(WILD))
    return name


@pytest.fixture
def project(cluster: Cluster, zone: str, tmp_path: Path) -> Project:
    servers = [server.where for server in cluster.servers]
    return Project(tmp_path / "p", zone, _rfc2136(cluster.primary.where), servers)


def test_a_realm_comes_and_goes_on_four_servers(cluster: Cluster, project: Project) -> None:
    before = {server: project.shown(server) for server in cluster.servers}
    assert before[cluster.primary][f"{project.realm} A"] == {"198.51.100.10"}  # the wildcard's
    project.run("doctor", expect=1)  # the clock of a container is not synchronised
    assert project.json("dns", "plan", "--check", expect=1)["changes"] == 7
    project.run("dns", "plan", "--out", str(project.directory / "plan.json"))
    applied = project.json("dns", "apply", "--plan", str(project.directory / "plan.json"))
    assert applied["verification"]["exit_code"] == 0
    assert len(applied["verification"]["records"]) == 7 * 4
    for server in cluster.servers:
        shown = project.shown(server)
        assert shown[f"{project.realm} A"] == {"198.51.100.10", "203.0.113.10"}
        assert shown[f"{project.realm} MX"] == {"10 mx1.example.net."}
        assert len(shown[f"{project.realm} NAPTR"]) == 3
        assert shown[f"_sips._tcp.{project.realm} SRV"] == {
            "10 50 5061 us-east.example.net.", "20 50 5061 us-west.example.net."
        }  # fmt: skip
    assert "28 right, 0 wrong, 0 unknown" in project.run("dns", "verify")
    project.run("dns", "plan", "--check")
    project.run("dns", "rollback", "--yes")
    assert {server: project.shown(server) for server in cluster.servers} == before


def test_one_server_of_four_is_dead(own_lab: Lab, tmp_path: Path) -> None:
    cluster = own_lab.primary_with_secondaries()
    cluster.add_zone("voice.example.", base_zone(WILD))
    project = Project(
        tmp_path / "p", "voice.example.", _rfc2136(cluster.primary.where), [one.where for one in cluster.servers]
    )
    dead = cluster.secondaries[0]
    dead.freeze()
    try:
        text = project.run("dns", "apply", "--yes", "--deadline", "3", expect=3)
        assert f"{dead.address}: unknown (timeout" in text
        assert "21 right, 0 wrong, 7 unknown" in text
        assert "0 wrong" in project.run("dns", "verify", expect=3)
    finally:
        dead.thaw()
    assert "28 right" in project.run("dns", "verify", "--deadline", "10")
    dead.stop()
    assert "connection refused" in project.run("dns", "verify", expect=3)


def test_a_lame_server_and_one_that_is_behind(lab: Lab, named: Named, knot: Knot, tmp_path: Path) -> None:
    zone, lame = lab.zone_name("voice"), lab.start(Knot)
    named.add_zone(zone, base_zone(WILD, serial=2026112201))
    knot.add_zone(zone, base_zone(WILD, serial=2026112200))  # nobody tells it of changes
    servers = [one.where for one in (named, knot, lame)]
    project = Project(tmp_path / "p", zone, _rfc2136(named.where), servers)
    text = project.run("dns", "apply", "--yes", "--deadline", "1", expect=2)
    assert f"{lame.address}: lame (answers REFUSED" in text
    assert "does not serve the zone" in text
    assert f"behind    {knot.address} has serial 2026112200, others have 2026112202" in text
    assert "absent" in text
    assert "7 right" in text


def test_an_answer_lost_after_the_update_is_settled_by_reading(lab: Lab, named: Named, tmp_path: Path) -> None:
    zone = lab.zone_name("voice")
    named.add_zone(zone, base_zone(WILD))
    with Proxy((named.address, named.port)) as proxy:
        where = f"{proxy.address}:{proxy.port}"
        project = Project(tmp_path / "p", zone, _rfc2136(where), [named.where])
        proxy.fault = Fault("lose", when=_once(dns_update))
        applied = project.json("dns", "apply", "--yes")
    assert applied["verification"]["exit_code"] == 0
    (run,) = (project.directory / ".realmkit" / "runs").iterdir()
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("failed") == 1
    assert named.serial(zone) == 2  # written once, not twice


def test_a_cut_after_a_patch_is_settled_by_reading(lab: Lab, pdns: PowerDns, tmp_path: Path) -> None:
    zone = lab.zone_name("voice")
    pdns.add_zone(zone, base_zone(WILD))
    with Proxy((pdns.address, pdns.api_port)) as proxy:
        url = f"http://{proxy.address}:{proxy.port}"
        project = Project(tmp_path / "p", zone, _powerdns(url), [pdns.where])
        proxy.fault = Fault("lose", when=_once(http_method("PATCH")))
        assert project.json("dns", "apply", "--yes")["verification"]["exit_code"] == 0
        project.run("dns", "plan", "--check")
        project.run("dns", "rollback", "--yes")


def test_a_second_writer_stops_a_stale_plan_and_only_that(named: Named, project: Project) -> None:
    del named
    plan = str(project.directory / "plan.json")
    project.run("dns", "plan", "--out", plan)
    _nsupdate(project, f"update add unrelated.{project.zone}. 60 TXT x")
    project.run("dns", "apply", "--plan", plan)  # the zone moved, but nothing that the plan touches
    project.run("dns", "rollback", "--yes")
    _nsupdate(project, f"update add {project.realm}. 60 A 192.0.2.66")
    text = project.run("dns", "apply", "--plan", plan, expect=2)
    assert "moved since the plan was made" in text
    assert f"{project.realm}. A" in text


def test_a_foreign_edit_is_seen_held_and_put_right(cluster: Cluster, project: Project) -> None:
    project.run("dns", "apply", "--yes")
    _nsupdate(project, f"update delete {project.realm}. MX", f"update add {project.realm}. 60 MX 5 evil.example.")
    cluster.await_serial(project.zone + ".")
    text = project.run("dns", "verify", "--deadline", "2", expect=2)
    assert "5 evil.example." in text
    assert "right on 0 of 4" in text
    assert "moved since the plan was made" in project.run("dns", "rollback", "--yes", expect=2)
    assert project.json("dns", "plan", "--check", expect=1)["changes"] == 1
    project.run("dns", "apply", "--yes")
    project.run("dns", "verify")


def test_a_cname_in_the_way_is_held_and_even_by_force_changes_nothing(named: Named, lab: Lab, tmp_path: Path) -> None:
    """BIND would answer NOERROR to an A beside a CNAME and ignore it (RFC 2136 section 3.4.2.2)."""
    zone = lab.zone_name("voice")
    named.add_zone(zone, base_zone("acme CNAME elsewhere.example."))
    project = Project(tmp_path / "p", zone, _rfc2136(named.where), [named.where])
    assert "SEM01" in project.run("dns", "apply", "--yes", expect=2)
    assert "CNAME" in project.run("dns", "apply", "--yes", "--allow", "SEM01", expect=2)
    assert named.answer(f"_sip._udp.{project.realm}", "SRV") == set()
    assert named.answer(project.realm, "CNAME") == {"elsewhere.example."}
    assert named.serial(zone) == 1


def test_a_full_disk_before_the_inverse_is_written_changes_nothing(cluster: Cluster, project: Project) -> None:
    state = project.directory / ".realmkit"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(state)], check=True)
    try:
        (state / "filler").write_bytes(b"x" * 4096)
        serial = cluster.primary.serial(project.zone + ".")
        text = project.run("dns", "apply", "--yes", expect=2)
        assert "No space left on device" in text
        assert cluster.primary.serial(project.zone + ".") == serial
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_wrong_credentials_say_so(named: Named, lab: Lab, pdns: PowerDns, tmp_path: Path) -> None:
    zone = lab.zone_name("voice")
    named.add_zone(zone, base_zone(WILD))
    pdns.add_zone(zone, base_zone(WILD))
    for provider in (_rfc2136(named.where), _powerdns(pdns.api_url)):
        project = Project(tmp_path / "p", zone, provider, [named.where])
        (project.directory / "tsig.key").write_text("d3JvbmcgbGFiIGtleSBvZiAzMiBvY3RldHMgbG9uZyE=")
        (project.directory / "api.key").write_text("wrong-key")
        text = project.run("dns", "plan", expect=2)
        assert "wrong-key" not in text
        assert "d3Jvbmcg" not in text
        project.run("doctor", expect=2)
        (project.directory / "tsig.key").unlink()
        (project.directory / "api.key").unlink()
        assert "can't read" in project.run("dns", "plan", expect=64)


def _nsupdate(project: Project, *commands: str) -> None:
    """Somebody else's change at the primary."""
    config = (project.directory / "realmkit.yml").read_text()
    server = config.partition('server: "')[2].partition('"')[0].removesuffix(":53")
    script = "\n".join([f"server {server}", f"zone {project.zone}.", *commands, "send", ""])
    key = f"{KEY.algorithm}:{KEY.name}:{KEY.secret}"
    subprocess.run(["nsupdate", "-y", key], input=script, text=True, check=True, capture_output=True)


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(named: Named, lab: Lab, tmp_path: Path) -> None:
    """kill -9 in the middle of three hundred realms, several times: nothing is lost, doubled or orphaned."""
    zone = lab.zone_name("voice")
    named.add_zone(zone, base_zone(WILD))
    project = Project(tmp_path / "p", zone, _rfc2136(named.where), [named.where])
    config = project.directory / "realmkit.yml"
    config.write_text(config.read_text() + "".join(f"  r{n}.{project.zone}: {{}}\n" for n in range(300)))
    command = [sys.executable, "-m", "realmkit", "-C", str(project.directory), "dns", "apply", "--yes", "--no-verify"]
    killed = 0
    for hundredths in (20, 30, 40, 50, 60, 80, 100, 120, 150, 200):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(hundredths / 100)
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
    assert killed > 0
    # The first one, to its end; who was killed before he had written down his plan has begun nothing.
    for plan in sorted((project.directory / ".realmkit" / "runs").glob("*/plan.json"))[:1]:
        project.run("dns", "apply", "--plan", str(plan), "--no-verify")
    project.run("dns", "apply", "--yes", "--no-verify")
    after = project.json("dns", "plan", "--check")
    assert (after["changes"], after["unowned"], after["rrsets"]) == (0, [], 301 * 7)
    for name in (f"r0.{project.zone}", f"r299.{project.zone}"):
        assert named.answer(name, "MX") == {"10 mx1.example.net."}
