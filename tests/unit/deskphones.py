"""Phones for tests of rendering: one of every family, with lines that are easy or hostile."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from realmkit.phones import catalog
from realmkit.phones.catalog import Catalog
from realmkit.phones.model import Line, Phone, Transport
from realmkit.phones.render import Renderer
from realmkit.secrets import Password

MODELS = ("yealink/t54w", "grandstream/grp2614", "baresip/baresip")
MAC = "805ec0123456"


@cache
def known() -> Catalog:
    return catalog.load()


@cache
def renderer() -> Renderer:
    return Renderer(known())


def make_line(**fields: Any) -> Line:
    given: dict[str, Any] = {
        "username": "user_u1", "auth_id": "user_u1", "password": Password("s3cret-u1"),
        "realm": "acme.voice.example.com", "display_name": "Anna Smith", "expires": 300, "transport": "dns",
    }  # fmt: skip
    return Line(**given | fields)


def make_phone(model: str, *lines: Line, **fields: Any) -> Phone:
    return Phone(MAC, known().models[model], "desk 1", lines or (make_line(),), **fields)


def sample(model: str, transport: Transport, lines: int) -> Phone:
    """What the golden files show."""
    made = [
        make_line(username=f"user_u{n}", auth_id=f"auth_u{n}", password=f"s3cret-u{n}", transport=transport,
                  display_name="Anna Smith" if n == 1 else "Smith & Söhne <fax>")
        for n in range(1, lines + 1)
    ]  # fmt: skip
    return make_phone(model, *made, url="https://phones.example.net/acme", ntp="ntp.example.net")


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    """Write a tree of text files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
