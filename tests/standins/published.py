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
    from collections.abc import Iterable, Iterator, Mapping

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
            for message in _messages(zone, shown, wanted):
                answer = dns.query.tcp(message, self.server.address, timeout=10, port=self.server.port)
                assert answer.rcode() == dns.rcode.NOERROR, f"{self.server}: {dns.rcode.to_text(answer.rcode())}"
            self._shown[zone] = dict(wanted)


def _id(one: Served) -> RRsetId:
    return dns.name.from_text(one.owner), dns.rdatatype.from_text(one.kind)


def _rdataset(one: Served) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_text(dns.rdataclass.IN, one.kind, one.ttl, *one.texts)


def _messages(
    zone: str, shown: Mapping[RRsetId, dns.rdataset.Rdataset], wanted: Mapping[RRsetId, dns.rdataset.Rdataset]
) -> Iterator[dns.update.UpdateMessage]:
    """What leads from one to the other; in several messages where there is much, what goes before what comes."""
    apex = dns.name.from_text(zone)
    differing = [key for key in {**shown, **wanted} if not _same(shown.get(key), wanted.get(key))]
    differing.sort(key=lambda key: key in wanted)
    for first in range(0, len(differing), 100):
        keys = differing[first : first + 100]
        message = dns.update.UpdateMessage(zone, keyring=KEYRING)
        for key in keys:
            if key in shown:
                message.delete(*key)
        for key in keys:
            if key in wanted and not (key[0] == apex and key[1] in (dns.rdatatype.NS, dns.rdatatype.SOA)):
                message.add(key[0], wanted[key])
        if message.update:
            yield message


def _same(one: dns.rdataset.Rdataset | None, other: dns.rdataset.Rdataset | None) -> bool:
    return one is not None and other is not None and one == other and one.ttl == other.ttl
