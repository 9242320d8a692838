"""Asking name servers: many questions to many servers at once, in one thread, without blocking.

Every question ends in exactly one reply. What is no answer stays apart from what the answer says: a server that
keeps silent, a closed port, an answer that can't be read and a TCP connection that fails are outcomes of their own,
and none of them means that a record is missing.

Manners: a token bucket and a window for each server, short first timeout with backoff, a server that limits its
answers is asked slower and over TCP, one that does not know EDNS without it, and three dead tries mark one down.

Safety: connected sockets on random ports, random ids, letters in random case, and an answer counts only if it echoes
the question octet for octet. What does not match is counted and passed over, for it may be forged (RFC 5452).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from realmkit.dns.asking.engine import Engine
from realmkit.dns.asking.exchange import DEFAULT, Options, Outcome, Reply, Server, Tally
from realmkit.dns.asking.stream import sockaddr

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

__all__ = ["DEFAULT", "Options", "Outcome", "Reply", "Server", "Tally", "ask", "has_route"]


def ask(
    questions: Iterable[tuple[Server, Name, Type]], options: Options = DEFAULT, tally: Tally | None = None
) -> Generator[Reply, None, None]:
    """Ask every question of its server; replies come as they arrive, in no order.

    Questions are drawn as they are needed, so a generator of any length needs little memory. Spread the servers over
    it if the rate is limited: only a few thousand questions are looked at ahead.

    Args:
        questions: server, name and type of each.
        options: manners.
        tally: counts what happens, if given. What it knows of servers from an earlier call is heeded.

    Yields:
        One reply for every question.

    Raises:
        ValueError: options that make no sense.
    """
    if (fault := options.fault()) is not None:
        raise ValueError(f"can't ask by {options}: {fault}")
    return Engine(questions, options, Tally() if tally is None else tally).run()


def has_route(address: str) -> bool:
    """Whether the machine knows a way to a numeric address. Nothing is sent."""
    try:
        family, where = sockaddr((address, 53), socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:  # noqa: TID251 - this is the place
            probe.connect(where)
    except OSError:
        return False
    return True
