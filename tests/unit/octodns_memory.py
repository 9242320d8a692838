"""A provider of octoDNS that keeps its zones in memory and misbehaves as it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any

from octodns.provider import ProviderException
from octodns.provider.base import BaseProvider
from octodns.record import Delete, Record
from octodns.record.rr import Rrset

Key = tuple[str, str]


@dataclass
class Store:
    """What the service holds, and how it behaves.

    Attributes:
        records: TTL and rdata texts, by full name and type.
        made: how many instances were made with it.
        read: what was read by which instance, in order.
        written: the changes that were carried out.
        exists: what `populate` answers.
        before_read: called with the number of this reading, from 1.
        odd: makes records that are no RRsets, added to each reading.
        extra: names whose A every plan deletes besides.
        meta: of every plan.
        min_ttl: TTLs of the desired zone are raised to it.
        ignores: types whose changes the class leaves out of its plan.
        fail: an exception for the change of this number, from 0, instead of making it; None makes it.
        deaf: it says that it wrote, and did not.
        besides: called when all is written.
    """

    records: dict[Key, tuple[int, tuple[str, ...]]]
    made: int = 0
    read: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    exists: bool | None = True
    before_read: Callable[[int], None] = lambda _: None
    odd: Callable[[Any], list[Any]] = lambda _: []
    extra: tuple[str, ...] = ()
    meta: object = None
    min_ttl: int = 0
    ignores: tuple[str, ...] = ()
    fail: Callable[[int], Exception | None] = lambda _: None
    deaf: bool = False
    besides: Callable[[], None] = lambda: None


STORES: dict[str, Store] = {}


class Memory(BaseProvider):  # type: ignore[misc] # octoDNS has no types
    """As many classes do, it reads once and keeps what it read."""

    SUPPORTS = frozenset({"A", "AAAA", "ALIAS", "CNAME", "MX", "NAPTR", "NS", "PTR", "SRV", "TXT", "Memory/MAGIC"})
    SUPPORTS_GEO = False
    SUPPORTS_DYNAMIC = True
    SUPPORTS_ROOT_NS = True

    def __init__(self, id: str, store: str, password: str = "", deep: Any = None, **kwargs: Any) -> None:  # noqa: A002 - octoDNS's name
        self.log = getLogger(f"Memory[{id}]")
        self.log.warning("made with a warning")
        super().__init__(id, **kwargs)
        self.store = STORES[store]
        self.store.made += 1
        self.number = self.store.made
        self.password, self.deep = password, deep
        self.kept: dict[Key, tuple[int, tuple[str, ...]]] | None = None

    def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> bool | None:
        if self.kept is None:
            self.store.read.append(self.number)
            self.store.before_read(len(self.store.read))
            self.kept = dict(self.store.records)
        for (name, kind), (ttl, texts) in self.kept.items():
            record = Record.from_rrset(zone, Rrset(name, kind, ttl, texts), lenient=lenient, source=self)
            zone.add_record(record, lenient=lenient)
        for record in self.store.odd(zone):
            zone.add_record(record, lenient=lenient)
        return self.store.exists

    def _process_desired_zone(self, desired: Any) -> Any:
        for record in desired.records:
            if record.ttl < self.store.min_ttl:
                higher = record.copy()
                higher.ttl = self.store.min_ttl
                desired.add_record(higher, replace=True)
        return super()._process_desired_zone(desired)

    def _include_change(self, change: Any) -> bool:
        return change.record._type not in self.store.ignores

    def _extra_changes(self, existing: Any, desired: Any, changes: Any) -> list[Any]:
        return [Delete(one) for one in existing.records if one.name in self.store.extra and one._type == "A"]

    def _plan_meta(self, existing: Any, desired: Any, changes: Any) -> object:
        return self.store.meta

    def _apply(self, plan: Any) -> None:
        for number, change in enumerate(plan.changes):
            if (error := self.store.fail(number)) is not None:
                raise error
            if self.store.deaf:
                continue
            rrset = change.record.to_rrset()
            self.store.written.append(f"{type(change).__name__} {rrset.name} {rrset._type}")
            self.store.records.pop((rrset.name, rrset._type), None)
            if change.new is not None:
                self.store.records[rrset.name, rrset._type] = (rrset.ttl, tuple(rrset.rdatas))
        self.store.besides()


class Forgetful(Memory):
    """It reads anew for its plan, as octodns-powerdns does."""

    def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> bool | None:
        self.kept = None
        return super().populate(zone, target=target, lenient=lenient)


class NoRootNs(Forgetful):
    """It can't change the name servers of the apex."""

    SUPPORTS_ROOT_NS = False


class ByInstance(Memory):
    """Its types depend on the instance."""

    @property
    def SUPPORTS(self) -> set[str]:  # type: ignore[override] # noqa: N802 - octoDNS's name
        return {"A", "TXT", "Memory/MAGIC"}


class Grumpy(Memory):
    """It takes no arguments after all."""

    def __init__(self, id: str, store: str, mood: str = "bad", password: str = "") -> None:  # noqa: A002 - octoDNS's name
        if mood == "type":
            raise TypeError(f"mood: int() argument must be a number, not {password!r}")
        if mood == "value":
            raise ValueError(f"mood {password} is not known")
        if mood == "octodns":
            raise ProviderException(f"mood {password} is no longer supported")
        if mood == "network":
            raise ConnectionRefusedError(111, f"Connection refused by {password}")
        super().__init__(id, store)


class OnlyASource:
    """No provider: it has no `apply`."""

    def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> None:
        """Nothing."""
