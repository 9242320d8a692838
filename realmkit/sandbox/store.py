"""The sandbox's data store: documents with ids and revisions, kept in the order in which they were made."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from realmkit.clock import Clock

Json = dict[str, Any]

_GREGORIAN: Final = 62_167_219_200
"""Seconds from the year 0 to 1970, which Kazoo's time stamps begin with."""


def gregorian(instant: datetime) -> int:
    """An instant as Kazoo counts it: seconds of the Gregorian calendar, UTC."""
    return int(instant.timestamp()) + _GREGORIAN


@dataclass
class Document:
    """One document.

    Attributes:
        id: 32 hex digits.
        kind: `account`, `device`, `connectivity`, `faxbox`.
        account: the id of the account whose database holds it; an account is in its own.
        data: what a client sees of it, without `id`.
        created: when it was made, UTC.
        revision: as CouchDB writes it, `3-<hash>`.
        private: what the platform keeps with it out of a client's reach.
    """

    id: str
    kind: str
    account: str
    data: Json
    created: datetime
    revision: str = ""
    private: Json = field(default_factory=dict)

    def public(self) -> Json:
        """A copy of what a client gets."""
        return {**copy.deepcopy(self.data), "id": self.id}

    def at(self, *path: str) -> Any:
        """The value under a path of keys, None where there is none."""
        value: Any = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


class Store:
    """All documents. Ids and revisions depend on nothing but the order of calls, so that a run can be repeated."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Document] = {}
        self._made = 0

    def new_id(self, kind: str) -> str:
        """32 hex digits, never the same twice."""
        self._made += 1
        return hashlib.sha256(f"{kind}/{self._made}".encode()).hexdigest()[:32]

    def add(self, kind: str, account: str | None, data: Json, **private: Any) -> Document:
        """Make a document; `account` is None for an account."""
        identity = self.new_id(kind)
        document = Document(identity, kind, account or identity, {}, self._clock.now(), private=private)
        self._held[identity] = document
        self.save(document, data)
        return document

    def save(self, document: Document, data: Json) -> None:
        """Replace its content and give it the next revision."""
        document.data = copy.deepcopy(data)
        number = int(document.revision.partition("-")[0] or 0) + 1
        content = json.dumps(document.data, sort_keys=True).encode()
        document.revision = f"{number}-{hashlib.sha256(content).hexdigest()[:32]}"

    def remove(self, document: Document) -> None:
        """Delete it."""
        del self._held[document.id]

    def get(self, identity: str, kind: str, account: str | None = None) -> Document | None:
        """The document of that id, if it is of that kind and, where given, in that account."""
        document = self._held.get(identity)
        if document is None or document.kind != kind or account not in (None, document.account):
            return None
        return document

    def all(self, kind: str, account: str | None = None) -> Iterator[Document]:
        """Every document of a kind, in all accounts or one, oldest first."""
        return (one for one in self._held.values() if one.kind == kind and account in (None, one.account))
