"""Digest access authentication as SIP phones speak it: MD5, with qop "auth" or without (RFC 2617, RFC 7616)."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from realmkit.sandbox.sip import SipError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD: Final = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(,\s*|$)')


def challenge(realm: str, nonce: str, *, qop: bool = True, stale: bool = False) -> str:
    """The value of WWW-Authenticate."""
    end = (', qop="auth"' if qop else "") + (", stale=true" if stale else "")
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm=MD5{end}'


def read(value: str) -> dict[str, str]:
    """The fields of WWW-Authenticate or Authorization, names lower-case, quotes removed.

    Raises:
        SipError: another scheme, a field that can't be read, or one that stands twice.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise SipError("only Digest is spoken")
    fields: dict[str, str] = {}
    rest, position = rest.strip(), 0
    while position < len(rest):
        match = _FIELD.match(rest, position)
        if match is None or match[1].lower() in fields:
            raise SipError("the digest's fields can't be read")
        fields[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        position = match.end()
    return fields


def answer(asked: Mapping[str, str], *, method: str, uri: str, username: str, password: str, cnonce: str) -> str:
    """The value of Authorization that answers a challenge.

    Args:
        asked: the fields of the challenge.
        method: of the request.
        uri: the request's URI.
        username: for the digest.
        password: never leaves but as a hash.
        cnonce: a fresh random text; used when the challenge offers qop "auth".

    Raises:
        SipError: the challenge wants an algorithm or a quality of protection that we do not speak, or lacks a field.
    """
    if asked.get("algorithm", "MD5").upper() != "MD5" or not {"realm", "nonce"} <= asked.keys():
        raise SipError("the challenge is none that MD5 can answer")
    offers = [one.strip() for one in asked.get("qop", "").lower().split(",") if one.strip()]
    if offers and "auth" not in offers:
        raise SipError("the challenge offers no qop that we speak")
    fields = {"username": username, "realm": asked["realm"], "nonce": asked["nonce"], "uri": uri}
    if offers:
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": cnonce}
    fields["response"] = _response(fields, method, password)
    if "opaque" in asked:
        fields["opaque"] = asked["opaque"]
    bare = ("qop", "nc")
    texts = [f"{name}={value}" if name in bare else f'{name}="{_escape(value)}"' for name, value in fields.items()]
    return f"Digest {', '.join(texts)}, algorithm=MD5"


def fits(fields: Mapping[str, str], *, method: str, username: str, realm: str, password: str) -> bool:
    """Whether an Authorization proves that its sender knows the password. The nonce is for the caller to judge."""
    if fields.get("algorithm", "MD5").upper() != "MD5" or fields.get("qop", "auth") != "auth":
        return False
    needed = {"username", "realm", "nonce", "uri", "response"} | ({"nc", "cnonce"} if "qop" in fields else set())
    if not needed <= fields.keys() or fields["username"] != username or fields["realm"].lower() != realm.lower():
        return False
    expected = _response(fields, method, password)
    return hmac.compare_digest(expected.encode(), fields["response"].lower().encode())


def _response(fields: Mapping[str, str], method: str, password: str) -> str:
    """RFC 2617, 3.2.2; with qop "auth" as RFC 7616, 3.4.1."""
    secret = _md5(f"{fields['username']}:{fields['realm']}:{password}")
    action = _md5(f"{method}:{fields['uri']}")
    if "qop" in fields:
        return _md5(":".join([secret, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], action]))
    return _md5(f"{secret}:{fields['nonce']}:{action}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
