"""The loop behind `query.ask`: draws questions, sends, waits, receives and expires, in one thread."""

from __future__ import annotations

import heapq
import selectors
from collections import deque
from itertools import islice
from time import monotonic  # noqa: TID251 - timeouts of sockets are real time, whatever clock a caller decides by
from typing import TYPE_CHECKING, Final, Literal

from realmkit.dns import wire
from realmkit.dns.asking.conduct import Pace
from realmkit.dns.asking.datagrams import Datagrams
from realmkit.dns.asking.exchange import Failure, Options, Outcome, Place, Reply, Server, Tally
from realmkit.dns.asking.peer import Dice, Line, Query
from realmkit.dns.asking.streams import Streams
from realmkit.dns.wire import BadMessageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message

_BACKLOG: Final = 4096  # questions taken from the caller and not yet answered
_MAX_SOCKETS: Final = 256  # well below the usual limit of 1,024 descriptors
_COMPLAINTS: Final = (wire.FORMERR, wire.NOTIMP)  # without an OPT record of its own: it does not know EDNS
_BADVERS: Final = 16
_new: Final = tuple.__new__  # half the cost of a NamedTuple's own constructor


class _Tails(dict[int, bytes]):
    """What follows the name in a question, by type."""

    def __missing__(self, kind: Type) -> bytes:
        tail = self[kind] = kind.to_bytes(2, "big") + b"\0\1"
        return tail


class Engine:
    """One run of `ask`; its arguments are those of `ask`."""

    def __init__(self, questions: Iterable[tuple[Server, Name, Type]], options: Options, tally: Tally) -> None:
        self.questions = iter(questions)
        self.options = options
        self.tally = tally
        self.selector = selectors.DefaultSelector()
        self.lines: dict[Server, Line] = {}
        self.places: dict[Place, Line] = {}
        self.hungry: dict[Line, None] = {}  # have something to send
        self.asleep: list[tuple[float, int, Pace, Line]] = []  # a heap: out of tokens until then
        self.starved: dict[Line, None] = {}  # wait for a socket
        self.datagrams = Datagrams(self)
        self.streams = Streams(self)
        self.sockets = 0
        self.open = 0
        self.exhausted = False
        self.replies: list[Reply] = []
        self.dice = Dice()
        self.now = monotonic()
        self.until = None if options.deadline is None else self.now + options.deadline
        # One queue for each length of wait, so that each is in order by itself; the last is TCP's.
        self.waits = (*options.timeouts, max(options.timeouts))
        self.timers: list[deque[tuple[float, Query]]] = [deque() for _ in self.waits]
        # What stands before the question (after the id) and behind it.
        self.plain = wire.query(b"", 0, payload=None, rd=options.rd)[:10], b""
        edns = wire.query(b"", 0, payload=options.payload, rd=options.rd, dnssec=options.dnssec)
        self.with_edns = edns[:10], edns[14:]
        self.tails = _Tails()

    def run(self) -> Generator[Reply, None, None]:
        """Ask; yields the replies."""
        try:
            while not self.exhausted or self.open:
                self._draw()
                self._send()
                yield from self._ready()
                for key, _ in self.selector.select(self._pause()) if self.open else ():
                    key.data()
                    yield from self._ready()  # at once, for what is given away soon costs the collector nothing
                self._look_at_the_time()
            yield from self._ready()
        finally:
            for where, line in self.places.items():
                if line.health.failure is not None:
                    self.tally.down[where] = line.health.failure
                line.close()
            self.selector.close()

    def _ready(self) -> list[Reply]:
        """The replies that nobody has been given yet."""
        ready, self.replies = self.replies, []
        return ready

    def tick(self) -> None:
        """Look at the time."""
        self.now = monotonic()

    # --- questions in, replies out -------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Take questions until enough are open."""
        self.tick()
        wanted = _BACKLOG - max(self.open, len(self.replies))
        if self.exhausted or wanted <= 0:
            return
        lines, hungry, over, tcp, tails = self.lines, self.hungry, self._over(), self.options.tcp, self.tails
        drawn = list(islice(self.questions, wanted))
        asked = [name for _, name, _ in drawn]
        spelled = self.dice.mixed(asked) if self.options.mix_case else asked
        self.open += len(drawn)
        self.exhausted = len(drawn) < wanted
        for (server, name, kind), spelling in zip(drawn, spelled, strict=True):
            line = lines.get(server) or self._line_of(server)
            conduct = line.conduct
            query = Query(server, line, name, kind, (spelling if conduct.mix_case else name) + tails[kind])
            if tcp or conduct.wants_tcp or line.health.failure is not None or over is not None:
                self._draw_apart(query, over)
            else:
                line.queue.append(query)
                hungry[line] = None

    def _draw_apart(self, query: Query, over: Failure | None) -> None:
        """Take a question that is not asked over UDP."""
        line = query.line
        over_tcp = self.options.tcp or (line.conduct.wants_tcp and line.health.failure is None)
        failure = over or (line.tcp_health if over_tcp else line.health).failure
        if failure is not None:
            self.fail(query, failure)
        else:
            query.tcp = "asked"
            line.tcp_queue.append(query)
            self.hungry[line] = None

    def _over(self) -> Failure | None:
        """Why nothing is asked any more, once the deadline has passed."""
        if self.until is None or self.now < self.until:
            return None
        return Failure(Outcome.TIMEOUT, f"the deadline of {self.options.deadline:g} s passed")

    def _line_of(self, server: Server) -> Line:
        where = server.place
        line = self.places.get(where)
        if line is None:
            line = self.places[where] = Line(where, self.options, self.now)
            self._remember(line)
        self.lines[server] = line
        return line

    def _remember(self, line: Line) -> None:
        """Heed what an earlier run learned of a server."""
        where, tally, conduct = line.where, self.tally, line.conduct
        line.health.failure = tally.down.get(where)
        if where in tally.no_edns:
            conduct.edns, conduct.refusal = False, tally.no_edns[where]
        if where in tally.caseless:
            conduct.mix_case = False
        if where in tally.slowed:
            conduct.limited = conduct.answered = True
            line.tcp_pace = Pace(line.pace.rate, 1, self.now)
            line.pace.resume(tally.slowed[where], self.now)

    def _finish(self, query: Query, reply: Reply) -> None:
        """Give the one reply of a question and forget it."""
        self.land(query)
        query.done = True
        query.release()
        self.open -= 1
        self.replies.append(reply)

    def fail(self, query: Query, failure: Failure) -> None:
        """End a question without an answer."""
        outcome, detail = failure
        self._finish(query, Reply(query.server, query.name, query.type, outcome, None, 0.0, query.sends, detail))

    def land(self, query: Query) -> None:
        """The question is no longer in flight, so there is room for another."""
        if not query.flying:
            return
        query.flying = False
        if query.stream is None:
            query.line.flying -= 1
        else:
            query.release()
            query.stream = None
        self.hungry[query.line] = None

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send whatever may be sent now."""
        while self.hungry:
            line, _ = self.hungry.popitem()
            if line.tcp_queue and not line.tcp_pace.asleep:
                self.streams.pump(line)
            if line.queue and not line.pace.asleep:
                self.datagrams.pump(line)

    def may_send(self, line: Line, pace: Pace) -> bool:
        """Take a token, or let the server rest until there is one."""
        pause = pace.take(self.now)
        if pause and not pace.asleep:
            pace.asleep = True
            heapq.heappush(self.asleep, (self.now + pause, id(pace), pace, line))
        return not pause

    def compose(self, query: Query, ident: bytes) -> bytes:
        """The whole query as it goes out."""
        conduct = query.line.conduct
        if not conduct.mix_case:
            query.question = query.name + query.question[-4:]
        if not conduct.edns:
            query.plain = True
        head, tail = self.plain if query.plain else self.with_edns
        return b"".join((ident, head, query.question, tail))

    def has_room(self, line: Line) -> bool:
        """Whether one more socket may be opened; if not, the line is woken when it may be."""
        if self.sockets < _MAX_SOCKETS:
            return True
        for other in self.places.values():
            if other is not line:
                self.datagrams.close_idle(other)
                self.streams.close_idle(other)
        if self.sockets < _MAX_SOCKETS:
            return True
        self.starved[line] = None
        return False

    def slow(self, line: Line, sent: float) -> None:
        """A server limits the rate of its answers over UDP, as a try of `sent` shows: ask it there at half the pace."""
        line.conduct.limited = True
        if line.tcp_pace is line.pace:  # nobody limits answers over TCP, where they can't be sent to a third party
            line.tcp_pace = Pace(line.pace.rate, 1, self.now)
        if line.pace.slow(sent, self.now) and line.pace.rate is not None:
            slowest = self.tally.slowed.get(line.where, line.pace.rate)
            self.tally.slowed[line.where] = min(slowest, line.pace.rate)
            line.conduct.slowed()

    def ask_anew(self, query: Query) -> None:
        """Ask in another way at once; that does not count as a try."""
        self.land(query)
        query.release()
        if query.tcp:
            query.line.tcp_queue.appendleft(query)
        else:
            query.tries -= 1
            query.line.queue.appendleft(query)
        self.hungry[query.line] = None

    def turn_to_tcp(self, query: Query, why: Literal["cut", "silent"]) -> None:
        """Ask the same over TCP from now on (RFC 7766 section 5)."""
        self.land(query)
        query.release()
        query.tcp = why
        line = query.line
        failure = line.tcp_health.failure
        if failure is not None:
            self.fail(query, failure)
        else:
            line.tcp_queue.append(query)
            self.hungry[line] = None

    # --- waiting -------------------------------------------------------------------------------------------------

    def _look_at_the_time(self) -> None:
        """Deal with all whose time has come."""
        self.tick()
        while self.asleep and self.asleep[0][0] <= self.now:
            _, _, pace, line = heapq.heappop(self.asleep)
            pace.asleep = False
            self.hungry[line] = None
        if self.starved:
            self.hungry |= self.starved  # a socket may have become free
            self.starved.clear()
        self._expire()
        if (over := self._over()) is not None:
            for line in self.places.values():
                for query in (*line.open_over_udp(), *line.open_over_tcp()):
                    self.fail(query, over)
                line.queue.clear()
                line.tcp_queue.clear()

    def _pause(self) -> float:
        """Seconds until something is due; none if there is more to draw."""
        if self.replies or (self.open < _BACKLOG and not self.exhausted):
            return 0.0
        due = [timer[0][0] + wait for timer, wait in zip(self.timers, self.waits, strict=True) if timer]
        if self.asleep:
            due.append(self.asleep[0][0])
        if self.until is not None:
            due.append(self.until)
        return max(0.0, min(due, default=self.now) - monotonic())

    def _expire(self) -> None:
        """Deal with the tries whose time is over."""
        for timer, wait in zip(self.timers, self.waits, strict=True):
            while timer:
                set_at, query = timer[0]
                stale = query.done or not query.flying or (query.stream is None and query.sent != set_at)
                if not stale and set_at + wait > self.now:
                    break
                timer.popleft()
                if stale:
                    continue
                if query.stream is not None:
                    self.streams.timed_out(query, set_at)
                else:
                    self.datagrams.timed_out(query)

    # --- answers -------------------------------------------------------------------------------------------------

    def deliver(self, query: Query, data: bytes, *, exact: bool = True) -> None:
        """Read an answer to the question and give it out, or ask once more if it can't be read.

        Args:
            query: the question.
            data: the answer.
            exact: whether it begins with the question octet for octet.
        """
        name, kind = query.name, query.type
        try:
            message = wire.parse_answer(data, name, kind) if exact else wire.parse(data)
        except BadMessageError as error:
            self.tally.malformed += 1
            failure = Failure(Outcome.MALFORMED, f"an answer that can't be read: {error}")
            if query.tcp:
                self.fail(query, failure)
            else:
                self.datagrams.again(query, failure)
            return
        if query.plain or message.flags & 0xF in _COMPLAINTS or message.flags > 0xFFFF:
            if self._is_about_edns(query, message, data[:2]):
                return
        else:
            query.line.conduct.edns_heard = True
        pending, sent = query.pending, query.sent
        if pending is None or query.older is not None or query.stream is not None or not query.flying:
            rtt = self.now - query.sent_at(data[:2])
            self._finish(query, Reply(query.server, name, kind, Outcome.ANSWER, message, rtt, query.sends))
            return
        query.flying = False  # what `_finish` does, for the many that are answered at once
        query.line.flying -= 1
        query.pending = None
        query.done = True
        pending.pop(query.ident, None)
        self.open -= 1
        reply = (query.server, name, kind, Outcome.ANSWER, message, self.now - sent, query.sends, "")
        self.replies.append(_new(Reply, reply))

    def _is_about_edns(self, query: Query, message: Message, ident: bytes) -> bool:
        """Learn from an answer whether EDNS is welcome; whether it says that only, so that the question is put anew.

        RFC 6891 section 6.2.2 and 7: who does not know EDNS answers FORMERR (or NOTIMP) without an OPT record.
        """
        conduct, rcode = query.line.conduct, message.rcode
        asked_plain = query.plain and (ident == query.ident or not query.silent)
        if not asked_plain:
            if rcode != _BADVERS and (rcode not in _COMPLAINTS or message.opt is not None):
                conduct.edns_heard = True
                return False
            conduct.refuses_edns(wire.rcode_to_text(rcode))
            query.plain = True
            self.ask_anew(query)
            return True
        if rcode in _COMPLAINTS:
            conduct.refuses_without_edns_too()
        elif conduct.answers_without_edns(after_silence=query.silent):
            self.tally.no_edns[query.line.where] = conduct.refusal
        return False
