"""Asking: every fault a server or the network can have, from servers that have it."""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Outcome, Reply, Server, Tally, ask, has_route
from tests.unit.faulty import Faulty, answer, framed, free_port, right, truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realmkit.dns.names import Name
    from tests.unit.faulty import Handler

    Forge = Callable[[bytes], bytes]

NAME = names.absolute("a.example.net")
FAST = Options(timeouts=(0.15, 0.15, 0.15), rate=None)


def one(server: Server, options: Options = FAST, tally: Tally | None = None) -> Reply:
    (reply,) = ask([(server, NAME, rr.A)], options, tally)
    return reply


def addresses(reply: Reply) -> set[bytes]:
    assert reply.message is not None
    return {record.rdata for record in reply.message.answer}


def silent(_request: bytes, _number: int) -> Iterable[bytes]:
    return ()


def many(count: int) -> list[Name]:
    return [names.absolute(f"n{number}.example.net") for number in range(count)]


# --- what goes right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_answer(address: str) -> None:
    with Faulty(right, address=address) as faulty:
        reply = one(faulty.server)
    assert (reply.server, reply.name, reply.type) == (faulty.server, NAME, rr.A)
    assert (reply.outcome, reply.tries, reply.detail) == (Outcome.ANSWER, 1, "")
    assert addresses(reply) == {bytes((192, 0, 2, 1))}
    assert reply.message is not None
    assert reply.message.aa
    assert 0 < reply.rtt < 1


def test_what_is_sent() -> None:
    with Faulty(right) as faulty:
        one(faulty.server, Options(mix_case=False))
        one(faulty.server, Options(rd=True, payload=None))
        one(faulty.server, Options(dnssec=True, payload=4096))
    plain, recursive, signed = (dns.message.from_wire(request) for request, _, _ in faulty.requests)
    assert (plain.question[0].to_text(), int(plain.flags), plain.payload) == ("a.example.net. IN A", 0, 1232)
    assert (plain.ednsflags, recursive.edns, signed.payload, signed.ednsflags) == (0, -1, 4096, 0x8000)
    assert int(recursive.flags) == 0x0100


def test_a_servfail_is_an_answer() -> None:
    with Faulty(lambda request, _: (answer(request, rcode=2),)) as faulty:
        reply = one(faulty.server)
    assert reply.outcome is Outcome.ANSWER
    assert reply.message is not None
    assert reply.message.rcode == 2


def test_three_thousand_questions_to_three_servers() -> None:
    with Faulty(right) as a, Faulty(right) as b, Faulty(right) as c:
        servers = (a.server, b.server, c.server)
        questions = [(server, name, rr.A) for name in many(1000) for server in servers]
        replies = list(ask(iter(questions), Options(rate=None, window=50)))
    assert Counter(reply[:3] for reply in replies) == Counter(questions)
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}


def test_ids_and_ports_are_hard_to_guess() -> None:
    with Faulty(right) as faulty:
        list(ask([(faulty.server, name, rr.A) for name in many(200)], Options(rate=None)))
    assert len({port for _, port, _ in faulty.requests}) == 4
    idents = [int.from_bytes(request[:2], "big") for request, _, _ in faulty.requests]
    assert len(set(idents)) > 190
    assert len({b - a for a, b in pairwise(idents)}) > 190


# --- silence, loss and lateness ------------------------------------------------------------------------------


def test_a_lost_datagram_is_asked_again() -> None:
    tally = Tally()
    with Faulty(lambda request, number: right(request, number) if number == 1 else ()) as faulty:
        reply = one(faulty.server, tally=tally)
    assert (reply.outcome, reply.tries) == (Outcome.ANSWER, 2)
    assert (tally.sent, tally.received, tally.retries) == (2, 1, 1)


def test_silence_is_a_timeout() -> None:
    started = time.monotonic()
    with Faulty(silent) as faulty:
        reply = one(faulty.server)
    assert (reply.outcome, reply.message, reply.tries) == (Outcome.TIMEOUT, None, 3)
    assert 0.44 < time.monotonic() - started < 2
    assert len(faulty.requests) == 3


def test_each_try_waits_longer() -> None:
    with Faulty(silent) as faulty:
        one(faulty.server, Options(timeouts=(0.1, 0.2, 0.1)))
    first, second, third = (when for _, _, when in faulty.requests)
    assert second - first > 0.09
    assert third - second > 0.19


def test_an_answer_to_an_earlier_try_counts() -> None:
    with Faulty(lambda request, number: (0.2, answer(request, "192.0.2.7")) if number == 0 else ()) as faulty:
        reply = one(faulty.server)
    assert (reply.outcome, reply.tries, addresses(reply)) == (Outcome.ANSWER, 2, {bytes((192, 0, 2, 7))})
    assert reply.rtt > 0.19


def test_late_and_doubled_answers_are_counted_and_harmless() -> None:
    tally = Tally()
    with Faulty(lambda request, _: (answer(request, "192.0.2.1"),) * 3) as faulty:
        replies = list(ask([(faulty.server, name, rr.A) for name in many(50)], FAST, tally))
    assert len(replies) == 50
    assert tally.late > 0
    assert tally.received - tally.late == 50


# --- forged and broken datagrams -----------------------------------------------------------------------------


def wrong_id(request: bytes) -> bytes:
    return bytes((request[0] ^ 0xFF, request[1])) + answer(request, "198.51.100.66")[2:]


def other_question(request: bytes) -> bytes:
    query = dns.message.make_query("b.example.net", "A", id=int.from_bytes(request[:2], "big"))
    return answer(query.to_wire(), "198.51.100.66")


def other_type(request: bytes) -> bytes:
    query = dns.message.make_query("a.example.net", "AAAA", id=int.from_bytes(request[:2], "big"))
    return answer(query.to_wire())


def reflected(request: bytes) -> bytes:
    return request


def no_question(request: bytes) -> bytes:
    return request[:2] + b"\x84\0" + b"\0" * 8


@pytest.mark.parametrize("forge", [wrong_id, other_question, other_type, reflected, no_question, lambda r: r[:7]])
def test_what_does_not_match_is_passed_over(forge: Forge) -> None:
    tally = Tally()
    with Faulty(lambda request, _: (forge(request), answer(request, "192.0.2.1"))) as faulty:
        reply = one(faulty.server, tally=tally)
    assert (reply.outcome, reply.tries, addresses(reply)) == (Outcome.ANSWER, 1, {bytes((192, 0, 2, 1))})
    assert tally.late + tally.foreign == 1


def test_nothing_but_forgeries_is_a_timeout_that_says_so() -> None:
    with Faulty(lambda request, _: (other_question(request),)) as faulty:
        reply = one(faulty.server)
    assert reply.outcome is Outcome.TIMEOUT
    assert "passed over 3 datagrams" in reply.detail


def test_a_refusal_without_the_question_is_taken() -> None:
    with Faulty(lambda request, _: (request[:2] + b"\x80\x05" + b"\0" * 8,)) as faulty:
        reply = one(faulty.server)
    assert reply.outcome is Outcome.ANSWER
    assert reply.message is not None
    assert reply.message.rcode == 5


def broken(request: bytes) -> bytes:
    """Claims an answer that is not there."""
    return answer(request, "192.0.2.1")[:-20]


def test_a_malformed_answer_is_asked_again() -> None:
    tally = Tally()
    with Faulty(lambda request, number: (broken(request),) if number == 0 else right(request, number)) as faulty:
        reply = one(faulty.server, tally=tally)
    assert (reply.outcome, reply.tries, tally.malformed) == (Outcome.ANSWER, 2, 1)


def test_nothing_but_malformed_answers() -> None:
    started = time.monotonic()
    with Faulty(lambda request, _: (broken(request),)) as faulty:
        reply = one(faulty.server, Options(rate=None))
    assert (reply.outcome, reply.tries) == (Outcome.MALFORMED, 3)
    assert "can't be read" in reply.detail
    assert time.monotonic() - started < 0.4


# --- TCP -----------------------------------------------------------------------------------------------------


def test_a_truncated_answer_is_asked_over_tcp() -> None:
    big = [f"10.0.{high}.{low}" for high in range(16) for low in range(250)]
    body = answer(dns.message.make_query("a.example.net", "A").to_wire(), *big)[2:]
    tally = Tally()
    with Faulty(truncated, lambda request, _: (framed(request[:2] + body),)) as faulty:
        reply = one(faulty.server, tally=tally)
    assert (reply.outcome, reply.tries, len(addresses(reply))) == (Outcome.ANSWER, 2, 4000)
    assert (tally.truncated, tally.sent) == (1, 2)
    assert faulty.tcp_requests[0][2:] == faulty.requests[0][0][2:]


def test_tcp_octet_by_octet() -> None:
    def drip(request: bytes, _number: int) -> Iterator[bytes | float]:
        for octet in framed(answer(request, "192.0.2.1")):
            yield bytes((octet,))
            yield 0.001

    with Faulty(truncated, drip) as faulty:
        reply = one(faulty.server, Options(rate=None))
    assert addresses(reply) == {bytes((192, 0, 2, 1))}


def test_a_slow_tcp_server_holds_nobody_up() -> None:
    def slow(request: bytes, _number: int) -> Iterator[bytes | float]:
        yield 0.5
        yield framed(answer(request, "192.0.2.1"))

    with Faulty(truncated, slow) as a, Faulty(right) as b:
        questions = [(a.server, NAME, rr.A), *((b.server, name, rr.A) for name in many(100))]
        order = [reply.server for reply in ask(questions, Options(rate=None))]
    assert order == [b.server] * 100 + [a.server]


@pytest.mark.parametrize(
    ("tcp", "words"),
    [
        (None, "TCP connection refused"),
        (silent, "closed the TCP connection"),
        (lambda request, _: (framed(answer(request, "192.0.2.1"))[:-1],), "closed the TCP connection"),
        (lambda _, __: (1.0,), "no answer over TCP in 0.2 s"),
    ],
)
def test_tcp_that_fails_is_an_outcome_of_its_own(tcp: Handler | None, words: str) -> None:
    with Faulty(truncated, tcp) as faulty:
        reply = one(faulty.server, Options(timeouts=(0.2,), rate=None))
    assert (reply.outcome, reply.message) == (Outcome.TCP_FAILED, None)
    assert "did not fit" in reply.detail
    assert words in reply.detail


@pytest.mark.parametrize("make", [other_question, broken, lambda _: b"x"])
def test_nonsense_over_tcp(make: Forge) -> None:
    with Faulty(truncated, lambda request, _: (framed(make(request)),)) as faulty:
        assert one(faulty.server).outcome is Outcome.MALFORMED


def test_tcp_that_is_dead_is_not_tried_for_ever() -> None:
    with Faulty(truncated) as faulty:
        replies = list(ask([(faulty.server, name, rr.A) for name in many(500)], Options(rate=None)))
    assert {reply.outcome for reply in replies} == {Outcome.TCP_FAILED}
    assert Counter(reply.tries for reply in replies)[2] < 50
    assert any("marked down" in reply.detail for reply in replies)


def test_many_truncated_answers() -> None:
    with Faulty(truncated, lambda request, _: (framed(answer(request, "192.0.2.1")),)) as faulty:
        replies = list(ask([(faulty.server, name, rr.A) for name in many(300)], Options(rate=None)))
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}


# --- closed ports, dead servers ------------------------------------------------------------------------------


def test_a_closed_port_is_told_at_once() -> None:
    started = time.monotonic()
    reply = one(Server("127.0.0.1", free_port()), Options())
    assert reply.outcome is Outcome.REFUSED
    assert "nothing listens" in reply.detail
    assert time.monotonic() - started < 1.2


def test_a_server_that_restarts_is_not_called_dead() -> None:
    faulty = Faulty(right)
    port = faulty.port
    with faulty:
        pass  # closed again: the port is free
    there: list[Faulty] = []

    def start() -> None:
        time.sleep(0.15)
        there.append(Faulty(right, port=port).__enter__())

    starter = threading.Thread(target=start)
    starter.start()
    reply = one(Server("127.0.0.1", port), Options(timeouts=(0.4, 0.4), rate=None))
    starter.join()
    there[0].__exit__()
    assert (reply.outcome, reply.tries) == (Outcome.ANSWER, 2)


def test_an_address_that_is_none() -> None:
    replies = list(ask([(Server("ns1.example.net"), name, rr.A) for name in many(3)], FAST))
    assert {reply.outcome for reply in replies} == {Outcome.UNREACHABLE}
    assert "no way to ns1.example.net" in replies[0].detail


def test_a_dead_server_is_marked_down() -> None:
    options = Options(timeouts=(0.05, 0.05, 0.05), rate=None, window=20)
    started = time.monotonic()
    with Faulty(silent) as dead, Faulty(right) as alive:
        questions = [(server, name, rr.A) for name in many(1000) for server in (dead.server, alive.server)]
        replies = list(ask(questions, options))
    assert time.monotonic() - started < 5
    assert len(dead.requests) <= 60
    by_server = {reply.server: reply for reply in replies}
    assert {reply.outcome for reply in replies if reply.server == alive.server} == {Outcome.ANSWER}
    assert {reply.outcome for reply in replies if reply.server == dead.server} == {Outcome.TIMEOUT}
    assert by_server[dead.server].detail == "server marked down: 3 dead tries in a row (no answer)"


def test_a_closed_port_is_marked_down() -> None:
    closed = Server("127.0.0.1", free_port())
    replies = list(ask([(closed, name, rr.A) for name in many(1000)], FAST))
    assert {reply.outcome for reply in replies} == {Outcome.REFUSED}
    assert Counter(reply.tries for reply in replies)[0] > 500


def test_a_hiccup_does_not_mark_a_server_down() -> None:
    """Two hundred datagrams lost at once are one dead try, not two hundred."""
    with Faulty(lambda request, number: () if number < 200 else right(request, number)) as faulty:
        replies = list(ask([(faulty.server, name, rr.A) for name in many(400)], FAST))
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}


def test_steady_loss_does_not_mark_a_server_down() -> None:
    with Faulty(lambda request, number: () if number % 3 == 0 else right(request, number)) as faulty:
        options = Options(timeouts=(0.05,) * 12, rate=None, window=10)
        replies = list(ask([(faulty.server, name, rr.A) for name in many(300)], options))
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}


# --- manners and bounds --------------------------------------------------------------------------------------


def test_the_rate_holds_for_each_address_under_all_its_labels() -> None:
    with Faulty(right) as a, Faulty(right) as b:
        labels = [a.server, a.server._replace(label="ns1.example.net"), b.server]
        questions = [(labels[number % 3], name, rr.A) for number, name in enumerate(many(60))]
        replies = list(ask(questions, Options(rate=100, burst=5)))
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}
    times = [when for _, _, when in a.requests]
    assert times[-1] - times[0] > (40 - 5) / 100 - 0.02
    assert all(later - earlier > 0.05 for earlier, later in zip(times, times[11:], strict=False))


def test_retries_count_against_the_rate() -> None:
    with Faulty(silent) as faulty:
        list(ask([(faulty.server, name, rr.A) for name in many(5)], Options(timeouts=(0.01,) * 2, rate=20, burst=1)))
    times = [when for _, _, when in faulty.requests]
    assert all(later - earlier > 0.03 for earlier, later in pairwise(times))


def test_the_window_holds() -> None:
    with Faulty(silent) as faulty:
        started = time.monotonic()
        for _ in ask(
            [(faulty.server, name, rr.A) for name in many(100)], Options(timeouts=(0.2,), rate=None, window=7)
        ):
            break
    early = [when for _, _, when in faulty.requests if when - started < 0.15]
    assert len(early) == 7


def test_the_deadline_ends_everything() -> None:
    started = time.monotonic()
    with Faulty(silent) as dead, Faulty(right) as slow:
        questions = [(dead.server, NAME, rr.A), *((slow.server, name, rr.A) for name in many(9000))]
        replies = list(ask(iter(questions), Options(rate=50, deadline=0.3)))
    assert 0.28 < time.monotonic() - started < 2
    assert len(replies) == 9001
    good = [reply for reply in replies if reply.outcome is Outcome.ANSWER]
    assert 20 <= len(good) <= 40
    assert {reply.detail for reply in replies if reply not in good} == {"the deadline of 0.3 s passed"}


def test_questions_are_drawn_as_they_are_needed() -> None:
    drawn = 0

    def endless(server: Server) -> Iterator[tuple[Server, Name, int]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield server, NAME, rr.A

    with Faulty(right) as faulty:
        replies = ask(endless(faulty.server), Options(rate=None))
        assert next(replies).outcome is Outcome.ANSWER
        assert drawn < 10_000
        replies.close()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for the test's own three hundred servers; the engine itself must do with far fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"three hundred servers need {wanted} descriptors, and the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_servers_than_sockets(many_descriptors: None) -> None:
    """Three hundred servers; warnings are errors here, so a socket left open would fail the test."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Faulty(right)).server for _ in range(300)]
        questions = [(server, name, rr.A) for name in many(5) for server in servers]
        replies = list(ask(questions, Options(timeouts=(1.0, 2.0), rate=None)))
    assert Counter(reply[:3] for reply in replies) == Counter(questions)
    assert {reply.outcome for reply in replies} == {Outcome.ANSWER}


def test_dead_servers_give_their_sockets_back(many_descriptors: None) -> None:
    """Three hundred servers, most of them silent, with few sockets to go round."""
    with ExitStack() as stack:
        handlers = [right if number % 5 == 0 else silent for number in range(300)]
        servers = [stack.enter_context(Faulty(handler)).server for handler in handlers]
        questions = [(server, name, rr.A) for name in many(20) for server in servers]
        replies = list(ask(questions, Options(timeouts=(0.2, 0.2), rate=100, burst=2)))
    assert Counter(reply[:3] for reply in replies) == Counter(questions)
    alive = set(servers[::5])
    assert {reply.outcome for reply in replies if reply.server not in alive} == {Outcome.TIMEOUT}
    assert Counter(reply.outcome for reply in replies if reply.server in alive)[Outcome.ANSWER] > 1100


@pytest.mark.parametrize("bad", [{"timeouts": ()}, {"rate": 0}, {"rate": -1.0}, {"window": 0}, {"burst": 0}])
def test_options_that_make_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="can't ask by"):
        list(ask([], Options(**bad)))


def test_nothing_to_ask() -> None:
    assert list(ask([])) == []


def test_routes() -> None:
    assert has_route("127.0.0.1")
    assert not has_route("fe80::1")  # no scope, so no way
    assert not has_route("ns1.example.net")


def test_how_a_server_is_shown() -> None:
    assert str(Server("192.0.2.1")) == "192.0.2.1"
    assert str(Server("192.0.2.1", 5300, "ns1.example.net")) == "ns1.example.net (192.0.2.1:5300)"
    assert str(Server("2001:db8::1")) == "2001:db8::1"
    assert str(Server("2001:db8::1", 5300)) == "[2001:db8::1]:5300"


# --- the law: one reply for each question, and never another's data ------------------------------------------

FAULTS: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "right": lambda request: (own(request),),
    "drop": lambda _: (),
    "twice": lambda request: (own(request), own(request)),
    "wrong-id": lambda request: (wrong_id(request),),
    "foreign": lambda request: (other_question(request),),
    "broken": lambda request: (own(request)[:-3],),
    "reflect": lambda request: (request,),
    "truncate": lambda request: (answer(request, tc=True),),
    "empty": lambda _: (b"",),
    "noise": lambda request: (request[:2] + b"\x84" + request[3:9] * 30,),
}


def own(request: bytes) -> bytes:
    """Answers `n7.example.net` with 192.0.2.7."""
    number = dns.message.from_wire(request).question[0].name.labels[0][1:].decode()
    return answer(request, f"192.0.2.{number}")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=3), min_size=1, max_size=30))
def test_one_reply_for_each_question_whatever_happens(scripts: list[list[str]]) -> None:
    seen: Counter[str] = Counter()

    def handler(request: bytes, _number: int) -> Iterable[bytes]:
        name = dns.message.from_wire(request).question[0].name.labels[0][1:].decode()
        script = scripts[int(name)]
        seen[name] += 1
        return FAULTS[script[min(seen[name], len(script)) - 1]](request)

    with Faulty(handler, lambda request, _: (framed(own(request)),)) as faulty:
        asked = [(faulty.server, name, rr.A) for name in many(len(scripts))]
        replies = list(ask(asked, Options(timeouts=(0.02, 0.02, 0.02), rate=None)))
    assert Counter(reply[:3] for reply in replies) == Counter(asked)
    for reply in replies:
        if reply.outcome is Outcome.ANSWER:
            assert addresses(reply) == {bytes((192, 0, 2, int(reply.name[2 : 1 + reply.name[0]])))}


def test_a_server_that_is_down_is_asked_no_more_with_the_same_tally() -> None:
    tally = Tally()
    with Faulty(silent) as faulty:
        first = one(faulty.server, FAST, tally)
        asked = tally.sent
        again = one(faulty.server, FAST, tally)
        assert tally.sent == asked
        assert (first.outcome, again.outcome) == (Outcome.TIMEOUT, Outcome.TIMEOUT)
        assert "marked down" in again.detail
        assert one(faulty.server, FAST, Tally()).tries == len(FAST.timeouts)
