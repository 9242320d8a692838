"""RRsets locked at the backend, so that nobody changes them by mistake: the old realm's records during an overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.provider import Protects
from realmkit.dns.records import Key, key_to_text
from realmkit.errors import InputError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from realmkit.dns.names import Name
    from realmkit.dns.work.desk import Desk


class Locked(Struct, frozen=True):
    """RRsets of a zone that were locked or released, and all that are locked now."""

    changed: list[Key]
    now: list[Key]


def locked(desk: Desk, zone: Name) -> list[Key]:
    """The RRsets of a zone that are locked, sorted.

    Raises:
        RefusedError: its provider can't lock.
    """
    return sorted(_locker(desk, zone).protected(zone))


def lock(desk: Desk, keys: Collection[Key]) -> Locked:
    """Lock RRsets of one zone; looks again before it says so.

    Raises:
        InputError: one does not exist. RefusedError: the provider can't lock, or an RRset did not become locked.
    """
    zone = _zone_of(desk, keys)
    locker = _locker(desk, zone)
    with desk.locked():
        live = desk.provider(zone).snapshot(zone)
        if missing := [key for key in keys if key not in live.rrsets]:
            raise InputError(f"{key_to_text(missing[0])} does not exist in {names.to_text(zone)}")
        wanted = sorted(set(keys) - locker.protected(zone))
        if wanted:
            locker.protect(zone, wanted)
    return _looked_at(desk, zone, wanted, locks=True)


def release(desk: Desk, keys: Collection[Key]) -> Locked:
    """Unlock RRsets of one zone; looks again before it says so. Raises as `lock` does."""
    zone = _zone_of(desk, keys)
    locker = _locker(desk, zone)
    with desk.locked():
        wanted = sorted(set(keys) & locker.protected(zone))
        if wanted:
            locker.release(zone, wanted)
    return _looked_at(desk, zone, wanted, locks=False)


def _looked_at(desk: Desk, zone: Name, wanted: list[Key], *, locks: bool) -> Locked:
    now = locked(desk, zone)
    if wrong := [key for key in wanted if (key in now) is not locks]:
        word = "locked" if locks else "released"
        raise RefusedError(f"{key_to_text(wrong[0])} was to be {word}, and is not", hint="look at it in the console")
    return Locked(wanted, now)


def _zone_of(desk: Desk, keys: Collection[Key]) -> Name:
    zones = {names.closest(name, desk.zones) for name, _ in keys}
    if len(zones) != 1 or None in zones:
        raise InputError("the RRsets must lie in one zone under zones:")
    zone = zones.pop()
    assert zone is not None  # noqa: S101 - looked at above
    return zone


def _locker(desk: Desk, zone: Name) -> Protects:
    provider = desk.provider(zone)
    if not isinstance(provider, Protects):
        raise RefusedError(
            f"{names.to_text(zone)}: the provider {desk.provider_name(zone)!r} can't lock RRsets",
            hint="Route 53 can; elsewhere the guard `foreign` and the ledger are all the protection there is",
        )
    return provider
