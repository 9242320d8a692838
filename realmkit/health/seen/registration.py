"""How domains stand with their registries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from realmkit.dns.names import Name


class RegistrationSeen(Struct, frozen=True):
    """What RDAP says of the domain under which a zone, or a host that serves zones, is registered.

    Attributes:
        role: whether `zone`s of ours hang on it, or only name `server`s of theirs.
        domain: the registered domain; where none was found, the name that it was looked for from.
        dependents: the zones or hosts that hang on it, sorted.
        state: `registered`; `unregistered`: its registry knows neither it nor a name above; or `unknown`.
        now: when that was so.
        expires: when the registration ends; None where the registry does not say.
        status: as RDAP words it, in lower case: `client hold` (RFC 8056, IANA's RDAP JSON values).
        detail: why it is unknown, for a person.
        source: whom this comes from, the RDAP server's host.
    """

    role: Literal["zone", "server"]
    domain: Name
    dependents: tuple[Name, ...]
    state: Literal["registered", "unregistered", "unknown"]
    now: datetime
    expires: datetime | None = None
    status: tuple[str, ...] = ()
    detail: str = ""
    source: str = ""
