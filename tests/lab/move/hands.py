"""People in the lab: they reconfigure the phones that no NOTIFY moves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from realmkit.clock import SystemClock
from realmkit.sandbox.kamailio import KamailioRegistrar

CLOCK = SystemClock()


class Hands:
    """The people who reconfigure phones that no NOTIFY moves.

    A second after a phone's file has changed somebody copies it into the phone, and so starts it anew; a look at the
    display some seconds later says whether it is registered, and if not it is started once more.

    Args:
        phones: for each the published file, the file that it starts from, and its user name.
        registrar: what the display goes by.
    """

    REACTION, PATIENCE = 1.0, 5.0

    def __init__(self, phones: Sequence[tuple[Path, Path, str]], registrar: KamailioRegistrar) -> None:
        self._phones = phones
        self._registrar = registrar
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hands", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        copied = {mine: (published.read_bytes(), CLOCK.monotonic()) for published, mine, _ in self._phones}
        noticed: dict[Path, float] = {}
        while not self._over.wait(0.1):
            registered = {one.username for one in self._registrar.contacts()}
            for published, mine, username in self._phones:
                content, at = copied[mine]
                found, now = published.read_bytes(), CLOCK.monotonic()
                changed = found != content
                since = noticed.setdefault(mine, now) if changed else now
                if (changed and now - since >= self.REACTION) or (
                    username not in registered and now - at >= self.PATIENCE
                ):
                    again = b"" if changed else b"# once more\n"
                    replace(mine, found + again)
                    copied[mine] = found, now
                    noticed.pop(mine, None)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody sees half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    beside.rename(path)
