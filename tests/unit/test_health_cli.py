"""`realmkit health` as a user meets it: a project in a directory, a name server on loopback, exit codes, files."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realmkit import cli
from realmkit.sandbox.nameserver import Fault, NameServer
from tests.unit.make import ZONE

CONFIG = """\
version: 1
platform:
  edge:
    proxies:
      - {host: east.voice.example.com, addresses: [198.51.100.10], priority: 10}
      - {host: west.voice.example.com, addresses: [203.0.113.10], priority: 20}
    transports: {udp: 5060, tcp: 5060}
    mail: [{host: mx.voice.example.com}]
providers:
  files: {type: zonefile, file: "zones/{zone}.zone"}
zones:
  voice.example.com: {provider: files, nameservers: ["SERVER"], rate_per_server: unlimited}
realms:
  acme.voice.example.com: {account: acme}
policy: {ttl: 300, migration_ttl: 60, allow_private_addresses: true, resolvers: ["127.0.0.1:1"]}
"""
RECORDS = """\
$TTL 300
@ SOA ns1 hostmaster 2026112200 7200 900 1209600 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 198.51.100.53
east A 198.51.100.10
west A 203.0.113.10
mx A 198.51.100.25
acme A 198.51.100.10
acme A 203.0.113.10
acme MX 10 mx
acme NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp.acme
acme NAPTR 20 100 "S" "SIP+D2T" "" _sip._tcp.acme
_sip._udp.acme SRV 10 50 5060 east
_sip._udp.acme SRV 20 50 5060 west
_sip._tcp.acme SRV 10 50 5060 east
_sip._tcp.acme SRV 20 50 5060 west
"""
# One server of this machine is asked; that it alone answers for a zone with two is not what these tests are about.
QUIET = ("--skip", "DEL", "--skip", "SCR", "--skip", "SEC")


class Shell:
    """Runs `realmkit health` in a project."""

    def __init__(self, directory: Path, server: NameServer) -> None:
        self.directory = directory
        self.server = server
        self.state = directory / ".realmkit/health.json"
        self.zone_file = directory / "zones/voice.example.com.zone"
        self.errors = ""

    def __call__(self, *args: str) -> tuple[int, str]:
        printed, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            code = cli.run(["-C", str(self.directory), "health", *args])
        self.errors = errors.getvalue()
        assert "Traceback" not in self.errors
        return code, printed.getvalue()

    def check(self, *args: str) -> tuple[int, str]:
        return self("check", *QUIET, *args)

    def found(self, *args: str) -> dict[str, str]:
        """Subject by id of what is found now."""
        _code, printed = self.check("--json", "--no-state", *args)
        return {one["id"]: one["subject"] for one in json.loads(printed)["findings"]}

    def edit(self, old: str, new: str, file: Path | None = None) -> None:
        path = file or self.zone_file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def sh(tmp_path: Path) -> Iterator[Shell]:
    zone_file = tmp_path / "zones/voice.example.com.zone"
    zone_file.parent.mkdir()
    zone_file.write_text(RECORDS)
    with NameServer.of_file(ZONE, zone_file) as server:
        (tmp_path / "realmkit.yml").write_text(CONFIG.replace("SERVER", server.address))
        yield Shell(tmp_path, server)


def test_all_is_well(sh: Shell) -> None:
    code, printed = sh.check()
    assert code == 0, printed
    assert "1 realm in 1 zone" in printed
    assert sh.found() == {}


def test_a_missing_record_is_an_error_with_what_mends_it(sh: Shell) -> None:
    sh.edit("acme MX 10 mx\n", "")
    code, printed = sh.check()
    assert code == 2
    assert "CON06" in printed
    assert "realmkit dns apply acme.voice.example.com" in printed


def test_a_silent_server_is_unknown_and_nothing_is_missing(sh: Shell) -> None:
    sh.server.fault = Fault.DROP
    code, printed = sh.check("--json", "--no-state", "--deadline", "2s")
    found = json.loads(printed)["findings"]
    assert code == 3
    assert {one["level"] for one in found} == {"unknown"}
    assert "RUN01" in {one["id"] for one in found}


def test_a_name_in_no_zone_that_can_be_found_is_unknown(sh: Shell) -> None:
    code, printed = sh.check("nobody.example.net", "--no-state")
    assert code == 3
    assert "RUN01" in printed
    assert "could not be found" in printed


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--only", "SIP99"), "no check 'SIP99'"),
        (("--deadline", "soon"), "no length of time"),
        (("--playbook", "nightly"), "no health playbook"),
        (("-o", "pdf=x"), "formats are"),
        (("-o", "html"), "FORMAT=FILE"),
    ],
)
def test_slips_in_options_are_said_before_anybody_is_asked(sh: Shell, args: tuple[str, ...], words: str) -> None:
    sh.server.fault = Fault.DROP
    code, printed = sh.check(*args)
    assert code == 64
    assert words in sh.errors
    assert printed == ""


def test_a_damaged_state_is_exit_code_3_and_stays_as_it_is(sh: Shell) -> None:
    assert sh.check("--cron")[0] == 0
    sh.state.write_text('{"kind": "realmkit.health-state", "version": 1, "state": {"findings": 7}}')
    before = sh.state.read_bytes()
    assert sh.check("--cron")[0] == 3
    assert sh.check()[0] == 3
    assert str(sh.state) in sh.errors
    assert sh.state.read_bytes() == before


@pytest.mark.parametrize("text", ["nonsense", "- {id: CON06}", "- {id: CON06, subject: a., reason: r, until: soon}"])
def test_a_damaged_list_of_accepted_findings_is_exit_code_3(sh: Shell, text: str) -> None:
    (sh.directory / "health-accepted.yml").write_text(text)
    assert sh.check()[0] == 3
    assert "health-accepted.yml" in sh.errors


def test_a_damaged_baseline_is_exit_code_3(sh: Shell) -> None:
    baseline = sh.directory / "known.json"
    baseline.write_text("{}")
    assert sh.check("--baseline", str(baseline))[0] == 3


def test_accepting_ends_the_failing_and_leaves_the_finding_to_be_seen(sh: Shell) -> None:
    sh.edit("acme MX 10 mx\n", "")
    assert sh.check("--only", "CON06")[0] == 2
    code, _ = sh(
        "accept", "CON06", "acme.voice.example.com. MX", "--reason", "no fax there", "--until", "2999-12-31"
    )  # fmt: skip
    assert code == 0
    assert sh.check("--only", "CON06")[0] == 0
    assert "no fax there" in sh.check("--only", "CON06", "--all")[1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("CON", "x.", "--reason", "r", "--until", "2999-12-31"), "group"),
        (("CON99", "x.", "--reason", "r", "--until", "2999-12-31"), "no check"),
        (("CON06", "x.", "--reason", "r", "--until", "2020-01-01"), "is over already"),
        (("CON06", "x.", "--reason", " ", "--until", "2999-12-31"), "reason"),
        (("CON06", "x.", "--reason", "r"), "--until"),
    ],
)
def test_what_can_not_be_accepted_is_refused(sh: Shell, args: tuple[str, ...], words: str) -> None:
    code, _ = sh("accept", *args)
    assert code == 64
    assert words in sh.errors
    assert not (sh.directory / "health-accepted.yml").exists()


def test_a_baseline_lets_what_is_known_pass_and_nothing_else(sh: Shell) -> None:
    known = str(sh.directory / "known.json")
    sh.edit("acme MX 10 mx\n", "")
    assert sh.check("--write-baseline", known)[0] == 2
    assert sh.check("--baseline", known)[0] == 0
    sh.edit("_sip._tcp.acme SRV 20 50 5060 west\n", "")
    assert sh.check("--baseline", known)[0] == 2


def test_every_format_is_written_and_printed(sh: Shell) -> None:
    shapes = {"json": "{", "jsonl": "{", "junit": "<?xml", "nagios": "REALMKIT ", "prometheus": "# ", "html": "<!"}
    files = [arg for shape in shapes for arg in ("-o", f"{shape}={sh.directory / shape}.out")]
    assert sh.check(*files, "-o", f"text={sh.directory}/text.out")[0] == 0
    for shape, start in shapes.items():
        assert (sh.directory / f"{shape}.out").read_text().lower().startswith(start.lower()), shape
        assert sh.check("--format", shape)[1].lower().startswith(start.lower()), shape
    assert "1 realm" in (sh.directory / "text.out").read_text()


def test_a_file_that_can_not_be_written_is_an_error(sh: Shell) -> None:
    (sh.directory / "there").write_text("a file, no directory")
    assert sh.check("-o", f"html={sh.directory}/there/health.html")[0] == 2
    assert "can't write" in sh.errors


def test_cron_is_silent_twice_and_tells_once(sh: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    assert sh.check("--cron") == (0, "")
    sh.edit("acme MX 10 mx\n", "")
    code, told = sh.check("--cron")
    assert (code, told.count("CON06")) == (2, 1)
    assert sh.check("--cron") == (2, "")
    sh.edit("acme NAPTR 10", "acme MX 10 mx\nacme NAPTR 10")
    code, told = sh.check("--cron")
    assert code == 0
    assert "recovered" in told
    assert sh.check("--cron") == (0, "")


def test_an_unchanged_zone_is_sampled_and_a_changed_serial_ends_that(sh: Shell) -> None:
    names = [f"r{number}" for number in range(40)]
    config = sh.directory / "realmkit.yml"
    extra = "".join(f"  {name}.voice.example.com: {{}}\n" for name in names)
    config.write_text(config.read_text().replace("policy:", f"{extra}policy:"))
    records = "".join(RECORDS[RECORDS.index("acme A") :].replace("acme", name) for name in names)
    sh.zone_file.write_text(RECORDS + records)

    def skipped() -> int:
        code, printed = sh.check("--cron", "--sample", "4", "--json")
        assert code == 0
        return int(json.loads(printed)["counts"]["skipped"])

    assert skipped() == 0
    turns = [skipped() for _ in range(4)]
    assert all(20 <= turn <= 38 for turn in turns)
    assert sum(41 - turn for turn in turns) == 41  # each realm has had its turn
    sh.edit("2026112200", "2026112201")
    assert skipped() == 0
    config.write_text(config.read_text() + "# another configuration\n")
    assert skipped() == 0


def test_is_a_realm_ready_to_move(sh: Shell) -> None:
    assert sh.found("acme.voice.example.com", "--ready")["MIG01"] == "acme.voice.example.com."
    assert "MIG01" not in sh.found("acme.voice.example.com")


def test_only_what_is_named_is_judged(sh: Shell) -> None:
    sh.edit("acme MX 10 mx\n", "")
    config = sh.directory / "realmkit.yml"
    config.write_text(config.read_text().replace("policy:", "  bell.voice.example.com: {}\npolicy:"))
    sh.zone_file.write_text(
        sh.zone_file.read_text() + RECORDS[RECORDS.index("acme A") :].replace("acme", "bell")
    )  # fmt: skip
    assert sh.found("bell.voice.example.com") == {}
    assert set(sh.found("acme.voice.example.com")) >= {"CON06"}


def test_explain_has_a_list_a_page_and_the_whole_document(sh: Shell) -> None:
    assert "SIP07" in sh("explain")[1]
    assert "RFC 5922" in sh("explain", "sip07")[1]
    assert sh("explain", "MX")[1].count("MX0") == 5
    assert sh("explain", "--markdown")[1].startswith("# Checks")
    table = json.loads(sh("explain", "--json")[1])
    assert {"id", "level", "title", "source", "page"} == set(table["checks"][0])
    assert sh("explain", "NOPE")[0] == 64


def test_a_plain_check_loads_nothing_that_it_does_not_use(sh: Shell) -> None:
    code = (
        f"import sys\nfrom realmkit import cli\ncli.run(['-C', {str(sh.directory)!r}, 'health', 'check'])\n"
        "print(sorted({'dns', 'httpx2', 'rich', 'asyncio', 'ssl', 'cryptography', 'jinja2'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stdout
