"""Crossbar's white label: the brand's document, its pictures, its sender addresses, and what anybody may see of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from realmkit.sandbox import schema
from realmkit.sandbox.handling import File, Request, Success, paged, shown
from realmkit.sandbox.rules import Errors, Refusal, bad_identifier, conflict

if TYPE_CHECKING:
    from realmkit.sandbox.store import Document, Json

_BASE64: Final = ("application/base64", "application/x-base64")
_PICTURES: Final = ("image/jpg", "image/jpeg", "image/png", "image/gif", *_BASE64)
_ICONS: Final = ("image/ico", "image/vnd.microsoft.icon", "image/x-icon", "image/icon")
UPLOADS: Final = {"logo": _PICTURES, "icon": (*_PICTURES, *_ICONS), "welcome": ("text/html",)}
"""Media types that each upload may have."""


# --- the document ---------------------------------------------------------------------------------------------------


def _document(request: Request) -> Document:
    return request.document("whitelabel", "whitelabel")


def document(request: Request) -> Success:
    """GET /accounts/{A}/whitelabel."""
    return shown(_document(request))


def create(request: Request) -> Success:
    """PUT /whitelabel: each account has one."""
    data = _data(request, request.data)
    if request.cluster.store.get("whitelabel", "whitelabel", request.target.id) is not None:
        raise conflict()
    return shown(request.cluster.store.add("whitelabel", request.target.id, data, "whitelabel", files={}), 201)


def save(request: Request) -> Success:
    """POST and PATCH /whitelabel."""
    found = _document(request)
    request.cluster.store.save(found, _data(request, request.changed(found)))
    return shown(found)


def delete(request: Request) -> Success:
    """DELETE /whitelabel, and with it the uploads."""
    found = _document(request)
    request.cluster.store.remove(found)
    return shown(found)


def _data(request: Request, data: Json) -> Json:
    errors = Errors()
    data = {key: value for key, value in data.items() if key not in ("id", "_read_only")}
    data = schema.read(schema.WHITELABEL, data, errors, strict=request.cluster.switches.strict_schemas)
    domain = str(data.get("domain", "")).lower()
    for other in request.cluster.store.all("whitelabel"):
        if domain and other.account != request.target.id and str(other.data.get("domain", "")).lower() == domain:
            errors.add("domain", "unique", "White label domain is already in use", cause=data["domain"])
    errors.refuse()
    return data


# --- uploads --------------------------------------------------------------------------------------------------------


def upload(request: Request) -> Success:
    """POST /whitelabel/{logo|icon|welcome}: the document must be there; one file, of a type that fits."""
    kind = request.arguments["upload"]
    if kind not in UPLOADS:
        raise _no_method()
    found = _document(request)
    if request.file.content_type not in UPLOADS[kind]:
        raise Refusal(415, "unsupported_media_type", {"message": "unsupported media type"})
    errors, octets = Errors(), request.file.octets
    if not octets:
        errors.add("file", "required", "Please provide a single file")
    if len(octets) > request.cluster.switches.max_upload_size:
        limit = request.cluster.switches.max_upload_size
        errors.add("file", "maxLength", f"Files must not be more than {limit} bytes", target=limit)
    errors.refuse()
    found.private["files"][kind] = _stored(request.file)
    request.cluster.store.save(found, found.data)
    return shown(found)


def _stored(file: File) -> File:
    """What is kept: base64 decoded, which may come as a data URI that says what it is."""
    if file.content_type not in _BASE64:
        return file
    head, comma, body = file.octets.rpartition(b",")
    kind = head.removeprefix(b"data:").partition(b";")[0].decode() if comma else "application/octet-stream"
    try:
        return File(kind, base64.b64decode(body, validate=True))
    except binascii.Error as error:
        errors = Errors()
        errors.add("file", "format", "Not base64")
        raise errors.refusal() from error


def download(request: Request) -> Success:
    """GET /accounts/{A}/whitelabel/{logo|icon|welcome}; any other name there shows the brand."""
    if request.arguments["upload"] not in UPLOADS:
        return document(request)
    return _sent(request, _document(request))


def _sent(request: Request, found: Document) -> Success:
    kind = request.arguments["upload"]
    if kind not in found.private["files"]:
        raise bad_identifier(kind)
    return Success(None, file=found.private["files"][kind])


# --- without a login ------------------------------------------------------------------------------------------------


def _by_domain(request: Request) -> Document:
    domain = request.arguments["domain"].lower()
    for found in request.cluster.store.all("whitelabel"):
        if str(found.data.get("domain", "")).lower() == domain:
            return found
    raise bad_identifier(request.arguments["domain"])


def public(request: Request) -> Success:
    """GET /whitelabel/{domain}."""
    return shown(_by_domain(request))


def public_download(request: Request) -> Success:
    """GET /whitelabel/{domain}/{logo|icon|welcome}; nothing but GET, whatever the documentation shows."""
    return _sent(request, _by_domain(request))


# --- sender addresses -----------------------------------------------------------------------------------------------


def _senders_only(request: Request, refusal: Refusal) -> None:
    """Raise what an older cluster says, which takes `emails` for a domain: of that there is GET and nothing else."""
    if not request.cluster.switches.senders:
        raise refusal


def _no_method() -> Refusal:
    return Refusal(405, "invalid_method", {"message": "method not allowed"})


def _row(sender: Document) -> Json:
    return {**sender.public(), "_read_only": {"verified": sender.private["verified"]}}


def _shown_sender(sender: Document, status: int = 200) -> Success:
    facts = {"verified": sender.private["verified"]}
    return Success(sender.public(), status, revision=sender.revision, metadata=facts)


def senders(request: Request) -> Success:
    """GET /whitelabel/emails; an older cluster shows the account's brand, as it does under any name there."""
    if not request.cluster.switches.senders:
        return document(request)
    found = request.cluster.store.all("sender", request.target.id)
    return paged(request, [((one.data["email"], one.id), _row(one)) for one in found])


def sender(request: Request) -> Success:
    """GET /whitelabel/emails/{E}: its private key never again."""
    _senders_only(request, bad_identifier("emails"))
    return _shown_sender(request.document("sender"))


def add_sender(request: Request) -> Success:
    """PUT /whitelabel/emails: a code of four digits is mailed to the address."""
    _senders_only(request, _no_method())
    errors = Errors()
    data = schema.read(schema.SENDER, request.data, errors, strict=request.cluster.switches.strict_schemas)
    email = str(data.get("email", "")).lower()
    if email in [one.data["email"].lower() for one in request.cluster.store.all("sender", request.target.id)]:
        errors.add("email", "unique", "Email address already in use", cause=data["email"])
    errors.refuse()
    made = request.cluster.store.add("sender", request.target.id, data, verified=False, key=b"")
    digits = int(hashlib.sha256(f"code of {made.id}".encode()).hexdigest(), 16) % 10_000
    request.cluster.catalogue.codes[made.id] = f"{digits:04d}"
    return _shown_sender(made, 201)


def save_sender(request: Request) -> Success:
    """POST /whitelabel/emails/{E}: the DKIM key as PEM, or the document, whose address stays."""
    _senders_only(request, _no_method())
    found = request.document("sender")
    if request.file.content_type == "application/x-pem-file":
        if b"PRIVATE KEY" not in request.file.octets:
            errors = Errors()
            errors.add("file", "format", "Not a private key")
            errors.refuse()
        found.private["key"] = request.file.octets
    else:
        errors = Errors()
        data = {**request.data, "email": found.data["email"]}
        data = {key: value for key, value in data.items() if key not in ("id", "_read_only")}
        data = schema.read(schema.SENDER, data, errors, strict=request.cluster.switches.strict_schemas)
        errors.refuse()
        request.cluster.store.save(found, data)
    return _shown_sender(found)


def verify_sender(request: Request) -> Success:
    """POST /whitelabel/emails/{E}/verify with the code."""
    _senders_only(request, bad_identifier("emails"))
    found = request.document("sender")
    if str(request.data.get("code", "")) != request.cluster.catalogue.codes.get(found.id):
        errors = Errors()
        errors.add("code", "invalid", "Verification code is not valid")
        errors.refuse()
    found.private["verified"] = True
    return _shown_sender(found)


def delete_sender(request: Request) -> Success:
    """DELETE /whitelabel/emails/{E}."""
    _senders_only(request, _no_method())
    found = request.document("sender")
    request.cluster.store.remove(found)
    return _shown_sender(found)
