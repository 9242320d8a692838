"""Telling somebody: against real HTTP and mail servers, good ones and bad ones; nothing of it raises or hangs."""

from __future__ import annotations

import datetime
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from realmkit.config import MailNotice
from realmkit.health.notify import MOST_BYTES, cut, mail, ping, webhook
from realmkit.health.notify.within import within
from tests.unit.healthverdicts import bad, good, hostile

QUICK = 0.3


class Service(ThreadingHTTPServer):
    """An HTTP service that keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, bytes]] = []
        self.status = 200
        self.location = ""
        self.drips = False
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.path, body))
        if self.server.drips:  # a byte now and then, so that no single read ever times out
            while not self.server.released.wait(0.05):
                self.wfile.write(b"H")
            return
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def closed() -> str:
    """A URL that nobody listens on."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{some.getsockname()[1]}/secret"


# --- webhook ---


def test_a_webhook_gets_the_text_and_the_news_as_fields(service: Service) -> None:
    assert webhook.send(service.url + "/hook?key=1", bad(), "SIP01 is new") is None
    ((path, body),) = service.got
    assert path == "/hook?key=1"
    data = json.loads(body)
    assert data["text"] == "SIP01 is new"
    assert [(one["news"], one["id"]) for one in data["news"]] == [
        ("new", "SIP01"), ("recovered", "DEL02"), ("worse", "CON01"),
    ]  # fmt: skip
    assert data["exit_code"] == 2
    assert data["open"]["critical"] == 1


def test_a_webhook_gets_a_bounded_amount(service: Service) -> None:
    assert webhook.send(service.url, bad(20_000), "x" * 1_000_000) is None
    assert len(service.got[0][1]) < 100_000
    data = json.loads(service.got[0][1])
    assert len(data["news"]) + data["more"] == 20_003
    assert data["text"].endswith("... (cut)")


Send = Callable[[str], str | None]
WAYS: dict[str, Send] = {
    "webhook": lambda url: webhook.send(url, bad(), "text", QUICK),
    "start": lambda url: ping.start(url, QUICK),
    "end": lambda url: ping.end(url, 2, "text", QUICK),
    "fail": lambda url: ping.fail(url, "text", QUICK),
}
ways = pytest.mark.parametrize("send", WAYS.values(), ids=WAYS)


@ways
@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_yes_comes_back_as_words(service: Service, send: Send, status: int) -> None:
    service.status, service.location = status, service.url + "/elsewhere"
    words = send(service.url + "/secret")
    assert words is not None
    assert f"it answered {status}" in words
    assert "secret" not in words
    assert len(service.got) == 1  # a redirect is not followed


@ways
def test_a_service_that_is_not_there_comes_back_as_words(closed: str, send: Send) -> None:
    words = send(closed)
    assert words is not None
    assert "ConnectError" in words
    assert "secret" not in words


@ways
def test_a_service_that_never_ends_is_left_in_time(service: Service, send: Send) -> None:
    service.drips = True
    words = send(service.url + "/secret")
    assert words is not None
    assert "no end within 0.3 s" in words


@ways
@pytest.mark.parametrize("url", ["", "secret", "gopher://secret/", "http://x:secret/", "http://[secret"])
def test_a_url_that_is_none_comes_back_as_words(send: Send, url: str) -> None:
    words = send(url)
    assert words is not None
    assert "its URL is none" in words or "ConnectError" in words  # the client asks for a host named `[secret`
    assert "secret" not in words


def test_what_fails_within_its_time_fails_as_it_would_by_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


# --- ping ---


def test_a_run_is_begun_and_ended_with_its_exit_code(service: Service) -> None:
    assert ping.start(service.url + "/uuid") is None
    assert ping.end(service.url + "/uuid/", 3, "could not tell\u2026") is None
    assert ping.fail(service.url + "/uuid?create=1", "no configuration") is None
    assert service.got == [
        ("/uuid/start", b""), ("/uuid/3", "could not tell\u2026".encode()),
        ("/uuid/fail?create=1", b"no configuration"),
    ]  # fmt: skip


def test_a_ping_carries_ten_kilobytes_at_most(service: Service) -> None:
    ping.end(service.url, 0, "\u00e9" * 20_000)
    body = service.got[0][1]
    assert len(body) <= MOST_BYTES == 10_000
    assert body.decode().endswith("... (cut)")


def test_what_fits_is_not_cut() -> None:
    assert cut("x" * 10_000) == "x" * 10_000
    assert len(cut("x" * 10_001).encode()) == 10_000


# --- mail ---


class Inbox:
    """Keeps what it is sent; refuses who is named."""

    def __init__(self) -> None:
        self.got: list[tuple[Envelope, Session]] = []
        self.refused: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, to: str, options: list[str]) -> str:  # noqa: N802
        if to in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.got.append((envelope, session))
        return "250 OK"

    def mails(self) -> list[EmailMessage]:
        contents = [envelope.content for envelope, _ in self.got]
        return [
            email.message_from_bytes(one, policy=email.policy.default) for one in contents if isinstance(one, bytes)
        ]


def certificate(directory: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = directory / "mail.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def serve(inbox: Inbox) -> Iterator[Callable[..., int]]:
    """Start the mail server; returns its port."""
    running: list[Controller] = []

    def start(**options: Any) -> int:
        port = free_port()
        controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
        controller.start()
        running.append(controller)
        return port

    yield start
    for controller in running:
        controller.stop()


def notice(port: int, **options: Any) -> MailNotice:
    return MailNotice(("noc@example.net", "boss@example.net"), "realmkit@example.net", "127.0.0.1", port, **options)


def test_a_mail_says_what_is_open_and_what_is_new(inbox: Inbox, serve: Callable[..., int]) -> None:
    assert mail.send(notice(serve()), None, bad(), "SIP01 is new\u2026\n.\nend") is None
    (made,) = inbox.mails()
    assert inbox.got[0][0].rcpt_tos == ["noc@example.net", "boss@example.net"]
    assert made["Subject"] == (
        "realmkit health: 1 critical, 1 unknown, 1 warning open, first SIP01 acme.voice.example.com."
    )
    assert made["Auto-Submitted"] == "auto-generated"
    assert made["Date"].datetime == bad().started
    assert made["Message-ID"].endswith("@example.net>")
    assert made.get_content().splitlines() == ["SIP01 is new\u2026", ".", "end"]


def test_a_mail_of_recovery_alone_says_that_nothing_is_open() -> None:
    assert mail.subject(good()) == "realmkit health: nothing open"


def test_hostile_text_adds_no_header(inbox: Inbox, serve: Callable[..., int]) -> None:
    assert mail.send(notice(serve()), None, hostile(), "text") is None
    (made,) = inbox.mails()
    assert set(made.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
        "MIME-Version",
    }  # fmt: skip
    assert "\\x1b]0;title" in made["Subject"]


def test_a_mail_goes_by_starttls_with_a_password(inbox: Inbox, serve: Callable[..., int], tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    asked: list[tuple[bytes, bytes]] = []

    def login(_server: object, _session: object, _envelope: object, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        asked.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    port = serve(tls_context=context, require_starttls=True, authenticator=login, auth_required=True)
    safe = notice(port, starttls=True, user="realmkit")
    trust = ssl.create_default_context(cafile=str(pem))
    assert mail.send(safe, "right", bad(), "text", trust=trust) is None
    assert asked == [(b"realmkit", b"right")]
    assert inbox.got[0][1].ssl is not None

    words = mail.send(safe, "wrong", bad(), "text", trust=trust)
    assert words is not None
    assert "SMTPAuthenticationError" in words
    assert "wrong" not in words
    words = mail.send(safe, "right", bad(), "text")  # a certificate that nobody vouches for
    assert words is not None
    assert "SSLCertVerificationError" in words
    assert asked[1:] == [(b"realmkit", b"wrong")] * (len(asked) - 1)  # the right one was not said to that server
    assert len(inbox.got) == 1


def test_a_server_without_starttls_gets_no_password(inbox: Inbox, serve: Callable[..., int]) -> None:
    words = mail.send(notice(serve(), starttls=True, user="realmkit"), "right", bad(), "text")
    assert words is not None
    assert "STARTTLS" in words
    assert inbox.got == []


def test_who_did_not_get_the_mail_is_said(inbox: Inbox, serve: Callable[..., int]) -> None:
    inbox.refused = {"boss@example.net"}
    port = serve()
    assert mail.send(notice(port), None, bad(), "text") == "the mail was refused for boss@example.net"
    inbox.refused = {"boss@example.net", "noc@example.net"}
    words = mail.send(notice(port), None, bad(), "text")
    assert words is not None
    assert "SMTPRecipientsRefused" in words


def test_no_mail_server_comes_back_as_words() -> None:
    words = mail.send(notice(free_port()), None, bad(), "text")
    assert words is not None
    assert "refused" in words


def test_a_mail_server_that_never_speaks_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = mail.send(notice(silent.getsockname()[1]), None, bad(), "text", seconds=QUICK)
    assert words is not None
    assert "0.3 s" in words or "timed out" in words


def test_an_address_that_would_add_a_header_sends_nothing(inbox: Inbox, serve: Callable[..., int]) -> None:
    broken = MailNotice(("a@example.net\nBcc: b@example.net",), "realmkit@example.net", "127.0.0.1", serve())
    words = mail.send(broken, None, bad(), "text")
    assert words is not None
    assert "ValueError" in words
    assert inbox.got == []
