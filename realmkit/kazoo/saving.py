"""Changes whose outcome is decided by looking, not by what the answer said.

Crossbar may refuse an account's change with 400 and have saved it (`kzd_accounts:validate/3` saves an existing account
even when a check before has failed), may save and lose the connection, and may answer 2xx for something that it then
left out. So after every write the object is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from realmkit.errors import ConflictError, OutcomeUnknownError, ProviderError, UnreachableError
from realmkit.kazoo.documents import Document
from realmkit.kazoo.errors import BusyError, NotKeptError, noted
from realmkit.kazoo.values import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.kazoo.request import Envelope
    from realmkit.kazoo.transport import Connection

T = TypeVar("T")
D = TypeVar("D", bound=Document)

SETTLE: Final = 2.0  # seconds after a lost answer, in which Crossbar may still be at work on the change
Path = tuple[str, ...]


def decide(
    connection: Connection,
    what: str,
    send: Callable[[], object],
    look: Callable[[], T],
    done: Callable[[T, ProviderError | None], bool],
    untouched: Callable[[T], bool],
) -> tuple[T, ProviderError | None]:
    """Make a change, and find out whether it is in force. It is repeated only after it was seen not to be.

    Args:
        connection: what it goes through.
        what: the change, for errors: `realm of account X`.
        send: makes the change, once.
        look: reads the object.
        done: whether the object, as read after that error (or none), has the change.
        untouched: whether it is as it was before.

    Returns:
        The object as read with the change in force, and the error that the change was answered with, if one was.

    Raises:
        NotKeptError: answered as saved, but what is there when read again is something else.
        RejectedError, RateLimitedError, BusyError, UnreachableError, AuthError: not in force.
        ConflictError: not in force, and somebody else changed the object.
        OutcomeUnknownError: sent, and the object can't be read.
    """
    attempt = 1
    while True:
        connection.login()  # before anything is sent, so that its failure decides nothing
        error = tried(send)
        if not isinstance(error, UnreachableError):
            now, in_force = _seen(connection, what, error, look, done)
            if in_force:
                return now, error
            if error is None:
                raise NotKeptError(f"{what}: Crossbar answered that it is saved, but reading it again shows otherwise")
            if not untouched(now):
                raise ConflictError(f"{what}: somebody else changed it at the same time", hint="read it again")
        if not connection.may_repeat(error, attempt):
            raise not_done(what, error)
        attempt += 1


def save(
    connection: Connection,
    what: str,
    path: tuple[str, ...],
    document: D,
    look: Callable[[], D],
    excused: Callable[[Path, Any], bool] = lambda _path, _value: False,
    before: D | None = None,
) -> D:
    """POST a whole document over the one that is there, if that still is the one it was made from.

    Args:
        connection: what it goes through.
        what: the document, for errors.
        path: where it lives.
        document: the new content, with the revision that it was made from.
        look: reads it.
        excused: whether the platform may leave out the value that was asked for at this place.
        before: the document as it was read a moment ago; None reads it first.

    Returns:
        The document as the platform holds it now.

    Raises:
        ConflictError: it is no longer the revision that `document` was made from, or somebody changed it meanwhile.
        NotKeptError: saved, and not all that was asked for is there.
        OutcomeUnknownError: sent, and the document can't be read.
        ProviderError: not saved; as `decide`.
    """
    return answered_save(connection, what, path, document, look, excused, before)[0]


def answered_save(
    connection: Connection,
    what: str,
    path: tuple[str, ...],
    document: D,
    look: Callable[[], D],
    excused: Callable[[Path, Any], bool] = lambda _path, _value: False,
    before: D | None = None,
) -> tuple[D, ProviderError | None]:
    """As `save`, and with the document the error that a save was answered with which is in force all the same."""
    before = look() if before is None else before
    if document.revision is not None and document.revision != before.revision:
        raise ConflictError(
            f"{what} is at revision {before.revision}, no longer at {document.revision}: somebody changed it",
            hint="read it again and look at what changed",
        )
    body = document.to_body()
    wanted = differences(before.to_body(), body)

    def moved(after: D) -> bool:
        if after.revision is None or before.revision is None:
            return after != before
        return after.revision != before.revision

    def left_out(after: D) -> list[str]:
        there = after.to_body()
        return [
            ".".join(place)
            for place, value in wanted.items()
            if not _same(_at(there, place), value) and not (_at(there, place) is None and excused(place, value))
        ]

    def done(after: D, error: ProviderError | None) -> bool:
        return (error is None or moved(after)) and not left_out(after)

    def send() -> Envelope:
        return connection.write("POST", *path, data=body)

    try:
        return decide(connection, what, send, look, done, lambda after: not moved(after))
    except NotKeptError as error:
        raise noted(error, "it does not hold what was asked for at " + ", ".join(left_out(look()))) from None


def differences(before: Any, after: Any, place: Path = ()) -> dict[Path, Any]:
    """Where two JSON values differ, as the keys that lead there and the value in `after`; None for what is gone.

    Lists are compared whole. An object without keys is as good as none: Crossbar does not keep the difference.
    """
    old, new = ({} if value is None else value for value in (before, after))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[Path, Any] = {}
        for key in {**old, **new}:
            found |= differences(old.get(key), new.get(key), (*place, key))
        return found
    return {} if _same(before, after) else {place: after}


def same(before: Document, after: Document) -> bool:
    """Whether Crossbar would keep the same of both."""
    return not differences(before.to_body(), after.to_body())


def tried(send: Callable[[], object]) -> ProviderError | None:
    """Make a change; the error that it was answered with, if one was."""
    try:
        send()
    except ProviderError as error:
        return error
    return None


def _seen(
    connection: Connection,
    what: str,
    error: ProviderError | None,
    look: Callable[[], T],
    done: Callable[[T, ProviderError | None], bool],
) -> tuple[T, bool]:
    """Read the object; if the change ought to be or may be there and is not, once more a little later.

    After a lost answer Crossbar may still be at work on it, and another of its nodes may not have heard of it.

    Returns:
        The object, and whether it has the change.
    """
    try:
        now = look()
        in_force = done(now, error)
        if not in_force and (error is None or isinstance(error, OutcomeUnknownError | BusyError)):
            connection.pause(SETTLE)
            now = look()
            in_force = done(now, error)
    except ProviderError as second:
        answered = error.message if error else "answered as saved"
        raise OutcomeUnknownError(
            f"{what}: {answered}; and it could not be read again: {second.message}",
            hint="look at it before anything is repeated",
        ) from None
    return now, in_force


def not_done(what: str, error: ProviderError) -> ProviderError:
    """The error of a change that was seen not to be in force."""
    if isinstance(error, UnreachableError):  # nothing was sent
        return error
    if isinstance(error, OutcomeUnknownError):
        return UnreachableError(f"{what}: {error.message}; read again: not in force", hint="run the same command again")
    return noted(error, f"{what} read again: not in force")


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same to Crossbar, which keeps neither nulls nor objects without keys."""
    return canonical(None if one == {} else one) == canonical(None if other == {} else other)


def _at(value: Any, place: Path) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
