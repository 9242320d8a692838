"""A user's project directory, and the command line as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.server import KEY
from tests.lab.servers import Named
from tests.lab.sshd import Sshd

TTL, MIGRATION_TTL = 5, 2
EXPIRES = 30

# What takes hours in an office takes seconds here; the order of things is the playbooks' own.
INPUTS = {
    "realm-migration": {
        "bake": "0s", "idle": "60s", "arrive": "20s", "again": "5s", "watch": "2s", "waves": "1, 10%, 40%, 100%",
    },
    "realm-cutover": {"idle": "60s", "arrive": "20s", "again": "5s", "watch": "2s"},
}  # fmt: skip


class User:
    """Somebody with a project directory.

    Args:
        directory: made by the user.
        old: the realm that the account has; new: the one that it gets.
    """

    def __init__(self, directory: Path, old: str, new: str) -> None:
        self.directory = directory
        self.old, self.new = old, new
        directory.mkdir(parents=True)
        (directory / "accounts").mkdir()

    def write_project(
        self, *, crossbar: str, api_key: str, primary: Named, servers: Sequence[str], sshd: Sshd,
        edge: tuple[str, str, int], mail: str,
    ) -> None:  # fmt: skip
        """Write `realmkit.yml` and what it refers to: keys and the SSH server's host key."""
        zones = "".join(
            f"  {realm.partition('.')[2]}: {{provider: ours, nameservers: {json.dumps(list(servers))}}}\n"
            for realm in (self.old, self.new)
        )
        host, address, port = edge
        text = f"""version: 1
platform:
  kazoo: {{url: "{crossbar}", api_key: "file:kazoo.key"}}
  edge:
    proxies: [{{host: {host}, addresses: [{address}]}}]
    transports: {{udp: {port}}}
    mail: [{{host: {mail}, preference: 10}}]
providers:
  ours: {{type: rfc2136, server: "{primary.where}", tsig: {{name: {KEY.name.rstrip(".")}, secret: "file:tsig.key"}}}}
zones:
{zones}realms:
  {self.old}: {{}}
  {self.new}: {{account: acme}}
phones:
  publish: {{type: sftp, host: {sshd.address}, user: root, path: {sshd.PATH}, key_file: id_ed25519}}
  expires: {EXPIRES}
policy: {{ttl: {TTL}, migration_ttl: {MIGRATION_TTL}, verify_deadline: 10, allow_private_addresses: true}}
"""
        (self.directory / "realmkit.yml").write_text(text)
        (self.directory / "tsig.key").write_text(KEY.secret)
        (self.directory / "kazoo.key").write_text(api_key)
        (self.directory / "known_hosts").write_text(sshd.known_hosts())
        key = self.directory / "id_ed25519"
        key.write_bytes(sshd.client_key.read_bytes())
        key.chmod(0o600)

    def write_account(self, moves: Mapping[str, str]) -> None:
        """Write `accounts/acme.yml`; `moves` names the phones about which there is something to say."""
        phones = "".join(f"  {name}: {{moves: {how}}}\n" for name, how in moves.items())
        (self.directory / "accounts" / "acme.yml").write_text(
            'name: Acme\ntimezone: America/Bogota\nsites: [{name: HQ, hours: "24/7 off"}]\n'
            + (f"phones:\n{phones}" if phones else "")
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        """One command that goes on by itself."""
        return subprocess.Popen(
            [sys.executable, "-m", "realmkit", "-C", str(self.directory), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *args: str, expect: int = 0, timeout: float = 150) -> str:
        """One command; its exit code must be as expected. What it printed."""
        with self.start(*args) as process:
            try:
                text = process.communicate(timeout=timeout)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                text = process.communicate()[0]
                raise AssertionError(f"{args} did not end within {timeout} s:\n{text}") from None
        assert process.returncode == expect, f"{args}: {process.returncode}\n{text}"
        assert "Traceback" not in text, text
        return text

    def json(self, *args: str, expect: int = 0) -> Any:
        """One command's JSON."""
        return json.loads(self.run(*args, "--json", expect=expect))

    def plan(self, playbook: str = "realm-migration", *options: str, **inputs: str) -> None:
        """Plan and approve."""
        given = INPUTS[Path(playbook).stem] | inputs
        sets = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        self.run("migrate", "plan", "acme", "--playbook", playbook, *sets, *options)
        self.run("migrate", "approve", "acme", "--as", "Lab")

    def status(self, *, expect: int = 0) -> Any:
        """Where the move stands."""
        (one,) = self.json("migrate", "status", "acme", expect=expect)["migrations"]
        return one
