"""From the configuration to what there is to look at: zones, realms, pools, white-label hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.dns.plan import group_of
from realmkit.dns.records import Key, RRset
from realmkit.health.seen.task import Task, asked_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from realmkit.config import Project
    from realmkit.dns.realm import Realm
    from realmkit.dns.wanted import Wanted


class Scope(Struct, frozen=True):
    """What a run looks at.

    Attributes:
        zones: the apexes, those of hosts that realms lead to among them.
        tasks: realms, pools and hosts, each with its zone.
        wildcards: by zone, the wanted wildcard sets by owner and type.
        whole: whether it is everything that is configured.
        foreign: realms in zones of others.
    """

    zones: tuple[Name, ...]
    tasks: tuple[Task, ...]
    wildcards: Mapping[Name, Mapping[Key, RRset]]
    whole: bool
    foreign: tuple[Name, ...] = ()


def scope(project: Project, wanted: Wanted, only: Collection[Name] | None, zones: Collection[Name]) -> Scope:
    """Work out what there is to look at.

    Args:
        project: for the accounts of realms.
        wanted: what should be in DNS.
        only: realms, hosts or zones; None for all.
        zones: the zones that are about them.
    """
    accounts = {
        names.absolute(text): None if entry is None else entry.account for text, entry in project.config.realms.items()
    }
    tasks: list[Task] = []
    wildcards: dict[Name, dict[Key, RRset]] = {}
    for zone in zones:
        rrsets = wanted.zones[zone]
        wildcards[zone] = {key: rrset for key, rrset in rrsets.items() if names.is_wildcard(key[0])}
        chosen = (one for one in _tasks(zone, rrsets, wanted.realms, accounts) if _is_chosen(one, zone, only))
        tasks.extend(chosen)
    pools = {task.pool for task in tasks}
    if only is not None:  # the SRV sets that a chosen realm of a pool leads to
        for zone in zones:
            tasks.extend(
                one for one in _tasks(zone, wanted.zones[zone], {}, {}) if one.name in pools and one not in tasks
            )
    return Scope(tuple(zones), tuple(tasks), wildcards, only is None)


def _is_chosen(task: Task, zone: Name, only: Collection[Name] | None) -> bool:
    return only is None or zone in only or task.name in only


def _tasks(
    zone: Name, rrsets: Mapping[Key, RRset], realms: Mapping[Name, Realm], accounts: Mapping[Name, str | None]
) -> Iterator[Task]:
    groups: dict[Name, dict[Key, RRset]] = {}
    for key, rrset in rrsets.items():
        groups.setdefault(group_of(key[0]), {})[key] = rrset
    for name, group in groups.items():
        realm = realms.get(name)
        if realm is not None and not realm.shared:
            yield _realm(zone, name, group, accounts.get(name))
            continue
        explicit = {key: rrset for key, rrset in group.items() if not names.is_wildcard(key[0])}
        if explicit:
            kind: Literal["host", "pool"] = "host" if len(explicit) == len(group) else "pool"
            yield Task(name, zone, kind, explicit)
    for realm in realms.values():
        if realm.shared and not names.is_wildcard(realm.name) and names.closest(realm.name, (zone,)) == zone:
            yield from _shared(zone, realm, groups.get(realm.parent, {}), accounts.get(realm.name))


def _realm(zone: Name, name: Name, group: Mapping[Key, RRset], account: str | None) -> Task:
    return Task(name, zone, "realm", group, account=account)


def _shared(zone: Name, realm: Realm, pool: Mapping[Key, RRset], account: str | None) -> Iterator[Task]:
    wanted = asked_for(pool, names.wildcard_of(realm.parent), realm.name)
    if wanted:  # else its pool lies in another zone
        yield Task(realm.name, zone, "realm", wanted, realm.parent, account)
