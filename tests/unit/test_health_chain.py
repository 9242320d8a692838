"""The walk from a realm to its servers, against RFC 3263 and the ways of clients that read less of it."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.realm import Edge, Realm, Shape, Target
from realmkit.dns.records import Key, RRset
from realmkit.health.chain import Landing, read_naptr, read_srv, tasks_of, transport_of, walk
from realmkit.health.clients import CLIENTS, FIRST_NAPTR, FULL, PROFILES, SRV, TLS, A, Profile, quirks
from realmkit.health.seen.realm import HostSeen, RealmSeen, Sight, View
from realmkit.health.seen.task import realm_keys
from tests.unit.make import name, rrset

R = "acme.voice.example.com"
REALM = name(R)
E1, E2 = name("e1.example.net"), name("e2.example.net")
SERVER = Server("192.0.2.53")
UDP, TCP, SIPS = f"_sip._udp.{R}", f"_sip._tcp.{R}", f"_sips._tcp.{R}"
NAPTR = rrset(
    R, "NAPTR", f'10 100 "S" "SIP+D2U" "" {UDP}.', f'20 100 "s" "sip+d2t" "" {TCP}.', f'30 1 "S" "SIPS+D2T" "" {SIPS}.'
)
SETS = (
    rrset(UDP, "SRV", "10 50 5060 e1.example.net.", "20 50 5060 e2.example.net."),
    rrset(TCP, "SRV", "10 50 5070 e1.example.net.", "20 50 5070 e2.example.net."),
    rrset(SIPS, "SRV", "10 50 5061 e1.example.net.", "20 50 5061 e2.example.net."),
)
OWN = rrset(R, "A", "198.51.100.1", "198.51.100.2")


def host(of: bytes, *addresses: str, state: str = "present", detail: str = "") -> HostSeen:
    found = sorted(rdata.address(one) for one in addresses)
    return HostSeen(of, state if addresses else "absent" if state == "present" else state, tuple(found), detail)  # type: ignore[arg-type]


HOSTS = {E1: host(E1, "198.51.100.1"), E2: host(E2, "198.51.100.2")}


def look(*rrsets: RRset, unknown: Iterable[Key] = (), hosts: dict[bytes, HostSeen] | None = None) -> RealmSeen:
    """A realm that one server tells of: these sets, these keys unanswered, and nothing else."""
    sets = {one.key: one for one in rrsets}
    keys = tuple(dict.fromkeys([*realm_keys(REALM), *sets, *unknown]))
    sights = {
        (SERVER, *key): Sight("unknown", detail="timeout") if key in unknown
        else Sight("present", sets[key]) if key in sets else Sight("absent")
        for key in keys
    }  # fmt: skip
    return RealmSeen(REALM, names.parent(REALM), keys, (SERVER,), sights, {}, HOSTS if hosts is None else hosts)


def land(profile: Profile, *rrsets: RRset, **more: object) -> Landing:
    seen = look(*rrsets, **more)  # type: ignore[arg-type]
    (view,) = seen.views()
    return walk(REALM, view, seen.hosts, profile)


def tried(landing: Landing) -> list[str]:
    return [f"{hop.transport} {hop.address}:{hop.port}" for hop in landing.hops]


UDP_HOPS = ["udp 198.51.100.1:5060", "udp 198.51.100.2:5060"]
TCP_HOPS = ["tcp 198.51.100.1:5070", "tcp 198.51.100.2:5070"]
TLS_HOPS = ["tls 198.51.100.1:5061", "tls 198.51.100.2:5061"]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (FULL, UDP_HOPS + TCP_HOPS + TLS_HOPS), (SRV, UDP_HOPS + TCP_HOPS), (A, UDP_HOPS), (TLS, TLS_HOPS),
        (FIRST_NAPTR, UDP_HOPS),
    ],
    ids=lambda one: getattr(one, "id", ""),
)  # fmt: skip
def test_a_whole_realm_is_walked_in_order(profile: Profile, expected: list[str]) -> None:
    landing = land(profile, NAPTR, OWN, *SETS)
    assert tried(landing) == expected
    assert (landing.unknown, landing.dead) == ((), ())


def test_naptr_counts_by_order_and_then_by_preference() -> None:
    """A lower order goes first, whatever the preference; the wire's order of the records is nothing."""
    some = rrset(
        R, "NAPTR", f'20 1 "S" "SIP+D2U" "" {UDP}.', f'10 9 "S" "SIPS+D2T" "" {SIPS}.', f'10 5 "S" "SIP+D2T" "" {TCP}.'
    )
    assert tried(land(FULL, some, *SETS)) == TCP_HOPS + TLS_HOPS + UDP_HOPS
    assert tried(land(FIRST_NAPTR, some, *SETS)) == TCP_HOPS


def test_the_first_naptr_of_a_transport_that_one_has() -> None:
    """RFC 3263 4.1: what the client can't speak is passed over before it chooses."""
    some = rrset(R, "NAPTR", '1 1 "S" "SIP+D2S" "" _sip._sctp.x.example.', f'2 1 "S" "SIP+D2T" "" {TCP}.')
    assert tried(land(FIRST_NAPTR, some, *SETS)) == TCP_HOPS
    assert tried(land(TLS, some, *SETS)) == TLS_HOPS  # no NAPTR of its own: SRV


def test_websocket_is_passed_over() -> None:
    """RFC 7118's services lead no phone anywhere."""
    some = rrset(R, "NAPTR", f'1 1 "S" "SIPS+D2W" "" _sips._wss.{R}.', f'2 1 "S" "SIP+D2U" "" {UDP}.')
    landing = land(FULL, some, *SETS, rrset(f"_sips._wss.{R}", "SRV", "1 1 443 e2.example.net."))
    assert tried(landing) == UDP_HOPS


def test_without_naptr_the_srv_sets_are_asked_for() -> None:
    assert tried(land(FULL, OWN, *SETS)) == UDP_HOPS + TCP_HOPS + TLS_HOPS
    assert tried(land(FULL, OWN, SETS[1])) == TCP_HOPS  # a set that is there is enough: no A


def test_naptr_of_other_applications_is_none() -> None:
    assert (
        tried(land(FULL, rrset(R, "NAPTR", '1 1 "U" "E2U+x" "!x!y!" .'), OWN, *SETS)) == UDP_HOPS + TCP_HOPS + TLS_HOPS
    )


@pytest.mark.parametrize(
    ("profile", "transport", "port"), [(FULL, "udp", 5060), (SRV, "udp", 5060), (TLS, "tls", 5061)]
)
def test_without_srv_the_realms_addresses_at_the_default_port(profile: Profile, transport: str, port: int) -> None:
    """RFC 3263 4.1: UDP for SIP, TLS for SIPS; 4.2: A and AAAA."""
    landing = land(profile, OWN, rrset(R, "AAAA", "2001:db8::1"))
    assert tried(landing) == [f"{transport} {one}:{port}" for one in ("198.51.100.1", "198.51.100.2", "2001:db8::1")]
    assert {hop.through for hop in landing.hops} == {REALM}


def test_a_naptr_without_srv_leads_to_the_realms_addresses_over_its_transport() -> None:
    """RFC 3263 4.2, and what libre does."""
    some = rrset(R, "NAPTR", f'1 1 "S" "SIP+D2T" "" {TCP}.')
    for profile in (FULL, FIRST_NAPTR):
        landing = land(profile, some, OWN, SETS[0])
        assert tried(landing) == ["tcp 198.51.100.1:5060", "tcp 198.51.100.2:5060"]
        assert landing.dead == (f"SIP+D2T leads to {TCP}., which has no SRV",)
    assert tried(land(SRV, some, OWN, SETS[0])) == UDP_HOPS


def test_srv_counts_by_priority_then_weight() -> None:
    some = rrset(
        UDP, "SRV", "20 99 5060 e2.example.net.", "10 1 5062 e1.example.net.", "10 0 5063 e1.example.net.",
        "10 7 5064 e1.example.net.",
    )  # fmt: skip
    assert [hop.port for hop in land(SRV, some).hops] == [5064, 5062, 5063, 5060]


def test_a_declined_service_has_no_way_round() -> None:
    """RFC 2782: a target `.` says decidedly not; the address below it is not for this service."""
    landing = land(SRV, rrset(UDP, "SRV", "0 0 0 ."), OWN)
    assert (landing.hops, landing.declined, landing.unknown) == ((), True, ())
    assert tried(land(SRV, rrset(UDP, "SRV", "0 0 0 ."), OWN, SETS[1])) == TCP_HOPS


def test_one_address_is_tried_once() -> None:
    same = {one: host(one, "198.51.100.1") for one in (E1, E2)}
    landing = land(SRV, SETS[0], hosts=same)
    assert tried(landing) == ["udp 198.51.100.1:5060"]
    assert landing.hops[0].host == E1
    assert landing.hosts == {E1, E2}


def test_what_the_view_says_of_a_name_goes_before_what_others_say() -> None:
    some = rrset(UDP, "SRV", f"1 1 5060 {R}.")
    assert tried(land(SRV, some, OWN, hosts={REALM: host(REALM, "203.0.113.9")})) == UDP_HOPS


def test_the_a_profile_sees_no_srv() -> None:
    landing = land(A, NAPTR, *SETS)
    assert landing.hops == ()
    assert landing.dead == (f"{R}. has no address",)


@pytest.mark.parametrize(
    "naptr",
    [
        '1 1 "A" "SIP+D2U" "" e1.example.net.',
        '1 1 "U" "SIP+D2U" "!^.*$!sip:x@y!" .',
        f'1 1 "" "SIP+D2U" "" {R}.',
        '1 1 "S" "SIP+D2U" "" .',
    ],
)
def test_only_flag_s_leads_to_srv(naptr: str) -> None:
    landing = land(FULL, rrset(R, "NAPTR", naptr), SETS[0])
    assert tried(landing) == UDP_HOPS
    assert landing.dead == ("a NAPTR of SIP+D2U is no pointer to SRV (RFC 3263 section 4.1)",)


def test_silence_on_the_way_is_unknown_and_not_dead() -> None:
    landing = land(FULL, OWN, unknown=[(name(UDP), rr.SRV)])
    assert landing.unknown == (f"{UDP}. SRV: timeout",)
    assert landing.dead == ()
    landing = land(SRV, *SETS, hosts={E1: host(E1, state="unknown", detail="the resolver kept silent"), E2: HOSTS[E2]})
    assert landing.unknown == ("e1.example.net.: the resolver kept silent",)
    assert tried(landing) == [UDP_HOPS[1], TCP_HOPS[1]]
    landing = land(A, unknown=[(REALM, rr.A)])
    assert (landing.unknown, landing.dead) == ((f"{R}. A: timeout",), ())  # though AAAA is absent
    assert land(FULL, *SETS, unknown=[(REALM, rr.NAPTR)]).unknown == (f"{R}. NAPTR: timeout",)


def test_what_was_not_asked_is_unknown() -> None:
    some = rrset(R, "NAPTR", '1 1 "S" "SIP+D2U" "" _sip._udp.elsewhere.example.')
    landing = land(FULL, some)
    assert landing.unknown == ("_sip._udp.elsewhere.example. SRV: not asked",)
    assert landing.hops == ()


def test_a_realm_that_is_an_alias_is_followed_as_far_as_it_was_seen() -> None:
    alias = Sight("alias", RRset(REALM, rr.CNAME, 60, frozenset({E1})))
    sights = {(REALM, kind): alias for kind in (rr.NAPTR, rr.A, rr.AAAA)}
    sights |= {(name(one), rr.SRV): Sight("absent") for one in (UDP, TCP, SIPS)}
    assert tried(walk(REALM, View(sights), HOSTS, A)) == ["udp 198.51.100.1:5060"]
    unseen = walk(REALM, View(sights), {}, A)
    assert unseen.hops == ()
    assert unseen.unknown == (f"{R}. A: an alias to e1.example.net.", f"{R}. AAAA: an alias to e1.example.net.")
    itself = Sight("alias", RRset(REALM, rr.CNAME, 60, frozenset({REALM})))
    assert walk(REALM, View(dict.fromkeys(sights, itself)), {}, A).hops == ()  # and it ends


def test_an_alias_as_target_counts_with_its_addresses() -> None:
    some = {
        E1: HostSeen(E1, "alias", ((rr.A, b"\xc0\0\2\1"),), "x.example."),
        E2: HostSeen(E2, "alias", (), "x.example."),
    }
    landing = land(SRV, SETS[0], hosts=some)
    assert tried(landing) == ["udp 192.0.2.1:5060"]
    assert landing.unknown == ("e2.example.net.: an alias to x.example. whose addresses were not seen",)


# --- what realmkit itself derives ------------------------------------------------------------------------------------

TRANSPORTS = ("udp", "tcp", "tls")


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    octets = st.binary(min_size=4, max_size=4)
    count = draw(st.integers(1, 3))
    addresses = draw(st.lists(octets, min_size=count, max_size=count, unique=True))
    targets = tuple(
        Target(name(f"p{n}.example.net"), ((rr.A, one),), draw(st.integers(0, 3)), draw(st.integers(0, 3)))
        for n, one in enumerate(addresses)
    )
    some = draw(st.lists(st.sampled_from(TRANSPORTS), min_size=1, max_size=3, unique=True))
    return Edge(targets, tuple((one, draw(st.integers(1, 65535))) for one in some), ())


@given(edges(), st.booleans())
def test_every_client_lands_on_the_whole_edge_of_a_derived_realm(edge: Edge, shared: bool) -> None:
    """The law that SIP04 checks, on what `dns plan` would publish, explicit or by a wildcard."""
    wild = Realm(names.wildcard_of(names.parent(REALM)) if shared else REALM, shared, 300)
    derived = Shape(edge).derive(wild)
    found = {(REALM if names.is_wildcard(one.name) else one.name, one.type): one for one in derived}
    sights = {key: Sight("absent") for key in realm_keys(REALM)}
    sights |= {key: Sight("present", one) for key, one in found.items()}
    hosts = {one.host: HostSeen(one.host, "present", one.addresses) for one in edge.targets}
    everything = {rdata.to_text(*one) for target in edge.targets for one in target.addresses}
    full = walk(REALM, View(sights), hosts, FULL)
    assert list(dict.fromkeys(hop.transport for hop in full.hops)) == [one for one, _ in edge.transports]
    for profile in PROFILES:
        landing = walk(REALM, View(sights), hosts, profile)
        assert landing.addresses == everything
        assert (landing.unknown, landing.dead) == ((), ())


@given(st.randoms(use_true_random=False))
def test_the_order_of_records_on_the_wire_does_not_matter(chance: random.Random) -> None:
    shuffled = list(NAPTR.rdata)
    chance.shuffle(shuffled)
    again = RRset(NAPTR.name, NAPTR.type, NAPTR.ttl, frozenset(shuffled))
    assert land(FULL, again, *SETS) == land(FULL, NAPTR, *SETS)


def test_records_are_read_as_they_are_written() -> None:
    one = read_naptr(rdata.from_text(rr.NAPTR, '10 100 "s" "sip+d2u" "!a!b!" x.example.'))
    assert one == (10, 100, b"S", b"SIP+D2U", b"!a!b!", name("x.example"))
    assert read_srv(frozenset({rdata.from_text(rr.SRV, "1 2 65535 x.example.")})) == ((1, 2, 65535, name("x.example")),)
    assert transport_of(name(f"_sips._tcp.{R}")) == "tls"
    assert transport_of(name(f"_sip._sctp.{R}")) is None


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_every_endpoint_is_asked_once() -> None:
    other = look(NAPTR, OWN, *SETS)
    tasks = tasks_of([look(NAPTR, OWN, *SETS), other])
    assert [f"{one.transport} {one.address}:{one.port}" for one in tasks] == sorted(UDP_HOPS + TCP_HOPS + TLS_HOPS)
    assert {one.domain for one in tasks} == {REALM}
    assert tasks[0].subject == "e1.example.net. tcp/198.51.100.1:5070"


def test_a_realm_without_srv_is_asked_at_its_own_addresses() -> None:
    tasks = tasks_of([look(rrset(R, "AAAA", "2001:db8::1"))])
    assert [one.subject for one in tasks] == [f"{R}. udp/[2001:db8::1]:5060"]


def test_one_address_of_two_hosts_is_the_first_hosts_in_any_order() -> None:
    same = {one: host(one, "198.51.100.1") for one in (E1, E2)}
    for weights in ("10 20", "20 10"):
        first, second = weights.split()
        some = rrset(UDP, "SRV", f"{first} 1 5060 e1.example.net.", f"{second} 1 5060 e2.example.net.")
        assert [one.subject for one in tasks_of([look(some, hosts=same)])] == ["e1.example.net. udp/198.51.100.1:5060"]


def test_an_unknown_host_gives_no_endpoint() -> None:
    assert tasks_of([look(SETS[0], hosts={})]) == []


# --- clients ---------------------------------------------------------------------------------------------------------


def test_every_client_is_of_a_profile_and_shown_once() -> None:
    ids = {one.id for one in PROFILES}
    assert {one.profile for one in CLIENTS} == ids | {""}
    text = quirks()
    assert all(text.count(f"- {one.name}: {one.habit} (") == 1 for one in CLIENTS)
    assert text.count("; unverified)") == sum(one.proof == "unverified" for one in CLIENTS)
    assert "baresip (libre): " in text.partition("**first-naptr**")[2]
