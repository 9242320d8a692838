"""Resolvers' memories beside what is published, and aliases that lead nowhere."""

from __future__ import annotations

import pytest

from realmkit.clock import SystemClock
from realmkit.dns import names, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Outcome, Reply, Server
from realmkit.dns.findings import Finding
from realmkit.dns.records import Key, RRset
from realmkit.errors import InputError
from realmkit.health.checks import dangling, propagation
from realmkit.health.observe.resolvers import memory_of, resolver_servers
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.dangling import AliasSeen, AliasTask, alias_tasks
from realmkit.health.seen.realm import RealmSeen, Sight
from realmkit.health.seen.resolvers import Memory, PropagationSeen, ResolverTask, resolver_tasks

ZONE, REALM = names.absolute("voice.example"), names.absolute("acme.voice.example")
SRV, NODE = names.absolute("_sip._udp.acme.voice.example"), names.absolute("_udp.acme.voice.example")
NS1, NS2 = Server("192.0.2.1"), Server("192.0.2.2")
R1, R2, R3 = Server("192.0.2.101"), Server("192.0.2.102"), Server("192.0.2.103")
A: Key = (REALM, rr.A)
CHECKS = (
    propagation.older_value, propagation.remembered_absence, propagation.resolver_fails,
    propagation.nonterminal_denied, propagation.rewritten, propagation.resolvers_differ,
)  # fmt: skip


def address(*texts: str, ttl: int = 300, kind: int = rr.A) -> RRset:
    return RRset(REALM, kind, ttl, frozenset(rdata.from_text(kind, text) for text in texts))


def remembered(*texts: str, ttl: int = 42) -> Memory:
    return Memory("present", address(*texts, ttl=ttl))


def seen(
    *memories: Memory, published: RRset | None = None, nodes: dict[tuple[Server, bytes], Sight] | None = None
) -> PropagationSeen:
    rrset = published or address("198.51.100.10")
    task = ResolverTask(ZONE, (NS1,), {rrset.key: rrset})
    resolvers = (R1, R2, R3)[: len(memories)]
    told = {(one, *rrset.key): memory for one, memory in zip(resolvers, memories, strict=True)}
    return PropagationSeen(task, resolvers, told, nodes or {})


def judged(one: PropagationSeen) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(one)]


def test_resolvers_that_know_what_is_published_are_quiet() -> None:
    assert judged(seen(remembered("198.51.100.10"), remembered("198.51.100.10", ttl=300))) == []


def test_a_stale_resolver_is_named_with_the_seconds_left() -> None:
    (found,) = judged(seen(remembered("198.51.100.10"), remembered("203.0.113.9", ttl=77)))
    assert (found.id, found.level, found.subject) == ("PRO01", "warning", "acme.voice.example. A")
    assert (found.server, found.expected) == ("192.0.2.102", "198.51.100.10")
    assert found.seen == "203.0.113.9, 77 s left"
    assert found.message.startswith("1 of 2 resolvers")


def test_the_key_of_a_stale_value_stays_while_its_seconds_run_down() -> None:
    early, late = (judged(seen(remembered("203.0.113.9", ttl=ttl)))[0] for ttl in (77, 3))
    assert early.key == late.key
    assert early != late


def test_an_alias_in_place_of_an_address_is_another_value() -> None:
    alias = Memory("alias", RRset(REALM, rr.CNAME, 9, frozenset({names.absolute("old.example")})))
    (found,) = judged(seen(alias))
    assert (found.id, found.seen) == ("PRO01", "CNAME old.example., 9 s left")


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (Memory("absent", rcode=3, left=61), "NXDOMAIN, 61 s left"),
        (Memory("absent", rcode=0, left=5), "no such type, 5 s left"),
        (Memory("absent", rcode=3), "NXDOMAIN, for how long is not told"),
    ],
)
def test_a_remembered_absence_says_for_how_long(memory: Memory, words: str) -> None:
    (found,) = judged(seen(memory))
    assert (found.id, found.level, found.seen) == ("PRO02", "warning", words)


def test_a_failure_shows_the_extended_error() -> None:
    (found,) = judged(seen(Memory("failed", rcode=2, extended=((22, "at delegation acme"), (6, ""), (999, "x")))))
    assert (found.id, found.level) == ("PRO03", "error")
    assert found.seen == "SERVFAIL (no reachable authority: at delegation acme; DNSSEC bogus; extended error 999: x)"
    (bare,) = judged(seen(Memory("failed", rcode=2)))
    assert bare.seen == "SERVFAIL"


def test_a_silent_resolver_is_one_unknown_however_much_was_asked() -> None:
    keys = {(REALM, kind): address("2001:db8::1" if kind == rr.AAAA else "198.51.100.1", kind=kind) for kind in (1, 28)}
    memories = {(R1, *key): Memory("unknown", detail="no answer in 3 tries") for key in keys}
    some = memories | {(R1, *A): remembered("198.51.100.1")}
    for told, words in ((memories, "what this resolver"), (some, "all that this resolver")):
        (found,) = judged(PropagationSeen(ResolverTask(ZONE, (NS1,), keys), (R1,), told, {}))
        assert (found.id, found.level, found.subject, found.server) == (
            "PRO01",
            "unknown",
            "voice.example.",
            "192.0.2.101",
        )
        assert found.message.startswith(words)
        assert "no answer in 3 tries" in found.seen


def test_a_denied_nonterminal_is_the_servers_fault_that_denies_it() -> None:
    nodes = {
        (NS1, NODE): Sight("absent", rcode=wire.NXDOMAIN),
        (NS2, NODE): Sight("absent", rcode=wire.NOERROR),
        (R3, NODE): Sight("unknown", detail="no answer"),
    }
    (found,) = judged(seen(remembered("198.51.100.10"), nodes=nodes))
    assert (found.id, found.level) == ("PRO04", "warning")
    assert (found.subject, found.server) == ("_udp.acme.voice.example.", "192.0.2.1")


@pytest.mark.parametrize("inside", ["10.1.2.3", "192.168.0.9", "127.0.0.1", "0.0.0.0", "100.64.1.1", "169.254.0.1"])
def test_a_private_answer_for_a_public_address_is_split_horizon(inside: str) -> None:
    (found,) = judged(seen(remembered(inside)))
    assert (found.id, found.level, found.seen) == ("PRO05", "notice", inside)


def test_a_private_address_that_is_published_is_no_split_horizon() -> None:
    found = judged(seen(remembered("10.0.0.2"), published=address("10.0.0.1")))
    assert [one.id for one in found] == ["PRO01"]


def test_resolvers_that_disagree_point_at_answers_by_location() -> None:
    found = judged(seen(remembered("203.0.113.1"), remembered("203.0.113.2"), remembered("198.51.100.10")))
    assert [one.id for one in found] == ["PRO01", "PRO01", "PRO06"]
    assert (found[2].level, found[2].server) == ("notice", "")
    assert found[2].seen == "203.0.113.1 / 203.0.113.2"
    same = judged(seen(remembered("203.0.113.1"), remembered("203.0.113.1", ttl=9)))
    assert [one.id for one in same] == ["PRO01", "PRO01"]


def realm(a: tuple[Sight, Sight], srv: tuple[Sight, Sight]) -> RealmSeen:
    key = (SRV, rr.SRV)
    told = {(server, *A): sight for server, sight in zip((NS1, NS2), a, strict=True)}
    told |= {(server, *key): sight for server, sight in zip((NS1, NS2), srv, strict=True)}
    return RealmSeen(REALM, ZONE, (A, key), (NS1, NS2), told, {}, {})


HERE = Sight("present", address("198.51.100.10"))
SERVED = Sight("present", RRset(SRV, rr.SRV, 300, frozenset({rdata.from_text(rr.SRV, "0 0 5060 edge.example.")})))
GONE, SILENT = Sight("absent", rcode=3), Sight("unknown", detail="no answer")


def test_resolvers_are_asked_only_for_what_every_server_serves() -> None:
    other = Sight("present", address("198.51.100.11"))
    for pair in ((HERE, GONE), (GONE, GONE), (SILENT, SILENT), (HERE, other), (HERE, Sight("referral"))):
        assert resolver_tasks([realm(pair, (GONE, GONE))]) == []
    (task,) = resolver_tasks([realm((HERE, SILENT), (SERVED, GONE))])
    assert (task.zone, task.servers, list(task.published), task.nodes) == (ZONE, (NS1,), [A], ())
    (whole,) = resolver_tasks([realm((HERE, HERE), (SERVED, SERVED))])
    assert set(whole.published) == {A, (SRV, rr.SRV)}
    assert whole.nodes == (NODE,)


def reply(
    rcode: int = 0, answer: list[wire.Record] | None = None, flags: int = wire.RA, soa: int | None = None
) -> Reply:
    timers = b"\0\0" + b"".join(number.to_bytes(4, "big") for number in (1, 2, 3, 4, 90))
    authority = [] if soa is None else [wire.Record(ZONE, rr.SOA, soa, timers)]
    message = wire.parse(b"\0\1\x80\0" + b"\0" * 8)._replace(
        flags=0x8000 | flags | rcode, question=A, answer=answer or [], authority=authority
    )
    return Reply(R1, *A, Outcome.ANSWER, message)


def test_a_reply_becomes_a_memory_in_every_state() -> None:
    octets = bytes((203, 0, 113, 1))
    there = memory_of(reply(answer=[wire.Record(REALM, rr.A, 17, octets)]))
    assert there == Memory("present", RRset(REALM, rr.A, 17, frozenset({octets})))
    alias = memory_of(reply(answer=[wire.Record(REALM, rr.CNAME, 8, ZONE), wire.Record(ZONE, rr.A, 9, octets)]))
    assert alias == Memory("alias", RRset(REALM, rr.CNAME, 8, frozenset({ZONE})))
    assert memory_of(reply(3, soa=40)) == Memory("absent", rcode=3, left=40)
    assert memory_of(reply(0, soa=400)) == Memory("absent", rcode=0, left=90)
    assert memory_of(reply(2)).state == "failed"
    assert memory_of(reply(5)).state == "unknown"
    assert "no recursion" in memory_of(reply(0, flags=0)).detail
    assert memory_of(Reply(R1, *A, Outcome.TIMEOUT, detail="no answer")) == Memory("unknown", detail="no answer")


TARGET = names.absolute("portal.azurewebsites.net")
ALIAS = AliasTask(REALM, TARGET)


def test_an_alias_to_nothing_is_an_error_and_names_where_it_may_be_claimed() -> None:
    (found,) = dangling.dangling_alias(AliasSeen(ALIAS, "nxdomain", TARGET))
    assert (found.id, found.level, found.subject) == ("SCR02", "error", "acme.voice.example. CNAME")
    assert "anybody may claim that name at Azure App Service" in found.message
    (empty,) = dangling.dangling_alias(AliasSeen(ALIAS, "nodata", TARGET))
    assert "claim" not in empty.message
    assert empty.seen == "neither A nor AAAA"
    (chain,) = dangling.dangling_alias(AliasSeen(ALIAS, "nxdomain", names.absolute("gone.example")))
    assert chain.seen == "NXDOMAIN at gone.example."


def test_an_alias_that_resolves_is_quiet_and_one_that_fails_is_unknown() -> None:
    assert list(dangling.dangling_alias(AliasSeen(ALIAS, "resolves", TARGET))) == []
    (found,) = dangling.dangling_alias(AliasSeen(ALIAS, "unknown", TARGET, "SERVFAIL"))
    assert (found.level, found.seen) == ("unknown", "SERVFAIL")


def test_only_names_below_a_service_can_be_claimed() -> None:
    assert dangling.claimable(names.absolute("a.b.cloudapp.azure.com")) == "Azure virtual machines"
    assert dangling.claimable(names.absolute("azurewebsites.net")) is None
    assert dangling.claimable(names.absolute("notazurewebsites.net")) is None


def test_aliases_are_picked_out_once() -> None:
    alias = RRset(REALM, rr.CNAME, 60, frozenset({TARGET}))
    assert alias_tasks([alias, address("198.51.100.1"), RRset(REALM, rr.CNAME, 90, alias.rdata)]) == [ALIAS]


def test_a_resolver_is_given_by_its_address() -> None:
    around = Surroundings(SystemClock(), resolvers=("192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:5300"))
    assert resolver_servers(around) == (Server("192.0.2.1"), Server("2001:db8::1", 5300))
    with pytest.raises(InputError, match="must be given by its address"):
        resolver_servers(Surroundings(SystemClock(), resolvers=("dns.example",)))
