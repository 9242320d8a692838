"""What setting up an account asks of Crossbar: the account itself, its users, its money, its carrier and its apps.

Everything may be repeated: what is there is not made again, and what is so is not saved again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from realmkit.errors import InputError, OutcomeUnknownError, ProviderError, RefusedError
from realmkit.kazoo.calling import document, mapping_at, names, parsed_rows
from realmkit.kazoo.errors import InvalidError, noted
from realmkit.kazoo.making import LATE, make
from realmkit.kazoo.money import Money
from realmkit.kazoo.paging import PAGE_SIZE
from realmkit.kazoo.saving import answered_save, decide, same, save
from realmkit.kazoo.search import bare, pick, searched
from realmkit.kazoo.setupdocuments import AccountRow, Callflow, User
from realmkit.kazoo.values import mapping, text, thaw

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from realmkit.kazoo.client import Crossbar
    from realmkit.kazoo.documents import Account

NO_MATCH: Final = "no_match"  # what a callflow calls the numbers that no other takes


class AccountSetup(Money):
    """Everything about an account that is set up once and seldom changed.

    Accounts and users are named by their ids. Every method raises what `Crossbar`'s do, beside what it says itself.

    Args:
        crossbar: the login; with its `accept_charges` changes may cost money.
    """

    def __init__(self, crossbar: Crossbar) -> None:
        super().__init__(crossbar)
        self._own: AccountRow | None = None

    # ---- finding

    def rows(self, below: str | None = None) -> list[AccountRow]:
        """Every account below one, or below the key's own, which is not among them; in pages, no document is read."""
        path = ("accounts", below or self._crossbar.account_id, "descendants")
        return parsed_rows(self._to, AccountRow.from_json, *path, page_size=PAGE_SIZE)

    def find(self, text: str) -> list[AccountRow]:
        """The accounts with exactly that id, realm or name, of those the key may see, its own among them.

        Realms are compared without regard to case, names by their letters and digits. It takes one search, and the
        first time a reading of the key's own account.

        Raises:
            InputError: the text is empty.
        """
        wanted = text.strip()
        if not wanted:
            raise InputError("an account is named by its id, realm or name; this is empty")
        found = self._matching({"name": wanted, "realm": wanted, "id": wanted})
        return [row for row in found if _is_called(row, wanted)]

    def named(self, text: str) -> AccountRow:
        """The one account that is called so.

        Raises:
            InputError: there is none, or there are several.
        """
        return pick(self.find(text), text.strip())

    def _matching(self, wanted: Mapping[str, str]) -> list[AccountRow]:
        """Candidates: the key's own account and what a search finds, each once."""
        if self._own is None:
            account = self._crossbar.account(self._crossbar.account_id)
            self._own = AccountRow(account.id, account.name, account.realm)
        found = [self._own]
        for row in searched(self._to, wanted):
            try:
                found.append(AccountRow.from_json(row))
            except ValueError:  # a row that does not say enough to compare it
                account = self._crossbar.account(text(row.get("id")) or "")
                found.append(AccountRow(account.id, account.name, account.realm))
        return list({row.id: row for row in found}.values())

    def _holder(self, name: str, realm: str) -> AccountRow | None:
        """The account that has the name and the realm, as far as each was given.

        Raises:
            RefusedError: an account has one of them and not the other.
        """
        wanted = {key: value for key, value in (("name", name), ("realm", realm)) if value}
        for row in self._matching(wanted):
            same_name = bool(bare(name)) and bare(row.name) == bare(name)
            same_realm = row.realm.casefold() == realm.casefold()
            if same_name and (same_realm or not realm):
                return row
            if same_name or same_realm:
                has = f"the name {name!r}" if same_name else f"the realm {realm}"
                raise RefusedError(
                    f"account {row.id} ({row.name}, {row.realm}) has {has} already", hint="nothing was changed"
                )
        return None

    # ---- accounts

    def create(self, parent: str, data: Mapping[str, Any]) -> tuple[Account, bool]:
        """Make an account below another, unless there is one of that name and realm.

        Crossbar takes long over it, up to a minute. A lost answer is waited for and never followed by a second PUT.

        Args:
            parent: the id of the account above.
            data: the document; without `realm` Crossbar makes one up.

        Returns:
            The account as read, and whether it was made now.

        Raises:
            InputError: a name without one letter from a to z or digit, by which Kazoo could not tell it from others.
            RefusedError: an account that we can see has the name or the realm, and not the other. Nothing was sent.
            InvalidError, RejectedError: not made.
            OutcomeUnknownError: sent, and it is not there yet or can't be looked for.
        """
        name, realm = text(data.get("name")) or "", text(data.get("realm")) or ""
        if not bare(name):
            raise InputError(f"{name!r} can't be an account's name", hint="at least one letter from a to z, or a digit")
        made: list[str] = []

        def look() -> Account | None:
            row = None if made else self._holder(name, realm)
            if row is not None and row.id in (parent, self._crossbar.account_id):
                raise RefusedError(f"{name!r} is the name of account {row.id} itself, which is to be above")
            identity = made[0] if made else row.id if row else ""
            return self._crossbar.account(identity) if identity else None

        def send() -> None:
            answer = self._to.write("PUT", "accounts", parent, data=thaw(data))
            made.extend(filter(None, [text(mapping(answer.data).get("id"))]))

        return make(self._to, f"account {name}", look, send, waits=LATE, repeat=False)

    def save(self, account: Account) -> Account:
        """Save a whole account over the state that it was made from.

        Crossbar may answer 400 and have saved. Where it did although the name or the realm is somebody else's, the
        account is put back at once, for two accounts with one realm take each other's phones; after other errors what
        is saved stands.

        Raises:
            ConflictError: somebody changed the account since it was read.
            RefusedError: another account that we can see has the new name or realm. Nothing was sent.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not in force.
            OutcomeUnknownError: sent, and the account can't be read; or it could not be put back.
        """
        before = self._crossbar.account(account.id)
        self._own = None  # it may be the one that changes
        self._check_free(before, account)
        after, error = self._saved(account, before)
        if isinstance(error, InvalidError) and any(slip.rule == "unique" for slip in error.slips):
            self._put_back(before, after, error)
            raise noted(error, "it had saved the account all the same, so it was put back as it was")
        return after

    def _saved(self, account: Account, before: Account) -> tuple[Account, ProviderError | None]:
        what, path = f"account {account.id}", ("accounts", account.id)
        return answered_save(self._to, what, path, account, lambda: self._crossbar.account(account.id), before=before)

    def _check_free(self, before: Account, account: Account) -> None:
        wanted = {
            "name": account.name if bare(account.name) != bare(before.name) else "",
            "realm": account.realm if account.realm.casefold() != before.realm.casefold() else "",
        }
        wanted = {key: value for key, value in wanted.items() if bare(value)}
        for row in self._matching(wanted) if wanted else []:
            if row.id != account.id and any(_has(row, key, value) for key, value in wanted.items()):
                raise RefusedError(
                    f"account {row.id} ({row.name}, {row.realm}) has that name or realm", hint="nothing was changed"
                )

    def _put_back(self, before: Account, after: Account, why: ProviderError) -> None:
        try:
            self._saved(after.with_data(before.data), after)
        except ProviderError as error:
            raise OutcomeUnknownError(
                f"{why.message}; it had saved the account all the same, and it could not be put back: {error.message}",
                hint=f"give account {before.id} its name {before.name!r} and its realm {before.realm} again at once",
            ) from None

    # ---- users

    def users(self, account: str) -> list[User]:
        """The users as the listing shows them: id, user name, e-mail, names, level; `user` reads one whole."""
        return parsed_rows(self._to, User.from_json, "accounts", account, "users", page_size=PAGE_SIZE)

    def user(self, account: str, user: str) -> User:
        """Read a user. There is no password in it."""
        return document(self._to, User, self._to.read("accounts", account, "users", user), f"user {user}")

    def create_user(self, account: str, data: Mapping[str, Any]) -> tuple[User, bool]:
        """Make a user, unless there is one of that user name or, where `data` has none, of that e-mail.

        Returns:
            The user as read, and whether he was made now.

        Raises:
            InputError: neither a user name nor an e-mail by which he could be found again.
            RejectedError: not made.
            OutcomeUnknownError: sent, and he can't be looked for.
        """
        key = "username" if data.get("username") else "email"
        wanted = (text(data.get(key)) or "").casefold()
        if not wanted:
            raise InputError("a user has neither user name nor e-mail", hint="he could be made again with every run")

        def look() -> User | None:
            found = (one for one in self.users(account) if str(one.data.get(key, "")).casefold() == wanted)
            row = next(found, None)
            return None if row is None else self.user(account, row.id)

        what = f"user {wanted} of account {account}"
        return make(self._to, what, look, lambda: self._to.write("PUT", "accounts", account, "users", data=thaw(data)))

    def save_user(self, account: str, user: User) -> User:
        """Save a whole user over the state that he was made from.

        Raises:
            ConflictError: somebody changed him since he was read.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and he can't be read.
        """
        what, path = f"user {user.id}", ("accounts", account, "users", user.id)
        hidden = lambda place, _: place == ("password",)  # noqa: E731 - Crossbar never shows one
        return save(self._to, what, path, user, lambda: self.user(account, user.id), hidden)

    # ---- apps

    def apps(self, account: str) -> dict[str, str]:
        """The apps that the account may see: their names by their ids. What it may not see is not among them."""
        return names(self._to, "accounts", account, "apps_store")

    def blacklist(self, account: str) -> frozenset[str]:
        """The ids of the apps that the account may not see. Only its reseller may ask."""
        listed = mapping_at(self._to, "accounts", account, "apps_store", "blacklist").get("blacklist", [])
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
            raise self._to.not_crossbar("GET /accounts/{A}/apps_store/blacklist")
        return frozenset(listed)

    def save_blacklist(self, account: str, ids: Collection[str]) -> None:
        """Say which apps the account may not see, unless it is so already.

        Raises:
            NotKeptError: answered as saved, and it is not so.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the list can't be read.
        """
        before, wanted = self.blacklist(account), frozenset(ids)
        if before == wanted:
            return
        path = ("accounts", account, "apps_store", "blacklist")
        decide(
            self._to,
            f"app blacklist of account {account}",
            lambda: self._to.write("POST", *path, data={"blacklist": sorted(wanted)}),
            lambda: self.blacklist(account),
            lambda now, _: now == wanted,
            lambda now: now == before,
        )

    # ---- numbers and carrier

    def classifiers(self, account: str) -> dict[str, str]:
        """The kinds of numbers that calls can be denied to: what people call them by Kazoo's names."""
        found = mapping_at(self._to, "accounts", account, "phone_numbers", "classifiers")
        return {name: text(mapping(said).get("friendly_name")) or name for name, said in found.items()}

    def no_match(self, account: str) -> Callflow | None:
        """The callflow that says which carrier takes the calls to numbers that nothing else takes."""
        path = ("accounts", account, "callflows")
        listed = parsed_rows(self._to, Callflow.from_json, *path, page_size=PAGE_SIZE, filter_numbers=NO_MATCH)
        for row in sorted(listed, key=lambda one: one.id):
            if NO_MATCH in row.numbers:
                return self._callflow(account, row.id)
        return None

    def save_no_match(self, account: str, flow: Mapping[str, Any]) -> Callflow:
        """Say which carrier takes what nothing else takes, unless it is so already.

        Args:
            account: its id.
            flow: the callflow's `flow`: `module`, `data`, `children`. The rest of a callflow that is there stays.

        Raises:
            ConflictError: somebody changed the callflow meanwhile.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and it can't be read.
        """
        data = {"numbers": [NO_MATCH], "flow": thaw(flow)}
        what, path = f"callflow {NO_MATCH} of account {account}", ("accounts", account, "callflows")
        there, _ = make(self._to, what, lambda: self.no_match(account), lambda: self._to.write("PUT", *path, data=data))
        wanted = Callflow.from_json({**there.data, "flow": flow}, there.revision)
        if same(there, wanted):
            return there
        return save(self._to, what, (*path, there.id), wanted, lambda: self._callflow(account, there.id), before=there)

    def _callflow(self, account: str, identity: str) -> Callflow:
        answer = self._to.read("accounts", account, "callflows", identity)
        return document(self._to, Callflow, answer, f"callflow {identity}")


def _is_called(row: AccountRow, wanted: str) -> bool:
    by_name = bare(row.name) == bare(wanted) if bare(wanted) else row.name == wanted
    return by_name or row.id == wanted.lower() or row.realm.casefold() == wanted.casefold()


def _has(row: AccountRow, key: str, value: str) -> bool:
    return bare(row.name) == bare(value) if key == "name" else row.realm.casefold() == value.casefold()
