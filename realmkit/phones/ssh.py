"""A connection to a server whose key the project knows beforehand: nothing is learned on the way."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from realmkit.errors import AuthError, InputError, RealmkitError, RefusedError, UnreachableError

if TYPE_CHECKING:
    import paramiko

TIMEOUT: Final = 15.0
KEEPALIVE: Final = 30


class HostKeyError(RefusedError):
    """The server's key is not the one that the project knows. Nothing was sent."""


class Account(Struct, frozen=True):
    """Where to log in.

    Attributes:
        host: the server.
        port: of its SSH.
        user: whom to log in as.
        path: the published directory, as the server names it.
        known_hosts: an OpenSSH file that holds the server's key.
        key_file: the private key; None asks the SSH agent.
        passphrase: of the private key.
        timeout: seconds to wait for a connection, and for every answer.
    """

    host: str
    port: int
    user: str
    path: str
    known_hosts: Path
    key_file: Path | None = None
    passphrase: str | None = None
    timeout: float = TIMEOUT

    def __repr__(self) -> str:
        return f"Account({self.user}@{self.host}:{self.port}, {self.path!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for rich, which would look at the passphrase."""
        return [("where", str(self)), ("path", self.path)]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    @property
    def entry_name(self) -> str:
        """How `known_hosts` calls the server: `[host]:port` where the port is not 22."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"


def connect(account: Account) -> paramiko.SSHClient:
    """Log in.

    Raises:
        HostKeyError: the server's key is unknown, or another than the project knows.
        AuthError: the server does not accept the key.
        UnreachableError: no answer.
        InputError: there is no such key file.
    """
    import paramiko

    client = paramiko.SSHClient()
    policy: Any = _Stranger(account)  # paramiko asks for its own class, and needs the one method
    client.set_missing_host_key_policy(policy)
    try:
        _load_known_hosts(client, account)
        client.connect(
            account.host,
            port=account.port,
            username=account.user,
            key_filename=str(account.key_file) if account.key_file else None,
            passphrase=account.passphrase,
            allow_agent=account.key_file is None,
            look_for_keys=False,
            timeout=account.timeout,
            banner_timeout=account.timeout,
            auth_timeout=account.timeout,
        )
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE)
    except BaseException as error:
        client.close()
        raise _refused(account, error) from error
    return client


def _load_known_hosts(client: paramiko.SSHClient, account: Account) -> None:
    """Read the project's file, and no other. Without one every server is a stranger, which says what to do."""
    with contextlib.suppress(FileNotFoundError):
        client.load_host_keys(str(account.known_hosts))


def _refused(account: Account, error: BaseException) -> BaseException:
    """Why there is no connection, as an error for people."""
    import paramiko

    if isinstance(error, RealmkitError) or not isinstance(error, Exception):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        return _changed(account, error)
    if isinstance(error, paramiko.PasswordRequiredException):
        return AuthError(f"{account.key_file} needs a passphrase", hint="phones.publish.passphrase: env:NAME")
    if isinstance(error, paramiko.AuthenticationException):
        with_what = f"the key {account.key_file}" if account.key_file else "any key of the SSH agent"
        return AuthError(f"{account} does not accept {with_what}", hint="add the public key to its authorized_keys")
    if isinstance(error, FileNotFoundError) and account.key_file:
        return InputError(f"{account.key_file}: no such file", hint="phones.publish.key_file names a private key")
    return UnreachableError(f"no SSH connection to {account}: {said(error)}")


def _changed(account: Account, error: Any) -> HostKeyError:
    return HostKeyError(
        f"{account.host} shows the {error.key.get_name()} key {fingerprint(error.key)}, but {account.known_hosts} has "
        f"{fingerprint(error.expected_key)}: another server, a new one, or somebody in between",
        hint=f"ask who runs it; if its key did change, replace the line of {account.entry_name} in that file",
    )


class _Stranger:
    """What happens with a server whose key is not known: it is refused, with the line that would make it known."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002 - paramiko's
        """As paramiko calls it."""
        raise HostKeyError(
            f"the key of {self._account.entry_name} is not in {self._account.known_hosts}; "
            f"it shows the {key.get_name()} key {fingerprint(key)}",
            hint="compare that with what its owner says (ssh-keygen -lf on the server), then add the line\n"
            f"       {self._account.entry_name} {key.get_name()} {key.get_base64()}",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """As OpenSSH shows it: `SHA256:` and the digest in base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def said(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, TimeoutError | socket.gaierror):
        return "no answer in time" if isinstance(error, TimeoutError) else "no such host"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
