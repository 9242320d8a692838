"""Publishing over SFTP to a real OpenSSH server."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from realmkit.config import open_project
from realmkit.errors import AuthError, InputError, OutcomeUnknownError, RejectedError, UnreachableError
from realmkit.phones import sftp
from realmkit.phones.publish import KeepingPublisher, Publisher, open_publisher
from realmkit.phones.sftp import Sftp
from realmkit.phones.ssh import Account, HostKeyError
from tests.lab.server import wait_for
from tests.lab.sshd import Sshd
from tests.lab.topology import Lab
from tests.unit import publishlaws
from tests.unit.publishlaws import NEW, OLD, lay_out, published


@pytest.fixture(scope="module")
def sshd(lab: Lab) -> Sshd:
    return lab.start(Sshd)


@pytest.fixture
def root(sshd: Sshd) -> Path:
    """The published folder, emptied."""
    subprocess.run(["find", str(sshd.root), "-mindepth", "1", "-delete"], check=True)
    return sshd.root


def account(server: Sshd, tmp_path: Path, **other: Any) -> Account:
    known = tmp_path / "known_hosts"
    if not known.exists():
        known.write_text(server.known_hosts())
    given = {"host": server.address, "port": server.port, "user": "root", "path": Sshd.PATH, "known_hosts": known,
             "key_file": server.client_key, "timeout": 5.0}  # fmt: skip
    return Account(**{**given, **other})


@pytest.fixture
def publisher(sshd: Sshd, tmp_path: Path) -> Iterator[Publisher]:
    made = KeepingPublisher(Sftp(account(sshd, tmp_path)))
    yield made
    made.close()


def refused(server: Sshd, tmp_path: Path, kind: type[Exception], **other: Any) -> Any:
    """The error with which a publish is refused, and no file is touched."""
    made = KeepingPublisher(Sftp(account(server, tmp_path, **other)))
    try:
        with pytest.raises(kind) as caught:
            made.publish(NEW, "run-1")
    finally:
        made.close()
    return caught.value


@pytest.mark.parametrize("law", publishlaws.LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[Publisher, Path], None], publisher: Publisher, root: Path) -> None:
    law(publisher, root)


def test_the_web_servers_group_may_read(publisher: Publisher, root: Path) -> None:
    os.chown(root, -1, 33)
    try:
        publisher.publish(NEW, "run-1")
        assert {(root / name).stat().st_gid for name in NEW} == {33}
    finally:
        os.chown(root, -1, 0)


def test_it_is_opened_by_the_projects_configuration(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(sshd.known_hosts())
    (tmp_path / "realmkit.yml").write_text(f"""version: 1
platform: {{edge: {{proxies: [{{host: us-east.example.net}}]}}}}
zones: {{}}
phones: {{publish: {{type: sftp, path: /cfg, host: {sshd.address}, user: root, key_file: {sshd.client_key}}}}}
""")
    publisher = open_publisher(open_project(tmp_path))
    publisher.publish(NEW, "run-1")
    publisher.close()
    assert published(root) == NEW


# --- who is at the other end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["", "elsewhere.example "])
def test_an_unknown_server_is_refused_with_the_line_that_makes_it_known(
    known: str, sshd: Sshd, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text(sshd.known_hosts(known.strip()) if known else "")
    error = refused(sshd, tmp_path, HostKeyError)
    assert sshd.fingerprint() in error.message
    assert sshd.known_hosts().strip() in error.hint
    assert published(root) == {}
    with (tmp_path / "known_hosts").open("a") as file:
        file.write(error.hint.splitlines()[-1].strip() + "\n")
    made = KeepingPublisher(Sftp(account(sshd, tmp_path)))
    made.publish(NEW, "run-1")
    made.close()


def test_without_a_known_hosts_file_every_server_is_unknown(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    error = refused(sshd, tmp_path, HostKeyError, known_hosts=tmp_path / "none")
    assert f"is not in {tmp_path / 'none'}" in error.message


def test_a_server_with_another_key_is_refused(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(sshd.known_hosts(key="other"))
    error = refused(sshd, tmp_path, HostKeyError)
    assert sshd.fingerprint() in error.message
    assert sshd.fingerprint("other") in error.message
    assert published(root) == {}


def test_a_hashed_known_hosts_file_will_do(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(sshd.known_hosts())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert sshd.address not in known.read_text()
    made = KeepingPublisher(Sftp(account(sshd, tmp_path)))
    made.publish(NEW, "run-1")
    made.close()


def test_a_key_that_may_not_log_in(sshd: Sshd, tmp_path: Path) -> None:
    error = refused(sshd, tmp_path, AuthError, key_file=sshd.directory / "other")
    assert "does not accept the key" in error.message
    assert "no such file" in refused(sshd, tmp_path, InputError, key_file=tmp_path / "nokey").message


def test_a_key_with_a_passphrase(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    key.write_bytes(sshd.client_key.read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True)
    assert "passphrase" in refused(sshd, tmp_path, AuthError, key_file=key).message
    where = account(sshd, tmp_path, key_file=key, passphrase="open sesame")
    assert "sesame" not in repr(where)
    made = KeepingPublisher(Sftp(where))
    made.publish(NEW, "run-1")
    made.close()


def test_nobody_there(sshd: Sshd, tmp_path: Path) -> None:
    error = refused(sshd, tmp_path, UnreachableError, port=2222)
    assert f"no SSH connection to root@{sshd.address}:2222" in error.message


def test_a_published_directory_that_is_not_there(sshd: Sshd, tmp_path: Path) -> None:
    assert "/none" in refused(sshd, tmp_path, RejectedError, path="/none").message
    (sshd.root / "file").write_bytes(b"")
    assert "is no directory" in refused(sshd, tmp_path, RejectedError, path="/cfg/file").message


# --- what goes wrong on the way --------------------------------------------------------------------------------------


def interfere(monkeypatch: pytest.MonkeyPatch, nth: int, with_what: Callable[[], None]) -> None:
    """Do something just before the nth rename that puts a file in place."""
    real, calls = sftp.Channel._fill, iter(range(1000))

    def fill(self: sftp.Channel, temporary: str, data: bytes, mode: int) -> None:
        real(self, temporary, data, mode)
        if next(calls) == nth:
            with_what()

    monkeypatch.setattr(sftp.Channel, "_fill", fill)


@pytest.mark.parametrize("nth", range(5))
def test_a_connection_that_is_cut_leaves_whole_files_and_reading_decides(
    nth: int, sshd: Sshd, root: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five files are written: two that are kept, three that are published."""
    lay_out(root)
    with monkeypatch.context() as patch:
        interfere(patch, nth, sshd.cut)
        with pytest.raises(OutcomeUnknownError, match=r"the connection was lost .* while writing"):
            publisher.publish(NEW, "run-1")
    for name in NEW:
        assert publisher.fetch(name) in (OLD.get(name), NEW[name])
    publisher.publish(NEW, "run-1")
    assert published(root) == NEW
    publisher.restore("run-1", NEW)
    assert published(root) == OLD


def test_a_cut_publish_is_undone_and_leaves_nothing_behind(
    sshd: Sshd, root: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(root)
    with monkeypatch.context() as patch:
        interfere(patch, 3, sshd.cut)
        with pytest.raises(OutcomeUnknownError):
            publisher.publish(NEW, "run-1")
    assert [name for name in published(root) if name.startswith(".")] != []
    publisher.restore("run-1", NEW)
    assert published(root) == OLD


def test_a_server_that_falls_silent(sshd: Sshd, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(root)
    publisher = KeepingPublisher(Sftp(account(sshd, tmp_path, timeout=0.7)))
    frozen: list[int] = []

    def freeze() -> None:
        frozen.extend(sshd.sessions())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)

    try:
        with monkeypatch.context() as patch:
            interfere(patch, 3, freeze)
            started = time.monotonic()
            with pytest.raises(OutcomeUnknownError, match="no answer in time"):
                publisher.publish(NEW, "run-1")
            assert time.monotonic() - started < 5
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        publisher.publish(NEW, "run-1")
        assert published(root) == NEW
    finally:
        publisher.close()


def test_a_full_disk_leaves_the_old_files_standing(own_lab: Lab, tmp_path: Path) -> None:
    server = own_lab.start(Sshd, disk="128k")
    old = {f"p{n}.cfg": b"old " * 1000 for n in range(8)}
    for name, data in old.items():
        (server.root / name).write_bytes(data)
    ballast = server.root / ".ballast"
    ballast.write_bytes(b"x" * 32768)
    publisher = KeepingPublisher(Sftp(account(server, tmp_path)))
    try:
        with pytest.raises(RejectedError, match="the old one stands") as caught:
            publisher.publish(dict.fromkeys(old, b"new " * 4000), "run-1")
        assert "disk" in str(caught.value.hint)
        ballast.unlink()
        for name, data in published(server.root).items():
            assert data in (old[name], b"new " * 4000)
        assert set(published(server.root)) == set(old)
        publisher.restore("run-1", old)
        assert published(server.root) == old
    finally:
        publisher.close()


def test_a_server_without_posix_rename_is_told_so(own_lab: Lab, tmp_path: Path) -> None:
    server = own_lab.start(Sshd, sftp="-P posix-rename")
    lay_out(server.root)
    error = refused(server, tmp_path, RejectedError)
    assert "posix-rename" in error.hint
    assert published(server.root) == OLD


def test_a_folder_that_may_not_be_written(own_lab: Lab, tmp_path: Path) -> None:
    server = own_lab.start(Sshd, sftp="-R")
    lay_out(server.root)
    error = refused(server, tmp_path, RejectedError)
    assert "Permission denied" in error.message
    assert published(server.root) == OLD


# --- many files ------------------------------------------------------------------------------------------------------

MANY = {f"{n:012x}.cfg": f"#!version:1.0.0.1\naccount.1.user_name = u{n}\n".encode() * 40 for n in range(400)}


def test_many_files_go_over_several_channels_of_one_connection(sshd: Sshd, root: Path, publisher: Publisher) -> None:
    started = time.monotonic()
    publisher.publish(MANY, "run-1")
    took = time.monotonic() - started
    assert published(root) == MANY
    assert len(sshd.sessions()) == 1
    changed = {name: data + b"# again\n" for name, data in MANY.items()}
    publisher.publish(changed, "run-2")
    publisher.restore("run-2", changed)
    assert published(root) == MANY
    assert took < 20


def test_a_server_that_allows_fewer_channels_is_used_as_it_allows(own_lab: Lab, tmp_path: Path) -> None:
    server = own_lab.start(Sshd, options="MaxSessions 2")
    publisher = KeepingPublisher(Sftp(account(server, tmp_path)))
    some = dict(list(MANY.items())[:60])
    publisher.publish(some, "run-1")
    publisher.close()
    assert published(server.root) == some


def test_a_cut_in_the_middle_of_many_is_one_error_and_no_torn_file(
    sshd: Sshd, root: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interfere(patch, 100, sshd.cut)
        with pytest.raises((OutcomeUnknownError, UnreachableError)):
            publisher.publish(MANY, "run-1")
    seen = {name: data for name, data in published(root).items() if not name.startswith(".")}
    assert 0 < len(seen) < 400
    assert all(MANY[name] == data for name, data in seen.items())
    publisher.publish(MANY, "run-1")
    publisher.restore("run-1", MANY)
    assert published(root) == {}


def test_nothing_stays_when_the_server_stops(lab: Lab, tmp_path: Path) -> None:
    with lab.guest() as guest:
        server = guest.start(Sshd)
        pid, jail = server.pid, server.jail
        made = KeepingPublisher(Sftp(account(server, tmp_path)))
        made.publish(NEW, "run-1")
        made.close()
        wait_for("the session ends", lambda: not server.sessions())
    assert not jail.exists()
    assert not Path(f"/proc/{pid}").exists()
