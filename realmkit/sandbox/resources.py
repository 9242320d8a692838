"""Crossbar's documents that a realm's move meets: devices, connectivity, fax boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox import activity, rules, saving
from realmkit.sandbox.handling import Request, Success, dense, paged, passes, read_only, shown
from realmkit.sandbox.rules import Errors

if TYPE_CHECKING:
    from realmkit.sandbox.store import Document, Json


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
            row |= _status(request, device)
            rows.append(((device.data["name"].lower(), device.id), dense(row) | read_only(request)))
    return paged(request, rows)


def _status(request: Request, device: Document) -> Json:
    if request.query.get("with_status") != "true" or not request.cluster.switches.status_in_rows:
        return {}
    return activity.status_of(request.cluster, request.target, device)


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
    if request.cluster.switches.sync_sends:
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
    if request.cluster.switches.facts_in_metadata:
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
