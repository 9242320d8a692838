"""What saving a document does on a Kazoo cluster: checks, silent changes, and what the phones are told.

Each function takes the place of one Crossbar module's validate, execute and finish. They raise `Refusal` where Crossbar
says no.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from realmkit.sandbox import rules, schema
from realmkit.sandbox.events import EventKind
from realmkit.sandbox.handling import reseller_of
from realmkit.sandbox.rules import Errors, Refusal
from realmkit.sandbox.store import Document, Json, gregorian

if TYPE_CHECKING:
    from realmkit.sandbox.cluster import Cluster

# --- accounts -------------------------------------------------------------------------------------------------------


def create_account(cluster: Cluster, parent: str | None, data: Json) -> Document:
    """PUT /accounts/{parent}. A refusal, and a failure on the way, leave nothing behind."""
    errors = Errors()
    data = _account_data(cluster, data, errors)
    _check_account_unique(cluster, None, data, errors)
    errors.refuse()
    above = cluster.store.get(parent or "", "account")
    enabled = data.pop("enabled", True if above is None else above.private["enabled"])
    account = cluster.store.add("account", None, data, parent=parent, enabled=enabled, reseller=parent is None)
    account.private["api_key"] = hashlib.sha256(f"api key of {account.id}".encode()).hexdigest()
    if cluster.switches.account_creation_fails:
        cluster.store.remove(account)
        raise Refusal(500, "unspecified_fault", {"message": "unspecified fault"})
    if cluster.aggregates:
        cluster.push_credentials()  # sip_auth is asked only about realms that are no account's
    return account


def save_account(cluster: Cluster, account: Document, data: Json) -> None:
    """POST and PATCH of an account, given whole. Nothing is done to registrations or devices by a new realm (F1)."""
    errors = Errors()
    data = _account_data(cluster, data, errors)
    errors.refuse()
    _check_account_unique(cluster, account, data, errors)
    if errors.found and not cluster.switches.rejected_update_saves:
        errors.refuse()
    # F7: validate_schema calls the saving function whatever was found before it.
    before = account.data["realm"]
    account.private["enabled"] = data.pop("enabled", account.private["enabled"])
    cluster.store.save(account, data)
    if before != data["realm"]:
        cluster.record(EventKind.REALM_CHANGED, account.id, account.id, f"{before} -> {data['realm']}")
    cluster.push_credentials()
    cluster.judge([device.id for device in cluster.store.all("device", account.id)])
    errors.refuse()


def delete_account(cluster: Cluster, account: Document) -> None:
    """DELETE of an account and of all that is in its database."""
    if cluster.store.tree.children(account.id):
        raise Refusal(500, "account_has_descendants", {"message": "account has descendants"})
    for device in list(cluster.store.all("device", account.id)):
        delete_device(cluster, device)
    cluster.store.remove_account(account)
    cluster.push_credentials()


def _account_data(cluster: Cluster, data: Json, errors: Errors) -> Json:
    """Without what is not the client's to set, and with a realm, which loses its spaces and nothing else."""
    kept = {key: value for key, value in data.items() if key not in rules.READ_ONLY_ACCOUNT_KEYS}
    if isinstance(kept.get("realm"), str):
        kept["realm"] = kept["realm"].replace(" ", "")
    if not kept.get("realm"):
        kept["realm"] = f"{cluster.store.new_id('realm')[:6]}.{cluster.switches.account_realm_suffix}"
    return schema.read(schema.ACCOUNT, kept, errors, strict=cluster.switches.strict_schemas)


def _check_account_unique(cluster: Cluster, account: Document | None, data: Json, errors: Errors) -> None:
    name, realm = str(data.get("name", "")), str(data["realm"])
    if [one for one in cluster.store.tree.of_realm(realm) if one is not account]:
        errors.add("realm", "unique", "Account realm already in use", cause=realm)
    if [one for one in cluster.store.tree.of_name(name) if one is not account]:
        errors.add("name", "unique", "Account name already in use", cause=name)


# --- devices --------------------------------------------------------------------------------------------------------


def create_device(cluster: Cluster, account: str, data: Json, *, defaults: bool = True) -> Document:
    """PUT /accounts/{A}/devices, but for the check-sync, for which nobody can be registered yet."""
    data = _device_data(data, defaults=defaults)
    owner = _account(cluster, account)
    own_realm = _strip_realm(owner, data)
    _check_device(cluster, owner, None, data)
    device = cluster.store.add("device", account, data)
    _aggregate(cluster, device, own_realm=own_realm)
    cluster.push_credentials()
    cluster.record(EventKind.DEVICE_SAVED, account, device.id, cluster.dial(device.id))
    return device


def save_device(cluster: Cluster, device: Document, data: Json, method: str) -> None:
    """POST and PATCH of a device, given whole; the last writer wins, whatever revision it had read."""
    data = _device_data(data, defaults=True)
    account = _account(cluster, device.account)
    if device.id in cluster.switches.refused_devices:
        errors = Errors()
        errors.add("call_forward.number", "required", "Field is required but missing")
        errors.refuse()
    own_realm = _strip_realm(account, data)
    _check_device(cluster, account, device, data)
    before = Document(device.id, device.kind, device.account, device.data, device.created)
    cluster.store.save(device, data)
    _aggregate(cluster, device, own_realm=own_realm)
    cluster.push_credentials()
    cluster.record(EventKind.DEVICE_SAVED, account.id, device.id, cluster.dial(device.id))
    cluster.judge([device.id])
    _flush_after_save(cluster, account, before, device)
    _sync_after_save(cluster, account, before, device, method)


def delete_device(cluster: Cluster, device: Document) -> None:
    """DELETE of a device: its copy in sip_auth goes, and its registration at the account's realm is flushed."""
    account = _account(cluster, device.account)
    cluster.aggregates.pop(device.id, None)
    cluster.store.remove(device)
    cluster.push_credentials()
    username = device.at("sip", "username")
    if username:
        cluster.flush(account, username)
    cluster.judge([device.id])


def _device_data(data: Json, *, defaults: bool) -> Json:
    kept = {key: value for key, value in data.items() if key not in ("id", "_read_only")}
    kept = rules.with_defaults(kept, rules.DEVICE_DEFAULTS if defaults else {})
    if isinstance(kept.get("mac_address"), str):
        kept["mac_address"] = rules.clean_mac(kept["mac_address"])
    return kept


def _strip_realm(account: Document, data: Json) -> bool:
    """Whether the device has a realm of its own; one equal to its account's is taken out (prepare_device_realm)."""
    sip = data.get("sip")
    if not isinstance(sip, dict) or sip.get("realm") in (None, ""):
        return False
    if sip["realm"] == account.data["realm"]:
        del sip["realm"]
        return False
    return True


def _check_device(cluster: Cluster, account: Document, device: Document | None, data: Json) -> None:
    errors = Errors()
    rules.check_device(data, errors)
    errors.refuse()
    mac, sip = data.get("mac_address"), data.get("sip", {})
    others = [other for other in cluster.store.all("device", account.id) if other is not device]
    if mac and mac in [other.at("mac_address") for other in others]:
        errors.add("mac_address", "unique", "Mac address already in use", cause=mac)
    username = (sip.get("username") or "").lower()
    realm = (sip.get("realm") or account.data["realm"]).lower()
    taken = {(other.at("sip", "username") or "").lower() for other in others}
    taken |= {
        copied["username"].lower()
        for identity, copied in cluster.aggregates.items()
        if copied["realm"].lower() == realm and (device is None or identity != device.id)
    }
    if username and username in taken:
        errors.add("sip.username", "unique", "SIP credentials already in use", cause=sip["username"])
    errors.refuse()


def _aggregate(cluster: Cluster, device: Document, *, own_realm: bool) -> None:
    """Copy a device with a realm of its own to sip_auth, or take it out of there (maybe_aggregate_device)."""
    username, password = device.at("sip", "username"), device.at("sip", "password")
    if own_realm and cluster.switches.allow_aggregates and username and password:
        realm = device.at("sip", "realm")
        cluster.aggregates[device.id] = {"username": username, "realm": realm, "password": password}
    else:
        cluster.aggregates.pop(device.id, None)


def _flush_after_save(cluster: Cluster, account: Document, before: Document, device: Document) -> None:
    """Section 4: a changed password, user name, owner or state flushes that registration; a changed realm does not."""
    changed = [
        path
        for path in (("sip", "password"), ("sip", "username"), ("owner_id",), ("enabled",))
        if before.at(*path) != device.at(*path)
    ]
    if not changed:
        return
    for username in dict.fromkeys((before.at("sip", "username"), device.at("sip", "username"))):
        if username:
            cluster.notify(account, username, cluster.switches.check_sync_event)
            cluster.flush(account, username)


def _sync_after_save(cluster: Cluster, account: Document, before: Document, device: Document, method: str) -> None:
    """F5: in 2024 every save sends a check-sync (F6: but PATCH), in 2026 only one that changes the SIP credentials."""
    username = device.at("sip", "username")
    if not username or (method == "PATCH" and not cluster.switches.patch_syncs):
        return
    credentials = (("sip", "username"), ("sip", "password"))
    changed = any(before.at(*path) != device.at(*path) for path in credentials)
    if cluster.switches.saves_always_sync or changed:
        cluster.notify(account, username, cluster.switches.check_sync_event)


# --- connectivity and fax boxes -------------------------------------------------------------------------------------


def save_connectivity(cluster: Cluster, account: str, document: Document | None, data: Json) -> Document:
    """PUT, POST and PATCH: the realm is the account's at this moment, whatever was sent (F8)."""
    owner = _account(cluster, account)
    kept = {key: value for key, value in data.items() if key not in ("id", "_read_only")}
    errors = Errors()
    rules.check_connectivity(kept, errors)
    errors.refuse()
    kept = rules.merge(kept, {"account": {"auth_realm": owner.data["realm"]}})
    if document is None:
        document = cluster.store.add("connectivity", account, kept)
    else:
        cluster.store.save(document, kept)
    cluster.push_credentials()
    return document


def save_fax_box(cluster: Cluster, account: str, document: Document | None, data: Json) -> Document:
    """PUT, POST and PATCH: a custom address belongs to one fax box of the whole cluster (F9)."""
    kept = {key: value for key, value in data.items() if key not in ("id", "_read_only", "smtp_email_address")}
    errors = Errors()
    rules.check_fax_box(kept, errors)
    errors.refuse()
    wanted = (kept.get("custom_smtp_email_address") or "").lower()
    for other in cluster.store.all("faxbox"):
        if wanted and other is not document and (other.at("custom_smtp_email_address") or "").lower() == wanted:
            errors.add("custom_smtp_email_address", "unique", "Email address must be unique", cause=wanted)
    errors.refuse()
    if document is not None:
        cluster.store.save(document, kept)
        return document
    address = f"{cluster.store.new_id('smtp')[:8]}.{cluster.switches.default_smtp_domain}"
    return cluster.store.add("faxbox", account, kept, smtp_email_address=address)


# --- what a client sees ---------------------------------------------------------------------------------------------


def account_facts(cluster: Cluster, account: Document) -> Json:
    """What the platform adds to an account: in `data` in 2024, in `metadata` in 2026 (13.3)."""
    facts: Json = {
        "billing_mode": "normal",
        "created": gregorian(account.created),
        "enabled": account.private["enabled"],
        "is_reseller": account.private["reseller"],
        "reseller_id": reseller_of(cluster, account).id,
        "superduper_admin": False,
        "wnm_allow_additions": False,
    }
    if cluster.switches.api_key_shown:
        facts["api_key"] = account.private["api_key"]
    return facts


def _account(cluster: Cluster, identity: str) -> Document:
    found = cluster.store.get(identity, "account")
    if found is None:
        raise rules.bad_identifier(identity)
    return found
