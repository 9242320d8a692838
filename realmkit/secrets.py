"""Secrets by reference: `env:NAME`, `file:PATH`, `keyring:SERVICE/USER`.

The configuration holds only the reference, so it can live in git. The value is fetched at the edge, by the
code that sends it, and a `Secret` never shows it in a repr, a log, a plan or an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from realmkit.errors import MissingExtraError, SecretError

SCHEMES: Final = ("env", "file", "keyring")
PATTERN: Final = r"^(env|file|keyring):.+$"


class Secret:
    """A reference to a secret.

    Args:
        reference: `env:NAME`, `file:PATH` (relative to the project) or `keyring:SERVICE/USER`.

    Raises:
        SecretError: the text is no reference; most likely the secret itself. It is not repeated.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        scheme, _, rest = reference.partition(":")
        if scheme not in SCHEMES or not rest:
            raise SecretError(
                "expected a reference to a secret, found what may be the secret itself",
                hint="put it in a file readable by you alone and write file:NAME, or use env:NAME",
            )
        self.reference = reference

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def reveal(self, base: Path) -> str:
        """Fetch the value.

        Args:
            base: the project directory, against which a relative `file:` is resolved.

        Raises:
            SecretError: there is no such variable, file or keyring entry, or it is empty.
            MissingExtraError: `keyring:` is used and the package is not installed.
        """
        scheme, _, rest = self.reference.partition(":")
        if scheme == "env":
            value = os.environ.get(rest, "")
        elif scheme == "file":
            value = _from_file(base / rest, self.reference)
        else:
            value = _from_keyring(rest, self.reference)
        if not value:
            raise SecretError(f"{self.reference} is not set or empty")
        return value


class Password(str):
    """A string that shows itself only where it is used on purpose, never in a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Password('***')"


def _from_file(path: Path, reference: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{reference}: can't read {path}: {error}") from error


def _from_keyring(rest: str, reference: str) -> str:
    try:
        import keyring
    except ImportError as error:
        raise MissingExtraError(
            f"{reference} needs the keyring package", hint="pip install 'realmkit[keyring]'"
        ) from error
    service, _, user = rest.partition("/")
    try:
        return keyring.get_password(service, user) or ""
    except Exception as error:  # keyring backends raise whatever they like
        raise SecretError(f"{reference}: the keyring refused: {error}") from error
