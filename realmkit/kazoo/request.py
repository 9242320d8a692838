"""One request to Crossbar, before it is sent, and what a successful answer carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from realmkit.errors import InputError
from realmkit.kazoo.values import NOTHING

JSON: Final = "application/json"


class Request(Struct, frozen=True):
    """What is asked.

    Attributes:
        method: the HTTP method.
        path: the parts of the path below `/v2`, not yet quoted.
        params: the query.
        envelope: the JSON object to send.
        octets: what to send in place of an envelope.
        content_type: of what is sent.
        accept: the kinds of answer that are understood.
        signed: whether the login's token goes with it; what the platform shows to everybody is asked for without.
    """

    method: str
    path: tuple[str, ...]
    params: Mapping[str, str] = NOTHING
    envelope: Mapping[str, Any] | None = None
    octets: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    signed: bool = True

    def __repr__(self) -> str:
        return f"Request({self.what!r})"  # the envelope may hold passwords

    @property
    def what(self) -> str:
        """The request in an error's words."""
        return f"{self.method} /{'/'.join(self.path)}"

    @property
    def body(self) -> bytes | None:
        """What is sent after the headers."""
        return self.octets if self.envelope is None else json.dumps(self.envelope).encode("ascii")

    def url(self, base: str) -> str:
        """The address, each part of the path quoted.

        Raises:
            InputError: a part is empty or would lead elsewhere.
        """
        if not all(part.strip(".") for part in self.path):
            raise InputError(f"{self.what}: an empty name can't be part of an address")
        return "/".join([base, *(quote(part, safe="") for part in self.path)])


class Envelope(Struct, frozen=True):
    """What a successful answer carries.

    Attributes:
        data: the answer itself.
        metadata: what newer clusters say beside it.
        revision: the state of the document, where it is about one.
        next_start_key: where the next page starts; None on the last.
    """

    data: Any
    metadata: Mapping[str, Any]
    revision: str | None = None
    next_start_key: Any = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Envelope:
        """Take what is of use out of the whole answer."""
        metadata, revision = body.get("metadata"), body.get("revision")
        return cls(
            data=body.get("data"),
            metadata=metadata if isinstance(metadata, Mapping) else NOTHING,
            revision=revision if isinstance(revision, str) else None,
            next_start_key=body.get("next_start_key"),
        )

    def __repr__(self) -> str:
        return f"Envelope(revision={self.revision!r})"  # data may hold passwords


def decoded(content: bytes) -> Mapping[str, Any] | None:
    """The JSON object, or None for anything else, a part of one included."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def error_code(body: Mapping[str, Any]) -> int:
    """The envelope's own error code, which Crossbar writes as a string; 500 where it says none."""
    error = str(body.get("error", ""))
    return int(error) if re.fullmatch("[45][0-9][0-9]", error) else 500
