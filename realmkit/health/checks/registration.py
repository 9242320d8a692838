"""Are the domains still ours, and will they be next month?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.registration import RegistrationSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Level

SOON: Final = timedelta(days=30)
_HOLDS: Final = ("client hold", "server hold", "pending delete", "redemption period")


@check(RegistrationSeen, "DEL10", "error, warning, unknown", "a domain runs out, or its registry holds it back",
       source="RFC 9083 sections 4.5 and 4.6, RFC 8056")  # fmt: skip
def zone_registration(seen: RegistrationSeen) -> Iterator[Finding]:
    """The domain that a zone hangs on ends within thirty days, has ended, or is held back by registrar or registry.

    An unpaid domain takes everything with it: phones, portal, mail, all zones below it. `client hold` and
    `server hold` mean that the delegation is taken out of the parent zone already; `redemption period` and
    `pending delete` are the weeks before anybody may buy it. Registries are asked by RDAP, from the zone's own name
    upward; the first name that a registry knows is the registered domain.

    Mend: renew at the registrar, and switch automatic renewal on; after a hold, ask the registrar why (unpaid,
    unconfirmed contact address, abuse).

    What it can't see: whether automatic renewal is on, so that an end within thirty days may be harmless. Registries
    without RDAP, or that name no end (several countries'), are unknown; so is one that answers 429.
    """
    if seen.role == "zone":
        yield from _judged(seen, "DEL10", "zones")


@check(RegistrationSeen, "SCR03", "error, warning, unknown", "the domain of a name server is unregistered or runs out",
       source="RFC 9083 sections 4.5 and 4.6")  # fmt: skip
def server_registration(seen: RegistrationSeen) -> Iterator[Finding]:
    """The domain in which a zone's name server host stands is not registered, or runs out, or is held back.

    Whoever registers that domain answers for the zone: he can send phones, with their passwords, wherever he likes,
    and get certificates for every name in it. It happens with the host names of a provider that is long gone, and
    with typos in one NS record of four, which nobody notices because the other three answer.

    Mend: take that NS record out at the registrar and in the zone, or register the domain yourself at once.

    What it can't see: as for DEL10. A name under a suffix that a registry itself lists as registered (some `co.xx`)
    passes for registered. Hosts under the domains of our own zones are judged there.
    """
    if seen.role == "server":
        yield from _judged(seen, "SCR03", "name servers")


def _judged(seen: RegistrationSeen, ident: str, what: str) -> Iterator[Finding]:
    subject = names.to_text(seen.domain)
    used = f"{what}: {', '.join(map(names.to_text, seen.dependents[:4]))}"
    more = f" and {len(seen.dependents) - 4} more" if len(seen.dependents) > 4 else ""
    verdict = _verdict(seen)
    if verdict is None:
        return
    level, message, said = verdict
    mend = "" if level == "unknown" else f"renew or recover it at its registrar; on it hang {used}{more}"
    yield Finding(ident, level, subject, message, expected="registered for more than 30 days", seen=said, mend=mend)


def _verdict(seen: RegistrationSeen) -> tuple[Level, str, str] | None:
    if seen.state == "unknown":
        return "unknown", "how it is registered could not be told", seen.detail
    if seen.state == "unregistered":
        return "error", "no registry knows it, so anybody may register it", f"404 of {seen.source}"
    holds = [one for one in seen.status if one in _HOLDS]
    ends = "" if seen.expires is None else f"ends {seen.expires:%Y-%m-%d}"
    if holds:
        return "error", "its registration is held back", ", ".join([*holds, ends]) if ends else ", ".join(holds)
    if seen.expires is None:
        return "unknown", "when its registration ends could not be told", f"{seen.source} names no end"
    if seen.expires <= seen.now:
        return "error", "its registration has ended", ends
    return ("warning", "its registration ends soon", ends) if seen.expires - seen.now <= SOON else None
