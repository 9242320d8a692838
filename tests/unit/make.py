"""Short ways to make records, zones and projects in tests."""

from __future__ import annotations

from pathlib import Path

from realmkit import config, yamlfile
from realmkit.config import Project
from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.names import Name
from realmkit.dns.records import RRset, Zone

ZONE = names.absolute("voice.example.com")

PROJECT = """\
version: 1
platform:
  edge:
    proxies:
      - {host: us-east.example.net, addresses: [198.51.100.10, "2001:db8::10"], priority: 10, weight: 50}
      - {host: us-west.example.net, addresses: [203.0.113.10], priority: 20, weight: 50}
    transports: {udp: 5060, tcp: 5060, tls: 5061}
    mail: [{host: mx1.example.net, preference: 10}]
providers:
  files: {type: zonefile, file: "zones/{zone}.zone"}
zones:
  voice.example.com: {provider: files, nameservers: ["127.0.0.1:5300"]}
realms:
  acme.voice.example.com: {account: acme}
"""


def name(text: str) -> Name:
    """A complete name."""
    return names.absolute(text)


def rrset(owner: str, kind: str, *texts: str, ttl: int = 300) -> RRset:
    """An RRset from text; names are complete."""
    number = rr.type_from_text(kind)
    return RRset(name(owner), number, ttl, frozenset(rdata.from_text(number, text) for text in texts))


def zone(*rrsets: RRset, apex: Name = ZONE, **more: object) -> Zone:
    """A zone with these RRsets."""
    return rr.zone_of(apex, rrsets, **more)


def soa(apex: str = "voice.example.com", serial: int = 1, minimum: int = 300) -> RRset:
    """An SOA RRset."""
    return rrset(apex, "SOA", f"ns1.{apex}. hostmaster.{apex}. {serial} 7200 900 1209600 {minimum}")


def project(text: str = PROJECT, directory: Path = Path("/nowhere")) -> Project:
    """A project from its YAML."""
    document = yamlfile.loads(text, directory / "realmkit.yml")
    return Project(directory, config.decode(document, document.data, config.Config, ()), document)
