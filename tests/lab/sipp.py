"""SIPp, which holds real calls: it sees whether any of them is cut while phones move."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab.server import Server, wait_for
from tests.lab.sipservers import SIP_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

UAS = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="answer">
  <recv request="INVITE" rrs="true"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:];tag=[pid]t[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 9 RTP/AVP 0
]]></send>
  <recv request="ACK"/>
  <label id="1"/>
  <recv request="OPTIONS" optional="true" next="2"/>
  <recv request="BYE" next="3"/>
  <label id="2"/>
  <send next="1"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
  <label id="3"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""
_HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]>;tag=[pid]c[call_number]
To: <sip:[field0]>{tag}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
{more}Content-Length: {length}
"""


def uac(pings: int, pause: float) -> str:
    """A scenario: call, ask the other side by OPTIONS every `pause` seconds whether the call is still there, hang up.

    An answer other than 200, or a BYE of the other side, fails the call: it was cut.
    """

    def message(method: str, number: int, uri: str, *, inside: bool = True, body: str = "") -> str:
        more = "[routes]\n" if inside else "Content-Type: application/sdp\n"
        tag = "[peer_tag_param]" if inside else ""
        head = _HEAD.format(method=method, number=number, tag=tag, more=more, length="[len]" if body else "0")
        return f'<send retrans="500"><![CDATA[\n{method} {uri} SIP/2.0\n{head}\n{body}]]></send>\n'

    sdp = "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 9 RTP/AVP 0\n"
    steps = [
        message("INVITE", 1, "sip:[field0]", inside=False, body=sdp),
        '<recv response="100" optional="true"/><recv response="180" optional="true"/>',
        '<recv response="200" rrs="true"/>',
        message("ACK", 1, "[next_url]").replace(' retrans="500"', ""),
    ]
    for number in range(2, pings + 2):
        steps += [f'<pause milliseconds="{round(pause * 1000)}"/>', message("OPTIONS", number, "[next_url]"),
                  '<recv response="200"/>']  # fmt: skip
    steps += [message("BYE", pings + 2, "[next_url]"), '<recv response="200"/>']
    body = "\n".join(steps)
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="hold">\n{body}</scenario>\n'


@dataclass(frozen=True)
class Tally:
    """How calls ended: all that were begun, those that went through to their end, those that did not."""

    begun: int
    whole: int
    cut: int


class Sipp:
    """SIPp on an address of its own: answers calls, or holds some through a proxy.

    Args:
        directory: for its scenario and statistics.
        address: its own.
    """

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.port = SIP_PORT
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def contact(self) -> str:
        """Where it answers, as a Contact."""
        return f"sip:sipp@{self.address}:{self.port}"

    def answer(self) -> Self:
        """Pick up every call, until `stop`."""
        scenario = self.directory / "uas.xml"
        scenario.write_text(UAS)
        return self._start("-sf", str(scenario))

    def hold(self, proxy: Server, callees: Sequence[str], *, seconds: float, pings: int = 4) -> Self:
        """Begin a call to each of `callees` (`user@realm`) through `proxy` and hold it; `result` waits for the end."""
        scenario, users = self.directory / "uac.xml", self.directory / "users.csv"
        scenario.write_text(uac(pings, seconds / pings))
        users.write_text("SEQUENTIAL\n" + "".join(f"{one};\n" for one in callees))
        count = str(len(callees))
        return self._start(
            "-sf", str(scenario), "-inf", str(users), "-m", count, "-l", count, "-r", "50", "-trace_stat", "-stf",
            str(self.directory / "stat.csv"), "-fd", "1", "-trace_err", "-error_file", str(self.directory / "errors"),
            proxy.where,
        )  # fmt: skip

    def _start(self, *arguments: str) -> Self:
        assert self._process is None, "it runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sipp", "-i", self.address, "-p", str(self.port), "-nostdin",
                 *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.directory,
                env={**os.environ, "TERM": "dumb"},
            )  # fmt: skip
        wait_for(f"sipp listens on {self.address}", self._listens, log=self._said)
        return self

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._said()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((self.address, self.port))
            except OSError:
                return True
        return False

    def result(self, timeout: float = 30.0) -> Tally:
        """Wait until the held calls are over, and tell how they ended."""
        assert self._process is not None, "it does not run"
        code = self._process.wait(timeout)
        assert code in (0, 1), f"sipp ended with {code}: {self._said()}"
        self._process = None
        with (self.directory / "stat.csv").open() as file:
            *_, last = csv.DictReader(file, delimiter=";")
        whole, cut = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
        return Tally(int(last["OutgoingCall(C)"]), whole, cut)

    def stop(self) -> None:
        """End it. Fine to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
