"""The platform's own test of a domain's records, read with its habits in mind.

`POST /accounts/{A}/whitelabel/domains` says, for each name of its template, what it expects and what it saw, and no
verdict. What it saw has lost the preference of an MX and the final dots, and has NAPTR fields in upper case; what it
expects is the template's raw text. So both are compared as far as they carry something, never as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.records import Key, key_to_text
from realmkit.errors import InputError
from realmkit.whitelabel.domains import rdata_of, txt_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.records import RRset, Type

_SPELLINGS = {"CNAM": "CNAME"}


class Opinion(Struct, frozen=True):
    """What the platform's test says of one name and type.

    Attributes:
        key: name and type.
        agrees: whether what it saw is what we want there.
        expects_ours: whether what it expects is; None where it expects something that can't be read.
        wanted: ours, as text.
        expected: the platform's, as it says it.
        seen: what it saw, as it says it.
    """

    key: Key
    agrees: bool
    expects_ours: bool | None
    wanted: tuple[str, ...]
    expected: tuple[str, ...]
    seen: tuple[str, ...]

    def findings(self) -> Iterator[Finding]:
        """What is to be said of it."""
        subject = key_to_text(self.key)
        if not self.agrees:
            nothing = "the platform's own test saw nothing, which is also what it says where nobody answered it"
            yield Finding(
                "WL12", "warning", subject,
                "the platform's own test sees something else than we want there" if self.seen else nothing,
                expected="; ".join(self.wanted) or "nothing", seen="; ".join(self.seen) or "nothing",
                mend="wait for its caches; if our own look is right and this stays, show it to who runs the platform",
            )  # fmt: skip
        if not self.expects_ours:
            yield Finding(
                "WL13", "notice", subject, "the platform's template expects something else than the brand's file wants",
                expected="; ".join(self.wanted) or "nothing", seen="; ".join(self.expected),
                mend="tell who runs the platform, so that its template is put right",
            )  # fmt: skip


def opinions(answer: Mapping[str, Any], wanted: Mapping[Key, RRset]) -> list[Opinion]:
    """Read the platform's answer and hold it against what we want.

    Raises:
        InputError: it has another shape.
    """
    found = []
    for kind_text, hosts in answer.items():
        if not isinstance(hosts, Mapping):
            raise InputError(f"what the platform says of its test is no test: {kind_text}")
        kind = rr.type_from_text(_SPELLINGS.get(kind_text.upper(), kind_text))
        for host, entry in hosts.items():
            if not isinstance(entry, Mapping):
                raise InputError(f"what the platform says of its test is no test: {kind_text}.{host}")
            found.append(_opinion((names.absolute("".join(host.split())), kind), entry, wanted))
    return found


def _opinion(key: Key, entry: Mapping[str, Any], wanted: Mapping[Key, RRset]) -> Opinion:
    rrset = wanted.get(key)
    ours = frozenset[object]() if rrset is None else frozenset(_essence(key[1], one) for one in rrset.rdata)
    expected, seen = _texts(entry.get("expected")), _texts(entry.get("actual"))
    theirs, saw = _read(key[1], expected), _read(key[1], seen)
    return Opinion(
        key,
        saw == ours,
        None if theirs is None else theirs == ours,
        () if rrset is None else tuple(sorted(rdata.to_text(key[1], one) for one in rrset.rdata)),
        expected,
        seen,
    )


def _texts(value: Any) -> tuple[str, ...]:
    """Texts, and texts in lists, as the platform's resolver gives the strings of a TXT record."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return ()
    return tuple("".join(map(str, one)) if isinstance(one, list | tuple) else str(one) for one in value)


def _read(kind: Type, texts: Sequence[str]) -> frozenset[object] | None:
    try:
        return frozenset(_essence(kind, octets) for text in texts for octets in _octets(kind, text))
    except InputError:
        return None


def _octets(kind: Type, text: str) -> frozenset[bytes]:
    if kind == rr.MX and len(text.split()) == 1:
        text = f"0 {text}"
    return rdata_of(kind, (text,))


def _essence(kind: Type, octets: bytes) -> object:
    """What is left of a record in the platform's words."""
    if kind == rr.MX:
        return octets[2:]
    if kind == rr.TXT:
        return txt_value(octets)
    return octets.upper() if kind == rr.NAPTR else octets
