"""What a provider says of itself: the file NAME.toml beside its module, read without importing the module.

From these files come `realmkit providers`, docs/providers.md and the capability matrix, so that what people read is
what stands beside the code. A file looks like this::

    title = "Amazon Route 53"
    since = "0.2.0"
    requires = ["boto3"]                 # modules that must be importable; the extra in the entry point brings them
    links = ["https://docs.aws.amazon.com/Route53/latest/APIReference/"]
    text = "What it is and what to know of it, in Markdown."
    example = "aws:\\n  type: route53\\n"  # what stands under `providers:`
    [[credentials]]
    what = "an IAM user or role"
    rights = "A policy, a token's permissions, an ACL: the least that will do, as text to copy."
    [[limits]]
    what = "a batch holds at most 1000 ResourceRecord elements"
    source = "API reference, ChangeResourceRecordSets"
    date = 2026-11-22
"""

from __future__ import annotations

import tomllib
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from realmkit.errors import StateError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    """What the backend wants to be shown, and the least rights that will do, as text to copy."""

    what: str
    rights: str = ""


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """A limit of the backend, where it is said, and when it was last looked at."""

    what: str
    source: str
    date: date


class About(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider, described.

    Attributes:
        title: the backend's own name.
        since: the version of the package that first had this provider.
        text: what to know, Markdown.
        example: its entry under `providers:`, YAML.
        requires: modules that must be importable.
        links: addresses of the backend's documents.
        credentials: ways to prove who we are.
        limits: of the backend.
    """

    title: str
    since: str
    text: str
    example: str
    requires: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    limits: tuple[Limit, ...] = ()


def about(point: EntryPoint) -> About | None:
    """What stands beside a provider's module; None where there is no such file.

    Raises:
        StateError: the file is there and damaged.
    """
    package, _, module = point.module.rpartition(".")
    if not package:
        return None
    file = files(package) / f"{module}.toml"
    if not file.is_file():
        return None
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), About)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise StateError(f"{file}: {error}", hint="reinstall the package that it belongs to") from error
