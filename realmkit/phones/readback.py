"""Configurations read back: what a phone that fetches this file would register as.

This is how a published configuration is verified: by what it says, not by the fact that it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.phones.families import family_at
from realmkit.phones.formats import format_named

if TYPE_CHECKING:
    from realmkit.phones.model import Line


def read(family: str, content: bytes) -> tuple[Line, ...]:
    """The lines that a configuration registers.

    Args:
        family: the family's path, `yealink/t` (`Model.path`).
        content: the file that holds the lines: the first of `Model.files(mac)`.

    Returns:
        Its active lines, ports and expiry as the phone will use them: compare with `render.carried(phone)`.

    Raises:
        InputError: there is no such family.
        MalformedError: the file is not well-formed, or says what can't be.
    """
    reader = family_at(family)
    return reader.read(format_named(reader.format).parse(content))
