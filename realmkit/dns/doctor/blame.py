"""Which line of `realmkit.yml` an error of a provider is about: where a person would go to mend it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from realmkit.errors import (
    AuthError,
    MissingExtraError,
    RateLimitedError,
    RealmkitError,
    RejectedError,
    SecretError,
    UnreachableError,
)
from realmkit.secrets import PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realmkit.yamlfile import Document

Path_ = tuple["str | int", ...]
_REFERENCE: Final = re.compile(PATTERN)
_IDENTITY: Final = ("profile", "role_arn", "user", "tsig")  # settings that say who we are without being a secret
_ADDRESS: Final = ("url", "server", "endpoint_url", "base_url", "host")


def line_of(document: Document, path: Path_) -> str:
    """`realmkit.yml:14 providers.aws.profile`."""
    return f"{document.file.name}:{document.place(path).line} {'.'.join(map(str, path))}"


def path_of(error: RealmkitError, zone: str, provider: str, entry: Mapping[str, Any]) -> Path_:
    """The path in the configuration that an error is most likely about.

    Args:
        error: what a provider raised when the zone was read.
        zone: the zone's key under `zones:`.
        provider: the provider's key under `providers:`.
        entry: what stands there.
    """
    at: Path_ = ("providers", provider)
    if isinstance(error, MissingExtraError):
        return (*at, "type")
    if isinstance(error, SecretError):
        named = [path for path, text in _references(entry) if text in error.message]
        return (*at, *named[0]) if named else at
    if isinstance(error, AuthError):
        secrets = [path for path, _ in _references(entry)]
        known = [(key,) for key in _IDENTITY if key in entry]
        return (*at, *(secrets or known or [()])[0])
    if isinstance(error, UnreachableError):
        return (*at, *next(((key,) for key in _ADDRESS if key in entry), ()))
    if isinstance(error, RejectedError) and not isinstance(error, RateLimitedError):
        return ("zones", zone, "provider")
    return at


def _references(data: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Every reference to a secret in a provider's entry, with its place."""
    if isinstance(data, str) and _REFERENCE.match(data):
        yield path, data
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from _references(value, (*path, key))
