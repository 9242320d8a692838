"""From the configuration to the wanted RRsets of each zone: names read, zones found, slips said with their line."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from realmkit.dns import names, rdata, realm
from realmkit.dns.names import Name
from realmkit.dns.realm import Edge, Realm, Target, WhiteLabelHost
from realmkit.dns.records import Key, RRset, type_to_text
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from realmkit.config import HostEntry, Mail, Project, Proxy, RealmEntry

Path_ = tuple["str | int", ...]
Addresses = tuple[tuple[int, bytes], ...]
T = TypeVar("T")


class Wanted(Struct, frozen=True):
    """What should be in DNS.

    Attributes:
        zones: for each configured zone its wanted RRsets.
        realms: the realms by name, pools by their wildcard.
    """

    zones: dict[Name, dict[Key, RRset]]
    realms: dict[Name, Realm]


def zone_names(project: Project) -> dict[Name, str]:
    """The configured zones: name and the key that the user wrote."""
    found: dict[Name, str] = {}
    for key in project.config.zones:
        name = _at(project, ("zones", key), names.absolute, key)
        if name in found:
            raise project.document.error(("zones", key), f"the same zone as {found[name]!r}")
        found[name] = key
    return found


def hosts_without_addresses(project: Project) -> list[str]:
    """Proxies of the edge whose addresses have to be looked up."""
    return [proxy.host for proxy in project.config.platform.edge.proxies if not proxy.addresses]


def wanted(project: Project, looked_up: Mapping[str, Addresses]) -> Wanted:
    """Derive everything that the project wants to have in DNS.

    Args:
        project: the configuration.
        looked_up: addresses of the hosts that `hosts_without_addresses` named.

    Raises:
        InputError: a name, an address or a realm's place that can't be; with file, line and path.
    """
    zones = zone_names(project)
    edge = edge_of(project, looked_up)
    realms = _realms(project)
    shape = realm.Shape(edge)
    rrsets = [rrset for one in _one_per_pool(realms.values()) for rrset in shape.derive(one)]
    rrsets.extend(rrset for host in _hosts(project) for rrset in realm.derive_host(host))
    by_key, clashes = realm.collect(rrsets)
    if clashes:
        raise _clash(project, *clashes[0])
    placed: dict[Name, dict[Key, RRset]] = {zone: {} for zone in zones}
    for key, rrset in by_key.items():
        zone = names.closest(rrset.name, zones)
        assert zone is not None  # noqa: S101 - the places of realms and hosts were checked
        placed[zone][key] = rrset
    return Wanted(placed, realms)


def edge_of(project: Project, looked_up: Mapping[str, Addresses]) -> Edge:
    """The platform's edge, read and with every address known."""
    entry = project.config.platform.edge
    path: Path_ = ("platform", "edge")
    return Edge(
        tuple(_target(project, (*path, "proxies", i), proxy, looked_up, None) for i, proxy in enumerate(entry.proxies)),
        tuple(entry.transports.items()),
        _mail(project, (*path, "mail"), entry.mail, None),
    )


def _realms(project: Project) -> dict[Name, Realm]:
    zones = zone_names(project)
    default = project.config.policy.ttl
    found: dict[Name, Realm] = {}
    for text, entry in project.config.realms.items():
        name = _at(project, ("realms", text), _realm_name, text)
        shared = entry is not None and entry.shape == "shared"
        _check_place(project, text, name, shared, zones)
        if name in found:
            raise project.document.error(("realms", text), "this realm appears twice, in another spelling")
        found[name] = Realm(name, shared, _ttl(entry, default))
    return found


def _one_per_pool(realms: Iterable[Realm]) -> Iterable[Realm]:
    """All explicit realms, and of the shared ones one for each pool and TTL: they want the same records."""
    pools: dict[tuple[Name, int], Realm] = {}
    for one in realms:
        if not one.shared:
            yield one
        else:
            pools.setdefault((one.parent, one.ttl), one)
    yield from pools.values()


def _realm_name(text: str) -> Name:
    if text.startswith("*."):
        return names.wildcard_of(names.check_realm(text[2:]))
    return names.check_realm(text)


def _check_place(project: Project, text: str, name: Name, shared: bool, zones: Mapping[Name, str]) -> None:
    path = ("realms", text)
    if names.is_wildcard(name) and not shared:
        raise project.document.error(path, "a wildcard is a pool of shared realms", "add `shape: shared`")
    place = names.parent(name) if shared else name
    if names.closest(place, zones) is None:
        known = ", ".join(zones.values()) or "none"
        raise project.document.error(
            path, f"lies in no zone under zones: ({known})", "add the zone with its provider, or mend the realm"
        )


def _ttl(entry: RealmEntry | None, default: int) -> int:
    return default if entry is None or entry.ttl is None else entry.ttl


def _hosts(project: Project) -> Iterable[WhiteLabelHost]:
    zones = zone_names(project)
    for domain_text, hosts in project.config.whitelabel.items():
        domain = _at(project, ("whitelabel", domain_text), names.absolute, domain_text)
        if names.closest(domain, zones) is None:
            raise project.document.error(("whitelabel", domain_text), "lies in no zone under zones:")
        for label, entry in hosts.items():
            yield _host(project, domain, ("whitelabel", domain_text, label), label, entry)


def _host(project: Project, domain: Name, path: Path_, label: str, entry: HostEntry) -> WhiteLabelHost:
    _check_kind(project, path, entry)
    return WhiteLabelHost(
        name=_at(project, path, lambda text: names.from_text(text, domain), label),
        ttl=project.config.policy.ttl,
        cname=None
        if entry.cname is None
        else _at(project, (*path, "cname"), lambda text: _host_name(text, domain), entry.cname),
        addresses=_addresses(project, (*path, "addresses"), entry.addresses),
        mail=_mail(project, (*path, "mail"), entry.mail, domain),
        transports=tuple(entry.transports.items()),
        targets=tuple(
            _target(project, (*path, "targets", i), proxy, {}, domain) for i, proxy in enumerate(entry.targets)
        ),
    )


def _check_kind(project: Project, path: Path_, entry: HostEntry) -> None:
    others = entry.addresses or entry.mail or entry.transports or entry.targets
    if entry.cname is not None and others:
        raise project.document.error(path, "a name with a CNAME can have nothing else (RFC 1034 section 3.6.2)")
    if entry.cname is None and not others:
        raise project.document.error(path, "wants one of cname, addresses, mail, or transports with targets")
    if bool(entry.transports) != bool(entry.targets):
        raise project.document.error(path, "transports and targets go together: NAPTR and SRV need both")


def _target(
    project: Project, path: Path_, proxy: Proxy, looked_up: Mapping[str, Addresses], domain: Name | None
) -> Target:
    host = _at(project, (*path, "host"), lambda text: _host_name(text, domain), proxy.host)
    addresses = _addresses(project, (*path, "addresses"), proxy.addresses) or looked_up.get(proxy.host, ())
    return Target(host, addresses, proxy.priority, proxy.weight)


def _mail(project: Project, path: Path_, mail: tuple[Mail, ...], domain: Name | None) -> tuple[tuple[int, Name], ...]:
    return tuple(
        (one.preference, _at(project, (*path, i, "host"), lambda text: _host_name(text, domain), one.host))
        for i, one in enumerate(mail)
    )


def _host_name(text: str, domain: Name | None) -> Name:
    """A host: complete, or inside a white-label domain also a single label of it (`us-east`)."""
    if domain is not None and "." not in text:
        return names.from_text(text, domain)
    name = names.absolute(text)
    if not names.is_hostname(name):
        raise names.BadNameError(f"{text!r} is no host name: letters, digits and inner hyphens (RFC 1123)")
    if names.labels_of(name)[-1].isdigit():
        raise names.BadNameError(f"{text!r} is an address where a host name belongs")
    return name


def _addresses(project: Project, path: Path_, texts: tuple[str, ...]) -> Addresses:
    return tuple(_at(project, (*path, i), rdata.address, text) for i, text in enumerate(texts))


def _at(project: Project, path: Path_, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except InputError as error:
        raise project.document.error(path, error.message, error.hint) from error
    except ValueError as error:
        raise project.document.error(path, str(error)) from error


def _clash(project: Project, one: RRset, other: RRset) -> InputError:
    name, kind = names.to_text(one.name), type_to_text(one.type)
    seen = [sorted(rdata.to_text(rrset.type, octets) for octets in rrset.rdata) for rrset in (one, other)]
    differ = f"{seen[0]} and {seen[1]}" if seen[0] != seen[1] else f"TTL {one.ttl} and TTL {other.ttl}"
    return InputError(f"{project.document.file}: {name} {kind} is wanted twice, with {differ}")
