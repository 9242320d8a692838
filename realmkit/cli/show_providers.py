"""How providers look: a list, one of them in full, and the page docs/providers.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LIMITS: Final = {"max_changes": "elements", "max_bytes": "bytes"}
_MATRIX: Final = (
    ("all or nothing", "atomic"),
    ("compare and swap", "compare_and_swap"),
    ("elements a batch", "max_changes"),
    ("bytes a batch", "max_bytes"),
    ("lowest TTL", "min_ttl"),
    ("types", "types"),
    ("says when in force", "settles"),
    ("keeps ownership notes", "notes"),
    ("knows its servers", "knows_servers"),
    ("creates zones", "makes_zones"),
    ("locks records", "protects"),
)
_HEAD: Final = """\
# DNS providers

<!-- Made by `make docs` from the files beside the providers (providers/realmkit_providers/*.toml) and their code. -->

A zone's provider is named in `realmkit.yml`; the provider's own entry says how to reach it. `realmkit providers` lists
what is installed, `realmkit providers NAME` shows all of one, credentials and limits included, and
`realmkit schema config` knows every setting for editors.
"""


def list_text(found: Iterable[Mapping[str, Any]]) -> str:
    """What `realmkit providers` prints."""
    return "\n".join(line for one in found for line in _brief(one))


def _brief(one: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(f"{one['name']:10}", bold=True) + f" {one['package']} {one['version']}"
    if "missing" in one:
        yield f"    {one['missing']}; {one['mend']}"
        return
    limits = [f"at most {one[key]:,} {word} a batch" for key, word in _LIMITS.items() if one[key] is not None]
    traits = [
        "a batch is all or nothing" if one["atomic"] else "a batch may be applied in part",
        f"compares and swaps by {one['compare_and_swap']}" if one["compare_and_swap"] != "none" else "no compare",
        *limits,
        *(["keeps ownership notes"] if one["notes"] else []),
        *(["can lock records"] if one["protects"] else []),
    ]
    yield f"    {one['summary']}"
    yield f"    {'; '.join(traits)}"
    yield f"    settings: {', '.join(setting['name'] for setting in one['settings'])}"


def detail_text(one: Mapping[str, Any]) -> str:
    """What `realmkit providers NAME` prints."""
    lines = list(_brief(one))
    if about := one["about"]:
        lines += ["", *about["text"].strip().splitlines(), "", click.style("example", bold=True)]
        lines += _indented(about["example"])
        for credentials in about["credentials"]:
            lines += ["", click.style("credentials: ", bold=True) + credentials["what"]]
            lines += _indented(credentials["rights"])
        lines += ["", *(f"limit: {limit['what']} ({limit['source']}, {limit['date']})" for limit in about["limits"])]
        lines += [f"see: {link}" for link in about["links"]]
    for setting in one.get("settings", ()):
        lines.append(f"setting {setting['name']} ({_default(setting)}): {setting['text']}".rstrip(": "))
    return "\n".join(lines)


def page(found: Iterable[Mapping[str, Any]]) -> str:
    """docs/providers.md: the matrix, then a section for each provider that describes itself."""
    described = [one for one in found if one.get("about") and "missing" not in one]
    parts = [_HEAD, *_matrix(described)]
    for one in described:
        parts += ["", *_section(one)]
    return "\n".join(parts) + "\n"


def _matrix(found: list[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| | {' | '.join(one['name'] for one in found)} |"
    yield f"|---|{'---|' * len(found)}"
    for title, key in _MATRIX:
        yield f"| {title} | {' | '.join(_cell(one, key) for one in found)} |"
    if any(one["knows_limits"] for one in found):
        yield ""
        yield "¹ depends on the zone or the settings; the least is shown."


def _cell(one: Mapping[str, Any], key: str) -> str:
    value = one[key]
    if isinstance(value, bool):
        return "yes" if value else "no"
    mark = " ¹" if one["knows_limits"] and key in ("max_changes", "min_ttl", "types") else ""
    if key == "types":
        return ("all" if value is None else str(len(value))) + mark
    if key == "compare_and_swap":
        return {"zone": "the zone", "rrset": "each RRset", "none": "no"}[value]
    return ("none" if value is None else f"{value:,}") + mark


def _section(one: Mapping[str, Any]) -> Iterator[str]:
    about = one["about"]
    yield f"## {one['name']}: {about['title']}"
    yield ""
    yield f"Since {about['since']}." + (f" Needs `pip install 'realmkit[{one['name']}]'`." if about["requires"] else "")
    yield from ("", "```yaml", about["example"].strip(), "```", "", about["text"].strip())
    if one["types"] is not None:
        yield from ("", f"Record types: {', '.join(one['types'])}.")
    yield from ("", "| setting | default | |", "|---|---|---|")
    for setting in one["settings"]:
        yield f"| `{setting['name']}` | {_default(setting)} | {setting['text']} |"
    for credentials in about["credentials"]:
        yield from ("", f"**Credentials**: {credentials['what']}")
        if credentials["rights"]:
            yield from ("", "```", credentials["rights"].strip(), "```")
    if about["limits"]:
        yield from ("", "| limit | source | seen |", "|---|---|---|")
        for limit in about["limits"]:
            yield f"| {limit['what']} | {limit['source']} | {limit['date']} |"
    if about["links"]:
        yield from ("", *(f"<{link}>  " for link in about["links"]))


def _default(setting: Mapping[str, Any]) -> str:
    return "required" if setting["required"] else f"`{json.dumps(setting['default'])}`"


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.strip("\n").splitlines()]
