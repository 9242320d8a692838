"""The words of a zone file (RFC 1035 section 5.1): one entry at a time, each word with its place in the text.

A text here holds one character per octet of the file (it was decoded as Latin-1), so that any octet survives an
edit and offsets in the text are offsets in the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns.rdata import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

# Only single character classes are possessive here and in zonefile.py: on groups, Python before 3.11.5 (Debian 12 has
# 3.11.2) matches wrongly what a possessive quantifier follows (CPython issue 106052).
_WORD: Final = re.compile(
    r"""[ \t]*+(?:
        (\r?\n|\Z)                              # 1: the end of the line
      | (;[^\n]*+)                              # 2: a comment
      | ([()])                                  # 3: a bracket, between which line ends don't count
      | "((?:[^"\\\r\n]|\\[^\r\n])*)"           # 4: a word in quotes
      | ((?:[^ \t\r\n"();\\]|\\[^\r\n])+)       # 5: a plain word
    )""",
    re.VERBOSE,
)
_END, _BRACKET, _QUOTED, _PLAIN = 1, 3, 4, 5
_BLANK: Final = re.compile(r"(?:[ \t]*+(?:;[^\n]*+)?\r?\n)+")
_CLASS: Final = re.compile(r"(?:IN|CLASS1|(CH|HS|CS|ANY|NONE|CLASS[0-9]+))\Z", re.IGNORECASE)
_FAULTS: Final = {
    '"': "a quote that does not close on its line",
    "\\": "a backslash with nothing to escape",
    "\r": "a carriage return in the middle of a line",
}


class Misread(Exception):  # noqa: N818 - never leaves the zone file reader, which turns it into an InputError
    """The text is no zone file.

    Args:
        position: offset in the text.
        message: what is wrong there.
    """

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class Word(NamedTuple):
    """A word and its place.

    Attributes:
        text: as written, escapes unread, without its quotes.
        quoted: whether it stood in quotes.
        glued: whether nothing stood between it and the word before.
        start: offset of its first character (the quote, if it has one).
        end: offset behind its last character.
    """

    text: str
    quoted: bool
    glued: bool
    start: int
    end: int


class Record(NamedTuple):
    """The parts of one resource record.

    Attributes:
        owner: the owner's word; None where the line begins with a blank and the owner is the one before.
        ttl: the TTL's word, if there is one.
        kind: the type's word.
        rdata: what follows the type.
        place: offset of the TTL's word, or where one would go.
    """

    owner: Word | None
    ttl: Word | None
    kind: Word
    rdata: Sequence[Word]
    place: int


def skip_blank(text: str, position: int) -> int:
    """Where the next line starts that is neither empty nor only a comment. `position` is the start of a line."""
    found = _BLANK.match(text, position)
    return found.end() if found else position


def words_at(text: str, position: int) -> tuple[list[Word], int]:
    """The words of the entry that starts at `position`, and where the next entry starts.

    Raises:
        Misread: a quote or a bracket that does not close, a stray bracket or backslash.
    """
    words: list[Word] = []
    opened: list[int] = []
    while True:
        found = _WORD.match(text, position)
        if found is None:
            raise _fault(text, position)
        group, position = found.lastindex, found.end()
        if group in (_PLAIN, _QUOTED):
            start = found.start(group) - (group == _QUOTED)
            glued = bool(words) and words[-1].end == start
            words.append(Word(found[group], group == _QUOTED, glued, start, position))
        elif group == _BRACKET:
            if found[group] == "(":
                opened.append(position - 1)
            elif opened:
                opened.pop()
            else:
                raise Misread(position - 1, "a closing bracket that none opened")
        elif group == _END:
            if not opened:
                return words, position
            if position == len(text):
                raise Misread(opened[-1], "a bracket that is never closed")


def record_of(words: Sequence[Word], *, inherits: bool) -> Record:
    """Sort the words of an entry into owner, TTL, class, type and rdata; TTL and class come in any order.

    Args:
        words: of the entry; at least one.
        inherits: the line begins with a blank, so the owner is left out.

    Raises:
        Misread: no type, a class other than IN, an owner in quotes.
    """
    owner = None if inherits else words[0]
    if owner is not None and owner.quoted:
        raise Misread(owner.start, "an owner name in quotes")
    ttl: Word | None = None
    class_seen = False
    rest = words if inherits else words[1:]
    for index, word in enumerate(rest):
        if word.quoted:
            break
        if ttl is None and word.text[0] in "0123456789":
            ttl = word
        elif not class_seen and (found := _CLASS.match(word.text)):
            if found[1]:
                raise Misread(word.start, f"the class {word.text}; only IN is read here")
            class_seen = True
        else:
            return Record(owner, ttl, word, rest[index + 1 :], (ttl or rest[0]).start)
    raise Misread(words[-1].start, "no record type in this line")


def tokens(words: Sequence[Word]) -> list[Token]:
    """The words as `realmkit.dns.rdata` reads them."""
    return [Token(octets_escaped(word.text), word.quoted, word.glued) for word in words]


def octets_escaped(text: str) -> str:
    """The text with each octet beyond ASCII as `\\DDD`: name servers take them as they are, without IDNA."""
    return text if text.isascii() else re.sub(r"[^\x00-\x7f]", lambda found: f"\\{ord(found[0]):03d}", text)


def _fault(text: str, position: int) -> Misread:
    while text[position] in " \t":
        position += 1
    return Misread(position, _FAULTS.get(text[position], f"can't read {text[position]!r}"))
