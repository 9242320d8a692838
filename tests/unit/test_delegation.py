"""Which servers and which addresses: three-valued, with resolvers that have every fault.

tests/lab/test_delegation.py walks a real tree of zones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.asking import delegation, query, resolving
from realmkit.dns.asking.delegation import configured, discover, resolvers_of, system_resolvers
from realmkit.dns.asking.query import Options, Server
from realmkit.errors import InputError
from tests.unit.faulty import Faulty, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from realmkit.dns.names import Name

HOST = names.absolute("us-east.example.net")
FAST = Options(timeouts=(0.15, 0.15), rate=None)
V4, V6 = bytes((198, 51, 100, 10)), bytes.fromhex("20010db8" + "00" * 11 + "01")


def finder(texts: Sequence[str], options: Options = FAST) -> resolving.Resolver:
    return resolving.Resolver(resolvers_of(texts), lambda: options)


def addresses_of(host: Name, texts: Sequence[str], options: Options) -> resolving.Addresses:
    return finder(texts, options).addresses([host])[host]


class Resolver(Faulty):
    """A recursive resolver that knows these records, and answers others with NXDOMAIN.

    Args:
        lines: `owner type rdata`, one record each.
        codes: response codes for types that it fails on.
    """

    def __init__(self, *lines: str, codes: dict[str, int] | None = None, ra: bool = True) -> None:
        super().__init__(self._handle)
        self._lines = [line.split(None, 2) for line in lines]
        self._codes = codes or {}
        self._ra = ra

    def _handle(self, request: bytes, _number: int) -> Iterable[bytes]:
        asked = dns.message.from_wire(request)
        response = dns.message.make_response(asked, recursion_available=self._ra)
        name, kind = asked.question[0].name.to_text().lower(), asked.question[0].rdtype.name
        response.set_rcode(dns.rcode.Rcode.make(self._codes.get(kind, 0)))
        if kind in self._codes:
            return (response.to_wire(),)
        seen = set()
        while name not in seen:
            seen.add(name)
            alias = [text for owner, type_, text in self._lines if (owner, type_) == (name, "CNAME")]
            if not alias:
                break
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", alias[0]))
            name = alias[0]
        found = [text for owner, type_, text in self._lines if (owner, type_) == (name, kind)]
        if found:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        else:
            known = any(owner == name for owner, _, _ in self._lines)
            response.set_rcode(dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text(".", 60, "IN", "SOA", "a. b. 1 2 3 4 5"))
        return (response.to_wire(),)

    @property
    def text(self) -> str:
        return f"127.0.0.1:{self.port}"


# --- addresses -----------------------------------------------------------------------------------------------


def test_addresses_of_both_families_through_an_alias() -> None:
    lines = ["us-east.example.net. CNAME lb.example.org.", "lb.example.org. A 198.51.100.10",
             "lb.example.org. AAAA 2001:db8::1", "other.example. A 192.0.2.66"]  # fmt: skip
    with Resolver(*lines) as resolver:
        found = addresses_of(HOST, [resolver.text], FAST)
    assert found == delegation.Addresses(((rr.A, V4), (rr.AAAA, V6)))
    assert all(dns.message.from_wire(request).flags & dns.flags.RD for request, _, _ in resolver.requests)


def test_a_host_that_is_not_there_has_no_addresses() -> None:
    with Resolver("us-east.example.net. TXT x") as resolver:
        assert addresses_of(HOST, [resolver.text], FAST) == delegation.Addresses(())
        assert addresses_of(names.absolute("nowhere.example"), [resolver.text], FAST) == delegation.Addresses(())


@pytest.mark.parametrize(("codes", "words"), [({"AAAA": 2}, "SERVFAIL"), ({"A": 5, "AAAA": 5}, "REFUSED")])
def test_half_an_answer_is_unknown(codes: dict[str, int], words: str) -> None:
    with Resolver("us-east.example.net. A 198.51.100.10", codes=codes) as resolver:
        found = addresses_of(HOST, [resolver.text], FAST)
    assert words in found.unknown
    assert found.addresses == (() if "A" in codes else ((rr.A, V4),))


def test_the_next_resolver_is_asked() -> None:
    with (
        Faulty(lambda *_: ()) as silent,
        Resolver(codes={"A": 2, "AAAA": 2}) as failing,
        Resolver("us-east.example.net. A 198.51.100.10") as good,
    ):
        texts = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{silent.port}", failing.text, good.text]
        assert addresses_of(HOST, texts, FAST) == delegation.Addresses(((rr.A, V4),))
        found = addresses_of(HOST, texts[:2], FAST)
    assert (found.addresses, "no answer in 2 tries" in found.unknown) == ((), True)


def test_a_resolver_that_stops_at_an_alias() -> None:
    """Each answer holds one step of the chain only."""

    def handle(request: bytes, _number: int) -> Iterable[bytes]:
        asked = dns.message.from_wire(request)
        response = dns.message.make_response(asked, recursion_available=True)
        name, kind = asked.question[0].name.to_text().lower(), asked.question[0].rdtype.name
        steps = {"us-east.example.net.": "b.example.", "b.example.": "c.example."}
        if name in steps:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", steps[name]))
        elif kind == "A":
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "198.51.100.10"))
        return (response.to_wire(),)

    with Faulty(handle) as faulty:
        assert addresses_of(HOST, [f"127.0.0.1:{faulty.port}"], FAST) == delegation.Addresses(((rr.A, V4),))


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_aliases_in_a_circle(circle: int) -> None:
    hosts = [f"h{number}.example." for number in range(circle)]
    lines = [f"{one} CNAME {hosts[(number + 1) % circle]}" for number, one in enumerate(hosts)]
    with Resolver(*lines) as resolver:
        found = addresses_of(names.absolute(hosts[0]), [resolver.text], FAST)
    assert (found.addresses, "circle" in found.unknown) == ((), True)


def test_endless_aliases() -> None:
    def handle(request: bytes, number: int) -> Iterable[bytes]:
        asked = dns.message.from_wire(request)
        response = dns.message.make_response(asked, recursion_available=True)
        response.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "CNAME", f"n{number}.example."))
        return (response.to_wire(),)

    with Faulty(handle) as faulty:
        found = addresses_of(HOST, [f"127.0.0.1:{faulty.port}"], FAST)
    assert "aliases" in found.unknown
    assert len(faulty.requests) < 40


def test_a_server_that_does_not_recurse_is_no_resolver() -> None:
    with Resolver("us-east.example.net. A 198.51.100.10", ra=False) as resolver:
        found = addresses_of(HOST, [resolver.text], FAST)
    assert "offers no recursion" in found.unknown


@pytest.mark.parametrize("text", ["ns1.example.net", "192.0.2.1:70000", "192.0.2.1:", ""])
def test_resolvers_are_given_by_address(text: str) -> None:
    with pytest.raises(InputError):
        addresses_of(HOST, [text], FAST)


# --- configured servers --------------------------------------------------------------------------------------


def test_configured_servers() -> None:
    with Resolver("ns1.example.net. A 127.0.0.7", "ns2.example.net. A 127.0.0.8") as resolver:
        found = configured(
            ["127.0.0.2:5300", "ns1.example.net", "ns2.example.net:5353", "[::1]:53", "::1", "127.0.0.2:5300"],
            finder([resolver.text]),
        )
    assert found == delegation.Servers((
        Server("127.0.0.2", 5300), Server("127.0.0.7", 53, "ns1.example.net"),
        Server("127.0.0.8", 5353, "ns2.example.net"), Server("::1", 53),
    ))  # fmt: skip


def test_addresses_alone_need_no_resolver() -> None:
    found = configured(["127.0.0.2:5300"], finder([f"127.0.0.1:{free_port()}"]))
    assert found.found == (Server("127.0.0.2", 5300),)


def test_a_configured_host_without_address_is_said() -> None:
    with Resolver("ns1.example.net. A 127.0.0.7") as resolver:
        found = configured(["ns1.example.net", "gone.example.net"], finder([resolver.text]))
    assert found.found == (Server("127.0.0.7", 53, "ns1.example.net"),)
    assert found.unknown == ("gone.example.net: it has no address",)


@pytest.mark.parametrize("text", ["", ":53", "192.0.2.2:0", "192.0.2.2:70000", "[2001:db8::1", "ns1 .example", "a..b"])
def test_texts_that_are_no_server(text: str) -> None:
    with pytest.raises(InputError):
        configured([text], finder(["127.0.0.1"]))


def test_an_address_without_a_route_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "has_route", lambda address: ":" not in address)
    lines = ["ns1.example.net. A 127.0.0.7", "ns1.example.net. AAAA 2001:db8::7", "ns6.example.net. AAAA 2001:db8::8"]
    with Resolver(*lines) as resolver:
        found = configured(["ns1.example.net", "ns6.example.net"], finder([resolver.text]))
    assert found.found == (
        Server("127.0.0.7", 53, "ns1.example.net"), Server("2001:db8::8", 53, "ns6.example.net"),
    )  # fmt: skip
    assert found.passed_over == ("ns1.example.net (2001:db8::7): no route from here",)
    assert found.unknown == ()


# --- discovery: what can't be found out; the rest is the lab's -----------------------------------------------

ZONE = names.absolute("voice.example.net")


def test_without_a_resolver_nothing_is_known() -> None:
    found = discover(ZONE, finder([f"127.0.0.1:{free_port()}"]), FAST)
    assert found.found == ()
    assert "the zone above voice.example.net could not be found" in found.unknown[0]


def test_a_parent_without_servers() -> None:
    with Resolver("example.net. SOA a. b. 1 2 3 4 5") as resolver:
        found = discover(ZONE, finder([resolver.text]), FAST)
    assert found == delegation.Servers((), ("the answer is that example.net has no name servers",))


def test_a_parent_whose_servers_have_no_address() -> None:
    lines = ["example.net. SOA a. b. 1 2 3 4 5", "example.net. NS ns1.example.net.", "ns1.example.net. TXT x"]
    with Resolver(*lines) as resolver:
        found = discover(ZONE, finder([resolver.text]), FAST)
    assert found.found == ()
    assert "none of them is known by address" in found.unknown[0]
    assert found.unknown[1] == "ns1.example.net: it has no address"


def test_the_realm_itself_is_never_asked_for_at_a_resolver() -> None:
    with Resolver("example.net. SOA a. b. 1 2 3 4 5") as resolver:
        discover(ZONE, finder([resolver.text]), FAST)
    asked = {dns.message.from_wire(request).question[0].name.to_text().lower() for request, _, _ in resolver.requests}
    assert asked == {"example.net."}


# --- resolv.conf ---------------------------------------------------------------------------------------------


def test_resolv_conf() -> None:
    text = "# comment\nsearch x\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x\nnameserver\nnameserver foo\n"
    assert system_resolvers(text) == ("192.0.2.1", "2001:db8::1")
    assert system_resolvers("") == ("127.0.0.1",)


def test_the_systems_resolvers_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(questions: Iterable[tuple[Server, bytes, int]], _options: Options) -> Iterable[object]:
        asked.extend(server.address for server, _, _ in questions)
        return ()

    monkeypatch.setattr(query, "ask", ask)
    monkeypatch.setattr(delegation, "RESOLV_CONF", tmp_path / "resolv.conf")
    assert "no resolver" in addresses_of(HOST, [], FAST).unknown
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    addresses_of(HOST, [], FAST)
    assert set(asked) == {"127.0.0.1", "127.0.0.77"}
