"""Names that are mistaken for another: typing slips, and letters that look alike.

The letters of other scripts are a small part of Unicode's table of confusables (Unicode Technical Standard 39,
confusables.txt): those that look like a lower-case ASCII letter in common fonts and that registries admit.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.names import Name

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 200  # candidates of one domain: each is a question to a resolver

_KEYBOARD: Final = ("1234567890-", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_ALIKE: Final = (
    ("m", "rn"), ("rn", "m"), ("w", "vv"), ("vv", "w"), ("d", "cl"), ("cl", "d"), ("o", "0"), ("0", "o"), ("l", "1"),
    ("1", "l"), ("i", "l"), ("l", "i"), ("i", "1"), ("nn", "m"), ("g", "q"), ("q", "g"), ("u", "v"), ("v", "u"),
    ("s", "5"), ("b", "6"), ("e", "3"), ("a", "4"), ("z", "2"),
)  # fmt: skip
_SCRIPTS: Final = (
    # Cyrillic: a whole word of these passes the registries that forbid mixed scripts
    {
        "a": "\u0430", "c": "\u0441", "e": "\u0435", "h": "\u04bb", "i": "\u0456", "j": "\u0458", "o": "\u043e",
        "p": "\u0440", "s": "\u0455", "x": "\u0445", "y": "\u0443", "d": "\u0501", "q": "\u051b", "w": "\u051d",
        "l": "\u04cf",
    },
    {"o": "\u03bf", "v": "\u03bd", "a": "\u03b1", "p": "\u03c1", "i": "\u03b9"},  # Greek
    {"i": "\u0131", "g": "\u0261", "a": "\u0251"},  # Latin letters that are not ASCII
)  # fmt: skip
_TOPS: Final = (
    "com", "net", "org", "info", "biz", "co", "io", "us", "app", "cloud", "online", "site", "tel", "pro", "xyz", "de",
    "uk", "eu", "ca", "mx",
)  # fmt: skip
# Labels under a country's domain below which names are registered; the name itself then stands one label further left.
_SECOND: Final = frozenset({"co", "com", "net", "org", "ac", "gov", "edu", "or", "ne", "gob", "ltd", "me"})


class Candidate(Struct, frozen=True):
    """A name that may be mistaken for ours.

    Attributes:
        name: it.
        how: what was done to ours, for a person.
    """

    name: Name
    how: str


def candidates(domain: Name) -> list[Candidate]:
    """At most `MOST` names that may be mistaken for `domain`, the same ones every time.

    The kinds take turns, so that a long name, of which there are very many, still gets some of every kind.

    Args:
        domain: a registered domain, `reseller.example`; labels further left are passed over.
    """
    labels = names.to_text(domain)[:-1].split(".")
    if len(labels) < 2:
        return []
    depth = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND else 2
    word, suffix = labels[-depth], ".".join(labels[1 - depth :])
    kinds = [[(f"{other}.{suffix}", how) for other in some] for how, some in _kinds(word)]
    kinds.append([(f"{word}.{top}", "another top-level domain") for top in _TOPS])
    own = ".".join(labels[-depth:])
    found: dict[Name, Candidate] = {}
    for turn in zip_longest(*kinds):
        for text, how in filter(None, turn):
            if text != own and len(found) < MOST and (name := _name(text)) is not None:
                found.setdefault(name, Candidate(name, how))
    return list(found.values())


def _kinds(word: str) -> Iterator[tuple[str, list[str]]]:
    """Each kind of mistake, with all its words."""
    places = range(len(word))
    yield "a letter of another script", list(_foreign(word))
    yield "letters that look alike", list(_alike(word))
    yield "a letter left out", [word[:at] + word[at + 1 :] for at in places]
    yield "two letters swapped", [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in places[:-1]]
    yield "a letter doubled", [word[:at] + word[at] + word[at:] for at in places]
    yield "a neighbouring key", list(_slips(word))
    added = [word[:at] + "-" + word[at:] for at in places[1:]]
    yield "a hyphen more or less", [*added, *(word[:at] + word[at + 1 :] for at in places if word[at] == "-")]


def _foreign(word: str) -> Iterator[str]:
    for letters in _SCRIPTS:
        whole = "".join(letters.get(letter, letter) for letter in word)
        if whole != word:
            yield whole
        for at, letter in enumerate(word):
            if letter in letters:
                yield word[:at] + letters[letter] + word[at + 1 :]


def _alike(word: str) -> Iterator[str]:
    for ours, theirs in _ALIKE:
        at = word.find(ours)
        while at >= 0:
            yield word[:at] + theirs + word[at + len(ours) :]
            at = word.find(ours, at + 1)


def _slips(word: str) -> Iterator[str]:
    for at, letter in enumerate(word):
        for row in _KEYBOARD:
            key = row.find(letter)
            for near in (key - 1, key + 1) if key >= 0 else ():
                if 0 <= near < len(row):
                    yield word[:at] + row[near] + word[at + 1 :]


def _name(text: str) -> Name | None:
    """The candidate as a name; None where it is none that could be registered."""
    try:
        name = names.absolute(text)
    except names.BadNameError:
        return None
    return name if names.is_hostname(name) else None
