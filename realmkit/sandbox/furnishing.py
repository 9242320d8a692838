"""Crossbar's documents that an account is furnished with: users, callflows, applications; and number classifiers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from realmkit.sandbox import schema
from realmkit.sandbox.handling import Request, Success, dense, paged, passes, read_only, shown
from realmkit.sandbox.rules import Errors

if TYPE_CHECKING:
    from realmkit.sandbox.store import Document, Json

_NOT_STORED: Final = frozenset(("id", "_read_only", "metadata"))


def _kept(data: Json) -> Json:
    return {key: value for key, value in data.items() if key not in _NOT_STORED}


def _read(request: Request, shape: schema.Shape, data: Json, errors: Errors) -> Json:
    return schema.read(shape, _kept(data), errors, strict=request.cluster.switches.strict_schemas)


# --- users ----------------------------------------------------------------------------------------------------------


def users(request: Request) -> Success:
    """GET /accounts/{A}/users: rows, not documents."""
    rows = []
    for one in request.cluster.store.all("user", request.target.id):
        if passes(request, one):
            keys = ("email", "first_name", "last_name", "priv_level", "timezone", "username", "presence_id")
            row = dense({"id": one.id, "features": [], **{key: one.data.get(key) for key in keys}})
            name = f"{one.data['last_name']} {one.data['first_name']}".lower()
            rows.append(((name, one.id), row | read_only(request)))
    return paged(request, rows)


def user(request: Request) -> Success:
    """GET /users/{U}: never with the password."""
    return shown(request.document("user"))


def create_user(request: Request) -> Success:
    """PUT /users."""
    data, secrets = _user(request, None, request.data)
    made = request.cluster.store.add("user", request.target.id, data, **secrets)
    return shown(made, 201)


def save_user(request: Request) -> Success:
    """POST and PATCH /users/{U}: without a password the old one stays, as long as the user name does."""
    user = request.document("user")
    data, secrets = _user(request, user, request.changed(user))
    request.cluster.store.save(user, data)
    user.private.update(secrets)
    return shown(user)


def delete_user(request: Request) -> Success:
    """DELETE /users/{U}."""
    user = request.document("user")
    request.cluster.store.remove(user)
    return shown(user)


def _user(request: Request, user: Document | None, data: Json) -> tuple[Json, dict[str, str]]:
    """What is stored of a user: the document, and the digests of user name and password, which is in none."""
    errors = Errors()
    data = _read(request, schema.USER, data, errors)
    errors.refuse()
    name = data.get("username")
    if name:
        data["username"] = name = name.lower()
    others = [one for one in request.cluster.store.all("user", request.target.id) if one is not user]
    if name and name in [one.data.get("username") for one in others]:
        errors.add("username", "unique", "Username must be unique", cause=name)
    password = data.pop("password", None)
    renamed = user is not None and name != user.data.get("username")
    if renamed and not password:
        errors.add("password", "required", "The password must be provided when updating the username")
    if password and not name:
        errors.add("username", "required", "Field is required but missing")
    errors.refuse()
    if not password:
        return data, {} if user is not None else {"md5": "", "sha1": ""}
    proof = f"{name}:{password}".encode()
    # Kazoo's own digests of a login; nothing is protected by them here.
    return data, {
        "md5": hashlib.md5(proof, usedforsecurity=False).hexdigest(),
        "sha1": hashlib.sha1(proof, usedforsecurity=False).hexdigest(),
    }


# --- callflows ------------------------------------------------------------------------------------------------------


def callflows(request: Request) -> Success:
    """GET /accounts/{A}/callflows: rows without the flow; `filter_numbers` finds one of several numbers."""
    rows = []
    for one in request.cluster.store.all("callflow", request.target.id):
        if passes(request, one):
            row = {"id": one.id, "modules": sorted(_modules(one.data.get("flow", {})))}
            row |= {key: one.data[key] for key in ("flags", "name", "numbers", "patterns") if key in one.data}
            rows.append(((one.id,), row | read_only(request)))
    return paged(request, rows)


def _modules(action: Json) -> set[str]:
    found = {action["module"]} if "module" in action else set()
    return found.union(*(_modules(child) for child in action.get("children", {}).values()))


def _shown_callflow(callflow: Document, status: int = 200) -> Success:
    """With `metadata` of what it refers to, which is no part of the document."""
    return Success({**callflow.public(), "metadata": {}}, status, revision=callflow.revision)


def callflow(request: Request) -> Success:
    """GET /callflows/{C}."""
    return _shown_callflow(request.document("callflow"))


def create_callflow(request: Request) -> Success:
    """PUT /callflows."""
    data = _callflow(request, None, request.data)
    return _shown_callflow(request.cluster.store.add("callflow", request.target.id, data), 201)


def save_callflow(request: Request) -> Success:
    """POST and PATCH /callflows/{C}."""
    callflow = request.document("callflow")
    request.cluster.store.save(callflow, _callflow(request, callflow, request.changed(callflow)))
    return _shown_callflow(callflow)


def delete_callflow(request: Request) -> Success:
    """DELETE /callflows/{C}."""
    callflow = request.document("callflow")
    request.cluster.store.remove(callflow)
    return _shown_callflow(callflow)


def _callflow(request: Request, callflow: Document | None, data: Json) -> Json:
    errors = Errors()
    data = _read(request, schema.CALLFLOW, data, errors)
    errors.refuse()
    if not data["numbers"] and not data["patterns"] and "featurecode" not in data:
        errors.add("numbers", "required", "Callflows must be assigned at least one number or pattern")
    for other in request.cluster.store.all("callflow", request.target.id):
        for number in set(data["numbers"]) & set(other.data["numbers"]) if other is not callflow else ():
            name = other.data.get("name") or other.id
            errors.add("numbers", "unique", f"Number {number} exists in callflow {other.id} {name}", cause=number)
    errors.refuse()
    return data


# --- applications and classifiers -----------------------------------------------------------------------------------


def apps(request: Request) -> Success:
    """GET /apps_store: what the account may use, so without what is denied to it."""
    denied = set() if request.cluster.switches.blacklisted_apps_listed else set(_denied(request))
    rows = [
        {"id": identity, "name": name, "i18n": {"en-US": {"label": name.title()}}, "tags": [], "price": 0}
        for identity, name in request.cluster.catalogue.apps.items()
        if identity not in denied
    ]
    return Success(rows)


def _denied(request: Request) -> list[str]:
    found = request.cluster.store.get("apps_store", "apps", request.target.id)
    return [] if found is None else list(found.data["blacklist"])


def blacklist(request: Request) -> Success:
    """GET /apps_store/blacklist."""
    request.by_reseller_only()
    return Success({"blacklist": _denied(request)})


def save_blacklist(request: Request) -> Success:
    """POST /apps_store/blacklist: whole, as it is from now on."""
    request.by_reseller_only()
    errors = Errors()
    shape = schema.Fields(known={"blacklist": schema.Items(default=[], each=schema.Text())})
    wanted = schema.read(shape, request.data, errors, strict=True)
    errors.refuse()
    found = request.cluster.store.get("apps_store", "apps", request.target.id)
    data = {"blacklist": wanted["blacklist"]}
    if found is None:
        request.cluster.store.add("apps", request.target.id, data, "apps_store")
    else:
        request.cluster.store.save(found, data)
    return Success(data)


def classifiers(request: Request) -> Success:
    """GET /phone_numbers/classifiers."""
    return Success(
        {
            name: {"friendly_name": friendly, "regex": regex}
            for name, (friendly, regex) in request.cluster.catalogue.classifiers.items()
        }
    )
