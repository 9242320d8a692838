"""The way from the zone above down to a delegation, for many zones side by side.

A walk says what it wants to know next and waits; `together` puts the wishes of all walks into few rounds of
questions. Five hundred zones below one parent take about as many round trips as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from zlib import crc32

from msgspec import structs

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.resolving import ADDRESS_TYPES, Addresses, Gathered, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from realmkit.dns.asking.query import Options, Reply, Server, Tally
    from realmkit.dns.asking.resolving import Finder, Servers
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, Type
    from realmkit.dns.wire import Message, Record

K = TypeVar("K")
R = TypeVar("R")
MAX_REFERRALS: Final = 8
_SHOWN: Final = 2  # servers of those that say the same
AT_ONCE: Final = 3  # servers of a zone that are asked for one delegation; the others only if these say nothing


class Referral(NamedTuple):
    """Where a server says that the zone's, or a nearer zone's, servers are."""

    cut: Name
    hosts: tuple[Name, ...]
    glue: Mapping[Name, tuple[tuple[Type, bytes], ...]]
    ttl: int | None = None


class Walk(NamedTuple):
    """How far a walk came.

    Attributes:
        referral: the last one.
        parents: the servers that were asked for it.
        unknown: in words, why it ended before the zone.
        denied: a server of the zone above says, with authority, that the zone is not delegated.
    """

    referral: Referral
    parents: tuple[Server, ...]
    unknown: tuple[str, ...] = ()
    denied: bool = False


class Wish(NamedTuple):
    """What a walk wants to know: from a finder, a host's addresses, or from name servers themselves."""

    keys: tuple[Key, ...] = ()
    hosts: tuple[Name, ...] = ()
    questions: tuple[tuple[Server, Name, Type], ...] = ()


class Told(NamedTuple):
    """All that the walks were told so far."""

    keys: dict[Key, Message | str]
    hosts: dict[Name, Addresses]
    replies: dict[tuple[Server, Name, Type], Reply]


if TYPE_CHECKING:
    Step = Generator[Wish, Told, Walk]
    Gathering = Generator[Wish, Told, Servers]


def together(zones: Iterable[Name], finder: Finder, manners: Callable[[], Options]) -> dict[Name, Walk]:
    """Walk to each zone's delegation.

    Args:
        zones: apexes.
        finder: asked for what stands above the zones, and for hosts.
        manners: the options to ask name servers with, taken anew for each round.
    """
    return drive({zone: walk(zone) for zone in zones}, finder, manners)


def drive(
    walks: Mapping[K, Generator[Wish, Told, R]], finder: Finder, manners: Callable[[], Options],
    tally: Tally | None = None,
) -> dict[K, R]:  # fmt: skip
    """Let all walk side by side, and tell each what it wishes to know; where each ended.

    Args:
        walks: by whatever tells them apart.
        finder: as for `together`.
        manners: likewise.
        tally: what is known of name servers, and is learned of them.
    """
    told = Told({}, {}, {})
    ended: dict[K, R] = {}
    wishes: dict[K, Wish] = {}

    def go_on(key: K, told: Told | None) -> None:
        try:
            wishes[key] = walks[key].send(told)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as end:
            ended[key] = end.value
            wishes.pop(key, None)

    for key in walks:
        go_on(key, None)
    while wishes:
        grant(wishes.values(), told, finder, manners, tally)
        for key in list(wishes):
            go_on(key, told)
    return ended


def grant(
    wishes: Iterable[Wish], told: Told, finder: Finder, manners: Callable[[], Options], tally: Tally | None = None
) -> None:
    """Find out what is wished for and not told yet: at most three rounds, however many wishes there are."""
    wishes = list(wishes)
    keys = {key: None for wish in wishes for key in wish.keys if key not in told.keys}
    hosts = {host: None for wish in wishes for host in wish.hosts if host not in told.hosts}
    questions = {one: None for wish in wishes for one in wish.questions if one not in told.replies}
    if keys:
        told.keys.update(finder.ask(keys))
    if hosts:
        told.hosts.update(finder.addresses(list(hosts)))
    if questions:
        replies = query.ask(questions, structs.replace(manners(), rd=False), tally)
        told.replies.update({(one.server, one.name, one.type): one for one in replies})


def walk(zone: Name) -> Step:
    """From the enclosing zone down to the referral to the zone itself."""
    above = yield from _enclosing_zone(zone)
    nothing = Referral(names.ROOT, (), {})
    if isinstance(above, str):
        return Walk(nothing, (), (above,))
    hosts = yield from _servers_above(above)
    if isinstance(hosts, str):
        return Walk(nothing, (), (hosts,))
    referral = Referral(above, hosts, {})
    for _ in range(MAX_REFERRALS):
        servers = yield from gather(referral)
        answers = yield from asked((zone, rr.NS), servers.found)
        nearer = refer(zone, answers, referral.cut)
        if isinstance(nearer, str):
            denied = any(_denies(one, zone) for one in answers)
            return Walk(referral, servers.found, (nearer, *servers.unknown), denied)
        referral = nearer
        if referral.cut == zone:
            return Walk(referral, servers.found)
    too_far = f"the way to {shown(zone)} leads through more than {MAX_REFERRALS} referrals"
    return Walk(referral, (), (too_far,))


def spread(zone: Name, servers: Sequence[Server]) -> tuple[Server, ...]:
    """The servers in an order that differs from zone to zone, so that no single one is asked about all of them."""
    start = crc32(zone) % len(servers) if servers else 0
    return (*servers[start:], *servers[:start])


def asked(key: Key, servers: Sequence[Server]) -> Generator[Wish, Told, list[Reply]]:
    """What some of the servers answer, or all of them, if some say nothing of use."""
    order = spread(key[0], servers)
    replies: list[Reply] = []
    for batch in (order[:AT_ONCE], order[AT_ONCE:]):
        if batch and not any(_speaks(one) for one in replies):
            questions = tuple((server, *key) for server in batch)
            told = yield Wish(questions=questions)
            replies += [told.replies[one] for one in questions]
    return replies


def _speaks(reply: Reply) -> bool:
    """Whether a reply says anything about the zone, be it who serves it or that it is none."""
    answer = reply.message
    if answer is None or answer.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return False
    return answer.aa or any(one.type == rr.NS for one in answer.authority)


def gather(referral: Referral) -> Gathering:
    """The addresses of a referral's hosts: by glue where the referring zone may give it, else looked up."""
    without = tuple(host for host in referral.hosts if host not in referral.glue)
    known: Mapping[Name, Addresses] = {}
    if without:
        known = (yield Wish(hosts=without)).hosts
    gathered = Gathered()
    for host in referral.hosts:
        glue = referral.glue.get(host)
        gathered.add_host(host, known[host] if glue is None else Addresses(glue))
    return gathered.servers()


def _enclosing_zone(zone: Name) -> Generator[Wish, Told, Name | str]:
    """The apex of the zone that the parent name lies in, as its SOA tells."""
    name = names.parent(zone)
    while True:
        answer = (yield Wish(((name, rr.SOA),))).keys[name, rr.SOA]
        if isinstance(answer, str):
            return f"the zone above {shown(zone)} could not be found: {answer}"
        for record in (*answer.answer, *answer.authority):
            if record.type == rr.SOA and names.is_under(name, record.name):
                return record.name
        if name == names.ROOT:
            return f"the zone above {shown(zone)} could not be found: no SOA up to the root"
        name = names.parent(name)  # an alias, say


def _servers_above(above: Name) -> Generator[Wish, Told, tuple[Name, ...] | str]:
    answer = (yield Wish(((above, rr.NS),))).keys[above, rr.NS]
    if isinstance(answer, str):
        return f"the servers of {shown(above)} could not be found: {answer}"
    return _targets(answer.answer, above) or f"the answer is that {shown(above)} has no name servers"


def refer(zone: Name, replies: Sequence[Reply], cut: Name) -> Referral | str:
    """What the servers of `cut` say about the zone; the first usable word counts."""
    refusals: dict[str, list[str]] = {}
    for reply in replies:
        referral = _referral_in(reply, zone, cut)
        if isinstance(referral, Referral):
            return referral
        refusals.setdefault(referral, []).append(str(reply.server))
    why = "; ".join(f"{_some(those)}: {words}" for words, those in refusals.items())
    why = why or "none of them is known by address"
    return f"the servers of {shown(cut)} give no delegation of {shown(zone)}: {why}"


def _some(servers: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = len(servers) - _SHOWN
    return ", ".join(servers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _referral_in(reply: Reply, zone: Name, cut: Name) -> Referral | str:
    answer = reply.message
    if answer is None:
        return reply.detail
    if answer.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return f"answers {wire.rcode_to_text(answer.rcode)}"
    if answer.aa and (hosts := _targets(answer.answer, zone)):  # it serves parent and child alike
        return Referral(zone, hosts, _glue(answer, cut), _ttl(answer.answer, zone))
    owners = {one.name for one in answer.authority if one.type == rr.NS}
    nearer = [one for one in owners if names.is_under(zone, one) and names.is_under(one, cut) and one != cut]
    if not answer.aa and nearer:
        hosts, ttl = _targets(answer.authority, nearer[0]), _ttl(answer.authority, nearer[0])
        return Referral(nearer[0], hosts, _glue(answer, cut), ttl)
    return f"{shown(zone)} is not delegated" if answer.aa else "not authoritative (lame)"


def _denies(reply: Reply, zone: Name) -> bool:
    """Whether a server of the zone above says with authority that there is no such delegation."""
    answer = reply.message
    if answer is None or not answer.aa or answer.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return False
    return not _targets(answer.answer, zone)


def _targets(records: Iterable[Record], owner: Name) -> tuple[Name, ...]:
    return tuple(sorted(one.rdata for one in records if one.type == rr.NS and one.name == owner))


def _ttl(records: Iterable[Record], owner: Name) -> int | None:
    return max((one.ttl for one in records if one.type == rr.NS and one.name == owner), default=None)


def _glue(answer: Message, cut: Name) -> dict[Name, tuple[tuple[Type, bytes], ...]]:
    """The addresses in the additional section of hosts for which the servers of `cut` may speak."""
    found: dict[Name, tuple[tuple[Type, bytes], ...]] = {}
    for one in answer.additional:
        if one.type in ADDRESS_TYPES and names.is_under(one.name, cut):
            found[one.name] = tuple(sorted({*found.get(one.name, ()), (one.type, one.rdata)}))
    return found
