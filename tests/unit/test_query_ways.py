"""Asking servers with ways of their own: letter case, EDNS, limits; and options that make no sense."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Outcome, Reply, Server, Tally, ask
from tests.unit.faulty import Faulty, answer, framed, right, truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realmkit.dns.names import Name

NAME = names.absolute("a.example.net")
FAST = Options(timeouts=(0.15, 0.15, 0.15), rate=None, deadline=30.0)


def many(count: int) -> list[Name]:
    return [names.absolute(f"n{number}.example.net") for number in range(count)]


def ask_many(server: Server, count: int, options: Options = FAST, tally: Tally | None = None) -> list[Reply]:
    return list(ask([(server, name, rr.A) for name in many(count)], options, tally))


def outcomes(replies: Iterable[Reply]) -> Counter[Outcome]:
    return Counter(reply.outcome for reply in replies)


# --- letter case -----------------------------------------------------------------------------------------------


def test_names_go_out_in_random_case_and_come_back_canonical() -> None:
    with Faulty(right) as faulty:
        replies = ask_many(faulty.server, 100)
    sent = {request[12:-15] for request, _, _ in faulty.requests}
    assert len({one.lower() for one in sent}) == 100
    assert sum(one != one.lower() for one in sent) > 95
    for reply in replies:
        assert reply.message is not None
        assert reply.message.question == (reply.name, rr.A)
        assert [record.name for record in reply.message.answer] == [reply.name]


def lower_cased(request: bytes, _number: int) -> Iterable[bytes]:
    query = dns.message.from_wire(request)
    lower = dns.message.make_query(query.question[0].name.to_text().lower(), "A", id=query.id)
    return (answer(lower.to_wire(), "192.0.2.1"),)


def test_a_question_that_comes_back_in_lower_case_is_asked_so() -> None:
    tally = Tally()
    with Faulty(lower_cased) as faulty:
        replies = ask_many(faulty.server, 300, Options(rate=None, window=10), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 300}
    assert (tally.malformed, tally.foreign, tally.retries) == (0, 0, 0)
    assert 1 <= tally.uncased <= 10
    assert tally.sent == 300 + tally.uncased
    assert tally.caseless == {faulty.server.place}


def test_a_server_that_answers_in_upper_case_whatever_it_is_asked() -> None:
    def shouting(request: bytes, _number: int) -> Iterable[bytes]:
        query = dns.message.from_wire(request)
        upper = dns.message.make_query(query.question[0].name.to_text().upper(), "A", id=query.id)
        return (answer(upper.to_wire(), "192.0.2.1"),)

    with Faulty(shouting) as faulty:
        replies = ask_many(faulty.server, 30)
    assert outcomes(replies) == {Outcome.ANSWER: 30}
    assert all(reply.message is not None and reply.message.question == (reply.name, rr.A) for reply in replies)


def test_another_type_that_differs_by_a_letter_bit_is_no_other_case() -> None:
    """Type 65 is A in ASCII, type 97 is a: only names have a case."""

    def other_type(request: bytes, _number: int) -> Iterable[bytes]:
        (octets,) = lower_cased(request, 0)
        end = len(request) - 15
        return (octets[:end] + b"\0\x61" + octets[end + 2 :],)

    with Faulty(other_type) as faulty:
        (reply,) = ask([(faulty.server, NAME, 65)], FAST)
    assert reply.outcome is Outcome.TIMEOUT


# --- EDNS ------------------------------------------------------------------------------------------------------


def refusing(rcode: int) -> Callable[[bytes, int], Iterable[bytes]]:
    def handle(request: bytes, _number: int) -> Iterable[bytes]:
        query = dns.message.from_wire(request)
        if query.edns < 0:
            return (answer(request, "192.0.2.1"),)
        response = dns.message.make_response(query)
        if rcode < 16:
            response.use_edns(False)
        response.set_rcode(rcode)  # type: ignore[arg-type]
        return (response.to_wire(),)

    return handle


@pytest.mark.parametrize(("rcode", "word"), [(1, "FORMERR"), (4, "NOTIMP"), (16, "BADVERS")])
def test_edns_that_is_refused_is_left_out(rcode: int, word: str) -> None:
    tally = Tally()
    with Faulty(refusing(rcode)) as faulty:
        replies = ask_many(faulty.server, 100, Options(rate=None, window=5), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 100}
    assert all(reply.message is not None and reply.message.rcode == 0 for reply in replies)
    assert tally.no_edns == {faulty.server.place: word}
    assert tally.sent <= 105


def test_a_formerr_that_is_not_about_edns_is_the_answer() -> None:
    def always(request: bytes, _number: int) -> Iterable[bytes]:
        response = dns.message.make_response(dns.message.from_wire(request))
        response.use_edns(False)
        response.set_rcode(1)  # type: ignore[arg-type]
        return (response.to_wire(),)

    tally = Tally()
    with Faulty(always) as faulty:
        replies = ask_many(faulty.server, 20, FAST, tally)
    assert {reply.message.rcode for reply in replies if reply.message} == {1}
    assert not tally.no_edns
    assert tally.sent <= 40


def test_a_formerr_with_edns_of_its_own_is_the_answer_at_once() -> None:
    with Faulty(lambda request, _: (answer(request, rcode=1),)) as faulty:
        (reply,) = ask([(faulty.server, NAME, rr.A)], FAST)
    assert (reply.message is not None and reply.message.rcode, reply.tries) == (1, 1)


def test_a_lost_datagram_does_not_blame_edns() -> None:
    tally = Tally()
    with Faulty(lambda request, number: () if number < 2 else right(request, number)) as faulty:
        list(ask([(faulty.server, NAME, rr.A)], FAST, tally))
        ask_many(faulty.server, 5, FAST, tally)
    assert not tally.no_edns
    assert not any(dns.message.from_wire(request).edns < 0 for request, _, _ in faulty.requests[-5:])


def test_extended_errors_come_through() -> None:
    def stale(request: bytes, _number: int) -> Iterable[bytes]:
        response = dns.message.make_response(dns.message.from_wire(request))
        response.set_rcode(2)  # type: ignore[arg-type]
        response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode(22), "nobody there")])
        response.flags |= dns.flags.AD
        return (response.to_wire(),)

    with Faulty(stale) as faulty:
        (reply,) = ask([(faulty.server, NAME, rr.A)], Options(rd=True, dnssec=True, rate=None))
    assert reply.message is not None
    assert (reply.message.ede, reply.message.ad, reply.message.rcode) == (((22, "nobody there"),), True, 2)


# --- limits ----------------------------------------------------------------------------------------------------


def slipping(request: bytes, number: int) -> Iterable[bytes]:
    """Answers the first five, then every second one with an empty truncated answer, the others not at all."""
    if number < 5:
        return right(request, number)
    return truncated(request, number) if number % 2 else ()


def test_a_server_that_limits_its_answers_is_slowed_and_asked_over_tcp() -> None:
    tally = Tally()
    with Faulty(slipping, lambda request, _: (framed(answer(request, "192.0.2.1")),)) as faulty:
        replies = ask_many(faulty.server, 100, Options(rate=None, timeouts=(0.2, 0.4, 1.0)), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 100}
    assert list(tally.slowed) == [faulty.server.place]
    assert tally.slowed[faulty.server.place] <= 50


def test_the_next_run_begins_slow() -> None:
    tally = Tally()
    with Faulty(right) as faulty:
        tally.slowed[faulty.server.place] = 20.0
        ask_many(faulty.server, 10, Options(rate=None), tally)
    times = [when for _, _, when in faulty.requests]
    assert times[-1] - times[0] > 8 / 20


def test_answers_that_are_truly_too_large_slow_nobody_down() -> None:
    big = [f"10.0.0.{low}" for low in range(50)]
    tally = Tally()

    def handle(request: bytes, number: int) -> Iterable[bytes]:
        return right(request, number) if number % 2 else truncated(request, number)

    with Faulty(handle, lambda request, _: (framed(answer(request, *big)),)) as faulty:
        replies = ask_many(faulty.server, 60, Options(rate=None), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 60}
    assert tally.truncated > 20
    assert not tally.slowed


def test_tcp_that_ends_sends_nobody_away_whom_udp_would_answer() -> None:
    """Large answers first, so that all goes over TCP; then TCP breaks, and the small ones still come."""
    calls = 0

    def for_a_while(request: bytes, _number: int) -> Iterable[bytes]:
        nonlocal calls
        calls += 1
        return (framed(answer(request, "192.0.2.1")),) if calls <= 5 else ()

    def large_at_first(request: bytes, number: int) -> Iterable[bytes | float]:
        if number < 3:
            yield 0.1  # so that the one before has had its answer over TCP
        yield from truncated(request, number) if number < 3 else right(request, number)

    with Faulty(large_at_first, for_a_while) as faulty:
        replies = ask_many(faulty.server, 60, Options(rate=None, window=1, timeouts=(0.5, 0.5), deadline=30.0))
    assert outcomes(replies) == {Outcome.ANSWER: 60}
    assert 5 < len(faulty.tcp_requests) < 40


def test_a_question_that_gets_no_answer_over_udp_from_a_living_server_is_asked_over_tcp() -> None:
    def deaf_to_one(request: bytes, number: int) -> Iterable[bytes]:
        return () if b"\x02n7" in request.lower() else right(request, number)

    with Faulty(deaf_to_one, lambda request, _: (framed(answer(request, "192.0.2.9")),)) as faulty:
        replies = ask_many(faulty.server, 20)
    assert outcomes(replies) == {Outcome.ANSWER: 20}
    assert len(faulty.tcp_requests) == 1
    with Faulty(deaf_to_one) as faulty:
        replies = ask_many(faulty.server, 20)
    (lost,) = (reply for reply in replies if reply.outcome is not Outcome.ANSWER)
    assert lost.outcome is Outcome.TIMEOUT
    assert lost.detail == "no answer in 3 tries, and over TCP: TCP connection refused"


# --- options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(rates={"192.0.2.1": 0.0}), "rate"),
        (Options(dnssec=True, payload=None), "dnssec"),
        (Options(timeouts=()), "timeouts"),
        (Options(timeouts=(0.0,)), "timeouts"),
        (Options(burst=0), "burst"),
    ],
)
def test_options_that_make_no_sense(options: Options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ask([], options)


def test_a_rate_of_its_own() -> None:
    options = Options(rate=5.0, rates={"192.0.2.1": None, "192.0.2.2": 7.0})
    assert [options.rate_of(f"192.0.2.{last}") for last in (1, 2, 3)] == [None, 7.0, 5.0]


def test_a_tally_is_not_shared_by_default() -> None:
    Tally().slowed["192.0.2.1", 53] = 1.0
    assert Tally().slowed == {}
