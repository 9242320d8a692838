"""Publishing to a directory: the laws of every publisher, a disk that fails, and kill -9 at any moment."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realmkit.config import open_project
from realmkit.errors import InputError, RejectedError
from realmkit.phones.directory import Directory
from realmkit.phones.publish import KeepingPublisher, Publisher, open_publisher
from tests.unit import publishlaws
from tests.unit.publishlaws import NEW, OLD, lay_out, published
from tests.unit.zoneplace import in_child

CONFIG = """version: 1
platform: {edge: {proxies: [{host: us-east.example.net}]}}
zones: {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "www"
    made.mkdir()
    return made


def publisher_of(root: Path) -> Publisher:
    return KeepingPublisher(Directory(root))


@pytest.mark.parametrize("law", publishlaws.LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[Publisher, Path], None], root: Path) -> None:
    law(publisher_of(root), root)


def test_without_the_directory_nothing_is_said_to_be_absent(root: Path) -> None:
    publisher = publisher_of(root / "missing")
    for attempt in (lambda: publisher.fetch("a.cfg"), lambda: publisher.publish(NEW, "run-1"),
                    lambda: publisher.restore("run-1", NEW)):  # fmt: skip
        with pytest.raises(RejectedError, match="missing is no directory; nothing was changed"):
            attempt()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file another group needs root")
def test_the_web_servers_group_may_read(root: Path) -> None:
    os.chown(root, -1, 33)
    lay_out(root)
    publisher_of(root).publish(NEW, "run-1")
    assert {(root / name).stat().st_gid for name in NEW} == {33}


# --- a disk that fails -----------------------------------------------------------------------------------------------

FAILING = ["open", "write", "fsync", "fchmod", "replace", "mkdir"]


@pytest.mark.parametrize("call", FAILING)
def test_whichever_call_fails_every_file_is_whole(call: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(root)
    real = getattr(os, call)
    for nth in range(60):
        calls = iter(range(10000))

        def failing(*arguments: Any, _nth: int = nth, _calls: Any = calls, **keywords: Any) -> object:
            if next(_calls) == _nth:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            message = refusal(lambda: publisher_of(root).publish(NEW, "run-1"))
        for name, data in published(root).items():
            assert data in (OLD.get(name), NEW[name])
        assert not [name for name in published(root) if name.startswith(".")]
        publisher_of(root).restore("run-1", NEW)
        assert published(root) == OLD
        publisher_of(root).forget("run-1")
        if not message:
            assert nth > 0
            return
        assert "No space left on device" in message
    pytest.fail("never came to an end")


def refusal(attempt: Callable[[], object]) -> str:
    """The message with which it was refused, or nothing."""
    try:
        attempt()
    except RejectedError as error:
        return error.message
    return ""


# --- kill -9 ---------------------------------------------------------------------------------------------------------

TRACED = ["open", "write", "fsync", "fchown", "fchmod", "replace", "unlink", "mkdir", "rmdir"]


def killed_at(nth: int, work: Callable[[], object]) -> Callable[[], None]:
    """The work, in a process that is killed at its n-th system call that touches files; a write is torn in two."""

    def run() -> None:
        calls = iter(range(10000))
        for name in TRACED:
            real = getattr(os, name)

            def traced(*arguments: Any, _real: Any = real, _name: str = name, **keywords: Any) -> object:
                if next(calls) == nth:
                    if _name == "write":
                        descriptor, data = arguments
                        _real(descriptor, data[: len(data) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return _real(*arguments, **keywords)

            setattr(os, name, traced)
        work()

    return run


def kept(root: Path, release: str = "run-1") -> dict[str, bytes]:
    folder = root / ".realmkit/previous" / release
    if not folder.is_dir():
        return {}
    return {one.name: one.read_bytes() for one in folder.iterdir() if not one.name.endswith(".realmkit-new")}


FULLY_KEPT = OLD | {".absent.c.cfg": b""}


def fresh(root: Path, *, with_release: bool) -> None:
    shutil.rmtree(root)
    root.mkdir()
    lay_out(root)
    if with_release:
        publisher_of(root).publish(NEW, "run-1")


def whole(root: Path) -> None:
    """Nothing that a web server could give away is torn, and nothing kept is anything but what was there first."""
    for name, data in published(root).items():
        if name.startswith("."):
            assert name.endswith(".realmkit-new")
            assert stat.S_IMODE((root / name).stat().st_mode) & 0o007 == 0
        else:
            assert data in (OLD.get(name), NEW[name])
    for name, data in kept(root).items():
        assert data == FULLY_KEPT[name]


def every_kill(root: Path, work: Callable[[], object], after: Callable[[], None], *, with_release: bool) -> int:
    """Kill the work at each of its calls, look that all is whole, and let `after` show that it can go on."""
    for nth in range(500):
        fresh(root, with_release=with_release)
        code = in_child(killed_at(nth, work))
        assert code in (0, -signal.SIGKILL)
        whole(root)
        after()
        if code == 0:
            return nth
    return pytest.fail("never came to an end")


def test_a_killed_publish_is_simply_made_again(root: Path) -> None:
    def again() -> None:
        publisher_of(root).publish(NEW, "run-1")
        assert published(root) == NEW
        assert kept(root) == FULLY_KEPT
        publisher_of(root).restore("run-1", NEW)
        assert published(root) == OLD

    assert every_kill(root, lambda: publisher_of(root).publish(NEW, "run-1"), again, with_release=False) > 30


def test_a_killed_publish_is_undone_at_once(root: Path) -> None:
    def undone() -> None:
        publisher_of(root).restore("run-1", NEW)
        assert published(root) == OLD

    every_kill(root, lambda: publisher_of(root).publish(NEW, "run-1"), undone, with_release=False)


def test_a_killed_restore_is_simply_made_again(root: Path) -> None:
    def again() -> None:
        assert kept(root) == FULLY_KEPT
        publisher_of(root).restore("run-1", NEW)
        assert published(root) == OLD

    every_kill(root, lambda: publisher_of(root).restore("run-1", NEW), again, with_release=True)


def test_a_killed_forget_leaves_all_or_nothing_to_restore(root: Path) -> None:
    seen = set()

    def all_or_nothing() -> None:
        seen.add(len(kept(root)))
        assert kept(root) in ({}, FULLY_KEPT)
        publisher_of(root).forget("run-1")
        assert list((root / ".realmkit/previous").iterdir()) == []

    every_kill(root, lambda: publisher_of(root).forget("run-1"), all_or_nothing, with_release=True)
    assert seen == {0, len(FULLY_KEPT)}


# --- the configuration -----------------------------------------------------------------------------------------------


def test_the_directory_of_the_configuration_is_the_projects(tmp_path: Path) -> None:
    (tmp_path / "realmkit.yml").write_text(CONFIG + "phones: {publish: {type: directory, path: www}}\n")
    (tmp_path / "www").mkdir()
    publisher = open_publisher(open_project(tmp_path))
    publisher.publish(NEW, "run-1")
    publisher.close()
    assert published(tmp_path / "www") == NEW


@pytest.mark.parametrize(("text", "says"), [
    ("", "where phones fetch their files is not said"),
    ("phones: {publish: {type: sftp, path: /www}}\n", "realmkit.yml:4:.*phones.publish.* needs the key 'host'"),
    ("phones: {publish: {type: sftp, path: /www, host: h}}\n", "needs the key 'user'"),
])  # fmt: skip
def test_a_configuration_that_says_too_little(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "realmkit.yml").write_text(CONFIG + text)
    with pytest.raises(InputError, match=says):
        open_publisher(open_project(tmp_path))
