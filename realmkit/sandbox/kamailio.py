"""A real Kamailio as the platform's edge, driven over its JSON-RPC.

Its configuration must keep credentials in the htable `cred` (user@realm to password), cached authorisations in
`auth_cache` (user@realm to source), registrations in the location table `location` with the source as received address,
and answer JSON-RPC over HTTP. tests/lab/sipservers.py writes such a configuration.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from realmkit.errors import InputError, RealmkitError
from realmkit.sandbox.loop import check_loopback
from realmkit.sandbox.registrar import Contact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.clock import Clock

_PATIENCE: Final = 10.0
_SOURCE: Final = re.compile(r"sip:([0-9.]+:[0-9]+)")


class KamailioError(RealmkitError):
    """Kamailio can't be reached, or refuses a command."""


class KamailioRegistrar:
    """`realmkit.sandbox.registrar.Registrar` by JSON-RPC, over one connection. Fit for threads.

    A Kamailio that was started anew has forgotten its credentials; the next `use` notices and sends them all.

    Args:
        url: of the RPC, `http://127.0.0.20:5060/RPC`; loopback only.
        clock: gives the times in contacts, which Kamailio tells in seconds from now.
        sip: where it speaks SIP, `127.0.0.20:5060`; None for the URL's host and port.

    Raises:
        InputError: the URL is not on loopback.
    """

    def __init__(self, url: str, clock: Clock, *, sip: str | None = None) -> None:
        parts = urlsplit(url)
        check_loopback(parts.hostname or "")
        self._path = parts.path or "/"
        self._link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
        self._clock = clock
        self._sip = sip or parts.netloc
        self._lock = threading.RLock()
        self._known: dict[str, str] | None = None  # what Kamailio's own table holds, as far as that is sure
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def contacts(self) -> list[Contact]:
        """What it holds now; rows whose time is over are left out. Raises KamailioError, as every method here."""
        now = self._clock.now()
        found = (_contact(aor, fields, now) for aor, fields in self._rows())
        return [contact for contact in found if contact is not None and contact.expires_at > now]

    def use(self, passwords: Mapping[tuple[str, str], str]) -> None:
        """Who may register from now on. Only what differs from the last time (or from Kamailio's own table) is sent."""
        wanted = {f"{username}@{realm.lower()}": password for (username, realm), password in passwords.items()}
        with self._lock:
            known, self._known = self._known, None  # unsure until all of it is done
            if known is None:
                known = self._table("cred")
            for key in known.keys() - wanted.keys():
                self._call("htable.delete", "cred", key)
            for key, password in wanted.items():
                if known.get(key) != password:
                    self._call("htable.sets", "cred", key, password)
            self._known = wanted

    def flush(self, realm: str, username: str | None = None) -> None:
        """Forget the rows and cached authorisations of exactly that realm, or of that one user in it."""
        realm = realm.lower()

        def meant(aor: str) -> bool:
            user, _, host = aor.rpartition("@")
            return host.lower() == realm and username in (None, user)

        for aor in {aor for aor, _ in self._rows() if meant(aor)}:
            self._call("ul.rm", "location", aor, missing_is_fine=True)
        for key in filter(meant, self._table("auth_cache")):
            self._call("htable.delete", "auth_cache", key, missing_is_fine=True)

    def notify(self, username: str, realm: str, event: str) -> bool:
        """Send NOTIFY with that Event to the rows of username@realm; it is Kamailio that repeats it until answered.

        Returns:
            False when there is none.

        Raises:
            InputError: the Event can't stand in a header.
        """
        if not event.isprintable():
            raise InputError(f"{event!r} is no Event that a SIP header can hold")
        rows = [one for one in self.contacts() if (one.username, one.realm) == (username, realm.lower())]
        for row in rows:
            aor = f"sip:{username}@{row.realm}"
            headers = [
                f"From: <{aor}>;tag=realmkit{next(self._numbers)}",
                f"To: <{aor}>",
                f"Contact: <sip:{self._sip}>",
                f"Event: {event}",
                "Subscription-State: active",
            ]
            lines = "".join(f"{line}\r\n" for line in headers)
            self._call("tm.t_uac_start", "NOTIFY", row.uri, f"sip:{row.source}" if row.source else ".", ".", lines)
        return bool(rows)

    # --- JSON-RPC ----------------------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each address of record with each of its contacts, as `ul.dump` shows them."""
        dump = self._call("ul.dump", missing_is_fine=True) or {}
        for domain in dump.get("Domains", ()):
            if domain["Domain"]["Domain"] != "location":
                continue
            for record in domain["Domain"]["AoRs"]:
                info = record["Info"]
                for contact in info["Contacts"]:
                    yield info["AoR"], contact["Contact"]

    def _table(self, name: str) -> dict[str, str]:
        slots = self._call("htable.dump", name, missing_is_fine=True) or ()
        return {item["name"]: str(item["value"]) for slot in slots for item in slot["slot"]}

    def _call(self, method: str, *parameters: str, missing_is_fine: bool = False) -> Any:
        """Call; the result. None where there is nothing and `missing_is_fine`. Parameters are never shown."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        try:
            answer = json.loads(self._post(body))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise KamailioError(f"{method} at {self._sip}: {type(error).__name__}: {error}") from error
        if (problem := answer.get("error")) is None:
            return answer.get("result")
        if missing_is_fine and problem.get("code") in (404, 500):
            return None
        raise KamailioError(f"Kamailio at {self._sip} refuses {method}: {problem.get('message')}")

    def _post(self, body: str) -> bytes:
        with self._lock:
            try:
                return self._post_once(body)
            except (ConnectionError, http.client.BadStatusLine):  # it closed the idle connection, or is another one now
                self._known = None
                return self._post_once(body)

    def _post_once(self, body: str) -> bytes:
        try:
            self._link.request("POST", self._path, body, {"Content-Type": "application/json"})
            return self._link.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._link.close()
            raise


def _contact(aor: str, fields: Mapping[str, Any], now: datetime) -> Contact | None:
    """A row; None for one that is about to be removed."""
    expires = fields["Expires"]
    if expires in ("expired", "deleted"):
        return None
    username, _, realm = aor.rpartition("@")
    source = _SOURCE.fullmatch(str(fields.get("Received", "")))
    ends = datetime.max.replace(tzinfo=UTC) if expires == "permanent" else now + timedelta(seconds=int(expires))
    return Contact(
        username=username,
        realm=realm.lower(),
        uri=fields["Address"],
        source=source[1] if source else "",
        user_agent=str(fields.get("User-Agent", "")),
        call_id=str(fields.get("Call-ID", "")),
        expires_at=ends,
        registered_at=datetime.fromtimestamp(float(fields["Last-Modified"]), UTC),
    )
