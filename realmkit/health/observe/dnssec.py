"""Looking at the signatures of zones: on every server, and all the way down from a trust anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.health import signatures
from realmkit.health.denial import Proofs
from realmkit.health.observe.asking import ask
from realmkit.health.observe.chain import Chain
from realmkit.health.seen.dnssec import ROOT_ANCHORS, SecSeen, SetSeen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.chain import Step
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.dnssec import SecTask
    from realmkit.health.signatures import Keys, Verified

    Answers = Mapping[tuple[Server, Name, Type], Message | str]


def look(
    tasks: Sequence[SecTask], surroundings: Surroundings, anchors: Mapping[Name, Sequence[str]] | None = None
) -> list[SecSeen]:
    """Look at the signatures of zones.

    Args:
        tasks: the zones.
        surroundings: manners, resolvers (asked for the servers of the zones above), time.
        anchors: DS or DNSKEY rdata as text, by zone; each counts from its zone down. The root's own are added
            unless the root is among them.

    Returns:
        What was seen, in the order of the tasks.

    Raises:
        InputError: an anchor's text is none, or a resolver's text is no address.
    """
    if not tasks:
        return []
    now = int(surroundings.clock.now().timestamp())
    texts = {names.ROOT: ROOT_ANCHORS, **(anchors or {})}
    read = {zone: tuple(signatures.anchor(text) for text in those) for zone, those in texts.items()}
    known = {task.zone: task.servers for task in tasks}
    steps = Chain(known, read, surroundings, now).descend(known)
    keys = {task.zone: _keys(task) for task in tasks if _is_signed(steps[task.zone])}
    answers = ask(
        ((server, *key) for task in tasks for server in task.servers for key in keys.get(task.zone, ())),
        surroundings,
        dnssec=True,
    )
    return [_seen(task, steps[task.zone], keys.get(task.zone, ()), answers, now) for task in tasks]


def _keys(task: SecTask) -> tuple[Key, ...]:
    return ((task.zone, rr.DNSKEY), (task.zone, rr.SOA), *task.wanted)


def _is_signed(step: Step) -> bool:
    """Whether it matters what the zone itself signs: not below a parent that proves there is no DS."""
    return step.trust not in ("insecure", "undelegated")


def _seen(task: SecTask, step: Step, keys: Sequence[Key], answers: Answers, now: int) -> SecSeen:
    sets, trusted = _Sets(task, step, answers, now), {}
    if keys:
        trusted = sets.keys()
        for key in keys[1:]:
            sets.add(key, trusted)
    return SecSeen(
        task, step.trust, now, words=step.words, ds=signatures.ds_seen(step.anchors), ds_ttl=step.ttl,
        ds_known=step.ds_known, tags=tuple(sets.tags), sets=tuple(sets.found),
    )  # fmt: skip


class _Sets:
    """Verifies the sets of one zone."""

    def __init__(self, task: SecTask, step: Step, answers: Answers, now: int) -> None:
        self.found: list[SetSeen] = []
        self.tags: list[tuple[Server, tuple[tuple[int, int], ...]]] = []
        self._task, self._step, self._answers, self._now = task, step, answers, now

    def keys(self) -> dict[Server, Keys]:
        """The DNSKEY set of every server; the trusted ones are returned."""
        zone, trusted = self._task.zone, {}
        for server in self._task.servers:
            answer = self._answers[server, zone, rr.DNSKEY]
            if isinstance(answer, str):
                self.found.append(SetSeen((zone, rr.DNSKEY), server, "unknown", answer))
                continue
            there = signatures.keys_in(answer.answer, zone)
            self.tags.append((server, signatures.algorithms(there)))
            # Where trust does not reach the zone its own keys are taken, to see at least what its signatures are worth.
            anchors = self._step.anchors or [bytes((rr.DNSKEY,)) + key for key in sorted(there)]
            verified, keys = signatures.verify_keys(answer.answer, zone, anchors, self._now)
            self._add((zone, rr.DNSKEY), server, verified)
            if keys:
                trusted[server] = keys
        return trusted

    def add(self, key: Key, trusted: Mapping[Server, Keys]) -> None:
        """One set, of every server whose keys are good."""
        for server, keys in trusted.items():
            answer = self._answers[server, *key]
            if isinstance(answer, str):
                self.found.append(SetSeen(key, server, "unknown", answer))
                continue
            verified = self._verify(key, answer, keys)
            if verified.state == "valid" and key[1] == rr.SOA:  # once: the keys of a server sign all its sets
                verified = _by_all(verified, trusted)
            self._add(key, server, verified)

    def _verify(self, key: Key, answer: Message, keys: Keys) -> Verified:
        name, kind = key
        if not signatures.records_of(answer.answer, name, kind):
            if not signatures.records_of(answer.answer, name, rr.CNAME):
                return signatures.Verified("absent")
            kind = rr.CNAME
        zone = self._task.zone
        verified = signatures.verify(answer.answer, name, kind, zone, keys, self._now)
        own = len(names.labels_of(name)) - names.is_wildcard(name)
        if verified.state != "valid" or verified.labels >= own:
            return verified
        proofs = Proofs(answer.authority, zone, keys, self._now)
        if proofs.denies(signatures.next_closer(name, verified.labels)):
            return verified
        if proofs.unsupported:
            return verified._replace(state="unsupported", detail=proofs.unsupported)
        why = proofs.wrong or "a wildcard answers, and nothing proves that the name itself does not exist"
        return verified._replace(state="unproven", detail=why)

    def _add(self, key: Key, server: Server, verified: Verified) -> None:
        state, detail, expires, lifetime, tags, _ = verified
        self.found.append(SetSeen(key, server, state, detail, expires, lifetime, tags))


def _by_all(verified: Verified, trusted: Mapping[Server, Keys]) -> Verified:
    """The same, or `split` where another server does not publish the keys that made the signatures."""
    lacking = signatures.same_by_all(verified, {str(server): keys for server, keys in trusted.items()})
    if not lacking:
        return verified
    return verified._replace(state="split", detail=f"signed with a key that {', '.join(lacking)} does not publish")
