"""A Kazoo cluster in memory: what it keeps, whom it lets register, whom a call reaches, and what it tells the phones.

No sockets: registrations live in the `Registrar` that it is given, requests come in through `handle`. The rules are
those that were read in Kazoo's source; F1 to F10 and section numbers refer to the findings that the project works from.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from realmkit.errors import InputError
from realmkit.sandbox import activity, authority, saving
from realmkit.sandbox.catalogue import Catalogue
from realmkit.sandbox.ecallmgr import Change, Ecallmgr, Noticed
from realmkit.sandbox.events import Event, EventKind, dark_time
from realmkit.sandbox.faults import Faults
from realmkit.sandbox.front import Front
from realmkit.sandbox.registrar import EmbeddedRegistrar
from realmkit.sandbox.rules import Refusal, merge
from realmkit.sandbox.store import Document, Json, Store, gregorian
from realmkit.sandbox.switches import Generation, Shown, Switches
from realmkit.sandbox.tokens import Buckets, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    from realmkit.clock import Clock
    from realmkit.sandbox.registrar import Registrar

__all__ = ["Cluster", "Generation", "Shown", "Switches"]

_LOGGED = {
    Change.EXPIRED: EventKind.EXPIRED,
    Change.UNREGISTERED: EventKind.UNREGISTERED,
    Change.REGISTERED: EventKind.REGISTERED,
}


class Cluster:
    """A Kazoo cluster.

    Args:
        clock: gives every time stamp, and how fast tokens come back.
        registrar: the SIP edge. The cluster tells it who may register and asks it who has.
        generation: which Kazoo it is.

    Attributes:
        clock: as given.
        registrar: as given.
        generation: as given.
        switches: settings that differ between clusters; may be changed at any time.
        faults: what goes wrong between a client and Crossbar; may be changed at any time.
        buckets: the request tokens.
        sessions: the logins.
        catalogue: what the operator offers: plans, applications, required DNS; may be changed at any time.
        store: the documents. Read them with `document`; change them with the builders or through `handle`.
        ecallmgr: its view of registrations.
    """

    def __init__(self, clock: Clock, registrar: Registrar, generation: Generation = Generation.OLDER) -> None:
        self.clock = clock
        self.registrar = registrar
        self.generation = generation
        self.switches = Switches.of(generation)
        self.faults = Faults()
        self.buckets = Buckets(clock)
        self.sessions = Sessions(clock)
        self.catalogue = Catalogue()
        self.store = Store(clock)
        self.ecallmgr = Ecallmgr(lambda username, realm: authority.authorise(self, username, realm))
        self.aggregates: dict[str, Json] = {}
        self.channels: dict[str, Json] = {}
        self.cdrs: dict[str, list[Json]] = {}
        self._lock = threading.RLock()
        self._events: list[Event] = []
        self._observed: tuple[int | None, datetime] | None = None  # how the edge was when it was last asked
        self._ringing: dict[str, bool] = {}
        self._late = 0.0
        self._pushed: dict[tuple[str, str], str] = {}
        self._front = Front(self)
        if isinstance(registrar, EmbeddedRegistrar):
            registrar.watch = self.observe

    # --- building ---------------------------------------------------------------------------------------------------

    def add_account(self, name: str, realm: str, timezone: str = "Etc/UTC", *, parent: str | None = None) -> str:
        """Make an account; its id.

        Args:
            name: unique by its letters and digits.
            realm: unique, whatever its case.
            timezone: IANA.
            parent: an account's id. Left out, it is the first account, the reseller; the first itself has none.

        Raises:
            InputError: name or realm is taken or malformed.
        """
        with self._lock:
            above = parent or next((one.id for one in self.store.all("account")), None)
            data = {"name": name, "realm": realm, "timezone": timezone}
            return self._built(lambda: saving.create_account(self, above, data))

    def add_device(self, account: str, document: Mapping[str, Any], *, defaults: bool = True) -> str:
        """Make a device; its id. Nothing is sent to any phone.

        Args:
            account: the account's id.
            document: as Crossbar's schema `devices` has it.
            defaults: whether it was last saved with the schema's defaults filled in, as it is unless it is very old.

        Raises:
            InputError: Crossbar would refuse it.
        """
        with self._lock:
            return self._built(lambda: saving.create_device(self, account, dict(document), defaults=defaults))

    def add_connectivity(self, account: str, document: Mapping[str, Any]) -> str:
        """Make a connectivity document (trunks); its id. Raises InputError where Crossbar would refuse it."""
        with self._lock:
            return self._built(lambda: saving.save_connectivity(self, account, None, dict(document)))

    def add_fax_box(self, account: str, document: Mapping[str, Any]) -> str:
        """Make a fax box; its id. Raises InputError where Crossbar would refuse it."""
        with self._lock:
            return self._built(lambda: saving.save_fax_box(self, account, None, dict(document)))

    def add_cdr(
        self,
        account: str,
        start: datetime,
        seconds: int,
        *,
        device: str | None = None,
        caller: str = "",
        callee: str = "",
        direction: str = "inbound",
    ) -> str:
        """Record a call that is over; the CDR's id.

        Args:
            account: the account's id.
            start: when the leg began, UTC.
            seconds: how long it lasted.
            device: the device's id, for calls of one.
            caller: the caller's number.
            callee: the number called.
            direction: relative to the switch: `inbound` from a phone, `outbound` to one.
        """
        with self._lock:
            call = self.store.new_id("cdr")
            told = {"direction": direction, "authorizing_id": device or ""}
            told |= {"caller_id_number": caller, "callee_id_number": callee}
            record = activity.cdr(call, start, seconds, self._account(account).data["realm"], told)
            self.cdrs.setdefault(account, []).append(record)
            return str(record["id"])

    def change_device(self, device: str, patch: Mapping[str, Any]) -> None:
        """Somebody else edits a device: keys are merged, None deletes. It is stored, and nothing else happens."""
        with self._lock:
            document = self._device(device)
            self.store.save(document, merge(document.data, dict(patch)))
            self.push_credentials()
            self.judge([device])

    def put_channel(
        self, device: str, *, answered: bool = True, direction: str = "inbound", destination: str = "2600"
    ) -> str:
        """A call begins on the device; its uuid."""
        with self._lock:
            document = self._device(device)
            uuid = self.store.new_id("channel")
            username = document.at("sip", "username")
            self.channels[uuid] = {
                "account_id": document.account,
                "answered": answered,
                "authorizing_id": device,
                "authorizing_type": "device",
                "destination": destination,
                "direction": direction,
                "owner_id": document.at("owner_id"),
                "presence_id": self.dial(device),
                "timestamp": gregorian(self.clock.now()),
                "username": username,
                "uuid": uuid,
            }
            self.record(EventKind.CALL_STARTED, document.account, device, uuid)
            return uuid

    def promote(self, account: str) -> None:
        """Make an account the reseller of all below it."""
        self._account(account).private["reseller"] = True

    def end_channel(self, uuid: str) -> None:
        """The call is over. Raises InputError when there is no such call."""
        with self._lock:
            if uuid not in self.channels:
                raise InputError(f"the sandbox has no call {uuid}")
            channel = self.channels.pop(uuid)
            self.record(EventKind.CALL_ENDED, channel["account_id"], channel["authorizing_id"], uuid)

    # --- what is true now -------------------------------------------------------------------------------------------

    def api_key(self, account: str) -> str:
        """The account's API key, 64 hex digits."""
        return str(self._account(account).private["api_key"])

    def document(self, identity: str) -> Json:
        """A copy of a stored document, as a client would get it. Raises InputError when there is none."""
        with self._lock:
            for kind in ("account", "device", "connectivity", "faxbox", "user", "callflow", "sender"):
                found = self.store.get(identity, kind)
                if found is not None:
                    return found.public()
        raise InputError(f"the sandbox has no document {identity}")

    def credentials(self) -> dict[tuple[str, str], str]:
        """Who may register now: (username, realm) to password."""
        with self._lock:
            return authority.credentials(self)

    def dial(self, device: str) -> str:
        """`user@realm` that an inbound call is sent to: the device's own realm, or else its account's (F2)."""
        document = self._device(device)
        realm = document.at("sip", "realm") or self._account(document.account).data["realm"]
        return f"{document.at('sip', 'username')}@{realm}"

    def rings(self, device: str) -> bool:
        """Whether an inbound call would reach the device now.

        ecallmgr must find it: by exactly one row for the endpoint (two are a case_clause, 13.0 a), or, where clusters
        dial by address, by the row of `dial`. And the edge must hold a contact at `dial`.
        """
        with self._lock:
            self.observe()
            return self._rings(device)

    def dark_time(self, device: str, since: datetime, until: datetime) -> timedelta:
        """How long within that span no inbound call would have reached the device; it is dark before it ever rang.

        Registrations and expiries count from the times that the edge gives. An unregistration is noticed at once
        over an `EmbeddedRegistrar`, and when the cluster is next asked for anything over any other.
        """
        return dark_time(self.events(), device, since, until)

    def events(self) -> list[Event]:
        """Everything that happened so far."""
        with self._lock:
            self.observe()
            return list(self._events)

    def fax_domain_accepted(self, domain: str) -> str | None:
        """The id of the fax box, or else of the account, that mail to `number@domain` reaches now (F9, fax_smtp).

        None is the platform's 554: the domain belongs to nobody.
        """
        with self._lock:
            return authority.fax_domain(self.store, domain)

    # --- requests ---------------------------------------------------------------------------------------------------

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one HTTP request. One at a time; a slow answer holds nobody up.

        Args:
            method: upper case.
            path: with `/v2`, percent-decoded.
            query: raw, without the question mark.
            headers: names in any case.
            body: the request's.

        Returns:
            Status, headers and body.

        Raises:
            ConnectionCutError: a fault wants the connection to end.
        """
        short = path.removeprefix("/v2")
        with self._lock:
            fault = self.faults.strike(method, short)
        if fault is not None and fault.seconds:
            self.clock.sleep(fault.seconds)
        with self._lock:
            self.observe()
            lowered = {key.lower(): headers[key] for key in headers}
            self._late = 0.0
            answer = self._front.respond(method, path, query, lowered, body, fault)
            late = self._late
        if late:
            self.clock.sleep(late)
        return answer

    def observe(self) -> None:
        """Take in what happened at the edge since it was last asked."""
        with self._lock:
            now = self.clock.now()
            mark = (getattr(self.registrar, "changes", None), now)
            if mark[0] is not None and mark == self._observed:
                return
            for noticed in self.ecallmgr.observe(self.registrar.contacts(), now):
                self._log(noticed)
                self.judge([noticed.row.authorised.authorizing_id], noticed.at)
            self._observed = mark

    def late(self, seconds: float) -> None:
        """The answer to this request leaves so much later, though what it asks for is done."""
        self._late = seconds

    # --- effects, for the rooms' other files ------------------------------------------------------------------------

    def notify(self, account: Document, username: str, event: str) -> None:
        """Send NOTIFY to username at the account's realm, if ecallmgr knows of anybody there; silent if not (F3)."""
        realm = account.data["realm"]
        row = self.ecallmgr.row(username, realm)
        sent = row is not None and self.registrar.notify(username, realm, event)
        kind = EventKind.NOTIFY_SENT if sent else EventKind.NOTIFY_UNDELIVERABLE
        device = authority.device_of_username(self.store, account.id, username)
        self.record(kind, account.id, device.id if device else account.id, f"{event} to {username}@{realm}")

    def flush(self, account: Document, username: str | None = None) -> None:
        """Flush the account's realm, or one user of it.

        The edge goes by that realm only. ecallmgr's realm-wide flush goes by account realm too, so that phones already
        at NEW are lost to it until their next REGISTER (13.0).
        """
        realm = account.data["realm"]
        if username is None:
            rows = self.ecallmgr.of_realm(realm)
        else:
            row = self.ecallmgr.row(username, realm)
            rows = [] if row is None else [row]
        self.ecallmgr.drop(rows)
        self.registrar.flush(realm, username)
        self.ecallmgr.edge_flushed(realm, username)
        for row in rows:
            self.record(EventKind.FLUSHED, account.id, row.authorised.authorizing_id, row.address)
        self.judge(
            {row.authorised.authorizing_id for row in rows} | {one.id for one in self.store.all("device", account.id)}
        )

    def push_credentials(self) -> None:
        """Tell the edge who may register, if that has changed."""
        wanted = self.credentials()
        if wanted != self._pushed:
            self.registrar.use(wanted)
            self._pushed = wanted

    def record(self, kind: EventKind, account: str, subject: str, detail: str = "", at: datetime | None = None) -> None:
        """Write down that something happened, now unless told otherwise."""
        self._events.append(Event(at or self.clock.now(), kind, account, subject, detail))

    def judge(self, devices: Iterable[str], at: datetime | None = None) -> None:
        """Write down which of these devices went dark or can be called again."""
        for identity in devices:
            device = self.store.get(identity, "device")
            rings = device is not None and self._rings(identity)
            if rings != self._ringing.get(identity, False):
                self._ringing[identity] = rings
                account = device.account if device is not None else ""
                self.record(EventKind.RINGS if rings else EventKind.DARK, account, identity, at=at)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _built(self, make: Callable[[], Document]) -> str:
        try:
            return make().id
        except Refusal as refused:
            raise InputError(f"the sandbox can't be built so: {refused}") from refused

    def _rings(self, identity: str) -> bool:
        device = self._device(identity)
        if not device.data.get("enabled", True) or not self._account(device.account).private["enabled"]:
            return False
        username, _, realm = self.dial(identity).partition("@")
        if self.switches.dial_by_endpoint:
            found = len(self.ecallmgr.of_device(device.account, identity)) == 1
        else:
            found = self.ecallmgr.row(username, realm) is not None
        return found and self.ecallmgr.at_edge(username, realm)

    def _log(self, noticed: Noticed) -> None:
        kind = _LOGGED.get(noticed.change)
        if kind is not None:
            who = noticed.row.authorised
            self.record(kind, who.account, who.authorizing_id, noticed.row.address, noticed.at)

    def _account(self, identity: str) -> Document:
        return self._found(identity, "account")

    def _device(self, identity: str) -> Document:
        return self._found(identity, "device")

    def _found(self, identity: str, kind: str) -> Document:
        document = self.store.get(identity, kind)
        if document is None:
            raise InputError(f"the sandbox has no {kind} {identity}")
        return document
