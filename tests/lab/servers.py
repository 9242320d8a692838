"""Real name servers for tests: named, knotd, nsd, pdns_server and unbound, each on port 53 of an address of its own.

Every class writes its configuration into a directory, starts its daemon in the foreground, waits until that process
answers, and takes zones at run time, so that tests share servers and never zones. All of it happens inside a
`Namespace`; `Lab` hands out directories and addresses. All servers know one TSIG key, `KEY`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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
    "pdns_server", "sqlite3", "unbound", "unbound-control", "ip", "setpriv",
)  # fmt: skip
PDNS_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


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


def wait_for(what: str, seen: Callable[[], bool], timeout: float = 15.0) -> None:
    """Wait until `seen()` holds.

    Raises:
        AssertionError: it did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not seen():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
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
        wait_for(f"{self} answers; its log:\n{self.log_text()[-2000:]}", self._answers)
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
        try:
            os.killpg(process.pid, signal.SIGKILL)  # children that outlived it
        except ProcessLookupError:
            pass

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

    def zone_file(self, zone: str) -> Path:
        """The file from which it serves `zone`; PowerDNS has none."""
        return self.directory / f"{zone}zone"

    def _write(self, zone: str, text: str) -> Path:
        path = self.zone_file(zone)
        path.write_text(text)
        return path

    def _await_zone(self, zone: str) -> None:
        wait_for(f"{self} serves {zone}; its log:\n{self.log_text()[-2000:]}", lambda: self.serial(zone) is not None)


class Named(Authoritative):
    """BIND 9. Zones come by `rndc addzone`; `KEY` may update everything."""

    def command(self) -> Sequence[str]:
        return "named", "-g", "-n", "1", "-c", str(self.directory / "named.conf")

    @property
    def control(self) -> tuple[str, ...]:
        """`rndc` and the options with which it reaches this server."""
        return "rndc", "-c", str(self.directory / "rndc.conf")

    def reload_command(self, zone: str) -> tuple[str, ...]:
        """The command that makes it read a zone file again."""
        return (*self.control, "reload", zone)

    def configure(self) -> None:
        key = f'key "{KEY.name}" {{ algorithm {KEY.algorithm}; secret "{KEY.secret}"; }};'
        (self.directory / "rndc.conf").write_text(
            f'{key}\noptions {{ default-key "{KEY.name}"; default-server {self.address}; default-port 953; }};\n'
        )
        (self.directory / "named.conf").write_text(f"""{key}
controls {{ inet {self.address} port 953 allow {{ any; }} keys {{ "{KEY.name}"; }}; }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none; lock-file none; new-zones-directory ".";
  managed-keys-directory "."; listen-on port {self.port} {{ {self.address}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; allow-new-zones yes; check-names primary ignore; minimal-responses no;
  notify explicit; notify-delay 0; notify-rate 200; startup-notify-rate 200; serial-query-rate 200;
  notify-source {self.address}; transfer-source {self.address}; allow-transfer {{ key "{KEY.name}"; }};
}};
""")

    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = (), updates: bool = True) -> None:
        path = self._write(zone, text)
        told = "".join(f'{one.address} port {one.port} key "{KEY.name}"; ' for one in secondaries)
        policy = f'allow-update {{ key "{KEY.name}"; }}; ' if updates else ""
        body = f'{{ type primary; file "{path}"; {policy}also-notify {{ {told}}}; }};'
        run(*self.control, "addzone", zone, body)
        self._await_zone(zone)

    def add_secondary(self, zone: str, primary: Server) -> None:
        source = f'{primary.address} port {primary.port} key "{KEY.name}"; '
        body = f'{{ type secondary; file "{self.zone_file(zone)}"; primaries {{ {source}}}; }};'
        run(*self.control, "addzone", zone, body)
        self._await_zone(zone)


class Knot(Authoritative):
    """Knot DNS. Its configuration is written anew for each zone and reloaded; `KEY` may update everything."""

    def __init__(self, directory: Path, address: str, port: int = 53) -> None:
        super().__init__(directory, address, port)
        self._remotes: dict[str, str] = {}
        self._zones: dict[str, list[str]] = {}

    def command(self) -> Sequence[str]:
        return "knotd", "-c", str(self.directory / "knot.conf")

    @property
    def control(self) -> tuple[str, ...]:
        """`knotc` and the options with which it reaches this server."""
        return "knotc", "-b", "-s", str(self.directory / "knot.sock")

    def reload_command(self, zone: str) -> tuple[str, ...]:
        """The command that makes it read a zone file again."""
        return (*self.control, "zone-reload", zone)

    def configure(self) -> None:
        remotes = "".join(
            f"  - id: {name}\n    address: {where}\n    key: {KEY.name}\n    via: {self.address}\n"
            for name, where in self._remotes.items()
        )
        zones = "".join(f"  - domain: {zone}\n" + "".join(lines) for zone, lines in self._zones.items())
        (self.directory / "knot.conf").write_text(f"""server:
    listen: {self.address}@{self.port}
    rundir: {self.directory}
    user: root:root
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: {self.directory}/knot.sock
database:
    storage: {self.directory}/db
log:
  - target: stderr
    any: info
key:
  - id: {KEY.name}
    algorithm: {KEY.algorithm}
    secret: {KEY.secret}
acl:
  - id: lab
    key: {KEY.name}
    action: [notify, transfer, update]
{"remote:" if remotes else ""}
{remotes}
template:
  - id: default
    storage: {self.directory}
    file: "%s.zone"
    acl: lab
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: changes
    serial-policy: increment
    semantic-checks: off
{"zone:" if zones else ""}
{zones}""")

    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = ()) -> None:
        self._write(zone, text)
        told = ", ".join(self._remote(one) for one in secondaries)
        self._add(zone, f"    notify: [{told}]\n" if told else "")

    def add_secondary(self, zone: str, primary: Server) -> None:
        self._add(zone, f"    master: {self._remote(primary)}\n", "    zonefile-load: none\n")

    def _remote(self, server: Server) -> str:
        name = "r" + server.address.replace(".", "-") + f"-{server.port}"
        self._remotes[name] = f"{server.address}@{server.port}"
        return name

    def _add(self, zone: str, *lines: str) -> None:
        self._zones[zone] = list(lines)
        self.configure()
        run(*self.control, "reload")
        self._await_zone(zone)


class Nsd(Authoritative):
    """NSD: files and transfers, no updates."""

    def command(self) -> Sequence[str]:
        return "nsd", "-d", "-c", str(self.directory / "nsd.conf")

    @property
    def control(self) -> tuple[str, ...]:
        """`nsd-control` and the options with which it reaches this server."""
        return "nsd-control", "-c", str(self.directory / "nsd.conf")

    def reload_command(self, zone: str) -> tuple[str, ...]:
        """The command that makes it read a zone file again."""
        return (*self.control, "reload", zone)

    def configure(self) -> None:
        d = self.directory
        for peers in (d / "pattern.d",):
            peers.mkdir(exist_ok=True)
        (d / "nsd.conf").write_text(f"""server:
  ip-address: {self.address}@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{d}"
  database: ""
  zonelistfile: "{d}/zone.list"
  xfrdfile: "{d}/xfrd.state"
  xfrdir: "{d}"
  pidfile: "{d}/pid"
  server-count: 1
  xfrd-reload-timeout: 0
remote-control:
  control-enable: yes
  control-interface: {d}/control.sock
key:
  name: {KEY.name}
  algorithm: {KEY.algorithm}
  secret: "{KEY.secret}"
include: "{d}/pattern.d/*.conf"
""")

    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = ()) -> None:
        self._write(zone, text)
        told = "".join(f"  notify: {one.address}@{one.port} {KEY.name}\n" for one in secondaries)
        self._add(zone, f"{told}  outgoing-interface: {self.address}\n")

    def add_secondary(self, zone: str, primary: Server) -> None:
        source = f"{primary.address}@{primary.port} {KEY.name}"
        self._add(
            zone,
            f"  allow-notify: {primary.address} {KEY.name}\n  request-xfr: AXFR {source}\n"
            f"  outgoing-interface: {self.address}\n",
        )

    def _add(self, zone: str, lines: str) -> None:
        """A pattern for each zone: `addzone` takes zones at run time, but options only by pattern."""
        path = self.directory / "pattern.d" / f"{zone}conf"
        path.write_text(
            f'pattern:\n  name: "{zone}"\n  zonefile: "{self.zone_file(zone)}"\n{lines}'
            f"  provide-xfr: 0.0.0.0/0 {KEY.name}\n"
        )
        run(*self.control, "reconfig")
        run(*self.control, "addzone", zone, zone)
        self._await_zone(zone)


class PowerDns(Authoritative):
    """PowerDNS with SQLite: the HTTP API, dynamic update, primary and secondary. No cache, so answers are true.

    Attributes:
        api_url: where the API listens, `http://127.0.0.5:8081`.
        api_key: what it wants in X-API-Key.
        settings: further lines of its configuration.
    """

    api_key = "lab-api-key"

    def __init__(self, directory: Path, address: str, port: int = 53, settings: Sequence[str] = ()) -> None:
        super().__init__(directory, address, port)
        self.api_port = 8081
        self.settings = settings

    @property
    def api_url(self) -> str:
        return f"http://{self.address}:{self.api_port}"

    def command(self) -> Sequence[str]:
        return "pdns_server", f"--config-dir={self.directory}"

    def configure(self) -> None:
        database = self.directory / "pdns.sqlite3"
        if not database.exists():
            run("sqlite3", str(database), stdin="PRAGMA journal_mode=WAL;\n" + PDNS_SCHEMA.read_text())
        lines = [
            "launch=gsqlite3", f"gsqlite3-database={database}", "gsqlite3-pragma-synchronous=0",
            f"local-address={self.address}", f"local-port={self.port}", f"socket-dir={self.directory}",
            "api=yes", f"api-key={self.api_key}", "webserver=yes", f"webserver-address={self.address}",
            f"webserver-port={self.api_port}", "webserver-allow-from=127.0.0.0/8", "webserver-loglevel=none",
            "primary=yes", "secondary=yes", "dnsupdate=yes", "allow-dnsupdate-from=127.0.0.0/8", "allow-axfr-ips=",
            f"query-local-address={self.address}", "only-notify=", "xfr-cycle-interval=1",
            "cache-ttl=0", "negquery-cache-ttl=0", "query-cache-ttl=0", "zone-cache-refresh-interval=0",
            "guardian=no", "daemon=no", "disable-syslog=yes", "write-pid=no", "security-poll-suffix=",
            "receiver-threads=1", "distributor-threads=1", "retrieval-threads=1", *self.settings,
        ]  # fmt: skip
        (self.directory / "pdns.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> Self:
        super().start()
        wait_for(f"the API of {self}", self._api_answers)
        if not any(key["id"] == KEY.name for key in self.api("GET", "/tsigkeys")):
            key = {"name": KEY.name.rstrip("."), "algorithm": KEY.algorithm, "key": KEY.secret}
            self.api("POST", "/tsigkeys", key)
        return self

    def _api_answers(self) -> bool:
        try:
            return isinstance(self.api("GET", "/zones"), list)
        except OSError:
            return False

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the API below /api/v1/servers/localhost; the decoded answer.

        Raises:
            AssertionError: it answered with an error; with what it said.
        """
        link = http.client.HTTPConnection(self.address, self.api_port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            headers = {"X-API-Key": self.api_key, "Content-Type": "application/json"}
            link.request(method, f"/api/v1/servers/localhost{path}", data, headers)
            response = link.getresponse()
            text = response.read()
        finally:
            link.close()
        assert response.status < 300, f"{method} {path}: {response.status} {text[:500]!r}"
        return json.loads(text) if text else None

    def add_zone(
        self, zone: str, text: str, *, secondaries: Sequence[Server] = (), kind: str = "Native",
        soa_edit_api: str = "DEFAULT",
    ) -> None:  # fmt: skip
        data = {"name": zone, "kind": "Master" if secondaries else kind, "soa_edit_api": soa_edit_api}
        self.api("POST", "/zones", data | {"zone": f"$ORIGIN {zone}\n{text}"})
        metadata = f"/zones/{zone}/metadata"
        self.api("POST", metadata, {"kind": "TSIG-ALLOW-DNSUPDATE", "metadata": [KEY.name.rstrip(".")]})
        self.api("PUT", f"/zones/{zone}", {"master_tsig_key_ids": [KEY.name]})
        if secondaries:
            self.api("POST", metadata, {"kind": "ALSO-NOTIFY", "metadata": [one.where for one in secondaries]})
        self._await_zone(zone)

    def add_secondary(self, zone: str, primary: Server) -> None:
        data = {"name": zone, "kind": "Slave", "masters": [primary.where], "slave_tsig_key_ids": [KEY.name]}
        self.api("POST", "/zones", data)
        self.api("PUT", f"/zones/{zone}/axfr-retrieve")
        self._await_zone(zone)


class Unbound(Server):
    """A caching resolver. It asks what `add_stub` names, or resolves from `root` where one is given."""

    def __init__(self, directory: Path, address: str, port: int = 53, root: Server | None = None) -> None:
        super().__init__(directory, address, port)
        self.root = root

    def command(self) -> Sequence[str]:
        return "unbound", "-d", "-c", str(self.directory / "unbound.conf")

    @property
    def control(self) -> tuple[str, ...]:
        """`unbound-control` and the options with which it reaches this server."""
        return "unbound-control", "-c", str(self.directory / "unbound.conf")

    def configure(self) -> None:
        hints = ""
        if self.root is not None:
            path = self.directory / "root.hints"
            path.write_text(f". 3600 NS ns.root.example.\nns.root.example. 3600 A {self.root.address}\n")
            hints = f'root-hints: "{path}"'
        (self.directory / "unbound.conf").write_text(f"""server:
  interface: {self.address}@{self.port}
  access-control: 127.0.0.0/8 allow
  outgoing-interface: {self.address}
  do-not-query-localhost: no
  do-ip6: no
  username: ""
  chroot: ""
  directory: "{self.directory}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  local-zone: "test." nodefault
  infra-cache-max-rtt: 500
  outbound-msg-retry: 1
  {hints}
remote-control:
  control-enable: yes
  control-interface: {self.directory}/control.sock
  control-use-cert: no
""")

    def add_stub(self, zone: str, *servers: Server) -> None:
        """Ask `servers` for everything at or under `zone`."""
        run(*self.control, "stub_add", zone, *(f"{one.address}@{one.port}" for one in servers))

    def query(self, name: str, kind: str, *, tcp: bool = False, timeout: float = 2.0) -> dns.message.Message:
        """As a client asks a resolver: recursion desired."""
        message = dns.message.make_query(name, kind, use_edns=0, payload=1232)
        if tcp:
            return dns.query.tcp(message, self.address, timeout=timeout, port=self.port)
        return dns.query.udp_with_fallback(message, self.address, timeout=timeout, port=self.port)[0]


@dataclass(frozen=True)
class Cluster:
    """A primary and its secondaries, which follow it by NOTIFY and transfer."""

    primary: Named
    secondaries: tuple[Authoritative, ...]

    @property
    def servers(self) -> tuple[Authoritative, ...]:
        return self.primary, *self.secondaries

    def add_zone(self, zone: str, text: str) -> None:
        """Serve a fresh zone on all of them; returns when each does."""
        self.primary.add_zone(zone, text, secondaries=self.secondaries)
        for one in self.secondaries:
            one.add_secondary(zone, self.primary)

    def await_serial(self, zone: str, timeout: float = 15.0) -> None:
        """Wait until every secondary has the primary's serial."""
        serial = self.primary.serial(zone)
        for one in self.secondaries:
            wait_for(f"{one} has {zone} {serial}", lambda one=one: one.serial(zone) == serial, timeout)


@dataclass
class Lab:
    """Hands out addresses, directories and names, and stops what it started."""

    root: Path
    _servers: list[Server] = field(default_factory=list)
    _next_address: int = 2
    _next_zone: int = 1

    def address(self) -> str:
        """An address of lo that nobody has yet."""
        self._next_address += 1
        return f"127.0.0.{self._next_address - 1}"

    def zone_name(self, word: str = "z") -> str:
        """A zone name that nobody has yet, with its final dot."""
        self._next_zone += 1
        return f"{word}{self._next_zone - 1}.lab.example."

    def start[S: Server](self, kind: type[S], **options: Any) -> S: ...

    def stop(self) -> None:
        """Stop everything, last started first."""
        while self._servers:
            self._servers.pop().stop()
