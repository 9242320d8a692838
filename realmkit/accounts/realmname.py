"""What can be said against a name as an account's SIP realm, before anybody's phones depend on it.

The platform takes nearly anything (`[.\\w-]`, 4 to 253 characters) and checks neither host name rules nor case. Phones,
fax mail and name servers do: RFC 1123 section 2.1 (letters, digits, hyphens), RFC 1035 section 2.3.4 (63 octets a
label).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_EDIT_BOX: Final = 32  # characters that the portal's account manager lets anybody type
_LONGEST: Final = 253


class Remark(Struct, frozen=True):
    """Something that speaks against a realm.

    Attributes:
        level: an `error` is never sent to the platform; a `warning` is.
        text: what it is, as it reads after the realm.
        hint: what to do.
    """

    level: Literal["error", "warning"]
    text: str
    hint: str


def remarks(realm: str, zones: Collection[str]) -> list[Remark]:
    """What speaks against a realm: one error, or any number of warnings.

    Args:
        realm: as written.
        zones: the zones that the project may change; their names, with or without final dot.
    """
    wrong = _wrong(realm)
    if wrong is not None:
        return [Remark("error", *wrong)]
    return [Remark("warning", *one) for one in _unwise(realm, zones)]


def _wrong(realm: str) -> tuple[str, str] | None:
    if _is_address(realm):
        return "is an address", "the platform's registrar ignores realms that are: take a name in a zone of yours"
    return _bad_form(realm) or _bad_labels(realm.split("."))


def _bad_form(realm: str) -> tuple[str, str] | None:
    if realm.endswith("."):
        return "ends in a dot", "write it without"
    if len(realm) > _LONGEST:
        return f"has {len(realm)} characters; {_LONGEST} is the most", "shorten it"
    if realm != realm.lower():
        lower = realm.lower()
        return "has capital letters", f"write {lower}: phones with a realm of their own are looked up in lower case"
    return None


def _bad_labels(labels: list[str]) -> tuple[str, str] | None:
    for label in labels:
        if len(label) > 63 or not _LABEL.fullmatch(label):
            return _bad_label(label)
    if len(labels) < 2:
        return "is one word", "a realm is a name in a zone, such as acme.voice.example.com"
    if labels[-1].isdecimal():
        return "ends in a number", "no zone does: phones take it for an address"
    return None


def _bad_label(label: str) -> tuple[str, str]:
    if not label:
        return "has an empty label", "two dots in a row, or one in front: remove it"
    if len(label) > 63:
        return f"has a label of {len(label)} characters; 63 is the most", "shorten it"
    if "_" in label:
        return f"has an underscore in {label!r}", f"no host name has: write {label.replace('_', '-').strip('-')!r}"
    return f"has {label!r} as a label", "a label is of letters a to z, digits and hyphens, with a hyphen at neither end"


def _unwise(realm: str, zones: Collection[str]) -> Iterator[tuple[str, str]]:
    if not any(_is_below(realm, zone.rstrip(".").lower()) for zone in zones):
        known = ", ".join(sorted(zone.rstrip(".") for zone in zones)) or "none"
        yield (
            "lies in no zone of this project",
            f"its records and fax mail are then somebody else's to publish; the zones are: {known}",
        )
    if len(realm) > _EDIT_BOX:
        yield (
            f"has {len(realm)} characters; the portal's edit box takes {_EDIT_BOX}",
            "a shorter one can be typed into phones as well",
        )


def _is_below(realm: str, zone: str) -> bool:
    return realm.endswith("." + zone)


def _is_address(realm: str) -> bool:
    try:
        ipaddress.ip_address(realm.strip("[]"))
    except ValueError:
        return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)*", realm, re.ASCII))
    return True
