"""A health check whose own side fails: disk, pipe, provider, notices. The verdict is not lost, nor is the news."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from realmkit import cli, durable
from realmkit.cli import healthtell
from realmkit.errors import ProviderError, StateError
from realmkit.health import sample
from realmkit.health.notify import ping, webhook
from realmkit.sandbox.nameserver import NameServer
from realmkit_providers.zonefile import ZoneFile
from tests.unit.make import ZONE
from tests.unit.test_health_cli import CONFIG, QUIET, RECORDS


class Project:
    """A project on one name server, with its output and its errors apart."""

    def __init__(self, directory: Path, server: NameServer) -> None:
        self.directory, self.server = directory, server
        self.state = directory / ".realmkit/health.json"
        self.config = directory / "realmkit.yml"
        self.zone_file = directory / "zones/voice.example.com.zone"
        self.errors = ""

    def check(self, *args: str) -> tuple[int, str]:
        printed, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            code = cli.run(["-C", str(self.directory), "health", "check", *QUIET, *args])
        self.errors = errors.getvalue()
        return code, printed.getvalue()

    def break_mail(self) -> None:
        self.zone_file.write_text(self.zone_file.read_text().replace("acme MX 10 mx\n", ""))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """All was well in the last run, and now the realm's MX is gone."""
    monkeypatch.setattr("realmkit.health.run.SECOND_LOOK_AFTER", 0.0)
    zone_file = tmp_path / "zones/voice.example.com.zone"
    zone_file.parent.mkdir()
    zone_file.write_text(RECORDS)
    with NameServer.of_file(ZONE, zone_file) as server:
        (tmp_path / "realmkit.yml").write_text(CONFIG.replace("SERVER", server.address))
        made = Project(tmp_path, server)
        assert made.check("--cron") == (0, "")
        made.break_mail()
        yield made


@pytest.fixture
def full(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the state can't be written once."""
    real = durable.write

    def write(path: Path, data: bytes) -> None:
        if path == project.state:
            monkeypatch.setattr(durable, "write", real)
            raise StateError(f"can't write {path}: No space left on device")
        real(path, data)

    monkeypatch.setattr(durable, "write", write)


@pytest.mark.usefixtures("full")
def test_a_state_that_can_not_be_written_costs_no_verdict_and_tells_again(project: Project) -> None:
    before = project.state.read_bytes()
    code, told = project.check("--cron")
    assert (code, told.count("CON06")) == (3, 1)
    assert "No space left" in project.errors
    assert project.state.read_bytes() == before
    code, told = project.check("--cron")
    assert (code, told.count("CON06")) == (2, 1)
    assert project.check("--cron") == (2, "")


@pytest.mark.usefixtures("full")
def test_a_state_that_can_not_be_written_leaves_one_json_document(project: Project) -> None:
    code, printed = project.check("--json")
    assert code == 3
    assert "CON06" in [one["id"] for one in json.loads(printed)["findings"]]
    assert "No space left" in project.errors


def test_an_output_that_can_not_be_written_costs_neither_news_nor_the_other_outputs(project: Project) -> None:
    (project.directory / "there").write_text("a file, no directory")
    outputs = ("-o", f"html={project.directory}/there/health.html", "-o", f"json={project.directory}/health.json")
    code, told = project.check("--cron", *outputs)
    assert (code, told.count("CON06")) == (2, 1)
    assert "can't write" in project.errors
    assert "CON06" in (project.directory / "health.json").read_text()
    assert project.check("--cron") == (2, "")


def test_news_whose_reader_has_gone_is_told_by_the_next_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_args: object, **_named: object) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(healthtell, "show", gone)
        with contextlib.suppress(ValueError):  # it closes what stands for standard error here
            assert project.check("--cron")[0] == 0
    code, told = project.check("--cron")
    assert (code, told.count("CON06")) == (2, 1)


def test_a_run_that_is_interrupted_while_it_sends_news_tells_it_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", "https://chat.example.net/hook")
    config = project.config.read_text()
    project.config.write_text(config.replace("policy: {", 'policy: {health: {notify: {webhook: "env:CHAT"}}, '))
    sent: list[str] = []

    def send(_url: str, _verdict: object, text: str) -> None:
        sent.append(text)
        if len(sent) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(webhook, "send", send)
    assert project.check("--cron")[0] == 130
    assert project.check("--cron")[0] == 2
    assert project.check("--cron") == (2, "")
    assert [text.count("CON06") for text in sent] == [1, 1]


@pytest.mark.parametrize("disk", ["well", "full"])
def test_the_ping_says_how_the_run_really_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch, disk: str, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PING", "https://ping.example.net/1")
    config = project.config.read_text()
    project.config.write_text(config.replace("policy: {", 'policy: {health: {notify: {ping: "env:PING"}}, '))
    pings: list[str] = []
    monkeypatch.setattr(ping, "start", lambda _url: pings.append("start"))
    monkeypatch.setattr(ping, "end", lambda _url, code, _text: pings.append(str(code)))
    monkeypatch.setattr(ping, "fail", lambda _url, text: pings.append(text))
    if disk == "full":
        request.getfixturevalue("full")
    project.check("--cron")
    assert pings == ["start", "2" if disk == "well" else f"can't write {project.state}: No space left on device"]


def test_a_provider_that_hangs_is_left_behind_at_the_deadline(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang(_self: object, _zone: bytes) -> None:
        released.wait(60)
        raise ProviderError("let go")

    monkeypatch.setattr(ZoneFile, "snapshot", hang)
    code, printed = project.check("--no-state", "--deadline", "1s", "--json")
    assert not released.is_set()
    released.set()
    found = {(one["id"], one["level"]): one["seen"] for one in json.loads(printed)["findings"]}
    assert code == 3
    assert "deadline" in found["PRV01", "unknown"]
    assert {level for _, level in found} == {"unknown"}


def test_a_provider_that_crashes_is_not_taken_for_a_slow_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_self: object, _zone: bytes) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr(ZoneFile, "snapshot", crash)
    with pytest.raises(IndexError, match="a bug"):
        project.check("--no-state")


def test_in_order_is_meant_by_one_configuration_and_one_set_of_checks() -> None:
    checks = ({"CON01"}, {"CON01", "CON02"}, {"CON02"}, set[str]())
    assert len({sample.digest(text, some) for text in ("one", "other") for some in checks}) == 8
    assert sample.digest("one", ["CON02", "CON01"]) == sample.digest("one", {"CON01", "CON02"})
