"""Zone files as people write them, drawn at random, and other programs' reading of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import dns.rdata
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import strategies as st

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.zonefiles.zoneentries import Source
from tests.unit.make import ZONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from realmkit.dns.records import Key, RRset

APEX = "voice.example.com."
HEAD = """\
$TTL 3600
@ SOA ns1 hostmaster (
\t\t2026112201 ; serial
\t\t7200 900 1209600 300 )
@ NS ns1
ns1 A 192.0.2.53
"""

LABELS = st.sampled_from(
    [
        "a",
        "b",
        "Acme",
        "_sip._udp.acme",
        "_sips._tcp.acme",
        "*.acme",
        "x.y",
        r"dot\.ted",
        r"sp\032ace",
        r"\$cash",
        "in",
        "300",
    ]
)
TARGETS = st.sampled_from(["ns1", "Edge.example.net.", "@", ".", "_sip._udp.acme", "edge.voice.example.com.", r"d\.t"])
GAPS = st.sampled_from([" ", " ", "\t", "   ", " \t "])
TTLS = st.sampled_from(["", "", "300", "1h30m", "0", "3600", "86400", "2d"])
CLASSES = st.sampled_from(["", "IN", "IN", "in", "CLASS1"])
U16 = st.integers(0, 65535).map(str)
STRINGS = st.sampled_from(
    ['"S"', '"SIP+D2U"', '""', '"a b"', r'"q\"q"', '"x;y"', '"(z)"', r'"b\\s"', r'"\000\255"', "bare", r"e\;sc"]
)
REGEXPS = st.sampled_from(['""', '"!^.*$!sip:info@example.net!"', r'"!^(.*)$!sip:\\1;x=(y)!i"'])
ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "198.51.100.10", "255.255.255.255", "0.0.0.0"])
RDATA: dict[str, st.SearchStrategy[list[str]]] = {
    "A": st.tuples(ADDRESSES).map(list),
    "AAAA": st.sampled_from([["2001:DB8::1"], ["::"], ["2001:db8:0:0::0.0.0.5"]]),
    "MX": st.tuples(U16, TARGETS).map(list),
    "SRV": st.tuples(U16, U16, U16, TARGETS).map(list),
    "NAPTR": st.tuples(U16, U16, STRINGS, STRINGS, REGEXPS, TARGETS).map(list),
    "TXT": st.lists(STRINGS, min_size=1, max_size=3),
    "PTR": st.tuples(TARGETS).map(list),
    "CAA": st.tuples(st.sampled_from(["0", "128"]), st.just("issue"), STRINGS).map(list),
    "HTTPS": st.sampled_from([["1", ".", 'alpn="h2,h3"', "port=443"], ["0", "edge.example.net."]]),
    "TYPE65534": st.sampled_from([["\\#", "3", "aabb", "cc"], ["\\#", "0"]]),
}
KINDS = st.sampled_from([*RDATA, "A", "MX", "NAPTR", "SRV", "srv", "Naptr", "TXT"])


@st.composite
def record_lines(draw: st.DrawFn) -> str:
    """One record, on one line or on several in brackets, with or without owner, TTL, class and comment."""
    owner = draw(st.one_of(LABELS, LABELS, st.just(""), st.just("@"), LABELS.map(lambda label: f"{label}.{APEX}")))
    kind = draw(KINDS)
    middle = [draw(TTLS), draw(CLASSES)]
    if draw(st.booleans()):
        middle.reverse()
    words = [*filter(None, middle), kind, *draw(RDATA[kind.upper()])]
    gap = draw(GAPS)
    if draw(st.integers(0, 4)) == 0:
        cut = draw(st.integers(0, len(words) - 1))
        comment = draw(st.sampled_from(["", " ; inside (", ' ; "']))
        body = gap.join(words[:cut]) + f" ({comment}\n\t" + gap.join(words[cut:]) + f"{comment}\n  )"
    else:
        body = gap.join(words)
    return owner + gap + body.strip() + draw(st.sampled_from(["", "", " ", "\t", " ; note", ";note (", ' ; "']))


LINES = st.one_of(
    record_lines(),
    record_lines(),
    record_lines(),
    record_lines(),
    st.sampled_from(["", "   ", ";; a comment", "\t;; another ( one", ';; "']),
    st.sampled_from(
        ["$TTL 300", "$ttl 1d", "$TTL 0 ; none", "$ORIGIN sub", f"$ORIGIN {APEX}", "$ORIGIN voice.Example.COM."]
    ),
)


@st.composite
def zone_files(draw: st.DrawFn, head: str = HEAD) -> str:
    """A whole zone file: any line end, with or without a final one."""
    body = draw(st.lists(LINES, max_size=14))
    text = head + "\n".join(["@ TXT first", *body]) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", "\r\n") if draw(st.integers(0, 3)) == 0 else text


@st.composite
def broken_files(draw: st.DrawFn) -> str:
    """A zone file with slips of the keyboard in it, most of them wrong, some of them not."""
    text = draw(zone_files())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from([*'();"\\\r\n\t $@.A1\0\xe9', "IN ", "\n$", ""]))
            + text[at + draw(st.integers(0, 2)) :]
        )
    return text


def by_dnspython(text: str) -> dict[Key, RRset]:
    """What dnspython reads; a set with several TTLs has the lowest there, as here."""
    zone = dns.zone.from_text(text, origin=APEX, relativize=False)
    return {
        key: rr.RRset(*key, rdataset.ttl, frozenset(one.to_digestable() for one in rdataset))
        for name, rdataset in zone.iterate_rdatasets()
        for key in [(name.canonicalize().to_wire() or b"", int(rdataset.rdtype))]
    }


COMPILER = shutil.which("named-compilezone", path="/usr/bin:/usr/sbin:/bin:/sbin")
needs_named_compilezone = pytest.mark.skipif(COMPILER is None, reason="named-compilezone is not installed")


def by_named(file: Path, apex: str = "voice.example.com") -> set[str]:
    """What BIND reads: `owner ttl type rdata` of each record, in this project's spelling."""
    command = [str(COMPILER), "-i", "none", "-k", "ignore", "-n", "ignore", "-s", "full", "-o", "-", apex, file.name]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [re.split(r"[ \t]+", line, maxsplit=4) for line in done.stdout.splitlines()]
    return {
        line(names.from_text(o), int(t), rr.type_from_text(k), rdata.from_text(rr.type_from_text(k), r))
        for o, t, _, k, r in lines
    }


def line(owner: names.Name, ttl: int, kind: int, wire: bytes) -> str:
    """One record in this project's spelling."""
    return f"{names.to_text(owner)} {ttl} {rr.type_to_text(kind)} {rdata.to_text(kind, wire)}"


def lines_of(rrsets: Mapping[Key, RRset]) -> set[str]:
    """Every record in this project's spelling."""
    return {line(one.name, one.ttl, one.type, wire) for one in rrsets.values() for wire in one.rdata}


def source(text: str, path: str = "zone.db") -> Source:
    """A file of a zone."""
    return Source(path, text)


def files(**texts: str) -> Callable[[str, Source], Source]:
    """An `Include` that knows these files."""

    def include(path: str, _source: Source) -> Source:
        if path not in texts:
            raise FileNotFoundError(2, "No such file or directory")
        return Source(path, texts[path])

    return include


__all__ = [
    "APEX", "COMPILER", "HEAD", "ZONE", "broken_files", "by_dnspython", "by_named", "files", "line", "lines_of",
    "needs_named_compilezone", "record_lines", "source", "zone_files",
]  # fmt: skip
