"""Looking at certificates: a TLS handshake with the name that a client would ask for (RFC 8446, RFC 6066).

The certificate is read whether it is valid or not. Twenty thousand realms at one edge need no twenty thousand
handshakes: a certificate that was seen stands for every realm that it carries.
"""

from __future__ import annotations

import socket
import warnings
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from realmkit.dns import names
from realmkit.errors import InputError
from realmkit.health.identities import covers
from realmkit.health.seen.tls import Certificate, TlsSeen, TlsTask

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.health.observe.surroundings import Surroundings

_AT_ONCE: Final = 8  # handshakes with one endpoint
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


class _Contexts(NamedTuple):
    """How to shake hands: as one who verifies, and as one who only reads."""

    strict: ssl.SSLContext
    lax: ssl.SSLContext


def look(
    tasks: Sequence[TlsTask], surroundings: Surroundings, trust: Path | None = None, *, most: int = 50, seed: int = 0
) -> list[TlsSeen]:
    """Look at the certificates of endpoints.

    Args:
        tasks: what to look at. SIPS tasks of one endpoint share handshakes, as far as the certificates that were seen
            carry their names; portals get one each.
        surroundings: time, and how long a handshake may take.
        trust: a file of trusted roots in PEM; None for the system's.
        most: handshakes with one SIPS endpoint in one run.
        seed: which realms come first, where not all can be looked at; count it up from run to run.

    Returns:
        What was seen, in the order of the tasks; what was left out is `not looked at`.

    Raises:
        InputError: `trust` can't be read.
    """
    if not tasks:
        return []
    probe, late = partial(_probe, surroundings, _contexts(trust)), partial(_late, surroundings)

    def several(those: Sequence[TlsTask]) -> dict[TlsTask, TlsSeen]:
        return {one.seen.task: _certified(one) for one in surroundings.each(those, probe, late)}

    portals = [task for task in tasks if task.purpose != "sips"]
    found = several(portals)
    queues = _queues([task for task in tasks if task.purpose == "sips"], most, seed)
    while batches := [batch for queue in queues if (batch := queue.next())]:
        fresh = several([task for those in batches for task in those])
        for queue in queues:
            queue.take(fresh)
    now = int(surroundings.clock.now().timestamp())
    for queue in queues:
        found |= queue.all(now)
    return [found[task] for task in tasks]


def _queues(tasks: Sequence[TlsTask], most: int, seed: int) -> list[_Queue]:
    places: dict[tuple[str, int], dict[TlsTask, None]] = defaultdict(dict)
    for task in tasks:
        places[task.host, task.port][task] = None
    return [_Queue(list(those), most, seed) for those in places.values()]


class _Queue:
    """The tasks of one endpoint: one of each parent first, for a wildcard or a list may carry the others."""

    def __init__(self, tasks: Sequence[TlsTask], most: int, seed: int) -> None:
        self._left = most
        self._turn = seed * max(most - 1, 1)
        self._place = (tasks[0].host, tasks[0].port)
        self._dead = ""
        self._found: dict[TlsTask, TlsSeen] = {}
        self._known: set[str] = set()  # fingerprints
        first: dict[Name, TlsTask] = {}
        for task in sorted(tasks, key=lambda task: task.server_name):
            first.setdefault(names.parent(task.server_name), task)
        heads = list(first.values())
        self._waiting = [*heads, *sorted(set(tasks) - set(heads), key=lambda task: task.server_name)]

    def next(self) -> list[TlsTask]:
        """What to look at now; nothing when all is known, or may be."""
        if self._dead:
            return []
        size = min(self._left, _AT_ONCE if self._found else 1)
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        self._left -= len(batch)
        return batch

    def take(self, fresh: dict[TlsTask, TlsSeen]) -> None:
        """Take what was seen, and let certificates stand for the names that they carry."""
        mine = [one for task, one in fresh.items() if (task.host, task.port) == self._place]
        self._found |= {one.task: one for one in mine}
        if mine and all(one.state in ("unknown", "no tls") for one in mine):
            self._dead = f"not looked at: the endpoint failed for {names.to_text(mine[0].task.server_name)}"
        for one in mine:
            certificate = one.certificate
            if certificate is None or certificate.fingerprint in self._known:
                continue
            self._known.add(certificate.fingerprint)
            carried = [task for task in self._waiting if covers(certificate, task)]
            self._found |= {task: structs.replace(one, task=task, reused=True) for task in carried}
            self._waiting = [task for task in self._waiting if task not in self._found]
        if self._turn and mine:  # what the first certificate does not carry takes turns from run to run
            start = self._turn % len(self._waiting) if self._waiting else 0
            self._waiting, self._turn = self._waiting[start:] + self._waiting[:start], 0

    def all(self, now: int) -> dict[TlsTask, TlsSeen]:
        """Everything, with what was left out."""
        why = self._dead or "not looked at: too many names at one endpoint for one run"
        return self._found | {task: TlsSeen(task, "not looked at", now, detail=why) for task in self._waiting}


class _Shaken(NamedTuple):
    """What came of a handshake: without its certificate, and that in DER, not read yet."""

    seen: TlsSeen
    octets: bytes = b""


def _late(surroundings: Surroundings, task: TlsTask) -> _Shaken:
    now = int(surroundings.clock.now().timestamp())
    return _Shaken(TlsSeen(task, "unknown", now, detail="the run had to end"))


def _contexts(trust: Path | None) -> _Contexts:
    """Any version and cipher is taken, for the version is judged by whoever reads what was seen."""
    import ssl

    made = []
    for mode in (ssl.CERT_REQUIRED, ssl.CERT_NONE):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = mode
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
        made.append(context)
    try:
        if trust is None:
            made[0].load_default_certs()
        else:
            made[0].load_verify_locations(trust)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"the trusted roots in {trust} can't be read: {error.strerror or error}") from error
    return _Contexts(*made)


def _probe(surroundings: Surroundings, contexts: _Contexts, task: TlsTask) -> _Shaken:
    import ssl

    empty = TlsSeen(task, "unknown", int(surroundings.clock.now().timestamp()))
    try:
        try:
            octets, version = _handshake(surroundings, contexts.strict, task)
            chain = ""
        except ssl.SSLCertVerificationError as error:
            chain = error.verify_message
            octets, version = _handshake(surroundings, contexts.lax, task)
        return _Shaken(structs.replace(empty, trusted=not chain, chain=chain, version=version), octets)
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "UNRECOGNIZED_NAME" in reason:
            return _Shaken(structs.replace(empty, state="rejected", detail="the server does not know that name"))
        no_tls = any(word in reason for word in _NO_TLS)
        return _Shaken(structs.replace(empty, state="no tls" if no_tls else "unknown", detail=_words(error)))
    except OSError as error:
        return _Shaken(structs.replace(empty, detail=_words(error)))
    except ValueError:
        return _Shaken(structs.replace(empty, detail="the name can't be asked for"))


def _handshake(surroundings: Surroundings, context: ssl.SSLContext, task: TlsTask) -> tuple[bytes, str]:
    """Shake hands; the certificate and the version.

    Raises:
        OSError: it did not come about; `ssl.SSLError` for what TLS says.
    """
    left = surroundings.left()
    timeout = surroundings.timeout if left is None else min(surroundings.timeout, left)
    if timeout <= 0:
        raise TimeoutError
    server_name = names.to_text(task.server_name).rstrip(".") or None
    with (
        socket.create_connection((task.host, task.port), timeout) as plain,  # noqa: TID251 - this is the place
        context.wrap_socket(plain, server_hostname=server_name) as secured,
    ):
        octets = secured.getpeercert(binary_form=True)
        if octets is None:
            raise ConnectionError("the server shows no certificate")
        return octets, secured.version() or ""


def _certified(shaken: _Shaken) -> TlsSeen:
    """Read what a handshake brought. Not among threads: switching warnings off is for one alone."""
    if not shaken.octets:
        return shaken.seen
    try:
        return structs.replace(shaken.seen, state="seen", certificate=read(shaken.octets))
    except ValueError:
        return structs.replace(shaken.seen, detail="a certificate that can't be read")


def read(octets: bytes) -> Certificate:
    """Read a certificate.

    Args:
        octets: DER.

    Raises:
        ValueError: it can't be read.
    """
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of serial numbers and the like, which are nobody's concern here
        try:
            return _read(octets)
        except (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise ValueError(str(error)) from error


def _read(octets: bytes) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    there = x509.load_der_x509_certificate(octets)
    try:
        found = there.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = None
    common = there.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        dns_names=tuple(found.get_values_for_type(x509.DNSName)) if found else (),
        uris=tuple(found.get_values_for_type(x509.UniformResourceIdentifier)) if found else (),
        common_name=str(common[0].value) if common else "",
        has_alternatives=found is not None,
        not_before=int(there.not_valid_before_utc.timestamp()),
        not_after=int(there.not_valid_after_utc.timestamp()),
        issuer=there.issuer.rfc4514_string(),
        fingerprint=there.fingerprint(SHA256()).hex(),
    )


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else error.strerror or str(error)
