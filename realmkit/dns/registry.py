"""Finding and building providers: entry points, their settings checked, a missing extra said in one line."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import NODEFAULT, Struct, structs, to_builtins

from realmkit.config import Project, decode
from realmkit.dns.provider import Context, KnowsLimits, KnowsServers, MakesZones, Protects, Provider
from realmkit.dns.records import type_to_text
from realmkit.errors import InputError, MissingExtraError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from realmkit.clock import Clock
    from realmkit.dns.about import About

GROUP: Final = "realmkit.providers"
_ATTRIBUTE: Final = re.compile(r" {8}([a-z_]+(?:, [a-z_]+)*): (.*)")


def available() -> dict[str, EntryPoint]:
    """Every installed provider by name, loaded or not."""
    return {point.name: point for point in entry_points(group=GROUP)}


def about(point: EntryPoint) -> About | None:
    """What stands beside a provider's module (`realmkit.dns.about`); None where there is nothing."""
    from realmkit.dns import about as described

    return described.about(point)


def load(point: EntryPoint) -> type[Provider]:
    """Import a provider's class.

    Raises:
        MissingExtraError: a package that it needs is not installed.
    """
    if point.extras and (described := about(point)):
        for module in described.requires:  # providers import their SDK when they use it: looking costs nothing
            if find_spec(module) is None:
                raise _missing(point, module)
    try:
        return cast("type[Provider]", point.load())
    except ImportError as error:
        raise _missing(point, error.name or str(error)) from error


def _missing(point: EntryPoint, module: str) -> MissingExtraError:
    package = point.dist.name if point.dist else point.module
    wanted = f"'{package}[{','.join(point.extras)}]'" if point.extras else module.partition(".")[0]
    return MissingExtraError(
        f"the provider {point.name!r} needs {module}, which is not installed", hint=f"pip install {wanted}"
    )


def build(project: Project, name: str, clock: Clock, owner: str | None = None) -> Provider:
    """The provider that the configuration calls `name`, ready to use. No I/O is done.

    Args:
        project: the configuration.
        name: under `providers:`.
        clock: time.
        owner: the word that marks what is created; None for the project's, empty for no mark.

    Raises:
        InputError: no such provider, no such type, or settings that can't be; with file and line.
        MissingExtraError: its package is not installed.
    """
    entry = project.config.providers.get(name)
    if entry is None:
        known = ", ".join(sorted(project.config.providers)) or "none"
        raise InputError(f"no provider {name!r} under providers: in {project.document.file}; known are: {known}")
    kind, path = entry.get("type"), ("providers", name)
    points = available()
    if kind not in points:
        word = "the key 'type' is missing" if kind is None else f"unknown provider type {kind!r}"
        raise project.document.error(path, f"{word}; installed are: {', '.join(sorted(points))}")
    factory = load(points[cast("str", kind)])
    data = {key: value for key, value in entry.items() if key != "type"}
    settings = decode(project.document, data, factory.Settings, path)
    word = project.config.owner if owner is None else owner
    context = Context(project.directory, word, lambda secret: secret.reveal(project.directory), clock)
    make = cast("Callable[[Any, Context], Provider]", factory)
    return make(settings, context)


def describe(point: EntryPoint) -> Mapping[str, Any]:
    """What `realmkit providers` shows of a provider. Raises as `load` does."""
    factory = load(point)
    can = factory.capabilities
    return {
        "summary": (factory.__doc__ or "").strip().partition("\n")[0],
        "atomic": can.atomic,
        "compare_and_swap": can.cas,
        "max_changes": can.max_changes,
        "max_bytes": can.max_bytes,
        "min_ttl": can.min_ttl,
        "types": None if can.types is None else sorted(map(type_to_text, can.types)),
        "notes": can.notes,
        "settles": can.settles,
        "knows_limits": issubclass(factory, KnowsLimits),
        "knows_servers": issubclass(factory, KnowsServers),
        "makes_zones": issubclass(factory, MakesZones),
        "protects": issubclass(factory, Protects),
        "settings": list(_settings(factory.Settings)),
        "about": to_builtins(about(point)),
    }


def _settings(kind: type[Struct]) -> Iterator[dict[str, Any]]:
    """Each setting with its default and what its docstring says of it."""
    said = _attributes(kind.__doc__ or "")
    for field in structs.fields(kind):
        default = field.default_factory() if callable(field.default_factory) else field.default
        shown = None if default is NODEFAULT else to_builtins(default, enc_hook=repr)
        yield {
            "name": field.encode_name,
            "required": field.required,
            "default": shown,
            "text": said.get(field.name, ""),
        }


def _attributes(docstring: str) -> dict[str, str]:
    """The `Attributes:` of a docstring: name and text, lines joined."""
    texts: list[tuple[list[str], list[str]]] = []
    for line in docstring.partition("Attributes:")[2].splitlines():
        if match := _ATTRIBUTE.match(line):
            texts.append((match[1].split(", "), [match[2]]))  # several may share a text
        elif texts and line.strip():
            texts[-1][1].append(line.strip())
    return {name: " ".join(lines) for names, lines in texts for name in names}


def settings_schemas() -> list[dict[str, Any]]:
    """For each provider that can be loaded the JSON Schema of its entry under `providers:`, `type` included."""
    import msgspec

    from realmkit.config import schema_of_special

    found = []
    for name, point in sorted(available().items()):
        try:
            settings = load(point).Settings
        except MissingExtraError:
            continue
        (entry,), definitions = msgspec.json.schema_components(
            [settings], schema_hook=schema_of_special, ref_template="#/$defs/{name}"
        )
        own = definitions.pop(entry["$ref"].rpartition("/")[2])
        own["properties"] = {"type": {"const": name}, **own["properties"]}
        own["required"] = ["type", *own.get("required", ())]
        found.append(own | {"$defs": definitions} if definitions else own)
    return found


def survey() -> list[dict[str, Any]]:
    """Every installed provider: what it can do, or which `pip install` it misses."""
    found = []
    for name, point in sorted(available().items()):
        entry: dict[str, Any] = {
            "name": name,
            "package": point.dist.name if point.dist else "",
            "version": point.dist.version if point.dist else "",
        }
        try:
            entry |= describe(point)
        except MissingExtraError as error:
            entry |= {"missing": error.message, "mend": error.hint, "about": to_builtins(about(point))}
        except StateError as error:
            entry |= {"missing": error.message, "mend": error.hint, "about": None}
        found.append(entry)
    return found
