"""Finding the edge of a realm as phones do (RFC 3263, section 4): NAPTR, then SRV, then A, for UDP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Lookup = Literal["naptr", "srv", "a"]
SIP_PORT: Final = 5060
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class Target(Struct, frozen=True):
    """Where SIP for a realm goes.

    Attributes:
        address: IPv4.
        port: UDP.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def locate(realm: str, lookup: Lookup, ask: Callable[[str, str], Sequence[str]]) -> tuple[Target, ...]:
    """The targets of a realm, best first.

    Where a kind of record is missing, the next simpler one is tried, as RFC 3263 wants. Within one SRV priority the
    greater weight goes first, always: a simulated phone is not to throw dice.

    Args:
        realm: the domain.
        lookup: with which kind of record the phone begins.
        ask: name and type to the rdata, each as a zone file writes it; nothing when there is none.
    """
    name = realm.rstrip(".") + "."
    service: str | None = None
    if lookup == "naptr":
        service = _service(ask(name, "NAPTR"))
    if lookup != "a" and (targets := _targets(ask(service or f"_sip._udp.{name}", "SRV"), ask)):
        return targets
    return tuple(Target(address, SIP_PORT) for address in sorted(ask(name, "A")))


def _service(naptrs: Sequence[str]) -> str | None:
    """Where the best NAPTR for SIP over UDP leads."""
    found = []
    for text in naptrs:
        words = [quoted or plain for quoted, plain in _WORD.findall(text)]
        if len(words) == 6 and words[2].lower() == "s" and words[3].upper() == "SIP+D2U":
            found.append((int(words[0]), int(words[1]), words[5]))
    return min(found)[2] if found else None


def _targets(srvs: Sequence[str], ask: Callable[[str, str], Sequence[str]]) -> tuple[Target, ...]:
    found = []
    for text in srvs:
        priority, weight, port, host = text.split()
        if host != ".":  # "the service is decidedly not available" (RFC 2782)
            found.append((int(priority), -int(weight), host, int(port)))
    return tuple(Target(address, port) for *_, host, port in sorted(found) for address in sorted(ask(host, "A")))
