"""What the documents say is what the program does."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner

from realmkit import cli, config, yamlfile
from realmkit.cli import show_checks, show_providers
from realmkit.dns import findings, registry, wanted
from realmkit.dns.about import about
from realmkit.dns.work import guard
from realmkit.health import check

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_help_in_the_readme_is_the_help() -> None:
    block = README.partition("<!-- help -->\n```\n")[2].partition("```\n<!-- /help -->")[0]
    shown = CliRunner().invoke(cli.root, ["--help"], prog_name="realmkit").output
    assert block == shown


def test_the_configuration_in_the_readme_is_valid() -> None:
    text = README.partition("```yaml\n")[2].partition("```")[0]
    document = yamlfile.loads(text, Path("realmkit.yml"))
    project = config.Project(ROOT, config.decode(document, document.data, config.Config, ()), document)
    (rrsets,) = wanted.wanted(project, {}).zones.values()
    assert len(rrsets) == 6


def test_the_page_of_checks_is_made_from_the_checks() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs/checks.md").read_text(encoding="utf-8") == show_checks.page(check.catalog())


def test_every_id_in_the_source_is_in_the_table_and_the_other_way_round() -> None:
    folders = ("realmkit/dns", "realmkit/health")
    source = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert set(re.findall(r'"((?:[A-Z]{2}|[A-Z]{3})\d\d)"', source)) == set(check.catalog())


@pytest.mark.parametrize("entry", check.catalog().values(), ids=lambda entry: entry.id)
def test_every_check_has_a_page_worth_reading(entry: check.Check) -> None:
    assert entry.title
    assert entry.source
    assert len(entry.page.splitlines()) >= 3
    assert "Mend" in entry.page
    assert set(entry.level.split(", ")) <= set(findings.LEVELS)


def test_every_guard_is_documented() -> None:
    text = (ROOT / "docs/dns.md").read_text(encoding="utf-8")
    source = "".join((ROOT / "realmkit/dns" / name).read_text() for name in ("work/guard.py", "work/zonecopy.py"))
    named = set(re.findall(r'Hold\(\s*"([a-z-]+)"', source))
    assert named >= guard.FIXED | guard.LIFTABLE
    assert all(f"`{name}`" in text for name in named)


def test_the_first_two_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    first = README.partition("```\n")[2].partition("```")[0].splitlines()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in first] == ["demo", "test"]
    assert {"demo", "test", "lint", "bench"} <= set(targets)


def test_the_page_of_providers_is_made_from_what_stands_beside_them() -> None:
    """`make docs` writes it."""
    made = show_providers.page(registry.survey())
    assert (ROOT / "docs/providers.md").read_text(encoding="utf-8") == made


@pytest.mark.parametrize("point", registry.available().values(), ids=lambda point: point.name)
def test_a_provider_s_example_is_valid(point: EntryPoint) -> None:
    described = about(point)
    assert described is not None
    document = yamlfile.loads(described.example, Path("realmkit.yml"))
    ((name, entry),) = document.data.items()
    settings = {key: value for key, value in entry.items() if key != "type"}
    config.decode(document, settings, registry.load(point).Settings, (name,))
    assert entry["type"] == point.name
    assert all(setting["text"] for setting in registry.describe(point)["settings"])
    assert described.credentials
    assert all(limit.source for limit in described.limits)


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_long_files_are_few() -> None:
    """A file of more than 400 lines is two things, says CONTRIBUTING; a little over is borne."""
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("realmkit", "providers")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 430
    }
    assert long == {}
