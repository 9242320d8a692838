"""Real SIP programs: Kamailio as the platform's edge, and baresip as a phone that nobody manages."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.lab.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIP_PORT = 5060
MODULES = (
    "tm", "tmx", "sl", "pv", "rr", "maxfwd", "textops", "siputils", "xlog", "usrloc", "registrar", "auth", "htable",
    "kex", "corex", "xhttp", "jsonrpcs",
)  # fmt: skip

# What matters here is what 2600hz/kazoo-configs-kamailio does in registrar-role.cfg: digest for the realm of the
# address of record; an authorisation that is cached for 7200 s, anew with each REGISTER; and a REGISTER from the source
# of an existing row, with a cached authorisation, that is saved without asking anybody.
ROUTES = r"""
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (has_totag()) { route(WITHINDLG); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (is_method("REGISTER")) { route(REGISTRATION); exit; }
  if (is_method("OPTIONS") && $rU == $null) { sl_send_reply("200", "OK"); exit; }
  if (is_method("INVITE|OPTIONS|NOTIFY|MESSAGE")) { route(TO_PHONE); exit; }
  if (is_method("ACK")) exit;
  sl_send_reply("405", "Method Not Allowed");
}
route[WITHINDLG] {
  if (loose_route()) { t_relay(); exit; }
  if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
  sl_send_reply("404", "Not Here");
}
route[TO_PHONE] {
  if (!lookup("location")) { sl_send_reply("404", "Not Registered"); exit; }
  if (is_method("INVITE")) record_route();
  t_relay();
}
route[REGISTRATION] {
  $var(aor) = $tU + "@" + $(td{s.tolower});
  $avp(received) = "sip:" + $si + ":" + $sp;
  if ($sht(auth_cache=>$var(aor)) != $null) {
    if (reg_fetch_contacts("location", "sip:$var(aor)", "caller")) {
      $var(i) = 0;
      while ($var(i) < $(ulc(caller=>count))) {
        if ($(ulc(caller=>received)[$var(i)]) == $avp(received)) { route(SAVE); exit; }
        $var(i) = $var(i) + 1;
      }
    }
  }
  if ($expires(min) != $null && $expires(min) > 0 && $expires(min) < MINIMUM) {
    append_to_reply("Min-Expires: MINIMUM\r\n");
    sl_send_reply("423", "Interval Too Brief");
    exit;
  }
  $var(password) = $sht(cred=>$var(aor));
  if ($var(password) == $null || $var(password) == 0) { auth_challenge("$td", "1"); exit; }
  if (!pv_www_authenticate("$td", "$var(password)", "0")) { auth_challenge("$td", "1"); exit; }
  route(SAVE);
}
route[SAVE] {
  $sht(auth_cache=>$var(aor)) = $avp(received);
  save("location");
}
event_route[xhttp:request] {
  if ($hu =~ "^/RPC") { jsonrpc_dispatch(); exit; }
  xhttp_reply("404", "Not Found", "text/plain", "");
}
"""


class SipProgram(Server):
    """A program of the lab that answers SIP instead of DNS."""

    def __init__(self, directory: Path, address: str, port: int = SIP_PORT) -> None:
        super().__init__(directory, address, port)

    def _answers(self) -> bool:
        assert self.alive, f"{self} died:\n{self.log_text()[-3000:]}"
        return self.options(f"sip:{self.where}", patience=0.25) != 0 and self.alive

    def options(self, uri: str, *, patience: float = 2.0) -> int:
        """Send OPTIONS for that URI to it; the status of the response, 0 for none in time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.settimeout(patience)
            there.bind((self.address, 0))
            mine = "{}:{}".format(*there.getsockname())
            lines = [
                f"OPTIONS {uri} SIP/2.0", f"Via: SIP/2.0/UDP {mine};branch=z9hG4bK{os.urandom(6).hex()};rport",
                "Max-Forwards: 70", f"From: <sip:lab@{self.address}>;tag=1", f"To: <{uri}>",
                f"Call-ID: {os.urandom(6).hex()}", "CSeq: 1 OPTIONS", f"Contact: <sip:lab@{mine}>", "Content-Length: 0",
            ]  # fmt: skip
            there.sendto("\r\n".join([*lines, "", ""]).encode(), (self.address, self.port))
            try:
                return int(there.recv(65535).split()[1])
            except OSError:  # silence, or nobody listens yet
                return 0


class Kamailio(SipProgram):
    """Kamailio, multi-realm, with the edge's habits. JSON-RPC over HTTP on the same port.

    Attributes:
        minimum: shortest registration in seconds.
        maximum: longest.
        cache: seconds that an authorisation is cached.
        repeats: seconds for which it repeats a request that nobody answers (32, RFC 3261 timer F; 30 is its default).
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        port: int = SIP_PORT,
        *,
        minimum: int = 1,
        maximum: int = 3600,
        cache: int = 7200,
        repeats: float = 30.0,
    ) -> None:
        super().__init__(directory, address, port)
        self.repeats = repeats
        self.minimum = minimum
        self.maximum = maximum
        self.cache = cache

    @property
    def rpc_url(self) -> str:
        """For `realmkit.sandbox.kamailio.KamailioRegistrar`."""
        return f"http://{self.where}/RPC"

    def command(self) -> Sequence[str]:
        d = self.directory
        # A PID namespace: children of a Kamailio that is killed outright would live on and hold the port.
        return (
            "unshare", "--pid", "--fork", "--kill-child", "kamailio", "-DD", "-E", "-f", str(d / "kamailio.cfg"),
            "-Y", str(d), "-P", str(d / "pid"), "-w", str(d), "-m", "32", "-M", "8",
        )  # fmt: skip

    def configure(self) -> None:
        modules = "\n".join(f'loadmodule "{name}.so"' for name in MODULES)
        (self.directory / "kamailio.cfg").write_text(f"""#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=2
auto_aliases=no
listen=udp:{self.where}
listen=tcp:{self.where}
tcp_accept_no_cl=yes
tcp_connection_lifetime=3605
dns=no
rev_dns=no
server_header="Server: lab"
{modules}
modparam("jsonrpcs", "transport", 1)
modparam("jsonrpcs", "fifo_name", "")
modparam("jsonrpcs", "dgram_socket", "")
modparam("tm", "fr_timer", {round(self.repeats * 1000)})
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "use_domain", 1)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "min_expires", {self.minimum})
modparam("registrar", "max_expires", {self.maximum})
modparam("registrar", "received_avp", "$avp(received)")
modparam("htable", "htable", "cred=>size=8;")
modparam("htable", "htable", "auth_cache=>size=8;autoexpire={self.cache};")
{ROUTES.replace("MINIMUM", str(self.minimum))}""")

    def stop(self) -> None:
        """End it by SIGTERM to the whole group: `unshare` hands nothing on."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGCONT)
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        super().stop()

    def rpc(self, method: str, *parameters: object) -> Any:
        """Call it; the result. Raises AssertionError with what it said when it refuses."""
        link = http.client.HTTPConnection(self.address, self.port, timeout=5)
        try:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
            link.request("POST", "/RPC", body, {"Content-Type": "application/json"})
            answer = json.loads(link.getresponse().read())
        finally:
            link.close()
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]


class Baresip(SipProgram):
    """A real soft phone: NAPTR, then SRV, then A, through a resolver of its own.

    It is started anew whenever the file that it is configured from is another one; the watcher stands for the hands of
    a person who copies it into the phone, for no NOTIFY makes baresip do it.

    Attributes:
        resolver: the resolver's address.
        source: the file that a person would copy: baresip's own `accounts`.
    """

    def __init__(self, directory: Path, address: str, port: int = SIP_PORT, *, resolver: str, source: Path) -> None:
        super().__init__(directory, address, port)
        self.resolver = resolver
        self.source = source
        self.copies = 0
        self._ends = threading.Event()
        self._watcher: threading.Thread | None = None

    def command(self) -> Sequence[str]:
        return "env", f"HOME={self.directory}", "baresip", "-4", "-v", "-s", "-f", str(self.directory)

    def configure(self) -> None:
        (self.directory / "config").write_text(f"""poll_method epoll
sip_listen {self.where}
sip_trans_def udp
dns_server {self.resolver}:53
call_max_calls 4
audio_channels 1
module_path /usr/lib/baresip/modules
module g711.so
module_app account.so
module_app menu.so
""")
        (self.directory / "contacts").write_text("")
        (self.directory / "accounts").write_bytes(self.source.read_bytes())

    def start(self) -> Self:
        super().start()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name=f"watcher of {self}", daemon=True)
            self._watcher.start()
        return self

    def stop(self) -> None:
        """End it, and the watcher too."""
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._ends.set()
            self._watcher.join()
            self._watcher = None
            self._ends.clear()
        super().stop()

    def _watch(self) -> None:
        """Copy the file and start the phone anew, whenever it differs from the phone's own."""
        while not self._ends.wait(0.05):
            with suppress(FileNotFoundError):
                if self.source.read_bytes() != (self.directory / "accounts").read_bytes():
                    self.copies += 1
                    super().stop()
                    super().start()


def lines_of(server: Server, word: str) -> Iterator[str]:
    """The lines of a server's log that hold `word`."""
    return (line for line in server.log_text().splitlines() if word in line)
