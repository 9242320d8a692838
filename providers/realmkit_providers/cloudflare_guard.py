"""What is not sent to Cloudflare, because it would be taken in another sense, or served as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.records import key_to_text, listing
from realmkit.errors import ConflictError, RejectedError
from realmkit_providers.cloudflare_records import FIELDS
from realmkit_providers.cloudflare_state import ADDRESSES, PROXIED, targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.provider import Capabilities
    from realmkit.dns.records import RRset
    from realmkit_providers.cloudflare_state import State

MAX_TTL: Final = 86400  # SDK 5.9.0, `ttl` of every record: "Value must be between 60 and 86400"


def check(state: State, changes: Sequence[Change], limits: Capabilities) -> None:
    """See that each change is of what is there, and that Cloudflare would take and serve it as it is meant.

    Args:
        state: the zone just before.
        changes: what is to be made.
        limits: of the zone's plan.

    Raises:
        ConflictError: an RRset is not as its `before`.
        RejectedError: a change that can't be made here, with what to do about it.
    """
    moved = [change.key for change in changes if not _is_as_before(state, change)]
    for change in changes:
        _check_place(state.zone, change)
        _check_hidden(state, change)
        if change.after is not None:
            _check_rrset(change.after, limits)
    if moved:
        raise ConflictError(
            f"{names.to_text(state.zone)}: not as they were read at Cloudflare: {listing(moved)}",
            hint="make the plan anew and review it",
        )
    _check_aliases(state, changes)
    for change in changes:
        _check_targets(state, change)


def changed_under(state: State, changes: Iterable[Change]) -> bool:
    """Whether someone else has changed what is to be changed."""
    return not all(_is_as_before(state, change) for change in changes)


def _is_as_before(state: State, change: Change) -> bool:
    return state.rrset(change.key) == change.before and (change.before is not None or change.key not in state.by_key)


def _check_place(zone: Name, change: Change) -> None:
    """Cloudflare completes a name outside the zone with the zone's own name, and keeps the apex's NS to itself."""
    name, kind = change.key
    if not names.is_under(name, zone):
        raise RejectedError(
            f"{key_to_text(change.key)} lies outside {names.to_text(zone)}; Cloudflare would put it inside",
            hint="mend the plan",
        )
    if kind == rr.SOA or (name == zone and kind in (rr.NS, rr.DS)):
        raise RejectedError(
            f"{key_to_text(change.key)}: Cloudflare makes the zone's own SOA and NS itself",
            hint="its name servers are set at the registrar",
        )
    if name == zone and kind == rr.CNAME:
        raise RejectedError(
            f"{key_to_text(change.key)}: Cloudflare flattens a CNAME at the apex and serves addresses in its place",
            hint="write the addresses themselves",
        )


def _check_hidden(state: State, change: Change) -> None:
    """An RRset that is not served as it stands is left to people."""
    name, kind = change.key
    why = state.hidden(change.key)
    if why is None and kind == rr.CNAME and change.after is not None:
        why = state.stand_in(name)
    if why is not None and state.stand_in(name) == PROXIED:
        raise _behind_proxy(key_to_text(change.key), name)
    if why is not None:
        raise RejectedError(
            f"{key_to_text(change.key)}: there is something that realmkit can't say as records: {why}",
            hint="take it away by hand in Cloudflare's dashboard, or leave this name alone",
        )


def _check_rrset(after: RRset, limits: Capabilities) -> None:
    if after.type not in FIELDS:
        raise RejectedError(
            f"{key_to_text(after.key)}: Cloudflare can't hold records of this type",
            hint="use another provider for this zone",
        )
    if not limits.min_ttl <= after.ttl <= MAX_TTL:  # a TTL of 1 would be taken, and mean 300
        raise RejectedError(
            f"{key_to_text(after.key)}: Cloudflare takes TTLs from {limits.min_ttl} to {MAX_TTL} s on this plan, not "
            f"{after.ttl}",
            hint="set another TTL in policy or at the realm",
        )
    if after.type == rr.CNAME and len(after.rdata) > 1:
        raise RejectedError(
            f"{key_to_text(after.key)}: a CNAME has one target (RFC 2181 section 10.1)", hint="mend the plan"
        )


def _check_aliases(state: State, changes: Sequence[Change]) -> None:
    """Nothing stands beside a CNAME (RFC 1034 section 3.6.2); Cloudflare itself refuses only addresses there."""
    made = (change for change in changes if change.before is None and change.after is not None)
    left: dict[Name, set[int]] = {change.key[0]: set() for change in made}
    for name, kind in state.by_key:
        if name in left:
            left[name].add(kind)
    for change in changes:
        name, kind = change.key
        if name in left:
            (left[name].discard if change.after is None else left[name].add)(kind)
    for name, kinds in left.items():
        if rr.CNAME in kinds and len(kinds) > 1:
            raise RejectedError(
                f"{names.to_text(name)}: a CNAME would stand beside other records (RFC 1034 section 3.6.2)",
                hint="delete one or the other in the same plan",
            )


def _check_targets(state: State, change: Change) -> None:
    """SIP and mail are not sent to a name behind the proxy."""
    if change.after is None or change.after.type in ADDRESSES:
        return
    for target in targets(change.after):
        if state.stand_in(target) == PROXIED:
            raise _behind_proxy(f"{key_to_text(change.key)} would point to {names.to_text(target)}, which", target)


def _behind_proxy(subject: str, name: Name) -> RejectedError:
    return RejectedError(
        f"{subject} is behind Cloudflare's proxy, and SIP and mail do not pass Cloudflare's proxy",
        hint=f"turn the cloud grey (DNS only) for {names.to_text(name)} in Cloudflare's dashboard",
    )
