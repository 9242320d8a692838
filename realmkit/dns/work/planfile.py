"""Plan files: a plan with the state it was made on, sealed, so that what is applied is what was reviewed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from realmkit import durable
from realmkit.dns import names
from realmkit.dns.names import Name
from realmkit.dns.plan import Plan, zone_plan_from_json, zone_plan_to_json
from realmkit.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

KIND: Final = "realmkit.plan"
VERSION: Final = 1
Purpose = Literal["records", "copy", "uncopy"]
_BACK: Final[dict[Purpose, Purpose]] = {"records": "records", "copy": "uncopy", "uncopy": "copy"}


class Basis(Struct, frozen=True):
    """What a zone was when the plan was made.

    Attributes:
        provider: the name of its provider in the configuration.
        token: of the snapshot.
        serial: of the snapshot.
    """

    provider: str
    token: str
    serial: int | None


class PlanFile(Struct, frozen=True):
    """A plan as it is stored and reviewed.

    Attributes:
        plan: the changes.
        basis: for each zone of the plan what it was.
        allowed: guards that the maker of the plan lifted by name.
        made: when, ISO 8601 in UTC.
        looked_up: addresses found by look-up while planning, by host.
        purpose: `records`: what the configuration wants. `copy`: a zone as another provider has it, to be put into the
            provider that `basis` names; nothing of it becomes ours by that. `uncopy`: the way back from there.
    """

    plan: Plan
    basis: dict[Name, Basis]
    allowed: tuple[str, ...]
    made: str
    looked_up: dict[str, list[str]]
    purpose: Purpose = "records"


def to_json(file: PlanFile) -> dict[str, Any]:
    """The JSON form, sealed."""
    body: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "made": file.made,
        "allowed": sorted(file.allowed),
        "looked_up": file.looked_up,
        "purpose": file.purpose,
        "zones": [
            zone_plan_to_json(zone)
            | {
                "provider": file.basis[zone.zone].provider,
                "token": file.basis[zone.zone].token,
                "serial": file.basis[zone.zone].serial,
            }
            for zone in file.plan.zones
        ],
        "digest": file.plan.digest,
    }
    return body | {"seal": _seal(body)}


def save(file: PlanFile, path: Path) -> None:
    """Write a plan file, synced. Raises StateError when the disk won't take it."""
    durable.write(path, msgspec.json.format(msgspec.json.encode(to_json(file)), indent=1) + b"\n")


def read(path: Path) -> PlanFile:
    """Read a plan file.

    Raises:
        InputError: it can't be read, is no plan of this version, or was edited since it was made.
    """
    try:
        body = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: can't be read as a plan: {error}") from error
    return from_json(str(path), body)


def inverse(file: PlanFile) -> PlanFile:
    """The plan that undoes it; nothing is allowed in it that its maker did not allow."""
    return msgspec.structs.replace(file, plan=file.plan.inverse(), allowed=(), purpose=_BACK[file.purpose])


def from_json(path: str, body: Any) -> PlanFile:
    """The plan that `to_json` made; `path` is only named in errors. Raises InputError as `read` does."""
    if not isinstance(body, dict) or body.get("kind") != KIND:
        raise InputError(f"{path}: no plan of realmkit", hint="`realmkit dns plan --out FILE` writes one")
    if body.get("version") != VERSION:
        raise InputError(f"{path}: made by another version of realmkit", hint="make the plan anew")
    body = dict(body)
    seal = body.pop("seal", None)
    file = _from_json(path, body)
    if seal != _seal(body) or file.plan.digest != body.get("digest"):
        raise InputError(f"{path}: was edited since it was made", hint="edit realmkit.yml and make the plan anew")
    return file


def _from_json(path: str, body: dict[str, Any]) -> PlanFile:
    try:
        zones = tuple(zone_plan_from_json(zone) for zone in body["zones"])
        basis = {
            names.absolute(zone["zone"]): Basis(str(zone["provider"]), str(zone["token"]), zone["serial"])
            for zone in body["zones"]
        }
        purpose = msgspec.convert(body.get("purpose", "records"), Purpose)
        return PlanFile(Plan(zones), basis, tuple(body["allowed"]), body["made"], body["looked_up"], purpose)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no plan of realmkit: {error!r}") from error
    except InputError as error:
        raise InputError(f"{path}: was edited, or damaged: {error.message}") from error


def _seal(body: dict[str, Any]) -> str:
    """SHA-256 over everything in the file but the seal itself. It shows edits; it is no signature."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
