from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import TYPE_CHECKING

import dns.message
import dns.opcode
import dns.update
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.clock import SystemClock
from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.plan import Change, group_of
from realmkit.dns.primary import tsig, update
from realmkit.dns.primary.transfer import Source
from realmkit.dns.primary.tsig import Key
from realmkit.dns.provider import Context, Secret
from realmkit.dns.rdata import from_text
from realmkit.dns.records import RRset, Zone
from realmkit.dns.wire import Record
from realmkit.dns.work.batch import batches
from realmkit.errors import AuthError, InputError, OutcomeUnknownError, RejectedError, UnreachableError
from realmkit_providers.rfc2136 import Rfc2136, Rfc2136Settings, TsigSettings
from tests.unit.scripted import Scripted, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

ZONE = names.absolute("voice.example.com")
SOA = names.absolute("ns1.example.net") + names.absolute("hostmaster.example.net") + bytes(20)


def rrset(name: str, kind: str, ttl: int, *texts: str) -> RRset:
    number = rr.type_from_text(kind)
    return RRset(names.from_text(name, ZONE), number, ttl, frozenset(from_text(number, text, ZONE) for text in texts))


def by_dnspython(octets: bytes) -> tuple[list[str], list[str]]:
    """Prerequisites and updates of a message as dnspython understands them, in words."""
    message = dns.message.from_wire(b"\0\0" + octets, one_rr_per_rrset=True)
    assert isinstance(message, dns.update.UpdateMessage)
    assert (message.zone[0].name.to_text(), message.zone[0].rdtype) == ("voice.example.com.", rr.SOA)
    out = []
    for section in (message.prerequisite, message.update):
        words = []
        for one in section:
            deleting = {255: "delete ", 254: "delete "}.get(int(one.deleting or 0), "")
            text = f" {one[0].to_text()}" if len(one) else ""
            ttl = "" if deleting else f" {one.ttl}"
            words.append(f"{deleting}{one.name}{ttl} {rr.type_to_text(int(one.rdtype))}{text}")
        out.append(words)
    return out[0], out[1]


def test_a_message_says_what_is_meant() -> None:
    changes = [
        Change(None, rrset("new", "A", 60, "192.0.2.1")),
        Change(rrset("www", "CNAME", 60, "new"), None),
        Change(None, rrset("www", "A", 60, "192.0.2.1", "192.0.2.2")),
        Change(rrset("m", "MX", 60, "10 new"), rrset("m", "MX", 30, "10 new")),
    ]
    before, todo = by_dnspython(update.message(ZONE, changes, SOA))
    assert before == ["voice.example.com. 0 SOA ns1.example.net. hostmaster.example.net. 0 0 0 0 0"]
    assert todo == [
        "new.voice.example.com. 60 A 192.0.2.1",
        "delete www.voice.example.com. CNAME",
        "delete m.voice.example.com. MX",
        "www.voice.example.com. 60 A 192.0.2.1",
        "www.voice.example.com. 60 A 192.0.2.2",
        "m.voice.example.com. 30 MX 10 new.voice.example.com.",
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((60, "a", "b"), (60, "b", "c"), ["60 NS c", "delete NS a"]),
        ((60, "a"), (30, "b"), ["30 NS b", "delete NS a"]),
        ((60, "a", "b"), (30, "a", "b"), ["30 NS a", "30 NS b"]),
        ((60, "a", "b", "c"), (30, "a", "b"), ["30 NS a", "30 NS b", "delete NS c"]),
        ((60, "a"), (30, "a"), ["30 NS a"]),
        (None, (30, "a"), ["30 NS a"]),
        ((60, "a", "b"), None, ["delete NS a", "delete NS b"]),
    ],
)
def test_the_apex_never_is_without_name_servers(
    before: tuple[int, str] | None, after: tuple[int, str] | None, expected: list[str]
) -> None:
    def side(said: tuple[int, str] | None) -> RRset | None:
        return rrset("@", "NS", said[0], *(f"{one}." for one in said[1:])) if said else None

    _, todo = by_dnspython(update.message(ZONE, [Change(side(before), side(after))], SOA))
    assert [step.replace("voice.example.com. ", "").rstrip(".") for step in todo] == expected


def test_name_servers_of_a_child_go_as_a_set() -> None:
    _, todo = by_dnspython(update.message(ZONE, [Change(rrset("s", "NS", 60, "a."), None)], SOA))
    assert todo == ["delete s.voice.example.com. NS"]


# --- how much fits -------------------------------------------------------------------------------------------

LABELS = st.sampled_from(["acme", "*", "_sip._udp.acme", "a.b.c.d", "x" * 63, "@"])
TARGETS = st.sampled_from(["edge", "voice.example.com.", "mx.example.com.", "elsewhere.test.", "."])
TEXTS = {
    "A": st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
    "MX": st.builds("{} {}".format, st.integers(0, 9), TARGETS),
    "SRV": st.builds("{} 5 5060 {}".format, st.integers(0, 9), TARGETS),
    "NAPTR": st.builds('{} 10 "s" "SIP+D2U" "" {}'.format, st.integers(0, 9), TARGETS),
    "CNAME": TARGETS,
    "NS": TARGETS,
    "TXT": st.integers(0, 255).map(lambda size: '"' + "t" * size + '"'),
}


@st.composite
def changes(draw: st.DrawFn) -> Change:
    kind = draw(st.sampled_from(sorted(TEXTS)))
    name = draw(LABELS)

    def side() -> RRset:
        return rrset(name, kind, draw(st.integers(0, 600)), *draw(st.lists(TEXTS[kind], min_size=1, max_size=4)))

    before, after = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    return Change(side() if before else None, side() if after else None)


def provider(server: str = "192.0.2.53") -> Rfc2136:
    context = Context(Path("/nowhere"), "realmkit", lambda _: "c2VjcmV0", SystemClock())
    return Rfc2136(Rfc2136Settings(server), context)


def knowing(*apexes: str) -> Rfc2136:
    there = provider()
    there._read = {names.absolute(apex): Zone(names.absolute(apex), {}) for apex in apexes}
    return there


@settings(deadline=None)
@given(
    st.lists(changes(), max_size=20),
    st.sampled_from([(), ("voice.example.com",), ("voice.example.com", "example.com")]),
)
def test_changes_never_weigh_less_than_they_take(todo: list[Change], apexes: tuple[str, ...]) -> None:
    there = knowing(*apexes)
    weights = [there.weigh(list(group)) for _, group in itertools.groupby(todo, key=lambda one: group_of(one.key[0]))]
    bare = len(update.message(ZONE, (), SOA))
    octets = update.message(ZONE, todo, SOA)
    assert len(octets) <= bare + sum(weight.size for weight in weights)
    assert sum(weight.elements for weight in weights) >= len(by_dnspython(octets)[1])


def a_group(draw: random.Random, number: int) -> list[Change]:
    """Changes of a realm of any shape: long names and short, one record or twenty, created, changed and deleted."""
    realm = f"{number}" + "r" * draw.choice([0, 1, 5, 20, 50]) + ".middle" * draw.choice([0, 0, 1, 5])
    made = {}
    for _ in range(draw.randint(1, 8)):
        kind = draw.choice(["A", "A", "MX", "NAPTR", "TXT"])
        name = draw.choice([realm, realm, f"_sip._udp.{realm}", f"_sip._tcp.{realm}", f"_x.{realm}", f"*.{realm}"])
        texts = {
            "A": [f"192.0.2.{n}" for n in range(20)],
            "MX": [f"{n} mx.{realm}" for n in range(20)],
            "NAPTR": [f'{n} 1 "s" "SIP+D2U" "" _sip._udp.{realm}' for n in range(20)],
            "TXT": [f'"{n}{"t" * draw.choice([0, 0, 3, 200])}"' for n in range(20)],
        }[kind]
        some = rrset(name, kind, 60, *draw.sample(texts, draw.choice([1, 1, 1, 2, 3, 20])))
        made[some.key] = Change(*draw.choice([(some, None), (None, some), (some, some)]))
    return sorted(made.values(), key=lambda change: change.key)


def renumbered(group: list[Change], number: int) -> list[Change]:
    """The same changes for another realm of its own."""

    def other(one: RRset | None) -> RRset | None:
        if one is None:
            return None
        labels = names.labels_of(one.name)
        at = next(i for i, label in enumerate(labels) if label[:1] not in b"_*")
        labels[at] = (b"%d-" % number + labels[at])[:63]
        name = b"".join(bytes((len(label),)) + label for label in labels) + names.ROOT
        return RRset(name, one.type, one.ttl, one.rdata)

    return [Change(other(change.before), other(change.after)) for change in group]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("known", [True, False])
def test_every_batch_fits_its_message(seed: int, known: bool) -> None:
    draw = random.Random(seed)
    kinds = [a_group(draw, number) for number in range(draw.choice([1, 2, 5, 100]))]
    todo = [change for number in range(800) for change in renumbered(kinds[number % len(kinds)], number)]
    there = knowing("voice.example.com") if known else provider()
    packed = list(batches(todo, there.capabilities, there.weigh))
    bare = len(update.message(ZONE, (), SOA))
    assert all(len(update.message(ZONE, batch, SOA)) - bare <= update.ROOM for batch in packed)


def test_the_longest_frame_is_reckoned_with() -> None:
    """A batch of the greatest weight fits with the longest zone, SOA, key and signature that there can be."""
    long = b"\x3f" + b"z" * 63
    zone = long * 3 + b"\x3d" + b"z" * 61 + b"\0"
    assert len(zone) == 255
    soa = zone.replace(b"z", b"a") + zone.replace(b"z", b"b") + bytes(20)
    assert len(soa) == update._LONGEST_SOA
    octets = b"\0\0" + update.message(zone, (), soa)
    for algorithm in ("hmac-md5", "hmac-sha512"):
        key = Key(zone.replace(b"z", b"k"), b"s", algorithm)
        signed = tsig.Signing(key, SystemClock()).sign(octets)
        assert len(signed) <= update.FRAME
    assert update.FRAME - len(signed) < 100
    assert wire.MAX_MESSAGE - update.ROOM < 1300


def realms(count: int) -> list[Change]:
    """Lowering all TTLs of realms with A, MX, three NAPTR and three SRV."""
    todo = []
    for number in range(count):
        realm = f"customer{number:05}"
        for name, kind, *texts in (
            (realm, "A", "198.51.100.10", "203.0.113.10"),
            (realm, "MX", "10 mx1.example.net."),
            (
                realm,
                "NAPTR",
                *(
                    f'{n} 100 "s" "SIP+D2{t}" "" _sip._{p}.{realm}'
                    for n, t, p in ((10, "U", "udp"), (20, "T", "tcp"), (30, "T", "tls"))
                ),
            ),
            *(
                (f"_sip._{p}.{realm}", "SRV", "10 50 5060 us-east.example.net.", "20 50 5060 us-west.example.net.")
                for p in ("udp", "tcp")
            ),
        ):
            before = rrset(name, kind, 3600, *texts)
            todo.append(Change(before, RRset(before.name, before.type, 300, before.rdata)))
    return todo


def test_ten_thousand_ttls_in_few_messages() -> None:
    todo = realms(2000)
    assert len(todo) == 10_000
    there = knowing("voice.example.com")
    packed = list(batches(todo, there.capabilities, there.weigh))
    assert [change for batch in packed for change in batch] == todo
    sizes = [len(update.message(ZONE, batch, SOA)) + 2 + tsig.MAX_SIZE for batch in packed]
    assert max(sizes) <= wire.MAX_MESSAGE
    full = packed[0]
    octets = len(update.message(ZONE, full, SOA)) - len(update.message(ZONE, (), SOA))
    assert octets <= 1.01 * _rendered_by_dnspython(full)
    assert len(packed) <= 1.2 * math.ceil(sum(sizes) / wire.MAX_MESSAGE)


def _rendered_by_dnspython(batch: Iterable[Change]) -> int:
    """Octets of the update section as dnspython writes the same changes, deletions first."""
    import dns.name
    import dns.rdata

    message = dns.update.UpdateMessage("voice.example.com.")
    bare = len(message.to_wire())
    for change in batch:
        name = dns.name.from_wire(change.key[0], 0)[0]
        message.delete(name, rr.type_to_text(change.key[1]))
    for change in batch:
        assert change.after is not None
        name = dns.name.from_wire(change.key[0], 0)[0]
        kind = rr.type_to_text(change.key[1])
        for octets in sorted(change.after.rdata):
            message.add(name, change.after.ttl, dns.rdata.from_wire("IN", kind, octets, 0, len(octets)))
    return len(message.to_wire(max_size=65535)) - bare


def test_more_than_a_message_holds_is_not_sent() -> None:
    todo = [Change(None, rrset(f"n{n}", "TXT", 60, *(f'"{m}{"t" * 254}"' for m in range(4)))) for n in range(70)]
    assert len(todo) * 4 * 256 > wire.MAX_MESSAGE
    with pytest.raises(RejectedError, match="octets"):
        update.message(ZONE, todo, SOA)


# --- what an answer means ------------------------------------------------------------------------------------


def test_an_update_that_was_sent_and_not_answered_is_unknown() -> None:
    request = update.message(ZONE, (), SOA)
    with Scripted() as server:
        server.will([])
        with pytest.raises(OutcomeUnknownError, match="the update was sent, but"):
            update.send(request, Source(server.where))
        assert dns.message.from_wire(server.requests[0]).opcode() == dns.opcode.UPDATE
        server.will([answer(ZONE, [], rr.SOA)])
        with pytest.raises(OutcomeUnknownError, match="not signed"):
            update.send(request, Source(server.where, Key.from_text("k", "c2VjcmV0")))
        server.will([answer(ZONE, [], rr.SOA, rcode=wire.REFUSED)])
        with pytest.raises(AuthError, match="REFUSED"):
            update.send(request, Source(server.where, Key.from_text("k", "c2VjcmV0")))
        server.will([answer(ZONE, [], rr.SOA, rcode=wire.NXRRSET)])
        assert update.send(request, Source(server.where)) == wire.NXRRSET
    with pytest.raises(UnreachableError):
        update.send(request, Source(server.where))


def test_where_the_steps_do_not_fit_the_whole_zone_is_read_back() -> None:
    def soa(serial: int) -> Record:
        return Record(ZONE, rr.SOA, 60, SOA[:-20] + serial.to_bytes(4, "big") + bytes(16))

    made = rrset("new", "A", 60, "192.0.2.1")
    new = Record(made.name, made.type, made.ttl, min(made.rdata))
    never = Record(made.name, rr.TXT, 60, b"\1x")
    with Scripted() as server:
        there = provider(f"127.0.0.1:{server.where.port}")
        server.will([answer(ZONE, [soa(7), soa(7)])])
        seen = there.snapshot(ZONE)
        server.will(
            [answer(ZONE, [], rr.SOA)],
            [answer(ZONE, [soa(8), soa(7), never, soa(8), new, soa(8)])],
            [answer(ZONE, [soa(8), new, soa(8)])],
        )
        receipt = there.apply(ZONE, [Change(None, made)], seen.token)
        kinds = [dns.message.from_wire(one).question[0].rdtype for one in server.requests[1:]]
    assert (receipt.serial, receipt.token) == (8, soa(8).rdata.hex())
    assert kinds == [wire.IXFR, wire.AXFR]


# --- settings ------------------------------------------------------------------------------------------------


def test_a_server_that_is_none_is_found_before_it_is_asked() -> None:
    with pytest.raises(InputError, match="no name server"):
        provider("192.0.2.53:port")


def test_the_secret_is_fetched_late_and_a_bad_one_is_not_shown() -> None:
    asked = []

    def reveal(secret: Secret) -> str:
        asked.append(secret.reference)
        return "!!! not base64"

    context = Context(Path("/nowhere"), "realmkit", reveal, SystemClock())
    there = Rfc2136(Rfc2136Settings("192.0.2.53", TsigSettings("k", Secret("env:TSIG"))), context)
    assert asked == []
    with pytest.raises(InputError) as caught:
        there.snapshot(ZONE)
    assert asked == ["env:TSIG"]
    assert "!!!" not in f"{caught.value.message}{caught.value.hint}"
