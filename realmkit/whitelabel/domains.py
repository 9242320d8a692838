"""The records that the platform wants for a white-label domain: its JSON, read as RRsets.

`GET /accounts/{A}/whitelabel/domains?domain=...` gives `{TYPE: {host: {"mapping": [rdata], "name": words, "zone":
words}}}`, with `{{domain}}` replaced in the first place only. What can't be read as a record is a finding, never
left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.names import Name
from realmkit.dns.records import Key, RRset, Type, key_to_text
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK: Final = re.compile(r"\{\{\s*domain\s*\}\}")
_SPELLINGS: Final = {"CNAM": "CNAME"}  # the API's own documentation writes it so
_PIECE: Final = 255  # octets of one character string (RFC 1035 section 3.3)
# What people leave in a template that nobody filled in; names that the DNS itself reserves would catch test domains.
_PLACEHOLDERS: Final = frozenset({b"yourcompany", b"yourdomain", b"your-company", b"your-domain", b"changeme"})


class Row(Struct, frozen=True):
    """One host of the platform's answer.

    Attributes:
        type: RR type code.
        host: its name as text, `{{domain}}` replaced.
        mapping: each record's rdata as text, `{{domain}}` replaced.
        words: what the platform calls it.
    """

    type: Type
    host: str
    mapping: tuple[str, ...]
    words: str = ""


class Template(Struct, frozen=True):
    """The platform's answer for one domain.

    Attributes:
        domain: the domain.
        rows: what it wants there, in the order in which it came.
        source: where it comes from, in words.
    """

    domain: Name
    rows: tuple[Row, ...]
    source: str


class Read(Struct, frozen=True):
    """A template read as records.

    Attributes:
        rrsets: what could be read.
        findings: what could not (`WL01`), or lies outside the domain (`WL02`).
    """

    rrsets: dict[Key, RRset]
    findings: list[Finding]


def parse(data: Any, domain: Name, source: str) -> Template:
    """Read the decoded JSON, with or without the API's envelope around it.

    Args:
        data: what was decoded.
        domain: what `{{domain}}` stands for.
        source: where it comes from, for errors.

    Raises:
        InputError: it has another shape.
    """
    if isinstance(data, Mapping) and "data" in data and isinstance(data["data"], Mapping):
        data = data["data"]
    if not isinstance(data, Mapping):
        raise InputError(f"{source}: expected an object of record types, found {type(data).__name__}")
    text = names.to_text(domain)[:-1]
    rows = [row for kind, hosts in data.items() for row in _rows(kind, hosts, text, source)]
    if not rows:
        raise InputError(f"{source}: names no record at all", hint="ask who runs the platform for its record template")
    return Template(domain, tuple(rows), source)


def decode(octets: bytes, domain: Name, source: str) -> Template:
    """Read a saved answer. Raises InputError as `parse` does, and where it is no JSON."""
    try:
        data = msgspec.json.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{source}: no valid JSON: {error}") from error
    return parse(data, domain, source)


def encode(template: Template) -> bytes:
    """The JSON form of a template as it is kept; `decode` reads it back."""
    whole: dict[str, dict[str, Any]] = {}
    for row in template.rows:
        hosts = whole.setdefault(rr.type_to_text(row.type), {})
        hosts[row.host] = {"mapping": list(row.mapping), "name": row.words}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def read(template: Template, ttl: int) -> Read:
    """The template's records.

    Args:
        template: the platform's answer.
        ttl: of every record, in seconds.
    """
    rrsets: dict[Key, RRset] = {}
    found: list[Finding] = []
    for row in template.rows:
        try:
            rrset = _rrset(row, ttl)
        except InputError as error:
            found.append(_unreadable(row, error.message))
            continue
        if not names.is_under(rrset.name, template.domain):
            found.append(_outside(rrset, template.domain))
        elif rrset.key in rrsets:
            found.append(_unreadable(row, "the same name and type stand in the template twice"))
        else:
            rrsets[rrset.key] = rrset
    found.extend(_placeholders(rrsets))
    return Read(rrsets, found)


def rdata_of(kind: Type, texts: tuple[str, ...]) -> frozenset[bytes]:
    """Rdata as the platform and people write it: every name complete, a TXT with or without quotes.

    Raises:
        InputError: no rdata of that type, or two where there can be one.
    """
    if kind == rr.CNAME and len(texts) > 1:
        raise InputError(f"an alias leads to one name, not to {len(texts)} (RFC 2181 section 10.1)")
    return frozenset(_one(kind, text.strip()) for text in texts)


def txt(text: str) -> bytes:
    """One TXT record from a value of any length, cut into strings of at most 255 octets."""
    octets = text.encode()
    pieces = [octets[at : at + _PIECE] for at in range(0, len(octets), _PIECE)] or [b""]
    return b"".join(rdata.character_string(piece) for piece in pieces)


def txt_value(octets: bytes) -> str:
    """The whole value of a TXT record, its strings joined (RFC 7208 section 3.3)."""
    parts, at = [], 0
    while at < len(octets):
        parts.append(octets[at + 1 : at + 1 + octets[at]])
        at += 1 + octets[at]
    return b"".join(parts).decode("utf-8", "backslashreplace")


def _rows(kind: Any, hosts: Any, domain: str, source: str) -> Iterator[Row]:
    if not isinstance(kind, str) or not isinstance(hosts, Mapping):
        raise InputError(f"{source}: {kind}: expected an object of hosts")
    try:
        number = rr.type_from_text(_SPELLINGS.get(kind.upper(), kind))
    except InputError as error:
        raise InputError(f"{source}: {error.message}") from error
    for host, entry in hosts.items():
        mapping = entry.get("mapping") if isinstance(entry, Mapping) else None
        if not isinstance(mapping, list | tuple) or not mapping or not all(isinstance(one, str) for one in mapping):
            raise InputError(f"{source}: {kind}.{host}: expected `mapping`, a list of records as text")
        words = entry.get("name")
        yield Row(
            number,
            _filled("".join(str(host).split()), domain),
            tuple(_filled(one, domain) for one in mapping),
            words if isinstance(words, str) else "",
        )


def _filled(text: str, domain: str) -> str:
    return _MARK.sub(lambda _: domain, text)


def _rrset(row: Row, ttl: int) -> RRset:
    return RRset(names.absolute(row.host), row.type, ttl, rdata_of(row.type, row.mapping))


def _one(kind: Type, text: str) -> bytes:
    if kind == rr.TXT and not text.startswith('"'):
        return txt(text)
    return rdata.from_text(kind, text)


def _unreadable(row: Row, why: str) -> Finding:
    kind = rr.type_to_text(row.type)
    return Finding(
        "WL01", "error", f"{row.host.rstrip('.')}. {kind}", f"the platform's template holds no record there: {why}",
        seen="; ".join(row.mapping)[:200],
        mend="say under overrides: what stands there, and tell who runs the platform",
    )  # fmt: skip


def _outside(rrset: RRset, domain: Name) -> Finding:
    return Finding(
        "WL02", "warning", key_to_text(rrset.key),
        f"the platform's template wants a record outside {names.to_text(domain)}; it is left out",
        mend="tell who runs the platform: every name must end with {{domain}}",
    )  # fmt: skip


def _placeholders(rrsets: Mapping[Key, RRset]) -> Iterator[Finding]:
    for rrset in rrsets.values():
        for one in sorted(rrset.rdata):
            target = _target(rrset.type, one)
            if target and not _PLACEHOLDERS.isdisjoint(names.labels_of(target)):
                yield Finding(
                    "WL03", "error", key_to_text(rrset.key), "leads to a name that nobody filled in",
                    seen=names.to_text(target), mend="say under overrides: where it leads",
                )  # fmt: skip


def _target(kind: Type, octets: bytes) -> Name | None:
    """The name that a record leads to."""
    skip = {rr.CNAME: 0, rr.MX: 2, rr.SRV: 6}.get(kind)
    return None if skip is None else octets[skip:]
