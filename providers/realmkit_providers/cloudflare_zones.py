"""A zone as a whole at Cloudflare: which one is meant, what its plan allows, what is to be said of its status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.errors import ConflictError, NoZoneError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.dns.names import Name
    from realmkit_providers.cloudflare_api import Api, ApiZone
    from realmkit_providers.cloudflare_state import State

ID: Final = re.compile(r"[0-9a-f]{32}\Z")


class Plan(NamedTuple):
    """What a zone's plan allows.

    Attributes:
        changes: operations in a batch ("Batch record changes").
        min_ttl: seconds ("Time to Live (TTL)").
        comment: characters in a comment ("Record attributes").
    """

    changes: int
    min_ttl: int
    comment: int


FREE: Final = Plan(200, 60, 100)
PLANS: Final[Mapping[str, Plan]] = {
    "free": FREE,
    "pro": Plan(3500, 60, 500),
    "business": Plan(3500, 60, 500),
    "enterprise": Plan(3500, 30, 500),
}
_NOT_ACTIVE: Final = {
    "pending": "Cloudflare waits for the delegation: until the registrar names its servers, nobody is sent to them",
    "initializing": "Cloudflare is still making the zone: nobody is sent to it yet",
    "moved": "Cloudflare has seen the delegation go elsewhere: what is written here may never be served",
}


def plan_of(place: ApiZone, configured: str | None) -> Plan:
    """What a zone's plan allows. Unknown plans are taken for the smallest."""
    return PLANS.get(configured or place.plan.legacy_id or "", FREE)


def find(api: Api, zone: Name, account: str) -> ApiZone:
    """The zone of this name, looked up.

    Args:
        api: the API.
        zone: the apex.
        account: id or name of the account that holds it; empty for any.

    Raises:
        NoZoneError: there is none that the token can see. RejectedError: there are several. Others as the API does.
    """
    which = {("account.id" if ID.match(account) else "account.name"): account} if account else {}
    name = names.to_text(zone)[:-1]
    found = api.zones({"name": name, **which})  # names beyond ASCII may be shown in their own script
    return _one_zone(name, [one for one in found if names.absolute(one.name) == zone], account)


def _one_zone(name: str, found: Sequence[ApiZone], account: str) -> ApiZone:
    """The zone that is meant, of those of that name: the active one, or else the only one."""
    active = [one for one in found if one.status == "active"] or list(found)
    if len(active) == 1:
        return active[0]
    if not found:
        within = f" in the account {account!r}" if account else ""
        raise NoZoneError(
            f"the API token sees no zone {name}{within} at Cloudflare",
            hint="is it in another account, or does the token leave out this zone, Zone:Read or DNS:Edit?",
        )
    accounts = ", ".join(sorted(f"{one.account.name or one.account.id} ({one.status})" for one in active))
    raise RejectedError(
        f"Cloudflare has {len(active)} zones {name}: in {accounts}", hint="write `account:` to say which one is meant"
    )


def words(place: ApiZone) -> list[str]:
    """What is to be said of the zone as a whole."""
    said = [f"the zone is {place.status}: {_NOT_ACTIVE[place.status]}"] if place.status in _NOT_ACTIVE else []
    if place.type == "partial":
        said.append("the zone is partial (a CNAME setup): its authoritative servers are not Cloudflare's")
    return said


def compare(place: ApiZone, state: State, token: str) -> None:
    """Raise unless the zone may be written and is as the token says."""
    if place.type == "secondary":
        raise RejectedError(
            f"{place.name} is a secondary at Cloudflare; the next transfer would undo what is written here",
            hint="under zones:, name the provider that holds the primary",
        )
    if state.token != token:
        raise ConflictError(
            f"{place.name} was changed at Cloudflare since it was read", hint="make the plan anew and review it"
        )


def account_id(api: Api, account: str) -> str:
    """The id of the account in which zones are made, from its id or its name.

    Raises:
        RejectedError: none is named, or not exactly one is called so. Others as the API does.
    """
    if ID.match(account):
        return account
    if not account:
        raise RejectedError(
            "Cloudflare makes a zone in an account, and none is named",
            hint="write `account:` with the account's id beside this provider's api_token",
        )
    found = [one for one in api.accounts(account) if one.name == account]
    if len(found) != 1:
        raise RejectedError(
            f"the API token sees {len(found)} accounts called {account!r}", hint="write the account's id instead"
        )
    return found[0].id
