"""How phones and their files look: as text for people, as plain data for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from realmkit.cli.show import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realmkit.phones.catalog import Catalog
    from realmkit.phones.model import File, Model, Phone


def is_called(known: Catalog, model: Model, word: str) -> bool:
    """Whether one of a model's names holds the word."""
    return any(word.lower() in name for name in (model.name, *known.aliases(model)))


def models_text(known: Catalog, found: Sequence[Model]) -> str:
    """What `phones models` prints: a line for each model."""
    lines = []
    for model in found:
        others = ", ".join(name.partition("/")[2] for name in known.aliases(model))
        lines.append(
            click.style(f"{model.name:22}", bold=True)
            + f" {count(model.accounts, 'line'):9} {model.event or 'no event':24}"
            + (f" also {others}" if others else "")
        )
    return "\n".join([line.rstrip() for line in lines] + [f"{count(len(found), 'model')} known by that name"])


def models_json(known: Catalog, found: Sequence[Model]) -> dict[str, Any]:
    """What `phones models --json` prints."""
    return {
        "models": [
            {
                "name": model.name,
                "family": model.path,
                "accounts": model.accounts,
                "event": model.event,
                "settle": model.settle,
                "files": list(model.file_names),
                "aliases": known.aliases(model),
            }
            for model in found
        ]
    }


def files_text(files: Sequence[File]) -> str:
    """What `phones render` prints: each file under its name."""
    return "\n".join(
        click.style(f"--- {file.name}", bold=True) + f"\n{file.content.decode().rstrip()}" for file in files
    )


def files_json(phone: Phone, files: Sequence[File]) -> dict[str, Any]:
    """What `phones render --json` prints."""
    return {
        "mac": phone.mac,
        "model": phone.model.name,
        "event": phone.model.event,
        "files": [
            {"name": file.name, "content_type": file.content_type, "content": file.content.decode()} for file in files
        ],
    }
