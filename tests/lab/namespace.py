"""One private network for a whole test run: real ports, many loopback addresses, nothing of the machine's own.

A network namespace belongs to a thread (unshare(2), setns(2)); threads and processes that are started inside inherit
it. A test enters, starts real servers on port 53 of their own 127.0.0.x, and leaves; the rest of the suite keeps the
machine's network. The namespace vanishes with the last process and descriptor that hold it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
ADDRESSES = 60
_HERE = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with lo up and the addresses 127.0.0.1 to 127.0.0.60 on it.

    Named listens on addresses of interfaces only, so each address is really there, not merely inside 127/8.

    Raises:
        OSError: the kernel refuses (not root, or namespaces are switched off).
    """

    def __init__(self) -> None:
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(CLONE_NEWNET))
            self._fd = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _bring_up_loopback()
            finally:
                _check(_libc.setns(before, CLONE_NEWNET))
        finally:
            os.close(before)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Work inside, in this thread; may be nested."""
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(self._fd, CLONE_NEWNET))
            try:
                yield
            finally:
                _check(_libc.setns(before, CLONE_NEWNET))
        finally:
            os.close(before)

    @property
    def identity(self) -> str:
        """The kernel's name of it, `net:[4026532301]`; also what `current()` says inside."""
        return f"net:[{os.fstat(self._fd).st_ino}]"

    def processes(self) -> set[int]:
        """Every process of the machine that lives inside."""
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str((entry / "ns/net").readlink()) == self.identity:
                    found.add(int(entry.name))
            except OSError:
                continue  # it ended while we looked
        return found

    def close(self) -> None:
        """Let go of it; the kernel removes it when no process is left inside."""
        os.close(self._fd)


def current() -> str:
    """The network namespace of this thread, as the kernel names it."""
    return str(Path(_HERE).readlink())


def _bring_up_loopback() -> None:
    lines = [f"address add 127.0.0.{last}/8 dev lo" for last in range(2, ADDRESSES + 1)]
    script = "\n".join(["link set lo up", *lines]) + "\n"
    subprocess.run(["ip", "-batch", "-"], input=script, text=True, check=True, capture_output=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
