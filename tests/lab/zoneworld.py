"""A tree of zones on real servers: one that is right, and beside it every way in which a zone can be wrong."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realmkit.clock import SystemClock
from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.asking.query import Options
from realmkit.dns.records import RRset, zone_of
from realmkit.health.checks import consistency, delegation, migration_zone, nameservers, security, zonewild
from realmkit.health.observe.surroundings import Surroundings
from realmkit.health.seen.zone import ZoneTask
from tests.lab.proxy import Proxy
from tests.lab.server import run, wait_for
from tests.lab.servers import Knot, Named, Nsd, PowerDns, Unbound
from tests.lab.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.findings import Finding
    from realmkit.dns.names import Name
    from realmkit.health.seen.zone import ZoneSeen
    from tests.lab.server import Authoritative
    from tests.lab.topology import Lab

OPTIONS = Options(timeouts=(0.3, 0.7), rate=None)
SOA = "14400 3600 1209600 300"
WILD = "*.s A 192.0.2.1"
CHECKS = (
    delegation.delegated, delegation.lame, delegation.same_servers, delegation.glue, nameservers.server_names,
    nameservers.diversity, nameservers.assigned, nameservers.vanity, consistency.serials, consistency.soa,
    consistency.published, security.open_transfer, security.open_recursion, security.edns, zonewild.wildcards,
    migration_zone.ns_ttl,
)  # fmt: skip


@dataclass
class World:
    """The servers, what the parent holds, and the tasks of all zones that are looked at together."""

    named: Named
    knot: Knot
    far: Knot
    nsd: Nsd
    pdns: PowerDns
    dead: str
    proxy: Proxy
    tree: Tree
    lines: list[str] = field(default_factory=list)
    tasks: dict[str, ZoneTask] = field(default_factory=dict)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(SystemClock(), OPTIONS, (self.tree.resolver.where,))

    def zone(
        self,
        word: str,
        *servers: Authoritative,
        hosts: dict[str, str] | None = None,
        more: str = "",
        soa: str = SOA,
        serial: int = 1,
        **task: object,
    ) -> None:
        """Delegate `word.example.` to `hosts` (by default ns1 to the first server, ns2 to the second), and serve it."""
        hosts = hosts if hosts is not None else {f"ns{n}": one.address for n, one in enumerate(servers, 1)}
        self.lines += [f"{word} 300 NS {host}.{word}" for host in hosts]
        self.lines += [f"{host}.{word} A {address}" for host, address in hosts.items()]
        for server in servers:
            server.add_zone(f"{word}.example.", zone_text(hosts, more, soa, serial))
        self.task(word, **task)

    def task(self, word: str, **more: object) -> None:
        apex = names.absolute(f"{word}.example")
        self.tasks[word] = ZoneTask(apex, **({"allow_private": True} | more))  # type: ignore[arg-type]


def zone_text(hosts: dict[str, str], more: str = "", soa: str = SOA, serial: int = 1, ttl: int = 300) -> str:
    lines = [f"$TTL {ttl}", f"@ SOA ns1 hostmaster {serial} {soa}"]
    lines += [f"@ NS {host}" for host in hosts]
    lines += [f"{host} A {address}" for host, address in hosts.items()]
    return "\n".join([*lines, more, ""])


def name(text: str) -> Name:
    return names.absolute(text)


def addresses(*texts: str) -> tuple[tuple[int, bytes], ...]:
    return tuple(rdata.address(text) for text in texts)


def findings(seen: ZoneSeen) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(seen)]


def over_tcp(request: bytes) -> bool:
    return int.from_bytes(request[:2], "big") == len(request) - 2


def with_edns(request: bytes) -> bool:
    return not over_tcp(request) and request[11] == 1


def opt(request: bytes) -> tuple[int, int]:
    """Version and length of the options of a query's OPT record (RFC 6891 section 6.1.2)."""
    end = 12
    while request[end]:
        end += 1 + request[end]
    start = end + 5
    return request[start + 6], int.from_bytes(request[start + 9 : start + 11], "big")


def edns_version(request: bytes) -> bool:
    return with_edns(request) and opt(request)[0] > 0


def edns_option(request: bytes) -> bool:
    return with_edns(request) and opt(request)[1] > 0


def wild(text: str) -> RRset:
    return RRset(name(text), rr.A, 300, frozenset({bytes((192, 0, 2, 1))}))


@contextmanager
def planted(own: Lab) -> Iterator[World]:
    """All servers and zones, until the block ends."""
    named, knot, nsd, pdns = own.start(Named), own.start(Knot), own.start(Nsd), own.start(PowerDns)
    root, parent = own.start(Named), own.start(Knot)
    tree = Tree(root, parent, own.start(Unbound, root=root))
    far = Knot(own.root / "far", "127.0.71.2")  # another /24, which the lab's own addresses never leave
    far.start()
    try:
        with Proxy((named.address, 53), own.address(), 53) as proxy:
            there = World(named, knot, far, nsd, pdns, own.address(), proxy, tree)
            for plan in (serving, leading, copying, giving):
                plan(there)
            grow(there)
            yield there
    finally:
        far.stop()


def grow(w: World) -> None:
    """Serve the root, and `example.` with all the delegations."""
    root, parent = w.tree.root, w.tree.parent
    head = "$TTL 3600\n@ SOA {} 1 60 5 3600 60\n"
    root.add_zone(".", head.format("ns.example. h.example.") + (
        f"@ NS ns.root.example.\nns.root.example. A {root.address}\n"
        f"example. NS ns.example.\nns.example. A {parent.address}\n"
    ))  # fmt: skip
    lines = [f"@ NS ns\nns A {parent.address}\nns.root A {root.address}", *w.lines, ""]
    parent.add_zone("example.", head.format("ns h") + "\n".join(lines))


def serving(w: World) -> None:
    """Zones that are right, and zones that some server does not serve."""
    w.zone("good", w.named, w.far, more=f"@ MX 10 mx\n{WILD}", wildcards=(wild("*.s.good.example"),))
    hosts = {f"ns{n}": one.address for n, one in enumerate((w.named, w.knot, w.nsd, w.pdns), 1)}
    w.zone("four", w.named, w.knot, w.nsd, hosts=hosts, more=WILD, wildcards=(wild("*.s.four.example"),))
    w.pdns.add_zone("four.example.", zone_text(hosts, WILD), soa_edit_api="OFF")
    w.zone("lame", w.named, hosts={"ns1": w.named.address, "ns2": w.nsd.address})
    w.zone("dead", w.named, hosts={"ns1": w.named.address, "ns2": w.dead})
    w.zone("expired", w.far, hosts={"ns1": w.far.address, "ns2": w.named.address})
    source = f'type secondary; file "expired"; primaries {{ {w.dead}; }};'
    run(*w.named.control, "addzone", "expired.example.", f"{{ {source} }};")
    w.zone("forsaken", hosts={"ns1": w.dead, "ns2": w.nsd.address})
    w.task("nowhere")
    w.zone("hidden", w.named, hosts={}, more="@ NS ns1.good.example.", nameservers=(w.named.where,))
    w.task("hushed", nameservers=(w.dead,))
    w.zone("proxied", w.named, hosts={"ns1": w.far.address, "ns2": w.proxy.address})
    w.far.add_zone("proxied.example.", zone_text({"ns1": w.far.address, "ns2": w.proxy.address}))


def leading(w: World) -> None:
    """Zones whose delegation, glue or name servers' names are wrong."""
    named, far = w.named.address, w.far.address
    w.zone("other", hosts={"ns1": named, "ns2": far})
    for server in (w.named, w.far, w.knot):
        server.add_zone("other.example.", zone_text({"ns1": named, "ns3": w.knot.address}, f"ns2 A {far}"))
    w.zone("torn", w.named, w.far)
    w.far.zone_file("torn.example.").write_text(zone_text({"ns1": named, "ns3": far}, f"ns2 A {far}", serial=2))
    run(*w.far.reload_command("torn.example."))
    w.zone("renumbered", hosts={"ns1": named, "ns2": w.knot.address})
    for server in (w.named, w.far, w.knot):
        server.add_zone("renumbered.example.", zone_text({"ns1": named, "ns2": far}))
    w.lines += ["glueless 300 NS ns1.good", "glueless 300 NS ns2.glueless"]
    for server in (w.named, w.far):
        text = zone_text({"ns2": far}, "@ NS ns1.good.example.")
        server.add_zone("glueless.example.", text)
    w.task("glueless")
    w.zone("half", w.named, w.far, more="ns2 AAAA 2001:db8::53")
    w.lines += ["alias CNAME ns2.good", "odd 300 NS ns1.good", "odd 300 NS alias", "odd 300 NS missing"]
    odd = "@ NS ns1.good.example.\n@ NS alias.example.\n@ NS missing.example."
    for server in (w.named, w.far):
        server.add_zone("odd.example.", zone_text({}, odd))
    w.task("odd")
    w.zone("single", w.named)
    w.zone("twins", w.named, hosts={"ns1": named, "ns2": named})
    w.zone("near", w.named, w.knot)
    vanity = {name("ns1.assigned.example"): addresses("192.0.2.53"), name("ns2.assigned.example"): addresses(far),
              name("www.good.example"): addresses("192.0.2.80")}  # fmt: skip
    w.zone("assigned", w.named, w.far, assigned=("ns2.assigned.example.", "ns1.assigned.example"), vanity=vanity)
    w.zone("pending", w.named, w.far, assigned=("ns1.pending.example.", "ns3.pending.example"))
    w.zone("silent-api", w.named, w.far, assigned_unknown="HTTP 503", snapshot_unknown="HTTP 503")
    w.zone("slow", hosts={"ns1": named, "ns2": far}, moving=True)
    for server in (w.named, w.far):
        server.add_zone("slow.example.", zone_text({"ns1": named, "ns2": far}, ttl=3600))
    w.lines.append("slow 86400 DS 1 13 2 " + "ab" * 32)


def copying(w: World) -> None:
    """Zones whose copies differ."""
    hosts = {"ns1": w.named.address, "ns2": w.knot.address}
    w.zone("behind", hosts=hosts)
    w.named.add_zone("behind.example.", zone_text(hosts), updates=False)
    w.knot.add_secondary("behind.example.", w.named)
    w.named.zone_file("behind.example.").write_text(zone_text(hosts, serial=2))
    run(*w.named.reload_command("behind.example."))  # and tells nobody: the secondary keeps what it has
    wait_for("the primary has moved on", lambda: w.named.serial("behind.example.") == 2)
    w.zone("orderless", w.named, hosts=hosts)
    w.knot.add_zone("orderless.example.", zone_text(hosts, serial=1 + 2**31))
    w.zone("forked", w.named, hosts=hosts)
    w.knot.add_zone("forked.example.", zone_text(hosts).replace("hostmaster", "somebody"))
    w.zone("hasty", w.named, w.knot, soa="60 90 120 3600")
    good = zone_of(name("good.example"), ())
    mx = RRset(good.name, rr.MX, 300, frozenset({rdata.from_text(rr.MX, "10 mx.good.example.")}))
    w.task("good", wildcards=(wild("*.s.good.example"),), snapshot=zone_of(good.name, [mx], serial=1),
           assigned=("ns1.good.example", "ns2.good.example"), moving=True)  # fmt: skip
    old = RRset(name("near.example"), rr.MX, 300, mx.rdata)
    w.task("near", snapshot=zone_of(old.name, [old], serial=5))


def giving(w: World) -> None:
    """Zones whose servers give too much, and wildcards."""
    hosts = {"ns1": w.named.address, "ns2": w.far.address}
    path = w.named.zone_file("open.example.")
    path.write_text(zone_text(hosts))
    body = f'type primary; file "{path}"; allow-transfer {{ any; }};'
    run(*w.named.control, "addzone", "open.example.", f"{{ {body} }};")
    w.zone("open", hosts=hosts)
    w.far.add_zone("open.example.", zone_text(hosts))
    w.zone("recursive", w.named, hosts={"ns1": w.named.address, "ns2": w.tree.resolver.address})
    w.zone("wild", w.named, hosts=hosts, more="*.s A 192.0.2.1\n*.t A 192.0.2.9\n*.u A 192.0.2.1",
           wildcards=tuple(wild(f"*.{label}.wild.example") for label in "stu"))  # fmt: skip
    w.far.add_zone("wild.example.", zone_text(hosts, "*.t CNAME x\n*.u A 192.0.2.1"))
