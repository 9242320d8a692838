"""Fixtures of the whole suite: the lab of real servers, and what happens to lab tests where there can be none.

A test that is marked `lab` (everything under tests/lab is) runs inside the run's network namespace and may ask for
the fixtures below. Where the lab can't be had its tests are skipped, one line at the end says so and how to have
them, and with REALMKIT_LAB=required they fail instead.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.alone import Machine
from tests.lab.move import figures
from tests.lab.namespace import Namespace
from tests.lab.server import PROGRAMS
from tests.lab.servers import Knot, Named, Nsd, PowerDns, Unbound
from tests.lab.topology import Cluster, Lab
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.published import Published
from tests.standins.route53 import Route53StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

# Commands that tests start find compiled modules, as a user's do; some environments forbid keeping them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

LEFT_OUT = pytest.StashKey[set[str]]()
MACHINE = pytest.StashKey[Machine]()
SHARED = "REALMKIT_TESTS_SHARE"  # names a directory to all processes of a test run
HOW = "`make test` as root on Debian installs what the lab needs and runs them"


def missing() -> str | None:
    """Why there is no lab here, or None."""
    if os.environ.get("LAB") == "no" and os.environ.get("REALMKIT_LAB") != "required":
        return "LAB=no"
    if os.geteuid() != 0:
        return "a network namespace needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    return f"not installed: {' '.join(absent)}" if absent else None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = set()
    if not hasattr(config, "workerinput"):  # the first of the run's processes; the others are told by the environment
        shared = tempfile.TemporaryDirectory(prefix="realmkit-tests-")
        os.environ[SHARED] = shared.name
        config.add_cleanup(shared.cleanup)
    config.stash[MACHINE] = machine = Machine(Path(os.environ[SHARED]))
    config.add_cleanup(machine.close)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("lab") is None or (reason := missing()) is None:
        return
    item.config.stash[LEFT_OUT].add(item.nodeid)
    if os.environ.get("REALMKIT_LAB") == "required":
        pytest.fail(f"REALMKIT_LAB=required, but there is no lab: {reason}", pytrace=False)
    pytest.skip(f"no lab: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test that is marked `alone` has the machine to itself, from its fixtures to their end."""
    with item.config.stash[MACHINE].taken(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Several processes ran the tests: gather what each of them left out."""
    node.config.stash[LEFT_OUT].update(getattr(node, "workeroutput", {}).get("left out", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    left_out: set[str] = session.config.stash[LEFT_OUT]
    if hasattr(session.config, "workeroutput"):  # this is one of several processes
        session.config.workeroutput["left out"] = sorted(left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [one for how in ("passed", "failed") for one in terminalreporter.stats.get(how, ())]
    told = [text for one in reports if one.when == "call" for name, text in one.user_properties if name == figures.TOLD]
    if told:
        terminalreporter.section("moves in the lab")
        for line in figures.summary(told):
            terminalreporter.write_line(line)
    left_out = config.stash[LEFT_OUT]
    if left_out:
        files = sorted({nodeid.partition("::")[0] for nodeid in left_out})
        terminalreporter.write_line(
            f"left out: {len(left_out)} lab tests in {' '.join(files)} ({missing()}); {HOW}", yellow=True
        )


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    """The run's network namespace."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    there = Namespace()
    yield there
    there.close()


@pytest.fixture(scope="session")
def lab(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Starts servers for the whole run; zones are a test's own: `lab.zone_name()`."""
    there = Lab(namespace, tmp_path_factory.mktemp("lab"))
    yield there
    there.stop()


@pytest.fixture(autouse=True)
def _inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lab tests run inside the namespace, all others outside."""
    wanted = request.node.get_closest_marker("lab") is not None
    there: Namespace | None = request.getfixturevalue("namespace") if wanted else None
    with there.inside() if there else nullcontext():
        yield


@pytest.fixture
def own_lab(namespace: Namespace, lab: Lab) -> Iterator[Lab]:
    """Starts servers for one test, which it may freeze, stop and kill."""
    with lab.guest() as guest:
        yield guest


@pytest.fixture(scope="session")
def named(lab: Lab) -> Named:
    """A BIND that all tests share; add zones of your own."""
    return lab.start(Named)


@pytest.fixture(scope="session")
def knot(lab: Lab) -> Knot:
    """A Knot DNS that all tests share; add zones of your own."""
    return lab.start(Knot)


@pytest.fixture(scope="session")
def nsd(lab: Lab) -> Nsd:
    """An NSD that all tests share; add zones of your own."""
    return lab.start(Nsd)


@pytest.fixture(scope="session")
def pdns(lab: Lab) -> PowerDns:
    """A PowerDNS with its API that all tests share; add zones of your own."""
    return lab.start(PowerDns)


@pytest.fixture(scope="session")
def unbound(lab: Lab) -> Unbound:
    """A resolver that all tests share; add stubs for zones of your own."""
    return lab.start(Unbound)


@pytest.fixture(scope="session")
def cluster(lab: Lab) -> Cluster:
    """A named primary with knot, nsd and PowerDNS secondaries that all tests share."""
    return lab.primary_with_secondaries()


@pytest.fixture(scope="session")
def route53_cloud(namespace: Namespace, knot: Knot) -> Iterator[Route53StandIn]:
    """A Route 53 with its API, whose zones `knot` serves; add hosted zones of your own."""
    there = Route53StandIn(Published(knot))
    with namespace.inside():
        there.start()
    yield there
    there.stop()
    assert there.failures == []


@pytest.fixture(scope="session")
def cloudflare_api(namespace: Namespace, knot: Knot) -> Iterator[CloudflareStandIn]:
    """A Cloudflare with its API, whose zones `knot` serves; add accounts and zones of your own."""
    with namespace.inside():
        there = CloudflareStandIn(Published(knot))
        there.start()
    yield there
    there.stop()
    assert there.failures == []
