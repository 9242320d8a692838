"""What Kazoo's JSON schemas ask of the documents that set up an account, and how Crossbar coerces and refuses."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realmkit.sandbox.rules import Errors
    from realmkit.sandbox.store import Json

_ABSENT: Final = object()


@dataclass(frozen=True)
class Shape:
    """Anything at all; `default` is written into a document that says nothing."""

    default: Any = _ABSENT

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """The value, coerced where it is of another type; what is wrong with it goes to `errors` under its path."""
        del path, errors, strict
        return value


def _wrong_type(path: str, wanted: str, errors: Errors) -> None:
    errors.add(path, "type", f"Value did not match type(s): {wanted}", target=wanted)


@dataclass(frozen=True)
class Text(Shape):
    """A string, of so many characters."""

    shortest: int = 0
    longest: int | None = None
    pattern: str = ""
    choice: tuple[str, ...] = ()
    email: bool = False

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """See Shape."""
        if isinstance(value, int | float) and not isinstance(value, bool) and not strict:
            value = str(value)
        if not isinstance(value, str):
            _wrong_type(path, "string", errors)
        elif len(value) < self.shortest:
            errors.add(path, "minLength", f"String must be at least {self.shortest} characters", target=self.shortest)
        elif self.longest is not None and len(value) > self.longest:
            words = f"String must not be more than {self.longest} characters"
            errors.add(path, "maxLength", words, target=self.longest)
        elif self.pattern and not re.fullmatch(self.pattern, value):
            errors.add(path, "pattern", f"Failed to match pattern '{self.pattern}'", target=self.pattern)
        elif self.email and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            errors.add(path, "format", "Value did not match format(s): email", target="email")
        elif self.choice and value not in self.choice:
            errors.add(path, "enum", "Value not found in enumerated list of values", target=list(self.choice))
        return value


@dataclass(frozen=True)
class Number(Shape):
    """A number, whole or not."""

    least: int | None = None
    whole: bool = True

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """See Shape."""
        if isinstance(value, str) and not strict and re.fullmatch(r"-?\d+(\.\d+)?", value):
            value = float(value) if "." in value else int(value)
        wanted = int if self.whole else int | float
        if isinstance(value, bool) or not isinstance(value, wanted):
            _wrong_type(path, "integer" if self.whole else "number", errors)
        elif self.least is not None and value < self.least:
            errors.add(path, "minimum", f"Value must be at least {self.least}", target=self.least)
        return value


@dataclass(frozen=True)
class Flag(Shape):
    """True or false."""

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """See Shape."""
        if not strict and value in ("true", "false"):
            value = value == "true"
        if not isinstance(value, bool):
            _wrong_type(path, "boolean", errors)
        return value


@dataclass(frozen=True)
class Items(Shape):
    """An array."""

    each: Shape = field(default_factory=Shape)
    unique: bool = False

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """See Shape."""
        if not isinstance(value, list):
            _wrong_type(path, "array", errors)
            return value
        if self.unique and len({str(one) for one in value}) < len(value):
            errors.add(path, "uniqueItems", "List of items is not unique")
        return [self.each.read(one, f"{path}.{index}", errors, strict=strict) for index, one in enumerate(value)]


@dataclass(frozen=True)
class Fields(Shape):
    """An object: what is known of its keys, which must be there, and what all others are (None: may not be)."""

    known: Mapping[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: Shape | None = field(default_factory=Shape)

    def read(self, value: Any, path: str, errors: Errors, *, strict: bool) -> Any:
        """See Shape."""
        if not isinstance(value, dict):
            _wrong_type(path, "object", errors)
            return value
        for key in self.required:
            if key not in value:
                errors.add(_under(path, key), "required", "Field is required but missing")
        read = {}
        for key, one in value.items():
            shape = self.known.get(key, self.others)
            if shape is None:
                errors.add(_under(path, key), "additionalProperties", "Strict checking of data is enabled")
                continue
            read[key] = shape.read(one, _under(path, key), errors, strict=strict)
        for key, shape in self.known.items():
            if key not in read and shape.default is not _ABSENT:
                read[key] = copy.deepcopy(shape.default)
        return read


def _under(path: str, key: str) -> str:
    """A dotted path; a dot in a key is written otherwise."""
    key = key.replace(".", "%2E")
    return f"{path}.{key}" if path else key


def read(shape: Shape, data: Json, errors: Errors, *, strict: bool) -> Json:
    """A document as it is stored: defaults filled in, values coerced; what is wrong goes to `errors`."""
    known: Json = shape.read(data, "", errors, strict=strict)
    return known


_RESTRICTION: Final = Fields(default={}, others=Fields(known={"action": Text(choice=("inherit", "deny"))}))
_RINGTONES: Final = Fields(default={}, known={"external": Text(longest=256), "internal": Text(longest=256)})
_REALM: Final = Text(shortest=4, longest=253, pattern=r"[.\w-]+")

ACCOUNT: Final = Fields(
    required=("name",),
    known={
        "name": Text(shortest=1, longest=128),
        "realm": _REALM,
        "timezone": Text(shortest=5, longest=32),
        "language": Text(),
        "enabled": Flag(),
        "flags": Items(each=Text()),
        "org": Text(),
        "call_restriction": _RESTRICTION,
        "music_on_hold": Fields(default={}, known={"media_id": Text(longest=2048)}),
        "notifications": Fields(known={"low_balance": Fields(known={"threshold": Number(whole=False)})}),
        "preflow": Fields(default={}, known={"always": Text()}, others=None),
        "ringtones": _RINGTONES,
        "topup": Fields(known={"threshold": Number(whole=False)}),
        "zones": Fields(),
    },
)

USER: Final = Fields(
    required=("first_name", "last_name"),
    known={
        "first_name": Text(shortest=1, longest=128),
        "last_name": Text(shortest=1, longest=128),
        "username": Text(shortest=1, longest=256, pattern=r"([+@.\w_-]+)"),
        "email": Text(shortest=3, longest=254, email=True),
        "password": Text(),
        "priv_level": Text(default="user", choice=("user", "admin")),
        "enabled": Flag(default=True),
        "timezone": Text(),
        "language": Text(),
        "call_restriction": _RESTRICTION,
        "contact_list": Fields(default={}),
        "hotdesk": Fields(default={"enabled": False, "keep_logged_in_elsewhere": False, "require_pin": False}),
        "music_on_hold": Fields(default={}),
        "require_password_update": Flag(default=False),
        "ringtones": _RINGTONES,
        "verified": Flag(default=False),
        "vm_to_email_enabled": Flag(default=True),
    },
)

TRUNKS: Final = (
    "burst_trunks",
    "calls",
    "inbound_trunks",
    "outbound_trunks",
    "resource_consuming_calls",
    "twoway_trunks",
)

LIMITS: Final = Fields(
    known={key: Number(least=0) for key in TRUNKS}
    | {"allow_prepay": Flag(default=True), "authz_resource_types": Items(default=[], each=Text())},
)

LEDGER: Final = Fields(
    required=("source", "usage"),
    known={
        "amount": Number(least=1, whole=False),
        "description": Text(),
        "metadata": Fields(),
        "period": Fields(known={"start": Number(), "end": Number()}),
        "source": Fields(required=("id", "service"), known={"id": Text(), "service": Text()}),
        "usage": Fields(
            required=("quantity", "type", "unit"), known={"quantity": Number(), "type": Text(), "unit": Text()}
        ),
    },
)

_ACTION: Final = Fields(
    required=("data", "module"),
    known={"module": Text(shortest=1, longest=64), "data": Fields(), "children": Fields()},
)

CALLFLOW: Final = Fields(
    known={
        "name": Text(),
        "numbers": Items(default=[], each=Text(shortest=1, longest=36), unique=True),
        "patterns": Items(default=[], each=Text(shortest=1)),
        "flags": Items(each=Text()),
        "flow": _ACTION,
    },
)

WHITELABEL: Final = Fields(
    known={
        "company_name": Text(),
        "domain": Text(),
        "fake_api_url": Text(),
        "hide_credits": Flag(default=False),
        "hide_powered": Flag(default=False),
        "hide_registration": Flag(default=False),
        "inbound_trunks_price": Text(),
        "outbound_trunks_price": Text(),
        "twoway_trunks_price": Text(),
        "nav": Fields(known={"help": Text(), "learn_more": Text()}),
        "port": Fields(
            known={key: Text() for key in ("features", "loa", "resporg", "terms")}
            | {"support_email": Text(email=True)},
        ),
    },
)

SENDER: Final = Fields(
    required=("email", "dkim_selector"),
    known={"email": Text(shortest=3, longest=254, email=True), "dkim_selector": Text(shortest=1)},
)
