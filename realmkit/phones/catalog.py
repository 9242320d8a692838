"""The catalogue of phones: what is shipped, with what a project lays over it, and how a phone is recognised.

`templates/VENDOR/vendor.toml` says how a vendor's phones are recognised, `templates/VENDOR/FAMILY/models.toml` what is
common to a family and which models it has, `params.txt` which parameters it knows. A project's own `templates` folder
has the same layout: what stands there is added to, or replaces, what is shipped.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from realmkit.errors import InputError
from realmkit.phones.families import FAMILIES, family_at
from realmkit.phones.formats import known_names
from realmkit.phones.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

T = TypeVar("T")


class NoModelError(InputError):
    """A phone's model is not known. The message says what was tried, the hint how to name it."""


class VendorEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`vendor.toml`.

    Attributes:
        name: as models are called: `NAME/MODEL`.
        brands: what device documents call the vendor, lower case.
        user_agents: patterns of what a phone calls itself; the first group is the model.
        ouis: the first three octets of its MAC addresses, six lower-case digits.
    """

    name: str
    brands: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()
    ouis: tuple[Annotated[str, Meta(pattern="^[0-9a-f]{6}$")], ...] = ()


class ModelEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A model in `models.toml`: how many lines it takes, and other names for it or for models just like it."""

    accounts: Annotated[int, Meta(ge=1)]
    aliases: tuple[str, ...] = ()


class FamilyEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`models.toml`: what is common to a family (see `Model`), and its models. In a project only `models` is wanted."""

    content_type: str = "text/plain"
    event: str | None = None
    settle: int = 60
    reboots: bool = False
    files: dict[str, str] = field(default_factory=dict)
    models: dict[str, ModelEntry] = field(default_factory=dict)


class Catalog:
    """Every phone that is known. `load` makes one.

    Attributes:
        models: by name, `yealink/t54w`, in order.
    """

    def __init__(self, vendors: Mapping[str, VendorEntry], families: Mapping[str, FamilyEntry]) -> None:
        self._vendors = dict(vendors)
        self._families = dict(families)
        self._ouis = {oui: vendor.name for vendor in vendors.values() for oui in vendor.ouis}
        self._brands = {brand: vendor.name for vendor in vendors.values() for brand in vendor.brands}
        self._agents = [
            (re.compile(text, re.IGNORECASE), vendor.name) for vendor in vendors.values() for text in vendor.user_agents
        ]
        self.models: dict[str, Model] = {}
        self._names: dict[str, str] = {}
        for path, family in self._families.items():
            for short, entry in family.models.items():
                self._add(path, family, short, entry)

    def _add(self, path: str, family: FamilyEntry, short: str, entry: ModelEntry) -> None:
        vendor, _, family_name = path.partition("/")
        name = f"{vendor}/{short}"
        self.models[name] = Model(
            vendor=vendor, family=family_name, name=name, accounts=entry.accounts, event=family.event,
            settle=family.settle, file_names=tuple(family.files), content_type=family.content_type,
            reboots=family.reboots,
        )  # fmt: skip
        for other in (short, *entry.aliases):
            key = f"{vendor}/{other}"
            if self._names.setdefault(key, name) != name:
                raise InputError(f"templates/{path}/models.toml: {key} is both {self._names[key]} and {name}")

    def template_names(self, model: Model) -> dict[str, str]:
        """The model's files and the template of each: `{"{mac}.cfg": "family.j2"}`."""
        return self._families[model.path].files

    def aliases(self, model: Model) -> list[str]:
        """Other names that the model answers to."""
        return [key for key, name in self._names.items() if name == model.name and key != model.name]

    def identify(
        self, *, explicit: str | None = None, brand: str | None = None, family: str | None = None,
        model: str | None = None, user_agent: str | None = None, mac: str | None = None,
    ) -> Model:  # fmt: skip
        """The model of a phone, by the best evidence there is.

        Args:
            explicit: what the user wrote, `yealink/t54w` or an alias. It decides, or is refused.
            brand: `provision.endpoint_brand` of the device document.
            family: `provision.endpoint_family`; used where the document names no model.
            model: `provision.endpoint_model`.
            user_agent: what the phone called itself when it registered.
            mac: twelve digits; tells the vendor at most, and makes the error helpful.

        Raises:
            NoModelError: nothing says which model it is. The hint has the line for `accounts/NAME.yml`.
        """
        if explicit is not None:
            return self._explicit(explicit)
        vendor = self._brands.get((brand or "").lower())
        for word in (model, family):
            if vendor and word and (name := self._lookup(vendor, word)):
                return self.models[name]
        agent_vendor, agent_model = self._from_user_agent(user_agent or "")
        if agent_vendor and (name := self._lookup(agent_vendor, agent_model)):
            return self.models[name]
        tried = [f"{brand or '(no brand)'} {model or family or '(no model)'} in the device document"]
        tried += [f"user agent {user_agent!r}"] if user_agent else ["no user agent"]
        raise self._unknown(vendor or agent_vendor or self.vendor_of(mac), model or agent_model or "", tried, mac)

    def vendor_of(self, mac: str | None) -> str | None:
        """The vendor whose address block a MAC address (twelve digits) lies in."""
        return self._ouis.get((mac or "")[:6].lower())

    def known_parameters(self, path: str, folders: tuple[Traversable, ...]) -> frozenset[str]:
        """The parameter names of a family, from `params.txt` in every folder that has one."""
        names: frozenset[str] = frozenset()
        for folder in folders:
            file = folder.joinpath(f"{path}/params.txt")
            if file.is_file():
                names |= known_names(file.read_text(encoding="utf-8").splitlines())
        return names

    def _explicit(self, text: str) -> Model:
        vendor, slash, word = text.lower().partition("/")
        found = [self._lookup(vendor, word)] if slash else [self._lookup(one, vendor) for one in self._vendors]
        names = [name for name in found if name]
        if len(names) == 1:
            return self.models[names[0]]
        near = difflib.get_close_matches(text.lower(), [*self._names, *self.models], n=5, cutoff=0.5)
        hint = f"near it are {', '.join(near)}" if near else "`realmkit phones models` lists what is known"
        raise NoModelError(f"no model is called {text!r}", hint=hint)

    def _lookup(self, vendor: str, word: str) -> str | None:
        """The model of that vendor with that name or alias, however it is spelt: `SIP-T54W`, `T54W`, `t54w`."""
        plain = re.sub(r"[^a-z0-9]", "", word.lower().removeprefix("sip-"))
        return self._names.get(f"{vendor}/{plain}")

    def _from_user_agent(self, text: str) -> tuple[str | None, str]:
        for pattern, vendor in self._agents:
            if found := pattern.search(text):
                return vendor, found[1]
        return None, ""

    def _unknown(self, vendor: str | None, word: str, tried: list[str], mac: str | None) -> NoModelError:
        of_vendor = [name for name in self.models if vendor is None or name.startswith(f"{vendor}/")]
        near = (difflib.get_close_matches(f"{vendor}/{word}".lower(), of_vendor, n=5) if word else []) or of_vendor
        more = f" and {len(near) - 8} more (`realmkit phones models`)" if len(near) > 8 else ""
        if mac and vendor and vendor == self.vendor_of(mac):
            tried = [*tried, f"its MAC address says {vendor} and no more"]
        return NoModelError(
            f"the model of the phone is not known: {'; '.join(tried)}. It may be {', '.join(near[:8])}{more}",
            hint=f"accounts/NAME.yml, under phones:  '{mac or 'NAME'}': {{model: {near[0]}}}  (or whichever it is)",
        )


def shipped() -> Traversable:
    """The folder of the templates that realmkit brings."""
    return resources.files("realmkit.templates")


def load(overlay: Path | None = None) -> Catalog:
    """Read the catalogue.

    Args:
        overlay: the project's `templates` folder; None, or a folder that is not there, for the shipped ones alone.

    Raises:
        InputError: a file of the catalogue is no TOML or says something that can't be.
    """
    vendors: dict[str, VendorEntry] = {}
    families: dict[str, FamilyEntry] = {}
    for path in FAMILIES:
        vendor = path.partition("/")[0]
        vendors[vendor] = _read(shipped().joinpath(f"{vendor}/vendor.toml"), VendorEntry)
        families[path] = _read(shipped().joinpath(f"{path}/models.toml"), FamilyEntry)
    for path, file in _overlaid(overlay):
        own = _read(file, FamilyEntry)
        given = families[path]
        families[path] = msgspec.structs.replace(given, models=_merged(given.models, own.models))
    return Catalog(vendors, families)


def _overlaid(overlay: Path | None) -> Iterator[tuple[str, Path]]:
    """Every `models.toml` of a project with its family."""
    for file in sorted(overlay.glob("*/*/models.toml")) if overlay else []:
        path = file.parent.relative_to(file.parents[2]).as_posix()
        try:
            family_at(path)
        except InputError as error:
            raise InputError(f"{file}: {error.message}", hint="a project can add models, not families") from error
        yield path, file


def _merged(given: dict[str, ModelEntry], own: dict[str, ModelEntry]) -> dict[str, ModelEntry]:
    """The project's models beside the shipped ones; a name that it uses is no longer another model's alias."""
    taken = {*own, *(alias for entry in own.values() for alias in entry.aliases)}
    rest = {
        name: msgspec.structs.replace(entry, aliases=tuple(one for one in entry.aliases if one not in taken))
        for name, entry in given.items()
        if name not in own
    }
    return rest | own


def _read(file: Traversable, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: can't be read: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"{file}: {error}") from error
