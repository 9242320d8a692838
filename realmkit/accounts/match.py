"""Which account of the platform a file means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.accounts.wanted import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realmkit.accountfile import AccountFile
    from realmkit.kazoo.setupdocuments import AccountRow


class Index:
    """Accounts by id, realm and name, the latter two as the platform tells them apart.

    Args:
        rows: the accounts.
    """

    def __init__(self, rows: Iterable[AccountRow]) -> None:
        self.by_id: dict[str, AccountRow] = {row.id: row for row in rows}
        self._by_realm: dict[str, list[AccountRow]] = {}
        self._by_name: dict[str, list[AccountRow]] = {}
        for row in self.by_id.values():
            self._by_realm.setdefault(row.realm.casefold(), []).append(row)
            self._by_name.setdefault(plain(row.name), []).append(row)

    def meant(self, file: AccountFile, realm: str | None, remembered: str | None) -> AccountRow | None:
        """The account that a file means: by id, else by realm, else by name.

        Args:
            file: the file.
            realm: as the file or the project has it.
            remembered: the id of the account that it was applied to.

        Returns:
            None where there is none, so it is to be made.

        Raises:
            InputError: its id is nobody's, or realm and name are two accounts'.
        """
        account, document = file.account, file.document
        if account.id is not None:
            if account.id not in self.by_id:
                raise document.error(("id",), f"there is no account {account.id} that this API key may see")
            return self.by_id[account.id]
        if remembered in self.by_id:
            return self.by_id[remembered]
        of_realm = self._by_realm.get(realm.casefold(), []) if realm else []
        of_name = self._by_name.get(plain(account.name), []) if plain(account.name) else []
        found = of_realm if account.realm is not None and of_realm else [*of_name, *of_realm]
        ids = {row.id for row in found}
        if len(ids) > 1:
            raise document.error((), f"may mean {len(ids)} accounts: {_several(found)}", "say which with `id:`")
        if found is of_realm and of_name and ids.isdisjoint(row.id for row in of_name):
            raise document.error(
                ("name",), f"the realm is that of {_several(of_realm)}, the name of {_several(of_name)}"
            )
        return found[0] if found else None


def _several(rows: Iterable[AccountRow]) -> str:
    return ", ".join(f"{row.id} ({row.name}, {row.realm})" for row in {row.id: row for row in rows}.values())
