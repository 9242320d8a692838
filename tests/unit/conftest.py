"""The clouds' stand-ins without a name server behind them: one of each for a module, a fresh account for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.front import Front
from tests.standins.cloudflare import CloudflareStandIn
from tests.standins.route53 import Route53StandIn
from tests.unit.heldtoschemas import SCHEMAS, hold_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.standins.cloudflare_play import Play


@pytest.fixture(scope="session", autouse=True)
def held_to_schemas() -> Iterator[None]:
    """Every body that a sandbox platform takes or gives fits Kazoo's own schemas, where a copy of them is there."""
    end = hold_all() if SCHEMAS.is_dir() else lambda: None
    yield
    end()


@pytest.fixture(scope="module")
def service() -> Iterator[CloudflareStandIn]:
    """A Cloudflare; a module's tests make zones and accounts of their own."""
    with CloudflareStandIn() as cloudflare:
        yield cloudflare
    assert cloudflare.failures == []


@pytest.fixture
def play(service: CloudflareStandIn) -> Iterator[Play]:
    """The zone `z.example` there, and the provider beside it."""
    from tests.standins.cloudflare_play import Play

    yield Play(service)
    service.delete_zone("z.example")
    service.most_per_page = 5000


@pytest.fixture
def front(play: Play) -> Iterator[Front]:
    """Stands between; `play.provider` goes through it."""
    with Front(play.there.url) as proxy:
        play.provider = play.make(proxy.url + "/client/v4")
        yield proxy


@pytest.fixture(scope="module")
def aws() -> Iterator[Route53StandIn]:
    """A Route 53 with its token service."""
    with Route53StandIn() as service:
        yield service


@pytest.fixture
def cloud(aws: Route53StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Route53StandIn:
    """It, with a fresh account, asked from an empty home without any credentials."""
    from tests.unit.route53_clouds import at_home

    at_home(monkeypatch, tmp_path)
    aws.account = aws.new_account()
    aws.polls = 0
    aws.per_second = None
    return aws
