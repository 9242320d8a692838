"""What mail hosts say on port 25, and what a realm says of mail that claims to come from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from realmkit.dns.asking.query import Server
from realmkit.dns.names import Name
from realmkit.health.seen.realm import Sight


class SmtpTask(Struct, frozen=True):
    """One address of a mail host.

    Attributes:
        host: the name that MX records lead to.
        server: the address and port at which it takes mail.
    """

    host: Name
    server: Server


class MailHostSeen(Struct, frozen=True):
    """How a mail host greets.

    Attributes:
        host: the name that MX records lead to.
        server: where it was asked.
        state: it `greeted`; it `refused` the connection; it took the connection and was `silent`, or `closed` it
            without a word; or it is `unknown`, for there was no connection.
        code: of the greeting (RFC 5321 section 4.2); 0 where there was none, or one that is not SMTP.
        text: the greeting's first line, cut to something that can be shown.
        starttls: whether encryption `works`; `absent`: it is not offered; `failed`: offered, but no handshake came
            about; `unknown`: it did not come to that.
        detail: what went wrong, for a person.
    """

    host: Name
    server: Server
    state: Literal["greeted", "refused", "silent", "closed", "unknown"]
    code: int = 0
    text: str = ""
    starttls: Literal["works", "absent", "failed", "unknown"] = "unknown"
    detail: str = ""


class MailPolicySeen(Struct, frozen=True):
    """What TXT records say about mail that claims to come from a realm, by its zone's authoritative servers.

    Attributes:
        realm: its name.
        texts: TXT at the realm (RFC 7208).
        policies: TXT at `_dmarc` below the realm, and below each name above it up to the zone's apex, in that order
            (RFC 7489 section 6.6.3).
    """

    realm: Name
    texts: Sight
    policies: Mapping[Name, Sight]
