"""The PowerDNS provider against the real server: what the contract suite does not ask of every backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import dns.flags
import dns.message
import dns.query
import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names, plan
from realmkit.dns import records as rr
from realmkit.dns.plan import Change
from realmkit.dns.provider import Context, Secret
from realmkit.dns.records import RRset
from realmkit.errors import ConflictError, OutcomeUnknownError, RejectedError, UnreachableError
from realmkit_providers.powerdns import PowerDns, PowerDnsSettings
from realmkit_providers.powerdns_api import BODY_LIMIT, MARK, ApiZone
from tests.contract.oracle import bind
from tests.lab.proxy import Proxy
from tests.lab.server import KEY, base_zone, run
from tests.lab.servers import PowerDns as Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.names import Name
    from tests.lab.servers import Named
    from tests.lab.topology import Lab

OWNER = "acme-dns"


def provider(server: Server, **settings: Any) -> PowerDns:
    known: dict[str, Any] = {"api_key": Secret("env:KEY"), "url": server.api_url}
    context = Context(Path(), OWNER, lambda _: server.api_key, SystemClock())
    return PowerDns(PowerDnsSettings(**known | settings), context)


class There:
    """A zone of the lab's PowerDNS, looked at and changed through its API alone."""

    def __init__(self, server: Server, text: str) -> None:
        self.server = server
        self.text = text
        self.apex = names.absolute(text)
        self.provider = provider(server)

    def name(self, relative: str) -> Name:
        return names.from_text(relative, self.apex)

    def raw(self, relative: str, kind: str) -> dict[str, Any] | None:
        """One RRset as the API has it, disabled records and comments included."""
        found = [one for one in self.server.api("GET", f"/zones/{self.text}")["rrsets"]
                 if (one["name"], one["type"]) == (f"{relative}.{self.text}", kind)]  # fmt: skip
        return found[0] if found else None

    def put(self, relative: str, kind: str, *contents: str, disabled: tuple[str, ...] = (), **more: Any) -> None:
        records = [{"content": one, "disabled": one in disabled} for one in (*contents, *disabled)]
        edit = {"name": f"{relative}.{self.text}", "type": kind, "ttl": 300, "changetype": "REPLACE"}
        self.server.api("PATCH", f"/zones/{self.text}", {"rrsets": [edit | {"records": records} | more]})

    def rrset(self, relative: str, kind: str, *contents: str, ttl: int = 300) -> RRset:
        return bind((relative, kind, ttl, contents), self.apex)

    def apply(self, *changes: Change) -> None:
        seen = self.provider.snapshot(self.apex)
        receipt = self.provider.apply(self.apex, changes, seen.token)
        assert self.provider.snapshot(self.apex).token == receipt.token

    def comments(self, relative: str, kind: str) -> set[tuple[str, str]]:
        raw = self.raw(relative, kind)
        return {(one["content"], one["account"]) for one in raw["comments"]} if raw else set()

    def contents(self, relative: str, kind: str) -> set[tuple[str, bool]]:
        raw = self.raw(relative, kind)
        return {(one["content"], one["disabled"]) for one in raw["records"]} if raw else set()


@pytest.fixture
def there(pdns: Server, lab: Lab) -> There:
    zone = lab.zone_name("pdns")
    pdns.add_zone(zone, base_zone())
    return There(pdns, zone)


# --- what is not ours stays -----------------------------------------------------------------------------------


def test_disabled_records_are_told_and_survive_everything(there: There) -> None:
    there.put("a", "A", "192.0.2.1", disabled=("192.0.2.66",))
    seen = there.provider.snapshot(there.apex)
    assert seen.rrsets[there.name("a"), rr.A] == there.rrset("a", "A", "192.0.2.1")
    assert seen.unread == (f"a.{there.text} A: 1 disabled, so not served",)
    first, later = there.rrset("a", "A", "192.0.2.1"), there.rrset("a", "A", "192.0.2.2", ttl=60)
    there.apply(Change(first, later))
    assert there.contents("a", "A") == {("192.0.2.2", False), ("192.0.2.66", True)}
    there.apply(Change(later, None))
    assert there.contents("a", "A") == {("192.0.2.66", True)}
    assert there.server.answer(f"a.{there.text}", "A") == set()
    there.apply(Change(None, first))
    assert there.contents("a", "A") == {("192.0.2.1", False), ("192.0.2.66", True)}


def test_publishing_what_was_disabled_enables_it(there: There) -> None:
    there.put("a", "A", disabled=("192.0.2.66", "192.0.2.67"))
    there.apply(Change(None, there.rrset("a", "A", "192.0.2.66")))
    assert there.contents("a", "A") == {("192.0.2.66", False), ("192.0.2.67", True)}


def test_enabling_a_record_is_a_change_that_conflicts(there: There) -> None:
    there.put("a", "A", "192.0.2.1", disabled=("192.0.2.66",))
    seen = there.provider.snapshot(there.apex)
    there.put("a", "A", "192.0.2.1")
    with pytest.raises(ConflictError):
        there.provider.apply(there.apex, [Change(None, there.rrset("b", "A", "192.0.2.1"))], seen.token)


def test_comments_of_others_survive_everything(there: There) -> None:
    theirs = {"content": "do not touch before friday", "account": "ops"}
    there.put("a", "A", "192.0.2.1", comments=[theirs])
    foreign = {(theirs["content"], theirs["account"])}
    first, later = there.rrset("a", "A", "192.0.2.1"), there.rrset("a", "A", "192.0.2.2", ttl=60)
    there.apply(Change(first, later))
    assert there.comments("a", "A") == foreign
    token = there.provider.snapshot(there.apex).token
    token = there.provider.mark(there.apex, {later.key: OWNER}, token).token
    assert there.comments("a", "A") == foreign | {(MARK, OWNER)}
    there.apply(Change(later, first))
    assert there.comments("a", "A") == foreign | {(MARK, OWNER)}
    there.apply(Change(first, None))
    assert there.comments("a", "A") == foreign
    assert there.server.answer(f"a.{there.text}", "A") == set()
    assert first.key not in there.provider.snapshot(there.apex).rrsets
    there.apply(Change(None, first))
    assert there.comments("a", "A") == foreign | {(MARK, OWNER)}


def test_marks_of_another_project_are_read(there: There) -> None:
    there.put("a", "A", "192.0.2.1", comments=[{"content": MARK, "account": "another"}])
    seen = there.provider.snapshot(there.apex)
    key = (there.name("a"), rr.A)
    assert seen.owners == {key: "another"}
    there.provider.mark(there.apex, {key: OWNER}, seen.token)
    assert there.comments("a", "A") == {(MARK, OWNER)}


def test_comments_can_be_left_out(there: There) -> None:
    quiet = provider(there.server, comments=False)
    new = there.rrset("a", "A", "192.0.2.1")
    receipt = quiet.apply(there.apex, [Change(None, new)], quiet.snapshot(there.apex).token)
    quiet.mark(there.apex, {new.key: OWNER}, receipt.token)
    assert there.comments("a", "A") == set()
    assert there.contents("a", "A") == {("192.0.2.1", False)}


def test_disabled_records_survive_without_comments_too(there: There) -> None:
    there.put("a", "A", "192.0.2.1", disabled=("192.0.2.66",))
    quiet = provider(there.server, comments=False)
    token = quiet.snapshot(there.apex).token
    quiet.apply(there.apex, [Change(there.rrset("a", "A", "192.0.2.1"), None)], token)
    assert there.contents("a", "A") == {("192.0.2.66", True)}


def test_types_of_powerdns_alone_are_told_and_left(there: There) -> None:
    there.put("alias", "ALIAS", "www.example.")
    there.put("lua", "LUA", "A \"ifportup(443, {'192.0.2.1'})\"")
    seen = there.provider.snapshot(there.apex)
    assert set(seen.unread) == {
        f"alias.{there.text} ALIAS: expanded by PowerDNS when it answers",
        f"lua.{there.text} LUA: computed by PowerDNS when it answers",
    }
    before = there.raw("alias", "ALIAS"), there.raw("lua", "LUA")
    there.apply(Change(None, there.rrset("a", "A", "192.0.2.1")))
    assert (there.raw("alias", "ALIAS"), there.raw("lua", "LUA")) == before
    token = there.provider.snapshot(there.apex).token
    there.put("alias", "ALIAS", "elsewhere.example.")
    with pytest.raises(ConflictError):
        there.provider.apply(there.apex, [Change(None, there.rrset("b", "A", "192.0.2.1"))], token)


# --- who else writes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["", "DEFAULT", "INCREASE", "EPOCH", "SOA-EDIT", "SOA-EDIT-INCREASE"])
def test_every_way_of_keeping_serials(pdns: Server, lab: Lab, edit: str) -> None:
    zone = lab.zone_name("serial")
    pdns.add_zone(zone, base_zone(), soa_edit_api=edit)
    there = There(pdns, zone)
    a, b = there.rrset("a", "A", "192.0.2.1"), there.rrset("b", "A", "192.0.2.1")
    seen = there.provider.snapshot(there.apex)
    receipt = there.provider.apply(there.apex, [Change(None, a)], seen.token)
    assert receipt.serial == pdns.serial(zone) == there.provider.snapshot(there.apex).serial
    with pytest.raises(ConflictError):
        there.provider.apply(there.apex, [Change(None, b)], seen.token)
    there.provider.apply(there.apex, [Change(None, b)], receipt.token)
    assert pdns.answer(f"b.{zone}", "A") == {"192.0.2.1"}


def test_a_writer_past_the_api_is_a_conflict(there: There) -> None:
    """In the database, where the serial stays as it is."""
    there.put("a", "A", "192.0.2.1")
    seen = there.provider.snapshot(there.apex)
    sql = f"update records set content='192.0.2.99' where name='a.{there.text.rstrip('.')}';"
    run("sqlite3", str(there.server.directory / "pdns.sqlite3"), stdin=sql)
    assert there.server.serial(there.text) == seen.serial
    with pytest.raises(ConflictError):
        there.provider.apply(there.apex, [Change(None, there.rrset("b", "A", "192.0.2.1"))], seen.token)


def test_a_dynamic_update_is_a_conflict(there: There) -> None:
    seen = there.provider.snapshot(there.apex)
    script = [f"server {there.server.address}", f"zone {there.text}", f"key {KEY.algorithm}:{KEY.name} {KEY.secret}",
              f"update add b.{there.text} 60 A 192.0.2.5", "send"]  # fmt: skip
    run("nsupdate", stdin="\n".join(script) + "\n")
    with pytest.raises(ConflictError):
        there.provider.apply(there.apex, [Change(None, there.rrset("c", "A", "192.0.2.1"))], seen.token)


def test_a_secondary_is_read_and_never_written(pdns: Server, named: Named, lab: Lab) -> None:
    zone = lab.zone_name("copy")
    named.add_zone(zone, base_zone("a A 192.0.2.1"), secondaries=[pdns])
    pdns.add_secondary(zone, named)
    there = There(pdns, zone)
    seen = there.provider.snapshot(there.apex)
    assert seen.rrsets[there.name("a"), rr.A] == there.rrset("a", "A", "192.0.2.1")
    with pytest.raises(RejectedError, match="is a secondary on this PowerDNS"):
        there.provider.apply(there.apex, [Change(None, there.rrset("b", "A", "192.0.2.1"))], seen.token)
    assert there.provider.snapshot(there.apex) == seen


def test_a_signed_zone_stays_signed(there: There) -> None:
    there.server.api("PUT", f"/zones/{there.text}", {"dnssec": True, "soa_edit": "INCEPTION-INCREMENT"})
    seen = there.provider.snapshot(there.apex)
    assert seen.serial == there.server.serial(there.text)
    assert not {rr.RRSIG, rr.DNSKEY, rr.NSEC} & {kind for _, kind in seen.rrsets}
    there.apply(Change(None, there.rrset("new", "A", "192.0.2.1")))
    query = dns.message.make_query(f"new.{there.text}", "A", want_dnssec=True)
    answer = dns.query.tcp(query, there.server.address, timeout=3)
    assert {int(rrset.rdtype) for rrset in answer.answer} == {rr.A, rr.RRSIG}
    missing = dns.query.tcp(dns.message.make_query(f"no.{there.text}", "A", want_dnssec=True), there.server.address)
    assert missing.flags & dns.flags.AA
    assert rr.NSEC in {int(rrset.rdtype) for rrset in missing.authority}


# --- size -----------------------------------------------------------------------------------------------------


def _platform(there: There) -> Iterator[RRset]:
    """RRsets of many realms; NAPTR and SRV are the long ones."""
    address = there.rrset("x", "A", "198.51.100.10", "203.0.113.10").rdata
    mail = there.rrset("x", "MX", "10 mx1.example.net.").rdata
    targets = there.rrset("x", "SRV", "10 50 5060 us-east.example.net.", "20 50 5060 us-west.example.net.").rdata
    ways = (("SIP+D2U", "_sip._udp"), ("SIP+D2T", "_sip._tcp"), ("SIPS+D2T", "_sips._tcp"))
    for number in range(2500):
        realm = f"customer-{number:05d}.voice"
        yield there.rrset(realm, "NAPTR", *(f'10 100 "S" "{way}" "" {to}.{realm}' for way, to in ways), ttl=3600)
        yield RRset(there.name(f"_sip._udp.{realm}"), rr.SRV, 3600, targets)
        yield RRset(there.name(realm), rr.A, 3600, address)
        yield RRset(there.name(realm), rr.MX, 3600, mail)


def _batches(there: There, changes: list[Change]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    size = 0
    for change in changes:
        weight = there.provider.weigh([change]).size
        if size + weight > (there.provider.capabilities.max_bytes or 0):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += weight
    yield batch


def test_ten_thousand_ttls_take_at_most_three_patches(there: There) -> None:
    before = list(_platform(there))
    after = [RRset(one.name, one.type, 300, one.rdata) for one in before]
    assert len(after) == 10_000
    token = there.provider.snapshot(there.apex).token
    for batch in _batches(there, [Change(None, one) for one in before]):
        token = there.provider.apply(there.apex, batch, token).token
    with Proxy((there.server.address, there.server.api_port)) as proxy:
        through = provider(there.server, url=f"http://{proxy.address}:{proxy.port}")
        for batch in _batches(there, [Change(a, b) for a, b in zip(before, after, strict=True)]):
            token = through.apply(there.apex, batch, token).token
        patches = [request for request in proxy.requests if request.startswith(b"PATCH ")]
    assert len(patches) <= 3
    seen = there.provider.snapshot(there.apex)
    assert seen.token == token
    assert plan.diff(seen, {one.key: one for one in after}, set()).changes == ()
    assert there.server.query(f"customer-02499.voice.{there.text}", "NAPTR").answer[0].ttl == 300


def test_the_body_limit_is_where_we_think(there: There) -> None:
    edit = {"name": f"a.{there.text}", "type": "A", "ttl": 1, "changetype": "REPLACE",
            "records": [{"content": "192.0.2.1", "disabled": False}]}  # fmt: skip
    body = json.dumps({"rrsets": [edit]}).ljust(BODY_LIMIT)
    there.server.api("PATCH", f"/zones/{there.text}", body_text=body)
    with pytest.raises((AssertionError, OSError), match=r"400|reset|Broken pipe"):
        there.server.api("PATCH", f"/zones/{there.text}", body_text=body + " " * 64)


def test_a_server_with_a_smaller_limit_is_not_harmed(own_lab: Lab) -> None:
    server = own_lab.start(Server, settings=["webserver-max-bodysize=1"])
    zone = own_lab.zone_name()
    server.add_zone(zone, base_zone())
    there = There(server, zone)
    large = [there.rrset(f"t{n}", "TXT", f'"{"x" * 250}"') for n in range(4000)]
    seen = there.provider.snapshot(there.apex)
    with pytest.raises((RejectedError, OutcomeUnknownError)):  # it may close the connection before it says 400
        there.provider.apply(there.apex, [Change(None, one) for one in large], seen.token)
    assert there.provider.snapshot(there.apex) == seen


def test_a_batch_beyond_the_limit_is_not_even_sent(there: There) -> None:
    huge = [there.rrset(f"t{n}", "TXT", f'"{"x" * 250}"') for n in range(7000)]
    seen = there.provider.snapshot(there.apex)
    with pytest.raises(RejectedError, match="octets in one PATCH"):
        there.provider.apply(there.apex, [Change(None, one) for one in huge], seen.token)
    assert there.provider.snapshot(there.apex) == seen


# --- other ways to be wrong -----------------------------------------------------------------------------------


def test_a_zone_whose_name_no_url_holds(pdns: Server) -> None:
    zone = "0/25.2.0.192.in-addr.arpa."
    data = {"name": zone, "kind": "Native", "nameservers": ["ns.example."]}
    pdns.api("POST", "/zones", data)
    apex = names.absolute(zone)
    pointer = bind(("1", "PTR", 300, ("host.example.",)), apex)
    one = provider(pdns)
    one.apply(apex, [Change(None, pointer)], one.snapshot(apex).token)
    assert pdns.answer(f"1.{zone}", "PTR") == {"host.example."}


def test_a_wrong_server_id_is_refused(there: There) -> None:
    with pytest.raises(RejectedError, match="404") as caught:
        provider(there.server, server_id="nowhere/else").snapshot(there.apex)
    assert "server_id" in (caught.value.hint or "")


def test_what_the_server_says_reaches_the_user(there: There) -> None:
    outside = RRset(names.absolute("a.elsewhere.example"), rr.A, 300, frozenset({b"\xc0\0\2\1"}))
    with pytest.raises(RejectedError, match=r"422 RRset a\.elsewhere\.example\. IN A: Name is out of zone"):
        there.apply(Change(None, outside))


def test_a_port_that_is_no_api(there: There) -> None:
    with pytest.raises(UnreachableError):
        provider(there.server, url=f"http://{there.server.address}:53", timeout=1).snapshot(there.apex)


class Closed(Server):
    """A PowerDNS whose API lets nobody in, and so is not asked for anything when it starts."""

    def start(self) -> Self:
        return super(Server, self).start()


def test_a_server_that_does_not_let_us_in(own_lab: Lab) -> None:
    closed = own_lab.start(Closed, settings=["webserver-allow-from=192.0.2.0/24"])
    with pytest.raises(UnreachableError) as caught:
        provider(closed, timeout=2).snapshot(names.absolute("a.example"))
    assert "webserver-allow-from" in (caught.value.hint or "")


def test_the_api_is_as_we_describe_it(there: There) -> None:
    """Every field that we read is there, under that name."""
    answer = there.server.api("GET", f"/zones/{there.text}")
    assert set(ApiZone.__struct_fields__) <= set(answer)
    assert {"name", "type", "ttl", "records", "comments"} <= set(answer["rrsets"][0])
    assert set(answer["rrsets"][0]["records"][0]) == {"content", "disabled"}
