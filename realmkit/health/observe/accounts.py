"""Which realms the platform knows, by its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.errors import RealmkitError
from realmkit.health.seen.sip import AccountsSeen

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.work.desk import Desk
    from realmkit.health.scope import Scope


def look(desk: Desk, scope: Scope) -> AccountsSeen:
    """Ask the platform for the realms of all accounts, and lay them beside those of the configuration.

    Args:
        desk: the project; without `platform.kazoo` nothing can be told.
        scope: what the run looks at. What lies in none of its zones is none of its business, and below a wildcard that
            is configured as a whole (`*.s.example.net`) every realm of the platform is known.
    """
    configured = frozenset(task.name for task in scope.tasks if task.kind == "realm")
    entry = desk.project.config.platform.kazoo
    if entry is None:
        return AccountsSeen(frozenset(), configured, "platform.kazoo is not configured")
    from realmkit.kazoo.client import Crossbar

    try:
        with Crossbar(entry.url, entry.api_key.reveal(desk.project.directory), desk.clock) as crossbar:
            found = [name for text in crossbar.realms() if (name := _read(text)) is not None]
    except RealmkitError as error:
        return AccountsSeen(frozenset(), configured, error.message)
    pools = [names.parent(realm) for realm in desk.wanted()[0].realms if names.is_wildcard(realm)]
    ours = frozenset(
        name for name in found
        if name in configured or (names.closest(name, scope.zones) and names.closest(names.parent(name), pools) is None)
    )  # fmt: skip
    return AccountsSeen(ours if scope.whole else ours & configured, configured)


def _read(text: str) -> Name | None:
    """The platform takes realms that are no names; those can't be in DNS."""
    try:
        return names.absolute(text)
    except names.BadNameError:
        return None
