"""What Crossbar's resources share: the request, the answer, and listings with their pages and filters."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from realmkit.sandbox import rules
from realmkit.sandbox.rules import Errors, Refusal, bad_identifier
from realmkit.sandbox.switches import Generation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.sandbox.cluster import Cluster
    from realmkit.sandbox.store import Document, Json


class Page(NamedTuple):
    """Which part of a listing an answer holds: how many rows, where it began, where the next page begins."""

    size: int
    start: str
    following: Any


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


@dataclass
class Request:
    """A request that was let in. `login` is who asks, `account` whom the path names."""

    cluster: Cluster
    method: str
    query: dict[str, str]
    arguments: dict[str, str]
    data: Json = field(default_factory=dict)
    login: Document | None = None
    account: Document | None = None

    @property
    def target(self) -> Document:
        """The account that the path names, or else the login's own."""
        found = self.account or self.login
        if found is None:
            raise Refusal(401, "invalid_credentials", {"message": "invalid credentials"})
        return found

    def document(self, kind: str) -> Document:
        """The document that the path names. Raises the 404."""
        found = self.cluster.store.get(self.arguments["id"], kind, self.target.id)
        if found is None:
            raise bad_identifier(self.arguments["id"])
        return found

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


def shown(document: Document, status: int = 200) -> Success:
    """A document as a client gets it, with its revision."""
    return Success(document.public(), status, revision=document.revision)


# --- listings -------------------------------------------------------------------------------------------------------


def paged(request: Request, keyed: Sequence[tuple[tuple[Any, ...], Any]]) -> Success:
    """One page of rows in the order of their keys; the key of the first row left out begins the next."""
    rows = sorted(keyed, key=lambda row: row[0])
    start = request.query.get("start_key", "")
    if start:
        rows = _from(rows, start)
    size = len(rows)
    if request.query.get("paginate") != "false":
        size = max(1, number(request, "page_size", request.cluster.switches.page_size))
    following = list(rows[size][0]) if len(rows) > size else None
    page = [row for _, row in rows[:size]]
    return Success(page, page=Page(len(page), start, following))


def _from(rows: list[tuple[tuple[Any, ...], Any]], text: str) -> list[tuple[tuple[Any, ...], Any]]:
    try:
        first = tuple(json.loads(base64.urlsafe_b64decode(text)))
        return [row for row in rows if row[0] >= first]
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


def passes(request: Request, document: Document) -> bool:
    """`filter_<dotted key>=value`, on the document rather than on its row."""
    for name, wanted in request.query.items():
        if name.startswith("filter_"):
            value = rules.lookup(document.data, name.removeprefix("filter_"))
            shown = json.dumps(value) if isinstance(value, bool) else str(value)
            if shown != wanted:
                return False
    return True


def dense(row: Json) -> Json:
    """Without what is not known: Crossbar leaves such keys out."""
    return {key: value for key, value in row.items() if value is not None}


def read_only(request: Request) -> Json:
    """2026 puts this into rows, and drops it when a client sends it back."""
    return {"_read_only": {}} if request.cluster.generation is Generation.NEWER else {}
