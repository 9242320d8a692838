"""The sandbox against Kazoo's own JSON schemas: what it takes, what it gives, what it refuses."""

import json
from typing import Any

import pytest

from realmkit.sandbox import schema
from realmkit.sandbox.cluster import Generation
from realmkit.sandbox.rules import Errors
from tests.unit.heldtoschemas import SCHEMAS, check_schema, counted
from tests.unit.platforms import NEW, Platform, device

pytestmark = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no copy of Kazoo's schemas beside the project")


ACCOUNT: dict[str, Any] = {
    "name": "Beta Ltd",
    "realm": "beta.voice.example",
    "timezone": "Europe/Berlin",
    "language": "en-US",
    "enabled": True,
    "flags": ["vip"],
    "org": "Beta",
    "call_restriction": {"international": {"action": "deny"}},
    "notifications": {"low_balance": {"threshold": 5.5}},
    "topup": {"threshold": 10},
    "music_on_hold": {"media_id": "m"},
    "ringtones": {"internal": "i"},
    "preflow": {"always": "p"},
    "zones": {"home": "east"},
}
USER: dict[str, Any] = {
    "first_name": "Ada",
    "last_name": "Byron",
    "username": "ada@beta",
    "email": "ada@beta.example",
    "password": "Secret-123",
    "priv_level": "admin",
    "enabled": True,
    "timezone": "Europe/Berlin",
    "language": "en-US",
    "require_password_update": True,
    "verified": False,
    "vm_to_email_enabled": True,
    "call_restriction": {"international": {"action": "deny"}},
    "ringtones": {"external": "e"},
}
LIMITS: dict[str, Any] = dict.fromkeys(schema.TRUNKS, 2) | {"allow_prepay": False, "authz_resource_types": ["x"]}
LEDGER: dict[str, Any] = {
    "amount": 20,
    "description": "Start",
    "metadata": {"ui_request": True},
    "period": {"start": 63_900_000_000, "end": 63_900_000_001},
    "source": {"service": "adjustments", "id": "first"},
    "usage": {"type": "credit", "quantity": 0, "unit": "USD"},
}
CALLFLOW: dict[str, Any] = {
    "name": "Carrier",
    "numbers": ["no_match"],
    "patterns": ["^1"],
    "flags": ["x"],
    "flow": {"module": "resources", "data": {"hunt_account_id": "a" * 32}, "children": {}},
}
WHITELABEL: dict[str, Any] = {
    "company_name": "Voice",
    "domain": "voice.example",
    "fake_api_url": "https://api.voice.example/v2",
    "hide_credits": True,
    "hide_powered": True,
    "hide_registration": True,
    "inbound_trunks_price": "1",
    "outbound_trunks_price": "1",
    "twoway_trunks_price": "1",
    "nav": {"help": "https://help.voice.example", "learn_more": "https://voice.example"},
    "port": {
        "features": "https://voice.example/port",
        "loa": "https://voice.example/loa",
        "resporg": "https://voice.example/resporg",
        "support_email": "port@voice.example",
        "terms": "https://voice.example/terms",
    },
    "realm_suffix": "s.voice.example",
}


@pytest.mark.parametrize("generation", Generation)
def test_what_sets_up_an_account_fits_kazoos_schemas_both_ways(generation: Generation) -> None:
    platform = Platform(generation)
    before = counted.copy()
    _, envelope = platform.ask("PUT", f"/accounts/{platform.reseller}", ACCOUNT)
    account = envelope["data"]["id"]

    def kept(method: str, path: str, data: Any = None) -> dict[str, Any]:
        status, envelope = platform.ask(method, f"/accounts/{account}{path}", data)
        assert status < 300, envelope
        found: dict[str, Any] = envelope["data"]
        return found

    kept("POST", "", kept("GET", ""))
    kept("PATCH", "", {"realm": NEW})
    for path, document in (("/users", USER), ("/callflows", CALLFLOW), ("/devices", device())):
        made = kept("PUT", path, document)
        kept("POST", f"{path}/{made['id']}", kept("GET", f"{path}/{made['id']}"))
    kept("PUT", "/connectivity", {"name": "PBX", "servers": []})
    kept("PUT", "/faxboxes", {"name": "Fax"})
    kept("GET", "/limits")
    kept("POST", "/limits", LIMITS)
    kept("PUT", "/ledgers/credit", LEDGER)
    kept("PUT", "/whitelabel", WHITELABEL)
    kept("POST", "/whitelabel", kept("GET", "/whitelabel"))
    expected = ["accounts", "api_auth", "callflows", "connectivity", "devices", "faxbox"]
    assert sorted(counted - before) == [*expected, "ledgers", "limits", "users", "whitelabel"]


def test_the_wrapper_notices_a_body_that_breaks_its_schema() -> None:
    from jsonschema import ValidationError

    platform = Platform()
    platform.data("GET", "/limits")
    platform.cluster.switches.strict_schemas = False
    with pytest.raises(ValidationError, match="'7' is not of type 'integer'"):
        platform.data("POST", "/limits", {"calls": "7"})  # coerced by Crossbar, and not what its schema says


def test_the_template_of_required_records_fits_kazoos_schema_and_is_what_a_platform_ships() -> None:
    template = Platform().cluster.catalogue.template
    check_schema("domains", template)
    fixture = SCHEMAS.parent / "domains.default.fixture.json"
    if fixture.exists():
        assert template == json.loads(fixture.read_text())


# what a schema refuses is refused, and nothing else


TEXTS = ("", "a", "abc", "abcd", "a b", "a/b", "admin", "deny", "inherit", "a@b.example")
LONG = tuple("x" * length for length in (32, 33, 36, 37, 128, 129, 253, 254, 255, 256, 257))
LISTS: tuple[Any, ...] = ([], ["a"], ["a", "a"], [1], [""], ["x" * 37])
OBJECTS: tuple[Any, ...] = (
    {},
    {"action": "deny"},
    {"did_us": {"action": "allow"}},
    {"did_us": {"action": "deny"}},
    {"did_us": {}},
    {"always": "x"},
    {"never": "x"},
    {"low_balance": {"threshold": "x"}},
    {"threshold": "x"},
    {"threshold": 1.5},
    {"external": 1},
    {"internal": "x" * 257},
    {"media_id": 1},
    {"id": "x"},
    {"id": "x", "service": "y"},
    {"quantity": 1.5, "type": "x", "unit": "y"},
    {"quantity": 1, "type": "x", "unit": "y"},
    {"start": "x"},
    {"start": 1},
    {"help": 1},
    {"terms": 1},
)
CANDIDATES: tuple[Any, ...] = (*TEXTS, *LONG, 0, 1, -1, 0.5, 1.5, True, False, None, *LISTS, *OBJECTS)

DOCUMENTS = {
    "accounts": (schema.ACCOUNT, ACCOUNT),
    "users": (schema.USER, USER),
    "limits": (schema.LIMITS, LIMITS),
    "ledgers": (schema.LEDGER, LEDGER),
    "callflows": (schema.CALLFLOW, CALLFLOW),
    "whitelabel": (schema.WHITELABEL, WHITELABEL),
}
# References to schemas of which there is no copy: theirs is more than can be told here.
NO_COPY = {("callflows", "flow"), ("callflows", "metaflow")}


def accepted_by_kazoo(name: str, document: dict[str, Any]) -> bool:
    from jsonschema import ValidationError

    try:
        check_schema(name, document)
    except ValidationError:
        return False
    return True


def accepted_here(shape: schema.Shape, document: dict[str, Any]) -> bool:
    errors = Errors()
    schema.read(shape, document, errors, strict=True)
    return not errors.found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_sandbox_and_kazoos_schema_agree_on_every_value_of_every_key(name: str) -> None:
    shape, document = DOCUMENTS[name]
    assert accepted_by_kazoo(name, document)
    assert accepted_here(shape, document)
    differ, refused = [], 0
    for key in document:
        if (name, key) in NO_COPY:
            continue
        without = {other: value for other, value in document.items() if other != key}
        for changed in [without, *({**document, key: value} for value in CANDIDATES)]:
            kazoo, here = accepted_by_kazoo(name, changed), accepted_here(shape, changed)
            refused += not kazoo
            email = key == "email" and isinstance(changed.get(key), str) and "@" not in changed[key]
            if kazoo is not here and not email:  # `format` is not looked at by the other validator
                differ.append((key, changed.get(key, "left out"), kazoo, here))
    assert differ == []
    assert refused > 20 * len(document) / 2
