"""ecallmgr's view of registrations: what Kazoo believes about who is registered, which is not what the edge holds.

Kamailio publishes every accepted REGISTER; ecallmgr keeps a row for each (username, realm) and lets it lapse later than
the edge does. All of Crossbar's `/registrations`, NOTIFY and inbound calls go by these rows. Here the publications are
inferred by comparing what the edge holds with what it held before, so that any `Registrar` will do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from realmkit.sandbox.registrar import Contact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = tuple[str, str]


class Authorised(msgspec.Struct, frozen=True):
    """Whom Kazoo's registrar took a REGISTER for; Kamailio stores it with the contact and repeats it at every refresh.

    Attributes:
        account: the account's id.
        account_realm: the account's realm at that moment.
        account_name: the account's name.
        authorizing_id: the id of the device or connectivity document.
        authorizing_type: `device` or `sys_info`.
        owner_id: the device's owner, if it has one.
    """

    account: str
    account_realm: str
    account_name: str
    authorizing_id: str
    authorizing_type: str = "device"
    owner_id: str | None = None


class Row(msgspec.Struct, frozen=True):
    """One row: the last REGISTER of an address of record.

    Attributes:
        contact: what the edge published.
        authorised: whom it was authorised as, maybe hours ago.
        ends: when ecallmgr forgets it.
    """

    contact: Contact
    authorised: Authorised
    ends: datetime

    @property
    def address(self) -> str:
        """`user@realm`."""
        return f"{self.contact.username}@{self.contact.realm}"

    @property
    def expires(self) -> int:
        """Seconds granted."""
        return round((self.contact.expires_at - self.contact.registered_at).total_seconds())


class Change(Enum):
    """What became of an address of record at the edge, or of its row here."""

    EXPIRED = "expired"
    UNREGISTERED = "unregistered"
    LAPSED = "lapsed"
    REGISTERED = "registered"
    REFRESHED = "refreshed"


class Noticed(NamedTuple):
    """A change, with the row that it made or ended."""

    at: datetime
    change: Change
    row: Row


class Ecallmgr:
    """The rows, and the edge's contacts as last seen.

    Args:
        authorise: asks Kazoo's registrar application who `username` at `realm` is at this moment; None: nobody.
        lifetime: a row lives this many times as long as the edge's (ecallmgr_util's get_expires: 1.25).
    """

    def __init__(self, authorise: Callable[[str, str], Authorised | None], *, lifetime: float = 1.25) -> None:
        self.lifetime = lifetime
        self._authorise = authorise
        self._rows: dict[Key, Row] = {}
        self._edge: dict[Key, Contact] = {}
        self._stored: dict[Key, Authorised] = {}

    def rows(self) -> list[Row]:
        """All rows, oldest registration first; those of one second, which is all an edge tells, as they came in."""
        return sorted(self._rows.values(), key=lambda row: row.contact.registered_at)

    def row(self, username: str, realm: str) -> Row | None:
        """The row of username@realm."""
        return self._rows.get(_key(username, realm))

    def of_realm(self, realm: str) -> list[Row]:
        """Rows that Crossbar lists and flushes for a realm: theirs, or that of their account when they were authorised.

        So a phone at NEW shows while the account is still OLD (ecallmgr_registrar: realm or account_realm).
        """
        wanted = realm.lower()
        return [
            row for row in self.rows() if wanted in (row.contact.realm.lower(), row.authorised.account_realm.lower())
        ]

    def of_device(self, account: str, device: str) -> list[Row]:
        """Rows of one endpoint, whatever their realm: two while a phone's old row has not run out."""
        return [
            row
            for row in self._rows.values()
            if row.authorised.authorizing_id == device and row.authorised.account == account
        ]

    def at_edge(self, username: str, realm: str) -> bool:
        """Whether the edge held a contact for username@realm when last seen."""
        return _key(username, realm) in self._edge

    def drop(self, rows: Iterable[Row]) -> None:
        """Forget rows. They come back with the phone's next REGISTER only."""
        for row in rows:
            self._rows.pop(_key(row.contact.username, row.contact.realm), None)

    def edge_flushed(self, realm: str, username: str | None = None) -> None:
        """The edge was told to flush exactly that realm, or user: its contacts and stored authorisations are gone."""
        wanted = _key(username or "", realm)
        for key in [key for key in self._edge if key[1] == wanted[1] and (username is None or key == wanted)]:
            del self._edge[key]
            self._stored.pop(key, None)

    def observe(self, contacts: Iterable[Contact], now: datetime) -> Iterator[Noticed]:
        """Bring the view up to date, one change after another in the order of time.

        A change is in force when it is yielded, so that the caller can judge in between.

        Args:
            contacts: what the edge holds.
            now: the time, UTC.
        """
        newest: dict[Key, Contact] = {}
        for contact in contacts:
            key = _key(contact.username, contact.realm)
            if key not in newest or newest[key].registered_at < contact.registered_at:
                newest[key] = contact
        for at, _, key, step in sorted(self._due(newest, now), key=lambda due: due[:3]):
            noticed = step(key, at)
            if noticed is not None:
                yield noticed

    def _due(self, newest: dict[Key, Contact], now: datetime) -> Iterator[_Due]:
        for key in self._edge.keys() | newest.keys():
            held, contact = self._edge.get(key), newest.get(key)
            if held is not None and (contact is None or _made_at(contact) >= held.expires_at):
                over = held.expires_at <= now
                yield (held.expires_at if over else now), 0, key, self._expire if over else self._unregister
            if contact is not None and (held is None or _is_new(held, contact)):
                yield _seen_at(held, contact), 2, key, _registration(self, contact)
        for key, row in self._rows.items():
            if row.ends <= now:
                yield row.ends, 1, key, self._lapse

    def _expire(self, key: Key, at: datetime) -> Noticed | None:
        """The edge's row is over. ecallmgr is not told (usrloc:contact-expired returns at once) and keeps its own."""
        del self._edge[key]
        self._stored.pop(key, None)
        row = self._rows.get(key)
        return None if row is None else Noticed(at, Change.EXPIRED, row)

    def _unregister(self, key: Key, at: datetime) -> Noticed | None:
        """The phone took its registration back, which is published with expires 0."""
        del self._edge[key]
        self._stored.pop(key, None)
        row = self._rows.pop(key, None)
        return None if row is None else Noticed(at, Change.UNREGISTERED, row)

    def _lapse(self, key: Key, at: datetime) -> Noticed | None:
        row = self._rows.get(key)
        if row is None or row.ends > at:
            return None  # a REGISTER came in between
        del self._rows[key]
        return Noticed(at, Change.LAPSED, row)

    def register(self, key: Key, contact: Contact) -> Noticed | None:
        """Take in a REGISTER that the edge accepted."""
        held = self._edge.get(key)
        stored = self._stored.get(key)
        if held is None or held.source != contact.source or stored is None:
            stored = self._authorise(contact.username, contact.realm) or stored
        self._edge[key] = contact
        if stored is None:
            return None
        self._stored[key] = stored
        seconds = (contact.expires_at - contact.registered_at).total_seconds() * self.lifetime
        row = Row(contact, stored, contact.registered_at + timedelta(seconds=seconds))
        same = held is not None and (held.call_id, held.uri) == (contact.call_id, contact.uri) and key in self._rows
        self._rows.pop(key, None)  # it comes in last again
        self._rows[key] = row
        return Noticed(contact.registered_at, Change.REFRESHED if same else Change.REGISTERED, row)


_Due = tuple[datetime, int, Key, "Callable[[Key, datetime], Noticed | None]"]


def _registration(view: Ecallmgr, contact: Contact) -> Callable[[Key, datetime], Noticed | None]:
    return lambda key, _: view.register(key, contact)


def _made_at(contact: Contact) -> datetime:
    """Since when it has been there without a break, as far as the edge tells."""
    return contact.since or contact.registered_at


def _seen_at(held: Contact | None, contact: Contact) -> datetime:
    """When to take in a REGISTER: one of a row that never went away, no later than the row would have run out."""
    if held is None or _made_at(contact) >= held.expires_at:
        return contact.registered_at
    return min(contact.registered_at, held.expires_at)


def _is_new(held: Contact, contact: Contact) -> bool:
    """Whether the phone registered again; `expires_at` would jitter where an edge tells it in seconds left."""
    return (held.registered_at, held.call_id, held.uri) != (contact.registered_at, contact.call_id, contact.uri)


def _key(username: str, realm: str) -> Key:
    return username.lower(), realm.lower()
