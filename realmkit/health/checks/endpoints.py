"""What answers where the SIP chain ends, and whether the platform knows the realms that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.sip import AccountsSeen, EndpointSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Level

_WORDS: Final = {
    "refused": "the port is closed: nobody listens",
    "silent": "it keeps silent",
    "closed": "it ends the connection without an answer",
    "garbled": "what it answers is no SIP",
    "unknown": "it could not be asked",
}


@check(EndpointSeen, "SIP06", "warning, notice, unknown", "an endpoint does not answer", source="RFC 3261 section 11")
def does_not_answer(seen: EndpointSeen) -> Iterator[Finding]:
    """An endpoint that the records name gives no SIP answer to OPTIONS.

    Any response counts as life, a 403 or 404 as well as a 200. UDP requests are repeated as RFC 3261 section 17.1.2
    wants; TCP and TLS get a connection of their own. The certificate is not looked at here: that is SIP07.

    A closed port (ICMP, RST), a connection that can't be opened or is dropped, and an answer that is no SIP are
    warnings. So is silence, if the address is silent on all that was asked; yet many edges drop OPTIONS from unknown
    sources, and a filter looks just like a dead server. If the address answers on another port or transport, silence
    is a notice. `unknown`: this machine has no way there, or the time of the run was over.

    Mend: look on the edge whether it listens there, and whether a firewall or a ban list (fail2ban, pike) holds this
    machine off. If the edge never answers strangers, say so with `realmkit health accept SIP06`.
    """
    if seen.state == "answered" or _speaks_otherwise(seen):
        return
    yield Finding(
        "SIP06", _level(seen), seen.task.subject, _WORDS[seen.state], expected="any response to OPTIONS",
        seen=seen.detail or seen.state, mend="see on the edge whether it listens there and lets this machine in",
    )  # fmt: skip


def _level(seen: EndpointSeen) -> Level:
    if seen.state == "unknown":
        return "unknown"
    filtered = seen.state == "silent" and seen.elsewhere and seen.connected is not False
    return "notice" if filtered else "warning"


def _speaks_otherwise(seen: EndpointSeen) -> bool:
    """Whether what gave no answer as promised speaks TLS where none is promised, or the other way."""
    if seen.task.transport == "tcp":
        return bool(seen.tls)
    return seen.task.transport == "tls" and bool(seen.plain)


@check(
    EndpointSeen,
    "SIP10",
    "error, unknown",
    "TLS where none is promised, or none where it is",
    source="RFC 3263 section 4.2",
)
def speaks_otherwise(seen: EndpointSeen) -> Iterator[Finding]:
    """A port that an SRV set of `_sips._tcp` names answers SIP in the clear, or one of `_sip._tcp` speaks TLS.

    Every phone that follows the records fails there, though the port is open and every port scan looks well. Typical:
    5061 in the TCP set, or a TLS listener that was moved to another port.

    It is tried in both ways, and only what was seen to work counts; what kept silent or dropped the connection both
    times is `unknown`. A closed port is SIP06's. UDP is not looked at.

    Mend: correct the port in the edge's `transports:` and apply, or the listener on the edge.
    """
    transport = seen.task.transport
    if transport == "udp" or seen.state in ("answered", "refused"):
        return
    promised = "TLS" if transport == "tls" else "SIP without TLS"
    if _speaks_otherwise(seen) or (transport == "tls" and seen.tls is False):
        other = "TLS" if seen.tls else "SIP without TLS" if seen.plain else "no TLS"
        yield Finding(
            "SIP10", "error", seen.task.subject, f"it speaks {other}, and the records promise {promised}",
            expected=promised, seen=other, mend="correct the port under edge: transports:, or the listener on the edge",
        )  # fmt: skip
    elif seen.tls is None:
        yield Finding(
            "SIP10", "unknown", seen.task.subject, "whether it speaks TLS can't be told", expected=promised,
            seen=seen.detail or seen.state,
        )  # fmt: skip


@check(
    AccountsSeen,
    "SIP09",
    "warning, unknown",
    "the platform and the configuration know different realms",
    source="RFC 3261 section 10.3",
)
def accounts_differ(seen: AccountsSeen) -> Iterator[Finding]:
    """A realm of the configuration that no account of the platform has, or the other way.

    In DNS but not on the platform: phones find the edge, and are refused there with 401 or 403 until somebody looks at
    the account. On the platform but not here: nobody watches that realm, and no migration or cut-over includes it.
    With a wildcard every name answers in DNS, so "it resolves" is no proof that a realm exists.

    `unknown`: the platform's list could not be had, so nothing is said of any realm; its subject is `.`.

    Mend: add the realm to `realms:` or its pool, or remove it; or set the account's realm on the platform.
    """
    if seen.unknown:
        yield Finding(
            "SIP09", "unknown", ". accounts", "which realms the platform knows can't be told", seen=seen.unknown,
        )  # fmt: skip
        return
    for realm in sorted(seen.realms_configured - seen.realms_on_platform):
        yield Finding(
            "SIP09", "warning", names.to_text(realm), "it is configured, but no account of the platform has it",
            expected="an account with this realm", seen="none",
            mend="set the account's realm on the platform, or remove the realm here",
        )  # fmt: skip
    for realm in sorted(seen.realms_on_platform - seen.realms_configured):
        yield Finding(
            "SIP09", "warning", names.to_text(realm), "an account of the platform has it, the configuration has not",
            expected="an entry in the configuration", seen="none", mend="add it under realms: in realmkit.yml",
        )  # fmt: skip
