"""The account files of a project together with its platform: what the commands work with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from realmkit import accountfile, durable
from realmkit.accounts.apply import Applier
from realmkit.accounts.memory import Memory
from realmkit.accounts.platform import Platform
from realmkit.accounts.survey import Survey
from realmkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from realmkit.accounts.apply import Outcome
    from realmkit.accounts.survey import Planned
    from realmkit.clock import Clock
    from realmkit.config import Project
    from realmkit.kazoo.client import Crossbar


class Office:
    """Plans and applies the account files of a project.

    Args:
        project: the project.
        crossbar: a login at its platform.
    """

    def __init__(self, project: Project, crossbar: Crossbar) -> None:
        self._project = project
        self._memory = Memory(project.state_dir)
        self.platform = Platform(crossbar)
        self._survey = Survey(
            self.platform, project.directory, realms(project), tuple(project.config.zones), self._memory
        )  # fmt: skip

    def plans(self, names: Collection[str] = (), *, deep: bool = False) -> list[Planned]:
        """A plan for each file.

        Args:
            names: of the files; none for all.
            deep: read every account, changed or not.

        Raises:
            InputError: the project has no account files.
            ProviderError: the platform can't be read.
        """
        chosen = list(dict.fromkeys(names)) or accountfile.names(self._project.directory)
        if not chosen:
            where = self._project.directory / accountfile.DIRECTORY
            raise InputError(f"{where} has no account files", hint="`realmkit account new` writes one")
        return self._survey.plans(chosen, deep=deep)

    def apply(self, planned: Collection[Planned], say: Callable[[str, str], None]) -> Iterator[Outcome]:
        """Put planned files in force, one after the other; those with nothing to do are passed over.

        Args:
            planned: what `plans` gave.
            say: told each section as it begins, with the file's name.

        Raises:
            LockedError: another realmkit is at it. SecretError: a password is missing; nothing was sent then.
            ProviderError: the platform does not answer any more.
        """
        wanted = [one for one in planned if one.plan.kind in ("create", "change")]
        with durable.locked(self._project.state_dir / "accounts.lock"):
            applier = Applier(self.platform, self._survey, self._project.directory, self._memory, say)
            applier.passwords(wanted)
            for one in wanted:
                yield applier.apply(one)


@contextmanager
def open_office(project: Project, clock: Clock, *, accept_charges: bool = False) -> Iterator[Office]:
    """The office of a project, for one command.

    Args:
        project: the project.
        clock: time.
        accept_charges: whether changes may cost money.

    Raises:
        InputError: the platform is not configured.
    """
    from realmkit.kazoo.client import Crossbar

    kazoo = project.config.platform.kazoo
    if kazoo is None:
        raise project.document.error(("platform",), "the platform's API is not configured", "add kazoo: {url, api_key}")
    key = kazoo.api_key.reveal(project.directory)
    with Crossbar(kazoo.url, key, clock, accept_charges=accept_charges) as crossbar:
        yield Office(project, crossbar)


def realms(project: Project) -> dict[str, str]:
    """The realm that `realmkit.yml` gives to an account, by the file's name; not where it gives several."""
    found: dict[str, list[str]] = {}
    for realm, entry in project.config.realms.items():
        if entry is not None and entry.account is not None:
            found.setdefault(entry.account, []).append(realm)
    return {account: some[0].rstrip(".") for account, some in found.items() if len(some) == 1}
