"""Crossbar's documents that cost money: limits, ledgers, service plans. 402 is what asks for leave to charge."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from realmkit.sandbox import schema
from realmkit.sandbox.handling import Request, Success, paged, shown, span
from realmkit.sandbox.rules import Errors, Refusal, conflict
from realmkit.sandbox.store import GREGORIAN, gregorian
from realmkit.sandbox.switches import LedgerKey

if TYPE_CHECKING:
    from realmkit.sandbox.store import Document, Json

_RATE: Final = 6.99
"""Dollars a month that anything is said to cost."""


def _charge(request: Request, category: str, more: dict[str, int]) -> None:
    """Raise the 402 that lists what would be charged, unless the client has accepted that."""
    if not more or request.accepts_charges:
        return
    items = {
        item: {"category": category, "item": item, "quantity": quantity, "rate": _RATE, "single_discount": False}
        for item, quantity in more.items()
    }
    raise Refusal(402, "accept charges", {category: items})


# --- limits ---------------------------------------------------------------------------------------------------------


def limits(request: Request) -> Success:
    """GET /limits: the schema's defaults where none were ever saved."""
    found = request.cluster.store.get("limits", "limits", request.target.id)
    if found is None:
        return Success({**schema.read(schema.LIMITS, {}, Errors(), strict=True), "id": "limits"})
    return shown(found)


def save_limits(request: Request) -> Success:
    """POST and PATCH /limits: by the account's reseller only; more trunks may cost."""
    request.by_reseller_only()
    found = request.cluster.store.get("limits", "limits", request.target.id)
    errors = Errors()
    wanted = request.data if found is None else request.changed(found)
    data = schema.read(schema.LIMITS, wanted, errors, strict=request.cluster.switches.strict_schemas)
    errors.refuse()
    data = {key: value for key, value in data.items() if key not in ("id", "_read_only")}
    if request.cluster.switches.limits_cost_money:
        before = {} if found is None else found.data
        more = {key: data[key] for key in schema.TRUNKS if data.get(key, 0) > before.get(key, 0)}
        _charge(request, "limits", more)
    if found is None:
        return shown(request.cluster.store.add("limits", request.target.id, data, "limits"))
    request.cluster.store.save(found, data)
    return shown(found)


# --- ledgers --------------------------------------------------------------------------------------------------------


def pay_in(request: Request) -> Success:
    """PUT /ledgers/credit."""
    return _enter(request, "credit")


def pay_out(request: Request) -> Success:
    """PUT /ledgers/debit."""
    return _enter(request, "debit")


def _enter(request: Request, kind: str) -> Success:
    """An entry is there once for each source and period: a second one is 409."""
    request.by_reseller_only()
    cluster, errors = request.cluster, Errors()
    data = schema.read(schema.LEDGER, request.data, errors, strict=cluster.switches.strict_schemas)
    errors.refuse()
    start = data.get("period", {}).get("start", gregorian(cluster.clock.now()))
    key = _entry_key(data, start, cluster.switches.ledger_key)
    if cluster.store.get(key, "ledger", request.target.id) is not None:
        raise conflict()
    kept: Json = {key: data[key] for key in ("amount", "description", "metadata", "source", "usage") if key in data}
    account = {"id": request.target.id, "name": request.target.data["name"]}
    kept |= {"account": account, "period": {**data.get("period", {}), "start": start}, "type": kind}
    kept.setdefault("amount", 0)
    return shown(cluster.store.add("ledger", request.target.id, kept, key), 201)


def _entry_key(data: Json, start: int, by: LedgerKey) -> str:
    month = f"{datetime.fromtimestamp(0, UTC) + timedelta(seconds=start - GREGORIAN):%Y%m}"
    period = month if by is LedgerKey.MONTH else str(start)
    text = "/".join((data["source"]["service"], data["source"]["id"], period))
    return f"{month}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _sum(entries: list[Document]) -> float:
    """Dollars that were paid in, less those paid out."""
    signs = {"credit": 1, "debit": -1}
    return float(sum(signs[one.data["type"]] * Decimal(str(one.data["amount"])) for one in entries))


def total(request: Request) -> Success:
    """GET /ledgers/total."""
    return Success({"amount": _sum(list(request.cluster.store.all("ledger", request.target.id)))})


def summary(request: Request) -> Success:
    """GET /ledgers: by the service that they come from."""
    entries: dict[str, list[Document]] = {}
    for one in request.cluster.store.all("ledger", request.target.id):
        entries.setdefault(one.data["source"]["service"], []).append(one)
    return Success({service: {"amount": _sum(some), "usage": {}} for service, some in entries.items()})


def ledger(request: Request) -> Success:
    """GET /ledgers/{service}: newest first, 31 days at most, the last 31 where none are named."""
    since, until = span(request)
    rows = []
    for number, one in enumerate(request.cluster.store.all("ledger", request.target.id)):
        start = one.data["period"]["start"]
        if one.data["source"]["service"] == request.arguments["id"] and since <= start <= until:
            rows.append(((-start, -number), one.public()))
    return paged(request, rows)


# --- service plans --------------------------------------------------------------------------------------------------


def _assigned(request: Request) -> dict[str, Json]:
    found = request.cluster.store.get("services", "services", request.target.id)
    return {} if found is None else dict(found.data["plans"])


def services(request: Request) -> Success:
    """GET /services."""
    return Success({"plans": _assigned(request), "billing_cycle": {"period": "monthly"}, "invoices": []})


def available(request: Request) -> Success:
    """GET /services/available: the reseller's plans."""
    plans = request.cluster.catalogue.plans
    return paged(request, [((identity,), {"id": identity, "name": name}) for identity, name in plans.items()])


def change_services(request: Request) -> Success:
    """POST /services: `add` and `delete`, as ids. Ids of no plan change nothing, and nothing is said of them."""
    request.by_reseller_only()
    plans, found = _assigned(request), request.cluster.store.get("services", "services", request.target.id)
    known = request.cluster.catalogue.plans
    added = [one for one in _ids(request.data, "add") or _ids(request.data, "plans") if one in known]
    if request.cluster.switches.plans_cost_money:
        _charge(request, "plans", {one: 1 for one in added if one not in plans})
    plans |= {one: {"vendor_id": request.login.id if request.login else ""} for one in added if one not in plans}
    for one in _ids(request.data, "delete"):
        plans.pop(one, None)
    if found is None:
        request.cluster.store.add("services", request.target.id, {"plans": plans}, "services")
    else:
        request.cluster.store.save(found, {"plans": plans})
    return Success(plans)


def _ids(data: Json, key: str) -> list[str]:
    given = data.get(key, [])
    return [str(one) for one in given] if isinstance(given, list) else []
