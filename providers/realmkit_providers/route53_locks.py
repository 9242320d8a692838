"""Resource record set protections: Route 53 refuses every change of a name and type until it is released.

They came with botocore 1.44.5; an older one does not know them. (Service model of 1.44.8: up to 100 in a request, which
is atomic; locking what is locked already is an error there, so what is there is read first.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from realmkit.dns import names, records
from realmkit.errors import InputError, OutcomeUnknownError, ProviderError, RejectedError
from realmkit_providers.route53_text import name_from_text, name_to_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit_providers.route53_api import Api

_AT_ONCE: Final = 100
_LIST, _CREATE, _DELETE = (
    f"{verb}_resource_record_set_protections" for verb in ("list", "create", "delete")
)  # fmt: skip


def protected(api: Api, zone: Name, zone_id: str) -> frozenset[Key]:
    """The names and types that are locked.

    Raises:
        RejectedError: the SDK knows of no locks. Others as `Api.read` does.
    """
    shown = names.to_text(zone)
    _see_that_sdk_can(api, shown)
    found: set[Key] = set()
    start: dict[str, str] = {}
    while True:
        page = api.read(_LIST, shown, HostedZoneId=zone_id, **start)
        try:
            found.update(_key(one) for one in page["ResourceRecordSetProtections"])
        except (KeyError, InputError) as error:
            raise ProviderError(f"{shown}: Route 53 answered with half a list of protections: {error!r}") from None
        following = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        if not following or following == start:
            return frozenset(found)
        start = following


def protect(api: Api, zone: Name, zone_id: str, keys: Collection[Key]) -> None:
    """Lock names and types that are not locked.

    Raises:
        RejectedError: the SDK or the service can't. OutcomeUnknownError: some were locked, or it is not known.
    """
    there = protected(api, zone, zone_id)
    _send(api, _CREATE, zone, zone_id, [key for key in keys if key not in there])


def release(api: Api, zone: Name, zone_id: str, keys: Collection[Key]) -> None:
    """Unlock names and types that are locked. Raises as `protect` does."""
    there = protected(api, zone, zone_id)
    _send(api, _DELETE, zone, zone_id, [key for key in keys if key in there])


def _send(api: Api, operation: str, zone: Name, zone_id: str, keys: list[Key]) -> None:
    shown = names.to_text(zone)
    for start in range(0, len(keys), _AT_ONCE):
        wanted = [
            {"RecordName": name_to_text(name), "RecordType": records.type_to_text(kind)}
            for name, kind in sorted(keys[start : start + _AT_ONCE])
        ]
        try:
            api.write(operation, shown, HostedZoneId=zone_id, Protections=wanted)
        except ProviderError as error:
            if start == 0:
                raise
            text = f"{start} of {len(keys)} were done, then: {error.message}"
            raise OutcomeUnknownError(text, hint="the same command again goes on from there") from error


def _key(one: dict[str, Any]) -> Key:
    return name_from_text(one["RecordName"]), records.type_from_text(one["RecordType"])


def _see_that_sdk_can(api: Api, shown: str) -> None:
    if not api.can(_LIST):
        raise RejectedError(
            f"{shown}: this version of boto3 knows of no locks in Route 53; 1.44.5 and later do",
            hint="pip install -U boto3",
        )
