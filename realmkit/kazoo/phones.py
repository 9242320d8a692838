"""What realmkit asks of Crossbar about phones: devices, registrations, calls.

The methods are `Crossbar`'s, which says what they raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realmkit.kazoo.calling import Caller, document, parsed, parsed_rows, push
from realmkit.kazoo.documents import Cdr, Channel, Device, Registration
from realmkit.kazoo.errors import NotFoundError
from realmkit.kazoo.paging import rows_between
from realmkit.kazoo.saving import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from realmkit.kazoo.request import Envelope
    from realmkit.kazoo.saving import Path


class PhoneCaller(Caller):
    """The part of `Crossbar` that is about phones."""

    # ---- devices

    def devices(self, account: str) -> list[Device]:
        """Every device of an account, complete, ordered by id. Takes one request for each."""
        return self._all(account, "devices", self.device)

    def device(self, account: str, device: str) -> Device:
        """Read a device."""
        answer = self._to.read("accounts", account, "devices", device)
        return document(self._to, Device, answer, f"device {device}")

    def save_device(self, account: str, device: Device, *, before: Device | None = None) -> Device:
        """Save a whole device over the state that it was made from (POST; a PATCH does not reach the provisioner).

        `before` is the device as it was read a moment ago, which spares a request; left out, it is read first.

        On clusters of 2024 every save sends the phone a check-sync; on those of 2026 one that changes neither SIP user
        name nor password sends none. A `sip.realm` that equals the account's realm is dropped by Crossbar: the returned
        device says what the platform holds.

        Raises:
            ConflictError: somebody changed the device since it was read.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the device can't be read.
        """

        def is_account_realm(place: Path, value: Any) -> bool:
            return place == ("sip", "realm") and self.account(account).realm.casefold() == str(value).casefold()

        return self._save(account, "devices", device, self.device, is_account_realm, before)

    def notify(self, account: str, device: str, event: str) -> None:
        """Ask for a SIP NOTIFY with that event to the phone, at the account's realm and nowhere else.

        That Crossbar takes it (202) proves nothing: it says so too when no phone is registered. Watch `registrations`.

        Raises:
            OutcomeUnknownError: sent, and no answer came; it was not repeated.
        """
        data = {"action": "notify", "data": {"event": event}}
        push(self._to, lambda: self._to.write("PUT", "accounts", account, "devices", device, data=data))

    def sync(self, account: str, device: str, *, reboot: bool | None = None) -> None:
        """Ask for a check-sync to the phone. On clusters of 2024 this does nothing, and says that it did.

        Args:
            account: its id.
            device: its id.
            reboot: whether the phone should restart or only reload; None leaves it to the cluster, and the clusters of
                2024 ignore it.

        Raises:
            OutcomeUnknownError: sent, and no answer came; it was not repeated.
        """
        params = {} if reboot is None else {"reboot": str(reboot).lower()}
        path = ("accounts", account, "devices", device, "sync")
        push(self._to, lambda: self._to.write("POST", *path, data={}, **params))

    # ---- registrations and calls

    def registrations(self, account: str) -> list[Registration]:
        """What is registered at the account's realm now, or was authenticated under it.

        Two things to know before concluding that a phone is not there: Crossbar shows one row for each user name and
        contact, so a row at the old realm may hide the one at the new; and where its call managers do not answer it
        shows an empty list and says success.
        """
        return parsed_rows(self._to, Registration.from_json, "accounts", account, "registrations")

    def flush_registration(self, account: str, username: str) -> None:
        """Drop the registration of that user name at the account's realm. Crossbar sends a check-sync on top.

        Raises:
            NotFoundError: no device of the account has that user name.
            OutcomeUnknownError: sent, no answer came, and the registrations can't be read.
        """

        def left() -> list[Registration]:
            realm = self.account(account).realm.casefold()
            of_user = [one for one in self.registrations(account) if one.username.casefold() == username.casefold()]
            return [one for one in of_user if one.realm.casefold() == realm]

        self._flush(left, f"registration of {username}", "accounts", account, "registrations", username)

    def flush_registrations(self, account: str) -> None:
        """Drop every registration that `registrations` shows, those at a device's own realm included.

        The SIP proxy drops only those at the account's realm, so phones at another stay registered there and miss calls
        until they register again.

        Raises:
            OutcomeUnknownError: sent, no answer came, and the registrations can't be read.
        """
        self._flush(lambda: self.registrations(account), "registrations", "accounts", account, "registrations")

    def channels(self, account: str) -> list[Channel]:
        """The legs of calls that are up now."""
        return parsed_rows(self._to, Channel.from_json, "accounts", account, "channels")

    def cdrs(self, account: str, since: datetime, until: datetime) -> Iterator[Cdr]:
        """The legs of calls whose records were made from `since` until just before `until`, both aware.

        Rows come as they are read, so an error may follow rows; those alone are not the whole.
        """
        for row in rows_between(self._to, since, until, "accounts", account, "cdrs"):
            yield parsed(self._to, Cdr.from_json, row, "GET /accounts/{A}/cdrs")

    def _flush(self, left: Callable[[], list[Registration]], what: str, *path: str) -> None:
        """DELETE registrations, and after an error look for those that are left."""
        taken: list[Envelope] = []
        decide(
            self._to,
            what,
            lambda: taken.append(self._to.write("DELETE", *path)),
            lambda: [] if taken else left(),
            lambda rows, error: not rows and not isinstance(error, NotFoundError),
            lambda _: True,
        )
