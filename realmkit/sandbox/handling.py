"""What Crossbar's resources share: the request, the answer, and listings with their pages and filters."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realmkit.sandbox import rules
from realmkit.sandbox.rules import Errors, Refusal, bad_identifier, forbidden
from realmkit.sandbox.store import gregorian

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.sandbox.cluster import Cluster
    from realmkit.sandbox.store import Document, Json


class Page(NamedTuple):
    """Which part of a listing an answer holds: how many rows, where it began, where the next begins and how it says."""

    size: int
    start: str
    following: Any
    key: str = "next_start_key"


class File(NamedTuple):
    """An upload, or a download: its media type, lower case without parameters, and its octets."""

    content_type: str
    octets: bytes


NO_FILE: Final = File("", b"")


@dataclass
class Success:
    """What a resource says."""

    data: Any
    status: int = 200
    message: str = ""
    revision: str = ""
    auth_token: str = ""
    metadata: Json = field(default_factory=dict)
    page: Page | None = None
    file: File | None = None  # sent in place of an envelope


@dataclass
class Request:
    """A request that was let in. `login` is who asks, `account` whom the path names.

    `accepts_charges` is the envelope's; `file` is the body as it came.
    """

    cluster: Cluster
    method: str
    query: dict[str, str]
    arguments: dict[str, str]
    file: File = NO_FILE
    data: Json = field(default_factory=dict)
    accepts_charges: bool = False
    login: Document | None = None
    account: Document | None = None

    @property
    def target(self) -> Document:
        """The account that the path names, or else the login's own."""
        found = self.account or self.login
        if found is None:
            raise Refusal(401, "invalid_credentials", {"message": "invalid credentials"})
        return found

    def document(self, kind: str, name: str | None = None) -> Document:
        """The document that the path names, or the account's one of that name. Raises the 404."""
        wanted = name or self.arguments["id"]
        found = self.cluster.store.get(wanted, kind, self.target.id)
        if found is None:
            raise bad_identifier(wanted)
        return found

    def by_reseller_only(self) -> None:
        """Raise the 403 where the login is not the reseller of the account that the path names."""
        if self.login is not reseller_of(self.cluster, self.target):
            raise forbidden()

    def changed(self, document: Document) -> Json:
        """The document as the client wants it: whole from POST, merged from PATCH."""
        return rules.merge(document.data, self.data) if self.method == "PATCH" else self.data


Handler = Callable[[Request], Success]


def ancestors(cluster: Cluster, account: Document) -> Iterator[Document]:
    """The accounts above one, nearest first."""
    above = cluster.store.get(account.private["parent"] or "", "account")
    while above is not None:
        yield above
        above = cluster.store.get(above.private["parent"] or "", "account")


def reseller_of(cluster: Cluster, account: Document) -> Document:
    """The nearest reseller above an account; the first account has none above and is its own."""
    above = list(ancestors(cluster, account))
    return next((one for one in above if one.private.get("reseller")), above[-1] if above else account)


def shown(document: Document, status: int = 200) -> Success:
    """A document as a client gets it, with its revision."""
    return Success(document.public(), status, revision=document.revision)


# --- listings -------------------------------------------------------------------------------------------------------


def paged(request: Request, keyed: Sequence[tuple[tuple[Any, ...], Any]]) -> Success:
    """One page of rows in the order of their keys; the key of the first row left out begins the next."""
    return page_of(request, sorted(keyed, key=_first), lambda row: row)


def page_of(request: Request, rows: Sequence[tuple[tuple[Any, ...], Any]], show: Callable[[Any], Any]) -> Success:
    """The same of rows in order, of which only those of the page are made."""
    start = request.query.get("start_key", "")
    first = _position(rows, start) if start else 0
    size = max(1, len(rows) - first)
    if request.query.get("paginate") != "false":
        size = max(1, number(request, "page_size", request.cluster.switches.page_size))
    following = list(rows[first + size][0]) if len(rows) > first + size else None
    page = [show(row) for _, row in rows[first : first + size]]
    return Success(page, page=Page(len(page), start, following))


def _first(row: tuple[tuple[Any, ...], Any]) -> tuple[Any, ...]:
    return row[0]


def _position(rows: Sequence[tuple[tuple[Any, ...], Any]], text: str) -> int:
    try:
        return bisect_left(rows, tuple(json.loads(base64.urlsafe_b64decode(text))), key=_first)
    except (binascii.Error, ValueError, TypeError) as error:
        errors = Errors()
        errors.add("start_key", "invalid", "Not a key that this listing gave out", cause=text)
        raise errors.refusal() from error


def number(request: Request, name: str, default: int) -> int:
    """A whole number of the query string. Raises the 400 where it is none."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        errors = Errors()
        errors.add(name, "type", "Value did not match type(s): integer", target="integer", cause=text)
        errors.refuse()
    return int(text)


def span(request: Request) -> tuple[int, int]:
    """`created_from` to `created_to`, the last days that the cluster allows where not told. Raises the 400 of more."""
    longest = request.cluster.switches.maximum_range * 86_400
    until = number(request, "created_to", gregorian(request.cluster.clock.now()))
    since = number(request, "created_from", until - longest)
    if until < since or until - since > longest:
        errors = Errors()
        errors.add("created_to", "date_range", f"created_to is more than {longest} seconds away", cause=until)
        errors.refuse()
    return since, until


def passes(request: Request, document: Document) -> bool:
    """`filter_<dotted key>=value`, on the document rather than on its row; of a list any element may be meant."""
    for name, wanted in request.query.items():
        if name.startswith("filter_"):
            value = rules.lookup(document.data, name.removeprefix("filter_"))
            values = value if isinstance(value, list) else [value]
            if wanted not in [json.dumps(one) if isinstance(one, bool) else str(one) for one in values]:
                return False
    return True


def dense(row: Json) -> Json:
    """Without what is not known: Crossbar leaves such keys out."""
    return {key: value for key, value in row.items() if value is not None}


def read_only(request: Request) -> Json:
    """2026 puts this into rows, and drops it when a client sends it back."""
    return {"_read_only": {}} if request.cluster.switches.rows_read_only else {}
