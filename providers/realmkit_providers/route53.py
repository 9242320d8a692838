"""Amazon Route 53 through boto3: one atomic change batch, each RRset of it compared and swapped by the service.

What the API is like, and what follows from it (API reference, looked at on 2026-11-22, where nothing else is said):

- A batch is transactional. An RRset is changed by DELETE of exactly what it was, TTL included, and CREATE of what it
  becomes; DELETE is refused unless the values are the current ones, and CREATE if there is such a set. That is compare
  and swap, and costs no more than an UPSERT, whose elements and characters count twice.
- The reference shows DELETE and CREATE of one name with different types in a batch. That they may be of one type too
  is common practice of other tools, and was not tried by us on the service.
- Whether DELETE compares values or their spelling is not said (`2001:0db8::1`). So what was read is deleted in the
  words in which it was read.
- The SOA serial never moves, and there is no version of a zone. The token is the hosted zone's id: it tells a zone that
  was deleted and made anew from the old one.
- Aliases, routing policies and traffic policies are answered by rule. They are shown as opaque and never touched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from realmkit.dns import names, provider
from realmkit.dns.provider import Capabilities, Receipt
from realmkit.dns.records import key_to_text, listing
from realmkit.errors import ConflictError, NoZoneError, OutcomeUnknownError, ProviderError, RejectedError
from realmkit_providers import route53_locks
from realmkit_providers.route53_api import Api
from realmkit_providers.route53_batch import TYPES, batch, weigh
from realmkit_providers.route53_errors import CodedRejectedError
from realmkit_providers.route53_reading import Reading, read_zone
from realmkit_providers.route53_settings import Route53Settings, bare_id
from realmkit_providers.route53_text import name_to_text
from realmkit_providers.route53_zones import HostedZones

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.provider import Change, Context, Key, Weight, Zone

__all__ = ["Route53", "Route53Settings"]


class Route53:
    """Amazon Route 53: public or private hosted zones of one account.

    Changes are in force on all of its name servers within a minute as a rule; `settled` says when.
    """

    Settings: ClassVar[type[provider.Settings]] = Route53Settings
    # Developer Guide, "Quotas", ChangeResourceRecordSets: 1000 ResourceRecord elements, 32000 characters in Values
    capabilities: ClassVar[Capabilities] = Capabilities(
        atomic=True, cas="rrset", max_changes=1000, max_bytes=32_000, types=TYPES, settles=True, serials=False
    )

    def __init__(self, settings: Route53Settings, context: Context) -> None:
        settings.check()
        self._settings = settings
        self._context = context
        self._api = Api(settings, context)
        self._zones = HostedZones(self._api, settings.ids(), private=settings.private)
        self._spelled: dict[Key, tuple[str, ...]] = {}

    def snapshot(self, zone: Name) -> Zone:
        """The hosted zone as the API lists it; its token is the hosted zone's id.

        `opaque` and `unread` tell of aliases, routing policies and whatever can't be read.
        """
        known = self._zones.id_of(zone)
        try:
            reading = self._read(zone, known)
        except NoZoneError:  # deleted since its id was learnt: it may have been made anew
            current = self._zones.id_of(zone)
            if current == known:
                raise
            reading = self._read(zone, current)
        return reading.zone

    def apply(self, zone: Name, changes: Sequence[Change], token: str) -> Receipt:
        """One change batch. Its reference is the id of the change, for `settled`."""
        zone_id, shown = self._zones.id_of(zone), names.to_text(zone)
        if zone_id != token:
            raise ConflictError(f"{shown} is hosted zone {zone_id} and no longer {token}", hint="make the plan anew")
        if not changes:
            return Receipt(zone_id)
        content = {"Changes": batch(zone, changes, self._spelled)}
        try:
            answer = self._api.write("change_resource_record_sets", shown, HostedZoneId=zone_id, ChangeBatch=content)
        except NoZoneError:
            self._zones.forget(zone)
            raise
        except CodedRejectedError as error:
            if error.code != "InvalidChangeBatch":
                raise
            raise self._why_refused(zone, zone_id, changes, error) from error
        for change in changes:
            self._spelled.pop(change.key, None)
        try:
            return Receipt(zone_id, reference=bare_id(answer["ChangeInfo"]["Id"]))
        except (KeyError, TypeError):
            raise OutcomeUnknownError(f"{shown}: Route 53's answer to the batch names no change") from None

    def settled(self, receipt: Receipt) -> bool:
        """Whether all of Route 53's name servers have it: the change is INSYNC."""
        if not receipt.reference:
            return True
        answer = self._api.read("get_change", f"change {receipt.reference}", Id=receipt.reference)
        status = (answer.get("ChangeInfo") or {}).get("Status")
        if status not in ("PENDING", "INSYNC"):
            raise ProviderError(f"change {receipt.reference}: Route 53 answered with a status that is none: {status!r}")
        return bool(status == "INSYNC")

    def weigh(self, changes: Sequence[Change]) -> Weight:
        """ResourceRecord elements, and characters of all their Values, of what goes and of what comes."""
        return weigh(changes, self._spelled)

    def nameservers(self, zone: Name) -> Sequence[str]:
        """The hosted zone's delegation set. A private hosted zone has none: resolvers of its networks answer."""
        answer = self._api.read("get_hosted_zone", names.to_text(zone), Id=self._zones.id_of(zone))
        servers = (answer.get("DelegationSet") or {}).get("NameServers", ())
        return tuple(server if server.endswith(".") else server + "." for server in servers)

    def create_zone(self, zone: Name) -> None:
        """Make a public hosted zone, with the name servers of `delegation_set` if that is set.

        Route 53 would make a second one of the same name; this does not.
        """
        shown = names.to_text(zone)
        if self._settings.private:
            raise RejectedError(
                f"{shown}: a private hosted zone has to be tied to a VPC when it is made, which realmkit does not do",
                hint=f"aws route53 create-hosted-zone --name {shown} --vpc ... --caller-reference ...",
            )
        if there := self._zones.named(zone):
            raise RejectedError(f"{shown} is there already: hosted zone {there[0].shown}")
        reference = f"realmkit {shown} {self._context.clock.now().isoformat()}"[-128:]  # at most 128, never used twice
        more = {"DelegationSetId": self._settings.delegation_set} if self._settings.delegation_set else {}
        self._api.write("create_hosted_zone", shown, Name=name_to_text(zone), CallerReference=reference, **more)
        self._zones.forget(zone)

    def protected(self, zone: Name) -> frozenset[Key]:
        """The RRsets that are locked, by resource record set protections."""
        return route53_locks.protected(self._api, zone, self._zones.id_of(zone))

    def protect(self, zone: Name, keys: Collection[Key]) -> None:
        """Lock RRsets, also such as are not there yet: nobody changes or makes them until they are released."""
        route53_locks.protect(self._api, zone, self._zones.id_of(zone), keys)

    def release(self, zone: Name, keys: Collection[Key]) -> None:
        """Unlock RRsets."""
        route53_locks.release(self._api, zone, self._zones.id_of(zone), keys)

    def _read(self, zone: Name, zone_id: str) -> Reading:
        try:
            reading = read_zone(self._api, zone, zone_id)
        except NoZoneError:
            self._zones.forget(zone)
            raise
        self._spelled.update(reading.spelled)
        return reading

    def _why_refused(
        self, zone: Name, zone_id: str, changes: Sequence[Change], error: CodedRejectedError
    ) -> ProviderError:
        """A batch was refused, and so nothing was changed. Whether somebody else is the cause is seen by reading."""
        shown = names.to_text(zone)
        try:
            there = self._read(zone, zone_id).zone
        except ProviderError:
            return RejectedError(f"{error.message} (and the zone can't be read again)")
        hidden = [change.key for change in changes if change.key in there.opaque]
        if hidden:
            text = f"{key_to_text(hidden[0])} is {there.opaque[hidden[0]]}; realmkit does not touch it"
            return RejectedError(text, hint="take it away in the console, or leave this name alone")
        moved = [change.key for change in changes if there.rrsets.get(change.key) != change.before]
        if moved:
            return ConflictError(f"{shown}: {listing(moved)} changed since they were read ({error.words})")
        locked = self._locked_among(zone, zone_id, changes)
        if locked or "protect" in error.words.lower():
            name = names.to_text(locked[0][0] if locked else changes[0].key[0])
            what = listing(locked) if locked else error.words
            return RejectedError(f"{shown}: locked on Route 53: {what}", hint=f"realmkit dns unlock {name}")
        return error

    def _locked_among(self, zone: Name, zone_id: str, changes: Sequence[Change]) -> list[Key]:
        """Which of the changes meet a lock, as far as that can be learnt."""
        with suppress(ProviderError):  # old SDKs know of no locks, and the policy may not allow to list them
            there = route53_locks.protected(self._api, zone, zone_id)
            return [change.key for change in changes if change.key in there]
        return []
