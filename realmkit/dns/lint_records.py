"""Checks of single RRsets and of what they point to: SRV, NAPTR, MX, CNAME, addresses, TTLs, names."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from realmkit.dns import fields, names, rdata
from realmkit.dns import records as rr
from realmkit.dns.answer import Answer, Kind, lookup
from realmkit.dns.findings import Finding, Level
from realmkit.dns.realm import SERVICES
from realmkit.dns.records import RRset, key_to_text, type_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.dns.answer import ZoneIndex
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

# RFC 3263 section 4.1, RFC 4168 (SCTP), RFC 7118 (WebSocket): NAPTR service -> labels that its SRV set may have
NAPTR_SERVICES: Final = {service: tuple(labels.encode().split(b".")) for service, labels in SERVICES.values()} | {
    b"SIP+D2S": (b"_sip", b"_sctp"),
    b"SIPS+D2S": (b"_sips", b"_sctp"),
    b"SIP+D2W": (b"_sip", b"_ws"),
    b"SIPS+D2W": (b"_sips", b"_wss"),
}
NAPTR_FLAGS: Final = frozenset({b"S", b"A", b"U", b"P", b""})  # RFC 3404 section 4.3
# IANA's special-purpose registries; the documentation ranges are left out, for examples need addresses too
_PRIVATE: Final = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
)  # fmt: skip
_NEVER: Final = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "ff00::/8")
_UDP_PAYLOAD: Final = 1232  # octets; what resolvers ask for since DNS flag day 2020


class World:
    """The zones at hand.

    Args:
        zones: indexed, by apex.
        allow_private: whether private addresses are meant.
    """

    def __init__(self, zones: Mapping[Name, ZoneIndex], *, allow_private: bool) -> None:
        self.zones = zones
        self.allow_private = allow_private
        self.clean: set[tuple[object, ...]] = set()  # what was found in order; thousands of realms share their values
        self._hosts: dict[Name, tuple[Kind, ...]] = {}
        self._seen_addresses: dict[bytes, str | None] = {}

    def zone_of(self, name: Name) -> ZoneIndex | None:
        """The most specific zone at hand that holds `name`."""
        apex = names.closest(name, self.zones)
        return None if apex is None else self.zones[apex]

    def find(self, name: Name, kind: Type) -> Answer | None:
        """What would be answered; None when it lies in none of the zones at hand."""
        index = self.zone_of(name)
        return None if index is None else lookup(index, name, kind)

    def addresses(self, host: Name) -> tuple[Kind, ...]:
        """How the look-ups of A and AAAA end; empty when the host lies elsewhere."""
        known = self._hosts.get(host)
        if known is None:
            answers = (self.find(host, rr.A), self.find(host, rr.AAAA))
            known = tuple(answer.kind for answer in answers if answer is not None)
            if self._made_up(host):
                known = ()  # the provider makes them up when it answers: they can't be told from here
            self._hosts[host] = known
        return known

    def _made_up(self, host: Name) -> bool:
        index = self.zone_of(host)
        return index is not None and any((host, kind) in index.zone.opaque for kind in (rr.A, rr.AAAA, rr.CNAME))

    def is_proxied(self, host: Name) -> bool:
        """Whether the addresses of a host are a web proxy's."""
        index = self.zone_of(host)
        return index is not None and host in index.zone.proxied

    def address_range(self, octets: bytes) -> str | None:
        """The special range that an address lies in, if any that should not be in public DNS."""
        if octets not in self._seen_addresses:
            self._seen_addresses[octets] = _special_range(octets)
        return self._seen_addresses[octets]


def check_rrset(world: World, index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    """Every finding about one RRset of a zone."""
    yield from _owner(index, rrset)
    if (rrset.name, rrset.type) in index.zone.mixed:
        yield _finding(
            "SEM13", "error", rrset, "its records have differing TTLs (RFC 2181 section 5.2)", mend="one TTL for all"
        )
    if (what := index.zone.opaque.get(rrset.key)) is not None:
        yield _finding(
            "PRV02", "error", rrset, "something else stands there already", seen=what,
            mend="take it away by hand where it was made, or choose another name",
        )  # fmt: skip
    yield from _values(world, index, rrset)
    if len(rrset.rdata) > 8 and sum(len(one) + 12 for one in rrset.rdata) > _UDP_PAYLOAD:
        yield _finding("SEM11", "notice", rrset, f"its answer is above {_UDP_PAYLOAD} octets and needs TCP")


def _values(world: World, index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    """What a set's own type says of its values. The owner counts in two ways only: as a service, as a wildcard."""
    check = _CHECKS.get(rrset.type)
    if check is None:
        return
    if rrset.type == rr.NAPTR:  # leads to the realm's own SRV sets, so no two of them are alike
        yield from check(world, index, rrset)
        return
    make = (index.zone.name, rrset.type, rrset.rdata, rrset.name[1:2] == b"_", names.is_wildcard(rrset.name))
    if make not in world.clean:
        found = list(check(world, index, rrset))
        yield from found
        if not found:
            world.clean.add(make)


def _finding(check: str, level: Level, rrset: RRset, message: str, **more: str) -> Finding:
    return Finding(check, level, key_to_text(rrset.key), message, **more)


def _owner(index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    if b"*" in rrset.name[2 if names.is_wildcard(rrset.name) else 0 :]:
        yield _finding(
            "WLD04", "error", rrset, "an asterisk that is not the whole leftmost label is no wildcard (RFC 4592)",
            mend="put the asterisk alone at the left",
        )  # fmt: skip
    if len(index.nodes.get(rrset.name, ())) > 1 and rrset.type == rr.CNAME:
        yield _finding(
            "SEM01", "error", rrset, "a CNAME beside other records (RFC 2181 section 10.1)",
            seen=", ".join(type_to_text(kind) for kind in index.nodes[rrset.name]), mend="keep one or the other",
        )  # fmt: skip
    elif (rrset.name, rr.CNAME) in index.zone.rrsets and rrset.type != rr.CNAME:
        yield _finding(
            "SEM01", "error", rrset, "stands beside a CNAME, and name servers ignore or refuse it (RFC 2181 10.1)",
            mend="remove the CNAME, or choose another name",
        )  # fmt: skip
    cut = lookup(index, rrset.name, rrset.type) if index.cuts else None
    itself = cut is not None and cut.source == rrset.name and rrset.type in (rr.NS, rr.DS)
    if cut is not None and cut.kind is Kind.DELEGATED and not itself:
        yield _finding(
            "DEL09", "error", rrset, f"{names.to_text(cut.source)} is delegated, so nobody will see this record",
            mend="publish it in the delegated zone",
        )  # fmt: skip


def _doubled(index: ZoneIndex, target: Name) -> bool:
    """Whether a name ends with its zone twice: the final dot was forgotten."""
    apex = index.zone.name
    surplus = target[: len(target) - len(apex)] + b"\0"
    return apex != names.ROOT and names.is_under(target, apex) and surplus != apex and names.is_under(surplus, apex)


def _check_doubled(index: ZoneIndex, rrset: RRset, target: Name) -> Iterator[Finding]:
    if _doubled(index, target):
        yield _finding(
            "SEM08", "error", rrset, "the target ends with the zone twice: the final dot is missing",
            seen=names.to_text(target), mend="end the target with a dot",
        )  # fmt: skip


def _check_host(world: World, index: ZoneIndex, rrset: RRset, target: Name, ids: tuple[str, str]) -> Iterator[Finding]:
    """A target of SRV or MX: a host name, no alias, with an address as far as the zones at hand tell."""
    seen = names.to_text(target)
    if not names.is_hostname(target) or names.labels_of(target)[-1].isdigit():
        yield _finding(ids[0], "error", rrset, "its target is no host name", seen=seen, mend="name a host")
        return
    yield from _check_doubled(index, rrset, target)
    if world.is_proxied(target):
        yield _finding(
            "PRV03", "error", rrset, "its target is behind a web proxy, which SIP and mail do not pass", seen=seen,
            mend=f"at the DNS provider, turn the proxy off for {seen}",
        )  # fmt: skip
    kinds = world.addresses(target)
    if Kind.CNAME in kinds:
        yield _finding(
            ids[0], "error", rrset, "its target is an alias (RFC 2181 section 10.3)", seen=f"{seen} is a CNAME",
            mend="name the host that the alias leads to",
        )  # fmt: skip
    elif kinds and all(kind in (Kind.NODATA, Kind.NXDOMAIN) for kind in kinds):
        yield _finding(
            ids[1], "error", rrset, "its target has no address", expected=f"A or AAAA at {seen}",
            seen=kinds[0].value, mend=f"publish an address at {seen}",
        )  # fmt: skip


def _check_srv(world: World, index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    entries = [fields.srv(one) for one in rrset.rdata]
    if rrset.name[1:2] != b"_":
        yield _finding("SEM10", "warning", rrset, "an SRV set's name begins with a service label such as _sip")
    for _priority, _weight, port, target in entries:
        if target == names.ROOT:
            if len(entries) > 1:
                yield _finding("SEM03", "error", rrset, "the target . says 'no such service' and must stand alone")
            continue
        if port == 0:
            yield _finding("SEM04", "warning", rrset, "port 0", seen=names.to_text(target))
        yield from _check_host(world, index, rrset, target, ("SEM02", "SIP03"))
    if names.is_wildcard(rrset.name):
        yield _finding(
            "WLD03", "warning", rrset, "a wildcard SRV answers for every service and transport alike",
            mend="let a wildcard NAPTR lead to one shared SRV set",
        )  # fmt: skip
    if _has_idle_weight([(priority, weight) for priority, weight, _, _ in entries]):
        yield _finding("SEM04", "notice", rrset, "weight 0 beside others: that target gets next to no calls")


def _has_idle_weight(weights: list[tuple[int, int]]) -> bool:
    """Whether a target of weight 0 shares its priority with one that has weight."""
    busy = {priority for priority, weight in weights if weight}
    return any(weight == 0 and priority in busy for priority, weight in weights)


def _check_mx(world: World, index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    for one in rrset.rdata:
        target = one[2:]
        if target != names.ROOT:
            yield from _check_host(world, index, rrset, target, ("MX01", "MX01"))
        elif len(rrset.rdata) > 1:
            yield _finding("MX02", "error", rrset, "a null MX must stand alone (RFC 7505 section 3)")
        else:
            yield _finding("MX02", "warning", rrset, "a null MX: fax mail to this name is refused")


def _check_address(world: World, _index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    for octets in rrset.rdata:
        network = world.address_range(octets)
        if network is None or (world.allow_private and network not in ("0.0.0.0/8", "::/128")):
            continue
        yield _finding(
            "SEM09", "error" if network in _NEVER else "warning", rrset, f"an address of {network} is in public DNS",
            seen=rdata.to_text(rrset.type, octets),
            mend="publish the public address, or set policy.allow_private_addresses",
        )  # fmt: skip


def _special_range(octets: bytes) -> str | None:
    address = ip_address(octets)
    return next((text for text in (*_PRIVATE, *_NEVER) if address in ip_network(text)), None)


def _check_naptr(world: World, index: ZoneIndex, rrset: RRset) -> Iterator[Finding]:
    places: dict[bytes, set[bytes]] = {}
    for one in rrset.rdata:
        _, _, flags, service, regexp, replacement = fields.naptr(one)
        places.setdefault(one[:4], set()).add(service.upper())
        for check, message in _naptr_slips(flags, service, regexp, replacement):
            yield _finding(check, "error", rrset, message, seen=rdata.to_text(rr.NAPTR, one))
        if flags.upper() == b"S" and replacement != names.ROOT and service.upper() in NAPTR_SERVICES:
            yield from _check_replacement(world, index, rrset, service, replacement)
    for transports in places.values():
        if len(transports) > 1:
            yield _finding(
                "SEM07", "warning", rrset, "transports of equal order and preference: each phone picks its own",
                seen=", ".join(sorted(one.decode("ascii", "replace") for one in transports)),
            )  # fmt: skip


def _naptr_slips(flags: bytes, service: bytes, regexp: bytes, replacement: Name) -> Iterator[tuple[str, str]]:
    """Id and message of what is wrong with the fields of one record by themselves."""
    if flags.upper() not in NAPTR_FLAGS:
        yield "SEM05", "its flags are none of S, A, U, P (RFC 3404 4.3)"
    if bool(regexp) == (replacement != names.ROOT):
        word = "both a regexp and a replacement" if regexp else "neither a regexp nor a replacement"
        yield "SEM05", f"it has {word} (RFC 3403 section 4.1)"
    if service.upper() not in NAPTR_SERVICES and service.upper().startswith((b"SIP", b"SIPS")):
        yield "SEM06", "no SIP transport has this service field"


def _check_replacement(
    world: World, index: ZoneIndex, rrset: RRset, service: bytes, replacement: Name
) -> Iterator[Finding]:
    """NAPTR -> SRV: the set exists, and it is that transport's."""
    yield from _check_doubled(index, rrset, replacement)
    labels = NAPTR_SERVICES[service.upper()]
    if tuple(names.labels_of(replacement)[:2]) != labels:
        seen = names.to_text(replacement)
        yield _finding(
            "SIP05", "error", rrset, f"{service.decode()} leads to an SRV set of another transport",
            expected=b".".join(labels).decode(), seen=seen, mend="point it to the transport's own SRV set",
        )  # fmt: skip
    answer = world.find(replacement, rr.SRV)
    if answer is not None and answer.kind in (Kind.NODATA, Kind.NXDOMAIN, Kind.CNAME):
        seen = names.to_text(replacement)
        yield _finding(
            "SIP02", "error", rrset, f"{service.decode()} leads to a name without SRV", expected=f"SRV at {seen}",
            seen=answer.kind.value, mend=f"publish the SRV set {seen}",
        )  # fmt: skip


_CHECKS: Final = {
    rr.A: _check_address,
    rr.AAAA: _check_address,
    rr.MX: _check_mx,
    rr.SRV: _check_srv,
    rr.NAPTR: _check_naptr,
}
