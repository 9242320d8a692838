"""The UDP side of `engine.Engine`: connected sockets on random ports, retries, and what silence may mean."""

from __future__ import annotations

import errno
import selectors
from functools import partial
from typing import TYPE_CHECKING, Final

from realmkit.dns.asking.exchange import Failure, Outcome
from realmkit.dns.asking.peer import Channel

if TYPE_CHECKING:
    from realmkit.dns.asking.engine import Engine
    from realmkit.dns.asking.peer import Line, Query

_PER_SERVER: Final = 4  # sockets
_MANY: Final = 128  # sockets in all from which on each server gets one
_ANSWER, _PLAIN_ANSWER = 0xFA, 0x80  # of the third octet: QR, opcode and TC; an answer that is whole
_TRUNCATED: Final = 0x02  # TC, there


class Datagrams:
    """What an engine does over UDP."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timeouts = len(engine.options.timeouts)
        self._window = engine.options.window
        self._size = max(4096, engine.options.payload or 0)

    # --- out -------------------------------------------------------------------------------------------------------

    def pump(self, line: Line) -> None:
        """Send to one server until its window is full, its tokens are used up, or nothing waits."""
        queue, window = line.queue, self._window
        if line.conduct.wants_tcp:
            self._hand_over(line)
            return
        if not line.channels and not self._open(line):
            return
        sent, pace, may_send = 0, line.pace, self._engine.may_send
        while queue and line.flying < window and (pace.rate is None or may_send(line, pace)):
            query = queue.popleft()
            if not (query.done or query.tcp):
                self._send(line, query)
                sent += 1
        self._engine.tally.sent += sent

    def _hand_over(self, line: Line) -> None:
        """Let all that waits be asked over TCP."""
        for query in line.queue:
            if not (query.done or query.tcp):
                query.release()
                query.tcp = "asked"
                line.tcp_queue.append(query)
        line.queue.clear()
        self._engine.hungry[line] = None

    def _send(self, line: Line, query: Query) -> None:
        engine, channels = self._engine, line.channels
        if len(channels) < _PER_SERVER and line.flying >= len(channels) and engine.sockets < _MANY:
            self._open(line)
        line.turn = turn = line.turn + 1
        channel = channels[turn % len(channels)]
        pending, now, tries = channel.pending, engine.now, query.tries
        ident = engine.dice.ident(pending)
        message = engine.compose(query, ident)
        query.expect(pending, ident, now)
        engine.timers[tries].append((now, query))
        query.tries = tries + 1
        line.flying += 1
        if tries:
            engine.tally.retries += 1
        try:
            channel.send(message)
        except BlockingIOError:
            pass  # the kernel's buffer is full: a lost datagram like any other
        except OSError as error:  # usually about an earlier datagram (ICMP), and this one is not sent either
            self._channel_failed(channel, error)

    def _open(self, line: Line) -> bool:
        """Open one more socket to a server; False if that has to wait, or there is no way to it at all."""
        engine = self._engine
        if not engine.has_room(line):
            return False
        try:
            channel = Channel(line)
        except OSError as error:
            if not line.channels:
                words = f"no way to {line.where[0]}: {error.strerror or error}"
                self._give_up(line, Failure(Outcome.UNREACHABLE, words))
            return False
        engine.sockets += 1
        line.channels.append(channel)
        engine.selector.register(channel.socket, selectors.EVENT_READ, partial(self._drain, channel))
        return True

    def close_idle(self, line: Line) -> None:
        """Close the sockets of a server of which nothing is wanted at present."""
        if line.flying or line.queue:
            return
        for channel in line.channels:
            self._engine.selector.unregister(channel.socket)
            channel.socket.close()
        self._engine.sockets -= len(line.channels)
        line.channels.clear()

    # --- in --------------------------------------------------------------------------------------------------------

    def _drain(self, channel: Channel) -> None:
        """Read what has arrived on a socket, within bounds: a flood must not stop the timers."""
        engine, line, receive, size = self._engine, channel.line, channel.socket.recv, self._size
        pending, deliver = channel.pending, engine.deliver
        received = good = 0
        sent = 0.0
        engine.tick()
        try:
            while received < 2 * self._window:
                data = receive(size)
                received += 1
                query = pending.get(data[:2])
                if query is not None and data.startswith(query.question, 12) and data[2] & _ANSWER == _PLAIN_ANSWER:
                    good += 1
                    sent = query.sent
                    deliver(query, data)
                else:
                    self._sort_out(query, data)
        except BlockingIOError:
            pass
        except OSError as error:
            self._channel_failed(channel, error)
        engine.tally.received += received
        engine.hungry[line] = None
        if good:
            line.health.alive(engine.now)
            line.conduct.heard(good, sent)

    def _sort_out(self, query: Query | None, data: bytes) -> None:
        """Deal with a datagram that is not simply the answer to a question: late, foreign, truncated, odd."""
        engine = self._engine
        if query is None:
            engine.tally.late += 1
            return
        echo = query.echo(data)
        if not echo:
            engine.tally.foreign += 1
            query.junk += 1
            return
        line = query.line
        line.health.alive(engine.now)
        line.conduct.answered = True
        if echo == "other case":
            engine.tally.uncased += 1
            engine.tally.caseless.add(line.where)
            line.conduct.mix_case = False
            if query.question[:-4] != query.name:  # put anew: it may come from one who could only guess the case
                query.question = query.name + query.question[-4:]
                engine.ask_anew(query)
                return
        if data[2] & _TRUNCATED:
            engine.tally.truncated += 1
            line.conduct.truncated()
            query.slip = query.sent_at(data[:2]) if data[6:8] == b"\0\0" else None
            engine.turn_to_tcp(query, "cut")
        else:
            engine.deliver(query, data, exact=echo == "exact")

    # --- what goes wrong -------------------------------------------------------------------------------------------

    def again(self, query: Query, failure: Failure) -> None:
        """Ask once more, or end with `failure` if there were enough tries."""
        engine, conduct = self._engine, query.line.conduct
        if query.tries >= self._timeouts:
            engine.fail(query, failure)
        elif query.flying:
            engine.land(query)
            silent = failure.outcome is Outcome.TIMEOUT and not conduct.edns_heard
            if silent and query.tries == self._timeouts - 1 and not query.plain:
                query.plain = query.silent = True  # something on the way may drop EDNS (RFC 6891 section 6.2.2)
            query.line.queue.appendleft(query)

    def _channel_failed(self, channel: Channel, error: OSError) -> None:
        """The network says that the server can't be had (ICMP); whose datagram it was, it does not say.

        Each question in flight there gets one more try, when its timer runs out: the server may be restarting.
        """
        engine, line = self._engine, channel.line
        refused = error.errno == errno.ECONNREFUSED
        words = "nothing listens on that port" if refused else (error.strerror or str(error)).lower()
        failure = Failure(Outcome.REFUSED if refused else Outcome.UNREACHABLE, words)
        for query in channel.waiting():
            line.health.died(query.sent, engine.now, failure)
            if query.failure is None:
                query.failure, query.failed_try = failure, query.tries
            elif query.tries > query.failed_try:
                engine.fail(query, failure)
        if line.health.failure is not None:
            self._give_up(line, line.health.failure)

    def timed_out(self, query: Query) -> None:
        """A try got no answer in its time."""
        engine, line, conduct, sent = self._engine, query.line, query.line.conduct, query.sent
        line.health.died(sent, engine.now, Failure(Outcome.TIMEOUT, "no answer"))
        if conduct.died(sent):
            engine.slow(line, sent)
        tcp = conduct.answered and query.failure is None and line.tcp_health.failure is None
        down = line.health.failure
        if down is not None and tcp:
            self._silent(line, sent)
            return
        if tcp and (conduct.limited or query.tries >= self._timeouts):
            engine.turn_to_tcp(query, "silent")
        else:
            words = f"no answer in {query.tries} tries"
            if query.junk:
                words += f"; passed over {query.junk} datagrams that did not echo the question"
            self.again(query, query.failure or Failure(Outcome.TIMEOUT, words))
        if down is not None:
            self._give_up(line, down)

    def _silent(self, line: Line, sent: float) -> None:
        """A server that had answered has become silent: it may limit its answers, so TCP decides whether it is down."""
        engine = self._engine
        line.health.revive(engine.now)
        line.conduct.wants_tcp = line.conduct.silent = True
        engine.slow(line, sent)
        for query in line.open_over_udp():
            engine.turn_to_tcp(query, "silent")
        line.queue.clear()

    def _give_up(self, line: Line, failure: Failure) -> None:
        """End everything that is open at a server over UDP."""
        for query in line.open_over_udp():
            self._engine.fail(query, failure)
        line.queue.clear()
