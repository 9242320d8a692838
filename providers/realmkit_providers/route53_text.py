r"""Names and values as Route 53 writes them: like a zone file, but with octal escapes.

A zone file writes an odd octet as a backslash and three decimal digits (RFC 1035 section 5.1), Route 53 with three
octal ones: `\052` is an asterisk here and a `4` there. Sources, looked at on 2026-11-22:

- Names: Developer Guide, "DNS domain name format". Answers escape everything but `a-z 0-9 - _` and the dots between
  labels. Requests may escape anything, must escape 000-040, 177-377 and a dot inside a label; a wildcard is `*`.
- Strings: Developer Guide, "Supported DNS record types", TXT: octal for 000-040 and 177-377, a space excepted; a quote
  stands as `\"`. Its NAPTR examples write a backslash as `\\`, and so does this module.
- Names inside values: the guide names no rule of its own. Here they are written as owner names are (not verified
  against the service) and read either way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from realmkit.dns import names, rdata
from realmkit.dns.rdata import BadRdataError

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type

_PLAIN: Final = re.compile(r"[a-z0-9_.-]*\Z")
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.?))", re.DOTALL)
_QUOTED_OR_NOT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[^"\\]|\\.)+')
_NAME_ESCAPE: Final = re.compile(r"\\(?:([0-9]{3})|(.))")


def name_to_text(name: Name) -> str:
    r"""A name for a request: `*.acme.example.`, `dot\056.acme.example.`."""
    text = names.to_text(name)
    if _PLAIN.match(text):
        return text
    labels = names.labels_of(name)
    wild = names.is_wildcard(name)
    return ("*." if wild else "") + "".join(f"{_label(label)}." for label in labels[wild:])


def name_from_text(text: str) -> Name:
    r"""The name that an answer shows, with or without its last dot: `\052.acme.example.`.

    Raises:
        BadNameError: it is none.
    """
    return names.absolute(_to_decimal(text) if "\\" in text else text)


def value_to_text(kind: Type, wire: bytes) -> str:
    """Rdata for a `Value` element.

    Raises:
        BadRdataError: it can't be said, for Route 53 has no generic form (RFC 3597).
    """
    text = rdata.to_text(kind, wire)
    if "\\" not in text:
        return text
    if text.startswith(r"\#"):
        raise BadRdataError(f"Route 53 has no way to write {text!r}")
    return "".join([_string(part) if part[0] == '"' else _words(part) for part in _QUOTED_OR_NOT.findall(text)])


def value_from_text(kind: Type, text: str) -> bytes:
    """The rdata that a `Value` element shows; names in it are complete, with or without their last dot.

    Raises:
        InputError: it is no rdata of that type.
    """
    return rdata.from_text(kind, _to_decimal(text) if "\\" in text else text)


def _label(label: bytes) -> str:
    return "".join(chr(octet) if _PLAIN.match(chr(octet)) and octet != 0x2E else f"\\{octet:03o}" for octet in label)


def _to_decimal(text: str) -> str:
    """The same text with the escapes of zone files."""
    return _ESCAPE.sub(_one_to_decimal, text)


def _one_to_decimal(match: re.Match[str]) -> str:
    octal, other = match.groups()
    if octal is not None:
        return f"\\{int(octal, 8):03d}"
    if not other or other.isdigit():
        raise BadRdataError(f"{match.string[match.start() : match.start() + 4]!r} is no octal escape")
    return match.group()


def _string(quoted: str) -> str:
    """A quoted string of a zone file, its decimal escapes turned into octal ones."""
    return re.sub(r"\\(?:([0-9]{3})|.)", lambda one: _octal(one[1]) if one[1] else one[0], quoted)


def _words(text: str) -> str:
    """What stands outside of quotes: numbers and names; in names all that is escaped becomes octal."""
    return _NAME_ESCAPE.sub(lambda one: _octal(one[1]) if one[1] else f"\\{ord(one[2]):03o}", text)


def _octal(decimal: str) -> str:
    return f"\\{int(decimal):03o}"
