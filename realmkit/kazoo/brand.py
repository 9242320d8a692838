"""What putting a brand on the platform asks of Crossbar: the white-label document, its files, domains and senders.

Described in `applications/crossbar/doc/whitelabel.md` of Kazoo; senders are of clusters of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from realmkit.errors import InputError
from realmkit.kazoo.calling import document, every, mapping_at, push
from realmkit.kazoo.errors import NotFoundError
from realmkit.kazoo.making import make
from realmkit.kazoo.saving import decide, same, save
from realmkit.kazoo.setup import AccountSetup
from realmkit.kazoo.setupdocuments import AccountRow, Sender, WhiteLabel
from realmkit.kazoo.values import freeze, thaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.kazoo.client import Crossbar

Kind = Literal["logo", "icon", "welcome"]

_IMAGES: Final = frozenset({"image/jpg", "image/jpeg", "image/png", "image/gif"})
_ICONS: Final = frozenset({"image/ico", "image/vnd.microsoft.icon", "image/x-icon", "image/icon"})
# Crossbar takes base64 too, and then gives back something else than was sent, which could not be compared
CONTENT_TYPES: Final[Mapping[Kind, frozenset[str]]] = {
    "logo": _IMAGES,
    "icon": _IMAGES | _ICONS,
    "welcome": frozenset({"text/html"}),
}


class Branding:
    """An account's brand. Every method raises what `Crossbar`'s do, beside what it says itself.

    Args:
        crossbar: the login.
    """

    def __init__(self, crossbar: Crossbar) -> None:
        self._crossbar = crossbar
        self._to = crossbar.connection

    # ---- the document

    def document(self, account: str) -> WhiteLabel | None:
        """The account's brand; None if it has none."""
        try:
            answer = self._to.read("accounts", account, "whitelabel")
        except NotFoundError:
            return None
        return document(self._to, WhiteLabel, answer, f"white label of account {account}")

    def save(self, account: str, data: Mapping[str, Any]) -> WhiteLabel:
        """Make the account's brand, or change it; nothing is sent where it is so already.

        Args:
            account: its id.
            data: what to set, objects key by key; None takes a key away. Every other key stays.

        Raises:
            InvalidError: refused, as a domain that another account has.
            ConflictError: somebody changed the brand meanwhile.
            NotKeptError: saved, and not all that was asked for is there.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and the brand can't be read.
        """
        what, path = f"white label of account {account}", ("accounts", account, "whitelabel")
        first = merged({}, data)
        there, _ = make(
            self._to, what, lambda: self.document(account), lambda: self._to.write("PUT", *path, data=first)
        )
        wanted = WhiteLabel(freeze(merged(there.data, data)), there.revision)
        if same(there, wanted):
            return there
        return save(self._to, what, path, wanted, lambda: self._present(account), before=there)

    def _present(self, account: str) -> WhiteLabel:
        answer = self._to.read("accounts", account, "whitelabel")
        return document(self._to, WhiteLabel, answer, f"white label of account {account}")

    def owner_of(self, domain: str, *, within: int = 100) -> AccountRow | None:
        """The account whose brand has the domain, of those the key may see.

        The platform shows a brand to everybody and does not say whose it is. So where `public` knows the domain, the
        brands of the key's own account and of those below it are read, one request for each.

        Args:
            domain: the domain, in any case.
            within: how many accounts to look into at most.

        Returns:
            The account; None if nobody has the domain, or if none of those has it. `public` tells these apart.
        """
        if self.public(domain) is None:
            return None
        rows = (row for _, row in zip(range(within), self._visible(), strict=False))
        return next((row for row in rows if self._has(row, domain)), None)

    def _visible(self) -> Iterator[AccountRow]:
        own = self._crossbar.account(self._crossbar.account_id)
        yield AccountRow(own.id, own.name, own.realm)
        yield from AccountSetup(self._crossbar).rows()

    def _has(self, row: AccountRow, domain: str) -> bool:
        brand = self.document(row.id)
        return brand is not None and brand.domain.casefold() == domain.casefold()

    # ---- its files

    def upload(self, account: str, kind: Kind, content_type: str, octets: bytes) -> None:
        """Give the brand its logo, icon or welcome page, unless it has exactly that. The brand must be there.

        Raises:
            InputError: an empty file, or a type that Crossbar does not take for that. Nothing was sent.
            NotFoundError: the account has no brand.
            NotKeptError: answered as saved, and what is there is something else.
            RejectedError: not saved.
            OutcomeUnknownError: sent, and it can't be read.
        """
        if content_type not in CONTENT_TYPES[kind]:
            allowed = ", ".join(sorted(CONTENT_TYPES[kind]))
            raise InputError(f"{content_type} can't be a {kind}", hint=f"the platform takes {allowed}")
        if not octets:
            raise InputError(f"the {kind} is an empty file")
        before = self.download(account, kind)
        if before == octets:
            return
        path = ("accounts", account, "whitelabel", kind)
        decide(
            self._to,
            f"{kind} of account {account}",
            lambda: self._to.upload(*path, content_type=content_type, octets=octets),
            lambda: self.download(account, kind),
            lambda now, _: now == octets,
            lambda now: now == before,
        )

    def download(self, account: str, kind: Kind) -> bytes | None:
        """The brand's logo, icon or welcome page; None if it has none."""
        try:
            return self._to.octets("accounts", account, "whitelabel", kind)
        except NotFoundError:
            return None

    # ---- its domain

    def required(self, account: str, domain: str) -> dict[str, Any]:
        """The DNS records that the cluster wants for a domain, by type and name, as it writes them.

        It puts the domain in place of the first `{{domain}}` of each text only.
        """
        found: dict[str, Any] = thaw(mapping_at(self._to, "accounts", account, "whitelabel", "domains", domain=domain))
        return found

    def test(self, account: str, domain: str) -> dict[str, Any]:
        """What the cluster itself finds in the DNS for the records that it wants: `expected` and `actual` texts.

        It judges nothing, drops the priorities of MX records and final dots, and asks over IPv4 only.
        """
        answer = self._to.examine("accounts", account, "whitelabel", "domains", domain=domain)
        if not isinstance(answer.data, Mapping):
            raise self._to.not_crossbar("POST /accounts/{A}/whitelabel/domains")
        found: dict[str, Any] = thaw(answer.data)
        return found

    def public(self, domain: str) -> Mapping[str, Any] | None:
        """The brand as everybody's browser is shown it, without a login; None if no account has the domain."""
        try:
            answer = self._to.read_public("whitelabel", domain)
        except NotFoundError:
            return None
        if not isinstance(answer.data, Mapping):
            raise self._to.not_crossbar("GET /whitelabel/{domain}")
        found: Mapping[str, Any] = freeze(answer.data)
        return found

    def public_file(self, domain: str, kind: Kind) -> bytes | None:
        """The logo, icon or welcome page as everybody's browser is shown it; None if there is none."""
        try:
            return self._to.octets("whitelabel", domain, kind, public=True)
        except NotFoundError:
            return None

    # ---- its senders

    def emails(self, account: str) -> list[Sender]:
        """The addresses from which the platform sends the brand's mail, ordered by id.

        Raises:
            NotFoundError: the cluster has no such thing; those of 2024 have not.
        """
        path = ("accounts", account, "whitelabel", "emails")
        if isinstance(self._to.read(*path).data, Mapping):
            # clusters of 2024 take the last part of the path for a domain, and show the account's own brand
            raise NotFoundError("this cluster has no sender addresses of its own for a brand")
        return every(self._to, lambda identity: self.email(account, identity), *path)

    def email(self, account: str, identity: str) -> Sender:
        """Read a sender by its id."""
        answer = self._to.read("accounts", account, "whitelabel", "emails", identity)
        read = document(self._to, Sender, answer, f"sender {identity}")
        return Sender(read.data, read.revision, freeze(answer.metadata))

    def add_email(self, account: str, email: str, selector: str) -> Sender:
        """Let the platform send from an address, unless it does so already. It mails a code to the address.

        Args:
            account: its id.
            email: the address.
            selector: where the DKIM key is: `SELECTOR._domainkey.DOMAIN`. A sender that is there keeps its own.

        Raises:
            NotFoundError: the cluster has no such thing.
            RejectedError: not added.
            OutcomeUnknownError: sent, and the senders can't be read.
        """
        data = {"email": email, "dkim_selector": selector}

        def look() -> Sender | None:
            return next((one for one in self.emails(account) if one.email.casefold() == email.casefold()), None)

        path = ("accounts", account, "whitelabel", "emails")
        return make(self._to, f"sender {email}", look, lambda: self._to.write("PUT", *path, data=data))[0]

    def verify_email(self, account: str, id: str, code: str) -> Sender:  # noqa: A002 - what the platform calls it
        """Prove that somebody reads mail at a sender's address, unless that is proved.

        Args:
            account: its id.
            id: the sender's.
            code: what the platform mailed to the address.

        Raises:
            InvalidError, RejectedError: the code is not taken.
            NotKeptError: answered as taken, and the address is not verified.
            OutcomeUnknownError: sent, and the sender can't be read.
        """
        before = self.email(account, id)
        if before.verified:
            return before
        path = ("accounts", account, "whitelabel", "emails", id, "verify")
        return decide(
            self._to,
            f"sender {before.email}",
            lambda: self._to.write("POST", *path, data={"code": code}),
            lambda: self.email(account, id),
            lambda now, _: now.verified,
            lambda now: not now.verified,
        )[0]

    def upload_key(self, account: str, id: str, pem: bytes) -> None:  # noqa: A002 - what the platform calls it
        """Give a sender the private key that its mail is signed with. The platform never shows it again.

        Raises:
            RejectedError: not taken.
            OutcomeUnknownError: sent, and no answer came; it was not repeated, and repeating does no harm.
        """
        path = ("accounts", account, "whitelabel", "emails", id)
        push(self._to, lambda: self._to.upload(*path, content_type="application/x-pem-file", octets=pem))


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """One JSON object over another, objects key by key; None takes a key away."""
    whole: dict[str, Any] = thaw(old)
    for key, value in new.items():
        if isinstance(value, Mapping):
            below = whole.get(key)
            whole[key] = merged(below if isinstance(below, Mapping) else {}, value)
        elif value is None:
            whole.pop(key, None)
        else:
            whole[key] = thaw(value)
    return whole
