"""Everything in this folder needs the lab. What moves phones in real time has the machine to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MOVE = HERE / "move"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)
        if MOVE in item.path.parents:
            item.add_marker(pytest.mark.alone)
