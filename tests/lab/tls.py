"""Certificates made on the spot, and servers that show them: `openssl s_server`, Kamailio, and Python's own for SNI."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.lab.server import Server
from tests.lab.sipservers import Kamailio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate with all that a server needs, in one PEM file: key, certificate, and the intermediate if asked."""

    path: Path


class Authority:
    """A root and an intermediate CA.

    Attributes:
        root: the root's PEM file.
    """

    def __init__(self, directory: Path, name: str = "Lab") -> None:
        self.directory = directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self._name, self._number = name, 0
        self._root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        top = _build(_subject(f"{name} Root"), _subject(f"{name} Root"), self._root_key.public_key(), -40, 400)
        self._root = _as_ca(top).sign(self._root_key, hashes.SHA256())
        middle = _build(_subject(f"{name} CA"), self._root.subject, self._key.public_key(), -40, 400)
        self._middle = _as_ca(middle).sign(self._root_key, hashes.SHA256())
        self.root = self.directory / "root.pem"
        self.root.write_bytes(_pem(self._root))

    def issue(
        self, *names: str, common: str = "", begin: int = -30, end: int = 60, whole: bool = True, by_root: bool = False
    ) -> Pair:
        """A certificate for these names.

        Args:
            names: of the subjectAltName: a host, or `sip:…` for a URI; none makes a certificate without it.
            common: the common name.
            begin: days from now.
            end: likewise.
            whole: whether the file has the intermediate certificate too.
            by_root: whether the root signs it, so that there is no intermediate.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (self._root, self._root_key) if by_root else (self._middle, self._key)
        builder = _build(_subject(common), issuer.subject, key.public_key(), begin, end)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(one) for one in names]), critical=False
            )
        made = builder.sign(signer, hashes.SHA256())
        self._number += 1
        path = self.directory / f"{self._number}.pem"
        octets = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(octets + _pem(made) + (_pem(self._middle) if whole else b""))
        return Pair(path)


def _general(text: str) -> x509.GeneralName:
    if ":" in text:
        return x509.UniformResourceIdentifier(text)
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    return x509.DNSName(text)


def _subject(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])


def _build(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: int, end: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begin))
        .not_valid_after(now + datetime.timedelta(days=end))
    )


def _as_ca(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class OpenSsl(Server):
    """`openssl s_server`, one certificate for whoever comes, and another for one server name.

    Args:
        pair: what it shows.
        named: the other certificate.
        name: the server name for which it shows that.
        options: more of its command line.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        port: int = 5061,
        *,
        pair: Pair,
        named: Pair | None = None,
        name: str = "",
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, address, port)
        self._pair, self._named, self._name, self._options = pair, named, name, options

    def command(self) -> Sequence[str]:
        pem = str(self._pair.path)
        other = () if self._named is None else (
            "-cert2", str(self._named.path), "-key2", str(self._named.path), "-servername", self._name,
        )  # fmt: skip
        return (
            "openssl", "s_server", "-accept", self.where, "-cert", pem, "-key", pem, "-cert_chain", pem, "-www",
            *other, *self._options,
        )  # fmt: skip

    def configure(self) -> None:
        """There is nothing to configure."""

    def _answers(self) -> bool:
        assert self.alive, f"{self} died:\n{self.log_text()[-3000:]}"
        return shakes_hands(self.address, self.port)


class SecureKamailio(Kamailio):
    """Kamailio that speaks TLS on port 5061 beside the rest, with one certificate."""

    def __init__(self, directory: Path, address: str, *, pair: Pair) -> None:
        super().__init__(directory, address)
        self._pair = pair

    def configure(self) -> None:
        super().configure()
        path = self.directory / "kamailio.cfg"
        pem = self._pair.path
        text = path.read_text()
        listen = f"listen=tcp:{self.where}\n"
        text = text.replace(listen, f"{listen}listen=tls:{self.address}:5061\nenable_tls=yes\n")
        first = 'modparam("jsonrpcs", "transport", 1)\n'
        lines = [f'modparam("tls", "{key}", "{pem}")' for key in ("certificate", "private_key")]
        lines.append('modparam("tls", "tls_method", "TLSv1.2+")')
        text = text.replace(first, "\n".join(['loadmodule "tls.so"', *lines, first]), 1)
        path.write_text(text)

    def _answers(self) -> bool:
        return super()._answers() and shakes_hands(self.address, 5061)


class Portals:
    """An HTTPS server of Python's that shows a certificate by server name; a context manager.

    Args:
        address: where it listens, on port 443.
        pairs: by server name; a name that is not there ends the handshake with `unrecognized_name`.

    Attributes:
        asked: the server name of every handshake.
    """

    def __init__(self, address: str, pairs: Mapping[str, Pair], port: int = 443) -> None:
        self.address, self.port = address, port
        self.asked: list[str | None] = []
        self._contexts = {name: _context(pair) for name, pair in pairs.items()}
        self._listener = socket.create_server((address, port), backlog=64)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                there, _ = self._listener.accept()
            except OSError:
                return
            there.settimeout(5)
            first = next(iter(self._contexts.values()))
            first.sni_callback = self._choose
            with suppress(OSError), there, first.wrap_socket(there, server_side=True) as secured:
                secured.recv(1)

    def _choose(self, there: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        self.asked.append(name)
        if name not in self._contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        there.context = self._contexts[name]
        return None


def shakes_hands(address: str, port: int) -> bool:
    """Whether somebody speaks TLS there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection((address, port), timeout=0.5) as there, context.wrap_socket(there):
            return True
    except OSError:
        return False


def _context(pair: Pair) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.path)
    return made
