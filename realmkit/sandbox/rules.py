"""What Crossbar checks and changes in a document before it saves it, and how it says no."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from realmkit.sandbox.store import Json

_REALM: Final = re.compile(r"[.\w-]+")

DEVICE_DEFAULTS: Final[Json] = {
    "call_restriction": {},
    "contact_list": {},
    "enabled": True,
    "exclude_from_queues": False,
    "music_on_hold": {},
    "mwi_unsolicited_updates": True,
    "register_overwrite_notify": False,
    "ringtones": {},
    "sip": {"expire_seconds": 300, "invite_format": "contact", "method": "password"},
    "suppress_unregister_notifications": False,
}
"""Schema defaults that a save writes into the document where the client left them out."""

READ_ONLY_ACCOUNT_KEYS: Final = frozenset(
    (
        "_read_only",
        "api_key",
        "billing_mode",
        "created",
        "id",
        "is_reseller",
        "notification_preference",
        "reseller_id",
        "superduper_admin",
        "trial_time_left",
        "wnm_allow_additions",
    )
)


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """Crossbar's no.

    Args:
        status: the HTTP status; the envelope repeats it as text.
        message: the envelope's message.
        data: the envelope's data.
    """

    def __init__(self, status: int, message: str, data: object = None) -> None:
        super().__init__(f"{status} {message}: {data}")
        self.status = status
        self.message = message
        self.data = {} if data is None else data


class Errors:
    """Validation errors, collected as Crossbar shows them: by dotted path, then by rule."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Json]] = {}

    def add(self, path: str, rule: str, message: str, **more: object) -> None:
        """One more."""
        self.found.setdefault(path, {})[rule] = {"message": message, **more}

    def refuse(self) -> None:
        """Raise Refusal if there are any."""
        if self.found:
            raise self.refusal()

    def refusal(self) -> Refusal:
        """The 400 that lists them."""
        return Refusal(400, "validation error", self.found)


def bad_identifier(cause: str) -> Refusal:
    """The 404 of an id that is not there."""
    return Refusal(404, "bad_identifier", {"message": "bad identifier", "cause": cause})


def forbidden() -> Refusal:
    """The 403."""
    return Refusal(403, "forbidden", {"message": "forbidden"})


def conflict() -> Refusal:
    """The 409 of a document that is there already."""
    return Refusal(409, "datastore_conflict", {"message": "datastore conflict"})


def merge(document: Json, patch: Json) -> Json:
    """What PATCH makes of a document: objects are merged, null deletes, all else replaces."""
    merged = copy.deepcopy(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            there = merged.get(key)
            merged[key] = merge(there if isinstance(there, dict) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def with_defaults(data: Json, defaults: Json) -> Json:
    """A copy with the defaults filled in where nothing is said."""
    filled = copy.deepcopy(data)
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(filled.get(key, {}), dict):
            filled[key] = with_defaults(filled.get(key, {}), value)
        else:
            filled.setdefault(key, copy.deepcopy(value))
    return filled


def check_device(data: Json, errors: Errors) -> None:
    """The schema of devices, as far as a realm's move meets it."""
    _text(data, "name", 1, 128, errors, required=True)
    sip = data.get("sip", {})
    if not isinstance(sip, dict):
        errors.add("sip", "type", "Value did not match type(s): object", target="object")
        return
    _text(sip, "username", 2, 32, errors, "sip.")
    _text(sip, "password", 5, 32, errors, "sip.")
    _realm(sip.get("realm"), "sip.realm", errors)
    if sip.get("method", "password") not in ("password", "ip", "authorization"):
        errors.add("sip.method", "enum", "SIP authentication method is invalid", value=sip["method"])


def check_fax_box(data: Json, errors: Errors) -> None:
    """The schema of faxbox, as far as a realm's move meets it."""
    _text(data, "name", 1, 128, errors, required=True)
    _text(data, "custom_smtp_email_address", 0, 254, errors)


def check_connectivity(data: Json, errors: Errors) -> None:
    """The schema of connectivity, as far as a realm's move meets it."""
    servers = data.get("servers", [])
    if not isinstance(servers, list):
        errors.add("servers", "type", "Value did not match type(s): array", target="array")
        return
    for index, server in enumerate(servers):
        if not isinstance(server, dict) or not isinstance(server.get("auth"), dict):
            errors.add(f"servers.{index}.auth", "required", "Field is required but missing")
        elif server["auth"].get("auth_method") not in ("password", "Password", "IP", "ip"):
            errors.add(f"servers.{index}.auth.auth_method", "enum", "Value not found in enumerated list of values")


def clean_mac(text: str) -> str:
    """A MAC address as Crossbar keeps it: hex digits only, lower case."""
    return re.sub(r"[^0-9a-f]", "", text.lower())


def letters(text: str) -> str:
    """What Kazoo compares names by, and searches by: only [a-z0-9] is left of it."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def lookup(data: Json, dotted: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = data
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _realm(value: object, path: str, errors: Errors) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        errors.add(path, "type", "Value did not match type(s): string", target="string")
    elif len(value) < 4:
        errors.add(path, "minLength", "String must be at least 4 characters", target=4)
    elif len(value) > 253:
        errors.add(path, "maxLength", "String must not be more than 253 characters", target=253)
    elif not _REALM.fullmatch(value):
        errors.add(path, "pattern", "Failed to match pattern '^[.\\w-]+$'", target="^[.\\w-]+$")


def _text(
    data: Json, key: str, shortest: int, longest: int, errors: Errors, prefix: str = "", *, required: bool = False
) -> None:
    value = data.get(key)
    if value is None:
        if required:
            errors.add(prefix + key, "required", "Field is required but missing")
    elif not isinstance(value, str):
        errors.add(prefix + key, "type", "Value did not match type(s): string", target="string")
    elif len(value) < shortest:
        errors.add(prefix + key, "minLength", f"String must be at least {shortest} characters", target=shortest)
    elif len(value) > longest:
        errors.add(prefix + key, "maxLength", f"String must not be more than {longest} characters", target=longest)
