"""How the table of checks looks: a list, a page each, and the page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from realmkit.health.check import GROUPS
from realmkit.health.clients import quirks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realmkit.health.check import Check

_HEAD: Final = """\
# Checks

Made from the checks themselves: `make docs` writes this page, `realmkit health explain ID` prints a part of it.

`realmkit dns lint` and `dns plan` judge records offline, in the wanted set laid over the zone; errors hold a plan back
until they are mended or allowed by their id. `realmkit health check` judges what is served. What could not be told is
*unknown*: never fine, never missing. How it is run: [health.md](health.md).
"""


def list_text(table: Mapping[str, Check], ids: Sequence[str]) -> str:
    """A line for each check, by group."""
    lines: list[str] = []
    group = ""
    for check in (table[one] for one in ids):
        if check.group != group:
            group = check.group
            lines += [*([""] if lines else []), click.style(GROUPS[group], bold=True)]
        lines.append(f"  {check.id}  {check.title}")
    return "\n".join(lines)


def one_text(table: Mapping[str, Check], ids: Sequence[str]) -> str:
    """The page of one check."""
    check = table[ids[0]]
    head = click.style(f"{check.id}: {check.title}", bold=True)
    return f"{head}\n{check.level}; {check.source}\n\n{check.page}"


def as_json(table: Mapping[str, Check], ids: Sequence[str]) -> dict[str, Any]:
    """The table as plain data."""
    rows = [
        {"id": one.id, "level": one.level, "title": one.title, "source": one.source, "page": one.page}
        for one in (table[key] for key in ids)
    ]
    return {"checks": rows}


def page(table: Mapping[str, Check]) -> str:
    """`docs/checks.md`."""
    parts = [_HEAD]
    for group, title in GROUPS.items():
        some = [one for one in table.values() if one.group == group]
        rows = [f"| [{one.id}](#{one.id.lower()}) | {one.level} | {one.title} |" for one in some]
        parts.append("\n".join([f"## {title}", "", "| id | level | finds |", "|---|---|---|", *rows, ""]))
        parts += [f"### {one.id}\n\n*{one.title}* ({one.level}; {one.source})\n\n{one.page}\n" for one in some]
    parts += ["## Kinds of clients\n", quirks()]
    return "\n".join(parts)
