"""`realmkit doctor`, the part about moves: the platform, the place that phones fetch from, the account files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realmkit.accountfile import open_account
from realmkit.dns.doctor.checkup import Check, failure
from realmkit.errors import RealmkitError
from realmkit.migrate.operations import sites_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realmkit.dns.work.desk import Desk

_NO_FILE = "realmkit-doctor"


def examine(desk: Desk) -> Iterator[Check]:
    """Look at what a move needs beside DNS; what is not configured is not looked at.

    Args:
        desk: the project.
    """
    config = desk.project.config
    if config.platform.kazoo is not None:
        yield _platform(desk)
    if config.phones is not None:
        yield _publisher(desk)
    for path in sorted((desk.project.directory / "accounts").glob("*.yml")):
        yield _account(desk, path.stem)


def _platform(desk: Desk) -> Check:
    from realmkit.kazoo.client import Crossbar

    kazoo = desk.project.config.platform.kazoo
    assert kazoo is not None  # noqa: S101 - asked by the caller
    try:
        with Crossbar(kazoo.url, kazoo.api_key.reveal(desk.project.directory), desk.clock) as crossbar:
            account = crossbar.account(crossbar.account_id)
    except RealmkitError as error:
        return failure("platform", error)
    return Check("platform", "ok", f"{kazoo.url} lets us in as {account.name}")


def _publisher(desk: Desk) -> Check:
    from realmkit.phones.publish import open_publisher

    try:
        publisher = open_publisher(desk.project)
        try:
            publisher.fetch(_NO_FILE)
        finally:
            publisher.close()
    except RealmkitError as error:
        return failure("phones", error)
    return Check("phones", "ok", "the place that they fetch from can be read")


def _account(desk: Desk, name: str) -> Check:
    try:
        file = open_account(desk.project.directory, name)
        sites = sites_of(file)
    except RealmkitError as error:
        return failure(f"account {name}", error)
    return Check(f"account {name}", "ok", f"{file.account.name}, {len(sites)} site{'s' * (len(sites) != 1)}")
