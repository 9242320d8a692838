"""Taking over records that exist: from then on the configuration decides about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import group_of
from realmkit.dns.provider import Notes
from realmkit.dns.records import Key, RRset, key_to_text
from realmkit.errors import InputError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone
    from realmkit.dns.work.desk import Desk


class Adopted(Struct, frozen=True):
    """RRsets that became ours, and those that already were."""

    taken: list[RRset]
    already: list[Key]


def adopt(desk: Desk, keys: Collection[Key]) -> Adopted:
    """Take over RRsets that exist: from now on the configuration decides about them.

    Raises:
        InputError: one does not exist. RefusedError: one belongs to someone else by the provider's notes.
    """
    taken: list[RRset] = []
    already: list[Key] = []
    with desk.locked():
        for zone, mine in _by_zone(desk, keys).items():
            live = desk.provider(zone).snapshot(zone)
            _check_adoptable(live, mine, desk.owner)
            owned = desk.ours(live)
            fresh = [key for key in mine if key not in owned]
            already.extend(key for key in mine if key in owned)
            provider = desk.provider(zone)
            if fresh and isinstance(provider, Notes):
                provider.mark(zone, dict.fromkeys(fresh, desk.owner), live.token)
            desk.ledger(zone).record(desk.clock.now(), "adopt", take=mine)
            taken.extend(live.rrsets[key] for key in fresh)
    return Adopted(taken, already)


def adoptable(desk: Desk) -> list[Key]:
    """Wanted RRsets that exist, with whatever content, and are not ours."""
    wanted, _ = desk.wanted()
    live = desk.snapshots([zone for zone, rrsets in wanted.zones.items() if rrsets])
    found: list[Key] = []
    for zone, snapshot in live.items():
        ours = desk.ours(snapshot)
        found.extend(key for key in wanted.zones[zone] if key in snapshot.rrsets and key not in ours)
    return found


def find_keys(desk: Desk, name: Name, kinds: Iterable[str]) -> list[Key]:
    """The RRsets at a name, by type; without types all that a realm or host has, its service names included."""
    zone = next(iter(_by_zone(desk, [(name, 0)])))
    wanted = [rr.type_from_text(kind) for kind in kinds]
    if wanted:
        return [(name, kind) for kind in wanted]
    live = desk.provider(zone).snapshot(zone)
    found = [key for key in live.rrsets if group_of(key[0]) == name and key[1] not in rr.SIGNING]
    if name == zone:
        found = [key for key in found if key[1] not in (rr.SOA, rr.NS)]
    return sorted(found)


def chosen(key: Key, zone: Name, only: Collection[Name] | None) -> bool:
    """Whether a command that was narrowed to realms, hosts or zones is about this RRset."""
    return only is None or zone in only or group_of(key[0]) in only


def _by_zone(desk: Desk, keys: Iterable[Key]) -> dict[Name, list[Key]]:
    found: dict[Name, list[Key]] = {}
    for key in keys:
        zone = names.closest(key[0], desk.zones)
        if zone is None:
            raise InputError(f"{names.to_text(key[0])} lies in no zone under zones:")
        found.setdefault(zone, []).append(key)
    return found


def _check_adoptable(live: Zone, keys: Iterable[Key], owner: str) -> None:
    for key in keys:
        subject = key_to_text(key)
        if key not in live.rrsets:
            raise InputError(f"{subject} does not exist in {names.to_text(live.name)}, so it can't be adopted")
        if key[1] == rr.SOA or (key[0] == live.name and key[1] == rr.NS):
            raise RefusedError(f"{subject}: the zone's own SOA and NS are never managed")
        if live.owners.get(key, owner) != owner:
            raise RefusedError(
                f"{subject} belongs to {live.owners[key]!r} by the provider's note",
                hint="agree with its owner, who takes the note away first",
            )
