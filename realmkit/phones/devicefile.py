"""A phone from a device document in a file: what the platform's API gives, saved as JSON or written as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from realmkit.errors import InputError
from realmkit.phones import catalog
from realmkit.phones.model import Line, Phone, Transport, mac_of
from realmkit.secrets import Password
from realmkit.yamlfile import load

if TYPE_CHECKING:
    from realmkit.config import PhonesEntry


class _Sip(Struct, frozen=True):
    username: str = ""
    password: str = ""
    realm: str | None = None
    expire_seconds: int = 300

    def __repr__(self) -> str:
        return f"_Sip({self.username!r})"


class _Provision(Struct, frozen=True):
    endpoint_brand: str | None = None
    endpoint_family: str | None = None
    endpoint_model: str | None = None


class _Device(Struct, frozen=True):
    """What is wanted of a device document; it has many more keys."""

    mac_address: str
    name: str = ""
    sip: _Sip = _Sip()
    provision: _Provision = field(default_factory=_Provision)


def read(
    path: Path,
    templates: Path | None,
    settings: PhonesEntry | None,
    *,
    realm: str | None = None,
    model: str | None = None,
    transport: str | None = None,
) -> Phone:
    """The phone that a device document describes.

    Args:
        path: the file; an API answer with the document under `data` will do.
        templates: the project's own, for the catalogue.
        settings: the project's word on phones; None for the defaults.
        realm: the realm to register at, instead of `sip.realm`.
        model: its model, instead of what `provision` says.
        transport: instead of the settings'.

    Raises:
        InputError: the file can't be read, or leaves out what a phone needs.
        NoModelError: nothing says what it is.
    """
    device = _document(path)
    where = realm or device.sip.realm
    if not where:
        raise InputError(
            f"{path}: the document has no sip.realm, for the device is in its account's", hint="say it with --realm"
        )
    mac = mac_of(device.mac_address)
    chosen = transport or (settings.transport if settings else "dns")
    line = Line(
        username=device.sip.username,
        auth_id=device.sip.username,
        password=Password(device.sip.password),
        realm=where,
        display_name=device.name,
        expires=settings.expires if settings else device.sip.expire_seconds,
        transport=msgspec.convert(chosen, Transport),
    )
    found = catalog.load(templates).identify(
        explicit=model,
        brand=device.provision.endpoint_brand,
        family=device.provision.endpoint_family,
        model=device.provision.endpoint_model,
        mac=mac,
    )
    url, ntp = (settings.url, settings.ntp) if settings else (None, None)
    return Phone(mac, found, device.name or mac, (line,), url=url, ntp=ntp)


def _document(path: Path) -> _Device:
    data: Any = load(path).data
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        data = data["data"]
    try:
        return msgspec.convert(data, _Device)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: no device document: {error}") from error
