"""Words that several checks share: hosts and addresses as people write them, and what could not be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names, rdata
from realmkit.dns.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.dns.asking.query import Server
    from realmkit.dns.names import Name
    from realmkit.dns.records import Type


def untold(id: str, subject: str, what: str, why: str, server: Server | None = None) -> Finding:  # noqa: A002 - Finding's word
    """The finding that something could not be told.

    Args:
        id: of the check.
        subject: as in `Finding`.
        what: what could not be told: "its delegation".
        why: in words.
        server: who did not tell it, if one did not.
    """
    mend = "look whether this machine reaches it, and run the check again"
    return Finding(id, "unknown", subject, f"{what} could not be told", "", why, mend, str(server) if server else "")


def hosts_text(hosts: Iterable[Name]) -> str:
    """`ns1.example.net, ns2.example.net`; "none" for none."""
    return ", ".join(names.to_text(host)[:-1] for host in hosts) or "none"


def addresses_text(addresses: Iterable[tuple[Type, bytes]]) -> str:
    """`198.51.100.10, 2001:db8::10`; "none" for none."""
    return ", ".join(rdata.to_text(kind, octets) for kind, octets in sorted(addresses)) or "none"
