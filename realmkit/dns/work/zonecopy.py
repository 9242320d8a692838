"""A zone that changes its provider: what is copied, what is not, and how long each step must be waited for.

Everything here is pure. `zonemove.py` reads, writes and asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names, plan
from realmkit.dns import records as rr
from realmkit.dns.records import Key, key_to_text, listing, type_to_text
from realmkit.dns.work.guard import Hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.names import Name
    from realmkit.dns.plan import ZonePlan
    from realmkit.dns.provider import Capabilities
    from realmkit.dns.records import RRset, Zone

_ZONEMD: Final = 63
_MADE_BY_SIGNERS: Final = rr.SIGNING | {_ZONEMD, 65534}  # 65534: BIND's private signing state


def is_copied(key: Key, zone: Name) -> bool:
    """Whether an RRset belongs to the zone's content, and not to the place where it is kept.

    SOA and NS of the apex are the new provider's own; what a signer made is made anew by the next signer.
    """
    name, kind = key
    return kind not in _MADE_BY_SIGNERS and not (name == zone and kind in (rr.SOA, rr.NS))


def content(zone: Zone) -> dict[Key, RRset]:
    """All RRsets of a zone that a copy of it must hold."""
    return {key: rrset for key, rrset in zone.rrsets.items() if is_copied(key, zone.name)}


def copy_plan(source: Zone, target: Zone) -> ZonePlan:
    """The changes after which `target` holds what `source` does, and nothing else."""
    there = content(target)
    return plan.diff(target, content(source), there.keys())


def differences(source: Zone, target: Zone) -> list[Key]:
    """RRsets that are not the same in both, by name, type, TTL and every octet of rdata; sorted."""
    ours, theirs = content(source), content(target)
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))


def holds(changes: ZonePlan, source: Zone, can: Capabilities) -> Iterator[Hold]:
    """Every reason not to copy.

    Args:
        changes: what `copy_plan` gave.
        source: the zone as it is.
        can: what the new provider can do.
    """
    touched = [change.key for change in changes.changes if change.before is not None]
    if touched:
        yield Hold(
            "copy-over", names.to_text(changes.zone), f"the new provider holds other records: {listing(touched)}",
            "see what they are for; --allow copy-over overwrites or deletes them",
        )  # fmt: skip
    for text in (*source.unread, *filter(None, [source.blind])):
        yield Hold(
            "copy-blind", names.to_text(changes.zone), f"what can't be read would not be copied: {text}",
            "make it at the new provider by hand, then --allow copy-blind",
        )  # fmt: skip
    for change in changes.changes:
        after = change.after
        if after is not None and can.types is not None and after.type not in can.types:
            text = f"the new provider can't hold {type_to_text(after.type)} records"
            yield Hold("provider", key_to_text(change.key), text, "take it out of the zone, or choose another provider")
        if after is not None and after.ttl < can.min_ttl:
            text = f"its TTL {after.ttl} is below the new provider's lowest, {can.min_ttl}"
            yield Hold("provider", key_to_text(change.key), text, "raise it at the old provider first")


class Parent(Struct, frozen=True):
    """What the zone's parent says of it.

    Attributes:
        hosts: the name servers that the zone is delegated to.
        ns_ttl: of that NS set, in seconds; None if unknown.
        ds_ttl: of the DS set, in seconds; 0 if there is none, None if unknown.
        unknown: in words, what could not be found out.
    """

    hosts: tuple[str, ...]
    ns_ttl: int | None
    ds_ttl: int | None
    unknown: tuple[str, ...] = ()


class Stage(Struct, frozen=True):
    """One step of the way from one provider to the other.

    Attributes:
        text: what to do.
        wait: seconds to wait after it, None if that could not be worked out.
        why: where the seconds come from.
    """

    text: str
    wait: int | None = 0
    why: str = ""


def stages(source: Zone, target_hosts: tuple[str, ...], parent: Parent, where: str) -> list[Stage]:
    """What remains to be done once the copy is verified on the new servers, in order.

    A resolver may go by the old NS set for the greater of its TTLs at the parent and in the zone itself (RFC 2181
    section 5.4.1 lets it prefer the zone's own), and may want signatures for as long as it remembers the DS set
    (RFC 4035 section 5, RFC 6781 section 4.3.5).

    Args:
        source: the zone at the old provider.
        target_hosts: the new provider's servers; empty if they are not known.
        parent: what the parent says.
        where: file and line of the zone's entry in the configuration.
    """
    zone = names.to_text(source.name)
    found = [Stage(f"change nothing in {zone} at either provider until the end, but by `dns apply` and a new copy")]
    if parent.ds_ttl is None:
        found.append(Stage(f"find out whether the parent has a DS set for {zone}: if so, take it away first", None))
    elif parent.ds_ttl:
        text = "the zone is signed: take its DS set away at the registrar (or have the new provider use the same keys)"
        found.append(Stage(text, parent.ds_ttl, f"the TTL of the DS set, {parent.ds_ttl} s"))
    own = source.rrsets.get((source.name, rr.NS))
    own_ttl = own.ttl if own else None
    hosts = ", ".join(host.rstrip(".") for host in target_hosts) or "the new provider's servers"
    ttls = [ttl for ttl in (parent.ns_ttl, own_ttl) if ttl is not None]
    unknown = parent.ns_ttl is None
    why = f"the greater of the NS set's TTLs: {_seconds(parent.ns_ttl)} at the parent, {_seconds(own_ttl)} in the zone"
    found.append(Stage(f"at the registrar, delegate {zone} to {hosts}", None if unknown else max(ttls), why))
    found.append(Stage(f"name the new provider at {where}, then `realmkit dns verify`"))
    found.append(Stage("delete the zone at the old provider, after a week without questions to its servers"))
    if parent.ds_ttl:
        found.append(Stage("have the new provider sign, then give its DS set to the registrar"))
    return found


def _seconds(ttl: int | None) -> str:
    return "unknown" if ttl is None else f"{ttl} s"
