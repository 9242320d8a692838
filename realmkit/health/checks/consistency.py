"""The zone's copies beside one another: serials, SOA, and what the provider's API shows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from realmkit.dns import names, rdata
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.health.check import check
from realmkit.health.seen.zone import ZoneSeen
from realmkit.health.telling import untold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realmkit.dns.findings import Level
    from realmkit.health.seen.zone import ServerSeen, Soa, Stale

_DAY: Final = 86_400
_NEGATIVE: Final = 300  # seconds that the absence of a fresh realm may be remembered


class _Range(NamedTuple):
    """What RFC 1912 section 2.2 recommends for one field, in seconds."""

    field: str
    least: int
    most: int


_RECOMMENDED: Final = (_Range("refresh", 1200, 43_200), _Range("expire", 14 * _DAY, 28 * _DAY))


@check(
    ZoneSeen,
    "CON01",
    "warning, error",
    "a server has an older copy of the zone",
    source="RFC 1982 section 3.2, RFC 1034 section 4.3.5",
)
def serials(seen: ZoneSeen) -> Iterator[Finding]:
    """All authoritative servers have the same serial.

    A server that is behind gives some phones yesterday's records: after a migration they register at the old edge, and
    which do depends on the server their resolver picked. Right after a change that is normal for some seconds.

    A server that still has the very same old copy after more than the SOA's *refresh* is an error: there NOTIFY *and*
    the regular transfer have failed. After *expire* it gives up the zone altogether (DEL02). The time counts from the
    first run that saw that copy, so a run without a state knows warnings only.

    Mend: look at the server's log for refused transfers (address list, TSIG key, firewall to port 53/TCP, clock),
    then have it transfer again (`rndc retransfer`, `knotc zone-retransfer`, `nsd-control transfer`,
    `pdns_control retrieve`).

    Can't see: providers whose serial does not follow their changes (Cloudflare, Route 53). Serials that lie 2^31
    apart have no order; then each is reported.
    """
    subject = f"{seen.title} serial"
    yield from _untold("CON01", subject, "its serial", seen)
    newest = seen.newest
    expected = "one serial" if newest is None else str(newest)
    mend = "let it transfer the zone again, and look in its log why it had not"
    for one in seen.servers:
        start = one.start
        if start is None or (newest is not None and not rr.serial_newer(newest, start.serial)):
            continue
        level, text = _how_old(seen.task.stale.get(str(one.server)), start)
        if newest is None:
            level, text = "warning", "the servers' serials have no order (RFC 1982)"
        yield Finding("CON01", level, subject, text, expected, str(start.serial), mend, str(one.server))


def _how_old(known: Stale | None, start: Soa) -> tuple[Level, str]:
    """How bad an old copy is; one that should have been renewed by now is worse."""
    if known is not None and known.serial == start.serial and known.seconds > start.refresh:
        return "error", f"the server has kept an older copy of the zone for longer than its refresh, {start.refresh} s"
    return "warning", "the server has an older copy of the zone"


def _untold(id: str, subject: str, what: str, seen: ZoneSeen) -> Iterator[Finding]:  # noqa: A002 - Finding's word
    """For every server that told no SOA."""
    for one in seen.servers:
        if one.start is None:
            yield untold(id, subject, what, one.soa.detail or "it has no SOA", one.server)


@check(ZoneSeen, "CON05", "notice", "the SOA differs between servers, or its times make little sense",
       source="RFC 1912 section 2.2, RFC 2308 section 5")  # fmt: skip
def soa(seen: ZoneSeen) -> Iterator[Finding]:
    """The SOA is the same everywhere, and its times are of use.

    Servers with the same serial and another mname, rname or timer do not have the same zone, whatever the serial says:
    somebody edits two primaries. *expire* must outlast *refresh* and *retry* together, or secondaries drop the zone
    before they have tried again. RFC 1912 recommends a refresh of 20 minutes to 12 hours, a retry shorter than that,
    and an expire of 2 to 4 weeks, so that the secondaries outlive a long weekend without their primary.

    In a zone of realms *minimum* (with the SOA's own TTL: the lower counts) should be 300 or less: for so long a
    resolver remembers that a realm is *not* there, and a customer's phone that was plugged in too early waits.

    Mend: edit the SOA at the primary or the provider. Some providers fix it; then acknowledge the notice.

    Can't see: whether the address in rname is read by anybody.
    """
    yield from _untold("CON05", f"{seen.title} SOA", "its SOA", seen)
    found = [(one, start) for one in seen.servers if (start := one.start) is not None]
    for serial in sorted({start.serial for _, start in found}):
        yield from _disagreeing(seen, [(one, start) for one, start in found if start.serial == serial])
    best = next(((one, start) for one, start in found if start.serial == seen.newest), None)
    if best is not None:
        yield from _timers(seen, *best)


def _disagreeing(seen: ZoneSeen, same_serial: Sequence[tuple[ServerSeen, Soa]]) -> Iterator[Finding]:
    usual = Counter(start for _, start in same_serial).most_common(1)[0][0]
    for one, start in same_serial:
        fields = [word for word, a, b in zip(start._fields, start, usual, strict=True) if a != b]
        if fields:
            text = f"the server has the same serial as others and another {', '.join(fields)}"
            mend = "find out who edits the zone beside the primary, and let the server transfer it again"
            yield Finding(
                "CON05", "notice", f"{seen.title} SOA", text, _shown(usual), _shown(start), mend, str(one.server)
            )


def _shown(start: Soa) -> str:
    return " ".join((names.to_text(start.mname), names.to_text(start.rname), *map(str, start[2:])))


def _timers(seen: ZoneSeen, one: ServerSeen, start: Soa) -> Iterator[Finding]:
    mend = "edit the SOA at the primary"

    def notice(field: str, text: str, expected: str, value: int) -> Finding:
        return Finding("CON05", "notice", f"{seen.title} SOA {field}", text, expected, str(value), mend)

    if start.expire <= start.refresh + start.retry:
        text = "expire is not longer than refresh and retry together"
        yield notice("expire", text, f"more than {start.refresh + start.retry}", start.expire)
    for field, least, most in _RECOMMENDED:
        value = getattr(start, field)
        if not least <= value <= most and not (field == "expire" and start.expire <= start.refresh + start.retry):
            yield notice(field, f"{field} is outside of what RFC 1912 recommends", f"{least} to {most}", value)
    if start.retry >= start.refresh:
        yield notice("retry", "retry is not shorter than refresh", f"less than {start.refresh}", start.retry)
    ttl = one.soa.rrset.ttl if one.soa.rrset else start.minimum
    negative = min(ttl, start.minimum)
    if seen.task.realms and negative > _NEGATIVE:
        text = "resolvers remember for long that a new realm is not there"
        yield notice("minimum", text, f"{_NEGATIVE} or less", negative)


@check(ZoneSeen, "CON07", "warning", "the provider's API shows what its servers do not serve",
       source="the provider's API; RFC 1034 section 4.3.5")  # fmt: skip
def published(seen: ZoneSeen) -> Iterator[Finding]:
    """What the provider's API has accepted is what the authoritative servers answer.

    An API says *ok* when it has written its database. Publishing comes later, and now and then never: a worker hangs,
    a zone file does not build, or the API's zone is not the one that is delegated to (DEL07). Compared are the serial,
    where the provider's serial moves with each change, and the records at the zone's apex but for their TTL.

    Right after a change this is normal for as long as the provider takes; a run that keeps seeing it reports it hard.

    Mend: wait a minute and check again; then look at the provider's status page, and open a ticket with the serials
    (or records) of both sides.

    Can't see: sets that the provider makes up when it answers (alias records, proxied addresses, weighted answers);
    they are left out. Realms' own records are compared by CON06.
    """
    task = seen.task
    if task.snapshot_unknown:
        yield untold("CON07", f"{seen.title} published", "what the provider shows", task.snapshot_unknown)
    if task.snapshot is None:
        return
    for one in seen.servers:
        if one.start is None:
            yield untold("CON07", f"{seen.title} published", "what is served", one.soa.detail, one.server)
            continue
        yield from _unpublished_serial(seen, one, one.start.serial)
        yield from _unpublished_sets(seen, one)


def _unpublished_serial(seen: ZoneSeen, one: ServerSeen, served: int) -> Iterator[Finding]:
    shown = seen.task.snapshot.serial if seen.task.snapshot is not None and seen.task.serials else None
    if shown is not None and rr.serial_newer(shown, served):
        text, mend = "the provider has accepted changes that the server does not serve", "wait, then ask the provider"
        subject = f"{seen.title} published serial"
        yield Finding("CON07", "warning", subject, text, str(shown), str(served), mend, str(one.server))


def _unpublished_sets(seen: ZoneSeen, one: ServerSeen) -> Iterator[Finding]:
    snapshot = seen.task.snapshot
    sights = {**one.apex, rr.NS: one.ns}
    for kind, sight in sights.items():
        shown = snapshot.rrsets.get((seen.task.apex, kind)) if snapshot is not None else None
        if shown is None:
            continue
        subject = f"{seen.title} published {rr.type_to_text(kind)}"
        if sight.state in ("unknown", "lame"):
            yield untold("CON07", subject, "what is served", sight.detail, one.server)
            continue
        served = sight.rrset.rdata if sight.state == "present" and sight.rrset else frozenset()
        if served != shown.rdata:
            text, mend = "the server serves something else than the provider shows", "wait, then ask the provider"
            yield Finding("CON07", "warning", subject, text, _rdata(kind, shown.rdata), _rdata(kind, served), mend,
                          str(one.server))  # fmt: skip


def _rdata(kind: int, octets: frozenset[bytes]) -> str:
    return " | ".join(sorted(rdata.to_text(kind, one) for one in octets)) or "none"
