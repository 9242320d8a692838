"""Judging CAA: whether the CAs that are used may issue for the names that need certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns.findings import Finding
from realmkit.dns.names import to_text
from realmkit.health.check import check
from realmkit.health.seen.caa import CaaSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realmkit.dns.records import RRset

_CRITICAL: Final = 0x80  # RFC 8659 section 4.1
_KNOWN: Final = frozenset({"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"})


class _Property(NamedTuple):
    """One CAA record, read: its flags, tag in lower case, value."""

    flags: int
    tag: str
    value: str


@check(CaaSeen, "SEC04", "warning, unknown", "CAA forbids the CA that is used", source="RFC 8659 section 4")
def caa(seen: CaaSeen) -> Iterator[Finding]:
    """The CAA records that count for a portal or SIPS name do not allow the CA that the configuration names.

    The certificate that is there stays valid, and nothing breaks today. The next renewal fails: browsers then refuse
    the portal and phones refuse TLS, at night, some weeks from now.

    The set that counts is the one at the name, or else at the nearest name above it, wherever an alias leads. For
    `*.name` the `issuewild` records count where there are any. No CAA at all lets every CA issue, and is no finding.

    Mend: add the CA at the name in `seen` (`0 issue "letsencrypt.org"`), or take the set away. A CAA record below a
    realm that a wildcard serves ends that wildcard for the realm: put it at the zone's apex.

    It is judged only for CAs that the configuration names. Parameters (`accounturi`, `validationmethods`) are not
    looked at. A CA refuses when any server fails; here the first of a zone that answers is believed.
    """
    task = seen.task
    subject = ("*." if task.wildcard else "") + to_text(task.name)
    if not task.issuers or seen.state == "absent":
        return
    if seen.state == "unknown" or seen.rrset is None:
        words = f"which CAs may issue for it could not be told: CAA of {to_text(seen.at)}: {seen.detail}"
        yield Finding("SEC04", "unknown", subject, words)
        return
    properties = _read(seen.rrset)
    odd = sorted({one.tag for one in properties if one.flags & _CRITICAL and one.tag not in _KNOWN})
    allowed = _allowed(properties, wildcard=task.wildcard)
    refused = [] if allowed is None else [one for one in task.issuers if one.lower().rstrip(".") not in allowed]
    if odd or refused:
        words = f"CAA forbids {', '.join(refused)} to issue for it" if refused else f"no CA knows the critical {odd[0]}"
        yield Finding(
            "SEC04", "warning", subject, words,
            expected=", ".join(f'issue "{one}"' for one in task.issuers),
            seen=f"{to_text(seen.at)} has {_shown(properties)}", mend=f"edit the CAA set at {to_text(seen.at)}",
        )  # fmt: skip


def _read(rrset: RRset) -> list[_Property]:
    found = []
    for rdata in sorted(rrset.rdata):
        end = 2 + rdata[1]
        tag, value = rdata[2:end].decode("ascii", "replace"), rdata[end:].decode("ascii", "replace")
        found.append(_Property(rdata[0], tag.lower(), value))
    return found


def _allowed(properties: Iterable[_Property], *, wildcard: bool) -> frozenset[str] | None:
    """The CAs that may issue; None where the set does not limit it (RFC 8659 sections 4.2 and 4.3)."""
    by_tag: dict[str, list[str]] = {"issue": [], "issuewild": []}
    for one in properties:
        if one.tag in by_tag:
            by_tag[one.tag].append(one.value.partition(";")[0].strip().lower().rstrip("."))
    values = (wildcard and by_tag["issuewild"]) or by_tag["issue"]
    return frozenset(values) - {""} if values else None


def _shown(properties: Iterable[_Property]) -> str:
    return ", ".join(f'{one.tag} "{one.value}"' for one in properties)
