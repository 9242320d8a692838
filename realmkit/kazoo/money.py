"""What of an account costs money: limits, credit, service plans. The methods are `AccountSetup`'s."""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from realmkit.errors import ConflictError, InputError
from realmkit.kazoo.calling import document, mapping_at, names
from realmkit.kazoo.making import make
from realmkit.kazoo.paging import rows_between
from realmkit.kazoo.saving import decide, same, save
from realmkit.kazoo.setupdocuments import Limits
from realmkit.kazoo.values import mapping, text, to_gregorian

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from realmkit.kazoo.client import Crossbar

LEDGER: Final = "adjustments"  # the source of credit that somebody gives by hand
SMALLEST: Final = Decimal(1)  # schema `ledgers`
UNIT: Final = Decimal("0.0001")  # Kazoo counts ten-thousandths
UNKNOWN_AGE: Final = timedelta(days=3653)  # how far to look back in an account of unknown age
RECENT: Final = timedelta(days=30)  # what Crossbar may know an entry from that it refuses to repeat; one request
SKEW: Final = timedelta(days=1)  # how far the platform's clock may be ahead of ours


class Money:
    """The part of `AccountSetup` that is about money.

    Args:
        crossbar: the login.
    """

    def __init__(self, crossbar: Crossbar) -> None:
        self._crossbar = crossbar
        self._to = crossbar.connection

    # ---- limits

    def limits(self, account: str) -> Limits:
        """How many calls the account may have, with Kazoo's defaults where nothing was set."""
        answer = self._to.read("accounts", account, "limits")
        return document(self._to, Limits, answer, f"limits of account {account}")

    def save_limits(self, account: str, limits: Limits) -> Limits:
        """Set the limits, unless they are so already. It may cost money; only the account's own reseller may do it.

        Raises:
            ChargesError: it costs money, and the login may not spend any. Not saved.
            ConflictError: somebody changed them since they were read.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and they can't be read.
        """
        before = self.limits(account)
        if same(before, limits) and limits.revision in (None, before.revision):
            return before
        what, path = f"limits of account {account}", ("accounts", account, "limits")
        return save(self._to, what, path, limits, lambda: self.limits(account), before=before)

    # ---- credit

    def balance(self, account: str) -> Decimal:
        """What is left of the account's credit; below zero where it owes."""
        amount = mapping_at(self._to, "accounts", account, "ledgers", "total").get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not math.isfinite(amount):
            raise self._to.not_crossbar("GET /accounts/{A}/ledgers/total")
        return Decimal(str(amount))

    def credit(self, account: str, amount: Decimal, *, key: str, description: str) -> bool:
        """Give the account credit, once for each key.

        Kazoo refuses a ledger entry whose source and period it has, and so one that is repeated on the same day (UTC).
        For the time before, the entries since the account was made are looked through, a request for each month.

        Args:
            account: its id.
            amount: in the platform's currency, 1 or more.
            key: tells this credit from every other one of the account. A key that was used with another amount counts.
            description: what people read beside it.

        Returns:
            True if it was paid now, False if it had been before.

        Raises:
            InputError: no amount that Kazoo can keep, or an empty key. Nothing was sent.
            RejectedError: not paid.
            OutcomeUnknownError: sent, and the entries can't be read.
        """
        if not amount.is_finite() or amount < SMALLEST or amount % UNIT:
            raise InputError(f"{amount} can't be paid as credit", hint="1 or more, with at most four decimals")
        if not key:
            raise InputError("a credit without a key would be paid again with every run")
        conflicts: list[bool] = []  # for each time it was sent, whether Crossbar said that it has it already
        since = self._beginning(account)
        data = _entry(amount, key, description, self._to.now())

        def send() -> None:
            conflicts.append(False)
            try:
                self._to.write("PUT", "accounts", account, "ledgers", "credit", data=data)
            except ConflictError:  # somebody else paid it since the look; or not, so that is looked at too
                conflicts[-1] = True
                raise

        def look() -> bool | None:
            return key in self._keys(account, self._to.now() - RECENT if conflicts else since) or None

        make(self._to, f"credit {key} of account {account}", look, send)
        return not all(conflicts)

    def paid(self, account: str) -> frozenset[str]:
        """The keys of all credit that was given since the account was made; one request for each month."""
        return self._keys(account, self._beginning(account))

    def _beginning(self, account: str) -> datetime:
        made = self._crossbar.account(account).created
        return (made or self._to.now() - UNKNOWN_AGE) - SKEW

    def _keys(self, account: str, since: datetime) -> frozenset[str]:
        until = self._to.now() + SKEW
        entries = rows_between(self._to, since, until, "accounts", account, "ledgers", LEDGER)
        return frozenset(text(mapping(mapping(row).get("source")).get("id")) or "" for row in entries)

    # ---- service plans

    def services(self, account: str) -> frozenset[str]:
        """The ids of the service plans that the account has."""
        found = mapping_at(self._to, "accounts", account, "services")
        return frozenset(mapping(found.get("plans", found)))  # the plans themselves, or a summary with them in it

    def available_services(self, account: str) -> dict[str, str]:
        """The service plans that the account may have: their names by their ids."""
        return names(self._to, "accounts", account, "services", "available")

    def change_services(self, account: str, add: Collection[str], delete: Collection[str]) -> None:
        """Give the account service plans and take others away; what is so already is left out. It may cost money.

        Raises:
            ChargesError: it costs money, and the login may not spend any. Nothing was changed.
            NotKeptError: answered as done, and it is not so.
            RejectedError: not changed.
            OutcomeUnknownError: sent, and the plans can't be read.
        """
        before = self.services(account)
        wanted = (before - set(delete)) | set(add)
        if wanted == before:
            return
        changes = {"add": sorted(wanted - before), "delete": sorted(before - wanted)}
        data = {key: plans for key, plans in changes.items() if plans}
        decide(
            self._to,
            f"service plans of account {account}",
            lambda: self._to.write("POST", "accounts", account, "services", data=data),
            lambda: self.services(account),
            lambda now, _: now == wanted,
            lambda now: now == before,
        )


def _entry(amount: Decimal, key: str, description: str, now: datetime) -> dict[str, Any]:
    """The ledger entry as Kazoo's own portal writes it, and the day, which tells it from no other try of that day.

    Left to itself Kazoo takes the second for the period's start, by which every try would be another credit.
    """
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "amount": int(amount) if amount == amount.to_integral_value() else float(amount),
        "description": description,
        "source": {"service": LEDGER, "id": key},
        "usage": {"type": "credit", "quantity": 0, "unit": "USD"},
        "period": {"start": to_gregorian(day)},
        "metadata": {"ui_request": True, "automatic_description": True},
    }
