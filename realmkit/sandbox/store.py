"""The sandbox's data store: documents with ids and revisions, kept in the order in which they were made."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from realmkit.sandbox.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from realmkit.clock import Clock

Json = dict[str, Any]

GREGORIAN: Final = 62_167_219_200
"""Seconds from the year 0 to 1970, which Kazoo's time stamps begin with."""


def gregorian(instant: datetime) -> int:
    """An instant as Kazoo counts it: seconds of the Gregorian calendar, UTC."""
    return int(instant.timestamp()) + GREGORIAN


@dataclass
class Document:
    """One document.

    Attributes:
        id: 32 hex digits, or a name such as `limits` of which each account has one.
        kind: `account`, `device`, `connectivity`, `faxbox`, `user`, `callflow`, `limits` ...
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
    """All documents. Ids and revisions depend on nothing but the order of calls, so that a run can be repeated.

    Attributes:
        tree: the accounts, as Kazoo's views find them.
    """

    def __init__(self, clock: Clock) -> None:
        self.tree = Tree()
        self._clock = clock
        self._held: dict[tuple[str, str], Document] = {}
        self._of_kind: dict[str, dict[tuple[str, str], Document]] = {}
        self._within: dict[tuple[str, str], dict[tuple[str, str], Document]] = {}
        self._made = 0

    def new_id(self, kind: str) -> str:
        """32 hex digits, never the same twice."""
        self._made += 1
        return hashlib.sha256(f"{kind}/{self._made}".encode()).hexdigest()[:32]

    def add(self, kind: str, account: str | None, data: Json, name: str | None = None, **private: Any) -> Document:
        """Make a document.

        Args:
            kind: of it.
            account: the id of the account that it is in; None for an account.
            data: what a client sees of it.
            name: the id of a document of which an account has one only.
            **private: what no client sees.
        """
        identity = name or self.new_id(kind)
        document = Document(identity, kind, account or identity, {}, self._clock.now(), private=private)
        key = _key(document)
        for shelf in self._shelves(document):
            shelf[key] = document
        self.save(document, data)
        return document

    def save(self, document: Document, data: Json) -> None:
        """Replace its content and give it the next revision."""
        document.data = copy.deepcopy(data)
        number = int(document.revision.partition("-")[0] or 0) + 1
        content = json.dumps(document.data, sort_keys=True).encode()
        document.revision = f"{number}-{hashlib.sha256(content).hexdigest()[:32]}"
        if document.kind == "account":
            self.tree.put(document)

    def remove(self, document: Document) -> None:
        """Delete it."""
        for shelf in self._shelves(document):
            del shelf[_key(document)]
        if document.kind == "account":
            self.tree.drop(document)

    def remove_account(self, account: Document) -> None:
        """Delete an account and all that its database holds."""
        for (_, within), shelf in list(self._within.items()):
            if within == account.id:
                for document in list(shelf.values()):
                    if document is not account:
                        self.remove(document)
        self.remove(account)

    def get(self, identity: str, kind: str, account: str | None = None) -> Document | None:
        """The document of that id, if it is of that kind and, where given, in that account.

        A document that each account has one of is found with its account only.
        """
        document = self._held.get((account, identity)) if account is not None else None
        document = document or self._held.get(("", identity))
        if document is None or document.kind != kind or account not in (None, document.account):
            return None
        return document

    def all(self, kind: str, account: str | None = None) -> Iterator[Document]:
        """Every document of a kind, in all accounts or one, oldest first."""
        shelf = self._of_kind.get(kind, {}) if account is None else self._within.get((kind, account), {})
        return iter(shelf.values())

    def _shelves(self, document: Document) -> tuple[dict[tuple[str, str], Document], ...]:
        return (
            self._held,
            self._of_kind.setdefault(document.kind, {}),
            self._within.setdefault((document.kind, document.account), {}),
        )


def _key(document: Document) -> tuple[str, str]:
    """Ids of 32 digits are unique in the whole cluster, names in an account."""
    return ("" if len(document.id) == 32 else document.account, document.id)
