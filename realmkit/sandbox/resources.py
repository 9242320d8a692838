"""Crossbar's documents: accounts and the search for them, devices, connectivity, fax boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox import rules, saving
from realmkit.sandbox.handling import Request, Success, ancestors, dense, paged, passes, read_only, shown
from realmkit.sandbox.rules import Errors, Refusal, letters
from realmkit.sandbox.switches import Generation

if TYPE_CHECKING:
    from realmkit.sandbox.store import Document, Json


# --- login and accounts ---------------------------------------------------------------------------------------------


def log_in(request: Request) -> Success:
    """PUT /api_auth."""
    key = request.data.get("api_key")
    if not isinstance(key, str) or len(key) != 64 or len(request.data) != 1:
        errors = Errors()
        errors.add("api_key", "required", "Field is required but missing or malformed")
        errors.refuse()
    for account in request.cluster.store.all("account"):
        if account.private["api_key"] == key and account.private["enabled"]:
            data = {
                "account_id": account.id,
                "account_name": account.data["name"],
                "apps": [],
                "is_reseller": account.private["parent"] is None,
                "language": "en-US",
                "reseller_id": saving.account_facts(request.cluster, account)["reseller_id"],
            }
            return Success(data, 201, auth_token=request.cluster.sessions.open(account.id))
    raise Refusal(401, "invalid_credentials", {"message": "invalid credentials"})


def account(request: Request) -> Success:
    """GET /accounts/{A}."""
    return _shown_account(request, request.target)


def _shown_account(request: Request, account: Document, status: int = 200) -> Success:
    facts = saving.account_facts(request.cluster, account)
    if request.cluster.generation is Generation.NEWER:
        return Success(account.public(), status, revision=account.revision, metadata=facts)
    return Success({**account.public(), **facts}, status, revision=account.revision)


def save_account(request: Request) -> Success:
    """POST and PATCH /accounts/{A}."""
    saving.save_account(request.cluster, request.target, request.changed(request.target))
    return account(request)


def create_account(request: Request) -> Success:
    """PUT /accounts[/{parent}]."""
    return _shown_account(request, saving.create_account(request.cluster, request.target.id, request.data), 201)


def api_key(request: Request) -> Success:
    """GET /accounts/{A}/api_key."""
    return Success({"api_key": request.target.private["api_key"]})


def _below(request: Request) -> list[Document]:
    """The accounts below the target's, whatever their depth."""
    cluster = request.cluster
    return [one for one in cluster.store.all("account") if request.target in ancestors(cluster, one)]


def _account_row(request: Request, account: Document) -> Json:
    tree = [one.id for one in ancestors(request.cluster, account)]
    below = [one for one in request.cluster.store.all("account") if account in ancestors(request.cluster, one)]
    row = {
        "id": account.id,
        "name": account.data["name"],
        "realm": account.data["realm"],
        "descendants_count": len(below),
        "tree": tree[::-1],
    }
    return row | read_only(request)


def children(request: Request) -> Success:
    """GET /accounts/{A}/children."""
    return _listing(request, [one for one in _below(request) if one.private["parent"] == request.target.id])


def descendants(request: Request) -> Success:
    """GET /accounts/{A}/descendants."""
    return _listing(request, _below(request))


def _listing(request: Request, accounts: list[Document]) -> Success:
    accounts = [one for one in accounts if passes(request, one)]
    return paged(request, [((letters(one.data["name"]), one.id), _account_row(request, one)) for one in accounts])


def search(request: Request) -> Success:
    """Letters and digits only, from their beginning: candidates, not matches."""
    if request.query.get("t") != "account" or request.query.get("q") not in ("name", "realm", "id"):
        errors = Errors()
        errors.add("t" if request.query.get("t") != "account" else "q", "enum", "Value not found in enumerated list")
        errors.refuse()
    found = _candidates(request, request.query["q"], request.query.get("v", ""))
    return paged(request, [((letters(one.data["name"]), one.id), _account_row(request, one)) for one in found])


def search_multi(request: Request) -> Success:
    """GET /search/multi?t=account&by_name=...&by_realm=..."""
    wanted = {key.removeprefix("by_"): value for key, value in request.query.items() if key.startswith("by_")}
    return Success(
        {
            by: [_account_row(request, one) for one in _candidates(request, by, value)]
            for by, value in wanted.items()
            if by in ("name", "realm", "id")
        }
    )


def _candidates(request: Request, by: str, value: str) -> list[Document]:
    wanted = letters(value)
    return [one for one in _below(request) if letters(one.id if by == "id" else one.data[by]).startswith(wanted)]


# --- devices --------------------------------------------------------------------------------------------------------


def devices(request: Request) -> Success:
    """GET /accounts/{A}/devices: rows, not documents."""
    rows = []
    for device in request.cluster.store.all("device", request.target.id):
        if passes(request, device):
            row = {
                "id": device.id,
                "name": device.data["name"],
                "device_type": device.data.get("device_type", "sip_device"),
                "enabled": device.data.get("enabled", True),
                "mac_address": device.data.get("mac_address"),
                "owner_id": device.data.get("owner_id"),
                "username": device.at("sip", "username"),
            }
            rows.append(((device.data["name"].lower(), device.id), dense(row) | read_only(request)))
    return paged(request, rows)


def device(request: Request) -> Success:
    """GET /devices/{D}."""
    return shown(request.document("device"))


def create_device(request: Request) -> Success:
    """PUT /devices."""
    return shown(saving.create_device(request.cluster, request.target.id, request.data), 201)


def save_device(request: Request) -> Success:
    """POST and PATCH /devices/{D}."""
    device = request.document("device")
    saving.save_device(request.cluster, device, request.changed(device), request.method)
    return shown(device)


def delete_device(request: Request) -> Success:
    """DELETE /devices/{D}."""
    device = request.document("device")
    saving.delete_device(request.cluster, device)
    return shown(device)


def device_action(request: Request) -> Success:
    """`{"action": "notify", "data": {"event": ...}}`: any Event, to the account's realm only, always 202 (F5)."""
    device = request.document("device")
    errors = Errors()
    if request.data.get("action") != "notify":
        errors.add("action", "enum", "Value not found in enumerated list of values", target=["notify"])
        errors.refuse()
    event = rules.lookup(request.data, "data.event")
    if not isinstance(event, str):
        errors.add("data.event", "required", "Field is required but missing")
        errors.refuse()
    request.cluster.notify(request.target, device.at("sip", "username") or "", event)
    return Success("NOTIFY sent", 202, "NOTIFY sent")


def sync_device(request: Request) -> Success:
    """F5: in 2024 it sends nothing and says that it did; in 2026 it sends, with `reboot` as the device words it."""
    device = request.document("device")
    if request.cluster.generation is Generation.NEWER:
        wish = str(request.query.get("reboot", request.data.get("reboot", ""))).lower()
        event = device.at("provision", "check_sync_event") or request.cluster.switches.check_sync_event
        if wish == "true":
            event += ";" + (device.at("provision", "check_sync_reboot") or "reboot=true")
        elif wish == "false":
            event += ";" + (device.at("provision", "check_sync_reload") or "reboot=false")
        request.cluster.notify(request.target, device.at("sip", "username") or "", event)
    return Success("sync request sent", 202, "sync request sent")


# --- connectivity and fax boxes -------------------------------------------------------------------------------------


def connectivity_listing(request: Request) -> Success:
    """Ids only, as text (cb_connectivity normalize_view_results)."""
    documents = request.cluster.store.all("connectivity", request.target.id)
    return paged(request, [((one.id,), one.id) for one in documents])


def connectivity(request: Request) -> Success:
    """GET /connectivity/{C}."""
    return shown(request.document("connectivity"))


def create_connectivity(request: Request) -> Success:
    """Creating flushes the account's realm; saving again does not (13.0, which corrects F8)."""
    made = saving.save_connectivity(request.cluster, request.target.id, None, request.data)
    request.cluster.flush(request.target)
    return shown(made, 201)


def save_connectivity(request: Request) -> Success:
    """POST and PATCH /connectivity/{C}."""
    document = request.document("connectivity")
    return shown(saving.save_connectivity(request.cluster, request.target.id, document, request.changed(document)))


def fax_boxes(request: Request) -> Success:
    """GET /faxboxes."""
    rows = [
        ((one.data["name"].lower(), one.id), {"id": one.id, "name": one.data["name"]} | read_only(request))
        for one in request.cluster.store.all("faxbox", request.target.id)
    ]
    return paged(request, rows)


def _shown_fax_box(request: Request, box: Document, status: int = 200) -> Success:
    """The box's own address: in `data` in 2024, in `metadata.custom_smtp_address` in 2026 (13.1, F9)."""
    address = box.private["smtp_email_address"]
    if request.cluster.generation is Generation.NEWER:
        return Success(box.public(), status, revision=box.revision, metadata={"custom_smtp_address": address})
    return Success({**box.public(), "smtp_email_address": address}, status, revision=box.revision)


def fax_box(request: Request) -> Success:
    """GET /faxboxes/{F}."""
    return _shown_fax_box(request, request.document("faxbox"))


def create_fax_box(request: Request) -> Success:
    """PUT /faxboxes."""
    made = saving.save_fax_box(request.cluster, request.target.id, None, request.data)
    return _shown_fax_box(request, made, 201)


def save_fax_box(request: Request) -> Success:
    """POST and PATCH /faxboxes/{F}."""
    box = request.document("faxbox")
    saving.save_fax_box(request.cluster, request.target.id, box, request.changed(box))
    return _shown_fax_box(request, box)
