"""Finding the CAA set that counts for a name: its own, else the nearest one above it (RFC 8659 section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.records import RRset
from realmkit.health.observe.asking import ask
from realmkit.health.seen.caa import CaaSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.caa import CaaTask

    Told = RRset | Name | None | str  # the set, where an alias leads, that there is none, or why it is not known
_MOST_ALIASES: Final = 8
_MOST_SERVERS: Final = 4  # of a zone, asked one after the other until one tells


def look(tasks: Sequence[CaaTask], surroundings: Surroundings) -> list[CaaSeen]:
    """Find the CAA set that counts for each name.

    Names in a zone of ours are asked of its own servers, the first that answers; what stands above the zone, and where
    an alias leads, is looked up as `Surroundings.finder` does. All names of all tasks are asked together.

    Args:
        tasks: the names.
        surroundings: manners, and who tells of other zones.

    Returns:
        What was seen, in the order of the tasks.

    Raises:
        InputError: a configured address is none.
    """
    ours: dict[Name, tuple[Server, ...]] = {}
    others: dict[Name, None] = {}
    for task in tasks:
        for name in _climb(task.name):
            if task.zone is not None and names.is_under(name, task.zone):
                ours[name] = task.servers
            else:
                others[name] = None
    told = _of_servers(ours, surroundings) | _outside(others, surroundings)
    aliases = {name: where for name, where in told.items() if isinstance(where, bytes)}
    told |= _along(aliases, surroundings)
    return [_seen(task, told) for task in tasks]


def _climb(name: Name) -> Iterable[Name]:
    """The name and all above it, without the root."""
    while name != names.ROOT:
        yield name
        name = names.parent(name)


def _seen(task: CaaTask, told: dict[Name, Told]) -> CaaSeen:
    for name in _climb(task.name):
        there = told[name]
        if isinstance(there, RRset):
            return CaaSeen(task, "present", name, there)
        if isinstance(there, str):
            return CaaSeen(task, "unknown", name, detail=there)
    return CaaSeen(task, "absent", names.ROOT)


def _of_servers(ours: dict[Name, tuple[Server, ...]], surroundings: Surroundings) -> dict[Name, Told]:
    found: dict[Name, Told] = dict.fromkeys(ours, "none of the servers of its zone is known")
    for number in range(_MOST_SERVERS):
        left = {n: those[number] for n, those in ours.items() if isinstance(found[n], str) and number < len(those)}
        answers = ask(((server, name, rr.CAA) for name, server in left.items()), surroundings)
        for name, server in left.items():
            answer = answers[server, name, rr.CAA]
            found[name] = f"{server} {answer}" if isinstance(answer, str) else _told(name, answer)
    return found


def _outside(wanted: Iterable[Name], surroundings: Surroundings) -> dict[Name, Told]:
    keys = [(name, rr.CAA) for name in wanted]
    answers = surroundings.finder().ask(keys) if keys else {}
    return {name: there if isinstance(there, str) else _told(name, there) for (name, _), there in answers.items()}


def _along(aliases: dict[Name, Name], surroundings: Surroundings) -> dict[Name, Told]:
    """What stands where aliases lead; what stands above there does not count."""
    found: dict[Name, Told] = dict(aliases)
    for _ in range(_MOST_ALIASES):
        pending = {name: where for name, where in found.items() if isinstance(where, bytes)}
        if not pending:
            return found
        there = _outside(dict.fromkeys(pending.values()), surroundings)
        found |= {name: there[where] for name, where in pending.items()}
    endless = "its alias leads through too many others, or round in a circle"
    return {name: endless if isinstance(there, bytes) else there for name, there in found.items()}


def _told(name: Name, message: Message) -> Told:
    aliases = {one.name: one.rdata for one in message.answer if one.type == rr.CNAME}
    end = name
    for _ in range(len(aliases)):
        end = aliases.get(end, end)
    if end in aliases:
        return "its alias leads round in a circle"
    records = [one for one in message.answer if one.type == rr.CAA and one.name == end]
    if records:
        return RRset(end, rr.CAA, min(one.ttl for one in records), frozenset(one.rdata for one in records))
    ended = message.rcode == wire.NXDOMAIN or any(one.type == rr.SOA for one in message.authority)
    return None if end == name or (ended and not message.aa) else end
