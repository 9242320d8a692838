"""`realmkit init`: a commented project to start from."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from realmkit.errors import InputError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path


def write_project(directory: Path) -> list[Path]:
    """Copy the files of `templates/project` into `directory`.

    Returns:
        The files that were written.

    Raises:
        InputError: there is a project already; nothing is written then.
        StateError: the directory can't be written.
    """
    files = dict(_files(resources.files("realmkit.templates").joinpath("project"), ""))
    there = [name for name in files if name.endswith(".yml") and (directory / name).exists()]
    if there:
        raise InputError(f"{directory / there[0]} exists already", hint="choose another directory; nothing was written")
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, one in sorted(files.items()):
            if not (directory / name).exists():
                (directory / name).parent.mkdir(exist_ok=True)
                (directory / name).write_bytes(one.read_bytes())
                written.append(directory / name)
    except OSError as error:
        raise StateError(f"can't write {directory}: {error.strerror}") from error
    return written


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    """Every file below a folder, by the path that it gets in a project."""
    for one in folder.iterdir():
        name = "." + one.name[4:] if one.name.startswith("dot-") else one.name
        if one.is_dir():
            yield from _files(one, f"{prefix}{name}/")
        else:
            yield prefix + name, one
