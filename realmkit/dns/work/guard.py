"""Guards: what a plan may not do, or only when the user says so by the guard's name.

`foreign`, `apex` and `provider` can't be lifted. `blast-radius`, `realm-removal`, `copy-over` and `copy-blind` (both
about zones that change their provider, `zonecopy.py`) and the ids of lint errors can, each by its own `--allow`, so
that lifting one never lifts another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.plan import group_of
from realmkit.dns.records import Key, key_to_text, type_to_text
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change, ZonePlan
    from realmkit.dns.provider import Capabilities
    from realmkit.dns.records import Zone

FIXED: Final = frozenset({"foreign", "apex", "provider"})
LIFTABLE: Final = frozenset({"blast-radius", "realm-removal", "copy-over", "copy-blind"})
_CHECK_ID: Final = re.compile(r"[A-Z]{2,3}[0-9]{2}\Z")


class Hold(Struct, frozen=True):
    """A guard that holds a plan back.

    Attributes:
        guard: its name, which `--allow` takes unless it is one of `FIXED`.
        subject: what it is about.
        message: why.
        mend: what to do about it.
    """

    guard: str
    subject: str
    message: str
    mend: str

    @property
    def can_be_allowed(self) -> bool:
        """Whether `--allow` lifts it."""
        return self.guard not in FIXED


def holds(
    plan: ZonePlan,
    live: Zone,
    owned: AbstractSet[Key],
    owner: str,
    can: Capabilities,
    findings: Iterable[Finding],
) -> list[Hold]:
    """Every reason not to apply `plan` to `live`.

    Args:
        plan: the changes.
        live: the zone that they are for.
        owned: what is ours by the ledger.
        owner: our word in the provider's notes.
        can: what the provider can do.
        findings: lint findings on the zone as it would be.
    """
    found = list(_foreign(plan, live, owned, owner))
    found.extend(_apex(plan))
    found.extend(_beyond_provider(plan, can))
    found.extend(_removals(plan, live))
    found.extend(
        Hold(finding.id, finding.subject, finding.message, finding.mend) for finding in findings if finding.stops
    )
    return found


def blast_radius(plans: Iterable[ZonePlan], limit: int) -> list[Hold]:
    """One hold when more existing RRsets are touched, over all zones, than one run may."""
    touched = sum(change.before is not None for plan in plans for change in plan.changes)
    if touched <= limit:
        return []
    return [
        Hold(
            "blast-radius",
            f"{touched} RRsets",
            f"{touched} existing RRsets would be changed or deleted; one run may touch {limit}",
            "review the plan, then --allow blast-radius, or raise policy.guards.blast_radius",
        )
    ]


def remaining(found: Iterable[Hold], allowed: Collection[str] | None) -> list[Hold]:
    """The holds that the user's `--allow` did not lift; None lifts all that can be lifted."""
    return [hold for hold in found if not (hold.can_be_allowed and (allowed is None or hold.guard in allowed))]


def check_allowed(names_: Iterable[str]) -> None:
    """See that `--allow` names guards that can be lifted, one by one.

    Raises:
        InputError: no such guard, or one that is never lifted.
    """
    for name in names_:
        if name in FIXED:
            raise InputError(f"the guard {name!r} is never lifted", hint="docs/dns.md says what to do instead")
        if name not in LIFTABLE and not _CHECK_ID.match(name):
            known = ", ".join(sorted(LIFTABLE))
            raise InputError(f"no guard {name!r}; known are {known}, and the ids of checks such as WLD01")


def is_ours(key: Key, live: Zone, owned: AbstractSet[Key], owner: str) -> bool:
    """Whether an RRset belongs to this project: the backend's note decides where there is one, else the ledger."""
    return live.owners[key] == owner if key in live.owners else key in owned


def ours(live: Zone, owned: AbstractSet[Key], owner: str) -> frozenset[Key]:
    """Everything in `live` that belongs to this project."""
    noted = {key for key, word in live.owners.items() if word == owner}
    return frozenset(noted | {key for key in owned if key not in live.owners})


def _foreign(plan: ZonePlan, live: Zone, owned: AbstractSet[Key], owner: str) -> Iterator[Hold]:
    for change in plan.changes:
        if what := _hidden(change, live):
            mend = "take it away by hand where it was made, or leave this name alone"
            yield Hold("foreign", key_to_text(change.key), f"there is something else: {what}", mend)
        if change.before is None or is_ours(change.key, live, owned, owner):
            continue
        subject = key_to_text(change.key)
        holder = live.owners.get(change.key)
        if holder:
            yield Hold("foreign", subject, f"belongs to {holder!r}", "agree with its owner first")
        else:
            mend = f"realmkit dns adopt {names.to_text(group_of(change.key[0]))}  (after a look at what it is for)"
            yield Hold("foreign", subject, "exists and was not made by realmkit", mend)


def _hidden(change: Change, live: Zone) -> str | None:
    """What stands in the way of a change though it is no RRset: at the same type, or an alias at the same name."""
    name, kind = change.key
    in_the_way = (kind, rr.CNAME) if change.after is not None else (kind,)
    return next((live.opaque[name, one] for one in in_the_way if (name, one) in live.opaque), None)


def _apex(plan: ZonePlan) -> Iterator[Hold]:
    for change in plan.changes:
        name, kind = change.key
        if kind == rr.SOA or (name == plan.zone and kind in (rr.NS, rr.DS)):
            yield Hold(
                "apex", key_to_text(change.key), "the zone's own SOA, NS and DS are never changed", "edit them by hand"
            )
        elif not names.is_under(name, plan.zone):
            yield Hold("apex", key_to_text(change.key), f"lies outside {names.to_text(plan.zone)}", "mend the plan")


def _beyond_provider(plan: ZonePlan, can: Capabilities) -> Iterator[Hold]:
    for change in plan.changes:
        after = change.after
        if after is None:
            continue
        if after.ttl < can.min_ttl:
            text = f"the TTL {after.ttl} is below the provider's lowest, {can.min_ttl}"
            yield Hold("provider", key_to_text(change.key), text, "raise the TTL in policy or at the realm")
        if can.types is not None and after.type not in can.types:
            text = f"the provider can't hold {type_to_text(after.type)} records"
            yield Hold("provider", key_to_text(change.key), text, "use another provider for this zone")


def _removals(plan: ZonePlan, live: Zone) -> Iterator[Hold]:
    """Names that would lose the last of their addresses and pointers: phones there go dark."""
    groups: dict[Name, set[Key]] = {}
    for change in plan.changes:
        if change.after is None:
            groups.setdefault(group_of(change.key[0]), set()).add(change.key)
    if not groups:
        return
    left = _members(live, groups.__contains__)
    for change in plan.changes:
        if change.after is not None:
            left.setdefault(group_of(change.key[0]), set()).add(change.key)
    for name, gone in groups.items():
        if not left.get(name, set()) - gone:
            yield Hold(
                "realm-removal",
                names.to_text(name),
                f"all its {len(gone)} RRsets would be deleted: whatever registers there goes dark",
                "--allow realm-removal, once nothing registers there any more",
            )


def _members(live: Zone, wanted: Callable[[Name], bool]) -> dict[Name, set[Key]]:
    found: dict[Name, set[Key]] = {}
    for key in live.rrsets:
        name = group_of(key[0])
        if wanted(name):
            found.setdefault(name, set()).add(key)
    return found
