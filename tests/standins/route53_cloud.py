"""The state of the stand-in: accounts, hosted zones, changes on their way to the name servers."""

from __future__ import annotations

import itertools
import random
import string
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.standins.route53_access import Access, Key
from tests.standins.route53_values import canonical, sort_key, zone_file_text
from tests.standins.route53_zone import Edit, HostedZone, RecordSet, SetKey, canonical_set

if TYPE_CHECKING:
    from tests.standins.published import Published, Served

Row = tuple[str, str, int, Sequence[str]]
# "NS and SOA records that Route 53 creates" (Developer Guide); with a name server behind, its own are shown instead
AWS_SOA = 900, "ns-2048.awsdns-64.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
AWS_NS: tuple[int, tuple[str, ...]] = (
    172800,
    ("ns-2048.awsdns-64.com.", "ns-2049.awsdns-65.net.", "ns-2050.awsdns-66.org.", "ns-2051.awsdns-67.co.uk."),
)
LAB_SOA = 300, "ns1.lab.example. hostmaster.lab.example. 1 60 5 3600 5"
LAB_NS: tuple[int, tuple[str, ...]] = (300, ("ns1.lab.example.",))


@dataclass
class Change:
    """A batch that was taken, on its way to the name servers.

    Attributes:
        polls: how often GetChange still answers PENDING.
        served: what the name servers will answer; None once they do.
    """

    id: str
    zone: HostedZone
    polls: int
    served: list[Served] | None


class Cloud:
    """What AWS keeps.

    Attributes:
        published: the name servers; None for none.
        polls: how often GetChange answers PENDING to a change that is made from now on.
        counts: requests by operation.
        external_ids: what a role wants to hear, by ARN.
        failures: what the name server refused though the stand-in took it. Must stay empty.
    """

    def __init__(self, published: Published | None = None) -> None:
        self.published = published
        self.access = Access()
        self.polls = 0
        self.counts: Counter[str] = Counter()
        self.external_ids: dict[str, str] = {}
        self.failures: list[str] = []
        self.zones: dict[str, HostedZone] = {}
        self.changes: dict[str, Change] = {}
        self.references: set[tuple[str, str]] = set()
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._dice = random.Random()
        self.account = self.new_account()

    def new_account(self) -> str:
        """The number of a fresh account. A random one, for moto keeps accounts while the process lives."""
        return "".join(self._dice.choices("123456789", k=12))

    def key(self, account: str = "", **more: Any) -> Key:
        """A fresh access key of an account; `more` are further attributes of `Key`."""
        account = account or self.account
        letters = "".join(self._dice.choices(string.ascii_uppercase + string.digits, k=16))
        secret = "".join(self._dice.choices(string.ascii_letters + string.digits + "+/", k=40))
        key = Key(f"AKIA{letters}", secret, account, f"arn:aws:iam::{account}:user/realmkit", **more)
        self.access.add(key)
        return key

    def backend(self, account: str) -> Any:
        """What moto keeps for an account."""
        from moto.route53.models import route53_backends

        return route53_backends[account]["aws"]

    def add_zone(
        self, name: str, rows: Iterable[Row] = (), *, account: str = "", private: bool = False, comment: str = ""
    ) -> str:
        """A hosted zone that holds rows, in Route 53's words; its id. Ten thousand rows take a second or so."""
        account = account or self.account
        made = self.backend(account).create_hosted_zone(
            canonical(name), private_zone=private, comment=comment, caller_reference=f"add_zone {next(self._numbers)}"
        )
        zone = self.adopt(account, made)
        with self.lock:
            for row in rows:
                zone.put(canonical_set(*row[:3], tuple(row[3])))
        self.publish(zone, zone.served())
        return zone.id

    def adopt(self, account: str, made: Any) -> HostedZone:
        """Keep the records of a hosted zone that moto has made."""
        soa_ttl, soa = LAB_SOA if self.published else AWS_SOA
        ns_ttl, servers = LAB_NS if self.published else AWS_NS
        if made.delegation_set is not None and made.delegation_set.id:
            servers = tuple(f"{server.rstrip('.')}." for server in made.delegation_set.name_servers)
        elif made.delegation_set is not None:
            made.delegation_set.name_servers = [server.rstrip(".") for server in servers]
        zone = HostedZone(made.resource_id, account, canonical(made.name), private=made.private_zone)
        zone.put(RecordSet(zone.name, "SOA", soa_ttl, (soa,)))
        zone.put(RecordSet(zone.name, "NS", ns_ttl, servers))
        with self.lock:
            self.zones[zone.id] = zone
        if self.published and not zone.private:
            self.published.add(zone_file_text(zone.name))
        return zone

    def write(self, zone_id: str, *record_sets: RecordSet) -> None:
        """Write sets past the API, as somebody with a console would."""
        zone = self.zones[zone_id]
        with self.lock:
            for one in record_sets:
                zone.put(one)
        self.publish(zone, zone.served())

    def erase(self, zone_id: str, name: str, kind: str) -> None:
        """Take a plain set away past the API."""
        zone = self.zones[zone_id]
        with self.lock:
            zone.drop((sort_key(canonical(name)), kind, ""))
        self.publish(zone, zone.served())

    def delete_zone(self, zone_id: str) -> None:
        """Take a hosted zone away with all that is in it."""
        zone = self.zones.pop(zone_id)
        self.backend(zone.account).zones.pop(zone_id, None)

    def zone(self, zone_id: str, account: str) -> HostedZone | None:
        """A hosted zone, if it is of this account."""
        zone = self.zones.get(zone_id)
        return zone if zone is not None and zone.account == account else None

    def page(self, zone: HostedZone, start: SetKey, most: int) -> tuple[list[RecordSet], RecordSet | None]:
        """Record sets from `start` on."""
        with self.lock:
            return zone.page(start, most)

    def submit(self, zone: HostedZone, edits: list[Edit]) -> Change:
        """Take a batch, or raise RefusedError and change nothing."""
        with self.lock:
            zone.change(edits)
            letters = "".join(self._dice.choices(string.ascii_uppercase + string.digits, k=14))
            change = Change(f"C{next(self._numbers)}{letters}", zone, self.polls, zone.served())
            self.changes[change.id] = change
            if not change.polls:
                self._arrive(change)
        return change

    def poll(self, change: Change) -> str:
        """What GetChange says of a change. It reaches the servers just before this is INSYNC."""
        with self.lock:
            if change.polls:
                change.polls -= 1
                return "PENDING"
            self._arrive(change)
            return "INSYNC"

    def _arrive(self, change: Change) -> None:
        if change.served is not None:
            self.publish(change.zone, change.served)
            change.served = None

    def publish(self, zone: HostedZone, served: list[Served]) -> None:
        """Have the name servers answer this."""
        if self.published is None or zone.private:
            return
        try:
            self.published.show(zone_file_text(zone.name), served)
        except AssertionError as error:
            self.failures.append(f"{zone.name}: {error}")
            raise
