"""The platform's side of a brand: who asks, and what stands in the way before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from realmkit.dns.findings import Finding
from realmkit.kazoo.documents import Account
from realmkit.kazoo.errors import NotFoundError, noted
from realmkit.kazoo.setupdocuments import Sender, WhiteLabel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from realmkit.errors import ProviderError
    from realmkit.kazoo.setupdocuments import AccountRow
    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.images import Kind


class Branding(Protocol):
    """What is asked of the platform; `realmkit.kazoo.brand.Branding` is it."""

    def document(self, account: str) -> WhiteLabel | None:
        """The account's brand, if it has one."""

    def save(self, account: str, data: Mapping[str, Any]) -> WhiteLabel:
        """Make or change the account's brand; unknown keys are kept."""

    def owner_of(self, domain: str) -> AccountRow | None:
        """The account with a brand of that domain, of those that can be seen."""

    def upload(self, account: str, kind: Kind, content_type: str, octets: bytes) -> None:
        """Put a file into the brand."""

    def download(self, account: str, kind: Kind) -> bytes | None:
        """A file of the brand."""

    def required(self, account: str, domain: str) -> Mapping[str, Any]:
        """The records that the platform wants."""

    def test(self, account: str, domain: str) -> Mapping[str, Any]:
        """What the platform sees of them."""

    def emails(self, account: str) -> list[Sender]:
        """The senders; NotFoundError where the cluster keeps none."""

    def add_email(self, account: str, email: str, selector: str) -> Sender:
        """Make a sender; the platform mails it a code."""

    def verify_email(self, account: str, id: str, code: str) -> Sender:  # noqa: A002 - the client's word
        """Prove a sender by that code."""

    def upload_key(self, account: str, id: str, pem: bytes) -> None:  # noqa: A002 - the client's word
        """Give a sender the private key that its mail is signed with."""

    def public(self, domain: str) -> Mapping[str, Any] | None:
        """The brand as anybody sees it."""


class Platform(Struct, frozen=True):
    """A platform with the account that the brand belongs to.

    Attributes:
        account: the account.
        branding: asks the platform.
    """

    account: Account
    branding: Branding


class Standing(Struct, frozen=True):
    """How a brand stands on the platform.

    Attributes:
        document: as it is; None where there is none.
        senders: the addresses that mail comes from; None where the cluster keeps none.
        findings: what stands in the way.
    """

    document: WhiteLabel | None
    senders: tuple[Sender, ...] | None
    findings: list[Finding]


def standing(platform: Platform, file: BrandFile, others: Iterable[BrandFile]) -> Standing:
    """Look at the brand on the platform, and for others that claim the same domain or account.

    Args:
        platform: where.
        file: the brand.
        others: all brands of the project.
    """
    document = platform.branding.document(platform.account.id)
    found = [*_same_account(file, others), *_other_domain(file, document), *_taken(platform, file, document)]
    senders = emails(platform)
    if senders is None and file.brand.senders:
        found.append(
            Finding(
                "WL15", "notice", f"{file.text}.", "this cluster keeps no senders: it is one of before 2026",
                mend="give addresses and keys to who runs the platform",
            )
        )  # fmt: skip
    for sender in file.brand.senders:
        found += _other_selector(sender.email, sender.selector, senders or ())
    return Standing(document, senders, found)


def emails(platform: Platform) -> tuple[Sender, ...] | None:
    """The brand's senders; None where the cluster keeps none."""
    try:
        return tuple(platform.branding.emails(platform.account.id))
    except NotFoundError:
        return None


def _same_account(file: BrandFile, others: Iterable[BrandFile]) -> Iterator[Finding]:
    account = file.brand.account.strip().casefold()
    for other in others:
        if other.domain != file.domain and other.brand.account.strip().casefold() == account:
            yield Finding(
                "WL06", "error", f"{file.text}.",
                f"an account has one brand, and {other.document.file} is about the same account",
                mend="one of the two files is for another account",
            )  # fmt: skip


def _other_domain(file: BrandFile, document: WhiteLabel | None) -> Iterator[Finding]:
    if document is not None and document.domain and not _is(document.domain, file):
        yield Finding(
            "WL06", "warning", f"{file.text}.", "takes the place of the account's present domain, whose brand ends",
            seen=document.domain, mend="give the new domain an account of its own if both are meant",
        )  # fmt: skip


def _taken(platform: Platform, file: BrandFile, document: WhiteLabel | None) -> Iterator[Finding]:
    """The domain in another account's hands: one that can be seen, or a stranger's."""
    if document is not None and _is(document.domain, file):
        return  # the platform gives a domain to one account only
    owner = platform.branding.owner_of(file.text)
    if owner is not None and owner.id != platform.account.id:
        yield Finding(
            "WL04", "error", f"{file.text}.", "is the domain of another account already",
            expected=f"account {platform.account.name}", seen=f"account {owner.name} ({owner.id})",
            mend="take the brand away there first: a domain belongs to one account",
        )  # fmt: skip
    elif owner is None:
        shown = platform.branding.public(file.text)
        if shown is not None:
            yield Finding(
                "WL05", "error", f"{file.text}.", "is in use on the platform, by an account that this key can't see",
                seen=str(shown.get("company_name", ""))[:80], mend="ask who runs the platform whose it is",
            )  # fmt: skip


def _other_selector(email: str, selector: str, senders: Iterable[Sender]) -> Iterator[Finding]:
    for sender in senders:
        if sender.email.casefold() == email.casefold() and sender.selector and sender.selector != selector:
            yield Finding(
                "WL15", "warning", email, "the platform signs this address's mail with another selector",
                expected=selector, seen=sender.selector, mend="write the selector that the platform has",
            )  # fmt: skip


def _is(domain: str, file: BrandFile) -> bool:
    return domain.rstrip(".").casefold() == file.text.casefold()


def after(done: Iterable[str], error: ProviderError) -> None:
    """Add to an error what was done before it."""
    if before := ", ".join(done):
        noted(error, f"done before that: {before}")
