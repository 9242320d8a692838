"""What the user writes in `whitelabel/DOMAIN.yml`: a domain, its brand, and how the platform's records become his."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from realmkit.config import Entry, HostName, Ttl, decode, schema_of_special
from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.errors import InputError
from realmkit.secrets import Secret
from realmkit.yamlfile import Document, Path_, load

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY: Final = "whitelabel"
LIVE: Final = "live"
KINDS: Final = ("logo", "icon", "welcome")
_URL: Final = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/\S*)?", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^\s@<>]+@[^\s@<>]+")

Url = Annotated[str, Meta(max_length=2000, description="an address that begins with https:// or http://")]
Email = Annotated[str, Meta(max_length=254)]
Selector = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", description="RFC 6376 section 3.1")]


class NavEntry(Entry, frozen=True):
    """Links of the portal's navigation."""

    help: Url | None = None
    learn_more: Url | None = None


class PortEntry(Entry, frozen=True):
    """What customers meet when they port numbers."""

    authority: str | tuple[str, ...] | None = None
    features: Url | None = None
    loa: Url | None = None
    resporg: Url | None = None
    support_email: Email | None = None
    terms: Url | None = None


class SenderEntry(Entry, frozen=True):
    """An address that the platform sends mail from.

    Attributes:
        email: the address.
        selector: of the DKIM key (RFC 6376 section 3.1).
        public_key: a file with the public key in PEM; None where the record is published already.
        private_key: where the private key in PEM is; the platform signs with it. None where it has one.
    """

    email: Email
    selector: Selector
    public_key: str | None = None
    private_key: Secret | None = None


class Brand(Entry, frozen=True):
    """The whole file.

    Attributes:
        domain: the white-label domain; the file is named after it.
        account: id, realm or name of the account on the platform that the brand belongs to.
        company_name: what users read.
        portal: where people sign in; its certificate is looked at.
        api: the platform's API under the brand's name; its certificate is looked at.
        nav: links.
        port: links of port requests.
        realm_suffix: what new realms end in; its wildcard is published beside the platform's records.
        logo: an image file.
        icon: an image file.
        welcome: an HTML file.
        document: further keys of the brand document, as the platform's user interface knows them.
        senders: addresses that mail comes from.
        spf: the domain's SPF record (RFC 7208).
        dmarc: the domain's DMARC record (RFC 7489).
        template: `live` asks the platform which records it wants; else a file with its answer.
        overrides: by name below the domain (`us-east`, `@`), what stands there instead: rdata by type, `[]` or null for
            nothing.
        derive_srv: make SRV sets that NAPTRs of the template lead to and the template forgot.
        ttl: seconds; None for the policy's.
    """

    domain: HostName
    account: Annotated[str, Meta(min_length=1)]
    company_name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    portal: Url | None = None
    api: Url | None = None
    nav: NavEntry = NavEntry()
    port: PortEntry = PortEntry()
    realm_suffix: HostName | None = None
    logo: str | None = None
    icon: str | None = None
    welcome: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    senders: tuple[SenderEntry, ...] = ()
    spf: str | None = None
    dmarc: str | None = None
    template: str = LIVE
    overrides: dict[str, dict[str, tuple[str, ...] | None] | None] = field(default_factory=dict)
    derive_srv: bool = True
    ttl: Ttl | None = None


class BrandFile(Struct, frozen=True):
    """A brand with its place.

    Attributes:
        brand: what it says.
        domain: the domain as a name.
        document: what it was read from; finds places for later errors.
    """

    brand: Brand
    domain: Name
    document: Document

    @property
    def directory(self) -> Path:
        """Where the files that it names are looked for."""
        return self.document.file.parent

    @property
    def text(self) -> str:
        """The domain as people write it, without its final dot."""
        return names.to_text(self.domain)[:-1]

    @property
    def saved_template(self) -> Path:
        """Where the platform's last answer is kept, for `dns plan` and for git."""
        return self.directory / f"{self.text}.domains.json"

    def read(self, path: str, where: Path_) -> bytes:
        """The content of a file that the brand names.

        Raises:
            InputError: it can't be read.
        """
        try:
            return (self.directory / path).read_bytes()
        except OSError as error:
            raise self.document.error(where, f"{path}: can't be read: {error.strerror}") from error


def path_of(project: Path, domain: str) -> Path:
    """Where the file of a domain is, whatever its spelling.

    Raises:
        InputError: no domain name.
    """
    name = names.to_text(names.absolute(domain))[:-1]
    if "/" in name or name.startswith("."):
        raise InputError(f"{domain!r} can't be a domain")
    return project / DIRECTORY / f"{name}.yml"


def open_brand(project: Path, domain: str) -> BrandFile:
    """Read `whitelabel/DOMAIN.yml` of the project directory.

    Raises:
        InputError: the file is missing, is no YAML, or says something that can't be; with file, line and path.
    """
    path = path_of(project, domain)
    if not path.is_file():
        raise InputError(f"{path}: no such file", hint="docs/whitelabel.md shows one")
    document = load(path)
    file = BrandFile(decode(document, document.data, Brand, ()), names.absolute(domain), document)
    _check(file)
    return file


def all_brands(project: Path) -> list[BrandFile]:
    """Every white-label domain of the project, by name. Raises as `open_brand` does."""
    found = sorted((project / DIRECTORY).glob("*.yml"))
    return [open_brand(project, path.stem) for path in found]


def https_of(file: BrandFile) -> list[tuple[Name, int]]:
    """Where browsers and programs meet a certificate: host and port of portal and API, where they are https."""
    found: dict[tuple[Name, int], None] = {}
    for url in (file.brand.portal, file.brand.api):
        parts = urlsplit(url or "")
        if parts.scheme == "https" and parts.hostname:
            found[names.absolute(parts.hostname), parts.port or 443] = None
    return list(found)


def schema() -> dict[str, object]:
    """The JSON Schema of the file (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(
        Brand, schema_hook=schema_of_special
    )


def _check(file: BrandFile) -> None:
    """What types alone can't say."""
    brand, document = file.brand, file.document
    if _at(file, ("domain",), names.absolute, brand.domain) != file.domain:
        raise document.error(("domain",), f"{brand.domain!r} is not what the file is named after")
    if not names.is_hostname(file.domain) or names.parent(file.domain) == names.ROOT:
        raise document.error(("domain",), f"{brand.domain!r} is no domain of at least two labels")
    for where, url in _urls(brand):
        if not _URL.fullmatch(url):
            raise document.error(where, f"{url!r} is no address", "https://portal.example.com")
    for where, email in _emails(brand):
        if not _EMAIL.fullmatch(email):
            raise document.error(where, f"{email!r} is no e-mail address")
    if brand.realm_suffix is not None:
        _at(file, ("realm_suffix",), names.check_realm, brand.realm_suffix)
    for key in brand.document:
        if key in _OWN_KEYS:
            raise document.error(("document", key), "has its own place in this file", f"write it as `{_OWN_KEYS[key]}`")


_OWN_KEYS: Final = {
    "domain": "domain:", "company_name": "company_name:", "realm_suffix": "realm_suffix:", "nav": "nav:",
    "port": "port:", "fake_api_url": "api:",
}  # fmt: skip


def _emails(brand: Brand) -> list[tuple[Path_, str]]:
    found: list[tuple[Path_, str]] = [(("senders", at, "email"), one.email) for at, one in enumerate(brand.senders)]
    if brand.port.support_email is not None:
        found.append((("port", "support_email"), brand.port.support_email))
    return found


def _urls(brand: Brand) -> list[tuple[Path_, str]]:
    found: list[tuple[Path_, str | None]] = [
        (("portal",), brand.portal), (("api",), brand.api),
        (("nav", "help"), brand.nav.help), (("nav", "learn_more"), brand.nav.learn_more),
        *((("port", key), getattr(brand.port, key)) for key in ("features", "loa", "resporg", "terms")),
    ]  # fmt: skip
    return [(where, url) for where, url in found if url is not None]


def _at(file: BrandFile, where: Path_, read: Callable[[str], Name], text: str) -> Name:
    try:
        return read(text)
    except InputError as error:
        raise file.document.error(where, error.message, error.hint) from error
