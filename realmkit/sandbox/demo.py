"""The demo: a realm's records from configuration to a name server and back, in a temporary project.

Every command is run as a user would run it, in a process of its own, against an embedded name server on loopback
that serves the project's zone file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from realmkit import errors
from realmkit.dns import names
from realmkit.errors import RealmkitError
from realmkit.sandbox.nameserver import NameServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ZONE: Final = "voice.example.com"

CONFIG: Final = """\
version: 1
platform:
  edge:
    proxies:
      - {{host: us-east.example.net, addresses: [198.51.100.10], priority: 10, weight: 50}}
      - {{host: us-west.example.net, addresses: [203.0.113.10], priority: 20, weight: 50}}
    transports: {{udp: 5060, tcp: 5060, tls: 5061}}
    mail: [{{host: mx1.example.net, preference: 10}}]
providers:
  files: {{type: zonefile, file: "zones/{{zone}}.zone"}}
zones:
  voice.example.com: {{provider: files, nameservers: ["{server}"]}}
realms:
  acme.voice.example.com: {{account: acme, shape: {shape}}}
"""

ZONEFILE: Final = """\
; voice.example.com - kept by hand since 2014, and every comment matters to somebody
$TTL 3600
@       IN SOA ns1 hostmaster (
            2026112200 ; serial, by date
            7200       ; refresh
            900        ; retry
            1209600    ; expire
            300 )      ; how long an absence is remembered
        IN NS  ns1
ns1     IN A   127.0.0.1

; all generated realms (8dijd6, vru8a3q, ...) live on these two
*       IN A   198.51.100.10
*       IN MX  10 mx1.example.net.
"""

HALF: Final = """
; somebody's quick fix of last week
_sip._udp.acme IN SRV 10 50 5060 us-east.example.net.
"""


class Teller(Protocol):
    """Who tells the story."""

    def scene(self, title: str, text: str) -> None:
        """Begin a scene."""

    def note(self, text: str) -> None:
        """Say something."""

    def command(self, args: Sequence[str], output: str, code: int) -> None:
        """Show a command and what it printed."""

    def end(self, text: str) -> None:
        """The last words."""


class DemoError(RealmkitError):
    """The demo did not go as it should: a defect, or a machine without loopback."""


def play(teller: Teller, keep: Path | None) -> int:
    """Tell the whole story.

    Args:
        teller: shows it.
        keep: build the project here and leave it; None for a temporary directory.

    Raises:
        DemoError: a command ended otherwise than the story needs.
    """
    with _stage(keep) as directory:
        zone_file = directory / "zones" / f"{ZONE}.zone"
        zone_file.parent.mkdir(parents=True, exist_ok=True)
        zone_file.write_text(ZONEFILE + HALF, encoding="utf-8")
        with NameServer.of_file(names.absolute(ZONE), zone_file) as server:
            _Demo(teller, directory, zone_file, server.address).play()
    teller.end("That was the demo.")
    return errors.OK


class _Demo:
    def __init__(self, teller: Teller, directory: Path, zone_file: Path, server: str) -> None:
        self._teller = teller
        self._directory = directory
        self._zone_file = zone_file
        self._server = server

    def play(self) -> None:
        self._trap()
        original = self._zone_file.read_text(encoding="utf-8")
        self._plan_and_apply()
        self._foreign_edit()
        self._roll_back(original)

    def _configure(self, shape: str) -> None:
        text = CONFIG.format(server=self._server, shape=shape)
        (self._directory / "realmkit.yml").write_text(text, encoding="utf-8")

    def _trap(self) -> None:
        self._teller.scene(
            "The trap", "A reseller's zone serves all realms by a wildcard. Somebody gave one realm an SRV record of "
            "its own. Nobody has noticed yet that this ended the wildcard for it: no address, no fax mail (RFC 4592).",
        )  # fmt: skip
        self._run(["init"], errors.OK)
        self._teller.note("The demo's own realmkit.yml takes the place of that one; its realm is `shape: shared`.")
        self._configure("shared")
        self._run(["dns", "lint"], errors.CRITICAL)
        self._teller.note("So the realm gets a complete set of its own: `shape: explicit`.")
        self._configure("explicit")
        self._run(["dns", "plan", "--check"], errors.CRITICAL)
        self._teller.note("The SRV record was not made by realmkit, so it won't touch it. Looked at, and taken over:")
        self._run(["dns", "adopt", "--wanted", "--yes"], errors.OK)

    def _plan_and_apply(self) -> None:
        self._teller.scene(
            "Plan, apply, verify", "The realm gets its complete set in one atomic change. The inverse is on disk "
            "before the first record changes; then every authoritative server is asked whether it shows the result.",
        )  # fmt: skip
        self._run(["dns", "lint"], errors.OK)
        self._run(["dns", "plan", "--out", "change.json"], errors.OK)
        self._run(["dns", "apply", "--plan", "change.json"], errors.OK)
        self._run(["dns", "verify"], errors.OK)

    def _foreign_edit(self) -> None:
        self._teller.scene(
            "A foreign edit", "At night somebody edits the zone file and points the realm's fax mail elsewhere.",
        )  # fmt: skip
        text = self._zone_file.read_text(encoding="utf-8")
        lines = [
            line.replace("mx1.example.net.", "mx.elsewhere.example.") if line.startswith("acme") else line
            for line in text.splitlines(keepends=True)
        ]
        self._zone_file.write_text("".join(lines), encoding="utf-8")
        self._run(["dns", "verify", "--quiet"], errors.CRITICAL)
        self._run(["dns", "rollback", "--yes"], errors.CRITICAL)
        self._teller.note(
            "Rolling back would overwrite that edit, so it is refused. Apply puts the records right first."
        )
        self._run(["dns", "apply", "--yes"], errors.OK)

    def _roll_back(self, original: str) -> None:
        self._teller.scene("Rollback", "The first run is undone: its inverse was written down before it began.")
        runs = sorted((self._directory / ".realmkit" / "runs").iterdir())
        self._run(["dns", "rollback", runs[0].name, "--yes"], errors.OK)
        now = self._zone_file.read_text(encoding="utf-8")
        differing = [line for line in now.splitlines() if line not in original.splitlines()]
        if len(differing) != 1 or "serial" not in differing[0]:
            raise DemoError(f"the zone file differs from the original in more than its serial: {differing}")
        self._teller.note(
            f"The zone file is what it was, comments and order included, but for one line: {differing[0].strip()}"
        )

    def _run(self, args: Sequence[str], expected: int) -> None:
        result = subprocess.run(  # noqa: S603 - our own command line, with our own arguments
            [sys.executable, "-m", "realmkit", *args],
            cwd=self._directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        self._teller.command(args, result.stdout, result.returncode)
        if result.returncode != expected:
            raise DemoError(f"`realmkit {' '.join(args)}` ended with {result.returncode}, not {expected}")


@contextmanager
def _stage(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="realmkit-demo.") as directory:
        yield Path(directory)
