"""The account that a realm, a name or an id belongs to, wherever it is below the API key's own.

A generated realm in a trace or a mail tells nobody whose it is; this does. The platform's search compares
beginnings, so what it finds is compared again, whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.errors import InputError

if TYPE_CHECKING:
    from realmkit.kazoo.setup import AccountSetup
    from realmkit.kazoo.setupdocuments import AccountRow


def one(setup: AccountSetup, text: str) -> AccountRow:
    """The account that is called so.

    Raises:
        InputError: there is none, or there are several.
    """
    found = setup.find(text)
    exact = [row for row in found if text in (row.id, row.realm, row.name)] or found
    if not exact:
        raise InputError(
            f"no account {text!r} among those that this API key may see", hint="name its id, realm or whole name"
        )
    if len(exact) > 1:
        several = ", ".join(f"{row.id} ({row.name}, {row.realm})" for row in exact)
        raise InputError(f"{len(exact)} accounts are called {text!r}: {several}", hint="name the id")
    return exact[0]
