"""Mail of realms: MX sets and policies on a real name server, and mail hosts from aiosmtpd to outright silence."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiosmtpd.controller import Controller

from realmkit.clock import SystemClock
from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options, Server
from realmkit.dns.fields import targets
from realmkit.dns.realm import Edge
from realmkit.dns.records import RRset
from realmkit.health.checks import mail
from realmkit.health.observe import hosts, smtp
from realmkit.health.observe.realms import ask_keys
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.mail import MailHostSeen, SmtpTask
from realmkit.health.seen.realm import Expected, RealmSeen
from tests.lab.server import base_zone
from tests.lab.servers import Knot, Named
from tests.lab.topology import Lab

AROUND = Surroundings(SystemClock(), Options(timeouts=(0.4, 1.0), rate=None), timeout=2.0)
HASTY = Surroundings(SystemClock(), AROUND.options, timeout=0.4)
MAIL = "127.0.25"  # mail hosts stand on loopback addresses that no name server has
DKIM_AND_OTHERS = "v=DKIM1; p="


def zone_text() -> str:
    good = "10 mx1"
    return base_zone(f"""
mx1 A {MAIL}.1
mx2 A {MAIL}.2
loop CNAME mx1
good MX {good}
good TXT "v=spf1 mx " "-all"
_dmarc.good TXT "v=DMARC1; p=reject"
cname MX 10 loop
gone MX 10 nowhere
literal MX 10 198.51.100.7.
bare A 198.51.100.7
nulled MX 0 .
torn MX 0 .
torn MX 10 mx1
foreign MX 10 mx2
open MX {good}
open TXT "v=spf1 +all"
*.s MX {good}
*.s TXT "{DKIM_AND_OTHERS}"
""")


class Stage(NamedTuple):
    """Two servers of one zone; the second serves `good` without MX."""

    named: Named
    knot: Knot
    apex: str

    def see(self, realm: str, *, servers: Sequence[Named | Knot] = (), wanted: str = "10 mx1") -> RealmSeen:
        """The realm as the real servers tell of it; `wanted` is its MX set, relative, or nothing."""
        asked = tuple(Server(one.address) for one in servers or (self.named,))
        apex, name = names.absolute(self.apex), names.absolute(f"{realm}.{self.apex}")
        key = (name, rr.MX)
        sights = ask_keys(((server, *key) for server in asked), AROUND)
        sets = [one.rrset for one in sights.values() if one.state == "present" and one.rrset]
        found = hosts.look({host for rrset in sets for host in targets(rrset)}, {apex: asked}, AROUND)
        want = {key: RRset(*key, 300, frozenset({rdata.from_text(rr.MX, wanted, apex)}))} if wanted else {}
        edge = Edge((), (), ((10, names.absolute(f"mx1.{self.apex}")),))
        return RealmSeen(name, apex, (key,), asked, sights, want, found, Expected(edge if wanted else None))


@pytest.fixture(scope="module")
def stage(lab: Lab) -> Iterator[Stage]:
    with lab.namespace.inside(), lab.guest() as own:
        named, knot = own.start(Named), own.start(Knot)
        apex = own.zone_name("mail")
        named.add_zone(apex, zone_text())
        knot.add_zone(apex, zone_text().replace("good MX 10 mx1\n", ""))
        yield Stage(named, knot, apex)


def judged(seen: RealmSeen) -> list[tuple[str, str, str]]:
    checks = (mail.mx_leads_nowhere, mail.null_mx, mail.other_mail_hosts)
    return [(one.id, one.level, one.server) for check in checks for one in check(seen)]


def test_a_realm_whose_mail_is_in_order_is_quiet(stage: Stage) -> None:
    assert judged(stage.see("good")) == []
    assert judged(stage.see("any.s")) == []
    assert judged(stage.see("nulled", wanted="")) == []
    assert judged(stage.see("bare", wanted="")) == []


@pytest.mark.parametrize(
    ("realm", "ids"),
    [
        ("cname", ["MX01", "MX04"]), ("gone", ["MX01", "MX04"]), ("literal", ["MX01", "MX04"]), ("bare", ["MX01"]),
        ("nulled", ["MX02"]), ("torn", ["MX02"]), ("foreign", ["MX04"]),
    ],
)  # fmt: skip
def test_mx_sets_that_lose_mail_are_named(stage: Stage, realm: str, ids: list[str]) -> None:
    assert [ident for ident, _, _ in judged(stage.see(realm))] == ids


def test_the_one_server_that_lacks_the_mx_set_is_named(stage: Stage) -> None:
    seen = stage.see("good", servers=(stage.named, stage.knot))
    assert judged(seen) == [("MX01", "error", stage.knot.address)]


def test_a_target_whose_servers_keep_silent_is_unknown_and_not_missing(own_lab: Lab) -> None:
    named, knot = own_lab.start(Named), own_lab.start(Knot)
    stage = Stage(named, knot, own_lab.zone_name("mail"))
    other = own_lab.zone_name("other")
    named.add_zone(stage.apex, base_zone(f"away MX 10 mx.{other}"))
    knot.add_zone(other, base_zone("mx A 198.51.100.7"))
    knot.freeze()
    asked, away = Server(named.address), names.absolute(f"away.{stage.apex}")
    sights = ask_keys([(asked, away, rr.MX)], AROUND)
    target, zone = names.absolute(f"mx.{other}"), names.absolute(other)
    around = Surroundings(SystemClock(), Options(timeouts=(0.2,), rate=None), (knot.address,))
    found = hosts.look({target}, {zone: (Server(knot.address),)}, around)
    knot.thaw()
    seen = RealmSeen(away, names.absolute(stage.apex), ((away, rr.MX),), (asked,), sights, {}, found)
    assert judged(seen) == [("MX01", "unknown", "")]


def policies(stage: Stage, realm: str, *, servers: Sequence[Named | Knot] = ()) -> list[tuple[str, str]]:
    found = smtp.policies([stage.see(realm, servers=servers)], AROUND)
    return [(one.level, one.subject.rpartition(" ")[2]) for seen in found for one in mail.mail_policy(seen)]


def test_mail_policies_are_read_from_the_zones_own_servers(stage: Stage, own_lab: Lab) -> None:
    assert policies(stage, "good") == []
    assert policies(stage, "open") == [("notice", "SPF"), ("notice", "DMARC")]
    assert policies(stage, "any.s") == [("notice", "SPF"), ("notice", "DMARC")]
    assert smtp.policies([stage.see("bare", wanted="")], AROUND) == []
    lame = own_lab.start(Named)
    assert policies(stage, "good", servers=(lame, stage.named)) == []
    assert policies(stage, "good", servers=(lame,)) == [("unknown", "SPF"), ("unknown", "DMARC")]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS, with a certificate of its own making, as many mail hosts have it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    path.write_bytes(secret + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@contextmanager
def mail_server(address: str, **options: Any) -> Iterator[None]:
    controller = Controller(object(), hostname=address, port=25, **options)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


class Player:
    """Plays one end of a conversation: a greeting, and an answer to each command; None hangs up, then nothing more.

    Attributes:
        heard: the commands.
    """

    def __init__(self, address: str, greeting: bytes | None, *answers: bytes | None) -> None:
        self.server = Server(address, 25)
        self.heard: list[bytes] = []
        self._lines = (greeting, *answers)
        self._socket = socket.create_server((address, 25))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> Player:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._socket.close()

    def _play(self) -> None:
        connection, _ = self._socket.accept()
        with connection, suppress(OSError):
            connection.settimeout(3)
            reader = connection.makefile("rb")
            for number, line in enumerate(self._lines):
                if number:
                    self.heard.append(reader.readline())
                if line is None:
                    return
                connection.sendall(line)
            while not self._done.is_set() and (command := reader.readline()):
                self.heard.append(command)


def host(number: int) -> SmtpTask:
    return SmtpTask(names.absolute(f"mx{number}.example"), Server(f"{MAIL}.{number}", 25))


def verdict(seen: MailHostSeen) -> list[tuple[str, str]]:
    return [(one.level, one.message) for one in mail.mail_host_greets(seen)]


def test_a_mail_host_that_encrypts_is_quiet_and_one_that_does_not_is_named(
    stage: Stage, secure: ssl.SSLContext
) -> None:
    """From the MX record on the name server to the greeting, all of it real."""
    realms = [stage.see("good"), stage.see("foreign"), stage.see("open")]
    tasks = smtp.smtp_tasks(realms)
    assert [str(task.server) for task in tasks] == [f"{MAIL}.1:25", f"{MAIL}.2:25"]
    with mail_server(f"{MAIL}.1", tls_context=secure), mail_server(f"{MAIL}.2"):
        first, second = smtp.look(tasks, AROUND)
    assert (first.state, first.code, first.starttls) == ("greeted", 220, "works")
    assert "Python SMTP" in first.text
    assert verdict(first) == []
    assert second.starttls == "absent"
    assert verdict(second) == [("warning", "it offers no STARTTLS")]


def test_a_mail_host_is_greeted_over_ipv6_too(secure: ssl.SSLContext) -> None:
    task = SmtpTask(names.absolute("mx6.example"), Server("::1", 25))
    with mail_server("::1", tls_context=secure):
        (found,) = smtp.look([task], AROUND)
    assert (found.state, found.code, found.starttls) == ("greeted", 220, "works")
    assert verdict(found) == []


UNTOLD = "it greets, but whether it encrypts could not be told"
EHLO = b"250-mx.example\r\n250 STARTTLS\r\n"
SCENES: dict[str, tuple[tuple[bytes | None, ...], str, str]] = {
    "no mail here": ((b"554 no mail here\r\n",), "warning", "it does not greet as a host that takes mail"),
    "overloaded": ((b"421 come again\r\n",), "warning", "it does not greet as a host that takes mail"),
    "another service": ((b"SSH-2.0-OpenSSH_9.2\r\n",), "warning", "it does not greet as a host that takes mail"),
    "hangs up": ((None,), "warning", "it hangs up without a word"),
    "silent": ((b"",), "warning", "it takes the connection, but says nothing"),
    "a pause in the greeting": ((b"220-mx.example\r\n",), "unknown", UNTOLD),
    "silent after it": ((b"220 mx\r\n",), "unknown", UNTOLD),
    "hangs up after it": ((b"220 mx\r\n", None), "unknown", UNTOLD),
    "knows no EHLO": ((b"220 mx\r\n", b"502 what\r\n", b"221 bye\r\n"), "warning", "it offers no STARTTLS"),
    "no TLS today": (
        (b"220 mx\r\n", EHLO, b"454 not now\r\n", b"221 bye\r\n"),
        "warning", "it offers STARTTLS, and then fails at it",
    ),
    "no TLS at all": (
        (b"220 mx\r\n", EHLO, b"220 go\r\n", b"this is no handshake\r\n"),
        "warning", "it offers STARTTLS, and then fails at it",
    ),
    "talks on in clear": (
        (b"220 mx\r\n", EHLO, b"220 go\r\n250 injected\r\n"), "warning", "it offers STARTTLS, and then fails at it",
    ),
    "never stops": ((b"220-more\r\n" * 9000,), "warning", "it does not greet as a host that takes mail"),
    "one endless line": ((b"220 " + b"x" * 70000,), "warning", "it does not greet as a host that takes mail"),
}  # fmt: skip


def test_every_way_to_go_wrong_is_told_apart(stage: Stage) -> None:
    tasks = [host(number) for number in range(10, 10 + len(SCENES))]
    with ExitStack() as stack:
        players = [
            stack.enter_context(Player(task.server.address, *lines))
            for task, (lines, _, _) in zip(tasks, SCENES.values(), strict=True)
        ]
        found = dict(zip(SCENES, smtp.look(tasks, HASTY), strict=True))
    told = {scene: verdict(seen) for scene, seen in found.items()}
    assert told == {scene: [(level, words)] for scene, (_, level, words) in SCENES.items()}
    assert found["no mail here"].code == 554
    assert found["another service"].text == "SSH-2.0-OpenSSH_9.2"
    heard = dict(zip(SCENES, (player.heard for player in players), strict=True))
    assert heard["no mail here"] == [b"QUIT\r\n"]
    assert heard["no TLS today"] == [b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"QUIT\r\n"]
    every = {line.split()[0] for lines in heard.values() for line in lines if line.isascii() and line.strip()}
    assert not every & {b"MAIL", b"RCPT", b"DATA", b"VRFY", b"HELP"}


def test_a_closed_port_is_a_warning_and_no_way_there_is_unknown(stage: Stage) -> None:
    closed, blocked = smtp.look([host(99), SmtpTask(b"\1m\0", Server("192.0.2.1", 25))], HASTY)
    assert verdict(closed) == [("warning", "it refuses connections to its mail port")]
    assert verdict(blocked) == [("unknown", "whether it takes mail could not be told")]
    assert "block port 25" in blocked.detail


def test_hosts_that_share_an_address_share_one_look(stage: Stage) -> None:
    shared = [SmtpTask(b"\1a\0", Server(f"{MAIL}.90", 25)), SmtpTask(b"\1b\0", Server(f"{MAIL}.90", 25))]
    with Player(f"{MAIL}.90", b"554 once\r\n"):
        first, second = smtp.look(shared, AROUND)
    assert (first.host, second.host) == (b"\1a\0", b"\1b\0")
    assert first.code == second.code == 554


def test_after_the_deadline_nobody_is_greeted(stage: Stage) -> None:
    over = Surroundings(SystemClock(), AROUND.options, until=0.0)
    (seen,) = smtp.look([host(1)], over)
    assert (seen.state, seen.detail) == ("unknown", "the run ended before it was asked")
