"""The ledger: which RRsets are ours. One append-only file of JSON lines for each zone, kept in git by the team.

DNS itself is no place for the mark: a TXT record under a realm would end the wildcard that serves it
(RFC 4592 section 2.2.1). Each line says who took or dropped what, when and why; the state is the replay of all.
"""

from __future__ import annotations

import getpass
import platform
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from realmkit import durable
from realmkit.dns import names
from realmkit.dns.records import Key, type_from_text, type_to_text
from realmkit.errors import InputError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from realmkit.dns.names import Name

_Keys = dict[str, list[str]]


class _Line(Struct, forbid_unknown_fields=True, omit_defaults=True):
    at: str
    by: str
    why: str
    take: _Keys = field(default_factory=dict)
    drop: _Keys = field(default_factory=dict)
    version: int = 1


class Ledger:
    """The ledger of one zone.

    Args:
        directory: the project's state directory.
        zone: the apex.
    """

    def __init__(self, directory: Path, zone: Name) -> None:
        self.path = directory / "ledger" / f"{names.to_text(zone).rstrip('.').replace('/', '_') or 'root'}.jsonl"
        self._owned: set[Key] | None = None

    def owned(self) -> frozenset[Key]:
        """The RRsets that are ours.

        Raises:
            StateError: a line of the file is damaged; nothing is guessed then.
        """
        if self._owned is None:
            self._owned = self._replay()
        return frozenset(self._owned)

    def record(self, now: datetime, why: str, take: Iterable[Key] = (), drop: Iterable[Key] = ()) -> None:
        """Write down that RRsets became ours or no longer are. What is already so is left out.

        Raises:
            StateError: the file can't be written or is damaged.
        """
        owned = set(self.owned())
        taken = [key for key in take if key not in owned]
        dropped = [key for key in drop if key in owned]
        if not taken and not dropped:
            return
        who = f"{getpass.getuser()}@{platform.node()}"
        line = _Line(now.isoformat(timespec="seconds"), who, why, _to_text(taken), _to_text(dropped))
        durable.append(self.path, msgspec.json.encode(line))
        self._owned = (owned | set(taken)) - set(dropped)

    def _replay(self) -> set[Key]:
        owned: set[Key] = set()
        decoder = msgspec.json.Decoder(_Line)
        for number, text in enumerate(durable.lines(self.path), start=1):
            try:
                line = decoder.decode(text)
                owned.update(_from_text(line.take))
                owned.difference_update(_from_text(line.drop))
            except (msgspec.DecodeError, InputError) as error:
                raise StateError(
                    f"{self.path}:{number}: damaged: {error}",
                    hint="restore it from git; ownership is not guessed",
                ) from error
        return owned


def _to_text(keys: Iterable[Key]) -> _Keys:
    found: _Keys = {}
    for name, kind in keys:
        found.setdefault(names.to_text(name), []).append(type_to_text(kind))
    return found


def _from_text(keys: _Keys) -> Iterable[Key]:
    for text, kinds in keys.items():
        name = names.absolute(text)
        for kind in kinds:
            yield name, type_from_text(kind)
