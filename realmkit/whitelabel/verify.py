"""Is the brand live? Our own judgement on every name server; the platform's as a second one; and what users meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from realmkit import errors
from realmkit.dns import findings as levels
from realmkit.dns.findings import LEVELS, Finding
from realmkit.dns.names import Name
from realmkit.dns.work import workflow
from realmkit.dns.work.verify import Report
from realmkit.errors import InputError, ProviderError, RealmkitError
from realmkit.whitelabel import document, plan
from realmkit.whitelabel.brandfile import https_of
from realmkit.whitelabel.desk import kept_template
from realmkit.whitelabel.opinion import Opinion, opinions
from realmkit.whitelabel.platform import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realmkit.kazoo.setupdocuments import WhiteLabel
    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.compose import Composed
    from realmkit.whitelabel.desk import Desk
    from realmkit.whitelabel.domains import Template
    from realmkit.whitelabel.platform import Platform


class Site(Struct, frozen=True):
    """Where browsers and programs meet a certificate under the brand's name.

    Attributes:
        host: its name.
        port: of TCP.
    """

    host: Name
    port: int


class Verdict(Struct, frozen=True):
    """What was found.

    Attributes:
        report: what the authoritative servers answer.
        opinions: what the platform's own test sees; None where it was not asked.
        findings: everything else that is wrong or could not be told, the worst first.
        sites: whose certificates were looked at.
    """

    report: Report
    opinions: list[Opinion] | None
    findings: list[Finding]
    sites: list[Site]

    @property
    def exit_code(self) -> int:
        """The worst of all: 2 for errors, 3 for what could not be told, 1 for warnings."""
        codes = {self.report.exit_code, levels.exit_code(self.findings)}
        return next((one for one in (errors.CRITICAL, errors.UNKNOWN, errors.WARNING) if one in codes), errors.OK)


def verify(
    desk: Desk,
    file: BrandFile,
    platform: Platform | None,
    certificates: Callable[[Sequence[Site]], Sequence[Finding]],
    *,
    deadline: float = 0,
    dns_only: bool = False,
) -> Verdict:
    """Look at everything that a brand is made of. Changes nothing.

    Args:
        desk: the project.
        file: the brand.
        platform: where the brand is; None judges records and certificates alone.
        certificates: looks at the certificates of sites and judges them.
        deadline: seconds to wait for the name servers.
        dns_only: ask the platform for its template and for nothing else.

    Raises:
        InputError: in the brand's file or the template.
        ProviderError: the platform's, where its records were never asked for before.
    """
    template, found = _template(file, platform)
    at = desk.with_template(template)
    composed = at.composed(file)
    assert composed is not None  # noqa: S101 - the desk was just given its template
    found += [*composed.unmended, *plan.outside(at, file), *_mail(at, file, composed)]
    report = workflow.verify_wanted(at, only=plan.about(at, file, composed), deadline=deadline)
    told = None
    if platform is not None and not dns_only:
        found += _brand(platform, file)
        try:
            told = opinions(platform.branding.test(platform.account.id, file.text), composed.rrsets)
            found += [finding for one in told for finding in one.findings()]
        except (ProviderError, InputError) as error:
            found.append(Finding("WL12", "unknown", f"{file.text}.", f"the platform's own test: {error.message}"))
    sites = sites_of(file)
    found += certificates(sites) if sites else []
    found.sort(key=lambda one: (LEVELS.index(one.level), one.id, one.subject))
    return Verdict(report, told, found, sites)


def _template(file: BrandFile, platform: Platform | None) -> tuple[Template, list[Finding]]:
    """The platform's records, or those of its last answer and what became of asking."""
    try:
        return plan.template_of(file, platform), []
    except ProviderError as error:
        kept = kept_template(file)
        if kept is None:
            raise
        words = f"could not be asked for its records, so its last answer counts: {error.message}"
        return kept, [Finding("WL14", "unknown", f"{file.text}.", f"the platform {words}")]


def _mail(desk: Desk, file: BrandFile, composed: Composed) -> list[Finding]:
    try:
        return plan.mail(desk, file, composed)
    except RealmkitError as error:
        return [Finding("WL07", "unknown", f"{file.text}.", f"the zone's provider gave no answer: {error.message}")]


def sites_of(file: BrandFile) -> list[Site]:
    """Portal and API, where they are https."""
    return [Site(*place) for place in https_of(file)]


def _brand(platform: Platform, file: BrandFile) -> Iterator[Finding]:
    """The brand as the platform holds it and as anybody sees it; what can't be asked is unknown."""
    subject = f"{file.text}."
    try:
        there = standing(platform, file, ())
        yield from there.findings
        yield from _document(file, there.document)
        yield from _files(platform, file)
        for sender in there.senders or ():
            if sender.email.casefold() in {one.email.casefold() for one in file.brand.senders} and not sender.verified:
                yield Finding(
                    "WL15", "warning", sender.email, "waits for the code that the platform mailed there",
                    mend=f"realmkit whitelabel apply {file.text} --code {sender.email}=CODE",
                )  # fmt: skip
        yield from _missing_senders(file, there.senders)
        yield from _public(file, platform.branding.public(file.text))
    except ProviderError as error:
        yield Finding("WL14", "unknown", subject, f"the platform could not be asked: {error.message}")


def _missing_senders(file: BrandFile, senders: Sequence[Any] | None) -> Iterator[Finding]:
    known = {one.email.casefold() for one in senders or ()}
    for one in file.brand.senders:
        if senders is not None and one.email.casefold() not in known:
            yield Finding(
                "WL15",
                "warning",
                one.email,
                "is no sender on the platform",
                mend=f"realmkit whitelabel apply {file.text}",
            )


def _document(file: BrandFile, there: WhiteLabel | None) -> Iterator[Finding]:
    changes = document.changes(None if there is None else there.to_json(), document.wanted(file))
    for change in changes:
        yield Finding(
            "WL17", "error" if change.path == "domain" else "warning", f"{file.text}. {change.path}",
            "the brand document says something else", expected=change.after, seen=change.before or "nothing",
            mend=f"realmkit whitelabel apply {file.text}",
        )  # fmt: skip


def _files(platform: Platform, file: BrandFile) -> Iterator[Finding]:
    for upload in document.uploads(file):
        there = platform.branding.download(platform.account.id, upload.kind)
        if there != upload.octets:
            yield Finding(
                "WL17", "warning", f"{file.text}. {upload.kind}", "is not the file that the brand names",
                expected=f"{len(upload.octets)} octets", seen="nothing" if there is None else f"{len(there)} octets",
                mend=f"realmkit whitelabel apply {file.text}",
            )  # fmt: skip


def _public(file: BrandFile, shown: Mapping[str, Any] | None) -> Iterator[Finding]:
    """What somebody who opens the portal gets."""
    company = file.brand.company_name
    if shown is None:
        yield Finding(
            "WL14", "error", f"{file.text}.", "the platform shows no brand to who asks for this domain",
            mend=f"realmkit whitelabel apply {file.text}",
        )  # fmt: skip
    elif company is not None and shown.get("company_name") != company:
        yield Finding(
            "WL14", "error", f"{file.text}.", "the platform shows another brand to who asks for this domain",
            expected=company, seen=str(shown.get("company_name"))[:80],
            mend=f"realmkit whitelabel apply {file.text}, or see whose the domain is",
        )  # fmt: skip
