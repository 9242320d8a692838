"""Things made once: what is there already is not made again, however often a run is cut off and repeated.

Crossbar has no key by which it would know a PUT again. So there is a look before each, and another after each error:
a PUT may have worked and its answer been lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from realmkit.errors import OutcomeUnknownError, ProviderError, UnreachableError
from realmkit.kazoo.errors import BusyError, NotKeptError
from realmkit.kazoo.saving import SETTLE, not_done, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realmkit.kazoo.transport import Connection

T = TypeVar("T")

SOON: Final = (SETTLE,)
LATE: Final = (SETTLE, 4.0, 8.0, 16.0)  # seconds; a new account takes its time


def make(
    connection: Connection,
    what: str,
    look: Callable[[], T | None],
    send: Callable[[], object],
    *,
    waits: Sequence[float] = SOON,
    repeat: bool = True,
) -> tuple[T, bool]:
    """Make what is not there yet.

    Args:
        connection: what it goes through.
        what: the thing, for errors: `user ann of account X`.
        look: finds it; None where it is not there.
        send: makes it, once.
        waits: seconds before each further look after an answer was lost.
        repeat: whether to send again after a lost answer and looks that found nothing. Not for what Crossbar may still
            be at work on and would then make twice.

    Returns:
        The thing, and whether it was made now.

    Raises:
        NotKeptError: answered as made, and not there.
        OutcomeUnknownError: sent, and looking for it failed, or found nothing yet and `repeat` is off.
        ProviderError: not made.
    """
    there = look()
    if there is not None:
        return there, False
    attempt = 1
    while True:
        connection.login()  # before anything is sent, so that its failure decides nothing
        error = tried(send)
        if not isinstance(error, UnreachableError):
            there = _found(connection, what, error, look, waits)
            if there is not None:
                return there, True
            if error is None:
                raise NotKeptError(f"{what}: Crossbar answered that it is made, and it is not there")
            if isinstance(error, OutcomeUnknownError) and not repeat:
                raise OutcomeUnknownError(
                    f"{what}: {error.message}; it is not there yet",
                    hint="run the same command again in a minute: what is there by then is not made twice",
                )
        if not connection.may_repeat(error, attempt):
            raise not_done(what, error)
        attempt += 1


def _found(
    connection: Connection,
    what: str,
    error: ProviderError | None,
    look: Callable[[], T | None],
    waits: Sequence[float],
) -> T | None:
    """Look for it; after a lost answer again, a little later each time."""
    try:
        there = look()
        if isinstance(error, OutcomeUnknownError | BusyError):
            for seconds in waits:
                if there is not None:
                    break
                connection.pause(seconds)
                there = look()
    except ProviderError as second:
        answered = error.message if error else "answered as made"
        raise OutcomeUnknownError(
            f"{what}: {answered}; and it could not be looked for: {second.message}",
            hint="run the same command again: what is there by then is not made twice",
        ) from None
    return there
