"""What every daemon of the lab has in common: start and be ready, answer, freeze, thaw, stop, leave nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAMS = (
    "named", "rndc", "nsupdate", "named-checkzone", "knotd", "knotc", "kdig", "kzonecheck", "nsd", "nsd-control",
    "pdns_server", "sqlite3", "unbound", "unbound-control", "ip", "setpriv", "kamailio", "baresip", "sipp", "sshd",
    "ssh-keygen", "openssl", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey",
)  # fmt: skip


@dataclass(frozen=True)
class Tsig:
    """A TSIG key: name with its final dot, algorithm, secret in base64."""

    name: str = "lab-key."
    algorithm: str = "hmac-sha256"
    secret: str = "bGFiLWtleS1vZi10aGUtdGVzdHMtbm90LXNlY3JldCE="


KEY = Tsig()


def base_zone(records: str = "", serial: int = 1) -> str:
    """A zone file with SOA and NS, relative names, TTL 300; `records` follow."""
    soa = f"@ SOA ns1.lab.example. hostmaster.lab.example. {serial} 60 5 3600 5"
    return f"$TTL 300\n{soa}\n@ NS ns1.lab.example.\n{records}\n"


def wait_for(what: str, seen: Callable[[], bool], timeout: float = 15.0, log: Callable[[], str] = str) -> None:
    """Wait until `seen()` holds; `log` is asked for what to show when it does not.

    Raises:
        AssertionError: it did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not seen():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{log()[-3000:]}"
        time.sleep(0.01)


def run(*command: str, stdin: str | None = None) -> str:
    """Run a control program of the lab; its output.

    Raises:
        AssertionError: it failed; with all it said.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


class Server(ABC):
    """A daemon that answers DNS on `address`:`port` until `stop()`, or until the test process dies.

    Attributes:
        directory: its configuration, zones and log.
        pid: its process, which is also the process group of its children.
    """

    def __init__(self, directory: Path, address: str, port: int = 53) -> None:
        self.directory = directory
        self.address = address
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The program and its arguments, to run in the foreground."""

    @abstractmethod
    def configure(self) -> None:
        """Write the configuration into `directory`."""

    @property
    def where(self) -> str:
        """`127.0.0.2:53`, as configurations name a server."""
        return f"{self.address}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Configure, start, and wait for an answer of that very process."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._claim()
        self.configure()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(f"{self} answers", self._answers, log=self.log_text)
        return self

    def _claim(self) -> None:
        """The address must be free now, so that who answers later is who we start."""
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
                probe.bind((self.address, self.port))

    def _answers(self) -> bool:
        assert self.alive, f"{self} died:\n{self.log_text()[-3000:]}"
        try:
            self.query("ready.invalid.", "SOA", timeout=0.25)
        except (dns.exception.DNSException, OSError):
            return False
        return self.alive

    def stop(self) -> None:
        """End it, its children too; SIGKILL if it does not want to. Fine to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children that outlived it

    def restart(self) -> Self:
        """Stop and start again with what is in `directory`."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Make it silent without ending it (SIGSTOP)."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def log_text(self) -> str:
        """All that it wrote since its first start."""
        log = self.directory / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def query(self, name: str, kind: str, *, tcp: bool = False, timeout: float = 2.0) -> dns.message.Message:
        """Ask it; truncated answers are asked again over TCP. Raises as dns.query does."""
        message = dns.message.make_query(name, kind, use_edns=0, payload=1232)
        message.flags &= ~dns.flags.RD
        if tcp:
            return dns.query.tcp(message, self.address, timeout=timeout, port=self.port)
        return dns.query.udp_with_fallback(message, self.address, timeout=timeout, port=self.port)[0]

    def answer(self, name: str, kind: str) -> set[str]:
        """The rdata that it serves for a name and type, as text; empty for none.

        Raises:
            AssertionError: neither NOERROR nor NXDOMAIN, or not authoritative.
        """
        message = self.query(name, kind)
        assert message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), f"{self}: {message.rcode()}"
        assert message.flags & dns.flags.AA, f"{self}: not authoritative for {name}"
        wanted = dns.rdatatype.from_text(kind)
        return {rdata.to_text() for rrset in message.answer if rrset.rdtype == wanted for rdata in rrset}

    def serial(self, zone: str) -> int | None:
        """The serial that it serves for `zone`; None where it does not serve it."""
        try:
            message = self.query(zone, "SOA")
        except (dns.exception.Timeout, OSError):
            return None
        return message.answer[0][0].serial if message.answer and message.flags & dns.flags.AA else None

    def __str__(self) -> str:
        return f"{type(self).__name__} on {self.where}"


class Authoritative(Server):
    """A server that holds zones. Zone names are given with their final dot."""

    @abstractmethod
    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = ()) -> None:
        """Serve `zone` from the zone file `text`; with `KEY`: updates (where it can), transfers, NOTIFY."""

    @abstractmethod
    def add_secondary(self, zone: str, primary: Server) -> None:
        """Serve `zone` as `primary` has it: transfers and NOTIFY with `KEY`."""

    @abstractmethod
    def drop_zone(self, zone: str) -> None:
        """Serve `zone` no longer."""

    def zone_file(self, zone: str) -> Path:
        """The file from which it serves `zone`; PowerDNS has none."""
        return self.directory / f"{zone}zone"

    def _write(self, zone: str, text: str) -> Path:
        path = self.zone_file(zone)
        path.write_text(text)
        return path

    def _await_none(self, zone: str) -> None:
        wait_for(f"{self} serves {zone} no longer", lambda: self.serial(zone) is None, log=self.log_text)

    def _await_zone(self, zone: str) -> None:
        wait_for(f"{self} serves {zone}", lambda: self.serial(zone) is not None, log=self.log_text)
