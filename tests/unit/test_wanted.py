from __future__ import annotations

import pytest

from realmkit.dns import lint, names, plan, wanted
from realmkit.errors import InputError
from tests.unit.make import PROJECT, ZONE, name, project, rrset, zone

R = "acme.voice.example.com"


def _shown(text: str, zone_name: str = "voice.example.com") -> set[tuple[str, str, int, tuple[str, ...]]]:
    from realmkit.dns import rdata
    from realmkit.dns.records import type_to_text

    found = wanted.wanted(project(text), {}).zones[name(zone_name)]
    return {
        (
            names.to_text(one.name),
            type_to_text(one.type),
            one.ttl,
            tuple(sorted(rdata.to_text(one.type, octets) for octets in one.rdata)),
        )
        for one in found.values()
    }


def test_an_explicit_realm_has_its_complete_set() -> None:
    srv = ("10 50 {0} us-east.example.net.", "20 50 {0} us-west.example.net.")
    assert _shown(PROJECT) == {
        (f"{R}.", "A", 3600, ("198.51.100.10", "203.0.113.10")),
        (f"{R}.", "AAAA", 3600, ("2001:db8::10",)),
        (f"{R}.", "MX", 3600, ("10 mx1.example.net.",)),
        (f"{R}.", "NAPTR", 3600, (
            f'10 100 "S" "SIP+D2U" "" _sip._udp.{R}.',
            f'20 100 "S" "SIP+D2T" "" _sip._tcp.{R}.',
            f'30 100 "S" "SIPS+D2T" "" _sips._tcp.{R}.',
        )),
        (f"_sip._udp.{R}.", "SRV", 3600, tuple(text.format(5060) for text in srv)),
        (f"_sip._tcp.{R}.", "SRV", 3600, tuple(text.format(5060) for text in srv)),
        (f"_sips._tcp.{R}.", "SRV", 3600, tuple(text.format(5061) for text in srv)),
    }  # fmt: skip


def test_shared_realms_cost_one_set_however_many_there_are() -> None:
    pool = PROJECT.replace(f"  {R}: {{account: acme}}", '  "*.s.voice.example.com": {shape: shared}')
    many = PROJECT.replace(
        f"  {R}: {{account: acme}}",
        "\n".join(f"  r{n}.s.voice.example.com: {{shape: shared}}" for n in range(50)),
    )
    shown = _shown(pool)
    assert shown == _shown(many)
    assert {(owner, kind) for owner, kind, _, _ in shown} == {
        ("*.s.voice.example.com.", "A"), ("*.s.voice.example.com.", "AAAA"), ("*.s.voice.example.com.", "MX"),
        ("*.s.voice.example.com.", "NAPTR"), ("_sip._udp.s.voice.example.com.", "SRV"),
        ("_sip._tcp.s.voice.example.com.", "SRV"), ("_sips._tcp.s.voice.example.com.", "SRV"),
    }  # fmt: skip


WHITE = (
    PROJECT
    + """\
whitelabel:
  voice.example.com:
    portal: {cname: ui.host.example}
    us-east: {addresses: [198.51.100.10]}
    proxy-east: {transports: {udp: 7000}, targets: [{host: us-east}, {host: us-west.example.net, priority: 20}]}
    "@": {mail: [{host: us-east, preference: 5}]}
"""
)


def test_white_label_hosts() -> None:
    shown = _shown(WHITE) - _shown(PROJECT)
    assert shown == {
        ("portal.voice.example.com.", "CNAME", 3600, ("ui.host.example.",)),
        ("us-east.voice.example.com.", "A", 3600, ("198.51.100.10",)),
        ("proxy-east.voice.example.com.", "NAPTR", 3600,
         ('10 100 "S" "SIP+D2U" "" _sip._udp.proxy-east.voice.example.com.',)),
        ("_sip._udp.proxy-east.voice.example.com.", "SRV", 3600,
         ("10 50 7000 us-east.voice.example.com.", "20 50 7000 us-west.example.net.")),
        ("voice.example.com.", "MX", 3600, ("5 us-east.voice.example.com.",)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (R, "acme.other.example", r"realmkit.yml:14:\d+: realms.acme.other.example: lies in no zone"),
        (R, "ACME_1.voice.example.com", "letters, digits and inner hyphens"),
        (R, "a." * 120 + "voice.example.com", "at most 2"),
        (R, '"*.voice.example.com"', "a wildcard is a pool"),
        ("198.51.100.10", "198.51.100.999", r"proxies.0.addresses.0: '198.51.100.999' is no address"),
        ("198.51.100.10", "us-east", "is no address"),
        ("mx1.example.net", "192.0.2.1", "an address where a host name belongs"),
        ("us-west.example.net", "us_west.example.net", "is no host name"),
        ("portal: {cname: ui.host.example}", "portal: {}", "wants one of cname"),
        ("portal: {", "portal: {addresses: [192.0.2.1], ", "can have nothing else"),
        ("transports: {udp: 7000}, ", "", "go together"),
        ("    us-east:", "    portal: {addresses: [192.0.2.1]}\n    us-east:", "appears twice"),
        ("    us-east:", "    acme: {addresses: [192.0.2.1]}\n    us-east:", "is wanted twice"),
    ],
)
def test_what_can_not_be_is_said_with_its_place(old: str, new: str, what: str) -> None:
    assert old in WHITE
    with pytest.raises(InputError, match=what):
        wanted.wanted(project(WHITE.replace(old, new, 1)), {})


def test_the_same_realm_in_two_spellings() -> None:
    text = PROJECT + "  ACME.voice.example.com: {account: other}\n"
    with pytest.raises(InputError, match="another spelling"):
        wanted.wanted(project(text), {})


def test_addresses_left_out_are_those_looked_up() -> None:
    text = PROJECT.replace(", addresses: [203.0.113.10]", "")
    assert wanted.hosts_without_addresses(project(text)) == ["us-west.example.net"]
    looked_up = {"us-west.example.net": ((1, bytes([203, 0, 113, 10])),)}
    assert wanted.wanted(project(text), looked_up).zones == wanted.wanted(project(PROJECT), {}).zones


@pytest.mark.parametrize("text", [PROJECT, WHITE, PROJECT.replace(R, "*.s.voice.example.com: {shape: shared} #")])
def test_what_is_derived_passes_its_own_lint(text: str) -> None:
    text = text.replace("  *.s", '  "*.s').replace("com: {shape", 'com": {shape') if "*.s" in text else text
    found = wanted.wanted(project(text), {})
    after = plan.apply_to(zone(), plan.diff(zone(), found.zones[ZONE], set()).changes)
    world = lint.world_of([after], allow_private=False)
    assert lint.lint(world, {ZONE: list(after.rrsets)}, found.realms) == []


def test_the_most_specific_zone_gets_the_records() -> None:
    text = PROJECT.replace("zones:\n", "zones:\n  example.com: {provider: files}\n")
    zones = wanted.wanted(project(text), {}).zones
    assert zones[name("example.com")] == {}
    assert rrset(R, "MX", "10 mx1.example.net.", ttl=3600) in zones[ZONE].values()
