"""Wildcards as every server serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import rdata, wire
from realmkit.dns.findings import Finding
from realmkit.dns.records import key_to_text
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import untold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.health.seen.realm import Sight


@check(ZoneSeen, "WLD05", "warning", "a wildcard is not answered as it should be", source="RFC 4592 section 3.3.1")
def wildcards(seen: ZoneSeen) -> Iterator[Finding]:
    """A name that nobody has is answered by the wildcard, on every server.

    Realms of a pool have no records of their own: the wildcard is all that they have. It is lost when somebody deletes
    it, when one server has an older copy, when a backend takes `*` for a letter, or when the parent of the wildcard is
    delegated away. Phones of a pool whose wildcard is gone on one of three servers fail one lookup in three.

    A random label below each wanted wildcard is asked of every server; it must be answered with the wildcard's
    records, by NAPTR and MX as by A. No resolver is asked, so none remembers that name.

    Mend: `realmkit dns apply` puts the wildcard back; where one server alone lacks it, see CON01.

    Can't see: whether a record below the realm hides the wildcard from one name (WLD01 does), nor DNSSEC's proof that
    no nearer name exists (SEC01).
    """
    for wanted in seen.task.wildcards:
        subject = key_to_text(wanted.key)
        for one in seen.servers:
            sight = one.wildcards.get(wanted.key)
            if sight is None or sight.state in ("unknown", "lame"):
                why = sight.detail if sight is not None else "it was not asked"
                yield untold("WLD05", subject, "whether the wildcard is there", why, one.server)
                continue
            if sight.state == "present" and sight.rrset is not None and sight.rrset.rdata == wanted.rdata:
                continue
            text = "a name below the wildcard is not answered with the wildcard's records"
            mend = "realmkit dns apply, or let this server transfer the zone again"
            expected = _rdata(wanted.type, wanted.rdata)
            yield Finding("WLD05", "warning", subject, text, expected, _came(sight), mend, str(one.server))


def _came(sight: Sight) -> str:
    if sight.rrset is None:
        return f"nothing ({wire.rcode_to_text(sight.rcode)})"
    text = _rdata(sight.rrset.type, sight.rrset.rdata)
    return text if sight.state == "present" else f"{sight.state}: {text}"


def _rdata(kind: int, octets: frozenset[bytes]) -> str:
    return " | ".join(sorted(rdata.to_text(kind, one) for one in octets))
