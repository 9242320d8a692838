"""The offline checks of single records, applied to what is served: for realms whose answers are not as wanted.

`dns lint` judges a zone's copy; a realm of somebody else's zone, or a server that serves something else, has none. Then
the answers themselves are laid out as a small zone and read in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.answer import Answer, Kind, ZoneIndex
from realmkit.dns.findings import Finding
from realmkit.dns.lint_records import World, check_rrset
from realmkit.dns.plan import group_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type, Zone
    from realmkit.health.seen.realm import HostSeen, RealmSeen, View

# The chain's and mail's checks read answers themselves, for every kind of client.
_LIVE: Final = ("SEM", "WLD")
_KINDS: Final = {"present": Kind.FOUND, "absent": Kind.NODATA, "alias": Kind.CNAME}


class _Answers(World):
    """What one view and the hosts tell, asked as a zone would be; what was not told is known to nobody."""

    def __init__(self, seen: RealmSeen, view: View) -> None:
        super().__init__({}, allow_private=seen.expected.allow_private)
        self._view = view
        self._seen: Mapping[Name, HostSeen] = seen.hosts

    def find(self, name: Name, kind: Type) -> Answer | None:
        sight = self._view.sights.get((name, kind))
        found = _KINDS.get(sight.state) if sight is not None else None
        return None if sight is None or found is None else Answer(found, name, name, sight.rrset)

    def addresses(self, host: Name) -> tuple[Kind, ...]:
        seen = self._seen.get(host)
        found = None if seen is None else _KINDS.get(seen.state)
        return () if found is None else (found,)

    def is_proxied(self, host: Name) -> bool:  # noqa: ARG002 - only a provider's copy tells
        return False


def judge(seen: RealmSeen) -> Iterator[Finding]:
    """SEM and WLD findings about the records of a realm, as they are served.

    Args:
        seen: the realm; each different view of it is judged.
    """
    for view in seen.views():
        present = [one.rrset for one in view.sights.values() if one.state in ("present", "alias") and one.rrset]
        zone = rr.zone_of(seen.zone, [one for one in present if names.is_under(one.name, seen.zone)])
        world, index = _Answers(seen, view), ZoneIndex.of(zone)
        for rrset in zone.rrsets.values():
            for finding in check_rrset(world, index, rrset):
                if finding.id.startswith(_LIVE):
                    yield structs.replace(finding, server=view.server)


def made_up(
    copies: Mapping[Name, Zone], wanted: Mapping[Name, Iterable[Key]], ours: Collection[Name]
) -> Iterator[Finding]:
    """PRV02: what a provider makes up when it answers, where plain records of ours are wanted.

    `lint` finds it where wanted records are laid over the copy; in a copy alone there is no record to look at.

    Args:
        copies: zones as their providers show them, by apex.
        wanted: what should be in each zone.
        ours: realms, hosts and pools that are looked at.
    """
    for zone, live in copies.items():
        for key in wanted.get(zone, ()):
            if key in live.opaque and group_of(key[0]) in ours:
                yield Finding(
                    "PRV02", "error", rr.key_to_text(key), "something else stands there already", seen=live.opaque[key],
                    mend="take it away by hand where it was made, or choose another name",
                )  # fmt: skip
