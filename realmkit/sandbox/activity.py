"""Crossbar's view of what goes on: registrations, device status, calls in progress, calls that are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox.authority import device_of_username
from realmkit.sandbox.handling import Request, Success, dense, paged, span
from realmkit.sandbox.rules import bad_identifier
from realmkit.sandbox.store import Document, Json, gregorian
from realmkit.sandbox.switches import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from realmkit.sandbox.cluster import Cluster
    from realmkit.sandbox.ecallmgr import Row


def registrations(request: Request) -> Success:
    """Rows of the account's realm of this moment (F3), merged by username and Contact without realm (13.0 b)."""
    rows = request.cluster.ecallmgr.of_realm(request.target.data["realm"])
    if request.cluster.switches.merged_listing_shows is Shown.OLDEST:
        rows.reverse()
    merged = {(row.contact.username, row.contact.uri): row for row in rows}
    return Success([_registration(row) for row in merged.values()])


def _registration(row: Row) -> Json:
    contact, who = row.contact, row.authorised
    host, port = _host(contact.uri)
    network, _, network_port = contact.source.rpartition(":")
    data = {
        "account_name": who.account_name,
        "account_realm": who.account_realm,
        "authorizing_id": who.authorizing_id,
        "authorizing_type": who.authorizing_type,
        "call_id": contact.call_id,
        "contact": contact.uri,
        "contact_ip": host,
        "contact_port": port,
        "event_timestamp": gregorian(contact.registered_at),
        "expires": row.expires,
        "from_host": contact.realm,
        "from_user": contact.username,
        "network_ip": network,
        "network_port": network_port,
        "original_contact": contact.uri,
        "owner_id": who.owner_id,
        "proxy_ip": "127.0.0.1",
        "proxy_port": 5060,
        "realm": contact.realm,
        "to_host": contact.realm,
        "to_user": contact.username,
        "user_agent": contact.user_agent,
        "username": contact.username,
    }
    return dense(data)


def count_registrations(request: Request) -> Success:
    """GET /registrations/count: the rows, before any merging."""
    return Success({"count": len(request.cluster.ecallmgr.of_realm(request.target.data["realm"]))})


def flush_registrations(request: Request) -> Success:
    """DELETE /registrations: the account's realm of this moment."""
    request.cluster.flush(request.target)
    return Success("ok")


def flush_registration(request: Request) -> Success:
    """A check-sync and the flush, which race on the platform; here they keep this order."""
    username = request.arguments["id"]
    if device_of_username(request.cluster.store, request.target.id, username) is None:
        raise bad_identifier(username)
    request.cluster.notify(request.target, username, request.cluster.switches.check_sync_event)
    request.cluster.flush(request.target, username)
    return Success("ok")


def channels(request: Request) -> Success:
    """GET /channels, of an account or of one device; never paged."""
    device = request.arguments.get("id")
    if device is not None:
        request.document("device")
    return Success(
        [
            dense({key: value for key, value in channel.items() if key != "account_id"})
            for channel in request.cluster.channels.values()
            if channel["account_id"] == request.target.id and device in (None, channel["authorizing_id"])
        ]
    )


def cdrs(request: Request) -> Success:
    """GET /cdrs: newest first, `created_from` to `created_to`, 31 days at most."""
    since, until = span(request)
    found = [one for one in request.cluster.cdrs.get(request.target.id, []) if since <= one["timestamp"] <= until]
    return paged(request, [((-one["timestamp"], one["id"]), one) for one in found])


def cdr(call: str, start: datetime, seconds: int, realm: str, told: Json) -> Json:
    """The CDR of a call that is over: its id, when and how long, at which realm; direction, device and numbers."""
    return {
        "id": f"{start:%Y%m}-{call}",
        "call_id": call,
        # The time stamp is that of the hang-up, when the CDR is written; only its Unix twin is text.
        "timestamp": gregorian(start) + seconds,
        "unix_timestamp": str(int(start.timestamp()) + seconds),
        "duration_seconds": seconds,
        "billing_seconds": seconds,
        "from": f"{told['caller_id_number']}@{realm}",
        "to": f"{told['callee_id_number']}@{realm}",
        "hangup_cause": "NORMAL_CLEARING",
        **told,
    }


def device_status(request: Request) -> Success:
    """2024: whom ecallmgr lists for the realm. 2026: all devices, by username at the account's realm (13.1, F3)."""
    cluster, account = request.cluster, request.target
    devices = list(cluster.store.all("device", account.id))
    if not cluster.switches.status_lists_all:
        seen = {row.authorised.authorizing_id for row in cluster.ecallmgr.of_realm(account.data["realm"])}
        return Success([{"device_id": one.id, "registered": True} for one in devices if one.id in seen])
    return Success([{"device_id": one.id, **status_of(cluster, account, one)} for one in devices])


def status_of(cluster: Cluster, account: Document, device: Document) -> Json:
    """What 2026 says of a device: by the edge's row of its user name at the account's realm, whatever its own is."""
    return {
        "registered": cluster.ecallmgr.at_edge(device.at("sip", "username") or "", account.data["realm"]),
        "registrable": device.data.get("device_type", "sip_device") not in ("sip_uri", "landline", "cellphone"),
    }


def _host(uri: str) -> tuple[str, int]:
    """The host and port of `sip:user@host:port;parameters`."""
    hostport = uri.rpartition("@")[2].removeprefix("sip:").removeprefix("sips:").partition(";")[0]
    host, colon, port = hostport.rpartition(":")
    return (host, int(port)) if colon and port.isdecimal() else (hostport, 5060)
