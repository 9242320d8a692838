"""Kazoo's own JSON schemas, where a copy of them lies beside the project, laid on what a sandbox takes and gives."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

import pytest

from realmkit.sandbox.cluster import Cluster

if TYPE_CHECKING:
    from jsonschema import Draft4Validator

SCHEMAS = Path(__file__).parents[3] / "shared" / "kazoo" / "schemas"


def check_schema(name: str, value: Any) -> None:
    """Hold a body against one schema."""
    if not SCHEMAS.is_dir():
        pytest.skip("no copy of Kazoo's schemas beside the project")
    _validator(name).validate(value)


@cache
def _validator(name: str) -> Draft4Validator:
    from jsonschema import Draft4Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4

    def fetch(uri: str) -> Resource[Any]:
        path = SCHEMAS / f"{uri}.json"
        return Resource.from_contents(json.loads(path.read_text()) if path.exists() else {}, DRAFT4)

    registry: Registry[Any] = Registry(retrieve=fetch)  # type: ignore[call-arg] # an attrs alias that mypy can't see
    return Draft4Validator(json.loads((SCHEMAS / f"{name}.json").read_text()), registry=registry)


class Held(NamedTuple):
    """Which requests a schema holds for, and whether for what is sent, for what comes back, or for both."""

    methods: str
    path: str
    schema: str
    sent: bool = True
    answered: bool = True


HELD = (
    Held("PUT", "api_auth", "api_auth", answered=False),
    Held("PUT", "user_auth", "user_auth", answered=False),
    Held("PUT", "accounts(/[^/]+)?", "accounts"),
    Held("GET POST PATCH", "accounts/[^/]+", "accounts"),
    Held("PUT", "accounts/[^/]+/devices", "devices"),
    Held("PUT", "accounts/[^/]+/devices/[^/]+", "devices_notify", answered=False),
    Held("GET POST PATCH", "accounts/[^/]+/devices/(?!status)[^/]+", "devices"),
    Held("PUT", "accounts/[^/]+/connectivity", "connectivity"),
    Held("GET POST PATCH", "accounts/[^/]+/connectivity/[^/]+", "connectivity"),
    Held("PUT", "accounts/[^/]+/faxboxes", "faxbox"),
    Held("GET POST PATCH", "accounts/[^/]+/faxboxes/[^/]+", "faxbox"),
    Held("PUT", "accounts/[^/]+/users", "users"),
    Held("GET POST PATCH", "accounts/[^/]+/users/[^/]+", "users"),
    Held("PUT", "accounts/[^/]+/callflows", "callflows"),
    Held("GET POST PATCH", "accounts/[^/]+/callflows/[^/]+", "callflows"),
    Held("GET POST PATCH", "accounts/[^/]+/limits", "limits"),
    Held("PUT", "accounts/[^/]+/ledgers/(credit|debit)", "ledgers"),
    Held("GET PUT POST PATCH", "accounts/[^/]+/whitelabel", "whitelabel"),
    Held("GET", "whitelabel/(?!domains)[^/]+", "whitelabel"),
)
MODULES = ("offnet", "resources", "temporal_route")


_free: WeakSet[Cluster] = WeakSet()


def unhold(cluster: Cluster) -> None:
    """From now on bodies may break their schemas: the platform takes some that do."""
    _free.add(cluster)


def hold_all() -> Callable[[], None]:
    """From now on a body that breaks its schema fails the test, whatever sandbox takes or gives it; how to end that.

    A PATCH is held against nothing when it is sent, and a request that is refused is not either. The 2026 rows'
    `_read_only` is part of no document.
    """
    plain = Cluster.handle

    def handle(
        self: Cluster, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        status, sent_headers, content = plain(self, method, path, query, headers, body)
        held = [one for one in HELD if method in one.methods and re.fullmatch(one.path, path.removeprefix("/v2/"))]
        if held and status < 300 and self not in _free:
            [one] = held
            counted[one.schema] += 1
            with contextlib.suppress(json.JSONDecodeError):  # an answer that a switch cuts in the middle
                hold(one, method, body, json.loads(content)["data"])
        return status, sent_headers, content

    def end() -> None:
        Cluster.handle = plain  # type: ignore[method-assign]

    Cluster.handle = handle  # type: ignore[method-assign]
    return end


counted: Counter[str] = Counter()
"""How often each schema was held up in this process."""


def hold(held: Held, method: str, body: bytes, data: Any) -> None:
    bodies = [data] if held.answered else []
    if held.sent and body and method in ("PUT", "POST"):
        bodies.append(json.loads(body)["data"])
    for one in bodies:
        check_schema(held.schema, one)
        if held.schema == "callflows":
            hold_flow(one.get("flow", {}))


def hold_flow(action: Mapping[str, Any]) -> None:
    if action.get("module") in MODULES:
        check_schema(f"callflows.{action['module']}", action["data"])
    for child in action.get("children", {}).values():
        hold_flow(child)
