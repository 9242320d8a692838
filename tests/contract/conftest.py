"""Which harnesses there are, and which tests each of them gets."""

from __future__ import annotations

import itertools
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

import pytest

from realmkit.dns import names
from tests.contract.cases import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from realmkit.dns.names import Name
    from tests.contract.harness import Harness

GROUP = "realmkit.contract"
NUMBERS = itertools.count(1)
OURS = (
    "tests.contract.powerdns:PowerDnsHarness",
    "tests.contract.rfc2136:OnNamed",
    "tests.contract.rfc2136:OnKnot",
    "tests.contract.rfc2136:OnPowerDns",
    "tests.contract.zonefile:OnNamed",
    "tests.contract.zonefile:OnKnot",
    "tests.contract.zonefile:OnNsd",
    "tests.contract.octodns:OctoDnsOnPowerDns",
    "tests.contract.octodns:OctoDnsOnNamed",
    "tests.contract.route53:Route53Harness",
    "tests.contract.cloudflare:CloudflareHarness",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--harness", action="append", default=[], help="MODULE:CLASS of a contract harness of your own")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*words): features or capabilities without which a contract test is void")


def harnesses(config: pytest.Config) -> list[type[Harness]]:
    """Ours, those of installed packages, and those of the command line."""
    named = [*OURS, *config.getoption("--harness", default=[])]
    points = [EntryPoint(name, name, GROUP) for name in named] + list(entry_points(group=GROUP))
    return [cast("type[Harness]", point.load()) for point in points]


def can(harness: type[Harness], word: str) -> bool:
    """Whether a backend has a feature, or its provider a capability."""
    able = harness.provider.capabilities
    return {"atomic": able.atomic, "zone-cas": able.cas == "zone", "notes": able.notes,
            "max_bytes": able.max_bytes is not None, "hard_limit": harness.hard_limit is not None,
            }.get(word, word in harness.features)  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "harness" not in metafunc.fixturenames:
        return
    needed = [word for mark in metafunc.definition.iter_markers("needs") for word in mark.args]
    able = [one for one in harnesses(metafunc.config) if all(can(one, word) for word in needed)]
    marks = {one: [pytest.mark.lab] if one.lab else [] for one in able}
    second = next((word for word in ("case", "plight") if word in metafunc.fixturenames), None)
    if second is None:
        params = [pytest.param(one, marks=marks[one], id=one.name) for one in able]
        metafunc.parametrize("harness", params, indirect=True)
        return
    played: list[tuple[type[Harness], object, str]]
    if second == "case":
        played = [(one, case, case.id) for one in able for case in CASES if case.id not in one.cannot]
    else:
        played = [(one, plight, plight) for one in able for plight in one.plights if plight in metafunc.module.REFUSED]
    pairs = [pytest.param(one, it, marks=marks[one], id=f"{one.name}-{word}") for one, it, word in played]
    metafunc.parametrize(("harness", second), pairs, indirect=["harness"])


@pytest.fixture
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
    """The backend of this test."""
    return cast("type[Harness]", request.param).make(request, tmp_path)


@pytest.fixture
def zone(harness: Harness) -> Name:
    """A zone name that no other test uses."""
    return names.absolute(harness.zone_name(next(NUMBERS)))
