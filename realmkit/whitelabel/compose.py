"""From the platform's template and the brand's file to the RRsets that will stand, and what was wrong before.

The template is judged as it came, so that its faults are said even where the file mends them: whoever runs the
platform should hear of them. What is wanted is judged once more by the plan, in the zone that it will stand in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns import records as rr
from realmkit.dns.findings import Finding
from realmkit.dns.lint import lint, world_of
from realmkit.dns.realm import Realm, collect
from realmkit.dns.records import Key, RRset, key_to_text, type_from_text, type_to_text, zone_of
from realmkit.errors import InputError
from realmkit.whitelabel import senders
from realmkit.whitelabel.domains import rdata_of, read
from realmkit.whitelabel.senders import KeyRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realmkit.dns.names import Name
    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.domains import Template

_S_FLAG: Final = b"S"


class Fault(Struct, frozen=True):
    """A fault of the platform's template.

    Attributes:
        finding: what is wrong.
        mended: what the brand's file does about it; empty where nothing does.
    """

    finding: Finding
    mended: str


class Composed(Struct, frozen=True):
    """What a brand wants in DNS.

    Attributes:
        rrsets: all of it, without what realms want.
        faults: of the template as it came, the worst first.
        keys: the DKIM keys of its senders.
        derived: SRV sets that were made because NAPTRs lead there.
    """

    rrsets: dict[Key, RRset]
    faults: list[Fault]
    keys: list[KeyRecord]
    derived: list[Key]

    @property
    def unmended(self) -> list[Finding]:
        """The template's faults that are left."""
        return [fault.finding for fault in self.faults if not fault.mended]


def compose(file: BrandFile, template: Template, ttl: int, *, allow_private: bool) -> Composed:
    """Work out what should stand at the domain.

    Args:
        file: the brand.
        template: the platform's answer.
        ttl: of every record, in seconds.
        allow_private: whether private addresses are meant, by the project's policy.

    Raises:
        InputError: an override or a key file that can't be; with file, line and path.
    """
    came = read(template, ttl)
    as_it_came = [*came.findings, *_judged(file.domain, came.rrsets, allow_private=False)]
    rrsets, said = _overridden(file, came.rrsets, ttl)
    derived = derive_srv(rrsets, file.domain, ttl) if file.brand.derive_srv else []
    keys = senders.keys_of(file)
    senders.add_records(rrsets, file, keys, ttl)
    left = {finding.key for finding in _judged(file.domain, rrsets, allow_private=allow_private)}
    faults = [Fault(one, _mended(one, left, said, derived)) for one in as_it_came]
    return Composed(rrsets, faults, keys, derived)


def pool_of(file: BrandFile, ttl: int) -> Realm | None:
    """The shared realms below the brand's realm suffix; None where it names none."""
    suffix = suffix_of(file)
    return None if suffix is None else Realm(names.wildcard_of(suffix), shared=True, ttl=ttl)


def suffix_of(file: BrandFile) -> Name | None:
    """The name that the brand's realms end in."""
    text = file.brand.realm_suffix
    return None if text is None else names.absolute(text)


def join(one: Mapping[Key, RRset], others: Iterable[RRset], where: str) -> dict[Key, RRset]:
    """Both sets together.

    Raises:
        InputError: one name and type is wanted twice, with different content.
    """
    found, clashes = collect([*one.values(), *others])
    if clashes:
        raise InputError(
            f"{where}: {key_to_text(clashes[0][0].key)} is wanted twice, with different content",
            hint="once by realmkit.yml and once by the platform's template: say under overrides: which one it is",
        )
    return found


def derive_srv(rrsets: dict[Key, RRset], domain: Name, ttl: int) -> list[Key]:
    """Add the SRV sets that NAPTRs lead to and nobody gave, after the pattern of one that is there.

    `proxy-central` gets the targets, ports, priorities and weights of `proxy-east`'s set, with the host that is named
    after it (`us-central`) in the first place. Where no host is, nothing is made up.

    Returns:
        What was added.
    """
    added = []
    for owner in sorted(_dangling(rrsets, domain)):
        pattern = next((one for key, one in sorted(rrsets.items()) if _same_service(key, owner)), None)
        records = None if pattern is None else _after_pattern(owner, pattern)
        if records is not None:
            rrsets[owner, rr.SRV] = RRset(owner, rr.SRV, ttl, records)
            added.append((owner, rr.SRV))
    return added


def _judged(domain: Name, rrsets: Mapping[Key, RRset], *, allow_private: bool) -> list[Finding]:
    """The records as if they were all that there is in a zone of that name."""
    world = world_of([zone_of(domain, rrsets.values())], allow_private=allow_private)
    return lint(world, {domain: list(rrsets)}, {})


def _overridden(file: BrandFile, rrsets: Mapping[Key, RRset], ttl: int) -> tuple[dict[Key, RRset], frozenset[str]]:
    """The template with the file's word over it, and the subjects that the file has a word on."""
    result = dict(rrsets)
    said: set[str] = set()
    for label, kinds in file.brand.overrides.items():
        where: tuple[str | int, ...] = ("overrides", label)
        name = _name(file, label)
        if kinds is None:
            gone = [key for key in result if key[0] == name]
            for key in gone:
                del result[key]
            said.update(key_to_text(key) for key in gone)
            said.add(names.to_text(name))
            continue
        for kind, texts in kinds.items():
            try:
                key = (name, type_from_text(kind))
                result.pop(key, None)
                said.add(key_to_text(key))
                if texts:
                    result[key] = RRset(*key, ttl, rdata_of(key[1], texts))
            except InputError as error:
                raise file.document.error((*where, kind), error.message, error.hint) from error
    return result, frozenset(said)


def _name(file: BrandFile, label: str) -> Name:
    try:
        name = names.from_text(label, file.domain)
    except InputError as error:
        raise file.document.error(("overrides", label), error.message) from error
    if not names.is_under(name, file.domain):
        raise file.document.error(("overrides", label), f"lies outside {file.text}")
    return name


def _mended(finding: Finding, left: set[tuple[str, str, str]], said: frozenset[str], derived: list[Key]) -> str:
    """What the file does about a fault of the template."""
    if finding.id in ("WL01", "WL02", "WL03"):
        name = finding.subject.partition(" ")[0]
        return "overrides" if finding.subject in said or name in said else ""
    if finding.key in left:
        return ""
    if finding.id == "SEM09" and finding.subject not in said:
        return "policy.allow_private_addresses"
    made = {names.to_text(name) for name, _ in derived}
    mended_by = next((name for name in sorted(made) if name in (finding.expected or "")), None)
    return f"{mended_by} {type_to_text(rr.SRV)} is made" if mended_by else "overrides"


def _dangling(rrsets: Mapping[Key, RRset], domain: Name) -> set[Name]:
    """Names below the domain that NAPTRs lead to and that have no SRV set."""
    found = set()
    for rrset in rrsets.values():
        if rrset.type == rr.NAPTR:
            for one in rrset.rdata:
                flags, replacement = _flags_and_replacement(one)
                if flags.upper() == _S_FLAG and names.is_under(replacement, domain):
                    found.add(replacement)
    taken = {name for name, _ in rrsets}
    return found - taken


def _flags_and_replacement(one: bytes) -> tuple[bytes, Name]:
    """Of a NAPTR record (RFC 3403 section 4.1)."""
    at = 4
    flags = one[at + 1 : at + 1 + one[at]]
    for _ in range(3):
        at += 1 + one[at]
    return flags, one[at:]


def _same_service(key: Key, owner: Name) -> bool:
    return key[1] == rr.SRV and names.labels_of(key[0])[:2] == names.labels_of(owner)[:2]


def _after_pattern(owner: Name, pattern: RRset) -> frozenset[bytes] | None:
    """The records of `owner`, its own host first; None where the names tell of none."""
    records = sorted(pattern.rdata)  # by priority, weight and port
    own = _words(owner) - _words(pattern.name)
    home = [one for one in records if own & set(names.labels_of(one[6:])[0].split(b"-"))]
    if not home:
        return None
    targets = [one[6:] for one in (*home, *(one for one in records if one not in home))]
    return frozenset(place[:6] + target for place, target in zip(records, targets, strict=True))


def _words(service: Name) -> set[bytes]:
    """What the host that a service belongs to is called: `proxy`, `central`."""
    labels = names.labels_of(service)
    return set(labels[2].split(b"-")) if len(labels) > 2 else set()
