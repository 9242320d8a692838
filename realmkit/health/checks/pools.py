"""Wildcards that serve whole pools of realms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.pool import PoolSeen

if TYPE_CHECKING:
    from collections.abc import Iterator


@check(
    PoolSeen, "WLD06", "notice, unknown", "below a wildcard every name resolves, also one that is no realm",
    source="RFC 4592 section 2.1",
)  # fmt: skip
def every_name_answers(seen: PoolSeen) -> Iterator[Finding]:
    """A wildcard answers for realms that nobody has: `acmee.s.example` resolves as well as `acme.s.example`.

    "It resolves" is then no proof that a realm exists: a phone with a slip in its realm finds the proxies and is
    refused there, and a realm that was deleted goes on resolving. That is how wildcards are meant; what is missing is
    a list to compare with.

    Quiet when the platform's own list of realms is at hand (`platform.kazoo` is configured and answers): then SIP09
    names each realm that is on one side only.

    Mend: configure `platform.kazoo`, so that realms are compared with the accounts.
    """
    subject = names.to_text(seen.wildcard)
    if seen.answers is None:
        yield Finding("WLD06", "unknown", subject, "whether it answers for any name could not be told")
    elif seen.answers and not seen.listed:
        yield Finding(
            "WLD06", "notice", subject, "it answers for names that are no realms, and there is no list to compare with",
            expected="the platform's list of realms", seen="a made-up name resolves",
            mend="configure platform.kazoo, and SIP09 compares realms with accounts",
        )  # fmt: skip
