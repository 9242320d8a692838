"""Whom Kazoo's registrar application lets in, and takes a REGISTER for (reg_authn_req)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.sandbox.ecallmgr import Authorised

if TYPE_CHECKING:
    from realmkit.sandbox.cluster import Cluster
    from realmkit.sandbox.store import Document, Store


def credentials(cluster: Cluster) -> dict[tuple[str, str], str]:
    """Who may register now: (username, realm) to password.

    A realm that is an account's leads to that account's devices by username alone, whatever `sip.realm` says; what is
    not found there is looked for in sip_auth, by realm and username (F2).
    """
    found: dict[tuple[str, str], str] = {}
    for account in cluster.store.all("account"):
        owner = account_of_realm(cluster.store, account.data["realm"])
        if owner is account and account.private["enabled"]:
            found.update(_own(cluster.store, account))
    if cluster.switches.use_aggregate:
        for identity, copied in cluster.aggregates.items():
            device, account = _device(cluster.store, identity)
            if device.data.get("enabled", True) and account.private["enabled"]:
                found.setdefault((copied["username"], copied["realm"].lower()), copied["password"])
    return found


def authorise(cluster: Cluster, username: str, realm: str) -> Authorised | None:
    """Whom a REGISTER of username@realm is taken for; None when for nobody."""
    account = account_of_realm(cluster.store, realm)
    if account is not None:
        device = device_of_username(cluster.store, account.id, username)
        if device is not None:
            return _authorised(device, account)
        for trunk in cluster.store.all("connectivity", account.id):
            if username in [server["auth"].get("auth_user") for server in trunk.data.get("servers", [])]:
                return _authorised(trunk, account, "sys_info")
    if cluster.switches.use_aggregate:
        wanted = username.lower(), realm.lower()
        for identity, copied in cluster.aggregates.items():
            if (copied["username"].lower(), copied["realm"].lower()) == wanted:
                return _authorised(*_device(cluster.store, identity))
    return None


def account_of_realm(store: Store, realm: str) -> Document | None:
    """The account that owns a realm, whatever its case; the first, where two do (F7)."""
    return next(iter(store.tree.of_realm(realm)), None)


def fax_domain(store: Store, domain: str) -> str | None:
    """The id of the fax box, or else of the account, that mail to that domain reaches (fax_smtp)."""
    wanted = domain.lower()
    for box in store.all("faxbox"):
        if wanted in (box.private["smtp_email_address"], (box.at("custom_smtp_email_address") or "").lower()):
            return box.id
    account = account_of_realm(store, wanted)
    return None if account is None else account.id


def device_of_username(store: Store, account: str, username: str) -> Document | None:
    """The device with that SIP username in an account (view devices/sip_credentials)."""
    wanted = username.lower()
    for device in store.all("device", account):
        if (device.at("sip", "username") or "").lower() == wanted:
            return device
    return None


def _own(store: Store, account: Document) -> dict[tuple[str, str], str]:
    """What an account's own devices and trunks register with, at its realm."""
    realm = account.data["realm"].lower()
    found = {}
    for trunk in store.all("connectivity", account.id):
        if trunk.at("account", "auth_realm") != account.data["realm"]:
            continue  # F8: it was not saved since the realm changed, and its password is looked up by the old one
        for server in trunk.data.get("servers", []):
            if server["auth"].get("auth_user") and server["auth"].get("auth_password"):
                found[server["auth"]["auth_user"], realm] = server["auth"]["auth_password"]
    for device in store.all("device", account.id):
        username, password = device.at("sip", "username"), device.at("sip", "password")
        if username and password and device.data.get("enabled", True):
            found[username, realm] = password
    return found


def _authorised(document: Document, account: Document, kind: str = "device") -> Authorised:
    data = account.data
    return Authorised(account.id, data["realm"], data["name"], document.id, kind, document.at("owner_id"))


def _device(store: Store, identity: str) -> tuple[Document, Document]:
    """A device that has a copy in sip_auth, and its account."""
    device = store.get(identity, "device")
    account = None if device is None else store.get(device.account, "account")
    if device is None or account is None:
        raise LookupError(f"sip_auth holds a copy of {identity}, which is gone")  # deleting a device deletes its copy
    return device, account
