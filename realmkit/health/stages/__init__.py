"""The stages of a run, in their order: cheap before dear, and nothing asked twice.

A zone's copy and the offline checks come first, then the zone and its servers, then every realm in one round trip;
what needs a conversation with another kind of server comes last, for what the realms led to.
"""

from __future__ import annotations

from typing import Final

from realmkit.health.stages import realms, services, zonewide

ALL: Final = (
    zonewide.copies, zonewide.zones, realms.platform, realms.realms, zonewide.slowed, zonewide.pools, realms.moving,
    zonewide.dnssec, services.caa, services.endpoints, services.sips, services.mail, services.portals,
    services.propagation, zonewide.registration, services.aliases, services.lookalikes,
)  # fmt: skip
