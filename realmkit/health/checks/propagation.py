"""What the world remembers: resolvers beside the authoritative servers."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from realmkit.dns import names, rdata, wire
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.records import key_to_text
from realmkit.health.check import check
from realmkit.health.seen.resolvers import PropagationSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.records import RRset
    from realmkit.health.seen.resolvers import Memory

_ADDRESSES: Final = (rr.A, rr.AAAA)
# RFC 8914 section 4 and IANA's registry of extended DNS errors: those that a broken zone brings about.
_EXTENDED: Final = {
    0: "other error", 1: "unsupported DNSKEY algorithm", 2: "unsupported DS digest", 3: "stale answer",
    5: "DNSSEC indeterminate", 6: "DNSSEC bogus", 7: "signature expired", 8: "signature not yet valid",
    9: "DNSKEY missing", 10: "RRSIGs missing", 11: "no zone key bit set", 12: "NSEC missing", 13: "cached error",
    14: "not ready", 15: "blocked", 16: "censored", 17: "filtered", 18: "prohibited", 22: "no reachable authority",
    23: "network error", 24: "invalid data",
}  # fmt: skip


@check(
    PropagationSeen,
    "PRO01",
    "warning, unknown",
    "a resolver still gives an older value",
    source="RFC 1034 section 5.3.3",
)
def older_value(seen: PropagationSeen) -> Iterator[Finding]:
    """A resolver answers with another RRset than all authoritative servers serve.

    Resolvers keep an answer for as long as its TTL said when they fetched it. After a change this is right and passes
    by itself; each finding says how many seconds are left, at most. Phones behind that resolver still go to the old
    place until then. A resolver that gives the old value with its whole TTL anew asks a server that was never
    updated, or one that is not ours: look at the delegation (DEL01 and DEL03).

    Mend: wait, or flush the name at the resolver (`unbound-control flush NAME`; the large public ones have a web page
    for it). Next time lower the TTL a day ahead (MIG01).

    What it can't see: resolvers that were not asked; of an anycast resolver only the machine that answered, whose
    neighbours remember other things. Names that are not yet served everywhere are never asked for, on purpose.
    """
    yield from _untold(seen)
    for key, published in seen.task.published.items():
        memories = {resolver: seen.memory(resolver, key) for resolver in seen.resolvers}
        stale = {
            resolver: memory.rrset
            for resolver, memory in memories.items()
            if memory.rrset is not None and _is_other(memory, published) and not _is_rewritten(memory, published)
        }
        for resolver, rrset in stale.items():
            yield Finding(
                "PRO01", "warning", key_to_text(key),
                f"{len(stale)} of {len(memories)} resolvers give another value, this one among them",
                expected=_text(published, published), seen=f"{_text(rrset, published)}, {rrset.ttl} s left",
                mend=f"wait {rrset.ttl} s, or flush {names.to_text(key[0])} at the resolver", server=str(resolver),
            )  # fmt: skip


def _untold(seen: PropagationSeen) -> Iterator[Finding]:
    """One finding for each resolver that left questions open, not one for each question."""
    for resolver in seen.resolvers:
        memories = [seen.memory(resolver, key) for key in seen.task.published]
        unknown = [one for one in memories if one.state == "unknown"]
        if unknown:
            whole = len(unknown) == len(memories)
            what = "what this resolver remembers" if whole else "all that this resolver remembers"
            yield Finding(
                "PRO01", "unknown", names.to_text(seen.task.zone), f"{what} could not be told",
                expected=f"{len(memories)} answers", seen=f"{len(memories) - len(unknown)}: {unknown[0].detail}",
                mend="name resolvers that answer this machine", server=str(resolver),
            )  # fmt: skip


@check(PropagationSeen, "PRO02", "warning", "a resolver remembers that a name that is served does not exist",
       source="RFC 2308 section 5")  # fmt: skip
def remembered_absence(seen: PropagationSeen) -> Iterator[Finding]:
    """All authoritative servers serve the set, but a resolver answers NXDOMAIN, or that there is no such type.

    Somebody asked that resolver before the name was published: a phone that was configured early, a curious `dig`, a
    monitoring system. It will go on saying so for the seconds that are named (the lower of the SOA's TTL and its
    MINIMUM, counting down; some resolvers cap it). Phones that meet it find no registrar, and many then pause for
    minutes of their own.

    Mend: wait or flush the resolver; before the next new realm lower the SOA's MINIMUM to 300 or less, and publish
    before you configure. If the time starts anew again and again, the resolver reaches a server that lacks the name
    (CON02), or a wildcard that was cut off (WLD01).
    """
    for key, published in seen.task.published.items():
        for resolver in seen.resolvers:
            memory = seen.memory(resolver, key)
            if memory.state != "absent":
                continue
            left = "for how long is not told" if memory.left is None else f"{memory.left} s left"
            what = "NXDOMAIN" if memory.rcode == wire.NXDOMAIN else "no such type"
            yield Finding(
                "PRO02", "warning", key_to_text(key), "this resolver remembers that it does not exist",
                expected=_text(published, published), seen=f"{what}, {left}",
                mend=f"wait, or flush {names.to_text(key[0])} at the resolver; lower the SOA's MINIMUM beforehand",
                server=str(resolver),
            )  # fmt: skip


@check(
    PropagationSeen, "PRO03", "error", "a resolver fails to resolve a name that is served", source="RFC 8914 section 4"
)
def resolver_fails(seen: PropagationSeen) -> Iterator[Finding]:
    """A resolver answers SERVFAIL for a set that the authoritative servers give us at once.

    To everybody behind that resolver the realm is gone: phones neither register nor find each other. Newer resolvers
    say why (extended errors, RFC 8914), and that text is shown: *DNSSEC bogus* or *signature expired*: mend the
    signatures or take the DS away; *no reachable authority*: they can't reach our servers, by a firewall, a rate limit
    or a wrong delegation; *blocked*, *filtered*: that resolver's own policy.

    Mend: by the text; without one, look at SEC01 and DEL01 to DEL05, and at rate limits on our servers.

    What it can't see: whether the fault is ours if only one resolver fails and gives no text.
    """
    for key in seen.task.published:
        for resolver in seen.resolvers:
            memory = seen.memory(resolver, key)
            if memory.state == "failed":
                yield Finding(
                    "PRO03", "error", key_to_text(key), "this resolver answers SERVFAIL", expected="NOERROR",
                    seen=_extended_text(memory), mend="see the extended error; else SEC01 and DEL01 to DEL05",
                    server=str(resolver),
                )  # fmt: skip


@check(PropagationSeen, "PRO04", "warning", "a server says that an empty non-terminal does not exist",
       source="RFC 8020 section 2, RFC 4592 section 2.2.2")  # fmt: skip
def nonterminal_denied(seen: PropagationSeen) -> Iterator[Finding]:
    """An authoritative server answers NXDOMAIN for `_udp.acme.example`, though `_sip._udp.acme.example` exists.

    A name above an existing name exists too, if only as an empty node: the answer must be NOERROR without data. Home-
    grown and database-driven servers get it wrong. Resolvers that minimise questions (RFC 9156: most, now) ask for
    `_udp.acme.example` first, take NXDOMAIN for everything below it (RFC 8020), and never come to the SRV set: SIP
    over that transport is dead for some networks and fine for others.

    Mend: update or replace that server; until then a harmless record (TXT) at the node helps, if the realm has its
    complete explicit set. Servers that gave no answer are reported as RUN01.
    """
    for (server, name), sight in seen.nodes.items():
        if sight.state == "absent" and sight.rcode == wire.NXDOMAIN:
            yield Finding(
                "PRO04", "warning", names.to_text(name), "this server denies it, though there are names below it",
                expected="NOERROR without data", seen="NXDOMAIN",
                mend="update the name server; a TXT record at the node helps until then", server=str(server),
            )  # fmt: skip


@check(PropagationSeen, "PRO05", "notice", "a resolver gives private addresses in place of public ones",
       source="RFC 9499 section 6, RFC 1918 section 3")  # fmt: skip
def rewritten(seen: PropagationSeen) -> Iterator[Finding]:
    """A resolver answers with private or reserved addresses where the authoritative servers serve public ones.

    That is *split horizon*: an office resolver that sends its own phones to an inside address, or a filter that sinks
    the name (`0.0.0.0`, `127.0.0.1`). Meant inside one network, it breaks phones that carry the answer elsewhere, and
    NAT traversal that expects the public address.

    Mend: if it is meant, accept the finding; otherwise take the override away at that resolver. What it can't see: a
    rewriting to another *public* address, which looks like an older value (PRO01).
    """
    for key, published in seen.task.published.items():
        for resolver in seen.resolvers:
            memory = seen.memory(resolver, key)
            if memory.rrset is not None and _is_rewritten(memory, published):
                yield Finding(
                    "PRO05", "notice", key_to_text(key), "this resolver gives a private address for a public one",
                    expected=_text(published, published), seen=_text(memory.rrset, published),
                    mend="take the override away at the resolver, unless it is meant", server=str(resolver),
                )  # fmt: skip


@check(PropagationSeen, "PRO06", "notice", "resolvers give different addresses, none of them the published ones",
       source="RFC 7871 section 7.1")  # fmt: skip
def resolvers_differ(seen: PropagationSeen) -> Iterator[Finding]:
    """Two or more resolvers give address sets that differ from one another, and all of them from what is served to us.

    After one change stale resolvers agree on the one old value. Where they do not, the servers may be answering by
    who asks (ECS, geography, a load balancer), so that this machine's view is not the world's: phones then land on
    edges that the configuration does not know. It comes beside PRO01, which names each resolver.

    Mend: if answers by location are meant, compare with what the provider's console shows for each region.

    What it can't tell: two changes within one TTL look the same until the older answers have run out. Two regions of
    which one gets what we get look like an older value.
    """
    for key, published in seen.task.published.items():
        if key[1] not in _ADDRESSES:
            continue
        others = {
            resolver: memory.rrset
            for resolver in seen.resolvers
            if (memory := seen.memory(resolver, key)).rrset is not None
            and _is_other(memory, published)
            and not _is_rewritten(memory, published)
        }
        texts = sorted({_text(rrset, published) for rrset in others.values()})
        if len(texts) > 1:
            yield Finding(
                "PRO06", "notice", key_to_text(key), "resolvers give different addresses, and none the published ones",
                expected=_text(published, published), seen=" / ".join(texts),
                mend="look whether its servers answer by location; else wait until the older answers have run out",
            )  # fmt: skip


def _is_other(memory: Memory, published: RRset) -> bool:
    return memory.rrset is not None and (memory.state == "alias" or memory.rrset.rdata != published.rdata)


def _is_rewritten(memory: Memory, published: RRset) -> bool:
    """Whether an inside address stands where only public ones are published."""
    if published.type not in _ADDRESSES or memory.state != "present" or memory.rrset is None:
        return False
    return not any(map(_is_inside, published.rdata)) and any(map(_is_inside, memory.rrset.rdata))


def _is_inside(octets: bytes) -> bool:
    """Private, shared, loopback and the like; the blocks for documentation count as public, as examples mean them."""
    address = ipaddress.ip_address(octets)
    if any(address in block for block in _DOCUMENTATION):
        return False
    return not address.is_global


_DOCUMENTATION: Final = tuple(  # RFC 5737, RFC 3849, RFC 9637
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)


def _text(rrset: RRset, published: RRset) -> str:
    text = " | ".join(sorted(rdata.to_text(rrset.type, one) for one in rrset.rdata))
    return text if rrset.type == published.type else f"{rr.type_to_text(rrset.type)} {text}"


def _extended_text(memory: Memory) -> str:
    texts = []
    for code, text in memory.extended:
        word = _EXTENDED.get(code, f"extended error {code}")
        texts.append(f"{word}: {text}" if text else word)
    return "SERVFAIL" + (f" ({'; '.join(texts)})" if texts else "")
