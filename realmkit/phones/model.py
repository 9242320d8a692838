"""What a phone is, as far as its configuration says: its model, its lines, the files that it fetches."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec
from msgspec import Struct

from realmkit.errors import InputError
from realmkit.secrets import Password

Transport = Literal["dns", "udp", "tcp", "tls"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("dns", "udp", "tcp", "tls")
DEFAULT_PORTS: Final[dict[str, int]] = {"dns": 0, "udp": 5060, "tcp": 5060, "tls": 5061}

_MAC = re.compile(r"[0-9a-f]{12}\Z")


class Line(Struct, frozen=True, omit_defaults=True):
    """One SIP account on a phone.

    Attributes:
        username: the user part of the address of record.
        auth_id: the digest username (RFC 7616), most often the same.
        password: the digest password; a plain `str` is wrapped, so that no repr shows it.
        realm: the SIP domain to register at.
        display_name: what callers see, may be empty.
        expires: seconds that a registration is asked for (RFC 3261 section 10.2.1.1).
        transport: `dns` leaves transport and port to NAPTR and SRV (RFC 3263); the others fix the transport.
        port: of the registrar; 0 means the transport's own (5060, for TLS 5061) and is the only one that `dns` allows.
        label: what stands beside the line key; None for the user name.
    """

    username: str
    auth_id: str
    password: Password
    realm: str
    display_name: str = ""
    expires: int = 300
    transport: Transport = "dns"
    port: int = 0
    label: str | None = None

    def __post_init__(self) -> None:
        """Wrap a plain password."""
        if type(self.password) is not Password:
            msgspec.structs.force_setattr(self, "password", Password(self.password))

    @property
    def port_used(self) -> int:
        """The port that a configuration names; 0 where DNS decides."""
        return self.port or DEFAULT_PORTS[self.transport]


class Model(Struct, frozen=True):
    """A kind of phone, as the catalogue knows it.

    Attributes:
        vendor: `yealink`.
        family: `t`, models that are configured alike.
        name: `yealink/t54w`.
        accounts: how many lines it can register.
        event: the NOTIFY event that makes it fetch its configuration, without a reboot where it can; None where no
            event does.
        settle: seconds within which it should be registered again after that event.
        file_names: the files it fetches, with `{mac}` in them.
        content_type: of all of them, for a web server.
        reboots: whether that event restarts it.
    """

    vendor: str
    family: str
    name: str
    accounts: int
    event: str | None
    settle: int
    file_names: tuple[str, ...]
    content_type: str
    reboots: bool = False

    @property
    def path(self) -> str:
        """The folder of its templates: `yealink/t`."""
        return f"{self.vendor}/{self.family}"

    def files(self, mac: str) -> tuple[str, ...]:
        """The names of the files that the phone with this MAC address fetches, the one with its lines first."""
        return tuple(name.replace("{mac}", mac) for name in self.file_names)


class Phone(Struct, frozen=True):
    """One phone and everything its configuration is to say.

    Attributes:
        mac: twelve hexadecimal digits, lower case, no separators (`mac_of` makes them).
        model: what it is.
        name: what people call it; used in messages.
        lines: its accounts, the first line key first.
        url: where it is to fetch its configuration; None leaves its own setting.
        ntp: its time server; None leaves its own setting.
        timezone: an IANA name, for a project's own templates; the shipped ones leave the phone's time zone alone.
        retry: seconds until it tries again after a failed registration: a phone that fetched its new realm a little
            early must not wait half an hour.
    """

    mac: str
    model: Model
    name: str
    lines: tuple[Line, ...]
    url: str | None = None
    ntp: str | None = None
    timezone: str | None = None
    retry: int = 15

    def __post_init__(self) -> None:
        """Refuse what would become a wrong file name."""
        if not _MAC.match(self.mac):
            raise InputError(f"phone {self.name!r}: {self.mac!r} is no MAC address of twelve lower-case digits")

    def __str__(self) -> str:
        return f"phone {self.name!r} ({self.mac})"


class File(Struct, frozen=True):
    """A rendered file. Its repr tells its size, never its content, which holds passwords."""

    name: str
    content: bytes
    content_type: str

    def __repr__(self) -> str:
        return f"File({self.name!r}, {len(self.content)} bytes, {self.content_type!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for rich, which would look at the fields."""
        return [("name", self.name), ("octets", len(self.content))]


def mac_of(text: str) -> str:
    """A MAC address as its twelve lower-case digits, from any of the usual spellings.

    Raises:
        InputError: it is none.
    """
    found = re.sub(r"[:.\-\s]", "", text).lower()
    if not _MAC.match(found):
        raise InputError(f"{text!r} is no MAC address", hint="write it as 80:5e:c0:12:34:56")
    return found
