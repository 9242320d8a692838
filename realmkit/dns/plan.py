"""Plans: what would change, as data that can be reviewed, stored, checked and turned round.

A plan lists changes of whole RRsets. It never holds a secret, and its digest covers every octet that would be
written, so that a reviewed file can be told from an edited one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Zone
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from realmkit.dns.records import Key


class Change(Struct, frozen=True, gc=False):
    """One RRset before and after. `before=None` creates it, `after=None` deletes it."""

    before: RRset | None
    after: RRset | None

    @property
    def key(self) -> Key:
        """Name and type of the RRset."""
        some = self.after or self.before
        assert some is not None  # noqa: S101 - a change of nothing to nothing is never built
        return some.key

    @property
    def verb(self) -> str:
        """`create`, `delete`, `ttl` when only the TTL differs, else `update`."""
        if self.before is None:
            return "create"
        if self.after is None:
            return "delete"
        return "ttl" if self.before.rdata == self.after.rdata else "update"

    def inverse(self) -> Change:
        """The change that undoes this one."""
        return Change(self.after, self.before)


class ZonePlan(Struct, frozen=True):
    """The changes of one zone, in the order in which they are made."""

    zone: Name
    changes: tuple[Change, ...]

    def inverse(self) -> ZonePlan:
        """The plan that undoes this one: the last change is undone first."""
        return ZonePlan(self.zone, tuple(change.inverse() for change in reversed(self.changes)))


class Plan(Struct, frozen=True):
    """The changes of all zones. Zones without a change are not in it."""

    zones: tuple[ZonePlan, ...] = ()

    @property
    def size(self) -> int:
        """How many RRsets change."""
        return sum(len(zone.changes) for zone in self.zones)

    @property
    def digest(self) -> str:
        """SHA-256 over every name, type, TTL and rdata before and after, 64 hex digits."""
        hasher = hashlib.sha256(b"realmkit plan 1\0")
        for zone in self.zones:
            hasher.update(b"Z" + zone.zone)
            for change in zone.changes:
                for side in (change.before, change.after):
                    hasher.update(b"-" if side is None else _octets(side))
        return hasher.hexdigest()

    def inverse(self) -> Plan:
        """The plan that undoes this one."""
        return Plan(tuple(zone.inverse() for zone in reversed(self.zones)))


def diff(live: Zone, wanted: Mapping[Key, RRset], owned: AbstractSet[Key]) -> ZonePlan:
    """What has to change in `live` so that it holds `wanted`.

    Args:
        live: the zone as it is.
        wanted: every RRset that should be there on our account.
        owned: which RRsets are ours; ours and no longer wanted are deleted, others are never.

    Returns:
        The changes, ordered so that what others point to is made first and unmade last.
    """
    changes = []
    there = live.rrsets
    for key, after in wanted.items():
        before = there.get(key)
        if before != after or key in live.mixed:
            changes.append(Change(before, after))
    gone = [key for key in owned if key not in wanted and key in there]
    changes.extend(Change(there[key], None) for key in gone)
    return ZonePlan(live.name, _ordered(changes))


def apply_to(zone: Zone, changes: Iterable[Change]) -> Zone:
    """The zone as it would be after `changes`; token and serial are dropped, for they can't be known."""
    rrsets = dict(zone.rrsets)
    mixed = set(zone.mixed)
    for change in changes:
        mixed.discard(change.key)
        if change.after is None:
            rrsets.pop(change.key, None)
        else:
            rrsets[change.key] = change.after
    return structs.replace(zone, rrsets=rrsets, mixed=frozenset(mixed), token="", serial=None)


def group_of(name: Name) -> Name:
    """The name whose records must never be half there: service labels and a wildcard label are stripped.

    `_sip._udp.acme.example.` and `*.acme.example.` belong to `acme.example.`.
    """
    while name[1:2] == b"_" or names.is_wildcard(name):
        name = names.parent(name)
    return name


def _ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Groups whole; hosts that others point to before those others; what only goes away last."""
    groups: dict[Name, list[Change]] = {}
    for change in changes:
        groups.setdefault(group_of(change.key[0]), []).append(change)

    def rank(name: Name) -> tuple[bool, bool, Name]:
        members = groups[name]
        goes = all(change.after is None for change in members)
        return goes, any(change.key[1] not in (rr.A, rr.AAAA) for change in members), name

    return tuple(change for name in sorted(groups, key=rank) for change in sorted(groups[name], key=_place))


def _place(change: Change) -> tuple[list[bytes], int]:
    """A realm's own records before those of its service names, as a person reads them."""
    return names.labels_of(change.key[0])[::-1], change.key[1]


def _octets(rrset: RRset) -> bytes:
    head = b"+%s%d %d %d\0" % (rrset.name, rrset.type, rrset.ttl, len(rrset.rdata))
    return head + b"".join(b"%d:%s" % (len(one), one) for one in sorted(rrset.rdata))


# --- the JSON form -------------------------------------------------------------------------------------------


def rrset_to_json(rrset: RRset | None) -> dict[str, Any] | None:
    """TTL and rdata as text, sorted; name and type stand with the change."""
    if rrset is None:
        return None
    return {"ttl": rrset.ttl, "rdata": sorted(rdata.to_text(rrset.type, one) for one in rrset.rdata)}


def zone_plan_to_json(plan: ZonePlan) -> dict[str, Any]:
    """The JSON form of one zone's changes."""
    return {
        "zone": names.to_text(plan.zone),
        "changes": [
            {
                "verb": change.verb,
                "name": names.to_text(change.key[0]),
                "type": rr.type_to_text(change.key[1]),
                "before": rrset_to_json(change.before),
                "after": rrset_to_json(change.after),
            }
            for change in plan.changes
        ],
    }


def zone_plan_from_json(data: Mapping[str, Any]) -> ZonePlan:
    """Read back what `zone_plan_to_json` wrote.

    Raises:
        InputError: it is no such thing.
    """
    try:
        zone = names.absolute(data["zone"])
        changes = tuple(_change_from_json(change) for change in data["changes"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"no plan of realmkit: {error!r}") from error
    return ZonePlan(zone, changes)


def _change_from_json(data: Mapping[str, Any]) -> Change:
    name, kind = names.absolute(data["name"]), rr.type_from_text(data["type"])
    before, after = (_rrset_from_json(name, kind, data[side]) for side in ("before", "after"))
    if before is None and after is None:
        raise InputError(f"{data['name']}: a change of nothing to nothing")
    return Change(before, after)


def _rrset_from_json(name: Name, kind: int, data: Mapping[str, Any] | None) -> RRset | None:
    if data is None:
        return None
    ttl = data["ttl"]
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl < 2**31 or not data["rdata"]:
        raise InputError(f"{names.to_text(name)}: no RRset: {data!r}")
    return RRset(name, kind, ttl, frozenset(rdata.from_text(kind, text) for text in data["rdata"]))
