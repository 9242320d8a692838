"""What was applied last, so that a file over an account that nobody touched needs no request of its own.

Kept as lines of JSON of which the last one for a file counts, for a line can be added in the middle of a run that is
killed. Losing the file costs requests, nothing else.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from realmkit import durable

if TYPE_CHECKING:
    from pathlib import Path

    from realmkit.kazoo.setupdocuments import AccountRow

FILE: Final = "accounts.jsonl"
_RULES: Final = b"1"  # a new number when the same file comes to mean something else
_SLACK: Final = 4  # lines for each file before they are written anew


class Applied(Struct, frozen=True):
    """One file as it was applied.

    Attributes:
        name: the file's, without `.yml`.
        digest: of its bytes and of what else they were read with.
        id: the account's.
        row: digest of the account's row in the listing.
        title: the account's name, to find two files with one.
        realm: the account's realm, for the same.
        revision: of its document, when it was read back.
        paid: labels of the credits that were paid, which need not be looked for again.
    """

    name: str
    digest: str
    id: str
    row: str
    title: str
    realm: str
    revision: str | None = None
    paid: tuple[str, ...] = ()


class Memory:
    """The file in the project's state directory.

    Args:
        state_dir: `.realmkit`.

    Raises:
        StateError: the file can't be read.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._held: dict[str, Applied] = {}
        lines = durable.lines(self._path)
        for line in lines:
            try:
                one = msgspec.json.decode(line, type=Applied)
            except msgspec.MsgspecError:  # of a later realmkit: as good as never applied
                continue
            self._held[one.name] = one
        self._lines = len(lines)

    def get(self, name: str) -> Applied | None:
        """What is known of a file."""
        return self._held.get(name)

    def all(self) -> list[Applied]:
        """Every file that was ever applied, those that are gone among them."""
        return list(self._held.values())

    def paid(self, name: str, account: str) -> frozenset[str]:
        """Labels of the credits that are known to have been paid to an account by a file."""
        known = self._held.get(name)
        return frozenset(known.paid) if known is not None and known.id == account else frozenset()

    def put(self, applied: Applied) -> None:
        """A file was applied and read back. Raises StateError when that can't be written."""
        if self._held.get(applied.name) == applied:
            return
        self._held[applied.name] = applied
        if self._lines >= _SLACK * len(self._held) + 100:
            durable.write(self._path, b"".join(msgspec.json.encode(one) + b"\n" for one in self._held.values()))
            self._lines = len(self._held)
        else:
            durable.append(self._path, msgspec.json.encode(applied))
            self._lines += 1


def digest(content: bytes, realm: str | None) -> str:
    """What tells whether a file says what it said: its bytes, and the realm that the project gives it."""
    return hashlib.sha256(b"\0".join((_RULES, (realm or "").encode(), content))).hexdigest()


def row_digest(row: AccountRow) -> str:
    """What tells whether the listing says what it said."""
    return hashlib.sha256("\0".join((row.id, row.name, row.realm, *row.tree)).encode()).hexdigest()[:32]
