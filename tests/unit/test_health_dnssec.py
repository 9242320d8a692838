"""Signatures and proofs that are made here, whole and spoiled; and what the checks say of what was seen.

tests/lab/test_health_dnssec.py looks at real servers.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import dns.dnssec
import dns.name
import dns.rdata
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Server
from realmkit.dns.wire import Record
from realmkit.errors import InputError
from realmkit.health import signatures
from realmkit.health.checks.dnssec import chain, dangling_ds, expiry, move_with_ds
from realmkit.health.denial import Proofs, no_ds
from realmkit.health.seen.dnssec import ROOT_ANCHORS, DsSeen, SecSeen, SecTask, SetSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Finding
    from realmkit.health.signatures import Keys

ZONE = names.absolute("z.example")
NOW = 1_800_000_000
DAY = 86400

# https://data.iana.org/root-anchors/root-anchors.xml names the keys by their digests; these are the keys.
ROOT_KEYS = (
    (
        "257 3 8 "
        "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQl"
        "NVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3"
        "eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8s"
        "ubX2Nn6UwNR1AkUTV74bU="
    ),
    (
        "257 3 8 "
        "AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjIC"
        "MQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71"
        "M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF1"
        "8UYH9Z9GNUUeayffKC73PYc="
    ),
)


def octets_of(one: dns.rdata.Rdata) -> bytes:
    octets = one.to_wire()
    assert octets is not None
    return octets


class Signer:
    """A key of `z.example`, and what it signs."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._dnskey = dns.dnssec.make_dnskey(self._private.public_key(), "ECDSAP256SHA256", flags=257)
        self.key = octets_of(self._dnskey)
        self.tag = dns.dnssec.key_id(self._dnskey)

    @property
    def keys(self) -> Keys:
        return frozenset((self.key,))

    @property
    def ds(self) -> bytes:
        return bytes((rr.DS,)) + octets_of(dns.dnssec.make_ds("z.example.", self._dnskey, "SHA256"))

    def sign(
        self, owner: str, kind: str, *texts: str, begin: int = NOW - DAY, end: int = NOW + 9 * DAY, star: str = ""
    ) -> list[Record]:
        """An RRset at an absolute name with its signature; answered by the wildcard `star` if one is given."""
        rrset = dns.rrset.from_text(star or owner, 300, "IN", kind, *texts)
        made = dns.dnssec.sign(
            rrset, self._private, dns.name.from_text("z.example."), self._dnskey, inception=begin, expiration=end
        )
        name, number = names.absolute(owner), rr.type_from_text(kind)
        found = [Record(name, number, 300, rdata.from_text(number, text)) for text in texts]
        return [*found, Record(name, rr.RRSIG, 300, octets_of(made))]

    def own_keys(self) -> list[Record]:
        return self.sign("z.example.", "DNSKEY", self._dnskey.to_text())


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def verify(records: list[Record], owner: str, kind: int, keys: Keys, now: int = NOW) -> signatures.Verified:
    return signatures.verify(records, names.absolute(owner), kind, ZONE, keys, now)


@pytest.mark.parametrize("number", [0, 1])
def test_the_anchors_that_come_along_are_the_roots_keys(number: int) -> None:
    key = rdata.from_text(rr.DNSKEY, ROOT_KEYS[number])
    anchor = signatures.anchor(ROOT_ANCHORS[number])
    assert signatures.match(names.ROOT, [anchor], [key]).keys == {key}
    assert str(signatures.ds_seen([anchor])[0]) == ("20326 8 2", "38696 8 2")[number]
    assert signatures.ds_seen([signatures.anchor(ROOT_KEYS[number])])[0].key_tag == (20326, 38696)[number]


@pytest.mark.parametrize("text", ["", "20326", "20326 8 two 00", "20326 8 2 XYZ", "257 3 8 !", ". DS 20326 8 2 00"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        signatures.anchor(text)


def test_a_signature_is_valid_between_its_dates(signer: Signer) -> None:
    records = signer.sign("a.z.example.", "A", "198.51.100.1", "198.51.100.2")
    verified = verify(records, "a.z.example", rr.A, signer.keys)
    assert (verified.state, verified.expires, verified.lifetime) == ("valid", NOW + 9 * DAY, 10 * DAY)
    assert (verified.key_tags, verified.labels) == ((signer.tag,), 3)
    assert verify(records, "a.z.example", rr.A, signer.keys, NOW + 10 * DAY).state == "expired"
    assert verify(records, "a.z.example", rr.A, signer.keys, NOW - 2 * DAY).state == "early"
    assert verify(records, "a.z.example", rr.AAAA, signer.keys).state == "absent"
    assert verify(records[:2], "a.z.example", rr.A, signer.keys).state == "unsigned"
    assert verify(records[1:], "a.z.example", rr.A, signer.keys).state == "invalid"


def test_one_good_signature_is_enough_and_the_last_to_end_counts(signer: Signer) -> None:
    old, new = (signer.sign("a.z.example.", "A", "198.51.100.1", end=NOW + days * DAY) for days in (-1, 5))
    both = [*old, new[1]]
    assert verify(both, "a.z.example", rr.A, signer.keys).expires == NOW + 5 * DAY
    foreign = Signer().sign("a.z.example.", "A", "198.51.100.1")
    assert verify([*foreign, new[1]], "a.z.example", rr.A, signer.keys).state == "valid"
    assert "no trusted DNSKEY" in verify(foreign, "a.z.example", rr.A, signer.keys).detail
    other_zone = signatures.verify(
        new, names.absolute("a.z.example"), rr.A, names.absolute("example"), signer.keys, NOW
    )
    assert "names z.example. as the signer" in other_zone.detail


def test_an_algorithm_that_nobody_knows_is_unsupported_and_not_wrong(signer: Signer) -> None:
    strange = signer.key[:3] + bytes((200,)) + signer.key[4:]
    tag = signatures.key_tag(strange)
    records = signer.sign("a.z.example.", "A", "198.51.100.1")
    sig = records[1].rdata
    other = sig[:2] + bytes((200,)) + sig[3:16] + tag.to_bytes(2, "big") + sig[18:]
    verified = verify([records[0], records[1]._replace(rdata=other)], "a.z.example", rr.A, frozenset((strange,)))
    assert (verified.state, verified.detail) == ("unsupported", "algorithm 200 can't be verified here")
    digest = bytes((rr.DS,)) + signer.ds[1:4] + bytes((200,)) + signer.ds[5:]
    verified, keys = signatures.verify_keys(signer.own_keys(), ZONE, [digest], NOW)
    assert (verified.state, keys) == ("unsupported", frozenset())


def test_keys_are_trusted_by_their_ds_alone(signer: Signer) -> None:
    records = signer.own_keys()
    assert signatures.verify_keys(records, ZONE, [signer.ds], NOW)[1] == signer.keys
    assert signatures.verify_keys(records, ZONE, [Signer().ds, signer.ds], NOW)[0].state == "valid"
    assert signatures.verify_keys(records, ZONE, [Signer().ds], NOW)[0].state == "unmatched"
    assert signatures.verify_keys([], ZONE, [signer.ds], NOW)[0].state == "absent"
    wrong_digest = signer.ds[:-1] + bytes((signer.ds[-1] ^ 1,))
    assert signatures.verify_keys(records, ZONE, [wrong_digest], NOW)[0].state == "unmatched"
    revoked = Record(ZONE, rr.DNSKEY, 300, bytes((1, 0x81)) + signer.key[2:])
    assert signatures.verify_keys([revoked], ZONE, [signer.ds], NOW)[0].state == "unmatched"
    assert signatures.key_tag(signer.key) == signer.tag


def test_octets_from_strangers_never_raise_and_are_never_valid(signer: Signer) -> None:
    dice = random.Random(20326)
    answers = (
        signer.own_keys(), signer.sign("a.z.example.", "A", "192.0.2.1"),
        signer.sign("z.example.", "NSEC", "b.z.example. A NS SOA RRSIG"),
    )  # fmt: skip
    for _ in range(1500):
        records = list(dice.choice(answers))
        which = dice.randrange(len(records))
        whole = records[which].rdata
        octets = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            octets[dice.randrange(len(octets))] ^= dice.randint(1, 255)
        spoiled = bytes(octets[: dice.choice((len(octets), dice.randrange(len(octets))))])
        if spoiled.lower() == whole.lower():
            continue  # the case of a name is not signed
        records[which] = records[which]._replace(rdata=spoiled)
        first = records[0]
        assert signatures.verify(records, first.name, first.type, ZONE, signer.keys, NOW).state != "valid"
        assert signatures.verify_keys(records, ZONE, [signer.ds], NOW)[0].state != "valid"
        signatures.match(ZONE, signatures.ds_in([Record(ZONE, rr.DS, 1, spoiled)], ZONE), signer.keys)
        assert not Proofs(records, ZONE, signer.keys, NOW).denies(names.absolute("a.z.example"))


def hashed(name: str) -> str:
    return dns.dnssec.nsec3_hash(f"{name}.", "", 0, 1).lower()


def after(text: str, by: int = 1) -> str:
    """The base32hex text that lies a little after another, or before."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    number = sum(digits.index(char) * 32**place for place, char in enumerate(reversed(text))) + by
    return "".join(digits[number // 32**place % 32] for place in reversed(range(32)))


def by_nsec(signer: Signer, name: str) -> list[Record]:
    return signer.sign("z.example.", "NSEC", f"\\000.{name}. A NS SOA RRSIG NSEC")


def by_nsec3(signer: Signer, name: str) -> list[Record]:
    """Around the hash, as narrow as PowerDNS makes it."""
    where = hashed(name)
    return signer.sign(f"{after(where, -1)}.z.example.", "NSEC3", f"1 0 0 - {after(where)} A RRSIG")


def test_proofs_that_a_name_does_not_exist(signer: Signer) -> None:
    name, other = names.absolute("x.s.z.example"), names.absolute("y.s.z.example")
    apart = signer.sign("a.z.example.", "NSEC", "z.example. A RRSIG NSEC")  # the last one of the zone
    assert Proofs(apart, ZONE, signer.keys, NOW).denies(name)
    narrow = Proofs(by_nsec3(signer, "x.s.z.example"), ZONE, signer.keys, NOW)
    assert (narrow.denies(name), narrow.denies(other)) == (True, False)
    assert not Proofs(by_nsec(signer, "x.s.z.example"), ZONE, signer.keys, NOW).denies(name), "a name stands below it"
    exact = signer.sign("x.s.z.example.", "NSEC", "y.z.example. A RRSIG NSEC")
    assert not Proofs(exact, ZONE, signer.keys, NOW).denies(name)
    cut = signer.sign("s.z.example.", "NSEC", "y.z.example. NS RRSIG NSEC")
    assert not Proofs(cut, ZONE, signer.keys, NOW).denies(name), "the parent's side of a delegation"
    ring = signer.sign(f"{'v' * 32}.z.example.", "NSEC3", f"1 0 0 - {after(hashed('x.s.z.example'))} A RRSIG")
    assert Proofs(ring, ZONE, signer.keys, NOW).denies(name)


def test_a_proof_that_does_not_verify_is_none(signer: Signer) -> None:
    expired = signer.sign("a.z.example.", "NSEC", "z.example. A RRSIG NSEC", begin=NOW - 9 * DAY, end=NOW - DAY)
    proofs = Proofs(expired, ZONE, signer.keys, NOW)
    assert (proofs.denies(names.absolute("x.z.example")), proofs.wrong) == (False, "its signature has expired")
    endless = signer.sign(f"{'0' * 32}.z.example.", "NSEC3", f"1 0 2500 - {'v' * 32} A RRSIG")
    assert Proofs(endless, ZONE, signer.keys, NOW).unsupported == "NSEC3 of hash algorithm 1 with 2500 iterations"
    foreign = signer.sign("a.example.", "NSEC", "z.example. A RRSIG NSEC")
    assert not Proofs(foreign, ZONE, signer.keys, NOW).denies(names.absolute("x.z.example"))


@pytest.mark.parametrize(
    ("owner", "kind", "text", "proven"),
    [
        ("d.z.example.", "NSEC", "e.z.example. NS RRSIG NSEC", True),
        ("d.z.example.", "NSEC", "e.z.example. A RRSIG NSEC", False),
        ("d.z.example.", "NSEC", "e.z.example. NS DS RRSIG NSEC", None),
        ("d.z.example.", "NSEC", "e.z.example. NS SOA RRSIG NSEC DNSKEY", None),
        ("a.z.example.", "NSEC", "z.example. A RRSIG NSEC", False),
        ("x.z.example.", "NSEC", "z.example. A RRSIG NSEC", None),
        (f"{hashed('d.z.example')}.z.example.", "NSEC3", f"1 0 0 - {'v' * 32} NS", True),
        (f"{hashed('d.z.example')}.z.example.", "NSEC3", f"1 0 0 - {'v' * 32}", False),
        (f"{after(hashed('d.z.example'), -1)}.z.example.", "NSEC3", f"1 0 0 - {after(hashed('d.z.example'))} A", False),
    ],
)
def test_proofs_that_a_delegation_has_no_ds(
    signer: Signer, owner: str, kind: str, text: str, proven: bool | None
) -> None:
    proofs = Proofs(signer.sign(owner, kind, text), ZONE, signer.keys, NOW)
    assert no_ds(proofs, names.absolute("d.z.example")) is proven


def test_a_span_that_opts_out_proves_it_with_the_name_above(signer: Signer) -> None:
    where = hashed("d.z.example")
    span = signer.sign(f"{after(where, -1)}.z.example.", "NSEC3", f"1 1 0 - {after(where)} A")
    apex = signer.sign(f"{hashed('z.example')}.z.example.", "NSEC3", f"1 1 0 - {'v' * 32} NS SOA")
    name = names.absolute("d.z.example")
    assert no_ds(Proofs([*span, *apex], ZONE, signer.keys, NOW), name) is True


# --- judging -------------------------------------------------------------------------------------------------

ONE, TWO = Server("192.0.2.1", 53, "ns1.z.example"), Server("192.0.2.2", 53, "ns2.z.example")


def one_set(server: Server = ONE, kind: int = rr.SOA, **more: Any) -> SetSeen:
    made: dict[str, Any] = {"state": "valid", "expires": NOW + 20 * DAY, "lifetime": 30 * DAY} | more
    return SetSeen((ZONE, kind), server, **made)


def seen(*sets: SetSeen, task: dict[str, Any] | None = None, **more: Any) -> SecSeen:
    made: dict[str, Any] = {
        "trust": "secure",
        "at": NOW,
        "ds": (DsSeen(1, 13, 2),),
        "tags": ((ONE, ((1, 13),)), (TWO, ((1, 13),))),
    }
    return SecSeen(SecTask(ZONE, (ONE, TWO), **(task or {})), sets=sets, **(made | more))


def keys(found: Iterator[Finding]) -> list[tuple[str, str, str]]:
    return [(one.level, one.subject, one.server) for one in found]


def test_what_all_servers_say_is_said_once_and_what_one_says_names_it() -> None:
    bad: dict[str, Any] = {"state": "expired", "detail": "its signature has expired", "expires": NOW - DAY}
    both = seen(one_set(**bad), one_set(TWO, **bad))
    assert keys(chain(both)) == [("error", "z.example. SOA", "")]
    assert keys(expiry(both)) == [("error", "z.example.", "")]
    half = seen(one_set(), one_set(TWO, **bad))
    assert keys(chain(half)) == [("error", "z.example. SOA", str(TWO))]
    assert keys(expiry(half)) == [("error", "z.example.", str(TWO))]


def test_a_silent_server_changes_no_key_of_what_the_others_say() -> None:
    bad: dict[str, Any] = {"state": "invalid", "detail": "its signature does not verify"}
    silent = one_set(TWO, state="unknown", detail="no answer", expires=None)
    assert keys(chain(seen(one_set(**bad), silent))) == [
        ("unknown", "z.example. SOA", str(TWO)), ("error", "z.example. SOA", ""),
    ]  # fmt: skip


def test_no_key_of_a_finding_changes_with_time() -> None:
    first, later = (seen(one_set(expires=NOW + DAY), at=NOW + hours * 3600) for hours in (0, 7))
    (one,), (other,) = list(expiry(first)), list(expiry(later))
    assert one.key == other.key
    assert (one.seen, other.seen) == ("1 d 0 h", "17 h")


@pytest.mark.parametrize(
    ("left", "lifetime", "level"),
    [
        (2.9, 30, "warning"),
        (3.1, 30, None),
        (1, 2, None),
        (0.6, 2, None),
        (0.4, 2, "warning"),
        (2, 7, None),
        (1, 7, "warning"),
    ],
)
def test_a_short_life_is_no_sign_of_a_dead_signer(left: float, lifetime: int, level: str | None) -> None:
    found = list(expiry(seen(one_set(expires=int(NOW + left * DAY), lifetime=lifetime * DAY))))
    assert [one.level for one in found] == ([level] if level else [])


def test_the_chain_above_is_judged_before_the_zone() -> None:
    assert keys(chain(seen(trust="broken", words="at example."))) == [("error", "z.example.", "")]
    assert keys(chain(seen(trust="unknown", words="no answer"))) == [("unknown", "z.example.", "")]
    assert keys(chain(seen(trust="unsupported", words="x"))) == [("unknown", "z.example.", "")]
    bad = one_set(state="invalid")
    assert keys(chain(seen(bad, trust="insecure"))) == []
    assert keys(chain(SecSeen(SecTask(ZONE, ()), "secure", NOW))) == [("unknown", "z.example.", "")]


def test_an_absent_set_is_no_matter_of_signatures_unless_it_is_the_keys() -> None:
    absent: dict[str, Any] = {"state": "absent", "detail": "the DS set has no DNSKEY to match"}
    assert keys(chain(seen(one_set(**absent)))) == []
    missing = seen(one_set(kind=rr.DNSKEY, **absent), tags=((ONE, ()),))
    assert keys(chain(missing)) == [("error", "z.example. DNSKEY", "")]
    assert keys(dangling_ds(missing)) == [("error", "z.example.", "")]


def test_ds_and_dnskey() -> None:
    fine = one_set(kind=rr.DNSKEY)
    assert keys(dangling_ds(seen(fine))) == []
    assert keys(dangling_ds(seen(fine, ds=(DsSeen(1, 13, 2), DsSeen(2, 13, 2))))) == []
    assert keys(dangling_ds(seen(fine, ds=(DsSeen(1, 13, 2), DsSeen(2, 8, 2))))) == [("warning", "z.example.", "")]
    assert keys(dangling_ds(seen(one_set(kind=rr.DNSKEY, state="unknown")))) == [("unknown", "z.example.", str(ONE))]
    assert keys(dangling_ds(seen(fine, trust="insecure", ds=()))) == []


@pytest.mark.parametrize(
    ("task", "more", "levels"),
    [
        ({}, {}, []),
        ({"move_planned": True}, {}, ["warning"]),
        ({"move_planned": True}, {"ds": ()}, []),
        ({"move_planned": True}, {"ds": (), "ds_known": False, "trust": "unknown"}, ["unknown"]),
        ({"move_planned": True, "ds_gone_since": NOW - 10, "ds_ttl": 60}, {"ds": ()}, ["warning"]),
        ({"move_planned": True, "ds_gone_since": NOW - 60, "ds_ttl": 60}, {"ds": ()}, []),
        ({"move_planned": True, "ds_gone_since": NOW - DAY + 9}, {"ds": ()}, ["warning"]),
        ({"ds_gone_since": NOW - 10, "ds_ttl": 60}, {"ds": ()}, []),
    ],
)
def test_a_planned_move_and_the_ds(task: dict[str, Any], more: dict[str, Any], levels: list[str]) -> None:
    assert [one.level for one in move_with_ds(seen(task=task, **more))] == levels
