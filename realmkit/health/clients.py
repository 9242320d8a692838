"""How SIP clients find a server: one profile for each way that is met in the field, and who goes it.

The ways are data, so that `realmkit.health.chain` walks all of them with one function, and so that what a check says
about clients and what it does come from one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

Transport: TypeAlias = Literal["udp", "tcp", "tls"]
Proof: TypeAlias = Literal["lab", "told", "unverified"]
_PROOF: Final = {"lab": "tried in our lab", "told": "", "unverified": "unverified"}


class Profile(Struct, frozen=True):
    """One way to a server.

    Attributes:
        id: short name.
        title: what such a client does, in a few words.
        transports: what it speaks, in the order in which it asks for SRV sets when no NAPTR tells it one.
        naptr: whether it follows `all` usable NAPTR records in their order, stays with the `first` one, or asks for
            `none`.
        srv: whether it asks for SRV sets.
    """

    id: str
    title: str
    transports: tuple[Transport, ...]
    naptr: Literal["all", "first", "none"]
    srv: bool

    @property
    def fallback(self) -> Transport:
        """What it uses with bare addresses: UDP for a SIP URI, TLS where only TLS will do (RFC 3263 section 4.1)."""
        return "udp" if "udp" in self.transports else self.transports[0]


class Client(Struct, frozen=True):
    """A program or phone, and what is known of its way.

    Attributes:
        name: what it is called, with its version where that matters.
        profile: id of the profile that it is of; empty for a habit that belongs to none.
        habit: what it does.
        source: where that is told.
        proof: `lab`: our own tests saw it; `told`: by its makers, its users or its source; `unverified`.
    """

    name: str
    profile: str
    habit: str
    source: str
    proof: Proof = "told"


FULL: Final = Profile("full", "NAPTR, then SRV, then A and AAAA (RFC 3263)", ("udp", "tcp", "tls"), "all", srv=True)
SRV: Final = Profile("srv", "SRV, then A and AAAA; no NAPTR", ("udp", "tcp"), "none", srv=True)
A: Final = Profile("a", "A and AAAA of the realm at port 5060; no NAPTR, no SRV", ("udp",), "none", srv=False)
TLS: Final = Profile("tls", "TLS only: NAPTR SIPS+D2T, then _sips._tcp, then port 5061", ("tls",), "all", srv=True)
FIRST_NAPTR: Final = Profile(
    "first-naptr", "the first usable NAPTR and no other", ("udp", "tcp", "tls"), "first", srv=True
)
PROFILES: Final = (FULL, SRV, A, TLS, FIRST_NAPTR)

CLIENTS: Final = (
    Client("Kamailio", "full", "since 2020: the next NAPTR, then SRV, then addresses", "kamailio #2290, #4916"),
    Client("Yealink", "full", "transport 3 (DNS-NAPTR) with port 0", "Yealink administrator's guide", "unverified"),
    Client("Polycom VVX", "full", "transport DNSnaptr with port 0 or none",
           "Polycom administrator's guide", "unverified"),
    Client("Grandstream", "full", "P103=2; with P103=1 it is of profile srv, with P103=0 of profile a",
           "Grandstream templates", "unverified"),
    Client("PJSIP, pjsua2", "srv", "no NAPTR: SRV, then A; an application may bring its own resolver, as Asterisk does",
           "pjproject #4103, #3305", "lab"),
    Client("sipsak", "srv", "SRV for TLS, TCP and UDP, then A", "its queries", "lab"),
    Client("Linphone", "srv", "SRV for UDP, then A", "linphone-desktop #57, linphone-sdk #42"),
    Client("Net::SIP", "srv", "no NAPTR", "p5-net-sip #46"),
    Client("Cisco SPA and MPP", "srv", "with Use_DNS_SRV; without, it is of profile a",
           "Cisco templates", "unverified"),
    Client("Mitel 68xx", "srv", "port 0 looks for SRV", "Mitel administrator's guide", "unverified"),
    Client("LiveKit SIP", "a", "takes A first, drops the port of SRV, never asks for _sips._tcp",
           "livekit/sip #810, #458"),
    Client("clients that know A only", "a", "failed when Telekom took away its realm's A record", "ha-plugins #30"),
    Client("Gigaset N", "a", "DnsQuery 0 asks for A only", "Gigaset templates", "unverified"),
    Client("PJSIP with a TLS transport", "tls", "asks for SRV at _sips._tcp only, never at _sip._tls or _sips._tls",
           "pjproject #4103"),
    Client("Polycom VVX with transport TLS", "tls", "no port in the account: SRV, then 5061",
           "Polycom administrator's guide", "unverified"),
    Client("Kamailio, before 2020's change", "first-naptr", "used one NAPTR only, the first", "kamailio #2290"),
    Client("baresip (libre)", "first-naptr",
           "takes the first NAPTR whose transport it has; without SRV behind it, the realm's own addresses at that "
           "transport's port; without any NAPTR, by its source, SRV of TLS, TCP and UDP in this order",
           "baresip/re src/sip/request.c", "lab"),
    Client("Studio Link", "", "met equal NAPTR order for SIPS and SIP, and a TCP SRV that led to a TLS port",
           "studio-link #6"),
    Client("Linphone on Android", "", "wants the realm in the TLS certificate (RFC 5922), not the SRV target",
           "linphone-android #806"),
    Client("Yealink, Polycom, AudioCodes", "", "a port in the account switches NAPTR and SRV off: leave it 0 or empty",
           "administrators' guides", "unverified"),
)  # fmt: skip


def quirks() -> str:
    """What is known of clients, profile by profile, in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "How clients find a realm's servers. What phones do is from their makers' documents; none was tried here."
    for profile in PROFILES:
        yield ""
        yield f"**{profile.id}**: {profile.title}."
        yield from _listed(profile.id)
    yield ""
    yield "**Other habits**"
    yield from _listed("")


def _listed(profile: str) -> Iterator[str]:
    yield ""
    for client in CLIENTS:
        if client.profile == profile:
            proof = f"; {_PROOF[client.proof]}" if _PROOF[client.proof] else ""
            yield f"- {client.name}: {client.habit} ({client.source}{proof})"
