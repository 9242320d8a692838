from __future__ import annotations

import pytest
from msgspec import structs

from realmkit.dns import lint
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.realm import Realm
from realmkit.dns.records import RRset, Zone
from tests.unit.make import ZONE, name, rrset, soa, zone

Z = "voice.example.com"
EDGE = [rrset(f"e1.{Z}", "A", "198.51.100.1"), rrset(f"mx.{Z}", "A", "198.51.100.2")]
WILD = [rrset(f"*.s.{Z}", "A", "198.51.100.1"), rrset(f"*.s.{Z}", "MX", f"10 mx.{Z}.")]


def _lint(*rrsets: RRset, realms: tuple[Realm, ...] = (), allow_private: bool = False) -> list[Finding]:
    there = zone(*rrsets)
    world = lint.world_of([there], allow_private=allow_private)
    return lint.lint(world, {ZONE: list(there.rrsets)}, {one.name: one for one in realms})


def _ids(*rrsets: RRset, allow_private: bool = False) -> list[tuple[str, str]]:
    return [(finding.id, finding.level) for finding in _lint(*rrsets, allow_private=allow_private)]


def _chain(port: int = 5060, service: str = "SIP+D2U", labels: str = "_sip._udp", flags: str = "S") -> list[RRset]:
    return [
        *EDGE,
        rrset(f"a.{Z}", "A", "198.51.100.1"),
        rrset(f"a.{Z}", "NAPTR", f'10 100 "{flags}" "{service}" "" {labels}.a.{Z}.'),
        rrset(f"{labels}.a.{Z}", "SRV", f"10 50 {port} e1.{Z}."),
    ]


def test_a_whole_chain_is_fine() -> None:
    assert _ids(*_chain()) == []
    assert _ids(*_chain(5061, "SIPS+D2T", "_sips._tcp")) == []
    assert _ids(*_chain(flags="s", service="sip+d2u")) == []  # both are case-insensitive (RFC 3403 4.1)


@pytest.mark.parametrize(
    ("rrsets", "expected"),
    [
        # the wildcard trap: an SRV set, an ACME challenge, a NAPTR of its own
        ([*WILD, *EDGE, rrset(f"_sip._udp.a.s.{Z}", "SRV", f"1 1 5060 e1.{Z}.")], [("WLD01", "error")]),
        ([*WILD, *EDGE, rrset(f"_acme-challenge.a.s.{Z}", "TXT", '"x"')], [("WLD01", "error")]),
        ([*WILD, *EDGE, rrset(f"a.s.{Z}", "NAPTR", '1 1 "U" "E2U+x" "!x!y!" .')], [("WLD02", "error")]),
        ([*WILD, *EDGE, rrset(f"a.s.{Z}", "A", "198.51.100.3")], [("WLD02", "notice")]),
        ([*WILD, *EDGE, rrset(f"a.s.{Z}", "A", "198.51.100.3"), rrset(f"a.s.{Z}", "MX", f"5 mx.{Z}.")], []),
        ([*WILD, *EDGE, rrset(f"a.s.{Z}", "CNAME", f"e1.{Z}.")], []),
        ([rrset(f"a*.{Z}", "A", "198.51.100.1")], [("WLD04", "error")]),
        ([rrset(f"x.*.{Z}", "A", "198.51.100.1")], [("WLD04", "error")]),
        ([*EDGE, rrset(f"*.{Z}", "SRV", f"1 1 5060 e1.{Z}.")], [("SEM10", "warning"), ("WLD03", "warning")]),
        # SRV and MX targets
        ([rrset(f"_sip._udp.{Z}", "SRV", f"1 1 5060 no.{Z}.")], [("SIP03", "error")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "1 1 5060 elsewhere.example.")], []),
        ([*EDGE, rrset(f"c.{Z}", "CNAME", f"e1.{Z}."), rrset(f"_sip._udp.{Z}", "SRV", f"1 1 5060 c.{Z}.")],
         [("SEM02", "error")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "1 1 5060 192.0.2.1.")], [("SEM02", "error")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "0 0 0 .", "1 1 5060 elsewhere.example.")], [("SEM03", "error")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "0 0 0 .")], []),
        ([rrset(f"_sip._udp.{Z}", "SRV", "1 1 0 elsewhere.example.")], [("SEM04", "warning")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "1 0 5060 a.example.", "1 5 5060 b.example.")], [("SEM04", "notice")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", "1 0 5060 a.example.", "2 5 5060 b.example.")], []),
        ([rrset(Z, "MX", f"10 no.{Z}.")], [("MX01", "error")]),
        ([*EDGE, rrset(f"c.{Z}", "CNAME", f"e1.{Z}."), rrset(Z, "MX", f"10 c.{Z}.")], [("MX01", "error")]),
        ([rrset(Z, "MX", "10 198.51.100.7.")], [("MX01", "error")]),
        ([rrset(Z, "MX", "0 .")], [("MX02", "warning")]),
        ([rrset(Z, "MX", "0 .", "10 a.example.")], [("MX02", "error")]),
        # the final dot that was forgotten
        ([rrset(Z, "MX", f"10 mx.{Z}.{Z}.")], [("MX01", "error"), ("SEM08", "error")]),
        ([rrset(f"_sip._udp.{Z}", "SRV", f"1 1 5060 e.{Z}.{Z}."), rrset(f"e.{Z}.{Z}", "A", "198.51.100.1")],
         [("SEM08", "error")]),
        # NAPTR
        (_chain()[:-1], [("SIP02", "error")]),
        ([*_chain(), rrset(f"b.{Z}", "NAPTR", f'1 1 "S" "SIP+D2T" "" _sip._udp.a.{Z}.')], [("SIP05", "error")]),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "zz" "SIP+D2U" "" _sip._udp.x.example.')], [("SEM05", "error")]),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "S" "SIP+D2Z" "" _sip._udp.x.example.')], [("SEM06", "error")]),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "S" "SIP+D2U" "!a!b!" _sip._udp.x.example.')], [("SEM05", "error")]),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "S" "SIP+D2U" "" .')], [("SEM05", "error")]),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "U" "E2U+sip" "!^.*$!sip:x@y!" .')], []),
        ([rrset(f"b.{Z}", "NAPTR", '1 1 "S" "SIP+D2U" "" _sip._udp.x.example.',
                '1 1 "S" "SIP+D2T" "" _sip._tcp.x.example.')], [("SEM07", "warning")]),
        # addresses
        ([rrset(f"b.{Z}", "A", "127.0.0.1")], [("SEM09", "error")]),
        ([rrset(f"b.{Z}", "A", "10.1.2.3")], [("SEM09", "warning")]),
        ([rrset(f"b.{Z}", "AAAA", "fd00::1")], [("SEM09", "warning")]),
        ([rrset(f"b.{Z}", "A", "192.0.2.1"), rrset(f"b.{Z}", "AAAA", "2001:db8::1")], []),
        # CNAME beside others, and records behind a delegation
        ([rrset(f"b.{Z}", "CNAME", "x.example."), rrset(f"b.{Z}", "TXT", '"x"')],
         [("SEM01", "error"), ("SEM01", "error")]),
        ([rrset(f"d.{Z}", "NS", "ns.example."), rrset(f"a.d.{Z}", "TXT", '"x"')], [("DEL09", "error")]),
        # the SOA's last number
        ([soa(Z, minimum=3600), rrset(f"b.{Z}", "TXT", '"x"')], []),
    ],
)  # fmt: skip
def test_each_check(rrsets: list[RRset], expected: list[tuple[str, str]]) -> None:
    found = [one for one in _ids(*rrsets) if one[0] != "MIG03"]
    if any(one.type == 2 for one in rrsets):
        found = [one for one in found if one == expected[0]][: len(expected)]
    assert found == expected


def test_a_long_negative_ttl_is_noticed() -> None:
    slow = rrset(Z, "SOA", f"ns.{Z}. h.{Z}. 1 2 3 4 3600", ttl=3600)
    assert [finding.id for finding in _lint(slow)] == ["MIG03"]
    assert _lint(rrset(Z, "SOA", f"ns.{Z}. h.{Z}. 1 2 3 4 300", ttl=3600)) == []


def test_mixed_ttls_are_found() -> None:
    one = rrset(f"b.{Z}", "A", "198.51.100.1", "198.51.100.2")
    there = zone(one, mixed=frozenset({one.key}))
    world = lint.world_of([there], allow_private=False)
    assert [finding.id for finding in lint.lint(world, {ZONE: [one.key]}, {})] == ["SEM13"]


def test_private_addresses_can_be_meant() -> None:
    assert _ids(rrset(f"b.{Z}", "A", "10.1.2.3"), allow_private=True) == []
    assert _ids(rrset(f"b.{Z}", "A", "0.0.0.0"), allow_private=True) == [("SEM09", "error")]


def test_a_shared_realm_that_its_wildcard_no_longer_serves() -> None:
    realm = Realm(name(f"b.s.{Z}"), shared=True, ttl=300)
    assert _lint(*WILD, *EDGE, realms=(realm,)) == []
    shadow = rrset(f"_x.b.s.{Z}", "TXT", '"x"')
    there = zone(*WILD, *EDGE, shadow)
    world = lint.world_of([there], allow_private=False)
    found = lint.lint(world, {ZONE: []}, {realm.name: realm})
    assert {(finding.id, finding.subject) for finding in found} == {("WLD01", f"b.s.{Z}.")}
    assert len(found) == 1  # A and MX are gone for the same reason


def test_a_realm_too_long_for_the_hosts_edit_box() -> None:
    realm = Realm(name(f"a-name-that-is-long-enough.{Z}"), shared=False, ttl=300)
    assert [(finding.id, finding.level) for finding in _lint(*EDGE, realms=(realm,))] == [("RLM01", "warning")]


def test_every_error_says_how_to_mend_it() -> None:
    found = _lint(*WILD, *_chain()[:-1], rrset(f"_sip._udp.x.s.{Z}", "SRV", f"1 1 0 no.{Z}.{Z}."))
    assert {finding.id for finding in found} >= {"WLD01", "SIP02", "SEM08", "SIP03"}
    assert all(finding.mend for finding in found if finding.stops)


def test_what_the_provider_makes_up_is_no_missing_address() -> None:
    """An alias at the target's name answers with addresses that nobody can see from here."""
    srv = rrset(f"_sip._udp.{Z}", "SRV", f"1 1 5060 lb.{Z}.")
    alias = structs.replace(zone(srv), opaque={(name(f"lb.{Z}"), rr.A): "an alias of a load balancer"})
    assert [one.id for one in _judge(alias)] == []


def test_sip_and_mail_do_not_pass_a_web_proxy() -> None:
    srv = rrset(f"_sip._udp.{Z}", "SRV", f"1 1 5060 portal.{Z}.")
    mx = rrset(f"a.{Z}", "MX", f"10 portal.{Z}.")
    host = name(f"portal.{Z}")
    proxied = structs.replace(zone(srv, mx), opaque={(host, rr.A): "proxied"}, proxied=frozenset({host}))
    assert [(one.id, one.level) for one in _judge(proxied)] == [("PRV03", "error"), ("PRV03", "error")]


def test_something_else_stands_where_a_record_is_wanted() -> None:
    wanted = rrset(f"a.{Z}", "A", "198.51.100.1")
    there = structs.replace(zone(wanted), opaque={wanted.key: "weighted answers"})
    (finding,) = _judge(there)
    assert (finding.id, finding.level, finding.seen) == ("PRV02", "error", "weighted answers")


def test_a_provider_that_never_shows_all_is_a_notice() -> None:
    blind = structs.replace(zone(rrset(f"a.{Z}", "A", "198.51.100.1")), blind="shows A and MX only")
    assert [(one.id, one.level) for one in _judge(blind)] == [("PRV01", "notice")]


def _judge(there: Zone) -> list[Finding]:
    return lint.lint(lint.world_of([there], allow_private=False), {ZONE: list(there.rrsets)}, {})
