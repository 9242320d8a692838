"""What three real servers serve, against the configuration and one another; and what becomes of silence.

The servers are primaries of their own mind: each is given the zone as the test wants it to have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from realmkit.dns.asking.query import Options
from realmkit.health import run
from tests.lab.healthproject import BY_UPDATE, REALM, HealthProject, zone_text
from tests.lab.proxy import Fault, Proxy
from tests.lab.server import Authoritative
from tests.lab.servers import Knot, Named, Nsd
from tests.lab.topology import Lab

SERVED = ("CON02", "CON03", "CON04", "CON06", "DEL09")
ALL_OF_A_REALM = (*SERVED, "SEM", "WLD", "SIP01", "SIP02", "SIP03", "SIP04", "SIP05", "SIP08", "MX01", "MX02", "RLM01")
REALMS = ("acme", "bell")
Change = tuple[str, str]  # text of the zone, and what stands there in its place
Place = Callable[..., HealthProject]


def only(*ids: str) -> list[str]:
    return [word for one in ids for word in ("--only", one)]


@pytest.fixture(scope="module")
def three(lab: Lab) -> Iterator[tuple[Named, Knot, Nsd]]:
    with lab.guest() as guest:
        yield guest.start(Named), guest.start(Knot), guest.start(Nsd)


@pytest.fixture
def place(lab: Lab, three: Sequence[Authoritative], tmp_path: Path) -> Place:
    """Serves a zone, changed on some of the servers, by their numbers, and writes the project for it."""

    def served(
        changes: dict[int, Sequence[Change]] | None = None, more: str = "", realms: Sequence[str] = REALMS, **given: Any
    ) -> HealthProject:
        zone = lab.zone_name("served")
        for number, server in enumerate(three):
            text = zone_text(three, realms, more)
            for before, after in (changes or {}).get(number, ()):
                assert before in text
                text = text.replace(before, after)
            server.add_zone(zone, text)
        project = HealthProject(tmp_path / "project", zone.rstrip("."), three, realms, **given)
        project.write()
        return project

    return served


def everywhere(*changes: Change) -> dict[int, Sequence[Change]]:
    return dict.fromkeys(range(3), changes)


def told(project: HealthProject, *args: str) -> set[tuple[str, str, str]]:
    """Id with level, subject and server."""
    found = project.verdict("--no-state", *args)["findings"]
    return {(f"{one['id']} {one['level']}", one["subject"], one["server"]) for one in found}


def missing(project: HealthProject, found: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Findings that say anything is wrong with what is served."""
    return {one for one in found if not one[0].endswith(" unknown") and one[0].partition(" ")[0] != "SIP08"}


# --- in order ---------------------------------------------------------------------------------------------------------


def test_two_realms_as_they_should_be_on_three_servers(place: Place) -> None:
    project = place()
    verdict = project.verdict("--no-state", *only(*ALL_OF_A_REALM, "CON01", "CON05", "CON07", "RUN01", "PRV"))
    assert verdict["findings"] == []
    assert verdict["exit_code"] == 0
    assert verdict["counts"]["realms"] == 2
    assert len(verdict["serials"]) == 3
    assert verdict["counts"]["questions"] >= 2 * 7 * 3


# --- one server alone -------------------------------------------------------------------------------------------------


LACKS = ("bell MX 10 mx.edge", ""), "CON02 error", "bell.{zone}. MX"
OTHER = ("bell MX 10 mx.edge", "bell MX 20 mx.edge"), "CON02 error", "bell.{zone}. MX"
MORE = ("bell MX 10 mx.edge", "bell MX 10 mx.edge\nbell MX 20 mx.edge"), "CON02 error", "bell.{zone}. MX"
EXCESS = ("bell MX 10 mx.edge", "bell MX 10 mx.edge\nbell AAAA 2001:db8::1"), "CON02 error", "bell.{zone}. AAAA"
LONGER = ("bell MX 10 mx.edge", "bell 900 MX 10 mx.edge"), "CON03 warning", "bell.{zone}. MX"
EMPTY = (
    ("bell MX 10 mx.edge", "bell MX 10 mx.edge\nx._sips._tcp.bell A 127.0.0.9"), "CON04 error",
    "_sips._tcp.bell.{zone}. SRV",
)  # fmt: skip


@pytest.mark.parametrize(
    ("number", "fault"),
    [(0, LACKS), (1, LACKS), (2, LACKS), (1, OTHER), (2, MORE), (1, EXCESS), (0, LONGER), (2, LONGER), (0, EMPTY),
     (1, EMPTY), (2, EMPTY)],
    ids=["0 lacks", "1 lacks", "2 lacks", "other", "more", "in excess", "0 ttl", "2 ttl", "0 rcode", "1 rcode",
         "2 rcode"],
)  # fmt: skip
def test_a_server_that_differs_is_named_and_no_other(place: Place, number: int, fault: tuple[Change, str, str]) -> None:
    change, check, subject = fault
    project = place({number: [change]})
    where = project.servers[number].address
    found = told(project, *only(*SERVED, "RUN01"))
    assert found == {(check, subject.format(zone=project.zone), where)}


def test_an_older_copy_on_one_server(place: Place, three: Sequence[Authoritative]) -> None:
    """What was published an hour ago has not come to the secondary."""
    bell = REALM.format(realm="bell")
    project = place({2: [(bell, ""), ("hostmaster 1 ", "hostmaster 0 ")]})
    verdict = project.verdict("--no-state", *only(*ALL_OF_A_REALM, "CON01", "RUN01"))
    assert verdict["exit_code"] == 2
    assert {one["server"] for one in verdict["findings"]} == {three[2].address}
    assert {(one["id"], one["subject"]) for one in verdict["findings"]} == {
        ("CON01", f"{project.zone}. serial"), ("CON04", f"bell.{project.zone}. AAAA"),
        *(("CON02", f"bell.{project.zone}. {kind}") for kind in ("A", "MX", "NAPTR")),
        *(("CON02", f"{labels}.bell.{project.zone}. SRV") for labels in ("_sip._udp", "_sip._tcp")),
    }  # fmt: skip
    shown = next(one for one in verdict["findings"] if one["subject"].endswith(". MX"))
    assert (shown["expected"], shown["seen"]) == (f"10 mx.edge.{project.zone}.", "nothing (NXDOMAIN)")


# --- all servers agree, and differ from the configuration -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "level", "kind", "words"),
    [
        (("bell MX 10 mx.edge", ""), "error", "MX", "missing"),
        (("bell MX 10 mx.edge", "bell MX 20 mx.edge"), "error", "MX", "another"),
        (("bell MX 10 mx.edge", "bell MX 10 mx.edge\nbell AAAA 2001:db8::1"), "warning", "AAAA", "nobody wants it"),
        (("bell MX 10 mx.edge", "bell 900 MX 10 mx.edge"), "warning", "MX", "TTL"),
        (("bell MX 10 mx.edge", "bell 60 MX 10 mx.edge"), "notice", "MX", "lowered for a move"),
    ],
    ids=["missing", "other", "in excess", "ttl", "lowered"],
)
def test_what_all_serve_is_held_against_the_configuration(
    place: Place, change: Change, level: str, kind: str, words: str
) -> None:
    project = place(everywhere(change))
    verdict = project.verdict("--no-state", *only(*SERVED, "RUN01"))
    (found,) = verdict["findings"]
    assert (found["id"], found["level"], found["subject"], found["server"]) == (
        "CON06", level, f"bell.{project.zone}. {kind}", "",
    )  # fmt: skip
    assert words in found["message"]
    assert verdict["exit_code"] == {"error": 2, "warning": 1, "notice": 0}[level]


def test_a_realm_that_is_delegated_away(place: Place, three: Sequence[Authoritative]) -> None:
    """In what the servers answer, and in the zone's copy: the records are still in it, below the cut."""
    project = place(more="bell NS ns.elsewhere.example.")
    found = told(project, *only("DEL09"))
    keys = {f"bell.{project.zone}. {kind}" for kind in ("A", "MX", "NAPTR")}
    keys |= {f"{labels}.bell.{project.zone}. SRV" for labels in ("_sip._udp", "_sip._tcp")}
    asked = keys | {f"bell.{project.zone}. AAAA", f"_sips._tcp.bell.{project.zone}. SRV"}
    live = {("DEL09 error", key, one.address) for key in asked for one in three}
    assert {one for one in found if one[2]} == live
    assert {one[1] for one in found if not one[2]} >= keys


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience of a run, shortened: what is silent here stays so."""
    monkeypatch.setattr(run, "Options", partial(Options, timeouts=(0.15, 0.3)))


@contextmanager
def frozen(*servers: Authoritative) -> Iterator[None]:
    try:
        for one in servers:
            one.freeze()
        yield
    finally:
        for one in servers:
            one.thaw()


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("silent", [(1, 2)], ids=str)
def test_silent_servers_are_unknown_and_nothing_is_missing_there(
    place: Place, three: Sequence[Authoritative], silent: tuple[int, ...]
) -> None:
    """The first server holds the copy, and serves it."""
    project = place()
    chosen = [three[number] for number in silent]
    with frozen(*chosen):
        verdict = project.verdict("--no-state", *only(*ALL_OF_A_REALM, "RUN01"))
    found = {(one["id"], one["level"], one["subject"], one["server"]) for one in verdict["findings"]}
    hosts = [f"{one}.{project.zone}." for one in REALMS]
    assert found == {("RUN01", "unknown", host, one.address) for host in hosts for one in chosen}
    assert verdict["exit_code"] == 3


@pytest.mark.usefixtures("brisk")
def test_what_is_certain_beside_a_silent_server_counts_more(place: Place, three: Sequence[Authoritative]) -> None:
    project = place({0: [("bell MX 10 mx.edge", "")]})
    with frozen(three[1]):
        verdict = project.verdict("--no-state", *only(*SERVED, "RUN01"))
    found = {(one["id"], one["subject"], one["server"]) for one in verdict["findings"]}
    assert found == {
        ("CON02", f"bell.{project.zone}. MX", three[0].address),
        ("RUN01", f"bell.{project.zone}.", three[1].address),
        ("RUN01", f"acme.{project.zone}.", three[1].address),
    }
    assert verdict["exit_code"] == 2


@pytest.mark.usefixtures("brisk")
def test_when_all_are_silent_nothing_is_said_to_be_missing(place: Place, three: Sequence[Authoritative]) -> None:
    project = place(provider=BY_UPDATE.format(where="127.0.0.1:9"))
    with frozen(*three):
        found = told(project, *only(*ALL_OF_A_REALM, "CON01", "PRV01", "RUN01"))
    assert missing(project, found) == set()
    hosts = [f"{one}.{project.zone}." for one in REALMS]
    assert {one for one in found if one[0] == "RUN01 unknown"} == {
        ("RUN01 unknown", host, one.address) for host in hosts for one in three
    }
    assert ("PRV01 unknown", f"{project.zone}.", "") in found


@pytest.mark.usefixtures("brisk")
def test_a_server_that_is_silent_about_many_realms_is_told_once(place: Place, three: Sequence[Authoritative]) -> None:
    project = place(realms=[f"r{number}" for number in range(12)])
    with frozen(three[2]):
        verdict = project.verdict("--no-state", *only(*ALL_OF_A_REALM, "RUN01"))
    found = {(one["id"], one["level"], one["subject"], one["server"]) for one in verdict["findings"]}
    assert found == {("RUN01", "unknown", f"{project.zone}.", three[2].address)}
    assert verdict["exit_code"] == 3


def test_a_run_without_time_says_what_it_did_not_get_to(place: Place, three: Sequence[Authoritative]) -> None:
    """One question a second to each server is too slow for a deadline of one second."""
    project = place(realms=[f"r{number}" for number in range(6)], rate="1")
    verdict = project.verdict("--no-state", "--deadline", "1s", *only(*ALL_OF_A_REALM, "RUN01"))
    found = {(f"{one['id']} {one['level']}", one["subject"], one["server"]) for one in verdict["findings"]}
    assert verdict["exit_code"] == 3
    assert missing(project, found) == set()
    assert {one[2] for one in found if one[0] == "RUN01 unknown"} == {one.address for one in three}


# --- bad answers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crooked(lab: Lab, three: Sequence[Authoritative]) -> Iterator[Proxy]:
    """The third server, seen through a proxy that goes wrong."""
    address = lab.address()
    with lab.namespace.inside(), Proxy((three[1].address, 53), address, 53) as proxy:
        yield proxy


def about_bell(request: bytes) -> bool:
    return b"\x04bell" in request.lower()


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("rcode", rcode=2), Fault("rcode", rcode=5), Fault("rcode", rcode=9), Fault("rcode", rcode=0),
        Fault("rcode", rcode=3), Fault("rcode", rcode=1), Fault("drop"), Fault("lose"), Fault("cut", octets=20),
    ],
    ids=["servfail", "refused", "notauth", "noerror without aa", "nxdomain without aa", "formerr", "drop", "lose",
         "cut"],
)  # fmt: skip
def test_no_bad_answer_becomes_missing(
    place: Place, crooked: Proxy, three: Sequence[Authoritative], fault: Fault
) -> None:
    where = crooked.address
    project = place(asked=[three[0].where, f"{where}:53", three[2].where])
    crooked.fault = Fault(fault.kind, about_bell, octets=fault.octets, rcode=fault.rcode)
    before = crooked.hits
    try:
        verdict = project.verdict("--no-state", *only(*ALL_OF_A_REALM, "RUN01"))
    finally:
        crooked.fault = None
    assert crooked.hits > before
    found = {(f"{one['id']} {one['level']}", one["subject"], one["server"]) for one in verdict["findings"]}
    assert found == {("RUN01 unknown", f"bell.{project.zone}.", where)}
    assert verdict["exit_code"] == 3


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("kind", ["truncate", "wrong-id"])
def test_what_goes_wrong_over_udp_alone_is_asked_again_over_tcp_and_fine(
    place: Place, crooked: Proxy, three: Sequence[Authoritative], kind: Literal["truncate", "wrong-id"]
) -> None:
    project = place(asked=[three[0].where, f"{crooked.address}:53", three[2].where])
    crooked.fault = Fault(kind, about_bell)
    before = crooked.hits
    try:
        found = told(project, *only(*ALL_OF_A_REALM, "RUN01"))
    finally:
        crooked.fault = None
    assert crooked.hits > before
    assert {one for one in found if one[0] != "RUN02 notice"} == set()  # RUN02: many empty truncated answers


def test_a_server_that_never_heard_of_the_zone(place: Place, lab: Lab, three: Sequence[Authoritative]) -> None:
    """A real one: it refuses."""
    with lab.guest() as guest:
        stranger = guest.start(Knot)
        project = place(asked=[three[0].where, three[1].where, stranger.where])
        found = told(project, *only(*ALL_OF_A_REALM, "RUN01"))
    assert found == {("RUN01 unknown", f"{one}.{project.zone}.", stranger.address) for one in REALMS}


# --- one realm alone --------------------------------------------------------------------------------------------------


def test_one_realm_alone(place: Place) -> None:
    """The other one is broken, and nobody asks about it."""
    project = place(everywhere(("bell MX 10 mx.edge", ""), ("_sip._tcp.bell SRV 10 50 5060 east.edge", "")))
    bell, acme = f"bell.{project.zone}", f"acme.{project.zone}"
    assert told(project, acme, *only(*ALL_OF_A_REALM, "RUN01")) == set()
    subjects = {one[1] for one in told(project, bell, *only(*SERVED, "RUN01"))}
    assert subjects == {f"{bell}. MX", f"_sip._tcp.{bell}. SRV"}
    assert project.verdict("--no-state", acme, *only("CON06"))["counts"]["realms"] == 1
