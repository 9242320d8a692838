"""Zones of a real name server that follow a stand-in, as the servers of a cloud follow its API."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from tests.lab.server import KEY, base_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.lab.servers import Knot

KEYRING = dns.tsigkeyring.from_text({KEY.name: (KEY.algorithm, KEY.secret)})
RRsetId = tuple[dns.name.Name, dns.rdatatype.RdataType]


class Served(NamedTuple):
    """One RRset in the words of a zone file: absolute owner, TTL, type, rdata with absolute names."""

    owner: str
    ttl: int
    kind: str
    texts: tuple[str, ...]


class Published:
    """Hands zones to a Knot DNS by dynamic update. SOA and NS of the apex are the server's own.

    Zone names are text with the final dot. Calls may come from several threads.
    """

    def __init__(self, server: Knot) -> None:
        self.server = server
        self._shown: dict[str, dict[RRsetId, dns.rdataset.Rdataset]] = {}
        self._lock = threading.Lock()

    def add(self, zone: str) -> None:
        """Serve a zone, empty but for its apex; one that was served before is emptied."""
        with self._lock:
            known = zone in self._shown
            self._shown.setdefault(zone, {})
            if not known:
                self.server.add_zone(zone, base_zone())
        if known:
            self.show(zone, [])

    def show(self, zone: str, rrsets: Iterable[Served]) -> None:
        """Serve exactly these RRsets in the zone, beside its apex.

        Raises:
            AssertionError: the server refuses them, or dnspython can't read them: the stand-in took what no server can
                serve.
        """
        with self._lock:
            wanted = {_id(one): _rdataset(one) for one in rrsets}
            shown = self._shown[zone]
            update = _difference(zone, shown, wanted)
            if update.update:
                answer = dns.query.tcp(update, self.server.address, timeout=10, port=self.server.port)
                assert answer.rcode() == dns.rcode.NOERROR, f"{self.server}: {dns.rcode.to_text(answer.rcode())}"
            self._shown[zone] = dict(wanted)


def _id(one: Served) -> RRsetId:
    return dns.name.from_text(one.owner), dns.rdatatype.from_text(one.kind)


def _rdataset(one: Served) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_text(dns.rdataclass.IN, one.kind, one.ttl, *one.texts)


def _difference(
    zone: str, shown: Mapping[RRsetId, dns.rdataset.Rdataset], wanted: Mapping[RRsetId, dns.rdataset.Rdataset]
) -> dns.update.UpdateMessage:
    update = dns.update.UpdateMessage(zone, keyring=KEYRING)
    apex = dns.name.from_text(zone)
    for key, there in shown.items():
        if wanted.get(key) != there or wanted[key].ttl != there.ttl:
            update.delete(*key)
    for key, rdataset in wanted.items():
        there_or_none = shown.get(key)
        if there_or_none is not None and there_or_none == rdataset and there_or_none.ttl == rdataset.ttl:
            continue
        if key[0] == apex and key[1] in (dns.rdatatype.NS, dns.rdatatype.SOA):
            continue
        update.add(key[0], rdataset)
    return update
