"""A zone as its files have it: every record with its place, for whoever edits the text."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from realmkit.dns.names import Name
from realmkit.dns.records import Type

# Where a record's TTL comes from; GENERATED is set besides.
EXPLICIT, DEFAULT, PREVIOUS, GENERATED = 0, 1, 2, 4


class Source(Struct, frozen=True):
    """One file: a path that is the same for the same file, and its text, one character per octet."""

    path: str
    text: str

    def line(self, position: int) -> str:
        """`path:line` of an offset, as errors name it."""
        return f"{self.path}:{self.text.count(chr(10), 0, position) + 1}"


class Scope(Struct, frozen=True):
    """What holds for all records from one directive to the next.

    Attributes:
        source: the file.
        visit: counts files in the order in which they are entered; a file included twice has two visits.
        parent: visit of the including file; 0, its own, for the main file.
        origin: what relative names are completed with.
        default_ttl: what $TTL says, or the SOA's minimum if the SOA has no TTL, or None.
    """

    source: Source
    visit: int
    parent: int
    origin: Name
    default_ttl: int | None


class Entry(Struct, frozen=True, gc=False):
    """One record and where it stands; records of one $GENERATE share their place.

    Attributes:
        scope: file, origin and default TTL.
        start: offset of the entry's first line in its file.
        end: offset behind its last line, line end included.
        name: owner.
        kind: RR type code.
        ttl: seconds, written or inherited.
        rdata: canonical wire.
        how: EXPLICIT, DEFAULT or PREVIOUS says where the TTL comes from; GENERATED is added by $GENERATE.
    """

    scope: Scope
    start: int
    end: int
    name: Name
    kind: Type
    ttl: int
    rdata: bytes
    how: int

    @property
    def inherits_owner(self) -> bool:
        """Whether the owner is left out and the one of the record before."""
        return self.scope.source.text[self.start] in " \t"

    @property
    def place(self) -> str:
        """`path:line`."""
        return self.scope.source.line(self.start)


class Inclusion(Struct, frozen=True):
    """One $INCLUDE: the file it stands in, the span of the file name's word, and the path of the file it names."""

    source: Source
    start: int
    end: int
    path: str


class ZoneText(Struct, frozen=True):
    """A zone as its files have it.

    Attributes:
        zone: the apex.
        entries: every record in the order in which it is read.
        sources: the files by path, the main file first.
        inclusions: every $INCLUDE in the order in which it is read.
        last: what is in force at the end of the main file.
    """

    zone: Name
    entries: Sequence[Entry]
    sources: dict[str, Source]
    inclusions: Sequence[Inclusion]
    last: Scope

    @property
    def main(self) -> Source:
        """The main file."""
        return next(iter(self.sources.values()))
