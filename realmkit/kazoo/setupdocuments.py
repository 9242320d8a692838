"""The platform's documents that setting up an account and a brand is about. See `Document`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from realmkit.kazoo.documents import Document
from realmkit.kazoo.values import NOTHING, is_true, mapping, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping


class AccountRow(Struct, frozen=True):
    """What a listing or a search says of an account.

    Attributes:
        id: the account's id.
        name: what people call it.
        realm: its SIP realm, in the case in which it is stored.
        tree: the ids of the accounts above it, the highest first; empty where the listing does not say.
    """

    id: str
    name: str
    realm: str
    tree: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> AccountRow:
        """Read one row of `GET /accounts/{A}/descendants` or of a search.

        Raises:
            ValueError: the row has no id, no name or no realm.
        """
        identity, name, realm = (text(row.get(key)) for key in ("id", "name", "realm"))
        if not identity or name is None or realm is None:
            raise ValueError("an account's row without id, name or realm")
        above = row.get("tree")
        return cls(identity, name, realm, tuple(map(str, above)) if isinstance(above, list | tuple) else ())


class User(Document, frozen=True, eq=False):
    """Somebody who may log in. The platform never shows a password."""

    @property
    def username(self) -> str:
        """What he logs in with; Crossbar keeps it in lower case."""
        return text(self.data.get("username")) or ""

    @property
    def email(self) -> str:
        """Where mail to him goes."""
        return text(self.data.get("email")) or ""

    @property
    def name(self) -> str:
        """First and last name."""
        return " ".join(filter(None, (text(self.data.get("first_name")), text(self.data.get("last_name")))))

    @property
    def is_admin(self) -> bool:
        """Whether he may change the account."""
        return self.data.get("priv_level") == "admin"


class Limits(Document, frozen=True, eq=False):
    """How many calls an account may have at once, and whether it may spend credit on more."""

    # of a reseller's agreement with the platform; on newer clusters in the metadata
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"allow_postpay", "max_postpay_amount"})

    def trunks(self, kind: str) -> int:
        """The number of trunks of a kind: `twoway`, `inbound`, `outbound`, `burst`."""
        return whole(self.data.get(f"{kind}_trunks")) or 0

    @property
    def allow_prepay(self) -> bool:
        """Whether calls beyond the trunks are paid by the minute."""
        return is_true(self.data.get("allow_prepay"), default=True)


class Callflow(Document, frozen=True, eq=False):
    """What happens to calls to some numbers."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers; `no_match` stands for all that nothing else takes."""
        found = self.data.get("numbers")
        return tuple(filter(None, map(text, found))) if isinstance(found, tuple) else ()

    @property
    def module(self) -> str:
        """What takes the call first: `offnet`, `resources` ..."""
        return text(self.flow.get("module")) or ""

    @property
    def flow(self) -> Mapping[str, Any]:
        """The first step, with its data and what comes after."""
        return mapping(self.data.get("flow"))


class WhiteLabel(Document, frozen=True, eq=False):
    """A brand. Portals keep more in it than Kazoo's schema knows (`realm_suffix`), all of which stays."""

    @property
    def domain(self) -> str:
        """The domain that carries the brand."""
        return text(self.data.get("domain")) or ""

    @property
    def company(self) -> str:
        """The company's name."""
        return text(self.data.get("company_name")) or ""

    @property
    def realm_suffix(self) -> str | None:
        """What the portal puts behind the realms that it makes up."""
        return text(self.data.get("realm_suffix")) or None


class Sender(Document, frozen=True, eq=False):
    """An address from which the platform sends the brand's mail (clusters of 2026).

    Attributes:
        metadata: what the platform says beside the document.
    """

    metadata: Mapping[str, Any] = NOTHING

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"verified"})

    @property
    def email(self) -> str:
        """The address."""
        return text(self.data.get("email")) or ""

    @property
    def selector(self) -> str:
        """The DKIM selector: the key is at `SELECTOR._domainkey.DOMAIN`."""
        return text(self.data.get("dkim_selector")) or ""

    @property
    def verified(self) -> bool:
        """Whether somebody who reads mail at that address has proved it."""
        return is_true(self.metadata.get("verified", self.data.get("verified")), default=False)
