"""Names of others that look like ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.dangling import LookalikesSeen

if TYPE_CHECKING:
    from collections.abc import Iterator


@check(LookalikesSeen, "SCR06", "notice, unknown", "a name that looks like a white-label domain is registered",
       source="Unicode Technical Standard 39 section 4")  # fmt: skip
def lookalike(seen: LookalikesSeen) -> Iterator[Finding]:
    """Somebody has registered a domain that is easily mistaken for a white-label domain.

    Up to two hundred variants are asked for: a letter left out, doubled, swapped, or of the next key; letters that
    look alike (`rn` and `m`, `0` and `o`, Latin and Cyrillic); a hyphen; other top-level domains. Those in the
    configuration are left out. Such names serve to fish for portal passwords and to send false invoices; most are
    harmless, and many older than yours: it is a notice.

    Mend: look at who owns it; buy it, have it taken down, or accept the finding so that only new ones are shown.

    What it can't see: variants beyond these; what the name is used for; a domain that is registered but not delegated.
    """
    ours = names.to_text(seen.domain)
    for one in seen.registered:
        yield Finding(
            "SCR06", "notice", names.to_text(one.name), f"it is registered and looks like {ours} ({one.how})",
            expected="not registered, or ours", seen="delegated", mend="look at who owns it, or accept the finding",
        )  # fmt: skip
    if seen.untold:
        yield Finding(
            "SCR06", "unknown", ours, "whether all its lookalikes are registered could not be told",
            expected=f"{seen.asked} answers", seen=f"{seen.asked - seen.untold}: {seen.detail}",
        )  # fmt: skip
