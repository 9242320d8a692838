"""A project with a white-label domain beside a sandbox platform, for tests of `realmkit whitelabel`."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from realmkit.config import open_project
from realmkit.dns import names
from realmkit.kazoo.brand import Branding
from realmkit.kazoo.client import Crossbar
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.crossbar import in_process
from realmkit.whitelabel.brandfile import BrandFile, open_brand
from realmkit.whitelabel.desk import Desk
from realmkit.whitelabel.platform import Platform
from tests.unit.platforms import Platform as Sandbox

DOMAIN = "voice.example.com"
PROJECT = """\
version: 1
platform:
  edge:
    proxies:
      - {{host: us-east.{domain}, addresses: [198.51.100.10], priority: 10, weight: 50}}
    transports: {{udp: 7000, tcp: 7000}}
    mail: [{{host: mx1.example.net, preference: 10}}]
providers:
  files: {provider}
zones:
  {domain}: {{provider: files, nameservers: [{servers}], rate_per_server: unlimited}}
realms:
{realms}
policy: {{ttl: 300, allow_private_addresses: {private}, verify_deadline: 20{policy}}}
"""
# What the platform's own template lacks: addresses, and where portal and API really are.
MENDED = """\
domain: {domain}
account: Acme
company_name: Voice of Example
overrides:
  us-east: {{A: [198.51.100.10]}}
  us-central: {{A: [198.51.100.11]}}
  us-west: {{A: [198.51.100.12]}}
  portal: {{CNAME: [ui.host.example.net]}}
  api: {{CNAME: [api.host.example.net]}}
"""
ZONE = """\
$TTL 300
@ SOA ns1 hostmaster 1 7200 900 1209600 60
@ NS ns1
ns1 A 198.51.100.53
"""


class Place:
    """A project directory; the platform is the sandbox's, in this process."""

    def __init__(self, directory: Path, generation: Generation = Generation.NEWER, domain: str = DOMAIN) -> None:
        self.directory, self.domain = directory, domain
        self.sandbox = Sandbox(generation)
        self.template = self.sandbox.cluster.catalogue.template
        (directory / "whitelabel").mkdir()
        (directory / "zones").mkdir()
        (directory / "zones" / f"{domain}.zone").write_text(ZONE)
        self.write_project()
        self.write()

    def write_project(self, realms: str = "  {}", **more: str) -> None:
        told = {
            "provider": '{type: zonefile, file: "zones/{zone}.zone"}', "servers": '"127.0.0.1:5300"',
            "private": "false", "policy": "", "realms": realms,
        } | more  # fmt: skip
        (self.directory / "realmkit.yml").write_text(PROJECT.format(domain=self.domain, **told))

    def write(self, more: str = "", base: str = MENDED) -> None:
        """The brand's file."""
        (self.directory / "whitelabel" / f"{self.domain}.yml").write_text(base.format(domain=self.domain) + more)

    def put(self, name: str, octets: bytes) -> None:
        """A file beside the brand's."""
        (self.directory / "whitelabel" / name).write_bytes(octets)

    @property
    def file(self) -> BrandFile:
        return open_brand(self.directory, self.domain)

    def desk(self) -> Desk:
        return Desk(open_project(self.directory), self.sandbox.clock)

    def crossbar(self, login: str | None = None) -> Crossbar:
        """A login of the reseller's, or of another account."""
        key = self.sandbox.cluster.api_key(login or self.sandbox.reseller)
        transport = in_process(self.sandbox.cluster)
        return Crossbar("http://sandbox/v2", key, self.sandbox.clock, transport=transport, jitter=lambda: 0.0)

    def platform(self) -> Platform:
        crossbar = self.crossbar()
        return Platform(crossbar.find_account("Acme"), Branding(crossbar))

    def zone(self) -> str:
        return (self.directory / "zones" / f"{self.domain}.zone").read_text()

    def brand(self) -> dict[str, Any]:
        """The stored document."""
        (found,) = self.sandbox.cluster.store.all("whitelabel", self.sandbox.account)
        return found.data


def png(width: int = 2, height: int = 2) -> bytes:
    """A whole PNG."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + b"\0\0\0" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif(width: int = 3, height: int = 2) -> bytes:
    """A whole GIF with an empty picture."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0" + b";"


def jpeg(width: int = 5, height: int = 4) -> bytes:
    """The frame of a JPEG, as far as it is looked at."""
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"JF" + frame + b"\xff\xd9"


def ico(width: int = 16, height: int = 16) -> bytes:
    """An ICO of one picture of four octets."""
    return b"\0\0\1\0\1\0" + bytes((width, height, 0, 0, 1, 0, 32, 0)) + struct.pack("<II", 4, 22) + b"abcd"


def label(text: str, domain: str = DOMAIN) -> bytes:
    """A name below the domain."""
    return names.from_text(text, names.absolute(domain))
