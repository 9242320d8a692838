"""The table of checks: what each is called, how bad it is, where its rule comes from, and its page.

A check is a pure function from one thing that was seen (a zone, a realm, an endpoint) to findings. Its docstring is
what `realmkit health explain ID` prints and what `docs/checks.md` is made of, so text and code can't drift apart.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realmkit.dns.findings import Finding

    Judge = Callable[[Any], Iterator[Finding]]

F = TypeVar("F", bound="Callable[[Any], Iterator[Finding]]")
GROUPS: Final = {
    "DEL": "Delegation", "CON": "Consistency among the authoritative servers", "PRO": "Propagation on resolvers",
    "SEM": "What single records mean", "SIP": "The SIP chain (RFC 3263)", "MX": "Mail and fax",
    "WLD": "Wildcards and the shape of the tree", "MIG": "Readiness for a migration", "SEC": "DNSSEC and CAA",
    "SCR": "Security", "RLM": "Realm names", "PRV": "What a provider shows",
    "RUN": "The run itself",
}  # fmt: skip


class Check(Struct, frozen=True):
    """One entry of the table.

    Attributes:
        id: `SIP07`.
        level: `error`, or the levels that it can give (`error, warning`).
        title: what it finds, in a few words.
        source: the RFC's section, or whatever else the rule comes from.
        text: its page as it stands in the source.
        on: what it looks at; None where it is judged offline, in the zone's records.
        judge: the function; None likewise.
    """

    id: str
    level: str
    title: str
    source: str
    text: str
    on: type | None = None
    judge: Judge | None = None

    @property
    def page(self) -> str:
        """The whole text, in Markdown."""
        import inspect

        return inspect.cleandoc(self.text)

    @property
    def group(self) -> str:
        """`SIP`."""
        return self.id.rstrip("0123456789")


_checks: dict[str, Check] = {}
_complete: list[bool] = []


def check(on: type, id: str, level: str, title: str, *, source: str) -> Callable[[F], F]:  # noqa: A002 - Finding's word
    """Enter the decorated function in the table.

    Args:
        on: the type of what it is given.
        id: of the check; every finding that it yields has it.
        level: as in `Check`.
        title: as in `Check`.
        source: as in `Check`.
    """

    def enter(function: F) -> F:
        _add(Check(id, level, title, source, function.__doc__ or "", on, function))
        return function

    return enter


def page(id: str, level: str, title: str, *, source: str, text: str) -> None:  # noqa: A002 - as above
    """Enter a check that `realmkit.dns.lint` makes. Arguments as in `Check`."""
    _add(Check(id, level, title, source, text))


def catalog() -> dict[str, Check]:
    """Every check by its id, group by group."""
    from realmkit.health import checks

    if not _complete:
        for file in sorted(Path(checks.__path__[0]).glob("[a-z]*.py")):
            importlib.import_module(f"{checks.__name__}.{file.stem}")
        _complete.append(True)
    order = list(GROUPS)
    return dict(sorted(_checks.items(), key=lambda item: (order.index(item[1].group), item[0])))


def _add(entry: Check) -> None:
    if entry.id in _checks or entry.group not in GROUPS:
        raise AssertionError(f"check {entry.id} is there already, or of no known group")
    _checks[entry.id] = entry
