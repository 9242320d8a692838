"""The checks of records: in a zone's copy, in what is served where the copy is in order, and under wildcards.

One zone has two faces here: PowerDNS holds it with one realm for each fault, Knot holds it in order. Which of them the
provider reads, and which of them serves, decides by which way a fault can be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dns.message
import pytest

from tests.lab.healthproject import BY_UPDATE, REALM, HealthProject, zone_text
from tests.lab.proxy import Proxy
from tests.lab.server import Authoritative, run
from tests.lab.servers import Knot, Named, PowerDns
from tests.lab.topology import Lab

SEMANTICS = ("SEM", "WLD", "RLM", "MIG03")
LONG = "a-realm-with-a-long-name"
Told = set[tuple[str, str, str]]


class Fault(NamedTuple):
    """What is wrong at one realm.

    Attributes:
        check: id and level.
        realm: its first label; one realm for each fault.
        subject: relative name and type.
        lines: what stands in the zone beside the realm as it should be.
        live: whether answers can show it, or the zone's copy only.
    """

    check: str
    realm: str
    subject: str
    lines: str
    live: bool = True


MANY = "\n".join(f"_sip._tcp.long SRV {number} 50 5060 east.edge" for number in range(30, 80))
FAULTS = (
    Fault("SEM02 error", "alias", "_sip._udp.alias SRV", "_sip._udp.alias SRV 30 50 5060 other\nother CNAME east.edge"),
    Fault("SEM03 error", "dot", "_sip._udp.dot SRV", "_sip._udp.dot SRV 0 0 0 ."),
    Fault("SEM04 warning", "port", "_sip._udp.port SRV", "_sip._udp.port SRV 30 50 0 east.edge"),
    Fault("SEM04 notice", "idle", "_sip._udp.idle SRV", "_sip._udp.idle SRV 10 0 5060 west.edge"),
    Fault("SEM05 error", "flag", "flag NAPTR", 'flag NAPTR 30 100 "X" "SIP+D2T" "" _sip._tcp.flag'),
    Fault("SEM05 error", "both", "both NAPTR", 'both NAPTR 30 100 "S" "SIP+D2T" "!.*!sip:x@y!" _sip._tcp.both'),
    Fault("SEM06 error", "word", "word NAPTR", 'word NAPTR 30 100 "S" "SIP+D2Q" "" _sip._tcp.word'),
    Fault("SEM07 warning", "order", "order NAPTR", 'order NAPTR 10 100 "S" "SIP+D2T" "" _sip._tcp.order'),
    Fault("SEM08 error", "slip", "_sip._tcp.slip SRV", "_sip._tcp.slip SRV 30 50 5060 east.edge.{zone}"),
    Fault("SEM09 error", "bogon", "bogon A", "bogon A 0.0.0.1"),
    Fault("SEM10 warning", "bare", "bare SRV",
          'bare SRV 10 50 5060 east.edge\nbare NAPTR 30 100 "S" "SIP+D2T" "" bare'),
    Fault("SEM11 notice", "long", "_sip._tcp.long SRV", MANY),
)  # fmt: skip
# What no API takes any more stands in databases that were filled otherwise.
ROWS = (
    Fault("SEM01 error", "twice", "twice CNAME", "twice CNAME 0 east.edge.{zone} 300", live=False),
    Fault("SEM13 error", "mixed", "mixed MX", "mixed MX 20 mx.edge.{zone} 900", live=False),
)
REALMS = ("fine", *(one.realm for one in (*FAULTS, *ROWS)))


def only(*ids: str) -> list[str]:
    return [word for one in ids for word in ("--only", one)]


def told(project: HealthProject, *ids: str) -> Told:
    """Id with level, subject without the zone, and server."""
    found = project.verdict("--no-state", *only(*ids))["findings"]
    end = f".{project.zone}."
    return {(f"{one['id']} {one['level']}", one["subject"].replace(end, ""), one["server"]) for one in found}


class Faces(NamedTuple):
    """The two servers, and the zone on both."""

    sick: PowerDns
    sound: Knot
    zone: str


@pytest.fixture(scope="module")
def faces(lab: Lab) -> Iterator[Faces]:
    with lab.namespace.inside(), lab.guest() as guest:
        sick, sound = guest.start(PowerDns), guest.start(Knot)
        zone = lab.zone_name("r")
        sound.add_zone(zone, zone_text([sound], (*REALMS, LONG)))
        more = "\n".join(one.lines.format(zone=zone.rstrip(".")) for one in FAULTS)
        text = zone_text([sick], (*REALMS, LONG), more).replace("@ SOA", "@ 3600 SOA").replace(" 60\n", " 3600\n", 1)
        sick.add_zone(zone, _whole(text, zone))
        for one in ROWS:
            _insert(sick, zone.rstrip("."), *one.lines.format(zone=zone.rstrip(".")).split(" "))
        yield Faces(sick, sound, zone.rstrip("."))


def _whole(text: str, zone: str) -> str:
    """NAPTR replacements with their zone: PowerDNS takes relative ones for whole names."""
    lines = text.splitlines()
    return "\n".join(f"{one}.{zone}" if " NAPTR " in one and not one.endswith('"') else one for one in lines) + "\n"


def _insert(server: PowerDns, zone: str, name: str, kind: str, priority: str, content: str, ttl: str) -> None:
    """A row of the database, as no check saw it."""
    run("sqlite3", str(server.directory / "pdns.sqlite3"), stdin=(
        "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) "
        f"SELECT id, '{name}.{zone}', '{kind}', '{content}', {ttl}, {priority}, 0, 1 "
        f"FROM domains WHERE name = '{zone}';\n"
    ))  # fmt: skip


def project(directory: Path, copy: Authoritative, served: Authoritative, zone: str, **more: Any) -> HealthProject:
    """A project that reads the zone at one server, and whose zone another one serves."""
    given: dict[str, Any] = {"provider": BY_UPDATE.format(where=copy.where), "realms": REALMS} | more
    made = HealthProject(directory / "project", zone, [served], **given)
    made.write()
    return made


# --- one realm for each fault -----------------------------------------------------------------------------------------


def test_in_order_in_the_copy_and_served(faces: Faces, tmp_path: Path) -> None:
    here = project(tmp_path, faces.sound, faces.sound, faces.zone)
    verdict = here.verdict("--no-state", *only(*SEMANTICS, "CON06", "RUN01", "PRV01"))
    assert verdict["findings"] == []
    assert verdict["counts"]["realms"] == len(REALMS)


def test_every_fault_is_found_in_the_copy(faces: Faces, tmp_path: Path) -> None:
    """What is served is in order, so nothing but the copy can show it."""
    here = project(tmp_path, faces.sick, faces.sound, faces.zone)
    found = told(here, *SEMANTICS, "CON06", "RUN01", "PRV01")
    expected = {(one.check, one.subject, "") for one in (*FAULTS, *ROWS)}
    beside = {("SEM01 error", f"twice {kind}", "") for kind in ("A", "MX", "NAPTR")}
    assert found == expected | beside | {("MIG03 notice", f"{faces.zone}.", "")}


def test_every_fault_is_found_in_what_is_served(faces: Faces, tmp_path: Path) -> None:
    """The copy is in order. What one server answers can't show that its records have differing TTLs."""
    here = project(tmp_path, faces.sound, faces.sick, faces.zone)
    found = told(here, *SEMANTICS, "RUN01", "PRV01")
    expected = {(one.check, one.subject, "") for one in FAULTS}
    assert {one for one in found if not one[1].startswith("twice ")} == expected
    differing = {one[1].partition(" ")[0].rpartition(".")[2] for one in told(here, "CON06")}
    assert differing == set(REALMS) - {"fine"}


def test_faults_of_one_server_of_two_are_not_told_twice(faces: Faces, tmp_path: Path) -> None:
    """Each finding once, and no two of one key."""
    here = project(tmp_path, faces.sick, faces.sick, faces.zone)
    found = here.verdict("--no-state", *only(*SEMANTICS))["findings"]
    keys = [(one["id"], one["subject"], one["server"]) for one in found]
    assert len(keys) == len(set(keys)) >= len(FAULTS) + len(ROWS)


def test_a_private_address_is_told_unless_it_is_meant(faces: Faces, tmp_path: Path) -> None:
    meant = project(tmp_path / "vpn", faces.sound, faces.sound, faces.zone, realms=("fine",))
    assert told(meant, "SEM09") == set()
    public = project(tmp_path / "public", faces.sound, faces.sound, faces.zone, realms=("fine",), private=False)
    assert told(public, "SEM09") == {("SEM09 error", "fine A", "")}


def test_a_realm_that_the_hosts_page_would_cut_off(faces: Faces, tmp_path: Path) -> None:
    assert told(project(tmp_path, faces.sound, faces.sound, faces.zone, realms=("fine", LONG)), "RLM01") == {
        ("RLM01 warning", LONG, "")
    }


# --- under wildcards --------------------------------------------------------------------------------------------------

POOL = """
*.s A 127.0.0.201
*.s A 127.0.0.202
*.s MX 10 mx.edge
*.s NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.s
*.s NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.s
_sip._udp.s SRV 10 50 5060 east.edge
_sip._udp.s SRV 20 50 5060 west.edge
_sip._tcp.s SRV 10 50 5060 east.edge
_sip._tcp.s SRV 20 50 5060 west.edge
"""
SHARED = ("alpha.s", "beta.s")
STAR = "* A 127.0.0.201\n* MX 10 mx.edge\n"
JUDGED = ("CON02", "CON03", "CON04", "CON06", "SEM", "WLD", "SIP01", "SIP02", "SIP03", "SIP04", "MX01", "RUN01")


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[tuple[Named, Knot]]:
    with lab.guest() as guest:
        yield guest.start(Named), guest.start(Knot)


class Ground(NamedTuple):
    """Serves zones on both servers; of a project `told` gives what is found."""

    lab: Lab
    pair: tuple[Named, Knot]
    directory: Path

    def serve(self, first: str, second: str | None = None, **more: Any) -> HealthProject:
        zone = self.lab.zone_name("w")
        realms = more.setdefault("realms", ())
        whole = [one for one in realms if one not in more.get("shared", ()) and one not in more.get("unpublished", ())]
        more.pop("unpublished", None)
        for server, text in zip(self.pair, (first, first if second is None else second), strict=True):
            server.add_zone(zone, zone_text(self.pair, whole, text))
        made = HealthProject(self.directory / "project", zone.rstrip("."), self.pair, **more)
        made.write()
        return made


@pytest.fixture
def ground(lab: Lab, pair: tuple[Named, Knot], tmp_path: Path) -> Ground:
    return Ground(lab, pair, tmp_path)


def test_a_pool_in_order(ground: Ground) -> None:
    """Every name below it answers, which is told as a notice, since no list of realms is at hand."""
    here = ground.serve(POOL, shared=SHARED)
    assert told(here, *JUDGED) == {("WLD06 notice", "*.s", "")}
    assert here.verdict("--no-state", *only(*JUDGED))["exit_code"] == 0
    assert here.verdict("--no-state", *only(*JUDGED))["counts"]["realms"] == 2


def test_where_no_wildcard_answers_nothing_is_said_of_lists(ground: Ground) -> None:
    here = ground.serve(POOL.replace("*.s", "other.s"), shared=SHARED)
    assert not any(one[0].startswith("WLD06") for one in told(here, "WLD06"))


GONE = {"alpha.s A", "alpha.s MX", "alpha.s NAPTR"}


def test_a_challenge_below_a_realm_of_a_pool_takes_its_records(ground: Ground) -> None:
    here = ground.serve(POOL + '_acme-challenge.alpha.s TXT "token"\n', shared=SHARED)
    found = told(here, *JUDGED)
    assert ("WLD01 error", "alpha.s", "") in found
    assert {one[1] for one in found if one[0] == "CON06 error"} == GONE
    assert not any("beta" in one[1] for one in found)
    assert not any(one[0].startswith(("CON02", "RUN01")) for one in found)


def test_a_challenge_on_one_server_takes_them_there(ground: Ground) -> None:
    here = ground.serve(POOL, POOL + '_acme-challenge.alpha.s TXT "token"\n', shared=SHARED)
    found = told(here, "CON02", "CON06", "WLD01", "RUN01")
    assert found == {("CON02 error", one, ground.pair[1].address) for one in GONE}


def test_srv_sets_of_a_pool_are_asked_for_once(ground: Ground) -> None:
    """However many realms lead there; a realm's own three conventional names are asked for at each."""
    here = ground.serve(POOL, shared=[f"r{number}.s" for number in range(9)])
    with Proxy((ground.pair[0].address, 53), ground.lab.address(), 53) as proxy:
        here.asked = (f"{proxy.address}:53",)
        here.write()
        assert told(here, "CON06", "SIP02", "SIP03", "RUN01", "WLD01") == set()
        seen = [_question(one) for one in proxy.requests]
    for labels in ("_sip._udp", "_sip._tcp"):
        assert seen.count(f"{labels}.s.{here.zone}. SRV") == 1
        assert [seen.count(f"{labels}.r{number}.s.{here.zone}. SRV") for number in range(9)] == [1] * 9


def _question(request: bytes) -> str:
    """Name and type that are asked for; none where the request is a part of something."""
    message = request[2:] if int.from_bytes(request[:2], "big") == len(request) - 2 else request
    question = dns.message.from_wire(message, question_only=True, ignore_trailing=True).question[0]
    return f"{question.name.to_text().lower()} {question.rdtype.name}"


def test_a_pools_own_sets_are_judged_at_the_pool(ground: Ground) -> None:
    """Once, and not at each realm that they serve."""
    other = POOL.replace("_sip._udp.s SRV 20 50 5060 west.edge", "_sip._udp.s SRV 20 50 5070 west.edge")
    both = ground.serve(other, shared=SHARED)
    assert told(both, "CON02", "CON06") == {("CON06 error", "_sip._udp.s SRV", "")}
    alone = ground.serve(POOL, other, shared=SHARED)
    assert told(alone, "CON02", "CON06") == {("CON02 error", "_sip._udp.s SRV", ground.pair[1].address)}


def test_one_realm_of_a_pool_alone(ground: Ground) -> None:
    """With the sets that it leads to; the other one's fault is not looked at."""
    here = ground.serve(POOL + '_acme-challenge.beta.s TXT "token"\n', shared=SHARED)
    judged = [word for one in JUDGED for word in ("--only", one)]
    alpha = here.verdict("--no-state", f"alpha.s.{here.zone}", *judged)
    assert [one for one in alpha["findings"] if one["id"] != "WLD06"] == []
    assert alpha["counts"]["realms"] == 1
    beta = here.verdict("--no-state", f"beta.s.{here.zone}", *judged)
    assert {"WLD01", "CON06"} <= {one["id"] for one in beta["findings"]}


def test_a_realm_whose_name_is_a_pools_too(ground: Ground) -> None:
    here = ground.serve(POOL, realms=("s",), shared=SHARED)
    assert told(here, *JUDGED) == {("WLD06 notice", "*.s", "")}


def test_a_realm_that_exists_by_what_lies_below_it_only(ground: Ground) -> None:
    here = ground.serve(STAR + '_acme-challenge.bell TXT "token"\n', realms=("acme", "bell"), unpublished=("bell",))
    found = told(here, "WLD", "CON06")
    assert {one for one in found if one[0].startswith("WLD")} == {("WLD01 error", "bell", "")}
    assert {one[1] for one in found if one[0].startswith("CON06")} >= {"bell A", "bell MX", "bell NAPTR"}
    assert not any("acme" in one[1].partition(".")[0].partition(" ")[0] for one in found)


def test_a_realm_with_half_of_what_the_wildcard_gave(ground: Ground) -> None:
    half = STAR + REALM.format(realm="bell").replace("bell MX 10 mx.edge", "")
    here = ground.serve(half, realms=("acme", "bell"), unpublished=("bell",))
    assert told(here, "WLD", "CON06") == {("WLD02 error", "bell", ""), ("CON06 error", "bell MX", "")}


def test_whole_realms_beside_a_wildcard_are_fine(ground: Ground) -> None:
    assert told(ground.serve(STAR, realms=("acme", "bell")), "WLD", "CON06") == set()


def test_wildcards_that_mislead(ground: Ground) -> None:
    more = "*.s SRV 10 50 5060 east.edge\n_sips._tcp.*.s SRV 10 50 5061 east.edge\n"
    found = told(ground.serve(POOL + more, shared=SHARED), "WLD03", "WLD04")
    assert found == {("WLD03 warning", "*.s SRV", ""), ("WLD04 error", "_sips._tcp.*.s SRV", "")}
