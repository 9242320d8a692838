"""Domain names in canonical wire form: length-prefixed labels, lower case, ended by the root label.

`b"\\x04acme\\x07example\\x00"` is acme.example. Names are plain `bytes`, so that comparing and hashing twenty
thousand of them costs nothing; text exists only where a person reads or writes. (RFC 1035 section 3.1 and 5.1,
RFC 4034 section 6.1, RFC 5890 for names beyond ASCII.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Container

Name: TypeAlias = bytes

ROOT: Final[Name] = b"\0"
_PREFIX: Final = [bytes((length,)) for length in range(64)]
_WILDCARD: Final = b"\x01*"
_LDH: Final = re.compile(rb"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
# lower-case LDH labels of at most 63, at least two, the last one with a letter
_REALM: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_PLAIN: Final = re.compile(rb"[A-Za-z0-9*_-]*\Z")
_ESCAPED: Final = frozenset(b'."();@$\\')


class BadNameError(InputError):
    """The text is no domain name."""


def from_text(text: str, origin: Name = ROOT) -> Name:
    """Read a name as a zone file or a person writes it.

    Args:
        text: relative to `origin` unless it ends with a dot; `@` is the origin; `\\.`, `\\DDD` escapes are read.
        origin: what a relative name is completed with.

    Raises:
        BadNameError: an empty label, a label over 63 octets, a name over 255, a broken escape, no IDNA name.
    """
    if text == "@":
        return origin
    if text == ".":
        return ROOT
    if "\\" in text:
        return _from_escaped(text, origin)
    try:
        raw = text.encode("ascii").lower()
    except UnicodeEncodeError:
        raw = to_ascii(text).encode("ascii")
    absolute = raw.endswith(b".")
    labels = (raw[:-1] if absolute else raw).split(b".")
    try:
        name = b"".join([_PREFIX[len(label)] + label for label in labels]) + (ROOT if absolute else origin)
    except IndexError:
        raise BadNameError(f"{text!r}: a label is longer than 63 octets") from None
    if b"" in labels:
        raise BadNameError(f"{text!r}: an empty label (two dots in a row, or nothing at all)")
    return _bounded(name, text)


def absolute(text: str) -> Name:
    """Read a name that a person wrote in a configuration: with or without the final dot, always complete."""
    return from_text(text if text.endswith(".") else text + ".")


def to_text(name: Name) -> str:
    """Show a name, with its final dot and with escapes where the field's convention wants them."""
    parts = []
    offset = 0
    while length := name[offset]:
        offset += 1 + length
        label = name[offset - length : offset]
        parts.append(label.decode("ascii") if _PLAIN.match(label) else _escape(label))
    return ".".join(parts) + "."


def relative_text(name: Name, origin: Name) -> str:
    """Show a name relative to `origin` where it lies at or under it: `@`, `acme`, `_sip._udp.acme`."""
    if name == origin:
        return "@"
    if origin != ROOT and is_under(name, origin):
        return to_text(name[: len(name) - len(origin)] + ROOT)[:-1]
    return to_text(name)


def to_ascii(text: str) -> str:
    """The A-label form of a name in any script (IDNA 2008, UTS 46 mapping), in lower case.

    Raises:
        BadNameError: not a name by IDNA 2008.
    """
    import idna

    labels = []
    for label in re.split("[.\u3002\uff0e\uff61]", text):  # the four dots of UTS 46
        if label.isascii():
            labels.append(label.lower())
            continue
        try:
            labels.append(idna.encode(label, uts46=True).decode("ascii"))
        except idna.IDNAError as error:
            raise BadNameError(f"{text!r}: no name by IDNA 2008: {error}") from error
    return ".".join(labels)


def labels_of(name: Name) -> list[bytes]:
    """The labels, leftmost first, without the root."""
    labels = []
    offset = 0
    while length := name[offset]:
        offset += 1 + length
        labels.append(name[offset - length : offset])
    return labels


def parent(name: Name) -> Name:
    """The name without its leftmost label; the root is its own parent."""
    return name[1 + name[0] :] if name != ROOT else ROOT


def closest(name: Name, among: Container[Name]) -> Name | None:
    """The longest of `among` that is `name` or lies above it: the zone that holds it. None if there is none."""
    while name not in among:
        if name == ROOT:
            return None
        name = parent(name)
    return name


def is_under(name: Name, ancestor: Name) -> bool:
    """Whether `name` is `ancestor` or lies below it."""
    if not name.endswith(ancestor):
        return False
    surplus = len(name) - len(ancestor)
    offset = 0
    while offset < surplus:
        offset += 1 + name[offset]
    return offset == surplus


def is_wildcard(name: Name) -> bool:
    """Whether the leftmost label is a lone asterisk (RFC 4592 section 2.1.1)."""
    return name.startswith(_WILDCARD)


def wildcard_of(name: Name) -> Name:
    """The wildcard directly below `name`."""
    return _WILDCARD + name


def text_length(name: Name) -> int:
    """How many characters the name has without its final dot; realms are at most 253 long."""
    return len(name) - 2 if name != ROOT else 0


def prepend(prefix: str, name: Name) -> Name:
    """`prepend("_sip._udp", acme)` is _sip._udp.acme."""
    return from_text(prefix, name)


def is_hostname(name: Name) -> bool:
    """Whether every label is letters, digits and inner hyphens (RFC 1123 section 2.1)."""
    return name != ROOT and all(_LDH.match(label) for label in labels_of(name))


def check_realm(text: str) -> Name:
    """Read a realm: a host name of at least two labels that is no address (RFC 3261 section 19.1, RFC 1123).

    The platform itself is laxer (it takes `_`, `..` and upper case) and regrets it: facts in docs/realms.md.

    Raises:
        BadNameError: with what is wrong.
    """
    if _REALM.match(text) and len(text) <= 253:  # thousands of realms are read at every start
        return absolute(text)
    name = absolute(text)
    if text_length(name) > 253:
        raise BadNameError(f"realm {text!r} is {text_length(name)} characters long; at most 253 fit")
    bad = next((label for label in labels_of(name) if not _LDH.match(label)), None)
    if bad is not None:
        shown = bad.decode("ascii", "backslashreplace")
        raise BadNameError(
            f"realm {text!r}: the label {shown!r} must be letters, digits and inner hyphens",
            hint="underscores and wildcards are for service names, not for realms",
        )
    last = labels_of(name)[-1] if name != ROOT else b""
    if parent(name) == ROOT or last.isdigit():
        raise BadNameError(f"realm {text!r}: expected a domain name of at least two labels, not an address")
    return name


def _bounded(name: Name, text: str) -> Name:
    if len(name) > 255:
        raise BadNameError(f"{text[:40]!r}...: a name is at most 255 octets long, this one has {len(name)}")
    return name


def _from_escaped(text: str, origin: Name) -> Name:
    labels = [bytearray()]
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            octet, position = _unescape(text, position)
            labels[-1].append(octet)
            continue
        position += 1
        if char == ".":
            labels.append(bytearray())
        elif char.isascii():
            labels[-1].append(ord(char))
        else:
            raise BadNameError(f"{text!r}: escapes and non-ASCII letters don't mix")
    ends_absolute = not labels[-1]
    if ends_absolute:
        labels.pop()
    if any(not 0 < len(label) <= 63 for label in labels):
        raise BadNameError(f"{text!r}: a label is empty or longer than 63 octets")
    body = b"".join(_PREFIX[len(label)] + bytes(label).lower() for label in labels)
    return _bounded(body + (ROOT if ends_absolute else origin), text)


def _unescape(text: str, position: int) -> tuple[int, int]:
    """The octet that the escape at `position` stands for, and where the text goes on."""
    digits = text[position + 1 : position + 4]
    if digits[:1].isdigit():
        if len(digits) == 3 and digits.isdecimal() and int(digits) < 256:
            return int(digits), position + 4
        raise BadNameError(f"{text!r}: \\{digits} is no octet; three decimal digits up to 255 are")
    if not digits or not digits[0].isascii():
        raise BadNameError(f"{text!r}: a backslash with nothing to escape")
    return ord(digits[0]), position + 2


def _escape(label: bytes) -> str:
    return "".join(
        f"\\{octet:03d}" if not 0x20 < octet < 0x7F else f"\\{octet:c}" if octet in _ESCAPED else chr(octet)
        for octet in label
    )
