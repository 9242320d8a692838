"""Is a zone ready to change its name servers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import untold

if TYPE_CHECKING:
    from collections.abc import Iterator


@check(ZoneSeen, "MIG02", "error, warning, unknown", "the NS set lives long, before the zone moves",
       source="RFC 1035 section 3.2.1, RFC 2181 section 5.4.1")  # fmt: skip
def ns_ttl(seen: ZoneSeen) -> Iterator[Finding]:
    """Before a zone moves to other name servers, its NS set (and DS) is remembered for a short time only.

    Resolvers go on asking the old servers until the NS set that they remember runs out: the zone's own where they trust
    it more, the parent's otherwise. As long as that lasts, old and new servers must both answer, and alike.

    The zone's own TTL is yours: lower it to the migration TTL, and wait as long as it was before. The parent's TTL is
    the registry's (2 days for .com) and can't be lowered: keep the old servers serving for that long after the change.
    The same goes for the DS set, if the zone is signed.

    The zone's own TTL is an error, the parent's a warning. Judged for zones that are named with `--ready`.

    Mend: lower the TTL of the zone's NS set; plan the end of the old servers by the longer of the two TTLs.

    Can't see: resolvers that hold records for longer than they may.
    """
    if not seen.task.moving:
        return
    limit = seen.task.migration_ttl
    yield from _child(seen)
    parent = seen.parent
    if parent is None:
        return
    subject = f"{seen.title} NS TTL at the parent"
    if parent.unknown or parent.ttl is None:
        yield untold("MIG02", subject, "the parent's TTL", " ".join(parent.unknown[:1]) or "it gave none")
        return
    ds = parent.ds.ttl if parent.ds is not None else 0
    for what, ttl, at in (("NS", parent.ttl, subject), ("DS", ds, f"{seen.title} DS TTL at the parent")):
        if ttl > limit:
            text = f"after a change resolvers may follow the parent's old {what} set for that long"
            mend = "keep the old servers serving for that long after the change; the registry sets this TTL"
            yield Finding("MIG02", "warning", at, text, f"{limit} or less", str(ttl), mend)
    if parent.ds_unknown:
        yield untold("MIG02", f"{seen.title} DS TTL at the parent", "the DS set", parent.ds_unknown)


def _child(seen: ZoneSeen) -> Iterator[Finding]:
    subject, limit = f"{seen.title} NS TTL", seen.task.migration_ttl
    told = [one.ns.rrset.ttl for one in seen.servers if one.ns.state == "present" and one.ns.rrset is not None]
    if not told:
        why = seen.servers[0].ns.detail if seen.servers else "no server is known"
        yield untold("MIG02", subject, "the TTL of the zone's own NS set", why)
    elif max(told) > limit:
        text = "resolvers remember the zone's own NS set for that long"
        mend = f"lower the TTL of the zone's NS set to {limit}, and wait as long as it was"
        yield Finding("MIG02", "error", subject, text, f"{limit} or less", str(max(told)), mend)
