"""What SIP endpoints answered, and which realms the platform knows."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.health.clients import Transport


class SipTask(Struct, frozen=True):
    """An endpoint to ask.

    Attributes:
        transport: what the records say it speaks.
        address: numeric, IPv4 or IPv6.
        port: of UDP or TCP.
        domain: a realm whose records lead there: the request is for it, and TLS names it (SNI).
        host: the host that has the address; the realm itself where no SRV set leads there.
    """

    transport: Transport
    address: str
    port: int
    domain: Name
    host: Name

    @property
    def subject(self) -> str:
        """`edge.example.net. udp/198.51.100.10:5060`: the same in every run, whichever realm stands for the others."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{names.to_text(self.host)} {self.transport}/{address}:{self.port}"


class EndpointSeen(Struct, frozen=True):
    """What came of asking one endpoint by OPTIONS.

    Attributes:
        task: what was asked.
        state: `answered` with SIP over the transport of the task; `refused` (ICMP, RST); `silent`; `closed`: the
            connection ended without an answer; `garbled`: what came is no answer to the request; `unknown`: it could
            not be tried (no route, no time).
        status: of the response (RFC 3261 section 7.2); 0 without one.
        software: the response's Server or User-Agent.
        connected: whether a TCP connection came about; None for UDP and where it was not tried.
        tls: whether the port speaks TLS; None where that is not known.
        plain: whether the port answers SIP without TLS; None where that is not known.
        elsewhere: whether the same address answered on another port or transport.
        detail: in words, for a person.
    """

    task: SipTask
    state: Literal["answered", "refused", "silent", "closed", "garbled", "unknown"]
    status: int = 0
    software: str = ""
    connected: bool | None = None
    tls: bool | None = None
    plain: bool | None = None
    elsewhere: bool = False
    detail: str = ""


class AccountsSeen(Struct, frozen=True):
    """The platform's list of realms beside ours.

    Attributes:
        realms_on_platform: the realm of every account.
        realms_configured: every realm of the configuration.
        unknown: why the platform's list could not be had, or is not whole; empty if it is.
    """

    realms_on_platform: frozenset[Name]
    realms_configured: frozenset[Name]
    unknown: str = ""
