"""What was seen of the certificates of SIPS endpoints and portals."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Purpose = Literal["sips", "portal"]


class TlsTask(Struct, frozen=True):
    """An endpoint to look at, for the sake of a name.

    Attributes:
        host: numeric address.
        port: of TCP.
        server_name: what the client says that it wants (SNI, RFC 6066 section 3).
        names: what the certificate must carry, all of them.
        purpose: whose rules count: `sips` RFC 5922, `portal` RFC 9525.
    """

    host: str
    port: int
    server_name: Name
    names: tuple[Name, ...]
    purpose: Purpose

    @property
    def server(self) -> Server:
        """Where it is."""
        return Server(self.host, self.port)


class Certificate(Struct, frozen=True):
    """What matters of a certificate.

    Attributes:
        dns_names: of its subjectAltName, as they are written.
        uris: likewise.
        common_name: of its subject; empty if there is none.
        has_alternatives: whether there is a subjectAltName at all.
        not_before: Unix seconds.
        not_after: Unix seconds.
        issuer: who made it, as text.
        fingerprint: SHA-256, in hexadecimal.
    """

    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    common_name: str
    has_alternatives: bool
    not_before: int
    not_after: int
    issuer: str
    fingerprint: str


class TlsSeen(Struct, frozen=True):
    """What came of looking.

    Attributes:
        task: what was asked for.
        state: `seen`: there is a certificate; `rejected`: the server ends the handshake because of the server name;
            `no tls`: what answers speaks no TLS; `unknown`: no connection, or no end of the handshake; `not looked at`:
            too many names at one endpoint for one run, or the endpoint was found dead by another name.
        at: when, in Unix seconds.
        certificate: None unless `seen`.
        trusted: whether a chain leads to a trusted root, and the dates of all of it are right.
        chain: in OpenSSL's words, why it is not.
        version: `TLSv1.3`.
        reused: whether the handshake was made for another name; what is wrong with the certificate as such is then told
            there.
        detail: why there is no certificate.
    """

    task: TlsTask
    state: Literal["seen", "rejected", "no tls", "unknown", "not looked at"]
    at: int
    certificate: Certificate | None = None
    trusted: bool = False
    chain: str = ""
    version: str = ""
    reused: bool = False
    detail: str = ""


def tls_tasks(realms: Iterable[tuple[Name, Sequence[tuple[str, int]]]]) -> list[TlsTask]:
    """A task for each realm at each of its SIPS endpoints, endpoint by endpoint.

    Args:
        realms: each with the addresses and ports where its `_sips._tcp` records lead.
    """
    places: dict[tuple[str, int], dict[Name, None]] = defaultdict(dict)
    for realm, endpoints in realms:
        for place in endpoints:
            places[place][realm] = None
    return [
        TlsTask(host, port, realm, (realm,), "sips")
        for (host, port), those in places.items()
        for realm in sorted(those)
    ]
