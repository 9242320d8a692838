"""The platform as account files need it: each list that many files ask for is read once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from realmkit.accounts.plan import Lists, Seen, credit_key, credits_of
from realmkit.kazoo.setup import AccountSetup

if TYPE_CHECKING:
    from realmkit.accountfile import Account
    from realmkit.kazoo.client import Crossbar
    from realmkit.kazoo.documents import Account as Document
    from realmkit.kazoo.setupdocuments import AccountRow


class Platform:
    """The platform through one login.

    Args:
        crossbar: the login.

    Attributes:
        crossbar: the same.
        setup: what it can do with accounts.
    """

    def __init__(self, crossbar: Crossbar) -> None:
        self.crossbar = crossbar
        self.setup = AccountSetup(crossbar)
        self._plans: dict[str, dict[str, str]] = {}

    @cached_property
    def own(self) -> Document:
        """The API key's own account."""
        return self.crossbar.account(self.crossbar.account_id)

    @cached_property
    def rows(self) -> list[AccountRow]:
        """Every account below the key's own, from the listing."""
        return self.setup.rows()

    @cached_property
    def classifiers(self) -> dict[str, str]:
        """What the platform tells numbers apart by, as the key's own account sees it."""
        return self.setup.classifiers(self.crossbar.account_id)

    @cached_property
    def apps(self) -> dict[str, str]:
        """The apps that there are. An account's own listing may leave out those that are denied to it."""
        return self.setup.apps(self.crossbar.account_id)

    def plans(self, account: str) -> dict[str, str]:
        """The service plans that an account may have."""
        if account not in self._plans:
            self._plans[account] = self.setup.available_services(account)
        return self._plans[account]

    def lists(self, file: Account, account: str | None) -> Lists:
        """What there is to choose from, of what the file speaks of.

        Args:
            file: what it says.
            account: the account's id; None for one that does not exist: its service plans can't be known yet.
        """
        asks = file.restrictions is not None or account is None
        return Lists(
            self.crossbar.account_id,
            self.classifiers if asks else {},
            self.apps if file.apps is not None else {},
            self.plans(account) if file.service_plans and account is not None else {},
        )

    def look(self, account: str, file: Account | None = None, paid: frozenset[str] = frozenset()) -> Seen:
        """Read an account: what the file speaks of and its callflow, or all of it.

        Args:
            account: its id.
            file: what is asked for; None for everything.
            paid: labels of credits that are known to be paid.
        """
        setup = self.setup
        flow = setup.no_match(account)
        return Seen(
            self.crossbar.account(account),
            tuple(setup.users(account)) if file is None or file.admins is not None else None,
            setup.limits(account) if file is None or file.limits is not None else None,
            () if flow is None else (flow,),
            setup.blacklist(account) if file is None or file.apps is not None else None,
            setup.services(account) if file is None or file.service_plans is not None else None,
            self._paid(account, file, paid) if file is not None and file.credit is not None else None,
        )

    def _paid(self, account: str, file: Account, known: frozenset[str]) -> frozenset[str]:
        """The labels of the file's credits that were paid: known ones, and those found in the account's ledger."""
        labels = frozenset(credits_of(file))
        if labels <= known:
            return labels
        keys = self.setup.paid(account)
        return (labels & known) | {label for label in labels if credit_key(account, label) in keys}
