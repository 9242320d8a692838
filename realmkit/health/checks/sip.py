"""The SIP chain of a realm: does every kind of client get from the name to a server, and to the right one.

Subjects are as `realmkit dns lint` words them, the RRset that has the fault, with what it names behind the type where
one set can have the fault several times: `acme.example. NAPTR _sip._udp.acme.example.`
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.records import key_to_text
from realmkit.health.chain import Landing, labels_of_service, naptr_records, read_srv, transport_of, walk, why
from realmkit.health.check import check
from realmkit.health.clients import PROFILES
from realmkit.health.seen.realm import RealmSeen, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.fields import Naptr
    from realmkit.dns.names import Name
    from realmkit.dns.records import RRset

_CHAIN: Final = "RFC 3263 section 4"
_MOST: Final = 4  # words of one kind that a finding shows


class _Picture(NamedTuple):
    """One view of a realm, and where the clients of each profile land by it."""

    view: View
    landings: tuple[Landing, ...]

    @property
    def full(self) -> Landing:
        """Where a client of RFC 3263 lands."""
        return self.landings[0]

    def naptrs(self, realm: Name) -> list[Naptr]:
        """The NAPTR records that lead SIP clients to SRV sets."""
        some = naptr_records(self.view.rrset(realm, rr.NAPTR))
        return [
            one for one in some
            if one.flags == b"S" and one.replacement != names.ROOT and labels_of_service(one.service)
        ]  # fmt: skip

    def srv_sets(self) -> Iterator[RRset]:
        """Every SRV set that is there."""
        for name, kind in sorted(self.view.sights):
            if kind == rr.SRV and (rrset := self.view.rrset(name, kind)) is not None:
                yield rrset


class _Same:
    """A realm as the key of a cache: by identity, for what was seen can't be hashed."""

    __slots__ = ("seen",)

    def __init__(self, seen: RealmSeen) -> None:
        self.seen = seen

    def __hash__(self) -> int:
        return id(self.seen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.seen is self.seen


def _pictures(seen: RealmSeen) -> tuple[_Picture, ...]:
    return _drawn(_Same(seen))


@lru_cache(8)  # the checks come one after the other with the same realm
def _drawn(key: _Same) -> tuple[_Picture, ...]:
    seen = key.seen
    return tuple(
        _Picture(view, tuple(walk(seen.name, view, seen.hosts, profile) for profile in PROFILES))
        for view in seen.views()
    )


def _few(words: Sequence[str]) -> str:
    """The first of many words, each once."""
    some = list(dict.fromkeys(words))
    return "; ".join(some[:_MOST]) + (f"; and {len(some) - _MOST} more" if len(some) > _MOST else "")


def _once(naptrs: list[Naptr]) -> list[Naptr]:
    """Of records that lead to one name the most preferred, since a finding names where they lead."""
    led = {one.replacement: one for one in reversed(naptrs)}
    return [led[name] for name in sorted(led)]


def _plan(seen: RealmSeen) -> str:
    return f"realmkit dns plan {names.to_text(seen.name)[:-1]}"


@check(RealmSeen, "SIP01", "critical, unknown", "no SIP client finds any address", source=_CHAIN)
def leads_nowhere(seen: RealmSeen) -> Iterator[Finding]:
    """No kind of client gets from the realm to an address, over any transport.

    Phones that ask now fail to register; those that are registered fall off one by one, as caches and registrations
    run out. All ways are walked that clients are known to take: NAPTR, SRV and addresses (RFC 3263), SRV and addresses
    (PJSIP), addresses at port 5060 only (LiveKit), TLS only, and the first NAPTR only (baresip).

    It is critical only if every way certainly ends. If a server kept silent on one of them, it is unknown.

    Mend: `seen` says where the ways end. `realmkit dns plan REALM` shows what is missing, `apply` publishes it. What
    it can't see: whether anybody listens at an address (SIP06), and what resolvers still remember (PRO02).
    """
    for picture in _pictures(seen):
        if any(one.hops for one in picture.landings):
            continue
        unknown = [word for one in picture.landings for word in one.unknown]
        dead = [word for one in picture.landings for word in one.dead]
        yield Finding(
            "SIP01", "unknown" if unknown else "critical", names.to_text(seen.name),
            "whether any SIP client finds an address can't be told" if unknown else "no SIP client finds any address",
            expected="an address over UDP, TCP or TLS", seen=_few([*unknown, *dead]), mend=_plan(seen),
            server=picture.view.server,
        )  # fmt: skip


@check(RealmSeen, "SIP02", "error, unknown", "a NAPTR that leads to a name without SRV", source="RFC 3263 section 4.1")
def naptr_without_srv(seen: RealmSeen) -> Iterator[Finding]:
    """A NAPTR of the realm names an SRV set that is not there.

    A client that chose this NAPTR either gives up, or takes the realm's own addresses at the transport's default port
    (RFC 3263 section 4.2; baresip does): then it seems to work, until the port is another or the priorities matter.
    Clients without NAPTR, such as PJSIP, never meet the fault, which makes it look like a fault of some phones.

    The subject is the NAPTR set with the name that it leads to. `unknown`: the servers did not tell whether the SRV
    set is there, for instance because it lies in a zone of somebody else.

    Mend: publish the SRV set, or take the NAPTR away; `realmkit dns plan REALM` shows which of them is ours.
    """
    for picture in _pictures(seen):
        for one in _once(picture.naptrs(seen.name)):
            sight = picture.view.sights.get((one.replacement, rr.SRV))
            state = sight.state if sight is not None else "unknown"
            if state == "present":
                continue
            where, service = names.to_text(one.replacement), one.service.decode()
            missing = state in ("absent", "alias")
            yield Finding(
                "SIP02", "error" if missing else "unknown", f"{key_to_text((seen.name, rr.NAPTR))} {where}",
                f"{service} leads to a name without SRV" if missing
                else f"whether there is an SRV set where {service} leads can't be told",
                expected=f"SRV at {where}", seen="nothing" if state == "absent" else why(sight),
                mend=f"publish the SRV set {where}", server=picture.view.server,
            )  # fmt: skip


@check(RealmSeen, "SIP03", "error, unknown", "an SRV target without an address", source="RFC 2782")
def srv_without_address(seen: RealmSeen) -> Iterator[Finding]:
    """A host that an SRV set names has neither A nor AAAA.

    Clients lose time on it, or the calls that its weight would have sent there; with no other target of that transport
    they are lost. Typical after an edge was renamed or retired: the realms still name the old host.

    The subject is the SRV set with the target. A target that is an alias is SEM02's. `unknown`: the host's addresses
    could not be asked for; it is not taken for dead.

    Mend: publish the host's address, or take the target out of the edge's `proxies:` and apply.
    """
    for picture in _pictures(seen):
        for rrset in picture.srv_sets():
            for target in sorted({one.target for one in read_srv(rrset.rdata)} - {names.ROOT}):
                host = seen.hosts.get(target)
                if host is not None and (host.state == "alias" or host.addresses):
                    continue
                where = names.to_text(target)
                absent = host is not None and host.state == "absent"
                yield Finding(
                    "SIP03", "error" if absent else "unknown", f"{key_to_text(rrset.key)} {where}",
                    "its target has no address" if absent else "whether its target has an address can't be told",
                    expected=f"A or AAAA at {where}", seen=(host.detail if host is not None else "") or "not asked",
                    mend=f"publish an address at {where}", server=picture.view.server,
                )  # fmt: skip


@check(RealmSeen, "SIP04", "warning, unknown", "clients of different kinds land on different servers", source=_CHAIN)
def lands_apart(seen: RealmSeen) -> Iterator[Finding]:
    """Which servers a client reaches depends on how it looks for them.

    Clients differ: some read NAPTR, some only SRV, some only the realm's A record. Each way is walked and the sets of
    addresses are compared; ports and order are not. When they differ, one half of the phones follows a migration or a
    failover and the other does not, or a client that knows addresses only finds nothing at all.

    A service that an SRV set with the target `.` declines is left out of the comparison. `unknown`: the ways that
    could be walked to their end agree, but at least one could not.

    Mend: give the realm's A and AAAA, and the SRV set of every transport, the same edges; `realmkit dns plan REALM`
    does. Which client is of which kind is listed in docs/checks.md, under Kinds of clients.
    """
    for picture in _pictures(seen):
        ways = [one for one in picture.landings if one.hops or not one.declined]
        if not any(one.hops for one in ways):
            continue  # SIP01's
        told = [one for one in ways if not one.unknown]
        apart = len({one.addresses for one in told}) > 1
        unknown = [word for one in ways for word in one.unknown]
        if apart or unknown:
            yield Finding(
                "SIP04", "warning" if apart else "unknown", names.to_text(seen.name),
                "clients of different kinds land on different servers" if apart
                else "whether all kinds of clients land on the same servers can't be told",
                expected="one set of addresses for all", seen=_places(told) if apart else _few(unknown),
                mend=_plan(seen), server=picture.view.server,
            )  # fmt: skip


def _places(landings: Sequence[Landing]) -> str:
    """`full, srv: 198.51.100.1; a: nowhere`."""
    by_place: dict[frozenset[str], list[str]] = {}
    for one in landings:
        by_place.setdefault(one.addresses, []).append(one.profile)
    return "; ".join(f"{', '.join(who)}: {', '.join(sorted(place)) or 'nowhere'}" for place, who in by_place.items())


@check(RealmSeen, "SIP05", "error, warning", "a NAPTR or a port of another transport", source="RFC 3263 section 4.1")
def wrong_transport(seen: RealmSeen) -> Iterator[Finding]:
    """A NAPTR leads to another transport's SRV set, or an SRV set has a port that is another transport's by custom.

    An error for `SIP+D2T` that leads to `_sip._udp` and the like: the client speaks TCP to a port that was meant for
    UDP. A warning for port 5061 in `_sip._udp` or `_sip._tcp`, and for 5060 in `_sips._tcp`: mostly a slip, for 5061
    is the port of TLS (RFC 3261 section 19.1.2), and a phone then greets a TLS port in the clear, or the other way.

    It reads records only; what a port really speaks is SIP10.

    Mend: let the NAPTR lead to its own SRV set; correct the port under `edge: transports:`, and apply.
    """
    for picture in _pictures(seen):
        for one in _once([one for one in picture.naptrs(seen.name) if not _fits(one)]):
            where = names.to_text(one.replacement)
            yield Finding(
                "SIP05", "error", f"{key_to_text((seen.name, rr.NAPTR))} {where}",
                f"{one.service.decode()} leads to an SRV set of another transport",
                expected=b".".join(labels_of_service(one.service) or ()).decode(), seen=where,
                mend="point it to the transport's own SRV set", server=picture.view.server,
            )  # fmt: skip
        yield from _odd_ports(picture)


def _fits(one: Naptr) -> bool:
    """Whether a NAPTR leads to an SRV set of its own transport."""
    return tuple(names.labels_of(one.replacement)[:2]) == labels_of_service(one.service)


def _odd_ports(picture: _Picture) -> Iterator[Finding]:
    for rrset in picture.srv_sets():
        transport = transport_of(rrset.name)
        odd, usual = (5060, 5061) if transport == "tls" else (5061, 5060)
        there = [names.to_text(one.target) for one in read_srv(rrset.rdata) if one.port == odd]
        if transport is not None and there:
            yield Finding(
                "SIP05", "warning", key_to_text(rrset.key),
                "the port of SIP without TLS" if transport == "tls" else "the port of SIP over TLS",
                expected=str(usual), seen=f"port {odd} at {_few(there)}",
                mend="correct the port under edge: transports:, and apply", server=picture.view.server,
            )  # fmt: skip


@check(RealmSeen, "SIP08", "warning, notice, unknown", "no failover", source="RFC 3263 section 4.3")
def no_failover(seen: RealmSeen) -> Iterator[Finding]:
    """The realm leads to one address only, so that a client has nowhere else to go when it is down.

    Counted is what a client of RFC 3263 would try, for IPv4 and IPv6 apart: a phone mostly has one of them. Several
    SRV targets or priorities that all have one address look like failover and are none. A notice for one target with
    several addresses: RFC 3263 has clients try each of them, but many phones take the first and stay with it.

    It can't see an address that several machines share (VRRP, anycast, a load balancer); where that is so, say it with
    `realmkit health accept SIP08`.

    Mend: a second proxy under `edge: proxies:` with an address of its own, and apply.
    """
    for picture in _pictures(seen):
        full = picture.full
        by_family: dict[bool, set[str]] = {}
        for hop in full.hops:
            by_family.setdefault(":" in hop.address, set()).add(hop.address)
        most = max(map(len, by_family.values()), default=0)
        if most == 1 or (most and len(full.hosts) == 1):
            yield _lonely(seen, picture, most, sorted(full.hosts))


def _lonely(seen: RealmSeen, picture: _Picture, most: int, hosts: list[Name]) -> Finding:
    full = picture.full
    subject, server = names.to_text(seen.name), picture.view.server
    if full.unknown:
        return Finding(
            "SIP08", "unknown", subject, "whether there is a second server can't be told", seen=_few(full.unknown),
            server=server,
        )  # fmt: skip
    listed = ", ".join(sorted(full.addresses))
    if most > 1:
        through = "the realm's own addresses" if hosts == [seen.name] else names.to_text(hosts[0])
        return Finding(
            "SIP08", "notice", subject, "one target only, if with several addresses: some phones take the first one",
            expected="two targets", seen=f"{through}: {listed}", mend="add a second proxy to the edge", server=server,
        )  # fmt: skip
    message = "all its targets are at one address" if len(hosts) > 1 else "one address only, so there is no failover"
    return Finding(
        "SIP08", "warning", subject, message, expected="two addresses", seen=listed,
        mend="add a second proxy, with an address of its own, to the edge", server=server,
    )  # fmt: skip
