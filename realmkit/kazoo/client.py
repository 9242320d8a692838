"""What realmkit asks of Crossbar, one method for each thing, alike on both generations of clusters.

Reading never guesses: a listing that did not come whole is an error, not a short list. A change is believed when it was
read back. What the platform does in unexpected ways stands with the methods; Kazoo describes its API in
`applications/crossbar/doc`.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Final, Self

from realmkit.errors import InputError, OutcomeUnknownError, ProviderError, RefusedError
from realmkit.kazoo.calling import document, parsed_rows
from realmkit.kazoo.documents import Account, Connectivity, FaxBox
from realmkit.kazoo.errors import InvalidError, noted
from realmkit.kazoo.paging import PAGE_SIZE
from realmkit.kazoo.phones import PhoneCaller
from realmkit.kazoo.saving import decide
from realmkit.kazoo.search import candidates, pick
from realmkit.kazoo.transport import Connection
from realmkit.kazoo.values import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx2

    from realmkit.clock import Clock

_REALM: Final = re.compile(r"[.\w-]{4,253}", re.ASCII)  # schema `accounts`


class Crossbar(PhoneCaller):
    """A login at one cluster's API. For one thread at a time; a context manager.

    Accounts, devices and so on are named by their ids; `find_account` gives an account's. Nothing is sent before the
    first method is called.

    Args:
        url: the API's address, `https://api.example.net:8443/v2`.
        api_key: the key itself, 64 hexadecimal digits.
        clock: tells the time and sleeps.
        transport: stands in for the network.
        accept_charges: whether changes may cost money; without, Crossbar answers 402 and `ChargesError` says so.
        jitter: a number from 0 to 1, anew each time, for waits before a request is repeated.

    Raises:
        InputError: the URL can't be one of Crossbar's.
        SecretError: the key can't be one. It is not repeated.

    Every method raises, beside what it says itself:
        AuthError: the key is refused, or may not do this.
        UnreachableError, RateLimitedError, BusyError: no answer that helps, in several tries. Nothing was changed.
        NotFoundError: there is no such object.
        ProviderError: what answers is not Crossbar.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        clock: Clock,
        *,
        transport: httpx2.BaseTransport | None = None,
        accept_charges: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._to = Connection(url, api_key, clock, transport=transport, accept_charges=accept_charges, jitter=jitter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Crossbar({self._to.base!r})"

    def wait_for(self, requests: int) -> float:
        """Seconds until so many requests can be made one after the other without being held up by Crossbar's limit."""
        return self._to.wait_for(requests)

    def close(self) -> None:
        """Give the connection back."""
        self._to.close()

    # ---- accounts

    @property
    def account_id(self) -> str:
        """The id of the account that the key belongs to. Logs in if that was not done yet."""
        return self._to.login()

    def account(self, account: str) -> Account:
        """Read an account."""
        answer = self._to.read("accounts", account)
        read = document(self._to, Account, answer, f"account {account}")
        return Account(read.data, read.revision, freeze(answer.metadata))

    def find_account(self, name_or_id_or_realm: str) -> Account:
        """The one account, of those the key may see, with that id, realm or name.

        Realms are compared without regard to case and names as Kazoo keeps them apart, by their letters and digits.

        Raises:
            InputError: there is none, or there are several.
        """
        wanted = name_or_id_or_realm.strip()
        if not wanted:
            raise InputError("an account is named by its id, realm or name; this is empty")
        return pick(candidates(self._to, self.account, wanted, ("id", "realm", "name")), wanted)

    def realm_owner(self, realm: str) -> Account | None:
        """The account with that realm, of those the key may see; None if there is none among them.

        A stranger's account can't be seen: only Crossbar knows whether the realm is free everywhere.
        """
        found = candidates(self._to, self.account, realm, ("realm",))
        return next((one for one in found if one.realm.casefold() == realm.casefold()), None)

    def realms(self) -> list[str]:
        """The realms of all accounts that the key may see, its own among them (GET /accounts/{A}/descendants)."""

        def realm_of(row: Mapping[str, Any]) -> str:
            if not isinstance(row.get("realm"), str):
                raise ValueError(row)  # noqa: TRY004 - what `parsed` turns into an error of the platform
            return str(row["realm"])

        path = ("accounts", self.account_id, "descendants")
        return [self.account(self.account_id).realm, *parsed_rows(self._to, realm_of, *path, page_size=PAGE_SIZE)]

    def set_account_realm(self, account: str, realm: str) -> Account:
        """Give an account another realm. Nothing else happens on the platform: no flush, no resync, no alias.

        Crossbar may answer 400 and have saved. If it did because the realm is somebody else's, the old realm is put
        back at once, for two accounts with one realm take each other's phones; after other errors a saved realm stands.

        Returns:
            The account as read with the new realm; at once if it had that before.

        Raises:
            InputError: no realm that Crossbar could take.
            RefusedError: another account that we can see has it. Nothing was sent.
            RejectedError: not in force.
            OutcomeUnknownError: sent, and the account can't be read; or the old realm could not be put back.
        """
        if not _REALM.fullmatch(realm):
            raise InputError(f"{realm!r} can't be a realm", hint="4 to 253 letters, digits, dots, hyphens")
        before = self.account(account)
        if before.realm == realm:
            return before
        owner = self.realm_owner(realm)
        if owner is not None and owner.id != before.id:
            raise RefusedError(
                f"the realm {realm} is the one of account {owner.id} ({owner.name})", hint="nothing was changed"
            )
        after, error = self._patch_realm(account, realm)
        if isinstance(error, InvalidError) and any((s.path, s.rule) == ("realm", "unique") for s in error.slips):
            self._put_back(account, before.realm, realm, error)
            raise noted(error, f"it had saved {realm} all the same, so {before.realm} was put back")
        return after

    def _patch_realm(self, account: str, realm: str) -> tuple[Account, ProviderError | None]:
        return decide(
            self._to,
            f"realm {realm} of account {account}",
            lambda: self._to.write("PATCH", "accounts", account, data={"realm": realm}),
            lambda: self.account(account),
            lambda now, _: now.realm == realm,
            lambda _: True,  # the PATCH touches nothing else, so others' changes are no conflict
        )

    def _put_back(self, account: str, old: str, new: str, why: ProviderError) -> None:
        try:
            self._patch_realm(account, old)
        except ProviderError as error:
            raise OutcomeUnknownError(
                f"{why.message}; it had saved {new} all the same, and {old} could not be put back: {error.message}",
                hint=f"set the realm of account {account} to {old} at once: {new} is another account's",
            ) from None

    # ---- trunks and fax

    def connectivity(self, account: str) -> list[Connectivity]:
        """Every trunk document of an account, ordered by id."""
        return self._all(account, "connectivity", self._one_connectivity)

    def save_connectivity(self, account: str, trunks: Connectivity) -> Connectivity:
        """Save a trunk document, unchanged to have Crossbar write the account's present realm into it.

        Raises:
            ConflictError: somebody changed it since it was read.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the document can't be read.
        """
        return self._save(account, "connectivity", trunks, self._one_connectivity)

    def fax_boxes(self, account: str) -> list[FaxBox]:
        """Every fax box of an account, ordered by id."""
        return self._all(account, "faxboxes", self._one_fax_box)

    def save_fax_box(self, account: str, box: FaxBox) -> FaxBox:
        """Save a fax box. A custom address may be used once on the whole platform.

        Raises:
            ConflictError: somebody changed it since it was read.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the box can't be read.
        """
        return self._save(account, "faxboxes", box, self._one_fax_box)

    # ---- how

    def _one_connectivity(self, account: str, identity: str) -> Connectivity:
        answer = self._to.read("accounts", account, "connectivity", identity)
        return document(self._to, Connectivity, answer, f"connectivity {identity}")

    def _one_fax_box(self, account: str, box: str) -> FaxBox:
        return document(self._to, FaxBox, self._to.read("accounts", account, "faxboxes", box), f"fax box {box}")
