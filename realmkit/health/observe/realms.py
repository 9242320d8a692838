"""Asking every authoritative server about realms: seven questions at once for each, thousands of realms at a time.

What is answered as wanted is counted and forgotten at once; only what differs is kept. Twenty thousand realms whose
records are right therefore need no more memory than the few that are in flight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import fields, names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Outcome
from realmkit.dns.records import RRset
from realmkit.health.seen.realm import Sight

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.task import Task

Sights = dict[tuple["Server", "Name", "Type"], Sight]


class Answered:
    """What all servers said of one task.

    Args:
        task: what was asked.
        servers: who was asked.

    Attributes:
        odd: what was not answered as wanted, by server and key.
        codes: the rcode of what is rightly absent.
        keys: what was asked.
    """

    __slots__ = ("codes", "keys", "left", "odd", "servers", "task")

    def __init__(self, task: Task, servers: Sequence[Server]) -> None:
        self.task = task
        self.servers = servers
        self.keys = task.keys
        self.left = len(self.keys) * len(servers)
        self.odd: Sights = {}
        self.codes: dict[Key, int] = {}

    def sights(self) -> Sights:
        """What each server said of each key."""
        found: Sights = {}
        for name, kind in self.keys:
            want = self.task.wanted.get((name, kind))
            code = self.codes.get((name, kind), wire.NOERROR)
            fine = Sight("absent", rcode=code) if want is None else Sight("present", want)
            for server in self.servers:
                found[server, name, kind] = self.odd.get((server, name, kind), fine)
        return found


def look(
    tasks: Iterable[Task],
    servers: Mapping[Name, Sequence[Server]],
    surroundings: Surroundings,
) -> Generator[Answered, None, None]:
    """Ask all servers of each task's zone for all its keys.

    Args:
        tasks: drawn as they are needed. A task without servers comes back at once, with nothing asked.
        servers: by zone.
        surroundings: manners.

    Yields:
        Each task, once all its questions have ended, in no order.
    """
    flights: dict[Name, list[Answered]] = {}
    empty: list[Answered] = []

    def questions() -> Iterator[tuple[Server, Name, Type]]:
        for task in tasks:
            answered = Answered(task, servers.get(task.zone, ()))
            if not answered.left:
                empty.append(answered)
                continue
            for name in {key[0] for key in answered.keys}:
                flights.setdefault(name, []).append(answered)
            for name, kind in answered.keys:
                for server in answered.servers:
                    yield server, name, kind

    for reply in surroundings.ask(questions()):
        answered = _whose(flights[reply.name], reply)
        key = reply.name, reply.type
        want = answered.task.wanted.get(key)
        if not (_is_as_wanted(want, reply) if want is not None else _is_absent(answered, key, reply)):
            answered.odd[reply.server, reply.name, reply.type] = sight_of(reply)
        answered.left -= 1
        if not answered.left:
            _land(flights, answered)
            yield answered
    yield from empty


def ask_keys(
    questions: Iterable[tuple[Server, Name, Type]],
    surroundings: Surroundings,
    **changes: bool,
) -> Sights:
    """Ask single questions; what each server said.

    Args:
        questions: server, name and type of each.
        surroundings: manners.
        changes: to the manners, such as `tcp`.
    """
    asked = surroundings.ask(questions, **changes)
    return {(reply.server, reply.name, reply.type): sight_of(reply) for reply in asked}


def sight_of(reply: Reply) -> Sight:
    """What one reply says, three-valued."""
    message = reply.message
    if reply.outcome is not Outcome.ANSWER or message is None:
        return Sight("unknown", detail=reply.detail or reply.outcome.value)
    code = message.rcode
    if code in (wire.REFUSED, wire.NOTAUTH):
        return Sight("lame", rcode=code, detail=f"answers {wire.rcode_to_text(code)}")
    if code not in (wire.NOERROR, wire.NXDOMAIN):
        return Sight("unknown", rcode=code, detail=f"answers {wire.rcode_to_text(code)}")
    if message.aa:
        return _authoritative(reply.name, reply.type, message)
    cuts = [one for one in message.authority if one.type == rr.NS and names.is_under(reply.name, one.name)]
    if cuts and not message.answer and not message.flags & wire.RA:
        same = frozenset(one.rdata for one in cuts if one.name == cuts[0].name)
        return Sight("referral", RRset(cuts[0].name, rr.NS, cuts[0].ttl, same), code)
    return Sight("lame", rcode=code, detail="answers without authority")


def _authoritative(name: Name, kind: Type, message: Message) -> Sight:
    for state, wanted in (("present", kind), ("alias", rr.CNAME)):
        came = [one for one in message.answer if (one.name, one.type) == (name, wanted)]
        if came:
            ttl = min(one.ttl for one in came)
            rrset = RRset(name, wanted, ttl, frozenset(one.rdata for one in came))
            return Sight("present" if state == "present" else "alias", rrset, message.rcode)
    return Sight("absent", rcode=message.rcode, negative=negative_ttl(message))


def negative_ttl(message: Message) -> int | None:
    """Seconds that the absence may be remembered: the lower of the SOA's TTL and MINIMUM (RFC 2308 section 5)."""
    soa = next((one for one in message.authority if one.type == rr.SOA), None)
    return None if soa is None else fields.negative_ttl(soa.ttl, soa.rdata)


def _whose(flying: list[Answered], reply: Reply) -> Answered:
    """Whose question it is; nearly always a name belongs to one task only."""
    if len(flying) == 1:
        return flying[0]
    key = reply.name, reply.type
    return next(one for one in flying if key in one.keys and reply.server in one.servers)


def _land(flights: dict[Name, list[Answered]], answered: Answered) -> None:
    for name in {key[0] for key in answered.keys}:
        flying = flights[name]
        flying.remove(answered)
        if not flying:
            del flights[name]


def _is_as_wanted(want: RRset, reply: Reply) -> bool:
    """Whether an answer is just the set that is wanted: this is what nearly every answer is."""
    message = reply.message
    if message is None or not message.flags & wire.AA or message.flags & 0xF:
        return False
    rdata, ttl, kind, answer = want.rdata, want.ttl, want.type, message.answer
    if len(answer) != len(rdata):
        return False
    name = reply.name
    return all(one.type == kind and one.rdata in rdata and one.ttl == ttl and one.name == name for one in answer) and (
        len(rdata) == 1 or len({one.rdata for one in answer}) == len(rdata)
    )


def _is_absent(answered: Answered, key: Key, reply: Reply) -> bool:
    """Whether nothing is there, where nothing is wanted, and no other server words it otherwise."""
    message = reply.message
    if not answered.task.wanted or message is None or message.answer or not message.flags & wire.AA:
        return False
    code = message.flags & 0xF
    return code in (wire.NOERROR, wire.NXDOMAIN) and answered.codes.setdefault(key, code) == code
