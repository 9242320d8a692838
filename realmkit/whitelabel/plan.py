"""What onboarding a brand would do: the template's faults first, then records, brand document, files and senders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from realmkit.dns import names
from realmkit.dns.findings import LEVELS, Finding
from realmkit.dns.plan import group_of
from realmkit.dns.work import guard, workflow
from realmkit.dns.work.guard import Hold
from realmkit.dns.work.workflow import Planned
from realmkit.errors import InputError
from realmkit.whitelabel import document, domains, senders
from realmkit.whitelabel.brandfile import LIVE, BrandFile, all_brands
from realmkit.whitelabel.compose import Composed, suffix_of
from realmkit.whitelabel.desk import kept_template
from realmkit.whitelabel.document import Change
from realmkit.whitelabel.domains import Template
from realmkit.whitelabel.images import Upload
from realmkit.whitelabel.platform import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from realmkit.dns.names import Name
    from realmkit.dns.records import Key, RRset
    from realmkit.whitelabel.desk import Desk
    from realmkit.whitelabel.platform import Platform


class SenderStep(Struct, frozen=True):
    """What is to be done for an address that mail comes from.

    Attributes:
        email: the address.
        selector: of its key.
        state: `add` it; `code`: it waits for the code that the platform mailed; `verified`; `elsewhere`: the cluster
            keeps no senders.
        id: on the platform; empty where it is not there yet.
    """

    email: str
    selector: str
    state: Literal["add", "code", "verified", "elsewhere"]
    id: str = ""


class Plan(Struct, frozen=True):
    """Everything that `apply` will do.

    Attributes:
        file: the brand.
        template: the platform's records, as they came.
        composed: what becomes of them, and the template's faults.
        findings: what is wrong beside those, the worst first.
        holds: what holds it back, after `--allow`; those of the records are in `dns`.
        dns: the records; None where the template can't be read whole.
        changes: of the brand document.
        uploads: files to send; those that are there already are left out.
        senders: addresses that mail comes from.
        account: id and name on the platform; empty where only the records are planned.
    """

    file: BrandFile
    template: Template
    composed: Composed
    findings: list[Finding]
    holds: list[Hold]
    dns: Planned | None
    changes: list[Change]
    uploads: list[Upload]
    senders: list[SenderStep]
    account: tuple[str, str] = ("", "")

    @property
    def pending(self) -> int:
        """How many things would be changed."""
        records = self.dns.file.plan.size if self.dns else 0
        return records + len(self.changes) + len(self.uploads) + sum(one.state == "add" for one in self.senders)

    @property
    def all_holds(self) -> list[Hold]:
        """Everything that holds it back."""
        return [*self.holds, *(self.dns.holds if self.dns else [])]


def make(
    desk: Desk, file: BrandFile, platform: Platform | None, *, allow: Collection[str] = (), dns_only: bool = False
) -> Plan:
    """Work out what has to change. Writes nothing.

    Args:
        desk: the project.
        file: the brand.
        platform: where the brand goes; None plans the records alone.
        allow: guards and checks that the user lifts by name.
        dns_only: ask the platform for its template and for nothing else.

    Raises:
        InputError: in the brand's file, in a file that it names, or in the template.
        ProviderError: the platform or a DNS provider gave no answer that helps.
    """
    files = document.uploads(file)
    template = template_of(file, platform)
    platform = None if dns_only else platform
    at = desk.with_template(template)
    composed = at.composed(file)
    assert composed is not None  # noqa: S101 - the desk was just given its template
    there = None if platform is None else standing(platform, file, all_brands(desk.project.directory))
    found = [*composed.unmended, *(there.findings if there else ()), *outside(at, file), *mail(at, file, composed)]
    found.sort(key=lambda one: (LEVELS.index(one.level), one.id, one.subject))
    unreadable = any(one.id == "WL01" for one in composed.unmended)
    dns = None if unreadable else workflow.make_plan(at, allow=allow, only=about(at, file, composed))
    return Plan(
        file, template, composed, [one for one in found if one.id.startswith("WL")],
        guard.remaining(_holds(found), allow), dns,
        [] if there is None else document.changes(_as_json(there), document.wanted(file)),
        [] if platform is None else [one for one in files if platform.branding.download(platform.account.id, one.kind)
                                     != one.octets],
        [] if there is None else list(_steps(file, there)),
        ("", "") if platform is None else (platform.account.id, platform.account.name),
    )  # fmt: skip


def template_of(file: BrandFile, platform: Platform | None) -> Template:
    """The platform's records for a brand: asked for, or from the file that the brand names.

    Raises:
        InputError: there is no platform to ask, or what it says is no template.
    """
    if file.brand.template == LIVE and platform is not None:
        answer = platform.branding.required(platform.account.id, file.text)
        return domains.parse(answer, file.domain, "the platform's answer")
    kept = kept_template(file)
    if kept is None:
        raise file.document.error(
            ("template",), "there is no platform to ask for its records",
            "set platform.kazoo in realmkit.yml, or name a saved answer of /whitelabel/domains as template:",
        )  # fmt: skip
    return kept


def about(desk: Desk, file: BrandFile, composed: Composed) -> frozenset[Name]:
    """The names that a brand is about: what it wants, its realms' wildcard, and what is ours below its domain."""
    suffix = suffix_of(file)
    keys = [*composed.rrsets, *(key for zone in desk.zones for key in desk.ledger(zone).owned())]
    found = {group_of(name) for name, _ in keys if names.is_under(name, file.domain)}
    found |= {group_of(name) for name, _ in composed.rrsets}
    return frozenset(found | ({suffix} if suffix is not None else set()))


def outside(desk: Desk, file: BrandFile) -> Iterator[Finding]:
    """A realm suffix whose wildcard nobody publishes here."""
    suffix = suffix_of(file)
    if suffix is not None and names.closest(suffix, desk.zones) is None:
        yield Finding(
            "WL11", "warning", names.to_text(suffix), "new realms end in it, and it lies in no zone under zones:",
            mend="add its zone to realmkit.yml, or publish its wildcard elsewhere",
        )  # fmt: skip


def mail(desk: Desk, file: BrandFile, composed: Composed) -> list[Finding]:
    """What is wrong with the records that the brand's mail is believed by."""
    if not file.brand.senders and file.brand.spf is None and file.brand.dmarc is None:
        return []
    named = [file.domain, *(key.name for key in composed.keys)]
    zones = {zone for name in named if (zone := names.closest(name, desk.zones)) is not None}
    live: dict[Key, RRset] = {}
    for snapshot in desk.snapshots(sorted(zones)).values():
        live.update(snapshot.rrsets)
    return senders.judge(file, composed.rrsets, live, composed.keys, desk.zones)


def _holds(found: list[Finding]) -> list[Hold]:
    """The records' own faults are held by the plan of the records."""
    return [Hold(one.id, one.subject, one.message, one.mend) for one in found if one.stops and one.id.startswith("WL")]


def _as_json(there: Standing) -> dict[str, object]:
    return {} if there.document is None else there.document.to_body()


def _steps(file: BrandFile, there: Standing) -> Iterator[SenderStep]:
    for one in file.brand.senders:
        known = [sender for sender in there.senders or () if sender.email.casefold() == one.email.casefold()]
        if there.senders is None:
            yield SenderStep(one.email, one.selector, "elsewhere")
        elif not known:
            yield SenderStep(one.email, one.selector, "add")
        else:
            yield SenderStep(one.email, one.selector, "verified" if known[0].verified else "code", known[0].id)


def check_codes(file: BrandFile, codes: Collection[str]) -> None:
    """See that every code is for a sender of the file. Raises InputError."""
    known = {one.email.casefold() for one in file.brand.senders}
    for email in codes:
        if email.casefold() not in known:
            raise InputError(f"--code: {email} is no sender in {file.document.file}")
