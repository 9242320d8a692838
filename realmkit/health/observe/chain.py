"""The way from a trust anchor down to a zone's DS set (RFC 4035 section 5), walked for many zones at once.

A level of the tree is one round of questions for all zones together. What is above a zone is asked of its own
servers, and each zone on the way once, however many lie below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking import delegation
from realmkit.health import signatures
from realmkit.health.denial import Proofs, no_ds
from realmkit.health.observe.asking import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.dnssec import SetState, Trust
    from realmkit.health.signatures import Keys

_MOST_SERVERS: Final = 4  # of a zone on the way, asked one after the other until one gives an answer
_TRUST: Final[Mapping[SetState, Trust]] = {"valid": "secure", "unsupported": "unsupported", "unknown": "unknown"}


class Step(NamedTuple):
    """How far trust reaches: to a zone's DS set, and for a zone on the way to its keys.

    Attributes:
        trust: as in `SecSeen`.
        words: why, where it is broken, unsupported or unknown.
        anchors: the DS set or the trust anchors, as `signatures.anchor` gives them.
        ttl: of the DS set in seconds.
        ds_known: whether it could be told if there is a DS set.
    """

    trust: Trust
    words: str = ""
    anchors: tuple[bytes, ...] = ()
    ttl: int | None = None
    ds_known: bool = True


class _Trusted(NamedTuple):
    """A zone on the way: its trusted keys and its servers, or why trust ends there."""

    keys: Keys
    servers: tuple[Server, ...]
    end: Step | None = None


class Chain:
    """Walks down.

    Args:
        known: the servers of zones that are known anyway.
        anchors: by zone, in the form of `signatures.anchor`.
        surroundings: manners.
        now: Unix seconds.
    """

    def __init__(
        self,
        known: Mapping[Name, tuple[Server, ...]],
        anchors: Mapping[Name, tuple[bytes, ...]],
        surroundings: Surroundings,
        now: int,
    ) -> None:
        self._known = known
        self._surroundings = surroundings
        self._now = now
        self._ds = {zone: Step("secure", "", texts) for zone, texts in anchors.items()}
        self._zones: dict[Name, _Trusted] = {}
        self._asked: dict[tuple[Name, Name], Step | None] = {}  # (zone, name below it); None: no cut

    def descend(self, targets: Iterable[Name]) -> dict[Name, Step]:
        """How far trust reaches towards the DS set of each of these zones."""
        found: dict[Name, Step] = {}
        at: dict[Name, tuple[Name, Name]] = {}
        for target in targets:
            start = names.closest(target, self._ds)
            if start is None:
                found[target] = Step("unknown", "there is no trust anchor above it", ds_known=False)
            elif start == target:
                found[target] = self._ds[target]
            else:
                at[target] = (start, _longer(start, target))
        while at:
            self._trust({zone for zone, _ in at.values()})
            self._look_below({place for place in at.values() if self._zones[place[0]].end is None})
            for target, (zone, name) in list(at.items()):
                step = self._advance(target, zone, name)
                if isinstance(step, Step):
                    found[target] = step
                    del at[target]
                else:
                    at[target] = step
        return found

    def _advance(self, target: Name, zone: Name, name: Name) -> Step | tuple[Name, Name]:
        """What is known of the target now, or where to look next."""
        end = self._zones[zone].end
        if end is not None:
            return end
        step = self._asked[zone, name]
        if step is None:
            return Step("undelegated") if name == target else (zone, _longer(name, target))
        if step.trust != "secure" or name == target:
            return step
        self._ds[name] = step
        return name, _longer(name, target)

    def _trust(self, zones: Iterable[Name]) -> None:
        """Find the trusted keys of zones on the way."""
        new = [zone for zone in sorted(zones) if zone not in self._zones]
        if not new:
            return
        places = self._servers_of(new)
        for zone in new:
            if isinstance(there := places[zone], str):
                self._zones[zone] = _Trusted(frozenset(), (), Step("unknown", there, ds_known=False))
        waiting = {zone: there for zone, there in places.items() if not isinstance(there, str)}
        for number in range(_MOST_SERVERS):
            asked = {zone: there[number] for zone, there in waiting.items() if number < len(there)}
            answers = ask(
                ((server, zone, rr.DNSKEY) for zone, server in asked.items()), self._surroundings, dnssec=True
            )
            for zone, server in asked.items():
                told = self._keys_in(zone, waiting[zone], answers[server, zone, rr.DNSKEY])
                if zone not in self._zones or not _vaguer(told.end, self._zones[zone].end):
                    self._zones[zone] = told
                if told.end is None:
                    del waiting[zone]

    def _keys_in(self, zone: Name, servers: tuple[Server, ...], answer: Message | str) -> _Trusted:
        if isinstance(answer, str):
            words = f"the servers of {names.to_text(zone)} give no DNSKEY: {answer}"
            return _Trusted(frozenset(), servers, Step("unknown", words, ds_known=False))
        verified, keys = signatures.verify_keys(answer.answer, zone, self._ds[zone].anchors, self._now)
        if verified.state == "valid":
            return _Trusted(keys, servers)
        words = f"at the DNSKEY set of {names.to_text(zone)}: {verified.detail}"
        return _Trusted(frozenset(), servers, Step(_TRUST.get(verified.state, "broken"), words, ds_known=False))

    def _servers_of(self, zones: Sequence[Name]) -> dict[Name, tuple[Server, ...] | str]:
        found: dict[Name, tuple[Server, ...] | str] = {z: self._known[z] for z in zones if self._known.get(z)}
        unknown = [zone for zone in zones if zone not in found]
        there = delegation.delegations(unknown, self._surroundings.finder(), self._surroundings.manners, ds=False)
        for zone, one in there.items():
            words = f"the servers of {names.to_text(zone)} could not be found: {'; '.join(one.servers.unknown)}"
            found[zone] = one.servers.found or words
        return found

    def _look_below(self, places: Iterable[tuple[Name, Name]]) -> None:
        """Ask zones for the DS sets of names below them."""
        waiting = {place for place in places if place not in self._asked}
        for number in range(_MOST_SERVERS):
            questions: dict[tuple[Name, Name], tuple[Server, Name, Type]] = {}
            for zone, name in sorted(waiting):
                servers = self._zones[zone].servers
                if number < len(servers):
                    questions[zone, name] = (servers[number], name, rr.DS)
            answers = ask(questions.values(), self._surroundings, dnssec=True)
            for (zone, name), question in questions.items():
                step = self._step(zone, name, answers[question])
                if (zone, name) not in self._asked or not _vaguer(step, self._asked[zone, name]):
                    self._asked[zone, name] = step
                if step is None or step.trust not in ("unknown", "broken"):
                    waiting.discard((zone, name))

    def _step(self, zone: Name, name: Name, answer: Message | str) -> Step | None:
        """What a server of `zone` says of the DS set of `name`; None: no cut."""
        shown = f"the DS of {names.to_text(name)} at {names.to_text(zone)}"
        if isinstance(answer, str):
            return Step("unknown", f"{shown}: {answer}", ds_known=False)
        if members := signatures.records_of(answer.answer, name, rr.DS):
            verified = signatures.verify(answer.answer, name, rr.DS, zone, self._zones[zone].keys, self._now)
            found = signatures.ds_in(answer.answer, name)
            trust = _TRUST.get(verified.state, "broken")
            return Step(trust, f"{shown}: {verified.detail}" if verified.detail else "", found, members[0].ttl)
        if any(one.type == rr.CNAME for one in answer.answer):
            return None
        if {one.name for one in answer.authority if one.type == rr.SOA} != {zone}:
            return Step("unknown", f"{shown}: the server answers for another zone", ds_known=False)
        # A target that does not exist is no cut either; one on the way may be an empty name, whatever the server says.
        return None if answer.rcode == wire.NXDOMAIN else self._without(zone, name, answer, shown)

    def _without(self, zone: Name, name: Name, answer: Message, shown: str) -> Step | None:
        """What an answer says that has no DS set."""
        proofs = Proofs(answer.authority, zone, self._zones[zone].keys, self._now)
        proven = no_ds(proofs, name)
        if proven is not None:
            return Step("insecure") if proven else None
        if proofs.unsupported:
            return Step("unsupported", f"{shown}: {proofs.unsupported}")
        why = proofs.wrong or "nothing in the answer proves it"
        return Step("broken", f"{shown}: there is none, but that is not proven: {why}")


def _vaguer(step: Step | None, before: Step | None) -> bool:
    """Whether a server told nothing, where another one told what is wrong."""
    return step is not None and step.trust == "unknown" and before is not None and before.trust != "unknown"


def _longer(name: Name, target: Name) -> Name:
    """The name between `name` and `target` that is one label longer than `name`."""
    wanted = len(names.labels_of(name)) + 1
    while len(names.labels_of(target)) > wanted:
        target = names.parent(target)
    return target
