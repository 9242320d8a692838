"""What realmkit asks of Crossbar, one method for each thing, alike on both generations of clusters.

Reading never guesses: a listing that did not come whole is an error, not a short list. A change is believed when it was
read back. What the platform does in unexpected ways stands with the methods; Kazoo describes its API in
`applications/crossbar/doc`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from realmkit.errors import (
    InputError,
    OutcomeUnknownError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnreachableError,
)
from realmkit.kazoo.documents import (
    Account,
    Cdr,
    Channel,
    Connectivity,
    Device,
    Document,
    FaxBox,
    Registration,
    to_gregorian,
)
from realmkit.kazoo.errors import BusyError, InvalidError, NotFoundError, StaleTokenError, noted
from realmkit.kazoo.paging import PAGE_SIZE, ids, rows
from realmkit.kazoo.saving import decide, save
from realmkit.kazoo.search import candidates, pick
from realmkit.kazoo.transport import Connection
from realmkit.kazoo.values import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import httpx2

    from realmkit.clock import Clock
    from realmkit.kazoo.saving import Path
    from realmkit.kazoo.transport import Envelope

D = TypeVar("D", bound=Document)
T = TypeVar("T")

CDR_RANGE: Final = timedelta(days=31)  # of one query (crossbar/maximum_range)
_REALM: Final = re.compile(r"[.\w-]{4,253}", re.ASCII)  # schema `accounts`


class Crossbar:
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
        read = self._document(Account, answer, f"account {account}")
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
                raise ValueError(row)  # noqa: TRY004 - what `_parsed` turns into an error of the platform
            return str(row["realm"])

        return [self.account(self.account_id).realm, *self._rows(realm_of, "accounts", self.account_id, "descendants")]

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

    # ---- devices

    def devices(self, account: str) -> list[Device]:
        """Every device of an account, complete, ordered by id. Takes one request for each."""
        return self._all(account, "devices", self.device)

    def device(self, account: str, device: str) -> Device:
        """Read a device."""
        answer = self._to.read("accounts", account, "devices", device)
        return self._document(Device, answer, f"device {device}")

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
        self._push("PUT", ("accounts", account, "devices", device), data)

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
        self._push("POST", ("accounts", account, "devices", device, "sync"), {}, **params)

    # ---- registrations and calls

    def registrations(self, account: str) -> list[Registration]:
        """What is registered at the account's realm now, or was authenticated under it.

        Two things to know before concluding that a phone is not there: Crossbar shows one row for each user name and
        contact, so a row at the old realm may hide the one at the new; and where its call managers do not answer it
        shows an empty list and says success.
        """
        return self._rows(Registration.from_json, "accounts", account, "registrations")

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
        return self._rows(Channel.from_json, "accounts", account, "channels")

    def cdrs(self, account: str, since: datetime, until: datetime) -> Iterator[Cdr]:
        """The legs of calls whose records were made from `since` until just before `until`, both aware.

        Rows come as they are read, so an error may follow rows; those alone are not the whole.
        """
        start, end = to_gregorian(since), to_gregorian(until)
        step = int(CDR_RANGE.total_seconds())
        while start < end:
            last = min(start + step, end) - 1  # Crossbar's ranges include both ends
            params = {"created_from": str(start), "created_to": str(last), "page_size": PAGE_SIZE}
            for row in rows(self._to, "accounts", account, "cdrs", **params):
                yield self._parsed(Cdr.from_json, row, "GET /accounts/{A}/cdrs")
            start = last + 1

    # ---- trunks and fax

    def connectivity(self, account: str) -> list[Connectivity]:
        """Every trunk document of an account, ordered by id."""
        return self._all(account, "connectivity", self._one_connectivity)

    def save_connectivity(self, account: str, document: Connectivity) -> Connectivity:
        """Save a trunk document, unchanged to have Crossbar write the account's present realm into it.

        Raises:
            ConflictError: somebody changed it since it was read.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the document can't be read.
        """
        return self._save(account, "connectivity", document, self._one_connectivity)

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

    def _one_connectivity(self, account: str, document: str) -> Connectivity:
        answer = self._to.read("accounts", account, "connectivity", document)
        return self._document(Connectivity, answer, f"connectivity {document}")

    def _one_fax_box(self, account: str, box: str) -> FaxBox:
        return self._document(FaxBox, self._to.read("accounts", account, "faxboxes", box), f"fax box {box}")

    def _document(self, kind: type[D], answer: Envelope, what: str) -> D:
        if not isinstance(answer.data, Mapping):
            raise self._to.not_crossbar(what)
        return kind.from_json(answer.data, answer.revision)

    def _all(self, account: str, kind: str, read: Callable[[str, str], D]) -> list[D]:
        """The documents of a listing; one that was deleted in between is left out."""
        found = []
        for identity in ids(self._to, "accounts", account, kind):
            try:
                found.append(read(account, identity))
            except NotFoundError:
                continue
        return found

    def _rows(self, parse: Callable[[Mapping[str, Any]], T], *path: str) -> list[T]:
        return [self._parsed(parse, row, "GET /" + "/".join(path)) for row in rows(self._to, *path)]

    def _parsed(self, parse: Callable[[Mapping[str, Any]], T], row: Any, what: str) -> T:
        try:
            if isinstance(row, Mapping):
                return parse(row)
        except (ValueError, OverflowError):
            pass
        raise self._to.not_crossbar(what)

    def _save(
        self,
        account: str,
        kind: str,
        document: D,
        read: Callable[[str, str], D],
        excused: Callable[[Path, Any], bool] = lambda _place, _value: False,
        before: D | None = None,
    ) -> D:
        path = ("accounts", account, kind, document.id)
        return save(self._to, "/".join(path[2:]), path, document, lambda: read(account, document.id), excused, before)

    def _push(self, method: str, path: tuple[str, ...], data: Mapping[str, Any], **params: str) -> None:
        """A request whose effect can't be read back: repeated only after an error that says that nothing was done."""
        attempt = 1
        while True:
            self._to.login()
            try:
                self._to.write(method, *path, data=data, **params)
            except (RateLimitedError, UnreachableError, StaleTokenError, BusyError) as error:
                if getattr(error, "code", 503) != 503 or not self._to.may_repeat(error, attempt):
                    raise
            else:
                return
            attempt += 1

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
