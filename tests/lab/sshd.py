"""A real OpenSSH server that gives one folder away over SFTP, and nothing else.

The folder lies in a chroot under /run, for sshd wants every folder above it to belong to root and to be writable by
nobody else, and a temporary directory is not. All of it goes when the server stops.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.lab.server import Server, run, wait_for


class Sshd(Server):
    """sshd on port 22 of an address of its own, for the user root with `client_key`.

    Args:
        directory: its configuration, keys and log.
        address: where it listens.
        port: likewise.
        disk: the size of a small disk for the published folder, `64k`; None for a folder on the machine's own.
        sftp: arguments of internal-sftp: `-P posix-rename` refuses that request.
        options: further lines of its configuration.

    Attributes:
        client_key: the private key that may log in.
        PATH: the published folder, as clients name it.
    """

    PATH = "/cfg"

    def __init__(
        self, directory: Path, address: str, port: int = 22, *, disk: str | None = None, sftp: str = "",
        options: str = "",
    ) -> None:  # fmt: skip
        super().__init__(directory, address, port)
        self._disk = disk
        self._sftp = sftp
        self._options = options
        self.client_key = directory / "client"
        self.jail = Path(f"/run/realmkit-lab-{os.getpid()}-{address}")

    @property
    def root(self) -> Path:
        """The published folder, as the test sees it: with a small disk through the server's own eyes."""
        inside = self.jail / "cfg"
        return Path(f"/proc/{self.pid}/root{inside}") if self._disk else inside

    def known_hosts(self, name: str | None = None, key: str = "host") -> str:
        """A line of a known_hosts file for this server, or for a `name` of the test's choice."""
        where = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        kind, data = (self.directory / f"{key}.pub").read_text().split()[:2]
        return f"{name or where} {kind} {data}\n"

    def fingerprint(self, key: str = "host") -> str:
        """As OpenSSH's own tool shows it."""
        return run("ssh-keygen", "-lf", str(self.directory / f"{key}.pub")).split()[1]

    def command(self) -> Sequence[str]:
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin") or "sshd"  # it insists on an absolute path
        plain = [sshd, "-D", "-e", "-f", str(self.directory / "sshd_config")]
        if self._disk is None:
            return plain
        mount = f"mount -t tmpfs -o size={self._disk},mode=755 lab {self.jail}/cfg"
        return ["unshare", "--mount", "sh", "-c", f"{mount} && exec {' '.join(plain)}"]

    def configure(self) -> None:
        for name in ("host", "client", "other"):
            if not (self.directory / name).exists():
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / name))
        for folder in (Path("/run/sshd"), self.jail, self.jail / "cfg"):
            folder.mkdir(mode=0o755, exist_ok=True)
        (self.directory / "sshd_config").write_text(f"""Port {self.port}
ListenAddress {self.address}
HostKey {self.directory}/host
PidFile none
AuthorizedKeysFile {self.directory}/client.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
{self._options}
Subsystem sftp internal-sftp
Match User root
  ChrootDirectory {self.jail}
  ForceCommand internal-sftp {self._sftp}
""")

    def _answers(self) -> bool:
        assert self.alive, f"{self} died:\n{self.log_text()[-3000:]}"
        try:
            with socket.create_connection((self.address, self.port), 0.25) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, IndexError):
                if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(self.pid):
                    found.append(int(entry.name))
        return found

    def cut(self) -> None:
        """End every connection at once, as a cable that is pulled and a server that is reset would."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for("sessions end", lambda: not self.sessions())

    def restart(self) -> Self:
        """Start again; the published folder stays."""
        super().stop()
        return self.start()

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.jail, ignore_errors=True)
