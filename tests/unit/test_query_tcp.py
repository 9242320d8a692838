"""Asking over TCP: one connection for everything, and servers that hang up, stall or send junk."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import dns.message
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Outcome, Reply, Server, Tally, ask
from tests.unit.faulty import answer, framed, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realmkit.dns.names import Name

NAME = names.absolute("a.example.net")
TCP = Options(timeouts=(0.3,), rate=None, tcp=True, deadline=30.0)


def many(count: int) -> list[Name]:
    return [names.absolute(f"n{number}.example.net") for number in range(count)]


def ask_many(server: Server, count: int, options: Options = TCP, tally: Tally | None = None) -> list[Reply]:
    return list(ask([(server, name, rr.A) for name in many(count)], options, tally))


def outcomes(replies: Iterable[Reply]) -> Counter[Outcome]:
    return Counter(reply.outcome for reply in replies)


class Persistent:
    """A server over TCP that keeps its connections; one thread each.

    Args:
        serve: given all requests so far on this connection, what to send for the last; None ends the connection.

    Attributes:
        connections: for each, the requests that came on it.
    """

    def __init__(self, serve: Callable[[list[bytes]], bytes | None], address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._serve = serve
        self._listener = socket.create_server((address, 0), family=family, backlog=64)
        self.server = Server(address, self._listener.getsockname()[1])
        self.connections: list[list[bytes]] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._stopping = False

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with socket.create_connection(self.server[:2]):
            pass
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            requests: list[bytes] = []
            self.connections.append(requests)
            thread = threading.Thread(target=self._talk, args=(connection, requests))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket, requests: list[bytes]) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(5)
            while length := stream.read(2):
                requests.append(stream.read(int.from_bytes(length, "big")))
                octets = self._serve(requests)
                if octets is None:
                    return
                connection.sendall(octets)


def one_by_one(requests: list[bytes]) -> bytes:
    return framed(answer(requests[-1], "192.0.2.1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_connection_carries_everything(address: str) -> None:
    with Persistent(one_by_one, address) as server:
        replies = ask_many(server.server, 500, TCP)
        assert [len(requests) for requests in server.connections] == [500]
    assert outcomes(replies) == {Outcome.ANSWER: 500}
    assert {reply.tries for reply in replies} == {1}


def test_answers_in_any_order() -> None:
    def backwards(requests: list[bytes]) -> bytes:
        if len(requests) in (1, 3, 7, 15, 31):  # the whole of what is in flight, last first
            since = len(requests) // 2
            return b"".join(framed(answer(one, "192.0.2.1")) for one in reversed(requests[since:]))
        return b""

    with Persistent(backwards) as server:
        replies = ask_many(server.server, 31, TCP)
    assert outcomes(replies) == {Outcome.ANSWER: 31}
    assert all(reply.message is not None and reply.message.question == (reply.name, rr.A) for reply in replies)


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_server_that_hangs_up_after_some_answers_loses_nothing(after: int) -> None:
    def some(requests: list[bytes]) -> bytes | None:
        return one_by_one(requests) if len(requests) <= after else None

    with Persistent(some) as server:
        replies = ask_many(server.server, 100, TCP)
    assert outcomes(replies) == {Outcome.ANSWER: 100}


def test_a_server_that_stalls_in_the_middle_loses_what_it_has_and_no_more() -> None:
    stalled: list[list[bytes]] = []

    def stall_once(requests: list[bytes]) -> bytes:
        if len(requests) > 20 and (not stalled or stalled[0] is requests):
            stalled[:] = [requests]
            return b""
        return one_by_one(requests)

    with Persistent(stall_once) as server:
        replies = ask_many(server.server, 200, TCP)
    found = outcomes(replies)
    assert found[Outcome.TCP_FAILED] == 1
    assert found[Outcome.ANSWER] == 199
    assert "no answer over TCP in 0.3 s" in {reply.detail for reply in replies}


def test_junk_on_a_connection_is_no_answer() -> None:
    def junk(requests: list[bytes]) -> bytes:
        return framed(struct.pack("!H", 7)) + framed(b"") + framed(bytes(30))

    with Persistent(junk) as server:
        replies = ask_many(server.server, 5, TCP)
    assert outcomes(replies) == {Outcome.MALFORMED: 5}


def test_tcp_only_where_nobody_listens() -> None:
    replies = ask_many(Server("127.0.0.1", free_port()), 50, TCP)
    assert outcomes(replies) == {Outcome.TCP_FAILED: 50}
    assert replies[0].detail == "TCP connection refused"
    assert any("marked down" in reply.detail for reply in replies)


def test_the_rate_holds_over_tcp() -> None:
    times: list[float] = []

    def timed(requests: list[bytes]) -> bytes:
        times.append(time.monotonic())
        return one_by_one(requests)

    with Persistent(timed) as server:
        ask_many(server.server, 20, Options(rate=50, burst=1, tcp=True))
    assert times[-1] - times[0] > 18 / 50


def test_the_deadline_ends_a_tarpit() -> None:
    with Persistent(lambda _: b"") as server:
        replies = ask_many(server.server, 10, Options(tcp=True, timeouts=(30.0,), deadline=0.2, rate=None))
    assert {reply.detail for reply in replies} == {"the deadline of 0.2 s passed"}


def test_over_tcp_another_case_is_taken_as_it_is() -> None:
    def lower(requests: list[bytes]) -> bytes:
        query = dns.message.from_wire(requests[-1])
        text = query.question[0].name.to_text().lower()
        return framed(answer(dns.message.make_query(text, "A", id=query.id).to_wire(), "192.0.2.1"))

    tally = Tally()
    with Persistent(lower) as server:
        assert outcomes(ask_many(server.server, 20, TCP, tally)) == {Outcome.ANSWER: 20}
        assert sum(map(len, server.connections)) == 20
    assert tally.uncased > 0


def test_questions_are_taken_lazily_over_tcp_too() -> None:
    drawn = 0

    def endless(server: Server) -> Iterator[tuple[Server, Name, int]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield server, NAME, rr.A

    with Persistent(one_by_one) as server:
        replies = ask(endless(server.server), TCP)
        assert next(replies).outcome is Outcome.ANSWER
        replies.close()
    assert drawn < 10_000
