"""Zone files, checked and served by BIND, Knot DNS and NSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.name
import dns.zone

from realmkit_providers.zonefile import ZoneFile, ZoneFileSettings
from tests.contract.harness import Bench, Harness
from tests.contract.oracle import name_text, texts, type_text, zone_lines
from tests.lab.server import base_zone, run, wait_for
from tests.lab.servers import Named, Nsd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realmkit.dns.names import Name
    from realmkit.dns.plan import Change
    from realmkit.dns.records import RRset
    from tests.lab.servers import Knot


class ZoneFileBench(Bench):
    """A zone file of one of the lab's servers; the second writer is a program that writes the whole file anew."""

    def __init__(self, server: Named | Knot | Nsd, zone: Name, directory: Path, check: tuple[str, ...]) -> None:
        self.server = server
        self._reload = server.reload_command(name_text(zone))
        self.zone = zone
        self.directory = directory
        self.file = server.zone_file(name_text(zone))
        settings = ZoneFileSettings(
            f"{self.file.parent}/{{zone}}.zone", check=check, reload=server.reload_command("{zone}")
        )
        self.provider = ZoneFile(settings, self.context())

    def await_serial(self, serial: int | None) -> None:
        """While NSD reloads, its old and its new process answer in turns: many answers in a row must be new."""
        super().await_serial(serial)
        if isinstance(self.server, Nsd):
            zone = name_text(self.zone)
            wait_for("the old process is gone", lambda: all(self.server.serial(zone) == serial for _ in range(30)))

    def second_writer(self, change: Change) -> None:
        zone = dns.zone.from_file(str(self.file), origin=name_text(self.zone), relativize=False)
        name, kind = dns.name.from_text(name_text(change.key[0])), type_text(change.key[1])
        zone.delete_rdataset(name, kind)
        if change.after is not None:
            zone.replace_rdataset(name, dns.rdataset.from_text("IN", kind, change.after.ttl, *texts(change.after)))
        zone.to_file(str(self.file), relativize=False)
        run(*self._reload)


class _OnServer(Harness):
    provider = ZoneFile
    check: tuple[str, ...]

    def new_zone(self, rrsets: Sequence[RRset], zone: Name) -> ZoneFileBench:
        server: Named | Knot | Nsd = self.fixture(self.name.rpartition("-")[2])
        text = base_zone(zone_lines(rrsets))
        if isinstance(server, Named):
            server.add_zone(name_text(zone), text, updates=False)
        else:
            server.add_zone(name_text(zone), text)
        return ZoneFileBench(server, zone, self.directory, self.check)


class OnNamed(_OnServer):
    """The zonefile provider with BIND's checker and server."""

    name = "zonefile-on-named"
    check = ("named-checkzone", "-i", "none", "-k", "ignore", "{zone}", "{file}")


class OnKnot(_OnServer):
    """The zonefile provider with Knot's checker and server."""

    name = "zonefile-on-knot"
    check = ("kzonecheck", "-o", "{zone}.", "{file}")


class OnNsd(_OnServer):
    """The zonefile provider with NSD's checker and server."""

    name = "zonefile-on-nsd"
    check = ("nsd-checkzone", "{zone}", "{file}")
