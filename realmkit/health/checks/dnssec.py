"""Judging signatures: the chain of trust, what is about to expire, DS without a key, and a signed zone that moves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from realmkit.dns.findings import Finding, Level
from realmkit.dns.names import to_text
from realmkit.dns.records import DNSKEY, key_to_text
from realmkit.health.check import check
from realmkit.health.seen.dnssec import SecSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.dns.asking.query import Server
    from realmkit.dns.records import Key
    from realmkit.health.seen.dnssec import DsSeen, SetSeen, SetState

_DAY: Final = 86400
_SOON: Final = 3 * _DAY
_USUAL_DS_TTL: Final = _DAY  # the longest that registries are known to use
_COULD_NOT_TELL: Final[Mapping[SetState, str]] = {"unsupported": "can't be judged", "unknown": "could not be told"}
_MEND: Final[Mapping[SetState, str]] = {
    "expired": "sign the zone again; see why the signer stopped",
    "early": "set the clock of the signer, or publish the signatures later",
    "invalid": "sign the zone again, and transfer it to this server whole",
    "unsigned": "serve the signed zone on this server, or take the DS away at the registrar",
    "unproven": "turn DNSSEC on for the zone on this server; sign it again with NSEC or NSEC3",
    "unmatched": "publish the key that the DS means, or replace the DS at the registrar",
    "absent": "publish the zone's DNSKEY set on this server, or take the DS away at the registrar",
    "split": "publish the keys of all signers on all servers (RFC 8901)",
}


@check(SecSeen, "SEC01", "error, unknown", "the DNSSEC chain of trust is broken", source="RFC 4035 section 5")
def chain(seen: SecSeen) -> Iterator[Finding]:
    """The way of trust from the root to the zone, or a signature in the zone, does not hold.

    Every link is verified: DS at the parent, DNSKEY at the child, the signatures over DNSKEY, over SOA and over the
    set of one realm, on every server, and for a wildcard's answer the proof that the name itself does not exist.
    Where a link breaks, validating resolvers (Google, Cloudflare, Quad9, most providers) answer SERVFAIL: phones behind
    them lose the realm, fax mail stays in the queue, the portal does not open. Phones behind other resolvers notice
    nothing, so the fault looks like one provider's.

    A zone without DS is *insecure*, not broken, and is no finding. What can't be verified here (an algorithm that is
    unknown, a parent that does not answer) is `unknown`. One server with other signatures than the rest is named.

    Mend: sign the zone again; or replace the DS at the registrar; or, at night, take the DS away and wait for its
    TTL. It can't see what a resolver still remembers, and looks at one set of one realm, not at all.
    """
    if seen.trust == "broken":
        yield Finding(
            "SEC01", "error", to_text(seen.task.zone), f"the chain of trust is broken: {seen.words}",
            mend="mend it at that zone, or take the DS away at the registrar",
        )  # fmt: skip
    elif seen.trust in ("unknown", "unsupported"):
        yield Finding("SEC01", "unknown", to_text(seen.task.zone), f"the chain of trust can't be judged: {seen.words}")
    elif seen.trust == "secure":
        if not seen.task.servers:
            yield Finding("SEC01", "unknown", to_text(seen.task.zone), "none of its servers is known")
        for one in seen.sets:
            if one.state in _COULD_NOT_TELL:
                yield _unknown(one)
        for one, server in _alike(seen, [one for one in seen.sets if one.state not in _COULD_NOT_TELL]):
            yield from _broken(seen, one, server)


def _unknown(one: SetSeen) -> Finding:
    words = f"its signature {_COULD_NOT_TELL[one.state]}: {one.detail}"
    return Finding("SEC01", "unknown", key_to_text(one.key), words, server=str(one.server))


def _broken(seen: SecSeen, one: SetSeen, server: str) -> Iterator[Finding]:
    is_keys = one.key == (seen.task.zone, DNSKEY)
    if one.state == "valid" or (one.state == "absent" and not is_keys):
        return
    expected = f"a key for DS {_listed(seen.ds)}" if is_keys and one.state in ("unmatched", "absent") else ""
    yield Finding(
        "SEC01", "error", key_to_text(one.key), f"the chain of trust is broken here: {one.detail}", expected=expected,
        mend=_MEND[one.state], server=server,
    )  # fmt: skip


@check(SecSeen, "SEC02", "warning, error", "a DNSSEC signature ends soon", source="RFC 4035 section 5.3.1")
def expiry(seen: SecSeen) -> Iterator[Finding]:
    """A signature has ended, or ends within three days.

    Signers renew long before the end, so one that is this old means that the signer has stopped: a cron job, a key
    that it can't read, a hidden primary that transfers no more. When it ends, validating resolvers answer SERVFAIL for
    the whole zone, all phones of all its realms included.

    Looked at are DNSKEY, SOA and the set of one realm, on every server; of several signatures over a set the last to
    end counts, and of several sets the first to end is named. A signature whose life is short by design (Cloudflare
    signs at each answer, for two days) is left alone until three quarters of it are gone.

    Mend: have the zone signed again (`knotc zone-sign ZONE`, `rndc sign ZONE`), and see that the secondaries have
    the new serial. It can't see the signatures of names that were not asked for.
    """
    first: dict[Server, SetSeen] = {}
    for one in sorted((one for one in seen.sets if _ends_soon(one, seen.at)), key=lambda one: one.expires or 0):
        first.setdefault(one.server, one)
    for one, server in _alike(seen, first.values()):
        ended = one.state == "expired"
        yield Finding(
            "SEC02", "error" if ended else "warning", to_text(seen.task.zone),
            f"the signature over {key_to_text(one.key)} {'has expired' if ended else 'ends within three days'}",
            expected="more than 3 d", seen=_span((one.expires or 0) - seen.at),
            mend="sign the zone again; see why the signer stopped", server=server,
        )  # fmt: skip


def _ends_soon(one: SetSeen, now: int) -> bool:
    if one.state == "expired":
        return True
    if one.state not in ("valid", "split", "unproven") or one.expires is None or one.lifetime is None:
        return False
    return one.expires - now < min(_SOON, one.lifetime / 4)


@check(SecSeen, "SEC03", "error, warning, unknown", "a DS at the parent has no DNSKEY", source="RFC 4035 section 2.2")
def dangling_ds(seen: SecSeen) -> Iterator[Finding]:
    """The parent has a DS set, and the zone has no key that it means.

    This is what a move to another provider leaves behind when the DS stays, and what a key rollover leaves behind that
    was not told to the registrar. Validating resolvers answer SERVFAIL for every name of the zone; others go on.

    A DS too many is no fault as long as another one matches, for that is how keys are rolled. It is a warning when
    it is the only one of its algorithm: strict resolvers want a key of every algorithm in the DS set.

    Mend: publish the key that the DS means, or replace or delete the DS at the registrar, and count on its TTL
    (up to a day) until all resolvers have forgotten it. Which keys the servers publish is in `seen`.
    """
    if seen.trust != "secure" or not seen.ds:
        return
    keys = [one for one in seen.sets if one.key == (seen.task.zone, DNSKEY)]
    for one in keys:
        if one.state == "unknown":
            words = f"whether its DS has a DNSKEY could not be told: {one.detail}"
            yield Finding("SEC03", "unknown", to_text(seen.task.zone), words, server=str(one.server))
    published = dict(seen.tags)
    for one, server in _alike(seen, [one for one in keys if one.state != "unknown"]):
        there = published.get(one.server, ())
        if one.state in ("unmatched", "absent"):
            yield _dangling(seen, "error", "no DNSKEY matches its DS", there, server)
        elif {ds.algorithm for ds in seen.ds} - {algorithm for _, algorithm in there}:
            yield _dangling(seen, "warning", "a DS is of an algorithm of which it has no DNSKEY", there, server)


def _dangling(seen: SecSeen, level: Level, words: str, there: tuple[tuple[int, int], ...], server: str) -> Finding:
    keys = ", ".join(f"tag {tag} algorithm {algorithm}" for tag, algorithm in there)
    return Finding(
        "SEC03", level, to_text(seen.task.zone), words, expected=f"DS {_listed(seen.ds)}", seen=keys or "no DNSKEY",
        mend="publish the key that the DS means, or replace or delete the DS at the registrar", server=server,
    )  # fmt: skip


@check(
    SecSeen, "MIG05", "warning, unknown", "a zone with DS is about to move", source="RFC 6781 section 4.3.5, RFC 8901"
)
def move_with_ds(seen: SecSeen) -> Iterator[Finding]:
    """A zone is to move to another DNS provider, and its parent has a DS, or had one until less than its TTL ago.

    The new provider signs with keys of its own. While a resolver remembers the old DS, every answer that is signed with
    the new keys is bogus to it, and all phones, fax and portals behind it fail until the DS has expired there.

    Two ways are safe: delete the DS at the registrar, wait its TTL (up to a day), move, and put the new DS in; or have
    both providers publish both sets of keys for the time of the move (RFC 8901). The second is no fault of this check's
    making: accept the finding then.

    Mend: take the DS away at the registrar, wait for its TTL, then move.

    Judged for zones that are named with `--ready`. When the DS went away is known only if an
    earlier run saw it; without that, a zone without DS counts as one that never had one.
    """
    task, zone = seen.task, to_text(seen.task.zone)
    if not task.move_planned:
        return
    if not seen.ds_known:
        yield Finding("MIG05", "unknown", zone, f"whether it has a DS could not be told: {seen.words}")
    elif seen.ds:
        ttl = "" if seen.ds_ttl is None else f", with a TTL of {seen.ds_ttl} s"
        yield Finding(
            "MIG05", "warning", zone, "it is to move, and its parent has a DS", expected="no DS",
            seen=f"DS {_listed(seen.ds)}{ttl}", mend="delete the DS at the registrar, and wait its TTL before the move",
        )  # fmt: skip
    elif task.ds_gone_since is not None:
        left = task.ds_gone_since + (_USUAL_DS_TTL if task.ds_ttl is None else task.ds_ttl) - seen.at
        if left > 0:
            yield Finding(
                "MIG05", "warning", zone, "it is to move, and resolvers may still remember the DS that it had",
                expected="no DS for as long as its TTL", seen=f"{_span(left)} to go", mend="wait until it is over",
            )  # fmt: skip


def _alike(seen: SecSeen, sets: Iterable[SetSeen]) -> Iterator[tuple[SetSeen, str]]:
    """Sets of which several servers say the same, once, with whose they are: empty when all that told say so."""
    told = {one.server for one in seen.sets if one.state != "unknown"}
    groups: dict[tuple[Key, str, str], list[SetSeen]] = defaultdict(list)
    for one in sets:
        groups[one.key, one.state, one.detail].append(one)
    for those in groups.values():
        servers = {one.server for one in those}
        label = "" if servers == told else ", ".join(str(one.server) for one in those)
        yield min(those, key=lambda one: one.expires or 0), label


def _listed(ds: Iterable[DsSeen]) -> str:
    return ", ".join(map(str, ds))


def _span(seconds: int) -> str:
    """`2 d 3 h`, or `-5 h` for what is over."""
    sign, hours = ("-" if seconds < 0 else ""), abs(seconds) // 3600
    days = f"{hours // 24} d " if hours >= 24 else ""
    return f"{sign}{days}{hours % 24} h"
