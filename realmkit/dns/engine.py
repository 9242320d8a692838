"""The loop behind `query.ask`: draws questions, sends, waits, receives and expires, in one thread."""

from __future__ import annotations

import errno
import heapq
import selectors
from collections import deque
from functools import partial
from time import monotonic  # noqa: TID251 - timeouts of sockets are real time, whatever clock a caller decides by
from typing import TYPE_CHECKING, Final

from realmkit.dns import wire
from realmkit.dns.exchange import Failure, Options, Outcome, Reply, Server, Tally
from realmkit.dns.peer import Channel, Idents, Line, Query
from realmkit.dns.stream import Stream, StreamError
from realmkit.dns.wire import BadMessageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

_BACKLOG: Final = 4096  # questions taken from the caller and not yet answered
_CHANNELS_PER_SERVER: Final = 4
_STREAMS_PER_SERVER: Final = 8  # a server has few TCP slots to give: BIND 150 for everybody
_MAX_CHANNELS: Final = 256  # well below the usual limit of 1,024 descriptors
_TRUNCATED: Final = 0x02  # TC, in the third octet


class Engine:
    """One run of `ask`; its arguments are those of `ask`."""

    def __init__(self, questions: Iterable[tuple[Server, Name, Type]], options: Options, tally: Tally) -> None:
        self.questions = iter(questions)
        self.options = options
        self.tally = tally
        self.selector = selectors.DefaultSelector()
        self.lines: dict[Server, Line] = {}
        self.places: dict[tuple[str, int], Line] = {}
        self.hungry: dict[Line, None] = {}  # have something to send
        self.asleep: list[tuple[float, int, Line]] = []  # a heap: out of tokens until then
        self.starved: dict[Line, None] = {}  # wait for a socket
        self.channels = 0
        self.open = 0
        self.exhausted = False
        self.replies: list[Reply] = []
        self.idents = Idents()
        self.now = monotonic()
        self.until = None if options.deadline is None else self.now + options.deadline
        # One queue for each length of wait, so that each is in order by itself; the last is TCP's.
        self.waits = (*options.timeouts, max(options.timeouts))
        self.timers: list[deque[tuple[float, Query, int]]] = [deque() for _ in self.waits]
        self.receive_size = max(4096, options.payload or 0)

    def run(self) -> Generator[Reply, None, None]:
        """Ask; yields the replies."""
        try:
            while not self.exhausted or self.open:
                self._draw()
                self._send()
                if self.replies:
                    ready, self.replies = self.replies, []
                    yield from ready
                if self.open:
                    self._wait()
            yield from self.replies
        finally:
            for line in self.places.values():
                for query in line.streams:
                    self._close_stream(query)
                for channel in line.channels:
                    channel.socket.close()
            self.selector.close()

    # --- questions in, replies out -------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Take questions until enough are open."""
        lines, payload, rd = self.lines, self.options.payload, self.options.rd
        self.now = monotonic()
        over = self._over()
        while self.open < _BACKLOG and not self.exhausted and len(self.replies) < _BACKLOG:
            question = next(self.questions, None)
            if question is None:
                self.exhausted = True
                return
            server, name, kind = question
            line = lines.get(server) or self._line_of(server)
            message = wire.query(name, kind, payload=payload, rd=rd)
            query = Query(server, line, name, kind, message, message[10 : 14 + len(name)])
            self.open += 1
            failure = over or line.health.failure
            if failure is not None:
                self._fail(query, failure)
            else:
                line.queue.append(query)
                self.hungry[line] = None

    def _over(self) -> Failure | None:
        """Why nothing is asked any more, once the deadline has passed."""
        if self.until is None or self.now < self.until:
            return None
        return Failure(Outcome.TIMEOUT, f"the deadline of {self.options.deadline:g} s passed")

    def _line_of(self, server: Server) -> Line:
        where = (server.address, server.port)
        line = self.places.get(where)
        if line is None:
            line = self.places[where] = Line(where, self.options.burst, self.now)
        self.lines[server] = line
        return line

    def _finish(self, query: Query, reply: Reply) -> None:
        """Give the one reply of a question and forget it."""
        query.done = True
        query.release()
        self._land(query)
        self.open -= 1
        self.replies.append(reply)

    def _fail(self, query: Query, failure: Failure) -> None:
        outcome, detail = failure
        self._finish(query, Reply(query.server, query.name, query.type, outcome, None, 0.0, query.tries, detail))

    def _give_up(self, line: Line, failure: Failure, *, tcp: bool) -> None:
        """End everything that is open at a server over one transport."""
        for query in line.open_over_tcp() if tcp else line.open_over_udp():
            self._fail(query, failure)
        (line.tcp_queue if tcp else line.queue).clear()

    def _land(self, query: Query) -> None:
        """The question is no longer in flight, so there is room for another."""
        if not query.flying:
            return
        query.flying = False
        if query.tcp:
            self._close_stream(query)
            del query.line.streams[query]
        else:
            query.line.flying -= 1
        self.hungry[query.line] = None

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send whatever may be sent now."""
        while self.hungry:
            line, _ = self.hungry.popitem()
            if not line.asleep:
                self._pump(line)

    def _pump(self, line: Line) -> None:
        """Send to one server until its window is full, its tokens are used up, or nothing waits."""
        while line.tcp_queue and len(line.streams) < _STREAMS_PER_SERVER and self._may_send(line):
            query = line.tcp_queue.popleft()
            if not query.done:
                self._send_over_tcp(query)
        queue = line.queue
        if queue and not line.channels and not self._open_channel(line):
            return
        while queue and line.flying < self.options.window and self._may_send(line):
            query = queue.popleft()
            if not (query.done or query.tcp):
                self._send_over_udp(query)

    def _may_send(self, line: Line) -> bool:
        """Take a token, or let the server rest until there is one."""
        if self.options.rate is None:
            return True
        pause = line.take_token(self.options.rate, self.options.burst, self.now)
        if pause and not line.asleep:
            line.asleep = True
            heapq.heappush(self.asleep, (self.now + pause, id(line), line))
        return not pause

    def _send_over_udp(self, query: Query) -> None:
        line = query.line
        channels = line.channels
        if line.flying >= len(channels) < _CHANNELS_PER_SERVER and self.channels < _MAX_CHANNELS // 2:
            self._open_channel(line)
        line.turn += 1
        channel = channels[line.turn % len(channels)]
        ident = self.idents.fresh(channel.pending)
        channel.pending[ident] = query
        query.slots.append((channel.pending, ident, self.now))
        query.flying = True
        line.flying += 1
        self.timers[query.tries].append((self.now + self.waits[query.tries], query, query.tries + 1))
        query.tries += 1
        self.tally.sent += 1
        self.tally.retries += query.tries > 1
        try:
            channel.send(ident + query.message)
        except BlockingIOError:
            pass  # the kernel's buffer is full: a lost datagram like any other
        except OSError as error:  # usually about an earlier datagram (ICMP), and this one is not sent either
            self._channel_failed(channel, error)

    def _open_channel(self, line: Line) -> bool:
        """Open one more socket to a server; False if that has to wait, or there is no way to it at all."""
        if self.channels >= _MAX_CHANNELS:
            self._close_idle_channels()
        if self.channels >= _MAX_CHANNELS:
            self.starved[line] = None
            return False
        try:
            channel = Channel(line)
        except OSError as error:
            if not line.channels:
                words = f"no way to {line.where[0]}: {error.strerror or error}"
                self._give_up(line, Failure(Outcome.UNREACHABLE, words), tcp=False)
            return False
        self.channels += 1
        line.channels.append(channel)
        self.selector.register(channel.socket, selectors.EVENT_READ, partial(self._drain, channel))
        return True

    def _close_idle_channels(self) -> None:
        for line in self.places.values():
            if line.idle:
                for channel in line.channels:
                    self.selector.unregister(channel.socket)
                    channel.socket.close()
                self.channels -= len(line.channels)
                line.channels.clear()

    # --- waiting and receiving -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until a socket is ready or a time has come, then deal with both."""
        for key, _ in self.selector.select(self._pause()):
            key.data()
        self.now = monotonic()
        while self.asleep and self.asleep[0][0] <= self.now:
            line = heapq.heappop(self.asleep)[2]
            line.asleep = False
            self.hungry[line] = None
        self.hungry |= self.starved  # a socket may have become free
        self.starved.clear()
        self._expire()
        if (over := self._over()) is not None:
            for line in self.places.values():
                self._give_up(line, over, tcp=False)
                self._give_up(line, over, tcp=True)

    def _pause(self) -> float:
        """Seconds until something is due; none if there is more to draw."""
        if self.replies or (self.open < _BACKLOG and not self.exhausted):
            return 0.0
        due = [timer[0][0] for timer in self.timers if timer]
        if self.asleep:
            due.append(self.asleep[0][0])
        if self.until is not None:
            due.append(self.until)
        return max(0.0, min(due, default=self.now) - monotonic())

    def _drain(self, channel: Channel) -> None:
        """Read what has arrived on a UDP socket, within bounds: a flood must not stop the timers."""
        receive, size, accept = channel.socket.recv, self.receive_size, self._accept
        self.now = monotonic()
        for _ in range(2 * self.options.window):
            try:
                data = receive(size)
            except BlockingIOError:
                return
            except OSError as error:
                self._channel_failed(channel, error)
                return
            accept(channel, data)

    def _accept(self, channel: Channel, data: bytes) -> None:
        """Match one datagram with its question."""
        tally = self.tally
        tally.received += 1
        ident = data[:2]
        query = channel.pending.get(ident)
        if query is None:
            tally.late += 1
        elif not query.echoed_by(data):
            tally.foreign += 1
            query.junk += 1
        else:
            channel.line.health.alive(self.now)
            if data[2] & _TRUNCATED:
                self._turn_to_tcp(query)
            else:
                self._deliver(query, data, query.sent_at(ident))

    def _deliver(self, query: Query, data: bytes, sent: float) -> None:
        """Read an answer to the question and give it out, or ask once more if it can't be read."""
        try:
            message = wire.parse(data)
        except BadMessageError as error:
            self.tally.malformed += 1
            self._again(query, Failure(Outcome.MALFORMED, f"an answer that can't be read: {error}"))
            return
        rtt = self.now - sent
        self._finish(query, Reply(query.server, query.name, query.type, Outcome.ANSWER, message, rtt, query.tries))

    def _again(self, query: Query, failure: Failure) -> None:
        """Ask over UDP once more, or end with `failure` if there were enough tries."""
        if query.tcp or query.tries >= len(self.options.timeouts):
            self._fail(query, failure)
        elif query.flying:
            self._land(query)
            query.line.queue.appendleft(query)

    # --- what goes wrong -----------------------------------------------------------------------------------------

    def _channel_failed(self, channel: Channel, error: OSError) -> None:
        """The network says that the server can't be had (ICMP); whose datagram it was, it does not say.

        Each question in flight there gets one more try, when its timer runs out: the server may be restarting.
        """
        refused = error.errno == errno.ECONNREFUSED
        words = "nothing listens on that port" if refused else (error.strerror or str(error)).lower()
        failure = Failure(Outcome.REFUSED if refused else Outcome.UNREACHABLE, words)
        for query in channel.waiting():
            channel.line.health.died(query.slots[-1][2], self.now, failure)
            if query.failure is None:
                query.failure, query.failed_try = failure, query.tries
            elif query.tries > query.failed_try:
                self._fail(query, failure)
        self._give_up_if_down(channel.line)

    def _expire(self) -> None:
        """Deal with the tries whose time is over."""
        for timer, wait in zip(self.timers, self.waits, strict=True):
            while timer:
                due, query, number = timer[0]
                stale = query.done or not query.flying or query.tries != number
                if not stale and due > self.now:
                    break
                timer.popleft()
                if not stale:
                    self._timed_out(query, due - wait)

    def _timed_out(self, query: Query, sent: float) -> None:
        if query.tcp:
            self._tcp_failed(query, f"no answer over TCP in {self.waits[-1]:g} s", sent)
            return
        query.line.health.died(sent, self.now, Failure(Outcome.TIMEOUT, "no answer"))
        words = f"no answer in {query.tries} tries"
        if query.junk:
            words += f"; passed over {query.junk} datagrams that did not echo the question"
        self._again(query, query.failure or Failure(Outcome.TIMEOUT, words))
        self._give_up_if_down(query.line)

    def _give_up_if_down(self, line: Line) -> None:
        """Once a server is marked down, all that is still open there ends."""
        if line.health.failure is not None:
            self._give_up(line, line.health.failure, tcp=False)

    # --- TCP -----------------------------------------------------------------------------------------------------

    def _turn_to_tcp(self, query: Query) -> None:
        """The answer did not fit: ask the same over TCP (RFC 7766 section 5)."""
        self.tally.truncated += 1
        query.release()
        self._land(query)
        query.tcp = True
        failure = query.line.tcp_health.failure
        if failure is not None:
            self._fail(query, failure)
        else:
            query.line.tcp_queue.append(query)
            self.hungry[query.line] = None

    def _send_over_tcp(self, query: Query) -> None:
        query.line.streams[query] = None
        query.flying = True
        query.tries += 1
        self.tally.sent += 1
        ident = self.idents.fresh({})
        try:
            query.stream = Stream(query.line.where, ident + query.message)
        except StreamError as error:
            self._tcp_failed(query, str(error), self.now)
            return
        self.timers[-1].append((self.now + self.waits[-1], query, query.tries))
        ready = partial(self._stream_ready, query, query.stream, ident, self.now)
        self.selector.register(query.stream.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, ready)

    def _stream_ready(self, query: Query, stream: Stream, ident: bytes, sent: float) -> None:
        if query.done:
            return
        self.now = monotonic()
        try:
            data = stream.advance()
        except StreamError as error:
            self._tcp_failed(query, str(error), sent)
            return
        if data is None:
            if not stream.wants_to_write:
                self.selector.modify(stream.socket, selectors.EVENT_READ, self.selector.get_key(stream.socket).data)
            return
        self.tally.received += 1
        query.line.tcp_health.alive(self.now)
        if data[:2] == ident and query.echoed_by(data):
            self._deliver(query, data, sent)
        else:
            self.tally.foreign += 1
            self._fail(query, Failure(Outcome.MALFORMED, "an answer over TCP that does not echo the question"))

    def _tcp_failed(self, query: Query, words: str, sent: float) -> None:
        line = query.line
        failure = Failure(Outcome.TCP_FAILED, words)
        line.tcp_health.died(sent, self.now, failure)
        self._fail(query, Failure(Outcome.TCP_FAILED, f"the answer did not fit a datagram; {words}"))
        if line.tcp_health.failure is not None:
            self._give_up(line, line.tcp_health.failure, tcp=True)

    def _close_stream(self, query: Query) -> None:
        if query.stream is not None:
            self.selector.unregister(query.stream.socket)
            query.stream.socket.close()
            query.stream = None
