"""What hangs on an account's realm, so that nobody changes it as if it were a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.kazoo.paging import rows
from realmkit.kazoo.values import mapping, text

if TYPE_CHECKING:
    from realmkit.kazoo.client import Crossbar

_KINDS: Final = (
    ("devices", "phone", "phones", "register at it"),
    ("faxboxes", "fax box", "fax boxes", "get their mail at it"),
    ("connectivity", "trunk", "trunks", "log in at it, and are told by whoever runs the PBX"),
)
_NAMED: Final = 5


def hanging(crossbar: Crossbar, account: str) -> list[str]:
    """A sentence for each kind of thing that a change of the realm would cut off: three requests or a few more."""
    found = []
    for path, one, many, how in _KINDS:
        names = [
            text(mapping(row).get("name")) or text(mapping(row).get("id")) or "?"
            for row in rows(crossbar.connection, "accounts", account, path)
        ]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            counted = f"1 {one}" if len(names) == 1 else f"{len(names)} {many}"
            found.append(f"{counted} {how}: {', '.join(sorted(names)[:_NAMED])}{more}")
    return found
