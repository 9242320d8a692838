"""The brand document: what the file wants in it, and what that changes in the one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from realmkit.errors import InputError
from realmkit.whitelabel import images
from realmkit.whitelabel.brandfile import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.whitelabel.brandfile import BrandFile
    from realmkit.whitelabel.images import Kind, Upload

_MISSING: Final = object()


class Change(Struct, frozen=True):
    """One value of the document.

    Attributes:
        path: dotted.
        before: as JSON; None where there was nothing.
        after: as JSON.
    """

    path: str
    before: str | None
    after: str


def wanted(file: BrandFile) -> dict[str, Any]:
    """The keys that the file says something about; all others of the document stay as they are."""
    brand = file.brand
    said: dict[str, Any] = {
        "domain": file.text,
        "company_name": brand.company_name,
        "fake_api_url": brand.api,
        "realm_suffix": brand.realm_suffix,  # no key of the schema; the platform's user interface reads it
        "nav": _given(brand.nav),
        "port": _given(brand.port),
    }
    given = {key: value for key, value in said.items() if value not in (None, {})}
    return merged(brand.document, given)


def merged(document: Mapping[str, Any], wanted_: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the wanted keys laid over it; objects key by key, everything else as a whole."""
    result = dict(document)
    for key, value in wanted_.items():
        there = result.get(key)
        both = isinstance(value, Mapping) and isinstance(there, Mapping)
        result[key] = merged(there, value) if both else value  # type: ignore[arg-type] # both are mappings
    return result


def changes(document: Mapping[str, Any] | None, wanted_: Mapping[str, Any]) -> list[Change]:
    """What laying the wanted keys over the document changes, by path."""
    return list(_changes(document or {}, wanted_, ""))


def uploads(file: BrandFile) -> list[Upload]:
    """The files that the brand names, each seen to be what its place wants.

    Raises:
        InputError: one can't be read or is none; with the line in the brand's file.
    """
    found = []
    kinds: tuple[Kind, ...] = KINDS
    for kind in kinds:
        path = getattr(file.brand, kind)
        if path is None:
            continue
        octets = file.read(path, (kind,))
        try:
            found.append(images.check(kind, octets))
        except InputError as error:
            raise file.document.error((kind,), f"{path}: {error.message}") from error
    return found


def _given(entry: Struct) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.to_builtins(entry)
    return {key: value for key, value in whole.items() if value is not None}


def _changes(there: Mapping[str, Any], wanted_: Mapping[str, Any], above: str) -> Iterator[Change]:
    for key, value in wanted_.items():
        path, before = f"{above}{key}", there.get(key, _MISSING)
        if isinstance(value, Mapping):
            yield from _changes(before if isinstance(before, Mapping) else {}, value, f"{path}.")
        elif _as_json(before) != _as_json(value):
            yield Change(path, _as_json(before), _as_json(value) or "null")


def _as_json(value: Any) -> str | None:
    """As text that can be compared; frozen lists are tuples."""
    return None if value is _MISSING else msgspec.json.encode(value, order="sorted", enc_hook=dict).decode()
