"""The octodns provider on real servers: what octoDNS can't show stays, what it can't carry is not sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.provider import Change, Context
from realmkit.dns.records import RRset
from realmkit.errors import AuthError, NoZoneError, ProviderError, RejectedError
from realmkit_providers.octodns import OctoDns, OctoDnsSettings
from tests.contract.oracle import bind, live_rrset, type_text
from tests.lab.proxy import Proxy, dns_update
from tests.lab.server import KEY, base_zone

if TYPE_CHECKING:
    from tests.lab.servers import Named, PowerDns
    from tests.lab.topology import Lab

PDNS, BIND = "octodns_powerdns.PowerDnsProvider", "octodns_bind.Rfc2136Provider"
HIDDEN = (
    ("foreign", "TYPE65400", 3600, (r"\# 5 0102030405",)),
    ("foreign", "HINFO", 60, ('"PC" "Linux"',)),
    ("acme", "RP", 61, ("mailbox.example. text.example.",)),
)
TEXTS = (
    ("spf", "TXT", 62, ('"v=spf1 -all; really"',)),
    ("two", "TXT", 63, ('"in two" " strings"',)),
    ("odd", "TXT", 64, (r'"a \"quote\", a back\\slash"',)),
)
SHOWN = (("foreign", "A", 78, ("192.0.2.200", "192.0.2.201")), ("*.foreign", "MX", 79, ("5 foreign",)))


def provider(path: str, secret: str, **arguments: object) -> OctoDns:
    context = Context(Path(), "acme", lambda _: secret, SystemClock())
    return OctoDns(OctoDnsSettings(path, arguments), context)


def on_named(named: Named, server: tuple[str, int] | None = None) -> OctoDns:
    host, port = server or (named.address, named.port)
    return provider(BIND, KEY.secret, host=host, port=port, key_name=KEY.name, key_algorithm=KEY.algorithm,
                    key_secret="env:KEY")  # fmt: skip


def on_pdns(pdns: PowerDns) -> OctoDns:
    return provider(PDNS, pdns.api_key, host=pdns.address, port=pdns.api_port, api_key="env:KEY")


class There:
    """A zone with foreign records of every kind, seen through an octoDNS class."""

    def __init__(self, server: Named | PowerDns, text: str, there: OctoDns) -> None:
        self.server = server
        self.apex = names.absolute(text)
        self.provider = there
        self.foreign = [self.rrset(*row) for row in (*HIDDEN, *TEXTS, *SHOWN)]
        lines = (f"{name} {ttl} IN {kind} {one}" for name, kind, ttl, all_ in (*HIDDEN, *TEXTS, *SHOWN) for one in all_)
        server.add_zone(text, base_zone("\n".join(lines)))

    def rrset(self, name: str, kind: str, ttl: int, texts: tuple[str, ...]) -> RRset:
        return bind((name, kind, ttl, texts), self.apex)

    def assert_foreign(self) -> None:
        for rrset in self.foreign:
            assert live_rrset(self.server, *rrset.key) == rrset, type_text(rrset.type)

    def apply(self, *changes: Change) -> None:
        self.provider.apply(self.apex, changes, self.provider.snapshot(self.apex).token)


@pytest.fixture(params=["pdns", "named"])
def there(request: pytest.FixtureRequest, lab: Lab) -> There:
    server = request.getfixturevalue(request.param)
    if request.param == "named":
        return There(server, lab.zone_name(), on_named(server))
    return There(server, lab.zone_name(), on_pdns(server))


def test_what_octodns_does_not_show_survives_a_realm_that_comes_and_goes(there: There) -> None:
    rows = (
        ("acme", "A", 300, ("192.0.2.1",)),
        ("acme", "NAPTR", 300, ('10 100 "S" "SIP+D2U" "" _sip._udp.acme',)),
        ("_sip._udp.acme", "SRV", 300, ("10 50 5060 us-east.example.net.",)),
        ("acme", "TXT", 300, ('"ours; of one string"',)),
    )
    wanted = [there.rrset(*row) for row in rows]
    slower = [there.rrset(name, kind, 60, texts) for name, kind, _, texts in rows]
    steps = [
        [Change(None, one) for one in wanted],
        [Change(a, b) for a, b in zip(wanted, slower, strict=True)],
        [Change(one, None) for one in slower],
    ]
    for changes in steps:
        there.apply(*changes)
        for change in changes:
            assert live_rrset(there.server, *change.key) == change.after
        there.assert_foreign()


def test_it_says_which_types_it_shows(there: There) -> None:
    seen = there.provider.snapshot(there.apex)
    last = "TLSA, TXT, URI" if "powerdns" in seen.blind else "TLSA, TXT"
    shown = f"shows A, AAAA, CAA, CNAME, DS, HTTPS, LOC, MX, NAPTR, NS, PTR, {'SPF, ' if last[-3:] == 'TXT' else ''}SRV"
    assert shown in seen.blind
    assert f"{last} only" in seen.blind
    assert not {kind for _, kind in seen.rrsets} & {rr.SOA, 65400, 13, 17}


def test_text_that_octodns_can_not_tell_for_certain(there: There) -> None:
    seen = there.provider.snapshot(there.apex)
    spf, two, odd = (there.rrset(*row) for row in TEXTS)
    assert seen.rrsets[spf.key] == spf
    assert seen.rrsets[two.key] == there.rrset("two", "TXT", 63, ('"in two strings"',)), "joined, as it says of itself"
    assert odd.key not in seen.rrsets
    assert [text.partition(" ")[0] for text in seen.unread] == [names.to_text(odd.key[0])]
    for change in (Change(None, there.rrset("odd", "TXT", 64, ('"plain"',))), Change(None, two)):
        with pytest.raises(ProviderError):
            there.apply(change)
    with pytest.raises(RejectedError, match='"twostrings" instead of 300 "two" "strings"'):
        there.apply(Change(None, there.rrset("new", "TXT", 300, ('"two" "strings"',))))
    there.assert_foreign()


def test_a_cname_beside_other_data_is_not_sent_to_a_bind_that_would_ignore_it(named: Named, lab: Lab) -> None:
    with Proxy((named.address, named.port)) as proxy:
        there = There(named, lab.zone_name(), on_named(named, (proxy.address, proxy.port)))
        with pytest.raises(RejectedError, match="beside other data"):
            there.apply(Change(None, there.rrset("foreign", "CNAME", 300, ("x.example.",))))
        assert proxy.requests
        assert not any(map(dns_update, proxy.requests))
    there.assert_foreign()


def test_an_update_that_bind_refuses_says_where_to_look(named: Named, lab: Lab) -> None:
    """BIND refuses an MX whose target in the zone has no address (9.18.49)."""
    there = There(named, lab.zone_name(), on_named(named))
    with pytest.raises(AuthError) as caught:
        there.apply(Change(None, there.rrset("fax", "MX", 300, ("10 nowhere",))))
    assert "REFUSED" in caught.value.message
    assert "MX" in (caught.value.hint or "")
    there.assert_foreign()


def test_octodns_bind_can_not_read_a_zone_with_text_that_is_no_utf_8(named: Named, lab: Lab) -> None:
    text = lab.zone_name()
    named.add_zone(text, base_zone(r'odd TXT "\255"'))
    with pytest.raises(ProviderError, match="RdataParseError"):
        on_named(named).snapshot(names.absolute(text))


def test_octodns_powerdns_shows_what_is_disabled(pdns: PowerDns, lab: Lab) -> None:
    """Why its description warns of it: the record is not served."""
    there = There(pdns, lab.zone_name(), on_pdns(pdns))
    off = there.rrset("off", "A", 60, ("192.0.2.1",))
    edit = {"name": names.to_text(off.name), "type": "A", "ttl": 60, "changetype": "REPLACE",
            "records": [{"content": "192.0.2.1", "disabled": True}]}  # fmt: skip
    pdns.api("PATCH", f"/zones/{names.to_text(there.apex)}", {"rrsets": [edit]})
    assert there.provider.snapshot(there.apex).rrsets[off.key] == off
    assert live_rrset(pdns, *off.key) is None


@pytest.mark.parametrize(
    ("path", "more"),
    [("octodns_bind.ZoneFileProvider", {}), ("octodns.provider.yaml.YamlProvider", {"escaped_semicolons": False})],
)
def test_classes_that_write_whole_files_are_refused(
    path: str, more: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "z.example."
    file.write_text("@ 300 IN SOA ns. host. 1 60 5 3600 5\n@ 300 IN NS ns.\na 300 IN A 192.0.2.1\n")
    with pytest.raises(NoZoneError) as caught:
        provider(path, "", directory=".", **more).snapshot(names.absolute("z.example"))
    assert "type: zonefile" in (caught.value.hint or "")
    assert [one.name for one in tmp_path.iterdir()] == ["z.example."]
