"""Zones read from real servers are what dnspython reads of them; steps lead to the same zone as a whole transfer."""

from __future__ import annotations

import base64
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dns.name
import dns.query
import dns.tsig
import dns.tsigkeyring
import dns.xfr
import dns.zone
import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.exchange import Server as Where
from realmkit.dns.primary import transfer
from realmkit.dns.primary.transfer import Delta, Source
from realmkit.dns.primary.tsig import Key
from realmkit.errors import AuthError, RejectedError, UnreachableError
from tests.lab.proxy import Fault, Proxy
from tests.lab.server import KEY, base_zone, run, wait_for
from tests.lab.servers import Knot

if TYPE_CHECKING:
    from realmkit.dns.records import Zone
    from tests.lab.server import Authoritative
    from tests.lab.servers import Named, PowerDns
    from tests.lab.topology import Lab

OURS = Key.from_text(KEY.name, KEY.secret, KEY.algorithm)
STRINGS = " ".join(f'"{number:03} {"x" * 40}"' for number in range(300))
EVERY_TYPE = f"""a A 192.0.2.1
A A 192.0.2.2
a AAAA 2001:db8::1
alias CNAME A
*.wild MX 10 Mail
*.wild TXT "one" "two words" "with \\"quotes\\" and \\\\ and \\000"
long TXT {STRINGS}
_sip._udp SRV 10 50 5060 Edge.Example.NET.
@ NAPTR 10 100 "S" "SIP+D2U" "" _SIP._udp
@ NAPTR 20 100 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
@ CAA 0 issue "ca.example; account=1"
svc SVCB 1 Edge alpn=h2,h3 port=5061 ipv4hint=192.0.2.7
web HTTPS 0 a
old TYPE65400 \\# 6 C00C00FF0102
empty TYPE65401 \\# 0
child NS ns.child
ns.child A 192.0.2.3
child DS 1 8 2 {"ab" * 32}
ptr PTR Host.Example.COM.
rp RP Admin Info
afs AFSDB 1 a
kx KX 1 A
loc LOC 51 30 12.748 N 0 7 39.612 W 0.00m 0.00m 0.00m 0.00m
tlsa TLSA 3 1 1 {"cd" * 32}
ssh SSHFP 1 1 {"ef" * 20}
dname DNAME Target.Example.
esc\\.aped\\255 A 192.0.2.9
"""


def source(server: Authoritative, key: Key | None = OURS, timeout: float = 10.0) -> Source:
    return Source(Where(server.address, server.port), key, timeout)


def by_dnspython(server: Authoritative, zone: str) -> dict[tuple[bytes, int], tuple[int, frozenset[bytes]]]:
    found = dns.zone.Zone(zone, relativize=False)
    keyring = dns.tsigkeyring.from_text({KEY.name: KEY.secret})
    query, _ = dns.xfr.make_query(
        found, keyring=keyring, keyname=dns.name.from_text(KEY.name), keyalgorithm=dns.tsig.HMAC_SHA256
    )
    dns.query.inbound_xfr(server.address, found, query, port=server.port, timeout=10)
    return {
        (name.to_digestable(), int(one.rdtype)): (one.ttl, frozenset(rdata.to_digestable() for rdata in one))
        for name, one in found.iterate_rdatasets()
    }


def as_dict(zone: Zone) -> dict[tuple[bytes, int], tuple[int, frozenset[bytes]]]:
    return {key: (rrset.ttl, rrset.rdata) for key, rrset in zone.rrsets.items()}


def nsupdate(server: Authoritative, zone: str, *lines: str) -> None:
    script = [f"server {server.address} {server.port}", f"zone {zone}", f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"]
    run("nsupdate", stdin="\n".join([*script, *lines, "send"]) + "\n")


@pytest.mark.parametrize("server", ["named", "knot", "nsd"])
def test_every_type_as_dnspython_reads_it(server: str, request: pytest.FixtureRequest, lab: Lab) -> None:
    there: Authoritative = request.getfixturevalue(server)
    zone = lab.zone_name()
    there.add_zone(zone, base_zone(EVERY_TYPE))
    found = transfer.axfr(names.absolute(zone), source(there))
    assert as_dict(found) == by_dnspython(there, zone)
    assert {65400, 65401, 64, 65, rr.CAA, rr.DS, 39}.issubset(kind for _, kind in found.rrsets)
    (long,) = found.rrsets[names.from_text("long", found.name), rr.TXT].rdata
    assert len(long) == 300 * 45
    assert found.serial == there.serial(zone) == 1
    assert found.mixed == frozenset()


def test_powerdns_too(pdns: PowerDns, lab: Lab) -> None:
    """It knows fewer types, and answers IXFR with the whole zone."""
    zone = lab.zone_name()
    pdns.add_zone(zone, base_zone('a A 192.0.2.1\n@ NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp\n*.x TXT "one" "two"'))
    base = transfer.axfr(names.absolute(zone), source(pdns))
    assert as_dict(base) == by_dnspython(pdns, zone)
    assert transfer.changes_since(base, source(pdns)) == []
    nsupdate(pdns, zone, f"update add b.{zone} 60 A 192.0.2.2")
    assert transfer.changes_since(base, source(pdns)) == transfer.axfr(base.name, source(pdns))


@pytest.mark.parametrize("server", ["named", "knot"])
def test_steps_of_real_servers_lead_to_the_same_zone(server: str, request: pytest.FixtureRequest, lab: Lab) -> None:
    there: Authoritative = request.getfixturevalue(server)
    zone = lab.zone_name()
    there.add_zone(zone, base_zone("\n".join(f"n{n} A 192.0.2.{n}" for n in range(50))))
    apex = names.absolute(zone)
    draw = random.Random(1995)
    read = transfer.axfr(apex, source(there))
    steps = 0
    for _ in range(12):
        for _ in range(draw.randint(0, 3)):
            nsupdate(there, zone, *(_random_update(draw, zone) for _ in range(draw.randint(1, 6))))
        told = transfer.changes_since(read, source(there))
        assert isinstance(told, list)
        steps += len(told)
        read = transfer.ixfr(read, source(there))
        assert read == transfer.axfr(apex, source(there))
    assert steps >= 10


def _random_update(draw: random.Random, zone: str) -> str:
    name = f"n{draw.randrange(60)}.{zone}"
    address = f"192.0.2.{draw.randrange(6)}"
    return draw.choice(
        [
            f"update add {name} {draw.choice([60, 300])} A {address}",
            f"update add {name} {draw.choice([60, 300])} A {address}",
            f"update delete {name} A {address}",
            f"update delete {name} A",
            f"update add {name} 60 MX {draw.randrange(3)} elsewhere.example.",
        ]
    )


def test_each_update_is_a_step_of_its_own(named: Named, lab: Lab) -> None:
    zone = lab.zone_name()
    named.add_zone(
        zone, base_zone("\n".join(f"m{n} A 192.0.2.1" for n in range(50)))
    )  # BIND tells no steps of tiny zones
    base = transfer.axfr(names.absolute(zone), source(named))
    for number in range(3):
        nsupdate(named, zone, f"update add n{number}.{zone} 60 A 192.0.2.1")
    told = transfer.changes_since(base, source(named))
    assert isinstance(told, list)
    assert all(isinstance(one, Delta) for one in told)
    assert [transfer.serial_of(one.soa.rdata) for one in told] == [2, 3, 4]
    assert [[names.to_text(record.name) for record in one.added] for one in told] == [
        [f"n{n}.{zone}"] for n in range(3)
    ]


# --- who may read --------------------------------------------------------------------------------------------


class HoursAhead:
    """A clock that is two hours fast."""

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(hours=2)

    def monotonic(self) -> float:
        return SystemClock().monotonic()

    def sleep(self, seconds: float) -> None:
        SystemClock().sleep(seconds)


WRONG = base64.b64encode(b"another secret of thirty-two oct").decode()
KEYS = {
    "no key": (None, {"named": "REFUSED", "knot": "NOTAUTH", "nsd": "REFUSED", "pdns": "NOTAUTH"}),
    "wrong secret": (Key.from_text(KEY.name, WRONG), dict.fromkeys(["named", "knot", "nsd"], "another secret")),
    "unknown key": (Key.from_text("stranger", KEY.secret), dict.fromkeys(["named", "knot", "nsd"], "does not know")),
    "wrong algorithm": (
        Key.from_text(KEY.name, KEY.secret, "hmac-sha512"),
        {"named": "does not know", "knot": "does not know", "nsd": "REFUSED"},
    ),
}


@pytest.mark.parametrize("server", ["named", "knot", "nsd", "pdns"])
@pytest.mark.parametrize("who", KEYS)
def test_the_wrong_key(server: str, who: str, request: pytest.FixtureRequest, lab: Lab) -> None:
    there: Authoritative = request.getfixturevalue(server)
    zone = lab.zone_name()
    there.add_zone(zone, base_zone())
    key, said = KEYS[who]
    with pytest.raises(AuthError, match=said.get(server, "NOTAUTH .* did not sign")) as caught:
        transfer.axfr(names.absolute(zone), source(there, key))
    assert caught.value.hint
    assert WRONG not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("server", ["named", "knot", "nsd"])
def test_a_clock_that_is_wrong(server: str, request: pytest.FixtureRequest, lab: Lab) -> None:
    there: Authoritative = request.getfixturevalue(server)
    zone = lab.zone_name()
    there.add_zone(zone, base_zone())
    with pytest.raises(AuthError, match=r"here it is .*, on the server ") as caught:
        transfer.axfr(names.absolute(zone), source(there)._replace(clock=HoursAhead()))
    assert "clock" in (caught.value.hint or "")


@pytest.mark.parametrize("server", ["named", "knot", "nsd", "pdns"])
@pytest.mark.parametrize("key", [None, OURS], ids=["no key", "key"])
def test_a_zone_that_is_not_there(server: str, key: Key | None, request: pytest.FixtureRequest) -> None:
    there: Authoritative = request.getfixturevalue(server)
    with pytest.raises(RejectedError, match="NOTAUTH"):
        transfer.axfr(names.absolute("nowhere.example"), source(there, key))


# --- on the way ----------------------------------------------------------------------------------------------


def test_a_transfer_through_a_bad_line(named: Named, lab: Lab) -> None:
    zone = lab.zone_name()
    named.add_zone(zone, base_zone("\n".join(f"n{n} TXT {'t' * 200}" for n in range(2000))))
    apex = names.absolute(zone)
    with Proxy((named.address, named.port)) as proxy:
        through = Source(Where(proxy.address, proxy.port), OURS, 2.0)
        whole = transfer.axfr(apex, through)
        assert len(whole.rrsets) == 2002
        for octets in (1, 1000, 100_000, 300_000):
            proxy.fault = Fault("cut", octets=octets)
            with pytest.raises(UnreachableError, match="cut after" if octets > 70_000 else "before its answer"):
                transfer.axfr(apex, through)
        proxy.fault = Fault("reset")
        with pytest.raises(UnreachableError):
            transfer.axfr(apex, through)
        proxy.fault = Fault("drop")
        with pytest.raises(UnreachableError, match=r"within 0\.5 s"):
            transfer.axfr(apex, through._replace(timeout=0.5))
        proxy.fault = None
        assert transfer.axfr(apex, through) == whole


def test_a_server_that_is_frozen_and_one_that_is_gone(own_lab: Lab) -> None:
    knot = own_lab.start(Knot)
    zone = own_lab.zone_name()
    knot.add_zone(zone, base_zone())
    knot.freeze()
    stat = Path(f"/proc/{knot.pid}/stat")
    wait_for("it stands still", lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    with pytest.raises(UnreachableError, match=r"within 0\.5 s"):
        transfer.axfr(names.absolute(zone), source(knot, timeout=0.5))
    knot.thaw()
    assert transfer.axfr(names.absolute(zone), source(knot)).serial == 1
    knot.stop()
    with pytest.raises(UnreachableError, match=r"can't connect to .*refused"):
        transfer.axfr(names.absolute(zone), source(knot))
