"""Asking authoritative servers: for answers with their signatures, and for whatever counts only with authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.dns.asking.query import Reply, Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type
    from realmkit.dns.wire import Message
    from realmkit.health.observe.surroundings import Surroundings

    Question = tuple[Server, Name, Type]


def ask(
    questions: Iterable[Question], surroundings: Surroundings, *, dnssec: bool = False
) -> dict[Question, Message | str]:
    """Ask every question once.

    Args:
        questions: server, name and type.
        surroundings: manners, and the deadline.
        dnssec: ask for signatures too (RFC 3225: the DO bit).

    Returns:
        To each question an authoritative answer with NOERROR or NXDOMAIN, or in words why there is none.
    """
    wanted = dict.fromkeys(questions)
    if not wanted:
        return {}
    replies = surroundings.ask(wanted, dnssec=dnssec)
    return {(reply.server, reply.name, reply.type): _usable(reply) for reply in replies}


def _usable(reply: Reply) -> Message | str:
    message = reply.message
    if message is None:
        return reply.detail
    if message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return f"answers {wire.rcode_to_text(message.rcode)}"
    return message if message.aa else "answers without authority"
