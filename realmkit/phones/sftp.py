"""A directory behind SSH that phones fetch from.

One connection, opened when first needed, carries everything; many files go over up to eight channels of it. The
server must be one whose key the project's own `known_hosts` holds: nothing is learned on the way. A file is replaced
by OpenSSH's `posix-rename`, for the plain rename of SFTP (draft-ietf-secsh-filexfer-02, section 6.5) refuses an
existing target. SFTP has no way to sync a directory: after a power cut on the server look again before going on.
"""

from __future__ import annotations

import contextlib
import stat
import threading
from typing import TYPE_CHECKING, Final

from realmkit.errors import OutcomeUnknownError, RealmkitError, RefusedError, RejectedError, UnreachableError
from realmkit.phones.publish import temporary_name
from realmkit.phones.ssh import connect, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import paramiko

    from realmkit.phones.publish import Store
    from realmkit.phones.ssh import Account

MOST_CHANNELS: Final = 8  # OpenSSH's MaxSessions is 10
FILES_A_CHANNEL: Final = 4  # opening a channel costs as much as a few files
_CHUNK: Final = 32 * 1024


class Sftp:
    """A `publish.Store` over SFTP.

    Args:
        account: where to log in; done when first needed, and again after the connection was lost.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._client: paramiko.SSHClient | None = None
        self._channels: list[Channel] = []

    def read(self, path: str) -> bytes | None:
        """As `Store.read`."""
        return self._first().read(path)

    def write(self, path: str, data: bytes, mode: int) -> None:
        """As `Store.write`."""
        self._first().write(path, data, mode)

    def mark(self, path: str) -> None:
        """As `Store.mark`."""
        self._first().mark(path)

    def remove(self, path: str) -> None:
        """As `Store.remove`."""
        self._first().remove(path)

    def make_folder(self, path: str) -> None:
        """As `Store.make_folder`."""
        self._first().make_folder(path)

    def rename(self, path: str, to: str) -> None:
        """As `Store.rename`."""
        self._first().rename(path, to)

    def names(self, path: str) -> list[str]:
        """As `Store.names`."""
        return self._first().names(path)

    def remove_folder(self, path: str) -> None:
        """As `Store.remove_folder`."""
        self._first().remove_folder(path)

    def sync(self, path: str) -> None:
        """SFTP has nothing for it."""

    def each(self, items: Iterable[str], work: Callable[[Store, str], None]) -> None:
        """As `Store.each`: over several channels at a time where there is much to do. The first error ends it."""
        waiting = list(items)
        channels = self._some(len(waiting) // FILES_A_CHANNEL)
        if len(channels) == 1:
            for item in waiting:
                work(channels[0], item)
            return
        source, guard = iter(waiting), threading.Lock()
        failures: list[BaseException] = []

        def run(channel: Channel) -> None:
            try:
                while not failures:
                    with guard:
                        item = next(source, None)
                    if item is None:
                        return
                    work(channel, item)
            except BaseException as error:  # handed to the caller's thread below
                failures.append(error)

        threads = [threading.Thread(target=run, args=(channel,), daemon=True) for channel in channels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._channels.clear()
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _first(self) -> Channel:
        return self._some(1)[0]

    def _some(self, wanted: int) -> list[Channel]:
        """So many channels, at least one, and no more than the server lets us have."""
        transport = self._client.get_transport() if self._client else None
        if self._client is None or not (transport and transport.is_active()) or any(one.lost for one in self._channels):
            self.close()
            self._client = connect(self._account)
        if not self._channels:
            self._channels.append(self._open(self._client))
        for _ in range(min(wanted, MOST_CHANNELS) - len(self._channels)):
            try:
                self._channels.append(self._open(self._client))
            except RejectedError:
                break  # the server's MaxSessions is lower than ours
        return self._channels[: max(1, min(wanted, MOST_CHANNELS))]

    def _open(self, client: paramiko.SSHClient) -> Channel:
        import paramiko

        try:
            sftp = client.open_sftp()
            channel = sftp.get_channel()
            if channel is not None:
                channel.settimeout(self._account.timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise RejectedError(
                f"{self._account} opens no SFTP channel: {said(error)}",
                hint="the server needs `Subsystem sftp internal-sftp`, and a chroot that belongs to root",
            ) from error
        return Channel(sftp, self._account)


class Channel:
    """A `publish.Store` over one SFTP channel, for one thread at a time.

    Attributes:
        lost: whether an answer did not come; the channel is not to be used again.

    Raises:
        RejectedError: the published directory is not there.
    """

    def __init__(self, sftp: paramiko.SFTPClient, account: Account) -> None:
        self._sftp = sftp
        self._account = account
        self.lost = False
        with self._told(f"can't look at {account.path!r}", changing=False):
            found = sftp.stat(account.path or ".")
        if not stat.S_ISDIR(found.st_mode or 0):
            raise RejectedError(f"{account}: {account.path!r} is no directory; nothing was changed")
        self._group = found.st_gid

    def read(self, path: str) -> bytes | None:
        """As `Store.read`."""
        place = self._place(path)
        with self._told(f"can't read {place}", changing=False):
            try:
                found = self._sftp.lstat(place)
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(found.st_mode or 0):
                raise RefusedError(
                    f"{self._account}: {place} is no regular file, so it is not ours to replace", hint="move it away"
                )
            with self._sftp.open(place, "rb") as file:
                return file.read()

    def write(self, path: str, data: bytes, mode: int) -> None:
        """As `Store.write`."""
        place = self._place(path)
        temporary = self._place(temporary_name(path))
        with self._told(f"can't write {place}; the old one stands", changing=True):
            try:
                self._fill(temporary, data, mode)
                self._sftp.posix_rename(temporary, place)
            except OSError:
                with contextlib.suppress(OSError, EOFError):
                    self._sftp.remove(temporary)
                raise

    def _fill(self, temporary: str, data: bytes, mode: int) -> None:
        """Write a file that nobody else can read before it is finished."""
        with self._sftp.open(temporary, "wb") as file:
            file.chmod(0o600)
            for start in range(0, len(data), _CHUNK):
                file.write(data[start : start + _CHUNK])
            if mode != 0o600:
                self._give_group(file)
                file.chmod(mode)

    def _give_group(self, file: paramiko.SFTPFile) -> None:
        """The published directory's group, which is how a web server reads; left as it is where we may not."""
        if self._group is None:
            return
        own = file.stat()
        if own.st_gid == self._group:
            self._group = None  # the server does it by itself, and will the next time
            return
        with contextlib.suppress(PermissionError):
            file.chown(own.st_uid or 0, self._group)

    def mark(self, path: str) -> None:
        """As `Store.mark`: in a folder that nobody else may enter."""
        place = self._place(path)
        with self._told(f"can't write {place}", changing=True):
            self._sftp.open(place, "wb").close()

    def remove(self, path: str) -> None:
        """As `Store.remove`."""
        place = self._place(path)
        with self._told(f"can't remove {place}", changing=True), contextlib.suppress(FileNotFoundError):
            self._sftp.remove(place)

    def make_folder(self, path: str) -> None:
        """As `Store.make_folder`."""
        place = self._place(path)
        with self._told(f"can't make {place}", changing=True):
            try:
                found = self._sftp.lstat(place)
            except FileNotFoundError:
                self._sftp.mkdir(place, 0o700)
                return
            if not stat.S_ISDIR(found.st_mode or 0):
                raise RefusedError(f"{self._account}: {place} is no directory, so it is not ours", hint="move it away")

    def rename(self, path: str, to: str) -> None:
        """As `Store.rename`."""
        place = self._place(path)
        with self._told(f"can't rename {place}", changing=True), contextlib.suppress(FileNotFoundError):
            self._sftp.posix_rename(place, self._place(to))

    def names(self, path: str) -> list[str]:
        """As `Store.names`."""
        with self._told(f"can't list {self._place(path)}", changing=False):
            try:
                return sorted(self._sftp.listdir(self._place(path)))
            except FileNotFoundError:
                return []

    def remove_folder(self, path: str) -> None:
        """As `Store.remove_folder`."""
        place = self._place(path)
        with self._told(f"can't remove {place}", changing=True), contextlib.suppress(FileNotFoundError):
            self._sftp.rmdir(place)

    def sync(self, path: str) -> None:
        """SFTP has nothing for it."""

    def each(self, items: Iterable[str], work: Callable[[Store, str], None]) -> None:
        """As `Store.each`: one after the other."""
        for item in items:
            work(self, item)

    def close(self) -> None:
        """The connection's owner closes it."""

    def _place(self, path: str) -> str:
        root = self._account.path.rstrip("/")
        return f"{root}/{path}" if root or self._account.path.startswith("/") else f"./{path}"

    @contextlib.contextmanager
    def _told(self, what: str, *, changing: bool) -> Iterator[None]:
        """Turn what goes wrong into an error for people: refused by the server, or no answer at all."""
        import paramiko

        try:
            yield
        except RealmkitError:
            raise
        except (EOFError, paramiko.SSHException, TimeoutError, ConnectionError) as error:
            raise self._lost(what, error, changing=changing) from error
        except OSError as error:
            if "closed" in str(error).lower():  # paramiko's word for a connection that is gone
                raise self._lost(what, error, changing=changing) from error
            raise RejectedError(f"{self._account}: {what}: {said(error)}", hint=_mend(error)) from error

    def _lost(self, what: str, error: BaseException, *, changing: bool) -> RealmkitError:
        self.lost = True
        if changing:
            return OutcomeUnknownError(
                f"{self._account}: the connection was lost ({said(error)}) while writing",
                hint="the file is the old one or the new one, whole; publishing again settles it",
            )
        return UnreachableError(f"{self._account}: {what}: the connection was lost ({said(error)})")


def _mend(error: OSError) -> str | None:
    if str(error) == "Failure":
        return "SFTP gives no reason; most often the server's disk or the user's quota is full"
    if isinstance(error, PermissionError):
        return "the directory must be writable for that user, and the server must allow posix-rename"
    if "unsupported" in str(error).lower():
        return "the server does not know posix-rename@openssh.com, without which a file can't be replaced atomically"
    return None
