"""Is a realm ready to be moved, and do the old and the new one stand side by side while it is?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.moving import MovingSeen, OverlapSeen

if TYPE_CHECKING:
    from collections.abc import Iterator


@check(
    MovingSeen,
    "MIG01",
    "error, unknown",
    "TTLs are not low, or not low for long enough",
    source="RFC 1035 section 3.2.1",
)
def ttl_not_ready(seen: MovingSeen) -> Iterator[Finding]:
    """A realm that is about to move still has a long TTL, or its TTL was lowered more recently than the old TTL.

    A resolver that asked just before the TTL was lowered keeps the old answer for the whole old TTL. Only when that
    time has passed since every server was first *seen* with the low TTL may records change. `health check` remembers
    in `.realmkit/health.json` since when it has seen them low; a realm that it meets for the first time with low TTLs
    is taken to have had `policy.ttl` before.

    Mend: `realmkit dns plan NAME --migration-ttl` and apply it a day ahead; then wait until the time that is named.
    Judged for realms with a planned migration and with `--ready`.
    """
    subject = names.to_text(seen.name)
    name = subject[:-1]
    if seen.ttl is None:
        yield Finding("MIG01", "unknown", subject, "its TTLs could not be seen", mend="look again once it is served")
        return
    low = f"at most {seen.wanted} s"
    if seen.ttl > seen.wanted:
        yield Finding(
            "MIG01", "error", subject, "its TTLs are too long to move it", expected=low, seen=f"{seen.ttl} s",
            mend=f"realmkit dns plan {name} --migration-ttl --out lower.json && realmkit dns apply --plan lower.json",
        )  # fmt: skip
        return
    ready = (seen.since or seen.now) + timedelta(seconds=seen.before)
    if ready > seen.now:
        yield Finding(
            "MIG01", "error", subject, "its TTLs are low, but resolvers may still remember the old ones",
            expected=f"{low}, seen so for {seen.before} s",
            seen=f"low since {(seen.since or seen.now):%Y-%m-%d %H:%M:%SZ}",
            mend=f"wait until {ready:%Y-%m-%d %H:%M:%SZ}",
        )  # fmt: skip


@check(OverlapSeen, "MIG04", "error", "the old and the new realm lead to different edges", source="RFC 3263 section 4")
def edges_differ(seen: OverlapSeen) -> Iterator[Finding]:
    """While a realm moves, the old and the new one must both be served and lead to the same proxies.

    Phones come over in waves; calls between a moved phone and one that has yet to move work only if both realms end
    at one edge. One of the two missing, or leading to other addresses, cuts the account in two.

    Mend: publish the realm that lacks records (`realmkit dns apply NAME`); do not decommission the old one before the
    migration says so.
    """
    subject = f"{names.to_text(seen.new)} beside {names.to_text(seen.old)}"
    if seen.unknown:
        yield Finding("MIG04", "unknown", subject, "what they lead to could not be told", seen=seen.unknown)
    elif seen.old_edge != seen.new_edge or not seen.new_edge:
        yield Finding(
            "MIG04", "error", subject, "they do not lead to the same edge",
            expected=", ".join(sorted(seen.old_edge)) or "addresses",
            seen=", ".join(sorted(seen.new_edge)) or "nothing",
            mend=f"realmkit dns plan {names.to_text(seen.new)[:-1]}",
        )  # fmt: skip
