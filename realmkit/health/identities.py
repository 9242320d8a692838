"""Which names a certificate stands for: as a SIP client reads it (RFC 5922), and as a browser does (RFC 9525)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from realmkit.dns.names import to_text

if TYPE_CHECKING:
    from realmkit.dns.names import Name
    from realmkit.health.seen.tls import Certificate, TlsTask

Match = Literal["exact", "overruled", "wildcard", "common name", "no"]


class _Carried(NamedTuple):
    """A certificate's names, ready to be looked up."""

    domains: frozenset[str]  # of sip: URIs
    hosts: frozenset[str]
    below: frozenset[str]  # what wildcards stand below

    def wildcard_fits(self, wanted: str) -> bool:
        """Whether the asterisk is the whole leftmost label, and stands for the one of `wanted`."""
        return wanted.partition(".")[2] in self.below


def as_sip(certificate: Certificate, realm: Name) -> Match:
    """How a certificate carries a SIP domain (RFC 5922 sections 7.1 and 7.2).

    Returns:
        `exact`; `overruled`: a DNS name fits, but a `sip:` URI of another domain is there, and then DNS names don't
        count; `wildcard`: only one fits, which SIP forbids; `common name`: there is no subjectAltName, and that fits,
        which clients may accept; `no`.
    """
    wanted, carried = _text(realm), _carried(certificate)
    if wanted in carried.domains:
        return "exact"
    if wanted in carried.hosts:
        return "overruled" if carried.domains else "exact"
    if carried.wildcard_fits(wanted):
        return "wildcard"
    fits = not certificate.has_alternatives and _plain(certificate.common_name) == wanted
    return "common name" if fits else "no"


def as_host(certificate: Certificate, name: Name) -> Match:
    """How a certificate carries a host name (RFC 9525 section 6.3): `exact`, `wildcard` (which is fine) or `no`."""
    wanted, carried = _text(name), _carried(certificate)
    if wanted in carried.hosts:
        return "exact"
    return "wildcard" if carried.wildcard_fits(wanted) else "no"


def covers(certificate: Certificate, task: TlsTask) -> bool:
    """Whether a certificate carries all names of a task in some way."""
    match = as_sip if task.purpose == "sips" else as_host
    return all(match(certificate, name) != "no" for name in task.names)


def _text(name: Name) -> str:
    return to_text(name).rstrip(".")


def _plain(text: str) -> str:
    return text.lower().rstrip(".")


@lru_cache(maxsize=256)  # twenty thousand realms are looked up in a few certificates
def _carried(certificate: Certificate) -> _Carried:
    hosts = frozenset(_plain(one) for one in certificate.dns_names)
    return _Carried(
        domains=frozenset(domain for uri in certificate.uris if (domain := _sip_domain(uri))),
        hosts=hosts,
        below=frozenset(one[2:] for one in hosts if one.startswith("*.") and "." in one[2:]),
    )


def _sip_domain(uri: str) -> str:
    """The domain of a `sip:` URI without a user part, else nothing."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() != "sip" or "@" in rest:
        return ""
    return _plain(rest.partition(";")[0].partition("?")[0].partition(":")[0])
