"""Crossbar's view of what goes on: registrations, device status, calls in progress, calls that are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox.authority import device_of_username
from realmkit.sandbox.handling import Request, Success, dense, number, paged
from realmkit.sandbox.rules import Errors, bad_identifier
from realmkit.sandbox.store import Json, gregorian
from realmkit.sandbox.switches import Generation, Shown

if TYPE_CHECKING:
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
    longest = request.cluster.switches.maximum_range * 86_400
    now = gregorian(request.cluster.clock.now())
    until = number(request, "created_to", now)
    since = number(request, "created_from", until - longest)
    if until < since or until - since > longest:
        errors = Errors()
        errors.add("created_to", "date_range", f"created_to is more than {longest} seconds away", cause=until)
        errors.refuse()
    found = [one for one in request.cluster.cdrs.get(request.target.id, []) if since <= one["timestamp"] <= until]
    return paged(request, [((-one["timestamp"], one["id"]), one) for one in found])


def device_status(request: Request) -> Success:
    """2024: whom ecallmgr lists for the realm. 2026: all devices, by username at the account's realm (13.1, F3)."""
    cluster, account = request.cluster, request.target
    devices = list(cluster.store.all("device", account.id))
    if cluster.generation is Generation.OLDER:
        seen = {row.authorised.authorizing_id for row in cluster.ecallmgr.of_realm(account.data["realm"])}
        return Success([{"device_id": one.id, "registered": True} for one in devices if one.id in seen])
    return Success(
        [
            {
                "device_id": one.id,
                "registered": cluster.ecallmgr.at_edge(one.at("sip", "username") or "", account.data["realm"]),
                "registrable": one.data.get("device_type", "sip_device") not in ("sip_uri", "landline", "cellphone"),
            }
            for one in devices
        ]
    )


def _host(uri: str) -> tuple[str, int]:
    """The host and port of `sip:user@host:port;parameters`."""
    hostport = uri.rpartition("@")[2].removeprefix("sip:").removeprefix("sips:").partition(";")[0]
    host, colon, port = hostport.rpartition(":")
    return (host, int(port)) if colon and port.isdecimal() else (hostport, 5060)
