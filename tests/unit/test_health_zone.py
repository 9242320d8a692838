"""Judging zones: what was seen is made by hand here, so that every state is met; the lab makes it with real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from realmkit.clock import SystemClock
from realmkit.dns import names, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.delegation import Delegation
from realmkit.dns.asking.query import Options, Outcome, Reply, Server
from realmkit.dns.asking.referral import Told, Walk, Wish, spread, walk
from realmkit.dns.asking.resolving import Addresses
from realmkit.dns.records import RRset, zone_of
from realmkit.health.checks import consistency, delegation, migration_zone, nameservers, security, zonewild
from realmkit.health.observe.exchange import Probe, exchange
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.observe.zones import apex_types
from realmkit.health.seen.realm import HostSeen, Sight
from realmkit.health.seen.zone import EdnsAnswer, EdnsSeen, Offer, ServerSeen, Stale, ZoneSeen, ZoneTask, read_soa
from tests.unit.faulty import Faulty, framed, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name

APEX = names.absolute("example.net")
NS1, NS2 = names.absolute("ns1.example.net"), names.absolute("ns2.provider.example")
GOOD_SOA = "ns1 hostmaster 7 3600 900 1209600 300"
OK = EdnsAnswer("answered", opt=True, detail="")
GOOD_EDNS = EdnsSeen(EdnsAnswer("answered", detail=""), OK, EdnsAnswer("answered", 16, opt=True, detail=""), OK)
NO = Offer("refused", "answers REFUSED")
WILD = RRset(names.absolute("*.s.example.net"), rr.A, 300, frozenset({bytes((192, 0, 2, 1))}))
CHECKS = (
    delegation.delegated, delegation.lame, delegation.same_servers, delegation.glue, nameservers.server_names,
    nameservers.diversity, nameservers.assigned, nameservers.vanity, consistency.serials, consistency.soa,
    consistency.published, security.open_transfer, security.open_recursion, security.edns, zonewild.wildcards,
    migration_zone.ns_ttl,
)  # fmt: skip


def addresses(*texts: str) -> tuple[tuple[int, bytes], ...]:
    return tuple(sorted(rdata.address(text) for text in texts))


ADDRESSES = {NS1: addresses("1.1.1.1"), NS2: addresses("9.9.9.9", "2620:fe::9")}


def present(kind: int, *texts: str, ttl: int = 300) -> Sight:
    return Sight("present", RRset(APEX, kind, ttl, frozenset(rdata.from_text(kind, one, APEX) for one in texts)))


def hosts(*those: Name, ttl: int = 300) -> Sight:
    return Sight("present", RRset(APEX, rr.NS, ttl, frozenset(those)))


def server(address: str = "1.1.1.1", label: str = "ns1.example.net", **changes: Any) -> ServerSeen:
    """A server that is right in everything."""
    soa = present(rr.SOA, GOOD_SOA)
    good = ServerSeen(
        Server(address, 53, label), "answers", soa, soa, "answers", hosts(NS1, NS2), {}, NO, NO, GOOD_EDNS,
        {WILD.key: Sight("present", structs.replace(WILD, name=names.absolute("x.s.example.net")))},
    )  # fmt: skip
    return structs.replace(good, **changes)


PARENT = Delegation((NS1, NS2), 300, (Server("192.5.6.30"),), glue={NS1: ADDRESSES[NS1]})
SILENT: dict[str, Any] = {
    "reach": "silent",
    "soa": Sight("unknown", detail="no answer"),
    "ns": Sight("unknown", detail="no answer"),
}


def zone(*servers: ServerSeen, **changes: Any) -> ZoneSeen:
    """A zone that is right in everything, but for the changes, which may be of the task too."""
    of_task = {key: changes.pop(key) for key in list(changes) if key in ZoneTask.__struct_fields__}
    known = {host: HostSeen(host, "present", found) for host, found in ADDRESSES.items()}
    both = servers or (server(), server("9.9.9.9", "ns2.provider.example"))
    task = ZoneTask(APEX, wildcards=(WILD,), assigned=("ns1.example.net", "ns2.provider.example."))
    seen = ZoneSeen(structs.replace(task, **of_task), PARENT, both, hosts=known)
    return structs.replace(seen, **changes)


def found(seen: ZoneSeen, only: str = "") -> list[tuple[str, str, str]]:
    """Id, level and subject; the whole rests on no text."""
    return [(one.id, one.level, one.subject) for one in all_of(seen) if not only or one.id == only]


def all_of(seen: ZoneSeen) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check(seen)


def host(name: Name, state: str, *texts: str) -> dict[Name, HostSeen]:
    known = {one: HostSeen(one, "present", some) for one, some in ADDRESSES.items()}
    return known | {name: HostSeen(name, state, addresses(*texts), "why")}  # type: ignore[arg-type]


def test_a_zone_that_is_right_in_everything() -> None:
    assert found(zone()) == []


def test_no_two_findings_have_one_key() -> None:
    bad = server(**SILENT, transfer=Offer(), recursion=Offer(), edns=EdnsSeen(), wildcards={})
    bogus = server("9.9.9.9", "ns2.provider.example", soa=present(rr.SOA, "x y 3 60 90 120 9000", ttl=9000),
                   ns=hosts(NS1), soa_tcp=Sight("unknown", detail="x"), tcp="silent")  # fmt: skip
    task = {
        "assigned_unknown": "x",
        "snapshot_unknown": "x",
        "vanity": {NS1: ADDRESSES[NS2]},
        "migration_ttl": 60,
        "moving": True,
    }
    many = list(all_of(zone(bad, bogus, **task)))
    assert len(many) > 15
    assert len({one.key for one in many}) == len(many)


# --- delegation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("denied", "level"), [(True, "critical"), (False, "unknown")])
def test_denied_is_not_unknown(denied: bool, level: str) -> None:
    parent = Delegation((), None, (), ("words",), denied)
    assert found(zone(parent=parent), "DEL01") == [("DEL01", level, "example.net.")]


def test_all_servers_silent_is_critical_only_when_somebody_was_heard() -> None:
    mute = zone(server(**SILENT), server("9.9.9.9", "ns2.provider.example", **SILENT))
    assert found(mute, "DEL01") == [("DEL01", "critical", "example.net.")]
    assert {one[1] for one in found(mute, "DEL02")} == {"error"}
    for change in ({"cut_short": True}, {"parent": None}):
        vague = structs.replace(mute, **change)
        assert {one[1] for one in found(vague, "DEL01") + found(vague, "DEL02")} == {"unknown"}


def test_a_host_whose_address_could_not_be_looked_up_may_yet_serve() -> None:
    seen = zone(server(**SILENT), hosts=host(NS2, "unknown"), unknown=("ns2.provider.example: SERVFAIL",))
    assert found(seen, "DEL01") == [("DEL01", "unknown", "example.net.")]
    certain = structs.replace(seen, hosts=host(NS2, "absent"))
    assert found(certain, "DEL01") == [("DEL01", "critical", "example.net.")]


def test_no_server_at_all() -> None:
    assert found(zone(parent=None, servers=(), unknown=("ns.gone: SERVFAIL",)), "DEL01")[0][1] == "unknown"


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (Sight("unknown", rcode=wire.SERVFAIL, detail="answers SERVFAIL"), "expired"),
        (Sight("unknown", rcode=4, detail="answers NOTIMP"), "NOTIMP"),
        (Sight("lame", rcode=5, detail="answers REFUSED"), "REFUSED"),
        (Sight("referral", RRset(APEX, rr.NS, 1, frozenset({NS1}))), "refers to others"),
        (Sight("absent"), "no SOA"),
        (Sight("alias", RRset(APEX, rr.CNAME, 1, frozenset({NS1}))), "alias"),
    ],
)
def test_every_way_of_not_serving(sight: Sight, words: str) -> None:
    (finding,) = delegation.lame(zone(server(soa=sight), server("9.9.9.9", "ns2.provider.example")))
    assert (finding.level, finding.server) == ("error", "ns1.example.net (1.1.1.1)")
    assert words in finding.message


def test_no_way_to_a_server_is_unknown() -> None:
    there = server("9.9.9.9", "ns2.provider.example")
    assert found(zone(server(reach="unreachable", soa=Sight("unknown", detail="no route")), there), "DEL02") == [
        ("DEL02", "unknown", "example.net.")
    ]
    assert found(zone(server(tcp="unreachable", soa_tcp=Sight("unknown", detail="late")), there), "DEL02") == [
        ("DEL02", "unknown", "example.net. over TCP")
    ]


def test_a_mismatch_is_said_once_or_for_each_server_that_differs() -> None:
    (once,) = delegation.same_servers(
        zone(server(ns=hosts(NS1)), server("9.9.9.9", "ns2.provider.example", ns=hosts(NS1)))
    )
    assert (once.server, once.seen) == ("", "zone: ns1.example.net")
    (one,) = delegation.same_servers(zone(server(ns=Sight("absent")), server("9.9.9.9", "ns2.provider.example")))
    assert (one.server, one.seen) == ("ns1.example.net (1.1.1.1)", "zone: none")


@pytest.mark.parametrize(
    ("glue", "own", "level"),
    [
        (("1.1.1.1",), ("1.1.1.1",), None),
        ((), ("1.1.1.1",), "error"),
        (("1.0.0.1",), ("1.1.1.1",), "error"),
        (("1.1.1.1", "1.0.0.1"), ("1.1.1.1",), "error"),
        (("1.1.1.1",), ("1.1.1.1", "2606:4700::1"), "warning"),
        (("1.1.1.1",), (), "error"),
    ],
)
def test_glue(glue: tuple[str, ...], own: tuple[str, ...], level: str | None) -> None:
    parent = structs.replace(PARENT, glue={NS1: addresses(*glue)} if glue else {})
    seen = zone(parent=parent, hosts=host(NS1, "present" if own else "absent", *own))
    assert [one[1] for one in found(seen, "DEL04")] == ([level] if level else [])


def test_glue_of_a_server_in_another_zone_weighs_less() -> None:
    parent = structs.replace(PARENT, glue={NS1: ADDRESSES[NS1]} | {NS2: addresses("9.9.9.10")})
    assert found(zone(parent=parent), "DEL04") == [("DEL04", "warning", "ns2.provider.example. glue")]


# --- name servers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "texts", "wanted"),
    [
        ("alias", ("1.1.1.1",), [("error", "ns1.example.net. CNAME")]),
        ("absent", (), [("error", "ns1.example.net.")]),
        ("unknown", (), [("unknown", "ns1.example.net.")]),
        ("present", ("10.0.0.1", "1.1.1.1"), [("error", "ns1.example.net. address")]),
        ("present", ("fd00::1",), [("error", "ns1.example.net. address")]),
        ("present", ("127.0.0.1",), [("error", "ns1.example.net. address")]),
    ],
)
def test_server_names(state: str, texts: tuple[str, ...], wanted: list[tuple[str, str]]) -> None:
    assert [one[1:] for one in found(zone(hosts=host(NS1, state, *texts)), "DEL05")] == wanted
    assert found(zone(hosts=host(NS1, "present", "10.0.0.1"), allow_private=True), "DEL05") == []


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("9.9.9.9",), "one IPv4 /24"),  # beside 9.9.9.9 itself: see below
        (("9.9.9.10",), "one IPv4 /24"),
        (("1.1.1.1", "2620:fe::10"), "one IPv6 /48"),
        (("1.1.1.1", "2620:fe:1::10"), ""),
        (("2606:4700::1",), ""),
    ],
)
def test_servers_in_one_place(texts: tuple[str, ...], words: str) -> None:
    there = host(NS1, "present", *texts)
    if texts == ("9.9.9.9",):
        there[NS2] = HostSeen(NS2, "present", addresses("9.9.9.9"))
        words = "the same address"
    messages = [one.message for one in nameservers.diversity(zone(hosts=there))]
    assert len(messages) == (1 if words else 0)
    assert words in "".join(messages)


def test_servers_that_may_be_apart() -> None:
    vague = host(NS1, "unknown") | {NS2: HostSeen(NS2, "present", addresses("9.9.9.9", "9.9.9.10"))}
    assert found(zone(hosts=vague), "DEL06") == [("DEL06", "unknown", "example.net. NS addresses")]


@pytest.mark.parametrize(
    ("assigned", "wanted"),
    [
        (None, []), ((), []), (("192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", "2001:db8::1"), []),
        (("NS1.example.net.", "ns2.provider.example"), []), (("ns1.example.net",), ["error"]),
        (("ns7.provider.example",), ["error"]),
    ],
)  # fmt: skip
def test_assigned_servers(assigned: tuple[str, ...] | None, wanted: list[str]) -> None:
    assert [one[1] for one in found(zone(assigned=assigned), "DEL07")] == wanted


def test_assigned_servers_of_a_zone_whose_parent_is_not_known() -> None:
    unknown = Delegation((), None, (), ("words",))
    assert found(zone(parent=unknown), "DEL07") == [("DEL07", "unknown", "example.net. NS assigned")]
    assert found(zone(parent=None), "DEL07") == []
    assert found(zone(parent=structs.replace(unknown, denied=True)), "DEL07") == []


def test_vanity_names() -> None:
    def judged(*wanted: str, state: str = "present") -> list[str]:
        seen = zone(
            vanity={NS1: addresses(*wanted)}, hosts=host(NS1, state, *(["1.1.1.1"] if state == "present" else []))
        )
        return [one[1] for one in found(seen, "DEL08")]

    assert judged("1.1.1.1") == []
    assert judged("1.1.1.1", "1.0.0.1") == ["warning"]
    assert judged("1.1.1.1", state="absent") == ["warning"]
    assert judged("1.1.1.1", state="unknown") == ["unknown"]


# --- consistency ---------------------------------------------------------------------------------------------


def with_serials(*serials: int) -> ZoneSeen:
    soas = [present(rr.SOA, GOOD_SOA.replace(" 7 ", f" {serial} ")) for serial in serials]
    return zone(*(server(f"1.1.1.{number}", soa=soa) for number, soa in enumerate(soas)))


@pytest.mark.parametrize(
    ("serials", "behind"),
    [
        ((7, 7), []), ((7, 8, 8), [0]), ((8, 7, 6), [1, 2]), ((2**32 - 1, 3), [0]), ((5, 5 + 2**31), [0, 1]),
        ((0, 2**31 - 1), [0]),
    ],
)  # fmt: skip
def test_who_is_behind(serials: tuple[int, ...], behind: list[int]) -> None:
    servers = [one.server for one in consistency.serials(with_serials(*serials))]
    assert servers == [f"ns1.example.net (1.1.1.{number})" for number in behind]


@pytest.mark.parametrize(
    ("stale", "level"),
    [
        (Stale(7, 3601.0), "error"), (Stale(7, 3600.0), "warning"), (Stale(7, -5.0), "warning"),
        (Stale(6, 1e9), "warning"), (None, "warning"),
    ],
)  # fmt: skip
def test_an_old_copy_that_outlives_its_refresh_is_an_error(stale: Stale | None, level: str) -> None:
    """Only if it is the very copy that was old before; each later one has time until its own refresh."""
    known = {"ns1.example.net (1.1.1.0)": stale} if stale is not None else {}
    seen = with_serials(7, 8)
    seen = structs.replace(seen, task=structs.replace(seen.task, stale=known))
    assert [one.level for one in consistency.serials(seen)] == [level]


def test_an_soa_that_can_not_be_read_is_unknown() -> None:
    broken = Sight("present", RRset(APEX, rr.SOA, 1, frozenset({b"\0\0\0"})))
    assert read_soa(broken) is None
    seen = zone(server(soa=broken), server("9.9.9.9"))
    assert [one[1] for one in found(seen, "CON01") + found(seen, "CON05")] == ["unknown"] * 2


@pytest.mark.parametrize(
    ("soa", "ttl", "fields"),
    [
        (GOOD_SOA, 3600, []),
        ("a b 7 3600 900 1209600 3600", 300, []),
        ("a b 7 3600 900 1209600 3600", 3600, ["minimum"]),
        ("a b 7 3600 3600 1209600 300", 300, ["retry"]),
        ("a b 7 60 30 1209600 300", 300, ["refresh"]),
        ("a b 7 3600 900 86400 300", 300, ["expire"]),
        ("a b 7 3600 900 4500 300", 300, ["expire"]),
        ("a b 7 86400 900 9999999 300", 300, ["refresh", "expire"]),
    ],
)
def test_times_of_the_soa(soa: str, ttl: int, fields: list[str]) -> None:
    one = server(soa=present(rr.SOA, soa, ttl=ttl))
    assert [subject.split()[-1] for _, _, subject in found(zone(one), "CON05")] == fields


def test_minimum_matters_only_where_realms_are() -> None:
    one = server(soa=present(rr.SOA, "a b 7 3600 900 1209600 3600", ttl=3600))
    assert found(zone(one, realms=False), "CON05") == []


def test_the_odd_soa_of_three_is_named() -> None:
    odd = server("1.1.1.9", soa=present(rr.SOA, GOOD_SOA.replace("hostmaster", "root")))
    (finding,) = consistency.soa(zone(server(), odd, server("9.9.9.9")))
    assert (finding.server, "another rname" in finding.message) == ("ns1.example.net (1.1.1.9)", True)


def snapshot(serial: int | None = 7, *rrsets: RRset, **more: object) -> object:
    return structs.replace(zone_of(APEX, rrsets, serial=serial), **more)


def test_what_is_published() -> None:
    mx = RRset(APEX, rr.MX, 300, frozenset({rdata.from_text(rr.MX, "10 mx.example.net.")}))
    old = RRset(APEX, rr.MX, 60, frozenset({rdata.from_text(rr.MX, "10 old.example.net.")}))

    def judged(sight: Sight, serial: int | None = 7, **task: object) -> list[tuple[str, str]]:
        return [
            one[1:] for one in found(zone(server(apex={rr.MX: sight}), snapshot=snapshot(serial, mx), **task), "CON07")
        ]

    subject = "example.net. published MX"
    assert judged(Sight("present", structs.replace(mx, ttl=60))) == []
    assert judged(Sight("present", old)) == [("warning", subject)]
    assert judged(Sight("absent")) == [("warning", subject)]
    assert judged(Sight("unknown", detail="x")) == [("unknown", subject)]
    newer = ("warning", "example.net. published serial")
    assert judged(Sight("present", mx), 8) == [newer]
    assert judged(Sight("present", mx), 6) == judged(Sight("present", mx), None) == []
    assert judged(Sight("present", mx), 8, serials=False) == []


def test_what_a_provider_makes_up_is_not_compared() -> None:
    sets = [RRset(APEX, kind, 1, frozenset({b"x"})) for kind in (rr.SOA, rr.NS, rr.A, rr.MX, rr.TXT, rr.DNSKEY)]
    other = RRset(names.absolute("www.example.net"), rr.AAAA, 1, frozenset({b"x"}))
    shown = snapshot(7, *sets, other, opaque={(APEX, rr.TXT): "an alias"}, proxied=frozenset({APEX}))
    task = ZoneTask(APEX, snapshot=shown)  # type: ignore[arg-type]
    assert apex_types(task) == (rr.MX,)
    assert apex_types(ZoneTask(APEX)) == ()


# --- security, wildcards, migration --------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "id_", "level"), [("transfer", "SCR01", "error"), ("recursion", "SCR04", "warning")])
def test_what_strangers_get(field: str, id_: str, level: str) -> None:
    for offer, wanted in ((NO, []), (Offer("given", "x"), [level]), (Offer("unknown", "x"), ["unknown"])):
        change: dict[str, Any] = {field: offer}
        assert [one[1] for one in found(zone(server(**change)), id_)] == wanted


def test_a_transfer_that_is_meant() -> None:
    assert found(zone(server(transfer=Offer("given", "x")), transfers=True), "SCR01") == []


def answered(rcode: int = 0, *, opt: bool = True, echoed: bool = False) -> EdnsAnswer:
    return EdnsAnswer("answered", rcode, opt, echoed, "")


SILENCE, UNKNOWN = EdnsAnswer("silent", detail="no answer"), EdnsAnswer("unknown", detail="late")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"plain": SILENCE}, [("unknown", "EDNS")]),
        ({"plain": UNKNOWN}, [("unknown", "EDNS")]),
        ({"basic": UNKNOWN}, [("unknown", "EDNS")]),
        ({"basic": SILENCE, "version": SILENCE}, [("warning", "EDNS")]),
        ({"basic": answered(1, opt=False)}, [("warning", "EDNS")]),
        ({"plain": answered(5), "basic": answered(5), "option": answered(5)}, []),  # lame, which DEL02 says
        ({"basic": answered(opt=False)}, [("notice", "EDNS")]),
        ({"version": answered()}, [("warning", "EDNS version")]),
        ({"version": answered(16, opt=False)}, [("warning", "EDNS version")]),
        ({"version": UNKNOWN, "option": UNKNOWN}, [("unknown", "EDNS version"), ("unknown", "EDNS option")]),
        ({"option": answered(echoed=True)}, [("warning", "EDNS option")]),
        ({"option": answered(opt=False)}, [("warning", "EDNS option")]),
        ({"option": SILENCE}, [("warning", "EDNS option")]),
    ],
)
def test_edns(changes: dict[str, EdnsAnswer], wanted: list[tuple[str, str]]) -> None:
    seen = zone(server(edns=structs.replace(GOOD_EDNS, **changes)))
    assert [one[1:] for one in found(seen, "SCR05")] == [(level, f"ns1.example.net. {what}") for level, what in wanted]


def test_one_server_of_two_zones_is_told_of_once() -> None:
    """The key names the server and not the zone, so that whoever gathers findings keeps one of them."""
    bad = server(recursion=Offer("given", "x"), edns=structs.replace(GOOD_EDNS, basic=SILENCE))
    here, there = zone(bad), zone(bad, apex=names.absolute("example.org"))
    keys = [{one.key for one in all_of(seen) if one.id in ("SCR04", "SCR05")} for seen in (here, there)]
    assert keys[0] == keys[1] != set()


@pytest.mark.parametrize(
    ("sight", "wanted"),
    [
        (Sight("present", RRset(APEX, rr.A, 60, WILD.rdata)), []),
        (Sight("present", RRset(APEX, rr.A, 300, frozenset({b"1234"}))), ["warning"]),
        (Sight("absent", rcode=3), ["warning"]),
        (Sight("alias", RRset(APEX, rr.CNAME, 300, frozenset({NS1}))), ["warning"]),
        (Sight("referral", RRset(APEX, rr.NS, 300, frozenset({NS1}))), ["warning"]),
        (Sight("unknown", detail="x"), ["unknown"]),
        (Sight("lame", rcode=5, detail="x"), ["unknown"]),
        (None, ["unknown"]),
    ],
)
def test_a_wildcard(sight: Sight | None, wanted: list[str]) -> None:
    seen = zone(server(wildcards={WILD.key: sight} if sight else {}))
    assert [one[1] for one in found(seen, "WLD05")] == wanted


def test_ttls_before_a_move() -> None:
    long = structs.replace(PARENT, ttl=172_800, ds=RRset(APEX, rr.DS, 86_400, frozenset({b"x"})))
    servers = (server(ns=hosts(NS1, NS2, ttl=301)),)
    slow = zone(*servers, parent=long, moving=True)
    assert [one[1] for one in found(slow, "MIG02")] == ["error", "warning", "warning"]
    assert found(structs.replace(slow, task=structs.replace(slow.task, moving=False)), "MIG02") == []
    assert found(zone(moving=True), "MIG02") == []
    unsaid = structs.replace(PARENT, ds_unknown="SERVFAIL")
    assert found(zone(parent=unsaid, moving=True), "MIG02") == [
        ("MIG02", "unknown", "example.net. DS TTL at the parent")
    ]
    assert [one[1] for one in found(zone(server(**SILENT), moving=True), "MIG02")] == ["unknown"]


# --- the way to the delegation -------------------------------------------------------------------------------


@pytest.mark.parametrize(("refusing", "asked"), [(0, 3), (2, 3), (3, 5)])
def test_a_few_of_the_parents_servers_are_asked_unless_they_refuse(refusing: int, asked: int) -> None:
    """The walk is handed its answers here; `together` asks for them."""
    above = names.absolute("net")
    five = {names.absolute(f"{letter}.net"): bytes((192, 0, 2, number)) for number, letter in enumerate("abcde", 1)}
    told = Told({}, {host: Addresses(((rr.A, address),)) for host, address in five.items()}, {})
    told.keys[above, rr.SOA] = message(answer=[wire.Record(above, rr.SOA, 60, b"")])
    told.keys[above, rr.NS] = message(answer=[wire.Record(above, rr.NS, 60, host) for host in five])
    referral = message(authority=[wire.Record(APEX, rr.NS, 60, NS1)])
    refusal = message(flags=wire.REFUSED)
    asked_for: list[Server] = []

    def answer(wish: Wish) -> Told:
        for question in wish.questions:
            said_ = refusal if len(asked_for) < refusing else referral
            told.replies[question] = Reply(*question, Outcome.ANSWER, said_)
            asked_for.append(question[0])
        return told

    assert walked(answer).referral.hosts == (NS1,)
    assert (len(asked_for), len(set(asked_for))) == (asked, asked)


def walked(answer: Callable[[Wish], Told]) -> Walk:
    """A whole walk, each of its wishes granted."""
    steps = walk(APEX)
    wish = next(steps)
    while True:
        try:
            wish = steps.send(answer(wish))
        except StopIteration as end:
            found_: Walk = end.value
            return found_


def message(flags: int = 0, answer: Iterable[wire.Record] = (), authority: Iterable[wire.Record] = ()) -> wire.Message:
    return wire.Message(0, flags, None, list(answer), list(authority), [])


def test_zones_begin_with_different_servers() -> None:
    servers = [Server(f"192.0.2.{number}") for number in range(13)]
    zones = [names.absolute(f"z{number}.example.net") for number in range(200)]
    orders = {spread(zone_, servers) for zone_ in zones}
    assert all(sorted(order) == sorted(servers) for order in orders)
    assert len(orders) == 13
    assert spread(APEX, []) == ()


# --- messages on sockets -------------------------------------------------------------------------------------

FAST = Options(timeouts=(0.1, 0.1), rate=None)
QUESTION = wire.query(APEX, rr.SOA, payload=None)


def said(handle: Callable[[bytes, int], Iterable[bytes]], *, tcp: bool = False) -> list[str]:
    with Faulty(handle) as faulty:
        probes = [Probe(Server("127.0.0.1", faulty.port), QUESTION, tcp)]
        return [one.how for one in exchange(probes, Surroundings(SystemClock(), FAST))]


def reply(request: bytes) -> bytes:
    return request[:2] + b"\x84" + request[3:]


def test_what_is_no_answer_is_passed_over() -> None:
    other = wire.query(NS1, rr.SOA, payload=None)
    junk = (
        lambda request: b"", lambda request: request, lambda request: b"xx" + reply(request)[2:],
        lambda request: reply(request[:2] + other),
    )  # fmt: skip
    assert said(lambda request, _: [reply(request)]) == ["answer"]
    for wrong in junk:
        assert said(lambda request, _, wrong=wrong: [wrong(request)]) == ["silent"]  # type: ignore[misc]
        assert said(lambda request, _, wrong=wrong: [wrong(request), reply(request)]) == ["answer"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("handle", "how"),
    [
        (lambda request, _: [framed(reply(request)) + b"\0\7more"], "answer"),
        (lambda request, _: [framed(reply(request))[:9], 0.01, framed(reply(request))[9:]], "answer"),
        (lambda *_: [], "closed"),
        (lambda request, _: [framed(reply(request))[:9]], "closed"),
        (lambda request, _: [framed(request)], "closed"),
        (lambda request, _: [framed(b"xx" + reply(request)[2:])], "closed"),
        (lambda request, _: [framed(b"")], "closed"),
        (lambda *_: [0.3], "silent"),
    ],
    ids=["answers", "in pieces", "closes", "half", "echoes", "wrong id", "nothing", "stalls"],
)
def test_one_message_over_tcp(handle: Callable[[bytes, int], Iterable[bytes | float]], how: str) -> None:
    with Faulty(lambda *_: [], tcp=handle) as faulty:
        probes = [Probe(Server("127.0.0.1", faulty.port), QUESTION, tcp=True)]
        assert [one.how for one in exchange(probes, Surroundings(SystemClock(), FAST))] == [how]


def test_the_second_try_is_answered() -> None:
    assert said(lambda request, number: [reply(request)] if number else []) == ["answer"]


def test_nothing_listens() -> None:
    server_ = Server("127.0.0.1", free_port())
    found_ = exchange([Probe(server_, QUESTION), Probe(server_, QUESTION, tcp=True)], Surroundings(SystemClock(), FAST))
    assert [one.how for one in found_] == ["refused", "refused"]


def test_hundreds_of_messages_to_one_dead_server_end_soon() -> None:
    with Faulty(lambda *_: []) as dead:
        probes = [Probe(Server("127.0.0.1", dead.port), QUESTION)] * 300
        found_ = exchange(probes, Surroundings(SystemClock(), FAST))
        assert {one.how for one in found_} == {"silent"}
        assert len(dead.requests) <= 16  # eight at once, each tried twice


def test_the_deadline_ends_it() -> None:
    clock = SystemClock()
    with Faulty(lambda *_: []) as dead:
        probes = [Probe(Server("127.0.0.1", dead.port), QUESTION)] * 3
        slow = Surroundings(clock, Options(timeouts=(60.0,)), until=clock.monotonic() + 0.1)
        assert {one.how for one in exchange(probes, slow)} == {"late"}


def test_the_rate_of_an_address_holds() -> None:
    """Five at once, and one more for every 20 ms that pass; a slow machine takes longer, never less."""
    clock = SystemClock()
    with Faulty(lambda request, _: [reply(request)]) as there:
        probes = [Probe(Server("127.0.0.1", there.port), QUESTION)] * 15
        began = clock.monotonic()
        found_ = exchange(probes, Surroundings(clock, Options(timeouts=(5.0,), rate=50.0, burst=5)))
        took = clock.monotonic() - began
    assert {one.how for one in found_} == {"answer"}
    assert took >= 0.19
