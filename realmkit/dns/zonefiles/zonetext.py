"""Changing zone files as a careful person would: only the lines that must change, everything else as it was.

Comments, order, blank lines, $TTL, $ORIGIN, $INCLUDE, line ends and the spelling of untouched records stay. What a
line leaves out and takes from the lines before it (owner, TTL) is written out where an edit above would change it.
The result is read again and compared with what the plan says, so that a slip here can't reach a server.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names, plan, rdata
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.zonefiles import zonefile, zonewords
from realmkit.dns.zonefiles.zoneentries import DEFAULT, EXPLICIT, GENERATED, Entry, Scope, Source, ZoneText
from realmkit.errors import ConflictError, InputError, RefusedError, RejectedError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from realmkit.dns.plan import Change
    from realmkit.dns.records import Key, RRset, Zone

_YEARS: Final = 5 * 365 * 86400  # how far a serial may lie from now and still be taken for Unix time
_NEEDS_QUOTES: Final = re.compile(r"[^!#-'*-:<-\[\]-~]")
_HOW: Final = 3  # masks GENERATED out of Entry.how


def next_serial(current: int, now: datetime) -> int:
    """The next SOA serial by the scheme of the current one (RFC 1912 section 2.2, RFC 1982).

    Args:
        current: what the zone has.
        now: aware, UTC.

    Returns:
        `YYYYMMDDnn` where the current one reads as such a date, Unix time where it lies within five years of now,
        else the next number; always newer than `current`.
    """
    today = now.year * 1000000 + now.month * 10000 + now.day * 100 + 1
    seconds = int(now.timestamp())
    following = (current + 1) % 2**32 or 1
    if _is_date(current, now.year):
        wanted = today
    elif abs(current - seconds) < _YEARS:
        wanted = seconds
    else:
        wanted = following
    return wanted if rr.serial_newer(wanted, current) else following


def _is_date(serial: int, this_year: int) -> bool:
    year, month, day = serial // 1000000, serial // 10000 % 100, serial // 100 % 100
    return 1990 <= year <= this_year + 10 and 1 <= month <= 12 and 1 <= day <= 31


def edit(text: ZoneText, changes: Sequence[Change], serial: int) -> ZoneText:
    """Make the changes in the text.

    Args:
        text: the zone's files as they are.
        changes: whole RRsets before and after; no SOA among them.
        serial: the SOA serial to write.

    Returns:
        The zone's files as they should be; `changed_files` says which of them differ.

    Raises:
        ConflictError: an RRset is not as a change's `before` says.
        RefusedError: a change touches what can't be edited line by line: records of $GENERATE, or of a file that
            is included twice; the message names file and line.
        RejectedError: no zone can hold the result: a name outside it, data beside a CNAME, rdata that is none.
        StateError: the result does not read as planned; a fault of realmkit, and nothing may be written.
    """
    before = zonefile.zone_of(text)
    _check_befores(before, changes)
    editor = _Editor(text, changes)
    editor.settle()
    editor.write_serial(serial)
    try:
        after = _reread(text, editor.texts())
    except InputError as error:
        raise RejectedError(f"with these changes the zone file could not be read: {error.message}") from error
    result = zonefile.zone_of(after)
    _check_result(before, changes, serial, result)
    _check_cnames(result, changes)
    return after


def changed_files(before: ZoneText, after: ZoneText) -> dict[str, str]:
    """The new text of each file that differs, by path: included files first, the main file last."""
    paths = [*list(after.sources)[1:], after.main.path]
    return {path: after.sources[path].text for path in paths if after.sources[path].text != before.sources[path].text}


def redirected(text: ZoneText, moved: Mapping[str, str]) -> dict[str, str]:
    """Copies for a checker that must see files which are not in place yet.

    Args:
        text: the zone's files as they should be.
        moved: for each file that stands elsewhere, and each one that includes such a file: where its copy stands,
            one character per octet.

    Returns:
        The text of each file of `moved`, by its own path, its $INCLUDE lines pointing to where the copies stand.
    """
    edits = {path: _Edits() for path in moved}
    for inclusion in set(text.inclusions):
        if inclusion.path in moved and inclusion.source.path in moved:
            target = moved[inclusion.path]
            word = f'"{target}"' if _NEEDS_QUOTES.search(target) else target
            edits[inclusion.source.path].replace(inclusion.start, inclusion.end, word)
    return {path: edits[path].applied_to(text.sources[path].text) for path in moved}


def includers(text: ZoneText, paths: Iterable[str]) -> set[str]:
    """The files that lead to any of `paths` through $INCLUDE, `paths` themselves included."""
    found = set(paths)
    while more := {one.source.path for one in text.inclusions if one.path in found} - found:
        found |= more
    return found


def _check_befores(zone: Zone, changes: Sequence[Change]) -> None:
    for change in changes:
        name, kind = change.key
        if zone.rrsets.get(change.key) != change.before:
            raise ConflictError(
                f"{names.to_text(name)} {rr.type_to_text(kind)} is no longer what it was when the plan was made",
                hint="plan again",
            )


def _reread(text: ZoneText, texts: Mapping[str, str]) -> ZoneText:
    """Read the new texts, following $INCLUDE within them in the order in which the old ones did."""
    targets = iter([inclusion.path for inclusion in text.inclusions])

    def include(_written: str, _source: Source) -> Source:
        path = next(targets)
        return Source(path, texts[path])

    return zonefile.read_entries(Source(text.main.path, texts[text.main.path]), text.zone, include)


def _check_result(before: Zone, changes: Sequence[Change], serial: int, after: Zone) -> None:
    wanted = plan.apply_to(before, changes)
    soa = wanted.rrsets[before.name, rr.SOA]
    (wire,) = soa.rdata
    renewed = wire[:-20] + serial.to_bytes(4, "big") + wire[-16:]
    expected = {**wanted.rrsets, soa.key: rr.RRset(soa.name, soa.type, soa.ttl, frozenset((renewed,)))}
    if after.rrsets != expected or after.mixed != wanted.mixed:
        different = {key for key in expected.keys() | after.rrsets if expected.get(key) != after.rrsets.get(key)}
        shown = ", ".join(f"{names.to_text(name)} {rr.type_to_text(kind)}" for name, kind in sorted(different)[:5])
        raise StateError(
            f"the edited zone file of {names.to_text(before.name)} does not read as planned at {shown or 'some TTLs'}; "
            "nothing was written",
            hint="this is a fault of realmkit: please report it with the zone file's lines of these names",
        )


def _check_cnames(zone: Zone, changes: Sequence[Change]) -> None:
    """Nothing may stand beside a CNAME but what signs it (RFC 2181 section 10.1)."""
    touched = {change.key[0] for change in changes if change.after is not None}
    aliases = {name for name in touched if (name, rr.CNAME) in zone.rrsets}
    for name, kind in zone.rrsets if aliases else ():
        if name in aliases and kind != rr.CNAME and kind not in rr.SIGNING:
            shown = names.to_text(name)
            raise RejectedError(f"{shown} {rr.type_to_text(kind)} would stand beside a CNAME, which must be alone")


class _Edits:
    """Replacements in one text, which do not overlap."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int, int, str]] = []

    def replace(self, start: int, end: int, new: str) -> None:
        """Put `new` where `start` to `end` was; inserts at the same place keep their order."""
        self._spans.append((start, end, len(self._spans), new))

    def applied_to(self, text: str) -> str:
        parts = []
        position = 0
        for start, end, _, new in sorted(self._spans):
            parts += [text[position:start], new]
            position = end
        return "".join([*parts, text[position:]])


class _Row(Struct, frozen=True, gc=False):
    """A record to be written on a line of its own."""

    name: Name
    kind: int
    ttl: int
    rdata: bytes


class _Editor:
    """Works out the edits of every file of a zone."""

    def __init__(self, text: ZoneText, changes: Sequence[Change]) -> None:
        self._text = text
        self._edits = {path: _Edits() for path in text.sources}
        self._shared = _visited_twice(text)
        self._dropped: set[int] = set()
        self._ttls: dict[int, int] = {}
        self._below: dict[int, list[_Row]] = {}  # rows to write below the entry of that index
        self._at_end: dict[Name, list[_Row]] = {}  # rows to write at the end of the main file, by group
        self._plan({change.key: change.after for change in changes})

    def texts(self) -> dict[str, str]:
        """The new text of every file by path."""
        texts = {}
        for path, source in self._text.sources.items():
            eol = _eol(source.text)
            open_ended = bool(source.text) and not source.text.endswith("\n")
            whole = self._edits[path].applied_to(source.text + eol if open_ended else source.text)
            texts[path] = whole.removesuffix("\n").removesuffix("\r") if open_ended else whole
        return texts

    # --- what becomes of each record -----------------------------------------------------------------------------

    def _plan(self, after: Mapping[Key, RRset | None]) -> None:
        lines: dict[Key, list[int]] = {}
        for index, entry in enumerate(self._text.entries):
            if (key := (entry.name, entry.kind)) in after:
                lines.setdefault(key, []).append(index)
        created = []
        for key, rrset in after.items():
            if key in lines:
                self._plan_existing(lines[key], rrset)
            elif rrset is not None:
                created.append(rrset)
        self._place(created)

    def _plan_existing(self, lines: Sequence[int], after: RRset | None) -> None:
        left = set() if after is None else set(after.rdata)
        for index in lines:
            entry = self._text.entries[index]
            self._check_editable(entry)
            if after is not None and entry.rdata in after.rdata:
                left.discard(entry.rdata)
                self._ttls[index] = after.ttl
            else:
                self._dropped.add(index)
        if after is not None and left:
            self._below.setdefault(lines[-1], []).extend(_rows(after, left))

    def _place(self, created: Sequence[RRset]) -> None:
        """Find a line for each new RRset: below the last one of its group, else at the end of the main file."""
        if not created:
            return
        groups = {plan.group_of(rrset.name) for rrset in created}
        last: dict[Name, int] = {}
        for index, entry in enumerate(self._text.entries):
            group = plan.group_of(entry.name)
            if group in groups and not entry.how & GENERATED and entry.scope.source.path not in self._shared:
                last[group] = index
        for rrset in created:
            group = plan.group_of(rrset.name)
            rows = self._below.setdefault(last[group], []) if group in last else self._at_end.setdefault(group, [])
            rows.extend(_rows(rrset, rrset.rdata))

    def _check_editable(self, entry: Entry, why: str = "") -> None:
        if entry.how & GENERATED:
            raise RefusedError(
                f"{entry.place}: {_shown(entry)} comes from $GENERATE, which can't be changed record by record{why}",
                hint="write these records out one by one, or change the $GENERATE line by hand",
            )
        if entry.scope.source.path in self._shared:
            raise RefusedError(
                f"{entry.place}: {_shown(entry)} stands in a file that the zone includes more than once; "
                f"changing the line would change other names too{why}",
                hint="write the record into the main file, or give each name a file of its own",
            )

    # --- from records to edits -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Walk through the zone as a name server reads it, and make each edit that it needs."""
        owners: dict[int, Name | None] = {0: None}
        last_ttl: int | None = None
        for index, entry in enumerate(self._text.entries):
            visit = entry.scope.visit
            if visit not in owners:
                owners[visit] = owners.get(entry.scope.parent)
            if index in self._dropped:
                self._edits[entry.scope.source.path].replace(*self._lines(entry), "")
            else:
                last_ttl = self._settle_ttl(index, entry, last_ttl)
                if not entry.how & GENERATED:
                    if entry.inherits_owner and owners[visit] != entry.name:
                        self._hand_on_owner(entry)
                    owners[visit] = entry.name
            if rows := self._below.get(index):
                self._write(rows, entry.scope, self._lines(entry)[1], entry)
                owners[visit], last_ttl = rows[-1].name, rows[-1].ttl
        rows = [row for group in self._at_end.values() for row in group]
        self._write(rows, self._text.last, len(_closed(self._text.main.text)), self._last_of_main())

    def _settle_ttl(self, index: int, entry: Entry, last_ttl: int | None) -> int | None:
        """Write the TTL if it must be written. Returns the TTL that a later record would take."""
        wanted = self._ttls.get(index, entry.ttl)
        how = entry.how & _HOW
        if how == EXPLICIT:
            if wanted != entry.ttl:
                self._write_ttl(entry, wanted)
            return wanted
        if wanted == (entry.ttl if how == DEFAULT else last_ttl):
            return last_ttl
        self._check_editable(entry, ", and its TTL would follow that of a line that is to be changed")
        self._write_ttl(entry, wanted)
        return wanted

    def _write_ttl(self, entry: Entry, ttl: int) -> None:
        words, _ = zonewords.words_at(entry.scope.source.text, entry.start)
        record = zonewords.record_of(words, inherits=entry.inherits_owner)
        edits = self._edits[entry.scope.source.path]
        if record.ttl is None:
            edits.replace(record.place, record.place, f"{ttl} ")
        else:
            edits.replace(record.ttl.start, record.ttl.end, str(ttl))

    def _hand_on_owner(self, entry: Entry) -> None:
        """Write the owner into a line that left it out, in the room that its leading blanks give."""
        self._check_editable(entry, ", and its owner would follow that of a line that is to be changed")
        text = entry.scope.source.text
        end = entry.start
        while text[end] in " \t":
            end += 1
        blanks = text[entry.start : end]
        owner = names.relative_text(entry.name, entry.scope.origin)
        if "\t" in blanks:
            new = owner + blanks.lstrip(" ")
        else:
            new = owner.ljust(len(blanks)) if len(owner) < len(blanks) else f"{owner} "
        self._edits[entry.scope.source.path].replace(entry.start, end, new)

    def write_serial(self, serial: int) -> None:
        """Put the serial into the SOA record's text."""
        entry = next(entry for entry in self._text.entries if entry.kind == rr.SOA)
        words, _ = zonewords.words_at(entry.scope.source.text, entry.start)
        fields = zonewords.record_of(words, inherits=entry.inherits_owner).rdata
        if fields[0].text == r"\#":
            raise RefusedError(
                f"{entry.place}: the SOA record is written in the generic form of RFC 3597",
                hint="write it as: @ SOA mname rname serial refresh retry expire minimum",
            )
        self._edits[entry.scope.source.path].replace(fields[2].start, fields[2].end, str(serial))

    # --- new lines -----------------------------------------------------------------------------------------------

    def _lines(self, entry: Entry) -> tuple[int, int]:
        """The span of the entry's lines, counting the line end that the last line of a file may lack."""
        text = entry.scope.source.text
        return entry.start, entry.end if text[entry.end - 1] == "\n" else len(_closed(text))

    def _last_of_main(self) -> Entry:
        main = self._text.main.path
        return next(entry for entry in reversed(self._text.entries) if entry.scope.source.path == main)

    def _write(self, rows: Sequence[_Row], scope: Scope, position: int, model: Entry) -> None:
        """Write rows at `position` of the scope's file, their columns like those of the entry `model`."""
        if not rows:
            return
        owners = [names.relative_text(row.name, scope.origin) for row in rows]
        gap, width = _columns(model)
        width = max(width, *(len(owner) for owner in owners)) if gap == " " else 0
        eol = _eol(scope.source.text)
        lines = [
            f"{owner.ljust(width)}{gap}{row.ttl}{gap}IN{gap}{rr.type_to_text(row.kind)}{gap}"
            f"{rdata.to_text(row.kind, row.rdata, scope.origin)}{eol}"
            for owner, row in zip(owners, rows, strict=True)
        ]
        self._edits[scope.source.path].replace(position, position, "".join(lines))


def _columns(model: Entry) -> tuple[str, int]:
    """What separates the words of this entry, and the width of its owner column."""
    text = model.scope.source.text
    line = text[model.start : model.end].partition("\n")[0]
    if "\t" in line:
        return "\t", 0
    words, _ = zonewords.words_at(text, model.start)
    return " ", words[0 if model.inherits_owner else 1].start - model.start - 1


def _rows(rrset: RRset, wires: Iterable[bytes]) -> list[_Row]:
    return [_Row(rrset.name, rrset.type, rrset.ttl, wire) for wire in sorted(wires)]


def _visited_twice(text: ZoneText) -> frozenset[str]:
    """Paths of files that the zone includes more than once."""
    visits = Counter(inclusion.path for inclusion in text.inclusions)
    return frozenset(path for path, count in visits.items() if count > 1)


def _eol(text: str) -> str:
    """The line end that the file uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _closed(text: str) -> str:
    return text if not text or text.endswith("\n") else text + _eol(text)


def _shown(entry: Entry) -> str:
    return f"{names.to_text(entry.name)} {rr.type_to_text(entry.kind)}"
