"""An authoritative name server inside this process, on loopback only, that can misbehave on request.

It serves zones held in memory or read from files, over UDP and TCP, in a thread of its own.
"""

# ruff: noqa: TID251 - this file is a place for sockets

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import dns.rcode

from realmkit.dns.answer import ZoneIndex
from realmkit.dns.asking.exchange import Server
from realmkit.dns.zonefiles import zonefile
from realmkit.dns.zonefiles.zoneentries import Source
from realmkit.errors import InputError, RealmkitError
from realmkit.sandbox.loop import check_loopback
from realmkit.sandbox.responder import refuse, respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.records import Zone

_MAX_CONNECTIONS: Final = 64


class Fault(Enum):
    """How it can go wrong.

    Attributes:
        NONE: not at all.
        DROP: it swallows every request.
        SERVFAIL: it answers SERVFAIL to everything.
        LAME: it answers REFUSED to everything, as a server does that was never told of the zone.
        FROZEN: it goes on serving what it served when the fault began.
    """

    NONE = "none"
    DROP = "drop"
    SERVFAIL = "servfail"
    LAME = "lame"
    FROZEN = "frozen"


class ZoneFile(NamedTuple):
    """A zone in a file, read again whenever the file is another one or has changed.

    Attributes:
        path: the file that is watched; files that it includes are not.
        load: reads it. When that raises `RealmkitError`, the zone stays as it was.
    """

    path: Path
    load: Callable[[], Zone]


class NameServer:
    """Serves zones while the `with` block runs.

    Args:
        zones: what to serve.
        address: a loopback address.
        port: for UDP and TCP; 0 takes a free one.

    Attributes:
        fault: how it goes wrong at the moment; may be set at any time.
        problems: why a zone file could not be read again, by apex, as long as that is so.

    Raises:
        InputError: the address is not loopback, or is taken. A zone file's own errors, when it is read first.
    """

    def __init__(self, zones: Iterable[Zone | ZoneFile], *, address: str = "127.0.0.1", port: int = 0) -> None:
        check_loopback(address, "name server listens on", ipv6=True)
        self.fault = Fault.NONE
        self.problems: dict[Name, str] = {}
        self._held = {held.apex: held for held in map(_Held, zones)}
        self._udp, self._tcp = _listen(address, port)
        self.server = Server(address, self._udp.getsockname()[1])
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._connections: dict[_Connection, None] = {}
        self._thread = threading.Thread(target=self._run, name="sandbox name server", daemon=True)

    @classmethod
    def of_file(cls, apex: Name, path: Path, *, address: str = "127.0.0.1", port: int = 0) -> Self:
        """A server of one zone file, which must stand without $INCLUDE. Raises as the constructor does."""

        def load() -> Zone:
            return zonefile.read(Source(str(path), path.read_text("latin-1")), apex)

        return cls([ZoneFile(path, load)], address=address, port=port)

    @property
    def address(self) -> str:
        """`127.0.0.1:40053`, as `nameservers:` in the configuration takes it."""
        return str(self.server)

    def zones(self) -> dict[Name, ZoneIndex]:
        """What is served now, by apex: for whoever wants to look without asking over the network."""
        with self._lock:
            return self._zones(frozen=self.fault is Fault.FROZEN)

    def replace(self, zone: Zone) -> None:
        """Serve this from now on, in place of what the zone was (or as a new one)."""
        held = self._held.get(zone.name)
        if held is None:
            self._held = {**self._held, zone.name: _Held(zone)}
        else:
            held.latest = ZoneIndex.of(zone)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()

    # --- everything below runs in the server's thread ------------------------------------------------------------

    def _run(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._udp, selectors.EVENT_READ, self._on_datagram)
        self._selector.register(self._tcp, selectors.EVENT_READ, self._on_connect)
        try:
            while True:
                for key, mask in self._selector.select():
                    if key.fileobj is self._woken:
                        return
                    key.data(mask)
        finally:
            for one in (*(there.socket for there in self._connections), self._udp, self._tcp, self._wake, self._woken):
                one.close()
            self._selector.close()

    def _on_datagram(self, _mask: int) -> None:
        with suppress(OSError):  # the client may be gone, which a later call reports
            request, source = self._udp.recvfrom(65535)
            for message in self._respond(request, tcp=False):
                self._udp.sendto(message, source)

    def _on_connect(self, _mask: int) -> None:
        with suppress(OSError):
            there, _ = self._tcp.accept()
            there.setblocking(False)
            connection = _Connection(there)
            self._connections[connection] = None
            self._selector.register(there, selectors.EVENT_READ, lambda mask: self._on_stream(connection, mask))
        if len(self._connections) > _MAX_CONNECTIONS:
            self._drop(next(iter(self._connections)))

    def _on_stream(self, connection: _Connection, mask: int) -> None:
        if connection not in self._connections:
            return
        try:
            requests = connection.receive() if mask & selectors.EVENT_READ else []
            for request in requests:
                for message in self._respond(request, tcp=True):
                    connection.put(message)
            connection.flush()
        except OSError:
            self._drop(connection)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection.socket, events, self._selector.get_key(connection.socket).data)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection]
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _respond(self, request: bytes, *, tcp: bool) -> list[bytes]:
        fault = self.fault
        if fault is Fault.DROP:
            return []
        if fault in (Fault.SERVFAIL, Fault.LAME):
            return refuse(request, dns.rcode.SERVFAIL if fault is Fault.SERVFAIL else dns.rcode.REFUSED)
        return respond(request, self.zones(), tcp=tcp)

    def _zones(self, *, frozen: bool) -> dict[Name, ZoneIndex]:
        """What is served now; unless frozen, the newest of each zone."""
        for apex, held in self._held.items():
            if frozen:
                continue
            try:
                held.refresh()
                self.problems.pop(apex, None)
            except (RealmkitError, OSError) as error:
                self.problems[apex] = str(error)
        return {apex: held.shown for apex, held in self._held.items()}


class _Held:
    """One zone: what is shown, what is newest, and the file that it comes from."""

    def __init__(self, source: Zone | ZoneFile) -> None:
        self._file = source if isinstance(source, ZoneFile) else None
        self._seen = None if self._file is None else _signature(self._file.path)
        zone = source.load() if isinstance(source, ZoneFile) else source
        self.apex = zone.name
        self.shown = self.latest = ZoneIndex.of(zone)

    def refresh(self) -> None:
        """Show the newest; read the file again if it is not the one that was read."""
        if self._file is not None and (seen := _signature(self._file.path)) != self._seen:
            self._seen = seen  # also when reading fails: the same mistake is not read again and again
            self.latest = ZoneIndex.of(self._file.load())
        self.shown = self.latest


class _Connection:
    """A TCP client: requests framed by two octets of length come in, answers go out as it takes them."""

    def __init__(self, there: socket.socket) -> None:
        self.socket = there
        self._in = bytearray()
        self._out = bytearray()

    @property
    def unsent(self) -> bool:
        return bool(self._out)

    def receive(self) -> list[bytes]:
        """The requests that are complete. Raises OSError when the client is gone."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionAbortedError
        self._in += chunk
        requests = []
        while len(self._in) >= 2 and len(self._in) >= (end := 2 + int.from_bytes(self._in[:2], "big")):
            requests.append(bytes(self._in[2:end]))
            del self._in[:end]
        return requests

    def put(self, message: bytes) -> None:
        self._out += len(message).to_bytes(2, "big") + message

    def flush(self) -> None:
        with suppress(BlockingIOError):
            while self._out:
                del self._out[: self.socket.send(self._out)]


def _listen(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(100):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((address, port))
            tcp.bind((address, udp.getsockname()[1]))
            tcp.listen()
        except OSError as error:
            udp.close()
            tcp.close()
            if port:
                raise InputError(f"can't listen on {address} port {port}: {error.strerror}") from error
        else:
            udp.setblocking(False)
            tcp.setblocking(False)
            return udp, tcp
    raise InputError(f"no port of {address} is free")


def _signature(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
