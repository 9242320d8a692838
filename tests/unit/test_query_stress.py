"""A server with every bad habit at once, drawn by dice: each question still ends in exactly one true reply."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable

import dns.message
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Outcome, Tally, ask
from tests.unit.faulty import Faulty, answer, framed

QUESTIONS = 150
LIMIT = 5.0  # seconds; nothing here takes half of it, but asking a server that had to be slowed down


def address_of(name: bytes) -> str:
    """The one true address of a name."""
    return f"192.0.2.{int(name[2 : 1 + name[0]]) % 250}"


def true_answer(request: bytes, **more: bool) -> bytes:
    return answer(request, address_of(request[12:].lower()), **more)


def lower_cased(request: bytes) -> bytes:
    query = dns.message.from_wire(request)
    text = query.question[0].name.to_text().lower()
    return true_answer(dns.message.make_query(text, "A", id=query.id).to_wire())


def formerr(request: bytes) -> bytes:
    """What a server says that does not know EDNS."""
    if request[10:12] == b"\0\0":
        return true_answer(request)
    return request[:2] + b"\x80\1\0\1" + bytes(6) + request[12:-11]


Deed = Callable[[bytes], Iterable[bytes | float]]
UDP: dict[str, Deed] = {
    "right": lambda request: (true_answer(request),),
    "drop": lambda request: (),
    "twice": lambda request: (true_answer(request), true_answer(request)),
    "cut": lambda request: (answer(request, tc=True),),
    "broken": lambda request: (true_answer(request)[:-5],),
    "servfail": lambda request: (answer(request, rcode=2),),
    "forged": lambda request: (request[:2] + answer(request, "203.0.113.66")[2:12] + b"\1x\0\0\1\0\1",),
    "lower": lambda request: (lower_cased(request),),
    "formerr": lambda request: (formerr(request),),
    "late": lambda request: (0.02, true_answer(request)),
}
TCP: dict[str, Deed] = {
    "drop": lambda request: (),
    "forged": lambda request: (framed(b"nonsense"),),
    "broken": lambda request: (framed(true_answer(request))[:-3],),
    "lower": lambda request: (framed(true_answer(request)[:7]),),
    "late": lambda request: (0.3, framed(true_answer(request))),
}
HABITS = sorted(UDP.keys() - {"right"})


def server(rng: random.Random, chosen: list[str]) -> Faulty:
    """A server that does one of the chosen things, or the right thing, to each request."""

    def over_udp(request: bytes, _number: int) -> Iterable[bytes | float]:
        return UDP[rng.choice([*chosen, "right", "right"])](request)

    def over_tcp(request: bytes, _number: int) -> Iterable[bytes | float]:
        deed = TCP.get(rng.choice([*chosen, "right"]))
        return deed(request) if deed else (framed(true_answer(request)),)

    return Faulty(over_udp, over_tcp if rng.random() < 0.7 else None)


@pytest.mark.parametrize("seed", range(12))
def test_each_question_ends_in_one_true_reply(seed: int) -> None:
    rng = random.Random(seed)
    chosen = rng.sample(HABITS, rng.randint(1, 5))
    options = Options(
        timeouts=(0.05, 0.1, 0.15)[: rng.randint(1, 3)], rate=rng.choice([None, 400.0]), window=rng.choice([1, 7, 200]),
        deadline=LIMIT, mix_case=rng.random() < 0.7, tcp=rng.random() < 0.2,
    )  # fmt: skip
    asked = [names.absolute(f"n{number}.example.net") for number in range(QUESTIONS)]
    with server(rng, chosen) as faulty:
        tally = Tally()
        replies = [
            reply for _ in range(2) for reply in ask([(faulty.server, name, rr.A) for name in asked], options, tally)
        ]
    assert Counter(reply.name for reply in replies) == Counter(asked * 2)
    assert tally.slowed or not [reply.detail for reply in replies if "deadline" in reply.detail]
    for reply in replies:
        assert (reply.message is not None) == (reply.outcome is Outcome.ANSWER) != bool(reply.detail)
        if reply.message is not None and reply.message.rcode == 0:
            true = bytes(map(int, address_of(reply.name).split(".")))
            assert [record.rdata for record in reply.message.answer] == [true]
