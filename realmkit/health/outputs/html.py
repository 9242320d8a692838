"""A verdict as one page that needs nothing else: no script to be read, none from elsewhere, in light and in dark."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.dns.findings import LEVELS, Level
from realmkit.health.check import GROUPS
from realmkit.health.outputs import duration, level_words, looked_at, printable, tally
from realmkit.health.verdict import Entry

if TYPE_CHECKING:
    from collections.abc import Collection

    from jinja2 import Template

    from realmkit.health.outputs import Table
    from realmkit.health.verdict import Verdict

_MOST: Final = 500  # rows for a check; a browser takes some 20,000 in all, a reader fewer
_MOST_NEWS: Final = 100
_PHASES: Final = {
    "open": "open", "soft": "not confirmed yet", "accepted": "accepted", "known": "in the baseline",
}  # fmt: skip


class _Cell(Struct, frozen=True):
    """A check in the overview."""

    id: str
    title: str
    number: int
    level: str
    judged: bool


class _Group(Struct, frozen=True):
    """A row of the overview."""

    title: str
    cells: list[_Cell]


class _Tile(Struct, frozen=True):
    """A number that filters."""

    level: str
    number: int
    words: str


class _Section(Struct, frozen=True):
    """A check with its findings."""

    id: str
    title: str
    source: str
    worst: str
    tally: str
    levels: list[Level]
    entries: list[Entry]
    more: int
    open: bool


def render(verdict: Verdict, table: Table, judged: Collection[str]) -> bytes:
    """The page, in UTF-8.

    Args:
        verdict: what to show.
        table: `realmkit.health.check.catalog()`.
        judged: ids of the checks that were judged; others are shown as not judged.
    """
    css, script = _file("health.css"), _file("health.js")
    sources = f"style-src {_hash(css)}; script-src {_hash(script)}"
    levels = verdict.levels("open")
    template = _template()
    page = template.render(
        verdict=verdict,
        policy=f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'",
        css=_safe(css),
        js=_safe(script),
        headline=_headline(verdict),
        worst=_worst(verdict.open),
        looked_at=looked_at(verdict),
        tally=tally(levels) or "nothing",
        shares=_shares(levels),
        changes=verdict.news[:_MOST_NEWS],
        more_changes=max(len(verdict.news) - _MOST_NEWS, 0),
        groups=_groups(verdict, table, judged),
        tiles=_tiles(verdict),
        checks=_sections(verdict, table),
        notes=[*verdict.notes, *(f"{server} asked to be asked more slowly." for server in verdict.slowed)],
        since=lambda entry: duration(entry.since, verdict.started),
        standing=_standing,
    )
    return page.encode("utf-8", "replace")


def _headline(verdict: Verdict) -> str:
    """The verdict in a few words."""
    levels = verdict.levels("open")
    faults = levels["critical"] + levels["error"]
    if faults:
        return f"{faults:,} {'fault' if faults == 1 else 'faults'} to mend"
    if levels["unknown"]:
        return "Some of it could not be told"
    if levels["warning"]:
        return "It works, with warnings"
    return "In order" if not verdict.of("soft") else "In order, as far as is certain"


def _worst(entries: Collection[Entry]) -> str:
    return min((entry.finding.level for entry in entries), key=LEVELS.index, default="fine")


def _shares(levels: dict[Level, int]) -> list[tuple[str, float, float]]:
    """The parts of a bar of 1,000 units: level, left edge, width."""
    whole = sum(levels.values())
    parts: list[tuple[str, float, float]] = []
    left = 0.0
    for level, number in levels.items():
        if number:
            width = 1000 * number / whole
            parts.append((level, round(left, 2), round(width, 2)))
            left += width
    return parts


def _counting(verdict: Verdict) -> dict[str, list[Entry]]:
    """What the overview counts, by check."""
    found: dict[str, list[Entry]] = {}
    for entry in verdict.of("open", "soft"):
        found.setdefault(entry.finding.id, []).append(entry)
    return found


def _groups(verdict: Verdict, table: Table, judged: Collection[str]) -> list[_Group]:
    found = _counting(verdict)
    groups = []
    for group, title in GROUPS.items():
        ids = [check for check in table if table[check].group == group]
        cells = [
            _Cell(one, table[one].title, len(found.get(one, ())), _worst(found.get(one, ())), one in judged)
            for one in ids
        ]
        if cells:
            groups.append(_Group(title, cells))
    other = [one for one in found if one not in table]
    if other:
        groups.append(_Group("The run", [_Cell(one, "", len(found[one]), _worst(found[one]), True) for one in other]))
    return groups


def _tiles(verdict: Verdict) -> list[_Tile]:
    levels = verdict.levels("open", "soft")
    tiles = [_Tile("any", sum(levels.values()), "all findings")]
    return tiles + [_Tile(one, number, level_words(one, number).partition(" ")[2]) for one, number in levels.items()]


def _sections(verdict: Verdict, table: Table) -> list[_Section]:
    """The checks with findings; what counts first, the worst of it first."""
    by_check: dict[str, list[Entry]] = {}
    for entry in sorted(verdict.of("open", "soft", "accepted", "known"), key=_quiet):
        by_check.setdefault(entry.finding.id, []).append(entry)
    found = []
    for check, entries in by_check.items():
        counting = [entry for entry in entries if not _quiet(entry)]
        numbers = {level: sum(one.finding.level == level for one in counting) for level in LEVELS}
        quiet = len(entries) - len(counting)
        words = ", ".join(filter(None, (tally(numbers), f"{quiet:,} accepted or known" if quiet else "")))
        about = table.get(check)
        found.append(
            _Section(
                check, about.title if about else "the run ended before this was looked at",
                about.source if about else "", _worst(counting) if counting else "", words,
                sorted({entry.finding.level for entry in entries}, key=LEVELS.index), entries[:_MOST],
                max(len(entries) - _MOST, 0), bool(counting) and len(entries) <= 20,
            )
        )  # fmt: skip
    return found


def _quiet(entry: Entry) -> bool:
    return entry.phase in ("accepted", "known")


def _standing(entry: Entry) -> str:
    """What the finding's phase is, in words."""
    text = _PHASES[entry.phase]
    if entry.phase == "accepted":
        text += f" until {entry.until}: {entry.reason}"
    return text if entry.seen else f"{text}, not seen this time"


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy lets run or apply by (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _safe(text: str) -> Any:
    """Our own style sheet or script, as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - a file of this package


def _shown(value: Any) -> Any:
    """Text without control characters; it is escaped after this."""
    return printable(value) if type(value) is str else value


@functools.cache
def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, finalize=_shown, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("health.html.j2"))
