"""What every publisher keeps to, whatever lies behind it. Tests here and in the lab call these."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from realmkit.errors import InputError, RefusedError
from realmkit.phones.publish import Publisher

OLD = {"a.cfg": b"old a\n", "b.cfg": b"old \xff\x00 b" * 5000}
NEW = {"a.cfg": b"new a\n", "b.cfg": b"new b", "c.cfg": b"new c"}
WRONG_NAMES = ["", ".", "..", ".hidden", "a/b", "../a", "/etc/passwd", "a\nb", "a\0b", "a b", "ä", "x" * 129]


def published(root: Path) -> dict[str, bytes]:
    """Every file that a phone could fetch, temporary ones too."""
    return {one.name: one.read_bytes() for one in root.iterdir() if one.is_file()}


def lay_out(root: Path) -> None:
    for name, data in OLD.items():
        (root / name).write_bytes(data)


def it_publishes_and_puts_back(publisher: Publisher, root: Path) -> None:
    lay_out(root)
    publisher.publish(NEW, "run-1")
    assert published(root) == NEW
    assert {name: publisher.fetch(name) for name in NEW} == NEW
    assert publisher.fetch("d.cfg") is None
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in NEW} == {0o640}
    assert set(publisher.restore("run-1", [*NEW, "d.cfg"])) == set(NEW)
    assert published(root) == OLD


def a_repeat_keeps_what_was_kept_first(publisher: Publisher, root: Path) -> None:
    lay_out(root)
    publisher.publish({"a.cfg": NEW["a.cfg"]}, "run-1")
    publisher.publish(NEW, "run-1")
    publisher.publish({"a.cfg": b"third"}, "run-1")
    assert published(root)["a.cfg"] == b"third"
    for _ in range(2):
        publisher.restore("run-1", NEW)
        assert published(root) == OLD


def releases_are_undone_one_by_one(publisher: Publisher, root: Path) -> None:
    lay_out(root)
    publisher.publish(NEW, "run-1")
    publisher.publish({"a.cfg": b"later", "d.cfg": b"later"}, "run-2")
    publisher.restore("run-2", ["a.cfg", "d.cfg"])
    assert published(root) == NEW
    publisher.restore("run-1", NEW)
    assert published(root) == OLD


def what_is_kept_is_seen_by_nobody_else(publisher: Publisher, root: Path) -> None:
    lay_out(root)
    publisher.publish(NEW, "run-1")
    for one in (root / ".realmkit").rglob("*"):
        if one.is_dir() or one.stat().st_size:  # the marks of what was absent are empty
            assert stat.S_IMODE(one.stat().st_mode) == (0o700 if one.is_dir() else 0o600)
    assert stat.S_IMODE((root / ".realmkit").stat().st_mode) == 0o700


def what_is_forgotten_is_gone(publisher: Publisher, root: Path) -> None:
    lay_out(root)
    publisher.publish(NEW, "run-1")
    publisher.publish(NEW, "run-2")
    for _ in range(2):
        publisher.forget("run-1")
    assert [one.name for one in (root / ".realmkit/previous").iterdir()] == ["run-2"]
    assert publisher.restore("run-1", NEW) == ()
    assert published(root) == NEW


def wrong_names_are_refused(publisher: Publisher, root: Path) -> None:
    attempts: list[Callable[[str], object]] = [
        publisher.fetch,
        lambda name: publisher.publish({"a.cfg": b"", name: b""}, "run-1"),
        lambda name: publisher.publish({"a.cfg": b""}, name),
        publisher.forget,
    ]
    for name in WRONG_NAMES:
        for attempt in attempts:
            with pytest.raises(InputError, match="is no name for a"):
                attempt(name)
    assert list(root.iterdir()) == []


def what_is_no_file_is_not_replaced(publisher: Publisher, root: Path) -> None:
    (root / "elsewhere").write_bytes(b"somebody's")
    (root / "a.cfg").symlink_to("elsewhere")
    (root / "b.cfg").mkdir()
    for name in ("a.cfg", "b.cfg"):
        with pytest.raises(RefusedError, match="is no regular file"):
            publisher.fetch(name)
        with pytest.raises(RefusedError, match="is no regular file"):
            publisher.publish({name: b"x"}, "run-1")
    assert (root / "elsewhere").read_bytes() == b"somebody's"
    assert (root / "a.cfg").is_symlink()


LAWS = [
    it_publishes_and_puts_back, a_repeat_keeps_what_was_kept_first, releases_are_undone_one_by_one,
    what_is_kept_is_seen_by_nobody_else, what_is_forgotten_is_gone, wrong_names_are_refused,
    what_is_no_file_is_not_replaced,
]  # fmt: skip
