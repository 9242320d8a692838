"""The address of a backend's API, as a person writes it into a provider's settings."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from realmkit.errors import InputError


def check_url(url: str, setting: str, hint: str, *, in_the_clear: bool = True) -> None:
    """See that `url` is the address of an API and nothing more.

    Args:
        url: as written.
        setting: what it is called, for errors: `powerdns: url`.
        hint: how to mend it.
        in_the_clear: whether plain HTTP may go to other machines than this one.

    Raises:
        InputError: it is no http(s) address; it holds a user, a query or a fragment; or a secret would go over the
            network unencrypted.
    """
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:
        fine = False
    if fine and (parts.username is not None or parts.password is not None):
        raise InputError(f"{setting} must hold no user and no password", hint="credentials have settings of their own")
    if not fine or "?" in url or "#" in url:
        shown = "it" if "@" in url else repr(url)  # what can't be read may hold a password
        raise InputError(f"{setting}: {shown} is no address of an API", hint=hint)
    if parts.scheme == "http" and not in_the_clear and not _is_this_machine(parts.hostname or ""):
        raise InputError(f"{setting}: {parts.hostname} would get the credentials in the clear", hint="write https://")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
