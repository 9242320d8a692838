"""Rdata: text to canonical wire and back, driven by one table of layouts.

The eleven types of a realm are read and written here because a plan over fifty thousand records must take a second,
not a minute. Every other type goes through dnspython, and to RFC 3597's `\\# length hex` where dnspython does not
know it either. dnspython is the oracle of the tests for all of it.
"""

from __future__ import annotations

import re
from socket import AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realmkit.dns.names import Name
    from realmkit.dns.records import Type


class BadRdataError(InputError):
    """The text is no rdata of that type."""


class Token(NamedTuple):
    """A word of a zone file.

    Attributes:
        text: as written, escapes unread, without its quotes.
        quoted: whether it stood in quotes.
        glued: whether nothing stood between it and the word before, as in `alpn="h2"`.
    """

    text: str
    quoted: bool = False
    glued: bool = False


# The layout of each type's rdata. "name" is lower-cased; "strings" takes what is left as character strings.
LAYOUTS: Final[dict[Type, tuple[str, ...]]] = {
    rr.A: ("ipv4",),
    rr.NS: ("name",),
    rr.CNAME: ("name",),
    rr.SOA: ("name", "name", "u32", "ttl", "ttl", "ttl", "ttl"),
    rr.PTR: ("name",),
    rr.MX: ("u16", "name"),
    rr.TXT: ("strings",),
    rr.AAAA: ("ipv6",),
    rr.SRV: ("u16", "u16", "u16", "name"),
    rr.NAPTR: ("u16", "u16", "string", "string", "string", "name"),
    rr.CAA: ("u8", "tag", "rest"),
}
_WIDTH: Final = {"u8": 1, "u16": 2, "u32": 4, "ttl": 4}
_TOKEN: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^\s"\\;()]|\\.)+))', re.DOTALL)
_TTL_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def tokenize(text: str) -> list[Token]:
    """Split one line of rdata into words, quotes removed, escapes kept.

    Raises:
        BadRdataError: a quote that does not close, or a stray bracket or semicolon.
    """
    tokens: list[Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadRdataError(f"can't read {text[position:].strip()!r}")
        group = 1 if match.group(1) is not None else 2
        glued = bool(tokens) and match.start(group) - (group == 1) == position
        tokens.append(Token(match.group(group), group == 1, glued))
        position = match.end()
    return tokens


def from_text(kind: Type, text: str, origin: Name = names.ROOT) -> bytes:
    """Read rdata as a zone file writes it, for example `10 100 "S" "SIP+D2U" "" _sip._udp`.

    Args:
        kind: RR type code.
        text: the rdata on one line.
        origin: what relative names in it are completed with.

    Raises:
        BadRdataError: it is no rdata of that type.
    """
    return from_tokens(kind, tokenize(text), origin)


def from_tokens(kind: Type, tokens: Sequence[Token], origin: Name) -> bytes:
    """Read rdata from its words. Raises as `from_text` does."""
    layout = LAYOUTS.get(kind)
    if layout is None or (tokens and tokens[0].text == r"\#"):
        return _foreign_from_tokens(kind, tokens, origin)
    if len(tokens) != len(layout) and (layout[-1] != "strings" or len(tokens) < len(layout)):
        said = " ".join(token.text for token in tokens)
        raise BadRdataError(f"{rr.type_to_text(kind)} takes {_expected(layout)}, found {said!r}")
    try:
        if layout[-1] == "strings":
            return b"".join([_string(token) for token in tokens])
        return b"".join([_READ[field](token, origin) for field, token in zip(layout, tokens, strict=True)])
    except (ValueError, OSError, OverflowError) as error:
        said = " ".join(token.text for token in tokens)
        raise BadRdataError(f"{rr.type_to_text(kind)} {said!r}: {error}") from error


def to_text(kind: Type, wire: bytes, origin: Name | None = None) -> str:
    """Show rdata as a zone file writes it.

    Args:
        kind: RR type code.
        wire: canonical rdata.
        origin: names at or under it are shown relative to it; None shows all names complete.
    """
    layout = LAYOUTS.get(kind)
    if layout is None:
        return _foreign_to_text(kind, wire)
    parts = []
    offset = 0
    try:
        for field in layout:
            text, offset = _SHOW[field](wire, offset, origin)
            parts.append(text)
    except (IndexError, ValueError, OSError):
        offset = -1
    if offset != len(wire):
        return _generic(wire)
    return " ".join(parts)


def well_formed(kind: Type, wire: bytes) -> bool:
    """Whether `wire` has the layout of its type; types not in the table are taken as they are."""
    return kind not in LAYOUTS or not to_text(kind, wire).startswith(r"\#")


def parse_ttl(text: str) -> int:
    """Seconds from `3600` or `1h30m`.

    Raises:
        ValueError: no TTL, or above 2**31 - 1 (RFC 2181 section 8).
    """
    if text.isdecimal() and text.isascii():
        seconds = int(text)
    else:
        if not re.fullmatch(r"(?:[0-9]+[smhdwSMHDW])+", text):
            raise ValueError(f"{text!r} is no TTL")
        seconds = sum(int(n) * _TTL_UNITS[u.lower()] for n, u in re.findall(r"([0-9]+)([a-zA-Z])", text))
    if seconds > 2**31 - 1:
        raise ValueError(f"the TTL {text} is above 2147483647")
    return seconds


def ipv4(text: str) -> bytes:
    """Four octets from a dotted quad, strictly decimal. Raises ValueError."""
    parts = text.split(".")
    if len(parts) != 4 or not all(
        part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") and len(part) < 4 for part in parts
    ):
        raise ValueError(f"{text!r} is no IPv4 address")
    try:
        return bytes(map(int, parts))
    except ValueError:
        raise ValueError(f"{text!r} is no IPv4 address") from None


def ipv6(text: str) -> bytes:
    """Sixteen octets from IPv6 text. Raises ValueError."""
    try:
        return inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is no IPv6 address") from None


def address(text: str) -> tuple[Type, bytes]:
    """The type and rdata of an address of either family. Raises ValueError."""
    if ":" in text:
        return rr.AAAA, ipv6(text)
    try:
        return rr.A, ipv4(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address") from None


def character_string(text: bytes) -> bytes:
    """A length-prefixed string (RFC 1035 section 3.3). Raises ValueError over 255 octets."""
    if len(text) > 255:
        raise ValueError(f"a string is at most 255 octets long, this one has {len(text)}")
    return bytes((len(text),)) + text


def _expected(layout: tuple[str, ...]) -> str:
    words = {"name": "a name", "ipv4": "an IPv4 address", "ipv6": "an IPv6 address", "strings": "strings"}
    return ", ".join(words.get(field, f"a {field}") for field in layout)


def _number(field: str) -> Callable[[Token, Name], bytes]:
    width = _WIDTH[field]

    def read(token: Token, _origin: Name) -> bytes:
        text = token.text
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"{text!r} is no number")
        try:
            return int(text).to_bytes(width, "big")
        except OverflowError:
            raise ValueError(f"{text} does not fit: at most {256**width - 1}") from None

    return read


def _ttl(token: Token, _origin: Name) -> bytes:
    return parse_ttl(token.text).to_bytes(4, "big")


def _octets(token: Token) -> bytes:
    """The octets of a word after its escapes are read."""
    text = token.text
    if "\\" not in text:
        return text.encode("utf-8")
    out = bytearray()
    position = 0
    while position < len(text):
        if text[position] != "\\":
            out += text[position].encode("utf-8")
            position += 1
            continue
        digits = text[position + 1 : position + 4]
        if digits[:1].isdigit():
            if len(digits) < 3 or not digits.isdecimal() or int(digits) > 255:
                raise ValueError(f"\\{digits} is no octet")
            out.append(int(digits))
            position += 4
        else:
            out += digits[:1].encode("utf-8")
            position += 2
    return bytes(out)


def _string(token: Token) -> bytes:
    return character_string(_octets(token))


def _tag(token: Token, _origin: Name) -> bytes:
    octets = _octets(token)
    if not octets.isalnum():
        raise ValueError(f"the tag {token.text!r} must be letters and digits (RFC 8659 section 4.1)")
    return character_string(octets)


_READ: Final[dict[str, Callable[[Token, Name], bytes]]] = {
    "ipv4": lambda token, _: ipv4(token.text),
    "ipv6": lambda token, _: ipv6(token.text),
    "name": lambda token, origin: names.from_text(token.text, origin),
    "u8": _number("u8"),
    "u16": _number("u16"),
    "u32": _number("u32"),
    "ttl": _ttl,
    "string": lambda token, _: _string(token),
    "tag": _tag,
    "rest": lambda token, _: _octets(token),
}


def name_end(wire: bytes, offset: int) -> int:
    """Where the uncompressed name at `offset` ends. Raises IndexError or ValueError on damage."""
    while length := wire[offset]:
        if length > 63:
            raise ValueError("no uncompressed name")
        offset += 1 + length
    return offset + 1


def _show_name(wire: bytes, offset: int, origin: Name | None) -> tuple[str, int]:
    end = name_end(wire, offset)
    name = wire[offset:end]
    return (names.to_text(name) if origin is None else names.relative_text(name, origin)), end


def _show_number(width: int) -> Callable[[bytes, int, Name | None], tuple[str, int]]:
    def show(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
        return str(int.from_bytes(wire[offset : offset + width], "big")), offset + width

    return show


def _quote(octets: bytes) -> str:
    if octets.isalnum():
        return f'"{octets.decode("ascii")}"'
    return '"' + "".join(
        chr(o) if 0x20 <= o < 0x7F and o not in b'"\\' else f"\\{o:c}" if o in b'"\\' else f"\\{o:03d}"
        for o in octets
    ) + '"'  # fmt: skip


def _show_string(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
    end = offset + 1 + wire[offset]
    if end > len(wire):
        raise ValueError("string runs over the end")
    return _quote(wire[offset + 1 : end]), end


def _show_strings(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
    parts = []
    while offset < len(wire):
        text, offset = _show_string(wire, offset, None)
        parts.append(text)
    if not parts:
        raise ValueError("no string at all")
    return " ".join(parts), offset


def _show_tag(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
    end = offset + 1 + wire[offset]
    return wire[offset + 1 : end].decode("ascii"), end


def _show_ipv4(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
    return ".".join(map(str, wire[offset : offset + 4])), offset + 4


def _show_ipv6(wire: bytes, offset: int, _origin: Name | None) -> tuple[str, int]:
    return inet_ntop(AF_INET6, wire[offset : offset + 16]), offset + 16


_SHOW: Final[dict[str, Callable[[bytes, int, Name | None], tuple[str, int]]]] = {
    "ipv4": _show_ipv4,
    "ipv6": _show_ipv6,
    "name": _show_name,
    "u8": _show_number(1),
    "u16": _show_number(2),
    "u32": _show_number(4),
    "ttl": _show_number(4),
    "string": _show_string,
    "strings": _show_strings,
    "tag": _show_tag,
    "rest": lambda wire, offset, _: (_quote(wire[offset:]), len(wire)),
}


def _generic(wire: bytes) -> str:
    return rf"\# {len(wire)} {wire.hex()}".rstrip()


def _foreign_from_tokens(kind: Type, tokens: Sequence[Token], origin: Name) -> bytes:
    """A type outside the table, or one written in RFC 3597's generic form."""
    if tokens and tokens[0].text == r"\#":
        try:
            wire = bytes.fromhex("".join(token.text for token in tokens[2:]))
            if len(wire) == int(tokens[1].text) and well_formed(kind, wire):
                return _lowered(kind, wire)
        except (ValueError, IndexError):
            pass
        raise BadRdataError(f"{rr.type_to_text(kind)}: no generic rdata (RFC 3597 section 5)")
    import dns.exception
    import dns.name
    import dns.rdata

    text = "".join(
        ("" if token.glued else " ") + (f'"{token.text}"' if token.quoted else token.text) for token in tokens
    )
    try:
        base = dns.name.from_wire(origin, 0)[0]
        rdata = dns.rdata.from_text("IN", rr.type_to_text(kind), text, origin=base, relativize=False)
    except (dns.exception.DNSException, ValueError, NotImplementedError) as error:
        raise BadRdataError(f"{rr.type_to_text(kind)} {text!r}: {error}") from error
    return rdata.to_digestable()


def _lowered(kind: Type, wire: bytes) -> bytes:
    """Rdata of a known layout with its names in lower case."""
    out = []
    offset = 0
    for field in LAYOUTS.get(kind, ()):
        _, end = _SHOW[field](wire, offset, None)
        out.append(wire[offset:end].lower() if field == "name" else wire[offset:end])
        offset = end
    return b"".join(out) + wire[offset:]


def _foreign_to_text(kind: Type, wire: bytes) -> str:
    import dns.exception
    import dns.rdata
    import dns.rdataclass

    try:
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, rr.type_to_text(kind), wire, 0, len(wire))
        return rdata.to_text() if rdata.to_digestable() == wire else _generic(wire)
    except (dns.exception.DNSException, ValueError, IndexError, NotImplementedError):
        return _generic(wire)
