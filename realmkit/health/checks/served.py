"""What is served, against what is wanted and against one another: every record on every authoritative server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from realmkit.dns import names, rdata, wire
from realmkit.dns.findings import Finding
from realmkit.dns.records import key_to_text
from realmkit.health.check import check
from realmkit.health.seen.realm import RealmSeen, Sight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.dns.asking.query import Server
    from realmkit.dns.records import Key, RRset

Difference = Literal["", "value", "ttl", "rcode"]
_TELLING = ("present", "absent", "alias")


class _Standing(NamedTuple):
    """How the servers stand to one key.

    Attributes:
        told: what each server that told anything said.
        reference: what they are measured by: what is wanted, else what most of them say.
        agreed: whether all of them say the same.
    """

    key: Key
    told: Mapping[Server, Sight]
    reference: Sight
    agreed: bool


def _standings(seen: RealmSeen) -> Iterator[_Standing]:
    for key in seen.keys:
        sights = {server: seen.sight(server, key) for server in seen.servers}
        told = {server: one for server, one in sights.items() if one.state in _TELLING}
        if not told:
            continue
        different: list[Sight] = []
        for one in told.values():
            if not any(_difference(one, other) == "" for other in different):
                different.append(one)
        yield _Standing(key, told, _reference(seen, key, list(told.values())), len(different) == 1)


def _reference(seen: RealmSeen, key: Key, told: list[Sight]) -> Sight:
    want = seen.wanted.get(key)
    if want is not None:
        return Sight("present", want)
    if not seen.wanted:
        return _most_common(told)
    absent = [one for one in told if one.state == "absent"]
    return _most_common(absent) if absent else Sight("absent")


def _most_common(told: list[Sight]) -> Sight:
    """What most servers say; of two that differ the first, for want of a third."""
    return max(told, key=lambda one: sum(_difference(one, other) == "" for other in told))


def _difference(one: Sight, other: Sight) -> Difference:
    if one.state != other.state:
        return "value"
    if one.rrset is None or other.rrset is None:
        return "rcode" if one.rcode != other.rcode else ""
    if one.rrset.rdata != other.rrset.rdata:
        return "value"
    return "ttl" if one.rrset.ttl != other.rrset.ttl else ""


def _shown(sight: Sight) -> str:
    if sight.rrset is None:
        return f"nothing ({wire.rcode_to_text(sight.rcode)})"
    rrset = sight.rrset
    text = " | ".join(sorted(rdata.to_text(rrset.type, one) for one in rrset.rdata))
    return f"alias to {text}" if sight.state == "alias" else text


def _differing(seen: RealmSeen, what: Difference) -> Iterator[tuple[_Standing, Server, Sight]]:
    """Each server that differs from the reference in this way, where the servers differ from one another."""
    for standing in _standings(seen):
        if standing.agreed:
            continue
        for server, sight in standing.told.items():
            if _difference(sight, standing.reference) == what:
                yield standing, server, sight


@check(
    RealmSeen,
    "CON02",
    "error",
    "a server has other records than it should, and than the others",
    source="RFC 1034 section 4.3.5",
)
def served_differently(seen: RealmSeen) -> Iterator[Finding]:
    """One authoritative server serves another RRset than the others, or none.

    Resolvers choose among a zone's servers as they please, so such a fault strikes some phones, some of the time:
    the kind that nobody can reproduce. What is measured by is the configuration; for a realm that is not ours, what
    most servers say. Sets are compared without regard to order.

    Mend: let that server transfer the zone again (`rndc retransfer`, `knotc zone-retransfer`, `nsd-control
    force_transfer`, `pdns_control retrieve`), and look why it had not: see CON01 for its serial. What a server that
    gives no answer holds is unknown and reported as RUN01, never as missing.
    """
    for standing, server, sight in _differing(seen, "value"):
        yield Finding(
            "CON02", "error", key_to_text(standing.key), "this server differs from what it should serve",
            expected=_shown(standing.reference), seen=_shown(sight),
            mend="have this server transfer the zone again, and compare its serial (CON01)", server=str(server),
        )  # fmt: skip


@check(RealmSeen, "CON03", "warning", "servers give one RRset different TTLs", source="RFC 2181 section 5.2")
def ttl_differs(seen: RealmSeen) -> Iterator[Finding]:
    """The same records with another TTL on one server than on the others.

    Nothing fails, but how long resolvers remember the set is left to chance, and a migration that waits for the old
    TTL to run out waits for the wrong one. Usually a server that holds an older copy of the zone, or a secondary that
    rewrites TTLs.

    Mend: transfer the zone again on that server.
    """
    for standing, server, sight in _differing(seen, "ttl"):
        assert sight.rrset is not None and standing.reference.rrset is not None  # noqa: S101, PT018 - "ttl" compares sets
        yield Finding(
            "CON03", "warning", key_to_text(standing.key), "this server gives another TTL than it should",
            expected=str(standing.reference.rrset.ttl), seen=str(sight.rrset.ttl),
            mend="have this server transfer the zone again", server=str(server),
        )  # fmt: skip


@check(
    RealmSeen,
    "CON04",
    "error",
    "one server says that the name does not exist, another that it does",
    source="RFC 8020 section 2",
)
def rcode_differs(seen: RealmSeen) -> Iterator[Finding]:
    """For a set that is absent, one server answers NXDOMAIN and another NOERROR without data.

    A resolver that meets NXDOMAIN may cut off everything below that name (RFC 8020): an NXDOMAIN for
    `_udp.acme.example` takes `_sip._udp.acme.example` with it. One of the servers has a name that the other lacks, or
    treats empty non-terminals wrongly.

    Mend: compare the servers' serials (CON01) and transfer again; if they are equal, the software of one is at fault.
    """
    for standing, server, sight in _differing(seen, "rcode"):
        yield Finding(
            "CON04", "error", key_to_text(standing.key), "this server answers with another code than the others",
            expected=wire.rcode_to_text(standing.reference.rcode), seen=wire.rcode_to_text(sight.rcode),
            mend="compare the serials (CON01), and transfer the zone again", server=str(server),
        )  # fmt: skip


@check(
    RealmSeen,
    "CON06",
    "error, warning, notice",
    "what is served is not what the configuration wants",
    source="RFC 1034 section 4.3",
)
def not_as_wanted(seen: RealmSeen) -> Iterator[Finding]:
    """All servers agree with one another and differ from the configuration.

    A set is missing, has other values, is there though nobody wants it, or has another TTL. An error for missing or
    other values: phones or fax mail go elsewhere than you think. A warning for a set that is in excess at a realm,
    such as an AAAA that phones will try first. A TTL is a warning, or a notice where it is just the
    `policy.migration_ttl` that a move has lowered it to.

    Mend: `realmkit dns plan NAME` shows the difference, `realmkit dns apply NAME` removes it. If the live value is
    the right one, change `realmkit.yml`.
    """
    if not seen.wanted:
        return
    for standing in _standings(seen):
        sight = next(iter(standing.told.values()))
        what = _difference(sight, standing.reference)
        if standing.agreed and what not in ("", "rcode"):
            yield _unwanted(seen, standing, sight, what)


def _unwanted(seen: RealmSeen, standing: _Standing, sight: Sight, what: Difference) -> Finding:
    subject, name = key_to_text(standing.key), names.to_text(seen.name)[:-1]
    expected, came = _shown(standing.reference), _shown(sight)
    mend = f"realmkit dns apply {name}"
    if what == "ttl":
        served, wanted = _ttl(sight.rrset), _ttl(standing.reference.rrset)
        lowered = served == seen.expected.migration_ttl
        message = "its TTL is lowered for a move" if lowered else "its TTL is not the wanted one"
        return Finding(
            "CON06", "notice" if lowered else "warning", subject, message, str(wanted), str(served), mend
        )  # fmt: skip
    if standing.reference.state == "absent":
        return Finding("CON06", "warning", subject, "it is there, and nobody wants it", expected, came, mend)
    message = "it is missing" if sight.state == "absent" else "it is another than wanted"
    return Finding("CON06", "error", subject, f"{message} on every server", expected, came, mend)


def _ttl(rrset: RRset | None) -> int | None:
    return None if rrset is None else rrset.ttl


@check(RealmSeen, "DEL09", "error", "a deeper zone cut hides the realm", source="RFC 1034 section 4.3.2")
def delegated_apart(seen: RealmSeen) -> Iterator[Finding]:
    """The name lies in, or below, a zone that is delegated apart, so that nothing of what its own zone holds is seen.

    Typical: somebody delegated `s.example.net` to another provider, and records for realms below it still go to the
    zone `example.net`, whose servers only refer to the other. `dns lint` finds it offline in the zone's copy, this
    check in what the servers answer.

    Mend: publish the records in the delegated zone (add it under `zones:`), or remove the delegation.
    """
    for (server, name, kind), sight in sorted(seen.sights.items()):
        if sight.state == "referral" and sight.rrset is not None:
            cut = names.to_text(sight.rrset.name)
            yield Finding(
                "DEL09", "error", key_to_text((name, kind)), "it is delegated away, so nobody sees what its zone holds",
                expected="an answer with authority", seen=f"a referral to {cut}",
                mend=f"publish the records in the zone {cut}", server=str(server),
            )  # fmt: skip
