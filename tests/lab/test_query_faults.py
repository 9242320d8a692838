"""Asking real servers through paths and with manners that go wrong: never a crash, never an answer that is not one."""

from __future__ import annotations

import random
import struct
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Outcome, Reply, Server, Tally, ask
from tests.lab.dnsfaults import Path, Sent
from tests.lab.server import base_zone
from tests.lab.servers import Knot, Named, Nsd, Unbound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realmkit.dns.names import Name
    from tests.lab.topology import Lab

QUICK = Options(timeouts=(0.2, 0.2, 0.2), rate=None)
REALMS = "* A 198.51.100.10\n* MX 10 fax\nbig TXT " + " ".join(f'"{"x" * 250}"' for _ in range(8)) + "\n"
ADDRESS = bytes((198, 51, 100, 10))


class LimitedNamed(Named):
    """Answers 5 times a second with the same; of what is over that, every `slip`th is a truncated answer."""

    slip = 2

    def configure(self) -> None:
        super().configure()
        path = self.directory / "named.conf"
        limit = f"rate-limit {{ responses-per-second 5; window 5; slip {self.slip}; }};"
        path.write_text(path.read_text().replace("recursion no;", f"recursion no; {limit}"))


class SilentNamed(LimitedNamed):
    """Says nothing beyond 5 times a second."""

    slip = 0


class LimitedKnot(Knot):
    """Knot with its module for limiting responses."""

    def configure(self) -> None:
        super().configure()
        path = self.directory / "knot.conf"
        text = path.read_text().replace(
            "    semantic-checks: off\n", "    semantic-checks: off\n    global-module: mod-rrl/lab\n"
        )
        path.write_text(text.replace("template:", "mod-rrl:\n  - id: lab\n    rate-limit: 5\n    slip: 2\ntemplate:"))


class Place:
    """Servers and a zone that all tests of this file share."""

    def __init__(self, lab: Lab) -> None:
        self.zone = lab.zone_name()
        self.apex = names.absolute(self.zone)
        self.servers = [lab.start(kind) for kind in (Named, Knot, Nsd)]
        for server in self.servers:
            server.add_zone(self.zone, base_zone(REALMS))
        self.named, self.knot, self.nsd = self.servers

    def realms(self, count: int) -> list[Name]:
        return [names.from_text(f"r{number}", self.apex) for number in range(count)]

    def where(self, number: int = 0) -> tuple[str, int]:
        return self.servers[number].address, 53


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Place]:
    with lab.namespace.inside(), lab.guest() as own:
        yield Place(own)


def ask_each(server: Server, realms: Iterable[Name], options: Options, tally: Tally | None = None) -> list[Reply]:
    replies = list(ask(((server, name, rr.A) for name in realms), options, tally))
    assert all(is_true(reply) for reply in replies)
    return replies


def is_true(reply: Reply) -> bool:
    """Either no answer, which is said to be none, or the one that the zone gives."""
    if reply.message is None:
        return reply.outcome is not Outcome.ANSWER and reply.detail != ""
    return {record.rdata for record in reply.message.answer} == {ADDRESS}


def outcomes(replies: Iterable[Reply]) -> Counter[Outcome]:
    return Counter(reply.outcome for reply in replies)


# --- loss, delay, death --------------------------------------------------------------------------------------


def test_with_a_third_of_all_datagrams_lost_every_question_is_answered(place: Place) -> None:
    def lossy(number: int) -> Path:
        rng = random.Random(number)
        return Path(place.where(number), request=lambda _: rng.random() > 0.3)

    tally = Tally()
    with lossy(0) as first, lossy(1) as second, lossy(2) as third:
        questions = [(path.server, name, rr.A) for name in place.realms(300) for path in (first, second, third)]
        replies = list(ask(questions, Options(rate=None), tally))
    assert outcomes(replies) == {Outcome.ANSWER: 900}
    assert all(is_true(reply) for reply in replies)
    assert tally.retries > 200
    assert not tally.no_edns
    assert not tally.slowed


def test_with_a_third_lost_and_no_tcp_the_rest_is_unknown(place: Place) -> None:
    rng = random.Random(3)
    with Path(place.where(), answer=lambda _, answer: [Sent(answer)] * (rng.random() > 0.3), tcp="refused") as path:
        replies = ask_each(path.server, place.realms(300), QUICK)
    found = outcomes(replies)
    assert found.keys() <= {Outcome.ANSWER, Outcome.TIMEOUT}
    assert found[Outcome.ANSWER] > 270


def test_answers_two_seconds_late_are_taken(place: Place) -> None:
    with Path(place.where(), answer=lambda _, answer: [Sent(answer, after=2.0)]) as path:
        replies = ask_each(path.server, place.realms(20), Options(rate=None))
    assert outcomes(replies) == {Outcome.ANSWER: 20}
    assert {reply.rtt > 0.3 for reply in replies} == {True}


def test_one_of_three_is_dead(place: Place) -> None:
    with Path(place.where(2), request=lambda _: False, tcp="silent") as dead:
        servers = [Server(*place.where(0)), Server(*place.where(1)), dead.server]
        questions = [(server, name, rr.A) for name in place.realms(500) for server in servers]
        started = time.monotonic()
        replies = list(ask(questions, QUICK))
    assert time.monotonic() - started < 5
    by_server = {server: outcomes(one for one in replies if one.server == server) for server in servers}
    assert by_server == {
        servers[0]: {Outcome.ANSWER: 500}, servers[1]: {Outcome.ANSWER: 500}, servers[2]: {Outcome.TIMEOUT: 500},
    }  # fmt: skip


def test_a_server_that_dies_in_the_middle_leaves_the_rest_unknown(place: Place) -> None:
    seen = 0

    def for_a_while(_request: bytes) -> bool:
        nonlocal seen
        seen += 1
        return seen <= 100

    with Path(place.where(), request=for_a_while, tcp="refused") as path:
        replies = ask_each(path.server, place.realms(1000), QUICK)
    assert outcomes(replies) == {Outcome.ANSWER: 100, Outcome.TIMEOUT: 900}


# --- answers that are none -----------------------------------------------------------------------------------


def test_lame_refusing_and_failing_servers_are_answers_of_their_own(place: Place, own_lab: Lab) -> None:
    broken = own_lab.start(Unbound, root=own_lab.start(Named))  # its root holds no zone: it can only fail
    foreign = names.absolute("www.example.org")
    asked = [(Server(server.address), foreign, rr.A) for server in (*place.servers, broken)]
    found = {reply.server: reply for reply in ask(asked, Options(rate=None, rd=True, timeouts=(2.0, 3.0)))}
    assert {reply.outcome for reply in found.values()} == {Outcome.ANSWER}
    codes = [found[server].message.rcode for server, _, _ in asked]  # type: ignore[union-attr]
    assert codes == [5, 5, 5, 2]
    assert not any(reply.message is None or reply.message.aa for reply in found.values())


def test_a_pointer_loop_in_every_answer_is_malformed(place: Place) -> None:
    def loop(_request: bytes, answer: bytes) -> Iterable[Sent]:
        end = answer.index(b"\0\0\1\0\1", 12) + 5
        at = struct.pack("!H", 0xC000 | end)
        return [Sent(answer[:end] + at + answer[end + 2 :])]

    tally = Tally()
    with Path(place.where(), answer=loop) as path:
        replies = ask_each(path.server, place.realms(30), QUICK, tally)
    assert outcomes(replies) == {Outcome.MALFORMED: 30}
    assert tally.malformed == 90


def test_answers_cut_short_now_and_then_are_asked_again(place: Place) -> None:
    rng = random.Random(4)

    def cut(_request: bytes, answer: bytes) -> Iterable[Sent]:
        return [Sent(answer[: rng.randrange(len(answer))] if rng.random() < 0.3 else answer)]

    with Path(place.where(), answer=cut) as path:
        replies = ask_each(path.server, place.realms(300), QUICK)
    assert outcomes(replies)[Outcome.ANSWER] > 280


# --- forgers -------------------------------------------------------------------------------------------------


def forged(request: bytes, *, ident: bytes | None = None, lower: bool = False) -> bytes:
    """An answer that leads to the forger."""
    query = dns.message.from_wire(request)
    if lower:
        query.question[0].name = dns.name.from_text(query.question[0].name.to_text().lower())
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    response.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", "203.0.113.66"))
    octets = response.to_wire()
    return octets if ident is None else ident + octets[2:]


def test_forged_ids_do_not_get_in(place: Place) -> None:
    def shower(request: bytes, answer: bytes) -> Iterable[Sent]:
        idents = [bytes((request[0] ^ bits, request[1])) for bits in range(1, 100)]
        return [*(Sent(forged(request, ident=ident)) for ident in idents), Sent(answer)]

    tally = Tally()
    with Path(place.where(), answer=shower) as path:
        replies = ask_each(path.server, place.realms(20), Options(rate=None, window=2), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 20}
    assert tally.late + tally.foreign > 1000


def test_the_right_id_from_a_foreign_address_does_not_get_in(place: Place, lab: Lab) -> None:
    """Even with everything right but the address that it comes from."""
    elsewhere = lab.address()

    def race(request: bytes, answer: bytes) -> Iterable[Sent]:
        return [Sent(forged(request), source=elsewhere), Sent(answer, after=0.02)]

    tally = Tally()
    with Path(place.where(), answer=race) as path:
        replies = ask_each(path.server, place.realms(50), Options(rate=None), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 50}
    assert tally.received == 50  # the kernel keeps them from us


def test_who_can_guess_id_and_port_but_not_the_case_does_not_get_in(place: Place) -> None:
    guesses = 0

    def guess_once(request: bytes, answer: bytes) -> Iterable[Sent]:
        nonlocal guesses
        guesses += 1
        return [Sent(forged(request, lower=True)), Sent(answer, after=0.05)] if guesses == 1 else [Sent(answer)]

    tally = Tally()
    with Path(place.where(), answer=guess_once) as path:
        replies = ask_each(path.server, place.realms(20), Options(rate=None, window=1), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 20}
    assert (tally.uncased, tally.sent) == (1, 21)


# --- quirks --------------------------------------------------------------------------------------------------


def lowered(_request: bytes, answer: bytes) -> Iterable[Sent]:
    end = 12
    while answer[end]:
        end += 1 + answer[end]
    return [Sent(answer[:12] + answer[12:end].lower() + answer[end:])]


def test_a_server_that_lower_cases_the_question_is_asked_in_lower_case(place: Place) -> None:
    tally = Tally()
    with Path(place.where(), answer=lowered) as path:
        replies = ask_each(path.server, place.realms(500), Options(rate=None, window=20), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 500}
    assert 1 <= tally.uncased <= 20
    assert tally.sent <= 520
    assert tally.caseless == {path.server.place}


def test_what_one_run_learned_the_next_one_heeds(place: Place) -> None:
    tally = Tally()
    with (
        Path(place.where(), answer=lowered) as caseless,
        Path(place.where(), request=lambda request: not has_opt(request)) as old,
    ):
        for _ in range(2):
            uncased, asked = tally.uncased, len(old.asked)
            for path in (caseless, old):
                ask_each(path.server, place.realms(30), QUICK, tally)
    assert (tally.uncased, len(old.asked)) == (uncased, asked + 30)
    assert not any(has_opt(request) for request in old.asked[asked:])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_real_servers_give_the_case_back(place: Place, number: int) -> None:
    tally = Tally()
    replies = ask_each(Server(*place.where(number)), place.realms(300), Options(rate=None), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 300}
    assert (tally.uncased, tally.sent, tally.no_edns, tally.slowed) == (0, 300, {}, {})


def has_opt(message: bytes) -> bool:
    return message[10:12] != b"\0\0"


def test_something_that_drops_edns_is_found_out(place: Place) -> None:
    tally = Tally()
    with Path(place.where(), request=lambda request: not has_opt(request)) as path:
        replies = ask_each(path.server, place.realms(300), Options(timeouts=(0.2, 0.2, 0.2), rate=None), tally)
        asked = Counter(has_opt(request) for request in path.asked)
    assert outcomes(replies) == {Outcome.ANSWER: 300}
    assert tally.no_edns == {path.server.place: "silence"}
    assert asked == {True: 400, False: 300}  # the first window twice with EDNS; then nobody


@pytest.mark.parametrize(("rcode", "word"), [(1, "FORMERR"), (4, "NOTIMP")])
def test_a_server_that_refuses_edns_is_asked_without(place: Place, rcode: int, word: str) -> None:
    def refuse(request: bytes, answer: bytes) -> Iterable[Sent]:
        if not has_opt(request):
            return [Sent(answer)]
        return [Sent(request[:2] + bytes((0x84, rcode)) + b"\0\1" + bytes(6) + request[12:-11])]

    tally = Tally()
    with Path(place.where(), answer=refuse) as path:
        replies = ask_each(path.server, place.realms(200), Options(rate=None, window=10), tally)
    assert outcomes(replies) == {Outcome.ANSWER: 200}
    assert tally.no_edns == {path.server.place: word}
    assert tally.sent <= 210


# --- limits --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(lab: Lab, place: Place) -> Iterator[dict[str, Named | Knot]]:
    with lab.namespace.inside(), lab.guest() as own:
        there: dict[str, Named | Knot] = {
            "named": own.start(LimitedNamed),
            "silent": own.start(SilentNamed),
            "knot": own.start(LimitedKnot),
        }
        for server in there.values():
            server.add_zone(place.zone, base_zone(REALMS))
        yield there


def test_servers_that_limit_their_answers_are_slowed_down_and_answer_all(
    place: Place, limited: dict[str, Named | Knot]
) -> None:
    servers = [Server(one.address) for one in limited.values()]
    tally = Tally()
    replies = list(ask(((one, name, rr.A) for name in place.realms(150) for one in servers), Options(rate=None), tally))
    assert all(is_true(reply) for reply in replies)
    assert outcomes(replies) == {Outcome.ANSWER: 450}
    assert tally.slowed.keys() == {server.place for server in servers}
    assert all(2 <= rate <= 50 for rate in tally.slowed.values())


def test_a_limit_that_a_few_questions_meet_marks_nobody_down(place: Place, limited: dict[str, Named | Knot]) -> None:
    """A dozen questions are too few to tell a limit from loss; all the same none of them stays open."""
    replies = list(ask(((Server(limited["silent"].address), place.apex, rr.SOA) for _ in range(12)), QUICK))
    assert outcomes(replies) == {Outcome.ANSWER: 12}
    assert any(reply.tries > 2 for reply in replies)  # silence did come


def test_a_limit_of_its_own_for_a_server_holds(place: Place) -> None:
    slow, fast = Server(*place.where(0)), Server(*place.where(1))
    options = Options(rate=None, rates={slow.address: 50.0}, burst=1)
    started = time.monotonic()
    done = {}
    for reply in ask([(server, name, rr.A) for name in place.realms(30) for server in (slow, fast)], options):
        done[reply.server] = time.monotonic() - started
    assert done[fast] < 0.3
    assert 0.5 < done[slow] < 2


# --- TCP -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
def test_everything_over_one_tcp_connection(place: Place, number: int) -> None:
    tally = Tally()
    with Path(place.where(number)) as path:
        replies = ask_each(path.server, place.realms(400), Options(rate=None, tcp=True), tally)
        assert (path.connections, path.asked, len(path.streamed)) == (1, [], 400)
    assert outcomes(replies) == {Outcome.ANSWER: 400}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_real_servers_take_many_questions_on_one_connection(place: Place, number: int) -> None:
    replies = ask_each(Server(*place.where(number)), place.realms(3000), Options(rate=None, tcp=True))
    assert outcomes(replies) == {Outcome.ANSWER: 3000}


def test_a_server_that_hangs_up_after_each_answer_loses_no_question(place: Place) -> None:
    with Path(place.where(), tcp="one a connection") as path:
        replies = ask_each(path.server, place.realms(200), Options(rate=None, tcp=True))
        assert 200 <= path.connections < 220
    assert outcomes(replies) == {Outcome.ANSWER: 200}


@pytest.mark.parametrize(
    ("tcp", "words"),
    [("refused", "TCP connection refused"), ("reset", "reset"), ("silent", "no answer over TCP in 0.2 s")],
)
def test_an_answer_too_large_for_udp_without_tcp_is_unknown(place: Place, tcp: str, words: str) -> None:
    with Path(place.where(), tcp=tcp) as path:  # type: ignore[arg-type]
        replies = list(ask([(path.server, names.from_text("big", place.apex), rr.TXT)] * 10, QUICK))
    assert outcomes(replies) == {Outcome.TCP_FAILED: 10}
    assert all(words in reply.detail for reply in replies)


def test_an_answer_too_large_for_udp_comes_over_tcp(place: Place) -> None:
    questions = [(Server(server.address), names.from_text("big", place.apex), rr.TXT) for server in place.servers]
    for reply in ask(questions * 5, Options(rate=None)):
        assert reply.message is not None
        assert [len(record.rdata) for record in reply.message.answer] == [8 * 251]


# --- bounds --------------------------------------------------------------------------------------------------


def test_the_deadline_holds_in_a_flood_over_a_tarpit_and_beside_the_dead(place: Place) -> None:
    def flood(request: bytes, answer: bytes) -> Iterable[Sent]:
        idents = (struct.pack("!H", number) for number in range(2000) if struct.pack("!H", number) != request[:2])
        return [Sent(ident + answer[2:], after=number / 1000) for number, ident in enumerate(idents)]

    def cut(_request: bytes, answer: bytes) -> Iterable[Sent]:
        return [Sent(answer[:2] + bytes((answer[2] | 2,)) + answer[3:])]

    with (
        Path(place.where(0), answer=flood) as flooded,
        Path(place.where(1), answer=cut, tcp="silent") as tarpit,
        Path(place.where(2), request=lambda _: False) as dead,
    ):
        servers = (flooded.server, tarpit.server, dead.server)
        started = time.monotonic()
        replies = list(ask([(one, name, rr.A) for name in place.realms(20) for one in servers],
                           Options(timeouts=(5.0, 10.0), rate=None, deadline=0.8)))  # fmt: skip
        took = time.monotonic() - started
    assert 0.7 < took < 2
    assert outcomes(replies) == {Outcome.TIMEOUT: 60}
    assert {reply.detail for reply in replies} == {"the deadline of 0.8 s passed"}


def test_no_thread_and_no_socket_is_left_behind(place: Place) -> None:
    before = threading.active_count()
    replies = ask(((Server(*place.where(0)), name, rr.A) for name in place.realms(500)), Options(rate=None, tcp=True))
    assert next(replies).outcome is Outcome.ANSWER
    replies.close()
    assert threading.active_count() == before
