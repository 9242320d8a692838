"""Reading zone files: RFC 1035 section 5, RFC 2308 section 4 ($TTL), RFC 3597 (types without a name), BIND's $GENERATE.

`read` makes a `Zone`, which is all that a plan needs. `read_entries` also keeps where in which file each record
stands, so that `zonetext` can change a file as a careful person would. Both do no I/O: they are given
text, one character per octet (decode the file as Latin-1), and a function that fetches what $INCLUDE names.

Lines of the everyday shape are read by one regular expression and caches, 50,000 of them in a fraction of a second;
whatever it does not match goes through the tokenizer of `realmkit.dns.zonefiles.zonewords`. Both give the same records.

Where servers differ, BIND's reading is taken: a $TTL inside an included file stays in force after it, an included
file starts with the owner of the line that includes it, and without $TTL a record without a TTL takes the last one
written, or for want of any the SOA's minimum (RFC 1035 section 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Type, Zone
from realmkit.dns.zonefiles import zonewords
from realmkit.dns.zonefiles.zoneentries import (
    DEFAULT,
    EXPLICIT,
    GENERATED,
    PREVIOUS,
    Entry,
    Inclusion,
    Scope,
    Source,
    ZoneText,
)
from realmkit.dns.zonefiles.zonegenerate import expand
from realmkit.dns.zonefiles.zonewords import Misread, octets_escaped
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.dns.records import Key
    from realmkit.dns.zonefiles.zonewords import Word

_MAX_DEPTH: Final = 16
_BARE: Final = r"[!#-'*-:<-\[\]-~]"  # printable ASCII without blank " ( ) ; \
_EVERYDAY: Final = "A|AAAA|CNAME|MX|NAPTR|NS|PTR|SRV|a|aaaa|cname|mx|naptr|ns|ptr|srv"
_PLAIN_LINE: Final = re.compile(
    rf"""((?!\$){_BARE}++)?[ \t]++                              # 1: owner
        (?:([0-9]{{1,9}})[ \t]++(?:[Ii][Nn][ \t]++)?            # 2: TTL before the class
          |[Ii][Nn][ \t]++(?:([0-9]{{1,9}})[ \t]++)?)?          # 3: TTL after the class
        (({_EVERYDAY})[ \t]++                                   # 4: type and rdata, 5: type
            ([ \t!-'*-:<-\[\]-~]*[ \t])?                        # 6: all but the last word of the rdata
            ({_BARE}++))                                        # 7: its last word: a name or an address
        [ \t]*+(?:;[^\n]*+)?(?:\r?\n|\Z)""",
    re.VERBOSE,
)
_ADDRESS: Final = {"A": rdata.ipv4, "AAAA": rdata.ipv6}
_NOT_IN_ZONES: Final = frozenset({41, *range(128, 256)})  # OPT, and the Q and meta types (RFC 6895 section 3.1)

Include: TypeAlias = Callable[[str, Source], Source]
Emit: TypeAlias = Callable[[Scope, int, int, Name, Type, int, bytes, int], None]


def no_includes(path: str, source: Source) -> Source:
    """The `Include` of a text that stands alone."""
    raise InputError(f"{source.path}: $INCLUDE {path} can't be followed here")


def read(main: Source, zone: Name, include: Include = no_includes) -> Zone:
    """Read a zone.

    Args:
        main: the zone's file.
        zone: the apex, which is also the first origin.
        include: fetches a file that $INCLUDE names, given the name as written and the file that says so. It may
            raise OSError or InputError.

    Raises:
        InputError: with file and line: bad syntax, a record outside the zone, not exactly one SOA at the apex.
    """
    sets = _Sets()
    _Reader(zone, include, sets.add).run(main)
    return sets.zone(zone)


def read_entries(main: Source, zone: Name, include: Include = no_includes) -> ZoneText:
    """Read a zone and keep where everything stands. Arguments and errors as of `read`."""
    entries: list[Entry] = []

    def keep(*fields: object) -> None:
        entries.append(Entry(*fields))  # type: ignore[arg-type]  # the reader's Emit and Entry have the same fields

    reader = _Reader(zone, include, keep)
    last = reader.run(main)
    return ZoneText(zone, entries, reader.sources, reader.inclusions, last)


def zone_of(text: ZoneText) -> Zone:
    """The zone that the entries make; the same as `read` gives."""
    sets = _Sets()
    for entry in text.entries:
        sets.add(entry.scope, entry.start, entry.end, entry.name, entry.kind, entry.ttl, entry.rdata, entry.how)
    return sets.zone(text.zone)


class _Sets:
    """Records put together into RRsets."""

    def __init__(self) -> None:
        self._first: dict[Key, RRset] = {}
        self._more: dict[Key, list[tuple[int, bytes]]] = {}

    def add(
        self, _scope: Scope, _start: int, _end: int, name: Name, kind: Type, ttl: int, wire: bytes, _how: int
    ) -> None:
        key = name, kind
        if key in self._first:
            self._more.setdefault(key, []).append((ttl, wire))
        else:
            self._first[key] = RRset(name, kind, ttl, frozenset((wire,)))

    def zone(self, apex: Name) -> Zone:
        mixed = set()
        for key, more in self._more.items():
            first = self._first[key]
            ttls = {first.ttl, *(ttl for ttl, _ in more)}
            if len(ttls) > 1:
                mixed.add(key)
            self._first[key] = RRset(*key, min(ttls), first.rdata.union(wire for _, wire in more))
        (soa,) = self._first[apex, rr.SOA].rdata
        serial = int.from_bytes(soa[-20:-16], "big")
        return Zone(apex, self._first, serial=serial, mixed=frozenset(mixed))


class _Reader:
    """One walk through a zone's files. `plain=False` sends every line through the tokenizer."""

    def __init__(self, zone: Name, include: Include, emit: Emit, *, plain: bool = True) -> None:
        self._zone = zone
        self._include = include
        self._emit = emit
        self._match = _PLAIN_LINE.match if plain else _no_match
        self._owner: Name | None = None
        self._ttl: int | None = None
        self._soa: str | None = None
        self._stack: list[str] = []
        self._visits = 0
        self._values: dict[str, tuple[Type, bytes]] = {}
        self._owners: dict[str, Name] = {}
        self._names: dict[str, Name] = {}
        self.sources: dict[str, Source] = {}
        self.inclusions: list[Inclusion] = []

    def run(self, main: Source) -> Scope:
        """Read everything; returns what is in force at the end of the main file."""
        self._scope = Scope(main, 0, 0, self._zone, None)
        self._file(main)
        if self._soa is None:
            raise InputError(f"{main.path}: no SOA record at {names.to_text(self._zone)}")
        return self._scope

    def _file(self, source: Source) -> None:
        self.sources[source.path] = source
        self._stack.append(source.path)
        text, position = source.text, 0
        end = len(text)
        match, plain = self._match, self._plain
        while position < end:
            found = match(text, position)
            position = found.end() if found is not None and plain(found) else self._careful(source, position)
        self._stack.pop()

    # --- the everyday line ---------------------------------------------------------------------------------------

    def _plain(self, found: re.Match[str]) -> bool:
        """Take a line that `_PLAIN_LINE` matched; False, and nothing done, where the tokenizer must look at it."""
        owner, ttl_first, ttl_second, written, kind_text, head, last = found.groups()
        try:
            if owner is None:
                name = self._owner
            elif (name := self._owners.get(owner)) is None:
                name = self._plain_owner(owner)
            value = self._values.get(written)
            if value is None:
                value = self._values[written] = self._value(kind_text.upper(), head, last)
        except (InputError, ValueError):
            return False
        ttl_text = ttl_first or ttl_second
        ttl, how = self._ttl_of(None if ttl_text is None else int(ttl_text))
        if name is None or ttl is None:
            return False
        self._owner = name
        if how == EXPLICIT:
            self._ttl = ttl
        kind, wire = value
        self._emit(self._scope, found.start(), found.end(), name, kind, ttl, wire, how)
        return True

    def _plain_owner(self, text: str) -> Name:
        name = names.from_text(text, self._scope.origin)
        if not names.is_under(name, self._zone):
            raise ValueError
        self._owners[text] = name
        return name

    def _value(self, kind: str, head: str | None, last: str) -> tuple[Type, bytes]:
        number = rr.type_from_text(kind)
        if (address := _ADDRESS.get(kind)) is not None:
            if head is not None:
                raise ValueError
            return number, address(last)
        wire = _head(number, head or "")
        target = self._names.get(last)
        if target is None:
            target = self._names[last] = names.from_text(last, self._scope.origin)
        return number, wire + target

    def _ttl_of(self, written: int | None) -> tuple[int | None, int]:
        if written is not None:
            return written, EXPLICIT
        if self._scope.default_ttl is not None:
            return self._scope.default_ttl, DEFAULT
        return self._ttl, PREVIOUS

    # --- every other line ----------------------------------------------------------------------------------------

    def _careful(self, source: Source, position: int) -> int:
        """Read the entry at `position`, which may span lines. Returns where the next one starts."""
        start = zonewords.skip_blank(source.text, position)
        if start != position:
            return start
        try:
            words, end = zonewords.words_at(source.text, start)
            if not words:
                return end
            inherits = source.text[start] in " \t"
            if not inherits and words[0].text.startswith("$") and not words[0].quoted:
                self._directive(words, start, end)
            else:
                self._record(words, start, end, inherits=inherits)
        except Misread as error:
            raise InputError(f"{source.line(error.position)}: {error.message}") from error
        return end

    def _record(self, words: Sequence[Word], start: int, end: int, *, inherits: bool) -> None:
        record = zonewords.record_of(words, inherits=inherits)
        name = self._owner if record.owner is None else self._name(record.owner)
        if name is None:
            raise Misread(start, "no owner name in this line, nor in one before it")
        try:
            kind = rr.type_from_text(record.kind.text)
            wire = rdata.from_tokens(kind, zonewords.tokens(record.rdata), self._scope.origin)
        except InputError as error:
            raise Misread(record.kind.start, error.message) from error
        self._owner = name
        self._take(name, kind, None if record.ttl is None else _seconds(record.ttl), wire, (start, end, 0))

    def _take(self, name: Name, kind: Type, written: int | None, wire: bytes, where: tuple[int, int, int]) -> None:
        start, end, generated = where
        if kind in _NOT_IN_ZONES:
            raise Misread(start, f"{rr.type_to_text(kind)} is no type that a zone can hold")
        if not names.is_under(name, self._zone):
            raise Misread(start, f"{names.to_text(name)} is outside the zone {names.to_text(self._zone)}")
        if kind == rr.SOA:
            self._note_soa(name, wire, written, start)
        ttl, how = self._ttl_of(written)
        if ttl is None:
            raise Misread(start, "no TTL in this line, no $TTL above it and no record to take one from")
        if how == EXPLICIT:
            self._ttl = ttl
        self._emit(self._scope, start, end, name, kind, ttl, wire, how | generated)

    def _note_soa(self, name: Name, wire: bytes, written: int | None, start: int) -> None:
        if name != self._zone:
            raise Misread(start, f"an SOA record at {names.to_text(name)}, which is not the zone's apex")
        if self._soa is not None:
            raise Misread(start, f"a second SOA record; the first is in {self._soa}")
        self._soa = self._scope.source.line(start)
        if written is None and self._scope.default_ttl is None and self._ttl is None:
            self._default_ttl(int.from_bytes(wire[-4:], "big"))

    def _name(self, word: Word) -> Name:
        try:
            return names.from_text(octets_escaped(word.text), self._scope.origin)
        except InputError as error:
            raise Misread(word.start, error.message) from error

    # --- directives ----------------------------------------------------------------------------------------------

    def _directive(self, words: Sequence[Word], start: int, end: int) -> None:
        word, *arguments = words
        match word.text.upper(), arguments:
            case "$TTL", [ttl]:
                self._default_ttl(_seconds(ttl))
            case "$ORIGIN", [origin]:
                self._origin(self._name(origin))
            case "$INCLUDE", [path]:
                self._included(path, self._scope.origin)
            case "$INCLUDE", [path, origin]:
                self._included(path, self._name(origin))
            case "$GENERATE", _:
                self._generate(words, start, end)
            case (("$TTL" | "$ORIGIN" | "$INCLUDE"), _):
                raise Misread(start, f"{word.text} takes {_ARGUMENTS[word.text.upper()]}")
            case _:
                raise Misread(start, f"unknown directive {word.text}; $TTL, $ORIGIN, $INCLUDE and $GENERATE are known")

    def _default_ttl(self, seconds: int) -> None:
        scope = self._scope
        self._scope = Scope(scope.source, scope.visit, scope.parent, scope.origin, seconds)

    def _origin(self, origin: Name) -> None:
        scope = self._scope
        if origin != scope.origin:
            self._scope = Scope(scope.source, scope.visit, scope.parent, origin, scope.default_ttl)
            for cache in (self._owners, self._names, self._values):
                cache.clear()

    def _included(self, word: Word, origin: Name) -> None:
        before, owner = self._scope, self._owner
        try:
            source = self._include(word.text, before.source)
        except OSError as error:
            raise Misread(word.start, f"$INCLUDE {word.text}: {error.strerror or error}") from error
        except InputError as error:
            raise Misread(word.start, f"$INCLUDE {word.text}: {error.message}") from error
        if source.path in self._stack or len(self._stack) >= _MAX_DEPTH:
            why = "includes itself" if source.path in self._stack else f"is nested deeper than {_MAX_DEPTH} files"
            raise Misread(word.start, f"$INCLUDE {word.text}: the file {why}")
        self.inclusions.append(Inclusion(before.source, word.start, word.end, source.path))
        self._visits += 1
        self._origin(origin)
        self._scope = Scope(source, self._visits, before.visit, origin, before.default_ttl)
        self._file(source)
        self._origin(before.origin)
        self._scope = Scope(before.source, before.visit, before.parent, before.origin, self._scope.default_ttl)
        self._owner = owner

    def _generate(self, words: Sequence[Word], start: int, end: int) -> None:
        origin = self._scope.origin
        for record in expand(words):
            try:
                name = names.from_text(octets_escaped(record.owner), origin)
                wire = rdata.from_text(record.kind, octets_escaped(record.rdata), origin)
            except InputError as error:
                raise Misread(start, f"$GENERATE: {error.message}") from error
            self._take(name, record.kind, record.ttl, wire, (start, end, GENERATED))


_ARGUMENTS: Final = {
    "$TTL": "one TTL", "$ORIGIN": "one name", "$INCLUDE": "a file and perhaps an origin",
}  # fmt: skip


@lru_cache(maxsize=4096)
def _head(kind: Type, text: str) -> bytes:
    """The fields before the last one, read as if that were the root. A platform's zones say the same few things."""
    return rdata.from_text(kind, f"{text} .")[:-1]


def _seconds(word: Word) -> int:
    try:
        return rdata.parse_ttl(word.text)
    except ValueError as error:
        raise Misread(word.start, str(error)) from error


def _no_match(_text: str, _position: int) -> None:
    return None
