"""The command line as a user meets it: files on disk, an embedded name server on loopback, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from realmkit import cli
from realmkit.cli.app import App
from realmkit.dns import registry
from realmkit.errors import MissingExtraError
from realmkit.sandbox.nameserver import NameServer
from tests.unit.make import PROJECT, ZONE

ZONEFILE = """\
$TTL 3600
@ IN SOA ns1 hostmaster 2026112200 7200 900 1209600 300
@ IN NS ns1
ns1 IN A 192.0.2.53
* IN A 198.51.100.10   ; every generated realm
* IN MX 10 mx1.example.net.
"""


class Shell:
    """Runs commands in a project."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "realmkit.yml"
        self.zone_file = directory / "zones" / "voice.example.com.zone"

    def __call__(self, *args: str, expect: int = 0) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("REALMKIT")}
        result = subprocess.run(
            [sys.executable, "-m", "realmkit", "-C", str(self.directory), *args],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60, env=environment,
        )  # fmt: skip
        text = result.stdout + result.stderr
        assert result.returncode == expect, f"{args}: {result.returncode}\n{text}"
        assert "Traceback" not in text
        return text

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@pytest.fixture
def sh(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    shell.zone_file.parent.mkdir()
    shell.zone_file.write_text(ZONEFILE)
    with NameServer.of_file(ZONE, shell.zone_file) as server:
        shell.config.write_text(PROJECT.replace("127.0.0.1:5300", server.address))
        yield shell


def test_the_whole_way(sh: Shell) -> None:
    assert "nothing found: 7 wanted RRsets judged" in sh("dns", "lint")
    sh("dns", "plan", "--check", expect=1)
    plan = str(sh.directory / "plan.json")
    sh("dns", "plan", "--out", plan)
    assert "7 right, 0 wrong, 0 unknown" in sh("dns", "apply", "--plan", plan)
    assert "on 1 of 1" in sh("dns", "verify")
    assert "no changes" in sh("dns", "plan", "--check")
    assert "nothing to do" in sh("dns", "apply", "--yes")
    exported = sh("dns", "export", "voice.example.com")
    assert "_sips._tcp.acme" in exported
    sh("dns", "rollback", "--yes")
    kept = [line for line in sh.zone_file.read_text().splitlines() if "SOA" not in line]
    assert kept == [line for line in ZONEFILE.splitlines() if "SOA" not in line]
    assert "; every generated realm" in sh.zone_file.read_text()


def test_json_is_versioned_and_alone_on_standard_output(sh: Shell) -> None:
    for args, kind, code in (
        (["dns", "lint"], "lint", 0),
        (["dns", "plan"], "dns-plan", 0),
        (["dns", "apply", "--yes"], "dns-apply", 0),
        (["dns", "verify"], "dns-verify", 0),
        (["dns", "export", "voice.example.com"], "zone", 0),
        (["dns", "adopt", "--wanted", "--yes"], "dns-adopt", 0),
        (["dns", "rollback", "--yes"], "dns-apply", 0),
        (["providers"], "providers", 0),
        (["dns", "plan", "x.nowhere.example"], "error", 64),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "realmkit", "-C", str(sh.directory), *args, "--json"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert result.returncode == code, result.stderr
        body = json.loads(result.stdout)
        assert (body["kind"], body["version"]) == (f"realmkit.{kind}", 1)


def test_apply_asks_on_a_terminal_and_elsewhere_wants_yes_or_a_plan(sh: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sh.zone_file.read_text()
    assert "--yes" in sh("dns", "apply", expect=64)
    assert sh.zone_file.read_text() == before
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def typed(answer: str) -> Result:
        monkeypatch.setattr("realmkit.cli.app.sys", type("Tty", (), {"stdin": _Tty(), "stderr": sys.stderr}))
        return CliRunner().invoke(cli.root, ["-C", str(sh.directory), "dns", "apply"], input=answer)

    assert typed("n\n").exit_code == 1
    assert sh.zone_file.read_text() == before
    assert "7 RRsets changed" in typed("y\n").output
    assert sh.zone_file.read_text() != before


class _Tty:
    def isatty(self) -> bool:
        return True


def test_an_edited_or_stale_plan_changes_nothing(sh: Shell) -> None:
    plan = sh.directory / "plan.json"
    sh("dns", "plan", "--out", str(plan))
    good = plan.read_text()
    plan.write_text(good.replace("198.51.100.10", "198.51.100.66"))
    assert "was edited" in sh("dns", "apply", "--plan", str(plan), expect=64)
    plan.write_text(good)
    sh.zone_file.write_text(ZONEFILE + "acme IN A 192.0.2.1\n")
    assert "moved since the plan was made" in sh("dns", "apply", "--plan", str(plan), expect=2)
    assert sh.zone_file.read_text() == ZONEFILE + "acme IN A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("realms:", "relms:", "did you mean 'realms'"),
        ("file: ", "flie: ", "providers.files.flie: unknown key; did you mean 'file'"),
        ("type: zonefile", "type: zonefiles", "unknown provider type 'zonefiles'; installed are: "),
        ("provider: files", "provider: fiels", "no provider 'fiels' under providers:"),
        ("realms:\n", "realms:\n  acme.voice.example.com: {}\n", "appears twice"),
        ("acme.voice.example.com", "acme.voice.example.org", "lies in no zone"),
        ("udp: 5060", "udp: 70000", "expected int <= 65535"),
        ("198.51.100.10", "198.51.100.256", "is no address"),
        ("nameservers: [", "nameservers: [':x', ", "nameservers"),
    ],
)
def test_a_slip_in_the_configuration_changes_nothing(sh: Shell, old: str, new: str, what: str) -> None:
    sh.edit(old, new)
    command = ("verify",) if "nameservers" in old else ("apply", "--yes")
    text = sh("dns", *command, expect=64)
    assert what in text
    assert "realmkit.yml:" in text
    assert sh.zone_file.read_text() == ZONEFILE


def test_a_zone_file_with_a_slip_is_named_with_its_line(sh: Shell) -> None:
    sh.zone_file.write_text(ZONEFILE + "acme IN SRV 10 50 notaport edge\n")
    text = sh("dns", "apply", "--yes", expect=64)
    assert "voice.example.com.zone:7" in text
    assert "SRV" in text


def test_a_server_that_can_not_be_asked_is_unknown(sh: Shell) -> None:
    sh("dns", "apply", "--yes")
    sh.edit('nameservers: ["', 'nameservers: ["127.0.0.1:1", "')
    text = sh("dns", "verify", expect=3)
    assert "connection refused" in text
    assert "right on 1 of 2" in text
    assert "unknown" in sh("doctor", expect=3)


def test_held_plans_say_which_guard_and_how_on(sh: Shell) -> None:
    sh.zone_file.write_text(ZONEFILE + "_sip._udp.acme IN SRV 1 1 5060 old.example.\n")
    text = sh("dns", "plan", "--check", expect=2)
    assert sh("dns", "plan") == text
    assert "foreign" in text
    assert "realmkit dns adopt acme.voice.example.com." in text
    sh("dns", "adopt", "acme.voice.example.com", "SRV", "--yes", expect=64)  # there is no SRV at that name
    sh("dns", "adopt", "acme.voice.example.com", "--yes")
    sh("dns", "apply", "--yes")
    sh.edit("  acme.voice.example.com: {account: acme}", "  beta.voice.example.com: {}")
    assert "--allow realm-removal" in sh("dns", "plan")
    assert "realm-removal" in sh("dns", "apply", "--yes", expect=2)
    sh("dns", "apply", "--yes", "--allow", "realm-removal")
    assert "old.example" not in sh.zone_file.read_text()


@pytest.mark.parametrize(("name", "why"), [("foreign", "never lifted"), ("*", "no guard"), ("force", "no guard")])
def test_allow_takes_the_names_of_guards_that_can_be_lifted(sh: Shell, name: str, why: str) -> None:
    for command in (["plan"], ["apply", "--yes"]):
        assert why in sh("dns", *command, "--allow", name, expect=64)
    assert sh.zone_file.read_text() == ZONEFILE


def test_names_narrow_a_command(sh: Shell) -> None:
    sh.edit("  acme.voice.example.com: {account: acme}", "  acme.voice.example.com: {}\n  beta.voice.example.com: {}")
    assert "7 changes" in sh("dns", "plan", "beta.voice.example.com")
    sh("dns", "apply", "--yes", "beta.voice.example.com")
    assert "7 right" in sh("dns", "verify", "beta.voice.example.com")
    sh("dns", "verify", expect=2)


def test_ttls_for_a_migration(sh: Shell) -> None:
    sh("dns", "apply", "--yes")
    assert "ttl 3600 -> 300" in sh("dns", "plan", "--migration-ttl")
    sh("dns", "apply", "--migration-ttl", "--yes")
    assert "no changes" in sh("dns", "plan", "--ttl", "300")
    sh("dns", "plan", "--ttl", "300", "--migration-ttl", expect=64)
    sh("dns", "plan", "--ttl", "-1", expect=64)


def test_doctor(sh: Shell) -> None:
    text = sh("doctor", expect=1)  # the file's server is fine; a container's clock is not synchronised
    assert "voice.example.com. through files: 5 RRsets, serial 2026112200" in text
    assert "answers in" in text
    sh.edit("version: 1", "version: 7")
    assert "failed   configuration" in sh("doctor", expect=2)


def test_no_project_here(tmp_path: Path) -> None:
    text = Shell(tmp_path)("dns", "plan", expect=64)
    assert "no such file" in text
    assert "realmkit init" in text


def test_every_command_has_examples_in_its_help() -> None:
    def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from commands(command, (*path, name))
            else:
                yield (*path, name), command

    found = dict(commands(cli.root, ()))
    assert len(found) >= 12
    for path, command in found.items():
        text = CliRunner().invoke(cli.root, [*path, "--help"]).output
        assert "Example" in text, path
        assert f"realmkit {' '.join(path)}" in text, path
        assert command.help, path


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom realmkit import cli\ncli.run(['--help'])\n"
        "print(sorted({'yaml', 'msgspec', 'dns', 'httpx2', 'rich', 'asyncio', 'boto3'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_a_zonefile_plan_loads_neither_dnspython_nor_http(sh: Shell) -> None:
    code = (
        f"import sys\nfrom realmkit import cli\ncli.run(['-C', {str(sh.directory)!r}, 'dns', 'plan'])\n"
        "print(sorted({'dns', 'httpx2', 'rich', 'asyncio', 'idna'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout


def test_a_missing_extra_is_one_line_with_its_pip_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("needy", "needy:Provider [cloud]", registry.GROUP)
    with pytest.raises(MissingExtraError, match="needs a_package_that_nobody_has") as caught:
        registry.load(point)
    assert "\n" not in caught.value.message
    assert "pip install 'needy[cloud]'" in (caught.value.hint or "")


def test_schema_is_json_schema(sh: Shell) -> None:
    schema = json.loads(sh("schema", "config"))
    assert "Config" in schema["$defs"]


def test_the_demo_tells_its_story_to_the_end_on_either_generation(tmp_path: Path) -> None:
    """Side by side, for each takes a minute; what must hold is checked by the demo itself, which ends with 2 if not."""
    told = [
        subprocess.Popen(
            [sys.executable, "-m", "realmkit", "demo", "--generation", one, "--keep", str(tmp_path / one)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for one in ("2024", "2026")
    ]  # fmt: skip
    outputs = [one.communicate(timeout=240)[0] for one in told]  # both to their ends, whatever they say
    for one, output in zip(told, outputs, strict=True):
        assert one.returncode == 0, output[-3000:]
        for words in ("WLD01", "it would work", "1 phone pinned to", "turned back", "That was the demo"):
            assert words in output
    assert (tmp_path / "2024" / ".realmkit" / "ledger").is_dir()


def test_app_says_nothing_when_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    App(".", as_json=False, verbose=False).emit("x", dict, str)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words", [("dns", "plan"), ("dns", "verify"), ("doctor",), ("providers",), ("schema", "config"), ("--help",)]
)
def test_no_cloud_is_loaded_where_none_is_used(sh: Shell, words: tuple[str, ...]) -> None:
    heavy = {"boto3", "botocore", "cloudflare", "pydantic", "httpx", "octodns"}
    script = (
        f"import sys; from realmkit import cli; cli.run(['-C', {str(sh.directory)!r}, *{words!r}]); "
        f"print('loaded', sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "loaded []"
