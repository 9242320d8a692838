"""`realmkit phones`: models, render."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from realmkit import errors
from realmkit.cli.app import App, common

if TYPE_CHECKING:
    from realmkit.config import PhonesEntry
    from realmkit.phones.model import File, Phone


@click.group()
def phones() -> None:
    """Render the configurations of phones, and see which phones are known."""


@phones.command(
    epilog="""\b
Examples:
  realmkit phones models
  realmkit phones models t54
  realmkit phones models --json | jq -r '.models[] | select(.event == null).name'
"""
)
@click.argument("word", required=False)
@common
def models(app: App, word: str | None) -> int:
    """List the phones that are known: lines, the event that makes each fetch its configuration, other names.

    WORD leaves out those whose names don't hold it.
    """
    from realmkit.cli import show_phones
    from realmkit.phones import catalog

    known = catalog.load(_templates(app, _settings(app)))
    found = [one for one in known.models.values() if show_phones.is_called(known, one, word or "")]
    app.emit(
        "phone-models", lambda: show_phones.models_json(known, found), lambda: show_phones.models_text(known, found)
    )
    return errors.OK


@phones.command(
    epilog="""\b
Examples:
  realmkit phones render --device anna.json
  realmkit phones render --device anna.json --realm acme.voice.example.com --show-secrets
  realmkit phones render --device anna.yml --model yealink/t54w --transport tls --out /srv/phones

\b
A device is a document of the platform (Crossbar), as JSON or YAML:
  name: Anna
  mac_address: "80:5e:c0:12:34:56"
  sip: {username: user_a1, password: "...", realm: acme.voice.example.com}
  provision: {endpoint_brand: yealink, endpoint_model: t54w}
"""
)
@click.option(
    "--device", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A device document."
)
@click.option("--realm", metavar="REALM", help="Register there. [default: the document's sip.realm]")
@click.option("--model", metavar="MODEL", help="What it is, such as yealink/t54w. [default: the document's provision]")
@click.option("--transport", type=click.Choice(["dns", "udp", "tcp", "tls"]), help="[default: the project's, or dns]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files to this directory.")
@click.option("--show-secrets", is_flag=True, help="Print passwords instead of a mask.")
@common
def render(
    app: App, path: Path, *, realm: str | None, model: str | None, transport: str | None, out: Path | None,
    show_secrets: bool,
) -> int:  # fmt: skip
    """Render the configuration files of one phone; print them, or write them whole and readable by the group only.

    What is printed has a mask for every password. What is written has the passwords, or no phone could register.
    """
    from realmkit.cli import show_phones
    from realmkit.phones import devicefile

    settings = _settings(app)
    phone = devicefile.read(path, _templates(app, settings), settings, realm=realm, model=model, transport=transport)
    files = _render(app, settings, phone, secrets=show_secrets or out is not None)
    if out is not None:
        written = _write(out, files)
        app.emit("phone-written", lambda: {"written": written}, lambda: "\n".join(f"wrote {one}" for one in written))
        return errors.OK
    app.emit("phone-files", lambda: show_phones.files_json(phone, files), lambda: show_phones.files_text(files))
    return errors.OK


def _settings(app: App) -> PhonesEntry | None:
    """The project's word on phones; None outside of a project."""
    from realmkit.config import FILE_NAME, open_project

    return open_project(app.directory).config.phones if (app.directory / FILE_NAME).exists() else None


def _templates(app: App, settings: PhonesEntry | None) -> Path:
    return app.directory / (settings.templates if settings else "templates")


def _render(app: App, settings: PhonesEntry | None, phone: Phone, *, secrets: bool) -> tuple[File, ...]:
    """The phone's files. Also for a masked print the real ones are made first, so that what is wrong is said."""
    from realmkit.phones import catalog
    from realmkit.phones.render import Renderer, masked

    templates = _templates(app, settings)
    renderer = Renderer(catalog.load(templates), templates)
    files = renderer.render(phone)
    return files if secrets else renderer.render(masked(phone))


def _write(out: Path, files: tuple[File, ...]) -> list[str]:
    from realmkit.phones.directory import Directory
    from realmkit.phones.publish import PUBLISHED_MODE

    store = Directory(out)
    store.require_root()
    for file in files:
        store.write(file.name, file.content, PUBLISHED_MODE)
    store.sync("")
    return [str(out / file.name) for file in files]
