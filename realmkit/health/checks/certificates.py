"""Judging certificates: of SIPS endpoints by what they say of the realm, and of portals by their host name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns.findings import Finding, Level
from realmkit.dns.names import parent, to_text, wildcard_of
from realmkit.health.check import check
from realmkit.health.identities import Match, as_host, as_sip
from realmkit.health.seen.tls import Certificate, TlsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.dns.names import Name

_DAY: Final = 86400
_SOON: Final = 21 * _DAY
_OLD: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_SIP: Final[Mapping[Match, tuple[Level, str]]] = {
    "no": ("error", "the certificate of its SIPS endpoint does not carry the realm"),
    "wildcard": ("warning", "only a wildcard of the certificate fits these realms, which SIP does not allow"),
    "overruled": ("warning", "the certificate has a sip: URI of another domain, so that its DNS names do not count"),
    "common name": ("warning", "only the common name of the certificate is the realm, which many clients pass over"),
}
_HOST: Final[Mapping[Match, tuple[Level, str]]] = {"no": ("error", "the certificate does not carry the name")}


@check(
    TlsSeen, "SIP07", "error, warning, unknown", "a SIPS certificate is not the realm's", source="RFC 5922 section 7"
)
def sips(seen: TlsSeen) -> Iterator[Finding]:
    """The certificate at a SIPS endpoint does not stand for the realm, is not trusted, or ends soon.

    A phone that was told `acme.voice.example.com` follows NAPTR and SRV to some edge and wants a certificate for the
    *realm*, the source of the SRV record, not for the edge's host name (RFC 5922 section 4): a DNS name in the
    subjectAltName that is the realm exactly, or `sip:acme.voice.example.com` as URI. Wildcards are not allowed (section
    7.2); many phones take them all the same, strict ones do not, hence a warning. The common name counts only without
    any subjectAltName.

    Phones that check show "TLS error" or just "not registered"; phones that don't are unprotected and notice nothing.

    Mend: put the realm into the certificate (ACME with the DNS challenge at the realm; mind WLD01: a TXT below a
    realm that a wildcard serves ends the wildcard), or give phones UDP or TCP. Below 21 days, or a quarter of its life,
    see why it was not renewed. What is wrong with a certificate as such is told once for each endpoint, and so is a
    wildcard for all realms below it.

    It trusts the system's roots or the file in the configuration; phones have roots of their own. Not all realms of an
    edge are looked at in one run: those that one certificate carries share a handshake, the rest take turns.
    """
    if seen.task.purpose == "sips":
        yield from _judge(seen, "SIP07", _SIP)


@check(TlsSeen, "SCR07", "error, warning, unknown", "a portal's certificate is wrong", source="RFC 9525 section 6")
def portal(seen: TlsSeen) -> Iterator[Finding]:
    """The HTTPS certificate of a portal or API name does not carry it, is not trusted, or ends soon.

    Browsers show a page-wide warning, apps and provisioning phones fail without a word. The name must be among the DNS
    names of the subjectAltName, as it is or by a wildcard for its leftmost label; the common name counts no more.

    Mend: renew or extend the certificate; for an incomplete chain install the intermediate certificates beside it
    (browsers fetch them by themselves, phones do not). Below 21 days, or a quarter of its life, see why it was not
    renewed: SEC04 (CAA) and SCR02 (an alias that leads nowhere) are common reasons.

    Versions below TLS 1.2 are a warning (RFC 8996). It trusts the system's roots or the file in the configuration. It
    does not ask for revocation, and sees one address at a time.
    """
    if seen.task.purpose == "portal":
        yield from _judge(seen, "SCR07", _HOST)


def _judge(seen: TlsSeen, which: str, levels: Mapping[Match, tuple[Level, str]]) -> Iterator[Finding]:
    subject, server = to_text(seen.task.server_name), str(seen.task.server)
    if seen.certificate is not None:
        yield from _names(seen, seen.certificate, which, levels)
        if not seen.reused:
            yield from _as_such(seen, seen.certificate, which)
    elif seen.state == "rejected":
        yield Finding(
            which, "error", subject, "the server ends the handshake because it does not know the name",
            expected=f"a certificate for {subject[:-1]}", seen="alert: unrecognized name",
            mend="give the server a certificate for the name, or a default one", server=server,
        )  # fmt: skip
    elif seen.state == "no tls" and seen.task.purpose == "portal":
        yield Finding(
            which, "error", subject, "the port does not speak TLS", expected="TLS", seen=seen.detail,
            mend="configure TLS at that port", server=server,
        )  # fmt: skip
    elif seen.state in ("no tls", "unknown"):
        yield Finding(which, "unknown", subject, f"its certificate could not be seen: {seen.detail}", server=server)


def _names(
    seen: TlsSeen,
    certificate: Certificate,
    which: str,
    levels: Mapping[Match, tuple[Level, str]],
) -> Iterator[Finding]:
    of = as_sip if seen.task.purpose == "sips" else as_host
    for name in seen.task.names:
        match = of(certificate, name)
        if match in levels:
            level, words = levels[match]
            # All realms that one wildcard fits have one fault in common, and it is told once.
            subject = to_text(wildcard_of(parent(name)) if match == "wildcard" else name)
            yield Finding(
                which, level, subject, words, expected=_wanted(name, seen), seen=_carried(certificate),
                mend="have a certificate issued that names it", server=str(seen.task.server),
            )  # fmt: skip


def _as_such(seen: TlsSeen, certificate: Certificate, which: str) -> Iterator[Finding]:
    """What is wrong whatever the name."""
    name, server = to_text(seen.task.server_name), str(seen.task.server)
    left, life = certificate.not_after - seen.at, certificate.not_after - certificate.not_before
    if left < 0:
        yield Finding(
            which, "error", f"{name} certificate end", "its certificate has expired", expected="a valid one",
            seen=f"expired {-left // _DAY} d ago", mend="renew it; see why that did not happen", server=server,
        )  # fmt: skip
    if not seen.trusted and not (left < 0 and "expired" in seen.chain):
        yield Finding(
            which, "error", f"{name} certificate chain", f"its certificate is not trusted: {seen.chain}",
            expected="a chain to a trusted root", seen=f"issued by {certificate.issuer}",
            mend="install the intermediate certificates, or a certificate of a public CA", server=server,
        )  # fmt: skip
    if 0 <= left < min(_SOON, life / 4):
        yield Finding(
            which, "warning", f"{name} certificate end", "its certificate ends soon", expected="more than 21 d",
            seen=f"{left // _DAY} d", mend="renew it; see why that did not happen", server=server,
        )  # fmt: skip
    if seen.version in _OLD:
        yield Finding(
            which, "warning", f"{name} TLS version", "it speaks an old version of TLS only",
            expected="TLS 1.2 or later", seen=seen.version, mend="allow TLS 1.2 and 1.3 on the server", server=server,
        )  # fmt: skip


def _wanted(name: Name, seen: TlsSeen) -> str:
    text = to_text(name)[:-1]
    return f"DNS:{text} or URI:sip:{text}" if seen.task.purpose == "sips" else f"DNS:{text}"


def _carried(certificate: Certificate, most: int = 5) -> str:
    found = [f"DNS:{one}" for one in certificate.dns_names] + [f"URI:{one}" for one in certificate.uris]
    if not found:
        return f"CN={certificate.common_name}, no subjectAltName"
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
