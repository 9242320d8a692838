"""A real baresip reads what was rendered for it: its parser, not ours, says what an account means."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from realmkit.phones.model import Line, Phone
from tests.unit.deskphones import MAC, known, make_line, renderer

PASSWORDS = [
    "s3cret",
    "a&b<c>d'e#f",
    "a b",
    " lead and trail ",
    "p=q,r/s?t@u:v",
    "%s%n{{x}}[y]|~",
    "päßwörd😀",
    "x" * 200,
]


class Registrar:
    """Challenges one REGISTER and says whether the answer fits a password (RFC 2617 without qop)."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(5)
        self.port = int(self.socket.getsockname()[1])

    def _receive(self) -> tuple[str, dict[str, str], tuple[str, int]]:
        data, peer = self.socket.recvfrom(65535)
        head = data.decode().partition("\r\n\r\n")[0].split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        return head[0], headers, peer

    def _reply(self, status: str, headers: dict[str, str], peer: tuple[str, int], more: str = "") -> None:
        kept = "".join(f"{name}: {headers[name.lower()]}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        text = f"SIP/2.0 {status}\r\n{kept}To: {headers['to']};tag=lab\r\n{more}Content-Length: 0\r\n\r\n"
        self.socket.sendto(text.encode(), peer)

    def registration(self) -> tuple[dict[str, str], dict[str, str]]:
        """The headers and the digest parameters of an authorised REGISTER, which is then accepted."""
        while True:
            first, headers, peer = self._receive()
            assert first.startswith("REGISTER sip:")
            if "authorization" in headers:
                self._reply("200 OK", headers, peer, f"Contact: {headers['contact']}\r\n")
                return headers, dict(re.findall(r'(\w+)="?([^",]+)"?', headers["authorization"]))
            challenge = 'WWW-Authenticate: Digest realm="lab", nonce="0123456789"\r\n'
            self._reply("401 Unauthorized", headers, peer, challenge)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def registrar() -> Iterator[Registrar]:
    there = Registrar("127.0.0.1")
    yield there
    there.close()


def registers(folder: Path, registrar: Registrar, line: Line) -> tuple[dict[str, str], dict[str, str]]:
    """Start baresip on the rendered files and take its registration."""
    phone = Phone(MAC, known().models["baresip/baresip"], "soft 1", (line,))
    for name, file in zip(("accounts", "config"), renderer().render(phone), strict=True):
        (folder / name).write_bytes(file.content)
    with (folder / "config").open("a") as config:
        config.write("sip_listen 127.0.0.1:0\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["baresip", "-v", "-f", folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"HOME": str(folder)}
        )
        try:
            return registrar.registration()
        except TimeoutError:
            return pytest.fail((folder / "log").read_text(errors="replace")[-3000:])
        finally:
            process.kill()
            process.wait()


def response(auth: dict[str, str], password: str) -> str:
    """What the digest must be (RFC 2617 section 3.2.2.1)."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    secret, what = md5(f"{auth['username']}:lab:{password}"), md5(f"REGISTER:{auth['uri']}")
    return md5(f"{secret}:{auth['nonce']}:{what}")


@pytest.mark.parametrize("password", PASSWORDS)
def test_it_registers_with_the_password_that_was_meant(password: str, registrar: Registrar, tmp_path: Path) -> None:
    line = make_line(
        realm="127.0.0.1", port=registrar.port, transport="udp", auth_id="auth u1", password=password, expires=321,
        display_name="Smith & Söhne <fax>; x=1",
    )  # fmt: skip
    headers, auth = registers(tmp_path, registrar, line)
    assert auth["username"] == "auth u1"
    assert auth["response"] == response(auth, password)
    assert f"<sip:user_u1@127.0.0.1:{registrar.port}>" in headers["to"]
    assert "321" in (headers.get("expires"), *re.findall(r"expires=(\d+)", headers["contact"]))
