"""Which hosted zone a zone name means: found once, by exact name, public and private told apart."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from realmkit.dns import names
from realmkit.errors import InputError, NoZoneError, ProviderError, RejectedError
from realmkit_providers.route53_settings import bare_id
from realmkit_providers.route53_text import name_from_text, name_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit_providers.route53_api import Api


class HostedZone(NamedTuple):
    """A hosted zone as the API shows it.

    Attributes:
        id: without its `/hostedzone/`.
        name: in wire form.
        private: whether only networks of the account see it.
        comment: what its owner wrote with it.
    """

    id: str
    name: Name
    private: bool
    comment: str

    @property
    def shown(self) -> str:
        """For people: id, what it is, comment."""
        return f"{self.id} ({'private' if self.private else 'public'}{', ' if self.comment else ''}{self.comment})"


class HostedZones:
    """Finds hosted zones and remembers their ids; any number of threads may ask.

    Args:
        api: of the account.
        given: ids by zone that the configuration names.
        private: whether private zones are meant.
    """

    def __init__(self, api: Api, given: Mapping[Name, str], *, private: bool) -> None:
        self._api = api
        self._given = given
        self._private = private
        self._ids: dict[Name, str] = {}
        self._lock = threading.Lock()

    def id_of(self, zone: Name) -> str:
        """The id of the hosted zone that a zone name means.

        Raises:
            NoZoneError: there is none in this account. RejectedError: there are several, or `zone_ids` is wrong.
        """
        with self._lock:
            known = self._ids.get(zone)
        if known is None:
            known = self._checked(zone, self._given[zone]) if zone in self._given else self._found(zone)
            with self._lock:
                self._ids[zone] = known
        return known

    def forget(self, zone: Name) -> None:
        """Look anew when the zone is asked for next."""
        with self._lock:
            self._ids.pop(zone, None)

    def named(self, zone: Name) -> list[HostedZone]:
        """The hosted zones of exactly this name that are of our kind, public or private."""
        return [one for one in self._all_named(zone) if one.private == self._private]

    def _found(self, zone: Name) -> str:
        shown, kind = names.to_text(zone), "private" if self._private else "public"
        candidates = list(self._all_named(zone))
        fitting = [one for one in candidates if one.private == self._private]
        if len(fitting) > 1:
            several = ", ".join(one.shown for one in fitting)
            raise RejectedError(
                f"{shown} is the name of {len(fitting)} {kind} hosted zones: {several}",
                hint=f"zone_ids: {{{shown}: {fitting[0].id}}} says which; the parent's NS records tell which is served",
            )
        if fitting:
            return fitting[0].id
        others = ""
        hint = "is it the right account (profile, keys, role_arn)? `aws route53 list-hosted-zones` shows what it has"
        if candidates:
            others = f"; there is {', '.join(one.shown for one in candidates)}"
            hint = f"write `private: {'false' if self._private else 'true'}` if that one is meant"
        raise NoZoneError(f"{shown}: no {kind} hosted zone of this name in {self._api.whoami()}{others}", hint=hint)

    def _checked(self, zone: Name, given: str) -> str:
        """An id of the configuration, after a look at what it is."""
        shown = names.to_text(zone)
        try:
            there = _hosted_zone(self._api.read("get_hosted_zone", shown, Id=given)["HostedZone"])
        except NoZoneError as error:
            text = f"{shown}: no hosted zone {given} in {self._api.whoami()}"
            raise NoZoneError(text, hint="mend zone_ids, or take the line out") from error
        if there.name != zone or there.private != self._private:
            raise RejectedError(
                f"{shown}: zone_ids names {there.shown}, which is {names.to_text(there.name)}",
                hint="mend zone_ids; `private: true` is for private hosted zones",
            )
        return there.id

    def _all_named(self, zone: Name) -> Iterator[HostedZone]:
        """Of this name, public or private. They stand together in the list, which is sorted by name."""
        text, shown = name_to_text(zone), names.to_text(zone)
        start: dict[str, str] = {"DNSName": text}
        while True:
            page = self._api.read("list_hosted_zones_by_name", shown, **start)
            try:
                found = [_hosted_zone(one) for one in page["HostedZones"]]
                more = page["IsTruncated"]
                following = {"DNSName": page["NextDNSName"], "HostedZoneId": page["NextHostedZoneId"]} if more else {}
            except (KeyError, InputError) as error:
                raise ProviderError(f"{shown}: Route 53 answered with half a list of hosted zones: {error!r}") from None
            yield from (one for one in found if one.name == zone)
            if not more or not found or found[-1].name != zone or following == start:
                return
            start = following


def _hosted_zone(one: Mapping[str, Any]) -> HostedZone:
    config = one.get("Config", {})
    return HostedZone(
        bare_id(one["Id"]), name_from_text(one["Name"]), bool(config.get("PrivateZone")), config.get("Comment", "")
    )
