"""What every method that asks Crossbar is made of: documents, listings, and changes that can't be read back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from realmkit.errors import RateLimitedError, UnreachableError
from realmkit.kazoo.documents import Account, Document
from realmkit.kazoo.errors import BusyError, NotFoundError, StaleTokenError
from realmkit.kazoo.paging import PAGE_SIZE, ids, rows
from realmkit.kazoo.saving import save
from realmkit.kazoo.values import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from realmkit.kazoo.request import Envelope
    from realmkit.kazoo.saving import Path
    from realmkit.kazoo.transport import Connection

D = TypeVar("D", bound=Document)
T = TypeVar("T")


class Caller(ABC):
    """The base of what has methods that ask Crossbar."""

    _to: Connection

    @property
    def connection(self) -> Connection:
        """What the requests go through."""
        return self._to

    @abstractmethod
    def account(self, account: str) -> Account:
        """Read an account."""

    def _all(self, account: str, kind: str, read: Callable[[str, str], D]) -> list[D]:
        """The documents of a listing; one that was deleted in between is left out."""
        return every(self._to, lambda identity: read(account, identity), "accounts", account, kind)

    def _save(
        self,
        account: str,
        kind: str,
        document: D,
        read: Callable[[str, str], D],
        excused: Callable[[Path, Any], bool] = lambda _place, _value: False,
        before: D | None = None,
    ) -> D:
        path = ("accounts", account, kind, document.id)
        return save(self._to, "/".join(path[2:]), path, document, lambda: read(account, document.id), excused, before)


def document(connection: Connection, kind: type[D], answer: Envelope, what: str) -> D:
    """The document that an answer holds.

    Raises:
        ProviderError: it holds none.
    """
    if not isinstance(answer.data, Mapping):
        raise connection.not_crossbar(what)
    return kind.from_json(answer.data, answer.revision)


def every(connection: Connection, read: Callable[[str], D], *path: str) -> list[D]:
    """The documents of a listing, each read whole, ordered by id; one that was deleted in between is left out."""
    found = []
    for identity in ids(connection, *path):
        try:
            found.append(read(identity))
        except NotFoundError:
            continue
    return found


def parsed_rows(connection: Connection, parse: Callable[[Mapping[str, Any]], T], *path: str, **params: str) -> list[T]:
    """The rows of a listing, each as `parse` makes it; a ValueError of that is an error of the platform."""
    what = "GET /" + "/".join(path)
    return [parsed(connection, parse, row, what) for row in rows(connection, *path, **params)]


def parsed(connection: Connection, parse: Callable[[Mapping[str, Any]], T], row: Any, what: str) -> T:
    """One row of a listing.

    Raises:
        ProviderError: it is no object, or not one that `parse` can take.
    """
    try:
        if isinstance(row, Mapping):
            return parse(row)
    except (ValueError, OverflowError):
        pass
    raise connection.not_crossbar(what)


def mapping_at(connection: Connection, *path: str, **params: str) -> Mapping[str, Any]:
    """GET what must be an object.

    Raises:
        ProviderError: it is none.
    """
    data = connection.read(*path, **params).data
    if not isinstance(data, Mapping):
        raise connection.not_crossbar("GET /" + "/".join(path))
    return data


def names(connection: Connection, *path: str) -> dict[str, str]:
    """The names in a listing by the ids; the id itself where a row has no name.

    Raises:
        ProviderError: a row has no id.
    """

    def pair(row: Mapping[str, Any]) -> tuple[str, str]:
        identity = text(row.get("id"))
        if not identity:
            raise ValueError("a row without id")
        return identity, text(row.get("name")) or identity

    return dict(parsed_rows(connection, pair, *path, page_size=PAGE_SIZE))


def push(connection: Connection, send: Callable[[], object]) -> None:
    """A request whose effect can't be read back: repeated only after an error that says that nothing was done.

    Args:
        connection: what it goes through.
        send: makes the request, once.

    Raises:
        OutcomeUnknownError: sent, and no answer came; it was not repeated.
    """
    attempt = 1
    while True:
        connection.login()
        try:
            send()
        except (RateLimitedError, UnreachableError, StaleTokenError, BusyError) as error:
            if getattr(error, "code", 503) != 503 or not connection.may_repeat(error, attempt):
                raise
        else:
            return
        attempt += 1
