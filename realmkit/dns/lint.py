"""Judging a zone offline: the wanted set laid over a snapshot, read as a phone and a fax mail server would.

Works on data alone. What lies outside the zones at hand is unknown and gives no finding; `health` asks for it.
The checks of single RRsets are in `lint_records.py`; here are those of the zone's shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.answer import Kind, ZoneIndex, lookup
from realmkit.dns.fields import negative_ttl
from realmkit.dns.findings import LEVELS, Finding, Level
from realmkit.dns.lint_records import World, check_rrset
from realmkit.dns.plan import group_of
from realmkit.dns.records import type_to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.dns.names import Name
    from realmkit.dns.realm import Realm
    from realmkit.dns.records import Key, Type, Zone

HOST_UI_WIDTH: Final = 32  # monster-ui-accounts, views/edit.html: the realm's edit box takes no more
LONGEST_NEGATIVE: Final = 300  # seconds; facts in docs/realms.md
_REALM_TYPES: Final = (rr.A, rr.AAAA, rr.MX, rr.NAPTR)


def world_of(zones: Iterable[Zone], *, allow_private: bool) -> World:
    """The zones at hand, indexed.

    Args:
        zones: as they would be after the plan.
        allow_private: whether private addresses are meant.
    """
    return World({zone.name: ZoneIndex.of(zone) for zone in zones}, allow_private=allow_private)


def lint(world: World, scope: Mapping[Name, Iterable[Key]], realms: Mapping[Name, Realm]) -> list[Finding]:
    """Every finding about the RRsets in scope and about the realms.

    Args:
        world: the zones as they would be.
        scope: for each zone the keys to judge: everything that is wanted, or only what a plan touches.
        realms: the realms to judge.

    Returns:
        Findings, the worst first, then by subject; each of them once.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in _all(world, scope, realms):
        found.setdefault((finding.id, finding.subject, finding.seen), finding)
    return sorted(found.values(), key=lambda one: (LEVELS.index(one.level), one.id, one.subject))


def _all(world: World, scope: Mapping[Name, Iterable[Key]], realms: Mapping[Name, Realm]) -> Iterator[Finding]:
    for zone, keys in scope.items():
        index = world.zones[zone]
        groups: dict[Name, Name] = {}
        for key in keys:
            groups.setdefault(group_of(key[0]), key[0])
            if key in index.zone.rrsets:
                yield from check_rrset(world, index, index.zone.rrsets[key])
        for group, member in groups.items():
            yield from _lost_to_wildcard(index, group, member, is_realm=group in realms)
        yield from _unread(index)
        yield from _negative_ttl(index)
    for realm in realms.values():
        yield from _realm_name(realm)
        if realm.shared:
            yield from _shared_realm(world, realm)


def _lost_to_wildcard(index: ZoneIndex, name: Name, member: Name, *, is_realm: bool) -> Iterator[Finding]:
    """What the wildcard gave `name` before `name` existed, and what it no longer does (RFC 4592 section 2.2)."""
    apex = index.zone.name
    types = index.nodes.get(name)
    if types is None or name == apex or rr.CNAME in types or not names.is_under(name, apex):
        return
    wildcard = names.wildcard_of(index.closest_encloser(names.parent(name)))
    given = [kind for kind in index.nodes.get(wildcard, ()) if kind in _REALM_TYPES]
    lost = [kind for kind in given if kind not in types]
    if not lost:
        return
    words, star = _words(lost), names.to_text(wildcard)
    if not types:
        check: str = "WLD01"
        level: Level = "error"
        message = f"{names.to_text(member)} exists below it, so {star} no longer covers it: its {words} are gone"
    else:
        check = "WLD02"
        level = _how_bad(lost, types, is_realm=is_realm or rr.NAPTR in types or member[1:2] == b"_")
        message = (
            f"has {_words(types)} of its own, so {star} no longer gives it {words}: "
            "a realm is whole or wildcard, never half"
        )
    yield Finding(
        check, level, names.to_text(name), message,
        expected=f"{star} gives {_words(given)}", seen=f"no {words}",
        mend=f"publish {words} at {names.to_text(name)} in the same change",
    )  # fmt: skip


def _how_bad(lost: Iterable[Type], types: Iterable[Type], *, is_realm: bool) -> Level:
    """An error where a phone or fax mail is cut off; less where one address family or the NAPTR is missed."""
    if not is_realm:
        return "notice"  # a host such as a proxy needs no fax mail
    no_address = not {rr.A, rr.AAAA} & set(types)
    cut_off = any(kind == rr.MX or (kind in (rr.A, rr.AAAA) and no_address) for kind in lost)
    return "error" if cut_off else "warning"


def _words(kinds: Iterable[Type]) -> str:
    return ", ".join(type_to_text(kind) for kind in kinds)


def _shared_realm(world: World, realm: Realm) -> Iterator[Finding]:
    """A shared realm must be answered by its wildcard; anything of its own there has ended that."""
    if names.is_wildcard(realm.name):
        return
    index = world.zone_of(realm.name)
    if index is None:
        return
    wildcard = names.wildcard_of(realm.parent)
    given = [kind for kind in _REALM_TYPES if (wildcard, kind) in index.zone.rrsets]
    answers = {kind: lookup(index, realm.name, kind) for kind in given}
    lost = [kind for kind, one in answers.items() if one.kind is not Kind.FOUND or one.source != wildcard]
    if lost:
        seen = answers[lost[0]]
        yield Finding(
            "WLD01", "error", names.to_text(realm.name),
            f"is meant to be served by {names.to_text(wildcard)}, but its {_words(lost)} "
            f"{'is' if len(lost) == 1 else 'are'} not: something exists at or below it",
            expected=f"{_words(given)} of {names.to_text(wildcard)}",
            seen=f"{seen.kind.value} at {names.to_text(seen.source)}",
            mend="remove what exists there, or give the realm `shape: explicit`",
        )  # fmt: skip


def _realm_name(realm: Realm) -> Iterator[Finding]:
    name = realm.parent if names.is_wildcard(realm.name) else realm.name
    length = names.text_length(name)
    if length > HOST_UI_WIDTH:
        yield Finding(
            "RLM01", "warning", names.to_text(name),
            f"is {length} characters long; the host's account page has an edit box of {HOST_UI_WIDTH}",
            expected=f"at most {HOST_UI_WIDTH}", seen=str(length), mend="a shorter first label, or set it by API only",
        )  # fmt: skip


def _unread(index: ZoneIndex) -> Iterator[Finding]:
    for text in index.zone.unread:
        yield Finding(
            "PRV01", "warning", names.to_text(index.zone.name), "can't be seen whole through its provider",
            seen=text, mend="look at it by hand; checks are blind there",
        )  # fmt: skip
    if index.zone.blind:
        yield Finding(
            "PRV01", "notice", names.to_text(index.zone.name), "may hold more than this provider shows",
            seen=index.zone.blind, mend="compare with what the name servers answer",
        )  # fmt: skip


def _negative_ttl(index: ZoneIndex) -> Iterator[Finding]:
    """How long resolvers remember that a name did not exist (RFC 2308 section 5)."""
    soa = index.zone.rrsets.get((index.zone.name, rr.SOA))
    if soa is None:
        return
    remembered = negative_ttl(soa.ttl, min(soa.rdata))
    if remembered > LONGEST_NEGATIVE:
        yield Finding(
            "MIG03", "notice", names.to_text(index.zone.name),
            f"a resolver that asks for a new name too early remembers its absence for {remembered} s",
            expected=f"a SOA minimum of at most {LONGEST_NEGATIVE}", seen=str(remembered),
            mend=f"lower the SOA's last number to {LONGEST_NEGATIVE} before a migration",
        )  # fmt: skip
