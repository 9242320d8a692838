"""Going down from the root, as a resolver does, but with nobody's memory: only authoritative servers are asked.

What a resolver answers may be as old as a TTL, and a resolver that fails takes the view of a whole run along. Here
every answer comes from the servers that the delegations lead to (RFC 1034 section 5.3.3), and is believed only as far
as these servers may speak: about names in their own zone.

Bounded: so many referrals, so many hosts without glue for each, and name servers that need one another to be found are
given up (what CVE-2020-12662 is about).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from realmkit.dns import names, wire
from realmkit.dns import records as rr
from realmkit.dns.asking import query
from realmkit.dns.asking.query import Tally
from realmkit.dns.asking.referral import AT_ONCE, MAX_REFERRALS, Referral, Wish, asked, drive, gather, refer
from realmkit.dns.asking.resolving import Finder, Servers, numeric, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from realmkit.dns.asking.query import Options, Reply, Server
    from realmkit.dns.asking.referral import Told
    from realmkit.dns.names import Name
    from realmkit.dns.records import Key
    from realmkit.dns.wire import Message

# The addresses of a.root-servers.net to m.root-servers.net (IANA, https://www.iana.org/domains/root/servers).
ROOT_SERVERS: Final = (
    "198.41.0.4", "2001:503:ba3e::2:30", "170.247.170.2", "2801:1b8:10::b", "192.33.4.12", "2001:500:2::c",
    "199.7.91.13", "2001:500:2d::d", "192.203.230.10", "2001:500:a8::e", "192.5.5.241", "2001:500:2f::f",
    "192.112.36.4", "2001:500:12::d0d", "198.97.190.53", "2001:500:1::53", "192.36.148.17", "2001:7fe::53",
    "192.58.128.30", "2001:503:c27::2:30", "193.0.14.129", "2001:7fd::1", "199.7.83.42", "2001:500:9f::42",
    "202.12.27.33", "2001:dc3::35",
)  # fmt: skip
_TRIES: Final = 2
_DEEPEST: Final = 4  # how many hosts' addresses may be needed to find the address of a host


class Ways:
    """What was met on the way down.

    Attributes:
        cuts: delegations, by the zone that they lead to.
        tally: what servers showed of their ways; one that is down is asked no more.
        rootless: in words, why no server of the root tells anything; empty as long as one does.
    """

    def __init__(self) -> None:
        self.cuts = {names.ROOT: Referral(names.ROOT, (), {})}
        self.tally = Tally()
        self.rootless = ""


class Iterator(Finder):
    """Finds the way down from the root to every name.

    Args:
        roots: addresses of the root's servers, `192.0.2.1`, `192.0.2.1:5300`.
        manners: the options to ask with, taken anew for each round. There are always other servers to ask, so none is
            tried more than twice.
        ways: what is known already, and is added to.
        instead: who is asked once no server of the root tells anything: some networks let nobody but their resolvers
            ask the world, or answer themselves in everybody's place.

    Raises:
        InputError: a text is no address.
    """

    def __init__(
        self, roots: Sequence[str], manners: Callable[[], Options], ways: Ways | None = None,
        instead: Finder | None = None,
    ) -> None:  # fmt: skip
        servers = [numeric(text, "the root's server") for text in roots]
        # Without IPv6, half of the root's servers are not asked in vain.
        self._roots = tuple(one for one in servers if query.has_route(one.address))
        self._manners = manners
        self._ways = ways or Ways()
        self._instead = instead
        self._depth = 0

    def ask(self, keys: Iterable[Key]) -> dict[Key, Message | str]:
        """As `Finder.ask`. Answers hold nothing for which the servers asked are not authoritative."""
        wanted = dict.fromkeys(keys)
        if self._depth >= _DEEPEST:
            return dict.fromkeys(wanted, "the name servers on the way need one another to be found")
        self._depth += 1
        turns = _Turns()
        try:
            found = drive({key: self._down_to(key, turns) for key in wanted}, self, self._options, self._ways.tally)
        finally:
            self._depth -= 1
        return self._instead.ask(wanted) if self._ways.rootless and self._instead is not None else found

    def _options(self) -> Options:
        options = self._manners()
        return structs.replace(options, timeouts=options.timeouts[:_TRIES])

    def _down_to(self, key: Key, turns: _Turns) -> Generator[Wish, Told, Message | str]:
        """From the nearest known delegation to an answer with authority."""
        name = names.parent(key[0]) if key[1] == rr.DS and key[0] != names.ROOT else key[0]  # RFC 4035 section 3.1.4.1
        for _ in range(MAX_REFERRALS):
            branch = self._branch(name)
            while not turns.take(branch):
                yield Wish()
                branch = self._branch(name)
            nearer = yield from self._said(key, name, self._ways.cuts[branch[0]])
            turns.end(branch, leads_on=isinstance(nearer, Referral))
            if not isinstance(nearer, Referral):
                return nearer
            self._ways.cuts[nearer.cut] = nearer
        return f"the way to {shown(name)} leads through more than {MAX_REFERRALS} referrals"

    def _branch(self, name: Name) -> tuple[Name, Name]:
        """The nearest known zone above a name, and the name directly below its apex that leads there."""
        cut = child = names.closest(name, self._ways.cuts) or names.ROOT
        while name != cut:
            name, child = names.parent(name), name
        return cut, child

    def _said(self, key: Key, name: Name, referral: Referral) -> Generator[Wish, Told, Message | Referral | str]:
        """What the servers of one zone answer, or where they refer to for `name`; in words why neither."""
        if referral.cut == names.ROOT and self._ways.rootless:
            return self._ways.rootless
        refusals: list[str] = []
        for hosts in _in_turn(referral):
            servers = yield from self._servers(referral, hosts)
            replies: list[Reply] = []
            words = ""
            for some in _by_family(servers.found):
                replies += yield from asked(key, some)
                for reply in replies:
                    if (answer := _answer(reply, referral.cut)) is not None:
                        return answer
                nearer = refer(name, replies, referral.cut)
                if isinstance(nearer, Referral):
                    return nearer
                words = nearer
            refusals += (words, *servers.unknown)
        if referral.cut == names.ROOT:
            self._ways.rootless = f"no way down from the root: {'; '.join(refusals)}"
            return self._ways.rootless
        return "; ".join(refusals)

    def _servers(self, referral: Referral, hosts: tuple[Name, ...]) -> Generator[Wish, Told, Servers]:
        """Where to ask: at the addresses that came with the referral, else at those that are looked up."""
        if referral.cut == names.ROOT:
            return Servers(self._roots, () if self._roots else ("there is no route to any of its servers",))
        return (yield from gather(referral._replace(hosts=hosts)))


class _Turns:
    """Of many names on one branch below a zone, one asks first: it may find a delegation that spares the others that.

    A thousand hosts under `com.` would else be asked for at the root.
    """

    def __init__(self) -> None:
        self._under_way: set[tuple[Name, Name]] = set()
        self._ends: set[tuple[Name, Name]] = set()

    def take(self, branch: tuple[Name, Name]) -> bool:
        """Whether it is one's turn; where no delegation was found it is everybody's."""
        if branch in self._under_way:
            return False
        if branch not in self._ends:
            self._under_way.add(branch)
        return True

    def end(self, branch: tuple[Name, Name], *, leads_on: bool) -> None:
        """The turn is over."""
        self._under_way.discard(branch)
        if not leads_on:
            self._ends.add(branch)


def _by_family(servers: Sequence[Server]) -> tuple[tuple[Server, ...], ...]:
    """IPv4 first: where IPv6 leads nowhere though there is a route, every silence would be waited for."""
    fours = tuple(one for one in servers if ":" not in one.address)
    sixes = tuple(one for one in servers if ":" in one.address)
    return tuple(some for some in (fours, sixes) if some) or ((),)


def _in_turn(referral: Referral) -> tuple[tuple[Name, ...], ...]:
    """Which of a zone's hosts to ask first, and which if those say nothing: some of those that came without glue."""
    glued = tuple(host for host in referral.hosts if host in referral.glue)
    without = tuple(host for host in referral.hosts if host not in referral.glue)[:AT_ONCE]
    return tuple(some for some in (glued, without) if some) or ((),)


def _answer(reply: Reply, cut: Name) -> Message | None:
    """What a server of the zone `cut` says with authority, without what it may not speak for; None for no answer."""
    message = reply.message
    if message is None or not message.aa or message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return None
    own = [one for one in message.answer if names.is_under(one.name, cut)]
    end = reply.name
    aliases = {one.name: one.rdata for one in own if one.type == rr.CNAME}
    for _ in aliases:
        end = aliases.get(end, end)
    if names.is_under(end, cut):
        authority = [one for one in message.authority if names.is_under(one.name, cut)]
        return message._replace(answer=own, authority=authority, additional=[])
    flags = message.flags & ~0xF  # whatever the code says is about a name of others
    return message._replace(flags=flags, answer=own, authority=[], additional=[])
