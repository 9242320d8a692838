"""Following aliases to their end, and asking whether lookalikes are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.health.confusables import candidates
from realmkit.health.observe.realms import ask_keys
from realmkit.health.observe.resolvers import ask_resolvers, resolver_servers
from realmkit.health.seen.dangling import AliasSeen, LookalikesSeen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings
    from realmkit.health.seen.dangling import AliasTask
    from realmkit.health.seen.realm import Sight

_FAMILIES: Final = (rr.A, rr.AAAA)
_MOST_ALIASES: Final = 8
_ENDLESS: Final = f"the alias leads through more than {_MOST_ALIASES} others, or round in a circle"


class _Step(NamedTuple):
    """What asking for one name comes to.

    Attributes:
        state: as in `AliasSeen`; None where it goes on at the name `at`.
        at: the name that this is about.
        detail: as in `AliasSeen`.
        elsewhere: whether the name is delegated away from the zone that was asked, so that others have to tell.
    """

    state: Literal["resolves", "nxdomain", "nodata", "unknown"] | None
    at: Name
    detail: str = ""
    elsewhere: bool = False


def look(
    tasks: Sequence[AliasTask], servers: Mapping[Name, Sequence[Server]], surroundings: Surroundings
) -> list[AliasSeen]:
    """Where each alias ends, each target asked for once.

    A target in a zone of ours is asked of that zone's servers, without recursion: a resolver that is asked for a name
    before it is served would remember that it does not exist. A target elsewhere is meant to exist, and is looked up
    as `Surroundings.finder` does.

    Args:
        tasks: as `seen.dangling.alias_tasks` gives them.
        servers: the authoritative servers of all our zones; empty where they are not known.
        surroundings: manners and resolvers.

    Raises:
        InputError: a resolver's text is no address.
    """
    steps = {task.target: _Step(None, task.target) for task in tasks}
    for _ in range(_MOST_ALIASES):
        pending = {step.at for step in steps.values() if step.state is None}
        if not pending:
            break
        ours = {name for name in pending if names.closest(name, servers) is not None}
        told = _of_servers(ours, servers, surroundings)
        foreign = (pending - ours) | {name for name, step in told.items() if step.elsewhere}
        told |= _outside(foreign, surroundings)
        steps = {target: told[step.at] if step.state is None else step for target, step in steps.items()}
    return [_seen(task, steps[task.target]) for task in tasks]


def _seen(task: AliasTask, step: _Step) -> AliasSeen:
    if step.state is None:
        return AliasSeen(task, "unknown", step.at, _ENDLESS)
    return AliasSeen(task, step.state, step.at, step.detail)


def _of_servers(
    wanted: Collection[Name], servers: Mapping[Name, Sequence[Server]], surroundings: Surroundings
) -> dict[Name, _Step]:
    at = {name: servers[zone] for name in sorted(wanted) if (zone := names.closest(name, servers)) is not None}
    asked = [(server, name, kind) for name in at for server in at[name] for kind in _FAMILIES]
    by_name: dict[Name, list[Sight]] = {name: [] for name in at}
    for (_, name, _), sight in (ask_keys(asked, surroundings) if asked else {}).items():
        by_name[name].append(sight)
    return {name: _served(name, sights) for name, sights in by_name.items()}


def _served(name: Name, sights: Sequence[Sight]) -> _Step:
    """What the authoritative servers' answers about one name come to; one server that has it is enough."""
    by_state = {sight.state: sight for sight in sights}
    if "present" in by_state:
        return _Step("resolves", name)
    if "alias" in by_state and (rrset := by_state["alias"].rrset) is not None:
        return _Step(None, min(rrset.rdata))
    if "referral" in by_state:
        return _Step(None, name, elsewhere=True)
    vague = by_state.get("unknown") or by_state.get("lame")
    if vague is not None or not sights:
        return _Step("unknown", name, vague.detail if vague is not None else "its zone has no server that is known")
    missing = all(sight.rcode == wire.NXDOMAIN for sight in sights)
    return _Step("nxdomain" if missing else "nodata", name)


def _outside(wanted: Collection[Name], surroundings: Surroundings) -> dict[Name, _Step]:
    if not wanted:
        return {}
    answers = surroundings.finder().ask((name, kind) for name in sorted(wanted) for kind in _FAMILIES)
    return {name: _told(name, {kind: answers[name, kind] for kind in _FAMILIES}) for name in wanted}


def _told(name: Name, answers: Mapping[Type, Message | str]) -> _Step:
    """What the answers about a name's two families come to."""
    steps = [_step(name, kind, answer) for kind, answer in answers.items()]
    return next(step for state in ("resolves", "nxdomain", None, "unknown", "nodata")
                for step in steps if step.state == state)  # fmt: skip


def _step(name: Name, kind: Type, answer: Message | str) -> _Step:
    if isinstance(answer, str):
        return _Step("unknown", name, answer)
    aliases = {one.name: one.rdata for one in answer.answer if one.type == rr.CNAME}
    end = name
    for _ in range(len(aliases)):
        end = aliases.get(end, end)
    if any(one.type == kind and one.name == end for one in answer.answer):
        return _Step("resolves", end)
    if answer.rcode == wire.NXDOMAIN:
        return _Step("nxdomain", end)
    if end != name and not any(one.type == rr.SOA for one in answer.authority):
        return _Step(None, end)  # the answer ends at an alias
    return _Step("nodata", end)


def lookalikes(domains: Sequence[Name], owned: Collection[Name], surroundings: Surroundings) -> list[LookalikesSeen]:
    """Which names that look like ours are registered.

    Each candidate costs one question, NS, to one resolver; the resolvers take turns. A name counts as registered if it
    is delegated: it has NS records, or a SOA of its own. One that fails to resolve is delegated too, as a rule, but
    that can't be told from a fault on the way, so it is untold.

    Args:
        domains: registered domains of ours, `reseller.example`.
        owned: names that are ours; candidates at, below or above these are left out.
        surroundings: manners and resolvers.

    Raises:
        InputError: a resolver's text is no address.
    """
    resolvers = resolver_servers(surroundings)
    wanted = {domain: [one for one in candidates(domain) if not _is_owned(one.name, owned)] for domain in domains}
    every = list(dict.fromkeys(one.name for some in wanted.values() for one in some))
    asked = ((resolvers[turn % len(resolvers)], name, rr.NS) for turn, name in enumerate(every))
    told = {reply.name: _is_delegated(reply) for reply in ask_resolvers(asked, surroundings)}
    found = []
    for domain, some in wanted.items():
        registered = tuple(one for one in some if told[one.name] is True)
        untold = [why for one in some if isinstance(why := told[one.name], str)]
        found.append(LookalikesSeen(domain, len(some), registered, len(untold), untold[0] if untold else ""))
    return found


def _is_owned(name: Name, owned: Collection[Name]) -> bool:
    return any(names.is_under(name, one) or names.is_under(one, name) for one in owned)


def _is_delegated(reply: Reply) -> bool | str:
    """Whether a name is the apex of a zone; in words why that is not known."""
    message = reply.message
    if message is None:
        return f"the resolver {reply.server}: {reply.detail}"
    if message.rcode == wire.NXDOMAIN:
        return False
    if message.rcode != wire.NOERROR:
        return f"the resolver {reply.server} answers {wire.rcode_to_text(message.rcode)}"
    here = (*message.answer, *message.authority)
    return any(one.name == reply.name and one.type in (rr.NS, rr.SOA) for one in here)
