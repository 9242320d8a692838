"""Records as Cloudflare's API says them, and as realmkit holds them: one table for both directions.

An A record is `{"content": "192.0.2.1"}`, an MX record `{"priority": 10, "content": "mail.example"}`, an SRV record
`{"data": {"priority": 10, "weight": 5, "port": 5060, "target": "sip.example"}}`. The field names are those of the
SDK's request types (`cloudflare.types.dns.*_record_param`, SDK 5.9.0). Names have no final dot, but for NAPTR and SVCB,
where octodns-cloudflare 1.2.0 sends one and its samples show one; with or without, it is read. Numbers may come back as
floats. Text in `data` is taken as it is, with no escapes of a zone file [the last is not verified: where `content` says
something else, the record counts as unread].
"""

from __future__ import annotations

import base64
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realmkit.dns.records import Type

CERT, SSHFP, TLSA, SMIMEA, OPENPGPKEY, SVCB, HTTPS, URI = 37, 44, 52, 53, 61, 64, 65, 256
AUTOMATIC: Final = 1  # a TTL of 1 means that Cloudflare chooses
AUTOMATIC_TTL: Final = 300  # and it chooses this (developers.cloudflare.com, "Time to Live (TTL)", 2026-11-25)


class UnsaidError(InputError):
    """A record that one side has can't be said in the words of the other."""


class ApiRecord(Struct, frozen=True):
    """One record as the API shows it; what realmkit has no use for is left out.

    Attributes:
        id: by which a batch names it.
        name: without final dot.
        type: a mnemonic.
        ttl: seconds, or 1 for automatic.
        content: the rdata as text, for all types.
        data: the rdata's fields, for the types that have them.
        priority: of MX and URI; repeated for SRV.
        proxied: what is served is an address of Cloudflare's.
        comment: what people, and realmkit, wrote beside it.
        settings: `flatten_cname` among others.
    """

    id: str
    name: str
    type: str
    ttl: float = AUTOMATIC
    content: str | None = None
    data: dict[str, Any] | None = None
    priority: float | None = None
    proxied: bool | None = None
    comment: str | None = None
    settings: dict[str, Any] | None = None


class Field(NamedTuple):
    """One field of a type's rdata.

    Attributes:
        name: its key in the JSON object.
        form: how it is spelt, see `_FORMS`.
        inside: whether it stands in `data`; otherwise beside `name` and `type`.
    """

    name: str
    form: str
    inside: bool = True


def _content(form: str) -> tuple[Field, ...]:
    return (Field("content", form, inside=False),)


_CERTIFICATE: Final = (
    Field("usage", "u8"), Field("selector", "u8"), Field("matching_type", "u8"), Field("certificate", "hex"),
)  # fmt: skip
_SERVICE: Final = (Field("priority", "u16"), Field("target", "cased"), Field("value", "params"))

# Every type that can be written, with its rdata from first to last octet.
FIELDS: Final[Mapping[Type, tuple[Field, ...]]] = MappingProxyType({
    rr.A: _content("ipv4"),
    rr.AAAA: _content("ipv6"),
    rr.NS: _content("name"),
    rr.CNAME: _content("name"),
    rr.PTR: _content("name"),
    rr.TXT: _content("strings"),
    OPENPGPKEY: _content("base64"),
    rr.MX: (Field("priority", "u16", inside=False), Field("content", "name", inside=False)),
    rr.SRV: (Field("priority", "u16"), Field("weight", "u16"), Field("port", "u16"), Field("target", "name")),
    rr.NAPTR: (
        Field("order", "u16"), Field("preference", "u16"), Field("flags", "string"), Field("service", "string"),
        Field("regex", "string"), Field("replacement", "dotted"),
    ),
    rr.CAA: (Field("flags", "u8"), Field("tag", "string"), Field("value", "rest")),
    rr.DS: (Field("key_tag", "u16"), Field("algorithm", "u8"), Field("digest_type", "u8"), Field("digest", "hex")),
    rr.DNSKEY: (
        Field("flags", "u16"), Field("protocol", "u8"), Field("algorithm", "u8"), Field("public_key", "base64"),
    ),
    CERT: (Field("type", "u16"), Field("key_tag", "u16"), Field("algorithm", "u8"), Field("certificate", "base64")),
    SSHFP: (Field("algorithm", "u8"), Field("type", "u8"), Field("fingerprint", "hex")),
    TLSA: _CERTIFICATE,
    SMIMEA: _CERTIFICATE,
    SVCB: _SERVICE,
    HTTPS: _SERVICE,
    URI: (Field("priority", "u16", inside=False), Field("weight", "u16"), Field("target", "rest")),
})  # fmt: skip


def to_json(kind: Type, wire: bytes) -> dict[str, Any]:
    """The fields of a record that say its rdata, beside `name`, `type` and `ttl`.

    Args:
        kind: RR type code.
        wire: canonical rdata.

    Raises:
        UnsaidError: no such type at Cloudflare, or rdata that is none or that JSON can't carry.
    """
    fields = FIELDS.get(kind)
    if fields is None:
        raise UnsaidError(f"Cloudflare can't hold {rr.type_to_text(kind)} records")
    said: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    offset = 0
    try:
        for field in fields:
            value, offset = _FORMS[field.form].show(wire, offset)
            (inside if field.inside else said)[field.name] = value
    except UnsaidError as error:
        raise UnsaidError(f"{rr.type_to_text(kind)} {rdata.to_text(kind, wire)}: {error.message}") from error
    except (IndexError, ValueError):
        offset = -1
    if offset != len(wire):
        raise UnsaidError(f"{rr.type_to_text(kind)} {rdata.to_text(kind, wire)}: it is no rdata of that type")
    return said | {"data": inside} if inside else said


def from_json(kind: Type, record: ApiRecord) -> bytes:
    """The canonical rdata of a record that the API shows.

    Raises:
        InputError: it can't be read, or `data` and `content` say different things.
    """
    fields = FIELDS.get(kind)
    if fields is None or (record.data is None and any(field.inside for field in fields)):
        return _from_content(kind, record)
    data = record.data or {}
    wire = b""
    doubtful = False
    for field in fields:
        value = None if field.inside else getattr(record, field.name)
        value = data.get(field.name) if value is None else value
        if value is None:
            raise UnsaidError(f"its {field.name} is missing")
        try:
            wire += _FORMS[field.form].read(value)
        except ValueError as error:
            raise UnsaidError(f"its {field.name}: {error}") from error
        doubtful = doubtful or (field.form in ("string", "rest") and "\\" in value)
    if doubtful:
        _compare(kind, record, wire)
    return wire


def _from_content(kind: Type, record: ApiRecord) -> bytes:
    """Rdata from its text; names in it are complete without their final dot."""
    if not record.content:
        raise UnsaidError("it has no content")
    text = record.content
    if kind == rr.SRV and record.priority is not None and len(text.split()) == 3:
        text = f"{int(record.priority)} {text}"  # a form of the past: developers.cloudflare.com, "SRV", 2026-11-25
    return rdata.from_text(kind, text)


def _compare(kind: Type, record: ApiRecord, wire: bytes) -> None:
    """Raise when the text form, where it can be read, is not what the fields say."""
    try:
        other = _from_content(kind, record)
    except InputError:
        return
    if other != wire:
        raise UnsaidError(f"its data and its content ({record.content}) say different things")


# --- the forms --------------------------------------------------------------------------------------------------


class _Form(NamedTuple):
    """How one field is read from JSON to octets, and shown from `wire` at an offset, with where it ends.

    Both raise ValueError or IndexError.
    """

    read: Callable[[Any], bytes]
    show: Callable[[bytes, int], tuple[Any, int]]


def _number(width: int) -> _Form:
    def read(value: Any) -> bytes:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{value!r} is no whole number")  # noqa: TRY004 - what comes from outside is a ValueError
        try:
            return value.to_bytes(width, "big")
        except OverflowError:
            raise ValueError(f"{value} does not fit into {8 * width} bits") from None

    def show(wire: bytes, offset: int) -> tuple[int, int]:
        if offset + width > len(wire):
            raise IndexError
        return int.from_bytes(wire[offset : offset + width], "big"), offset + width

    return _Form(read, show)


def _show_name(wire: bytes, offset: int) -> tuple[str, int]:
    end = rdata.name_end(wire, offset)
    return names.to_text(wire[offset:end])[:-1] or ".", end


def _show_dotted(wire: bytes, offset: int) -> tuple[str, int]:
    end = rdata.name_end(wire, offset)
    return names.to_text(wire[offset:end]), end


def _read_name(value: Any) -> bytes:
    return names.from_text(_text(value) or ".")


def _read_cased(value: Any) -> bytes:
    """A name whose case counts (RFC 9460 is not among the types of RFC 4034 section 6.2)."""
    text = _text(value) or "."
    return rdata.from_text(HTTPS, f"1 {text if text.endswith('.') else text + '.'}")[2:]


def _show_string(wire: bytes, offset: int) -> tuple[str, int]:
    end = offset + 1 + wire[offset]
    if end > len(wire):
        raise IndexError
    return _printable(wire[offset + 1 : end]), end


def _read_params(value: Any) -> bytes:
    """Service parameters (RFC 9460 section 2.1): what follows priority 1 and the root as target."""
    return rdata.from_text(HTTPS, f"1 . {_text(value)}")[3:]


def _show_params(wire: bytes, offset: int) -> tuple[str, int]:
    text = rdata.to_text(HTTPS, b"\0\1\0" + wire[offset:])
    if not text.startswith("1 ."):
        raise ValueError("no service parameters")
    return text[3:].lstrip(), len(wire)


def _show_base64(wire: bytes, offset: int) -> tuple[str, int]:
    return base64.b64encode(wire[offset:]).decode("ascii"), len(wire)


def _show_address(length: int, kind: Type) -> Callable[[bytes, int], tuple[str, int]]:
    def show(wire: bytes, offset: int) -> tuple[str, int]:
        if len(wire) != length:
            raise IndexError
        return rdata.to_text(kind, wire), offset + length

    return show


def _show_strings(wire: bytes, _offset: int) -> tuple[str, int]:
    text = rdata.to_text(rr.TXT, wire)
    if text.startswith("\\#"):
        raise ValueError("no character strings")
    return text, len(wire)


def _read_strings(value: Any) -> bytes:
    """Quoted character strings, or text without quotes as older records have it; both are cut at 255 octets.

    (SDK 5.9.0, `TXTRecordParam.content`: "Strings exceeding this allowed maximum length are automatically split".)
    """
    text = _text(value)
    try:
        tokens = rdata.tokenize(text)
    except rdata.BadRdataError:
        tokens = []
    if tokens and all(token.quoted for token in tokens):
        strings = [_unescaped(token.text) for token in tokens]
    else:
        strings = [text.encode("utf-8")]
    return b"".join(rdata.character_string(piece) for string in strings for piece in _pieces(string))


_ESCAPE: Final = re.compile(rb"\\(?:([0-9]{3})|(.))", re.DOTALL)


def _unescaped(text: str) -> bytes:
    """The octets of a quoted string (RFC 1035 section 5.1)."""

    def octet(match: re.Match[bytes]) -> bytes:
        return match[2] if match[1] is None else int(match[1]).to_bytes(1, "big")

    try:
        return _ESCAPE.sub(octet, text.encode("utf-8"))
    except OverflowError:
        raise ValueError(f"{text!r}: an escape beyond \\255") from None


def _pieces(string: bytes) -> list[bytes]:
    return [string[at : at + 255] for at in range(0, len(string), 255)] or [b""]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - as above
    return value


def _printable(octets: bytes) -> str:
    if not all(0x20 <= octet < 0x7F for octet in octets):
        raise UnsaidError("Cloudflare's fields hold printable ASCII only")
    return octets.decode("ascii")


_FORMS: Final[Mapping[str, _Form]] = MappingProxyType({
    "ipv4": _Form(lambda value: rdata.ipv4(_text(value)), _show_address(4, rr.A)),
    "ipv6": _Form(lambda value: rdata.ipv6(_text(value)), _show_address(16, rr.AAAA)),
    "name": _Form(_read_name, _show_name),
    "dotted": _Form(_read_name, _show_dotted),
    "cased": _Form(_read_cased, _show_dotted),
    "u8": _number(1),
    "u16": _number(2),
    "string": _Form(lambda value: rdata.character_string(_text(value).encode("utf-8")), _show_string),
    "strings": _Form(_read_strings, _show_strings),
    "rest": _Form(lambda value: _text(value).encode("utf-8"), lambda wire, at: (_printable(wire[at:]), len(wire))),
    "hex": _Form(lambda value: bytes.fromhex(_text(value)), lambda wire, at: (wire[at:].hex(), len(wire))),
    "base64": _Form(lambda value: base64.b64decode(_text(value), validate=False), _show_base64),
    "params": _Form(_read_params, _show_params),
})  # fmt: skip
