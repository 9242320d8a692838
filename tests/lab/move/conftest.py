"""Stages for the stories of a move, and what is printed about them in the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from realmkit.sandbox.cluster import Generation
from tests.lab import topology
from tests.lab.move import figures
from tests.lab.move.cast import Member
from tests.lab.move.figures import Figures
from tests.lab.move.stage import Stage
from tests.lab.servers import Knot, Named, Unbound
from tests.lab.topology import Lab

Build = Callable[..., Stage]
Tell = Callable[[Figures | str], None]


@pytest.fixture
def build(own_lab: Lab, named: Named, knot: Knot, unbound: Unbound, tmp_path: Path) -> Iterator[Build]:
    """Builds a stage with all phones up and registered at the old realm."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def made(generation: Generation, cast: Sequence[Member]) -> Stage:
            dns = topology.Cluster(named, (knot,))
            directory = tmp_path / str(next(numbers))
            stage = stack.enter_context(Stage(own_lab, dns, unbound, directory, generation, cast))
            stage.power_on()
            return stage

        yield made


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Takes the figures of a story, or a sentence about it."""

    def told(what: Figures | str) -> None:
        request.node.user_properties.append((figures.TOLD, msgspec.json.encode(what).decode()))

    return told
