"""Dynamic updates of real servers: what they take, what they leave out, who may, and what becomes of lost answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.primary import transfer, update
from realmkit.dns.provider import Context, Secret
from realmkit.dns.rdata import from_text
from realmkit.dns.records import RRset
from realmkit.dns.work import batch
from realmkit.errors import AuthError, ConflictError, OutcomeUnknownError, RejectedError, UnreachableError
from realmkit_providers import rfc2136
from realmkit_providers.rfc2136 import Rfc2136, Rfc2136Settings, TsigSettings
from tests.lab.proxy import Fault, Proxy, dns_update
from tests.lab.server import KEY, base_zone, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.dns.names import Name
    from realmkit.dns.primary.transfer import Source
    from realmkit.dns.records import Zone
    from tests.lab.server import Authoritative
    from tests.lab.servers import Knot, Named
    from tests.lab.topology import Lab

PRIMARIES = pytest.mark.parametrize("server", ["named", "knot", "pdns"], indirect=True)
FILLING = "\n".join(f"filling{n} A 192.0.2.200" for n in range(40))  # BIND tells no steps of a zone that is tiny


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Authoritative:
    found: Authoritative = request.getfixturevalue(request.param)
    return found


def provider_of(address: str, port: int = 53, *, key: str | None = KEY.secret, timeout: float = 20.0) -> Rfc2136:
    tsig = TsigSettings(KEY.name, Secret("env:X")) if key else None
    context = Context(Path("/nowhere"), "realmkit", lambda _: key or "", SystemClock())
    return Rfc2136(Rfc2136Settings(f"{address}:{port}", tsig, timeout), context)


def rrset(zone: Name, name: str, kind: str, ttl: int, *texts: str) -> RRset:
    number = rr.type_from_text(kind)
    return RRset(names.from_text(name, zone), number, ttl, frozenset(from_text(number, text, zone) for text in texts))


def nsupdate(server: Authoritative, zone: Name, *lines: str) -> None:
    """A second writer."""
    head = [f"server {server.address} {server.port}", f"zone {names.to_text(zone)}"]
    key = f"key {KEY.algorithm}:{KEY.name} {KEY.secret}"
    run("nsupdate", stdin="\n".join([*head, key, *lines, "send"]) + "\n")


def fresh(server: Authoritative, lab: Lab, records: str = "") -> tuple[Name, Rfc2136, Zone]:
    """A zone of the server, a provider for it, and its first snapshot."""
    text = lab.zone_name()
    server.add_zone(text, base_zone(f"{records}\n{FILLING}"))
    there = provider_of(server.address, server.port)
    zone = names.absolute(text)
    return zone, there, there.snapshot(zone)


# --- what is taken -------------------------------------------------------------------------------------------

REALM = """acme A 192.0.2.1
acme A 192.0.2.2
acme MX 10 mx.example.net.
acme NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.acme
acme NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.acme
_sip._udp.acme SRV 10 50 5060 acme
alias CNAME acme
*.wild TXT "a" "b"
old TYPE65400 \\# 2 0102
"""


@PRIMARIES
def test_a_new_ttl_is_taken_by_every_kind_of_server(server: Authoritative, lab: Lab) -> None:
    """Adding alone would not do: Knot passes it over, and PowerDNS then has a NAPTR twice."""
    records = REALM if type(server).__name__ != "PowerDns" else REALM.replace("old TYPE65400 \\# 2 0102\n", "")
    zone, there, seen = fresh(server, lab, records)
    todo = [
        Change(one, RRset(one.name, one.type, 60, one.rdata))
        for one in seen.rrsets.values()
        if one.type not in (rr.SOA, rr.NS)
    ]
    receipt = there.apply(zone, todo, seen.token)
    now = transfer.axfr(zone, there._source())
    assert (receipt.token, receipt.serial) == (now.token, now.serial)
    assert {key: one for key, one in now.rrsets.items() if key[1] not in (rr.SOA, rr.NS)} == {
        change.key: change.after for change in todo
    }
    assert there.snapshot(zone) == now


@PRIMARIES
def test_everything_turns_into_something_else_in_one_message(server: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(server, lab, REALM.replace("old TYPE65400 \\# 2 0102\n", ""))
    at = seen.rrsets
    service = rrset(zone, "_sip._udp.acme", "SRV", 60, "1 2 5061 alias")
    todo = [
        Change(at[names.from_text("alias", zone), rr.CNAME], None),
        Change(None, rrset(zone, "alias", "A", 60, "192.0.2.9")),
        Change(at[names.from_text("acme", zone), rr.A], None),
        Change(at[names.from_text("acme", zone), rr.MX], None),
        Change(at[names.from_text("acme", zone), rr.NAPTR], None),
        Change(None, rrset(zone, "acme", "CNAME", 60, "alias")),
        Change(at[service.key], service),
        Change(None, rrset(zone, "new.deep", "MX", 60, "10 alias", "20 mx.example.net.")),
    ]
    receipt = there.apply(zone, todo, seen.token)
    now = transfer.axfr(zone, there._source()).rrsets
    assert all(now.get(change.key) == change.after for change in todo)
    back = there.apply(zone, [change.inverse() for change in todo], receipt.token)
    assert back.token != receipt.token
    later = transfer.axfr(zone, there._source()).rrsets
    assert {key: one for key, one in later.items() if key[1] != rr.SOA} == {
        key: one for key, one in at.items() if key[1] != rr.SOA
    }


@PRIMARIES
def test_name_servers_of_the_apex(server: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(server, lab)
    token = seen.token
    before = seen.rrsets[zone, rr.NS]
    for ttl, *texts in (
        (300, "ns1.lab.example.", "ns2.lab.example."),
        (60, "ns8.lab.example.", "ns9.lab.example."),
        (60, "ns9.lab.example."),
        (30, "ns9.lab.example.", "ns7.lab.example."),
        (300, "ns1.lab.example."),
    ):
        after = rrset(zone, "@", "NS", int(ttl), *map(str, texts))
        token = there.apply(zone, [Change(before, after)], token).token
        assert transfer.axfr(zone, there._source()).rrsets[zone, rr.NS] == after
        before = after
    slower = Change(before, rrset(zone, "@", "NS", 600, "ns1.lab.example."))
    if type(server).__name__ == "Knot":
        with pytest.raises(OutcomeUnknownError, match=r"changed nothing: not .* NS"):
            there.apply(zone, [slower], token)
    else:
        token = there.apply(zone, [slower], token).token
        assert transfer.axfr(zone, there._source()).rrsets[zone, rr.NS] == slower.after
    with pytest.raises(RejectedError, match="without name servers"):
        there.apply(zone, [Change(before, None)], token)


@PRIMARIES
def test_an_soa_with_capitals_locks_as_well(server: Authoritative, lab: Lab) -> None:
    text = lab.zone_name()
    server.add_zone(text, base_zone().replace("hostmaster.lab", "HostMaster.LAB").replace("ns1.lab", "NS1.Lab"))
    zone, there = names.absolute(text), provider_of(server.address)
    token = there.apply(zone, [Change(None, rrset(zone, "a", "A", 60, "192.0.2.1"))], there.snapshot(zone).token).token
    there.apply(zone, [Change(None, rrset(zone, "b", "A", 60, "192.0.2.1"))], token)


@pytest.mark.parametrize("server", ["named", "knot"], indirect=True)
def test_ten_thousand_ttls(server: Authoritative, lab: Lab) -> None:
    lines = []
    for number in range(2500):
        realm = f"customer{number:04}"
        lines += [
            f"{realm} A 198.51.100.10",
            f"{realm} MX 10 mx1.example.net.",
            f'{realm} NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.{realm}',
            f"_sip._udp.{realm} SRV 10 50 5060 us-east.example.net.",
        ]
    text = lab.zone_name()
    server.add_zone(text, base_zone("\n".join(lines)))
    zone = names.absolute(text)
    with Proxy((server.address, server.port)) as proxy:
        there = provider_of(proxy.address, proxy.port, timeout=60)
        seen = there.snapshot(zone)
        order = sorted(seen.rrsets.values(), key=lambda one: (one.name[-len(zone) - 13 :], one.key))
        todo = [Change(one, RRset(one.name, one.type, 60, one.rdata)) for one in order if one.name != zone]
        assert len(todo) == 10_000
        token = seen.token
        for changes in batch.batches(todo, there.capabilities, there.weigh):
            token = there.apply(zone, changes, token).token
        sizes = [int.from_bytes(one[:2], "big") for one in proxy.requests if dns_update(one)]
    assert len(sizes) <= 1.2 * math.ceil(sum(sizes) / wire.MAX_MESSAGE)
    now = transfer.axfr(zone, provider_of(server.address)._source())
    assert now.token == token
    assert {one.ttl for key, one in now.rrsets.items() if key[0] != zone} == {60}
    assert {key: one.rdata for key, one in now.rrsets.items() if key[1] != rr.SOA} == {
        key: one.rdata for key, one in seen.rrsets.items() if key[1] != rr.SOA
    }


# --- what is not taken ---------------------------------------------------------------------------------------


@PRIMARIES
def test_a_second_writer_is_not_overrun(server: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(server, lab)
    nsupdate(server, zone, f"update add foreign.{names.to_text(zone)} 60 A 192.0.2.66")
    change = Change(None, rrset(zone, "ours", "A", 60, "192.0.2.1"))
    with pytest.raises(ConflictError, match="has changed on"):
        there.apply(zone, [change], seen.token)
    assert server.answer(f"ours.{names.to_text(zone)}", "A") == set()
    now = there.snapshot(zone)
    assert (names.from_text("foreign", zone), rr.A) in now.rrsets
    there.apply(zone, [change], now.token)
    assert server.answer(f"ours.{names.to_text(zone)}", "A") == {"192.0.2.1"}
    with pytest.raises(ConflictError):  # another process with an old token
        provider_of(server.address).apply(zone, [change.inverse()], seen.token)


@pytest.mark.parametrize("server", ["named", "knot"], indirect=True)
def test_what_a_server_leaves_out_is_noticed(server: Authoritative, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """BIND and Knot answer NOERROR to an A beside a CNAME and put in the rest. We never send that; now we do."""
    zone, there, seen = fresh(server, lab, "alias CNAME filling1")
    bad = Change(None, rrset(zone, "alias", "A", 60, "192.0.2.1"))
    good = Change(None, rrset(zone, "good", "A", 60, "192.0.2.1"))
    with pytest.raises(RejectedError, match=r"alias\..* can't have a CNAME beside other data \(A\)"):
        there.apply(zone, [good, bad], seen.token)
    assert there.snapshot(zone).token == seen.token
    monkeypatch.setattr(rfc2136, "_check", lambda *_: None)
    with pytest.raises(OutcomeUnknownError, match=r"did not take alias\.\S+ A; the rest of the batch is in force"):
        there.apply(zone, [good, bad], seen.token)
    now = there.snapshot(zone)
    assert good.key in now.rrsets
    assert bad.key not in now.rrsets
    with pytest.raises(OutcomeUnknownError, match=r"changed nothing: not alias\.\S+ A"):
        there.apply(zone, [bad], now.token)


def test_what_bind_refuses_is_not_taken_for_a_bad_key(named: Named, lab: Lab) -> None:
    """It refuses an MX whose target in the zone has no address, and takes it with the address."""
    zone, there, seen = fresh(named, lab)
    mail = Change(None, rrset(zone, "acme", "MX", 60, "10 mail.acme"))
    with pytest.raises(RejectedError, match="the key may update the zone") as caught:
        there.apply(zone, [mail], seen.token)
    assert "MX" in (caught.value.hint or "")
    there.apply(zone, [mail, Change(None, rrset(zone, "mail.acme", "A", 60, "192.0.2.1"))], seen.token)
    text = lab.zone_name()
    named.add_zone(text, base_zone(), updates=False)
    closed = names.absolute(text)
    with pytest.raises(AuthError, match="REFUSED") as refused:
        there.apply(closed, [Change(None, rrset(closed, "a", "A", 60, "192.0.2.1"))], there.snapshot(closed).token)
    assert "update" in (refused.value.hint or "")


@PRIMARIES
def test_names_of_another_zone(server: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(server, lab)
    other = names.absolute("elsewhere.example")
    with pytest.raises(RejectedError, match="NOTZONE"):
        there.apply(zone, [Change(None, rrset(other, "a", "A", 60, "192.0.2.1"))], seen.token)
    assert there.snapshot(zone).token == seen.token


def test_a_server_without_updates(nsd: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(nsd, lab)
    with pytest.raises(RejectedError, match="NOTIMP") as caught:
        there.apply(zone, [Change(None, rrset(zone, "a", "A", 60, "192.0.2.1"))], seen.token)
    assert "dynamic updates" in (caught.value.hint or "")


@PRIMARIES
def test_without_a_key(server: Authoritative, lab: Lab) -> None:
    zone, there, seen = fresh(server, lab)
    stranger = provider_of(server.address, key=None)
    with pytest.raises(AuthError):
        stranger.snapshot(zone)
    stranger._read[zone] = seen
    with pytest.raises(AuthError, match=r"REFUSED|NOTAUTH") as caught:
        stranger.apply(zone, [Change(None, rrset(zone, "a", "A", 60, "192.0.2.1"))], seen.token)
    assert "TSIG key" in (caught.value.hint or "")
    assert there.snapshot(zone).token == seen.token


# --- others at work ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["named", "knot"], indirect=True)
def test_others_may_write_right_after_us(server: Authoritative, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our change is told from theirs by its step; the token is that of our step, so the next batch meets theirs."""
    zone, there, seen = fresh(server, lab)
    monkeypatch.setattr(update, "send", _then(server, zone, update.send))
    receipt = there.apply(zone, [Change(None, rrset(zone, "ours", "A", 60, "192.0.2.1"))], seen.token)
    assert receipt.serial == (seen.serial or 0) + 1
    monkeypatch.undo()
    with pytest.raises(ConflictError):
        there.apply(zone, [Change(None, rrset(zone, "more", "A", 60, "192.0.2.1"))], receipt.token)
    assert (names.from_text("theirs", zone), rr.A) in there.snapshot(zone).rrsets


def test_where_there_are_no_steps_theirs_is_told_with_ours(
    pdns: Authoritative, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone, there, seen = fresh(pdns, lab)
    monkeypatch.setattr(update, "send", _then(pdns, zone, update.send))
    with pytest.raises(OutcomeUnknownError, match=r"the batch is in force; someone else changed theirs\.\S+ A"):
        there.apply(zone, [Change(None, rrset(zone, "ours", "A", 60, "192.0.2.1"))], seen.token)


def _then(server: Authoritative, zone: Name, send: Callable[[bytes, Source], int]) -> Callable[[bytes, Source], int]:
    def ours_and_theirs(request: bytes, source: Source) -> int:
        rcode = send(request, source)
        nsupdate(server, zone, f"update add theirs.{names.to_text(zone)} 60 A 192.0.2.66")
        return rcode

    return ours_and_theirs


def test_signing_servers_do_not_confuse_it(named: Named, knot: Knot, lab: Lab) -> None:
    """Signatures, NSEC records and serials change with every update; none of that is ours or foreign."""
    signed, plain = lab.zone_name(), lab.zone_name()
    path = named.zone_file(signed)
    path.write_text(base_zone(FILLING))
    policy = f'allow-update {{ key "{KEY.name}"; }}; dnssec-policy default; inline-signing no;'
    run(*named.control, "addzone", signed, f'{{ type primary; file "{path}"; {policy} }};')
    knot._write(plain, base_zone(FILLING))
    knot._add(plain, "    dnssec-signing: on\n")
    for server, text in ((named, signed), (knot, plain)):
        zone = names.absolute(text)
        wait_for(f"{text} is signed", lambda server=server, text=text: bool(server.answer(text, "DNSKEY")))  # type: ignore[misc]  # mypy has no type for defaults of a lambda
        there = provider_of(server.address)
        wait_for(f"{text} is at rest", lambda there=there, zone=zone: _at_rest(there, zone))  # type: ignore[misc]  # mypy has no type for defaults of a lambda
        seen = there.snapshot(zone)
        assert {rr.RRSIG, rr.NSEC, rr.DNSKEY} <= {kind for _, kind in seen.rrsets}
        made = [Change(None, rrset(zone, f"n{n}", "A", 60, "192.0.2.1")) for n in range(20)]
        receipt = there.apply(zone, made, seen.token)
        assert all(there.snapshot(zone).rrsets[change.key] == change.after for change in made)
        there.apply(zone, [change.inverse() for change in made], receipt.token)


def _at_rest(there: Rfc2136, zone: Name) -> bool:
    """Whether the server has done signing: the zone is the same a moment later."""
    before = there.snapshot(zone).token
    SystemClock().sleep(0.5)
    return there.snapshot(zone).token == before


def test_a_server_that_locks_another_soa_than_it_serves(named: Named, lab: Lab) -> None:
    text = lab.zone_name()
    path = named.zone_file(text)
    path.write_text(base_zone(FILLING))
    policy = f'allow-update {{ key "{KEY.name}"; }}; dnssec-policy default; inline-signing yes;'
    run(*named.control, "addzone", text, f'{{ type primary; file "{path}"; {policy} }};')
    zone, there = names.absolute(text), provider_of(named.address)
    wait_for(f"{text} is signed", lambda: bool(named.answer(text, "DNSKEY")))
    wait_for(f"{text} is at rest", lambda: _at_rest(there, zone))
    with pytest.raises(RejectedError, match="refuses an update of that serial") as caught:
        there.apply(zone, [Change(None, rrset(zone, "a", "A", 60, "192.0.2.1"))], there.snapshot(zone).token)
    assert "inline-signing" in (caught.value.hint or "")


# --- lost on the way -----------------------------------------------------------------------------------------


def test_what_is_known_of_an_update_that_was_lost(named: Named, lab: Lab) -> None:
    zone, there, seen = fresh(named, lab)
    change = Change(None, rrset(zone, "a", "A", 60, "192.0.2.1"))
    with Proxy((named.address, named.port)) as proxy:
        through = provider_of(proxy.address, proxy.port, timeout=1.0)
        seen = through.snapshot(zone)
        proxy.fault = Fault("drop", dns_update)
        with pytest.raises(OutcomeUnknownError, match=r"the update was sent, but: .* within 1 s"):
            through.apply(zone, [change], seen.token)
        assert there.snapshot(zone).token == seen.token
        proxy.fault = Fault("lose", dns_update)
        with pytest.raises(OutcomeUnknownError, match="the update was sent, but"):
            through.apply(zone, [change], seen.token)
        proxy.fault = None
        now = through.snapshot(zone)
        assert now.rrsets[change.key] == change.after
        proxy.fault = Fault("reset", lambda request: not dns_update(request))
        with pytest.raises(OutcomeUnknownError, match="answered NOERROR, but what it did can't be read back"):
            through.apply(zone, [change.inverse()], now.token)
        assert change.key not in there.snapshot(zone).rrsets
    with pytest.raises(UnreachableError, match="can't connect"):
        through.apply(zone, [change], now.token)
