"""The TCP side of `engine.Engine`: few connections, kept for the run, many questions on each (RFC 7766 section 6.2).

A connection begins with one question and doubles what it carries with each answer, as long as the server reads on.
A server that hangs up after each answer gets one question a connection, several connections at a time. Questions
whose connection breaks through no fault of theirs go to the next one.
"""

from __future__ import annotations

import selectors
from functools import partial
from typing import TYPE_CHECKING, Final

from realmkit.dns.asking.exchange import Failure, Outcome
from realmkit.dns.asking.stream import Stream, StreamError

if TYPE_CHECKING:
    from realmkit.dns.asking.engine import Engine
    from realmkit.dns.asking.peer import Line, Query

_DEPTH: Final = 64  # questions in flight on one connection
_SINGLES: Final = 8  # connections of one question each; a server has few TCP slots to give: BIND 150 for everybody
_RESENDS: Final = 2  # times that a question changes a connection that stalled
_SMALL: Final = 512  # octets that every datagram holds (RFC 1035 section 4.2.1): nothing of that size needs cutting


class Streams:
    """What an engine does over TCP."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- out -------------------------------------------------------------------------------------------------------

    def pump(self, line: Line) -> None:
        """Send to one server until its connections are full, its tokens are used up, or nothing waits."""
        engine, queue = self._engine, line.tcp_queue
        touched: dict[int, Stream[Query]] = {}
        while queue:
            if queue[0].done:
                queue.popleft()
                continue
            stream = self._with_room(line)
            if (stream is None and not self._may_open(line)) or not engine.may_send(line, line.tcp_pace):
                break
            if stream is None and (stream := self._open(line)) is None:
                continue
            self._send(queue.popleft(), stream)
            touched[id(stream)] = stream
        for stream in touched.values():
            stream.flush()
            self._settle(line, stream)

    def _with_room(self, line: Line) -> Stream[Query] | None:
        """A connection that can carry one more question, if there is one."""
        for stream in line.streams:
            if len(stream.pending) < stream.depth and not stream.broken:
                return stream
        return None

    def _may_open(self, line: Line) -> bool:
        return len(line.streams) < (_SINGLES if line.single else 1) and self._engine.has_room(line)

    def _open(self, line: Line) -> Stream[Query] | None:
        """Open a connection; where there is no way at all the first question that waits ends."""
        self._engine.tick()  # each connection is a try of its own, also where several fail in one round
        try:
            stream: Stream[Query] = Stream(line.where, self._engine.now)
        except StreamError as error:
            self._lost(line.tcp_queue.popleft(), str(error), self._engine.now)
            return None
        line.streams.append(stream)
        self._engine.sockets += 1
        return stream

    def _send(self, query: Query, stream: Stream[Query]) -> None:
        engine = self._engine
        ident = engine.dice.ident(stream.pending)
        message = engine.compose(query, ident)
        query.expect(stream.pending, ident, engine.now)
        query.stream = stream
        stream.put(message)
        engine.tally.sent += 1
        engine.timers[-1].append((engine.now, query))

    def _settle(self, line: Line, stream: Stream[Query]) -> None:
        """Watch a connection for what it needs, or take leave of it."""
        if stream.broken:
            self._broken(line, stream)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if stream.wants_to_write else 0)
        if stream.watched == events:
            return
        ready = partial(self._ready, line, stream)
        if stream.watched:
            self._engine.selector.modify(stream.socket, events, ready)
        else:
            self._engine.selector.register(stream.socket, events, ready)
        stream.watched = events

    # --- in --------------------------------------------------------------------------------------------------------

    def _ready(self, line: Line, stream: Stream[Query]) -> None:
        if stream not in line.streams:  # closed a moment ago, in the same round
            return
        self._engine.tick()
        for data in stream.advance():
            self._accept(line, stream, data)
        if stream in line.streams:
            self._settle(line, stream)
        if line.tcp_queue:
            self._engine.hungry[line] = None

    def _accept(self, line: Line, stream: Stream[Query], data: bytes) -> None:
        """Match one message with its question."""
        engine = self._engine
        engine.tally.received += 1
        query = stream.pending.get(data[:2])
        echo = query.echo(data) if query is not None else ""
        if query is None or not echo:
            engine.tally.foreign += 1
            if query is None and len(stream.pending) == 1:
                (query,) = stream.pending.values()
            if query is not None:
                words = "an answer over TCP that does not echo the question"
                engine.fail(query, Failure(Outcome.MALFORMED, words))
            return
        if echo == "other case":
            engine.tally.uncased += 1
            engine.tally.caseless.add(line.where)
            line.conduct.mix_case = False
        line.tcp_health.alive(engine.now)
        line.conduct.tcp_heard = True
        stream.answered += 1
        stream.heard = engine.now
        if not line.single:
            stream.depth = min(stream.depth * 2, _DEPTH)
        if query.slip is not None and len(data) <= _SMALL and not line.conduct.wants_tcp:
            engine.slow(line, query.slip)
        engine.deliver(query, data, exact=echo == "exact")
        if line.single:
            self.close(line, stream)

    # --- what goes wrong -------------------------------------------------------------------------------------------

    def _broken(self, line: Line, stream: Stream[Query]) -> None:
        """A connection broke off. If it had carried answers, what was in flight goes to the next one."""
        words, left = stream.broken, list(stream.pending.values())
        if stream.answered == 1:
            line.single = True
        self.close(line, stream)
        if left and not stream.answered:
            self._lost(left[0], words, left[0].sent)
        self._requeue(line, left)

    def timed_out(self, query: Query, mark: float) -> None:
        """No answer came in time, unless the server is still busy answering others on that connection."""
        engine, stream = self._engine, query.stream
        if stream is None:
            return
        if stream.heard > mark:
            engine.timers[-1].append((engine.now, query))
            return
        line = query.line
        self.close(line, stream)
        others = [one for one in stream.pending.values() if one is not query]
        for one in others:
            one.resent += 1
        words = f"no answer over TCP in {engine.waits[-1]:g} s"
        self._lost(query, words, query.sent)
        for one in others:
            if one.resent > _RESENDS and not one.done:
                self._lost(one, words, one.sent)
        self._requeue(line, others)

    def _requeue(self, line: Line, queries: list[Query]) -> None:
        engine = self._engine
        for query in reversed(queries):
            if query.tcp and not query.done:  # neither ended nor back at UDP
                engine.land(query)
                line.tcp_queue.appendleft(query)

    def _lost(self, query: Query, words: str, sent: float) -> None:
        """A question got no answer over TCP, through a fault that may be the server's."""
        engine, line = self._engine, query.line
        line.tcp_health.died(sent, engine.now, Failure(Outcome.TCP_FAILED, words))
        if not self._back_to_udp(query):
            engine.fail(query, _failure(query, words))
        if line.tcp_health.failure is not None:
            self._down(line, line.tcp_health.failure)

    def _back_to_udp(self, query: Query) -> bool:
        """A question that was sent over TCP only because UDP did not seem worth while may still be answered there."""
        if query.tcp != "asked" or query.line.conduct.silent or self._engine.options.tcp:
            return False
        self._engine.land(query)
        query.tcp = ""
        query.line.queue.append(query)
        self._engine.hungry[query.line] = None
        return True

    def _down(self, line: Line, failure: Failure) -> None:
        """TCP is of no use with this server: end what was open there; what UDP may still answer goes back to it."""
        conduct = line.conduct
        if conduct.silent:
            words = f"no answer over UDP any more, and over TCP: {failure.detail}"
            line.health.failure = Failure(Outcome.TIMEOUT, words)
        else:
            conduct.wants_tcp = False
        for query in line.open_over_tcp():
            if not self._back_to_udp(query):
                self._engine.fail(query, failure if query.tcp != "silent" else _failure(query, failure.detail))
        line.tcp_queue.clear()

    def close(self, line: Line, stream: Stream[Query]) -> None:
        """Close a connection and forget it; who waits for it is the caller's to see to."""
        line.streams.remove(stream)
        if stream.watched:
            self._engine.selector.unregister(stream.socket)
        stream.socket.close()
        self._engine.sockets -= 1
        if line.tcp_queue:
            self._engine.hungry[line] = None

    def close_idle(self, line: Line) -> None:
        """Close the connections of a server that carry nothing at present."""
        for stream in [one for one in line.streams if not one.pending]:
            self.close(line, stream)


def _failure(query: Query, words: str) -> Failure:
    if query.tcp == "cut":
        return Failure(Outcome.TCP_FAILED, f"the answer did not fit a datagram; {words}")
    if query.tcp == "silent":
        return Failure(Outcome.TIMEOUT, f"no answer in {query.tries} tries, and over TCP: {words}")
    return Failure(Outcome.TCP_FAILED, words)
