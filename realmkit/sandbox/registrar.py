"""The platform's SIP edge: who is registered there, who may register, and how it is flushed and notified.

`Registrar` is what the rest of the sandbox needs of an edge; a real Kamailio can stand behind it.
`EmbeddedRegistrar` is one without sockets, with the habits of Kazoo's Kamailio configuration.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realmkit.clock import Clock

CACHE: Final = timedelta(seconds=7200)


class Contact(msgspec.Struct, frozen=True):
    """One row of the location table.

    Attributes:
        username: of the address of record.
        realm: of the address of record.
        uri: the Contact, `sip:user@10.0.0.5:5060`.
        source: where the REGISTER came from, `10.0.0.5:5060`.
        user_agent: the User-Agent header.
        call_id: of the last REGISTER.
        expires_at: when the row ends, UTC.
        registered_at: when the last REGISTER was accepted, UTC; it moves with every refresh.
        since: when the row was made, where the edge knows: it has not been away between then and `registered_at`.
    """

    username: str
    realm: str
    uri: str
    source: str
    user_agent: str
    call_id: str
    expires_at: datetime
    registered_at: datetime
    since: datetime | None = None


class Registrar(Protocol):
    """The platform's SIP edge."""

    def contacts(self) -> list[Contact]:
        """What the edge holds now; rows whose time is over are left out."""
        ...

    def use(self, passwords: Mapping[tuple[str, str], str]) -> None:
        """Who may register from now on, by (username, realm), and with which password.

        What the edge holds already stays, as its cached authorisations do.
        """
        ...

    def flush(self, realm: str, username: str | None = None) -> None:
        """Forget the rows and cached authorisations of exactly that realm, or of that one user in it."""
        ...

    def notify(self, username: str, realm: str, event: str) -> bool:
        """Send NOTIFY with that Event to the rows of username@realm. False when there is none."""
        ...


class Register(msgspec.Struct, frozen=True):
    """A REGISTER that came in.

    Attributes:
        username: of the address of record.
        realm: of the address of record; the digest's realm is the same.
        uri: the Contact; with `expires` 0, "*" stands for all of them.
        source: where it came from, `ip:port`.
        user_agent: the User-Agent header.
        call_id: the Call-ID header.
        expires: seconds asked for, 0 to unregister, None when neither header nor parameter names them.
    """

    username: str
    realm: str
    uri: str
    source: str
    user_agent: str = ""
    call_id: str = ""
    expires: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the registrar says to a REGISTER.

    Attributes:
        status: 200, 401 (challenge, also after a wrong password), 403, 423 (Interval Too Brief).
        expires: seconds granted with 200; the Min-Expires header's value with 423.
    """

    status: int
    expires: int = 0

    CHALLENGE: ClassVar[Answer]
    FORBIDDEN: ClassVar[Answer]

    @classmethod
    def OK(cls, expires: int) -> Answer:  # noqa: N802 - reads as its siblings CHALLENGE and FORBIDDEN do
        """Registered for so many seconds; 0 when it was an unregistration."""
        return cls(200, expires)

    @classmethod
    def too_brief(cls, minimum: int) -> Answer:
        """423 with Min-Expires (RFC 3261, 10.3 step 7)."""
        return cls(423, minimum)


Answer.CHALLENGE = Answer(401)
Answer.FORBIDDEN = Answer(403)


class EmbeddedRegistrar:
    """A registrar in this process.

    Its habits, from kamailio/registrar-role.cfg of 2600hz/kazoo-configs-kamailio:

    - An address of record with a cached authorisation (7200 s, renewed by every REGISTER) and a row from the same
      source is saved without any challenge, whatever Kazoo would say by now: OLD registrations outlive a realm change.
    - A wrong password and an unknown user are challenged again (401), for ever; 403 is never said by itself.
    - A wish below the minimum is answered 423, on the cached path it is raised; above the maximum it is cut.

    Args:
        clock: gives the time of registrations and expiries.
        deliver: takes a NOTIFY to the phone behind that row; the Event is its second argument. It may call back: no
            lock of the registrar is held.
        minimum: seconds; 300 is the platform's own.
        maximum: seconds.
        default: seconds for a REGISTER that names none.

    Attributes:
        refused: (username, realm in lower case) pairs that are answered 403 whatever they send: a fault for tests,
            which may be changed at will.
        sticky: whether a cached authorisation spares the challenge, as above; may be changed at will.
        watch: called after every REGISTER that made or ended a row, but not for refreshes; no lock is held.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[Contact, str], None],
        *,
        minimum: int = 300,
        maximum: int = 3600,
        default: int = 600,
    ) -> None:
        self.refused: set[tuple[str, str]] = set()
        self.sticky = True
        self.watch: Callable[[], None] = _nobody
        self._clock = clock
        self._deliver = deliver
        self._bounds = (minimum, maximum)
        self._default = default
        self._lock = threading.RLock()
        self._changes = 0
        self._passwords: dict[tuple[str, str], str] = {}
        self._rows: dict[tuple[str, str], list[Contact]] = {}
        self._cached_until: dict[tuple[str, str], datetime] = {}

    @property
    def changes(self) -> int:
        """How often its rows have changed; time alone, by which they run out, is not counted."""
        return self._changes

    def contacts(self) -> list[Contact]:
        """What it holds now; rows whose time is over are left out."""
        with self._lock:
            return [contact for key in list(self._rows) for contact in self._live(key)]

    def use(self, passwords: Mapping[tuple[str, str], str]) -> None:
        """Who may register from now on, by (username, realm). Rows and cached authorisations stay."""
        taken = {_key(username, realm): password for (username, realm), password in passwords.items()}
        with self._lock:
            self._passwords = taken

    def flush(self, realm: str, username: str | None = None) -> None:
        """Forget the rows and cached authorisations of exactly that realm, or of that one user in it."""
        realm = realm.lower()
        with self._lock:
            self._changes += 1
            for held in (self._rows, self._cached_until):
                for key in [key for key in held if key[1] == realm and username in (None, key[0])]:
                    del held[key]

    def notify(self, username: str, realm: str, event: str) -> bool:
        """Send NOTIFY with that Event to the rows of username@realm. False when there is none."""
        with self._lock:
            targets = self._live(_key(username, realm))
        for contact in targets:
            self._deliver(contact, event)
        return bool(targets)

    def register(self, request: Register, proof: Callable[[str], bool] | None) -> Answer:
        """Judge a REGISTER and keep what it says.

        Args:
            request: the REGISTER.
            proof: says whether the digest that came with it fits a password; None when it came without credentials.
        """
        key = _key(request.username, request.realm)
        with self._lock:
            before = [(row.uri, row.call_id) for row in self._live(key)]
            answer = self._judge(key, request, proof)
            news = before != [(row.uri, row.call_id) for row in self._live(key)]
        if news:
            self.watch()
        return answer

    def _judge(self, key: tuple[str, str], request: Register, proof: Callable[[str], bool] | None) -> Answer:
        if key in self.refused:
            return Answer.FORBIDDEN
        if self._is_cached(key, request.source):
            return self._save(key, request, self._clamped(request.expires))
        if request.expires is not None and 0 < request.expires < self._bounds[0]:
            return Answer.too_brief(self._bounds[0])
        password = self._passwords.get(key)
        if proof is None or password is None or not proof(password):
            return Answer.CHALLENGE
        return self._save(key, request, self._clamped(request.expires))

    def _is_cached(self, key: tuple[str, str], source: str) -> bool:
        """Whether it needs no authorisation: an entry in the cache, and a row from the same source."""
        until = self._cached_until.get(key)
        if not self.sticky or until is None or until <= self._clock.now():
            return False
        return any(contact.source == source for contact in self._live(key))

    def _clamped(self, wanted: int | None) -> int:
        if wanted == 0:
            return 0
        minimum, maximum = self._bounds
        return max(minimum, min(self._default if wanted is None else wanted, maximum))

    def _save(self, key: tuple[str, str], request: Register, expires: int) -> Answer:
        now = self._clock.now()
        self._changes += 1
        self._cached_until[key] = now + CACHE
        live = self._live(key)
        rows = [row for row in live if not _same_binding(row, request)]
        since = min((row.since or now for row in live if _same_binding(row, request)), default=now)
        if expires:
            rows.append(_contact(key, request, now, expires, since))
        if rows:
            self._rows[key] = rows
        else:
            self._rows.pop(key, None)
        return Answer.OK(expires)

    def _live(self, key: tuple[str, str]) -> list[Contact]:
        """The rows of one address of record whose time is not over; the others are dropped."""
        now = self._clock.now()
        rows = [row for row in self._rows.get(key, ()) if row.expires_at > now]
        if rows:
            self._rows[key] = rows
        else:
            self._rows.pop(key, None)
        return rows


def _nobody() -> None:
    """Nobody watches."""


def _contact(key: tuple[str, str], request: Register, now: datetime, expires: int, since: datetime) -> Contact:
    return Contact(
        username=key[0],
        realm=key[1],
        uri=request.uri,
        source=request.source,
        user_agent=request.user_agent,
        call_id=request.call_id,
        expires_at=now + timedelta(seconds=expires),
        registered_at=now,
        since=since,
    )


def _key(username: str, realm: str) -> tuple[str, str]:
    """Realms are host names and compare case-blind (RFC 3261, 19.1.4); user parts do not."""
    return username, realm.lower()


def _same_binding(row: Contact, request: Register) -> bool:
    """Whether it is the same phone: by its Contact or, after its NAT gave it another port, by its Call-ID."""
    if request.expires == 0 and request.uri == "*":
        return True
    return row.uri == request.uri or (bool(row.call_id) and row.call_id == request.call_id)
