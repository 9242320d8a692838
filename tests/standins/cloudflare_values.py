"""Records as the API takes and shows them, read and checked by dnspython: the provider's own table is not used here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.tokenizer

from tests.standins import cloudflare_words as words
from tests.standins.published import Served

# type -> (key in `data`, attribute of dnspython's rdata, how it stands in a zone file), in the order of a zone file
PARTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "SRV": (("priority", "priority", "n"), ("weight", "weight", "n"), ("port", "port", "n"), ("target", "target", "h")),
    "NAPTR": (
        ("order", "order", "n"), ("preference", "preference", "n"), ("flags", "flags", "q"),
        ("service", "service", "q"), ("regex", "regexp", "q"), ("replacement", "replacement", "d"),
    ),
    "CAA": (("flags", "flags", "n"), ("tag", "tag", "w"), ("value", "value", "q")),
    "SSHFP": (("algorithm", "algorithm", "n"), ("type", "fp_type", "n"), ("fingerprint", "fingerprint", "x")),
    "TLSA": (("usage", "usage", "n"), ("selector", "selector", "n"), ("matching_type", "mtype", "n"),
             ("certificate", "cert", "x")),
    "SMIMEA": (("usage", "usage", "n"), ("selector", "selector", "n"), ("matching_type", "mtype", "n"),
               ("certificate", "cert", "x")),
    "DS": (("key_tag", "key_tag", "n"), ("algorithm", "algorithm", "n"), ("digest_type", "digest_type", "n"),
           ("digest", "digest", "x")),
    "DNSKEY": (("flags", "flags", "n"), ("protocol", "protocol", "n"), ("algorithm", "algorithm", "n"),
               ("public_key", "key", "r")),
    "CERT": (("type", "certificate_type", "n"), ("key_tag", "key_tag", "n"), ("algorithm", "algorithm", "n"),
             ("certificate", "certificate", "r")),
    "HTTPS": (("priority", "priority", "n"), ("target", "target", "d"), ("value", "", "r")),
    "SVCB": (("priority", "priority", "n"), ("target", "target", "d"), ("value", "", "r")),
    "URI": (("weight", "weight", "n"), ("target", "target", "q")),
}  # fmt: skip
TEXT = ("A", "AAAA", "CNAME", "NS", "PTR", "MX", "TXT", "OPENPGPKEY", "LOC")
PROXIABLE = ("A", "AAAA", "CNAME")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\Z")


@dataclass(frozen=True)
class Value:
    """The rdata of one record, and the fields that say it in JSON."""

    rdata: dns.rdata.Rdata
    fields: dict[str, Any]


def owner(text: Any, zone: str) -> str:
    """The name of a record, complete, in lower case; a name outside the zone is completed with the zone's."""
    if not isinstance(text, str) or not text:
        raise words.bad_name()
    name = text.lower().removesuffix(".")
    if name == "@":
        name = zone
    if name != zone and not name.endswith("." + zone):
        name = f"{name}.{zone}"
    first, *rest = name.split(".")
    if not ((first == "*" or LABEL.match(first)) and all(LABEL.match(label) for label in rest)):
        raise words.bad_name()
    try:
        dns.name.from_text(name + ".")
    except dns.exception.DNSException:
        raise words.bad_name() from None
    return name


def value_of(kind: str, body: dict[str, Any]) -> Value:
    """The rdata that a request says; refused where it is none."""
    if kind not in PARTS and kind not in TEXT:
        raise words.not_by_type(f"unknown type {kind!r}")
    try:
        rdata = _txt(body["content"]) if kind == "TXT" else dns.rdata.from_text("IN", kind, _zone_text(kind, body))
    except (dns.exception.DNSException, KeyError, TypeError, ValueError, AttributeError):
        raise words.bad_content(kind) from None
    if len(rdata.to_wire() or b"") > 4096 - 10:
        raise words.too_long()
    return Value(rdata, fields_of(kind, rdata))


def from_text(kind: str, text: str) -> Value:
    """The same from a line of a zone file, for zones that are loaded."""
    rdata = dns.rdata.from_text("IN", kind, text)
    return Value(rdata, fields_of(kind, rdata))


def _zone_text(kind: str, body: dict[str, Any]) -> str:
    """The rdata of a request as a zone file says it."""
    if kind in ("CNAME", "NS", "PTR"):
        return _host(body["content"])
    if kind == "MX":
        return f"{_count(body['priority'])} {_host(body['content'])}"
    if kind in TEXT:
        return str(body["content"])
    head = f"{_count(body['priority'])} " if kind == "URI" else ""
    data = body["data"]
    return head + " ".join(_SPELL[style](data[key]) for key, _, style in PARTS[kind])


def _count(value: Any) -> str:
    if isinstance(value, bool) or value != int(value) or not 0 <= value < 65536:
        raise ValueError(value)
    return str(int(value))


def _host(value: str) -> str:
    name = value.removesuffix(".")
    if name and not all(LABEL.match(label) for label in name.lower().split(".")):
        raise ValueError(value)
    return name + "."


def _quoted(value: str) -> str:
    if not value.isascii() or not (value == "" or value.isprintable()):
        raise ValueError(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_SPELL: dict[str, Callable[[Any], str]] = {
    "n": _count,
    "h": _host,
    "d": _host,
    "q": _quoted,
    "w": str,
    "x": str,
    "r": str,
}


def _txt(content: str) -> dns.rdata.Rdata:
    """SDK 5.9.0, TXTRecordParam: quoted strings, split at 255; docs, "TXT": quotes are added where there are none."""
    strings = [content.encode()]
    if content.startswith('"'):
        tokens = dns.tokenizer.Tokenizer(content).get_remaining()
        if not all(token.is_quoted_string() for token in tokens):
            raise ValueError(content)
        strings = [token.unescape_to_bytes().value for token in tokens]
    elif '"' in content:
        raise ValueError(content)
    pieces = [string[at : at + 255] for string in strings for at in range(0, max(1, len(string)), 255)]
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, pieces)


def fields_of(kind: str, rdata: Any) -> dict[str, Any]:
    """`content`, and `data` and `priority` where the type has them."""
    text = rdata.to_text()
    if kind == "MX":
        return {"content": _dotless(rdata.exchange), "priority": rdata.preference}
    if kind in TEXT:
        return {"content": _dotless(rdata.target) if kind in ("CNAME", "NS", "PTR") else text}
    data = {key: _shown(rdata, attribute, style, text) for key, attribute, style in PARTS[kind]}
    found: dict[str, Any] = {"content": text, "data": data}
    if kind == "SRV":  # docs, "SRV": `"content": "5 5223 server.example.com", "priority": 10`
        found["content"] = f"{data['weight']} {data['port']} {data['target']}"
    if kind in ("SRV", "URI"):
        found["priority"] = rdata.priority
    return found


def _shown(rdata: Any, attribute: str, style: str, text: str) -> Any:
    if style == "n":
        return int(getattr(rdata, attribute))
    if style == "h":
        return _dotless(getattr(rdata, attribute))
    if style == "d":  # octodns-cloudflare 1.2.0 shows NAPTR with `"replacement": "_sip._tls.unit.tests."`
        return getattr(rdata, attribute).to_text()
    if style == "x":
        return getattr(rdata, attribute).hex()
    if style == "r":
        before = {"HTTPS": 2, "SVCB": 2, "DNSKEY": 3, "CERT": 3}[dns.rdatatype.to_text(rdata.rdtype)]
        return "".join(text.split(" ", before)[before:])
    value = getattr(rdata, attribute)
    return value.decode("ascii") if isinstance(value, bytes) else value


def _dotless(name: dns.name.Name) -> str:
    return name.to_text().removesuffix(".") or "."


def served(rows: list[tuple[dict[str, Any], dns.rdata.Rdata]], zone: str) -> list[Served]:
    """What Cloudflare's name servers answer from these records: RRsets with their lowest TTL, Auto as 300.

    The addresses in place of proxied names are of Cloudflare's published ranges.
    """
    texts: dict[tuple[str, str], dict[str, None]] = {}
    ttls: dict[tuple[str, str], int] = {}

    def add(name: str, kind: str, ttl: int, text: str) -> None:
        texts.setdefault((name, kind), {})[text] = None
        ttls[name, kind] = min(ttl, ttls.get((name, kind), ttl))

    for record, rdata in rows:
        ttl = 300 if record["ttl"] == 1 else int(record["ttl"])
        flattened = record["type"] == "CNAME" and (record["name"] == zone or record["settings"].get("flatten_cname"))
        if record["proxied"] or flattened:
            add(record["name"], "A", 300, "104.16.0.1")
            add(record["name"], "AAAA", 300, "2606:4700::6810:1")
        else:
            add(record["name"], record["type"], ttl, rdata.to_text())
    return [Served(name + ".", ttls[name, kind], kind, tuple(found)) for (name, kind), found in texts.items()]
