"""Signed zones: servers that sign by themselves, zones signed by hand with any dates, and their DS records."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import dns.dnssec
import dns.rdata
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from tests.lab.server import run, wait_for
from tests.lab.servers import Knot, Named, Unbound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.lab.server import Authoritative, Server


class Signed(NamedTuple):
    """A zone signed by hand: its zone file, and the DS rdata of its key."""

    text: str
    ds: str


def sign(
    directory: Path, zone: str, text: str, *, start: str = "now-20d", end: str = "now+30d", nsec3: bool = False
) -> Signed:
    """Sign a zone with a fresh key, by BIND's tools.

    Args:
        directory: for keys and files.
        zone: with its final dot.
        text: the zone file.
        start: when the signatures begin, such as `now-3d`; days only.
        end: when they end, likewise.
        nsec3: with NSEC3 (no salt, no iterations) instead of NSEC.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K", str(directory), zone).strip()
    source, target = directory / "plain", directory / "signed"
    source.write_text(text + (directory / f"{key}.key").read_text())
    more = ("-3", "-", "-H", "0") if nsec3 else ()
    run(
        "dnssec-signzone", "-q", "-P", "-z", "-s", _seconds(start), "-e", _seconds(end), *more, "-K", str(directory),
        "-o", zone, "-f", str(target), "-O", "full", "-d", str(directory), str(source), str(directory / key),
    )  # fmt: skip
    ds = run("dnssec-dsfromkey", "-2", str(directory / key)).split(" DS ", 1)[1].strip()
    return Signed(target.read_text(), ds)


def _seconds(when: str) -> str:
    """`now-172800` for `now-2d`."""
    return f"{when[:4]}{int(when[4:-1]) * 86400}"


class SignedKnot(Knot):
    """Knot that signs every zone it is given: `nsec3` with NSEC3, else with NSEC."""

    def __init__(self, directory: Path, address: str, port: int = 53, *, nsec3: bool = False) -> None:
        super().__init__(directory, address, port)
        self._nsec3 = nsec3

    def configure(self) -> None:
        super().configure()
        path = self.directory / "knot.conf"
        nsec3 = "on\n    nsec3-iterations: 0\n    nsec3-salt-length: 0\n    nsec3-opt-out: on" if self._nsec3 else "off"
        policy = f"policy:\n  - id: lab\n    single-type-signing: on\n    nsec3: {nsec3}\n"
        text = path.read_text().replace("template:\n", f"{policy}template:\n", 1)
        path.write_text(
            text.replace("    acl: lab\n", "    acl: lab\n    dnssec-signing: on\n    dnssec-policy: lab\n", 1)
        )

    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = ()) -> None:
        super().add_zone(zone, text, secondaries=secondaries)
        await_signed(self, zone)


class SignedNamed(Named):
    """BIND that signs every zone it is given, by `dnssec-policy default` with inline signing."""

    def add_zone(self, zone: str, text: str, *, secondaries: Sequence[Server] = (), updates: bool = False) -> None:
        assert not secondaries, "not needed"
        assert not updates, "not needed"
        path = self._write(zone, text)
        body = f'{{ type primary; file "{path}"; dnssec-policy default; inline-signing yes; }};'
        run(*self.control, "addzone", zone, body)
        await_signed(self, zone)


class Validator(Unbound):
    """Unbound that validates, from the trust anchors given: lines such as `example. DS 1 13 2 00…`."""

    def __init__(
        self, directory: Path, address: str, port: int = 53, root: Server | None = None, anchors: Sequence[str] = ()
    ) -> None:
        super().__init__(directory, address, port, root)
        self.anchors = anchors

    def configure(self) -> None:
        super().configure()
        path = self.directory / "unbound.conf"
        lines = "".join(f'  trust-anchor: "{line}"\n' for line in self.anchors)
        text = path.read_text().replace('module-config: "iterator"', 'module-config: "validator iterator"')
        path.write_text(text.replace("remote-control:\n", f"  val-clean-additional: yes\n{lines}remote-control:\n"))


def await_signed(server: Authoritative, zone: str) -> None:
    """Wait until it serves DNSKEY and a signed SOA."""
    wait_for(f"{server} signs {zone}", lambda: _is_signed(server, zone), log=server.log_text)


def _is_signed(server: Authoritative, zone: str) -> bool:
    return bool(server.answer(zone, "DNSKEY")) and bool(
        server.answer(zone, "RRSIG") or server.answer(zone, "NSEC3PARAM")
    )


def ds_of(server: Authoritative, zone: str) -> str:
    """The DS rdata of the key with which a server's zone is entered: the one with the SEP flag."""
    keys = [key for text in server.answer(zone, "DNSKEY") if (key := _dnskey(text)).flags & 1]
    assert len(keys) == 1, keys
    return dns.dnssec.make_ds(zone, keys[0], "SHA256").to_text()


def _dnskey(text: str) -> DNSKEY:
    key = dns.rdata.from_text("IN", "DNSKEY", text)
    assert isinstance(key, DNSKEY)
    return key
