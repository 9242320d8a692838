"""What is built is what is in the tree: nothing missing from the wheel, nothing generic in site-packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"realmkit": "realmkit", "realmkit_providers": "providers/realmkit_providers"}
DATA = {"realmkit/templates": "templates", "realmkit/playbooks": "playbooks"}


def _tree() -> set[str]:
    """Every file that belongs in the wheel, by the path that it has there."""
    found = set()
    for target, source in (SOURCES | DATA).items():
        for path in (ROOT / source).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{target}/{path.relative_to(ROOT / source)}")
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist and wheel, the wheel from the sdist, as an index would get them."""
    out = tmp_path_factory.mktemp("dist")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    tree = tmp_path_factory.mktemp("tree")
    names = tracked.stdout.split("\n")
    if tracked.returncode != 0:  # no git checkout, as when unpacked from the sdist
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)],
        check=True, capture_output=True, env=os.environ | {"PYTHONWARNINGS": "default"},
    )  # fmt: skip
    return out


def test_the_wheel_holds_the_tree_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == _tree()


def test_the_sdist_can_build_the_wheel(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "templates/project/realmkit.yml"} <= names


def test_the_wheel_works_in_a_clean_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile", "-c",
         ROOT / "constraints.txt", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    run = [str(home / "bin" / "realmkit"), "-C", str(tmp_path / "project")]
    subprocess.run([*run, "init"], check=True, capture_output=True, cwd="/")
    shown = subprocess.run([*run, "providers", "--json"], check=True, capture_output=True, cwd="/").stdout
    providers = json.loads(shown)["providers"]
    assert [one["name"] for one in providers if "missing" not in one] == ["powerdns", "rfc2136", "zonefile"]
    extras = [one["name"] for one in providers if one.get("mend") == f"pip install 'realmkit[{one['name']}]'"]
    assert extras == ["cloudflare", "octodns", "route53"]
    assert all(one["about"]["example"] for one in providers)
    lint = subprocess.run([*run, "dns", "lint", "--offline", "--json"], capture_output=True, cwd="/", check=False)
    assert json.loads(lint.stdout)["rrsets"] == 6
    generic = "'providers', 'templates', 'playbooks', 'tests', 'bench'"
    script = f"import importlib.util as u; print([n for n in ({generic}) if u.find_spec(n)])"
    seen = subprocess.run([python, "-I", "-c", script], check=True, capture_output=True, text=True, cwd="/").stdout
    assert seen.strip() == "[]"
