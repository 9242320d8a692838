"""What was seen of a pool: a wildcard that serves every realm below it."""

from __future__ import annotations

from msgspec import Struct

from realmkit.dns.names import Name


class PoolSeen(Struct, frozen=True):
    """A wildcard, and whether anybody can tell its realms from slips of the pen.

    Attributes:
        wildcard: its owner.
        answers: whether a made-up name below it is answered; None where that could not be told.
        listed: whether the platform said which realms there are.
    """

    wildcard: Name
    answers: bool | None
    listed: bool
