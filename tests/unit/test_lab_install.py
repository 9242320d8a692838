"""tests/lab/install.sh: what it says, what it leaves behind, and that it stays quiet where it should."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "lab" / "install.sh"
NOBODY = 65534
DPKG_QUERY = '#!/bin/sh\nfor last; do :; done\n[ "$last" = nsd ] && exit 1\nprintf installed\n'
APT_GET = """#!/bin/sh
echo "$*" >>"$HERE/apt.calls"
case "$*" in *install*) "$POLICY_RC_D" nsd start; echo "policy $?" >>"$HERE/apt.calls"; eval "$APT_DOES";; esac
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with an apt-get and a dpkg-query that say: all is installed but nsd; and an `id` that says root."""
    for name, text in {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET, "id": "#!/bin/sh\necho 0\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def start(here: Path, apt_does: str = "exit 0", **more: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("LAB", "REALMKIT_LAB")}
    environment |= {"PATH": f"{here}:/usr/sbin:/usr/bin:/sbin:/bin", "HERE": str(here), "APT_DOES": apt_does}
    environment |= {"POLICY_RC_D": str(here / "policy-rc.d"), **more}
    return subprocess.Popen(["sh", SCRIPT], env=environment, stderr=subprocess.PIPE, text=True)


def run(here: Path, apt_does: str = "exit 0", **more: str) -> tuple[int, str]:
    with start(here, apt_does, **more) as process:
        said = process.communicate(timeout=20)[1]
    return process.returncode, said


def policy(here: Path) -> list[tuple[str, str, int, int]]:
    """Every policy file that is there: name, content, mode, inode."""
    return [(p.name, p.read_text(), p.stat().st_mode, p.stat().st_ino) for p in sorted(here.glob("policy*"))]


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 104\n"])
@pytest.mark.parametrize(("apt_does", "required", "code"), [("exit 0", "no", 0), ("exit 100", "no", 0),
                                                            ("exit 100", "required", 1)])  # fmt: skip
def test_daemons_are_held_and_the_policy_comes_back(
    here: Path, before: str | None, apt_does: str, required: str, code: int
) -> None:
    if before is not None:
        (here / "policy-rc.d").write_text(before)
        (here / "policy-rc.d").chmod(0o744)
    as_it_was = policy(here)
    returned, said = run(here, apt_does, REALMKIT_LAB=required)
    assert returned == code
    assert said.startswith("lab: installing nsd (no daemon is started")
    calls = (here / "apt.calls").read_text().splitlines()
    assert calls[0] == "-q update"
    assert calls[1].endswith("install --no-install-recommends nsd")
    assert calls[2] == "policy 101"
    assert policy(here) == as_it_was


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_brings_the_policy_back(here: Path, number: signal.Signals) -> None:
    (here / "policy-rc.d").write_text("mine")
    as_it_was = policy(here)
    with start(here, f"kill -{number.value} $PPID; exit 0") as process:
        process.communicate(timeout=20)
    assert process.returncode == 128 + number.value
    assert policy(here) == as_it_was


@pytest.mark.parametrize("before", [None, "mine"])
def test_what_a_killed_run_left_behind_is_mended(here: Path, before: str | None) -> None:
    if before is not None:
        (here / "policy-rc.d").write_text(before)
    as_it_was = policy(here)
    run(here, "kill -9 $PPID; exit 0")
    assert policy(here) != as_it_was
    run(here)
    assert policy(here) == as_it_was


def test_nothing_missing_is_nothing_said(here: Path) -> None:
    (here / "dpkg-query").write_text("#!/bin/sh\nprintf installed\n")
    assert run(here) == (0, "")
    assert not (here / "apt.calls").exists()


def test_lab_no_leaves_it_out(here: Path) -> None:
    assert run(here, LAB="no") == (0, "")
    assert not (here / "apt.calls").exists()
    assert run(here, LAB="no", REALMKIT_LAB="required")[0] == 1


@pytest.mark.parametrize(("required", "code"), [("no", 0), ("required", 1)])
def test_anyone_but_root_is_told_in_one_line(here: Path, required: str, code: int) -> None:
    (here / "id").write_text(f"#!/bin/sh\necho {NOBODY}\n")
    returned, said = run(here, REALMKIT_LAB=required)
    assert returned == code
    assert said.count("\n") == 1
    assert "apt-get install nsd" in said
    assert not (here / "apt.calls").exists()


def test_a_machine_without_apt_is_told_in_one_line(here: Path) -> None:
    tools = here / "tools"
    tools.mkdir()
    for name in ("sh", "id"):
        (tools / name).symlink_to(f"/bin/{name}" if name == "sh" else f"/usr/bin/{name}")
    returned, said = run(here, PATH=str(tools))
    assert (returned, said.count("\n")) == (0, 1)
    assert "not a Debian machine" in said
