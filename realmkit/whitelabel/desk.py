"""A desk whose wanted records include those of the project's white-label domains.

Every command about DNS works at it, so that `dns plan` neither forgets a brand's records nor takes them away, and
`health check` watches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.dns import names
from realmkit.dns.realm import Shape
from realmkit.dns.wanted import Wanted, edge_of
from realmkit.dns.work import desk as dnsdesk
from realmkit.errors import InputError
from realmkit.whitelabel import domains
from realmkit.whitelabel.brandfile import DIRECTORY, LIVE, all_brands, https_of
from realmkit.whitelabel.compose import compose, join, pool_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.clock import Clock
    from realmkit.config import Project
    from realmkit.dns.names import Name
    from realmkit.dns.realm import Realm
    from realmkit.dns.records import Key, RRset
    from realmkit.dns.wanted import Addresses
    from realmkit.dns.work.desk import Meter
    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.compose import Composed
    from realmkit.whitelabel.domains import Template


class Desk(dnsdesk.Desk):
    """As `realmkit.dns.work.desk.Desk`, with the white-label domains.

    Args:
        project: its configuration.
        clock: time.
        meter: shows progress of long work.
        away: as for `realmkit.dns.work.desk.Desk`.
        fresh: templates by domain that were just read, in place of the ones that are kept in the project.
    """

    def __init__(
        self,
        project: Project,
        clock: Clock,
        meter: Meter = dnsdesk.silent,
        *,
        away: str | None = None,
        fresh: Mapping[Name, Template] | None = None,
    ) -> None:
        super().__init__(project, clock, meter, away=away)
        self._fresh = dict(fresh or {})
        self._whole: tuple[Wanted, dict[str, Addresses]] | None = None

    def at(self, provider: str) -> Desk:
        """The same project, with its zones looked for at another of its providers. Raises InputError."""
        super().at(provider)
        return Desk(self.project, self.clock, self.meter, away=provider, fresh=self._fresh)

    def with_template(self, template: Template) -> Desk:
        """The same project, with this answer of the platform for one of its domains."""
        fresh = {**self._fresh, template.domain: template}
        return Desk(self.project, self.clock, self.meter, away=self._away, fresh=fresh)

    def wanted(self) -> tuple[Wanted, dict[str, Addresses]]:
        """What should be in DNS, the white-label domains included.

        Raises:
            InputError: in the configuration or a brand's file; or a kept template that can't be read whole.
            UnreachableError: an address could not be found out.
        """
        if self._whole is None:
            base, looked_up = super().wanted()
            self._whole = self._with_brands(base, looked_up), looked_up
        return self._whole

    def https_names(self) -> dict[Name, tuple[int, ...]]:
        """As for the configuration's hosts, and the portal and API of every brand."""
        found = super().https_names()
        for file in all_brands(self.project.directory):
            for name, port in https_of(file):
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), port)))
        return found

    def composed(self, file: BrandFile) -> Composed | None:
        """What a brand wants; None where the platform was never asked for its template."""
        template = self._fresh.get(file.domain) or kept_template(file)
        if template is None:
            return None
        return compose(file, template, self.ttl_of(file), allow_private=self.allow_private)

    @property
    def allow_private(self) -> bool:
        """Whether private addresses are meant."""
        return self.project.config.policy.allow_private_addresses

    def ttl_of(self, file: BrandFile) -> int:
        """The TTL of a brand's records, in seconds."""
        return self.project.config.policy.ttl if file.brand.ttl is None else file.brand.ttl

    def _with_brands(self, base: Wanted, looked_up: Mapping[str, Addresses]) -> Wanted:
        files = all_brands(self.project.directory)
        if not files:
            return base
        shape = Shape(edge_of(self.project, looked_up))
        whole: dict[Key, RRset] = {key: one for rrsets in base.zones.values() for key, one in rrsets.items()}
        realms = dict(base.realms)
        for file in files:
            composed = self.composed(file)
            if composed is None:
                continue
            _check_whole(file, composed)
            more = list(composed.rrsets.values())
            pool = self._pool(file)
            if pool is not None and not any(one.shared and one.parent == pool.parent for one in realms.values()):
                realms[pool.name] = pool
                more += shape.derive(pool)
            whole = join(whole, more, str(file.document.file))
        return Wanted(self._placed(whole), realms)

    def _pool(self, file: BrandFile) -> Realm | None:
        """The shared realms of a brand, where a zone holds their wildcard."""
        pool = pool_of(file, self.ttl_of(file))
        return None if pool is None or names.closest(pool.name, self.zones) is None else pool

    def _placed(self, whole: Mapping[Key, RRset]) -> dict[Name, dict[Key, RRset]]:
        placed: dict[Name, dict[Key, RRset]] = {zone: {} for zone in self.zones}
        for key, rrset in whole.items():
            zone = names.closest(key[0], self.zones)
            if zone is not None:
                placed[zone][key] = rrset
                continue
            known = ", ".join(self.zones.values()) or "none"
            raise InputError(
                f"{DIRECTORY}/: {names.to_text(key[0])} lies in no zone under zones: ({known})",
                hint="add the domain's zone with its provider to realmkit.yml",
            )
        return placed


def kept_template(file: BrandFile) -> Template | None:
    """The template of a brand as the project keeps it; None where the platform is to be asked and never was.

    Raises:
        InputError: it can't be read.
    """
    if file.brand.template != LIVE:
        octets = file.read(file.brand.template, ("template",))
        return domains.decode(octets, file.domain, str(file.directory / file.brand.template))
    if not file.saved_template.is_file():
        return None
    return domains.decode(file.read(file.saved_template.name, ()), file.domain, str(file.saved_template))


def _check_whole(file: BrandFile, composed: Composed) -> None:
    """A record that can't be read would be taken for one that is not wanted any more.

    Raises:
        InputError: there is one.
    """
    lost = [finding for finding in composed.unmended if finding.id == "WL01"]
    if lost:
        raise InputError(
            f"{file.document.file}: {lost[0].subject}: {lost[0].message}",
            hint=f"realmkit whitelabel plan {file.text} shows all of it",
        )
