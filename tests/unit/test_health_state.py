"""What one health check leaves for the next, and that it is never begun anew in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from realmkit.errors import UNKNOWN, UnreadableStateError
from realmkit.health import state as stored
from realmkit.health.state import Lowered, Remembered, State

NOW = datetime(2026, 11, 26, 3, 0, 0, 250000, tzinfo=UTC)
WHOLE = State(
    (Remembered("SIP01", "acme.example.", "error", "is broken", NOW, "192.0.2.1", 3, True, NOW, "warning"),),
    {"example.": {"192.0.2.1": 2026112601}},
    {"example.": NOW.isoformat()},
    7,
    {"acme.example.": Lowered(300, 3600, NOW)},
)


def test_a_project_that_was_never_checked_has_an_empty_state(tmp_path: Path) -> None:
    assert stored.load(tmp_path / "health.json") == State()


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state" / "health.json"
    stored.save(path, WHOLE)
    assert stored.load(path) == WHOLE
    assert [one.name for one in path.parent.iterdir()] == ["health.json"]


def test_times_are_utc_by_rfc_3339(tmp_path: Path) -> None:
    stored.save(tmp_path / "h", WHOLE)
    assert json.loads((tmp_path / "h").read_text())["state"]["findings"][0]["since"] == "2026-11-26T03:00:00.250000Z"


def test_twenty_thousand_open_findings_stay_small(tmp_path: Path) -> None:
    many = tuple(
        Remembered("SIP01", f"r{number}.voice.example.com.", "error", "x" * 80, NOW, "", 2, True, NOW, "error")
        for number in range(20_000)
    )
    stored.save(tmp_path / "h", State(many))
    assert (tmp_path / "h").stat().st_size < 8_000_000
    assert len(stored.load(tmp_path / "h").findings) == 20_000


DAMAGES: dict[str, Callable[[str], str]] = {
    "cut off": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "no JSON": lambda text: "nonsense",
    "another kind": lambda text: text.replace("health-state", "ledger"),
    "a time without zone": lambda text: text.replace("03:00:00.250000Z", "03:00:00.250000"),
    "an unknown level": lambda text: text.replace('"level":"error"', '"level":"bad"'),
    "twice": lambda text: text.replace(
        '"findings":[', '"findings":[' + text[text.index('{"id"') : text.index("]")] + ","
    ),
    "a negative turn": lambda text: text.replace('"turn":7', '"turn":-7'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_an_error_that_could_not_tell(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "health.json"
    stored.save(path, WHOLE)
    before = path.read_text()
    path.write_text(DAMAGES[damage](before))
    assert path.read_text() != before
    with pytest.raises(UnreadableStateError, match="damaged") as caught:
        stored.load(path)
    assert caught.value.exit_code == UNKNOWN == 3
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    path.write_bytes(msgspec.json.encode({"kind": stored.KIND, "version": 2, "state": {"findings": "otherwise"}}))
    with pytest.raises(UnreadableStateError, match="version 2"):
        stored.load(path)


def test_a_file_that_can_not_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    path.mkdir()
    with pytest.raises(UnreadableStateError, match="can't read"):
        stored.load(path)
    with pytest.raises(UnreadableStateError, match="can't write"):
        stored.save(path, WHOLE)
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableStateError, match="can't open the lock"), stored.locked(tmp_path / "file" / "h"):
        pytest.fail("it is locked")


def test_two_checks_at_once_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    with (
        stored.locked(path),
        pytest.raises(UnreadableStateError, match="another health check") as caught,
        stored.locked(path),
    ):
        pytest.fail("both have it")
    assert caught.value.exit_code == UNKNOWN
    with stored.locked(path):
        stored.save(path, WHOLE)
