"""What a user configures to reach Crossbar, checked without repeating a secret; and texts with secrets taken out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from realmkit.errors import InputError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRET_KEYS: Final = ("password", "secret", "api_key", "auth_token")


def base_url(url: str) -> str:
    """The API's address with `/v2` and without a slash at its end.

    Raises:
        InputError: no http or https, no host, a login or a query inside, or another version of the API.
    """
    where = "platform.kazoo.url"
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if parts.username or parts.password:
        raise InputError(f"{where} holds a login", hint="Crossbar wants an API key, in platform.kazoo.api_key")
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
        raise InputError(f"{where} {url!r} is no address of an API", hint="https://api.example.net:8443/v2")
    path = parts.path.rstrip("/")
    version = path.rpartition("/")[2]
    if re.fullmatch(r"v[0-9]+", version) and version != "v2":
        raise InputError(f"{where} names version {version} of the API", hint="realmkit speaks v2")
    return f"{parts.scheme}://{parts.netloc}{path if version == 'v2' else path + '/v2'}"


def checked_key(api_key: str) -> str:
    """The key without blanks around it.

    Raises:
        SecretError: it is no API key; the message says in which way, without repeating any of it.
    """
    key = api_key.strip()
    if re.fullmatch(r"[0-9A-Fa-f]{64}", key):
        return key
    found = f"{len(key)} characters" if len(key) != 64 else "64 characters that are not all hexadecimal"
    raise SecretError(
        f"platform.kazoo.api_key: expected 64 hexadecimal digits, found {found}",
        hint="`GET /accounts/{ACCOUNT}/api_key` or the portal's developer page shows the account's key",
    )


def cleaner(sent: Mapping[str, Any] | None, *known: str) -> Callable[[str], str]:
    """What takes secrets and control characters out of a text that Crossbar wrote.

    Args:
        sent: the envelope that was sent, whose passwords an answer may repeat.
        known: further secrets; empty ones are left out.
    """
    secrets = sorted({*known, *_secrets_in(sent)} - {""}, key=len, reverse=True)

    def clean(words: str) -> str:
        for secret in secrets:
            words = words.replace(secret, "(secret)")
        return "".join(char if char.isprintable() else " " for char in words[:500])

    return clean


def _secrets_in(value: Any) -> set[str]:
    """Every string under a key that names a secret."""
    if isinstance(value, Mapping):
        found = {
            item
            for key, item in value.items()
            if isinstance(item, str) and any(word in str(key).lower() for word in _SECRET_KEYS)
        }
        return found.union(*map(_secrets_in, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_secrets_in, value))
    return set()
