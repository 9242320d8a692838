"""Real name servers: named, knotd, nsd, pdns_server and unbound, each on port 53 of an address of its own.

Every class writes its configuration into a directory, starts its daemon in the foreground, waits until that process
answers, and takes zones at run time, so that tests share servers and never zones. `tests.lab.topology.Lab` starts
them inside the run's namespace and hands out addresses. All servers know one TSIG key, `KEY`.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import dns.exception
import dns.message
import dns.query

from tests.lab.server import KEY, Authoritative, Server, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

PDNS_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


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

    def drop_zone(self, zone: str) -> None:
        run(*self.control, "delzone", "-clean", zone)
        self._await_none(zone)


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
        (self.directory / "db").mkdir(exist_ok=True)  # knotd makes it too late for its first journal
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

    def drop_zone(self, zone: str) -> None:
        del self._zones[zone]
        self.configure()
        run(*self.control, "reload")
        self._await_none(zone)

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
        (d / "pattern.d").mkdir(exist_ok=True)
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
        # While it takes a zone, its old and its new process answer in turns: many answers in a row must be of the new.
        wait_for(f"{self} serves {zone}", lambda: all(self._knows(zone) for _ in range(20)), log=self.log_text)

    def drop_zone(self, zone: str) -> None:
        run(*self.control, "delzone", zone)
        self._await_none(zone)

    def _knows(self, zone: str) -> bool:
        try:
            message = self.query(zone, "SOA", tcp=True)
        except (dns.exception.DNSException, OSError, EOFError):
            return False
        return bool(message.answer)


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
            "launch=gsqlite3", f"gsqlite3-database={database}", "gsqlite3-pragma-synchronous=0", "gsqlite3-dnssec=yes",
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

    def api(self, method: str, path: str, body: object = None, *, body_text: str | None = None) -> Any:
        """Call the API below /api/v1/servers/localhost, with a body as data or as text; the decoded answer.

        Raises:
            AssertionError: it answered with an error; with what it said.
        """
        link = http.client.HTTPConnection(self.address, self.api_port, timeout=30)
        try:
            data = body_text if body is None else json.dumps(body)
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

    def drop_zone(self, zone: str) -> None:
        self.api("DELETE", f"/zones/{zone}")
        self._await_none(zone)

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
  qname-minimisation: no
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
