"""Death at chosen moments: before and after every line of the journal, and after every effect on the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from realmkit.dns.work import workflow
from realmkit.migrate import events as ev
from realmkit.migrate.journal import Journal
from realmkit.phones.publish import KeepingPublisher
from realmkit.sandbox import crossbar


class Death(BaseException):
    """The process is gone. No RealmkitError, not even an Exception: nothing may catch it."""


class Reaper:
    """Ends the process at the moments that `strikes` picks, each moment once.

    A moment is told by what is happening, so that a second attempt at the same thing is not struck again.

    Attributes:
        moments: every moment that came, in order.
    """

    def __init__(self, strikes: Callable[[int], bool]) -> None:
        self.moments: list[str] = []
        self._strikes = strikes
        self._met: set[str] = set()

    def meet(self, moment: str) -> None:
        if moment in self._met:
            return
        self._met.add(moment)
        self.moments.append(moment)
        if self._strikes(len(self.moments) - 1):
            raise Death(moment)

    @contextmanager
    def at_work(self) -> Iterator[Reaper]:
        """Wrapped around the journal, the platform's API, the publisher and the zones."""
        with pytest.MonkeyPatch.context() as patch:
            append, publish, restore = Journal.append, KeepingPublisher.publish, KeepingPublisher.restore
            apply_plan, in_process = workflow.apply_plan, crossbar._InProcess.handle_request

            def appended(journal: Journal, migration: str, at: Any, what: ev.What) -> ev.Event:
                word = f"{type(what).__name__} {getattr(what, 'task', '')}"
                self.meet(f"before {word}")
                event = append(journal, migration, at, what)
                self.meet(f"after {word}")
                return event

            def published(publisher: KeepingPublisher, files: Any, release: str) -> None:
                publish(publisher, files, release)
                self.meet(f"published {release}")

            def restored(publisher: KeepingPublisher, release: str, names: Any) -> Any:
                touched = restore(publisher, release, names)
                self.meet(f"restored {release}")
                return touched

            def applied(desk: Any, file: Any, **more: Any) -> Any:
                result = apply_plan(desk, file, **more)
                self.meet(f"applied {file.plan.digest}")
                return result

            def asked(transport: Any, request: httpx2.Request) -> httpx2.Response:
                answer: httpx2.Response = in_process(transport, request)
                if request.method != "GET" and not request.url.path.endswith("api_auth"):
                    self.meet(f"{request.method} {request.url.path} {request.content!r}")
                return answer

            patch.setattr(Journal, "append", appended)
            patch.setattr(KeepingPublisher, "publish", published)
            patch.setattr(KeepingPublisher, "restore", restored)
            patch.setattr(workflow, "apply_plan", applied)
            patch.setattr(crossbar._InProcess, "handle_request", asked)
            yield self
